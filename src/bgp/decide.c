/* Which path is best: RFC 4271 9.1.2 with RFC 4456 9, as rounds of elimination over the candidates
 * of one prefix, because MED (compared only between paths of one neighbour AS) makes no order.
 * Ranking repeats it without the winners so far; n is one or two nearly always. */
#include "bgp/internal.h"

enum { DEFAULT_LOCAL_PREF = 100, MAX_MULTIPATH = 4 };

struct candidate {
	uint32_t path;
	const struct path *p;
	const struct bgp_attr *a;
	const struct bgp_peer *peer; /* NULL: originated */
};

static size_t
gather(const struct rib *r, uint32_t net, enum rank_scope scope, struct candidate c[BGP_PATHS_MAX])
{
	size_t n = 0;

	for (uint32_t i = r->nets[net].path; i && n < BGP_PATHS_MAX; i = r->paths[i].next) {
		const struct path *p = &r->paths[i];

		if (p->reason != BGP_REASON_NONE || (scope == RANK_OWN && p->src))
			continue;
		c[n++] = (struct candidate){ i, p, bgp_attr_at(r->s->attrs, p->attr),
					     p->peer ? r->s->peer_at[p->peer] : NULL };
	}
	return n;
}

static uint32_t
local_pref(const struct bgp_attr *a)
{
	return a->has & BGP_HAS_LOCAL_PREF ? a->local_pref : DEFAULT_LOCAL_PREF;
}

static uint32_t
neighbour_as(const struct bgp_attr *a)
{
	const uint8_t *p = bgp_attr_path(a);

	return a->path_len >= 6
		       ? (uint32_t)p[2] << 24 | (uint32_t)p[3] << 16 | (uint32_t)p[4] << 8 | p[5]
		       : 0;
}

static bool
is_external(const struct candidate *c)
{
	return c->peer && c->peer->is_external && !c->p->src;
}

/* The steps before "external over internal": what equal-cost paths agree in. < 0: x is better. */
static int
compare_cost(const struct candidate *x, const struct candidate *y)
{
	if (!x->peer != !y->peer)
		return x->peer ? 1 : -1; /* originated here */
	if (local_pref(x->a) != local_pref(y->a))
		return local_pref(x->a) > local_pref(y->a) ? -1 : 1;
	if (x->a->path_hops != y->a->path_hops)
		return x->a->path_hops < y->a->path_hops ? -1 : 1;
	return (int)x->a->origin - (int)y->a->origin;
}

static int
compare_u32(uint32_t x, uint32_t y)
{
	return x < y ? -1 : x > y;
}

static uint32_t
router_id(const struct candidate *c)
{
	if (c->a->has & BGP_HAS_ORIGINATOR)
		return c->a->originator;
	return c->peer ? c->peer->router_id : 0;
}

/* The steps after MED. */
static int
compare_tie(const struct rib *r, const struct candidate *x, const struct candidate *y)
{
	int d;

	if (is_external(x) != is_external(y))
		return is_external(x) ? -1 : 1;
	if ((d = compare_u32(router_id(x), router_id(y))))
		return d;
	if ((d = compare_u32(x->a->n_clusters, y->a->n_clusters))) /* RFC 4456 9 */
		return d;
	if (x->peer && y->peer && (d = addr_compare(&x->peer->cfg.remote, &y->peer->cfg.remote)))
		return d;
	if (x->p->src && y->p->src && x->p->src != y->p->src)
		return r->s->ribs[x->p->src]->rd.v < r->s->ribs[y->p->src]->rd.v ? -1 : 1;
	return compare_u32(x->path, y->path);
}

/* Whether some remaining candidate of the same neighbour AS, equal in cost, has a lower MED. */
static bool
loses_med(const struct candidate *c, size_t n, size_t i)
{
	for (size_t j = 0; j < n; j++)
		if (j != i && c[j].a->med < c[i].a->med &&
		    neighbour_as(c[j].a) == neighbour_as(c[i].a) && !compare_cost(&c[j], &c[i]))
			return true;
	return false;
}

/* RFC 4271 9.1.2.2. Returns the index of the winner of c[0..n), n > 0. */
static size_t
elect(const struct rib *r, const struct candidate *c, size_t n)
{
	size_t cheapest = 0, best = n;

	for (size_t i = 1; i < n; i++)
		if (compare_cost(&c[i], &c[cheapest]) < 0)
			cheapest = i;
	for (size_t i = 0; i < n; i++) {
		if (compare_cost(&c[i], &c[cheapest]) || loses_med(c, n, i))
			continue;
		if (best == n || compare_tie(r, &c[i], &c[best]) < 0)
			best = i;
	}
	return best;
}

uint32_t
rank_best(const struct rib *r, uint32_t net, enum rank_scope scope)
{
	struct candidate c[BGP_PATHS_MAX];
	size_t n = gather(r, net, scope, c);

	return n == 0 ? 0 : n == 1 ? c[0].path : c[elect(r, c, n)].path;
}

/* Equal-cost with the best one, and through another next hop than the members so far. */
static bool
is_member(const struct rib *r, const struct candidate *best, const struct candidate *c,
	  const struct ranked *out, size_t n_out)
{
	const struct bgp_table_config *cfg = r->table ? &r->table->cfg : NULL;

	if (!cfg || compare_cost(best, c) || !c->peer ||
	    (neighbour_as(best->a) == neighbour_as(c->a) && best->a->med != c->a->med) ||
	    (is_external(best) != is_external(c) && !cfg->multipath_mixed))
		return false;
	for (size_t i = 0; i < n_out; i++) {
		const struct path *o = &r->paths[out[i].path];

		if (out[i].is_multipath &&
		    addr_equal(&bgp_attr_at(r->s->attrs, o->attr)->next_hop, &c->a->next_hop))
			return false;
	}
	return true;
}

size_t
rank_paths(const struct rib *r, uint32_t net, enum rank_scope scope,
	   struct ranked out[BGP_PATHS_MAX])
{
	struct candidate c[BGP_PATHS_MAX], best = { 0 };
	size_t n = gather(r, net, scope, c), total = n, members = 0, k = 0;
	size_t width = r->table ? MIN(MAX(r->table->cfg.multipath, 1), MAX_MULTIPATH) : 1;
	struct ranked rest[BGP_PATHS_MAX];
	size_t n_rest = 0;

	for (; n; n--) {
		size_t w = n == 1 ? 0 : elect(r, c, n);

		if (!members)
			best = c[w];
		if (!members || (members < width && is_member(r, &best, &c[w], out, k))) {
			out[k++] = (struct ranked){ c[w].path, true };
			members++;
		} else {
			rest[n_rest++] = (struct ranked){ c[w].path, false };
		}
		memmove(&c[w], &c[w + 1], (n - w - 1) * sizeof(c[0]));
	}
	if (n_rest)
		memcpy(out + k, rest, n_rest * sizeof(rest[0]));
	return total;
}

bool
path_is_stale(const struct bgp_speaker *s, const struct path *p)
{
	return p->peer && p->epoch != s->peer_at[p->peer]->epoch;
}

void
path_show(const struct rib *r, uint32_t path, struct bgp_path *ret)
{
	const struct path *p = &r->paths[path];
	const struct bgp_attr *a = bgp_attr_at(r->s->attrs, p->attr);
	const struct bgp_peer *peer = p->peer ? r->s->peer_at[p->peer] : NULL;
	const struct rib *src = p->src ? r->s->ribs[p->src] : r->kind == RIB_VPN ? r : NULL;

	*ret = (struct bgp_path){
		.peer = peer,
		.attr = a,
		.next_hop = a->next_hop,
		.key = a->key,
		.rd = src ? src->rd : (struct rd){ 0 },
		.is_external = peer && peer->is_external && !p->src,
		.is_imported = p->src != 0,
		.is_stale = path_is_stale(r->s, p),
		.reason = p->reason,
	};
}
