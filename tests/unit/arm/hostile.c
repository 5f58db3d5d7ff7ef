/* Bad input made from the type tables: for every property of every type that a provider has, values that
 * its table does not allow. Each is refused with 400, the answer names the field, and nothing is stored.
 * And a type that is one file and one line has all the rest: verbs, lists, etags, the document. */
#include "rig.h"

#include <string.h>

#define TOY G "/providers/Example.Things/toys/"

struct walk {
	struct fixture *f;
	const struct arm_type *top;
	size_t n;
};

/* A way from a property to the body that holds it: what is put around it, innermost first. */
struct frame {
	const char *name; /* of the property */
	bool in_list;     /* its value is an element of a list of that name */
	const struct frame *outer;
};

/* value: taken. */
static json_t *
body_around(const struct frame *at, json_t *value)
{
	for (; at; at = at->outer) {
		if (at->in_list) {
			if (json_is_object(value) && !json_object_get(value, "name"))
				json_object_set_new(value, "name", json_string("n1"));
			value = json_pack("[o]", value);
		}
		value = json_pack("{s:o}", at->name, value);
	}
	if (!json_object_get(value, "location"))
		json_object_set_new(value, "location", json_string("x"));
	return value;
}

static bool
names_it(const json_t *error, const char *path)
{
	const json_t *details = json_object_get(error, "details");
	json_t *one;
	size_t i, n = strlen(path);

	if (!strncmp(arm_str(error, "target", ""), path, n))
		return true;
	json_array_foreach((json_t *)details, i, one)
		if (!strncmp(arm_str(one, "target", ""), path, n))
			return true;
	return false;
}

/* value: taken. */
static void
must_refuse(struct walk *w, const struct frame *at, const char *path, json_t *value)
{
	char url[256], *body;
	json_t *j = body_around(at, value);

	snprintf(url, sizeof(url), G "/providers/%s/%s/h1", w->top->ns, w->top->name);
	body = json_dumps(j, JSON_COMPACT);
	json_decref(j);
	if (ask(w->f, ARM_PUT, url, body) != 400)
		fail_msg("%s: %.300s: %d", path, body, w->f->resp.status);
	if (!names_it(json_object_get(w->f->resp.body, "error"), path))
		fail_msg("%s: %.300s: told about %s", path, body, text(w->f, "error.target"));
	w->n++;
	free(body);
}

static json_t *
long_text(int64_t n)
{
	char *s = mem_alloc((size_t)n + 1);
	json_t *j;

	memset(s, 'x', (size_t)n);
	j = json_string(s);
	free(s);
	return j;
}

static void
wrong_types(struct walk *w, const struct frame *at, const char *path, enum arm_kind kind)
{
	json_t *const values[] = { json_string("x"), json_integer(1), json_true(), json_array(),
				   json_object() };
	static const enum arm_kind of[] = { ARM_STRING, ARM_INT, ARM_BOOL, ARM_LIST, ARM_OBJECT };

	for (size_t i = 0; i < COUNT(values); i++) {
		bool fits = of[i] == kind || (kind == ARM_NUMBER && of[i] == ARM_INT) ||
			    (kind == ARM_CHILDREN && of[i] == ARM_LIST) ||
			    (kind == ARM_MAP && of[i] == ARM_OBJECT);

		if (fits || kind == ARM_ANY)
			json_decref(values[i]);
		else
			must_refuse(w, at, path, values[i]);
	}
}

static void walk_props(struct walk *w, const struct arm_prop *props, const struct frame *outer,
		       const char *path);

static void
walk_value(struct walk *w, const struct arm_prop *p, enum arm_kind kind, const struct frame *at,
	   const char *path)
{
	struct arena *a = &w->f->arena;
	const struct frame element = { p->name, true, at->outer };
	struct arm_prop item = *p;

	wrong_types(w, at, path, kind);
	switch (kind) {
	case ARM_STRING:
		if (p->words)
			must_refuse(w, at, path, json_string("no such word"));
		else
			must_refuse(w, at, path, long_text(p->max ? p->max + 1 : 4097));
		break;
	case ARM_INT:
		must_refuse(w, at, path, json_real(1.5));
		must_refuse(w, at, path, json_real(1e300));
		/* fall through */
	case ARM_NUMBER:
		if (p->min || p->max) {
			must_refuse(w, at, path, json_integer(p->min - 1));
			must_refuse(w, at, path, json_integer(p->max + 1));
		}
		break;
	case ARM_OBJECT:
		walk_props(w, p->props, at, path);
		break;
	case ARM_LIST:
		item.min = item.max = 0;
		if (p->item == ARM_OBJECT)
			walk_props(w, p->props, &element, arena_printf(a, "%s[0]", path));
		else
			wrong_types(w, &element, arena_printf(a, "%s[0]", path), p->item);
		break;
	case ARM_MAP:
		must_refuse(w, at, path, json_pack("{s:i}", "k", 5));
		break;
	case ARM_REF:
		must_refuse(w, at, path, json_pack("{s:s}", "id", "nowhere"));
		must_refuse(w, at, path, json_pack("{s:i}", "id", 7));
		must_refuse(w, at, path, json_pack("{s:s}", "id", BOX "b1/lids"));
		break;
	case ARM_CHILDREN: {
		const struct frame props = { "properties", false, &element };

		must_refuse(w, at, path, json_pack("[{s:s}]", "name", "-bad-"));
		must_refuse(w, at, path, json_pack("[{s:s},{s:s}]", "name", "n", "name", "N"));
		walk_props(w, p->child->props, &props, arena_printf(a, "%s[0].properties", path));
		break;
	}
	case ARM_BOOL:
	case ARM_ANY:
		break;
	}
}

static void
walk_props(struct walk *w, const struct arm_prop *props, const struct frame *outer,
	   const char *path)
{
	for (const struct arm_prop *p = props; p && p->name; p++) {
		const struct frame at = { p->name, false, outer };
		const char *own = *path ? arena_printf(&w->f->arena, "%s.%s", path, p->name)
					: p->name;

		if (!(p->flags & ARM_READ_ONLY))
			walk_value(w, p, p->kind, &at, own);
	}
}

static void
every_property_of_every_type_is_checked(void **state)
{
	static const struct frame properties = { "properties", false, NULL };
	struct fixture *f = *state;

	group(f);
	for (const struct arm_type *const *t = example_provider.types; *t; t++) {
		struct walk w = { .f = f, .top = *t };

		walk_props(&w, (*t)->top, NULL, "");
		walk_props(&w, (*t)->props, &properties, "properties");
		if (!strcmp((*t)->name, "toys"))
			assert_true(w.n > 100);
	}
	assert_int_equal(ask_as(f, (struct ask){ .who = "w" }, ARM_GET,
				"/subscriptions/" SUB "/resources", NULL),
			 200);
	assert_int_equal(json_array_size(json_object_get(f->resp.body, "value")), 0);
	assert_int_equal(store_scanned_rows(f->s), 0);
}

/* What is no table's business: bodies, names and paths, at every verb. */
static void
bad_bodies_and_paths_reach_nothing(void **state)
{
	static const struct {
		const char *path, *body;
		int status;
	} table[] = {
		{ TOY "h1", "{", 400 },
		{ TOY "h1", "[]", 400 },
		{ TOY "h1", "null", 400 },
		{ TOY "h1", "\"x\"", 400 },
		{ TOY "h1", "{\"location\":\"x\",\"location\":\"y\"}", 400 },
		{ TOY "h1", "{\"location\":\"x\",\"properties\":{\"age\":1,\"age\":2}}", 400 },
		{ TOY "h1", "{\"location\":\"\xc3\x28\"}", 400 },
		{ TOY "h1", "{\"location\":\"\xed\xa0\x80\"}", 400 },
		{ TOY "h1", "{\"location\":\"a\\u0000b\"}", 400 },
		{ TOY "h1", "{\"location\":\"x\",\"properties\":[]}", 400 },
		{ TOY "h1", "{\"location\":\"x\",\"properties\":{\"age\":1e999}}", 400 },
		{ TOY "-h", "{\"location\":\"x\"}", 400 },
		{ TOY "..", "{\"location\":\"x\"}", 400 },
		{ TOY "%2e%2e", "{\"location\":\"x\"}", 400 },
		{ TOY "a%2fb", "{\"location\":\"x\"}", 400 },
		{ TOY "a%5cb", "{\"location\":\"x\"}", 400 },
		{ TOY "a%00", "{\"location\":\"x\"}", 400 },
		{ TOY "%c0%ae", "{\"location\":\"x\"}", 400 },
		{ TOY "h%31/wheels/w%2f", "{}", 400 },
		{ TOY "h1/wheels/w1", "{}", 404 },
		{ TOY "h1/nothing/w1", "{}", 404 },
		{ TOY "h1/wheels/w1/spokes/s1", "{}", 404 },
	};
	static const enum arm_method methods[] = { ARM_PUT, ARM_PATCH, ARM_DELETE, ARM_POST };
	struct fixture *f = *state;
	json_t *deep = json_object();
	char *text_of;

	group(f);
	for (size_t i = 0; i < COUNT(table); i++)
		for (size_t k = 0; k < COUNT(methods); k++) {
			int status = ask(f, methods[k], table[i].path, table[i].body);

			if (methods[k] == ARM_PUT ? status != table[i].status
						  : status != 204 && (status < 400 || status > 499))
				fail_msg("row %zu, method %zu: %d", i, k, status);
		}
	for (int i = 0; i < 40; i++)
		deep = json_pack("{s:o}", "a", deep);
	text_of = json_dumps(deep, 0);
	assert_int_equal(ask(f, ARM_PUT, TOY "h1", text_of), 400);
	free(text_of);
	json_decref(deep);
	assert_int_equal(ask(f, ARM_GET, G "/resources", NULL), 200);
	assert_int_equal(json_array_size(json_object_get(f->resp.body, "value")), 0);
}

/* A type that is one file and one line in the provider's list. */
static void
one_file_is_a_whole_type(void **state)
{
	struct fixture *f = *state;
	const char *etag;
	size_t n;

	group(f);
	assert_int_equal(ask(f, ARM_PUT, TOY "t1",
			     "{\"location\":\"X\",\"tags\":{\"a\":\"b\"},\"properties\":{"
			     "\"shape\":\"square\",\"serial\":\"s1\",\"pin\":\"1234\",\"sold\":7,"
			     "\"wheels\":[{\"name\":\"w1\",\"properties\":{\"spokes\":5}}]}}"),
			 201);
	assert_string_equal(text(f, "properties.shape"), "Square");
	assert_string_equal(text(f, "kind"), "Round");
	assert_true(arm_bool(f->resp.body, "properties.loud", false));
	assert_null(arm_at(f->resp.body, "properties.pin"));
	assert_null(arm_at(f->resp.body, "properties.sold"));
	etag = arena_strdup(&f->arena, text(f, "etag"));
	assert_int_equal(ask(f, ARM_GET, TOY "T1/WHEELS/W1", NULL), 200);
	assert_string_equal(text(f, "id"), TOY "t1/wheels/w1");
	assert_int_equal(ask_as(f, (struct ask){ .who = "w", .if_match = "\"no\"" }, ARM_PUT,
				TOY "t1/wheels/w2", "{\"properties\":{\"spokes\":9}}"),
			 412);
	assert_int_equal(ask_as(f, (struct ask){ .who = "w", .if_match = etag }, ARM_PUT,
				TOY "t1/wheels/w1", "{\"properties\":{\"spokes\":9}}"),
			 200);
	assert_int_equal(ask(f, ARM_PUT, TOY "t1/wheels/w2", "{\"properties\":{\"spokes\":9}}"),
			 201);
	assert_int_equal(ask(f, ARM_PUT, TOY "t1",
			     "{\"location\":\"x\",\"properties\":{\"serial\":\"s2\"}}"),
			 400);
	assert_string_equal(code(f), "PropertyChangeNotAllowed");
	assert_int_equal(ask(f, ARM_PATCH, TOY "t1", "{\"tags\":{}}"), 200);
	assert_int_equal(
		ask(f, ARM_GET, "/subscriptions/" SUB "/providers/example.things/toys", NULL), 200);
	assert_int_equal(json_array_size(json_object_get(f->resp.body, "value")), 1);
	assert_non_null(strstr(arm_openapi(f->en, &n), "\"Example.Things.toys.wheels\""));
	assert_int_equal(ask(f, ARM_DELETE, TOY "t1/wheels/w2", NULL), 202);
	assert_int_equal(ask(f, ARM_DELETE, TOY "t1", NULL), 202);
	assert_int_equal(ask(f, ARM_GET, TOY "t1", NULL), 404);
}

#define CASE(x) cmocka_unit_test_setup_teardown(x, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(every_property_of_every_type_is_checked),
		CASE(bad_bodies_and_paths_reach_nothing),
		CASE(one_file_is_a_whole_type),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
