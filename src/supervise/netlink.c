/* NETLINK_ROUTE by libmnl: every request builds one message in the socket's buffer, talks, and
 * waits for the acknowledgement. */
#include "supervise/netlink.h"

#include "base/mem.h"

#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>

enum { BUFFER = 32768 };

struct netlink {
	struct mnl_socket *sock;
	uint32_t seq;
	char buf[BUFFER];
};

int
netlink_open(int ns_fd, struct netlink **ret, struct err *e)
{
	AUTO(netlink) nl = mem_alloc(sizeof(*nl));
	int back = -1, r = netns_enter(ns_fd, &back, e);

	if (r < 0)
		return r;
	nl->sock = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	if (!nl->sock || mnl_socket_bind(nl->sock, 0, MNL_SOCKET_AUTOPID) < 0)
		r = err_errno(e, "netlink socket");
	netns_leave(back);
	if (r < 0)
		return r;
	*ret = TAKE(nl);
	return 0;
}

void
netlink_destroy(struct netlink *nl)
{
	if (!nl)
		return;
	if (nl->sock)
		mnl_socket_close(nl->sock);
	free(nl);
}

static struct nlmsghdr *
start(struct netlink *nl, uint16_t type, uint16_t flags)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(nl->buf);

	h->nlmsg_type = type;
	h->nlmsg_flags = NLM_F_REQUEST | flags;
	h->nlmsg_seq = ++nl->seq;
	return h;
}

/* Sends the message and reads until its end; each() sees what the kernel answers. */
static int
talk(struct netlink *nl, struct nlmsghdr *h, mnl_cb_t each, void *arg)
{
	uint32_t seq = h->nlmsg_seq, port = mnl_socket_get_portid(nl->sock);
	int r = MNL_CB_OK;

	if (mnl_socket_sendto(nl->sock, h, h->nlmsg_len) < 0)
		return -errno;
	while (r > MNL_CB_STOP) {
		ssize_t n = mnl_socket_recvfrom(nl->sock, nl->buf, sizeof(nl->buf));

		if (n < 0)
			return -errno;
		r = mnl_cb_run(nl->buf, (size_t)n, seq, port, each, arg);
	}
	return r < 0 ? -errno : 0;
}

static int
ask(struct netlink *nl, struct nlmsghdr *h)
{
	h->nlmsg_flags |= NLM_F_ACK;
	return talk(nl, h, NULL, NULL);
}

static bool
has_mac(const struct mac *m)
{
	static const struct mac zero;

	return memcmp(m, &zero, sizeof(zero)) != 0;
}

/* Links */

static int
link_attr(const struct nlattr *a, void *arg)
{
	struct netlink_link *l = arg;

	switch (mnl_attr_get_type(a)) {
	case IFLA_IFNAME:
		snprintf(l->name, sizeof(l->name), "%s", mnl_attr_get_str(a));
		break;
	case IFLA_MTU:
		l->mtu = mnl_attr_get_u32(a);
		break;
	case IFLA_ADDRESS:
		if (mnl_attr_get_payload_len(a) == sizeof(l->mac))
			memcpy(&l->mac, mnl_attr_get_payload(a), sizeof(l->mac));
		break;
	default:
		break;
	}
	return MNL_CB_OK;
}

struct link_walk {
	int (*each)(const struct netlink_link *l, void *arg);
	void *arg;
	int stop;
};

static int
link_message(const struct nlmsghdr *h, void *arg)
{
	struct link_walk *w = arg;
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(h);
	struct netlink_link l = { .index = (uint32_t)ifi->ifi_index,
				  .is_up = ifi->ifi_flags & IFF_UP,
				  .has_carrier = ifi->ifi_flags & IFF_RUNNING };

	if (h->nlmsg_type == RTM_NEWLINK && w->stop == 0 &&
	    mnl_attr_parse(h, sizeof(*ifi), link_attr, &l) >= 0)
		w->stop = w->each(&l, w->arg);
	return MNL_CB_OK;
}

static int
link_copy(const struct netlink_link *l, void *arg)
{
	*(struct netlink_link *)arg = *l;
	return 1;
}

int
netlink_link_get(struct netlink *nl, const char *name, struct netlink_link *ret, struct err *e)
{
	struct link_walk w = { .each = link_copy, .arg = ret };
	struct nlmsghdr *h = start(nl, RTM_GETLINK, NLM_F_ACK);
	int r;

	mnl_nlmsg_put_extra_header(h, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(h, IFLA_IFNAME, name);
	r = talk(nl, h, link_message, &w);
	return r < 0 ? err_set(e, r, "link %s: %s", name, strerror(-r)) : 0;
}

int
netlink_link_each(struct netlink *nl, int (*each)(const struct netlink_link *l, void *arg),
		  void *arg, struct err *e)
{
	struct link_walk w = { .each = each, .arg = arg };
	struct nlmsghdr *h = start(nl, RTM_GETLINK, NLM_F_DUMP);
	int r;

	mnl_nlmsg_put_extra_header(h, sizeof(struct ifinfomsg));
	r = talk(nl, h, link_message, &w);
	return r < 0 ? err_set(e, r, "links: %s", strerror(-r)) : w.stop;
}

static void
put_link(struct nlmsghdr *h, const char *name, uint32_t mtu, const struct mac *m)
{
	mnl_attr_put_strz(h, IFLA_IFNAME, name);
	mnl_attr_put_u32(h, IFLA_MTU, mtu);
	if (has_mac(m))
		mnl_attr_put(h, IFLA_ADDRESS, sizeof(*m), m);
}

int
netlink_veth_create(struct netlink *nl, const struct netlink_veth *v, struct err *e)
{
	struct nlmsghdr *h = start(nl, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
	uint32_t mtu = v->mtu ? v->mtu : 1500;
	struct nlattr *info, *data, *peer;
	int r;

	mnl_nlmsg_put_extra_header(h, sizeof(struct ifinfomsg));
	put_link(h, v->name, mtu, &v->mac);
	info = mnl_attr_nest_start(h, IFLA_LINKINFO);
	mnl_attr_put_strz(h, IFLA_INFO_KIND, "veth");
	data = mnl_attr_nest_start(h, IFLA_INFO_DATA);
	peer = mnl_attr_nest_start(h, VETH_INFO_PEER);
	mnl_nlmsg_put_extra_header(h, sizeof(struct ifinfomsg));
	put_link(h, v->peer_name, mtu, &v->peer_mac);
	if (v->peer_ns != NETLINK_HERE)
		mnl_attr_put_u32(h, IFLA_NET_NS_FD, (uint32_t)v->peer_ns);
	mnl_attr_nest_end(h, peer);
	mnl_attr_nest_end(h, data);
	mnl_attr_nest_end(h, info);
	r = ask(nl, h);
	return r < 0 ? err_set(e, r, "veth %s - %s: %s", v->name, v->peer_name, strerror(-r)) : 0;
}

int
netlink_bridge_create(struct netlink *nl, const char *name, struct err *e)
{
	struct nlmsghdr *h = start(nl, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
	struct nlattr *info;
	int r;

	mnl_nlmsg_put_extra_header(h, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(h, IFLA_IFNAME, name);
	info = mnl_attr_nest_start(h, IFLA_LINKINFO);
	mnl_attr_put_strz(h, IFLA_INFO_KIND, "bridge");
	mnl_attr_nest_end(h, info);
	r = ask(nl, h);
	return r < 0 ? err_set(e, r, "bridge %s: %s", name, strerror(-r)) : 0;
}

int
netlink_link_delete(struct netlink *nl, const char *name, struct err *e)
{
	struct nlmsghdr *h = start(nl, RTM_DELLINK, 0);
	int r;

	mnl_nlmsg_put_extra_header(h, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(h, IFLA_IFNAME, name);
	r = ask(nl, h);
	return r < 0 ? err_set(e, r, "delete link %s: %s", name, strerror(-r)) : 0;
}

/* A change of an existing link: the message with its header, found by name. */
static struct nlmsghdr *
change(struct netlink *nl, const char *name, unsigned flags, unsigned mask)
{
	struct nlmsghdr *h = start(nl, RTM_NEWLINK, 0);
	struct ifinfomsg *ifi = mnl_nlmsg_put_extra_header(h, sizeof(*ifi));

	ifi->ifi_flags = flags;
	ifi->ifi_change = mask;
	mnl_attr_put_strz(h, IFLA_IFNAME, name);
	return h;
}

int
netlink_link_up(struct netlink *nl, const char *name, bool is_up, struct err *e)
{
	int r = ask(nl, change(nl, name, is_up ? IFF_UP : 0, IFF_UP));

	return r < 0 ? err_set(e, r, "link %s %s: %s", name, is_up ? "up" : "down", strerror(-r))
		     : 0;
}

int
netlink_link_mtu(struct netlink *nl, const char *name, uint32_t mtu, struct err *e)
{
	struct nlmsghdr *h = change(nl, name, 0, 0);
	int r;

	mnl_attr_put_u32(h, IFLA_MTU, mtu);
	r = ask(nl, h);
	return r < 0 ? err_set(e, r, "link %s mtu %u: %s", name, mtu, strerror(-r)) : 0;
}

int
netlink_link_master(struct netlink *nl, const char *name, const char *master, struct err *e)
{
	struct netlink_link m = { 0 };
	struct nlmsghdr *h;
	int r = master ? netlink_link_get(nl, master, &m, e) : 0;

	if (r < 0)
		return r;
	h = change(nl, name, 0, 0);
	mnl_attr_put_u32(h, IFLA_MASTER, m.index);
	r = ask(nl, h);
	return r < 0 ? err_set(e, r, "link %s into %s: %s", name, master ? master : "nothing",
			       strerror(-r))
		     : 0;
}

int
netlink_link_move(struct netlink *nl, const char *name, int ns_fd, const char *new_name,
		  struct err *e)
{
	struct netlink_link l;
	struct nlmsghdr *h;
	struct ifinfomsg *ifi;
	int r = netlink_link_get(nl, name, &l, e);

	if (r < 0)
		return r;
	h = start(nl, RTM_NEWLINK, 0);
	ifi = mnl_nlmsg_put_extra_header(h, sizeof(*ifi));
	ifi->ifi_index = (int)l.index;
	mnl_attr_put_u32(h, IFLA_NET_NS_FD, (uint32_t)ns_fd);
	if (new_name)
		mnl_attr_put_strz(h, IFLA_IFNAME, new_name);
	r = ask(nl, h);
	return r < 0 ? err_set(e, r, "move link %s: %s", name, strerror(-r)) : 0;
}

/* Addresses and routes */

static int
link_index(struct netlink *nl, const char *name, uint32_t *ret, struct err *e)
{
	struct netlink_link l = { 0 };
	int r = netlink_link_get(nl, name, &l, e);

	if (r == 0)
		*ret = l.index;
	return r;
}

static uint8_t
family_of(const struct addr *a)
{
	return a->family == NET_V4 ? AF_INET : AF_INET6;
}

static void
put_addr(struct nlmsghdr *h, uint16_t type, const struct addr *a)
{
	mnl_attr_put(h, type, a->family == NET_V4 ? 4 : 16, a->b);
}

static int
address(struct netlink *nl, uint16_t type, uint16_t flags, const char *ifname, const struct addr *a,
	uint8_t plen, struct err *e)
{
	uint32_t index = 0;
	struct nlmsghdr *h;
	struct ifaddrmsg *ifa;
	int r = link_index(nl, ifname, &index, e);

	if (r < 0)
		return r;
	h = start(nl, type, flags);
	ifa = mnl_nlmsg_put_extra_header(h, sizeof(*ifa));
	ifa->ifa_family = family_of(a);
	ifa->ifa_prefixlen = plen;
	ifa->ifa_index = index;
	if (a->family == NET_V6)
		ifa->ifa_flags = IFA_F_NODAD;
	put_addr(h, IFA_LOCAL, a);
	put_addr(h, IFA_ADDRESS, a);
	return ask(nl, h);
}

int
netlink_addr_add(struct netlink *nl, const char *ifname, const struct addr *a, uint8_t plen,
		 struct err *e)
{
	char text[ADDR_TEXT];
	int r = address(nl, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, ifname, a, plen, e);

	if (r == -EEXIST)
		return 0;
	return r < 0 ? err_set(e, r, "address %s/%u on %s: %s", addr_format(a, text), plen, ifname,
			       strerror(-r))
		     : 0;
}

int
netlink_addr_remove(struct netlink *nl, const char *ifname, const struct addr *a, uint8_t plen,
		    struct err *e)
{
	char text[ADDR_TEXT];
	int r = address(nl, RTM_DELADDR, 0, ifname, a, plen, e);

	if (r == -EADDRNOTAVAIL)
		return 0;
	return r < 0 ? err_set(e, r, "remove address %s/%u from %s: %s", addr_format(a, text), plen,
			       ifname, strerror(-r))
		     : 0;
}

static struct nlmsghdr *
route(struct netlink *nl, uint16_t type, uint16_t flags, const struct prefix *to)
{
	struct nlmsghdr *h = start(nl, type, flags);
	struct rtmsg *rt = mnl_nlmsg_put_extra_header(h, sizeof(*rt));

	rt->rtm_family = family_of(&to->addr);
	rt->rtm_dst_len = to->len;
	rt->rtm_table = RT_TABLE_MAIN;
	if (to->len)
		put_addr(h, RTA_DST, &to->addr);
	if (type == RTM_NEWROUTE) {
		rt->rtm_protocol = RTPROT_STATIC;
		rt->rtm_type = RTN_UNICAST;
	}
	return h;
}

int
netlink_route_set(struct netlink *nl, const struct prefix *to, const struct addr *via,
		  const char *ifname, const struct addr *source, struct err *e)
{
	char text[PREFIX_TEXT];
	uint32_t index = 0;
	struct nlmsghdr *h;
	int r = ifname ? link_index(nl, ifname, &index, e) : 0;

	if (r < 0)
		return r;
	h = route(nl, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, to);
	if (via)
		put_addr(h, RTA_GATEWAY, via);
	else
		((struct rtmsg *)mnl_nlmsg_get_payload(h))->rtm_scope = RT_SCOPE_LINK;
	if (ifname)
		mnl_attr_put_u32(h, RTA_OIF, index);
	if (source)
		put_addr(h, RTA_PREFSRC, source);
	r = ask(nl, h);
	return r < 0 ? err_set(e, r, "route to %s: %s", prefix_format(to, text), strerror(-r)) : 0;
}

int
netlink_route_remove(struct netlink *nl, const struct prefix *to, struct err *e)
{
	char text[PREFIX_TEXT];
	struct nlmsghdr *h = route(nl, RTM_DELROUTE, 0, to);
	int r;

	((struct rtmsg *)mnl_nlmsg_get_payload(h))->rtm_scope = RT_SCOPE_NOWHERE;
	r = ask(nl, h);
	if (r == -ESRCH)
		return 0;
	return r < 0 ? err_set(e, r, "remove route to %s: %s", prefix_format(to, text),
			       strerror(-r))
		     : 0;
}

/* Neighbours */

static int
neigh_attr(const struct nlattr *a, void *arg)
{
	struct netlink_neigh *n = arg;
	size_t len = mnl_attr_get_payload_len(a);

	if (mnl_attr_get_type(a) == NDA_DST && (len == 4 || len == 16)) {
		n->addr.family = len == 4 ? NET_V4 : NET_V6;
		memcpy(n->addr.b, mnl_attr_get_payload(a), len);
	}
	if (mnl_attr_get_type(a) == NDA_LLADDR && len == sizeof(n->mac)) {
		memcpy(&n->mac, mnl_attr_get_payload(a), len);
		n->has_mac = true;
	}
	return MNL_CB_OK;
}

struct neigh_walk {
	int (*each)(const struct netlink_neigh *n, void *arg);
	void *arg;
	int stop;
};

static int
neigh_message(const struct nlmsghdr *h, void *arg)
{
	struct neigh_walk *w = arg;
	const struct ndmsg *nd = mnl_nlmsg_get_payload(h);
	struct netlink_neigh n = { .ifindex = (uint32_t)nd->ndm_ifindex,
				   .state = nd->ndm_state,
				   .is_gone = h->nlmsg_type == RTM_DELNEIGH };

	if ((h->nlmsg_type == RTM_NEWNEIGH || h->nlmsg_type == RTM_DELNEIGH) &&
	    (nd->ndm_family == AF_INET || nd->ndm_family == AF_INET6) && w->stop == 0 &&
	    mnl_attr_parse(h, sizeof(*nd), neigh_attr, &n) >= 0 && n.addr.family)
		w->stop = w->each(&n, w->arg);
	return MNL_CB_OK;
}

int
netlink_neigh_each(struct netlink *nl, int (*each)(const struct netlink_neigh *n, void *arg),
		   void *arg, struct err *e)
{
	struct neigh_walk w = { .each = each, .arg = arg };
	struct nlmsghdr *h = start(nl, RTM_GETNEIGH, NLM_F_DUMP);
	int r;

	mnl_nlmsg_put_extra_header(h, sizeof(struct ndmsg));
	r = talk(nl, h, neigh_message, &w);
	return r < 0 ? err_set(e, r, "neighbours: %s", strerror(-r)) : w.stop;
}

int
netlink_neigh_set(struct netlink *nl, const char *ifname, const struct addr *a, const struct mac *m,
		  struct err *e)
{
	char text[ADDR_TEXT];
	uint32_t index = 0;
	struct nlmsghdr *h;
	struct ndmsg *nd;
	int r = link_index(nl, ifname, &index, e);

	if (r < 0)
		return r;
	h = start(nl, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE);
	nd = mnl_nlmsg_put_extra_header(h, sizeof(*nd));
	nd->ndm_family = family_of(a);
	nd->ndm_ifindex = (int)index;
	nd->ndm_state = NUD_PERMANENT;
	put_addr(h, NDA_DST, a);
	mnl_attr_put(h, NDA_LLADDR, sizeof(*m), m);
	r = ask(nl, h);
	return r < 0 ? err_set(e, r, "neighbour %s on %s: %s", addr_format(a, text), ifname,
			       strerror(-r))
		     : 0;
}

int
netlink_neigh_watch_start(int fd, struct err *e)
{
	static const int group = RTNLGRP_NEIGH;
	char buf[NLMSG_SPACE(sizeof(struct ndmsg))] __attribute__((aligned(4)));
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);

	if (setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) < 0)
		return err_errno(e, "watch neighbours");
	h->nlmsg_type = RTM_GETNEIGH;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	h->nlmsg_seq = 1;
	mnl_nlmsg_put_extra_header(h, sizeof(struct ndmsg));
	if (send(fd, h, h->nlmsg_len, MSG_DONTWAIT) < 0)
		return err_errno(e, "ask for neighbours");
	return 0;
}

int
netlink_neigh_watch_read(int fd, int (*each)(const struct netlink_neigh *n, void *arg), void *arg,
			 struct err *e)
{
	AUTO_FREE char *buf = mem_alloc(BUFFER);
	struct neigh_walk w = { .each = each, .arg = arg };

	for (;;) {
		ssize_t n = recv(fd, buf, BUFFER, MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return 0;
		if (n < 0)
			return err_errno(e, "neighbour changes");
		/* An interrupted dump or an error inside: the caller starts again. */
		if (mnl_cb_run(buf, (size_t)n, 0, 0, neigh_message, &w) < 0)
			return err_set(e, -ENOBUFS, "neighbour changes: %s", strerror(errno));
	}
}
