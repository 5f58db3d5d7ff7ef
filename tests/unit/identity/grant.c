/* The token endpoint: who gets a token, and who does not. */
#include "desk.h"

static const char *
secret_form(struct desk *d, const char *more)
{
	const struct identity_first *c = &d->first.first[0];

	return arena_printf(
		&d->a,
		"grant_type=client_credentials&client_id=%s&client_secret=%s&scope=" SCOPE "%s",
		c->client_id, c->secret, more);
}

static void
requests_are_read_strictly(void **state)
{
	struct desk *d = *state;
	const char *id = d->first.first[0].client_id, *secret = d->first.first[0].secret;
	const struct {
		const char *form;
		int status;
		const char *error;
	} table[] = {
		{ "", 400, "invalid_request" },
		{ "grant_type=", 400, "invalid_request" },
		{ "grant_type=password&username=a&password=b", 400, "unsupported_grant_type" },
		{ "grant_type=implicit", 400, "unsupported_grant_type" },
		{ "grant_type=client_credentials", 400, "invalid_request" },
		{ arena_printf(&d->a, "grant_type=client_credentials&client_id=%s&scope=" SCOPE,
			       id),
		  401, "invalid_client" },
		{ secret_form(d, ""), 200, "" },
		{ secret_form(d, "&client_info=1&claims=%7B%7D&x-client-sku=x"), 200, "" },
		{ secret_form(d, "&scope=" SCOPE), 400, "invalid_request" },
		{ secret_form(d, "&GRANT_TYPE=refresh_token"), 400, "invalid_request" },
		{ secret_form(d, "&\xff\n=1&\xff\n=2"), 400, "invalid_request" },
		{ secret_form(d, "&client_assertion=a.b.c"), 400, "invalid_request" },
		{ arena_printf(&d->a,
			       "grant_type=client_credentials&client_id=%s&client_secret=%s"
			       "&resource=https://localhost:8443/",
			       id, secret),
		  200, "" },
		{ arena_printf(&d->a,
			       "grant_type=client_credentials&client_id=%s&client_secret=%s"
			       "&scope=https://management.azure.com/.default",
			       id, secret),
		  400, "invalid_resource" },
		{ "grant_type=client_credentials&client_id=" CLI "&client_secret=x&scope=" SCOPE,
		  401, "invalid_client" },
		{ "grant_type=client_credentials&client_id=" CLI "&scope=" SCOPE, 401,
		  "invalid_client" },
		{ "grant_type=refresh_token&client_id=" CLI "&scope=" SCOPE "&refresh_token=x", 400,
		  "invalid_grant" },
		{ "grant_type=refresh_token&client_id=" CLI "&scope=" SCOPE, 400,
		  "invalid_request" },
		{ "grant_type=authorization_code&client_id=" CLI "&code=x&redirect_uri=x", 400,
		  "invalid_grant" },
	};

	for (size_t i = 0; i < COUNT(table); i++) {
		int status = post(d, "/adfs/oauth2/token", table[i].form);

		if (status != table[i].status || strcmp(said(d, "error"), table[i].error) != 0)
			fail_msg("row %zu: %d %s", i, status, d->reply.text);
		assert_string_equal(header_of(d, "Cache-Control"), "no-store");
	}
}

static void
both_families_and_tenants(void **state)
{
	struct desk *d = *state;
	const char *t = d->first.tenant;
	const struct {
		const char *path;
		int status;
	} table[] = {
		{ "/adfs/oauth2/token", 200 },
		{ "//ADFS/oauth2/token", 200 },
		{ "/common/oauth2/v2.0/token", 200 },
		{ "/organizations/oauth2/token", 200 },
		{ arena_printf(&d->a, "/%s/oauth2/token", t), 200 },
		{ arena_printf(&d->a, "/%s/oauth2/v2.0/token", t), 200 },
		{ arena_printf(&d->a, "/adfs/%s/adfs/oauth2/token", t), 200 },
		{ "/11111111-1111-1111-1111-111111111111/oauth2/token", 400 },
		{ "/nobody.example/oauth2/v2.0/token", 400 },
		{ "/adfs/oauth2", 404 },
		{ "/adfs/oauth2/token/x", 404 },
		{ "/oauth2/token", 404 },
		{ "/a%2fb/oauth2/token", 404 },
	};

	for (size_t i = 0; i < COUNT(table); i++)
		if (post(d, table[i].path, secret_form(d, "")) != table[i].status)
			fail_msg("row %zu: %d %s", i, d->reply.status, d->reply.text);
	assert_int_equal(ask(d, "GET", "/adfs/oauth2/token", "", NULL), 405);
	assert_int_equal(ask(d, "PUT", "/adfs/oauth2/token", "", NULL), 405);
}

static const char *
basic(struct desk *d, const char *id, const char *secret)
{
	const char *text = arena_printf(&d->a, "%s:%s", id, secret);
	char *out = arena_alloc(&d->a, strlen(text) * 2 + 4);

	EVP_EncodeBlock((uint8_t *)out, (const uint8_t *)text, (int)strlen(text));
	return arena_printf(&d->a, "Basic %s", out);
}

static void
basic_credentials(void **state)
{
	struct desk *d = *state;
	const struct identity_first *c = &d->first.first[0];
	const char *form = "grant_type=client_credentials&scope=" SCOPE;

	assert_int_equal(
		ask(d, "POST", "/adfs/oauth2/token", form, basic(d, c->client_id, c->secret)), 200);
	assert_int_equal(ask(d, "POST", "/adfs/oauth2/token", form, basic(d, c->client_id, "no")),
			 401);
	assert_non_null(strstr(header_of(d, "WWW-Authenticate"), "Basic"));
	assert_int_equal(ask(d, "POST", "/adfs/oauth2/token", form, "Basic !"), 401);
	assert_int_equal(ask(d, "POST", "/adfs/oauth2/token", secret_form(d, ""),
			     basic(d, c->client_id, c->secret)),
			 401);
}

static void
wrong_secrets_are_limited(void **state)
{
	struct desk *d = *state;
	const char *wrong = arena_printf(
		&d->a, "grant_type=client_credentials&client_id=%s&client_secret=no&scope=" SCOPE,
		d->first.first[0].client_id);

	for (size_t i = 0; i < 20; i++)
		assert_int_equal(post(d, "/adfs/oauth2/token", wrong), 401);
	assert_int_equal(post(d, "/adfs/oauth2/token", secret_form(d, "")), 429);
	assert_string_equal(header_of(d, "Retry-After"), "60");
	/* somebody else's guesses do not lock the owner out */
	d->remote = "192.0.2.2";
	assert_int_equal(post(d, "/adfs/oauth2/token", secret_form(d, "")), 200);
	d->remote = "192.0.2.1";
	d->now_us += 61 * SECOND;
	assert_int_equal(post(d, "/adfs/oauth2/token", secret_form(d, "")), 200);
}

/* --- bearers ----------------------------------------------------------------------------------------------- */

static const char *
token_of(struct desk *d)
{
	assert_int_equal(post(d, "/adfs/oauth2/token", secret_form(d, "")), 200);
	return said(d, "access_token");
}

static void
foreign_and_forged_bearers(void **state)
{
	struct desk *d = *state;
	EVP_PKEY *other = EVP_RSA_gen(2048), *ours = d->id->keys.list[0].key, *hmac;
	const char *kid = d->id->keys.list[0].kid, *oid = d->first.first[0].oid, *got, *good;
	json_t *pub = jwk_public(ours, kid);
	char *text = json_dumps(pub, JSON_COMPACT);
	const char *rs = arena_printf(&d->a, "{\"alg\":\"RS256\",\"kid\":\"%s\"}", kid);
	const char *head_claims = arena_printf(
		&d->a,
		"\"aud\":\"" URL "\",\"oid\":\"%s\",\"tid\":\"%s\",\"appid\":\"x\",\"exp\":", oid,
		d->first.tenant);
	int64_t now = d->now_us / SECOND;
	const char *claims = arena_printf(&d->a, "{%s%lld}", head_claims, (long long)now + 600);

	hmac = EVP_PKEY_new_raw_private_key(EVP_PKEY_HMAC, NULL, (const uint8_t *)text,
					    strlen(text));
	{
		const struct {
			const char *token;
			int status;
			const char *code;
		} table[] = {
			{ token_make(d, ours, rs, claims), 200, oid },
			{ token_make(d, other, rs, claims), 401, "InvalidAuthenticationToken" },
			{ token_make(d, other, "{\"alg\":\"RS256\"}", claims), 401,
			  "InvalidAuthenticationToken" },
			{ token_make(d, ours, "{\"alg\":\"RS256\"}", claims), 401,
			  "InvalidAuthenticationToken" },
			{ token_make(d, ours, "{\"alg\":\"RS256\",\"kid\":\"../../x\"}", claims),
			  401, "InvalidAuthenticationToken" },
			{ token_make(d, ours,
				     arena_printf(&d->a, "{\"alg\":\"PS256\",\"kid\":\"%s\"}", kid),
				     claims),
			  401, "InvalidAuthenticationToken" },
			{ token_make(d, hmac,
				     arena_printf(&d->a, "{\"alg\":\"HS256\",\"kid\":\"%s\"}", kid),
				     claims),
			  401, "InvalidAuthenticationToken" },
			{ token_make(d, ours,
				     arena_printf(&d->a,
						  "{\"alg\":\"RS256\",\"kid\":\"%s\",\"crit\":"
						  "[\"exp\"]}",
						  kid),
				     claims),
			  401, "InvalidAuthenticationToken" },
			{ token_make(d, ours, rs,
				     arena_printf(&d->a, "{%s%lld}", head_claims,
						  (long long)now - 1)),
			  401, "ExpiredAuthenticationToken" },
			{ token_make(d, ours, rs, arena_printf(&d->a, "{%s\"x\"}", head_claims)),
			  401, "InvalidAuthenticationToken" },
			{ token_make(d, ours, rs,
				     arena_printf(&d->a, "{%s%lld,\"nbf\":%lld}", head_claims,
						  (long long)now + 9000, (long long)now + 5000)),
			  401, "InvalidAuthenticationToken" },
			{ token_make(d, ours, rs,
				     arena_printf(&d->a,
						  "{\"aud\":\"" CLI "\",\"oid\":\"%s\",\"tid\":"
						  "\"%s\",\"exp\":%lld}",
						  oid, d->first.tenant, (long long)now + 600)),
			  401, "InvalidAuthenticationTokenAudience" },
			{ token_make(d, ours, rs,
				     arena_printf(&d->a,
						  "{\"aud\":\"" URL "\",\"oid\":\"%s\",\"tid\":"
						  "\"11111111-1111-1111-1111-111111111111\","
						  "\"exp\":%lld}",
						  oid, (long long)now + 600)),
			  401, "InvalidAuthenticationTokenTenant" },
			{ token_make(d, ours, rs,
				     arena_printf(&d->a,
						  "{\"aud\":\"" URL "\",\"oid\":\"x\",\"tid\":"
						  "\"%s\",\"exp\":%lld}",
						  d->first.tenant, (long long)now + 600)),
			  401, "InvalidAuthenticationToken" },
			{ "", 401, "InvalidAuthenticationToken" },
			{ "a.b", 401, "InvalidAuthenticationToken" },
			{ "a.b.c.d", 401, "InvalidAuthenticationToken" },
		};

		for (size_t i = 0; i < COUNT(table); i++) {
			int status = bearer(d, table[i].token, &got);

			if (status != table[i].status || strcmp(got, table[i].code) != 0)
				fail_msg("row %zu: %d %s", i, status, got);
		}
	}
	good = token_of(d);
	assert_int_equal(bearer(d, good, &got), 200);
	assert_int_equal(bearer(d, arena_printf(&d->a, "eyJhbGciOiJub25lIn0%s", strchr(good, '.')),
				&got),
			 401);
	EVP_PKEY_free(other);
	EVP_PKEY_free(hmac);
	free(text);
	json_decref(pub);
}

static void
a_disabled_principal_is_out_at_once(void **state)
{
	struct desk *d = *state;
	const char *token = token_of(d), *got, *oid = d->first.first[0].oid;

	assert_int_equal(bearer(d, token, &got), 200);
	disable(d, oid, true);
	assert_int_equal(bearer(d, token, &got), 401);
	assert_int_equal(post(d, "/adfs/oauth2/token", secret_form(d, "")), 401);
	assert_int_equal(json_integer_value(json_array_get(arm_at(d->body, "error_codes"), 0)),
			 7000112);
	disable(d, oid, false);
	assert_int_equal(bearer(d, token, &got), 200);
}

/* --- people: device codes, codes, refresh tokens --------------------------------------------------------------- */

#define DEVICE_GRANT "urn:ietf:params:oauth:grant-type:device_code"

static const char *
poll_form(struct desk *d, const char *code, const char *client)
{
	return arena_printf(&d->a, "grant_type=" DEVICE_GRANT "&client_id=%s&device_code=%s",
			    client, code);
}

static const char *
device_begin(struct desk *d, const char **ret_user)
{
	assert_int_equal(post(d, "/common/oauth2/v2.0/devicecode",
			      "client_id=" CLI "&scope=" SCOPE "%20openid%20offline_access"),
			 200);
	assert_int_equal(arm_int(d->body, "interval", 0), DEVICE_INTERVAL_S);
	*ret_user = said(d, "user_code");
	return said(d, "device_code");
}

static void
person_answers(struct desk *d, const char *user_code, const char *answer)
{
	const char *mark;

	assert_int_equal(ask(d, "GET", "/device", arena_printf(&d->a, "user_code=%s", user_code),
			     NULL),
			 200);
	mark = field(d, "form");
	assert_int_equal(post(d, "/device",
			      arena_printf(&d->a, "form=%s&user_code=%s&answer=%s", mark, user_code,
					   answer)),
			 200);
}

static void
expect(struct desk *d, const char *form, int status, const char *error)
{
	int got = post(d, "/common/oauth2/v2.0/token", form);

	if (got != status || strcmp(said(d, "error"), error) != 0)
		fail_msg("%d %s, wanted %d %s", got, d->reply.text, status, error);
}

static void
device_codes(void **state)
{
	struct desk *d = *state;
	const char *oid = user_make(d, "ann@contoso.example"), *user, *got;
	const char *code = device_begin(d, &user), *form = poll_form(d, code, CLI);

	assert_int_equal(strlen(user), 9);
	expect(d, form, 400, "authorization_pending");
	expect(d, form, 400, "slow_down"); /* at once again */
	d->now_us += 5 * SECOND;
	expect(d, form, 400, "slow_down"); /* the interval has grown */
	d->now_us += 20 * SECOND;
	expect(d, form, 400, "authorization_pending");
	expect(d, poll_form(d, code, "1950a258-227b-4e31-a9cf-717495945fc2"), 400, "invalid_grant");
	expect(d, poll_form(d, "nothing", CLI), 400, "invalid_grant");

	/* nobody is signed in: the page sends to sign in, and no further */
	assert_int_equal(ask(d, "GET", "/device", arena_printf(&d->a, "user_code=%s", user), NULL),
			 303);
	sign_in(d, oid);
	person_answers(d, user, "yes");
	expect(d, form, 200, "");
	assert_int_equal(bearer(d, said(d, "access_token"), &got), 200);
	assert_string_equal(got, oid);
	assert_true(*said(d, "refresh_token") && *said(d, "id_token") && *said(d, "client_info"));
	expect(d, form, 400, "invalid_grant"); /* once */

	form = poll_form(d, device_begin(d, &user), CLI);
	person_answers(d, user, "no");
	expect(d, form, 400, "access_denied");

	form = poll_form(d, device_begin(d, &user), CLI);
	d->now_us += (DEVICE_LIFE_S + 1) * SECOND;
	expect(d, form, 400, "expired_token");
	sign_in(d, oid);
	assert_int_equal(ask(d, "GET", "/device", arena_printf(&d->a, "user_code=%s", user), NULL),
			 400);
	/* a wrong guess costs; after twenty no more are heard */
	for (size_t i = 0; i < 20; i++)
		ask(d, "GET", "/device", "user_code=BCDF-GHJK", NULL);
	assert_int_equal(ask(d, "GET", "/device", "user_code=BCDF-GHJK", NULL), 429);
}

static const char verifier[] = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"; /* RFC 7636 B */
#define CHALLENGE "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
#define REDIRECT "http://localhost:8400"

static const char *
authorize_query(struct desk *d, const char *more)
{
	return arena_printf(&d->a,
			    "client_id=" CLI "&response_type=code&redirect_uri=" REDIRECT
			    "&scope=" SCOPE
			    "%%20openid&state=a%%26b&nonce=n1&code_challenge=" CHALLENGE
			    "&code_challenge_method=S256%s",
			    more);
}

/* What the page would send. */
static const char *
code_get(struct desk *d)
{
	const char *query = authorize_query(d, ""), *to, *code;

	assert_int_equal(ask(d, "GET", "/common/oauth2/v2.0/authorize", query, NULL), 200);
	assert_non_null(strstr(header_of(d, "Content-Security-Policy"),
			       "form-action 'self' http://localhost:8400;"));
	assert_int_equal(
		post(d, "/common/oauth2/v2.0/authorize",
		     arena_printf(&d->a, "%s&form=%s&answer=yes", query, field(d, "form"))),
		303);
	to = header_of(d, "Location");
	assert_true(!strncmp(to, "http://localhost:8400?code=", 27));
	assert_non_null(strstr(to, "&state=a%26b"));
	code = to + 27;
	return arena_strndup(&d->a, code, strcspn(code, "&"));
}

static const char *
code_form(struct desk *d, const char *code, const char *v, const char *redirect)
{
	return arena_printf(&d->a,
			    "grant_type=authorization_code&client_id=" CLI
			    "&code=%s&code_verifier=%s&redirect_uri=%s",
			    code, v, redirect);
}

static const char *
refresh_form(struct desk *d, const char *token)
{
	return arena_printf(&d->a, "grant_type=refresh_token&client_id=" CLI "&refresh_token=%s",
			    token);
}

static void
codes_with_proof(void **state)
{
	struct desk *d = *state;
	const char *oid = user_make(d, "ann@contoso.example"), *code, *refresh, *token;
	struct jwt t;

	sign_in(d, oid);
	code = code_get(d);
	expect(d, code_form(d, code, "no-no-no-no-no-no-no-no-no-no-no-no-no-no-no-no", REDIRECT),
	       400, "invalid_grant");
	expect(d, code_form(d, code, verifier, "http://localhost:8401"), 400, "invalid_grant");
	expect(d, code_form(d, code, verifier, REDIRECT), 200, "");
	refresh = said(d, "refresh_token");
	token = said(d, "id_token");
	assert_int_equal(jwt_parse(&d->a, token, &t, NULL), 0);
	assert_string_equal(jwt_text(&t, "nonce"), "n1");
	assert_string_equal(jwt_text(&t, "aud"), CLI);
	assert_string_equal(jwt_text(&t, "sub"), oid);
	jwt_fini(&t);
	assert_int_equal(bearer(d, token, &token), 401); /* an id_token is no bearer */
	/* a second use ends what came of the first */
	expect(d, code_form(d, code, verifier, REDIRECT), 400, "invalid_grant");
	expect(d, refresh_form(d, refresh), 400, "invalid_grant");

	code = code_get(d);
	d->now_us += (CODE_LIFE_S + 1) * SECOND;
	expect(d, code_form(d, code, verifier, REDIRECT), 400, "invalid_grant");

	code = code_get(d);
	disable(d, oid, true);
	expect(d, code_form(d, code, verifier, REDIRECT), 400, "invalid_grant");
}

static void
authorization_requests(void **state)
{
	struct desk *d = *state;
	const struct {
		const char *query;
		int status;
		const char *to; /* what Location has */
	} table[] = {
		{ "", 400, "" },
		{ "client_id=x&redirect_uri=" REDIRECT, 400, "" },
		{ "client_id=" CLI, 400, "" },
		{ "client_id=" CLI "&redirect_uri=https%3A%2F%2Fevil.example", 400, "" },
		{ "client_id=" CLI "&redirect_uri=" REDIRECT, 303,
		  "error=unsupported_response_type" },
		{ "client_id=" CLI "&redirect_uri=" REDIRECT "&response_type=code", 303,
		  "error=invalid_request" },
		{ "client_id=" CLI "&redirect_uri=" REDIRECT
		  "&response_type=code&code_challenge_method=plain&code_challenge=" CHALLENGE,
		  303, "error=invalid_request" },
		{ "client_id=" CLI "&redirect_uri=" REDIRECT
		  "&response_type=token&code_challenge_method=S256&code_challenge=" CHALLENGE,
		  303, "error=unsupported_response_type" },
		{ "client_id=" CLI "&redirect_uri=" REDIRECT
		  "&response_type=code&code_challenge_method=S256&code_challenge=" CHALLENGE
		  "&scope=https%3A%2F%2Felsewhere%2F.default&response_mode=fragment",
		  303, "#error=invalid_scope" },
		{ authorize_query(d, "&response_mode=web_message"), 303, "error=invalid_request" },
		{ authorize_query(d, "&prompt=none"), 303, "error=login_required" },
		{ authorize_query(d, "&state=x"), 400, "" },
		{ authorize_query(d, ""), 303, URL "/signin?then=%2Fcommon%2Foauth2" },
	};

	for (size_t i = 0; i < COUNT(table); i++) {
		int status = ask(d, "GET", "/common/oauth2/v2.0/authorize", table[i].query, NULL);

		if (status != table[i].status || !strstr(header_of(d, "Location"), table[i].to))
			fail_msg("row %zu: %d to '%s'", i, status, header_of(d, "Location"));
	}
	sign_in(d, user_make(d, "ann@contoso.example"));
	assert_int_equal(ask(d, "GET", "/adfs/oauth2/authorize",
			     authorize_query(d, "&response_mode=form_post"), NULL),
			 200);
	assert_int_equal(post(d, "/adfs/oauth2/authorize", authorize_query(d, "&answer=yes")), 403);
	assert_int_equal(ask(d, "GET", "/adfs/oauth2/authorize", authorize_query(d, "&prompt=none"),
			     NULL),
			 303);
	assert_non_null(strstr(header_of(d, "Location"), "error=interaction_required"));
}

static void
refresh_tokens_rotate(void **state)
{
	struct desk *d = *state;
	const char *oid = user_make(d, "ann@contoso.example"), *first, *second, *third;

	sign_in(d, oid);
	expect(d, code_form(d, code_get(d), verifier, REDIRECT), 200, "");
	first = said(d, "refresh_token");
	expect(d, refresh_form(d, first), 200, "");
	second = said(d, "refresh_token");
	assert_string_not_equal(first, second);
	/* the answer was lost, or two processes share it */
	d->now_us += 10 * SECOND;
	expect(d, refresh_form(d, first), 200, "");
	expect(d, refresh_form(d, second), 200, "");
	third = said(d, "refresh_token");
	expect(d,
	       arena_printf(&d->a,
			    "grant_type=refresh_token&client_id=1950a258-227b-4e31-a9cf-717495945fc2"
			    "&refresh_token=%s",
			    third),
	       400, "invalid_grant");
	/* later it is a thief's, or its successor is */
	d->now_us += 60 * SECOND;
	expect(d, refresh_form(d, first), 400, "invalid_grant");
	expect(d, refresh_form(d, third), 400, "invalid_grant");

	sign_in(d, oid);
	expect(d, code_form(d, code_get(d), verifier, REDIRECT), 200, "");
	first = said(d, "refresh_token");
	disable(d, oid, true);
	expect(d, refresh_form(d, first), 400, "invalid_grant");
	disable(d, oid, false);
	expect(d, refresh_form(d, first), 400, "invalid_grant"); /* its family ended */

	sign_in(d, oid);
	expect(d, code_form(d, code_get(d), verifier, REDIRECT), 200, "");
	first = said(d, "refresh_token");
	d->now_us += (REFRESH_LIFE_S + 1LL) * SECOND;
	expect(d, refresh_form(d, first), 400, "invalid_grant");
}

static void
redirect_uris(void **state)
{
	const char *have[] = { "https://app.example/cb", "http://localhost/cb",
			       "http://127.0.0.1" };
	const struct client cl = { .redirects = have, .n_redirects = COUNT(have) };
	static const struct {
		const char *uri;
		bool is_sound, is_allowed;
	} table[] = {
		{ "https://app.example/cb", true, true },
		{ "https://app.example/cb/", true, false },
		{ "https://app.example/cb?x=1", true, false },
		{ "https://app.example:444/cb", true, false },
		{ "https://app.example.evil/cb", true, false },
		{ "https://app.example@evil/cb", false, false },
		{ "https://*.example/cb", false, false },
		{ "https:///cb", false, false },
		{ "http://app.example/cb", false, false },
		{ "http://localhost:1234/cb", true, true },
		{ "http://localhost/cb", true, true },
		{ "http://localhost:1234/other", true, false },
		{ "http://localhost.evil/cb", false, false },
		{ "http://localhost:1234@evil/cb", false, false },
		{ "https://a;b/cb", false, false },
		{ "http://127.0.0.1:9/", true, true },
		{ "http://127.0.0.1:9", true, true },
		{ "http://127.0.0.1:999999", true, false },
		{ "http://[::1]:9", true, false },
		{ "https://app.example/cb#x", false, false },
		{ "javascript:alert(1)", false, false },
		{ "https://app.example/c\nb", false, false },
		{ "", false, false },
	};

	for (size_t i = 0; i < COUNT(table); i++)
		if (redirect_is_sound(table[i].uri) != table[i].is_sound ||
		    client_may_redirect(&cl, table[i].uri) != table[i].is_allowed)
			fail_msg("%s", table[i].uri);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		DESK(requests_are_read_strictly),
		DESK(both_families_and_tenants),
		DESK(basic_credentials),
		DESK(wrong_secrets_are_limited),
		DESK(foreign_and_forged_bearers),
		DESK(a_disabled_principal_is_out_at_once),
		DESK(device_codes),
		DESK(codes_with_proof),
		DESK(authorization_requests),
		DESK(refresh_tokens_rotate),
		cmocka_unit_test(redirect_uris),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
