/* What is told to event streams: a log with a short memory. */
#include "store/sqlite.h"

int
store_stream_add(struct store_tx *tx, const struct store_stream_event *ev, struct err *e)
{
	return sql_run(tx,
		       sql_query(tx, e,
				 "INSERT INTO stream_event(at_us,sub,target,kind,body)"
				 " VALUES(?,?,?,?,?)",
				 "itttt", ev->at_us, sql_or_empty(ev->sub), ev->target, ev->kind,
				 ev->body),
		       e);
}

static int
stream_list(struct store_tx *tx, struct arena *a, sqlite3_stmt *st, struct store_stream_event **ret,
	    size_t *n, struct err *e)
{
	struct sql_rows rows = { .a = a, .size = sizeof(struct store_stream_event) };
	int r;

	while ((r = sql_step(tx, st, e)) > 0) {
		struct store_stream_event *ev = sql_rows_add(&rows);

		ev->seq = sqlite3_column_int64(st, 0);
		ev->at_us = sqlite3_column_int64(st, 1);
		ev->sub = sql_text(a, st, 2);
		ev->target = sql_text(a, st, 3);
		ev->kind = sql_text(a, st, 4);
		ev->body = sql_text(a, st, 5);
	}
	*ret = (struct store_stream_event *)rows.p;
	*n = rows.n;
	return r;
}

#define STREAM_COLS "seq,at_us,sub,target,kind,body"

int
store_stream_since(struct store_tx *tx, struct arena *a, const char *sub, const char *target,
		   int64_t after, size_t limit, struct store_stream_event **ret, size_t *n,
		   struct err *e)
{
	sqlite3_stmt *st =
		target ? sql_query(tx, e,
				   "SELECT " STREAM_COLS " FROM stream_event WHERE target=? AND"
				   " seq>? ORDER BY seq LIMIT ?",
				   "tii", target, after, (int64_t)limit)
		: sub  ? sql_query(tx, e,
				   "SELECT " STREAM_COLS " FROM stream_event WHERE sub=? AND seq>?"
				    " ORDER BY seq LIMIT ?",
				   "tii", sub, after, (int64_t)limit)
		       : sql_query(tx, e,
				   "SELECT " STREAM_COLS " FROM stream_event WHERE seq>?"
				    " ORDER BY seq LIMIT ?",
				   "ii", after, (int64_t)limit);

	return stream_list(tx, a, st, ret, n, e);
}

static int
number(struct store_tx *tx, sqlite3_stmt *st, int64_t *ret, struct err *e)
{
	int r = sql_step(tx, st, e);

	*ret = 0;
	if (r <= 0)
		return r;
	*ret = sqlite3_column_int64(st, 0);
	sql_finish(tx, st);
	return 0;
}

/* What was pruned is below the first row; with none left, below what was given out last. */
int
store_stream_range(struct store_tx *tx, int64_t *ret_floor, int64_t *ret_last, struct err *e)
{
	int64_t first;
	int r = number(tx,
		       sql_query(tx, e, "SELECT seq FROM sqlite_sequence WHERE name='stream_event'",
				 ""),
		       ret_last, e);

	if (r == 0)
		r = number(tx, sql_query(tx, e, "SELECT MIN(seq) FROM stream_event", ""), &first,
			   e);
	*ret_floor = r == 0 && first ? first - 1 : *ret_last;
	return r;
}

int
store_stream_prune(struct store_tx *tx, int64_t before_us, struct err *e)
{
	return sql_run(tx,
		       sql_query(tx, e,
				 "DELETE FROM stream_event WHERE seq IN (SELECT seq FROM"
				 " stream_event INDEXED BY stream_event_at WHERE at_us<? LIMIT"
				 " 20000)",
				 "i", before_us),
		       e);
}
