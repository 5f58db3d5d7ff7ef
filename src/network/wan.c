/* Virtual WAN's gateways: clients list them, so the lists are there and empty; none can be made. */
#include "network/types.h"

static int
wan_gateway_plan(struct arm_plan *p)
{
	if (p->verb != ARM_VERB_CREATE)
		return 0;
	return arm_refuse_at(p->s->error, 400, "VirtualWanNotOffered", "properties.virtualHub",
			     "There are no virtual WAN hubs here. A virtual network is joined to a "
			     "circuit by a virtualNetworkGateways of type ExpressRoute and a "
			     "connections.");
}

static const struct arm_prop wan_gateway_props[] = {
	{ .name = "virtualHub", .kind = ARM_REF, .flags = ARM_LOOSE },
	{ .name = "autoScaleConfiguration", .kind = ARM_ANY },
	{ .name = "allowNonVirtualWanTraffic", .kind = ARM_BOOL, .def = "false" },
	{ 0 },
};

static const struct arm_prop wan_connection_props[] = {
	{ .name = "expressRouteCircuitPeering",
	  .kind = ARM_REF,
	  .flags = ARM_LOOSE,
	  .ref_type = "Microsoft.Network/expressRouteCircuits/peerings" },
	{ .name = "routingWeight", .kind = ARM_INT, .min = 0, .max = 32000, .def = "0" },
	{ 0 },
};

static const struct arm_type wan_connection_type = {
	.ns = "Microsoft.Network",
	.name = "expressRouteConnections",
	.props = wan_connection_props,
};

static const struct arm_type *const wan_gateway_children[] = { &wan_connection_type, NULL };

const struct arm_type wan_gateway_type = {
	.ns = "Microsoft.Network",
	.name = "expressRouteGateways",
	.flags = ARM_TRACKED,
	.props = wan_gateway_props,
	.children = wan_gateway_children,
	.plan = wan_gateway_plan,
};
