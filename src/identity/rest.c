/* The frame around Graph and SCIM. */
#include "identity/rest.h"

#include "base/mem.h"

#include <strings.h>

#define GRAPH "/v1.0/"
#define SCIM "/scim/v2/"

bool
identity_is_directory_path(const char *path)
{
	path += strspn(path, "/");
	path -= *path != '\0';
	return !strncasecmp(path, GRAPH, strlen(GRAPH)) || !strncasecmp(path, SCIM, strlen(SCIM));
}

void
identity_directory(struct identity *id, const struct identity_request *rq,
		   struct identity_reply *ret)
{
	if (!strncasecmp(rq->path + strspn(rq->path, "/"), &SCIM[1], strlen(SCIM) - 1))
		scim_handle(id, rq, ret);
	else
		graph_handle(id, rq, ret);
}

bool
rest_is(const struct rest *c, const char *method)
{
	return !strcmp(c->rq->method, method);
}

/* Split before decoding, so that %2F is part of a name. */
static int
split(struct rest *c, const char *path)
{
	while (*path) {
		size_t n = strcspn(path, "/");
		const char *raw, *text = "v=";

		if (n) {
			if (c->n_seg == REST_MAX_SEGMENTS)
				return arm_refuse(&c->error, 404, "Request_ResourceNotFound",
						  "There is nothing at this path.");
			raw = arena_strndup(c->a, path, n);
			for (const char *p; (p = strchr(raw, '+')); raw = p + 1)
				text = arena_printf(c->a, "%s%.*s%%2B", text, (int)(p - raw), raw);
			text = arm_query(c->a, arena_printf(c->a, "%s%s", text, raw), "v");
			if (!text)
				return arm_refuse(&c->error, 400, "BadRequest",
						  "The path is not well formed.");
			c->seg[c->n_seg++] = text;
		}
		path += n + (path[n] == '/');
	}
	return 0;
}

int
rest_number(struct rest *c, const char *name, int64_t def, int64_t max, int64_t *ret)
{
	const char *text = arm_query(c->a, c->rq->query ? c->rq->query : "", name);
	char *end;

	*ret = def;
	if (!text || !*text)
		return 0;
	*ret = strtoll(text, &end, 10);
	if (*end || end - text > 9)
		return arm_refuse_at(&c->error, 400, "BadRequest", name, "'%s' must be a number.",
				     name);
	*ret = *ret < 0 ? 0 : *ret > max ? max : *ret;
	return 0;
}

struct run {
	struct rest *c;
	int (*fn)(struct rest *c);
};

static int
transaction(struct store_tx *tx, void *arg, struct err *e)
{
	struct run *w = arg;
	struct rest *c = w->c;

	/* It may be the second try. */
	json_decref(c->result);
	c->result = NULL;
	c->status = 0;
	c->error = (struct arm_error){ .arena = c->a, .base_url = c->error.base_url };
	c->tx = tx;
	return w->fn(c);
}

int
rest_run(struct rest *c, const char *prefix, int (*fn)(struct rest *c))
{
	struct run w = { c, fn };
	const char *path = c->rq->path + strspn(c->rq->path, "/");
	const char *body = c->rq->body;
	struct err e = { 0 };
	int r = split(c, path + strlen(prefix) - 1);

	c->is_get = rest_is(c, "GET") || rest_is(c, "HEAD");
	if (r == 0 && body && *body) {
		c->body = arm_body_parse(c->a, body, strlen(body), &c->error);
		r = c->body ? 0 : -EBADE;
	}
	if (r == 0)
		r = c->is_get ? store_read(c->id->store, transaction, &w, &e)
			      : store_write(c->id->store, transaction, &w, &e);
	if (r < 0 && !c->error.status) {
		if (r == -EAGAIN)
			arm_refuse(&c->error, 503, "ServiceUnavailable",
				   "The store is not available right now. Try again.");
		else
			arm_refuse(&c->error, 500, "InternalServerError",
				   "The request failed in the server.");
	}
	json_decref(c->body);
	c->body = NULL;
	if (r < 0) {
		json_decref(c->result);
		c->result = NULL;
		c->status = c->error.status;
	} else if (!c->status) {
		c->status = 200;
	}
	return r;
}

static void
header_add(struct identity_reply *ret, const char *name, const char *value)
{
	if (value)
		ret->headers[ret->n_headers++] = (struct arm_header){ name, value };
}

void
rest_reply(struct rest *c, const char *type, json_t *body, struct identity_reply *ret)
{
	char *text = body && c->status != 204 ? json_dumps(body, JSON_COMPACT) : NULL;

	*ret = (struct identity_reply){ .status = c->status };
	if (!c->is_get && c->status < 300)
		ret->event = arena_printf(c->a,
					  "directory changed method=%s path=%.200s tenant=%s by=%s",
					  c->rq->method, c->rq->path, c->tenant,
					  c->caller.oid ? c->caller.oid : "scim");
	if (text) {
		ret->type = type;
		ret->text = arena_strdup(c->a, text);
	}
	header_add(ret, "ETag", c->status < 300 ? c->etag : NULL);
	header_add(ret, "Location", c->status < 300 ? c->location : NULL);
	header_add(ret, "Cache-Control", "no-store");
	if (c->status == 401)
		header_add(ret, "WWW-Authenticate", "Bearer");
	if (c->status == 503)
		header_add(ret, "Retry-After", "2");
	free(text);
	json_decref(body);
}
