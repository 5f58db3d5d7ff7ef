/* The tree of ranges against a linear search over the prefixes. */
#include "../test.h"

#include "base/mem.h"
#include "datapath/blocks.h"
#include "datapath/stree.h"

static uint64_t seed = 20261122;

static uint32_t
rnd(void)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(seed >> 32);
}

static uint32_t
mask(unsigned len)
{
	return len ? UINT32_MAX << (32 - len) : 0;
}

/* Longest live prefix decides; the source bit also comes from those that inherit. */
static uint32_t
model(const struct stree_prefix *p, size_t n, uint32_t addr)
{
	uint32_t result = 0;

	for (int len = 0; len <= 32; len++)
		for (size_t i = 0; i < n; i++)
			if (p[i].len == len && (addr & mask((unsigned)len)) == p[i].first)
				result = p[i].inherits ? result | DP_RESULT_SOURCE : p[i].result;
	return result;
}

static size_t
random_prefixes(struct stree_prefix *p, size_t cap, unsigned shape)
{
	size_t n = 0;

	while (n < cap) {
		struct stree_prefix x = { .result = 1 + rnd() % 5 };
		bool is_new = true;

		x.len = shape == 0 ? rnd() % 33 : shape == 1 ? 24 + rnd() % 9 : 30 + rnd() % 3;
		x.first = (shape == 0 ? rnd() : 0x0a000000 | (rnd() & 0xffff)) & mask(x.len);
		x.inherits = rnd() % 8 == 0;
		if (x.first == UINT32_MAX)
			continue;
		for (size_t i = 0; i < n; i++)
			is_new &= p[i].first != x.first || p[i].len != x.len;
		if (!is_new && shape == 0)
			continue;
		if (!is_new) {
			cap--;
			continue;
		}
		p[n++] = x;
	}
	return n;
}

static void
compare(struct stree_prefix *p, size_t n)
{
	const uint32_t at = 3; /* not at the array's start */
	struct stree t;
	union dp_line *lines;
	struct err e = { 0 };

	assert_int_equal(stree_build(&t, p, n, &e), 0);
	lines = mem_array(at + t.n_lines, sizeof(*lines));
	stree_layout(&t, 77, at, lines + at);
	assert_int_equal(lines[at].root.n_lines, t.n_lines);
	for (size_t i = 0; i < n; i++) {
		uint32_t last = p[i].first | ~mask(p[i].len);
		uint32_t near[] = { p[i].first, p[i].first - 1, last, last + 1, rnd() };

		for (size_t k = 0; k < COUNT(near); k++) {
			uint32_t want = near[k] == UINT32_MAX ? 0 : model(p, n, near[k]);

			assert_int_equal(stree_find(lines, at + t.n_lines, at, 77, near[k]), want);
		}
	}
	assert_int_equal(stree_find(lines, at + t.n_lines, at, 78, p[0].first), 0);
	free(lines);
	stree_fini(&t);
}

static void
test_against_model(void **state)
{
	static const size_t sizes[] = { 1, 2, 7, 8, 9, 43, 44, 45, 87, 88, 89, 300, 704, 705, 1500 };

	print_message("seed %llu\n", (unsigned long long)seed);
	for (size_t s = 0; s < COUNT(sizes); s++)
		for (unsigned shape = 0; shape < 3; shape++) {
			AUTO_FREE struct stree_prefix *p = mem_array(sizes[s], sizeof(*p));

			compare(p, random_prefixes(p, sizes[s], shape));
		}
}

/* Every depth, against the flattened ranges: the model would be too slow. */
static void
test_depths(void **state)
{
	static const struct {
		size_t n;
		uint32_t depth;
	} cases[] = { { 0, 0 }, { 40, 0 }, { 600, 1 }, { 10000, 2 }, { 170000, 3 } };

	for (size_t c = 0; c < COUNT(cases); c++) {
		AUTO_FREE struct stree_prefix *p = mem_array(cases[c].n + 1, sizeof(*p));
		AUTO_FREE union dp_line *lines = NULL;
		struct stree t;

		for (size_t i = 0; i < cases[c].n; i++) /* holes between, so two ranges each */
			p[i] = (struct stree_prefix){ (uint32_t)i * 512, 24, false, 1 + i % 3 };
		assert_int_equal(stree_build(&t, p, cases[c].n, NULL), 0);
		assert_int_equal(t.depth, cases[c].depth);
		lines = mem_array(1 + t.n_lines, sizeof(*lines));
		stree_layout(&t, 5, 1, lines + 1);
		for (uint32_t r = 0; r < t.n_ranges; r++) {
			assert_int_equal(stree_find(lines, 1 + t.n_lines, 1, 5, t.start[r]),
					 t.result[r]);
			if (t.start[r])
				assert_int_equal(stree_find(lines, 1 + t.n_lines, 1, 5,
							    t.start[r] - 1),
						 t.result[r - 1]);
		}
		stree_fini(&t);
	}
}

static void
test_refusals(void **state)
{
	struct stree_prefix twice[] = { { 0x0a000000, 8, false, 1 }, { 0x0a000000, 8, false, 2 } };
	struct stree_prefix last[] = { { UINT32_MAX, 32, false, 1 } };
	struct stree_prefix host_bits[] = { { 0x0a000001, 8, false, 1 } };
	struct stree_prefix default_route[] = { { 0, 0, false, 9 } };
	AUTO_FREE struct stree_prefix *many = mem_array(400000, sizeof(*many));
	struct err e = { 0 };
	struct stree t;

	assert_int_equal(stree_build(&t, twice, 2, &e), -EINVAL);
	assert_int_equal(stree_build(&t, last, 1, &e), -EINVAL);
	assert_int_equal(stree_build(&t, host_bits, 1, &e), -EINVAL);
	assert_int_equal(stree_build(&t, default_route, 1, &e), 0);
	assert_int_equal(t.n_ranges, 1);
	stree_fini(&t);
	for (uint32_t i = 0; i < 400000; i++)
		many[i] = (struct stree_prefix){ i * 512, 24, false, 1 + i % 3 };
	assert_int_equal(stree_build(&t, many, 400000, &e), -E2BIG);
}

static void
test_blocks(void **state)
{
	struct blocks b;
	uint32_t a, c, d;

	blocks_init(&b, 100);
	assert_int_equal(blocks_n_free(&b), 99);
	a = blocks_alloc(&b, 10);
	c = blocks_alloc(&b, 20);
	d = blocks_alloc(&b, 69);
	assert_true(a && c && d);
	assert_int_equal(blocks_alloc(&b, 1), 0);
	blocks_free(&b, c, 20);
	assert_int_equal(blocks_alloc(&b, 21), 0);
	assert_false(blocks_claim(&b, c + 1, 20));
	assert_true(blocks_claim(&b, c + 5, 5));
	blocks_free(&b, c + 5, 5);
	blocks_free(&b, a, 10);
	blocks_free(&b, d, 69);
	assert_int_equal(b.n, 1);
	assert_int_equal(blocks_n_free(&b), 99);
	blocks_fini(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_model),
		cmocka_unit_test(test_depths),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_blocks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
