/* Shared by the files of this folder only. */
#pragma once

#include "base/buf.h"
#include "store/store.h"

#include <sqlite3.h>

#define SEAL_KEY_SIZE 32

/* seal.c: AES-256-GCM. Blob: 0x01, nonce[12], ciphertext, tag[16]. where: bound to the place. */
int seal_key_load(const char *path, uint8_t key[SEAL_KEY_SIZE], struct err *e);
int seal_close(const uint8_t key[SEAL_KEY_SIZE], const char *where, const void *p, size_t n,
	       struct buf *ret, struct err *e);
int seal_open(const uint8_t key[SEAL_KEY_SIZE], const char *where, const void *p, size_t n,
	      struct arena *a, const void **ret, size_t *ret_n, struct err *e);

/* migrate.c: brings the schema to the newest version inside one transaction. */
int migrate(sqlite3 *db, struct err *e);

/* The connection behind a transaction, for tests of what SQLite does to it. */
sqlite3 *tx_handle(struct store_tx *tx);
