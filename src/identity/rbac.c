/* Built-in roles, their permissions, and the Microsoft.Authorization paths. Roles add up; notActions
 * subtract within one role. */
#include "identity/internal.h"

#include "base/mono.h"

#include <ctype.h>
#include <strings.h>

struct role {
	const char *id, *name, *description;
	const char *const *actions, *const *not_actions;
};

#define WORDS(...) ((const char *const[]){ __VA_ARGS__ __VA_OPT__(, ) NULL })

static const struct role roles[] = {
	{ ROLE_OWNER, "Owner", "Full access, including the right to assign roles.", WORDS("*"),
	  WORDS() },
	{ ROLE_CONTRIBUTOR, "Contributor", "Full access, without the right to assign roles.",
	  WORDS("*"),
	  WORDS("Microsoft.Authorization/*/Delete", "Microsoft.Authorization/*/Write",
		"Microsoft.Authorization/elevateAccess/Action") },
	{ ROLE_READER, "Reader", "Sees everything, changes nothing.", WORDS("*/read"), WORDS() },
	{ ROLE_NETWORK_CONTRIBUTOR, "Network Contributor", "Manages networks, not access to them.",
	  WORDS("Microsoft.Authorization/*/read", "Microsoft.Insights/alertRules/*",
		"Microsoft.Network/*", "Microsoft.Resources/deployments/*",
		"Microsoft.Resources/subscriptions/resourceGroups/read"),
	  WORDS() },
	{ ROLE_ACCESS_ADMINISTRATOR, "User Access Administrator", "Manages access to resources.",
	  WORDS("*/read", "Microsoft.Authorization/*"), WORDS() },
};

/* --- matching ------------------------------------------------------------------------------------ */

bool
identity_pattern_matches(const char *p, const char *s)
{
	const char *star = NULL, *back = NULL;

	while (*s) {
		if (*p == '*') {
			star = p++;
			back = s;
		} else if (tolower((unsigned char)*p) == tolower((unsigned char)*s)) {
			p++;
			s++;
		} else if (star) {
			p = star + 1;
			s = ++back;
		} else {
			return false;
		}
	}
	while (*p == '*')
		p++;
	return !*p;
}

static bool
any_matches(const char *const *patterns, const char *action)
{
	for (; *patterns; patterns++)
		if (identity_pattern_matches(*patterns, action))
			return true;
	return false;
}

static const struct role *
role_find(const char *id)
{
	for (size_t i = 0; i < COUNT(roles); i++)
		if (!strcasecmp(roles[i].id, id))
			return &roles[i];
	return NULL;
}

static bool
scope_covers(const char *scope, const char *target)
{
	size_t n = strlen(scope);

	if (!strcmp(scope, "/"))
		return true;
	return !strncmp(scope, target, n) && (!target[n] || target[n] == '/');
}

static bool
principal_is_usable(struct store_tx *tx, struct arena *a, const struct arm_caller *c)
{
	struct store_principal p;

	return store_principal_get(tx, a, c->oid, &p, NULL) == 1 && !p.is_disabled;
}

bool
rbac_may(void *ctx, struct store_tx *tx, struct arena *a, const struct arm_caller *c,
	 const char *action, const char *scope)
{
	struct store_assignment *list;
	size_t n = 0;

	if (!principal_is_usable(tx, a, c) ||
	    store_assignment_of(tx, a, c->oid, &list, &n, NULL) < 0)
		return false;
	for (size_t i = 0; i < n; i++) {
		const struct role *r = role_find(list[i].role);

		if (r && scope_covers(list[i].scope, scope) && any_matches(r->actions, action) &&
		    !any_matches(r->not_actions, action))
			return true;
	}
	return false;
}

bool
rbac_sees(void *ctx, struct store_tx *tx, struct arena *a, const struct arm_caller *c,
	  const char *sub)
{
	const char *scope = arena_printf(a, "/subscriptions/%s", sub);
	struct store_assignment *list;
	size_t n = 0;

	if (!principal_is_usable(tx, a, c) ||
	    store_assignment_of(tx, a, c->oid, &list, &n, NULL) < 0)
		return false;
	for (size_t i = 0; i < n; i++)
		if (scope_covers(list[i].scope, scope) || scope_covers(scope, list[i].scope))
			return true;
	return false;
}

/* --- role definitions ------------------------------------------------------------------------------ */

static json_t *
words_json(const char *const *w)
{
	json_t *j = json_array();

	for (; *w; w++)
		json_array_append_new(j, json_string(*w));
	return j;
}

/* One canonical id whatever the scope of the request: clients compare it as a string. */
static json_t *
definition_json(const struct arm_extension_call *x, const struct role *r)
{
	struct arena *a = x->s->arena;
	const char *base = x->sub ? arena_printf(a, "/subscriptions/%s", x->sub) : "";

	return json_pack("{s:s, s:s, s:s, s:{s:s, s:s, s:s, s:[s], s:[{s:o, s:o, s:[], s:[]}]}}",
			 "id",
			 arena_printf(a, "%s/providers/Microsoft.Authorization/roleDefinitions/%s",
				      base, r->id),
			 "name", r->id, "type", "Microsoft.Authorization/roleDefinitions",
			 "properties", "roleName", r->name, "type", "BuiltInRole", "description",
			 r->description, "assignableScopes", "/", "permissions", "actions",
			 words_json(r->actions), "notActions", words_json(r->not_actions),
			 "dataActions", "notDataActions");
}

static int
need(struct arm_extension_call *x, const char *action)
{
	return arm_may(x->s, action, x->scope) ? 0 : arm_deny(x->s, action, x->scope);
}

/* The value in "field eq 'value'" inside a $filter, or NULL. */
static const char *
filter_value(const struct arm_extension_call *x, const char *field)
{
	const char *f = arm_query(x->s->arena, x->query, "$filter");
	const char *at = f ? strcasestr(f, field) : NULL, *quote;

	if (!at)
		return NULL;
	quote = strchr(at, '\'');
	return quote ? arena_strndup(x->s->arena, quote + 1, strcspn(quote + 1, "'")) : NULL;
}

static int
definitions(struct arm_extension_call *x)
{
	const char *want = filter_value(x, "roleName");
	json_t *value;
	int r = need(x, "Microsoft.Authorization/roleDefinitions/read");

	if (r < 0)
		return r;
	if (x->method != ARM_GET)
		return arm_refuse(x->s->error, 405, "MethodNotAllowed",
				  "Role definitions can be read.");
	if (x->n_seg == 2) {
		const struct role *one = role_find(x->seg[1]);

		if (!one)
			return arm_refuse(
				x->s->error, 404, "RoleDefinitionDoesNotExist",
				"The specified role definition with ID '%s' does not exist.",
				x->seg[1]);
		x->result = definition_json(x, one);
		return 0;
	}
	value = json_array();
	for (size_t i = 0; i < COUNT(roles); i++)
		if (!want || !strcasecmp(want, roles[i].name))
			json_array_append_new(value, definition_json(x, &roles[i]));
	x->result = json_pack("{s:o}", "value", value);
	return 0;
}

static int
permissions(struct arm_extension_call *x)
{
	struct arena *a = x->s->arena;
	struct store_assignment *list;
	json_t *value = json_array();
	size_t n = 0;
	int r = store_assignment_of(x->s->tx, a, x->s->caller->oid, &list, &n, NULL);

	for (size_t i = 0; i < n && r >= 0; i++) {
		const struct role *role = role_find(list[i].role);

		if (role && scope_covers(list[i].scope, x->scope))
			json_array_append_new(
				value, json_pack("{s:o, s:o}", "actions", words_json(role->actions),
						 "notActions", words_json(role->not_actions)));
	}
	x->result = json_pack("{s:o}", "value", value);
	return r;
}

/* --- role assignments --------------------------------------------------------------------------------- */

static json_t *
assignment_json(const struct store_assignment *s)
{
	const char *slash = strrchr(s->id, '/');
	json_t *body = json_loads(s->body, 0, NULL);

	return json_pack("{s:s, s:s, s:s, s:o}", "id", s->id, "name", slash ? slash + 1 : s->id,
			 "type", "Microsoft.Authorization/roleAssignments", "properties",
			 body ? body : json_object());
}

static int
assignments_list(struct arm_extension_call *x)
{
	struct arena *a = x->s->arena;
	const char *filter = arm_query(a, x->query, "$filter");
	const char *who = filter_value(x, "principalId");
	bool at_scope = filter && strcasestr(filter, "atScope()");
	struct store_assignment *list;
	json_t *value = json_array();
	const char *scope = x->scope;
	size_t n = 0;
	int r;

	if (!who)
		who = filter_value(x, "assignedTo");
	r = store_assignment_at(x->s->tx, a, scope, !at_scope, 1000, &list, &n, NULL);
	for (;;) {
		for (size_t i = 0; i < n && r >= 0; i++)
			if (!who || !strcasecmp(who, list[i].principal))
				json_array_append_new(value, assignment_json(&list[i]));
		if (!strcmp(scope, "/") || r < 0)
			break;
		/* what is inherited: every scope above */
		scope = arena_strndup(a, scope, (size_t)(strrchr(scope, '/') - scope));
		if (!*scope)
			scope = "/";
		r = store_assignment_at(x->s->tx, a, scope, false, 1000, &list, &n, NULL);
	}
	x->result = json_pack("{s:o}", "value", value);
	return r;
}

static const char *
last_segment(const char *id)
{
	const char *slash = strrchr(id, '/');

	return slash ? slash + 1 : id;
}

static int
assignment_put(struct arm_extension_call *x, const char *id, const char *fold)
{
	struct arena *a = x->s->arena;
	const char *role_id = arm_str(x->body, "properties.roleDefinitionId", NULL);
	const char *who = arm_str(x->body, "properties.principalId", NULL);
	const struct role *role = role_id ? role_find(last_segment(role_id)) : NULL;
	struct store_assignment s = { .fold = fold, .id = id, .scope = x->scope }, old;
	struct store_principal p;
	struct err e;
	char now[32];
	json_t *body;
	char *text;
	int r;

	if (!role)
		return arm_refuse(x->s->error, 400, "RoleDefinitionDoesNotExist",
				  "The specified role definition '%s' does not exist.",
				  role_id ? role_id : "");
	if (!who || store_principal_get(x->s->tx, a, arm_id_fold(a, who) + 1, &p, &e) != 1)
		return arm_refuse(x->s->error, 400, "PrincipalNotFound",
				  "Principal '%s' does not exist in the directory.",
				  who ? who : "");
	r = store_assignment_get(x->s->tx, a, fold, &old, &e);
	x->status = r == 1 ? 200 : 201;
	utc_format(x->s->now_us, now);
	body = json_pack(
		"{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "scope",
		*x->scope_shown ? x->scope_shown : "/", "roleDefinitionId",
		arena_printf(a, "%s%s/providers/Microsoft.Authorization/roleDefinitions/%s",
			     x->sub ? "/subscriptions/" : "", x->sub ? x->sub : "", role->id),
		"principalId", p.oid, "principalType", p.kind, "createdOn", now, "updatedOn", now,
		"createdBy", x->s->caller->oid, "updatedBy", x->s->caller->oid);
	text = json_dumps(body, JSON_COMPACT);
	s.role = role->id;
	s.principal = p.oid;
	s.body = text;
	r = store_assignment_put(x->s->tx, &s, &e);
	if (r == 0)
		x->result = assignment_json(&s);
	free(text);
	json_decref(body);
	return r == -EEXIST ? arm_refuse(x->s->error, 409, "RoleAssignmentExists",
					 "The role assignment already exists.")
			    : r;
}

static bool
is_guid(const char *s)
{
	for (size_t i = 0; i < 36; i++)
		if (i == 8 || i == 13 || i == 18 || i == 23 ? s[i] != '-'
							    : !isxdigit((unsigned char)s[i]))
			return false;
	return !s[36];
}

static int
assignment_one(struct arm_extension_call *x)
{
	struct arena *a = x->s->arena;
	const char *id = arena_printf(a, "%s/providers/Microsoft.Authorization/roleAssignments/%s",
				      x->scope_shown, x->seg[1]);
	const char *fold = arm_id_fold(a, id);
	struct store_assignment s;
	struct err e;
	int r;

	if (!is_guid(x->seg[1]))
		return arm_refuse(x->s->error, 400, "InvalidRoleAssignmentId",
				  "The role assignment ID '%s' is not valid. It must be a GUID.",
				  x->seg[1]);
	r = need(x, x->method == ARM_GET      ? "Microsoft.Authorization/roleAssignments/read"
		    : x->method == ARM_DELETE ? "Microsoft.Authorization/roleAssignments/delete"
					      : "Microsoft.Authorization/roleAssignments/write");
	if (r < 0)
		return r;
	if (x->method == ARM_PUT)
		return assignment_put(x, id, fold);
	r = store_assignment_get(x->s->tx, a, fold, &s, &e);
	if (r == 1)
		x->result = assignment_json(&s);
	if (x->method == ARM_GET && r == 0)
		return arm_refuse(x->s->error, 404, "RoleAssignmentNotFound",
				  "The role assignment '%s' is not found.", x->seg[1]);
	if (x->method == ARM_DELETE) {
		x->status = r == 1 ? 200 : 204;
		return r < 0 ? r : store_assignment_delete(x->s->tx, fold, &e);
	}
	return MIN(r, 0);
}

int
rbac_handle(void *ctx, struct arm_extension_call *x)
{
	const char *what = x->n_seg ? x->seg[0] : "";
	int r;

	if (!strcasecmp(what, "roleDefinitions") && x->n_seg <= 2)
		return definitions(x);
	if (!strcasecmp(what, "permissions") && x->n_seg == 1 && x->method == ARM_GET)
		return permissions(x);
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
