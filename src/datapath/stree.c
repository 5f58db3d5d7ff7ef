/* See stree.h. */
#include "datapath/stree.h"

#include "base/mem.h"

struct cover {
	uint64_t end; /* first address after it */
	uint32_t result;
};

static int
prefix_order(const void *a, const void *b)
{
	const struct stree_prefix *x = a, *y = b;

	if (x->first != y->first)
		return x->first < y->first ? -1 : 1;
	return (x->len > y->len) - (x->len < y->len);
}

static void
range_emit(struct stree *t, uint64_t start, uint32_t result)
{
	if (start > UINT32_MAX)
		return;
	if (t->n_ranges && t->start[t->n_ranges - 1] == start)
		t->n_ranges--;
	if (t->n_ranges && t->result[t->n_ranges - 1] == result)
		return;
	t->start[t->n_ranges] = (uint32_t)start;
	t->result[t->n_ranges++] = result;
}

static void
flatten(struct stree *t, const struct stree_prefix *p, size_t n)
{
	struct cover stack[34] = { { 1ull << 32, 0 } };
	size_t top = 0;

	range_emit(t, 0, 0);
	for (size_t i = 0; i < n; i++) {
		uint64_t end = (uint64_t)p[i].first + (1ull << (32 - p[i].len));

		for (; stack[top].end <= p[i].first; top--)
			range_emit(t, stack[top].end, stack[top - 1].result);
		stack[top + 1] = (struct cover){ end, p[i].inherits
							      ? stack[top].result | DP_RESULT_SOURCE
							      : p[i].result };
		top++;
		range_emit(t, p[i].first, stack[top].result);
	}
	for (; top; top--)
		range_emit(t, stack[top].end, stack[top - 1].result);
}

/* Levels from the leaves up, until the root can hold them. */
static int
shape(struct stree *t, struct err *e)
{
	uint32_t up[DP_MAX_DEPTH + 1];
	uint32_t n = (t->n_ranges + DP_LEAF_RANGES - 1) / DP_LEAF_RANGES;
	uint32_t depth = 0;

	t->n_lines = 1;
	for (;; depth++) {
		if (depth > DP_MAX_DEPTH)
			return err_set(e, -E2BIG, "table of %u ranges is too large", t->n_ranges);
		up[depth] = n;
		t->n_lines += n;
		if (n <= DP_ROOT_KEYS + 1)
			break;
		n = (n + DP_INNER_KEYS - 1) / DP_INNER_KEYS;
	}
	t->depth = depth;
	for (uint32_t i = 0; i <= depth; i++)
		t->level[i] = up[depth - i];
	return 0;
}

int
stree_build(struct stree *t, struct stree_prefix *p, size_t n, struct err *e)
{
	int r;

	*t = (struct stree){ 0 };
	if (n > (1u << 24))
		return err_set(e, -E2BIG, "table of %zu prefixes is too large", n);
	qsort(p, n, sizeof(*p), prefix_order);
	for (size_t i = 0; i < n; i++) {
		if (p[i].len > 32 || (p[i].len == 32 && p[i].first == UINT32_MAX) ||
		    (p[i].len < 32 && p[i].first & (UINT32_MAX >> p[i].len)))
			return err_set(e, -EINVAL, "prefix %08x/%u cannot be routed", p[i].first,
				       p[i].len);
		if (i && !prefix_order(&p[i - 1], &p[i]))
			return err_set(e, -EINVAL, "prefix %08x/%u given twice", p[i].first,
				       p[i].len);
	}
	t->start = mem_array(2 * n + 1, sizeof(*t->start));
	t->result = mem_array(2 * n + 1, sizeof(*t->result));
	flatten(t, p, n);
	r = shape(t, e);
	if (r < 0)
		stree_fini(t);
	return r;
}

void
stree_fini(struct stree *t)
{
	free(t->start);
	free(t->result);
	*t = (struct stree){ 0 };
}

/* First address of the i-th line of a level, or the padding key. */
static uint32_t
line_first(const struct stree *t, uint32_t level, uint32_t i)
{
	uint64_t range = (uint64_t)i * DP_LEAF_RANGES;

	if (i >= t->level[level])
		return UINT32_MAX;
	for (uint32_t l = level; l < t->depth; l++)
		range *= DP_INNER_KEYS;
	return t->start[range];
}

static void
leaf_fill(const struct stree *t, uint32_t i, struct dp_leaf *leaf)
{
	for (uint32_t k = 0; k < DP_LEAF_RANGES; k++) {
		uint32_t range = i * DP_LEAF_RANGES + k;
		bool is = range < t->n_ranges;

		leaf->start[k] = is ? t->start[range] : UINT32_MAX;
		leaf->result[k] = is ? t->result[range] : 0;
	}
}

void
stree_layout(const struct stree *t, uint32_t owner, uint32_t at, union dp_line *out)
{
	struct dp_root root = { .owner = owner, .n_lines = t->n_lines, .depth = t->depth };
	uint32_t base = 1;

	for (uint32_t k = 0; k < DP_ROOT_KEYS; k++)
		root.key[k] = line_first(t, 0, k + 1);
	for (uint32_t level = 0; level < t->depth; level++) {
		for (uint32_t i = 0; i < t->level[level]; i++)
			for (uint32_t k = 0; k < DP_INNER_KEYS; k++)
				out[base + i].inner.key[k] =
					line_first(t, level + 1, i * DP_INNER_KEYS + k);
		base += t->level[level];
		root.base[level] = at + base;
	}
	for (uint32_t i = 0; i < t->level[t->depth]; i++)
		leaf_fill(t, i, &out[base + i].leaf);
	out[0].root = root;
}

static uint32_t
rank(const uint32_t *key, uint32_t n, uint32_t addr)
{
	uint32_t r = 0;

	for (uint32_t i = 0; i < n; i++)
		r += key[i] <= addr;
	return r;
}

uint32_t
stree_find(const union dp_line *lines, uint32_t n_lines, uint32_t vroot, uint32_t owner,
	   uint32_t addr)
{
	const struct dp_root *root = &lines[vroot].root;
	uint32_t base = vroot + 1, child;

	if (!vroot || vroot >= n_lines || root->owner != owner || addr == UINT32_MAX)
		return 0;
	child = rank(root->key, DP_ROOT_KEYS, addr);
	for (uint32_t level = 0; level < DP_MAX_DEPTH && level < root->depth; level++) {
		if (base + child >= n_lines)
			return 0;
		child = child * DP_INNER_KEYS +
			rank(lines[base + child].inner.key, DP_INNER_KEYS, addr) - 1;
		base = root->base[level];
	}
	if (base + child >= n_lines)
		return 0;
	return lines[base + child]
		.leaf.result[(rank(lines[base + child].leaf.start, DP_LEAF_RANGES, addr) - 1) &
			     (DP_LEAF_RANGES - 1)];
}
