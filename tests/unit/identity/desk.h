/* A controller's identity in a temporary directory, at a time of the test's own, and what is needed to
 * stand before it: requests, forms, tokens with any header. */
#pragma once

#include "../test.h"

#include "base/mem.h"
#include "base/mono.h"
#include "identity/oauth.h"

#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#define URL "https://localhost:8443"
#define CLI "04b07795-8ddb-461a-bbee-02f9e1bf7b46"
#define SCOPE "https://localhost:8443/.default"

struct desk {
	char dir[64], db[96], key[96];
	struct store *s;
	struct identity *id;
	struct arena a;
	struct identity_bootstrap first;
	int64_t now_us;
	const char *remote;
	/* of the last answer */
	struct identity_reply reply;
	json_t *body; /* NULL: not JSON */
	/* the browser's */
	const char *cookie;
};

static inline void
desk_open(struct desk *d)
{
	const struct store_config sc = { .path = d->db, .master_key = d->key };

	assert_int_equal(store_open(&sc, &d->s, NULL), 0);
	assert_int_equal(identity_open(d->s, URL, &d->id, NULL), 0);
}

static inline void
desk_close(struct desk *d)
{
	identity_destroy(TAKE(d->id));
	store_destroy(TAKE(d->s));
}

static inline int
desk_setup(void **state)
{
	struct desk *d = mem_alloc(sizeof(*d));

	snprintf(d->dir, sizeof(d->dir), "/tmp/unit-identity-XXXXXX");
	assert_non_null(mkdtemp(d->dir));
	snprintf(d->db, sizeof(d->db), "%s/s.db", d->dir);
	snprintf(d->key, sizeof(d->key), "%s/key", d->dir);
	desk_open(d);
	assert_int_equal(identity_bootstrap(d->s, &d->a, &d->first, NULL), 0);
	d->now_us = utc_now_us();
	d->remote = "192.0.2.1";
	*state = d;
	return 0;
}

static inline int
desk_teardown(void **state)
{
	static const char *const tails[] = { "s.db",       "s.db-wal",       "s.db-shm",
					     "s.db.usage", "s.db.usage-wal", "s.db.usage-shm",
					     "key" };
	struct desk *d = *state;

	desk_close(d);
	json_decref(d->body);
	arena_reset(&d->a);
	for (size_t i = 0; i < COUNT(tails); i++) {
		AUTO_FREE char *path = mem_printf("%s/%s", d->dir, tails[i]);

		unlink(path);
	}
	rmdir(d->dir);
	free(d);
	return 0;
}
#define DESK(f) cmocka_unit_test_setup_teardown(f, desk_setup, desk_teardown)

/* --- requests --- */

static inline const char *
header_of(const struct desk *d, const char *name)
{
	for (size_t i = 0; i < d->reply.n_headers; i++)
		if (!strcmp(d->reply.headers[i].name, name))
			return d->reply.headers[i].value;
	return "";
}

static inline int
ask(struct desk *d, const char *method, const char *path, const char *params,
    const char *authorization)
{
	bool is_post = !strcmp(method, "POST");
	const struct identity_request rq = {
		.arena = &d->a,
		.method = method,
		.path = path,
		.query = is_post ? "" : params,
		.body = is_post ? params : NULL,
		.authorization = authorization,
		.cookie = d->cookie,
		.remote = d->remote,
		.now_us = d->now_us,
	};
	const char *cookie;

	identity_handle(d->id, &rq, &d->reply);
	json_decref(d->body);
	d->body = d->reply.type && strstr(d->reply.type, "json")
			  ? json_loads(d->reply.text, 0, NULL)
			  : NULL;
	cookie = header_of(d, "Set-Cookie");
	if (*cookie)
		d->cookie = arena_strndup(&d->a, cookie, strcspn(cookie, ";"));
	return d->reply.status;
}

static inline int
post(struct desk *d, const char *path, const char *form)
{
	return ask(d, "POST", path, form, NULL);
}

static inline const char *
said(const struct desk *d, const char *name)
{
	return arena_strdup((struct arena *)(uintptr_t)&d->a, arm_str(d->body, name, ""));
}

/* The value of a form's hidden field. */
static inline const char *
field(struct desk *d, const char *name)
{
	const char *mark = arena_printf(&d->a, "name=\"%s\" value=\"", name),
		   *at = strstr(d->reply.text, mark);

	assert_non_null(at);
	at += strlen(mark);
	return arena_strndup(&d->a, at, strcspn(at, "\""));
}

static inline int
bearer(struct desk *d, const char *token, const char **ret)
{
	struct arm_auth auth = identity_auth(d->id);
	struct arm_error e = { .arena = &d->a };
	struct arm_caller c;
	int r = auth.authenticate(auth.ctx, &d->a, arena_printf(&d->a, "Bearer %s", token),
				  d->now_us, &c, &e);

	*ret = r == 0 ? c.oid : e.code;
	return r == 0 ? 200 : e.status;
}

/* --- the directory --- */

struct desk_write {
	struct desk *d;
	struct store_principal *p;
	struct store_credential *c;
	const char *oid;
	bool is_disabled;
};

static inline int
desk_write_run(struct store_tx *tx, void *arg, struct err *e)
{
	struct desk_write *w = arg;
	struct store_principal p;
	int r = 0;

	if (w->p)
		r = store_principal_put(tx, w->p, e);
	if (w->c && r == 0)
		r = store_credential_put(tx, w->c, e);
	if (w->oid && r == 0 && (r = store_principal_get(tx, &w->d->a, w->oid, &p, e)) == 1) {
		p.is_disabled = w->is_disabled;
		r = store_principal_put(tx, &p, e);
	}
	return r;
}

static inline const char *
user_make(struct desk *d, const char *upn)
{
	struct store_principal p = { .tenant = d->first.tenant,
				     .kind = "User",
				     .name = upn,
				     .upn = upn,
				     .external_id = "",
				     .body = "{}" };
	struct desk_write w = { .d = d, .p = &p };
	char oid[37];

	guid_make(oid);
	p.oid = p.client_id = arena_strdup(&d->a, oid);
	assert_int_equal(store_write(d->s, desk_write_run, &w, NULL), 0);
	return p.oid;
}

static inline void
disable(struct desk *d, const char *oid, bool is_disabled)
{
	struct desk_write w = { .d = d, .oid = oid, .is_disabled = is_disabled };

	assert_int_equal(store_write(d->s, desk_write_run, &w, NULL), 0);
}

static inline void
credential_put(struct desk *d, struct store_credential *c)
{
	struct desk_write w = { .d = d, .c = c };
	char id[37];

	guid_make(id);
	c->id = arena_strdup(&d->a, id);
	assert_int_equal(store_write(d->s, desk_write_run, &w, NULL), 0);
}

struct desk_session {
	struct desk *d;
	const char *oid, *sid;
};

static inline int
desk_session_run(struct store_tx *tx, void *arg, struct err *e)
{
	struct desk_session *s = arg;
	struct call c = { .id = s->d->id, .a = &s->d->a, .now_us = s->d->now_us };

	return session_begin(tx, &c, s->oid, s->sid, e);
}

/* The browser is signed in. */
static inline void
sign_in(struct desk *d, const char *oid)
{
	struct desk_session s = { d, oid, NULL };
	char sid[44];

	secret_make(sid);
	s.sid = sid;
	assert_int_equal(store_write(d->s, desk_session_run, &s, NULL), 0);
	d->cookie = arena_printf(&d->a, "other=1; __Host-wayleave=%s.%s", sid,
				 identity_mac(d->id, &d->a, "cookie", sid));
}

/* --- tokens with any header --- */

static inline const char *
token_make(struct desk *d, EVP_PKEY *key, const char *header, const char *claims)
{
	const char *text = arena_printf(&d->a, "%s.%s", base64url(&d->a, header, strlen(header)),
					base64url(&d->a, claims, strlen(claims)));
	EVP_MD_CTX *m = EVP_MD_CTX_new();
	EVP_PKEY_CTX *p = NULL;
	uint8_t sig[1024];
	size_t n = sizeof(sig);

	assert_int_equal(EVP_DigestSignInit(m, &p, EVP_sha256(), NULL, key), 1);
	if (strstr(header, "PS256")) {
		EVP_PKEY_CTX_set_rsa_padding(p, RSA_PKCS1_PSS_PADDING);
		EVP_PKEY_CTX_set_rsa_pss_saltlen(p, RSA_PSS_SALTLEN_DIGEST);
	}
	assert_int_equal(EVP_DigestSign(m, sig, &n, (const uint8_t *)text, strlen(text)), 1);
	EVP_MD_CTX_free(m);
	return arena_printf(&d->a, "%s.%s", text, base64url(&d->a, sig, n));
}
