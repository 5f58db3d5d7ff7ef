/* VNets on a host. A packet's way is chosen by longest prefix, then routingWeight, then AS_PATH, then
 * shared over up to four circuits and both edges of each. */
#include "base/log.h"
#include "base/mem.h"
#include "host/host.h"

struct vnet *
vnet_by_number(const struct host *h, struct fabric_number n)
{
	return map_get(&h->vnets, &n.v, sizeof(n.v));
}

static void
set_imports(struct vnet *v)
{
	uint16_t as = fabric_self(v->host->fabric)->fabric_as;
	struct bgp_import list[BGP_RTS_MAX];
	size_t n = 0;

	list[n++] = (struct bgp_import){ rt_make(as, v->cfg->number), false };
	for (unsigned i = 0; i < v->cfg->n_connections && n < COUNT(list); i++)
		list[n++] =
			(struct bgp_import){ rt_make(as, v->cfg->connections[i].domain), false };
	bgp_table_set_imports(v->bgp, list, n);
}

static int
vnet_remove(struct host *h, struct vnet *v, struct err *e)
{
	int r;

	if (v->n_nics)
		return err_set(e, -EBUSY, "it still has NICs here");
	list_remove(&v->dirty);
	bgp_table_destroy(v->bgp);
	map_remove(&h->vnets, &v->cfg->number.v, sizeof(v->cfg->number.v));
	r = datapath_host_vnet_remove(h->dp, v->cfg->number, mono_now());
	if (r < 0)
		log_error("vnet not removed vnet=%s errno=%d", v->object->key, -r);
	node_object_destroy((struct node_object *)v->object);
	free(v);
	return 0;
}

static int
vnet_add(struct host *h, const struct node_object *o, struct err *e)
{
	const struct node_self *self = fabric_self(h->fabric);
	struct fabric_number n = o->vnet.number;
	struct bgp_table_config cfg = {
		.name = o->key,
		.rd = rd_make(self->fabric_as, self->number, n),
		.key = fabric_key_make(n, o->vnet.generation),
		.multipath = 4,
		.exports = { rt_make(self->fabric_as, n) },
		.n_exports = 1,
	};
	struct vnet *v;
	int r;

	if (vnet_by_number(h, n))
		return err_set(e, -EBUSY, "number: %u is not free yet", n.v);
	r = datapath_host_vnet_put(h->dp, n, cfg.key, e);
	if (r < 0)
		return r;
	v = mem_alloc(sizeof(*v));
	v->host = h;
	v->object = node_object_ref(o);
	v->cfg = &o->vnet;
	cfg.owner = v;
	map_put(&h->vnets, &n.v, sizeof(n.v), v);
	v->bgp = bgp_table_create(sessions_speaker(fabric_sessions(h->fabric)), &cfg);
	set_imports(v);
	vnet_dirty(v);
	return 0;
}

int
vnet_apply(struct host *h, const struct node_object *from, const struct node_object *to,
	   struct err *e)
{
	struct vnet *v = vnet_by_number(h, (from ? from : to)->vnet.number);
	int r;

	if (v && strcmp(v->object->key, (from ? from : to)->key))
		v = NULL; /* another has that number by now */
	if (v && to && v->cfg->number.v == to->vnet.number.v &&
	    v->cfg->generation == to->vnet.generation) {
		node_object_destroy((struct node_object *)v->object);
		v->object = node_object_ref(to);
		v->cfg = &to->vnet;
		set_imports(v);
		vnet_dirty(v);
		return 0;
	}
	if (v && (r = vnet_remove(h, v, e)) < 0)
		return r;
	return to ? vnet_add(h, to, e) : 0;
}

void
vnet_free_all(struct host *h)
{
	struct map_iter it = { 0 };

	while (map_next(&h->vnets, &it)) {
		struct vnet *v = it.value;

		node_object_destroy((struct node_object *)v->object);
		free(v);
	}
	map_fini(&h->vnets);
}

/* ---- Routes ---- */

/* A NIC's address: its tunnel key is the VNet's own. */
static bool
is_nic_route(const struct vnet *v, const struct bgp_path *p)
{
	return !p->peer || fabric_key_number(p->key).v == v->cfg->number.v;
}

void
vnet_route_changed(struct vnet *v, const struct prefix *p, const struct bgp_path *paths, size_t n)
{
	struct host *h = v->host;
	const struct fabric_peer *peer;
	struct err e = { 0 };
	char text[ADDR_TEXT];

	vnet_dirty(v);
	if (p->addr.family != NET_V4 || p->len != 32 || (n && !paths[0].peer))
		return;
	peer = n && is_nic_route(v, &paths[0])
		       ? fabric_peer_by_address(h->fabric, &paths[0].next_hop)
		       : NULL;
	if (!peer)
		datapath_host_address_remove(h->dp, v->cfg->number, &p->addr, mono_now());
	else if (datapath_host_address_put(h->dp, v->cfg->number, &p->addr, peer->cfg->number, &e) <
		 0)
		log_error("address not placed vnet=%s address=%s error=\"%s\"", v->object->key,
			  addr_format(&p->addr, text), e.text);
}

static int64_t
weight_of(const struct vnet *v, const struct bgp_path *p)
{
	uint32_t domain = fabric_key_number(p->key).v;

	for (unsigned i = 0; i < v->cfg->n_connections; i++)
		if (v->cfg->connections[i].domain.v == domain)
			return v->cfg->connections[i].routing_weight;
	return -1;
}

static bool
is_equal_cost(const struct bgp_path *a, const struct bgp_path *b)
{
	return a->attr->path_hops == b->attr->path_hops &&
	       a->attr->local_pref == b->attr->local_pref;
}

/* The edges that share this prefix's flows, into r. */
static void
choose(const struct vnet *v, const struct bgp_path *paths, size_t n, struct datapath_host_route *r)
{
	const struct bgp_path *best = NULL;
	int64_t best_weight = -1;

	for (size_t i = 0; i < n; i++)
		best_weight = MAX(best_weight, weight_of(v, &paths[i]));
	for (size_t i = 0; i < n && best_weight >= 0 && r->n_paths < DP_GROUP_MEMBERS; i++) {
		const struct fabric_peer *edge =
			fabric_peer_by_address(v->host->fabric, &paths[i].next_hop);

		if (!edge || weight_of(v, &paths[i]) != best_weight ||
		    (best && !is_equal_cost(best, &paths[i])))
			continue;
		best = best ? best : &paths[i];
		r->path[r->n_paths++] = (struct datapath_path){ edge->cfg->number, paths[i].key };
	}
}

static bool
is_own_prefix(const struct vnet *v, const struct prefix *p)
{
	for (unsigned i = 0; i < v->cfg->n_prefixes; i++)
		if (prefix_equal(&v->cfg->prefixes[i], p))
			return true;
	return false;
}

void
vnet_commit(struct vnet *v)
{
	struct bgp_path paths[BGP_PATHS_MAX];
	struct datapath_host_route *routes;
	struct bgp_walk w = { 0 };
	struct err e = { 0 };
	struct prefix p;
	size_t n, n_routes = 0;
	int result;

	/* a predecessor's table forwards until ours is complete */
	if (!bgp_table_is_ready(v->bgp))
		return;
	routes = mem_array(v->cfg->n_prefixes + bgp_table_count(v->bgp) + 1, sizeof(routes[0]));
	for (unsigned i = 0; i < v->cfg->n_prefixes; i++)
		if (v->cfg->prefixes[i].addr.family == NET_V4)
			routes[n_routes++] =
				(struct datapath_host_route){ .prefix = v->cfg->prefixes[i],
							      .kind = DP_KIND_VNET,
							      .vnet = v->cfg->number };
	while (n_routes < v->cfg->n_prefixes + bgp_table_count(v->bgp) &&
	       bgp_table_next(v->bgp, &w, &p, paths, &n)) {
		struct datapath_host_route *r = &routes[n_routes];

		if (!n || p.addr.family != NET_V4 || is_nic_route(v, &paths[0]) ||
		    is_own_prefix(v, &p))
			continue;
		*r = (struct datapath_host_route){ .prefix = p, .kind = DP_KIND_GROUP };
		choose(v, paths, n, r);
		n_routes += r->n_paths != 0;
	}
	result = datapath_host_table_commit(v->host->dp, v->cfg->number, routes, n_routes,
					    mono_now(), &e);
	if (result == -EAGAIN) /* freed lines wait for their grace period */
		vnet_dirty(v);
	else if (result < 0)
		log_error("table not committed vnet=%s error=\"%s\"", v->object->key, e.text);
	free(routes);
}
