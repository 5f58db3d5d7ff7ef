/* Operations and events, and what is pruned by age. */
#include "store/sqlite.h"

#define OP_COLS \
	"id, sub, target, what, caller, detail, result, status, rev, created_us, deadline_us, finished_us"

static void
operation_row(struct arena *a, sqlite3_stmt *st, struct store_operation *op)
{
	*op = (struct store_operation){
		.id = sql_text(a, st, 0),
		.sub = sql_text(a, st, 1),
		.target = sql_text(a, st, 2),
		.what = sql_text(a, st, 3),
		.caller = sql_text(a, st, 4),
		.detail = sql_text(a, st, 5),
		.result = sql_text(a, st, 6),
		.status = (enum store_op_status)sqlite3_column_int(st, 7),
		.rev = sqlite3_column_int64(st, 8),
		.created_us = sqlite3_column_int64(st, 9),
		.deadline_us = sqlite3_column_int64(st, 10),
		.finished_us = sqlite3_column_int64(st, 11),
	};
}

int
store_operation_put(struct store_tx *tx, const struct store_operation *op, struct err *e)
{
	return sql_run(tx,
		       sql_query(tx, e,
				 "INSERT OR REPLACE INTO operation(" OP_COLS
				 ") VALUES(?,?,?,?,?,?,?,?,?,?,?,?)",
				 "tttttttiiiii", op->id, op->sub, op->target, op->what, op->caller,
				 op->detail, op->result, (int64_t)op->status, op->rev,
				 op->created_us, op->deadline_us, op->finished_us),
		       e);
}

int
store_operation_get(struct store_tx *tx, struct arena *a, const char *id,
		    struct store_operation *ret, struct err *e)
{
	sqlite3_stmt *st =
		sql_query(tx, e, "SELECT " OP_COLS " FROM operation WHERE id=?", "t", id);
	int r = sql_step(tx, st, e);

	if (r <= 0)
		return r;
	operation_row(a, st, ret);
	sql_finish(tx, st);
	return 1;
}

int
store_operation_list(struct store_tx *tx, struct arena *a, enum store_op_status status,
		     size_t limit, struct store_operation **ret, size_t *n, struct err *e)
{
	struct sql_rows rows = { .a = a, .size = sizeof(**ret) };
	sqlite3_stmt *st = sql_query(tx, e,
				     "SELECT " OP_COLS " FROM operation INDEXED BY operation_open"
				     " WHERE status=? ORDER BY created_us LIMIT ?",
				     "ii", (int64_t)status, (int64_t)limit);
	int r;

	while ((r = sql_step(tx, st, e)) > 0)
		operation_row(a, st, sql_rows_add(&rows));
	*ret = (struct store_operation *)rows.p;
	*n = rows.n;
	return r;
}

/* Tombstones that their node has applied go; older cursors then get a snapshot. */
static int
tombstones_prune(struct store_tx *tx, struct err *e)
{
	int r = sql_run(
		tx,
		sql_query(
			tx, e,
			"UPDATE node_counter SET floor=max(floor, coalesce((SELECT max(o.rev)"
			" FROM node_object o JOIN node n ON n.name=o.node WHERE"
			" o.node=node_counter.node AND o.sealed IS NULL AND o.rev<=n.applied), 0))",
			""),
		e);

	if (r < 0)
		return r;
	return sql_run(
		tx,
		sql_query(tx, e,
			  "DELETE FROM node_object WHERE sealed IS NULL AND rev<=(SELECT floor FROM"
			  " node_counter c WHERE c.node=node_object.node)",
			  ""),
		e);
}

static int
prune(struct store_tx *tx, int64_t operations_before_us, int64_t events_before_us, struct err *e)
{
	int r = sql_run(tx,
			sql_query(tx, e,
				  "DELETE FROM operation WHERE status IN (1,2) AND created_us<?",
				  "i", operations_before_us),
			e);

	if (r == 0)
		r = sql_run(tx,
			    sql_query(tx, e, "DELETE FROM event WHERE at_us<?", "i",
				      events_before_us),
			    e);
	return r < 0 ? r : tombstones_prune(tx, e);
}

int
store_prune(struct store_tx *tx, int64_t operations_before_us, int64_t events_before_us,
	    struct err *e)
{
	int r;

	tx->is_housekeeping = true;
	r = prune(tx, operations_before_us, events_before_us, e);
	tx->is_housekeeping = false;
	return r;
}

int
store_event_add(struct store_tx *tx, const struct store_event *ev, struct err *e)
{
	return sql_run(
		tx,
		sql_query(tx, e,
			  "INSERT INTO event(at_us,sub,rg,target,operation,status,caller,detail,"
			  "correlation) VALUES(?,?,?,?,?,?,?,?,?)",
			  "itttttttt", ev->at_us, ev->sub, ev->rg, ev->target, ev->operation,
			  ev->status, ev->caller, ev->detail, sql_or_empty(ev->correlation)),
		e);
}

#define EVENT_SELECT \
	"SELECT seq,at_us,sub,rg,target,operation,status,caller,detail,correlation FROM event" \
	" INDEXED BY "
#define EVENT_TAIL " AND seq<? ORDER BY seq DESC LIMIT ?"

int
store_event_list(struct store_tx *tx, struct arena *a, const struct store_event_filter *f,
		 struct store_event **ret, size_t *n, struct err *e)
{
	struct sql_rows rows = { .a = a, .size = sizeof(**ret) };
	int64_t before = f->before_seq ? f->before_seq : INT64_MAX, limit = (int64_t)f->limit;
	sqlite3_stmt *st;
	int r;

	if (f->target)
		st = sql_query(tx, e,
			       EVENT_SELECT "event_target WHERE sub=? AND target=?" EVENT_TAIL,
			       "ttii", f->sub, f->target, before, limit);
	else if (f->correlation)
		st = sql_query(tx, e,
			       EVENT_SELECT "event_correlation WHERE sub=? AND correlation=?"
					    " AND correlation<>''" EVENT_TAIL,
			       "ttii", f->sub, f->correlation, before, limit);
	else if (f->rg)
		st = sql_query(tx, e, EVENT_SELECT "event_rg WHERE sub=? AND rg=?" EVENT_TAIL,
			       "ttii", f->sub, f->rg, before, limit);
	else
		st = sql_query(tx, e, EVENT_SELECT "event_sub WHERE sub=?" EVENT_TAIL, "tii",
			       f->sub, before, limit);
	while ((r = sql_step(tx, st, e)) > 0) {
		struct store_event *ev = sql_rows_add(&rows);

		*ev = (struct store_event){
			.seq = sqlite3_column_int64(st, 0),
			.at_us = sqlite3_column_int64(st, 1),
			.sub = sql_text(a, st, 2),
			.rg = sql_text(a, st, 3),
			.target = sql_text(a, st, 4),
			.operation = sql_text(a, st, 5),
			.status = sql_text(a, st, 6),
			.caller = sql_text(a, st, 7),
			.detail = sql_text(a, st, 8),
			.correlation = sql_text(a, st, 9),
		};
	}
	*ret = (struct store_event *)rows.p;
	*n = rows.n;
	return r;
}

int
store_event_before(struct store_tx *tx, int64_t at_us, int64_t *ret_seq, struct err *e)
{
	sqlite3_stmt *st = sql_query(tx, e,
				     "SELECT seq FROM event INDEXED BY event_at WHERE at_us<?"
				     " ORDER BY at_us DESC LIMIT 1",
				     "i", at_us);
	int r = sql_step(tx, st, e);

	*ret_seq = r > 0 ? sqlite3_column_int64(st, 0) : 0;
	if (r > 0)
		sql_finish(tx, st);
	return MIN(r, 0);
}
