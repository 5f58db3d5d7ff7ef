/* Event streams: what is told, to whom, and going on where one was. */
#include "rig.h"

#include "arm/stream.h"

#define STREAM "/providers/Wayleave.Events/stream"
#define SUB_STREAM "/subscriptions/" SUB STREAM

static int
stream_as(struct fixture *f, const char *who, struct arm_stream *st, const char *path,
	  const char *last)
{
	struct arm_request *req = NEW(&f->arena, struct arm_request);

	*st = (struct arm_stream){ .arena = &f->arena, .last_event_id = last };
	*req = (struct arm_request){
		.arena = &f->arena,
		.method = ARM_GET,
		.path = path,
		.query = "",
		.authorization = who,
		.stream = st,
	};
	arm_response_fini(&f->resp);
	f->resp = (struct arm_response){ 0 };
	arm_handle(f->en, req, done, f);
	return f->resp.status;
}

static bool
has(struct arm_stream *st, const char *what)
{
	return strstr(buf_str(&st->text), what) != NULL;
}

struct heard {
	const struct arm_stream *st;
	struct buf text;
	size_t n;
};

static void
hear(void *arg, const struct arm_stream_event *ev)
{
	struct heard *h = arg;

	if (!arm_stream_wants(h->st, ev))
		return;
	buf_put(&h->text, ev->text, ev->len);
	h->n++;
}

/* The id of the last event in a text. */
static const char *
last_id(struct fixture *f, const char *text)
{
	const char *at = text, *id = NULL;

	while ((at = strstr(at, "id: ")) != NULL) {
		at += 4;
		id = arena_strndup(&f->arena, at, strcspn(at, "\n"));
	}
	return id;
}

static void
a_stream_begins_with_a_snapshot_and_goes_on(void **state)
{
	struct fixture *f = *state;
	struct arm_stream st;
	struct heard h = { .st = &st };
	int64_t seq = -1;

	group(f);
	box(f, "b1", LEN);
	assert_int_equal(arm_stream_news(f->en, &seq, hear, &h, NULL), 0);
	assert_int_equal(stream_as(f, "w", &st, BOX "B1" STREAM, NULL), 200);
	assert_true(has(&st, "event: snapshot\n"));
	assert_true(has(&st, "\"provisioningState\":\"Succeeded\""));
	assert_false(has(&st, "k1")); /* no secrets */
	box(f, "b2", LEN);
	assert_int_equal(ask(f, ARM_PATCH, BOX "b1", "{\"tags\":{\"a\":\"b\"}}"), 200);
	assert_int_equal(ask(f, ARM_DELETE, BOX "b1", NULL), 202);
	assert_int_equal(arm_stream_news(f->en, &seq, hear, &h, NULL), 0);
	/* of b1 only: changed, its operation; deleted, its operation */
	assert_int_equal(h.n, 4);
	assert_non_null(strstr(buf_str(&h.text), "event: operation\n"));
	assert_non_null(strstr(buf_str(&h.text), "\"provisioningState\":\"Deleted\""));
	assert_null(strstr(buf_str(&h.text), "boxes/b2"));
	assert_int_equal(seq > st.seq, true);
	buf_fini(&h.text);
	buf_fini(&st.text);
}

static void
a_client_goes_on_where_it_was(void **state)
{
	struct fixture *f = *state;
	struct arm_stream st;
	const char *was;

	group(f);
	assert_int_equal(stream_as(f, "w", &st, SUB_STREAM, NULL), 200);
	was = last_id(f, buf_str(&st.text));
	buf_fini(&st.text);
	box(f, "b1", LEN);
	assert_int_equal(stream_as(f, "w", &st, SUB_STREAM, was), 200);
	assert_false(has(&st, "event: snapshot"));
	assert_false(has(&st, "event: gap"));
	assert_true(has(&st, "event: resource\n"));
	assert_true(has(&st, "boxes/b1"));
	was = last_id(f, buf_str(&st.text));
	buf_fini(&st.text);
	/* nothing since: only the cursor */
	assert_int_equal(stream_as(f, "w", &st, SUB_STREAM, was), 200);
	assert_false(has(&st, "event:"));
	assert_string_equal(last_id(f, buf_str(&st.text)), was);
	buf_fini(&st.text);
	/* another epoch, or nonsense: a gap, and all anew */
	assert_int_equal(stream_as(f, "w", &st, SUB_STREAM, "0123.4"), 200);
	assert_true(has(&st, "event: gap\n"));
	assert_true(has(&st, "event: snapshot\n"));
	buf_fini(&st.text);
}

static int
forget(struct store_tx *tx, void *arg, struct err *e)
{
	return store_stream_prune(tx, INT64_MAX, e);
}

static void
what_is_forgotten_is_a_gap(void **state)
{
	struct fixture *f = *state;
	struct arm_stream st;
	const char *was;

	assert_int_equal(stream_as(f, "w", &st, SUB_STREAM, NULL), 200);
	was = last_id(f, buf_str(&st.text));
	buf_fini(&st.text);
	group(f);
	assert_int_equal(store_write(f->s, forget, NULL, NULL), 0);
	assert_int_equal(stream_as(f, "w", &st, SUB_STREAM, was), 200);
	assert_true(has(&st, "event: gap\n"));
	was = last_id(f, buf_str(&st.text));
	buf_fini(&st.text);
	/* who stands at the end has missed nothing, though nothing is kept */
	assert_int_equal(stream_as(f, "w", &st, SUB_STREAM, was), 200);
	assert_false(has(&st, "event:"));
	buf_fini(&st.text);
}

static void
streams_are_for_who_may_read(void **state)
{
	struct fixture *f = *state;
	struct arm_stream st;
	struct err e = { 0 };

	group(f);
	box(f, "b1", LEN);
	assert_int_equal(stream_as(f, NULL, &st, SUB_STREAM, NULL), 401);
	assert_int_equal(stream_as(f, "n", &st, SUB_STREAM, NULL), 404);
	assert_int_equal(stream_as(f, "n", &st, BOX "b1" STREAM, NULL), 404);
	assert_int_equal(stream_as(f, "x", &st, BOX "b1" STREAM, NULL), 403);
	assert_int_equal(stream_as(f, "r", &st, BOX "none" STREAM, NULL), 404);
	assert_int_equal(stream_as(f, "r", &st, BOX "b1/lids/l1" STREAM, NULL), 404);
	assert_int_equal(stream_as(f, "r", &st, G STREAM, NULL), 404);
	assert_false(st.is_open);
	/* one who sees the subscription, but may read nothing there, hears nothing */
	assert_int_equal(stream_as(f, "x", &st, SUB_STREAM, NULL), 200);
	assert_true(has(&st, "\"resources\":[]"));
	assert_int_equal(arm_stream_check(f->en, &st, "x", &e), 1);
	assert_int_equal(arm_stream_check(f->en, &st, NULL, &e), 0);
	buf_fini(&st.text);
	assert_int_equal(stream_as(f, "r", &st, BOX "b1" STREAM, NULL), 200);
	assert_int_equal(arm_stream_check(f->en, &st, "r", &e), 1);
	assert_int_equal(arm_stream_check(f->en, &st, "x", &e), 0); /* his role was taken away */
	buf_fini(&st.text);
	/* not a request like others */
	assert_int_equal(ask(f, ARM_GET, SUB_STREAM, NULL), 405);
	assert_int_equal(store_scanned_rows(f->s), 0);
}

/* What a GET refuses is in no stream: the right to read streams is not one to read what they tell. */
static void
a_stream_shows_what_a_get_would(void **state)
{
	struct fixture *f = *state;
	struct arm_stream st;
	struct heard h = { .st = &st };
	const char *was;
	int64_t seq = -1;

	group(f);
	assert_int_equal(stream_as(f, "h", &st, SUB_STREAM, NULL), 200);
	was = last_id(f, buf_str(&st.text));
	buf_fini(&st.text);
	box(f, "b1", LEN);
	assert_int_equal(ask(f, ARM_PUT, SHELF "s1", "{\"location\":\"westeurope\"}"), 201);
	assert_int_equal(ask_as(f, (struct ask){ .who = "h" }, ARM_GET, BOX "b1", NULL), 403);
	assert_int_equal(stream_as(f, "h", &st, SUB_STREAM, was), 200);
	assert_true(has(&st, "shelves/s1"));
	assert_false(has(&st, "boxes/b1"));
	buf_fini(&st.text);
	assert_int_equal(stream_as(f, "h", &st, SUB_STREAM, NULL), 200);
	assert_true(has(&st, "shelves/s1"));
	assert_false(has(&st, "boxes/b1"));
	assert_int_equal(arm_stream_news(f->en, &seq, hear, &h, NULL), 0);
	assert_int_equal(ask(f, ARM_PATCH, BOX "b1", "{\"tags\":{\"a\":\"b\"}}"), 200);
	assert_int_equal(ask(f, ARM_PATCH, SHELF "s1", "{\"tags\":{\"a\":\"b\"}}"), 200);
	assert_int_equal(arm_stream_news(f->en, &seq, hear, &h, NULL), 0);
	assert_true(h.n > 0);
	assert_null(strstr(buf_str(&h.text), "boxes/b1"));
	assert_non_null(strstr(buf_str(&h.text), "shelves/s1"));
	buf_fini(&h.text);
	buf_fini(&st.text);
}

static void
operations_that_wait_are_told_when_they_settle(void **state)
{
	struct fixture *f = *state;
	struct arm_stream st;
	struct heard h = { .st = &st };
	json_t *poll, *report;
	bool is_news;
	int64_t seq = -1;

	group(f);
	assert_int_equal(arm_agent_poll(f->en, "node-1", "", &poll, &is_news, NULL), 0);
	json_decref(poll);
	box(f, "b1", LEN);
	assert_int_equal(stream_as(f, "w", &st, BOX "b1" STREAM, NULL), 200);
	assert_true(has(&st, "\"provisioningState\":\"Updating\""));
	assert_int_equal(arm_stream_news(f->en, &seq, hear, &h, NULL), 0);
	assert_int_equal(arm_agent_poll(f->en, "node-1", "", &poll, &is_news, NULL), 0);
	report = json_pack("{s:O}", "applied", json_object_get(poll, "cursor"));
	assert_int_equal(arm_agent_report(f->en, "node-1", report, NULL), 0);
	json_decref(report);
	json_decref(poll);
	assert_int_equal(arm_stream_news(f->en, &seq, hear, &h, NULL), 0);
	assert_int_equal(h.n, 2);
	assert_non_null(strstr(buf_str(&h.text), "\"provisioningState\":\"Succeeded\""));
	assert_non_null(strstr(buf_str(&h.text), "\"status\":\"Succeeded\""));
	buf_fini(&h.text);
	buf_fini(&st.text);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
		CASE(a_stream_begins_with_a_snapshot_and_goes_on),
		CASE(a_client_goes_on_where_it_was),
		CASE(what_is_forgotten_is_a_gap),
		CASE(streams_are_for_who_may_read),
		CASE(a_stream_shows_what_a_get_would),
		CASE(operations_that_wait_are_told_when_they_settle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
