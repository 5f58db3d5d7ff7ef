/* The network's resource providers: Microsoft.Network (circuits, cross connections, VNets, NICs,
 * gateways, connections) and Wayleave.Fabric (the operator's own: locations, edge pairs, ports,
 * providers, hosts). Tables and hooks for the ARM engine; compile() of each aggregate yields the
 * node objects of fabric/node.h.
 *
 * What belongs to whom: the circuit owns bandwidth, SKU, peerings, S-tag and ports; the cross
 * connection owns the provider's state and notes. Both rows are written in one transaction. */
#pragma once

#include "arm/type.h"

struct network;
/* dir: the catalogue's directory (catalogue.h). *ret is arm_config.ctx. */
int network_open(const char *dir, struct network **ret, struct err *e);
void network_destroy(struct network *n); /* NULL is fine */
CLEANUP(network)

/* arm_config.providers: NULL-terminated. */
extern const struct arm_provider *const network_providers[];
/* arm_config.locations: the catalogue's regions. */
json_t *network_locations(struct arm_snapshot *s, void *ctx);
