/* The paths of deployments, at a resource group or a subscription:
 *
 *   SCOPE/providers/Microsoft.Resources/deployments[/NAME[/VERB[/ID]]]
 *   RG/deployments/NAME/operations[/ID]           (as the SDKs have it)
 *   RG/exportTemplate
 *
 * A PUT plans the whole template before it answers, so what is wrong with the template itself is
 * refused at once; what resources think of their bodies shows when they are made. */
#include "arm/template.h"

#include <openssl/evp.h>

enum {
	KEPT = 800,       /* of a scope: older ones go */
	MAX_ACTIVE = 200, /* of a subscription, nested ones counted */
	MAX_NESTED = 16,
};

struct spot { /* what a path means */
	const char *sub, *rg, *name, *verb, *id;
	bool is_export; /* of a group */
};

/* --- paths --------------------------------------------------------------------------------------- */

static bool
spot_read(const struct path *p, struct spot *ret)
{
	size_t i = 2;

	*ret = (struct spot){ 0 };
	if (p->n < 4 || !same(p->seg[0], "subscriptions"))
		return false;
	ret->sub = p->seg[1];
	if (same(p->seg[2], "resourcegroups")) {
		ret->rg = p->seg[3];
		i = 4;
		ret->is_export = p->n == 5 && same(p->seg[4], "exportTemplate");
		if (ret->is_export)
			return true;
	}
	if (p->n > i + 2 && same(p->seg[i], "providers") &&
	    same(p->seg[i + 1], "Microsoft.Resources") && same(p->seg[i + 2], "deployments"))
		i += 3;
	else if (ret->rg && p->n > i + 2 && same(p->seg[i], "deployments") &&
		 same(p->seg[i + 2], "operations"))
		i += 1;
	else
		return false;
	ret->name = i < p->n ? p->seg[i] : NULL;
	ret->verb = i + 1 < p->n ? p->seg[i + 1] : NULL;
	ret->id = i + 2 < p->n ? p->seg[i + 2] : NULL;
	/* What goes on after that is an extension's: a lock on a deployment. */
	return p->n <= i + 3 && !(ret->verb && same(ret->verb, "providers"));
}

bool
deployments_path(const struct path *p)
{
	struct spot at;

	return spot_read(p, &at);
}

static const char *
scope_of(struct ctx *c, const struct spot *at)
{
	return at->rg ? arena_printf(c->a, "/subscriptions/%s/resourceGroups/%s", at->sub, at->rg)
		      : arena_printf(c->a, "/subscriptions/%s", at->sub);
}

static const char *
id_of(struct ctx *c, const struct spot *at)
{
	return arena_printf(c->a, "%s/providers/" DEPLOYMENT_TYPE "/%s", scope_of(c, at), at->name);
}

/* --- what is sent --------------------------------------------------------------------------------- */

static bool
name_is_allowed(const char *name)
{
	size_t n = strlen(name);

	for (const char *p = name; *p; p++)
		if (!((*p >= '0' && *p <= '9') || (*p >= 'a' && *p <= 'z') ||
		      (*p >= 'A' && *p <= 'Z') || strchr("-_.()", *p)))
			return false;
	return n >= 1 && n <= 64;
}

static int
mode_read(struct ctx *c, const json_t *props, struct deployment_order *o)
{
	const json_t *mode = json_object_get(props, "mode");
	const char *word = json_string_value(mode);

	if (word && same(word, "Complete"))
		o->is_complete = true;
	else if (mode && !(word && same(word, "Incremental")))
		return arm_refuse_at(&c->error, 400, "InvalidRequestContent", "properties.mode",
				     "properties.mode: must be Incremental or Complete.");
	if (o->is_complete && !o->rg)
		return arm_refuse_at(&c->error, 400, "InvalidRequestContent", "properties.mode",
				     "properties.mode: Complete is for deployments to a resource "
				     "group.");
	return 0;
}

static int
template_given(struct ctx *c, const json_t *props, struct deployment_order *o)
{
	static const char *const absent[] = { "templateLink", "parametersLink",
					      "onErrorDeployment" };
	const json_t *template = json_object_get(props, "template");

	for (size_t i = 0; i < COUNT(absent); i++) {
		const json_t *v = json_object_get(props, absent[i]);

		if (v && !json_is_null(v))
			return arm_refuse_at(
				&c->error, 400, "InvalidTemplate",
				arena_printf(c->a, "properties.%s", absent[i]),
				"properties.%s: is not supported; send the template and its "
				"parameters in the request.",
				absent[i]);
	}
	if (json_is_string(template)) {
		o->owned = template_read(c->a, json_string_value(template),
					 json_string_length(template), &c->error);
		template = o->owned;
		if (!template)
			return -EBADE;
	}
	if (!json_is_object(template))
		return arm_refuse_at(&c->error, 400, "InvalidTemplate", "properties.template",
				     "properties.template: must be a template, an object.");
	o->template = template;
	return 0;
}

static int
order_scope(struct ctx *c, struct deployment_order *o)
{
	struct spot at;

	spot_read(&c->path, &at);
	o->sub = at.sub;
	o->rg = at.rg;
	o->name = at.name;
	o->id = id_of(c, &at);
	o->fold = arm_id_fold(c->a, o->id);
	if (name_is_allowed(o->name))
		return 0;
	return arm_refuse(&c->error, 400, "InvalidDeploymentName",
			  "The deployment name '%s' is invalid: 1 to 64 letters, digits, '-', '_', "
			  "'.', '(' or ')'.",
			  o->name);
}

int
deployment_order_read(struct ctx *c, struct deployment_order *o)
{
	const json_t *props = json_object_get(c->body, "properties");
	struct merge m = { .arena = c->a, .error = &c->error };
	json_t *tags;
	int r = order_scope(c, o);

	if (r < 0)
		return r;
	if (!json_is_object(props))
		return arm_refuse_at(&c->error, 400, "InvalidRequestContent", "properties",
				     "properties: must be an object with mode and template.");
	o->location = json_string_value(json_object_get(c->body, "location"));
	if (!o->rg && !(o->location && *o->location))
		return arm_refuse_at(&c->error, 400, "LocationRequired", "location",
				     "location: is needed for a deployment at a subscription.");
	tags = tags_merge(&m, json_object_get(c->body, "tags"));
	o->tags = json_object_get(c->body, "tags");
	json_decref(tags);
	r = merge_result(&m);
	if (r == 0)
		r = mode_read(c, props, o);
	o->parameters = json_object_get(props, "parameters");
	o->ids_only = same(arm_str(props, "whatIfSettings.resultFormat", ""), "ResourceIdOnly");
	return r < 0 ? r : template_given(c, props, o);
}

json_t *
deployment_function(struct arena *a, const struct deployment_order *o)
{
	json_t *j = json_pack("{s:s, s:s, s:s, s:{s:s, s:s}}", "name", o->name, "id", o->id, "type",
			      DEPLOYMENT_TYPE, "properties", "mode",
			      o->is_complete ? "Complete" : "Incremental", "provisioningState",
			      "Accepted");

	if (o->location)
		json_object_set_new(j, "location", json_string(location_fold(a, o->location)));
	return j;
}

/* --- a plan inside a request ------------------------------------------------------------------------ */

struct planned {
	struct deployment_order order;
	struct template_caller world;
	struct template t;
	struct template_plan plan;
	json_t *function;
};

static void
planned_fini(struct planned *p)
{
	if (p->t.arena)
		template_fini(&p->t);
	template_caller_fini(&p->world);
	json_decref(p->function);
	json_decref(p->order.owned);
}
#define AUTO_PLANNED __attribute__((cleanup(planned_fini))) struct planned

static int
plan(struct ctx *c, struct planned *p)
{
	struct template_world w;
	int r = deployment_order_read(c, &p->order);

	if (r < 0)
		return r;
	p->world = (struct template_caller){
		.en = c->en,
		.caller = &c->caller,
		.within = c->req->within,
		.correlation = c->correlation_id,
		.sub = p->order.sub,
		.rg = p->order.rg,
	};
	p->function = deployment_function(c->a, &p->order);
	w = template_world_of(&p->world, p->function);
	template_init(&p->t, c->a, &c->error, p->order.template, &w);
	r = template_parameters(&p->t, p->order.parameters);
	return r < 0 ? r : template_plan_make(&p->t, &p->plan);
}

/* --- what is stored and shown ------------------------------------------------------------------------- */

json_t *
deployment_steps(const struct template_plan *plan)
{
	json_t *steps = json_array();

	for (size_t i = 0; i < plan->n; i++)
		json_array_append_new(
			steps, json_pack("{s:s, s:s, s:s, s:s, s:s}", "id", plan->steps[i].id,
					 "type", plan->steps[i].type, "name", plan->steps[i].name,
					 "verb", "Create", "state", "Waiting"));
	return steps;
}

static json_t *
resource_json(const struct template_step *s)
{
	return json_pack("{s:s, s:s, s:s}", "id", s->id, "resourceType", s->type, "resourceName",
			 s->name);
}

static json_t *
dependencies_json(const struct template_plan *plan)
{
	json_t *list = json_array();

	for (size_t i = 0; i < plan->n; i++) {
		const struct template_step *s = &plan->steps[i];
		json_t *one, *on = json_array();

		for (size_t k = 0; k < s->n_after; k++)
			json_array_append_new(on, resource_json(&plan->steps[s->after[k]]));
		one = resource_json(s);
		json_object_set(one, "dependsOn", on);
		if (s->n_after)
			json_array_append(list, one);
		json_decref(one);
		json_decref(on);
	}
	return list;
}

/* [{"namespace","resourceTypes":[{"resourceType","locations":[null]}]}] */
static json_t *
providers_json(const struct template_plan *plan)
{
	json_t *list = json_array(), *by_ns = json_object(), *one, *types;

	for (size_t i = 0; i < plan->n; i++) {
		const char *type = plan->steps[i].type, *slash = strchr(type, '/');
		json_t *ns = json_stringn(type, (size_t)(slash - type));
		size_t k;
		json_t *t;
		bool has = false;

		one = json_object_get(by_ns, json_string_value(ns));
		if (!one) {
			one = json_pack("{s:O, s:[]}", "namespace", ns, "resourceTypes");
			json_object_set_new(by_ns, json_string_value(ns), one);
			json_array_append(list, one);
		}
		types = json_object_get(one, "resourceTypes");
		json_array_foreach(types, k, t)
			has |= same(arm_str(t, "resourceType", ""), slash + 1);
		if (!has)
			json_array_append_new(types, json_pack("{s:s, s:[n]}", "resourceType",
							       slash + 1, "locations"));
		json_decref(ns);
	}
	json_decref(by_ns);
	return list;
}

json_t *
deployment_shown(const struct template *t, const struct template_plan *plan)
{
	return json_pack("{s:o, s:o, s:o}", "parameters", template_parameters_shown(t), "providers",
			 providers_json(plan), "dependencies", dependencies_json(plan));
}

char *
deployment_hash(struct arena *a, const json_t *template)
{
	AUTO_FREE char *text = json_dumps(template, JSON_COMPACT | JSON_SORT_KEYS);
	uint8_t d[EVP_MAX_MD_SIZE];
	uint64_t v = 0;

	if (EVP_Digest(text, strlen(text), d, NULL, EVP_sha256(), NULL) != 1)
		abort();
	for (unsigned i = 0; i < 8; i++)
		v = v << 8 | d[i];
	return arena_printf(a, "%llu", (unsigned long long)v);
}

static json_t *
time_json(int64_t us)
{
	char out[32];

	return json_string(utc_format(us, out));
}

static json_t *
duration_json(struct arena *a, int64_t us)
{
	us = MAX(us, 0);
	return json_string(arena_printf(a, "PT%lld.%06lldS", (long long)(us / 1000000),
					(long long)(us % 1000000)));
}

static void
shown_add(struct store_tx *tx, struct arena *a, const char *fold, json_t *props)
{
	const void *text;
	struct err e;
	json_t *shown;
	size_t n;

	if (store_secret_get(tx, a, fold, "shown", &text, &n, &e) != 1)
		return;
	shown = json_loadb(text, n, 0, NULL);
	json_object_update(props, shown);
	json_decref(shown);
}

static json_t *
output_resources(const json_t *steps)
{
	json_t *out = json_array(), *one;
	size_t i;

	json_array_foreach((json_t *)steps, i, one) {
		if (!strcmp(arm_str(one, "state", ""), "Succeeded") &&
		    strcmp(arm_str(one, "verb", ""), "Delete") != 0 &&
		    !same(arm_str(one, "type", ""), DEPLOYMENT_TYPE))
			json_array_append_new(out,
					      json_pack("{s:O}", "id", json_object_get(one, "id")));
	}
	return out;
}

json_t *
deployment_json(struct store_tx *tx, struct arena *a, const struct store_deployment *row)
{
	json_t *state = json_loads(row->body, 0, NULL), *out, *props;
	int64_t until = arm_int(state, "ended", row->changed_us);

	props = json_pack("{s:O*, s:O*, s:O*, s:O*, s:o, s:o}", "mode",
			  json_object_get(state, "mode"), "provisioningState",
			  json_object_get(state, "state"), "correlationId",
			  json_object_get(state, "correlation"), "templateHash",
			  json_object_get(state, "hash"), "timestamp", time_json(until), "duration",
			  duration_json(a, until - row->created_us));
	shown_add(tx, a, row->fold, props);
	if (!row->is_active)
		json_object_set_new(props, "outputResources",
				    output_resources(json_object_get(state, "steps")));
	if (json_object_get(state, "error"))
		json_object_set(props, "error", json_object_get(state, "error"));
	out = json_pack("{s:s, s:s, s:s, s:o}", "id", row->id, "name",
			arm_id_segment(a, row->id, 0), "type", DEPLOYMENT_TYPE, "properties",
			props);
	for (const char *const *k = (const char *const[]){ "location", "tags", NULL }; *k; k++)
		if (json_object_get(state, *k))
			json_object_set(out, *k, json_object_get(state, *k));
	json_decref(state);
	return out;
}

/* --- who may, and where --------------------------------------------------------------------------------- */

static int
allowed(struct ctx *c, struct arm_snapshot *s, const char *verb)
{
	struct spot at;
	const char *action = arena_printf(c->a, DEPLOYMENT_TYPE "/%s", verb);
	int r;

	spot_read(&c->path, &at);
	r = authorise(c, s->tx, at.sub, action, at.name ? id_of(c, &at) : scope_of(c, &at));
	if (r < 0 || !at.rg || arm_get(s, scope_of(c, &at)))
		return r;
	return arm_refuse(&c->error, 404, "ResourceGroupNotFound",
			  "Resource group '%s' could not be found.", at.rg);
}

static int
write_allowed(struct ctx *c, struct arm_snapshot *s)
{
	struct spot at;
	const struct arm_resource *g;
	int r = allowed(c, s, "write");

	spot_read(&c->path, &at);
	g = r == 0 && at.rg ? arm_get(s, scope_of(c, &at)) : NULL;
	return g && g->is_deleting ? arm_refuse(&c->error, 409, "ResourceGroupBeingDeleted",
						"The resource group '%s' is being deleted.", at.rg)
				   : r;
}

static int
validate_allowed(struct ctx *c, struct arm_snapshot *s)
{
	return allowed(c, s, "validate/action");
}

static int
what_if_allowed(struct ctx *c, struct arm_snapshot *s)
{
	return allowed(c, s, "whatIf/action");
}

/* The deployment that the path names. */
static int
row_get(struct ctx *c, struct arm_snapshot *s, const char *verb, struct store_deployment *ret)
{
	struct spot at;
	int r = allowed(c, s, verb);

	if (r < 0)
		return r;
	spot_read(&c->path, &at);
	r = store_deployment_get(s->tx, c->a, arm_id_fold(c->a, id_of(c, &at)), ret, &c->err);
	if (r != 0)
		return r < 0 ? r : 0;
	return arm_refuse(&c->error, 404, "DeploymentNotFound",
			  "Deployment '%s' could not be found.", at.name);
}

/* --- PUT ---------------------------------------------------------------------------------------------------- */

static json_t *
state_json(struct ctx *c, struct store_tx *tx, const struct planned *p)
{
	json_t *behalf = event_on_behalf(c, tx, fold(c->a, p->order.sub));
	json_t *state = json_pack("{s:s, s:s, s:s, s:s, s:s, s:o}", "state", "Accepted", "op",
				  guid_new(c->a), "correlation", c->correlation_id, "mode",
				  p->order.is_complete ? "Complete" : "Incremental", "hash",
				  deployment_hash(c->a, p->order.template), "steps",
				  deployment_steps(&p->plan));

	if (p->order.location)
		json_object_set_new(state, "location",
				    json_string(location_fold(c->a, p->order.location)));
	if (json_is_object(p->order.tags))
		json_object_set(state, "tags", (json_t *)p->order.tags);
	if (behalf)
		json_object_set_new(state, "onBehalfOf", behalf);
	return state;
}

static json_t *
request_json(struct ctx *c, const struct planned *p)
{
	const struct arm_caller *who = &c->caller;
	json_t *j = json_pack("{s:O, s:{s:s, s:s, s:s, s:s}}", "template", p->order.template,
			      "caller", "oid", who->oid ? who->oid : "", "appId",
			      who->app_id ? who->app_id : "", "tenant",
			      who->tenant ? who->tenant : "", "name", who->name ? who->name : "");

	if (p->order.parameters)
		json_object_set(j, "parameters", (json_t *)p->order.parameters);
	if (c->req->as &&
	    strcmp(arm_str(c->body, "properties.expressionEvaluationOptions.scope", ""), "inner") !=
		    0)
		json_object_set_new(j, "isFilled", json_true());
	return j;
}

static int
secret_write(struct ctx *c, struct store_tx *tx, const char *owner, const char *name, json_t *j)
{
	char *text = json_dumps(j, JSON_COMPACT);
	int r = store_secret_put(tx, owner, name, text, strlen(text), &c->err);

	mem_wipe(text, strlen(text));
	free(text);
	json_decref(j);
	return r;
}

static int
rows_put(struct ctx *c, struct store_tx *tx, const struct planned *p, struct store_deployment *row,
	 const json_t *state)
{
	const struct deployment_order *o = &p->order;
	AUTO_FREE char *text = json_dumps(state, JSON_COMPACT);
	int r;

	*row = (struct store_deployment){
		.fold = o->fold,
		.id = o->id,
		.sub = fold(c->a, o->sub),
		.rg = o->rg ? fold(c->a, o->rg) : "",
		.body = arena_strdup(c->a, text),
		.is_active = true,
		.created_us = c->now_us,
		.changed_us = c->now_us,
	};
	r = store_deployment_put(tx, row, &c->err);
	if (r == 0)
		r = secret_write(c, tx, o->fold, "request", request_json(c, p));
	if (r == 0)
		r = secret_write(c, tx, o->fold, "shown", deployment_shown(&p->t, &p->plan));
	return r < 0 ? r : store_deployment_trim(tx, row->sub, row->rg, KEPT - 1, &c->err);
}

/* Templates nest: a small one could ask for a million. One that must wait is asked again. */
static int
active_check(struct ctx *c, struct arm_snapshot *s, const char *sub)
{
	size_t n = 0;
	int r = store_deployment_count_active(s->tx, fold(c->a, sub), MAX_ACTIVE, &n, &c->err);

	if (r < 0 || n < MAX_ACTIVE)
		return r;
	c->error.retry_after = 5;
	return arm_refuse(&c->error, 429, "TooManyRequests",
			  "%d deployments of this subscription are active. Try again when they are "
			  "over.",
			  MAX_ACTIVE);
}

static int
put_run(struct ctx *c, struct arm_snapshot *s)
{
	const struct planned *p = c->extra;
	const struct deployment_order *o = &p->order;
	struct store_deployment row;
	json_t *state;
	int r = write_allowed(c, s), had;

	if (r < 0)
		return r;
	had = store_deployment_get(s->tx, c->a, o->fold, &row, &c->err);
	if (had < 0)
		return had;
	if (had && row.is_active)
		return arm_refuse(&c->error, 409, "DeploymentActive",
				  "Unable to edit or replace deployment '%s': the one of that name "
				  "is still active. Wait for it or cancel it.",
				  o->name);
	r = active_check(c, s, o->sub);
	if (r < 0)
		return r;
	state = state_json(c, s->tx, p);
	r = rows_put(c, s->tx, p, &row, state);
	if (r == 0)
		r = event_add(c, s->tx, o->sub, o->rg, o->fold, DEPLOYMENT_TYPE "/write",
			      "Accepted");
	if (r == 0) {
		c->resp.status = had ? 200 : 201;
		c->resp.body = deployment_json(s->tx, c->a, &row);
		resp_header(c, "Azure-AsyncOperation",
			    url(c, "%s/operationStatuses/%s?api-version=%s", o->id,
				arm_str(state, "op", ""), c->api_version));
		resp_header(c, "Retry-After", arena_printf(c->a, "%d", RETRY_AFTER));
	}
	json_decref(state);
	return r;
}

static int
what_if_answer(struct ctx *c, const struct deployment_order *o)
{
	json_t *changes = json_array();
	int r = template_what_if(c, o, changes);

	if (r == 0) {
		c->resp.status = 200;
		c->resp.body = json_pack("{s:s, s:{s:O, s:s}}", "status", "Succeeded", "properties",
					 "changes", changes, "correlationId", c->correlation_id);
		if (c->is_dry_run)
			json_object_set_new(c->resp.body, "dryRun", json_true());
	}
	json_decref(changes);
	return r;
}

static int
handle_put(struct ctx *c)
{
	AUTO_PLANNED p = { 0 };
	int r = reading(c, write_allowed);

	if (r == 0)
		r = plan(c, &p);
	if (r < 0)
		return r;
	c->extra = &p;
	return c->is_dry_run ? what_if_answer(c, &p.order) : writing(c, put_run);
}

/* --- validate, what-if ------------------------------------------------------------------------------------------ */

/* What is wrong with the template is InvalidTemplate; what a resource says, a detail. */
static int
handle_validate(struct ctx *c)
{
	AUTO_PLANNED p = { 0 };
	int r = reading(c, validate_allowed);

	if (r == 0)
		r = plan(c, &p);
	if (r == 0)
		r = template_what_if(c, &p.order, NULL);
	if (r < 0)
		return r;
	json_t *props = deployment_shown(&p.t, &p.plan);
	json_t *validated = json_array();

	for (size_t i = 0; i < p.plan.n; i++)
		json_array_append_new(validated, json_pack("{s:s}", "id", p.plan.steps[i].id));
	json_object_set_new(props, "validatedResources", validated);
	json_object_set_new(props, "mode",
			    json_string(p.order.is_complete ? "Complete" : "Incremental"));
	json_object_set_new(props, "provisioningState", json_string("Succeeded"));
	json_object_set_new(props, "timestamp", time_json(c->now_us));
	json_object_set_new(props, "duration", duration_json(c->a, 0));
	json_object_set_new(props, "correlationId", json_string(c->correlation_id));
	json_object_set_new(props, "templateHash",
			    json_string(deployment_hash(c->a, p.order.template)));
	c->resp.status = 200;
	c->resp.body = json_pack("{s:s, s:s, s:s, s:o}", "id", p.order.id, "name", p.order.name,
				 "type", DEPLOYMENT_TYPE, "properties", props);
	return 0;
}

static int
handle_what_if(struct ctx *c)
{
	AUTO_PLANNED p = { 0 };
	int r = reading(c, what_if_allowed);

	if (r == 0)
		r = plan(c, &p);
	return r < 0 ? r : what_if_answer(c, &p.order);
}

/* --- GET, DELETE, cancel, export ----------------------------------------------------------------------------------- */

static int
get_run(struct ctx *c, struct arm_snapshot *s)
{
	struct store_deployment row;
	int r = row_get(c, s, "read", &row);

	if (r < 0)
		return r;
	c->resp.status = c->req->method == ARM_HEAD ? 204 : 200;
	if (c->req->method != ARM_HEAD)
		c->resp.body = deployment_json(s->tx, c->a, &row);
	return 0;
}

static int
filter_read(struct ctx *c, const char **ret)
{
	const char *text = query_param(c->a, c->req->query, "$filter");
	char state[32];
	int n = 0;

	*ret = NULL;
	if (!text || !*text)
		return 0;
	if (sscanf(text, " provisioningState %*1[eE]%*1[qQ] '%31[A-Za-z]' %n", state, &n) != 1 ||
	    !n || text[n])
		return arm_refuse(&c->error, 400, "InvalidFilterInQueryString",
				  "Invalid $filter '%s': only provisioningState eq 'word'.", text);
	*ret = arena_strdup(c->a, state);
	return 0;
}

static int
list_run(struct ctx *c, struct arm_snapshot *s)
{
	struct store_deployment *rows;
	const char *want = NULL;
	struct page page = { 0 };
	struct spot at;
	size_t n = 0;
	json_t *value;
	int r = allowed(c, s, "read");

	if (r == 0)
		r = filter_read(c, &want);
	if (r == 0)
		r = page_read(c, &page);
	if (r < 0)
		return r;
	spot_read(&c->path, &at);
	r = store_deployment_list(s->tx, c->a, fold(c->a, at.sub), at.rg ? fold(c->a, at.rg) : "",
				  page.after, page.size, &rows, &n, &c->err);
	if (r < 0)
		return r;
	value = json_array();
	for (size_t i = 0; i < n; i++) {
		json_t *one = deployment_json(s->tx, c->a, &rows[i]);

		if (!want || same(arm_str(one, "properties.provisioningState", ""), want))
			json_array_append(value, one);
		json_decref(one);
	}
	page_answer(c, value, n == page.size ? rows[n - 1].fold : NULL);
	return 0;
}

static int
delete_run(struct ctx *c, struct arm_snapshot *s)
{
	struct store_deployment row;
	struct spot at;
	int r = allowed(c, s, "delete");

	if (r < 0)
		return r;
	spot_read(&c->path, &at);
	c->resp.status = 204;
	r = store_deployment_get(s->tx, c->a, arm_id_fold(c->a, id_of(c, &at)), &row, &c->err);
	if (r <= 0)
		return r;
	if (row.is_active)
		return arm_refuse(&c->error, 409, "DeploymentActive",
				  "The deployment '%s' is still active. Cancel it first.", at.name);
	r = store_deployment_delete(s->tx, row.fold, &c->err);
	return r < 0 ? r
		     : event_add(c, s->tx, at.sub, at.rg, row.fold, DEPLOYMENT_TYPE "/delete",
				 "Succeeded");
}

/* Nothing begins any more, here and in those nested ones that the caller may cancel, too: they may be
 * in other groups and subscriptions. What runs ends by itself. */
static int
cancel(struct ctx *c, struct store_tx *tx, struct store_deployment *row, unsigned depth)
{
	json_t *state = json_loads(row->body, 0, NULL), *step;
	AUTO_FREE char *text = NULL;
	size_t i;
	int r = 0;

	json_array_foreach(json_object_get(state, "steps"), i, step) {
		struct store_deployment inner;

		if (r < 0 || depth == MAX_NESTED || strcmp(arm_str(step, "state", ""), "Running") ||
		    !same(arm_str(step, "type", ""), DEPLOYMENT_TYPE))
			continue;
		r = store_deployment_get(tx, c->a, arm_id_fold(c->a, arm_str(step, "id", "")),
					 &inner, &c->err);
		if (r == 1 && inner.is_active &&
		    may(c, tx, DEPLOYMENT_TYPE "/cancel/action", inner.fold))
			r = cancel(c, tx, &inner, depth + 1);
	}
	json_object_set_new(state, "state", json_string("Canceled"));
	json_object_set_new(state, "ended", json_integer(c->now_us));
	json_object_set_new(state, "error",
			    json_pack("{s:s, s:s}", "code", "DeploymentCanceled", "message",
				      "The deployment was canceled."));
	text = json_dumps(state, JSON_COMPACT);
	row->body = text;
	row->is_active = false;
	row->changed_us = c->now_us;
	json_decref(state);
	if (r >= 0)
		r = store_deployment_put(tx, row, &c->err);
	return r < 0 ? r : deployment_forget(tx, c->a, row->fold, &c->err);
}

static int
cancel_run(struct ctx *c, struct arm_snapshot *s)
{
	struct store_deployment row;
	struct spot at;
	int r = row_get(c, s, "cancel/action", &row);

	if (r < 0)
		return r;
	spot_read(&c->path, &at);
	if (!row.is_active)
		return arm_refuse(&c->error, 409, "DeploymentCannotBeCancelled",
				  "The deployment '%s' cannot be canceled: it is over.", at.name);
	c->resp.status = 204;
	r = cancel(c, s->tx, &row, 0);
	return r < 0 ? r
		     : event_add(c, s->tx, at.sub, at.rg, row.fold,
				 DEPLOYMENT_TYPE "/cancel/action", "Succeeded");
}

static int
export_run(struct ctx *c, struct arm_snapshot *s)
{
	struct store_deployment row;
	const void *text;
	json_t *request;
	size_t n;
	int r = row_get(c, s, "exportTemplate/action", &row);

	if (r == 0)
		r = store_secret_get(s->tx, c->a, row.fold, "request", &text, &n, &c->err);
	if (r < 0)
		return r;
	request = r == 1 ? json_loadb(text, n, 0, NULL) : NULL;
	if (json_is_true(json_object_get(request, "isFilled"))) {
		json_decref(request);
		return arm_refuse(&c->error, 409, "DeploymentTemplateNotExportable",
				  "The template of '%s' was made by the deployment around it, with "
				  "the values of its parameters, and is not kept. Export that one.",
				  row.id);
	}
	c->resp.status = 200;
	c->resp.body = json_pack("{s:O}", "template", json_object_get(request, "template"));
	json_decref(request);
	return 0;
}

/* --- operations --------------------------------------------------------------------------------------------------------- */

static json_t *
operation_json(struct ctx *c, const struct store_deployment *row, const json_t *step, size_t i)
{
	const char *id = arena_printf(c->a, "%016zX", i + 1);
	int64_t at = arm_int(step, "at", row->created_us);
	int64_t until = arm_int(step, "ended", c->now_us);
	const char *state = arm_str(step, "state", "");
	bool failed = !strcmp(state, "Failed");
	json_t *props = json_pack("{s:s, s:s, s:o, s:o, s:s, s:{s:O*, s:O*, s:O*}}",
				  "provisioningOperation", arm_str(step, "verb", "Create"),
				  "provisioningState", state, "timestamp", time_json(until),
				  "duration", duration_json(c->a, until - at), "statusCode",
				  failed ? "Conflict" : arm_str(step, "code", "OK"),
				  "targetResource", "id", json_object_get(step, "id"),
				  "resourceType", json_object_get(step, "type"), "resourceName",
				  json_object_get(step, "name"));

	if (failed)
		json_object_set_new(props, "statusMessage",
				    json_pack("{s:s, s:O*}", "status", "Failed", "error",
					      json_object_get(step, "error")));
	return json_pack("{s:s, s:s, s:o}", "id",
			 arena_printf(c->a, "%s/operations/%s", row->id, id), "operationId", id,
			 "properties", props);
}

/* A step that has not begun is not among them. */
static int
operations_run(struct ctx *c, struct arm_snapshot *s)
{
	struct store_deployment row = { 0 };
	json_t *state, *value = json_array(), *step;
	struct spot at;
	size_t i;
	int r = row_get(c, s, "operations/read", &row);

	spot_read(&c->path, &at);
	state = r == 0 ? json_loads(row.body, 0, NULL) : NULL;
	json_array_foreach(json_object_get(state, "steps"), i, step) {
		if (!json_object_get(step, "at"))
			continue;
		if (!at.id || same(at.id, arena_printf(c->a, "%016zX", i + 1)))
			json_array_append_new(value, operation_json(c, &row, step, i));
	}
	json_decref(state);
	c->resp.status = 200;
	if (at.id)
		c->resp.body = json_incref(json_array_get(value, 0));
	else
		c->resp.body = json_pack("{s:O}", "value", value);
	json_decref(value);
	if (r == 0 && at.id && !c->resp.body)
		r = arm_refuse(&c->error, 404, "DeploymentOperationNotFound",
			       "The deployment operation '%s' could not be found.", at.id);
	return r;
}

static int
status_run(struct ctx *c, struct arm_snapshot *s)
{
	struct store_deployment row;
	struct spot at;
	json_t *state;
	int r = row_get(c, s, "operationstatuses/read", &row);

	if (r < 0)
		return r;
	spot_read(&c->path, &at);
	state = json_loads(row.body, 0, NULL);
	if (!at.id || !same(at.id, arm_str(state, "op", ""))) {
		json_decref(state);
		return arm_refuse(&c->error, 404, "OperationNotFound",
				  "The operation '%s' could not be found.", at.id ? at.id : "");
	}
	c->resp.status = 200;
	c->resp.body = json_pack("{s:O}", "status", json_object_get(state, "state"));
	if (json_object_get(state, "error"))
		json_object_set(c->resp.body, "error", json_object_get(state, "error"));
	if (row.is_active)
		resp_header(c, "Retry-After", arena_printf(c->a, "%d", RETRY_AFTER));
	json_decref(state);
	return 0;
}

/* --- a group's template ---------------------------------------------------------------------------------------------------- */

static int
group_export_run(struct ctx *c, struct arm_snapshot *s)
{
	const json_t *wanted = json_object_get(c->body, "resources");
	const char *first = json_string_value(json_array_get(wanted, 0));
	struct spot at;
	int r;

	spot_read(&c->path, &at);
	r = authorise(c, s->tx, at.sub,
		      "Microsoft.Resources/subscriptions/resourceGroups/exportTemplate/action",
		      scope_of(c, &at));
	if (r < 0)
		return r;
	if (!arm_get(s, scope_of(c, &at)))
		return arm_refuse(&c->error, 404, "ResourceGroupNotFound",
				  "Resource group '%s' could not be found.", at.rg);
	if (wanted && !json_is_array(wanted))
		return arm_refuse_at(&c->error, 400, "InvalidRequestContent", "resources",
				     "resources: must be an array of ids, or of '*'.");
	return template_export(c, s, first && strcmp(first, "*") != 0 ? wanted : NULL,
			       arm_str(c->body, "options", ""));
}

/* --- dispatch ---------------------------------------------------------------------------------------------------------------- */

static const struct verb {
	const char *word; /* NULL: the deployment itself; "": the collection */
	enum arm_method method;
	bool takes_id;
	int (*run)(struct ctx *c, struct arm_snapshot *s);
	bool writes;
	int (*handle)(struct ctx *c); /* instead of run */
} verbs[] = {
	{ "", ARM_GET, false, list_run, false, NULL },
	{ NULL, ARM_PUT, false, NULL, false, handle_put },
	{ NULL, ARM_GET, false, get_run, false, NULL },
	{ NULL, ARM_HEAD, false, get_run, false, NULL },
	{ NULL, ARM_DELETE, false, delete_run, true, NULL },
	{ "cancel", ARM_POST, false, cancel_run, true, NULL },
	{ "validate", ARM_POST, false, NULL, false, handle_validate },
	{ "whatIf", ARM_POST, false, NULL, false, handle_what_if },
	{ "exportTemplate", ARM_POST, false, export_run, false, NULL },
	{ "operations", ARM_GET, true, operations_run, false, NULL },
	{ "operationStatuses", ARM_GET, true, status_run, false, NULL },
};

static bool
verb_is(const struct verb *v, const struct spot *at)
{
	if (!at->name)
		return v->word && !*v->word;
	if (!at->verb)
		return !v->word;
	return v->word && *v->word && same(v->word, at->verb) && (v->takes_id || !at->id);
}

int
handle_deployments(struct ctx *c, bool *ret_is_mine)
{
	struct spot at;
	bool known = false;
	int r;

	*ret_is_mine = spot_read(&c->path, &at);
	if (!*ret_is_mine)
		return 0;
	r = version_check(c, "2015-01-01");
	if (r < 0)
		return r;
	if (at.is_export)
		return c->req->method == ARM_POST ? reading(c, group_export_run)
						  : arm_refuse(&c->error, 405, "MethodNotAllowed",
							       "Only POST is offered here.");
	for (size_t i = 0; i < COUNT(verbs); i++) {
		if (!verb_is(&verbs[i], &at))
			continue;
		known = true;
		if (verbs[i].method != c->req->method)
			continue;
		if (verbs[i].handle)
			return verbs[i].handle(c);
		return verbs[i].writes ? writing(c, verbs[i].run) : reading(c, verbs[i].run);
	}
	return known ? arm_refuse(&c->error, 405, "MethodNotAllowed",
				  "This method is not offered here.")
		     : arm_refuse(&c->error, 404, "NotFound", "There is nothing at this path.");
}
