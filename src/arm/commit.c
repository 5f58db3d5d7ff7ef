/* Writing what a plan has changed: node objects first (their revisions say whom to wait for), then
 * rows, references and secrets, then the operation. And settling: when the live nodes have reported,
 * Updating becomes Succeeded and Deleting rows go.
 *
 * An operation ends at its deadline also when a live node is behind. A Deleting row is then Gone: no
 * request finds it any more, but it keeps its id and its claims, and an operation of its own
 * (Lingering) lets it go when that node has reported or is not live any more.
 *
 *   Succeeded --put--> Updating --reported, deadline--> Succeeded
 *        '---delete--> Deleting --reported--> (no row)
 *                          '------deadline--> Gone --reported, or no longer live--> (no row) */
#include "arm/internal.h"

struct wait {
	const char *node;
	int64_t rev;
	struct wait *next;
};

static void
wait_add(struct arm_snapshot *s, struct wait **waits, const char *node, int64_t rev)
{
	for (struct wait *w = *waits; w; w = w->next)
		if (!strcmp(w->node, node)) {
			w->rev = MAX(w->rev, rev);
			return;
		}
	struct wait *w = NEW(s->arena, struct wait);

	*w = (struct wait){ arena_strdup(s->arena, node), rev, *waits };
	*waits = w;
}

/* --- node objects ---------------------------------------------------------------------------------- */

static int
compile_one(struct arm_snapshot *s, struct entry *en)
{
	const struct arm_resource *r = entry_now(en);

	if (!r || r->is_deleting || !en->type || !en->type->compile)
		return 0;
	s->overlay->emit_owner = en->fold;
	return en->type->compile(s, r);
}

static bool
is_emitted(const struct arm_overlay *o, const struct store_object *old)
{
	for (size_t i = 0; i < o->n_out; i++)
		if (!strcmp(o->out[i].node, old->node) && !strcmp(o->out[i].kind, old->kind) &&
		    !strcmp(o->out[i].key, old->key))
			return true;
	return false;
}

static int
tombstones_put(struct arm_snapshot *s, const char *owner, struct wait **waits, struct err *e)
{
	struct store_object *old;
	size_t n = 0;
	int r = store_object_of(s->tx, s->arena, owner, &old, &n, e);

	for (size_t i = 0; i < n && r >= 0; i++) {
		int64_t rev = 0;

		if (is_emitted(s->overlay, &old[i]))
			continue;
		if (s->overlay->is_dry)
			dry_run_object(s, &old[i], json_loads(old[i].body, JSON_DECODE_ANY, NULL),
				       NULL);
		old[i].body = NULL;
		r = store_object_put(s->tx, &old[i], &rev, e);
		if (rev)
			wait_add(s, waits, old[i].node, rev);
	}
	return r;
}

static int
object_put(struct arm_snapshot *s, const struct object_out *out, struct wait **waits, struct err *e)
{
	AUTO_FREE char *text =
		json_dumps(out->body, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
	struct store_object o = { out->node, out->kind, out->key, out->owner, text, 0 },
			    old = { 0 };
	int64_t rev = 0;
	int r = s->overlay->is_dry
			? store_object_get(s->tx, s->arena, o.node, o.kind, o.key, &old, e)
			: 0;

	if (r >= 0)
		r = store_object_put(s->tx, &o, &rev, e);
	if (rev && s->overlay->is_dry)
		dry_run_object(s, &o, old.body ? json_loads(old.body, JSON_DECODE_ANY, NULL) : NULL,
			       json_deep_copy(out->body));
	if (rev)
		wait_add(s, waits, out->node, rev);
	return r;
}

static bool
is_touched(const struct entry *en)
{
	return en->is_loud || en->is_removed || en->is_recompiled;
}

static int
objects_write(struct arm_snapshot *s, struct wait **waits, struct err *e)
{
	struct arm_overlay *o = s->overlay;
	int r = 0;

	for (struct entry *en = o->first; en && r == 0; en = en->next)
		if (is_touched(en))
			r = compile_one(s, en);
	for (struct entry *en = o->first; en && r == 0; en = en->next)
		if (is_touched(en))
			r = tombstones_put(s, en->fold, waits, e);
	for (size_t i = 0; i < o->n_out && r == 0; i++)
		r = object_put(s, &o->out[i], waits, e);
	return r;
}

/* --- rows --------------------------------------------------------------------------------------------- */

struct ref_list {
	struct arm_snapshot *s;
	struct store_ref *refs;
	size_t n, cap;
	const char *owner;
};

static void
ref_list_add(struct ref_list *l, const char *from, const char *to, const char *kind)
{
	if (l->n == l->cap) {
		l->cap = l->cap ? l->cap * 2 : 16;
		l->refs = mem_realloc(l->refs, l->cap * sizeof(*l->refs));
	}
	l->refs[l->n++] = (struct store_ref){ l->owner, from, to, kind };
}

static void
ref_list_fn(void *arg, const struct arm_prop *p, const char *from, const char *kind, const char *to)
{
	struct ref_list *l = arg;

	ref_list_add(l, from, to,
		     p->flags & ARM_LOOSE ? arena_printf(l->s->arena, "~%s", kind) : kind);
}

static int
refs_write(struct arm_snapshot *s, struct entry *en, struct err *e)
{
	struct ref_list l = { .s = s, .owner = en->fold };
	int r;

	refs_walk(s->arena, en->type, en->want.body, en->fold, ref_list_fn, &l);
	for (const struct added_ref *a = s->overlay->added; a; a = a->next)
		if (!strcmp(a->ref.owner, en->fold))
			ref_list_add(&l, a->ref.from, a->ref.to, a->ref.kind);
	r = store_ref_set(s->tx, en->fold, l.refs, l.n, e);
	free(l.refs);
	return r;
}

static int
secrets_write(struct arm_snapshot *s, struct entry *en, json_t *body, struct err *e)
{
	const struct type_entry *te =
		type_of_fold(s->engine, fold(s->arena, arena_printf(s->arena, "%s/%s", en->type->ns,
								    en->type->name)));
	json_t *secrets;
	char *text;
	int r;

	if (!te || !te->has_secrets)
		return 0;
	secrets = secrets_split(en->type, body);
	text = json_object_size(secrets) ? json_dumps(secrets, JSON_COMPACT) : NULL;
	r = text ? store_secret_put(s->tx, en->fold, "secrets", text, strlen(text), e)
		 : store_secret_drop(s->tx, en->fold, "secrets", e);
	if (text)
		mem_wipe(text, strlen(text));
	free(text);
	json_decref(secrets);
	return r;
}

static int
row_write(struct arm_snapshot *s, struct entry *en, enum store_state state, struct err *e)
{
	json_t *body = json_deep_copy(en->want.body);
	int r = secrets_write(s, en, body, e);
	AUTO_FREE char *text = json_dumps(body, JSON_COMPACT);
	AUTO_FREE char *hidden = json_dumps(en->want.hidden, JSON_COMPACT);
	const char *tenant_sub = fold(s->arena, en->want.sub);
	bool is_group = en->type == &arm_group_type;
	struct store_resource row = {
		.fold = en->fold,
		.id = en->want.id,
		.sub = tenant_sub,
		.rg = is_group ? "" : fold(s->arena, en->want.rg),
		.type = fold(s->arena,
			     arena_printf(s->arena, "%s/%s", en->type->ns, en->type->name)),
		.tenant = en->want.tenant,
		.etag = en->want.etag,
		.body = text,
		.hidden = hidden,
		.rev = en->want.rev,
		.state = state,
		.created_us = en->exists ? en->row.created_us : s->now_us,
		.changed_us = en->is_loud || !en->exists ? s->now_us : en->row.changed_us,
	};

	json_decref(body);
	if (r == 0)
		r = store_resource_put(s->tx, &row, e);
	return r < 0 ? r : refs_write(s, en, e);
}

static int
row_drop(struct arm_snapshot *s, const char *fold, struct err *e)
{
	int r = store_resource_delete(s->tx, fold, e);

	if (r == 0)
		r = store_ref_set(s->tx, fold, NULL, 0, e);
	if (r == 0)
		r = store_claim_drop_all(s->tx, fold, e);
	if (r == 0)
		r = store_lock_drop(s->tx, fold, e);
	return r < 0 ? r : store_secret_drop(s->tx, fold, "secrets", e);
}

static int
row_mark_deleting(struct arm_snapshot *s, struct entry *en, struct err *e)
{
	struct store_resource row = en->row;
	int r;

	row.state = STORE_DELETING;
	row.rev++;
	r = store_resource_put(s->tx, &row, e);
	return r < 0 ? r : store_ref_set(s->tx, en->fold, NULL, 0, e);
}

/* --- operations ------------------------------------------------------------------------------------------ */

bool
node_is_live(const struct arm_engine *en, const struct store_node *n, int64_t now_us)
{
	return !n->revoked && n->seen_us && now_us - n->seen_us < (int64_t)en->cfg.live_ms * 1000;
}

bool
arm_node_is_live(struct arm_snapshot *s, const char *node)
{
	struct store_node n = { 0 };
	struct err e;

	return store_node_seen(s->tx, node, &n.seen_us, &n.revoked, &e) == 1 &&
	       node_is_live(s->engine, &n, s->now_us);
}

/* Is there a live node that has not reported what it was given? names: those behind. */
static bool
waits_hold(struct arm_engine *en, struct store_tx *tx, struct arena *a, const json_t *waits,
	   int64_t now_us, json_t *behind)
{
	bool holds = false;
	const char *node;
	json_t *rev;
	struct err e;

	json_object_foreach((json_t *)waits, node, rev) {
		struct store_node n;

		if (store_node_get(tx, a, node, &n, &e) != 1 ||
		    n.applied >= json_integer_value(rev))
			continue;
		if (behind)
			json_array_append_new(behind, json_string(node));
		holds |= node_is_live(en, &n, now_us);
	}
	return holds;
}

static int
settled_hook(struct arm_snapshot *s, struct entry *en)
{
	struct arm_plan p = { .s = s, .verb = ARM_VERB_SETTLE, .type = en->type };

	if (!en->type->settled)
		return 0;
	s->overlay->plan_fold = en->fold;
	p.have = en->exists ? &en->have : NULL;
	p.want = en->is_removed || en->have.is_deleting ? NULL : &en->want;
	return en->type->settled(&p);
}

static json_t *
entries_json(struct arm_snapshot *s)
{
	json_t *list = json_array();

	for (struct entry *en = s->overlay->first; en; en = en->next)
		if (en->is_removed && en->exists)
			json_array_append_new(list, json_pack("[s,I]", en->fold,
							      (json_int_t)en->row.rev + 1));
		else if (en->is_loud && !en->is_removed)
			json_array_append_new(list, json_pack("[s,I]", en->fold,
							      (json_int_t)en->want.rev));
	return list;
}

static int
rows_write(struct arm_snapshot *s, bool is_waiting, struct err *e)
{
	int r = 0;

	for (struct entry *en = s->overlay->first; en && r == 0; en = en->next) {
		enum store_state state = en->is_loud ? is_waiting ? STORE_UPDATING : STORE_SUCCEEDED
						     : en->row.state;

		if (en->is_done)
			continue;
		if (en->is_removed) {
			if (en->exists)
				r = is_waiting ? row_mark_deleting(s, en, e)
					       : row_drop(s, en->fold, e);
			if (r == 0 && en->exists)
				r = stream_resource(s, &en->have,
						    is_waiting ? "Deleting" : "Deleted");
			en->is_done = true;
		} else if (en->is_edited) {
			r = row_write(s, en, state, e);
			en->want.is_updating = state == STORE_UPDATING;
			if (r == 0 && en->is_loud)
				r = stream_resource(s, &en->want,
						    en->want.is_updating ? "Updating"
									 : "Succeeded");
		}
	}
	return r;
}

/* Hooks of all that is settled at once; what they change is written without waiting. */
static int
settle_now(struct arm_snapshot *s, struct err *e)
{
	int r = 0;

	for (struct entry *en = s->overlay->first; en && r == 0; en = en->next)
		if ((en->is_loud || en->is_removed) && en->type)
			r = settled_hook(s, en);
	return r;
}

/* A name and the claims under it are free again when the nodes have let go. */
static int
names_check(struct arm_snapshot *s)
{
	for (const struct entry *en = s->overlay->first; en; en = en->next) {
		if (!en->is_created || en->is_removed || !en->exists || en->row.state != STORE_GONE)
			continue;
		s->error->retry_after = 10;
		return arm_refuse(s->error, 409, "AnotherOperationInProgress",
				  "'%s' was deleted, but not all nodes have confirmed that yet. "
				  "Try again shortly.",
				  en->want.name);
	}
	return 0;
}

int
overlay_commit(struct arm_snapshot *s, const char *sub, const char *target_fold, const char *what,
	       const json_t *detail, struct outcome *ret, struct err *e)
{
	struct arm_engine *en = s->engine;
	json_t *waits = json_object(), *d = detail ? json_deep_copy(detail) : json_object();
	struct wait *list = NULL;
	char *text;
	int r = names_check(s);

	if (r == 0)
		r = objects_write(s, &list, e);

	*ret = (struct outcome){ .operation = guid_new(s->arena), .is_settled = true };
	for (struct wait *w = list; w; w = w->next)
		json_object_set_new(waits, w->node, json_integer(w->rev));
	ret->is_settled = !waits_hold(en, s->tx, s->arena, waits, s->now_us, NULL);
	if (r == 0 && ret->is_settled)
		r = settle_now(s, e);
	json_object_set_new(d, "touched", entries_json(s));
	if (r == 0)
		r = rows_write(s, !ret->is_settled, e);
	json_object_set(d, "waits", waits);
	text = json_dumps(d, JSON_COMPACT);
	if (r == 0) {
		struct store_operation op = {
			.id = ret->operation,
			.sub = sub,
			.target = target_fold ? target_fold : "",
			.what = what,
			.caller = s->caller ? s->caller->oid : "system",
			.detail = text,
			.result = ret->is_settled ? "{\"status\":\"Succeeded\"}" : NULL,
			.status = ret->is_settled ? STORE_OP_SUCCEEDED : STORE_OP_RUNNING,
			.created_us = s->now_us,
			.deadline_us = s->now_us + (int64_t)en->cfg.converge_ms * 1000,
			.finished_us = ret->is_settled ? s->now_us : 0,
		};

		r = store_operation_put(s->tx, &op, e);
		if (r == 0)
			r = stream_operation(s, &op);
	}
	free(text);
	if (r == 0)
		json_array_append(s->overlay->keep, waits); /* for notifications after the commit */
	json_decref(waits);
	json_decref(d);
	return r;
}

/* --- settling ---------------------------------------------------------------------------------------------- */

struct settle {
	struct arm_engine *en;
	struct arena arena;
	const char *ids[64];
	size_t n_ids;
	const char *id;
	int64_t now_us;
};

static bool
operation_is_due(struct settle *w, struct store_tx *tx, const struct store_operation *op)
{
	json_t *d = json_loads(op->detail, 0, NULL);
	bool holds = waits_hold(w->en, tx, &w->arena, json_object_get(d, "waits"), w->now_us, NULL);

	json_decref(d);
	return !holds || w->now_us >= op->deadline_us;
}

/* Operations of one status that can be settled now. */
static int
settle_find_in(struct settle *w, struct store_tx *tx, enum store_op_status status, struct err *e)
{
	struct store_operation *ops;
	size_t n = 0;
	int r = store_operation_list(tx, &w->arena, status, 1000, &ops, &n, e);

	for (size_t i = 0; i < n && w->n_ids < COUNT(w->ids); i++) {
		bool is_action = !strcmp(ops[i].what, "action");

		/* A question is answered in the memory of this controller; after a restart nobody
		 * will. */
		if (is_action ? w->now_us > ops[i].deadline_us + 5000000
			      : operation_is_due(w, tx, &ops[i]))
			w->ids[w->n_ids++] = ops[i].id;
	}
	return r;
}

static int
settle_find(struct store_tx *tx, void *arg, struct err *e)
{
	struct settle *w = arg;
	int r = settle_find_in(w, tx, STORE_OP_RUNNING, e);

	return r < 0 ? r : settle_find_in(w, tx, STORE_OP_LINGERING, e);
}

/* The row goes; or stays behind without being seen, and is noted in lingering. */
static int
settle_deleting(struct arm_snapshot *s, struct entry *en, json_t *lingering, struct err *e)
{
	int r = en->row.state == STORE_GONE ? 0 : stream_resource(s, &en->have, "Deleted");

	if (r < 0)
		return r;
	if (lingering && en->type != &arm_group_type) {
		en->row.state = STORE_GONE;
		en->is_done = true;
		json_array_append_new(lingering,
				      json_pack("[s,I]", en->fold, (json_int_t)en->row.rev));
		return store_resource_put(s->tx, &en->row, e);
	}
	r = settled_hook(s, en);
	en->is_removed = en->is_done = true;
	return r < 0 ? r : row_drop(s, en->fold, e);
}

/* lingering: NULL when the nodes have confirmed. */
static int
settle_touched(struct arm_snapshot *s, const json_t *touched, json_t *lingering, struct err *e)
{
	json_t *one;
	size_t i;
	int r = 0;

	json_array_foreach((json_t *)touched, i, one) {
		const char *f = json_string_value(json_array_get(one, 0));
		int64_t rev = json_integer_value(json_array_get(one, 1));
		struct entry *en = f ? entry_get(s, f) : NULL;

		if (r < 0)
			break;
		if (!en || !en->exists || en->row.rev != rev)
			continue; /* gone, or a later write goes on with it */
		if (en->row.state == STORE_DELETING || en->row.state == STORE_GONE) {
			entry_edit(s, en, false);
			r = settle_deleting(s, en, lingering, e);
		} else if (en->row.state == STORE_UPDATING) {
			en->row.state = STORE_SUCCEEDED;
			en->have.is_updating = false;
			entry_edit(s, en, false);
			r = settled_hook(s, en);
			if (r == 0)
				r = stream_resource(s, &en->want, "Succeeded");
		}
	}
	return r;
}

/* Goes on where an operation ended before the nodes had confirmed. */
static int
linger(struct arm_snapshot *s, const struct store_operation *of, const json_t *waits, json_t *rows,
       struct err *e)
{
	json_t *d = json_pack("{s:O, s:O}", "touched", rows, "waits", waits);
	AUTO_FREE char *text = json_dumps(d, JSON_COMPACT);
	const struct store_operation op = {
		.id = guid_new(s->arena),
		.sub = of->sub,
		.target = of->target,
		.what = "linger",
		.caller = "system",
		.detail = text,
		.status = STORE_OP_LINGERING,
		.created_us = s->now_us,
		.deadline_us = INT64_MAX,
	};

	json_decref(d);
	return store_operation_put(s->tx, &op, e);
}

static int
settle_changes(struct arm_snapshot *s, const struct store_operation *op, json_t *behind,
	       struct err *e)
{
	json_t *d = json_loads(op->detail, 0, NULL), *rows = json_array();
	const json_t *waits = json_object_get(d, "waits");
	bool holds = waits_hold(s->engine, s->tx, s->arena, waits, s->now_us, behind);
	int r = settle_touched(s, json_object_get(d, "touched"), holds ? rows : NULL, e);

	if (r == 0)
		r = rows_write(s, false, e);
	if (r == 0 && json_array_size(rows))
		r = linger(s, op, waits, rows, e);
	json_decref(rows);
	json_decref(d);
	return r;
}

static json_t *
settle_result(const struct store_operation *op, json_t *behind)
{
	json_t *result;

	if (op->status == STORE_OP_FAILED)
		return json_pack(
			"{s:s, s:{s:s, s:s}}", "status", "Failed", "error", "code",
			"OperationInterrupted", "message",
			"The controller was restarted before the nodes answered. Ask again.");
	result = json_pack("{s:s}", "status", "Succeeded");
	if (json_array_size(behind))
		json_object_set_new(result, "properties",
				    json_pack("{s:O}", "nodesBehind", behind));
	return result;
}

static int
settle_event(struct settle *w, struct store_tx *tx, const struct store_operation *op, struct err *e)
{
	json_t *d = json_loads(op->detail, 0, NULL);
	int r = event_settled(tx, d, w->now_us,
			      op->status == STORE_OP_SUCCEEDED ? "Succeeded" : "Failed", e);

	json_decref(d);
	return r;
}

static int
settle_one(struct store_tx *tx, void *arg, struct err *e)
{
	struct settle *w = arg;
	struct arm_error refusal = { .arena = &w->arena };
	AUTO_OVERLAY o;
	struct arm_snapshot s;
	struct store_operation op;
	json_t *behind, *result;
	AUTO_FREE char *text = NULL;
	int r;

	snapshot_init(&s, &o, w->en, tx, &w->arena, NULL, &refusal, w->now_us);
	r = store_operation_get(tx, &w->arena, w->id, &op, e);
	if (r <= 0 || (op.status != STORE_OP_RUNNING && op.status != STORE_OP_LINGERING))
		return r;
	behind = json_array();
	r = 0;
	op.status = strcmp(op.what, "action") ? STORE_OP_SUCCEEDED : STORE_OP_FAILED;
	op.finished_us = w->now_us;
	if (op.status == STORE_OP_SUCCEEDED)
		r = settle_changes(&s, &op, behind, e);
	result = settle_result(&op, behind);
	text = json_dumps(result, JSON_COMPACT);
	op.result = text;
	if (r == 0)
		r = store_operation_put(tx, &op, e);
	if (r == 0)
		r = stream_operation(&s, &op);
	if (r == 0)
		r = settle_event(w, tx, &op, e);
	json_decref(behind);
	json_decref(result);
	return r;
}

int
operations_settle(struct arm_engine *en)
{
	struct settle w = { .en = en, .now_us = utc_now_us() };
	struct err e = { 0 };
	int r = store_read(en->cfg.store, settle_find, &w, &e);

	for (size_t i = 0; i < w.n_ids && r >= 0; i++) {
		w.id = w.ids[i];
		r = store_write(en->cfg.store, settle_one, &w, &e);
	}
	arena_reset(&w.arena);
	return r;
}

static int
prune_run(struct store_tx *tx, void *arg, struct err *e)
{
	const int64_t now = utc_now_us(), hour = 3600000000;

	int r = store_prune(tx, now - 24 * hour, now - 90 * 24 * hour, e);

	if (r == 0)
		r = store_stream_prune(tx, now - 24 * hour, e);
	return r < 0 ? r : metrics_prune(tx, now, e);
}

/* Operations and what streams are told are kept a day, the activity log 90. */
int
operations_prune(struct arm_engine *en)
{
	struct err e;

	return store_write(en->cfg.store, prune_run, NULL, &e);
}
