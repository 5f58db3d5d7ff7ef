/* Peerings: a circuit's routing domains. Both parties write them, the customer through the circuit
 * and the provider through the cross connection; the rules are the same. */
#include "network/peering.h"

/* clang-format off */
static const struct arm_prop microsoft_config_props[] = {
	{ .name = "advertisedPublicPrefixes", .kind = ARM_LIST, .item = ARM_STRING, .max = 200 },
	{ .name = "advertisedCommunities", .kind = ARM_LIST, .item = ARM_STRING, .max = 200 },
	{ .name = "advertisedPublicPrefixesState", .kind = ARM_STRING, .flags = ARM_READ_ONLY },
	{ .name = "legacyMode", .kind = ARM_INT, .max = INT32_MAX, .def = "0" },
	{ .name = "customerASN", .kind = ARM_INT, .max = UINT32_MAX, .def = "0" },
	{ .name = "routingRegistryName", .kind = ARM_STRING, .def = "\"NONE\"", .check = rule_registry },
	{ 0 },
};

/* The filter is the customer's: the provider neither sees nor sets it. */
#define ROUTE_FILTER \
	{ .name = "routeFilter", .kind = ARM_REF, .ref_type = "Microsoft.Network/routeFilters", \
	  .join = "Microsoft.Network/routeFilters/join/action" }
#define STATE \
	{ .name = "state", .kind = ARM_STRING, \
	  .words = (const char *const[]){ "Disabled", "Enabled", NULL }, .def = "\"Enabled\"" }
/* Both address families' halves are kept: clients change one without sending the other. */
#define IPV6_CONFIG \
	STATE, \
	{ .name = "primaryPeerAddressPrefix", .kind = ARM_STRING, .flags = ARM_KEEP }, \
	{ .name = "secondaryPeerAddressPrefix", .kind = ARM_STRING, .flags = ARM_KEEP }, \
	{ .name = "microsoftPeeringConfig", .kind = ARM_OBJECT, .flags = ARM_KEEP, \
	  .props = microsoft_config_props }
#define PEERING \
	{ .name = "peeringType", .kind = ARM_STRING, .flags = ARM_FIXED | ARM_KEEP }, \
	STATE, \
	{ .name = "azureASN", .kind = ARM_INT, .flags = ARM_READ_ONLY }, \
	{ .name = "peerASN", .kind = ARM_INT, .flags = ARM_REQUIRED }, \
	{ .name = "primaryPeerAddressPrefix", .kind = ARM_STRING, .flags = ARM_KEEP }, \
	{ .name = "secondaryPeerAddressPrefix", .kind = ARM_STRING, .flags = ARM_KEEP }, \
	{ .name = "primaryAzurePort", .kind = ARM_STRING, .flags = ARM_READ_ONLY }, \
	{ .name = "secondaryAzurePort", .kind = ARM_STRING, .flags = ARM_READ_ONLY }, \
	{ .name = "sharedKey", .kind = ARM_STRING, .flags = ARM_SECRET, .check = rule_shared_key }, \
	{ .name = "vlanId", .kind = ARM_INT, .flags = ARM_REQUIRED }, \
	{ .name = "microsoftPeeringConfig", .kind = ARM_OBJECT, .flags = ARM_KEEP, \
	  .props = microsoft_config_props }, \
	{ .name = "gatewayManagerEtag", .kind = ARM_STRING, .flags = ARM_READ_ONLY }, \
	{ .name = "lastModifiedBy", .kind = ARM_STRING, .flags = ARM_READ_ONLY }

const struct arm_prop peering_props[] = {
	PEERING,
	ROUTE_FILTER,
	{ .name = "ipv6PeeringConfig", .kind = ARM_OBJECT, .flags = ARM_KEEP,
	  .props = (const struct arm_prop[]){ IPV6_CONFIG, ROUTE_FILTER, { 0 } } },
	{ 0 },
};

const struct arm_prop cross_peering_props[] = {
	PEERING,
	{ .name = "ipv6PeeringConfig", .kind = ARM_OBJECT, .flags = ARM_KEEP,
	  .props = (const struct arm_prop[]){ IPV6_CONFIG, { 0 } } },
	{ 0 },
};
/* clang-format on */

/* ---- addresses ---- */

/* Where a peering's four link subnets stand: two links, two families. */
static const struct {
	const char *field;
	int (*rule)(const char *text, struct link_addresses *ret, struct err *e);
} link_fields[] = {
	{ "properties.primaryPeerAddressPrefix", rule_link_prefix },
	{ "properties.secondaryPeerAddressPrefix", rule_link_prefix },
	{ "properties.ipv6PeeringConfig.primaryPeerAddressPrefix", rule_link_prefix6 },
	{ "properties.ipv6PeeringConfig.secondaryPeerAddressPrefix", rule_link_prefix6 },
};

/* family 0 where there is none. */
static struct prefix
link_prefix(const json_t *peering, unsigned i)
{
	const char *text = arm_str(peering, link_fields[i].field, NULL);
	struct link_addresses l;
	struct err e;

	return text && link_fields[i].rule(text, &l, &e) == 0 ? l.prefix : (struct prefix){ 0 };
}

bool
peering_has_ipv4(const json_t *peering)
{
	return arm_str(peering, link_fields[0].field, NULL) != NULL;
}

static int
refuse_prefix(struct arm_snapshot *s, const char *field, const char *text)
{
	return arm_refuse_at(s->error, 400, "InvalidPeeringPrefix", field, "%s.", text);
}

/* One link of one family. */
static int
link_check(struct arm_plan *p, const json_t *want, unsigned i, bool is_private)
{
	const char *text = arm_str(want, link_fields[i].field, "");
	struct link_addresses l;
	struct err e;

	if (link_fields[i].rule(text, &l, &e) < 0 ||
	    (!is_private && rule_public_prefix(&l.prefix, &e) < 0))
		return refuse_prefix(p->s, link_fields[i].field, e.text);
	return 0;
}

static int
prefixes_check(struct arm_plan *p, const json_t *want, bool is_private)
{
	unsigned n_families = 0;

	for (unsigned i = 0; i < COUNT(link_fields); i += 2) {
		bool has[2] = { arm_str(want, link_fields[i].field, NULL),
				arm_str(want, link_fields[i + 1].field, NULL) };
		struct prefix a, b;

		if (!has[0] && !has[1])
			continue;
		if (!has[0] || !has[1])
			return refuse_prefix(p->s, link_fields[i + has[0]].field,
					     "Both links need a subnet: one is missing");
		n_families++;
		if (link_check(p, want, i, is_private) < 0 ||
		    link_check(p, want, i + 1, is_private) < 0)
			return -EBADE;
		a = link_prefix(want, i);
		b = link_prefix(want, i + 1);
		if (prefix_overlaps(&a, &b))
			return refuse_prefix(p->s, link_fields[i + 1].field,
					     i ? "The two links need different /126 subnets"
					       : "The two links need different /30 subnets");
	}
	if (!n_families)
		return refuse_prefix(p->s, link_fields[0].field,
				     "A peering needs primaryPeerAddressPrefix and "
				     "secondaryPeerAddressPrefix, of IPv4, of IPv6 "
				     "(ipv6PeeringConfig) or of both");
	return 0;
}

/* ---- what is Microsoft peering's ---- */

static int
advertised_check(struct arm_plan *p, const json_t *config, const char *path, uint8_t family)
{
	const json_t *list = json_object_get(config, "advertisedPublicPrefixes"), *text;
	size_t i;

	json_array_foreach((json_t *)list, i, text) {
		const char *field =
			arena_printf(p->s->arena, "%s.advertisedPublicPrefixes[%zu]", path, i);
		struct prefix prefix;
		struct err e;

		if (rule_advertised_prefix(json_string_value(text), &prefix, &e) < 0)
			return refuse_prefix(p->s, field, e.text);
		if (prefix.addr.family != family)
			return refuse_prefix(p->s, field,
					     arena_printf(p->s->arena,
							  "'%s' is not an IPv%u prefix",
							  json_string_value(text), family));
	}
	return 0;
}

/* Whose a prefix is nobody here can tell: what is announced waits for its validation. */
static int
config_check(struct arm_plan *p, json_t *want, const char *path, uint8_t family)
{
	json_t *config = arm_at(want, path);

	if (!json_is_object(config))
		return 0;
	if (advertised_check(p, config, path, family) < 0)
		return -EBADE;
	json_object_set_new(
		config, "advertisedPublicPrefixesState",
		json_string(json_array_size(json_object_get(config, "advertisedPublicPrefixes"))
				    ? "ValidationNeeded"
				    : "NotConfigured"));
	return 0;
}

static int
microsoft_check(struct arm_plan *p, json_t *want)
{
	static const char config[] = "properties.microsoftPeeringConfig";
	static const char config6[] = "properties.ipv6PeeringConfig.microsoftPeeringConfig";
	static const char *const filter[] = { "properties.routeFilter",
					      "properties.ipv6PeeringConfig.routeFilter" };
	const char *name = arm_str(want, "name", "");
	bool is_microsoft = text_equal(name, PEERING_MICROSOFT);

	for (size_t i = 0; i < COUNT(filter); i++)
		if (arm_ref(want, filter[i]) && !is_microsoft)
			return arm_refuse_at(p->s->error, 400, "InvalidParameter", filter[i],
					     "A route filter belongs to Microsoft peering, not to "
					     "%s.",
					     name);
	if (is_microsoft && peering_has_ipv4(want) && !json_is_object(arm_at(want, config)))
		return arm_refuse_at(p->s->error, 400, "MicrosoftPeeringConfigRequired", config,
				     "Microsoft Peering Config is not specified for Express Route "
				     "Bgp Peering %s.",
				     p->child_id ? p->child_id : name);
	if (config_check(p, want, config, NET_V4) < 0)
		return -EBADE;
	return config_check(p, want, config6, NET_V6);
}

/* ---- one peering ---- */

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
				     "%lld is not a VLAN id (%d to %d).", (long long)vlan,
				     RULE_VLAN_MIN, RULE_VLAN_MAX);
	if (rule_peer_asn(l, arm_int(want, "properties.peerASN", 0), &e) < 0)
		return arm_refuse_at(error, 400, "InvalidPeerAsn", "properties.peerASN", "%s.",
				     e.text);
	int r = prefixes_check(p, want, text_equal(name, PEERING_PRIVATE));

	return r < 0 ? r : microsoft_check(p, want);
}

/* But for Global Reach, which has its own checks and stamps nothing. */
static bool
is_same(const json_t *have, const json_t *want)
{
	static const char *const reach[] = { "connections", "peeredConnections" };
	json_t *a = json_copy(json_object_get(have, "properties"));
	json_t *b = json_copy(json_object_get(want, "properties"));
	bool same;

	for (size_t i = 0; i < COUNT(reach); i++) {
		json_object_del(a, reach[i]);
		json_object_del(b, reach[i]);
	}
	same = a && json_equal(a, b);
	json_decref(a);
	json_decref(b);
	return same;
}

int
peering_check(struct arm_plan *p, enum peering_writer by, const struct arm_resource *circuit,
	      json_t *have, json_t *want)
{
	int r;

	if (have && is_same(have, want))
		return 0;
	r = circuit ? circuit_state_check(p, circuit,
					  by == WRITER_CUSTOMER ? CIRCUIT_PEER
								: CIRCUIT_PEER_PROVIDER)
		    : 0;
	if (r == 0)
		r = values_check(p, want);
	if (r < 0)
		return r;
	arm_set(want, "properties.peeringType", json_string(arm_str(want, "name", "")));
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
	global_reach_block(p, circuit);
}

/* ---- all of a circuit ---- */

/* Two peerings of one circuit: their VLANs and subnets tell them apart on the customer's router. */
static int
pair_check(struct arm_plan *p, const json_t *a, const json_t *b)
{
	if (arm_int(a, "properties.vlanId", 0) == arm_int(b, "properties.vlanId", 0))
		return arm_refuse_at(p->s->error, 400, "VlanIdInUse", "properties.vlanId",
				     "VLAN %d is used by %s of this circuit.",
				     (int)arm_int(a, "properties.vlanId", 0),
				     arm_str(b, "name", ""));
	for (unsigned i = 0; i < COUNT(link_fields); i++)
		for (unsigned j = 0; j < COUNT(link_fields); j++) {
			struct prefix x = link_prefix(a, i), y = link_prefix(b, j);

			if (x.addr.family && y.addr.family && prefix_overlaps(&x, &y))
				return refuse_prefix(
					p->s, link_fields[i].field,
					arena_printf(p->s->arena,
						     "'%s' overlaps the link subnet '%s' of %s of "
						     "this circuit",
						     arm_str(a, link_fields[i].field, ""),
						     arm_str(b, link_fields[j].field, ""),
						     arm_str(b, "name", "")));
		}
	return 0;
}

static int
pairs_check(struct arm_plan *p, const json_t *peerings)
{
	size_t n = json_array_size(peerings);

	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < i; j++)
			if (pair_check(p, json_array_get(peerings, i),
				       json_array_get(peerings, j)) < 0)
				return -EBADE;
	return 0;
}

/* On a port pair without S-tags the VLANs tell its circuits apart. */
static int
vlans_claim(struct arm_plan *p, const struct arm_resource *circuit, const json_t *before)
{
	const char *trunk = arm_ref(circuit->body, "properties.trunk");
	const json_t *peering;
	size_t i;

	if (!circuit_is_direct(circuit) || !trunk || arm_int(circuit->body, "properties.stag", 0))
		return 0;
	const char *space = arena_printf(p->s->arena, "vlan:%s", arm_id_fold(p->s->arena, trunk));

	json_array_foreach((json_t *)before, i, peering)
		arm_unclaim(p, space,
			    arena_printf(p->s->arena, "%d",
					 (int)arm_int(peering, "properties.vlanId", 0)));
	json_array_foreach(collection_of(circuit->body, "peerings"), i, peering) {
		const char *vlan = arena_printf(p->s->arena, "%d",
						(int)arm_int(peering, "properties.vlanId", 0));

		if (arm_claim(p, circuit->id, space, vlan, NULL) < 0)
			return arm_refuse_at(
				p->s->error, 400, "VlanIdInUse", "properties.vlanId",
				"VLAN %s is used on this port pair by another circuit.", vlan);
	}
	return 0;
}

/* A link subnet inside a linked VNet would take the VNet's addresses away; inside what Global Reach
 * uses, those of another site. */
static int
links_check(struct arm_plan *p, const struct arm_resource *circuit, const json_t *peering)
{
	const struct arm_resource **vnets;
	size_t n = circuit->rev ? vnets_of_circuit(p->s, circuit, &vnets) : 0;

	for (size_t i = 0; i < n; i++) {
		int r = peering_vnet_overlap(p->s, peering, vnets[i]);

		if (r < 0)
			return r;
	}
	for (unsigned i = 0; i < 2; i++) {
		struct prefix prefix = link_prefix(peering, i);

		if (prefix.addr.family &&
		    global_reach_overlap(p->s, circuit, &prefix, link_fields[i].field) < 0)
			return -EBADE;
	}
	return 0;
}

static int
reach_vnet_overlap(struct arm_snapshot *s, const json_t *list, const struct prefix *v, size_t n,
		   const struct arm_resource *vnet)
{
	const json_t *e;
	size_t i;

	json_array_foreach((json_t *)list, i, e) {
		const char *text = arm_str(e, "properties.addressPrefix", "");
		struct prefix prefix;
		struct err why;

		if (rule_reach_prefix(text, NET_V4, &prefix, &why) == 0 &&
		    prefix_find_overlap(v, n, &prefix))
			return arm_refuse_at(s->error, 400, "InvalidGlobalReachPrefix",
					     "properties.addressPrefix",
					     "%s, used by Global Reach connection '%s' of the "
					     "circuit, overlaps the address space of the linked "
					     "virtual network %s.",
					     text,
					     arm_str(e, "properties.connectionName",
						     arm_str(e, "name", "")),
					     vnet->id);
	}
	return 0;
}

int
peering_vnet_overlap(struct arm_snapshot *s, const json_t *peering, const struct arm_resource *vnet)
{
	struct prefix *v;
	size_t n = vnet_prefixes(s, vnet, &v);

	for (unsigned i = 0; i < COUNT(link_fields); i++) {
		struct prefix link = link_prefix(peering, i);

		if (link.addr.family && prefix_find_overlap(v, n, &link))
			return arm_refuse_at(s->error, 400, "InvalidPeeringPrefix",
					     link_fields[i].field,
					     "The link's subnet %s overlaps the address space of "
					     "the linked virtual network %s.",
					     arm_str(peering, link_fields[i].field, ""), vnet->id);
	}
	int r = reach_vnet_overlap(s, collection_of(peering, "connections"), v, n, vnet);

	return r < 0 ? r
		     : reach_vnet_overlap(s, collection_of(peering, "peeredConnections"), v, n,
					  vnet);
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
peerings_settle(struct arm_plan *p, struct arm_resource *circuit, const json_t *before)
{
	json_t *peerings = collection_of(circuit->body, "peerings"), *peering, *d;
	int r = pairs_check(p, peerings);
	const char *name;
	size_t i;

	if (r == 0)
		r = vlans_claim(p, circuit, before);

	json_object_foreach(json_object_get(circuit->hidden, "domains"), name, d)
		if (!peering_has_ipv4(arm_child(circuit->body, "peerings", name)))
			json_object_set_new(d, "isLive", json_false());
	json_array_foreach(peerings, i, peering) {
		if (r == 0 && text_equal(arm_str(peering, "name", NULL), PEERING_PRIVATE))
			r = links_check(p, circuit, peering);
		if (r == 0 && peering_has_ipv4(peering))
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
	const struct arm_resource **vnets;

	for (size_t i = 0, n = is_private ? vnets_of_circuit(s, circuit, &vnets) : 0; i < n; i++)
		json_array_append_new(list, json_integer(vnet_number(vnets[i])));
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
		"peeringType",
		is_private                         ? "private"
		: text_equal(name, PEERING_PUBLIC) ? "public"
						   : "microsoft",
		"cTag", (json_int_t)arm_int(peering, "properties.vlanId", 0), "localAddress",
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
	json_t *reach = is_private ? global_reach_domains(s, circuit) : json_array();

	if (json_array_size(reach))
		json_object_set(body, "reach", reach);
	json_decref(reach);
	return body;
}

/* The rate a circuit is held to. A direct one has what its port pair has, unless its owner says. */
static uint32_t
policed_mbps(struct arm_snapshot *s, const struct arm_resource *circuit)
{
	const char *id = arm_ref(circuit->body, REF_DIRECT);
	const struct arm_resource *port = id ? arm_get(s, id) : NULL;

	if (!port || arm_bool(circuit->body, "properties.enableDirectPortRateLimit", false))
		return circuit_mbps(circuit);
	return (uint32_t)arm_int(port->body, "properties.bandwidthInGbps", 0) * 1000;
}

int
circuit_compile(struct arm_snapshot *s, const struct arm_resource *r)
{
	struct circuit_place at;
	bool is_provisioned = circuit_provider_state(s, r) == PROVIDER_PROVISIONED;
	json_t *peering;
	size_t i;

	/* Without S-tags (Dot1Q) no edge tells a port's circuits apart yet: no session. */
	if (!circuit_place(s, r, &at) || !arm_int(r->body, "properties.stag", 0))
		return 0;
	for (unsigned side = 0; side < 2; side++) {
		if (!direct_link_is_on(s, r, side))
			continue;
		arm_emit(s, at.edge[side], "circuit", circuit_service_key(r),
			 json_pack("{s:s, s:I, s:I, s:b, s:s}", "port", at.port->name, "sTag",
				   (json_int_t)arm_int(r->body, "properties.stag", 0),
				   "bandwidthMbps", (json_int_t)policed_mbps(s, r), "enabled",
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
