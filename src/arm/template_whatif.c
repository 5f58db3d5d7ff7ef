/* What a deployment would do: its steps, in their order, as real requests in one transaction that is
 * rolled back at the end. So a reference() to something that the same template makes has its value,
 * and what would be refused is refused here, in the same words. Nested deployments are gone into. */
#include "arm/template.h"

#define MASK "***"

enum { MAX_LEVELS = 8, MAX_TRIED = TEMPLATE_MAX_RESOURCES /* at all levels */ };

struct what_if {
	struct ctx *c;
	const struct deployment_order *order;
	json_t *changes; /* NULL: only whether it works */
	json_t *named;   /* fold -> true: what any level names */
	json_t *secrets; /* texts and numbers in secure parameters, of all levels so far */
	bool worked;
	unsigned n_tried;
	/* Of all levels: the store's one writer waits meanwhile. */
	struct template_budget budget;
};

/* --- differences --------------------------------------------------------------------------------- */

static json_t *delta_objects(struct arena *a, const char *path, const json_t *before,
			     const json_t *after);
static void delta_add(struct arena *a, json_t *list, const char *path, json_t *before,
		      json_t *after);

static json_t *
change_json(const char *path, const char *word, json_t *before, json_t *after)
{
	return json_pack("{s:s, s:s, s:O*, s:O*}", "path", path, "propertyChangeType", word,
			 "before", before, "after", after);
}

/* Elements by their place. */
static json_t *
delta_lists(struct arena *a, json_t *before, json_t *after)
{
	size_t n = MAX(json_array_size(before), json_array_size(after));
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++) {
		json_t *b = json_array_get(before, i), *f = json_array_get(after, i), *one;
		const char *path = arena_printf(a, "%zu", i);

		if (b && f && json_equal(b, f))
			continue;
		if (json_is_object(b) && json_is_object(f)) {
			one = change_json(path, "Modify", NULL, NULL);
			json_object_set_new(one, "children", delta_objects(a, "", b, f));
			json_array_append_new(list, one);
		} else {
			delta_add(a, list, path, b, f);
		}
	}
	return list;
}

static void
delta_add(struct arena *a, json_t *list, const char *path, json_t *before, json_t *after)
{
	json_t *one;

	if (before && after && json_equal(before, after))
		return;
	if (json_is_object(before) && json_is_object(after)) {
		one = delta_objects(a, path, before, after);
		json_array_extend(list, one);
		json_decref(one);
	} else if (json_is_array(before) && json_is_array(after)) {
		one = change_json(path, "Array", NULL, NULL);
		json_object_set_new(one, "children", delta_lists(a, before, after));
		json_array_append_new(list, one);
	} else {
		json_array_append_new(list, change_json(path,
							!before  ? "Create"
							: !after ? "Delete"
								 : "Modify",
							before, after));
	}
}

static json_t *
delta_objects(struct arena *a, const char *path, const json_t *before, const json_t *after)
{
	json_t *list = json_array(), *v;
	const char *key;

	json_object_foreach((json_t *)before, key, v)
		delta_add(a, list, *path ? arena_printf(a, "%s.%s", path, key) : key, v,
			  json_object_get(after, key));
	json_object_foreach((json_t *)after, key, v) {
		if (!json_object_get(before, key))
			delta_add(a, list, *path ? arena_printf(a, "%s.%s", path, key) : key, NULL,
				  v);
	}
	return list;
}

/* What a write changes by itself says nothing. */
static void
quiet(json_t *j)
{
	const char *key;
	json_t *v;
	size_t i;

	json_object_del(j, "etag");
	json_object_del(j, "provisioningState");
	json_object_foreach(j, key, v)
		quiet(v);
	json_array_foreach(j, i, v)
		quiet(v);
}

/* --- secrets ----------------------------------------------------------------------------------------- */

static void mask_element(const struct arm_type *t, json_t *j, const json_t *was);

/* As somebody may have meant it: in any case. */
static const struct arm_prop *
prop_meant(const struct arm_prop *props, const char *name)
{
	while (props && props->name && !same(props->name, name))
		props++;
	return props && props->name ? props : NULL;
}

static void
mask_props(const struct arm_prop *props, json_t *j, const json_t *was)
{
	const char *key;
	json_t *v, *one;
	size_t i;

	json_object_foreach(j, key, v) {
		const struct arm_prop *p = prop_meant(props, key);
		const json_t *old = p ? json_object_get(was, p->name) : NULL;

		if (p && p->flags & ARM_SECRET)
			json_object_set_new(
				j, key,
				json_string(old && !json_equal(old, v) ? MASK " (changed)" : MASK));
		else if (p && p->kind == ARM_OBJECT && p->props)
			mask_props(p->props, v, old);
		else if (p && p->kind == ARM_LIST && p->props)
			json_array_foreach(v, i, one)
				mask_props(p->props, one, json_array_get(old, i));
	}
}

static void
mask_children(const struct arm_type *t, json_t *props, const json_t *was)
{
	json_t *one;
	size_t i;

	for (const struct arm_type *const *c = t->children; c && *c; c++)
		json_array_foreach(template_member(props, type_collection(*c)), i, one)
			mask_element(*c, one,
				     json_array_get(json_object_get(was, type_collection(*c)), i));
}

/* By the type's table. was: as it is stored, or NULL. */
static void
mask_element(const struct arm_type *t, json_t *j, const json_t *was)
{
	json_t *props = template_member(j, "properties");
	const json_t *old = json_object_get(was, "properties");

	mask_props(t->top, j, was);
	mask_props(t->props, props, old);
	mask_children(t, props, old);
}

/* "NS/a/b": the type of b; NULL: none of ours. */
static const struct arm_type *
type_named(struct ctx *c, const char *name)
{
	const char *slash = strchr(name, '/');
	size_t n = slash ? (size_t)(slash - name) + 1 + strcspn(slash + 1, "/") : strlen(name);
	const struct type_entry *te = type_of_fold(c->en, fold(c->a, arena_strndup(c->a, name, n)));
	const struct arm_type *t = te ? te->type : NULL;

	for (name += n; t && *name; name += n) {
		const struct arm_type *const *child = t->children;
		const char *word;

		n = strcspn(++name, "/");
		word = arena_strndup(c->a, name, n);
		while (child && *child && !same((*child)->name, word))
			child++;
		t = child ? *child : NULL;
	}
	return t;
}

static void
secret_add(struct what_if *w, json_t *v)
{
	const char *key;
	json_t *one;
	size_t i;

	if (json_string_length(v) || json_is_integer(v))
		json_array_append(w->secrets, v);
	json_array_foreach(v, i, one)
		secret_add(w, one);
	json_object_foreach(v, key, one)
		secret_add(w, one);
}

static void
secrets_collect(struct what_if *w, const struct template *t)
{
	json_t *def;
	const char *name;

	json_object_foreach(json_object_get(t->doc, "parameters"), name, def) {
		if (template_is_secure(def))
			secret_add(w, json_object_get(t->parameters, fold(t->arena, name)));
	}
}

static bool
holds_secret(const struct what_if *w, const json_t *v)
{
	json_t *one;
	size_t i;

	json_array_foreach(w->secrets, i, one) {
		if (json_equal(one, v) || (json_is_string(one) && json_is_string(v) &&
					   strstr(json_string_value(v), json_string_value(one))))
			return true;
	}
	return false;
}

/* Whatever a secure parameter went into, whole or in part. False: that takes too many steps. */
static bool
mask_values(const struct what_if *w, struct template *t, json_t *j)
{
	const char *key;
	json_t *v;
	size_t i;

	json_object_foreach(j, key, v) {
		if (holds_secret(w, v))
			json_object_set_new(j, key, json_string(MASK));
		else if (!mask_values(w, t, v))
			return false;
	}
	json_array_foreach(j, i, v) {
		if (holds_secret(w, v))
			json_array_set_new(j, i, json_string(MASK));
		else if (!mask_values(w, t, v))
			return false;
	}
	return template_charge(t, json_array_size(w->secrets) * (1 + json_string_length(j) / 64));
}

static bool
mask(struct what_if *w, struct template *t, const struct template_step *s, json_t *before,
     json_t *after)
{
	const struct arm_type *type = type_named(w->c, s->type);

	if (type && after)
		mask_element(type, after, before);
	if (type && before)
		mask_element(type, before, NULL);
	return mask_values(w, t, before) && mask_values(w, t, after);
}

/* --- changes --------------------------------------------------------------------------------------- */

static json_t *
payload(const json_t *shown, const char *version)
{
	json_t *j = json_deep_copy(shown);

	quiet(j);
	if (version)
		json_object_set_new(j, "apiVersion", json_string(version));
	return j;
}

static json_t *
wished(const struct template_step *s, const json_t *body)
{
	json_t *j = json_pack("{s:s, s:s, s:s, s:s}", "apiVersion", s->version, "id", s->id, "name",
			      strrchr(s->name, '/') ? strrchr(s->name, '/') + 1 : s->name, "type",
			      s->type);

	json_object_update_new(j, json_deep_copy(body)); /* it is masked */
	return j;
}

static int
change_add(struct what_if *w, struct template *t, const struct template_step *s,
	   const struct template_answer *was, const struct template_answer *now, const json_t *body)
{
	const char *word = was->status == 404 ? "Create" : "Deploy";
	json_t *before = NULL, *after = NULL, *delta = NULL, *one;
	bool masked;

	if (!w->changes)
		return 0;
	if (was->status == 200 && now->body) {
		before = payload(was->body, s->version);
		after = payload(now->body, s->version);
	} else if (was->status == 404) {
		after = wished(s, body);
	}
	masked = mask(w, t, s, before, after);
	if (before) {
		delta = delta_objects(w->c->a, "", before, after);
		word = json_array_size(delta) ? "Modify" : "NoChange";
	}
	one = json_pack("{s:s, s:s}", "resourceId", s->id, "changeType", word);
	if (!w->order->ids_only) {
		if (before)
			json_object_set(one, "before", before);
		if (after)
			json_object_set(one, "after", after);
		if (json_array_size(delta))
			json_object_set(one, "delta", delta);
	}
	json_array_append_new(w->changes, one);
	json_decref(before);
	json_decref(after);
	json_decref(delta);
	return masked ? 0 : -EBADE;
}

/* What else is in the group: left alone, or deleted. Those that the caller may not read are not
 * shown. */
static int
others_add(struct what_if *w, struct store_tx *tx, const struct deployment_order *o)
{
	struct ctx *c = w->c;
	struct store_filter f = { .sub = fold(c->a, o->sub),
				  .rg = fold(c->a, o->rg),
				  .limit = 1000 };
	struct store_resource *rows;
	size_t n = 0;
	int r;

	do {
		r = store_resource_list(tx, c->a, &f, &rows, &n, &c->err);
		for (size_t i = 0; i < n && r >= 0; i++) {
			const struct type_entry *te = type_of_fold(c->en, rows[i].type);
			const char *type;
			json_t *one;

			f.after = rows[i].fold;
			if (!te || rows[i].state == STORE_GONE ||
			    json_object_get(w->named, rows[i].fold))
				continue;
			type = arena_printf(c->a, "%s/%s", te->type->ns, te->type->name);
			if (!may(c, tx, arena_printf(c->a, "%s/read", type), rows[i].fold))
				continue;
			one = json_pack("{s:s, s:s}", "resourceId", rows[i].id, "changeType",
					o->is_complete && !(te->type->flags & ARM_NO_DELETE)
						? "Delete"
						: "Ignore");
			if (!w->order->ids_only)
				json_object_set_new(one, "before",
						    json_pack("{s:s, s:s, s:s}", "id", rows[i].id,
							      "name",
							      arm_id_segment(c->a, rows[i].id, 0),
							      "type", type));
			json_array_append_new(w->changes, one);
		}
	} while (r >= 0 && n == f.limit);
	return r;
}

/* --- steps -------------------------------------------------------------------------------------------- */

static int
refused(struct what_if *w, const struct template_step *s, const struct template_answer *a)
{
	struct ctx *c = w->c;
	const char *code = arm_str(a->body, "error.code", "InternalServerError");
	json_t *one;
	size_t i;

	c->error = error_fresh(c->en, c->a);
	arm_error_add(&c->error, arena_strdup(c->a, code), s->id, "%s",
		      arm_str(a->body, "error.message", ""));
	if (arm_str(a->body, "error.target", NULL)) /* the field */
		arm_error_add(&c->error, arena_strdup(c->a, code),
			      arm_str(a->body, "error.target", NULL), "%s",
			      arm_str(a->body, "error.message", ""));
	json_array_foreach(arm_at(a->body, "error.details"), i, one)
		arm_error_add(&c->error, arena_strdup(c->a, arm_str(one, "code", "")),
			      arm_str(one, "target", NULL), "%s", arm_str(one, "message", ""));
	return arm_refuse(&c->error, a->status == 403 ? 403 : 400, "InvalidTemplateDeployment",
			  "The template deployment '%s' is not valid according to the validation "
			  "procedure: '%s' (%s) is refused: %s",
			  w->order->name, s->name, s->type,
			  arm_str(a->body, "error.message", code));
}

static int level_run(struct what_if *w, struct store_tx *tx, const struct deployment_order *o,
		     unsigned depth);

static int
nested_run(struct what_if *w, struct store_tx *tx, const struct template_step *s,
	   const json_t *body, unsigned depth)
{
	struct ctx *c = w->c;
	bool in_group = strcasestr(s->id, "/resourceGroups/") != NULL;
	const char *mode = arm_str(body, "properties.mode", "Incremental");
	const struct deployment_order o = {
		.id = s->id,
		.fold = s->fold,
		.sub = arm_id_segment(c->a, s->id, in_group ? 6 : 4),
		.rg = in_group ? arm_id_segment(c->a, s->id, 4) : NULL,
		.name = arm_id_segment(c->a, s->id, 0),
		.is_complete = same(mode, "Complete"),
		.location = arm_str(body, "location", NULL),
		.template = arm_at(body, "properties.template"),
		.parameters = arm_at(body, "properties.parameters"),
	};
	int r;

	if (depth == MAX_LEVELS)
		return arm_refuse(&c->error, 400, "InvalidTemplate",
				  "%s: deployments are nested deeper than %d levels.", s->place,
				  MAX_LEVELS);
	if (!json_is_object(o.template))
		return arm_refuse(&c->error, 400, "InvalidTemplate",
				  "%s.properties.template: must be a template, an object.",
				  s->place);
	r = authorise(c, tx, o.sub, DEPLOYMENT_TYPE "/write", o.id);
	return r < 0 ? r : level_run(w, tx, &o, depth + 1);
}

static int
step_try(struct what_if *w, struct store_tx *tx, struct template *t, struct template_caller *world,
	 const struct template_step *s, unsigned depth)
{
	json_t *body = template_step_body(t, s);
	AUTO_ANSWER was = { 0 };
	AUTO_ANSWER now = { 0 };

	if (!body)
		return -EBADE;
	if (++w->n_tried > MAX_TRIED)
		return arm_refuse(&w->c->error, 400, "InvalidTemplate",
				  "The template and what is nested in it have more than %d "
				  "resources.",
				  MAX_TRIED);
	json_object_set_new(w->named, s->fold, json_true());
	if (s->is_deployment)
		return nested_run(w, tx, s, body, depth);
	if (w->changes)
		template_request(world, ARM_GET, s->id, s->version, NULL, &was);
	template_request(world, ARM_PUT, s->id, s->version, body, &now);
	if (now.status >= 400)
		return refused(w, s, &now);
	/* Groups are shown by GET alone; so are what a later part of the write has set. */
	if (w->changes && was.status == 200) {
		template_answer_fini(&now);
		template_request(world, ARM_GET, s->id, s->version, NULL, &now);
	}
	return change_add(w, t, s, &was, &now, body);
}

/* In the order of their dependencies: there is one, the plan has checked that. */
static int
steps_try(struct what_if *w, struct store_tx *tx, struct template *t, struct template_caller *world,
	  const struct template_plan *plan, unsigned depth)
{
	bool *done = NEW_ARRAY(w->c->a, bool, plan->n + 1);
	size_t left = plan->n;
	int r = 0;

	while (left && r == 0)
		for (size_t i = 0; i < plan->n && r == 0; i++) {
			bool ready = !done[i];

			for (size_t k = 0; k < plan->steps[i].n_after && ready; k++)
				ready = done[plan->steps[i].after[k]];
			if (!ready)
				continue;
			r = step_try(w, tx, t, world, &plan->steps[i], depth);
			done[i] = true;
			left--;
		}
	return r;
}

static int
level_try(struct what_if *w, struct store_tx *tx, const struct deployment_order *o,
	  struct template *t, struct template_caller *world, unsigned depth)
{
	struct template_plan plan = { 0 };
	json_t *outputs;
	int r = template_parameters(t, o->parameters);

	if (r == 0)
		r = template_plan_make(t, &plan);
	if (r == 0)
		secrets_collect(w, t);
	if (r == 0)
		r = steps_try(w, tx, t, world, &plan, depth);
	if (r < 0)
		return r;
	/* A nested deployment is not there to be referred to. */
	for (size_t i = 0; i < plan.n; i++)
		if (plan.steps[i].is_deployment)
			t->is_planning = t->has_unknown = true;
	outputs = template_outputs(t);
	json_decref(outputs);
	if (!outputs)
		return -EBADE;
	return w->changes && o->rg && !depth ? others_add(w, tx, o) : 0;
}

static int
level_run(struct what_if *w, struct store_tx *tx, const struct deployment_order *o, unsigned depth)
{
	struct ctx *c = w->c;
	struct template_caller world = {
		.en = c->en,
		.caller = &c->caller,
		.within = tx,
		.correlation = c->correlation_id,
		.sub = o->sub,
		.rg = o->rg,
	};
	json_t *function = deployment_function(c->a, o);
	struct template_world tw = template_world_of(&world, function);
	struct template t;
	int r;

	template_init(&t, c->a, &c->error, o->template, &tw);
	t.budget = &w->budget;
	r = level_try(w, tx, o, &t, &world, depth);
	template_fini(&t);
	template_caller_fini(&world);
	json_decref(function);
	return r;
}

static int
what_if_run(struct store_tx *tx, void *arg, struct err *e)
{
	struct what_if *w = arg;
	int r;

	w->c->error = error_fresh(w->c->en, w->c->a);
	if (w->changes)
		json_array_clear(w->changes); /* it may be the second try */
	json_object_clear(w->named);
	json_array_clear(w->secrets);
	w->n_tried = 0;
	w->budget = (struct template_budget){ 0 };
	r = level_run(w, tx, w->order, 0);
	w->worked = r == 0;
	return r < 0 ? r : -ECANCELED; /* rolled back */
}

int
template_what_if(struct ctx *c, const struct deployment_order *o, json_t *changes)
{
	struct what_if w = { .c = c,
			     .order = o,
			     .changes = changes,
			     .named = json_object(),
			     .secrets = json_array() };
	int r = c->req->within ? what_if_run(c->req->within, &w, &c->err)
			       : store_write(c->en->cfg.store, what_if_run, &w, &c->err);

	json_decref(w.named);
	json_decref(w.secrets);
	return w.worked ? 0 : r;
}
