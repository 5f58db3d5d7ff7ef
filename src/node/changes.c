#include "node/changes.h"

#include "node/poll.h"

#include <jansson.h>

void
changes_init(struct changes *c)
{
	c->wanted = node_config_create();
	c->applied = node_config_create();
	c->errors = json_object();
}

void
changes_fini(struct changes *c)
{
	node_config_destroy(c->wanted);
	node_config_destroy(c->applied);
	json_decref(c->errors);
}

void
changes_want(struct changes *c, struct node_config *wanted)
{
	node_config_destroy(c->wanted);
	c->wanted = wanted;
}

/* One pass: what is good so far, and what was said before it. */
struct pass {
	struct changes *c;
	struct node_config *good;
	json_t *before;
};

static void
note_error(struct pass *p, const struct node_object *o, const struct err *e)
{
	char name[NODE_KEY_MAX + 16];
	const char *old;

	snprintf(name, sizeof(name), "%s %s", node_kind_name(o->kind), o->key);
	old = json_string_value(json_object_get(json_object_get(p->before, name), "text"));
	if (!old || strcmp(old, e->text))
		p->c->failed(p->c->arg, o, e->text);
	json_object_set_new(p->c->errors, name,
			    poll_error(node_kind_name(o->kind), o->key, (int64_t)o->rev, e->text));
}

static void
on_bad(void *arg, const struct node_object *o, const struct err *e)
{
	struct pass *p = arg;

	note_error(p, o, e);
	node_config_remove(p->good, o->kind, o->key);
}

static void
on_change(void *arg, const struct node_object *from, const struct node_object *to)
{
	struct pass *p = arg;
	struct err e = { 0 };

	if (p->c->apply(p->c->arg, from, to, &e) == 0 || !to)
		return;
	note_error(p, to, &e);
	if (from)
		node_config_put(p->good, node_object_ref(from));
	else
		node_config_remove(p->good, to->kind, to->key);
}

bool
changes_apply(struct changes *c)
{
	struct pass p = { c, node_config_copy(c->wanted), c->errors };
	struct node_config *target;

	c->errors = json_object();
	node_config_check(c->wanted, on_bad, &p);
	target = node_config_copy(p.good);
	node_config_diff(c->applied, target, on_change, &p);
	node_config_destroy(c->applied);
	c->applied = p.good;
	node_config_destroy(target);
	json_decref(p.before);
	return json_object_size(c->errors) == 0;
}
