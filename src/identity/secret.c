/* Random secrets and how they are kept: SHA-256 of salt and secret. The secrets are 256 random bits,
 * so a slow hash would protect nothing. */
#include "identity/internal.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

static void
random_bytes(uint8_t *p, int n)
{
	if (RAND_bytes(p, n) != 1)
		abort();
}

void
secret_make(char out[44])
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	uint8_t b[33] = { 0 };

	random_bytes(b, 32);
	for (int i = 0; i < 43; i++) {
		int bit = i * 6, v = b[bit / 8] << 8 | b[bit / 8 + 1];

		out[i] = digits[v >> (10 - bit % 8) & 63];
	}
	out[43] = '\0';
}

void
guid_make(char out[37])
{
	uint8_t b[16];

	random_bytes(b, 16);
	b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
	b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
	snprintf(out, 37, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
		 b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12],
		 b[13], b[14], b[15]);
}

void
secret_hash(const char *salt, const char *secret, char out[65])
{
	uint8_t d[SHA256_DIGEST_LENGTH];
	AUTO_ARENA a = { 0 };
	const char *both = arena_printf(&a, "%s:%s", salt, secret);

	SHA256((const uint8_t *)both, strlen(both), d);
	for (size_t i = 0; i < sizeof(d); i++)
		snprintf(out + i * 2, 3, "%02x", d[i]);
}

bool
secret_equal(const char *a, const char *b)
{
	return strlen(a) == strlen(b) && !CRYPTO_memcmp(a, b, strlen(a));
}

int
secret_add(struct store_tx *tx, struct arena *a, const char *oid, const char *name,
	   int64_t start_us, int64_t end_us, const char **ret_secret, struct store_credential *ret,
	   struct err *e)
{
	char secret[44], salt[37], hash[65], id[37];

	secret_make(secret);
	guid_make(salt);
	guid_make(id);
	secret_hash(salt, secret, hash);
	*ret = (struct store_credential){
		.oid = oid,
		.id = arena_strdup(a, id),
		.kind = STORE_CREDENTIAL_SECRET,
		.name = name,
		.hash = arena_strdup(a, hash),
		.salt = arena_strdup(a, salt),
		.hint = arena_strndup(a, secret, 3),
		.start_us = start_us,
		.end_us = end_us,
	};
	*ret_secret = arena_strdup(a, secret);
	return store_credential_put(tx, ret, e);
}

int
secret_check(struct store_tx *tx, struct arena *a, const char *oid, const char *secret,
	     int64_t now_us, struct err *e)
{
	struct store_credential *all;
	bool is_one = false;
	size_t n = 0;
	int r = store_credential_of(tx, a, oid, STORE_CREDENTIAL_SECRET, &all, &n, e);

	for (size_t i = 0; i < n && r == 0; i++) {
		char hash[65];

		secret_hash(all[i].salt, secret, hash);
		is_one |= secret_equal(hash, all[i].hash) && now_us >= all[i].start_us &&
			  (!all[i].end_us || now_us < all[i].end_us);
	}
	return r < 0 ? r : is_one;
}
