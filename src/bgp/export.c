/* What peers are told. A peer's export is a cursor: a walk over all that may be told at first (or
 * after a ROUTE-REFRESH), then the log of changes. Each batch of changes is sorted by attributes,
 * so that routes which share them share UPDATEs; each prefix is in a batch once, so order inside
 * it is free. Encoding stops while enough waits to be sent: a slow reader costs one buffer.
 *
 * Without a copy per peer, a withdrawal may be sent for what the peer was never told. That is
 * legal and rare; where it would be common (a route goes back to its only source) the prefix
 * remembers who its sources were. */
#include "bgp/internal.h"

struct change {
	struct rib *rib;
	uint32_t net, path; /* path 0: withdraw */
	uint32_t attr;
};

/* ---- what may be told ---- */

uint32_t
export_pick(const struct bgp_peer *p, const struct rib *r, uint32_t net)
{
	uint32_t best;
	const struct bgp_peer *from;

	if (r->kind ==
	    RIB_TABLE) /* best external: imported paths do not compete (DESIGN: RD rules) */
		return rank_best(r, net, RANK_OWN);
	best = rank_best(r, net, RANK_ALL);
	if (r->kind == RIB_OUT || !best)
		return best;
	/* RFC 4456 6: a client's routes to all others, anybody's routes to clients */
	from = p->s->peer_at[r->paths[best].peer];
	if (from == p || !(from->cfg.is_client || p->cfg.is_client))
		return 0;
	return best;
}

/* Whether p can have been told of the net: its present path is not for p. */
static bool
owes_withdraw(const struct bgp_peer *p, const struct rib *r, uint32_t net)
{
	const struct net *n = &r->nets[net];

	if (r->kind != RIB_VPN)
		return true;
	if (n->src == p->index && !(n->flags & NET_SOURCES))
		return false;
	return p->cfg.is_client || n->flags & NET_CLIENT;
}

static bool
is_for(const struct bgp_peer *p, const struct rib *r)
{
	if (!r)
		return false;
	if (p->cfg.table)
		return r == p->cfg.table->out && p->cfg.table->is_ready;
	return (r->kind == RIB_TABLE && r->rd.v && r->table && r->table->is_ready) ||
	       (r->kind == RIB_VPN && p->s->n_clients);
}

/* ---- batches ---- */

static size_t
batch_from_walk(struct bgp_peer *p, struct change *out, size_t max)
{
	struct exporter *x = &p->ex;
	size_t n = 0;

	for (; x->walk_rib < p->s->n_ribs; x->walk_rib++, x->walk_net = 1) {
		struct rib *r = p->s->ribs[x->walk_rib];

		if (!is_for(p, r))
			continue;
		for (; x->walk_net < r->n_nets; x->walk_net++) {
			const struct net *net = &r->nets[x->walk_net];
			uint32_t path;

			if (n == max)
				return n;
			if (!(net->flags & NET_USED) || net->flags & NET_DIRTY_OWN ||
			    !(path = export_pick(p, r, x->walk_net)))
				continue; /* dirty: the log will tell */
			out[n++] = (struct change){ r, x->walk_net, path, r->paths[path].attr };
		}
	}
	x->is_walking = false;
	return n;
}

static size_t
batch_from_log(struct bgp_peer *p, struct change *out, size_t max)
{
	struct exporter *x = &p->ex;
	size_t n = 0;

	for (; n < max && x->at != x->log->end; x->at++) {
		struct log_entry e = x->log->e[x->at & (x->log->cap - 1)];
		struct rib *r = p->s->ribs[e.rib];
		uint32_t path;

		if (!r || e.net >= r->n_nets || r->nets[e.net].log != x->at ||
		    !(r->nets[e.net].flags & NET_LOGGED))
			continue; /* a later entry speaks for it */
		path = r->nets[e.net].path ? export_pick(p, r, e.net) : 0;
		if (path || owes_withdraw(p, r, e.net))
			out[n++] =
				(struct change){ r, e.net, path, path ? r->paths[path].attr : 0 };
	}
	return n;
}

static int
compare_changes(const void *a, const void *b)
{
	const struct change *x = a, *y = b;

	if (!x->path != !y->path)
		return x->path ? 1 : -1; /* withdrawals first */
	if (x->rib != y->rib)
		return x->rib->index < y->rib->index ? -1 : 1;
	if (x->attr != y->attr)
		return x->attr < y->attr ? -1 : 1;
	return x->net < y->net ? -1 : x->net > y->net;
}

/* ---- encoding ---- */

/* An UPDATE under construction in the speaker's scratch. */
struct writer {
	struct bgp_peer *p;
	struct buf *b;
	size_t attrs_at; /* of the two length bytes */
	size_t mp_at;    /* of the MP attribute's length; 0: none */
	size_t fixed;    /* bytes to come behind the NLRI (the other attributes) */
};

static void
update_begin(struct writer *w)
{
	static const uint8_t head[16] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
					  0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

	buf_reset(w->b);
	buf_put(w->b, head, sizeof(head));
	buf_be16(w->b, 0);
	buf_u8(w->b, BGP_TYPE_UPDATE);
	buf_be16(w->b, 0); /* withdrawn */
	w->attrs_at = w->b->n;
	w->mp_at = 0;
}

static void
update_send(struct writer *w)
{
	struct bgp_conn *c = w->p->main;

	buf_be16_at(w->b, 16, (uint16_t)w->b->n);
	assert(w->b->n <= BGP_MESSAGE_MAX);
	conn_send(c, w->b->p, w->b->n);
	w->p->n_updates_out++;
}

static void
nlri_put(struct writer *w, const struct change *c, bool is_withdraw)
{
	const struct net *n = &c->rib->nets[c->net];
	struct bgp_nlri x = { c->rib->rd, n->addr, n->len };

	bgp_nlri_put(w->b, w->p->family, &x, is_withdraw);
}

enum { NLRI_MAX = 16, FLAGS_MP = 0x90 /* optional, extended length */ };

static size_t
put_withdrawals(struct writer *w, const struct change *c, size_t n)
{
	size_t i = 0;
	bool vpn = w->p->family != BGP_IPV4;

	update_begin(w);
	if (vpn) {
		buf_be16(w->b, 0);
		buf_put(w->b, (uint8_t[]){ FLAGS_MP, 15, 0, 0 }, 4);
		w->mp_at = w->b->n;
		buf_be16(w->b, bgp_families[w->p->family].afi);
		buf_u8(w->b, bgp_families[w->p->family].safi);
	}
	while (i < n && !c[i].path && w->b->n + NLRI_MAX + 2 <= BGP_MESSAGE_MAX)
		nlri_put(w, &c[i++], true);
	if (vpn) {
		buf_be16_at(w->b, w->mp_at - 2, (uint16_t)(w->b->n - w->mp_at));
		buf_be16_at(w->b, w->attrs_at, (uint16_t)(w->b->n - w->attrs_at - 2));
	} else {
		buf_be16_at(w->b, w->attrs_at - 2, (uint16_t)(w->b->n - w->attrs_at));
		buf_be16(w->b, 0);
	}
	update_send(w);
	return i;
}

/* The attributes p is told for a change, without MP_REACH_NLRI. */
static void
put_attrs(struct bgp_peer *p, struct buf *b, const struct change *c, struct addr *ret_next_hop)
{
	const struct bgp_speaker *s = p->s;
	const struct rib *r = c->rib;
	const struct path *path = &r->paths[c->path];
	const struct bgp_attr *a = bgp_attr_at(s->attrs, path->attr);
	struct bgp_draft d;
	uint8_t ext[8 * BGP_EXPORTS_MAX], own_path[6], clusters[BGP_MESSAGE_MAX];
	struct cursor id;
	uint8_t id_bytes[4];
	uint32_t cluster = s->cfg.cluster_id ? s->cfg.cluster_id : s->cfg.router_id;

	bgp_attr_to_draft(a, &d);
	switch (r->kind) {
	case RIB_OUT: { /* RFC 4271 5.1.2, 5.1.3; the cloud's inside is not shown */
		uint32_t as = p->cfg.local_as.v;

		memcpy(own_path,
		       (uint8_t[]){ 2, 1, (uint8_t)(as >> 24), (uint8_t)(as >> 16),
				    (uint8_t)(as >> 8), (uint8_t)as },
		       6);
		d = (struct bgp_draft){ .origin = a->origin, .path = own_path, .path_len = 6 };
		d.next_hop = p->cfg.local;
		break;
	}
	case RIB_TABLE:
		for (unsigned i = 0; i < r->table->cfg.n_exports; i++)
			for (int k = 0; k < 8; k++)
				ext[8 * i + (unsigned)k] =
					(uint8_t)(r->table->cfg.exports[i].v >> (56 - 8 * k));
		d.ext = ext;
		d.n_ext = r->table->cfg.n_exports;
		d.local_pref = r->table->cfg.local_pref;
		d.has |= BGP_HAS_LOCAL_PREF;
		d.next_hop = s->cfg.fabric_addr;
		break;
	case RIB_VPN:
		if (!(d.has & BGP_HAS_ORIGINATOR))
			d.originator = s->peer_at[path->peer]->router_id;
		d.has |= BGP_HAS_ORIGINATOR;
		memcpy(id_bytes,
		       (uint8_t[]){ (uint8_t)(cluster >> 24), (uint8_t)(cluster >> 16),
				    (uint8_t)(cluster >> 8), (uint8_t)cluster },
		       4);
		id = cur_make(id_bytes, 4);
		memcpy(clusters, id.p, 4);
		if (d.n_clusters)
			memcpy(clusters + 4, d.clusters,
			       MIN(d.n_clusters * 4, sizeof(clusters) - 4));
		d.clusters = clusters;
		d.n_clusters++;
		break;
	}
	*ret_next_hop = d.next_hop;
	bgp_attr_put(b, &d, p->main->as4, p->family == BGP_IPV4);
	if (r->kind == RIB_TABLE)
		bgp_tunnel_put(b, r->table->cfg.key);
}

/* One UPDATE for the leading changes that share attributes; 0 if those are too long for any. */
static size_t
put_announcements(struct writer *w, const struct change *c, size_t n)
{
	AUTO_BUF attrs = { 0 };
	struct addr next_hop;
	size_t i = 0;
	bool vpn = w->p->family != BGP_IPV4;

	put_attrs(w->p, &attrs, c, &next_hop);
	update_begin(w);
	buf_be16(w->b, 0);
	if (vpn) {
		buf_put(w->b, (uint8_t[]){ FLAGS_MP, 14, 0, 0 }, 4);
		w->mp_at = w->b->n;
		buf_be16(w->b, bgp_families[w->p->family].afi);
		buf_put(w->b, (uint8_t[]){ bgp_families[w->p->family].safi, 12 }, 2);
		buf_be64(w->b, 0);
		buf_put(w->b, next_hop.b, 4);
		buf_u8(w->b, 0);
	} else {
		buf_put(w->b, attrs.p, attrs.n);
		buf_be16_at(w->b, w->attrs_at, (uint16_t)(w->b->n - w->attrs_at - 2));
		attrs.n = 0;
	}
	while (i < n && c[i].rib == c->rib && c[i].attr == c->attr &&
	       w->b->n + NLRI_MAX + attrs.n <= BGP_MESSAGE_MAX)
		nlri_put(w, &c[i++], false);
	if (!i)
		return 0;
	if (vpn) {
		buf_be16_at(w->b, w->mp_at - 2, (uint16_t)(w->b->n - w->mp_at));
		buf_put(w->b, attrs.p, attrs.n);
		buf_be16_at(w->b, w->attrs_at, (uint16_t)(w->b->n - w->attrs_at - 2));
	}
	update_send(w);
	return i;
}

static void
encode(struct bgp_peer *p, struct change *c, size_t n)
{
	struct writer w = { .p = p, .b = &p->s->scratch };

	qsort(c, n, sizeof(*c), compare_changes);
	while (n) {
		size_t done = c->path ? put_announcements(&w, c, n) : put_withdrawals(&w, c, n);

		if (!done) { /* attributes longer than a message: not announced (RFC 4271 9.2) */
			c->path = 0;
			continue;
		}
		c += done;
		n -= done;
	}
}

static void
send_eor(struct bgp_peer *p)
{
	struct writer w = { .p = p, .b = &p->s->scratch };

	update_begin(&w);
	if (p->family == BGP_IPV4) {
		buf_be16(w.b, 0);
	} else {
		buf_be16(w.b, 6);
		buf_put(w.b, (uint8_t[]){ 0x80, 15, 3 }, 3);
		buf_be16(w.b, bgp_families[p->family].afi);
		buf_u8(w.b, bgp_families[p->family].safi);
	}
	update_send(&w);
	p->ex.owes_eor = false;
	p->eor_sent = true;
}

/* ---- a peer's cursor ---- */

static bool
is_all_ready(const struct bgp_peer *p)
{
	if (p->cfg.table)
		return p->cfg.table->is_ready;
	return list_is_empty(&p->s->unready);
}

bool
export_has_work(const struct bgp_peer *p)
{
	const struct exporter *x = &p->ex;

	return x->log &&
	       (x->is_walking || x->at != x->log->end || (x->owes_eor && is_all_ready(p)));
}

static bool
has_room(const struct bgp_peer *p)
{
	return p->main->out.n - p->main->out_at < OUT_HIGH;
}

void
export_work(struct bgp_peer *p)
{
	struct exporter *x = &p->ex;
	struct change batch[EXPORT_BATCH];

	while (x->log && has_room(p) && (x->is_walking || x->at != x->log->end)) {
		size_t n = x->is_walking ? batch_from_walk(p, batch, EXPORT_BATCH)
					 : batch_from_log(p, batch, EXPORT_BATCH);

		encode(p, batch, n);
	}
	if (x->log && x->owes_eor && has_room(p) && !x->is_walking && x->at == x->log->end &&
	    is_all_ready(p) && list_is_empty(&p->s->dirty_tables))
		send_eor(p);
}

void
peer_wake(struct bgp_peer *p)
{
	if (p->ex.log && !list_is_linked(&p->work_node))
		list_append(&p->s->work, &p->work_node);
}

void
export_wake(struct log *l)
{
	l->has_woken = true;
	LIST_FOR(it, l->peers)
	peer_wake(LIST_ENTRY(it, struct bgp_peer, group_node));
}

void
export_again(struct bgp_peer *p)
{
	if (!p->ex.log)
		return;
	p->ex.is_walking = true;
	p->ex.walk_rib = p->ex.walk_net = 1;
	peer_wake(p);
}

void
export_start(struct bgp_peer *p)
{
	struct log *l = p->cfg.table ? &p->cfg.table->out_log : &p->s->vpn_log;

	if (p->ex.log != l)
		l->n_readers++;
	p->ex = (struct exporter){ .log = l, .at = l->end, .owes_eor = true };
	export_again(p);
}

void
export_stop(struct bgp_peer *p)
{
	struct log *l = p->ex.log;

	if (!l)
		return;
	l->n_readers--;
	p->ex = (struct exporter){ 0 };
	list_remove(&p->work_node);
	if (!l->n_readers)
		log_trim(p->s, l, l->end);
}
