/* See exact.h. An insertion into two full buckets moves other elements to their other bucket, along
 * the shortest chain to a hole, hole first: each element is visible at every moment. */
#include "datapath/exact.h"

#include "base/mem.h"
#include "datapath/write.h"

enum { CHAIN_MAX = 512 };

struct step {
	uint32_t bucket, slot;
	int from; /* index of the step before it; -1 first */
};

static uint32_t
home(const struct exact *x, uint64_t key, uint32_t which)
{
	return dp_exact_hash(key, x->n_buckets, which);
}

static uint32_t
other_home(const struct exact *x, uint64_t key, uint32_t bucket)
{
	uint32_t a = home(x, key, 0);

	return a == bucket ? home(x, key, 1) : a;
}

static struct dp_exact_slot *
find(const struct exact *x, uint64_t key, uint32_t *ret_bucket, uint32_t *ret_slot)
{
	for (uint32_t which = 0; which < 2; which++) {
		uint32_t b = home(x, key, which);

		for (uint32_t s = 0; s < 4; s++)
			if (x->bucket[b].slot[s].key == key) {
				*ret_bucket = b;
				*ret_slot = s;
				return &x->bucket[b].slot[s];
			}
	}
	return NULL;
}

static void
slot_write(struct exact *x, uint32_t b, uint32_t s, uint64_t key, uint64_t value)
{
	write64(&x->bucket[b].slot[s].value, value);
	write64(&x->bucket[b].slot[s].key, key);
}

static void
slot_clear(struct exact *x, uint32_t b, uint32_t s)
{
	write64(&x->bucket[b].slot[s].key, 0);
	x->kept[b] &= (uint8_t) ~(1u << s);
}

static void
kept_set(struct exact *x, uint32_t b, uint32_t s, bool is)
{
	x->kept[b] = (uint8_t)((x->kept[b] & ~(1u << s)) | (unsigned)is << s);
}

void
exact_init(struct exact *x, struct datapath_maps *m)
{
	*x = (struct exact){
		.bucket = datapath_maps_array(m, DP_MAP_EXACT),
		.n_buckets = (uint32_t)datapath_map_entries(DP_MAP_EXACT, datapath_maps_sizes(m)),
	};
	x->kept = mem_alloc(x->n_buckets);
	for (uint32_t b = 0; b < x->n_buckets; b++)
		for (uint32_t s = 0; s < 4; s++) {
			uint64_t key = x->bucket[b].slot[s].key;
			uint32_t fb, fs;

			if (!key)
				continue;
			if (find(x, key, &fb, &fs) == &x->bucket[b].slot[s])
				x->n_used++;
			else
				slot_clear(x, b, s);
		}
}

void
exact_fini(struct exact *x)
{
	free(x->kept);
}

uint64_t
exact_get(const struct exact *x, uint32_t space, uint32_t addr)
{
	uint32_t b, s;
	const struct dp_exact_slot *slot = find(x, DP_EXACT_KEY(space, addr), &b, &s);

	return slot ? slot->value : 0;
}

/* Breadth first: the shortest chain of moves that ends in a hole. Returns its last step or -1. */
static int
chain_find(const struct exact *x, uint64_t key, struct step *chain)
{
	uint32_t seen[CHAIN_MAX];
	int n = 0, n_seen = 0;

	for (uint32_t which = 0; which < 2; which++) {
		seen[n_seen++] = home(x, key, which);
		for (uint32_t s = 0; s < 4; s++)
			chain[n++] = (struct step){ home(x, key, which), s, -1 };
	}
	for (int i = 0; i < n; i++) {
		const struct dp_exact_slot *slot = &x->bucket[chain[i].bucket].slot[chain[i].slot];
		uint32_t next;
		bool is_new = true;

		if (!slot->key)
			return i;
		next = other_home(x, slot->key, chain[i].bucket);
		for (int k = 0; k < n_seen; k++)
			is_new &= seen[k] != next;
		if (!is_new || n + 4 > CHAIN_MAX)
			continue;
		seen[n_seen++] = next;
		for (uint32_t s = 0; s < 4; s++)
			chain[n++] = (struct step){ next, s, i };
	}
	return -1;
}

int
exact_put(struct exact *x, uint32_t space, uint32_t addr, uint64_t value)
{
	uint64_t key = DP_EXACT_KEY(space, addr);
	struct step chain[CHAIN_MAX];
	uint32_t b, s;
	struct dp_exact_slot *slot;
	int i;

	if (!key || !value)
		return -EINVAL;
	slot = find(x, key, &b, &s);
	if (slot) {
		write64(&slot->value, value);
		kept_set(x, b, s, true);
		return 0;
	}
	i = chain_find(x, key, chain);
	if (i < 0)
		return -ENOSPC;
	for (; chain[i].from >= 0; i = chain[i].from) {
		const struct step *to = &chain[i], *from = &chain[chain[i].from];
		const struct dp_exact_slot *moved = &x->bucket[from->bucket].slot[from->slot];

		slot_write(x, to->bucket, to->slot, moved->key, moved->value);
		kept_set(x, to->bucket, to->slot, x->kept[from->bucket] >> from->slot & 1);
		slot_clear(x, from->bucket, from->slot);
	}
	slot_write(x, chain[i].bucket, chain[i].slot, key, value);
	kept_set(x, chain[i].bucket, chain[i].slot, true);
	x->n_used++;
	return 0;
}

void
exact_remove(struct exact *x, uint32_t space, uint32_t addr)
{
	uint32_t b, s;

	if (!find(x, DP_EXACT_KEY(space, addr), &b, &s))
		return;
	slot_clear(x, b, s);
	x->n_used--;
}

void
exact_filter(struct exact *x, bool (*want)(void *ctx, uint64_t key, uint64_t value, bool is_kept),
	     void *ctx)
{
	for (uint32_t b = 0; b < x->n_buckets; b++)
		for (uint32_t s = 0; s < 4; s++) {
			const struct dp_exact_slot *slot = &x->bucket[b].slot[s];

			if (!slot->key || want(ctx, slot->key, slot->value, x->kept[b] >> s & 1))
				continue;
			slot_clear(x, b, s);
			x->n_used--;
		}
}
