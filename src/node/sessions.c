#include "node/sessions.h"

#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"

#include <fcntl.h>
#include <netinet/tcp.h>

enum { READ_BYTES = 64 << 10, CONNS = 4 };

/* One transport. */
struct conn {
	uv_poll_t poll;
	int fd;
	struct bgp_conn *bgp;
	struct session *session;
	bool is_connecting;
	struct list dirty; /* has output that was not tried yet */
};

struct listener {
	uv_poll_t poll;
	int fd;
	struct sessions *sessions;
	struct session *session; /* NULL: the fabric's */
};

struct session {
	struct sessions *sessions;
	struct list node; /* in sessions->all */
	struct bgp_peer *peer;
	void *owner;
	uint32_t domain;
	uint8_t min_ttl;
	struct keeper_key key;
	struct listener *listener;
	struct conn *conns[CONNS];
};

struct sessions {
	uv_loop_t *loop;
	struct keeper *keeper;
	struct bgp_speaker *speaker;
	uv_timer_t timer;
	struct bgp_hooks hooks; /* the owner's */
	struct list all, dirty;
	struct listener *fabric;
	bool is_pumping;
	uint8_t buffer[READ_BYTES];
};

static void on_conn(uv_poll_t *p, int status, int events);

/* ---- Transports ---- */

static void
on_conn_closed(uv_handle_t *h)
{
	free(CONTAINER_OF((uv_poll_t *)h, struct conn, poll));
}

/* Forgets the transport; the engine has done so already or is about to. */
static void
conn_drop(struct conn *c)
{
	for (unsigned i = 0; i < CONNS; i++)
		if (c->session->conns[i] == c)
			c->session->conns[i] = NULL;
	list_remove(&c->dirty);
	uv_poll_stop(&c->poll);
	close(c->fd);
	uv_close((uv_handle_t *)&c->poll, on_conn_closed);
}

static struct conn *
conn_find(const struct bgp_conn *b)
{
	struct session *s = bgp_peer_owner(bgp_conn_peer(b));

	for (unsigned i = 0; i < CONNS; i++)
		if (s->conns[i] && s->conns[i]->bgp == b)
			return s->conns[i];
	return NULL;
}

static void
conn_watch(struct conn *c, bool wants_write)
{
	uv_poll_start(&c->poll,
		      (c->is_connecting ? 0 : UV_READABLE) | (wants_write ? UV_WRITABLE : 0),
		      on_conn);
}

/* Takes fd, also on failure. */
static struct conn *
conn_create(struct session *s, int fd, struct bgp_conn *b, bool is_connecting)
{
	struct conn *c;
	unsigned slot = 0;
	int one = 1;

	while (slot < CONNS && s->conns[slot])
		slot++;
	if (slot == CONNS) {
		close(fd);
		return NULL;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	c = mem_alloc(sizeof(*c));
	c->fd = fd;
	c->bgp = b;
	c->session = s;
	c->is_connecting = is_connecting;
	if (uv_poll_init(s->sessions->loop, &c->poll, fd) < 0) {
		close(fd);
		free(c);
		return NULL;
	}
	s->conns[slot] = c;
	conn_watch(c, is_connecting);
	return c;
}

/* Writes what the engine has, as far as the socket takes it. */
static void
conn_flush(struct conn *c)
{
	const uint8_t *p;
	size_t n;

	list_remove(&c->dirty);
	if (c->is_connecting)
		return;
	while ((p = bgp_conn_output(c->bgp, &n)) != NULL && n) {
		ssize_t w = send(c->fd, p, n, MSG_NOSIGNAL);

		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0) {
			/* a dead socket shows itself to the next read */
			conn_watch(c, errno == EAGAIN);
			return;
		}
		bgp_conn_sent(c->bgp, (size_t)w, mono_now());
	}
	conn_watch(c, false);
}

/* ---- The engine's hooks ---- */

static bool
on_dial(void *ctx, struct bgp_conn *b)
{
	struct sessions *ss = ctx;
	struct session *s = bgp_peer_owner(bgp_conn_peer(b));
	const struct bgp_peer_config *cfg = bgp_peer_config(bgp_conn_peer(b));
	struct keeper_dial d = {
		.domain = s->domain,
		.min_ttl = s->min_ttl,
		.local = cfg->local,
		.peer = cfg->remote,
		.key = s->key,
	};
	struct sockaddr_storage to;
	socklen_t len = addr_to_sockaddr(&cfg->remote, 179, &to);
	struct err e = { 0 };
	int fd, r = keeper_dial(ss->keeper, &d, &fd, &e);

	mem_wipe(&d.key, sizeof(d.key));
	if (r < 0) {
		log_warn("dial peer=%s error=\"%s\"", bgp_peer_name(bgp_conn_peer(b)), e.text);
		return false;
	}
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	if (connect(fd, (struct sockaddr *)&to, len) < 0 && errno != EINPROGRESS) {
		close(fd);
		return false;
	}
	return conn_create(s, fd, b, true) != NULL;
}

static void
on_close(void *ctx, struct bgp_conn *b, const uint8_t *last, size_t n)
{
	struct conn *c = conn_find(b);

	if (!c)
		return;
	if (n && !c->is_connecting && send(c->fd, last, n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		log_debug("last bytes not sent errno=%d", errno);
	conn_drop(c);
}

static void
on_output(void *ctx, struct bgp_conn *b)
{
	struct sessions *ss = ctx;
	struct conn *c = conn_find(b);

	if (c && !list_is_linked(&c->dirty))
		list_append(&ss->dirty, &c->dirty);
}

/* ---- The loop ---- */

static void on_timer(uv_timer_t *t);

/* Works off the engine's batch and its output, then sets the timer for the rest. */
static void
pump(struct sessions *ss)
{
	struct mono deadline, now = mono_now();
	int64_t ms;

	if (ss->is_pumping)
		return;
	ss->is_pumping = true;
	deadline = bgp_speaker_tick(ss->speaker, now);
	while (!list_is_empty(&ss->dirty))
		conn_flush(LIST_ENTRY(ss->dirty.next, struct conn, dirty));
	ss->is_pumping = false;
	ms = deadline.us == MONO_NEVER.us ? 3600000 : (deadline.us - mono_now().us + 999) / 1000;
	uv_timer_start(&ss->timer, on_timer, (uint64_t)MAX(ms, 0), 0);
}

static void
on_timer(uv_timer_t *t)
{
	pump(t->data);
}

void
sessions_kick(struct sessions *ss)
{
	if (!ss->is_pumping)
		uv_timer_start(&ss->timer, on_timer, 0, 0);
}

static void
conn_ended(struct conn *c, const char *why)
{
	struct bgp_conn *b = c->bgp;

	conn_drop(c);
	bgp_conn_closed(b, why, mono_now());
}

static void
on_conn(uv_poll_t *p, int status, int events)
{
	struct conn *c = CONTAINER_OF(p, struct conn, poll);
	struct sessions *ss = c->session->sessions;
	socklen_t len = sizeof(int);
	int error = 0;
	ssize_t n;

	if (c->is_connecting) {
		getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len);
		if (error) {
			conn_ended(c, strerror(error));
			pump(ss);
			return;
		}
		c->is_connecting = false;
		conn_watch(c, false);
		bgp_conn_connected(c->bgp, mono_now());
		pump(ss);
		return;
	}
	if (events & UV_WRITABLE)
		conn_flush(c);
	if ((events & UV_READABLE) || status < 0) {
		n = recv(c->fd, ss->buffer, sizeof(ss->buffer), MSG_DONTWAIT);
		if (n > 0)
			bgp_conn_input(c->bgp, ss->buffer, (size_t)n, mono_now());
		else if (n == 0)
			conn_ended(c, "closed by the peer");
		else if (errno != EAGAIN && errno != EINTR)
			conn_ended(c, strerror(errno));
	}
	pump(ss);
}

/* ---- Listeners ---- */

static struct session *
session_of(struct listener *l, const struct addr *from)
{
	if (l->session)
		return addr_equal(&bgp_peer_config(l->session->peer)->remote, from) ? l->session
										    : NULL;
	LIST_FOR(n, &l->sessions->all)
	{
		struct session *s = LIST_ENTRY(n, struct session, node);

		if (!s->domain && addr_equal(&bgp_peer_config(s->peer)->remote, from))
			return s;
	}
	return NULL;
}

static void
on_accept(uv_poll_t *p, int status, int events)
{
	struct listener *l = CONTAINER_OF(p, struct listener, poll);
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	int fd;

	/* several wait after a storm; bounded so that nobody starves */
	for (unsigned i = 0; i < 64; i++, len = sizeof(sa)) {
		struct session *s;
		struct bgp_conn *b;
		struct conn *c;
		struct addr from;

		fd = accept4(l->fd, (struct sockaddr *)&sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0)
			break;
		from = addr_from_sockaddr((struct sockaddr *)&sa, NULL);
		s = session_of(l, &from);
		b = s ? bgp_peer_accept(s->peer, mono_now()) : NULL;
		if (!b) {
			close(fd);
			continue;
		}
		c = conn_create(s, fd, b, false);
		if (!c)
			bgp_conn_closed(b, "too many transports", mono_now());
		else
			on_output(l->sessions, b); /* what it has said before we knew the socket */
	}
	pump(l->sessions);
}

static struct listener *
listener_create(struct sessions *ss, struct session *s, int fd, struct err *e)
{
	struct listener *l = mem_alloc(sizeof(*l));
	int r = uv_poll_init(ss->loop, &l->poll, fd);

	if (r < 0) {
		free(l);
		close(fd);
		err_set(e, r, "watch listener: %s", uv_strerror(r));
		return NULL;
	}
	l->fd = fd;
	l->sessions = ss;
	l->session = s;
	uv_poll_start(&l->poll, UV_READABLE, on_accept);
	return l;
}

static void
on_listener_closed(uv_handle_t *h)
{
	free(CONTAINER_OF((uv_poll_t *)h, struct listener, poll));
}

static void
listener_destroy(struct listener *l)
{
	if (!l)
		return;
	uv_poll_stop(&l->poll);
	close(l->fd);
	uv_close((uv_handle_t *)&l->poll, on_listener_closed);
}

int
sessions_fabric_listener(struct sessions *ss, int fd, struct err *e)
{
	listener_destroy(ss->fabric);
	ss->fabric = listener_create(ss, NULL, fd, e);
	return ss->fabric ? 0 : -EIO;
}

/* ---- Sessions ---- */

void
session_key(const char *md5, struct keeper_key *ret)
{
	size_t n = strlen(md5);

	assert(n <= KEEPER_KEY_MAX);
	*ret = (struct keeper_key){ .len = (uint8_t)n };
	memcpy(ret->b, md5, n);
}

int
session_create(struct sessions *ss, const struct session_config *cfg, struct session **ret,
	       struct err *e)
{
	struct session *s = mem_alloc(sizeof(*s));
	struct bgp_peer_config bgp = cfg->bgp;
	int r = -EINVAL;

	s->sessions = ss;
	s->owner = bgp.owner;
	s->domain = cfg->domain;
	s->min_ttl = cfg->min_ttl;
	session_key(cfg->md5, &s->key);
	bgp.owner = s;
	s->peer = bgp_peer_create(ss->speaker, &bgp, e);
	if (!s->peer) {
		if (cfg->listener >= 0)
			close(cfg->listener);
		free(s);
		return r;
	}
	list_append(&ss->all, &s->node);
	if (cfg->listener >= 0)
		s->listener = listener_create(ss, s, cfg->listener, e);
	if (cfg->listener >= 0 && !s->listener) {
		session_destroy(s);
		return -EIO;
	}
	bgp_peer_start(s->peer, mono_now());
	sessions_kick(ss);
	*ret = s;
	return 0;
}

void
session_destroy(struct session *s)
{
	if (!s)
		return;
	bgp_peer_destroy(s->peer, mono_now()); /* closes its transports by the hook */
	for (unsigned i = 0; i < CONNS; i++)
		if (s->conns[i])
			conn_drop(s->conns[i]);
	listener_destroy(s->listener);
	list_remove(&s->node);
	sessions_kick(s->sessions);
	mem_wipe(&s->key, sizeof(s->key));
	free(s);
}

struct bgp_peer *
session_peer(struct session *s)
{
	return s->peer;
}

void *
session_owner(const struct bgp_peer *p)
{
	return ((struct session *)bgp_peer_owner(p))->owner;
}

void
session_set_md5(struct session *s, const char *md5)
{
	mem_wipe(&s->key, sizeof(s->key));
	session_key(md5, &s->key);
}

void
session_reconnect(struct session *s, const char *why)
{
	for (unsigned i = 0; i < CONNS; i++)
		if (s->conns[i])
			conn_ended(s->conns[i], why);
	sessions_kick(s->sessions);
}

/* ---- All of it ---- */

static void
on_peer_changed(void *ctx, struct bgp_peer *p, enum bgp_state from, enum bgp_state to,
		const char *why)
{
	struct sessions *ss = ctx;

	ss->hooks.peer_changed(ss->hooks.ctx, p, from, to, why);
}

static void
on_route_changed(void *ctx, struct bgp_table *t, const struct prefix *prefix,
		 const struct bgp_path *paths, size_t n)
{
	struct sessions *ss = ctx;

	ss->hooks.route_changed(ss->hooks.ctx, t, prefix, paths, n);
}

static void
on_table_ready(void *ctx, struct bgp_table *t)
{
	struct sessions *ss = ctx;

	ss->hooks.table_ready(ss->hooks.ctx, t);
}

static void
on_prefix_warning(void *ctx, struct bgp_peer *p, unsigned percent, uint32_t n, uint32_t limit)
{
	struct sessions *ss = ctx;

	ss->hooks.prefix_warning(ss->hooks.ctx, p, percent, n, limit);
}

static bool
on_accept_vpn(void *ctx, struct bgp_peer *p, struct rd rd, const struct prefix *prefix,
	      const struct ext_community *rts, size_t n_rts)
{
	struct sessions *ss = ctx;

	return ss->hooks.accept_vpn(ss->hooks.ctx, p, rd, prefix, rts, n_rts);
}

struct sessions *
sessions_create(uv_loop_t *loop, struct keeper *keeper, const struct bgp_speaker_config *cfg)
{
	struct sessions *ss = mem_alloc(sizeof(*ss));
	struct bgp_speaker_config c = *cfg;

	ss->loop = loop;
	ss->keeper = keeper;
	ss->hooks = cfg->hooks;
	list_init(&ss->all);
	list_init(&ss->dirty);
	c.hooks = (struct bgp_hooks){
		.ctx = ss,
		.dial = on_dial,
		.close = on_close,
		.output = on_output,
		.peer_changed = cfg->hooks.peer_changed ? on_peer_changed : NULL,
		.route_changed = cfg->hooks.route_changed ? on_route_changed : NULL,
		.table_ready = cfg->hooks.table_ready ? on_table_ready : NULL,
		.prefix_warning = cfg->hooks.prefix_warning ? on_prefix_warning : NULL,
		.accept_vpn = cfg->hooks.accept_vpn ? on_accept_vpn : NULL,
	};
	ss->speaker = bgp_speaker_create(&c, mono_now());
	uv_timer_init(loop, &ss->timer);
	ss->timer.data = ss;
	sessions_kick(ss);
	return ss;
}

struct bgp_speaker *
sessions_speaker(struct sessions *ss)
{
	return ss->speaker;
}

static void
on_sessions_closed(uv_handle_t *h)
{
	free(h->data);
}

void
sessions_destroy(struct sessions *ss)
{
	if (!ss)
		return;
	bgp_speaker_destroy(ss->speaker);
	LIST_FOR_SAFE(n, &ss->all)
	{
		struct session *s = LIST_ENTRY(n, struct session, node);

		for (unsigned i = 0; i < CONNS; i++)
			if (s->conns[i])
				conn_drop(s->conns[i]);
		listener_destroy(s->listener);
		mem_wipe(&s->key, sizeof(s->key));
		free(s);
	}
	listener_destroy(ss->fabric);
	uv_timer_stop(&ss->timer);
	uv_close((uv_handle_t *)&ss->timer, on_sessions_closed);
}
