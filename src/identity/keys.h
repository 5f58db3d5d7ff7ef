/* The keys that sign our tokens: a ring in the store, sealed as a whole.
 *
 *   published ──LEAD──▶ signs ──PERIOD──▶ is kept until its last token has expired ──▶ gone
 *
 * A key is in the key set a day before it signs, so that who keeps a copy of the set has it in time.
 * What is to be done when is a function of the ring and the time (keys_step()); several controllers
 * on one store do it once.
 */
#pragma once

#include "identity/jwt.h"
#include "store/store.h"

enum {
	KEYS_MAX = 16,
	KEYS_PERIOD_S = 30 * 86400,
	KEYS_LEAD_S = 86400,
	KEYS_HASTE_S = 600,       /* the lead of a rotation that somebody asked for */
	KEYS_KEPT_S = 3600 + 600, /* longer than any token lives */
};

struct keys_one {
	char kid[44];
	char *pem; /* private; owned */
	EVP_PKEY *key;
	int64_t from_s, until_s; /* signs from; is believed until, 0: not known yet */
};
struct keys {
	struct keys_one list[KEYS_MAX]; /* in the order of from_s */
	size_t n;
};

/* How a rotation is asked for. */
enum keys_wish {
	KEYS_ON_TIME, /* what the schedule says */
	KEYS_SOON,    /* a new key after KEYS_HASTE_S, whatever the schedule says */
	KEYS_AT_ONCE, /* a new key now; no token signed before is believed any more */
};

/* Brings the ring up to date. spare is used, and taken over (*spare is then NULL), when a new key is
 * due; without one 1 is returned and nothing is changed but what needs none. */
int keys_step(struct keys *k, enum keys_wish wish, int64_t now_s, EVP_PKEY **spare);
/* The one that signs now. The ring has one after keys_step(). */
const struct keys_one *keys_signing(const struct keys *k, int64_t now_s);
/* The one a token names, while it is believed. */
const struct keys_one *keys_find(const struct keys *k, const char *kid, int64_t now_s);
void keys_fini(struct keys *k);

/* In a transaction that writes; slow, since it makes a key. */
int keys_rotate(struct store_tx *tx, enum keys_wish wish, int64_t now_s, struct err *e);
/* Reads the ring, brings it up to date, writes it if that changed it. */
int keys_load(struct store *s, enum keys_wish wish, int64_t now_s, struct keys *ret, struct err *e);
