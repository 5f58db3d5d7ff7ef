/* The generated document says of the example provider what its tables say. */
#include "rig.h"

#define PATHS "/subscriptions/{subscriptionId}/resourceGroups/{resourceGroupName}/providers/"
#define BOXES PATHS "Example.Things/boxes"

static json_t *
document(struct fixture *f)
{
	size_t n;
	const char *text = arm_openapi(f->en, &n);
	json_t *j = json_loads(text, JSON_REJECT_DUPLICATES, NULL);

	assert_non_null(j);
	assert_int_equal(strlen(text), n);
	assert_ptr_equal(arm_openapi(f->en, &n), text); /* made once */
	return j;
}

static const json_t *
at(const json_t *j, const char *a, const char *b, const char *c)
{
	j = json_object_get(j, a);
	j = b ? json_object_get(j, b) : j;
	return c ? json_object_get(j, c) : j;
}

static void
paths_have_the_verbs_that_are_offered(void **state)
{
	static const struct {
		const char *path, *verbs;
	} table[] = {
		{ BOXES, "get" },
		{ BOXES "/{boxesName}", "delete get head patch put" },
		{ BOXES "/{boxesName}/lids", "get" },
		{ BOXES "/{boxesName}/lids/{lidsName}", "delete get head put" },
		{ BOXES "/{boxesName}/weigh", "post" },
		{ BOXES "/{boxesName}/count", "get" },
		{ "/subscriptions/{subscriptionId}/providers/Example.Things/boxes", "get" },
		{ "/subscriptions/{subscriptionId}/resourceGroups/{resourceGroupName}",
		  "delete get head patch put" },
		{ "/{scope}/providers/Microsoft.Authorization/locks/{lockName}", "delete get put" },
		{ "/tenants", "get" },
	};
	static const char *const verbs[] = { "delete", "get", "head", "patch", "post", "put" };
	struct fixture *f = *state;
	json_t *doc = document(f);

	for (size_t i = 0; i < COUNT(table); i++) {
		const json_t *item = at(doc, "paths", table[i].path, NULL);
		const char *all = "";

		for (size_t k = 0; k < COUNT(verbs); k++)
			if (json_object_get(item, verbs[k]))
				all = arena_printf(&f->arena, "%s%s%s", all, *all ? " " : "",
						   verbs[k]);
		if (strcmp(all, table[i].verbs) != 0)
			fail_msg("%s: %s", table[i].path, all);
	}
	json_decref(doc);
}

static void
schemas_say_what_tables_say(void **state)
{
	struct fixture *f = *state;
	json_t *doc = document(f);
	const json_t *schemas = at(doc, "components", "schemas", NULL);
	const json_t *box = json_object_get(schemas, "Example.Things.boxes");
	const json_t *props = arm_at(box, "properties.properties.properties");
	const json_t *put, *lid = json_object_get(schemas, "Example.Things.boxes.lids");

	assert_string_equal(json_string_value(json_array_get(json_object_get(box, "required"), 0)),
			    "location");
	assert_int_equal(json_array_size(at(props, "colour", "enum", NULL)), 2);
	assert_string_equal(json_string_value(at(props, "colour", "default", NULL)), "Red");
	assert_int_equal(json_integer_value(at(props, "label", "maxLength", NULL)), 10);
	assert_int_equal(arm_int(props, "size.properties.width.maximum", 0), 1000);
	assert_true(json_is_true(at(props, "number", "readOnly", NULL)));
	assert_null(at(props, "key", "writeOnly", NULL)); /* shown to writers */
	assert_true(json_is_true(arm_at(lid, "properties.properties.properties.code.writeOnly")));
	assert_string_equal(json_string_value(at(props, "shelf", "x-wayleave-type", NULL)),
			    "Example.Things/shelves");
	assert_string_equal(arm_str(props, "lids.items.$ref", ""),
			    "#/components/schemas/Example.Things.boxes.lids");
	put = at(doc, "paths", BOXES "/{boxesName}", "put");
	assert_true(json_is_true(json_object_get(put, "x-ms-long-running-operation")));
	assert_non_null(at(put, "responses", "201", NULL));
	assert_non_null(at(put, "responses", "default", NULL));
	json_decref(doc);
}

#define CASE(x) cmocka_unit_test_setup_teardown(x, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(paths_have_the_verbs_that_are_offered),
		CASE(schemas_say_what_tables_say),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
