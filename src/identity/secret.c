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
