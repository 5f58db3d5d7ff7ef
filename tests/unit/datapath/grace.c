/* Elements come back after the time, and not before every CPU has left its run. */
#include "../test.h"

#include "datapath/grace.h"

static unsigned released;

static void
count(void *ctx, const struct grace_item *i)
{
	released += i->n;
}

static void
test_waits_for_time_and_cpus(void **state)
{
	struct dp_sizes s = { .n_cpu = 3, .n_numbers = 16 };
	AUTO(datapath_maps) m = datapath_maps_memory(&s);
	struct dp_epoch *epoch = datapath_maps_array(m, DP_MAP_EPOCH);
	struct mono t = { 1000000 }, next;
	struct grace g;

	grace_init(&g, m);
	assert_true(grace_is_idle(&g));
	epoch[1].count = 7; /* inside a run */
	grace_add(&g, GRACE_LINES, 1, 5, t);
	next = grace_tick(&g, t, count, NULL);
	assert_int_equal(next.us, t.us + GRACE_MS * 1000);
	grace_add(&g, GRACE_LINES, 9, 2, mono_add_ms(t, 10)); /* the next batch */
	next = grace_tick(&g, next, count, NULL);
	assert_int_equal(released, 0);
	epoch[2].count = 3; /* entered later: it cannot hold the element */
	next = grace_tick(&g, next, count, NULL);
	assert_int_equal(released, 0);
	epoch[1].count = 9; /* inside again, but another run */
	next = grace_tick(&g, next, count, NULL);
	assert_int_equal(released, 5);
	epoch[1].count = epoch[2].count = 10;
	next = grace_tick(&g, next, count, NULL);
	assert_int_equal(released, 7);
	assert_int_equal(next.us, MONO_NEVER.us);
	assert_true(grace_is_idle(&g));
	grace_fini(&g);
}

/* Without a time at hand the period counts from the next tick. */
static void
test_unknown_time(void **state)
{
	struct dp_sizes s = { .n_cpu = 1, .n_numbers = 16 };
	AUTO(datapath_maps) m = datapath_maps_memory(&s);
	struct mono t = { 5000000 };
	struct grace g;

	released = 0;
	grace_init(&g, m);
	grace_add(&g, GRACE_NH, 1, 1, (struct mono){ 0 });
	assert_int_equal(grace_tick(&g, t, count, NULL).us, t.us + GRACE_MS * 1000);
	assert_int_equal(released, 0);
	grace_tick(&g, mono_add_ms(t, GRACE_MS), count, NULL);
	assert_int_equal(released, 1);
	grace_fini(&g);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_waits_for_time_and_cpus),
		cmocka_unit_test(test_unknown_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
