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

/* ---- address plans ---- */

/* An IPv4 prefix for a VNet: /2 to /29, unicast. */
int rule_vnet_prefix(const char *text, struct prefix *ret, struct err *e);
/* NULL, or the first of the list that covers p. */
const struct prefix *prefix_find_cover(const struct prefix *list, size_t n, const struct prefix *p);
/* NULL, or the first of the list that overlaps p. */
const struct prefix *prefix_find_overlap(const struct prefix *list, size_t n,
					 const struct prefix *p);

/* The addresses of a subnet that a NIC may have: without the first four and the last. As host
 * order numbers; first > last when there are none. */
struct host_range {
	uint32_t first, last;
};
struct host_range subnet_host_range(const struct prefix *subnet);
enum address_verdict { ADDRESS_FINE, ADDRESS_OUTSIDE, ADDRESS_RESERVED };
enum address_verdict subnet_address_verdict(const struct prefix *subnet, const struct addr *a);

/* A NIC's MAC from its number (1..2^24-1): locally administered, unique. */
struct mac nic_mac(uint32_t number);
