/* The engine through its front door, with the example provider: requests in, answers out. */
#include "rig.h"

/* --- cases --------------------------------------------------------------------------------------------- */

static void
a_put_creates_then_replaces(void **state)
{
	struct fixture *f = *state;
	const char *etag;

	group(f);
	box(f, "b1", LEN);
	assert_string_equal(text(f, "properties.provisioningState"), "Succeeded");
	assert_int_equal(arm_int(f->resp.body, "properties.number", 0), 1);
	assert_int_equal(arm_int(f->resp.body, "properties.nLids", 0), 1);
	assert_string_equal(text(f, "type"), "Example.Things/boxes");
	assert_true(!strncmp(header(f, "Azure-AsyncOperation"), "https://h/subscriptions/", 24));
	etag = arena_strdup(&f->arena, text(f, "etag"));
	/* absent: colour back to its default; size, key, lids and number kept */
	assert_int_equal(
		ask(f, ARM_PUT, BOX "B1", "{\"location\":\"westeurope\",\"properties\":{}}"), 200);
	assert_string_not_equal(text(f, "etag"), etag);
	assert_string_equal(text(f, "name"), "b1"); /* spelled as created */
	assert_string_equal(text(f, "properties.colour"), "Red");
	assert_int_equal(arm_int(f->resp.body, "properties.size.width", 0), 5);
	assert_int_equal(arm_int(f->resp.body, "properties.number", 0), 1);
	assert_int_equal(arm_int(f->resp.body, "properties.nLids", 0), 1);
	assert_string_equal(text(f, "properties.key"), "k1");
}

static void
paths_are_forgiving(void **state)
{
	struct fixture *f = *state;

	group(f);
	box(f, "b1", LEN);
	assert_int_equal(ask(f, ARM_GET,
			     "//SUBSCRIPTIONS/" SUB
			     "/resourcegroups/G1/providers/example.things//BOXES/%621/LIDS/L1/",
			     NULL),
			 200);
	assert_string_equal(text(f, "name"), "l1");
	assert_int_equal(ask(f, ARM_GET, BOX "%zz", NULL), 400);
	assert_int_equal(ask(f, ARM_GET, BOX "a%2fb", NULL), 400);
	assert_int_equal(ask(f, ARM_GET, BOX "%c3%28", NULL), 400);
}

static void
secrets_are_seen_by_writers_only(void **state)
{
	struct fixture *f = *state;

	group(f);
	box(f, "b1", LEN);
	assert_int_equal(ask(f, ARM_GET, BOX "b1", NULL), 200);
	assert_string_equal(text(f, "properties.key"), "k1");
	assert_int_equal(ask_as(f, (struct ask){ .who = "r" }, ARM_GET, BOX "b1", NULL), 200);
	assert_null(arm_at(f->resp.body, "properties.key"));
	assert_int_equal(ask(f, ARM_GET, BOX "b1/lids/l1", NULL), 200);
	assert_null(arm_at(f->resp.body, "properties.code"));
	/* "" clears */
	assert_int_equal(ask(f, ARM_PUT, BOX "b1", "{\"properties\":{\"key\":\"\"}}"), 200);
	assert_null(arm_at(f->resp.body, "properties.key"));
}

static void
access_is_decided_before_existence(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(ask_as(f, (struct ask){ 0 }, ARM_GET, "/nothing/here", NULL), 401);
	assert_non_null(strstr(header(f, "WWW-Authenticate"), "invalid_token"));
	group(f);
	assert_int_equal(ask_as(f, (struct ask){ .who = "n" }, ARM_GET, BOX "b1", NULL), 404);
	assert_string_equal(code(f), "SubscriptionNotFound");
	assert_int_equal(ask_as(f, (struct ask){ .who = "r" }, ARM_DELETE, BOX "none", NULL), 403);
	assert_string_equal(code(f), "AuthorizationFailed");
	assert_non_null(strstr(text(f, "error.message"), "Example.Things/boxes/delete"));
	assert_int_equal(ask_as(f, (struct ask){ .who = "r" }, ARM_GET, BOX "none", NULL), 404);
	assert_string_equal(code(f), "ResourceNotFound");
}

static void
versions_are_dates(void **state)
{
	static const struct {
		const char *query, *code;
	} cases[] = {
		{ "", "MissingApiVersionParameter" },
		{ "api-version=latest", "InvalidApiVersionParameter" },
		{ "api-version=2020-02-30", "InvalidApiVersionParameter" },
		{ "api-version=2999-01-01", "InvalidApiVersionParameter" },
		{ "api-version=2020-01-01-beta", "InvalidApiVersionParameter" },
		{ "api-version=2014-12-31", "NoRegisteredProviderFound" },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_int_equal(ask_as(f, (struct ask){ .who = "w", .query = cases[i].query },
					ARM_GET, BOX "b", NULL),
				 400);
		assert_string_equal(code(f), cases[i].code);
	}
	assert_int_equal(
		ask_as(f, (struct ask){ .who = "w", .query = "API-Version=2020-01-01-preview" },
		       ARM_GET, BOX "b", NULL),
		404);
}

static void
wrong_values_are_named(void **state)
{
	static const struct {
		const char *body, *code, *target;
	} cases[] = {
		{ "{", "InvalidRequestContent", NULL },
		{ "[]", "InvalidRequestContent", NULL },
		{ "{\"a\":1,\"a\":2}", "InvalidRequestContent", NULL },
		{ "{\"location\":\"\xff\"}", "InvalidRequestContent", NULL },
		{ "{\"properties\":{}}", "LocationRequired", "location" },
		{ "{\"location\":7}", "InvalidRequestFormat", "location" },
		{ "{\"location\":\"x\",\"properties\":[]}", "InvalidRequestFormat", "properties" },
		{ "{\"location\":\"x\",\"properties\":{\"colour\":\"blue\"}}",
		  "InvalidRequestFormat", "properties.colour" },
		{ "{\"location\":\"x\",\"properties\":{\"label\":\"much too long\"}}",
		  "InvalidParameter", "properties.label" },
		{ "{\"location\":\"x\",\"properties\":{\"size\":{\"width\":1.5}}}",
		  "InvalidRequestFormat", "properties.size.width" },
		{ "{\"location\":\"x\",\"properties\":{\"size\":{\"width\":0}}}",
		  "InvalidParameter", "properties.size.width" },
		{ "{\"location\":\"x\",\"properties\":{\"size\":{}}}", "MissingRequiredProperty",
		  "properties.size.width" },
		{ "{\"location\":\"x\",\"properties\":{\"shelf\":{}}}", "MissingJsonReferenceId",
		  "properties.shelf" },
		{ "{\"location\":\"x\",\"properties\":{\"shelf\":{\"id\":\"/a/b/c/d\"}}}",
		  "InvalidJsonReferenceFormat", "properties.shelf" },
		{ "{\"location\":\"x\",\"properties\":{\"shelf\":{\"id\":\"" SHELF "no\"}}}",
		  "InvalidResourceReference", "properties.shelf" },
		{ "{\"location\":\"x\",\"properties\":{\"lids\":[{\"name\":\"a\",\"properties\":{\"weight\":1}},"
		  "{\"name\":\"A\",\"properties\":{\"weight\":1}}]}}",
		  "DuplicateResourceName", "properties.lids[1]" },
		{ "{\"location\":\"x\",\"properties\":{\"lids\":[{\"name\":\"-\"}]}}",
		  "InvalidResourceName", "properties.lids[0]" },
		{ "{\"location\":\"x\",\"properties\":{\"isSmall\":true,\"lids\":[{\"name\":\"a\","
		  "\"properties\":{\"weight\":60}}]}}",
		  "LidTooHeavy", "properties.weight" },
		{ "{\"location\":\"x\",\"tags\":{\"a\":1}}", "InvalidTags", "tags" },
	};
	struct fixture *f = *state;

	group(f);
	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_int_equal(ask(f, ARM_PUT, BOX "b1", cases[i].body), 400);
		if (strcmp(code(f), cases[i].code))
			fail_msg("%s: %s", cases[i].body, code(f));
		if (cases[i].target)
			assert_string_equal(text(f, "error.target"), cases[i].target);
		assert_true(*text(f, "error.message"));
	}
	assert_int_equal(ask(f, ARM_GET, BOX "b1", NULL), 404); /* and nothing was made */
}

static void
deep_bodies_are_refused(void **state)
{
	struct fixture *f = *state;
	AUTO_FREE char *deep = mem_alloc(200001);

	memset(deep, '[', 200000);
	assert_int_equal(ask(f, ARM_PUT, BOX "b1", deep), 400);
	assert_string_equal(code(f), "InvalidRequestContent");
}

static void
if_match_is_honoured(void **state)
{
	struct fixture *f = *state;
	struct ask old = { .who = "w" }, none = { .who = "w", .if_match = "*" };

	group(f);
	assert_int_equal(ask_as(f, none, ARM_PUT, BOX "b1", "{\"location\":\"x\"}"), 412);
	box(f, "b1", LEN);
	old.if_match = arena_strdup(&f->arena, header(f, "ETag"));
	assert_int_equal(
		ask_as(f, old, ARM_PUT, BOX "b1/lids/l2", "{\"properties\":{\"weight\":1}}"), 412);
	assert_int_equal(ask_as(f, old, ARM_PUT, BOX "b1", "{\"properties\":{}}"), 200);
	assert_int_equal(ask_as(f, old, ARM_PUT, BOX "b1", "{\"properties\":{}}"), 412);
	assert_string_equal(code(f), "PreconditionFailed");
	assert_int_equal(ask_as(f, old, ARM_DELETE, BOX "b1", NULL), 412);
	assert_int_equal(ask_as(f, none, ARM_DELETE, BOX "b1", NULL), 202);
}

static void
children_live_in_their_parent(void **state)
{
	struct fixture *f = *state;

	group(f);
	assert_int_equal(ask(f, ARM_PUT, BOX "b1/lids/l1", "{\"properties\":{\"weight\":1}}"), 404);
	assert_string_equal(code(f), "ParentResourceNotFound");
	box(f, "b1", LEN);
	assert_int_equal(ask(f, ARM_PUT, BOX "b1/lids/l2", "{\"properties\":{\"weight\":1}}"), 201);
	assert_int_equal(ask(f, ARM_PUT, BOX "b1/lids/L2", "{\"properties\":{\"weight\":2}}"), 200);
	assert_string_equal(text(f, "name"), "l2");
	assert_int_equal(ask(f, ARM_GET, BOX "b1/lids", NULL), 200);
	assert_int_equal(json_array_size(arm_at(f->resp.body, "value")), 2);
	/* an inline array adds and changes, never removes */
	assert_int_equal(ask(f, ARM_PUT, BOX "b1", "{\"properties\":{\"lids\":[]}}"), 200);
	assert_int_equal(arm_int(f->resp.body, "properties.nLids", 0), 2);
	assert_int_equal(ask(f, ARM_DELETE, BOX "b1/lids/l1", NULL), 202);
	assert_int_equal(ask(f, ARM_DELETE, BOX "b1/lids/l1", NULL), 204);
	assert_int_equal(ask(f, ARM_GET, BOX "b1/lids/l1", NULL), 404);
	assert_int_equal(ask(f, ARM_GET, BOX "b1/count", NULL), 200);
	assert_int_equal(arm_int(f->resp.body, "lids", 0), 1);
}

static void
what_is_referred_to_stays(void **state)
{
	struct fixture *f = *state;
	const json_t *detail, *call;

	group(f);
	assert_int_equal(ask(f, ARM_PUT, SHELF "s1", "{\"location\":\"x\"}"), 201);
	assert_int_equal(ask_as(f, (struct ask){ .who = "j" }, ARM_PUT, BOX "b1",
				"{\"location\":\"x\",\"properties\":{\"shelf\":{\"id\":\"" SHELF
				"s1\"}}}"),
			 403);
	assert_string_equal(code(f), "LinkedAuthorizationFailed");
	box(f, "b1", "{\"shelf\":{\"id\":\"" SHELF "S1\",\"extra\":1}}");
	assert_int_equal(ask(f, ARM_DELETE, SHELF "s1", NULL), 400);
	assert_string_equal(code(f), "ShelfInUse");
	detail = json_array_get(arm_at(f->resp.body, "error.details"), 0);
	assert_non_null(strstr(arm_str(detail, "message", ""), "First: PUT " BOX "b1"));
	call = arm_at(json_array_get(json_object_get(detail, "additionalInfo"), 0), "info");
	assert_string_equal(arm_str(call, "method", ""), "PUT");
	assert_string_equal(arm_str(call, "url", ""), "https://h" BOX "b1?api-version=2024-05-01");
	assert_true(json_is_null(arm_at(call, "body.properties.shelf")));
	assert_null(arm_at(call, "body.properties.number")); /* read-only */
	assert_int_equal(ask(f, ARM_DELETE, BOX "b1", NULL), 202);
	assert_int_equal(ask(f, ARM_DELETE, SHELF "s1", NULL), 202);
	assert_int_equal(ask(f, ARM_DELETE, SHELF "s1", NULL), 204);
}

static void
a_refused_plan_leaves_nothing(void **state)
{
	struct fixture *f = *state;

	group(f);
	box(f, "b1", LEN);
	assert_int_equal(ask(f, ARM_PUT, BOX "b1", "{\"properties\":{\"size\":{\"width\":4}}}"),
			 400);
	assert_string_equal(code(f), "BoxCannotShrink");
	assert_int_equal(ask(f, ARM_PUT, BOX "b1",
			     "{\"properties\":{\"size\":{\"width\":6,\"unit\":\"cm\"}}}"),
			 400);
	assert_string_equal(code(f), "PropertyChangeNotAllowed");
	box(f, "b2", "{}");
	box(f, "b3", "{}");
	assert_int_equal(ask(f, ARM_PUT, BOX "b4", "{\"location\":\"x\"}"), 409);
	assert_string_equal(code(f), "NoNumberLeft");
	assert_int_equal(ask(f, ARM_DELETE, BOX "b2", NULL), 202); /* its number comes back */
	box(f, "b4", "{}");
	assert_int_equal(arm_int(f->resp.body, "properties.number", 0), 2);
}

static void
lists_are_paged(void **state)
{
	struct fixture *f = *state;
	struct ask one = { .who = "r", .query = "api-version=2020-01-01&%24top=1" };
	size_t n = 0;

	group(f);
	box(f, "b1", "{}");
	box(f, "b2", "{}");
	for (;;) {
		const char *next, *q;

		assert_int_equal(ask_as(f, one, ARM_GET,
					"/subscriptions/" SUB "/providers/Example.Things/boxes",
					NULL),
				 200);
		n += json_array_size(arm_at(f->resp.body, "value"));
		next = text(f, "nextLink");
		q = strchr(next, '?');
		if (!q)
			break;
		one.query = arena_strdup(&f->arena, q + 1);
	}
	assert_int_equal(n, 2);
	assert_int_equal(ask(f, ARM_GET, "/subscriptions/" SUB "/resources", NULL), 200);
	assert_int_equal(json_array_size(arm_at(f->resp.body, "value")), 2);
	assert_int_equal(store_scanned_rows(f->s), 0);
}

static void
tags_are_patched(void **state)
{
	struct fixture *f = *state;

	group(f);
	box(f, "b1", LEN);
	assert_int_equal(ask(f, ARM_PATCH, BOX "b1", "{\"tags\":{\"a\":\"b\"}}"), 200);
	assert_string_equal(text(f, "tags.a"), "b");
	assert_string_equal(text(f, "properties.key"), "k1");
	assert_int_equal(ask(f, ARM_PATCH, BOX "b1", "{}"), 400);
}

/* --- nodes ------------------------------------------------------------------------------------------------ */

static const char *
poll(struct fixture *f, const char *cursor, json_t **ret)
{
	bool news;

	assert_int_equal(arm_agent_poll(f->en, "node-1", cursor, ret, &news, NULL), 0);
	return arena_strdup(&f->arena, arm_str(*ret, "cursor", ""));
}

static void
report(struct fixture *f, const char *cursor)
{
	json_t *j = json_pack("{s:s}", "applied", cursor);

	assert_int_equal(arm_agent_report(f->en, "node-1", j, NULL), 0);
	json_decref(j);
}

static void
an_operation_waits_for_live_nodes_and_survives_a_restart(void **state)
{
	struct fixture *f = *state;
	const char *cursor, *op;
	json_t *j;

	group(f);
	cursor = poll(f, "", &j); /* now it is live */
	assert_true(arm_bool(j, "snapshot", false));
	json_decref(j);
	box(f, "b1", LEN);
	assert_string_equal(f->woken, "node-1");
	assert_string_equal(text(f, "properties.provisioningState"), "Updating");
	op = arena_strdup(&f->arena, header(f, "Azure-AsyncOperation") + strlen("https://h"));
	op = arena_strndup(&f->arena, op, strcspn(op, "?"));
	assert_int_equal(ask(f, ARM_GET, op, NULL), 200);
	assert_string_equal(text(f, "status"), "InProgress");
	assert_int_equal(ask_as(f, (struct ask){ .who = "n" }, ARM_GET, op, NULL), 404);
	stop(f);
	start(f);
	cursor = poll(f, cursor, &j);
	assert_false(arm_bool(j, "snapshot", true));
	assert_string_equal(arm_str(json_array_get(arm_at(j, "objects"), 0), "body.key", ""), "k1");
	json_decref(j);
	report(f, cursor);
	assert_int_equal(ask(f, ARM_GET, op, NULL), 200);
	assert_string_equal(text(f, "status"), "Succeeded");
	assert_int_equal(ask(f, ARM_GET, BOX "b1", NULL), 200);
	assert_string_equal(text(f, "properties.provisioningState"), "Succeeded");

	/* a deletion keeps its row and its number until the node has confirmed */
	assert_int_equal(ask(f, ARM_DELETE, BOX "b1", NULL), 202);
	op = arena_strdup(&f->arena, header(f, "Location") + strlen("https://h"));
	op = arena_strndup(&f->arena, op, strcspn(op, "?"));
	assert_int_equal(ask(f, ARM_GET, op, NULL), 202);
	assert_int_equal(ask(f, ARM_GET, BOX "b1", NULL), 200);
	assert_string_equal(text(f, "properties.provisioningState"), "Deleting");
	assert_int_equal(ask(f, ARM_PUT, BOX "b1", "{\"properties\":{}}"), 409);
	cursor = poll(f, cursor, &j);
	assert_true(arm_bool(json_array_get(arm_at(j, "objects"), 0), "deleted", false));
	json_decref(j);
	report(f, cursor);
	assert_int_equal(ask(f, ARM_GET, op, NULL), 204);
	assert_int_equal(ask(f, ARM_GET, BOX "b1", NULL), 404);
}

/* Three boxes at most: the fourth shows whether a number was given back. */
static void
a_deletion_at_its_deadline_keeps_its_claims(void **state)
{
	struct fixture *f = *state;
	const char *cursor, *op;
	json_t *j;

	stop(f);
	f->converge_ms = 1;
	start(f);
	group(f);
	box(f, "b1", LEN);
	box(f, "b2", "{}");
	box(f, "b3", "{}");
	cursor = poll(f, "", &j); /* live from here on, and silent */
	json_decref(j);
	assert_int_equal(ask(f, ARM_DELETE, BOX "b1", NULL), 202);
	op = arena_strdup(&f->arena, header(f, "Location") + strlen("https://h"));
	op = arena_strndup(&f->arena, op, strcspn(op, "?"));
	do {
		arm_tick(f->en);
	} while (ask(f, ARM_GET, op, NULL) == 202);
	assert_int_equal(f->resp.status, 204);
	/* nobody sees it, nobody gets what it had */
	assert_int_equal(ask(f, ARM_GET, BOX "b1", NULL), 404);
	assert_int_equal(ask(f, ARM_DELETE, BOX "b1", NULL), 204);
	assert_int_equal(ask(f, ARM_PATCH, BOX "b1", "{\"tags\":{\"a\":\"b\"}}"), 404);
	assert_int_equal(ask(f, ARM_GET, G "/providers/Example.Things/boxes", NULL), 200);
	assert_int_equal(json_array_size(arm_at(f->resp.body, "value")), 2);
	assert_int_equal(ask(f, ARM_PUT, BOX "b4", "{\"location\":\"x\"}"), 409);
	assert_string_equal(code(f), "NoNumberLeft");
	stop(f);
	start(f); /* also after a restart */
	arm_tick(f->en);
	assert_int_equal(ask(f, ARM_PUT, BOX "b4", "{\"location\":\"x\"}"), 409);
	cursor = poll(f, cursor, &j);
	json_decref(j);
	report(f, cursor);
	box(f, "b4", "{}");
	assert_int_equal(arm_int(f->resp.body, "properties.number", 0), 1);
}

static void
the_name_of_what_lingers_is_not_free(void **state)
{
	struct fixture *f = *state;
	json_t *j;

	stop(f);
	f->converge_ms = 1;
	f->live_ms = 300;
	start(f);
	group(f);
	box(f, "b1", LEN);
	poll(f, "", &j);
	json_decref(j);
	assert_int_equal(ask(f, ARM_DELETE, BOX "b1", NULL), 202);
	do {
		arm_tick(f->en);
	} while (ask(f, ARM_GET, BOX "b1", NULL) == 200);
	assert_int_equal(ask(f, ARM_PUT, BOX "b1", "{\"location\":\"x\"}"), 409);
	assert_string_equal(code(f), "AnotherOperationInProgress");
	/* a node that is not live any more must reconcile before it forwards: nobody waits for it */
	do {
		arm_tick(f->en);
	} while (ask(f, ARM_PUT, BOX "b1", "{\"location\":\"x\"}") == 409);
	assert_int_equal(f->resp.status, 201);
}

static void
a_question_goes_to_the_node_and_back(void **state)
{
	struct fixture *f = *state;
	const char *cursor, *op;
	json_t *j, *answer;
	bool news;

	group(f);
	cursor = poll(f, "", &j);
	json_decref(j);
	box(f, "b1", "{}");
	assert_int_equal(ask(f, ARM_POST, BOX "b1/weigh", NULL), 202);
	op = arena_strdup(&f->arena, header(f, "Location") + strlen("https://h"));
	op = arena_strndup(&f->arena, op, strcspn(op, "?"));
	assert_int_equal(ask(f, ARM_GET, op, NULL), 202);
	assert_int_equal(arm_agent_poll(f->en, "node-1", cursor, &j, &news, NULL), 0);
	assert_true(news);
	answer = json_pack("{s:s, s:s, s:[i]}", "id",
			   arm_str(json_array_get(arm_at(j, "queries"), 0), "id", ""), "status",
			   "ok", "result", 42);
	json_decref(j);
	assert_int_equal(arm_agent_answer(f->en, "other", answer, NULL), 0); /* not theirs */
	assert_int_equal(ask(f, ARM_GET, op, NULL), 202);
	assert_int_equal(arm_agent_answer(f->en, "node-1", answer, NULL), 0);
	json_decref(answer);
	assert_int_equal(ask(f, ARM_GET, op, NULL), 200);
	assert_int_equal(json_integer_value(json_array_get(arm_at(f->resp.body, "value"), 0)), 42);
}

static void
one_caller_does_not_take_all_questions(void **state)
{
	struct fixture *f = *state;
	json_t *j;

	group(f);
	poll(f, "", &j);
	json_decref(j);
	box(f, "b1", "{}");
	for (int i = 0; i < 16; i++)
		assert_int_equal(ask(f, ARM_POST, BOX "b1/weigh", NULL), 202);
	assert_int_equal(ask(f, ARM_POST, BOX "b1/weigh", NULL), 429);
	assert_string_equal(code(f), "TooManyRequests");
	assert_string_equal(header(f, "Retry-After"), "5");
	/* others still may */
	assert_int_equal(ask_as(f, (struct ask){ .who = "j" }, ARM_POST, BOX "b1/weigh", NULL),
			 202);
}

static void
a_full_compile_equals_what_is_stored(void **state)
{
	struct fixture *f = *state;
	size_t n = 1;

	group(f);
	box(f, "b1", LEN);
	box(f, "b2", "{}");
	assert_int_equal(ask(f, ARM_PUT, BOX "b1", "{\"properties\":{\"colour\":\"green\"}}"), 200);
	assert_int_equal(arm_recompile_all(f->en, true, &n, NULL), 0);
	assert_int_equal(n, 0);
}

static void
a_group_goes_with_all_that_is_in_it(void **state)
{
	struct fixture *f = *state;

	group(f);
	assert_int_equal(ask(f, ARM_PUT, SHELF "s1", "{\"location\":\"x\"}"), 201);
	box(f, "b1", "{\"shelf\":{\"id\":\"" SHELF "s1\"}}");
	assert_int_equal(ask(f, ARM_HEAD, G, NULL), 204);
	assert_int_equal(ask(f, ARM_DELETE, G, NULL), 202);
	assert_true(*header(f, "Location"));
	assert_int_equal(ask(f, ARM_HEAD, G, NULL), 404);
	assert_int_equal(ask(f, ARM_GET, SHELF "s1", NULL), 404);
	assert_string_equal(code(f), "ResourceGroupNotFound");
	assert_int_equal(ask(f, ARM_DELETE, G, NULL), 404);
}

int
main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(a_put_creates_then_replaces),
		CASE(paths_are_forgiving),
		CASE(secrets_are_seen_by_writers_only),
		CASE(access_is_decided_before_existence),
		CASE(versions_are_dates),
		CASE(wrong_values_are_named),
		CASE(deep_bodies_are_refused),
		CASE(if_match_is_honoured),
		CASE(children_live_in_their_parent),
		CASE(what_is_referred_to_stays),
		CASE(a_refused_plan_leaves_nothing),
		CASE(lists_are_paged),
		CASE(tags_are_patched),
		CASE(an_operation_waits_for_live_nodes_and_survives_a_restart),
		CASE(a_deletion_at_its_deadline_keeps_its_claims),
		CASE(the_name_of_what_lingers_is_not_free),
		CASE(a_question_goes_to_the_node_and_back),
		CASE(one_caller_does_not_take_all_questions),
		CASE(a_full_compile_equals_what_is_stored),
		CASE(a_group_goes_with_all_that_is_in_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
