/* The ring of signing keys, through its life; tokens taken apart; what clients discover. */
#include "desk.h"

enum { DAY = 86400 };

static int
step(struct keys *k, enum keys_wish wish, int64_t now_s)
{
	EVP_PKEY *spare = NULL;
	int r = keys_step(k, wish, now_s, &spare);

	if (r != 1)
		return 0;
	spare = EVP_RSA_gen(2048);
	assert_int_equal(keys_step(k, wish, now_s, &spare), 0);
	assert_null(spare); /* taken */
	return 1;
}

static void
keys_are_published_before_they_sign(void **state)
{
	struct keys k = { 0 };
	char first[44], second[44];
	int64_t t = 1700000000;

	assert_int_equal(step(&k, KEYS_ON_TIME, t), 1);
	memcpy(first, keys_signing(&k, t)->kid, sizeof(first));
	assert_int_equal(step(&k, KEYS_ON_TIME, t + 28 * DAY), 0);
	/* a day before its time the next one is there, and does not sign */
	assert_int_equal(step(&k, KEYS_ON_TIME, t + 29 * DAY), 1);
	assert_int_equal(k.n, 2);
	memcpy(second, k.list[1].kid, sizeof(second));
	assert_string_equal(keys_signing(&k, t + 29 * DAY)->kid, first);
	assert_int_equal(step(&k, KEYS_ON_TIME, t + 29 * DAY + 60), 0);
	assert_string_equal(keys_signing(&k, t + 30 * DAY)->kid, second);
	/* the one before is believed until its last token has expired */
	assert_int_equal(step(&k, KEYS_ON_TIME, t + 30 * DAY + TOKEN_LIFE_S), 0);
	assert_non_null(keys_find(&k, first, t + 30 * DAY + TOKEN_LIFE_S));
	assert_int_equal(step(&k, KEYS_ON_TIME, t + 30 * DAY + KEYS_KEPT_S), 0);
	assert_null(keys_find(&k, first, t + 30 * DAY + KEYS_KEPT_S));
	assert_int_equal(k.n, 1);
	/* a controller that was off for long gives clients their day, too */
	assert_int_equal(step(&k, KEYS_ON_TIME, t + 100 * DAY), 1);
	assert_string_equal(keys_signing(&k, t + 100 * DAY)->kid, second);
	assert_string_not_equal(keys_signing(&k, t + 101 * DAY)->kid, second);
	keys_fini(&k);
}

static void
keys_rotate_when_asked(void **state)
{
	struct keys k = { 0 };
	char first[44], second[44];
	int64_t t = 1700000000;

	step(&k, KEYS_ON_TIME, t);
	memcpy(first, k.list[0].kid, sizeof(first));
	assert_int_equal(step(&k, KEYS_SOON, t + 10), 1);
	assert_int_equal(step(&k, KEYS_SOON, t + 20), 0); /* one is on its way */
	assert_string_equal(keys_signing(&k, t + 20)->kid, first);
	memcpy(second, k.list[1].kid, sizeof(second));
	assert_string_equal(keys_signing(&k, t + 10 + KEYS_HASTE_S)->kid, second);
	assert_int_equal(step(&k, KEYS_AT_ONCE, t + 700), 1);
	assert_int_equal(k.n, 1);
	assert_null(keys_find(&k, first, t + 700));
	assert_null(keys_find(&k, second, t + 700));
	/* asked for again and again, the ring stays small */
	for (int i = 0; i < KEYS_MAX + 2; i++)
		step(&k, KEYS_SOON, t + 1000 + i * (KEYS_HASTE_S + 1LL));
	assert_true(k.n <= KEYS_MAX);
	keys_fini(&k);
}

static void
tokens_are_read_strictly(void **state)
{
	static const char *const bad[] = {
		"",
		".",
		"..",
		"a.b",
		"e30.e30.e30.e30",
		"e30.e30.!",
		"e30=.e30.AA",
		"W10.e30.AA",                     /* [] */
		"e30.W10.AA",                     /* claims: [] */
		"eyJhIjoxLCJhIjoyfQ.e30.AA",      /* a name twice */
		"eyJjcml0IjpbImIiXX0.e30.AA",     /* crit */
		"eyJ6aXAiOiJERUYifQ.e30.AA",      /* zip */
		"e30.eyJleHAiOjEsImV4cCI6Mn0.AA", /* exp twice */
		"e30.e30.AB",                     /* bits left over */
	};
	AUTO_ARENA a = { 0 };
	struct jwt t;
	char *large = arena_alloc(&a, JWT_MAX + 10);

	for (size_t i = 0; i < COUNT(bad); i++)
		if (jwt_parse(&a, bad[i], &t, NULL) == 0)
			fail_msg("row %zu: %s", i, bad[i]);
	memset(large, 'A', JWT_MAX + 9);
	assert_true(jwt_parse(&a, large, &t, NULL) < 0);
	assert_int_equal(jwt_parse(&a, "e30.e30.", &t, NULL), 0);
	assert_int_equal(t.alg, JWT_NONE);
	assert_int_equal(jwt_time_check(&t, 1, 0), JWT_TIME_ABSENT);
	jwt_fini(&t);
}

/* A signature that was verified is remembered, with the text that it is of: not with a shorter one and
 * the rest before the signature. */
static void
a_token_is_not_another_cut_elsewhere(void **state)
{
	struct desk *d = *state;
	const struct identity_first *who = &d->first.first[0];
	const struct keys_one *key = &d->id->keys.list[0];
	const char *token, *header, *claims, *answer;
	struct jwt t;
	char *text;
	uint8_t *rest;

	assert_int_equal(post(d, "/common/oauth2/v2.0/token",
			      arena_printf(&d->a,
					   "grant_type=client_credentials&client_id=%s"
					   "&client_secret=%s&scope=" SCOPE,
					   who->client_id, who->secret)),
			 200);
	assert_int_equal(jwt_parse(&d->a, said(d, "access_token"), &t, NULL), 0);
	text = json_dumps(t.claims, JSON_COMPACT);
	claims = arena_printf(&d->a, "%s%.*s", text, (int)(2 - (strlen(text) + 2) % 3), "  ");
	free(text);
	jwt_fini(&t);
	header = arena_printf(&d->a, "{\"alg\":\"RS256\",\"kid\":\"%s\"}", key->kid);
	token = token_make(d, key->key, header, arena_printf(&d->a, "%s   ", claims));
	assert_int_equal(bearer(d, token, &answer), 200);
	assert_string_equal(answer, who->oid);
	assert_int_equal(jwt_parse(&d->a, token, &t, NULL), 0);
	rest = arena_alloc(&d->a, t.n_sig + 4);
	memcpy(rest, t.text + t.n_text - 4, 4);
	memcpy(rest + 4, t.sig, t.n_sig);
	token = arena_printf(&d->a, "%.*s.%s", (int)(t.n_text - 4), t.text,
			     base64url(&d->a, rest, t.n_sig + 4));
	jwt_fini(&t);
	assert_int_equal(bearer(d, token, &answer), 401);
}

static void
key_sets_are_limited(void **state)
{
	AUTO_ARENA a = { 0 };
	EVP_PKEY *small = EVP_RSA_gen(1024), *good = EVP_RSA_gen(2048), *ec = EVP_EC_gen("P-256");
	json_t *list = json_array(), *doc = json_pack("{s:o}", "keys", list), *one;
	struct jwks k;

	json_array_append_new(list, jwk_public(small, "s"));
	json_array_append_new(list, jwk_public(good, "g"));
	one = jwk_public(good, "e");
	json_object_set_new(one, "use", json_string("enc"));
	json_array_append_new(list, one);
	one = jwk_public(good, "h");
	json_object_set_new(one, "alg", json_string("HS256"));
	json_array_append_new(list, one);
	json_array_append_new(list,
			      json_pack("{s:s, s:s, s:s, s:s}", "kty", "EC", "crv", "P-256", "x",
					base64url(&a, "0123456789012345678901234567890x", 32), "y",
					base64url(&a, "0123456789012345678901234567890y", 32)));
	json_array_append_new(list, json_integer(5));
	assert_int_equal(jwks_parse(doc, &k, NULL), 0);
	assert_int_equal(k.n, 1);
	assert_string_equal(k.keys[0].kid, "g");
	jwks_fini(&k);
	while (json_array_size(list) <= JWKS_MAX)
		json_array_append_new(list, json_object());
	assert_true(jwks_parse(doc, &k, NULL) < 0);
	json_decref(doc);
	doc = json_object();
	assert_true(jwks_parse(doc, &k, NULL) < 0);
	json_decref(doc);
	EVP_PKEY_free(small);
	EVP_PKEY_free(good);
	EVP_PKEY_free(ec);
}

static void
discovery_has_what_clients_read(void **state)
{
	static const char *const keys[] = { "issuer",         "authorization_endpoint",
					    "token_endpoint", "device_authorization_endpoint",
					    "jwks_uri",       "end_session_endpoint" };
	struct desk *d = *state;
	const char *t = d->first.tenant;
	const struct {
		const char *path, *issuer;
	} table[] = {
		{ "/adfs/.well-known/openid-configuration", URL "/adfs" },
		{ arena_printf(&d->a, "/adfs/%s/adfs/.well-known/openid-configuration", t),
		  arena_printf(&d->a, URL "/adfs/%s/adfs", t) },
		{ arena_printf(&d->a, "/%s/v2.0/.well-known/openid-configuration", t),
		  arena_printf(&d->a, URL "/%s/v2.0", t) },
		{ arena_printf(&d->a, "/%s/.well-known/openid-configuration", t),
		  arena_printf(&d->a, URL "/%s/", t) },
		{ "/common/v2.0/.well-known/openid-configuration", URL "/{tenantid}/v2.0" },
	};

	for (size_t i = 0; i < COUNT(table); i++) {
		assert_int_equal(ask(d, "GET", table[i].path, "", NULL), 200);
		assert_string_equal(said(d, "issuer"), table[i].issuer);
		for (size_t k = 0; k < COUNT(keys); k++)
			assert_true(!strncmp(said(d, keys[k]), URL "/", strlen(URL) + 1));
		/* and each is answered */
		assert_true(identity_is_path(said(d, "token_endpoint") + strlen(URL)));
		assert_true(identity_is_path(said(d, "authorization_endpoint") + strlen(URL)));
		assert_int_equal(ask(d, "GET", said(d, "jwks_uri") + strlen(URL), "", NULL), 200);
		assert_null(arm_at(json_array_get(arm_at(d->body, "keys"), 0), "d"));
		assert_string_equal(arm_str(json_array_get(arm_at(d->body, "keys"), 0), "kid", ""),
				    d->id->keys.list[0].kid);
	}
	assert_int_equal(ask(d, "GET", "/nobody.example/v2.0/.well-known/openid-configuration", "",
			     NULL),
			 400);
	assert_int_equal(ask(d, "GET", "/metadata/endpoints", "api-version=2015-01-01", NULL), 200);
	assert_string_equal(said(d, "authentication.loginEndpoint"), URL "/adfs");
	assert_int_equal(ask(d, "GET", "/metadata/endpoints", "api-version=2020-09-01", NULL), 200);
	assert_true(json_is_array(d->body));
	assert_int_equal(ask(d, "GET", "/common/discovery/instance",
			     "authorization_endpoint=" URL "/common/oauth2/v2.0/authorize", NULL),
			 200);
	assert_string_equal(said(d, "tenant_discovery_endpoint"),
			    URL "/common/v2.0/.well-known/openid-configuration");
	assert_int_equal(ask(d, "GET", "/common/discovery/instance",
			     "authorization_endpoint=https://evil/common/oauth2/v2.0/authorize",
			     NULL),
			 400);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_are_published_before_they_sign),
		DESK(a_token_is_not_another_cut_elsewhere),
		cmocka_unit_test(keys_rotate_when_asked),
		cmocka_unit_test(tokens_are_read_strictly),
		cmocka_unit_test(key_sets_are_limited),
		DESK(discovery_has_what_clients_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
