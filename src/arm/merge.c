/* Bodies against tables: validation, merging of a PUT into what is there, secrets in and out,
 * references. Everything here is pure; errors are collected so that a caller sees all at once. */
#include "arm/internal.h"

#include <math.h>

static const int64_t text_cap = 4096, list_cap = 4096;

json_t *
arm_body_parse(struct arena *a, const void *p, size_t n, struct arm_error *e)
{
	const char *s = p;
	json_error_t why;
	unsigned depth = 0;
	bool in_text = false;
	json_t *j;

	if (n > MAX_BODY) {
		arm_refuse(e, 413, "RequestEntityTooLarge", "The body is larger than %d bytes.",
			   MAX_BODY);
		return NULL;
	}
	for (size_t i = 0; i < n; i++) {
		if (in_text) {
			if (s[i] == '\\')
				i++;
			else
				in_text = s[i] != '"';
		} else if (s[i] == '"') {
			in_text = true;
		} else if ((s[i] == '{' || s[i] == '[') && ++depth > MAX_DEPTH) {
			arm_refuse(e, 400, "InvalidRequestContent",
				   "The body is nested deeper than %d levels.", MAX_DEPTH);
			return NULL;
		} else if (s[i] == '}' || s[i] == ']') {
			depth -= depth > 0;
		}
	}
	j = json_loadb(p, n, JSON_REJECT_DUPLICATES, &why);
	if (!j) {
		arm_refuse(e, 400, "InvalidRequestContent",
			   "The request content was invalid and could not be deserialized: '%s' "
			   "(line %d, column %d).",
			   why.text, why.line, why.column);
		return NULL;
	}
	if (!json_is_object(j)) {
		json_decref(j);
		arm_refuse(e, 400, "InvalidRequestContent",
			   "The request content must be a JSON object.");
		return NULL;
	}
	return j;
}

const struct arm_prop *
prop_find(const struct arm_prop *props, const char *name)
{
	for (; props && props->name; props++)
		if (!strcmp(props->name, name))
			return props;
	return NULL;
}

const char *
type_collection(const struct arm_type *t)
{
	return t->collection ? t->collection : t->name;
}

/* What was sent, short enough to quote. */
static const char *
quote(struct merge *m, const json_t *v)
{
	AUTO_FREE char *text = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT);
	size_t n = text ? strlen(text) : 0;

	while (n > 80 && (text[n - 1] & 0xc0) == 0x80) /* not inside a character */
		n--;
	if (n > 80)
		return arena_printf(m->arena, "%.77s...", text);
	return arena_strdup(m->arena, text ? text : "?");
}

#define WRONG(m, code, path, ...) \
	do { \
		if ((m)->n_wrong++ < 20) \
			arm_error_add((m)->error, code, path, __VA_ARGS__); \
	} while (0)

int
merge_result(struct merge *m)
{
	const struct arm_error_detail *d = m->error->details;

	if (!m->n_wrong)
		return 0;
	if (m->n_wrong == 1) {
		m->error->details = NULL;
		return arm_refuse_at(m->error, 400, d->code, d->target, "%s", d->message);
	}
	return arm_refuse_at(m->error, 400, d->code, d->target, "%u values are not valid. %s",
			     m->n_wrong, d->message);
}

static json_t *merge_props(struct merge *m, const struct arm_prop *props, const json_t *in,
			   const json_t *have, const char *path);

static void
wrong_type(struct merge *m, const char *path, const json_t *in, const char *what)
{
	WRONG(m, "InvalidRequestFormat", path, "%s: %s must be %s.", path, quote(m, in), what);
}

static json_t *
merge_string(struct merge *m, const struct arm_prop *p, const json_t *in, const char *path)
{
	int64_t max = p->min || p->max ? p->max : text_cap;
	struct err why = { 0 };
	const char *s = json_string_value(in);
	int64_t n = s ? (int64_t)json_string_length(in) : 0;

	if (!s) {
		wrong_type(m, path, in, "a string");
		return NULL;
	}
	for (const char *const *w = p->words; w && *w; w++)
		if (same(*w, s))
			return json_string(*w);
	if (p->words) {
		AUTO_BUF all = { 0 };

		for (const char *const *w = p->words; *w; w++)
			buf_printf(&all, "%s%s", w == p->words ? "" : ", ", *w);
		WRONG(m, "InvalidRequestFormat", path, "%s: %s must be one of %s.", path,
		      quote(m, in), buf_str(&all));
		return NULL;
	}
	if (p->flags & ARM_SECRET) { /* never quoted */
		if (n > max || n < p->min || (n && p->check && p->check(s, &why) < 0)) {
			WRONG(m, "InvalidParameter", path, "%s: the value %s.", path,
			      why.text[0] ? why.text : "has a length that is not allowed");
			return NULL;
		}
		return json_string(s);
	}
	if (n < p->min || n > max) {
		WRONG(m, "InvalidParameter", path, "%s: %s must be %lld to %lld bytes long.", path,
		      quote(m, in), (long long)p->min, (long long)max);
		return NULL;
	}
	if (p->check && p->check(s, &why) < 0) {
		WRONG(m, "InvalidParameter", path, "%s: %s %s.", path, quote(m, in), why.text);
		return NULL;
	}
	if (p->flags & ARM_UNIQUE_FOLD)
		return json_string(fold(m->arena, s));
	return json_string(s);
}

static json_t *
merge_number(struct merge *m, const struct arm_prop *p, const json_t *in, const char *path)
{
	bool bounded = p->min || p->max;
	double v = json_number_value(in);

	if (!json_is_number(in) || !isfinite(v) ||
	    (p->kind == ARM_INT && (v != floor(v) || fabs(v) > 9007199254740992.0))) {
		wrong_type(m, path, in, p->kind == ARM_INT ? "a whole number" : "a number");
		return NULL;
	}
	if (bounded && (v < (double)p->min || v > (double)p->max)) {
		WRONG(m, "InvalidParameter", path, "%s: %s must be from %lld to %lld.", path,
		      quote(m, in), (long long)p->min, (long long)p->max);
		return NULL;
	}
	if (p->kind == ARM_INT)
		return json_integer(json_is_integer(in) ? json_integer_value(in) : (json_int_t)v);
	return json_real(v);
}

static json_t *
merge_ref(struct merge *m, const struct arm_prop *p, const json_t *in, const char *path)
{
	const char *id = json_string_value(json_object_get(in, "id"));
	AUTO_ARENA a = { 0 };
	struct path seg;
	struct arm_error ignore = { .arena = &a };

	if (!json_is_object(in)) {
		wrong_type(m, path, in, "an object with an id");
		return NULL;
	}
	if (!id) {
		WRONG(m, "MissingJsonReferenceId", path, "%s: the reference has no id.", path);
		return NULL;
	}
	if (*id != '/' || strlen(id) > 2048 || path_parse(&a, id, &seg, &ignore) < 0 || seg.n < 4) {
		WRONG(m, "InvalidJsonReferenceFormat", path, "%s: %s is not a resource id.", path,
		      quote(m, json_object_get(in, "id")));
		return NULL;
	}
	if (p->ref_type) {
		/* .../providers/NS/type/name[/type/name]: compare the type words. */
		AUTO_BUF type = { 0 };
		size_t i = seg.n;

		while (i > 0 && !same(seg.seg[i - 1], "providers"))
			i--;
		if (i < seg.n)
			buf_printf(&type, "%s", seg.seg[i]);
		for (size_t k = i + 1; k + 1 < seg.n; k += 2)
			buf_printf(&type, "/%s", seg.seg[k]);
		if (!i || (seg.n - i) % 2 == 0 || !same(buf_str(&type), p->ref_type)) {
			WRONG(m, "InvalidJsonReferenceFormat", path,
			      "%s: %s is not the id of a %s.", path,
			      quote(m, json_object_get(in, "id")), p->ref_type);
			return NULL;
		}
	}
	return json_pack("{s:s}", "id", id);
}

static const json_t *
by_name(const json_t *list, const char *name)
{
	json_t *one;
	size_t i;

	json_array_foreach((json_t *)list, i, one) {
		const char *has = json_string_value(json_object_get(one, "name"));

		if (has && name && same(has, name))
			return one;
	}
	return NULL;
}

static json_t *merge_value(struct merge *m, const struct arm_prop *p, const json_t *in,
			   const json_t *have, const char *path);

static json_t *
merge_list(struct merge *m, const struct arm_prop *p, const json_t *in, const json_t *have,
	   const char *path)
{
	int64_t max = p->min || p->max ? p->max : list_cap;
	struct arm_prop item = *p;
	json_t *out, *one;
	size_t i;

	if (!json_is_array(in)) {
		wrong_type(m, path, in, "an array");
		return NULL;
	}
	if ((int64_t)json_array_size(in) < p->min || (int64_t)json_array_size(in) > max) {
		WRONG(m, "InvalidParameter", path, "%s: %zu items; must be %lld to %lld.", path,
		      json_array_size(in), (long long)p->min, (long long)max);
		return NULL;
	}
	item.kind = p->item;
	item.min = item.max = 0;
	item.flags = 0;
	out = json_array();
	json_array_foreach((json_t *)in, i, one) {
		const char *name = json_string_value(json_object_get(one, "name"));
		const char *at = arena_printf(m->arena, "%s[%zu]", path, i);
		json_t *v = merge_value(m, &item, one, by_name(have, name), at);

		if (v && name && item.kind == ARM_OBJECT && by_name(out, name))
			WRONG(m, "DuplicateResourceName", at, "%s: the name %s is given twice.", at,
			      quote(m, json_object_get(one, "name")));
		if (v && name && item.kind == ARM_OBJECT && !json_object_get(v, "name"))
			json_object_set(v, "name", json_object_get(one, "name"));
		if (v)
			json_array_append_new(out, v);
	}
	return out;
}

static json_t *
merge_map(struct merge *m, const json_t *in, const char *path)
{
	const char *key;
	json_t *v;

	if (!json_is_object(in)) {
		wrong_type(m, path, in, "an object of strings");
		return NULL;
	}
	json_object_foreach((json_t *)in, key, v) {
		if (!json_is_string(v))
			wrong_type(m, arena_printf(m->arena, "%s.%s", path, key), v, "a string");
	}
	return json_copy((json_t *)in);
}

static json_t *
merge_children(struct merge *m, const struct arm_prop *p, const json_t *in, const json_t *have,
	       const char *path)
{
	json_t *out = p->flags & ARM_KEEP && have ? json_copy((json_t *)have) : json_array(), *one;
	json_t *seen = json_array();
	size_t i;

	if (!json_is_array(in)) {
		wrong_type(m, path, in, "an array");
		in = NULL;
	}
	if (json_array_size(in) > (size_t)(p->max ? p->max : list_cap)) {
		WRONG(m, "InvalidParameter", path, "%s: %zu items are too many.", path,
		      json_array_size(in));
		in = NULL;
	}
	json_array_foreach((json_t *)in, i, one) {
		const char *name = json_string_value(json_object_get(one, "name"));
		const char *at = arena_printf(m->arena, "%s[%zu]", path, i);
		const json_t *old = by_name(have, name);
		json_t *v;

		if (!json_is_object(one)) {
			wrong_type(m, at, one, "an object");
			continue;
		}
		if (!name || !name_is_valid(p->child, name)) {
			WRONG(m, "InvalidResourceName", at, "%s: %s is not a valid name for a %s.",
			      at, name ? quote(m, json_object_get(one, "name")) : "nothing",
			      p->child->name);
			continue;
		}
		if (by_name(seen, name)) {
			WRONG(m, "DuplicateResourceName", at, "%s: the name '%s' is given twice.",
			      at, name);
			continue;
		}
		json_array_append(seen, one);
		v = merge_element(m, p->child, one, old, at);
		if (!v)
			continue;
		json_object_set_new(v, "name",
				    old ? json_incref(json_object_get(old, "name"))
					: json_string(name));
		for (size_t k = 0; k < json_array_size(out); k++)
			if (same(arm_str(json_array_get(out, k), "name", ""), name)) {
				json_array_set_new(out, k, v);
				v = NULL;
				break;
			}
		if (v)
			json_array_append_new(out, v);
	}
	json_decref(seen);
	return out;
}

static json_t *
merge_value(struct merge *m, const struct arm_prop *p, const json_t *in, const json_t *have,
	    const char *path)
{
	switch (p->kind) {
	case ARM_STRING:
		return merge_string(m, p, in, path);
	case ARM_INT:
	case ARM_NUMBER:
		return merge_number(m, p, in, path);
	case ARM_BOOL:
		if (json_is_boolean(in))
			return json_boolean(json_is_true(in));
		wrong_type(m, path, in, "true or false");
		return NULL;
	case ARM_OBJECT:
		if (json_is_object(in))
			return merge_props(m, p->props, in, have, path);
		wrong_type(m, path, in, "an object");
		return NULL;
	case ARM_LIST:
		return merge_list(m, p, in, have, path);
	case ARM_MAP:
		return merge_map(m, in, path);
	case ARM_REF:
		return merge_ref(m, p, in, path);
	case ARM_CHILDREN:
		return merge_children(m, p, in, have, path);
	case ARM_ANY:
		break;
	}
	return json_deep_copy(in);
}

static json_t *
merge_default(const struct arm_prop *p)
{
	return p->def                    ? json_loads(p->def, JSON_DECODE_ANY, NULL)
	       : p->kind == ARM_CHILDREN ? json_array()
					 : NULL;
}

static bool
ref_is_same(const json_t *x, const json_t *y)
{
	return arm_id_equal(json_string_value(json_object_get(x, "id")),
			    json_string_value(json_object_get(y, "id")));
}

static json_t *
merge_prop(struct merge *m, const struct arm_prop *p, const json_t *in, const json_t *have,
	   const char *path)
{
	bool keeps = p->flags & (ARM_KEEP | ARM_SECRET);
	bool stays = !in && have &&
		     (keeps || p->kind == ARM_CHILDREN || (p->flags & ARM_FIXED && !p->def));
	json_t *v;

	if (p->flags & ARM_READ_ONLY || stays)
		v = json_incref((json_t *)have);
	else if (in && json_is_null(in)) /* says so: gone, or back to the default */
		v = p->kind == ARM_CHILDREN && keeps ? json_incref((json_t *)have)
						     : merge_default(p);
	else if (in && p->flags & ARM_SECRET && !json_string_length(in) && json_is_string(in))
		v = NULL;
	else if (in)
		v = merge_value(m, p, in, have, path);
	else if (p->kind == ARM_OBJECT && p->props && (have || p->def)) /* its kept parts stay */
		v = merge_props(m, p->props, NULL, have, path);
	else
		v = merge_default(p);

	if (!v && p->kind == ARM_CHILDREN && p->flags & ARM_READ_ONLY)
		v = json_array();
	if (!v && p->flags & ARM_REQUIRED && (!in || json_is_null(in)))
		WRONG(m, "MissingRequiredProperty", path, "%s: is required.", path);
	if (v && have && p->flags & ARM_FIXED && !json_equal(v, have) &&
	    !(p->kind == ARM_REF && ref_is_same(v, have)) &&
	    !(p->kind == ARM_STRING && same(json_string_value(v), arm_str(have, "", "")))) {
		WRONG(m, "PropertyChangeNotAllowed", path,
		      "%s: cannot change from %s to %s after creation.", path, quote(m, have),
		      quote(m, v));
	}
	return v;
}

static json_t *
merge_props(struct merge *m, const struct arm_prop *props, const json_t *in, const json_t *have,
	    const char *path)
{
	json_t *out = json_object();

	for (const struct arm_prop *p = props; p && p->name; p++) {
		const char *at = *path ? arena_printf(m->arena, "%s.%s", path, p->name) : p->name;
		json_t *v = merge_prop(m, p, json_object_get(in, p->name),
				       json_object_get(have, p->name), at);

		if (v)
			json_object_set_new(out, p->name, v);
	}
	return out;
}

/* Children without a property of their own in the table are only written by their URLs. */
static void
keep_children(const struct arm_type *t, json_t *out, const json_t *have)
{
	json_t *props = json_object_get(out, "properties");

	for (const struct arm_type *const *c = t->children; c && *c; c++) {
		const char *name = type_collection(*c);
		json_t *old = json_object_get(json_object_get(have, "properties"), name);

		if (!json_object_get(props, name))
			json_object_set_new(props, name, old ? json_incref(old) : json_array());
	}
}

json_t *
merge_element(struct merge *m, const struct arm_type *t, const json_t *in, const json_t *have,
	      const char *path)
{
	const json_t *props_in = json_object_get(in, "properties");
	const char *at = *path ? arena_printf(m->arena, "%s.properties", path) : "properties";
	json_t *out = merge_props(m, t->top, in, have, path);

	if (props_in && !json_is_object(props_in) && !json_is_null(props_in)) {
		wrong_type(m, at, props_in, "an object");
		props_in = NULL;
	}
	json_object_set_new(out, "properties",
			    merge_props(m, t->props, props_in, json_object_get(have, "properties"),
					at));
	keep_children(t, out, have);
	return out;
}

/* --- secrets ------------------------------------------------------------------------------------ */

static bool
props_have_secrets(const struct arm_prop *p)
{
	for (; p && p->name; p++)
		if (p->flags & ARM_SECRET || ((p->kind == ARM_OBJECT || p->kind == ARM_LIST) &&
					      props_have_secrets(p->props)))
			return true;
	return false;
}

bool
type_has_secrets(const struct arm_type *t)
{
	if (props_have_secrets(t->top) || props_have_secrets(t->props))
		return true;
	for (const struct arm_type *const *c = t->children; c && *c; c++)
		if (type_has_secrets(*c))
			return true;
	return false;
}

static const char *
item_key(const json_t *one, size_t i, char out[256])
{
	const char *name = json_string_value(json_object_get(one, "name"));

	if (name)
		snprintf(out, 256, "%s", name);
	else
		snprintf(out, 256, "#%zu", i);
	for (char *p = out; *p; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p + 32);
	return out;
}

static void
put_if_any(json_t *into, const char *key, json_t *v)
{
	if (json_object_size(v))
		json_object_set(into, key, v);
	json_decref(v);
}

static json_t *
props_split(const struct arm_prop *p, json_t *at)
{
	json_t *out = json_object();
	char key[256];

	for (; p && p->name && at; p++) {
		json_t *v = json_object_get(at, p->name), *one;
		size_t i;

		if (v && p->flags & ARM_SECRET) {
			json_object_set(out, p->name, v);
			json_object_del(at, p->name);
		} else if (v && p->kind == ARM_OBJECT) {
			put_if_any(out, p->name, props_split(p->props, v));
		} else if (v && p->kind == ARM_LIST && p->props) {
			json_t *items = json_object();

			json_array_foreach(v, i, one)
				put_if_any(items, item_key(one, i, key),
					   props_split(p->props, one));
			put_if_any(out, p->name, items);
		}
	}
	return out;
}

json_t *
secrets_split(const struct arm_type *t, json_t *element)
{
	json_t *out = props_split(t->top, element), *one;
	json_t *props = json_object_get(element, "properties");
	char key[256];
	size_t i;

	put_if_any(out, "properties", props_split(t->props, props));
	for (const struct arm_type *const *c = t->children; c && *c; c++) {
		json_t *items = json_object();

		json_array_foreach(json_object_get(props, type_collection(*c)), i, one)
			put_if_any(items, item_key(one, i, key), secrets_split(*c, one));
		if (json_object_size(items)) {
			json_t *all = json_object_get(out, "children");

			if (!all) {
				all = json_object();
				json_object_set_new(out, "children", all);
			}
			json_object_set(all, type_collection(*c), items);
		}
		json_decref(items);
	}
	return out;
}

static void
props_join(const struct arm_prop *p, json_t *at, const json_t *secrets)
{
	char key[256];

	for (; p && p->name && at && secrets; p++) {
		json_t *v = json_object_get(at, p->name), *s = json_object_get(secrets, p->name),
		       *one;
		size_t i;

		if (s && p->flags & ARM_SECRET) {
			json_object_set(at, p->name, s);
		} else if (s && v && p->kind == ARM_OBJECT) {
			props_join(p->props, v, s);
		} else if (s && v && p->kind == ARM_LIST && p->props) {
			json_array_foreach(v, i, one)
				props_join(p->props, one,
					   json_object_get(s, item_key(one, i, key)));
		}
	}
}

void
secrets_join(const struct arm_type *t, json_t *element, const json_t *secrets)
{
	json_t *props = json_object_get(element, "properties"), *one;
	char key[256];
	size_t i;

	if (!secrets)
		return;
	props_join(t->top, element, secrets);
	props_join(t->props, props, json_object_get(secrets, "properties"));
	for (const struct arm_type *const *c = t->children; c && *c; c++) {
		json_t *items =
			json_object_get(json_object_get(secrets, "children"), type_collection(*c));

		json_array_foreach(json_object_get(props, type_collection(*c)), i, one)
			secrets_join(*c, one, json_object_get(items, item_key(one, i, key)));
	}
}

/* --- references ----------------------------------------------------------------------------------- */

static void
props_refs(struct arena *a, const struct arm_prop *p, const json_t *at, const char *element_fold,
	   const char *path, ref_fn *fn, void *arg)
{
	for (; p && p->name && at; p++) {
		const json_t *v = json_object_get(at, p->name);
		const char *kind = *path ? arena_printf(a, "%s.%s", path, p->name) : p->name;
		json_t *one;
		size_t i;

		if (!v)
			continue;
		if (p->kind == ARM_REF) {
			const char *id = json_string_value(json_object_get(v, "id"));

			if (id)
				fn(arg, p, element_fold, kind, arm_id_fold(a, id));
		} else if (p->kind == ARM_OBJECT) {
			props_refs(a, p->props, v, element_fold, kind, fn, arg);
		} else if (p->kind == ARM_LIST && p->item == ARM_REF) {
			json_array_foreach((json_t *)v, i, one) {
				const char *id = json_string_value(json_object_get(one, "id"));

				if (id)
					fn(arg, p, element_fold, kind, arm_id_fold(a, id));
			}
		} else if (p->kind == ARM_LIST && p->props) {
			json_array_foreach((json_t *)v, i, one)
				props_refs(a, p->props, one, element_fold, kind, fn, arg);
		}
	}
}

static void
element_refs(struct arena *a, const struct arm_type *t, const json_t *element,
	     const char *element_fold, const char *prefix, ref_fn *fn, void *arg)
{
	const json_t *props = json_object_get(element, "properties");
	json_t *one;
	size_t i;

	const char *inside = *prefix ? arena_printf(a, "%s.properties", prefix) : "properties";

	props_refs(a, t->top, element, element_fold, prefix, fn, arg);
	props_refs(a, t->props, props, element_fold, inside, fn, arg);
	for (const struct arm_type *const *c = t->children; c && *c; c++) {
		json_array_foreach(json_object_get(props, type_collection(*c)), i, one) {
			const char *f =
				arm_id_fold(a, arena_printf(a, "%s/%s/%s", element_fold, (*c)->name,
							    arm_str(one, "name", "")));

			element_refs(a, *c, one, f,
				     arena_printf(a, "%s.%s", inside, type_collection(*c)), fn,
				     arg);
		}
	}
}

void
refs_walk(struct arena *a, const struct arm_type *t, const json_t *element,
	  const char *element_fold, ref_fn *fn, void *arg)
{
	element_refs(a, t, element, element_fold, "", fn, arg);
}
