/* Inside src/network: what edges have learned from customers for a virtual network, asked from them
 * while a call waits. */
#pragma once

#include "network/types.h"

enum { LEARNED_MAX = 20000 }; /* rows of one node */

/* Asks both edges of every circuit that reaches the virtual network. */
void learned_ask(struct arm_call *c, const struct arm_resource *vnet);

struct learned {
	struct prefix prefix;
	const char *path;    /* AS path, "65001 65010" */
	struct addr peer;    /* the edge's address on the customer's link: what told the gateway */
	unsigned connection; /* index in links_reaching() */
};
/* The rows of all answers, sorted by prefix and edge. Refuses when a circuit's edges are both silent;
 * *ret_n is 0 then. */
int learned_read(struct arm_call *c, const struct arm_resource *vnet, struct learned **ret,
		 size_t *ret_n);
/* An edge's own address on a private peering's link; false: no such peering. */
bool edge_link_address(const struct arm_resource *circuit, unsigned side, struct addr *ret);
