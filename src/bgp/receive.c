/* From a parsed UPDATE to routes: import policy, the limit, and the peer's paths in the ribs.
 *
 * What is said about the attributes is decided once an UPDATE; what is said about a prefix, once a
 * prefix. A refused route is kept with its reason and counts towards the limit, so that refusing
 * is not a way to make us work for nothing without end. */
#include "bgp/internal.h"

/* ---- policy (domain rules of private peering; RFC 4456 8 for the fabric) ---- */

/* AS numbers that never belong in a path: documentation (RFC 5398), those the cloud keeps for
 * itself, AS_TRANS, and the last ones (RFC 7300). */
static bool
is_reserved(uint32_t as)
{
	return (as >= 64496 && as <= 64511) || (as >= 65515 && as <= 65520) ||
	       (as >= 65535 && as <= 65551) || as == ASN_TRANS || as == UINT32_MAX;
}

static enum bgp_reason
judge_path(const struct bgp_peer *p, const struct bgp_draft *d)
{
	struct asn as;
	size_t at = 0;
	unsigned n = 0;

	while (bgp_path_next(d->path, d->path_len, &at, &as)) {
		if (!n++ && p->is_external && as.v != p->cfg.remote_as.v)
			return BGP_REASON_FIRST_AS;
		if (as.v == p->cfg.local_as.v)
			return BGP_REASON_OWN_AS;
		if (p->is_external && is_reserved(as.v))
			return BGP_REASON_RESERVED_AS;
	}
	if (!n && p->is_external)
		return BGP_REASON_FIRST_AS;
	return n > p->cfg.max_path ? BGP_REASON_PATH_TOO_LONG : BGP_REASON_NONE;
}

static enum bgp_reason
judge_customer(const struct bgp_peer *p, const struct bgp_draft *d)
{
	if (!addr_equal(&d->next_hop, &p->cfg.remote))
		return BGP_REASON_NEXT_HOP;
	return judge_path(p, d);
}

static uint32_t
cluster_id(const struct bgp_speaker *s)
{
	return s->cfg.cluster_id ? s->cfg.cluster_id : s->cfg.router_id;
}

static enum bgp_reason
judge_fabric(const struct bgp_peer *p, const struct bgp_draft *d)
{
	const struct bgp_speaker *s = p->s;

	if (d->has & BGP_HAS_ORIGINATOR && d->originator == s->cfg.router_id)
		return BGP_REASON_OWN_ORIGINATOR;
	for (size_t i = 0; i < d->n_clusters; i++) {
		struct cursor c = cur_make(d->clusters + 4 * i, 4);

		if (cur_be32(&c) == cluster_id(s))
			return BGP_REASON_OWN_CLUSTER;
	}
	if (!(d->has & BGP_HAS_KEY))
		return BGP_REASON_NO_TUNNEL;
	return judge_path(p, d);
}

static enum bgp_reason
judge_prefix(const struct bgp_peer *p, uint32_t addr, uint8_t len)
{
	uint8_t top = (uint8_t)(addr >> 24);

	if ((len >= 8 && (top == 0 || top == 127)) || (len >= 4 && top >= 224))
		return BGP_REASON_MARTIAN;
	if (p->cfg.link.addr.family == NET_V4) {
		struct prefix x = { addr_v4(addr), len };

		if (prefix_covers(&p->cfg.link, &x))
			return BGP_REASON_LINK_SUBNET;
	}
	return BGP_REASON_NONE;
}

/* A customer's path keeps what decides between paths; communities and anything optional stay
 * outside: nothing a customer says steers the fabric. */
static void
scrub(struct bgp_draft *d)
{
	d->has &= BGP_HAS_ORIGIN | BGP_HAS_PATH | BGP_HAS_NEXT_HOP | BGP_HAS_MED;
	d->n_communities = d->n_ext = d->n_large = d->n_clusters = d->other_len = 0;
}

static enum bgp_reason
judge_placement(struct bgp_peer *p, struct rd rd, uint32_t addr, uint8_t len,
		const struct bgp_attr *a)
{
	const struct bgp_hooks *h = &p->s->cfg.hooks;
	struct prefix prefix = { addr_v4(addr), len };
	struct ext_community rts[BGP_MESSAGE_MAX / 8];
	size_t n = 0;

	if (!h->accept_vpn)
		return BGP_REASON_NONE;
	for (unsigned i = 0; i < a->n_ext && n < COUNT(rts); i++) {
		rts[n] = bgp_attr_ext_at(a, i);
		n += ext_community_is_rt(rts[n]);
	}
	return h->accept_vpn(h->ctx, p, rd, &prefix, rts, n) ? BGP_REASON_NONE
							     : BGP_REASON_NOT_PLACED;
}

/* ---- paths ---- */

static void
count_reason(struct bgp_peer *p, uint8_t from, uint8_t to)
{
	p->n_rejected += (to != BGP_REASON_NONE) - (from != BGP_REASON_NONE);
	if (to != from && to != BGP_REASON_NONE)
		p->rejected[to]++;
}

/* True if anything that others see changed. */
static bool
put_path(struct bgp_peer *p, struct rib *r, uint32_t net, struct bgp_attr *attr,
	 enum bgp_reason reason)
{
	uint32_t i = rib_path(r, net, p->index, 0);
	struct path *q;
	bool was_used = false;

	if (i) {
		q = &r->paths[i];
		was_used = q->reason == BGP_REASON_NONE;
		count_reason(p, q->reason, (uint8_t)reason);
		q->epoch = p->epoch;
		if (q->attr == attr->index && q->reason == reason)
			return false;
		if (q->attr != attr->index) {
			struct bgp_attr *old = bgp_attr_at(p->s->attrs, q->attr);

			q->attr = bgp_attr_ref(attr)->index;
			bgp_attr_unref(p->s->attrs, old);
		}
	} else {
		i = rib_path_add(r, net, p->index, 0, attr);
		count_reason(p, BGP_REASON_NONE, (uint8_t)reason);
		p->n_prefixes++;
	}
	r->paths[i].reason = (uint8_t)reason;
	return was_used || reason == BGP_REASON_NONE;
}

static bool
drop_path(struct bgp_peer *p, struct rib *r, uint32_t net, uint32_t path)
{
	uint8_t reason = r->paths[path].reason;

	rib_path_remove(r, net, path);
	count_reason(p, reason, BGP_REASON_NONE);
	p->n_prefixes--;
	return reason == BGP_REASON_NONE;
}

static void
drop_route(struct bgp_peer *p, struct rib *r, uint32_t net, uint32_t path)
{
	struct vpn_before before;

	if (r->kind == RIB_VPN) {
		vpn_before(r, net, &before);
		drop_path(p, r, net, path);
		vpn_after(r, net, &before);
	} else if (drop_path(p, r, net, path)) {
		table_touch(r->table, r, net, true);
	} else {
		rib_net_release(r, net);
	}
}

static void
put_route(struct bgp_peer *p, struct rib *r, const struct bgp_nlri *n, struct bgp_attr *attr,
	  enum bgp_reason reason)
{
	uint32_t net = rib_net(r, n->addr, n->len);
	struct vpn_before before;

	if (r->kind == RIB_VPN) {
		vpn_before(r, net, &before);
		put_path(p, r, net, attr, reason);
		vpn_after(r, net, &before);
	} else if (put_path(p, r, net, attr, reason)) {
		table_touch(r->table, r, net, true);
	}
}

/* ---- lists ---- */

static struct rib *
rib_of(struct bgp_peer *p, struct rd rd, bool create)
{
	return p->cfg.table ? p->cfg.table->rib : vpn_rib(p->s, rd, create);
}

static void
withdraw_list(struct bgp_peer *p, struct cursor c)
{
	struct bgp_nlri n;

	while (bgp_nlri_next(p->family, &c, &n)) {
		struct rib *r = rib_of(p, n.rd, false);
		uint32_t net = r ? rib_find(r, n.addr, n.len) : 0;
		uint32_t path = net ? rib_path(r, net, p->index, 0) : 0;

		if (path)
			drop_route(p, r, net, path);
	}
}

static void
warn(struct bgp_peer *p)
{
	const struct bgp_hooks *h = &p->s->cfg.hooks;
	uint32_t limit = p->cfg.max_prefixes;
	unsigned percent = !limit                                ? 0
			   : p->n_prefixes >= limit - limit / 10 ? 90
			   : p->n_prefixes >= limit - limit / 5  ? 80
								 : 0;

	if (percent > p->warned && h->prefix_warning)
		h->prefix_warning(h->ctx, p, percent, p->n_prefixes, limit);
	p->warned = percent;
}

/* Our own announcements, come back: many routers and reflectors send them. They are not kept, and so
 * do not eat up the peer's limit; whatever the prefix was before is withdrawn. */
static void
refuse_own(struct bgp_peer *p, struct cursor c, enum bgp_reason reason)
{
	struct cursor count = c;
	struct bgp_nlri n;

	withdraw_list(p, c);
	while (bgp_nlri_next(p->family, &count, &n))
		p->rejected[reason]++;
}

static bool
announce_list(struct bgp_peer *p, struct cursor c, const struct bgp_draft *draft)
{
	struct bgp_speaker *s = p->s;
	struct bgp_draft d = *draft;
	enum bgp_reason of_attr = p->cfg.table ? judge_customer(p, &d) : judge_fabric(p, &d);
	struct bgp_attr *attr;
	struct bgp_nlri n;
	bool ok = true;

	if (of_attr == BGP_REASON_OWN_AS || of_attr == BGP_REASON_OWN_ORIGINATOR) {
		refuse_own(p, c, of_attr);
		return true;
	}
	if (p->cfg.table)
		scrub(&d);
	attr = bgp_attr_intern(s->attrs, &d);
	while (ok && bgp_nlri_next(p->family, &c, &n)) {
		enum bgp_reason reason = of_attr;

		if (reason == BGP_REASON_NONE)
			reason = p->cfg.table ? judge_prefix(p, n.addr, n.len)
					      : judge_placement(p, n.rd, n.addr, n.len, attr);
		put_route(p, rib_of(p, n.rd, true), &n, attr, reason);
		ok = !p->cfg.max_prefixes || p->n_prefixes <= p->cfg.max_prefixes;
	}
	bgp_attr_unref(s->attrs, attr);
	return ok;
}

bool
receive_update(struct bgp_peer *p, const struct bgp_update *u)
{
	struct bgp_draft d = u->attr;
	bool reach = u->has_reach && u->reach_family == p->family;
	bool ok = true;

	p->n_attrs_discarded += u->n_discarded;
	withdraw_list(p, u->withdrawn);
	if (u->has_unreach && u->unreach_family == p->family)
		withdraw_list(p, u->unreach);
	if (u->verdict == BGP_WITHDRAW) {
		p->n_withdrawn_as_error++;
		snprintf(p->last_error, sizeof(p->last_error),
			 "UPDATE treated as withdraw: attribute %u: %s", u->why_type, u->why);
		withdraw_list(p, u->announced);
		if (reach)
			withdraw_list(p, u->reach);
	} else {
		if (cur_left(&u->announced))
			ok = announce_list(p, u->announced, &d);
		d.next_hop = u->reach_next_hop;
		d.has |= BGP_HAS_NEXT_HOP;
		if (ok && reach && cur_left(&u->reach))
			ok = announce_list(p, u->reach, &d);
	}
	warn(p);
	return ok;
}

/* ---- all of a peer's routes ---- */

static void
purge_rib(struct bgp_peer *p, struct rib *r, bool only_stale)
{
	for (uint32_t net = 1; net < r->n_nets; net++) {
		uint32_t path;

		if (!(r->nets[net].flags & NET_USED) || !(path = rib_path(r, net, p->index, 0)))
			continue;
		if (!only_stale || path_is_stale(p->s, &r->paths[path]))
			drop_route(p, r, net, path);
	}
}

/* The RDs' ribs that ever held a path of p; *at starts at 0. */
static struct rib *
next_rib_of(struct bgp_peer *p, uint32_t *at)
{
	while (++*at < p->s->n_ribs) {
		struct rib *r = p->s->ribs[*at];

		if (r && r->kind == RIB_VPN && r->peer_mask >> p->index % 64 & 1)
			return r;
	}
	return NULL;
}

void
receive_purge(struct bgp_peer *p, bool only_stale)
{
	struct rib *r;
	uint32_t at = 0;

	if (p->n_prefixes && p->cfg.table)
		purge_rib(p, p->cfg.table->rib, only_stale);
	while (p->n_prefixes && !p->cfg.table && (r = next_rib_of(p, &at)))
		purge_rib(p, r, only_stale);
	p->has_stale = false;
	p->stale_until = p->restart_until = MONO_NEVER;
	warn(p);
}

static void
recheck_net(struct bgp_peer *p, struct rib *r, uint32_t net)
{
	uint32_t i = r->nets[net].flags & NET_USED ? rib_path(r, net, p->index, 0) : 0;
	struct vpn_before before;
	struct path *q;
	enum bgp_reason reason;

	if (!i)
		return;
	q = &r->paths[i];
	if (q->reason != BGP_REASON_NONE && q->reason != BGP_REASON_NOT_PLACED)
		return;
	reason = judge_placement(p, r->rd, r->nets[net].addr, r->nets[net].len,
				 bgp_attr_at(p->s->attrs, q->attr));
	if (reason == q->reason)
		return;
	vpn_before(r, net, &before);
	count_reason(p, q->reason, (uint8_t)reason);
	q->reason = (uint8_t)reason;
	vpn_after(r, net, &before);
}

void
bgp_peer_recheck(struct bgp_peer *p)
{
	struct rib *r;
	uint32_t at = 0;

	while (!p->cfg.table && (r = next_rib_of(p, &at)))
		for (uint32_t net = 1; net < r->n_nets; net++)
			recheck_net(p, r, net);
}
