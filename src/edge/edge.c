#include "edge/edge.h"

#include "base/log.h"
#include "base/mem.h"

enum {
	TICK_MS = 50,
	BATCH_MS = 3,
	SWEEP_MS = 65000, /* when stale routes of a restart have had their time (RFC 4724) */
	DRAIN_DOMAINS = 64,
};

static void on_batch(uv_timer_t *t);

void
edge_batch_soon(struct edge *x, unsigned ms)
{
	if (!uv_is_active((uv_handle_t *)&x->batch) || uv_timer_get_due_in(&x->batch) > ms)
		uv_timer_start(&x->batch, on_batch, ms, 0);
}

void
edge_dirty(struct table *t)
{
	if (!list_is_linked(&t->dirty))
		list_append(&t->edge->dirty, &t->dirty);
	edge_batch_soon(t->edge, BATCH_MS);
}

/* Rebuilds what BGP has changed since, bounded so that sessions are served in between. */
static void
on_batch(uv_timer_t *t)
{
	struct edge *x = t->data;

	if (x->vnets_dirty) {
		x->vnets_dirty = false;
		vnet_judge(x);
	}
	for (unsigned n = 0; n < DRAIN_DOMAINS && !list_is_empty(&x->dirty); n++) {
		struct table *tab = LIST_ENTRY(x->dirty.next, struct table, dirty);

		list_remove(&tab->dirty);
		if (tab->kind != TABLE_DOMAIN)
			continue;
		fib_announce((struct domain *)tab);
		fib_commit((struct domain *)tab);
	}
	if (fabric_sessions(x->fabric))
		sessions_kick(fabric_sessions(x->fabric));
	if (!list_is_empty(&x->dirty))
		edge_batch_soon(x, 0);
}

/* ---- Hooks of the speaker ---- */

static void
on_route(void *ctx, struct bgp_table *t, const struct prefix *prefix, const struct bgp_path *paths,
	 size_t n)
{
	struct table *tab = bgp_table_owner(t);

	if (tab->kind == TABLE_VNET) {
		vnet_route_changed((struct vnet *)tab, prefix, paths, n);
		return;
	}
	if (n == 0)
		fib_note_withdrawn((struct domain *)tab, prefix);
	edge_dirty(tab);
}

static void
on_table_ready(void *ctx, struct bgp_table *t)
{
	struct table *tab = bgp_table_owner(t);

	tab->edge->vnets_dirty = true;
	edge_dirty(tab);
}

static void
on_peer(void *ctx, struct bgp_peer *p, enum bgp_state from, enum bgp_state to, const char *why)
{
	struct edge *x = ctx;

	if (bgp_peer_config(p)->table)
		domain_peer_changed(x, p, from, to, why);
	else
		fabric_peer_changed(x->fabric, p, from, to, why);
}

static void
on_prefix_warning(void *ctx, struct bgp_peer *p, unsigned percent, uint32_t n, uint32_t limit)
{
	log_warn("prefix limit near domain=%s percent=%u prefixes=%u limit=%u", bgp_peer_name(p),
		 percent, n, limit);
}

/* What the fabric may tell us (DESIGN: an edge believes the pair about domains, and hosts about the
 * NICs placed on them). */
static bool
on_accept_vpn(void *ctx, struct bgp_peer *p, struct rd rd, const struct prefix *prefix,
	      const struct ext_community *rts, size_t n_rts)
{
	struct edge *x = ctx;
	struct fabric_peer *fp = session_owner(p);

	if (fp->cfg->role == NODE_HOST)
		return vnet_accept(x, p, prefix, rts, n_rts);
	for (size_t i = 0; i < n_rts; i++) {
		struct fabric_number n = { (uint32_t)rts[i].v };

		/* an edge elsewhere speaks for the circuits there (Global Reach), not for ours */
		if (vnet_by_number(x, n) || (!fp->cfg->is_pair && domain_by_number(x, n)))
			return false;
	}
	return true;
}

static void
on_tunnel(void *ctx, uint16_t node, bool is_up)
{
	struct edge *x = ctx;

	x->vnets_dirty = true;
	edge_batch_soon(x, 0);
}

static void
on_link_event(void *ctx, const struct bfdd_event *ev)
{
	domain_link_event(ctx, ev);
}

/* ---- Timers ---- */

static void
on_tick(uv_timer_t *t)
{
	struct edge *x = t->data;
	struct mono now = mono_now(), next = datapath_edge_tick(x->dp, now);
	int64_t ms = (next.us - now.us) / 1000;

	if (mono_is_due(x->linger, now))
		fib_end_lingering(x);
	uv_timer_start(&x->tick, on_tick, (uint64_t)(ms < 1 ? 1 : MIN(ms, TICK_MS)), 0);
}

static void
on_second(uv_timer_t *t)
{
	struct edge *x = t->data;
	int64_t hour = utc_now_us() / 3600000000;

	meter_second(x, hour != x->hour ? JOURNAL_HOUR : JOURNAL_SECOND);
	x->hour = hour;
	domain_retry_owed(x);
}

static bool
is_all_ready(struct edge *x)
{
	struct map_iter it = { 0 };

	if (x->owes_domains)
		return false;
	while (map_next(&x->domains, &it)) {
		struct domain *d = it.value;

		if (d->table.bgp &&
		    (!bgp_table_is_ready(d->table.bgp) || list_is_linked(&d->table.dirty)))
			return false;
	}
	it = (struct map_iter){ 0 };
	while (map_next(&x->vnets, &it))
		if (!bgp_table_is_ready(((struct vnet *)it.value)->table.bgp))
			return false;
	return true;
}

/* After a restart: what the predecessor left and nobody wants any more goes, once every table has
 * been learned again or has had its time. */
static void
on_first(uv_timer_t *t)
{
	struct edge *x = t->data;

	/* what could not be applied yet still has its predecessor's forwarding */
	if (!(is_all_ready(x) && daemon_is_settled(x->daemon)) && mono_now().us < x->sweep_us) {
		uv_timer_start(&x->first, on_first, 250, 0);
		return;
	}
	datapath_edge_sweep(x->dp, mono_now());
	x->is_swept = true;
	log_info("packet tables swept");
}

/* ---- The daemon's calls ---- */

static int
dp_node_set(void *dp, const struct datapath_node *n, struct err *e)
{
	return datapath_edge_node_set(dp, n, e);
}
static int
dp_gateway_put(void *dp, const struct addr *gw, uint32_t port, const struct mac *own, struct err *e)
{
	return datapath_edge_gateway_put(dp, gw, port, own, e);
}
static int
dp_gateway_mac(void *dp, const struct addr *gw, const struct mac *mac)
{
	return datapath_edge_gateway_mac(dp, gw, mac);
}
static int
dp_tunnel_put(void *dp, const struct datapath_tunnel *t, struct err *e)
{
	return datapath_edge_tunnel_put(dp, t, e);
}
static void
dp_tunnel_remove(void *dp, uint16_t node, struct mono now)
{
	datapath_edge_tunnel_remove(dp, node, now);
}

static void
start_timer(struct edge *x, uv_timer_t *t, uv_timer_cb fn, unsigned ms, unsigned repeat)
{
	uv_timer_init(daemon_loop(x->daemon), t);
	t->data = x;
	x->n_users++;
	if (fn)
		uv_timer_start(t, fn, ms, repeat);
}

static int
edge_open(struct daemon *d, void **ret_self, struct err *e)
{
	struct edge *x = mem_alloc(sizeof(*x));
	struct datapath_fds fds;
	struct fabric_config cfg = {
		.daemon = d,
		.tables = { NULL, dp_node_set, dp_gateway_put, dp_gateway_mac, dp_tunnel_put,
			    dp_tunnel_remove },
		.hooks = { .ctx = x,
			   .route_changed = on_route,
			   .table_ready = on_table_ready,
			   .peer_changed = on_peer,
			   .prefix_warning = on_prefix_warning,
			   .accept_vpn = on_accept_vpn },
		.link_event = on_link_event,
		.tunnel_changed = on_tunnel,
	};
	int r = keeper_maps(daemon_keeper(d), &fds, e);

	if (r == 0) {
		r = datapath_edge_open(&fds, &x->dp, e);
		datapath_fds_close(&fds);
	}
	x->daemon = d;
	if (r == 0)
		r = meter_open(x, e);
	if (r < 0) {
		datapath_edge_destroy(x->dp);
		free(x);
		return r;
	}
	list_init(&x->dirty);
	x->linger = MONO_NEVER;
	cfg.tables.dp = x->dp;
	x->fabric = fabric_create(&cfg);
	x->hour = utc_now_us() / 3600000000;
	start_timer(x, &x->tick, on_tick, TICK_MS, 0);
	start_timer(x, &x->batch, NULL, 0, 0);
	start_timer(x, &x->first, NULL, 0, 0);
	start_timer(x, &x->second, on_second, 1000, 1000);
	*ret_self = x;
	return 0;
}

void
edge_let_go(struct edge *x)
{
	if (--x->n_users)
		return;
	datapath_edge_destroy(x->dp);
	free(x);
}

static void
on_closed(uv_handle_t *h)
{
	edge_let_go(h->data);
}

/* A planned stop: transports just end and the packet path goes on (RFC 8538). */
static void
edge_close(void *self)
{
	struct edge *x = self;

	meter_close(x);
	domain_free_all(x);
	vnet_free_all(x);
	fabric_destroy(x->fabric);
	uv_close((uv_handle_t *)&x->tick, on_closed);
	uv_close((uv_handle_t *)&x->batch, on_closed);
	uv_close((uv_handle_t *)&x->first, on_closed);
	uv_close((uv_handle_t *)&x->second, on_closed);
}

static int
edge_apply(void *self, const struct node_object *from, const struct node_object *to, struct err *e)
{
	struct edge *x = self;

	assert(from || to);
	if (to && to->kind != NODE_SELF && !fabric_self(x->fabric))
		return err_set(e, -ENOENT, "the node object is not applied");
	switch ((from ? from : to)->kind) {
	case NODE_SELF:
		return fabric_apply_self(x->fabric, from, to, e);
	case NODE_FABRIC_PEER:
		return fabric_apply_peer(x->fabric, from, to, e);
	case NODE_PORT:
		return port_apply(x, from, to, e);
	case NODE_CIRCUIT:
		return circuit_apply(x, from, to, e);
	case NODE_DOMAIN:
		return domain_apply(x, from, to, e);
	case NODE_VNET:
		return vnet_apply(x, from, to, e);
	case NODE_NIC:
		return nic_apply(x, from, to, e);
	case NODE_KINDS:
		break;
	}
	return 0;
}

static void
edge_applied(void *self, bool is_first)
{
	struct edge *x = self;

	x->vnets_dirty = true;
	edge_batch_soon(x, 0);
	if (!is_first)
		return;
	links_start(fabric_links(x->fabric));
	x->sweep_us = mono_now().us + SWEEP_MS * 1000ll;
	uv_timer_start(&x->first, on_first, 250, 0);
}

const struct daemon_ops edge_ops = {
	.program = "wayleave-edged",
	.keeper_role = KEEPER_ROLE_EDGED,
	.role = NODE_EDGE,
	.open = edge_open,
	.close = edge_close,
	.apply = edge_apply,
	.applied = edge_applied,
	.query = edge_query,
	.state = edge_state,
	.readings = meter_readings,
	.acknowledged = meter_acknowledged,
};
