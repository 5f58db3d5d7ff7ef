/* The state machine of RFC 4271 8, per transport as 8.2.1 has it, and the messages that drive it.
 *
 *   dialled:  IDLE -> CONNECT -> OPENSENT -> OPENCONFIRM -> ESTABLISHED
 *   accepted:            IDLE -> OPENSENT -> OPENCONFIRM -> ESTABLISHED
 *
 * Every other arrow leads to IDLE, which frees the transport. What a peer shows as its state is
 * that of its best transport; with none it is ACTIVE while it waits for the retry timer or a
 * caller, IDLE while it is stopped or held back after an error.
 *
 * All transitions are in one table. Whether an OPEN is acceptable and who wins a collision (6.8)
 * is decided before the event is raised, so actions cannot fail.
 *
 * Graceful restart, helper side (RFC 4724 4.2, 8538): on loss the routes stay as stale (the peer's
 * epoch moves on; no route is touched) until its restart time; after its return until End-of-RIB
 * or stale_s; then those still of an older epoch are swept. */
#include "bgp/internal.h"

enum {
	JITTER_PERCENT = 25,
	GOOD_UPTIME_MS = 60000,
	OPEN_HOLD_MS = 240000,
};

/* ---- small things ---- */

struct mono
peer_after_ms(const struct bgp_peer *p, int64_t ms)
{
	return mono_add_ms(p->s->now, ms);
}

static int64_t
jittered(struct bgp_peer *p, int64_t ms)
{
	return ms - ms * speaker_random(p->s, JITTER_PERCENT) / 100;
}

void
conn_send(struct bgp_conn *c, const void *p, size_t n)
{
	const struct bgp_hooks *h = &c->peer->s->cfg.hooks;
	bool was_empty = c->out_at == c->out.n;

	if (was_empty)
		c->send_hold = peer_after_ms(c->peer, SEND_HOLD_MS); /* RFC 9687 */
	if (c->out_at && c->out_at >= c->out.n / 2) {
		buf_drop(&c->out, c->out_at);
		c->out_at = 0;
	}
	buf_put(&c->out, p, n);
	c->peer->n_out++;
	if (was_empty && h->output)
		h->output(h->ctx, c);
}

void
conn_send_built(struct bgp_conn *c, struct buf *b)
{
	conn_send(c, b->p, b->n);
	buf_reset(b);
}

struct buf *
conn_scratch(struct bgp_conn *c)
{
	buf_reset(&c->peer->s->scratch);
	return &c->peer->s->scratch;
}

static void
send_notification(struct bgp_conn *c, const struct bgp_fault *f)
{
	struct buf *b = conn_scratch(c);

	bgp_notification_build(b, f);
	conn_send_built(c, b);
}

void
conn_keepalive(struct bgp_conn *c)
{
	struct buf *b = conn_scratch(c);

	bgp_keepalive_build(b);
	conn_send_built(c, b);
	if (c->keepalive_s) /* RFC 4271 10: jitter */
		c->keepalive = peer_after_ms(c->peer, jittered(c->peer, c->keepalive_s * 1000));
}

static void
restart_hold(struct bgp_conn *c)
{
	c->hold = c->hold_s ? peer_after_ms(c->peer, c->hold_s * 1000) : MONO_NEVER;
}

static void
remember(struct bgp_peer *p, const struct bgp_fault *f, bool sent, const char *why)
{
	char text[256] = "";

	if (f && f->code) {
		bool hard = f->code == BGP_ERR_CEASE && f->subcode == BGP_CEASE_HARD_RESET &&
			    f->n >= 2;

		bgp_fault_text(f, text, sizeof(text));
		p->last_code = hard ? f->data[0] : f->code; /* what is meant is inside */
		p->last_subcode = hard ? f->data[1] : f->subcode;
		p->last_was_sent = sent;
		snprintf(p->last_error, sizeof(p->last_error), "%s %s%s%s",
			 sent ? "sent" : "received", text, why ? ": " : "", why ? why : "");
	} else {
		snprintf(p->last_error, sizeof(p->last_error), "%s",
			 why ? why : "transport closed");
	}
}

/* The state people see, and the hook when it moves. */
void
peer_show_state(struct bgp_peer *p, const char *why)
{
	const struct bgp_hooks *h = &p->s->cfg.hooks;
	enum bgp_state from = p->state, to = BGP_IDLE;

	for (size_t i = 0; i < CONNS; i++)
		if (p->conns[i].peer)
			to = MAX(to, p->conns[i].state);
	if (to == BGP_IDLE && p->is_started && mono_is_due(p->idle_until, p->s->now))
		to = BGP_ACTIVE;
	if (from == to)
		return;
	p->state = to;
	if ((from == BGP_ESTABLISHED) != (to == BGP_ESTABLISHED))
		p->since = p->s->now;
	if (h->peer_changed)
		h->peer_changed(h->ctx, p, from, to, why ? why : "");
}

/* ---- transports ---- */

struct bgp_conn *
conn_take(struct bgp_peer *p, bool is_dialled)
{
	for (size_t i = 0; i < CONNS; i++) {
		struct bgp_conn *c = &p->conns[i];

		if (c->peer)
			continue;
		*c = (struct bgp_conn){ .peer = p,
					.is_dialled = is_dialled,
					.hold = MONO_NEVER,
					.keepalive = MONO_NEVER,
					.send_hold = MONO_NEVER };
		return c;
	}
	return NULL;
}

void
conn_free(struct bgp_conn *c)
{
	buf_fini(&c->out);
	free(c->part);
	*c = (struct bgp_conn){ 0 };
}

/* Frees the transport; the owner hears of it unless it was he who told us. */
static void
conn_close(struct bgp_conn *c, bool tell)
{
	const struct bgp_hooks *h = &c->peer->s->cfg.hooks;

	if (tell && h->close)
		h->close(h->ctx, c, c->out.n > c->out_at ? c->out.p + c->out_at : NULL,
			 c->out.n - c->out_at);
	conn_free(c);
}

struct bgp_conn *
conn_in(struct bgp_peer *p, enum bgp_state state, const struct bgp_conn *not_this)
{
	for (size_t i = 0; i < CONNS; i++)
		if (p->conns[i].peer && p->conns[i].state == state && &p->conns[i] != not_this)
			return &p->conns[i];
	return NULL;
}

static bool
has_conn(const struct bgp_peer *p)
{
	for (size_t i = 0; i < CONNS; i++)
		if (p->conns[i].peer)
			return true;
	return false;
}

/* ---- sessions come and go ---- */

static void
make_open(const struct bgp_peer *p, struct bgp_open *o)
{
	const struct bgp_speaker *s = p->s;
	uint8_t family = (uint8_t)(1 << p->family);

	*o = (struct bgp_open){
		.as = p->cfg.local_as,
		.hold = p->cfg.hold_s,
		.id = s->cfg.router_id,
		.as4 = true,
		.refresh = true,
		.families = family,
		.graceful = !p->cfg.no_graceful,
		.restarted = s->defer_until.us != MONO_NEVER.us,
		.notification_bit = true,
		.restart_s = p->cfg.restart_s,
		.gr_families = family,
		.gr_forwarding = family, /* the packet path outlives us */
	};
}

/* Back-off after an error: first wait, doubled for each failure in a row. */
static void
hold_back(struct bgp_peer *p)
{
	int64_t ms = p->cfg.idle_hold_ms;

	for (unsigned i = 0; i < p->n_failures && ms < p->cfg.idle_hold_max_ms; i++)
		ms *= 2;
	ms = MIN(ms, (int64_t)p->cfg.idle_hold_max_ms);
	p->n_failures++;
	p->idle_until = peer_after_ms(p, jittered(p, ms));
	p->retry = p->idle_until;
}

static void
retry_later(struct bgp_peer *p, int64_t ms)
{
	if (!mono_is_due(p->idle_until, p->s->now))
		return; /* held back: that timer dials */
	p->retry = peer_after_ms(p, jittered(p, ms));
}

/* RFC 4724 4.2: the session is gone, its routes may stay. */
static void
lose_session(struct bgp_peer *p, bool may_keep)
{
	bool keep = may_keep && p->was_graceful && p->peer_restart_s && p->is_started;

	if (p->s->now.us - p->since.us >= GOOD_UPTIME_MS * 1000ll)
		p->n_failures = 0;
	p->main = NULL;
	export_stop(p);
	if (!keep) {
		receive_purge(p, false);
		return;
	}
	if (p->has_stale)
		receive_purge(p, true); /* two restarts in a row: what is stale twice goes */
	p->epoch++;
	p->has_stale = true;
	p->stale_until = MONO_NEVER;
	p->restart_until = peer_after_ms(p, p->peer_restart_s * 1000);
}

static void
session_up(struct bgp_conn *c)
{
	struct bgp_peer *p = c->peer;
	uint8_t family = (uint8_t)(1 << p->family);

	p->main = c;
	p->router_id = c->open.id;
	p->was_graceful = c->open.graceful && c->open.gr_families & family && !p->cfg.no_graceful;
	p->was_notification_bit = p->was_graceful && c->open.notification_bit;
	p->peer_restart_s = c->open.restart_s;
	p->eor_received = p->eor_sent = false;
	p->counts_for_deferral = p->was_graceful && !c->open.restarted;
	p->n_established++;
	p->s->may_be_ready = true;
	p->retry = MONO_NEVER;
	p->restart_until = MONO_NEVER;
	if (p->has_stale) {
		if (p->was_graceful && c->open.gr_forwarding & family)
			p->stale_until = peer_after_ms(p, p->cfg.stale_s * 1000);
		else
			receive_purge(p, true);
	}
	export_start(p);
}

/* ---- actions ---- */

static void
act_send_open(struct bgp_conn *c, struct happening *h)
{
	struct buf *b = conn_scratch(c);
	struct bgp_open o;

	make_open(c->peer, &o);
	bgp_open_build(b, &o);
	conn_send_built(c, b);
	c->hold = peer_after_ms(c->peer, OPEN_HOLD_MS); /* RFC 4271 8.2.2: a large value */
}

static void
act_confirm(struct bgp_conn *c, struct happening *h)
{
	const struct bgp_peer *p = c->peer;

	c->as4 = c->open.as4;
	c->families = c->open.families & (uint8_t)(1 << p->family);
	c->hold_s = MIN(c->open.hold, p->cfg.hold_s);
	c->keepalive_s = c->hold_s / 3;
	conn_keepalive(c);
	restart_hold(c);
}

static void
act_up(struct bgp_conn *c, struct happening *h)
{
	struct bgp_peer *p = c->peer;
	struct happening lost = { .why = "another transport came first", .is_benign = true };

	restart_hold(c);
	for (size_t i = 0; i < CONNS; i++) {
		struct bgp_conn *o = &p->conns[i];

		if (!o->peer || o == c)
			continue;
		if (o->state >= BGP_OPENSENT)
			bgp_fault_set(&lost.fault, BGP_ERR_CEASE, BGP_CEASE_COLLISION, NULL, 0);
		conn_step(o, o->state >= BGP_OPENSENT ? EV_FAULT : EV_CLOSE, &lost);
	}
	session_up(c);
}

static void
act_restart_hold(struct bgp_conn *c, struct happening *h)
{
	restart_hold(c);
}

static void
act_refresh(struct bgp_conn *c, struct happening *h)
{
	if (h->family == c->peer->family)
		export_again(c->peer);
}

/* Whether routes may be kept although a NOTIFICATION ends the session (RFC 8538 4). */
static bool
is_soft(const struct bgp_peer *p, const struct bgp_fault *f)
{
	return p->was_notification_bit &&
	       !(f->code == BGP_ERR_CEASE && f->subcode == BGP_CEASE_HARD_RESET);
}

/* Whether what ended the session (remembered with its inner meaning) says nothing against the peer:
 * somebody's word, or a dead path. Then there is no back-off that would keep out its return. */
static bool
is_orderly(const struct bgp_peer *p)
{
	if (p->last_code != BGP_ERR_CEASE)
		return false;
	switch (p->last_subcode) {
	case BGP_CEASE_SHUTDOWN:
	case BGP_CEASE_DECONFIGURED:
	case BGP_CEASE_RESET:
	case BGP_CEASE_CONFIG:
	case BGP_CEASE_BFD_DOWN:
		return true;
	default:
		return false;
	}
}

/* Common end: the transport is closed, the peer waits or tries again. */
static void
finish(struct bgp_conn *c, struct happening *h, bool tell, bool may_keep)
{
	struct bgp_peer *p = c->peer;
	enum bgp_state was = c->state;
	bool was_main = c == p->main;

	conn_close(c, tell);
	if (was_main)
		lose_session(p, may_keep && !h->is_final);
	if (!p->is_started || (h->is_benign && has_conn(p)))
		return;
	if (h->fault.code && !h->is_benign && !is_orderly(p)) {
		hold_back(p);
		return;
	}
	/* the transport just went: soon again if it had been up, at leisure if nobody answered */
	retry_later(p, was >= BGP_OPENSENT ? p->cfg.idle_hold_ms : p->cfg.connect_retry_ms);
}

static void
act_notify(struct bgp_conn *c, struct happening *h)
{
	struct bgp_peer *p = c->peer;
	bool keep = is_soft(p, &h->fault);

	if (c->state == BGP_ESTABLISHED && h->is_final && p->was_notification_bit)
		bgp_fault_harden(&h->fault);
	send_notification(c, &h->fault);
	remember(p, &h->fault, true, h->why);
	h->why = p->last_error;
	finish(c, h, true, keep);
}

static void
act_notified(struct bgp_conn *c, struct happening *h)
{
	struct bgp_peer *p = c->peer;

	if (h->fault.code == BGP_ERR_CEASE && h->fault.subcode == BGP_CEASE_COLLISION) {
		h->is_benign = p->main != c;
	} else {
		remember(p, &h->fault, false, NULL);
		h->why = p->last_error;
	}
	finish(c, h, true, is_soft(p, &h->fault));
}

static void
act_hold(struct bgp_conn *c, struct happening *h)
{
	bgp_fault_set(&h->fault, BGP_ERR_HOLD, 0, NULL, 0);
	act_notify(c, h);
}

static void
act_lost(struct bgp_conn *c, struct happening *h)
{
	if (c->state > BGP_CONNECT || !c->peer->last_error[0])
		remember(c->peer, NULL, false, h->why);
	finish(c, h, false, true);
}

static void
act_close(struct bgp_conn *c, struct happening *h)
{
	finish(c, h, true, true);
}

/* A transport that was never up has nobody to notify. */
static void
act_quit(struct bgp_conn *c, struct happening *h)
{
	h->fault.code = 0;
	finish(c, h, true, true);
}

static void
act_timeout(struct bgp_conn *c, struct happening *h)
{
	h->why = "connecting timed out";
	remember(c->peer, NULL, false, h->why);
	finish(c, h, true, true);
}

static void
act_fsm_error(struct bgp_conn *c, struct happening *h) /* RFC 4271 6.6, RFC 6608 */
{
	uint8_t sub = c->state >= BGP_OPENSENT ? (uint8_t)(c->state - BGP_OPENSENT + 1) : 0;

	memset(&h->fault, 0, sizeof(h->fault));
	bgp_fault_set(&h->fault, BGP_ERR_FSM, sub, NULL, 0);
	act_notify(c, h);
}

/* ---- the machine ---- */

struct step {
	void (*act)(struct bgp_conn *c, struct happening *h);
	enum bgp_state next;
};

/* clang-format off */
static const struct step steps[BGP_N_STATES][N_EVENTS] = {
	[BGP_CONNECT] = {
		[EV_TCP_UP]       = { act_send_open,    BGP_OPENSENT },
		[EV_TCP_DOWN]     = { act_lost,         BGP_IDLE },
		[EV_HOLD_EXPIRED] = { act_timeout,      BGP_IDLE },
		[EV_CLOSE]        = { act_close,        BGP_IDLE },
		[EV_FAULT]        = { act_quit,         BGP_IDLE },
	},
	[BGP_OPENSENT] = {
		[EV_OPEN]         = { act_confirm,      BGP_OPENCONFIRM },
		[EV_TCP_DOWN]     = { act_lost,         BGP_IDLE },
		[EV_NOTIFICATION] = { act_notified,     BGP_IDLE },
		[EV_HOLD_EXPIRED] = { act_hold,         BGP_IDLE },
		[EV_FAULT]        = { act_notify,       BGP_IDLE },
		[EV_CLOSE]        = { act_close,        BGP_IDLE },
	},
	[BGP_OPENCONFIRM] = {
		[EV_KEEPALIVE]    = { act_up,           BGP_ESTABLISHED },
		[EV_TCP_DOWN]     = { act_lost,         BGP_IDLE },
		[EV_NOTIFICATION] = { act_notified,     BGP_IDLE },
		[EV_HOLD_EXPIRED] = { act_hold,         BGP_IDLE },
		[EV_FAULT]        = { act_notify,       BGP_IDLE },
		[EV_CLOSE]        = { act_close,        BGP_IDLE },
	},
	[BGP_ESTABLISHED] = {
		[EV_KEEPALIVE]    = { act_restart_hold, BGP_ESTABLISHED },
		[EV_UPDATE]       = { act_restart_hold, BGP_ESTABLISHED },
		[EV_REFRESH]      = { act_refresh,      BGP_ESTABLISHED },
		[EV_TCP_DOWN]     = { act_lost,         BGP_IDLE },
		[EV_NOTIFICATION] = { act_notified,     BGP_IDLE },
		[EV_HOLD_EXPIRED] = { act_hold,         BGP_IDLE },
		[EV_FAULT]        = { act_notify,       BGP_IDLE },
		[EV_CLOSE]        = { act_close,        BGP_IDLE },
	},
};
/* clang-format on */

void
conn_step(struct bgp_conn *c, enum bgp_event ev, struct happening *h)
{
	static const struct step hole = { act_fsm_error, BGP_IDLE };
	const struct step *s = steps[c->state][ev].act ? &steps[c->state][ev] : &hole;
	struct bgp_peer *p = c->peer;

	s->act(c, h);
	if (s->next != BGP_IDLE) /* else the transport is free already */
		c->state = s->next;
	peer_show_state(p, h->why);
}

static void
conn_fault(struct bgp_conn *c, const struct bgp_fault *f, const char *why)
{
	struct happening h = { .fault = *f, .why = why };

	conn_step(c, EV_FAULT, &h);
}

/* ---- messages ---- */

/* What this session expects of an OPEN that is well formed (RFC 4271 6.2). */
static int
check_open(const struct bgp_peer *p, const struct bgp_open *o, struct bgp_fault *f)
{
	const struct bgp_family_info *fam = &bgp_families[p->family];
	const uint8_t cap[] = { 1, 4, 0, (uint8_t)fam->afi, 0, fam->safi };

	if (o->as.v != p->cfg.remote_as.v)
		return bgp_fault_set(f, BGP_ERR_OPEN, 2, NULL, 0);
	if (!p->is_external && o->id == p->s->cfg.router_id)
		return bgp_fault_set(f, BGP_ERR_OPEN, 3, NULL, 0); /* RFC 6286 2.2 */
	if (o->hold < p->cfg.min_hold_s)
		return bgp_fault_set(f, BGP_ERR_OPEN, 6, NULL, 0);
	if (!(o->families >> p->family & 1))
		return bgp_fault_set(f, BGP_ERR_OPEN, 7, cap, sizeof(cap));
	return 0;
}

/* RFC 4271 6.8: of a dialled and an accepted transport, the one dialled by the speaker with the
 * higher identifier stays (RFC 6286: by AS number if those are equal). */
static bool
keeps_dialled(const struct bgp_peer *p, const struct bgp_open *o)
{
	if (p->s->cfg.router_id != o->id)
		return p->s->cfg.router_id > o->id;
	return p->cfg.local_as.v > o->as.v;
}

/* The transport that must go now that c has its OPEN: c, another, or NULL. */
static struct bgp_conn *
collision_loser(struct bgp_conn *c, bool *ret_silently)
{
	struct bgp_peer *p = c->peer;
	struct bgp_conn *o = p->main ? p->main : conn_in(p, BGP_OPENCONFIRM, c);

	*ret_silently = false;
	if (!o)
		return NULL;
	if (o == p->main) {
		/* RFC 4724 4.2: a peer that restarts gracefully may come before we saw it go */
		*ret_silently = p->was_graceful;
		return p->was_graceful ? o : c;
	}
	if (o->is_dialled == c->is_dialled)
		return o; /* the newer one is the live one */
	return keeps_dialled(p, &c->open) == c->is_dialled ? o : c;
}

static bool
receive_open(struct bgp_conn *c, struct cursor body)
{
	struct happening h = { 0 }, lost = { .why = "collision", .is_benign = true };
	struct bgp_open o;
	struct bgp_conn *loser;
	bool silently;

	if (c->state != BGP_OPENSENT) {
		conn_step(c, EV_OPEN, &h);
		return false;
	}
	if (bgp_open_parse(body, &o, &h.fault) < 0 || check_open(c->peer, &o, &h.fault) < 0) {
		char why[64];

		snprintf(why, sizeof(why), "peer says AS %u, id %u.%u.%u.%u, hold %u", o.as.v,
			 o.id >> 24, o.id >> 16 & 255, o.id >> 8 & 255, o.id & 255, o.hold);
		conn_fault(c, &h.fault, why);
		return false;
	}
	c->open = o;
	loser = collision_loser(c, &silently);
	if (loser && silently) {
		lost.why = "peer restarts";
		conn_step(loser, EV_CLOSE, &lost);
	} else if (loser) {
		bgp_fault_set(&lost.fault, BGP_ERR_CEASE, BGP_CEASE_COLLISION, NULL, 0);
		conn_step(loser, EV_FAULT, &lost);
		if (loser == c)
			return false;
	}
	conn_step(c, EV_OPEN, &h);
	return true;
}

static void
end_of_rib(struct bgp_peer *p)
{
	p->eor_received = true;
	p->s->may_be_ready = true;
	if (p->has_stale)
		receive_purge(p, true);
}

static bool
receive_update_body(struct bgp_conn *c, struct cursor body)
{
	struct bgp_peer *p = c->peer;
	struct bgp_update *u = &p->s->update;
	struct bgp_update_options o = { c->as4, p->is_external, c->families };
	struct happening h = { 0 };
	const struct bgp_family_info *fam = &bgp_families[p->family];

	p->n_updates_in++;
	if (c->state != BGP_ESTABLISHED) {
		conn_step(c, EV_UPDATE, &h);
		return false;
	}
	if (bgp_update_parse(body, &o, u, &h.fault) < 0) {
		conn_fault(c, &h.fault, NULL);
		return false;
	}
	if (!receive_update(p, u)) { /* RFC 4486 4 */
		uint32_t n = p->cfg.max_prefixes;
		uint8_t data[7] = {
			(uint8_t)(fam->afi >> 8), (uint8_t)fam->afi, fam->safi, (uint8_t)(n >> 24),
			(uint8_t)(n >> 16),       (uint8_t)(n >> 8), (uint8_t)n
		};
		char why[64];

		snprintf(why, sizeof(why), "more than the %u allowed", n);
		bgp_fault_set(&h.fault, BGP_ERR_CEASE, BGP_CEASE_MAX_PREFIX, data, sizeof(data));
		h.is_final = true;
		h.why = why;
		conn_step(c, EV_FAULT, &h);
		return false;
	}
	if (u->is_eor && u->eor_family == p->family)
		end_of_rib(p);
	conn_step(c, EV_UPDATE, &h);
	return true;
}

static bool
receive_refresh(struct bgp_conn *c, const uint8_t *msg, size_t len)
{
	struct happening h = { 0 };
	struct cursor b = cur_make(msg + BGP_HEADER, len - BGP_HEADER);
	uint16_t afi = cur_be16(&b);
	uint8_t subtype = cur_u8(&b);

	if (c->state != BGP_ESTABLISHED) {
		conn_step(c, EV_REFRESH, &h);
		return false;
	}
	if (len != BGP_HEADER + 4) { /* RFC 7313 5 */
		bgp_fault_set(&h.fault, BGP_ERR_REFRESH, 1, msg, MIN(len, (size_t)BGP_DATA_MAX));
		conn_fault(c, &h.fault, NULL);
		return false;
	}
	h.family = bgp_family_find(afi, cur_u8(&b));
	if (subtype == 0)
		conn_step(c, EV_REFRESH, &h);
	return true;
}

static bool
receive_message(struct bgp_conn *c, const uint8_t *msg, size_t len, enum bgp_type type)
{
	struct cursor body = cur_make(msg + BGP_HEADER, len - BGP_HEADER);
	struct happening h = { 0 };
	bool lives;

	c->peer->n_in++;
	switch (type) {
	case BGP_TYPE_OPEN:
		return receive_open(c, body);
	case BGP_TYPE_UPDATE:
		return receive_update_body(c, body);
	case BGP_TYPE_REFRESH:
		return receive_refresh(c, msg, len);
	case BGP_TYPE_KEEPALIVE:
		lives = c->state >= BGP_OPENCONFIRM;
		conn_step(c, EV_KEEPALIVE, &h);
		return lives;
	case BGP_TYPE_NOTIFICATION:
		bgp_notification_parse(body, &h.fault);
		conn_step(c, EV_NOTIFICATION, &h);
		return false;
	}
	return true;
}

/* Whole messages at the front of p; returns how many bytes they took, or -1: c is gone. */
ssize_t
conn_receive(struct bgp_conn *c, const uint8_t *p, size_t n)
{
	size_t at = 0;

	while (n - at >= BGP_HEADER) {
		struct bgp_fault f = { 0 };
		size_t len;
		enum bgp_type type;

		if (bgp_header_parse(p + at, &len, &type, &f) < 0) {
			conn_fault(c, &f, NULL);
			return -1;
		}
		if (n - at < len)
			break;
		if (!receive_message(c, p + at, len, type))
			return -1;
		at += len;
	}
	return (ssize_t)at;
}
