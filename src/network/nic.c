/* Microsoft.Network/networkInterfaces: addresses in a VNet. Where a NIC is, is said by the
 * attachment of a host (fabric_host.c); without one it has addresses but no node object. */
#include "network/address.h"
#include "network/effective.h"
#include "network/vnet.h"

#define CONFIGS "ipConfigurations"

static const struct arm_resource *
nic_vnet(struct arm_snapshot *s, const struct arm_resource *nic)
{
	const char *subnet =
		arm_ref(json_array_get(collection_of(nic->body, CONFIGS), 0), "properties.subnet");

	return subnet ? arm_get(s, subnet) : NULL;
}

static int
nic_first(struct arm_plan *p)
{
	uint64_t number;

	if (*arm_str(p->want->body, "properties.resourceGuid", ""))
		return 0;
	if (arm_claim_number(p, NULL, CLAIM_MAC, 1, 0xffffff, &number) < 0)
		return arm_refuse(p->s->error, 409, "Conflict", "No MAC address is left.");
	arm_set(p->want->body, "properties.resourceGuid", json_string(arm_new_guid(p)));
	json_object_set_new(p->want->hidden, "macNumber", json_integer((json_int_t)number));
	return 0;
}

/* All in one VNet; the primary one is of IPv4. */
static int
configs_check(struct arm_plan *p, json_t *configs)
{
	const struct arm_resource *vnet = nic_vnet(p->s, p->want);
	unsigned n_primary = 0;
	json_t *c;
	size_t i;

	if (!vnet)
		return arm_refuse_at(p->s->error, 400, "InvalidResourceReference", REF_SUBNET,
				     "There is no such subnet.");
	if (!text_equal(arm_str(vnet->body, "location", NULL), p->location))
		return arm_refuse(p->s->error, 400, "InvalidResourceReference",
				  "Virtual network %s is in %s, not in %s.", vnet->id,
				  arm_str(vnet->body, "location", "?"), p->location);
	json_array_foreach(configs, i, c) {
		const char *subnet = arm_ref(c, "properties.subnet");

		if (!subnet || arm_get(p->s, subnet) != vnet)
			return arm_refuse(p->s->error, 400, "InvalidResourceReference",
					  "All IP configurations of a NIC are in subnets of one "
					  "virtual network.");
		if (text_equal(arm_id_segment(p->s->arena, subnet, 0), GATEWAY_SUBNET))
			return arm_refuse_at(p->s->error, 400, "NicInGatewaySubnetNotAllowed",
					     REF_SUBNET, "The GatewaySubnet is the gateways' own.");
		n_primary += arm_bool(c, "properties.primary", false);
	}
	if (!n_primary)
		arm_set(json_array_get(configs, 0), "properties.primary", json_true());
	json_array_foreach(configs, i, c) {
		if (!arm_bool(c, "properties.primary", false)) {
			arm_set(c, "properties.primary", json_false());
			continue;
		}
		if (text_equal(arm_str(c, "properties.privateIPAddressVersion", ""), "IPv6"))
			return arm_refuse(p->s->error, 400, "InvalidPrimaryIPConfiguration",
					  "The primary IP configuration of a NIC is of IPv4.");
	}
	if (n_primary > 1)
		return arm_refuse(p->s->error, 400, "InvalidParameter",
				  "One IP configuration is the primary one.");
	return 0;
}

static int
configs_settle(struct arm_plan *p)
{
	json_t *configs = collection_of(p->want->body, CONFIGS);
	json_t *before = p->have ? collection_of(p->have->body, CONFIGS) : NULL;
	int r;

	if (!json_array_size(configs) || json_array_size(configs) > 256)
		return arm_refuse_at(p->s->error, 400, "InvalidParameter",
				     "properties.ipConfigurations",
				     "A NIC has 1 to 256 IP configurations.");
	r = configs_check(p, configs);
	if (r == 0)
		r = addresses_settle(p, before, configs);
	return r == 0 ? public_ips_settle(p, before, configs) : r;
}

static int
group_check(struct arm_plan *p)
{
	const char *id = arm_ref(p->want->body, "properties.networkSecurityGroup");
	const struct arm_resource *g = id ? arm_get(p->s, id) : NULL;

	if (!g || text_equal(arm_str(g->body, "location", ""), p->location))
		return 0;
	return arm_refuse_at(p->s->error, 400, "InvalidResourceReference",
			     "properties.networkSecurityGroup", "%s is in %s, not in %s.", g->id,
			     arm_str(g->body, "location", "?"), p->location);
}

static int
nic_plan(struct arm_plan *p)
{
	const struct arm_resource *now = p->have ? nic_vnet(p->s, p->have) : NULL;

	if (p->verb == ARM_VERB_DELETE && p->have) {
		if (arm_is_blocked(p))
			return 0;
		if (now)
			arm_recompile(p, now->id);
		return public_ips_settle(p, collection_of(p->have->body, CONFIGS), NULL);
	}
	if (p->verb != ARM_VERB_CREATE && p->verb != ARM_VERB_UPDATE)
		return 0;
	int r = configs_settle(p);

	if (r == 0)
		r = group_check(p);
	if (r == 0 && now && nic_vnet(p->s, p->want) != now)
		r = arm_refuse(p->s->error, 400, "PropertyChangeNotAllowed",
			       "A NIC stays in its virtual network %s.", now->id);
	return r < 0 ? r : nic_first(p);
}

static int
nic_view(struct arm_snapshot *s, const struct arm_resource *r, json_t *out)
{
	struct mac m = nic_mac((uint32_t)arm_int(r->hidden, "macNumber", 0));

	arm_set(out, "properties.macAddress",
		json_textf("%02X-%02X-%02X-%02X-%02X-%02X", m.b[0], m.b[1], m.b[2], m.b[3], m.b[4],
			   m.b[5]));
	arm_set(out, "properties.primary", json_true());
	arm_set(out, "properties.vnetEncryptionSupported", json_false());
	arm_set(out, "properties.tapConfigurations", json_array());
	arm_set(out, "properties.hostedWorkloads", json_array());
	arm_set(out, "properties.dnsSettings.appliedDnsServers", json_array());
	return 0;
}

/* ---- node objects ---- */

static json_t *
nic_body(const struct arm_resource *r, const struct arm_resource *vnet, const char *host)
{
	struct mac m = nic_mac((uint32_t)arm_int(r->hidden, "macNumber", 0));
	json_t *addresses = json_array(), *c;
	char text[MAC_TEXT];
	size_t i;

	/* The data plane carries IPv4 only. */
	json_array_foreach(collection_of(r->body, CONFIGS), i, c)
		if (!text_equal(arm_str(c, "properties.privateIPAddressVersion", ""), "IPv6"))
			json_array_append_new(
				addresses,
				json_string(arm_str(c, "properties.privateIPAddress", "")));
	return json_pack("{s:I, s:o, s:s, s:s, s:s}", "vnet", (json_int_t)vnet_number(vnet),
			 "addresses", addresses, "mac", mac_format(&m, text), "node", host,
			 "resourceId", r->id);
}

/* To its host, with the device; to every edge whose domains are linked to its VNet: that is what
 * the host may announce. */
static int
nic_compile(struct arm_snapshot *s, const struct arm_resource *r)
{
	const struct arm_resource *vnet = nic_vnet(s, r);
	const char *key = arm_str(r->body, "properties.resourceGuid", "");
	json_t *attachment, *body;
	const struct arm_resource *host = nic_host(s, r->id, &attachment);
	struct link *links;

	if (!vnet || !host)
		return 0;
	body = nic_body(r, vnet, host->name);
	json_object_set_new(body, "device",
			    json_string(arm_str(attachment, "properties.device", "")));
	arm_emit(s, host->name, "nic", key, body);
	for (size_t i = 0, n = links_reaching(s, vnet, &links); i < n; i++) {
		struct circuit_place at;
		bool is_told = false; /* two circuits on one pair: once is enough */

		if (!circuit_place(s, links[i].circuit, &at))
			continue;
		for (size_t j = 0; j < i && !is_told; j++) {
			struct circuit_place other;

			is_told = circuit_place(s, links[j].circuit, &other) &&
				  other.pair == at.pair;
		}
		for (unsigned side = 0; side < 2 && !is_told; side++)
			arm_emit(s, at.edge[side], "nic", key, nic_body(r, vnet, host->name));
	}
	return 0;
}

/* ---- the table ---- */

/* clang-format off */
static const struct arm_prop config_props[] = {
	{ .name = "privateIPAllocationMethod", .kind = ARM_STRING,
	  .words = (const char *const[]){ "Dynamic", "Static", NULL }, .def = "\"Dynamic\"" },
	{ .name = "privateIPAddress", .kind = ARM_STRING },
	{ .name = "privateIPAddressVersion", .kind = ARM_STRING,
	  .words = (const char *const[]){ "IPv4", "IPv6", NULL }, .def = "\"IPv4\"" },
	{ .name = "primary", .kind = ARM_BOOL },
	{ .name = "subnet", .kind = ARM_REF, .flags = ARM_REQUIRED,
	  .ref_type = "Microsoft.Network/virtualNetworks/subnets",
	  .join = "Microsoft.Network/virtualNetworks/subnets/join/action" },
	{ .name = "publicIPAddress", .kind = ARM_REF,
	  .ref_type = "Microsoft.Network/publicIPAddresses",
	  .join = "Microsoft.Network/publicIPAddresses/join/action" },
	{ 0 },
};

/* Written with the NIC, read by URLs of their own, too. */
static const struct arm_type config_type = {
	.ns = "Microsoft.Network",
	.name = CONFIGS,
	.flags = ARM_NO_PUT | ARM_NO_DELETE,
	.props = config_props,
};

static const struct arm_prop nic_props[] = {
	{ .name = CONFIGS, .kind = ARM_CHILDREN, .child = &config_type },
	{ .name = "networkSecurityGroup", .kind = ARM_REF, .ref_type = "Microsoft.Network/networkSecurityGroups",
	  .join = "Microsoft.Network/networkSecurityGroups/join/action" },
	{ .name = "dnsSettings", .kind = ARM_OBJECT, .def = "{}",
	  .props = (const struct arm_prop[]){
		{ .name = "dnsServers", .kind = ARM_LIST, .item = ARM_STRING, .max = 20, .def = "[]" },
		{ .name = "internalDnsNameLabel", .kind = ARM_STRING },
		{ .name = "appliedDnsServers", .kind = ARM_ANY, .flags = ARM_READ_ONLY },
		{ .name = "internalFqdn", .kind = ARM_STRING, .flags = ARM_READ_ONLY },
		{ .name = "internalDomainNameSuffix", .kind = ARM_STRING, .flags = ARM_READ_ONLY },
		{ 0 } } },
	{ .name = "enableAcceleratedNetworking", .kind = ARM_BOOL, .def = "false" },
	{ .name = "disableTcpStateTracking", .kind = ARM_BOOL, .def = "false" },
	{ .name = "enableIPForwarding", .kind = ARM_BOOL, .def = "false" },
	{ .name = "dscpConfiguration", .kind = ARM_ANY, .flags = ARM_READ_ONLY },
	{ .name = "workloadType", .kind = ARM_STRING, .max = 128 },
	{ .name = "nicType", .kind = ARM_STRING, .words = (const char *const[]){ "Standard", "Elastic", NULL },
	  .def = "\"Standard\"" },
	{ .name = "migrationPhase", .kind = ARM_STRING,
	  .words = (const char *const[]){ "None", "Prepare", "Commit", "Abort", "Committed", NULL } },
	{ .name = "auxiliaryMode", .kind = ARM_STRING, .def = "\"None\"",
	  .words = (const char *const[]){ "None", "MaxConnections", "Floating", "AcceleratedConnections", NULL } },
	{ .name = "auxiliarySku", .kind = ARM_STRING, .def = "\"None\"",
	  .words = (const char *const[]){ "None", "A1", "A2", "A4", "A8", NULL } },
	{ .name = "virtualMachine", .kind = ARM_ANY, .flags = ARM_READ_ONLY },
	{ .name = "privateEndpoint", .kind = ARM_ANY, .flags = ARM_READ_ONLY },
	{ .name = "privateLinkService", .kind = ARM_ANY, .flags = ARM_READ_ONLY },
	{ .name = "tapConfigurations", .kind = ARM_ANY, .flags = ARM_READ_ONLY },
	{ .name = "hostedWorkloads", .kind = ARM_ANY, .flags = ARM_READ_ONLY },
	{ .name = "vnetEncryptionSupported", .kind = ARM_BOOL, .flags = ARM_READ_ONLY },
	{ .name = "macAddress", .kind = ARM_STRING, .flags = ARM_READ_ONLY },
	{ .name = "primary", .kind = ARM_BOOL, .flags = ARM_READ_ONLY },
	{ .name = "resourceGuid", .kind = ARM_STRING, .flags = ARM_READ_ONLY },
	{ 0 },
};
/* clang-format on */

static const struct arm_type *const nic_children[] = { &config_type, NULL };

const struct arm_type nic_type = {
	.ns = "Microsoft.Network",
	.name = "networkInterfaces",
	.flags = ARM_TRACKED,
	.props = nic_props,
	.children = nic_children,
	.actions = nic_actions,
	.in_use_code = "NicInUse",
	.in_use_status = 400,
	.plan = nic_plan,
	.compile = nic_compile,
	.view = nic_view,
};
