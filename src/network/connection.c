/* Microsoft.Network/connections. Of type ExpressRoute: joins a gateway, and so its VNet, to a circuit.
 * The two import each other's routes. A circuit of another subscription is joined with an
 * authorization key of its owner, good for one connection. Of types IPsec and Vnet2Vnet: what is
 * wanted of VPN gateways, with the shared key; their tunnels are not there yet, so they are
 * NotConnected. */
#include "network/gateway.h"
#include "network/peering.h"
#include "network/vnet.h"

#define TYPE "properties.connectionType"
#define KEY "properties.sharedKey"
#define LOCAL "properties.localNetworkGateway2"

static bool
is_circuits(const json_t *body)
{
	return text_equal(arm_str(body, TYPE, ""), "ExpressRoute");
}

struct joint {
	const struct arm_resource *gateway, *vnet, *circuit;
};

static const struct arm_resource *
circuit_find(struct arm_snapshot *s, const char *id)
{
	const struct arm_resource *r = arm_get(s, id);

	return r && r->type == &circuit_type && !r->is_deleting ? r : NULL;
}

/* Both ends, and whether a new connection may join them. */
static int
joint_find(struct arm_plan *p, struct joint *j)
{
	const char *gw = arm_ref(p->want->body, REF_GATEWAY);
	const char *peer = arm_ref(p->want->body, REF_PEER);
	struct arm_error *e = p->s->error;

	j->gateway = gw ? arm_get(p->s, gw) : NULL;
	j->circuit = peer ? circuit_find(p->s, peer) : NULL;
	j->vnet = j->gateway ? gateway_vnet(p->s, j->gateway) : NULL;
	if (!j->vnet || j->gateway->type != &gateway_type)
		return arm_refuse_at(e, 400, "InvalidResourceReference", REF_GATEWAY,
				     "There is no virtual network gateway %s.", gw ? gw : "");
	if (gateway_is_vpn(j->gateway))
		return arm_refuse_at(e, 400, "ConnectionTypeDoesNotMatchGateway", TYPE,
				     "Gateway %s is of type Vpn; a connection of type ExpressRoute "
				     "needs one of type ExpressRoute.",
				     j->gateway->id);
	if (peer && !p->have && /* first: the rest tells about the circuit */
	    circuit_join(p, j->circuit, peer,
			 arm_str(p->want->body, "properties.authorizationKey", ""),
			 p->want->id) < 0)
		return -EBADE;
	if (!j->circuit)
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
	if (n >= gateway_max_circuits(j->gateway))
		return arm_refuse(p->s->error, 400, "CircuitLinkLimitReached",
				  "A gateway of SKU %s has at most %u circuits.",
				  arm_str(j->gateway->body, "properties.sku.name", ""),
				  gateway_max_circuits(j->gateway));
	return 0;
}

static int
addresses_check(struct arm_plan *p, const struct joint *j)
{
	const struct catalogue_limits *l = catalogue_limits(network_catalogue(p->s));
	struct prefix *mine;

	if (vnet_prefixes(p->s, j->vnet, &mine) > l->address_spaces_per_vnet)
		return arm_refuse(p->s->error, 400, "VnetHasTooManyPrefixes",
				  "A virtual network with more than %u prefixes cannot be linked.",
				  l->address_spaces_per_vnet);
	return circuit_reach_check(p, j->vnet, j->circuit);
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
		r = circuit_customer_check(p, j->circuit, p->want->tenant, NULL);
	if (r == 0)
		r = limits_check(p, j);
	if (r == 0)
		r = addresses_check(p, j);
	return r;
}

/* FastPath, and FastPath to private endpoints. */
static int
fast_path_check(struct arm_plan *p, const struct joint *j)
{
	static const char field[] = "properties.expressRouteGatewayBypass";
	const char *sku = arm_str(j->gateway->body, "properties.sku.name", "");
	bool is_on = arm_bool(p->want->body, field, false);
	bool is_able = text_equal(sku, "UltraPerformance") || text_equal(sku, "ErGw3AZ") ||
		       (text_equal(sku, "ErGwScale") &&
			arm_int(j->gateway->body, "properties.autoScaleConfiguration.bounds.min",
				0) >= 10);

	if (is_on && !is_able)
		return arm_refuse_at(p->s->error, 400, "FastPathNotSupportedByGatewaySku", field,
				     "FastPath needs a gateway of SKU UltraPerformance, ErGw3AZ or "
				     "ErGwScale from 10 units, not %s.",
				     sku);
	if (!is_on && arm_bool(p->want->body, "properties.enablePrivateLinkFastPath", false))
		return arm_refuse_at(p->s->error, 400, "FastPathRequired",
				     "properties.enablePrivateLinkFastPath",
				     "enablePrivateLinkFastPath needs expressRouteGatewayBypass.");
	return 0;
}

/* ---- VPN ---- */

static int
vpn_gateway_check(struct arm_plan *p, const char *path)
{
	const char *id = arm_ref(p->want->body, path);
	const struct arm_resource *gw = id ? arm_get(p->s, id) : NULL;

	if (!gw || gw->type != &gateway_type)
		return arm_refuse_at(p->s->error, 400, "InvalidResourceReference", path,
				     "There is no virtual network gateway %s.", id ? id : "");
	if (!gateway_is_vpn(gw))
		return arm_refuse_at(p->s->error, 400, "ConnectionTypeDoesNotMatchGateway", path,
				     "Gateway %s is of type ExpressRoute; a connection of type %s "
				     "needs one of type Vpn.",
				     gw->id, arm_str(p->want->body, TYPE, ""));
	return 0;
}

static int
vpn_check(struct arm_plan *p)
{
	const json_t *body = p->want->body;
	bool is_vnets = text_equal(arm_str(body, TYPE, ""), "Vnet2Vnet");
	const char *first = arm_ref(body, REF_GATEWAY), *second = arm_ref(body, REF_GATEWAY_2);
	int r = vpn_gateway_check(p, REF_GATEWAY);

	if (r == 0 && arm_ref(body, REF_PEER))
		r = arm_refuse_at(p->s->error, 400, "InvalidParameter", REF_PEER,
				  "Only a connection of type ExpressRoute has a circuit.");
	if (r == 0 && (is_vnets ? !second : !arm_ref(body, LOCAL)))
		r = arm_refuse_at(p->s->error, 400, "MissingRequiredProperty",
				  is_vnets ? REF_GATEWAY_2 : LOCAL,
				  "A connection of type %s needs %s.", arm_str(body, TYPE, ""),
				  is_vnets ? "virtualNetworkGateway2" : "localNetworkGateway2");
	if (r == 0 && is_vnets)
		r = vpn_gateway_check(p, REF_GATEWAY_2);
	if (r == 0 && is_vnets && arm_id_equal(first, second))
		r = arm_refuse_at(p->s->error, 400, "InvalidParameter", REF_GATEWAY_2,
				  "A gateway cannot be connected with itself.");
	return r;
}

/* ---- the plan ---- */

static int
circuit_connection_plan(struct arm_plan *p)
{
	struct joint j;
	int r;

	if (arm_ref(p->want->body, REF_GATEWAY_2) || arm_ref(p->want->body, LOCAL))
		return arm_refuse_at(p->s->error, 400, "InvalidParameter", TYPE,
				     "A connection of type ExpressRoute has a peer (a circuit) "
				     "alone at its other end.");
	r = joint_find(p, &j);
	if (r == 0 && !p->have)
		r = connection_create(p, &j);
	if (r == 0)
		r = fast_path_check(p, &j);
	if (r < 0)
		return r;
	link_recompile(p, j.circuit->id, j.vnet->id);
	spokes_recompile(p, j.vnet);
	return 0;
}

static void
connection_delete(struct arm_plan *p)
{
	const char *gw = arm_ref(p->have->body, REF_GATEWAY);
	const struct arm_resource *g = gw ? arm_get(p->s, gw) : NULL;
	const struct arm_resource *vnet = g ? gateway_vnet(p->s, g) : NULL;

	if (!is_circuits(p->have->body))
		return;
	link_recompile(p, arm_ref(p->have->body, REF_PEER), vnet ? vnet->id : NULL);
	if (vnet)
		spokes_recompile(p, vnet);
}

static int
connection_plan(struct arm_plan *p)
{
	const struct catalogue_limits *l = catalogue_limits(network_catalogue(p->s));

	if (p->verb == ARM_VERB_DELETE)
		connection_delete(p);
	if (p->verb != ARM_VERB_CREATE && p->verb != ARM_VERB_UPDATE)
		return 0;
	if (arm_int(p->want->body, "properties.routingWeight", 0) > l->max_routing_weight)
		return arm_refuse_at(p->s->error, 400, "InvalidParameter",
				     "properties.routingWeight", "At most %u.",
				     l->max_routing_weight);
	guid_ensure(p);
	return is_circuits(p->want->body) ? circuit_connection_plan(p) : vpn_check(p);
}

/* ---- reading ---- */

/* Does a living edge carry it? */
static bool
is_connected(struct arm_snapshot *s, const struct arm_resource *r)
{
	const char *peer = arm_ref(r->body, REF_PEER);
	const struct arm_resource *circuit = peer ? arm_get(s, peer) : NULL;
	const json_t *peering = circuit ? arm_child(circuit->body, "peerings", PEERING_PRIVATE)
					: NULL;
	struct circuit_place at;

	return peering && circuit_provider_state(s, circuit) == PROVIDER_PROVISIONED &&
	       text_equal(arm_str(peering, "properties.state", ""), "Enabled") &&
	       circuit_place(s, circuit, &at) &&
	       (arm_node_is_live(s, at.edge[0]) || arm_node_is_live(s, at.edge[1]));
}

static int
connection_view(struct arm_snapshot *s, const struct arm_resource *r, json_t *out)
{
	bool is_er = is_circuits(r->body);
	const char *status = is_er && is_connected(s, r) ? "Connected" : "NotConnected";

	arm_set(out, "properties.connectionStatus",
		json_string(is_er && r->is_updating ? "Connecting" : status));
	if (!is_er)
		arm_set(out, "properties.tunnelConnectionStatus", json_array());
	arm_set(out, "properties.ingressBytesTransferred", json_integer(0));
	arm_set(out, "properties.egressBytesTransferred", json_integer(0));
	return 0;
}

json_t *
connection_brief(const struct arm_resource *r)
{
	static const char *const ends[] = { "virtualNetworkGateway1", "virtualNetworkGateway2",
					    "localNetworkGateway2", "peer" };
	json_t *brief = json_pack("{s:s, s:s, s:s, s:s, s:o, s:{s:s, s:I, s:b, s:s}}", "id", r->id,
				  "name", r->name, "type", "Microsoft.Network/connections",
				  "location", arm_str(r->body, "location", ""), "etag",
				  json_textf("W/\"%s\"", r->etag), "properties", "connectionType",
				  arm_str(r->body, TYPE, ""), "routingWeight",
				  (json_int_t)arm_int(r->body, "properties.routingWeight", 0),
				  "enableBgp", arm_bool(r->body, "properties.enableBgp", false),
				  "provisioningState", r->is_updating ? "Updating" : "Succeeded");

	for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++) {
		char path[64];

		snprintf(path, sizeof(path), "properties.%s", ends[i]);
		const char *id = arm_ref(r->body, path);

		if (id)
			arm_set(brief, path, json_reference(id));
	}
	return brief;
}

/* ---- the shared key: by paths of its own only ---- */

static int
shared_key_check(const char *text, struct err *e)
{
	size_t n = strlen(text);

	for (size_t i = 0; i < n; i++)
		if (text[i] <= ' ' || text[i] > '~')
			return err_set(e, -EINVAL, "must be of visible ASCII characters");
	return n <= 128 ? 0 : err_set(e, -EINVAL, "must have at most 128 characters");
}

static int
has_key_check(struct arm_call *c)
{
	return is_circuits(c->r->body)
		       ? arm_refuse(c->s->error, 400, "SharedKeyNotSupported",
				    "A connection of type ExpressRoute has no shared key.")
		       : 0;
}

static int
key_get(struct arm_call *c)
{
	if (has_key_check(c) < 0)
		return -EBADE;
	c->result = json_pack("{s:o, s:s}", "id", json_textf("%s/sharedkey", c->r->id), "value",
			      arm_str(c->r->body, KEY, ""));
	return 0;
}

static int
key_put(struct arm_plan *p, struct arm_call *c)
{
	const char *value = arm_str(c->body, "value", "");
	struct err e = { 0 };

	if (has_key_check(c) < 0)
		return -EBADE;
	if (!*value || shared_key_check(value, &e) < 0)
		return arm_refuse_at(p->s->error, 400, "InvalidParameter", "value",
				     "value: the shared key %s.",
				     e.text[0] ? e.text : "is required");
	arm_set(p->want->body, KEY, json_string(value));
	c->result = json_pack("{s:o, s:s}", "id", json_textf("%s/sharedkey", p->want->id), "value",
			      value);
	return 0;
}

static int
key_reset(struct arm_plan *p, struct arm_call *c)
{
	int64_t n = arm_int(c->body, "keyLength", 0);
	char key[129] = "";

	if (has_key_check(c) < 0)
		return -EBADE;
	if (n < 1 || n > 128)
		return arm_refuse_at(p->s->error, 400, "InvalidParameter", "keyLength",
				     "keyLength: must be from 1 to 128.");
	for (size_t at = 0; at < (size_t)n;) {
		const char *guid = arm_new_guid(p);

		for (; *guid && at < (size_t)n; guid++)
			if (*guid != '-')
				key[at++] = *guid;
	}
	arm_set(p->want->body, KEY, json_string(key));
	c->result = json_pack("{s:I}", "keyLength", (json_int_t)n);
	return 0;
}

/* There are no tunnels: nothing to reset, no security association. A circuit's link is told to the
 * nodes anew. */
static int
reset_write(struct arm_plan *p, struct arm_call *c)
{
	const char *gw = arm_ref(p->want->body, REF_GATEWAY);
	const struct arm_resource *g = gw ? arm_get(p->s, gw) : NULL;
	const struct arm_resource *vnet = g ? gateway_vnet(p->s, g) : NULL;

	if (is_circuits(p->want->body))
		link_recompile(p, arm_ref(p->want->body, REF_PEER), vnet ? vnet->id : NULL);
	return 0;
}

static int
ike_run(struct arm_call *c)
{
	c->result = json_pack("{s:[]}", "value");
	return 0;
}

static const struct arm_action connection_actions[] = {
	/* Who may only read does not read this. */
	{ .name = "sharedkey",
	  .method = ARM_GET,
	  .action = "Microsoft.Network/connections/sharedkey/action",
	  .run = key_get },
	{ .name = "sharedkey",
	  .method = ARM_PUT,
	  .action = "Microsoft.Network/connections/sharedkey/write",
	  .write = key_put },
	{ .name = "sharedkey/reset",
	  .method = ARM_POST,
	  .action = "Microsoft.Network/connections/sharedkey/write",
	  .write = key_reset },
	{ .name = "resetconnection", .method = ARM_POST, .write = reset_write },
	{ .name = "getikesas", .method = ARM_POST, .run = ike_run },
	{ 0 },
};

/* clang-format off */
static const struct arm_prop policy_props[] = {
	{ .name = "saLifeTimeSeconds", .kind = ARM_INT, .flags = ARM_REQUIRED, .min = 300, .max = 172799 },
	{ .name = "saDataSizeKilobytes", .kind = ARM_INT, .flags = ARM_REQUIRED, .min = 0, .max = INT32_MAX },
	{ .name = "ipsecEncryption", .kind = ARM_STRING, .flags = ARM_REQUIRED,
	  .words = (const char *const[]){ "None", "DES", "DES3", "AES128", "AES192", "AES256", "GCMAES128", "GCMAES192",
					  "GCMAES256", NULL } },
	{ .name = "ipsecIntegrity", .kind = ARM_STRING, .flags = ARM_REQUIRED,
	  .words = (const char *const[]){ "MD5", "SHA1", "SHA256", "GCMAES128", "GCMAES192", "GCMAES256", NULL } },
	{ .name = "ikeEncryption", .kind = ARM_STRING, .flags = ARM_REQUIRED,
	  .words = (const char *const[]){ "DES", "DES3", "AES128", "AES192", "AES256", "GCMAES256", "GCMAES128", NULL } },
	{ .name = "ikeIntegrity", .kind = ARM_STRING, .flags = ARM_REQUIRED,
	  .words = (const char *const[]){ "MD5", "SHA1", "SHA256", "SHA384", "GCMAES256", "GCMAES128", NULL } },
	{ .name = "dhGroup", .kind = ARM_STRING, .flags = ARM_REQUIRED,
	  .words = (const char *const[]){ "None", "DHGroup1", "DHGroup2", "DHGroup14", "DHGroup2048", "ECP256", "ECP384",
					  "DHGroup24", NULL } },
	{ .name = "pfsGroup", .kind = ARM_STRING, .flags = ARM_REQUIRED,
	  .words = (const char *const[]){ "None", "PFS1", "PFS2", "PFS2048", "ECP256", "ECP384", "PFS24", "PFS14", "PFSMM",
					  NULL } },
	{ 0 },
};

static const struct arm_prop connection_props[] = {
	{ .name = "connectionType", .kind = ARM_STRING, .flags = ARM_REQUIRED | ARM_FIXED,
	  .words = (const char *const[]){ "IPsec", "Vnet2Vnet", "ExpressRoute", NULL } },
	{ .name = "virtualNetworkGateway1", .kind = ARM_REF, .flags = ARM_REQUIRED | ARM_FIXED,
	  .ref_type = "Microsoft.Network/virtualNetworkGateways",
	  .join = "Microsoft.Network/virtualNetworkGateways/join/action" },
	{ .name = "virtualNetworkGateway2", .kind = ARM_REF, .flags = ARM_FIXED,
	  .ref_type = "Microsoft.Network/virtualNetworkGateways",
	  .join = "Microsoft.Network/virtualNetworkGateways/join/action" },
	{ .name = "localNetworkGateway2", .kind = ARM_REF, .flags = ARM_FIXED,
	  .ref_type = "Microsoft.Network/localNetworkGateways" },
	/* Whether the circuit may be joined is asked here, not by the engine: a key is enough. */
	{ .name = "peer", .kind = ARM_REF, .flags = ARM_FIXED,
	  .ref_type = "Microsoft.Network/expressRouteCircuits" },
	{ .name = "authorizationKey", .kind = ARM_STRING, .flags = ARM_SECRET },
	{ .name = "sharedKey", .kind = ARM_STRING, .flags = ARM_SECRET, .check = shared_key_check },
	{ .name = "routingWeight", .kind = ARM_INT, .min = 0, .max = INT32_MAX, .def = "0" },
	{ .name = "connectionProtocol", .kind = ARM_STRING, .flags = ARM_KEEP,
	  .words = (const char *const[]){ "IKEv2", "IKEv1", NULL } },
	{ .name = "connectionMode", .kind = ARM_STRING, .def = "\"Default\"",
	  .words = (const char *const[]){ "Default", "ResponderOnly", "InitiatorOnly", NULL } },
	{ .name = "dpdTimeoutSeconds", .kind = ARM_INT, .min = 0, .max = 3600 },
	{ .name = "enableBgp", .kind = ARM_BOOL, .def = "false" },
	{ .name = "gatewayCustomBgpIpAddresses", .kind = ARM_LIST, .item = ARM_OBJECT, .max = 8,
	  .props = (const struct arm_prop[]){
		{ .name = "ipConfigurationId", .kind = ARM_STRING, .flags = ARM_REQUIRED },
		{ .name = "customBgpIpAddress", .kind = ARM_STRING, .flags = ARM_REQUIRED },
		{ 0 } } },
	{ .name = "useLocalAzureIpAddress", .kind = ARM_BOOL, .def = "false" },
	{ .name = "usePolicyBasedTrafficSelectors", .kind = ARM_BOOL, .def = "false" },
	{ .name = "ipsecPolicies", .kind = ARM_LIST, .item = ARM_OBJECT, .max = 1, .props = policy_props, .def = "[]" },
	{ .name = "trafficSelectorPolicies", .kind = ARM_LIST, .item = ARM_OBJECT, .max = 100, .def = "[]",
	  .props = (const struct arm_prop[]){
		{ .name = "localAddressRanges", .kind = ARM_LIST, .item = ARM_STRING, .flags = ARM_REQUIRED, .max = 100 },
		{ .name = "remoteAddressRanges", .kind = ARM_LIST, .item = ARM_STRING, .flags = ARM_REQUIRED, .max = 100 },
		{ 0 } } },
	{ .name = "ingressNatRules", .kind = ARM_LIST, .item = ARM_REF, .flags = ARM_LOOSE, .max = 100 },
	{ .name = "egressNatRules", .kind = ARM_LIST, .item = ARM_REF, .flags = ARM_LOOSE, .max = 100 },
	{ .name = "expressRouteGatewayBypass", .kind = ARM_BOOL, .def = "false" },
	{ .name = "enablePrivateLinkFastPath", .kind = ARM_BOOL, .def = "false" },
	{ .name = "tunnelConnectionStatus", .kind = ARM_ANY, .flags = ARM_READ_ONLY },
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
	.flags = ARM_TRACKED | ARM_PATCH_IS_LRO,
	.props = connection_props,
	.actions = connection_actions,
	.plan = connection_plan,
	.view = connection_view,
};
