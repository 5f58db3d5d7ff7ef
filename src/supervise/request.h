/* What the keeper believes of a request: nothing that is not checked here. Each returns 0 or -EINVAL
 * with the reason. */
#pragma once

#include "supervise/keeper.h"

int request_check_domain(const struct keeper_domain *d, struct err *e);
int request_check_number(uint32_t number, struct err *e);
int request_check_key(const struct keeper_key *k, struct err *e);
/* A device name, terminated, without a slash or blank. */
int request_check_ifname(const char name[KEEPER_IFNAME], struct err *e);
int request_check_dial(const struct keeper_dial *d, struct err *e);
/* A unicast IPv4 address. */
int request_check_addr(const struct addr *a, const char *what, struct err *e);
