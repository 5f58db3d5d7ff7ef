/* What NICs and gateways answer: a POST, its rows as a table. */
#pragma once

#include "cli/cli.h"

/* command->data: what is asked, and its columns. */
struct network_question {
	const char *type,
		*action;         /* "Microsoft.Network/networkInterfaces", "effectiveRouteTable" */
	const char *rows;        /* where the rows are in each of value; "" = value itself */
	const char *columns[15]; /* heading, field, heading, field, ..., NULL */
};
extern const struct network_question nic_routes, nic_rules, gateway_learned, gateway_advertised,
	gateway_peers;
int network_rows(struct cli *c);
