/* What is signed and what is believed: access tokens and id_tokens (RS256), the check of bearers, and
 * the identity's own life. */
#include "identity/oauth.h"

#include "base/mem.h"
#include "base/mono.h"

#include <openssl/hmac.h>
#include <strings.h>

/* --- life ------------------------------------------------------------------------------------------------ */

/* Another ring, if it can be had. */
static int
ring_refresh(struct identity *id, enum keys_wish wish, int64_t now_us, struct err *e)
{
	struct keys fresh, old;
	int r = keys_load(id->store, wish, now_us / SECOND, &fresh, e);

	if (r < 0)
		return r;
	pthread_mutex_lock(&id->lock);
	old = id->keys;
	id->keys = fresh;
	id->keys_read_us = now_us;
	pthread_mutex_unlock(&id->lock);
	keys_fini(&old);
	return 0;
}

/* Somebody may just have rotated the keys: looked at before each use for a while. */
static void
ring_if_in_doubt(struct identity *id, int64_t now_us)
{
	bool doubts;

	pthread_mutex_lock(&id->lock);
	doubts = now_us < id->keys_doubt_us;
	pthread_mutex_unlock(&id->lock);
	if (doubts)
		ring_refresh(id, KEYS_ON_TIME, now_us, NULL);
}

void
identity_doubt_keys(struct identity *id, int64_t now_us)
{
	pthread_mutex_lock(&id->lock);
	id->keys_doubt_us = now_us + 3 * SECOND;
	pthread_mutex_unlock(&id->lock);
}

static int
mac_key_run(struct store_tx *tx, void *arg, struct err *e)
{
	struct identity *id = arg;
	AUTO_ARENA a = { 0 };
	const void *text;
	size_t n = 0;
	int r = store_secret_get(tx, &a, "identity", "mac-key", &text, &n, e);

	if (r < 0)
		return r;
	if (r == 1) {
		snprintf(id->mac_key, sizeof(id->mac_key), "%s", (const char *)text);
		return 0;
	}
	secret_make(id->mac_key);
	return store_secret_put(tx, "identity", "mac-key", id->mac_key, strlen(id->mac_key), e);
}

int
identity_open(struct store *s, const char *base_url, struct identity **ret, struct err *e)
{
	AUTO(identity) id = mem_alloc(sizeof(*id));
	int r;

	id->store = s;
	id->base_url = mem_strdup(base_url);
	id->limits = limits_create();
	pthread_mutex_init(&id->lock, NULL);
	id->rights = rights_cache_create();
	r = store_write(s, mac_key_run, id, e);
	if (r == 0)
		r = ring_refresh(id, KEYS_ON_TIME, utc_now_us(), e);
	if (r < 0)
		return err_wrap(e, r, "identity");
	*ret = TAKE(id);
	return 0;
}

void
identity_destroy(struct identity *id)
{
	if (!id)
		return;
	keys_fini(&id->keys);
	limits_destroy(id->limits);
	issuers_destroy(id->issuers);
	pthread_mutex_destroy(&id->lock);
	rights_cache_destroy(id->rights);
	mem_wipe(id->mac_key, sizeof(id->mac_key));
	free(id->base_url);
	free(id);
}

void
identity_set_trust(struct identity *id, const struct identity_fetch *fetch,
		   const struct identity_trust *trust)
{
	id->fetch = *fetch;
	id->trust = *trust;
}

static int
prune_run(struct store_tx *tx, void *arg, struct err *e)
{
	return store_ticket_prune(tx, *(const int64_t *)arg, 10000, e);
}

int
identity_tick(struct identity *id, int64_t now_us, struct err *e)
{
	int r = ring_refresh(id, KEYS_ON_TIME, now_us, e);

	if (r < 0 || now_us - id->pruned_us < 60 * SECOND)
		return r;
	id->pruned_us = now_us;
	return store_write(id->store, prune_run, &now_us, e);
}

struct arm_extension
identity_extension(struct identity *id)
{
	return (struct arm_extension){ "Microsoft.Authorization", "2015-07-01", id, rbac_handle };
}

struct arm_extension
identity_accounts(struct identity *id)
{
	return (struct arm_extension){ "Wayleave.Identity", "2026-01-01", id, accounts_handle };
}

const char *
identity_mac(const struct identity *id, struct arena *a, const char *purpose, const char *text)
{
	const char *all = arena_printf(a, "%s:%s", purpose, text);
	uint8_t d[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	HMAC(EVP_sha256(), id->mac_key, (int)strlen(id->mac_key), (const uint8_t *)all, strlen(all),
	     d, &n);
	return base64url(a, d, n);
}

/* --- signing ----------------------------------------------------------------------------------------------- */

static char *
sign(struct identity *id, json_t *claims, int64_t now_s)
{
	const struct keys_one *one;
	EVP_PKEY *key;
	char kid[sizeof(one->kid)], *text;

	ring_if_in_doubt(id, now_s * SECOND);
	pthread_mutex_lock(&id->lock);
	one = keys_signing(&id->keys, now_s);
	key = one->key;
	memcpy(kid, one->kid, sizeof(kid));
	EVP_PKEY_up_ref(key);
	pthread_mutex_unlock(&id->lock);
	text = jwt_sign(key, kid, claims);
	EVP_PKEY_free(key);
	json_decref(claims);
	return text;
}

static void
claim(json_t *claims, const char *name, const char *value)
{
	if (value && *value)
		json_object_set_new(claims, name, json_string(value));
}

static json_t *
claims_common(const struct call *c, const struct grant *g, const char *audience)
{
	const struct store_principal *p = &g->who;
	char uti[37];
	json_t *j = json_pack("{s:s, s:s, s:I, s:I, s:I, s:s, s:s, s:s, s:s}", "iss",
			      call_issuer(c, p->tenant), "aud", audience, "iat",
			      (json_int_t)c->now_s, "nbf", (json_int_t)c->now_s, "exp",
			      (json_int_t)c->now_s + TOKEN_LIFE_S, "oid", p->oid, "sub", p->oid,
			      "tid", p->tenant, "ver", c->route.is_v2 ? "2.0" : "1.0");

	guid_make(uti);
	claim(j, "uti", uti);
	if (!g->auth_us)
		return j;
	claim(j, "name", p->name);
	claim(j, "upn", *p->upn ? p->upn : p->name);
	claim(j, "preferred_username", *p->upn ? p->upn : p->name);
	json_object_set_new(j, "auth_time", json_integer(g->auth_us / SECOND));
	return j;
}

static char *
access_token(const struct call *c, const struct grant *g)
{
	json_t *j = claims_common(c, g, c->id->base_url);

	claim(j, "appid", g->client_id);
	claim(j, "azp", g->client_id);
	claim(j, "idtyp", g->auth_us ? "user" : "app");
	if (g->auth_us)
		claim(j, "scp", "user_impersonation");
	else
		claim(j, "app_displayname", g->who.name);
	return sign(c->id, j, c->now_s);
}

static char *
id_token(const struct call *c, const struct grant *g)
{
	json_t *j = claims_common(c, g, g->client_id);

	claim(j, "nonce", g->nonce);
	if (scope_has(g->scope, "email") && strchr(g->who.upn, '@'))
		claim(j, "email", g->who.upn);
	return sign(c->id, j, c->now_s);
}

/* What MSAL keeps its accounts under. */
static const char *
client_info(struct call *c, const struct store_principal *p)
{
	const char *text =
		arena_printf(c->a, "{\"uid\":\"%s\",\"utid\":\"%s\"}", p->oid, p->tenant);

	return base64url(c->a, text, strlen(text));
}

void
token_reply(struct call *c, const struct grant *g)
{
	AUTO_FREE char *access = access_token(c, g);
	AUTO_FREE char *identity = NULL;
	json_t *j;

	/* The older endpoints have no "openid" to ask with. */
	if (g->auth_us && (!c->route.is_v2 || scope_has(g->scope, "openid")))
		identity = id_token(c, g);
	if (!access)
		return call_refuse(c, 500, "server_error", 90001, "The token could not be signed.");
	j = json_pack("{s:s, s:i, s:i, s:s}", "token_type", "Bearer", "expires_in", TOKEN_LIFE_S,
		      "ext_expires_in", TOKEN_LIFE_S, "access_token", access);
	if (!c->route.is_v2) { /* as texts, that is how these endpoints always said it */
		json_object_set_new(j, "resource", json_string(c->id->base_url));
		json_object_set_new(j, "expires_on",
				    json_sprintf("%lld", (long long)c->now_s + TOKEN_LIFE_S));
	}
	if (g->auth_us) {
		claim(j, "scope", g->scope);
		claim(j, "id_token", identity);
		claim(j, "refresh_token", g->refresh);
		claim(j, "client_info", client_info(c, &g->who));
	}
	call_json(c, 200, j);
}

/* --- bearers ---------------------------------------------------------------------------------------------------- */

static bool
audience_is_ours(const struct identity *id, const char *aud)
{
	size_t n = strlen(id->base_url);

	return !strncasecmp(aud, id->base_url, n) && (!aud[n] || !strcmp(aud + n, "/"));
}

/* "https://us/.default", "https://us//.default", "https://us/user_impersonation", "https://us" */
static bool
word_is_good(const struct identity *id, const char *word)
{
	static const char *const openid[] = { "openid", "profile", "email", "offline_access",
					      "address" };
	static const char *const tails[] = { "/.default", "/user_impersonation" };
	AUTO_ARENA a = { 0 };
	size_t n = strlen(word);

	for (size_t i = 0; i < COUNT(openid); i++)
		if (!strcmp(openid[i], word))
			return true;
	for (size_t i = 0; i < COUNT(tails); i++) {
		size_t k = strlen(tails[i]);

		if (n > k && !strcmp(word + n - k, tails[i]))
			return audience_is_ours(id, arena_strndup(&a, word, n - k));
	}
	return audience_is_ours(id, word);
}

bool
scope_is_good(const struct identity *id, const char *scope)
{
	AUTO_ARENA a = { 0 };

	for (const char *p = scope + strspn(scope, " "); *p; p += strspn(p, " ")) {
		size_t n = strcspn(p, " ");

		if (!word_is_good(id, arena_strndup(&a, p, n)))
			return false;
		p += n;
	}
	return true;
}

bool
scope_has(const char *scope, const char *word)
{
	size_t k = strlen(word);

	for (const char *p = scope; *p; p += strspn(p, " ")) {
		size_t n = strcspn(p, " ");

		if (n == k && !strncmp(p, word, n))
			return true;
		p += n;
	}
	return false;
}

static EVP_PKEY *
key_named(struct identity *id, const char *kid, int64_t now_us, bool *ret_is_old)
{
	const struct keys_one *one;
	EVP_PKEY *key = NULL;

	pthread_mutex_lock(&id->lock);
	one = keys_find(&id->keys, kid, now_us / SECOND);
	if (one && EVP_PKEY_up_ref(one->key) == 1)
		key = one->key;
	*ret_is_old = now_us - id->keys_read_us > SECOND;
	pthread_mutex_unlock(&id->lock);
	return key;
}

/* A signature is verified once: the token is its own text and signature. */
static bool
is_signed(struct identity *id, const struct jwt *t, EVP_PKEY *key)
{
	uint8_t d[32], *slot;
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	bool ok = md && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1 &&
		  /* where the one ends and the other begins is part of it */
		  EVP_DigestUpdate(md, &t->n_text, sizeof(t->n_text)) == 1 &&
		  EVP_DigestUpdate(md, t->text, t->n_text) == 1 &&
		  EVP_DigestUpdate(md, t->sig, t->n_sig) == 1 &&
		  EVP_DigestFinal_ex(md, d, NULL) == 1;

	EVP_MD_CTX_free(md);
	if (!ok)
		return false;
	slot = id->seen[(d[0] | d[1] << 8) % IDENTITY_SEEN];
	pthread_mutex_lock(&id->lock);
	ok = !memcmp(slot, d, sizeof(d));
	pthread_mutex_unlock(&id->lock);
	if (ok)
		return true;
	if (!jwt_is_signed_by(t, key))
		return false;
	pthread_mutex_lock(&id->lock);
	memcpy(slot, d, sizeof(d));
	pthread_mutex_unlock(&id->lock);
	return true;
}

static bool
is_ours(struct identity *id, const struct jwt *t, int64_t now_us)
{
	bool is_old, ok;
	EVP_PKEY *key;

	ring_if_in_doubt(id, now_us);
	key = key_named(id, t->kid, now_us, &is_old);
	/* Another controller, or who asked for a rotation, may have made one. */
	if (!key && is_old && strlen(t->kid) == 43 &&
	    ring_refresh(id, KEYS_ON_TIME, now_us, NULL) == 0)
		key = key_named(id, t->kid, now_us, &is_old);
	ok = key && t->alg == JWT_RS256 && is_signed(id, t, key);
	EVP_PKEY_free(key);
	return ok;
}

static int
claims_check(struct identity *id, const struct jwt *t, int64_t now_us, struct arm_error *e)
{
	switch (jwt_time_check(t, now_us / SECOND, 0)) {
	case JWT_TIME_LATE:
		return arm_refuse(
			e, 401, "ExpiredAuthenticationToken",
			"The access token expiry UTC time is earlier than the current time.");
	case JWT_TIME_ABSENT:
		return arm_refuse(e, 401, "InvalidAuthenticationToken",
				  "The access token has no expiry.");
	case JWT_TIME_EARLY: /* clocks of several controllers may differ */
		if (jwt_time_check(t, now_us / SECOND + CLOCK_LEEWAY_S, 0) == JWT_TIME_EARLY)
			return arm_refuse(e, 401, "InvalidAuthenticationToken",
					  "The access token is not valid yet.");
		break;
	case JWT_TIME_GOOD:
		break;
	}
	if (!audience_is_ours(id, jwt_text(t, "aud")))
		return arm_refuse(
			e, 401, "InvalidAuthenticationTokenAudience",
			"The access token has been obtained for the wrong audience or resource "
			"'%s'. It should be '%s'.",
			jwt_text(t, "aud"), id->base_url);
	return 0;
}

json_t *
token_check(struct identity *id, const char *authorization, int64_t now_us, struct arm_error *e)
{
	AUTO_ARENA a = { 0 };
	struct jwt t;
	json_t *claims = NULL;

	if (!authorization || strncasecmp(authorization, "Bearer ", 7) != 0) {
		arm_refuse(e, 401, "AuthenticationFailed",
			   "Authentication failed. The 'Authorization' header is missing or has "
			   "no bearer token.");
		return NULL;
	}
	authorization += 7 + strspn(authorization + 7, " ");
	if (jwt_parse(&a, authorization, &t, NULL) < 0 || !is_ours(id, &t, now_us))
		arm_refuse(e, 401, "InvalidAuthenticationToken",
			   "The access token is invalid: it is not one of ours.");
	else if (claims_check(id, &t, now_us, e) == 0)
		claims = json_incref(t.claims);
	jwt_fini(&t);
	return claims;
}

bool
identity_is_bearer(struct identity *id, const char *authorization, int64_t now_us)
{
	AUTO_ARENA a = { 0 };
	struct arm_error e = { .arena = &a };
	json_t *claims = token_check(id, authorization, now_us, &e);
	bool ok = claims != NULL;

	json_decref(claims);
	return ok;
}

int
principal_usable(struct store_tx *tx, struct arena *a, const char *oid, struct store_principal *ret,
		 struct err *e)
{
	struct store_tenant t;
	int r = store_principal_get(tx, a, oid, ret, e);

	if (r <= 0 || ret->is_disabled)
		return MIN(r, 0);
	r = store_tenant_get(tx, a, ret->tenant, &t, e);
	return r < 0 ? r : r == 0 || !t.is_disabled;
}

struct holder {
	struct arena *a;
	const char *oid;
	struct store_principal who;
	bool is_usable;
};

static int
holder_run(struct store_tx *tx, void *arg, struct err *e)
{
	struct holder *h = arg;
	int r = principal_usable(tx, h->a, h->oid, &h->who, e);

	h->is_usable = r == 1;
	return MIN(r, 0);
}

/* Nothing of a token outlives its principal: that is looked at for every request. */
static int
holder_check(struct identity *id, struct arena *a, const struct arm_caller *c, struct arm_error *e)
{
	struct holder h = { .a = a, .oid = c->oid };

	if (store_read(id->store, holder_run, &h, NULL) < 0)
		return arm_refuse(e, 503, "ServiceUnavailable", "Try again.");
	if (!h.is_usable)
		return arm_refuse(e, 401, "InvalidAuthenticationToken",
				  "The access token's principal '%s' is disabled or was deleted.",
				  c->oid);
	if (strcmp(h.who.tenant, c->tenant) != 0)
		return arm_refuse(e, 401, "InvalidAuthenticationTokenTenant",
				  "The access token is from the wrong issuer. It must match the "
				  "tenant '%s' associated with its principal.",
				  h.who.tenant);
	return 0;
}

static int
authenticate(void *ctx, struct arena *a, const char *authorization, int64_t now_us,
	     struct arm_caller *ret, struct arm_error *e)
{
	struct identity *id = ctx;
	json_t *claims = token_check(id, authorization, now_us, e);
	bool is_user;

	*ret = (struct arm_caller){ .oid = "", .app_id = "", .tenant = "", .name = "" };
	if (!claims)
		return -EBADE;
	is_user = !strcmp(arm_str(claims, "idtyp", ""), "user");
	ret->oid = arena_strdup(a, arm_str(claims, "oid", ""));
	ret->app_id = arena_strdup(a, arm_str(claims, "appid", ""));
	ret->tenant = arena_strdup(a, arm_str(claims, "tid", ""));
	ret->name = arena_strdup(a, arm_str(claims, is_user ? "upn" : "app_displayname", ""));
	json_decref(claims);
	return holder_check(id, a, ret, e);
}

struct arm_auth
identity_auth(struct identity *id)
{
	return (struct arm_auth){ id,        authenticate, rbac_may,
				  rbac_sees, rbac_through, rbac_subscriptions };
}
