/* Microsoft.Network/virtualNetworks and their subnets: an address plan with a fabric number. The
 * plan is checked as a whole at every write; what is in use cannot be taken away. */
#include "network/peering.h"

/* ---- subnets ---- */

/* The prefix of a subnet's body; false: none or not one. */
static bool
subnet_prefix_read(const json_t *subnet, struct prefix *ret)
{
	const char *text = arm_str(subnet, "properties.addressPrefix", NULL);
	struct err e;

	if (!text)
		text = json_string_value(
			json_array_get(arm_at(subnet, "properties.addressPrefixes"), 0));
	return text && rule_vnet_prefix(text, ret, &e) == 0;
}

static int
subnet_check(struct arm_plan *p, const char *id, json_t *have, json_t *want)
{
	struct prefix now, before;
	char text[PREFIX_TEXT];

	if (!want)
		return 0;
	if (json_array_size(arm_at(want, "properties.addressPrefixes")) > 1)
		return arm_refuse_at(p->s->error, 400, "InvalidParameter",
				     "properties.addressPrefixes", "A subnet has one prefix.");
	if (!subnet_prefix_read(want, &now))
		return arm_refuse_at(p->s->error, 400, "NetcfgInvalidSubnet",
				     "properties.addressPrefix",
				     "Subnet '%s' needs an IPv4 prefix of /2 to /29 without host "
				     "bits.",
				     arm_str(want, "name", ""));
	arm_set(want, "properties.addressPrefix", json_string(prefix_format(&now, text)));
	arm_set(want, "properties.addressPrefixes", NULL);
	if (!have || !subnet_prefix_read(have, &before) || prefix_equal(&now, &before))
		return 0;
	struct arm_referrer *refs;

	if (arm_referrers(p->s, id, true, NULL, &refs))
		return arm_refuse_at(p->s->error, 400, "InUsePrefixCannotBeDeleted",
				     "properties.addressPrefix",
				     "Subnet '%s' is in use by %s; its prefix cannot change.",
				     arm_str(want, "name", ""), refs[0].from);
	return 0;
}

/* clang-format off */
static const struct arm_prop subnet_props[] = {
	{ .name = "addressPrefix", .kind = ARM_STRING },
	{ .name = "addressPrefixes", .kind = ARM_LIST, .item = ARM_STRING },
	{ .name = "networkSecurityGroup", .kind = ARM_REF, .ref_type = "Microsoft.Network/networkSecurityGroups",
	  .join = "Microsoft.Network/networkSecurityGroups/join/action" },
	{ .name = "routeTable", .kind = ARM_REF, .ref_type = "Microsoft.Network/routeTables",
	  .join = "Microsoft.Network/routeTables/join/action" },
	{ .name = "ipConfigurations", .kind = ARM_ANY, .flags = ARM_READ_ONLY },
	{ .name = "delegations", .kind = ARM_LIST, .item = ARM_ANY, .def = "[]" },
	{ .name = "privateEndpointNetworkPolicies", .kind = ARM_STRING, .def = "\"Disabled\"" },
	{ .name = "privateLinkServiceNetworkPolicies", .kind = ARM_STRING, .def = "\"Enabled\"" },
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

/* ---- the address plan ---- */

static int
space_read(struct arm_plan *p, struct prefix **ret, size_t *ret_n)
{
	const json_t *list = arm_at(p->want->body, "properties.addressSpace.addressPrefixes");
	struct prefix *v = NEW_ARRAY(p->s->arena, struct prefix, json_array_size(list) + 1);
	static const char target[] = "properties.addressSpace.addressPrefixes";
	size_t n = 0, i;
	json_t *text;
	struct err e;

	json_array_foreach(list, i, text) {
		if (rule_vnet_prefix(json_string_value(text), &v[n], &e) < 0)
			return arm_refuse_at(p->s->error, 400, "InvalidAddressPrefixFormat", target,
					     "%s.", e.text);
		if (prefix_find_overlap(v, n, &v[n]))
			return arm_refuse_at(p->s->error, 400, "InvalidAddressPrefixFormat", target,
					     "'%s' overlaps another prefix of the address space.",
					     json_string_value(text));
		n++;
	}
	if (!n)
		return arm_refuse_at(p->s->error, 400, "InvalidParameter", target,
				     "A virtual network needs at least one address prefix.");
	*ret = v;
	*ret_n = n;
	return 0;
}

static int
subnets_check(struct arm_plan *p, const struct prefix *space, size_t n_space)
{
	const json_t *subnets = collection_of(p->want->body, "subnets");
	size_t n = json_array_size(subnets);
	struct prefix *v = NEW_ARRAY(p->s->arena, struct prefix, n + 1);

	for (size_t i = 0; i < n; i++) {
		const json_t *subnet = json_array_get(subnets, i);
		const char *name = arm_str(subnet, "name", "");

		if (!subnet_prefix_read(subnet, &v[i]))
			return arm_refuse(p->s->error, 400, "NetcfgInvalidSubnet",
					  "Subnet '%s' has no usable prefix.", name);
		if (!prefix_find_cover(space, n_space, &v[i]))
			return arm_refuse(p->s->error, 400, "NetcfgSubnetRangeOutsideVnet",
					  "Subnet '%s' is not within the address space of virtual "
					  "network '%s'.",
					  name, p->want->name);
		const struct prefix *other = prefix_find_overlap(v, i, &v[i]);

		if (other)
			return arm_refuse(p->s->error, 400, "NetcfgSubnetRangesOverlap",
					  "Subnet '%s' overlaps subnet '%s'.", name,
					  arm_str(json_array_get(subnets, (size_t)(other - v)),
						  "name", ""));
	}
	return 0;
}

/* The new address space beside what shares circuits with it. */
static int
space_check_links(struct arm_plan *p, const struct prefix *space, size_t n_space)
{
	struct link *mine, *theirs;
	size_t n = p->have ? links_of_vnet(p->s, p->have, &mine) : 0;

	for (size_t i = 0; i < n; i++) {
		size_t m = links_of_circuit(p->s, mine[i].circuit, &theirs);
		const json_t *peering =
			arm_child(mine[i].circuit->body, "peerings", PEERING_PRIVATE);
		int r = peering ? peering_vnet_overlap(p->s, peering, p->want) : 0;

		if (r < 0)
			return r;

		for (size_t j = 0; j < m; j++) {
			struct prefix *v;
			size_t n_v = vnet_prefixes(p->s, theirs[j].vnet, &v);

			if (text_equal(theirs[j].vnet->fold, p->have->fold))
				continue;
			for (size_t k = 0; k < n_space; k++)
				if (prefix_find_overlap(v, n_v, &space[k]))
					return arm_refuse(p->s->error, 400,
							  "VnetAddressSpacesOverlap",
							  "The address space overlaps that of %s, "
							  "linked to the same circuit %s.",
							  theirs[j].vnet->id, mine[i].circuit->id);
		}
	}
	return 0;
}

static int
vnet_number_ensure(struct arm_plan *p)
{
	uint32_t number, generation;
	int r;

	if (vnet_number(p->want))
		return 0;
	r = fabric_number_take(p, NULL, &number, &generation);
	if (r < 0)
		return r;
	json_object_set_new(p->want->hidden, "number", json_integer(number));
	json_object_set_new(p->want->hidden, "generation", json_integer(generation));
	arm_set(p->want->body, "properties.resourceGuid", json_string(arm_new_guid(p)));
	return 0;
}

static int
vnet_plan(struct arm_plan *p)
{
	struct prefix *space;
	size_t n_space;

	if (p->verb != ARM_VERB_CREATE && p->verb != ARM_VERB_UPDATE)
		return 0;
	int r = space_read(p, &space, &n_space);

	if (r == 0)
		r = subnets_check(p, space, n_space);
	if (r == 0)
		r = space_check_links(p, space, n_space);
	return r < 0 ? r : vnet_number_ensure(p);
}

/* ---- reading ---- */

/* The IP configurations of one aggregate that are in a subnet. */
static void
configs_add(json_t *list, const struct arm_resource *r, const char *subnet)
{
	json_t *c;
	size_t i;

	json_array_foreach(collection_of(r->body, "ipConfigurations"), i, c) {
		const char *at = arm_ref(c, "properties.subnet");

		if (at && arm_id_equal(at, subnet))
			json_array_append_new(list,
					      json_pack("{s:o}", "id",
							json_textf("%s/ipConfigurations/%s", r->id,
								   arm_str(c, "name", ""))));
	}
}

static json_t *
subnet_configs(struct arm_snapshot *s, const char *subnet)
{
	struct arm_referrer *refs;
	size_t n = arm_referrers(s, subnet, false, "properties.ipConfigurations.properties.subnet",
				 &refs);
	json_t *list = json_array();
	const char *last = NULL;

	for (size_t i = 0; i < n; i++) {
		const struct arm_resource *r = arm_get(s, refs[i].owner);

		if (r && !text_equal(last, refs[i].owner))
			configs_add(list, r, subnet);
		last = refs[i].owner;
	}
	return list;
}

static int
vnet_view(struct arm_snapshot *s, const struct arm_resource *r, json_t *out)
{
	json_t *subnet;
	size_t i;

	arm_set(out, "properties.virtualNetworkPeerings", json_array());
	json_array_foreach(collection_of(out, "subnets"), i, subnet) {
		json_t *list = subnet_configs(s, arena_printf(s->arena, "%s/subnets/%s", r->id,
							      arm_str(subnet, "name", "")));

		if (json_array_size(list))
			arm_set(subnet, "properties.ipConfigurations", list);
		else
			json_decref(list);
	}
	return 0;
}

/* ---- node objects ---- */

/* A list of node names without twins. */
struct nodes {
	struct arena *arena;
	const char **v;
	size_t n, cap;
};

static void
nodes_add(struct nodes *l, const char *name)
{
	for (size_t i = 0; i < l->n; i++)
		if (!strcmp(l->v[i], name))
			return;
	if (l->n == l->cap) {
		size_t cap = l->cap ? 2 * l->cap : 16;
		const char **v = NEW_ARRAY(l->arena, const char *, cap);

		if (l->n)
			memcpy(v, l->v, l->n * sizeof(*v));
		l->v = v;
		l->cap = cap;
	}
	l->v[l->n++] = name;
}

static json_t *
vnet_body(const struct arm_resource *r)
{
	json_t *subnets = json_array(), *subnet;
	size_t i;

	json_array_foreach(collection_of(r->body, "subnets"), i, subnet)
		json_array_append_new(subnets,
				      json_pack("{s:s, s:s}", "name", arm_str(subnet, "name", ""),
						"prefix",
						arm_str(subnet, "properties.addressPrefix", "")));
	return json_pack("{s:I, s:I, s:O, s:o, s:s}", "number", (json_int_t)vnet_number(r),
			 "generation", (json_int_t)arm_int(r->hidden, "generation", 0),
			 "addressPrefixes",
			 arm_at(r->body, "properties.addressSpace.addressPrefixes"), "subnets",
			 subnets, "resourceId", r->id);
}

static json_t *
vnet_connections(const struct link *links, size_t n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++) {
		uint32_t domain = circuit_domain_number(links[i].circuit, PEERING_PRIVATE);

		if (domain)
			json_array_append_new(
				list,
				json_pack("{s:I, s:I}", "domain", (json_int_t)domain,
					  "routingWeight",
					  (json_int_t)arm_int(links[i].connection->body,
							      "properties.routingWeight", 0)));
	}
	return list;
}

/* Edges whose domains are linked to it announce its prefixes; hosts with its NICs know its
 * connections too. */
static int
vnet_compile(struct arm_snapshot *s, const struct arm_resource *r)
{
	struct link *links;
	size_t n_links = links_of_vnet(s, r, &links);
	struct nodes edges = { .arena = s->arena }, hosts = { .arena = s->arena };
	const char *key = arm_str(r->body, "properties.resourceGuid", "");
	const char **nics;

	for (size_t i = 0; i < n_links; i++) {
		struct circuit_place at;

		if (circuit_place(s, links[i].circuit, &at)) {
			nodes_add(&edges, at.edge[0]);
			nodes_add(&edges, at.edge[1]);
		}
	}
	for (size_t i = 0, n = vnet_nics(s, r->fold, &nics); i < n; i++) {
		json_t *attachment;
		const struct arm_resource *host = nic_host(s, nics[i], &attachment);

		if (host)
			nodes_add(&hosts, host->name);
	}
	for (size_t i = 0; i < edges.n; i++)
		arm_emit(s, edges.v[i], "vnet", key, vnet_body(r));
	for (size_t i = 0; i < hosts.n; i++) {
		json_t *body = vnet_body(r);

		json_object_set_new(body, "connections", vnet_connections(links, n_links));
		arm_emit(s, hosts.v[i], "vnet", key, body);
	}
	return 0;
}

/* ---- the table ---- */

/* clang-format off */
static const struct arm_prop vnet_props[] = {
	{ .name = "addressSpace", .kind = ARM_OBJECT, .flags = ARM_REQUIRED,
	  .props = (const struct arm_prop[]){
		{ .name = "addressPrefixes", .kind = ARM_LIST, .item = ARM_STRING, .flags = ARM_REQUIRED,
		  .max = 1000 },
		{ 0 } } },
	{ .name = "dhcpOptions", .kind = ARM_OBJECT,
	  .props = (const struct arm_prop[]){
		{ .name = "dnsServers", .kind = ARM_LIST, .item = ARM_STRING, .max = 20 },
		{ 0 } } },
	{ .name = "flowTimeoutInMinutes", .kind = ARM_INT, .min = 4, .max = 30 },
	{ .name = "subnets", .kind = ARM_CHILDREN, .child = &subnet_type, .def = "[]", .max = 3000 },
	{ .name = "virtualNetworkPeerings", .kind = ARM_ANY, .flags = ARM_READ_ONLY },
	{ .name = "enableDdosProtection", .kind = ARM_BOOL, .def = "false" },
	{ .name = "enableVmProtection", .kind = ARM_BOOL, .def = "false" },
	{ .name = "resourceGuid", .kind = ARM_STRING, .flags = ARM_READ_ONLY },
	{ 0 },
};
/* clang-format on */

static const struct arm_type *const vnet_children[] = { &subnet_type, NULL };

const struct arm_type vnet_type = {
	.ns = "Microsoft.Network",
	.name = "virtualNetworks",
	.flags = ARM_TRACKED,
	.props = vnet_props,
	.children = vnet_children,
	.in_use_code = "InUseSubnetCannotBeDeleted",
	.in_use_status = 400,
	.plan = vnet_plan,
	.compile = vnet_compile,
	.view = vnet_view,
};
