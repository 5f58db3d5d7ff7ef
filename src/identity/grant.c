/* The token endpoint: client credentials, authorization codes, refresh tokens; device codes are in
 * device.c.
 *
 * A refresh token is good for one use and gives the next one. One that comes again after its grace
 * was stolen, or its successor was: the whole family ends. A code that comes twice ends what came of
 * it (RFC 6749 4.1.2). */
#include "identity/oauth.h"

#define GRANT_DEVICE "urn:ietf:params:oauth:grant-type:device_code"

/* --- what grants have in common ------------------------------------------------------------------------ */

int
flow_refuse(struct flow *f, int status, const char *error, int number, const char *text)
{
	f->status = status;
	f->error = error;
	f->number = number;
	f->text = text;
	return 0;
}

int
flow_person(struct flow *f, struct store_tx *tx, const char *oid, struct err *e)
{
	int r = principal_usable(tx, f->c->a, oid, &f->grant.who, e);

	if (r == 0)
		return flow_refuse(f, 400, "invalid_grant", 50057,
				   "The user account is disabled or was deleted.");
	if (r == 1)
		r = tenant_admits(tx, f->c, f->grant.who.tenant, e);
	if (r == -ENOENT || r == 0)
		return flow_refuse(f, 400, "invalid_grant", 50020,
				   "The user account does not exist in the tenant that was asked.");
	return r;
}

int
flow_refresh(struct flow *f, struct store_tx *tx, const char *family, int64_t family_until_us,
	     struct err *e)
{
	struct call *c = f->c;
	struct store_ticket t = {
		.kind = "refresh", .family = family, .oid = f->grant.who.oid, .made_us = c->now_us
	};
	json_t *body = json_pack("{s:s, s:s, s:I, s:I}", "client", f->grant.client_id, "scope",
				 f->grant.scope, "auth", (json_int_t)f->grant.auth_us, "end",
				 (json_int_t)family_until_us);
	char hash[65], *text = json_dumps(body, JSON_COMPACT);
	int r;

	sha256_hex(f->refresh, strlen(f->refresh), hash);
	t.hash = hash;
	t.body = text;
	t.until_us = MIN(c->now_us + REFRESH_LIFE_S * SECOND, family_until_us);
	r = store_ticket_put(tx, &t, e);
	f->grant.refresh = f->refresh;
	free(text);
	json_decref(body);
	return r;
}

void
flow_run(struct flow *f, store_fn *run)
{
	struct call *c = f->c;

	secret_make(f->refresh);
	if (store_write(c->id->store, run, f, NULL) < 0)
		return call_unavailable(c);
	if (!f->status)
		return token_reply(c, &f->grant);
	call_refuse(c, f->status, f->error, f->number, "%s", f->text);
}

static const char *
body_text(struct arena *a, const json_t *body, const char *name)
{
	const char *s = json_string_value(json_object_get(body, name));

	return s ? arena_strdup(a, s) : "";
}

/* The scope as asked for, or what was granted before; false: refused. */
static bool
scope_read(struct call *c, const char *before, const char **ret)
{
	*ret = call_param(c, "scope");
	if (!*ret)
		*ret = call_param(c, "resource");
	if (!*ret)
		*ret = before;
	if (*ret && scope_is_good(c->id, *ret))
		return true;
	call_refuse(c, 400, "invalid_resource", 500011,
		    "The resource principal named in scope was not found in the tenant.");
	return false;
}

/* --- client credentials ------------------------------------------------------------------------------------ */

static void
client_credentials(struct call *c)
{
	struct client cl;
	struct grant g = { .nonce = "" };

	if (!client_prove(c, true, &cl) || !scope_read(c, NULL, &g.scope))
		return;
	g.who = cl.who;
	g.client_id = cl.who.client_id;
	token_reply(c, &g);
}

/* --- authorization codes ------------------------------------------------------------------------------------- */

/* RFC 7636 4.6 */
static bool
proves_key(struct call *c, const char *challenge)
{
	const char *verifier = call_param(c, "code_verifier");
	size_t n = verifier ? strlen(verifier) : 0;

	return n >= 43 && n <= 128 && secret_equal(sha256_base64url(c->a, verifier), challenge);
}

static int
code_use(struct flow *f, struct store_tx *tx, struct store_ticket *t, const json_t *body,
	 struct err *e)
{
	struct call *c = f->c;
	const char *uri = call_param(c, "redirect_uri");
	int r;

	if (strcmp(body_text(c->a, body, "client"), f->client.id) != 0)
		return flow_refuse(f, 400, "invalid_grant", 700005,
				   "The code was given to another client.");
	if (t->used_us) {
		r = store_ticket_drop_family(tx, t->family, e);
		return r < 0 ? r
			     : flow_refuse(f, 400, "invalid_grant", 54005,
					   "The code was already redeemed; what came of it ends.");
	}
	if (!uri || strcmp(body_text(c->a, body, "redirect"), uri) != 0)
		return flow_refuse(f, 400, "invalid_grant", 500112,
				   "The redirect_uri is not the one that the code was asked with.");
	if (!proves_key(c, body_text(c->a, body, "challenge")))
		return flow_refuse(f, 400, "invalid_grant", 501481,
				   "The code_verifier does not match the code_challenge.");
	f->grant.client_id = f->client.id;
	f->grant.nonce = body_text(c->a, body, "nonce");
	f->grant.scope = body_text(c->a, body, "scope");
	f->grant.auth_us = json_integer_value(json_object_get(body, "auth"));
	r = flow_person(f, tx, t->oid, e);
	if (r <= 0)
		return r;
	t->used_us = c->now_us;
	t->until_us = c->now_us + 3600 * SECOND; /* so that a second use is seen */
	r = store_ticket_put(tx, t, e);
	return r < 0 ? r : flow_refresh(f, tx, t->family, c->now_us + FAMILY_LIFE_S * SECOND, e);
}

static int
code_run(struct store_tx *tx, void *arg, struct err *e)
{
	struct flow *f = arg;
	struct call *c = f->c;
	struct store_ticket t;
	char hash[65];
	json_t *body;
	int r;

	f->status = 0;
	sha256_hex(f->shown, strlen(f->shown), hash);
	r = store_ticket_get(tx, c->a, "code", hash, c->now_us, &t, e);
	if (r <= 0)
		return r < 0 ? r
			     : flow_refuse(f, 400, "invalid_grant", 70008,
					   "The code is not valid, or has expired.");
	body = json_loads(t.body, 0, NULL);
	r = code_use(f, tx, &t, body, e);
	json_decref(body);
	return r;
}

static void
authorization_code(struct call *c)
{
	struct flow f = { .c = c };

	if (!client_prove(c, false, &f.client))
		return;
	f.shown = call_param(c, "code");
	if (!f.shown)
		return call_refuse(
			c, 400, "invalid_request", 900144,
			"The request body must contain the following parameter: 'code'.");
	flow_run(&f, code_run);
}

/* --- refresh tokens --------------------------------------------------------------------------------------------- */

static int
refresh_use(struct flow *f, struct store_tx *tx, struct store_ticket *t, const json_t *body,
	    struct err *e)
{
	struct call *c = f->c;
	int r;

	if (strcmp(body_text(c->a, body, "client"), f->client.id) != 0)
		return flow_refuse(f, 400, "invalid_grant", 700005,
				   "The refresh token was given to another client.");
	if (t->used_us && c->now_us - t->used_us > REFRESH_GRACE_S * SECOND) {
		r = store_ticket_drop_family(tx, t->family, e);
		return r < 0 ? r
			     : flow_refuse(f, 400, "invalid_grant", 70000,
					   "The refresh token was used before. It may have been "
					   "stolen: sign in again.");
	}
	f->grant.client_id = f->client.id;
	f->grant.nonce = "";
	if (!f->grant.scope)
		f->grant.scope = body_text(c->a, body, "scope");
	f->grant.auth_us = json_integer_value(json_object_get(body, "auth"));
	r = flow_person(f, tx, t->oid, e);
	if (r == 0 && f->number == 50057)
		r = store_ticket_drop_family(tx, t->family, e);
	if (r <= 0)
		return r;
	if (!t->used_us) {
		t->used_us = c->now_us;
		r = store_ticket_put(tx, t, e);
	}
	return r < 0 ? r
		     : flow_refresh(f, tx, t->family,
				    json_integer_value(json_object_get(body, "end")), e);
}

static int
refresh_run(struct store_tx *tx, void *arg, struct err *e)
{
	struct flow *f = arg;
	struct call *c = f->c;
	struct store_ticket t;
	char hash[65];
	json_t *body;
	int r;

	f->status = 0;
	sha256_hex(f->shown, strlen(f->shown), hash);
	r = store_ticket_get(tx, c->a, "refresh", hash, c->now_us, &t, e);
	if (r <= 0)
		return r < 0 ? r
			     : flow_refuse(f, 400, "invalid_grant", 700082,
					   "The refresh token is not valid, has expired or was "
					   "revoked.");
	body = json_loads(t.body, 0, NULL);
	r = refresh_use(f, tx, &t, body, e);
	json_decref(body);
	return r;
}

static void
refresh_token(struct call *c)
{
	struct flow f = { .c = c };

	if (!client_prove(c, false, &f.client) || !scope_read(c, "", &f.grant.scope))
		return;
	if (!*f.grant.scope)
		f.grant.scope = NULL;
	f.shown = call_param(c, "refresh_token");
	if (!f.shown)
		return call_refuse(
			c, 400, "invalid_request", 900144,
			"The request body must contain the following parameter: 'refresh_token'.");
	flow_run(&f, refresh_run);
}

/* --- the endpoint ------------------------------------------------------------------------------------------------- */

void
at_token(struct call *c)
{
	static const struct {
		const char *name;
		void (*run)(struct call *c);
	} grants[] = {
		{ "client_credentials", client_credentials },
		{ "authorization_code", authorization_code },
		{ "refresh_token", refresh_token },
		{ GRANT_DEVICE, at_device_token },
		{ "device_code", at_device_token },
	};
	const char *grant = call_param(c, "grant_type"), *twice = call_param_twice(c);

	if (twice)
		return call_refuse(c, 400, "invalid_request", 900145,
				   "The parameter '%.60s' comes twice.", twice);
	if (!grant)
		return call_refuse(
			c, 400, "invalid_request", 900144,
			"The request body must contain the following parameter: 'grant_type'.");
	for (size_t i = 0; i < COUNT(grants); i++)
		if (!strcmp(grants[i].name, grant))
			return grants[i].run(c);
	call_refuse(c, 400, "unsupported_grant_type", 70003,
		    "The app requested an unsupported grant type. People sign in in a browser or "
		    "with a device code; there are no passwords here.");
}
