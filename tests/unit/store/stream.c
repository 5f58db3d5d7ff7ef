/* Events of streams and packed metrics. */
#include "../test.h"

#include "base/mem.h"
#include "store/store.h"

struct fixture {
	char dir[64], db[96], key[96];
	struct store *s;
};

static int
setup(void **state)
{
	struct fixture *f = mem_alloc(sizeof(*f));
	struct store_config cfg = { .path = f->db, .master_key = f->key };

	snprintf(f->dir, sizeof(f->dir), "/tmp/unit-store-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->db, sizeof(f->db), "%s/s.db", f->dir);
	snprintf(f->key, sizeof(f->key), "%s/key", f->dir);
	assert_int_equal(store_open(&cfg, &f->s, NULL), 0);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	static const char *const tails[] = { "s.db",       "s.db-wal",       "s.db-shm",
					     "s.db.usage", "s.db.usage-wal", "s.db.usage-shm",
					     "key" };
	struct fixture *f = *state;

	store_destroy(f->s);
	for (size_t i = 0; i < COUNT(tails); i++) {
		AUTO_FREE char *path = mem_printf("%s/%s", f->dir, tails[i]);

		unlink(path);
	}
	rmdir(f->dir);
	free(f);
	return 0;
}

static int
add(struct store_tx *tx, void *arg, struct err *e)
{
	struct store_stream_event ev = { .kind = "resource", .body = "{}" };
	int r = 0;

	for (int i = 0; i < 6 && r == 0; i++) {
		ev.at_us = i;
		ev.sub = i % 2 ? "s1" : "s2";
		ev.target = i % 3 ? "/a" : "/b";
		r = store_stream_add(tx, &ev, e);
	}
	return r;
}

static int
read_all(struct store_tx *tx, void *arg, struct err *e)
{
	AUTO_ARENA a = { 0 };
	struct store_stream_event *list;
	int64_t floor, last;
	size_t n;

	assert_int_equal(store_stream_range(tx, &floor, &last, e), 0);
	assert_int_equal(floor, 0);
	assert_int_equal(last, 6);
	assert_int_equal(store_stream_since(tx, &a, NULL, NULL, 2, 10, &list, &n, e), 0);
	assert_int_equal(n, 4);
	assert_int_equal(list[0].seq, 3);
	assert_int_equal(store_stream_since(tx, &a, "s1", NULL, 0, 10, &list, &n, e), 0);
	assert_int_equal(n, 3);
	assert_int_equal(store_stream_since(tx, &a, NULL, "/b", 0, 1, &list, &n, e), 0);
	assert_int_equal(n, 1);
	assert_int_equal(list[0].seq, 1);
	return 0;
}

static int
prune(struct store_tx *tx, void *arg, struct err *e)
{
	return store_stream_prune(tx, *(int64_t *)arg, e);
}

static int
range(struct store_tx *tx, void *arg, struct err *e)
{
	int64_t *v = arg;

	return store_stream_range(tx, &v[0], &v[1], e);
}

static void
events_are_kept_in_order_for_a_while(void **state)
{
	struct fixture *f = *state;
	int64_t before = 2, v[2];

	assert_int_equal(store_read(f->s, range, v, NULL), 0);
	assert_int_equal(v[0], 0);
	assert_int_equal(v[1], 0);
	assert_int_equal(store_write(f->s, add, NULL, NULL), 0);
	assert_int_equal(store_read(f->s, read_all, NULL, NULL), 0);
	assert_int_equal(store_write(f->s, prune, &before, NULL), 0);
	assert_int_equal(store_read(f->s, range, v, NULL), 0);
	assert_int_equal(v[0], 2);
	before = 100;
	assert_int_equal(store_write(f->s, prune, &before, NULL), 0);
	assert_int_equal(store_read(f->s, range, v, NULL), 0);
	assert_int_equal(v[0], 6); /* whoever stands there has missed nothing */
	assert_int_equal(v[1], 6);
	assert_int_equal(store_scanned_rows(f->s), 0);
}

static int
metrics(struct store_tx *tx, void *arg, struct err *e)
{
	AUTO_ARENA a = { 0 };
	const char *text = NULL;

	assert_int_equal(store_metric_append(tx, "/a", 60, 5, "1 {}", e), 0);
	assert_int_equal(store_metric_append(tx, "/a", 60, 5, "2 {}", e), 0);
	assert_int_equal(store_metric_append(tx, "/a", 60, 6, "0 {}", e), 0);
	assert_int_equal(store_metric_get(tx, &a, "/a", 60, 5, &text, e), 1);
	assert_string_equal(text, "1 {}\n2 {}\n");
	assert_int_equal(store_metric_get(tx, &a, "/a", 300, 5, &text, e), 0);
	assert_int_equal(store_metric_prune(tx, 60, 6, e), 0);
	assert_int_equal(store_metric_get(tx, &a, "/a", 60, 5, &text, e), 0);
	assert_int_equal(store_metric_get(tx, &a, "/a", 60, 6, &text, e), 1);
	return 0;
}

static void
metrics_are_packed_by_span(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(store_write(f->s, metrics, NULL, NULL), 0);
	assert_int_equal(store_scanned_rows(f->s), 0);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(events_are_kept_in_order_for_a_while, setup,
						teardown),
		cmocka_unit_test_setup_teardown(metrics_are_packed_by_span, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
