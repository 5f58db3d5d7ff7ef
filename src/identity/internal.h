/* Shared by the files of this folder only. */
#pragma once

#include "identity/identity.h"

#include <pthread.h>

#include <cjose/cjose.h>

struct identity {
	struct store *store;
	char *base_url;
	cjose_jwk_t *key;
	char kid[65];
	pthread_mutex_t lock; /* cjose counts its references without atomics */
};

bool rbac_may(void *ctx, struct store_tx *tx, struct arena *a, const struct arm_caller *c,
	      const char *action, const char *scope);
bool rbac_sees(void *ctx, struct store_tx *tx, struct arena *a, const struct arm_caller *c,
	       const char *sub);
int rbac_handle(void *ctx, struct arm_extension_call *x);

/* secret.c */
void secret_make(char out[44]); /* 256 bits, base64url */
void secret_hash(const char *salt, const char *secret, char out[65]);
void guid_make(char out[37]);
bool secret_equal(const char *a, const char *b);
