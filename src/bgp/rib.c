/* Prefixes and paths in index-addressed pools, a hash over them, and the logs of changes. */
#include "bgp/internal.h"

/* ---- pools ---- */

static uint32_t
grown(uint32_t cap)
{
	return cap < 1024 ? MAX(8u, cap * 2) : cap + cap / 4;
}

void
index_push(uint32_t **list, uint32_t *n, uint32_t *cap, uint32_t index)
{
	if (*n == *cap) {
		*cap = grown(*cap);
		*list = mem_realloc(*list, *cap * sizeof(**list));
	}
	(*list)[(*n)++] = index;
}

static uint32_t
net_take(struct rib *r)
{
	uint32_t i = r->free_net;

	if (i) {
		r->free_net = r->nets[i].path;
	} else {
		if (r->n_nets >= r->cap_nets) {
			r->cap_nets = grown(r->cap_nets);
			r->nets = mem_realloc(r->nets, r->cap_nets * sizeof(*r->nets));
		}
		i = r->n_nets++;
	}
	r->nets[i] = (struct net){ .flags = NET_USED };
	r->used_nets++;
	return i;
}

static uint32_t
path_take(struct rib *r)
{
	uint32_t i = r->free_path;

	if (i) {
		r->free_path = r->paths[i].next;
		return i;
	}
	if (r->n_paths >= r->cap_paths) {
		r->cap_paths = grown(r->cap_paths);
		r->paths = mem_realloc(r->paths, r->cap_paths * sizeof(*r->paths));
	}
	return r->n_paths++;
}

/* ---- the hash: linear probing, deletion shifts back ---- */

static uint32_t
slot_of(const struct rib *r, uint32_t addr, uint8_t len)
{
	uint64_t h = ((uint64_t)addr << 8 | len) ^ r->s->hash_seed;

	h *= 0x9e3779b97f4a7c15u;
	h ^= h >> 32;
	return (uint32_t)h & (r->n_hash - 1);
}

static uint32_t
home(const struct rib *r, uint32_t net)
{
	return slot_of(r, r->nets[net].addr, r->nets[net].len);
}

static void
hash_put(struct rib *r, uint32_t net)
{
	uint32_t i = home(r, net);

	while (r->hash[i])
		i = (i + 1) & (r->n_hash - 1);
	r->hash[i] = net;
}

static void
hash_grow(struct rib *r)
{
	free(r->hash);
	r->n_hash = r->n_hash ? r->n_hash * 2 : 8;
	r->hash = mem_array(r->n_hash, sizeof(*r->hash));
	for (uint32_t i = 1; i < r->n_nets; i++)
		if (r->nets[i].flags & NET_USED)
			hash_put(r, i);
}

static void
hash_remove(struct rib *r, uint32_t net)
{
	uint32_t mask = r->n_hash - 1, i = home(r, net), j;

	while (r->hash[i] != net)
		i = (i + 1) & mask;
	for (j = (i + 1) & mask; r->hash[j]; j = (j + 1) & mask) {
		uint32_t h = home(r, r->hash[j]);

		/* may the entry at j move to the hole at i? not if its home lies behind i */
		if (((j - h) & mask) < ((j - i) & mask))
			continue;
		r->hash[i] = r->hash[j];
		i = j;
	}
	r->hash[i] = 0;
}

uint32_t
rib_find(const struct rib *r, uint32_t addr, uint8_t len)
{
	uint32_t i, n;

	if (!r->n_hash)
		return 0;
	for (i = slot_of(r, addr, len); (n = r->hash[i]); i = (i + 1) & (r->n_hash - 1))
		if (r->nets[n].addr == addr && r->nets[n].len == len)
			return n;
	return 0;
}

uint32_t
rib_net(struct rib *r, uint32_t addr, uint8_t len)
{
	uint32_t n = rib_find(r, addr, len);

	if (n)
		return n;
	if ((r->used_nets + 1) * 4 > r->n_hash * 3)
		hash_grow(r);
	n = net_take(r);
	r->nets[n].addr = addr;
	r->nets[n].len = len;
	hash_put(r, n);
	return n;
}

void
rib_net_release(struct rib *r, uint32_t net)
{
	struct net *n = &r->nets[net];

	if (n->path || n->flags & (NET_DIRTY | NET_LOGGED))
		return;
	hash_remove(r, net);
	*n = (struct net){ .path = r->free_net };
	r->free_net = net;
	if (!--r->used_nets && !r->table)
		rib_retire(r);
}

/* ---- paths ---- */

uint32_t
rib_path(const struct rib *r, uint32_t net, uint16_t peer, uint32_t src)
{
	uint32_t i;

	for (i = r->nets[net].path; i; i = r->paths[i].next) {
		/* an imported path is known by its RD alone: whose path it is may change */
		if (r->paths[i].src == src && (src || r->paths[i].peer == peer))
			break;
	}
	return i;
}

uint32_t
rib_path_add(struct rib *r, uint32_t net, uint16_t peer, uint32_t src, struct bgp_attr *attr)
{
	uint32_t i = path_take(r);

	bgp_attr_ref(attr);
	r->paths[i] = (struct path){ .attr = attr->index,
				     .next = r->nets[net].path,
				     .src = src,
				     .peer = peer,
				     .epoch = peer ? r->s->peer_at[peer]->epoch : 0 };
	r->nets[net].path = i;
	r->peer_mask |= 1ull << peer % 64;
	return i;
}

void
rib_path_remove(struct rib *r, uint32_t net, uint32_t path)
{
	uint32_t *link = &r->nets[net].path;

	while (*link != path)
		link = &r->paths[*link].next;
	*link = r->paths[path].next;
	bgp_attr_unref(r->s->attrs, bgp_attr_at(r->s->attrs, r->paths[path].attr));
	r->paths[path] = (struct path){ .next = r->free_path };
	r->free_path = path;
}

/* ---- a rib ---- */

struct rib *
rib_create(struct bgp_speaker *s, enum rib_kind kind, struct bgp_table *t, struct rd rd)
{
	struct rib *r = mem_alloc(sizeof(*r));

	*r = (struct rib){ .s = s, .kind = kind, .table = t, .rd = rd, .n_nets = 1, .n_paths = 1 };
	if (s->n_free_ribs) {
		r->index = s->free_ribs[--s->n_free_ribs];
	} else {
		if (s->n_ribs == s->cap_ribs) {
			s->cap_ribs = grown(s->cap_ribs);
			s->ribs = mem_realloc(s->ribs, s->cap_ribs * sizeof(*s->ribs));
		}
		r->index = s->n_ribs++;
	}
	s->ribs[r->index] = r;
	return r;
}

/* Freed by the tick, when nobody is in the middle of it. */
void
rib_retire(struct rib *r)
{
	struct bgp_speaker *s = r->s;

	if (r->used_nets || r->is_empty_queued)
		return;
	r->is_empty_queued = true;
	index_push(&s->empty_ribs, &s->n_empty_ribs, &s->cap_empty_ribs, r->index);
}

struct log *
rib_log(const struct rib *r)
{
	switch (r->kind) {
	case RIB_OUT:
		return r->table ? &r->table->out_log : NULL;
	case RIB_VPN:
		return r->s->n_clients ? &r->s->vpn_log : NULL;
	default:
		return r->rd.v ? &r->s->vpn_log : NULL;
	}
}

void
rib_destroy(struct rib *r)
{
	if (!r)
		return;
	for (uint32_t n = 1; n < r->n_nets; n++)
		while (r->nets[n].flags & NET_USED && r->nets[n].path)
			rib_path_remove(r, n, r->nets[n].path);
	r->s->ribs[r->index] = NULL;
	index_push(&r->s->free_ribs, &r->s->n_free_ribs, &r->s->cap_free_ribs, r->index);
	free(r->nets);
	free(r->paths);
	free(r->hash);
	free(r->rts);
	free(r);
}

size_t
rib_bytes(const struct rib *r)
{
	return sizeof(*r) + r->cap_nets * sizeof(*r->nets) + r->cap_paths * sizeof(*r->paths) +
	       r->n_hash * sizeof(*r->hash);
}

/* ---- logs ---- */

void
log_fini(struct log *l)
{
	free(l->e);
	*l = (struct log){ 0 };
}

static void
log_grow(struct log *l)
{
	uint32_t cap = l->cap ? l->cap * 2 : 64;
	struct log_entry *e = mem_array(cap, sizeof(*e));

	for (uint32_t q = l->begin; q != l->end; q++)
		e[q & (cap - 1)] = l->e[q & (l->cap - 1)];
	free(l->e);
	l->e = e;
	l->cap = cap;
}

void
log_append(struct bgp_speaker *s, struct log *l, struct rib *r, uint32_t net)
{
	struct net *n = &r->nets[net];

	if (!l->n_readers)
		return;
	if (l->end - l->begin == l->cap) {
		if (l->cap >= 1 << 16)
			log_compact(s, l);
		if (l->end - l->begin >= l->cap / 2)
			log_grow(l);
	}
	n->log = l->end;
	n->flags |= NET_LOGGED;
	l->e[l->end++ & (l->cap - 1)] = (struct log_entry){ r->index, net };
	if (!l->has_woken)
		export_wake(l);
}

static struct rib *
entry_rib(struct bgp_speaker *s, const struct log *l, uint32_t seq, uint32_t *ret_net)
{
	struct log_entry e = l->e[seq & (l->cap - 1)];
	struct rib *r = s->ribs[e.rib];

	if (!r || e.net >= r->n_nets || r->nets[e.net].log != seq ||
	    !(r->nets[e.net].flags & NET_LOGGED))
		return NULL; /* a later entry speaks for it */
	*ret_net = e.net;
	return r;
}

void
log_trim(struct bgp_speaker *s, struct log *l, uint32_t seq)
{
	for (; l->begin != seq; l->begin++) {
		uint32_t net;
		struct rib *r = entry_rib(s, l, l->begin, &net);

		if (!r)
			continue;
		r->nets[net].flags &= (uint8_t)~NET_LOGGED;
		rib_net_release(r, net);
	}
}

void
log_compact(struct bgp_speaker *s, struct log *l)
{
	uint32_t to = l->begin, n = l->end - l->begin;
	uint32_t *kept_before = mem_array(n + 1, sizeof(*kept_before));

	for (uint32_t q = l->begin; q != l->end; q++) {
		uint32_t net;
		struct rib *r = entry_rib(s, l, q, &net);

		kept_before[q - l->begin] = to - l->begin;
		if (!r)
			continue;
		l->e[to & (l->cap - 1)] = (struct log_entry){ r->index, net };
		r->nets[net].log = to++;
	}
	kept_before[n] = to - l->begin;
	LIST_FOR(it, l->peers)
	{
		struct bgp_peer *p = LIST_ENTRY(it, struct bgp_peer, group_node);

		if (p->ex.log)
			p->ex.at = l->begin + kept_before[p->ex.at - l->begin];
	}
	l->end = to;
	free(kept_before);
}
