/* Prefixes to the lines of a longest-prefix-match tree: flattened to disjoint ranges, then laid out as
 * a static B-tree (struct dp_root). Pure; works on private memory. Internal. */
#pragma once

#include "base/err.h"
#include "datapath/shared.h"

struct stree_prefix {
	uint32_t first; /* CPU order, no host bits */
	uint8_t len;
	bool inherits; /* result is that of the covering prefix, with the source bit added */
	uint32_t result;
};
struct stree {
	uint32_t *start, *result; /* disjoint ranges; start[0] is 0 */
	uint32_t n_ranges;
	uint32_t depth, n_lines;
	uint32_t level[DP_MAX_DEPTH + 1]; /* lines in each level, root's children first */
};

/* Sorts p. -EINVAL for a prefix given twice or 255.255.255.255/32, -E2BIG for more ranges than a tree
 * holds. */
int stree_build(struct stree *t, struct stree_prefix *p, size_t n, struct err *e);
void stree_fini(struct stree *t);
/* The block of n_lines lines, as it stands at line `at`. */
void stree_layout(const struct stree *t, uint32_t owner, uint32_t at, union dp_line *out);
/* The programs' lookup, in C: for queries and tests. vroot 0: no table. */
uint32_t stree_find(const union dp_line *lines, uint32_t n_lines, uint32_t vroot, uint32_t owner,
		    uint32_t addr);
