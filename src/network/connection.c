/* Microsoft.Network/connections of type ExpressRoute: joins a gateway, and so its VNet, to a
 * circuit. The two import each other's routes. A circuit of another subscription is joined with an
 * authorization key of its owner, good for one connection. */
#include "network/peering.h"
#include "store/directory.h"

struct joint {
	const struct arm_resource *gateway, *vnet, *circuit;
};

static int
joint_find(struct arm_plan *p, struct joint *j)
{
	const char *gw = arm_ref(p->want->body, REF_GATEWAY);
	const char *peer = arm_ref(p->want->body, REF_PEER);
	struct arm_error *e = p->s->error;

	j->gateway = gw ? arm_get(p->s, gw) : NULL;
	j->circuit = peer ? arm_get(p->s, peer) : NULL;
	j->vnet = j->gateway ? gateway_vnet(p->s, j->gateway) : NULL;
	if (!j->vnet || j->gateway->type != &gateway_type)
		return arm_refuse_at(e, 400, "InvalidResourceReference", REF_GATEWAY,
				     "There is no virtual network gateway %s.", gw ? gw : "");
	if (!j->circuit || j->circuit->type != &circuit_type)
		return arm_refuse_at(e, 400, "InvalidResourceReference", REF_PEER,
				     "There is no circuit %s.", peer ? peer : "");
	return 0;
}

/* The links there are beside the one being made. */
static size_t
others(const struct arm_plan *p, struct link *links, size_t n)
{
	size_t n_others = 0;

	for (size_t i = 0; i < n; i++)
		if (!text_equal(links[i].connection->fold, p->want->fold))
			links[n_others++] = links[i];
	return n_others;
}

/* ---- what may ---- */

static int
circuit_is_ready(struct arm_plan *p, const struct arm_resource *circuit)
{
	if (circuit_state_check(p, circuit, CIRCUIT_LINK) < 0)
		return -EBADE;
	if (!arm_child(circuit->body, "peerings", PEERING_PRIVATE))
		return arm_refuse(p->s->error, 400, "PeeringNotConfigured",
				  "Circuit %s has no private peering.", circuit->id);
	return 0;
}

static int
limits_check(struct arm_plan *p, const struct joint *j)
{
	const struct catalogue *cat = network_catalogue(p->s);
	const struct catalogue_limits *l = catalogue_limits(cat);
	const char *at = circuit_peering_location(p->s, j->circuit);
	const struct catalogue_location *location = catalogue_location(cat, at);
	const struct catalogue_region *region =
		catalogue_region(cat, arm_str(j->vnet->body, "location", ""));
	enum sku_tier tier = circuit_sku(j->circuit).tier;
	uint32_t max = rule_max_links(l, tier, circuit_mbps(j->circuit));
	size_t n_same = 0, n;
	struct link *links;
	struct err e;

	if (location && region && rule_reach(tier, location, region, &e) < 0)
		return arm_refuse(p->s->error, 400, "CircuitDoesNotReachRegion", "%s.", e.text);
	if (circuit_n_links(p->s, j->circuit, p->want->fold) >= max)
		return arm_refuse(p->s->error, 400, "CircuitLinkLimitReached",
				  "A %s circuit of %u Mbps has at most %u links.",
				  sku_tier_name(tier), circuit_mbps(j->circuit), max);
	n = links_of_vnet(p->s, j->vnet, &links);
	n = others(p, links, n);
	for (size_t i = 0; i < n; i++)
		n_same += text_equal(circuit_peering_location(p->s, links[i].circuit), at);
	if (n_same >= l->links_same_location)
		return arm_refuse(p->s->error, 400, "CircuitLinkLimitReached",
				  "A virtual network has at most %u circuits of one location.",
				  l->links_same_location);
	return 0;
}

static int
addresses_check(struct arm_plan *p, const struct joint *j)
{
	const struct catalogue_limits *l = catalogue_limits(network_catalogue(p->s));
	struct prefix *mine, *other;
	size_t n_mine = vnet_prefixes(p->s, j->vnet, &mine), n_links;
	struct link *links;

	if (n_mine > l->address_spaces_per_vnet)
		return arm_refuse(p->s->error, 400, "VnetHasTooManyPrefixes",
				  "A virtual network with more than %u prefixes cannot be linked.",
				  l->address_spaces_per_vnet);
	n_links = links_of_circuit(p->s, j->circuit, &links);
	n_links = others(p, links, n_links);
	for (size_t i = 0; i < n_links; i++) {
		size_t n = vnet_prefixes(p->s, links[i].vnet, &other);

		for (size_t k = 0; k < n_mine; k++)
			if (prefix_find_overlap(other, n, &mine[k]))
				return arm_refuse(p->s->error, 400, "VnetAddressSpacesOverlap",
						  "The address space of %s overlaps that of %s, "
						  "linked to the same circuit.",
						  j->vnet->id, links[i].vnet->id);
	}
	return peering_vnet_overlap(p->s, arm_child(j->circuit->body, "peerings", PEERING_PRIVATE),
				    j->vnet);
}

/* A partner's circuit serves one of his customers, in as many subscriptions as that one has. */
static int
customer_check(struct arm_plan *p, const struct joint *j)
{
	const char *owner = j->circuit->tenant, *mine = p->want->tenant;
	struct store_tenant t;
	struct link *links;
	size_t n;

	if (text_equal(owner, mine) ||
	    store_tenant_get(p->s->tx, p->s->arena, owner, &t, NULL) != 1 || !t.is_partner)
		return 0;
	n = links_of_circuit(p->s, j->circuit, &links);
	n = others(p, links, n);
	for (size_t i = 0; i < n; i++) {
		const char *other = links[i].connection->tenant;

		if (!text_equal(other, owner) && !text_equal(other, mine))
			return arm_refuse(p->s->error, 409, "CircuitServesAnotherCustomer",
					  "Circuit %s serves another customer of its owner: a circuit "
					  "is never shared between customers.",
					  j->circuit->id);
	}
	return 0;
}

static int
connection_create(struct arm_plan *p, const struct joint *j)
{
	const char *pair = arena_printf(p->s->arena, "%s %s", j->gateway->fold, j->circuit->fold);
	int r = circuit_is_ready(p, j->circuit);

	if (r == 0 && arm_claim(p, NULL, CLAIM_LINK, pair, NULL) < 0)
		r = arm_refuse(p->s->error, 409, "ConnectionAlreadyExists",
			       "Gateway and circuit are joined already by %s.",
			       claim_holder(p->s, CLAIM_LINK, pair));
	if (r == 0)
		r = customer_check(p, j);
	if (r == 0)
		r = limits_check(p, j);
	if (r == 0)
		r = addresses_check(p, j);
	if (r == 0)
		r = circuit_join(p, j->circuit,
				 arm_str(p->want->body, "properties.authorizationKey", ""),
				 p->want->id);
	if (r == 0)
		arm_set(p->want->body, "properties.resourceGuid", json_string(arm_new_guid(p)));
	return r;
}

static int
connection_plan(struct arm_plan *p)
{
	const struct catalogue_limits *l = catalogue_limits(network_catalogue(p->s));
	struct joint j;

	if (p->verb == ARM_VERB_DELETE) {
		const char *gw = arm_ref(p->have->body, REF_GATEWAY);
		const struct arm_resource *g = gw ? arm_get(p->s, gw) : NULL;
		const struct arm_resource *vnet = g ? gateway_vnet(p->s, g) : NULL;

		link_recompile(p, arm_ref(p->have->body, REF_PEER), vnet ? vnet->id : NULL);
		return 0;
	}
	if (p->verb != ARM_VERB_CREATE && p->verb != ARM_VERB_UPDATE)
		return 0;
	if (arm_int(p->want->body, "properties.routingWeight", 0) > l->max_routing_weight)
		return arm_refuse_at(p->s->error, 400, "InvalidParameter",
				     "properties.routingWeight", "At most %u.",
				     l->max_routing_weight);
	int r = joint_find(p, &j);

	if (r == 0 && p->verb == ARM_VERB_CREATE)
		r = connection_create(p, &j);
	if (r == 0)
		link_recompile(p, j.circuit->id, j.vnet->id);
	return r;
}

static bool
is_connected(struct arm_snapshot *s, const struct arm_resource *r)
{
	const char *peer = arm_ref(r->body, REF_PEER);
	const struct arm_resource *circuit = peer ? arm_get(s, peer) : NULL;
	const json_t *peering = circuit ? arm_child(circuit->body, "peerings", PEERING_PRIVATE)
					: NULL;

	return peering && circuit_provider_state(s, circuit) == PROVIDER_PROVISIONED &&
	       text_equal(arm_str(peering, "properties.state", ""), "Enabled");
}

static int
connection_view(struct arm_snapshot *s, const struct arm_resource *r, json_t *out)
{
	const char *status = is_connected(s, r) ? "Connected" : "NotConnected";

	arm_set(out, "properties.connectionStatus",
		json_string(r->is_updating ? "Connecting" : status));
	arm_set(out, "properties.ingressBytesTransferred", json_integer(0));
	arm_set(out, "properties.egressBytesTransferred", json_integer(0));
	return 0;
}

/* clang-format off */
static const struct arm_prop connection_props[] = {
	{ .name = "connectionType", .kind = ARM_STRING, .flags = ARM_REQUIRED | ARM_FIXED,
	  .words = (const char *const[]){ "ExpressRoute", NULL } },
	{ .name = "virtualNetworkGateway1", .kind = ARM_REF, .flags = ARM_REQUIRED | ARM_FIXED,
	  .ref_type = "Microsoft.Network/virtualNetworkGateways" },
	/* Whether the circuit may be joined is asked here, not by the engine: a key is enough. */
	{ .name = "peer", .kind = ARM_REF, .flags = ARM_REQUIRED | ARM_FIXED,
	  .ref_type = "Microsoft.Network/expressRouteCircuits" },
	{ .name = "authorizationKey", .kind = ARM_STRING, .flags = ARM_SECRET },
	{ .name = "routingWeight", .kind = ARM_INT, .min = 0, .max = INT32_MAX, .def = "0" },
	{ .name = "enableBgp", .kind = ARM_BOOL, .def = "false" },
	{ .name = "usePolicyBasedTrafficSelectors", .kind = ARM_BOOL, .def = "false" },
	{ .name = "expressRouteGatewayBypass", .kind = ARM_BOOL, .def = "false" },
	{ .name = "connectionStatus", .kind = ARM_STRING, .flags = ARM_READ_ONLY },
	{ .name = "ingressBytesTransferred", .kind = ARM_INT, .flags = ARM_READ_ONLY },
	{ .name = "egressBytesTransferred", .kind = ARM_INT, .flags = ARM_READ_ONLY },
	{ .name = "resourceGuid", .kind = ARM_STRING, .flags = ARM_READ_ONLY },
	{ 0 },
};
/* clang-format on */

const struct arm_type connection_type = {
	.ns = "Microsoft.Network",
	.name = "connections",
	.flags = ARM_TRACKED,
	.props = connection_props,
	.plan = connection_plan,
	.view = connection_view,
};
