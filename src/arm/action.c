/* Actions and reads that a type offers, and the questions they put to nodes.
 *
 * A question waits in this controller's memory until the node's next poll takes it along. When all
 * answers are in, or the time is over, the action's `answered` runs on a fresh snapshot: a POST's
 * result goes into its operation, a GET's to the client that has been waiting. */
#include "arm/internal.h"

enum { MAX_WAITING = 16 }; /* questions of one caller */

struct pending {
	struct list link;
	struct arena arena;
	struct arm_engine *en;
	const struct arm_action *action;
	struct arm_caller caller;
	const char *id, *top_fold, *sub, *arg, *query;
	const char *args[4];
	size_t n_args;
	json_t *body;
	struct arm_ask *asks;
	size_t n_asks;
	struct mono deadline;
	const char *operation; /* POST */
	struct ctx *waiting;   /* GET */
	/* while finishing */
	json_t *result;
	struct arm_error error;
};

const char *
arm_call_query(const struct arm_call *c, const char *name)
{
	return query_param(c->s->arena, c->query, name);
}

void
arm_call_ask(struct arm_call *c, const char *node, const char *kind, json_t *object, size_t limit,
	     const char *tag)
{
	struct arena *a = c->s->arena;
	struct arm_ask *ask = NEW(a, struct arm_ask), **at = &c->asks;
	struct store_node n;
	struct err e;

	ask->id = guid_new(a);
	ask->node = arena_strdup(a, node);
	ask->kind = arena_strdup(a, kind);
	ask->tag = arena_strdup(a, tag ? tag : "");
	ask->object = object;
	ask->limit = limit;
	ask->status = "unreachable";
	ask->is_over = store_node_get(c->s->tx, a, node, &n, &e) != 1 ||
		       !node_is_live(c->s->engine, &n, c->s->now_us);
	while (*at)
		at = &(*at)->next;
	*at = ask;
}

/* --- starting ----------------------------------------------------------------------------------------- */

static const char *
action_name(struct ctx *c)
{
	const struct target *t = c->target;
	const struct arm_action *act = t->action;
	const char *verb = act->method == ARM_GET   ? "read"
			   : act->method == ARM_PUT ? "write"
						    : "action";

	if (act->action)
		return act->action;
	return arena_printf(c->a, "%s/%s/%s", t->action_prefix,
			    t->depth ? act->name : arm_id_segment(c->a, act->name, 0), verb);
}

static int
action_authorise(struct ctx *c, struct arm_snapshot *s)
{
	return authorise(c, s->tx, c->target->sub, action_name(c), c->target->fold);
}

/* Who asks may, and what is asked about is there. */
static int
action_begin(struct ctx *c, struct arm_snapshot *s)
{
	struct target *t = c->target;
	struct arm_call *call = NEW(c->a, struct arm_call);
	int r = action_authorise(c, s);

	if (r < 0)
		return r;
	call->s = s;
	call->id = t->id;
	call->sub = t->sub;
	call->arg = t->arg;
	call->args = t->args;
	call->n_args = t->n_args;
	call->body = c->body;
	call->query = c->req->query;
	call->deadline_ms = t->action->method == ARM_GET ? 3000 : 10000;
	if (t->depth) {
		call->r = arm_get(s, t->top_id);
		call->element = call->r ? arm_get_element(s, t->id, NULL) : NULL;
		if (!call->element)
			return arm_refuse(
				&c->error, 404, t->depth > 1 ? "NotFound" : "ResourceNotFound",
				"The Resource '%s' under resource group '%s' was not found.", t->id,
				t->rg ? t->rg : "<null>");
	}
	c->call = call;
	return 0;
}

static void
action_answer(struct ctx *c)
{
	c->resp.status = c->call->result ? 200 : 202;
	c->resp.body = c->call->result;
}

static int
action_run(struct ctx *c, struct arm_snapshot *s)
{
	int r = action_begin(c, s);

	if (r == 0)
		r = c->target->action->run(c->call);
	if (r == 0)
		action_answer(c);
	return r;
}

static int
action_commit(struct ctx *c, struct arm_snapshot *s, const struct entry *en)
{
	const struct target *t = c->target;
	struct outcome out;
	int r = overlay_commit(s, t->sub ? fold(c->a, t->sub) : "", t->top_fold, "put", NULL, &out,
			       &c->err);

	if (r == 0)
		r = event_add(c, s->tx, t->sub, t->rg, t->fold, action_name(c),
			      out.is_settled ? "Succeeded" : "Accepted");
	if (r == 0 && !c->call->result)
		operation_headers(c, t->chain[0]->ns, arm_str(en->want.body, "location", "global"),
				  out.operation, true);
	return r;
}

static int
action_write(struct ctx *c, struct arm_snapshot *s)
{
	const struct target *t = c->target;
	int r = action_begin(c, s);

	if (r < 0)
		return r;
	struct entry *en = entry_get(s, t->top_fold);
	struct arm_plan p = { .s = s, .verb = ARM_VERB_UPDATE, .type = en->type };

	if (en->have.is_deleting)
		return arm_refuse(&c->error, 409, "AnotherOperationInProgress",
				  "'%s' is being deleted.", en->have.name);
	entry_edit(s, en, true);
	p.have = &en->have;
	p.want = &en->want;
	p.location = arm_str(en->want.body, "location", "");
	s->overlay->plan_fold = en->fold;
	c->call->r = &en->want;
	c->call->element = arm_get_element(s, t->id, NULL);
	r = t->action->write(&p, c->call);
	if (r == 0)
		r = action_commit(c, s, en);
	if (r == 0)
		action_answer(c);
	else
		json_decref(c->call->result);
	return r;
}

static int
operation_start(struct store_tx *tx, void *arg, struct err *e)
{
	struct ctx *c = arg;
	struct store_operation op = {
		.id = c->extra,
		.sub = c->target->sub ? fold(c->a, c->target->sub) : "",
		.target = c->target->top_fold ? c->target->top_fold : c->target->fold,
		.what = "action",
		.caller = c->caller.oid,
		.detail = "{}",
		.status = STORE_OP_RUNNING,
		.created_us = c->now_us,
		.deadline_us = c->now_us + (int64_t)c->call->deadline_ms * 1000,
	};

	return store_operation_put(tx, &op, e);
}

/* Each holds memory here and asks nodes to work; nobody gets all of it. */
int
waiting_check(struct ctx *c)
{
	size_t n = 0;

	if (c->req->as) /* its asker does not wait */
		return arm_refuse(&c->error, 400, "InvalidTemplate",
				  "What nodes answer cannot be referred to in a template.");
	pthread_mutex_lock(&c->en->lock);
	LIST_FOR(it, &c->en->calls)
	n += !strcmp(LIST_ENTRY(it, struct pending, link)->caller.oid, c->caller.oid);
	pthread_mutex_unlock(&c->en->lock);
	if (n < MAX_WAITING)
		return 0;
	c->error.retry_after = 5;
	return arm_refuse(&c->error, 429, "TooManyRequests",
			  "%d questions of yours wait for answers of nodes. Try again when they "
			  "are answered.",
			  MAX_WAITING);
}

/* What the action asks of nodes is answered later. */
static int
action_wait(struct ctx *c)
{
	const struct target *t = c->target;
	int r = waiting_check(c);

	if (r == 0 && c->is_dry_run)
		r = arm_refuse(&c->error, 400, "DryRunNotOffered",
			       "This asks nodes and changes nothing: there is no dry run of it.");
	if (r < 0)
		return r;
	if (t->action->method == ARM_GET)
		return pending_start(c, c->call, NULL);
	c->extra = guid_new(c->a);
	r = store_write(c->en->cfg.store, operation_start, c, &c->err);
	if (r < 0)
		return r;
	operation_headers(c, t->provider->ns, "global", c->extra, true);
	return pending_start(c, c->call, c->extra);
}

void
asks_release(struct arm_ask *asks)
{
	for (struct arm_ask *k = asks; k; k = k->next) {
		json_decref(k->object);
		json_decref(k->result);
	}
}

int
handle_action(struct ctx *c)
{
	const struct target *t = c->target;
	int r;

	if (c->req->method != t->action->method)
		return arm_refuse(&c->error, 405, "MethodNotAllowed", "Only %s is offered here.",
				  t->action->method == ARM_GET   ? "GET"
				  : t->action->method == ARM_PUT ? "PUT"
								 : "POST");
	if (t->action->write)
		return writing(c, action_write);
	r = reading(c, action_run);
	if (r >= 0 && !c->resp.body && c->call->asks) {
		r = action_wait(c);
		if (r >= 0)
			return r; /* c is its finisher's by now, and may be gone */
	}
	if (c->call)
		asks_release(c->call->asks);
	return r;
}

static const char *
dup_or_null(struct arena *a, const char *s)
{
	return s ? arena_strdup(a, s) : NULL;
}

static void
pending_copy(struct pending *p, const struct ctx *c, const struct arm_call *call)
{
	const struct target *t = c->target;
	struct arm_ask **at = &p->asks;

	p->en = c->en;
	p->action = c->is_dry_run ? &dry_run_action : t->action;
	p->caller = (struct arm_caller){
		.oid = dup_or_null(&p->arena, c->caller.oid),
		.app_id = dup_or_null(&p->arena, c->caller.app_id),
		.tenant = dup_or_null(&p->arena, c->caller.tenant),
		.name = dup_or_null(&p->arena, c->caller.name),
	};
	p->query = dup_or_null(&p->arena, c->req->query);
	p->body = json_incref((json_t *)call->body);
	if (!c->is_dry_run) { /* what a dry run is about may not be there */
		p->id = arena_strdup(&p->arena, t->id);
		p->top_fold = dup_or_null(&p->arena, t->top_fold);
		p->sub = dup_or_null(&p->arena, t->sub);
		p->arg = dup_or_null(&p->arena, t->arg);
		p->n_args = t->n_args;
		for (size_t i = 0; i < t->n_args; i++)
			p->args[i] = arena_strdup(&p->arena, t->args[i]);
	}
	for (const struct arm_ask *a = call->asks; a; a = a->next) {
		struct arm_ask *own = NEW(&p->arena, struct arm_ask);

		*own = *a;
		own->next = NULL;
		own->id = arena_strdup(&p->arena, a->id);
		own->node = arena_strdup(&p->arena, a->node);
		own->kind = arena_strdup(&p->arena, a->kind);
		own->tag = arena_strdup(&p->arena, a->tag);
		*at = own;
		at = &own->next;
		p->n_asks++;
	}
}

/* The caller's nodes are told; whoever holds a poll of theirs answers it with the questions. */
int
pending_start(struct ctx *c, struct arm_call *call, const char *operation)
{
	struct pending *p = mem_alloc(sizeof(*p));
	const struct arm_config *cfg = &c->en->cfg;
	AUTO_ARENA a = { 0 };
	const char *nodes[64];
	size_t n = 0;

	pending_copy(p, c, call);
	p->deadline = mono_add_ms(mono_now(), call->deadline_ms);
	p->operation = dup_or_null(&p->arena, operation);
	if (!operation) {
		p->waiting = c;
		c->body = NULL; /* arm_handle() lets go of it */
		*c->is_pending = true;
	}
	for (const struct arm_ask *k = p->asks; k && n < COUNT(nodes); k = k->next)
		if (!k->is_over)
			nodes[n++] = arena_strdup(&a, k->node);
	pthread_mutex_lock(&c->en->lock);
	list_append(&c->en->calls, &p->link);
	pthread_mutex_unlock(&c->en->lock);
	for (size_t i = 0; i < n && cfg->node_changed; i++)
		cfg->node_changed(cfg->node_changed_ctx, nodes[i]);
	return 0;
}

/* --- finishing ---------------------------------------------------------------------------------------------- */

static int
finish_run(struct store_tx *tx, void *arg, struct err *e)
{
	struct pending *p = arg;
	struct arm_answer *answers = NEW_ARRAY(&p->arena, struct arm_answer, p->n_asks);
	AUTO_OVERLAY o;
	struct arm_snapshot s;
	struct arm_call call = { 0 };
	size_t i = 0;
	int r;

	p->error = error_fresh(p->en, &p->arena);
	snapshot_init(&s, &o, p->en, tx, &p->arena, &p->caller, &p->error, utc_now_us());
	for (const struct arm_ask *k = p->asks; k; k = k->next)
		answers[i++] = (struct arm_answer){ k->node, k->tag, k->result != NULL, k->status,
						    k->result };
	call.s = &s;
	call.id = p->id;
	call.sub = p->sub;
	call.arg = p->arg;
	call.args = p->args;
	call.n_args = p->n_args;
	call.body = p->body;
	call.query = p->query;
	call.answers = answers;
	call.n_answers = p->n_asks;
	if (p->top_fold) {
		call.r = arm_get(&s, p->top_fold);
		call.element = call.r ? arm_get_element(&s, p->id, NULL) : NULL;
		if (!call.element)
			return arm_refuse(&p->error, 404, "ResourceNotFound",
					  "'%s' was deleted meanwhile.", p->id);
	}
	r = p->action->answered ? p->action->answered(&call) : 0;
	p->result = call.result ? call.result : r == 0 ? json_object() : NULL;
	return r;
}

static int
operation_finish(struct store_tx *tx, void *arg, struct err *e)
{
	struct pending *p = arg;
	AUTO_ARENA a = { 0 };
	struct store_operation op;
	json_t *j;
	char *text;
	int r = store_operation_get(tx, &a, p->operation, &op, e);

	if (r <= 0)
		return r;
	op.finished_us = utc_now_us();
	if (p->error.status) {
		op.status = STORE_OP_FAILED;
		j = arm_error_body(&p->error);
		json_object_set_new(j, "status", json_string("Failed"));
		json_object_set_new(j, "http", json_integer(p->error.status));
	} else {
		op.status = STORE_OP_SUCCEEDED;
		j = json_pack("{s:s, s:O}", "status", "Succeeded", "properties", p->result);
		if (json_object_get(p->result, "value"))
			json_object_set(j, "value", json_object_get(p->result, "value"));
	}
	text = json_dumps(j, JSON_COMPACT);
	op.result = text;
	r = store_operation_put(tx, &op, e);
	free(text);
	json_decref(j);
	return r;
}

static void
pending_destroy(struct pending *p)
{
	asks_release(p->asks);
	json_decref(p->body);
	json_decref(p->result);
	arena_reset(&p->arena);
	free(p);
}

static void
pending_finish(struct pending *p)
{
	struct err e = { 0 };
	int r = store_read(p->en->cfg.store, finish_run, p, &e);

	if (r < 0 && !p->error.status)
		arm_refuse(&p->error, r == -EAGAIN ? 503 : 500, "ServiceUnavailable",
			   "The answers could not be read.");
	if (p->operation) {
		store_write(p->en->cfg.store, operation_finish, p, &e);
	} else {
		struct ctx *c = p->waiting;

		c->resp.status = 200;
		c->resp.body = json_incref(p->result);
		if (p->error.status)
			arm_refuse(&c->error, p->error.status, p->error.code, "%s",
				   p->error.message);
		request_finish(c, p->error.status ? -EBADE : 0);
	}
	pending_destroy(p);
}

static bool
pending_is_over(const struct pending *p, struct mono now)
{
	if (mono_is_due(p->deadline, now))
		return true;
	for (const struct arm_ask *k = p->asks; k; k = k->next)
		if (!k->is_over)
			return false;
	return true;
}

void
calls_expire(struct arm_engine *en)
{
	for (;;) {
		struct mono now = mono_now();
		struct pending *hit = NULL;

		pthread_mutex_lock(&en->lock);
		LIST_FOR(it, &en->calls)
		{
			struct pending *p = LIST_ENTRY(it, struct pending, link);

			if (pending_is_over(p, now)) {
				hit = p;
				list_remove(&p->link);
				break;
			}
		}
		pthread_mutex_unlock(&en->lock);
		if (!hit)
			return;
		pending_finish(hit);
	}
}

/* The engine ends: nobody waits any more. */
void
calls_drop(struct arm_engine *en)
{
	while (!list_is_empty(&en->calls)) {
		struct pending *p = LIST_ENTRY(en->calls.next, struct pending, link);

		list_remove(&p->link);
		pending_destroy(p);
	}
}

/* --- the agents' side ----------------------------------------------------------------------------------------- */

/* Questions for a node that it has not been given, or not answered for 5 s; a new reference. */
json_t *
queries_take(struct arm_engine *en, const char *node)
{
	json_t *list = json_array();
	struct mono now = mono_now();

	pthread_mutex_lock(&en->lock);
	LIST_FOR(it, &en->calls)
	{
		struct pending *p = LIST_ENTRY(it, struct pending, link);

		for (struct arm_ask *k = p->asks; k; k = k->next) {
			if (k->is_over || strcmp(k->node, node) ||
			    (k->is_sent && !mono_is_due(mono_add_ms(k->sent, 5000), now)))
				continue;
			k->is_sent = true;
			k->sent = now;
			json_array_append_new(
				list, json_pack("{s:s, s:s, s:O, s:I, s:I}", "id", k->id, "kind",
						k->kind, "object", k->object, "limit",
						(json_int_t)k->limit, "deadlineMs",
						(json_int_t)((p->deadline.us - now.us) / 1000)));
		}
	}
	pthread_mutex_unlock(&en->lock);
	return list;
}

int
arm_agent_answer(struct arm_engine *en, const char *node, const json_t *answer, struct err *e)
{
	const char *id = arm_str(answer, "id", NULL), *status = arm_str(answer, "status", "ok");
	json_t *result = json_object_get(answer, "result");
	bool hit = false;

	if (!id)
		return err_set(e, -EINVAL, "an answer has an id");
	pthread_mutex_lock(&en->lock);
	LIST_FOR(it, &en->calls)
	{
		struct pending *p = LIST_ENTRY(it, struct pending, link);

		for (struct arm_ask *k = p->asks; k; k = k->next) {
			if (k->is_over || strcmp(k->id, id) || strcmp(k->node, node))
				continue;
			k->is_over = hit = true;
			k->status = arena_strdup(&p->arena, status);
			k->result = result ? json_deep_copy(result) : json_null();
		}
	}
	pthread_mutex_unlock(&en->lock);
	if (hit)
		calls_expire(en);
	return 0;
}
