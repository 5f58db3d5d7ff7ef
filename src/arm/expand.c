/* $expand on a resource: "ipConfigurations/subnet" puts what the references along that path point at in
 * their place, for who may read it. Several paths are separated by commas; what there is not is left
 * alone, as Azure does. */
#include "arm/internal.h"

enum { MAX_EXPANDED = 200, MAX_PARTS = 6 };

struct expansion {
	struct ctx *c;
	struct arm_snapshot *s;
	unsigned n;
};

static void
put_in_place(struct expansion *x, json_t *ref)
{
	const char *id = json_string_value(json_object_get(ref, "id")), *fold_id;
	const struct arm_resource *r;
	json_t *full;

	if (!id || json_object_get(ref, "properties") || x->n++ >= MAX_EXPANDED)
		return;
	fold_id = arm_id_fold(x->c->a, id);
	if (!arm_get_element(x->s, fold_id, &r))
		return;
	full = view_element(x->s, r, fold_id);
	if (full && may(x->c, x->s->tx, arena_printf(x->c->a, "%s/read", arm_str(full, "type", "")),
			fold_id))
		json_object_update(ref, full);
	json_decref(full);
}

static void
walk(struct expansion *x, json_t *at, const char *const *part, size_t n)
{
	json_t *one, *props;
	size_t i;

	json_array_foreach(at, i, one)
		walk(x, one, part, n);
	if (!json_is_object(at))
		return;
	put_in_place(x, at);
	if (!n)
		return;
	props = json_object_get(at, "properties");
	one = json_object_get(props, *part);
	walk(x, one ? one : json_object_get(at, *part), part + 1, n - 1);
}

json_t *
expand(struct ctx *c, struct arm_snapshot *s, json_t *body)
{
	const char *p = query_param(c->a, c->req->query, "$expand");
	struct expansion x = { c, s, 0 };

	while (body && p && *p) {
		const char *part[MAX_PARTS];
		size_t n = 0, len = strcspn(p, ",");
		char *save = NULL, *path = arena_strndup(c->a, p, len);

		for (char *w = strtok_r(path, "/ ", &save); w && n < MAX_PARTS;
		     w = strtok_r(NULL, "/ ", &save))
			part[n++] = w;
		if (n)
			walk(&x, body, part, n);
		p += len + (p[len] == ',');
	}
	return body;
}
