/* How people sign in: through the configured issuer (OpenID Connect, code with PKCE), or with a link
 * that an administrator made; and how they sign out.
 *
 * Nothing of a sign-in under way is kept that could be used by who reads the store: nonce and verifier
 * are made from the state and a key of ours. The first sign-in ties the issuer's subject to the user;
 * later ones go by the subject alone, so that a name given to somebody else opens nothing. */
#include "identity/oauth.h"

#include "base/mem.h"

#include <strings.h>

enum { MAX_STARTS = 60 /* a minute and address */, MAX_ANSWER = 64 << 10 };

/* A path of ours with its query: nobody is sent elsewhere. */
static const char *
then_checked(struct call *c, const char *then)
{
	const char *query;

	if (!then || then[0] != '/' || then[1] == '/' || then[1] == '\\')
		return "/signin";
	for (const char *p = then; *p; p++)
		if (*p <= ' ' || *p >= 0x7f)
			return "/signin";
	query = strchr(then, '?');
	return identity_is_path(
		       arena_strndup(c->a, then, query ? (size_t)(query - then) : strlen(then)))
		       ? then
		       : "/signin";
}

static const char *
issuer_name(const struct call *c)
{
	const struct identity_trust *t = &c->id->trust;
	const char *host = strstr(t->issuer, "://");

	if (t->name)
		return t->name;
	host = host ? host + 3 : t->issuer;
	return arena_strndup(c->a, host, strcspn(host, "/"));
}

void
at_signin(struct call *c)
{
	struct session s;
	const char *then = then_checked(c, call_param(c, "then"));

	if (!session_read(c, &s))
		return;
	if (s.who.oid)
		return page(c, 200, "You are signed in",
			    arena_printf(c->a,
					 "<p>You are signed in as <b>%s</b>. Go on where you came "
					 "from, or <a href=\"/device\">enter a code</a>.</p>"
					 "<p><a href=\"/signout\">Sign out</a></p>",
					 html(c->a, s.who.upn)),
			    NULL);
	if (!c->id->trust.issuer)
		return page(c, 200, "Sign in",
			    "<p>Open the link that your administrator gave to you, then try again "
			    "here.</p><p>Administrators make one with <code>wayleave user invite"
			    "</code>.</p>",
			    NULL);
	page(c, 200, "Sign in",
	     arena_printf(
		     c->a,
		     "<p><a class=button href=\"/signin/start?then=%s\">Sign in with %s</a></p>",
		     url_encode(c->a, then), html(c->a, issuer_name(c))),
	     NULL);
}

/* --- to the issuer ---------------------------------------------------------------------------------------------- */

struct start {
	struct call *c;
	const char *sid, *then;
	char state[44];
};

static int
start_run(struct store_tx *tx, void *arg, struct err *e)
{
	struct start *s = arg;
	struct call *c = s->c;
	struct store_ticket t = { .kind = "signin",
				  .made_us = c->now_us,
				  .until_us = c->now_us + SIGNIN_LIFE_S * SECOND };
	char hash[65], browser[65], *text;
	json_t *body;
	int r;

	sha256_hex(s->state, strlen(s->state), hash);
	sha256_hex(s->sid, strlen(s->sid), browser);
	body = json_pack("{s:s, s:s}", "then", s->then, "browser", browser);
	text = json_dumps(body, JSON_COMPACT);
	t.hash = hash;
	t.body = text;
	r = store_ticket_put(tx, &t, e);
	free(text);
	json_decref(body);
	return r;
}

static void
issuer_away(struct call *c, const struct err *e)
{
	c->out->event = arena_printf(c->a, "issuer not reached issuer=%s error=\"%s\"",
				     c->id->trust.issuer, e->text);
	page_error(c, 503, "Where you sign in cannot be reached. Please try again.");
}

void
at_start(struct call *c)
{
	const struct identity_trust *trust = &c->id->trust;
	struct start st = { .c = c, .then = then_checked(c, call_param(c, "then")) };
	struct session s;
	struct issuer_view v;
	struct err e = { 0 };

	if (!trust->issuer || !c->id->fetch.get)
		return page_redirect(c, call_url(c, "/signin"));
	if (!session_read(c, &s))
		return;
	if (limits_count(c->id->limits,
			 arena_printf(c->a, "start %s", limit_address(c->a, c->rq->remote)), 1,
			 c->now_us) > MAX_STARTS)
		return page_error(c, 429, "Too many sign-ins were begun. Please wait a minute.");
	if (issuer_look(c->id, c->a, trust->issuer, trust->ca_pem, c->now_us, &v, &e) < 0)
		return issuer_away(c, &e);
	session_need(c, &s);
	st.sid = s.sid;
	secret_make(st.state);
	if (store_write(c->id->store, start_run, &st, NULL) < 0)
		return page_error(c, 503, "Please try again.");
	page_redirect(
		c, arena_printf(c->a,
				"%s%sclient_id=%s&response_type=code&redirect_uri=%s&scope=%s"
				"&state=%s&nonce=%s&code_challenge=%s&code_challenge_method=S256",
				v.authorize_url, strchr(v.authorize_url, '?') ? "&" : "?",
				url_encode(c->a, trust->client_id),
				url_encode(c->a, call_url(c, "/signin/callback")),
				"openid%20email%20profile", st.state,
				identity_mac(c->id, c->a, "nonce", st.state),
				sha256_base64url(c->a,
						 identity_mac(c->id, c->a, "verifier", st.state))));
}

/* --- and back ---------------------------------------------------------------------------------------------------- */

struct back {
	struct call *c;
	struct session s;
	const char *state;
	const char *then; /* NULL: no such sign-in */
	const char *id_token, *access_token;
	struct jwt jwt;
	char sid[44];
	const char *problem;
};

/* A state is good once, in the browser that began. */
static int
state_run(struct store_tx *tx, void *arg, struct err *e)
{
	struct back *b = arg;
	struct call *c = b->c;
	struct store_ticket t;
	char hash[65], browser[65];
	json_t *body;
	int r;

	b->then = NULL;
	sha256_hex(b->state, strlen(b->state), hash);
	r = store_ticket_get(tx, c->a, "signin", hash, c->now_us, &t, e);
	if (r <= 0)
		return r;
	body = json_loads(t.body, 0, NULL);
	sha256_hex(b->s.sid, strlen(b->s.sid), browser);
	if (secret_equal(browser, arm_str(body, "browser", "")))
		b->then = arena_strdup(c->a, arm_str(body, "then", "/signin"));
	json_decref(body);
	return store_ticket_drop(tx, "signin", hash, e);
}

/* The code for an id_token. */
static int
exchange(struct back *b, const char *code, struct err *e)
{
	struct call *c = b->c;
	const struct identity_trust *trust = &c->id->trust;
	struct identity_fetch_call call = { .ca_pem = trust->ca_pem, .max = MAX_ANSWER };
	struct issuer_view v;
	const char *text;
	json_t *j;
	int r = issuer_look(c->id, c->a, trust->issuer, trust->ca_pem, c->now_us, &v, e);

	if (r < 0)
		return r;
	call.url = v.token_url;
	call.user =
		arena_printf(c->a, "%s:%s", url_encode(c->a, trust->client_id),
			     url_encode(c->a, trust->client_secret ? trust->client_secret : ""));
	call.form = arena_printf(
		c->a, "grant_type=authorization_code&code=%s&redirect_uri=%s&code_verifier=%s",
		url_encode(c->a, code), url_encode(c->a, call_url(c, "/signin/callback")),
		identity_mac(c->id, c->a, "verifier", b->state));
	r = c->id->fetch.get(c->id->fetch.ctx, c->a, &call, &text, e);
	if (r < 0)
		return r;
	j = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	b->id_token = arena_strdup(c->a, arm_str(j, "id_token", ""));
	b->access_token = arena_strdup(c->a, arm_str(j, "access_token", ""));
	json_decref(j);
	return *b->id_token ? 0 : err_set(e, -EBADMSG, "the answer has no id_token");
}

/* OpenID Connect Core 3.1.3.7 */
static int
id_token_check(struct back *b, struct err *e)
{
	struct call *c = b->c;
	const struct identity_trust *trust = &c->id->trust;
	const struct jwt *t = &b->jwt;
	int r = jwt_parse(c->a, b->id_token, &b->jwt, e);

	if (r < 0)
		return r;
	r = issuer_verify(c->id, trust->issuer, trust->ca_pem, t, c->now_us, e);
	if (r < 0)
		return r == -EAGAIN ? r : err_set(e, r, "not signed by the issuer");
	if (strcmp(jwt_text(t, "iss"), trust->issuer) != 0)
		return err_set(e, -EBADMSG, "iss is another");
	if (!jwt_has_audience(t, trust->client_id) ||
	    (json_array_size(json_object_get(t->claims, "aud")) > 1 &&
	     strcmp(jwt_text(t, "azp"), trust->client_id) != 0))
		return err_set(e, -EBADMSG, "aud is another");
	if (jwt_time_check(t, c->now_s, CLOCK_LEEWAY_S) != JWT_TIME_GOOD)
		return err_set(e, -EBADMSG, "not valid now");
	if (!secret_equal(jwt_text(t, "nonce"), identity_mac(c->id, c->a, "nonce", b->state)))
		return err_set(e, -EBADMSG, "nonce is another");
	if (!*jwt_text(t, "sub"))
		return err_set(e, -EBADMSG, "no sub");
	return 0;
}

/* Claims that the id_token leaves to userinfo (OpenID Connect Core 5.4). */
static int
userinfo_add(struct back *b, struct err *e)
{
	struct call *c = b->c;
	const struct identity_trust *trust = &c->id->trust;
	struct identity_fetch_call call = { .ca_pem = trust->ca_pem,
					    .bearer = b->access_token,
					    .max = MAX_ANSWER };
	struct issuer_view v;
	const char *text;
	json_t *j;
	int r = issuer_look(c->id, c->a, trust->issuer, trust->ca_pem, c->now_us, &v, e);

	if (r < 0 || !*v.userinfo_url || !*b->access_token)
		return r;
	call.url = v.userinfo_url;
	r = c->id->fetch.get(c->id->fetch.ctx, c->a, &call, &text, e);
	if (r < 0)
		return r;
	j = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	/* 5.3.2: it must be about the same person. */
	if (strcmp(arm_str(j, "sub", ""), jwt_text(&b->jwt, "sub")) != 0)
		r = err_set(e, -EBADMSG, "userinfo is about somebody else");
	else
		json_object_update_missing(b->jwt.claims, j);
	json_decref(j);
	return r;
}

static const char *
name_claim(const struct identity_trust *trust)
{
	return trust->claim ? trust->claim : "email";
}

/* By the issuer's own word for the person, when exactly one user carries it. */
static int
user_external(struct store_tx *tx, struct arena *a, const char *tenant, const char *subject,
	      struct store_principal *ret, struct err *e)
{
	struct store_principal *list;
	size_t n = 0;
	int r = store_principal_by_external(tx, a, tenant, "User", subject, 2, &list, &n, e);

	if (r < 0 || n != 1)
		return MIN(r, 0);
	*ret = list[0];
	return 1;
}

/* The user that a name means: of the tenant with its domain, or of the configured one. */
static int
user_named(struct store_tx *tx, struct arena *a, const struct identity_trust *trust,
	   const char *name, struct store_principal *ret, struct err *e)
{
	const char *at = strrchr(name, '@'), *tenant = trust->tenant;
	struct store_tenant t;
	int r = at ? store_tenant_by_domain(tx, a, arm_id_fold(a, at + 1) + 1, &t, e) : 0;

	if (r < 0)
		return r;
	if (r == 1)
		tenant = t.id;
	if (!tenant)
		r = store_fact_get(tx, a, "tenant", &tenant, e);
	else if (r == 0)
		r = tenant_find(tx, a, tenant, &tenant, e);
	if (r <= 0)
		return r;
	if (trust->claim && !strcmp(trust->claim, "sub"))
		return user_external(tx, a, tenant, name, ret, e);
	r = store_principal_by_upn(tx, a, tenant, name, ret, e);
	return r == 1 && strcmp(ret->kind, "User") != 0 ? 0 : r;
}

static int
tie(struct store_tx *tx, const char *kind, const char *hash, const char *oid, int64_t now_us,
    struct err *e)
{
	const struct store_ticket t = {
		.kind = kind, .hash = hash, .oid = oid, .made_us = now_us, .until_us = INT64_MAX
	};

	return store_ticket_put(tx, &t, e);
}

/* Whoever could claim any address could be anybody. Some issuers write the claim as a text; one that
 * vouches for all addresses may leave it out, and is believed when it says that this one is not. */
static bool
email_is_verified(const struct identity_trust *trust, const json_t *claims)
{
	const json_t *said = json_object_get(claims, "email_verified");
	const char *text = json_string_value(said);

	return said ? json_is_true(said) || (text && !strcmp(text, "true")) : trust->vouches;
}

/* Who comes for the first time. 1: known now. */
static int
user_tie(struct back *b, struct store_tx *tx, const char *subject, struct store_principal *ret,
	 struct err *e)
{
	struct call *c = b->c;
	const struct identity_trust *trust = &c->id->trust;
	const char *claim = name_claim(trust), *name = jwt_text(&b->jwt, claim);
	struct store_ticket old;
	char bound[65];
	int r;

	if (!*name) {
		b->problem = "The issuer does not say who you are.";
		return 0;
	}
	if (!strcmp(claim, "email") && !email_is_verified(trust, b->jwt.claims)) {
		b->problem = "The issuer has not verified your address.";
		return 0;
	}
	r = user_named(tx, c->a, trust, name, ret, e);
	if (r == 0)
		b->problem = "There is no account for you here. Ask your administrator.";
	if (r <= 0)
		return r;
	sha256_hex(ret->oid, strlen(ret->oid), bound);
	r = store_ticket_get(tx, c->a, "bound", bound, c->now_us, &old, e);
	if (r == 1)
		b->problem = "That account belongs to somebody else at the issuer. Ask your "
			     "administrator.";
	if (r != 0)
		return MIN(r, 0);
	r = tie(tx, "bound", bound, ret->oid, c->now_us, e);
	if (r == 0)
		r = tie(tx, "subject", subject, ret->oid, c->now_us, e);
	return r < 0 ? r : 1;
}

static int
user_run(struct store_tx *tx, void *arg, struct err *e)
{
	struct back *b = arg;
	struct call *c = b->c;
	const char *both =
		arena_printf(c->a, "%s\n%s", jwt_text(&b->jwt, "iss"), jwt_text(&b->jwt, "sub"));
	struct store_principal who = { .oid = "" };
	struct store_ticket t = { .oid = "" };
	char subject[65];
	int r;

	b->problem = NULL;
	sha256_hex(both, strlen(both), subject);
	r = store_ticket_get(tx, c->a, "subject", subject, c->now_us, &t, e);
	if (r == 1)
		who.oid = t.oid;
	else if (r == 0)
		r = user_tie(b, tx, subject, &who, e);
	if (r <= 0)
		return r;
	r = principal_usable(tx, c->a, who.oid, &who, e);
	if (r == 0)
		b->problem = "Your account is disabled.";
	return r <= 0 ? r : session_begin(tx, c, who.oid, b->sid, e);
}

static void
back_with_code(struct back *b, const char *code)
{
	struct call *c = b->c;
	struct err e = { 0 };
	int r = exchange(b, code, &e);

	if (r == 0)
		r = id_token_check(b, &e);
	if (r == 0 && !*jwt_text(&b->jwt, name_claim(&c->id->trust)))
		r = userinfo_add(b, &e);
	if (r == -EAGAIN)
		return issuer_away(c, &e);
	if (r < 0) {
		c->out->event = arena_printf(c->a, "sign-in refused error=\"%s\"", e.text);
		return page_error(c, 400, "The issuer's answer was not accepted. Start again.");
	}
	secret_make(b->sid);
	if (store_write(c->id->store, user_run, b, NULL) < 0)
		return page_error(c, 503, "Please try again.");
	if (b->problem)
		return page_error(c, 403, b->problem);
	session_cookie(c, b->sid);
	page_redirect(c, call_url(c, b->then));
}

void
at_callback(struct call *c)
{
	struct back b = { .c = c, .state = call_param(c, "state") };
	const char *code = call_param(c, "code"), *iss = call_param(c, "iss");

	if (!session_read(c, &b.s))
		return;
	if (!c->id->trust.issuer || !c->id->fetch.get)
		return page_error(c, 404, "Nobody signs in this way here.");
	if (b.state && b.s.sid && store_write(c->id->store, state_run, &b, NULL) < 0)
		return page_error(c, 503, "Please try again.");
	if (!b.then)
		return page_error(c, 400,
				  "This sign-in was not begun in this browser, or too long ago.");
	/* RFC 9207 */
	if (iss && strcmp(iss, c->id->trust.issuer) != 0)
		return page_error(c, 400, "The answer is from another issuer.");
	if (!code)
		return page_error(c, 403, "The issuer did not sign you in.");
	back_with_code(&b, code);
	jwt_fini(&b.jwt);
}

/* --- links of invitation --------------------------------------------------------------------------------------- */

struct invite {
	struct call *c;
	struct session s;
	const char *code;
	struct store_principal who;
	bool is_good, uses;
	char sid[44];
};

static int
invite_run(struct store_tx *tx, void *arg, struct err *e)
{
	struct invite *v = arg;
	struct call *c = v->c;
	struct store_ticket t;
	char hash[65];
	int r;

	v->is_good = false;
	sha256_hex(v->code, strlen(v->code), hash);
	r = store_ticket_get(tx, c->a, "invite", hash, c->now_us, &t, e);
	if (r == 1)
		r = principal_usable(tx, c->a, t.oid, &v->who, e);
	v->is_good = r == 1;
	if (r <= 0 || !v->uses)
		return MIN(r, 0);
	r = store_ticket_drop(tx, "invite", hash, e);
	return r < 0 ? r : session_begin(tx, c, v->who.oid, v->sid, e);
}

/* Looking at a link does not use it up: programs look at links, too. */
void
at_invite(struct call *c)
{
	struct invite v = { .c = c, .code = call_param(c, "code") };
	const char *name;

	v.uses = !strcmp(c->rq->method, "POST");
	if (!session_read(c, &v.s) || (v.uses && !session_form_is_ours(c, &v.s)))
		return;
	secret_make(v.sid);
	if (v.code && (v.uses ? store_write : store_read)(c->id->store, invite_run, &v, NULL) < 0)
		return page_error(c, 503, "Please try again.");
	if (!v.is_good)
		return page_error(c, 404, "This link was used, has expired, or never was one.");
	if (v.uses) {
		session_cookie(c, v.sid);
		return page_redirect(c, call_url(c, "/signin"));
	}
	session_need(c, &v.s);
	name = html(c->a, *v.who.upn ? v.who.upn : v.who.name);
	page(c, 200, "Welcome",
	     arena_printf(c->a,
			  "<p>This link signs you in as <b>%s</b>, once.</p>%s%s"
			  "<button>Sign in</button></form>",
			  name, page_form(c, &v.s, "/invite"), page_hidden(c->a, "code", v.code)),
	     NULL);
}

/* --- signing out ------------------------------------------------------------------------------------------------ */

struct leave {
	struct call *c;
	const char *client_id, *uri;
	struct client client;
	bool is_found;
};

static int
leave_run(struct store_tx *tx, void *arg, struct err *e)
{
	struct leave *l = arg;
	int r = client_find(tx, l->c->a, l->client_id, &l->client, e);

	l->is_found = r == 1;
	return MIN(r, 0);
}

/* OpenID Connect RP-Initiated Logout 1.0: only where the client has registered. The hint is not
 * believed, it only names the client. */
static const char *
leave_to(struct call *c)
{
	const char *hint = call_param(c, "id_token_hint"), *state = call_param(c, "state");
	struct leave l = { .c = c,
			   .client_id = call_param(c, "client_id"),
			   .uri = call_param(c, "post_logout_redirect_uri") };
	struct jwt t;

	if (!l.uri)
		return NULL;
	if (!l.client_id && hint) {
		if (jwt_parse(c->a, hint, &t, NULL) == 0)
			l.client_id = arena_strdup(c->a, jwt_text(&t, "aud"));
		jwt_fini(&t);
	}
	if (!l.client_id || store_read(c->id->store, leave_run, &l, NULL) < 0 || !l.is_found ||
	    !client_may_redirect(&l.client, l.uri))
		return NULL;
	return state ? arena_printf(c->a, "%s%sstate=%s", l.uri, strchr(l.uri, '?') ? "&" : "?",
				    url_encode(c->a, state))
		     : l.uri;
}

void
at_logout(struct call *c)
{
	struct session s;
	const char *to = leave_to(c);

	if (!session_read(c, &s))
		return;
	if (!strcmp(c->rq->method, "POST") && s.who.oid) {
		if (!session_form_is_ours(c, &s))
			return;
		session_end(c, &s);
		s.who.oid = NULL;
	}
	if (!s.who.oid && to)
		return page_redirect(c, to);
	if (!s.who.oid)
		return page(c, 200, "Signed out",
			    "<p>Nobody is signed in here. Programs that were signed in keep their "
			    "tokens until they sign out themselves.</p>"
			    "<p><a href=\"/signin\">Sign in</a></p>",
			    NULL);
	page(c, 200, "Sign out",
	     arena_printf(c->a,
			  "<p>You are signed in as <b>%s</b>.</p>%s%s%s%s%s<button>Sign out</button>"
			  "</form>",
			  html(c->a, s.who.upn), page_form(c, &s, c->rq->path),
			  page_hidden(c->a, "client_id", call_param(c, "client_id")),
			  page_hidden(c->a, "id_token_hint", call_param(c, "id_token_hint")),
			  page_hidden(c->a, "post_logout_redirect_uri",
				      call_param(c, "post_logout_redirect_uri")),
			  page_hidden(c->a, "state", call_param(c, "state"))),
	     to ? url_origin(c->a, to) : NULL);
}
