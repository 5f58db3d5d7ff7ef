/* What is different between two catalogues, and who would miss what is gone. */
#include "network/catalogue_version.h"
#include "network/network.h"
#include "network/node.h"
#include "network/types.h"

#include <inttypes.h>
#include <stdarg.h>

/* ---- a catalogue as words: what -> how it is ---- */

static void say(json_t *all, const char *text, const char *fmt, ...) PRINTF(3, 4);

static void
say(json_t *all, const char *text, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	json_t *what = json_vsprintf(fmt, ap);

	va_end(ap);
	json_object_set_new(all, json_string_value(what), json_string(text));
	json_decref(what);
}

static const char *
numbers_text(struct arena *a, const uint32_t *v, size_t n)
{
	const char *s = "";

	for (size_t i = 0; i < n; i++)
		s = arena_printf(a, "%s%s%u", s, i ? ", " : "", v[i]);
	return s;
}

static const char *
prefixes_text(struct arena *a, const struct prefix *v, size_t n)
{
	const char *s = "";
	char text[PREFIX_TEXT];

	for (size_t i = 0; i < n; i++)
		s = arena_printf(a, "%s%s%s", s, i ? ", " : "", prefix_format(&v[i], text));
	return s;
}

static void
say_regions(struct arena *a, const struct catalogue *c, json_t *all)
{
	for (size_t i = 0; i < catalogue_n_regions(c); i++) {
		const struct catalogue_region *r = catalogue_region_at(c, i);

		say(all,
		    arena_printf(a, "%s, in %s (%s, zone %d), community %u, public prefixes %s",
				 r->display, r->geo->name, r->geo->cloud->name, r->geo->zone,
				 r->community,
				 prefixes_text(a, r->public_prefixes, r->n_public_prefixes)),
		    "region %s", r->name);
	}
}

static void
say_locations(struct arena *a, const struct catalogue *c, json_t *all)
{
	for (size_t i = 0; i < catalogue_n_locations(c); i++) {
		const struct catalogue_location *l = catalogue_location_at(c, i);
		const char *local = "";

		for (size_t j = 0; j < l->n_local; j++)
			local = arena_printf(a, "%s%s%s", local, j ? ", " : "", l->local[j]->name);
		say(all,
		    arena_printf(a, "%s, in %s (%s), zone %d, local regions %s, direct %s Gbps",
				 l->facility, l->geo->name, l->geo->cloud->name, l->zone,
				 *local ? local : "none",
				 l->n_direct_gbps
					 ? numbers_text(a, l->direct_gbps, l->n_direct_gbps)
					 : "0"),
		    "location %s", l->name);
	}
}

static void
say_providers(struct arena *a, const struct catalogue *c, json_t *all)
{
	for (size_t i = 0; i < catalogue_n_providers(c); i++) {
		const struct catalogue_provider *p = catalogue_provider_at(c, i);

		say(all,
		    arena_printf(a, "layer %d%s%s%s", p->layer,
				 p->models & CATALOGUE_EXCHANGE ? ", exchange" : "",
				 p->models & CATALOGUE_POINT_TO_POINT ? ", point-to-point" : "",
				 p->models & CATALOGUE_ANY_TO_ANY ? ", any-to-any" : ""),
		    "provider %s", p->name);
		for (size_t j = 0; j < p->n_offers; j++)
			say(all,
			    arena_printf(a, "%s Mbps",
					 numbers_text(a, p->offers[j].mbps, p->offers[j].n_mbps)),
			    "offer %s at %s", p->name, p->offers[j].location->name);
	}
}

static void
say_figures(struct arena *a, const struct catalogue *c, json_t *all)
{
	const struct catalogue_limits *l = catalogue_limits(c);
	char name[CATALOGUE_PRICE_NAME];
	const char *word;
	uint32_t value;
	int64_t amount;

	for (size_t i = 0; catalogue_limit_at(c, i, &word, &value); i++)
		say(all, arena_printf(a, "%u", value), "limit %s", word);
	for (size_t i = 0; i < l->n_links_premium; i++)
		say(all, arena_printf(a, "%u", l->links_premium[i].links),
		    "limit linksPremium up to %u Mbps", l->links_premium[i].mbps);
	for (size_t i = 0; i < l->n_direct_circuits; i++)
		say(all, "offered", "limit direct circuit of %u Mbps on %u Gbps",
		    l->direct_circuits[i].mbps, l->direct_circuits[i].port_gbps);
	for (size_t i = 0; i < l->n_reserved_asns; i++)
		say(all, "reserved", "limit ASN %u to %u", l->reserved_asns[i].first,
		    l->reserved_asns[i].last);
	for (size_t i = 0; catalogue_price_at(c, i, name, &amount); i++)
		say(all,
		    arena_printf(a, "%" PRId64 ".%04" PRId64 " %s", amount / CATALOGUE_PRICE_SCALE,
				 amount % CATALOGUE_PRICE_SCALE, catalogue_currency(c)),
		    "price %s", name);
}

static json_t *
describe(struct arena *a, const struct catalogue *c)
{
	json_t *all = json_object();

	say_regions(a, c, all);
	say_locations(a, c, all);
	say_providers(a, c, all);
	say_figures(a, c, all);
	for (size_t i = 0; i < catalogue_n_communities(c); i++) {
		const struct catalogue_community *k = catalogue_community_at(c, i);

		say(all,
		    arena_printf(a, "%s (%s), prefixes %s", k->name, k->group,
				 prefixes_text(a, k->prefixes, k->n_prefixes)),
		    "community %u of %s", k->value, k->cloud->name);
	}
	return all;
}

static json_t *
change(const char *how, const char *what, json_t *from, json_t *to)
{
	return json_pack("{s:s, s:s, s:O*, s:O*}", "change", how, "what", what, "from", from, "to",
			 to);
}

json_t *
catalogue_diff(const struct catalogue *from, const struct catalogue *to)
{
	AUTO_ARENA a = { 0 };
	json_t *was = describe(&a, from), *is = describe(&a, to), *list = json_array(), *v;
	const char *what;

	json_object_foreach(was, what, v) {
		json_t *now = json_object_get(is, what);

		if (!now)
			json_array_append_new(list, change("removed", what, v, NULL));
		else if (!json_equal(v, now))
			json_array_append_new(list, change("changed", what, v, now));
	}
	json_object_foreach(is, what, v)
		if (!json_object_get(was, what))
			json_array_append_new(list, change("added", what, NULL, v));
	json_decref(was);
	json_decref(is);
	return list;
}

/* ---- who uses what is gone ---- */

struct users {
	struct arm_snapshot *s;
	const struct catalogue *from, *to;
	catalogue_user_fn *fn;
	void *arg;
};

static void
region_user(void *arg, const struct arm_resource *r)
{
	struct users *u = arg;
	const char *region = arm_str(r->body, "location", "");

	if (catalogue_region(u->from, region) && !catalogue_region(u->to, region))
		u->fn(u->arg, r, arena_printf(u->s->arena, "is in region %s", region));
}

static bool
has_mbps(const struct catalogue_offer *o, int64_t mbps)
{
	for (size_t i = 0; o && i < o->n_mbps; i++)
		if (o->mbps[i] == mbps)
			return true;
	return false;
}

static const struct catalogue_offer *
offer_find(const struct catalogue *c, const char *provider, const char *location)
{
	const struct catalogue_provider *p = catalogue_provider(c, provider);

	return p ? catalogue_offer(p, location) : NULL;
}

static void
circuit_user(void *arg, const struct arm_resource *r)
{
	struct users *u = arg;
	const char *provider =
		arm_str(r->body, "properties.serviceProviderProperties.serviceProviderName", NULL);
	const char *location =
		arm_str(r->body, "properties.serviceProviderProperties.peeringLocation", "");
	int64_t mbps = arm_int(r->body, "properties.serviceProviderProperties.bandwidthInMbps", 0);

	if (provider && has_mbps(offer_find(u->from, provider, location), mbps) &&
	    !has_mbps(offer_find(u->to, provider, location), mbps))
		u->fn(u->arg, r,
		      arena_printf(u->s->arena, "is a circuit of %s at %s with %" PRId64 " Mbps",
				   provider, location, mbps));
}

static bool
has_direct(const struct catalogue *c, const char *location, int64_t gbps)
{
	const struct catalogue_location *l = catalogue_location(c, location);

	for (size_t i = 0; l && i < l->n_direct_gbps; i++)
		if (l->direct_gbps[i] == gbps)
			return true;
	return false;
}

static void
direct_user(void *arg, const struct arm_resource *r)
{
	struct users *u = arg;
	const char *location = arm_str(r->body, "properties.peeringLocation", "");
	int64_t gbps = arm_int(r->body, "properties.bandwidthInGbps", 0);

	if (has_direct(u->from, location, gbps) && !has_direct(u->to, location, gbps))
		u->fn(u->arg, r,
		      arena_printf(u->s->arena, "is a direct port pair of %" PRId64 " Gbps at %s",
				   gbps, location));
}

static void
location_user(void *arg, const struct arm_resource *r)
{
	struct users *u = arg;
	const char *location = arm_str(r->body, "properties.peeringLocation", "");

	if (catalogue_location(u->from, location) && !catalogue_location(u->to, location))
		u->fn(u->arg, r, arena_printf(u->s->arena, "is at location %s", location));
}

static void
provider_user(void *arg, const struct arm_resource *r)
{
	struct users *u = arg;
	const char *name = arm_str(r->body, "properties.serviceProviderName", "");

	if (catalogue_provider(u->from, name) && !catalogue_provider(u->to, name))
		u->fn(u->arg, r, arena_printf(u->s->arena, "is provider %s", name));
}

/* A trunk: its provider at its pair's location. */
static void
trunk_user(void *arg, const struct arm_resource *r)
{
	struct users *u = arg;
	const char *name = arm_str(r->body, "properties.serviceProviderName", NULL);
	const struct arm_resource *pair = port_pair(u->s, r);
	const char *location = pair ? arm_str(pair->body, "properties.peeringLocation", "") : "";

	if (name && offer_find(u->from, name, location) && !offer_find(u->to, name, location))
		u->fn(u->arg, r,
		      arena_printf(u->s->arena, "is a trunk of %s at %s", name, location));
}

static void
each_of_type(struct users *u, const char *name,
	     void (*each)(void *arg, const struct arm_resource *r))
{
	for (size_t i = 0; network_providers[i]; i++)
		for (size_t j = 0; network_providers[i]->types[j]; j++)
			if (!strcmp(network_providers[i]->types[j]->name, name))
				each_resource(u->s, network_providers[i]->types[j], each, u);
}

/* Every resource is asked only when something of its kind has gone: an ordinary change of a price
 * or a new location costs nothing. */
static bool
is_gone(const struct catalogue *from, const struct catalogue *to, const char *prefix)
{
	json_t *changes = catalogue_diff(from, to);
	bool gone = false;
	const json_t *c;
	size_t i;

	json_array_foreach(changes, i, c)
		gone |= strcmp(arm_str(c, "change", ""), "added") != 0 &&
			!strncmp(arm_str(c, "what", ""), prefix, strlen(prefix));
	json_decref(changes);
	return gone;
}

void
catalogue_users(struct arm_snapshot *s, const struct catalogue *from, const struct catalogue *to,
		catalogue_user_fn *fn, void *arg)
{
	struct users u = { s, from, to, fn, arg };

	if (is_gone(from, to, "offer ")) {
		each_resource(s, &fabric_port_type, trunk_user, &u);
		each_resource(s, &circuit_type, circuit_user, &u);
	}
	if (is_gone(from, to, "provider "))
		each_resource(s, &fabric_provider_type, provider_user, &u);
	if (is_gone(from, to, "location ")) {
		each_resource(s, &fabric_location_type, location_user, &u);
		each_resource(s, &fabric_pair_type, location_user, &u);
		each_of_type(&u, "expressRoutePorts", direct_user);
	}
	if (!is_gone(from, to, "region "))
		return;
	for (size_t i = 0; network_providers[i]; i++)
		for (size_t j = 0; network_providers[i]->types[j]; j++) {
			const struct arm_type *t = network_providers[i]->types[j];

			if (t->flags & ARM_TRACKED && !(t->flags & ARM_NO_CREATE))
				each_resource(s, t, region_user, &u);
		}
}
