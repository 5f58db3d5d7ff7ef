/* A token of anybody's, first line, and a key set to check it with, the rest: an assertion or an
 * id_token and its issuer's keys. Nobody here can sign, so nothing may be found signed. */
#include "identity/jwt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_ARENA a = { 0 };
	char *token = arena_strndup(&a, (const char *)data, size), *set = strchr(token, '\n');
	json_t *doc;
	struct jwks keys = { 0 };
	struct jwt t;

	if (set)
		*set++ = '\0';
	doc = set ? json_loads(set, JSON_REJECT_DUPLICATES, NULL) : NULL;
	if (jwks_parse(doc, &keys, NULL) == 0 && keys.n > JWKS_MAX)
		abort();
	if (jwt_parse(&a, token, &t, NULL) == 0) {
		if (!json_is_object(t.claims) || (t.alg == JWT_NONE && jwks_verifies(&keys, &t)))
			abort();
		jwks_verifies(&keys, &t);
		jwks_knows(&keys, &t);
		jwt_time_check(&t, 1700000000, 300);
		jwt_has_audience(&t, "api://AzureADTokenExchange");
		jwt_text(&t, "nonce");
	}
	jwt_fini(&t);
	jwks_fini(&keys);
	json_decref(doc);
	return 0;
}
