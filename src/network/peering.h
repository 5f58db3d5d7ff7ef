/* Inside src/network: peerings, as circuits and cross connections use them. */
#pragma once

#include "network/types.h"

extern const char *const peering_names[];

/* Adds to the refusal every link that needs this peering. */
void peering_block_by_links(struct arm_plan *p, const struct arm_resource *circuit,
			    const char *peering);
/* Refuses when a link's subnet lies in a VNet's address space. */
int peering_vnet_overlap(struct arm_snapshot *s, const json_t *peering,
			 const struct arm_resource *vnet);
/* Fills in what is computed; at NULL: no ports are shown. */
void peerings_view(const struct circuit_place *at, uint32_t cloud_asn, json_t *out);
