/* See host.h. A VNet's number word carries the index of its table; a NIC's record points there too. */
#include "datapath/host.h"

#include "base/mem.h"
#include "datapath/tables.h"
#include "datapath/write.h"

#include <arpa/inet.h>

struct group_list {
	uint32_t *v;
	uint32_t n, cap;
};

struct datapath_host {
	struct tables t;
	struct dp_nic *nics;
	struct dp_group *groups;
	uint32_t n_nics, n_groups;
	struct pool nic_pool, group_pool, table_pool;
	struct map slot_of;           /* NIC id -> slot */
	struct group_list *groups_of; /* by table: groups that carry its VNet's number */
	uint32_t *vnet_of;            /* by table; 0 free */
	uint8_t *nic_kept;
};

static uint32_t
slot_of(const struct datapath_host *d, uint32_t id)
{
	return (uint32_t)(uintptr_t)map_get(&d->slot_of, &id, sizeof(id));
}

static uint32_t
table_of(const struct datapath_host *d, uint32_t vnet)
{
	return tables_number_index(&d->t, vnet, DP_NUMBER_VNET);
}

static bool
nic_is_used(void *ctx, uint32_t i)
{
	return ((struct datapath_host *)ctx)->nics[i].vnet != 0;
}

static bool
group_is_used(void *ctx, uint32_t i)
{
	return ((struct datapath_host *)ctx)->groups[i].owner != 0;
}

static bool
table_is_used(void *ctx, uint32_t i)
{
	return ((struct datapath_host *)ctx)->vnet_of[i] != 0;
}

static uint32_t
table_owner(void *ctx, uint32_t table)
{
	return ((struct datapath_host *)ctx)->vnet_of[table];
}

static void
group_list_add(struct group_list *l, uint32_t group)
{
	if (l->n == l->cap) {
		l->cap = l->cap ? l->cap * 2 : 4;
		l->v = mem_realloc(l->v, l->cap * sizeof(*l->v));
	}
	l->v[l->n++] = group;
}

/* What a predecessor left: VNets by their number words, then all that names them. */
static void
host_find(struct datapath_host *d)
{
	for (uint32_t i = 1; i < d->t.sizes->n_numbers; i++) {
		uint32_t table = table_of(d, i);

		if (!tables_number_is(&d->t, i, DP_NUMBER_VNET))
			continue;
		if (!table || table >= d->t.n_tables || d->vnet_of[table])
			write64(&d->t.numbers[i], 0);
		else
			d->vnet_of[table] = i;
	}
	for (uint32_t i = 1; i < d->n_nics; i++) {
		uint32_t id = d->nics[i].owner;

		if (!d->nics[i].vnet)
			continue;
		if (slot_of(d, id) || !table_of(d, d->nics[i].vnet))
			write64(&d->nics[i], 0);
		else
			map_put(&d->slot_of, &id, sizeof(id), (void *)(uintptr_t)i);
	}
	for (uint32_t i = 1; i < d->n_groups; i++) {
		uint32_t table = d->groups[i].owner ? table_of(d, d->groups[i].owner) : 0;

		if (table)
			group_list_add(&d->groups_of[table], i);
		else
			write64(&d->groups[i], 0);
	}
}

struct datapath_host *
datapath_host_create(struct datapath_maps *m)
{
	struct datapath_host *d = mem_alloc(sizeof(*d));
	const struct dp_sizes *s = datapath_maps_sizes(m);

	tables_init(&d->t, m);
	d->nics = datapath_maps_array(m, DP_MAP_NICS);
	d->groups = datapath_maps_array(m, DP_MAP_GROUPS);
	d->n_nics = (uint32_t)datapath_map_entries(DP_MAP_NICS, s);
	d->n_groups = (uint32_t)datapath_map_entries(DP_MAP_GROUPS, s);
	d->groups_of = mem_array(d->t.n_tables, sizeof(*d->groups_of));
	d->vnet_of = mem_array(d->t.n_tables, sizeof(*d->vnet_of));
	d->nic_kept = mem_alloc(d->n_nics);
	host_find(d);
	tables_claim(&d->t, table_owner, d);
	pool_init(&d->nic_pool, d->n_nics, nic_is_used, d);
	pool_init(&d->group_pool, d->n_groups, group_is_used, d);
	pool_init(&d->table_pool, d->t.n_tables, table_is_used, d);
	tables_fabric_control(&d->t);
	return d;
}

int
datapath_host_open(const struct datapath_fds *fds, struct datapath_host **ret, struct err *e)
{
	AUTO(datapath_maps) m = NULL;
	int r = tables_maps_open(fds, &m, e);

	if (r < 0)
		return r;
	*ret = datapath_host_create(TAKE(m));
	return 0;
}

void
datapath_host_destroy(struct datapath_host *d)
{
	if (!d)
		return;
	for (uint32_t i = 0; i < d->t.n_tables; i++)
		free(d->groups_of[i].v);
	free(d->groups_of);
	free(d->vnet_of);
	free(d->nic_kept);
	pool_fini(&d->nic_pool);
	pool_fini(&d->group_pool);
	pool_fini(&d->table_pool);
	map_fini(&d->slot_of);
	tables_fini(&d->t);
	free(d);
}

struct datapath_maps *
datapath_host_maps(struct datapath_host *d)
{
	return d->t.maps;
}

static void
release(void *ctx, const struct grace_item *i)
{
	static const struct dp_group no_group;
	static const struct dp_nic no_nic;
	struct datapath_host *d = ctx;

	switch (i->kind) {
	case GRACE_LINES:
		blocks_free(&d->t.blocks, i->index, i->n);
		break;
	case GRACE_GROUP:
		write64(&d->groups[i->index], 0);
		write_words(&d->groups[i->index], &no_group, sizeof(no_group));
		pool_give(&d->group_pool, i->index);
		break;
	case GRACE_NIC:
		write_words(&d->nics[i->index], &no_nic, sizeof(no_nic));
		pool_give(&d->nic_pool, i->index);
		break;
	case GRACE_METER: /* nobody bills by NIC */
		meters_finalise(&d->t.meters, i->index);
		meters_release(&d->t.meters, i->index);
		break;
	case GRACE_NH:
	case GRACE_DOMAIN:
	case GRACE_POLICER:
		break; /* edges' */
	}
}

struct mono
datapath_host_tick(struct datapath_host *d, struct mono now)
{
	return grace_tick(&d->t.grace, now, release, d);
}

static bool
is_nic(void *ctx, uint32_t owner)
{
	return slot_of(ctx, owner) != 0;
}

void
datapath_host_sweep(struct datapath_host *d, struct mono now)
{
	for (uint32_t i = 1; i < d->n_nics; i++)
		if (d->nics[i].vnet && !d->nic_kept[i])
			datapath_host_nic_remove(d, d->nics[i].owner, now);
	for (uint32_t i = 1; i < d->t.n_tables; i++)
		if (d->vnet_of[i] && !d->t.vnet_kept[d->vnet_of[i]])
			datapath_host_vnet_remove(d, (struct fabric_number){ d->vnet_of[i] }, now);
	meters_sweep(&d->t.meters, is_nic, d, &d->t.grace, now);
	for (uint32_t i = 1; i < d->t.meters.n; i++)
		if (d->t.meters.is_final[i])
			meters_release(&d->t.meters, i);
	tables_sweep(&d->t);
}

size_t
datapath_host_usage(const struct datapath_host *d, struct datapath_usage *ret)
{
	size_t n = tables_usage(&d->t, ret);

	ret[n++] = (struct datapath_usage){ "NICs", d->n_nics - 1 - d->nic_pool.n, d->n_nics - 1 };
	ret[n++] = (struct datapath_usage){ "groups", d->n_groups - 1 - d->group_pool.n,
					    d->n_groups - 1 };
	ret[n++] = (struct datapath_usage){ "VNets", d->t.n_tables - 1 - d->table_pool.n,
					    d->t.n_tables - 1 };
	return n;
}

/* --- Underlay and VNets ------------------------------------------------------------------------ */

int
datapath_host_node_set(struct datapath_host *d, const struct datapath_node *n, struct err *e)
{
	return tables_node_set(&d->t, n, e);
}

int
datapath_host_gateway_put(struct datapath_host *d, const struct addr *gateway, uint32_t port,
			  const struct mac *own, struct err *e)
{
	return tables_gateway_put(&d->t, gateway, port, own, e);
}

int
datapath_host_gateway_mac(struct datapath_host *d, const struct addr *gateway,
			  const struct mac *mac)
{
	return tables_gateway_mac(&d->t, gateway, mac);
}

int
datapath_host_tunnel_put(struct datapath_host *d, const struct datapath_tunnel *t, struct err *e)
{
	return tables_tunnel_put(&d->t, t, e);
}

void
datapath_host_tunnel_remove(struct datapath_host *d, uint16_t node, struct mono now)
{
	tables_tunnel_remove(&d->t, node);
}

int
datapath_host_vnet_put(struct datapath_host *d, struct fabric_number vnet, struct fabric_key key,
		       struct err *e)
{
	uint32_t table = table_of(d, vnet.v), is_new = !table;
	int r;

	if (is_new && !(table = pool_take(&d->table_pool)))
		return err_set(e, -ENOSPC, "more than %u VNets", d->t.n_tables - 1);
	r = tables_vnet_put(&d->t, vnet, key, table, e);
	if (r >= 0)
		d->vnet_of[table] = vnet.v;
	else if (is_new)
		pool_give(&d->table_pool, table);
	return r;
}

int
datapath_host_vnet_remove(struct datapath_host *d, struct fabric_number vnet, struct mono now)
{
	uint32_t table = table_of(d, vnet.v);
	struct group_list *l = &d->groups_of[table];

	if (!table)
		return 0;
	for (uint32_t i = 1; i < d->n_nics; i++)
		if (d->nics[i].vnet == vnet.v)
			return -EBUSY;
	tables_vnet_remove(&d->t, vnet);
	tables_drop(&d->t, table, now);
	for (uint32_t i = 0; i < l->n; i++)
		grace_add(&d->t.grace, GRACE_GROUP, l->v[i], 1, now);
	l->n = 0;
	/* Its owner is compared on use, so the index may be used again at once. */
	d->vnet_of[table] = 0;
	pool_give(&d->table_pool, table);
	return 0;
}

int
datapath_host_address_put(struct datapath_host *d, struct fabric_number vnet, const struct addr *a,
			  uint16_t node, struct err *e)
{
	char text[ADDR_TEXT];

	if (a->family == NET_V4 && exact_get(&d->t.exact, vnet.v, addr_u32(a)) & DP_EXACT_LOCAL)
		return err_set(e, -EEXIST, "%s is a local NIC's", addr_format(a, text));
	return tables_address_put(&d->t, vnet, a, node, e);
}

void
datapath_host_address_remove(struct datapath_host *d, struct fabric_number vnet,
			     const struct addr *a, struct mono now)
{
	if (a->family == NET_V4 && !(exact_get(&d->t.exact, vnet.v, addr_u32(a)) & DP_EXACT_LOCAL))
		exact_remove(&d->t.exact, vnet.v, addr_u32(a));
}

/* --- NICs -------------------------------------------------------------------------------------- */

struct nic_addresses {
	const struct datapath_nic *nic; /* NULL: none is wanted */
	uint32_t slot;
};

static bool
is_not_dropped(void *ctx, uint64_t key, uint64_t value, bool is_kept)
{
	const struct nic_addresses *x = ctx;

	if (value != (DP_EXACT_LOCAL | x->slot))
		return true;
	for (unsigned i = 0; x->nic && i < x->nic->n_addresses; i++)
		if (key == DP_EXACT_KEY(x->nic->vnet.v, addr_u32(&x->nic->address[i])))
			return true;
	return false;
}

static int
nic_check(const struct datapath_host *d, const struct datapath_nic *n, struct err *e)
{
	if (!n->id || n->n_addresses > DATAPATH_NIC_ADDRESSES || n->subnet.addr.family != NET_V4 ||
	    n->subnet.len < 1)
		return err_set(e, -EINVAL, "NIC %u: id, subnet or number of addresses", n->id);
	for (unsigned i = 0; i < n->n_addresses; i++)
		if (n->address[i].family != NET_V4)
			return err_set(e, -EAFNOSUPPORT, "NIC %u: address that is not IPv4", n->id);
	if (!table_of(d, n->vnet.v))
		return err_set(e, -ENOENT, "NIC %u: unknown VNet %u", n->id, n->vnet.v);
	/* An address of another NIC here. */
	for (unsigned i = 0; i < n->n_addresses; i++) {
		uint64_t v = exact_get(&d->t.exact, n->vnet.v, addr_u32(&n->address[i]));
		uint32_t holder = v & DP_EXACT_LOCAL ? DP_EXACT_NIC(v) : 0;
		char text[ADDR_TEXT];

		if (holder && holder != slot_of(d, n->id) && d->nic_kept[holder])
			return err_set(e, -EEXIST, "NIC %u: %s is another NIC's", n->id,
				       addr_format(&n->address[i], text));
	}
	return 0;
}

int
datapath_host_nic_put(struct datapath_host *d, const struct datapath_nic *n, uint32_t *ret_slot,
		      struct err *e)
{
	uint32_t slot = slot_of(d, n->id), is_new = !slot;
	struct dp_nic r = { .owner = n->id, .mtu = n->mtu };
	int x = nic_check(d, n, e);

	if (x < 0)
		return x;
	if (is_new && !(slot = pool_take(&d->nic_pool)))
		return err_set(e, grace_is_idle(&d->t.grace) ? -ENOSPC : -EAGAIN,
			       "more than %u NICs", d->n_nics - 1);
	r.vnet = n->vnet.v;
	r.table = table_of(d, n->vnet.v);
	r.mac = write_mac_word(&n->mac);
	memcpy(&r.subnet_be, n->subnet.addr.b, 4);
	r.mask_be = htonl(UINT32_MAX << (32 - n->subnet.len));
	for (int i = 0; i < DP_DIRECTIONS; i++)
		r.meter[i] = meters_get(&d->t.meters, n->id, i, 0, &d->t.grace, (struct mono){ 0 });
	write_words(&d->nics[slot], &r, sizeof(r));
	if (is_new)
		map_put(&d->slot_of, &n->id, sizeof(n->id), (void *)(uintptr_t)slot);
	d->nic_kept[slot] = 1;
	exact_filter(&d->t.exact, is_not_dropped, &(struct nic_addresses){ n, slot });
	for (unsigned i = 0; x >= 0 && i < n->n_addresses; i++)
		x = tables_address_put(&d->t, n->vnet, &n->address[i], DP_EXACT_LOCAL | slot, e);
	if (x < 0)
		return x;
	*ret_slot = slot;
	return 0;
}

void
datapath_host_nic_remove(struct datapath_host *d, uint32_t id, struct mono now)
{
	uint32_t slot = slot_of(d, id);

	if (!slot)
		return;
	exact_filter(&d->t.exact, is_not_dropped, &(struct nic_addresses){ NULL, slot });
	write64(&d->nics[slot], 0);
	for (int i = 0; i < DP_DIRECTIONS; i++)
		meters_retire(&d->t.meters, meters_find(&d->t.meters, id, i), &d->t.grace, now);
	grace_add(&d->t.grace, GRACE_NIC, slot, 1, now);
	map_remove(&d->slot_of, &id, sizeof(id));
	d->nic_kept[slot] = 0;
}

int
datapath_host_nic_read(struct datapath_host *d, uint32_t id, int direction, uint64_t *ret_bytes,
		       uint64_t *ret_packets)
{
	uint32_t slot = meters_find(&d->t.meters, id, direction);

	if (!slot)
		return -ENOENT;
	meters_sum(&d->t.meters, slot, ret_bytes, ret_packets);
	return 0;
}

/* --- Routes ------------------------------------------------------------------------------------ */

/* The VNet's group of these members, made if need be. 0: none free. */
static uint32_t
group_get(struct datapath_host *d, uint32_t table, uint32_t vnet,
	  const struct datapath_host_route *r)
{
	struct group_list *l = &d->groups_of[table];
	struct dp_group want = { .owner = vnet, .n = r->n_paths };
	uint32_t at;

	for (unsigned i = 0; i < r->n_paths; i++)
		want.member[i] = (struct dp_member){ .node = r->path[i].node,
						     .key = r->path[i].key.v,
						     .link = r->path[i].node };
	for (uint32_t i = 0; i < l->n; i++)
		if (!memcmp(&d->groups[l->v[i]], &want, sizeof(want)))
			return l->v[i];
	at = pool_take(&d->group_pool);
	if (!at)
		return 0;
	write_words(&d->groups[at], &want, sizeof(want));
	group_list_add(l, at);
	return at;
}

static int
route_result(struct datapath_host *d, uint32_t table, uint32_t vnet,
	     const struct datapath_host_route *r, uint32_t *ret, struct err *e)
{
	uint32_t group;

	if (r->kind == DP_KIND_VNET && r->vnet.v && r->vnet.v <= FABRIC_NUMBER_MAX) {
		*ret = DP_RESULT(DP_KIND_VNET, r->vnet.v);
		return 0;
	}
	if (r->kind == DP_KIND_BLACKHOLE) {
		*ret = DP_RESULT(DP_KIND_BLACKHOLE, 0);
		return 0;
	}
	if (r->kind != DP_KIND_GROUP || !r->n_paths || r->n_paths > DP_GROUP_MEMBERS)
		return err_set(e, -EINVAL, "route of kind %d with %u paths", r->kind, r->n_paths);
	for (unsigned i = 0; i < r->n_paths; i++)
		if (!r->path[i].node || r->path[i].node >= d->t.sizes->n_tunnels)
			return err_set(e, -EINVAL, "path by node %u", r->path[i].node);
	group = group_get(d, table, vnet, r);
	if (!group)
		return err_set(e, grace_is_idle(&d->t.grace) ? -ENOSPC : -EAGAIN,
			       "no free group of paths");
	*ret = DP_RESULT(DP_KIND_GROUP, group);
	return 0;
}

/* Groups of the VNet that its table no longer names. */
static void
groups_collect(struct datapath_host *d, uint32_t table, const struct stree_prefix *p, size_t n,
	       struct mono now)
{
	struct group_list *l = &d->groups_of[table];
	uint8_t *used = mem_alloc(d->n_groups);
	uint32_t kept = 0;

	for (size_t i = 0; i < n; i++)
		if (DP_RESULT_KIND(p[i].result) == DP_KIND_GROUP)
			used[DP_RESULT_VALUE(p[i].result)] = 1;
	for (uint32_t i = 0; i < l->n; i++) {
		if (used[l->v[i]])
			l->v[kept++] = l->v[i];
		else
			grace_add(&d->t.grace, GRACE_GROUP, l->v[i], 1, now);
	}
	l->n = kept;
	free(used);
}

int
datapath_host_table_commit(struct datapath_host *d, struct fabric_number vnet,
			   const struct datapath_host_route *r, size_t n, struct mono now,
			   struct err *e)
{
	AUTO_FREE struct stree_prefix *p = mem_array(n ? n : 1, sizeof(*p));
	uint32_t table = table_of(d, vnet.v);
	int x = 0;

	if (!table)
		return err_set(e, -ENOENT, "no VNet %u", vnet.v);
	for (size_t i = 0; x >= 0 && i < n; i++) {
		if (r[i].prefix.addr.family != NET_V4)
			return err_set(e, -EAFNOSUPPORT, "route that is not IPv4");
		p[i] = (struct stree_prefix){ .first = addr_u32(&r[i].prefix.addr),
					      .len = r[i].prefix.len };
		x = route_result(d, table, vnet.v, &r[i], &p[i].result, e);
	}
	if (x >= 0)
		x = tables_commit(&d->t, table, vnet.v, p, n, now, e);
	if (x < 0)
		return err_wrap(e, x, "table of VNet %u", vnet.v);
	groups_collect(d, table, p, n, now);
	return 0;
}

bool
datapath_host_table_lookup(struct datapath_host *d, struct fabric_number vnet, const struct addr *a,
			   struct datapath_host_route *ret)
{
	uint32_t table = table_of(d, vnet.v);
	uint32_t r = table && a->family == NET_V4 ? tables_find(&d->t, table, vnet.v, addr_u32(a))
						  : 0;

	*ret = (struct datapath_host_route){ .kind = (enum dp_kind)DP_RESULT_KIND(r) };
	if (ret->kind == DP_KIND_VNET)
		ret->vnet.v = DP_RESULT_VALUE(r);
	if (ret->kind == DP_KIND_GROUP) {
		const struct dp_group *g = &d->groups[DP_RESULT_VALUE(r)];

		ret->n_paths = g->n;
		for (uint32_t i = 0; i < g->n && i < DP_GROUP_MEMBERS; i++)
			ret->path[i] = (struct datapath_path){ (uint16_t)g->member[i].node,
							       { g->member[i].key } };
	}
	return ret->kind != DP_KIND_NONE;
}
