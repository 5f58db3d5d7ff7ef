/* Event streams: writing what happens into the store's log, and reading it for streams. */
#include "arm/stream.h"

#include "arm/internal.h"

#include <strings.h>

enum { NEWS = 500, RESUMED = 2000, SHOWN = 1000 };

#define STREAM_NS "wayleave.events"

/* --- telling ------------------------------------------------------------------------------------ */

static const char *
sub_of(struct arena *a, const char *fold)
{
	static const char prefix[] = "/subscriptions/";
	size_t n = sizeof(prefix) - 1;

	return strncmp(fold, prefix, n) ? "" : arena_strndup(a, fold + n, strcspn(fold + n, "/"));
}

int
arm_tell(struct arm_snapshot *s, const char *target, const char *kind, json_t *body)
{
	const char *f = aggregate_fold(s->arena, arm_id_fold(s->arena, target));
	AUTO_FREE char *text = json_dumps(body, JSON_COMPACT);
	const struct store_stream_event ev = {
		.at_us = s->now_us,
		.sub = sub_of(s->arena, f),
		.target = f,
		.kind = kind,
		.body = text ? text : "{}",
	};
	struct err e;

	json_decref(body);
	return store_stream_add(s->tx, &ev, &e);
}

/* What is watched may be computed, so it is read from the view. */
static void
watched_add(struct arm_snapshot *s, const struct arm_resource *r, json_t *out)
{
	json_t *view = r->type->watched ? view_resource(s, r) : NULL;

	for (const char *const *w = r->type->watched; w && *w; w++) {
		json_t *v = arm_at(view, *w);

		if (v)
			arm_set(out, *w, json_incref(v));
	}
	json_decref(view);
}

static json_t *
resource_brief(struct arm_snapshot *s, const struct arm_resource *r, const char *state)
{
	const struct arm_type *t = r->type;
	json_t *out = json_pack("{s:s, s:s, s:s, s:s}", "id", r->id, "type",
				arena_printf(s->arena, "%s/%s", t->ns, t->name), "etag",
				arena_printf(s->arena, "W/\"%s\"", r->etag), "provisioningState",
				state);

	watched_add(s, r, out);
	return out;
}

int
stream_resource(struct arm_snapshot *s, const struct arm_resource *r, const char *state)
{
	return arm_tell(s, r->fold, "resource", resource_brief(s, r, state));
}

int
stream_operation(struct arm_snapshot *s, const struct store_operation *op)
{
	static const char *const words[] = { "InProgress", "Succeeded", "Failed" };

	if (!*op->target || op->status > STORE_OP_FAILED)
		return 0;
	return arm_tell(s, op->target, "operation",
			json_pack("{s:s, s:s, s:s, s:s}", "id", op->id, "status", words[op->status],
				  "target", op->target, "what", op->what));
}

/* --- texts ---------------------------------------------------------------------------------------- */

static void
cursor_put(struct arm_engine *en, struct buf *out, int64_t seq)
{
	buf_printf(out, "id: %s.%lld\n", store_epoch(en->cfg.store), (long long)seq);
}

static void
event_put(struct arm_engine *en, struct buf *out, int64_t seq, const char *kind, const char *data)
{
	cursor_put(en, out, seq);
	buf_printf(out, "event: %s\ndata: ", kind);
	buf_put(out, data, strlen(data));
	buf_put(out, "\n\n", 2);
}

void
arm_stream_heartbeat(struct arm_engine *en, int64_t seq, struct buf *out)
{
	buf_printf(out, ": heartbeat\n");
	cursor_put(en, out, seq);
	buf_put(out, "\n", 1);
}

void
arm_stream_end(const char *reason, struct buf *out)
{
	json_t *j = json_pack("{s:s}", "reason", reason);
	AUTO_FREE char *text = json_dumps(j, JSON_COMPACT);

	buf_printf(out, "event: end\ndata: %s\n\n", text);
	json_decref(j);
}

/* --- opening ---------------------------------------------------------------------------------------- */

bool
arm_stream_is_path(const char *path)
{
	static const char tail[] = "/providers/" STREAM_NS "/stream";
	size_t n = strlen(path), k = sizeof(tail) - 1;

	return n > k && !strcasecmp(path + n - k, tail);
}

enum { ACTION_MAX = 256 };

/* What a GET of it asks for. */
static void
read_action(const char *target, char ret[ACTION_MAX])
{
	const char *p = strstr(target, "/providers/");
	size_t n;

	if (!p) {
		snprintf(ret, ACTION_MAX, "Microsoft.Resources/subscriptions/resourceGroups/read");
		return;
	}
	p += strlen("/providers/");
	n = strcspn(p, "/");
	n += p[n] ? 1 + strcspn(p + n + 1, "/") : 0;
	snprintf(ret, ACTION_MAX, "%.*s/read", (int)n, p);
}

/* The answers are the same for the length of a transaction, and a caller may have many streams:
 * nothing is allocated for one that is known. */
static bool
may_at(struct arm_snapshot *s, struct map *seen, const char *action, const char *scope)
{
	static char yes, no;
	const struct arm_caller *who = s->caller;
	const void *was;
	char key[1024];
	int n = snprintf(key, sizeof(key), "%s|%s|%s|%s|%s", who->oid,
			 who->tenant ? who->tenant : "", who->app_id ? who->app_id : "", action,
			 scope);
	bool may;

	if (n < 0 || n >= (int)sizeof(key))
		return arm_may(s, action, scope);
	was = map_get(seen, key, (size_t)n);
	may = was ? was == &yes : arm_may(s, action, scope);
	if (!was)
		map_put(seen, key, (size_t)n, may ? &yes : &no);
	return may;
}

/* Roles only add up, so what one may at the subscription one may at all that is in it. */
static bool
may_read(struct arm_snapshot *s, struct map *seen, const char *sub_scope, const char *target)
{
	char action[ACTION_MAX];

	read_action(target, action);
	return may_at(s, seen, action, sub_scope) || may_at(s, seen, action, target);
}

static json_t *
row_brief(struct arm_snapshot *s, const struct store_resource *row)
{
	static const char *const words[] = { "Succeeded", "Updating", "Deleting", "Failed" };
	const struct arm_resource *r = entry_now(entry_from_row(s, row));

	return r && row->state < COUNT(words) ? resource_brief(s, r, words[row->state]) : NULL;
}

static int
snapshot_put(struct ctx *c, struct arm_snapshot *s, struct arm_stream *st, struct map *seen)
{
	struct store_filter f = { .sub = st->sub, .limit = SHOWN };
	json_t *list = json_array(), *j;
	struct store_resource one, *rows = &one;
	size_t n = 0;
	char *text;
	int r = st->type ? store_resource_get(s->tx, c->a, st->scope, &one, &c->err)
			 : store_resource_list(s->tx, c->a, &f, &rows, &n, &c->err);

	if (st->type)
		n = r == 1;
	for (size_t i = 0; i < n && r >= 0; i++)
		if (st->type || may_read(s, seen, st->scope, rows[i].fold)) {
			json_t *brief = row_brief(s, &rows[i]);

			if (brief)
				json_array_append_new(list, brief);
		}
	j = json_pack("{s:o, s:b}", "resources", list, "truncated", n == SHOWN);
	text = json_dumps(j, JSON_COMPACT);
	event_put(c->en, &st->text, st->seq, "snapshot", text);
	free(text);
	json_decref(j);
	return MIN(r, 0);
}

/* From where he was, when nothing of it is gone. */
static int
resume_put(struct ctx *c, struct arm_snapshot *s, struct arm_stream *st, struct map *seen,
	   int64_t from, bool *ret_is_done)
{
	struct store_stream_event *list;
	size_t n = 0;
	int r = store_stream_since(s->tx, c->a, st->type ? NULL : st->sub,
				   st->type ? st->scope : NULL, from, RESUMED, &list, &n, &c->err);

	*ret_is_done = r == 0 && n < RESUMED;
	for (size_t i = 0; i < n && *ret_is_done; i++)
		if (st->type || may_read(s, seen, st->scope, list[i].target))
			event_put(c->en, &st->text, list[i].seq, list[i].kind, list[i].body);
	return r;
}

static void
gap_put(struct ctx *c, struct arm_stream *st)
{
	buf_reset(&st->text);
	event_put(c->en, &st->text, st->seq, "gap",
		  "{\"reason\":\"Events after this Last-Event-ID are not kept any more, or are of "
		  "another store. A snapshot follows.\"}");
}

static int
first_put(struct ctx *c, struct arm_snapshot *s, struct arm_stream *st, struct map *seen)
{
	int64_t from = arm_cursor_rev(c->en, st->last_event_id), floor;
	bool is_done = false;
	int r = store_stream_range(s->tx, &floor, &st->seq, &c->err);

	if (r == 0 && from >= floor && from <= st->seq)
		r = resume_put(c, s, st, seen, from, &is_done);
	if (r < 0 || is_done) {
		if (r == 0)
			arm_stream_heartbeat(c->en, st->seq, &st->text);
		return r;
	}
	buf_reset(&st->text);
	if (st->last_event_id && *st->last_event_id)
		gap_put(c, st);
	return snapshot_put(c, s, st, seen);
}

static int
scope_authorise(struct ctx *c, struct arm_snapshot *s, struct arm_stream *st)
{
	const char *read = st->type ? arena_printf(c->a, "%s/read", st->type) : NULL;

	return authorise(c, s->tx, st->sub, read, st->scope);
}

static int
open_run(struct ctx *c, struct arm_snapshot *s)
{
	struct arm_stream *st = c->req->stream;
	struct map seen = { 0 };
	int r = scope_authorise(c, s, st);

	buf_reset(&st->text);
	if (r == 0 && st->type && !arm_get(s, st->scope))
		r = arm_refuse(&c->error, 404, "ResourceNotFound", "'%s' was not found.",
			       st->scope);
	if (r == 0)
		r = first_put(c, s, st, &seen);
	map_fini(&seen);
	st->is_open = r == 0;
	c->resp.status = 200;
	return r;
}

/* The resource's type: of an aggregate, and one that there is. */
static int
scope_parse(struct ctx *c, struct arm_stream *st)
{
	const struct path *p = &c->path;
	const struct type_entry *te;
	size_t n = p->n - 3;

	if (n < 2 || !same(p->seg[0], "subscriptions"))
		return arm_refuse(&c->error, 404, "NotFound",
				  "Streams are of a subscription or of a resource in one.");
	st->sub = fold(c->a, p->seg[1]);
	st->scope = "";
	for (size_t i = 0; i < n; i++)
		st->scope = arena_printf(c->a, "%s/%s", st->scope, fold(c->a, p->seg[i]));
	st->type = NULL;
	if (n == 2)
		return 0;
	te = n == 8 && same(p->seg[2], "resourcegroups") && same(p->seg[4], "providers")
		     ? type_of_fold(c->en,
				    fold(c->a, arena_printf(c->a, "%s/%s", p->seg[5], p->seg[6])))
		     : NULL;
	if (!te)
		return arm_refuse(&c->error, 404, "NotFound",
				  "Streams are of a subscription or of a resource in one; what is "
				  "below a resource is in the resource's own.");
	st->type = arena_printf(c->a, "%s/%s", te->type->ns, te->type->name);
	return 0;
}

int
handle_stream(struct ctx *c, bool *ret_is_mine)
{
	const struct path *p = &c->path;
	int r;

	*ret_is_mine = p->n >= 3 && same(p->seg[p->n - 3], "providers") &&
		       same(p->seg[p->n - 2], STREAM_NS) && same(p->seg[p->n - 1], "stream");
	if (!*ret_is_mine)
		return 0;
	if (c->req->method != ARM_GET || !c->req->stream)
		return arm_refuse(&c->error, 405, "MethodNotAllowed", "A stream is read by GET.");
	r = scope_parse(c, c->req->stream);
	c->req->stream->caller = c->caller;
	return r < 0 ? r : reading(c, open_run);
}

/* --- what is new -------------------------------------------------------------------------------------- */

struct news {
	struct arm_engine *en;
	int64_t *seq;
	arm_stream_fn *fn;
	void *arg;
};

static void
news_each(const struct news *w, struct arm_snapshot *s, const struct store_stream_event *list,
	  size_t n)
{
	AUTO_BUF text = { 0 };
	struct map seen = { 0 };

	for (size_t i = 0; i < n; i++) {
		struct arm_stream_event ev = { list[i].seq, list[i].sub, list[i].target, NULL,
					       0,           s,           &seen };

		buf_reset(&text);
		event_put(w->en, &text, list[i].seq, list[i].kind, list[i].body);
		ev.text = buf_str(&text);
		ev.len = text.n;
		w->fn(w->arg, &ev);
		*w->seq = list[i].seq;
	}
	map_fini(&seen);
}

static int
news_run(struct store_tx *tx, void *arg, struct err *e)
{
	struct news *w = arg;
	AUTO_ARENA a = { 0 };
	struct arm_error ignored = { .arena = &a };
	struct store_stream_event *list;
	AUTO_OVERLAY o;
	struct arm_snapshot s;
	int64_t floor;
	size_t n = 0;
	int r;

	snapshot_init(&s, &o, w->en, tx, &a, NULL, &ignored, utc_now_us());
	if (*w->seq < 0)
		return store_stream_range(tx, &floor, w->seq, e);
	r = store_stream_since(tx, &a, NULL, NULL, *w->seq, NEWS, &list, &n, e);
	if (r == 0)
		news_each(w, &s, list, n);
	return r;
}

int
arm_stream_news(struct arm_engine *en, int64_t *seq, arm_stream_fn *fn, void *arg, struct err *e)
{
	struct news w = { en, seq, fn, arg };

	return store_read(en->cfg.store, news_run, &w, e);
}

bool
arm_stream_wants(const struct arm_stream *st, const struct arm_stream_event *ev)
{
	struct arm_snapshot s = *ev->s;

	if (ev->seq <= st->seq ||
	    strcmp(st->type ? ev->target : ev->sub, st->type ? st->scope : st->sub))
		return false;
	s.caller = &st->caller;
	return st->type || may_read(&s, ev->seen, st->scope, ev->target);
}

static int
check_run(struct ctx *c, struct arm_snapshot *s)
{
	return scope_authorise(c, s, (struct arm_stream *)c->extra);
}

int
arm_stream_check(struct arm_engine *en, struct arm_stream *st, const char *authorization,
		 struct err *e)
{
	static const struct arm_request none = { 0 };
	const struct arm_auth *auth = &en->cfg.auth;
	AUTO_ARENA a = { 0 };
	struct ctx *c = NEW(&a, struct ctx);
	int r;

	c->en = en;
	c->req = &none;
	c->a = &a;
	c->error = (struct arm_error){ .arena = &a };
	c->now_us = utc_now_us();
	c->extra = st;
	r = auth->authenticate(auth->ctx, &a, authorization, c->now_us, &c->caller, &c->error);
	if (r == 0)
		r = reading(c, check_run);
	if (r < 0 && c->error.status && c->error.status < 500)
		return 0;
	*e = c->err;
	return r < 0 ? r : 1;
}
