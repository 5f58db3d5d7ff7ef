#include "node/links.h"

#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"

enum { RETRY_MS = 100 };

struct link {
	uint32_t number;
	bool has_session, has_word, word, has_event;
	struct bfdd_session session;
	struct bfdd_event event;
};

struct links {
	uv_loop_t *loop;
	char *run_dir;
	links_event_fn *fn;
	void *arg;
	struct map all; /* number → link */
	struct bfdd *bfdd;
	uv_poll_t *poll; /* of bfdd's descriptor */
	uv_timer_t retry;
	bool is_started;
};

static void on_retry(uv_timer_t *t);

static struct link *
link_get(const struct links *l, uint32_t number)
{
	return map_get(&l->all, &number, sizeof(number));
}

static struct link *
link_make(struct links *l, uint32_t number)
{
	struct link *k = link_get(l, number);

	if (k)
		return k;
	k = mem_alloc(sizeof(*k));
	k->number = number;
	map_put(&l->all, &number, sizeof(number), k);
	return k;
}

static void
on_poll_closed(uv_handle_t *h)
{
	free(h);
}

static void
disconnect(struct links *l)
{
	if (l->poll) {
		uv_poll_stop(l->poll);
		uv_close((uv_handle_t *)l->poll, on_poll_closed);
		l->poll = NULL;
	}
	bfdd_destroy(l->bfdd);
	l->bfdd = NULL;
}

/* bfdd has gone, or does not listen: come back in a moment. */
static void
lost(struct links *l, const struct err *e)
{
	if (l->bfdd)
		log_warn("bfdd lost error=\"%s\"", e->text);
	disconnect(l);
	uv_timer_start(&l->retry, on_retry, RETRY_MS, 0);
}

static int
tell(struct links *l, const struct link *k, struct err *e)
{
	int r = k->has_session ? bfdd_session_set(l->bfdd, &k->session, e) : 0;

	if (r == 0 && k->has_word)
		r = bfdd_link_set(l->bfdd, k->number, k->word, e);
	return r;
}

static void
on_readable(uv_poll_t *p, int status, int events)
{
	struct links *l = p->data;
	struct bfdd_event ev;
	struct err e = { 0 };
	int r;

	while ((r = bfdd_next(l->bfdd, &ev, &e)) == 1) {
		struct link *k = link_get(l, ev.link);

		if (!k)
			continue;
		k->event = ev;
		k->has_event = true;
		l->fn(l->arg, &ev);
		if (!l->bfdd)
			return;
	}
	if (r < 0)
		lost(l, &e);
}

static int
say_all(struct links *l, struct err *e)
{
	struct map_iter it = { 0 };
	int r = bfdd_begin(l->bfdd, e);

	while (r == 0 && map_next(&l->all, &it))
		r = tell(l, it.value, e);
	return r < 0 ? r : bfdd_end(l->bfdd, e);
}

static void
on_retry(uv_timer_t *t)
{
	struct links *l = t->data;
	struct err e = { 0 };

	if (bfdd_connect(l->run_dir, &l->bfdd, &e) < 0 || say_all(l, &e) < 0) {
		lost(l, &e);
		return;
	}
	l->poll = mem_alloc(sizeof(*l->poll));
	l->poll->data = l;
	uv_poll_init(l->loop, l->poll, bfdd_fd(l->bfdd));
	uv_poll_start(l->poll, UV_READABLE, on_readable);
}

struct links *
links_create(uv_loop_t *loop, const char *run_dir, links_event_fn *fn, void *arg)
{
	struct links *l = mem_alloc(sizeof(*l));

	l->loop = loop;
	l->run_dir = mem_strdup(run_dir);
	l->fn = fn;
	l->arg = arg;
	uv_timer_init(loop, &l->retry);
	l->retry.data = l;
	return l;
}

void
links_start(struct links *l)
{
	if (l->is_started)
		return;
	l->is_started = true;
	on_retry(&l->retry);
}

static void
on_links_closed(uv_handle_t *h)
{
	free(h->data);
}

void
links_destroy(struct links *l)
{
	struct map_iter it = { 0 };

	if (!l)
		return;
	disconnect(l);
	while (map_next(&l->all, &it))
		free(it.value);
	map_fini(&l->all);
	free(l->run_dir);
	uv_timer_stop(&l->retry);
	uv_close((uv_handle_t *)&l->retry, on_links_closed);
}

/* Says one thing to bfdd if it is there; a failure brings everything again later. */
static void
say(struct links *l, int r, struct err *e)
{
	if (r < 0)
		lost(l, e);
}

void
links_session(struct links *l, const struct bfdd_session *s)
{
	struct link *k = link_make(l, s->link);
	struct err e = { 0 };

	k->session = *s;
	k->has_session = true;
	if (l->bfdd)
		say(l, bfdd_session_set(l->bfdd, s, &e), &e);
}

void
links_session_end(struct links *l, uint32_t number)
{
	struct link *k = link_get(l, number);
	struct err e = { 0 };

	if (!k || !k->has_session)
		return;
	k->has_session = false;
	k->has_event = false;
	if (l->bfdd)
		say(l, bfdd_session_remove(l->bfdd, number, &e), &e);
	if (l->bfdd && k->has_word)
		say(l, bfdd_link_set(l->bfdd, number, k->word, &e), &e);
}

void
links_word(struct links *l, uint32_t number, bool is_up)
{
	struct link *k = link_make(l, number);
	struct err e = { 0 };

	k->has_word = true;
	k->word = is_up;
	if (l->bfdd)
		say(l, bfdd_link_set(l->bfdd, number, is_up, &e), &e);
}

void
links_forget(struct links *l, uint32_t number)
{
	struct link *k;

	links_session_end(l, number);
	if (link_get(l, number))
		links_word(l, number, false);
	k = map_remove(&l->all, &number, sizeof(number));
	free(k);
}

const struct bfdd_event *
links_state(const struct links *l, uint32_t number)
{
	const struct link *k = link_get(l, number);

	return k && k->has_event ? &k->event : NULL;
}

bool
links_is_up(const struct links *l, uint32_t number)
{
	const struct bfdd_event *ev = links_state(l, number);

	return ev && (ev->flags & BFDD_IS_UP);
}
