/* VNets on an edge: their NICs' places (exact-match table), what a host may announce, and whether a
 * VNet is alive and so told to customers. */
#include "base/log.h"
#include "base/mem.h"
#include "edge/edge.h"

struct vnet *
vnet_by_number(const struct edge *x, struct fabric_number n)
{
	return map_get(&x->vnets, &n.v, sizeof(n.v));
}

/* Every domain that links this VNet looks again. */
static void
touch_domains(struct edge *x, struct fabric_number n)
{
	struct map_iter it = { 0 };

	while (map_next(&x->domains, &it)) {
		struct domain *d = it.value;

		if (d->table.bgp && domain_has_vnet(d, n))
			edge_dirty(&d->table);
	}
}

static void
vnet_remove(struct edge *x, struct vnet *v)
{
	struct fabric_number n = v->cfg->number;

	list_remove(&v->table.dirty);
	map_remove(&x->vnets, &n.v, sizeof(n.v));
	bgp_table_destroy(v->table.bgp);
	datapath_edge_vnet_remove(x->dp, n, mono_now());
	node_object_destroy((struct node_object *)v->object);
	free(v);
	touch_domains(x, n);
}

static int
vnet_add(struct edge *x, const struct node_object *o, struct err *e)
{
	const struct node_self *self = fabric_self(x->fabric);
	struct fabric_number n = o->vnet.number;
	struct bgp_table_config cfg = { .name = o->key };
	struct bgp_import import = { rt_make(self->fabric_as, n), false };
	struct vnet *v;
	int r;

	if (vnet_by_number(x, n))
		return err_set(e, -EBUSY, "number: %u is not free yet", n.v);
	r = datapath_edge_vnet_put(x->dp, n, fabric_key_make(n, o->vnet.generation), e);
	if (r < 0)
		return r;
	v = mem_alloc(sizeof(*v));
	v->table = (struct table){ .kind = TABLE_VNET, .edge = x };
	v->object = node_object_ref(o);
	v->cfg = &o->vnet;
	cfg.owner = &v->table;
	map_put(&x->vnets, &n.v, sizeof(n.v), v);
	v->table.bgp = bgp_table_create(sessions_speaker(fabric_sessions(x->fabric)), &cfg);
	bgp_table_set_imports(v->table.bgp, &import, 1);
	/* a predecessor's customers know it: until the hosts have spoken it stays announced */
	v->is_live = daemon_is_restarting(x->daemon) && !x->is_swept;
	x->vnets_dirty = true;
	touch_domains(x, n);
	return 0;
}

int
vnet_apply(struct edge *x, const struct node_object *from, const struct node_object *to,
	   struct err *e)
{
	struct vnet *v = vnet_by_number(x, (from ? from : to)->vnet.number);

	if (v && strcmp(v->object->key, (from ? from : to)->key))
		v = NULL; /* another has that number by now */
	if (v && to && v->cfg->number.v == to->vnet.number.v &&
	    v->cfg->generation == to->vnet.generation) {
		node_object_destroy((struct node_object *)v->object);
		v->object = node_object_ref(to);
		v->cfg = &to->vnet;
		touch_domains(x, v->cfg->number);
		return 0;
	}
	if (v)
		vnet_remove(x, v);
	return to ? vnet_add(x, to, e) : 0;
}

void
vnet_free_all(struct edge *x)
{
	struct map_iter it = { 0 };

	while (map_next(&x->vnets, &it)) {
		struct vnet *v = it.value;

		node_object_destroy((struct node_object *)v->object);
		free(v);
	}
	map_fini(&x->vnets);
	it = (struct map_iter){ 0 };
	while (map_next(&x->placed, &it))
		node_object_destroy(it.value);
	map_fini(&x->placed);
}

/* ---- NICs: who may announce what ---- */

static struct placement
placement(struct fabric_number vnet, const struct addr *a)
{
	struct placement p;

	memset(&p, 0, sizeof(p)); /* compared as bytes */
	p.vnet = vnet.v;
	p.addr = *a;
	return p;
}

static void
recheck(struct edge *x, const char *node)
{
	struct fabric_peer *p = fabric_peer_by_name(x->fabric, node);

	if (p && p->session) {
		bgp_peer_recheck(session_peer(p->session));
		sessions_kick(fabric_sessions(x->fabric));
	}
}

int
nic_apply(struct edge *x, const struct node_object *from, const struct node_object *to,
	  struct err *e)
{
	for (unsigned i = 0; from && i < from->nic.n_addresses; i++) {
		struct placement p = placement(from->nic.vnet, &from->nic.addresses[i]);

		node_object_destroy(map_remove(&x->placed, &p, sizeof(p)));
	}
	for (unsigned i = 0; to && i < to->nic.n_addresses; i++) {
		struct placement p = placement(to->nic.vnet, &to->nic.addresses[i]);

		node_object_destroy(map_put(&x->placed, &p, sizeof(p), node_object_ref(to)));
	}
	if (from)
		recheck(x, from->nic.node);
	if (to && (!from || strcmp(from->nic.node, to->nic.node)))
		recheck(x, to->nic.node);
	return 0;
}

bool
vnet_accept(struct edge *x, struct bgp_peer *peer, const struct prefix *prefix,
	    const struct ext_community *rts, size_t n_rts)
{
	const struct fabric_peer *host = session_owner(peer);
	const struct node_self *self = fabric_self(x->fabric);
	struct fabric_number vnet = { n_rts == 1 ? (uint32_t)rts[0].v & FABRIC_NUMBER_MAX : 0 };
	struct placement p = placement(vnet, &prefix->addr);
	const struct node_object *nic;

	if (n_rts != 1 || rts[0].v != rt_make(self->fabric_as, vnet).v ||
	    prefix->len != addr_bits(&prefix->addr))
		return false;
	nic = map_get(&x->placed, &p, sizeof(p));
	return nic && !strcmp(nic->nic.node, host->object->key);
}

/* ---- Routes and liveness ---- */

void
vnet_route_changed(struct vnet *v, const struct prefix *p, const struct bgp_path *paths, size_t n)
{
	struct edge *x = v->table.edge;
	const struct fabric_peer *host = n ? fabric_peer_by_address(x->fabric, &paths[0].next_hop)
					   : NULL;
	struct err e = { 0 };
	char text[ADDR_TEXT];

	if (p->addr.family != NET_V4 || p->len != 32)
		return;
	if (!host)
		datapath_edge_address_remove(x->dp, v->cfg->number, &p->addr, mono_now());
	else if (datapath_edge_address_put(x->dp, v->cfg->number, &p->addr, host->cfg->number, &e) <
		 0)
		log_error("address not placed vnet=%s address=%s error=\"%s\"", v->object->key,
			  addr_format(&p->addr, text), e.text);
	x->vnets_dirty = true;
	edge_batch_soon(x, 3);
}

static bool
has_live_nic(struct vnet *v)
{
	struct bgp_path paths[BGP_PATHS_MAX];
	struct bgp_walk w = { 0 };
	struct prefix p;
	size_t n;

	while (bgp_table_next(v->table.bgp, &w, &p, paths, &n)) {
		const struct fabric_peer *host =
			n ? fabric_peer_by_address(v->table.edge->fabric, &paths[0].next_hop)
			  : NULL;

		if (host && host->is_up)
			return true;
	}
	return false;
}

void
vnet_judge(struct edge *x)
{
	struct map_iter it = { 0 };

	while (map_next(&x->vnets, &it)) {
		struct vnet *v = it.value;
		bool is_live = has_live_nic(v);

		/* after a restart the hosts get the time to speak that the table gives them */
		if (!is_live && v->is_live && daemon_is_restarting(x->daemon) && !x->is_swept)
			continue;
		if (is_live == v->is_live)
			continue;
		v->is_live = is_live;
		log_info("vnet=%s live=%d", v->object->key, is_live);
		touch_domains(x, v->cfg->number);
	}
}
