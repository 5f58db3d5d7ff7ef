/* The attribute pool: a hash of immutable values, each with a count of its users. Entries are
 * addressed by a 32-bit index so that a route costs four bytes for all its attributes. */
#include "bgp/attr.h"
#include "base/mem.h"

enum { NONE = 0 };

struct bgp_attrs {
	struct bgp_attr *
		*at; /* by index; 0 is unused; a free slot holds the next free index << 1 | 1 */
	uint32_t n, cap, free;
	uint32_t *buckets;
	uint32_t n_buckets; /* power of two */
	size_t n_live;
	struct bgp_attr *scratch;
	size_t scratch_size;
};

struct bgp_attrs *
bgp_attrs_create(void)
{
	struct bgp_attrs *p = mem_alloc(sizeof(*p));

	p->n = 1;
	p->cap = 64;
	p->at = mem_array(p->cap, sizeof(*p->at));
	p->n_buckets = 64;
	p->buckets = mem_array(p->n_buckets, sizeof(*p->buckets));
	return p;
}

static bool
is_live(const struct bgp_attrs *p, uint32_t i)
{
	return !((uintptr_t)p->at[i] & 1);
}

void
bgp_attrs_destroy(struct bgp_attrs *p)
{
	if (!p)
		return;
	for (uint32_t i = 1; i < p->n; i++)
		if (is_live(p, i))
			free(p->at[i]);
	free(p->at);
	free(p->buckets);
	free(p->scratch);
	free(p);
}

size_t
bgp_attrs_count(const struct bgp_attrs *p)
{
	return p->n_live;
}

struct bgp_attr *
bgp_attr_at(struct bgp_attrs *p, uint32_t index)
{
	assert(index && index < p->n && is_live(p, index));
	return p->at[index];
}

enum { IDENTITY = offsetof(struct bgp_attr, med) };

static size_t
identity_size(const struct bgp_attr *a)
{
	return offsetof(struct bgp_attr, tail) - IDENTITY + a->n_ext * 8u + a->n_communities * 4u +
	       a->n_clusters * 4u + a->n_large * 12u + a->path_len + a->other_len;
}

static void
put(uint8_t **w, const void *p, size_t n)
{
	if (n)
		memcpy(*w, p, n);
	*w += n;
}

/* The value of d in the pool's form, in scratch. Every byte of the identity is set: it is compared
 * and hashed as bytes, padding included. */
static struct bgp_attr *
assemble(struct bgp_attrs *p, const struct bgp_draft *d)
{
	size_t tail = d->n_ext * 8 + d->n_communities * 4 + d->n_clusters * 4 + d->n_large * 12 +
		      d->path_len + d->other_len;
	size_t need = sizeof(struct bgp_attr) + tail;
	struct bgp_attr *a;
	uint8_t *w;

	assert(d->path_len <= UINT16_MAX && d->other_len <= UINT16_MAX);
	if (need > p->scratch_size) {
		p->scratch_size = need * 2;
		p->scratch = mem_realloc(p->scratch, p->scratch_size);
	}
	a = p->scratch;
	memset(a, 0, sizeof(*a));
	a->has = d->has;
	a->origin = d->origin;
	a->med = d->has & BGP_HAS_MED ? d->med : 0;
	a->local_pref = d->has & BGP_HAS_LOCAL_PREF ? d->local_pref : 0;
	a->originator = d->has & BGP_HAS_ORIGINATOR ? d->originator : 0;
	if (d->has & BGP_HAS_AGGREGATOR) {
		a->aggregator_as = d->aggregator_as;
		a->aggregator_id = d->aggregator_id;
	}
	if (d->has & BGP_HAS_KEY)
		a->key = d->key;
	a->next_hop.family = d->next_hop.family;
	memcpy(a->next_hop.b, d->next_hop.b, sizeof(a->next_hop.b));
	a->n_ext = (uint16_t)d->n_ext;
	a->n_communities = (uint16_t)d->n_communities;
	a->n_clusters = (uint16_t)d->n_clusters;
	a->n_large = (uint16_t)d->n_large;
	a->path_len = (uint16_t)d->path_len;
	a->other_len = (uint16_t)d->other_len;
	a->path_hops = (uint16_t)bgp_path_hops(d->path, d->path_len);
	w = a->tail;
	put(&w, d->ext, d->n_ext * 8);
	put(&w, d->communities, d->n_communities * 4);
	put(&w, d->clusters, d->n_clusters * 4);
	put(&w, d->large, d->n_large * 12);
	put(&w, d->path, d->path_len);
	put(&w, d->other, d->other_len);
	return a;
}

/* Eight bytes a step, multiply and fold: attribute sets are a hundred bytes and there is one an
 * UPDATE, so the mixing of base/map is not wanted here. Chains are compared in full; a customer
 * who makes collisions slows only lookups of the sets in his chain, and the limit of prefixes caps
 * how many sets he can hold. */
static uint32_t
hash_bytes(const uint8_t *p, size_t n)
{
	uint64_t h = n * 0x9e3779b97f4a7c15u;

	for (; n >= 8; p += 8, n -= 8) {
		uint64_t v;

		memcpy(&v, p, 8);
		h = (h ^ v) * 0xff51afd7ed558ccdu;
		h ^= h >> 32;
	}
	if (n) {
		uint64_t v = 0;

		memcpy(&v, p, n);
		h = (h ^ v) * 0xff51afd7ed558ccdu;
		h ^= h >> 32;
	}
	return (uint32_t)(h ^ h >> 29);
}

static void
grow_buckets(struct bgp_attrs *p)
{
	uint32_t n = p->n_buckets * 2;

	free(p->buckets);
	p->buckets = mem_array(n, sizeof(*p->buckets));
	p->n_buckets = n;
	for (uint32_t i = 1; i < p->n; i++) {
		if (!is_live(p, i))
			continue;
		p->at[i]->chain = p->buckets[p->at[i]->hash & (n - 1)];
		p->buckets[p->at[i]->hash & (n - 1)] = i;
	}
}

static uint32_t
take_index(struct bgp_attrs *p)
{
	uint32_t i = p->free;

	if (i != NONE) {
		p->free = (uint32_t)((uintptr_t)p->at[i] >> 1);
		return i;
	}
	if (p->n == p->cap) {
		p->cap += p->cap / 2;
		p->at = mem_realloc(p->at, p->cap * sizeof(*p->at));
	}
	return p->n++;
}

struct bgp_attr *
bgp_attr_intern(struct bgp_attrs *p, const struct bgp_draft *d)
{
	struct bgp_attr *a = assemble(p, d), *found;
	size_t size = identity_size(a);
	uint32_t hash = hash_bytes((const uint8_t *)a + IDENTITY, size);

	for (uint32_t i = p->buckets[hash & (p->n_buckets - 1)]; i != NONE; i = found->chain) {
		found = p->at[i];
		if (found->hash == hash && identity_size(found) == size &&
		    !memcmp((uint8_t *)found + IDENTITY, (uint8_t *)a + IDENTITY, size))
			return bgp_attr_ref(found);
	}
	if (p->n_live >= p->n_buckets)
		grow_buckets(p);
	found = mem_alloc(IDENTITY + size);
	memcpy((uint8_t *)found + IDENTITY, (uint8_t *)a + IDENTITY, size);
	found->hash = hash;
	found->refs = 1;
	found->index = take_index(p);
	p->at[found->index] = found;
	found->chain = p->buckets[hash & (p->n_buckets - 1)];
	p->buckets[hash & (p->n_buckets - 1)] = found->index;
	p->n_live++;
	return found;
}

void
bgp_attr_unref(struct bgp_attrs *p, struct bgp_attr *a)
{
	uint32_t *link;

	if (!a || --a->refs)
		return;
	link = &p->buckets[a->hash & (p->n_buckets - 1)];
	while (*link != a->index)
		link = &p->at[*link]->chain;
	*link = a->chain;
	p->at[a->index] = (struct bgp_attr *)((uintptr_t)p->free << 1 | 1);
	p->free = a->index;
	p->n_live--;
	free(a);
}

void
bgp_attr_to_draft(const struct bgp_attr *a, struct bgp_draft *ret)
{
	*ret = (struct bgp_draft){
		.has = a->has,
		.origin = a->origin,
		.next_hop = a->next_hop,
		.med = a->med,
		.local_pref = a->local_pref,
		.originator = a->originator,
		.aggregator_as = a->aggregator_as,
		.aggregator_id = a->aggregator_id,
		.key = a->key,
		.path = bgp_attr_path(a),
		.path_len = a->path_len,
		.communities = bgp_attr_communities(a),
		.n_communities = a->n_communities,
		.ext = bgp_attr_ext(a),
		.n_ext = a->n_ext,
		.large = bgp_attr_large(a),
		.n_large = a->n_large,
		.clusters = bgp_attr_clusters(a),
		.n_clusters = a->n_clusters,
		.other = bgp_attr_other(a),
		.other_len = a->other_len,
	};
}

static uint32_t
be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

struct ext_community
bgp_attr_ext_at(const struct bgp_attr *a, unsigned n)
{
	const uint8_t *p = bgp_attr_ext(a) + n * 8;

	return (struct ext_community){ (uint64_t)be32(p) << 32 | be32(p + 4) };
}

bool
bgp_attr_has_rt(const struct bgp_attr *a, struct ext_community rt)
{
	for (unsigned i = 0; i < a->n_ext; i++)
		if (bgp_attr_ext_at(a, i).v == rt.v)
			return true;
	return false;
}

enum { AS_SET = 1 };

/* The path is well formed: the parser saw to it, or we built it. */
bool
bgp_path_next(const uint8_t *path, size_t len, size_t *at, struct asn *ret)
{
	size_t seg = 0;

	while (seg < len) {
		size_t end = seg + 2 + 4u * path[seg + 1];

		if (*at < seg + 2)
			*at = seg + 2;
		if (*at + 4 <= end && end <= len) {
			ret->v = be32(path + *at);
			*at += 4;
			return true;
		}
		seg = end;
	}
	return false;
}

unsigned
bgp_path_hops(const uint8_t *path, size_t len)
{
	unsigned hops = 0;

	for (size_t seg = 0; seg < len; seg += 2 + 4u * path[seg + 1])
		hops += path[seg] == AS_SET ? 1 : path[seg + 1];
	return hops;
}

const char *
bgp_path_format(const struct bgp_attr *a, char *out, size_t size)
{
	const uint8_t *path = bgp_attr_path(a);
	size_t n = 0;

	if (!size)
		return out;
	out[0] = 0;
	for (size_t seg = 0; seg < a->path_len; seg += 2 + 4u * path[seg + 1]) {
		bool set = path[seg] == AS_SET;

		for (unsigned i = 0; i < path[seg + 1]; i++) {
			int k = snprintf(out + n, size - n, "%s%s%u%s", n ? " " : "",
					 set && !i ? "{" : "", be32(path + seg + 2 + 4 * i),
					 set && i + 1u == path[seg + 1] ? "}" : "");

			if (k < 0 || (size_t)k >= size - n) {
				if (size >= 4)
					memcpy(out + MIN(n, size - 4), "...", 4);
				return out;
			}
			n += (size_t)k;
		}
	}
	return out;
}

const char *
bgp_origin_text(unsigned origin)
{
	static const char *const text[] = { "IGP", "EGP", "incomplete" };

	return origin < COUNT(text) ? text[origin] : "?";
}
