/* A domain's packet table, made whole from its BGP table, its link and its VNets; and what its CE is
 * told. */
#include "base/log.h"
#include "base/mem.h"
#include "edge/edge.h"

enum { LINGER_MS = 3000, LINGERS_MAX = 10000 };

/* A prefix the customer withdrew a moment ago: packets from it may still be under way. */
struct withdrawn {
	struct prefix prefix;
	struct mono until;
};

void
fib_note_withdrawn(struct domain *d, const struct prefix *p)
{
	struct withdrawn *l = map_get(&d->lingers, p, sizeof(*p));

	if (!l && d->lingers.n >= LINGERS_MAX)
		return;
	if (!l) {
		l = mem_alloc(sizeof(*l));
		l->prefix = *p;
		map_put(&d->lingers, p, sizeof(*p), l);
	}
	l->until = mono_add_ms(mono_now(), LINGER_MS);
}

struct routes {
	struct datapath_route *r;
	size_t n, cap;
	struct map seen; /* prefixes of VNets and the link: ours before the customer's */
};

static struct datapath_route *
routes_add(struct routes *rs, const struct prefix *p, enum dp_kind kind)
{
	if (rs->n == rs->cap) {
		rs->cap = rs->cap ? 2 * rs->cap : 64;
		rs->r = mem_realloc(rs->r, rs->cap * sizeof(rs->r[0]));
	}
	rs->r[rs->n] = (struct datapath_route){ .prefix = *p, .kind = kind };
	return &rs->r[rs->n++];
}

static void
add_own(struct routes *rs, const struct domain *d)
{
	struct prefix link = prefix_make(&d->cfg->local, d->cfg->link_len);

	map_put(&rs->seen, &link, sizeof(link), rs);
	routes_add(rs, &link, DP_KIND_LINK);
	for (unsigned i = 0; i < d->cfg->n_vnets; i++) {
		const struct vnet *v = vnet_by_number(d->table.edge, d->cfg->vnets[i]);

		for (unsigned k = 0; v && k < v->cfg->n_prefixes; k++) {
			const struct prefix *p = &v->cfg->prefixes[k];

			if (p->addr.family != NET_V4 || map_put(&rs->seen, p, sizeof(*p), rs))
				continue;
			routes_add(rs, p, DP_KIND_VNET)->vnet = v->cfg->number;
		}
	}
}

/* Behind another circuit (Global Reach): the edges elsewhere that have it, best first. */
static void
add_reach(struct routes *rs, const struct domain *d, const struct prefix *p,
	  const struct bgp_path *paths, size_t n)
{
	const struct fabric *fabric = d->table.edge->fabric;
	struct datapath_reach reach[2] = { 0 };
	size_t n_reach = 0;

	for (size_t i = 0; i < n && n_reach < COUNT(reach); i++) {
		const struct fabric_peer *at =
			paths[i].is_imported ? fabric_peer_by_address(fabric, &paths[i].next_hop)
					     : NULL;

		if (!at || at->cfg->is_pair || at->cfg->role != NODE_EDGE ||
		    !domain_reaches(d, fabric_key_number(paths[i].key)) ||
		    (n_reach && reach[0].node == at->cfg->number))
			continue;
		reach[n_reach++] = (struct datapath_reach){ at->cfg->number, paths[i].key };
	}
	if (n_reach)
		memcpy(routes_add(rs, p, DP_KIND_REACH)->reach, reach, sizeof(reach));
}

/* The best way and, when it is of the other sort, the second one as backup. */
static void
add_customer(struct routes *rs, const struct domain *d, const struct prefix *p,
	     const struct bgp_path *paths, size_t n)
{
	const struct fabric_peer *pair = fabric_pair(d->table.edge->fabric);
	enum datapath_via via = DATAPATH_VIA_NONE, backup = DATAPATH_VIA_NONE;
	struct datapath_route *r;

	if (p->addr.family != NET_V4 || map_get(&rs->seen, p, sizeof(*p)))
		return;
	for (size_t i = 0; i < n && !backup; i++) {
		enum datapath_via v = DATAPATH_VIA_NONE;

		if (paths[i].is_external)
			v = DATAPATH_VIA_CE;
		else if (paths[i].is_imported && pair &&
			 addr_equal(&paths[i].next_hop, &pair->cfg->underlay))
			v = DATAPATH_VIA_PAIR;
		if (v && !via)
			via = v;
		else if (v && v != via)
			backup = v;
	}
	if (!via) {
		add_reach(rs, d, p, paths, n);
		return;
	}
	r = routes_add(rs, p, DP_KIND_CUSTOMER);
	r->via = via;
	r->backup = backup;
	r->pair = pair ? pair->cfg->number : 0;
}

/* Those past their time go; the rest stay as sources, and bring us back. */
static void
add_lingering(struct routes *rs, struct domain *d)
{
	struct mono now = mono_now(), next = MONO_NEVER;
	struct map_iter it = { 0 };
	struct withdrawn *done[64];
	size_t n_done = 0;

	while (map_next(&d->lingers, &it)) {
		struct withdrawn *l = it.value;
		struct bgp_path path[BGP_PATHS_MAX];

		if (mono_is_due(l->until, now) || bgp_table_get(d->table.bgp, &l->prefix, path)) {
			if (n_done < COUNT(done))
				done[n_done++] = l;
			continue;
		}
		next = mono_min(next, l->until);
		if (!map_get(&rs->seen, &l->prefix, sizeof(l->prefix)))
			routes_add(rs, &l->prefix, DP_KIND_NONE)->lingers = true;
	}
	for (size_t i = 0; i < n_done; i++) {
		map_remove(&d->lingers, &done[i]->prefix, sizeof(done[i]->prefix));
		free(done[i]);
	}
	if (n_done == COUNT(done))
		next = now;
	d->table.edge->linger = mono_min(d->table.edge->linger, next);
}

void
fib_commit(struct domain *d)
{
	struct routes rs = { 0 };
	struct bgp_path paths[BGP_PATHS_MAX];
	struct bgp_walk w = { 0 };
	struct prefix p;
	struct err e = { 0 };
	size_t n;
	int r;

	/* a predecessor's table forwards until ours is complete */
	if (!d->table.bgp || !bgp_table_is_ready(d->table.bgp))
		return;
	add_own(&rs, d);
	while (bgp_table_next(d->table.bgp, &w, &p, paths, &n))
		add_customer(&rs, d, &p, paths, n);
	add_lingering(&rs, d);
	r = datapath_edge_table_commit(d->table.edge->dp, d->cfg->number, rs.r, rs.n, mono_now(),
				       &e);
	if (r == -EAGAIN) /* freed lines wait for their grace period */
		edge_dirty(&d->table);
	else if (r < 0)
		log_error("table not committed domain=%s error=\"%s\"", d->object->key, e.text);
	free(rs.r);
	map_fini(&rs.seen);
}

void
fib_end_lingering(struct edge *x)
{
	struct map_iter it = { 0 };

	x->linger = MONO_NEVER; /* each commit names its next */
	while (map_next(&x->domains, &it)) {
		struct domain *d = it.value;

		if (d->table.bgp && d->lingers.n)
			edge_dirty(&d->table);
	}
}

/* ---- What the CE is told ---- */

static bool
contains(const struct prefix *list, unsigned n, const struct prefix *p)
{
	for (unsigned i = 0; i < n; i++)
		if (prefix_equal(&list[i], p))
			return true;
	return false;
}

void
fib_announce(struct domain *d)
{
	struct prefix *now = NULL;
	unsigned n = 0;

	if (!d->table.bgp)
		return;
	for (unsigned i = 0; i < d->cfg->n_vnets; i++) {
		const struct vnet *v = vnet_by_number(d->table.edge, d->cfg->vnets[i]);

		if (!v || !v->is_live)
			continue;
		now = mem_realloc(now, (n + v->cfg->n_prefixes) * sizeof(now[0]));
		memcpy(now + n, v->cfg->prefixes, v->cfg->n_prefixes * sizeof(now[0]));
		n += v->cfg->n_prefixes;
	}
	for (unsigned i = 0; i < d->n_announced; i++)
		if (!contains(now, n, &d->announced[i]))
			bgp_table_withdraw(d->table.bgp, &d->announced[i]);
	for (unsigned i = 0; i < n; i++)
		if (now[i].addr.family == NET_V4 &&
		    !contains(d->announced, d->n_announced, &now[i]))
			bgp_table_originate(d->table.bgp, &now[i], BGP_TO_CUSTOMERS);
	free(d->announced);
	d->announced = now;
	d->n_announced = n;
}
