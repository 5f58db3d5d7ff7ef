/* Tickets: see ticket.h. */
#include "store/ticket.h"

#include "store/sqlite.h"

#define COLS "kind, hash, family, oid, body, made_us, until_us, used_us"

int
store_ticket_put(struct store_tx *tx, const struct store_ticket *t, struct err *e)
{
	return sql_run(tx,
		       sql_query(tx, e,
				 "INSERT OR REPLACE INTO ticket(" COLS ") VALUES(?,?,?,?,?,?,?,?)",
				 "tttttiii", t->kind, t->hash, sql_or_empty(t->family),
				 sql_or_empty(t->oid), sql_or_empty(t->body), t->made_us,
				 t->until_us, t->used_us),
		       e);
}

int
store_ticket_get(struct store_tx *tx, struct arena *a, const char *kind, const char *hash,
		 int64_t now_us, struct store_ticket *ret, struct err *e)
{
	sqlite3_stmt *st = sql_query(tx, e,
				     "SELECT " COLS
				     " FROM ticket WHERE kind=? AND hash=? AND until_us>?",
				     "tti", kind, hash, now_us);
	int r = sql_step(tx, st, e);

	if (r <= 0)
		return r;
	*ret = (struct store_ticket){
		.kind = sql_text(a, st, 0),
		.hash = sql_text(a, st, 1),
		.family = sql_text(a, st, 2),
		.oid = sql_text(a, st, 3),
		.body = sql_text(a, st, 4),
		.made_us = sqlite3_column_int64(st, 5),
		.until_us = sqlite3_column_int64(st, 6),
		.used_us = sqlite3_column_int64(st, 7),
	};
	sql_finish(tx, st);
	return 1;
}

int
store_ticket_drop(struct store_tx *tx, const char *kind, const char *hash, struct err *e)
{
	return sql_run(tx,
		       sql_query(tx, e, "DELETE FROM ticket WHERE kind=? AND hash=?", "tt", kind,
				 hash),
		       e);
}

int
store_ticket_drop_family(struct store_tx *tx, const char *family, struct err *e)
{
	if (!*family)
		return 0;
	return sql_run(tx,
		       sql_query(tx, e, "DELETE FROM ticket WHERE family=? AND family<>''", "t",
				 family),
		       e);
}

int
store_ticket_drop_of(struct store_tx *tx, const char *oid, const char *kind, struct err *e)
{
	return sql_run(tx,
		       sql_query(tx, e, "DELETE FROM ticket WHERE oid=? AND oid<>'' AND kind=?",
				 "tt", oid, kind),
		       e);
}

int
store_ticket_prune(struct store_tx *tx, int64_t now_us, size_t limit, struct err *e)
{
	return sql_run(tx,
		       sql_query(tx, e,
				 "DELETE FROM ticket WHERE rowid IN"
				 " (SELECT rowid FROM ticket WHERE until_us<=? LIMIT ?)",
				 "ii", now_us, (int64_t)limit),
		       e);
}
