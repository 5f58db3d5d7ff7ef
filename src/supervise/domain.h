/* A routing domain's piece of kernel: a namespace of its own (held by descriptor), a veth into it
 * ("peer0" inside, "d<number>" outside), and the sockets that live there. Built whole or not at all. */
#pragma once

#include "supervise/keeper.h"
#include "supervise/netlink.h"

struct domain {
	struct keeper_domain_info info;
	int fd[KEEPER_FDS]; /* -1: absent */
};

/* machine: a netlink socket in the machine's namespace. node: seeds the MAC addresses. */
int domain_create(struct netlink *machine, const char *node, const struct keeper_domain *d,
		  struct domain *ret, struct err *e);
/* The veth vanishes at once; the namespace when the last descriptor is closed. */
void domain_delete(struct netlink *machine, struct domain *d);
void domain_close(struct domain *d);
/* "d<number>" */
const char *domain_outer_name(uint32_t number, char out[KEEPER_IFNAME]);
