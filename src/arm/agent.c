/* What agents are told and tell: objects after a cursor, reports, readings. */
#include "arm/internal.h"

enum { POLL_OBJECTS = 1000, MAX_READINGS = 10000 };

struct poll {
	struct arm_engine *en;
	const char *node, *cursor;
	json_t *out;
	bool is_news;
};

static json_t *
object_json(const struct store_object *o)
{
	json_t *j = json_pack("{s:s, s:s, s:I}", "kind", o->kind, "key", o->key, "rev",
			      (json_int_t)o->rev);

	if (o->body)
		json_object_set_new(j, "body", json_loads(o->body, JSON_DECODE_ANY, NULL));
	else
		json_object_set_new(j, "deleted", json_true());
	return j;
}

int64_t
arm_cursor_rev(const struct arm_engine *en, const char *cursor)
{
	const char *epoch = store_epoch(en->cfg.store);
	size_t n = strlen(epoch);
	char *end;
	long long v;

	if (!cursor || strncmp(cursor, epoch, n) || cursor[n] != '.' || !cursor[n + 1])
		return -1;
	errno = 0;
	v = strtoll(cursor + n + 1, &end, 10);
	return errno || *end || v < 0 ? -1 : v;
}

static int
snapshot_read(struct store_tx *tx, struct arena *a, const char *node, json_t *objects,
	      struct err *e)
{
	const char *kind = NULL, *key = NULL;
	struct store_object *list;
	size_t n = POLL_OBJECTS;
	int r = 0;

	while (n == POLL_OBJECTS && r == 0) {
		r = store_object_snapshot(tx, a, node, kind, key, POLL_OBJECTS, &list, &n, e);
		for (size_t i = 0; i < n && r == 0; i++)
			json_array_append_new(objects, object_json(&list[i]));
		if (n) {
			kind = list[n - 1].kind;
			key = list[n - 1].key;
		}
	}
	return r;
}

static int
poll_run(struct store_tx *tx, void *arg, struct err *e)
{
	struct poll *p = arg;
	AUTO_ARENA a = { 0 };
	int64_t from = arm_cursor_rev(p->en, p->cursor), rev, floor;
	json_t *objects = json_array();
	struct store_object *list;
	size_t n = 0;
	int r = store_node_rev(tx, p->node, &rev, &floor, e);
	bool full = from < floor || from < 0 || from > rev;

	if (r == 0 && full) {
		r = snapshot_read(tx, &a, p->node, objects, e);
	} else if (r == 0) {
		r = store_object_since(tx, &a, p->node, from, POLL_OBJECTS, &list, &n, e);
		for (size_t i = 0; i < n && r == 0; i++)
			json_array_append_new(objects, object_json(&list[i]));
		if (n == POLL_OBJECTS)
			rev = list[n - 1].rev;
	}
	p->is_news = full || n;
	p->out = json_pack("{s:s, s:b, s:o}", "cursor",
			   arena_printf(&a, "%s.%lld", store_epoch(p->en->cfg.store),
					(long long)rev),
			   "snapshot", full, "objects", objects);
	return r;
}

struct seen {
	struct arm_engine *en;
	const char *node;
	const json_t *report; /* NULL: a poll */
	bool is_needed;
};

static int
seen_look(struct store_tx *tx, void *arg, struct err *e)
{
	struct seen *w = arg;
	AUTO_ARENA a = { 0 };
	struct store_node n;
	int r = store_node_get(tx, &a, w->node, &n, e);

	w->is_needed = r == 1 && utc_now_us() - n.seen_us > (int64_t)w->en->cfg.live_ms * 1000 / 6;
	return r < 0 ? r : 0;
}

/* What the providers make of a new state. */
static int
reported(struct seen *w, struct store_tx *tx, struct arena *a, const char *report)
{
	json_t *old = json_loads(report ? report : "{}", 0, NULL);
	const json_t *before = json_object_get(old, "state");
	const json_t *after = json_object_get(w->report, "state");
	struct arm_error refusal = { .arena = a };
	AUTO_OVERLAY o;
	struct arm_snapshot s;
	int r = 0;

	snapshot_init(&s, &o, w->en, tx, a, NULL, &refusal, utc_now_us());
	for (const struct arm_provider *const *p = w->en->cfg.providers; p && *p; p++)
		if (r == 0 && (*p)->reported && !json_equal(before, after))
			r = (*p)->reported(&s, w->node, before, after);
	json_decref(old);
	return r;
}

static int
seen_run(struct store_tx *tx, void *arg, struct err *e)
{
	struct seen *w = arg;
	AUTO_ARENA a = { 0 };
	AUTO_FREE char *text = NULL;
	struct store_node n;
	int64_t applied;
	int r = store_node_get(tx, &a, w->node, &n, e);

	if (r <= 0)
		return r < 0 ? r : err_set(e, -ENOENT, "no node %s", w->node);
	r = w->report ? reported(w, tx, &a, n.report) : 0;
	if (r < 0)
		return r;
	n.seen_us = utc_now_us();
	if (w->report) {
		json_t *kept = json_pack("{s:O?, s:O?}", "errors",
					 json_object_get(w->report, "errors"), "state",
					 json_object_get(w->report, "state"));

		applied = arm_cursor_rev(w->en, arm_str(w->report, "applied", ""));
		if (applied >= 0)
			n.applied = applied;
		text = json_dumps(kept, JSON_COMPACT);
		n.report = text;
		json_decref(kept);
	}
	return store_node_put(tx, &n, e);
}

int
arm_agent_poll(struct arm_engine *en, const char *node, const char *cursor, json_t **ret,
	       bool *ret_is_news, struct err *e)
{
	struct poll p = { .en = en, .node = node, .cursor = cursor };
	struct seen w = { .en = en, .node = node };
	json_t *queries;
	int r = store_read(en->cfg.store, seen_look, &w, e);

	if (r == 0 && w.is_needed)
		r = store_write(en->cfg.store, seen_run, &w, e);
	if (r == 0)
		r = store_read(en->cfg.store, poll_run, &p, e);
	if (r < 0) {
		json_decref(p.out);
		return r;
	}
	queries = queries_take(en, node);
	*ret_is_news = p.is_news || json_array_size(queries);
	json_object_set_new(p.out, "queries", queries);
	*ret = p.out;
	return 0;
}

int
arm_agent_report(struct arm_engine *en, const char *node, const json_t *report, struct err *e)
{
	struct seen w = { .en = en, .node = node, .report = report };
	int r;

	if (!json_is_object(report))
		return err_set(e, -EINVAL, "a report is an object");
	r = store_write(en->cfg.store, seen_run, &w, e);
	if (r == 0)
		metrics_feed(en, node, json_object_get(report, "state"), NULL);
	if (r == 0)
		operations_settle(en);
	return r;
}

/* --- readings ---------------------------------------------------------------------------------------------- */

struct readings {
	const char *node;
	const json_t *list;
	json_t *acked;
};

static int
reading_one(struct store_tx *tx, const char *node, const json_t *one, struct err *e)
{
	AUTO_FREE char *text = json_dumps(one, JSON_COMPACT | JSON_SORT_KEYS);
	struct store_reading rd = {
		.node = node,
		.boot = arm_str(one, "boot", ""),
		.seq = (uint64_t)arm_int(one, "sequence", 0),
		.at_us = arm_int(one, "time", 0),
		.body = text,
	};
	bool is_new;

	if (!*rd.boot || strlen(rd.boot) > 64 || arm_int(one, "sequence", 0) < 1)
		return err_set(e, -EINVAL, "a reading has a boot and a sequence from 1 on");
	return store_reading_add(tx, &rd, &is_new, e);
}

static int
readings_run(struct store_tx *tx, void *arg, struct err *e)
{
	struct readings *w = arg;
	json_t *one;
	size_t i;
	int r = 0;

	json_array_foreach((json_t *)w->list, i, one) {
		const char *boot = arm_str(one, "boot", "");

		if (r == 0)
			r = reading_one(tx, w->node, one, e);
		if (r == 0) /* they come in order: what is stored up to the last is stored */
			json_object_update_new(w->acked,
					       json_pack("{s:s, s:I}", "boot", boot, "sequence",
							 (json_int_t)arm_int(one, "sequence", 0)));
	}
	return r;
}

int
arm_agent_readings(struct arm_engine *en, const char *node, const json_t *readings, json_t **ret,
		   struct err *e)
{
	struct readings w = { .node = node, .list = json_object_get(readings, "entries") };
	int r;

	if (!json_is_array(w.list) || json_array_size(w.list) > MAX_READINGS)
		return err_set(e, -EINVAL, "entries is an array of at most %d", MAX_READINGS);
	w.acked = json_object();
	r = store_write(en->cfg.store, readings_run, &w, e);
	if (r < 0) {
		json_decref(w.acked);
		return r;
	}
	metrics_feed(en, node, NULL, w.list);
	*ret = json_pack("{s:o}", "acknowledged", w.acked);
	return 0;
}

/* --- compiling anew --------------------------------------------------------------------------------------------- */

struct anew {
	struct arm_engine *en;
	bool dry;
	size_t n;
};

static int
anew_run(struct store_tx *tx, void *arg, struct err *e)
{
	struct anew *w = arg;
	AUTO_ARENA a = { 0 };
	struct arm_error refusal = { .arena = &a };
	AUTO_OVERLAY o;
	struct arm_snapshot s;
	struct outcome out;
	int r = 0;

	snapshot_init(&s, &o, w->en, tx, &a, NULL, &refusal, utc_now_us());
	for (size_t i = 0; i < w->en->n_types && r == 0; i++) {
		struct store_filter f = { .type = w->en->types[i].fold, .limit = 1000 };
		struct store_resource *rows;
		size_t n = f.limit;

		while (r == 0 && n == f.limit) {
			r = store_resource_list(tx, &a, &f, &rows, &n, e);
			for (size_t k = 0; k < n && r == 0; k++)
				entry_from_row(&s, &rows[k])->is_recompiled = true;
			if (n)
				f.after = rows[n - 1].fold;
		}
	}
	if (r == 0)
		r = overlay_commit(&s, "", NULL, "own", NULL, &out, e);
	w->n = r == 0 ? json_object_size(json_array_get(o.keep, 0)) : 0;
	return r == 0 && w->dry ? -ECANCELED : r;
}

int
arm_recompile_all(struct arm_engine *en, bool dry, size_t *ret_n, struct err *e)
{
	struct anew w = { .en = en, .dry = dry };
	int r = store_write(en->cfg.store, anew_run, &w, e);

	*ret_n = w.n;
	return r == -ECANCELED ? 0 : r;
}
