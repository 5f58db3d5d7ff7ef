/* Peers as their owner sees them: transports handed in, timers, orders, creation. What a transport's
 * events do is in session.c. */
#include "bgp/internal.h"

enum { CONNECT_MS = 30000 };

/* The size the partial message needs to be looked at: its header, then all of it. */
static size_t
part_wants(const struct bgp_conn *c)
{
	size_t len = BGP_HEADER;

	if (c->n_part >= BGP_HEADER)
		len = (size_t)(c->part[16] << 8 | c->part[17]);
	return MIN(MAX(len, (size_t)BGP_HEADER), (size_t)BGP_MESSAGE_MAX);
}

/* Completes a message that was cut. False: c is gone. */
static bool
feed_part(struct bgp_conn *c, const uint8_t **p, size_t *n)
{
	while (c->n_part && *n) {
		size_t take = MIN(part_wants(c) - c->n_part, *n);
		ssize_t used;

		memcpy(c->part + c->n_part, *p, take);
		c->n_part += take;
		*p += take;
		*n -= take;
		if (c->n_part < part_wants(c))
			continue;
		used = conn_receive(c, c->part, c->n_part);
		if (used < 0)
			return false;
		if (used) {
			free(TAKE(c->part));
			c->n_part = 0;
		}
	}
	return true;
}

bool
bgp_conn_input(struct bgp_conn *c, const void *data, size_t n, struct mono now)
{
	struct bgp_peer *p = c->peer;
	const uint8_t *b = data;
	ssize_t used;
	bool lives = true;

	p->s->now = now;
	if (c->state < BGP_OPENSENT)
		return true; /* bytes before the owner said it is connected */
	if (!feed_part(c, &b, &n)) {
		lives = false;
	} else if (n) {
		used = conn_receive(c, b, n);
		lives = used >= 0;
		if (lives && (size_t)used < n) {
			c->part = mem_alloc(BGP_MESSAGE_MAX);
			c->n_part = n - (size_t)used;
			memcpy(c->part, b + used, c->n_part);
		}
	}
	speaker_schedule(p);
	return lives;
}

/* ---- the owner's transports ---- */

static void
dial(struct bgp_peer *p)
{
	const struct bgp_hooks *h = &p->s->cfg.hooks;
	struct bgp_conn *c = conn_take(p, true);

	p->retry = MONO_NEVER;
	if (!c)
		return;
	c->state = BGP_CONNECT;
	c->hold = peer_after_ms(p, CONNECT_MS);
	peer_show_state(p, "dialling");
	if (!h->dial || !h->dial(h->ctx, c)) {
		struct happening failed = { .why = "cannot dial" };

		conn_step(c, EV_TCP_DOWN, &failed);
	}
}

struct bgp_conn *
bgp_peer_accept(struct bgp_peer *p, struct mono now)
{
	struct happening replaced = { .why = "a newer transport came", .is_benign = true };
	struct happening up = { 0 };
	struct bgp_conn *c;

	p->s->now = now;
	if (!p->is_started || !mono_is_due(p->idle_until, now))
		return NULL;
	for (size_t i = 0; i < CONNS; i++) {
		c = &p->conns[i];
		if (c->peer && !c->is_dialled && c != p->main && c->state == BGP_OPENSENT)
			conn_step(c, EV_CLOSE, &replaced);
	}
	c = conn_take(p, false);
	if (!c)
		return NULL;
	c->state = BGP_CONNECT;
	conn_step(c, EV_TCP_UP, &up);
	speaker_schedule(p);
	return c;
}

void
bgp_conn_connected(struct bgp_conn *c, struct mono now)
{
	struct happening h = { 0 };

	c->peer->s->now = now;
	if (c->state != BGP_CONNECT)
		return;
	conn_step(c, EV_TCP_UP, &h);
	speaker_schedule(c->peer);
}

void
bgp_conn_closed(struct bgp_conn *c, const char *why, struct mono now)
{
	struct bgp_peer *p = c->peer;
	struct happening h = { .why = why };

	p->s->now = now;
	conn_step(c, EV_TCP_DOWN, &h);
	speaker_schedule(p);
}

const uint8_t *
bgp_conn_output(struct bgp_conn *c, size_t *ret_n)
{
	*ret_n = c->out.n - c->out_at;
	return *ret_n ? c->out.p + c->out_at : NULL;
}

void
bgp_conn_sent(struct bgp_conn *c, size_t n, struct mono now)
{
	struct bgp_peer *p = c->peer;

	p->s->now = now;
	assert(n <= c->out.n - c->out_at);
	c->out_at += n;
	if (n)
		c->send_hold = peer_after_ms(p, SEND_HOLD_MS);
	if (c->out_at == c->out.n) {
		c->send_hold = MONO_NEVER;
		c->out_at = 0;
		if (c->out.cap > BGP_MESSAGE_MAX)
			buf_fini(&c->out); /* an idle session holds no buffer */
		else
			buf_reset(&c->out);
	}
	if (c == p->main && c->out.n - c->out_at < OUT_HIGH / 2 && export_has_work(p))
		peer_wake(p);
}

struct bgp_peer *
bgp_conn_peer(const struct bgp_conn *c)
{
	return c->peer;
}

void *
bgp_conn_owner(const struct bgp_conn *c)
{
	return c->owner;
}

void
bgp_conn_set_owner(struct bgp_conn *c, void *owner)
{
	c->owner = owner;
}

/* ---- timers ---- */

struct mono
peer_due(const struct bgp_peer *p)
{
	struct mono due = mono_min(p->restart_until, p->stale_until);

	if (p->is_started && p->state == BGP_IDLE)
		due = mono_min(due, p->idle_until);
	due = mono_min(due, p->retry);
	for (size_t i = 0; i < CONNS; i++) {
		const struct bgp_conn *c = &p->conns[i];

		if (c->peer)
			due = mono_min(mono_min(due, c->hold),
				       mono_min(c->keepalive, c->send_hold));
	}
	return due;
}

static void
conn_timers(struct bgp_conn *c, struct mono now)
{
	struct happening h = { 0 };

	if (mono_is_due(c->send_hold, now)) { /* RFC 9687: the peer does not read */
		bgp_fault_set(&h.fault, BGP_ERR_SEND_HOLD, 0, NULL, 0);
		conn_step(c, EV_FAULT, &h);
	} else if (mono_is_due(c->hold, now)) {
		conn_step(c, EV_HOLD_EXPIRED, &h);
	} else if (mono_is_due(c->keepalive, now)) {
		conn_keepalive(c);
	}
}

void
peer_timers(struct bgp_peer *p, struct mono now)
{
	for (size_t i = 0; i < CONNS; i++)
		if (p->conns[i].peer)
			conn_timers(&p->conns[i], now);
	if (mono_is_due(p->restart_until, now))
		receive_purge(p, false); /* it did not come back in time */
	if (mono_is_due(p->stale_until, now))
		receive_purge(p, true); /* no End-of-RIB */
	peer_show_state(p, "idle hold time is over");
	if (!mono_is_due(p->retry, now))
		return;
	p->retry = MONO_NEVER;
	if (p->is_started && !p->cfg.is_passive && p->state <= BGP_ACTIVE &&
	    !conn_in(p, BGP_CONNECT, NULL))
		dial(p);
}

/* ---- orders ---- */

static void
shut(struct bgp_peer *p, uint8_t subcode, const char *text, struct mono now)
{
	struct happening h = { .is_final = true, .is_benign = true };
	uint8_t data[BGP_DATA_MAX] = { 0 };

	p->s->now = now;
	if (text && *text) { /* RFC 9003 */
		data[0] = (uint8_t)strnlen(text, BGP_DATA_MAX - 1);
		memcpy(data + 1, text, data[0]);
	}
	for (size_t i = 0; i < CONNS; i++) {
		if (!p->conns[i].peer)
			continue;
		memset(&h.fault, 0, sizeof(h.fault));
		h.why = NULL;
		bgp_fault_set(&h.fault, BGP_ERR_CEASE, subcode, data, data[0] ? data[0] + 1u : 0);
		conn_step(&p->conns[i], EV_FAULT, &h);
	}
	receive_purge(p, false); /* stale ones, too */
}

void
peer_drop(struct bgp_peer *p, const char *why)
{
	struct happening h = { .is_final = true, .why = why };

	bgp_fault_set(&h.fault, BGP_ERR_CEASE, BGP_CEASE_RESOURCES, NULL, 0);
	if (p->main)
		conn_step(p->main, EV_FAULT, &h);
	speaker_schedule(p);
}

void
bgp_peer_start(struct bgp_peer *p, struct mono now)
{
	p->s->now = now;
	if (p->is_started)
		return;
	p->is_started = true;
	p->n_failures = 0;
	p->idle_until = p->retry = now;
	peer_show_state(p, "started");
	speaker_schedule(p);
}

void
bgp_peer_stop(struct bgp_peer *p, const char *text, struct mono now)
{
	p->is_started = false;
	p->s->may_be_ready = true;
	shut(p, BGP_CEASE_SHUTDOWN, text, now);
	p->retry = p->idle_until = MONO_NEVER;
	peer_show_state(p, "stopped");
	speaker_schedule(p);
}

void
bgp_peer_reset(struct bgp_peer *p, const char *text, struct mono now)
{
	shut(p, BGP_CEASE_RESET, text, now);
	p->n_failures = 0;
	if (p->is_started)
		p->idle_until = p->retry = peer_after_ms(p, p->cfg.idle_hold_ms);
	peer_show_state(p, "reset");
	speaker_schedule(p);
}

void
bgp_peer_bfd_down(struct bgp_peer *p, struct mono now)
{
	struct happening h = { .is_final = true, .why = "BFD session down" };

	p->s->now = now;
	bgp_fault_set(&h.fault, BGP_ERR_CEASE, BGP_CEASE_BFD_DOWN, NULL, 0);
	if (p->main)
		conn_step(p->main, EV_FAULT, &h);
	receive_purge(p, false);
	speaker_schedule(p);
}

bool
bgp_peer_refresh(struct bgp_peer *p)
{
	struct buf *b;

	if (!p->main || !p->main->open.refresh)
		return false;
	b = conn_scratch(p->main);
	bgp_refresh_build(b, p->family);
	conn_send_built(p->main, b);
	return true;
}

void
bgp_peer_set_limit(struct bgp_peer *p, uint32_t max_prefixes, struct mono now)
{
	struct happening h = { .is_final = true, .why = "the limit was lowered" };

	p->s->now = now;
	p->cfg.max_prefixes = max_prefixes;
	if (!max_prefixes || p->n_prefixes <= max_prefixes || !p->main)
		return;
	bgp_fault_set(&h.fault, BGP_ERR_CEASE, BGP_CEASE_MAX_PREFIX, NULL, 0);
	conn_step(p->main, EV_FAULT, &h);
	speaker_schedule(p);
}

/* ---- life ---- */

static void
fill_defaults(struct bgp_peer_config *c, const struct bgp_speaker *s)
{
	if (!c->local_as.v)
		c->local_as = s->cfg.as;
	c->hold_s = c->hold_s ? c->hold_s : 180;
	c->min_hold_s = MAX(c->min_hold_s, 3);
	c->restart_s = MIN(c->restart_s ? c->restart_s : 120, 4095);
	c->stale_s = c->stale_s ? c->stale_s : 360;
	c->connect_retry_ms = c->connect_retry_ms ? c->connect_retry_ms : 5000;
	c->idle_hold_ms = c->idle_hold_ms ? c->idle_hold_ms : 1000;
	c->idle_hold_max_ms = c->idle_hold_max_ms ? c->idle_hold_max_ms : 60000;
	c->max_path = c->max_path ? c->max_path : 64;
}

static int
check_config(const struct bgp_speaker *s, const struct bgp_peer_config *c, struct err *e)
{
	if (c->local.family != NET_V4 || c->remote.family != NET_V4)
		return err_set(e, -EINVAL, "peer %s: local and remote address must be IPv4",
			       c->name);
	if (!c->remote_as.v)
		return err_set(e, -EINVAL, "peer %s: no remote AS", c->name);
	if (!c->table && c->remote_as.v != c->local_as.v)
		return err_set(e, -EINVAL, "peer %s: a fabric peer is of our own AS", c->name);
	if (c->table && c->remote_as.v == c->local_as.v)
		return err_set(e, -EINVAL, "peer %s: a customer has an AS of its own", c->name);
	if (c->table && c->table->s != s)
		return err_set(e, -EINVAL, "peer %s: the table is another speaker's", c->name);
	if (c->hold_s < c->min_hold_s)
		return err_set(e, -EINVAL, "peer %s: hold time below the least accepted", c->name);
	return 0;
}

static uint16_t
free_index(struct bgp_speaker *s)
{
	for (uint32_t i = 1; i < s->n_peer_at; i++)
		if (!s->peer_at[i])
			return (uint16_t)i;
	if (s->n_peer_at == MAX_PEERS)
		return 0;
	s->peer_at = mem_realloc(s->peer_at, (s->n_peer_at + 1) * sizeof(*s->peer_at));
	return (uint16_t)s->n_peer_at++;
}

struct bgp_peer *
bgp_peer_create(struct bgp_speaker *s, const struct bgp_peer_config *cfg, struct err *e)
{
	struct bgp_peer_config c = *cfg;
	struct bgp_peer *p;
	uint16_t index;

	c.name = c.name ? c.name : "";
	fill_defaults(&c, s);
	if (check_config(s, &c, e) < 0)
		return NULL;
	if (!(index = free_index(s))) {
		err_set(e, -ENOSPC, "peer %s: too many peers", c.name);
		return NULL;
	}
	p = mem_alloc(sizeof(*p));
	p->s = s;
	p->index = index;
	p->name = mem_strdup(c.name);
	p->cfg = c;
	p->cfg.name = p->name;
	p->is_external = c.remote_as.v != c.local_as.v;
	p->family = c.table ? BGP_IPV4 : BGP_VPNV4;
	p->retry = p->idle_until = p->restart_until = p->stale_until = p->due = MONO_NEVER;
	p->since = s->now;
	s->peer_at[index] = p;
	s->n_clients += !c.table && c.is_client;
	list_append(&s->peers, &p->node);
	list_append(c.table ? &c.table->peers : &s->fabric, &p->group_node);
	return p;
}

void
peer_free(struct bgp_peer *p)
{
	struct bgp_speaker *s = p->s;

	for (size_t i = 0; i < CONNS; i++)
		if (p->conns[i].peer)
			conn_free(&p->conns[i]);
	s->n_clients -= !p->cfg.table && p->cfg.is_client;
	s->peer_at[p->index] = NULL;
	list_remove(&p->node);
	list_remove(&p->group_node);
	list_remove(&p->work_node);
	free(p->name);
	free(p);
}

void
bgp_peer_destroy(struct bgp_peer *p, struct mono now)
{
	if (!p)
		return;
	p->is_started = false;
	p->s->may_be_ready = true;
	shut(p, BGP_CEASE_DECONFIGURED, NULL, now);
	p->retry = p->idle_until = MONO_NEVER;
	speaker_schedule(p); /* leaves the heap: nothing is due */
	peer_free(p);
}

void *
bgp_peer_owner(const struct bgp_peer *p)
{
	return p->cfg.owner;
}

const char *
bgp_peer_name(const struct bgp_peer *p)
{
	return p->name;
}

const struct bgp_peer_config *
bgp_peer_config(const struct bgp_peer *p)
{
	return &p->cfg;
}

/* Whether its routes are as complete as they will be (restarting speaker, RFC 4724 4.1). */
bool
peer_is_done(const struct bgp_peer *p)
{
	if (!p->is_started)
		return true;
	return p->main && (p->eor_received || !p->counts_for_deferral);
}
