/* A circuit as it is bought: of a provider at a peering location, or cut from the customer's own port
 * pair there; what its order needs, what may change later, and what stands in the way of its end.
 *
 *   provider: catalogue and trunk say yes -> place on a port pair with bandwidth left, claim S-tag
 *             and service key -> cross connection made in the provider's subscription
 *   direct:   the port pair is ours or its authorization is -> bandwidth left -> S-tag, service key
 *   change:   bandwidth grows, SKU as sold, peerings as peering.c says
 *   deletion: refused while the provider has it provisioned or something uses it */
#include "network/types.h"

#define SPP "properties.serviceProviderProperties."
#define GBPS "properties.bandwidthInGbps"

struct order {
	const struct catalogue_provider *provider; /* NULL: direct */
	const struct catalogue_offer *offer;
	const struct arm_resource *port; /* the customer's port pair, if direct */
	const struct catalogue_location *location;
	struct sku sku;
	int64_t mbps;
};

static const char *
bandwidth_field(const struct order *o)
{
	return o->port ? GBPS : SPP "bandwidthInMbps";
}

/* ---- reading it ---- */

/* Some clients name a provider circuit's new bandwidth in Gbps only. */
static void
gbps_take(json_t *body)
{
	json_t *gbps = arm_at(body, GBPS);

	if (json_is_number(gbps))
		arm_set(body, SPP "bandwidthInMbps",
			json_integer((json_int_t)(json_number_value(gbps) * 1000 + 0.5)));
	arm_set(body, GBPS, NULL);
}

static int
order_read_provider(struct arm_plan *p, struct order *o)
{
	const struct catalogue *cat = network_catalogue(p->s);
	json_t *body = p->want->body;
	struct arm_error *e = p->s->error;
	const char *provider = arm_str(body, SPP "serviceProviderName", NULL);
	const char *location = arm_str(body, SPP "peeringLocation", NULL);

	if (!provider || !location)
		return arm_refuse_at(e, 400, "InvalidParameter",
				     "properties.serviceProviderProperties",
				     "serviceProviderProperties with serviceProviderName, "
				     "peeringLocation and bandwidthInMbps are required, or "
				     "expressRoutePort and bandwidthInGbps for a direct circuit.");
	gbps_take(body);
	o->provider = catalogue_provider(cat, provider);
	if (!o->provider || !provider_subscription(p->s, provider))
		return arm_refuse_at(e, 400, "InvalidServiceProvider", SPP "serviceProviderName",
				     "There is no service provider named '%s'. See "
				     "expressRouteServiceProviders.",
				     provider);
	o->offer = catalogue_offer(o->provider, location);
	if (!o->offer)
		return arm_refuse_at(e, 400, "InvalidPeeringLocation", SPP "peeringLocation",
				     "%s is not at a peering location named '%s'. See "
				     "expressRouteServiceProviders.",
				     provider, location);
	o->location = o->offer->location;
	o->mbps = arm_int(body, SPP "bandwidthInMbps", 0);
	return 0;
}

static int
order_read_direct(struct arm_plan *p, struct order *o, const char *id)
{
	const json_t *gbps = arm_at(p->want->body, GBPS);
	struct arm_error *e = p->s->error;

	if (json_is_object(arm_at(p->want->body, "properties.serviceProviderProperties")))
		return arm_refuse_at(e, 400, "InvalidParameter", REF_DIRECT,
				     "A circuit has serviceProviderProperties or an "
				     "expressRoutePort, not both.");
	o->port = arm_get(p->s, id);
	if (!o->port || o->port->type != &direct_port_type || o->port->is_deleting)
		return arm_refuse_at(e, 400, "InvalidResourceReference", REF_DIRECT,
				     "There is no port pair %s.", id);
	if (!json_is_number(gbps))
		return arm_refuse_at(e, 400, "InvalidBandwidth", GBPS,
				     "bandwidthInGbps is required with an expressRoutePort.");
	o->location = catalogue_location(network_catalogue(p->s),
					 arm_str(o->port->body, "properties.peeringLocation", ""));
	if (!o->location)
		return arm_refuse_at(e, 409, "InvalidPeeringLocation", REF_DIRECT,
				     "The catalogue no longer has the location of %s.", id);
	o->mbps = (int64_t)(json_number_value(gbps) * 1000 + 0.5);
	return 0;
}

static int
order_read(struct arm_plan *p, struct order *o)
{
	const char *port = arm_ref(p->want->body, REF_DIRECT);

	*o = (struct order){ .sku = circuit_sku(p->want) };
	if (!port && arm_at(p->want->body, "properties.enableDirectPortRateLimit") &&
	    arm_bool(p->want->body, "properties.enableDirectPortRateLimit", false))
		return arm_refuse_at(p->s->error, 400, "InvalidParameter",
				     "properties.enableDirectPortRateLimit",
				     "Only circuits on an expressRoutePort choose this; a "
				     "provider's circuit is always limited to its bandwidth.");
	return port ? order_read_direct(p, o, port) : order_read_provider(p, o);
}

/* ---- what may be bought ---- */

static int
size_check(struct arm_plan *p, const struct order *o)
{
	const struct catalogue_limits *l = catalogue_limits(network_catalogue(p->s));
	struct err e;
	int r = o->port ? rule_direct_bandwidth(l,
						(uint32_t)arm_int(o->port->body,
								  "properties.bandwidthInGbps", 0),
						o->mbps, &e)
			: rule_bandwidth_new(o->provider, o->offer, o->mbps, &e);

	return r < 0 ? arm_refuse_at(p->s->error, 400, "InvalidBandwidth", bandwidth_field(o),
				     "%s.", e.text)
		     : 0;
}

static int
order_check_values(struct arm_plan *p, const struct order *o)
{
	const struct catalogue *cat = network_catalogue(p->s);
	const struct catalogue_region *region = catalogue_region(cat, p->location);
	struct err e;
	int r = size_check(p, o);

	if (r < 0)
		return r;
	if (rule_sku_new(catalogue_limits(cat), o->location, o->sku, (uint32_t)o->mbps, &e) < 0)
		return arm_refuse_at(p->s->error, 400, "InvalidSku", "sku", "%s.", e.text);
	/* Any region will do, but of the same cloud. */
	if (region && region->geo->cloud != o->location->geo->cloud)
		return arm_refuse_at(p->s->error, 400, "InvalidPeeringLocation",
				     o->port ? REF_DIRECT : SPP "peeringLocation",
				     "%s is a location of the cloud %s; region %s is in the cloud "
				     "%s.",
				     o->location->name, o->location->geo->cloud->name, region->name,
				     region->geo->cloud->name);
	return 0;
}

static int
sku_name_settle(struct arm_plan *p)
{
	const char *tier = arm_str(p->want->body, "sku.tier", "");
	const char *family = arm_str(p->want->body, "sku.family", "");
	const char *name = arena_printf(p->s->arena, "%s_%s", tier, family);

	const char *was = p->have ? arm_str(p->have->body, "sku.name", name) : name;
	const char *sent = arm_str(p->want->body, "sku.name", name);

	/* az changes the tier or the family and sends the name that it has read. */
	if (!text_equal(sent, name) && !text_equal(sent, was))
		return arm_refuse_at(p->s->error, 400, "InvalidSku", "sku.name",
				     "The name of this SKU is %s.", name);
	arm_set(p->want->body, "sku.name", json_string(name));
	return 0;
}

static int
limits_check(struct arm_plan *p)
{
	const struct catalogue_limits *l = catalogue_limits(network_catalogue(p->s));
	const struct arm_resource **v;
	size_t n = arm_list(p->s, &circuit_type, p->want->sub, NULL,
			    MIN(1000, l->circuits_per_subscription + 2), &v);
	size_t others = 0, here = 0;

	for (size_t i = 0; i < n; i++) {
		if (v[i] == p->want || text_equal(v[i]->fold, p->want->fold))
			continue;
		others++;
		here += text_equal(arm_str(v[i]->body, "location", NULL), p->location);
	}
	if (others >= l->circuits_per_subscription)
		return arm_refuse(p->s->error, 400, "CircuitLimitReached",
				  "A subscription has at most %u circuits.",
				  l->circuits_per_subscription);
	if (here >= l->circuits_per_region)
		return arm_refuse_at(p->s->error, 400, "CircuitLimitReached", "location",
				     "A subscription has at most %u circuits in one region.",
				     l->circuits_per_region);
	return 0;
}

/* ---- its place ---- */

void
port_use(struct arm_plan *p, const char *port, int64_t mbps)
{
	struct arm_resource *r = arm_edit_quietly(p, port);

	if (r)
		json_object_set_new(r->hidden, "usedMbps",
				    json_integer(arm_int(r->hidden, "usedMbps", 0) + mbps));
}

/* The port pair with most bandwidth left that can take it. */
static const struct arm_resource *
place_find(struct arm_snapshot *s, const struct order *o)
{
	const struct arm_resource **ports, *best = NULL;
	size_t n = provider_ports(s, o->provider->name, o->location->name, &ports);
	int64_t best_left = o->mbps - 1;

	for (size_t i = 0; i < n; i++) {
		int64_t left = (int64_t)port_capacity_mbps(ports[i]) - port_used_mbps(ports[i]);

		if (left > best_left) {
			best = ports[i];
			best_left = left;
		}
	}
	return best;
}

static int
stag_take(struct arm_plan *p, const struct arm_resource *port)
{
	uint64_t stag;

	if (arm_claim_number(p, NULL, arena_printf(p->s->arena, "stag:%s", port->fold), 2,
			     RULE_VLAN_MAX, &stag) < 0)
		return arm_refuse(p->s->error, 409, "InsufficientPortCapacity",
				  "No S-tag is left on port pair %s.", port->name);
	arm_set(p->want->body, "properties.stag", json_integer((json_int_t)stag));
	return 0;
}

static int
place_take_provider(struct arm_plan *p, const struct order *o)
{
	const struct arm_resource *port = place_find(p->s, o);

	if (!port)
		return arm_refuse_at(p->s->error, 409, "InsufficientPortCapacity",
				     SPP "bandwidthInMbps",
				     "No port pair of %s at %s has %d Mbps left.",
				     o->provider->name, o->location->name, (int)o->mbps);
	if (stag_take(p, port) < 0)
		return -EBADE;
	arm_set(p->want->body, "properties.trunk", json_reference(port->id));
	port_use(p, port->id, o->mbps);
	return 0;
}

static uint64_t
direct_capacity(struct arm_snapshot *s, const struct arm_resource *port)
{
	return (uint64_t)arm_int(port->body, "properties.bandwidthInGbps", 0) * 1000 *
	       catalogue_limits(network_catalogue(s))->direct_oversubscription;
}

static int
direct_room_check(struct arm_plan *p, const struct order *o, int64_t more)
{
	uint64_t max = direct_capacity(p->s, o->port);

	if (port_used_mbps(o->port) + (uint64_t)more <= max)
		return 0;
	return arm_refuse_at(p->s->error, 409, "InsufficientPortCapacity", GBPS,
			     "Port pair %s carries circuits of %llu Mbps together; %u Mbps are "
			     "taken, and %d more do not fit.",
			     o->port->id, (unsigned long long)max, port_used_mbps(o->port),
			     (int)more);
}

static int
direct_join(struct arm_plan *p, const struct order *o)
{
	const char *key = arm_str(p->want->body, "properties.authorizationKey", "");

	if (*key) {
		int r = authorization_redeem(p, o->port, key, p->want->id);

		if (r == 0)
			arm_set(p->want->body, "properties.authorizationStatus",
				json_string("InUse"));
		return r;
	}
	if (text_equal(o->port->sub, p->want->sub) &&
	    arm_may(p->s, "Microsoft.Network/expressRoutePorts/join/action", o->port->fold))
		return 0;
	return arm_refuse_at(p->s->error, 403, "LinkedAuthorizationFailed",
			     "properties.authorizationKey",
			     "Port pair %s is in another subscription or not yours to join: an "
			     "authorizationKey of its owner is needed.",
			     o->port->id);
}

/* On a Dot1Q port pair the VLANs of the peerings tell the circuits apart, not an S-tag. */
static int
place_take_direct(struct arm_plan *p, const struct order *o)
{
	const char *trunk = arm_ref(o->port->body, "properties.trunk");
	const struct arm_resource *port = trunk ? arm_get(p->s, trunk) : NULL;
	bool is_qinq = text_equal(arm_str(o->port->body, "properties.encapsulation", ""), "QinQ");
	int r;

	if (!port)
		return arm_refuse_at(p->s->error, 409, "Conflict", REF_DIRECT,
				     "The fabric's port of %s is gone.", o->port->id);
	r = direct_join(p, o);
	if (r == 0)
		r = direct_room_check(p, o, o->mbps);
	if (r == 0 && is_qinq)
		r = stag_take(p, port);
	if (r < 0)
		return r;
	if (!is_qinq)
		arm_set(p->want->body, "properties.stag", json_integer(0));
	arm_set(p->want->body, "properties.trunk", json_reference(port->id));
	port_use(p, o->port->id, o->mbps);
	return 0;
}

static int
cross_connection_make(struct arm_plan *p, const struct order *o)
{
	const char *key = circuit_service_key(p->want);
	char *group = arena_printf(p->s->arena, "CrossConnection-%s", o->location->name),
	     *to = group;

	for (char *c = group; *c; c++)
		if (*c != ' ')
			*to++ = *c;
	*to = 0;
	const char *id = arm_id_make(p->s->arena, provider_subscription(p->s, o->provider->name),
				     group, &cross_connection_type, key);
	struct arm_resource *xc = arm_create(p, &cross_connection_type, id, p->location);

	if (!xc)
		return arm_refuse(p->s->error, 409, "Conflict",
				  "The subscription of %s takes no cross connection.",
				  o->provider->name);
	arm_set(xc->body, "properties.serviceProviderProvisioningState",
		json_string("NotProvisioned"));
	arm_set(xc->body, "properties.serviceProviderNotes", json_string(""));
	arm_set(xc->body, "properties.expressRouteCircuit", json_reference(p->want->id));
	json_object_set_new(p->want->hidden, "crossConnection", json_string(id));
	cross_connection_mirror(p->want, xc);
	return 0;
}

int
circuit_create(struct arm_plan *p)
{
	const char *key = arm_new_guid(p);
	struct order o;
	int r = sku_name_settle(p);

	if (r == 0)
		r = order_read(p, &o);
	if (r == 0)
		r = order_check_values(p, &o);
	if (r == 0)
		r = limits_check(p);
	if (r == 0)
		r = o.port ? place_take_direct(p, &o) : place_take_provider(p, &o);
	if (r < 0)
		return r;
	if (arm_claim(p, NULL, CLAIM_SERVICE_KEY, key, NULL) < 0)
		return arm_refuse(p->s->error, 409, "Conflict", "Try again.");
	arm_set(p->want->body, "properties.serviceKey", json_string(key));
	r = peerings_settle(p, p->want, NULL);
	return r < 0 || o.port ? r : cross_connection_make(p, &o);
}

/* ---- changes ---- */

static int
bandwidth_change(struct arm_plan *p, const struct order *o)
{
	uint32_t from = circuit_mbps(p->have);
	struct circuit_place at;
	struct err e;

	if (o->mbps == from)
		return 0;
	if (rule_bandwidth_change(from, o->mbps, &e) < 0)
		return arm_refuse_at(p->s->error, 400, "BandwidthCannotBeReduced",
				     bandwidth_field(o), "%s.", e.text);
	if (size_check(p, o) < 0 || circuit_state_check(p, p->have, CIRCUIT_CHANGE) < 0)
		return -EBADE;
	if (o->port) {
		if (direct_room_check(p, o, o->mbps - from) < 0)
			return -EBADE;
		port_use(p, o->port->id, o->mbps - from);
		return 0;
	}
	if (!circuit_place(p->s, p->have, &at) ||
	    port_used_mbps(at.port) + o->mbps - from > port_capacity_mbps(at.port))
		return arm_refuse_at(p->s->error, 409, "InsufficientPortCapacity",
				     SPP "bandwidthInMbps",
				     "The circuit's port pair has no %d Mbps more; make a new "
				     "circuit.",
				     (int)(o->mbps - from));
	port_use(p, at.port->id, o->mbps - from);
	return 0;
}

/* The links there are that the circuit could not have as to be. Returns how many. */
static unsigned
links_block(struct arm_plan *p, const struct order *o)
{
	const struct catalogue *cat = network_catalogue(p->s);
	struct link *links;
	unsigned n_bad = 0;
	struct err e;

	for (size_t i = 0, n = links_of_circuit(p->s, p->have, &links); i < n; i++) {
		const struct catalogue_region *to =
			catalogue_region(cat, arm_str(links[i].vnet->body, "location", ""));
		const char *id = links[i].connection->id;

		if (!to || rule_reach(o->sku.tier, o->location, to, &e) == 0)
			continue;
		arm_error_block(p->s->error, "InUse", id, "DELETE", id, NULL, "%s.", e.text);
		n_bad++;
	}
	return n_bad;
}

static unsigned
reaches_block(struct arm_plan *p, const struct order *o)
{
	const struct catalogue *cat = network_catalogue(p->s);
	struct reach *v;
	unsigned n_bad = 0;
	struct err e;

	for (size_t i = 0, n = reaches_of_circuit(p->s, p->have, &v); i < n; i++) {
		const struct arm_resource *peer = arm_get(p->s, v[i].peer);
		const struct catalogue_location *at =
			peer ? catalogue_location(cat, circuit_peering_location(p->s, peer)) : NULL;

		if (!at || rule_global_reach(o->sku.tier, o->location, circuit_sku(peer).tier, at,
					     &e) == 0)
			continue;
		arm_error_block(p->s->error, "InUse", v[i].connection, "DELETE", v[i].connection,
				NULL, "%s.", e.text);
		n_bad++;
	}
	return n_bad;
}

/* More links than the circuit could have as to be: any of them may go. */
static int
room_check(struct arm_plan *p, const struct order *o)
{
	const struct catalogue_limits *l = catalogue_limits(network_catalogue(p->s));
	uint32_t max = rule_max_links(l, o->sku.tier, (uint32_t)o->mbps);
	size_t n = circuit_n_links(p->s, p->have, NULL);
	struct link *links;

	if (n <= max)
		return 0;
	for (size_t i = 0, k = links_of_circuit(p->s, p->have, &links); i < k; i++)
		arm_error_block(p->s->error, "InUse", links[i].connection->id, "DELETE",
				links[i].connection->id, NULL, "One of the circuit's %zu links.",
				n);
	return arm_refuse_at(p->s->error, 409, "SkuTierChangeNotAllowed", "sku.tier",
			     "The circuit has %zu links; %s allows %u.", n,
			     sku_tier_name(o->sku.tier), max);
}

/* A lower tier must still carry the links there are. */
static int
sku_change(struct arm_plan *p, const struct order *o)
{
	struct sku from = circuit_sku(p->have);
	unsigned n_bad;
	struct err e;

	if (from.tier == o->sku.tier && from.family == o->sku.family)
		return 0;
	if (rule_sku_change(from, o->sku, &e) < 0)
		return arm_refuse_at(p->s->error, 400,
				     from.family != o->sku.family ? "SkuFamilyChangeNotAllowed"
								  : "SkuTierChangeNotAllowed",
				     "sku", "%s.", e.text);
	if (circuit_state_check(p, p->have, CIRCUIT_CHANGE) < 0)
		return -EBADE;
	if (from.tier == o->sku.tier)
		return 0;
	n_bad = links_block(p, o) + reaches_block(p, o);
	if (n_bad)
		return arm_refuse_at(p->s->error, 409, "SkuTierChangeNotAllowed", "sku.tier",
				     "%u of the circuit's links are beyond the reach of %s; see "
				     "details.",
				     n_bad, sku_tier_name(o->sku.tier));
	return room_check(p, o);
}

int
circuit_update(struct arm_plan *p)
{
	struct order o;
	int r = sku_name_settle(p);

	if (r == 0)
		r = order_read(p, &o);
	if (r == 0)
		r = bandwidth_change(p, &o);
	if (r == 0)
		r = sku_change(p, &o);
	if (r == 0)
		r = peerings_settle(p, p->want, collection_of(p->have->body, "peerings"));
	if (r < 0)
		return r;
	struct arm_resource *xc = arm_edit(p, arm_str(p->want->hidden, "crossConnection", ""));

	if (xc)
		cross_connection_mirror(p->want, xc);
	return 0;
}

/* ---- its end ---- */

static void
route_filters_block(struct arm_plan *p)
{
	static const char *const field[] = { "properties.routeFilter",
					     "properties.ipv6PeeringConfig.routeFilter" };
	json_t *peering;
	size_t i;

	json_array_foreach(collection_of(p->have->body, "peerings"), i, peering)
		for (size_t k = 0; k < COUNT(field); k++) {
			const char *filter = arm_ref(peering, field[k]);

			if (filter)
				arm_block(p,
					  arena_printf(p->s->arena, "%s/peerings/%s", p->have->id,
						       arm_str(peering, "name", "")),
					  "Route filter %s is attached to this peering.", filter);
		}
}

/* Connections are named by the engine: they refer to the circuit. */
int
circuit_delete(struct arm_plan *p)
{
	const struct arm_resource *xc = circuit_cross_connection(p->s, p->have);
	enum provider_state state = circuit_provider_state(p->s, p->have);
	const char *direct = arm_ref(p->have->body, REF_DIRECT);
	struct circuit_place at;

	if (xc && state != PROVIDER_NOT_PROVISIONED)
		arm_block_call(p, xc->id, "PUT", xc->id,
			       "{\"properties\":{\"serviceProviderProvisioningState\":"
			       "\"NotProvisioned\"}}",
			       "The service provider has the circuit in state %s; the provider "
			       "takes it back.",
			       provider_state_names[state]);
	global_reach_block(p, p->have);
	route_filters_block(p);
	if (arm_is_blocked(p))
		return 0;
	if (direct)
		port_use(p, direct, -(int64_t)circuit_mbps(p->have));
	else if (circuit_place(p->s, p->have, &at))
		port_use(p, at.port->id, -(int64_t)circuit_mbps(p->have));
	return xc ? arm_remove(p, xc->id) : 0;
}
