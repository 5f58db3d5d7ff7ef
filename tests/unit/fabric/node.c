#include "../test.h"

#include "fabric/node.h"

#include <jansson.h>

static struct node_object *
parse(const char *text)
{
	struct node_object *o = NULL;
	struct err e = { 0 };

	if (node_object_parse(text, strlen(text), &o, &e) < 0)
		fail_msg("%s", e.text);
	return o;
}

#define DOMAIN(extra) \
	"{\"kind\":\"domain\",\"key\":\"d\",\"rev\":3,\"body\":{\"number\":17,\"circuit\":\"c\"," \
	"\"peeringType\":\"private\",\"cTag\":200,\"localAddress\":\"172.16.0.2/30\"," \
	"\"peerAddress\":\"172.16.0.1\",\"peerAs\":65010" extra "}}"

static void
test_defaults(void **state)
{
	struct node_object *o = parse(DOMAIN(""));

	assert_int_equal(o->kind, NODE_DOMAIN);
	assert_int_equal(o->rev, 3);
	assert_int_equal(o->domain.hold_time, 180);
	assert_int_equal(o->domain.max_prefixes, 4000);
	assert_int_equal(o->domain.link_len, 30);
	assert_int_equal(o->domain.bfd.min_tx_ms, 300);
	assert_true(o->domain.is_enabled);
	assert_string_equal(o->domain.md5, "");
	node_object_destroy(o);
}

static void
test_round_trip(void **state)
{
	struct node_object *a =
		parse(DOMAIN(",\"md5\":\"key\",\"vnets\":[5,6],\"reach\":[9],\"bfd\":null"));
	struct node_object *b;
	struct json_t *v = node_object_encode(a);
	struct err e = { 0 };

	assert_int_equal(node_object_from_json(v, &b, &e), 0);
	assert_true(node_object_equal(a, b));
	assert_int_equal(b->domain.n_vnets, 2);
	assert_false(b->domain.bfd.enabled);
	json_decref(v);
	node_object_destroy(a);
	node_object_destroy(b);
}

static void
test_difference_is_seen(void **state)
{
	struct node_object *a = parse(DOMAIN("")), *b = parse(DOMAIN(",\"md5\":\"k\""));

	assert_false(node_object_equal(a, b));
	node_object_destroy(a);
	node_object_destroy(b);
}

/* An error may go to a log or to the controller: no secret in it. */
static void
test_secrets_stay_out_of_errors(void **state)
{
	static const char text[] = DOMAIN(",\"md5\":\"TOPSECRET\",\"cTag2\":1");
	struct node_object *o;
	struct err e = { 0 };

	assert_true(node_object_parse(text, strlen(text), &o, &e) < 0);
	assert_null(strstr(e.text, "TOPSECRET"));
}

static void
test_yaml(void **state)
{
	static const char text[] =
		"a: 1\nb: [x, 'y', \"3\", 3, true, null, ~]\nc:\n  d: -5\n  e: 10.1.0.0/16\n";
	struct err e = { 0 };
	struct json_t *v = node_yaml_load(text, strlen(text), &e);
	char *dump;

	assert_non_null(v);
	dump = json_dumps(v, JSON_COMPACT | JSON_SORT_KEYS);
	assert_string_equal(dump, "{\"a\":1,\"b\":[\"x\",\"y\",\"3\",3,true,null,null],"
				  "\"c\":{\"d\":-5,\"e\":\"10.1.0.0/16\"}}");
	free(dump);
	json_decref(v);
}

static void
test_yaml_refusals(void **state)
{
	static const char deep[] = "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]"
				   "]]]]]]]]]]]]]]]]]]]]";
	static const char *const bad[] = {
		"a: 1\na: 2\n", "a: &x 1\nb: *x\n", "a: !!int 1\n", "a: [1\n", "", deep,
	};

	for (unsigned i = 0; i < COUNT(bad); i++) {
		struct err e = { 0 };
		struct json_t *v = node_yaml_load(bad[i], strlen(bad[i]), &e);

		if (v)
			fail_msg("accepted: %s", bad[i]);
		assert_true(e.text[0] != '\0');
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_difference_is_seen),
		cmocka_unit_test(test_secrets_stay_out_of_errors),
		cmocka_unit_test(test_yaml),
		cmocka_unit_test(test_yaml_refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
