/* What a deployment does and asks goes through the front door, as its caller: same rights, same
 * checks, same operations. */
#include "arm/template.h"

struct done {
	struct template_answer *ret;
	bool is_done;
};

/* The operation in an Azure-AsyncOperation header: the last segment of its path. */
static void
operation_note(struct template_answer *ret, const char *url)
{
	const char *end = url + strcspn(url, "?"), *start = end;

	while (start > url && start[-1] != '/')
		start--;
	if (end - start < (ptrdiff_t)sizeof(ret->operation))
		snprintf(ret->operation, sizeof(ret->operation), "%.*s", (int)(end - start), start);
}

static void
done(void *arg, struct arm_response *resp)
{
	struct done *d = arg;
	const char *state = arm_str(resp->body, "properties.provisioningState", NULL);

	d->is_done = true;
	d->ret->status = resp->status;
	d->ret->body = json_incref(resp->body);
	for (size_t i = 0; i < resp->n_headers; i++)
		if (same(resp->headers[i].name, "Azure-AsyncOperation") &&
		    !(state && same(state, "Succeeded")))
			operation_note(d->ret, resp->headers[i].value);
	arm_response_fini(resp);
}

void
template_request(struct template_caller *w, enum arm_method m, const char *id, const char *version,
		 const json_t *body, struct template_answer *ret)
{
	AUTO_ARENA a = { 0 };
	AUTO_FREE char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	struct done d = { .ret = ret };
	const struct arm_request req = {
		.arena = &a,
		.method = m,
		.path = template_path(&a, id),
		.query = arena_printf(&a, "api-version=%s", version ? version : DEPLOYMENT_VERSION),
		.body = text,
		.body_len = text ? strlen(text) : 0,
		.correlation_id = w->correlation,
		.as = w->caller,
		.within = w->within,
	};

	*ret = (struct template_answer){ 0 };
	arm_handle(w->en, &req, done, &d);
	assert(d.is_done); /* only reads of nodes are answered later; no template makes one */
	if (text)
		mem_wipe(text, req.body_len);
}

void
template_answer_fini(struct template_answer *a)
{
	json_decref(a->body);
	a->body = NULL;
}

int
template_answer_refuse(const struct template_answer *a, struct arm_error *e)
{
	const char *code = arm_str(a->body, "error.code", "InternalServerError");
	const char *text = arm_str(a->body, "error.message", "The request failed.");
	const char *target = arm_str(a->body, "error.target", NULL);
	json_t *one;
	size_t i;
	int r = arm_refuse_at(e, a->status >= 400 ? a->status : 500, arena_strdup(e->arena, code),
			      target, "%s", text);

	json_array_foreach(arm_at(a->body, "error.details"), i, one)
		arm_error_add(e, arena_strdup(e->arena, arm_str(one, "code", "")),
			      arm_str(one, "target", NULL), "%s", arm_str(one, "message", ""));
	return r;
}

void
template_caller_fini(struct template_caller *w)
{
	json_decref(w->sub_json);
	json_decref(w->group_json);
	w->sub_json = w->group_json = NULL;
}

/* --- what functions ask ------------------------------------------------------------------------- */

static json_t *
resource_ask(void *ctx, const char *id, struct arm_error *e)
{
	AUTO_ANSWER a = { 0 };

	template_request(ctx, ARM_GET, id, NULL, NULL, &a);
	if (a.status == 200 && a.body)
		return json_incref(a.body);
	template_answer_refuse(&a, e);
	return NULL;
}

static json_t *
subscription_ask(void *ctx, struct arm_error *e)
{
	struct template_caller *w = ctx;
	char id[128];

	if (!w->sub_json) {
		snprintf(id, sizeof(id), "/subscriptions/%s", w->sub);
		w->sub_json = resource_ask(w, id, e);
	}
	return w->sub_json ? json_incref(w->sub_json) : NULL;
}

static json_t *
group_ask(void *ctx, struct arm_error *e)
{
	struct template_caller *w = ctx;
	char id[512];

	if (!w->group_json) {
		snprintf(id, sizeof(id), "/subscriptions/%s/resourceGroups/%s", w->sub, w->rg);
		w->group_json = resource_ask(w, id, e);
	}
	return w->group_json ? json_incref(w->group_json) : NULL;
}

struct template_world
template_world_of(struct template_caller *w, const json_t *deployment)
{
	return (struct template_world){
		.ctx = w,
		.sub = w->sub,
		.rg = w->rg,
		.deployment = deployment,
		.subscription = subscription_ask,
		.group = group_ask,
		.resource = resource_ask,
	};
}
