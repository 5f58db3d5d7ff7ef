/* Tags: the check of a tag set, {scope}/providers/Microsoft.Resources/tags/default, and a
 * subscription's own list of tag names. Tags of a resource are in its body, those of a subscription and
 * the names among the store's facts. */
#include "arm/internal.h"

#include <strings.h>

enum { MAX_TAGS = 50, MAX_TAG_NAMES = 100, MAX_TAG_VALUES = 100 };

/* --- a tag set -------------------------------------------------------------------------------------- */

static const char *
tag_wrong(const char *key, const json_t *v)
{
	size_t n = key ? strlen(key) : 0;

	if (!n || n > 512)
		return "a name has 1 to 512 characters";
	if (strpbrk(key, "<>%&\\?/"))
		return "a name has none of <>%&\\?/";
	if (!json_is_string(v))
		return "a value is a string";
	return json_string_length(v) > 256 ? "a value has at most 256 characters" : NULL;
}

static bool
has_name(const json_t *tags, const char *name)
{
	const char *key;
	json_t *v;

	json_object_foreach((json_t *)tags, key, v)
		if (same(key, name))
			return true;
	return false;
}

json_t *
tags_merge(struct merge *m, const json_t *in)
{
	json_t *v, *out = json_object();
	const char *key, *why;

	if (!in || json_is_null(in))
		return out;
	if (!json_is_object(in) || json_object_size(in) > MAX_TAGS) {
		m->n_wrong++;
		arm_error_add(m->error, "InvalidTags", "tags",
			      "tags: must be an object of at most %d strings.", MAX_TAGS);
		return out;
	}
	json_object_foreach((json_t *)in, key, v) {
		why = tag_wrong(key, v);
		if (!why && has_name(out, key))
			why = "names differ in more than case";
		if (!why) {
			json_object_set(out, key, v);
			continue;
		}
		if (m->n_wrong++ < 20)
			arm_error_add(m->error, "InvalidTags", "tags", "tags.%.60s: %s.", key, why);
	}
	return out;
}

/* Sets in `have` what `more` says; a name that is there in another case is replaced. */
static void
tags_update(json_t *have, const json_t *more)
{
	const char *key, *old;
	json_t *v, *w;
	void *tmp;

	json_object_foreach((json_t *)more, key, v) {
		json_object_foreach_safe(have, tmp, old, w)
			if (same(old, key))
				json_object_del(have, old);
		json_object_set(have, key, v);
	}
}

static void
tags_remove(json_t *have, const json_t *which)
{
	const char *key, *old;
	json_t *v, *w;
	void *tmp;

	json_object_foreach((json_t *)which, key, v)
		json_object_foreach_safe(have, tmp, old, w)
			if (same(old, key) && (!json_string_length(v) || json_equal(v, w)))
				json_object_del(have, old);
}

/* --- tags/default ------------------------------------------------------------------------------------- */

#define TAGS_READ "Microsoft.Resources/tags/read"
#define TAGS_WRITE "Microsoft.Resources/tags/write"
#define TAGS_DELETE "Microsoft.Resources/tags/delete"

static const char *
fact_name(struct ctx *c, const char *what)
{
	const char *sub = c->scope ? c->scope->sub : c->path.seg[1];

	return arena_printf(c->a, "%s:%s", what, fold(c->a, sub));
}

/* A JSON fact; a new reference, an empty object when absent. */
static json_t *
fact_get(struct ctx *c, struct arm_snapshot *s, const char *name)
{
	const char *text;
	json_t *j = store_fact_get(s->tx, c->a, name, &text, &c->err) == 1
			    ? json_loads(text, 0, NULL)
			    : NULL;

	return j ? j : json_object();
}

static int
fact_put(struct ctx *c, struct arm_snapshot *s, const char *name, const json_t *value)
{
	AUTO_FREE char *text = json_dumps(value, JSON_COMPACT);

	return store_fact_put(s->tx, name, text, &c->err);
}

static int
begin(struct ctx *c, struct arm_snapshot *s, const char *action)
{
	const struct scope *at = c->scope;
	const struct arm_resource *r = NULL;
	int bad = authorise_unlocked(c, s->tx, at->sub, action, at->fold);

	if (bad == 0)
		bad = scope_check(c, s);
	if (bad < 0)
		return bad;
	if (at->is_resource)
		r = arm_get(s, at->shown);
	if (at->is_subscription || at->is_group ||
	    (r && r->type->flags & ARM_TRACKED && !strcmp(r->fold, at->fold)))
		return 0;
	return arm_refuse(&c->error, 400, "InvalidScope",
			  "'%s' has no tags: subscriptions, resource groups and resources with a "
			  "location have.",
			  at->fold);
}

/* A new reference. */
static json_t *
tags_now(struct ctx *c, struct arm_snapshot *s)
{
	const struct arm_resource *r;
	json_t *tags;

	if (c->scope->is_subscription)
		return fact_get(c, s, fact_name(c, "tags"));
	r = arm_get(s, c->scope->shown);
	tags = r ? json_object_get(r->body, "tags") : NULL;
	return tags ? json_deep_copy(tags) : json_object();
}

static void
tags_answer(struct ctx *c, json_t *tags)
{
	c->resp.status = 200;
	c->resp.body = json_pack("{s:s, s:s, s:s, s:{s:O}}", "id",
				 arena_printf(c->a, "%s/providers/Microsoft.Resources/tags/default",
					      c->scope->shown),
				 "name", "default", "type", "Microsoft.Resources/tags",
				 "properties", "tags", tags);
}

static int
get_run(struct ctx *c, struct arm_snapshot *s)
{
	int r = begin(c, s, TAGS_READ);
	json_t *tags;

	if (r < 0)
		return r;
	tags = tags_now(c, s);
	tags_answer(c, tags);
	json_decref(tags);
	return 0;
}

static int
tags_store(struct ctx *c, struct arm_snapshot *s, json_t *tags, const char *action)
{
	const struct scope *at = c->scope;
	struct outcome out;
	struct entry *en;
	int r;

	if (at->is_subscription) {
		r = fact_put(c, s, fact_name(c, "tags"), tags);
	} else {
		en = entry_get(s, at->fold);
		if (en->have.is_deleting)
			return arm_refuse(&c->error, 409, "AnotherOperationInProgress",
					  "'%s' is being deleted.", en->have.name);
		entry_edit(s, en, true);
		json_object_set(en->want.body, "tags", tags);
		r = overlay_commit(s, fold(c->a, at->sub), en->fold, "put", NULL, &out, &c->err);
	}
	if (r == 0)
		r = event_add(c, s->tx, at->sub, at->rg, at->fold, action, "Succeeded");
	return r;
}

static const char *const operations[] = { "Merge", "Replace", "Delete", NULL };

static const char *
operation_of(struct ctx *c)
{
	const char *op = arm_str(c->body, "operation", NULL);

	if (c->req->method == ARM_PUT)
		return "Replace";
	for (const char *const *w = operations; op && *w; w++)
		if (same(*w, op))
			return *w;
	arm_refuse_at(&c->error, 400, "InvalidTagsPatch", "operation",
		      "operation: must be one of Merge, Replace, Delete.");
	return NULL;
}

static int
write_run(struct ctx *c, struct arm_snapshot *s)
{
	struct merge m = { c->a, &c->error, 0 };
	const char *op;
	json_t *sent, *tags;
	int r = begin(c, s, TAGS_WRITE);

	if (r == 0)
		r = lock_check(c, s->tx, c->scope->fold, LOCK_WRITE);
	if (r < 0)
		return r;
	op = operation_of(c);
	if (!op)
		return -EBADE;
	if (!json_is_object(arm_at(c->body, "properties.tags")))
		return arm_refuse_at(&c->error, 400, "InvalidRequestContent", "properties.tags",
				     "properties.tags: an object of tags is required.");
	sent = tags_merge(&m, arm_at(c->body, "properties.tags"));
	tags = strcmp(op, "Replace") ? tags_now(c, s) : json_object();
	r = merge_result(&m);
	if (r == 0 && !strcmp(op, "Delete"))
		tags_remove(tags, sent);
	else if (r == 0)
		tags_update(tags, sent);
	if (r == 0 && json_object_size(tags) > MAX_TAGS)
		r = arm_refuse_at(&c->error, 400, "InvalidTags", "properties.tags",
				  "properties.tags: there would be %zu tags; at most %d are "
				  "allowed.",
				  json_object_size(tags), MAX_TAGS);
	if (r == 0)
		r = tags_store(c, s, tags, TAGS_WRITE);
	if (r == 0)
		tags_answer(c, tags);
	json_decref(sent);
	json_decref(tags);
	return r;
}

static int
delete_run(struct ctx *c, struct arm_snapshot *s)
{
	json_t *none;
	int r = begin(c, s, TAGS_DELETE);

	if (r == 0)
		r = lock_check(c, s->tx, c->scope->fold, LOCK_WRITE);
	if (r < 0)
		return r;
	none = json_object();
	r = tags_store(c, s, none, TAGS_DELETE);
	json_decref(none);
	c->resp.status = 200;
	return r;
}

int
handle_tags(struct ctx *c)
{
	if (c->scope->n_seg != 1 || !same(c->scope->seg[0], "default") || !c->scope->sub)
		return arm_refuse(&c->error, 404, "NotFound",
				  "Tags are at "
				  "{scope}/providers/Microsoft.Resources/tags/default.");
	switch (c->req->method) {
	case ARM_GET:
		return reading(c, get_run);
	case ARM_PUT:
	case ARM_PATCH:
		return writing(c, write_run);
	case ARM_DELETE:
		return writing(c, delete_run);
	default:
		return arm_refuse(&c->error, 405, "MethodNotAllowed",
				  "GET, PUT, PATCH and DELETE are offered on tags.");
	}
}

/* --- SUB/tagNames[/name[/tagValues/value]] --------------------------------------------------------------- */

struct tag_name {
	const char *name, *value; /* as sent, or NULL */
	json_t *all;              /* {"name": ["value"]} */
	json_t *values;           /* of the name, or NULL; borrowed */
	const char *key;          /* the name as stored, or as sent */
	size_t at;                /* of the value */
	bool has_value;
};

static int
names_begin(struct ctx *c, struct arm_snapshot *s, const char *action, struct tag_name *t)
{
	const struct path *p = &c->path;
	const char *sub = arena_printf(c->a, "/subscriptions/%s", p->seg[1]), *key;
	json_t *v, *one;
	size_t i;
	int r = authorise_unlocked(c, s->tx, p->seg[1], action, sub);

	*t = (struct tag_name){ 0 };
	if (r == 0 && strcmp(action, TAGS_READ) != 0)
		r = lock_check(c, s->tx, arm_id_fold(c->a, sub), LOCK_WRITE);
	if (r != 0)
		return r;
	t->name = t->key = p->n > 3 ? p->seg[3] : NULL;
	t->value = p->n > 5 ? p->seg[5] : NULL;
	t->all = fact_get(c, s, fact_name(c, "tagnames"));
	json_object_foreach(t->all, key, v)
		if (t->name && same(key, t->name)) {
			t->key = key;
			t->values = v;
		}
	json_array_foreach(t->values, i, one)
		if (t->value && same(json_string_value(one), t->value)) {
			t->has_value = true;
			t->at = i;
		}
	return 0;
}

static json_t *
name_json(struct ctx *c, const char *name, const json_t *values)
{
	const char *id = arena_printf(c->a, "/subscriptions/%s/tagNames/%s", c->path.seg[1], name);
	json_t *list = json_array(), *one;
	size_t i;

	json_array_foreach((json_t *)values, i, one)
		json_array_append_new(list, json_pack("{s:s, s:O}", "id",
						      arena_printf(c->a, "%s/tagValues/%s", id,
								   json_string_value(one)),
						      "tagValue", one));
	return json_pack("{s:s, s:s, s:o}", "id", id, "tagName", name, "values", list);
}

static int
names_list_run(struct ctx *c, struct arm_snapshot *s)
{
	struct tag_name t;
	const char *key;
	json_t *v, *value;
	int r = names_begin(c, s, TAGS_READ, &t);

	if (r < 0)
		return r;
	value = json_array();
	json_object_foreach(t.all, key, v)
		json_array_append_new(value, name_json(c, key, v));
	json_decref(t.all);
	c->resp.status = 200;
	c->resp.body = json_pack("{s:o}", "value", value);
	return 0;
}

static int
name_put(struct ctx *c, struct arm_snapshot *s, struct tag_name *t)
{
	json_t *probe = json_string(t->value ? t->value : "");
	const char *why = tag_wrong(t->name, probe);
	bool is_new = t->value ? !t->has_value : !t->values;

	json_decref(probe);
	if (why)
		return arm_refuse(&c->error, 400, "InvalidTagName", "'%.100s': %s.", t->name, why);
	if (t->value && !t->values)
		return arm_refuse(&c->error, 404, "TagNotFound",
				  "There is no tag name '%.100s'; PUT it first.", t->name);
	if ((!t->values && json_object_size(t->all) >= MAX_TAG_NAMES) ||
	    (t->value && is_new && json_array_size(t->values) >= MAX_TAG_VALUES))
		return arm_refuse(&c->error, 409, "TagLimitReached",
				  "A subscription has at most %d tag names of %d values each.",
				  MAX_TAG_NAMES, MAX_TAG_VALUES);
	if (!t->values) {
		t->values = json_array();
		json_object_set_new(t->all, t->name, t->values);
	}
	if (t->value && is_new)
		json_array_append_new(t->values, json_string(t->value));
	c->resp.status = is_new ? 201 : 200;
	c->resp.body =
		t->value
			? json_pack("{s:s, s:s}", "id",
				    arena_printf(c->a, "/subscriptions/%s/tagNames/%s/tagValues/%s",
						 c->path.seg[1], t->key, t->value),
				    "tagValue", t->value)
			: name_json(c, t->key, t->values);
	return fact_put(c, s, fact_name(c, "tagnames"), t->all);
}

static int
name_delete(struct ctx *c, struct arm_snapshot *s, struct tag_name *t)
{
	c->resp.status = 200;
	if (t->value ? !t->has_value : !t->values)
		c->resp.status = 204;
	else if (t->value)
		json_array_remove(t->values, t->at);
	else if (json_array_size(t->values))
		return arm_refuse(&c->error, 409, "TagHasValues",
				  "The tag name '%.100s' still has %zu values; delete them first.",
				  t->name, json_array_size(t->values));
	else
		json_object_del(t->all, t->key);
	return fact_put(c, s, fact_name(c, "tagnames"), t->all);
}

static int
name_write_run(struct ctx *c, struct arm_snapshot *s)
{
	bool is_put = c->req->method == ARM_PUT;
	const char *action = is_put ? TAGS_WRITE : TAGS_DELETE;
	struct tag_name t;
	int r = names_begin(c, s, action, &t);

	if (r < 0)
		return r;
	r = is_put ? name_put(c, s, &t) : name_delete(c, s, &t);
	if (r == 0)
		r = event_add(c, s->tx, c->path.seg[1], NULL,
			      arm_id_fold(c->a,
					  arena_printf(c->a, "/subscriptions/%s", c->path.seg[1])),
			      action, "Succeeded");
	json_decref(t.all);
	return r;
}

int
handle_tag_names(struct ctx *c)
{
	const struct path *p = &c->path;
	bool is_name = p->n == 4 || (p->n == 6 && same(p->seg[4], "tagValues"));

	if (p->n == 3 && c->req->method == ARM_GET)
		return reading(c, names_list_run);
	if (is_name && (c->req->method == ARM_PUT || c->req->method == ARM_DELETE))
		return writing(c, name_write_run);
	return arm_refuse(&c->error, 405, "MethodNotAllowed",
			  "GET is offered on tagNames, PUT and DELETE on a name and on a value.");
}
