/* A template and its parameters made into steps. Everything that can be known before the first
 * request is checked here: types, names, copies, conditions, dependencies (written ones, and those
 * that reference() implies), and every expression, with what only a running deployment will know
 * standing as unknown. The same template and parameters always give the same steps, so a deployment
 * that goes on after a restart plans anew. */
#include "arm/template.h"

#include <ctype.h>

#define DEPLOYMENTS "Microsoft.Resources/deployments"
#define GROUPS "Microsoft.Resources/resourceGroups"

/* --- parameters ----------------------------------------------------------------------------------- */

enum { SHAPE_STRING, SHAPE_INT, SHAPE_BOOL, SHAPE_OBJECT, SHAPE_ARRAY };

/* clang-format off */
static const struct value_type {
	const char *name, *shown;
	int shape;
	bool is_secure;
} value_types[] = {
	{ "string",       "String",       SHAPE_STRING, false },
	{ "securestring", "SecureString", SHAPE_STRING, true },
	{ "int",          "Int",          SHAPE_INT,    false },
	{ "bool",         "Bool",         SHAPE_BOOL,   false },
	{ "object",       "Object",       SHAPE_OBJECT, false },
	{ "secureobject", "SecureObject", SHAPE_OBJECT, true },
	{ "array",        "Array",        SHAPE_ARRAY,  false },
};
/* clang-format on */

static const struct value_type *
value_type_find(const char *name)
{
	for (size_t i = 0; name && i < COUNT(value_types); i++)
		if (same(value_types[i].name, name))
			return &value_types[i];
	return NULL;
}

bool
template_is_secure(const json_t *def)
{
	const struct value_type *vt =
		value_type_find(json_string_value(template_member(def, "type")));

	return vt && vt->is_secure;
}

static bool
value_fits(const struct value_type *vt, const json_t *v)
{
	switch (vt->shape) {
	case SHAPE_STRING:
		return json_is_string(v);
	case SHAPE_INT:
		return json_is_integer(v);
	case SHAPE_BOOL:
		return json_is_boolean(v);
	case SHAPE_OBJECT:
		return json_is_object(v);
	default:
		return json_is_array(v);
	}
}

static bool
is_allowed(const json_t *allowed, const json_t *v)
{
	json_t *one;
	size_t i;

	json_array_foreach(allowed, i, one) {
		if (json_equal(one, v) || (json_is_string(one) && json_is_string(v) &&
					   same(json_string_value(one), json_string_value(v))))
			return true;
	}
	return false;
}

static int
range_check(struct template *t, const json_t *def, const char *name, const char *min_word,
	    const char *max_word, json_int_t v, const char *what)
{
	const json_t *min = template_member(def, min_word), *max = template_member(def, max_word);

	if (json_is_integer(min) && v < json_integer_value(min))
		return template_fail(t, "the parameter '%s' has a %s below its %s of %lld", name,
				     what, min_word, (long long)json_integer_value(min));
	if (json_is_integer(max) && v > json_integer_value(max))
		return template_fail(t, "the parameter '%s' has a %s above its %s of %lld", name,
				     what, max_word, (long long)json_integer_value(max));
	return 0;
}

static json_int_t
size_of(const json_t *v)
{
	json_int_t n = 0;

	if (json_is_array(v))
		return (json_int_t)json_array_size(v);
	for (const char *s = json_string_value(v); s && *s; s++)
		n += (*s & 0xc0) != 0x80;
	return n;
}

/* Never quotes the value: it may be a secret. */
static int
parameter_check(struct template *t, const char *name, const json_t *def, const json_t *v)
{
	const struct value_type *vt =
		value_type_find(json_string_value(template_member(def, "type")));
	const json_t *allowed = template_member(def, "allowedValues");

	if (!vt)
		return template_fail(t,
				     "the parameter '%s' needs a type: string, securestring, int, "
				     "bool, object, secureObject or array",
				     name);
	if (!value_fits(vt, v))
		return template_fail(t, "the parameter '%s' must be of type %s, not %s", name,
				     vt->name, template_kind(v));
	if (json_is_array(allowed) && !is_allowed(allowed, v)) {
		AUTO_FREE char *list = json_dumps(allowed, JSON_COMPACT);

		return template_fail(t, "the parameter '%s' must be one of %.300s", name, list);
	}
	if (vt->shape == SHAPE_INT)
		return range_check(t, def, name, "minValue", "maxValue", json_integer_value(v),
				   "value");
	return vt->shape == SHAPE_STRING || vt->shape == SHAPE_ARRAY
		       ? range_check(t, def, name, "minLength", "maxLength", size_of(v), "length")
		       : 0;
}

static json_t *
parameter_make(struct template *t, const char *name, const json_t *def)
{
	const json_t *given = template_member(t->given, name), *v, *preset;

	if (given && !json_is_object(given)) {
		template_fail(t, "the parameter '%s' must be given as {\"value\": ...}", name);
		return NULL;
	}
	if (template_member(given, "reference")) {
		template_fail(t, "the parameter '%s' refers to a key vault; there is none here",
			      name);
		return NULL;
	}
	v = template_member(given, "value");
	if (v) /* as it is: no expression in it is evaluated */
		return (json_t *)v;
	preset = template_member(def, "defaultValue");
	if (!preset) {
		template_fail(t, "the value for the template parameter '%s' is not provided", name);
		return NULL;
	}
	return template_value(t, preset,
			      arena_printf(t->arena, "parameters.%s.defaultValue", name));
}

json_t *
template_parameter(struct template *t, const char *name)
{
	const json_t *def = template_member(json_object_get(t->doc, "parameters"), name);
	char *key;
	json_t *v;

	if (!template_charge_bytes(t, strlen(name)))
		return NULL;
	key = fold(t->arena, name);
	v = json_object_get(t->parameters, key);
	if (v == t->keep) { /* being made: see below */
		template_fail(t, "the parameter '%.60s' refers to itself", name);
		return NULL;
	}
	if (v)
		return v;
	if (!json_is_object(def)) {
		template_fail(t, "the template parameter '%.60s' is not found", name);
		return NULL;
	}
	json_object_set(t->parameters, key, t->keep);
	v = parameter_make(t, name, def);
	if (v && parameter_check(t, name, def, v) == 0)
		json_object_set(t->parameters, key, v);
	else
		v = NULL;
	if (!v)
		json_object_del(t->parameters, key);
	return v;
}

int
template_parameters(struct template *t, const json_t *given)
{
	const json_t *defs = json_object_get(t->doc, "parameters"), *v;
	const char *name;

	if (defs && !json_is_object(defs))
		return template_fail(t, "parameters: must be an object");
	if (given && !json_is_null(given) && !json_is_object(given))
		return template_fail(t, "properties.parameters: must be an object");
	if (json_object_size(defs) > TEMPLATE_MAX_PARAMETERS ||
	    json_object_size(given) > TEMPLATE_MAX_PARAMETERS)
		return template_fail(t, "parameters: there are more than %d",
				     TEMPLATE_MAX_PARAMETERS);
	json_object_foreach((json_t *)given, name, v) {
		if (!template_member(defs, name))
			return template_fail(t,
					     "the parameter '%.60s' was supplied, but the template "
					     "does not define it",
					     name);
	}
	t->given = given;
	json_object_foreach((json_t *)defs, name, v) {
		t->root = "parameters";
		if (!template_parameter(t, name))
			return -EBADE;
	}
	t->root = NULL;
	return 0;
}

json_t *
template_parameters_shown(const struct template *t)
{
	json_t *out = json_object(), *v;
	const json_t *defs = json_object_get(t->doc, "parameters"), *def;
	const char *name;

	json_object_foreach((json_t *)defs, name, def) {
		const struct value_type *vt =
			value_type_find(json_string_value(template_member(def, "type")));

		if (!vt)
			continue;
		v = json_pack("{s:s}", "type", vt->shown);
		if (!vt->is_secure)
			json_object_set(v, "value",
					json_object_get(t->parameters, fold(t->arena, name)));
		json_object_set_new(out, name, v);
	}
	return out;
}

/* --- steps ------------------------------------------------------------------------------------------- */

struct planner {
	struct template *t;
	struct template_plan *plan;
	size_t cap;
	struct template_step *at; /* whose references are being collected */
};

static struct template_step *
step_find(const struct template_plan *plan, const char *id_fold)
{
	for (size_t i = 0; i < plan->n; i++)
		if (!strcmp(plan->steps[i].fold, id_fold))
			return &plan->steps[i];
	return NULL;
}

static const char *
id_of(void *arg, const char *name)
{
	const struct template_plan *plan = arg;

	for (size_t i = 0; i < plan->n; i++)
		if (same(plan->steps[i].name, name))
			return plan->steps[i].id;
	return NULL;
}

static bool
name_is_sound(const char *s)
{
	size_t n = strlen(s);

	if (!n || n > 1024 || s[0] == '/' || s[n - 1] == '/' || strstr(s, "//"))
		return false;
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f || strchr("?#%\\", *s))
			return false;
	return true;
}

/* "A/b/c" and "x/y" -> "/providers/A/b/x/c/y". NULL: they do not fit each other. */
static char *
type_and_name(struct arena *a, const char *type, const char *name)
{
	const char *rest = strchr(type, '/');
	AUTO_BUF b = { 0 };

	if (!rest)
		return NULL;
	buf_printf(&b, "/providers/%.*s", (int)(rest - type), type);
	for (rest++; *rest || *name;) {
		size_t k = strcspn(rest, "/"), m = strcspn(name, "/");

		if (!k || !m)
			return NULL;
		buf_printf(&b, "/%.*s/%.*s", (int)k, rest, (int)m, name);
		rest += k + (rest[k] == '/');
		name += m + (name[m] == '/');
	}
	return arena_strdup(a, buf_str(&b));
}

static const char *
field_text(struct template *t, const json_t *def, const char *place, const char *field)
{
	return template_text(t, json_object_get(def, field),
			     arena_printf(t->arena, "%s.%s", place, field));
}

/* What comes before /providers in a resource's id. NULL: refused. */
static const char *
step_scope(struct template *t, const struct template_step *s, const json_t *def)
{
	const char *sub = t->world.sub, *rg = t->world.rg, *scope;

	if (json_object_get(def, "scope")) {
		const char *slash;

		scope = field_text(t, def, s->place, "scope");
		if (!scope)
			return NULL;
		if (*scope == '/')
			return scope[1] ? scope : "";
		slash = strrchr(scope, '/'); /* "NS/type/name" */
		if (!slash || strchr(scope, '/') == slash) {
			template_fail(t, "%s.scope: must be the id of a resource", s->place);
			return NULL;
		}
		scope = type_and_name(t->arena,
				      arena_strndup(t->arena, scope, (size_t)(slash - scope)),
				      slash + 1);
		if (!scope) {
			template_fail(t, "%s.scope: must be the id of a resource", s->place);
			return NULL;
		}
		return arena_printf(t->arena, "/subscriptions/%s/resourceGroups/%s%s", sub,
				    rg ? rg : "", scope);
	}
	if (s->is_deployment && json_object_get(def, "subscriptionId")) {
		sub = field_text(t, def, s->place, "subscriptionId");
		rg = NULL;
	}
	if (s->is_deployment && json_object_get(def, "resourceGroup"))
		rg = field_text(t, def, s->place, "resourceGroup");
	if (t->error->status)
		return NULL;
	return rg ? arena_printf(t->arena, "/subscriptions/%s/resourceGroups/%s", sub, rg)
		  : arena_printf(t->arena, "/subscriptions/%s", sub);
}

static int
step_name(struct template *t, struct template_step *s, const struct template_step *parent)
{
	const char *scope, *type = field_text(t, s->def, s->place, "type"), *name, *tail;

	if (!type)
		return -EBADE;
	name = field_text(t, s->def, s->place, "name");
	if (!name)
		return -EBADE;
	if (json_object_get(s->def, "apiVersion")) {
		s->version = field_text(t, s->def, s->place, "apiVersion");
		if (!s->version)
			return -EBADE;
	}
	s->type = parent ? arena_printf(t->arena, "%s/%s", parent->type, type) : type;
	s->name = parent ? arena_printf(t->arena, "%s/%s", parent->name, name) : name;
	if (!name_is_sound(s->type) || !name_is_sound(s->name))
		return template_fail(t, "%s: the type or the name is not valid", s->place);
	s->is_deployment = same(s->type, DEPLOYMENTS);
	if (!s->version)
		return template_fail(t, "%s.apiVersion: is missing", s->place);
	for (const char *v = s->version; *v; v++)
		if (!isalnum((unsigned char)*v) && *v != '-')
			return template_fail(t, "%s.apiVersion: is not a version", s->place);
	tail = same(s->type, GROUPS) ? arena_printf(t->arena, "/resourceGroups/%s", s->name)
				     : type_and_name(t->arena, s->type, s->name);
	if (!tail)
		return template_fail(t,
				     "%s: the type '%.120s' and the name '%.120s' must have the "
				     "same number of segments",
				     s->place, s->type, s->name);
	scope = same(s->type, GROUPS) ? arena_printf(t->arena, "/subscriptions/%s", t->world.sub)
				      : step_scope(t, s, s->def);
	if (!scope)
		return -EBADE;
	s->id = arena_printf(t->arena, "%s%s", scope, tail);
	s->long_name = arena_printf(t->arena, "%s/%s", s->type, s->name);
	s->fold = arm_id_fold(t->arena, s->id);
	return 0;
}

static int
step_add(struct planner *p, const struct template_step *s)
{
	struct template_plan *plan = p->plan;

	if (step_find(plan, s->fold))
		return template_fail(p->t, "%s: the resource '%s' is defined twice", s->place,
				     s->id);
	if (plan->n == TEMPLATE_MAX_RESOURCES)
		return template_fail(p->t, "there are more than %d resources",
				     TEMPLATE_MAX_RESOURCES);
	if (plan->n == p->cap) {
		size_t cap = p->cap ? 2 * p->cap : 16;
		struct template_step *more = NEW_ARRAY(p->t->arena, struct template_step, cap);

		if (plan->n)
			memcpy(more, plan->steps, plan->n * sizeof(*more));
		plan->steps = more;
		p->cap = cap;
	}
	plan->steps[plan->n++] = *s;
	return 0;
}

static int
off_add(struct planner *p, const char *id_fold)
{
	struct template_plan *plan = p->plan;

	if (plan->n_off == TEMPLATE_MAX_RESOURCES)
		return template_fail(p->t, "there are more than %d resources",
				     TEMPLATE_MAX_RESOURCES);
	const char **more = NEW_ARRAY(p->t->arena, const char *, plan->n_off + 1);

	if (plan->n_off)
		memcpy(more, plan->off, plan->n_off * sizeof(*more));
	more[plan->n_off++] = id_fold;
	plan->off = more;
	return 0;
}

/* 1: yes, 0: no. */
static int
condition_of(struct template *t, const struct template_step *s)
{
	const json_t *c = json_object_get(s->def, "condition");
	json_t *v;

	if (!c)
		return 1;
	v = template_value(t, c, arena_printf(t->arena, "%s.condition", s->place));
	if (!v)
		return -EBADE;
	if (v == t->unknown || !(json_is_boolean(v) || json_is_string(v)))
		return template_fail(t,
				     "%s.condition: must be a bool that is known before the "
				     "deployment begins",
				     s->place);
	return template_is_true(v);
}

static int resources_add(struct planner *p, const json_t *list, const char *place,
			 const struct template_step *parent, bool is_on);

static int
resource_add_one(struct planner *p, const json_t *def, const char *place, const char *loop,
		 const struct template_step *parent, bool is_on)
{
	struct template *t = p->t;
	struct template_step s = {
		.def = def,
		.place = place,
		.copies = t->copies,
		.loop = loop,
	};
	int r = step_name(t, &s, parent), on;
	const json_t *children = json_object_get(def, "resources");

	if (r < 0)
		return r;
	on = is_on ? condition_of(t, &s) : 0;
	if (on < 0)
		return on;
	if (on)
		r = step_add(p, &s);
	else
		r = off_add(p, s.fold);
	if (r == 0 && children && !s.is_deployment)
		r = resources_add(p, children, arena_printf(t->arena, "%s.resources", place), &s,
				  on);
	return r;
}

static int64_t
loop_count(struct template *t, const json_t *copy, const char *place)
{
	json_t *v = json_object_get(copy, "count");

	if (!json_is_string(json_object_get(copy, "name")))
		return template_fail(t, "%s.copy: name is missing", place);
	v = v ? template_value(t, v, arena_printf(t->arena, "%s.copy.count", place)) : NULL;
	if (!v && t->error->status)
		return -EBADE;
	if (!json_is_integer(v) || json_integer_value(v) < 0 ||
	    json_integer_value(v) > TEMPLATE_MAX_RESOURCES)
		return template_fail(t, "%s.copy.count: must be a number from 0 to %d", place,
				     TEMPLATE_MAX_RESOURCES);
	return json_integer_value(v);
}

static int
resource_add(struct planner *p, const json_t *def, const char *place,
	     const struct template_step *parent, bool is_on)
{
	struct template *t = p->t;
	const json_t *copy = json_object_get(def, "copy");
	int64_t n;
	int r = 0;

	if (!json_is_object(def))
		return template_fail(t, "%s: must be an object", place);
	if (!copy)
		return resource_add_one(p, def, place, NULL, parent, is_on);
	n = loop_count(t, copy, place);
	for (int64_t i = 0; i < n && r == 0; i++) {
		struct template_copy *loop = NEW(t->arena, struct template_copy);

		*loop = (struct template_copy){ json_string_value(json_object_get(copy, "name")), i,
						t->copies };
		t->copies = loop;
		r = resource_add_one(p, def, place, loop->name, parent, is_on);
		t->copies = loop->up;
	}
	return n < 0 ? (int)n : r;
}

static int
resources_add(struct planner *p, const json_t *list, const char *place,
	      const struct template_step *parent, bool is_on)
{
	struct template_step copy = parent ? *parent : (struct template_step){ 0 };
	json_t *one;
	size_t i;

	if (json_is_object(list))
		return template_fail(p->t,
				     "%s: must be an array; symbolic names (languageVersion "
				     "2.0) are not supported",
				     place);
	if (!json_is_array(list))
		return template_fail(p->t, "%s: must be an array", place);
	json_array_foreach(list, i, one) {
		int r = resource_add(p, one, arena_printf(p->t->arena, "%s[%zu]", place, i),
				     parent ? &copy : NULL, is_on);

		if (r < 0)
			return r;
	}
	return 0;
}

/* --- order -------------------------------------------------------------------------------------------- */

static void
edge_add(struct planner *p, struct template_step *s, const struct template_step *before)
{
	size_t i = (size_t)(before - p->plan->steps);
	size_t *more;

	if (s == before)
		return;
	for (size_t k = 0; k < s->n_after; k++)
		if (s->after[k] == i)
			return;
	if ((s->n_after & (s->n_after - 1)) == 0) { /* full at every power of two */
		more = NEW_ARRAY(p->t->arena, size_t, s->n_after ? 2 * s->n_after : 1);
		if (s->n_after)
			memcpy(more, s->after, s->n_after * sizeof(*more));
		s->after = more;
	}
	s->after[s->n_after++] = i;
}

static bool
is_off(const struct template_plan *plan, const char *what, struct arena *a)
{
	const char *f = *what == '/' ? arm_id_fold(a, what) : NULL;

	for (size_t i = 0; i < plan->n_off; i++)
		if (f ? !strcmp(plan->off[i], f)
		      : same(arm_id_segment(a, plan->off[i], 0),
			     strrchr(what, '/') ? strrchr(what, '/') + 1 : what))
			return true;
	return false;
}

/* Everything that an entry of dependsOn names: an id, a copy loop, a resource's name, "NS/type/name". */
static int
depends_on(struct planner *p, struct template_step *s, const char *what)
{
	struct template_plan *plan = p->plan;
	struct arena *a = p->t->arena;
	const char *id_fold = *what == '/' ? arm_id_fold(a, what) : NULL;
	size_t hits = 0;

	if (!template_charge(p->t, 1 + plan->n / 8))
		return -EBADE;

	for (size_t i = 0; i < plan->n; i++) {
		struct template_step *b = &plan->steps[i];

		if (id_fold ? !strcmp(b->fold, id_fold)
			    : (b->loop && same(b->loop, what)) || same(b->name, what) ||
				      same(b->long_name, what)) {
			edge_add(p, s, b);
			hits++;
		}
	}
	if (hits || is_off(plan, what, a))
		return 0;
	return template_fail(p->t,
			     "%s.dependsOn: the resource '%.200s' is not defined in the template",
			     s->place, what);
}

static int
written_order(struct planner *p, struct template_step *s)
{
	struct template *t = p->t;
	const json_t *list = json_object_get(s->def, "dependsOn");
	const char *place = arena_printf(t->arena, "%s.dependsOn", s->place);
	json_t *v = list ? template_value(t, list, place) : NULL, *one;
	size_t i;
	int r = 0;

	if (list && !v)
		return -EBADE;
	if (list && !json_is_array(v) && !json_is_string(v))
		return template_fail(t, "%s: must be an array of strings", place);
	if (json_is_string(v))
		return depends_on(p, s, json_string_value(v));
	json_array_foreach(v, i, one) {
		if (r == 0 && (!json_is_string(one) || one == t->unknown))
			r = template_fail(t, "%s: must be an array of strings", place);
		if (r == 0)
			r = depends_on(p, s, json_string_value(one));
	}
	return r;
}

/* A child comes after its parent, a resource after its group. */
static void
family_order(struct planner *p, struct template_step *s)
{
	size_t n = strlen(s->fold);

	for (size_t i = 0; i < p->plan->n; i++) {
		const struct template_step *b = &p->plan->steps[i];
		size_t k = strlen(b->fold);

		if (k < n && !memcmp(b->fold, s->fold, k) && s->fold[k] == '/')
			edge_add(p, s, b);
	}
}

/* copy.mode serial: a batch after the one before. Its iterations stand next to each other. */
static int
loop_order(struct planner *p, struct template_step *s)
{
	const json_t *copy = json_object_get(s->def, "copy");
	const char *mode = json_string_value(template_member(copy, "mode"));
	json_t *size = template_member(copy, "batchSize");
	int64_t batch = 1, mine;

	if (!s->loop || !mode || !same(mode, "serial"))
		return 0;
	size = size ? template_value(p->t, size,
				     arena_printf(p->t->arena, "%s.copy.batchSize", s->place))
		    : NULL;
	if (size)
		batch = json_integer_value(size);
	if (batch < 1)
		return template_fail(p->t, "%s.copy.batchSize: must be a number from 1", s->place);
	mine = s->copies->index / batch;
	for (size_t i = 0; i < p->plan->n; i++) {
		const struct template_step *b = &p->plan->steps[i];

		if (b->def == s->def && b->copies->up == s->copies->up &&
		    b->copies->index / batch == mine - 1)
			edge_add(p, s, b);
	}
	return 0;
}

static void
on_reference(void *arg, const char *what)
{
	struct planner *p = arg;
	struct template_plan *plan = p->plan;
	const char *id = *what == '/' ? what : id_of(plan, what);
	const struct template_step *b = id ? step_find(plan, arm_id_fold(p->t->arena, id)) : NULL;

	if (b && p->at)
		edge_add(p, p->at, b);
	if (!id && !is_off(plan, what, p->t->arena))
		template_fail(p->t, "the resource '%.120s' is not defined in the template", what);
}

/* Evaluates every body once; its references become its order. */
static int
implied_order(struct planner *p)
{
	struct template *t = p->t;
	json_t *outputs;
	int r = 0;

	t->referenced = on_reference;
	t->referenced_arg = p;
	for (size_t i = 0; i < p->plan->n && r == 0; i++) {
		p->at = &p->plan->steps[i];
		r = template_step_body(t, p->at) && !t->error->status ? 0 : -EBADE;
	}
	p->at = NULL;
	if (r == 0) {
		outputs = template_outputs(t);
		r = outputs && !t->error->status ? 0 : -EBADE;
		json_decref(outputs);
	}
	t->referenced = NULL;
	return r;
}

/* Can each step come after those it needs? */
static int
circle_check(struct planner *p)
{
	struct template_plan *plan = p->plan;
	bool *done = NEW_ARRAY(p->t->arena, bool, plan->n + 1);
	size_t left = plan->n, was = left + 1;

	while (left && left != was) {
		was = left;
		for (size_t i = 0; i < plan->n; i++) {
			const struct template_step *s = &plan->steps[i];
			bool ready = !done[i];

			for (size_t k = 0; k < s->n_after && ready; k++)
				ready = done[s->after[k]];
			done[i] |= ready;
			left -= ready;
		}
	}
	for (size_t i = 0; i < plan->n; i++)
		if (!done[i])
			return template_fail(p->t,
					     "circular dependency detected on resource '%s' (%s)",
					     plan->steps[i].id, plan->steps[i].place);
	return 0;
}

static int
document_check(struct template *t)
{
	const json_t *functions = json_object_get(t->doc, "functions");

	if (!json_is_object(t->doc))
		return template_fail(t, "the template must be an object");
	if (json_array_size(functions) || json_object_size(functions))
		return template_fail(t, "functions: functions of a template's own are not "
					"supported");
	if (!json_object_get(t->doc, "resources"))
		return template_fail(t, "resources: is missing");
	return 0;
}

int
template_plan_make(struct template *t, struct template_plan *ret)
{
	struct planner p = { .t = t, .plan = ret };
	int r = document_check(t);

	*ret = (struct template_plan){ 0 };
	t->id_of = id_of;
	t->id_of_arg = ret;
	t->is_planning = true;
	if (r == 0)
		r = resources_add(&p, json_object_get(t->doc, "resources"), "resources", NULL,
				  true);
	for (size_t i = 0; i < ret->n && r == 0; i++) {
		t->copies = ret->steps[i].copies;
		r = written_order(&p, &ret->steps[i]);
		if (r == 0)
			r = loop_order(&p, &ret->steps[i]);
		family_order(&p, &ret->steps[i]);
	}
	t->copies = NULL;
	if (r == 0)
		r = implied_order(&p);
	if (r == 0)
		r = circle_check(&p);
	t->is_planning = t->has_unknown = false;
	/* What was made from the unknown is made again when it is known. */
	json_object_clear(t->variables);
	return r;
}

char *
template_path(struct arena *a, const char *id)
{
	AUTO_BUF b = { 0 };

	for (; *id; id++)
		if (isalnum((unsigned char)*id) || strchr("/-._~()", *id))
			buf_u8(&b, (uint8_t)*id);
		else
			buf_printf(&b, "%%%02X", (unsigned char)*id);
	return arena_strdup(a, buf_str(&b));
}

/* --- bodies --------------------------------------------------------------------------------------------- */

/* Templates write null for "not given". */
static json_t *
without_nulls(const json_t *in)
{
	json_t *out, *one;
	const char *key;
	size_t i;

	if (json_is_array(in)) {
		out = json_array();
		json_array_foreach(in, i, one)
			json_array_append_new(out, without_nulls(one));
		return out;
	}
	if (!json_is_object(in))
		return json_incref((json_t *)in);
	out = json_object();
	json_object_foreach((json_t *)in, key, one) {
		if (!json_is_null(one))
			json_object_set_new(out, key, without_nulls(one));
	}
	return out;
}

/* Values that must not be evaluated a second time. */
static json_t *
escaped(struct arena *a, const json_t *in)
{
	json_t *out, *one;
	const char *key, *s = json_string_value(in);
	size_t i;

	if (s)
		return s[0] == '[' && s[strlen(s) - 1] == ']'
			       ? json_string(arena_printf(a, "[%s", s))
			       : json_incref((json_t *)in);
	if (json_is_array(in)) {
		out = json_array();
		json_array_foreach(in, i, one)
			json_array_append_new(out, escaped(a, one));
		return out;
	}
	if (!json_is_object(in))
		return json_incref((json_t *)in);
	out = json_object();
	json_object_foreach((json_t *)in, key, one)
		json_object_set_new(out, key, escaped(a, one));
	return out;
}

/* A nested template: evaluated here as a whole (outer, the default), or left to itself (inner). */
static json_t *
nested_properties(struct template *t, const json_t *props, const char *place)
{
	const json_t *scope = arm_at(props, "expressionEvaluationOptions.scope");
	const json_t *template = json_object_get(props, "template");
	bool inner = json_is_string(scope) && same(json_string_value(scope), "inner");
	json_t *rest = json_copy((json_t *)props), *v, *out;

	json_object_del(rest, "template");
	json_object_del(rest, "expressionEvaluationOptions");
	rest = template_own(t, rest, 64);
	v = rest ? template_value(t, rest, place) : NULL;
	out = v ? template_own(t, json_copy(v), 64) : NULL;
	if (!out || !template)
		return out;
	if (inner) {
		json_object_set(out, "template", (json_t *)template);
		if (!t->is_filled)
			json_object_set_new(out, "expressionEvaluationOptions",
					    json_pack("{s:s}", "scope", "inner"));
		return out;
	}
	v = template_value(t, template, arena_printf(t->arena, "%s.template", place));
	if (!v)
		return NULL;
	if (t->is_planning)
		json_object_set(out, "template", v);
	else
		json_object_set_new(out, "template", escaped(t->arena, v));
	return out;
}

static bool
is_templates_own(const char *key)
{
	static const char *const words[] = { "type",      "name",          "apiVersion",
					     "dependsOn", "condition",     "copy",
					     "comments",  "scope",         "resources",
					     "metadata",  "resourceGroup", "subscriptionId" };

	for (size_t i = 0; i < COUNT(words); i++)
		if (same(key, words[i]))
			return true;
	return false;
}

json_t *
template_step_body(struct template *t, const struct template_step *s)
{
	const struct template_copy *copies = t->copies;
	json_t *out = template_own(t, json_object(), 64), *v = out;
	const char *key;
	json_t *one;

	t->copies = s->copies;
	json_object_foreach((json_t *)s->def, key, one) {
		const char *place;

		if (is_templates_own(key))
			continue;
		place = arena_printf(t->arena, "%s.%s", s->place, key);
		if (s->is_deployment && same(key, "properties"))
			v = nested_properties(t, one, place);
		else
			v = template_value(t, one, place);
		if (!v)
			break;
		if (t->is_planning || s->is_deployment)
			json_object_set(out, key, v);
		else if (!json_is_null(v))
			json_object_set_new(out, key, without_nulls(v));
	}
	t->copies = copies;
	return v ? out : NULL;
}

/* --- outputs -------------------------------------------------------------------------------------------- */

static json_t *
output_value(struct template *t, const json_t *def, const char *place)
{
	const json_t *copy = json_object_get(def, "copy"), *v = json_object_get(def, "value");
	json_t *wrapped;

	if (!copy && v)
		return template_value(t, v, arena_printf(t->arena, "%s.value", place));
	wrapped = json_copy((json_t *)copy);
	if (!wrapped) {
		template_fail(t, "%s: value is missing", place);
		return NULL;
	}
	json_object_set_new(wrapped, "name", json_string("value"));
	wrapped = template_own(t, json_pack("{s:[o]}", "copy", wrapped), 64);
	wrapped = wrapped ? template_value(t, wrapped, place) : NULL;
	return wrapped ? json_object_get(wrapped, "value") : NULL;
}

static int
output_add(struct template *t, const char *name, const json_t *def, json_t *out)
{
	const char *place = arena_printf(t->arena, "outputs.%s", name);
	const struct value_type *vt =
		value_type_find(json_string_value(template_member(def, "type")));
	const struct template_step as_step = { .def = def, .place = place };
	json_t *v;
	int on;

	if (!vt)
		return template_fail(t,
				     "%s.type: must be string, securestring, int, bool, object, "
				     "secureObject or array",
				     place);
	on = condition_of(t, &as_step);
	if (on <= 0)
		return on;
	v = output_value(t, def, place);
	if (!v)
		return -EBADE;
	if (v != t->unknown && !value_fits(vt, v) && !template_is_unknown(t, v))
		return template_fail(t, "%s: must be of type %s, not %s", place, vt->name,
				     template_kind(v));
	json_object_set_new(out, name,
			    vt->is_secure ? json_pack("{s:s}", "type", vt->shown)
					  : json_pack("{s:s, s:O}", "type", vt->shown, "value", v));
	return 0;
}

json_t *
template_outputs(struct template *t)
{
	const json_t *defs = json_object_get(t->doc, "outputs"), *def;
	json_t *out = json_object();
	const char *name;

	json_object_foreach((json_t *)defs, name, def) {
		if (output_add(t, name, def, out) < 0) {
			json_decref(out);
			return NULL;
		}
	}
	return out;
}
