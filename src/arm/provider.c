/* Resource providers as a subscription sees them: their types, versions and locations, and whether it
 * is registered for them. Every subscription is, until it says otherwise; then writes in that namespace
 * are refused until it is again. */
#include "arm/internal.h"

/* Answered with one model, all of them (version_check()); named here for clients that choose from the
 * list. The first is what they take. */
static const char *const versions[] = {
	"2024-05-01", "2025-05-01", "2024-10-01", "2023-11-01", "2023-09-01",
	"2022-07-01", "2022-05-01", "2022-01-01", "2021-08-01", "2021-04-01",
	"2020-07-01", "2018-04-01", "2018-02-01", NULL,
};

/* Namespaces of the engine itself and of extensions; what follows any scope needs no registration. */
static const struct own {
	const char *ns;
	const char *types[8];
} own[] = {
	{ "Microsoft.Resources",
	  { "resourceGroups", "subscriptions", "subscriptions/resourceGroups", "deployments",
	    "tags", "locations", NULL } },
	{ "Microsoft.Authorization",
	  { "locks", "roleAssignments", "roleDefinitions", "permissions", NULL } },
	{ "Microsoft.Insights",
	  { "eventtypes", "eventCategories", "metrics", "metricDefinitions", NULL } },
};

static json_t *
versions_json(void)
{
	json_t *list = json_array();

	for (const char *const *v = versions; *v; v++)
		json_array_append_new(list, json_string(*v));
	return list;
}

static void
type_json(json_t *out, const char *name, json_t *locations, bool is_tracked)
{
	json_array_append_new(out,
			      json_pack("{s:s, s:O, s:o, s:s, s:s}", "resourceType", name,
					"locations", locations, "apiVersions", versions_json(),
					"defaultApiVersion", versions[0], "capabilities",
					is_tracked ? "SupportsTags, SupportsLocation" : "None"));
}

static void
types_json(struct ctx *c, json_t *out, const struct arm_type *const *types, const char *prefix,
	   json_t *locations)
{
	for (; types && *types; types++) {
		const char *name = arena_printf(c->a, "%s%s", prefix, (*types)->name);

		type_json(out, name, locations, (*types)->flags & ARM_TRACKED);
		types_json(c, out, (*types)->children, arena_printf(c->a, "%s/", name), locations);
	}
}

/* Reads have a type each, too: "locations/usages" of the pattern "locations/?/usages". */
static void
reads_json(struct ctx *c, json_t *out, const struct arm_action *reads, json_t *locations)
{
	for (; reads && reads->name; reads++) {
		const char *name = "";

		for (const char *p = reads->name; *p;) {
			size_t n = strcspn(p, "/");

			if (*p != '?')
				name = arena_printf(c->a, "%s%s%.*s", name, *name ? "/" : "",
						    (int)n, p);
			p += n + (p[n] == '/');
		}
		type_json(out, name, locations, false);
	}
}

static json_t *
locations_json(struct ctx *c, struct arm_snapshot *s)
{
	json_t *all = c->en->cfg.locations ? c->en->cfg.locations(s, s->ctx) : json_array(), *one;
	json_t *names = json_array();
	size_t i;

	json_array_foreach(all, i, one)
		json_array_append(names, json_object_get(one, "displayName")
						 ? json_object_get(one, "displayName")
						 : json_object_get(one, "name"));
	json_decref(all);
	return names;
}

static const char *
fact_name(struct ctx *c, const char *sub)
{
	return arena_printf(c->a, "unregistered:%s", fold(c->a, sub));
}

/* {"microsoft.network": true}; a new reference. */
static json_t *
unregistered(struct ctx *c, struct store_tx *tx, const char *sub)
{
	const char *text;
	json_t *j = sub && store_fact_get(tx, c->a, fact_name(c, sub), &text, &c->err) == 1
			    ? json_loads(text, 0, NULL)
			    : NULL;

	return j ? j : json_object();
}

static bool
is_registered(struct ctx *c, struct store_tx *tx, const char *sub, const char *ns)
{
	json_t *out = unregistered(c, tx, sub);
	bool r = !json_object_get(out, fold(c->a, ns));

	json_decref(out);
	return r;
}

int
registration_check(struct ctx *c, struct arm_snapshot *s)
{
	const struct target *t = c->target;
	const char *ns = t->provider->ns;

	if (!t->sub || is_registered(c, s->tx, t->sub, ns))
		return 0;
	arm_error_block(&c->error, "MissingSubscriptionRegistration", ns, "POST",
			arena_printf(c->a, "/subscriptions/%s/providers/%s/register", t->sub, ns),
			NULL, "The subscription is not registered for %s.", ns);
	return arm_refuse(&c->error, 409, "MissingSubscriptionRegistration",
			  "The subscription is not registered to use namespace '%s'. See "
			  "https://aka.ms/rps-not-found for how to register subscriptions.",
			  ns);
}

static json_t *
provider_json(struct ctx *c, struct arm_snapshot *s, const char *ns, const struct arm_provider *p)
{
	static const char *const odd[] = { "operations", "locations", "locations/operations",
					   "locations/operationResults" };
	const char *sub = c->path.n > 1 && same(c->path.seg[0], "subscriptions") ? c->path.seg[1]
										 : NULL;
	json_t *types = json_array(), *names = locations_json(c, s);
	const char *prefix = sub ? arena_printf(c->a, "/subscriptions/%s", sub) : "";

	if (p) {
		types_json(c, types, p->types, "", names);
		reads_json(c, types, p->reads, names);
		for (size_t i = 0; i < COUNT(odd); i++)
			type_json(types, odd[i], names, false);
	}
	for (const struct own *o = own; o < own + COUNT(own); o++)
		for (const char *const *w = o->types; same(o->ns, ns) && *w; w++)
			type_json(types, *w, names, false);
	json_decref(names);
	return json_pack("{s:s, s:s, s:s, s:s, s:o}", "id",
			 arena_printf(c->a, "%s/providers/%s", prefix, ns), "namespace", ns,
			 "registrationState",
			 !sub || is_registered(c, s->tx, sub, ns) ? "Registered" : "NotRegistered",
			 "registrationPolicy", p ? "RegistrationRequired" : "RegistrationFree",
			 "resourceTypes", types);
}

static bool
is_listed(const json_t *value, const char *ns)
{
	json_t *one;
	size_t i;

	json_array_foreach((json_t *)value, i, one)
		if (same(arm_str(one, "namespace", ""), ns))
			return true;
	return false;
}

/* want NULL: all. */
static void
providers_add(struct ctx *c, struct arm_snapshot *s, const char *want, json_t *value)
{
	for (const struct arm_provider *const *x = c->en->cfg.providers; x && *x; x++)
		if (!want || same(want, (*x)->ns))
			json_array_append_new(value, provider_json(c, s, (*x)->ns, *x));
	for (size_t i = 0; i < COUNT(own); i++)
		if ((!want || same(want, own[i].ns)) && !is_listed(value, own[i].ns))
			json_array_append_new(value, provider_json(c, s, own[i].ns, NULL));
	for (const struct arm_extension *x = c->en->cfg.extensions; x && x->ns; x++)
		if ((!want || same(want, x->ns)) && !is_listed(value, x->ns))
			json_array_append_new(value, provider_json(c, s, x->ns, NULL));
}

static int
provider_missing(struct ctx *c, const char *ns)
{
	return arm_refuse(&c->error, 404, "InvalidResourceNamespace",
			  "The resource namespace '%s' is invalid.", ns);
}

/* SUB/providers[/NS], /providers[/NS] */
int
providers_run(struct ctx *c, struct arm_snapshot *s)
{
	const struct path *p = &c->path;
	bool has_sub = same(p->seg[0], "subscriptions");
	const char *want = p->n == (has_sub ? 4u : 2u) ? p->seg[p->n - 1] : NULL;
	int r = authorise(c, s->tx, has_sub ? p->seg[1] : NULL, NULL, "/");
	json_t *value;

	if (r < 0)
		return r;
	value = json_array();
	providers_add(c, s, want, value);
	c->resp.status = 200;
	if (!want) {
		c->resp.body = json_pack("{s:o}", "value", value);
		return 0;
	}
	c->resp.body = json_incref(json_array_get(value, 0));
	json_decref(value);
	return c->resp.body ? 0 : provider_missing(c, want);
}

/* --- registering ------------------------------------------------------------------------------------- */

static const struct arm_provider *
provider_of(struct ctx *c, const char *ns)
{
	for (const struct arm_provider *const *x = c->en->cfg.providers; x && *x; x++)
		if (same((*x)->ns, ns))
			return *x;
	return NULL;
}

/* Nothing of the namespace may be left. */
static int
unregister_check(struct ctx *c, struct arm_snapshot *s, const struct arm_provider *p)
{
	struct store_filter f = { .sub = fold(c->a, c->path.seg[1]), .limit = 10 };
	size_t n_all = 0;

	for (const struct arm_type *const *t = p->types; t && *t; t++) {
		struct store_resource *rows;
		size_t n = 0;
		int r;

		f.type = fold(c->a, arena_printf(c->a, "%s/%s", p->ns, (*t)->name));
		r = store_resource_list(s->tx, c->a, &f, &rows, &n, &c->err);
		if (r < 0)
			return r;
		for (size_t i = 0; i < n && n_all < MAX_BLOCKERS; i++, n_all++)
			arm_error_block(&c->error, "InUse", rows[i].id, "DELETE", rows[i].id, NULL,
					"'%s' is of this namespace.", rows[i].id);
	}
	return n_all ? arm_refuse(&c->error, 409, "ResourceProviderInUse",
				  "The subscription still has resources of %s. See details.", p->ns)
		     : 0;
}

static int
registration_run(struct ctx *c, struct arm_snapshot *s)
{
	const struct path *p = &c->path;
	const char *sub = p->seg[1], *ns = p->seg[3];
	const struct arm_provider *prov = provider_of(c, ns);
	const char *scope = arena_printf(c->a, "/subscriptions/%s", sub);
	bool registers = same(p->seg[4], "register");
	json_t *value = json_array(), *out;
	AUTO_FREE char *text = NULL;
	int r;

	providers_add(c, s, ns, value);
	c->resp.body = json_incref(json_array_get(value, 0));
	json_decref(value);
	ns = c->resp.body ? arm_str(c->resp.body, "namespace", ns) : ns;
	r = authorise_unlocked(c, s->tx, sub,
			       arena_printf(c->a, "%s/%s/action", ns,
					    registers ? "register" : "unregister"),
			       scope);
	if (r == 0 && !c->resp.body)
		r = provider_missing(c, ns);
	c->resp.status = 200;
	if (r < 0 || !prov) /* the others need none */
		return r;
	if (!registers)
		r = unregister_check(c, s, prov);
	if (r < 0)
		return r;
	out = unregistered(c, s->tx, sub);
	if (registers)
		json_object_del(out, fold(c->a, ns));
	else
		json_object_set_new(out, fold(c->a, ns), json_true());
	text = json_dumps(out, JSON_COMPACT);
	json_decref(out);
	json_object_set_new(c->resp.body, "registrationState",
			    json_string(registers ? "Registered" : "Unregistered"));
	r = store_fact_put(s->tx, fact_name(c, sub), text, &c->err);
	return r < 0 ? r
		     : event_add(c, s->tx, sub, NULL, arm_id_fold(c->a, scope), c->act.action,
				 "Succeeded");
}

int
handle_registration(struct ctx *c)
{
	if (c->req->method != ARM_POST)
		return arm_refuse(&c->error, 405, "MethodNotAllowed", "Only POST is offered here.");
	return writing(c, registration_run);
}
