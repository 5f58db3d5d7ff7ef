/* Read access for queries. */
#include "bgp/internal.h"

void
bgp_peer_info(const struct bgp_peer *p, struct bgp_peer_info *ret)
{
	const struct bgp_conn *c = p->main;

	for (size_t i = 0; !c && i < CONNS; i++)
		if (p->conns[i].peer && p->conns[i].state == BGP_OPENCONFIRM)
			c = &p->conns[i];
	*ret = (struct bgp_peer_info){
		.state = p->state,
		.is_stopped = !p->is_started,
		.is_restarting = p->has_stale && !p->main,
		.since_us = p->since.us,
		.router_id = p->router_id,
		.hold_s = c ? c->hold_s : 0,
		.keepalive_s = c ? c->keepalive_s : 0,
		.as4 = c && c->as4,
		.refresh = c && c->open.refresh,
		.graceful = p->main && p->was_graceful,
		.notification_bit = p->main && p->was_notification_bit,
		.eor_received = p->main && p->eor_received,
		.eor_sent = p->main && p->eor_sent,
		.n_prefixes = p->n_prefixes,
		.n_rejected = p->n_rejected,
		.limit = p->cfg.max_prefixes,
		.n_in = p->n_in,
		.n_out = p->n_out,
		.n_updates_in = p->n_updates_in,
		.n_updates_out = p->n_updates_out,
		.n_established = p->n_established,
		.n_withdrawn_as_error = p->n_withdrawn_as_error,
		.n_attrs_discarded = p->n_attrs_discarded,
		.last_code = p->last_code,
		.last_subcode = p->last_subcode,
		.last_was_sent = p->last_was_sent,
		.last_error = p->last_error,
	};
	memcpy(ret->rejected, p->rejected, sizeof(ret->rejected));
}

struct bgp_peer *
bgp_peer_first(const struct bgp_speaker *s)
{
	return list_is_empty(&s->peers) ? NULL : LIST_ENTRY(s->peers.next, struct bgp_peer, node);
}

struct bgp_peer *
bgp_peer_after(const struct bgp_peer *p)
{
	return p->node.next == &p->s->peers ? NULL
					    : LIST_ENTRY(p->node.next, struct bgp_peer, node);
}

struct bgp_table *
bgp_table_first(const struct bgp_speaker *s)
{
	return list_is_empty(&s->tables) ? NULL
					 : LIST_ENTRY(s->tables.next, struct bgp_table, node);
}

struct bgp_table *
bgp_table_after(const struct bgp_table *t)
{
	return t->node.next == &t->s->tables ? NULL
					     : LIST_ENTRY(t->node.next, struct bgp_table, node);
}

static struct prefix
prefix_of(const struct rib *r, uint32_t net)
{
	return (struct prefix){ addr_v4(r->nets[net].addr), r->nets[net].len };
}

static size_t
show_all(const struct rib *r, uint32_t net, struct bgp_path paths[BGP_PATHS_MAX])
{
	struct ranked ranked[BGP_PATHS_MAX];
	size_t n = rank_paths(r, net, RANK_ALL, ranked);

	for (size_t i = 0; i < n; i++) {
		path_show(r, ranked[i].path, &paths[i]);
		paths[i].is_multipath = ranked[i].is_multipath;
	}
	return n;
}

bool
bgp_table_next(const struct bgp_table *t, struct bgp_walk *w, struct prefix *ret_prefix,
	       struct bgp_path paths[BGP_PATHS_MAX], size_t *ret_n)
{
	const struct rib *r = t->rib;

	while (++w->net < r->n_nets) {
		if (!(r->nets[w->net].flags & NET_USED) || !(*ret_n = show_all(r, w->net, paths)))
			continue;
		*ret_prefix = prefix_of(r, w->net);
		return true;
	}
	return false;
}

size_t
bgp_table_get(const struct bgp_table *t, const struct prefix *p,
	      struct bgp_path paths[BGP_PATHS_MAX])
{
	uint32_t net = p->addr.family == NET_V4 ? rib_find(t->rib, addr_u32(&p->addr), p->len) : 0;

	return net ? show_all(t->rib, net, paths) : 0;
}

size_t
bgp_table_count(const struct bgp_table *t)
{
	size_t n = 0;

	for (uint32_t net = 1; net < t->rib->n_nets; net++)
		n += t->rib->nets[net].flags & NET_USED && rank_best(t->rib, net, RANK_ALL);
	return n;
}

bool
bgp_table_is_ready(const struct bgp_table *t)
{
	return t->is_ready;
}

/* The next net at or behind the cursor in a rib that `want` accepts. */
static const struct rib *
step(const struct bgp_peer *p, struct bgp_walk *w,
     bool (*want)(const struct bgp_peer *, const struct rib *))
{
	const struct bgp_speaker *s = p->s;

	for (; w->rib < s->n_ribs; w->rib++, w->net = 0) {
		const struct rib *r = s->ribs[w->rib];

		if (!r || !want(p, r))
			continue;
		while (++w->net < r->n_nets)
			if (r->nets[w->net].flags & NET_USED)
				return r;
	}
	return NULL;
}

static bool
is_received_in(const struct bgp_peer *p, const struct rib *r)
{
	return p->cfg.table ? r == p->cfg.table->rib : r->kind == RIB_VPN;
}

bool
bgp_received_next(const struct bgp_peer *p, struct bgp_walk *w, struct rd *ret_rd,
		  struct prefix *ret_prefix, struct bgp_path *ret_path)
{
	const struct rib *r;

	while ((r = step(p, w, is_received_in))) {
		uint32_t path = rib_path(r, w->net, p->index, 0);

		if (!path)
			continue;
		path_show(r, path, ret_path);
		*ret_prefix = prefix_of(r, w->net);
		*ret_rd = r->kind == RIB_VPN ? r->rd : (struct rd){ 0 };
		return true;
	}
	return false;
}

static bool
is_advertised_from(const struct bgp_peer *p, const struct rib *r)
{
	if (p->cfg.table)
		return r == p->cfg.table->out && p->cfg.table->is_ready;
	return (r->kind == RIB_TABLE && r->rd.v && r->table && r->table->is_ready) ||
	       (r->kind == RIB_VPN && p->s->n_clients);
}

bool
bgp_advertised_next(const struct bgp_peer *p, struct bgp_walk *w, struct rd *ret_rd,
		    struct prefix *ret_prefix, struct bgp_path *ret_path)
{
	const struct rib *r;

	if (!p->main)
		return false;
	while ((r = step(p, w, is_advertised_from))) {
		uint32_t path = export_pick(p, r, w->net);

		if (!path)
			continue;
		path_show(r, path, ret_path);
		if (r->kind == RIB_OUT)
			ret_path->next_hop = p->cfg.local;
		if (r->kind == RIB_TABLE) {
			ret_path->next_hop = p->s->cfg.fabric_addr;
			ret_path->key = r->table->cfg.key;
		}
		*ret_prefix = prefix_of(r, w->net);
		*ret_rd = r->kind == RIB_OUT ? (struct rd){ 0 } : r->rd;
		return true;
	}
	return false;
}

void
bgp_speaker_stats(const struct bgp_speaker *s, struct bgp_stats *ret)
{
	*ret = (struct bgp_stats){ .n_attrs = bgp_attrs_count(s->attrs),
				   .n_log = s->vpn_log.end - s->vpn_log.begin,
				   .bytes = s->vpn_log.cap * sizeof(struct log_entry) };
	LIST_FOR(it, &s->peers)
	{
		ret->n_peers++;
		ret->n_established += LIST_ENTRY(it, struct bgp_peer, node)->main != NULL;
	}
	LIST_FOR(it, &s->tables)
	ret->n_tables++;
	for (uint32_t i = 1; i < s->n_ribs; i++) {
		if (!s->ribs[i])
			continue;
		ret->bytes += rib_bytes(s->ribs[i]);
		if (s->ribs[i]->kind == RIB_VPN)
			ret->n_vpn_routes += s->ribs[i]->used_nets;
	}
}
