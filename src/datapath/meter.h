/* The life of meter slots: free, live, retired, and free again only after grace and the daemon's word
 * that the last reading is safe. Internal. */
#pragma once

#include "base/map.h"
#include "datapath/grace.h"

struct meters {
	struct dp_meter_slot *slot;
	struct dp_meter *count; /* per CPU: count[cpu * n + slot] */
	uint32_t n, n_cpu;
	uint32_t next;     /* where to look for a free slot */
	struct map live;   /* (owner, direction) -> slot + 1 */
	uint8_t *is_final; /* retired and out of use */
};

void meters_init(struct meters *m, struct datapath_maps *maps);
void meters_fini(struct meters *m);
/* The live slot of this owner and direction, made if need be. A live one of another circuit is
 * retired. 0: none free. */
uint32_t meters_get(struct meters *m, uint32_t owner, int direction, uint32_t circuit,
		    struct grace *g, struct mono now);
uint32_t meters_find(const struct meters *m, uint32_t owner, int direction);
void meters_retire(struct meters *m, uint32_t slot, struct grace *g, struct mono now);
void meters_finalise(struct meters *m, uint32_t slot); /* its grace period is over */
int meters_release(struct meters *m, uint32_t slot);
void meters_sum(const struct meters *m, uint32_t slot, uint64_t *ret_bytes, uint64_t *ret_packets);
/* Retires live slots whose owner is not wanted. */
void meters_sweep(struct meters *m, bool (*want)(void *ctx, uint32_t owner), void *ctx,
		  struct grace *g, struct mono now);
