/* Open streams, with an engine and a library that are this file's. */
#include "../test.h"

#include "http/streams.h"

static struct {
	struct streams *all;
	int64_t newest;
	MHD_ContentReaderCallback read;
	void *reader;
	unsigned n_answered;
} world;

/* ---- the engine ---- */

static void
event(arm_stream_fn *fn, void *arg, int64_t seq)
{
	char text[32];
	struct arm_stream_event ev = { .seq = seq, .sub = "s", .target = "/subscriptions/s/r" };

	ev.len = (size_t)snprintf(text, sizeof(text), "event %lld\n", (long long)seq);
	ev.text = text;
	fn(arg, &ev);
}

int
arm_stream_news(struct arm_engine *en, int64_t *seq, arm_stream_fn *fn, void *arg, struct err *e)
{
	if (*seq < 0)
		*seq = world.newest;
	while (*seq < world.newest)
		event(fn, arg, ++*seq);
	return 0;
}

bool
arm_stream_wants(const struct arm_stream *st, const struct arm_stream_event *ev)
{
	return ev->seq > st->seq;
}

int
arm_stream_check(struct arm_engine *en, struct arm_stream *st, const char *authorization,
		 struct err *e)
{
	return 1;
}

void
arm_stream_heartbeat(struct arm_engine *en, int64_t seq, struct buf *out)
{
}

void
arm_stream_end(const char *reason, struct buf *out)
{
}

/* While one opens, something is committed, and handed out to all that are open. */
void
arm_handle(struct arm_engine *en, const struct arm_request *req, arm_done_fn *done, void *arg)
{
	struct arm_response resp = { .status = 200 };

	req->stream->seq = world.newest;
	req->stream->scope = req->stream->sub = "/subscriptions/s";
	req->stream->caller.oid = "somebody";
	req->stream->is_open = true;
	buf_printf(&req->stream->text, "snapshot %lld\n", (long long)world.newest);
	world.newest++;
	streams_tick(world.all);
	done(arg, &resp);
}

int(arm_refuse)(struct arm_error *e, int status, const char *code, const char *fmt, ...)
{
	return -EBADE;
}

json_t *
arm_error_body(const struct arm_error *e)
{
	return NULL;
}

void
arm_response_fini(struct arm_response *resp)
{
}

/* ---- the library ---- */

const union MHD_ConnectionInfo *
MHD_get_connection_info(struct MHD_Connection *conn, enum MHD_ConnectionInfoType what, ...)
{
	static const union MHD_ConnectionInfo none = { .connect_fd = -1 };

	return &none;
}

struct MHD_Response *
MHD_create_response_from_callback(uint64_t size, size_t block, MHD_ContentReaderCallback read,
				  void *arg, MHD_ContentReaderFreeCallback done)
{
	world.read = read;
	world.reader = arg;
	return NULL;
}

/* ---- */

static void
answered(void *arg, struct arm_response *resp)
{
	world.n_answered++;
}

static void
deadline(void *owner, int seconds)
{
}

static void
expect(struct stream *st, const char *want)
{
	char text[256];
	ssize_t n;

	(void)stream_response(st);
	n = world.read(world.reader, 0, text, sizeof(text) - 1);
	text[MAX(n, 0)] = 0;
	assert_string_equal(text, want);
}

/* Nobody waits for who opens one; and what was handed out meanwhile is not lost, nor told twice. */
static void
one_that_opens_holds_nobody_up_and_misses_nothing(void **state)
{
	const struct streams_config cfg = { .per_principal = 2,
					    .beat_ms = 1000000,
					    .deadline = deadline };
	struct arm_request first = { 0 }, second = { 0 };
	struct stream *a, *b;

	world.newest = 5;
	world.all = streams_create(&cfg);
	stream_open(world.all, &a, NULL, &first, NULL, NULL, answered, NULL);
	assert_true(stream_is_open(a));
	expect(a, "snapshot 5\nevent 6\n");
	stream_open(world.all, &b, NULL, &second, NULL, NULL, answered, NULL);
	assert_int_equal(world.n_answered, 2);
	expect(a, "event 7\n");
	world.newest++;
	streams_tick(world.all);
	expect(a, "event 8\n");
	expect(b, "snapshot 6\nevent 7\nevent 8\n");
	stream_close(a);
	stream_close(b);
	assert_int_equal(streams_count(world.all).n_bytes, 0);
	streams_destroy(world.all);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_that_opens_holds_nobody_up_and_misses_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
