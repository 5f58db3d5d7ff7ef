/* Metrics, packed: one row a target, grain and span of 60 slots, in the file of the usage. */
#include "store/sqlite.h"

int
store_metric_append(struct store_tx *tx, const char *target, int64_t grain, int64_t span,
		    const char *line, struct err *e)
{
	return sql_run(tx,
		       sql_query(tx, e,
				 "INSERT INTO usage.metric(target,grain,span,body)"
				 " VALUES(?,?,?,? || char(10))"
				 " ON CONFLICT(target,grain,span) DO UPDATE SET"
				 " body=body || excluded.body",
				 "tiit", target, grain, span, line),
		       e);
}

int
store_metric_get(struct store_tx *tx, struct arena *a, const char *target, int64_t grain,
		 int64_t span, const char **ret, struct err *e)
{
	sqlite3_stmt *st = sql_query(tx, e,
				     "SELECT body FROM usage.metric WHERE target=? AND grain=?"
				     " AND span=?",
				     "tii", target, grain, span);
	int r = sql_step(tx, st, e);

	if (r <= 0)
		return r;
	*ret = sql_text(a, st, 0);
	sql_finish(tx, st);
	return 1;
}

int
store_metric_prune(struct store_tx *tx, int64_t grain, int64_t before, struct err *e)
{
	return sql_run(tx,
		       sql_query(tx, e,
				 "DELETE FROM usage.metric WHERE (target,grain,span) IN (SELECT"
				 " target,grain,span FROM usage.metric WHERE grain=? AND span<?"
				 " LIMIT 5000)",
				 "ii", grain, before),
		       e);
}
