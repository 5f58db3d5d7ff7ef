/* Device codes (RFC 8628): a program without a browser shows a short code, a person enters it in any
 * browser. */
#include "identity/oauth.h"

#include <openssl/rand.h>

enum { MAX_CODES = 60, MAX_GUESSES = 20 }; /* a minute and address */

/* --- the program's side ---------------------------------------------------------------------------------- */

/* Eight letters that make no words (RFC 8628 6.1): 34 bits for fifteen minutes and a few guesses. */
static void
user_code_make(char out[10])
{
	static const char letters[] = "BCDFGHJKLMNPQRSTVWXZ";
	uint8_t b;

	for (size_t i = 0; i < 9; i++) {
		if (i == 4) {
			out[i] = '-';
			continue;
		}
		do
			if (RAND_bytes(&b, 1) != 1)
				abort();
		while (b >= 240); /* a multiple of 20 */
		out[i] = letters[b % 20];
	}
	out[9] = '\0';
}

static void
user_code_hash(struct arena *a, const char *code, char out[65])
{
	char *tidy = arena_alloc(a, strlen(code) + 1);
	size_t n = 0;

	for (; *code; code++)
		if (*code >= 'a' && *code <= 'z')
			tidy[n++] = (char)(*code - 32);
		else if (*code >= 'A' && *code <= 'Z')
			tidy[n++] = *code;
	sha256_hex(tidy, n, out);
}

struct code {
	struct call *c;
	const struct client *client;
	const char *scope;
	char device[44], user[10];
};

static int
code_run(struct store_tx *tx, void *arg, struct err *e)
{
	struct code *d = arg;
	struct call *c = d->c;
	/* Kept beyond its end, to be able to say that it has expired. */
	struct store_ticket t = { .kind = "device",
				  .made_us = c->now_us,
				  .until_us = c->now_us + 2 * DEVICE_LIFE_S * SECOND },
			    u = { .kind = "user-code",
				  .made_us = c->now_us,
				  .until_us = c->now_us + DEVICE_LIFE_S * SECOND };
	json_t *body = json_pack("{s:s, s:s, s:s, s:i}", "client", d->client->id, "name",
				 d->client->name, "scope", d->scope, "interval",
				 (int)DEVICE_INTERVAL_S);
	char hash[65], user_hash[65], *text = json_dumps(body, JSON_COMPACT);
	int r;

	sha256_hex(d->device, strlen(d->device), hash);
	user_code_hash(c->a, d->user, user_hash);
	t.hash = hash;
	t.body = text;
	r = store_ticket_put(tx, &t, e);
	u.hash = user_hash;
	u.body = hash;
	if (r == 0)
		r = store_ticket_put(tx, &u, e);
	free(text);
	json_decref(body);
	return r;
}

static void
answer_code(struct call *c, const struct code *d)
{
	const char *uri = call_url(c, "/device");

	call_json(c, 200,
		  json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:i, s:s}", "device_code", d->device,
			    "user_code", d->user, "verification_uri", uri, "verification_url", uri,
			    "verification_uri_complete",
			    arena_printf(c->a, "%s?user_code=%s", uri, d->user), "expires_in",
			    (int)DEVICE_LIFE_S, "interval", (int)DEVICE_INTERVAL_S, "message",
			    arena_printf(c->a,
					 "To sign in, use a web browser to open the page %s and "
					 "enter the code %s to authenticate.",
					 uri, d->user)));
}

void
at_devicecode(struct call *c)
{
	struct client cl;
	struct code d = { .c = c, .client = &cl };
	const char *address = arena_printf(c->a, "device %s", limit_address(c->a, c->rq->remote));

	if (!client_prove(c, false, &cl))
		return;
	d.scope = call_param(c, "scope");
	if (!d.scope)
		d.scope = call_param(c, "resource");
	if (!d.scope || !scope_is_good(c->id, d.scope))
		return call_refuse(
			c, 400, "invalid_resource", 500011,
			"The resource principal named in scope was not found in the tenant.");
	if (limits_count(c->id->limits, address, 1, c->now_us) > MAX_CODES) {
		call_refuse(c, 429, "temporarily_unavailable", 50196,
			    "Too many device codes were asked for from this address.");
		return call_header(c, "Retry-After", "60");
	}
	secret_make(d.device);
	user_code_make(d.user);
	if (store_write(c->id->store, code_run, &d, NULL) < 0)
		return call_unavailable(c);
	answer_code(c, &d);
}

/* RFC 8628 3.5. A second less than the interval is not faster. */
static int
still_pending(struct flow *f, struct store_tx *tx, struct store_ticket *t, json_t *body,
	      struct err *e)
{
	int64_t interval = json_integer_value(json_object_get(body, "interval"));
	bool is_fast = t->used_us && f->c->now_us - t->used_us < (interval - 1) * SECOND;
	char *text;
	int r;

	if (is_fast)
		json_object_set_new(body, "interval", json_integer(interval + 5));
	text = json_dumps(body, JSON_COMPACT);
	t->used_us = f->c->now_us;
	t->body = text;
	r = store_ticket_put(tx, t, e);
	free(text);
	if (r < 0)
		return r;
	return is_fast ? flow_refuse(f, 400, "slow_down", 70016,
				     "Polled too often; wait five seconds longer from now on.")
		       : flow_refuse(
				 f, 400, "authorization_pending", 70016,
				 "OAuth 2.0 device flow error. Authorization is pending. Continue "
				 "polling.");
}

static int
device_use(struct flow *f, struct store_tx *tx, struct store_ticket *t, json_t *body, struct err *e)
{
	struct call *c = f->c;
	const char *state = arm_str(body, "state", "");
	char family[37];
	int r;

	if (strcmp(arm_str(body, "client", ""), f->client.id) != 0)
		return flow_refuse(f, 400, "invalid_grant", 700005,
				   "The device code was given to another client.");
	if (c->now_us - t->made_us > DEVICE_LIFE_S * SECOND)
		return flow_refuse(f, 400, "expired_token", 70019,
				   "The device code has expired; ask for another.");
	if (!strcmp(state, "denied"))
		return flow_refuse(f, 400, "access_denied", 70018,
				   "The person refused. The device code is over.");
	if (strcmp(state, "allowed") != 0)
		return still_pending(f, tx, t, body, e);
	f->grant.client_id = f->client.id;
	f->grant.nonce = "";
	f->grant.scope = arena_strdup(c->a, arm_str(body, "scope", ""));
	f->grant.auth_us = json_integer_value(json_object_get(body, "auth"));
	r = flow_person(f, tx, t->oid, e);
	if (r > 0)
		r = store_ticket_drop(tx, "device", t->hash, e);
	else
		return r;
	guid_make(family);
	return r < 0 ? r : flow_refresh(f, tx, family, c->now_us + FAMILY_LIFE_S * SECOND, e);
}

static int
poll_run(struct store_tx *tx, void *arg, struct err *e)
{
	struct flow *f = arg;
	struct store_ticket t;
	char hash[65];
	json_t *body;
	int r;

	f->status = 0;
	sha256_hex(f->shown, strlen(f->shown), hash);
	r = store_ticket_get(tx, f->c->a, "device", hash, f->c->now_us, &t, e);
	if (r <= 0)
		return r < 0 ? r
			     : flow_refuse(f, 400, "invalid_grant", 70019,
					   "The device code is not valid, or was used.");
	body = json_loads(t.body, 0, NULL);
	r = device_use(f, tx, &t, body, e);
	json_decref(body);
	return r;
}

void
at_device_token(struct call *c)
{
	struct flow f = { .c = c };

	if (!client_prove(c, false, &f.client))
		return;
	f.shown = call_param(c, "device_code");
	if (!f.shown)
		f.shown = call_param(c, "code"); /* the older endpoint's name */
	if (!f.shown)
		return call_refuse(
			c, 400, "invalid_request", 900144,
			"The request body must contain the following parameter: 'device_code'.");
	flow_run(&f, poll_run);
}

/* --- the person's side: /device ------------------------------------------------------------------------------ */

struct visit {
	struct call *c;
	struct session s;
	const char *code; /* as entered */
	bool is_answer, is_yes;
	/* what became of it */
	bool is_found;
	const char *client;
};

static int
visit_run(struct store_tx *tx, void *arg, struct err *e)
{
	struct visit *v = arg;
	struct call *c = v->c;
	struct store_ticket u = { .body = "" }, t = { .body = "" };
	char hash[65], *text;
	json_t *body;
	int r;

	v->is_found = false;
	user_code_hash(c->a, v->code, hash);
	r = store_ticket_get(tx, c->a, "user-code", hash, c->now_us, &u, e);
	if (r == 1)
		r = store_ticket_get(tx, c->a, "device", u.body, c->now_us, &t, e);
	if (r <= 0)
		return r;
	body = json_loads(t.body, 0, NULL);
	v->is_found = !json_object_get(body, "state");
	v->client = arena_strdup(c->a, arm_str(body, "name", ""));
	if (v->is_found && v->is_answer) {
		json_object_set_new(body, "state", json_string(v->is_yes ? "allowed" : "denied"));
		json_object_set_new(body, "auth", json_integer(v->s.since_us));
		text = json_dumps(body, JSON_COMPACT);
		t.oid = v->s.who.oid;
		t.body = text;
		r = store_ticket_put(tx, &t, e);
		free(text);
		if (r >= 0)
			r = store_ticket_drop(tx, "user-code", hash, e);
	}
	json_decref(body);
	return MIN(r, 0);
}

static void
page_enter(struct visit *v, const char *problem)
{
	struct call *c = v->c;

	page(c, problem ? 400 : 200, "Enter the code",
	     arena_printf(
		     c->a,
		     "%s%s%s<p>Enter the code that the program shows you. You are signed in as "
		     "<b>%s</b>.</p>%s<label>Code <input name=user_code autocomplete=off "
		     "autocapitalize=characters spellcheck=false autofocus required "
		     "maxlength=20></label><button>Next</button></form>",
		     problem ? "<p class=bad>" : "", problem ? problem : "", problem ? "</p>" : "",
		     html(c->a, v->s.who.upn), page_form(c, &v->s, "/device")),
	     NULL);
}

static void
page_ask(struct visit *v)
{
	struct call *c = v->c;

	page(c, 200, "Sign in to a program",
	     arena_printf(c->a,
			  "<p><b>%s</b> asked to sign in with the code <b>%s</b>, and will act as "
			  "<b>%s</b>.</p><p>Go on only if you started it yourself, a moment ago.</p>"
			  "%s%s<button name=answer value=yes>Sign in</button> "
			  "<button name=answer value=no class=other>Refuse</button></form>",
			  html(c->a, v->client), html(c->a, v->code), html(c->a, v->s.who.upn),
			  page_form(c, &v->s, "/device"), page_hidden(c->a, "user_code", v->code)),
	     NULL);
}

static bool
too_many_guesses(struct call *c, const struct session *s, unsigned more)
{
	return limits_count(c->id->limits,
			    arena_printf(c->a, "guess %s", limit_address(c->a, c->rq->remote)),
			    more, c->now_us) > MAX_GUESSES ||
	       limits_count(c->id->limits, arena_printf(c->a, "guess %s", s->who.oid), more,
			    c->now_us) > MAX_GUESSES;
}

/* Looks the code up; with an answer, gives it. false: there is none, and that was said. */
static bool
visit_look(struct visit *v)
{
	struct call *c = v->c;

	if (too_many_guesses(c, &v->s, 0)) {
		page_error(c, 429, "Too many wrong codes. Please wait a minute.");
		return false;
	}
	if ((v->is_answer ? store_write : store_read)(c->id->store, visit_run, v, NULL) < 0) {
		page_error(c, 503, "Please try again.");
		return false;
	}
	if (!v->is_found) {
		too_many_guesses(c, &v->s, 1);
		page_enter(v, "There is no such code, or it has expired.");
	} else if (!v->is_answer) {
		page_ask(v);
	}
	return v->is_found;
}

static void
visit_post(struct visit *v)
{
	struct call *c = v->c;
	const char *answer = call_param(c, "answer");

	if (!session_form_is_ours(c, &v->s))
		return;
	if (!v->code)
		return page_enter(v, "There was no code.");
	v->is_answer = answer != NULL;
	v->is_yes = answer && !strcmp(answer, "yes");
	if (visit_look(v) && v->is_answer)
		page(c, 200, v->is_yes ? "You are signed in" : "Refused",
		     v->is_yes ? "<p>The program goes on by itself. You can close this page.</p>"
			       : "<p>The program was told. You can close this page.</p>",
		     NULL);
}

void
at_device(struct call *c)
{
	struct visit v = { .c = c };

	if (!session_read(c, &v.s))
		return;
	v.code = call_param(c, "user_code");
	if (v.code && strlen(v.code) > 20)
		v.code = NULL;
	if (!v.s.who.oid)
		return session_ask(c, v.code ? arena_printf(c->a, "/device?user_code=%s",
							    url_encode(c->a, v.code))
					     : "/device");
	if (!strcmp(c->rq->method, "POST"))
		return visit_post(&v);
	if (!v.code)
		return page_enter(&v, NULL);
	visit_look(&v);
}
