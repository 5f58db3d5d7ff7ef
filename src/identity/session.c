/* Who sits at the browser. The cookie holds a random id and our signature over it: a made-up one is
 * told without the store. What the id stands for is a ticket, so that signing out ends it at once. A
 * browser that is not signed in has an id too, which ties forms and sign-ins to it; signing in always
 * gives a new one. */
#include "identity/oauth.h"

#include <strings.h>

#define COOKIE "__Host-wayleave"

/* The id in the Cookie header, when it is one that we gave. */
static const char *
cookie_sid(const struct call *c)
{
	size_t n = strlen(COOKIE "=");

	for (const char *p = c->rq->cookie; p && *p; p += strspn(p, "; ")) {
		size_t len = strcspn(p, ";");
		const char *value, *dot, *sid;

		if (len > n && !strncmp(p, COOKIE "=", n) && len < 200) {
			value = arena_strndup(c->a, p + n, len - n);
			dot = strchr(value, '.');
			sid = dot ? arena_strndup(c->a, value, (size_t)(dot - value)) : "";
			if (dot && secret_equal(dot + 1, identity_mac(c->id, c->a, "cookie", sid)))
				return sid;
		}
		p += len;
	}
	return NULL;
}

struct lookup {
	struct call *c;
	struct session *s;
};

static int
lookup_run(struct store_tx *tx, void *arg, struct err *e)
{
	struct lookup *l = arg;
	struct call *c = l->c;
	struct store_ticket t;
	char hash[65];
	int r;

	sha256_hex(l->s->sid, strlen(l->s->sid), hash);
	r = store_ticket_get(tx, c->a, "session", hash, c->now_us, &t, e);
	if (r <= 0)
		return r;
	r = principal_usable(tx, c->a, t.oid, &l->s->who, e);
	if (r != 1)
		l->s->who = (struct store_principal){ 0 };
	else if (!*l->s->who.upn)
		l->s->who.upn = l->s->who.name;
	l->s->since_us = t.made_us;
	return MIN(r, 0);
}

bool
session_read(struct call *c, struct session *ret)
{
	struct lookup l = { c, ret };

	*ret = (struct session){ .sid = cookie_sid(c) };
	if (!ret->sid || store_read(c->id->store, lookup_run, &l, NULL) >= 0)
		return true;
	page_error(c, 503, "Please try again.");
	return false;
}

void
session_cookie(struct call *c, const char *sid)
{
	call_header(c, "Set-Cookie",
		    arena_printf(c->a, COOKIE "=%s.%s; Path=/; Secure; HttpOnly; SameSite=Lax", sid,
				 identity_mac(c->id, c->a, "cookie", sid)));
}

void
session_need(struct call *c, struct session *s)
{
	char sid[44];

	if (s->sid)
		return;
	secret_make(sid);
	s->sid = arena_strdup(c->a, sid);
	session_cookie(c, s->sid);
}

int
session_begin(struct store_tx *tx, struct call *c, const char *oid, const char *sid, struct err *e)
{
	struct store_ticket t = { .kind = "session",
				  .oid = oid,
				  .made_us = c->now_us,
				  .until_us = c->now_us + SESSION_LIFE_S * SECOND };
	char hash[65];

	sha256_hex(sid, strlen(sid), hash);
	t.hash = hash;
	return store_ticket_put(tx, &t, e);
}

static int
end_run(struct store_tx *tx, void *arg, struct err *e)
{
	return store_ticket_drop(tx, "session", arg, e);
}

void
session_end(struct call *c, const struct session *s)
{
	char hash[65];

	call_header(c, "Set-Cookie", COOKIE "=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0");
	if (!s->sid)
		return;
	sha256_hex(s->sid, strlen(s->sid), hash);
	store_write(c->id->store, end_run, hash, NULL);
}

const char *
session_csrf(const struct call *c, const struct session *s)
{
	return identity_mac(c->id, c->a, "form", s->sid ? s->sid : "");
}

bool
session_form_is_ours(struct call *c, const struct session *s)
{
	const char *shown = call_param(c, "form"), *origin = c->rq->origin;

	if (s->sid && shown && secret_equal(shown, session_csrf(c, s)) &&
	    (!origin || !strcasecmp(origin, c->id->base_url)))
		return true;
	page_error(
		c, 403,
		"This form was not made for this browser, or too long ago. Go back and try again.");
	return false;
}

void
session_ask(struct call *c, const char *then)
{
	page_redirect(c,
		      arena_printf(c->a, "%s?then=%s",
				   call_url(c, c->id->trust.issuer ? "/signin/start" : "/signin"),
				   url_encode(c->a, then)));
}
