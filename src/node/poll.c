#include "node/poll.h"

#include <jansson.h>

static const char *
text_of(const json_t *v, const char *member)
{
	const char *s = json_string_value(json_object_get(v, member));

	return s ? s : "";
}

/* The object of that name in c, NULL without one. */
static const struct node_object *
named(const struct node_config *c, const char *kind, const char *key)
{
	for (unsigned k = 0; k < NODE_KINDS; k++)
		if (!strcmp(kind, node_kind_name((enum node_kind)k)))
			return node_config_get(c, (enum node_kind)k, key);
	return NULL;
}

static json_t *
text_or(const char *text, const char *other)
{
	json_t *v = json_string(text);

	return v ? v : json_string(other);
}

struct json_t *
poll_error(const char *kind, const char *key, int64_t rev, const char *text)
{
	return json_pack("{sososIso}", "kind", text_or(kind, ""), "key", text_or(key, ""), "rev",
			 (json_int_t)rev, "text",
			 text_or(text, "an error that names something that is not UTF-8"));
}

/* False: nobody can say which object it is. */
static bool
refuse(const json_t *v, const struct err *e, json_t *refused)
{
	const char *kind = text_of(v, "kind"), *key = text_of(v, "key");
	char name[NODE_KEY_MAX + 32];

	snprintf(name, sizeof(name), "%.20s %.*s", kind, NODE_KEY_MAX, key);
	json_object_set_new(refused, name,
			    poll_error(kind, key, json_integer_value(json_object_get(v, "rev")),
				       e->text));
	return *kind && *key;
}

static void
take(struct node_config *c, struct node_object *o, json_t *refused)
{
	char name[NODE_KEY_MAX + 32];

	snprintf(name, sizeof(name), "%s %s", node_kind_name(o->kind), o->key);
	json_object_del(refused, name);
	node_config_put(c, o);
}

struct node_config *
poll_merge(const struct node_config *now, const struct json_t *objects, bool is_snapshot,
	   struct json_t *refused)
{
	struct node_config *c = is_snapshot ? node_config_create() : node_config_copy(now);
	struct node_config_iter it = { 0 };
	const struct node_object *old;
	bool keeps_all = false;

	if (is_snapshot)
		json_object_clear(refused);
	for (size_t i = 0; i < json_array_size(objects); i++) {
		const json_t *v = json_array_get(objects, i);
		struct node_object *o;
		struct err e = { 0 };

		if (node_object_from_json(v, &o, &e) == 0) {
			take(c, o, refused);
			continue;
		}
		keeps_all |= !refuse(v, &e, refused);
		old = named(now, text_of(v, "kind"), text_of(v, "key"));
		if (old && is_snapshot)
			node_config_put(c, node_object_ref(old));
	}
	/* one of no name may be any of those that seem to have gone */
	while (is_snapshot && keeps_all && (old = node_config_next(now, &it)) != NULL)
		if (!node_config_get(c, old->kind, old->key))
			node_config_put(c, node_object_ref(old));
	return c;
}
