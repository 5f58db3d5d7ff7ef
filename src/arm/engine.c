/* The way of a request: who asks, which version, which path, which handler; and the answer. */
#include "arm/internal.h"
#include "arm/template.h"

#include <strings.h>
#include <time.h>

/* --- answers --------------------------------------------------------------------------------------- */

void
resp_header(struct ctx *c, const char *name, const char *value)
{
	for (size_t i = 0; i < c->resp.n_headers; i++)
		if (same(c->resp.headers[i].name, name)) {
			c->resp.headers[i].value = value;
			return;
		}
	assert(c->resp.n_headers < ARM_MAX_HEADERS);
	c->resp.headers[c->resp.n_headers++] = (struct arm_header){ name, value };
}

void
arm_response_fini(struct arm_response *r)
{
	json_decref(r->body);
	r->body = NULL;
}

char *
url(struct ctx *c, const char *fmt, ...)
{
	char path[2048];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(path, sizeof(path), fmt, ap);
	va_end(ap);
	return arena_printf(c->a, "%s%s", c->en->base_url, path);
}

void
operation_headers(struct ctx *c, const char *ns, const char *location, const char *op,
		  bool with_location)
{
	const char *sub = c->target && c->target->sub
				  ? arena_printf(c->a, "/subscriptions/%s", c->target->sub)
				  : "";
	const char *v = c->api_version ? c->api_version : "";

	resp_header(c, "Azure-AsyncOperation",
		    url(c, "%s/providers/%s/locations/%s/operations/%s?api-version=%s", sub, ns,
			location, op, v));
	resp_header(c, "Azure-AsyncNotification", "Enabled");
	resp_header(c, "Retry-After", arena_printf(c->a, "%d", RETRY_AFTER));
	if (with_location)
		resp_header(c, "Location",
			    url(c,
				"%s/providers/%s/locations/%s/operationResults/%s?api-version=%s",
				sub, ns, location, op, v));
}

void
respond_error(struct ctx *c)
{
	struct arm_error *e = &c->error;

	if (!e->status) { /* not a refusal: something failed here */
		bool busy = c->err.code == -EAGAIN;

		arm_refuse(e, busy ? 503 : 500, busy ? "ServiceUnavailable" : "InternalServerError",
			   "%s",
			   busy ? "The store is not available right now. Try again."
				: "The request failed in the server. The request id names it in "
				  "the log.");
		if (busy)
			e->retry_after = 2;
	}
	json_decref(c->resp.body);
	c->resp.body = arm_error_body(e);
	if (c->is_flat) { /* Microsoft.Insights */
		json_t *flat = json_incref(json_object_get(c->resp.body, "error"));

		json_decref(c->resp.body);
		c->resp.body = flat;
	}
	c->resp.status = e->status;
	if (e->retry_after)
		resp_header(c, "Retry-After", arena_printf(c->a, "%d", e->retry_after));
	if (e->status == 401)
		resp_header(
			c, "WWW-Authenticate",
			arena_printf(
				c->a,
				"Bearer authorization_uri=\"%s/adfs\", error=\"invalid_token\", "
				"error_description=\"%s\"",
				c->en->base_url, e->message));
}

/* --- transactions ------------------------------------------------------------------------------------ */

static void
notify_note(struct ctx *c, const json_t *waits)
{
	const char *node;
	json_t *rev;

	c->n_notify = 0;
	c->notify = NEW_ARRAY(c->a, const char *, json_object_size(waits) + 1);
	json_object_foreach((json_t *)waits, node, rev)
		c->notify[c->n_notify++] = arena_strdup(c->a, node);
}

int
transaction_run(struct store_tx *tx, void *arg, struct err *e)
{
	struct transaction *t = arg;
	struct ctx *c = t->c;
	AUTO_OVERLAY o;
	struct arm_snapshot s;
	int r;

	/* It may be the second try. */
	arm_response_fini(&c->resp);
	c->resp = (struct arm_response){ 0 };
	c->error = error_fresh(c->en, c->a);
	snapshot_init(&s, &o, c->en, tx, c->a, &c->caller, &c->error, c->now_us);
	o.is_write = t->is_write;
	s.query = c->req->query ? c->req->query : "";
	o.is_dry = t->dry_run != NULL;
	r = t->fn(c, &s);
	if (r == 0 && t->dry_run)
		return t->dry_run(c, &s);
	if (r == 0 && json_array_size(o.keep))
		notify_note(c, json_array_get(o.keep, 0));
	return r;
}

static void
notify(struct ctx *c)
{
	const struct arm_config *cfg = &c->en->cfg;

	for (size_t i = 0; i < c->n_notify && cfg->node_changed; i++)
		cfg->node_changed(cfg->node_changed_ctx, c->notify[i]);
}

int
reading(struct ctx *c, int (*fn)(struct ctx *c, struct arm_snapshot *s))
{
	struct transaction t = { .c = c, .fn = fn };

	if (c->req->within)
		return transaction_run(c->req->within, &t, &c->err);
	return store_read(c->en->cfg.store, transaction_run, &t, &c->err);
}

int
writing(struct ctx *c, int (*fn)(struct ctx *c, struct arm_snapshot *s))
{
	struct transaction t = { .c = c, .fn = fn, .is_write = true };
	int r;

	if (c->req->within) /* no node is told: it may yet be rolled back */
		return transaction_run(c->req->within, &t, &c->err);
	if (c->is_dry_run)
		return dry_run_writing(c, fn);
	r = store_write(c->en->cfg.store, transaction_run, &t, &c->err);
	if (r == 0)
		notify(c);
	return r;
}

/* --- who may ------------------------------------------------------------------------------------------- */

bool
may(struct ctx *c, struct store_tx *tx, const char *action, const char *scope)
{
	const struct arm_auth *auth = &c->en->cfg.auth;

	return auth->may(auth->ctx, tx, c->a, &c->caller, action, arm_id_fold(c->a, scope));
}

static int
deny_text(struct arm_error *e, const struct arm_caller *who, const char *action, const char *scope)
{
	return arm_refuse(
		e, 403, "AuthorizationFailed",
		"The client '%s' with object id '%s' does not have authorization to perform "
		"action '%s' over scope '%s' or the scope is invalid. If access was recently "
		"granted, please refresh your credentials.",
		who->app_id, who->oid, action, scope);
}

int
deny(struct ctx *c, const char *action, const char *scope)
{
	return deny_text(&c->error, &c->caller, action, scope);
}

int
arm_deny(struct arm_snapshot *s, const char *action, const char *scope)
{
	return deny_text(s->error, s->caller, action, scope);
}

/* Decided before existence: a subscription one cannot see does not exist; in a visible one without
 * the action it is 403 whether the thing exists or not. */
int
authorise_unlocked(struct ctx *c, struct store_tx *tx, const char *sub, const char *action,
		   const char *scope)
{
	const struct arm_auth *auth = &c->en->cfg.auth;
	struct store_subscription row;

	if (sub) {
		const char *f = fold(c->a, sub);
		int r = store_subscription_get(tx, c->a, f, &row, &c->err);

		if (r < 0)
			return r;
		if (r == 0 || !auth->sees(auth->ctx, tx, c->a, &c->caller, f))
			return arm_refuse(&c->error, 404, "SubscriptionNotFound",
					  "The subscription '%s' could not be found.", sub);
	}
	if (!action)
		return 0;
	c->act = (struct act){ sub, action, arm_id_fold(c->a, scope) };
	return may(c, tx, action, scope) ? 0 : deny(c, action, scope);
}

static bool
ends_with(const char *s, const char *tail)
{
	size_t n = strlen(s), k = strlen(tail);

	return n >= k && same(s + n - k, tail);
}

int
authorise(struct ctx *c, struct store_tx *tx, const char *sub, const char *action,
	  const char *scope)
{
	int r = authorise_unlocked(c, tx, sub, action, scope);

	if (r < 0 || !action || ends_with(action, "/read"))
		return r;
	return lock_check(c, tx, arm_id_fold(c->a, scope),
			  ends_with(action, "/delete") ? LOCK_DELETE : LOCK_WRITE);
}

/* --- api-version ------------------------------------------------------------------------------------------ */

static bool
version_is_date(const char *v)
{
	static const int days[] = { 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	int y, m, d, n = 0;

	if (strlen(v) < 10 || sscanf(v, "%4d-%2d-%2d%n", &y, &m, &d, &n) != 3 || n != 10)
		return false;
	if (v[10] && strcmp(v + 10, "-preview"))
		return false;
	return m >= 1 && m <= 12 && d >= 1 && d <= days[m - 1] && y >= 2000 &&
	       !(m == 2 && d == 29 && (y % 4 || (y % 100 == 0 && y % 400)));
}

int
version_check(struct ctx *c, const char *floor)
{
	const char *v = query_param(c->a, c->req->query, "api-version");
	time_t now = (time_t)(c->now_us / 1000000) + 86400; /* their midnight may be earlier */
	struct tm tm;
	char today[16];

	if (!v || !*v)
		return arm_refuse(
			&c->error, 400, "MissingApiVersionParameter",
			"The api-version query parameter (?api-version=) is required for all "
			"requests.");
	gmtime_r(&now, &tm);
	strftime(today, sizeof(today), "%Y-%m-%d", &tm);
	if (!version_is_date(v) || strncmp(v, today, 10) > 0)
		return arm_refuse(
			&c->error, 400, "InvalidApiVersionParameter",
			"The api-version '%s' is invalid. It must be a date, 'YYYY-MM-DD' or "
			"'YYYY-MM-DD-preview', not in the future.",
			v);
	if (strncmp(v, floor, 10) < 0)
		return arm_refuse(
			&c->error, 400, "NoRegisteredProviderFound",
			"No registered resource provider found for API version '%s'. Versions "
			"from '%s' on are supported.",
			v, floor);
	c->api_version = v;
	return 0;
}

/* --- paths ---------------------------------------------------------------------------------------------- */

static const struct arm_provider *
provider_find(struct arm_engine *en, const char *ns)
{
	for (const struct arm_provider *const *p = en->cfg.providers; p && *p; p++)
		if (same((*p)->ns, ns))
			return *p;
	return NULL;
}

static const struct arm_type *
type_find(const struct arm_type *const *types, const char *name)
{
	for (; types && *types; types++)
		if (same((*types)->name, name))
			return *types;
	return NULL;
}

/* Is this the action that the segments name, its argument included? */
static bool
action_is(const struct arm_action *a, const char *const *seg, size_t n)
{
	const char *rest = a->name;
	size_t i = 0;

	for (; *rest && i < n; i++) {
		size_t k = strcspn(rest, "/");

		if (strlen(seg[i]) != k || strncasecmp(rest, seg[i], k) != 0)
			return false;
		rest += k + (rest[k] == '/');
	}
	return !*rest && i + a->has_arg == n;
}

/* The one of this method, else any: the method is refused later, by name. */
static const struct arm_action *
action_find(const struct arm_action *a, enum arm_method method, const char *const *seg, size_t n)
{
	const struct arm_action *other = NULL;

	for (; a && a->name; a++) {
		if (!action_is(a, seg, n))
			continue;
		if (a->method == method)
			return a;
		other = a;
	}
	return other;
}

/* Does the pattern match the segments? Collects what '?' matched. */
static bool
read_matches(const char *pattern, const char *const *seg, size_t n, struct target *t)
{
	size_t i = 0;

	t->n_args = 0;
	for (; *pattern && i < n; i++) {
		size_t k = strcspn(pattern, "/");

		if (k == 1 && *pattern == '?' && t->n_args < COUNT(t->args))
			t->args[t->n_args++] = seg[i];
		else if (strlen(seg[i]) != k || strncasecmp(pattern, seg[i], k))
			return false;
		pattern += k + (pattern[k] == '/');
	}
	return !*pattern && i == n;
}

static int
type_unknown(struct ctx *c, const char *ns, const char *name)
{
	return arm_refuse(&c->error, 404, "InvalidResourceType",
			  "The resource type '%s' could not be found in the namespace '%s' for api "
			  "version '%s'.",
			  name, ns, c->api_version);
}

/* seg: after .../providers/NS. base: the id before it, as sent. */
static int
target_parse(struct ctx *c, const char *base, const char *const *seg, size_t n, struct target *t)
{
	const struct arm_type *const *types = t->provider->types;
	const char *id = arena_printf(c->a, "%s/providers/%s", base, t->provider->ns);
	const char *prefix = t->provider->ns;
	size_t i = 0;

	while (i < n) {
		const struct arm_type *type = type_find(types, seg[i]);
		const struct arm_action *act;

		if (!type && t->depth) {
			act = action_find(t->chain[t->depth - 1]->actions, c->req->method, seg + i,
					  n - i);
			if (!act)
				return type_unknown(c, t->provider->ns, seg[i]);
			t->action = act;
			t->arg = act->has_arg ? seg[n - 1] : NULL;
			break;
		}
		if (!type || t->depth == COUNT(t->chain))
			return type_unknown(c, t->provider->ns, seg[i]);
		t->chain[t->depth++] = type;
		prefix = arena_printf(c->a, "%s/%s", prefix, type->name);
		if (i + 1 == n) {
			t->is_collection = true;
			if (t->depth == 1) /* authorised on the group or subscription */
				id = *base ? base : "/";
			break;
		}
		t->names[t->depth - 1] = seg[i + 1];
		id = arena_printf(c->a, "%s/%s/%s", id, type->name, seg[i + 1]);
		if (t->depth == 1)
			t->top_id = id;
		types = type->children;
		i += 2;
	}
	t->id = id;
	t->fold = arm_id_fold(c->a, id);
	t->top_fold = t->top_id ? arm_id_fold(c->a, t->top_id) : NULL;
	t->action_prefix = prefix;
	return 0;
}

static bool
is_operation(const struct path *p, size_t at, bool *results)
{
	/* .../providers/NS/locations/LOC/operations|operationResults/ID */
	if (p->n != at + 4 || !same(p->seg[at], "locations"))
		return false;
	*results = same(p->seg[at + 2], "operationResults");
	return *results || same(p->seg[at + 2], "operations");
}

static int
route_provider(struct ctx *c, const char *sub, const char *rg, size_t at)
{
	const struct path *p = &c->path;
	const struct arm_provider *prov = provider_find(c->en, p->seg[at]);
	struct target *t = NEW(c->a, struct target);
	const char *base = "";
	bool results;
	int r;

	if (!prov) {
		r = version_check(c, "2014-04-01");
		return r < 0 ? r
			     : arm_refuse(&c->error, 404, "InvalidResourceNamespace",
					  "The resource namespace '%s' is invalid.", p->seg[at]);
	}
	r = version_check(c, prov->floor);
	if (r < 0)
		return r;
	t->provider = prov;
	t->sub = sub;
	t->rg = rg;
	c->target = t;
	at++;
	if (!rg && is_operation(p, at, &results))
		return handle_operation(c, sub, p->seg[at + 3], results);
	for (const struct arm_action *a = prov->reads; sub && !rg && a && a->name; a++)
		if (read_matches(a->name, p->seg + at, p->n - at, t)) {
			t->action = a;
			t->id = t->fold =
				arm_id_fold(c->a, arena_printf(c->a, "/subscriptions/%s", sub));
			t->action_prefix = prov->ns;
			return handle_action(c);
		}
	if (sub)
		base = rg ? arena_printf(c->a, "/subscriptions/%s/resourceGroups/%s", sub, rg)
			  : arena_printf(c->a, "/subscriptions/%s", sub);
	r = target_parse(c, base, p->seg + at, p->n - at, t);
	if (r < 0)
		return r;
	if (!t->depth)
		return type_unknown(c, prov->ns, "");
	if (!(t->chain[0]->flags & ARM_TENANT_LEVEL) != (sub != NULL) || (!rg && sub && t->top_id))
		return type_unknown(c, prov->ns, t->chain[0]->name);
	return t->action ? handle_action(c) : handle_resource(c);
}

/* Extensions follow any scope, so the last "providers" decides. */
static int
route_extension(struct ctx *c, bool *ret_is_mine)
{
	const struct path *p = &c->path;

	*ret_is_mine = false;
	for (size_t i = p->n; i-- > 0;) {
		if (!same(p->seg[i], "providers") || i + 2 >= p->n)
			continue;
		/* SUB/providers/NS/register is said of a namespace, not to it. */
		if (i == 2 && p->n == 5 &&
		    (same(p->seg[4], "register") || same(p->seg[4], "unregister")))
			continue;
		for (const struct arm_extension *x = c->en->cfg.extensions; x && x->ns; x++) {
			int r;

			if (!same(x->ns, p->seg[i + 1]))
				continue;
			*ret_is_mine = true;
			r = version_check(c, x->floor);
			return r < 0 ? r : handle_extension(c, x, i);
		}
		return 0;
	}
	return 0;
}

static int
route(struct ctx *c)
{
	const struct path *p = &c->path;
	bool mine = false;
	int r = handle_stream(c, &mine);

	if (r == 0 && !mine)
		r = handle_deployments(c, &mine);
	if (r == 0 && !mine)
		r = handle_scoped(c, &mine);
	if (r == 0 && !mine)
		r = route_extension(c, &mine);
	if (r < 0 || mine)
		return r;
	if (p->n >= 4 && same(p->seg[0], "subscriptions") && same(p->seg[2], "providers") &&
	    p->n >= 5 && !same(p->seg[4], "register") && !same(p->seg[4], "unregister"))
		return route_provider(c, p->seg[1], NULL, 3);
	if (p->n >= 7 && same(p->seg[0], "subscriptions") && same(p->seg[2], "resourcegroups") &&
	    same(p->seg[4], "providers"))
		return route_provider(c, p->seg[1], p->seg[3], 5);
	if (p->n >= 3 && same(p->seg[0], "providers"))
		return route_provider(c, NULL, NULL, 1);
	r = version_check(c, "2014-04-01");
	if (r < 0)
		return r;
	r = handle_platform(c, &mine);
	if (r < 0 || mine)
		return r;
	return arm_refuse(&c->error, 404, "NotFound", "There is nothing at this path.");
}

struct extension_run {
	const struct arm_extension *ext;
	struct arm_extension_call call;
};

static int
extension_run(struct ctx *c, struct arm_snapshot *s)
{
	struct extension_run *run = (struct extension_run *)c->extra;
	struct arm_extension_call *x = &run->call;
	const struct arm_extension *ext = run->ext;
	bool deletes = c->req->method == ARM_DELETE;
	bool writes = c->req->method != ARM_GET && c->req->method != ARM_HEAD;
	int r;

	x->s = s;
	x->result = NULL;
	x->status = 0;
	x->about = NULL;
	r = x->sub ? authorise(c, s->tx, x->sub, NULL, x->scope) : 0;
	if (r == 0 && writes)
		c->act = (struct act){ x->sub,
				       arena_printf(c->a, "%s/%s/%s", ext->ns,
						    x->n_seg ? x->seg[0] : "",
						    deletes ? "delete" : "write"),
				       x->scope };
	if (r == 0)
		r = ext->handle(ext->ctx, x);
	if (r == 0 && writes)
		r = lock_check(c, s->tx, x->scope, deletes ? LOCK_DELETE_INSIDE : LOCK_WRITE);
	if (r < 0) {
		json_decref(x->result);
		return r;
	}
	if (writes)
		r = event_add(c, s->tx, x->sub, NULL, x->scope, c->act.action, "Succeeded");
	for (const char *const *sub = x->about; writes && r == 0 && sub && *sub; sub++)
		r = event_add(c, s->tx, *sub, NULL, x->scope, c->act.action, "Succeeded");
	c->resp.status = x->status ? x->status : 200;
	c->resp.body = x->result;
	return r;
}

int
handle_extension(struct ctx *c, const struct arm_extension *x, size_t n_scope)
{
	const struct path *p = &c->path;
	struct extension_run *run = NEW(c->a, struct extension_run);
	struct arm_extension_call *call = &run->call;
	const char *scope = "";

	for (size_t i = 0; i < n_scope; i++)
		scope = arena_printf(c->a, "%s/%s", scope, p->seg[i]);
	call->method = c->req->method;
	call->scope_shown = scope;
	call->scope = *scope ? arm_id_fold(c->a, scope) : "/";
	call->sub = n_scope >= 2 && same(p->seg[0], "subscriptions") ? p->seg[1] : NULL;
	call->seg = p->seg + n_scope + 2;
	call->n_seg = p->n - n_scope - 2;
	call->query = c->req->query;
	call->body = c->body;
	run->ext = x;
	c->extra = run;
	return call->method == ARM_GET || call->method == ARM_HEAD ? reading(c, extension_run)
								   : writing(c, extension_run);
}

const char *
arm_query(struct arena *a, const char *query, const char *name)
{
	return query_param(a, query, name);
}

/* --- the way in and out -------------------------------------------------------------------------------------- */

void
request_finish(struct ctx *c, int r)
{
	if (r < 0)
		respond_error(c);
	resp_header(c, "x-ms-request-id", c->request_id);
	resp_header(c, "x-ms-correlation-request-id", c->correlation_id);
	resp_header(c, "x-ms-routing-request-id",
		    arena_printf(c->a, "WAYLEAVE:%lld:%s", (long long)(c->now_us / 1000),
				 c->request_id));
	if (c->req->client_request_id && strlen(c->req->client_request_id) <= 128 &&
	    is_utf8(c->req->client_request_id, strlen(c->req->client_request_id)))
		resp_header(c, "x-ms-client-request-id", c->req->client_request_id);
	resp_header(c, "Cache-Control", "no-cache");
	if (c->remaining_header)
		resp_header(c, c->remaining_header, arena_printf(c->a, "%ld", c->remaining));
	c->done(c->done_arg, &c->resp);
}

static const char *
id_or_new(struct ctx *c, const char *id)
{
	size_t n = id ? strlen(id) : 0;

	if (!n || n > 64)
		return guid_new(c->a);
	for (size_t i = 0; i < n; i++)
		if (!strchr("0123456789abcdefABCDEF-", id[i]))
			return guid_new(c->a);
	return id;
}

void
arm_handle(struct arm_engine *en, const struct arm_request *req, arm_done_fn *done, void *arg)
{
	struct ctx *c = NEW(req->arena, struct ctx);
	const struct arm_auth *auth = &en->cfg.auth;
	bool is_pending = false;
	json_t *body = NULL;
	int r;

	c->en = en;
	c->req = req;
	c->a = req->arena;
	c->error = error_fresh(en, c->a);
	c->now_us = utc_now_us();
	c->done = done;
	c->done_arg = arg;
	c->is_pending = &is_pending;
	c->request_id = guid_new(c->a);
	c->correlation_id = id_or_new(c, req->correlation_id);
	if (req->as)
		c->caller = *req->as;
	r = req->as ? 0
		    : auth->authenticate(auth->ctx, c->a, req->authorization, c->now_us, &c->caller,
					 &c->error);
	if (r == 0 && !req->as)
		r = throttle(c);
	if (r == 0)
		r = path_parse(c->a, req->path, &c->path, &c->error);
	if (r == 0)
		r = dry_run_parse(c);
	if (r == 0 && req->body_len) {
		body = c->body =
			deployments_path(&c->path)
				? template_read(c->a, req->body, req->body_len, &c->error)
				: arm_body_parse(c->a, req->body, req->body_len, &c->error);
		r = body ? 0 : -EBADE;
	}
	if (r == 0)
		r = route(c);
	/* A waiting c is its finisher's by now, and may be gone. */
	json_decref(body);
	if (is_pending)
		return;
	c->body = NULL;
	event_after(c, r);
	request_finish(c, r);
}

void
arm_tick(struct arm_engine *en)
{
	struct mono now = mono_now();

	operations_settle(en);
	calls_expire(en);
	metrics_flush(en, false);
	deployments_tick(en);
	pthread_mutex_lock(&en->lock);
	bool due = mono_is_due(en->next_prune, now);
	if (due)
		en->next_prune = mono_add_ms(now, 600000);
	pthread_mutex_unlock(&en->lock);
	if (due)
		operations_prune(en);
}

/* --- the controller's own plans ------------------------------------------------------------------------------- */

struct own {
	struct arm_engine *en;
	int (*plan)(struct arm_plan *p, void *arg);
	int (*look)(struct arm_snapshot *s, void *arg);
	void *arg;
	struct arena arena;
	struct ctx ctx;
};

static const struct arm_caller system_caller = { "system", "system", "", "system" };

static int
own_finish(int r, struct arm_error *refusal, struct err *e)
{
	return r == -EBADE && refusal->status
		       ? err_set(e, r, "%s: %s", refusal->code, refusal->message)
		       : r;
}

static int
own_run(struct store_tx *tx, void *arg, struct err *e)
{
	struct own *w = arg;
	struct arm_error refusal = { .arena = &w->arena };
	AUTO_OVERLAY o;
	struct arm_snapshot s;
	struct arm_plan p = { .s = &s, .verb = ARM_VERB_UPDATE };
	struct outcome out;
	int r;

	snapshot_init(&s, &o, w->en, tx, &w->arena, &system_caller, &refusal, utc_now_us());
	o.is_write = w->plan != NULL;
	r = w->plan ? w->plan(&p, w->arg) : w->look(&s, w->arg);
	if (r == 0 && w->plan)
		r = overlay_commit(&s, "", NULL, "own", NULL, &out, e);
	if (r == 0 && json_array_size(o.keep)) {
		w->ctx.a = &w->arena;
		notify_note(&w->ctx, json_array_get(o.keep, 0));
	}
	return own_finish(r, &refusal, e);
}

int
arm_run(struct arm_engine *en, int (*fn)(struct arm_plan *p, void *arg), void *arg, struct err *e)
{
	struct own w = { .en = en, .plan = fn, .arg = arg };
	int r = store_write(en->cfg.store, own_run, &w, e);

	w.ctx.en = en;
	if (r == 0)
		notify(&w.ctx);
	arena_reset(&w.arena);
	return r;
}

int
arm_look(struct arm_engine *en, int (*fn)(struct arm_snapshot *s, void *arg), void *arg,
	 struct err *e)
{
	struct own w = { .en = en, .look = fn, .arg = arg };
	int r = store_read(en->cfg.store, own_run, &w, e);

	arena_reset(&w.arena);
	return r;
}

/* --- life --------------------------------------------------------------------------------------------------------- */

static void
type_register(struct arm_engine *en, const struct arm_provider *p, const struct arm_type *t)
{
	AUTO_ARENA a = { 0 };
	struct type_entry *te = &en->types[en->n_types++];

	te->type = t;
	te->provider = p;
	te->fold = mem_strdup(fold(&a, arena_printf(&a, "%s/%s", t->ns, t->name)));
	te->has_secrets = type_has_secrets(t);
	map_put_str(&en->by_fold, te->fold, te);
}

int
arm_engine_create(const struct arm_config *cfg, struct arm_engine **ret, struct err *e)
{
	struct arm_engine *en = mem_alloc(sizeof(*en));
	size_t n = 1;

	en->cfg = *cfg;
	en->base_url = mem_strdup(cfg->base_url);
	if (!en->cfg.converge_ms)
		en->cfg.converge_ms = 30000;
	if (!en->cfg.reads_per_hour)
		en->cfg.reads_per_hour = 36000000;
	if (!en->cfg.writes_per_hour)
		en->cfg.writes_per_hour = 3600000;
	if (!en->cfg.live_ms)
		en->cfg.live_ms = 30000;
	pthread_mutex_init(&en->lock, NULL);
	list_init(&en->calls);
	en->metrics = metrics_create();
	for (const struct arm_provider *const *p = cfg->providers; p && *p; p++)
		for (const struct arm_type *const *t = (*p)->types; t && *t; t++)
			n++;
	en->types = mem_array(n, sizeof(*en->types));
	type_register(en, NULL, &arm_group_type);
	for (const struct arm_provider *const *p = cfg->providers; p && *p; p++)
		for (const struct arm_type *const *t = (*p)->types; t && *t; t++)
			type_register(en, *p, *t);
	*ret = en;
	return 0;
}

void
arm_engine_destroy(struct arm_engine *en)
{
	if (!en)
		return;
	calls_drop(en);
	metrics_flush(en, true);
	metrics_destroy(en->metrics);
	free(en->deploy_after);
	for (size_t i = 0; i < en->n_types; i++)
		free(en->types[i].fold);
	free(en->types);
	map_fini(&en->by_fold);
	pthread_mutex_destroy(&en->lock);
	free(en->openapi);
	free(en->base_url);
	free(en);
}
