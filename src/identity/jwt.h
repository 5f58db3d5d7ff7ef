/* JSON Web Tokens in compact form (RFC 7515, 7519) and key sets (RFC 7517): reading, checking a
 * signature with a key that the caller chose, signing with RS256. OpenSSL does the arithmetic; its
 * keys may be used by several threads at once.
 *
 * What a token says about keys (jku, jwk, x5u, x5c) is never followed: a header only names one of the
 * keys that the caller already trusts. Of the algorithms only those listed here exist, and each goes
 * with one type of key.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"

#include <jansson.h>
#include <openssl/evp.h>

enum jwt_alg { JWT_NONE, JWT_RS256, JWT_PS256, JWT_ES256 };
enum { JWT_MAX = 16384 }; /* characters of a token */

struct jwt {
	enum jwt_alg alg;         /* JWT_NONE: none of ours, whatever it was */
	const char *kid;          /* "" for none */
	const char *x5t, *x5t256; /* thumbprints as sent, base64url; "" for none */
	json_t *claims;           /* an object; owned: jwt_fini() */
	const char *text;         /* what is signed */
	size_t n_text;
	const uint8_t *sig;
	size_t n_sig;
};

/* Takes it apart; believes nothing yet. -EBADMSG with what is wrong. */
int jwt_parse(struct arena *a, const char *token, struct jwt *ret, struct err *e);
void jwt_fini(struct jwt *t);
/* Is the signature of this key, by the token's own algorithm? */
bool jwt_is_signed_by(const struct jwt *t, EVP_PKEY *key);
/* nbf <= now <= exp with a tolerance; exp must be there. Seconds. */
enum jwt_time { JWT_TIME_GOOD, JWT_TIME_EARLY, JWT_TIME_LATE, JWT_TIME_ABSENT };
enum jwt_time jwt_time_check(const struct jwt *t, int64_t now_s, int64_t leeway_s);
/* "aud" is this text, or a list with it. */
bool jwt_has_audience(const struct jwt *t, const char *audience);
/* A text claim, or "". */
const char *jwt_text(const struct jwt *t, const char *claim);

/* RS256. NULL: it could not be signed. free() it. */
char *jwt_sign(EVP_PKEY *key, const char *kid, const json_t *claims);

/* --- keys --- */

enum { JWKS_MAX = 64 };
struct jwks_key {
	char kid[128];    /* "" for none */
	enum jwt_alg alg; /* JWT_NONE: does not say */
	EVP_PKEY *key;
};
struct jwks {
	struct jwks_key keys[JWKS_MAX];
	size_t n;
};
/* {"keys":[...]}: RSA from 2048 to 8192 bits and P-256; others, and those that are not for
 * signatures, are passed over. -EBADMSG: not a key set. */
int jwks_parse(const json_t *doc, struct jwks *ret, struct err *e);
void jwks_fini(struct jwks *k);
/* Is the token signed by one of them? With a kid, only keys of that kid are tried. */
bool jwks_verifies(const struct jwks *k, const struct jwt *t);
/* Does the set have a key that the token may mean? */
bool jwks_knows(const struct jwks *k, const struct jwt *t);
/* The public half as a JWK with kid, use and alg. RSA only. A new reference. */
json_t *jwk_public(EVP_PKEY *key, const char *kid);

/* --- base64url without padding --- */

char *base64url(struct arena *a, const void *p, size_t n);
/* NULL: not base64url. Bytes follow in the arena, NUL-terminated beyond n. */
uint8_t *base64url_decode(struct arena *a, const char *s, size_t n, size_t *ret_n);
/* SHA-256 in base64url: PKCE's S256, thumbprints. */
char *sha256_base64url(struct arena *a, const char *text);
void sha256_hex(const void *p, size_t n, char out[65]);
