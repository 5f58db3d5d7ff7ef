/* Reads and checks the catalogue (catalogue.h). One table per YAML mapping says what it has
 * (catalogue_reader.h). Names are resolved to pointers in a second pass, when everything has been
 * read, so the order of files and of entries does not matter. */
#include "network/catalogue.h"

#include "base/mem.h"
#include "network/catalogue_parts.h"

#include <ctype.h>

const char *const catalogue_files[] = { "regions.yaml",
					"locations.yaml",
					"providers.yaml",
					"communities.yaml",
					"limits.yaml",
					"prices.yaml",
					NULL };

/* ---- the tables ---- */

#define SCHEMA(name, what_, T, line, file, short_form, ...) \
	static const struct reader_field name##_fields[] = { __VA_ARGS__ }; \
	static const struct reader_schema name##_schema = { \
		what_, sizeof(T), line, file, short_form, name##_fields, COUNT(name##_fields) \
	}
#define ITEM(m) offsetof(struct raw_item, m)
#define ITEM_SCHEMA(name, what, ...) \
	SCHEMA(name, what, struct raw_item, ITEM(line), ITEM(file), false, __VA_ARGS__)
#define PART_SCHEMA(name, what, T, short_form, ...) \
	SCHEMA(name, what, T, offsetof(T, line), SIZE_MAX, short_form, __VA_ARGS__)
#define LIMIT(key, m, max_) \
	{ \
		key, READER_NUMBER, true, offsetof(struct raw_limits, v.m), 0, NULL, max_ \
	}
#define NEEDED(key_, kind_, at_) .key = key_, .kind = READER_##kind_, .is_required = true, .at = at_
#define MAY_BE(key_, kind_, at_) .key = key_, .kind = READER_##kind_, .at = at_
#define LIST_OF(T, m, schema) .at = offsetof(T, m), .at_n = offsetof(T, n_##m), .of = schema

enum { MAX_MBPS = 1600000 };

/* clang-format off */
ITEM_SCHEMA(cloud, "a cloud",
	{ NEEDED("name", TEXT, ITEM(name)) },
);
ITEM_SCHEMA(geo, "a geopolitical region",
	{ NEEDED("name", TEXT, ITEM(name)) },
	{ MAY_BE("zone", NUMBER, ITEM(zone)), .max = 9 },
	{ MAY_BE("cloud", TEXT, ITEM(cloud)) },
);
ITEM_SCHEMA(region, "a region",
	{ NEEDED("name", TEXT, ITEM(name)) },
	{ NEEDED("displayName", TEXT, ITEM(display)) },
	{ NEEDED("geopoliticalRegion", TEXT, ITEM(geo)) },
	{ MAY_BE("communitySuffix", NUMBER, ITEM(community)), .max = 999 },
	{ MAY_BE("publicPrefixes", NAMES, ITEM(prefixes)) },
);
ITEM_SCHEMA(location, "a peering location",
	{ NEEDED("name", TEXT, ITEM(name)) },
	{ NEEDED("facility", TEXT, ITEM(facility)) },
	{ NEEDED("geopoliticalRegion", TEXT, ITEM(geo)) },
	{ NEEDED("zone", NUMBER, ITEM(zone)), .max = 9 },
	{ MAY_BE("localRegions", NAMES, ITEM(local)) },
	{ MAY_BE("directPortsInGbps", NUMBERS, ITEM(direct)), .max = 1600 },
);
ITEM_SCHEMA(class, "a class of bandwidths",
	{ NEEDED("name", TEXT, ITEM(name)) },
	{ NEEDED("bandwidthsInMbps", NUMBERS, ITEM(mbps)), .max = MAX_MBPS },
);
PART_SCHEMA(offer, "a provider's location", struct raw_offer, true,
	{ NEEDED("name", TEXT, offsetof(struct raw_offer, name)) },
	{ MAY_BE("bandwidthsInMbps", NUMBERS, offsetof(struct raw_offer, mbps)), .max = MAX_MBPS },
);
ITEM_SCHEMA(provider, "a provider",
	{ NEEDED("name", TEXT, ITEM(name)) },
	{ NEEDED("layer", NUMBER, ITEM(layer)), .max = 3 },
	{ NEEDED("models", NAMES, ITEM(models)) },
	{ MAY_BE("classes", NAMES, ITEM(classes)) },
	{ MAY_BE("bandwidthsInMbps", NUMBERS, ITEM(mbps)), .max = MAX_MBPS },
	{ .key = "locations", .kind = READER_LIST, .is_required = true,
	  LIST_OF(struct raw_item, offers, &offer_schema) },
);
ITEM_SCHEMA(community, "a service's community",
	{ NEEDED("service", TEXT, ITEM(name)) },
	{ NEEDED("group", TEXT, ITEM(group)) },
	{ NEEDED("value", NUMBER, ITEM(community)), .max = 65535 },
	{ MAY_BE("cloud", TEXT, ITEM(cloud)) },
	{ MAY_BE("prefixes", NAMES, ITEM(prefixes)) },
);
ITEM_SCHEMA(regional, "a regional service's communities",
	{ NEEDED("service", TEXT, ITEM(name)) },
	{ NEEDED("group", TEXT, ITEM(group)) },
	{ NEEDED("base", NUMBER, ITEM(community)), .max = 64000 },
	{ MAY_BE("hasPublicPrefixes", NUMBER, ITEM(layer)), .max = 1 },
);
PART_SCHEMA(range, "a range of AS numbers", struct raw_range, false,
	{ NEEDED("first", NUMBER, offsetof(struct raw_range, first)) },
	{ NEEDED("last", NUMBER, offsetof(struct raw_range, last)) },
);
PART_SCHEMA(links, "a row of linksPremium", struct raw_links, false,
	{ NEEDED("upToMbps", NUMBER, offsetof(struct raw_links, mbps)) },
	{ NEEDED("links", NUMBER, offsetof(struct raw_links, links)) },
);
PART_SCHEMA(direct, "a row of directCircuits", struct raw_links, false,
	{ NEEDED("portGbps", NUMBER, offsetof(struct raw_links, links)), .max = 1600 },
	{ NEEDED("mbps", NUMBER, offsetof(struct raw_links, mbps)), .max = MAX_MBPS },
);
SCHEMA(limits, "limits", struct raw_limits, offsetof(struct raw_limits, line),
	offsetof(struct raw_limits, file), false,
	LIMIT("circuitsPerSubscription", circuits_per_subscription, 1000000),
	LIMIT("circuitsPerRegion", circuits_per_region, 1000000),
	LIMIT("linksStandard", links_standard, 10000),
	LIMIT("linksSameLocation", links_same_location, 10000),
	LIMIT("routesStandard", routes_standard, 1000000),
	LIMIT("routesPremium", routes_premium, 1000000),
	LIMIT("routesIpv6", routes_ipv6, 1000000),
	LIMIT("routesMicrosoft", routes_microsoft, 1000000),
	LIMIT("localMinimumMbps", local_min_mbps, MAX_MBPS),
	LIMIT("maxRoutingWeight", max_routing_weight, 1000000),
	LIMIT("addressSpacesPerVnet", address_spaces_per_vnet, 10000),
	LIMIT("subnetsPerVnet", subnets_per_vnet, 100000),
	LIMIT("peeringsPerVnet", vnet_peerings_per_vnet, 100000),
	LIMIT("rulesPerNsg", rules_per_nsg, 100000),
	LIMIT("routesPerTable", routes_per_table, 100000),
	LIMIT("authorizationsPerCircuit", authorizations_per_circuit, 10000),
	LIMIT("directOversubscription", direct_oversubscription, 100),
	LIMIT("privateCommunityBase", private_community_base, 64000),
	LIMIT("cloudAsn", cloud_asn, 65535), /* fabric route targets carry two bytes */
	LIMIT("gatewayAsn", gateway_asn, 0),
	{ .key = "linksPremium", .kind = READER_LIST, .is_required = true,
	  LIST_OF(struct raw_limits, premium, &links_schema) },
	{ .key = "directCircuits", .kind = READER_LIST, .is_required = true,
	  LIST_OF(struct raw_limits, direct, &direct_schema) },
	{ .key = "reservedAsns", .kind = READER_LIST, .is_required = true,
	  LIST_OF(struct raw_limits, reserved, &range_schema) },
);

#define SECTION(key_, m, schema) \
	{ .key = key_, .kind = READER_LIST, .at = offsetof(struct raw_top, m.v), \
	  .at_n = offsetof(struct raw_top, m.n), .of = schema }
SCHEMA(top, "a catalogue file", struct raw_top, SIZE_MAX, SIZE_MAX, false,
	SECTION("clouds", clouds, &cloud_schema),
	SECTION("geopoliticalRegions", geos, &geo_schema),
	SECTION("regions", regions, &region_schema),
	SECTION("peeringLocations", locations, &location_schema),
	SECTION("bandwidthClasses", classes, &class_schema),
	SECTION("providers", providers, &provider_schema),
	SECTION("communities", communities, &community_schema),
	SECTION("regionalCommunities", regional, &regional_schema),
	{ .key = "limits", .kind = READER_LIST, LIST_OF(struct raw_top, limits, &limits_schema) },
	{ .key = "prices", .kind = READER_LIST,
	  LIST_OF(struct raw_top, prices, &catalogue_prices_schema) },
);
/* clang-format on */

/* ---- resolving names ---- */

static const struct raw_item *
item_twin(const struct raw_items *l, size_t i)
{
	for (size_t j = 0; j < i; j++)
		if (!strcasecmp(l->v[i].name, l->v[j].name))
			return &l->v[j];
	return NULL;
}

static int
check_twins(const struct raw_items *l, const char *what, struct err *e)
{
	for (size_t i = 0; i < l->n; i++) {
		const struct raw_item *first = item_twin(l, i);

		if (first)
			return err_set(e, -EINVAL, "%s:%d: %s %s stands twice, first in %s:%d",
				       l->v[i].file, l->v[i].line, what, l->v[i].name, first->file,
				       first->line);
	}
	return 0;
}

static int
check_all_twins(const struct catalogue *c, struct err *e)
{
	const struct {
		const struct raw_items *l;
		const char *what;
	} lists[] = {
		{ &c->raw.clouds, "cloud" },
		{ &c->raw.geos, "geopolitical region" },
		{ &c->raw.regions, "region" },
		{ &c->raw.locations, "location" },
		{ &c->raw.classes, "class" },
		{ &c->raw.providers, "provider" },
		{ &c->raw.regional, "regional service" },
	};

	for (size_t i = 0; i < COUNT(lists); i++) {
		int r = check_twins(lists[i].l, lists[i].what, e);

		if (r < 0)
			return r;
	}
	return 0;
}

static const struct catalogue_geo *
geo_find(const struct catalogue *c, const char *name)
{
	for (size_t i = 0; i < c->n_geos; i++)
		if (!strcmp(c->geos[i].name, name))
			return &c->geos[i];
	return NULL;
}

/* Without clouds in the files there is one; without a name it is the first. */
static int
resolve_cloud(const struct catalogue *c, const struct raw_item *r,
	      const struct catalogue_cloud **ret, struct err *e)
{
	for (size_t i = 0; i < c->n_clouds; i++)
		if (!r->cloud || !strcmp(c->clouds[i].name, r->cloud)) {
			*ret = &c->clouds[i];
			return 0;
		}
	return err_set(e, -EINVAL, "%s:%d: %s: no cloud named %s", r->file, r->line, r->name,
		       r->cloud ? r->cloud : "");
}

static int
resolve_geos(struct catalogue *c, struct err *e)
{
	const struct raw_items *l = &c->raw.geos;

	c->clouds = NEW_ARRAY(&c->arena, struct catalogue_cloud, c->raw.clouds.n + 1);
	for (size_t i = 0; i < c->raw.clouds.n; i++)
		c->clouds[c->n_clouds++].name = c->raw.clouds.v[i].name;
	if (!c->n_clouds)
		c->clouds[c->n_clouds++].name = "Public";
	c->geos = NEW_ARRAY(&c->arena, struct catalogue_geo, l->n + 1);
	for (size_t i = 0; i < l->n; i++) {
		struct catalogue_geo *g = &c->geos[c->n_geos++];
		int r;

		*g = (struct catalogue_geo){ .name = l->v[i].name, .zone = (int)l->v[i].zone };
		r = resolve_cloud(c, &l->v[i], &g->cloud, e);
		if (r < 0)
			return r;
	}
	return 0;
}

static int
resolve_geo(const struct catalogue *c, const struct raw_item *r, const struct catalogue_geo **ret,
	    struct err *e)
{
	*ret = geo_find(c, r->geo);
	if (!*ret)
		return err_set(e, -EINVAL, "%s:%d: %s: no geopolitical region named %s", r->file,
			       r->line, r->name, r->geo);
	return 0;
}

static bool
region_name_is_good(const char *s)
{
	for (; *s; s++)
		if (!islower((unsigned char)*s) && !isdigit((unsigned char)*s))
			return false;
	return true;
}

static int
resolve_prefixes(struct catalogue *c, const struct raw_item *r, const struct prefix **ret,
		 size_t *ret_n, struct err *e)
{
	struct prefix *v = NEW_ARRAY(&c->arena, struct prefix, r->prefixes.n + 1);
	struct err why = { 0 };

	for (size_t i = 0; i < r->prefixes.n; i++)
		if (prefix_parse(r->prefixes.v[i].text, &v[i], &why) < 0)
			return err_set(e, -EINVAL, "%s:%d: %s: %s", r->file, r->prefixes.v[i].line,
				       r->name, why.text);
	*ret = v;
	*ret_n = r->prefixes.n;
	return 0;
}

struct pool {
	struct prefix prefix;
	const struct raw_item *of;
	int line;
};

static int
pool_compare(const void *a, const void *b)
{
	return prefix_compare(&((const struct pool *)a)->prefix, &((const struct pool *)b)->prefix);
}

/* Sorted by address, a prefix stands directly before one that it overlaps, if there is any. */
static int
check_pools(const struct catalogue *c, struct err *e)
{
	size_t n = 0, at = 0;
	AUTO_FREE struct pool *v = NULL;

	for (size_t i = 0; i < c->n_regions; i++)
		n += c->regions[i].n_public_prefixes;
	v = mem_alloc((n + 1) * sizeof(*v));
	for (size_t i = 0; i < c->n_regions; i++)
		for (size_t j = 0; j < c->regions[i].n_public_prefixes; j++)
			v[at++] = (struct pool){ c->regions[i].public_prefixes[j],
						 &c->raw.regions.v[i],
						 c->raw.regions.v[i].prefixes.v[j].line };
	qsort(v, n, sizeof(*v), pool_compare);
	for (size_t i = 1; i < n; i++) {
		char text[PREFIX_TEXT], other[PREFIX_TEXT];

		if (prefix_overlaps(&v[i - 1].prefix, &v[i].prefix))
			return err_set(e, -EINVAL, "%s:%d: region %s: %s overlaps %s of region %s",
				       v[i].of->file, v[i].line, v[i].of->name,
				       prefix_format(&v[i].prefix, text),
				       prefix_format(&v[i - 1].prefix, other), v[i - 1].of->name);
	}
	return 0;
}

static int
resolve_regions(struct catalogue *c, struct err *e)
{
	const struct raw_items *l = &c->raw.regions;

	c->regions = NEW_ARRAY(&c->arena, struct catalogue_region, l->n + 1);
	for (size_t i = 0; i < l->n; i++) {
		const struct raw_item *r = &l->v[i];
		struct catalogue_region *g = &c->regions[c->n_regions++];

		*g = (struct catalogue_region){ .name = r->name,
						.display = r->display,
						.community = r->community };
		if (!region_name_is_good(r->name))
			return err_set(e, -EINVAL,
				       "%s:%d: region %s: a name has lower-case letters and digits",
				       r->file, r->line, r->name);
		int ret = resolve_geo(c, r, &g->geo, e);

		if (ret == 0)
			ret = resolve_prefixes(c, r, &g->public_prefixes, &g->n_public_prefixes, e);
		if (ret < 0)
			return ret;
	}
	return check_pools(c, e);
}

static int
resolve_locals(struct catalogue *c, const struct raw_item *r, struct catalogue_location *g,
	       struct err *e)
{
	g->local = NEW_ARRAY(&c->arena, const struct catalogue_region *, r->local.n + 1);
	for (size_t j = 0; j < r->local.n; j++) {
		const struct reader_name *name = &r->local.v[j];

		g->local[j] = catalogue_region(c, name->text);
		if (!g->local[j])
			return err_set(e, -EINVAL, "%s:%d: location %s: no region named %s",
				       r->file, name->line, r->name, name->text);
		if (g->local[j]->geo->cloud != g->geo->cloud)
			return err_set(e, -EINVAL,
				       "%s:%d: location %s: region %s is in another cloud", r->file,
				       name->line, r->name, name->text);
	}
	g->n_local = r->local.n;
	return 0;
}

static int
resolve_locations(struct catalogue *c, struct err *e)
{
	const struct raw_items *l = &c->raw.locations;

	c->locations = NEW_ARRAY(&c->arena, struct catalogue_location, l->n + 1);
	for (size_t i = 0; i < l->n; i++) {
		const struct raw_item *r = &l->v[i];
		struct catalogue_location *g = &c->locations[c->n_locations++];

		*g = (struct catalogue_location){ .name = r->name,
						  .facility = r->facility,
						  .zone = (int)r->zone,
						  .direct_gbps = r->direct.v,
						  .n_direct_gbps = r->direct.n };
		int ret = resolve_geo(c, r, &g->geo, e);

		if (ret == 0)
			ret = resolve_locals(c, r, g, e);
		if (ret < 0)
			return ret;
	}
	return 0;
}

static bool
numbers_have(const uint32_t *v, size_t n, uint32_t x)
{
	for (size_t i = 0; i < n; i++)
		if (v[i] == x)
			return true;
	return false;
}

static int
resolve_offer(struct catalogue *c, const struct raw_item *r, const struct catalogue_provider *p,
	      const struct raw_offer *o, struct catalogue_offer *ret, struct err *e)
{
	ret->location = catalogue_location(c, o->name);
	if (!ret->location)
		return err_set(e, -EINVAL, "%s:%d: provider %s: no location named %s", r->file,
			       o->line, r->name, o->name);
	ret->mbps = o->mbps.n ? o->mbps.v : p->mbps;
	ret->n_mbps = o->mbps.n ? o->mbps.n : p->n_mbps;
	for (size_t i = 0; i < ret->n_mbps; i++)
		if (!numbers_have(p->mbps, p->n_mbps, ret->mbps[i]))
			return err_set(e, -EINVAL,
				       "%s:%d: provider %s at %s: %u Mbps is not among its own "
				       "bandwidths",
				       r->file, o->line, r->name, o->name, ret->mbps[i]);
	return 0;
}

static int
resolve_models(const struct raw_item *r, unsigned *ret, struct err *e)
{
	static const char *const words[] = { "exchange", "pointToPoint", "anyToAny" };

	for (size_t i = 0; i < r->models.n; i++) {
		size_t w = 0;

		while (w < COUNT(words) && strcmp(words[w], r->models.v[i].text) != 0)
			w++;
		if (w == COUNT(words))
			return err_set(e, -EINVAL,
				       "%s:%d: provider %s: a model is exchange, pointToPoint or "
				       "anyToAny, not '%s'",
				       r->file, r->models.v[i].line, r->name, r->models.v[i].text);
		*ret |= 1u << w;
	}
	if (!*ret)
		return err_set(e, -EINVAL, "%s:%d: provider %s has no model", r->file, r->line,
			       r->name);
	return 0;
}

static int
number_compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static const struct raw_item *
class_find(const struct catalogue *c, const char *name)
{
	for (size_t i = 0; i < c->raw.classes.n; i++)
		if (!strcmp(c->raw.classes.v[i].name, name))
			return &c->raw.classes.v[i];
	return NULL;
}

static void
numbers_add(uint32_t *v, size_t *n, const struct reader_numbers *from)
{
	for (size_t i = 0; i < from->n; i++)
		if (!numbers_have(v, *n, from->v[i]))
			v[(*n)++] = from->v[i];
}

/* What a provider offers: its own bandwidths and those of its classes. */
static int
resolve_bandwidths(struct catalogue *c, const struct raw_item *r, struct catalogue_provider *p,
		   struct err *e)
{
	size_t room = r->mbps.n;
	uint32_t *v;

	for (size_t i = 0; i < r->classes.n; i++) {
		const struct raw_item *k = class_find(c, r->classes.v[i].text);

		if (!k)
			return err_set(e, -EINVAL, "%s:%d: provider %s: no class named %s", r->file,
				       r->classes.v[i].line, r->name, r->classes.v[i].text);
		room += k->mbps.n;
	}
	v = NEW_ARRAY(&c->arena, uint32_t, room + 1);
	numbers_add(v, &p->n_mbps, &r->mbps);
	for (size_t i = 0; i < r->classes.n; i++)
		numbers_add(v, &p->n_mbps, &class_find(c, r->classes.v[i].text)->mbps);
	qsort(v, p->n_mbps, sizeof(*v), number_compare);
	p->mbps = v;
	if (!p->n_mbps)
		return err_set(e, -EINVAL, "%s:%d: provider %s offers no bandwidth", r->file,
			       r->line, r->name);
	return 0;
}

static int
resolve_provider(struct catalogue *c, const struct raw_item *r, struct catalogue_provider *p,
		 struct err *e)
{
	struct catalogue_offer *offers =
		NEW_ARRAY(&c->arena, struct catalogue_offer, r->n_offers + 1);
	int ret;

	*p = (struct catalogue_provider){ .name = r->name,
					  .layer = (int)r->layer,
					  .offers = offers };
	if (r->layer != 2 && r->layer != 3)
		return err_set(e, -EINVAL, "%s:%d: provider %s: layer is 2 or 3", r->file, r->line,
			       r->name);
	ret = resolve_models(r, &p->models, e);
	if (ret == 0)
		ret = resolve_bandwidths(c, r, p, e);
	if (ret < 0)
		return ret;
	for (size_t j = 0; j < r->n_offers; j++) {
		if (catalogue_offer(p, r->offers[j].name))
			return err_set(e, -EINVAL, "%s:%d: provider %s: location %s stands twice",
				       r->file, r->offers[j].line, r->name, r->offers[j].name);
		ret = resolve_offer(c, r, p, &r->offers[j], &offers[j], e);
		if (ret < 0)
			return ret;
		p->n_offers++;
	}
	return 0;
}

static int
resolve_providers(struct catalogue *c, struct err *e)
{
	const struct raw_items *l = &c->raw.providers;

	c->providers = NEW_ARRAY(&c->arena, struct catalogue_provider, l->n + 1);
	for (size_t i = 0; i < l->n; i++) {
		int ret = resolve_provider(c, &l->v[i], &c->providers[c->n_providers++], e);

		if (ret < 0)
			return ret;
	}
	return 0;
}

/* ---- communities ---- */

static int
community_add(struct catalogue *c, const struct raw_item *r, const struct catalogue_community *k,
	      struct err *e)
{
	if (catalogue_community(c, k->cloud, k->value))
		return err_set(e, -EINVAL, "%s:%d: %s: community %u of %s stands twice", r->file,
			       r->line, k->name, k->value, k->cloud->name);
	c->communities[c->n_communities++] = *k;
	return 0;
}

static int
resolve_regional(struct catalogue *c, const struct raw_item *r, struct err *e)
{
	int ret = 0;

	for (size_t i = 0; ret == 0 && i < c->n_regions; i++) {
		const struct catalogue_region *g = &c->regions[i];
		const struct catalogue_community k = {
			.service = r->name,
			.name = arena_printf(&c->arena, "%s %s", r->name, g->display),
			.group = r->group,
			.region = g->display,
			.value = r->community + g->community,
			.cloud = g->geo->cloud,
			.prefixes = r->layer ? g->public_prefixes : NULL,
			.n_prefixes = r->layer ? g->n_public_prefixes : 0,
		};

		if (g->community)
			ret = community_add(c, r, &k, e);
	}
	return ret;
}

static int
resolve_communities(struct catalogue *c, struct err *e)
{
	enum { CAP = 16384 };
	const struct raw_items *l = &c->raw.communities, *regional = &c->raw.regional;
	size_t room = l->n + regional->n * c->n_regions;
	int ret = 0;

	if (room > CAP)
		return err_set(e, -EINVAL, "more than %d communities", CAP);
	c->communities = NEW_ARRAY(&c->arena, struct catalogue_community, room + 1);
	for (size_t i = 0; ret == 0 && i < l->n; i++) {
		const struct raw_item *r = &l->v[i];
		struct catalogue_community k = { .service = r->name,
						 .name = r->name,
						 .group = r->group,
						 .region = "Global",
						 .value = r->community };

		ret = resolve_cloud(c, r, &k.cloud, e);
		if (ret == 0)
			ret = resolve_prefixes(c, r, &k.prefixes, &k.n_prefixes, e);
		if (ret == 0)
			ret = community_add(c, r, &k, e);
	}
	for (size_t i = 0; ret == 0 && i < regional->n; i++)
		ret = resolve_regional(c, &regional->v[i], e);
	return ret;
}

/* ---- limits ---- */

static int
resolve_limits(struct catalogue *c, struct err *e)
{
	const struct raw_limits *r = c->raw.limits;

	if (!c->raw.n_limits)
		return err_set(e, -EINVAL, "no limits in any of the files");
	if (c->raw.n_limits > 1)
		return err_set(e, -EINVAL, "%s:%d: limits stand twice, first in %s:%d", r[1].file,
			       r[1].line, r[0].file, r[0].line);

	struct catalogue_asn_range *asns =
		NEW_ARRAY(&c->arena, struct catalogue_asn_range, r->n_reserved + 1);
	struct catalogue_links *links =
		NEW_ARRAY(&c->arena, struct catalogue_links, r->n_premium + 1);
	struct catalogue_direct_circuit *direct =
		NEW_ARRAY(&c->arena, struct catalogue_direct_circuit, r->n_direct + 1);

	c->limits = r->v;
	for (size_t i = 0; i < r->n_reserved; i++) {
		asns[i] = (struct catalogue_asn_range){ r->reserved[i].first, r->reserved[i].last };
		if (asns[i].first > asns[i].last)
			return err_set(e, -EINVAL, "%s:%d: reservedAsns: first is above last",
				       r->file, r->reserved[i].line);
	}
	for (size_t i = 0; i < r->n_premium; i++) {
		links[i] = (struct catalogue_links){ r->premium[i].mbps, r->premium[i].links };
		if (i && links[i - 1].mbps >= links[i].mbps)
			return err_set(e, -EINVAL, "%s:%d: linksPremium: wants ascending upToMbps",
				       r->file, r->premium[i].line);
	}
	for (size_t i = 0; i < r->n_direct; i++)
		direct[i] = (struct catalogue_direct_circuit){ .port_gbps = r->direct[i].links,
							       .mbps = r->direct[i].mbps };
	c->limits.direct_circuits = direct;
	c->limits.n_direct_circuits = r->n_direct;
	c->limits.reserved_asns = asns;
	c->limits.n_reserved_asns = r->n_reserved;
	c->limits.links_premium = links;
	c->limits.n_links_premium = r->n_premium;
	return 0;
}

static int
resolve(struct catalogue *c, struct err *e)
{
	static int (*const steps[])(struct catalogue * c, struct err * e) = {
		resolve_geos,        resolve_regions, resolve_locations,        resolve_providers,
		resolve_communities, resolve_limits,  catalogue_prices_resolve,
	};
	int ret = check_all_twins(c, e);

	for (size_t i = 0; ret == 0 && i < COUNT(steps); i++)
		ret = steps[i](c, e);
	return ret;
}

/* ---- the public face ---- */

int
catalogue_parse(const struct catalogue_text *texts, size_t n, struct catalogue **ret, struct err *e)
{
	AUTO(catalogue) c = mem_alloc(sizeof(*c));

	for (size_t i = 0; i < n; i++) {
		const char *file = arena_strdup(&c->arena, texts[i].file);
		int r = reader_read(&c->arena, file, texts[i].text, texts[i].n, &top_schema,
				    &c->raw, e);

		if (r < 0)
			return r;
	}
	int r = resolve(c, e);

	if (r < 0)
		return r;
	*ret = TAKE(c);
	return 0;
}

static int
slurp(struct arena *a, const char *path, const char **text, size_t *n, struct err *e)
{
	FILE *f = fopen(path, "re");

	if (!f)
		return err_errno(e, "open %s", path);
	AUTO_FREE char *p = mem_alloc(CATALOGUE_MAX_TEXT + 1);

	*n = fread(p, 1, CATALOGUE_MAX_TEXT + 1, f);
	int bad = ferror(f);

	fclose(f);
	if (bad)
		return err_set(e, -EIO, "read %s", path);
	if (*n > CATALOGUE_MAX_TEXT)
		return err_set(e, -EFBIG, "%s: larger than %d bytes", path, CATALOGUE_MAX_TEXT);
	*text = arena_strndup(a, p, *n);
	return 0;
}

int
catalogue_read_files(struct arena *a, const char *dir, struct catalogue_text ret[CATALOGUE_N_FILES],
		     struct err *e)
{
	for (size_t i = 0; catalogue_files[i]; i++) {
		ret[i].file = catalogue_files[i];
		int r = slurp(a, arena_printf(a, "%s/%s", dir, catalogue_files[i]), &ret[i].text,
			      &ret[i].n, e);

		if (r < 0)
			return err_wrap(e, r, "catalogue");
	}
	return 0;
}

int
catalogue_open(const char *dir, struct catalogue **ret, struct err *e)
{
	struct catalogue_text texts[CATALOGUE_N_FILES];
	AUTO_ARENA a = { 0 };
	int r = catalogue_read_files(&a, dir, texts, e);

	if (r < 0)
		return r;
	r = catalogue_parse(texts, COUNT(texts), ret, e);
	return r < 0 ? err_wrap(e, r, "catalogue %s", dir) : 0;
}

void
catalogue_destroy(struct catalogue *c)
{
	if (!c)
		return;
	arena_reset(&c->arena);
	free(c);
}

const struct catalogue_limits *
catalogue_limits(const struct catalogue *c)
{
	return &c->limits;
}

bool
catalogue_limit_at(const struct catalogue *c, size_t i, const char **ret_name, uint32_t *ret)
{
	if (i >= COUNT(limits_fields) || limits_fields[i].kind != READER_NUMBER)
		return false;
	*ret_name = limits_fields[i].key;
	memcpy(ret, (const char *)c->raw.limits + limits_fields[i].at, sizeof(*ret));
	return true;
}

size_t
catalogue_n_regions(const struct catalogue *c)
{
	return c->n_regions;
}

const struct catalogue_region *
catalogue_region_at(const struct catalogue *c, size_t i)
{
	return &c->regions[i];
}

size_t
catalogue_n_locations(const struct catalogue *c)
{
	return c->n_locations;
}

const struct catalogue_location *
catalogue_location_at(const struct catalogue *c, size_t i)
{
	return &c->locations[i];
}

size_t
catalogue_n_providers(const struct catalogue *c)
{
	return c->n_providers;
}

const struct catalogue_provider *
catalogue_provider_at(const struct catalogue *c, size_t i)
{
	return &c->providers[i];
}

size_t
catalogue_n_communities(const struct catalogue *c)
{
	return c->n_communities;
}

const struct catalogue_community *
catalogue_community_at(const struct catalogue *c, size_t i)
{
	return &c->communities[i];
}

const struct catalogue_community *
catalogue_community(const struct catalogue *c, const struct catalogue_cloud *cloud, uint32_t value)
{
	for (size_t i = 0; i < c->n_communities; i++)
		if (c->communities[i].value == value && c->communities[i].cloud == cloud)
			return &c->communities[i];
	return NULL;
}

uint32_t
catalogue_private_community(const struct catalogue *c, const struct catalogue_region *r)
{
	return r->community ? c->limits.private_community_base + r->community : 0;
}

/* Compares without case and blanks. */
static bool
region_name_equal(const char *a, const char *b)
{
	for (;; a++, b++) {
		while (*a == ' ')
			a++;
		while (*b == ' ')
			b++;
		if (tolower((unsigned char)*a) != tolower((unsigned char)*b))
			return false;
		if (!*a)
			return true;
	}
}

const struct catalogue_region *
catalogue_region(const struct catalogue *c, const char *name)
{
	for (size_t i = 0; i < c->n_regions; i++)
		if (region_name_equal(c->regions[i].name, name))
			return &c->regions[i];
	return NULL;
}

const struct catalogue_location *
catalogue_location(const struct catalogue *c, const char *name)
{
	for (size_t i = 0; i < c->n_locations; i++)
		if (!strcmp(c->locations[i].name, name))
			return &c->locations[i];
	return NULL;
}

const struct catalogue_provider *
catalogue_provider(const struct catalogue *c, const char *name)
{
	for (size_t i = 0; i < c->n_providers; i++)
		if (!strcmp(c->providers[i].name, name))
			return &c->providers[i];
	return NULL;
}

const struct catalogue_offer *
catalogue_offer(const struct catalogue_provider *p, const char *location)
{
	for (size_t i = 0; i < p->n_offers; i++)
		if (!strcmp(p->offers[i].location->name, location))
			return &p->offers[i];
	return NULL;
}

const char *
catalogue_bandwidth_name(uint32_t mbps, char out[16])
{
	if (mbps % 1000)
		snprintf(out, 16, "%uMbps", mbps);
	else
		snprintf(out, 16, "%uGbps", mbps / 1000);
	return out;
}
