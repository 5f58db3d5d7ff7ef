/* Dry runs: what they foretell is what then happens, and they leave nothing behind. */
#include "rig.h"

#define DRY "api-version=2020-01-01&dryRun=true"

static int
dry(struct fixture *f, enum arm_method m, const char *path, const char *body)
{
	return ask_as(f, (struct ask){ .who = "w", .query = DRY }, m, path, body);
}

static json_t *
change(struct fixture *f, size_t i)
{
	return json_array_get(arm_at(f->resp.body, "changes"), i);
}

static json_t *
delta(struct fixture *f, const char *path)
{
	json_t *one;
	size_t i;

	json_array_foreach(json_object_get(change(f, 0), "delta"), i, one)
		if (!strcmp(arm_str(one, "path", ""), path))
			return one;
	return NULL;
}

static int
revision_read(struct store_tx *tx, void *arg, struct err *e)
{
	int64_t *ret = arg, floor;

	return store_node_rev(tx, "node-1", ret, &floor, e);
}

static int64_t
revision(struct fixture *f)
{
	int64_t rev = 0;

	assert_int_equal(store_read(f->s, revision_read, &rev, NULL), 0);
	return rev;
}

static void
a_creation_is_foretold_and_not_made(void **state)
{
	static const char body[] =
		"{\"location\":\"westeurope\",\"properties\":{\"size\":{\"width\":"
		"5},\"key\":\"k1\"}}";
	struct fixture *f = *state;
	json_t *foretold;

	group(f);
	assert_int_equal(dry(f, ARM_PUT, BOX "b1", body), 200);
	assert_true(arm_bool(f->resp.body, "dryRun", false));
	assert_int_equal(arm_int(f->resp.body, "answer.status", 0), 201);
	assert_string_equal(arm_str(change(f, 0), "changeType", ""), "Create");
	assert_string_equal(arm_str(change(f, 0), "resourceId", ""), BOX "b1");
	assert_string_equal(arm_str(change(f, 0), "after.properties.key", ""), "***");
	assert_string_equal(header(f, "Azure-AsyncOperation"), "");
	assert_int_equal(json_array_size(arm_at(f->resp.body, "nodes")), 1);
	foretold = json_deep_copy(arm_at(f->resp.body, "answer.body"));
	/* nothing is left of it: not the row, the node's object, the number */
	assert_int_equal(ask(f, ARM_GET, BOX "b1", NULL), 404);
	assert_int_equal(revision(f), 0);
	assert_int_equal(ask(f, ARM_PUT, BOX "b1", body), 201);
	json_object_del(foretold, "etag");
	json_object_del(f->resp.body, "etag");
	assert_true(json_equal(foretold, f->resp.body));
	json_decref(foretold);
}

static void
a_change_is_told_by_property(void **state)
{
	static const char body[] =
		"{\"location\":\"westeurope\",\"properties\":{\"colour\":\"Green\",\"size\":{\"width\":"
		"7},\"key\":\"k2\",\"lids\":[{\"name\":\"l1\",\"properties\":{\"weight\":4}}]}}";
	struct fixture *f = *state;
	json_t *node, *object, *want;

	group(f);
	box(f, "b1", LEN);
	assert_int_equal(dry(f, ARM_PUT, BOX "b1", body), 200);
	assert_int_equal(arm_int(f->resp.body, "answer.status", 0), 200);
	assert_string_equal(arm_str(change(f, 0), "changeType", ""), "Modify");
	assert_string_equal(arm_str(delta(f, "properties.colour"), "before", ""), "Red");
	assert_string_equal(arm_str(delta(f, "properties.colour"), "after", ""), "Green");
	assert_int_equal(arm_int(delta(f, "properties.size.width"), "after", 0), 7);
	assert_int_equal(arm_int(delta(f, "properties.lids[l1].properties.weight"), "before", 0),
			 3);
	/* that the key differs is seen, the key is not */
	assert_string_equal(arm_str(delta(f, "properties.key"), "before", ""), "***");
	assert_string_equal(arm_str(delta(f, "properties.key"), "after", ""), "*** (changed)");
	assert_null(delta(f, "properties.lids[l1].properties.code"));
	node = json_array_get(arm_at(f->resp.body, "nodes"), 0);
	assert_string_equal(arm_str(node, "node", ""), "node-1");
	object = json_array_get(json_object_get(node, "objects"), 0);
	assert_string_equal(arm_str(object, "key", ""), "b1");
	assert_string_equal(arm_str(object, "changeType", ""), "Modify");
	assert_int_equal(json_array_size(json_object_get(object, "delta")), 2);
	assert_int_equal(arm_int(node, "hiddenObjects", -1), 0);
	want = json_deep_copy(json_object_get(change(f, 0), "after"));
	/* as it is, then as foretold */
	assert_int_equal(ask(f, ARM_GET, BOX "b1", NULL), 200);
	assert_string_equal(text(f, "properties.colour"), "Red");
	assert_int_equal(ask(f, ARM_PUT, BOX "b1", body), 200);
	assert_string_equal(text(f, "properties.colour"), arm_str(want, "properties.colour", ""));
	assert_int_equal(arm_int(f->resp.body, "properties.size.width", 0),
			 arm_int(want, "properties.size.width", 0));
	json_decref(want);
	/* no difference, no delta */
	assert_int_equal(dry(f, ARM_PUT, BOX "b1", body), 200);
	assert_int_equal(json_array_size(json_object_get(change(f, 0), "delta")), 0);
	assert_int_equal(json_array_size(arm_at(f->resp.body, "nodes")), 0);
}

static void
refusals_are_the_ordinary_ones(void **state)
{
	struct fixture *f = *state;

	group(f);
	box(f, "b1", LEN);
	assert_int_equal(dry(f, ARM_PUT, BOX "b1", "{\"properties\":{\"size\":{\"width\":4}}}"),
			 400);
	assert_string_equal(code(f), "BoxCannotShrink");
	assert_int_equal(ask_as(f, (struct ask){ .who = "r", .query = DRY }, ARM_DELETE, BOX "b1",
				NULL),
			 403);
	assert_int_equal(
		ask_as(f, (struct ask){ .who = "w", .query = "api-version=2020-01-01&dryRun=yes" },
		       ARM_DELETE, BOX "b1", NULL),
		400);
	assert_string_equal(code(f), "InvalidParameter");
	assert_int_equal(ask(f, ARM_GET, BOX "b1", NULL), 200);
	assert_int_equal(dry(f, ARM_DELETE, BOX "none", NULL), 200);
	assert_int_equal(arm_int(f->resp.body, "answer.status", 0), 204);
}

static void
deletions_are_foretold(void **state)
{
	struct fixture *f = *state;

	group(f);
	box(f, "b1", LEN);
	assert_int_equal(dry(f, ARM_DELETE, BOX "b1/lids/l1", NULL), 200);
	assert_string_equal(arm_str(delta(f, "properties.lids[l1]"), "propertyChangeType", ""),
			    "Delete");
	assert_int_equal(dry(f, ARM_DELETE, BOX "b1", NULL), 200);
	assert_int_equal(arm_int(f->resp.body, "answer.status", 0), 202);
	assert_string_equal(arm_str(change(f, 0), "changeType", ""), "Delete");
	assert_int_equal(dry(f, ARM_DELETE, G, NULL), 200);
	assert_int_equal(json_array_size(arm_at(f->resp.body, "changes")), 2);
	assert_int_equal(dry(f, ARM_PATCH, BOX "b1", "{\"tags\":{\"a\":\"b\"}}"), 200);
	assert_string_equal(arm_str(delta(f, "tags.a"), "after", ""), "b");
	assert_int_equal(ask(f, ARM_GET, BOX "b1/lids/l1", NULL), 200);
	assert_null(arm_at(f->resp.body, "tags.a"));
}

static void
unknown_fields_are_named(void **state)
{
	static const char *const want[] = { "kind", "properties.color", "properties.size.depth",
					    "properties.lids[0].properties.wait" };
	struct fixture *f = *state;
	json_t *got;

	group(f);
	assert_int_equal(
		dry(f, ARM_PUT, BOX "b1",
		    "{\"location\":\"westeurope\",\"name\":\"b1\",\"properties\":{\"color\":1,"
		    "\"provisioningState\":\"x\",\"size\":{\"width\":5,\"depth\":2},\"lids\":[{\"name\":"
		    "\"l\",\"properties\":{\"weight\":3,\"wait\":1}}]},\"kind\":\"x\"}"),
		200);
	got = arm_at(f->resp.body, "unknownFields");
	assert_int_equal(json_array_size(got), COUNT(want));
	for (size_t i = 0; i < COUNT(want); i++)
		assert_string_equal(json_string_value(json_array_get(got, i)), want[i]);
}

static void
live_nodes_are_asked(void **state)
{
	struct fixture *f = *state;
	json_t *poll, *answer;
	bool is_news;

	group(f);
	/* a node that is not there is not waited for */
	assert_int_equal(
		dry(f, ARM_PUT, BOX "b1",
		    "{\"location\":\"westeurope\",\"properties\":{\"size\":{\"width\":5}}}"),
		200);
	assert_string_equal(json_string_value(json_array_get(arm_at(f->resp.body, "weights"), 0)),
			    "unreachable");
	assert_int_equal(arm_agent_poll(f->en, "node-1", "", &poll, &is_news, NULL), 0);
	json_decref(poll);
	dry(f, ARM_PUT, BOX "b1",
	    "{\"location\":\"westeurope\",\"properties\":{\"size\":{\"width\":5}}}");
	assert_false(f->is_done);
	assert_int_equal(arm_agent_poll(f->en, "node-1", "", &poll, &is_news, NULL), 0);
	answer = json_pack("{s:O, s:s, s:i}", "id",
			   json_object_get(json_array_get(json_object_get(poll, "queries"), 0),
					   "id"),
			   "status", "ok", "result", 17);
	assert_int_equal(arm_agent_answer(f->en, "node-1", answer, NULL), 0);
	json_decref(answer);
	json_decref(poll);
	assert_true(f->is_done);
	assert_int_equal(f->resp.status, 200);
	assert_int_equal(json_integer_value(json_array_get(arm_at(f->resp.body, "weights"), 0)),
			 17);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
		CASE(a_creation_is_foretold_and_not_made),
		CASE(a_change_is_told_by_property),
		CASE(refusals_are_the_ordinary_ones),
		CASE(deletions_are_foretold),
		CASE(unknown_fields_are_named),
		CASE(live_nodes_are_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
