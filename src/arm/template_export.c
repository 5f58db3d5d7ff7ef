/* Resources as a template that makes them again: what a client may set, by the type tables, without
 * secrets. Names become parameters, ids of what is exported too become resourceId(), and dependsOn. */
#include "arm/template.h"

#include <ctype.h>

enum { MAX_EXPORTED = 800 };

struct exported {
	const struct arm_resource *r;
	const char *parameter; /* NULL: the name stands for itself */
	json_t *depends;       /* object: fold of another -> expression */
};

struct exporter {
	struct ctx *c;
	struct exported *all;
	size_t n;
	struct exported *at;
	bool has_parameters, has_defaults;
};

/* --- expressions ------------------------------------------------------------------------------------ */

static void
literal_print(struct buf *b, const char *s)
{
	buf_u8(b, '\'');
	for (; *s; s++)
		buf_printf(b, *s == '\'' ? "''" : "%c", *s);
	buf_u8(b, '\'');
}

/* "resourceId('NS/a/b', parameters('a_x_name'), 'y')"; rest: of the id after the aggregate. */
static char *
id_expression(struct exporter *x, const struct exported *to, const char *rest)
{
	AUTO_BUF types = { 0 };
	AUTO_BUF names = { 0 };
	char *copy = arena_strdup(x->c->a, rest), *save = NULL;
	bool is_name = false;

	buf_printf(&types, "%s/%s", to->r->type->ns, to->r->type->name);
	if (to->parameter)
		buf_printf(&names, ", parameters('%s')", to->parameter);
	else {
		buf_printf(&names, ", ");
		literal_print(&names, to->r->name);
	}
	for (char *w = strtok_r(copy, "/", &save); w; w = strtok_r(NULL, "/", &save)) {
		if (!is_name) {
			buf_printf(&types, "/%s", w);
		} else {
			buf_printf(&names, ", ");
			literal_print(&names, w);
		}
		is_name = !is_name;
	}
	return arena_printf(x->c->a, "[resourceId('%s'%s)]", buf_str(&types), buf_str(&names));
}

static struct exported *
exported_find(struct exporter *x, const char *fold)
{
	for (size_t i = 0; i < x->n; i++)
		if (!strcmp(x->all[i].r->fold, fold))
			return &x->all[i];
	return NULL;
}

/* Does from need to, directly or not? */
static bool
needs(struct exporter *x, const struct exported *from, const struct exported *to, unsigned depth)
{
	const char *fold;
	json_t *v;

	if (from == to)
		return true;
	if (depth > MAX_EXPORTED)
		return false;
	json_object_foreach(from->depends, fold, v) {
		const struct exported *next = exported_find(x, fold);

		if (next && needs(x, next, to, depth + 1))
			return true;
	}
	return false;
}

static json_t *
text_out(const char *s, struct arena *a)
{
	return json_string(s[0] == '[' ? arena_printf(a, "[%s", s) : s);
}

/* An id: of something exported, as an expression. Two that need each other: the first one does. */
static json_t *
id_out(struct exporter *x, const char *id)
{
	struct arena *a = x->c->a;
	char *fold = arm_id_fold(a, id), *top = aggregate_fold(a, fold);
	struct exported *to = exported_find(x, top);

	if (!to)
		return text_out(id, a);
	if (to != x->at && !needs(x, to, x->at, 0))
		json_object_set_new(x->at->depends, to->r->fold,
				    json_string(id_expression(x, to, "")));
	return json_string(id_expression(x, to, id + strlen(top)));
}

/* --- values, by the tables -------------------------------------------------------------------------------- */

static json_t *props_out(struct exporter *x, const struct arm_prop *props, const json_t *in);

static json_t *
plain_out(struct exporter *x, const json_t *in)
{
	json_t *out, *v;
	const char *key;
	size_t i;

	if (json_is_string(in))
		return text_out(json_string_value(in), x->c->a);
	if (json_is_array(in)) {
		out = json_array();
		json_array_foreach(in, i, v)
			json_array_append_new(out, plain_out(x, v));
		return out;
	}
	if (!json_is_object(in))
		return json_incref((json_t *)in);
	out = json_object();
	json_object_foreach((json_t *)in, key, v)
		json_object_set_new(out, key, plain_out(x, v));
	return out;
}

static json_t *
child_out(struct exporter *x, const struct arm_type *t, const json_t *in)
{
	json_t *out = t->top ? props_out(x, t->top, in) : json_object();

	json_object_set_new(out, "name", text_out(arm_str(in, "name", ""), x->c->a));
	json_object_set_new(out, "properties",
			    props_out(x, t->props, json_object_get(in, "properties")));
	return out;
}

static json_t *
ref_out(struct exporter *x, const json_t *in)
{
	const char *id = arm_str(in, "id", NULL);

	return id ? json_pack("{s:o}", "id", id_out(x, id)) : json_null();
}

static json_t *
list_out(struct exporter *x, const struct arm_prop *p, const json_t *in)
{
	json_t *out = json_array(), *v;
	size_t i;

	json_array_foreach((json_t *)in, i, v)
		json_array_append_new(out, p->kind == ARM_CHILDREN ? child_out(x, p->child, v)
					   : p->item == ARM_REF    ? ref_out(x, v)
					   : p->props              ? props_out(x, p->props, v)
								   : plain_out(x, v));
	return out;
}

static json_t *
prop_out(struct exporter *x, const struct arm_prop *p, const json_t *in)
{
	switch (p->kind) {
	case ARM_OBJECT:
		return props_out(x, p->props, in);
	case ARM_LIST:
	case ARM_CHILDREN:
		return list_out(x, p, in);
	case ARM_REF:
		return ref_out(x, in);
	default:
		return plain_out(x, in);
	}
}

static json_t *
props_out(struct exporter *x, const struct arm_prop *props, const json_t *in)
{
	json_t *out = json_object();

	for (; props && props->name; props++) {
		json_t *v = json_object_get(in, props->name);

		if (v && !json_is_null(v) && !(props->flags & (ARM_READ_ONLY | ARM_SECRET)))
			json_object_set_new(out, props->name, prop_out(x, props, v));
	}
	/* Names inside lists are part of what was sent. */
	if (json_object_get(in, "name") && !json_object_get(out, "name"))
		json_object_set_new(out, "name", text_out(arm_str(in, "name", ""), x->c->a));
	return out;
}

/* --- resources ------------------------------------------------------------------------------------------------ */

static json_t *
resource_out(struct exporter *x, struct arm_snapshot *s, struct exported *one)
{
	const struct arm_resource *r = one->r;
	struct arena *a = x->c->a;
	json_t *shown = view_resource(s, r), *out, *top, *depends, *v;
	const char *key;

	x->at = one;
	out = json_pack("{s:s, s:s, s:o}", "type",
			arena_printf(a, "%s/%s", r->type->ns, r->type->name), "apiVersion",
			x->c->api_version, "name",
			one->parameter
				? json_string(arena_printf(a, "[parameters('%s')]", one->parameter))
				: text_out(r->name, a));
	if (r->type->flags & ARM_TRACKED) {
		json_object_set_new(out, "location", text_out(arm_str(shown, "location", ""), a));
		if (json_object_size(json_object_get(shown, "tags")))
			json_object_set_new(out, "tags",
					    plain_out(x, json_object_get(shown, "tags")));
	}
	top = props_out(x, r->type->top, shown);
	json_object_del(top, "name");
	json_object_update(out, top);
	json_decref(top);
	json_object_set_new(out, "properties",
			    props_out(x, r->type->props, json_object_get(shown, "properties")));
	depends = json_array();
	json_object_foreach(one->depends, key, v)
		json_array_append(depends, v);
	if (json_array_size(depends))
		json_object_set(out, "dependsOn", depends);
	json_decref(depends);
	json_decref(shown);
	return out;
}

static const char *
parameter_name(struct exporter *x, const struct arm_resource *r)
{
	char *name = arena_printf(x->c->a, "%s_%s_name", r->type->name, r->name);
	size_t same_name = 0;

	for (char *p = name; *p; p++)
		if (!isalnum((unsigned char)*p))
			*p = '_';
	for (size_t i = 0; i < x->n; i++)
		same_name += x->all[i].parameter &&
			     !strncasecmp(x->all[i].parameter, name, strlen(name));
	return same_name ? arena_printf(x->c->a, "%s_%zu", name, same_name) : name;
}

static bool
is_wanted(struct arena *a, const json_t *wanted, const char *fold)
{
	json_t *one;
	size_t i;

	if (!wanted)
		return true;
	json_array_foreach((json_t *)wanted, i, one) {
		const char *id = json_string_value(one);

		if (id && !strcmp(arm_id_fold(a, id), fold))
			return true;
	}
	return false;
}

static int
collect(struct exporter *x, struct arm_snapshot *s, const json_t *wanted)
{
	struct ctx *c = x->c;
	struct store_filter f = {
		.sub = fold(c->a, c->path.seg[1]),
		.rg = fold(c->a, c->path.seg[3]),
		.limit = 1000,
	};
	struct store_resource *rows;
	size_t n = 0;
	int r = store_resource_list(s->tx, c->a, &f, &rows, &n, &c->err);

	x->all = NEW_ARRAY(c->a, struct exported, n + 1);
	for (size_t i = 0; i < n && x->n < MAX_EXPORTED && r >= 0; i++) {
		const struct arm_resource *one = entry_now(entry_from_row(s, &rows[i]));

		if (!one || one->is_deleting || one->type->flags & (ARM_NO_CREATE | ARM_NO_PUT) ||
		    !is_wanted(c->a, wanted, one->fold) ||
		    !may(c, s->tx, arena_printf(c->a, "%s/%s/read", one->type->ns, one->type->name),
			 one->fold))
			continue;
		x->all[x->n] = (struct exported){ .r = one, .depends = json_object() };
		if (x->has_parameters)
			x->all[x->n].parameter = parameter_name(x, one);
		x->n++;
	}
	return r;
}

int
template_export(struct ctx *c, struct arm_snapshot *s, const json_t *wanted, const char *options)
{
	struct exporter x = {
		.c = c,
		.has_parameters = !strcasestr(options, "SkipResourceNameParameterization") &&
				  !strcasestr(options, "SkipAllParameterization"),
		.has_defaults = strcasestr(options, "IncludeParameterDefaultValue") != NULL,
	};
	json_t *parameters = json_object(), *resources = json_array();
	int r = collect(&x, s, wanted);

	for (size_t i = 0; i < x.n && r >= 0; i++) {
		if (x.all[i].parameter)
			json_object_set_new(parameters, x.all[i].parameter,
					    x.has_defaults
						    ? json_pack("{s:s, s:o}", "type", "String",
								"defaultValue",
								text_out(x.all[i].r->name, c->a))
						    : json_pack("{s:s}", "type", "String"));
		json_array_append_new(resources, resource_out(&x, s, &x.all[i]));
	}
	for (size_t i = 0; i < x.n; i++)
		json_decref(x.all[i].depends);
	c->resp.status = 200;
	c->resp.body = json_pack(
		"{s:{s:s, s:s, s:o, s:{}, s:o}}", "template", "$schema",
		"https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
		"contentVersion", "1.0.0.0", "parameters", parameters, "variables", "resources",
		resources);
	return r;
}
