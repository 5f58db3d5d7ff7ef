/* How a resource is shown: id, name, type, etag and provisioningState at every level, secrets out,
 * then the type's own view. */
#include "arm/internal.h"

static bool
may_write(struct arm_snapshot *s, const char *type_name, const char *id)
{
	return arm_may(s, arena_printf(s->arena, "%s/write", type_name), id);
}

static void
props_hide(struct arm_snapshot *s, const struct arm_prop *p, json_t *at, const char *type_name,
	   const char *id)
{
	for (; p && p->name && at; p++) {
		json_t *v = json_object_get(at, p->name), *one;
		size_t i;

		if (!v)
			continue;
		if (p->flags & ARM_SECRET) {
			if (!(p->flags & ARM_SHOWN_TO_WRITERS) || !may_write(s, type_name, id))
				json_object_del(at, p->name);
		} else if (p->kind == ARM_OBJECT) {
			props_hide(s, p->props, v, type_name, id);
		} else if (p->kind == ARM_LIST && p->props) {
			json_array_foreach(v, i, one)
				props_hide(s, p->props, one, type_name, id);
		}
	}
}

static const char *
state_word(const struct arm_resource *r)
{
	return r->is_deleting ? "Deleting" : r->is_updating ? "Updating" : "Succeeded";
}

/* Names nested objects that have a name (ipConfigurations): their id and etag are part of ARM. */
static void
dress(struct arm_snapshot *s, const struct arm_resource *r, const struct arm_type *t,
      json_t *element, const char *id, const char *type_name)
{
	json_t *props = json_object_get(element, "properties"), *one;
	size_t i;

	if (!props) {
		props = json_object();
		json_object_set_new(element, "properties", props);
	}
	props_hide(s, t->top, element, type_name, id);
	props_hide(s, t->props, props, type_name, id);
	json_object_set_new(element, "id", json_string(id));
	json_object_set_new(element, "type", json_string(type_name));
	json_object_set_new(element, "etag",
			    json_string(arena_printf(s->arena, "W/\"%s\"", r->etag)));
	json_object_set_new(props, "provisioningState", json_string(state_word(r)));
	for (const struct arm_type *const *c = t->children; c && *c; c++) {
		const char *child_type = arena_printf(s->arena, "%s/%s", type_name, (*c)->name);
		json_t *list = json_object_get(props, type_collection(*c));

		if (!list) {
			list = json_array();
			json_object_set_new(props, type_collection(*c), list);
		}
		json_array_foreach(list, i, one)
			dress(s, r, *c, one,
			      arena_printf(s->arena, "%s/%s/%s", id, (*c)->name,
					   arm_str(one, "name", "")),
			      child_type);
	}
}

json_t *
view_resource(struct arm_snapshot *s, const struct arm_resource *r)
{
	json_t *out = json_deep_copy(r->body);

	json_object_set_new(out, "name", json_string(r->name));
	dress(s, r, r->type, out, r->id,
	      arena_printf(s->arena, "%s/%s", r->type->ns, r->type->name));
	if (r->type == &arm_group_type) /* no etag on groups */
		json_object_del(out, "etag");
	if (r->type->view)
		r->type->view(s, r, out);
	return out;
}

static json_t *
find(const struct arm_type *t, json_t *element, const char *fold_id, struct arena *a)
{
	json_t *props = json_object_get(element, "properties"), *one, *hit;
	size_t i;

	if (!strcmp(arm_id_fold(a, arm_str(element, "id", "")), fold_id))
		return element;
	for (const struct arm_type *const *c = t->children; c && *c; c++) {
		json_array_foreach(json_object_get(props, type_collection(*c)), i, one) {
			hit = find(*c, one, fold_id, a);
			if (hit)
				return hit;
		}
	}
	return NULL;
}

json_t *
view_element(struct arm_snapshot *s, const struct arm_resource *r, const char *fold_id)
{
	json_t *all = view_resource(s, r);
	json_t *hit = json_incref(find(r->type, all, fold_id, s->arena));

	json_decref(all);
	return hit;
}
