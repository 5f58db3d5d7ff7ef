#include "host/host.h"

#include "base/log.h"
#include "base/mem.h"

enum { TICK_MS = 50, DEVICES_MS = 500, SWEEP_MS = 65000, BATCH_MS = 3, DRAIN = 64 };

/* ---- Hooks of the speaker ---- */

static void
on_route(void *ctx, struct bgp_table *t, const struct prefix *prefix, const struct bgp_path *paths,
	 size_t n)
{
	vnet_route_changed(bgp_table_owner(t), prefix, paths, n);
}

static void
on_table_ready(void *ctx, struct bgp_table *t)
{
	vnet_dirty(bgp_table_owner(t));
}

static void
on_peer(void *ctx, struct bgp_peer *p, enum bgp_state from, enum bgp_state to, const char *why)
{
	struct host *h = ctx;

	fabric_peer_changed(h->fabric, p, from, to, why);
}

static void
on_tunnel(void *ctx, uint16_t node, bool is_up)
{
	/* the packet path looks at the link itself */
}

static void
on_link_event(void *ctx, const struct bfdd_event *ev)
{
	/* hosts have tunnels only */
}

/* ---- Timers ---- */

static void
on_batch(uv_timer_t *t)
{
	struct host *h = t->data;

	for (unsigned n = 0; n < DRAIN && !list_is_empty(&h->dirty); n++) {
		struct vnet *v = LIST_ENTRY(h->dirty.next, struct vnet, dirty);

		list_remove(&v->dirty);
		vnet_commit(v);
	}
	if (fabric_sessions(h->fabric))
		sessions_kick(fabric_sessions(h->fabric));
	if (!list_is_empty(&h->dirty))
		uv_timer_start(t, on_batch, 0, 0);
}

void
vnet_dirty(struct vnet *v)
{
	struct host *h = v->host;

	if (!list_is_linked(&v->dirty))
		list_append(&h->dirty, &v->dirty);
	if (!uv_is_active((uv_handle_t *)&h->batch))
		uv_timer_start(&h->batch, on_batch, BATCH_MS, 0);
}

static void
on_tick(uv_timer_t *t)
{
	struct host *h = t->data;
	struct mono now = mono_now(), next = datapath_host_tick(h->dp, now);
	int64_t ms = (next.us - now.us) / 1000;

	uv_timer_start(&h->tick, on_tick, (uint64_t)(ms < 1 ? 1 : MIN(ms, TICK_MS)), 0);
}

static void
on_devices(uv_timer_t *t)
{
	nic_look(t->data);
}

static bool
is_all_ready(struct host *h)
{
	struct map_iter it = { 0 };

	while (map_next(&h->vnets, &it)) {
		struct vnet *v = it.value;

		if (!bgp_table_is_ready(v->bgp) || list_is_linked(&v->dirty))
			return false;
	}
	return true;
}

static void
on_first(uv_timer_t *t)
{
	struct host *h = t->data;

	/* what could not be applied yet still has its predecessor's forwarding */
	if (!(is_all_ready(h) && daemon_is_settled(h->daemon)) && mono_now().us < h->sweep_us) {
		uv_timer_start(&h->first, on_first, 250, 0);
		return;
	}
	datapath_host_sweep(h->dp, mono_now());
	h->is_swept = true;
	log_info("packet tables swept");
}

/* ---- The daemon's calls ---- */

static int
dp_node_set(void *dp, const struct datapath_node *n, struct err *e)
{
	return datapath_host_node_set(dp, n, e);
}
static int
dp_gateway_put(void *dp, const struct addr *gw, uint32_t port, const struct mac *own, struct err *e)
{
	return datapath_host_gateway_put(dp, gw, port, own, e);
}
static int
dp_gateway_mac(void *dp, const struct addr *gw, const struct mac *mac)
{
	return datapath_host_gateway_mac(dp, gw, mac);
}
static int
dp_tunnel_put(void *dp, const struct datapath_tunnel *t, struct err *e)
{
	return datapath_host_tunnel_put(dp, t, e);
}
static void
dp_tunnel_remove(void *dp, uint16_t node, struct mono now)
{
	datapath_host_tunnel_remove(dp, node, now);
}

static void
start_timer(struct host *h, uv_timer_t *t, uv_timer_cb fn, unsigned ms, unsigned repeat)
{
	uv_timer_init(daemon_loop(h->daemon), t);
	t->data = h;
	h->n_timers++;
	if (fn)
		uv_timer_start(t, fn, ms, repeat);
}

static int
host_open(struct daemon *d, void **ret_self, struct err *e)
{
	struct host *h = mem_alloc(sizeof(*h));
	struct datapath_fds fds;
	struct fabric_config cfg = {
		.daemon = d,
		.tables = { NULL, dp_node_set, dp_gateway_put, dp_gateway_mac, dp_tunnel_put,
			    dp_tunnel_remove },
		.hooks = { .ctx = h,
			   .route_changed = on_route,
			   .table_ready = on_table_ready,
			   .peer_changed = on_peer },
		.link_event = on_link_event,
		.tunnel_changed = on_tunnel,
	};
	int r = keeper_maps(daemon_keeper(d), &fds, e);

	if (r == 0) {
		r = datapath_host_open(&fds, &h->dp, e);
		datapath_fds_close(&fds);
	}
	if (r < 0) {
		free(h);
		return r;
	}
	h->daemon = d;
	list_init(&h->dirty);
	cfg.tables.dp = h->dp;
	h->fabric = fabric_create(&cfg);
	start_timer(h, &h->tick, on_tick, TICK_MS, 0);
	start_timer(h, &h->batch, NULL, 0, 0);
	start_timer(h, &h->first, NULL, 0, 0);
	start_timer(h, &h->devices, on_devices, DEVICES_MS, DEVICES_MS);
	*ret_self = h;
	return 0;
}

static void
on_closed(uv_handle_t *t)
{
	struct host *h = t->data;

	if (--h->n_timers)
		return;
	datapath_host_destroy(h->dp);
	free(h);
}

/* A planned stop: NICs go on. */
static void
host_close(void *self)
{
	struct host *h = self;

	nic_free_all(h);
	vnet_free_all(h);
	fabric_destroy(h->fabric);
	uv_close((uv_handle_t *)&h->tick, on_closed);
	uv_close((uv_handle_t *)&h->batch, on_closed);
	uv_close((uv_handle_t *)&h->first, on_closed);
	uv_close((uv_handle_t *)&h->devices, on_closed);
}

static int
host_apply(void *self, const struct node_object *from, const struct node_object *to, struct err *e)
{
	struct host *h = self;
	enum node_kind kind = (from ? from : to)->kind;

	if (to && kind != NODE_SELF && !fabric_self(h->fabric))
		return err_set(e, -ENOENT, "the node object is not applied");
	switch (kind) {
	case NODE_SELF:
		return fabric_apply_self(h->fabric, from, to, e);
	case NODE_FABRIC_PEER:
		return fabric_apply_peer(h->fabric, from, to, e);
	case NODE_VNET:
		return vnet_apply(h, from, to, e);
	case NODE_NIC:
		return nic_apply(h, from, to, e);
	default:
		return to ? err_set(e, -EINVAL, "a host has no such objects") : 0;
	}
}

static void
host_applied(void *self, bool is_first)
{
	struct host *h = self;

	if (fabric_sessions(h->fabric))
		sessions_kick(fabric_sessions(h->fabric));
	if (!is_first)
		return;
	links_start(fabric_links(h->fabric));
	h->sweep_us = mono_now().us + SWEEP_MS * 1000ll;
	uv_timer_start(&h->first, on_first, 250, 0);
}

const struct daemon_ops host_ops = {
	.program = "wayleave-hostd",
	.keeper_role = KEEPER_ROLE_HOSTD,
	.role = NODE_HOST,
	.open = host_open,
	.close = host_close,
	.apply = host_apply,
	.applied = host_applied,
	.query = host_query,
	.state = host_state,
};
