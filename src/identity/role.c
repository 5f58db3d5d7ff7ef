/* Roles: the built-in table, a tenant's own, and the roleDefinitions paths. Roles add up; notActions
 * subtract within one permission of one role.
 *
 * A tenant's own role can be seen, changed and assigned in that tenant only; who defines one must
 * have the right to at every scope where it may be assigned. */
#include "identity/role.h"

#include "base/mono.h"

#include <ctype.h>
#include <strings.h>

enum { MAX_ROLES = 5000, MAX_SCOPES = 100, MAX_ACTIONS = 500, MAX_RULES = 16 };

#define WORDS(...) ((const char *const[]){ __VA_ARGS__ __VA_OPT__(, ) NULL })
#define RULES(...) ((const struct role_rules[]){ { __VA_ARGS__ }, { NULL, NULL } })

static const struct role builtins[] = {
	{ ROLE_OWNER, "Owner", "Full access, including the right to assign roles.",
	  .rules = RULES(WORDS("*"), WORDS()) },
	{ ROLE_CONTRIBUTOR, "Contributor", "Full access, without the right to assign roles.",
	  .rules =
		  RULES(WORDS("*"),
			WORDS("Microsoft.Authorization/*/Delete", "Microsoft.Authorization/*/Write",
			      "Microsoft.Authorization/elevateAccess/Action",
			      /* who may make a secret for an owner is one */
			      "Wayleave.Directory/*/write", "Wayleave.Directory/*/delete",
			      "Wayleave.Directory/*/action", "Wayleave.Identity/*/write",
			      "Wayleave.Identity/*/delete", "Wayleave.Identity/*/action",
			      "Wayleave.Partner/*/write", "Wayleave.Partner/*/delete",
			      "Wayleave.Partner/*/action")) },
	{ ROLE_READER, "Reader", "Sees everything, changes nothing.",
	  .rules = RULES(WORDS("*/read"), WORDS()) },
	{ ROLE_NETWORK_CONTRIBUTOR, "Network Contributor", "Manages networks, not access to them.",
	  .rules = RULES(WORDS("Microsoft.Authorization/*/read", "Microsoft.Insights/alertRules/*",
			       "Microsoft.Network/*",
			       "Microsoft.ResourceHealth/availabilityStatuses/read",
			       "Microsoft.Resources/deployments/*",
			       "Microsoft.Resources/subscriptions/resourceGroups/read",
			       "Microsoft.Support/*"),
			 WORDS()) },
	{ ROLE_ACCESS_ADMINISTRATOR, "User Access Administrator", "Manages access to resources.",
	  .rules = RULES(WORDS("*/read", "Microsoft.Authorization/*"), WORDS()) },
	{ ROLE_PROVIDER, "Connectivity Provider",
	  "A connectivity provider's: serves its cross connections, sees nothing else.",
	  .rules = RULES(WORDS("Microsoft.Network/expressRouteCrossConnections/*",
			       "Microsoft.Network/expressRouteServiceProviders/read",
			       "Microsoft.Network/locations/*/read",
			       "Microsoft.Insights/eventtypes/*", "Microsoft.Insights/metrics/read",
			       "Microsoft.Insights/metricDefinitions/read",
			       "Microsoft.Resources/subscriptions/read",
			       "Microsoft.Resources/subscriptions/resourceGroups/read",
			       "Microsoft.Resources/subscriptions/resources/read"),
			 WORDS("Microsoft.Network/expressRouteCrossConnections/delete")) },
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

bool
role_allows(const struct role_rules *rules, const char *action)
{
	for (; rules->actions; rules++)
		if (any_matches(rules->actions, action) && !any_matches(rules->not_actions, action))
			return true;
	return false;
}

/* --- from the table and from the store --------------------------------------------------------------- */

const struct role *
role_builtin(size_t *at)
{
	return *at < COUNT(builtins) ? &builtins[(*at)++] : NULL;
}

static const char *const *
words_of(struct arena *a, const json_t *list, bool folds)
{
	const char **out = NEW_ARRAY(a, const char *, json_array_size(list) + 1);
	json_t *one;
	size_t i;

	json_array_foreach((json_t *)list, i, one)
		out[i] = folds ? arm_id_fold(a, json_string_value(one))
			       : arena_strdup(a, json_string_value(one));
	return out;
}

/* The body was checked when it was stored. It is the caller's to let go. */
static json_t *
role_load(struct arena *a, const struct store_role *row, struct role *ret)
{
	json_t *body = json_loads(row->body, 0, NULL), *all, *one;
	struct role_rules *rules;
	size_t i;

	all = json_object_get(body, "permissions");
	rules = NEW_ARRAY(a, struct role_rules, json_array_size(all) + 1);
	json_array_foreach(all, i, one) {
		rules[i].actions = words_of(a, json_object_get(one, "actions"), false);
		rules[i].not_actions = words_of(a, json_object_get(one, "notActions"), false);
	}
	*ret = (struct role){
		.id = row->id,
		.name = row->name,
		.tenant = row->tenant,
		.rules = rules,
		.scopes = words_of(a, json_object_get(body, "assignableScopes"), true),
	};
	return body;
}

int
role_get(struct store_tx *tx, struct arena *a, const char *id, struct role *ret, struct err *e)
{
	struct store_role row;
	int r;

	for (size_t i = 0; i < COUNT(builtins); i++)
		if (!strcasecmp(builtins[i].id, id)) {
			*ret = builtins[i];
			return 1;
		}
	if (!is_guid(id))
		return 0;
	r = store_role_get(tx, a, arm_id_fold(a, id) + 1, &row, e);
	if (r == 1)
		json_decref(role_load(a, &row, ret));
	return r;
}

/* --- shown ------------------------------------------------------------------------------------------ */

static json_t *
words_json(const char *const *w)
{
	json_t *j = json_array();

	for (; *w; w++)
		json_array_append_new(j, json_string(*w));
	return j;
}

/* One canonical id whatever the scope of the request: clients compare it as a string. */
static const char *
definition_id(const struct arm_extension_call *x, const char *id)
{
	return arena_printf(x->s->arena,
			    "%s%s/providers/Microsoft.Authorization/roleDefinitions/%s",
			    x->sub ? "/subscriptions/" : "", x->sub ? x->sub : "", id);
}

static json_t *
shown(const struct arm_extension_call *x, const char *id, json_t *properties)
{
	return json_pack("{s:s, s:s, s:s, s:o}", "id", definition_id(x, id), "name", id, "type",
			 "Microsoft.Authorization/roleDefinitions", "properties", properties);
}

static json_t *
builtin_json(const struct arm_extension_call *x, const struct role *r)
{
	return shown(x, r->id,
		     json_pack("{s:s, s:s, s:s, s:[s], s:[{s:o, s:o, s:[], s:[]}]}", "roleName",
			       r->name, "type", "BuiltInRole", "description", r->description,
			       "assignableScopes", "/", "permissions", "actions",
			       words_json(r->rules->actions), "notActions",
			       words_json(r->rules->not_actions), "dataActions", "notDataActions"));
}

static json_t *
own_json(const struct arm_extension_call *x, const struct store_role *row)
{
	return shown(x, row->id, json_loads(row->body, 0, NULL));
}

/* --- lists -------------------------------------------------------------------------------------------- */

static bool
is_offered(const struct role *r, const char *scope, bool below)
{
	for (const char *const *s = r->scopes; *s; s++)
		if (scope_covers(*s, scope) || (below && scope_covers(scope, *s)) ||
		    !strncmp(*s, MGROUP_PREFIX, strlen(MGROUP_PREFIX)))
			return true;
	return false;
}

/* The tenant whose own roles this request is about. */
static const char *
tenant_of(const struct arm_extension_call *x)
{
	const char *t = scope_tenant(x->s->tx, x->s->arena, x->scope);

	return t ? t : x->s->caller->tenant;
}

static int
own_list(struct arm_extension_call *x, const struct list_filter *f, json_t *value)
{
	struct arena *a = x->s->arena;
	struct store_role *rows;
	const char *after = NULL;
	size_t n = 0;
	int r;

	do {
		r = store_role_list(x->s->tx, a, tenant_of(x), after, 1000, &rows, &n, NULL);
		for (size_t i = 0; i < n && r == 0; i++) {
			struct role role;

			json_decref(role_load(a, &rows[i], &role));
			after = rows[i].id;
			if ((!f->role_name || !strcasecmp(f->role_name, rows[i].name)) &&
			    is_offered(&role, x->scope,
				       f->at_scope_and_below || !strcmp(x->scope, "/")))
				json_array_append_new(value, own_json(x, &rows[i]));
		}
	} while (n == 1000 && r == 0);
	return r;
}

static int
definitions_list(struct arm_extension_call *x)
{
	struct list_filter f;
	json_t *value;
	int r = list_filter_parse(x, &f);

	if (r < 0)
		return r;
	value = json_array();
	for (size_t i = 0; i < COUNT(builtins); i++)
		if ((!f.role_name || !strcasecmp(f.role_name, builtins[i].name)) &&
		    (!f.role_type || !strcasecmp(f.role_type, "BuiltInRole")))
			json_array_append_new(value, builtin_json(x, &builtins[i]));
	if (!f.role_type || !strcasecmp(f.role_type, "CustomRole"))
		r = own_list(x, &f, value);
	x->result = json_pack("{s:o}", "value", value);
	return r;
}

/* --- one: its checks ------------------------------------------------------------------------------------ */

static int
bad(struct arm_extension_call *x, const char *code, const char *target, const char *text)
{
	return arm_refuse_at(x->s->error, 400, code, target, "%s", text);
}

static bool
is_action(const char *s)
{
	if (!strcmp(s, "*"))
		return true;
	if (strlen(s) > 512 || !strchr(s, '/') || *s == '/' || strstr(s, "//"))
		return false;
	return !s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
			    "._-*/")] &&
	       s[strlen(s) - 1] != '/';
}

/* Copies the four lists of a permission, absent ones as empty. NULL: refused. */
static json_t *
permission_read(struct arm_extension_call *x, const json_t *in, const char *path)
{
	static const char *const lists[] = { "actions", "notActions", "dataActions",
					     "notDataActions" };
	struct arena *a = x->s->arena;
	json_t *out = json_object();

	for (size_t k = 0; k < COUNT(lists); k++) {
		const json_t *list = json_object_get(in, lists[k]);
		const char *where = arena_printf(a, "%s.%s", path, lists[k]);
		json_t *one;
		size_t i;

		if (list && !json_is_null(list) &&
		    (!json_is_array(list) || json_array_size(list) > MAX_ACTIONS)) {
			bad(x, "InvalidActionOrNotAction", where,
			    "It must be a list of at most 500 actions.");
			goto refused;
		}
		json_array_foreach((json_t *)list, i, one)
			if (!json_is_string(one) || !is_action(json_string_value(one))) {
				arm_refuse_at(x->s->error, 400, "InvalidActionOrNotAction",
					      arena_printf(a, "%s[%zu]", where, i),
					      "'%.200s' is not an action: 'Namespace/type/verb', "
					      "where '*' stands for any run of characters.",
					      json_string_value(one) ? json_string_value(one) : "");
				goto refused;
			}
		json_object_set_new(out, lists[k],
				    json_is_array(list) ? json_deep_copy(list) : json_array());
	}
	return out;
refused:
	json_decref(out);
	return NULL;
}

static int
permissions_read(struct arm_extension_call *x, json_t *props)
{
	const json_t *in = arm_at(x->body, "properties.permissions");
	json_t *out = json_array(), *one;
	size_t i;

	json_object_set_new(props, "permissions", out);
	if (!json_is_array(in) || !json_array_size(in) || json_array_size(in) > MAX_RULES)
		return bad(x, "RoleDefinitionPermissionsInvalid", "properties.permissions",
			   "It must be a list of 1 to 16 permissions.");
	json_array_foreach((json_t *)in, i, one) {
		json_t *p = permission_read(
			x, one, arena_printf(x->s->arena, "properties.permissions[%zu]", i));

		if (!p)
			return -EBADE;
		json_array_append_new(out, p);
	}
	return 0;
}

static int
scopes_read(struct arm_extension_call *x, const char *tenant, json_t *props)
{
	const json_t *in = arm_at(x->body, "properties.assignableScopes");
	struct arena *a = x->s->arena;
	json_t *one;
	size_t i;

	if (!json_is_array(in) || !json_array_size(in) || json_array_size(in) > MAX_SCOPES)
		return bad(x, "InvalidAssignableScopes", "properties.assignableScopes",
			   "It must be a list of 1 to 100 scopes.");
	json_array_foreach((json_t *)in, i, one) {
		const char *text = json_string_value(one) ? json_string_value(one) : "";
		const char *scope = arm_id_fold(a, text), *of = scope_tenant(x->s->tx, a, scope);
		const char *where = arena_printf(a, "properties.assignableScopes[%zu]", i);

		if (*text != '/' || !text[1])
			return arm_refuse_at(
				x->s->error, 400, "InvalidAssignableScopes", where,
				"'%.200s' is not a scope of a role of one's own: a "
				"subscription, a resource group or a management group.",
				text);
		if (!of || strcmp(of, tenant) != 0)
			return arm_refuse_at(x->s->error, 400, "InvalidAssignableScopes", where,
					     "There is no scope '%.200s' in this tenant.", text);
		if (!arm_may(x->s, "Microsoft.Authorization/roleDefinitions/write", scope))
			return arm_deny(x->s, "Microsoft.Authorization/roleDefinitions/write",
					text);
	}
	json_object_set(props, "assignableScopes", (json_t *)in);
	return 0;
}

static int
name_read(struct arm_extension_call *x, json_t *props, const char **ret)
{
	const char *name = arm_str(x->body, "properties.roleName", NULL);
	const char *text = arm_str(x->body, "properties.description", "");

	if (!name || !*name || strlen(name) > 512)
		return bad(x, "RoleDefinitionNameNullOrEmpty", "properties.roleName",
			   "It must be a text of 1 to 512 characters.");
	if (strlen(text) > 2048)
		return bad(x, "RoleDefinitionDescriptionTooLong", "properties.description",
			   "It must be at most 2048 characters.");
	for (size_t i = 0; i < COUNT(builtins); i++)
		if (!strcasecmp(builtins[i].name, name))
			return arm_refuse_at(x->s->error, 409, "RoleDefinitionWithSameNameExists",
					     "properties.roleName",
					     "A built-in role has the name '%s'.", name);
	json_object_set_new(props, "roleName", json_string(name));
	json_object_set_new(props, "type", json_string("CustomRole"));
	json_object_set_new(props, "description", json_string(text));
	*ret = name;
	return 0;
}

static int
count_check(struct arm_extension_call *x, const char *tenant)
{
	int64_t n = 0;
	int r = store_role_count(x->s->tx, tenant, &n, NULL);

	if (r == 0 && n >= MAX_ROLES)
		return arm_refuse(x->s->error, 400, "RoleDefinitionLimitExceeded",
				  "The tenant has %d roles of its own, which is the limit.",
				  MAX_ROLES);
	return r;
}

/* --- one: get, put, delete ----------------------------------------------------------------------------- */

static void
stamp(struct arm_extension_call *x, json_t *props, const struct store_role *old)
{
	json_t *was = old ? json_loads(old->body, 0, NULL) : NULL;
	char now[32];

	utc_format(x->s->now_us, now);
	json_object_set_new(props, "createdOn", json_string(arm_str(was, "createdOn", now)));
	json_object_set_new(props, "createdBy",
			    json_string(arm_str(was, "createdBy", x->s->caller->oid)));
	json_object_set_new(props, "updatedOn", json_string(now));
	json_object_set_new(props, "updatedBy", json_string(x->s->caller->oid));
	json_decref(was);
}

/* Every scope of the old one must be the caller's to change, too. */
static int
old_check(struct arm_extension_call *x, const struct store_role *old, const char *action)
{
	struct role role;

	json_decref(role_load(x->s->arena, old, &role));
	for (const char *const *s = role.scopes; *s; s++)
		if (!arm_may(x->s, action, *s))
			return arm_deny(x->s, action, *s);
	return 0;
}

static int
own_put(struct arm_extension_call *x, const char *id, const struct store_role *old)
{
	const char *tenant = old ? old->tenant : tenant_of(x), *name = "";
	json_t *props = json_object();
	struct store_role row = { .id = id, .tenant = tenant };
	char *text = NULL;
	int r = old ? old_check(x, old, "Microsoft.Authorization/roleDefinitions/write")
		    : count_check(x, tenant);

	if (r == 0)
		r = name_read(x, props, &name);
	if (r == 0)
		r = permissions_read(x, props);
	if (r == 0)
		r = scopes_read(x, tenant, props);
	if (r == 0) {
		stamp(x, props, old);
		row.name = name;
		row.body = text = json_dumps(props, JSON_COMPACT);
		r = store_role_put(x->s->tx, &row, NULL);
		if (r == -EEXIST)
			r = arm_refuse_at(x->s->error, 409, "RoleDefinitionWithSameNameExists",
					  "properties.roleName",
					  "Another role of the tenant has the name '%s'.", name);
	}
	if (r == 0) {
		x->result = shown(x, id, json_incref(props));
		x->status = 201;
	}
	free(text);
	json_decref(props);
	return r;
}

static int
own_delete(struct arm_extension_call *x, const struct store_role *old)
{
	int r = old_check(x, old, "Microsoft.Authorization/roleDefinitions/delete");

	if (r < 0)
		return r;
	r = store_role_is_assigned(x->s->tx, old->id, NULL);
	if (r == 1)
		return arm_refuse(x->s->error, 400, "RoleDefinitionHasAssignments",
				  "There are existing role assignments that use the role '%s'. "
				  "Delete them first.",
				  old->name);
	if (r == 0)
		r = store_role_delete(x->s->tx, old->id, NULL);
	if (r == 0)
		x->result = own_json(x, old);
	return r;
}

static int
definition_one(struct arm_extension_call *x)
{
	const char *id = arm_id_fold(x->s->arena, x->seg[1]) + 1;
	struct store_role old;
	bool is_there;
	int r;

	for (size_t i = 0; i < COUNT(builtins); i++) {
		if (strcasecmp(builtins[i].id, id) != 0)
			continue;
		if (x->method != ARM_GET)
			return arm_refuse(x->s->error, 400, "RoleDefinitionReadOnly",
					  "'%s' is a built-in role and cannot be changed.",
					  builtins[i].name);
		x->result = builtin_json(x, &builtins[i]);
		return 0;
	}
	if (!is_guid(id))
		return arm_refuse(x->s->error, 400, "InvalidRoleDefinitionId",
				  "The role definition ID '%s' is not valid. It must be a GUID.",
				  x->seg[1]);
	r = store_role_get(x->s->tx, x->s->arena, id, &old, NULL);
	if (r < 0)
		return r;
	is_there = r == 1 && !strcmp(old.tenant, tenant_of(x));
	if (r == 1 && !is_there && x->method == ARM_PUT)
		return arm_refuse(x->s->error, 409, "RoleDefinitionIdConflict",
				  "The id '%s' is taken. Choose another.", id);
	if (x->method == ARM_PUT)
		return own_put(x, id, is_there ? &old : NULL);
	if (x->method == ARM_DELETE && is_there)
		return own_delete(x, &old);
	if (x->method == ARM_DELETE) {
		x->status = 204;
		return 0;
	}
	if (!is_there)
		return arm_refuse(x->s->error, 404, "RoleDefinitionDoesNotExist",
				  "The specified role definition with ID '%s' does not exist.",
				  x->seg[1]);
	x->result = own_json(x, &old);
	return 0;
}

int
role_handle(struct arm_extension_call *x)
{
	static const char *const actions[] = {
		[ARM_GET] = "Microsoft.Authorization/roleDefinitions/read",
		[ARM_PUT] = "Microsoft.Authorization/roleDefinitions/write",
		[ARM_DELETE] = "Microsoft.Authorization/roleDefinitions/delete",
	};
	const char *action = x->method < COUNT(actions) ? actions[x->method] : NULL;

	if (!action || (x->n_seg == 1 && x->method != ARM_GET))
		return arm_refuse(x->s->error, 405, "MethodNotAllowed",
				  "A role definition can be read, put and deleted.");
	/* Everybody may know the built-in roles and his tenant's own at "/": no scope is named. Writing
	 * is decided at the assignable scopes. */
	if (strcmp(x->scope, "/") != 0 && !arm_may(x->s, action, x->scope))
		return arm_deny(x->s, action, x->scope);
	return x->n_seg == 2 ? definition_one(x) : definitions_list(x);
}
