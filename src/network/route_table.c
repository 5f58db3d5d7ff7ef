/* Microsoft.Network/routeTables and their routes: where a subnet's packets go by the user's word.
 * Part of the effective view (effective.h), not yet of the packet path. */
#include "network/vnet.h"

#define ROUTE_SUBNETS "properties.subnets.properties.routeTable"

static int
route_check(struct arm_plan *p, const char *id, json_t *have, json_t *want)
{
	const char *hop = arm_str(want, "properties.nextHopIpAddress", "");
	bool is_appliance =
		text_equal(arm_str(want, "properties.nextHopType", ""), "VirtualAppliance");
	const char *prefix = arm_str(want, "properties.addressPrefix", "");
	const char *name = arm_str(want, "name", "");
	struct prefix parsed;
	struct addr a;
	struct err e;

	if (!want)
		return 0;
	if (prefix_parse(prefix, &parsed, &e) < 0 && !service_tag_is_known(prefix))
		return arm_refuse_at(p->s->error, 400, "InvalidAddressPrefixFormat",
				     "properties.addressPrefix",
				     "Route '%s': '%s' is neither a prefix nor a service tag.",
				     name, prefix);
	if (is_appliance && (!*hop || addr_parse(hop, &a, &e) < 0))
		return arm_refuse_at(p->s->error, 400, "InvalidNextHopIpAddress",
				     "properties.nextHopIpAddress",
				     "Route '%s': the next hop type VirtualAppliance needs a "
				     "nextHopIpAddress.",
				     name);
	if (!is_appliance && *hop)
		return arm_refuse_at(p->s->error, 400, "InvalidNextHopIpAddress",
				     "properties.nextHopIpAddress",
				     "Route '%s': only the next hop type VirtualAppliance has a "
				     "nextHopIpAddress.",
				     name);
	arm_set(want, "properties.hasBgpOverride", json_false());
	return 0;
}

static int
routes_check(struct arm_plan *p)
{
	const json_t *routes = collection_of(p->want->body, "routes");
	uint32_t max = catalogue_limits(network_catalogue(p->s))->routes_per_table;
	json_t *one;
	size_t i;

	if (json_array_size(routes) > max)
		return arm_refuse(p->s->error, 400, "RouteCountLimitReached",
				  "A route table has at most %u routes.", max);

	json_array_foreach(routes, i, one)
		for (size_t j = 0; j < i; j++) {
			const json_t *other = json_array_get(routes, j);

			if (text_equal(arm_str(one, "properties.addressPrefix", NULL),
				       arm_str(other, "properties.addressPrefix", NULL)))
				return arm_refuse(p->s->error, 400, "RouteConflict",
						  "Route '%s' conflicts with route '%s': both are "
						  "for %s.",
						  arm_str(one, "name", ""),
						  arm_str(other, "name", ""),
						  arm_str(one, "properties.addressPrefix", ""));
		}
	return 0;
}

static int
route_table_plan(struct arm_plan *p)
{
	struct arm_referrer *refs;
	int r;

	if (p->verb != ARM_VERB_CREATE && p->verb != ARM_VERB_UPDATE)
		return 0;
	guid_ensure(p);
	r = routes_check(p);
	for (size_t i = 0,
		    n = r == 0 ? arm_referrers(p->s, p->want->fold, false, ROUTE_SUBNETS, &refs)
			       : 0;
	     r == 0 && i < n; i++)
		if (text_equal(arm_id_segment(p->s->arena, refs[i].from, 0), GATEWAY_SUBNET))
			r = gateway_subnet_routes_check(p, p->want->body);
	return r;
}

static int
route_table_view(struct arm_snapshot *s, const struct arm_resource *r, json_t *out)
{
	reverse_show(s, r->fold, ROUTE_SUBNETS, out, "properties.subnets");
	return 0;
}

/* clang-format off */
static const struct arm_prop route_props[] = {
	{ .name = "addressPrefix", .kind = ARM_STRING, .flags = ARM_REQUIRED },
	{ .name = "nextHopType", .kind = ARM_STRING, .flags = ARM_REQUIRED,
	  .words = (const char *const[]){ "VirtualNetworkGateway", "VnetLocal", "Internet", "VirtualAppliance",
					  "None", NULL } },
	{ .name = "nextHopIpAddress", .kind = ARM_STRING },
	{ .name = "hasBgpOverride", .kind = ARM_BOOL, .flags = ARM_READ_ONLY },
	{ 0 },
};

static const struct arm_type route_type = {
	.ns = "Microsoft.Network",
	.name = "routes",
	.props = route_props,
	.check = route_check,
};

static const struct arm_prop route_table_props[] = {
	{ .name = "routes", .kind = ARM_CHILDREN, .child = &route_type, .def = "[]" },
	{ .name = "disableBgpRoutePropagation", .kind = ARM_BOOL, .def = "false" },
	{ .name = "subnets", .kind = ARM_ANY, .flags = ARM_READ_ONLY },
	{ .name = "resourceGuid", .kind = ARM_STRING, .flags = ARM_READ_ONLY },
	{ 0 },
};
/* clang-format on */

static const struct arm_type *const route_table_children[] = { &route_type, NULL };

const struct arm_type route_table_type = {
	.ns = "Microsoft.Network",
	.name = "routeTables",
	.flags = ARM_TRACKED,
	.props = route_table_props,
	.children = route_table_children,
	.in_use_code = "InUseRouteTableCannotBeDeleted",
	.in_use_status = 400,
	.plan = route_table_plan,
	.view = route_table_view,
};
