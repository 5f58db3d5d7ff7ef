/* A table: routes of one routing domain or VNet. Changes are queued per prefix and worked off by
 * the tick, so that a prefix that changes ten times in one read is decided once. */
#include "bgp/internal.h"

void *
bgp_table_owner(const struct bgp_table *t)
{
	return t->cfg.owner;
}

const char *
bgp_table_name(const struct bgp_table *t)
{
	return t->name;
}

/* The out rib is only logged: nobody is told but the customers' sessions. */
static void
touch_out(struct bgp_table *t, struct rib *r, uint32_t net)
{
	if (t->is_ready)
		log_append(t->s, &t->out_log, r, net);
	rib_net_release(r, net);
}

void
table_touch(struct bgp_table *t, struct rib *r, uint32_t net, bool is_own)
{
	struct net *n = &r->nets[net];

	if (r->kind == RIB_OUT) {
		touch_out(t, r, net);
		return;
	}
	if (is_own)
		n->flags |= NET_DIRTY_OWN;
	if (n->flags & NET_DIRTY)
		return;
	n->flags |= NET_DIRTY;
	index_push(&t->dirty, &t->n_dirty, &t->cap_dirty, net);
	if (t->is_ready && !list_is_linked(&t->dirty_node))
		list_append(&t->s->dirty_tables, &t->dirty_node);
}

static void
decide(struct bgp_table *t, uint32_t net)
{
	const struct bgp_hooks *h = &t->s->cfg.hooks;
	struct rib *r = t->rib;
	struct net *n = &r->nets[net];
	struct ranked ranked[BGP_PATHS_MAX];
	struct bgp_path paths[BGP_PATHS_MAX];
	struct addr a = addr_v4(n->addr);
	struct prefix prefix = { a, n->len };
	size_t n_paths = 0;

	if (h->route_changed) {
		n_paths = rank_paths(r, net, RANK_ALL, ranked);
		for (size_t i = 0; i < n_paths; i++) {
			path_show(r, ranked[i].path, &paths[i]);
			paths[i].is_multipath = ranked[i].is_multipath;
		}
	}
	if (n->flags & NET_DIRTY_OWN && rib_log(r))
		log_append(t->s, rib_log(r), r, net);
	n->flags &= (uint8_t) ~(NET_DIRTY | NET_DIRTY_OWN);
	if (h->route_changed)
		h->route_changed(h->ctx, t, &prefix, paths, n_paths);
	rib_net_release(r, net);
}

unsigned
table_work(struct bgp_table *t, unsigned budget)
{
	while (budget && t->at_dirty < t->n_dirty) {
		decide(t, t->dirty[t->at_dirty++]);
		budget--;
	}
	if (t->at_dirty < t->n_dirty)
		return 0;
	t->n_dirty = t->at_dirty = 0;
	list_remove(&t->dirty_node);
	if (t->cap_dirty >
	    65536) { /* after a burst: 10,000 tables must not each keep their largest */
		free(t->dirty);
		t->dirty = NULL;
		t->cap_dirty = 0;
	}
	return budget;
}

void
table_set_ready(struct bgp_table *t)
{
	const struct bgp_hooks *h = &t->s->cfg.hooks;

	t->is_ready = true;
	list_remove(&t->unready_node);
	while (t->at_dirty < t->n_dirty)
		table_work(t, TICK_NETS);
	/* the walks of sessions that were waiting; they skipped this table */
	LIST_FOR(it, &t->peers)
	{
		struct bgp_peer *p = LIST_ENTRY(it, struct bgp_peer, group_node);

		if (p->ex.log)
			export_start(p);
	}
	if (h->table_ready)
		h->table_ready(h->ctx, t);
}

static void
take_config(struct bgp_table *t, const struct bgp_table_config *cfg)
{
	struct bgp_table_config c = *cfg;

	c.name = t->name;
	c.owner = t->name == t->cfg.name ? t->cfg.owner : cfg->owner;
	c.rd = t->rib ? t->rib->rd : cfg->rd;
	c.local_pref = cfg->local_pref ? cfg->local_pref : 100;
	c.multipath = (uint8_t)MIN(MAX(cfg->multipath, 1), 4);
	c.n_exports = MIN(cfg->n_exports, BGP_EXPORTS_MAX);
	t->cfg = c;
}

struct bgp_table *
bgp_table_create(struct bgp_speaker *s, const struct bgp_table_config *cfg)
{
	struct bgp_table *t = mem_alloc(sizeof(*t));

	t->s = s;
	t->name = mem_strdup(cfg->name ? cfg->name : "");
	take_config(t, cfg);
	list_init(&t->peers);
	t->out_log.peers = &t->peers;
	list_append(&s->tables, &t->node);
	t->rib = rib_create(s, RIB_TABLE, t, cfg->rd);
	t->out = rib_create(s, RIB_OUT, t, (struct rd){ 0 });
	list_append(&s->unready, &t->unready_node);
	s->may_be_ready = true;
	return t;
}

static void
drop_all(struct rib *r)
{
	for (uint32_t net = 1; net < r->n_nets; net++) {
		if (!(r->nets[net].flags & NET_USED))
			continue;
		while (r->nets[net].path)
			rib_path_remove(r, net, r->nets[net].path);
		r->nets[net].flags &= (uint8_t) ~(NET_DIRTY | NET_DIRTY_OWN);
		if (rib_log(r))
			log_append(r->s, rib_log(r), r, net);
		rib_net_release(r, net);
	}
}

void
bgp_table_destroy(struct bgp_table *t)
{
	if (!t)
		return;
	assert(list_is_empty(&t->peers));
	bgp_table_set_imports(t, NULL, 0);
	free(t->imports);
	list_remove(&t->dirty_node);
	list_remove(&t->unready_node);
	list_remove(&t->node);
	t->rib->table = NULL; /* what is left are withdrawals to be sent */
	drop_all(t->rib);
	rib_retire(t->rib);
	log_trim(t->s, &t->out_log, t->out_log.end);
	rib_destroy(t->out);
	log_fini(&t->out_log);
	free(t->dirty);
	free(t->name);
	free(t);
}

/* All that is exported, again. */
static void
reexport(struct bgp_table *t)
{
	for (uint32_t net = 1; net < t->rib->n_nets; net++)
		if (t->rib->nets[net].flags & NET_USED && rank_best(t->rib, net, RANK_OWN))
			table_touch(t, t->rib, net, true);
}

static bool
exports_equal(const struct bgp_table_config *a, const struct bgp_table_config *b)
{
	return a->key.v == b->key.v && a->local_pref == b->local_pref &&
	       a->n_exports == b->n_exports &&
	       !memcmp(a->exports, b->exports, a->n_exports * sizeof(a->exports[0]));
}

void
bgp_table_set_exports(struct bgp_table *t, const struct bgp_table_config *cfg)
{
	struct bgp_table_config old = t->cfg;
	bool decide_again;

	take_config(t, cfg);
	decide_again = old.multipath != t->cfg.multipath ||
		       old.multipath_mixed != t->cfg.multipath_mixed;
	if (!exports_equal(&old, &t->cfg))
		reexport(t);
	for (uint32_t net = 1; decide_again && net < t->rib->n_nets; net++)
		if (t->rib->nets[net].flags & NET_USED)
			table_touch(t, t->rib, net, false);
}

static void
set_local(struct bgp_table *t, struct rib *r, const struct prefix *p, bool wanted)
{
	uint32_t addr = addr_u32(&p->addr);
	uint32_t net = wanted ? rib_net(r, addr, p->len) : rib_find(r, addr, p->len);
	uint32_t path = net ? rib_path(r, net, 0, 0) : 0;

	if (!net || wanted == (path != 0))
		return;
	if (wanted)
		rib_path_add(r, net, 0, 0, t->s->local_attr);
	else
		rib_path_remove(r, net, path);
	table_touch(t, r, net, true);
}

void
bgp_table_originate(struct bgp_table *t, const struct prefix *p, unsigned scopes)
{
	if (p->addr.family != NET_V4)
		return;
	set_local(t, t->rib, p, scopes & BGP_TO_FABRIC);
	set_local(t, t->out, p, scopes & BGP_TO_CUSTOMERS);
}

void
bgp_table_withdraw(struct bgp_table *t, const struct prefix *p)
{
	bgp_table_originate(t, p, 0);
}
