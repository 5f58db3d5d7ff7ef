/* The underlay as the kernel knows it: which gateway leads to an address, and the MAC addresses of
 * neighbours as they come and change. Read-only netlink; needs no privilege. */
#pragma once

#include "net/addr.h"
#include "supervise/netlink.h"

#include <uv.h>

/* The next hop towards an address by the machine's routing table (the address itself when it is on
 * link) and the interface. */
int underlay_route(const struct addr *to, struct addr *ret_gateway, uint32_t *ret_ifindex,
		   struct err *e);

/* Asks the kernel to resolve the address: one UDP byte to the discard port. */
void underlay_probe(const struct addr *a);

/* Watches the neighbour table behind a NETLINK_ROUTE socket (taken; -1: one of our own, for the
 * machine's namespace). Starts again by itself when messages were lost. */
struct neighbours;
typedef void neighbours_fn(void *arg, const struct netlink_neigh *n);
struct neighbours *neighbours_create(uv_loop_t *loop, int fd, neighbours_fn *fn, void *arg,
				     struct err *e);
void neighbours_destroy(struct neighbours *n); /* NULL is fine */
