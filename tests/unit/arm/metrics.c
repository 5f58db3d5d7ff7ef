/* Metrics: what is gathered is forgotten when it is idle, and kept when the store fails. */
#include "rig.h"

#include "arm/internal.h"

#include <sqlite3.h>

static const struct arm_metric metric = { .name = "BitsIn", .kind = ARM_METRIC_RATE };

struct sample {
	struct fixture *f;
	int64_t now_us, grown;
};

static int
sample(struct store_tx *tx, void *arg, struct err *e)
{
	struct sample *w = arg;
	AUTO_ARENA a = { 0 };
	struct arm_error ignored = { .arena = &a };
	AUTO_OVERLAY o;
	struct arm_snapshot s;

	snapshot_init(&s, &o, w->f->en, tx, &a, NULL, &ignored, w->now_us);
	arm_metric_add(&s, BOX "b1", &metric, "", "", w->now_us, 8);
	w->grown = arm_metric_grown(&s, "n/boot/0/0", 10);
	w->grown += arm_metric_grown(&s, "n/boot/0/0", 15);
	return 0;
}

static void
idle_ones_are_forgotten(void **state)
{
	struct fixture *f = *state;
	struct sample w = { .f = f, .now_us = utc_now_us() };

	assert_int_equal(store_read(f->s, sample, &w, NULL), 0);
	assert_int_equal(w.grown, 5);
	metrics_flush(f->en, true);
	assert_int_equal(metrics_held(f->en->metrics).targets, 1);
	assert_int_equal(metrics_held(f->en->metrics).counters, 1);
	metrics_drop_idle(f->en->metrics, w.now_us + 3601 * 1000000LL);
	assert_int_equal(metrics_held(f->en->metrics).targets, 0);
	assert_int_equal(metrics_held(f->en->metrics).counters, 0);
	/* and begin anew */
	assert_int_equal(store_read(f->s, sample, &w, NULL), 0);
	assert_int_equal(w.grown, 5);
	assert_int_equal(metrics_held(f->en->metrics).targets, 1);
}

static void
run_sql(struct fixture *f, const char *sql)
{
	AUTO_FREE char *path = mem_printf("%s.usage", f->db);
	sqlite3 *db;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

static void
nothing_is_lost_when_the_store_fails(void **state)
{
	struct fixture *f = *state;
	struct sample w = { .f = f, .now_us = utc_now_us() };

	assert_int_equal(store_read(f->s, sample, &w, NULL), 0);
	run_sql(f, "ALTER TABLE metric RENAME TO away");
	metrics_flush(f->en, true);
	assert_int_equal(metrics_held(f->en->metrics).lines, 3); /* one of each length */
	run_sql(f, "ALTER TABLE away RENAME TO metric");
	metrics_flush(f->en, true);
	assert_int_equal(metrics_held(f->en->metrics).lines, 0);
}

int
main(void)
{
#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(idle_ones_are_forgotten),
		CASE(nothing_is_lost_when_the_store_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
