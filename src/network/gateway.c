/* Microsoft.Network/virtualNetworkGateways of type ExpressRoute: what attaches a VNet to circuits.
 * No packet passes it; it takes an address of its GatewaySubnet so that it can be shown as the
 * gateway that clients expect. Public IP addresses (Microsoft.Network/publicIPAddresses) exist
 * because clients make one for every gateway. */
#include "network/address.h"

#define CONFIGS "ipConfigurations"

static int
gateway_subnet_check(struct arm_plan *p, const json_t *config)
{
	const char *subnet = arm_ref(config, "properties.subnet");

	if (!subnet || !text_equal(arm_id_segment(p->s->arena, subnet, 0), "GatewaySubnet"))
		return arm_refuse_at(p->s->error, 400, "InvalidGatewaySubnet",
				     "properties.ipConfigurations.properties.subnet",
				     "A gateway lives in the subnet named GatewaySubnet.");
	if (!arm_get_element(p->s, subnet, NULL))
		return arm_refuse_at(p->s->error, 400, "InvalidResourceReference",
				     "properties.ipConfigurations.properties.subnet",
				     "There is no subnet %s.", subnet);
	return 0;
}

static int
gateway_create(struct arm_plan *p)
{
	const struct arm_resource *vnet = gateway_vnet(p->s, p->want);

	if (!text_equal(arm_str(vnet->body, "location", NULL), p->location))
		return arm_refuse(p->s->error, 400, "InvalidResourceReference",
				  "Virtual network %s is in %s, not in %s.", vnet->id,
				  arm_str(vnet->body, "location", "?"), p->location);
	if (arm_claim(p, NULL, CLAIM_GATEWAY, vnet->fold, NULL) < 0)
		return arm_refuse(p->s->error, 400, "GatewayAlreadyExists",
				  "Virtual network %s has an ExpressRoute gateway already: %s.",
				  vnet->id, claim_holder(p->s, CLAIM_GATEWAY, vnet->fold));
	arm_set(p->want->body, "properties.resourceGuid", json_string(arm_new_guid(p)));
	return 0;
}

static int
gateway_plan(struct arm_plan *p)
{
	if (p->verb != ARM_VERB_CREATE && p->verb != ARM_VERB_UPDATE)
		return 0;
	json_t *config = json_array_get(collection_of(p->want->body, CONFIGS), 0);
	json_t *before = p->have ? json_array_get(collection_of(p->have->body, CONFIGS), 0) : NULL;
	int r = gateway_subnet_check(p, config);

	if (r == 0 && p->verb == ARM_VERB_CREATE)
		r = gateway_create(p);
	if (r == 0 && before &&
	    !arm_id_equal(arm_ref(before, "properties.subnet"),
			  arm_ref(config, "properties.subnet")))
		r = arm_refuse(p->s->error, 400, "PropertyChangeNotAllowed",
			       "A gateway stays in its virtual network.");
	if (r < 0)
		return r;
	arm_set(p->want->body, "properties.sku.tier",
		json_string(arm_str(p->want->body, "properties.sku.name", "")));
	return address_give(p, before, config);
}

static int
gateway_view(struct arm_snapshot *s, const struct arm_resource *r, json_t *out)
{
	json_t *config = json_array_get(collection_of(out, CONFIGS), 0);
	const char *name = arm_str(config, "name", "");

	json_object_set_new(config, "id", json_textf("%s/ipConfigurations/%s", r->id, name));
	arm_set(config, "properties.provisioningState", json_string("Succeeded"));
	arm_set(out, "properties.bgpSettings",
		json_pack("{s:I, s:s, s:i}", "asn",
			  (json_int_t)catalogue_limits(network_catalogue(s))->gateway_asn,
			  "bgpPeeringAddress", arm_str(config, "properties.privateIPAddress", ""),
			  "peerWeight", 0));
	return 0;
}

/* GET {gateway}/connections: in the short form of the list. */
static int
gateway_connections(struct arm_call *c)
{
	struct arm_referrer *refs;
	size_t n = arm_referrers(c->s, c->r->fold, false, REF_GATEWAY, &refs);
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++) {
		const struct arm_resource *r = arm_get(c->s, refs[i].owner);
		const char *peer = r ? arm_ref(r->body, REF_PEER) : NULL;

		if (!r || !peer)
			continue;
		json_array_append_new(
			list,
			json_pack("{s:s, s:s, s:s, s:s, s:{s:s, s:o, s:o, s:I, s:s}}", "id", r->id,
				  "name", r->name, "type", "Microsoft.Network/connections",
				  "location", arm_str(r->body, "location", ""), "properties",
				  "connectionType", "ExpressRoute", "virtualNetworkGateway1",
				  json_reference(c->r->id), "peer", json_reference(peer),
				  "routingWeight",
				  (json_int_t)arm_int(r->body, "properties.routingWeight", 0),
				  "provisioningState", r->is_updating ? "Updating" : "Succeeded"));
	}
	c->result = json_pack("{s:o}", "value", list);
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

static const struct arm_prop gateway_props[] = {
	{ .name = "gatewayType", .kind = ARM_STRING, .flags = ARM_REQUIRED | ARM_FIXED,
	  .words = (const char *const[]){ "ExpressRoute", NULL } },
	{ .name = "vpnType", .kind = ARM_STRING, .words = (const char *const[]){ "RouteBased", "PolicyBased", NULL },
	  .def = "\"RouteBased\"" },
	{ .name = "sku", .kind = ARM_OBJECT, .flags = ARM_REQUIRED,
	  .props = (const struct arm_prop[]){
		{ .name = "name", .kind = ARM_STRING, .flags = ARM_REQUIRED,
		  .words = (const char *const[]){ "Standard", "HighPerformance", "UltraPerformance",
						  "ErGw1AZ", "ErGw2AZ", "ErGw3AZ", "ErGwScale", NULL } },
		{ .name = "tier", .kind = ARM_STRING },
		{ .name = "capacity", .kind = ARM_INT, .flags = ARM_READ_ONLY },
		{ 0 } } },
	{ .name = "ipConfigurations", .kind = ARM_LIST, .flags = ARM_REQUIRED, .min = 1, .max = 1,
	  .item = ARM_OBJECT, .props = gateway_config_props },
	{ .name = "activeActive", .kind = ARM_BOOL, .def = "false" },
	{ .name = "enableBgp", .kind = ARM_BOOL, .def = "false" },
	{ .name = "enablePrivateIpAddress", .kind = ARM_BOOL, .def = "false" },
	{ .name = "bgpSettings", .kind = ARM_ANY, .flags = ARM_READ_ONLY },
	{ .name = "resourceGuid", .kind = ARM_STRING, .flags = ARM_READ_ONLY },
	{ 0 },
};
/* clang-format on */

static const struct arm_action gateway_actions[] = {
	{ .name = "connections", .method = ARM_GET, .run = gateway_connections },
	{ 0 },
};

const struct arm_type gateway_type = {
	.ns = "Microsoft.Network",
	.name = "virtualNetworkGateways",
	.flags = ARM_TRACKED,
	.props = gateway_props,
	.actions = gateway_actions,
	.in_use_code = "GatewayInUse",
	.in_use_status = 409,
	.plan = gateway_plan,
	.view = gateway_view,
};

/* ---- public IP addresses ---- */

/* clang-format off */
static const struct arm_prop public_ip_top[] = {
	{ .name = "sku", .kind = ARM_OBJECT, .def = "{\"name\":\"Basic\",\"tier\":\"Regional\"}",
	  .props = (const struct arm_prop[]){
		{ .name = "name", .kind = ARM_STRING, .words = (const char *const[]){ "Basic", "Standard", NULL },
		  .def = "\"Basic\"" },
		{ .name = "tier", .kind = ARM_STRING, .words = (const char *const[]){ "Regional", "Global", NULL },
		  .def = "\"Regional\"" },
		{ 0 } } },
	{ .name = "zones", .kind = ARM_LIST, .item = ARM_STRING, .max = 3 },
	{ 0 },
};

static const struct arm_prop public_ip_props[] = {
	{ .name = "publicIPAllocationMethod", .kind = ARM_STRING,
	  .words = (const char *const[]){ "Dynamic", "Static", NULL }, .def = "\"Dynamic\"" },
	{ .name = "publicIPAddressVersion", .kind = ARM_STRING,
	  .words = (const char *const[]){ "IPv4", NULL }, .def = "\"IPv4\"" },
	{ .name = "idleTimeoutInMinutes", .kind = ARM_INT, .min = 4, .max = 30, .def = "4" },
	{ .name = "ipAddress", .kind = ARM_STRING, .flags = ARM_READ_ONLY },
	{ .name = "resourceGuid", .kind = ARM_STRING, .flags = ARM_READ_ONLY },
	{ 0 },
};
/* clang-format on */

static int
public_ip_plan(struct arm_plan *p)
{
	if (p->verb == ARM_VERB_CREATE)
		arm_set(p->want->body, "properties.resourceGuid", json_string(arm_new_guid(p)));
	return 0;
}

const struct arm_type public_ip_type = {
	.ns = "Microsoft.Network",
	.name = "publicIPAddresses",
	.flags = ARM_TRACKED,
	.top = public_ip_top,
	.props = public_ip_props,
	.in_use_code = "PublicIPAddressCannotBeDeleted",
	.in_use_status = 400,
	.plan = public_ip_plan,
};
