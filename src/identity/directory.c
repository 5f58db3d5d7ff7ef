/* The rules of a directory over the store's tables. */
#include "identity/directory.h"
#include "identity/role.h"

#include "base/mono.h"

#include <ctype.h>

const char *
directory_scope(struct arena *a, const char *tenant)
{
	return arena_printf(a, MGROUP_PREFIX "%s", tenant);
}

int
directory_tenant_put(struct store_tx *tx, struct arena *a, const struct store_tenant *t,
		     struct err *e)
{
	const struct store_mgroup root = {
		.name = t->id,
		.id = t->id,
		.tenant = t->id,
		.shown = "Tenant Root Group",
		.parent = "",
		.changed_us = t->created_us,
	};
	int r = store_tenant_put(tx, t, e);

	return r < 0 ? r : store_mgroup_put(tx, &root, e);
}

int
directory_subscription_new(struct store_tx *tx, struct arena *a, const char *tenant,
			   const char *name, const char *group, const char **ret_id, struct err *e)
{
	struct store_subscription sub = { .tenant = tenant, .name = name, .state = "Enabled" };
	char guid[37];
	int r;

	guid_make(guid);
	*ret_id = sub.id = arena_strdup(a, guid);
	r = store_subscription_put(tx, &sub, e);
	return r < 0 || !group ? r : store_subscription_place(tx, sub.id, group, e);
}

int
directory_assign(struct store_tx *tx, struct arena *a, const char *scope, const char *role,
		 const char *oid, const char *type, const char *by, const char **ret_id,
		 struct err *e)
{
	const char *sub = scope_subscription(a, scope),
		   *base = strcmp(scope, "/") != 0 ? scope : "";
	struct store_assignment s = { .scope = arm_id_fold(a, scope),
				      .role = role,
				      .principal = oid };
	char guid[37], now[32];
	json_t *body;
	char *text;
	int r;

	guid_make(guid);
	s.id = arena_printf(a, "%s/providers/Microsoft.Authorization/roleAssignments/%s", base,
			    guid);
	s.fold = arm_id_fold(a, s.id);
	utc_format(utc_now_us(), now);
	body = json_pack(
		"{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "scope", scope, "roleDefinitionId",
		arena_printf(a, "%s%s/providers/Microsoft.Authorization/roleDefinitions/%s",
			     sub ? "/subscriptions/" : "", sub ? sub : "", role),
		"principalId", oid, "principalType", type, "createdOn", now, "updatedOn", now,
		"createdBy", by, "updatedBy", by);
	text = json_dumps(body, JSON_COMPACT);
	s.body = text;
	r = store_assignment_put(tx, &s, e);
	free(text);
	json_decref(body);
	if (ret_id)
		*ret_id = s.id;
	return r == -EEXIST ? 0 : r;
}

int
directory_principal_new(struct store_tx *tx, struct arena *a, struct store_principal *p,
			struct err *e)
{
	char oid[37];

	guid_make(oid);
	p->oid = arena_strdup(a, oid);
	if (!p->client_id)
		p->client_id = p->oid;
	p->rev = 1;
	p->created_us = p->changed_us = utc_now_us();
	return store_principal_put(tx, p, e);
}

int
directory_principal(struct store_tx *tx, struct arena *a, const char *tenant, const char *kind,
		    const char *oid, struct store_principal *ret, struct err *e)
{
	int r = is_guid(oid) ? store_principal_get(tx, a, arm_id_fold(a, oid) + 1, ret, e) : 0;

	if (r == 1 && (strcmp(ret->tenant, tenant) != 0 || (kind && strcmp(ret->kind, kind) != 0)))
		return 0;
	return r;
}

bool
directory_name_is_valid(const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < n; i++)
		if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f)
			return false;
	return n && n <= DIRECTORY_MAX_NAME;
}

bool
directory_upn_is_valid(const char *upn)
{
	const char *at = strchr(upn, '@');

	if (!directory_name_is_valid(upn) || !at || at == upn || !at[1] || strchr(at + 1, '@'))
		return false;
	for (const char *p = upn; *p; p++)
		if (isspace((unsigned char)*p) || strchr("\"'<>\\/,;:()[]", *p))
			return false;
	return true;
}

int
directory_admin_new(struct store_tx *tx, struct arena *a, const char *tenant, const char *name,
		    struct store_principal *ret, const char **ret_secret, struct err *e)
{
	struct store_credential c;
	char client[37];
	int r;

	guid_make(client);
	*ret = (struct store_principal){
		.client_id = arena_strdup(a, client),
		.tenant = tenant,
		.kind = "ServicePrincipal",
		.name = name,
	};
	r = directory_principal_new(tx, a, ret, e);
	return r < 0 ? r : secret_add(tx, a, ret->oid, "first", 0, 0, ret_secret, &c, e);
}
