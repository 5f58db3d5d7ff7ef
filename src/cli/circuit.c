/* See circuit.h. */
#include "cli/circuit.h"
#include "base/mem.h"
#include "cli/resource.h"

#include <jansson.h>

#define NETWORK_API "2023-09-01"
#define CIRCUITS "Microsoft.Network/expressRouteCircuits"

const struct circuit_question circuit_arp = { "arpTables",
					      { "AGE", "age", "INTERFACE", "interface", "ADDRESS",
						"ipAddress", "MAC", "macAddress", NULL } };
const struct circuit_question circuit_routes = { "routeTables",
						 { "NETWORK", "network", "NEXT HOP", "nextHop",
						   "LOCAL PREF", "locPrf", "WEIGHT", "weight",
						   "PATH", "path", NULL } };
const struct circuit_question circuit_summary = { "routeTablesSummary",
						  { "NEIGHBOR", "neighbor", "V", "v", "AS", "as",
						    "UP/DOWN", "upDown", "STATE/PREFIXES",
						    "statePfxRcd", NULL } };

static char *
cell(const json_t *row, const char *field)
{
	const json_t *v = json_object_get(row, field);

	if (json_is_string(v))
		return mem_strdup(json_string_value(v));
	if (json_is_integer(v))
		return mem_printf("%" JSON_INTEGER_FORMAT, json_integer_value(v));
	return mem_strdup("");
}

static void
print_rows(const struct circuit_question *q, const char *path, const json_t *rows)
{
	const char *headings[7] = { "LINK" };
	AUTO_BUF out = { 0 };
	unsigned n = 0;
	size_t i;
	json_t *row;

	for (; q->columns[n * 2]; n++)
		headings[n + 1] = q->columns[n * 2];

	AUTO(table) t = table_create(headings);

	json_array_foreach(rows, i, row) {
		char *cells[6] = { 0 };

		for (unsigned k = 0; k < n; k++)
			cells[k] = cell(row, q->columns[k * 2 + 1]);
		table_add(t, path, cells[0], cells[1], cells[2], cells[3], cells[4], cells[5]);
		for (unsigned k = 0; k < n; k++)
			free(cells[k]);
	}
	table_print(t, &out);
	fputs(buf_str(&out), stdout);
}

int
circuit_rows(struct cli *c)
{
	static const char *const both[] = { "primary", "secondary" };
	const struct circuit_question *q = c->command->data;
	const char *only = cli_value(c, "path"), *peering = cli_value(c, "peering")
								    ? cli_value(c, "peering")
								    : "AzurePrivatePeering";
	AUTO(rest) r = NULL;
	AUTO_FREE char *id = NULL;
	json_t *all = json_object();
	int code = rest_open(c, c->as ? c->as : "customer", &r);

	if (code == CLI_OK)
		id = resource_id(c, r, CIRCUITS, c->args[0]);
	for (size_t i = 0; code == CLI_OK && i < COUNT(both); i++) {
		AUTO_FREE char *path =
			mem_printf("%s/peerings/%s/%s/%s", id, peering, q->action, both[i]);
		json_t *answer = NULL;

		if (only && strcmp(only, both[i]) != 0)
			continue;
		code = rest_do(r, "POST", path, NETWORK_API, NULL, &answer);
		if (code == CLI_OK && c->is_json)
			json_object_set(all, both[i], json_object_get(answer, "value"));
		else if (code == CLI_OK)
			print_rows(q, both[i], json_object_get(answer, "value"));
		json_decref(answer);
	}
	if (code == CLI_OK && c->is_json)
		cli_print_json(all);
	json_decref(all);
	return code;
}

int
circuit_stats(struct cli *c)
{
	static const char *const headings[] = { "LINK", "BYTES IN", "BYTES OUT", NULL };
	AUTO(rest) r = NULL;
	AUTO_FREE char *id = NULL;
	AUTO_FREE char *path = NULL;
	AUTO_BUF out = { 0 };
	json_t *stats = NULL;
	int code = rest_open(c, c->as ? c->as : "customer", &r);

	if (code != CLI_OK)
		return code;
	id = resource_id(c, r, CIRCUITS, c->args[0]);
	path = mem_printf("%s/stats", id);
	code = rest_do(r, "GET", path, NETWORK_API, NULL, &stats);
	if (code == CLI_OK && c->is_json) {
		cli_print_json(stats);
	} else if (code == CLI_OK) {
		AUTO(table) t = table_create(headings);
		AUTO_FREE char *a_in = cell(stats, "primarybytesIn");
		AUTO_FREE char *a_out = cell(stats, "primarybytesOut");
		AUTO_FREE char *b_in = cell(stats, "secondarybytesIn");
		AUTO_FREE char *b_out = cell(stats, "secondarybytesOut");

		table_add(t, "primary", a_in, a_out);
		table_add(t, "secondary", b_in, b_out);
		table_print(t, &out);
		fputs(buf_str(&out), stdout);
	}
	json_decref(stats);
	return code;
}
