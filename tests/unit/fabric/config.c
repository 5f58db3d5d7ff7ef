#include "../test.h"

#include "fabric/node.h"

#include <jansson.h>

static const char base[] =
	"objects:\n"
	"- {kind: node, key: a, body: {role: edge, number: 1, underlay: 10.255.0.1}}\n"
	"- {kind: fabricPeer, key: b, body: {role: edge, number: 2, underlay: 10.255.0.2, pair: true}}\n"
	"- {kind: port, key: p, body: {dev: trunk0}}\n"
	"- {kind: circuit, key: c, body: {port: p, sTag: 100, bandwidthMbps: 200}}\n"
	"- {kind: domain, key: d, body: {number: 17, circuit: c, peeringType: private, cTag: 200, "
	"localAddress: 172.16.0.2/30, peerAddress: 172.16.0.1, peerAs: 65010}}\n"
	"- {kind: vnet, key: v, body: {number: 18, addressPrefixes: [10.1.0.0/16]}}\n"
	"- {kind: nic, key: n, body: {vnet: 18, addresses: [10.1.0.4], mac: '02:00:00:00:00:04', node: h}}\n";

static struct node_config *
load(const char *text)
{
	struct err e = { 0 };
	struct json_t *doc = node_yaml_load(text, strlen(text), &e);
	struct node_config *c = NULL;

	if (!doc || node_config_from_json(doc, &c, &e) < 0)
		fail_msg("%s", e.text);
	json_decref(doc);
	return c;
}

static struct node_config *
load_with(const char *more)
{
	char text[8192];

	snprintf(text, sizeof(text), "%s%s\n", base, more);
	return load(text);
}

struct seen {
	char text[1024];
};

static void
on_change(void *arg, const struct node_object *from, const struct node_object *to)
{
	struct seen *s = arg;
	size_t n = strlen(s->text);

	assert(from || to);
	snprintf(s->text + n, sizeof(s->text) - n, "%c%s ",
		 from && to ? '~'
		 : to       ? '+'
			    : '-',
		 (to ? to : from)->key);
}

static void
test_order_of_changes(void **state)
{
	struct node_config *none = node_config_create(), *c = load(base);
	struct seen up = { "" }, down = { "" };

	node_config_diff(none, c, on_change, &up);
	node_config_diff(c, none, on_change, &down);
	assert_string_equal(up.text, "+a +b +p +c +d +v +n ");
	assert_string_equal(down.text, "-n -v -d -c -p -b -a ");
	node_config_destroy(none);
	node_config_destroy(c);
}

static void
test_one_change_is_one_change(void **state)
{
	static const char text[] =
		"{\"kind\":\"circuit\",\"key\":\"c\",\"rev\":9,\"body\":{\"port\":\"p\","
		"\"sTag\":100,\"bandwidthMbps\":500}}";
	struct node_config *a = load(base), *b = node_config_copy(a);
	struct node_object *o;
	struct seen s = { "" };

	assert_int_equal(node_object_parse(text, strlen(text), &o, NULL), 0);
	node_config_put(b, o);
	node_config_diff(a, b, on_change, &s);
	assert_string_equal(s.text, "~c ");
	node_config_destroy(a);
	node_config_destroy(b);
}

static void
on_bad(void *arg, const struct node_object *o, const struct err *e)
{
	struct seen *s = arg;
	size_t n = strlen(s->text);

	snprintf(s->text + n, sizeof(s->text) - n, "%s\n", e->text);
}

static void
check(const char *more, const char *expected)
{
	struct node_config *c = load_with(more);
	struct seen s = { "" };

	node_config_check(c, on_bad, &s);
	assert_string_equal(s.text, expected);
	node_config_destroy(c);
}

static void
test_rules_between_objects(void **state)
{
	check("", "");
	check("- {kind: node, key: z, body: {role: edge, number: 3, underlay: 10.255.0.3}}",
	      "node z: a config has one node object\n");
	check("- {kind: fabricPeer, key: z, body: {role: host, number: 2, underlay: 10.255.0.3}}",
	      "fabricPeer z: number: already used by fabricPeer b\n");
	check("- {kind: port, key: z, body: {dev: trunk1}}",
	      "port z: index: already used by port p\n");
	check("- {kind: circuit, key: z, body: {port: q, sTag: 1, bandwidthMbps: 50}}",
	      "circuit z: port: there is no port q\n");
	check("- {kind: circuit, key: z, body: {port: p, sTag: 100, bandwidthMbps: 50}}",
	      "circuit z: sTag: already used by circuit c\n");
	check("- {kind: domain, key: z, body: {number: 19, circuit: c, peeringType: private, cTag: 200, "
	      "localAddress: 172.16.0.6/30, peerAddress: 172.16.0.5, peerAs: 65010}}",
	      "domain z: cTag: already used by domain d\n");
	check("- {kind: domain, key: z, body: {number: 17, circuit: c, peeringType: private, cTag: 201, "
	      "localAddress: 172.16.0.6/30, peerAddress: 172.16.0.5, peerAs: 65010}}",
	      "domain z: number: already used by domain d\n");
	check("- {kind: vnet, key: z, body: {number: 17, addressPrefixes: [10.2.0.0/16]}}",
	      "vnet z: number: already used by domain d\n");
	check("- {kind: nic, key: z, body: {vnet: 99, addresses: [10.1.0.5], mac: '02:00:00:00:00:05', node: h}}",
	      "nic z: vnet: no vnet has the number 99\n");
	check("- {kind: nic, key: z, body: {vnet: 18, addresses: [10.9.0.5], mac: '02:00:00:00:00:05', node: h}}",
	      "nic z: addresses: 10.9.0.5 is outside the vnet\n");
	check("- {kind: nic, key: z, body: {vnet: 18, addresses: [10.1.0.4], mac: '02:00:00:00:00:05', node: h}}",
	      "nic z: addresses: 10.1.0.4: already used by nic n\n");
}

static void
test_twice_is_refused(void **state)
{
	char text[8192];
	struct err e = { 0 };
	struct json_t *doc;
	struct node_config *c;

	snprintf(text, sizeof(text), "%s- {kind: port, key: p, body: {dev: trunk1}}\n", base);
	doc = node_yaml_load(text, strlen(text), &e);
	assert_non_null(doc);
	assert_true(node_config_from_json(doc, &c, &e) < 0);
	assert_string_equal(e.text, "objects[7]: port p is there twice");
	json_decref(doc);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order_of_changes),
		cmocka_unit_test(test_one_change_is_one_change),
		cmocka_unit_test(test_rules_between_objects),
		cmocka_unit_test(test_twice_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
