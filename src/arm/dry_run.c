/* Dry runs: a write is authorised, planned, validated, compiled and rolled back; the answer says what
 * it would have done. What the ordinary write refuses is refused in the same words.
 *
 *   { "dryRun": true,
 *     "answer": { "status": 201, "body": {..} },          what the write would answer
 *     "changes": [ { "resourceId", "changeType": "Create" | "Modify" | "Delete",
 *                    "before", "after", "delta": [ { "path", "propertyChangeType", "before", "after" } ] } ],
 *     "nodes": [ { "node", "isLive", "lastSeen", "objects": [ { "kind", "key", "changeType", "delta" } ],
 *                  "hiddenObjects": 0 } ],
 *     "hiddenChanges": 0,                                 of resources that the caller may not read
 *     "unknownFields": [ "properties.foo" ] }
 *
 * and what the providers add (arm_provider.foresee). Secrets are masked; that one differs is shown. */
#include "arm/internal.h"

enum { MAX_DELTA = 1000, MAX_UNKNOWN = 100 };

#define MASK "***"

int
dry_run_parse(struct ctx *c)
{
	const char *v = query_param(c->a, c->req->query, "dryRun");

	c->is_dry_run = c->req->is_dry_run;
	if (!v || c->req->method == ARM_GET || c->req->method == ARM_HEAD)
		return 0;
	if (same(v, "true"))
		c->is_dry_run = c->asks_nodes = true;
	else if (!same(v, "false"))
		return arm_refuse_at(&c->error, 400, "InvalidParameter", "dryRun",
				     "dryRun: '%s' must be true or false. Nothing was done.", v);
	return 0;
}

void
dry_run_object(struct arm_snapshot *s, const struct store_object *o, json_t *before, json_t *after)
{
	struct object_change *oc = NEW(s->arena, struct object_change);

	oc->c = (struct arm_object_change){
		.node = arena_strdup(s->arena, o->node),
		.kind = arena_strdup(s->arena, o->kind),
		.key = arena_strdup(s->arena, o->key),
		.owner = arena_strdup(s->arena, o->owner),
		.before = before,
		.after = after,
	};
	json_array_append_new(s->overlay->keep, before);
	json_array_append_new(s->overlay->keep, after);
	*s->overlay->last_change = oc;
	s->overlay->last_change = &oc->next;
}

/* --- differences ----------------------------------------------------------------------------- */

struct delta {
	struct arena *a;
	json_t *list;
};

static void delta_add(struct delta *d, const char *path, json_t *before, json_t *after);

static void
delta_objects(struct delta *d, const char *path, json_t *before, json_t *after)
{
	const char *key;
	json_t *v;

	json_object_foreach(before, key, v)
		delta_add(d, *path ? arena_printf(d->a, "%s.%s", path, key) : key, v,
			  json_object_get(after, key));
	json_object_foreach(after, key, v)
		if (!json_object_get(before, key))
			delta_add(d, *path ? arena_printf(d->a, "%s.%s", path, key) : key, NULL, v);
}

static json_t *
named(const json_t *list, const char *name)
{
	json_t *one;
	size_t i;

	json_array_foreach((json_t *)list, i, one)
		if (same(arm_str(one, "name", ""), name))
			return one;
	return NULL;
}

/* Every element an object with a name? Then an element is compared with its namesake. */
static bool
is_named(const json_t *list)
{
	json_t *one;
	size_t i;

	json_array_foreach((json_t *)list, i, one)
		if (!arm_str(one, "name", NULL))
			return false;
	return true;
}

static void
delta_lists(struct delta *d, const char *path, json_t *before, json_t *after)
{
	json_t *one;
	size_t i;

	json_array_foreach(before, i, one) {
		const char *name = arm_str(one, "name", "");

		delta_add(d, arena_printf(d->a, "%s[%s]", path, name), one, named(after, name));
	}
	json_array_foreach(after, i, one) {
		const char *name = arm_str(one, "name", "");

		if (!named(before, name))
			delta_add(d, arena_printf(d->a, "%s[%s]", path, name), NULL, one);
	}
}

static void
delta_add(struct delta *d, const char *path, json_t *before, json_t *after)
{
	if (json_equal(before, after) || json_array_size(d->list) >= MAX_DELTA)
		return;
	if (json_is_object(before) && json_is_object(after)) {
		delta_objects(d, path, before, after);
	} else if (json_is_array(before) && json_is_array(after) && is_named(before) &&
		   is_named(after)) {
		delta_lists(d, path, before, after);
	} else {
		json_t *one = json_pack("{s:s, s:s}", "path", path, "propertyChangeType",
					!before  ? "Create"
					: !after ? "Delete"
						 : "Modify");

		if (before)
			json_object_set(one, "before", before);
		if (after)
			json_object_set(one, "after", after);
		json_array_append_new(d->list, one);
	}
}

static json_t *
delta_of(struct arena *a, json_t *before, json_t *after)
{
	struct delta d = { a, json_array() };

	delta_objects(&d, "", before, after);
	return d.list;
}

static const char *
change_type(const void *before, const void *after)
{
	return !before ? "Create" : !after ? "Delete" : "Modify";
}

/* --- secrets --------------------------------------------------------------------------------- */

/* Texts become masks; one that is not what it was before says so. */
static void
mask(json_t *secrets, const json_t *before)
{
	const char *key;
	json_t *v;

	json_object_foreach(secrets, key, v) {
		const json_t *old = json_object_get(before, key);

		if (json_is_object(v))
			mask(v, old);
		else
			json_string_set(v, old && !json_equal(old, v) ? MASK " (changed)" : MASK);
	}
}

/* A copy of a body with masked secrets; a new reference, NULL for none. */
static json_t *
masked(const struct arm_resource *r, const struct arm_resource *before)
{
	json_t *out = r ? json_deep_copy(r->body) : NULL, *secrets, *old_body, *old;

	if (!out)
		return NULL;
	secrets = secrets_split(r->type, out);
	old_body = before ? json_deep_copy(before->body) : NULL;
	old = old_body ? secrets_split(r->type, old_body) : NULL;
	mask(secrets, old);
	secrets_join(r->type, out, secrets);
	json_decref(secrets);
	json_decref(old_body);
	json_decref(old);
	return out;
}

static const struct arm_provider *
provider_next(const struct arm_engine *en, size_t *at)
{
	const struct arm_provider *const *all = en->cfg.providers;

	return all ? all[(*at)++] : NULL;
}

static bool
is_object_secret(const struct arm_engine *en, const char *path)
{
	const struct arm_provider *p;
	size_t at = 0;

	while ((p = provider_next(en, &at)) != NULL)
		for (const char *const *w = p->object_secrets; w && *w; w++)
			if (same(*w, path))
				return true;
	return false;
}

static json_t *
object_delta(struct arm_snapshot *s, const struct arm_object_change *c)
{
	json_t *list = delta_of(s->arena, (json_t *)c->before, (json_t *)c->after), *one;
	size_t i;

	json_array_foreach(list, i, one) {
		if (!is_object_secret(s->engine, arm_str(one, "path", "")))
			continue;
		if (json_object_get(one, "before"))
			json_object_set_new(one, "before", json_string(MASK));
		if (json_object_get(one, "after"))
			json_object_set_new(one, "after", json_string(MASK " (changed)"));
	}
	return list;
}

/* --- the report ------------------------------------------------------------------------------ */

static bool
may_read(struct arm_snapshot *s, const struct arm_type *t, const char *fold)
{
	if (t == &arm_group_type)
		return arm_may(s, "Microsoft.Resources/subscriptions/resourceGroups/read", fold);
	return arm_may(s, arena_printf(s->arena, "%s/%s/read", t->ns, t->name), fold);
}

static json_t *
resource_json(struct arm_snapshot *s, const struct arm_resource_change *c)
{
	json_t *before = masked(c->before, NULL), *after = masked(c->after, c->before);
	json_t *one = json_pack(
		"{s:s, s:s, s:s, s:o*, s:o*}", "resourceId", (c->before ? c->before : c->after)->id,
		"type",
		arena_printf(s->arena, "%s/%s", (c->before ? c->before : c->after)->type->ns,
			     (c->before ? c->before : c->after)->type->name),
		"changeType", change_type(c->before, c->after), "before", before, "after", after);

	json_object_set_new(one, "delta",
			    before && after ? delta_of(s->arena, before, after) : json_array());
	return one;
}

/* What the transaction has changed, in its order. */
static size_t
resources_collect(struct arm_snapshot *s, struct arm_resource_change **ret)
{
	size_t n = 0;

	for (const struct entry *en = s->overlay->first; en; en = en->next)
		n++;
	*ret = NEW_ARRAY(s->arena, struct arm_resource_change, n + 1);
	n = 0;
	for (const struct entry *en = s->overlay->first; en; en = en->next) {
		bool is_old = en->exists && !en->is_created;

		if (en->is_removed && !is_old)
			continue;
		if (en->is_removed || en->is_loud)
			(*ret)[n++] =
				(struct arm_resource_change){ is_old ? &en->have : NULL,
							      en->is_removed ? NULL : &en->want };
	}
	return n;
}

static void
report_resources(struct arm_foresight *f)
{
	json_t *list = json_array();
	json_int_t hidden = 0;

	for (size_t i = 0; i < f->n_resources; i++) {
		const struct arm_resource_change *c = &f->resources[i];
		const struct arm_resource *r = c->before ? c->before : c->after;

		if (may_read(f->s, r->type, r->fold))
			json_array_append_new(list, resource_json(f->s, c));
		else
			hidden++;
	}
	json_object_set_new(f->report, "changes", list);
	json_object_set_new(f->report, "hiddenChanges", json_integer(hidden));
}

static json_t *
node_json(struct arm_snapshot *s, const char *name)
{
	struct store_node n;
	struct err e;
	char seen[32];
	bool is_known = store_node_get(s->tx, s->arena, name, &n, &e) == 1;
	json_t *one = json_pack("{s:s, s:b, s:[], s:i}", "node", name, "isLive",
				is_known && node_is_live(s->engine, &n, s->now_us), "objects",
				"hiddenObjects", 0);

	if (is_known && n.seen_us)
		json_object_set_new(one, "lastSeen", json_string(utc_format(n.seen_us, seen)));
	return one;
}

static json_t *
node_find(struct arm_snapshot *s, json_t *nodes, const char *name)
{
	json_t *one;
	size_t i;

	json_array_foreach(nodes, i, one)
		if (!strcmp(arm_str(one, "node", ""), name))
			return one;
	json_array_append_new(nodes, node_json(s, name));
	return json_array_get(nodes, i);
}

static void
report_nodes(struct arm_foresight *f)
{
	json_t *nodes = json_array();

	for (size_t i = 0; i < f->n_objects; i++) {
		const struct arm_object_change *c = &f->objects[i];
		json_t *node = node_find(f->s, nodes, c->node);

		if (!c->is_hidden)
			json_array_append_new(
				json_object_get(node, "objects"),
				json_pack("{s:s, s:s, s:s, s:o}", "kind", c->kind, "key", c->key,
					  "changeType", change_type(c->before, c->after), "delta",
					  c->before && c->after ? object_delta(f->s, c)
								: json_array()));
		else
			json_object_set_new(node, "hiddenObjects",
					    json_integer(arm_int(node, "hiddenObjects", 0) + 1));
	}
	json_object_set_new(f->report, "nodes", nodes);
}

/* --- fields that nobody knows ----------------------------------------------------------------- */

struct unknown {
	struct arena *a;
	json_t *list;
};

static void unknown_element(struct unknown *u, const struct arm_type *t, const json_t *in,
			    const char *path);

static void
unknown_add(struct unknown *u, const char *path)
{
	if (json_array_size(u->list) < MAX_UNKNOWN)
		json_array_append_new(u->list, json_string(path));
}

static void
unknown_props(struct unknown *u, const struct arm_prop *props, const json_t *in, const char *path,
	      const char *const *also)
{
	const char *key;
	json_t *v, *one;
	size_t i;

	json_object_foreach((json_t *)in, key, v) {
		const struct arm_prop *p = prop_find(props, key);
		const char *at = *path ? arena_printf(u->a, "%s.%s", path, key) : key;
		const char *const *w = also;

		for (; w && *w && strcmp(*w, key); w++)
			;
		if (!p && (!w || !*w))
			unknown_add(u, at);
		if (!p)
			continue;
		if (p->kind == ARM_OBJECT && p->props)
			unknown_props(u, p->props, v, at, NULL);
		json_array_foreach(v, i, one) {
			const char *nth = arena_printf(u->a, "%s[%zu]", at, i);

			if (p->kind == ARM_LIST && p->props)
				unknown_props(u, p->props, one, nth, NULL);
			else if (p->kind == ARM_CHILDREN)
				unknown_element(u, p->child, one, nth);
		}
	}
}

/* provisioningState and what a GET shows beside are sent back by clients; nobody means them. */
static void
unknown_element(struct unknown *u, const struct arm_type *t, const json_t *in, const char *path)
{
	static const char *const always[] = { "id",   "name",       "type",       "etag",
					      "tags", "properties", "systemData", NULL };
	static const char *const tracked[] = { "id",         "name",     "type",
					       "etag",       "tags",     "properties",
					       "systemData", "location", NULL };
	static const char *const shown[] = { "provisioningState", NULL };
	const char *at = *path ? arena_printf(u->a, "%s.properties", path) : "properties";

	unknown_props(u, t->top, in, path, t->flags & ARM_TRACKED ? tracked : always);
	unknown_props(u, t->props, json_object_get(in, "properties"), at, shown);
}

static json_t *
unknown_fields(struct ctx *c)
{
	struct unknown u = { c->a, json_array() };
	const struct target *t = c->target;

	if (t && t->depth && c->body)
		unknown_element(&u, t->chain[t->depth - 1], c->body, "");
	return u.list;
}

/* --- the way --------------------------------------------------------------------------------- */

static bool
may_read_owner(struct arm_snapshot *s, const char *owner)
{
	const struct entry *en = entry_get(s, owner);

	return en->type && may_read(s, en->type, owner);
}

static void
objects_collect(struct arm_snapshot *s, struct arm_foresight *f)
{
	struct arm_object_change *all;

	for (const struct object_change *oc = s->overlay->changes; oc; oc = oc->next)
		f->n_objects++;
	f->objects = all = NEW_ARRAY(s->arena, struct arm_object_change, f->n_objects + 1);
	for (const struct object_change *oc = s->overlay->changes; oc; oc = oc->next) {
		*all = oc->c;
		all->is_hidden = !may_read_owner(s, all->owner);
		all++;
	}
}

/* Inside the transaction: what it has done becomes the answer. -ECANCELED: nothing of it stays. */
static int
report_make(struct ctx *c, struct arm_snapshot *s)
{
	struct arm_resource_change *resources;
	struct arm_foresight f = { .s = s };
	const struct arm_provider *p;
	size_t at = 0;

	if (c->call) /* it may be the second try */
		asks_release(c->call->asks);
	c->call = NEW(c->a, struct arm_call);
	c->call->s = s;
	c->call->deadline_ms = 4000;
	f.n_resources = resources_collect(s, &resources);
	f.resources = resources;
	f.call = c->asks_nodes ? c->call : NULL;
	objects_collect(s, &f);
	f.report = json_pack("{s:b, s:{s:i, s:o*}}", "dryRun", 1, "answer", "status",
			     c->resp.status, "body", TAKE(c->resp.body));
	report_resources(&f);
	report_nodes(&f);
	json_object_set_new(f.report, "unknownFields", unknown_fields(c));
	while ((p = provider_next(c->en, &at)) != NULL)
		if (p->foresee)
			p->foresee(&f);
	c->resp = (struct arm_response){ .status = 200, .body = f.report };
	return -ECANCELED;
}

static int
dry_run_answered(struct arm_call *call)
{
	const struct arm_provider *p;
	json_t *report = json_incref((json_t *)call->body);
	size_t at = 0;

	while ((p = provider_next(call->s->engine, &at)) != NULL)
		if (p->foreseen)
			p->foreseen(call->s->arena, report, call->answers, call->n_answers);
	call->result = report;
	return 0;
}

const struct arm_action dry_run_action = {
	.name = "dryRun",
	.method = ARM_GET,
	.answered = dry_run_answered,
};

int
dry_run_writing(struct ctx *c, int (*fn)(struct ctx *c, struct arm_snapshot *s))
{
	struct transaction t = { .c = c, .fn = fn, .dry_run = report_make, .is_write = true };
	int r = store_write(c->en->cfg.store, transaction_run, &t, &c->err);
	struct arm_engine *en = c->en;
	json_t *report;

	if (r != -ECANCELED)
		return r;
	if (!c->call->asks)
		return 0;
	r = waiting_check(c);
	if (r < 0) {
		asks_release(c->call->asks);
		return r;
	}
	report = TAKE(c->resp.body);
	c->call->body = report;
	r = pending_start(c, c->call, NULL);
	json_decref(report); /* it has its own; c may be gone */
	calls_expire(en);    /* there may be nobody to wait for */
	return r;
}
