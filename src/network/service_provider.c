/* expressRouteServiceProviders: who can be ordered from, where, in which sizes. Only (provider,
 * location) pairs with a trunk on a registered edge pair are on sale. And expressRouteProviderPorts:
 * a provider's own trunks and how full they are, in the provider's subscription. */
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

/* ---- expressRouteProviderPorts ---- */

static json_t *
port_view(struct arm_call *c, const struct arm_resource *port, const char *location)
{
	uint32_t used = port_used_mbps(port);

	return json_pack(
		"{s:s, s:o, s:s, s:{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I}}", "name", port->name,
		"id",
		json_textf("/subscriptions/%s/providers/Microsoft.Network/expressRouteProviderPorts/"
			   "%s",
			   c->sub, port->name),
		"type", "Microsoft.Network/expressRouteProviderPorts", "properties",
		"portPairDescriptor", port->name, "primaryAzurePort",
		arm_str(port->body, "properties.primaryAzurePort", ""), "secondaryAzurePort",
		arm_str(port->body, "properties.secondaryAzurePort", ""), "peeringLocation",
		location, "overprovisionFactor",
		(json_int_t)arm_int(port->body, "properties.overprovisionFactor", 1),
		"portBandwidthInMbps",
		(json_int_t)arm_int(port->body, "properties.bandwidthInMbps", 0),
		"usedBandwidthInMbps", (json_int_t)used, "remainingBandwidthInMbps",
		(json_int_t)port_capacity_mbps(port) - used);
}

/* All trunks of the providers whose subscription this is; name NULL: any. */
static json_t *
provider_ports_view(struct arm_call *c, const char *name)
{
	const struct catalogue *cat = network_catalogue(c->s);
	json_t *list = json_array();

	for (size_t i = 0; i < catalogue_n_providers(cat); i++) {
		const struct catalogue_provider *p = catalogue_provider_at(cat, i);
		const struct arm_resource **ports;

		if (!text_equal(provider_subscription(c->s, p->name), c->sub))
			continue;
		for (size_t k = 0; k < p->n_offers; k++) {
			const char *location = p->offers[k].location->name;
			size_t n = provider_ports(c->s, p->name, location, &ports);

			for (size_t j = 0; j < n; j++)
				if (!name || text_equal(ports[j]->name, name))
					json_array_append_new(list,
							      port_view(c, ports[j], location));
		}
	}
	return list;
}

static int
provider_ports_list(struct arm_call *c)
{
	c->result = json_pack("{s:o}", "value", provider_ports_view(c, NULL));
	return 0;
}

static int
provider_port_get(struct arm_call *c)
{
	const char *name = c->n_args ? c->args[0] : "";
	json_t *list = provider_ports_view(c, name);

	c->result = json_incref(json_array_get(list, 0));
	json_decref(list);
	return c->result
		       ? 0
		       : arm_refuse(c->s->error, 404, "NotFound",
				    "No provider of this subscription has a port pair '%s'.", name);
}

const struct arm_action network_reads[] = {
	{ .name = "expressRouteServiceProviders", .method = ARM_GET, .run = providers_list },
	{ .name = "expressRouteProviderPorts", .method = ARM_GET, .run = provider_ports_list },
	{ .name = "expressRouteProviderPorts/?", .method = ARM_GET, .run = provider_port_get },
	{ .name = "expressRoutePortsLocations", .method = ARM_GET, .run = direct_locations_list },
	{ .name = "expressRoutePortsLocations/?", .method = ARM_GET, .run = direct_location_get },
	{ .name = "locations/?/CheckDnsNameAvailability",
	  .method = ARM_GET,
	  .run = dns_name_available },
	{ .name = "bgpServiceCommunities", .method = ARM_GET, .run = service_communities_list },
	{ 0 },
};
