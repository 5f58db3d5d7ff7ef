/* The speaker itself: its parts, its clock hand, its bounded turn. */
#include "bgp/internal.h"

enum { DEFERRAL_MS = 60000 };

static void
sweep_empty(struct bgp_speaker *s)
{
	while (s->n_empty_ribs) {
		struct rib *r = s->ribs[s->empty_ribs[--s->n_empty_ribs]];

		r->is_empty_queued = false;
		if (r->used_nets)
			continue;
		if (r->kind == RIB_VPN)
			vpn_unlist(r);
		rib_destroy(r);
	}
}

struct bgp_speaker *
bgp_speaker_create(const struct bgp_speaker_config *cfg, struct mono now)
{
	struct bgp_speaker *s = mem_alloc(sizeof(*s));
	struct bgp_draft local = { .has = BGP_HAS_ORIGIN | BGP_HAS_PATH };

	s->cfg = *cfg;
	s->now = now;
	s->random = cfg->seed ^ 0x9e3779b97f4a7c15u;
	s->hash_seed = s->random * 0xd1342543de82ef95u;
	s->attrs = bgp_attrs_create();
	s->local_attr = bgp_attr_intern(s->attrs, &local);
	list_init(&s->tables);
	list_init(&s->peers);
	list_init(&s->fabric);
	list_init(&s->dirty_tables);
	list_init(&s->unready);
	list_init(&s->work);
	s->vpn_log.peers = &s->fabric;
	s->peer_at = mem_array(1, sizeof(*s->peer_at));
	s->n_peer_at = 1;
	s->n_ribs = s->cap_ribs = 1;
	s->ribs = mem_array(1, sizeof(*s->ribs));
	s->defer_until = MONO_NEVER;
	if (cfg->is_restarting)
		s->defer_until =
			mono_add_ms(now, cfg->deferral_ms ? cfg->deferral_ms : DEFERRAL_MS);
	return s;
}

void
bgp_speaker_destroy(struct bgp_speaker *s)
{
	if (!s)
		return;
	s->cfg.hooks = (struct bgp_hooks){ 0 };
	LIST_FOR_SAFE(n, &s->peers)
	{
		struct bgp_peer *p = LIST_ENTRY(n, struct bgp_peer, node);

		export_stop(p);
		p->main = NULL;
	}
	LIST_FOR_SAFE(n, &s->peers)
	bgp_peer_destroy(LIST_ENTRY(n, struct bgp_peer, node), s->now);
	LIST_FOR_SAFE(n, &s->tables)
	bgp_table_destroy(LIST_ENTRY(n, struct bgp_table, node));
	sweep_empty(s);
	for (uint32_t i = 1; i < s->n_ribs; i++)
		rib_destroy(s->ribs[i]);
	map_fini(&s->rds);
	map_fini(&s->targets);
	log_fini(&s->vpn_log);
	bgp_attr_unref(s->attrs, s->local_attr);
	bgp_attrs_destroy(s->attrs);
	buf_fini(&s->scratch);
	free(s->peer_at);
	free(s->ribs);
	free(s->free_ribs);
	free(s->empty_ribs);
	free(s->heap);
	free(s);
}

/* xorshift64*: jitter only. */
uint32_t
speaker_random(struct bgp_speaker *s, uint32_t below)
{
	s->random ^= s->random >> 12;
	s->random ^= s->random << 25;
	s->random ^= s->random >> 27;
	return (uint32_t)((s->random * 0x2545f4914f6cdd1du) >> 32) % below;
}

/* ---- timers: a heap of peers by the earliest thing any of them may have to do. A deadline that
 * moves later stays where it is and is looked at when it comes up: keepalives move the hold timer
 * with every message. ---- */

static void
heap_set(struct bgp_speaker *s, uint32_t at, struct bgp_peer *p)
{
	s->heap[at] = p;
	p->heap_at = at;
}

static void
heap_up(struct bgp_speaker *s, uint32_t at, struct bgp_peer *p)
{
	for (; at > 1 && s->heap[at / 2]->due.us > p->due.us; at /= 2)
		heap_set(s, at, s->heap[at / 2]);
	heap_set(s, at, p);
}

static void
heap_down(struct bgp_speaker *s, uint32_t at, struct bgp_peer *p)
{
	for (uint32_t c; (c = at * 2) <= s->n_heap; at = c) {
		if (c < s->n_heap && s->heap[c + 1]->due.us < s->heap[c]->due.us)
			c++;
		if (s->heap[c]->due.us >= p->due.us)
			break;
		heap_set(s, at, s->heap[c]);
	}
	heap_set(s, at, p);
}

static void
heap_remove(struct bgp_speaker *s, struct bgp_peer *p)
{
	struct bgp_peer *last = s->heap[s->n_heap--];
	uint32_t at = p->heap_at;

	p->heap_at = 0;
	if (last == p)
		return;
	heap_up(s, at, last);
	heap_down(s, last->heap_at, last);
}

void
speaker_schedule(struct bgp_peer *p)
{
	struct bgp_speaker *s = p->s;
	struct mono due = peer_due(p);

	if (due.us == MONO_NEVER.us) {
		if (p->heap_at)
			heap_remove(s, p);
		p->due = due;
		return;
	}
	if (p->heap_at && due.us >= p->due.us)
		return;
	p->due = due;
	if (!p->heap_at) {
		if (s->n_heap + 1 >= s->cap_heap) {
			s->cap_heap = MAX(16u, s->cap_heap * 2);
			s->heap = mem_realloc(s->heap, s->cap_heap * sizeof(*s->heap));
		}
		p->heap_at = ++s->n_heap;
	}
	heap_up(s, p->heap_at, p);
}

static void
run_timers(struct bgp_speaker *s, struct mono now)
{
	while (s->n_heap && mono_is_due(s->heap[1]->due, now)) {
		struct bgp_peer *p = s->heap[1];

		if (mono_is_due(peer_due(p), now))
			peer_timers(p, now);
		heap_remove(s, p);
		p->due = MONO_NEVER;
		speaker_schedule(p);
	}
}

/* ---- a restarting speaker's deferral (RFC 4724 4.1) ---- */

static bool
are_done(const struct list *peers)
{
	LIST_FOR(it, peers)
	if (!peer_is_done(LIST_ENTRY(it, struct bgp_peer, group_node)))
		return false;
	return true;
}

static void
check_ready(struct bgp_speaker *s)
{
	bool expired = s->defer_until.us == MONO_NEVER.us || mono_is_due(s->defer_until, s->now);
	bool fabric_done = expired || are_done(&s->fabric);

	s->may_be_ready = false;
	LIST_FOR_SAFE(it, &s->unready)
	{
		struct bgp_table *t = LIST_ENTRY(it, struct bgp_table, unready_node);

		if (expired || ((fabric_done || !t->n_imports) && are_done(&t->peers)))
			table_set_ready(t);
	}
	if (!list_is_empty(&s->unready))
		return;
	if (expired || (fabric_done && !list_is_empty(&s->peers)))
		s->defer_until = MONO_NEVER;
	LIST_FOR(it, &s->fabric) /* End-of-RIB may be due */
	peer_wake(LIST_ENTRY(it, struct bgp_peer, group_node));
}

/* ---- the turn ---- */

static void
decide_some(struct bgp_speaker *s)
{
	unsigned budget = TICK_NETS;

	while (budget && !list_is_empty(&s->dirty_tables)) {
		struct bgp_table *t =
			LIST_ENTRY(s->dirty_tables.next, struct bgp_table, dirty_node);

		budget = table_work(t, budget);
	}
}

static void
trim(struct log *l, struct bgp_speaker *s)
{
	uint32_t seq = l->end;

	LIST_FOR(it, l->peers)
	{
		const struct bgp_peer *p = LIST_ENTRY(it, struct bgp_peer, group_node);

		if (p->ex.log && p->ex.at - l->begin < seq - l->begin)
			seq = p->ex.at;
	}
	log_trim(s, l, seq);
	l->has_woken = false;
}

/* A reader that does not read keeps every change, and every withdrawn prefix, alive. */
static void
drop_laggards(struct bgp_speaker *s)
{
	struct log *l = &s->vpn_log;

	if (l->end - l->begin <= LOG_MAX)
		return;
	LIST_FOR(it, &s->fabric)
	{
		struct bgp_peer *p = LIST_ENTRY(it, struct bgp_peer, group_node);

		if (p->ex.log && l->end - p->ex.at > LOG_MAX / 2)
			peer_drop(p, "it does not read what it is sent");
	}
	trim(l, s);
}

static void
export_some(struct bgp_speaker *s)
{
	for (unsigned n = 0; n < TICK_EXPORTS && !list_is_empty(&s->work); n++) {
		struct bgp_peer *p = LIST_ENTRY(s->work.next, struct bgp_peer, work_node);
		struct log *l = p->ex.log;

		list_remove(&p->work_node);
		export_work(p);
		if (p->cfg.table)
			trim(l, s);
		if (p->ex.owes_eor && !p->ex.is_walking && p->ex.at == l->end && export_has_work(p))
			peer_wake(p); /* it waits for decisions that are still queued */
	}
	trim(&s->vpn_log, s);
	drop_laggards(s);
}

struct mono
bgp_speaker_tick(struct bgp_speaker *s, struct mono now)
{
	struct mono next = MONO_NEVER;

	s->now = now;
	run_timers(s, now);
	if (s->may_be_ready || mono_is_due(s->defer_until, now))
		check_ready(s);
	decide_some(s);
	export_some(s);
	sweep_empty(s);
	if (!list_is_empty(&s->dirty_tables) || !list_is_empty(&s->work))
		return now;
	if (s->n_heap)
		next = s->heap[1]->due;
	if (s->defer_until.us != MONO_NEVER.us)
		next = mono_min(next, s->defer_until);
	return next;
}
