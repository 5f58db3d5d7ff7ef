/* Metrics: what is gathered is forgotten when it is idle, and kept when the store fails. */
#include "rig.h"

#include "arm/internal.h"

#include <sqlite3.h>

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
	arm_metric_add(&s, BOX "b1", &example_metrics[0], "", "", w->now_us, 8);
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

static int
many_series(struct store_tx *tx, void *arg, struct err *e)
{
	struct sample *w = arg;
	AUTO_ARENA a = { 0 };
	struct arm_error ignored = { .arena = &a };
	AUTO_OVERLAY o;
	struct arm_snapshot s;

	snapshot_init(&s, &o, w->f->en, tx, &a, NULL, &ignored, w->now_us);
	for (int i = 0; i < 12; i++)
		arm_metric_add(&s, BOX "b1", &example_metrics[0], i % 2 ? "left" : "right",
			       arena_printf(&a, "l%d", i / 2), w->now_us, 60);
	return 0;
}

static int
read_metrics(struct fixture *f, const char *more)
{
	AUTO_FREE char *query = mem_printf("api-version=2018-01-01&%s", more);

	return ask_as(f, (struct ask){ .who = "w", .query = query }, ARM_GET,
		      BOX "b1/providers/Microsoft.Insights/metrics", NULL);
}

static void
answers_are_bounded(void **state)
{
#define LONG_SPAN "&timespan=2026-01-01T00:00:00Z/2026-01-03T00:00:00Z&interval=PT1M"
	struct fixture *f = *state;
	struct sample w = { .f = f, .now_us = utc_now_us() };

	group(f);
	box(f, "b1", LEN);
	assert_int_equal(store_read(f->s, many_series, &w, NULL), 0);
	assert_int_equal(read_metrics(f, "metricnames=BitsIn,Level"), 200);
	assert_int_equal(json_array_size(arm_at(f->resp.body, "value")), 2);
	assert_int_equal(read_metrics(f, "metricnames=BitsIn,Level,bitsin"), 400);
	assert_non_null(strstr(text(f, "message"), "BitsIn is named twice"));
	/* a series for each side, and the sums of what is in it */
	assert_int_equal(
		read_metrics(f, "metricnames=BitsIn&aggregation=total&$filter=Side%20eq%20'*'"),
		200);
	json_t *series = arm_at(json_array_get(arm_at(f->resp.body, "value"), 0), "timeseries");
	json_t *data = arm_at(json_array_get(series, 0), "data"), *one;
	json_int_t total = 0;
	size_t i;

	assert_int_equal(json_array_size(series), 2);
	json_array_foreach(data, i, one)
		total += arm_int(one, "total", 0);
	assert_int_equal(total, 6 * 60);
	/* two days by the minute: of one, not of twelve */
	assert_int_equal(read_metrics(f, "metricnames=BitsIn" LONG_SPAN), 200);
	assert_int_equal(read_metrics(f,
				      "metricnames=BitsIn&$filter=Side%20eq%20'*'%20and%20Lid%20eq"
				      "%20'*'" LONG_SPAN),
			 400);
	assert_non_null(strstr(text(f, "message"), "more than 30000 points"));
}

int
main(void)
{
#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(idle_ones_are_forgotten),
		CASE(answers_are_bounded),
		CASE(nothing_is_lost_when_the_store_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
