/* What other aggregates say about a resource, read from the references between them: a group's
 * subnets, a subnet's IP configurations. */
#include "network/types.h"

const char *
element_id(struct arm_snapshot *s, const struct arm_referrer *ref)
{
	const struct arm_resource *r = arm_get(s, ref->owner);

	if (!r || r->is_deleting)
		return NULL;
	if (text_equal(ref->from, ref->owner))
		return r->id;
	/* One level of children is what there is. */
	const struct arm_type *const *c = r->type->children;
	const char *collection = arm_id_segment(s->arena, ref->from, 1);
	const char *name = arm_id_segment(s->arena, ref->from, 0);

	while (c && *c && !text_equal((*c)->name, collection))
		c++;
	if (!c || !*c)
		return NULL;
	const json_t *element =
		arm_child(r->body, (*c)->collection ? (*c)->collection : (*c)->name, name);

	return element ? arena_printf(s->arena, "%s/%s/%s", r->id, (*c)->name,
				      arm_str(element, "name", ""))
		       : NULL;
}

json_t *
reverse_ids(struct arm_snapshot *s, const char *to, const char *kind)
{
	struct arm_referrer *refs;
	json_t *list = json_array();

	for (size_t i = 0, n = arm_referrers(s, to, false, kind, &refs); i < n; i++) {
		const char *id = element_id(s, &refs[i]);

		if (id)
			json_array_append_new(list, json_reference(id));
	}
	return list;
}

const char *
reverse_one(struct arm_snapshot *s, const char *to, const char *kind)
{
	struct arm_referrer *refs;

	return arm_referrers(s, to, false, kind, &refs) ? element_id(s, &refs[0]) : NULL;
}

void
reverse_show(struct arm_snapshot *s, const char *to, const char *kind, json_t *out,
	     const char *path)
{
	json_t *list = reverse_ids(s, to, kind);

	if (json_array_size(list))
		arm_set(out, path, list);
	else
		json_decref(list);
}

void
guid_ensure(struct arm_plan *p)
{
	if (!*arm_str(p->want->body, "properties.resourceGuid", ""))
		arm_set(p->want->body, "properties.resourceGuid", json_string(arm_new_guid(p)));
}
