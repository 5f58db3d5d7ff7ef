/* expressRouteServiceProviders: who can be ordered from, where, in which sizes. Only (provider,
 * location) pairs with a trunk on a registered edge pair are on sale. */
#include "network/types.h"

/* The API's own odd constant. */
#define PROVIDERS_ID \
	"/subscriptions//resourceGroups//providers/Microsoft.Network/expressRouteServiceProviders/"

static bool
is_in(const uint32_t *v, size_t n, uint32_t x)
{
	for (size_t i = 0; i < n; i++)
		if (v[i] == x)
			return true;
	return false;
}

/* Locations with a trunk; sizes offered at any of them. NULL: nothing on sale. */
static json_t *
provider_view(struct arm_snapshot *s, const struct catalogue_provider *p)
{
	json_t *locations = json_array(), *sizes = json_array();
	bool *is_offered = NEW_ARRAY(s->arena, bool, p->n_mbps + 1);

	for (size_t i = 0; i < p->n_offers; i++) {
		const struct catalogue_offer *o = &p->offers[i];
		const struct arm_resource **ports;

		if (!provider_ports(s, p->name, o->location->name, &ports))
			continue;
		json_array_append_new(locations, json_string(o->location->name));
		for (size_t j = 0; j < p->n_mbps; j++)
			is_offered[j] |= is_in(o->mbps, o->n_mbps, p->mbps[j]);
	}
	for (size_t j = 0; j < p->n_mbps; j++) {
		char name[16];

		if (is_offered[j])
			json_array_append_new(sizes,
					      json_pack("{s:s, s:i}", "offerName",
							catalogue_bandwidth_name(p->mbps[j], name),
							"valueInMbps", (int)p->mbps[j]));
	}
	if (!json_array_size(locations)) {
		json_decref(locations);
		json_decref(sizes);
		return NULL;
	}
	return json_pack("{s:s, s:s, s:s, s:{s:s, s:o, s:o}}", "name", p->name, "id", PROVIDERS_ID,
			 "type", "Microsoft.Network/expressRouteServiceProviders", "properties",
			 "provisioningState", "Succeeded", "peeringLocations", locations,
			 "bandwidthsOffered", sizes);
}

static int
providers_list(struct arm_call *c)
{
	const struct catalogue *cat = network_catalogue(c->s);
	json_t *list = json_array();

	for (size_t i = 0; i < catalogue_n_providers(cat); i++) {
		const struct catalogue_provider *p = catalogue_provider_at(cat, i);
		json_t *v = provider_subscription(c->s, p->name) ? provider_view(c->s, p) : NULL;

		if (v)
			json_array_append_new(list, v);
	}
	c->result = json_pack("{s:o}", "value", list);
	return 0;
}

const struct arm_action network_reads[] = {
	{ .name = "expressRouteServiceProviders", .method = ARM_GET, .run = providers_list },
	{ 0 },
};
