/* Deadlines of many sessions: a binary heap of intrusive timers, so that the next one is known at
 * once and moving one costs log n. A zeroed timer is not in the heap. */
#pragma once

#include "base/mono.h"

struct bfd_timer {
	struct mono at;
	size_t place; /* 1-based; 0: not in the heap */
};

struct bfd_heap {
	struct bfd_timer **timers;
	size_t n, cap;
};

void bfd_heap_fini(struct bfd_heap *h);
/* Puts it in or moves it; MONO_NEVER takes it out. */
void bfd_heap_set(struct bfd_heap *h, struct bfd_timer *t, struct mono at);
/* The earliest, NULL when empty. */
struct bfd_timer *bfd_heap_first(const struct bfd_heap *h);
