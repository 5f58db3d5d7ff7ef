/* The rules of rules.h. Sources: the service's public documentation; figures come from the
 * catalogue. */
#include "network/rules.h"
#include "network/space.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>

/* ---- peerings ---- */

int
rule_link_prefix(const char *text, struct link_addresses *ret, struct err *e)
{
	struct prefix p;
	struct err why;

	if (prefix_parse(text, &p, &why) < 0)
		return err_set(e, -EINVAL, "'%s' is not a subnet: %s", text, why.text);
	if (p.addr.family != NET_V4 || p.len != 30)
		return err_set(e, -EINVAL, "'%s' is not an IPv4 /30", text);
	if (!space_is_unicast(&p))
		return err_set(e, -EINVAL, "'%s' is not in the range of unicast addresses", text);
	ret->prefix = p;
	ret->customer = prefix_nth(&p, 1);
	ret->edge = prefix_nth(&p, 2);
	return 0;
}

int
rule_link_prefix6(const char *text, struct link_addresses *ret, struct err *e)
{
	struct prefix p;
	struct err why;

	if (prefix_parse(text, &p, &why) < 0)
		return err_set(e, -EINVAL, "'%s' is not a subnet: %s", text, why.text);
	if (p.addr.family != NET_V6 || p.len != 126)
		return err_set(e, -EINVAL, "'%s' is not an IPv6 /126", text);
	if (!space_is_unicast(&p))
		return err_set(e, -EINVAL, "'%s' is not in the range of unicast addresses", text);
	ret->prefix = p;
	ret->customer = prefix_nth(&p, 1);
	ret->edge = prefix_nth(&p, 2);
	return 0;
}

int
rule_public_prefix(const struct prefix *p, struct err *e)
{
	static const struct prefix private[] = {
		{ { NET_V4, { 10 } }, 8 },        { { NET_V4, { 172, 16 } }, 12 },
		{ { NET_V4, { 192, 168 } }, 16 }, { { NET_V4, { 100, 64 } }, 10 },
		{ { NET_V6, { 0xfc } }, 7 },
	};
	char text[PREFIX_TEXT];

	if (prefix_find_overlap(private, COUNT(private), p))
		return err_set(e, -EINVAL, "'%s' is private; this peering needs public addresses",
			       prefix_format(p, text));
	return 0;
}

int
rule_advertised_prefix(const char *text, struct prefix *ret, struct err *e)
{
	struct err why;

	if (prefix_parse(text, ret, &why) < 0)
		return err_set(e, -EINVAL, "'%s' is not a prefix: %s", text, why.text);
	if (!ret->len || !space_is_unicast(ret))
		return err_set(e, -EINVAL, "'%s' holds addresses that are not unicast", text);
	return rule_public_prefix(ret, e);
}

int
rule_reach_prefix(const char *text, uint8_t family, struct prefix *ret, struct err *e)
{
	unsigned len = family == NET_V4 ? 29 : 125;
	struct err why;

	if (prefix_parse(text, ret, &why) < 0)
		return err_set(e, -EINVAL, "'%s' is not a subnet: %s", text, why.text);
	if (ret->addr.family != family || ret->len != len)
		return err_set(e, -EINVAL, "'%s' is not an IPv%u /%u", text, family, len);
	if (!space_is_unicast(ret))
		return err_set(e, -EINVAL, "'%s' is not in the range of unicast addresses", text);
	return 0;
}

int
rule_community(const struct catalogue_limits *l, const char *text, uint32_t *ret, struct err *e)
{
	char *end;
	unsigned long as, value = 0;

	errno = 0;
	as = isdigit((unsigned char)*text) ? strtoul(text, &end, 10) : 0;
	if (as && *end == ':' && isdigit((unsigned char)end[1]))
		value = strtoul(end + 1, &end, 10);
	if (!as || !value || errno || *end || value > UINT16_MAX)
		return err_set(e, -EINVAL,
			       "'%s' is not a community ASN:VALUE of two 16-bit numbers", text);
	if (as != l->cloud_asn)
		return err_set(e, -EINVAL,
			       "'%s' is not a community of the cloud (%u:VALUE); see "
			       "bgpServiceCommunities",
			       text, l->cloud_asn);
	*ret = (uint32_t)value;
	return 0;
}

int
rule_registry(const char *name, struct err *e)
{
	static const char *const known[] = { "NONE",    "ARIN", "APNIC", "AFRINIC", "LACNIC",
					     "RIPENCC", "RADB", "ALTDB", "LEVEL3" };

	for (size_t i = 0; i < COUNT(known); i++)
		if (!strcasecmp(name, known[i]))
			return 0;
	return err_set(
		e, -EINVAL,
		"must be ARIN, APNIC, AFRINIC, LACNIC, RIPENCC, RADB, ALTDB, LEVEL3 or NONE");
}

int
rule_split_29(const char *text, struct prefix ret[2], struct err *e)
{
	struct prefix p;
	struct err why;

	if (prefix_parse(text, &p, &why) < 0)
		return err_set(e, -EINVAL, "'%s' is not a subnet: %s", text, why.text);
	if (p.addr.family != NET_V4 || p.len != 29)
		return err_set(e, -EINVAL, "'%s' is not an IPv4 /29", text);
	for (unsigned i = 0; i < 2; i++) {
		struct addr a = prefix_nth(&p, i * 4);

		ret[i] = prefix_make(&a, 30);
	}
	return 0;
}

int
rule_peer_asn(const struct catalogue_limits *l, int64_t asn, struct err *e)
{
	if (asn < 1 || asn > UINT32_MAX)
		return err_set(e, -EINVAL, "%" PRId64 " is not an AS number (1 to 4294967295)",
			       asn);
	for (size_t i = 0; i < l->n_reserved_asns; i++) {
		const struct catalogue_asn_range *r = &l->reserved_asns[i];

		if (asn >= r->first && asn <= r->last)
			return err_set(e, -EINVAL,
				       "AS number %" PRId64
				       " is reserved and cannot be a customer's",
				       asn);
	}
	return 0;
}

int
rule_shared_key(const char *key, struct err *e)
{
	size_t n = strlen(key);

	if (n > RULE_SHARED_KEY_MAX)
		return err_set(e, -EINVAL, "must have at most %d characters", RULE_SHARED_KEY_MAX);
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)key[i]) || (unsigned char)key[i] > 127)
			return err_set(e, -EINVAL, "must have only letters and digits");
	return 0;
}

/* ---- circuits ---- */

static const char *const tier_names[] = { "Local", "Standard", "Premium", "?" };
static const char *const family_names[] = { "MeteredData", "UnlimitedData", "?" };

struct sku
sku_parse(const char *tier, const char *family)
{
	struct sku s = { TIER_NONE, FAMILY_NONE };

	for (int i = 0; tier && i < TIER_NONE; i++)
		if (!strcasecmp(tier, tier_names[i]))
			s.tier = (enum sku_tier)i;
	for (int i = 0; family && i < FAMILY_NONE; i++)
		if (!strcasecmp(family, family_names[i]))
			s.family = (enum sku_family)i;
	return s;
}

const char *
sku_tier_name(enum sku_tier t)
{
	return tier_names[t];
}

int
rule_sku_new(const struct catalogue_limits *l, const struct catalogue_location *at, struct sku sku,
	     uint32_t mbps, struct err *e)
{
	if (sku.tier == TIER_NONE || sku.family == FAMILY_NONE)
		return err_set(e, -EINVAL,
			       "The tier is Local, Standard or Premium and the family "
			       "MeteredData or UnlimitedData");
	if (sku.tier != TIER_LOCAL)
		return 0;
	if (sku.family != FAMILY_UNLIMITED)
		return err_set(e, -EINVAL, "The Local tier is sold with UnlimitedData only");
	if (!at->n_local)
		return err_set(e, -EINVAL, "%s has no local region, so no Local tier", at->name);
	if (mbps < l->local_min_mbps)
		return err_set(e, -EINVAL, "The Local tier begins at %u Mbps", l->local_min_mbps);
	return 0;
}

int
rule_sku_change(struct sku from, struct sku to, struct err *e)
{
	if (to.tier == TIER_NONE || to.family == FAMILY_NONE)
		return err_set(e, -EINVAL,
			       "The tier is Local, Standard or Premium and the family "
			       "MeteredData or UnlimitedData");
	if (to.tier == TIER_LOCAL && from.tier != TIER_LOCAL)
		return err_set(e, -EINVAL, "A circuit cannot become Local; make a new one");
	if (from.family == FAMILY_UNLIMITED && to.family == FAMILY_METERED)
		return err_set(e, -EINVAL,
			       "UnlimitedData cannot become MeteredData; make a new "
			       "circuit");
	if (to.tier == TIER_LOCAL && to.family != FAMILY_UNLIMITED)
		return err_set(e, -EINVAL, "The Local tier is sold with UnlimitedData only");
	return 0;
}

int
rule_bandwidth_new(const struct catalogue_provider *p, const struct catalogue_offer *o,
		   int64_t mbps, struct err *e)
{
	char list[256] = "", name[16];
	size_t n = 0;

	for (size_t i = 0; i < o->n_mbps; i++) {
		if (o->mbps[i] == mbps)
			return 0;
		if (n < sizeof(list) - 20)
			n += (size_t)snprintf(list + n, sizeof(list) - n, "%s%s", i ? ", " : "",
					      catalogue_bandwidth_name(o->mbps[i], name));
	}
	return err_set(e, -EINVAL, "%s does not offer %" PRId64 " Mbps at %s; it offers %s",
		       p->name, mbps, o->location->name, list);
}

int
rule_bandwidth_change(uint32_t from, int64_t to, struct err *e)
{
	if (to < from)
		return err_set(e, -EINVAL,
			       "The bandwidth of a circuit grows only: %u Mbps cannot become "
			       "%" PRId64 " Mbps without interruption; make a new circuit",
			       from, to);
	return 0;
}

uint32_t
rule_max_links(const struct catalogue_limits *l, enum sku_tier t, uint32_t mbps)
{
	uint32_t max = l->links_standard;

	if (t != TIER_PREMIUM)
		return max;
	for (size_t i = 0; i < l->n_links_premium; i++) {
		max = l->links_premium[i].links;
		if (mbps <= l->links_premium[i].mbps)
			break;
	}
	return max;
}

uint32_t
rule_max_routes(const struct catalogue_limits *l, enum sku_tier t)
{
	return t == TIER_PREMIUM ? l->routes_premium : l->routes_standard;
}

int
rule_reach(enum sku_tier t, const struct catalogue_location *from,
	   const struct catalogue_region *to, struct err *e)
{
	if (from->geo->cloud != to->geo->cloud)
		return err_set(
			e, -EINVAL,
			"%s is in the cloud %s and %s in %s: no circuit reaches from one into "
			"another",
			from->name, from->geo->cloud->name, to->display, to->geo->cloud->name);
	if (t == TIER_PREMIUM)
		return 0;
	if (t == TIER_STANDARD) {
		if (from->geo == to->geo)
			return 0;
		return err_set(e, -EINVAL,
			       "A Standard circuit at %s reaches %s; %s is in %s and needs Premium",
			       from->name, from->geo->name, to->display, to->geo->name);
	}
	for (size_t i = 0; i < from->n_local; i++)
		if (from->local[i] == to)
			return 0;
	return err_set(e, -EINVAL, "A Local circuit at %s does not reach %s", from->name,
		       to->display);
}

int
rule_global_reach(enum sku_tier a, const struct catalogue_location *at_a, enum sku_tier b,
		  const struct catalogue_location *at_b, struct err *e)
{
	if (at_a == at_b)
		return err_set(e, -EINVAL,
			       "Both circuits are at %s; Global Reach joins circuits of different "
			       "peering locations",
			       at_a->name);
	if (at_a->geo->cloud != at_b->geo->cloud)
		return err_set(e, -EINVAL, "%s and %s are in different clouds (%s, %s)", at_a->name,
			       at_b->name, at_a->geo->cloud->name, at_b->geo->cloud->name);
	if (a == TIER_LOCAL || b == TIER_LOCAL)
		return err_set(e, -EINVAL, "A Local circuit has no Global Reach");
	if (at_a->geo != at_b->geo && (a != TIER_PREMIUM || b != TIER_PREMIUM))
		return err_set(e, -EINVAL,
			       "%s is in %s and %s in %s: from one geopolitical region to another "
			       "both circuits need Premium",
			       at_a->name, at_a->geo->name, at_b->name, at_b->geo->name);
	return 0;
}

int
rule_direct_bandwidth(const struct catalogue_limits *l, uint32_t port_gbps, int64_t mbps,
		      struct err *e)
{
	char list[128] = "", name[16];
	size_t n = 0;

	for (size_t i = 0; i < l->n_direct_circuits; i++) {
		const struct catalogue_direct_circuit *d = &l->direct_circuits[i];

		if (d->port_gbps != port_gbps)
			continue;
		if (d->mbps == mbps)
			return 0;
		if (n < sizeof(list) - 20)
			n += (size_t)snprintf(list + n, sizeof(list) - n, "%s%s", n ? ", " : "",
					      catalogue_bandwidth_name(d->mbps, name));
	}
	return err_set(e, -EINVAL,
		       "%" PRId64
		       " Mbps is no size of a circuit on a port pair of %u Gbps; there is "
		       "%s",
		       mbps, port_gbps, *list ? list : "none");
}

/* ---- the provider's state ---- */

const char *const provider_state_names[] = { "NotProvisioned", "Provisioning", "Provisioned",
					     "Deprovisioning", NULL };

enum provider_state
provider_state_parse(const char *s)
{
	int i = 0;

	while (s && i < PROVIDER_STATES && strcasecmp(s, provider_state_names[i]) != 0)
		i++;
	return s ? (enum provider_state)i : PROVIDER_STATES;
}

int
rule_provider_state(enum provider_state from, enum provider_state to, struct err *e)
{
	/* clang-format off */
	static const bool is_legal[PROVIDER_STATES][PROVIDER_STATES] = {
		/* to:                 NotProv. Provisioning Provisioned Deprovisioning */
		[PROVIDER_NOT_PROVISIONED] = { true,  true,  true,  false },
		[PROVIDER_PROVISIONING]    = { true,  true,  true,  false },
		[PROVIDER_PROVISIONED]     = { true,  false, true,  true  },
		[PROVIDER_DEPROVISIONING]  = { true,  false, true,  true  },
	};
	/* clang-format on */

	if (from >= PROVIDER_STATES || to >= PROVIDER_STATES)
		return err_set(e, -EINVAL, "Unknown provider state");
	if (!is_legal[from][to])
		return err_set(e, -EINVAL, "%s cannot become %s", provider_state_names[from],
			       provider_state_names[to]);
	return 0;
}

int
rule_circuit_act(enum circuit_act act, enum provider_state state, enum provider_state *ret_needs,
		 struct err *e)
{
	static const char *const what[CIRCUIT_ACTS] = {
		[CIRCUIT_PEER] = "a peering is not written",
		[CIRCUIT_PEER_PROVIDER] = "a peering is not written",
		[CIRCUIT_LINK] = "nothing can be joined to it",
		[CIRCUIT_AUTHORIZE] = "no authorization is made",
		[CIRCUIT_CHANGE] = "tier, family and bandwidth do not change",
		[CIRCUIT_DELETE] = "it is not deleted",
	};
	/* A peering written early is held until the provider is ready. */
	/* clang-format off */
	static const bool may[CIRCUIT_ACTS][PROVIDER_STATES] = {
		/*                          NotProv. Provisioning Provisioned Deprovisioning */
		[CIRCUIT_PEER]          = { true,  true,  true,  false },
		[CIRCUIT_PEER_PROVIDER] = { true,  true,  true,  false },
		[CIRCUIT_LINK]          = { false, false, true,  false },
		[CIRCUIT_AUTHORIZE]     = { true,  true,  true,  false },
		[CIRCUIT_CHANGE]        = { true,  false, true,  false },
		[CIRCUIT_DELETE]        = { true,  false, false, false },
	};
	/* clang-format on */

	*ret_needs = may[act][PROVIDER_PROVISIONED] && state != PROVIDER_DEPROVISIONING
			     ? PROVIDER_PROVISIONED
			     : PROVIDER_NOT_PROVISIONED;
	if (act == CIRCUIT_LINK)
		*ret_needs = PROVIDER_PROVISIONED;
	if (may[act][state])
		return 0;
	return err_set(e, -EINVAL, "While the service provider has the circuit in state %s, %s",
		       provider_state_names[state], what[act]);
}

/* ---- address plans ---- */

const struct prefix *
prefix_find_cover(const struct prefix *list, size_t n, const struct prefix *p)
{
	for (size_t i = 0; i < n; i++)
		if (prefix_covers(&list[i], p))
			return &list[i];
	return NULL;
}

const struct prefix *
prefix_find_overlap(const struct prefix *list, size_t n, const struct prefix *p)
{
	for (size_t i = 0; i < n; i++)
		if (prefix_overlaps(&list[i], p))
			return &list[i];
	return NULL;
}

struct mac
nic_mac(uint32_t number)
{
	return (struct mac){ { 0x02, 0x57, 0x4c, (uint8_t)(number >> 16), (uint8_t)(number >> 8),
			       (uint8_t)number } };
}
