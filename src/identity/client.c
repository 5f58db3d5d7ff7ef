/* Who asks for a token: public clients, secrets (form and Basic), assertions signed by a registered
 * certificate (RFC 7523) or by another issuer that a federated credential names.
 *
 * A wrong id and a wrong secret get the same answer. It is 401, never 400: clients keep a 400 for a
 * minute. */
#include "identity/oauth.h"

#include <ctype.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <strings.h>

#define ASSERTION_TYPE "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

enum { MAX_WRONG = 20, MAX_WRONG_ADDRESS = 100 }; /* a minute */

/* Microsoft's own programs, which people sign in with; they keep no secret and listen on loopback. */
static const struct {
	const char *id, *name;
} known[] = {
	{ "04b07795-8ddb-461a-bbee-02f9e1bf7b46", "Azure CLI" },
	{ "1950a258-227b-4e31-a9cf-717495945fc2", "Azure PowerShell" },
	{ "aebc6443-996d-45c2-90f0-388ff96faa56", "Visual Studio Code" },
};
static const char *loopbacks[] = { "http://localhost", "http://127.0.0.1", "http://[::1]" };

/* --- redirect URIs ---------------------------------------------------------------------------------------- */

/* The part behind "http://localhost" and the like, or NULL. */
static const char *
loopback_rest(const char *uri, size_t *ret_which)
{
	for (size_t i = 0; i < COUNT(loopbacks); i++) {
		size_t n = strlen(loopbacks[i]);

		if (!strncmp(uri, loopbacks[i], n) && (!uri[n] || strchr(":/?", uri[n]))) {
			*ret_which = i;
			return uri + n;
		}
	}
	return NULL;
}

static const char *
port_skip(const char *rest)
{
	size_t n = *rest == ':' ? strspn(rest + 1, "0123456789") : 0;

	return *rest == ':' && n && n <= 5 ? rest + 1 + n : rest;
}

static bool
loopback_matches(const char *have, const char *uri)
{
	size_t i = 0, k = 0;
	const char *a = loopback_rest(have, &i), *b = loopback_rest(uri, &k);

	if (!a || !b || i != k)
		return false;
	a = port_skip(a);
	b = port_skip(b);
	if (*b == ':')
		return false;
	a += *a == '/';
	b += *b == '/';
	return !strcmp(a, b);
}

bool
redirect_is_sound(const char *uri)
{
	static const char letters[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:[]";
	const char *host = strstr(uri, "://");
	size_t n, which = 0;

	if (!host || strlen(uri) > 512)
		return false;
	for (const char *p = uri; *p; p++)
		if (*p <= ' ' || *p >= 0x7f || strchr("#<>\"\\^`{|}", *p))
			return false;
	host += 3;
	n = strcspn(host, "/?");
	if (!n || strspn(host, letters) < n) /* no user, no '*' */
		return false;
	return !strncmp(uri, "https://", 8) || loopback_rest(uri, &which);
}

bool
client_may_redirect(const struct client *cl, const char *uri)
{
	if (!redirect_is_sound(uri))
		return false;
	for (size_t i = 0; i < cl->n_redirects; i++)
		if (!strcmp(cl->redirects[i], uri) || loopback_matches(cl->redirects[i], uri))
			return true;
	return false;
}

/* --- finding ---------------------------------------------------------------------------------------------- */

static int
find_registered(struct store_tx *tx, struct arena *a, struct client *ret, struct err *e)
{
	struct store_record rec;
	json_t *j, *list;
	int r = store_record_get(tx, a, "client", ret->id, &rec, e);

	if (r <= 0)
		return r;
	j = json_loads(rec.body, 0, NULL);
	list = json_object_get(j, "redirectUris");
	ret->is_public = json_is_true(json_object_get(j, "isPublic"));
	ret->redirects = NEW_ARRAY(a, const char *, json_array_size(list) + 1);
	for (size_t i = 0; i < json_array_size(list); i++)
		ret->redirects[ret->n_redirects++] =
			arena_strdup(a, json_string_value(json_array_get(list, i)));
	json_decref(j);
	return 0;
}

int
client_find(struct store_tx *tx, struct arena *a, const char *client_id, struct client *ret,
	    struct err *e)
{
	int r;

	*ret = (struct client){ .id = arm_id_fold(a, client_id) + 1 };
	for (size_t i = 0; i < COUNT(known); i++)
		if (!strcmp(known[i].id, ret->id)) {
			ret->name = known[i].name;
			ret->is_public = ret->is_known = true;
			ret->redirects = loopbacks;
			ret->n_redirects = COUNT(loopbacks);
			return 1;
		}
	r = store_principal_by_client(tx, a, ret->id, &ret->who, e);
	if (r == 1 && strcmp(ret->who.kind, "ServicePrincipal") != 0) {
		ret->who = (struct store_principal){ 0 };
		return 0;
	}
	if (r <= 0)
		return r;
	ret->name = ret->who.name;
	r = find_registered(tx, a, ret, e);
	return r < 0 ? r : 1;
}

int
tenant_find(struct store_tx *tx, struct arena *a, const char *text, const char **ret, struct err *e)
{
	struct store_tenant t;
	int r = store_tenant_get(tx, a, text, &t, e);

	if (r == 0)
		r = store_tenant_by_domain(tx, a, text, &t, e);
	if (r == 1)
		*ret = t.id;
	return r;
}

/* --- proof ---------------------------------------------------------------------------------------------------- */

struct proof {
	struct call *c;
	struct client *client;
	const char *secret, *assertion;
	struct jwt jwt;
	bool has_jwt;
	/* what the store says */
	bool is_found, is_usable, has_secret, is_tenant_known, is_tenant_right;
	struct store_credential *certs, *federated;
	size_t n_certs, n_federated;
	bool is_replayed;
};

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

	if (strlen(header) > MAX_PARAM)
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
	return *ret_id && *ret_secret && **ret_id && **ret_secret;
}

static bool
parse_assertion(struct proof *p, const char **ret_id)
{
	struct call *c = p->c;
	const char *type = call_param(c, "client_assertion_type");

	/* Longer than other parameters may be. */
	p->assertion = arm_query(c->a, c->params, "client_assertion");
	if (!p->assertion || !*p->assertion) {
		p->assertion = NULL;
		return true;
	}
	if (!type || strcmp(type, ASSERTION_TYPE) != 0) {
		call_refuse(c, 400, "invalid_request", 900144,
			    "client_assertion_type must be '" ASSERTION_TYPE "'.");
		return false;
	}
	if (jwt_parse(c->a, p->assertion, &p->jwt, NULL) < 0) {
		call_refuse(c, 401, "invalid_client", 50027,
			    "The client assertion is not a JSON web token.");
		return false;
	}
	p->has_jwt = true;
	if (!*ret_id)
		*ret_id = arena_strdup(c->a, jwt_text(&p->jwt, "sub"));
	return true;
}

/* What the request says of who asks. */
static bool
read_request(struct proof *p, const char **ret_id)
{
	struct call *c = p->c;
	const char *basic = c->rq->authorization;

	*ret_id = call_param(c, "client_id");
	p->secret = call_param(c, "client_secret");
	if (basic && !strncasecmp(basic, "Basic ", 6)) {
		const char *id = NULL;

		if (p->secret || !basic_parse(c->a, basic, &id, &p->secret) ||
		    (*ret_id && strcasecmp(id, *ret_id) != 0)) {
			call_refuse(c, 401, "invalid_client", 7000215,
				    "The Authorization header is not 'Basic' with an id and a "
				    "secret, or the form has others.");
			return false;
		}
		*ret_id = id;
	}
	if (!parse_assertion(p, ret_id))
		return false;
	if (p->secret && p->assertion) {
		call_refuse(c, 400, "invalid_request", 700025,
			    "client_secret and client_assertion exclude each other.");
		return false;
	}
	if (!*ret_id || !**ret_id) {
		call_refuse(c, 400, "invalid_request", 900144,
			    "The request body must contain the following parameter: 'client_id'.");
		return false;
	}
	return true;
}

/* A principal gets tokens in its own tenant, and in those that its tenant manages as a partner. */
int
tenant_admits(struct store_tx *tx, const struct call *c, const char *home, struct err *e)
{
	struct store_tenant t;
	const char *id = "";
	int r;

	if (!c->route.tenant)
		return 1;
	r = tenant_find(tx, c->a, c->route.tenant, &id, e);
	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	if (!home || !strcmp(id, home))
		return 1;
	r = store_tenant_get(tx, c->a, id, &t, e);
	return r < 0 ? r : r == 1 && *t.partner && !strcmp(t.partner, home);
}

static int
look_run(struct store_tx *tx, void *arg, struct err *e)
{
	struct proof *p = arg;
	struct call *c = p->c;
	struct client *cl = p->client;
	struct store_principal again;
	int r = client_find(tx, c->a, cl->id, cl, e);

	if (r < 0)
		return r;
	p->is_found = r == 1;
	r = tenant_admits(tx, c, cl->who.oid ? cl->who.tenant : NULL, e);
	p->is_tenant_known = r != -ENOENT;
	p->is_tenant_right = r == 1;
	if ((r < 0 && r != -ENOENT) || !p->is_found || !cl->who.oid)
		return p->is_tenant_known ? MIN(r, 0) : 0;
	r = principal_usable(tx, c->a, cl->who.oid, &again, e);
	p->is_usable = r == 1;
	if (r >= 0 && p->secret) {
		r = secret_check(tx, c->a, cl->who.oid, p->secret, c->now_us, e);
		p->has_secret = r == 1;
	}
	if (r >= 0 && p->has_jwt)
		r = store_credential_of(tx, c->a, cl->who.oid, STORE_CREDENTIAL_CERTIFICATE,
					&p->certs, &p->n_certs, e);
	if (r >= 0 && p->has_jwt)
		r = store_credential_of(tx, c->a, cl->who.oid, STORE_CREDENTIAL_FEDERATED,
					&p->federated, &p->n_federated, e);
	return MIN(r, 0);
}

static bool
is_current(const struct store_credential *cr, int64_t now_us)
{
	return (!cr->start_us || cr->start_us <= now_us) && (!cr->end_us || cr->end_us > now_us);
}

/* --- assertions of our own clients --- */

static const char *
hex(struct arena *a, const uint8_t *p, size_t n)
{
	char *out = arena_alloc(a, n * 2 + 1);

	for (size_t i = 0; i < n; i++)
		snprintf(out + i * 2, 3, "%02x", p[i]);
	return out;
}

/* A thumbprint as headers have it: base64url of the digest; MSAL for Python leaves the padding on. */
static bool
is_thumbprint(struct arena *a, const char *text, const char *digest)
{
	size_t n = 0;
	const uint8_t *p = base64url_decode(a, text, strcspn(text, "="), &n);

	return p && !strcasecmp(hex(a, p, n), digest);
}

static bool
names_certificate(struct arena *a, const struct jwt *t, const struct store_credential *cr)
{
	if (*t->x5t256)
		return is_thumbprint(a, t->x5t256, cr->sha256);
	if (*t->x5t)
		return is_thumbprint(a, t->x5t, cr->sha1);
	return *t->kid && (!strcasecmp(t->kid, cr->sha1) || !strcasecmp(t->kid, cr->sha256));
}

static bool
is_signed_by_certificate(const struct jwt *t, const char *pem, int64_t now_s)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	X509 *x = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
	time_t now = (time_t)now_s;
	bool ok = x && X509_cmp_time(X509_get0_notBefore(x), &now) < 0 &&
		  X509_cmp_time(X509_get0_notAfter(x), &now) > 0 &&
		  jwt_is_signed_by(t, X509_get0_pubkey(x));

	X509_free(x);
	BIO_free(bio);
	return ok;
}

/* One of our token endpoints, or an issuer of ours, by the name that discovery gives it. */
static bool
audience_is_endpoint(const struct call *c, const char *aud)
{
	size_t n = strlen(c->id->base_url);
	struct route r;

	if (strncasecmp(aud, c->id->base_url, n) != 0 || (aud[n] && aud[n] != '/'))
		return false;
	if (!aud[n] || !strcmp(aud + n, "/"))
		return true;
	r = route_parse(c->a, aud + n);
	if (r.what == AT_TOKEN)
		return true;
	r = route_parse(c->a, arena_printf(c->a, "%s/.well-known/openid-configuration", aud + n));
	return r.what == AT_OPENID;
}

static bool
has_our_audience(const struct call *c, const struct jwt *t)
{
	const json_t *aud = json_object_get(t->claims, "aud");

	if (json_is_string(aud))
		return audience_is_endpoint(c, json_string_value(aud));
	for (size_t i = 0; i < json_array_size(aud); i++) {
		const char *one = json_string_value(json_array_get(aud, i));

		if (one && audience_is_endpoint(c, one))
			return true;
	}
	return false;
}

static bool
refuse_time(struct call *c, const struct jwt *t)
{
	enum jwt_time when = jwt_time_check(t, c->now_s, CLOCK_LEEWAY_S);
	int64_t exp = (int64_t)json_number_value(json_object_get(t->claims, "exp"));

	if (when == JWT_TIME_GOOD && exp <= c->now_s + ASSERTION_LIFE_S + CLOCK_LEEWAY_S)
		return false;
	call_refuse(
		c, 401, "invalid_client", 700024,
		"The client assertion is not within its valid time range, has none, or is valid "
		"for longer than %d hours.",
		ASSERTION_LIFE_S / 3600);
	return true;
}

/* A client may show an assertion again (MSAL does, until it expires); nobody elsewhere may. */
static int
replay_run(struct store_tx *tx, void *arg, struct err *e)
{
	struct proof *p = arg;
	struct call *c = p->c;
	const char *jti = jwt_text(&p->jwt, "jti");
	const char *text = arena_printf(c->a, "%s\n%s", p->client->id, *jti ? jti : p->assertion);
	struct store_ticket t = { .kind = "jti", .made_us = c->now_us }, old;
	char hash[65], from[65];
	int r;

	sha256_hex(text, strlen(text), hash);
	sha256_hex(c->rq->remote, strlen(c->rq->remote), from);
	r = store_ticket_get(tx, c->a, "jti", hash, c->now_us, &old, e);
	if (r != 0) {
		p->is_replayed = r == 1 && strcmp(old.family, from) != 0;
		return MIN(r, 0);
	}
	t.hash = hash;
	t.family = from;
	t.until_us = ((int64_t)json_number_value(json_object_get(p->jwt.claims, "exp")) +
		      CLOCK_LEEWAY_S) *
		     SECOND;
	return store_ticket_put(tx, &t, e);
}

static bool
prove_certificate(struct proof *p)
{
	struct call *c = p->c;
	bool ok = false;

	for (size_t i = 0; i < p->n_certs && !ok; i++)
		ok = names_certificate(c->a, &p->jwt, &p->certs[i]) &&
		     is_current(&p->certs[i], c->now_us) &&
		     is_signed_by_certificate(&p->jwt, p->certs[i].pem, c->now_s);
	if (!ok) {
		call_refuse(
			c, 401, "invalid_client", 700027,
			"The client assertion is not signed by a registered certificate that is "
			"valid now.");
		return false;
	}
	if (!has_our_audience(c, &p->jwt)) {
		call_refuse(c, 401, "invalid_client", 50027,
			    "The client assertion's audience is not the token endpoint.");
		return false;
	}
	if (refuse_time(c, &p->jwt))
		return false;
	if (store_write(c->id->store, replay_run, p, NULL) < 0) {
		call_unavailable(c);
		return false;
	}
	if (p->is_replayed)
		call_refuse(c, 401, "invalid_client", 50013,
			    "The client assertion was shown before, from another address.");
	return !p->is_replayed;
}

/* --- assertions of other issuers --- */

static bool
issuer_is_allowed(const struct identity *id, const char *issuer)
{
	const char *const *list = id->trust.federated;

	if (!id->fetch.get)
		return false;
	if (id->trust.federates_any)
		return true;
	for (; list && *list; list++)
		if (!strcmp(*list, issuer))
			return true;
	return false;
}

static const struct store_credential *
federated_match(const struct proof *p)
{
	const struct jwt *t = &p->jwt;

	for (size_t i = 0; i < p->n_federated; i++) {
		const struct store_credential *cr = &p->federated[i];

		if (is_current(cr, p->c->now_us) && !strcmp(cr->issuer, jwt_text(t, "iss")) &&
		    !strcmp(cr->subject, jwt_text(t, "sub")) && jwt_has_audience(t, cr->audience))
			return cr;
	}
	return NULL;
}

static bool
prove_federated(struct proof *p)
{
	struct call *c = p->c;
	const struct store_credential *cr = federated_match(p);
	struct err e = { 0 };
	int r;

	if (!cr || !issuer_is_allowed(c->id, cr->issuer)) {
		call_refuse(
			c, 401, "invalid_client", 700213,
			"No matching federated identity record found for the presented assertion's "
			"issuer, subject and audience.");
		return false;
	}
	if (refuse_time(c, &p->jwt))
		return false;
	r = issuer_verify(c->id, cr->issuer, c->id->trust.federated_ca_pem, &p->jwt, c->now_us, &e);
	if (r == -EAGAIN) {
		c->out->event = arena_printf(c->a, "issuer not reached issuer=%s error=\"%s\"",
					     cr->issuer, e.text);
		call_unavailable(c);
	} else if (r < 0) {
		call_refuse(c, 401, "invalid_client", 700027,
			    "The client assertion is not signed by its issuer.");
	}
	return r == 0;
}

/* --- all together --- */

static const char *
limit_key(struct call *c, const char *client_id)
{
	return arena_printf(c->a, "client %s %s", client_id, limit_address(c->a, c->rq->remote));
}

static bool
is_over_limit(struct call *c, const char *client_id)
{
	const char *address = arena_printf(c->a, "address %s", limit_address(c->a, c->rq->remote));

	if (limits_count(c->id->limits, limit_key(c, client_id), 0, c->now_us) < MAX_WRONG &&
	    limits_count(c->id->limits, address, 0, c->now_us) < MAX_WRONG_ADDRESS)
		return false;
	call_refuse(c, 429, "temporarily_unavailable", 50196,
		    "Too many wrong credentials from this address. Please wait a minute.");
	call_header(c, "Retry-After", "60");
	return true;
}

static void
count_wrong(struct call *c, const char *client_id)
{
	limits_count(c->id->limits, limit_key(c, client_id), 1, c->now_us);
	limits_count(c->id->limits,
		     arena_printf(c->a, "address %s", limit_address(c->a, c->rq->remote)), 1,
		     c->now_us);
	c->out->event = arena_printf(c->a, "credentials refused client=%.*s",
				     (int)MIN(strspn(client_id, "0123456789abcdef-"), 36),
				     client_id);
}

static bool
prove_secret(struct proof *p)
{
	if (!p->has_secret)
		call_refuse(p->c, 401, "invalid_client", 7000215,
			    "Invalid client secret provided, or no such application.");
	return p->has_secret;
}

static bool
prove_assertion(struct proof *p)
{
	const char *iss = jwt_text(&p->jwt, "iss");

	if (!p->is_found || !p->client->who.oid) {
		call_refuse(p->c, 401, "invalid_client", 7000215,
			    "Invalid client assertion provided, or no such application.");
		return false;
	}
	if (!strcasecmp(iss, p->client->id))
		return !strcasecmp(jwt_text(&p->jwt, "sub"), p->client->id)
			       ? prove_certificate(p)
			       : (call_refuse(p->c, 401, "invalid_client", 50027,
					      "The client assertion's subject is not its issuer."),
				  false);
	return prove_federated(p);
}

static bool
prove(struct proof *p, bool wants_proof)
{
	struct call *c = p->c;
	bool shows = p->secret || p->assertion, ok;

	if (!shows && p->is_found && p->client->is_public && !wants_proof) {
		if (!p->client->is_known && !p->is_usable) {
			call_refuse(c, 401, "invalid_client", 7000112, "Application is disabled.");
			return false;
		}
		return true;
	}
	if (!shows) {
		call_refuse(c, 401, "invalid_client", 7000218,
			    "The request body must contain the following parameter: "
			    "'client_assertion' or 'client_secret'.");
		return false;
	}
	ok = p->assertion ? prove_assertion(p) : prove_secret(p);
	if (!ok && c->out->status == 401)
		count_wrong(c, p->client->id);
	if (ok && !p->is_usable) {
		call_refuse(c, 401, "invalid_client", 7000112, "Application '%s' is disabled.",
			    p->client->id);
		return false;
	}
	return ok;
}

/* Who is not of the tenant named does not learn whether there is such a client. */
static bool
tenant_is_right(struct proof *p)
{
	struct call *c = p->c;

	if (!p->is_tenant_known)
		call_refuse(c, 400, "invalid_request", 90002, "Tenant '%s' not found.",
			    c->route.tenant);
	else if (!p->is_tenant_right)
		call_refuse(c, 401, "unauthorized_client", 700016,
			    "Application '%s' was not found in the directory '%s'.", p->client->id,
			    c->route.tenant);
	return p->is_tenant_known && p->is_tenant_right;
}

bool
client_prove(struct call *c, bool wants_proof, struct client *ret)
{
	struct proof p = { .c = c, .client = ret };
	const char *id = NULL;
	bool ok = read_request(&p, &id);

	*ret = (struct client){ .id = ok ? arm_id_fold(c->a, id) + 1 : "" };
	if (ok)
		ok = !is_over_limit(c, ret->id);
	if (ok && store_read(c->id->store, look_run, &p, NULL) < 0) {
		call_unavailable(c);
		ok = false;
	}
	ok = ok && prove(&p, wants_proof) && tenant_is_right(&p);
	jwt_fini(&p.jwt);
	return ok;
}
