/* Nodes, their objects and revisions. */
#include "store/sqlite.h"

#define NODE_COLS \
	"name, role, cert, token_hash, token_until_us, applied, seen_us, report, revoked," \
	" cert_before, token_csr"

static void
node_row(struct arena *a, sqlite3_stmt *st, struct store_node *n)
{
	*n = (struct store_node){
		.name = sql_text(a, st, 0),
		.role = sql_text(a, st, 1),
		.cert = sql_text(a, st, 2),
		.token_hash = sql_text(a, st, 3),
		.token_until_us = sqlite3_column_int64(st, 4),
		.applied = sqlite3_column_int64(st, 5),
		.seen_us = sqlite3_column_int64(st, 6),
		.report = sql_text(a, st, 7),
		.revoked = sqlite3_column_int(st, 8) != 0,
		.cert_before = sql_text(a, st, 9),
		.token_csr = sql_text(a, st, 10),
	};
}

int
store_node_put(struct store_tx *tx, const struct store_node *n, struct err *e)
{
	return sql_run(tx,
		       sql_query(tx, e,
				 "INSERT OR REPLACE INTO node(" NODE_COLS
				 ") VALUES(?,?,?,?,?,?,?,?,?,?,?)",
				 "ttttiiititt", n->name, sql_or_empty(n->role),
				 sql_or_empty(n->cert), sql_or_empty(n->token_hash),
				 n->token_until_us, n->applied, n->seen_us,
				 n->report ? n->report : "{}", (int64_t)n->revoked,
				 sql_or_empty(n->cert_before), sql_or_empty(n->token_csr)),
		       e);
}

static int
node_one(struct store_tx *tx, struct arena *a, sqlite3_stmt *st, struct store_node *ret,
	 struct err *e)
{
	int r = sql_step(tx, st, e);

	if (r <= 0)
		return r;
	node_row(a, st, ret);
	sql_finish(tx, st);
	return 1;
}

int
store_node_get(struct store_tx *tx, struct arena *a, const char *name, struct store_node *ret,
	       struct err *e)
{
	return node_one(tx, a,
			sql_query(tx, e, "SELECT " NODE_COLS " FROM node WHERE name=?", "t", name),
			ret, e);
}

int
store_node_seen(struct store_tx *tx, const char *name, int64_t *ret_seen_us, bool *ret_revoked,
		struct err *e)
{
	sqlite3_stmt *st =
		sql_query(tx, e, "SELECT seen_us, revoked FROM node WHERE name=?", "t", name);
	int r = sql_step(tx, st, e);

	if (r <= 0)
		return r;
	*ret_seen_us = sqlite3_column_int64(st, 0);
	*ret_revoked = sqlite3_column_int(st, 1) != 0;
	sql_finish(tx, st);
	return 1;
}

int
store_node_by_cert(struct store_tx *tx, struct arena *a, const char *cert, struct store_node *ret,
		   struct err *e)
{
	int r = node_one(tx, a,
			 sql_query(tx, e,
				   "SELECT " NODE_COLS " FROM node WHERE cert=? AND cert<>''", "t",
				   cert),
			 ret, e);

	if (r)
		return r;
	return node_one(tx, a,
			sql_query(tx, e,
				  "SELECT " NODE_COLS
				  " FROM node WHERE cert_before=? AND cert_before<>''",
				  "t", cert),
			ret, e);
}

int
store_node_list(struct store_tx *tx, struct arena *a, const char *after, size_t limit,
		struct store_node **ret, size_t *n, struct err *e)
{
	struct sql_rows rows = { .a = a, .size = sizeof(**ret) };
	sqlite3_stmt *st = sql_query(tx, e,
				     "SELECT " NODE_COLS
				     " FROM node WHERE name>? ORDER BY name LIMIT ?",
				     "ti", after ? after : "", (int64_t)limit);
	int r;

	while ((r = sql_step(tx, st, e)) > 0)
		node_row(a, st, sql_rows_add(&rows));
	*ret = (struct store_node *)rows.p;
	*n = rows.n;
	return r;
}

#define OBJECT_COLS "node, kind, key, owner, rev, sealed"

static int
object_row(struct store_tx *tx, struct arena *a, sqlite3_stmt *st, struct store_object *o,
	   struct err *e)
{
	AUTO_FREE char *where = NULL;
	const void *body;
	size_t n;
	int r;

	*o = (struct store_object){
		.node = sql_text(a, st, 0),
		.kind = sql_text(a, st, 1),
		.key = sql_text(a, st, 2),
		.owner = sql_text(a, st, 3),
		.rev = sqlite3_column_int64(st, 4),
	};
	if (sqlite3_column_type(st, 5) == SQLITE_NULL)
		return 0;
	where = mem_printf("object\n%s\n%s\n%s", o->node, o->kind, o->key);
	r = seal_open(sql_key(tx), where, sqlite3_column_blob(st, 5),
		      (size_t)sqlite3_column_bytes(st, 5), a, &body, &n, e);
	o->body = r < 0 ? NULL : body;
	return r;
}

static int
object_list(struct store_tx *tx, struct arena *a, sqlite3_stmt *st, struct store_object **ret,
	    size_t *n, struct err *e)
{
	struct sql_rows rows = { .a = a, .size = sizeof(**ret) };
	int r;

	while ((r = sql_step(tx, st, e)) > 0) {
		int bad = object_row(tx, a, st, sql_rows_add(&rows), e);

		if (bad < 0) {
			sql_finish(tx, st);
			return bad;
		}
	}
	*ret = (struct store_object *)rows.p;
	*n = rows.n;
	return r;
}

int
store_object_get(struct store_tx *tx, struct arena *a, const char *node, const char *kind,
		 const char *key, struct store_object *ret, struct err *e)
{
	struct store_object *o;
	size_t n;
	int r = object_list(tx, a,
			    sql_query(tx, e,
				      "SELECT " OBJECT_COLS
				      " FROM node_object WHERE node=? AND kind=? AND key=?",
				      "ttt", node, kind, key),
			    &o, &n, e);

	if (r < 0 || !n)
		return MIN(r, 0);
	*ret = *o;
	return 1;
}

static int
rev_next(struct store_tx *tx, const char *node, int64_t *ret, struct err *e)
{
	sqlite3_stmt *st = sql_query(tx, e,
				     "INSERT INTO node_counter(node,rev,floor) VALUES(?,1,0)"
				     " ON CONFLICT(node) DO UPDATE SET rev=rev+1 RETURNING rev",
				     "t", node);
	int r = sql_step(tx, st, e);

	if (r <= 0)
		return r < 0 ? r : -EIO;
	*ret = sqlite3_column_int64(st, 0);
	while ((r = sql_step(tx, st, e)) > 0)
		;
	return r;
}

static bool
object_is_same(const struct store_object *old, const struct store_object *o)
{
	assert(old->owner); /* NOT NULL in the schema */
	if (strcmp(old->owner, o->owner) != 0)
		return false;
	return old->body && o->body ? !strcmp(old->body, o->body) : old->body == o->body;
}

int
store_object_put(struct store_tx *tx, const struct store_object *o, int64_t *ret_rev, struct err *e)
{
	AUTO_ARENA a = { 0 };
	AUTO_BUF sealed = { 0 };
	AUTO_FREE char *where = mem_printf("object\n%s\n%s\n%s", o->node, o->kind, o->key);
	struct store_object old;
	int64_t rev = 0;
	int r = store_object_get(tx, &a, o->node, o->kind, o->key, &old, e);

	*ret_rev = 0;
	if (r < 0)
		return r;
	if ((r == 1 && object_is_same(&old, o)) || (r == 0 && !o->body))
		return 0;
	if (o->body) {
		r = seal_close(sql_key(tx), where, o->body, strlen(o->body), &sealed, e);
		if (r < 0)
			return r;
	}
	r = rev_next(tx, o->node, &rev, e);
	if (r == 0)
		r = sql_run(tx,
			    sql_query(tx, e,
				      "INSERT OR REPLACE INTO node_object(" OBJECT_COLS
				      ") VALUES(?,?,?,?,?,?)",
				      "ttttib", o->node, o->kind, o->key, o->owner, rev,
				      o->body ? sealed.p : NULL, sealed.n),
			    e);
	if (r == 0)
		*ret_rev = rev;
	return r;
}

int
store_object_of(struct store_tx *tx, struct arena *a, const char *owner, struct store_object **ret,
		size_t *n, struct err *e)
{
	return object_list(tx, a,
			   sql_query(tx, e,
				     "SELECT " OBJECT_COLS " FROM node_object INDEXED BY"
				     " node_object_owner WHERE owner=? AND sealed IS NOT NULL",
				     "t", owner),
			   ret, n, e);
}

int
store_object_since(struct store_tx *tx, struct arena *a, const char *node, int64_t rev,
		   size_t limit, struct store_object **ret, size_t *n, struct err *e)
{
	return object_list(tx, a,
			   sql_query(tx, e,
				     "SELECT " OBJECT_COLS
				     " FROM node_object INDEXED BY node_object_rev"
				     " WHERE node=? AND rev>? ORDER BY rev LIMIT ?",
				     "tii", node, rev, (int64_t)limit),
			   ret, n, e);
}

int
store_object_snapshot(struct store_tx *tx, struct arena *a, const char *node,
		      const char *after_kind, const char *after_key, size_t limit,
		      struct store_object **ret, size_t *n, struct err *e)
{
	return object_list(
		tx, a,
		sql_query(tx, e,
			  "SELECT " OBJECT_COLS " FROM node_object WHERE node=?1 AND"
			  " (kind,key)>(?2,?3) AND sealed IS NOT NULL ORDER BY kind,key LIMIT ?4",
			  "ttti", node, sql_or_empty(after_kind), sql_or_empty(after_key),
			  (int64_t)limit),
		ret, n, e);
}

int
store_node_rev(struct store_tx *tx, const char *node, int64_t *ret_rev, int64_t *ret_floor,
	       struct err *e)
{
	sqlite3_stmt *st =
		sql_query(tx, e, "SELECT rev,floor FROM node_counter WHERE node=?", "t", node);
	int r = sql_step(tx, st, e);

	*ret_rev = *ret_floor = 0;
	if (r <= 0)
		return r;
	*ret_rev = sqlite3_column_int64(st, 0);
	*ret_floor = sqlite3_column_int64(st, 1);
	sql_finish(tx, st);
	return 0;
}
