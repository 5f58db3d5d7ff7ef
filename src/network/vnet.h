/* Inside src/network: virtual networks, as their subnets, peerings, gateways and NICs see them. */
#pragma once

#include "network/space.h"
#include "network/types.h"

#define REF_SUBNET "properties.ipConfigurations.properties.subnet"
#define GATEWAY_SUBNET "GatewaySubnet"

extern const struct arm_type vnet_peering_type;

/* Prefixes of an address space's body ({"addressPrefixes":[..]}), both families. */
size_t space_read(struct arena *a, const json_t *space, struct prefix **ret);
/* Prefixes of a subnet's body. */
size_t subnet_prefixes(struct arena *a, const json_t *subnet, struct prefix **ret);
/* What a subnet's own references must keep to; for a whole virtual network. */
int subnets_check(struct arm_plan *p, const struct prefix *space, size_t n_space);
/* Refuses what may not be said about GatewaySubnet's route table. */
int gateway_subnet_routes_check(struct arm_plan *p, const json_t *route_table);

/* One peering with its other side, as stored. */
struct vnet_peer {
	const json_t *peering;             /* of the virtual network asked about */
	const struct arm_resource *remote; /* NULL: gone */
	const json_t *reverse;             /* the remote's peering back; NULL: none */
};
size_t vnet_peers(struct arm_snapshot *s, const struct arm_resource *vnet, struct vnet_peer **ret);
/* Both sides are there and allow traffic. */
bool vnet_peer_is_connected(const struct vnet_peer *peer);
/* Does the virtual network of `peer` (its own side) use the remote's gateways, and may it? */
bool vnet_peer_uses_gateway(const struct vnet_peer *peer);
/* The other side of that: does the remote use ours? */
bool vnet_peer_lends_gateway(const struct vnet_peer *peer);

/* Its id, for who may see it; else words. */
const char *vnet_shown(struct arm_snapshot *s, const struct arm_resource *vnet);

/* The aggregate's plan, as far as peerings go: overlap, gateways, states of both sides. */
int vnet_peerings_plan(struct arm_plan *p);
void vnet_peerings_view(struct arm_snapshot *s, const struct arm_resource *vnet, json_t *out);

/* ---- hub and spoke (spoke.c): circuits reach what a linked virtual network lends its gateway to ---- */

/* The virtual network whose gateway this one uses; NULL: none. */
const struct arm_resource *vnet_hub(struct arm_snapshot *s, const struct arm_resource *vnet);
/* The links by which circuits reach it: its own, or its hub's. */
size_t links_reaching(struct arm_snapshot *s, const struct arm_resource *vnet, struct link **ret);
/* Refuses when it overlaps anything that the circuits reaching it reach, too. */
int vnet_reach_check(struct arm_plan *p, const struct arm_resource *vnet);
/* The same for a virtual network (and its spokes) that is about to be linked to the circuit. */
int circuit_reach_check(struct arm_plan *p, const struct arm_resource *vnet,
			const struct arm_resource *circuit);
/* Its own prefixes and its spokes'. */
size_t hub_prefixes(struct arm_snapshot *s, const struct arm_resource *vnet, struct prefix **ret);
/* Everything whose node objects follow from this virtual network's reach. */
void vnet_recompile(struct arm_plan *p, const struct arm_resource *vnet);
void spokes_recompile(struct arm_plan *p, const struct arm_resource *hub);

/* Actions on virtual networks (vnet_usage.c). */
extern const struct arm_action vnet_actions[];
