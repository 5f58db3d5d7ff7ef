/* Running deployments. One is a row with its steps; a tick goes on with each that is active:
 *
 *   Waiting --all before it Succeeded: request--> Running --operation over--> Succeeded | Failed
 *      ^                                  '--done at once--------------------^
 *      '--busy, asked again later--'
 *
 * After a failure nothing begins any more; what runs is waited for. What was done is written after a
 * batch: a controller that is killed meanwhile does the last requests again, which changes nothing
 * (a PUT of what is there). A tick takes no longer than TICK_MS and a small batch; the next one goes on
 * with the deployment after the last.
 *
 * Nothing of a plan is stored: the template, its parameters and the caller are, and the same steps are
 * made from them again. */
#include "arm/template.h"

enum {
	TICK_MS = 100,
	BATCH = 16,      /* requests between two writes */
	MIN_BATCH = 8,   /* also when planning took the time: it is done again for each batch */
	MAX_TRIES = 120, /* of a request to something busy, a second apart */
	MAX_ACTIVE = 1000,
	MAX_NESTED = 16, /* levels that are looked into */
};

struct deployment {
	struct arm_engine *en;
	struct arena arena;
	struct arm_error error;
	struct store_deployment row;
	json_t *state, *request, *function;
	struct arm_caller caller;
	struct template_caller world;
	struct template t;
	struct template_plan plan;
	json_t *outputs; /* when done */
	json_t *nested;  /* fold -> true: what nested deployments have made */
	int64_t now_us;
	bool is_planned, is_changed;
};

static const char *
state_of(const json_t *j)
{
	return arm_str(j, "state", "");
}

static bool
state_is(const json_t *j, const char *word)
{
	return !strcmp(state_of(j), word);
}

static json_t *
steps_of(const struct deployment *d)
{
	return json_object_get(d->state, "steps");
}

static json_t *
step_state(const struct deployment *d, size_t i)
{
	return json_array_get(steps_of(d), i);
}

static size_t
count(const struct deployment *d, const char *word)
{
	json_t *one;
	size_t i, n = 0;

	json_array_foreach(steps_of(d), i, one)
		n += state_is(one, word);
	return n;
}

static void
step_enter(struct deployment *d, json_t *step, const char *word)
{
	const char *was = state_of(step);

	d->is_changed = true;
	if (!strcmp(was, "Waiting") && !json_object_get(step, "at"))
		json_object_set_new(step, "at", json_integer(d->now_us));
	if (!strcmp(word, "Succeeded") || !strcmp(word, "Failed"))
		json_object_set_new(step, "ended", json_integer(d->now_us));
	json_object_set_new(step, "state", json_string(word));
}

static void
step_fail(struct deployment *d, json_t *step, json_t *error)
{
	json_object_set_new(step, "error", error ? error : json_object());
	step_enter(d, step, "Failed");
}

/* --- what runs --------------------------------------------------------------------------------------- */

/* The nested deployment of a step. */
static int
nested_poll(struct deployment *d, struct store_tx *tx, json_t *step, struct err *e)
{
	struct store_deployment row;
	int r = store_deployment_get(tx, &d->arena, arm_id_fold(&d->arena, arm_str(step, "id", "")),
				     &row, e);
	json_t *state;

	if (r < 0 || (r == 1 && row.is_active))
		return r;
	state = r == 1 ? json_loads(row.body, 0, NULL) : NULL;
	if (state && state_is(state, "Succeeded"))
		step_enter(d, step, "Succeeded");
	else
		step_fail(d, step,
			  state && json_object_get(state, "error")
				  ? json_incref(json_object_get(state, "error"))
				  : json_pack("{s:s, s:s}", "code", "DeploymentCanceled", "message",
					      "The nested deployment was canceled."));
	json_decref(state);
	return 0;
}

static int
step_poll(struct deployment *d, struct store_tx *tx, json_t *step, struct err *e)
{
	const char *op = arm_str(step, "op", "");
	struct store_operation row;
	json_t *result;
	int r;

	if (same(arm_str(step, "type", ""), DEPLOYMENT_TYPE))
		return nested_poll(d, tx, step, e);
	r = store_operation_get(tx, &d->arena, op, &row, e);
	if (r < 0 || (r == 1 && row.status == STORE_OP_RUNNING))
		return r;
	if (r == 0 || row.status != STORE_OP_FAILED) { /* gone: over for a day */
		step_enter(d, step, "Succeeded");
		return 0;
	}
	result = row.result ? json_loads(row.result, 0, NULL) : NULL;
	step_fail(d, step, json_incref(json_object_get(result, "error")));
	json_decref(result);
	return 0;
}

static int
load_run(struct store_tx *tx, void *arg, struct err *e)
{
	struct deployment *d = arg;
	const char *fold = d->row.fold;
	const void *text;
	json_t *step;
	size_t i, n;
	int r = store_deployment_get(tx, &d->arena, fold, &d->row, e);

	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	d->state = json_loads(d->row.body, 0, NULL);
	r = store_secret_get(tx, &d->arena, fold, "request", &text, &n, e);
	d->request = r == 1 ? json_loadb(text, n, 0, NULL) : NULL;
	if (r == 1)
		mem_wipe((void *)text, n);
	json_array_foreach(steps_of(d), i, step)
		if (r >= 0 && state_is(step, "Running"))
			r = step_poll(d, tx, step, e);
	return r < 0 ? r : 0;
}

/* --- planning anew ------------------------------------------------------------------------------------ */

static int
broken(struct deployment *d)
{
	return arm_refuse(&d->error, 500, "DeploymentFailed",
			  "What the deployment was made from has changed since it began (its "
			  "resource group, or the controller). Deploy the template again.");
}

static int
plan_again(struct deployment *d)
{
	const struct deployment_order o = {
		.id = d->row.id,
		.name = arm_id_segment(&d->arena, d->row.id, 0),
		.is_complete = same(arm_str(d->state, "mode", ""), "Complete"),
		.location = arm_str(d->state, "location", NULL),
	};
	struct template_world w;
	int r;

	d->world = (struct template_caller){
		.en = d->en,
		.caller = &d->caller,
		.correlation = arm_str(d->state, "correlation", ""),
		.sub = arm_id_segment(&d->arena, d->row.id, *d->row.rg ? 6 : 4),
		.rg = *d->row.rg ? arm_id_segment(&d->arena, d->row.id, 4) : NULL,
	};
	d->caller = (struct arm_caller){
		.oid = arm_str(d->request, "caller.oid", ""),
		.app_id = arm_str(d->request, "caller.appId", ""),
		.tenant = arm_str(d->request, "caller.tenant", ""),
		.name = arm_str(d->request, "caller.name", ""),
	};
	d->function = deployment_function(&d->arena, &o);
	w = template_world_of(&d->world, d->function);
	template_init(&d->t, &d->arena, &d->error, json_object_get(d->request, "template"), &w);
	d->is_planned = true;
	d->t.is_filled = json_is_true(json_object_get(d->request, "isFilled"));
	r = template_parameters(&d->t, json_object_get(d->request, "parameters"));
	if (r == 0)
		r = template_plan_make(&d->t, &d->plan);
	for (size_t i = 0; i < d->plan.n && r == 0; i++)
		if (strcmp(arm_str(step_state(d, i), "id", ""), d->plan.steps[i].id) != 0)
			return broken(d);
	return r;
}

/* --- doing -------------------------------------------------------------------------------------------------- */

/* Busy now: asked again in a second. */
static bool
try_again(struct deployment *d, json_t *step, const struct template_answer *a)
{
	const char *code = arm_str(a->body, "error.code", "");
	int64_t tries = arm_int(step, "tries", 0);

	if (a->status != 429 && a->status != 503 && strcmp(code, "AnotherOperationInProgress") != 0)
		return false;
	if (tries == MAX_TRIES)
		return false;
	json_object_set_new(step, "tries", json_integer(tries + 1));
	json_object_set_new(step, "due", json_integer(d->now_us + 1000000));
	d->is_changed = true;
	return true;
}

/* A nested deployment that this one had begun before the controller was killed. */
static bool
is_own(struct deployment *d, const json_t *step)
{
	AUTO_ANSWER a = { 0 };

	template_request(&d->world, ARM_GET, arm_str(step, "id", ""), NULL, NULL, &a);
	return !strcmp(arm_str(a.body, "properties.correlationId", ""), d->world.correlation);
}

static void
step_answered(struct deployment *d, json_t *step, const struct template_answer *a)
{
	bool nested = same(arm_str(step, "type", ""), DEPLOYMENT_TYPE);

	if (a->status >= 400) {
		if (nested && !strcmp(arm_str(a->body, "error.code", ""), "DeploymentActive") &&
		    is_own(d, step))
			step_enter(d, step, "Running");
		else if (!try_again(d, step, a))
			step_fail(d, step, json_incref(json_object_get(a->body, "error")));
		return;
	}
	json_object_set_new(step, "code",
			    json_string(a->status == 201   ? "Created"
					: a->status == 202 ? "Accepted"
							   : "OK"));
	if (*a->operation) {
		json_object_set_new(step, "op", json_string(a->operation));
		step_enter(d, step, "Running");
	} else {
		step_enter(d, step, "Succeeded");
	}
}

static void
step_run(struct deployment *d, size_t i)
{
	const struct template_step *s = &d->plan.steps[i];
	json_t *step = step_state(d, i), *body = template_step_body(&d->t, s), *error;
	AUTO_ANSWER a = { 0 };

	if (body) {
		template_request(&d->world, ARM_PUT, s->id, s->version, body, &a);
		step_answered(d, step, &a);
		return;
	}
	error = arm_error_body(&d->error);
	a.status = d->error.status;
	a.body = error; /* let go of with the answer */
	if (!try_again(d, step, &a))
		step_fail(d, step, json_incref(json_object_get(error, "error")));
	d->error = (struct arm_error){ .arena = &d->arena };
}

static bool
is_ready(const struct deployment *d, size_t i)
{
	const struct template_step *s = &d->plan.steps[i];
	const json_t *step = step_state(d, i);

	if (!state_is(step, "Waiting") || arm_int(step, "due", 0) > d->now_us)
		return false;
	for (size_t k = 0; k < s->n_after; k++)
		if (!state_is(step_state(d, s->after[k]), "Succeeded"))
			return false;
	return true;
}

/* Begins what can begin, at most a batch. */
static void
steps_begin(struct deployment *d, struct mono until)
{
	size_t n = 0;

	json_object_del(d->state, "more");
	for (size_t i = 0; i < d->plan.n && !count(d, "Failed"); i++) {
		if (!is_ready(d, i))
			continue;
		if (n == BATCH || (n >= MIN_BATCH && mono_is_due(until, mono_now()))) {
			json_object_set_new(d->state, "more", json_true());
			return;
		}
		step_run(d, i);
		n++;
	}
}

/* --- complete mode: what the template does not name goes ------------------------------------------------------ */

static bool
is_named(const struct deployment *d, const char *fold)
{
	if (json_object_get(d->nested, fold))
		return true;
	for (size_t i = 0; i < d->plan.n; i++)
		if (!strcmp(d->plan.steps[i].fold, fold))
			return true;
	return false;
}

/* What a nested deployment has made is the template's, too. */
static int
nested_note(struct deployment *d, struct store_tx *tx, const json_t *steps, unsigned depth,
	    struct err *e)
{
	json_t *step, *state;
	size_t i;
	int r = 0;

	json_array_foreach((json_t *)steps, i, step) {
		const char *fold = arm_id_fold(&d->arena, arm_str(step, "id", ""));
		struct store_deployment row;

		json_object_set_new(d->nested, fold, json_true());
		if (r < 0 || depth == MAX_NESTED ||
		    !same(arm_str(step, "type", ""), DEPLOYMENT_TYPE))
			continue;
		r = store_deployment_get(tx, &d->arena, fold, &row, e);
		if (r <= 0)
			continue;
		state = json_loads(row.body, 0, NULL);
		r = nested_note(d, tx, json_object_get(state, "steps"), depth + 1, e);
		json_decref(state);
	}
	return r < 0 ? r : 0;
}

static int
sweep_run(struct store_tx *tx, void *arg, struct err *e)
{
	struct deployment *d = arg;
	struct store_filter f = { .sub = d->row.sub, .rg = d->row.rg, .limit = 1000 };
	struct store_resource *rows;
	size_t n = 0;
	int r;

	d->nested = json_object();
	r = nested_note(d, tx, steps_of(d), 0, e);
	if (r < 0)
		return r;
	do {
		r = store_resource_list(tx, &d->arena, &f, &rows, &n, e);
		for (size_t i = 0; i < n && r >= 0; i++) {
			const struct type_entry *te = type_of_fold(d->en, rows[i].type);

			f.after = rows[i].fold;
			if (!te || te->type->flags & ARM_NO_DELETE || rows[i].state == STORE_GONE ||
			    is_named(d, rows[i].fold))
				continue;
			json_array_append_new(
				steps_of(d),
				json_pack("{s:s, s:s, s:s, s:s, s:s}", "id", rows[i].id, "type",
					  arena_printf(&d->arena, "%s/%s", te->type->ns,
						       te->type->name),
					  "name", arm_id_segment(&d->arena, rows[i].id, 0), "verb",
					  "Delete", "state", "Waiting"));
		}
	} while (r >= 0 && n == f.limit);
	return r;
}

/* One that is needed by another is asked again when another has gone. */
static bool
delete_one(struct deployment *d, json_t *step)
{
	AUTO_ANSWER a = { 0 };
	json_t *error;

	template_request(&d->world, ARM_DELETE, arm_str(step, "id", ""), NULL, NULL, &a);
	if (a.status < 400) {
		step_answered(d, step, &a);
		return true;
	}
	if (try_again(d, step, &a))
		return true;
	error = json_object_get(a.body, "error");
	json_object_set_new(step, "error", error ? json_incref(error) : json_object());
	return false;
}

static void
sweep(struct deployment *d, struct mono until)
{
	bool progress = false;
	json_t *step;
	size_t i;
	struct err e;

	if (!json_object_get(d->state, "swept")) {
		if (store_read(d->en->cfg.store, sweep_run, d, &e) < 0)
			return;
		json_object_set_new(d->state, "swept", json_true());
		d->is_changed = true;
	}
	for (i = d->plan.n; i < json_array_size(steps_of(d)); i++) {
		step = step_state(d, i);
		if (!state_is(step, "Waiting"))
			continue;
		progress |= arm_int(step, "due", 0) > d->now_us || delete_one(d, step);
		if (mono_is_due(until, mono_now())) {
			json_object_set_new(d->state, "more", json_true());
			return;
		}
	}
	if (progress || count(d, "Running"))
		return;
	json_array_foreach(steps_of(d), i, step)
		if (state_is(step, "Waiting"))
			step_enter(d, step, "Failed");
}

/* --- the end ------------------------------------------------------------------------------------------------------ */

static void
end(struct deployment *d, const char *word, json_t *error)
{
	json_object_set_new(d->state, "state", json_string(word));
	json_object_set_new(d->state, "ended", json_integer(d->now_us));
	json_object_del(d->state, "more");
	if (error)
		json_object_set_new(d->state, "error", error);
	d->row.is_active = false;
	d->is_changed = true;
}

static json_t *
refusal_json(const struct arm_error *e)
{
	json_t *body = arm_error_body(e), *error = json_incref(json_object_get(body, "error"));

	json_decref(body);
	return error;
}

/* A resource's error, of the resource: the field that it names becomes a detail. */
static json_t *
detail_of(const json_t *step)
{
	const json_t *error = json_object_get(step, "error");
	json_t *inner = json_array(), *field;
	json_t *out = json_pack("{s:s, s:s, s:O*}", "code", arm_str(error, "code", "Conflict"),
				"message", arm_str(error, "message", ""), "target",
				json_object_get(step, "id"));

	if (json_object_get(error, "target")) {
		field = json_copy((json_t *)error);
		json_object_del(field, "details");
		json_array_append_new(inner, field);
	}
	json_array_extend(inner, json_object_get(error, "details"));
	if (json_array_size(inner))
		json_object_set(out, "details", inner);
	json_decref(inner);
	return out;
}

static void
end_failed(struct deployment *d)
{
	json_t *details = json_array(), *step;
	size_t i;

	json_array_foreach(steps_of(d), i, step) {
		if (state_is(step, "Failed"))
			json_array_append_new(details, detail_of(step));
	}
	end(d, "Failed",
	    json_pack("{s:s, s:s, s:o}", "code", "DeploymentFailed", "message",
		      "At least one resource deployment operation failed. Please list deployment "
		      "operations for details.",
		      "details", details));
}

static void
end_well(struct deployment *d)
{
	d->outputs = template_outputs(&d->t);
	if (d->outputs) {
		end(d, "Succeeded", NULL);
		return;
	}
	json_t *why = refusal_json(&d->error);

	end(d, "Failed",
	    json_pack("{s:s, s:s, s:[o]}", "code", "DeploymentOutputEvaluationFailed", "message",
		      "Unable to evaluate template outputs.", "details", why));
}

static int
event_write(struct deployment *d, struct store_tx *tx, struct err *e)
{
	json_t *j = json_pack("{s:s, s:s, s:s, s:s, s:O*, s:{s:s, s:s, s:s, s:s}}", "requestId",
			      arm_str(d->state, "op", ""), "resourceId", d->row.id, "method", "PUT",
			      "uri", d->row.id, "onBehalfOf",
			      json_object_get(d->state, "onBehalfOf"), "claims", "oid",
			      d->caller.oid ? d->caller.oid : "", "appid",
			      d->caller.app_id ? d->caller.app_id : "", "tid",
			      d->caller.tenant ? d->caller.tenant : "", "name",
			      d->caller.name ? d->caller.name : "");
	AUTO_FREE char *detail = json_dumps(j, JSON_COMPACT);
	const struct store_event ev = {
		.at_us = d->now_us,
		.sub = d->row.sub,
		.rg = d->row.rg,
		.target = d->row.fold,
		.operation = DEPLOYMENT_TYPE "/write",
		.status = state_of(d->state),
		.caller = d->caller.oid ? d->caller.oid : "",
		.detail = detail,
		.correlation = arm_str(d->state, "correlation", ""),
	};

	json_decref(j);
	return store_event_add(tx, &ev, e);
}

static int
outputs_write(struct deployment *d, struct store_tx *tx, struct err *e)
{
	AUTO_FREE char *out = NULL;
	const void *text;
	json_t *shown;
	size_t n;
	int r = store_secret_get(tx, &d->arena, d->row.fold, "shown", &text, &n, e);

	if (r < 0)
		return r;
	shown = r == 1 ? json_loadb(text, n, 0, NULL) : NULL;
	if (!shown)
		shown = json_object();
	json_object_set(shown, "outputs", d->outputs);
	out = json_dumps(shown, JSON_COMPACT);
	json_decref(shown);
	return store_secret_put(tx, d->row.fold, "shown", out, strlen(out), e);
}

int
deployment_forget(struct store_tx *tx, struct arena *a, const char *fold, struct err *e)
{
	const void *text;
	json_t *request;
	char *rest;
	size_t n;
	int r = store_secret_get(tx, a, fold, "request", &text, &n, e);

	if (r <= 0)
		return r;
	request = json_loadb(text, n, 0, NULL);
	mem_wipe((void *)text, n);
	json_object_del(request, "parameters");
	json_object_del(request, "caller");
	if (json_is_true(json_object_get(request, "isFilled")))
		json_object_del(request, "template");
	rest = json_dumps(request, JSON_COMPACT);
	r = store_secret_put(tx, fold, "request", rest, strlen(rest), e);
	free(rest);
	json_decref(request);
	return r;
}

static int
save_run(struct store_tx *tx, void *arg, struct err *e)
{
	struct deployment *d = arg;
	struct store_deployment now;
	AUTO_FREE char *text = NULL;
	json_t *was;
	int r = store_deployment_get(tx, &d->arena, d->row.fold, &now, e);

	if (r <= 0)
		return r;
	was = json_loads(now.body, 0, NULL);
	if (strcmp(arm_str(was, "op", ""), arm_str(d->state, "op", "")) != 0) {
		json_decref(was);
		return 0; /* another deployment by now */
	}
	if (!now.is_active) { /* canceled meanwhile: only what has been done is noted */
		json_object_set(d->state, "state", json_object_get(was, "state"));
		json_object_set(d->state, "ended", json_object_get(was, "ended"));
		json_object_set(d->state, "error", json_object_get(was, "error"));
	}
	json_decref(was);
	d->row.is_active &= now.is_active;
	d->row.changed_us = d->now_us;
	text = json_dumps(d->state, JSON_COMPACT);
	d->row.body = text;
	r = store_deployment_put(tx, &d->row, e);
	if (r == 0 && now.is_active && !d->row.is_active)
		r = event_write(d, tx, e);
	if (r == 0 && now.is_active && d->outputs)
		r = outputs_write(d, tx, e);
	if (r == 0 && now.is_active && !d->row.is_active)
		r = deployment_forget(tx, &d->arena, d->row.fold, e);
	return r;
}

/* --- going on ------------------------------------------------------------------------------------------------------ */

/* Nothing to do before an operation is over or a second has passed? */
static bool
is_waiting_only(const struct deployment *d)
{
	bool waits = count(d, "Running") > 0;
	json_t *one;
	size_t i;

	if (d->is_changed || json_object_get(d->state, "more") || state_is(d->state, "Accepted"))
		return false;
	json_array_foreach(steps_of(d), i, one) {
		int64_t due = state_is(one, "Waiting") ? arm_int(one, "due", 0) : 0;

		if (due && due <= d->now_us)
			return false;
		waits |= due > 0;
	}
	return waits;
}

/* The store was busy: the next tick tries again. */
static bool
is_passing(const struct arm_error *e)
{
	return e->status == 429 || e->status == 503;
}

static void
go_on(struct deployment *d, struct mono until)
{
	bool complete = same(arm_str(d->state, "mode", ""), "Complete");

	if (plan_again(d) < 0) {
		if (is_passing(&d->error))
			return;
		end(d, "Failed", refusal_json(&d->error));
		return;
	}
	if (state_is(d->state, "Accepted")) {
		json_object_set_new(d->state, "state", json_string("Running"));
		d->is_changed = true;
	}
	steps_begin(d, until);
	if (count(d, "Running"))
		return;
	if (count(d, "Failed")) {
		end_failed(d);
		return;
	}
	if (complete && (!count(d, "Waiting") || json_object_get(d->state, "swept")))
		sweep(d, until);
	if (count(d, "Failed"))
		end_failed(d);
	else if (!count(d, "Running") && !count(d, "Waiting"))
		end_well(d);
}

static void
deployment_fini(struct deployment *d)
{
	if (d->is_planned)
		template_fini(&d->t);
	template_caller_fini(&d->world);
	json_decref(d->state);
	json_decref(d->request);
	json_decref(d->function);
	json_decref(d->outputs);
	json_decref(d->nested);
	arena_reset(&d->arena);
}

/* True: it can go on at once. */
static bool
drive(struct arm_engine *en, const char *fold, struct mono until)
{
	struct deployment d = { .en = en, .row.fold = fold, .now_us = utc_now_us() };
	struct err e;
	bool more = false;

	d.error.arena = &d.arena;
	if (store_read(en->cfg.store, load_run, &d, &e) == 0 && d.row.is_active &&
	    !is_waiting_only(&d)) {
		go_on(&d, until);
		more = d.is_changed && d.row.is_active && !count(&d, "Running");
		if (d.is_changed && store_write(en->cfg.store, save_run, &d, &e) < 0)
			more = false;
	}
	deployment_fini(&d);
	return more;
}

struct look {
	struct arena arena;
	const char *after, **folds;
	size_t n;
};

static int
look_run(struct store_tx *tx, void *arg, struct err *e)
{
	struct look *l = arg;

	return store_deployment_active(tx, &l->arena, l->after, MAX_ACTIVE, &l->folds, &l->n, e);
}

static void
drive_all(struct arm_engine *en, struct mono until)
{
	struct look l = { .after = en->deploy_after };
	struct err e;

	if (store_read(en->cfg.store, look_run, &l, &e) < 0)
		l.n = 0;
	for (size_t i = 0; i < l.n; i++) {
		while (drive(en, l.folds[i], until) && !mono_is_due(until, mono_now()))
			;
		if (i + 1 < l.n && mono_is_due(until, mono_now())) {
			free(en->deploy_after);
			en->deploy_after = mem_strdup(l.folds[i]);
			arena_reset(&l.arena);
			return;
		}
	}
	free(en->deploy_after);
	en->deploy_after = NULL; /* from the start */
	arena_reset(&l.arena);
}

void
deployments_tick(struct arm_engine *en)
{
	bool busy;

	pthread_mutex_lock(&en->lock);
	busy = en->is_deploying;
	en->is_deploying = true;
	pthread_mutex_unlock(&en->lock);
	if (busy) /* another thread's tick does it */
		return;
	drive_all(en, mono_add_ms(mono_now(), TICK_MS));
	pthread_mutex_lock(&en->lock);
	en->is_deploying = false;
	pthread_mutex_unlock(&en->lock);
}
