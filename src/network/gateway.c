/* Microsoft.Network/virtualNetworkGateways: what attaches a VNet to circuits (type ExpressRoute) or to
 * VPN sites (type Vpn). No packet passes it; it takes an address of its GatewaySubnet so that it can
 * be shown as the gateway that clients expect. A VNet has one of each type at most. Tunnels of the
 * Vpn type are not there yet: connections of it are NotConnected. */
#include "network/gateway.h"

#include "base/buf.h"
#include "network/address.h"
#include "network/vnet.h"

#define CONFIGS "ipConfigurations"

/* ---- sizes ---- */

/* Within a family, sizes may change: up by any step, down by the steps that is_down names. */
static const struct size {
	const char *name;
	int family, step;
	bool is_down; /* may become the one before it */
	unsigned max_circuits;
	bool is_vpn;
} sizes[] = {
	{ "Standard", 1, 1, false, 4, false },
	{ "HighPerformance", 1, 2, true, 8, false },
	{ "UltraPerformance", 1, 3, false, 16, false },
	{ "ErGw1AZ", 2, 1, false, 4, false },
	{ "ErGw2AZ", 2, 2, true, 8, false },
	{ "ErGw3AZ", 2, 3, false, 16, false },
	{ "ErGwScale", 3, 1, false, 16, false },
	{ "Basic", 4, 1, false, 0, true },
	{ "VpnGw1", 5, 1, false, 0, true },
	{ "VpnGw2", 5, 2, true, 0, true },
	{ "VpnGw3", 5, 3, true, 0, true },
	{ "VpnGw4", 5, 4, true, 0, true },
	{ "VpnGw5", 5, 5, true, 0, true },
	{ "VpnGw1AZ", 6, 1, false, 0, true },
	{ "VpnGw2AZ", 6, 2, true, 0, true },
	{ "VpnGw3AZ", 6, 3, true, 0, true },
	{ "VpnGw4AZ", 6, 4, true, 0, true },
	{ "VpnGw5AZ", 6, 5, true, 0, true },
};

static const struct size *
size_of(const struct arm_resource *gateway)
{
	const char *name = arm_str(gateway->body, "properties.sku.name", "");

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
		if (text_equal(sizes[i].name, name))
			return &sizes[i];
	return &sizes[0]; /* the table of properties has let no other in */
}

bool
gateway_is_vpn(const struct arm_resource *gateway)
{
	return text_equal(arm_str(gateway->body, "properties.gatewayType", ""), "Vpn");
}

unsigned
gateway_max_circuits(const struct arm_resource *gateway)
{
	return size_of(gateway)->max_circuits;
}

const char *
gateway_address(const struct arm_resource *gateway)
{
	return arm_str(json_array_get(collection_of(gateway->body, CONFIGS), 0),
		       "properties.privateIPAddress", "");
}

static int
size_check(struct arm_plan *p)
{
	const struct size *to = size_of(p->want), *from = p->have ? size_of(p->have) : to;
	bool is_fine = from == to ||
		       (from->family == to->family &&
			(to->step > from->step || (from->is_down && to->step == from->step - 1)));

	if (to->is_vpn != gateway_is_vpn(p->want))
		return arm_refuse_at(p->s->error, 400, "InvalidGatewaySku", "properties.sku.name",
				     "%s is not a SKU of %s gateways.", to->name,
				     arm_str(p->want->body, "properties.gatewayType", ""));
	if (!is_fine)
		return arm_refuse_at(p->s->error, 400, "InvalidGatewaySkuProvidedForGatewayResize",
				     "properties.sku.name",
				     "A gateway of SKU %s cannot become %s; delete and create it.",
				     from->name, to->name);
	return 0;
}

/* ---- the subnet ---- */

static int
config_check(struct arm_plan *p, const json_t *config)
{
	const char *subnet = arm_ref(config, "properties.subnet");

	if (!subnet || !text_equal(arm_id_segment(p->s->arena, subnet, 0), GATEWAY_SUBNET))
		return arm_refuse_at(p->s->error, 400, "InvalidGatewaySubnet", REF_SUBNET,
				     "A gateway lives in the subnet named GatewaySubnet.");
	if (!arm_get_element(p->s, subnet, NULL))
		return arm_refuse_at(p->s->error, 400, "InvalidResourceReference", REF_SUBNET,
				     "There is no subnet %s.", subnet);
	if (gateway_is_vpn(p->want) && !arm_ref(config, "properties.publicIPAddress"))
		return arm_refuse_at(p->s->error, 400, "VpnGatewayPublicIpRequired",
				     "properties.ipConfigurations.properties.publicIPAddress",
				     "Every IP configuration of a Vpn gateway has a public IP "
				     "address.");
	return 0;
}

static int
configs_check(struct arm_plan *p, const json_t *configs)
{
	const json_t *before = p->have ? collection_of(p->have->body, CONFIGS) : NULL;
	const char *first =
		arm_ref(json_array_get(before ? before : configs, 0), "properties.subnet");
	json_t *c;
	size_t i;

	if (arm_bool(p->want->body, "properties.activeActive", false) &&
	    json_array_size(configs) < 2)
		return arm_refuse_at(p->s->error, 400, "ActiveActiveNeedsTwoIPConfigurations",
				     "properties.ipConfigurations",
				     "An active-active gateway has two IP configurations.");
	json_array_foreach(configs, i, c) {
		int r = config_check(p, c);

		if (r < 0)
			return r;
		if (!first || !arm_id_equal(first, arm_ref(c, "properties.subnet")))
			return arm_refuse(p->s->error, 400, "PropertyChangeNotAllowed",
					  "A gateway stays in its virtual network.");
	}
	return 0;
}

static bool
is_roomy(struct arm_plan *p, const char *subnet)
{
	struct prefix *v;
	size_t n = subnet_prefixes(p->s->arena, arm_get_element(p->s, subnet, NULL), &v);

	for (size_t i = 0; i < n; i++)
		if (v[i].addr.family == NET_V4 && v[i].len <= 27)
			return true;
	return false;
}

static int
place_check(struct arm_plan *p, const struct arm_resource *vnet, const json_t *config)
{
	bool is_vpn = gateway_is_vpn(p->want);
	const char *mine = is_vpn ? CLAIM_VPN_GATEWAY : CLAIM_GATEWAY;
	const char *other = is_vpn ? CLAIM_GATEWAY : CLAIM_VPN_GATEWAY;
	struct vnet_peer *peers;

	if (!text_equal(arm_str(vnet->body, "location", NULL), p->location))
		return arm_refuse(p->s->error, 400, "InvalidResourceReference",
				  "Virtual network %s is in %s, not in %s.", vnet->id,
				  arm_str(vnet->body, "location", "?"), p->location);
	for (size_t i = 0, n = vnet_peers(p->s, vnet, &peers); i < n; i++)
		if (arm_bool(peers[i].peering, "properties.useRemoteGateways", false))
			return arm_refuse(p->s->error, 400, "VnetUsesRemoteGateways",
					  "Virtual network %s uses the gateways of a peer "
					  "(peering '%s') and cannot have one of its own.",
					  vnet->id, arm_str(peers[i].peering, "name", ""));
	if (arm_claim_owner(p->s, other, vnet->fold) &&
	    !is_roomy(p, arm_ref(config, "properties.subnet")))
		return arm_refuse(p->s->error, 400, "GatewaySubnetTooSmall",
				  "Two gateways need a GatewaySubnet of /27 or larger.");
	if (arm_claim(p, NULL, mine, vnet->fold, NULL) < 0)
		return arm_refuse(p->s->error, 400, "GatewayAlreadyExists",
				  "Virtual network %s has a%s gateway already: %s.", vnet->id,
				  is_vpn ? " Vpn" : "n ExpressRoute",
				  claim_holder(p->s, mine, vnet->fold));
	return 0;
}

static void
bgp_settle(struct arm_plan *p)
{
	uint32_t asn = catalogue_limits(network_catalogue(p->s))->gateway_asn;
	json_t *body = p->want->body;

	/* Of ExpressRoute gateways it is the cloud's, always. */
	if (!gateway_is_vpn(p->want) || !arm_at(body, "properties.bgpSettings.asn"))
		arm_set(body, "properties.bgpSettings.asn", json_integer(asn));
	if (!arm_at(body, "properties.bgpSettings.peerWeight"))
		arm_set(body, "properties.bgpSettings.peerWeight", json_integer(0));
}

static int
gateway_plan(struct arm_plan *p)
{
	if (p->verb == ARM_VERB_DELETE && p->have && !arm_is_blocked(p))
		return public_ips_settle(p, collection_of(p->have->body, CONFIGS), NULL);
	if (p->verb != ARM_VERB_CREATE && p->verb != ARM_VERB_UPDATE)
		return 0;
	json_t *configs = collection_of(p->want->body, CONFIGS);
	json_t *before = p->have ? collection_of(p->have->body, CONFIGS) : NULL;
	int r = size_check(p);

	if (r == 0)
		r = configs_check(p, configs);
	if (r == 0 && !p->have)
		r = place_check(p, gateway_vnet(p->s, p->want), json_array_get(configs, 0));
	if (r == 0)
		r = addresses_settle(p, before, configs);
	if (r == 0)
		r = public_ips_settle(p, before, configs);
	if (r < 0)
		return r;
	guid_ensure(p);
	bgp_settle(p);
	arm_set(p->want->body, "properties.sku.tier",
		json_string(arm_str(p->want->body, "properties.sku.name", "")));
	arm_set(p->want->body, "properties.sku.capacity", json_integer(2));
	return 0;
}

static int
gateway_view(struct arm_snapshot *s, const struct arm_resource *r, json_t *out)
{
	json_t *peers = json_array(), *config;
	AUTO_BUF all = { 0 };
	size_t i;

	json_array_foreach(collection_of(out, CONFIGS), i, config) {
		const char *id = arena_printf(s->arena, "%s/ipConfigurations/%s", r->id,
					      arm_str(config, "name", ""));
		const char *address = arm_str(config, "properties.privateIPAddress", "");

		json_object_set_new(config, "id", json_string(id));
		arm_set(config, "properties.provisioningState", json_string("Succeeded"));
		buf_printf(&all, "%s%s", i ? "," : "", address);
		json_array_append_new(peers,
				      json_pack("{s:s, s:[s], s:[], s:[]}", "ipconfigurationId", id,
						"defaultBgpIpAddresses", address,
						"customBgpIpAddresses", "tunnelIpAddresses"));
	}
	arm_set(out, "properties.bgpSettings.bgpPeeringAddress", json_string(buf_str(&all)));
	arm_set(out, "properties.bgpSettings.bgpPeeringAddresses", peers);
	return 0;
}

/* clang-format off */
static const struct arm_prop gateway_config_props[] = {
	{ .name = "name", .kind = ARM_STRING, .flags = ARM_REQUIRED, .min = 1, .max = 80 },
	{ .name = "properties", .kind = ARM_OBJECT, .flags = ARM_REQUIRED,
	  .props = (const struct arm_prop[]){
		{ .name = "privateIPAllocationMethod", .kind = ARM_STRING,
		  .words = (const char *const[]){ "Dynamic", NULL }, .def = "\"Dynamic\"" },
		{ .name = "privateIPAddress", .kind = ARM_STRING, .flags = ARM_READ_ONLY },
		{ .name = "subnet", .kind = ARM_REF, .flags = ARM_REQUIRED,
		  .ref_type = "Microsoft.Network/virtualNetworks/subnets",
		  .join = "Microsoft.Network/virtualNetworks/subnets/join/action" },
		{ .name = "publicIPAddress", .kind = ARM_REF,
		  .ref_type = "Microsoft.Network/publicIPAddresses",
		  .join = "Microsoft.Network/publicIPAddresses/join/action" },
		{ 0 } } },
	{ 0 },
};

static const struct arm_prop prefixes_props[] = {
	{ .name = "addressPrefixes", .kind = ARM_LIST, .item = ARM_STRING, .max = 1000, .def = "[]" },
	{ 0 },
};

static const struct arm_prop gateway_props[] = {
	{ .name = "gatewayType", .kind = ARM_STRING, .flags = ARM_REQUIRED | ARM_FIXED,
	  .words = (const char *const[]){ "Vpn", "ExpressRoute", NULL } },
	{ .name = "vpnType", .kind = ARM_STRING, .flags = ARM_FIXED | ARM_KEEP, .def = "\"RouteBased\"",
	  .words = (const char *const[]){ "RouteBased", "PolicyBased", NULL } },
	{ .name = "vpnGatewayGeneration", .kind = ARM_STRING, .flags = ARM_KEEP, .def = "\"None\"",
	  .words = (const char *const[]){ "None", "Generation1", "Generation2", NULL } },
	{ .name = "sku", .kind = ARM_OBJECT, .flags = ARM_REQUIRED,
	  .props = (const struct arm_prop[]){
		{ .name = "name", .kind = ARM_STRING, .flags = ARM_REQUIRED,
		  .words = (const char *const[]){
			"Standard", "HighPerformance", "UltraPerformance", "ErGw1AZ", "ErGw2AZ", "ErGw3AZ", "ErGwScale",
			"Basic", "VpnGw1", "VpnGw2", "VpnGw3", "VpnGw4", "VpnGw5", "VpnGw1AZ", "VpnGw2AZ", "VpnGw3AZ",
			"VpnGw4AZ", "VpnGw5AZ", NULL } },
		{ .name = "tier", .kind = ARM_STRING },
		{ .name = "capacity", .kind = ARM_INT, .flags = ARM_READ_ONLY },
		{ 0 } } },
	{ .name = CONFIGS, .kind = ARM_LIST, .flags = ARM_REQUIRED, .min = 1, .max = 3,
	  .item = ARM_OBJECT, .props = gateway_config_props },
	{ .name = "autoScaleConfiguration", .kind = ARM_OBJECT,
	  .props = (const struct arm_prop[]){
		{ .name = "bounds", .kind = ARM_OBJECT,
		  .props = (const struct arm_prop[]){
			{ .name = "min", .kind = ARM_INT, .min = 1, .max = 40 },
			{ .name = "max", .kind = ARM_INT, .min = 1, .max = 40 },
			{ 0 } } },
		{ 0 } } },
	{ .name = "activeActive", .kind = ARM_BOOL, .def = "false" },
	{ .name = "enableBgp", .kind = ARM_BOOL, .def = "false" },
	{ .name = "enablePrivateIpAddress", .kind = ARM_BOOL, .def = "false" },
	{ .name = "disableIPSecReplayProtection", .kind = ARM_BOOL, .def = "false" },
	{ .name = "enableBgpRouteTranslationForNat", .kind = ARM_BOOL, .def = "false" },
	{ .name = "enableDnsForwarding", .kind = ARM_BOOL },
	{ .name = "inboundDnsForwardingEndpoint", .kind = ARM_STRING, .flags = ARM_READ_ONLY },
	{ .name = "allowVirtualWanTraffic", .kind = ARM_BOOL, .def = "false" },
	{ .name = "allowRemoteVnetTraffic", .kind = ARM_BOOL, .def = "false" },
	{ .name = "adminState", .kind = ARM_STRING, .words = (const char *const[]){ "Enabled", "Disabled", NULL } },
	{ .name = "resiliencyModel", .kind = ARM_STRING,
	  .words = (const char *const[]){ "SingleHomed", "MultiHomed", NULL } },
	{ .name = "gatewayDefaultSite", .kind = ARM_REF, .ref_type = "Microsoft.Network/localNetworkGateways" },
	{ .name = "customRoutes", .kind = ARM_OBJECT, .props = prefixes_props },
	{ .name = "vpnClientConfiguration", .kind = ARM_OBJECT,
	  .props = (const struct arm_prop[]){
		{ .name = "vpnClientAddressPool", .kind = ARM_OBJECT, .props = prefixes_props },
		{ .name = "vpnClientProtocols", .kind = ARM_LIST, .item = ARM_STRING, .max = 3,
		  .words = (const char *const[]){ "IkeV2", "SSTP", "OpenVPN", NULL } },
		{ .name = "vpnAuthenticationTypes", .kind = ARM_LIST, .item = ARM_STRING, .max = 3,
		  .words = (const char *const[]){ "Certificate", "Radius", "AAD", NULL } },
		{ .name = "vpnClientRootCertificates", .kind = ARM_LIST, .item = ARM_OBJECT, .max = 50,
		  .props = (const struct arm_prop[]){
			{ .name = "name", .kind = ARM_STRING, .flags = ARM_REQUIRED, .min = 1, .max = 80 },
			{ .name = "properties", .kind = ARM_OBJECT,
			  .props = (const struct arm_prop[]){
				{ .name = "publicCertData", .kind = ARM_STRING, .flags = ARM_REQUIRED, .max = 65536 },
				{ 0 } } },
			{ 0 } } },
		{ .name = "vpnClientRevokedCertificates", .kind = ARM_LIST, .item = ARM_OBJECT, .max = 300,
		  .props = (const struct arm_prop[]){
			{ .name = "name", .kind = ARM_STRING, .flags = ARM_REQUIRED, .min = 1, .max = 80 },
			{ .name = "properties", .kind = ARM_OBJECT,
			  .props = (const struct arm_prop[]){
				{ .name = "thumbprint", .kind = ARM_STRING, .max = 128 },
				{ 0 } } },
			{ 0 } } },
		{ .name = "radiusServerAddress", .kind = ARM_STRING, .max = 255 },
		{ .name = "radiusServerSecret", .kind = ARM_STRING, .flags = ARM_SECRET },
		{ .name = "aadTenant", .kind = ARM_STRING, .max = 512 },
		{ .name = "aadAudience", .kind = ARM_STRING, .max = 512 },
		{ .name = "aadIssuer", .kind = ARM_STRING, .max = 512 },
		{ 0 } } },
	{ .name = "virtualNetworkGatewayPolicyGroups", .kind = ARM_LIST, .item = ARM_ANY, .max = 50 },
	{ .name = "natRules", .kind = ARM_LIST, .item = ARM_ANY, .max = 100 },
	{ .name = "vNetExtendedLocationResourceId", .kind = ARM_STRING },
	{ .name = "bgpSettings", .kind = ARM_OBJECT, .flags = ARM_KEEP,
	  .props = (const struct arm_prop[]){
		{ .name = "asn", .kind = ARM_INT, .flags = ARM_KEEP, .min = 1, .max = UINT32_MAX },
		{ .name = "peerWeight", .kind = ARM_INT, .flags = ARM_KEEP, .min = 0, .max = 100 },
		{ .name = "bgpPeeringAddress", .kind = ARM_STRING, .flags = ARM_READ_ONLY },
		{ .name = "bgpPeeringAddresses", .kind = ARM_ANY, .flags = ARM_READ_ONLY },
		{ 0 } } },
	{ .name = "resourceGuid", .kind = ARM_STRING, .flags = ARM_READ_ONLY },
	{ 0 },
};
/* clang-format on */

const struct arm_type gateway_type = {
	.ns = "Microsoft.Network",
	.name = "virtualNetworkGateways",
	.flags = ARM_TRACKED | ARM_PATCH_IS_LRO,
	.props = gateway_props,
	.actions = gateway_actions,
	.in_use_code = "GatewayInUse",
	.in_use_status = 409,
	.plan = gateway_plan,
	.view = gateway_view,
};
