/* Microsoft.Network/expressRouteCircuits: the customer's order and its children. The circuit owns
 * bandwidth, SKU, peerings, S-tag and ports; the provider's state and notes are the cross
 * connection's and are filled in on reading.
 *
 * A direct circuit is cut from the customer's own port pair (direct_port.c): no provider, no cross
 * connection, usable at once. What is bought and how it changes is circuit_order.c's. */
#include "network/peering.h"

/* ---- peerings, the customer's way ---- */

static int
circuit_peering_check(struct arm_plan *p, const char *id, json_t *have, json_t *want)
{
	if (want)
		return peering_check(p, WRITER_CUSTOMER, p->want, have, want);
	if (p->want) /* with the whole circuit the links are named by the references */
		peering_block_by_links(p, p->have, arm_str(have, "name", ""));
	return 0;
}

static const struct arm_type *const peering_children[] = { &global_reach_type,
							   &peer_connection_type, NULL };

const struct arm_type peering_type = {
	.ns = "Microsoft.Network",
	.name = "peerings",
	.names = (const char *const[]){ PEERING_PRIVATE, PEERING_PUBLIC, PEERING_MICROSOFT, NULL },
	.props = peering_props,
	.children = peering_children,
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

bool
circuit_is_direct(const struct arm_resource *circuit)
{
	return arm_ref(circuit->body, REF_DIRECT) != NULL;
}

const char *
circuit_peering_location(struct arm_snapshot *s, const struct arm_resource *circuit)
{
	const char *id = arm_ref(circuit->body, REF_DIRECT);
	const struct arm_resource *port = id ? arm_get(s, id) : NULL;

	if (id)
		return port ? arm_str(port->body, "properties.peeringLocation", "") : "";
	return arm_str(circuit->body, "properties.serviceProviderProperties.peeringLocation", "");
}

uint32_t
circuit_mbps(const struct arm_resource *circuit)
{
	const json_t *gbps = arm_at(circuit->body, "properties.bandwidthInGbps");

	if (circuit_is_direct(circuit))
		return (uint32_t)(json_number_value(gbps) * 1000 + 0.5);
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

	if (circuit_is_direct(circuit))
		return PROVIDER_PROVISIONED;
	return xc ? provider_state_parse(
			    arm_str(xc->body, "properties.serviceProviderProvisioningState", NULL))
		  : PROVIDER_NOT_PROVISIONED;
}

int
circuit_state_check(struct arm_plan *p, const struct arm_resource *circuit, enum circuit_act act)
{
	static const char field[] = "properties.serviceProviderProvisioningState";
	const struct arm_resource *xc = circuit_cross_connection(p->s, circuit);
	enum provider_state needs;
	struct err e;

	if (rule_circuit_act(act, circuit_provider_state(p->s, circuit), &needs, &e) == 0)
		return 0;
	if (xc)
		arm_error_block(p->s->error, "ProviderState", xc->id, "PUT", xc->id,
				arena_printf(p->s->arena,
					     "{\"properties\":{"
					     "\"serviceProviderProvisioningState\":\"%s\"}}",
					     provider_state_names[needs]),
				"The service provider says %s first.", provider_state_names[needs]);
	if (act == CIRCUIT_LINK)
		return arm_refuse_at(p->s->error, 400, "CircuitNotProvisionedByProvider", field,
				     "%s (%s).", e.text, circuit->id);
	return arm_refuse_at(p->s->error, 409, "ProviderStateDoesNotAllow", field, "%s (%s).",
			     e.text, circuit->id);
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

/* ---- reading ---- */

static int
circuit_plan(struct arm_plan *p)
{
	switch (p->verb) {
	case ARM_VERB_CREATE:
		return circuit_create(p);
	case ARM_VERB_UPDATE:
		return circuit_update(p);
	case ARM_VERB_DELETE:
		return circuit_delete(p);
	case ARM_VERB_TAGS:
	case ARM_VERB_SETTLE:
		break;
	}
	return 0;
}

/* What clients compare to see whether gateways and peerings have changed: it moves with the circuit. */
static json_t *
gateway_manager_etag(const struct arm_resource *r)
{
	return json_array_size(collection_of(r->body, "peerings"))
		       ? json_textf("%lld", (long long)r->rev)
		       : json_string("");
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
	arm_set(out, "properties.gatewayManagerEtag", gateway_manager_etag(r));
	if (circuit_is_direct(r))
		arm_set(out, "properties.enableDirectPortRateLimit",
			json_boolean(
				arm_bool(r->body, "properties.enableDirectPortRateLimit", false)));
	arm_set(out, "properties.allowGlobalReach",
		json_boolean(circuit_sku(r).tier != TIER_LOCAL));
	global_reach_view(s, r, out);
	peerings_view(has_place ? &at : NULL, catalogue_limits(network_catalogue(s))->cloud_asn,
		      out);
	authorizations_view(r, out, "connectionResourceUri");
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
	/* Either of the two. Whether the port may be used is asked by the order: a key is enough. */
	{ .name = "expressRoutePort", .kind = ARM_REF, .flags = ARM_KEEP | ARM_FIXED,
	  .ref_type = "Microsoft.Network/expressRoutePorts" },
	{ .name = "authorizationKey", .kind = ARM_STRING, .flags = ARM_SECRET },
	{ .name = "authorizationStatus", .kind = ARM_STRING, .flags = ARM_READ_ONLY },
	{ .name = "enableDirectPortRateLimit", .kind = ARM_BOOL },
	/* With a provider it is not stored, only a way to name the bandwidth. */
	{ .name = "bandwidthInGbps", .kind = ARM_NUMBER, .flags = ARM_KEEP, .min = 0, .max = 400 },
	{ .name = "allowGlobalReach", .kind = ARM_BOOL, .flags = ARM_READ_ONLY },
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
	.watched = (const char *const[]){ "properties.circuitProvisioningState",
					  "properties.serviceProviderProvisioningState", NULL },
	.metrics = circuit_metrics,
};
