/* Microsoft.Network/expressRouteCircuits: the customer's order and its children. The circuit owns
 * bandwidth, SKU, peerings, S-tag and ports; the provider's state and notes are the cross
 * connection's and are filled in on reading.
 *
 *   order:    catalogue and trunk say yes -> place on a port pair with bandwidth left, claim S-tag
 *             and service key -> cross connection made in the provider's subscription
 *   change:   bandwidth grows, SKU as sold, peerings as peering.c says
 *   deletion: refused while the provider has it provisioned or a connection uses it */
#include "network/peering.h"

/* ---- authorizations ---- */

static const struct arm_prop authorization_props[] = {
	{ .name = "authorizationKey",
	  .kind = ARM_STRING,
	  .flags = ARM_READ_ONLY | ARM_SECRET | ARM_SHOWN_TO_WRITERS },
	{ .name = "authorizationUseStatus", .kind = ARM_STRING, .flags = ARM_READ_ONLY },
	{ .name = "connectionResourceUri", .kind = ARM_STRING, .flags = ARM_READ_ONLY },
	{ 0 },
};

/* Revoking takes the connection that redeemed it away. */
static int
authorization_revoke(struct arm_plan *p, const json_t *have)
{
	json_t *redeemed = json_object_get(p->want->hidden, "redeemed");
	const char *name = arm_str(have, "name", "");
	const char *connection = json_string_value(json_object_get(redeemed, name));
	const struct arm_resource *c = connection ? arm_get(p->s, connection) : NULL;

	if (c && !c->is_deleting) {
		const char *gw = arm_ref(c->body, REF_GATEWAY);
		const struct arm_resource *g = gw ? arm_get(p->s, gw) : NULL;
		const struct arm_resource *vnet = g ? gateway_vnet(p->s, g) : NULL;

		link_recompile(p, NULL, vnet ? vnet->id : NULL);
		int r = arm_remove(p, c->id);

		if (r < 0)
			return r;
	}
	json_object_del(redeemed, name);
	return 0;
}

static int
authorization_check(struct arm_plan *p, const char *id, json_t *have, json_t *want)
{
	const struct catalogue_limits *l = catalogue_limits(network_catalogue(p->s));

	if (!want)
		return p->want ? authorization_revoke(p, have) : 0;
	if (have)
		return 0;
	if (json_array_size(collection_of(p->want->body, "authorizations")) >
	    l->authorizations_per_circuit)
		return arm_refuse(p->s->error, 400, "AuthorizationLimitReached",
				  "A circuit has at most %u authorizations.",
				  l->authorizations_per_circuit);
	arm_set(want, "properties.authorizationKey", json_string(arm_new_guid(p)));
	return 0;
}

const struct arm_type authorization_type = {
	.ns = "Microsoft.Network",
	.name = "authorizations",
	.props = authorization_props,
	.check = authorization_check,
};

/* ---- peerings, the customer's way ---- */

static int
circuit_peering_check(struct arm_plan *p, const char *id, json_t *have, json_t *want)
{
	if (want)
		return peering_check(p, WRITER_CUSTOMER, have, want);
	if (p->want) /* with the whole circuit the links are named by the references */
		peering_block_by_links(p, p->have, arm_str(have, "name", ""));
	return 0;
}

const struct arm_type peering_type = {
	.ns = "Microsoft.Network",
	.name = "peerings",
	.names = (const char *const[]){ PEERING_PRIVATE, PEERING_MICROSOFT, NULL },
	.props = peering_props,
	.actions = circuit_peering_actions,
	.in_use_code = "PeeringInUse",
	.in_use_status = 409,
	.check = circuit_peering_check,
};

/* ---- what a circuit knows ---- */

const char *
circuit_service_key(const struct arm_resource *circuit)
{
	return arm_str(circuit->body, "properties.serviceKey", "");
}

uint32_t
circuit_mbps(const struct arm_resource *circuit)
{
	return (uint32_t)arm_int(circuit->body,
				 "properties.serviceProviderProperties.bandwidthInMbps", 0);
}

struct sku
circuit_sku(const struct arm_resource *circuit)
{
	return sku_parse(arm_str(circuit->body, "sku.tier", NULL),
			 arm_str(circuit->body, "sku.family", NULL));
}

const struct arm_resource *
circuit_cross_connection(struct arm_snapshot *s, const struct arm_resource *circuit)
{
	const char *id = arm_str(circuit->hidden, "crossConnection", NULL);

	return id ? arm_get(s, id) : NULL;
}

enum provider_state
circuit_provider_state(struct arm_snapshot *s, const struct arm_resource *circuit)
{
	const struct arm_resource *xc = circuit_cross_connection(s, circuit);

	return xc ? provider_state_parse(
			    arm_str(xc->body, "properties.serviceProviderProvisioningState", NULL))
		  : PROVIDER_NOT_PROVISIONED;
}

bool
circuit_place(struct arm_snapshot *s, const struct arm_resource *circuit, struct circuit_place *ret)
{
	const char *id = arm_ref(circuit->body, "properties.trunk");

	ret->port = id ? arm_get(s, id) : NULL;
	ret->pair = ret->port ? port_pair(s, ret->port) : NULL;
	if (!ret->pair)
		return false;
	for (unsigned i = 0; i < 2; i++) {
		ret->edge[i] = pair_edge(ret->pair, i);
		ret->device_port[i] = arm_str(
			ret->port->body,
			i ? "properties.secondaryAzurePort" : "properties.primaryAzurePort", "");
	}
	return ret->edge[0] && ret->edge[1];
}

/* ---- the order ---- */

#define SPP "properties.serviceProviderProperties."

struct order {
	const struct catalogue_provider *provider;
	const struct catalogue_offer *offer;
	struct sku sku;
	int64_t mbps;
};

static int
order_read(struct arm_plan *p, struct order *o)
{
	const struct catalogue *cat = network_catalogue(p->s);
	const json_t *body = p->want->body;
	struct arm_error *e = p->s->error;
	const char *provider = arm_str(body, SPP "serviceProviderName", NULL);
	const char *location = arm_str(body, SPP "peeringLocation", NULL);

	if (!provider || !location)
		return arm_refuse_at(e, 400, "InvalidParameter",
				     "properties.serviceProviderProperties",
				     "serviceProviderProperties with serviceProviderName, "
				     "peeringLocation and bandwidthInMbps are required.");
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
	o->sku = circuit_sku(p->want);
	o->mbps = arm_int(body, SPP "bandwidthInMbps", 0);
	return 0;
}

static int
order_check_values(struct arm_plan *p, const struct order *o)
{
	const struct catalogue_limits *l = catalogue_limits(network_catalogue(p->s));
	struct arm_error *error = p->s->error;
	struct err e;

	if (rule_bandwidth_new(o->provider, o->offer, o->mbps, &e) < 0)
		return arm_refuse_at(error, 400, "InvalidBandwidth", SPP "bandwidthInMbps", "%s.",
				     e.text);
	if (rule_sku_new(l, o->offer->location, o->sku, (uint32_t)o->mbps, &e) < 0)
		return arm_refuse_at(error, 400, "InvalidSku", "sku", "%s.", e.text);
	return 0;
}

static int
sku_name_settle(struct arm_plan *p)
{
	const char *tier = arm_str(p->want->body, "sku.tier", "");
	const char *family = arm_str(p->want->body, "sku.family", "");
	const char *name = arena_printf(p->s->arena, "%s_%s", tier, family);

	if (!text_equal(arm_str(p->want->body, "sku.name", name), name))
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
	size_t n = arm_list(p->s, &circuit_type, p->want->sub, NULL, 1000, &v), others = 0,
	       here = 0;

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
		return arm_refuse(p->s->error, 400, "CircuitLimitReached",
				  "A subscription has at most %u circuits in one region.",
				  l->circuits_per_region);
	return 0;
}

/* The port pair with most bandwidth left that can take it. */
static const struct arm_resource *
place_find(struct arm_snapshot *s, const struct order *o)
{
	const struct arm_resource **ports, *best = NULL;
	size_t n = provider_ports(s, o->provider->name, o->offer->location->name, &ports);
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

static void
port_use(struct arm_plan *p, const char *port, int64_t mbps)
{
	struct arm_resource *r = arm_edit_quietly(p, port);

	if (r)
		json_object_set_new(r->hidden, "usedMbps",
				    json_integer(arm_int(r->hidden, "usedMbps", 0) + mbps));
}

static int
place_take(struct arm_plan *p, const struct order *o)
{
	const struct arm_resource *port = place_find(p->s, o);
	uint64_t stag;

	if (!port)
		return arm_refuse(p->s->error, 409, "InsufficientPortCapacity",
				  "No port pair of %s at %s has %d Mbps left.", o->provider->name,
				  o->offer->location->name, (int)o->mbps);
	if (arm_claim_number(p, NULL, arena_printf(p->s->arena, "stag:%s", port->fold), 2,
			     RULE_VLAN_MAX, &stag) < 0)
		return arm_refuse(p->s->error, 409, "InsufficientPortCapacity",
				  "No S-tag is left on port pair %s.", port->name);
	arm_set(p->want->body, "properties.stag", json_integer((json_int_t)stag));
	arm_set(p->want->body, "properties.trunk", json_reference(port->id));
	port_use(p, port->id, o->mbps);
	return 0;
}

static int
cross_connection_make(struct arm_plan *p, const struct order *o)
{
	const char *key = circuit_service_key(p->want);
	const char *location = o->offer->location->name;
	char *group = arena_printf(p->s->arena, "CrossConnection-%s", location), *to = group;

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

static int
circuit_create(struct arm_plan *p)
{
	struct order o;
	int r = order_read(p, &o);

	if (r == 0)
		r = order_check_values(p, &o);
	if (r == 0)
		r = limits_check(p);
	if (r == 0)
		r = place_take(p, &o);
	if (r < 0)
		return r;
	const char *key = arm_new_guid(p);

	if (arm_claim(p, NULL, CLAIM_SERVICE_KEY, key, NULL) < 0)
		return arm_refuse(p->s->error, 409, "Conflict", "Try again.");
	arm_set(p->want->body, "properties.serviceKey", json_string(key));
	r = peerings_settle(p, p->want);
	return r < 0 ? r : cross_connection_make(p, &o);
}

/* ---- changes ---- */

/* Some clients name a provider circuit's new bandwidth in Gbps only. */
static void
gbps_take(json_t *body)
{
	json_t *gbps = arm_at(body, "properties.bandwidthInGbps");

	if (json_is_number(gbps))
		arm_set(body, SPP "bandwidthInMbps",
			json_integer((json_int_t)(json_number_value(gbps) * 1000 + 0.5)));
	arm_set(body, "properties.bandwidthInGbps", NULL);
}

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
				     SPP "bandwidthInMbps", "%s.", e.text);
	if (rule_bandwidth_new(o->provider, o->offer, o->mbps, &e) < 0)
		return arm_refuse_at(p->s->error, 400, "InvalidBandwidth", SPP "bandwidthInMbps",
				     "%s.", e.text);
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

/* A lower tier must still carry the links there are. */
static int
sku_change(struct arm_plan *p, const struct order *o)
{
	const struct catalogue *cat = network_catalogue(p->s);
	struct sku from = circuit_sku(p->have);
	struct link *links;
	struct err e;

	if (rule_sku_change(from, o->sku, &e) < 0)
		return arm_refuse_at(p->s->error, 400,
				     from.family != o->sku.family ? "SkuFamilyChangeNotAllowed"
								  : "SkuTierChangeNotAllowed",
				     "sku", "%s.", e.text);
	if (from.tier == o->sku.tier)
		return 0;
	size_t n = links_of_circuit(p->s, p->have, &links);
	uint32_t max = rule_max_links(catalogue_limits(cat), o->sku.tier, (uint32_t)o->mbps);

	if (n > max)
		return arm_refuse_at(p->s->error, 400, "SkuTierChangeNotAllowed", "sku.tier",
				     "The circuit has %zu links; %s allows %u.", n,
				     sku_tier_name(o->sku.tier), max);
	for (size_t i = 0; i < n; i++) {
		const struct catalogue_region *to =
			catalogue_region(cat, arm_str(links[i].vnet->body, "location", ""));

		if (to && rule_reach(o->sku.tier, o->offer->location, to, &e) < 0)
			return arm_refuse_at(p->s->error, 400, "SkuTierChangeNotAllowed",
					     "sku.tier", "%s (%s).", e.text,
					     links[i].connection->id);
	}
	return 0;
}

static int
circuit_update(struct arm_plan *p)
{
	struct order o;
	int r = order_read(p, &o);

	if (r == 0)
		r = bandwidth_change(p, &o);
	if (r == 0)
		r = sku_change(p, &o);
	if (r == 0)
		r = peerings_settle(p, p->want);
	if (r < 0)
		return r;
	struct arm_resource *xc = arm_edit(p, arm_str(p->want->hidden, "crossConnection", ""));

	if (xc)
		cross_connection_mirror(p->want, xc);
	return 0;
}

/* Connections are named by the engine: they refer to the circuit. */
static int
circuit_delete(struct arm_plan *p)
{
	const struct arm_resource *xc = circuit_cross_connection(p->s, p->have);
	enum provider_state state = circuit_provider_state(p->s, p->have);
	struct circuit_place at;

	if (state != PROVIDER_NOT_PROVISIONED)
		arm_block_call(p, xc->id, "PUT", xc->id,
			       "{\"properties\":{\"serviceProviderProvisioningState\":"
			       "\"NotProvisioned\"}}",
			       "The service provider has the circuit in state %s; the provider "
			       "takes it back.",
			       provider_state_names[state]);
	if (circuit_place(p->s, p->have, &at))
		port_use(p, at.port->id, -(int64_t)circuit_mbps(p->have));
	return xc ? arm_remove(p, xc->id) : 0;
}

static int
circuit_plan(struct arm_plan *p)
{
	if (p->verb == ARM_VERB_DELETE)
		return circuit_delete(p);
	if (p->verb != ARM_VERB_CREATE && p->verb != ARM_VERB_UPDATE)
		return 0;
	gbps_take(p->want->body);
	int r = sku_name_settle(p);

	if (r < 0)
		return r;
	return p->verb == ARM_VERB_CREATE ? circuit_create(p) : circuit_update(p);
}

/* ---- reading ---- */

static void
authorizations_view(const struct arm_resource *r, json_t *out)
{
	const json_t *redeemed = json_object_get(r->hidden, "redeemed");
	json_t *a;
	size_t i;

	json_array_foreach(collection_of(out, "authorizations"), i, a) {
		const json_t *by = json_object_get(redeemed, arm_str(a, "name", ""));

		arm_set(a, "properties.authorizationUseStatus",
			json_string(by ? "InUse" : "Available"));
		if (by)
			arm_set(a, "properties.connectionResourceUri",
				json_string(json_string_value(by)));
	}
}

static int
circuit_view(struct arm_snapshot *s, const struct arm_resource *r, json_t *out)
{
	const struct arm_resource *xc = circuit_cross_connection(s, r);
	struct circuit_place at;
	bool has_place = circuit_place(s, r, &at);

	arm_set(out, "properties.trunk", NULL);
	arm_set(out, "properties.circuitProvisioningState",
		json_string(r->is_updating ? "Disabled" : "Enabled"));
	arm_set(out, "properties.serviceProviderProvisioningState",
		json_string(provider_state_names[circuit_provider_state(s, r)]));
	if (xc)
		arm_set(out, "properties.serviceProviderNotes",
			json_string(arm_str(xc->body, "properties.serviceProviderNotes", "")));
	arm_set(out, "properties.gatewayManagerEtag", json_string(""));
	arm_set(out, "properties.globalReachEnabled", json_false());
	peerings_view(has_place ? &at : NULL, catalogue_limits(network_catalogue(s))->cloud_asn,
		      out);
	authorizations_view(r, out);
	return 0;
}

/* ---- the table ---- */

/* clang-format off */
static const struct arm_prop circuit_top[] = {
	{ .name = "sku", .kind = ARM_OBJECT, .flags = ARM_REQUIRED,
	  .props = (const struct arm_prop[]){
		{ .name = "name", .kind = ARM_STRING },
		{ .name = "tier", .kind = ARM_STRING, .flags = ARM_REQUIRED,
		  .words = (const char *const[]){ "Local", "Standard", "Premium", NULL } },
		{ .name = "family", .kind = ARM_STRING, .flags = ARM_REQUIRED,
		  .words = (const char *const[]){ "MeteredData", "UnlimitedData", NULL } },
		{ 0 } } },
	{ 0 },
};

static const struct arm_prop circuit_props[] = {
	{ .name = "allowClassicOperations", .kind = ARM_BOOL, .def = "false" },
	{ .name = "circuitProvisioningState", .kind = ARM_STRING, .flags = ARM_READ_ONLY },
	{ .name = "serviceProviderProvisioningState", .kind = ARM_STRING, .flags = ARM_READ_ONLY },
	{ .name = "authorizations", .kind = ARM_CHILDREN, .flags = ARM_KEEP, .child = &authorization_type },
	{ .name = "peerings", .kind = ARM_CHILDREN, .flags = ARM_KEEP, .child = &peering_type },
	{ .name = "serviceKey", .kind = ARM_STRING, .flags = ARM_READ_ONLY },
	{ .name = "serviceProviderNotes", .kind = ARM_STRING, .flags = ARM_READ_ONLY },
	{ .name = "serviceProviderProperties", .kind = ARM_OBJECT, .flags = ARM_KEEP,
	  .props = (const struct arm_prop[]){
		{ .name = "serviceProviderName", .kind = ARM_STRING, .flags = ARM_REQUIRED | ARM_FIXED },
		{ .name = "peeringLocation", .kind = ARM_STRING, .flags = ARM_REQUIRED | ARM_FIXED },
		{ .name = "bandwidthInMbps", .kind = ARM_INT, .flags = ARM_REQUIRED },
		{ 0 } } },
	/* Never stored: a way to name the bandwidth. */
	{ .name = "bandwidthInGbps", .kind = ARM_NUMBER, .min = 0, .max = 400 },
	{ .name = "stag", .kind = ARM_INT, .flags = ARM_READ_ONLY },
	{ .name = "gatewayManagerEtag", .kind = ARM_STRING, .flags = ARM_READ_ONLY },
	{ .name = "globalReachEnabled", .kind = ARM_BOOL, .flags = ARM_READ_ONLY },
	/* The port pair it is placed on; not shown. */
	{ .name = "trunk", .kind = ARM_REF, .flags = ARM_READ_ONLY, .ref_type = "Wayleave.Fabric/ports" },
	{ 0 },
};
/* clang-format on */

static const struct arm_type *const circuit_children[] = { &peering_type, &authorization_type,
							   NULL };
static const struct arm_action circuit_actions[] = {
	{ .name = "stats",
	  .method = ARM_GET,
	  .run = circuit_stats_run,
	  .answered = circuit_stats_answered },
	{ 0 },
};

const struct arm_type circuit_type = {
	.ns = "Microsoft.Network",
	.name = "expressRouteCircuits",
	.flags = ARM_TRACKED,
	.top = circuit_top,
	.props = circuit_props,
	.children = circuit_children,
	.actions = circuit_actions,
	.in_use_code = "CircuitInUse",
	.in_use_status = 409,
	.plan = circuit_plan,
	.compile = circuit_compile,
	.view = circuit_view,
};
