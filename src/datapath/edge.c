/* See edge.h. Order of writes: an element, then what points to it; in removal the other way round.
 * A domain's first word (number, key) makes its record count as used. */
#include "datapath/edge.h"

#include "base/map.h"
#include "base/mem.h"
#include "datapath/tables.h"
#include "datapath/write.h"

#include <arpa/inet.h>

/* Burst of a policer: 20 ms of its rate and at least two packets, in 2^-8 ns. */
#define BURST_NS 20000000ull
#define BURST_BYTES 3200ull
struct nh_list {
	uint32_t *v;
	uint32_t n, cap;
};

struct datapath_edge {
	struct tables t;
	struct dp_tag_row *tags;
	struct dp_domain *domains;
	struct dp_nh *nhs;
	struct dp_policer *policers, *control;
	struct dp_domain_drops *drops;
	uint32_t n_domains, n_nhs, n_policers;
	struct pool domain_pool, nh_pool, policer_pool;
	struct map slot_of;    /* domain number -> slot */
	struct map policer_of; /* policer owner -> index */
	struct nh_list *nh_of; /* by slot: next hops that carry its number */
	uint8_t *domain_kept, *policer_kept;
};

/* --- Opening ----------------------------------------------------------------------------------- */

static uint32_t
slot_of(const struct datapath_edge *d, uint32_t number)
{
	return (uint32_t)(uintptr_t)map_get(&d->slot_of, &number, sizeof(number));
}

static uint32_t
policer_of(const struct datapath_edge *d, uint64_t owner)
{
	return (uint32_t)(uintptr_t)map_get(&d->policer_of, &owner, sizeof(owner));
}

static uint64_t
policer_owner(uint32_t circuit, int direction)
{
	return (uint64_t)circuit << 1 | (unsigned)direction;
}

static bool
domain_is_used(void *ctx, uint32_t i)
{
	return ((struct datapath_edge *)ctx)->domains[i].number != 0;
}

static bool
nh_is_used(void *ctx, uint32_t i)
{
	return ((struct datapath_edge *)ctx)->nhs[i].owner != 0;
}

static bool
policer_is_used(void *ctx, uint32_t i)
{
	return ((struct datapath_edge *)ctx)->policers[i].owner != 0;
}

static uint32_t
table_owner(void *ctx, uint32_t table)
{
	struct datapath_edge *d = ctx;

	return table < d->n_domains ? d->domains[table].number : 0;
}

static void
nh_list_add(struct nh_list *l, uint32_t nh)
{
	if (l->n == l->cap) {
		l->cap = l->cap ? l->cap * 2 : 4;
		l->v = mem_realloc(l->v, l->cap * sizeof(*l->v));
	}
	l->v[l->n++] = nh;
}

static void
domains_find(struct datapath_edge *d)
{
	for (uint32_t i = 1; i < d->n_domains; i++) {
		uint32_t number = d->domains[i].number;

		if (!number)
			continue;
		if (slot_of(d, number)) /* cannot be; the first one stays */
			write64(&d->domains[i], 0);
		else
			map_put(&d->slot_of, &number, sizeof(number), (void *)(uintptr_t)i);
	}
}

static uint64_t *
tag_row(struct datapath_edge *d, uint32_t trunk, uint32_t s)
{
	return d->tags[(size_t)trunk * 4096 + s].word;
}

static bool
tag_is_of(const struct dp_domain *r, uint32_t trunk, uint32_t s, uint64_t word)
{
	return r->number && r->trunk == trunk && r->s == s &&
	       (0x8000u | r->c) == DP_TAG_INNER(word);
}

/* Roots that a predecessor died writing or removing: they must agree with a domain's record. */
static void
roots_check(struct datapath_edge *d)
{
	uint32_t n_rows = (uint32_t)datapath_map_entries(DP_MAP_TAGS, d->t.sizes);

	for (uint32_t i = 0; i < n_rows; i++)
		for (int k = 0; k < 4; k++) {
			uint64_t *w = &d->tags[i].word[k];
			uint32_t slot = DP_TAG_SLOT(*w);

			if (*w && (slot >= d->n_domains ||
				   !tag_is_of(&d->domains[slot], i / 4096, i % 4096, *w)))
				write64(w, 0);
		}
	for (uint32_t i = 1; i < d->t.sizes->n_numbers; i++) {
		uint32_t slot = tables_number_index(&d->t, i, DP_NUMBER_DOMAIN);

		if (tables_number_is(&d->t, i, DP_NUMBER_DOMAIN) &&
		    (slot >= d->n_domains || d->domains[slot].number != i))
			write64(&d->t.numbers[i], 0);
	}
}

static void
next_hops_find(struct datapath_edge *d)
{
	for (uint32_t i = 1; i < d->n_nhs; i++) {
		uint32_t slot = d->nhs[i].owner ? slot_of(d, d->nhs[i].owner) : 0;

		if (slot)
			nh_list_add(&d->nh_of[slot], i);
		else if (d->nhs[i].owner)
			write64(&d->nhs[i], 0);
	}
}

struct datapath_edge *
datapath_edge_create(struct datapath_maps *m)
{
	struct datapath_edge *d = mem_alloc(sizeof(*d));
	const struct dp_sizes *s = datapath_maps_sizes(m);

	tables_init(&d->t, m);
	d->tags = datapath_maps_array(m, DP_MAP_TAGS);
	d->domains = datapath_maps_array(m, DP_MAP_DOMAINS);
	d->nhs = datapath_maps_array(m, DP_MAP_NHS);
	d->policers = datapath_maps_array(m, DP_MAP_POLICERS);
	d->control = datapath_maps_array(m, DP_MAP_CONTROL);
	d->drops = datapath_maps_array(m, DP_MAP_DOMAIN_DROPS);
	d->n_domains = (uint32_t)datapath_map_entries(DP_MAP_DOMAINS, s);
	d->n_nhs = (uint32_t)datapath_map_entries(DP_MAP_NHS, s);
	d->n_policers = (uint32_t)datapath_map_entries(DP_MAP_POLICERS, s);
	d->nh_of = mem_array(d->n_domains, sizeof(*d->nh_of));
	d->domain_kept = mem_alloc(d->n_domains);
	d->policer_kept = mem_alloc(d->n_policers);
	domains_find(d);
	roots_check(d);
	next_hops_find(d);
	tables_claim(&d->t, table_owner, d);
	for (uint32_t i = 1; i < d->n_policers; i++)
		if (d->policers[i].owner)
			map_put(&d->policer_of, &d->policers[i].owner, sizeof(uint64_t),
				(void *)(uintptr_t)i);
	pool_init(&d->domain_pool, d->n_domains, domain_is_used, d);
	pool_init(&d->nh_pool, d->n_nhs, nh_is_used, d);
	pool_init(&d->policer_pool, d->n_policers, policer_is_used, d);
	tables_fabric_control(&d->t);
	return d;
}

int
datapath_edge_open(const struct datapath_fds *fds, struct datapath_edge **ret, struct err *e)
{
	AUTO(datapath_maps) m = NULL;
	int r = tables_maps_open(fds, &m, e);

	if (r < 0)
		return r;
	*ret = datapath_edge_create(TAKE(m));
	return 0;
}

void
datapath_edge_destroy(struct datapath_edge *d)
{
	if (!d)
		return;
	for (uint32_t i = 0; i < d->n_domains; i++)
		free(d->nh_of[i].v);
	free(d->nh_of);
	free(d->domain_kept);
	free(d->policer_kept);
	pool_fini(&d->domain_pool);
	pool_fini(&d->nh_pool);
	pool_fini(&d->policer_pool);
	map_fini(&d->slot_of);
	map_fini(&d->policer_of);
	tables_fini(&d->t);
	free(d);
}

struct datapath_maps *
datapath_edge_maps(struct datapath_edge *d)
{
	return d->t.maps;
}

/* --- Grace and sweep --------------------------------------------------------------------------- */

static void
release(void *ctx, const struct grace_item *i)
{
	static const struct dp_domain no_domain;
	static const struct dp_nh no_nh;
	struct datapath_edge *d = ctx;

	switch (i->kind) {
	case GRACE_LINES:
		blocks_free(&d->t.blocks, i->index, i->n);
		break;
	case GRACE_NH:
		write64(&d->nhs[i->index], 0);
		write_words(&d->nhs[i->index], &no_nh, sizeof(no_nh));
		pool_give(&d->nh_pool, i->index);
		break;
	case GRACE_DOMAIN:
		write_words(&d->domains[i->index], &no_domain, sizeof(no_domain));
		pool_give(&d->domain_pool, i->index);
		break;
	case GRACE_POLICER:
		write64(&d->policers[i->index].owner, 0);
		pool_give(&d->policer_pool, i->index);
		break;
	case GRACE_METER:
		meters_finalise(&d->t.meters, i->index);
		break;
	case GRACE_GROUP:
	case GRACE_NIC:
		break; /* hosts' */
	}
}

struct mono
datapath_edge_tick(struct datapath_edge *d, struct mono now)
{
	return grace_tick(&d->t.grace, now, release, d);
}

static bool
is_domain(void *ctx, uint32_t owner)
{
	return slot_of(ctx, owner) != 0;
}

void
datapath_edge_sweep(struct datapath_edge *d, struct mono now)
{
	for (uint32_t i = 1; i < d->n_domains; i++)
		if (d->domains[i].number && !d->domain_kept[i])
			datapath_edge_domain_remove(
				d, (struct fabric_number){ d->domains[i].number }, now);
	for (uint32_t i = 1; i < d->n_policers; i++)
		if (d->policers[i].owner && !d->policer_kept[i])
			datapath_edge_circuit_remove(d, (uint32_t)(d->policers[i].owner >> 1), now);
	meters_sweep(&d->t.meters, is_domain, d, &d->t.grace, now);
	tables_sweep(&d->t);
}

size_t
datapath_edge_usage(const struct datapath_edge *d, struct datapath_usage *ret)
{
	size_t n = tables_usage(&d->t, ret);

	ret[n++] = (struct datapath_usage){ "domains", d->n_domains - 1 - d->domain_pool.n,
					    d->n_domains - 1 };
	ret[n++] =
		(struct datapath_usage){ "next hops", d->n_nhs - 1 - d->nh_pool.n, d->n_nhs - 1 };
	ret[n++] = (struct datapath_usage){ "policers", d->n_policers - 1 - d->policer_pool.n,
					    d->n_policers - 1 };
	return n;
}

/* --- Underlay and VNets ------------------------------------------------------------------------ */

int
datapath_edge_node_set(struct datapath_edge *d, const struct datapath_node *n, struct err *e)
{
	return tables_node_set(&d->t, n, e);
}

int
datapath_edge_gateway_put(struct datapath_edge *d, const struct addr *gateway, uint32_t port,
			  const struct mac *own, struct err *e)
{
	return tables_gateway_put(&d->t, gateway, port, own, e);
}

int
datapath_edge_gateway_mac(struct datapath_edge *d, const struct addr *gateway,
			  const struct mac *mac)
{
	return tables_gateway_mac(&d->t, gateway, mac);
}

int
datapath_edge_tunnel_put(struct datapath_edge *d, const struct datapath_tunnel *t, struct err *e)
{
	return tables_tunnel_put(&d->t, t, e);
}

void
datapath_edge_tunnel_remove(struct datapath_edge *d, uint16_t node, struct mono now)
{
	tables_tunnel_remove(&d->t, node);
}

int
datapath_edge_vnet_put(struct datapath_edge *d, struct fabric_number vnet, struct fabric_key key,
		       struct err *e)
{
	return tables_vnet_put(&d->t, vnet, key, 0, e);
}

void
datapath_edge_vnet_remove(struct datapath_edge *d, struct fabric_number vnet, struct mono now)
{
	tables_vnet_remove(&d->t, vnet);
}

int
datapath_edge_address_put(struct datapath_edge *d, struct fabric_number vnet, const struct addr *a,
			  uint16_t node, struct err *e)
{
	return tables_address_put(&d->t, vnet, a, node, e);
}

void
datapath_edge_address_remove(struct datapath_edge *d, struct fabric_number vnet,
			     const struct addr *a, struct mono now)
{
	exact_remove(&d->t.exact, vnet.v, addr_u32(a));
}

/* --- Circuits ---------------------------------------------------------------------------------- */

/* Per byte, rounded to nearest. */
static uint64_t
cost_of(uint64_t rate)
{
	return rate ? ((8000000000ull << 8) + rate / 2) / rate : 0;
}

static void
policer_set(struct dp_policer *p, uint64_t rate)
{
	uint64_t cost = cost_of(rate);

	write64(&p->burst, MAX(BURST_NS << 8, BURST_BYTES * cost));
	write64(&p->cost_packet, 0);
	write64(&p->cost, cost);
}

int
datapath_edge_circuit_put(struct datapath_edge *d, uint32_t id, const uint64_t rate[DP_DIRECTIONS],
			  struct err *e)
{
	uint32_t n_new = 0;

	if (!id || id >> 31)
		return err_set(e, -EINVAL, "circuit id %u", id);
	for (int i = 0; i < DP_DIRECTIONS; i++) {
		if (rate[i] && rate[i] < 1000)
			return err_set(e, -EINVAL, "rate of %llu bit/s",
				       (unsigned long long)rate[i]);
		n_new += !policer_of(d, policer_owner(id, i));
	}
	if (d->policer_pool.n < n_new)
		return err_set(e, grace_is_idle(&d->t.grace) ? -ENOSPC : -EAGAIN,
			       "more than %u policers", d->n_policers - 1);
	for (int i = 0; i < DP_DIRECTIONS; i++) {
		uint64_t owner = policer_owner(id, i);
		uint32_t at = policer_of(d, owner);

		if (!at) {
			at = pool_take(&d->policer_pool);
			map_put(&d->policer_of, &owner, sizeof(owner), (void *)(uintptr_t)at);
		}
		policer_set(&d->policers[at], rate[i]);
		write64(&d->policers[at].owner, owner);
		d->policer_kept[at] = 1;
	}
	return 0;
}

int
datapath_edge_circuit_remove(struct datapath_edge *d, uint32_t id, struct mono now)
{
	for (uint32_t i = 1; i < d->n_domains; i++)
		if (d->domains[i].number && d->domains[i].circuit == id)
			return -EBUSY;
	for (int i = 0; i < DP_DIRECTIONS; i++) {
		uint64_t owner = policer_owner(id, i);
		uint32_t at = policer_of(d, owner);

		if (!at)
			continue;
		map_remove(&d->policer_of, &owner, sizeof(owner));
		d->policer_kept[at] = 0;
		grace_add(&d->t.grace, GRACE_POLICER, at, 1, now);
	}
	return 0;
}

/* --- Domains ----------------------------------------------------------------------------------- */

static int
domain_check(const struct datapath_edge *d, const struct datapath_domain *c, struct err *e)
{
	const uint32_t number = c->number.v;
	struct prefix local = prefix_make(&c->local, MIN(c->subnet_len, 32));

	if (!number || number >= d->t.sizes->n_numbers || fabric_key_number(c->key).v != number ||
	    c->key.v & FABRIC_KEY_LOCAL_ONLY)
		return err_set(e, -EINVAL, "domain number %u with key %#x", number, c->key.v);
	if (tables_number_is(&d->t, number, DP_NUMBER_VNET))
		return err_set(e, -EEXIST, "number %u belongs to a VNet", number);
	if (!c->trunk || c->trunk >= d->t.sizes->n_trunks)
		return err_set(e, -EINVAL, "domain %u: trunk port %u", number, c->trunk);
	if (c->s.v > 4094 || c->c.v > 4094 || (c->c.v && !c->s.v) ||
	    (c->s.v && c->tpid != 0x88a8 && c->tpid != 0x8100))
		return err_set(e, -EINVAL, "domain %u: tags %04x %u.%u", number, c->tpid, c->s.v,
			       c->c.v);
	if (c->local.family != NET_V4 || c->peer.family != NET_V4 || c->subnet_len < 8 ||
	    c->subnet_len > 31 || !prefix_contains(&local, &c->peer))
		return err_set(e, -EINVAL, "domain %u: addresses of its link", number);
	for (int i = 0; i < DP_DIRECTIONS; i++)
		if (!policer_of(d, policer_owner(c->circuit, i)))
			return err_set(e, -ENOENT, "domain %u: unknown circuit %u", number,
				       c->circuit);
	return 0;
}

/* The word of these tags: the one that holds them, or a free one. NULL: the row is full. */
static uint64_t *
tag_find(struct datapath_edge *d, const struct datapath_domain *c)
{
	uint64_t *row = tag_row(d, c->trunk, c->s.v), *hole = NULL;

	for (int i = 0; i < 4; i++) {
		if (row[i] && DP_TAG_INNER(row[i]) == (0x8000u | c->c.v))
			return &row[i];
		if (!row[i] && !hole)
			hole = &row[i];
	}
	return hole;
}

static void
tag_clear(struct datapath_edge *d, const struct dp_domain *r, uint32_t slot)
{
	uint64_t *row = tag_row(d, r->trunk, r->s);

	for (int i = 0; i < 4; i++)
		if (row[i] == DP_TAG_WORD(slot, r->c))
			write64(&row[i], 0);
}

/* Someone else's tags: free after a restart, if that domain was not wanted again so far. */
static int
tag_claim(struct datapath_edge *d, const struct datapath_domain *c, uint32_t slot, uint64_t **ret,
	  struct err *e)
{
	uint64_t *w = tag_find(d, c);
	uint32_t holder = w ? DP_TAG_SLOT(*w) : 0;

	if (holder && holder != slot && !d->domain_kept[holder]) {
		datapath_edge_domain_remove(d, (struct fabric_number){ d->domains[holder].number },
					    (struct mono){ 0 });
		holder = 0;
	}
	if (!w)
		return err_set(e, -ENOSPC, "more than four inner tags under %u.%u", c->trunk,
			       c->s.v);
	if (holder && holder != slot)
		return err_set(e, -EEXIST, "tags %u.%u are those of domain %u", c->s.v, c->c.v,
			       d->domains[holder].number);
	*ret = w;
	return 0;
}

static int
meters_take(struct datapath_edge *d, const struct datapath_domain *c, struct dp_domain *r,
	    struct err *e)
{
	for (int i = 0; i < DP_DIRECTIONS; i++) {
		r->meter[i] = meters_get(&d->t.meters, c->number.v, i, c->circuit, &d->t.grace,
					 (struct mono){ 0 });
		r->policer[i] = policer_of(d, policer_owner(c->circuit, i));
		if (!r->meter[i])
			return err_set(e, -ENOSPC, "no free meter");
	}
	return 0;
}

static void
record_fill(struct dp_domain *r, const struct datapath_domain *c, uint32_t slot,
	    const struct dp_domain *before)
{
	r->number = c->number.v;
	r->key = c->key.v;
	r->link = DATAPATH_LINK_DOMAIN + slot;
	r->circuit = c->circuit;
	memcpy(&r->local_be, c->local.b, 4);
	memcpy(&r->peer_be, c->peer.b, 4);
	r->mask_be = htonl(UINT32_MAX << (32 - c->subnet_len));
	r->subnet_be = r->local_be & r->mask_be;
	r->mac = write_mac_word(&c->mac);
	if (before->peer_be == r->peer_be && before->trunk == c->trunk && before->s == c->s.v &&
	    before->c == c->c.v)
		r->peer_mac = before->peer_mac;
	r->trunk = c->trunk;
	r->tpid_be = htons(c->tpid);
	r->n_tags = c->s.v ? (c->c.v ? 2 : 1) : 0;
	r->s = c->s.v;
	r->c = c->c.v;
	r->mtu = c->mtu;
}

static void
slot_prepare(struct datapath_edge *d, uint32_t slot)
{
	static const struct dp_domain_drops none;

	write_words(&d->drops[slot], &none, sizeof(none));
	tables_control_set(&d->control[(size_t)slot * DP_CONTROLS], 1);
}

int
datapath_edge_domain_put(struct datapath_edge *d, const struct datapath_domain *c, struct err *e)
{
	uint32_t slot = slot_of(d, c->number.v), is_new = !slot;
	struct dp_domain r = { 0 }, before;
	uint64_t *tag = NULL;
	int x = domain_check(d, c, e);

	if (x >= 0)
		x = tag_claim(d, c, slot, &tag, e);
	if (x < 0)
		return x;
	if (is_new && !(slot = pool_take(&d->domain_pool)))
		return err_set(e, grace_is_idle(&d->t.grace) ? -ENOSPC : -EAGAIN,
			       "more than %u domains", d->n_domains - 1);
	x = meters_take(d, c, &r, e);
	if (x < 0) {
		if (is_new)
			pool_give(&d->domain_pool, slot);
		return x;
	}
	if (is_new) {
		slot_prepare(d, slot);
		map_put(&d->slot_of, &c->number.v, sizeof(c->number.v), (void *)(uintptr_t)slot);
	}
	before = d->domains[slot];
	record_fill(&r, c, slot, &before);
	write_words(&d->domains[slot], &r, sizeof(r));
	write64(&d->t.numbers[r.number], DP_NUMBER_WORD(r.key, DP_NUMBER_DOMAIN, slot));
	write64(tag, DP_TAG_WORD(slot, r.c));
	if (!is_new && (before.trunk != r.trunk || before.s != r.s || before.c != r.c))
		tag_clear(d, &before, slot);
	d->domain_kept[slot] = 1;
	return 0;
}

void
datapath_edge_domain_remove(struct datapath_edge *d, struct fabric_number number, struct mono now)
{
	uint32_t slot = slot_of(d, number.v);
	struct nh_list *l = &d->nh_of[slot];

	if (!slot)
		return;
	tag_clear(d, &d->domains[slot], slot);
	write64(&d->t.numbers[number.v], 0);
	write64(&d->domains[slot], 0);
	tables_drop(&d->t, slot, now);
	for (int i = 0; i < DP_DIRECTIONS; i++)
		meters_retire(&d->t.meters, meters_find(&d->t.meters, number.v, i), &d->t.grace,
			      now);
	for (uint32_t i = 0; i < l->n; i++)
		grace_add(&d->t.grace, GRACE_NH, l->v[i], 1, now);
	l->n = 0;
	grace_add(&d->t.grace, GRACE_DOMAIN, slot, 1, now);
	map_remove(&d->slot_of, &number.v, sizeof(number.v));
	d->domain_kept[slot] = 0;
}

int
datapath_edge_domain_neighbour(struct datapath_edge *d, struct fabric_number number,
			       const struct mac *mac)
{
	uint32_t slot = slot_of(d, number.v);

	if (!slot)
		return -ENOENT;
	write64(&d->domains[slot].peer_mac, mac ? write_mac_word(mac) : 0);
	return 0;
}

uint32_t
datapath_edge_domain_link(struct datapath_edge *d, struct fabric_number number)
{
	uint32_t slot = slot_of(d, number.v);

	return slot ? DATAPATH_LINK_DOMAIN + slot : 0;
}

uint64_t
datapath_edge_domain_drops(struct datapath_edge *d, struct fabric_number number,
			   enum dp_drop reason)
{
	uint32_t slot = slot_of(d, number.v);

	if (!slot || reason >= DP_DROPS)
		return 0;
	return __atomic_load_n(&d->drops[slot].drop[reason], __ATOMIC_RELAXED);
}

/* --- Routes ------------------------------------------------------------------------------------ */

/* The domain's next hop of this content, made if need be. 0: none free. */
static uint32_t
nh_put(struct datapath_edge *d, uint32_t slot, const struct dp_nh *want)
{
	struct nh_list *l = &d->nh_of[slot];
	uint32_t at;

	for (uint32_t i = 0; i < l->n; i++)
		if (!memcmp(&d->nhs[l->v[i]], want, sizeof(*want)))
			return l->v[i];
	at = pool_take(&d->nh_pool);
	if (!at)
		return 0;
	write_words(&d->nhs[at], want, sizeof(*want));
	nh_list_add(l, at);
	return at;
}

static uint32_t
nh_get(struct datapath_edge *d, uint32_t slot, enum datapath_via via, uint16_t pair,
       uint32_t backup)
{
	const struct dp_domain *r = &d->domains[slot];
	struct dp_nh want = {
		.owner = r->number, .kind = DP_NH_CE, .link = r->link, .backup = backup
	};

	if (via == DATAPATH_VIA_PAIR) {
		want.kind = DP_NH_TUNNEL;
		want.link = want.node = pair;
		want.key = r->key | DP_KEY_LOCAL_ONLY;
	}
	return nh_put(d, slot, &want);
}

static int
reach_result(struct datapath_edge *d, uint32_t slot, const struct datapath_route *r, uint32_t *ret,
	     struct err *e)
{
	uint32_t at = 0;

	for (size_t i = COUNT(r->reach); i-- > 0;) {
		const struct datapath_reach *w = &r->reach[i];
		struct dp_nh want = {
			.owner = d->domains[slot].number,
			.kind = DP_NH_TUNNEL,
			.link = w->node,
			.node = w->node,
			.key = w->key.v,
			.backup = at,
		};

		if (!w->node)
			continue;
		if (w->node >= d->t.sizes->n_tunnels)
			return err_set(e, -EINVAL, "route over node %u", w->node);
		at = nh_put(d, slot, &want);
		if (!at)
			return err_set(e, -ENOSPC, "no free next hop");
	}
	if (!at)
		return err_set(e, -EINVAL, "route behind no edge");
	*ret = DP_RESULT(DP_KIND_REACH, at);
	return 0;
}

static int
customer_result(struct datapath_edge *d, uint32_t slot, const struct datapath_route *r,
		uint32_t *ret, struct err *e)
{
	uint32_t backup = 0, at;

	if ((r->via != DATAPATH_VIA_CE && r->via != DATAPATH_VIA_PAIR) || r->backup == r->via ||
	    ((r->via == DATAPATH_VIA_PAIR || r->backup == DATAPATH_VIA_PAIR) &&
	     (!r->pair || r->pair >= d->t.sizes->n_tunnels)))
		return err_set(e, -EINVAL, "customer route without a proper way");
	if (r->backup) {
		backup = nh_get(d, slot, r->backup, r->pair, 0);
		if (!backup)
			return err_set(e, -ENOSPC, "no free next hop");
	}
	at = nh_get(d, slot, r->via, r->pair, backup);
	if (!at)
		return err_set(e, -ENOSPC, "no free next hop");
	*ret = DP_RESULT(DP_KIND_CUSTOMER, at) | DP_RESULT_SOURCE;
	return 0;
}

static int
route_result(struct datapath_edge *d, uint32_t slot, const struct datapath_route *r, uint32_t *ret,
	     struct err *e)
{
	if (r->lingers) {
		*ret = 0;
		return 0;
	}
	switch (r->kind) {
	case DP_KIND_CUSTOMER:
		return customer_result(d, slot, r, ret, e);
	case DP_KIND_VNET:
		if (!r->vnet.v || r->vnet.v > FABRIC_NUMBER_MAX)
			return err_set(e, -EINVAL, "route to VNet %u", r->vnet.v);
		*ret = DP_RESULT(DP_KIND_VNET, r->vnet.v);
		return 0;
	case DP_KIND_LINK:
		*ret = DP_RESULT(DP_KIND_LINK, 0) | DP_RESULT_SOURCE;
		return 0;
	case DP_KIND_BLACKHOLE:
		*ret = DP_RESULT(DP_KIND_BLACKHOLE, 0);
		return 0;
	case DP_KIND_REACH:
		return reach_result(d, slot, r, ret, e);
	case DP_KIND_NONE:
	case DP_KIND_GROUP:
		break;
	}
	return err_set(e, -EINVAL, "route of kind %d on an edge", r->kind);
}

/* Next hops of the domain that its table no longer names. */
static void
next_hops_collect(struct datapath_edge *d, uint32_t slot, const struct stree_prefix *p, size_t n,
		  struct mono now)
{
	struct nh_list *l = &d->nh_of[slot];
	uint32_t kept = 0;

	for (uint32_t i = 0; i < l->n; i++) {
		bool is_used = false;

		for (size_t k = 0; k < n && !is_used; k++) {
			uint32_t nh = DP_RESULT_VALUE(p[k].result);

			is_used = (DP_RESULT_KIND(p[k].result) == DP_KIND_CUSTOMER ||
				   DP_RESULT_KIND(p[k].result) == DP_KIND_REACH) &&
				  (nh == l->v[i] || d->nhs[nh].backup == l->v[i]);
		}
		if (is_used)
			l->v[kept++] = l->v[i];
		else
			grace_add(&d->t.grace, GRACE_NH, l->v[i], 1, now);
	}
	l->n = kept;
}

int
datapath_edge_table_commit(struct datapath_edge *d, struct fabric_number number,
			   const struct datapath_route *r, size_t n, struct mono now, struct err *e)
{
	AUTO_FREE struct stree_prefix *p = mem_array(n ? n : 1, sizeof(*p));
	uint32_t slot = slot_of(d, number.v);
	int x = 0;

	if (!slot)
		return err_set(e, -ENOENT, "no domain %u", number.v);
	for (size_t i = 0; x >= 0 && i < n; i++) {
		if (r[i].prefix.addr.family != NET_V4)
			return err_set(e, -EAFNOSUPPORT, "route that is not IPv4");
		p[i] = (struct stree_prefix){ .first = addr_u32(&r[i].prefix.addr),
					      .len = r[i].prefix.len,
					      .inherits = r[i].lingers };
		x = route_result(d, slot, &r[i], &p[i].result, e);
	}
	if (x >= 0)
		x = tables_commit(&d->t, slot, number.v, p, n, now, e);
	if (x < 0)
		return err_wrap(e, x, "table of domain %u", number.v);
	next_hops_collect(d, slot, p, n, now);
	return 0;
}

static enum datapath_via
via_of(const struct dp_nh *nh, struct datapath_route *ret)
{
	if (nh->kind == DP_NH_TUNNEL)
		ret->pair = (uint16_t)nh->node;
	return nh->kind == DP_NH_TUNNEL ? DATAPATH_VIA_PAIR : DATAPATH_VIA_CE;
}

bool
datapath_edge_table_lookup(struct datapath_edge *d, struct fabric_number number,
			   const struct addr *a, struct datapath_route *ret)
{
	uint32_t slot = slot_of(d, number.v);
	uint32_t r = slot && a->family == NET_V4 ? tables_find(&d->t, slot, number.v, addr_u32(a))
						 : 0;

	*ret = (struct datapath_route){ .kind = (enum dp_kind)DP_RESULT_KIND(r) };
	if (ret->kind == DP_KIND_VNET)
		ret->vnet.v = DP_RESULT_VALUE(r);
	if (ret->kind == DP_KIND_CUSTOMER) {
		const struct dp_nh *nh = &d->nhs[DP_RESULT_VALUE(r)];

		ret->via = via_of(nh, ret);
		if (nh->backup)
			ret->backup = via_of(&d->nhs[nh->backup], ret);
	}
	if (ret->kind == DP_KIND_REACH) {
		uint32_t at = DP_RESULT_VALUE(r);

		for (size_t i = 0; i < COUNT(ret->reach) && at; i++, at = d->nhs[at].backup)
			ret->reach[i] = (struct datapath_reach){ (uint16_t)d->nhs[at].node,
								 { d->nhs[at].key } };
	}
	ret->lingers = r & DP_RESULT_SOURCE && ret->kind != DP_KIND_CUSTOMER &&
		       ret->kind != DP_KIND_LINK;
	return ret->kind != DP_KIND_NONE;
}

/* --- Meters ------------------------------------------------------------------------------------ */

static void
reading_fill(const struct datapath_edge *d, uint32_t slot, struct datapath_reading *ret)
{
	const struct dp_meter_slot *s = &d->t.meters.slot[slot];

	*ret = (struct datapath_reading){
		.slot = slot,
		.incarnation = s->incarnation,
		.domain = { s->owner },
		.circuit = s->circuit,
		.direction = s->direction,
		.is_retired = s->state == DP_METER_RETIRED,
		.is_final = d->t.meters.is_final[slot],
	};
	meters_sum(&d->t.meters, slot, &ret->bytes, &ret->packets);
}

bool
datapath_edge_meter_next(struct datapath_edge *d, uint32_t *it, struct datapath_reading *ret)
{
	while (++*it < d->t.meters.n) {
		if (d->t.meters.slot[*it].state == DP_METER_FREE)
			continue;
		reading_fill(d, *it, ret);
		return true;
	}
	return false;
}

int
datapath_edge_meter_read(struct datapath_edge *d, struct fabric_number domain, int direction,
			 struct datapath_reading *ret)
{
	uint32_t slot = meters_find(&d->t.meters, domain.v, direction);

	if (!slot)
		return -ENOENT;
	reading_fill(d, slot, ret);
	return 0;
}

int
datapath_edge_meter_release(struct datapath_edge *d, uint32_t slot)
{
	return meters_release(&d->t.meters, slot);
}
