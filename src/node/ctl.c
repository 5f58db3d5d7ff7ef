#include "node/ctl.h"

#include "base/buf.h"
#include "base/mem.h"

#include <jansson.h>
#include <sys/stat.h>

enum { CTL_CLIENTS = 16, CTL_LINE = 64 << 10 };

struct ctl {
	uv_pipe_t pipe;
	ctl_query_fn *fn;
	void *arg;
	char *path;
	struct ctl_client {
		uv_pipe_t pipe;
		struct ctl *ctl;
		struct buf in;
		bool is_used;
	} clients[CTL_CLIENTS];
	unsigned n_open; /* handles not closed yet, the listener's too */
};

struct answer {
	uv_write_t req;
	char *text;
};

static void
let_go(struct ctl *c)
{
	if (--c->n_open)
		return;
	free(c->path);
	free(c);
}

static void
on_client_closed(uv_handle_t *h)
{
	struct ctl_client *cl = h->data;

	buf_fini(&cl->in);
	cl->in = (struct buf){ 0 };
	cl->is_used = false;
	let_go(cl->ctl);
}

static void
drop(struct ctl_client *cl)
{
	if (!uv_is_closing((uv_handle_t *)&cl->pipe))
		uv_close((uv_handle_t *)&cl->pipe, on_client_closed);
}

static void
on_written(uv_write_t *req, int status)
{
	struct answer *a = CONTAINER_OF(req, struct answer, req);

	free(a->text);
	free(a);
}

static json_t *
answer_line(struct ctl *c, const uint8_t *line, size_t n)
{
	struct err e = { 0 };
	json_error_t je;
	json_t *q = json_loadb((const char *)line, n, JSON_REJECT_DUPLICATES, &je), *v = NULL;
	const char *query = json_string_value(json_object_get(q, "query"));
	const char *object = json_string_value(json_object_get(q, "object"));
	json_int_t limit = json_integer_value(json_object_get(q, "limit"));

	if (!q)
		err_set(&e, -EBADMSG, "not JSON: %s", je.text);
	else if (!query)
		err_set(&e, -EINVAL, "query is missing");
	else
		c->fn(c->arg, query, object ? object : "",
		      limit > 0 && limit < 1000000 ? (unsigned)limit : 10000, &v, &e);
	json_decref(q);
	if (v && json_is_array(v))
		v = json_pack("{so}", "value", v);
	if (v)
		return json_pack("{ssso}", "status", "ok", "result", v);
	return json_pack("{ssss}", "status", e.code == -ENOENT ? "notFound" : "error", "text",
			 e.text);
}

static void
send_answer(struct ctl_client *cl, json_t *v)
{
	struct answer *a = mem_alloc(sizeof(*a));
	char *dump = json_dumps(v, JSON_COMPACT);
	uv_buf_t b;

	json_decref(v);
	a->text = mem_printf("%s\n", dump ? dump : "{\"status\":\"error\",\"text\":\"not UTF-8\"}");
	free(dump);
	b = uv_buf_init(a->text, (unsigned)strlen(a->text));
	if (uv_write(&a->req, (uv_stream_t *)&cl->pipe, &b, 1, on_written) < 0) {
		on_written(&a->req, 0);
		drop(cl);
	}
}

static void
on_alloc(uv_handle_t *h, size_t hint, uv_buf_t *ret)
{
	struct ctl_client *cl = h->data;

	buf_reserve(&cl->in, 8192);
	*ret = uv_buf_init((char *)cl->in.p + cl->in.n, 8192);
}

static void
on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
	struct ctl_client *cl = s->data;
	uint8_t *nl;

	if (n < 0) {
		drop(cl);
		return;
	}
	cl->in.n += (size_t)n;
	while (cl->in.n && (nl = memchr(cl->in.p, '\n', cl->in.n)) != NULL) {
		send_answer(cl, answer_line(cl->ctl, cl->in.p, (size_t)(nl - cl->in.p)));
		buf_drop(&cl->in, (size_t)(nl - cl->in.p) + 1);
	}
	if (cl->in.n > CTL_LINE)
		drop(cl);
}

static void
on_connection(uv_stream_t *s, int status)
{
	struct ctl *c = s->data;
	struct ctl_client *cl = NULL;
	uv_pipe_t *turned_away;

	for (unsigned i = 0; i < CTL_CLIENTS && !cl; i++)
		if (!c->clients[i].is_used)
			cl = &c->clients[i];
	if (status < 0)
		return;
	if (!cl) {
		turned_away = mem_alloc(sizeof(*turned_away));
		uv_pipe_init(s->loop, turned_away, 0);
		uv_accept(s, (uv_stream_t *)turned_away);
		uv_close((uv_handle_t *)turned_away, (uv_close_cb)(void (*)(void))free);
		return;
	}
	cl->is_used = true;
	cl->ctl = c;
	uv_pipe_init(s->loop, &cl->pipe, 0);
	cl->pipe.data = cl;
	c->n_open++;
	if (uv_accept(s, (uv_stream_t *)&cl->pipe) < 0 ||
	    uv_read_start((uv_stream_t *)&cl->pipe, on_alloc, on_read) < 0)
		drop(cl);
}

int
ctl_open(uv_loop_t *loop, const char *path, ctl_query_fn *fn, void *arg, struct ctl **ret,
	 struct err *e)
{
	struct ctl *c = mem_alloc(sizeof(*c));
	mode_t mask;
	int r;

	c->fn = fn;
	c->arg = arg;
	c->path = mem_strdup(path);
	c->n_open = 1;
	uv_pipe_init(loop, &c->pipe, 0);
	c->pipe.data = c;
	unlink(path);
	mask = umask(0177);
	r = uv_pipe_bind(&c->pipe, path);
	umask(mask);
	if (r == 0)
		r = uv_listen((uv_stream_t *)&c->pipe, CTL_CLIENTS, on_connection);
	if (r < 0) {
		ctl_close(c);
		return err_set(e, r, "%s: %s", path, uv_strerror(r));
	}
	*ret = c;
	return 0;
}

static void
on_listener_closed(uv_handle_t *h)
{
	let_go(h->data);
}

void
ctl_close(struct ctl *c)
{
	if (!c)
		return;
	unlink(c->path);
	for (unsigned i = 0; i < CTL_CLIENTS; i++)
		if (c->clients[i].is_used)
			drop(&c->clients[i]);
	uv_close((uv_handle_t *)&c->pipe, on_listener_closed);
}
