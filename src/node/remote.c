#include "node/remote.h"

#include "base/log.h"
#include "base/mem.h"
#include "fabric/agent.h"
#include "node/cache.h"
#include "node/poll.h"

#include <jansson.h>

enum { REPORT_MS = 500, READINGS_MS = 1000, REPORT_EVERY_MS = 15000 };

struct remote {
	uv_loop_t *loop;
	const struct node_options *options;
	const char *program, *boot;
	const struct remote_ops *ops;
	void *arg;
	struct agent *agent;
	char *cursor;
	json_t *refused; /* objects that could not be read, see poll.h */
	uv_poll_t poll;
	uv_timer_t report, readings;
	unsigned n_open;
	bool is_online, is_polling;
	char away[200]; /* why it was away last; each reason is logged once */
};

int
remote_create(uv_loop_t *loop, const struct node_options *o, const char *program, const char *boot,
	      const struct remote_ops *ops, void *arg, struct remote **ret, struct err *e)
{
	struct remote *r = mem_alloc(sizeof(*r));

	r->loop = loop;
	r->options = o;
	r->program = program;
	r->boot = boot;
	r->ops = ops;
	r->arg = arg;
	r->cursor = mem_strdup("");
	r->refused = json_object();
	uv_timer_init(loop, &r->report);
	uv_timer_init(loop, &r->readings);
	r->report.data = r->readings.data = r;
	r->n_open = 2;
	*ret = r;
	return 0;
}

struct node_config *
remote_cached(struct remote *r)
{
	struct node_config *c;
	struct err e = { 0 };
	char *cursor;
	int x = cache_load(r->options->state_dir, &c, &cursor, &e);

	if (x < 0) {
		if (x != -ENOENT)
			log_warn("config cache not used error=\"%s\"", e.text);
		return NULL;
	}
	free(r->cursor);
	r->cursor = cursor;
	log_info("running on the cached config cursor=%s", cursor);
	return c;
}

/* ---- What the controller says ---- */

static void
answer_queries(struct remote *r, const json_t *queries)
{
	for (size_t i = 0; i < json_array_size(queries); i++) {
		const json_t *q = json_array_get(queries, i);
		const char *id = json_string_value(json_object_get(q, "id"));
		const char *kind = json_string_value(json_object_get(q, "kind"));
		const char *object = json_string_value(json_object_get(q, "object"));
		json_int_t limit = json_integer_value(json_object_get(q, "limit"));
		struct err e = { 0 };
		json_t *v = NULL;
		int x;

		if (!id || !kind)
			continue;
		x = r->ops->query(r->arg, kind, object ? object : "",
				  limit > 0 && limit < 1000000 ? (unsigned)limit : 10000, &v, &e);
		if (x == 0 && json_is_array(v))
			v = json_pack("{so}", "value", v);
		if (x == 0)
			agent_answer(r->agent,
				     json_pack("{ssssso}", "id", id, "status", "ok", "result", v));
		else
			agent_answer(r->agent, json_pack("{ssssss}", "id", id, "status",
							 x == -ENOENT ? "notFound" : "error",
							 "text", e.text));
	}
}

static void
log_refused(const json_t *refused)
{
	for (void *it = json_object_iter((json_t *)refused); it;
	     it = json_object_iter_next((json_t *)refused, it))
		log_error("object refused object=\"%s\" error=\"%s\"", json_object_iter_key(it),
			  json_string_value(json_object_get(json_object_iter_value(it), "text")));
}

/* The next config from a poll's objects, in the cache too. With refused objects the cache has no
 * cursor: a successor, which may understand them, asks for everything. */
static struct node_config *
take_objects(struct remote *r, const json_t *objects, bool is_snapshot, const char *cursor)
{
	AUTO(node_config) now = r->ops->wanted(r->arg);
	struct node_config *c = poll_merge(now, objects, is_snapshot, r->refused);
	struct err e = { 0 };

	log_refused(r->refused);
	if (cache_save(r->options->state_dir, c, json_object_size(r->refused) ? "" : cursor, &e) <
	    0)
		log_error("config cache error=\"%s\"", e.text);
	log_info("config taken cursor=%s snapshot=%d objects=%zu", cursor, is_snapshot,
		 json_array_size(objects));
	return c;
}

static void
take_poll(struct remote *r, const json_t *body)
{
	const char *cursor = json_string_value(json_object_get(body, "cursor"));
	const json_t *objects = json_object_get(body, "objects");
	bool is_snapshot = json_is_true(json_object_get(body, "snapshot"));

	if (!cursor) {
		log_error("poll answer without cursor");
		agent_set_cursor(r->agent, r->cursor);
		return;
	}
	if (is_snapshot || json_array_size(objects)) {
		struct node_config *c = take_objects(r, objects, is_snapshot, cursor);

		free(r->cursor);
		r->cursor = mem_strdup(cursor);
		r->ops->config(r->arg, c);
		remote_changed(r);
	} else if (strcmp(cursor, r->cursor)) {
		free(r->cursor);
		r->cursor = mem_strdup(cursor);
		remote_changed(r);
	}
	answer_queries(r, json_object_get(body, "queries"));
	agent_set_cursor(r->agent, cursor);
}

static void
take_event(struct remote *r, struct agent_event *ev)
{
	switch (ev->kind) {
	case AGENT_POLL:
		take_poll(r, ev->body);
		break;
	case AGENT_ACKNOWLEDGED:
		r->ops->acknowledged(
			r->arg, (uint64_t)json_integer_value(json_object_get(
					json_object_get(ev->body, "acknowledged"), "sequence")));
		break;
	case AGENT_ONLINE:
		log_info("controller reachable");
		r->is_online = true;
		remote_changed(r);
		break;
	case AGENT_CERTIFICATE:
		log_info("certificate outcome=\"%s\"", ev->text);
		break;
	case AGENT_OFFLINE:
		if (r->is_online || strcmp(r->away, ev->text))
			log_warn("controller away error=\"%s\"", ev->text);
		snprintf(r->away, sizeof(r->away), "%s", ev->text);
		r->is_online = false;
		break;
	}
	json_decref(ev->body);
}

static void
on_agent(uv_poll_t *p, int status, int events)
{
	struct remote *r = p->data;
	struct agent_event ev;

	while (agent_next(r->agent, &ev))
		take_event(r, &ev);
}

/* ---- What we say ---- */

static void
on_report(uv_timer_t *t)
{
	struct remote *r = t->data;
	json_t *body = r->ops->report(r->arg), *state = json_object_get(body, "state");

	json_object_set_new(body, "applied", json_string(r->cursor));
	json_object_set_new(state, "boot", json_string(r->boot));
	json_object_set_new(state, "program", json_string(r->program));
	json_object_set_new(state, "version", json_string(WAYLEAVE_VERSION));
	agent_report(r->agent, body);
	uv_timer_start(&r->report, on_report, REPORT_EVERY_MS, 0);
}

void
remote_changed(struct remote *r)
{
	if (r->agent && (!uv_is_active((uv_handle_t *)&r->report) ||
			 uv_timer_get_due_in(&r->report) > REPORT_MS))
		uv_timer_start(&r->report, on_report, REPORT_MS / 10, 0);
}

static void
on_readings(uv_timer_t *t)
{
	struct remote *r = t->data;
	json_t *entries = r->is_online ? r->ops->readings(r->arg) : NULL;

	if (entries)
		agent_readings(r->agent, json_pack("{so}", "entries", entries));
}

void
remote_refused(const struct remote *r, json_t *errors)
{
	for (void *it = json_object_iter(r->refused); it;
	     it = json_object_iter_next(r->refused, it))
		json_array_append(errors, json_object_iter_value(it));
}

void
remote_start(struct remote *r)
{
	const struct node_options *o = r->options;
	struct agent_config cfg = {
		.url = o->controller_url,
		.ca_file = o->controller_ca,
		.cert_file = o->certificate,
		.key_file = o->key,
		.token = o->token,
		.node = o->node,
		.cursor = r->cursor,
	};
	struct err e = { 0 };

	if (agent_start(&cfg, &r->agent, &e) < 0) {
		log_error("agent error=\"%s\"", e.text);
		return;
	}
	uv_poll_init(r->loop, &r->poll, agent_fd(r->agent));
	r->poll.data = r;
	r->is_polling = true;
	r->n_open++;
	uv_poll_start(&r->poll, UV_READABLE, on_agent);
	uv_timer_start(&r->readings, on_readings, READINGS_MS, READINGS_MS);
	remote_changed(r);
}

static void
on_closed(uv_handle_t *h)
{
	struct remote *r = h->data;

	if (--r->n_open)
		return;
	free(r->cursor);
	json_decref(r->refused);
	free(r);
}

void
remote_destroy(struct remote *r)
{
	if (!r)
		return;
	if (r->is_polling)
		uv_close((uv_handle_t *)&r->poll, on_closed);
	uv_close((uv_handle_t *)&r->report, on_closed);
	uv_close((uv_handle_t *)&r->readings, on_closed);
	agent_stop(r->agent);
}
