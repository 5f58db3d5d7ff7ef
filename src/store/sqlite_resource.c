/* Resources, the references between them, and claims. */
#include "store/sqlite.h"

/* --- resources ---------------------------------------------------------------------------- */

#define RESOURCE_COLS \
	"fold, id, sub, rg, type, tenant, etag, body, hidden, rev, state, created_us, changed_us"

static void
resource_row(struct arena *a, sqlite3_stmt *st, struct store_resource *r)
{
	*r = (struct store_resource){
		.fold = sql_text(a, st, 0),
		.id = sql_text(a, st, 1),
		.sub = sql_text(a, st, 2),
		.rg = sql_text(a, st, 3),
		.type = sql_text(a, st, 4),
		.tenant = sql_text(a, st, 5),
		.etag = sql_text(a, st, 6),
		.body = sql_text(a, st, 7),
		.hidden = sql_text(a, st, 8),
		.rev = sqlite3_column_int64(st, 9),
		.state = (enum store_state)sqlite3_column_int(st, 10),
		.created_us = sqlite3_column_int64(st, 11),
		.changed_us = sqlite3_column_int64(st, 12),
	};
}

int
store_resource_get(struct store_tx *tx, struct arena *a, const char *fold,
		   struct store_resource *ret, struct err *e)
{
	sqlite3_stmt *st =
		sql_query(tx, e, "SELECT " RESOURCE_COLS " FROM resource WHERE fold=?", "t", fold);
	int r = sql_step(tx, st, e);

	if (r <= 0)
		return r;
	resource_row(a, st, ret);
	sql_finish(tx, st);
	return 1;
}

int
store_resource_put(struct store_tx *tx, const struct store_resource *r, struct err *e)
{
	return sql_run(tx,
		       sql_query(tx, e,
				 "INSERT OR REPLACE INTO resource(" RESOURCE_COLS
				 ") VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?)",
				 "tttttttttiiii", r->fold, r->id, r->sub, r->rg, r->type, r->tenant,
				 r->etag, r->body, r->hidden, r->rev, (int64_t)r->state,
				 r->created_us, r->changed_us),
		       e);
}

int
store_resource_delete(struct store_tx *tx, const char *fold, struct err *e)
{
	return sql_run(tx, sql_query(tx, e, "DELETE FROM resource WHERE fold=?", "t", fold), e);
}

#define LIST_TAIL " AND fold>? ORDER BY fold LIMIT ?"
#define LIST(where) "SELECT " RESOURCE_COLS " FROM resource " where LIST_TAIL

int
store_resource_list(struct store_tx *tx, struct arena *a, const struct store_filter *f,
		    struct store_resource **ret, size_t *n, struct err *e)
{
	struct sql_rows rows = { .a = a, .size = sizeof(**ret) };
	const char *after = f->after ? f->after : "";
	int64_t limit = (int64_t)MIN(f->limit, SQL_MAX_LIST);
	sqlite3_stmt *st;
	int r;

	assert(f->sub || f->type);
	if (f->sub && f->rg && f->type)
		st = sql_query(tx, e,
			       LIST("INDEXED BY resource_rg_type WHERE sub=? AND rg=? AND type=?"),
			       "tttti", f->sub, f->rg, f->type, after, limit);
	else if (f->sub && f->rg)
		st = sql_query(tx, e, LIST("INDEXED BY resource_rg WHERE sub=? AND rg=?"), "ttti",
			       f->sub, f->rg, after, limit);
	else if (f->sub && f->type)
		st = sql_query(tx, e, LIST("INDEXED BY resource_sub_type WHERE sub=? AND type=?"),
			       "ttti", f->sub, f->type, after, limit);
	else if (f->sub)
		st = sql_query(tx, e, LIST("INDEXED BY resource_sub WHERE sub=?"), "tti", f->sub,
			       after, limit);
	else
		st = sql_query(tx, e, LIST("INDEXED BY resource_type WHERE type=?"), "tti", f->type,
			       after, limit);
	while ((r = sql_step(tx, st, e)) > 0)
		resource_row(a, st, sql_rows_add(&rows));
	*ret = (struct store_resource *)rows.p;
	*n = rows.n;
	return r;
}

/* --- references --------------------------------------------------------------------------- */

int
store_ref_set(struct store_tx *tx, const char *owner, const struct store_ref *refs, size_t n,
	      struct err *e)
{
	int r = sql_run(tx, sql_query(tx, e, "DELETE FROM ref WHERE owner=?", "t", owner), e);

	for (size_t i = 0; i < n && r == 0; i++)
		r = sql_run(
			tx,
			sql_query(
				tx, e,
				"INSERT OR IGNORE INTO ref(owner,from_fold,to_fold,kind) VALUES(?,?,?,?)",
				"tttt", owner, refs[i].from, refs[i].to, refs[i].kind),
			e);
	return r;
}

static int
ref_rows(struct store_tx *tx, struct sql_rows *rows, sqlite3_stmt *st, struct err *e)
{
	int r;

	while ((r = sql_step(tx, st, e)) > 0) {
		struct store_ref *ref = sql_rows_add(rows);

		ref->owner = sql_text(rows->a, st, 0);
		ref->from = sql_text(rows->a, st, 1);
		ref->to = sql_text(rows->a, st, 2);
		ref->kind = sql_text(rows->a, st, 3);
	}
	return r;
}

int
store_ref_to(struct store_tx *tx, struct arena *a, const char *to, bool below, const char *kind,
	     size_t limit, struct store_ref **ret, size_t *n, struct err *e)
{
	struct sql_rows rows = { .a = a, .size = sizeof(**ret) };
	int r = ref_rows(tx, &rows,
			 sql_query(tx, e,
				   "SELECT owner,from_fold,to_fold,kind FROM ref INDEXED BY ref_to"
				   " WHERE to_fold=?1 AND (?2 IS NULL OR kind=?2) LIMIT ?3",
				   "tti", to, kind, (int64_t)limit),
			 e);

	if (r == 0 && below && rows.n < limit)
		r = ref_rows(
			tx, &rows,
			sql_query(tx, e,
				  "SELECT owner,from_fold,to_fold,kind FROM ref INDEXED BY ref_to"
				  " WHERE to_fold>?1||'/' AND to_fold<?1||'0'"
				  " AND (?2 IS NULL OR kind=?2) LIMIT ?3",
				  "tti", to, kind, (int64_t)(limit - rows.n)),
			e);
	*ret = (struct store_ref *)rows.p;
	*n = rows.n;
	return r;
}

int
store_ref_from(struct store_tx *tx, struct arena *a, const char *owner, struct store_ref **ret,
	       size_t *n, struct err *e)
{
	struct sql_rows rows = { .a = a, .size = sizeof(**ret) };
	int r = ref_rows(tx, &rows,
			 sql_query(tx, e,
				   "SELECT owner,from_fold,to_fold,kind FROM ref WHERE owner=?",
				   "t", owner),
			 e);

	*ret = (struct store_ref *)rows.p;
	*n = rows.n;
	return r;
}

/* --- claims ------------------------------------------------------------------------------- */

int
store_claim_get(struct store_tx *tx, struct arena *a, const char *space, const char *value,
		const char **ret_owner, struct err *e)
{
	sqlite3_stmt *st = sql_query(tx, e, "SELECT owner FROM claim WHERE space=? AND value=?",
				     "tt", space, value);
	int r = sql_step(tx, st, e);

	if (r <= 0)
		return r;
	*ret_owner = sql_text(a, st, 0);
	sql_finish(tx, st);
	return 1;
}

int
store_claim_take(struct store_tx *tx, const char *space, const char *value, const char *owner,
		 struct err *e)
{
	AUTO_ARENA a = { 0 };
	const char *has = NULL;
	int r = store_claim_get(tx, &a, space, value, &has, e);

	if (r < 0)
		return r;
	if (r == 1)
		return !strcmp(has, owner) ? 0
					   : err_set(e, -EEXIST, "%s %s is taken", space, value);
	return sql_run(tx,
		       sql_query(tx, e, "INSERT INTO claim(space,value,owner) VALUES(?,?,?)", "ttt",
				 space, value, owner),
		       e);
}

int
store_claim_drop(struct store_tx *tx, const char *space, const char *value, struct err *e)
{
	return sql_run(tx,
		       sql_query(tx, e, "DELETE FROM claim WHERE space=? AND value=?", "tt", space,
				 value),
		       e);
}

int
store_claim_drop_all(struct store_tx *tx, const char *owner, struct err *e)
{
	return sql_run(tx, sql_query(tx, e, "DELETE FROM claim WHERE owner=?", "t", owner), e);
}

int
store_claim_list(struct store_tx *tx, struct arena *a, const char *owner, struct store_claim **ret,
		 size_t *n, struct err *e)
{
	struct sql_rows rows = { .a = a, .size = sizeof(**ret) };
	sqlite3_stmt *st =
		sql_query(tx, e, "SELECT space,value,owner FROM claim WHERE owner=?", "t", owner);
	int r;

	while ((r = sql_step(tx, st, e)) > 0) {
		struct store_claim *c = sql_rows_add(&rows);

		c->space = sql_text(a, st, 0);
		c->value = sql_text(a, st, 1);
		c->owner = sql_text(a, st, 2);
	}
	*ret = (struct store_claim *)rows.p;
	*n = rows.n;
	return r;
}

static int
claim_next_get(struct store_tx *tx, const char *space, uint64_t *ret, struct err *e)
{
	sqlite3_stmt *st =
		sql_query(tx, e, "SELECT next FROM claim_next WHERE space=?", "t", space);
	int r = sql_step(tx, st, e);

	if (r <= 0)
		return r;
	*ret = (uint64_t)sqlite3_column_int64(st, 0);
	sql_finish(tx, st);
	return 0;
}

int
store_claim_number(struct store_tx *tx, const char *space, uint64_t lo, uint64_t hi, uint64_t *ret,
		   struct err *e)
{
	uint64_t at = lo;
	int r = claim_next_get(tx, space, &at, e);

	if (at < lo || at > hi)
		at = lo;
	for (uint64_t tries = hi - lo + 1; r == 0 && tries; tries--, at = at == hi ? lo : at + 1) {
		AUTO_ARENA a = { 0 };
		const char *has;
		char value[24];

		snprintf(value, sizeof(value), "%llu", (unsigned long long)at);
		r = store_claim_get(tx, &a, space, value, &has, e);
		if (r == 1) {
			r = 0;
			continue;
		}
		if (r < 0)
			break;
		*ret = at;
		return sql_run(
			tx,
			sql_query(tx, e,
				  "INSERT OR REPLACE INTO claim_next(space,next) VALUES(?,?)", "ti",
				  space, (int64_t)(at == hi ? lo : at + 1)),
			e);
	}
	return r < 0 ? r : err_set(e, -ENOSPC, "%s: no number is left", space);
}
