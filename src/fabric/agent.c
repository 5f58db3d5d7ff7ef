/* Two threads: one holds the parked poll, one posts. They share a mutex, the outgoing slots and the
 * queue of events; an eventfd wakes the owner. libcurl handles belong to their threads. */
#include "fabric/agent.h"

#include "base/buf.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/mono.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <jansson.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/stat.h>

enum {
	BODY_BYTES = 64 << 20, /* a snapshot of a large edge */
	ANSWERS = 256,
	WAIT_S = 20,
	BACKOFF_MIN_MS = 500,
	BACKOFF_MAX_MS = 30000,
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
	bool is_stopping, is_online, is_enrolled;
	char *cursor;        /* the next poll's; taken over by the owner */
	bool is_cursor_free; /* the owner has taken the last poll's answer */
	json_t *report, *readings;
	struct list answers, events;
	unsigned n_answers;
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

static void
use_certificate(struct agent *a, CURL *c)
{
	curl_easy_setopt(c, CURLOPT_SSLCERT, a->cert);
	curl_easy_setopt(c, CURLOPT_SSLKEY, a->key);
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

/* ---- Enrolment ---- */

static int
write_private(const char *path, const char *text, size_t n, struct err *e)
{
	AUTO_FREE char *tmp = mem_printf("%s.new", path);
	AUTO_CLOSE fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || write(fd, text, n) != (ssize_t)n || fsync(fd) < 0 || rename(tmp, path) < 0)
		return err_errno(e, "%s", path);
	return 0;
}

static int
bio_text(BIO *b, char **ret)
{
	char *p;
	long n = BIO_get_mem_data(b, &p);

	*ret = mem_alloc((size_t)n + 1);
	memcpy(*ret, p, (size_t)n);
	return (int)n;
}

/* A P-256 key in key_file and its CSR with CN = node. */
static int
make_csr(struct agent *a, char **ret, struct err *e)
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	X509_REQ *req = X509_REQ_new();
	BIO *bk = BIO_new(BIO_s_mem()), *br = BIO_new(BIO_s_mem());
	X509_NAME *name = req ? X509_REQ_get_subject_name(req) : NULL;
	char *text = NULL;
	int r = -EIO, n;

	if (key && name &&
	    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const uint8_t *)a->node, -1, -1,
				       0) &&
	    X509_REQ_set_pubkey(req, key) && X509_REQ_sign(req, key, EVP_sha256()) &&
	    PEM_write_bio_PKCS8PrivateKey(bk, key, NULL, NULL, 0, NULL, NULL) &&
	    PEM_write_bio_X509_REQ(br, req)) {
		n = bio_text(bk, &text);
		r = write_private(a->key, text, (size_t)n, e);
		mem_wipe(text, (size_t)n);
		bio_text(br, ret);
	} else {
		err_set(e, r, "cannot make a key and its request");
	}
	free(text);
	BIO_free(bk);
	BIO_free(br);
	X509_REQ_free(req);
	EVP_PKEY_free(key);
	return r;
}

static int
enrol(struct agent *a, struct err *e)
{
	AUTO_BUF in = { 0 };
	AUTO_FREE char *csr = NULL;
	json_t *body, *answer = NULL;
	const char *cert;
	CURL *c;
	int r;

	if (access(a->cert, R_OK) == 0 && access(a->key, R_OK) == 0)
		return 0;
	if (!a->token)
		return err_set(e, -ENOKEY, "no certificate, and no token to enrol with");
	r = make_csr(a, &csr, e);
	if (r < 0)
		return r;
	c = make_handle(a, &in);
	body = json_pack("{ssssss}", "node", a->node, "token", a->token, "csr", csr);
	r = request(a, c, &in, "/agent/v1/enrol", body, &answer, e);
	json_decref(body);
	curl_easy_cleanup(c);
	cert = json_string_value(json_object_get(answer, "certificate"));
	if (r >= 0)
		r = cert ? write_private(a->cert, cert, strlen(cert), e)
			 : err_set(e, -EBADMSG, "the answer has no certificate");
	json_decref(answer);
	return r < 0 ? err_wrap(e, r, "enrol") : 0;
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
	AUTO_BUF in = { 0 };
	CURL *c = make_handle(a, &in);
	int backoff = BACKOFF_MIN_MS;

	use_certificate(a, c);
	for (;;) {
		struct err e = { 0 };
		int r = a->is_enrolled ? 0 : enrol(a, &e);

		if (r == 0) {
			a->is_enrolled = true;
			r = poll_once(a, c, &in, &e);
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
	curl_easy_cleanup(c);
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
	AUTO_BUF in = { 0 };
	CURL *c = make_handle(a, &in);
	json_t *body, *answer;
	enum post p;

	use_certificate(a, c);
	while ((p = next_post(a, &body)) != POST_NONE) {
		struct err e = { 0 };
		int r = request(a, c, &in, paths[p], body, &answer, &e);

		if (r < 0 && p == POST_REPORT && r != -EPROTO)
			keep_report(a, body);
		if (p == POST_READINGS)
			clear_readings(a);
		json_decref(body);
		if (r >= 0 && p == POST_READINGS && answer)
			emit(a, AGENT_ACKNOWLEDGED, TAKE(answer), NULL);
		json_decref(answer);
		if (r < 0 && nap(a, 1000))
			break;
	}
	curl_easy_cleanup(c);
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
