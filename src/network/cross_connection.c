/* Microsoft.Network/expressRouteCrossConnections: the provider's view of a circuit, in the
 * provider's subscription, named by the service key. It owns the provider's state and notes. Its
 * peerings are a copy of the circuit's, without the keys and what is the customer's alone; what
 * the provider writes there goes to the circuit in the same transaction. */
#include "network/peering.h"

static const struct arm_resource *
cross_connection_circuit(struct arm_snapshot *s, const struct arm_resource *xc)
{
	const char *id = arm_ref(xc->body, "properties.expressRouteCircuit");

	return id ? arm_get(s, id) : NULL;
}

/* Below "properties" of a peering: the customer's alone. */
static const char *const not_mirrored[] = { "sharedKey", "routeFilter", "connections",
					    "peeredConnections", "ipv6PeeringConfig.routeFilter" };

void
cross_connection_mirror(const struct arm_resource *circuit, struct arm_resource *xc)
{
	json_t *copies = json_array(), *peering;
	size_t i;

	json_array_foreach(collection_of(circuit->body, "peerings"), i, peering) {
		json_t *copy = json_deep_copy(peering);

		for (size_t j = 0; j < COUNT(not_mirrored); j++)
			if (arm_at(json_object_get(copy, "properties"), not_mirrored[j]))
				arm_set(json_object_get(copy, "properties"), not_mirrored[j], NULL);
		json_array_append_new(copies, copy);
	}
	arm_set(xc->body, "properties.peerings", copies);
}

/* ---- peerings, the provider's way ---- */

static int
cross_peering_check(struct arm_plan *p, const char *id, json_t *have, json_t *want)
{
	if (want)
		return peering_check(p, WRITER_PROVIDER, cross_connection_circuit(p->s, p->want),
				     have, want);
	if (p->want)
		peering_block_by_links(p, cross_connection_circuit(p->s, p->have),
				       arm_str(have, "name", ""));
	return 0;
}

static const struct arm_type cross_peering_type = {
	.ns = "Microsoft.Network",
	.name = "peerings",
	.names = (const char *const[]){ PEERING_PRIVATE, PEERING_PUBLIC, PEERING_MICROSOFT, NULL },
	.props = cross_peering_props,
	.actions = cross_peering_actions,
	.in_use_code = "PeeringInUse",
	.in_use_status = 409,
	.check = cross_peering_check,
};

/* Brings what the provider wrote to the circuit: new values over old ones, but a key that was not
 * sent stays. */
static void
peering_bring(struct arm_resource *circuit, const json_t *from)
{
	json_t *to = arm_child(circuit->body, "peerings", arm_str(from, "name", ""));
	json_t *props = json_deep_copy(json_object_get(from, "properties"));
	json_t *peerings = collection_of(circuit->body, "peerings");

	if (!to) {
		if (!peerings) {
			peerings = json_array();
			arm_set(circuit->body, "properties.peerings", peerings);
		}
		json_array_append_new(peerings,
				      json_pack("{s:s, s:o}", "name", arm_str(from, "name", ""),
						"properties", props));
		return;
	}
	for (size_t j = 0; j < COUNT(not_mirrored); j++) {
		json_t *old = arm_at(json_object_get(to, "properties"), not_mirrored[j]);

		if (strchr(not_mirrored[j], '.') && !json_object_get(props, "ipv6PeeringConfig"))
			continue; /* it went with the whole half */
		if (old && !arm_at(props, not_mirrored[j]))
			arm_set(props, not_mirrored[j], json_incref(old));
	}
	json_object_set_new(to, "properties", props);
}

static void
peerings_drop(struct arm_resource *circuit, const struct arm_resource *xc)
{
	json_t *peerings = collection_of(circuit->body, "peerings");

	for (size_t i = json_array_size(peerings); i-- > 0;)
		if (!arm_child(xc->body, "peerings",
			       arm_str(json_array_get(peerings, i), "name", "")))
			json_array_remove(peerings, i);
}

static int
state_check(struct arm_plan *p)
{
	static const char path[] = "properties.serviceProviderProvisioningState";
	enum provider_state from = provider_state_parse(arm_str(p->have->body, path, NULL));
	enum provider_state to = provider_state_parse(arm_str(p->want->body, path, NULL));
	struct err e;

	if (rule_provider_state(from, to, &e) < 0)
		return arm_refuse_at(p->s->error, 400, "InvalidServiceProviderProvisioningState",
				     path, "%s.", e.text);
	return 0;
}

/* What the provider echoes must be what it is. */
static int
echo_check(struct arm_plan *p, const struct arm_resource *circuit)
{
	static const char mbps[] = "properties.bandwidthInMbps";
	static const char location[] = "properties.peeringLocation";
	const char *at =
		arm_str(circuit->body, "properties.serviceProviderProperties.peeringLocation", "");

	if (arm_at(p->want->body, mbps) &&
	    arm_int(p->want->body, mbps, 0) != (int64_t)circuit_mbps(circuit))
		return arm_refuse_at(p->s->error, 400, "PropertyChangeNotAllowed", mbps,
				     "The bandwidth is the customer's: %u Mbps.",
				     circuit_mbps(circuit));
	if (!text_equal(arm_str(p->want->body, location, at), at))
		return arm_refuse_at(p->s->error, 400, "PropertyChangeNotAllowed", location,
				     "The peering location is '%s'.", at);
	arm_set(p->want->body, mbps, NULL);
	arm_set(p->want->body, location, NULL);
	return 0;
}

static int
cross_connection_plan(struct arm_plan *p)
{
	json_t *peering, *before;
	size_t i;

	if (p->verb != ARM_VERB_UPDATE)
		return 0;
	int r = state_check(p);
	const char *id = arm_ref(p->have->body, "properties.expressRouteCircuit");
	struct arm_resource *circuit = r == 0 && id ? arm_edit(p, id) : NULL;

	if (!circuit)
		return r < 0 ? r : arm_refuse(p->s->error, 409, "Conflict", "The circuit is gone.");
	r = echo_check(p, circuit);
	if (r < 0)
		return r;
	before = json_deep_copy(collection_of(circuit->body, "peerings"));
	arm_set(p->want->body, "properties.expressRouteCircuit", json_reference(id));
	json_array_foreach(collection_of(p->want->body, "peerings"), i, peering)
		peering_bring(circuit, peering);
	peerings_drop(circuit, p->want);
	r = peerings_settle(p, circuit, before);
	json_decref(before);
	cross_connection_mirror(circuit, p->want);
	return r;
}

static int
cross_connection_view(struct arm_snapshot *s, const struct arm_resource *r, json_t *out)
{
	const struct arm_resource *circuit = cross_connection_circuit(s, r);
	struct circuit_place at;

	if (!circuit)
		return 0;
	bool has_place = circuit_place(s, circuit, &at);

	arm_set(out, "properties.primaryAzurePort",
		json_string(has_place ? at.device_port[0] : ""));
	arm_set(out, "properties.secondaryAzurePort",
		json_string(has_place ? at.device_port[1] : ""));
	arm_set(out, "properties.sTag", json_integer(arm_int(circuit->body, "properties.stag", 0)));
	arm_set(out, "properties.peeringLocation",
		json_string(arm_str(circuit->body,
				    "properties.serviceProviderProperties.peeringLocation", "")));
	arm_set(out, "properties.bandwidthInMbps", json_integer(circuit_mbps(circuit)));
	peerings_view(has_place ? &at : NULL, catalogue_limits(network_catalogue(s))->cloud_asn,
		      out);
	return 0;
}

/* clang-format off */
static const struct arm_prop cross_connection_props[] = {
	{ .name = "primaryAzurePort", .kind = ARM_STRING, .flags = ARM_READ_ONLY },
	{ .name = "secondaryAzurePort", .kind = ARM_STRING, .flags = ARM_READ_ONLY },
	{ .name = "sTag", .kind = ARM_INT, .flags = ARM_READ_ONLY },
	/* Sent by clients, must be as it is; the circuit's. */
	{ .name = "peeringLocation", .kind = ARM_STRING },
	{ .name = "bandwidthInMbps", .kind = ARM_INT },
	{ .name = "expressRouteCircuit", .kind = ARM_REF, .flags = ARM_FIXED | ARM_KEEP | ARM_LOOSE,
	  .ref_type = "Microsoft.Network/expressRouteCircuits" },
	{ .name = "serviceProviderProvisioningState", .kind = ARM_STRING, .flags = ARM_REQUIRED | ARM_KEEP,
	  .words = provider_state_names },
	{ .name = "serviceProviderNotes", .kind = ARM_STRING, .flags = ARM_KEEP, .max = 1024 },
	{ .name = "peerings", .kind = ARM_CHILDREN, .flags = ARM_KEEP, .child = &cross_peering_type },
	{ 0 },
};
/* clang-format on */

static const struct arm_type *const cross_connection_children[] = { &cross_peering_type, NULL };

const struct arm_type cross_connection_type = {
	.ns = "Microsoft.Network",
	.name = "expressRouteCrossConnections",
	.flags = ARM_TRACKED | ARM_NO_CREATE | ARM_NO_DELETE | ARM_PUT_IS_200,
	.props = cross_connection_props,
	.children = cross_connection_children,
	.plan = cross_connection_plan,
	.view = cross_connection_view,
};
