/* The Authorization header. First byte even: the rest is a header, which we cannot have signed. Odd:
 * the rest is the payload of a token that we did sign; whatever it claims is looked at and nothing is
 * believed that is not there. */
#include "scratch.h"

#include "base/mono.h"
#include "identity/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct identity *
open_identity(void)
{
	struct arena a = { 0 };
	struct store_config sc = { 0 };
	struct identity *id;
	struct store *s;

	scratch_make();
	sc.path = arena_printf(&a, "%s/s.db", scratch_path);
	sc.master_key = arena_printf(&a, "%s/key", scratch_path);
	if (store_open(&sc, &s, NULL) < 0 ||
	    identity_open(s, "https://localhost:8443", &id, NULL) < 0)
		abort();
	arena_reset(&a);
	return id;
}

static const char *
token_with(struct identity *id, struct arena *a, const uint8_t *payload, size_t n)
{
	const struct keys_one *k = &id->keys.list[0];
	const char *text = arena_printf(a, "{\"alg\":\"RS256\",\"kid\":\"%s\"}", k->kid);
	EVP_MD_CTX *m = EVP_MD_CTX_new();
	uint8_t sig[512];
	size_t n_sig = sizeof(sig);

	text = arena_printf(a, "%s.%s", base64url(a, text, strlen(text)), base64url(a, payload, n));
	if (EVP_DigestSignInit(m, NULL, EVP_sha256(), NULL, k->key) != 1 ||
	    EVP_DigestSign(m, sig, &n_sig, (const uint8_t *)text, strlen(text)) != 1)
		abort();
	EVP_MD_CTX_free(m);
	return arena_printf(a, "Bearer %s.%s", text, base64url(a, sig, n_sig));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct identity *id;
	AUTO_ARENA a = { 0 };
	struct arm_error e = { .arena = &a };
	struct arm_caller c = { 0 };
	struct arm_auth auth;
	const char *header;
	bool is_ours;

	if (size < 2)
		return 0;
	if (!id)
		id = open_identity();
	auth = identity_auth(id);
	is_ours = data[0] & 1;
	header = is_ours ? token_with(id, &a, data + 1, size - 1)
			 : arena_strndup(&a, (const char *)data + 1, size - 1);
	if (auth.authenticate(auth.ctx, &a, header, 1700000000ll * 1000000, &c, &e) == 0) {
		if (!is_ours || !c.oid || !c.tenant || !c.app_id || !c.name)
			abort();
	} else if (e.status != 401) {
		abort();
	}
	return 0;
}
