/* The writer's side of the exact-match table (struct dp_exact_bucket). Internal. */
#pragma once

#include "datapath/maps.h"

struct exact {
	struct dp_exact_bucket *bucket;
	uint32_t n_buckets;
	uint32_t n_used;
	uint8_t *kept; /* bit per slot of a bucket: put since open */
};

/* Takes the array as it is; an element that a predecessor died moving is there twice: one goes. */
void exact_init(struct exact *x, struct datapath_maps *m);
void exact_fini(struct exact *x);
/* 0: none. */
uint64_t exact_get(const struct exact *x, uint32_t space, uint32_t addr);
/* New or changed; value not 0. -ENOSPC: no room within reach (about 95 % full). */
int exact_put(struct exact *x, uint32_t space, uint32_t addr, uint64_t value);
void exact_remove(struct exact *x, uint32_t space, uint32_t addr);
/* Removes those for which want() says no. is_kept: put since open. */
void exact_filter(struct exact *x,
		  bool (*want)(void *ctx, uint64_t key, uint64_t value, bool is_kept), void *ctx);
