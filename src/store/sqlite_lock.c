/* Management locks, found by their scope. */
#include "store/sqlite.h"

#define LOCK_COLS "scope, fold, name, level, id, body, created_us"

static void
lock_row(struct arena *a, sqlite3_stmt *st, struct store_lock *l)
{
	*l = (struct store_lock){
		.scope = sql_text(a, st, 0),
		.fold = sql_text(a, st, 1),
		.name = sql_text(a, st, 2),
		.level = sql_text(a, st, 3),
		.id = sql_text(a, st, 4),
		.body = sql_text(a, st, 5),
		.created_us = sqlite3_column_int64(st, 6),
	};
}

int
store_lock_put(struct store_tx *tx, const struct store_lock *l, struct err *e)
{
	return sql_run(tx,
		       sql_query(tx, e,
				 "INSERT OR REPLACE INTO scope_lock(" LOCK_COLS
				 ") VALUES(?,?,?,?,?,?,?)",
				 "tttttti", l->scope, l->fold, l->name, l->level, l->id, l->body,
				 l->created_us),
		       e);
}

int
store_lock_get(struct store_tx *tx, struct arena *a, const char *scope, const char *fold,
	       struct store_lock *ret, struct err *e)
{
	sqlite3_stmt *st =
		sql_query(tx, e, "SELECT " LOCK_COLS " FROM scope_lock WHERE scope=? AND fold=?",
			  "tt", scope, fold);
	int r = sql_step(tx, st, e);

	if (r <= 0)
		return r;
	lock_row(a, st, ret);
	sql_finish(tx, st);
	return 1;
}

int
store_lock_delete(struct store_tx *tx, const char *scope, const char *fold, struct err *e)
{
	return sql_run(tx,
		       sql_query(tx, e, "DELETE FROM scope_lock WHERE scope=? AND fold=?", "tt",
				 scope, fold),
		       e);
}

int
store_lock_drop(struct store_tx *tx, const char *scope, struct err *e)
{
	int r = sql_run(tx, sql_query(tx, e, "DELETE FROM scope_lock WHERE scope=?", "t", scope),
			e);

	return r < 0 ? r
		     : sql_run(tx,
			       sql_query(tx, e,
					 "DELETE FROM scope_lock WHERE scope>?1||'/' AND"
					 " scope<?1||'0'",
					 "t", scope),
			       e);
}

static int
lock_rows(struct store_tx *tx, struct sql_rows *rows, sqlite3_stmt *st, struct err *e)
{
	int r;

	while ((r = sql_step(tx, st, e)) > 0)
		lock_row(rows->a, st, sql_rows_add(rows));
	return r;
}

int
store_lock_at(struct store_tx *tx, struct arena *a, const char *scope, bool below, size_t limit,
	      struct store_lock **ret, size_t *n, struct err *e)
{
	struct sql_rows rows = { .a = a, .size = sizeof(**ret) };
	int r = lock_rows(tx, &rows,
			  sql_query(tx, e,
				    "SELECT " LOCK_COLS
				    " FROM scope_lock WHERE scope=? ORDER BY fold LIMIT ?",
				    "ti", scope, (int64_t)limit),
			  e);

	if (r == 0 && below && rows.n < limit)
		r = lock_rows(tx, &rows,
			      sql_query(tx, e,
					"SELECT " LOCK_COLS
					" FROM scope_lock WHERE scope>?1||'/' AND scope<?1||'0'"
					" ORDER BY scope, fold LIMIT ?2",
					"ti", scope, (int64_t)(limit - rows.n)),
			      e);
	*ret = (struct store_lock *)rows.p;
	*n = rows.n;
	return r;
}
