/* Role assignments: who holds which role where. A principal of another tenant may hold one where
 * that tenant is the partner of the scope's own, or when who assigns answers for the whole cloud. */
#include "identity/role.h"

#include "base/mono.h"

#include <strings.h>

enum { MAX_ASSIGNMENTS = 4000 };

static int
need(struct arm_extension_call *x, const char *action)
{
	return arm_may(x->s, action, x->scope) ? 0 : arm_deny(x->s, action, x->scope);
}

/* A role's id in the form of the request's subscription, whatever it was when it was given above it:
 * clients compare it as a string with those of the definitions. */
static json_t *
assignment_json(const struct arm_extension_call *x, const struct store_assignment *s)
{
	json_t *body = json_loads(s->body, 0, NULL);

	if (x->sub)
		json_object_set_new(
			body, "roleDefinitionId",
			json_string(arena_printf(
				x->s->arena,
				"/subscriptions/%s/providers/Microsoft.Authorization/roleDefinitions/%s",
				x->sub, s->role)));
	return json_pack("{s:s, s:s, s:s, s:o}", "id", s->id, "name", last_segment(s->id), "type",
			 "Microsoft.Authorization/roleAssignments", "properties",
			 body ? body : json_object());
}

/* --- lists -------------------------------------------------------------------------------------- */

/* Whose assignments are asked for: NULL-terminated, or NULL for anybody's. */
static int
wanted(struct arm_extension_call *x, const struct list_filter *f, const char *const **ret)
{
	struct arena *a = x->s->arena;
	const char **groups, **out;
	size_t n = 0;
	int r = 0;

	*ret = NULL;
	if (!f->assigned_to && !f->principal)
		return 0;
	if (f->assigned_to)
		r = store_group_of(x->s->tx, a, arm_id_fold(a, f->assigned_to) + 1, true, &groups,
				   &n, NULL);
	out = NEW_ARRAY(a, const char *, n + 2);
	out[0] = f->assigned_to ? f->assigned_to : f->principal;
	for (size_t i = 0; i < n; i++)
		out[i + 1] = groups[i];
	*ret = out;
	return r;
}

static bool
is_wanted(const char *const *who, const char *principal)
{
	if (!who)
		return true;
	for (; *who; who++)
		if (!strcasecmp(*who, principal))
			return true;
	return false;
}

static int
list_at(struct arm_extension_call *x, const char *scope, bool below, const char *const *who,
	json_t *value)
{
	struct store_assignment *list;
	size_t n = 0;
	int r = store_assignment_at(x->s->tx, x->s->arena, scope, below, MAX_ASSIGNMENTS + 1, &list,
				    &n, NULL);

	for (size_t i = 0; i < n && r >= 0; i++)
		if (is_wanted(who, list[i].principal))
			json_array_append_new(value, assignment_json(x, &list[i]));
	return r;
}

static int
assignments_list(struct arm_extension_call *x)
{
	const char *const *who = NULL, **above;
	struct list_filter f;
	json_t *value;
	size_t n = 0;
	int r = list_filter_parse(x, &f);

	if (r == 0)
		r = wanted(x, &f, &who);
	if (r == 0)
		r = scope_above(x->s->tx, x->s->arena, x->scope, &above, &n, NULL);
	if (r < 0)
		return r;
	value = json_array();
	r = list_at(x, x->scope, !f.at_scope, who, value);
	for (size_t i = 0; i < n && r == 0; i++) {
		/* Who holds what over the whole cloud is not every customer's business. */
		if (!strcmp(above[i], "/") &&
		    !arm_may(x->s, "Microsoft.Authorization/roleAssignments/read", "/"))
			continue;
		r = list_at(x, above[i], false, who, value);
	}
	x->result = json_pack("{s:o}", "value", value);
	return r;
}

/* --- put ---------------------------------------------------------------------------------------- */

/* May this principal hold something in the scope's tenant? */
static bool
is_ours(struct arm_extension_call *x, const struct store_principal *p, bool *ret_is_foreign)
{
	const char *tenant = scope_tenant(x->s->tx, x->s->arena, x->scope);
	struct store_tenant t;

	*ret_is_foreign = tenant && strcmp(tenant, p->tenant) != 0;
	if (!*ret_is_foreign)
		return true;
	if (store_tenant_get(x->s->tx, x->s->arena, tenant, &t, NULL) == 1 &&
	    !strcmp(t.partner, p->tenant))
		return true;
	return arm_may(x->s, "Microsoft.Authorization/roleAssignments/write", "/");
}

static int
role_check(struct arm_extension_call *x, struct role *ret)
{
	const char *given = arm_str(x->body, "properties.roleDefinitionId", "");
	const char *tenant = scope_tenant(x->s->tx, x->s->arena, x->scope);
	int r = role_get(x->s->tx, x->s->arena, last_segment(given), ret, NULL);

	if (r < 0)
		return r;
	if (r != 1 || (ret->tenant && (!tenant || strcmp(tenant, ret->tenant) != 0)))
		return arm_refuse_at(x->s->error, 400, "RoleDefinitionDoesNotExist",
				     "properties.roleDefinitionId",
				     "The specified role definition '%.200s' does not exist.",
				     given);
	if (!ret->tenant)
		return 0;
	for (const char *const *s = ret->scopes; *s; s++) {
		const char **above;
		size_t n = 0;

		if (scope_covers(*s, x->scope))
			return 0;
		r = scope_above(x->s->tx, x->s->arena, x->scope, &above, &n, NULL);
		for (size_t i = 0; i < n && r == 0; i++)
			if (!strcmp(above[i], *s))
				return 0;
	}
	return arm_refuse_at(x->s->error, 400, "RoleDefinitionNotAssignableAtScope",
			     "properties.roleDefinitionId",
			     "The role '%s' cannot be assigned at '%s': it is not within its "
			     "assignableScopes.",
			     ret->name, x->scope_shown);
}

static int
principal_check(struct arm_extension_call *x, struct store_principal *ret, const char **ret_type)
{
	struct arena *a = x->s->arena;
	const char *who = arm_str(x->body, "properties.principalId", "");
	const char *type = arm_str(x->body, "properties.principalType", NULL);
	bool is_foreign = false;
	int r = is_guid(who) ? store_principal_get(x->s->tx, a, arm_id_fold(a, who) + 1, ret, NULL)
			     : 0;

	if (r < 0)
		return r;
	if (r != 1 || !is_ours(x, ret, &is_foreign))
		return arm_refuse_at(x->s->error, 400, "PrincipalNotFound",
				     "properties.principalId",
				     "Principal '%.100s' does not exist in the directory.", who);
	*ret_type = is_foreign && !strcmp(ret->kind, "Group") ? "ForeignGroup" : ret->kind;
	if (type && *type && strcasecmp(type, *ret_type) != 0 && strcasecmp(type, ret->kind) != 0)
		return arm_refuse_at(x->s->error, 400, "UnmatchedPrincipalType",
				     "properties.principalType",
				     "The principal '%s' has type '%s', not '%.100s'.", ret->oid,
				     *ret_type, type);
	return 0;
}

static int
count_check(struct arm_extension_call *x)
{
	const char *sub = scope_subscription(x->s->arena, x->scope);
	struct store_assignment *list;
	size_t n = 0;
	int r = !sub ? 0
		     : store_assignment_at(x->s->tx, x->s->arena,
					   arena_printf(x->s->arena, "/subscriptions/%s", sub),
					   true, MAX_ASSIGNMENTS, &list, &n, NULL);

	if (r == 0 && n >= MAX_ASSIGNMENTS)
		return arm_refuse(x->s->error, 400, "RoleAssignmentLimitExceeded",
				  "The subscription has %d role assignments, which is the limit.",
				  MAX_ASSIGNMENTS);
	return r;
}

static json_t *
properties(struct arm_extension_call *x, const struct role *role, const struct store_principal *p,
	   const char *type, const struct store_assignment *old)
{
	json_t *was = old ? json_loads(old->body, 0, NULL) : NULL, *body;
	const char *text = arm_str(x->body, "properties.description", NULL);
	char now[32];

	utc_format(x->s->now_us, now);
	body = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s*}", "scope",
			 *x->scope_shown ? x->scope_shown : "/", "roleDefinitionId",
			 arena_printf(x->s->arena,
				      "%s%s/providers/Microsoft.Authorization/roleDefinitions/%s",
				      x->sub ? "/subscriptions/" : "", x->sub ? x->sub : "",
				      role->id),
			 "principalId", p->oid, "principalType", type, "createdOn",
			 arm_str(was, "createdOn", now), "updatedOn", now, "createdBy",
			 arm_str(was, "createdBy", x->s->caller->oid), "updatedBy",
			 x->s->caller->oid, "description", text);
	json_decref(was);
	return body;
}

static int
assignment_put(struct arm_extension_call *x, const char *id, const char *fold)
{
	struct arena *a = x->s->arena;
	struct store_assignment s = { .fold = fold, .id = id, .scope = x->scope }, old = { 0 };
	struct store_principal p = { 0 };
	struct role role = { 0 };
	const char *type = "";
	json_t *body;
	char *text;
	int r, is_old;

	r = scope_exists(x->s, x->scope, x->scope_shown);
	if (r == 0)
		r = role_check(x, &role);
	if (r == 0)
		r = principal_check(x, &p, &type);
	if (r != 0)
		return r;
	if (arm_str(x->body, "properties.condition", NULL))
		return arm_refuse_at(x->s->error, 400, "RoleAssignmentConditionNotSupported",
				     "properties.condition",
				     "Conditions are about data actions, which there are none of.");
	if (strlen(arm_str(x->body, "properties.description", "")) > 1024)
		return arm_refuse_at(x->s->error, 400, "RoleAssignmentDescriptionTooLong",
				     "properties.description",
				     "It must be at most 1024 characters.");
	is_old = store_assignment_get(x->s->tx, a, fold, &old, NULL);
	if (is_old < 0)
		return is_old;
	if (is_old == 1 &&
	    (strcmp(old.principal, p.oid) != 0 || strcasecmp(old.role, role.id) != 0))
		return arm_refuse(
			x->s->error, 400, "RoleAssignmentUpdateNotPermitted",
			"Principal, role and scope of a role assignment cannot be changed. "
			"Delete it and make another.");
	r = is_old ? 0 : count_check(x);
	if (r < 0)
		return r;
	x->status = is_old ? 200 : 201;
	body = properties(x, &role, &p, type, is_old ? &old : NULL);
	text = json_dumps(body, JSON_COMPACT);
	s.role = arm_id_fold(a, role.id) + 1;
	s.principal = p.oid;
	s.body = text;
	r = store_assignment_put(x->s->tx, &s, NULL);
	if (r == 0)
		x->result = assignment_json(x, &s);
	free(text);
	json_decref(body);
	return r == -EEXIST ? arm_refuse(x->s->error, 409, "RoleAssignmentExists",
					 "The role assignment already exists.")
			    : r;
}

/* --- one ---------------------------------------------------------------------------------------- */

static int
assignment_one(struct arm_extension_call *x)
{
	static const char *const actions[] = {
		[ARM_GET] = "Microsoft.Authorization/roleAssignments/read",
		[ARM_PUT] = "Microsoft.Authorization/roleAssignments/write",
		[ARM_DELETE] = "Microsoft.Authorization/roleAssignments/delete",
	};
	struct arena *a = x->s->arena;
	const char *id = arena_printf(a, "%s/providers/Microsoft.Authorization/roleAssignments/%s",
				      x->scope_shown, x->seg[1]);
	const char *fold = arm_id_fold(a, id);
	struct store_assignment s;
	int r;

	if (x->method >= COUNT(actions) || !actions[x->method])
		return arm_refuse(x->s->error, 405, "MethodNotAllowed",
				  "A role assignment can be read, put and deleted.");
	if (!is_guid(x->seg[1]))
		return arm_refuse(x->s->error, 400, "InvalidRoleAssignmentId",
				  "The role assignment ID '%s' is not valid. It must be a GUID.",
				  x->seg[1]);
	r = need(x, actions[x->method]);
	if (r < 0)
		return r;
	if (x->method == ARM_PUT)
		return assignment_put(x, id, fold);
	r = store_assignment_get(x->s->tx, a, fold, &s, NULL);
	if (r == 1)
		x->result = assignment_json(x, &s);
	if (x->method == ARM_GET && r == 0)
		return arm_refuse(x->s->error, 404, "RoleAssignmentNotFound",
				  "The role assignment '%s' is not found.", x->seg[1]);
	if (x->method == ARM_DELETE) {
		x->status = r == 1 ? 200 : 204;
		return r < 0 ? r : store_assignment_delete(x->s->tx, fold, NULL);
	}
	return MIN(r, 0);
}

int
rbac_handle(void *ctx, struct arm_extension_call *x)
{
	const char *what = x->n_seg ? x->seg[0] : "";
	int r;

	if (!strcasecmp(what, "roleDefinitions") && x->n_seg <= 2)
		return role_handle(x);
	if (!strcasecmp(what, "permissions") && x->n_seg == 1 && x->method == ARM_GET)
		return rbac_permissions(ctx, x);
	if (!strcasecmp(what, "roleAssignments") && x->n_seg == 2)
		return assignment_one(x);
	if (!strcasecmp(what, "roleAssignments") && x->n_seg == 1 && x->method == ARM_GET) {
		r = need(x, "Microsoft.Authorization/roleAssignments/read");
		return r < 0 ? r : assignments_list(x);
	}
	return arm_refuse(x->s->error, 404, "InvalidResourceType",
			  "The resource type '%s' could not be found in the namespace "
			  "'Microsoft.Authorization'.",
			  what);
}
