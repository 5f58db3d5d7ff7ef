#include "supervise/domain.h"

#include "base/log.h"
#include "supervise/sockets.h"

#define INNER "peer0"
enum { TTL_ONE_HOP = 255, MTU_DEFAULT = 1500 };

const char *
domain_outer_name(uint32_t number, char out[KEEPER_IFNAME])
{
	snprintf(out, KEEPER_IFNAME, "d%u", number);
	return out;
}

/* FNV-1a: the same on every start, different for every node, number and end. */
static struct mac
derive_mac(const char *node, uint32_t number, unsigned end)
{
	uint64_t h = 0xcbf29ce484222325u;
	struct mac m = { { 2 } };

	for (const char *p = node; *p; p++)
		h = (h ^ (uint8_t)*p) * 0x100000001b3u;
	h = (h ^ number) * 0x100000001b3u;
	h = (h ^ end) * 0x100000001b3u;
	h ^= h >> 29;
	h *= 0xbf58476d1ce4e5b9u;
	h ^= h >> 32;
	for (size_t i = 1; i < sizeof(m.b); i++)
		m.b[i] = (uint8_t)(h >> (8 * i));
	return m;
}

/* A domain's namespace answers for its own address and forwards nothing. */
static void
set_sysctls(int ns_fd)
{
	static const char *const settings[][2] = {
		{ "net/ipv4/ip_forward", "0" },
		{ "net/ipv4/conf/all/rp_filter", "0" },
		{ "net/ipv4/conf/default/rp_filter", "0" },
		{ "net/ipv4/conf/all/arp_ignore", "1" },
		{ "net/ipv4/conf/all/accept_redirects", "0" },
		{ "net/ipv4/conf/default/accept_redirects", "0" },
		{ "net/ipv4/conf/all/send_redirects", "0" },
		{ "net/ipv4/conf/default/send_redirects", "0" },
		{ "net/ipv6/conf/all/disable_ipv6", "1" },
		{ "net/ipv6/conf/default/disable_ipv6", "1" },
	};
	static bool has_warned;

	for (size_t i = 0; i < COUNT(settings); i++) {
		struct err e = { 0 };

		if (netns_sysctl(ns_fd, settings[i][0], settings[i][1], &e) < 0 && !has_warned) {
			log_warn("cannot set a domain's sysctls, kernel defaults stay error=\"%s\"",
				 e.text);
			has_warned = true;
		}
	}
}

static int
make_link(struct netlink *machine, const char *node, const struct keeper_domain *d,
	  struct domain *ret, struct err *e)
{
	static const struct mac none;
	bool has_mac = memcmp(&d->mac, &none, sizeof(none)) != 0;
	char outer[KEEPER_IFNAME];
	struct netlink_veth v = {
		.name = domain_outer_name(d->number, outer),
		.peer_name = INNER,
		.peer_ns = ret->fd[KEEPER_FD_NETNS],
		.mtu = ret->info.mtu,
		.mac = derive_mac(node, d->number, 1),
		.peer_mac = has_mac ? d->mac : derive_mac(node, d->number, 0),
	};
	struct netlink_link l = { 0 };
	int r;

	/* One of a keeper and a bfdd that died together. */
	if (netlink_link_get(machine, outer, &l, NULL) == 0)
		netlink_link_delete(machine, outer, NULL);
	r = netlink_veth_create(machine, &v, e);
	if (r == 0)
		r = netlink_link_get(machine, outer, &l, e);
	if (r < 0)
		return r;
	ret->info.outer_ifindex = l.index;
	ret->info.outer_mac = v.mac;
	ret->info.inner_mac = v.peer_mac;
	return 0;
}

/* Offloads come first: without them packets are lost without a word. */
static int
bring_up(struct netlink *machine, const struct keeper_domain *d, struct domain *ret, struct err *e)
{
	static const struct netlink_offload endpoint = { .gro = 1, .tx = 0, .txvlan = -1 };
	int ns = ret->fd[KEEPER_FD_NETNS];
	char outer[KEEPER_IFNAME], ipv6[64];
	struct netlink_link l = { 0 };
	AUTO(netlink) inside = NULL;
	int r = netlink_open(ns, &inside, e);

	domain_outer_name(d->number, outer);
	snprintf(ipv6, sizeof(ipv6), "net/ipv6/conf/%s/disable_ipv6", outer);
	(void)netns_sysctl(NETLINK_HERE, ipv6, "1", NULL); /* as good as set_sysctls() did */
	if (r == 0)
		r = netlink_offload_set(ns, INNER, endpoint, e);
	if (r == 0)
		r = netlink_link_up(inside, "lo", true, e);
	if (r == 0)
		r = netlink_addr_add(inside, INNER, &d->local, d->plen, e);
	if (r == 0)
		r = netlink_link_up(inside, INNER, true, e);
	if (r == 0)
		r = netlink_link_up(machine, outer, true, e);
	if (r == 0)
		r = netlink_link_get(inside, INNER, &l, e);
	ret->info.inner_ifindex = l.index;
	return r;
}

static int
make_sockets(const struct keeper_domain *d, struct domain *ret, struct err *e)
{
	int ns = ret->fd[KEEPER_FD_NETNS];
	int r = sockets_listen(ns, &d->local, d->flags & KEEPER_DOMAIN_GTSM ? TTL_ONE_HOP : 0, e);

	if (r < 0)
		return r;
	ret->fd[KEEPER_FD_LISTENER] = r;
	if (d->key.len) {
		r = sockets_key(ret->fd[KEEPER_FD_LISTENER], &d->peer, &d->key, e);
		if (r < 0)
			return r;
	}
	if (!(d->flags & KEEPER_DOMAIN_BFD))
		return 0;
	r = ret->fd[KEEPER_FD_BFD_RX] = sockets_bfd_rx(ns, &d->local, false, e);
	if (r >= 0)
		r = ret->fd[KEEPER_FD_BFD_TX] = sockets_bfd_tx(ns, &d->local, e);
	return r < 0 ? r : 0;
}

int
domain_create(struct netlink *machine, const char *node, const struct keeper_domain *d,
	      struct domain *ret, struct err *e)
{
	struct domain made = { .info = { .number = d->number,
					 .flags = d->flags,
					 .local = d->local,
					 .peer = d->peer,
					 .plen = d->plen,
					 .mtu = d->mtu ? d->mtu : MTU_DEFAULT } };
	int r;

	for (int i = 0; i < KEEPER_FDS; i++)
		made.fd[i] = -1;
	r = netns_create(&made.fd[KEEPER_FD_NETNS], e);
	if (r == 0) {
		set_sysctls(made.fd[KEEPER_FD_NETNS]);
		r = make_link(machine, node, d, &made, e);
	}
	if (r == 0)
		r = bring_up(machine, d, &made, e);
	if (r == 0)
		r = make_sockets(d, &made, e);
	if (r < 0) {
		domain_delete(machine, &made);
		return err_wrap(e, r, "domain %u", d->number);
	}
	*ret = made;
	return 0;
}

void
domain_close(struct domain *d)
{
	for (int i = 0; i < KEEPER_FDS; i++) {
		if (d->fd[i] >= 0)
			close(d->fd[i]);
		d->fd[i] = -1;
	}
}

void
domain_delete(struct netlink *machine, struct domain *d)
{
	char outer[KEEPER_IFNAME];

	if (d->info.outer_ifindex)
		netlink_link_delete(machine, domain_outer_name(d->info.number, outer), NULL);
	domain_close(d);
}
