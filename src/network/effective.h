/* What holds for a subnet's packets, as values: which of several routes to one place is used, and
 * which prefixes a service tag stands for. Knows nothing of resources, requests or nodes.
 *
 * Routes: the longest prefix wins; among routes for one prefix the user's, then those learned by BGP,
 * then the system's. But the system's routes to the virtual network itself and to its peers come
 * before anything learned, even if that is more specific. */
#pragma once

#include "base/arena.h"
#include "net/addr.h"

enum effective_source { EFFECTIVE_SYSTEM, EFFECTIVE_USER, EFFECTIVE_LEARNED };
enum effective_hop {
	EFFECTIVE_VNET,
	EFFECTIVE_PEER,
	EFFECTIVE_GATEWAY,
	EFFECTIVE_INTERNET,
	EFFECTIVE_APPLIANCE,
	EFFECTIVE_NONE
};
/* As the API says it: "VnetLocal". */
const char *effective_hop_name(enum effective_hop h);

struct effective_route {
	struct prefix prefix;
	enum effective_source source;
	enum effective_hop hop;
	struct addr hop_address; /* family 0: none */
	const char *name;        /* of a user's route, else NULL */
	bool is_active;          /* set by effective_choose() */
};

struct effective_routes {
	struct arena *arena;
	struct effective_route *v;
	size_t n, cap;
};
struct effective_route *effective_add(struct effective_routes *l, const struct prefix *p,
				      enum effective_source source, enum effective_hop hop);
/* The routes every subnet of a virtual network has. */
void effective_add_system(struct effective_routes *l, const struct prefix *space, size_t n);
/* Which are used. */
void effective_choose(struct effective_routes *l);
/* The one that a packet to this address takes; NULL: none. After effective_choose(). */
const struct effective_route *effective_find(const struct effective_routes *l,
					     const struct addr *a);

/* The prefixes behind "VirtualNetwork": its own, its peers', those learned and those of the user's
 * routes, the platform's address; without what another covers, sorted. */
struct effective_set {
	struct prefix *v;
	size_t n;
};
struct effective_set effective_virtual_network(struct arena *a, const struct effective_routes *l);
/* Those behind "Internet": public IPv4 addresses that are not of the set. */
struct effective_set effective_internet(struct arena *a, const struct effective_set *inside);
