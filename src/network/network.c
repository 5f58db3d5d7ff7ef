/* The providers' tables and what all types share. */
#include "network/network.h"

#include "base/mem.h"
#include "network/types.h"

#include <stdarg.h>

static const struct arm_type *const network_types[] = {
	&circuit_type,     &cross_connection_type,
	&vnet_type,        &nic_type,
	&gateway_type,     &connection_type,
	&public_ip_type,   &nsg_type,
	&route_table_type, &local_gateway_type,
	&direct_port_type, &route_filter_type,
	&wan_gateway_type, NULL,
};

static const struct arm_type *const fabric_types[] = {
	&fabric_location_type,
	&fabric_pair_type,
	&fabric_port_type,
	&fabric_provider_type,
	&fabric_host_type,
	&fabric_catalogue_type,
	NULL,
};

static const char *const object_secrets[] = { "md5", NULL };
static const struct arm_provider microsoft_network = {
	.ns = "Microsoft.Network",
	.floor = "2015-01-01",
	.types = network_types,
	.reads = network_reads,
	.object_secrets = object_secrets,
	.foresee = network_foresee,
	.foreseen = network_foreseen,
	.reported = network_reported,
	.sample = network_sample,
};

static const struct arm_provider wayleave_fabric = {
	.ns = "Wayleave.Fabric",
	.floor = "2026-01-01",
	.types = fabric_types,
};

const struct arm_provider *const network_providers[] = { &microsoft_network, &wayleave_fabric,
							 NULL };

json_t *
network_locations(struct arm_snapshot *s, void *ctx)
{
	const struct catalogue *c = network_catalogue(s);
	json_t *list = json_array();

	for (size_t i = 0; i < catalogue_n_regions(c); i++) {
		const struct catalogue_region *r = catalogue_region_at(c, i);
		json_t *regional = json_textf("(%s) %s", r->geo->name, r->display);

		json_array_append_new(list, json_pack("{s:s, s:s, s:o, s:{s:s, s:s, s:s}}", "name",
						      r->name, "displayName", r->display,
						      "regionalDisplayName", regional, "metadata",
						      "geographyGroup", r->geo->name, "regionType",
						      "Physical", "regionCategory", "Recommended"));
	}
	return list;
}

json_t *
json_textf(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	json_t *j = json_vsprintf(fmt, ap);
	va_end(ap);
	return j ? j : json_string("");
}

json_t *
json_reference(const char *id)
{
	return json_pack("{s:s}", "id", id);
}

json_t *
collection_of(const json_t *body, const char *name)
{
	return json_object_get(json_object_get(body, "properties"), name);
}

bool
text_equal(const char *a, const char *b)
{
	if (!a || !b)
		return a == b;
	return !strcasecmp(a, b);
}

const char *
claim_holder(struct arm_snapshot *s, const char *space, const char *value)
{
	const char *owner = arm_claim_owner(s, space, value);
	const struct arm_resource *r = owner ? arm_get(s, owner) : NULL;

	return r ? r->id : owner;
}
