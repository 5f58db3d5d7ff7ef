#include "../test.h"

#include "node/poll.h"

#include <jansson.h>

#define PORT(key, rev, dev) \
	"{\"kind\":\"port\",\"key\":\"" key "\",\"rev\":" #rev ",\"body\":{\"dev\":\"" dev "\"}}"
#define FUTURE(key, rev) \
	"{\"kind\":\"port\",\"key\":\"" key "\",\"rev\":" #rev \
	",\"body\":{\"dev\":\"trunk9\",\"colour\":\"red\"}}"

struct node {
	struct node_config *config;
	json_t *refused;
};

static int
make_node(void **state)
{
	static struct node n;

	n = (struct node){ node_config_create(), json_object() };
	*state = &n;
	return 0;
}

static int
free_node(void **state)
{
	struct node *n = *state;

	node_config_destroy(n->config);
	json_decref(n->refused);
	return 0;
}

static void
poll_answer(struct node *n, bool is_snapshot, const char *text)
{
	json_t *objects = json_loads(text, 0, NULL);
	struct node_config *next;

	assert_non_null(objects);
	next = poll_merge(n->config, objects, is_snapshot, n->refused);
	node_config_destroy(n->config);
	n->config = next;
	json_decref(objects);
}

static const char *
dev_of(const struct node *n, const char *key)
{
	const struct node_object *o = node_config_get(n->config, NODE_PORT, key);

	return o ? o->port.dev : "";
}

static void
test_refused_change_keeps_the_old(void **state)
{
	struct node *n = *state;
	const json_t *error;

	poll_answer(n, false, "[" PORT("a", 1, "trunk0") "," PORT("b", 2, "trunk1") "]");
	poll_answer(n, false, "[" FUTURE("a", 3) "," PORT("b", 4, "trunk2") "]");
	assert_string_equal(dev_of(n, "a"), "trunk0");
	assert_string_equal(dev_of(n, "b"), "trunk2");
	assert_int_equal(json_object_size(n->refused), 1);
	error = json_object_get(n->refused, "port a");
	assert_string_equal(json_string_value(json_object_get(error, "kind")), "port");
	assert_string_equal(json_string_value(json_object_get(error, "key")), "a");
	assert_int_equal(json_integer_value(json_object_get(error, "rev")), 3);
	assert_non_null(strstr(json_string_value(json_object_get(error, "text")), "colour"));
	/* still so while others change; over when it can be read, or goes */
	poll_answer(n, false, "[" PORT("b", 5, "trunk3") "]");
	assert_int_equal(json_object_size(n->refused), 1);
	poll_answer(n, false, "[" PORT("a", 6, "trunk5") "]");
	assert_string_equal(dev_of(n, "a"), "trunk5");
	assert_int_equal(json_object_size(n->refused), 0);
}

static void
test_snapshot_does_not_delete_the_refused(void **state)
{
	struct node *n = *state;

	poll_answer(n, true,
		    "[" PORT("a", 1, "trunk0") "," PORT("b", 2, "trunk1") "," PORT("c", 3,
										   "trunk2") "]");
	poll_answer(n, true, "[" FUTURE("a", 4) "," PORT("b", 5, "trunk3") "]");
	assert_string_equal(dev_of(n, "a"), "trunk0");
	assert_string_equal(dev_of(n, "b"), "trunk3");
	assert_string_equal(dev_of(n, "c"), "");
	assert_int_equal(json_object_size(n->refused), 1);
	/* a new snapshot tells anew what is wrong */
	poll_answer(n, true, "[" PORT("b", 5, "trunk3") "]");
	assert_string_equal(dev_of(n, "a"), "");
	assert_int_equal(json_object_size(n->refused), 0);
}

static void
test_nameless_object_deletes_nothing(void **state)
{
	struct node *n = *state;

	poll_answer(n, true, "[" PORT("a", 1, "trunk0") "]");
	poll_answer(n, true, "[ 17, {\"kind\":\"port\"} ]");
	assert_string_equal(dev_of(n, "a"), "trunk0");
	assert_int_equal(json_object_size(n->refused), 2);
}

static void
test_deletion_ends_the_refusal(void **state)
{
	struct node *n = *state;

	poll_answer(n, false, "[" PORT("a", 1, "trunk0") "]");
	poll_answer(n, false, "[" FUTURE("a", 2) "]");
	poll_answer(n, false, "[{\"kind\":\"port\",\"key\":\"a\",\"rev\":3,\"deleted\":true}]");
	assert_string_equal(dev_of(n, "a"), "");
	assert_int_equal(json_object_size(n->refused), 0);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, make_node, free_node)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_refused_change_keeps_the_old),
		CASE(test_snapshot_does_not_delete_the_refused),
		CASE(test_nameless_object_deletes_nothing),
		CASE(test_deletion_ends_the_refusal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
