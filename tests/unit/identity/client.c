/* Assertions: signed with a registered certificate, or by another issuer. */
#include "desk.h"

#define TYPE "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
#define ISSUER "https://ci.example"
#define AUDIENCE "api://AzureADTokenExchange"

static const char *
hex_of(struct arena *a, const uint8_t *p, size_t n)
{
	char *out = arena_alloc(a, n * 2 + 1);

	for (size_t i = 0; i < n; i++)
		snprintf(out + i * 2, 3, "%02x", p[i]);
	return out;
}

/* A certificate of this key, in the directory of the first principal. */
static void
certificate_register(struct desk *d, EVP_PKEY *key, int64_t end_us, const char **ret_x5t,
		     const char **ret_x5t256)
{
	X509 *x = X509_new();
	BIO *bio = BIO_new(BIO_s_mem());
	struct store_credential c = { .oid = d->first.first[0].oid,
				      .kind = STORE_CREDENTIAL_CERTIFICATE,
				      .name = "c",
				      .end_us = end_us };
	uint8_t sha1[EVP_MAX_MD_SIZE], sha256[EVP_MAX_MD_SIZE];
	unsigned n = 0;
	char *p;
	long len;

	X509_gmtime_adj(X509_getm_notBefore(x), -60);
	X509_gmtime_adj(X509_getm_notAfter(x), 86400);
	X509_set_pubkey(x, key);
	assert_true(X509_sign(x, key, EVP_sha256()) > 0);
	assert_int_equal(PEM_write_bio_X509(bio, x), 1);
	len = BIO_get_mem_data(bio, &p);
	c.pem = arena_strndup(&d->a, p, (size_t)len);
	X509_digest(x, EVP_sha1(), sha1, &n);
	c.sha1 = hex_of(&d->a, sha1, n);
	*ret_x5t = base64url(&d->a, sha1, n);
	X509_digest(x, EVP_sha256(), sha256, &n);
	c.sha256 = hex_of(&d->a, sha256, n);
	*ret_x5t256 = base64url(&d->a, sha256, n);
	credential_put(d, &c);
	BIO_free(bio);
	X509_free(x);
}

static int
show(struct desk *d, const char *assertion)
{
	return post(d, "/common/oauth2/v2.0/token",
		    arena_printf(&d->a,
				 "grant_type=client_credentials&client_id=%s&scope=" SCOPE
				 "&client_assertion_type=" TYPE "&client_assertion=%s",
				 d->first.first[0].client_id, assertion));
}

static const char *
claims_of(struct desk *d, const char *iss, const char *sub, const char *aud, int64_t from,
	  int64_t until, const char *jti)
{
	int64_t now = d->now_us / SECOND;

	return arena_printf(&d->a,
			    "{\"iss\":\"%s\",\"sub\":\"%s\",\"aud\":%s,\"nbf\":%lld,\"exp\":%lld,"
			    "\"jti\":\"%s\"}",
			    iss, sub, aud, (long long)now + from, (long long)now + until, jti);
}

static void
certificates(void **state)
{
	struct desk *d = *state;
	EVP_PKEY *key = EVP_RSA_gen(2048), *other = EVP_RSA_gen(2048), *old = EVP_RSA_gen(2048);
	const char *id = d->first.first[0].client_id, *x5t, *x256, *old_x5t, *none;
	const char *aud = "\"" URL "/common/oauth2/v2.0/token\"", *rs, *good;

	certificate_register(d, key, 0, &x5t, &x256);
	certificate_register(d, old, d->now_us - SECOND, &old_x5t, &none);
	rs = arena_printf(&d->a, "{\"alg\":\"RS256\",\"x5t\":\"%s\"}", x5t);
	good = claims_of(d, id, id, aud, -5, 600, "j");
	{
		const struct {
			EVP_PKEY *key;
			const char *header, *claims;
			int number; /* 0: a token */
		} table[] = {
			{ key, rs, good, 0 },
			{ key, arena_printf(&d->a, "{\"alg\":\"RS256\",\"x5t\":\"%s=\"}", x5t),
			  good, 0 },
			{ key, arena_printf(&d->a, "{\"alg\":\"PS256\",\"x5t#S256\":\"%s\"}", x256),
			  good, 0 },
			{ key, rs, claims_of(d, id, id, "\"" URL "/adfs\"", -5, 600, "k"), 0 },
			{ key, rs, claims_of(d, id, id, "[\"x\",\"" URL "/\"]", -5, 600, "l"), 0 },
			{ other, rs, good, 700027 },
			{ old, arena_printf(&d->a, "{\"alg\":\"RS256\",\"x5t\":\"%s\"}", old_x5t),
			  good, 700027 },
			{ key, "{\"alg\":\"RS256\"}", good, 700027 },
			{ key, "{\"alg\":\"RS256\",\"x5t\":\"AAAA\"}", good, 700027 },
			/* a strong thumbprint that is wrong is not saved by a weak one that is right */
			{ key,
			  arena_printf(&d->a,
				       "{\"alg\":\"RS256\",\"x5t\":\"%s\",\"x5t#S256\":\"AAAA\"}",
				       x5t),
			  good, 700027 },
			{ key, arena_printf(&d->a, "{\"alg\":\"none\",\"x5t\":\"%s\"}", x5t), good,
			  700027 },
			{ key, arena_printf(&d->a, "{\"alg\":\"HS256\",\"x5t\":\"%s\"}", x5t), good,
			  700027 },
			{ key, rs,
			  claims_of(d, id, id, "\"https://elsewhere/token\"", -5, 600, "m"),
			  50027 },
			{ key, rs, claims_of(d, id, id, "\"" URL "/subscriptions\"", -5, 600, "m"),
			  50027 },
			{ key, rs, claims_of(d, id, id, "\"" URL ".evil/adfs\"", -5, 600, "m"),
			  50027 },
			{ key, rs, claims_of(d, id, "somebody", aud, -5, 600, "n"), 50027 },
			{ key, rs, claims_of(d, id, id, aud, -900, -400, "o"), 700024 },
			{ key, rs, claims_of(d, id, id, aud, 900, 1200, "p"), 700024 },
			{ key, rs, claims_of(d, id, id, aud, -5, 90000000, "q"), 700024 },
			{ key, rs,
			  arena_printf(&d->a, "{\"iss\":\"%s\",\"sub\":\"%s\",\"aud\":%s}", id, id,
				       aud),
			  700024 },
			{ key, rs, claims_of(d, "https://x.example", id, aud, -5, 600, "r"),
			  700213 },
		};

		for (size_t i = 0; i < COUNT(table); i++) {
			int want = table[i].number ? 401 : 200,
			    got = show(d, token_make(d, table[i].key, table[i].header,
						     table[i].claims));

			d->now_us += 61 * SECOND; /* no limit is met */
			if (got != want ||
			    (want == 401 &&
			     json_integer_value(json_array_get(arm_at(d->body, "error_codes"),
							       0)) != table[i].number))
				fail_msg("row %zu: %d %s", i, got, d->reply.text);
			d->now_us -= 61 * SECOND;
			d->remote = arena_printf(&d->a, "192.0.2.1%zu", i);
			if (i == 0) /* shown again by the same, which MSAL does, and by another */
				d->remote = "192.0.2.1";
			if (i == 1)
				d->remote = "192.0.2.1";
		}
	}
	good = token_make(d, key, rs, claims_of(d, id, id, aud, -5, 600, "replayed"));
	d->remote = "192.0.2.77";
	assert_int_equal(show(d, good), 200);
	assert_int_equal(show(d, good), 200);
	d->remote = "192.0.2.78";
	assert_int_equal(show(d, good), 401);
	assert_non_null(strstr(d->reply.text, "shown before"));
	assert_int_equal(show(d, "not.a.token"), 401);
	assert_int_equal(post(d, "/adfs/oauth2/token",
			      arena_printf(&d->a,
					   "grant_type=client_credentials&scope=" SCOPE
					   "&client_assertion_type=x&client_assertion=%s",
					   good)),
			 400);
	disable(d, d->first.first[0].oid, true);
	assert_int_equal(show(d, token_make(d, key, rs, claims_of(d, id, id, aud, -5, 600, "s"))),
			 401);
	EVP_PKEY_free(key);
	EVP_PKEY_free(other);
	EVP_PKEY_free(old);
}

/* --- another issuer ---------------------------------------------------------------------------------------- */

struct web {
	struct desk *d;
	EVP_PKEY *key;
	const char *kid, *issuer;
	bool is_down;
	unsigned n_fetched;
};

static int
web_get(void *ctx, struct arena *a, const struct identity_fetch_call *call, const char **ret,
	struct err *e)
{
	struct web *w = ctx;
	json_t *jwk;
	char *text;

	w->n_fetched++;
	if (w->is_down)
		return err_set(e, -EAGAIN, "down");
	if (!strcmp(call->url, ISSUER "/.well-known/openid-configuration")) {
		*ret = arena_printf(a, "{\"issuer\":\"%s\",\"jwks_uri\":\"" ISSUER "/keys\"}",
				    w->issuer);
		return 0;
	}
	assert_string_equal(call->url, ISSUER "/keys");
	jwk = jwk_public(w->key, w->kid);
	text = json_dumps(jwk, JSON_COMPACT);
	*ret = arena_printf(a, "{\"keys\":[{\"kty\":\"oct\",\"k\":\"AAAA\",\"kid\":\"%s\"},%s]}",
			    w->kid, text);
	free(text);
	json_decref(jwk);
	return 0;
}

static void
federated(void **state)
{
	struct desk *d = *state;
	EVP_PKEY *first = EVP_RSA_gen(2048), *next = EVP_RSA_gen(2048);
	struct web w = { .d = d, .key = first, .kid = "1", .issuer = ISSUER };
	const struct identity_fetch fetch = { &w, web_get };
	const char *allowed[] = { ISSUER, NULL };
	struct identity_trust trust = { .federated = allowed };
	struct store_credential c = { .oid = d->first.first[0].oid,
				      .kind = STORE_CREDENTIAL_FEDERATED,
				      .name = "ci",
				      .issuer = ISSUER,
				      .subject = "repo:a",
				      .audience = AUDIENCE };
	const char *head = "{\"alg\":\"RS256\",\"kid\":\"1\"}", *aud = "\"" AUDIENCE "\"";
	const char *good = claims_of(d, ISSUER, "repo:a", aud, -5, 600, "");

	identity_set_trust(d->id, &fetch, &trust);
	credential_put(d, &c);
	{
		const struct {
			EVP_PKEY *key;
			const char *header, *claims;
			int number;
		} table[] = {
			{ first, head, good, 0 },
			{ first, head, good, 0 }, /* workloads show theirs again and again */
			{ first, "{\"alg\":\"RS256\"}", good, 0 },
			{ first, head,
			  claims_of(d, ISSUER, "repo:a", "[\"x\",\"" AUDIENCE "\"]", -5, 600, ""),
			  0 },
			{ first, head, claims_of(d, ISSUER, "repo:b", aud, -5, 600, ""), 700213 },
			{ first, head, claims_of(d, ISSUER "/", "repo:a", aud, -5, 600, ""),
			  700213 },
			{ first, head, claims_of(d, ISSUER, "repo:a", "\"" URL "\"", -5, 600, ""),
			  700213 },
			{ first, head, claims_of(d, ISSUER, "repo:a", aud, -900, -400, ""),
			  700024 },
			{ next, head, good, 700027 },
			{ next, "{\"alg\":\"RS256\",\"kid\":\"2\"}", good, 700027 },
			{ first, "{\"alg\":\"none\"}", good, 700027 },
			{ first, "{\"alg\":\"RS256\",\"kid\":\"1\",\"jku\":\"https://evil\"}", good,
			  0 },
		};

		for (size_t i = 0; i < COUNT(table); i++) {
			int want = table[i].number ? 401 : 200,
			    got = show(d, token_make(d, table[i].key, table[i].header,
						     table[i].claims));

			if (got != want ||
			    (want == 401 &&
			     json_integer_value(json_array_get(arm_at(d->body, "error_codes"),
							       0)) != table[i].number))
				fail_msg("row %zu: %d %s", i, got, d->reply.text);
		}
	}
	assert_int_equal(w.n_fetched, 2); /* document and keys, once */

	/* a key that is new there is looked for, but not at once again */
	w.key = next;
	w.kid = "2";
	head = "{\"alg\":\"RS256\",\"kid\":\"2\"}";
	assert_int_equal(show(d, token_make(d, next, head, good)), 401);
	d->now_us += 31 * SECOND;
	assert_int_equal(show(d, token_make(d, next, head, good)), 200);
	assert_int_equal(w.n_fetched, 4);

	/* while the issuer is away its keys count for a day */
	w.is_down = true;
	d->now_us += 2 * 3600 * SECOND;
	good = claims_of(d, ISSUER, "repo:a", aud, -5, 600, "");
	assert_int_equal(show(d, token_make(d, next, head, good)), 200);
	d->now_us += 86400 * SECOND;
	good = claims_of(d, ISSUER, "repo:a", aud, -5, 600, "");
	assert_int_equal(show(d, token_make(d, next, head, good)), 503);

	/* one that says it is another is not believed */
	w.is_down = false;
	w.issuer = "https://evil.example";
	d->now_us += 40 * SECOND;
	assert_int_equal(show(d, token_make(d, next, head, good)), 503);
	w.issuer = ISSUER;
	d->now_us += 40 * SECOND;
	assert_int_equal(show(d, token_make(d, next, head, good)), 200);

	/* nor is one that the operator does not allow */
	allowed[0] = "https://other.example";
	assert_int_equal(show(d, token_make(d, next, head, good)), 401);
	trust.federated = NULL; /* nobody's, unless he says so */
	identity_set_trust(d->id, &fetch, &trust);
	assert_int_equal(show(d, token_make(d, next, head, good)), 401);
	trust.federates_any = true;
	identity_set_trust(d->id, &fetch, &trust);
	assert_int_equal(show(d, token_make(d, next, head, good)), 200);
	EVP_PKEY_free(first);
	EVP_PKEY_free(next);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		DESK(certificates),
		DESK(federated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
