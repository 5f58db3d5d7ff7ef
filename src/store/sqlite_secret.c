/* Secrets, sealed under the master key, and small facts. */
#include "store/sqlite.h"

int
store_secret_put(struct store_tx *tx, const char *owner, const char *name, const void *p, size_t n,
		 struct err *e)
{
	AUTO_BUF sealed = { 0 };
	AUTO_FREE char *where = mem_printf("secret\n%s\n%s", owner, name);
	int r = seal_close(sql_key(tx), where, p, n, &sealed, e);

	if (r < 0)
		return r;
	return sql_run(tx,
		       sql_query(tx, e,
				 "INSERT OR REPLACE INTO secret(owner,name,sealed) VALUES(?,?,?)",
				 "ttb", owner, name, sealed.p, sealed.n),
		       e);
}

int
store_secret_get(struct store_tx *tx, struct arena *a, const char *owner, const char *name,
		 const void **ret, size_t *n, struct err *e)
{
	AUTO_FREE char *where = mem_printf("secret\n%s\n%s", owner, name);
	sqlite3_stmt *st = sql_query(tx, e, "SELECT sealed FROM secret WHERE owner=? AND name=?",
				     "tt", owner, name);
	int r = sql_step(tx, st, e);

	if (r <= 0)
		return r;
	r = seal_open(sql_key(tx), where, sqlite3_column_blob(st, 0),
		      (size_t)sqlite3_column_bytes(st, 0), a, ret, n, e);
	sql_finish(tx, st);
	return r < 0 ? r : 1;
}

int
store_secret_drop(struct store_tx *tx, const char *owner, const char *name, struct err *e)
{
	return sql_run(tx,
		       sql_query(tx, e, "DELETE FROM secret WHERE owner=? AND name=?", "tt", owner,
				 name),
		       e);
}

int
store_fact_get(struct store_tx *tx, struct arena *a, const char *name, const char **ret,
	       struct err *e)
{
	sqlite3_stmt *st = sql_query(tx, e, "SELECT value FROM fact WHERE name=?", "t", name);
	int r = sql_step(tx, st, e);

	if (r <= 0)
		return r;
	*ret = sql_text(a, st, 0);
	sql_finish(tx, st);
	return 1;
}

int
store_fact_put(struct store_tx *tx, const char *name, const char *value, struct err *e)
{
	return sql_run(tx,
		       sql_query(tx, e, "INSERT OR REPLACE INTO fact(name,value) VALUES(?,?)", "tt",
				 name, value),
		       e);
}
