/* The SQLite back end.
 *
 * One writer thread owns the writing connection. Writers queue a function and wait; the thread takes
 * all that wait, runs each in its own savepoint inside one BEGIN IMMEDIATE, and commits once (WAL,
 * synchronous=FULL): many requests share one fsync. Readers borrow one of a few connections and see
 * a snapshot. Statements are prepared once per connection and found by the address of their text.
 */
#include "store/sqlite.h"

#include <pthread.h>

enum { MAX_BATCH = 64 };

struct job {
	store_fn *fn;
	void *arg;
	struct err *e;
	int result;
	bool is_done;
	struct job *next;
};

struct store {
	char *path, *usage_path;
	uint8_t key[SEAL_KEY_SIZE];
	char epoch[64];

	pthread_mutex_t lock;
	pthread_cond_t work, done, reader_free;
	struct job *first, **last;
	bool is_stopping, has_writer;
	pthread_t thread;

	struct store_tx writer;
	struct store_tx *readers, *free_readers;
	unsigned n_readers;
	uint64_t scanned;
};

/* --- connections ---------------------------------------------------------------------------- */

static int
db_fail(struct store_tx *tx, struct err *e, const char *what)
{
	int rc = sqlite3_errcode(tx->db) & 0xff;
	int code = rc == SQLITE_CONSTRAINT ? -EEXIST
		   : rc == SQLITE_BUSY || rc == SQLITE_LOCKED || rc == SQLITE_FULL ||
				   rc == SQLITE_IOERR || rc == SQLITE_CANTOPEN ||
				   rc == SQLITE_READONLY
			   ? -EAGAIN
			   : -EIO;

	return err_set(e, code, "store: %s: %s", what, sqlite3_errmsg(tx->db));
}

static int
exec(struct store_tx *tx, const char *sql, struct err *e)
{
	if (sqlite3_exec(tx->db, sql, NULL, NULL, NULL) == SQLITE_OK)
		return 0;
	return db_fail(tx, e, sql);
}

static int
conn_open(struct store *s, struct store_tx *tx, struct err *e)
{
	AUTO_FREE char *attach = NULL;
	char *quoted;
	int r;

	tx->store = s;
	if (sqlite3_open_v2(s->path, &tx->db,
			    SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
			    NULL) != SQLITE_OK)
		return err_set(e, -EIO, "open %s: %s", s->path, sqlite3_errmsg(tx->db));
	sqlite3_busy_timeout(tx->db, 5000);
	quoted = sqlite3_mprintf("ATTACH %Q AS usage", s->usage_path);
	attach = mem_strdup(quoted);
	sqlite3_free(quoted);
	r = exec(tx, "PRAGMA foreign_keys=OFF; PRAGMA trusted_schema=OFF; PRAGMA synchronous=FULL;",
		 e);
	if (r == 0)
		r = exec(tx, attach, e);
	if (r == 0)
		r = exec(tx,
			 "PRAGMA main.journal_mode=WAL; PRAGMA usage.journal_mode=WAL;"
			 "PRAGMA main.synchronous=FULL; PRAGMA usage.synchronous=FULL;",
			 e);
	return r;
}

static void
conn_close(struct store_tx *tx)
{
	struct map_iter it = { 0 };

	while (map_next(&tx->stmts, &it))
		sqlite3_finalize(it.value);
	map_fini(&tx->stmts);
	sqlite3_close(tx->db);
}

/* A full disk or a failed write may roll the whole transaction back under us; every statement
 * after that would be a transaction of its own. */
static bool
is_lost(const struct store_tx *tx)
{
	return tx->is_open && sqlite3_get_autocommit(tx->db);
}

const uint8_t *
sql_key(const struct store_tx *tx)
{
	return tx->store->key;
}

sqlite3 *
tx_handle(struct store_tx *tx)
{
	return tx->db;
}

/* --- statements ----------------------------------------------------------------------------- */

sqlite3_stmt *
sql_query(struct store_tx *tx, struct err *e, const char *sql, const char *fmt, ...)
{
	sqlite3_stmt *st = map_get(&tx->stmts, &sql, sizeof(sql));
	va_list ap;

	if (!st) {
		if (sqlite3_prepare_v3(tx->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &st, NULL) !=
		    SQLITE_OK) {
			db_fail(tx, e, sql);
			return NULL;
		}
		map_put(&tx->stmts, &sql, sizeof(sql), st);
	}
	va_start(ap, fmt);
	for (int i = 1; *fmt; fmt++, i++) {
		if (*fmt == 't') {
			sqlite3_bind_text(st, i, va_arg(ap, const char *), -1, SQLITE_TRANSIENT);
		} else if (*fmt == 'i') {
			sqlite3_bind_int64(st, i, va_arg(ap, int64_t));
		} else {
			const void *p = va_arg(ap, const void *);

			sqlite3_bind_blob64(st, i, p, va_arg(ap, size_t), SQLITE_TRANSIENT);
		}
	}
	va_end(ap);
	return st;
}

void
sql_finish(struct store_tx *tx, sqlite3_stmt *st)
{
	int scanned = sqlite3_stmt_status(st, SQLITE_STMTSTATUS_FULLSCAN_STEP, 1);

	if (scanned > 0 && !tx->is_housekeeping)
		__atomic_add_fetch(&tx->store->scanned, (uint64_t)scanned, __ATOMIC_RELAXED);
	sqlite3_reset(st);
	sqlite3_clear_bindings(st);
}

int
sql_step(struct store_tx *tx, sqlite3_stmt *st, struct err *e)
{
	int rc, r;

	if (!st)
		return -EIO;
	if (is_lost(tx)) {
		sql_finish(tx, st);
		return err_set(e, -EAGAIN, "store: the transaction was rolled back");
	}
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW)
		return 1;
	r = rc == SQLITE_DONE ? 0 : db_fail(tx, e, sqlite3_sql(st));
	sql_finish(tx, st);
	return r;
}

int
sql_run(struct store_tx *tx, sqlite3_stmt *st, struct err *e)
{
	int r = sql_step(tx, st, e);

	if (r > 0)
		sql_finish(tx, st);
	return MIN(r, 0);
}

const char *
sql_text(struct arena *a, sqlite3_stmt *st, int i)
{
	const char *t = (const char *)sqlite3_column_text(st, i);

	return t ? arena_strdup(a, t) : NULL;
}

void *
sql_rows_add(struct sql_rows *r)
{
	if (r->n == r->cap) {
		size_t cap = r->cap ? r->cap * 2 : 8;
		char *p = arena_alloc(r->a, cap * r->size);

		if (r->n)
			memcpy(p, r->p, r->n * r->size);
		r->p = p;
		r->cap = cap;
	}
	return r->p + r->size * r->n++;
}

/* --- life ----------------------------------------------------------------------------------- */

static void
jobs_answer(struct store *s, struct job *jobs)
{
	pthread_mutex_lock(&s->lock);
	for (struct job *j = jobs, *next; j; j = next) {
		next = j->next;
		j->is_done = true;
	}
	pthread_cond_broadcast(&s->done);
	pthread_mutex_unlock(&s->lock);
}

static void
jobs_fail(struct job *jobs, int code, const struct err *why)
{
	for (struct job *j = jobs; j; j = j->next) {
		if (j->result < 0)
			continue;
		j->result = err_set(j->e, code, "%s", why->text);
	}
}

static void
job_run(struct store_tx *tx, struct job *j)
{
	struct err e = { 0 };
	int r = exec(tx, "SAVEPOINT one", j->e);

	if (r == 0)
		r = j->fn(tx, j->arg, j->e);
	if (is_lost(tx)) {
		j->result = err_set(j->e, -EAGAIN, "store: the transaction was rolled back");
		return;
	}
	if (r < 0 && exec(tx, "ROLLBACK TO one", &e) < 0)
		r = err_set(j->e, -EAGAIN, "%s", e.text);
	if (exec(tx, "RELEASE one", &e) < 0 && r >= 0)
		r = err_set(j->e, -EAGAIN, "%s", e.text);
	j->result = r;
}

/* One transaction: what is lost in one job is lost in those before it, and those after it must not
 * begin one of their own. */
static void
batch_run(struct store *s, struct job *jobs)
{
	struct store_tx *tx = &s->writer;
	struct err e = { 0 };
	int r = exec(tx, "BEGIN IMMEDIATE", &e);

	if (r < 0) {
		jobs_fail(jobs, -EAGAIN, &e);
		return;
	}
	tx->is_open = true;
	for (struct job *j = jobs; j && !is_lost(tx); j = j->next)
		job_run(tx, j);
	if (is_lost(tx))
		r = err_set(&e, -EAGAIN, "store: the transaction was rolled back");
	tx->is_open = false;
	if (r == 0)
		r = exec(tx, "COMMIT", &e);
	if (r < 0) {
		jobs_fail(jobs, -EAGAIN, &e);
		if (!sqlite3_get_autocommit(tx->db))
			exec(tx, "ROLLBACK", NULL);
	}
}

static struct job *
jobs_take(struct store *s)
{
	struct job *jobs = s->first, *j = jobs;

	for (int n = 1; j && j->next && n < MAX_BATCH; n++)
		j = j->next;
	s->first = j ? j->next : NULL;
	if (!s->first)
		s->last = &s->first;
	if (j)
		j->next = NULL;
	return jobs;
}

static void *
writer_main(void *arg)
{
	struct store *s = arg;

	for (;;) {
		struct job *jobs;

		pthread_mutex_lock(&s->lock);
		while (!s->first && !s->is_stopping)
			pthread_cond_wait(&s->work, &s->lock);
		jobs = jobs_take(s);
		pthread_mutex_unlock(&s->lock);
		if (!jobs)
			return NULL;
		batch_run(s, jobs);
		jobs_answer(s, jobs);
	}
}

static int
epoch_read(struct store_tx *tx, void *arg, struct err *e)
{
	AUTO_ARENA a = { 0 };
	const char *v = NULL;
	int r = store_fact_get(tx, &a, "epoch", &v, e);

	if (r == 1)
		snprintf(tx->store->epoch, sizeof(tx->store->epoch), "%s", v);
	return r < 0 ? r : 0;
}

static int
store_start(struct store *s, struct err *e)
{
	int r = conn_open(s, &s->writer, e);

	if (r == 0)
		r = migrate(s->writer.db, e);
	if (r < 0)
		return err_wrap(e, r, "%s", s->path);
	for (unsigned i = 0; i < s->n_readers; i++) {
		r = conn_open(s, &s->readers[i], e);
		if (r < 0)
			return r;
		s->readers[i].next_free = s->free_readers;
		s->free_readers = &s->readers[i];
	}
	r = pthread_create(&s->thread, NULL, writer_main, s);
	if (r)
		return err_set(e, -r, "no thread for the store");
	s->has_writer = true;
	return store_read(s, epoch_read, NULL, e);
}

int
store_open(const struct store_config *cfg, struct store **ret, struct err *e)
{
	AUTO(store) s = mem_alloc(sizeof(*s));
	int r;

	s->path = mem_strdup(cfg->path);
	s->usage_path = mem_printf("%s.usage", cfg->path);
	s->n_readers = cfg->n_readers ? cfg->n_readers : 4;
	s->readers = mem_array(s->n_readers, sizeof(*s->readers));
	s->last = &s->first;
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->work, NULL);
	pthread_cond_init(&s->done, NULL);
	pthread_cond_init(&s->reader_free, NULL);
	r = seal_key_load(cfg->master_key, s->key, e);
	if (r == 0)
		r = store_start(s, e);
	if (r < 0)
		return r;
	*ret = TAKE(s);
	return 0;
}

void
store_destroy(struct store *s)
{
	if (!s)
		return;
	pthread_mutex_lock(&s->lock);
	s->is_stopping = true;
	pthread_cond_broadcast(&s->work);
	pthread_mutex_unlock(&s->lock);
	if (s->has_writer)
		pthread_join(s->thread, NULL);
	for (unsigned i = 0; i < s->n_readers; i++)
		conn_close(&s->readers[i]);
	conn_close(&s->writer);
	pthread_mutex_destroy(&s->lock);
	pthread_cond_destroy(&s->work);
	pthread_cond_destroy(&s->done);
	pthread_cond_destroy(&s->reader_free);
	mem_wipe(s->key, sizeof(s->key));
	free(s->readers);
	free(s->path);
	free(s->usage_path);
	free(s);
}

int
store_write(struct store *s, store_fn *fn, void *arg, struct err *e)
{
	struct job j = { .fn = fn, .arg = arg, .e = e };

	pthread_mutex_lock(&s->lock);
	*s->last = &j;
	s->last = &j.next;
	pthread_cond_signal(&s->work);
	while (!j.is_done)
		pthread_cond_wait(&s->done, &s->lock);
	pthread_mutex_unlock(&s->lock);
	return j.result;
}

int
store_read(struct store *s, store_fn *fn, void *arg, struct err *e)
{
	struct store_tx *tx;
	int r;

	pthread_mutex_lock(&s->lock);
	while (!s->free_readers)
		pthread_cond_wait(&s->reader_free, &s->lock);
	tx = s->free_readers;
	s->free_readers = tx->next_free;
	pthread_mutex_unlock(&s->lock);

	r = exec(tx, "BEGIN", e);
	if (r == 0) {
		r = fn(tx, arg, e);
		exec(tx, "ROLLBACK", NULL); /* nothing was written */
	}

	pthread_mutex_lock(&s->lock);
	tx->next_free = s->free_readers;
	s->free_readers = tx;
	pthread_cond_signal(&s->reader_free);
	pthread_mutex_unlock(&s->lock);
	return r;
}

int
store_ping(struct store *s, struct err *e)
{
	return store_read(s, epoch_read, NULL, e);
}

const char *
store_epoch(const struct store *s)
{
	return s->epoch;
}

uint64_t
store_scanned_rows(struct store *s)
{
	return __atomic_load_n(&s->scanned, __ATOMIC_RELAXED);
}
