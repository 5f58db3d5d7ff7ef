/* Tokens: the OAuth2 token endpoint (client credentials), RS256 JWTs signed by a key kept in the
 * store, their verification, and what OpenID clients discover. */
#include "identity/internal.h"

#include "base/mem.h"
#include "base/mono.h"

#include <openssl/sha.h>
#include <strings.h>

enum { LIFETIME = 3600, LEEWAY = 300 };

/* --- the key --------------------------------------------------------------------------------------- */

struct key_load {
	struct identity *id;
};

static void
kid_set(struct identity *id)
{
	cjose_err ce;
	char *pub = cjose_jwk_to_json(id->key, false, &ce);
	uint8_t d[SHA256_DIGEST_LENGTH];

	SHA256((const uint8_t *)pub, strlen(pub), d);
	for (size_t i = 0; i < 16; i++)
		snprintf(id->kid + i * 2, 3, "%02x", d[i]);
	free(pub);
}

static int
key_run(struct store_tx *tx, void *arg, struct err *e)
{
	struct identity *id = arg;
	AUTO_ARENA a = { 0 };
	cjose_err ce;
	const void *text;
	size_t n;
	char *json;
	int r = store_secret_get(tx, &a, "identity", "signing-key", &text, &n, e);

	if (r < 0)
		return r;
	if (id->key)
		cjose_jwk_release(id->key);
	if (r == 1) {
		id->key = cjose_jwk_import(text, n, &ce);
		return id->key ? 0 : err_set(e, -EBADMSG, "signing key: %s", ce.message);
	}
	id->key = cjose_jwk_create_RSA_random(2048, NULL, 0, &ce);
	json = id->key ? cjose_jwk_to_json(id->key, true, &ce) : NULL;
	if (!json)
		return err_set(e, -EIO, "signing key: %s", ce.message);
	r = store_secret_put(tx, "identity", "signing-key", json, strlen(json), e);
	mem_wipe(json, strlen(json));
	free(json);
	return r;
}

int
identity_open(struct store *s, const char *base_url, struct identity **ret, struct err *e)
{
	AUTO(identity) id = mem_alloc(sizeof(*id));
	int r;

	id->store = s;
	id->base_url = mem_strdup(base_url);
	pthread_mutex_init(&id->lock, NULL);
	r = store_write(s, key_run, id, e);
	if (r < 0)
		return err_wrap(e, r, "identity");
	kid_set(id);
	*ret = TAKE(id);
	return 0;
}

void
identity_destroy(struct identity *id)
{
	if (!id)
		return;
	if (id->key)
		cjose_jwk_release(id->key);
	pthread_mutex_destroy(&id->lock);
	free(id->base_url);
	free(id);
}

/* --- signing and checking ----------------------------------------------------------------------------- */

static char *
sign(struct identity *id, const json_t *claims)
{
	cjose_err ce;
	AUTO_FREE char *text = json_dumps(claims, JSON_COMPACT);
	cjose_header_t *h = cjose_header_new(&ce);
	cjose_jws_t *jws = NULL;
	const char *out = NULL;
	char *ret = NULL;

	pthread_mutex_lock(&id->lock);
	if (h && cjose_header_set(h, CJOSE_HDR_ALG, CJOSE_HDR_ALG_RS256, &ce) &&
	    cjose_header_set(h, CJOSE_HDR_KID, id->kid, &ce) &&
	    cjose_header_set(h, "typ", "JWT", &ce))
		jws = cjose_jws_sign(id->key, h, (const uint8_t *)text, strlen(text), &ce);
	if (jws && cjose_jws_export(jws, &out, &ce))
		ret = mem_strdup(out);
	if (jws)
		cjose_jws_release(jws);
	if (h)
		cjose_header_release(h);
	pthread_mutex_unlock(&id->lock);
	return ret;
}

/* The claims of a token with our signature, or NULL. */
static json_t *
verify(struct identity *id, const char *token)
{
	cjose_err ce;
	cjose_jws_t *jws;
	const char *alg;
	uint8_t *text = NULL;
	size_t n = 0;
	json_t *claims = NULL;

	pthread_mutex_lock(&id->lock);
	jws = cjose_jws_import(token, strlen(token), &ce);
	alg = jws ? cjose_header_get(cjose_jws_get_protected(jws), CJOSE_HDR_ALG, &ce) : NULL;
	if (alg && !strcmp(alg, CJOSE_HDR_ALG_RS256) && cjose_jws_verify(jws, id->key, &ce) &&
	    cjose_jws_get_plaintext(jws, &text, &n, &ce))
		claims = json_loadb((const char *)text, n, 0, NULL);
	if (jws)
		cjose_jws_release(jws);
	pthread_mutex_unlock(&id->lock);
	return claims;
}

static bool
audience_is_ours(const struct identity *id, const char *aud)
{
	size_t n = strlen(id->base_url);

	return !strncasecmp(aud, id->base_url, n) && (!aud[n] || !strcmp(aud + n, "/"));
}

static int
authenticate(void *ctx, struct arena *a, const char *authorization, int64_t now_us,
	     struct arm_caller *ret, struct arm_error *e)
{
	struct identity *id = ctx;
	json_t *claims;
	int64_t now = now_us / 1000000;
	int r = 0;

	if (!authorization || strncasecmp(authorization, "Bearer ", 7))
		return arm_refuse(
			e, 401, "AuthenticationFailed",
			"Authentication failed. The 'Authorization' header is missing or has "
			"no bearer token.");
	authorization += 7 + strspn(authorization + 7, " ");
	claims = strlen(authorization) < 16384 ? verify(id, authorization) : NULL;
	if (!claims)
		return arm_refuse(e, 401, "InvalidAuthenticationToken",
				  "The access token is invalid: it is not one of ours.");
	if (arm_int(claims, "exp", 0) <= now)
		r = arm_refuse(
			e, 401, "ExpiredAuthenticationToken",
			"The access token expiry UTC time is earlier than the current time.");
	else if (arm_int(claims, "nbf", 0) > now + LEEWAY)
		r = arm_refuse(e, 401, "InvalidAuthenticationToken",
			       "The access token is not valid yet.");
	else if (!audience_is_ours(id, arm_str(claims, "aud", "")))
		r = arm_refuse(
			e, 401, "InvalidAuthenticationTokenAudience",
			"The access token has been obtained for the wrong audience or resource "
			"'%s'. It should be '%s'.",
			arm_str(claims, "aud", ""), id->base_url);
	*ret = (struct arm_caller){
		.oid = arena_strdup(a, arm_str(claims, "oid", "")),
		.app_id = arena_strdup(a, arm_str(claims, "appid", "")),
		.tenant = arena_strdup(a, arm_str(claims, "tid", "")),
		.name = arena_strdup(a, arm_str(claims, "app_displayname", "")),
	};
	json_decref(claims);
	return r;
}

struct arm_auth
identity_auth(struct identity *id)
{
	return (struct arm_auth){ id, authenticate, rbac_may, rbac_sees };
}

struct arm_extension
identity_extension(struct identity *id)
{
	return (struct arm_extension){ "Microsoft.Authorization", "2015-07-01", id, rbac_handle };
}

/* --- the token endpoint ---------------------------------------------------------------------------------- */

static struct identity_answer
refuse(int status, const char *error, int number, const char *text)
{
	char now[32], trace[37], message[256];

	guid_make(trace);
	snprintf(message, sizeof(message), "AADSTS%d: %s", number, text);
	return (struct identity_answer){
		status,
		json_pack("{s:s, s:s, s:[i], s:s, s:s, s:s}", "error", error, "error_description",
			  message, "error_codes", number, "timestamp",
			  utc_format(utc_now_us(), now), "trace_id", trace, "correlation_id", trace)
	};
}

struct login {
	const char *client_id, *secret, *tenant;
	struct arena *arena;
	struct store_principal who;
	bool is_ok;
};

static int
login_run(struct store_tx *tx, void *arg, struct err *e)
{
	struct login *l = arg;
	int r = store_principal_by_client(tx, l->arena, l->client_id, &l->who, e);

	if (r <= 0)
		return r;
	r = secret_check(tx, l->arena, l->who.oid, l->secret, utc_now_us(), e);
	l->is_ok = r == 1 && !l->who.is_disabled &&
		   (!l->tenant || !strcasecmp(l->tenant, l->who.tenant));
	return MIN(r, 0);
}

static struct identity_answer
token_issue(struct identity *id, const struct store_principal *who)
{
	int64_t now = utc_now_us() / 1000000;
	char issuer[512], uti[37];
	json_t *claims, *body;
	char *token;

	guid_make(uti);
	snprintf(issuer, sizeof(issuer), "%s/%s/v2.0", id->base_url, who->tenant);
	claims = json_pack("{s:s, s:s, s:I, s:I, s:I, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}",
			   "iss", issuer, "aud", id->base_url, "iat", (json_int_t)now, "nbf",
			   (json_int_t)now, "exp", (json_int_t)now + LIFETIME, "oid", who->oid,
			   "sub", who->oid, "appid", who->client_id, "app_displayname", who->name,
			   "tid", who->tenant, "idtyp", "app", "uti", uti, "ver", "1.0");
	token = sign(id, claims);
	json_decref(claims);
	if (!token)
		return refuse(500, "server_error", 90001, "The token could not be signed.");
	body = json_pack("{s:s, s:i, s:i, s:s}", "token_type", "Bearer", "expires_in", LIFETIME,
			 "ext_expires_in", LIFETIME, "access_token", token);
	free(token);
	return (struct identity_answer){ 200, body };
}

static int
from64(char c)
{
	return c >= 'A' && c <= 'Z'   ? c - 'A'
	       : c >= 'a' && c <= 'z' ? c - 'a' + 26
	       : c >= '0' && c <= '9' ? c - '0' + 52
	       : c == '+'             ? 62
	       : c == '/'             ? 63
				      : -1;
}

/* "Basic base64(id:secret)", both form-encoded (RFC 6749 2.3.1). */
static bool
basic_parse(struct arena *a, const char *header, const char **ret_id, const char **ret_secret)
{
	char *out, *colon;
	uint32_t acc = 0;
	int bits = 0;
	size_t w = 0;

	if (!header || strncasecmp(header, "Basic ", 6) || strlen(header) > 4096)
		return false;
	out = arena_alloc(a, strlen(header));
	for (const char *p = header + 6; from64(*p) >= 0; p++) {
		acc = acc << 6 | (uint32_t)from64(*p);
		bits += 6;
		if (bits >= 8)
			out[w++] = (char)(acc >> (bits -= 8));
	}
	colon = strchr(out, ':');
	if (!colon)
		return false;
	*colon = '\0';
	*ret_id = arm_query(a, arena_printf(a, "v=%s", out), "v");
	*ret_secret = arm_query(a, arena_printf(a, "v=%s", colon + 1), "v");
	return *ret_id && *ret_secret;
}

static bool
scope_is_ours(const struct identity *id, struct arena *a, const char *scope)
{
	const char *tail = strstr(scope, "/.default");

	return audience_is_ours(id, tail ? arena_strndup(a, scope, (size_t)(tail - scope)) : scope);
}

struct identity_answer
identity_token(struct identity *id, const char *form, const char *basic, const char *tenant)
{
	AUTO_ARENA a = { 0 };
	const char *grant = arm_query(&a, form, "grant_type"),
		   *scope = arm_query(&a, form, "scope");
	struct login l = { .tenant = tenant, .arena = &a };
	struct err e;
	int r;

	if (!scope)
		scope = arm_query(&a, form, "resource");
	if (!basic_parse(&a, basic, &l.client_id, &l.secret)) {
		l.client_id = arm_query(&a, form, "client_id");
		l.secret = arm_query(&a, form, "client_secret");
	}
	if (!grant || !*grant)
		return refuse(
			400, "invalid_request", 900144,
			"The request body must contain the following parameter: 'grant_type'.");
	if (strcmp(grant, "client_credentials"))
		return refuse(
			400, "unsupported_grant_type", 70003,
			"The app requested an unsupported grant type. Only client_credentials "
			"is offered.");
	if (!l.client_id || !*l.client_id)
		return refuse(
			400, "invalid_request", 900144,
			"The request body must contain the following parameter: 'client_id'.");
	if (!l.secret || !*l.secret)
		return refuse(401, "invalid_client", 7000216,
			      "'client_assertion', 'client_secret' or 'request' is required.");
	if (!scope || !scope_is_ours(id, &a, scope))
		return refuse(400, "invalid_resource", 500011,
			      "The resource principal named in scope was not found in the tenant.");
	l.client_id = arm_id_fold(&a, l.client_id) + 1;
	r = store_read(id->store, login_run, &l, &e);
	if (r < 0)
		return refuse(503, "temporarily_unavailable", 90033,
			      "A transient error has occurred. Please try again.");
	/* 401, not 400: clients keep a 400 for a minute. One answer for both, so that ids cannot be
	 * guessed. */
	if (!l.is_ok)
		return refuse(401, "invalid_client", 7000215,
			      "Invalid client secret provided, or no such application.");
	return token_issue(id, &l.who);
}

/* --- discovery ------------------------------------------------------------------------------------------------ */

struct identity_answer
identity_openid(struct identity *id, const char *tenant, bool is_adfs)
{
	AUTO_ARENA a = { 0 };
	const char *b = id->base_url, *auth;
	const char *t = is_adfs ? tenant ? arena_printf(&a, "%s/adfs/%s/adfs", b, tenant)
					 : arena_printf(&a, "%s/adfs", b)
				: arena_printf(&a, "%s/%s", b, tenant);
	const char *v = is_adfs ? "" : "/v2.0";

	auth = arena_printf(&a, "%s/oauth2%s", t, v);
	return (struct identity_answer){
		200,
		json_pack(
			"{s:s, s:s, s:s, s:s, s:s, s:[s,s], s:[s], s:[s], s:[s], s:[s], s:[s,s,s,s,s,s]}",
			"issuer", arena_printf(&a, "%s%s", t, v), "authorization_endpoint",
			arena_printf(&a, "%s/authorize", auth), "token_endpoint",
			arena_printf(&a, "%s/token", auth), "device_authorization_endpoint",
			arena_printf(&a, "%s/devicecode", auth), "jwks_uri",
			arena_printf(&a, "%s/discovery/keys", b),
			"token_endpoint_auth_methods_supported", "client_secret_post",
			"client_secret_basic", "response_types_supported", "token",
			"subject_types_supported", "pairwise", "scopes_supported", "openid",
			"id_token_signing_alg_values_supported", "RS256", "claims_supported", "sub",
			"iss", "aud", "exp", "oid", "tid")
	};
}

struct identity_answer
identity_jwks(struct identity *id)
{
	cjose_err ce;
	char *text;
	json_t *key;

	pthread_mutex_lock(&id->lock);
	text = cjose_jwk_to_json(id->key, false, &ce);
	pthread_mutex_unlock(&id->lock);
	key = text ? json_loads(text, 0, NULL) : json_object();
	free(text);
	json_object_set_new(key, "kid", json_string(id->kid));
	json_object_set_new(key, "use", json_string("sig"));
	json_object_set_new(key, "alg", json_string("RS256"));
	return (struct identity_answer){ 200, json_pack("{s:[o]}", "keys", key) };
}

struct identity_answer
identity_metadata(struct identity *id, const char *api_version)
{
	const char *b = id->base_url;
	char login[512];
	json_t *one;

	snprintf(login, sizeof(login), "%s/adfs", b);
	one = json_pack("{s:s, s:s, s:s, s:{s:s, s:[s]}}", "galleryEndpoint", b, "graphEndpoint", b,
			"portalEndpoint", b, "authentication", "loginEndpoint", login, "audiences",
			b);
	if (!api_version || strcmp(api_version, "2019-05-01") < 0)
		return (struct identity_answer){ 200, one };
	json_object_set_new(one, "name", json_string("Wayleave"));
	json_object_set_new(one, "suffixes", json_object());
	for (const char *const *k =
		     (const char *const[]){ "resourceManager", "graphAudience", "graph",
					    "microsoftGraphResourceId", "portal", "gallery", NULL };
	     *k; k++)
		json_object_set_new(one, *k, json_string(b));
	json_object_set_new(json_object_get(one, "authentication"), "tenant", json_string("adfs"));
	json_object_set_new(json_object_get(one, "authentication"), "identityProvider",
			    json_string("ADFS"));
	return (struct identity_answer){ 200, json_pack("[o]", one) };
}
