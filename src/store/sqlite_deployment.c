/* Deployments of templates: their rows. Secrets of theirs are secrets of the same owner. */
#include "store/sqlite.h"

#define COLS "fold, id, sub, rg, body, is_active, created_us, changed_us"

static void
deployment_row(struct arena *a, sqlite3_stmt *st, struct store_deployment *d)
{
	*d = (struct store_deployment){
		.fold = sql_text(a, st, 0),
		.id = sql_text(a, st, 1),
		.sub = sql_text(a, st, 2),
		.rg = sql_text(a, st, 3),
		.body = sql_text(a, st, 4),
		.is_active = sqlite3_column_int(st, 5) != 0,
		.created_us = sqlite3_column_int64(st, 6),
		.changed_us = sqlite3_column_int64(st, 7),
	};
}

int
store_deployment_put(struct store_tx *tx, const struct store_deployment *d, struct err *e)
{
	return sql_run(tx,
		       sql_query(tx, e,
				 "INSERT OR REPLACE INTO deployment(" COLS
				 ") VALUES(?,?,?,?,?,?,?,?)",
				 "tttttiii", d->fold, d->id, d->sub, d->rg, d->body,
				 (int64_t)d->is_active, d->created_us, d->changed_us),
		       e);
}

int
store_deployment_get(struct store_tx *tx, struct arena *a, const char *fold,
		     struct store_deployment *ret, struct err *e)
{
	sqlite3_stmt *st =
		sql_query(tx, e, "SELECT " COLS " FROM deployment WHERE fold=?", "t", fold);
	int r = sql_step(tx, st, e);

	if (r <= 0)
		return r;
	deployment_row(a, st, ret);
	sql_finish(tx, st);
	return 1;
}

int
store_deployment_delete(struct store_tx *tx, const char *fold, struct err *e)
{
	int r = sql_run(tx, sql_query(tx, e, "DELETE FROM secret WHERE owner=?", "t", fold), e);

	return r < 0 ? r
		     : sql_run(tx,
			       sql_query(tx, e, "DELETE FROM deployment WHERE fold=?", "t", fold),
			       e);
}

int
store_deployment_list(struct store_tx *tx, struct arena *a, const char *sub, const char *rg,
		      const char *after, size_t limit, struct store_deployment **ret, size_t *n,
		      struct err *e)
{
	struct sql_rows rows = { .a = a, .size = sizeof(**ret) };
	sqlite3_stmt *st = sql_query(tx, e,
				     "SELECT " COLS " FROM deployment INDEXED BY deployment_scope"
				     " WHERE sub=? AND rg=? AND fold>? ORDER BY fold LIMIT ?",
				     "ttti", sub, rg, sql_or_empty(after),
				     (int64_t)MIN(limit, SQL_MAX_LIST));
	int r;

	while ((r = sql_step(tx, st, e)) > 0)
		deployment_row(a, st, sql_rows_add(&rows));
	*ret = (struct store_deployment *)rows.p;
	*n = rows.n;
	return r;
}

static int
folds_read(struct store_tx *tx, struct arena *a, sqlite3_stmt *st, const char ***ret, size_t *n,
	   struct err *e)
{
	struct sql_rows rows = { .a = a, .size = sizeof(**ret) };
	int r;

	while ((r = sql_step(tx, st, e)) > 0)
		*(const char **)sql_rows_add(&rows) = sql_text(a, st, 0);
	*ret = (const char **)rows.p;
	*n = rows.n;
	return r;
}

int
store_deployment_active(struct store_tx *tx, struct arena *a, const char *after, size_t limit,
			const char ***ret, size_t *n, struct err *e)
{
	sqlite3_stmt *st = sql_query(tx, e,
				     "SELECT fold FROM deployment INDEXED BY deployment_active"
				     " WHERE is_active=1 AND fold>? ORDER BY fold LIMIT ?",
				     "ti", sql_or_empty(after), (int64_t)MIN(limit, SQL_MAX_LIST));

	return folds_read(tx, a, st, ret, n, e);
}

int
store_deployment_count_active(struct store_tx *tx, const char *sub, size_t most, size_t *ret,
			      struct err *e)
{
	sqlite3_stmt *st = sql_query(tx, e,
				     "SELECT COUNT(*) FROM (SELECT 1 FROM deployment"
				     " INDEXED BY deployment_busy WHERE sub=? AND is_active=1"
				     " LIMIT ?)",
				     "ti", sub, (int64_t)most);
	int r = sql_step(tx, st, e);

	if (r <= 0)
		return r < 0 ? r : -EIO;
	*ret = (size_t)sqlite3_column_int64(st, 0);
	sql_finish(tx, st);
	return 0;
}

static int
folds_delete(struct store_tx *tx, const char *const *folds, size_t n, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < n && r >= 0; i++)
		r = store_deployment_delete(tx, folds[i], e);
	return r;
}

int
store_deployment_trim(struct store_tx *tx, const char *sub, const char *rg, size_t keep,
		      struct err *e)
{
	sqlite3_stmt *st = sql_query(tx, e,
				     "SELECT fold FROM deployment INDEXED BY deployment_age"
				     " WHERE sub=? AND rg=? AND is_active=0"
				     " ORDER BY changed_us DESC LIMIT 100 OFFSET ?",
				     "tti", sub, rg, (int64_t)keep);
	AUTO_ARENA a = { 0 };
	const char **folds;
	size_t n = 0;
	int r = folds_read(tx, &a, st, &folds, &n, e);

	return r < 0 ? r : folds_delete(tx, folds, n, e);
}

int
store_deployment_drop_group(struct store_tx *tx, const char *sub, const char *rg, struct err *e)
{
	for (;;) {
		AUTO_ARENA a = { 0 };
		sqlite3_stmt *st =
			sql_query(tx, e,
				  "SELECT fold FROM deployment INDEXED BY deployment_scope"
				  " WHERE sub=? AND rg=? LIMIT 1000",
				  "tt", sub, rg);
		const char **folds;
		size_t n = 0;
		int r = folds_read(tx, &a, st, &folds, &n, e);

		if (r >= 0)
			r = folds_delete(tx, folds, n, e);
		if (r < 0 || n < SQL_MAX_LIST)
			return r;
	}
}
