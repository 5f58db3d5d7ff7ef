/* See status.h. Circuits come from the API, sessions and counters from the nodes of this machine:
 * what is missing is said, not an error. */
#include "cli/status.h"
#include "base/mem.h"
#include "base/mono.h"
#include "cli/local.h"
#include "cli/resource.h"
#include "cli/up.h"

#include <inttypes.h>
#include <jansson.h>
#include <time.h>

#define NETWORK_API "2023-09-01"
enum { RATE_MS = 1000, NODES_MAX = 8 };

static const char *
text_at(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

static json_t *
properties(const json_t *resource, const char *key)
{
	return json_object_get(json_object_get(resource, "properties"), key);
}

/* ---- circuits ---- */

static int
list_circuits(struct cli *c, json_t **ret)
{
	AUTO(rest) r = NULL;
	AUTO_FREE char *path = NULL;
	int code = rest_open(c, c->as ? c->as : "customer", &r);

	if (code != CLI_OK)
		return code;
	path = mem_printf("/subscriptions/%s/providers/Microsoft.Network/expressRouteCircuits",
			  c->subscription ? c->subscription : rest_env(r, "SUBSCRIPTION"));
	return rest_list(r, path, NETWORK_API, ret);
}

static void
print_circuits(const json_t *circuits)
{
	static const char *const headings[] = {
		"CIRCUIT", "MBPS", "SKU", "STATE", "PROVIDER STATE", "PEERINGS", "SERVICE KEY", NULL
	};
	AUTO(table) t = table_create(headings);
	AUTO_BUF out = { 0 };
	size_t i;
	json_t *item;

	json_array_foreach(circuits, i, item) {
		char mbps[24], peerings[24];

		snprintf(mbps, sizeof(mbps), "%" JSON_INTEGER_FORMAT,
			 json_integer_value(
				 json_object_get(properties(item, "serviceProviderProperties"),
						 "bandwidthInMbps")));
		snprintf(peerings, sizeof(peerings), "%zu",
			 json_array_size(properties(item, "peerings")));
		table_add(t, text_at(item, "name"), mbps,
			  text_at(json_object_get(item, "sku"), "name"),
			  json_string_value(properties(item, "circuitProvisioningState")),
			  json_string_value(properties(item, "serviceProviderProvisioningState")),
			  peerings, json_string_value(properties(item, "serviceKey")));
	}
	if (!table_rows(t)) {
		printf("No circuits; `wayleave circuit create NAME --bandwidth MBPS` orders one.\n");
		return;
	}
	table_print(t, &out);
	fputs(buf_str(&out), stdout);
}

/* The name of the circuit with that service key, else the key. */
static const char *
circuit_name(const json_t *circuits, const char *domain_key)
{
	size_t i, n = strcspn(domain_key, "/");
	json_t *item;

	json_array_foreach(circuits, i, item) {
		const char *key = json_string_value(properties(item, "serviceKey"));

		if (key && strlen(key) == n && !strncasecmp(key, domain_key, n))
			return text_at(item, "name");
	}
	return domain_key;
}

/* ---- nodes ---- */

struct node_view {
	const struct up_node *node;
	json_t *status, *before, *after; /* NULL: it does not answer */
};

static void
look_at(const struct cli *c, struct node_view *v)
{
	struct err e = { 0 };

	v->status = local_query(c, v->node->name, "status", NULL, &e);
	if (v->status && v->node->is_edge)
		v->before = local_query(c, v->node->name, "stats", NULL, &e);
}

/* Bits a second between the two looks for the row of that domain. */
static void
rate_of(const struct node_view *v, const char *key, const char *field, char *out, size_t size)
{
	size_t i;
	json_t *row;
	json_int_t was = 0, is = 0;

	for (int k = 0; k < 2; k++)
		json_array_foreach(json_object_get(k ? v->after : v->before, "value"), i, row) {
			if (!strcmp(text_at(row, "domain"), key))
				*(k ? &is : &was) = json_integer_value(json_object_get(row, field));
		}
	snprintf(out, size, "%.2f Mbit/s", (double)(is - was) * 8 / RATE_MS / 1000);
}

static void
add_sessions(struct table *t, const struct node_view *v, const json_t *circuits)
{
	const char *key;
	json_t *domain;

	json_object_foreach(json_object_get(v->status, "domains"), key, domain) {
		char in[32], out[32], prefixes[24];
		const char *name = circuit_name(circuits, key), *slash = strchr(key, '/');
		const char *session = text_at(domain, "session");
		/* Why it was down last time is nobody's question while it is up. */
		bool is_up = !strcmp(session, "Established");
		AUTO_FREE char *label =
			mem_printf("%s%s", name, name == key || !slash ? "" : slash);

		rate_of(v, key, "bytesIn", in, sizeof(in));
		rate_of(v, key, "bytesOut", out, sizeof(out));
		snprintf(prefixes, sizeof(prefixes), "%" JSON_INTEGER_FORMAT,
			 json_integer_value(json_object_get(domain, "prefixes")));
		table_add(t, v->node->name, label, session, text_at(domain, "bfd"), prefixes, in,
			  out, is_up ? "" : text_at(domain, "reason"));
	}
}

static void
add_fabric(struct table *t, const struct node_view *v)
{
	const char *key;
	json_t *peer;

	json_object_foreach(json_object_get(v->status, "fabric"), key, peer)
		table_add(t, v->node->name, key, text_at(peer, "session"), text_at(peer, "bfd"));
}

static void
print_nodes(struct node_view *views, unsigned n, const json_t *circuits)
{
	static const char *const sessions[] = { "EDGE", "LINK", "BGP",    "BFD", "PREFIXES",
						"IN",   "OUT",  "REMARK", NULL };
	static const char *const fabric[] = { "NODE", "TO", "BGP", "BFD", NULL };
	AUTO(table) s = table_create(sessions);
	AUTO(table) f = table_create(fabric);
	AUTO_BUF out = { 0 };

	for (unsigned i = 0; i < n; i++) {
		if (!views[i].status) {
			printf("%s does not run here\n", views[i].node->name);
			continue;
		}
		add_sessions(s, &views[i], circuits);
		add_fabric(f, &views[i]);
	}
	if (table_rows(s)) {
		buf_printf(&out, "\n");
		table_print(s, &out);
	}
	if (table_rows(f)) {
		buf_printf(&out, "\n");
		table_print(f, &out);
	}
	fputs(buf_str(&out), stdout);
}

static json_t *
as_json(struct node_view *views, unsigned n, json_t *circuits)
{
	json_t *nodes = json_object();

	for (unsigned i = 0; i < n; i++)
		json_object_set_new(nodes, views[i].node->name,
				    json_pack("{s:O*, s:O*}", "status", views[i].status, "stats",
					      views[i].after));
	return json_pack("{s:O*, s:o}", "circuits", circuits, "nodes", nodes);
}

int
status_run(struct cli *c)
{
	struct node_view views[NODES_MAX] = { 0 };
	struct timespec pause = { RATE_MS / 1000, RATE_MS % 1000 * 1000000L };
	json_t *circuits = NULL;
	unsigned n = 0;
	int code = list_circuits(c, &circuits);

	for (const struct up_node *node = up_nodes; node->name && n < NODES_MAX; node++) {
		views[n].node = node;
		look_at(c, &views[n++]);
	}
	nanosleep(&pause, NULL);
	for (unsigned i = 0; i < n; i++)
		if (views[i].before)
			views[i].after = local_query(c, views[i].node->name, "stats", NULL, NULL);
	if (c->is_json) {
		json_t *all = as_json(views, n, circuits);

		cli_print_json(all);
		json_decref(all);
	} else {
		if (code == CLI_OK)
			print_circuits(circuits);
		print_nodes(views, n, circuits);
	}
	for (unsigned i = 0; i < n; i++) {
		json_decref(views[i].status);
		json_decref(views[i].before);
		json_decref(views[i].after);
	}
	json_decref(circuits);
	return code;
}

/* ---- routes ---- */

static int
print_routes(const struct cli *c, const char *node, const char *object)
{
	static const char *const headings[] = { "NETWORK", "NEXT HOP", "LOCAL PREF", "PATH", NULL };
	struct err e = { 0 };
	json_t *result = local_query(c, node, "routes", object, &e), *row;
	AUTO(table) t = table_create(headings);
	AUTO_BUF out = { 0 };
	size_t i;

	if (!result)
		return cli_fail(CLI_FAILED, "%s: %s", node, e.text);
	json_array_foreach(json_object_get(result, "value"), i, row) {
		const json_t *pref = json_object_get(row, "locPrf");
		char text[24];

		if (json_is_integer(pref))
			snprintf(text, sizeof(text), "%" JSON_INTEGER_FORMAT,
				 json_integer_value(pref));
		else
			snprintf(text, sizeof(text), "%s", text_at(row, "locPrf"));
		table_add(t, text_at(row, "network"), text_at(row, "nextHop"), text,
			  text_at(row, "path"));
	}
	printf("%s %s\n", node, object);
	table_print(t, &out);
	fputs(buf_str(&out), stdout);
	json_decref(result);
	return CLI_OK;
}

int
status_routes(struct cli *c)
{
	unsigned n_answers = 0;
	int code = CLI_OK;

	for (const struct up_node *node = up_nodes; node->name; node++) {
		struct err e = { 0 };
		const char *key;
		json_t *status, *domain;

		if (c->n_args && strcmp(c->args[0], node->name) != 0)
			continue;
		if (!(status = local_query(c, node->name, "status", NULL, &e)))
			continue;
		n_answers++;
		json_object_foreach(json_object_get(status, "domains"), key, domain)
			if (print_routes(c, node->name, key) != CLI_OK)
				code = CLI_FAILED;
		json_decref(status);
	}
	return n_answers ? code
			 : cli_fail(CLI_NOT_FOUND, "no node%s%s of \"%s\" runs on this machine",
				    c->n_args ? " " : "", c->n_args ? c->args[0] : "", c->instance);
}
