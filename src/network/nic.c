/* Microsoft.Network/networkInterfaces: addresses in a VNet. Where a NIC is, is said by the
 * attachment of a host (fabric_host.c); without one it has addresses but no node object. */
#include "network/address.h"

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

static json_t *
config_named(const json_t *configs, const char *name)
{
	json_t *c;
	size_t i;

	json_array_foreach(configs, i, c)
		if (text_equal(arm_str(c, "name", NULL), name))
			return c;
	return NULL;
}

/* All in one VNet, one of them primary. */
static int
configs_check(struct arm_plan *p, json_t *configs)
{
	const struct arm_resource *vnet = nic_vnet(p->s, p->want);
	unsigned n_primary = 0;
	json_t *c;
	size_t i;

	if (!vnet)
		return arm_refuse_at(p->s->error, 400, "InvalidResourceReference",
				     "properties.ipConfigurations.properties.subnet",
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
		n_primary += arm_bool(c, "properties.primary", false);
	}
	if (!n_primary)
		arm_set(json_array_get(configs, 0), "properties.primary", json_true());
	if (n_primary > 1)
		return arm_refuse(p->s->error, 400, "InvalidParameter",
				  "One IP configuration is the primary one.");
	return 0;
}

static int
configs_settle(struct arm_plan *p)
{
	json_t *configs = collection_of(p->want->body, CONFIGS), *c;
	json_t *before = p->have ? collection_of(p->have->body, CONFIGS) : NULL;
	int r = configs_check(p, configs);
	size_t i;

	if (r < 0)
		return r;
	json_array_foreach(before, i, c)
		if (!config_named(configs, arm_str(c, "name", "")))
			address_drop(p, c);
	json_array_foreach(configs, i, c) {
		r = address_give(p, config_named(before, arm_str(c, "name", "")), c);
		if (r < 0)
			return r;
	}
	return 0;
}

static int
nic_plan(struct arm_plan *p)
{
	const struct arm_resource *now = p->have ? nic_vnet(p->s, p->have) : NULL;

	if (p->verb == ARM_VERB_DELETE && now)
		arm_recompile(p, now->id);
	if (p->verb != ARM_VERB_CREATE && p->verb != ARM_VERB_UPDATE)
		return 0;
	int r = configs_settle(p);

	if (r == 0 && now && nic_vnet(p->s, p->want) != now)
		r = arm_refuse(p->s->error, 400, "PropertyChangeNotAllowed",
			       "A NIC stays in its virtual network %s.", now->id);
	return r < 0 ? r : nic_first(p);
}

static int
nic_view(struct arm_snapshot *s, const struct arm_resource *r, json_t *out)
{
	struct mac m = nic_mac((uint32_t)arm_int(r->hidden, "macNumber", 0));
	json_t *c;
	size_t i;

	arm_set(out, "properties.macAddress",
		json_textf("%02X-%02X-%02X-%02X-%02X-%02X", m.b[0], m.b[1], m.b[2], m.b[3], m.b[4],
			   m.b[5]));
	arm_set(out, "properties.primary", json_true());
	json_array_foreach(collection_of(out, CONFIGS), i, c) {
		json_object_set_new(c, "id",
				    json_textf("%s/ipConfigurations/%s", r->id,
					       arm_str(c, "name", "")));
		arm_set(c, "properties.provisioningState", json_string("Succeeded"));
	}
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

	json_array_foreach(collection_of(r->body, CONFIGS), i, c)
		json_array_append_new(addresses,
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
	for (size_t i = 0, n = links_of_vnet(s, vnet, &links); i < n; i++) {
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
	{ .name = "name", .kind = ARM_STRING, .flags = ARM_REQUIRED, .min = 1, .max = 80 },
	{ .name = "properties", .kind = ARM_OBJECT, .flags = ARM_REQUIRED,
	  .props = (const struct arm_prop[]){
		{ .name = "privateIPAllocationMethod", .kind = ARM_STRING,
		  .words = (const char *const[]){ "Dynamic", "Static", NULL }, .def = "\"Dynamic\"" },
		{ .name = "privateIPAddress", .kind = ARM_STRING },
		{ .name = "privateIPAddressVersion", .kind = ARM_STRING,
		  .words = (const char *const[]){ "IPv4", NULL }, .def = "\"IPv4\"" },
		{ .name = "primary", .kind = ARM_BOOL },
		{ .name = "subnet", .kind = ARM_REF, .flags = ARM_REQUIRED,
		  .ref_type = "Microsoft.Network/virtualNetworks/subnets",
		  .join = "Microsoft.Network/virtualNetworks/subnets/join/action" },
		{ .name = "publicIPAddress", .kind = ARM_REF,
		  .ref_type = "Microsoft.Network/publicIPAddresses",
		  .join = "Microsoft.Network/publicIPAddresses/join/action" },
		{ 0 } } },
	{ 0 },
};

static const struct arm_prop nic_props[] = {
	{ .name = "ipConfigurations", .kind = ARM_LIST, .flags = ARM_REQUIRED, .min = 1, .max = 256,
	  .item = ARM_OBJECT, .props = config_props },
	{ .name = "networkSecurityGroup", .kind = ARM_REF, .ref_type = "Microsoft.Network/networkSecurityGroups",
	  .join = "Microsoft.Network/networkSecurityGroups/join/action" },
	{ .name = "dnsSettings", .kind = ARM_OBJECT,
	  .props = (const struct arm_prop[]){
		{ .name = "dnsServers", .kind = ARM_LIST, .item = ARM_STRING, .max = 20 },
		{ .name = "internalDnsNameLabel", .kind = ARM_STRING },
		{ 0 } } },
	{ .name = "enableAcceleratedNetworking", .kind = ARM_BOOL, .def = "false" },
	{ .name = "enableIPForwarding", .kind = ARM_BOOL, .def = "false" },
	{ .name = "macAddress", .kind = ARM_STRING, .flags = ARM_READ_ONLY },
	{ .name = "primary", .kind = ARM_BOOL, .flags = ARM_READ_ONLY },
	{ .name = "resourceGuid", .kind = ARM_STRING, .flags = ARM_READ_ONLY },
	{ 0 },
};
/* clang-format on */

const struct arm_type nic_type = {
	.ns = "Microsoft.Network",
	.name = "networkInterfaces",
	.flags = ARM_TRACKED,
	.props = nic_props,
	.in_use_code = "NicInUse",
	.in_use_status = 400,
	.plan = nic_plan,
	.compile = nic_compile,
	.view = nic_view,
};
