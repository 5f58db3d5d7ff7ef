/* Addresses and prefixes of both families as values. Bytes are in network order; the part of a
 * prefix beyond its length is always zero, so that memcmp compares. */
#pragma once

#include "base/err.h"

#include <netinet/in.h>
#include <sys/socket.h>

enum { NET_V4 = 4, NET_V6 = 6 };

struct addr {
	uint8_t family; /* NET_V4, NET_V6 or 0 for none */
	uint8_t b[16];  /* v4 uses the first four */
};

struct prefix {
	struct addr addr;
	uint8_t len;
};

struct mac {
	uint8_t b[6];
};

#define ADDR_TEXT 46
#define PREFIX_TEXT 50
#define MAC_TEXT 18

static inline struct addr
addr_v4(uint32_t host_order)
{
	return (struct addr){ NET_V4,
			      { (uint8_t)(host_order >> 24), (uint8_t)(host_order >> 16),
				(uint8_t)(host_order >> 8), (uint8_t)host_order } };
}
/* Host order; only for v4. */
static inline uint32_t
addr_u32(const struct addr *a)
{
	return (uint32_t)a->b[0] << 24 | (uint32_t)a->b[1] << 16 | (uint32_t)a->b[2] << 8 | a->b[3];
}
static inline unsigned
addr_bits(const struct addr *a)
{
	return a->family == NET_V4 ? 32 : 128;
}
static inline bool
addr_equal(const struct addr *a, const struct addr *b)
{
	return a->family == b->family && !memcmp(a->b, b->b, sizeof(a->b));
}
static inline bool
prefix_equal(const struct prefix *a, const struct prefix *b)
{
	return a->len == b->len && addr_equal(&a->addr, &b->addr);
}

int addr_parse(const char *text, struct addr *ret, struct err *e);
const char *addr_format(const struct addr *a, char out[ADDR_TEXT]);
int addr_compare(const struct addr *a, const struct addr *b);
/* Requires "ADDR/LEN" with no host bits set beyond the length. */
int prefix_parse(const char *text, struct prefix *ret, struct err *e);
const char *prefix_format(const struct prefix *p, char out[PREFIX_TEXT]);
/* Clears the bits beyond len. */
struct prefix prefix_make(const struct addr *a, unsigned len);
bool prefix_contains(const struct prefix *p, const struct addr *a);
bool prefix_covers(const struct prefix *outer, const struct prefix *inner);
bool prefix_overlaps(const struct prefix *a, const struct prefix *b);
/* By family, address, then length: shorter first. */
int prefix_compare(const struct prefix *a, const struct prefix *b);
/* The n-th address inside, n counted from the network address; n must be inside for v4. */
struct addr prefix_nth(const struct prefix *p, uint32_t n);

int mac_parse(const char *text, struct mac *ret, struct err *e);
const char *mac_format(const struct mac *m, char out[MAC_TEXT]);

/* sockaddr with port in host order. Returns the length. */
socklen_t addr_to_sockaddr(const struct addr *a, uint16_t port, struct sockaddr_storage *ret);
struct addr addr_from_sockaddr(const struct sockaddr *sa, uint16_t *ret_port);
