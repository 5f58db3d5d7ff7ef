/* The network's resource providers: Microsoft.Network (circuits, cross connections, VNets, NICs,
 * gateways, connections) and Wayleave.Fabric (the operator's own: locations, edge pairs, ports,
 * providers, hosts). Tables and hooks for the ARM engine; compile() of each aggregate yields the
 * node objects of fabric/node.h.
 *
 * What belongs to whom: the circuit owns bandwidth, SKU, peerings, S-tag and ports; the cross
 * connection owns the provider's state and notes. Both rows are written in one transaction. */
#pragma once

#include "arm/engine.h"

struct network;
/* dir: the catalogue's directory (catalogue.h), for a store that has none yet; NULL: none. *ret is
 * arm_config.ctx. */
int network_open(const char *dir, struct network **ret, struct err *e);
/* From here on the store's catalogue counts; a store without one gets that of network_open() as its
 * first version. -ENOENT: neither has one. */
int network_start(struct network *n, struct arm_engine *en, struct err *e);
/* The files of a directory become the next version, when they differ from the stored ones and
 * nothing that they remove is in use. */
int network_reload(struct arm_engine *en, const char *dir, bool *ret_is_new, struct err *e);
void network_destroy(struct network *n); /* NULL is fine */
CLEANUP(network)

/* arm_config.providers: NULL-terminated. */
extern const struct arm_provider *const network_providers[];
/* arm_config.locations: the catalogue's regions. */
json_t *network_locations(struct arm_snapshot *s, void *ctx);
