/* See blocks.h. */
#include "datapath/blocks.h"

#include "base/mem.h"

static void
extent_insert(struct blocks *b, size_t i, struct blocks_extent x)
{
	if (b->n == b->cap) {
		b->cap = b->cap ? b->cap * 2 : 16;
		b->free = mem_realloc(b->free, b->cap * sizeof(*b->free));
	}
	memmove(b->free + i + 1, b->free + i, (b->n - i) * sizeof(*b->free));
	b->free[i] = x;
	b->n++;
}

static void
extent_remove(struct blocks *b, size_t i)
{
	b->n--;
	memmove(b->free + i, b->free + i + 1, (b->n - i) * sizeof(*b->free));
}

void
blocks_init(struct blocks *b, uint32_t n_lines)
{
	*b = (struct blocks){ 0 };
	if (n_lines > 1)
		extent_insert(b, 0, (struct blocks_extent){ 1, n_lines - 1 });
}

void
blocks_fini(struct blocks *b)
{
	free(b->free);
}

uint32_t
blocks_alloc(struct blocks *b, uint32_t n)
{
	for (size_t i = 0; i < b->n; i++) {
		uint32_t at = b->free[i].at;

		if (b->free[i].n < n)
			continue;
		b->free[i].at += n;
		b->free[i].n -= n;
		if (!b->free[i].n)
			extent_remove(b, i);
		return at;
	}
	return 0;
}

bool
blocks_claim(struct blocks *b, uint32_t at, uint32_t n)
{
	for (size_t i = 0; i < b->n; i++) {
		struct blocks_extent x = b->free[i];

		if (at < x.at || (uint64_t)at + n > (uint64_t)x.at + x.n)
			continue;
		extent_remove(b, i);
		if (x.at + x.n > at + n)
			extent_insert(b, i, (struct blocks_extent){ at + n, x.at + x.n - at - n });
		if (at > x.at)
			extent_insert(b, i, (struct blocks_extent){ x.at, at - x.at });
		return true;
	}
	return false;
}

void
blocks_free(struct blocks *b, uint32_t at, uint32_t n)
{
	size_t i = 0;

	while (i < b->n && b->free[i].at < at)
		i++;
	extent_insert(b, i, (struct blocks_extent){ at, n });
	if (i + 1 < b->n && at + n == b->free[i + 1].at) {
		b->free[i].n += b->free[i + 1].n;
		extent_remove(b, i + 1);
	}
	if (i > 0 && b->free[i - 1].at + b->free[i - 1].n == at) {
		b->free[i - 1].n += b->free[i].n;
		extent_remove(b, i);
	}
}

uint32_t
blocks_n_free(const struct blocks *b)
{
	uint32_t n = 0;

	for (size_t i = 0; i < b->n; i++)
		n += b->free[i].n;
	return n;
}
