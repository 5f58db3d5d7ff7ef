/* Microsoft.Network/virtualNetworks/subnets: prefixes of a virtual network's address space, with
 * what holds for the interfaces in them. What is in use cannot be taken away. */
#include "network/vnet.h"

/* ---- prefixes ---- */

size_t
space_read(struct arena *a, const json_t *space, struct prefix **ret)
{
	const json_t *list = json_object_get(space, "addressPrefixes");
	size_t n = 0, i;
	json_t *text;
	struct err e;

	*ret = NEW_ARRAY(a, struct prefix, json_array_size(list) + 1);
	json_array_foreach(list, i, text)
		if (json_is_string(text) &&
		    space_prefix(json_string_value(text), &(*ret)[n], &e) == 0)
			n++;
	return n;
}

size_t
subnet_prefixes(struct arena *a, const json_t *subnet, struct prefix **ret)
{
	const json_t *props = json_object_get(subnet, "properties");
	const char *one = arm_str(props, "addressPrefix", "");
	struct err e;

	if (json_array_size(json_object_get(props, "addressPrefixes")))
		return space_read(a, props, ret);
	*ret = NEW(a, struct prefix);
	return *one && space_subnet_prefix(one, *ret, &e) == 0;
}

/* ---- one subnet ---- */

/* Writes one prefix as addressPrefix, several as addressPrefixes. */
static int
prefixes_settle(struct arm_plan *p, json_t *want)
{
	json_t *props = json_object_get(want, "properties"), *text;
	json_t *list = json_object_get(props, "addressPrefixes");
	const char *one = arm_str(props, "addressPrefix", "");
	const char *name = arm_str(want, "name", "");
	unsigned n_v6 = 0;
	struct prefix v;
	struct err e;
	size_t i;

	if (!json_array_size(list) && !*one)
		return arm_refuse_at(p->s->error, 400, "NetcfgInvalidSubnet",
				     "properties.addressPrefix",
				     "Subnet '%s' needs a prefix: IPv4 /2 to /29, or an IPv6 /64 "
				     "beside it.",
				     name);
	if (!json_array_size(list))
		json_object_set_new(props, "addressPrefixes", json_pack("[s]", one));
	list = json_object_get(props, "addressPrefixes");
	json_array_foreach(list, i, text) {
		char out[PREFIX_TEXT];

		if (space_subnet_prefix(json_string_value(text), &v, &e) < 0)
			return arm_refuse_at(p->s->error, 400, "NetcfgInvalidSubnet",
					     "properties.addressPrefix", "Subnet '%s': %s.", name,
					     e.text);
		n_v6 += v.addr.family == NET_V6;
		json_array_set_new(list, i, json_string(prefix_format(&v, out)));
	}
	if (n_v6 > 1 || n_v6 == json_array_size(list))
		return arm_refuse_at(p->s->error, 400, "NetcfgInvalidSubnet",
				     "properties.addressPrefixes",
				     "Subnet '%s' has at least one IPv4 prefix and at most one of "
				     "IPv6.",
				     name);
	if (json_array_size(list) == 1) {
		json_object_set(props, "addressPrefix", json_array_get(list, 0));
		json_object_del(props, "addressPrefixes");
	} else {
		json_object_del(props, "addressPrefix");
	}
	return 0;
}

/* Is an address of this prefix given out? Adds who has it to the refusal. */
static size_t
prefix_users(struct arm_plan *p, const char *subnet, const struct prefix *prefix)
{
	struct arm_referrer *refs;
	size_t n = arm_referrers(p->s, subnet, false, REF_SUBNET, &refs), hits = 0;

	for (size_t i = 0; i < n; i++) {
		const struct arm_resource *r = arm_get(p->s, refs[i].owner);
		json_t *c;
		size_t k;

		if (!r || r->is_deleting || (i && text_equal(refs[i].owner, refs[i - 1].owner)))
			continue;
		json_array_foreach(collection_of(r->body, "ipConfigurations"), k, c) {
			const char *at = arm_ref(c, "properties.subnet");
			const char *text = arm_str(c, "properties.privateIPAddress", "");
			struct addr a;
			struct err e;

			if (!at || !arm_id_equal(at, subnet) || addr_parse(text, &a, &e) < 0 ||
			    !prefix_contains(prefix, &a))
				continue;
			if (hits++ < 50)
				arm_error_block(p->s->error, "InUse", r->id, "DELETE", r->id, NULL,
						"%s has the address %s.", r->id, text);
		}
	}
	return hits;
}

static int
shrink_check(struct arm_plan *p, const char *id, const json_t *have, const json_t *want)
{
	struct prefix *before, *now;
	size_t n_before = subnet_prefixes(p->s->arena, have, &before);
	size_t n_now = subnet_prefixes(p->s->arena, want, &now);

	for (size_t i = 0; i < n_before; i++) {
		char text[PREFIX_TEXT];
		bool stays = false;

		for (size_t k = 0; k < n_now; k++)
			stays |= prefix_equal(&before[i], &now[k]);
		if (!stays && prefix_users(p, id, &before[i]))
			return arm_refuse_at(p->s->error, 400, "InUsePrefixCannotBeDeleted",
					     "properties.addressPrefix",
					     "IpPrefix %s on Subnet '%s' has active allocations "
					     "and cannot be deleted.",
					     prefix_format(&before[i], text),
					     arm_str(want, "name", ""));
	}
	return 0;
}

int
gateway_subnet_routes_check(struct arm_plan *p, const json_t *route_table)
{
	json_t *route;
	size_t i;

	if (arm_bool(route_table, "properties.disableBgpRoutePropagation", false))
		return arm_refuse(p->s->error, 400, "GatewaySubnetBgpPropagationRequired",
				  "A route table of the GatewaySubnet may not disable BGP route "
				  "propagation.");
	json_array_foreach(collection_of(route_table, "routes"), i, route) {
		const char *prefix = arm_str(route, "properties.addressPrefix", "");

		if (text_equal(prefix, "0.0.0.0/0") || text_equal(prefix, "::/0"))
			return arm_refuse(p->s->error, 400, "GatewaySubnetDefaultRouteNotAllowed",
					  "Route '%s': a route table of the GatewaySubnet may not "
					  "have a route for %s.",
					  arm_str(route, "name", ""), prefix);
	}
	return 0;
}

/* GatewaySubnet is the gateways' own. */
static int
gateway_subnet_check(struct arm_plan *p, const json_t *want)
{
	const char *table = arm_ref(want, "properties.routeTable");
	const struct arm_resource *t = table ? arm_get(p->s, table) : NULL;

	if (!text_equal(arm_str(want, "name", ""), GATEWAY_SUBNET))
		return 0;
	if (arm_ref(want, "properties.networkSecurityGroup"))
		return arm_refuse_at(p->s->error, 400,
				     "NetworkSecurityGroupNotAllowedOnGatewaySubnet",
				     "properties.networkSecurityGroup",
				     "The GatewaySubnet cannot have a network security group.");
	if (json_array_size(arm_at(want, "properties.delegations")))
		return arm_refuse_at(p->s->error, 400, "DelegationNotAllowedOnGatewaySubnet",
				     "properties.delegations",
				     "The GatewaySubnet cannot be delegated.");
	return t ? gateway_subnet_routes_check(p, t->body) : 0;
}

/* What holds for a subnet lives beside it. */
static int
neighbour_check(struct arm_plan *p, const json_t *want, const char *path)
{
	const char *id = arm_ref(want, path);
	const struct arm_resource *r = id ? arm_get(p->s, id) : NULL;
	const char *location = arm_str(p->want->body, "location", "");

	if (!r || (text_equal(arm_str(r->body, "location", ""), location) &&
		   text_equal(r->sub, p->want->sub)))
		return 0;
	return arm_refuse_at(p->s->error, 400, "InvalidResourceReference", path,
			     "%s is not in region %s and the subscription of virtual network %s.",
			     r->id, location, p->want->id);
}

static int
subnet_check(struct arm_plan *p, const char *id, json_t *have, json_t *want)
{
	if (!want)
		return 0;
	int r = prefixes_settle(p, want);

	if (r == 0)
		r = gateway_subnet_check(p, want);
	if (r == 0)
		r = neighbour_check(p, want, "properties.networkSecurityGroup");
	if (r == 0)
		r = neighbour_check(p, want, "properties.routeTable");
	return r == 0 && have ? shrink_check(p, id, have, want) : r;
}

/* ---- all of a virtual network ---- */

int
subnets_check(struct arm_plan *p, const struct prefix *space, size_t n_space)
{
	const json_t *subnets = collection_of(p->want->body, "subnets");
	size_t n = json_array_size(subnets), n_all = 0;
	struct named {
		struct prefix prefix;
		const char *name;
	} * all;
	size_t cap = 0;

	for (size_t i = 0; i < n; i++)
		cap += 1 + json_array_size(arm_at(json_array_get(subnets, i),
						  "properties.addressPrefixes"));
	all = NEW_ARRAY(p->s->arena, struct named, cap + 1);
	for (size_t i = 0; i < n; i++) {
		const json_t *subnet = json_array_get(subnets, i);
		const char *name = arm_str(subnet, "name", "");
		struct prefix *v;
		size_t n_v = subnet_prefixes(p->s->arena, subnet, &v);

		for (size_t k = 0; k < n_v; k++) {
			if (!prefix_find_cover(space, n_space, &v[k]))
				return arm_refuse(p->s->error, 400, "NetcfgSubnetRangeOutsideVnet",
						  "Subnet '%s' is not within the address space of "
						  "virtual network '%s'.",
						  name, p->want->name);
			for (size_t m = 0; m < n_all; m++)
				if (prefix_overlaps(&all[m].prefix, &v[k]))
					return arm_refuse(p->s->error, 400,
							  "NetcfgSubnetRangesOverlap",
							  "Subnet '%s' overlaps subnet '%s'.", name,
							  all[m].name);
			all[n_all++] = (struct named){ v[k], name };
		}
	}
	return 0;
}

/* clang-format off */
static const struct arm_prop subnet_props[] = {
	{ .name = "addressPrefix", .kind = ARM_STRING },
	{ .name = "addressPrefixes", .kind = ARM_LIST, .item = ARM_STRING, .max = 64 },
	{ .name = "networkSecurityGroup", .kind = ARM_REF, .ref_type = "Microsoft.Network/networkSecurityGroups",
	  .join = "Microsoft.Network/networkSecurityGroups/join/action" },
	{ .name = "routeTable", .kind = ARM_REF, .ref_type = "Microsoft.Network/routeTables",
	  .join = "Microsoft.Network/routeTables/join/action" },
	{ .name = "natGateway", .kind = ARM_REF, .ref_type = "Microsoft.Network/natGateways",
	  .join = "Microsoft.Network/natGateways/join/action" },
	{ .name = "serviceEndpoints", .kind = ARM_LIST, .item = ARM_OBJECT, .max = 100,
	  .props = (const struct arm_prop[]){
		{ .name = "service", .kind = ARM_STRING, .flags = ARM_REQUIRED, .min = 1, .max = 128 },
		{ .name = "locations", .kind = ARM_LIST, .item = ARM_STRING, .max = 100 },
		{ .name = "networkIdentifier", .kind = ARM_REF, .flags = ARM_LOOSE },
		{ .name = "provisioningState", .kind = ARM_STRING, .flags = ARM_READ_ONLY },
		{ 0 } } },
	{ .name = "serviceEndpointPolicies", .kind = ARM_LIST, .item = ARM_REF, .max = 100,
	  .ref_type = "Microsoft.Network/serviceEndpointPolicies" },
	{ .name = "delegations", .kind = ARM_LIST, .item = ARM_OBJECT, .def = "[]", .max = 10,
	  .props = (const struct arm_prop[]){
		{ .name = "name", .kind = ARM_STRING, .flags = ARM_REQUIRED, .min = 1, .max = 80 },
		{ .name = "properties", .kind = ARM_OBJECT, .flags = ARM_REQUIRED,
		  .props = (const struct arm_prop[]){
			{ .name = "serviceName", .kind = ARM_STRING, .flags = ARM_REQUIRED, .min = 1, .max = 128 },
			{ .name = "actions", .kind = ARM_LIST, .item = ARM_STRING, .flags = ARM_READ_ONLY },
			{ 0 } } },
		{ 0 } } },
	{ .name = "ipAllocations", .kind = ARM_LIST, .item = ARM_REF, .max = 100,
	  .ref_type = "Microsoft.Network/IpAllocations" },
	{ .name = "privateEndpoints", .kind = ARM_ANY, .flags = ARM_READ_ONLY },
	{ .name = "ipConfigurations", .kind = ARM_ANY, .flags = ARM_READ_ONLY },
	{ .name = "ipConfigurationProfiles", .kind = ARM_ANY, .flags = ARM_READ_ONLY },
	{ .name = "resourceNavigationLinks", .kind = ARM_ANY, .flags = ARM_READ_ONLY },
	{ .name = "serviceAssociationLinks", .kind = ARM_ANY, .flags = ARM_READ_ONLY },
	{ .name = "purpose", .kind = ARM_STRING, .flags = ARM_READ_ONLY },
	{ .name = "privateEndpointNetworkPolicies", .kind = ARM_STRING, .def = "\"Disabled\"",
	  .words = (const char *const[]){ "Enabled", "Disabled", "NetworkSecurityGroupEnabled", "RouteTableEnabled", NULL } },
	{ .name = "privateLinkServiceNetworkPolicies", .kind = ARM_STRING, .def = "\"Enabled\"",
	  .words = (const char *const[]){ "Enabled", "Disabled", NULL } },
	{ .name = "applicationGatewayIPConfigurations", .kind = ARM_ANY, .flags = ARM_READ_ONLY },
	{ .name = "sharingScope", .kind = ARM_STRING, .words = (const char *const[]){ "Tenant", "DelegatedServices", NULL } },
	{ .name = "defaultOutboundAccess", .kind = ARM_BOOL },
	{ .name = "ipamPoolPrefixAllocations", .kind = ARM_ANY, .flags = ARM_READ_ONLY },
	{ 0 },
};
/* clang-format on */

const struct arm_type subnet_type = {
	.ns = "Microsoft.Network",
	.name = "subnets",
	.props = subnet_props,
	.in_use_code = "InUseSubnetCannotBeDeleted",
	.in_use_status = 400,
	.check = subnet_check,
};
