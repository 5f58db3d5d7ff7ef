/* Management locks: Microsoft.Authorization/locks at a subscription, a group, a resource or a child.
 *
 * CanNotDelete refuses deletions, ReadOnly deletions, writes and POSTed actions, of the scope and of
 * everything under it. Something is also not deleted while a lock lies under it. The check is part of
 * authorise(), so that no write can forget it. */
#include "arm/internal.h"

enum { MAX_LOCKS = 20, /* of one scope */ MAX_NAME = 90 };

#define LOCK_TYPE "Microsoft.Authorization/locks"

/* --- the check ------------------------------------------------------------------------------------ */

struct found {
	const struct store_lock *list[MAX_BLOCKERS];
	size_t n;
};

static int
collect(struct ctx *c, struct store_tx *tx, const char *scope, bool below, bool deletes,
	struct found *f)
{
	struct store_lock *locks;
	size_t n = 0;
	int r = store_lock_at(tx, c->a, scope, below, MAX_BLOCKERS, &locks, &n, &c->err);

	for (size_t i = 0; i < n && r >= 0; i++)
		if ((deletes || !strcmp(locks[i].level, "ReadOnly")) && f->n < COUNT(f->list))
			f->list[f->n++] = &locks[i];
	return r;
}

/* The end of the next scope at or after at: /subscriptions/S, then /resourcegroups/G, then
 * /providers/NS/type/name, then /type/name. */
static const char *
scope_end(const char *start, const char *at)
{
	unsigned words = !strncmp(at, "/providers/", 11) ? 4 : 2;

	if (at == start && words == 2 && strncmp(at, "/subscriptions/", 15) != 0)
		return NULL;
	for (at++; words; at++) {
		if (*at && *at != '/')
			continue;
		words--;
		if (!*at)
			return words ? NULL : at;
		if (!words)
			return at;
	}
	return NULL;
}

int
lock_check(struct ctx *c, struct store_tx *tx, const char *scope, enum lock_verb verb)
{
	bool deletes = verb != LOCK_WRITE;
	struct found f = { 0 };
	const char *names = "";
	int r = 0;

	for (const char *end = scope_end(scope, scope); end && r >= 0;
	     end = *end ? scope_end(scope, end) : NULL)
		r = collect(c, tx, arena_strndup(c->a, scope, (size_t)(end - scope)),
			    !*end && verb == LOCK_DELETE, deletes, &f);
	if (r < 0 || !f.n)
		return r;
	for (size_t i = 0; i < f.n; i++) {
		names = arena_printf(c->a, "%s%s'%s'", names, i ? ", " : "", f.list[i]->id);
		arm_error_block(&c->error, "ScopeLocked", f.list[i]->id, "DELETE", f.list[i]->id,
				NULL, "The lock '%s' (%s) holds '%s'.", f.list[i]->name,
				f.list[i]->level, f.list[i]->scope);
	}
	return arm_refuse(&c->error, 409, "ScopeLocked",
			  "The scope '%s' cannot perform %s operation because following scope(s) "
			  "are locked: %s. Please remove the lock and try again.",
			  scope, deletes ? "delete" : "write", names);
}

/* --- the resource ------------------------------------------------------------------------------------ */

static json_t *
lock_json(const struct store_lock *l)
{
	json_t *props = json_loads(l->body, 0, NULL);

	if (!props)
		props = json_object();
	json_object_set_new(props, "level", json_string(l->level));
	return json_pack("{s:s, s:s, s:s, s:o}", "id", l->id, "type", LOCK_TYPE, "name", l->name,
			 "properties", props);
}

static const char *
lock_name(struct ctx *c)
{
	return c->scope->n_seg ? c->scope->seg[0] : "";
}

static int
lock_get(struct ctx *c, struct arm_snapshot *s, struct store_lock *ret)
{
	return store_lock_get(s->tx, c->a, c->scope->fold, fold(c->a, lock_name(c)), ret, &c->err);
}

static int
begin(struct ctx *c, struct arm_snapshot *s, const char *action)
{
	int r = authorise_unlocked(c, s->tx, c->scope->sub, action, c->scope->fold);

	return r < 0 ? r : scope_check(c, s);
}

static int
show_run(struct ctx *c, struct arm_snapshot *s)
{
	struct store_lock l;
	int r = begin(c, s, LOCK_TYPE "/read");

	if (r != 0)
		return r;
	r = lock_get(c, s, &l);
	if (r < 0)
		return r;
	if (r == 0)
		return arm_refuse(&c->error, 404, "LockNotFound",
				  "The lock '%s' could not be found.", lock_name(c));
	c->resp.status = 200;
	c->resp.body = lock_json(&l);
	return 0;
}

/* At the scope and under it; with atScope() at the scope only. */
static int
list_run(struct ctx *c, struct arm_snapshot *s)
{
	const char *filter = query_param(c->a, c->req->query, "$filter");
	bool at_scope = filter && same(filter, "atScope()");
	struct store_lock *locks;
	json_t *value;
	size_t n = 0;
	int r = begin(c, s, LOCK_TYPE "/read");

	if (r == 0 && filter && *filter && !at_scope)
		r = arm_refuse_at(&c->error, 400, "InvalidFilterInQueryString", "$filter",
				  "$filter: only atScope() is offered here.");
	if (r == 0)
		r = store_lock_at(s->tx, c->a, c->scope->fold, !at_scope, 1000, &locks, &n,
				  &c->err);
	if (r < 0)
		return r;
	value = json_array();
	for (size_t i = 0; i < n; i++)
		json_array_append_new(value, lock_json(&locks[i]));
	c->resp.status = 200;
	c->resp.body = json_pack("{s:o}", "value", value);
	return 0;
}

static const struct arm_prop owner_props[] = {
	{ .name = "applicationId", .kind = ARM_STRING, .max = 128 },
	{ 0 },
};
static const char *const levels[] = { "CanNotDelete", "ReadOnly", NULL };
static const struct arm_prop lock_props[] = {
	{ .name = "level", .kind = ARM_STRING, .flags = ARM_REQUIRED, .words = levels },
	{ .name = "notes", .kind = ARM_STRING, .max = 512 },
	{ .name = "owners", .kind = ARM_LIST, .item = ARM_OBJECT, .props = owner_props, .max = 20 },
	{ 0 },
};
const struct arm_type arm_lock_type = {
	.ns = "Microsoft.Authorization",
	.name = "locks",
	.props = lock_props,
};

static int
put_check(struct ctx *c, struct arm_snapshot *s, const struct store_lock *have)
{
	const char *name = lock_name(c);
	struct store_lock *locks;
	size_t n = 0;
	int r;

	if (!*name || strlen(name) > MAX_NAME || strpbrk(name, "<>%&:?\\"))
		return arm_refuse(&c->error, 400, "InvalidLockName",
				  "The lock name '%.100s' is invalid: 1 to %d characters without "
				  "<>%%&:?\\.",
				  name, MAX_NAME);
	if (!c->scope->sub)
		return arm_refuse(&c->error, 400, "InvalidScope",
				  "Locks are set on subscriptions, resource groups and resources.");
	if (!c->body)
		return arm_refuse(&c->error, 400, "InvalidRequestContent",
				  "PUT needs a JSON body.");
	if (have)
		return 0;
	r = store_lock_at(s->tx, c->a, c->scope->fold, false, MAX_LOCKS, &locks, &n, &c->err);
	if (r < 0)
		return r;
	if (n == MAX_LOCKS)
		return arm_refuse(&c->error, 409, "LockLimitReached",
				  "A scope has at most %d locks.", MAX_LOCKS);
	return 0;
}

static int
put_run(struct ctx *c, struct arm_snapshot *s)
{
	struct merge m = { c->a, &c->error, 0 };
	struct store_lock have, l;
	json_t *want, *props;
	AUTO_FREE char *text = NULL;
	int exists = 0, r = begin(c, s, LOCK_TYPE "/write");

	if (r == 0)
		r = exists = lock_get(c, s, &have);
	if (r >= 0)
		r = put_check(c, s, exists ? &have : NULL);
	if (r < 0)
		return r;
	want = merge_element(&m, &arm_lock_type, c->body, NULL, "");
	r = merge_result(&m);
	if (r < 0) {
		json_decref(want);
		return r;
	}
	props = json_object_get(want, "properties");
	l = (struct store_lock){
		.scope = c->scope->fold,
		.fold = fold(c->a, lock_name(c)),
		.name = exists ? have.name : lock_name(c),
		.level = arena_strdup(c->a, arm_str(props, "level", "")),
		.id = exists ? have.id
			     : arena_printf(c->a, "%s/providers/" LOCK_TYPE "/%s", c->scope->shown,
					    lock_name(c)),
		.created_us = exists ? have.created_us : c->now_us,
	};
	json_object_del(props, "level");
	text = json_dumps(props, JSON_COMPACT);
	json_decref(want);
	l.body = text;
	r = store_lock_put(s->tx, &l, &c->err);
	if (r == 0)
		r = event_add(c, s->tx, c->scope->sub, c->scope->rg, c->scope->fold,
			      LOCK_TYPE "/write", "Succeeded");
	c->resp.status = exists ? 200 : 201;
	c->resp.body = lock_json(&l);
	return r;
}

static int
delete_run(struct ctx *c, struct arm_snapshot *s)
{
	struct store_lock l;
	int r = begin(c, s, LOCK_TYPE "/delete");

	if (r != 0)
		return r;
	r = lock_get(c, s, &l);
	c->resp.status = 204;
	if (r <= 0)
		return r;
	c->resp.status = 200;
	r = store_lock_delete(s->tx, l.scope, l.fold, &c->err);
	return r < 0 ? r
		     : event_add(c, s->tx, c->scope->sub, c->scope->rg, c->scope->fold,
				 LOCK_TYPE "/delete", "Succeeded");
}

int
handle_locks(struct ctx *c)
{
	const struct scope *at = c->scope;

	if (at->n_seg > 1)
		return arm_refuse(&c->error, 404, "NotFound", "There is nothing at this path.");
	if (!at->n_seg && c->req->method == ARM_GET)
		return reading(c, list_run);
	if (at->n_seg && (c->req->method == ARM_GET || c->req->method == ARM_HEAD))
		return reading(c, show_run);
	if (at->n_seg && c->req->method == ARM_PUT)
		return writing(c, put_run);
	if (at->n_seg && c->req->method == ARM_DELETE)
		return writing(c, delete_run);
	return arm_refuse(&c->error, 405, "MethodNotAllowed",
			  "GET, PUT and DELETE are offered on a lock.");
}
