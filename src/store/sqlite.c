/* The SQLite back end.
 *
 * One writer thread owns the writing connection. Writers queue a function and wait; the thread takes
 * all that wait, runs each in its own savepoint inside one BEGIN IMMEDIATE, and commits once (WAL,
 * synchronous=FULL): many requests share one fsync. Readers borrow one of a few connections and see
 * a snapshot. Statements are prepared once per connection and found by the address of their text.
 */
#include "base/map.h"
#include "base/mem.h"
#include "store/internal.h"

#include <pthread.h>

enum { MAX_BATCH = 64, MAX_LIST = 1000 };

struct store_tx {
	struct store *store;
	sqlite3 *db;
	struct map stmts; /* const char ** (address of text) -> sqlite3_stmt * */
	struct store_tx *next_free;
	bool is_housekeeping; /* scans are its business */
	bool is_open;         /* a transaction was begun and must still be there */
};

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

/* --- connections ----------------------------------------------------------------------------- */

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

sqlite3 *
tx_handle(struct store_tx *tx)
{
	return tx->db;
}

/* --- statements -------------------------------------------------------------------------------- */

/* fmt, one letter per parameter: t text or NULL, i int64_t, b pointer and size_t. */
static sqlite3_stmt *
query(struct store_tx *tx, struct err *e, const char *sql, const char *fmt, ...)
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

static void
finish(struct store_tx *tx, sqlite3_stmt *st)
{
	int scanned = sqlite3_stmt_status(st, SQLITE_STMTSTATUS_FULLSCAN_STEP, 1);

	if (scanned > 0 && !tx->is_housekeeping)
		__atomic_add_fetch(&tx->store->scanned, (uint64_t)scanned, __ATOMIC_RELAXED);
	sqlite3_reset(st);
	sqlite3_clear_bindings(st);
}

/* 1: a row; 0: no more (the statement is ready for its next use); negative: failed. */
static int
step(struct store_tx *tx, sqlite3_stmt *st, struct err *e)
{
	int rc, r;

	if (!st)
		return -EIO;
	if (is_lost(tx)) {
		finish(tx, st);
		return err_set(e, -EAGAIN, "store: the transaction was rolled back");
	}
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW)
		return 1;
	r = rc == SQLITE_DONE ? 0 : db_fail(tx, e, sqlite3_sql(st));
	finish(tx, st);
	return r;
}

/* A statement without rows. */
static int
run(struct store_tx *tx, sqlite3_stmt *st, struct err *e)
{
	int r = step(tx, st, e);

	if (r > 0)
		finish(tx, st);
	return MIN(r, 0);
}

static const char *
text(struct arena *a, sqlite3_stmt *st, int i)
{
	const char *t = (const char *)sqlite3_column_text(st, i);

	return t ? arena_strdup(a, t) : NULL;
}

/* A list of rows that grows in the arena. */
struct rows {
	struct arena *a;
	size_t n, cap, size;
	char *p;
};

static void *
rows_add(struct rows *r)
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

/* --- life ---------------------------------------------------------------------------------------- */

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

/* --- resources ----------------------------------------------------------------------------------- */

#define RESOURCE_COLS \
	"fold, id, sub, rg, type, tenant, etag, body, hidden, rev, state, created_us, changed_us"

static void
resource_row(struct arena *a, sqlite3_stmt *st, struct store_resource *r)
{
	*r = (struct store_resource){
		.fold = text(a, st, 0),
		.id = text(a, st, 1),
		.sub = text(a, st, 2),
		.rg = text(a, st, 3),
		.type = text(a, st, 4),
		.tenant = text(a, st, 5),
		.etag = text(a, st, 6),
		.body = text(a, st, 7),
		.hidden = text(a, st, 8),
		.rev = sqlite3_column_int64(st, 9),
		.state = (enum store_state)sqlite3_column_int(st, 10),
		.created_us = sqlite3_column_int64(st, 11),
		.changed_us = sqlite3_column_int64(st, 12),
	};
}

int
store_resource_get(struct store_tx *tx, struct arena *a, const char *fold,
		   struct store_resource *ret, struct err *e)
{
	sqlite3_stmt *st =
		query(tx, e, "SELECT " RESOURCE_COLS " FROM resource WHERE fold=?", "t", fold);
	int r = step(tx, st, e);

	if (r <= 0)
		return r;
	resource_row(a, st, ret);
	finish(tx, st);
	return 1;
}

int
store_resource_put(struct store_tx *tx, const struct store_resource *r, struct err *e)
{
	return run(tx,
		   query(tx, e,
			 "INSERT OR REPLACE INTO resource(" RESOURCE_COLS
			 ") VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?)",
			 "tttttttttiiii", r->fold, r->id, r->sub, r->rg, r->type, r->tenant,
			 r->etag, r->body, r->hidden, r->rev, (int64_t)r->state, r->created_us,
			 r->changed_us),
		   e);
}

int
store_resource_delete(struct store_tx *tx, const char *fold, struct err *e)
{
	return run(tx, query(tx, e, "DELETE FROM resource WHERE fold=?", "t", fold), e);
}

#define LIST_TAIL " AND fold>? ORDER BY fold LIMIT ?"
#define LIST(where) "SELECT " RESOURCE_COLS " FROM resource " where LIST_TAIL

int
store_resource_list(struct store_tx *tx, struct arena *a, const struct store_filter *f,
		    struct store_resource **ret, size_t *n, struct err *e)
{
	struct rows rows = { .a = a, .size = sizeof(**ret) };
	const char *after = f->after ? f->after : "";
	int64_t limit = (int64_t)MIN(f->limit, MAX_LIST);
	sqlite3_stmt *st;
	int r;

	assert(f->sub || f->type);
	if (f->sub && f->rg && f->type)
		st = query(tx, e,
			   LIST("INDEXED BY resource_rg_type WHERE sub=? AND rg=? AND type=?"),
			   "tttti", f->sub, f->rg, f->type, after, limit);
	else if (f->sub && f->rg)
		st = query(tx, e, LIST("INDEXED BY resource_rg WHERE sub=? AND rg=?"), "ttti",
			   f->sub, f->rg, after, limit);
	else if (f->sub && f->type)
		st = query(tx, e, LIST("INDEXED BY resource_sub_type WHERE sub=? AND type=?"),
			   "ttti", f->sub, f->type, after, limit);
	else if (f->sub)
		st = query(tx, e, LIST("INDEXED BY resource_sub WHERE sub=?"), "tti", f->sub, after,
			   limit);
	else
		st = query(tx, e, LIST("INDEXED BY resource_type WHERE type=?"), "tti", f->type,
			   after, limit);
	while ((r = step(tx, st, e)) > 0)
		resource_row(a, st, rows_add(&rows));
	*ret = (struct store_resource *)rows.p;
	*n = rows.n;
	return r;
}

/* --- references ------------------------------------------------------------------------------------ */

int
store_ref_set(struct store_tx *tx, const char *owner, const struct store_ref *refs, size_t n,
	      struct err *e)
{
	int r = run(tx, query(tx, e, "DELETE FROM ref WHERE owner=?", "t", owner), e);

	for (size_t i = 0; i < n && r == 0; i++)
		r = run(tx,
			query(tx, e,
			      "INSERT OR IGNORE INTO ref(owner,from_fold,to_fold,kind) VALUES(?,?,?,?)",
			      "tttt", owner, refs[i].from, refs[i].to, refs[i].kind),
			e);
	return r;
}

static int
ref_rows(struct store_tx *tx, struct rows *rows, sqlite3_stmt *st, struct err *e)
{
	int r;

	while ((r = step(tx, st, e)) > 0) {
		struct store_ref *ref = rows_add(rows);

		ref->owner = text(rows->a, st, 0);
		ref->from = text(rows->a, st, 1);
		ref->to = text(rows->a, st, 2);
		ref->kind = text(rows->a, st, 3);
	}
	return r;
}

int
store_ref_to(struct store_tx *tx, struct arena *a, const char *to, bool below, const char *kind,
	     size_t limit, struct store_ref **ret, size_t *n, struct err *e)
{
	struct rows rows = { .a = a, .size = sizeof(**ret) };
	int r = ref_rows(tx, &rows,
			 query(tx, e,
			       "SELECT owner,from_fold,to_fold,kind FROM ref INDEXED BY ref_to"
			       " WHERE to_fold=?1 AND (?2 IS NULL OR kind=?2) LIMIT ?3",
			       "tti", to, kind, (int64_t)limit),
			 e);

	if (r == 0 && below && rows.n < limit)
		r = ref_rows(tx, &rows,
			     query(tx, e,
				   "SELECT owner,from_fold,to_fold,kind FROM ref INDEXED BY ref_to"
				   " WHERE to_fold>?1||'/' AND to_fold<?1||'0'"
				   " AND (?2 IS NULL OR kind=?2) LIMIT ?3",
				   "tti", to, kind, (int64_t)(limit - rows.n)),
			     e);
	*ret = (struct store_ref *)rows.p;
	*n = rows.n;
	return r;
}

int
store_ref_from(struct store_tx *tx, struct arena *a, const char *owner, struct store_ref **ret,
	       size_t *n, struct err *e)
{
	struct rows rows = { .a = a, .size = sizeof(**ret) };
	int r = ref_rows(tx, &rows,
			 query(tx, e, "SELECT owner,from_fold,to_fold,kind FROM ref WHERE owner=?",
			       "t", owner),
			 e);

	*ret = (struct store_ref *)rows.p;
	*n = rows.n;
	return r;
}

/* --- claims ------------------------------------------------------------------------------------------ */

int
store_claim_get(struct store_tx *tx, struct arena *a, const char *space, const char *value,
		const char **ret_owner, struct err *e)
{
	sqlite3_stmt *st = query(tx, e, "SELECT owner FROM claim WHERE space=? AND value=?", "tt",
				 space, value);
	int r = step(tx, st, e);

	if (r <= 0)
		return r;
	*ret_owner = text(a, st, 0);
	finish(tx, st);
	return 1;
}

int
store_claim_take(struct store_tx *tx, const char *space, const char *value, const char *owner,
		 struct err *e)
{
	AUTO_ARENA a = { 0 };
	const char *has = NULL;
	int r = store_claim_get(tx, &a, space, value, &has, e);

	if (r < 0)
		return r;
	if (r == 1)
		return !strcmp(has, owner) ? 0
					   : err_set(e, -EEXIST, "%s %s is taken", space, value);
	return run(tx,
		   query(tx, e, "INSERT INTO claim(space,value,owner) VALUES(?,?,?)", "ttt", space,
			 value, owner),
		   e);
}

int
store_claim_drop(struct store_tx *tx, const char *space, const char *value, struct err *e)
{
	return run(tx,
		   query(tx, e, "DELETE FROM claim WHERE space=? AND value=?", "tt", space, value),
		   e);
}

int
store_claim_drop_all(struct store_tx *tx, const char *owner, struct err *e)
{
	return run(tx, query(tx, e, "DELETE FROM claim WHERE owner=?", "t", owner), e);
}

int
store_claim_list(struct store_tx *tx, struct arena *a, const char *owner, struct store_claim **ret,
		 size_t *n, struct err *e)
{
	struct rows rows = { .a = a, .size = sizeof(**ret) };
	sqlite3_stmt *st =
		query(tx, e, "SELECT space,value,owner FROM claim WHERE owner=?", "t", owner);
	int r;

	while ((r = step(tx, st, e)) > 0) {
		struct store_claim *c = rows_add(&rows);

		c->space = text(a, st, 0);
		c->value = text(a, st, 1);
		c->owner = text(a, st, 2);
	}
	*ret = (struct store_claim *)rows.p;
	*n = rows.n;
	return r;
}

static int
claim_next_get(struct store_tx *tx, const char *space, uint64_t *ret, struct err *e)
{
	sqlite3_stmt *st = query(tx, e, "SELECT next FROM claim_next WHERE space=?", "t", space);
	int r = step(tx, st, e);

	if (r <= 0)
		return r;
	*ret = (uint64_t)sqlite3_column_int64(st, 0);
	finish(tx, st);
	return 0;
}

int
store_claim_number(struct store_tx *tx, const char *space, uint64_t lo, uint64_t hi, uint64_t *ret,
		   struct err *e)
{
	uint64_t at = lo;
	int r = claim_next_get(tx, space, &at, e);

	if (at < lo || at > hi)
		at = lo;
	for (uint64_t tries = hi - lo + 1; r == 0 && tries; tries--, at = at == hi ? lo : at + 1) {
		AUTO_ARENA a = { 0 };
		const char *has;
		char value[24];

		snprintf(value, sizeof(value), "%llu", (unsigned long long)at);
		r = store_claim_get(tx, &a, space, value, &has, e);
		if (r == 1) {
			r = 0;
			continue;
		}
		if (r < 0)
			break;
		*ret = at;
		return run(tx,
			   query(tx, e, "INSERT OR REPLACE INTO claim_next(space,next) VALUES(?,?)",
				 "ti", space, (int64_t)(at == hi ? lo : at + 1)),
			   e);
	}
	return r < 0 ? r : err_set(e, -ENOSPC, "%s: no number is left", space);
}

/* --- secrets and facts ------------------------------------------------------------------------------ */

int
store_secret_put(struct store_tx *tx, const char *owner, const char *name, const void *p, size_t n,
		 struct err *e)
{
	AUTO_BUF sealed = { 0 };
	AUTO_FREE char *where = mem_printf("secret\n%s\n%s", owner, name);
	int r = seal_close(tx->store->key, where, p, n, &sealed, e);

	if (r < 0)
		return r;
	return run(tx,
		   query(tx, e, "INSERT OR REPLACE INTO secret(owner,name,sealed) VALUES(?,?,?)",
			 "ttb", owner, name, sealed.p, sealed.n),
		   e);
}

int
store_secret_get(struct store_tx *tx, struct arena *a, const char *owner, const char *name,
		 const void **ret, size_t *n, struct err *e)
{
	AUTO_FREE char *where = mem_printf("secret\n%s\n%s", owner, name);
	sqlite3_stmt *st = query(tx, e, "SELECT sealed FROM secret WHERE owner=? AND name=?", "tt",
				 owner, name);
	int r = step(tx, st, e);

	if (r <= 0)
		return r;
	r = seal_open(tx->store->key, where, sqlite3_column_blob(st, 0),
		      (size_t)sqlite3_column_bytes(st, 0), a, ret, n, e);
	finish(tx, st);
	return r < 0 ? r : 1;
}

int
store_secret_drop(struct store_tx *tx, const char *owner, const char *name, struct err *e)
{
	return run(tx,
		   query(tx, e, "DELETE FROM secret WHERE owner=? AND name=?", "tt", owner, name),
		   e);
}

int
store_fact_get(struct store_tx *tx, struct arena *a, const char *name, const char **ret,
	       struct err *e)
{
	sqlite3_stmt *st = query(tx, e, "SELECT value FROM fact WHERE name=?", "t", name);
	int r = step(tx, st, e);

	if (r <= 0)
		return r;
	*ret = text(a, st, 0);
	finish(tx, st);
	return 1;
}

int
store_fact_put(struct store_tx *tx, const char *name, const char *value, struct err *e)
{
	return run(tx,
		   query(tx, e, "INSERT OR REPLACE INTO fact(name,value) VALUES(?,?)", "tt", name,
			 value),
		   e);
}

/* --- operations and events ---------------------------------------------------------------------------- */

#define OP_COLS \
	"id, sub, target, what, caller, detail, result, status, rev, created_us, deadline_us, finished_us"

static void
operation_row(struct arena *a, sqlite3_stmt *st, struct store_operation *op)
{
	*op = (struct store_operation){
		.id = text(a, st, 0),
		.sub = text(a, st, 1),
		.target = text(a, st, 2),
		.what = text(a, st, 3),
		.caller = text(a, st, 4),
		.detail = text(a, st, 5),
		.result = text(a, st, 6),
		.status = (enum store_op_status)sqlite3_column_int(st, 7),
		.rev = sqlite3_column_int64(st, 8),
		.created_us = sqlite3_column_int64(st, 9),
		.deadline_us = sqlite3_column_int64(st, 10),
		.finished_us = sqlite3_column_int64(st, 11),
	};
}

int
store_operation_put(struct store_tx *tx, const struct store_operation *op, struct err *e)
{
	return run(tx,
		   query(tx, e,
			 "INSERT OR REPLACE INTO operation(" OP_COLS
			 ") VALUES(?,?,?,?,?,?,?,?,?,?,?,?)",
			 "tttttttiiiii", op->id, op->sub, op->target, op->what, op->caller,
			 op->detail, op->result, (int64_t)op->status, op->rev, op->created_us,
			 op->deadline_us, op->finished_us),
		   e);
}

int
store_operation_get(struct store_tx *tx, struct arena *a, const char *id,
		    struct store_operation *ret, struct err *e)
{
	sqlite3_stmt *st = query(tx, e, "SELECT " OP_COLS " FROM operation WHERE id=?", "t", id);
	int r = step(tx, st, e);

	if (r <= 0)
		return r;
	operation_row(a, st, ret);
	finish(tx, st);
	return 1;
}

int
store_operation_list(struct store_tx *tx, struct arena *a, enum store_op_status status,
		     size_t limit, struct store_operation **ret, size_t *n, struct err *e)
{
	struct rows rows = { .a = a, .size = sizeof(**ret) };
	sqlite3_stmt *st = query(tx, e,
				 "SELECT " OP_COLS " FROM operation INDEXED BY operation_open"
				 " WHERE status=? ORDER BY created_us LIMIT ?",
				 "ii", (int64_t)status, (int64_t)limit);
	int r;

	while ((r = step(tx, st, e)) > 0)
		operation_row(a, st, rows_add(&rows));
	*ret = (struct store_operation *)rows.p;
	*n = rows.n;
	return r;
}

/* Tombstones that their node has applied go; older cursors then get a snapshot. */
static int
tombstones_prune(struct store_tx *tx, struct err *e)
{
	int r = run(
		tx,
		query(tx, e,
		      "UPDATE node_counter SET floor=max(floor, coalesce((SELECT max(o.rev)"
		      " FROM node_object o JOIN node n ON n.name=o.node WHERE"
		      " o.node=node_counter.node AND o.sealed IS NULL AND o.rev<=n.applied), 0))",
		      ""),
		e);

	if (r < 0)
		return r;
	return run(tx,
		   query(tx, e,
			 "DELETE FROM node_object WHERE sealed IS NULL AND rev<=(SELECT floor FROM"
			 " node_counter c WHERE c.node=node_object.node)",
			 ""),
		   e);
}

static int
prune(struct store_tx *tx, int64_t operations_before_us, int64_t events_before_us, struct err *e)
{
	int r = run(tx,
		    query(tx, e, "DELETE FROM operation WHERE status IN (1,2) AND created_us<?",
			  "i", operations_before_us),
		    e);

	if (r == 0)
		r = run(tx, query(tx, e, "DELETE FROM event WHERE at_us<?", "i", events_before_us),
			e);
	return r < 0 ? r : tombstones_prune(tx, e);
}

int
store_prune(struct store_tx *tx, int64_t operations_before_us, int64_t events_before_us,
	    struct err *e)
{
	int r;

	tx->is_housekeeping = true;
	r = prune(tx, operations_before_us, events_before_us, e);
	tx->is_housekeeping = false;
	return r;
}

int
store_event_add(struct store_tx *tx, const struct store_event *ev, struct err *e)
{
	return run(tx,
		   query(tx, e,
			 "INSERT INTO event(at_us,sub,rg,target,operation,status,caller,detail)"
			 " VALUES(?,?,?,?,?,?,?,?)",
			 "ittttttt", ev->at_us, ev->sub, ev->rg, ev->target, ev->operation,
			 ev->status, ev->caller, ev->detail),
		   e);
}

#define EVENT_SELECT \
	"SELECT seq,at_us,sub,rg,target,operation,status,caller,detail FROM event INDEXED BY "
#define EVENT_TAIL " AND seq<? ORDER BY seq DESC LIMIT ?"

int
store_event_list(struct store_tx *tx, struct arena *a, const char *sub, const char *rg,
		 const char *target, int64_t before_seq, size_t limit, struct store_event **ret,
		 size_t *n, struct err *e)
{
	struct rows rows = { .a = a, .size = sizeof(**ret) };
	int64_t before = before_seq ? before_seq : INT64_MAX;
	sqlite3_stmt *st;
	int r;

	if (target)
		st = query(tx, e, EVENT_SELECT "event_target WHERE sub=? AND target=?" EVENT_TAIL,
			   "ttii", sub, target, before, (int64_t)limit);
	else if (rg)
		st = query(tx, e, EVENT_SELECT "event_rg WHERE sub=? AND rg=?" EVENT_TAIL, "ttii",
			   sub, rg, before, (int64_t)limit);
	else
		st = query(tx, e, EVENT_SELECT "event_sub WHERE sub=?" EVENT_TAIL, "tii", sub,
			   before, (int64_t)limit);
	while ((r = step(tx, st, e)) > 0) {
		struct store_event *ev = rows_add(&rows);

		ev->seq = sqlite3_column_int64(st, 0);
		ev->at_us = sqlite3_column_int64(st, 1);
		ev->sub = text(a, st, 2);
		ev->rg = text(a, st, 3);
		ev->target = text(a, st, 4);
		ev->operation = text(a, st, 5);
		ev->status = text(a, st, 6);
		ev->caller = text(a, st, 7);
		ev->detail = text(a, st, 8);
	}
	*ret = (struct store_event *)rows.p;
	*n = rows.n;
	return r;
}

/* --- nodes and their objects ---------------------------------------------------------------------------- */

#define NODE_COLS \
	"name, role, cert, token_hash, token_until_us, applied, seen_us, report, revoked," \
	" cert_before, token_csr"

static void
node_row(struct arena *a, sqlite3_stmt *st, struct store_node *n)
{
	*n = (struct store_node){
		.name = text(a, st, 0),
		.role = text(a, st, 1),
		.cert = text(a, st, 2),
		.token_hash = text(a, st, 3),
		.token_until_us = sqlite3_column_int64(st, 4),
		.applied = sqlite3_column_int64(st, 5),
		.seen_us = sqlite3_column_int64(st, 6),
		.report = text(a, st, 7),
		.revoked = sqlite3_column_int(st, 8) != 0,
		.cert_before = text(a, st, 9),
		.token_csr = text(a, st, 10),
	};
}

static const char *
or_empty(const char *t)
{
	return t ? t : "";
}

int
store_node_put(struct store_tx *tx, const struct store_node *n, struct err *e)
{
	return run(tx,
		   query(tx, e,
			 "INSERT OR REPLACE INTO node(" NODE_COLS ") VALUES(?,?,?,?,?,?,?,?,?,?,?)",
			 "ttttiiititt", n->name, or_empty(n->role), or_empty(n->cert),
			 or_empty(n->token_hash), n->token_until_us, n->applied, n->seen_us,
			 n->report ? n->report : "{}", (int64_t)n->revoked,
			 or_empty(n->cert_before), or_empty(n->token_csr)),
		   e);
}

static int
node_one(struct store_tx *tx, struct arena *a, sqlite3_stmt *st, struct store_node *ret,
	 struct err *e)
{
	int r = step(tx, st, e);

	if (r <= 0)
		return r;
	node_row(a, st, ret);
	finish(tx, st);
	return 1;
}

int
store_node_get(struct store_tx *tx, struct arena *a, const char *name, struct store_node *ret,
	       struct err *e)
{
	return node_one(tx, a,
			query(tx, e, "SELECT " NODE_COLS " FROM node WHERE name=?", "t", name), ret,
			e);
}

int
store_node_by_cert(struct store_tx *tx, struct arena *a, const char *cert, struct store_node *ret,
		   struct err *e)
{
	int r = node_one(tx, a,
			 query(tx, e, "SELECT " NODE_COLS " FROM node WHERE cert=? AND cert<>''",
			       "t", cert),
			 ret, e);

	if (r)
		return r;
	return node_one(tx, a,
			query(tx, e,
			      "SELECT " NODE_COLS
			      " FROM node WHERE cert_before=? AND cert_before<>''",
			      "t", cert),
			ret, e);
}

int
store_node_list(struct store_tx *tx, struct arena *a, const char *after, size_t limit,
		struct store_node **ret, size_t *n, struct err *e)
{
	struct rows rows = { .a = a, .size = sizeof(**ret) };
	sqlite3_stmt *st =
		query(tx, e, "SELECT " NODE_COLS " FROM node WHERE name>? ORDER BY name LIMIT ?",
		      "ti", after ? after : "", (int64_t)limit);
	int r;

	while ((r = step(tx, st, e)) > 0)
		node_row(a, st, rows_add(&rows));
	*ret = (struct store_node *)rows.p;
	*n = rows.n;
	return r;
}

#define OBJECT_COLS "node, kind, key, owner, rev, sealed"

static int
object_row(struct store_tx *tx, struct arena *a, sqlite3_stmt *st, struct store_object *o,
	   struct err *e)
{
	AUTO_FREE char *where = NULL;
	const void *body;
	size_t n;
	int r;

	*o = (struct store_object){
		.node = text(a, st, 0),
		.kind = text(a, st, 1),
		.key = text(a, st, 2),
		.owner = text(a, st, 3),
		.rev = sqlite3_column_int64(st, 4),
	};
	if (sqlite3_column_type(st, 5) == SQLITE_NULL)
		return 0;
	where = mem_printf("object\n%s\n%s\n%s", o->node, o->kind, o->key);
	r = seal_open(tx->store->key, where, sqlite3_column_blob(st, 5),
		      (size_t)sqlite3_column_bytes(st, 5), a, &body, &n, e);
	o->body = r < 0 ? NULL : body;
	return r;
}

static int
object_list(struct store_tx *tx, struct arena *a, sqlite3_stmt *st, struct store_object **ret,
	    size_t *n, struct err *e)
{
	struct rows rows = { .a = a, .size = sizeof(**ret) };
	int r;

	while ((r = step(tx, st, e)) > 0) {
		int bad = object_row(tx, a, st, rows_add(&rows), e);

		if (bad < 0) {
			finish(tx, st);
			return bad;
		}
	}
	*ret = (struct store_object *)rows.p;
	*n = rows.n;
	return r;
}

int
store_object_get(struct store_tx *tx, struct arena *a, const char *node, const char *kind,
		 const char *key, struct store_object *ret, struct err *e)
{
	struct store_object *o;
	size_t n;
	int r = object_list(tx, a,
			    query(tx, e,
				  "SELECT " OBJECT_COLS
				  " FROM node_object WHERE node=? AND kind=? AND key=?",
				  "ttt", node, kind, key),
			    &o, &n, e);

	if (r < 0 || !n)
		return r;
	*ret = *o;
	return 1;
}

static int
rev_next(struct store_tx *tx, const char *node, int64_t *ret, struct err *e)
{
	sqlite3_stmt *st = query(tx, e,
				 "INSERT INTO node_counter(node,rev,floor) VALUES(?,1,0)"
				 " ON CONFLICT(node) DO UPDATE SET rev=rev+1 RETURNING rev",
				 "t", node);
	int r = step(tx, st, e);

	if (r <= 0)
		return r < 0 ? r : -EIO;
	*ret = sqlite3_column_int64(st, 0);
	while ((r = step(tx, st, e)) > 0)
		;
	return r;
}

static bool
object_is_same(const struct store_object *old, const struct store_object *o)
{
	assert(old->owner); /* NOT NULL in the schema */
	if (strcmp(old->owner, o->owner) != 0)
		return false;
	return old->body && o->body ? !strcmp(old->body, o->body) : old->body == o->body;
}

int
store_object_put(struct store_tx *tx, const struct store_object *o, int64_t *ret_rev, struct err *e)
{
	AUTO_ARENA a = { 0 };
	AUTO_BUF sealed = { 0 };
	AUTO_FREE char *where = mem_printf("object\n%s\n%s\n%s", o->node, o->kind, o->key);
	struct store_object old;
	int64_t rev = 0;
	int r = store_object_get(tx, &a, o->node, o->kind, o->key, &old, e);

	*ret_rev = 0;
	if (r < 0)
		return r;
	if ((r == 1 && object_is_same(&old, o)) || (r == 0 && !o->body))
		return 0;
	if (o->body) {
		r = seal_close(tx->store->key, where, o->body, strlen(o->body), &sealed, e);
		if (r < 0)
			return r;
	}
	r = rev_next(tx, o->node, &rev, e);
	if (r == 0)
		r = run(tx,
			query(tx, e,
			      "INSERT OR REPLACE INTO node_object(" OBJECT_COLS
			      ") VALUES(?,?,?,?,?,?)",
			      "ttttib", o->node, o->kind, o->key, o->owner, rev,
			      o->body ? sealed.p : NULL, sealed.n),
			e);
	if (r == 0)
		*ret_rev = rev;
	return r;
}

int
store_object_of(struct store_tx *tx, struct arena *a, const char *owner, struct store_object **ret,
		size_t *n, struct err *e)
{
	return object_list(tx, a,
			   query(tx, e,
				 "SELECT " OBJECT_COLS " FROM node_object INDEXED BY"
				 " node_object_owner WHERE owner=? AND sealed IS NOT NULL",
				 "t", owner),
			   ret, n, e);
}

int
store_object_since(struct store_tx *tx, struct arena *a, const char *node, int64_t rev,
		   size_t limit, struct store_object **ret, size_t *n, struct err *e)
{
	return object_list(tx, a,
			   query(tx, e,
				 "SELECT " OBJECT_COLS
				 " FROM node_object INDEXED BY node_object_rev"
				 " WHERE node=? AND rev>? ORDER BY rev LIMIT ?",
				 "tii", node, rev, (int64_t)limit),
			   ret, n, e);
}

int
store_object_snapshot(struct store_tx *tx, struct arena *a, const char *node,
		      const char *after_kind, const char *after_key, size_t limit,
		      struct store_object **ret, size_t *n, struct err *e)
{
	return object_list(
		tx, a,
		query(tx, e,
		      "SELECT " OBJECT_COLS " FROM node_object WHERE node=?1 AND"
		      " (kind,key)>(?2,?3) AND sealed IS NOT NULL ORDER BY kind,key LIMIT ?4",
		      "ttti", node, or_empty(after_kind), or_empty(after_key), (int64_t)limit),
		ret, n, e);
}

int
store_node_rev(struct store_tx *tx, const char *node, int64_t *ret_rev, int64_t *ret_floor,
	       struct err *e)
{
	sqlite3_stmt *st =
		query(tx, e, "SELECT rev,floor FROM node_counter WHERE node=?", "t", node);
	int r = step(tx, st, e);

	*ret_rev = *ret_floor = 0;
	if (r <= 0)
		return r;
	*ret_rev = sqlite3_column_int64(st, 0);
	*ret_floor = sqlite3_column_int64(st, 1);
	finish(tx, st);
	return 0;
}

/* --- identity ----------------------------------------------------------------------------------------------- */

#define PRINCIPAL_COLS "oid, client_id, tenant, kind, name, secret_hash, secret_salt, is_disabled"

static void
principal_row(struct arena *a, sqlite3_stmt *st, struct store_principal *p)
{
	*p = (struct store_principal){
		.oid = text(a, st, 0),
		.client_id = text(a, st, 1),
		.tenant = text(a, st, 2),
		.kind = text(a, st, 3),
		.name = text(a, st, 4),
		.secret_hash = text(a, st, 5),
		.secret_salt = text(a, st, 6),
		.is_disabled = sqlite3_column_int(st, 7) != 0,
	};
}

int
store_principal_put(struct store_tx *tx, const struct store_principal *p, struct err *e)
{
	return run(tx,
		   query(tx, e,
			 "INSERT OR REPLACE INTO principal(" PRINCIPAL_COLS
			 ") VALUES(?,?,?,?,?,?,?,?)",
			 "ttttttti", p->oid, p->client_id, p->tenant, p->kind, p->name,
			 or_empty(p->secret_hash), or_empty(p->secret_salt),
			 (int64_t)p->is_disabled),
		   e);
}

static int
principal_one(struct store_tx *tx, struct arena *a, sqlite3_stmt *st, struct store_principal *ret,
	      struct err *e)
{
	int r = step(tx, st, e);

	if (r <= 0)
		return r;
	principal_row(a, st, ret);
	finish(tx, st);
	return 1;
}

int
store_principal_get(struct store_tx *tx, struct arena *a, const char *oid,
		    struct store_principal *ret, struct err *e)
{
	return principal_one(tx, a,
			     query(tx, e, "SELECT " PRINCIPAL_COLS " FROM principal WHERE oid=?",
				   "t", oid),
			     ret, e);
}

int
store_principal_by_client(struct store_tx *tx, struct arena *a, const char *client_id,
			  struct store_principal *ret, struct err *e)
{
	return principal_one(tx, a,
			     query(tx, e,
				   "SELECT " PRINCIPAL_COLS " FROM principal WHERE client_id=?",
				   "t", client_id),
			     ret, e);
}

int
store_principal_list(struct store_tx *tx, struct arena *a, const char *after, size_t limit,
		     struct store_principal **ret, size_t *n, struct err *e)
{
	struct rows rows = { .a = a, .size = sizeof(**ret) };
	sqlite3_stmt *st = query(tx, e,
				 "SELECT " PRINCIPAL_COLS
				 " FROM principal WHERE oid>? ORDER BY oid LIMIT ?",
				 "ti", or_empty(after), (int64_t)limit);
	int r;

	while ((r = step(tx, st, e)) > 0)
		principal_row(a, st, rows_add(&rows));
	*ret = (struct store_principal *)rows.p;
	*n = rows.n;
	return r;
}

#define ASSIGNMENT_COLS "fold, id, scope, role, principal, body"

static int
assignment_rows(struct store_tx *tx, struct rows *rows, sqlite3_stmt *st, struct err *e)
{
	int r;

	while ((r = step(tx, st, e)) > 0) {
		struct store_assignment *s = rows_add(rows);

		s->fold = text(rows->a, st, 0);
		s->id = text(rows->a, st, 1);
		s->scope = text(rows->a, st, 2);
		s->role = text(rows->a, st, 3);
		s->principal = text(rows->a, st, 4);
		s->body = text(rows->a, st, 5);
	}
	return r;
}

int
store_assignment_put(struct store_tx *tx, const struct store_assignment *s, struct err *e)
{
	/* Not REPLACE: the same grant under another name is -EEXIST. */
	return run(
		tx,
		query(tx, e,
		      "INSERT INTO assignment(" ASSIGNMENT_COLS ") VALUES(?,?,?,?,?,?)"
		      " ON CONFLICT(fold) DO UPDATE SET scope=excluded.scope, role=excluded.role,"
		      " principal=excluded.principal, body=excluded.body",
		      "tttttt", s->fold, s->id, s->scope, s->role, s->principal, s->body),
		e);
}

int
store_assignment_get(struct store_tx *tx, struct arena *a, const char *fold,
		     struct store_assignment *ret, struct err *e)
{
	struct rows rows = { .a = a, .size = sizeof(*ret) };
	int r = assignment_rows(
		tx, &rows,
		query(tx, e, "SELECT " ASSIGNMENT_COLS " FROM assignment WHERE fold=?", "t", fold),
		e);

	if (r < 0 || !rows.n)
		return r;
	*ret = *(struct store_assignment *)rows.p;
	return 1;
}

int
store_assignment_delete(struct store_tx *tx, const char *fold, struct err *e)
{
	return run(tx, query(tx, e, "DELETE FROM assignment WHERE fold=?", "t", fold), e);
}

int
store_assignment_of(struct store_tx *tx, struct arena *a, const char *principal,
		    struct store_assignment **ret, size_t *n, struct err *e)
{
	struct rows rows = { .a = a, .size = sizeof(**ret) };
	int r = assignment_rows(
		tx, &rows,
		query(tx, e,
		      "SELECT " ASSIGNMENT_COLS
		      " FROM assignment INDEXED BY assignment_once WHERE principal=?",
		      "t", principal),
		e);

	*ret = (struct store_assignment *)rows.p;
	*n = rows.n;
	return r;
}

int
store_assignment_at(struct store_tx *tx, struct arena *a, const char *scope, bool below,
		    size_t limit, struct store_assignment **ret, size_t *n, struct err *e)
{
	struct rows rows = { .a = a, .size = sizeof(**ret) };
	const char *base = strcmp(scope, "/") ? scope : "";
	int r = assignment_rows(tx, &rows,
				query(tx, e,
				      "SELECT " ASSIGNMENT_COLS
				      " FROM assignment INDEXED BY assignment_scope WHERE scope=?"
				      " LIMIT ?",
				      "ti", scope, (int64_t)limit),
				e);

	if (r == 0 && below && rows.n < limit)
		r = assignment_rows(tx, &rows,
				    query(tx, e,
					  "SELECT " ASSIGNMENT_COLS
					  " FROM assignment INDEXED BY assignment_scope"
					  " WHERE scope>?1||'/' AND scope<?1||'0' LIMIT ?2",
					  "ti", base, (int64_t)(limit - rows.n)),
				    e);
	*ret = (struct store_assignment *)rows.p;
	*n = rows.n;
	return r;
}

#define SUBSCRIPTION_COLS "id, tenant, name, state"

static int
subscription_rows(struct store_tx *tx, struct rows *rows, sqlite3_stmt *st, struct err *e)
{
	int r;

	while ((r = step(tx, st, e)) > 0) {
		struct store_subscription *s = rows_add(rows);

		s->id = text(rows->a, st, 0);
		s->tenant = text(rows->a, st, 1);
		s->name = text(rows->a, st, 2);
		s->state = text(rows->a, st, 3);
	}
	return r;
}

int
store_subscription_put(struct store_tx *tx, const struct store_subscription *s, struct err *e)
{
	return run(tx,
		   query(tx, e,
			 "INSERT OR REPLACE INTO subscription(" SUBSCRIPTION_COLS
			 ") VALUES(?,?,?,?)",
			 "tttt", s->id, s->tenant, s->name, s->state),
		   e);
}

int
store_subscription_get(struct store_tx *tx, struct arena *a, const char *id,
		       struct store_subscription *ret, struct err *e)
{
	struct rows rows = { .a = a, .size = sizeof(*ret) };
	int r = subscription_rows(
		tx, &rows,
		query(tx, e, "SELECT " SUBSCRIPTION_COLS " FROM subscription WHERE id=?", "t", id),
		e);

	if (r < 0 || !rows.n)
		return r;
	*ret = *(struct store_subscription *)rows.p;
	return 1;
}

int
store_subscription_list(struct store_tx *tx, struct arena *a, const char *tenant, const char *after,
			size_t limit, struct store_subscription **ret, size_t *n, struct err *e)
{
	struct rows rows = { .a = a, .size = sizeof(**ret) };
	int r = subscription_rows(tx, &rows,
				  query(tx, e,
					"SELECT " SUBSCRIPTION_COLS " FROM subscription INDEXED BY"
					" subscription_tenant WHERE tenant=? AND id>? ORDER BY id"
					" LIMIT ?",
					"tti", tenant, or_empty(after), (int64_t)limit),
				  e);

	*ret = (struct store_subscription *)rows.p;
	*n = rows.n;
	return r;
}

/* --- usage ----------------------------------------------------------------------------------------------------- */

int
store_reading_upto(struct store_tx *tx, const char *node, const char *boot, uint64_t *ret,
		   struct err *e)
{
	sqlite3_stmt *st = query(tx, e,
				 "SELECT upto FROM usage.reading_upto WHERE node=? AND boot=?",
				 "tt", node, boot);
	int r = step(tx, st, e);

	*ret = 0;
	if (r <= 0)
		return r;
	*ret = (uint64_t)sqlite3_column_int64(st, 0);
	finish(tx, st);
	return 0;
}

static int
reading_has(struct store_tx *tx, const char *node, const char *boot, uint64_t seq, struct err *e)
{
	sqlite3_stmt *st = query(tx, e,
				 "SELECT 1 FROM usage.reading WHERE node=? AND boot=? AND seq=?",
				 "tti", node, boot, (int64_t)seq);
	int r = step(tx, st, e);

	if (r > 0)
		finish(tx, st);
	return r;
}

int
store_reading_add(struct store_tx *tx, const struct store_reading *rd, bool *ret_is_new,
		  struct err *e)
{
	uint64_t upto, was;
	int r = store_reading_upto(tx, rd->node, rd->boot, &upto, e);

	if (r == 0)
		r = run(tx,
			query(tx, e,
			      "INSERT OR IGNORE INTO usage.reading(node,boot,seq,at_us,body)"
			      " VALUES(?,?,?,?,?)",
			      "ttiit", rd->node, rd->boot, (int64_t)rd->seq, rd->at_us, rd->body),
			e);
	if (r < 0)
		return r;
	*ret_is_new = sqlite3_changes(tx->db) == 1;
	for (was = upto; r >= 0; upto++) {
		r = reading_has(tx, rd->node, rd->boot, upto + 1, e);
		if (r <= 0)
			break;
	}
	if (r < 0 || upto == was)
		return r;
	return run(tx,
		   query(tx, e,
			 "INSERT OR REPLACE INTO usage.reading_upto(node,boot,upto) VALUES(?,?,?)",
			 "tti", rd->node, rd->boot, (int64_t)upto),
		   e);
}

int
store_reading_last(struct store_tx *tx, struct arena *a, const char *node,
		   struct store_reading *ret, struct err *e)
{
	sqlite3_stmt *st = query(tx, e,
				 "SELECT node,boot,seq,at_us,body FROM usage.reading"
				 " WHERE node=? ORDER BY at_us DESC LIMIT 1",
				 "t", node);
	int r = step(tx, st, e);

	if (r <= 0)
		return r;
	ret->node = text(a, st, 0);
	ret->boot = text(a, st, 1);
	ret->seq = (uint64_t)sqlite3_column_int64(st, 2);
	ret->at_us = sqlite3_column_int64(st, 3);
	ret->body = text(a, st, 4);
	finish(tx, st);
	return 1;
}
