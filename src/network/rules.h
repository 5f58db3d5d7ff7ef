/* What is allowed: the rules of circuits, peerings, address plans and connections as functions of
 * values alone. They know nothing of resources or requests. A broken rule comes back as -EINVAL
 * with a text for people that names the value and the rule; the caller adds code and status. */
#pragma once

#include "net/addr.h"
#include "net/ids.h"
#include "network/catalogue.h"

/* ---- peerings ---- */

/* "172.16.0.0/30": an IPv4 /30 of unicast addresses. The customer has the first usable address,
 * the edge the second. */
struct link_addresses {
	struct prefix prefix;
	struct addr customer, edge;
};
int rule_link_prefix(const char *text, struct link_addresses *ret, struct err *e);
/* The same for IPv6: "2001:db8::/126". */
int rule_link_prefix6(const char *text, struct link_addresses *ret, struct err *e);
/* What the cloud's public services see must not be private: RFC 1918, RFC 6598, RFC 4193.
 * Documentation prefixes count as public. */
int rule_public_prefix(const struct prefix *p, struct err *e);
/* A prefix a customer announces on Microsoft or public peering. */
int rule_advertised_prefix(const char *text, struct prefix *ret, struct err *e);
/* The subnet of a Global Reach connection: a unicast IPv4 /29, an IPv6 /125. */
int rule_reach_prefix(const char *text, uint8_t family, struct prefix *ret, struct err *e);
/* "12076:5010": of the cloud's own AS number. */
int rule_community(const struct catalogue_limits *l, const char *text, uint32_t *ret,
		   struct err *e);
/* One of the internet routing registries, or NONE. */
int rule_registry(const char *name, struct err *e);
/* A /29 as its two /30s: primary, secondary. */
int rule_split_29(const char *text, struct prefix ret[2], struct err *e);
int rule_peer_asn(const struct catalogue_limits *l, int64_t asn, struct err *e);
/* 1 to 25 letters and digits; the empty key means none and is fine. */
int rule_shared_key(const char *key, struct err *e);
enum { RULE_VLAN_MIN = 1, RULE_VLAN_MAX = 4094, RULE_SHARED_KEY_MAX = 25 };

/* ---- circuits ---- */

enum sku_tier { TIER_LOCAL, TIER_STANDARD, TIER_PREMIUM, TIER_NONE };
enum sku_family { FAMILY_METERED, FAMILY_UNLIMITED, FAMILY_NONE };
struct sku {
	enum sku_tier tier;
	enum sku_family family;
};
struct sku sku_parse(const char *tier, const char *family);
const char *sku_tier_name(enum sku_tier t);

/* May a new circuit be this? Local is unlimited only, of a least size, and only where a location
 * has a local region. */
int rule_sku_new(const struct catalogue_limits *l, const struct catalogue_location *at,
		 struct sku sku, uint32_t mbps, struct err *e);
/* Standard and Premium change both ways, MeteredData to UnlimitedData only, nothing to Local. */
int rule_sku_change(struct sku from, struct sku to, struct err *e);
/* Must be offered there. */
int rule_bandwidth_new(const struct catalogue_provider *p, const struct catalogue_offer *o,
		       int64_t mbps, struct err *e);
/* Grows only. */
int rule_bandwidth_change(uint32_t from, int64_t to, struct err *e);
/* How many VNets and peers a circuit may be linked to. */
uint32_t rule_max_links(const struct catalogue_limits *l, enum sku_tier t, uint32_t mbps);
uint32_t rule_max_routes(const struct catalogue_limits *l, enum sku_tier t);
/* May a circuit of this tier and place reach a VNet in this region? */
int rule_reach(enum sku_tier t, const struct catalogue_location *from,
	       const struct catalogue_region *to, struct err *e);

/* May two circuits be joined (Global Reach)? At different locations of one cloud, not Local; both
 * Premium when their geopolitical regions differ. */
int rule_global_reach(enum sku_tier a, const struct catalogue_location *at_a, enum sku_tier b,
		      const struct catalogue_location *at_b, struct err *e);
/* A circuit on a direct port pair of port_gbps: one of the sizes cut from it. */
int rule_direct_bandwidth(const struct catalogue_limits *l, uint32_t port_gbps, int64_t mbps,
			  struct err *e);

/* ---- the provider's state ---- */

enum provider_state {
	PROVIDER_NOT_PROVISIONED,
	PROVIDER_PROVISIONING,
	PROVIDER_PROVISIONED,
	PROVIDER_DEPROVISIONING,
	PROVIDER_STATES
};
/* NULL-terminated, in the order of the enum. */
extern const char *const provider_state_names[];
enum provider_state provider_state_parse(const char *s); /* PROVIDER_STATES: unknown */
int rule_provider_state(enum provider_state from, enum provider_state to, struct err *e);

/* What a party does with a circuit. */
enum circuit_act {
	CIRCUIT_PEER,          /* the customer writes a peering */
	CIRCUIT_PEER_PROVIDER, /* the provider does */
	CIRCUIT_LINK,          /* a VNet or another circuit is joined */
	CIRCUIT_AUTHORIZE,     /* an authorization is made */
	CIRCUIT_CHANGE,        /* tier, family, bandwidth */
	CIRCUIT_DELETE,
	CIRCUIT_ACTS
};
/* May that be done in this provider state? *ret_needs: the state in which it may (the next one on
 * the usual way). */
int rule_circuit_act(enum circuit_act act, enum provider_state state,
		     enum provider_state *ret_needs, struct err *e);

/* ---- address plans ---- */

/* NULL, or the first of the list that covers p. */
const struct prefix *prefix_find_cover(const struct prefix *list, size_t n, const struct prefix *p);
/* NULL, or the first of the list that overlaps p. */
const struct prefix *prefix_find_overlap(const struct prefix *list, size_t n,
					 const struct prefix *p);

/* A NIC's MAC from its number (1..2^24-1): locally administered, unique. */
struct mac nic_mac(uint32_t number);
