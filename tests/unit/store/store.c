/* The store's contract, as one suite that every back end must pass. */
#include "../test.h"

#include "base/mem.h"
#include "store/internal.h"

#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>

struct fixture {
	char dir[64];
	char db[96], key[96];
	struct store *s;
};

static void
reopen(struct fixture *f)
{
	const struct store_config cfg = { .path = f->db, .master_key = f->key };
	struct err e = { 0 };

	store_destroy(f->s);
	f->s = NULL;
	if (store_open(&cfg, &f->s, &e) < 0)
		fail_msg("%s", e.text);
}

static int
setup(void **state)
{
	struct fixture *f = mem_alloc(sizeof(*f));

	snprintf(f->dir, sizeof(f->dir), "/tmp/unit-store-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->db, sizeof(f->db), "%s/s.db", f->dir);
	snprintf(f->key, sizeof(f->key), "%s/key", f->dir);
	reopen(f);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;
	static const char *const tails[] = { "s.db",       "s.db-wal",       "s.db-shm",
					     "s.db.usage", "s.db.usage-wal", "s.db.usage-shm",
					     "key" };

	store_destroy(f->s);
	for (size_t i = 0; i < COUNT(tails); i++) {
		AUTO_FREE char *path = mem_printf("%s/%s", f->dir, tails[i]);

		unlink(path);
	}
	rmdir(f->dir);
	free(f);
	return 0;
}

static void
write_ok(struct fixture *f, store_fn *fn, void *arg)
{
	struct err e = { 0 };

	if (store_write(f->s, fn, arg, &e) < 0)
		fail_msg("%s", e.text);
}

/* --- resources: paging by key, filters --------------------------------------------------------------- */

static int
put_many(struct store_tx *tx, void *arg, struct err *e)
{
	char id[128];

	for (int i = 0; i < 500; i++) {
		struct store_resource r = {
			.fold = id,
			.id = id,
			.sub = "s1",
			.rg = i % 2 ? "g1" : "g2",
			.type = i % 3 ? "n/a" : "n/b",
			.tenant = "t",
			.etag = "e",
			.body = "{}",
			.hidden = "{}",
			.rev = 1,
		};
		int bad;

		snprintf(id, sizeof(id), "/subscriptions/s1/x/%05d", i);
		bad = store_resource_put(tx, &r, e);
		if (bad < 0)
			return bad;
	}
	return 0;
}

static int
page_all(struct store_tx *tx, void *arg, struct err *e)
{
	size_t *count = arg;
	struct store_filter f = { .sub = "s1", .rg = "g1", .type = "n/a", .limit = 37 };
	size_t n = f.limit;
	AUTO_ARENA a = { 0 };

	while (n == f.limit) {
		struct store_resource *list;
		int r = store_resource_list(tx, &a, &f, &list, &n, e);

		if (r < 0)
			return r;
		*count += n;
		if (n)
			f.after = list[n - 1].fold;
	}
	return 0;
}

static void
resources_are_paged_by_key_without_scans(void **state)
{
	struct fixture *f = *state;
	size_t count = 0, want = 0;

	write_ok(f, put_many, NULL);
	for (int i = 0; i < 500; i++)
		want += i % 2 && i % 3;
	assert_int_equal(store_read(f->s, page_all, &count, NULL), 0);
	assert_int_equal(count, want);
	assert_int_equal(store_scanned_rows(f->s), 0);
}

/* --- claims -------------------------------------------------------------------------------------------- */

static int
claims(struct store_tx *tx, void *arg, struct err *e)
{
	AUTO_ARENA a = { 0 };
	struct store_claim *list;
	const char *owner;
	uint64_t v;
	size_t n;

	assert_int_equal(store_claim_take(tx, "vlan", "100", "/a", e), 0);
	assert_int_equal(store_claim_take(tx, "vlan", "100", "/a", e), 0);
	assert_int_equal(store_claim_take(tx, "vlan", "100", "/b", e), -EEXIST);
	assert_int_equal(store_claim_get(tx, &a, "vlan", "100", &owner, e), 1);
	assert_string_equal(owner, "/a");
	for (uint64_t i = 1; i <= 3; i++) { /* 1, 2, 3, then none */
		char text[24];

		assert_int_equal(store_claim_number(tx, "n", 1, 3, &v, e), 0);
		assert_int_equal(v, i);
		snprintf(text, sizeof(text), "%llu", (unsigned long long)v);
		assert_int_equal(store_claim_take(tx, "n", text, "/a", e), 0);
	}
	assert_int_equal(store_claim_number(tx, "n", 1, 3, &v, e), -ENOSPC);
	assert_int_equal(store_claim_drop(tx, "n", "2", e), 0);
	assert_int_equal(store_claim_number(tx, "n", 1, 3, &v, e), 0);
	assert_int_equal(v, 2);
	assert_int_equal(store_claim_list(tx, &a, "/a", &list, &n, e), 0);
	assert_int_equal(n, 3);
	assert_int_equal(store_claim_drop_all(tx, "/a", e), 0);
	assert_int_equal(store_claim_get(tx, &a, "vlan", "100", &owner, e), 0);
	return 0;
}

static void
a_claim_has_one_owner(void **state)
{
	write_ok(*state, claims, NULL);
}

/* --- references ------------------------------------------------------------------------------------------ */

static int
refs(struct store_tx *tx, void *arg, struct err *e)
{
	const struct store_ref mine[] = { { "/c", "/c/x/1", "/v/1/subnets/s", "p.subnet" },
					  { "/c", "/c", "/v/1", "p.vnet" } };
	AUTO_ARENA a = { 0 };
	struct store_ref *list;
	size_t n;

	assert_int_equal(store_ref_set(tx, "/c", mine, 2, e), 0);
	assert_int_equal(store_ref_to(tx, &a, "/v/1", false, NULL, 10, &list, &n, e), 0);
	assert_int_equal(n, 1);
	assert_int_equal(store_ref_to(tx, &a, "/v/1", true, NULL, 10, &list, &n, e), 0);
	assert_int_equal(n, 2);
	assert_int_equal(store_ref_to(tx, &a, "/v/1", true, "p.subnet", 10, &list, &n, e), 0);
	assert_int_equal(n, 1);
	assert_string_equal(list[0].from, "/c/x/1");
	/* "/v/10" is not below "/v/1" */
	assert_int_equal(
		store_ref_set(tx, "/c", &(struct store_ref){ "/c", "/c", "/v/10", "k" }, 1, e), 0);
	assert_int_equal(store_ref_to(tx, &a, "/v/1", true, NULL, 10, &list, &n, e), 0);
	assert_int_equal(n, 0);
	return 0;
}

static void
references_are_found_from_their_targets(void **state)
{
	struct fixture *f = *state;

	write_ok(f, refs, NULL);
	assert_int_equal(store_scanned_rows(f->s), 0);
}

/* --- node objects -------------------------------------------------------------------------------------------- */

static int
objects(struct store_tx *tx, void *arg, struct err *e)
{
	struct store_object o = { "n1", "domain", "k1", "/c", "{\"a\":1}", 0 }, *list;
	AUTO_ARENA a = { 0 };
	int64_t rev, floor;
	size_t n;

	assert_int_equal(store_object_put(tx, &o, &rev, e), 0);
	assert_int_equal(rev, 1);
	assert_int_equal(store_object_put(tx, &o, &rev, e), 0);
	assert_int_equal(rev, 0); /* unchanged */
	o.key = "k2";
	store_object_put(tx, &o, &rev, e);
	assert_int_equal(rev, 2);
	o.key = "k1";
	o.body = NULL;
	store_object_put(tx, &o, &rev, e);
	assert_int_equal(rev, 3);
	assert_int_equal(store_object_since(tx, &a, "n1", 0, 10, &list, &n, e), 0);
	assert_int_equal(n, 2); /* k2, and k1's tombstone */
	assert_string_equal(list[0].key, "k2");
	assert_string_equal(list[0].body, "{\"a\":1}");
	assert_null(list[1].body);
	assert_int_equal(store_object_snapshot(tx, &a, "n1", NULL, NULL, 10, &list, &n, e), 0);
	assert_int_equal(n, 1);
	assert_int_equal(store_object_of(tx, &a, "/c", &list, &n, e), 0);
	assert_int_equal(n, 1);
	assert_int_equal(store_node_rev(tx, "n1", &rev, &floor, e), 0);
	assert_int_equal(rev, 3);
	return 0;
}

static void
every_change_of_a_node_has_a_revision(void **state)
{
	write_ok(*state, objects, NULL);
}

/* --- secrets ---------------------------------------------------------------------------------------------------- */

static int
secret_put(struct store_tx *tx, void *arg, struct err *e)
{
	return store_secret_put(tx, "/c", "md5", "open sesame", 11, e);
}

static int
secret_get(struct store_tx *tx, void *arg, struct err *e)
{
	AUTO_ARENA a = { 0 };
	const void *p;
	size_t n;
	int r = store_secret_get(tx, &a, "/c", "md5", &p, &n, e);

	if (r == 1) {
		assert_int_equal(n, 11);
		assert_string_equal(p, "open sesame");
	}
	return r;
}

static bool
file_contains(const char *path, const char *word)
{
	AUTO_FREE char *text = mem_alloc(1 << 20);
	FILE *f = fopen(path, "re");
	size_t n = f ? fread(text, 1, 1 << 20, f) : 0;

	if (f)
		fclose(f);
	return memmem(text, n, word, strlen(word)) != NULL;
}

static void
secrets_are_sealed_under_a_key_outside(void **state)
{
	struct fixture *f = *state;
	AUTO_FREE char *wal = mem_printf("%s-wal", f->db);
	struct err e = { 0 };
	struct stat st;

	write_ok(f, secret_put, NULL);
	assert_false(file_contains(f->db, "open sesame"));
	assert_false(file_contains(wal, "open sesame"));
	reopen(f);
	assert_int_equal(store_read(f->s, secret_get, NULL, &e), 1);
	assert_int_equal(stat(f->key, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	/* another key opens nothing */
	store_destroy(TAKE(f->s));
	unlink(f->key);
	reopen(f);
	assert_int_equal(store_read(f->s, secret_get, NULL, &e), -EBADMSG);
}

/* --- readings count once -------------------------------------------------------------------------------------------- */

static int
readings(struct store_tx *tx, void *arg, struct err *e)
{
	static const uint64_t order[] = { 1, 2, 4, 4, 3, 3, 7 };
	uint64_t upto;
	size_t n_new = 0;

	for (size_t i = 0; i < COUNT(order); i++) {
		struct store_reading r = { "edge-a", "b1", order[i], 1, "{}" };
		bool is_new;

		assert_int_equal(store_reading_add(tx, &r, &is_new, e), 0);
		n_new += is_new;
	}
	assert_int_equal(n_new, 5);
	assert_int_equal(store_reading_upto(tx, "edge-a", "b1", &upto, e), 0);
	assert_int_equal(upto, 4);
	return 0;
}

static void
a_reading_counts_once(void **state)
{
	write_ok(*state, readings, NULL);
}

/* --- transactions ------------------------------------------------------------------------------------------------------ */

static int
put_then_fail(struct store_tx *tx, void *arg, struct err *e)
{
	store_fact_put(tx, "half", "made", e);
	return err_set(e, -ECANCELED, "no");
}

static int
fact_is_there(struct store_tx *tx, void *arg, struct err *e)
{
	AUTO_ARENA a = { 0 };
	const char *v;

	return store_fact_get(tx, &a, arg, &v, e);
}

static void
a_refused_write_leaves_nothing(void **state)
{
	struct fixture *f = *state;
	struct err e = { 0 };

	assert_int_equal(store_write(f->s, put_then_fail, NULL, &e), -ECANCELED);
	assert_string_equal(e.text, "no");
	assert_int_equal(store_read(f->s, fact_is_there, "half", &e), 0);
}

static int
count_up(struct store_tx *tx, void *arg, struct err *e)
{
	AUTO_ARENA a = { 0 };
	const char *v = "0";
	char text[24];
	int r = store_fact_get(tx, &a, "n", &v, e);

	if (r < 0)
		return r;
	snprintf(text, sizeof(text), "%ld", strtol(v, NULL, 10) + 1);
	return store_fact_put(tx, "n", text, e);
}

static void *
count_many(void *arg)
{
	struct fixture *f = arg;

	for (int i = 0; i < 50; i++)
		assert_int_equal(store_write(f->s, count_up, NULL, NULL), 0);
	return NULL;
}

static int
count_is(struct store_tx *tx, void *arg, struct err *e)
{
	AUTO_ARENA a = { 0 };
	const char *v = "0";

	store_fact_get(tx, &a, "n", &v, e);
	return (int)strtol(v, NULL, 10);
}

static void
parallel_writers_lose_nothing(void **state)
{
	struct fixture *f = *state;
	pthread_t t[8];

	for (size_t i = 0; i < COUNT(t); i++)
		assert_int_equal(pthread_create(&t[i], NULL, count_many, f), 0);
	for (size_t i = 0; i < COUNT(t); i++)
		pthread_join(t[i], NULL);
	assert_int_equal(store_read(f->s, count_is, NULL, NULL), 400);
}

/* What a write has returned for is there after kill -9. */
static void
a_commit_survives_kill(void **state)
{
	struct fixture *f = *state;
	int pipe_fd[2], told = 0, n;
	pid_t pid;

	store_destroy(TAKE(f->s));
	assert_int_equal(pipe(pipe_fd), 0);
	pid = fork();
	if (pid == 0) {
		reopen(f);
		for (int i = 1;; i++) {
			if (store_write(f->s, count_up, NULL, NULL) < 0 ||
			    write(pipe_fd[1], &i, sizeof(i)) != sizeof(i))
				_exit(1);
		}
	}
	while (told < 30)
		assert_int_equal(read(pipe_fd[0], &told, sizeof(told)), sizeof(told));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(pipe_fd[1]);
	while (read(pipe_fd[0], &n, sizeof(n)) == sizeof(n))
		told = n;
	close(pipe_fd[0]);
	reopen(f);
	assert_true(store_read(f->s, count_is, NULL, NULL) >= told);
}

/* --- no statement scans a table -------------------------------------------------------------------------------------------- */

static void
every_list_uses_an_index(void **state)
{
	static const char *const sql[] = {
		"SELECT 1 FROM ref WHERE to_fold='x'",
		"SELECT 1 FROM ref WHERE to_fold>'x/' AND to_fold<'x0'",
		"SELECT 1 FROM claim WHERE owner='x'",
		"SELECT 1 FROM operation WHERE status=0 ORDER BY created_us",
		"SELECT 1 FROM event WHERE sub='s' AND rg='g' AND seq<9 ORDER BY seq DESC",
		"SELECT 1 FROM node WHERE cert='x'",
		"SELECT 1 FROM node_object WHERE node='n' AND rev>1 ORDER BY rev",
		"SELECT 1 FROM assignment WHERE principal='p'",
		"SELECT 1 FROM principal WHERE client_id='p'",
		"SELECT 1 FROM subscription WHERE tenant='t' AND id>'x' ORDER BY id",
	};
	struct fixture *f = *state;
	sqlite3 *db;

	assert_int_equal(sqlite3_open(f->db, &db), SQLITE_OK);
	for (size_t i = 0; i < COUNT(sql); i++) {
		AUTO_FREE char *explain = mem_printf("EXPLAIN QUERY PLAN %s", sql[i]);
		sqlite3_stmt *st = NULL;

		assert_int_equal(sqlite3_prepare_v2(db, explain, -1, &st, NULL), SQLITE_OK);
		while (sqlite3_step(st) == SQLITE_ROW) {
			const char *how = (const char *)sqlite3_column_text(st, 3);

			if (!strncmp(how, "SCAN", 4) || strstr(how, "TEMP B-TREE"))
				fail_msg("%s: %s", sql[i], how);
		}
		sqlite3_finalize(st);
	}
	sqlite3_close(db);
}

/* --- a full disk -------------------------------------------------------------------------------------- */

enum { CROWD = 16 };

struct crowd {
	struct fixture *f;
	unsigned n_coming; /* about to queue */
	bool fills;        /* the middle one runs into the end of the disk */
	int result[CROWD];
};

struct one {
	struct crowd *c;
	int i;
};

static int
crowd_wait(struct store_tx *tx, void *arg, struct err *e)
{
	struct crowd *c = arg;

	while (__atomic_load_n(&c->n_coming, __ATOMIC_ACQUIRE) < CROWD)
		usleep(1000);
	usleep(50000); /* now they all stand in one queue */
	return 0;
}

static int
fact_put(struct store_tx *tx, void *arg, struct err *e)
{
	struct one *o = arg;
	char name[32];

	snprintf(name, sizeof(name), "crowd%d", o->i);
	if (o->c->fills && o->i == CROWD / 2) {
		AUTO_FREE char *big = mem_alloc((4 << 20) + 1);
		int r;

		memset(big, 'x', 4 << 20);
		sqlite3_exec(tx_handle(tx), "PRAGMA max_page_count=1", NULL, NULL, NULL);
		r = store_fact_put(tx, name, big, e);
		assert_true(r < 0 && sqlite3_get_autocommit(tx_handle(tx)));
		sqlite3_exec(tx_handle(tx), "PRAGMA max_page_count=1000000", NULL, NULL, NULL);
		/* and a caller that does not look at the result cannot write past it */
		assert_int_equal(store_fact_put(tx, "beyond", "1", e), -EAGAIN);
		return r;
	}
	return store_fact_put(tx, name, "1", e);
}

static int
fact_count(struct store_tx *tx, void *arg, struct err *e)
{
	bool *has = arg;
	AUTO_ARENA a = { 0 };
	const char *v;

	for (int i = 0; i < CROWD; i++) {
		char name[32];

		snprintf(name, sizeof(name), "crowd%d", i);
		has[i] = store_fact_get(tx, &a, name, &v, e) == 1;
	}
	return 0;
}

static void *
crowd_one(void *arg)
{
	struct one *o = arg;

	__atomic_add_fetch(&o->c->n_coming, 1, __ATOMIC_RELEASE);
	o->c->result[o->i] = store_write(o->c->f->s, fact_put, o, NULL);
	return NULL;
}

static void *
crowd_first(void *arg)
{
	struct crowd *c = arg;

	store_write(c->f->s, crowd_wait, c, NULL);
	return NULL;
}

static void
what_was_answered_is_what_is_stored_on_a_full_disk(void **state)
{
	struct fixture *f = *state;
	struct crowd c = { .f = f, .fills = true };
	struct one ones[CROWD];
	pthread_t first, t[CROWD];
	bool has[CROWD] = { 0 };

	assert_int_equal(pthread_create(&first, NULL, crowd_first, &c), 0);
	for (int i = 0; i < CROWD; i++) {
		ones[i] = (struct one){ &c, i };
		assert_int_equal(pthread_create(&t[i], NULL, crowd_one, &ones[i]), 0);
	}
	for (int i = 0; i < CROWD; i++)
		pthread_join(t[i], NULL);
	pthread_join(first, NULL);
	assert_true(c.result[CROWD / 2] < 0);
	assert_int_equal(store_read(f->s, fact_count, has, NULL), 0);
	for (int i = 0; i < CROWD; i++)
		assert_int_equal(has[i], c.result[i] == 0);
	/* and the next batch is an ordinary one */
	c.fills = false;
	assert_int_equal(store_write(f->s, fact_put, &ones[CROWD / 2], NULL), 0);
}

int
main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(resources_are_paged_by_key_without_scans),
		CASE(a_claim_has_one_owner),
		CASE(references_are_found_from_their_targets),
		CASE(every_change_of_a_node_has_a_revision),
		CASE(secrets_are_sealed_under_a_key_outside),
		CASE(a_reading_counts_once),
		CASE(a_refused_write_leaves_nothing),
		CASE(parallel_writers_lose_nothing),
		CASE(a_commit_survives_kill),
		CASE(every_list_uses_an_index),
		CASE(what_was_answered_is_what_is_stored_on_a_full_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
