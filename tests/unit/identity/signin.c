/* People through an OpenID Connect issuer: whose word for an address is believed. */
#include "desk.h"

#define ISSUER "https://login.example"

struct login {
	struct desk *d;
	EVP_PKEY *key;
	const char *id_token;
};

static int
login_get(void *ctx, struct arena *a, const struct identity_fetch_call *call, const char **ret,
	  struct err *e)
{
	struct login *l = ctx;
	json_t *jwk;
	char *text;

	if (!strcmp(call->url, ISSUER "/.well-known/openid-configuration")) {
		*ret = "{\"issuer\":\"" ISSUER "\",\"jwks_uri\":\"" ISSUER "/keys\","
		       "\"authorization_endpoint\":\"" ISSUER "/authorize\","
		       "\"token_endpoint\":\"" ISSUER "/token\"}";
		return 0;
	}
	if (!strcmp(call->url, ISSUER "/token")) {
		*ret = arena_printf(a, "{\"id_token\":\"%s\"}", l->id_token);
		return 0;
	}
	assert_string_equal(call->url, ISSUER "/keys");
	jwk = jwk_public(l->key, "1");
	text = json_dumps(jwk, JSON_COMPACT);
	*ret = arena_printf(a, "{\"keys\":[%s]}", text);
	free(text);
	json_decref(jwk);
	return 0;
}

/* A parameter of where the browser is sent to. */
static const char *
sent(struct desk *d, const char *name)
{
	const char *query = strchr(header_of(d, "Location"), '?');

	assert_non_null(query);
	return arm_query(&d->a, query + 1, name);
}

/* There and back; the status of what the browser sees then. */
static int
go(struct login *l, const char *sub, const char *claims)
{
	struct desk *d = l->d;
	long long now = d->now_us / SECOND;
	const char *state;

	d->cookie = NULL;
	assert_int_equal(ask(d, "GET", "/signin/start", "then=/device", NULL), 303);
	state = sent(d, "state");
	l->id_token = token_make(d, l->key, "{\"alg\":\"RS256\",\"kid\":\"1\"}",
				 arena_printf(&d->a,
					      "{\"iss\":\"" ISSUER
					      "\",\"aud\":\"wayleave\",\"sub\":\"%s\","
					      "\"nonce\":\"%s\",\"iat\":%lld,\"exp\":%lld%s}",
					      sub, sent(d, "nonce"), now, now + 60, claims));
	return ask(d, "GET", "/signin/callback", arena_printf(&d->a, "code=c&state=%s", state),
		   NULL);
}

static void
addresses_are_verified(void **state)
{
	static const struct {
		const char *verified; /* what the issuer says */
		bool vouches;
		int status;
	} table[] = {
		{ ",\"email_verified\":true", false, 303 },
		{ ",\"email_verified\":\"true\"", false, 303 },
		{ ",\"email_verified\":false", false, 403 },
		{ ",\"email_verified\":\"false\"", false, 403 },
		{ ",\"email_verified\":null", false, 403 },
		{ ",\"email_verified\":1", false, 403 },
		{ "", false, 403 },
		{ "", true, 303 },
		{ ",\"email_verified\":false", true, 403 },
		{ ",\"email_verified\":\"false\"", true, 403 },
	};
	struct desk *d = *state;
	struct login l = { d, EVP_RSA_gen(2048), NULL };
	const struct identity_fetch fetch = { &l, login_get };
	struct identity_trust trust = { .issuer = ISSUER,
					.client_id = "wayleave",
					.tenant = d->first.tenant };

	for (size_t i = 0; i < COUNT(table); i++) {
		const char *sub = arena_printf(&d->a, "s%zu", i);
		const char *email = arena_printf(&d->a, "%s@people.example", sub);
		int got;

		user_make(d, email);
		trust.vouches = table[i].vouches;
		identity_set_trust(d->id, &fetch, &trust);
		d->remote = arena_printf(&d->a, "192.0.2.%zu", i + 1);
		got = go(&l, sub,
			 arena_printf(&d->a, ",\"email\":\"%s\"%s", email, table[i].verified));
		if (got != table[i].status)
			fail_msg("row %zu: %d %s", i, got, d->reply.text);
		/* who is known needs no address any more; who was refused is not known */
		assert_int_equal(go(&l, sub, ""), table[i].status);
	}
	EVP_PKEY_free(l.key);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		DESK(addresses_are_verified),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
