/* The authorization endpoint: codes with PKCE (RFC 6749 4.1, 7636, 8252, 9700). Only S256, only codes;
 * the person is asked every time, since whoever has a port on the machine could be the program that a
 * loopback address leads to. */
#include "identity/oauth.h"

struct ask {
	struct call *c;
	struct client client;
	struct session s;
	const char *redirect, *state, *mode, *scope;
	char code[44], family[37];
	bool is_found;
};

static const char *const carried[] = {
	"client_id",  "redirect_uri", "response_type", "response_mode",  "scope",
	"resource",   "state",        "nonce",         "code_challenge", "code_challenge_method",
	"client_info"
};

/* --- back to the client ------------------------------------------------------------------------------------ */

/* Without a script the person has to send it on. */
static void
answer_form(struct ask *q, const char *name, const char *value, const char *text)
{
	struct call *c = q->c;

	page(c, 200, "Back to the program",
	     arena_printf(c->a,
			  "<form method=post action=\"%s\">%s%s%s<button autofocus>Continue</button>"
			  "</form>",
			  html(c->a, q->redirect), page_hidden(c->a, name, value),
			  page_hidden(c->a, "state", q->state),
			  page_hidden(c->a, "error_description", text)),
	     url_origin(c->a, q->redirect));
}

static void
answer(struct ask *q, const char *name, const char *value, const char *text)
{
	struct call *c = q->c;
	bool is_fragment = q->mode && !strcmp(q->mode, "fragment");

	if (q->mode && !strcmp(q->mode, "form_post"))
		return answer_form(q, name, value, text);
	page_redirect(c, arena_printf(c->a, "%s%s%s=%s%s%s%s%s", q->redirect,
				      is_fragment                ? "#"
				      : strchr(q->redirect, '?') ? "&"
								 : "?",
				      name, url_encode(c->a, value), q->state ? "&state=" : "",
				      q->state ? url_encode(c->a, q->state) : "",
				      text ? "&error_description=" : "",
				      text ? url_encode(c->a, text) : ""));
}

static void
refuse(struct ask *q, const char *error, const char *text)
{
	answer(q, "error", error, text);
}

/* --- what is asked --------------------------------------------------------------------------------------------- */

static int
find_run(struct store_tx *tx, void *arg, struct err *e)
{
	struct ask *q = arg;
	const char *id = call_param(q->c, "client_id");
	int r = id ? client_find(tx, q->c->a, id, &q->client, e) : 0;

	q->is_found = r == 1;
	return MIN(r, 0);
}

/* Who is wrong about client or redirect URI sees it here: it is not sent anywhere. */
static bool
ask_read(struct ask *q)
{
	struct call *c = q->c;
	const char *problem = NULL;

	q->redirect = call_param(c, "redirect_uri");
	q->state = call_param(c, "state");
	q->mode = call_param(c, "response_mode");
	q->scope = call_param(c, "scope");
	if (!q->scope)
		q->scope = call_param(c, "resource");
	if (store_read(c->id->store, find_run, q, NULL) < 0) {
		page_error(c, 503, "Please try again.");
		return false;
	}
	if (call_param_twice(c))
		problem = "AADSTS900145: A parameter comes twice.";
	else if (!q->is_found)
		problem = "AADSTS700016: There is no such application (client_id).";
	else if (!q->redirect)
		problem = "AADSTS900144: The parameter redirect_uri is missing.";
	else if (!client_may_redirect(&q->client, q->redirect))
		problem = "AADSTS50011: The redirect_uri is not one that the application has "
			  "registered.";
	if (problem)
		page_error(c, 400, problem);
	return !problem;
}

static bool
mode_is_known(const char *mode)
{
	return !mode || !strcmp(mode, "query") || !strcmp(mode, "fragment") ||
	       !strcmp(mode, "form_post");
}

static bool
challenge_is_good(const struct call *c)
{
	const char *challenge = call_param(c, "code_challenge"),
		   *method = call_param(c, "code_challenge_method");
	size_t n = 0;

	return challenge && method && !strcmp(method, "S256") && strlen(challenge) == 43 &&
	       base64url_decode(c->a, challenge, 43, &n) && n == 32;
}

static bool
ask_check(struct ask *q)
{
	struct call *c = q->c;
	const char *type = call_param(c, "response_type"), *mode = q->mode;

	if (!mode_is_known(mode)) {
		q->mode = NULL;
		refuse(q, "invalid_request",
		       "AADSTS70007: response_mode must be query, fragment or form_post.");
	} else if (!type || strcmp(type, "code") != 0) {
		refuse(q, "unsupported_response_type", "AADSTS70005: response_type must be code.");
	} else if (!challenge_is_good(c)) {
		refuse(q, "invalid_request",
		       "AADSTS501491: code_challenge (43 characters) with code_challenge_method=S256 "
		       "is required.");
	} else if (!q->scope || !scope_is_good(c->id, q->scope)) {
		refuse(q, "invalid_scope",
		       "AADSTS500011: The resource named in scope was not found.");
	} else {
		return true;
	}
	return false;
}

/* --- codes ------------------------------------------------------------------------------------------------------ */

static int
code_run(struct store_tx *tx, void *arg, struct err *e)
{
	struct ask *q = arg;
	struct call *c = q->c;
	const char *nonce = call_param(c, "nonce");
	struct store_ticket t = { .kind = "code",
				  .family = q->family,
				  .oid = q->s.who.oid,
				  .made_us = c->now_us,
				  .until_us = c->now_us + CODE_LIFE_S * SECOND };
	json_t *body = json_pack("{s:s, s:s, s:s, s:s, s:s, s:I}", "client", q->client.id,
				 "redirect", q->redirect, "scope", q->scope, "challenge",
				 call_param(c, "code_challenge"), "nonce", nonce ? nonce : "",
				 "auth", (json_int_t)q->s.since_us);
	char hash[65], *text = json_dumps(body, JSON_COMPACT);
	int r;

	sha256_hex(q->code, strlen(q->code), hash);
	t.hash = hash;
	t.body = text;
	r = store_ticket_put(tx, &t, e);
	free(text);
	json_decref(body);
	return r;
}

static void
ask_answered(struct ask *q)
{
	struct call *c = q->c;
	const char *said = call_param(c, "answer");

	if (!session_form_is_ours(c, &q->s))
		return;
	if (!said || strcmp(said, "yes") != 0)
		return refuse(q, "access_denied", "AADSTS65004: The person refused.");
	secret_make(q->code);
	guid_make(q->family);
	if (store_write(c->id->store, code_run, q, NULL) < 0)
		return refuse(q, "temporarily_unavailable", "AADSTS90033: Please try again.");
	answer(q, "code", q->code, NULL);
}

static const char *
carry(struct ask *q)
{
	AUTO_BUF b = { 0 };

	for (size_t i = 0; i < COUNT(carried); i++)
		buf_printf(&b, "%s",
			   page_hidden(q->c->a, carried[i], call_param(q->c, carried[i])));
	return arena_strdup(q->c->a, buf_str(&b));
}

static void
page_consent(struct ask *q)
{
	struct call *c = q->c;

	page(c, 200, "Sign in to a program",
	     arena_printf(c->a,
			  "<p><b>%s</b> wants to sign in, and will act as <b>%s</b>.</p>"
			  "<p>The answer goes to %s.</p>%s%s"
			  "<button name=answer value=yes>Sign in</button> "
			  "<button name=answer value=no class=other>Refuse</button></form>"
			  "<p><a href=\"/signout\">Use another account</a></p>",
			  html(c->a, q->client.name), html(c->a, q->s.who.upn),
			  html(c->a, url_origin(c->a, q->redirect)),
			  page_form(c, &q->s, c->rq->path), carry(q)),
	     url_origin(c->a, q->redirect));
}

/* This very request again, but for "prompt", which has then been heard. */
static const char *
again(const struct call *c)
{
	AUTO_BUF b = { 0 };

	for (const char *p = c->params; *p;) {
		size_t n = strcspn(p, "&");

		if (n && strncmp(p, "prompt=", 7) != 0) {
			buf_printf(&b, b.n ? "&" : "?");
			buf_put(&b, p, n);
		}
		p += n + (p[n] == '&');
	}
	return arena_printf(c->a, "%s%s", c->rq->path, b.n ? buf_str(&b) : "");
}

void
at_authorize(struct call *c)
{
	struct ask q = { .c = c };
	const char *prompt = call_param(c, "prompt");
	bool is_post = !strcmp(c->rq->method, "POST"), is_silent;

	if (!ask_read(&q) || !ask_check(&q) || !session_read(c, &q.s))
		return;
	is_silent = prompt && !strcmp(prompt, "none");
	if (is_post && q.s.who.oid)
		return ask_answered(&q);
	if (is_silent)
		return refuse(&q, q.s.who.oid ? "interaction_required" : "login_required",
			      "AADSTS50058: The person has to be asked.");
	if (is_post)
		return page_error(c, 403, "You are not signed in any more. Start again.");
	if (!q.s.who.oid || (prompt && !strcmp(prompt, "login")))
		return session_ask(c, again(c));
	page_consent(&q);
}
