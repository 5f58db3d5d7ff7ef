/* Addresses are claimed as decimal numbers in a space of their subnet's own, so the same search
 * that finds free numbers finds free addresses, and two NICs can never have the same. */
#include "network/address.h"

#include <inttypes.h>

#define ADDRESS "properties.privateIPAddress"

static const char *
space_of(struct arm_plan *p, const char *subnet)
{
	return arena_printf(p->s->arena, "address:%s", arm_id_fold(p->s->arena, subnet));
}

static const char *
number_text(struct arm_plan *p, const struct addr *a)
{
	return arena_printf(p->s->arena, "%" PRIu32, addr_u32(a));
}

static int
subnet_read(struct arm_plan *p, const char *subnet, struct prefix *ret)
{
	json_t *element = arm_get_element(p->s, subnet, NULL);
	const char *text = arm_str(element, "properties.addressPrefix", NULL);
	struct err e;

	if (!text || rule_vnet_prefix(text, ret, &e) < 0)
		return arm_refuse_at(p->s->error, 400, "InvalidResourceReference",
				     "properties.ipConfigurations.properties.subnet",
				     "There is no subnet %s.", subnet);
	return 0;
}

static int
address_claim(struct arm_plan *p, const char *subnet, const struct prefix *prefix, const char *text)
{
	struct arm_error *error = p->s->error;
	struct addr a;
	struct err e;

	if (addr_parse(text, &a, &e) < 0 || a.family != NET_V4)
		return arm_refuse_at(error, 400, "InvalidIPAddressFormat", ADDRESS,
				     "'%s' is not an IPv4 address.", text);
	switch (subnet_address_verdict(prefix, &a)) {
	case ADDRESS_OUTSIDE:
		return arm_refuse_at(error, 400, "PrivateIPAddressNotInSubnet", ADDRESS,
				     "%s is not in subnet %s.", text, subnet);
	case ADDRESS_RESERVED:
		return arm_refuse_at(error, 400, "PrivateIPAddressInReservedRange", ADDRESS,
				     "%s is one of the five reserved addresses of subnet %s.", text,
				     subnet);
	case ADDRESS_FINE:
		break;
	}
	if (arm_claim(p, NULL, space_of(p, subnet), number_text(p, &a), NULL) < 0)
		return arm_refuse_at(error, 400, "PrivateIPAddressInUse", ADDRESS,
				     "%s is in use by %s.", text,
				     claim_holder(p->s, space_of(p, subnet), number_text(p, &a)));
	return 0;
}

static int
address_find(struct arm_plan *p, const char *subnet, const struct prefix *prefix, json_t *want)
{
	struct host_range r = subnet_host_range(prefix);
	char text[ADDR_TEXT];
	uint64_t number;

	if (r.first > r.last ||
	    arm_claim_number(p, NULL, space_of(p, subnet), r.first, r.last, &number) < 0)
		return arm_refuse(p->s->error, 400, "SubnetIsFull",
				  "Subnet %s has no free address.", subnet);
	struct addr a = addr_v4((uint32_t)number);

	arm_set(want, ADDRESS, json_string(addr_format(&a, text)));
	return 0;
}

int
address_give(struct arm_plan *p, const json_t *have, json_t *want)
{
	const char *subnet = arm_ref(want, "properties.subnet");
	const char *before = have ? arm_ref(have, "properties.subnet") : NULL;
	const char *old = have ? arm_str(have, ADDRESS, NULL) : NULL;
	bool is_static =
		text_equal(arm_str(want, "properties.privateIPAllocationMethod", ""), "Static");
	const char *wish = arm_str(want, ADDRESS, NULL);
	struct prefix prefix;
	int r = subnet ? subnet_read(p, subnet, &prefix)
		       : arm_refuse_at(p->s->error, 400, "SubnetIsRequired",
				       "properties.ipConfigurations.properties.subnet",
				       "An IP configuration needs a subnet.");

	if (r < 0)
		return r;
	bool is_same_subnet = before && arm_id_equal(before, subnet);

	if (old && is_same_subnet && (!is_static || text_equal(wish, old))) {
		arm_set(want, ADDRESS, json_string(old));
		return 0;
	}
	if (is_static && !wish)
		return arm_refuse_at(p->s->error, 400, "PrivateIPAddressRequired", ADDRESS,
				     "Static allocation needs a privateIPAddress.");
	r = is_static ? address_claim(p, subnet, &prefix, wish)
		      : address_find(p, subnet, &prefix, want);
	if (r == 0 && have)
		address_drop(p, have);
	return r;
}

void
address_drop(struct arm_plan *p, const json_t *have)
{
	const char *subnet = arm_ref(have, "properties.subnet");
	const char *text = arm_str(have, ADDRESS, NULL);
	struct addr a;
	struct err e;

	if (subnet && text && addr_parse(text, &a, &e) == 0)
		arm_unclaim(p, space_of(p, subnet), number_text(p, &a));
}
