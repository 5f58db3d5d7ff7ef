/* Two threads: one holds the parked poll, one posts. They share a mutex, the outgoing slots and the
 * queue of events; an eventfd wakes the owner. libcurl handles belong to their threads. */
#include "fabric/agent.h"

#include "base/buf.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/mono.h"
#include "fabric/credential.h"

#include <curl/curl.h>
#include <jansson.h>
#include <pthread.h>
#include <sys/eventfd.h>

enum {
	BODY_BYTES = 64 << 20, /* a snapshot of a large edge */
	ANSWERS = 256,
	WAIT_S = 20,
	BACKOFF_MIN_MS = 500,
	BACKOFF_MAX_MS = 30000,
	RENEW_AGAIN_S = 60,
};

struct item {
	struct list node;
	json_t *body;
};

struct agent {
	char *url, *ca, *cert, *key, *token, *node;
	pthread_t poller, poster;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	int event_fd;
	bool is_stopping, is_online;
	char *cursor;        /* the next poll's; taken over by the owner */
	bool is_cursor_free; /* the owner has taken the last poll's answer */
	json_t *report, *readings;
	struct list answers, events;
	unsigned n_answers;
	unsigned identity; /* grows with each new certificate */
	/* the poller's own */
	bool is_refused, is_token_tried;
	char *csr;        /* of an enrolment without an answer yet */
	int64_t renew_us; /* mono: no renewal before */
};

struct event_item {
	struct list node;
	struct agent_event ev;
};

/* ---- Events ---- */

static void
emit(struct agent *a, enum agent_event_kind kind, json_t *body, const char *text)
{
	struct event_item *it = mem_alloc(sizeof(*it));

	it->ev.kind = kind;
	it->ev.body = body;
	snprintf(it->ev.text, sizeof(it->ev.text), "%s", text ? text : "");
	pthread_mutex_lock(&a->lock);
	list_append(&a->events, &it->node);
	pthread_mutex_unlock(&a->lock);
	eventfd_write(a->event_fd, 1);
}

bool
agent_next(struct agent *a, struct agent_event *ret)
{
	struct event_item *it = NULL;
	eventfd_t n;

	pthread_mutex_lock(&a->lock);
	if (list_is_empty(&a->events))
		eventfd_read(a->event_fd, &n);
	else
		it = LIST_ENTRY(a->events.next, struct event_item, node);
	if (it)
		list_remove(&it->node);
	pthread_mutex_unlock(&a->lock);
	if (!it)
		return false;
	*ret = it->ev;
	free(it);
	return true;
}

int
agent_fd(const struct agent *a)
{
	return a->event_fd;
}

/* Sleeps; true when it is time to end. */
static bool
nap(struct agent *a, int ms)
{
	struct timespec until;
	bool stop;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += ms % 1000 * 1000000l;
	if (until.tv_nsec >= 1000000000l) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000l;
	}
	pthread_mutex_lock(&a->lock);
	while (!a->is_stopping && pthread_cond_timedwait(&a->changed, &a->lock, &until) == 0)
		;
	stop = a->is_stopping;
	pthread_mutex_unlock(&a->lock);
	return stop;
}

/* ---- HTTP ---- */

static size_t
on_body(char *p, size_t size, size_t n, void *arg)
{
	struct buf *b = arg;

	if (b->n + size * n > BODY_BYTES)
		return 0;
	buf_put(b, p, size * n);
	return size * n;
}

static int
on_progress(void *arg, curl_off_t dt, curl_off_t dn, curl_off_t ut, curl_off_t un)
{
	struct agent *a = arg;
	bool stop;

	pthread_mutex_lock(&a->lock);
	stop = a->is_stopping;
	pthread_mutex_unlock(&a->lock);
	return stop;
}

static CURL *
make_handle(struct agent *a, struct buf *answer)
{
	CURL *c = curl_easy_init();

	if (!c)
		return NULL;
	curl_easy_setopt(c, CURLOPT_CAINFO, a->ca);
	curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 2L);
	curl_easy_setopt(c, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	/* a resumed session would have the certificate of before */
	curl_easy_setopt(c, CURLOPT_SSL_SESSIONID_CACHE, 0L);
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "https");
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, 5L);
	curl_easy_setopt(c, CURLOPT_TIMEOUT, 60L);
	curl_easy_setopt(c, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(c, CURLOPT_PROXY, "");
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, answer);
	curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(c, CURLOPT_XFERINFODATA, a);
	return c;
}

/* A thread's connection under the node's certificate. */
struct link {
	struct buf in;
	CURL *handle;
	unsigned identity; /* it was made for */
};

static void
link_fini(struct link *l)
{
	curl_easy_cleanup(l->handle);
	buf_fini(&l->in);
}

/* A new certificate needs a new connection. False: out of memory, try again. */
static bool
link_ready(struct agent *a, struct link *l)
{
	unsigned identity;

	pthread_mutex_lock(&a->lock);
	identity = a->identity;
	pthread_mutex_unlock(&a->lock);
	if (l->handle && l->identity == identity)
		return true;
	curl_easy_cleanup(l->handle);
	l->handle = make_handle(a, &l->in);
	l->identity = identity;
	if (!l->handle)
		return false;
	curl_easy_setopt(l->handle, CURLOPT_SSLCERT, a->cert);
	curl_easy_setopt(l->handle, CURLOPT_SSLKEY, a->key);
	return true;
}

/* One request; body NULL is a GET. Returns the status, or negative. answer: JSON or NULL. */
static int
request(struct agent *a, CURL *c, struct buf *in, const char *path, const json_t *body,
	json_t **ret, struct err *e)
{
	AUTO_FREE char *url = mem_printf("%s%s", a->url, path);
	struct curl_slist *headers = NULL;
	char detail[CURL_ERROR_SIZE] = "";
	char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	long status = 0;
	CURLcode code;

	buf_reset(in);
	*ret = NULL;
	curl_easy_setopt(c, CURLOPT_URL, url);
	if (text) {
		headers = curl_slist_append(headers, "Content-Type: application/json");
		headers = curl_slist_append(headers, "Expect:");
		curl_easy_setopt(c, CURLOPT_POST, 1L);
		curl_easy_setopt(c, CURLOPT_POSTFIELDS, text);
		curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE, (long)strlen(text));
	} else {
		curl_easy_setopt(c, CURLOPT_HTTPGET, 1L);
	}
	curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(c, CURLOPT_ERRORBUFFER, detail);
	code = curl_easy_perform(c);
	curl_easy_setopt(c, CURLOPT_ERRORBUFFER, NULL);
	curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_setopt(c, CURLOPT_HTTPHEADER, NULL);
	curl_slist_free_all(headers);
	free(text);
	if (code != CURLE_OK)
		return err_set(e, -EIO, "%s", *detail ? detail : curl_easy_strerror(code));
	if (in->n)
		*ret = json_loadb((char *)in->p, in->n, JSON_REJECT_DUPLICATES, NULL);
	if (status < 200 || status > 299) {
		const char *m = json_string_value(
			json_object_get(json_object_get(*ret, "error"), "message"));

		err_set(e, -EPROTO, "status %ld%s%.150s", status, m ? ": " : "", m ? m : "");
		json_decref(*ret);
		*ret = NULL;
		return status == 401 || status == 403 ? -EACCES : -EPROTO;
	}
	return (int)status;
}

/* ---- The certificate ---- */

static int
take_certificate(struct agent *a, const json_t *answer, struct err *e)
{
	const char *cert = json_string_value(json_object_get(answer, "certificate"));
	int r = cert ? credential_write(a->cert, cert, strlen(cert), e)
		     : err_set(e, -EBADMSG, "the answer has no certificate");

	if (r < 0)
		return r;
	pthread_mutex_lock(&a->lock);
	a->identity++;
	pthread_mutex_unlock(&a->lock);
	return 0;
}

/* One request is made and sent until it is answered: the token is good for that one alone. */
static int
enrol(struct agent *a, struct err *e)
{
	AUTO_BUF in = { 0 };
	json_t *body, *answer = NULL;
	CURL *c;
	int r = 0;

	if (!a->token)
		return err_set(e, -ENOKEY, "no certificate, and no token to enrol with");
	if (!a->csr)
		r = credential_request(a->key, a->node, &a->csr, e);
	if (r < 0)
		return r;
	c = make_handle(a, &in);
	body = json_pack("{ssssss}", "node", a->node, "token", a->token, "csr", a->csr);
	r = request(a, c, &in, "/agent/v1/enrol", body, &answer, e);
	json_decref(body);
	curl_easy_cleanup(c);
	if (r >= 0)
		r = take_certificate(a, answer, e);
	json_decref(answer);
	if (r < 0)
		return err_wrap(e, r, "enrol");
	free(TAKE(a->csr));
	emit(a, AGENT_CERTIFICATE, NULL, "enrolled");
	return 0;
}

/* The present certificate is good until the new one is first used. */
static void
renew(struct agent *a, struct link *l)
{
	AUTO_FREE char *csr = NULL;
	json_t *body, *answer = NULL;
	struct err e = { 0 };
	int r;

	if (mono_now().us < a->renew_us)
		return;
	r = credential_request(a->key, a->node, &csr, &e);
	if (r == 0) {
		body = json_pack("{ss}", "csr", csr);
		r = request(a, l->handle, &l->in, "/agent/v1/renew", body, &answer, &e);
		json_decref(body);
	}
	if (r >= 0)
		r = take_certificate(a, answer, &e);
	json_decref(answer);
	a->renew_us = mono_now().us + RENEW_AGAIN_S * 1000000ll;
	if (r < 0)
		err_wrap(&e, r, "not renewed");
	emit(a, AGENT_CERTIFICATE, NULL, r < 0 ? e.text : "renewed");
}

/* Sees to the certificate. One that has run out, or that the controller refuses, is as good as none
 * when there is a token; tries with the one and with the other take turns. */
static int
see_to_certificate(struct agent *a, struct link *l, struct err *e)
{
	enum credential_state state = credential_state(a->cert, a->key, utc_now_us());
	int r;

	if (state == CREDENTIAL_NONE)
		return enrol(a, e);
	if ((state == CREDENTIAL_EXPIRED || a->is_refused) && a->token && !a->is_token_tried) {
		a->is_token_tried = true;
		r = enrol(a, e);
		a->is_refused = r < 0;
		return r;
	}
	a->is_token_tried = false;
	if (state == CREDENTIAL_DUE && link_ready(a, l))
		renew(a, l);
	return 0;
}

/* ---- The poll ---- */

static void
set_online(struct agent *a, bool is_online, const char *text)
{
	bool changed;

	pthread_mutex_lock(&a->lock);
	changed = a->is_online != is_online || (!is_online && text);
	a->is_online = is_online;
	pthread_cond_broadcast(&a->changed);
	pthread_mutex_unlock(&a->lock);
	if (changed)
		emit(a, is_online ? AGENT_ONLINE : AGENT_OFFLINE, NULL, text);
}

/* Waits until the owner has taken the last answer; its cursor, or NULL at the end. */
static char *
next_cursor(struct agent *a)
{
	char *cursor;

	pthread_mutex_lock(&a->lock);
	while (!a->is_stopping && !a->is_cursor_free)
		pthread_cond_wait(&a->changed, &a->lock);
	cursor = a->is_stopping ? NULL : mem_strdup(a->cursor);
	pthread_mutex_unlock(&a->lock);
	return cursor;
}

static int
poll_once(struct agent *a, CURL *c, struct buf *in, struct err *e)
{
	AUTO_FREE char *cursor = next_cursor(a);
	AUTO_FREE char *path = NULL;
	char *escaped;
	json_t *answer;
	int r;

	if (!cursor)
		return -ECANCELED;
	escaped = curl_easy_escape(c, cursor, 0);
	path = mem_printf("/agent/v1/poll?cursor=%s&wait=%d", escaped, WAIT_S);
	curl_free(escaped);
	r = request(a, c, in, path, NULL, &answer, e);
	if (r < 0)
		return r;
	if (!json_is_object(answer)) {
		json_decref(answer);
		return err_set(e, -EBADMSG, "the answer is not a JSON object");
	}
	set_online(a, true, NULL);
	pthread_mutex_lock(&a->lock);
	a->is_cursor_free = false;
	pthread_mutex_unlock(&a->lock);
	emit(a, AGENT_POLL, answer, NULL);
	return 0;
}

static void *
run_poller(void *arg)
{
	struct agent *a = arg;
	struct link l = { 0 };
	int backoff = BACKOFF_MIN_MS;

	for (;;) {
		struct err e = { 0 };
		int r = see_to_certificate(a, &l, &e);

		if (r == 0) {
			r = link_ready(a, &l) ? poll_once(a, l.handle, &l.in, &e) : -ENOMEM;
			a->is_refused = r == -EACCES;
		}
		if (r == -ECANCELED)
			break;
		if (r == 0) {
			backoff = BACKOFF_MIN_MS;
			continue;
		}
		set_online(a, false, e.text);
		if (nap(a, backoff))
			break;
		backoff = MIN(2 * backoff, BACKOFF_MAX_MS);
	}
	link_fini(&l);
	return NULL;
}

/* ---- Posts ---- */

enum post { POST_NONE, POST_REPORT, POST_ANSWER, POST_READINGS };

/* The next thing to post, answers first since somebody waits; POST_NONE at the end. */
static enum post
next_post(struct agent *a, json_t **ret)
{
	enum post p = POST_NONE;

	pthread_mutex_lock(&a->lock);
	while (!a->is_stopping &&
	       (!a->is_online || (list_is_empty(&a->answers) && !a->report && !a->readings)))
		pthread_cond_wait(&a->changed, &a->lock);
	if (!a->is_stopping && !list_is_empty(&a->answers)) {
		struct item *it = LIST_ENTRY(a->answers.next, struct item, node);

		list_remove(&it->node);
		a->n_answers--;
		*ret = it->body;
		free(it);
		p = POST_ANSWER;
	} else if (!a->is_stopping && a->report) {
		*ret = TAKE(a->report);
		p = POST_REPORT;
	} else if (!a->is_stopping) {
		*ret = json_incref(a->readings); /* stays until acknowledged or failed */
		p = POST_READINGS;
	}
	pthread_mutex_unlock(&a->lock);
	return p;
}

static void
clear_readings(struct agent *a)
{
	pthread_mutex_lock(&a->lock);
	json_decref(a->readings);
	a->readings = NULL;
	pthread_mutex_unlock(&a->lock);
}

/* A report that did not arrive is sent again unless a newer one waits. */
static void
keep_report(struct agent *a, json_t *body)
{
	pthread_mutex_lock(&a->lock);
	if (!a->report)
		a->report = json_incref(body);
	pthread_mutex_unlock(&a->lock);
}

static void *
run_poster(void *arg)
{
	static const char *const paths[] = { NULL, "/agent/v1/report", "/agent/v1/answer",
					     "/agent/v1/readings" };
	struct agent *a = arg;
	struct link l = { 0 };
	json_t *body, *answer = NULL;
	enum post p;

	while ((p = next_post(a, &body)) != POST_NONE) {
		struct err e = { 0 };
		int r = link_ready(a, &l) ? request(a, l.handle, &l.in, paths[p], body, &answer, &e)
					  : -ENOMEM;

		if (r < 0 && p == POST_REPORT && r != -EPROTO)
			keep_report(a, body);
		if (p == POST_READINGS)
			clear_readings(a);
		json_decref(body);
		if (r >= 0 && p == POST_READINGS && answer)
			emit(a, AGENT_ACKNOWLEDGED, TAKE(answer), NULL);
		json_decref(TAKE(answer));
		if (r < 0 && nap(a, 1000))
			break;
	}
	link_fini(&l);
	return NULL;
}

/* ---- The owner's calls ---- */

static char *
copy(const char *s)
{
	return s ? mem_strdup(s) : NULL;
}

int
agent_start(const struct agent_config *cfg, struct agent **ret, struct err *e)
{
	struct agent *a = mem_alloc(sizeof(*a));

	curl_global_init(CURL_GLOBAL_DEFAULT);
	a->url = copy(cfg->url);
	a->ca = copy(cfg->ca_file);
	a->cert = copy(cfg->cert_file);
	a->key = copy(cfg->key_file);
	a->token = copy(cfg->token);
	a->node = copy(cfg->node);
	a->cursor = mem_strdup(cfg->cursor ? cfg->cursor : "");
	a->is_cursor_free = true;
	list_init(&a->answers);
	list_init(&a->events);
	pthread_mutex_init(&a->lock, NULL);
	pthread_cond_init(&a->changed, NULL);
	a->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (a->event_fd < 0 || pthread_create(&a->poller, NULL, run_poller, a) != 0) {
		free(a);
		return err_set(e, -EAGAIN, "cannot start the agent");
	}
	if (pthread_create(&a->poster, NULL, run_poster, a) != 0)
		abort(); /* out of threads between two calls: as out of memory */
	*ret = a;
	return 0;
}

void
agent_stop(struct agent *a)
{
	struct agent_event ev;

	if (!a)
		return;
	pthread_mutex_lock(&a->lock);
	a->is_stopping = true;
	pthread_cond_broadcast(&a->changed);
	pthread_mutex_unlock(&a->lock);
	pthread_join(a->poller, NULL);
	pthread_join(a->poster, NULL);
	while (agent_next(a, &ev))
		json_decref(ev.body);
	LIST_FOR_SAFE(n, &a->answers)
	{
		struct item *it = LIST_ENTRY(n, struct item, node);

		json_decref(it->body);
		free(it);
	}
	json_decref(a->report);
	json_decref(a->readings);
	close(a->event_fd);
	if (a->token)
		mem_wipe(a->token, strlen(a->token));
	free(a->url);
	free(a->ca);
	free(a->cert);
	free(a->key);
	free(a->token);
	free(a->node);
	free(a->csr);
	free(a->cursor);
	free(a);
}

void
agent_set_cursor(struct agent *a, const char *cursor)
{
	pthread_mutex_lock(&a->lock);
	free(a->cursor);
	a->cursor = mem_strdup(cursor);
	a->is_cursor_free = true;
	pthread_cond_broadcast(&a->changed);
	pthread_mutex_unlock(&a->lock);
}

void
agent_report(struct agent *a, struct json_t *body)
{
	pthread_mutex_lock(&a->lock);
	json_decref(a->report);
	a->report = body;
	pthread_cond_broadcast(&a->changed);
	pthread_mutex_unlock(&a->lock);
}

void
agent_answer(struct agent *a, struct json_t *body)
{
	struct item *it = mem_alloc(sizeof(*it));

	it->body = body;
	pthread_mutex_lock(&a->lock);
	if (a->n_answers < ANSWERS) {
		list_append(&a->answers, &it->node);
		a->n_answers++;
		it = NULL;
	}
	pthread_cond_broadcast(&a->changed);
	pthread_mutex_unlock(&a->lock);
	if (it) {
		json_decref(it->body);
		free(it);
	}
}

bool
agent_readings(struct agent *a, struct json_t *body)
{
	bool taken;

	pthread_mutex_lock(&a->lock);
	taken = !a->readings;
	if (taken)
		a->readings = body;
	pthread_cond_broadcast(&a->changed);
	pthread_mutex_unlock(&a->lock);
	if (!taken)
		json_decref(body);
	return taken;
}
