/* Links, addresses, routes, neighbours and namespaces by netlink (libmnl) and ioctl: what the
 * keeper and the supervisor need, no more. A struct netlink is a NETLINK_ROUTE socket bound for
 * life to the namespace it was opened in; requests are synchronous.
 *
 * Namespaces are held by descriptor and never mounted. netns_* functions that say so move the
 * calling thread into the namespace and back; they abort when the way back is barred. */
#pragma once

#include "net/addr.h"

enum { NETLINK_IFNAME = 16 };
#define NETLINK_HERE (-1) /* instead of a namespace's descriptor: the caller's own */

int netns_create(int *ret_fd, struct err *e);
int netns_open_self(int *ret_fd, struct err *e);
/* Between the two the calling thread is inside. */
int netns_enter(int ns_fd, int *ret_back, struct err *e);
void netns_leave(int back);
/* A socket made inside; close-on-exec, type may carry SOCK_NONBLOCK. */
int netns_socket(int ns_fd, int family, int type, int protocol, struct err *e);
/* path below /proc/sys, e.g. "net/ipv4/conf/all/rp_filter". */
int netns_sysctl(int ns_fd, const char *path, const char *value, struct err *e);

struct netlink;
int netlink_open(int ns_fd, struct netlink **ret, struct err *e);
void netlink_destroy(struct netlink *nl);
CLEANUP(netlink)

struct netlink_link {
	uint32_t index;
	uint32_t mtu;
	bool is_up, has_carrier;
	struct mac mac;
	char name[NETLINK_IFNAME];
};
/* -ENODEV when there is none. */
int netlink_link_get(struct netlink *nl, const char *name, struct netlink_link *ret, struct err *e);
/* All links in kernel order. Stops early when each() returns nonzero, and returns that. */
int netlink_link_each(struct netlink *nl, int (*each)(const struct netlink_link *l, void *arg),
		      void *arg, struct err *e);

/* One end lands in nl's namespace, the other in peer_ns (NETLINK_HERE: the same). Both down. */
struct netlink_veth {
	const char *name, *peer_name;
	int peer_ns;
	uint32_t mtu;             /* 0: 1500 */
	struct mac mac, peer_mac; /* all zero: random */
};
int netlink_veth_create(struct netlink *nl, const struct netlink_veth *v, struct err *e);
int netlink_bridge_create(struct netlink *nl, const char *name, struct err *e);
int netlink_link_delete(struct netlink *nl, const char *name, struct err *e);
int netlink_link_up(struct netlink *nl, const char *name, bool is_up, struct err *e);
int netlink_link_mtu(struct netlink *nl, const char *name, uint32_t mtu, struct err *e);
/* master NULL takes it out. */
int netlink_link_master(struct netlink *nl, const char *name, const char *master, struct err *e);
/* Into another namespace; new_name NULL keeps the name. It arrives down and without addresses. */
int netlink_link_move(struct netlink *nl, const char *name, int ns_fd, const char *new_name,
		      struct err *e);

/* Adding what is there, and removing what is not, is fine. */
int netlink_addr_add(struct netlink *nl, const char *ifname, const struct addr *a, uint8_t plen,
		     struct err *e);
int netlink_addr_remove(struct netlink *nl, const char *ifname, const struct addr *a, uint8_t plen,
			struct err *e);
/* via and ifname may be NULL, not both. Replaces a route to the same prefix. */
int netlink_route_set(struct netlink *nl, const struct prefix *to, const struct addr *via,
		      const char *ifname, const struct addr *source, struct err *e);
int netlink_route_remove(struct netlink *nl, const struct prefix *to, struct err *e);

/* Neighbours (ARP, ND). state: NUD_* bits of linux/neighbour.h. */
struct netlink_neigh {
	uint32_t ifindex;
	struct addr addr;
	struct mac mac; /* zero when has_mac is not set */
	bool has_mac;
	bool is_gone; /* watches only: the entry was deleted */
	uint16_t state;
};
int netlink_neigh_each(struct netlink *nl, int (*each)(const struct netlink_neigh *n, void *arg),
		       void *arg, struct err *e);
/* A permanent entry. */
int netlink_neigh_set(struct netlink *nl, const char *ifname, const struct addr *a,
		      const struct mac *m, struct err *e);

/* For sockets that others made (the keeper hands one out per domain): usable without privilege.
 * watch_start() makes the socket deliver changes and asks for a first dump; watch_read() calls each()
 * for what has come and returns 0, or -ENOBUFS when some were lost (start again). */
int netlink_neigh_watch_start(int fd, struct err *e);
int netlink_neigh_watch_read(int fd, int (*each)(const struct netlink_neigh *n, void *arg),
			     void *arg, struct err *e);

/* ETHTOOL features of a device in ns_fd: gro, tx checksum (and with it TSO), tx VLAN insertion.
 * -1 leaves one as it is. */
struct netlink_offload {
	int gro, tx, txvlan;
};
int netlink_offload_set(int ns_fd, const char *ifname, struct netlink_offload o, struct err *e);
int netlink_offload_get(int ns_fd, const char *ifname, struct netlink_offload *ret, struct err *e);
