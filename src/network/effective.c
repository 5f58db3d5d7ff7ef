#include "network/effective.h"

#define COUNT_OF(x) (sizeof(x) / sizeof(*(x)))

static const struct prefix everything[] = { { { NET_V4, { 0 } }, 0 }, { { NET_V6, { 0 } }, 0 } };
static const struct prefix platform = { { NET_V4, { 168, 63, 129, 16 } }, 32 };
/* Dropped, unless the virtual network's own. */
static const struct prefix private_space[] = {
	{ { NET_V4, { 10 } }, 8 },
	{ { NET_V4, { 172, 16 } }, 12 },
	{ { NET_V4, { 192, 168 } }, 16 },
	{ { NET_V4, { 100, 64 } }, 10 },
};
/* Not on the Internet either. */
static const struct prefix special[] = {
	{ { NET_V4, { 0 } }, 8 },
	{ { NET_V4, { 127 } }, 8 },
	{ { NET_V4, { 169, 254 } }, 16 },
	{ { NET_V4, { 224 } }, 3 },
};

const char *
effective_hop_name(enum effective_hop h)
{
	static const char *const names[] = {
		[EFFECTIVE_VNET] = "VnetLocal",
		[EFFECTIVE_PEER] = "VNetPeering",
		[EFFECTIVE_GATEWAY] = "VirtualNetworkGateway",
		[EFFECTIVE_INTERNET] = "Internet",
		[EFFECTIVE_APPLIANCE] = "VirtualAppliance",
		[EFFECTIVE_NONE] = "None",
	};

	return names[h];
}

struct effective_route *
effective_add(struct effective_routes *l, const struct prefix *p, enum effective_source source,
	      enum effective_hop hop)
{
	if (l->n == l->cap) {
		size_t cap = l->cap ? 2 * l->cap : 64;
		struct effective_route *v = NEW_ARRAY(l->arena, struct effective_route, cap);

		if (l->n)
			memcpy(v, l->v, l->n * sizeof(*v));
		l->v = v;
		l->cap = cap;
	}
	l->v[l->n] = (struct effective_route){ .prefix = *p, .source = source, .hop = hop };
	return &l->v[l->n++];
}

void
effective_add_system(struct effective_routes *l, const struct prefix *space, size_t n)
{
	bool has[2] = { false, false };

	for (size_t i = 0; i < n; i++) {
		effective_add(l, &space[i], EFFECTIVE_SYSTEM, EFFECTIVE_VNET);
		has[space[i].addr.family == NET_V6] = true;
	}
	for (unsigned i = 0; i < 2; i++)
		if (has[i])
			effective_add(l, &everything[i], EFFECTIVE_SYSTEM, EFFECTIVE_INTERNET);
	for (size_t i = 0; has[0] && i < COUNT_OF(private_space); i++) {
		bool is_own = false;

		for (size_t k = 0; k < n; k++)
			is_own |= prefix_covers(&space[k], &private_space[i]);
		if (!is_own)
			effective_add(l, &private_space[i], EFFECTIVE_SYSTEM, EFFECTIVE_NONE);
	}
}

/* The system's own word, before anything learned. */
static bool
is_inner(const struct effective_route *r)
{
	return r->source == EFFECTIVE_SYSTEM &&
	       (r->hop == EFFECTIVE_VNET || r->hop == EFFECTIVE_PEER);
}

static int
rank(const struct effective_route *r)
{
	if (r->source == EFFECTIVE_USER)
		return 0;
	if (is_inner(r))
		return 1;
	return r->source == EFFECTIVE_LEARNED ? 2 : 3;
}

static int
by_prefix_and_rank(const void *a, const void *b)
{
	const struct effective_route *x = *(struct effective_route *const *)a;
	const struct effective_route *y = *(struct effective_route *const *)b;
	int r = prefix_compare(&x->prefix, &y->prefix);

	r = r ? r : rank(x) - rank(y);
	return r ? r : x < y ? -1 : x > y; /* the first of equals */
}

static bool
is_inside_inner(const struct effective_route *r, struct effective_route *const *inner, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (prefix_covers(&inner[i]->prefix, &r->prefix))
			return true;
	return false;
}

void
effective_choose(struct effective_routes *l)
{
	struct effective_route **order = NEW_ARRAY(l->arena, struct effective_route *, l->n + 1);
	struct effective_route **inner = NEW_ARRAY(l->arena, struct effective_route *, l->n + 1);
	size_t n_inner = 0;

	for (size_t i = 0; i < l->n; i++) {
		order[i] = &l->v[i];
		if (is_inner(order[i]))
			inner[n_inner++] = order[i];
	}
	qsort(order, l->n, sizeof(struct effective_route *), by_prefix_and_rank);
	for (size_t i = 0; i < l->n; i++) {
		bool is_first = !i || !prefix_equal(&order[i]->prefix, &order[i - 1]->prefix);

		order[i]->is_active = is_first && !(order[i]->source == EFFECTIVE_LEARNED &&
						    is_inside_inner(order[i], inner, n_inner));
	}
}

const struct effective_route *
effective_find(const struct effective_routes *l, const struct addr *a)
{
	const struct effective_route *best = NULL;

	for (size_t i = 0; i < l->n; i++)
		if (l->v[i].is_active && prefix_contains(&l->v[i].prefix, a) &&
		    (!best || l->v[i].prefix.len > best->prefix.len))
			best = &l->v[i];
	return best;
}

/* ---- tags ---- */

static int
by_prefix(const void *a, const void *b)
{
	return prefix_compare(a, b);
}

/* Sorted, shorter prefixes come before those they cover. */
static struct effective_set
set_reduce(struct prefix *v, size_t n)
{
	size_t w = 0;

	qsort(v, n, sizeof(*v), by_prefix);
	for (size_t i = 0; i < n; i++)
		if (!w || !prefix_covers(&v[w - 1], &v[i]))
			v[w++] = v[i];
	return (struct effective_set){ v, w };
}

struct effective_set
effective_virtual_network(struct arena *a, const struct effective_routes *l)
{
	struct prefix *v = NEW_ARRAY(a, struct prefix, l->n + 1);
	size_t n = 0;

	v[n++] = platform;
	for (size_t i = 0; i < l->n; i++)
		if (l->v[i].prefix.len &&
		    (l->v[i].source != EFFECTIVE_SYSTEM || is_inner(&l->v[i])))
			v[n++] = l->v[i].prefix;
	return set_reduce(v, n);
}

struct carve {
	struct arena *arena;
	const struct prefix *out;
	size_t n_out;
	struct effective_set *ret;
	size_t cap;
};

/* What is left of p without the prefixes of `out`. */
static void
carve(struct carve *c, const struct prefix *p)
{
	bool is_touched = false;

	for (size_t i = 0; i < c->n_out; i++) {
		if (prefix_covers(&c->out[i], p))
			return;
		is_touched |= prefix_covers(p, &c->out[i]);
	}
	if (is_touched) {
		struct prefix low = prefix_make(&p->addr, p->len + 1u), high = low;

		high.addr.b[p->len / 8] |= (uint8_t)(0x80 >> p->len % 8);
		carve(c, &low);
		carve(c, &high);
		return;
	}
	if (c->ret->n == c->cap) {
		size_t cap = c->cap ? 2 * c->cap : 64;
		struct prefix *v = NEW_ARRAY(c->arena, struct prefix, cap);

		if (c->ret->n)
			memcpy(v, c->ret->v, c->ret->n * sizeof(*v));
		c->ret->v = v;
		c->cap = cap;
	}
	c->ret->v[c->ret->n++] = *p;
}

struct effective_set
effective_internet(struct arena *a, const struct effective_set *inside)
{
	size_t cap = inside->n + COUNT_OF(private_space) + COUNT_OF(special), n = 0;
	struct prefix *out = NEW_ARRAY(a, struct prefix, cap);
	struct effective_set ret = { 0 };
	struct carve c = { .arena = a, .out = out, .ret = &ret };

	for (size_t i = 0; i < inside->n; i++)
		if (inside->v[i].addr.family == NET_V4)
			out[n++] = inside->v[i];
	for (size_t i = 0; i < COUNT_OF(private_space); i++)
		out[n++] = private_space[i];
	for (size_t i = 0; i < COUNT_OF(special); i++)
		out[n++] = special[i];
	c.n_out = n;
	carve(&c, &everything[0]);
	return ret;
}
