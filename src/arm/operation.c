/* Operations as clients poll them: .../operations/ID says how it stands, .../operationResults/ID has the
 * result. One is readable for who started it and for who may read operation results of its target, at
 * its own subscription's path, for a day. */
#include "arm/internal.h"

struct poll {
	const char *sub, *id; /* folded; sub "" for none */
	bool results;
};

static void
still_running(struct ctx *c, bool results)
{
	resp_header(c, "Retry-After", arena_printf(c->a, "%d", RETRY_AFTER));
	c->resp.status = results ? 202 : 200;
	if (results)
		resp_header(c, "Location",
			    arena_printf(c->a, "%s%s?%s", c->en->base_url, c->req->path,
					 c->req->query ? c->req->query : ""));
	else
		c->resp.body = json_pack("{s:s}", "status", "InProgress");
}

/* What a PUT or PATCH has made, as it is now, for who may read it; a new reference or NULL. */
static json_t *
written(struct ctx *c, struct arm_snapshot *s, const struct store_operation *op)
{
	json_t *d = json_loads(op->detail, 0, NULL);
	const char *at = arena_strdup(c->a, arm_str(d, "event.target", op->target));
	const struct arm_resource *r = *at ? arm_get(s, at) : NULL;
	json_t *body = r ? view_element(s, r, at) : NULL;

	json_decref(d);
	if (body && !may(c, s->tx, arena_printf(c->a, "%s/read", arm_str(body, "type", "")), at)) {
		json_decref(body);
		body = NULL;
	}
	return body;
}

static void
result_answer(struct ctx *c, struct arm_snapshot *s, const struct store_operation *op,
	      const json_t *result)
{
	if (op->status == STORE_OP_FAILED) {
		c->resp.status = (int)arm_int(result, "http", 500);
		c->resp.body = json_pack("{s:O}", "error", json_object_get(result, "error"));
	} else if (!strcmp(op->what, "action")) {
		c->resp.status = 200;
		c->resp.body = json_incref(json_object_get(result, "properties"));
	} else if (!strcmp(op->what, "put")) {
		c->resp.body = written(c, s, op);
		c->resp.status = c->resp.body ? 200 : 204;
	} else {
		c->resp.status = 204;
	}
}

static int
operation_run(struct ctx *c, struct arm_snapshot *s)
{
	const struct poll *poll = c->extra;
	struct store_operation op;
	json_t *result;
	int r = authorise(c, s->tx, *poll->sub ? poll->sub : NULL, NULL, "/");

	if (r != 0)
		return r;
	r = store_operation_get(s->tx, c->a, poll->id, &op, &c->err);
	if (r < 0)
		return r;
	if (r == 0 || strcmp(op.sub, poll->sub) != 0 ||
	    (strcmp(op.caller, c->caller.oid) != 0 &&
	     !may(c, s->tx, "Microsoft.Resources/subscriptions/operationresults/read",
		  *op.target ? op.target : "/")))
		return arm_refuse(&c->error, 404, "OperationNotFound",
				  "The operation '%s' could not be found.", poll->id);
	if (op.status == STORE_OP_RUNNING) {
		still_running(c, poll->results);
		return 0;
	}
	result = op.result ? json_loads(op.result, 0, NULL) : json_object();
	if (poll->results) {
		result_answer(c, s, &op, result);
	} else {
		c->resp.status = 200;
		c->resp.body = json_incref(result);
		json_object_del(c->resp.body, "http");
	}
	json_decref(result);
	return 0;
}

int
handle_operation(struct ctx *c, const char *sub, const char *id, bool results)
{
	const struct poll poll = { sub ? fold(c->a, sub) : "", fold(c->a, id), results };

	if (c->req->method != ARM_GET)
		return arm_refuse(&c->error, 405, "MethodNotAllowed", "Only GET is offered here.");
	c->extra = &poll;
	return reading(c, operation_run);
}

/* Of a group's deletion: SUB/operationresults/ID. */
int
handle_group_operation(struct ctx *c)
{
	return handle_operation(c, c->path.seg[1], c->path.seg[3], true);
}
