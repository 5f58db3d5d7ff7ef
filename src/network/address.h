/* Inside src/network: addresses of subnets, given out by claim. */
#pragma once

#include "network/types.h"

/* The address for one IP configuration ({"properties": {subnet, privateIPAllocationMethod,
 * privateIPAddress, privateIPAddressVersion}}): the wished one (Static), the one it has (same
 * subnet), or a free one. Claims it for the plan's aggregate and writes privateIPAddress. */
int address_give(struct arm_plan *p, const json_t *have, json_t *want);
/* Gives an address of a configuration that goes back. */
void address_drop(struct arm_plan *p, const json_t *have);
/* Fold of the aggregate that has the address; NULL: free. */
const char *address_owner(struct arm_snapshot *s, const char *subnet, const struct addr *a);
/* {"id","name","properties"} of all configurations in have, want: gives and drops what changed. */
int addresses_settle(struct arm_plan *p, const json_t *have, json_t *want);

/* ---- public addresses (public_ip.c) ---- */

/* The plan's aggregate refers to public addresses in its ipConfigurations: those that are new are
 * taken (one user each; a dynamic one gets its address), those that are gone are freed. want NULL:
 * all go. */
int public_ips_settle(struct arm_plan *p, const json_t *have, const json_t *want);
