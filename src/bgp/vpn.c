/* VPNv4 routes by route distinguisher, and who imports them by route target.
 *
 * Of each (RD, prefix) the best path is what tables import; an imported path lives in the table's
 * rib beside the customers', marked with the RD's rib, and is never exported again (the one
 * exception, Global Reach, goes to customers through the out rib). */
#include "bgp/internal.h"

struct rib *
vpn_rib(struct bgp_speaker *s, struct rd rd, bool create)
{
	struct rib *r = map_get(&s->rds, &rd.v, sizeof(rd.v));

	if (!r && create) {
		r = rib_create(s, RIB_VPN, NULL, rd);
		map_put(&s->rds, &rd.v, sizeof(rd.v), r);
	}
	return r;
}

/* ---- targets ---- */

static struct target *
target_get(struct bgp_speaker *s, struct ext_community rt, bool create)
{
	struct target *t = map_get(&s->targets, &rt.v, sizeof(rt.v));

	if (!t && create) {
		t = mem_alloc(sizeof(*t));
		t->rt = rt;
		map_put(&s->targets, &rt.v, sizeof(rt.v), t);
	}
	return t;
}

static void
target_release(struct bgp_speaker *s, struct target *t)
{
	if (t->n_tables || t->n_ribs)
		return;
	map_remove(&s->targets, &t->rt.v, sizeof(t->rt.v));
	free(t->tables);
	free(t->ribs);
	free(t);
}

/* Notes that the RD carries the target, so that an import that comes later finds it. */
static void
list_target(struct rib *r, struct ext_community rt)
{
	struct target *t;

	for (uint32_t i = 0; i < r->n_rts; i++)
		if (r->rts[i].v == rt.v)
			return;
	t = target_get(r->s, rt, true);
	t->ribs = mem_realloc(t->ribs, (t->n_ribs + 1) * sizeof(*t->ribs));
	t->ribs[t->n_ribs++] = r->index;
	r->rts = mem_realloc(r->rts, (r->n_rts + 1) * sizeof(*r->rts));
	r->rts[r->n_rts++] = rt;
}

void
vpn_unlist(struct rib *r)
{
	for (uint32_t i = 0; i < r->n_rts; i++) {
		struct target *t = target_get(r->s, r->rts[i], false);
		uint32_t k = 0;

		while (t->ribs[k] != r->index)
			k++;
		t->ribs[k] = t->ribs[--t->n_ribs];
		target_release(r->s, t);
	}
	r->n_rts = 0;
	map_remove(&r->s->rds, &r->rd.v, sizeof(r->rd.v));
}

/* ---- a route into and out of a table ---- */

static void
put_imported(struct rib *to, const struct rib *from, const struct net *n, const struct path *best,
	     struct bgp_attr *attr)
{
	uint32_t net = rib_net(to, n->addr, n->len);
	uint32_t old = rib_path(to, net, 0, from->index);

	if (old && to->paths[old].attr == attr->index && to->paths[old].peer == best->peer) {
		to->paths[old].epoch = best->epoch;
		return;
	}
	if (old)
		rib_path_remove(to, net, old);
	old = rib_path_add(to, net, best->peer, from->index, attr);
	to->paths[old].epoch = best->epoch;
	table_touch(to->table, to, net, false);
}

static void
drop_imported(struct rib *to, const struct rib *from, const struct net *n)
{
	uint32_t net = rib_find(to, n->addr, n->len);
	uint32_t old = net ? rib_path(to, net, 0, from->index) : 0;

	if (!old)
		return;
	rib_path_remove(to, net, old);
	table_touch(to->table, to, net, false);
}

/* What the table's imports say about attributes: 0 nothing, 1 import, 3 and tell customers. */
static unsigned
wants(const struct bgp_table *t, const struct bgp_attr *a)
{
	unsigned w = 0;

	for (size_t i = 0; a && i < t->n_imports; i++)
		if (bgp_attr_has_rt(a, t->imports[i].rt))
			w |= t->imports[i].to_customers ? 3 : 1;
	return w;
}

static void
sync_table(struct bgp_table *t, const struct rib *r, const struct net *n, const struct path *best,
	   struct bgp_attr *attr)
{
	unsigned w = best && attr ? wants(t, attr) : 0;

	if (w & 1)
		put_imported(t->rib, r, n, best, attr);
	else
		drop_imported(t->rib, r, n);
	if (w & 2)
		put_imported(t->out, r, n, best, attr);
	else
		drop_imported(t->out, r, n);
}

static void
sync_tables(struct rib *r, uint32_t net, const struct bgp_attr *rts, const struct path *best,
	    struct bgp_attr *attr)
{
	const struct net n = r->nets[net];

	for (unsigned i = 0; rts && i < rts->n_ext; i++) {
		struct target *t = target_get(r->s, bgp_attr_ext_at(rts, i), false);

		for (uint32_t k = 0; t && k < t->n_tables; k++)
			sync_table(t->tables[k].table, r, &n, best, attr);
	}
}

void
vpn_before(struct rib *r, uint32_t net, struct vpn_before *ret)
{
	uint32_t best = rank_best(r, net, RANK_ALL);

	*ret = (struct vpn_before){ 0 };
	if (best) {
		ret->attr = bgp_attr_ref(bgp_attr_at(r->s->attrs, r->paths[best].attr));
		ret->peer = r->paths[best].peer;
	}
}

static void
note_source(struct rib *r, struct net *n, uint16_t peer)
{
	if (!n->src)
		n->src = peer;
	else if (n->src != peer)
		n->flags |= NET_SOURCES;
	if (r->s->peer_at[peer]->cfg.is_client)
		n->flags |= NET_CLIENT;
}

void
vpn_after(struct rib *r, uint32_t net, struct vpn_before *before)
{
	struct bgp_speaker *s = r->s;
	uint32_t i = rank_best(r, net, RANK_ALL);
	const struct path best = i ? r->paths[i] : (struct path){ 0 };
	struct bgp_attr *attr = i ? bgp_attr_at(s->attrs, best.attr) : NULL;
	struct log *log = rib_log(r);

	if (i)
		note_source(r, &r->nets[net], best.peer);
	if (attr != before->attr || (i && best.peer != before->peer)) {
		for (unsigned k = 0; attr && k < attr->n_ext; k++)
			if (ext_community_is_rt(bgp_attr_ext_at(attr, k)))
				list_target(r, bgp_attr_ext_at(attr, k));
		if (before->attr != attr)
			sync_tables(r, net, before->attr, i ? &best : NULL, attr);
		sync_tables(r, net, attr, &best, attr);
		if (log)
			log_append(s, log, r, net);
	} else if (i) {
		sync_tables(r, net, attr, &best, attr); /* the stale mark may have gone */
	}
	bgp_attr_unref(s->attrs, before->attr);
	rib_net_release(r, net);
}

/* ---- a table's imports change ---- */

static void
listen_target(struct bgp_table *t, const struct bgp_import *imp)
{
	struct target *g = target_get(t->s, imp->rt, true);

	g->tables = mem_realloc(g->tables, (g->n_tables + 1) * sizeof(*g->tables));
	g->tables[g->n_tables].table = t;
	g->tables[g->n_tables++].to_customers = imp->to_customers;
}

static void
unlisten_target(struct bgp_table *t, struct ext_community rt)
{
	struct target *g = target_get(t->s, rt, false);
	uint32_t k = 0;

	while (g->tables[k].table != t)
		k++;
	g->tables[k] = g->tables[--g->n_tables];
	target_release(t->s, g);
}

/* Every route of every RD that carries the target, seen again by the table. */
static void
resync(struct bgp_table *t, struct ext_community rt)
{
	struct target *g = target_get(t->s, rt, false);

	for (uint32_t k = 0; g && k < g->n_ribs; k++) {
		struct rib *r = t->s->ribs[g->ribs[k]];

		for (uint32_t net = 1; net < r->n_nets; net++) {
			struct net n = r->nets[net];
			uint32_t best = n.flags & NET_USED ? rank_best(r, net, RANK_ALL) : 0;
			struct bgp_attr *a = best ? bgp_attr_at(t->s->attrs, r->paths[best].attr)
						  : NULL;

			if (a && bgp_attr_has_rt(a, rt))
				sync_table(t, r, &n, &r->paths[best], a);
		}
	}
}

static const struct bgp_import *
find_import(const struct bgp_import *imports, size_t n, struct ext_community rt)
{
	for (size_t i = 0; i < n; i++)
		if (imports[i].rt.v == rt.v)
			return &imports[i];
	return NULL;
}

void
bgp_table_set_imports(struct bgp_table *t, const struct bgp_import *imports, size_t n)
{
	struct bgp_import *old = t->imports;
	size_t n_old = t->n_imports;

	n = MIN(n, (size_t)BGP_RTS_MAX);
	t->imports = mem_array(n ? n : 1, sizeof(*t->imports));
	t->n_imports = 0;
	for (size_t i = 0; i < n; i++)
		if (!find_import(t->imports, t->n_imports, imports[i].rt))
			t->imports[t->n_imports++] = imports[i];
	for (size_t i = 0; i < t->n_imports; i++) {
		const struct bgp_import *o = find_import(old, n_old, t->imports[i].rt);

		if (!o)
			listen_target(t, &t->imports[i]);
		if (!o || o->to_customers != t->imports[i].to_customers)
			resync(t, t->imports[i].rt);
	}
	for (size_t i = 0; i < n_old; i++) {
		if (find_import(t->imports, t->n_imports, old[i].rt))
			continue;
		resync(t, old[i].rt);
		unlisten_target(t, old[i].rt);
	}
	free(old);
}
