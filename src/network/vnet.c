/* Microsoft.Network/virtualNetworks: an address plan with a fabric number. The plan is checked as a
 * whole at every write; what is in use cannot be taken away. Nodes are told of IPv4 only: the data
 * plane carries no IPv6 yet. */
#include "network/vnet.h"

/* ---- the address plan ---- */

static int
space_check(struct arm_plan *p, struct prefix **ret, size_t *ret_n)
{
	const json_t *list = arm_at(p->want->body, "properties.addressSpace.addressPrefixes");
	struct prefix *v = NEW_ARRAY(p->s->arena, struct prefix, json_array_size(list) + 1);
	static const char target[] = "properties.addressSpace.addressPrefixes";
	size_t n = 0, n_v4 = 0, i;
	json_t *text;
	struct err e;

	json_array_foreach(list, i, text) {
		if (space_prefix(json_string_value(text), &v[n], &e) < 0)
			return arm_refuse_at(p->s->error, 400, "InvalidAddressPrefixFormat", target,
					     "%s.", e.text);
		if (prefix_find_overlap(v, n, &v[n]))
			return arm_refuse_at(p->s->error, 400, "InvalidAddressPrefixFormat", target,
					     "'%s' overlaps another prefix of the address space.",
					     json_string_value(text));
		n_v4 += v[n++].addr.family == NET_V4;
	}
	if (!n_v4)
		return arm_refuse_at(p->s->error, 400, "InvalidParameter", target,
				     "A virtual network needs at least one IPv4 address prefix.");
	*ret = v;
	*ret_n = n;
	return 0;
}

static int
counts_check(struct arm_plan *p)
{
	const struct catalogue_limits *l = catalogue_limits(network_catalogue(p->s));
	size_t n_subnets = json_array_size(collection_of(p->want->body, "subnets"));
	size_t n_peerings = json_array_size(collection_of(p->want->body, "virtualNetworkPeerings"));

	if (n_subnets > l->subnets_per_vnet)
		return arm_refuse(p->s->error, 400, "SubnetCountLimitReached",
				  "A virtual network has at most %u subnets.", l->subnets_per_vnet);
	if (n_peerings > l->vnet_peerings_per_vnet)
		return arm_refuse(p->s->error, 400, "VnetPeeringCountLimitReached",
				  "A virtual network has at most %u peerings.",
				  l->vnet_peerings_per_vnet);
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

/* What its prefixes carry on private peerings: the cloud's AS and 20000 to 49999. */
static int
community_check(struct arm_plan *p)
{
	static const char path[] = "properties.bgpCommunities.virtualNetworkCommunity";
	uint32_t cloud = catalogue_limits(network_catalogue(p->s))->cloud_asn;
	const char *text = arm_str(p->want->body, path, "");
	unsigned as, value;
	int n = 0;

	if (!*text || (sscanf(text, "%5u:%5u%n", &as, &value, &n) == 2 && !text[n] && as == cloud &&
		       value >= 20000 && value <= 49999))
		return 0;
	return arm_refuse_at(p->s->error, 400, "InvalidParameter", path,
			     "'%s' is not a community from %u:20000 to %u:49999.", text, cloud,
			     cloud);
}

static int
vnet_plan(struct arm_plan *p)
{
	struct prefix *space;
	size_t n_space;

	if (p->verb == ARM_VERB_DELETE)
		return arm_is_blocked(p) ? 0 : vnet_peerings_plan(p);
	if (p->verb != ARM_VERB_CREATE && p->verb != ARM_VERB_UPDATE)
		return 0;
	int r = space_check(p, &space, &n_space);

	if (r == 0)
		r = counts_check(p);
	if (r == 0)
		r = community_check(p);
	if (r == 0)
		r = subnets_check(p, space, n_space);
	if (r == 0)
		r = vnet_number_ensure(p);
	if (r == 0)
		r = vnet_peerings_plan(p);
	return r == 0 && p->have ? vnet_reach_check(p, p->want) : r;
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
	size_t n = arm_referrers(s, subnet, false, REF_SUBNET, &refs);
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

	const char *community =
		arm_str(out, "properties.bgpCommunities.virtualNetworkCommunity", "");
	const struct catalogue *cat = network_catalogue(s);
	const struct catalogue_region *region =
		catalogue_region(cat, arm_str(r->body, "location", ""));

	vnet_peerings_view(s, r, out);
	if (*community && region)
		arm_set(out, "properties.bgpCommunities.regionalCommunity",
			json_textf("%u:%u", catalogue_limits(cat)->cloud_asn,
				   catalogue_private_community(cat, region)));
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
prefix_json(const struct prefix *p)
{
	char text[PREFIX_TEXT];

	return json_string(prefix_format(p, text));
}

static json_t *
space_v4(struct arm_snapshot *s, const struct arm_resource *r)
{
	json_t *list = json_array();
	struct prefix *v;

	for (size_t i = 0, n = vnet_prefixes(s, r, &v); i < n; i++)
		if (v[i].addr.family == NET_V4)
			json_array_append_new(list, prefix_json(&v[i]));
	return list;
}

static json_t *
vnet_body(struct arm_snapshot *s, const struct arm_resource *r)
{
	json_t *subnets = json_array(), *subnet;
	struct prefix *v;
	size_t i;

	json_array_foreach(collection_of(r->body, "subnets"), i, subnet)
		for (size_t k = 0, n = subnet_prefixes(s->arena, subnet, &v); k < n; k++)
			if (v[k].addr.family == NET_V4)
				json_array_append_new(subnets,
						      json_pack("{s:s, s:o}", "name",
								arm_str(subnet, "name", ""),
								"prefix", prefix_json(&v[k])));
	return json_pack("{s:I, s:I, s:o, s:o, s:s}", "number", (json_int_t)vnet_number(r),
			 "generation", (json_int_t)arm_int(r->hidden, "generation", 0),
			 "addressPrefixes", space_v4(s, r), "subnets", subnets, "resourceId",
			 r->id);
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
	size_t n_links = links_reaching(s, r, &links);
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
		arm_emit(s, edges.v[i], "vnet", key, vnet_body(s, r));
	for (size_t i = 0; i < hosts.n; i++) {
		json_t *body = vnet_body(s, r);

		json_object_set_new(body, "connections", vnet_connections(links, n_links));
		arm_emit(s, hosts.v[i], "vnet", key, body);
	}
	return 0;
}

/* ---- the table ---- */

static int
dns_server_check(const char *text, struct err *e)
{
	struct addr a;

	return addr_parse(text, &a, NULL) == 0 ? 0 : err_set(e, -EINVAL, "must be an IP address");
}

/* clang-format off */
static const struct arm_prop vnet_props[] = {
	{ .name = "addressSpace", .kind = ARM_OBJECT, .flags = ARM_REQUIRED,
	  .props = (const struct arm_prop[]){
		{ .name = "addressPrefixes", .kind = ARM_LIST, .item = ARM_STRING, .flags = ARM_REQUIRED,
		  .max = 1000 },
		{ .name = "ipamPoolPrefixAllocations", .kind = ARM_ANY, .flags = ARM_READ_ONLY },
		{ 0 } } },
	{ .name = "dhcpOptions", .kind = ARM_OBJECT,
	  .props = (const struct arm_prop[]){
		{ .name = "dnsServers", .kind = ARM_LIST, .item = ARM_STRING, .max = 20, .check = dns_server_check },
		{ 0 } } },
	{ .name = "flowTimeoutInMinutes", .kind = ARM_INT, .min = 4, .max = 30 },
	{ .name = "subnets", .kind = ARM_CHILDREN, .child = &subnet_type, .def = "[]" },
	{ .name = "virtualNetworkPeerings", .kind = ARM_CHILDREN, .child = &vnet_peering_type, .def = "[]" },
	{ .name = "enableDdosProtection", .kind = ARM_BOOL, .def = "false" },
	{ .name = "enableVmProtection", .kind = ARM_BOOL, .def = "false" },
	{ .name = "ddosProtectionPlan", .kind = ARM_REF, .ref_type = "Microsoft.Network/ddosProtectionPlans" },
	{ .name = "bgpCommunities", .kind = ARM_OBJECT,
	  .props = (const struct arm_prop[]){
		{ .name = "virtualNetworkCommunity", .kind = ARM_STRING, .flags = ARM_REQUIRED },
		{ .name = "regionalCommunity", .kind = ARM_STRING, .flags = ARM_READ_ONLY },
		{ 0 } } },
	{ .name = "encryption", .kind = ARM_OBJECT,
	  .props = (const struct arm_prop[]){
		{ .name = "enabled", .kind = ARM_BOOL, .flags = ARM_REQUIRED },
		{ .name = "enforcement", .kind = ARM_STRING,
		  .words = (const char *const[]){ "DropUnencrypted", "AllowUnencrypted", NULL } },
		{ 0 } } },
	{ .name = "ipAllocations", .kind = ARM_LIST, .item = ARM_REF, .max = 100,
	  .ref_type = "Microsoft.Network/IpAllocations" },
	{ .name = "flowLogs", .kind = ARM_ANY, .flags = ARM_READ_ONLY },
	{ .name = "privateEndpointVNetPolicies", .kind = ARM_STRING,
	  .words = (const char *const[]){ "Disabled", "Basic", NULL }, .def = "\"Disabled\"" },
	{ .name = "resourceGuid", .kind = ARM_STRING, .flags = ARM_READ_ONLY },
	{ 0 },
};
/* clang-format on */

static const struct arm_type *const vnet_children[] = { &subnet_type, &vnet_peering_type, NULL };

const struct arm_type vnet_type = {
	.ns = "Microsoft.Network",
	.name = "virtualNetworks",
	.flags = ARM_TRACKED,
	.props = vnet_props,
	.children = vnet_children,
	.actions = vnet_actions,
	.in_use_code = "InUseSubnetCannotBeDeleted",
	.in_use_status = 400,
	.plan = vnet_plan,
	.compile = vnet_compile,
	.view = vnet_view,
};
