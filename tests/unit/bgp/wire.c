#include "wire.h"

/* ---- hooks: they only take notes ---- */

static bool
on_dial(void *ctx, struct bgp_conn *c)
{
	struct world *w = ((struct node *)ctx)->w;

	assert_true(w->n_dials < W_PIPES);
	w->dials[w->n_dials++] = c;
	return true;
}

static void
on_close(void *ctx, struct bgp_conn *c, const uint8_t *last, size_t n)
{
	struct world *w = ((struct node *)ctx)->w;

	for (size_t i = 0; i < w->n_dials; i++)
		if (w->dials[i] == c)
			w->dials[i] = NULL;
	for (size_t i = 0; i < W_PIPES; i++)
		for (int k = 0; k < 2; k++)
			if (w->pipe[i].is_used && w->pipe[i].c[k] == c) {
				buf_put(&w->pipe[i].last[k], last, n);
				w->pipe[i].c[k] = NULL;
			}
}

static void
on_peer(void *ctx, struct bgp_peer *p, enum bgp_state from, enum bgp_state to, const char *why)
{
	struct node *n = ctx;

	n->n_peer_changes++;
	assert_true(from != to);
	snprintf(n->last_why, sizeof(n->last_why), "%s", why);
}

static void
on_route(void *ctx, struct bgp_table *t, const struct prefix *p, const struct bgp_path *paths,
	 size_t n)
{
	((struct node *)ctx)->n_changed++;
	for (size_t i = 0; i < n; i++)
		assert_int_equal(paths[i].reason, BGP_REASON_NONE);
}

static void
on_ready(void *ctx, struct bgp_table *t)
{
	((struct node *)ctx)->n_ready++;
}

static void
on_warning(void *ctx, struct bgp_peer *p, unsigned percent, uint32_t n, uint32_t limit)
{
	((struct node *)ctx)->n_warnings++;
	((struct node *)ctx)->last_warning = percent;
}

static bool
on_accept(void *ctx, struct bgp_peer *p, struct rd rd, const struct prefix *prefix,
	  const struct ext_community *rts, size_t n)
{
	struct node *node = ctx;

	node->n_asked++;
	return !node->refuse_vpn;
}

/* ---- building ---- */

void
world_init(struct world *w, uint64_t seed)
{
	memset(w, 0, sizeof(*w));
	w->now.us = 1000000;
	w->random = seed * 2 + 1;
}

uint32_t
world_random(struct world *w, uint32_t below)
{
	w->random ^= w->random >> 12;
	w->random ^= w->random << 25;
	w->random ^= w->random >> 27;
	return (uint32_t)((w->random * 0x2545f4914f6cdd1du) >> 32) % below;
}

struct bgp_speaker *
world_speaker(struct world *w, unsigned n, struct bgp_speaker_config cfg)
{
	struct node *node = &w->node[n];

	*node = (struct node){ .w = w };
	if (!cfg.as.v)
		cfg.as.v = 12076;
	if (!cfg.router_id)
		cfg.router_id = 0x0aff0001 + n;
	if (!cfg.fabric_addr.family)
		cfg.fabric_addr = addr_v4(0x0aff0001 + n);
	cfg.seed = world_random(w, UINT32_MAX);
	cfg.hooks = (struct bgp_hooks){ node,     on_dial,  on_close,   NULL,     on_peer,
					on_route, on_ready, on_warning, on_accept };
	node->s = bgp_speaker_create(&cfg, w->now);
	node->due = w->now;
	return node->s;
}

static void
deliver_close(struct world *w, struct pipe *p, int to)
{
	struct bgp_conn *c = p->c[to];

	if (!c)
		return;
	p->c[to] = NULL;
	bgp_conn_closed(c, "connection reset", w->now);
	p->e[to]->n->due = w->now;
}

static void
pipe_release(struct pipe *p)
{
	buf_fini(&p->last[0]);
	buf_fini(&p->last[1]);
	p->is_used = false;
}

void
world_kill(struct world *w, unsigned n)
{
	struct node *node = &w->node[n];

	for (size_t i = 0; i < w->n_dials; i++)
		if (w->dials[i] && bgp_conn_peer(w->dials[i]) &&
		    world_end(w, bgp_conn_peer(w->dials[i]))->n == node)
			w->dials[i] = NULL;
	for (size_t i = 0; i < W_PIPES; i++)
		for (int k = 0; k < 2; k++)
			if (w->pipe[i].is_used && w->pipe[i].e[k]->n == node)
				w->pipe[i].c[k] = NULL;
	bgp_speaker_destroy(node->s);
	node->s = NULL;
	for (size_t i = 0; i < w->n_ends; i++)
		if (w->end[i].n == node)
			w->end[i].p = NULL;
}

void
world_fini(struct world *w)
{
	for (unsigned n = 0; n < W_NODES; n++)
		bgp_speaker_destroy(w->node[n].s);
	for (size_t i = 0; i < W_PIPES; i++)
		pipe_release(&w->pipe[i]);
}

struct end *
world_end(struct world *w, const struct bgp_peer *p)
{
	for (size_t i = 0; i < w->n_ends; i++)
		if (w->end[i].p == p)
			return &w->end[i];
	return NULL;
}

static struct bgp_peer *
make_peer(struct end *e, struct bgp_peer_config c)
{
	struct err err;

	c.owner = e;
	e->p = bgp_peer_create(e->n->s, &c, &err);
	if (!e->p)
		fail_msg("%s", err.text);
	bgp_peer_start(e->p, e->n->w->now);
	e->n->due = e->n->w->now;
	return e->p;
}

void
world_join(struct world *w, unsigned a, struct bgp_peer_config ca, unsigned b,
	   struct bgp_peer_config cb, struct bgp_peer **ret_a, struct bgp_peer **ret_b)
{
	struct end *ea = &w->end[w->n_ends], *eb = ea + 1;
	uint32_t net = 0xc0a80000 + (uint32_t)w->n_ends * 4;

	assert_true(w->n_ends + 2 <= W_ENDS);
	w->n_ends += 2;
	*ea = (struct end){ .n = &w->node[a], .other = eb };
	*eb = (struct end){ .n = &w->node[b], .other = ea };
	if (!ca.local.family)
		ca.local = cb.remote = addr_v4(net + 1);
	if (!cb.local.family)
		cb.local = ca.remote = addr_v4(net + 2);
	*ret_a = make_peer(ea, ca);
	*ret_b = make_peer(eb, cb);
}

struct bgp_peer *
world_rejoin(struct world *w, struct end *e, unsigned n, struct bgp_peer_config c)
{
	const struct bgp_peer_config *o = bgp_peer_config(e->other->p);

	e->n = &w->node[n];
	c.local = o->remote;
	c.remote = o->local;
	return make_peer(e, c);
}

/* ---- running ---- */

static struct pipe *
pipe_take(struct world *w)
{
	for (size_t i = 0; i < W_PIPES; i++)
		if (!w->pipe[i].is_used) {
			w->pipe[i] = (struct pipe){ .is_used = true };
			return &w->pipe[i];
		}
	fail_msg("too many transports");
	return NULL;
}

static void
connect_one(struct world *w, struct bgp_conn *c)
{
	struct end *e = bgp_peer_owner(bgp_conn_peer(c)), *o = e->other;
	struct bgp_conn *there = NULL;
	struct pipe *p;

	e->n->due = w->now;
	if (!e->is_cut && !o->is_cut && o->p)
		there = bgp_peer_accept(o->p, w->now);
	if (!there) {
		bgp_conn_closed(c, "connection refused", w->now);
		return;
	}
	o->n->due = w->now;
	p = pipe_take(w);
	p->c[0] = c;
	p->c[1] = there;
	p->e[0] = e;
	p->e[1] = o;
	bgp_conn_connected(c, w->now);
}

static bool
move(struct world *w, struct pipe *p, int from)
{
	int to = !from;
	uint8_t copy[9000];
	size_t n = 0, piece;
	const uint8_t *b;

	if (p->c[from]) {
		b = bgp_conn_output(p->c[from], &n);
		if (!n)
			return false;
		piece = 1 + world_random(w, sizeof(copy) - 1);
		n = MIN(n, piece);
		memcpy(copy, b, n);
		bgp_conn_sent(p->c[from], n, w->now);
		p->e[from]->n->due = w->now;
	} else if (p->last[from].n) {
		n = MIN(p->last[from].n, sizeof(copy));
		memcpy(copy, p->last[from].p, n);
		buf_drop(&p->last[from], n);
	} else if (p->c[to] && !p->is_silent) {
		deliver_close(w, p, to);
		return true;
	}
	w->n_bytes += n;
	if (p->is_silent || !n || !p->c[to])
		return n != 0;
	bgp_conn_input(p->c[to], copy, n, w->now);
	p->e[to]->n->due = w->now;
	return true;
}

static bool
turn(struct world *w)
{
	bool moved = false;

	for (size_t i = 0; i < w->n_dials; i++) {
		struct bgp_conn *c = w->dials[i];

		w->dials[i] = NULL;
		if (c) {
			connect_one(w, c);
			moved = true;
		}
	}
	for (size_t i = 0; i < w->n_dials; i++)
		if (!w->dials[i])
			w->dials[i--] = w->dials[--w->n_dials];
	for (size_t i = 0; i < W_PIPES; i++) {
		struct pipe *p = &w->pipe[i];

		if (!p->is_used)
			continue;
		for (int k = 0; k < 2; k++)
			moved |= move(w, p, k);
		if (!p->c[0] && !p->c[1] && !p->last[0].n && !p->last[1].n)
			pipe_release(p);
	}
	for (unsigned n = 0; n < W_NODES; n++) {
		struct node *node = &w->node[n];

		if (!node->s || !mono_is_due(node->due, w->now))
			continue;
		node->due = bgp_speaker_tick(node->s, w->now);
		moved |= mono_is_due(node->due, w->now);
	}
	return moved;
}

void
world_run(struct world *w, int64_t ms)
{
	struct mono until = mono_add_ms(w->now, ms);

	for (unsigned n = 0; n < W_NODES; n++)
		w->node[n].due = w->now; /* the test may have done something to any */
	for (;;) {
		struct mono next = until;
		unsigned n_turns = 0;

		while (turn(w))
			assert_true(++n_turns < 1000000); /* it must come to rest */
		if (w->now.us >= until.us)
			return;
		for (unsigned n = 0; n < W_NODES; n++)
			if (w->node[n].s)
				next = mono_min(next, w->node[n].due);
		if (w->n_dials)
			continue;
		w->now = next;
	}
}

void
world_until(struct world *w, bool (*cond)(void *), void *arg, int64_t ms)
{
	for (; !cond(arg); ms -= 10) {
		if (ms <= 0)
			fail_msg("did not happen in time");
		world_run(w, 10);
	}
}

void
world_cut(struct world *w, struct end *e, bool silently)
{
	for (size_t i = 0; i < W_PIPES; i++) {
		struct pipe *p = &w->pipe[i];

		if (!p->is_used || (p->e[0] != e && p->e[1] != e))
			continue;
		if (silently) {
			p->is_silent = true;
			continue;
		}
		deliver_close(w, p, 0);
		deliver_close(w, p, 1);
	}
}

/* ---- looking ---- */

enum bgp_state
state_of(const struct bgp_peer *p)
{
	struct bgp_peer_info i;

	bgp_peer_info(p, &i);
	return i.state;
}

bool
is_up(void *peer)
{
	return state_of(peer) == BGP_ESTABLISHED;
}

struct prefix
pfx(const char *text)
{
	struct prefix p;

	assert_int_equal(prefix_parse(text, &p, NULL), 0);
	return p;
}

size_t
count_received(const struct bgp_peer *p)
{
	struct bgp_walk w = { 0 };
	struct rd rd;
	struct prefix x;
	struct bgp_path path;
	size_t n = 0;

	while (bgp_received_next(p, &w, &rd, &x, &path))
		n++;
	return n;
}

size_t
count_advertised(const struct bgp_peer *p)
{
	struct bgp_walk w = { 0 };
	struct rd rd;
	struct prefix x;
	struct bgp_path path;
	size_t n = 0;

	while (bgp_advertised_next(p, &w, &rd, &x, &path))
		n++;
	return n;
}

size_t
lookup(struct bgp_table *t, const char *prefix, struct bgp_path paths[BGP_PATHS_MAX])
{
	struct prefix p = pfx(prefix);

	return bgp_table_get(t, &p, paths);
}

struct bgp_table *
make_table(struct bgp_speaker *s, unsigned node, unsigned number, bool exports)
{
	char name[16];
	struct fabric_number n = { number };
	struct bgp_table_config c = { .name = name };

	snprintf(name, sizeof(name), "t%u", number);
	if (exports) {
		c.rd = rd_make(12076, (uint16_t)node, n);
		c.key = fabric_key_make(n, 1);
		c.exports[0] = rt_make(12076, n);
		c.n_exports = 1;
	}
	return bgp_table_create(s, &c);
}

struct bgp_import
import_of(unsigned number)
{
	return (struct bgp_import){ .rt = rt_make(12076, (struct fabric_number){ number }) };
}
