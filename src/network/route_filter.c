/* Microsoft.Network/routeFilters: which of the cloud's services a Microsoft peering may announce, by
 * community. A filter has one rule; without a filter a peering announces nothing. And
 * bgpServiceCommunities: what there is to choose from, out of the catalogue. */
#include "network/types.h"

static const char *const peering_kinds[] = {
	"properties.peerings.properties.routeFilter",
	"properties.peerings.properties.ipv6PeeringConfig.routeFilter",
};

static bool
is_known(const struct catalogue *cat, uint32_t value)
{
	for (size_t i = 0; i < catalogue_n_communities(cat); i++)
		if (catalogue_community_at(cat, i)->value == value)
			return true;
	return false;
}

static int
rule_check(struct arm_plan *p, const char *id, json_t *have, json_t *want)
{
	const struct catalogue *cat = network_catalogue(p->s);
	const json_t *text;
	size_t i;

	json_array_foreach(arm_at(want, "properties.communities"), i, text) {
		const char *field = arena_printf(p->s->arena, "properties.communities[%zu]", i);
		const char *word = json_string_value(text);
		uint32_t value;
		struct err e;

		if (rule_community(catalogue_limits(cat), word ? word : "", &value, &e) < 0)
			return arm_refuse_at(p->s->error, 400, "InvalidCommunity", field, "%s.",
					     e.text);
		if (!is_known(cat, value))
			return arm_refuse_at(p->s->error, 400, "InvalidCommunity", field,
					     "No service has the community '%s'; see "
					     "bgpServiceCommunities.",
					     word);
	}
	return 0;
}

static int
filter_plan(struct arm_plan *p)
{
	if (p->verb != ARM_VERB_CREATE && p->verb != ARM_VERB_UPDATE)
		return 0;
	if (json_array_size(collection_of(p->want->body, "rules")) > 1)
		return arm_refuse_at(p->s->error, 400, "RouteFilterRuleLimitReached",
				     "properties.rules",
				     "A route filter has one rule; put all communities into it.");
	return 0;
}

/* The Microsoft peerings that use it. */
static json_t *
users(struct arm_snapshot *s, const struct arm_resource *r, unsigned family)
{
	json_t *list = json_array();
	struct arm_referrer *refs;

	for (size_t i = 0, n = arm_referrers(s, r->fold, false, peering_kinds[family], &refs);
	     i < n; i++) {
		const struct arm_resource *circuit = arm_get(s, refs[i].owner);

		if (circuit)
			json_array_append_new(list,
					      json_pack("{s:o}", "id",
							json_textf("%s/peerings/" PEERING_MICROSOFT,
								   circuit->id)));
	}
	return list;
}

static int
filter_view(struct arm_snapshot *s, const struct arm_resource *r, json_t *out)
{
	arm_set(out, "properties.peerings", users(s, r, 0));
	arm_set(out, "properties.ipv6Peerings", users(s, r, 1));
	return 0;
}

/* ---- bgpServiceCommunities ---- */

static json_t *
service_of(json_t *list, const char *name, const char *sub)
{
	json_t *one;
	size_t i;

	json_array_foreach(list, i, one)
		if (!strcmp(arm_str(one, "name", ""), name))
			return one;
	one = json_pack("{s:s, s:o, s:s, s:{s:s, s:[]}}", "name", name, "id",
			json_textf("/subscriptions/%s/providers/Microsoft.Network/"
				   "bgpServiceCommunities/%s",
				   sub, name),
			"type", "Microsoft.Network/bgpServiceCommunities", "properties",
			"serviceName", name, "bgpCommunities");
	json_array_append_new(list, one);
	return one;
}

int
service_communities_list(struct arm_call *c)
{
	const struct catalogue *cat = network_catalogue(c->s);
	json_t *list = json_array();

	for (size_t i = 0; i < catalogue_n_communities(cat); i++) {
		const struct catalogue_community *v = catalogue_community_at(cat, i);
		json_t *prefixes = json_array();
		char text[PREFIX_TEXT];

		for (size_t k = 0; k < v->n_prefixes; k++)
			json_array_append_new(prefixes,
					      json_string(prefix_format(&v->prefixes[k], text)));
		json_array_append_new(
			arm_at(service_of(list, v->service, c->sub), "properties.bgpCommunities"),
			json_pack("{s:s, s:s, s:o, s:o, s:b, s:s}", "serviceSupportedRegion",
				  v->region, "communityName", v->name, "communityValue",
				  json_textf("%u:%u", catalogue_limits(cat)->cloud_asn, v->value),
				  "communityPrefixes", prefixes, "isAuthorizedToUse", 1,
				  "serviceGroup", v->group));
	}
	c->result = json_pack("{s:o}", "value", list);
	return 0;
}

/* ---- the tables ---- */

/* clang-format off */
static const struct arm_prop rule_props[] = {
	{ .name = "access", .kind = ARM_STRING, .flags = ARM_REQUIRED,
	  .words = (const char *const[]){ "Allow", "Deny", NULL } },
	{ .name = "routeFilterRuleType", .kind = ARM_STRING,
	  .words = (const char *const[]){ "Community", NULL }, .def = "\"Community\"" },
	{ .name = "communities", .kind = ARM_LIST, .item = ARM_STRING, .flags = ARM_REQUIRED,
	  .min = 1, .max = 200 },
	{ 0 },
};

static const struct arm_prop rule_top[] = {
	{ .name = "location", .kind = ARM_STRING, .flags = ARM_KEEP, .max = 80 },
	{ 0 },
};
/* clang-format on */

const struct arm_type route_filter_rule_type = {
	.ns = "Microsoft.Network",
	.name = "routeFilterRules",
	.collection = "rules",
	.top = rule_top,
	.props = rule_props,
	.check = rule_check,
};

/* clang-format off */
static const struct arm_prop filter_props[] = {
	{ .name = "rules", .kind = ARM_CHILDREN, .child = &route_filter_rule_type },
	{ .name = "peerings", .kind = ARM_LIST, .item = ARM_ANY, .flags = ARM_READ_ONLY },
	{ .name = "ipv6Peerings", .kind = ARM_LIST, .item = ARM_ANY, .flags = ARM_READ_ONLY },
	{ 0 },
};
/* clang-format on */

static const struct arm_type *const filter_children[] = { &route_filter_rule_type, NULL };

const struct arm_type route_filter_type = {
	.ns = "Microsoft.Network",
	.name = "routeFilters",
	.flags = ARM_TRACKED,
	.props = filter_props,
	.children = filter_children,
	.in_use_code = "RouteFilterInUse",
	.in_use_status = 409,
	.plan = filter_plan,
	.view = filter_view,
};
