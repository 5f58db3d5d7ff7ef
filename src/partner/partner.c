/* Partners and their customers, as resources. */
#include "partner/partner.h"

#include "base/mono.h"
#include "identity/directory.h"

#include <strings.h>

enum { MAX_NAME = 64, MAX_SUBSCRIPTIONS = 100 };

#define AGENTS "AdminAgents"

static int
method_wrong(struct arm_extension_call *x)
{
	return arm_refuse(x->s->error, 405, "MethodNotAllowed", "This cannot be done here.");
}

static bool
name_is_valid(const char *name)
{
	size_t n = strlen(name);

	return n && n <= MAX_NAME && *name != '-' &&
	       !name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				  "-_.")];
}

/* Every resource here is under the caller's tenant, but for partners, who are the operator's. */
struct part {
	struct arm_extension_call *x;
	struct arena *a;
	bool is_partner;   /* partners/..., else customers/... */
	const char *type;  /* "partners" */
	const char *space; /* of the record */
	const char *scope; /* where it is decided who may */
	const char *name;  /* folded */
	struct store_record record;
	json_t *props; /* of the record; owned */
};

static int
need(struct part *p, const char *verb)
{
	const char *action = arena_printf(p->a, "Wayleave.Partner/%s/%s", p->type, verb);

	return arm_may(p->x->s, action, p->scope) ? 0 : arm_deny(p->x->s, action, p->scope);
}

/* 1: there is one. */
static int
record_read(struct part *p)
{
	int r = store_record_get(p->x->s->tx, p->a, p->space, p->name, &p->record, NULL);

	if (r == 1)
		p->props = json_loads(p->record.body, 0, NULL);
	return r;
}

static int
record_write(struct part *p, struct err *e)
{
	struct store_record rec = { .space = p->space, .name = p->name, .id = p->record.id };
	char *text = json_dumps(p->props, JSON_COMPACT);
	int r;

	rec.body = text;
	rec.etag = p->record.etag = arena_printf(p->a, "%016llx", (long long)p->x->s->now_us);
	r = store_record_put(p->x->s->tx, &rec, e);
	free(text);
	return r;
}

static json_t *
shown(struct part *p, const struct store_record *rec, json_t *props)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:O}", "id",
			 arena_printf(p->a, "/providers/Wayleave.Partner/%s/%s", p->type, rec->id),
			 "name", rec->id, "type",
			 arena_printf(p->a, "Wayleave.Partner/%s", p->type), "etag",
			 arena_printf(p->a, "W/\"%s\"", rec->etag), "properties", props);
}

static int
missing(struct part *p)
{
	return arm_refuse(p->x->s->error, 404, "ResourceNotFound",
			  "The Resource 'Wayleave.Partner/%s/%s' was not found.", p->type,
			  p->x->seg[1]);
}

/* --- making -------------------------------------------------------------------------------------------- */

static bool
domain_is_valid(const char *d)
{
	size_t n = strlen(d);

	return n >= 3 && n <= 253 && strchr(d, '.') && *d != '.' && d[n - 1] != '.' &&
	       !strstr(d, "..") && !d[strspn(d, "abcdefghijklmnopqrstuvwxyz0123456789-.")];
}

/* Whoever could claim any domain could claim somebody else's users. */
static bool
domain_is_below_own(struct part *p, const char *domain)
{
	struct store_tenant own;
	size_t n, k = strlen(domain);

	if (store_tenant_get(p->x->s->tx, p->a, p->x->s->caller->tenant, &own, NULL) != 1)
		return false;
	n = strlen(own.domain);
	return n && k > n + 1 && domain[k - n - 1] == '.' && !strcmp(domain + k - n, own.domain);
}

/* Whether somebody of the customer's own decides over his tenant: a program, or who holds a role at its
 * root management group. 1: yes. */
static int
customer_is_his_own(struct part *p, const char *tenant)
{
	struct store_assignment *list;
	struct store_principal who;
	int64_t n_programs = 0;
	size_t n = 0;
	int r = store_principal_count(p->x->s->tx, tenant, "ServicePrincipal", &n_programs, NULL);

	if (r < 0 || n_programs)
		return r < 0 ? r : 1;
	r = store_assignment_at(p->x->s->tx, p->a, directory_scope(p->a, tenant), false, 5000,
				&list, &n, NULL);
	for (size_t i = 0; i < n && r == 0; i++) {
		r = store_principal_get(p->x->s->tx, p->a, list[i].principal, &who, NULL);
		if (r == 1)
			r = !strcmp(who.tenant, tenant);
	}
	return r;
}

/* A customer who is his own keeps the domain that his users are named by. */
static int
customer_domain_check(struct part *p, const struct store_tenant *t, const char *domain)
{
	int r = t->domain ? customer_is_his_own(p, t->id) : 0;

	if (r < 0)
		return r;
	if (r == 1)
		return arm_refuse_at(p->x->s->error, 409, "CustomerHasAdministrators",
				     "properties.domain",
				     "The customer has an administrator of his own: his domain "
				     "stays '%s'.",
				     t->domain);
	return !*domain || domain_is_below_own(p, domain)
		       ? 0
		       : arm_refuse_at(
				 p->x->s->error, 400, "DomainNotYours", "properties.domain",
				 "A customer's domain is one below the partner's own; any other "
				 "is for the cloud's operator to give.");
}

/* displayName and domain of the body into a tenant; without a domain the one there is stays. */
static int
tenant_read(struct part *p, struct store_tenant *t)
{
	const char *name = arm_str(p->x->body, "properties.displayName", "");
	const char *domain = arm_str(p->x->body, "properties.domain", t->domain ? t->domain : "");
	struct store_tenant other;
	int r;

	if (!directory_name_is_valid(name))
		return arm_refuse_at(p->x->s->error, 400, "InvalidParameter",
				     "properties.displayName", "It must be 1 to 256 characters.");
	domain = *domain ? arm_id_fold(p->a, domain) + 1 : "";
	if (*domain && !domain_is_valid(domain))
		return arm_refuse_at(p->x->s->error, 400, "InvalidParameter", "properties.domain",
				     "It must be a domain name, 'contoso.example'.");
	if (!p->is_partner && strcmp(domain, t->domain ? t->domain : "") != 0) {
		r = customer_domain_check(p, t, domain);
		if (r < 0)
			return r;
	}
	if (*domain && store_tenant_by_domain(p->x->s->tx, p->a, domain, &other, NULL) == 1 &&
	    strcmp(other.id, t->id) != 0)
		return arm_refuse_at(p->x->s->error, 409, "DomainInUse", "properties.domain",
				     "The domain '%s' is another tenant's.", domain);
	t->name = name;
	t->domain = domain;
	return 0;
}

/* A subscription of the customer with the partner's agents as owners: visible to him, revocable. */
static int
customer_subscription(struct part *p, const char *tenant, const char *name, const char *agents,
		      const char **ret)
{
	struct store_tx *tx = p->x->s->tx;
	int r = directory_subscription_new(tx, p->a, tenant, name, NULL, ret, NULL);

	return r < 0 ? r
		     : directory_assign(tx, p->a, arena_printf(p->a, "/subscriptions/%s", *ret),
					ROLE_OWNER, agents, "ForeignGroup", p->x->s->caller->oid,
					NULL, NULL);
}

/* The agents of the caller's tenant; it must be a partner's. */
static int
agents_find(struct part *p, const char **ret)
{
	struct store_principal *all;
	struct store_tenant t;
	size_t n = 0;
	int r = store_tenant_get(p->x->s->tx, p->a, p->x->s->caller->tenant, &t, NULL);

	if (r >= 0 && (r == 0 || !t.is_partner))
		return arm_refuse(p->x->s->error, 403, "NotAPartner",
				  "The tenant '%s' is not a partner: it has no customers.",
				  p->x->s->caller->tenant);
	if (r == 1)
		r = store_principal_by_name(p->x->s->tx, p->a, t.id, "Group", AGENTS, 1, &all, &n,
					    NULL);
	if (r == 0 && !n)
		return arm_refuse(p->x->s->error, 409, "NoAdminAgents",
				  "The tenant has no group '" AGENTS "'.");
	if (r == 0)
		*ret = all[0].oid;
	return r;
}

static int
partner_new(struct part *p, struct store_tenant *t)
{
	struct store_principal agents = { .tenant = t->id, .kind = "Group", .name = AGENTS };
	struct store_tx *tx = p->x->s->tx;
	const char *sub;
	int r;

	t->is_partner = true;
	r = directory_tenant_put(tx, p->a, t, NULL);
	if (r == 0)
		r = directory_principal_new(tx, p->a, &agents, NULL);
	if (r == 0)
		r = directory_assign(tx, p->a, directory_scope(p->a, t->id), ROLE_OWNER, agents.oid,
				     "Group", p->x->s->caller->oid, NULL, NULL);
	if (r == 0)
		r = directory_subscription_new(tx, p->a, t->id, t->name, NULL, &sub, NULL);
	if (r == 0)
		p->props = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "displayName", t->name,
				     "domain", t->domain, "tenantId", t->id, "adminAgentsGroupId",
				     agents.oid, "subscriptionId", sub, "provisioningState",
				     "Succeeded");
	return r;
}

static int
customer_new(struct part *p, struct store_tenant *t)
{
	const char *agents, *sub;
	int r = agents_find(p, &agents);

	t->partner = p->x->s->caller->tenant;
	if (r == 0)
		r = directory_tenant_put(p->x->s->tx, p->a, t, NULL);
	if (r == 0)
		r = customer_subscription(p, t->id, t->name, agents, &sub);
	if (r == 0)
		p->props = json_pack("{s:s, s:s, s:s, s:s, s:s, s:[{s:s, s:s}], s:s}",
				     "displayName", t->name, "domain", t->domain, "tenantId", t->id,
				     "partnerTenantId", t->partner, "delegatedTo", agents,
				     "subscriptions", "name", "first", "subscriptionId", sub,
				     "provisioningState", "Succeeded");
	return r;
}

static int
put(struct part *p)
{
	struct store_tenant t = { .created_us = p->x->s->now_us };
	int r = need(p, "write"), is_there;

	if (r < 0)
		return r;
	if (!name_is_valid(p->x->seg[1]))
		return arm_refuse(p->x->s->error, 400, "InvalidResourceName",
				  "The name '%.100s' is invalid: 1 to 64 letters, digits, '-', '_' "
				  "or '.'.",
				  p->x->seg[1]);
	if (!p->x->body)
		return arm_refuse(p->x->s->error, 400, "InvalidRequestContent",
				  "The body is missing.");
	is_there = record_read(p);
	if (is_there < 0)
		return is_there;
	if (is_there) {
		r = store_tenant_get(p->x->s->tx, p->a, arm_str(p->props, "tenantId", ""), &t,
				     NULL);
		if (r <= 0)
			return r < 0 ? r : missing(p);
	} else {
		p->record.id = p->x->seg[1];
		t.id = arm_new_guid(&(struct arm_plan){ .s = p->x->s });
	}
	r = tenant_read(p, &t);
	if (r < 0)
		return r;
	if (is_there) {
		r = store_tenant_put(p->x->s->tx, &t, NULL);
		json_object_set_new(p->props, "displayName", json_string(t.name));
		json_object_set_new(p->props, "domain", json_string(t.domain));
	} else {
		r = p->is_partner ? partner_new(p, &t) : customer_new(p, &t);
	}
	if (r == 0)
		r = record_write(p, NULL);
	if (r == 0)
		p->x->result = shown(p, &p->record, p->props);
	p->x->status = is_there ? 200 : 201;
	return r;
}

/* --- parting --------------------------------------------------------------------------------------------- */

/* What the partner's principals hold at one of the customer's scopes and below it. */
static int
roles_revoke(struct part *p, const char *scope)
{
	struct store_assignment *list;
	struct store_principal who;
	size_t n = 0;
	int r = store_assignment_at(p->x->s->tx, p->a, scope, true, 5000, &list, &n, NULL);

	for (size_t i = 0; i < n && r == 0; i++) {
		r = store_principal_get(p->x->s->tx, p->a, list[i].principal, &who, NULL);
		if (r == 1 && !strcmp(who.tenant, p->x->s->caller->tenant))
			r = store_assignment_delete(p->x->s->tx, list[i].fold, NULL);
		r = MIN(r, 0);
	}
	return r;
}

static int
subscriptions_revoke(struct part *p, const char *tenant)
{
	struct store_subscription *subs;
	const char *after = NULL;
	size_t n = 0;
	int r;

	do {
		r = store_subscription_list(p->x->s->tx, p->a, tenant, after, 200, &subs, &n, NULL);
		for (size_t i = 0; i < n && r == 0; i++) {
			after = subs[i].id;
			r = roles_revoke(p, arena_printf(p->a, "/subscriptions/%s", after));
		}
	} while (r == 0 && n == 200);
	return r;
}

static int
mgroups_revoke(struct part *p, const char *tenant)
{
	struct store_mgroup *groups;
	const char *after = NULL;
	size_t n = 0;
	int r;

	do {
		r = store_mgroup_list(p->x->s->tx, p->a, tenant, after, 200, &groups, &n, NULL);
		for (size_t i = 0; i < n && r == 0; i++) {
			after = groups[i].name;
			r = roles_revoke(p, directory_scope(p->a, after));
		}
	} while (r == 0 && n == 200);
	return r;
}

/* A customer keeps his tenant and all that is in it; the partner is a stranger to him from now on:
 * without roles, and without the SCIM token that it may have made. */
static int
customer_release(struct part *p)
{
	struct store_tenant t;
	int r = store_tenant_get(p->x->s->tx, p->a, arm_str(p->props, "tenantId", ""), &t, NULL);

	if (r <= 0)
		return r;
	r = subscriptions_revoke(p, t.id);
	if (r == 0)
		r = mgroups_revoke(p, t.id);
	t.partner = "";
	t.scim_hash = "";
	return r < 0 ? r : store_tenant_put(p->x->s->tx, &t, NULL);
}

/* Customers must be released first; then nobody of the tenant may do anything. */
static int
partner_end(struct part *p)
{
	const char *tenant = arm_str(p->props, "tenantId", "");
	struct store_record *left;
	struct store_tenant t;
	size_t n = 0;
	int r = store_record_list(p->x->s->tx, p->a, arena_printf(p->a, "customer %s", tenant),
				  NULL, 50, &left, &n, NULL);

	for (size_t i = 0; i < n && r == 0; i++) {
		const char *id =
			arena_printf(p->a, "/providers/Wayleave.Partner/customers/%s", left[i].id);

		arm_error_block(p->x->s->error, "InUse", id, "DELETE", id, NULL,
				"'%s' is its customer.", left[i].id);
	}
	if (r == 0 && n)
		return arm_refuse(p->x->s->error, 409, "PartnerHasCustomers",
				  "The partner '%s' has customers.", p->record.id);
	if (r == 0)
		r = store_tenant_get(p->x->s->tx, p->a, tenant, &t, NULL);
	if (r <= 0)
		return r;
	t.is_partner = false;
	t.is_disabled = true;
	t.domain = "";
	return store_tenant_put(p->x->s->tx, &t, NULL);
}

static int
drop(struct part *p)
{
	int r = need(p, "delete");

	if (r == 0)
		r = record_read(p);
	p->x->status = r == 1 ? 200 : 204;
	if (r <= 0)
		return r;
	r = p->is_partner ? partner_end(p) : customer_release(p);
	return r < 0 ? r : store_record_delete(p->x->s->tx, p->space, p->name, NULL);
}

static int
list(struct part *p)
{
	struct store_record *all;
	const char *after = NULL;
	json_t *value;
	size_t n = 0;
	int r = need(p, "read");

	if (r < 0)
		return r;
	value = json_array();
	do {
		r = store_record_list(p->x->s->tx, p->a, p->space, after, 500, &all, &n, NULL);
		for (size_t i = 0; i < n && r == 0; i++) {
			json_t *props = json_loads(all[i].body, 0, NULL);

			after = all[i].name;
			json_array_append_new(value, shown(p, &all[i], props));
			json_decref(props);
		}
	} while (r == 0 && n == 500);
	p->x->result = json_pack("{s:o}", "value", value);
	return r;
}

/* --- administrators, tokens, further subscriptions ------------------------------------------------------- */

/* The secret is in this answer and nowhere else. */
static int
administrator_new(struct part *p)
{
	const char *tenant = arm_str(p->props, "tenantId", "");
	const char *name = arm_str(p->x->body, "displayName", "administrator"), *secret;
	struct store_tx *tx = p->x->s->tx;
	struct store_principal who;
	int64_t n_users = 0, n_programs = 0;
	int r = need(p, "createAdministrator/action");

	if (r == 0 && !directory_name_is_valid(name))
		r = arm_refuse_at(p->x->s->error, 400, "InvalidParameter", "displayName",
				  "It must be 1 to 256 characters.");
	if (r == 0 && !p->is_partner)
		r = store_principal_count(tx, tenant, "User", &n_users, NULL);
	if (r == 0 && !p->is_partner)
		r = store_principal_count(tx, tenant, "ServicePrincipal", &n_programs, NULL);
	if (r == 0 && n_users + n_programs)
		return arm_refuse(p->x->s->error, 409, "CustomerHasAdministrators",
				  "The customer has users of his own. Who else may administer his "
				  "tenant is for them to say.");
	if (r == 0)
		r = directory_admin_new(tx, p->a, tenant, name, &who, &secret, NULL);
	if (r == 0)
		r = p->is_partner
			    ? store_member_add(tx, arm_str(p->props, "adminAgentsGroupId", ""),
					       who.oid, NULL)
			    : directory_assign(tx, p->a, directory_scope(p->a, tenant), ROLE_OWNER,
					       who.oid, "ServicePrincipal", p->x->s->caller->oid,
					       NULL, NULL);
	if (r == 0)
		p->x->result = json_pack("{s:s, s:s, s:s, s:s, s:s}", "tenantId", tenant, "appId",
					 who.client_id, "objectId", who.oid, "displayName", name,
					 "secret", secret);
	return r;
}

static int
scim_token(struct part *p)
{
	const char *tenant = arm_str(p->props, "tenantId", ""), *token;
	int r = need(p, "createScimToken/action");

	if (r == 0)
		r = customer_is_his_own(p, tenant);
	if (r == 1)
		return arm_refuse(
			p->x->s->error, 409, "CustomerHasAdministrators",
			"The customer has an administrator of his own. He makes the token: "
			"POST /providers/Wayleave.Directory/scimToken.");
	if (r == 0)
		r = identity_scim_token(p->x->s->tx, p->a, tenant, &token, NULL);
	if (r == 0)
		p->x->result = json_pack("{s:s, s:s}", "tenantId", tenant, "token", token);
	return r;
}

static int
subscription_put(struct part *p)
{
	json_t *all = json_object_get(p->props, "subscriptions"), *one;
	const char *name = p->x->seg[3], *agents = "", *sub = "";
	const char *shown_name = arm_str(p->x->body, "properties.displayName", name);
	size_t i;
	int r = need(p, "subscriptions/write");

	if (r < 0)
		return r;
	json_array_foreach(all, i, one)
		if (!strcasecmp(arm_str(one, "name", ""), name)) {
			p->x->result = json_incref(one);
			return 0;
		}
	if (!name_is_valid(name) || !directory_name_is_valid(shown_name) || strlen(shown_name) > 64)
		return arm_refuse(p->x->s->error, 400, "InvalidResourceName",
				  "A subscription's name is 1 to 64 letters, digits, '-', '_' or "
				  "'.', its displayName 1 to 64 characters.");
	if (json_array_size(all) >= MAX_SUBSCRIPTIONS)
		return arm_refuse(p->x->s->error, 400, "SubscriptionLimitReached",
				  "A customer has at most %d subscriptions.", MAX_SUBSCRIPTIONS);
	r = agents_find(p, &agents);
	if (r == 0)
		r = customer_subscription(p, arm_str(p->props, "tenantId", ""), shown_name, agents,
					  &sub);
	if (r < 0)
		return r;
	one = json_pack("{s:s, s:s}", "name", name, "subscriptionId", sub);
	json_array_append_new(all, one);
	p->x->result = json_incref(one);
	p->x->status = 201;
	return record_write(p, NULL);
}

static int
below(struct part *p)
{
	const char *what = p->x->seg[2];
	bool is_post = p->x->method == ARM_POST && p->x->n_seg == 3;
	int r = need(p, "read");

	if (r == 0)
		r = record_read(p);
	if (r <= 0)
		return r < 0 ? r : missing(p);
	if (is_post && !strcasecmp(what, "createAdministrator"))
		return administrator_new(p);
	if (is_post && !strcasecmp(what, "createScimToken") && !p->is_partner)
		return scim_token(p);
	if (strcasecmp(what, "subscriptions") != 0 || p->is_partner)
		return method_wrong(p->x);
	if (p->x->n_seg == 4 && p->x->method == ARM_PUT)
		return subscription_put(p);
	if (p->x->n_seg == 3 && p->x->method == ARM_GET) {
		p->x->result =
			json_pack("{s:O}", "value", json_object_get(p->props, "subscriptions"));
		return 0;
	}
	return method_wrong(p->x);
}

static int
item(struct part *p)
{
	int r;

	if (p->x->method == ARM_PUT)
		return put(p);
	if (p->x->method == ARM_DELETE)
		return drop(p);
	if (p->x->method != ARM_GET)
		return method_wrong(p->x);
	r = need(p, "read");
	if (r == 0)
		r = record_read(p);
	if (r <= 0)
		return r < 0 ? r : missing(p);
	p->x->result = shown(p, &p->record, p->props);
	return 0;
}

/* What a partner does about a customer, the customer reads in the logs of the subscriptions that came
 * from it. */
static void
customer_tell(struct part *p)
{
	const json_t *all = json_object_get(p->props, "subscriptions");
	size_t n = json_array_size(all);
	const char **about = NEW_ARRAY(p->a, const char *, n + 1);

	for (size_t i = 0; i < n; i++)
		about[i] =
			arena_strdup(p->a, arm_str(json_array_get(all, i), "subscriptionId", ""));
	p->x->about = about;
}

static int
partner_handle(void *ctx, struct arm_extension_call *x)
{
	const char *what = x->n_seg ? x->seg[0] : "", *tenant = x->s->caller->tenant;
	struct part p = { .x = x, .a = x->s->arena, .is_partner = !strcasecmp(what, "partners") };
	int r;

	p.type = p.is_partner ? "partners" : "customers";
	p.space = p.is_partner ? "partner" : arena_printf(p.a, "customer %s", tenant);
	p.scope = p.is_partner ? "/" : directory_scope(p.a, tenant);
	if (*x->scope_shown || (!p.is_partner && strcasecmp(what, "customers") != 0) ||
	    x->n_seg > 4)
		return arm_refuse(x->s->error, 404, "InvalidResourceType",
				  "The resource type '%s' could not be found in the namespace "
				  "'Wayleave.Partner'.",
				  what);
	if (x->n_seg == 1)
		return x->method == ARM_GET ? list(&p) : method_wrong(x);
	p.name = arm_id_fold(p.a, x->seg[1]) + 1;
	r = x->n_seg == 2 ? item(&p) : below(&p);
	if (r == 0)
		customer_tell(&p);
	json_decref(p.props);
	return r;
}

struct arm_extension
partner_extension(struct identity *id)
{
	return (struct arm_extension){ "Wayleave.Partner", "2026-01-01", id, partner_handle };
}
