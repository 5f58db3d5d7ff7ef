/* Who may do what where: deny, unless a role that allows the action is held at the scope or above
 * it, by the caller or by a group he is in.
 *
 * What a principal holds is compiled once and kept as long as the directory's revision stays
 * (store_directory_rev(): counts every change that could alter it), so that a decision costs one
 * small read. Only reading transactions fill the cache: what a writing one sees may be rolled back,
 * and its revision be used again for something else. */
#include "identity/role.h"

#include "base/map.h"
#include "base/mem.h"

#include <strings.h>

enum { MAX_CACHED = 2048, MAX_GRANTS = 20000 };

struct grant {
	const char *scope, *via; /* via: the principal assigned */
	const struct role_rules *rules;
	const char *role;
	bool is_mgroup;
};

struct rights {
	struct arena arena;
	int64_t rev;
	unsigned n_users; /* under the cache's lock; the cache counts as one */
	bool is_usable;
	struct grant *grants;
	size_t n;
};

/* --- compiling ------------------------------------------------------------------------------------- */

static int
grants_add(struct store_tx *tx, struct rights *r, const char *who, struct err *e)
{
	struct store_assignment *list;
	struct grant *all;
	size_t n = 0;
	int bad = store_assignment_of(tx, &r->arena, who, &list, &n, e);

	if (bad < 0 || !n || r->n + n > MAX_GRANTS)
		return bad;
	who = arena_strdup(&r->arena, who); /* kept longer than the request that brought it */
	all = NEW_ARRAY(&r->arena, struct grant, r->n + n);
	if (r->n)
		memcpy(all, r->grants, r->n * sizeof(*all));
	for (size_t i = 0; i < n; i++) {
		struct role role;

		bad = role_get(tx, &r->arena, list[i].role, &role, e);
		if (bad < 0)
			return bad;
		if (bad == 1)
			all[r->n++] = (struct grant){
				.scope = list[i].scope,
				.via = who,
				.rules = role.rules,
				.role = list[i].role,
				.is_mgroup = !strncmp(list[i].scope, MGROUP_PREFIX,
						      strlen(MGROUP_PREFIX)),
			};
	}
	r->grants = all;
	return 0;
}

static int
compile(struct store_tx *tx, const char *oid, struct rights *r, struct err *e)
{
	struct store_principal p;
	struct store_tenant t;
	const char **groups;
	size_t n = 0;
	int bad = store_principal_get(tx, &r->arena, oid, &p, e);

	if (bad <= 0)
		return bad;
	bad = store_tenant_get(tx, &r->arena, p.tenant, &t, e);
	if (bad < 0)
		return bad;
	r->is_usable = !p.is_disabled && !(bad == 1 && t.is_disabled);
	bad = r->is_usable ? store_group_of(tx, &r->arena, oid, true, &groups, &n, e) : 0;
	if (bad == 0 && r->is_usable)
		bad = grants_add(tx, r, oid, e);
	for (size_t i = 0; i < n && bad == 0; i++)
		bad = grants_add(tx, r, groups[i], e);
	return bad;
}

/* --- keeping --------------------------------------------------------------------------------------- */

struct rights_cache {
	pthread_mutex_t lock;
	struct map by_oid; /* -> struct rights * */
};

struct rights_cache *
rights_cache_create(void)
{
	struct rights_cache *c = mem_alloc(sizeof(*c));

	pthread_mutex_init(&c->lock, NULL);
	return c;
}

static void
rights_unref(struct rights *r)
{
	if (--r->n_users)
		return;
	arena_reset(&r->arena);
	free(r);
}

static void
cache_empty(struct rights_cache *c)
{
	struct map_iter it = { 0 };

	while (map_next(&c->by_oid, &it))
		rights_unref(it.value);
	map_fini(&c->by_oid);
	c->by_oid = (struct map){ 0 };
}

void
rights_cache_destroy(struct rights_cache *c)
{
	if (!c)
		return;
	cache_empty(c);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

static void
cache_keep(struct rights_cache *c, const char *oid, struct rights *r)
{
	struct rights *old;

	pthread_mutex_lock(&c->lock);
	if (c->by_oid.n >= MAX_CACHED)
		cache_empty(c);
	old = map_put_str(&c->by_oid, oid, r);
	if (old)
		rights_unref(old);
	r->n_users++;
	pthread_mutex_unlock(&c->lock);
}

/* The caller's, to be let go by rights_put(). NULL: the store failed; then nobody may anything. */
static struct rights *
rights_take(struct identity *id, struct store_tx *tx, const char *oid)
{
	struct rights *r;
	int64_t rev;

	if (store_directory_rev(tx, &rev, NULL) < 0)
		return NULL;
	pthread_mutex_lock(&id->rights->lock);
	r = map_get_str(&id->rights->by_oid, oid);
	if (r && r->rev == rev)
		r->n_users++;
	else
		r = NULL;
	pthread_mutex_unlock(&id->rights->lock);
	if (r)
		return r;
	r = mem_alloc(sizeof(*r));
	*r = (struct rights){ .rev = rev, .n_users = 1 };
	if (compile(tx, oid, r, NULL) < 0) {
		rights_unref(r);
		return NULL;
	}
	if (!store_is_writing(tx))
		cache_keep(id->rights, oid, r);
	return r;
}

static void
rights_put(struct identity *id, struct rights *r)
{
	pthread_mutex_lock(&id->rights->lock);
	rights_unref(r);
	pthread_mutex_unlock(&id->rights->lock);
}

/* --- deciding -------------------------------------------------------------------------------------- */

/* The management groups above a scope, read when the first grant at one asks. */
struct chain {
	struct store_tx *tx;
	struct arena *a;
	const char *target;
	const char **above;
	size_t n;
	bool is_read;
};

static bool
covers(struct chain *c, const struct grant *g)
{
	if (scope_covers(g->scope, c->target))
		return true;
	if (!g->is_mgroup)
		return false;
	if (!c->is_read && scope_above(c->tx, c->a, c->target, &c->above, &c->n, NULL) < 0)
		c->n = 0;
	c->is_read = true;
	for (size_t i = 0; i < c->n; i++)
		if (!strcmp(c->above[i], g->scope))
			return true;
	return false;
}

bool
rbac_may(void *ctx, struct store_tx *tx, struct arena *a, const struct arm_caller *c,
	 const char *action, const char *scope)
{
	struct chain chain = { .tx = tx, .a = a, .target = scope };
	struct rights *r = rights_take(ctx, tx, c->oid);
	bool may = false;

	if (!r)
		return false;
	for (size_t i = 0; i < r->n && !may; i++)
		may = role_allows(r->grants[i].rules, action) && covers(&chain, &r->grants[i]);
	rights_put(ctx, r);
	return may;
}

bool
rbac_sees(void *ctx, struct store_tx *tx, struct arena *a, const struct arm_caller *c,
	  const char *sub)
{
	const char *scope = arena_printf(a, "/subscriptions/%s", sub);
	struct chain chain = { .tx = tx, .a = a, .target = scope };
	struct rights *r = rights_take(ctx, tx, c->oid);
	bool sees = false;

	if (!r)
		return false;
	for (size_t i = 0; i < r->n && !sees; i++)
		sees = covers(&chain, &r->grants[i]) || scope_covers(scope, r->grants[i].scope);
	rights_put(ctx, r);
	return sees;
}

const char *
rbac_through(void *ctx, struct store_tx *tx, struct arena *a, const struct arm_caller *c,
	     const char *sub)
{
	const char *scope = arena_printf(a, "/subscriptions/%s", sub), *via = NULL;
	struct chain chain = { .tx = tx, .a = a, .target = scope };
	struct rights *r = rights_take(ctx, tx, c->oid);

	if (!r)
		return NULL;
	for (size_t i = 0; i < r->n && !via; i++)
		if (covers(&chain, &r->grants[i]) || scope_covers(scope, r->grants[i].scope))
			via = arena_strdup(a, r->grants[i].via);
	rights_put(ctx, r);
	return via;
}

/* --- which subscriptions ----------------------------------------------------------------------------- */

static int
by_id(const void *a, const void *b)
{
	return strcmp(((const struct store_subscription *)a)->id,
		      ((const struct store_subscription *)b)->id);
}

enum {
	MAX_TREE = 16,
	MAX_BELOW = 5000
}; /* of management groups; of one, subscriptions or groups */

struct foreign {
	struct store_tx *tx;
	struct arena *a;
	const char *tenant, *after; /* the caller's; NULL: from the first */
	struct store_subscription *p;
	size_t n, cap;
};

static void
foreign_add(struct foreign *f, const struct store_subscription *s)
{
	struct store_subscription *more;

	if (!strcmp(s->tenant, f->tenant) || (f->after && strcmp(s->id, f->after) <= 0))
		return;
	if (f->n == f->cap) {
		f->cap = f->cap ? f->cap * 2 : 16;
		more = NEW_ARRAY(f->a, struct store_subscription, f->cap);
		if (f->n)
			memcpy(more, f->p, f->n * sizeof(*more));
		f->p = more;
	}
	f->p[f->n++] = *s;
}

static void
foreign_below(struct foreign *f, const char *group, unsigned depth)
{
	struct store_subscription *subs;
	struct store_mgroup *groups;
	size_t n = 0, k = 0;

	if (depth >= MAX_TREE ||
	    store_mgroup_subscriptions(f->tx, f->a, group, MAX_BELOW, &subs, &n, NULL) < 0 ||
	    store_mgroup_children(f->tx, f->a, group, MAX_BELOW, &groups, &k, NULL) < 0)
		return;
	for (size_t i = 0; i < n; i++)
		foreign_add(f, &subs[i]);
	for (size_t i = 0; i < k; i++)
		foreign_below(f, groups[i].name, depth + 1);
}

static void
foreign_of_grant(struct foreign *f, const struct grant *g)
{
	const char *sub = scope_subscription(f->a, g->scope);
	struct store_subscription s;
	struct store_mgroup group;

	if (sub && store_subscription_get(f->tx, f->a, sub, &s, NULL) == 1)
		foreign_add(f, &s);
	if (g->is_mgroup &&
	    store_mgroup_get(f->tx, f->a, last_segment(g->scope), &group, NULL) == 1 &&
	    strcmp(group.tenant, f->tenant) != 0)
		foreign_below(f, group.name, 0);
}

/* Those of other tenants in which, or in a management group above which, something was assigned to
 * the caller: few, and named. */
static size_t
foreign(struct store_tx *tx, struct arena *a, const struct rights *r, const struct arm_caller *c,
	const char *after, struct store_subscription **ret)
{
	struct foreign f = { .tx = tx, .a = a, .tenant = c->tenant, .after = after };
	size_t k = 0;

	for (size_t i = 0; i < r->n; i++)
		foreign_of_grant(&f, &r->grants[i]);
	if (f.n)
		qsort(f.p, f.n, sizeof(*f.p), by_id);
	for (size_t i = 0; i < f.n; i++)
		if (!k || strcmp(f.p[k - 1].id, f.p[i].id) != 0)
			f.p[k++] = f.p[i];
	*ret = f.p;
	return k;
}

static bool
sees_any(struct chain *chain, const struct rights *r)
{
	for (size_t i = 0; i < r->n; i++)
		if (covers(chain, &r->grants[i]) || scope_covers(chain->target, r->grants[i].scope))
			return true;
	return false;
}

int
rbac_subscriptions(void *ctx, struct store_tx *tx, struct arena *a, const struct arm_caller *c,
		   const char *after, size_t limit, struct store_subscription **ret, size_t *ret_n,
		   struct err *e)
{
	struct store_subscription *own, *others,
		*out = NEW_ARRAY(a, struct store_subscription, limit);
	struct rights *r = rights_take(ctx, tx, c->oid);
	size_t n_others, k = 0, n = 0, got;
	int bad = 0;

	if (!r)
		return err_set(e, -EAGAIN, "the directory cannot be read");
	n_others = foreign(tx, a, r, c, after, &others);
	do {
		got = 0;
		bad = store_subscription_list(tx, a, c->tenant, after, 200, &own, &got, e);
		for (size_t i = 0; i < got && n < limit && bad == 0; i++) {
			struct chain chain = { .tx = tx,
					       .a = a,
					       .target = arena_printf(a, "/subscriptions/%s",
								      own[i].id) };

			after = own[i].id;
			while (k < n_others && n < limit && strcmp(others[k].id, after) < 0)
				out[n++] = others[k++];
			if (n < limit && sees_any(&chain, r))
				out[n++] = own[i];
		}
	} while (got == 200 && n < limit && bad == 0);
	while (k < n_others && n < limit && bad == 0)
		out[n++] = others[k++];
	rights_put(ctx, r);
	*ret = out;
	*ret_n = n;
	return bad;
}

/* --- what one may, as asked at a scope ------------------------------------------------------------------- */

static json_t *
words_json(const char *const *w)
{
	json_t *j = json_array();

	for (; *w; w++)
		json_array_append_new(j, json_string(*w));
	return j;
}

int
rbac_permissions(struct identity *id, struct arm_extension_call *x)
{
	struct chain chain = { .tx = x->s->tx, .a = x->s->arena, .target = x->scope };
	struct rights *r = rights_take(id, x->s->tx, x->s->caller->oid);
	json_t *value = json_array();

	for (size_t i = 0; r && i < r->n; i++)
		for (const struct role_rules *u = r->grants[i].rules;
		     covers(&chain, &r->grants[i]) && u->actions; u++)
			json_array_append_new(value, json_pack("{s:o, s:o, s:[], s:[]}", "actions",
							       words_json(u->actions), "notActions",
							       words_json(u->not_actions),
							       "dataActions", "notDataActions"));
	if (r)
		rights_put(id, r);
	x->result = json_pack("{s:o}", "value", value);
	return 0;
}
