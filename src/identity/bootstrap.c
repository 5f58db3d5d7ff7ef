/* The first start: a tenant, subscriptions, and one principal of each kind with its role. Everything
 * is looked up first, so that a second run changes nothing. */
#include "identity/directory.h"
#include "identity/internal.h"

static const struct first {
	const char *name, *role, *scope; /* scope: fact naming a subscription, or "/" */
} firsts[IDENTITY_FIRST] = {
	{ "customer", ROLE_OWNER, "subscription" },
	{ "provider", ROLE_PROVIDER, "provider-subscription" },
	{ "operator", ROLE_OWNER, "/" },
	{ "reader", ROLE_READER, "subscription" },
	{ "nobody", NULL, NULL },
	{ "customer2", ROLE_OWNER, "customer2-subscription" },
};

static int
fact(struct store_tx *tx, struct arena *a, const char *name, const char **ret, struct err *e)
{
	char guid[37];
	int r = store_fact_get(tx, a, name, ret, e);

	if (r != 0)
		return MIN(r, 0);
	guid_make(guid);
	*ret = arena_strdup(a, guid);
	return store_fact_put(tx, name, *ret, e);
}

static int
subscription(struct store_tx *tx, struct arena *a, const char *tenant, const char *fact_name,
	     const char *shown, const char **ret, struct err *e)
{
	struct store_subscription sub = { .tenant = tenant, .name = shown, .state = "Enabled" };
	int r = fact(tx, a, fact_name, ret, e);

	if (r < 0)
		return r;
	sub.id = *ret;
	r = store_subscription_get(tx, a, sub.id, &sub, e);
	return r ? MIN(r, 0) : store_subscription_put(tx, &sub, e);
}

static int
assign(struct store_tx *tx, struct arena *a, const struct first *f, const char *oid,
       const char *sub_scope, struct err *e)
{
	bool all = !strcmp(f->scope, "/");
	const char *scope = all ? "/" : sub_scope, *prefix = all ? "" : sub_scope;
	struct store_assignment s = { .scope = scope, .role = f->role, .principal = oid };
	char guid[37], now[32];
	json_t *body;
	char *text;
	int r;

	guid_make(guid);
	s.id = arena_printf(a, "%s/providers/Microsoft.Authorization/roleAssignments/%s", prefix,
			    guid);
	s.fold = arm_id_fold(a, s.id);
	utc_format(utc_now_us(), now);
	body = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "scope", scope, "roleDefinitionId",
			 arena_printf(a, "%s/providers/Microsoft.Authorization/roleDefinitions/%s",
				      prefix, f->role),
			 "principalId", oid, "principalType", "ServicePrincipal", "createdOn", now,
			 "updatedOn", now);
	text = json_dumps(body, JSON_COMPACT);
	s.body = text;
	r = store_assignment_put(tx, &s, e);
	free(text);
	json_decref(body);
	return r;
}

static int
principal(struct store_tx *tx, struct arena *a, const char *tenant, const struct first *f,
	  const char *sub, struct identity_first *ret, struct err *e)
{
	const char *scope = arena_printf(a, "/subscriptions/%s", sub ? sub : "");
	struct store_principal p = { .tenant = tenant,
				     .kind = "ServicePrincipal",
				     .name = f->name };
	struct store_credential c;
	char oid[37];
	int r;

	*ret = (struct identity_first){ .name = f->name };
	r = fact(tx, a, arena_printf(a, "client-%s", f->name), &ret->client_id, e);
	if (r < 0)
		return r;
	r = store_principal_by_client(tx, a, ret->client_id, &p, e);
	if (r != 0) {
		ret->oid = p.oid;
		return MIN(r, 0);
	}
	guid_make(oid);
	p.oid = ret->oid = arena_strdup(a, oid);
	p.client_id = ret->client_id;
	p.created_us = p.changed_us = utc_now_us();
	r = store_principal_put(tx, &p, e);
	if (r == 0)
		r = secret_add(tx, a, p.oid, "first", 0, 0, &ret->secret, &c, e);
	return r < 0 || !f->role ? r : assign(tx, a, f, p.oid, scope, e);
}

static int
tenant_ensure(struct store_tx *tx, struct arena *a, const char *id, struct err *e)
{
	struct store_tenant t = { .id = id, .name = "Wayleave", .created_us = utc_now_us() };
	int r = store_tenant_get(tx, a, id, &t, e);

	return r ? MIN(r, 0) : directory_tenant_put(tx, a, &t, e);
}

struct boot {
	struct arena *a;
	struct identity_bootstrap *ret;
};

static int
bootstrap_run(struct store_tx *tx, void *arg, struct err *e)
{
	struct boot *b = arg;
	struct identity_bootstrap *v = b->ret;
	int r = fact(tx, b->a, "tenant", &v->tenant, e);

	if (r == 0)
		r = tenant_ensure(tx, b->a, v->tenant, e);
	if (r == 0)
		r = subscription(tx, b->a, v->tenant, "subscription", "Customer", &v->subscription,
				 e);
	if (r == 0)
		r = subscription(tx, b->a, v->tenant, "provider-subscription", "Provider",
				 &v->provider_subscription, e);
	if (r == 0)
		r = subscription(tx, b->a, v->tenant, "operator-subscription", "Operator",
				 &v->operator_subscription, e);
	if (r == 0)
		r = subscription(tx, b->a, v->tenant, "customer2-subscription", "Second customer",
				 &v->customer2_subscription, e);
	for (size_t i = 0; i < IDENTITY_FIRST && r == 0; i++) {
		const char *scope = firsts[i].scope ? firsts[i].scope : "";
		const char *sub = *scope == 'p' ? v->provider_subscription
				  : !strcmp(scope, "customer2-subscription")
					  ? v->customer2_subscription
					  : v->subscription;

		r = principal(tx, b->a, v->tenant, &firsts[i], sub, &v->first[i], e);
	}
	return r;
}

int
identity_bootstrap(struct store *s, struct arena *a, struct identity_bootstrap *ret, struct err *e)
{
	struct boot b = { a, ret };

	return store_write(s, bootstrap_run, &b, e);
}
