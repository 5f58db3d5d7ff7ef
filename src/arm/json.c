/* Dotted paths into bodies, and ids as text. */
#include "arm/internal.h"

#include <strings.h>

json_t *
arm_at(const json_t *j, const char *path)
{
	while (j && *path) {
		size_t n = strcspn(path, ".");
		char key[128];

		if (n >= sizeof(key))
			return NULL;
		memcpy(key, path, n);
		key[n] = '\0';
		j = json_object_get(j, key);
		path += n + (path[n] == '.');
	}
	return (json_t *)j;
}

const char *
arm_str(const json_t *j, const char *path, const char *def)
{
	const char *s = json_string_value(arm_at(j, path));

	return s ? s : def;
}

int64_t
arm_int(const json_t *j, const char *path, int64_t def)
{
	const json_t *v = arm_at(j, path);
	double d = json_is_real(v) ? json_real_value(v) : 0;

	if (json_is_integer(v))
		return json_integer_value(v);
	return json_is_real(v) && d > -0x1p63 && d < 0x1p63 ? (int64_t)d : def;
}

bool
arm_bool(const json_t *j, const char *path, bool def)
{
	const json_t *v = arm_at(j, path);

	return json_is_boolean(v) ? json_is_true(v) : def;
}

void
arm_set(json_t *j, const char *path, json_t *value)
{
	for (;;) {
		size_t n = strcspn(path, ".");
		char key[128];
		json_t *next;

		assert(n < sizeof(key));
		memcpy(key, path, n);
		key[n] = '\0';
		if (!path[n]) {
			if (!value || json_is_null(value))
				json_object_del(j, key);
			else
				json_object_set(j, key, value);
			json_decref(value);
			return;
		}
		next = json_object_get(j, key);
		if (!json_is_object(next)) {
			next = json_object();
			json_object_set_new(j, key, next);
		}
		j = next;
		path += n + 1;
	}
}

const char *
arm_ref(const json_t *j, const char *path)
{
	const json_t *v = arm_at(j, path);

	if (json_is_object(v))
		v = json_object_get(v, "id");
	return json_string_value(v);
}

json_t *
arm_child(const json_t *body, const char *collection, const char *name)
{
	const json_t *list = json_object_get(json_object_get(body, "properties"), collection);
	json_t *one;
	size_t i;

	json_array_foreach(list, i, one) {
		const char *has = json_string_value(json_object_get(one, "name"));

		if (has && same(has, name))
			return one;
	}
	return NULL;
}

char *
arm_id_fold(struct arena *a, const char *id)
{
	size_t n = strlen(id), w = 0;
	char *out = arena_alloc(a, n + 2);

	if (*id != '/')
		out[w++] = '/';
	for (; *id; id++) {
		if (*id == '/' && w && out[w - 1] == '/')
			continue;
		out[w++] = *id >= 'A' && *id <= 'Z' ? (char)(*id + 32) : *id;
	}
	if (w > 1 && out[w - 1] == '/')
		w--;
	out[w] = '\0';
	return out;
}

bool
arm_id_equal(const char *x, const char *y)
{
	AUTO_ARENA a = { 0 };

	return x && y && !strcmp(arm_id_fold(&a, x), arm_id_fold(&a, y));
}

const char *
arm_id_segment(struct arena *a, const char *id, unsigned n_from_end)
{
	const char *end = id + strlen(id), *start;

	for (;;) {
		while (end > id && end[-1] == '/')
			end--;
		start = end;
		while (start > id && start[-1] != '/')
			start--;
		if (start == end || !n_from_end--)
			return arena_strndup(a, start, (size_t)(end - start));
		end = start;
	}
}

char *
arm_id_make(struct arena *a, const char *sub, const char *rg, const struct arm_type *t,
	    const char *name)
{
	if (t->flags & ARM_TENANT_LEVEL)
		return arena_printf(a, "/providers/%s/%s/%s", t->ns, t->name, name);
	return arena_printf(a, "/subscriptions/%s/resourceGroups/%s/providers/%s/%s/%s", sub, rg,
			    t->ns, t->name, name);
}
