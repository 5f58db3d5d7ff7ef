/* The engine through its front door, with the example provider: requests in, answers out. */
#include "../test.h"
#include "example.h"

#include "arm/engine.h"
#include "base/mem.h"

#define SUB "11111111-1111-1111-1111-111111111111"
#define G "/subscriptions/" SUB "/resourceGroups/g1"
#define BOX G "/providers/Example.Things/boxes/"
#define SHELF G "/providers/Example.Things/shelves/"

struct fixture {
	char dir[64], db[96], key[96];
	struct store *s;
	struct arm_engine *en;
	struct arena arena;
	struct arm_response resp;
	bool is_done;
	char woken[64];
	int converge_ms, live_ms;
};

/* "w": may everything; "r": may read; "n": sees nothing. */
static int
authenticate(void *ctx, struct arena *a, const char *authorization, int64_t now_us,
	     struct arm_caller *ret, struct arm_error *e)
{
	if (!authorization)
		return arm_refuse(e, 401, "AuthenticationFailed", "No token.");
	*ret = (struct arm_caller){ authorization, authorization, "t", authorization };
	return 0;
}

static bool
may(void *ctx, struct store_tx *tx, struct arena *a, const struct arm_caller *c, const char *action,
    const char *scope)
{
	size_t n = strlen(action);

	if (!strcmp(c->oid, "w"))
		return true;
	if (!strcmp(c->oid, "j")) /* all but joining shelves */
		return !strstr(action, "join");
	return !strcmp(c->oid, "r") && n > 5 && !strcmp(action + n - 5, "/read");
}

static bool
sees(void *ctx, struct store_tx *tx, struct arena *a, const struct arm_caller *c, const char *sub)
{
	return strcmp(c->oid, "n") != 0;
}

static void
node_changed(void *ctx, const char *node)
{
	struct fixture *f = ctx;

	snprintf(f->woken, sizeof(f->woken), "%s", node);
}

static int
seed(struct store_tx *tx, void *arg, struct err *e)
{
	const struct store_subscription sub = { SUB, "t", "S", "Enabled" };
	const struct store_node node = { .name = "node-1", .role = "edge" };
	int r = store_subscription_put(tx, &sub, e);

	return r < 0 ? r : store_node_put(tx, &node, e);
}

static void
start(struct fixture *f)
{
	static const struct arm_provider *const providers[] = { &example_provider, NULL };
	const struct store_config sc = { .path = f->db, .master_key = f->key };
	const struct arm_config cfg = {
		.auth = { NULL, authenticate, may, sees },
		.base_url = "https://h",
		.providers = providers,
		.converge_ms = f->converge_ms ? f->converge_ms : 60000,
		.live_ms = f->live_ms,
		.node_changed = node_changed,
		.node_changed_ctx = f,
	};
	struct arm_config own = cfg;

	assert_int_equal(store_open(&sc, &f->s, NULL), 0);
	own.store = f->s;
	assert_int_equal(arm_engine_create(&own, &f->en, NULL), 0);
}

static void
stop(struct fixture *f)
{
	arm_engine_destroy(TAKE(f->en));
	store_destroy(TAKE(f->s));
}

static int
setup(void **state)
{
	struct fixture *f = mem_alloc(sizeof(*f));

	snprintf(f->dir, sizeof(f->dir), "/tmp/unit-arm-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->db, sizeof(f->db), "%s/s.db", f->dir);
	snprintf(f->key, sizeof(f->key), "%s/key", f->dir);
	start(f);
	assert_int_equal(store_write(f->s, seed, NULL, NULL), 0);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	static const char *const tails[] = { "s.db",       "s.db-wal",       "s.db-shm",
					     "s.db.usage", "s.db.usage-wal", "s.db.usage-shm",
					     "key" };
	struct fixture *f = *state;

	arm_response_fini(&f->resp);
	stop(f);
	arena_reset(&f->arena);
	for (size_t i = 0; i < COUNT(tails); i++) {
		AUTO_FREE char *path = mem_printf("%s/%s", f->dir, tails[i]);

		unlink(path);
	}
	rmdir(f->dir);
	free(f);
	return 0;
}

static void
done(void *arg, struct arm_response *resp)
{
	struct fixture *f = arg;

	f->resp = *resp;
	f->is_done = true;
}

struct ask {
	const char *who, *query, *if_match;
};

static int
ask_as(struct fixture *f, struct ask how, enum arm_method m, const char *path, const char *body)
{
	struct arm_request req = {
		.arena = &f->arena,
		.method = m,
		.path = arena_strdup(&f->arena, path),
		.query = how.query ? how.query : "api-version=2020-01-01",
		.body = body,
		.body_len = body ? strlen(body) : 0,
		.authorization = how.who,
		.if_match = how.if_match,
	};

	arm_response_fini(&f->resp);
	f->resp = (struct arm_response){ 0 };
	f->is_done = false;
	arm_handle(f->en, &req, done, f);
	return f->resp.status;
}

static int
ask(struct fixture *f, enum arm_method m, const char *path, const char *body)
{
	return ask_as(f, (struct ask){ .who = "w" }, m, path, body);
}

static const char *
code(struct fixture *f)
{
	return arm_str(f->resp.body, "error.code", "");
}

static const char *
text(struct fixture *f, const char *path)
{
	return arm_str(f->resp.body, path, "");
}

static const char *
header(struct fixture *f, const char *name)
{
	for (size_t i = 0; i < f->resp.n_headers; i++)
		if (!strcmp(f->resp.headers[i].name, name))
			return f->resp.headers[i].value;
	return "";
}

static void
group(struct fixture *f)
{
	assert_int_equal(ask(f, ARM_PUT, G, "{\"location\":\"West Europe\"}"), 201);
	assert_string_equal(text(f, "location"), "westeurope");
}

static void
box(struct fixture *f, const char *name, const char *props)
{
	char path[256], body[512];

	snprintf(path, sizeof(path), BOX "%s", name);
	snprintf(body, sizeof(body), "{\"location\":\"westeurope\",\"properties\":%s}", props);
	if (ask(f, ARM_PUT, path, body) != 201)
		fail_msg("%d %s", f->resp.status, text(f, "error.message"));
}

#define LEN \
	"{\"size\":{\"width\":5},\"key\":\"k1\",\"lids\":[{\"name\":\"l1\",\"properties\":{\"weight\":3,\"code\":\"s\"}}]}"

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
	assert_non_null(strstr(
		json_string_value(arm_at(json_array_get(arm_at(f->resp.body, "error.details"), 0),
					 "message")),
		"DELETE " BOX "b1"));
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
