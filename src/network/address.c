/* Addresses are claimed as decimal numbers in a space of their subnet's own, so the same search
 * that finds free numbers finds free addresses, and two NICs can never have the same. */
#include "network/address.h"

#include "network/vnet.h"

#include <inttypes.h>

#define ADDRESS "properties.privateIPAddress"
#define SUBNET "properties.ipConfigurations.properties.subnet"

/* One claim space a subnet and family. */
static const char *
space_of(struct arena *a, const char *subnet, unsigned family)
{
	return arena_printf(a, family == NET_V6 ? "address6:%s" : "address:%s",
			    arm_id_fold(a, subnet));
}

static const char *
number_text(struct arena *a, uint64_t number)
{
	return arena_printf(a, "%" PRIu64, number);
}

const char *
address_owner(struct arm_snapshot *s, const char *subnet, const struct addr *a)
{
	return arm_claim_owner(s, space_of(s->arena, subnet, a->family),
			       number_text(s->arena, space_number(a)));
}

static unsigned
family_of(const json_t *config)
{
	return text_equal(arm_str(config, "properties.privateIPAddressVersion", ""), "IPv6")
		       ? NET_V6
		       : NET_V4;
}

static int
address_claim(struct arm_plan *p, const char *subnet, const struct prefix *v, size_t n,
	      const char *text, unsigned family)
{
	struct arm_error *error = p->s->error;
	enum space_verdict verdict = SPACE_OUTSIDE;
	struct addr a;
	struct err e;

	if (addr_parse(text, &a, &e) < 0 || a.family != family)
		return arm_refuse_at(error, 400, "InvalidIPAddressFormat", ADDRESS,
				     "'%s' is not an IPv%u address.", text, family);
	for (size_t i = 0; i < n && verdict == SPACE_OUTSIDE; i++)
		verdict = space_verdict(&v[i], &a);
	if (verdict == SPACE_OUTSIDE)
		return arm_refuse_at(error, 400, "PrivateIPAddressNotInSubnet", ADDRESS,
				     "%s is not in subnet %s.", text, subnet);
	if (verdict == SPACE_RESERVED)
		return arm_refuse_at(error, 400, "PrivateIPAddressInReservedRange", ADDRESS,
				     "%s is one of the five reserved addresses of subnet %s.", text,
				     subnet);
	const char *space = space_of(p->s->arena, subnet, family);
	const char *number = number_text(p->s->arena, space_number(&a));

	/* The aggregate's own other configuration counts too. */
	if (arm_claim_owner(p->s, space, number) || arm_claim(p, NULL, space, number, NULL) < 0)
		return arm_refuse_at(error, 400, "PrivateIPAddressInUse", ADDRESS,
				     "%s is in use by %s.", text,
				     claim_holder(p->s, space, number));
	return 0;
}

static int
address_find(struct arm_plan *p, const char *subnet, const struct prefix *v, size_t n, json_t *want,
	     unsigned family)
{
	const char *space = space_of(p->s->arena, subnet, family);
	bool has_family = false;
	char text[ADDR_TEXT];

	for (size_t i = 0; i < n; i++) {
		struct space_range r = space_range(&v[i]);
		uint64_t number;

		if (v[i].addr.family != family)
			continue;
		has_family = true;
		if (r.first > r.last ||
		    arm_claim_number(p, NULL, space, r.first, r.last_found, &number) < 0)
			continue;
		struct addr a = space_address(&v[i], number);

		arm_set(want, ADDRESS, json_string(addr_format(&a, text)));
		return 0;
	}
	if (!has_family)
		return arm_refuse_at(p->s->error, 400, "InvalidIPAddressVersion",
				     "properties.ipConfigurations.properties."
				     "privateIPAddressVersion",
				     "Subnet %s has no IPv%u prefix.", subnet, family);
	return arm_refuse(p->s->error, 400, "SubnetIsFull", "Subnet %s has no free address.",
			  subnet);
}

int
address_give(struct arm_plan *p, const json_t *have, json_t *want)
{
	const char *subnet = arm_ref(want, "properties.subnet");
	const char *before = have ? arm_ref(have, "properties.subnet") : NULL;
	const char *old = have ? arm_str(have, ADDRESS, NULL) : NULL;
	bool is_static =
		text_equal(arm_str(want, "properties.privateIPAllocationMethod", ""), "Static");
	const char *wish = arm_str(want, ADDRESS, "");
	unsigned family = family_of(want);
	struct prefix *v;

	if (!subnet)
		return arm_refuse_at(p->s->error, 400, "SubnetIsRequired", SUBNET,
				     "An IP configuration needs a subnet.");
	const json_t *element = arm_get_element(p->s, subnet, NULL);
	size_t n = element ? subnet_prefixes(p->s->arena, element, &v) : 0;

	if (!n)
		return arm_refuse_at(p->s->error, 400, "InvalidResourceReference", SUBNET,
				     "There is no subnet %s.", subnet);
	bool is_same_place = before && arm_id_equal(before, subnet) && family_of(have) == family;

	if (old && is_same_place && (!is_static || text_equal(wish, old))) {
		arm_set(want, ADDRESS, json_string(old));
		return 0;
	}
	if (is_static && !*wish)
		return arm_refuse_at(p->s->error, 400, "PrivateIPAddressRequired", ADDRESS,
				     "Static allocation needs a privateIPAddress.");
	int r = is_static ? address_claim(p, subnet, v, n, wish, family)
			  : address_find(p, subnet, v, n, want, family);

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
		arm_unclaim(p, space_of(p->s->arena, subnet, a.family),
			    number_text(p->s->arena, space_number(&a)));
}

static json_t *
config_named(const json_t *configs, const char *name)
{
	json_t *c;
	size_t i;

	json_array_foreach(configs, i, c)
		if (text_equal(arm_str(c, "name", NULL), name))
			return c;
	return NULL;
}

int
addresses_settle(struct arm_plan *p, const json_t *have, json_t *want)
{
	json_t *c;
	size_t i;

	/* First what goes, so that its addresses can be had. */
	json_array_foreach(have, i, c)
		if (!config_named(want, arm_str(c, "name", "")))
			address_drop(p, c);
	json_array_foreach(want, i, c) {
		int r = address_give(p, config_named(have, arm_str(c, "name", "")), c);

		if (r < 0)
			return r;
	}
	return 0;
}
