#include "../test.h"

#include "base/mem.h"
#include "supervise/bfdstate.h"

#include <fcntl.h>

static char dir[] = "/tmp/wayleave-bfdstate-XXXXXX";

static struct bfd_session *
session(uint32_t discr)
{
	struct bfd_config c = {
		.local_discr = discr, .min_tx_us = 300000, .min_rx_us = 300000, .detect_mult = 3
	};

	return bfd_session_create(&c, (struct mono){ 5 });
}

static uint32_t
discr_of(const struct bfdstate_slot *slot)
{
	AUTO(bfd_session) s = bfd_session_restore(bfdstate_saved(slot), (struct mono){ 5 });

	return s ? bfd_session_status(s).local_discr : 0;
}

static void
outlives_its_process(void **state)
{
	AUTO(bfdstate) a = NULL;
	AUTO(bfdstate) b = NULL;
	AUTO(bfd_session) one = session(1);
	AUTO(bfd_session) two = session(2);
	struct bfdstate_slot *x, *y;
	uint32_t it = 0;

	assert_int_equal(bfdstate_open(dir, &a, NULL), 0);
	x = bfdstate_alloc(a);
	y = bfdstate_alloc(a);
	bfdstate_alloc(a); /* never saved: never there */
	x->cfg.link = 11;
	bfdstate_save(x, one);
	bfdstate_save(y, one);
	bfdstate_save(y, two);
	assert_int_equal(bfdstate_open(dir, &b, NULL), 0); /* a second reader of the same file */
	x = bfdstate_next(b, &it);
	assert_int_equal(x->cfg.link, 11);
	assert_int_equal(discr_of(x), 1);
	assert_int_equal(discr_of(bfdstate_next(b, &it)), 2);
	assert_null(bfdstate_next(b, &it));
}

static void
freed_slots_come_again(void **state)
{
	AUTO(bfdstate) a = NULL;
	AUTO(bfd_session) one = session(1);
	struct bfdstate_slot *slots[100];
	uint32_t it = 0, n = 0;

	assert_int_equal(bfdstate_open(dir, &a, NULL), 0);
	while (bfdstate_next(a, &it))
		bfdstate_free(a, bfdstate_next(a, &(uint32_t){ 0 }));
	for (size_t i = 0; i < COUNT(slots); i++) {
		slots[i] = bfdstate_alloc(a);
		bfdstate_save(slots[i], one);
	}
	bfdstate_free(a, slots[40]);
	assert_ptr_equal(bfdstate_alloc(a), slots[40]);
	for (it = 0; bfdstate_next(a, &it);)
		n++;
	assert_int_equal(n, COUNT(slots) - 1);
}

static void
another_layout_starts_afresh(void **state)
{
	AUTO_FREE char *path = mem_printf("%s/%s", dir, BFDSTATE_FILE);
	AUTO(bfdstate) a = NULL;
	AUTO_CLOSE fd = open(path, O_RDWR);
	uint32_t it = 0;

	assert_int_equal(pwrite(fd, "garbage!", 8, 0), 8);
	assert_int_equal(bfdstate_open(dir, &a, NULL), 0);
	assert_null(bfdstate_next(a, &it));
}

static int
setup(void **state)
{
	return mkdtemp(dir) ? 0 : -1;
}

static int
teardown(void **state)
{
	AUTO_FREE char *path = mem_printf("%s/%s", dir, BFDSTATE_FILE);

	unlink(path);
	return rmdir(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(outlives_its_process),
		cmocka_unit_test(freed_slots_come_again),
		cmocka_unit_test(another_layout_starts_afresh),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
