/* Principals, role assignments, subscriptions; the rest of identity is in sqlite_directory.c. */
#include "store/sqlite.h"

void
sql_principal(struct arena *a, sqlite3_stmt *st, struct store_principal *p)
{
	*p = (struct store_principal){
		.oid = sql_text(a, st, 0),
		.client_id = sql_text(a, st, 1),
		.tenant = sql_text(a, st, 2),
		.kind = sql_text(a, st, 3),
		.name = sql_text(a, st, 4),
		.upn = sql_text(a, st, 5),
		.external_id = sql_text(a, st, 6),
		.body = sql_text(a, st, 7),
		.is_disabled = sqlite3_column_int(st, 8) != 0,
		.rev = sqlite3_column_int64(st, 9),
		.created_us = sqlite3_column_int64(st, 10),
		.changed_us = sqlite3_column_int64(st, 11),
	};
}

int
store_principal_put(struct store_tx *tx, const struct store_principal *p, struct err *e)
{
	/* Not REPLACE: that would take another's row away for the same upn. */
	return sql_run(tx,
		       sql_query(tx, e,
				 "INSERT INTO principal(" PRINCIPAL_COLS
				 ") VALUES(?,?,?,?,?,?,?,?,?,1,?,?) ON CONFLICT(oid) DO UPDATE SET"
				 " client_id=excluded.client_id, tenant=excluded.tenant,"
				 " kind=excluded.kind, name=excluded.name, upn=excluded.upn,"
				 " external_id=excluded.external_id, body=excluded.body,"
				 " is_disabled=excluded.is_disabled, rev=rev+1,"
				 " changed_us=excluded.changed_us",
				 "ttttttttiii", p->oid, p->client_id, p->tenant, p->kind, p->name,
				 sql_or_empty(p->upn), sql_or_empty(p->external_id),
				 sql_or_empty(p->body), (int64_t)p->is_disabled, p->created_us,
				 p->changed_us),
		       e);
}

static int
principal_one(struct store_tx *tx, struct arena *a, sqlite3_stmt *st, struct store_principal *ret,
	      struct err *e)
{
	int r = sql_step(tx, st, e);

	if (r <= 0)
		return r;
	sql_principal(a, st, ret);
	sql_finish(tx, st);
	return 1;
}

int
store_principal_get(struct store_tx *tx, struct arena *a, const char *oid,
		    struct store_principal *ret, struct err *e)
{
	return principal_one(
		tx, a,
		sql_query(tx, e, "SELECT " PRINCIPAL_COLS " FROM principal WHERE oid=?", "t", oid),
		ret, e);
}

int
store_principal_by_client(struct store_tx *tx, struct arena *a, const char *client_id,
			  struct store_principal *ret, struct err *e)
{
	return principal_one(tx, a,
			     sql_query(tx, e,
				       "SELECT " PRINCIPAL_COLS " FROM principal WHERE client_id=?",
				       "t", client_id),
			     ret, e);
}

int
store_principal_list(struct store_tx *tx, struct arena *a, const char *after, size_t limit,
		     struct store_principal **ret, size_t *n, struct err *e)
{
	struct sql_rows rows = { .a = a, .size = sizeof(**ret) };
	sqlite3_stmt *st = sql_query(tx, e,
				     "SELECT " PRINCIPAL_COLS
				     " FROM principal WHERE oid>? ORDER BY oid LIMIT ?",
				     "ti", sql_or_empty(after), (int64_t)limit);
	int r;

	while ((r = sql_step(tx, st, e)) > 0)
		sql_principal(a, st, sql_rows_add(&rows));
	*ret = (struct store_principal *)rows.p;
	*n = rows.n;
	return r;
}

#define ASSIGNMENT_COLS "fold, id, scope, role, principal, body"

static int
assignment_rows(struct store_tx *tx, struct sql_rows *rows, sqlite3_stmt *st, struct err *e)
{
	int r;

	while ((r = sql_step(tx, st, e)) > 0) {
		struct store_assignment *s = sql_rows_add(rows);

		s->fold = sql_text(rows->a, st, 0);
		s->id = sql_text(rows->a, st, 1);
		s->scope = sql_text(rows->a, st, 2);
		s->role = sql_text(rows->a, st, 3);
		s->principal = sql_text(rows->a, st, 4);
		s->body = sql_text(rows->a, st, 5);
	}
	return r;
}

int
store_assignment_put(struct store_tx *tx, const struct store_assignment *s, struct err *e)
{
	/* Not REPLACE: the same grant under another name is -EEXIST. */
	return sql_run(
		tx,
		sql_query(
			tx, e,
			"INSERT INTO assignment(" ASSIGNMENT_COLS ") VALUES(?,?,?,?,?,?)"
			" ON CONFLICT(fold) DO UPDATE SET scope=excluded.scope, role=excluded.role,"
			" principal=excluded.principal, body=excluded.body",
			"tttttt", s->fold, s->id, s->scope, s->role, s->principal, s->body),
		e);
}

int
store_assignment_get(struct store_tx *tx, struct arena *a, const char *fold,
		     struct store_assignment *ret, struct err *e)
{
	struct sql_rows rows = { .a = a, .size = sizeof(*ret) };
	int r = assignment_rows(tx, &rows,
				sql_query(tx, e,
					  "SELECT " ASSIGNMENT_COLS " FROM assignment WHERE fold=?",
					  "t", fold),
				e);

	if (r < 0 || !rows.n)
		return r;
	*ret = *(struct store_assignment *)rows.p;
	return 1;
}

int
store_assignment_delete(struct store_tx *tx, const char *fold, struct err *e)
{
	return sql_run(tx, sql_query(tx, e, "DELETE FROM assignment WHERE fold=?", "t", fold), e);
}

int
store_assignment_of(struct store_tx *tx, struct arena *a, const char *principal,
		    struct store_assignment **ret, size_t *n, struct err *e)
{
	struct sql_rows rows = { .a = a, .size = sizeof(**ret) };
	int r = assignment_rows(
		tx, &rows,
		sql_query(tx, e,
			  "SELECT " ASSIGNMENT_COLS
			  " FROM assignment INDEXED BY assignment_once WHERE principal=?",
			  "t", principal),
		e);

	*ret = (struct store_assignment *)rows.p;
	*n = rows.n;
	return r;
}

int
store_assignment_at(struct store_tx *tx, struct arena *a, const char *scope, bool below,
		    size_t limit, struct store_assignment **ret, size_t *n, struct err *e)
{
	struct sql_rows rows = { .a = a, .size = sizeof(**ret) };
	const char *base = strcmp(scope, "/") ? scope : "";
	int r = assignment_rows(
		tx, &rows,
		sql_query(tx, e,
			  "SELECT " ASSIGNMENT_COLS
			  " FROM assignment INDEXED BY assignment_scope WHERE scope=?"
			  " LIMIT ?",
			  "ti", scope, (int64_t)limit),
		e);

	if (r == 0 && below && rows.n < limit)
		r = assignment_rows(tx, &rows,
				    sql_query(tx, e,
					      "SELECT " ASSIGNMENT_COLS
					      " FROM assignment INDEXED BY assignment_scope"
					      " WHERE scope>?1||'/' AND scope<?1||'0' LIMIT ?2",
					      "ti", base, (int64_t)(limit - rows.n)),
				    e);
	*ret = (struct store_assignment *)rows.p;
	*n = rows.n;
	return r;
}

int
sql_subscriptions(struct store_tx *tx, struct sql_rows *rows, sqlite3_stmt *st, struct err *e)
{
	int r;

	while ((r = sql_step(tx, st, e)) > 0) {
		struct store_subscription *s = sql_rows_add(rows);

		s->id = sql_text(rows->a, st, 0);
		s->tenant = sql_text(rows->a, st, 1);
		s->name = sql_text(rows->a, st, 2);
		s->state = sql_text(rows->a, st, 3);
	}
	return r;
}

int
store_subscription_put(struct store_tx *tx, const struct store_subscription *s, struct err *e)
{
	return sql_run(tx,
		       sql_query(tx, e,
				 "INSERT INTO subscription(" SUBSCRIPTION_COLS
				 ", mgroup) VALUES(?1,?2,?3,?4,?2) ON CONFLICT(id) DO UPDATE SET"
				 " tenant=excluded.tenant, name=excluded.name,"
				 " state=excluded.state",
				 "tttt", s->id, s->tenant, s->name, s->state),
		       e);
}

int
store_subscription_get(struct store_tx *tx, struct arena *a, const char *id,
		       struct store_subscription *ret, struct err *e)
{
	struct sql_rows rows = { .a = a, .size = sizeof(*ret) };
	int r = sql_subscriptions(
		tx, &rows,
		sql_query(tx, e, "SELECT " SUBSCRIPTION_COLS " FROM subscription WHERE id=?", "t",
			  id),
		e);

	if (r < 0 || !rows.n)
		return r;
	*ret = *(struct store_subscription *)rows.p;
	return 1;
}

int
store_subscription_list(struct store_tx *tx, struct arena *a, const char *tenant, const char *after,
			size_t limit, struct store_subscription **ret, size_t *n, struct err *e)
{
	struct sql_rows rows = { .a = a, .size = sizeof(**ret) };
	int r = sql_subscriptions(
		tx, &rows,
		sql_query(tx, e,
			  "SELECT " SUBSCRIPTION_COLS " FROM subscription INDEXED BY"
			  " subscription_tenant WHERE tenant=? AND id>? ORDER BY id"
			  " LIMIT ?",
			  "tti", tenant, sql_or_empty(after), (int64_t)limit),
		e);

	*ret = (struct store_subscription *)rows.p;
	*n = rows.n;
	return r;
}
