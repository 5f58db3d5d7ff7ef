/* Peerings: a circuit's routing domains. Both parties write them, the customer through the circuit
 * and the provider through the cross connection; the rules are the same. */
#include "network/peering.h"

/* clang-format off */
const struct arm_prop peering_props[] = {
	{ .name = "peeringType", .kind = ARM_STRING, .flags = ARM_FIXED | ARM_KEEP },
	{ .name = "state", .kind = ARM_STRING, .words = (const char *const[]){ "Disabled", "Enabled", NULL },
	  .def = "\"Enabled\"" },
	{ .name = "azureASN", .kind = ARM_INT, .flags = ARM_READ_ONLY },
	{ .name = "peerASN", .kind = ARM_INT, .flags = ARM_REQUIRED },
	/* Both halves of a peering are kept: clients change one without sending the other. */
	{ .name = "primaryPeerAddressPrefix", .kind = ARM_STRING, .flags = ARM_REQUIRED | ARM_KEEP },
	{ .name = "secondaryPeerAddressPrefix", .kind = ARM_STRING, .flags = ARM_REQUIRED | ARM_KEEP },
	{ .name = "primaryAzurePort", .kind = ARM_STRING, .flags = ARM_READ_ONLY },
	{ .name = "secondaryAzurePort", .kind = ARM_STRING, .flags = ARM_READ_ONLY },
	{ .name = "sharedKey", .kind = ARM_STRING, .flags = ARM_SECRET, .check = rule_shared_key },
	{ .name = "vlanId", .kind = ARM_INT, .flags = ARM_REQUIRED },
	{ .name = "microsoftPeeringConfig", .kind = ARM_OBJECT, .flags = ARM_KEEP,
	  .props = (const struct arm_prop[]){
		{ .name = "advertisedPublicPrefixes", .kind = ARM_LIST, .item = ARM_STRING, .max = 200 },
		{ .name = "advertisedCommunities", .kind = ARM_LIST, .item = ARM_STRING, .max = 200 },
		{ .name = "advertisedPublicPrefixesState", .kind = ARM_STRING, .flags = ARM_READ_ONLY },
		{ .name = "legacyMode", .kind = ARM_INT, .def = "0" },
		{ .name = "customerASN", .kind = ARM_INT, .max = UINT32_MAX, .def = "0" },
		{ .name = "routingRegistryName", .kind = ARM_STRING, .def = "\"NONE\"" },
		{ 0 } } },
	{ .name = "ipv6PeeringConfig", .kind = ARM_ANY },
	{ .name = "gatewayManagerEtag", .kind = ARM_STRING, .flags = ARM_READ_ONLY },
	{ .name = "lastModifiedBy", .kind = ARM_STRING, .flags = ARM_READ_ONLY },
	{ .name = "routeFilter", .kind = ARM_REF, .ref_type = "Microsoft.Network/routeFilters",
	  .join = "Microsoft.Network/routeFilters/join/action" },
	{ 0 },
};
/* clang-format on */

const char *const peering_names[] = { PEERING_PRIVATE, PEERING_MICROSOFT, NULL };

/* ---- one peering ---- */

static int
prefixes_check(struct arm_plan *p, const json_t *want)
{
	static const char *const field[] = { "properties.primaryPeerAddressPrefix",
					     "properties.secondaryPeerAddressPrefix" };
	struct link_addresses l[2];
	struct err e;

	for (unsigned i = 0; i < 2; i++)
		if (rule_link_prefix(arm_str(want, field[i], ""), &l[i], &e) < 0)
			return arm_refuse_at(p->s->error, 400, "InvalidPeeringPrefix", field[i],
					     "%s.", e.text);
	if (prefix_overlaps(&l[0].prefix, &l[1].prefix))
		return arm_refuse_at(p->s->error, 400, "InvalidPeeringPrefix", field[1],
				     "The two links need different /30 subnets.");
	return 0;
}

static int
microsoft_check(struct arm_plan *p, json_t *want)
{
	bool is_microsoft = text_equal(arm_str(want, "name", NULL), PEERING_MICROSOFT);
	json_t *config = arm_at(want, "properties.microsoftPeeringConfig");

	if (is_microsoft && !json_is_object(config))
		return arm_refuse_at(p->s->error, 400, "MicrosoftPeeringConfigRequired",
				     "properties.microsoftPeeringConfig",
				     "Microsoft Peering Config is not specified for Express Route "
				     "Bgp Peering %s.",
				     p->child_id ? p->child_id : arm_str(want, "name", ""));
	if (is_microsoft)
		json_object_set_new(config, "advertisedPublicPrefixesState",
				    json_string(json_array_size(json_object_get(
							config, "advertisedPublicPrefixes"))
							? "ValidationNeeded"
							: "NotConfigured"));
	return 0;
}

static int
values_check(struct arm_plan *p, json_t *want)
{
	const struct catalogue_limits *l = catalogue_limits(network_catalogue(p->s));
	struct arm_error *error = p->s->error;
	const char *name = arm_str(want, "name", "");
	int64_t vlan = arm_int(want, "properties.vlanId", 0);
	struct err e;

	if (!text_equal(arm_str(want, "properties.peeringType", name), name))
		return arm_refuse_at(error, 400, "InvalidParameter", "properties.peeringType",
				     "The type of a peering is its name, %s.", name);
	if (vlan < RULE_VLAN_MIN || vlan > RULE_VLAN_MAX)
		return arm_refuse_at(error, 400, "InvalidVlanId", "properties.vlanId",
				     "A VLAN id is from %d to %d.", RULE_VLAN_MIN, RULE_VLAN_MAX);
	if (rule_peer_asn(l, arm_int(want, "properties.peerASN", 0), &e) < 0)
		return arm_refuse_at(error, 400, "InvalidPeerAsn", "properties.peerASN", "%s.",
				     e.text);
	if (json_is_object(arm_at(want, "properties.ipv6PeeringConfig")))
		return arm_refuse_at(error, 400, "InvalidParameter", "properties.ipv6PeeringConfig",
				     "Peerings are IPv4 only.");
	int r = prefixes_check(p, want);

	return r < 0 ? r : microsoft_check(p, want);
}

int
peering_check(struct arm_plan *p, enum peering_writer by, json_t *have, json_t *want)
{
	int r = values_check(p, want);

	if (r < 0)
		return r;
	arm_set(want, "properties.peeringType", json_string(arm_str(want, "name", "")));
	if (!have ||
	    !json_equal(json_object_get(have, "properties"), json_object_get(want, "properties")))
		arm_set(want, "properties.lastModifiedBy",
			json_string(by == WRITER_CUSTOMER ? "Customer" : "Provider"));
	return 0;
}

void
peering_block_by_links(struct arm_plan *p, const struct arm_resource *circuit, const char *peering)
{
	struct link *links;

	if (!circuit || !text_equal(peering, PEERING_PRIVATE))
		return;
	for (size_t i = 0, n = links_of_circuit(p->s, circuit, &links); i < n; i++)
		arm_block(p, links[i].connection->id, "Connection '%s' uses this peering.",
			  links[i].connection->name);
}

/* ---- all of a circuit ---- */

static int
vlans_check(struct arm_plan *p, const json_t *peerings)
{
	size_t i, j;
	json_t *a, *b;

	json_array_foreach(peerings, i, a) {
		json_array_foreach(peerings, j, b) {
			if (j >= i)
				break;
			if (arm_int(a, "properties.vlanId", 0) ==
			    arm_int(b, "properties.vlanId", 0))
				return arm_refuse_at(p->s->error, 400, "VlanIdInUse",
						     "properties.vlanId",
						     "VLAN %d is used by %s of this circuit.",
						     (int)arm_int(a, "properties.vlanId", 0),
						     arm_str(b, "name", ""));
		}
	}
	return 0;
}

/* A link subnet inside a linked VNet would take the VNet's addresses away. */
static int
links_check(struct arm_plan *p, const struct arm_resource *circuit, const json_t *peering)
{
	struct link *links;
	size_t n = circuit->rev ? links_of_circuit(p->s, circuit, &links) : 0;

	for (size_t i = 0; i < n; i++) {
		int r = peering_vnet_overlap(p->s, peering, links[i].vnet);

		if (r < 0)
			return r;
	}
	return 0;
}

int
peering_vnet_overlap(struct arm_snapshot *s, const json_t *peering, const struct arm_resource *vnet)
{
	static const char *const field[] = { "properties.primaryPeerAddressPrefix",
					     "properties.secondaryPeerAddressPrefix" };
	struct prefix *v;
	size_t n = vnet_prefixes(s, vnet, &v);

	for (unsigned i = 0; i < 2; i++) {
		const char *text = arm_str(peering, field[i], "");
		struct link_addresses l;
		struct err e;

		if (rule_link_prefix(text, &l, &e) == 0 && prefix_find_overlap(v, n, &l.prefix))
			return arm_refuse_at(s->error, 400, "InvalidPeeringPrefix", field[i],
					     "The link's subnet %s overlaps the address space of "
					     "the linked virtual network %s.",
					     text, vnet->id);
	}
	return 0;
}

/* A domain keeps its number for the circuit's life; made anew, it gets the number's next generation,
 * so that packets under way for the old one miss it. */
static int
number_ensure(struct arm_plan *p, struct arm_resource *circuit, const char *peering)
{
	const char *path = arena_printf(p->s->arena, "domains.%s", peering);
	json_t *d = arm_at(circuit->hidden, path);
	uint32_t number, generation;
	int r;

	if (json_is_object(d) && arm_bool(d, "isLive", false))
		return 0;
	if (json_is_object(d)) {
		r = fabric_generation_next(p, (uint32_t)arm_int(d, "number", 0), &generation);
		if (r < 0)
			return r;
		json_object_set_new(d, "generation", json_integer(generation));
		json_object_set_new(d, "isLive", json_true());
		return 0;
	}
	r = fabric_number_take(p, circuit->id, &number, &generation);
	if (r < 0)
		return r;
	arm_set(circuit->hidden, path,
		json_pack("{s:I, s:I, s:b}", "number", (json_int_t)number, "generation",
			  (json_int_t)generation, "isLive", 1));
	return 0;
}

int
peerings_settle(struct arm_plan *p, struct arm_resource *circuit)
{
	json_t *peerings = collection_of(circuit->body, "peerings"), *peering, *d;
	int r = vlans_check(p, peerings);
	const char *name;
	size_t i;

	json_object_foreach(json_object_get(circuit->hidden, "domains"), name, d)
		if (!arm_child(circuit->body, "peerings", name))
			json_object_set_new(d, "isLive", json_false());
	json_array_foreach(peerings, i, peering) {
		if (r == 0 && text_equal(arm_str(peering, "name", NULL), PEERING_PRIVATE))
			r = links_check(p, circuit, peering);
		if (r == 0)
			r = number_ensure(p, circuit, arm_str(peering, "name", ""));
	}
	return r;
}

void
peerings_view(const struct circuit_place *at, uint32_t cloud_asn, json_t *out)
{
	size_t i;
	json_t *peering;

	json_array_foreach(collection_of(out, "peerings"), i, peering) {
		json_t *props = json_object_get(peering, "properties");

		json_object_set_new(props, "azureASN", json_integer(cloud_asn));
		json_object_set_new(props, "gatewayManagerEtag", json_string(""));
		if (!at)
			continue;
		json_object_set_new(props, "primaryAzurePort", json_string(at->device_port[0]));
		json_object_set_new(props, "secondaryAzurePort", json_string(at->device_port[1]));
	}
}

/* ---- node objects ---- */

const char *
domain_key(struct arena *a, const struct arm_resource *circuit, const char *peering)
{
	return arena_printf(a, "%s/%s", circuit_service_key(circuit), peering);
}

uint32_t
circuit_domain_number(const struct arm_resource *circuit, const char *peering)
{
	const json_t *d = json_object_get(json_object_get(circuit->hidden, "domains"), peering);

	return (uint32_t)arm_int(d, "number", 0);
}

static json_t *
linked_vnets(struct arm_snapshot *s, const struct arm_resource *circuit, bool is_private)
{
	json_t *list = json_array();
	struct link *links;

	for (size_t i = 0, n = is_private ? links_of_circuit(s, circuit, &links) : 0; i < n; i++)
		json_array_append_new(list, json_integer(vnet_number(links[i].vnet)));
	return list;
}

static json_t *
domain_body(struct arm_snapshot *s, const struct arm_resource *circuit, const json_t *peering,
	    unsigned side, bool is_provisioned)
{
	const struct catalogue_limits *l = catalogue_limits(network_catalogue(s));
	const char *name = arm_str(peering, "name", "");
	const json_t *d = json_object_get(json_object_get(circuit->hidden, "domains"), name);
	bool is_private = text_equal(name, PEERING_PRIVATE);
	const char *md5 = arm_str(peering, "properties.sharedKey", "");
	struct link_addresses link;
	char edge[ADDR_TEXT], customer[ADDR_TEXT];
	struct err e;

	if (!d || rule_link_prefix(arm_str(peering,
					   side ? "properties.secondaryPeerAddressPrefix"
						: "properties.primaryPeerAddressPrefix",
					   ""),
				   &link, &e) < 0)
		return NULL;
	json_t *body = json_pack(
		"{s:I, s:I, s:s, s:s, s:I, s:o, s:s, s:I, s:I, s:o, s:b, s:o}", "number",
		(json_int_t)arm_int(d, "number", 0), "generation",
		(json_int_t)arm_int(d, "generation", 0), "circuit", circuit_service_key(circuit),
		"peeringType", is_private ? "private" : "microsoft", "cTag",
		(json_int_t)arm_int(peering, "properties.vlanId", 0), "localAddress",
		json_textf("%s/30", addr_format(&link.edge, edge)), "peerAddress",
		addr_format(&link.customer, customer), "peerAs",
		(json_int_t)arm_int(peering, "properties.peerASN", 0), "maxPrefixes",
		(json_int_t)(is_private ? rule_max_routes(l, circuit_sku(circuit).tier)
					: l->routes_microsoft),
		"vnets", linked_vnets(s, circuit, is_private), "enabled",
		is_provisioned && text_equal(arm_str(peering, "properties.state", ""), "Enabled"),
		"resourceId", json_textf("%s/peerings/%s", circuit->id, name));

	if (*md5)
		json_object_set_new(body, "md5", json_string(md5));
	return body;
}

int
circuit_compile(struct arm_snapshot *s, const struct arm_resource *r)
{
	struct circuit_place at;
	bool is_provisioned = circuit_provider_state(s, r) == PROVIDER_PROVISIONED;
	json_t *peering;
	size_t i;

	if (!circuit_place(s, r, &at))
		return 0;
	for (unsigned side = 0; side < 2; side++) {
		arm_emit(s, at.edge[side], "circuit", circuit_service_key(r),
			 json_pack("{s:s, s:I, s:I, s:b, s:s}", "port", at.port->name, "sTag",
				   (json_int_t)arm_int(r->body, "properties.stag", 0),
				   "bandwidthMbps", (json_int_t)circuit_mbps(r), "enabled",
				   is_provisioned, "resourceId", r->id));
		json_array_foreach(collection_of(r->body, "peerings"), i, peering) {
			json_t *body = domain_body(s, r, peering, side, is_provisioned);

			if (body)
				arm_emit(s, at.edge[side], "domain",
					 domain_key(s->arena, r, arm_str(peering, "name", "")),
					 body);
		}
	}
	return 0;
}
