/* RFC 5880 6.8: the session. struct bfd_session is plain data without pointers, so that saving and
 * restoring it is a copy. Variables carry the RFC's names (bfd.DesiredMinTxInterval and so on).
 *
 * Two intervals are held twice: what we announce, and what is in force until a Poll sequence has
 * told the peer (6.8.3): a slower transmit and a faster receive wait for the Final. */
#include "bfd/session.h"

#include "base/mem.h"

enum {
	SLOW_TX_US = 1000000, /* 6.8.3: at least, while not Up */
	SAVED_MAGIC = 0x62666431,
};

struct bfd_session {
	uint32_t magic;
	uint32_t random;
	struct bfd_config cfg;

	enum bfd_state state, remote_state;
	uint8_t diag, remote_diag;
	uint8_t remote_mult;
	bool is_remote_demand, is_remote_control_independent;
	bool is_polling, is_poll_stale; /* stale: the intervals changed again since it began */
	bool has_final_due, has_tx_due, has_changed;
	uint32_t remote_discr, remote_min_rx_us, remote_min_tx_us;
	uint32_t min_tx_us, min_rx_us;   /* announced: bfd.DesiredMinTxInterval, RequiredMinRx */
	uint32_t tx_live_us, rx_live_us; /* in force */
	struct mono sent, next_tx, detect, changed;
	uint64_t n_rx, n_tx, n_discarded;
	uint32_t n_up, n_down;
};
static_assert(sizeof(struct bfd_session) <= BFD_SAVED_SIZE, "grow BFD_SAVED_SIZE");

static uint32_t
announced_min_tx(const struct bfd_session *s)
{
	return s->state == BFD_UP ? s->cfg.min_tx_us : MAX(s->cfg.min_tx_us, SLOW_TX_US);
}

static uint32_t
tx_interval(const struct bfd_session *s)
{
	return MAX(s->tx_live_us, s->remote_min_rx_us);
}

/* 6.8.4 */
static int64_t
detect_time(const struct bfd_session *s)
{
	return (int64_t)s->remote_mult * MAX(s->rx_live_us, s->remote_min_tx_us);
}

/* 6.8.7: 75..100 % of the interval, with a multiplier of 1 at most 90 %. */
static int64_t
jittered(struct bfd_session *s, uint32_t us)
{
	uint32_t span = s->cfg.detect_mult == 1 ? 15 : 25;

	s->random ^= s->random << 13;
	s->random ^= s->random >> 17;
	s->random ^= s->random << 5;
	return (int64_t)us * 3 / 4 + (int64_t)us * (s->random % 1024) * span / 102400;
}

/* 6.8.7: when nothing may be sent of our own accord. */
static bool
is_silent(const struct bfd_session *s)
{
	if (s->remote_min_rx_us == 0)
		return true;
	return s->is_remote_demand && s->state == BFD_UP && s->remote_state == BFD_UP &&
	       !s->is_polling;
}

static void
arm_tx(struct bfd_session *s)
{
	s->next_tx = is_silent(s) ? MONO_NEVER : mono_add_us(s->sent, jittered(s, tx_interval(s)));
}

/* The content changed: 6.8.7 asks to say so before the interval is over. */
static void
send_now(struct bfd_session *s, struct mono now)
{
	if (!is_silent(s))
		s->next_tx = now;
}

/* 6.8.3. Called after every change of configuration or state. */
static void
update_intervals(struct bfd_session *s, struct mono now)
{
	uint32_t tx = announced_min_tx(s);
	bool has_change = tx != s->min_tx_us || s->cfg.min_rx_us != s->min_rx_us;

	s->min_tx_us = tx;
	s->min_rx_us = s->cfg.min_rx_us;
	if (s->state != BFD_UP) {
		s->is_polling = s->is_poll_stale = false;
		s->tx_live_us = tx;
		s->rx_live_us = s->min_rx_us;
		return;
	}
	s->tx_live_us = MIN(s->tx_live_us, tx);
	s->rx_live_us = MAX(s->rx_live_us, s->min_rx_us);
	if (!has_change)
		return;
	s->is_poll_stale = s->is_polling;
	s->is_polling = true;
	send_now(s, now);
}

static void
poll_finished(struct bfd_session *s, struct mono now)
{
	s->is_polling = s->is_poll_stale;
	s->is_poll_stale = false;
	if (s->is_polling) {
		send_now(s, now);
		return;
	}
	s->tx_live_us = s->min_tx_us;
	s->rx_live_us = s->min_rx_us;
}

/* The one place where the state changes. */
static void
enter(struct bfd_session *s, enum bfd_state next, enum bfd_diag diag, struct mono now)
{
	s->n_up += next == BFD_UP && s->state != BFD_UP;
	s->n_down += next != BFD_UP && s->state == BFD_UP;
	s->has_changed |= next != s->state || diag != s->diag;
	if (next != s->state)
		s->changed = now;
	s->state = next;
	s->diag = (uint8_t)diag;
	update_intervals(s, now);
	send_now(s, now);
}

struct bfd_session *
bfd_session_create(const struct bfd_config *cfg, struct mono now)
{
	struct bfd_session *s = mem_alloc(sizeof(*s));

	assert(cfg->local_discr && cfg->detect_mult);
	s->magic = SAVED_MAGIC;
	s->random = cfg->seed ? cfg->seed : cfg->local_discr;
	s->cfg = *cfg;
	s->state = cfg->is_admin_down ? BFD_ADMIN_DOWN : BFD_DOWN;
	s->diag = cfg->is_admin_down ? BFD_DIAG_ADMIN : BFD_DIAG_NONE;
	s->remote_state = BFD_DOWN;
	s->remote_min_rx_us = 1; /* 6.8.1 */
	s->detect = MONO_NEVER;
	s->changed = s->sent = s->next_tx = now;
	update_intervals(s, now);
	return s;
}

void
bfd_session_save(const struct bfd_session *s, struct bfd_saved *ret)
{
	memcpy(ret, s, sizeof(*s));
}

/* Only what could make the engine misbehave; that the rest is true is the owner's business. */
static bool
is_sane(const struct bfd_session *s)
{
	return s->magic == SAVED_MAGIC && s->random && s->cfg.local_discr && s->cfg.detect_mult &&
	       (unsigned)s->state <= BFD_UP && (unsigned)s->remote_state <= BFD_UP &&
	       (s->state == BFD_ADMIN_DOWN) == s->cfg.is_admin_down;
}

struct bfd_session *
bfd_session_restore(const struct bfd_saved *saved, struct mono now)
{
	AUTO(bfd_session) s = mem_alloc(sizeof(*s));

	memcpy(s, saved, sizeof(*s));
	if (!is_sane(s))
		return NULL;
	s->has_final_due = s->has_tx_due = false;
	s->has_changed = true;
	s->sent = now;
	s->next_tx = is_silent(s) ? MONO_NEVER : now;
	if (s->detect.us != MONO_NEVER.us)
		s->detect = mono_add_us(now, detect_time(s));
	return TAKE(s);
}

void
bfd_session_destroy(struct bfd_session *s)
{
	free(s);
}

void
bfd_session_configure(struct bfd_session *s, const struct bfd_config *cfg, struct mono now)
{
	bool was_admin_down = s->cfg.is_admin_down;
	bool has_mult = cfg->detect_mult != s->cfg.detect_mult;

	assert(cfg->detect_mult);
	s->cfg.min_tx_us = cfg->min_tx_us;
	s->cfg.min_rx_us = cfg->min_rx_us;
	s->cfg.detect_mult = cfg->detect_mult;
	s->cfg.is_admin_down = cfg->is_admin_down;
	if (cfg->is_admin_down != was_admin_down) /* 6.8.16 */
		enter(s, cfg->is_admin_down ? BFD_ADMIN_DOWN : BFD_DOWN,
		      cfg->is_admin_down ? BFD_DIAG_ADMIN : BFD_DIAG_NONE, now);
	else
		update_intervals(s, now);
	if (has_mult)
		send_now(s, now);
}

/* RFC 5880 6.8.6: what a state heard does to ours. */
static const struct {
	enum bfd_state next;
	enum bfd_diag diag;
	bool is_step;
} steps[BFD_UP + 1][BFD_UP + 1] = {
	/* clang-format off */
	[BFD_DOWN] = { [BFD_DOWN]       = { BFD_INIT, BFD_DIAG_NONE,     true },
		       [BFD_INIT]       = { BFD_UP,   BFD_DIAG_NONE,     true } },
	[BFD_INIT] = { [BFD_ADMIN_DOWN] = { BFD_DOWN, BFD_DIAG_NEIGHBOR, true },
		       [BFD_INIT]       = { BFD_UP,   BFD_DIAG_NONE,     true },
		       [BFD_UP]         = { BFD_UP,   BFD_DIAG_NONE,     true } },
	[BFD_UP]   = { [BFD_ADMIN_DOWN] = { BFD_DOWN, BFD_DIAG_NEIGHBOR, true },
		       [BFD_DOWN]       = { BFD_DOWN, BFD_DIAG_NEIGHBOR, true } },
	/* clang-format on */
};

static void
note_remote(struct bfd_session *s, const struct bfd_packet *p)
{
	uint32_t before = tx_interval(s);
	bool was_silent = is_silent(s);

	s->has_changed |= s->remote_state != p->state || s->remote_diag != p->diag;
	s->remote_discr = p->my_discr;
	s->remote_state = p->state;
	s->remote_diag = p->diag;
	s->remote_mult = p->detect_mult;
	s->remote_min_rx_us = p->required_min_rx_us;
	s->remote_min_tx_us = p->desired_min_tx_us;
	s->is_remote_demand = p->is_demand;
	s->is_remote_control_independent = p->is_control_independent;
	if (before != tx_interval(s) || was_silent != is_silent(s))
		arm_tx(s);
}

int
bfd_session_input(struct bfd_session *s, const struct bfd_packet *p, struct mono now, struct err *e)
{
	if (p->your_discr && p->your_discr != s->cfg.local_discr) {
		s->n_discarded++;
		return err_set(e, -EBADMSG, "discriminator %u is not ours", p->your_discr);
	}
	s->n_rx++;
	note_remote(s, p);
	if (p->is_final && s->is_polling)
		poll_finished(s, now);
	if (s->state == BFD_ADMIN_DOWN)
		return 0;
	if (steps[s->state][p->state].is_step)
		enter(s, steps[s->state][p->state].next, steps[s->state][p->state].diag, now);
	s->has_final_due |= p->is_poll; /* answered at once, whatever the timer says */
	s->detect = mono_add_us(now, detect_time(s));
	return 0;
}

/* 6.8.4; in Down only the peer's discriminator is forgotten (6.8.1). */
static void
detection_expired(struct bfd_session *s, struct mono now)
{
	s->detect = MONO_NEVER;
	s->remote_discr = 0;
	s->remote_min_rx_us = 1;
	s->is_remote_demand = false;
	if (s->state == BFD_INIT || s->state == BFD_UP) {
		s->remote_state = BFD_DOWN;
		enter(s, BFD_DOWN, BFD_DIAG_DETECT, now);
	} else if (s->next_tx.us == MONO_NEVER.us) {
		arm_tx(s);
	}
}

struct mono
bfd_session_tick(struct bfd_session *s, struct mono now)
{
	if (mono_is_due(s->detect, now))
		detection_expired(s, now);
	if (mono_is_due(s->next_tx, now)) {
		s->has_tx_due = true;
		s->sent = now;
		arm_tx(s);
	}
	return bfd_session_deadline(s);
}

struct mono
bfd_session_deadline(const struct bfd_session *s)
{
	return mono_min(s->detect, s->next_tx);
}

bool
bfd_session_take(struct bfd_session *s, uint8_t out[BFD_PACKET_SIZE])
{
	bool is_final = s->has_final_due;
	struct bfd_packet p = {
		.diag = s->diag,
		.state = s->state,
		.is_poll = s->is_polling && !is_final,
		.is_final = is_final,
		.is_control_independent = true,
		.detect_mult = s->cfg.detect_mult,
		.my_discr = s->cfg.local_discr,
		.your_discr = s->remote_discr,
		.desired_min_tx_us = s->min_tx_us,
		.required_min_rx_us = s->min_rx_us,
	};

	if (!is_final && !s->has_tx_due)
		return false;
	if (is_final)
		s->has_final_due = false;
	else
		s->has_tx_due = false;
	s->n_tx++;
	bfd_packet_write(&p, out);
	return true;
}

bool
bfd_session_changed(struct bfd_session *s)
{
	bool is = s->has_changed;

	s->has_changed = false;
	return is;
}

struct bfd_status
bfd_session_status(const struct bfd_session *s)
{
	return (struct bfd_status){
		.state = s->state,
		.remote_state = s->remote_state,
		.diag = s->diag,
		.remote_diag = s->remote_diag,
		.is_remote_control_independent = s->is_remote_control_independent,
		.local_discr = s->cfg.local_discr,
		.remote_discr = s->remote_discr,
		.tx_us = tx_interval(s),
		.detect_us = (uint32_t)MIN(detect_time(s), (int64_t)UINT32_MAX),
		.n_rx = s->n_rx,
		.n_tx = s->n_tx,
		.n_discarded = s->n_discarded,
		.n_up = s->n_up,
		.n_down = s->n_down,
		.changed = s->changed,
	};
}
