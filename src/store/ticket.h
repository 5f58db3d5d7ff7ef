/* Tickets: what somebody may show once, or for a while, and is known here by its SHA-256 alone:
 * refresh tokens, authorization codes, device codes, sessions, links of invitation; and identifiers
 * that must not come again.
 */
#pragma once

#include "store/store.h"

struct store_ticket {
	const char *kind;   /* "refresh", "code", ... */
	const char *hash;   /* hex SHA-256 of what its holder shows */
	const char *family; /* those that end together; "" for none */
	const char *oid;    /* whose; "" for nobody's yet */
	const char *body;   /* JSON; no secrets */
	int64_t made_us, until_us;
	int64_t used_us; /* 0: not yet */
};
/* Writes it, over one that is there. */
int store_ticket_put(struct store_tx *tx, const struct store_ticket *t, struct err *e);
/* What is over at now_us counts as absent. 1: found, 0: absent. */
int store_ticket_get(struct store_tx *tx, struct arena *a, const char *kind, const char *hash,
		     int64_t now_us, struct store_ticket *ret, struct err *e);
int store_ticket_drop(struct store_tx *tx, const char *kind, const char *hash, struct err *e);
int store_ticket_drop_family(struct store_tx *tx, const char *family, struct err *e);
/* All of one kind that somebody has. */
int store_ticket_drop_of(struct store_tx *tx, const char *oid, const char *kind, struct err *e);
/* Drops at most limit that are over. */
int store_ticket_prune(struct store_tx *tx, int64_t now_us, size_t limit, struct err *e);
