#include "../test.h"

#include "bfd/heap.h"

enum { N = 500, ROUNDS = 20000 };

/* Against a scan. The seed is fixed: a failure repeats. */
static void
first_is_always_the_earliest(void **state)
{
	struct bfd_heap h = { 0 };
	static struct bfd_timer t[N];
	uint32_t random = 1;

	for (int i = 0; i < ROUNDS; i++) {
		int64_t best = INT64_MAX;
		size_t n = 0;

		random = random * 1664525 + 1013904223;
		bfd_heap_set(&h, &t[random >> 8 & 0xff],
			     random & 7 ? (struct mono){ (int64_t)(random >> 16) } : MONO_NEVER);
		for (size_t k = 0; k < N; k++)
			if (t[k].place) {
				n++;
				best = MIN(best, t[k].at.us);
			}
		assert_int_equal(h.n, n);
		if (n)
			assert_int_equal(bfd_heap_first(&h)->at.us, best);
		else
			assert_null(bfd_heap_first(&h));
	}
	bfd_heap_fini(&h);
}

static void
taking_out_twice_is_fine(void **state)
{
	struct bfd_heap h = { 0 };
	struct bfd_timer t = { 0 };

	bfd_heap_set(&h, &t, MONO_NEVER);
	bfd_heap_set(&h, &t, (struct mono){ 5 });
	assert_ptr_equal(bfd_heap_first(&h), &t);
	bfd_heap_set(&h, &t, MONO_NEVER);
	bfd_heap_set(&h, &t, MONO_NEVER);
	assert_null(bfd_heap_first(&h));
	bfd_heap_fini(&h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_is_always_the_earliest),
		cmocka_unit_test(taking_out_twice_is_fine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
