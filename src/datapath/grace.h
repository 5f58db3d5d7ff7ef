/* When a freed element may be used again: once every CPU has left the program run it may have been
 * in when the element became unreachable. Each program steps its CPU's epoch on entry and exit, so
 * the epoch is odd inside. Elements freed together wait GRACE_MS first (a store to the epoch is
 * visible long before that, so the programs need no barrier), then every CPU seen inside must be
 * seen to have moved on. Not a syscall, not a capability. Internal. */
#pragma once

#include "datapath/maps.h"

#define GRACE_MS 20

enum grace_kind {
	GRACE_LINES, /* n consecutive lines */
	GRACE_NH,
	GRACE_GROUP,
	GRACE_DOMAIN,
	GRACE_NIC,
	GRACE_POLICER,
	GRACE_METER,
};
struct grace_item {
	enum grace_kind kind;
	uint32_t index, n;
};
struct grace_items {
	struct grace_item *v;
	size_t n, cap;
};
struct grace {
	const struct dp_epoch *epoch;
	uint32_t n_cpu;
	struct grace_items fresh, waiting;
	bool is_sampled;
	struct mono due;
	uint64_t *seen; /* per CPU: odd count to wait for, 0 none */
};

void grace_init(struct grace *g, const struct datapath_maps *m);
void grace_fini(struct grace *g);
/* now 0: unknown; the period is counted from the next tick. */
void grace_add(struct grace *g, enum grace_kind kind, uint32_t index, uint32_t n, struct mono now);
bool grace_is_idle(const struct grace *g);
/* Calls release() for each element whose time has come. Returns when to call again. */
struct mono grace_tick(struct grace *g, struct mono now,
		       void (*release)(void *ctx, const struct grace_item *i), void *ctx);
/* Waits, for a second at most, until everything freed by a predecessor is out of use. */
void grace_wait(const struct datapath_maps *m);
