/* Inside src/network: addresses of subnets, given out by claim. */
#pragma once

#include "network/types.h"

/* The address for one IP configuration ({"properties": {subnet, privateIPAllocationMethod,
 * privateIPAddress}}): the wished one (Static), the one it has (same subnet), or a free one.
 * Claims it for the plan's aggregate and writes privateIPAddress. */
int address_give(struct arm_plan *p, const json_t *have, json_t *want);
/* Gives an address of a configuration that goes back. */
void address_drop(struct arm_plan *p, const json_t *have);
