/* From a request to its endpoint, and the forms of answers. */
#include "identity/oauth.h"

#include "base/mono.h"

#include <stdarg.h>
#include <strings.h>

const char *
call_param(const struct call *c, const char *name)
{
	const char *v = arm_query(c->a, c->params, name);

	return v && *v && strlen(v) <= MAX_PARAM ? v : NULL;
}

const char *
call_param_twice(const struct call *c)
{
	for (const char *p = c->params; *p;) {
		size_t n = strcspn(p, "&"), k = strcspn(p, "=&");

		for (const char *q = p + n + (p[n] == '&'); *q;) {
			size_t m = strcspn(q, "&"), j = strcspn(q, "=&");

			if (k == j && k && !strncasecmp(p, q, k))
				return arena_strndup(c->a, p, k);
			q += m + (q[m] == '&');
		}
		p += n + (p[n] == '&');
	}
	return NULL;
}

void
call_header(struct call *c, const char *name, const char *value)
{
	assert(c->out->n_headers < IDENTITY_MAX_HEADERS);
	c->out->headers[c->out->n_headers++] = (struct arm_header){ name, value };
}

void
call_json(struct call *c, int status, json_t *body)
{
	char *text = json_dumps(body, JSON_COMPACT);

	c->out->status = status;
	c->out->type = "application/json; charset=utf-8";
	c->out->text = arena_strdup(c->a, text ? text : "{}");
	free(text);
	json_decref(body);
}

void
call_refuse(struct call *c, int status, const char *error, int number, const char *fmt, ...)
{
	char now[32], trace[37], text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	for (char *p = text; *p; p++) /* it may quote what was sent, and be cut anywhere */
		if (*p < ' ' || *p >= 0x7f)
			*p = '?';
	guid_make(trace);
	call_json(c, status,
		  json_pack("{s:s, s:s, s:[i], s:s, s:s, s:s}", "error", error, "error_description",
			    arena_printf(c->a, "AADSTS%d: %s", number, text), "error_codes", number,
			    "timestamp", utc_format(c->now_us, now), "trace_id", trace,
			    "correlation_id", trace));
	if (status == 401 && c->rq->authorization)
		call_header(c, "WWW-Authenticate", "Basic realm=\"Wayleave\"");
}

void
call_unavailable(struct call *c)
{
	call_refuse(c, 503, "temporarily_unavailable", 90033,
		    "A transient error has occurred. Please try again.");
	call_header(c, "Retry-After", "2");
}

const char *
call_url(const struct call *c, const char *path)
{
	return arena_printf(c->a, "%s%s", c->id->base_url, path);
}

const char *
call_issuer(const struct call *c, const char *tenant)
{
	const struct route *r = &c->route;

	if (r->is_adfs)
		return call_url(c, r->base);
	return arena_printf(c->a, "%s/%s%s", c->id->base_url, tenant, r->is_v2 ? "/v2.0" : "/");
}

const char *
call_endpoint(const struct call *c, const char *name)
{
	const struct route *r = &c->route;
	const char *base = *r->base ? r->base : "/adfs";

	return arena_printf(c->a, "%s%s/oauth2%s/%s", c->id->base_url, base,
			    r->is_v2 ? "/v2.0" : "", name);
}

/* --- dispatch ------------------------------------------------------------------------------------------ */

enum { GET = 1, POST = 2 };

static const struct {
	void (*run)(struct call *c);
	unsigned methods;
	bool is_cacheable, is_shared; /* by what is between; by scripts of other origins */
} endpoints[] = {
	[AT_METADATA] = { at_metadata, GET, true, true },
	[AT_INSTANCE] = { at_instance, GET, true, true },
	[AT_OPENID] = { at_openid, GET, true, true },
	[AT_KEYS] = { at_keys, GET, true, true },
	[AT_USERINFO] = { at_userinfo, GET | POST, false, true },
	[AT_TOKEN] = { at_token, POST, false, true },
	[AT_DEVICECODE] = { at_devicecode, POST, false, true },
	[AT_AUTHORIZE] = { at_authorize, GET | POST, false, false },
	[AT_LOGOUT] = { at_logout, GET | POST, false, false },
	[AT_DEVICE] = { at_device, GET | POST, false, false },
	[AT_SIGNIN] = { at_signin, GET, false, false },
	[AT_START] = { at_start, GET, false, false },
	[AT_CALLBACK] = { at_callback, GET, false, false },
	[AT_INVITE] = { at_invite, GET | POST, false, false },
	[AT_SIGNOUT] = { at_logout, GET | POST, false, false },
};

void
identity_handle(struct identity *id, const struct identity_request *rq, struct identity_reply *ret)
{
	bool is_post = !strcmp(rq->method, "POST"),
	     is_get = !strcmp(rq->method, "GET") || !strcmp(rq->method, "HEAD");
	struct call c = { .id = id, .rq = rq, .out = ret, .a = rq->arena };
	const char *params = is_post ? rq->body : rq->query;
	unsigned may;

	*ret = (struct identity_reply){ 0 };
	c.route = route_parse(c.a, rq->path);
	c.params = params ? params : "";
	c.now_us = rq->now_us;
	c.now_s = rq->now_us / SECOND;
	may = endpoints[c.route.what].methods;
	if (c.route.what == AT_NOTHING)
		call_refuse(&c, 404, "not_found", 90015, "There is nothing at this path.");
	else if (!((is_post && (may & POST)) || (is_get && (may & GET))))
		call_refuse(&c, 405, "invalid_request", 900561,
			    "The endpoint only accepts %s requests. Received a %s request.",
			    may & GET ? "GET" : "POST", rq->method);
	else
		endpoints[c.route.what].run(&c);
	call_header(&c, "Cache-Control",
		    endpoints[c.route.what].is_cacheable && ret->status == 200
			    ? "public, max-age=3600"
			    : "no-store");
	/* No cookie counts there: who asks must show all that it takes. */
	if (endpoints[c.route.what].is_shared)
		call_header(&c, "Access-Control-Allow-Origin", "*");
}
