/* The activity log: every write, deletion and action becomes an event in the transaction that does it;
 * a refused one in a transaction of its own; one that waits for nodes a second event when it is over.
 * Read at SUB/providers/Microsoft.Insights/eventtypes/management/values. Kept 90 days.
 *
 * Who did it is in claims. When the caller belongs to another tenant than the subscription, both are
 * named: claims.tid is his, onBehalfOf says for whom and through which principal. */
#include "arm/filter.h"
#include "arm/internal.h"

#include <strings.h>
#include <time.h>

/* --- writing -------------------------------------------------------------------------------------------- */

static const char *
method_word(enum arm_method m)
{
	static const char *const words[] = { "GET", "PUT", "PATCH", "DELETE", "POST", "HEAD" };

	return words[m];
}

json_t *
event_on_behalf(struct ctx *c, struct store_tx *tx, const char *sub)
{
	const struct arm_auth *auth = &c->en->cfg.auth;
	struct store_subscription row;
	const char *through;

	if (!sub || !*sub || store_subscription_get(tx, c->a, sub, &row, &c->err) != 1 ||
	    same(row.tenant, c->caller.tenant ? c->caller.tenant : ""))
		return NULL;
	through = auth->through ? auth->through(auth->ctx, tx, c->a, &c->caller, sub) : NULL;
	return json_pack("{s:s, s:s*}", "tenantId", row.tenant, "principalId", through);
}

static const char *
or_empty(const char *s)
{
	return s ? s : "";
}

/* A text from outside that is not UTF-8 is left out; it must not take anything else with it. */
static void
set_text(json_t *j, const char *key, const char *text)
{
	if (text)
		json_object_set_new(j, key, json_string(text));
}

/* What the event of this request says beside who, what and when; a new reference. */
static json_t *
detail_json(struct ctx *c, struct store_tx *tx, const char *sub, const char *target)
{
	const struct arm_request *req = c->req;
	json_t *d = json_object(), *claims = json_object();
	json_t *behalf = event_on_behalf(c, tx, sub);
	const char *id = c->target ? c->target->id : c->scope ? c->scope->shown : c->act.scope;

	set_text(claims, "oid", or_empty(c->caller.oid));
	set_text(claims, "appid", or_empty(c->caller.app_id));
	set_text(claims, "tid", or_empty(c->caller.tenant));
	set_text(claims, "name", or_empty(c->caller.name));
	json_object_set_new(d, "claims", claims);
	set_text(d, "requestId", c->request_id);
	if (req->client_request_id && strlen(req->client_request_id) <= 128)
		set_text(d, "clientRequestId", req->client_request_id);
	set_text(d, "remote", or_empty(req->remote));
	set_text(d, "method", method_word(req->method));
	set_text(d, "uri", req->path);
	if (id && !strcmp(arm_id_fold(c->a, id), target))
		json_object_set_new(d, "resourceId", json_string(id));
	if (behalf)
		json_object_set_new(d, "onBehalfOf", behalf);
	if (c->error.status) {
		json_object_set_new(d, "httpStatus", json_integer(c->error.status));
		set_text(d, "code", c->error.code);
		set_text(d, "message", c->error.message);
	}
	return d;
}

int
event_add(struct ctx *c, struct store_tx *tx, const char *sub, const char *rg, const char *target,
	  const char *action, const char *status)
{
	const char *sub_fold = sub ? fold(c->a, sub) : "";
	json_t *d = detail_json(c, tx, sub_fold, target);
	AUTO_FREE char *text = json_dumps(d, JSON_COMPACT);
	const struct store_event ev = {
		.at_us = c->now_us,
		.sub = sub_fold,
		.rg = rg ? fold(c->a, rg) : "",
		.target = target,
		.operation = action,
		.status = status,
		.caller = c->caller.oid,
		.detail = text ? text : "{}",
		.correlation = c->correlation_id,
	};

	json_decref(d);
	c->is_logged = true;
	return store_event_add(tx, &ev, &c->err);
}

json_t *
event_note(struct ctx *c, struct store_tx *tx, const char *sub, const char *rg, const char *target,
	   const char *action)
{
	return json_pack("{s:{s:s, s:s, s:s, s:s, s:s, s:s, s:o}}", "event", "sub",
			 sub ? fold(c->a, sub) : "", "rg", rg ? fold(c->a, rg) : "", "target",
			 target, "operation", action, "caller", c->caller.oid, "correlation",
			 c->correlation_id, "detail",
			 detail_json(c, tx, sub ? fold(c->a, sub) : "", target));
}

int
event_settled(struct store_tx *tx, const json_t *detail, int64_t now_us, const char *status,
	      struct err *e)
{
	const json_t *note = json_object_get(detail, "event");
	AUTO_FREE char *text = note ? json_dumps(json_object_get(note, "detail"), JSON_COMPACT)
				    : NULL;
	const struct store_event ev = {
		.at_us = now_us,
		.sub = arm_str(note, "sub", ""),
		.rg = arm_str(note, "rg", ""),
		.target = arm_str(note, "target", ""),
		.operation = arm_str(note, "operation", ""),
		.status = status,
		.caller = arm_str(note, "caller", ""),
		.detail = text ? text : "{}",
		.correlation = arm_str(note, "correlation", NULL),
	};

	return note ? store_event_add(tx, &ev, e) : 0;
}

struct after {
	struct ctx *c;
	const char *status;
};

static int
after_run(struct store_tx *tx, void *arg, struct err *e)
{
	struct after *w = arg;
	struct ctx *c = w->c;
	const char *scope = c->act.scope, *rg = NULL;

	if (!strncmp(scope, "/subscriptions/", 15) && strstr(scope, "/resourcegroups/")) {
		rg = strstr(scope, "/resourcegroups/") + strlen("/resourcegroups/");
		rg = arena_strndup(c->a, rg, strcspn(rg, "/"));
	}
	return event_add(c, tx, c->act.sub, rg, scope, c->act.action, w->status);
}

/* Refusals that their own transaction has forgotten, and actions that have none. Who may not even see
 * the subscription leaves no trace in its log. */
void
event_after(struct ctx *c, int r)
{
	struct after w = { c, r < 0 ? "Failed" : "Succeeded" };
	struct err ignore = { 0 };
	bool writes = c->req->method != ARM_GET && c->req->method != ARM_HEAD;

	if (!writes || !c->act.action || c->is_dry_run || c->req->within)
		return;
	if (r < 0 ? c->error.status < 400 || c->error.status >= 500 : c->is_logged)
		return;
	if (r >= 0 && c->resp.status == 202)
		w.status = "Accepted";
	if (r >= 0 && c->req->method != ARM_POST)
		return;
	store_write(c->en->cfg.store, after_run, &w, &ignore);
}

/* --- reading: the filter ------------------------------------------------------------------------------------ */

static const char *const fields[] = {
	"eventTimestamp",
	"resourceGroupName",
	"resourceUri",
	"resourceId",
	"resourceProvider",
	"resourceType",
	"correlationId",
	"status",
	"caller",
	"levels",
	"level",
	"operationName",
	"operations",
	"eventChannels",
	"channels",
	"category",
	NULL,
};

/* "2026-01-31T12:00:00[.123][Z|+01:00]" or a date alone; false: not one. */
static bool
time_parse(const char *s, int64_t *ret_us)
{
	struct tm tm = { 0 };
	int y, mo, d, h = 0, mi = 0, n = 0, m = 0, oh = 0, om = 0;
	double sec = 0;
	char zone = 'Z';

	if (sscanf(s, "%4d-%2d-%2d%n", &y, &mo, &d, &n) != 3 || n != 10)
		return false;
	s += n;
	if ((*s == 'T' || *s == 't') && sscanf(s + 1, "%2d:%2d:%lf%n", &h, &mi, &sec, &m) == 3)
		s += 1 + m;
	if (*s == '+' || *s == '-') {
		zone = *s;
		if (sscanf(s + 1, "%2d:%2d%n", &oh, &om, &m) != 2)
			return false;
		s += 1 + m;
	} else if (*s == 'Z' || *s == 'z') {
		s++;
	}
	if (*s || y < 1970 || y > 9999 || mo < 1 || mo > 12 || d < 1 || d > 31 || h > 24 ||
	    mi > 59 || !(sec >= 0 && sec < 61) || h < 0 || mi < 0 || oh < 0 || om < 0)
		return false;
	tm.tm_year = y - 1900;
	tm.tm_mon = mo - 1;
	tm.tm_mday = d;
	tm.tm_hour = h;
	tm.tm_min = mi;
	*ret_us = (int64_t)timegm(&tm) * 1000000 + (int64_t)(sec * 1e6);
	*ret_us -= (zone == '+' ? 1 : zone == '-' ? -1 : 0) * (int64_t)(oh * 60 + om) * 60000000;
	return true;
}

struct question {
	struct ctx *c;
	struct filter *filter;
	int64_t from_us, to_us;
	const char *rg, *target, *correlation; /* for the index */
	bool sees_all;
};

static int
time_bound(struct question *q, enum filter_op op, int64_t *at)
{
	const struct filter *f = filter_must(q->filter, "eventTimestamp", op);

	if (!f)
		return 0;
	if (!time_parse(f->value, at))
		return arm_refuse_at(&q->c->error, 400, "BadRequest", "$filter",
				     "$filter: '%.60s' is not a time like 2026-01-31T12:00:00Z.",
				     f->value);
	return 1;
}

static int
times_check(struct question *q, const struct filter *f)
{
	int64_t at;

	if (!f)
		return 0;
	if (f->field && !strcmp(f->field, "eventTimestamp") && !time_parse(f->value, &at))
		return arm_refuse_at(&q->c->error, 400, "BadRequest", "$filter",
				     "$filter: '%.60s' is not a time like 2026-01-31T12:00:00Z.",
				     f->value);
	return times_check(q, f->left) < 0 ? -EBADE : times_check(q, f->right);
}

static const char *
must_eq(struct question *q, const char *field)
{
	const struct filter *f = filter_must(q->filter, field, FILTER_EQ);

	return f ? f->value : NULL;
}

static int
question_read(struct question *q)
{
	struct ctx *c = q->c;
	const char *text = query_param(c->a, c->req->query, "$filter"), *uri;
	int r = filter_parse(c->a, text, fields, &q->filter, &c->error);
	bool has_from;

	if (r < 0)
		return r;
	r = times_check(q, q->filter);
	q->to_us = INT64_MAX;
	if (r == 0)
		r = time_bound(q, FILTER_GE, &q->from_us);
	if (r == 0)
		r = time_bound(q, FILTER_GT, &q->from_us);
	has_from = r > 0;
	if (r >= 0)
		r = time_bound(q, FILTER_LE, &q->to_us);
	if (r == 0)
		r = time_bound(q, FILTER_LT, &q->to_us);
	if (r < 0)
		return r;
	if (!has_from)
		return arm_refuse_at(&c->error, 400, "BadRequest", "$filter",
				     "$filter: a start is required: eventTimestamp ge "
				     "'2026-01-31T12:00:00Z'.");
	uri = must_eq(q, "resourceUri");
	uri = uri ? uri : must_eq(q, "resourceId");
	q->target = uri ? arm_id_fold(c->a, uri) : NULL;
	q->correlation = q->target ? NULL : must_eq(q, "correlationId");
	q->rg = q->target || q->correlation ? NULL : must_eq(q, "resourceGroupName");
	if (q->rg)
		q->rg = fold(c->a, q->rg);
	return 0;
}

/* "Microsoft.Network" of "Microsoft.Network/expressRouteCircuits/write". */
static const char *
namespace_of(struct arena *a, const char *operation)
{
	return arena_strndup(a, operation, strcspn(operation, "/"));
}

/* "Microsoft.Network/expressRouteCircuits" of that, and of ".../stats/action". */
static const char *
type_of(struct arena *a, const char *operation)
{
	size_t n = strlen(operation), words = 1;

	words += n > 7 && same(operation + n - 7, "/action");
	while (words && n > 0)
		words -= operation[--n] == '/';
	return n ? arena_strndup(a, operation, n) : operation;
}

struct candidate {
	struct question *q;
	const struct store_event *ev;
};

static const char *
level_of(const struct store_event *ev)
{
	return strcmp(ev->status, "Failed") ? "Informational" : "Error";
}

static bool
level_is_in(const struct filter *f, const struct store_event *ev)
{
	const char *level = level_of(ev), *hit = strcasestr(f->value, level);

	return (hit != NULL) == (f->op == FILTER_EQ);
}

static bool
time_matches(const struct filter *f, int64_t at_us)
{
	int64_t v = 0;

	time_parse(f->value, &v);
	switch (f->op) {
	case FILTER_GE:
		return at_us >= v;
	case FILTER_GT:
		return at_us > v;
	case FILTER_LE:
		return at_us <= v;
	case FILTER_LT:
		return at_us < v;
	case FILTER_EQ:
		return at_us == v;
	default:
		return at_us != v;
	}
}

static bool
leaf_matches(void *arg, const struct filter *f)
{
	struct candidate *k = arg;
	const struct store_event *ev = k->ev;
	struct arena *a = k->q->c->a;
	const char *field = f->field;
	struct filter uri = *f;

	if (!strcmp(field, "eventTimestamp"))
		return time_matches(f, ev->at_us);
	if (!strcmp(field, "resourceGroupName"))
		return filter_compare(f, ev->rg);
	if (!strcmp(field, "resourceUri") || !strcmp(field, "resourceId")) {
		uri.value = arm_id_fold(a, f->value);
		return filter_compare(&uri, ev->target);
	}
	if (!strcmp(field, "correlationId"))
		return filter_compare(f, ev->correlation);
	if (!strcmp(field, "status"))
		return filter_compare(f, ev->status);
	if (!strcmp(field, "resourceProvider"))
		return filter_compare(f, namespace_of(a, ev->operation));
	if (!strcmp(field, "resourceType"))
		return filter_compare(f, type_of(a, ev->operation));
	if (!strcmp(field, "operationName") || !strcmp(field, "operations"))
		return filter_compare(f, ev->operation);
	if (!strcmp(field, "levels") || !strcmp(field, "level"))
		return level_is_in(f, ev);
	if (!strcmp(field, "caller")) {
		json_t *d = json_loads(ev->detail, 0, NULL);
		bool hit = filter_compare(f, ev->caller) ||
			   filter_compare(f, arm_str(d, "claims.name", NULL)) ||
			   filter_compare(f, arm_str(d, "claims.appid", NULL));

		json_decref(d);
		return hit;
	}
	return true; /* channels: there is one; category: Administrative */
}

/* --- reading: the answer ---------------------------------------------------------------------------------------- */

static json_t *
pair(const char *value)
{
	return json_pack("{s:s, s:s}", "value", value, "localizedValue", value);
}

static const char *
event_guid(struct arena *a, const struct store_event *ev)
{
	return arena_printf(a, "%08x-0000-4000-8000-%012llx",
			    (unsigned)(ev->at_us / 1000000 & 0xffffffff),
			    (unsigned long long)ev->seq & 0xffffffffffff);
}

static json_t *
claims_json(const json_t *d)
{
	const json_t *claims = json_object_get(d, "claims");
	json_t *out = json_object();

	json_object_set_new(out, "appid", json_string(arm_str(claims, "appid", "")));
	json_object_set_new(out, "name", json_string(arm_str(claims, "name", "")));
	json_object_set_new(out, "ipaddr", json_string(arm_str(d, "remote", "")));
	json_object_set_new(out, "http://schemas.microsoft.com/identity/claims/objectidentifier",
			    json_string(arm_str(claims, "oid", "")));
	json_object_set_new(out, "http://schemas.microsoft.com/identity/claims/tenantid",
			    json_string(arm_str(claims, "tid", "")));
	return out;
}

/* Azure's are texts only. */
static json_t *
properties_json(const struct store_event *ev, const json_t *d)
{
	json_t *out = json_object();
	const char *code = arm_str(d, "code", NULL),
		   *tenant = arm_str(d, "onBehalfOf.tenantId", NULL);
	char status[16];

	json_object_set_new(out, "eventCategory", json_string("Administrative"));
	json_object_set_new(out, "entity", json_string(arm_str(d, "resourceId", ev->target)));
	json_object_set_new(out, "message", json_string(ev->operation));
	if (code) {
		snprintf(status, sizeof(status), "%lld", (long long)arm_int(d, "httpStatus", 0));
		json_object_set_new(out, "statusCode", json_string(code));
		json_object_set_new(out, "httpStatus", json_string(status));
		json_object_set_new(out, "statusMessage", json_string(arm_str(d, "message", "")));
	}
	if (tenant) {
		json_object_set_new(out, "onBehalfOfTenantId", json_string(tenant));
		json_object_set_new(out, "onBehalfOfPrincipalId",
				    json_string(arm_str(d, "onBehalfOf.principalId", "")));
	}
	return out;
}

static json_t *
event_json(struct ctx *c, const struct store_event *ev)
{
	json_t *d = json_loads(ev->detail, 0, NULL), *out = json_object();
	const char *id = arm_str(d, "resourceId", ev->target), *guid = event_guid(c->a, ev);
	const char *request = arm_str(d, "requestId", guid);
	char when[32];

	utc_format(ev->at_us, when);
	json_object_set_new(
		out, "id",
		json_string(arena_printf(c->a, "%s/events/%s/ticks/%lld", id, guid,
					 (long long)ev->at_us * 10 + 621355968000000000)));
	json_object_set_new(out, "eventDataId", json_string(guid));
	json_object_set_new(out, "correlationId",
			    json_string(*ev->correlation ? ev->correlation : request));
	json_object_set_new(out, "operationId", json_string(request));
	json_object_set_new(out, "eventTimestamp", json_string(when));
	json_object_set_new(out, "submissionTimestamp", json_string(when));
	json_object_set_new(out, "level", json_string(level_of(ev)));
	json_object_set_new(out, "channels", json_string("Operation"));
	json_object_set_new(out, "caller", json_string(ev->caller));
	json_object_set_new(out, "claims", claims_json(d));
	json_object_set_new(out, "authorization",
			    json_pack("{s:s, s:s}", "action", ev->operation, "scope", id));
	json_object_set_new(out, "httpRequest",
			    json_pack("{s:s, s:s, s:s, s:s}", "clientRequestId",
				      arm_str(d, "clientRequestId", request), "clientIpAddress",
				      arm_str(d, "remote", ""), "method", arm_str(d, "method", ""),
				      "uri", arm_str(d, "uri", "")));
	json_object_set_new(out, "category", pair("Administrative"));
	json_object_set_new(out, "eventName",
			    pair(strcmp(ev->status, "Accepted") ? "EndRequest" : "BeginRequest"));
	json_object_set_new(out, "operationName", pair(ev->operation));
	json_object_set_new(out, "resourceProviderName", pair(namespace_of(c->a, ev->operation)));
	json_object_set_new(out, "resourceType", pair(type_of(c->a, ev->operation)));
	json_object_set_new(out, "status", pair(ev->status));
	json_object_set_new(out, "subStatus", pair(arm_str(d, "code", "")));
	json_object_set_new(out, "resourceId", json_string(id));
	json_object_set_new(out, "resourceGroupName", json_string(ev->rg));
	json_object_set_new(out, "subscriptionId", json_string(ev->sub));
	json_object_set_new(
		out, "tenantId",
		json_string(arm_str(d, "onBehalfOf.tenantId", arm_str(d, "claims.tid", ""))));
	json_object_set_new(out, "description", json_string(""));
	json_object_set_new(out, "properties", properties_json(ev, d));
	json_decref(d);
	return out;
}

/* Leaves the properties named in the comma-separated list. */
static void
select_only(json_t *event, const char *select)
{
	const char *key;
	json_t *v;
	void *tmp;

	json_object_foreach_safe(event, tmp, key, v) {
		const char *p = select;
		bool hit = false;

		while (*p && !hit) {
			size_t n = strcspn(p, ", ");

			hit = n == strlen(key) && !strncasecmp(p, key, n);
			p += n;
			p += strspn(p, ", ");
		}
		if (!hit)
			json_object_del(event, key);
	}
}

enum { MAX_READ = 5000, SLACK_US = 60000000 };

#define LOG_READ "Microsoft.Insights/eventtypes/values/read"

/* Who may not read all of the subscription's log reads that of the group or resource he asks for. */
static int
log_authorise(struct ctx *c, struct arm_snapshot *s, struct question *q)
{
	const char *sub = c->scope->sub;
	const char *scope = sub ? arena_printf(c->a, "/subscriptions/%s", sub) : "/";

	if (may(c, s->tx, LOG_READ, scope))
		return 0;
	if (q->target)
		scope = q->target;
	else if (q->rg)
		scope = arena_printf(c->a, "%s/resourceGroups/%s", scope, q->rg);
	return may(c, s->tx, LOG_READ, scope) ? 0 : deny(c, LOG_READ, scope);
}

static int64_t
skip_token(struct ctx *c)
{
	const char *token = query_param(c->a, c->req->query, "$skiptoken"), *text;
	int64_t seq = 0;
	int n = 0;

	if (!token)
		return 0;
	text = token_decode(c->a, token);
	if (!text || sscanf(text, "%18lld%n", (long long *)&seq, &n) != 1 || text[n] || seq < 1)
		return arm_refuse_at(&c->error, 400, "BadRequest", "$skipToken",
				     "The $skipToken is not one of ours.");
	return seq;
}

/* One page: at most PAGE events from at most MAX_READ rows. Returns the seq to go on below, 0: the
 * end. */
static int
log_page(struct question *q, struct store_tx *tx, struct store_event_filter *f, json_t *value,
	 int64_t *ret_next)
{
	struct ctx *c = q->c;
	const char *select = query_param(c->a, c->req->query, "$select");
	size_t n = f->limit, seen = 0;

	*ret_next = 0;
	while (n == f->limit) {
		struct store_event *list;
		int r = store_event_list(tx, c->a, f, &list, &n, &c->err);

		if (r < 0)
			return r;
		for (size_t i = 0; i < n; i++) {
			struct candidate k = { q, &list[i] };
			json_t *one;

			f->before_seq = list[i].seq;
			if (list[i].at_us < q->from_us - SLACK_US)
				return 0;
			if (!filter_matches(q->filter, leaf_matches, &k))
				continue;
			one = event_json(c, &list[i]);
			if (select && *select)
				select_only(one, select);
			json_array_append_new(value, one);
			if (json_array_size(value) == PAGE) {
				*ret_next = f->before_seq;
				return 0;
			}
		}
		seen += n;
		if (seen >= MAX_READ && n == f->limit) {
			*ret_next = f->before_seq;
			return 0;
		}
	}
	return 0;
}

static int
log_run(struct ctx *c, struct arm_snapshot *s)
{
	struct question q = { .c = c };
	struct store_event_filter f = { .limit = PAGE };
	int64_t next, upper = 0;
	json_t *value;
	int r = authorise(c, s->tx, c->scope->sub, NULL, "/");

	if (r == 0)
		r = question_read(&q);
	if (r == 0)
		r = log_authorise(c, s, &q);
	if (r < 0)
		return r;
	f.sub = c->scope->sub ? fold(c->a, c->scope->sub) : "";
	f.rg = q.rg;
	f.target = q.target;
	f.correlation = q.correlation;
	f.before_seq = skip_token(c);
	if (f.before_seq < 0)
		return -EBADE;
	if (!f.before_seq && q.to_us < INT64_MAX - SLACK_US) {
		r = store_event_before(s->tx, q.to_us + SLACK_US, &upper, &c->err);
		f.before_seq = upper + 1;
	}
	if (r < 0)
		return r;
	value = json_array();
	r = log_page(&q, s->tx, &f, value, &next);
	c->resp.status = 200;
	c->resp.body = json_pack("{s:o}", "value", value);
	if (next)
		json_object_set_new(
			c->resp.body, "nextLink",
			json_string(next_link(c, arena_printf(c->a, "%lld", (long long)next))));
	return r;
}

static int
categories_run(struct ctx *c, struct arm_snapshot *s)
{
	c->resp.status = 200;
	c->resp.body = json_pack("{s:[o]}", "value", pair("Administrative"));
	return 0;
}

int
handle_activity(struct ctx *c)
{
	const struct scope *at = c->scope;
	const struct path *p = &c->path;

	if (c->req->method != ARM_GET)
		return arm_refuse(&c->error, 405, "MethodNotAllowed", "Only GET is offered here.");
	if (at->n_seg == 0 && same(p->seg[p->n - 1], "eventcategories") && !at->sub)
		return reading(c, categories_run);
	if (at->n_seg == 2 && same(at->seg[0], "management") && same(at->seg[1], "values") &&
	    (at->is_subscription || !*at->shown))
		return reading(c, log_run);
	return arm_refuse(&c->error, 404, "NotFound", "There is nothing at this path.");
}
