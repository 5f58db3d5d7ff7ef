/* A snapshot of the store with a plan's changes on top: every aggregate is read once, edited copies
 * lie over what was read, and commit.c writes them. Lives inside one transaction. */
#include "arm/internal.h"

#include <openssl/rand.h>

char *
guid_new(struct arena *a)
{
	uint8_t b[16];

	if (RAND_bytes(b, sizeof(b)) != 1)
		abort();
	b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
	b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
	return arena_printf(a,
			    "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
			    b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10],
			    b[11], b[12], b[13], b[14], b[15]);
}

const struct type_entry *
type_of_fold(struct arm_engine *en, const char *type_fold)
{
	return map_get_str(&en->by_fold, type_fold);
}

void
snapshot_init(struct arm_snapshot *s, struct arm_overlay *o, struct arm_engine *en,
	      struct store_tx *tx, struct arena *a, const struct arm_caller *c, struct arm_error *e,
	      int64_t now_us)
{
	*o = (struct arm_overlay){ .keep = json_array() };
	o->last = &o->first;
	o->last_change = &o->changes;
	*s = (struct arm_snapshot){
		.engine = en,
		.tx = tx,
		.arena = a,
		.caller = c,
		.error = e,
		.now_us = now_us,
		.overlay = o,
		.ctx = __atomic_load_n(&en->cfg.ctx, __ATOMIC_ACQUIRE),
		.query = "",
	};
}

void
overlay_fini(struct arm_overlay *o)
{
	for (struct entry *en = o->first; en; en = en->next) {
		json_decref(en->have.body);
		json_decref(en->have.hidden);
		json_decref(en->want.body);
		json_decref(en->want.hidden);
	}
	for (size_t i = 0; i < o->n_out; i++)
		json_decref(o->out[i].body);
	free(o->out);
	json_decref(o->keep);
	map_fini(&o->entries);
}

/* The aggregate's part of an id: up to .../providers/NS/type/name. */
char *
aggregate_fold(struct arena *a, const char *id_fold)
{
	const char *p = strstr(id_fold, "/providers/");
	unsigned slashes = 0;

	if (!p) /* a resource group, or nothing of ours */
		return arena_strdup(a, id_fold);
	for (p += strlen("/providers/"); *p; p++)
		if (*p == '/' && ++slashes == 3)
			break;
	return arena_strndup(a, id_fold, (size_t)(p - id_fold));
}

static struct entry *
entry_add(struct arm_snapshot *s, const char *fold)
{
	struct entry *en = NEW(s->arena, struct entry);

	en->fold = fold;
	*s->overlay->last = en;
	s->overlay->last = &en->next;
	map_put_str(&s->overlay->entries, fold, en);
	return en;
}

/* "/subscriptions/S/resourceGroups/G/providers/NS/type/name" -> S, G, name as spelled there. */
static void
resource_names(struct arena *a, struct arm_resource *r)
{
	struct arm_error ignore = { .arena = a };
	struct path p;

	r->sub = r->rg = r->name = "";
	if (path_parse(a, r->id, &p, &ignore) < 0 || !p.n)
		return;
	for (size_t i = 0; i + 1 < p.n; i += 2) {
		if (same(p.seg[i], "subscriptions"))
			r->sub = p.seg[i + 1];
		else if (same(p.seg[i], "resourcegroups"))
			r->rg = p.seg[i + 1];
		else if (same(p.seg[i], "providers"))
			break;
	}
	r->name = p.seg[p.n - 1];
}

static void
secrets_load(struct arm_snapshot *s, struct entry *en)
{
	const void *text;
	struct err e;
	size_t n;
	json_t *j;

	if (store_secret_get(s->tx, s->arena, en->fold, "secrets", &text, &n, &e) != 1)
		return;
	j = json_loadb(text, n, 0, NULL);
	secrets_join(en->type, en->have.body, j);
	json_decref(j);
}

static void
entry_load(struct arm_snapshot *s, struct entry *en)
{
	const struct type_entry *te = type_of_fold(s->engine, en->row.type);

	if (!te)
		return;
	en->type = te->type;
	en->exists = true;
	en->have = (struct arm_resource){
		.type = te->type,
		.id = en->row.id,
		.fold = en->row.fold,
		.tenant = en->row.tenant,
		.etag = en->row.etag,
		.rev = en->row.rev,
		.is_updating = en->row.state == STORE_UPDATING,
		.is_deleting = en->row.state == STORE_DELETING || en->row.state == STORE_GONE,
		.body = json_loads(en->row.body, 0, NULL),
		.hidden = json_loads(en->row.hidden, 0, NULL),
	};
	if (!en->have.body)
		en->have.body = json_object();
	if (!en->have.hidden)
		en->have.hidden = json_object();
	resource_names(s->arena, &en->have);
	if (te->has_secrets)
		secrets_load(s, en);
}

struct entry *
entry_get(struct arm_snapshot *s, const char *fold)
{
	struct entry *en = map_get_str(&s->overlay->entries, fold);
	struct err e;

	if (en)
		return en;
	en = entry_add(s, arena_strdup(s->arena, fold));
	if (store_resource_get(s->tx, s->arena, fold, &en->row, &e) == 1)
		entry_load(s, en);
	return en;
}

struct entry *
entry_from_row(struct arm_snapshot *s, const struct store_resource *row)
{
	struct entry *en = map_get_str(&s->overlay->entries, row->fold);

	if (en)
		return en;
	en = entry_add(s, row->fold);
	en->row = *row;
	entry_load(s, en);
	return en;
}

const struct arm_resource *
entry_now(const struct entry *en)
{
	if (en->is_removed)
		return NULL;
	if (en->is_edited)
		return &en->want;
	return en->exists && en->row.state != STORE_GONE ? &en->have : NULL;
}

void
entry_edit(struct arm_snapshot *s, struct entry *en, bool loud)
{
	if (!en->is_edited) {
		en->want = en->have;
		en->want.body = json_deep_copy(en->have.body);
		en->want.hidden = json_deep_copy(en->have.hidden);
		en->is_edited = true;
	}
	if (loud && !en->is_loud) {
		en->is_loud = true;
		en->want.etag = guid_new(s->arena);
		en->want.rev = en->have.rev + 1;
	}
}

void
entry_remove(struct entry *en)
{
	en->is_removed = true;
}

/* --- reading ------------------------------------------------------------------------------------ */

const struct arm_resource *
arm_get(struct arm_snapshot *s, const char *id)
{
	char *f = arm_id_fold(s->arena, id);

	return entry_now(entry_get(s, aggregate_fold(s->arena, f)));
}

static json_t *
element_in(const struct arm_type *t, json_t *element, char *rest)
{
	while (element && *rest) {
		char *type = rest, *name = strchr(rest, '/'), *next;
		const struct arm_type *const *c;

		if (!name)
			return NULL;
		*name++ = '\0';
		next = strchr(name, '/');
		if (next)
			*next++ = '\0';
		else
			next = name + strlen(name);
		for (c = t->children; c && *c && !same((*c)->name, type); c++)
			;
		if (!c || !*c)
			return NULL;
		t = *c;
		element = arm_child(element, type_collection(t), name);
		rest = next;
	}
	return element;
}

json_t *
arm_get_element(struct arm_snapshot *s, const char *id, const struct arm_resource **ret_r)
{
	char *f = arm_id_fold(s->arena, id), *top = aggregate_fold(s->arena, f);
	const struct arm_resource *r = entry_now(entry_get(s, top));

	if (ret_r)
		*ret_r = r;
	if (!r)
		return NULL;
	f += strlen(top);
	return element_in(r->type, r->body, arena_strdup(s->arena, *f ? f + 1 : f));
}

size_t
arm_list(struct arm_snapshot *s, const struct arm_type *t, const char *sub, const char *after,
	 size_t limit, const struct arm_resource ***ret)
{
	char *type = fold(s->arena, arena_printf(s->arena, "%s/%s", t->ns, t->name));
	struct store_filter f = {
		.sub = sub && *sub ? fold(s->arena, sub) : NULL,
		.type = type,
		.after = after,
		.limit = limit,
	};
	struct store_resource *rows;
	struct err e;
	size_t n = 0, w = 0, n_new = 0;

	for (struct entry *en = s->overlay->first; en; en = en->next)
		n_new += en->is_created && !en->is_removed && en->type == t;
	if (store_resource_list(s->tx, s->arena, &f, &rows, &n, &e) < 0)
		n = 0;
	*ret = NEW_ARRAY(s->arena, const struct arm_resource *, n + n_new + 1);
	for (size_t i = 0; i < n; i++) {
		const struct arm_resource *r = entry_now(entry_from_row(s, &rows[i]));

		if (r)
			(*ret)[w++] = r;
	}
	if (after || n == limit)
		return w;
	for (struct entry *en = s->overlay->first; en; en = en->next)
		if (en->is_created && !en->is_removed && en->type == t &&
		    (!f.sub || same(en->want.sub, f.sub)))
			(*ret)[w++] = &en->want;
	return w;
}

struct collect {
	struct arm_snapshot *s;
	const char *owner, *to, *to_below, *kind;
	struct arm_referrer *list;
	size_t n, cap;
	bool below, with_loose;
};

static void
collect_add(struct collect *c, const char *owner, const char *from, const char *to,
	    const char *kind)
{
	if (c->n == c->cap) {
		size_t cap = c->cap ? c->cap * 2 : 16;
		struct arm_referrer *p = NEW_ARRAY(c->s->arena, struct arm_referrer, cap);

		if (c->n)
			memcpy(p, c->list, c->n * sizeof(*p));
		c->list = p;
		c->cap = cap;
	}
	c->list[c->n++] = (struct arm_referrer){ owner, from, to, kind };
}

static bool
collect_wants(const struct collect *c, const char *to, const char *kind)
{
	size_t n = strlen(c->to);

	if (c->kind && strcmp(c->kind, kind))
		return false;
	return !strcmp(to, c->to) || (c->below && !strncmp(to, c->to, n) && to[n] == '/');
}

static void
collect_ref(void *arg, const struct arm_prop *p, const char *element_fold, const char *kind,
	    const char *to)
{
	struct collect *c = arg;

	if ((c->with_loose || !(p->flags & ARM_LOOSE)) && collect_wants(c, to, kind))
		collect_add(c, c->owner, element_fold, to, kind);
}

/* Loose references are stored with a '~' before their kind. */
static void
collect_stored(struct collect *c, const char *kind)
{
	struct store_ref *refs;
	struct err e;
	size_t n = 0;

	if (store_ref_to(c->s->tx, c->s->arena, c->to, c->below, kind, 1000, &refs, &n, &e) < 0)
		return;
	for (size_t i = 0; i < n; i++) {
		const struct entry *en = map_get_str(&c->s->overlay->entries, refs[i].owner);
		bool loose = refs[i].kind[0] == '~';

		if (en && (en->is_edited || en->is_removed))
			continue; /* what it holds now is looked at below */
		if (loose && !c->with_loose)
			continue;
		collect_add(c, refs[i].owner, refs[i].from, refs[i].to, refs[i].kind + loose);
	}
}

static void
collect_run(struct collect *c)
{
	collect_stored(c, c->kind);
	if (c->kind && c->with_loose)
		collect_stored(c, arena_printf(c->s->arena, "~%s", c->kind));
	for (const struct entry *en = c->s->overlay->first; en; en = en->next) {
		if (!en->is_edited || en->is_removed)
			continue;
		c->owner = en->fold;
		refs_walk(c->s->arena, en->type, en->want.body, en->fold, collect_ref, c);
	}
	for (const struct added_ref *r = c->s->overlay->added; r; r = r->next)
		if (collect_wants(c, r->ref.to, r->ref.kind))
			collect_add(c, r->ref.owner, r->ref.from, r->ref.to, r->ref.kind);
}

size_t
arm_referrers(struct arm_snapshot *s, const char *to, bool below, const char *kind,
	      struct arm_referrer **ret)
{
	struct collect c = {
		.s = s,
		.to = arm_id_fold(s->arena, to),
		.kind = kind,
		.below = below,
		.with_loose = true,
	};

	collect_run(&c);
	*ret = c.list;
	return c.n;
}

const char *
arm_claim_owner(struct arm_snapshot *s, const char *space, const char *value)
{
	const char *owner = NULL;
	struct err e;

	return store_claim_get(s->tx, s->arena, space, value, &owner, &e) == 1 ? owner : NULL;
}

bool
arm_may(struct arm_snapshot *s, const char *action, const char *scope)
{
	const struct arm_auth *auth = &s->engine->cfg.auth;

	if (!s->caller || !strcmp(s->caller->oid, "system"))
		return true;
	return auth->may(auth->ctx, s->tx, s->arena, s->caller, action,
			 arm_id_fold(s->arena, scope));
}

/* --- changing ------------------------------------------------------------------------------------ */

struct arm_resource *
arm_edit(struct arm_plan *p, const char *id)
{
	struct arm_snapshot *s = p->s;
	struct entry *en = entry_get(s, aggregate_fold(s->arena, arm_id_fold(s->arena, id)));

	if (!entry_now(en))
		return NULL;
	entry_edit(s, en, true);
	return &en->want;
}

struct arm_resource *
arm_edit_quietly(struct arm_plan *p, const char *id)
{
	struct arm_snapshot *s = p->s;
	struct entry *en = entry_get(s, aggregate_fold(s->arena, arm_id_fold(s->arena, id)));

	if (!entry_now(en))
		return NULL;
	entry_edit(s, en, false);
	return &en->want;
}

struct entry *
entry_create(struct arm_snapshot *s, const struct arm_type *t, const char *id)
{
	struct entry *en = entry_get(s, arm_id_fold(s->arena, id));
	struct store_subscription sub;

	en->type = t;
	en->is_created = en->is_edited = en->is_loud = true;
	en->is_removed = false;
	en->want = (struct arm_resource){
		.type = t,
		.id = arena_strdup(s->arena, id),
		.fold = en->fold,
		.tenant = s->caller && s->caller->tenant ? s->caller->tenant : "",
		.etag = guid_new(s->arena),
		.rev = 1,
		.body = json_object(),
		.hidden = json_object(),
	};
	resource_names(s->arena, &en->want);
	/* Whose it is says the subscription: who makes it may act for another tenant. */
	if (*en->want.sub &&
	    store_subscription_get(s->tx, s->arena, fold(s->arena, en->want.sub), &sub, NULL) == 1)
		en->want.tenant = sub.tenant;
	return en;
}

struct arm_resource *
arm_create(struct arm_plan *p, const struct arm_type *t, const char *id, const char *location)
{
	struct arm_snapshot *s = p->s;
	struct arm_resource *r = &entry_create(s, t, id)->want;

	if (location)
		arm_set(r->body, "location", json_string(location_fold(s->arena, location)));
	arm_set(r->body, "properties", json_object());
	if (!(t->flags & ARM_TENANT_LEVEL) && t != &arm_group_type) {
		const char *group = arena_printf(s->arena, "/subscriptions/%s/resourceGroups/%s",
						 r->sub, r->rg);

		if (!arm_get(s, group))
			arm_create(p, &arm_group_type, group, location ? location : "global");
	}
	return r;
}

int
arm_remove(struct arm_plan *p, const char *id)
{
	struct arm_snapshot *s = p->s;
	struct entry *en = entry_get(s, aggregate_fold(s->arena, arm_id_fold(s->arena, id)));

	if (!entry_now(en))
		return -ENOENT;
	entry_remove(en);
	return 0;
}

static const char *
claim_owner_fold(struct arm_plan *p, const char *owner)
{
	if (owner)
		return aggregate_fold(p->s->arena, arm_id_fold(p->s->arena, owner));
	return p->s->overlay->plan_fold ? p->s->overlay->plan_fold : "";
}

int
arm_claim(struct arm_plan *p, const char *owner, const char *space, const char *value,
	  const char **ret_owner)
{
	const char *f = claim_owner_fold(p, owner);
	const char *has = arm_claim_owner(p->s, space, value);
	struct err e;

	if (has && strcmp(has, f)) {
		if (ret_owner)
			*ret_owner = has;
		return -EEXIST;
	}
	return has ? 0 : store_claim_take(p->s->tx, space, value, f, &e);
}

int
arm_unclaim(struct arm_plan *p, const char *space, const char *value)
{
	struct err e;

	return store_claim_drop(p->s->tx, space, value, &e);
}

int
arm_claim_number(struct arm_plan *p, const char *owner, const char *space, uint64_t lo, uint64_t hi,
		 uint64_t *ret)
{
	struct err e;
	char value[24];
	int r = store_claim_number(p->s->tx, space, lo, hi, ret, &e);

	if (r < 0)
		return r;
	snprintf(value, sizeof(value), "%llu", (unsigned long long)*ret);
	return arm_claim(p, owner, space, value, NULL);
}

void
arm_recompile(struct arm_plan *p, const char *id)
{
	struct arm_snapshot *s = p->s;
	struct entry *en = entry_get(s, aggregate_fold(s->arena, arm_id_fold(s->arena, id)));

	en->is_recompiled = true;
}

const char *
arm_new_guid(struct arm_plan *p)
{
	return guid_new(p->s->arena);
}

void
arm_add_ref(struct arm_plan *p, const char *from, const char *to, const char *kind)
{
	struct arm_snapshot *s = p->s;
	struct added_ref *r = NEW(s->arena, struct added_ref);

	r->ref.from = from ? arm_id_fold(s->arena, from) : s->overlay->plan_fold;
	r->ref.owner = aggregate_fold(s->arena, r->ref.from);
	r->ref.to = arm_id_fold(s->arena, to);
	r->ref.kind = arena_strdup(s->arena, kind);
	r->next = s->overlay->added;
	s->overlay->added = r;
}

__attribute__((format(printf, 6, 0))) static void
block(struct arm_plan *p, const char *id, const char *method, const char *path, const char *body,
      const char *fmt, va_list ap)
{
	char why[512];

	vsnprintf(why, sizeof(why), fmt, ap);
	if (p->s->overlay->n_blockers++ < MAX_BLOCKERS)
		arm_error_block(p->s->error, "InUse", id, method, path, body, "%s First: %s %s%s%s",
				why, method, path, body ? " " : "", body ? body : "");
}

void
arm_block(struct arm_plan *p, const char *id, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	block(p, id, "DELETE", id, NULL, fmt, ap);
	va_end(ap);
}

void
arm_block_call(struct arm_plan *p, const char *id, const char *method, const char *path,
	       const char *body, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	block(p, id, method, path, body, fmt, ap);
	va_end(ap);
}

void
arm_emit(struct arm_snapshot *s, const char *node, const char *kind, const char *key, json_t *body)
{
	struct arm_overlay *o = s->overlay;

	if (o->n_out == o->cap_out) {
		o->cap_out = o->cap_out ? o->cap_out * 2 : 32;
		o->out = mem_realloc(o->out, o->cap_out * sizeof(*o->out));
	}
	o->out[o->n_out++] = (struct object_out){
		.node = arena_strdup(s->arena, node),
		.kind = arena_strdup(s->arena, kind),
		.key = arena_strdup(s->arena, key),
		.owner = o->emit_owner,
		.body = body,
	};
}

bool
arm_is_blocked(const struct arm_plan *p)
{
	return p->s->overlay->n_blockers > 0;
}

/* --- who needs it ----------------------------------------------------------------------------- */

/* The type of the element that an id below an aggregate names. */
static const struct arm_type *
element_type(struct arena *a, const struct arm_type *top, const char *top_fold, const char *fold)
{
	const char *rest = fold + strlen(top_fold);
	const struct arm_type *t = top;

	while (*rest == '/' && t) {
		const char *word = arena_strndup(a, rest + 1, strcspn(rest + 1, "/"));
		const struct arm_type *const *c = t->children;

		while (c && *c && !same((*c)->name, word))
			c++;
		t = c && *c ? *c : NULL;
		rest += 1 + strlen(word);
		rest += *rest == '/' ? 1 + strcspn(rest + 1, "/") : 0;
	}
	return t;
}

/* The element as a PUT takes it, without one of its properties. */
static const char *
body_without(struct arm_snapshot *s, const struct arm_type *t, const json_t *element,
	     const char *prop)
{
	json_t *body = json_deep_copy(element), *props = json_object_get(body, "properties");
	AUTO_FREE char *text = NULL;

	json_object_del(body, "name");
	for (const struct arm_prop *p = t->props; p && p->name; p++)
		if (p->flags & (ARM_READ_ONLY | ARM_SECRET) || p->kind == ARM_CHILDREN)
			json_object_del(props, p->name);
	for (const struct arm_type *const *c = t->children; c && *c; c++)
		json_object_del(props, type_collection(*c));
	json_object_set_new(props, prop, json_null());
	text = json_dumps(body, JSON_COMPACT);
	json_decref(body);
	return text ? arena_strdup(s->arena, text) : NULL;
}

/* What holds a reference goes by its deletion; a reference that may be absent by a PUT without it. */
static void
block_referrer(struct arm_plan *p, const struct arm_referrer *ref, const struct arm_resource *owner)
{
	struct arm_snapshot *s = p->s;
	const struct arm_resource *r;
	const json_t *element = arm_get_element(s, ref->from, &r);
	const struct arm_type *t =
		element ? element_type(s->arena, owner->type, owner->fold, ref->from) : NULL;
	const char *word = strrchr(ref->kind, '.');
	const struct arm_prop *prop = t && word ? prop_find(t->props, word + 1) : NULL;
	const char *name = element ? arm_str(element, "name", owner->name) : owner->name;
	const char *id =
		strlen(ref->from) > strlen(owner->fold)
			? arena_printf(s->arena, "%s%s", owner->id, ref->from + strlen(owner->fold))
			: owner->id;

	bool is_part = t && t->flags & ARM_NO_DELETE; /* written and deleted with its parent */

	assert(owner->type);

	if (!t || is_part)
		id = owner->id;
	if (!is_part && prop && prop->kind == ARM_REF &&
	    !(prop->flags & (ARM_REQUIRED | ARM_FIXED | ARM_READ_ONLY)))
		arm_block_call(p, id, "PUT", id, body_without(s, t, element, word + 1),
			       "%s '%s' refers to it (%s).", t->name, name, ref->kind);
	else
		arm_block(p, id, "%s '%s' refers to it (%s).", t ? t->name : owner->type->name,
			  name, ref->kind);
}

/* Does anyone else still need the element (or what is under it)? Adds one blocker each. */
int
entry_check_in_use(struct arm_plan *p, const char *id_fold, const char *owner_fold)
{
	struct collect c = { .s = p->s, .to = id_fold, .below = true };

	collect_run(&c);
	for (size_t i = 0; i < c.n; i++) {
		const struct arm_resource *r;

		if (!strcmp(c.list[i].owner, owner_fold))
			continue;
		r = arm_get(p->s, c.list[i].owner);
		if (!r || r->is_deleting)
			continue;
		block_referrer(p, &c.list[i], r);
	}
	return 0;
}
