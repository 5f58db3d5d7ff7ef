#include "../test.h"

#include "base/mem.h"
#include "edge/ledger.h"

#include <dirent.h>
#include <signal.h>
#include <sys/resource.h>

struct place {
	char dir[64];
	struct journal *journal;
	struct ledger *ledger;
};

static int
make_place(void **state)
{
	struct place *p = mem_alloc(sizeof(*p));
	struct err e = { 0 };

	snprintf(p->dir, sizeof(p->dir), "/tmp/ledger-XXXXXX");
	*state = p;
	if (!mkdtemp(p->dir) || journal_open(p->dir, "0123456789abcdef", &p->journal, &e) < 0)
		return -1;
	p->ledger = ledger_create(journal_sequence(p->journal));
	return 0;
}

static int
remove_place(void **state)
{
	struct place *p = *state;
	DIR *d = opendir(p->dir);
	struct dirent *ent;

	while (d && (ent = readdir(d)) != NULL)
		unlinkat(dirfd(d), ent->d_name, 0);
	if (d)
		closedir(d);
	rmdir(p->dir);
	ledger_destroy(p->ledger);
	journal_close(p->journal);
	free(p);
	return 0;
}

/* No file may grow (as on a full disk), or again may. */
static void
fill_disk(bool is_full)
{
	static struct rlimit before;
	struct rlimit none;

	signal(SIGXFSZ, SIG_IGN);
	if (!is_full) {
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
		return;
	}
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	none = (struct rlimit){ 10, before.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
}

static void
count(struct place *p, uint64_t packets, bool is_final)
{
	struct datapath_reading r = { .slot = 2,
				      .incarnation = 1,
				      .domain = { 17 },
				      .direction = DP_IN,
				      .is_final = is_final,
				      .bytes = packets * 100,
				      .packets = packets };

	ledger_read(p->ledger, &r);
	ledger_name(p->ledger, &r, "c", "d");
}

/* As the edge's worker does: the next cut to disk. False: there was none, or it failed. */
static bool
write_cut(struct place *p)
{
	const struct cut *c = ledger_next(p->ledger);
	int r;

	if (!c)
		return false;
	r = journal_append(p->journal, c->cause, c->utc_us, c->readings, c->n, NULL);
	ledger_written(p->ledger, r < 0 ? 0 : journal_sequence(p->journal));
	return r == 0;
}

static void
test_a_failed_write_is_no_reading(void **state)
{
	struct place *p = *state;
	uint32_t slot = 0;

	count(p, 10, false);
	assert_true(ledger_cut(p->ledger, JOURNAL_SECOND, 1));
	assert_true(write_cut(p));
	/* the domain goes; its last reading does not get to the disk */
	count(p, 15, true);
	assert_true(ledger_cut(p->ledger, JOURNAL_SECOND, 2));
	fill_disk(true);
	assert_false(write_cut(p));
	fill_disk(false);
	assert_int_equal(journal_sequence(p->journal), 1);
	/* another entry takes the next sequence, and its acknowledgement comes */
	assert_int_equal(journal_append(p->journal, JOURNAL_HOUR, 3, NULL, 0, NULL), 0);
	assert_false(ledger_settle(p->ledger, 2, &slot));
	/* the next second has it again */
	assert_true(ledger_cut(p->ledger, JOURNAL_SECOND, 4));
	assert_int_equal(ledger_next(p->ledger)->n, 1);
	assert_int_equal(ledger_next(p->ledger)->readings[0].packets_in, 15);
	assert_false(ledger_settle(p->ledger, 2, &slot));
	assert_true(write_cut(p));
	assert_int_equal(ledger_sequence(p->ledger), 3);
	/* on disk, but not acknowledged */
	assert_false(ledger_settle(p->ledger, 2, &slot));
	assert_true(ledger_settle(p->ledger, 3, &slot));
	assert_int_equal(slot, 2);
	assert_false(ledger_settle(p->ledger, 3, &slot));
}

static void
test_a_price_change_waits_its_turn(void **state)
{
	struct place *p = *state;

	count(p, 10, false);
	assert_true(ledger_cut(p->ledger, JOURNAL_SECOND, 1));
	/* while that is being written: the bandwidth changes, then the hour */
	count(p, 12, false);
	assert_true(ledger_cut(p->ledger, JOURNAL_CHANGE, 2));
	count(p, 14, false);
	assert_true(ledger_cut(p->ledger, JOURNAL_HOUR, 3));
	count(p, 16, false);
	assert_true(ledger_cut(p->ledger, JOURNAL_SECOND, 4));
	assert_true(write_cut(p));
	assert_int_equal(ledger_next(p->ledger)->cause, JOURNAL_CHANGE);
	assert_int_equal(ledger_next(p->ledger)->utc_us, 2);
	assert_int_equal(ledger_next(p->ledger)->readings[0].packets_in, 12);
	/* it is tried until it is written */
	fill_disk(true);
	assert_false(write_cut(p));
	assert_false(write_cut(p));
	fill_disk(false);
	assert_true(write_cut(p));
	assert_int_equal(ledger_next(p->ledger)->cause, JOURNAL_HOUR);
	assert_int_equal(ledger_next(p->ledger)->readings[0].packets_in, 14);
	assert_true(write_cut(p));
	assert_null(ledger_next(p->ledger));
	/* nothing has moved: a second has nothing to say, an hour has */
	count(p, 14, false);
	assert_true(ledger_cut(p->ledger, JOURNAL_SECOND, 5));
	assert_null(ledger_next(p->ledger));
	assert_true(ledger_cut(p->ledger, JOURNAL_HOUR, 6));
	assert_int_equal(ledger_next(p->ledger)->n, 1);
}

static void
test_what_waits_is_bounded(void **state)
{
	struct place *p = *state;

	count(p, 10, false);
	for (int i = 0; i < LEDGER_CUTS; i++)
		assert_true(ledger_cut(p->ledger, JOURNAL_HOUR, i));
	assert_false(ledger_cut(p->ledger, JOURNAL_HOUR, LEDGER_CUTS));
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, make_place, remove_place)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_a_failed_write_is_no_reading),
		CASE(test_a_price_change_waits_its_turn),
		CASE(test_what_waits_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
