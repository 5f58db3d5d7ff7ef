#include "http/clients.h"

enum { NETWORK = 8 }; /* bytes of an IPv6 address */

void
clients_fini(struct clients *c)
{
	map_fini(&c->counts);
}

struct addr
clients_network(const struct sockaddr *sa)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff }; /* RFC 4291 2.5.5.2 */
	struct addr a = addr_from_sockaddr(sa, NULL);

	if (a.family == NET_V6 && !memcmp(a.b, mapped, sizeof(mapped))) {
		struct addr v4 = { .family = NET_V4 };

		memcpy(v4.b, a.b + sizeof(mapped), 4);
		return v4;
	}
	if (a.family == NET_V6)
		memset(a.b + NETWORK, 0, sizeof(a.b) - NETWORK);
	return a;
}

bool
clients_have_room(const struct clients *c, const struct addr *network)
{
	return !network->family ||
	       (uintptr_t)map_get(&c->counts, network, sizeof(*network)) < c->max;
}

void
clients_count(struct clients *c, const struct addr *network, int more)
{
	uintptr_t n = (uintptr_t)map_get(&c->counts, network, sizeof(*network)) +
		      (uintptr_t)(intptr_t)more;

	if (!network->family)
		return;
	if (n)
		map_put(&c->counts, network, sizeof(*network), (void *)n);
	else
		map_remove(&c->counts, network, sizeof(*network));
}
