/* Path attributes as interned, immutable, counted values: two routes with equal attributes share
 * one struct, so comparing is comparing pointers and a route costs four bytes for all of them.
 *
 * A pool belongs to one speaker (one thread). Readers outside src/bgp only read: what a query or a
 * hook shows is valid until they return; to keep an attr longer, take a reference. */
#pragma once

#include "net/addr.h"
#include "net/ids.h"

enum bgp_origin { BGP_ORIGIN_IGP, BGP_ORIGIN_EGP, BGP_ORIGIN_INCOMPLETE };

enum bgp_has {
	BGP_HAS_MED = 1 << 0,
	BGP_HAS_LOCAL_PREF = 1 << 1,
	BGP_HAS_ATOMIC = 1 << 2,
	BGP_HAS_AGGREGATOR = 1 << 3,
	BGP_HAS_ORIGINATOR = 1 << 4,
	BGP_HAS_KEY = 1 << 5, /* a GRE tunnel with a key (RFC 9012) */
	BGP_HAS_ORIGIN = 1 << 6,
	BGP_HAS_PATH = 1 << 7,
	BGP_HAS_NEXT_HOP = 1 << 8,
};

/* The values, apart from who owns them: what the parser fills in (pointers borrow the message) and
 * what bgp_attr_intern() takes. Multi-byte elements behind the pointers are in network order, as
 * on the wire. Zeroed = empty. */
struct bgp_draft {
	uint16_t has; /* BGP_HAS_* */
	uint8_t origin;
	struct addr next_hop;
	uint32_t med, local_pref, originator;
	uint32_t aggregator_as, aggregator_id;
	struct fabric_key key;
	const uint8_t *path; /* segments with 4-byte AS numbers: type, count, numbers */
	size_t path_len;
	const uint8_t *communities; /* 4 bytes each */
	size_t n_communities;
	const uint8_t *ext; /* 8 bytes each */
	size_t n_ext;
	const uint8_t *large; /* 12 bytes each */
	size_t n_large;
	const uint8_t *clusters; /* 4 bytes each */
	size_t n_clusters;
	const uint8_t
		*other; /* whole attributes (flags, type, length, value) passed on as they are */
	size_t other_len;
};

struct bgp_attr {
	uint32_t index, refs, hash, chain;
	/* identity: compared as bytes from here to the end of the tail */
	uint32_t med, local_pref, originator; /* host order; 0 where has says no */
	uint32_t aggregator_as, aggregator_id;
	struct fabric_key key;
	uint16_t has, path_len, other_len;
	uint16_t n_communities, n_ext, n_large, n_clusters;
	uint16_t path_hops; /* RFC 4271 9.1.2.2: an AS_SET counts one */
	uint8_t origin;
	struct addr next_hop;
	uint8_t tail[]; /* ext, communities, clusters, large, path, other: network order */
};

static inline const uint8_t *
bgp_attr_ext(const struct bgp_attr *a)
{
	return a->tail;
}
static inline const uint8_t *
bgp_attr_communities(const struct bgp_attr *a)
{
	return a->tail + a->n_ext * 8u;
}
static inline const uint8_t *
bgp_attr_clusters(const struct bgp_attr *a)
{
	return bgp_attr_communities(a) + a->n_communities * 4u;
}
static inline const uint8_t *
bgp_attr_large(const struct bgp_attr *a)
{
	return bgp_attr_clusters(a) + a->n_clusters * 4u;
}
static inline const uint8_t *
bgp_attr_path(const struct bgp_attr *a)
{
	return bgp_attr_large(a) + a->n_large * 12u;
}
static inline const uint8_t *
bgp_attr_other(const struct bgp_attr *a)
{
	return bgp_attr_path(a) + a->path_len;
}
/* The n-th extended community in host order; n < n_ext. */
struct ext_community bgp_attr_ext_at(const struct bgp_attr *a, unsigned n);
bool bgp_attr_has_rt(const struct bgp_attr *a, struct ext_community rt);
/* Walks AS numbers; sets are walked through too. at starts at 0. */
bool bgp_path_next(const uint8_t *path, size_t len, size_t *at, struct asn *ret);
unsigned bgp_path_hops(const uint8_t *path, size_t len);
/* "65010 65020 {65030 65031}"; cut with "..." when out is too small. */
const char *bgp_path_format(const struct bgp_attr *a, char *out, size_t size);
const char *bgp_origin_text(unsigned origin); /* "IGP", "EGP", "incomplete" */

struct bgp_attrs; /* the pool */
struct bgp_attrs *bgp_attrs_create(void);
void bgp_attrs_destroy(struct bgp_attrs *p);
/* The shared value equal to d, with one reference for the caller. */
struct bgp_attr *bgp_attr_intern(struct bgp_attrs *p, const struct bgp_draft *d);
/* The other way: a draft that borrows a. */
void bgp_attr_to_draft(const struct bgp_attr *a, struct bgp_draft *ret);
struct bgp_attr *bgp_attr_at(struct bgp_attrs *p, uint32_t index);
static inline struct bgp_attr *
bgp_attr_ref(struct bgp_attr *a)
{
	a->refs++;
	return a;
}
void bgp_attr_unref(struct bgp_attrs *p, struct bgp_attr *a); /* NULL is fine */
size_t bgp_attrs_count(const struct bgp_attrs *p);
