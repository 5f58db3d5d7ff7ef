/* Numbers that could be mistaken for one another get types of their own: AS numbers, VLAN ids,
 * fabric numbers and keys, route distinguishers, route targets, communities.
 *
 * Fabric numbers (VNets and domains share one space of 20 bits, cloud-wide, 1..0xfffff) are
 * allocated by the controller or a static config and stable over restarts.
 *
 * A GRE key (RFC 2890) is number << 12 | local-only << 11 | generation. It names the table at the
 * *receiver*: towards a host the VNet, towards an edge the domain. The receiver indexes by number
 * and compares the full key, so a stale generation never hits a re-used number. The local-only bit
 * marks repaired traffic between the edges of a pair: the receiver uses its own customer paths or
 * drops. */
#pragma once

#include "base/err.h"

struct asn {
	uint32_t v; /* 4-byte AS number (RFC 6793); 0 is none */
};
enum { ASN_TRANS = 23456 }; /* RFC 6793 */

struct vlan {
	uint16_t v; /* 1..4094; 0 is none */
};

struct fabric_number {
	uint32_t v; /* 1..FABRIC_NUMBER_MAX; 0 is none */
};
#define FABRIC_NUMBER_BITS 20
#define FABRIC_NUMBER_MAX ((1u << FABRIC_NUMBER_BITS) - 1)
#define FABRIC_KEY_LOCAL_ONLY (1u << 11)
#define FABRIC_GENERATION_MAX 0x7ffu

struct fabric_key {
	uint32_t v; /* host order */
};

static inline struct fabric_key
fabric_key_make(struct fabric_number n, uint32_t generation)
{
	return (struct fabric_key){ n.v << 12 | (generation & FABRIC_GENERATION_MAX) };
}
static inline struct fabric_number
fabric_key_number(struct fabric_key k)
{
	return (struct fabric_number){ k.v >> 12 };
}
static inline struct fabric_key
fabric_key_local_only(struct fabric_key k)
{
	return (struct fabric_key){ k.v | FABRIC_KEY_LOCAL_ONLY };
}

/* Route distinguisher (RFC 4364 4.2) as its eight bytes in host order. */
struct rd {
	uint64_t v;
};
/* Type 0, admin = the cloud's 2-byte AS; assigned = node << 20 | number: unique per (node, table),
 * so that reflectors keep both edges' paths. node is 1..4095. */
struct rd rd_make(uint16_t as, uint16_t node, struct fabric_number n);
#define RD_TEXT 32
const char *rd_format(struct rd rd, char out[RD_TEXT]);

/* Extended community (RFC 4360) as its eight bytes in host order; a route target is one of them. */
struct ext_community {
	uint64_t v;
};
/* Type 0x00 subtype 0x02 as:number. One RT exists per domain and per VNet. */
struct ext_community rt_make(uint16_t as, struct fabric_number n);
bool ext_community_is_rt(struct ext_community c);
#define EXT_COMMUNITY_TEXT 40
/* "rt:65000:123"; other kinds as "0x0123456789abcdef". */
const char *ext_community_format(struct ext_community c, char out[EXT_COMMUNITY_TEXT]);
/* "65000:123" or "rt:65000:123". */
int rt_parse(const char *text, struct ext_community *ret, struct err *e);
