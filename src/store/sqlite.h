/* SQL inside a transaction, for the files of the SQLite back end only: one file a group of tables.
 *
 * A statement is prepared once per connection and found by the address of its text: a literal. One
 * that is stepped to its end is ready for its next use; one left earlier needs sql_finish(). */
#pragma once

#include "base/map.h"
#include "base/mem.h"
#include "store/internal.h"

enum { SQL_MAX_LIST = 1000 };

struct store_tx {
	struct store *store;
	sqlite3 *db;
	struct map stmts; /* const char ** (address of text) -> sqlite3_stmt * */
	struct store_tx *next_free;
	bool is_housekeeping; /* scans are its business */
	bool is_open;         /* a transaction was begun and must still be there */
};

/* The master key. */
const uint8_t *sql_key(const struct store_tx *tx);

/* fmt, one letter per parameter: t text or NULL, i int64_t, b pointer and size_t. Texts are copied.
 * NULL: failed; the functions below pass that on. */
sqlite3_stmt *sql_query(struct store_tx *tx, struct err *e, const char *sql, const char *fmt, ...);
/* 1: a row; 0: no more (the statement is ready for its next use); negative: failed. */
int sql_step(struct store_tx *tx, sqlite3_stmt *st, struct err *e);
/* A statement without rows. */
int sql_run(struct store_tx *tx, sqlite3_stmt *st, struct err *e);
void sql_finish(struct store_tx *tx, sqlite3_stmt *st);
/* Column i, copied; NULL for NULL. */
const char *sql_text(struct arena *a, sqlite3_stmt *st, int i);

/* For columns that are NOT NULL. */
static inline const char *
sql_or_empty(const char *t)
{
	return t ? t : "";
}

/* A list of rows that grows in the arena. */
struct sql_rows {
	struct arena *a;
	size_t n, cap, size;
	char *p;
};
/* Room for one more, not cleared. */
void *sql_rows_add(struct sql_rows *r);

/* Rows that more than one file reads. */
#define PRINCIPAL_COLS \
	"oid, client_id, tenant, kind, name, upn, external_id, body, is_disabled, rev," \
	" created_us, changed_us"
#define SUBSCRIPTION_COLS "id, tenant, name, state"
void sql_principal(struct arena *a, sqlite3_stmt *st, struct store_principal *ret);
int sql_subscriptions(struct store_tx *tx, struct sql_rows *rows, sqlite3_stmt *st, struct err *e);
