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
			  "INSERT INTO event(at_us,sub,rg,target,operation,status,caller,detail)"
			  " VALUES(?,?,?,?,?,?,?,?)",
			  "ittttttt", ev->at_us, ev->sub, ev->rg, ev->target, ev->operation,
			  ev->status, ev->caller, ev->detail),
		e);
}

#define EVENT_SELECT \
	"SELECT seq,at_us,sub,rg,target,operation,status,caller,detail FROM event INDEXED BY "
#define EVENT_TAIL " AND seq<? ORDER BY seq DESC LIMIT ?"

int
store_event_list(struct store_tx *tx, struct arena *a, const char *sub, const char *rg,
		 const char *target, int64_t before_seq, size_t limit, struct store_event **ret,
		 size_t *n, struct err *e)
{
	struct sql_rows rows = { .a = a, .size = sizeof(**ret) };
	int64_t before = before_seq ? before_seq : INT64_MAX;
	sqlite3_stmt *st;
	int r;

	if (target)
		st = sql_query(tx, e,
			       EVENT_SELECT "event_target WHERE sub=? AND target=?" EVENT_TAIL,
			       "ttii", sub, target, before, (int64_t)limit);
	else if (rg)
		st = sql_query(tx, e, EVENT_SELECT "event_rg WHERE sub=? AND rg=?" EVENT_TAIL,
			       "ttii", sub, rg, before, (int64_t)limit);
	else
		st = sql_query(tx, e, EVENT_SELECT "event_sub WHERE sub=?" EVENT_TAIL, "tii", sub,
			       before, (int64_t)limit);
	while ((r = sql_step(tx, st, e)) > 0) {
		struct store_event *ev = sql_rows_add(&rows);

		ev->seq = sqlite3_column_int64(st, 0);
		ev->at_us = sqlite3_column_int64(st, 1);
		ev->sub = sql_text(a, st, 2);
		ev->rg = sql_text(a, st, 3);
		ev->target = sql_text(a, st, 4);
		ev->operation = sql_text(a, st, 5);
		ev->status = sql_text(a, st, 6);
		ev->caller = sql_text(a, st, 7);
		ev->detail = sql_text(a, st, 8);
	}
	*ret = (struct store_event *)rows.p;
	*n = rows.n;
	return r;
}
