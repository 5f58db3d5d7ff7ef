/* Runs of consecutive lines: first fit over a sorted list of free extents. Internal. */
#pragma once

#include "base/base.h"

struct blocks_extent {
	uint32_t at, n;
};
struct blocks {
	struct blocks_extent *free; /* sorted, never touching */
	size_t n, cap;
};

/* Lines 1..n_lines-1 are free; line 0 is never used. */
void blocks_init(struct blocks *b, uint32_t n_lines);
void blocks_fini(struct blocks *b);
/* 0: no such run. */
uint32_t blocks_alloc(struct blocks *b, uint32_t n);
/* Takes these very lines. false: some are not free. */
bool blocks_claim(struct blocks *b, uint32_t at, uint32_t n);
void blocks_free(struct blocks *b, uint32_t at, uint32_t n);
uint32_t blocks_n_free(const struct blocks *b);
