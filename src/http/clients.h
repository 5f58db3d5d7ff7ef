/* How many connections each client's network has: an IPv4 address is one, and so is an IPv6 /64, of
 * which one customer has all addresses. The caller locks. */
#pragma once

#include "base/map.h"
#include "net/addr.h"

struct clients {
	struct map counts; /* address, cut off -> number of connections */
	unsigned max;
};

void clients_fini(struct clients *c);
/* The network that is counted; family 0: of no client that is. */
struct addr clients_network(const struct sockaddr *sa);
bool clients_have_room(const struct clients *c, const struct addr *network);
/* One more (1), or one less (-1). */
void clients_count(struct clients *c, const struct addr *network, int more);
