/* Address plans as values: prefixes of virtual networks and subnets of both families, and which
 * addresses of a subnet can be given out. Rules only; what is taken is known to the claims
 * (address.h). */
#pragma once

#include "net/addr.h"

/* Of addresses that one interface can have, of either family; the platform's own is none. */
bool space_is_unicast(const struct prefix *p);
/* A prefix of a VNet's address space: IPv4 /2 to /29, IPv6 up to /64; unicast, no host bits. e:
 * "'x' is ..." */
int space_prefix(const char *text, struct prefix *ret, struct err *e);
/* A prefix of a subnet: as above, but IPv6 is a /64. */
int space_subnet_prefix(const char *text, struct prefix *ret, struct err *e);

/* Addresses are known by number: IPv4 by themselves, IPv6 (a subnet has one /64 at most) by their
 * last 64 bits. */
uint64_t space_number(const struct addr *a);
struct addr space_address(const struct prefix *subnet, uint64_t number);
/* What a subnet's prefix has for interfaces: without its first four addresses and the last. When
 * none is left first > last. Those given out by themselves end at `last_found`: IPv6 has enough. */
struct space_range {
	uint64_t first, last, last_found;
};
struct space_range space_range(const struct prefix *subnet);
/* Addresses in the range, at most 2^31. */
uint64_t space_size(const struct prefix *subnet);
enum space_verdict { SPACE_FINE, SPACE_OUTSIDE, SPACE_RESERVED };
enum space_verdict space_verdict(const struct prefix *subnet, const struct addr *a);
