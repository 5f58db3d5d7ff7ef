/* Readings of the edges' meters, in a file of their own. */
#include "store/sqlite.h"

int
store_reading_upto(struct store_tx *tx, const char *node, const char *boot, uint64_t *ret,
		   struct err *e)
{
	sqlite3_stmt *st = sql_query(tx, e,
				     "SELECT upto FROM usage.reading_upto WHERE node=? AND boot=?",
				     "tt", node, boot);
	int r = sql_step(tx, st, e);

	*ret = 0;
	if (r <= 0)
		return r;
	*ret = (uint64_t)sqlite3_column_int64(st, 0);
	sql_finish(tx, st);
	return 0;
}

static int
reading_has(struct store_tx *tx, const char *node, const char *boot, uint64_t seq, struct err *e)
{
	sqlite3_stmt *st =
		sql_query(tx, e, "SELECT 1 FROM usage.reading WHERE node=? AND boot=? AND seq=?",
			  "tti", node, boot, (int64_t)seq);
	int r = sql_step(tx, st, e);

	if (r > 0)
		sql_finish(tx, st);
	return r;
}

int
store_reading_add(struct store_tx *tx, const struct store_reading *rd, bool *ret_is_new,
		  struct err *e)
{
	uint64_t upto, was;
	int r = store_reading_upto(tx, rd->node, rd->boot, &upto, e);

	if (r == 0)
		r = sql_run(
			tx,
			sql_query(tx, e,
				  "INSERT OR IGNORE INTO usage.reading(node,boot,seq,at_us,body)"
				  " VALUES(?,?,?,?,?)",
				  "ttiit", rd->node, rd->boot, (int64_t)rd->seq, rd->at_us,
				  rd->body),
			e);
	if (r < 0)
		return r;
	*ret_is_new = sqlite3_changes(tx->db) == 1;
	for (was = upto; r >= 0; upto++) {
		r = reading_has(tx, rd->node, rd->boot, upto + 1, e);
		if (r <= 0)
			break;
	}
	if (r < 0 || upto == was)
		return r;
	return sql_run(
		tx,
		sql_query(tx, e,
			  "INSERT OR REPLACE INTO usage.reading_upto(node,boot,upto) VALUES(?,?,?)",
			  "tti", rd->node, rd->boot, (int64_t)upto),
		e);
}

int
store_reading_last(struct store_tx *tx, struct arena *a, const char *node,
		   struct store_reading *ret, struct err *e)
{
	sqlite3_stmt *st = sql_query(tx, e,
				     "SELECT node,boot,seq,at_us,body FROM usage.reading"
				     " WHERE node=? ORDER BY at_us DESC LIMIT 1",
				     "t", node);
	int r = sql_step(tx, st, e);

	if (r <= 0)
		return r;
	ret->node = sql_text(a, st, 0);
	ret->boot = sql_text(a, st, 1);
	ret->seq = (uint64_t)sqlite3_column_int64(st, 2);
	ret->at_us = sqlite3_column_int64(st, 3);
	ret->body = sql_text(a, st, 4);
	sql_finish(tx, st);
	return 1;
}
