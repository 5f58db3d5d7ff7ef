#include "http/streams.h"

#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"

#include <pthread.h>
#include <sys/epoll.h>

enum {
	MAX_TEXT = 256 << 10, /* waiting for one client, beside its first snapshot */
	SEND_SECONDS = 30,    /* to take it */
	BATCHES = 20,         /* of news at a tick */
	GONE = 256,           /* clients that left, seen at once */
};

struct stream {
	struct list link;    /* in streams.by_beat: all have the same interval, so it is in order */
	struct list sibling; /* in scope.streams */
	struct streams *all;
	struct scope *scope; /* NULL: not open */
	struct MHD_Connection *conn;
	int fd;
	struct arm_stream arm;
	const char *authorization;
	void *owner;
	struct mono next_beat;
	/* under streams.texts: */
	struct buf out;
	size_t sent; /* of out */
	bool is_parked, is_ending;
};

struct scope {
	char *fold;
	struct list streams;
};

struct streams {
	struct streams_config cfg;
	pthread_mutex_t registry, texts;
	struct list by_beat;
	struct map scopes;     /* fold -> struct scope * */
	struct map principals; /* oid -> number of open streams */
	int hung_up;           /* epoll: nobody reads the socket of a suspended connection */
	int64_t seq;           /* handed out; -1: not yet known */
	bool is_stopping;
	struct streams_count count;
};

struct streams *
streams_create(const struct streams_config *cfg)
{
	struct streams *all = mem_alloc(sizeof(*all));
	struct err e = { 0 };

	all->cfg = *cfg;
	all->seq = -1;
	all->hung_up = epoll_create1(EPOLL_CLOEXEC);
	pthread_mutex_init(&all->registry, NULL);
	pthread_mutex_init(&all->texts, NULL);
	list_init(&all->by_beat);
	/* From before the first stream on, nothing is missed. */
	if (arm_stream_news(cfg->engine, &all->seq, NULL, NULL, &e) < 0)
		log_warn("the log of events could not be read error=\"%s\"", e.text);
	return all;
}

void
streams_destroy(struct streams *all)
{
	if (!all)
		return;
	assert(list_is_empty(&all->by_beat));
	map_fini(&all->scopes);
	map_fini(&all->principals);
	if (all->hung_up >= 0)
		close(all->hung_up);
	pthread_mutex_destroy(&all->registry);
	pthread_mutex_destroy(&all->texts);
	free(all);
}

/* --- texts on their way ------------------------------------------------------------------------- */

/* Under texts: something waits, so the connection must run. Whether to resume it, after the lock. */
static bool
wake(struct stream *st)
{
	bool was_parked = st->is_parked;

	st->is_parked = false;
	return was_parked;
}

/* Only whoever has taken is_parked away resumes; until then the connection cannot end. */
static void
push(struct stream *st, const char *text, size_t n, bool is_last)
{
	struct streams *all = st->all;
	bool resumes, is_slow;

	pthread_mutex_lock(&all->texts);
	is_slow = st->out.n - st->sent + n > MAX_TEXT;
	if (!is_slow && !st->is_ending) {
		if (st->out.n == st->sent)
			all->cfg.deadline(st->owner, SEND_SECONDS);
		buf_put(&st->out, text, n);
		all->count.n_bytes += n;
	}
	st->is_ending |= is_last || is_slow;
	all->count.n_slow += is_slow;
	resumes = wake(st);
	pthread_mutex_unlock(&all->texts);
	if (resumes)
		MHD_resume_connection(st->conn);
}

/* Under texts. */
static ssize_t
take(struct stream *st, char *buf, size_t max)
{
	size_t n = MIN(st->out.n - st->sent, max);

	memcpy(buf, st->out.p + st->sent, n);
	st->sent += n;
	st->all->count.n_bytes -= n;
	if (st->sent == st->out.n) { /* a parked stream holds no text */
		buf_fini(&st->out);
		st->out = (struct buf){ 0 };
		st->sent = 0;
		st->all->cfg.deadline(st->owner, 0);
	}
	return (ssize_t)n;
}

static ssize_t
on_read(void *arg, uint64_t pos, char *buf, size_t max)
{
	struct stream *st = arg;
	ssize_t n = 0;

	pthread_mutex_lock(&st->all->texts);
	if (st->out.n > st->sent) {
		n = take(st, buf, max);
	} else if (st->is_ending || st->all->is_stopping) {
		n = MHD_CONTENT_READER_END_OF_STREAM;
	} else {
		MHD_suspend_connection(st->conn);
		st->is_parked = true;
	}
	pthread_mutex_unlock(&st->all->texts);
	return n;
}

struct MHD_Response *
stream_response(struct stream *st)
{
	struct MHD_Response *r =
		MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 1024, on_read, st, NULL);

	if (!r)
		return NULL;
	MHD_add_response_header(r, "Content-Type", "text/event-stream; charset=utf-8");
	MHD_add_response_header(r, "X-Accel-Buffering", "no");
	return r;
}

/* --- opening and closing ---------------------------------------------------------------------------- */

/* Under registry. */
static unsigned
principal_count(struct streams *all, const char *oid, int more)
{
	uintptr_t n = (uintptr_t)map_get_str(&all->principals, oid) + (uintptr_t)(intptr_t)more;

	if (more && n)
		map_put_str(&all->principals, oid, (void *)n);
	else if (more)
		map_remove_str(&all->principals, oid);
	return (unsigned)n;
}

static struct scope *
scope_get(struct streams *all, const char *fold)
{
	struct scope *sc = map_get_str(&all->scopes, fold);

	if (sc)
		return sc;
	sc = mem_alloc(sizeof(*sc));
	sc->fold = mem_strdup(fold);
	list_init(&sc->streams);
	map_put_str(&all->scopes, fold, sc);
	return sc;
}

static void
stream_register(struct stream *st)
{
	struct streams *all = st->all;
	struct epoll_event ev = { .events = EPOLLRDHUP | EPOLLET, .data.ptr = st };

	epoll_ctl(all->hung_up, EPOLL_CTL_ADD, st->fd, &ev);
	st->scope = scope_get(all, st->arm.scope);
	list_append(&st->scope->streams, &st->sibling);
	st->next_beat = mono_add_ms(mono_now(), all->cfg.beat_ms);
	list_append(&all->by_beat, &st->link);
	principal_count(all, st->arm.caller.oid, 1);
	all->count.n_open++;
	all->count.n_opened++;
}

struct opening {
	struct stream *st;
	arm_done_fn *done;
	void *arg;
};

static void
refuse_too_many(struct stream *st, struct arm_response *resp)
{
	struct arm_error e = { .arena = st->arm.arena };

	(void)arm_refuse(&e, 429, "TooManyRequests",
			 "%u event streams of yours are open, as many as one principal may have. "
			 "Close one first.",
			 st->all->cfg.per_principal);
	arm_response_fini(resp);
	*resp = (struct arm_response){ .status = 429, .body = arm_error_body(&e) };
	resp->headers[resp->n_headers++] = (struct arm_header){ "Retry-After", "10" };
}

static void
on_missed(void *arg, const struct arm_stream_event *ev)
{
	struct stream *st = arg;

	if (arm_stream_wants(&st->arm, ev))
		buf_put(&st->arm.text, ev->text, ev->len);
}

/* Under registry. What was handed out between the stream's first look and now; it may be more than
 * that, and then what is handed out next is not new to it. false: it could not be read. */
static bool
catch_up(struct stream *st)
{
	struct streams *all = st->all;
	int64_t seq = st->arm.seq;
	struct err e = { 0 };

	while (seq < all->seq) {
		int64_t before = seq;

		if (arm_stream_news(all->cfg.engine, &seq, on_missed, st, &e) < 0) {
			log_warn("events could not be read error=\"%s\"", e.text);
			return false;
		}
		if (seq == before) /* the rest was thrown away for its age */
			seq = all->seq;
		st->arm.seq = seq;
	}
	return true;
}

/* Under registry. */
static void
stream_start(struct stream *st, struct arm_response *resp)
{
	bool is_whole;

	if (principal_count(st->all, st->arm.caller.oid, 0) >= st->all->cfg.per_principal) {
		refuse_too_many(st, resp);
		return;
	}
	stream_register(st);
	is_whole = catch_up(st);
	pthread_mutex_lock(&st->all->texts);
	st->is_ending = !is_whole; /* he resumes from where that is */
	st->out = st->arm.text;
	st->arm.text = (struct buf){ 0 };
	st->all->count.n_bytes += st->out.n;
	pthread_mutex_unlock(&st->all->texts);
}

static void
on_opened(void *arg, struct arm_response *resp)
{
	struct opening *o = arg;
	struct stream *st = o->st;

	if (st->arm.is_open) {
		pthread_mutex_lock(&st->all->registry);
		stream_start(st, resp);
		pthread_mutex_unlock(&st->all->registry);
	}
	buf_fini(&st->arm.text);
	st->arm.text = (struct buf){ 0 };
	o->done(o->arg, resp);
}

void
stream_open(struct streams *all, struct stream **ret, struct MHD_Connection *conn,
	    struct arm_request *req, const char *last_event_id, void *owner, arm_done_fn *done,
	    void *arg)
{
	struct stream *st = mem_alloc(sizeof(*st));
	struct opening o = { st, done, arg };

	st->all = all;
	st->conn = conn;
	st->fd = MHD_get_connection_info(conn, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
	st->owner = owner;
	st->authorization = req->authorization;
	st->arm.arena = req->arena;
	st->arm.last_event_id = last_event_id;
	req->stream = &st->arm;
	*ret = st;
	arm_handle(all->cfg.engine, req, on_opened, &o);
}

bool
stream_is_open(const struct stream *st)
{
	return st && st->scope;
}

void
stream_close(struct stream *st)
{
	struct streams *all;

	if (!st)
		return;
	all = st->all;
	pthread_mutex_lock(&all->registry);
	if (st->scope) {
		epoll_ctl(all->hung_up, EPOLL_CTL_DEL, st->fd, NULL);
		list_remove(&st->link);
		list_remove(&st->sibling);
		if (list_is_empty(&st->scope->streams)) {
			map_remove_str(&all->scopes, st->scope->fold);
			free(st->scope->fold);
			free(st->scope);
		}
		principal_count(all, st->arm.caller.oid, -1);
		all->count.n_open--;
	}
	pthread_mutex_lock(&all->texts);
	all->count.n_bytes -= st->out.n - st->sent;
	pthread_mutex_unlock(&all->texts);
	pthread_mutex_unlock(&all->registry);
	buf_fini(&st->out);
	free(st);
}

/* --- handing out ------------------------------------------------------------------------------------ */

static void
hand_out(struct streams *all, const char *fold, const struct arm_stream_event *ev)
{
	struct scope *sc = map_get_str(&all->scopes, fold);

	if (!sc)
		return;
	LIST_FOR(it, &sc->streams)
	{
		struct stream *st = LIST_ENTRY(it, struct stream, sibling);

		if (!arm_stream_wants(&st->arm, ev))
			continue;
		push(st, ev->text, ev->len, false);
		all->count.n_events++;
	}
}

static void
on_event(void *arg, const struct arm_stream_event *ev)
{
	struct streams *all = arg;
	char scope[128];

	hand_out(all, ev->target, ev);
	snprintf(scope, sizeof(scope), "/subscriptions/%s", ev->sub);
	hand_out(all, scope, ev);
}

static void
news(struct streams *all)
{
	for (int i = 0; i < BATCHES; i++) {
		int64_t before = all->seq;
		struct err e = { 0 };

		if (arm_stream_news(all->cfg.engine, &all->seq, on_event, all, &e) < 0) {
			log_warn("events could not be read error=\"%s\"", e.text);
			return;
		}
		if (all->seq == before)
			return;
	}
}

/* Under registry. What has been handed out of the log counts as seen by everybody. */
static void
beat(struct stream *st)
{
	struct streams *all = st->all;
	AUTO_BUF text = { 0 };
	struct err e = { 0 };
	int r = arm_stream_check(all->cfg.engine, &st->arm, st->authorization, &e);

	if (r < 0) { /* the store is away; next time */
		log_warn("a stream's access could not be checked error=\"%s\"", e.text);
		return;
	}
	if (r > 0)
		arm_stream_heartbeat(all->cfg.engine, MAX(all->seq, st->arm.seq), &text);
	else
		arm_stream_end("The token has run out, or access was taken away.", &text);
	all->count.n_ended += r == 0;
	push(st, buf_str(&text), text.n, r == 0);
}

static void
beats(struct streams *all)
{
	struct mono now = mono_now();

	while (!list_is_empty(&all->by_beat)) {
		struct stream *st = LIST_ENTRY(all->by_beat.next, struct stream, link);

		if (!mono_is_due(st->next_beat, now))
			return;
		st->next_beat = mono_add_ms(now, all->cfg.beat_ms);
		list_remove(&st->link);
		list_append(&all->by_beat, &st->link);
		beat(st);
	}
}

/* A client that has gone would else count until the next heartbeat finds out. */
static void
gone(struct streams *all)
{
	struct epoll_event list[GONE];
	int n = epoll_wait(all->hung_up, list, GONE, 0);

	for (int i = 0; i < n; i++)
		push(list[i].data.ptr, "", 0, true);
}

void
streams_tick(struct streams *all)
{
	pthread_mutex_lock(&all->registry);
	gone(all);
	news(all);
	beats(all);
	pthread_mutex_unlock(&all->registry);
}

void
streams_stop(struct streams *all)
{
	static const char bye[] = "event: end\ndata: {\"reason\":\"The server stops.\"}\n\n";

	pthread_mutex_lock(&all->registry);
	pthread_mutex_lock(&all->texts);
	all->is_stopping = true;
	pthread_mutex_unlock(&all->texts);
	LIST_FOR(it, &all->by_beat)
	push(LIST_ENTRY(it, struct stream, link), bye, sizeof(bye) - 1, true);
	pthread_mutex_unlock(&all->registry);
}

struct streams_count
streams_count(struct streams *all)
{
	struct streams_count c;

	pthread_mutex_lock(&all->registry);
	pthread_mutex_lock(&all->texts);
	c = all->count;
	pthread_mutex_unlock(&all->texts);
	pthread_mutex_unlock(&all->registry);
	return c;
}
