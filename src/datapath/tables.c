/* See tables.h. */
#include "datapath/tables.h"

#include "base/mem.h"
#include "datapath/write.h"

#include <arpa/inet.h>

/* Control traffic of one domain or of the fabric port: packets per second. */
static const struct {
	uint32_t rate, burst;
} control_rates[DP_CONTROLS] = {
	[DP_CONTROL_SESSION] = { 10000, 2000 },
	[DP_CONTROL_ARP] = { 100, 50 },
	[DP_CONTROL_ICMP] = { 200, 100 },
	[DP_CONTROL_ERRORS] = { 200, 50 },
};
/* The fabric port stands for a whole node's sessions. */
enum { FABRIC_CONTROL_FACTOR = 20 };

void
tables_control_set(struct dp_policer *rows, uint32_t factor)
{
	for (int i = 0; i < DP_CONTROLS; i++) {
		uint64_t cost = (1000000000ull << 8) / control_rates[i].rate / factor;

		write64(&rows[i].burst, cost * control_rates[i].burst * factor);
		write64(&rows[i].cost_packet, cost);
	}
}

void
tables_fabric_control(struct tables *t)
{
	tables_control_set(datapath_maps_array(t->maps, DP_MAP_CONTROL), FABRIC_CONTROL_FACTOR);
}

int
tables_maps_open(const struct datapath_fds *fds, struct datapath_maps **ret, struct err *e)
{
	AUTO(datapath_maps) m = NULL;
	int r = datapath_maps_open(fds, &m, e);

	for (enum dp_map i = 0; r >= 0 && i < DP_MAP_TX; i++)
		if (i != DP_MAP_IFS && i != DP_MAP_LINK_UP && !datapath_maps_array(m, i))
			r = err_set(e, -EINVAL, "no descriptor of map %s", datapath_map_name(i));
	if (r < 0)
		return r;
	grace_wait(m);
	*ret = TAKE(m);
	return 0;
}

void
pool_init(struct pool *p, uint32_t n_elements, bool (*is_used)(void *ctx, uint32_t i), void *ctx)
{
	*p = (struct pool){ .free = mem_array(n_elements, sizeof(*p->free)) };
	for (uint32_t i = n_elements; i-- > 1;)
		if (!is_used(ctx, i))
			p->free[p->n++] = i;
}

void
pool_fini(struct pool *p)
{
	free(p->free);
}

uint32_t
pool_take(struct pool *p)
{
	return p->n ? p->free[--p->n] : 0;
}

void
pool_give(struct pool *p, uint32_t i)
{
	p->free[p->n++] = i;
}

void
tables_init(struct tables *t, struct datapath_maps *maps)
{
	const struct dp_sizes *s = datapath_maps_sizes(maps);

	*t = (struct tables){
		.maps = maps,
		.sizes = s,
		.node = datapath_maps_array(maps, DP_MAP_NODE),
		.numbers = datapath_maps_array(maps, DP_MAP_NUMBERS),
		.vroots = datapath_maps_array(maps, DP_MAP_VROOTS),
		.tunnels = datapath_maps_array(maps, DP_MAP_TUNNELS),
		.adjs = datapath_maps_array(maps, DP_MAP_ADJS),
		.lines = datapath_maps_array(maps, DP_MAP_LINES),
		.n_lines = (uint32_t)datapath_map_entries(DP_MAP_LINES, s),
		.n_tables = (uint32_t)datapath_map_entries(DP_MAP_VROOTS, s),
	};
	grace_init(&t->grace, maps);
	blocks_init(&t->blocks, t->n_lines);
	exact_init(&t->exact, maps);
	meters_init(&t->meters, maps);
	t->tunnel_kept = mem_alloc(s->n_tunnels);
	t->adj_kept = mem_alloc(s->n_adjs);
	t->vnet_kept = mem_alloc(s->n_numbers);
}

void
tables_fini(struct tables *t)
{
	grace_fini(&t->grace);
	blocks_fini(&t->blocks);
	exact_fini(&t->exact);
	meters_fini(&t->meters);
	free(t->tunnel_kept);
	free(t->adj_kept);
	free(t->vnet_kept);
	datapath_maps_destroy(t->maps);
}

size_t
tables_usage(const struct tables *t, struct datapath_usage *ret)
{
	uint32_t meters = 0;

	for (uint32_t i = 1; i < t->meters.n; i++)
		meters += t->meters.slot[i].state != DP_METER_FREE;
	ret[0] = (struct datapath_usage){ "lines", t->n_lines - 1 - blocks_n_free(&t->blocks),
					  t->n_lines - 1 };
	ret[1] = (struct datapath_usage){ "addresses", t->exact.n_used, t->exact.n_buckets * 4 };
	ret[2] = (struct datapath_usage){ "meters", meters, t->meters.n - 1 };
	return 3;
}

/* --- Tables ------------------------------------------------------------------------------------ */

static uint32_t
vroot(const struct tables *t, uint32_t table)
{
	return (uint32_t)t->vroots[table];
}

void
tables_claim(struct tables *t, uint32_t (*owner_of)(void *ctx, uint32_t table), void *ctx)
{
	for (uint32_t i = 0; i < t->n_tables; i++) {
		uint32_t at = vroot(t, i), owner = owner_of(ctx, i);
		const struct dp_root *root = &t->lines[at < t->n_lines ? at : 0].root;

		if (!at)
			continue;
		if (!owner || at >= t->n_lines || root->owner != owner || !root->n_lines ||
		    !blocks_claim(&t->blocks, at, root->n_lines))
			write64(&t->vroots[i], 0);
	}
}

static void
block_retire(struct tables *t, uint32_t at, struct mono now)
{
	if (at)
		grace_add(&t->grace, GRACE_LINES, at, t->lines[at].root.n_lines, now);
}

int
tables_commit(struct tables *t, uint32_t table, uint32_t owner, struct stree_prefix *p, size_t n,
	      struct mono now, struct err *e)
{
	uint32_t old = vroot(t, table), at;
	AUTO_FREE union dp_line *lines = NULL;
	struct stree tree;
	int r = stree_build(&tree, p, n, e);

	if (r < 0)
		return r;
	at = blocks_alloc(&t->blocks, tree.n_lines);
	if (!at) {
		r = grace_is_idle(&t->grace) ? -ENOSPC : -EAGAIN;
		r = err_set(e, r, "no %u free lines for a table", tree.n_lines);
		stree_fini(&tree);
		return r;
	}
	lines = mem_array(tree.n_lines, sizeof(*lines));
	stree_layout(&tree, owner, at, lines);
	write_words(&t->lines[at], lines, tree.n_lines * sizeof(*lines));
	stree_fini(&tree);
	write64(&t->vroots[table], at);
	block_retire(t, old, now);
	return 0;
}

void
tables_drop(struct tables *t, uint32_t table, struct mono now)
{
	uint32_t old = vroot(t, table);

	write64(&t->vroots[table], 0);
	block_retire(t, old, now);
}

uint32_t
tables_find(const struct tables *t, uint32_t table, uint32_t owner, uint32_t addr)
{
	return stree_find(t->lines, t->n_lines, vroot(t, table), owner, addr);
}

/* --- The underlay ------------------------------------------------------------------------------ */

static int
addr_be(const struct addr *a, const char *what, uint32_t *ret, struct err *e)
{
	if (a->family != NET_V4)
		return err_set(e, -EAFNOSUPPORT, "%s must be an IPv4 address", what);
	memcpy(ret, a->b, 4);
	return 0;
}

int
tables_node_set(struct tables *t, const struct datapath_node *n, struct err *e)
{
	struct dp_node d = { .mtu = n->mtu, .number = n->number };

	if (n->address[0].family != NET_V4 || n->mtu < 576)
		return err_set(e, -EINVAL, "a node needs an IPv4 underlay address and an MTU");
	for (int i = 0; i < 4; i++)
		if (n->address[i].family == NET_V4)
			memcpy(&d.address_be[i], n->address[i].b, 4);
	memcpy(d.tcp_port, n->tcp_port, sizeof(d.tcp_port));
	d.vswitch_mac = write_mac_word(&n->vswitch);
	write_words(t->node, &d, sizeof(d));
	return 0;
}

/* 0 when there is none; index 0 is never used. */
static uint32_t
adj_find(const struct tables *t, uint32_t gateway_be)
{
	for (uint32_t i = 1; i < t->sizes->n_adjs; i++)
		if (t->adjs[i].owner_be == gateway_be)
			return i;
	return 0;
}

int
tables_gateway_put(struct tables *t, const struct addr *gateway, uint32_t port,
		   const struct mac *own, struct err *e)
{
	struct dp_adj a = { .port = port };
	uint32_t i;
	int r = addr_be(gateway, "a gateway", &a.owner_be, e);

	if (r < 0)
		return r;
	i = adj_find(t, a.owner_be);
	if (!i)
		i = adj_find(t, 0);
	if (!i)
		return err_set(e, -ENOSPC, "more than %u gateways", t->sizes->n_adjs - 1);
	if (t->adjs[i].owner_be != a.owner_be)
		write64(&t->adjs[i].dst_mac, 0);
	write64(&t->adjs[i].src_mac, write_mac_word(own));
	/* port and owner: one word */
	write_words(&t->adjs[i].port, &a.port, 8);
	t->adj_kept[i] = 1;
	return 0;
}

int
tables_gateway_mac(struct tables *t, const struct addr *gateway, const struct mac *mac)
{
	uint32_t be, i;

	if (addr_be(gateway, "a gateway", &be, NULL) < 0 || !(i = adj_find(t, be)))
		return -ENOENT;
	write64(&t->adjs[i].dst_mac, mac ? write_mac_word(mac) : 0);
	return 0;
}

/* Ones' complement sum of the outer header without length and DSCP (encap_write()). */
static uint32_t
header_sum(uint32_t local_be, uint32_t remote_be)
{
	uint32_t s = htons(0x4500) + htons(0x4000) + htons(64 << 8 | IPPROTO_GRE);

	return s + (local_be & 0xffff) + (local_be >> 16) + (remote_be & 0xffff) +
	       (remote_be >> 16);
}

int
tables_tunnel_put(struct tables *t, const struct datapath_tunnel *c, struct err *e)
{
	struct dp_tunnel n = { .link = c->node, .role = (uint8_t)c->role };
	struct dp_tunnel *at;
	uint32_t gateway;
	int r;

	if (!c->node || c->node >= t->sizes->n_tunnels || c->role == DP_ROLE_NONE ||
	    c->role > DP_ROLE_CONTROL)
		return err_set(e, -EINVAL, "node number %u or its role", c->node);
	if (!t->node->address_be[0])
		return err_set(e, -EINVAL, "tunnel before this node's own address");
	r = addr_be(&c->remote, "a node's address", &n.remote_be, e);
	if (r >= 0 && c->role != DP_ROLE_CONTROL) {
		r = addr_be(&c->gateway, "a gateway", &gateway, e);
		n.adj = r < 0 ? 0 : adj_find(t, gateway);
		if (r >= 0 && !n.adj)
			return err_set(e, -ENOENT, "node %u: unknown gateway", c->node);
	}
	if (r < 0)
		return r;
	at = &t->tunnels[c->node];
	n.local_be = t->node->address_be[0];
	n.sum = header_sum(n.local_be, n.remote_be);
	if (at->role && at->remote_be != n.remote_be)
		exact_remove(&t->exact, DP_SPACE_NODES, ntohl(at->remote_be));
	write_words(at, &n, 16); /* role, the commit, stands in the third word */
	write_words((char *)at + 16, (char *)&n + 16, 8);
	r = exact_put(&t->exact, DP_SPACE_NODES, ntohl(n.remote_be), c->node);
	if (r < 0)
		return err_set(e, r, "node %u: exact-match table is full", c->node);
	t->tunnel_kept[c->node] = 1;
	return 0;
}

void
tables_tunnel_remove(struct tables *t, uint16_t node)
{
	static const struct dp_tunnel none;
	struct dp_tunnel *at;

	if (!node || node >= t->sizes->n_tunnels || !t->tunnels[node].role)
		return;
	at = &t->tunnels[node];
	if (exact_get(&t->exact, DP_SPACE_NODES, ntohl(at->remote_be)) == node)
		exact_remove(&t->exact, DP_SPACE_NODES, ntohl(at->remote_be));
	write_words((char *)at + 16, (const char *)&none + 16, 8);
	t->tunnel_kept[node] = 0;
}

/* --- VNets ------------------------------------------------------------------------------------- */

bool
tables_number_is(const struct tables *t, uint32_t number, enum dp_number_kind kind)
{
	return number && number < t->sizes->n_numbers && DP_NUMBER_KIND(t->numbers[number]) == kind;
}

uint32_t
tables_number_index(const struct tables *t, uint32_t number, enum dp_number_kind kind)
{
	return tables_number_is(t, number, kind) ? DP_NUMBER_INDEX(t->numbers[number]) : 0;
}

int
tables_vnet_put(struct tables *t, struct fabric_number vnet, struct fabric_key key, uint32_t index,
		struct err *e)
{
	if (!vnet.v || vnet.v >= t->sizes->n_numbers || fabric_key_number(key).v != vnet.v)
		return err_set(e, -EINVAL, "VNet number %u with key %#x", vnet.v, key.v);
	if (tables_number_is(t, vnet.v, DP_NUMBER_DOMAIN))
		return err_set(e, -EEXIST, "number %u belongs to a domain", vnet.v);
	write64(&t->numbers[vnet.v], DP_NUMBER_WORD(key.v, DP_NUMBER_VNET, index));
	t->vnet_kept[vnet.v] = 1;
	return 0;
}

static bool
not_of_vnet(void *ctx, uint64_t key, uint64_t value, bool is_kept)
{
	return key >> 32 != *(const uint32_t *)ctx;
}

void
tables_vnet_remove(struct tables *t, struct fabric_number vnet)
{
	uint32_t v = vnet.v;

	if (!tables_number_is(t, v, DP_NUMBER_VNET))
		return;
	write64(&t->numbers[v], 0);
	exact_filter(&t->exact, not_of_vnet, &v);
	t->vnet_kept[v] = 0;
}

int
tables_address_put(struct tables *t, struct fabric_number vnet, const struct addr *a,
		   uint64_t value, struct err *e)
{
	char text[ADDR_TEXT];
	int r;

	if (a->family != NET_V4 || !tables_number_is(t, vnet.v, DP_NUMBER_VNET))
		return err_set(e, -EINVAL, "address %s in VNet %u", addr_format(a, text), vnet.v);
	r = exact_put(&t->exact, vnet.v, addr_u32(a), value);
	return r < 0 ? err_set(e, r, "exact-match table is full") : 0;
}

static bool
is_address_wanted(void *ctx, uint64_t key, uint64_t value, bool is_kept)
{
	const struct tables *t = ctx;
	uint32_t space = (uint32_t)(key >> 32);

	return is_kept && (space == DP_SPACE_NODES || tables_number_is(t, space, DP_NUMBER_VNET));
}

void
tables_sweep(struct tables *t)
{
	for (uint32_t i = 1; i < t->sizes->n_tunnels; i++)
		if (!t->tunnel_kept[i])
			tables_tunnel_remove(t, (uint16_t)i);
	for (uint32_t i = 1; i < t->sizes->n_adjs; i++)
		if (t->adjs[i].owner_be && !t->adj_kept[i])
			write64(&t->adjs[i].port, 0); /* with owner */
	for (uint32_t i = 1; i < t->sizes->n_numbers; i++)
		if (tables_number_is(t, i, DP_NUMBER_VNET) && !t->vnet_kept[i])
			write64(&t->numbers[i], 0);
	exact_filter(&t->exact, is_address_wanted, t);
}
