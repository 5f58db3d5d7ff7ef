#include "http/server.h"

#include "http/clients.h"
#include "http/streams.h"

#include "base/buf.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/addr.h"

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <strings.h>
#include <sys/socket.h>

enum {
	MAX_BODY = 4 << 20,  /* of who has shown a token or a certificate */
	MAX_FORM = 64 << 10, /* of anybody: token requests, enrolments */
	MAX_LISTENERS = 8,
	POLL_SECONDS = 20,
	IDLE_SECONDS = 60,    /* between requests */
	REQUEST_SECONDS = 30, /* for TLS and the first headers; for a body */
	SEND_SECONDS = 120,   /* for the answer */
	MAX_PER_ADDRESS = 256,
	MAX_AGENTS_PER_ADDRESS = 1024, /* they may share one behind NAT */
	MAX_CONNECTIONS = 12000,
	MAX_STREAMS = 100, /* of one principal */
};

/* Bodies that are being read and handled, by who sends them: none of these takes another's room. */
enum body_pool { BODIES_OF_ANYBODY, BODIES_OF_AGENTS, BODIES_OF_PRINCIPALS, BODY_POOLS };

static const size_t max_bodies[BODY_POOLS] = {
	[BODIES_OF_ANYBODY] = 16 << 20,
	[BODIES_OF_AGENTS] = 64 << 20,
	[BODIES_OF_PRINCIPALS] = 256 << 20,
};

/* A connection, whatever it is doing, and until when it must have done it. A client that sends a
 * byte now and then never is idle, but it is late. */
struct conn {
	struct list link; /* in server.conns */
	int fd;
	struct addr network; /* counted in listener.clients */
	struct mono until;
};

enum call_state { CALL_READING, CALL_RUNNING, CALL_DONE };

struct call {
	struct list link; /* in server.queue, .parked or .running */
	struct http_server *s;
	struct MHD_Connection *conn;
	struct arena arena;
	bool is_agent;
	enum call_state state;
	struct conn *net;
	struct buf body;
	size_t limit, held; /* of the body: allowed; counted in server.bodies */
	enum body_pool pool;
	bool discards; /* what comes is not kept: nobody known sends it, or one of these: */
	bool is_too_large, is_starved;
	const char *method, *path;
	const char *node;      /* agents' listener, once known */
	struct stream *stream; /* what is answered goes on and on */
	struct mono parked_until;
	struct arm_request req;
	/* the answer */
	int status;
	char *text;         /* malloc()ed */
	const char *shared; /* instead of text: lives as long as the engine */
	size_t len;
	const char *type;
	struct arm_header headers[ARM_MAX_HEADERS];
	size_t n_headers;
	struct mono start;
};

struct listener {
	struct http_server *s;
	struct MHD_Daemon *daemon;
	bool is_agent;
	struct clients clients;
};

/* The servers' certificate and key; the ones before stay for handshakes under way. */
struct card {
	gnutls_pcert_st cert;
	gnutls_privkey_t key;
	struct card *before;
};

struct http_server {
	struct http_config cfg;
	struct streams *streams;
	struct card *card;
	struct listener listeners[MAX_LISTENERS];
	size_t n_listeners;
	pthread_mutex_t lock;
	pthread_cond_t work, idle;
	struct list queue, parked, running;
	struct list conns;
	size_t n_workers, n_calls;
	size_t bodies[BODY_POOLS]; /* bytes */
	pthread_t workers[64];
	bool is_stopping;
	uint64_t n_requests, n_refused, n_failed, n_polls, n_late;
	struct mono started;
};

/* --- answers ---------------------------------------------------------------------------------------- */

static void
call_resume(struct call *c)
{
	struct http_server *s = c->s;

	pthread_mutex_lock(&s->lock);
	list_remove(&c->link);
	c->state = CALL_DONE;
	pthread_mutex_unlock(&s->lock);
	MHD_resume_connection(c->conn);
}

static void
answer_json(struct call *c, int status, const json_t *body)
{
	c->status = status;
	c->type = "application/json; charset=utf-8";
	c->text = body ? json_dumps(body, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
	c->len = c->text ? strlen(c->text) : 0;
}

static void
answer_error(struct call *c, int status, const char *code, const char *message)
{
	json_t *j = json_pack("{s:{s:s, s:s}}", "error", "code", code, "message", message);

	answer_json(c, status, j);
	json_decref(j);
}

static void
arm_done(void *arg, struct arm_response *resp)
{
	struct call *c = arg;

	answer_json(c, resp->status, resp->body);
	if (resp->status == 204) {
		free(c->text);
		c->text = NULL;
		c->len = 0;
	}
	c->n_headers = resp->n_headers;
	memcpy(c->headers, resp->headers, sizeof(c->headers));
	arm_response_fini(resp);
	call_resume(c);
}

/* --- the API ------------------------------------------------------------------------------------------ */

static const char *
header(struct call *c, const char *name)
{
	return MHD_lookup_connection_value(c->conn, MHD_HEADER_KIND, name);
}

/* Parameters come still encoded (unescape_nothing()), but with '+' made a blank; put together again
 * what the engine wants to see. */
static enum MHD_Result
query_add(void *arg, enum MHD_ValueKind kind, const char *key, const char *value)
{
	struct buf *b = arg;

	if (b->n)
		buf_printf(b, "&");
	for (const char *p = key; *p; p++)
		buf_put(b, *p == ' ' ? "+" : p, 1);
	if (value)
		buf_printf(b, "=");
	for (const char *p = value; p && *p; p++)
		buf_put(b, *p == ' ' ? "+" : p, 1);
	return MHD_YES;
}

static int
metrics_nodes(struct store_tx *tx, void *arg, struct err *e)
{
	struct buf *b = arg;
	AUTO_ARENA a = { 0 };
	struct store_node *list;
	size_t n = 0;
	int r = store_node_list(tx, &a, NULL, 1000, &list, &n, e);

	buf_printf(b, "# TYPE wayleave_node_seen_seconds gauge\n");
	for (size_t i = 0; i < n && r >= 0; i++)
		if (list[i].seen_us)
			buf_printf(b, "wayleave_node_seen_seconds{node=\"%s\"} %lld\n",
				   list[i].name, (long long)(list[i].seen_us / 1000000));
	return r;
}

static void
metrics_streams(struct http_server *s, struct buf *b)
{
	const struct streams_count n = streams_count(s->streams);

	buf_printf(b,
		   "# TYPE wayleave_streams gauge\nwayleave_streams %zu\n"
		   "# TYPE wayleave_stream_bytes gauge\nwayleave_stream_bytes %zu\n"
		   "# TYPE wayleave_streams_total counter\nwayleave_streams_total %llu\n"
		   "# TYPE wayleave_stream_events_total counter\n"
		   "wayleave_stream_events_total %llu\n"
		   "# TYPE wayleave_streams_slow_total counter\nwayleave_streams_slow_total %llu\n"
		   "# TYPE wayleave_streams_denied_total counter\n"
		   "wayleave_streams_denied_total %llu\n",
		   n.n_open, n.n_bytes, (unsigned long long)n.n_opened,
		   (unsigned long long)n.n_events, (unsigned long long)n.n_slow,
		   (unsigned long long)n.n_ended);
}

static size_t
bodies_held(const struct http_server *s)
{
	size_t n = 0;

	for (size_t i = 0; i < BODY_POOLS; i++)
		n += s->bodies[i];
	return n;
}

static void
answer_metrics(struct call *c)
{
	struct http_server *s = c->s;
	AUTO_BUF b = { 0 };

	pthread_mutex_lock(&s->lock);
	buf_printf(
		&b,
		"# TYPE wayleave_http_requests_total counter\nwayleave_http_requests_total %llu\n"
		"# TYPE wayleave_http_refused_total counter\nwayleave_http_refused_total %llu\n"
		"# TYPE wayleave_http_failed_total counter\nwayleave_http_failed_total %llu\n"
		"# TYPE wayleave_agent_polls_total counter\nwayleave_agent_polls_total %llu\n"
		"# TYPE wayleave_http_late_total counter\nwayleave_http_late_total %llu\n"
		"# TYPE wayleave_http_calls gauge\nwayleave_http_calls %zu\n"
		"# TYPE wayleave_http_body_bytes gauge\nwayleave_http_body_bytes %zu\n"
		"# TYPE wayleave_store_scanned_rows_total counter\n"
		"wayleave_store_scanned_rows_total %llu\n",
		(unsigned long long)s->n_requests, (unsigned long long)s->n_refused,
		(unsigned long long)s->n_failed, (unsigned long long)s->n_polls,
		(unsigned long long)s->n_late, s->n_calls, bodies_held(s),
		(unsigned long long)store_scanned_rows(s->cfg.store));
	pthread_mutex_unlock(&s->lock);
	metrics_streams(s, &b);
	store_read(s->cfg.store, metrics_nodes, &b, NULL);
	c->status = 200;
	c->type = "text/plain; version=0.0.4";
	c->text = mem_strdup(buf_str(&b));
	c->len = strlen(c->text);
}

struct may {
	struct call *c;
	const struct arm_caller *caller;
	bool result;
};

static int
may_run(struct store_tx *tx, void *arg, struct err *e)
{
	struct may *w = arg;
	const struct arm_auth auth = identity_auth(w->c->s->cfg.identity);

	w->result =
		auth.may(auth.ctx, tx, &w->c->arena, w->caller, "Wayleave.Nodes/nodes/read", "/");
	return 0;
}

static int
authenticate(struct call *c, struct arm_caller *ret, struct arm_error *error)
{
	const struct arm_auth auth = identity_auth(c->s->cfg.identity);

	*error = (struct arm_error){ .arena = &c->arena };
	return auth.authenticate(auth.ctx, &c->arena, header(c, "Authorization"), utc_now_us(), ret,
				 error);
}

/* They name nodes: for who may read those. */
static void
answer_metrics_if_allowed(struct call *c)
{
	struct arm_caller caller;
	struct arm_error error;
	struct may w = { .c = c, .caller = &caller };
	struct err e = { 0 };

	if (authenticate(c, &caller, &error) < 0) {
		answer_error(c, error.status, error.code, error.message);
		c->headers[c->n_headers++] = (struct arm_header){ "WWW-Authenticate", "Bearer" };
	} else if (store_read(c->s->cfg.store, may_run, &w, &e) < 0) {
		answer_error(c, 503, "ServiceUnavailable", "Try again.");
	} else if (!w.result) {
		answer_error(c, 403, "AuthorizationFailed",
			     "Metrics are for who may read Wayleave.Nodes/nodes over '/'.");
	} else {
		answer_metrics(c);
	}
}

/* --- paths that are not resources' --------------------------------------------------------------------- */

/* Who answers what. Their bodies are small, and may come from anybody: they look at who sends them
 * themselves. */
static const struct other {
	bool (*is_path)(const char *path);
	void (*handle)(struct identity *id, const struct identity_request *rq,
		       struct identity_reply *ret);
} others[] = {
	{ identity_is_path, identity_handle },
	{ identity_is_directory_path, identity_directory },
};

static const struct other *
other_find(const char *path)
{
	for (size_t i = 0; i < COUNT(others); i++)
		if (others[i].is_path(path))
			return &others[i];
	return NULL;
}

static bool
other_path(struct call *c)
{
	const struct other *o = other_find(c->path);
	const struct identity_request rq = {
		.arena = &c->arena,
		.method = c->method,
		.path = c->path,
		.query = c->req.query,
		.body = c->req.body,
		.authorization = c->req.authorization,
		.cookie = header(c, "Cookie"),
		.origin = header(c, "Origin"),
		.if_match = c->req.if_match,
		.if_none_match = c->req.if_none_match,
		.remote = c->req.remote,
		.now_us = utc_now_us(),
	};
	struct identity_reply reply;

	if (!o)
		return false;
	o->handle(c->s->cfg.identity, &rq, &reply);
	if (reply.event)
		log_info("identity %s remote=%s", reply.event, rq.remote);
	c->status = reply.status;
	c->type = reply.type;
	c->text = reply.type && reply.text ? mem_strdup(reply.text) : NULL;
	c->len = c->text ? strlen(c->text) : 0;
	c->n_headers = reply.n_headers;
	memcpy(c->headers, reply.headers, reply.n_headers * sizeof(reply.headers[0]));
	return true;
}

/* Paths that need no token here. Returns whether it was one. */
static bool
open_path(struct call *c)
{
	const char *p = c->path;
	bool is_get = !strcmp(c->method, "GET");

	while (p[0] == '/' && p[1] == '/')
		p++;
	if (is_get && !strcmp(p, "/healthz")) {
		json_t *j = json_pack("{s:s}", "status", "ok");

		answer_json(c, 200, j);
		json_decref(j);
		return true;
	}
	if (is_get && !strcmp(p, "/readyz")) {
		struct err e = { 0 };

		if (store_ping(c->s->cfg.store, &e) < 0)
			answer_error(c, 503, "NotReady", "The store does not answer.");
		else
			answer_error(c, 200, "Ready", "ok");
		return true;
	}
	if (is_get && !strcmp(p, "/metrics")) {
		answer_metrics_if_allowed(c);
		return true;
	}
	if (is_get && !strcmp(p, "/openapi.json")) {
		c->status = 200;
		c->type = "application/json; charset=utf-8";
		c->shared = arm_openapi(c->s->cfg.engine, &c->len);
		return true;
	}
	return false;
}

static bool
method_parse(const char *m, enum arm_method *ret)
{
	static const char *const names[] = { "GET", "PUT", "PATCH", "DELETE", "POST", "HEAD" };

	for (size_t i = 0; i < COUNT(names); i++)
		if (!strcmp(m, names[i])) {
			*ret = (enum arm_method)i;
			return true;
		}
	return false;
}

static const char *
remote_text(struct call *c)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(c->conn, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	struct addr a;
	uint16_t port;
	char text[ADDR_TEXT];

	if (!info || !info->client_addr)
		return "";
	a = addr_from_sockaddr(info->client_addr, &port);
	return a.family ? arena_strdup(&c->arena, addr_format(&a, text)) : "";
}

static void
request_fill(struct call *c)
{
	AUTO_BUF q = { 0 };

	MHD_get_connection_values(c->conn, MHD_GET_ARGUMENT_KIND, query_add, &q);
	c->req.arena = &c->arena;
	c->req.path = c->path;
	c->req.query = arena_strdup(&c->arena, q.n ? buf_str(&q) : "");
	c->req.body = c->body.n ? buf_str(&c->body) : NULL;
	c->req.body_len = c->body.n;
	c->req.authorization = header(c, "Authorization");
	c->req.if_match = header(c, "If-Match");
	c->req.if_none_match = header(c, "If-None-Match");
	c->req.client_request_id = header(c, "x-ms-client-request-id");
	c->req.correlation_id = header(c, "x-ms-correlation-request-id");
	c->req.remote = remote_text(c);
}

/* --- the agents' listener --------------------------------------------------------------------------------- */

static const char *
client_cert(struct call *c)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(c->conn, MHD_CONNECTION_INFO_GNUTLS_SESSION);
	const gnutls_datum_t *certs;
	unsigned status = ~0u, n = 0;
	uint8_t d[32];
	size_t len = sizeof(d);
	char *out = arena_alloc(&c->arena, 65);

	if (!info)
		return NULL;
	certs = gnutls_certificate_get_peers(info->tls_session, &n);
	if (!certs || !n || gnutls_certificate_verify_peers2(info->tls_session, &status) < 0 ||
	    status)
		return NULL;
	if (gnutls_fingerprint(GNUTLS_DIG_SHA256, &certs[0], d, &len) < 0)
		return NULL;
	for (size_t i = 0; i < sizeof(d); i++)
		snprintf(out + i * 2, 3, "%02x", d[i]);
	return out;
}

static void
answer_failure(struct call *c, int r, const struct err *e)
{
	bool is_theirs = r == -EINVAL || r == -EPERM || r == -ENOENT;

	if (!is_theirs)
		log_error("agent request failed path=%s node=%s error=\"%s\"", c->path,
			  c->node ? c->node : "", e->text);
	answer_error(c,
		     r == -EPERM ? 403
		     : is_theirs ? 400
				 : 503,
		     r == -EPERM ? "Forbidden"
		     : is_theirs ? "BadRequest"
				 : "ServiceUnavailable",
		     is_theirs ? e->text : "Try again.");
}

/* A node has one poll at a time: an older one is answered, empty. s->lock is held. */
static void
parked_replace(struct http_server *s, const char *node)
{
	LIST_FOR_SAFE(it, &s->parked)
	{
		struct call *c = LIST_ENTRY(it, struct call, link);

		if (strcmp(c->node, node))
			continue;
		c->parked_until = (struct mono){ 0 };
		list_remove(&c->link);
		list_append(&s->queue, &c->link);
		pthread_cond_signal(&s->work);
	}
}

/* An answer now, or parked: true. */
static bool
agent_poll(struct call *c)
{
	struct http_server *s = c->s;
	json_t *out = NULL;
	bool is_news = false, parks;
	struct err e = { 0 };
	int r = arm_agent_poll(s->cfg.engine, c->node, arm_query(&c->arena, c->req.query, "cursor"),
			       &out, &is_news, &e);

	if (r < 0) {
		answer_failure(c, r, &e);
		return false;
	}
	pthread_mutex_lock(&s->lock);
	parks = !is_news && !s->is_stopping && !mono_is_due(c->parked_until, mono_now());
	if (parks) {
		parked_replace(s, c->node);
		list_remove(&c->link);
		list_append(&s->parked, &c->link);
	}
	pthread_mutex_unlock(&s->lock);
	if (!parks)
		answer_json(c, 200, out);
	json_decref(out);
	return parks;
}

static void
agent_post(struct call *c, const char *what, const json_t *body)
{
	struct arm_engine *en = c->s->cfg.engine;
	json_t *out = NULL;
	struct err e = { 0 };
	int r;

	if (!strcmp(what, "report"))
		r = arm_agent_report(en, c->node, body, &e);
	else if (!strcmp(what, "answer"))
		r = arm_agent_answer(en, c->node, body, &e);
	else if (!strcmp(what, "readings"))
		r = arm_agent_readings(en, c->node, body, &out, &e);
	else if (!strcmp(what, "renew"))
		r = nodes_renew(c->s->cfg.nodes, c->node, body, &out, &e);
	else
		return answer_error(c, 404, "NotFound", "There is nothing at this path.");
	if (r < 0)
		answer_failure(c, r, &e);
	else
		answer_json(c, out ? 200 : 204, out);
	json_decref(out);
}

static void
agent_enrol(struct call *c, const json_t *body)
{
	json_t *out = NULL;
	struct err e = { 0 };
	int r = nodes_enrol(c->s->cfg.nodes, body, &out, &e);

	if (r < 0)
		answer_failure(c, r, &e);
	else
		answer_json(c, 200, out);
	if (r == 0)
		log_info("node enrolled node=%s", arm_str(body, "node", ""));
	json_decref(out);
}

static long
poll_wait(struct call *c)
{
	const char *w = arm_query(&c->arena, c->req.query, "wait");
	long v = w ? strtol(w, NULL, 10) : POLL_SECONDS;

	return v < 0 ? 0 : MIN(v, POLL_SECONDS);
}

static bool
is_enrolment(const struct call *c)
{
	return !strcmp(c->path, "/agent/v1/enrol") && !strcmp(c->method, "POST");
}

/* Who asks? False: answered. */
static bool
agent_know(struct call *c)
{
	const char *cert = client_cert(c);
	struct err e = { 0 };
	int r = cert ? nodes_find(c->s->cfg.nodes, &c->arena, cert, &c->node, &e) : 0;

	if (r < 0)
		answer_failure(c, r, &e);
	else if (r == 0)
		answer_error(c, 401, "CertificateRequired",
			     "A certificate of an enrolled node is needed.");
	else
		c->parked_until = mono_add_ms(mono_now(), poll_wait(c) * 1000);
	return r > 0;
}

static void
agent_write(struct call *c, const char *what)
{
	struct arm_error bad = { .arena = &c->arena };
	json_t *body = NULL;

	if (c->req.body) {
		body = arm_body_parse(&c->arena, c->req.body, c->req.body_len, &bad);
		if (!body)
			return answer_error(c, bad.status, bad.code, bad.message);
	}
	if (is_enrolment(c))
		agent_enrol(c, body);
	else
		agent_post(c, what, body);
	json_decref(body);
}

/* true: parked */
static bool
agent_run(struct call *c)
{
	const char *what;

	if (strncmp(c->path, "/agent/v1/", 10)) {
		answer_error(c, 404, "NotFound", "This listener is for agents.");
		return false;
	}
	what = c->path + 10;
	if (!is_enrolment(c) && !c->node && !agent_know(c))
		return false;
	if (!strcmp(what, "poll") && !strcmp(c->method, "GET"))
		return agent_poll(c);
	if (strcmp(c->method, "POST"))
		answer_error(c, 405, "MethodNotAllowed", "That method is not offered here.");
	else
		agent_write(c, what);
	return false;
}

/* --- workers ------------------------------------------------------------------------------------------------- */

static const char *
last_event_id(struct call *c)
{
	const char *id = header(c, "Last-Event-ID");

	return id ? id : arm_query(&c->arena, c->req.query, "lastEventId");
}

/* Afterwards the call is answered, parked, or the engine answers it. */
static void
call_run(struct call *c)
{
	if (!c->is_agent && !strcmp(c->method, "GET") && arm_stream_is_path(c->path)) {
		c->req.method = ARM_GET;
		stream_open(c->s->streams, &c->stream, c->conn, &c->req, last_event_id(c), c,
			    arm_done, c);
		return;
	}
	if (c->is_agent) {
		if (!agent_run(c))
			call_resume(c);
		return;
	}
	if (open_path(c) || other_path(c)) {
		call_resume(c);
		return;
	}
	if (!method_parse(c->method, &c->req.method)) {
		answer_error(c, 405, "MethodNotAllowed", "That method is not offered here.");
		call_resume(c);
		return;
	}
	arm_handle(c->s->cfg.engine, &c->req, arm_done, c);
}

static void *
worker_main(void *arg)
{
	struct http_server *s = arg;

	for (;;) {
		struct call *c = NULL;

		pthread_mutex_lock(&s->lock);
		while (list_is_empty(&s->queue) && !s->is_stopping)
			pthread_cond_wait(&s->work, &s->lock);
		if (!list_is_empty(&s->queue)) {
			c = LIST_ENTRY(s->queue.next, struct call, link);
			list_remove(&c->link);
			list_append(&s->running, &c->link);
		}
		pthread_mutex_unlock(&s->lock);
		if (!c)
			return NULL;
		call_run(c);
	}
}

void
http_server_wake(struct http_server *s, const char *node)
{
	pthread_mutex_lock(&s->lock);
	LIST_FOR_SAFE(it, &s->parked)
	{
		struct call *c = LIST_ENTRY(it, struct call, link);

		if (node && strcmp(c->node, node))
			continue;
		list_remove(&c->link);
		list_append(&s->queue, &c->link);
		pthread_cond_signal(&s->work);
	}
	pthread_mutex_unlock(&s->lock);
}

/* Its thread sees the end and closes it. s->lock is held. */
static void
late_cut(struct http_server *s, struct mono now)
{
	LIST_FOR(it, &s->conns)
	{
		struct conn *n = LIST_ENTRY(it, struct conn, link);

		if (!mono_is_due(n->until, now))
			continue;
		shutdown(n->fd, SHUT_RDWR);
		n->until = MONO_NEVER;
		s->n_late++;
	}
}

void
http_server_tick(struct http_server *s)
{
	struct mono now = mono_now();

	arm_tick(s->cfg.engine);
	streams_tick(s->streams);
	pthread_mutex_lock(&s->lock);
	late_cut(s, now);
	LIST_FOR_SAFE(it, &s->parked)
	{
		struct call *c = LIST_ENTRY(it, struct call, link);

		if (!mono_is_due(c->parked_until, now))
			continue;
		list_remove(&c->link);
		list_append(&s->queue, &c->link);
		pthread_cond_signal(&s->work);
	}
	pthread_mutex_unlock(&s->lock);
}

/* --- libmicrohttpd -------------------------------------------------------------------------------------------- */

static void
conn_until(struct call *c, int seconds)
{
	if (!c->net)
		return;
	pthread_mutex_lock(&c->s->lock);
	c->net->until = seconds ? mono_add_ms(mono_now(), seconds * 1000LL) : MONO_NEVER;
	pthread_mutex_unlock(&c->s->lock);
}

static void
stream_deadline(void *call, int seconds)
{
	conn_until(call, seconds);
}

static enum MHD_Result
call_respond(struct call *c)
{
	bool is_stream = stream_is_open(c->stream);
	struct MHD_Response *r =
		is_stream ? stream_response(c->stream)
		: c->shared
			? MHD_create_response_from_buffer(c->len, (void *)c->shared,
							  MHD_RESPMEM_PERSISTENT)
			: MHD_create_response_from_buffer(c->len, c->text, MHD_RESPMEM_MUST_FREE);
	enum MHD_Result ok;

	if (!r)
		return MHD_NO;
	if (!is_stream)
		c->text = NULL;
	if (c->len && !is_stream)
		MHD_add_response_header(r, "Content-Type", c->type);
	for (size_t i = 0; i < c->n_headers; i++)
		MHD_add_response_header(r, c->headers[i].name, c->headers[i].value);
	MHD_add_response_header(r, "Strict-Transport-Security",
				"max-age=31536000; includeSubDomains");
	MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
	pthread_mutex_lock(&c->s->lock);
	c->s->n_requests++;
	c->s->n_refused += c->status >= 400 && c->status < 500;
	c->s->n_failed += c->status >= 500;
	c->s->n_polls += c->is_agent && c->node && strstr(c->path, "/poll") != NULL;
	pthread_mutex_unlock(&c->s->lock);
	conn_until(c, SEND_SECONDS);
	ok = MHD_queue_response(c->conn, (unsigned)c->status, r);
	MHD_destroy_response(r);
	return ok;
}

static enum MHD_Result
respond_now(struct call *c, int status, const char *code, const char *message)
{
	answer_error(c, status, code, message);
	c->state = CALL_DONE;
	return call_respond(c);
}

static enum MHD_Result
respond_too_large(struct call *c)
{
	return respond_now(c, 413, "RequestEntityTooLarge",
			   arena_printf(&c->arena, "The body is larger than %zu bytes.", c->limit));
}

static enum MHD_Result
respond_starved(struct call *c)
{
	c->headers[c->n_headers++] = (struct arm_header){ "Retry-After", "2" };
	return respond_now(c, 503, "ServiceUnavailable", "Too much is being sent. Try again.");
}

/* --- bodies: who may send how much ---- */

static bool
bodies_take(struct call *c, size_t n)
{
	bool ok;

	pthread_mutex_lock(&c->s->lock);
	ok = c->s->bodies[c->pool] + n <= max_bodies[c->pool];
	if (ok) {
		c->s->bodies[c->pool] += n;
		c->held += n;
	}
	pthread_mutex_unlock(&c->s->lock);
	return ok;
}

static void
bodies_give_back(struct call *c)
{
	pthread_mutex_lock(&c->s->lock);
	c->s->bodies[c->pool] -= c->held;
	c->held = 0;
	pthread_mutex_unlock(&c->s->lock);
}

/* A path where who is not known may send something. */
static bool
is_open_form(const struct call *c)
{
	if (c->is_agent)
		return is_enrolment(c);
	return other_find(c->path) != NULL;
}

static bool
is_known(struct call *c)
{
	return c->is_agent ? client_cert(c) != NULL
			   : identity_is_bearer(c->s->cfg.identity, header(c, "Authorization"),
						utc_now_us());
}

/* The headers are in; nothing of the body has been read. */
static enum MHD_Result
call_admit(struct call *c)
{
	const char *length = header(c, "Content-Length");
	unsigned long long n = length ? strtoull(length, NULL, 10) : 0;

	c->limit = MAX_FORM;
	if (!n && !header(c, "Transfer-Encoding"))
		return MHD_YES;
	c->pool = BODIES_OF_ANYBODY;
	if (!is_open_form(c)) {
		c->pool = c->is_agent ? BODIES_OF_AGENTS : BODIES_OF_PRINCIPALS;
		c->discards = !is_known(c); /* what answers 401 does not need it */
		c->limit = c->discards ? MAX_FORM : MAX_BODY;
	}
	if (c->discards && n > c->limit)
		return respond_now(c, 401, "AuthenticationFailed",
				   "Authentication failed; nothing was read.");
	return n > c->limit ? respond_too_large(c) : MHD_YES;
}

/* Room is taken for what has come, not for what was announced. */
static void
body_add(struct call *c, const char *data, size_t n)
{
	size_t all = c->body.n + n;

	if (c->discards)
		return;
	c->is_too_large = all > c->limit;
	c->is_starved = !c->is_too_large && all > c->held && !bodies_take(c, all - c->held);
	c->discards = c->is_too_large || c->is_starved;
	if (!c->discards) {
		buf_put(&c->body, data, n);
		return;
	}
	buf_reset(&c->body);
	bodies_give_back(c);
}

static void
call_start(struct call *c)
{
	struct http_server *s = c->s;

	request_fill(c);
	conn_until(c, 0);
	MHD_suspend_connection(c->conn);
	pthread_mutex_lock(&s->lock);
	c->state = CALL_RUNNING;
	list_append(&s->queue, &c->link);
	pthread_cond_signal(&s->work);
	pthread_mutex_unlock(&s->lock);
}

static struct call *
call_create(struct listener *l, struct MHD_Connection *conn, const char *url, const char *method)
{
	struct call *c = mem_alloc(sizeof(*c));
	const union MHD_ConnectionInfo *info;

	c->s = l->s;
	c->conn = conn;
	c->is_agent = l->is_agent;
	c->method = arena_strdup(&c->arena, method);
	c->path = arena_strdup(&c->arena, url);
	c->start = mono_now();
	info = MHD_get_connection_info(conn, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	c->net = info ? info->socket_context : NULL;
	conn_until(c, REQUEST_SECONDS);
	pthread_mutex_lock(&c->s->lock);
	c->s->n_calls++;
	pthread_mutex_unlock(&c->s->lock);
	return c;
}

static enum MHD_Result
on_request(void *arg, struct MHD_Connection *conn, const char *url, const char *method,
	   const char *version, const char *data, size_t *data_size, void **slot)
{
	struct call *c = *slot;

	if (!c) {
		c = *slot = call_create(arg, conn, url, method);
		return call_admit(c);
	}
	if (*data_size) {
		body_add(c, data, *data_size);
		*data_size = 0;
		return MHD_YES;
	}
	if (c->is_too_large && c->state == CALL_READING)
		return respond_too_large(c);
	if (c->is_starved && c->state == CALL_READING)
		return respond_starved(c);
	if (c->state == CALL_READING) {
		call_start(c);
		return MHD_YES;
	}
	return c->state == CALL_DONE ? call_respond(c) : MHD_YES;
}

static void
on_completed(void *arg, struct MHD_Connection *conn, void **slot,
	     enum MHD_RequestTerminationCode why)
{
	struct call *c = *slot;
	struct http_server *s;

	if (!c)
		return;
	s = c->s;
	bodies_give_back(c);
	stream_close(c->stream);
	conn_until(c, IDLE_SECONDS + REQUEST_SECONDS);
	buf_fini(&c->body);
	free(c->text);
	arena_reset(&c->arena);
	free(c);
	*slot = NULL;
	pthread_mutex_lock(&s->lock);
	s->n_calls--;
	pthread_cond_broadcast(&s->idle);
	pthread_mutex_unlock(&s->lock);
}

static enum MHD_Result
on_accept(void *arg, const struct sockaddr *sa, socklen_t len)
{
	struct listener *l = arg;
	const struct addr network = clients_network(sa);
	bool ok;

	pthread_mutex_lock(&l->s->lock);
	ok = clients_have_room(&l->clients, &network);
	pthread_mutex_unlock(&l->s->lock);
	return ok ? MHD_YES : MHD_NO;
}

static struct conn *
conn_create(struct MHD_Connection *conn)
{
	struct conn *n = mem_alloc(sizeof(*n));

	n->fd = MHD_get_connection_info(conn, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
	n->network = clients_network(
		MHD_get_connection_info(conn, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr);
	n->until = mono_add_ms(mono_now(), REQUEST_SECONDS * 1000LL);
	return n;
}

static void
on_connection(void *arg, struct MHD_Connection *conn, void **slot,
	      enum MHD_ConnectionNotificationCode what)
{
	struct listener *l = arg;
	struct http_server *s = l->s;
	struct conn *n = *slot;

	if (what == MHD_CONNECTION_NOTIFY_STARTED)
		n = *slot = conn_create(conn);
	pthread_mutex_lock(&s->lock);
	clients_count(&l->clients, &n->network, what == MHD_CONNECTION_NOTIFY_STARTED ? 1 : -1);
	if (what == MHD_CONNECTION_NOTIFY_STARTED)
		list_append(&s->conns, &n->link);
	else
		list_remove(&n->link);
	pthread_mutex_unlock(&s->lock);
	if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
		free(n);
		*slot = NULL;
	}
}

/* Keeps the path as it was sent: it is split before it is decoded. */
static size_t
unescape_nothing(void *arg, struct MHD_Connection *conn, char *s)
{
	return strlen(s);
}

static void PRINTF(2, 0) on_log(void *arg, const char *fmt, va_list ap)
{
	char line[512];

	vsnprintf(line, sizeof(line), fmt, ap);
	line[strcspn(line, "\r\n")] = '\0';
	log_debug("http \"%s\"", line);
}

/* GnuTLS asks without saying for whom: there is one server in a program. */
static struct card *card_now;

static int
card_show(gnutls_session_t session, const gnutls_datum_t *req_ca_rdn, int nreqs,
	  const gnutls_pk_algorithm_t *algorithms, int n_algorithms, gnutls_pcert_st **ret_cert,
	  unsigned *ret_n, gnutls_privkey_t *ret_key)
{
	struct card *card = __atomic_load_n(&card_now, __ATOMIC_ACQUIRE);

	*ret_cert = &card->cert;
	*ret_n = 1;
	*ret_key = card->key;
	return 0;
}

static int
card_load(struct card *card, const struct pki *p)
{
	const char *cert = pki_server_cert_pem(p), *key = pki_server_key_pem(p);
	const gnutls_datum_t c = { (unsigned char *)(uintptr_t)cert, (unsigned)strlen(cert) };
	const gnutls_datum_t k = { (unsigned char *)(uintptr_t)key, (unsigned)strlen(key) };
	int r = gnutls_privkey_init(&card->key);

	if (r == 0)
		r = gnutls_pcert_import_x509_raw(&card->cert, &c, GNUTLS_X509_FMT_PEM, 0);
	return r < 0 ? r
		     : gnutls_privkey_import_x509_raw(card->key, &k, GNUTLS_X509_FMT_PEM, NULL, 0);
}

static void
card_destroy(struct card *card)
{
	gnutls_pcert_deinit(&card->cert);
	gnutls_privkey_deinit(card->key);
	free(card);
}

int
http_server_reload(struct http_server *s, struct err *e)
{
	struct card *card = mem_alloc(sizeof(*card));
	int r = card_load(card, s->cfg.pki);

	if (r < 0) {
		card_destroy(card);
		return err_set(e, -EBADMSG, "the server's certificate: %s", gnutls_strerror(r));
	}
	card->before = s->card;
	s->card = card;
	__atomic_store_n(&card_now, card, __ATOMIC_RELEASE);
	return 0;
}

static int
listener_start(struct http_server *s, int fd, bool is_agent, struct err *e)
{
	struct listener *l = &s->listeners[s->n_listeners];
	const struct http_config *cfg = &s->cfg;
	unsigned max = cfg->max_connections ? cfg->max_connections : MAX_CONNECTIONS;
	unsigned each = cfg->max_per_address ? cfg->max_per_address : MAX_PER_ADDRESS;
	struct MHD_OptionItem options[] = {
		{ MHD_OPTION_LISTEN_SOCKET, fd, NULL },
		{ MHD_OPTION_CONNECTION_LIMIT, (intptr_t)max, NULL },
		{ MHD_OPTION_CONNECTION_TIMEOUT, IDLE_SECONDS, NULL },
		{ MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)on_completed, l },
		{ MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)on_connection, l },
		{ MHD_OPTION_UNESCAPE_CALLBACK, (intptr_t)unescape_nothing, NULL },
		{ MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)"NORMAL:-VERS-TLS1.0:-VERS-TLS1.1" },
		{ is_agent ? MHD_OPTION_HTTPS_MEM_TRUST : MHD_OPTION_END, 0,
		  (void *)pki_ca_pem(cfg->pki) },
		{ MHD_OPTION_END, 0, NULL },
	};

	assert(s->n_listeners < MAX_LISTENERS);
	l->s = s;
	l->is_agent = is_agent;
	l->clients.max = MIN(max, is_agent ? MAX_AGENTS_PER_ADDRESS : each);
	l->daemon = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_TLS |
					     MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG,
				     0, on_accept, l, on_request, l, MHD_OPTION_EXTERNAL_LOGGER,
				     on_log, NULL, MHD_OPTION_HTTPS_CERT_CALLBACK, card_show,
				     MHD_OPTION_ARRAY, options, MHD_OPTION_END);
	if (!l->daemon)
		return err_set(e, -EIO, "the HTTP server could not be started");
	s->n_listeners++;
	return 0;
}

int
http_server_start(const struct http_config *cfg, struct http_server **ret, struct err *e)
{
	struct http_server *s = mem_alloc(sizeof(*s));
	size_t n = cfg->n_workers ? MIN(cfg->n_workers, COUNT(s->workers)) : 8;
	const struct streams_config sc = {
		.engine = cfg->engine,
		.per_principal = cfg->max_streams ? cfg->max_streams : MAX_STREAMS,
		.beat_ms = POLL_SECONDS * 1000,
		.deadline = stream_deadline,
	};
	int r = 0;

	s->cfg = *cfg;
	s->started = mono_now();
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->work, NULL);
	pthread_cond_init(&s->idle, NULL);
	list_init(&s->queue);
	list_init(&s->parked);
	list_init(&s->running);
	list_init(&s->conns);
	s->streams = streams_create(&sc);
	*ret = s;
	r = http_server_reload(s, e);
	if (r < 0)
		return r;
	for (; s->n_workers < n; s->n_workers++)
		if (pthread_create(&s->workers[s->n_workers], NULL, worker_main, s))
			return err_set(e, -EAGAIN, "no thread for a worker");
	for (const int *fd = cfg->api_fds; fd && *fd >= 0 && r == 0; fd++)
		r = listener_start(s, *fd, false, e);
	for (const int *fd = cfg->agent_fds; fd && *fd >= 0 && r == 0; fd++)
		r = listener_start(s, *fd, true, e);
	return r;
}

void
http_server_stop(struct http_server *s)
{
	struct mono until = mono_add_ms(mono_now(), 15000);
	bool busy = true;

	if (!s)
		return;
	for (size_t i = 0; i < s->n_listeners; i++) {
		int fd = MHD_quiesce_daemon(s->listeners[i].daemon);

		if (fd >= 0)
			close(fd);
	}
	pthread_mutex_lock(&s->lock);
	s->is_stopping = true;
	pthread_mutex_unlock(&s->lock);
	http_server_wake(s, NULL);
	streams_stop(s->streams);
	while (busy &&
	       !mono_is_due(until,
			    mono_now())) { /* reads that wait for nodes finish by themselves */
		pthread_mutex_lock(&s->lock);
		pthread_cond_broadcast(&s->work);
		busy = !list_is_empty(&s->queue) || !list_is_empty(&s->running);
		pthread_mutex_unlock(&s->lock);
		arm_tick(s->cfg.engine);
		usleep(20000);
	}
	for (size_t i = 0; i < s->n_workers; i++)
		pthread_join(s->workers[i], NULL);
	for (size_t i = 0; i < s->n_listeners; i++) {
		MHD_stop_daemon(s->listeners[i].daemon);
		clients_fini(&s->listeners[i].clients);
	}
	streams_destroy(s->streams);
	pthread_mutex_destroy(&s->lock);
	pthread_cond_destroy(&s->work);
	pthread_cond_destroy(&s->idle);
	while (s->card) {
		struct card *before = s->card->before;

		card_destroy(s->card);
		s->card = before;
	}
	free(s);
}
