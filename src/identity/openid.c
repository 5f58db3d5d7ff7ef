/* What clients discover, without a token: OpenID documents, key sets, clouds; and userinfo, with one. */
#include "identity/oauth.h"

static json_t *
words(const char *const *w)
{
	json_t *j = json_array();

	for (; *w; w++)
		json_array_append_new(j, json_string(*w));
	return j;
}
#define WORDS(...) words((const char *const[]){ __VA_ARGS__, NULL })

struct tenant {
	struct call *c;
	bool is_found;
	const char *id;
};

static int
tenant_run(struct store_tx *tx, void *arg, struct err *e)
{
	struct tenant *t = arg;
	int r = tenant_find(tx, t->c->a, t->c->route.tenant, &t->id, e);

	t->is_found = r == 1;
	return MIN(r, 0);
}

/* The tenant in the path is one of ours; else answered. */
static bool
tenant_check(struct call *c, const char **ret)
{
	struct tenant t = { .c = c };

	*ret = "{tenantid}"; /* as Microsoft says "any" */
	if (!c->route.tenant)
		return true;
	if (store_read(c->id->store, tenant_run, &t, NULL) < 0) {
		call_unavailable(c);
		return false;
	}
	*ret = t.id;
	if (!t.is_found)
		call_refuse(c, 400, "invalid_tenant", 90002, "Tenant '%s' not found.",
			    c->route.tenant);
	return t.is_found;
}

void
at_openid(struct call *c)
{
	const char *tenant, *keys;
	json_t *j;

	if (!tenant_check(c, &tenant))
		return;
	keys = c->route.is_v2 ? "/discovery/v2.0/keys" : "/discovery/keys";
	j = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "issuer", call_issuer(c, tenant),
		      "authorization_endpoint", call_endpoint(c, "authorize"), "token_endpoint",
		      call_endpoint(c, "token"), "device_authorization_endpoint",
		      call_endpoint(c, "devicecode"), "end_session_endpoint",
		      call_endpoint(c, "logout"), "userinfo_endpoint",
		      call_url(c, "/openid/userinfo"), "jwks_uri", call_url(c, keys));
	json_object_set_new(j, "response_types_supported", WORDS("code"));
	json_object_set_new(j, "response_modes_supported", WORDS("query", "fragment", "form_post"));
	json_object_set_new(j, "grant_types_supported",
			    WORDS("client_credentials", "authorization_code", "refresh_token",
				  "urn:ietf:params:oauth:grant-type:device_code"));
	json_object_set_new(j, "code_challenge_methods_supported", WORDS("S256"));
	json_object_set_new(j, "token_endpoint_auth_methods_supported",
			    WORDS("client_secret_post", "client_secret_basic", "private_key_jwt"));
	json_object_set_new(j, "token_endpoint_auth_signing_alg_values_supported",
			    WORDS("RS256", "PS256"));
	json_object_set_new(j, "id_token_signing_alg_values_supported", WORDS("RS256"));
	json_object_set_new(j, "subject_types_supported", WORDS("public"));
	json_object_set_new(j, "scopes_supported",
			    WORDS("openid", "profile", "email", "offline_access"));
	json_object_set_new(j, "claims_supported",
			    WORDS("sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "oid",
				  "tid", "upn", "preferred_username", "name", "email"));
	call_json(c, 200, j);
}

void
at_keys(struct call *c)
{
	struct identity *id = c->id;
	json_t *list = json_array();

	pthread_mutex_lock(&id->lock);
	for (size_t i = 0; i < id->keys.n; i++)
		json_array_append_new(list, jwk_public(id->keys.list[i].key, id->keys.list[i].kid));
	pthread_mutex_unlock(&id->lock);
	call_json(c, 200, json_pack("{s:o}", "keys", list));
}

/* Who asks whether we are an authority to be trusted: for our own name, yes. */
void
at_instance(struct call *c)
{
	const char *asked = call_param(c, "authorization_endpoint"), *b = c->id->base_url;
	const char *host = strstr(b, "://");
	const char *tenant = "adfs", *document;
	size_t n = strlen(b);
	struct route r = { .what = AT_NOTHING };

	host = host ? host + 3 : b;
	if (asked && !strncmp(asked, b, n))
		r = route_parse(c->a, asked + n);
	if (r.what != AT_AUTHORIZE)
		return call_refuse(c, 400, "invalid_instance", 50049,
				   "Unknown or invalid instance.");
	if (!r.is_adfs)
		tenant = r.tenant ? r.tenant : "common";
	document = arena_printf(c->a, "%s/%s%s/.well-known/openid-configuration", b, tenant,
				r.is_adfs ? "" : "/v2.0");
	call_json(c, 200,
		  json_pack("{s:s, s:s, s:[{s:s, s:s, s:[s]}]}", "tenant_discovery_endpoint",
			    document, "api-version", "1.1", "metadata", "preferred_network", host,
			    "preferred_cache", host, "aliases", host));
}

void
at_metadata(struct call *c)
{
	const char *b = c->id->base_url, *version = call_param(c, "api-version"),
		   *login = call_url(c, "/adfs");
	json_t *one = json_pack("{s:s, s:s, s:s, s:{s:s, s:[s]}}", "galleryEndpoint", b,
				"graphEndpoint", b, "portalEndpoint", b, "authentication",
				"loginEndpoint", login, "audiences", b);
	json_t *how;

	if (!version || strcmp(version, "2019-05-01") < 0)
		return call_json(c, 200, one);
	json_object_set_new(one, "name", json_string("Wayleave"));
	json_object_set_new(one, "suffixes", json_object());
	for (const char *const *k =
		     (const char *const[]){ "resourceManager", "graphAudience", "graph",
					    "microsoftGraphResourceId", "portal", "gallery", NULL };
	     *k; k++)
		json_object_set_new(one, *k, json_string(b));
	how = json_object_get(one, "authentication");
	json_object_set_new(how, "tenant", json_string("adfs"));
	json_object_set_new(how, "identityProvider", json_string("ADFS"));
	call_json(c, 200, json_pack("[o]", one));
}

/* --- userinfo --------------------------------------------------------------------------------------------------- */

struct holder {
	struct call *c;
	const char *oid;
	struct store_principal who;
	bool is_good;
};

static int
holder_run(struct store_tx *tx, void *arg, struct err *e)
{
	struct holder *h = arg;
	int r = principal_usable(tx, h->c->a, h->oid, &h->who, e);

	h->is_good = r == 1 && !strcmp(h->who.kind, "User");
	return MIN(r, 0);
}

/* OpenID Connect Core 5.3 */
void
at_userinfo(struct call *c)
{
	struct arm_error e = { .arena = c->a };
	json_t *claims = token_check(c->id, c->rq->authorization, c->now_us, &e), *j;
	struct holder h = { .c = c };

	h.oid = claims ? arena_strdup(c->a, arm_str(claims, "oid", "")) : "";
	json_decref(claims);
	if (claims && store_read(c->id->store, holder_run, &h, NULL) < 0)
		return call_unavailable(c);
	if (!h.is_good) {
		call_json(c, 401,
			  json_pack("{s:s, s:s}", "error", "invalid_token", "error_description",
				    claims ? "It is not a person's." : e.message));
		return call_header(c, "WWW-Authenticate", "Bearer error=\"invalid_token\"");
	}
	j = json_pack("{s:s, s:s, s:s, s:s}", "sub", h.who.oid, "name", h.who.name,
		      "preferred_username", *h.who.upn ? h.who.upn : h.who.name, "tid",
		      h.who.tenant);
	if (strchr(h.who.upn, '@'))
		json_object_set_new(j, "email", json_string(h.who.upn));
	call_json(c, 200, j);
}
