/* Shared by the files of this folder only. */
#pragma once

#include "identity/identity.h"
#include "identity/keys.h"
#include "store/directory.h"

#include <pthread.h>

enum { IDENTITY_SEEN = 1024 };

struct identity {
	struct store *store;
	char *base_url;
	pthread_mutex_t lock; /* of what follows */
	struct keys keys;
	int64_t keys_read_us, pruned_us;
	int64_t keys_doubt_us; /* until then the ring in the store may be another */
	/* Digests of tokens whose signature was good: of the same text it stays good while its key is
	 * in the ring. Times, audience and holder are looked at every time. */
	uint8_t seen[IDENTITY_SEEN][32];
	/* set once */
	char mac_key[44]; /* of cookies and forms */
	struct limits *limits;
	struct issuers *issuers;
	struct identity_fetch fetch;
	struct identity_trust trust;
	struct rights_cache *rights; /* rbac.c's; has a lock of its own */
};

struct rights_cache *rights_cache_create(void);
void rights_cache_destroy(struct rights_cache *c);

bool rbac_may(void *ctx, struct store_tx *tx, struct arena *a, const struct arm_caller *c,
	      const char *action, const char *scope);
bool rbac_sees(void *ctx, struct store_tx *tx, struct arena *a, const struct arm_caller *c,
	       const char *sub);
const char *rbac_through(void *ctx, struct store_tx *tx, struct arena *a,
			 const struct arm_caller *c, const char *sub);
int rbac_subscriptions(void *ctx, struct store_tx *tx, struct arena *a, const struct arm_caller *c,
		       const char *after, size_t limit, struct store_subscription **ret,
		       size_t *ret_n, struct err *e);
int rbac_permissions(struct identity *id, struct arm_extension_call *x);
int rbac_handle(void *ctx, struct arm_extension_call *x);

/* secret.c */
void secret_make(char out[44]); /* 256 bits, base64url */
void secret_hash(const char *salt, const char *secret, char out[65]);
void guid_make(char out[37]);
bool secret_equal(const char *a, const char *b);
/* A further secret for a principal: its text is known only now. end_us 0: for ever. */
int secret_add(struct store_tx *tx, struct arena *a, const char *oid, const char *name,
	       int64_t start_us, int64_t end_us, const char **ret_secret,
	       struct store_credential *ret, struct err *e);
/* 1: it is one of the principal's, and its time is now. */
int secret_check(struct store_tx *tx, struct arena *a, const char *oid, const char *secret,
		 int64_t now_us, struct err *e);
