/* The platform's own: tenants, subscriptions, locations, operations; and who answers which path. */
#include "arm/internal.h"
#include "store/directory.h"

#include <strings.h>

/* --- subscriptions and tenants ------------------------------------------------------------------------ */

static json_t *
subscription_json(struct ctx *c, struct arm_snapshot *s, const struct store_subscription *sub)
{
	struct store_tenant t;
	json_t *managed = json_array();
	char id[128];

	/* The reseller, whether or not he still holds a role there. */
	if (store_tenant_get(s->tx, c->a, sub->tenant, &t, NULL) == 1 && *t.partner)
		json_array_append_new(managed, json_pack("{s:s}", "tenantId", t.partner));
	snprintf(id, sizeof(id), "/subscriptions/%s", sub->id);
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:{s:s, s:s, s:s}}", "id", id,
			 "subscriptionId", sub->id, "tenantId", sub->tenant, "displayName",
			 sub->name, "state", sub->state, "authorizationSource", "RoleBased",
			 "managedByTenants", managed, "subscriptionPolicies", "locationPlacementId",
			 "Public_2014-09-01", "quotaId", "PayAsYouGo_2014-09-01", "spendingLimit",
			 "Off");
}

static int
subscriptions_run(struct ctx *c, struct arm_snapshot *s)
{
	const struct arm_auth *auth = &c->en->cfg.auth;
	const char *token = query_param(c->a, c->req->query, "$skiptoken");
	struct store_subscription *subs;
	json_t *value;
	size_t n = 0;
	int r = auth->subscriptions(auth->ctx, s->tx, c->a, &c->caller,
				    token ? token_decode(c->a, token) : NULL, PAGE, &subs, &n,
				    &c->err);

	if (r < 0)
		return r;
	value = json_array();
	for (size_t i = 0; i < n; i++)
		json_array_append_new(value, subscription_json(c, s, &subs[i]));
	c->resp.body = json_pack("{s:o}", "value", value);
	if (n == PAGE)
		json_object_set_new(c->resp.body, "nextLink",
				    json_string(next_link(c, subs[n - 1].id)));
	c->resp.status = 200;
	return 0;
}

static int
subscription_run(struct ctx *c, struct arm_snapshot *s)
{
	struct store_subscription sub;
	const char *id = fold(c->a, c->path.seg[1]);
	int r = authorise(c, s->tx, id, NULL, "/");

	if (r < 0)
		return r;
	r = store_subscription_get(s->tx, c->a, id, &sub, &c->err);
	if (r < 0)
		return r;
	assert(r == 1); /* authorise() found it in this snapshot */
	c->resp.body = subscription_json(c, s, &sub);
	c->resp.status = 200;
	return 0;
}

static int
tenants_run(struct ctx *c, struct arm_snapshot *s)
{
	const char *id = c->caller.tenant;
	struct store_tenant t;
	int r = store_tenant_get(s->tx, c->a, id, &t, &c->err);

	if (r < 0)
		return r;
	if (r == 0)
		t = (struct store_tenant){ .name = "", .domain = "" };
	c->resp.body = json_pack("{s:[{s:s, s:s, s:s, s:s, s:s, s:[s*]}]}", "value", "id",
				 arena_printf(c->a, "/tenants/%s", id), "tenantId", id,
				 "tenantCategory", "Home", "displayName", t.name, "defaultDomain",
				 t.domain, "domains", *t.domain ? t.domain : NULL);
	c->resp.status = 200;
	return 0;
}

static int
locations_run(struct ctx *c, struct arm_snapshot *s)
{
	const char *sub = c->path.seg[1];
	json_t *all, *one;
	size_t i;
	int r = authorise(c, s->tx, sub, NULL, "/");

	if (r < 0)
		return r;
	all = c->en->cfg.locations ? c->en->cfg.locations(s, s->ctx) : json_array();
	json_array_foreach(all, i, one) {
		const char *name = arm_str(one, "name", "");

		json_object_set_new(one, "id",
				    json_string(arena_printf(c->a, "/subscriptions/%s/locations/%s",
							     sub, name)));
		if (!json_object_get(one, "type"))
			json_object_set_new(one, "type", json_string("Region"));
		if (!json_object_get(one, "displayName"))
			json_object_set_new(one, "displayName", json_string(name));
		if (!json_object_get(one, "regionalDisplayName"))
			json_object_set(one, "regionalDisplayName",
					json_object_get(one, "displayName"));
		if (!json_object_get(one, "metadata"))
			json_object_set_new(one, "metadata",
					    json_pack("{s:s, s:s}", "regionType", "Physical",
						      "regionCategory", "Recommended"));
	}
	c->resp.body = json_pack("{s:o}", "value", all);
	c->resp.status = 200;
	return 0;
}

/* --- dispatch ------------------------------------------------------------------------------------------- */

/* '?' matches one segment. fn answers GET alone in a reading transaction, handle every method. */
static const struct route {
	const char *pattern;
	int (*fn)(struct ctx *c, struct arm_snapshot *s);
	int (*handle)(struct ctx *c);
} routes[] = {
	{ "tenants", tenants_run, NULL },
	{ "subscriptions", subscriptions_run, NULL },
	{ "subscriptions/?", subscription_run, NULL },
	{ "subscriptions/?/locations", locations_run, NULL },
	{ "subscriptions/?/resourcegroups", groups_run, NULL },
	{ "subscriptions/?/resourcegroups/?", NULL, handle_group },
	{ "subscriptions/?/resourcegroups/?/resources", resources_run, NULL },
	{ "subscriptions/?/resourcegroups/?/moveResources", NULL, handle_move },
	{ "subscriptions/?/resourcegroups/?/validateMoveResources", NULL, handle_move },
	{ "subscriptions/?/resources", resources_run, NULL },
	{ "subscriptions/?/providers", providers_run, NULL },
	{ "subscriptions/?/providers/?", providers_run, NULL },
	{ "subscriptions/?/providers/?/register", NULL, handle_registration },
	{ "subscriptions/?/providers/?/unregister", NULL, handle_registration },
	{ "providers", providers_run, NULL },
	{ "providers/?", providers_run, NULL },
	{ "subscriptions/?/tagNames", NULL, handle_tag_names },
	{ "subscriptions/?/tagNames/?", NULL, handle_tag_names },
	{ "subscriptions/?/tagNames/?/tagValues/?", NULL, handle_tag_names },
	{ "subscriptions/?/operationresults/?", NULL, handle_group_operation },
};

static bool
route_matches(const char *pattern, const struct path *p)
{
	size_t i = 0;

	for (; *pattern && i < p->n; i++) {
		size_t n = strcspn(pattern, "/");

		if (*pattern != '?' &&
		    (strlen(p->seg[i]) != n || strncasecmp(pattern, p->seg[i], n) != 0))
			return false;
		pattern += n + (pattern[n] == '/');
	}
	return !*pattern && i == p->n;
}

int
handle_platform(struct ctx *c, bool *ret_is_mine)
{
	*ret_is_mine = false;
	for (const struct route *t = routes; t < routes + COUNT(routes); t++) {
		if (!route_matches(t->pattern, &c->path))
			continue;
		*ret_is_mine = true;
		if (t->handle)
			return t->handle(c);
		if (c->req->method != ARM_GET)
			return arm_refuse(&c->error, 405, "MethodNotAllowed",
					  "Only GET is offered here.");
		return reading(c, t->fn);
	}
	return 0;
}
