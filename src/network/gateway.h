/* Inside src/network: virtual network gateways, as connections and routes see them. */
#pragma once

#include "network/types.h"

bool gateway_is_vpn(const struct arm_resource *gateway);
/* Circuits that a gateway of this SKU may be connected to. */
unsigned gateway_max_circuits(const struct arm_resource *gateway);
/* Its first private address: what its BGP speaks from. */
const char *gateway_address(const struct arm_resource *gateway);
/* A connection in the short form of a gateway's list; a new reference. */
json_t *connection_brief(const struct arm_resource *r);
/* Operations (gateway_routes.c). */
extern const struct arm_action gateway_actions[];
