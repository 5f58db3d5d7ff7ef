/* How people and programs get tokens: shared by the files of this folder that do so.
 *
 *   route.c    which endpoint is a path          client.c   who asks: secrets, assertions, public clients
 *   grant.c    the token endpoint                 device.c   device codes (RFC 8628)
 *   authorize.c  authorization codes with PKCE    session.c  who sits at the browser: cookies, CSRF
 *   signin.c   external issuer, links, sign-out   openid.c   discovery, key sets, userinfo
 *   issuer.c   other people's issuers             page.c     what the browser shows
 *   keys.c, jwt.c, token.c  what is signed and believed
 */
#pragma once

#include "base/buf.h"
#include "identity/internal.h"
#include "store/ticket.h"

enum {
	TOKEN_LIFE_S = 3600,
	CLOCK_LEEWAY_S = 300,
	CODE_LIFE_S = 120,
	DEVICE_LIFE_S = 900,
	DEVICE_INTERVAL_S = 5,
	REFRESH_LIFE_S = 14 * 86400, /* unused */
	FAMILY_LIFE_S = 90 * 86400,  /* since the sign-in */
	REFRESH_GRACE_S = 30,        /* an answer may have been lost, two processes may share one */
	SESSION_LIFE_S = 8 * 3600,
	SIGNIN_LIFE_S = 600,
	INVITE_LIFE_S = 3 * 86400,
	ASSERTION_LIFE_S = 86400,
	MAX_PARAM = 4096,
};
#define SECOND 1000000LL

/* --- a request under way ---------------------------------------------------------------------------- */

enum endpoint {
	AT_NOTHING,
	AT_METADATA,
	AT_INSTANCE,
	AT_OPENID,
	AT_KEYS,
	AT_USERINFO,
	AT_TOKEN,
	AT_DEVICECODE,
	AT_AUTHORIZE,
	AT_LOGOUT,
	AT_DEVICE,
	AT_SIGNIN,
	AT_START,
	AT_CALLBACK,
	AT_INVITE,
	AT_SIGNOUT,
};
struct route {
	enum endpoint what;
	const char *tenant; /* as sent; NULL: none, or any ("common") */
	const char *base;   /* "/adfs", "/adfs/T/adfs", "/T", "" */
	bool is_adfs, is_v2;
};
/* AT_NOTHING: not one of ours. */
struct route route_parse(struct arena *a, const char *path);

struct call {
	struct identity *id;
	const struct identity_request *rq;
	struct identity_reply *out;
	struct arena *a;
	struct route route;
	const char *params; /* the form of a POST, the query of a GET */
	int64_t now_us, now_s;
};

/* A parameter, or NULL; one that is empty or longer than MAX_PARAM counts as absent. */
const char *call_param(const struct call *c, const char *name);
/* The first parameter that comes twice (RFC 6749 3.2), or NULL. */
const char *call_param_twice(const struct call *c);
void call_header(struct call *c, const char *name, const char *value);
void call_json(struct call *c, int status, json_t *body); /* takes body over */
/* RFC 6749 5.2 with Azure's numbers. */
void call_refuse(struct call *c, int status, const char *error, int number, const char *fmt, ...)
	PRINTF(5, 6);
void call_unavailable(struct call *c);
/* A path of ours as a URL. */
const char *call_url(const struct call *c, const char *path);
/* The issuer's name in the family of URLs that was asked. tenant: of the token. */
const char *call_issuer(const struct call *c, const char *tenant);
/* "/oauth2/token" in that family. */
const char *call_endpoint(const struct call *c, const char *name);

/* --- tokens --- */

struct grant {
	struct store_principal who;
	const char *client_id;
	const char *scope;   /* as granted */
	const char *nonce;   /* "" for none */
	const char *refresh; /* a new refresh token, or NULL */
	int64_t auth_us;     /* when the person signed in; 0: no person */
};
/* The token endpoint's answer. */
void token_reply(struct call *c, const struct grant *g);
/* Claims of a token that is ours, in time and meant for us. NULL: refused through e. */
json_t *token_check(struct identity *id, const char *authorization, int64_t now_us,
		    struct arm_error *e);
/* The ring in the store is about to change. */
void identity_doubt_keys(struct identity *id, int64_t now_us);
/* The principal, if it and its tenant may be used. 1: yes. */
int principal_usable(struct store_tx *tx, struct arena *a, const char *oid,
		     struct store_principal *ret, struct err *e);
/* Every word is of OpenID or names us. */
bool scope_is_good(const struct identity *id, const char *scope);
bool scope_has(const char *scope, const char *word);
/* HMAC of purpose and text under a key in the store, base64url. */
const char *identity_mac(const struct identity *id, struct arena *a, const char *purpose,
			 const char *text);
/* The GUID of a tenant by GUID or domain. 1: found. */
int tenant_find(struct store_tx *tx, struct arena *a, const char *text, const char **ret,
		struct err *e);

/* --- who asks --- */

struct client {
	const char *id;             /* lower case */
	const char *name;           /* for people */
	bool is_public;             /* can keep no secret */
	bool is_known;              /* one of Microsoft's own public clients */
	struct store_principal who; /* of others; oid NULL: none */
	const char **redirects;     /* registered */
	size_t n_redirects;
};
/* From the credentials in the request. false: answered. wants_proof: a public client will not do. */
bool client_prove(struct call *c, bool wants_proof, struct client *ret);
/* May a principal of this tenant (NULL: nobody's) get a token where it was asked for? 1: yes; -ENOENT:
 * there is no such tenant. */
int tenant_admits(struct store_tx *tx, const struct call *c, const char *home, struct err *e);
/* Without proof, for the authorization endpoint. 1: found. */
int client_find(struct store_tx *tx, struct arena *a, const char *client_id, struct client *ret,
		struct err *e);
/* RFC 8252 7.3: the port of a loopback address may be any. */
bool client_may_redirect(const struct client *cl, const char *uri);
/* What may be registered: https, or http on loopback; no fragment, no user. */
bool redirect_is_sound(const char *uri);

/* --- other issuers --- */

struct issuer_view {
	const char *authorize_url, *token_url, *userinfo_url; /* "": it has none */
};
/* Is the token signed by this issuer? 0: yes; -EKEYREJECTED: no; -EAGAIN: its keys cannot be had now. */
int issuer_verify(struct identity *id, const char *issuer, const char *ca_pem, const struct jwt *t,
		  int64_t now_us, struct err *e);
int issuer_look(struct identity *id, struct arena *a, const char *issuer, const char *ca_pem,
		int64_t now_us, struct issuer_view *ret, struct err *e);
struct issuers;
void issuers_destroy(struct issuers *s);

/* --- how often --- */

struct limits;
struct limits *limits_create(void);
void limits_destroy(struct limits *l);
/* Counts one against a key; the number of those in the minute. 0 more: just looks. */
/* Whom an address stands for: itself, or its /64. */
const char *limit_address(struct arena *a, const char *remote);
unsigned limits_count(struct limits *l, const char *key, unsigned more, int64_t now_us);

/* --- grants: what ends in a token for a person --- */

struct flow {
	struct call *c;
	struct client client;
	struct grant grant;
	const char *shown; /* the code or token that was shown */
	char refresh[44];  /* a new refresh token */
	/* why not; status 0: granted */
	int status, number;
	const char *error, *text;
};
/* Notes a refusal; 0, so that a transaction goes on. */
int flow_refuse(struct flow *f, int status, const char *error, int number, const char *text);
/* The person may have a token here; else refused. 1: yes. */
int flow_person(struct flow *f, struct store_tx *tx, const char *oid, struct err *e);
/* A refresh token in a family. */
int flow_refresh(struct flow *f, struct store_tx *tx, const char *family, int64_t family_until_us,
		 struct err *e);
/* Runs it in a writing transaction and answers. */
void flow_run(struct flow *f, store_fn *run);
void at_device_token(struct call *c);

/* --- endpoints --- */

void at_metadata(struct call *c);
void at_instance(struct call *c);
void at_openid(struct call *c);
void at_keys(struct call *c);
void at_userinfo(struct call *c);
void at_token(struct call *c);
void at_devicecode(struct call *c);
void at_device(struct call *c);
void at_authorize(struct call *c);
void at_signin(struct call *c);
void at_start(struct call *c);
void at_callback(struct call *c);
void at_invite(struct call *c);
void at_logout(struct call *c);

/* --- who sits at the browser --- */

struct session {
	const char *sid;            /* NULL: none yet */
	struct store_principal who; /* oid NULL: not signed in */
	int64_t since_us;
};
/* From the cookie. false: answered (the store is away). */
bool session_read(struct call *c, struct session *ret);
/* Gives a browser that has none an id, so that forms can be tied to it. */
void session_need(struct call *c, struct session *s);
/* Writes a new session of somebody; cookie set. */
int session_begin(struct store_tx *tx, struct call *c, const char *oid, const char *sid,
		  struct err *e);
void session_cookie(struct call *c, const char *sid);
void session_end(struct call *c, const struct session *s);
const char *session_csrf(const struct call *c, const struct session *s);
/* The form was made by us for this browser. false: answered. */
bool session_form_is_ours(struct call *c, const struct session *s);
/* Sends who is not signed in to sign in and back. */
void session_ask(struct call *c, const char *then);

/* --- pages --- */

/* Text with what HTML would understand made harmless. */
const char *html(struct arena *a, const char *text);
/* body is HTML. origin: where a form's answer may lead beside us, or NULL. */
void page(struct call *c, int status, const char *title, const char *body, const char *origin);
void page_error(struct call *c, int status, const char *text);
/* A form's beginning: method, action, CSRF; ends with </form> by the caller. */
const char *page_form(struct call *c, const struct session *s, const char *action);
const char *page_hidden(struct arena *a, const char *name, const char *value);
const char *url_encode(struct arena *a, const char *text);
/* "https://host:port" of a URL. */
const char *url_origin(struct arena *a, const char *url);
void page_redirect(struct call *c, const char *url);

int accounts_handle(void *ctx, struct arm_extension_call *x);
