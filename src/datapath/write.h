/* Every write to shared arrays goes through here: word by word, aligned, only where something
 * changes, and past one hook, by which a test kills the writer at its n-th write. Internal. */
#pragma once

#include "datapath/maps.h"

extern void (*datapath_on_write)(void); /* tests only; NULL */

/* The commit: what was written before is seen before. */
static inline void
write64(void *at, uint64_t v)
{
	uint64_t *p = at;

	if (__atomic_load_n(p, __ATOMIC_RELAXED) == v)
		return;
	if (datapath_on_write)
		datapath_on_write();
	__atomic_store_n(p, v, __ATOMIC_RELEASE);
}

/* Makes *at equal to *from, n a multiple of 8. The first word goes last: by convention it holds what
 * makes an element count as used. */
static inline void
write_words(void *at, const void *from, size_t n)
{
	for (size_t i = n; i >= 8; i -= 8) {
		uint64_t v;

		memcpy(&v, (const char *)from + i - 8, 8);
		write64((char *)at + i - 8, v);
	}
}

static inline uint64_t
write_mac_word(const struct mac *m)
{
	uint64_t v = DP_MAC_VALID;

	for (int i = 0; i < 6; i++)
		v |= (uint64_t)m->b[i] << (8 * i);
	return v;
}
