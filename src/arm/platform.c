/* The platform's own resources: tenants, subscriptions, locations, resource groups, providers and
 * the generic list of resources. */
#include "arm/internal.h"

#include <strings.h>

const struct arm_type arm_group_type = {
	.ns = "Microsoft.Resources",
	.name = "resourceGroups",
	.flags = ARM_TRACKED,
	.name_max = 90,
};

/* --- subscriptions and tenants ------------------------------------------------------------------------ */

static json_t *
subscription_json(const struct store_subscription *sub)
{
	char id[128];

	snprintf(id, sizeof(id), "/subscriptions/%s", sub->id);
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:[], s:{s:s, s:s, s:s}}", "id", id,
			 "subscriptionId", sub->id, "tenantId", sub->tenant, "displayName",
			 sub->name, "state", sub->state, "authorizationSource", "RoleBased",
			 "managedByTenants", "subscriptionPolicies", "locationPlacementId",
			 "Public_2014-09-01", "quotaId", "PayAsYouGo_2014-09-01", "spendingLimit",
			 "Off");
}

static int
subscriptions_run(struct ctx *c, struct arm_snapshot *s)
{
	const struct arm_auth *auth = &c->en->cfg.auth;
	const char *token = query_param(c->a, c->req->query, "$skiptoken");
	struct store_subscription *subs;
	json_t *value = json_array();
	size_t n = 0;
	int r = store_subscription_list(s->tx, c->a, c->caller.tenant,
					token ? token_decode(c->a, token) : NULL, PAGE, &subs, &n,
					&c->err);

	for (size_t i = 0; i < n && r >= 0; i++)
		if (auth->sees(auth->ctx, s->tx, c->a, &c->caller, subs[i].id))
			json_array_append_new(value, subscription_json(&subs[i]));
	c->resp.body = json_pack("{s:o}", "value", value);
	if (n == PAGE)
		json_object_set_new(c->resp.body, "nextLink",
				    json_string(next_link(c, subs[n - 1].id)));
	c->resp.status = 200;
	return r;
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
	c->resp.body = subscription_json(&sub);
	c->resp.status = 200;
	return 0;
}

static int
tenants_run(struct ctx *c, struct arm_snapshot *s)
{
	const char *t = c->caller.tenant;

	c->resp.body = json_pack("{s:[{s:s, s:s, s:s, s:s}]}", "value", "id",
				 arena_printf(c->a, "/tenants/%s", t), "tenantId", t,
				 "tenantCategory", "Home", "displayName", "Wayleave");
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

/* --- providers ------------------------------------------------------------------------------------------- */

static void
types_json(struct ctx *c, json_t *out, const struct arm_type *const *types, const char *prefix,
	   json_t *locations)
{
	for (; types && *types; types++) {
		const char *name = arena_printf(c->a, "%s%s", prefix, (*types)->name);

		json_array_append_new(
			out,
			json_pack("{s:s, s:O, s:[s,s,s,s,s,s,s,s,s], s:s, s:s}", "resourceType",
				  name, "locations", locations, "apiVersions", "2024-05-01",
				  "2023-09-01", "2022-07-01", "2022-01-01", "2021-08-01",
				  "2021-04-01", "2020-07-01", "2018-04-01", "2018-02-01",
				  "defaultApiVersion", "2024-05-01", "capabilities",
				  (*types)->flags & ARM_TRACKED ? "SupportsTags, SupportsLocation"
								: "None"));
		types_json(c, out, (*types)->children, arena_printf(c->a, "%s/", name), locations);
	}
}

static json_t *
provider_json(struct ctx *c, struct arm_snapshot *s, const char *sub, const char *ns,
	      const struct arm_provider *p)
{
	static const struct arm_type *const groups[] = { &arm_group_type, NULL };
	json_t *types = json_array(), *names = json_array(), *one, *all;
	size_t i;

	all = c->en->cfg.locations ? c->en->cfg.locations(s, s->ctx) : json_array();
	json_array_foreach(all, i, one)
		json_array_append(names, json_object_get(one, "displayName")
						 ? json_object_get(one, "displayName")
						 : json_object_get(one, "name"));
	types_json(c, types, p ? p->types : groups, "", names);
	for (const char *const *w =
		     (const char *const[]){ "operations", "locations", "locations/operations",
					    "locations/operationResults", NULL };
	     p && *w; w++)
		json_array_append_new(types,
				      json_pack("{s:s, s:O, s:[s]}", "resourceType", *w,
						"locations", names, "apiVersions", "2024-05-01"));
	json_decref(all);
	json_decref(names);
	return json_pack("{s:s, s:s, s:s, s:s, s:o}", "id",
			 arena_printf(c->a, "/subscriptions/%s/providers/%s", sub, ns), "namespace",
			 ns, "registrationState", "Registered", "registrationPolicy",
			 "RegistrationRequired", "resourceTypes", types);
}

static int
providers_run(struct ctx *c, struct arm_snapshot *s)
{
	const struct path *p = &c->path;
	const char *sub = p->seg[1], *want = p->n > 3 ? p->seg[3] : NULL;
	json_t *value = json_array();
	int r = authorise(c, s->tx, sub, NULL, "/");

	for (const struct arm_provider *const *x = c->en->cfg.providers; r == 0 && x && *x; x++)
		if (!want || same(want, (*x)->ns))
			json_array_append_new(value, provider_json(c, s, sub, (*x)->ns, *x));
	if (r == 0 && (!want || same(want, "Microsoft.Resources")))
		json_array_append_new(value, provider_json(c, s, sub, "Microsoft.Resources", NULL));
	for (const struct arm_extension *x = c->en->cfg.extensions; r == 0 && x && x->ns; x++)
		if (!want || same(want, x->ns))
			json_array_append_new(
				value,
				json_pack("{s:s, s:s, s:s, s:s, s:[]}", "id",
					  arena_printf(c->a, "/subscriptions/%s/providers/%s", sub,
						       x->ns),
					  "namespace", x->ns, "registrationState", "Registered",
					  "registrationPolicy", "RegistrationFree",
					  "resourceTypes"));
	c->resp.status = 200;
	if (r == 0 && want && !json_array_size(value))
		r = arm_refuse(&c->error, 404, "InvalidResourceNamespace",
			       "The resource namespace '%s' is invalid.", want);
	if (r < 0 || want) {
		c->resp.body = r < 0 ? NULL : json_incref(json_array_get(value, 0));
		json_decref(value);
		return r;
	}
	c->resp.body = json_pack("{s:o}", "value", value);
	return 0;
}

/* --- resource groups ----------------------------------------------------------------------------------------- */

#define GROUP_READ "Microsoft.Resources/subscriptions/resourceGroups/read"
#define GROUP_WRITE "Microsoft.Resources/subscriptions/resourceGroups/write"
#define GROUP_DELETE "Microsoft.Resources/subscriptions/resourceGroups/delete"

static const char *
group_id(struct ctx *c)
{
	return arena_printf(c->a, "/subscriptions/%s/resourceGroups/%s", c->path.seg[1],
			    c->path.seg[3]);
}

static json_t *
group_json(struct arm_snapshot *s, const struct arm_resource *r)
{
	json_t *j = view_resource(s, r);

	json_object_set_new(j, "type", json_string("Microsoft.Resources/resourceGroups"));
	if (!json_object_get(j, "tags"))
		json_object_set_new(j, "tags", json_object());
	return j;
}

static int
group_missing(struct ctx *c)
{
	return arm_refuse(&c->error, 404, "ResourceGroupNotFound",
			  "Resource group '%s' could not be found.", c->path.seg[3]);
}

static int
group_get_run(struct ctx *c, struct arm_snapshot *s)
{
	const struct arm_resource *r;
	int bad = authorise(c, s->tx, c->path.seg[1], GROUP_READ, group_id(c));

	if (bad < 0)
		return bad;
	r = arm_get(s, group_id(c));
	if (!r)
		return group_missing(c);
	c->resp.status = c->req->method == ARM_HEAD ? 204 : 200;
	if (c->req->method != ARM_HEAD)
		c->resp.body = group_json(s, r);
	return 0;
}

static int
groups_run(struct ctx *c, struct arm_snapshot *s)
{
	const char *sub = c->path.seg[1], *scope = arena_printf(c->a, "/subscriptions/%s", sub);
	const char *token = query_param(c->a, c->req->query, "$skiptoken");
	struct store_filter f = {
		.sub = fold(c->a, sub),
		.type = GROUP_TYPE_FOLD,
		.after = token ? token_decode(c->a, token) : NULL,
		.limit = PAGE,
	};
	struct store_resource *rows;
	json_t *value = json_array();
	size_t n = 0;
	int r = authorise(c, s->tx, sub, NULL, scope);
	bool all = r == 0 && may(c, s->tx, GROUP_READ, scope);

	if (r == 0)
		r = store_resource_list(s->tx, c->a, &f, &rows, &n, &c->err);
	for (size_t i = 0; i < n; i++)
		if (all || may(c, s->tx, GROUP_READ, rows[i].fold))
			json_array_append_new(
				value, group_json(s, entry_now(entry_from_row(s, &rows[i]))));
	c->resp.body = json_pack("{s:o}", "value", value);
	if (n == PAGE)
		json_object_set_new(c->resp.body, "nextLink",
				    json_string(next_link(c, rows[n - 1].fold)));
	c->resp.status = 200;
	return r;
}

static bool
group_name_is_valid(const char *name)
{
	size_t n = strlen(name);

	if (!n || n > 90 || name[n - 1] == '.')
		return false;
	for (size_t i = 0; i < n; i++) {
		unsigned char ch = (unsigned char)name[i];

		if (ch < 0x80 && !(ch >= '0' && ch <= '9') && !(ch >= 'a' && ch <= 'z') &&
		    !(ch >= 'A' && ch <= 'Z') && !strchr("()._-", ch))
			return false;
	}
	return true;
}

static int
group_put_run(struct ctx *c, struct arm_snapshot *s)
{
	const char *id = group_id(c), *loc;
	struct entry *en = entry_get(s, arm_id_fold(c->a, id));
	const struct arm_resource *now = entry_now(en);
	struct merge m = { c->a, &c->error, 0 };
	struct outcome out;
	json_t *tags;
	int r = authorise(c, s->tx, c->path.seg[1], GROUP_WRITE, id);

	if (r < 0)
		return r;
	if (!group_name_is_valid(c->path.seg[3]))
		return arm_refuse(
			&c->error, 400, "InvalidResourceGroup",
			"The resource group name '%s' is invalid: 1 to 90 letters, digits, "
			"'.', '_', '-', '(' or ')', not ending in a dot.",
			c->path.seg[3]);
	if (!c->body)
		return arm_refuse(&c->error, 400, "InvalidRequestContent", "The body is missing.");
	loc = json_string_value(json_object_get(c->body, "location"));
	if (!now && (!loc || !*loc))
		return arm_refuse_at(&c->error, 400, "LocationRequired", "location",
				     "The location property is required for this definition.");
	loc = loc && *loc ? location_fold(c->a, loc) : arm_str(now->body, "location", "");
	if (now && now->is_deleting)
		return arm_refuse(&c->error, 409, "ResourceGroupBeingDeleted",
				  "The resource group '%s' is being deleted.", now->name);
	if (now && strcmp(arm_str(now->body, "location", loc), loc))
		return arm_refuse(
			&c->error, 409, "InvalidResourceGroupLocation",
			"Invalid resource group location '%s'. The Resource group already "
			"exists in location '%s'.",
			loc, arm_str(now->body, "location", ""));
	if (!now && location_check(c, s, loc, "LocationNotAvailableForResourceGroup") < 0)
		return -EBADE;
	tags = tags_merge(&m, json_object_get(c->body, "tags"));
	r = merge_result(&m);
	if (r < 0) {
		json_decref(tags);
		return r;
	}
	if (now)
		entry_edit(s, en, true);
	else
		entry_create(s, &arm_group_type, id);
	json_object_set_new(en->want.body, "location", json_string(loc));
	json_object_set_new(en->want.body, "properties", json_object());
	if (json_object_get(c->body, "tags") || c->req->method == ARM_PUT)
		json_object_set(en->want.body, "tags", tags);
	json_decref(tags);
	c->resp.status = now ? 200 : 201;
	r = overlay_commit(s, fold(c->a, c->path.seg[1]), en->fold, "put", NULL, &out, &c->err);
	if (r == 0)
		r = event_add(c, s->tx, c->path.seg[1], c->path.seg[3], en->fold, GROUP_WRITE,
			      "Succeeded");
	if (r == 0)
		c->resp.body = group_json(s, &en->want);
	return r;
}

static int
group_patch_run(struct ctx *c, struct arm_snapshot *s)
{
	int r = authorise(c, s->tx, c->path.seg[1], GROUP_WRITE, group_id(c));

	if (r < 0)
		return r;
	if (!arm_get(s, group_id(c)))
		return group_missing(c);
	return group_put_run(c, s);
}

/* Deletes all that is inside, as far as it can be deleted in some order; else nothing. */
static int
members_delete(struct ctx *c, struct arm_snapshot *s, const char *after)
{
	struct store_filter f = {
		.sub = fold(c->a, c->path.seg[1]),
		.rg = fold(c->a, c->path.seg[3]),
		.after = after,
		.limit = 1000,
	};
	struct store_resource *rows;
	size_t n = 0, left = 0, was;
	int r = store_resource_list(s->tx, c->a, &f, &rows, &n, &c->err);

	for (size_t i = 0; i < n; i++)
		left += !entry_from_row(s, &rows[i])->have.is_deleting;
	if (r < 0)
		return r;
	do {
		was = left;
		c->error = (struct arm_error){ .arena = c->a, .base_url = c->en->base_url };
		for (size_t i = 0; i < n; i++) {
			struct entry *en = entry_from_row(s, &rows[i]);

			if (en->is_removed || !en->type || en->have.is_deleting)
				continue;
			if (en->type->flags & ARM_NO_DELETE) /* goes with another */
				continue;
			if (resource_delete(c, s, en) < 0)
				continue;
			entry_remove(en);
			left--;
		}
	} while (left && left != was);
	left = 0;
	for (size_t i = 0; i < n; i++) {
		struct entry *en = entry_from_row(s, &rows[i]);

		left += !en->is_removed && !en->have.is_deleting;
	}
	if (left)
		return arm_refuse(
			&c->error, 409, "ResourceGroupDeletionBlocked",
			"Deletion of resource group '%s' failed as %zu resources in it could "
			"not be deleted. %s",
			c->path.seg[3], left, c->error.message ? c->error.message : "");
	return n == 1000 ? members_delete(c, s, rows[n - 1].fold) : 0;
}

int
group_delete(struct ctx *c, struct arm_snapshot *s)
{
	const char *id = group_id(c);
	struct entry *en = entry_get(s, arm_id_fold(c->a, id));
	struct outcome out;
	int r = authorise(c, s->tx, c->path.seg[1], GROUP_DELETE, id);

	if (r < 0)
		return r;
	if (!entry_now(en))
		return group_missing(c);
	c->resp.status = 202;
	if (!en->have.is_deleting)
		r = members_delete(c, s, NULL);
	if (r < 0)
		return r;
	entry_remove(en);
	r = overlay_commit(s, fold(c->a, c->path.seg[1]), en->fold, "group", NULL, &out, &c->err);
	if (r == 0)
		r = event_add(c, s->tx, c->path.seg[1], c->path.seg[3], en->fold, GROUP_DELETE,
			      out.is_settled ? "Succeeded" : "Accepted");
	resp_header(c, "Location",
		    url(c, "/subscriptions/%s/operationresults/%s?api-version=%s", c->path.seg[1],
			out.operation, c->api_version));
	resp_header(c, "Retry-After", arena_printf(c->a, "%d", RETRY_AFTER));
	return r;
}

/* --- the generic list -------------------------------------------------------------------------------------------- */

struct wish {
	const char *type, *group, *name, *tag_name, *tag_value, *location;
};

/* field eq 'value' [and ...]; anything else is refused. */
static int
filter_parse(struct ctx *c, const char *text, struct wish *w)
{
	while (text && *text) {
		char field[32], value[256];
		const char **slot;
		int n = 0;

		if (sscanf(text, " %31[A-Za-z] %*1[eE]%*1[qQ] '%255[^']'%n", field, value, &n) !=
			    2 ||
		    !n)
			return arm_refuse(
				&c->error, 400, "InvalidFilterInQueryString",
				"Invalid $filter '%s': only field eq 'value', joined by and.",
				text);
		slot = same(field, "resourceType")    ? &w->type
		       : same(field, "resourceGroup") ? &w->group
		       : same(field, "name")          ? &w->name
		       : same(field, "tagName")       ? &w->tag_name
		       : same(field, "tagValue")      ? &w->tag_value
		       : same(field, "location")      ? &w->location
						      : NULL;
		if (!slot)
			return arm_refuse(&c->error, 400, "InvalidFilterInQueryString",
					  "Invalid $filter: '%s' cannot be asked for.", field);
		*slot = arena_strdup(c->a, value);
		text += n;
		text += strspn(text, " ");
		if (!strncasecmp(text, "and ", 4))
			text += 4;
		else if (*text)
			return arm_refuse(&c->error, 400, "InvalidFilterInQueryString",
					  "Invalid $filter near '%s'.", text);
	}
	return 0;
}

static bool
wish_matches(const struct wish *w, const struct arm_resource *r)
{
	const char *tag = w->tag_name ? json_string_value(json_object_get(
						json_object_get(r->body, "tags"), w->tag_name))
				      : NULL;

	if (r->type == &arm_group_type)
		return false;
	if (w->name && !same(w->name, r->name))
		return false;
	if (w->location && !same(w->location, arm_str(r->body, "location", "")))
		return false;
	return !w->tag_name || (tag && (!w->tag_value || !strcmp(tag, w->tag_value)));
}

static json_t *
generic_json(struct ctx *c, struct arm_snapshot *s, const struct arm_resource *r,
	     const struct store_resource *row)
{
	json_t *full = view_resource(s, r), *out = json_object(), *v;
	const char *expand = query_param(c->a, c->req->query, "$expand");
	char when[32];

	for (const char *const *k =
		     (const char *const[]){ "id", "name", "type", "location", "tags", "sku", NULL };
	     *k; k++) {
		v = json_object_get(full, *k);
		if (v)
			json_object_set(out, *k, v);
	}
	if (expand && strcasestr(expand, "createdTime"))
		json_object_set_new(out, "createdTime",
				    json_string(utc_format(row->created_us, when)));
	if (expand && strcasestr(expand, "changedTime"))
		json_object_set_new(out, "changedTime",
				    json_string(utc_format(row->changed_us, when)));
	if (expand && strcasestr(expand, "provisioningState"))
		json_object_set(out, "provisioningState",
				arm_at(full, "properties.provisioningState"));
	json_decref(full);
	return out;
}

static int
resources_run(struct ctx *c, struct arm_snapshot *s)
{
	const struct path *p = &c->path;
	const char *token = query_param(c->a, c->req->query, "$skiptoken");
	const char *scope = arena_printf(c->a, "/subscriptions/%s", p->seg[1]);
	struct wish w = { 0 };
	struct store_filter f = { .sub = fold(c->a, p->seg[1]), .limit = PAGE };
	struct store_resource *rows;
	json_t *value = json_array();
	size_t n = 0;
	int r = authorise(c, s->tx, p->seg[1], NULL, scope);

	if (r == 0)
		r = filter_parse(c, query_param(c->a, c->req->query, "$filter"), &w);
	if (p->n == 5)
		w.group = p->seg[3];
	f.rg = w.group ? fold(c->a, w.group) : NULL;
	f.type = w.type ? fold(c->a, w.type) : NULL;
	f.after = token ? token_decode(c->a, token) : NULL;
	if (r == 0)
		r = store_resource_list(s->tx, c->a, &f, &rows, &n, &c->err);
	for (size_t i = 0; i < n && r >= 0; i++) {
		const struct arm_resource *one = entry_now(entry_from_row(s, &rows[i]));
		const char *read;

		if (!one || !wish_matches(&w, one))
			continue;
		read = arena_printf(c->a, "%s/%s/read", one->type->ns, one->type->name);
		if (may(c, s->tx, read, rows[i].fold))
			json_array_append_new(value, generic_json(c, s, one, &rows[i]));
	}
	c->resp.body = json_pack("{s:o}", "value", value);
	if (n == PAGE && r >= 0)
		json_object_set_new(c->resp.body, "nextLink",
				    json_string(next_link(c, rows[n - 1].fold)));
	c->resp.status = 200;
	return r;
}

/* --- operations ----------------------------------------------------------------------------------------------------- */

struct poll_args {
	const char *id;
	bool results;
};

static int
operation_run(struct ctx *c, struct arm_snapshot *s)
{
	const struct poll_args *args = c->extra;
	struct store_operation op;
	json_t *result;
	int r = store_operation_get(s->tx, c->a, args->id, &op, &c->err);

	if (r < 0)
		return r;
	if (r == 0 || (strcmp(op.caller, c->caller.oid) &&
		       !may(c, s->tx, "Microsoft.Resources/subscriptions/operationresults/read",
			    *op.target ? op.target : "/")))
		return arm_refuse(&c->error, 404, "OperationNotFound",
				  "The operation '%s' could not be found.", args->id);
	result = op.result ? json_loads(op.result, 0, NULL) : NULL;
	if (op.status == STORE_OP_RUNNING) {
		resp_header(c, "Retry-After", arena_printf(c->a, "%d", RETRY_AFTER));
		if (args->results) {
			resp_header(c, "Location",
				    arena_printf(c->a, "%s%s?%s", c->en->base_url, c->req->path,
						 c->req->query ? c->req->query : ""));
			c->resp.status = 202;
			return 0;
		}
		c->resp.status = 200;
		c->resp.body = json_pack("{s:s}", "status", "InProgress");
	} else if (!args->results) {
		c->resp.status = 200;
		c->resp.body = json_incref(result);
		json_object_del(c->resp.body, "http");
	} else if (op.status == STORE_OP_FAILED) {
		c->resp.status = (int)arm_int(result, "http", 500);
		c->resp.body = json_pack("{s:O}", "error", json_object_get(result, "error"));
	} else if (!strcmp(op.what, "action")) {
		c->resp.status = 200;
		c->resp.body = json_incref(json_object_get(result, "properties"));
	} else {
		c->resp.status = strcmp(op.what, "put") ? 204 : 200;
		if (!strcmp(op.what, "put"))
			c->resp.body = json_incref(result);
	}
	json_decref(result);
	return 0;
}

int
handle_operation(struct ctx *c, const char *sub, const char *id, bool results)
{
	struct poll_args args = { fold(c->a, id), results };

	if (c->req->method != ARM_GET)
		return arm_refuse(&c->error, 405, "MethodNotAllowed", "Only GET is offered here.");
	c->extra = &args;
	return reading(c, operation_run);
}

/* --- dispatch ------------------------------------------------------------------------------------------------------------ */

static int
only_get(struct ctx *c, int (*fn)(struct ctx *c, struct arm_snapshot *s))
{
	if (c->req->method != ARM_GET)
		return arm_refuse(&c->error, 405, "MethodNotAllowed", "Only GET is offered here.");
	return reading(c, fn);
}

static int
handle_group(struct ctx *c)
{
	switch (c->req->method) {
	case ARM_GET:
	case ARM_HEAD:
		return reading(c, group_get_run);
	case ARM_PUT:
		return writing(c, group_put_run);
	case ARM_PATCH:
		return writing(c, group_patch_run);
	case ARM_DELETE:
		return writing(c, group_delete);
	case ARM_POST:
		break;
	}
	return arm_refuse(&c->error, 405, "MethodNotAllowed", "POST is not offered here.");
}

int
handle_platform(struct ctx *c, bool *ret_is_mine)
{
	const struct path *p = &c->path;
	const char *third = p->n > 2 ? p->seg[2] : "";

	*ret_is_mine = true;
	if (p->n == 1 && same(p->seg[0], "tenants"))
		return only_get(c, tenants_run);
	if (p->n >= 1 && same(p->seg[0], "subscriptions")) {
		if (p->n == 1)
			return only_get(c, subscriptions_run);
		if (p->n == 2)
			return only_get(c, subscription_run);
		if (p->n == 3 && same(third, "locations"))
			return only_get(c, locations_run);
		if (p->n == 3 && same(third, "resourcegroups"))
			return only_get(c, groups_run);
		if (p->n == 4 && same(third, "resourcegroups"))
			return handle_group(c);
		if ((p->n == 3 && same(third, "resources")) ||
		    (p->n == 5 && same(third, "resourcegroups") && same(p->seg[4], "resources")))
			return only_get(c, resources_run);
		if (p->n <= 4 && same(third, "providers"))
			return only_get(c, providers_run);
		if (p->n == 5 && same(third, "providers") && c->req->method == ARM_POST)
			return reading(c, providers_run);
		if (p->n >= 3 && p->n <= 6 && same(third, "tagNames"))
			return handle_tag_names(c);
		if (p->n == 4 && same(third, "operationresults"))
			return handle_operation(c, p->seg[1], p->seg[3], true);
	}
	*ret_is_mine = false;
	return 0;
}
