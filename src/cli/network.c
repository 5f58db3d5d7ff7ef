/* See network.h. */
#include "cli/network.h"
#include "base/mem.h"
#include "cli/resource.h"
#include "cli/rest.h"

#include <jansson.h>

#define NETWORK_API "2023-09-01"
#define NICS "Microsoft.Network/networkInterfaces"
#define GATEWAYS "Microsoft.Network/virtualNetworkGateways"

const struct network_question nic_routes = { NICS,
					     "effectiveRouteTable",
					     "",
					     { "SOURCE", "source", "STATE", "state", "PREFIX",
					       "addressPrefix", "NEXT HOP", "nextHopType",
					       "ADDRESS", "nextHopIpAddress", NULL } };
const struct network_question nic_rules = {
	NICS,
	"effectiveNetworkSecurityGroups",
	"effectiveSecurityRules",
	{ "DIRECTION", "direction", "PRIORITY", "priority", "ACCESS", "access", "PROTOCOL",
	  "protocol", "FROM", "sourceAddressPrefixes", "TO", "destinationAddressPrefixes", "PORTS",
	  "destinationPortRanges", NULL }
};
const struct network_question gateway_learned = { GATEWAYS,
						  "getLearnedRoutes",
						  "",
						  { "NETWORK", "network", "NEXT HOP", "nextHop",
						    "FROM", "sourcePeer", "ORIGIN", "origin",
						    "PATH", "asPath", "WEIGHT", "weight", NULL } };
const struct network_question gateway_advertised = { GATEWAYS,
						     "getAdvertisedRoutes",
						     "",
						     { "NETWORK", "network", "NEXT HOP", "nextHop",
						       "ORIGIN", "origin", NULL } };
const struct network_question gateway_peers = { GATEWAYS,
						"getBgpPeerStatus",
						"",
						{ "NEIGHBOR", "neighbor", "AS", "asn", "STATE",
						  "state", "ROUTES", "routesReceived", NULL } };

static void
add_rows(struct table *t, const struct network_question *q, const json_t *rows)
{
	json_t *row;
	size_t i;

	json_array_foreach(rows, i, row) {
		char *cells[7] = { 0 };

		for (unsigned k = 0; q->columns[k * 2]; k++)
			cells[k] = resource_leaf(row, q->columns[k * 2 + 1]);
		table_add(t, cells[0], cells[1], cells[2], cells[3], cells[4], cells[5], cells[6]);
		for (unsigned k = 0; k < COUNT(cells); k++)
			free(cells[k]);
	}
}

static void
print_answer(const struct network_question *q, const json_t *value)
{
	const char *headings[8] = { 0 };
	AUTO_BUF out = { 0 };
	json_t *one;
	size_t i;

	for (unsigned k = 0; q->columns[k * 2]; k++)
		headings[k] = q->columns[k * 2];

	AUTO(table) t = table_create(headings);

	if (!*q->rows)
		add_rows(t, q, value);
	else
		json_array_foreach(value, i, one)
			add_rows(t, q, json_object_get(one, q->rows));
	table_print(t, &out);
	fputs(buf_str(&out), stdout);
}

int
network_rows(struct cli *c)
{
	const struct network_question *q = c->command->data;
	const char *peer = q == &gateway_advertised ? cli_value(c, "peer") : NULL;
	AUTO(rest) r = NULL;
	json_t *answer = NULL;
	int code = rest_open(c, c->as ? c->as : "customer", &r);

	if (code != CLI_OK)
		return code;
	AUTO_FREE char *id = resource_id(c, r, q->type, c->args[0]);
	AUTO_FREE char *path =
		mem_printf("%s/%s%s%s", id, q->action, peer ? "?peer=" : "", peer ? peer : "");

	code = rest_do(r, "POST", path, NETWORK_API, NULL, &answer);
	if (code == CLI_OK && c->is_json)
		cli_print_json(answer);
	else if (code == CLI_OK)
		print_answer(q, json_object_get(answer, "value"));
	json_decref(answer);
	return code;
}
