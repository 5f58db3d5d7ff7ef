/* Microsoft.Management: the tree of management groups and the subscriptions below them; and
 * Microsoft.Subscription: new subscriptions by alias, and their names.
 *
 * Each tenant has a root group with the tenant's id as its name. Whoever may do something at a group
 * may do it at all below. Groups are seen and made within the caller's own tenant only, but a group's
 * name is unique over all tenants, since a scope names no tenant. */
#include "identity/directory.h"
#include "identity/role.h"

#include "base/mono.h"

#include <strings.h>

enum { MAX_DEPTH = 6, MAX_CHILDREN = 1000, MAX_NAME = 90 };

#define READ "Microsoft.Management/managementGroups/read"
#define WRITE "Microsoft.Management/managementGroups/write"
#define DELETE "Microsoft.Management/managementGroups/delete"

static const char *
group_scope(struct arena *a, const char *name)
{
	return arena_printf(a, MGROUP_PREFIX "%s", name);
}

static const char *
group_id(struct arena *a, const char *name)
{
	return arena_printf(a, "/providers/Microsoft.Management/managementGroups/%s", name);
}

static int
need(struct arm_extension_call *x, const char *action, const char *scope)
{
	return arm_may(x->s, action, scope) ? 0 : arm_deny(x->s, action, scope);
}

static int
method_wrong(struct arm_extension_call *x)
{
	return arm_refuse(x->s->error, 405, "MethodNotAllowed", "This cannot be done here.");
}

/* 1: found, and of the caller's tenant. */
static int
group_get(struct arm_extension_call *x, const char *name, struct store_mgroup *ret)
{
	const char *fold = arm_id_fold(x->s->arena, name) + 1;
	int r = store_mgroup_get(x->s->tx, x->s->arena, fold, ret, NULL);

	return r == 1 && strcmp(ret->tenant, x->s->caller->tenant) != 0 ? 0 : r;
}

static int
group_missing(struct arm_extension_call *x, const char *name)
{
	return arm_refuse(x->s->error, 404, "NotFound",
			  "The management group '%.100s' could not be found.", name);
}

/* "/providers/Microsoft.Management/managementGroups/NAME" or NAME; NULL if neither. */
static const char *
name_in_id(struct arena *a, const char *id)
{
	const char *fold = arm_id_fold(a, id);

	if (!strncmp(fold, MGROUP_PREFIX, strlen(MGROUP_PREFIX)))
		fold += strlen(MGROUP_PREFIX);
	else
		fold++;
	return *fold && !strchr(fold, '/') ? fold : NULL;
}

/* --- shown -------------------------------------------------------------------------------------- */

static json_t *
group_short(struct arena *a, const struct store_mgroup *g)
{
	return json_pack("{s:s, s:s, s:s, s:{s:s, s:s}}", "id", group_id(a, g->id), "type",
			 "Microsoft.Management/managementGroups", "name", g->id, "properties",
			 "tenantId", g->tenant, "displayName", g->shown);
}

static json_t *children_json(struct arm_extension_call *x, const struct store_mgroup *g,
			     bool recurses, unsigned depth);

static json_t *
child_json(struct arm_extension_call *x, const struct store_mgroup *g, bool recurses,
	   unsigned depth)
{
	json_t *j = json_pack("{s:s, s:s, s:s, s:s}", "id", group_id(x->s->arena, g->id), "type",
			      "Microsoft.Management/managementGroups", "name", g->id, "displayName",
			      g->shown);

	if (recurses && depth < MAX_DEPTH)
		json_object_set_new(j, "children", children_json(x, g, true, depth + 1));
	return j;
}

static json_t *
children_json(struct arm_extension_call *x, const struct store_mgroup *g, bool recurses,
	      unsigned depth)
{
	struct arena *a = x->s->arena;
	struct store_mgroup *groups;
	struct store_subscription *subs;
	json_t *out = json_array();
	size_t n = 0, k = 0;

	if (store_mgroup_children(x->s->tx, a, g->name, MAX_CHILDREN, &groups, &n, NULL) < 0 ||
	    store_mgroup_subscriptions(x->s->tx, a, g->name, MAX_CHILDREN, &subs, &k, NULL) < 0)
		return out;
	for (size_t i = 0; i < n; i++)
		json_array_append_new(out, child_json(x, &groups[i], recurses, depth));
	for (size_t i = 0; i < k; i++)
		json_array_append_new(out,
				      json_pack("{s:s, s:s, s:s, s:s}", "id",
						arena_printf(a, "/subscriptions/%s", subs[i].id),
						"type", "/subscriptions", "name", subs[i].id,
						"displayName", subs[i].name));
	return out;
}

static json_t *
group_json(struct arm_extension_call *x, const struct store_mgroup *g)
{
	struct arena *a = x->s->arena;
	json_t *j = group_short(a, g), *details;
	struct store_mgroup up;
	char changed[32];

	details = json_pack("{s:i, s:s}", "version", 1, "updatedTime",
			    utc_format(g->changed_us, changed));
	if (*g->parent && store_mgroup_get(x->s->tx, a, g->parent, &up, NULL) == 1)
		json_object_set_new(details, "parent",
				    json_pack("{s:s, s:s, s:s}", "id", group_id(a, up.id), "name",
					      up.id, "displayName", up.shown));
	json_object_set_new(json_object_get(j, "properties"), "details", details);
	return j;
}

/* --- changing ----------------------------------------------------------------------------------- */

static bool
name_is_valid(const char *name)
{
	size_t n = strlen(name);

	return n && n <= MAX_NAME && name[n - 1] != '.' &&
	       !name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				  "-_().")];
}

/* How far below its root, the root itself being 0. */
static size_t
depth_of(struct arm_extension_call *x, const char *name)
{
	const char **chain;
	size_t n = 1;

	store_mgroup_chain(x->s->tx, x->s->arena, NULL, name, &chain, &n, NULL);
	return n ? n - 1 : 0;
}

/* The levels below a group. */
static size_t
height_of(struct arm_extension_call *x, const char *name, unsigned depth)
{
	struct store_mgroup *all;
	size_t n = 0, most = 0;

	if (depth > MAX_DEPTH ||
	    store_mgroup_children(x->s->tx, x->s->arena, name, MAX_CHILDREN, &all, &n, NULL) < 0)
		return 0;
	for (size_t i = 0; i < n; i++) {
		size_t h = 1 + height_of(x, all[i].name, depth + 1);

		most = h > most ? h : most;
	}
	return most;
}

/* Where the group is to hang: a group of the tenant that is not below it. */
static int
parent_check(struct arm_extension_call *x, const char *name, const char *given, bool is_new,
	     const char **ret)
{
	struct arena *a = x->s->arena;
	const char *up = name_in_id(a, given), **chain;
	struct store_mgroup g;
	size_t n = 0;
	int r = up ? group_get(x, up, &g) : 0;

	if (r < 0)
		return r;
	if (r == 0)
		return arm_refuse_at(x->s->error, 404, "NotFound", "properties.details.parent.id",
				     "The parent management group '%.200s' could not be found.",
				     given);
	r = need(x, WRITE, group_scope(a, g.name));
	if (r == 0)
		r = store_mgroup_chain(x->s->tx, a, NULL, g.name, &chain, &n, NULL);
	for (size_t i = 0; i < n && r == 0; i++)
		if (!strcmp(chain[i], name))
			return arm_refuse_at(x->s->error, 400, "BadRequest",
					     "properties.details.parent.id",
					     "'%s' is below '%s' or is it itself.", g.id, name);
	if (r == 0 && depth_of(x, g.name) + 1 + (is_new ? 0 : height_of(x, name, 0)) > MAX_DEPTH)
		return arm_refuse_at(x->s->error, 400, "BadRequest", "properties.details.parent.id",
				     "A tree of management groups has at most %d levels below its "
				     "root.",
				     MAX_DEPTH);
	*ret = g.name;
	return r;
}

/* PUT and PATCH say the parent in different places. */
static const char *
parent_given(const struct arm_extension_call *x)
{
	const char *id = arm_str(x->body, "properties.details.parent.id", NULL);

	return id ? id : arm_str(x->body, "parentGroupId", NULL);
}

static int
group_put(struct arm_extension_call *x, const char *name)
{
	struct arena *a = x->s->arena;
	const char *fold = arm_id_fold(a, name) + 1, *parent = parent_given(x);
	const char *shown =
		arm_str(x->body, "properties.displayName", arm_str(x->body, "displayName", NULL));
	struct store_mgroup g;
	int is_there = store_mgroup_get(x->s->tx, a, fold, &g, NULL), r = 0;

	if (is_there < 0)
		return is_there;
	if (!name_is_valid(name))
		return arm_refuse(
			x->s->error, 400, "BadRequest",
			"The name '%.100s' is invalid: 1 to 90 letters, digits, '-', '_', "
			"'(', ')' or '.', not ending in a dot.",
			name);
	if (shown && !directory_name_is_valid(shown))
		return arm_refuse_at(x->s->error, 400, "BadRequest", "properties.displayName",
				     "It must be 1 to 256 characters.");
	if (is_there && strcmp(g.tenant, x->s->caller->tenant) != 0)
		return arm_refuse(x->s->error, 409, "Conflict",
				  "The name '%s' is taken. Choose another.", name);
	if (!is_there && x->method == ARM_PATCH)
		return group_missing(x, name);
	if (!is_there)
		g = (struct store_mgroup){ .name = fold,
					   .id = name,
					   .tenant = x->s->caller->tenant,
					   .shown = name,
					   .parent = x->s->caller->tenant };
	if (is_there)
		r = need(x, WRITE, group_scope(a, fold));
	if (r == 0 && !*g.parent && parent)
		return arm_refuse(x->s->error, 400, "BadRequest",
				  "The root management group cannot be moved.");
	/* Moving changes who may what below: as much as assigning a role does. */
	if (r == 0 && is_there && parent)
		r = need(x, "Microsoft.Authorization/roleAssignments/write", group_scope(a, fold));
	if (r == 0 && (parent || !is_there))
		r = parent_check(x, fold, parent ? parent : g.parent, !is_there, &g.parent);
	if (r < 0)
		return r;
	g.shown = shown ? shown : g.shown;
	g.changed_us = x->s->now_us;
	r = store_mgroup_put(x->s->tx, &g, NULL);
	x->result = group_json(x, &g);
	json_object_set_new(x->result, "status", json_string("Succeeded"));
	return r;
}

static int
group_delete(struct arm_extension_call *x, const char *name)
{
	struct arena *a = x->s->arena;
	struct store_subscription *subs;
	struct store_mgroup g, *groups;
	size_t n = 0, k = 0;
	int r = group_get(x, name, &g);

	if (r < 0)
		return r;
	x->status = 204;
	if (r == 0)
		return need(x, DELETE, directory_scope(a, x->s->caller->tenant));
	r = need(x, DELETE, group_scope(a, g.name));
	if (r == 0 && !*g.parent)
		return arm_refuse(x->s->error, 400, "BadRequest",
				  "The root management group cannot be deleted.");
	if (r == 0)
		r = store_mgroup_children(x->s->tx, a, g.name, 50, &groups, &n, NULL);
	if (r == 0)
		r = store_mgroup_subscriptions(x->s->tx, a, g.name, 50, &subs, &k, NULL);
	for (size_t i = 0; i < n && r == 0; i++)
		arm_error_block(x->s->error, "InUse", group_id(a, groups[i].id), "DELETE",
				group_id(a, groups[i].id), NULL, "'%s' is below it.", groups[i].id);
	for (size_t i = 0; i < k && r == 0; i++)
		arm_error_block(x->s->error, "InUse",
				arena_printf(a, "/subscriptions/%s", subs[i].id), "DELETE",
				arena_printf(a, "%s/subscriptions/%s", group_id(a, g.id),
					     subs[i].id),
				NULL, "The subscription '%s' is below it.", subs[i].name);
	if (r == 0 && n + k)
		return arm_refuse(x->s->error, 400, "BadRequest",
				  "The management group '%s' is not empty.", g.id);
	return r < 0 ? r : store_mgroup_delete(x->s->tx, g.name, NULL);
}

static int
group_one(struct arm_extension_call *x)
{
	const char *expand = arm_query(x->s->arena, x->query, "$expand");
	const char *recurse = arm_query(x->s->arena, x->query, "$recurse");
	struct store_mgroup g;
	int r;

	if (x->method == ARM_PUT || x->method == ARM_PATCH)
		return group_put(x, x->seg[1]);
	if (x->method == ARM_DELETE)
		return group_delete(x, x->seg[1]);
	if (x->method != ARM_GET)
		return method_wrong(x);
	r = group_get(x, x->seg[1], &g);
	if (r < 0)
		return r;
	/* Whoever may not see it does not learn whether there is one. */
	if (r == 0 || !arm_may(x->s, READ, group_scope(x->s->arena, g.name)))
		return group_missing(x, x->seg[1]);
	x->result = group_json(x, &g);
	if (expand && !strcasecmp(expand, "children"))
		json_object_set_new(json_object_get(x->result, "properties"), "children",
				    children_json(x, &g, recurse && !strcasecmp(recurse, "true"),
						  0));
	return 0;
}

static int
groups_list(struct arm_extension_call *x)
{
	struct store_mgroup *all;
	const char *after = NULL;
	json_t *value = json_array();
	size_t n = 0;
	int r;

	if (x->method != ARM_GET) {
		json_decref(value);
		return method_wrong(x);
	}
	do {
		r = store_mgroup_list(x->s->tx, x->s->arena, x->s->caller->tenant, after, 500, &all,
				      &n, NULL);
		for (size_t i = 0; i < n && r == 0; i++) {
			after = all[i].name;
			if (arm_may(x->s, READ, group_scope(x->s->arena, all[i].name)))
				json_array_append_new(value, group_short(x->s->arena, &all[i]));
		}
	} while (r == 0 && n == 500);
	x->result = json_pack("{s:o}", "value", value);
	return r;
}

/* --- subscriptions below a group ------------------------------------------------------------------ */

static json_t *
placed_json(struct arena *a, const struct store_mgroup *g, const struct store_subscription *s)
{
	return json_pack("{s:s, s:s, s:s, s:{s:s, s:s, s:s, s:{s:s}}}", "id",
			 arena_printf(a, "%s/subscriptions/%s", group_id(a, g->id), s->id), "type",
			 "Microsoft.Management/managementGroups/subscriptions", "name", s->id,
			 "properties", "tenant", s->tenant, "displayName", s->name, "state",
			 s->state, "parent", "id", group_id(a, g->id));
}

/* As with moving a group. */
static int
placed_one(struct arm_extension_call *x, const struct store_mgroup *g)
{
	struct arena *a = x->s->arena;
	const char *sub = arm_id_fold(a, x->seg[3]) + 1;
	const char *scope = arena_printf(a, "/subscriptions/%s", sub);
	bool is_put = x->method == ARM_PUT;
	struct store_subscription s;
	int r = store_subscription_get(x->s->tx, a, sub, &s, NULL);

	if (r < 0)
		return r;
	if (r == 0 || strcmp(s.tenant, g->tenant) != 0)
		return arm_refuse(x->s->error, 404, "SubscriptionNotFound",
				  "The subscription '%.100s' could not be found.", x->seg[3]);
	if (x->method == ARM_GET) {
		x->result = placed_json(a, g, &s);
		return need(x, READ, group_scope(a, g->name));
	}
	if (!is_put && x->method != ARM_DELETE)
		return method_wrong(x);
	r = need(x,
		 is_put ? "Microsoft.Management/managementGroups/subscriptions/write"
			: "Microsoft.Management/managementGroups/subscriptions/delete",
		 group_scope(a, g->name));
	if (r == 0)
		r = need(x, "Microsoft.Authorization/roleAssignments/write", scope);
	if (r == 0)
		r = store_subscription_place(x->s->tx, sub, is_put ? g->name : g->tenant, NULL);
	if (r == 0 && is_put)
		x->result = placed_json(a, g, &s);
	x->status = is_put ? 200 : 204;
	return r;
}

static int
group_below(struct arm_extension_call *x)
{
	struct arena *a = x->s->arena;
	struct store_subscription *subs;
	struct store_mgroup g;
	size_t n = 0;
	int r = group_get(x, x->seg[1], &g);

	if (r < 0)
		return r;
	if (r == 0)
		return group_missing(x, x->seg[1]);
	if (x->n_seg == 4)
		return placed_one(x, &g);
	if (x->method != ARM_GET)
		return method_wrong(x);
	r = need(x, READ, group_scope(a, g.name));
	if (r == 0)
		r = store_mgroup_subscriptions(x->s->tx, a, g.name, MAX_CHILDREN, &subs, &n, NULL);
	if (r < 0)
		return r;
	x->result = json_pack("{s:[]}", "value");
	for (size_t i = 0; i < n; i++)
		json_array_append_new(json_object_get(x->result, "value"),
				      placed_json(a, &g, &subs[i]));
	return 0;
}

static int
mgroup_handle(void *ctx, struct arm_extension_call *x)
{
	if (*x->scope_shown || !x->n_seg || strcasecmp(x->seg[0], "managementGroups") != 0 ||
	    x->n_seg > 4 || (x->n_seg > 2 && strcasecmp(x->seg[2], "subscriptions") != 0))
		return arm_refuse(x->s->error, 404, "InvalidResourceType",
				  "The resource type '%s' could not be found in the namespace "
				  "'Microsoft.Management'.",
				  x->n_seg ? x->seg[0] : "");
	return x->n_seg == 1 ? groups_list(x) : x->n_seg == 2 ? group_one(x) : group_below(x);
}

/* --- Microsoft.Subscription ------------------------------------------------------------------------ */

static const char *
alias_space(const struct arm_extension_call *x)
{
	return arena_printf(x->s->arena, "alias %s", x->s->caller->tenant);
}

static json_t *
alias_json(const struct store_record *rec)
{
	json_t *body = json_loads(rec->body, 0, NULL);

	return json_pack("{s:s+, s:s, s:s, s:o}", "id",
			 "/providers/Microsoft.Subscription/aliases/", rec->id, "name", rec->id,
			 "type", "Microsoft.Subscription/aliases", "properties",
			 body ? body : json_object());
}

/* The subscription an alias names: one that is there, or a new one. */
static int
alias_subscription(struct arm_extension_call *x, const char **ret)
{
	struct arena *a = x->s->arena;
	const char *shown = arm_str(x->body, "properties.displayName", "");
	const char *old = arm_str(x->body, "properties.subscriptionId", NULL), *group;
	const char *given =
		arm_str(x->body, "properties.additionalProperties.managementGroupId", NULL);
	struct store_subscription s;
	struct store_mgroup g;
	int r;

	if (old) {
		*ret = arm_id_fold(a, old) + 1;
		r = store_subscription_get(x->s->tx, a, *ret, &s, NULL);
		if (r == 0 || (r == 1 && strcmp(s.tenant, x->s->caller->tenant) != 0))
			return arm_refuse_at(x->s->error, 404, "SubscriptionNotFound",
					     "properties.subscriptionId",
					     "The subscription '%.100s' could not be found.", old);
		return r < 0 ? r
			     : need(x, "Microsoft.Subscription/rename/action",
				    arena_printf(a, "/subscriptions/%s", *ret));
	}
	if (!directory_name_is_valid(shown) || strlen(shown) > 64)
		return arm_refuse_at(x->s->error, 400, "BadRequest", "properties.displayName",
				     "It must be 1 to 64 characters.");
	group = given ? name_in_id(a, given) : NULL;
	r = group ? group_get(x, group, &g) : 0;
	if (given && r == 0)
		return arm_refuse_at(x->s->error, 404, "NotFound",
				     "properties.additionalProperties.managementGroupId",
				     "The management group '%.200s' could not be found.", given);
	if (r == 1)
		r = need(x, "Microsoft.Management/managementGroups/subscriptions/write",
			 group_scope(a, g.name));
	if (r == 0)
		r = directory_subscription_new(x->s->tx, a, x->s->caller->tenant, shown, group, ret,
					       NULL);
	if (r == 0) {
		struct store_principal me;
		int is_there = store_principal_get(x->s->tx, a, x->s->caller->oid, &me, NULL);

		r = is_there == 1
			    ? directory_assign(x->s->tx, a,
					       arena_printf(a, "/subscriptions/%s", *ret),
					       ROLE_OWNER, me.oid, me.kind, me.oid, NULL, NULL)
			    : MIN(is_there, 0);
	}
	return r;
}

static int
alias_put(struct arm_extension_call *x, const char *name, const struct store_record *old)
{
	struct store_record rec = { .space = alias_space(x), .name = name, .id = x->seg[1] };
	const char *sub = NULL;
	char etag[37], *text;
	json_t *body;
	int r;

	if (old) { /* the same again makes no second one */
		x->result = alias_json(old);
		return 0;
	}
	if (!name_is_valid(x->seg[1]))
		return arm_refuse(x->s->error, 400, "BadRequest", "The alias '%.100s' is invalid.",
				  x->seg[1]);
	r = alias_subscription(x, &sub);
	if (r < 0)
		return r;
	guid_make(etag);
	body = json_pack("{s:s, s:s, s:s}", "subscriptionId", sub, "displayName",
			 arm_str(x->body, "properties.displayName", ""), "provisioningState",
			 "Succeeded");
	rec.body = text = json_dumps(body, JSON_COMPACT);
	rec.etag = etag;
	r = store_record_put(x->s->tx, &rec, NULL);
	x->result = alias_json(&rec);
	x->status = 201;
	free(text);
	json_decref(body);
	return r;
}

static int
alias_handle(struct arm_extension_call *x)
{
	static const char *const actions[] = {
		[ARM_GET] = "Microsoft.Subscription/aliases/read",
		[ARM_PUT] = "Microsoft.Subscription/aliases/write",
		[ARM_DELETE] = "Microsoft.Subscription/aliases/delete",
	};
	struct arena *a = x->s->arena;
	const char *name = x->n_seg == 2 ? arm_id_fold(a, x->seg[1]) + 1 : NULL;
	struct store_record *all, one;
	size_t n = 0;
	int r;

	if (x->method >= COUNT(actions) || !actions[x->method] || (!name && x->method != ARM_GET))
		return method_wrong(x);
	r = need(x, actions[x->method], directory_scope(a, x->s->caller->tenant));
	if (r < 0)
		return r;
	if (!name) {
		r = store_record_list(x->s->tx, a, alias_space(x), NULL, 1000, &all, &n, NULL);
		x->result = json_pack("{s:[]}", "value");
		for (size_t i = 0; i < n; i++)
			json_array_append_new(json_object_get(x->result, "value"),
					      alias_json(&all[i]));
		return r;
	}
	r = store_record_get(x->s->tx, a, alias_space(x), name, &one, NULL);
	if (r < 0)
		return r;
	if (x->method == ARM_PUT)
		return alias_put(x, name, r == 1 ? &one : NULL);
	if (x->method == ARM_DELETE) { /* the subscription stays */
		x->status = r == 1 ? 200 : 204;
		return store_record_delete(x->s->tx, alias_space(x), name, NULL);
	}
	if (r == 0)
		return arm_refuse(x->s->error, 404, "NotFound",
				  "There is no subscription alias '%.100s'.", x->seg[1]);
	x->result = alias_json(&one);
	return 0;
}

static int
rename_handle(struct arm_extension_call *x)
{
	struct arena *a = x->s->arena;
	const char *name = arm_str(x->body, "subscriptionName", "");
	const char *sub = scope_subscription(a, x->scope);
	struct store_subscription s;
	int r = need(x, "Microsoft.Subscription/rename/action", x->scope);

	if (r < 0)
		return r;
	if (!directory_name_is_valid(name) || strlen(name) > 64)
		return arm_refuse_at(x->s->error, 400, "BadRequest", "subscriptionName",
				     "It must be 1 to 64 characters.");
	r = store_subscription_get(x->s->tx, a, sub, &s, NULL);
	if (r <= 0)
		return r;
	s.name = name;
	x->result = json_pack("{s:s}", "subscriptionId", s.id);
	return store_subscription_put(x->s->tx, &s, NULL);
}

static int
subscription_handle(void *ctx, struct arm_extension_call *x)
{
	const char *what = x->n_seg ? x->seg[0] : "";

	if (!*x->scope_shown && x->n_seg <= 2 && !strcasecmp(what, "aliases"))
		return alias_handle(x);
	if (x->sub && x->n_seg == 1 && !strcasecmp(what, "rename") && x->method == ARM_POST &&
	    !strchr(x->scope + strlen("/subscriptions/"), '/'))
		return rename_handle(x);
	return arm_refuse(x->s->error, 404, "InvalidResourceType",
			  "The resource type '%s' could not be found in the namespace "
			  "'Microsoft.Subscription'.",
			  what);
}

struct arm_extension
identity_management(struct identity *id)
{
	return (struct arm_extension){ "Microsoft.Management", "2018-01-01", id, mgroup_handle };
}

struct arm_extension
identity_subscriptions(struct identity *id)
{
	return (struct arm_extension){ "Microsoft.Subscription", "2018-01-01", id,
				       subscription_handle };
}
