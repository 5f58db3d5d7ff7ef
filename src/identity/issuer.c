/* Other people's issuers: where they sign people in, and the keys that they sign with, found by OpenID
 * discovery and kept.
 *
 * A set of keys is fetched again after an hour, or, at most twice a minute, when a token names a key
 * that is not in it. While an issuer does not answer, what is here counts for a day. One fetch per
 * issuer at a time, and few in all: who waits for a slow issuer must not hold up everybody else. */
#include "identity/oauth.h"

#include "base/mem.h"

#include <strings.h>

enum { MAX_ISSUERS = 64, MAX_BUSY = 3, MAX_DOC = 256 << 10, MAX_DOC_DEPTH = 16 };
#define FRESH_US (3600 * SECOND)
#define STALE_US (86400 * SECOND)
#define AGAIN_US (30 * SECOND)

struct issuer {
	char *name;
	const char *ca_pem; /* NULL: the system's; the configuration's text */
	char *authorize_url, *token_url, *userinfo_url;
	struct jwks keys;
	int64_t fetched_us, tried_us, asked_us;
	bool is_busy;
};

struct issuers {
	pthread_mutex_t lock;
	pthread_cond_t done;
	struct issuer list[MAX_ISSUERS];
	size_t n;
	unsigned n_busy;
};

static struct issuers *
issuers_of(struct identity *id)
{
	pthread_mutex_lock(&id->lock);
	if (!id->issuers) {
		id->issuers = mem_alloc(sizeof(*id->issuers));
		pthread_mutex_init(&id->issuers->lock, NULL);
		pthread_cond_init(&id->issuers->done, NULL);
	}
	pthread_mutex_unlock(&id->lock);
	return id->issuers;
}

static void
issuer_fini(struct issuer *i)
{
	free(i->name);
	free(i->authorize_url);
	free(i->token_url);
	free(i->userinfo_url);
	jwks_fini(&i->keys);
	*i = (struct issuer){ 0 };
}

void
issuers_destroy(struct issuers *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->n; i++)
		issuer_fini(&s->list[i]);
	pthread_cond_destroy(&s->done);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

/* --- fetching ------------------------------------------------------------------------------------------------ */

static int
fetch_json(struct identity *id, struct arena *a, const char *url, const char *ca_pem, json_t **ret,
	   struct err *e)
{
	const struct identity_fetch_call call = { .url = url, .ca_pem = ca_pem, .max = MAX_DOC };
	const char *text;
	int r;

	if (strncasecmp(url, "https://", 8) != 0)
		return err_set(e, -EINVAL, "%.200s: must begin with https://", url);
	r = id->fetch.get(id->fetch.ctx, a, &call, &text, e);
	if (r < 0)
		return r;
	*ret = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	return json_is_object(*ret) ? 0
				    : (json_decref(*ret),
				       err_set(e, -EBADMSG, "%.200s: not a JSON object", url));
}

static int
discover(struct identity *id, struct arena *a, struct issuer *i, const char **ret_keys,
	 struct err *e)
{
	size_t n = strlen(i->name);
	json_t *doc = NULL;
	const char *url = arena_printf(a, "%.*s/.well-known/openid-configuration",
				       (int)(n && i->name[n - 1] == '/' ? n - 1 : n), i->name);
	const char *keys;
	int r = fetch_json(id, a, url, i->ca_pem, &doc, e);

	if (r < 0)
		return r;
	keys = json_string_value(json_object_get(doc, "jwks_uri"));
	/* OpenID Connect Discovery 4.3: it must be who we asked for. */
	if (strcmp(i->name, arm_str(doc, "issuer", "")) != 0 || !keys)
		r = err_set(e, -EBADMSG, "%.200s: names another issuer, or no keys", url);
	if (r == 0) {
		*ret_keys = arena_strdup(a, keys);
		i->authorize_url = mem_strdup(arm_str(doc, "authorization_endpoint", ""));
		i->token_url = mem_strdup(arm_str(doc, "token_endpoint", ""));
		i->userinfo_url = mem_strdup(arm_str(doc, "userinfo_endpoint", ""));
	}
	json_decref(doc);
	return r;
}

/* Into an issuer of its own: without the lock. */
static int
fetch(struct identity *id, struct issuer *i, struct err *e)
{
	AUTO_ARENA a = { 0 };
	const char *url = NULL;
	json_t *doc = NULL;
	int r = discover(id, &a, i, &url, e);

	if (r == 0)
		r = fetch_json(id, &a, url, i->ca_pem, &doc, e);
	if (r == 0)
		r = jwks_parse(doc, &i->keys, e);
	json_decref(doc);
	return r;
}

/* --- the cache ------------------------------------------------------------------------------------------------- */

static struct issuer *
place(struct issuers *s, const char *name, const char *ca_pem)
{
	struct issuer *oldest = NULL;

	for (size_t i = 0; i < s->n; i++) {
		struct issuer *one = &s->list[i];

		if (!strcmp(one->name, name) && one->ca_pem == ca_pem)
			return one;
		if (!one->is_busy && (!oldest || one->asked_us < oldest->asked_us))
			oldest = one;
	}
	if (s->n < MAX_ISSUERS)
		oldest = &s->list[s->n++];
	else if (!oldest)
		return NULL;
	else
		issuer_fini(oldest);
	oldest->name = mem_strdup(name);
	oldest->ca_pem = ca_pem;
	return oldest;
}

static bool
is_due(const struct issuer *i, const struct jwt *t, int64_t now_us)
{
	if (!i->fetched_us || now_us - i->fetched_us > FRESH_US)
		return !i->tried_us || now_us - i->tried_us > AGAIN_US;
	return t && !jwks_knows(&i->keys, t) && now_us - i->tried_us > AGAIN_US;
}

/* The lock is held, and let go meanwhile. */
static int
refresh(struct identity *id, struct issuers *s, struct issuer *i, int64_t now_us, struct err *e)
{
	struct issuer fresh = { .name = mem_strdup(i->name), .ca_pem = i->ca_pem };
	int r;

	i->is_busy = true;
	i->tried_us = now_us;
	s->n_busy++;
	pthread_mutex_unlock(&s->lock);
	r = fetch(id, &fresh, e);
	pthread_mutex_lock(&s->lock);
	s->n_busy--;
	i->is_busy = false;
	if (r == 0) {
		fresh.fetched_us = now_us;
		fresh.tried_us = now_us;
		issuer_fini(i);
		*i = fresh;
	} else {
		issuer_fini(&fresh);
	}
	pthread_cond_broadcast(&s->done);
	return r;
}

/* The issuer, with what is known of it; the lock is held. NULL: nothing usable. */
static struct issuer *
ready(struct identity *id, struct issuers *s, const char *name, const char *ca_pem,
      const struct jwt *t, int64_t now_us, struct err *e)
{
	struct issuer *i = place(s, name, ca_pem);

	err_set(e, -EAGAIN, "%.200s: cannot be asked now", name);
	while (i && i->is_busy && !i->fetched_us && s->n_busy < MAX_BUSY) {
		s->n_busy++; /* who waits blocks a thread as well */
		pthread_cond_wait(&s->done, &s->lock);
		s->n_busy--;
		i = place(s, name, ca_pem); /* it may have moved */
	}
	if (!i)
		return NULL;
	i->asked_us = now_us;
	if (!i->is_busy && is_due(i, t, now_us) && s->n_busy < MAX_BUSY) {
		refresh(id, s, i, now_us, e);
		i->asked_us = now_us;
	}
	return i->fetched_us && now_us - i->fetched_us < STALE_US ? i : NULL;
}

int
issuer_verify(struct identity *id, const char *issuer, const char *ca_pem, const struct jwt *t,
	      int64_t now_us, struct err *e)
{
	struct issuers *s = issuers_of(id);
	struct issuer *i;
	int r = -EAGAIN;

	pthread_mutex_lock(&s->lock);
	i = ready(id, s, issuer, ca_pem, t, now_us, e);
	if (i)
		r = jwks_verifies(&i->keys, t) ? 0 : -EKEYREJECTED;
	pthread_mutex_unlock(&s->lock);
	return r;
}

int
issuer_look(struct identity *id, struct arena *a, const char *issuer, const char *ca_pem,
	    int64_t now_us, struct issuer_view *ret, struct err *e)
{
	struct issuers *s = issuers_of(id);
	struct issuer *i;
	int r = -EAGAIN;

	pthread_mutex_lock(&s->lock);
	i = ready(id, s, issuer, ca_pem, NULL, now_us, e);
	if (i) {
		*ret = (struct issuer_view){ arena_strdup(a, i->authorize_url),
					     arena_strdup(a, i->token_url),
					     arena_strdup(a, i->userinfo_url) };
		r = 0;
	}
	pthread_mutex_unlock(&s->lock);
	return r;
}
