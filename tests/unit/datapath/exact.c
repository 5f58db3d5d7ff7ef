/* The exact-match table: everything put is found, up to a high load; a reader between any two writes
 * finds every element; a writer's death leaves no element twice. */
#include "../test.h"

#include "datapath/exact.h"
#include "datapath/write.h"

enum { BUCKETS = 256, SLOTS = BUCKETS * 4 };

static struct datapath_maps *
maps_make(void)
{
	struct dp_sizes s = { .n_buckets = BUCKETS, .n_numbers = 16 };

	return datapath_maps_memory(&s);
}

static uint32_t
addr_of(uint32_t i)
{
	return 0x0a000000 + i * 7;
}

static void
test_load(void **state)
{
	AUTO(datapath_maps) m = maps_make();
	struct exact x;
	uint32_t n = 0;

	exact_init(&x, m);
	while (n < SLOTS && exact_put(&x, 5, addr_of(n), 1000 + n) == 0)
		n++;
	print_message("%u of %u slots before the first refusal\n", n, SLOTS);
	assert_true(n > SLOTS * 90 / 100);
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(exact_get(&x, 5, addr_of(i)), 1000 + i);
	assert_int_equal(exact_get(&x, 6, addr_of(0)), 0);
	for (uint32_t i = 0; i < n; i += 2)
		exact_remove(&x, 5, addr_of(i));
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(exact_get(&x, 5, addr_of(i)), i % 2 ? 1000 + i : 0);
	exact_fini(&x);
}

/* Before each write of an insertion, everything inserted earlier must be visible. */
static struct exact *watched;
static uint32_t watched_n;

static void
watch(void)
{
	for (uint32_t i = 0; i < watched_n; i++)
		assert_int_equal(exact_get(watched, 5, addr_of(i)), 1000 + i);
}

static void
test_readers_see_all(void **state)
{
	AUTO(datapath_maps) m = maps_make();
	struct exact x;

	exact_init(&x, m);
	watched = &x;
	datapath_on_write = watch;
	for (watched_n = 0; watched_n < SLOTS * 85 / 100; watched_n++)
		assert_int_equal(exact_put(&x, 5, addr_of(watched_n), 1000 + watched_n), 0);
	datapath_on_write = NULL;
	exact_fini(&x);
}

static jmp_buf death;
static long writes_left;

static void
die(void)
{
	if (!writes_left--)
		longjmp(death, 1);
}

static unsigned
copies(const struct exact *x, uint64_t key)
{
	unsigned n = 0;

	for (uint32_t b = 0; b < x->n_buckets; b++)
		for (int s = 0; s < 4; s++)
			n += x->bucket[b].slot[s].key == key;
	return n;
}

static void
test_death_while_moving(void **state)
{
	const uint32_t before = SLOTS * 88 / 100;

	for (volatile long at = 0; at < 60; at++) {
		struct datapath_maps *volatile m = maps_make();
		static struct exact x;

		exact_init(&x, m);
		for (uint32_t i = 0; i < before; i++)
			assert_int_equal(exact_put(&x, 5, addr_of(i), 1000 + i), 0);
		writes_left = at;
		datapath_on_write = die;
		if (!setjmp(death))
			for (uint32_t i = before; i < before + 20; i++)
				assert_int_equal(exact_put(&x, 5, addr_of(i), 1000 + i), 0);
		datapath_on_write = NULL;
		exact_fini(&x);
		exact_init(&x, m);
		for (uint32_t i = 0; i < before; i++) {
			assert_int_equal(exact_get(&x, 5, addr_of(i)), 1000 + i);
			assert_int_equal(copies(&x, DP_EXACT_KEY(5, addr_of(i))), 1);
		}
		exact_fini(&x);
		datapath_maps_destroy(m);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_load),
		cmocka_unit_test(test_readers_see_all),
		cmocka_unit_test(test_death_while_moving),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
