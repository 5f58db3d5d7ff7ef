/* What a virtual network answers about its addresses: is this one free, how full are the subnets. */
#include "network/address.h"
#include "network/vnet.h"

enum { SUGGESTIONS = 5 };

/* A few free addresses of the subnet's prefix, above a. */
static json_t *
suggest(struct arm_snapshot *s, const char *subnet, const struct prefix *prefix,
	const struct addr *a)
{
	struct space_range r = space_range(prefix);
	uint64_t n = space_number(a);
	json_t *list = json_array();

	n = n < r.first ? r.first : n;
	for (unsigned tries = 0; tries < 256 && n <= r.last && json_array_size(list) < SUGGESTIONS;
	     tries++, n++) {
		struct addr one = space_address(prefix, n);
		char text[ADDR_TEXT];

		if (!address_owner(s, subnet, &one))
			json_array_append_new(list, json_string(addr_format(&one, text)));
	}
	return list;
}

/* GET {vnet}/CheckIPAddressAvailability?ipAddress= */
static int
availability(struct arm_call *c)
{
	const char *text = arm_call_query(c, "ipAddress");
	struct addr a;
	struct err e;
	json_t *subnet;
	size_t i;

	if (!text || addr_parse(text, &a, &e) < 0)
		return arm_refuse_at(c->s->error, 400, "InvalidIPAddressFormat", "ipAddress",
				     "The query parameter ipAddress must be an IP address.");
	json_array_foreach(collection_of(c->r->body, "subnets"), i, subnet) {
		const char *id = arena_printf(c->s->arena, "%s/subnets/%s", c->r->id,
					      arm_str(subnet, "name", ""));
		struct prefix *v;

		for (size_t k = 0, n = subnet_prefixes(c->s->arena, subnet, &v); k < n; k++) {
			enum space_verdict verdict = space_verdict(&v[k], &a);
			bool is_free = verdict == SPACE_FINE && !address_owner(c->s, id, &a);

			if (verdict == SPACE_OUTSIDE)
				continue;
			c->result = json_pack("{s:b, s:o, s:b}", "available", is_free,
					      "availableIPAddresses",
					      is_free ? json_array() : suggest(c->s, id, &v[k], &a),
					      "isPlatformReserved", verdict == SPACE_RESERVED);
			return 0;
		}
	}
	return arm_refuse_at(c->s->error, 400, "PrivateIPAddressNotInAnySubnet", "ipAddress",
			     "%s is in no subnet of virtual network %s.", text, c->r->name);
}

static size_t
configs_in(struct arm_snapshot *s, const char *subnet)
{
	struct arm_referrer *refs;

	return arm_referrers(s, subnet, false, REF_SUBNET, &refs);
}

/* GET {vnet}/usages */
static int
usages(struct arm_call *c)
{
	json_t *list = json_array(), *subnet;
	size_t i;

	json_array_foreach(collection_of(c->r->body, "subnets"), i, subnet) {
		const char *id = arena_printf(c->s->arena, "%s/subnets/%s", c->r->id,
					      arm_str(subnet, "name", ""));
		struct prefix *v;
		uint64_t limit = 0;

		for (size_t k = 0, n = subnet_prefixes(c->s->arena, subnet, &v); k < n; k++)
			limit += v[k].addr.family == NET_V4 ? space_size(&v[k]) : 0;
		json_array_append_new(
			list, json_pack("{s:s, s:I, s:I, s:s, s:{s:s, s:s}}", "id", id,
					"currentValue", (json_int_t)configs_in(c->s, id), "limit",
					(json_int_t)limit, "unit", "Count", "name", "value",
					"SubnetSpace", "localizedValue", "Subnet size and usage"));
	}
	c->result = json_pack("{s:o}", "value", list);
	return 0;
}

/* POST {vnet}/ddosProtectionStatus: the public addresses of what is in the virtual network; none is
 * protected by a plan. */
static int
ddos_status(struct arm_call *c)
{
	json_t *list = json_array(), *config;
	struct arm_referrer *refs;
	size_t n = arm_referrers(c->s, c->r->fold, true, REF_SUBNET, &refs), k;

	for (size_t i = 0; i < n; i++) {
		const struct arm_resource *r = arm_get(c->s, refs[i].owner);

		if (!r || (i && text_equal(refs[i].owner, refs[i - 1].owner)))
			continue;
		json_array_foreach(collection_of(r->body, "ipConfigurations"), k, config) {
			const char *ip = arm_ref(config, "properties.publicIPAddress");
			const struct arm_resource *a = ip ? arm_get(c->s, ip) : NULL;

			if (a)
				json_array_append_new(
					list,
					json_pack("{s:s, s:s, s:s}", "publicIpAddressId", a->id,
						  "publicIpAddress",
						  arm_str(a->body, "properties.ipAddress", ""),
						  "isWorkloadProtected", "False"));
		}
	}
	c->result = json_pack("{s:o}", "value", list);
	return 0;
}

const struct arm_action vnet_actions[] = {
	{ .name = "CheckIPAddressAvailability",
	  .method = ARM_GET,
	  .action = "Microsoft.Network/virtualNetworks/CheckIPAddressAvailability/read",
	  .run = availability },
	{ .name = "usages", .method = ARM_GET, .run = usages },
	{ .name = "ddosProtectionStatus", .method = ARM_POST, .run = ddos_status },
	{ 0 },
};
