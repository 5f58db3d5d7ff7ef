/* The platform's own resources through the front door: locks, tags, the activity log, lists, groups,
 * providers, preconditions, operations. */
#include "rig.h"

#include "base/mono.h"

#define V "api-version=2020-01-01"
#define S "/subscriptions/" SUB
#define LOCK "/providers/Microsoft.Authorization/locks/"
#define TAGS "/providers/Microsoft.Resources/tags/default"
#define LOG S "/providers/Microsoft.Insights/eventtypes/management/values"

static int
query(struct fixture *f, const char *path, const char *query)
{
	return ask_as(f, (struct ask){ .who = "w", .query = query }, ARM_GET, path, NULL);
}

static size_t
n_values(struct fixture *f)
{
	return json_array_size(json_object_get(f->resp.body, "value"));
}

static const json_t *
value(struct fixture *f, size_t i)
{
	return json_array_get(json_object_get(f->resp.body, "value"), i);
}

static const json_t *
detail(struct fixture *f, size_t i)
{
	return json_array_get(arm_at(f->resp.body, "error.details"), i);
}

static long
number(const char *text)
{
	return strtol(text, NULL, 10);
}

/* --- locks ------------------------------------------------------------------------------------------ */

static const struct {
	const char *at, *level; /* the lock */
	enum arm_method method;
	const char *path, *body;
	int status;
} locked[] = {
	{ BOX "b1", "CanNotDelete", ARM_DELETE, BOX "b1", NULL, 409 },
	{ BOX "b1", "CanNotDelete", ARM_DELETE, BOX "b1/lids/l1", NULL, 409 },
	{ BOX "b1", "CanNotDelete", ARM_PATCH, BOX "b1", "{\"tags\":{}}", 200 },
	{ BOX "b1", "CanNotDelete", ARM_DELETE, SHELF "s1", NULL, 202 },
	{ BOX "b1", "CanNotDelete", ARM_DELETE, G, NULL, 409 }, /* what is inside holds it */
	{ BOX "b1/lids/l1", "CanNotDelete", ARM_DELETE, BOX "b1", NULL, 409 },
	{ BOX "b1/lids/l1", "ReadOnly", ARM_PATCH, BOX "b1", "{\"tags\":{}}", 200 },
	{ G, "CanNotDelete", ARM_DELETE, BOX "b1", NULL, 409 },
	{ G, "CanNotDelete", ARM_DELETE, G, NULL, 409 },
	{ G, "ReadOnly", ARM_GET, BOX "b1", NULL, 200 },
	{ G, "ReadOnly", ARM_PATCH, BOX "b1", "{\"tags\":{}}", 409 },
	{ G, "ReadOnly", ARM_PUT, BOX "b9", "{\"location\":\"x\"}", 409 },
	{ G, "ReadOnly", ARM_PATCH, G, "{\"tags\":{}}", 409 },
	{ G, "ReadOnly", ARM_POST, BOX "b1/weigh", NULL, 409 },
	{ G, "ReadOnly", ARM_GET, BOX "b1/count", NULL, 200 },
	{ G, "ReadOnly", ARM_PUT, BOX "b1" TAGS, "{\"properties\":{\"tags\":{}}}", 409 },
	{ G, "ReadOnly", ARM_PUT, BOX "b1" LOCK "l2", "{\"properties\":{\"level\":\"ReadOnly\"}}",
	  201 },
	{ S, "CanNotDelete", ARM_DELETE, BOX "b1", NULL, 409 },
	{ S, "CanNotDelete", ARM_DELETE, BOX "none", NULL, 409 },
	{ S, "ReadOnly", ARM_PUT, S "/resourceGroups/g2", "{\"location\":\"x\"}", 409 },
};

static void
locks_hold_what_is_under_them(void **state)
{
	struct fixture *f = *state;
	char path[256], body[128];

	for (size_t i = 0; i < COUNT(locked); i++) {
		const json_t *d;

		group(f);
		box(f, "b1", LEN);
		assert_int_equal(ask(f, ARM_PUT, SHELF "s1", "{\"location\":\"x\"}"), 201);
		snprintf(path, sizeof(path), "%s" LOCK "L1", locked[i].at);
		snprintf(body, sizeof(body), "{\"properties\":{\"level\":\"%s\"}}",
			 locked[i].level);
		assert_int_equal(ask(f, ARM_PUT, path, body), 201);
		if (ask(f, locked[i].method, locked[i].path, locked[i].body) != locked[i].status)
			fail_msg("row %zu: %d %s", i, f->resp.status, text(f, "error.message"));
		d = detail(f, 0);
		if (locked[i].status == 409) {
			assert_string_equal(code(f), "ScopeLocked");
			assert_non_null(strstr(text(f, "error.message"), path));
			assert_string_equal(arm_str(d, "target", ""), path);
			d = arm_at(json_array_get(json_object_get(d, "additionalInfo"), 0), "info");
			assert_string_equal(arm_str(d, "method", ""), "DELETE");
			assert_non_null(strstr(arm_str(d, "url", ""), path));
		}
		/* the call given removes it */
		assert_int_equal(ask(f, ARM_DELETE, path, NULL), 200);
		assert_int_equal(ask(f, ARM_DELETE, path, NULL), 204);
		ask(f, ARM_DELETE, BOX "b1" LOCK "l2", NULL);
		assert_int_equal(ask(f, ARM_DELETE, G, NULL), 202);
	}
}

static void
locks_are_resources(void **state)
{
	struct fixture *f = *state;

	group(f);
	box(f, "b1", LEN);
	assert_int_equal(ask(f, ARM_PUT, BOX "none" LOCK "a",
			     "{\"properties\":{\"level\":\"ReadOnly\"}}"),
			 404);
	assert_int_equal(ask(f, ARM_PUT, G LOCK "a", "{\"properties\":{\"level\":\"Loose\"}}"),
			 400);
	assert_string_equal(text(f, "error.target"), "properties.level");
	assert_non_null(strstr(text(f, "error.message"), "CanNotDelete, ReadOnly"));
	assert_int_equal(
		ask(f, ARM_PUT, G LOCK "a%3fb", "{\"properties\":{\"level\":\"ReadOnly\"}}"), 400);
	assert_int_equal(ask(f, ARM_PUT, G LOCK "A",
			     "{\"properties\":{\"level\":\"cannotdelete\",\"notes\":\"n\","
			     "\"owners\":[{\"applicationId\":\"x\"}]}}"),
			 201);
	assert_string_equal(text(f, "id"), G LOCK "A");
	assert_int_equal(
		ask(f, ARM_PUT, G LOCK "a", "{\"properties\":{\"level\":\"CanNotDelete\"}}"), 200);
	assert_string_equal(text(f, "name"), "A"); /* spelled as created */
	assert_int_equal(ask(f, ARM_PUT, BOX "b1" LOCK "b",
			     "{\"properties\":{\"level\":\"CanNotDelete\"}}"),
			 201);
	assert_int_equal(ask(f, ARM_GET, G LOCK "a", NULL), 200);
	assert_string_equal(text(f, "properties.level"), "CanNotDelete");
	assert_int_equal(ask(f, ARM_GET, S "/providers/Microsoft.Authorization/locks", NULL), 200);
	assert_int_equal(n_values(f), 2);
	assert_int_equal(query(f, G "/providers/Microsoft.Authorization/locks",
			       V "&$filter=atScope()"),
			 200);
	assert_int_equal(n_values(f), 1);
	assert_int_equal(ask_as(f, (struct ask){ .who = "r" }, ARM_DELETE, G LOCK "a", NULL), 403);
	assert_int_equal(ask_as(f, (struct ask){ .who = "n" }, ARM_GET, G LOCK "a", NULL), 404);
	assert_int_equal(ask(f, ARM_POST, G LOCK "a", NULL), 405);
}

/* --- tags ---------------------------------------------------------------------------------------------- */

static const struct {
	enum arm_method method;
	const char *body;
	int status;
	const char *tags; /* after it */
} tagged[] = {
	{ ARM_PUT, "{\"properties\":{\"tags\":{\"Env\":\"a\",\"x\":\"1\"}}}", 200,
	  "{\"Env\":\"a\",\"x\":\"1\"}" },
	{ ARM_PATCH, "{\"operation\":\"Merge\",\"properties\":{\"tags\":{\"env\":\"b\"}}}", 200,
	  "{\"env\":\"b\",\"x\":\"1\"}" },
	{ ARM_PATCH, "{\"operation\":\"delete\",\"properties\":{\"tags\":{\"ENV\":\"other\"}}}",
	  200, "{\"env\":\"b\",\"x\":\"1\"}" },
	{ ARM_PATCH, "{\"operation\":\"Delete\",\"properties\":{\"tags\":{\"ENV\":\"b\"}}}", 200,
	  "{\"x\":\"1\"}" },
	{ ARM_PATCH, "{\"operation\":\"Delete\",\"properties\":{\"tags\":{\"X\":\"\"}}}", 200,
	  "{}" },
	{ ARM_PATCH, "{\"operation\":\"Replace\",\"properties\":{\"tags\":{\"q\":\"r\"}}}", 200,
	  "{\"q\":\"r\"}" },
	{ ARM_PATCH, "{\"operation\":\"Forget\",\"properties\":{\"tags\":{}}}", 400,
	  "{\"q\":\"r\"}" },
	{ ARM_PATCH, "{\"properties\":{\"tags\":{}}}", 400, "{\"q\":\"r\"}" },
	{ ARM_PUT, "{\"properties\":{\"tags\":{\"a\":1}}}", 400, "{\"q\":\"r\"}" },
	{ ARM_PUT, "{\"properties\":{\"tags\":{\"a\":\"1\",\"A\":\"2\"}}}", 400, "{\"q\":\"r\"}" },
	{ ARM_PUT, "{\"properties\":{\"tags\":{\"a?\":\"1\"}}}", 400, "{\"q\":\"r\"}" },
	{ ARM_PUT, "{\"properties\":{\"tags\":[]}}", 400, "{\"q\":\"r\"}" },
	{ ARM_PUT, "{\"properties\":{}}", 400, "{\"q\":\"r\"}" },
	{ ARM_DELETE, NULL, 200, "{}" },
};

static void
tags_are_set_at_any_scope(void **state)
{
	static const char *const scopes[] = { S, G, BOX "b1" };
	struct fixture *f = *state;
	char path[256];

	group(f);
	box(f, "b1", LEN);
	for (size_t k = 0; k < COUNT(scopes); k++) {
		snprintf(path, sizeof(path), "%s" TAGS, scopes[k]);
		for (size_t i = 0; i < COUNT(tagged); i++) {
			json_t *want = json_loads(tagged[i].tags, 0, NULL);

			if (ask(f, tagged[i].method, path, tagged[i].body) != tagged[i].status)
				fail_msg("row %zu at %s: %d", i, scopes[k], f->resp.status);
			assert_int_equal(ask(f, ARM_GET, path, NULL), 200);
			if (!json_equal(arm_at(f->resp.body, "properties.tags"), want))
				fail_msg("row %zu at %s: other tags", i, scopes[k]);
			json_decref(want);
		}
	}
	/* they are the resource's own, and renew its etag */
	assert_int_equal(
		ask(f, ARM_PUT, BOX "b1" TAGS, "{\"properties\":{\"tags\":{\"a\":\"b\"}}}"), 200);
	assert_int_equal(ask(f, ARM_GET, BOX "b1", NULL), 200);
	assert_string_equal(text(f, "tags.a"), "b");
	assert_int_equal(ask(f, ARM_PUT, BOX "b1/lids/l1" TAGS, "{\"properties\":{\"tags\":{}}}"),
			 400);
	assert_int_equal(ask(f, ARM_PUT, BOX "b2" TAGS, "{\"properties\":{\"tags\":{}}}"), 404);
	assert_int_equal(ask_as(f, (struct ask){ .who = "r" }, ARM_PUT, G TAGS,
				"{\"properties\":{\"tags\":{}}}"),
			 403);
}

static void
tag_names_are_a_list_of_the_subscription(void **state)
{
	static const struct {
		enum arm_method method;
		const char *path;
		int status;
	} steps[] = {
		{ ARM_PUT, S "/tagNames/cost/tagValues/a", 404 },
		{ ARM_PUT, S "/tagNames/cost", 201 },
		{ ARM_PUT, S "/tagNames/Cost", 200 },
		{ ARM_PUT, S "/tagNames/cost/tagValues/a", 201 },
		{ ARM_PUT, S "/tagNames/cost/tagValues/A", 200 },
		{ ARM_DELETE, S "/tagNames/cost", 409 },
		{ ARM_PUT, S "/tagNames/a%26b", 400 },
		{ ARM_POST, S "/tagNames/a", 405 },
		{ ARM_GET, S "/tagNames", 200 },
		{ ARM_DELETE, S "/tagNames/cost/tagValues/a", 200 },
		{ ARM_DELETE, S "/tagNames/cost/tagValues/a", 204 },
		{ ARM_DELETE, S "/tagNames/cost", 200 },
		{ ARM_DELETE, S "/tagNames/cost", 204 },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < COUNT(steps); i++) {
		if (ask(f, steps[i].method, steps[i].path, NULL) != steps[i].status)
			fail_msg("step %zu: %d", i, f->resp.status);
		if (steps[i].method != ARM_GET)
			continue;
		assert_string_equal(arm_str(value(f, 0), "tagName", ""), "cost");
		assert_string_equal(
			arm_str(json_array_get(json_object_get(value(f, 0), "values"), 0),
				"tagValue", ""),
			"a");
	}
}

/* --- the activity log -------------------------------------------------------------------------------------- */

static const char *
since(struct fixture *f, const char *more)
{
	char when[32];

	utc_format(utc_now_us() - 60000000, when);
	return arena_printf(&f->arena, V "&$filter=eventTimestamp%%20ge%%20'%s'%s", when, more);
}

static size_t
logged(struct fixture *f, const char *more)
{
	if (query(f, LOG, since(f, more)) != 200)
		fail_msg("%s: %d %s", more, f->resp.status, text(f, "message"));
	return n_values(f);
}

static void
all_that_is_done_is_logged(void **state)
{
	static const struct {
		const char *filter;
		size_t n;
	} table[] = {
		{ "", 6 },
		{ "%20and%20resourceGroupName%20eq%20'G1'", 6 },
		{ "%20and%20resourceGroupName%20eq%20'other'", 0 },
		{ "%20and%20resourceUri%20eq%20'" BOX "B1'", 4 },
		{ "%20and%20resourceId%20eq%20'" BOX "B1/weigh'", 0 },
		{ "%20and%20resourceProvider%20eq%20'Example.Things'", 5 },
		{ "%20and%20resourceType%20eq%20'Example.Things/boxes'", 4 },
		{ "%20and%20status%20eq%20'Failed'", 2 },
		{ "%20and%20levels%20eq%20'Critical,Error'", 2 },
		{ "%20and%20caller%20eq%20'r'", 1 },
		{ "%20and%20caller%20eq%20'f'", 1 },
		{ "%20and%20correlationId%20eq%20'abc-1'", 0 },
		{ "%20and%20eventChannels%20eq%20'Admin,%20Operation'", 6 },
		{ "%20and%20eventTimestamp%20le%20'2020-01-01T00:00:00Z'", 0 },
		{ "%20and%20eventTimestamp%20le%20'2199-01-01'", 6 },
	};
	struct fixture *f = *state;
	const json_t *ev;

	group(f);
	box(f, "b1", LEN);
	assert_int_equal(
		ask_as(f, (struct ask){ .who = "f" }, ARM_PATCH, BOX "b1", "{\"tags\":{}}"), 200);
	assert_int_equal(ask_as(f, (struct ask){ .who = "r" }, ARM_DELETE, BOX "b1", NULL), 403);
	assert_int_equal(ask(f, ARM_PUT, SHELF "s1", "{}"), 400);
	assert_int_equal(ask(f, ARM_POST, BOX "b1/weigh", NULL), 202);
	assert_int_equal(ask(f, ARM_GET, BOX "b1", NULL), 200); /* reading is not */
	for (size_t i = 0; i < COUNT(table); i++)
		if (logged(f, table[i].filter) != table[i].n)
			fail_msg("%s: %zu", table[i].filter, n_values(f));

	assert_int_equal(logged(f, "%20and%20caller%20eq%20'f'"), 1);
	ev = value(f, 0);
	assert_string_equal(arm_str(ev, "operationName", "none"), "none");
	assert_string_equal(arm_str(ev, "operationName.value", ""), "Example.Things/boxes/write");
	assert_string_equal(arm_str(ev, "authorization.action", ""), "Example.Things/boxes/write");
	assert_string_equal(arm_str(ev, "status.value", ""), "Succeeded");
	assert_string_equal(arm_str(ev, "resourceId", ""), BOX "b1");
	assert_string_equal(arm_str(ev, "resourceGroupName", ""), "g1");
	assert_string_equal(arm_str(ev, "httpRequest.method", ""), "PATCH");
	/* both identities */
	assert_string_equal(json_string_value(json_object_get(
				    json_object_get(ev, "claims"),
				    "http://schemas.microsoft.com/identity/claims/tenantid")),
			    "t2");
	assert_string_equal(arm_str(ev, "tenantId", ""), "t");
	assert_string_equal(arm_str(ev, "properties.onBehalfOfTenantId", ""), "t");
	assert_string_equal(arm_str(ev, "properties.onBehalfOfPrincipalId", ""), "agents");

	assert_int_equal(logged(f, "%20and%20status%20eq%20'Failed'&$select=status,properties"), 2);
	assert_int_equal(json_object_size(value(f, 0)), 2);
	assert_string_equal(arm_str(value(f, 0), "properties.statusCode", ""), "LocationRequired");
	assert_string_equal(arm_str(value(f, 1), "properties.statusCode", ""),
			    "AuthorizationFailed");
}

/* Nobody hides who he is behind a header that cannot be shown. */
static void
odd_headers_do_not_blind_the_log(void **state)
{
	struct fixture *f = *state;
	const struct ask odd = { .who = "f", .client_request_id = "\xff\xfe" };

	group(f);
	assert_int_equal(ask_as(f, odd, ARM_PATCH, G, "{\"tags\":{}}"), 200);
	assert_string_equal(header(f, "x-ms-client-request-id"), "");
	assert_int_equal(logged(f, "%20and%20caller%20eq%20'f'"), 1);
	assert_string_equal(arm_str(value(f, 0), "claims.appid", ""), "f");
	assert_string_equal(arm_str(value(f, 0), "properties.onBehalfOfPrincipalId", ""), "agents");
}

static void
the_log_is_asked_as_azure_is(void **state)
{
	static const struct {
		const char *who, *path, *query;
		int status;
	} table[] = {
		{ "w", LOG, V, 400 }, /* a start is required */
		{ "w", LOG, V "&$filter=eventTimestamp%20ge%20'yesterday'", 400 },
		{ "w", LOG, V "&$filter=eventTimestamp%20ge%20'2026-01-01T00:00:00+25'", 400 },
		{ "w", LOG, V "&$filter=colour%20eq%20'red'", 400 },
		{ "w", LOG, V "&$filter=eventTimestamp%20ge%202026-01-01T00:00:00.123Z", 200 },
		{ "w", LOG, V "&$filter=eventTimestamp%20ge%202026-01-01&$skiptoken=zz", 400 },
		{ "w", LOG, "$filter=eventTimestamp%20ge%202026-01-01", 400 },
		{ "n", LOG, V "&$filter=eventTimestamp%20ge%202026-01-01", 404 },
		{ "r", LOG, V "&$filter=eventTimestamp%20ge%202026-01-01", 200 },
		{ "w", "/providers/Microsoft.Insights/eventtypes/management/values",
		  V "&$filter=eventTimestamp%20ge%202026-01-01", 200 },
		{ "w", "/providers/microsoft.insights/eventcategories", V, 200 },
		{ "w", S "/providers/Microsoft.Insights/eventtypes/other/values", V, 404 },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < COUNT(table); i++) {
		const struct ask how = { .who = table[i].who, .query = table[i].query };

		if (ask_as(f, how, ARM_GET, table[i].path, NULL) != table[i].status)
			fail_msg("row %zu: %d %s", i, f->resp.status, text(f, "message"));
		if (table[i].status >= 400) { /* flat */
			assert_null(json_object_get(f->resp.body, "error"));
			assert_true(*text(f, "code") && *text(f, "message"));
		}
	}
	assert_int_equal(ask(f, ARM_POST, LOG, NULL), 405);
}

static void
the_log_has_pages(void **state)
{
	struct fixture *f = *state;
	size_t all = 0, pages = 0;
	const char *next, *q;

	group(f);
	for (int i = 0; i < 450; i++)
		assert_int_equal(ask(f, ARM_PATCH, G, "{\"tags\":{}}"), 200);
	q = since(f, "");
	do {
		assert_int_equal(query(f, LOG, q), 200);
		all += n_values(f);
		pages++;
		next = text(f, "nextLink");
		q = *next ? arena_strdup(&f->arena, strchr(next, '?') + 1) : NULL;
	} while (q);
	assert_int_equal(all, 451);
	assert_int_equal(pages, 3);
	assert_int_equal(store_scanned_rows(f->s), 0);
}

/* --- lists ---------------------------------------------------------------------------------------------------- */

static void
lists_have_pages(void **state)
{
	static const struct {
		const char *path, *query;
		size_t n, pages;
	} table[] = {
		{ G "/providers/Example.Things/shelves", V "&$top=2", 5, 3 },
		{ G "/providers/Example.Things/shelves", V "&$top=5", 5, 1 },
		{ S "/providers/Example.Things/shelves", V "&%24top=4", 5, 2 },
		{ S "/resources", V "&$top=3", 6, 2 },
		{ G "/resources", V "&$top=3&$filter=resourceType%20eq%20'example.things/SHELVES'",
		  5, 2 },
		{ S "/resources", V "&$filter=substringof('s4',name)", 1, 1 },
		{ S "/resources", V "&$filter=tagName%20eq%20'k'%20and%20tagValue%20eq%20'3'", 1,
		  1 },
		{ S "/resources", V "&$filter=tagName%20eq%20'K'", 5, 1 },
		{ S "/resources", V "&$filter=resourceGroup%20eq%20'G1'%20and%20name%20eq%20'b1'",
		  1, 1 },
		{ S "/resources", V "&$filter=location%20ne%20'x'", 1, 1 },
		{ S "/resources", V "&$filter=resourceGroup%20eq%20'g2'", 0, 1 },
		{ S "/resourceGroups", V "&$top=1", 2, 2 },
		{ S "/resourceGroups", V "&$filter=tagName%20eq%20'a'%20and%20tagValue%20eq%20'b'",
		  1, 1 },
		{ S "/resourceGroups", V "&$filter=tagName%20eq%20'a'%20and%20tagValue%20eq%20'c'",
		  0, 1 },
		{ BOX "b1/lids", V "&$top=2", 3, 2 },
	};
	struct fixture *f = *state;
	char path[256], body[128];

	group(f);
	assert_int_equal(ask(f, ARM_PUT, S "/resourceGroups/other",
			     "{\"location\":\"x\",\"tags\":{\"a\":\"b\"}}"),
			 201);
	box(f, "b1",
	    "{\"size\":{\"width\":1},\"lids\":[{\"name\":\"a\",\"properties\":{\"weight\":1}},"
	    "{\"name\":\"b\",\"properties\":{\"weight\":1}},"
	    "{\"name\":\"c\",\"properties\":{\"weight\":1}}]}");
	for (int i = 0; i < 5; i++) {
		snprintf(path, sizeof(path), SHELF "s%d", i);
		snprintf(body, sizeof(body), "{\"location\":\"x\",\"tags\":{\"k\":\"%d\"}}", i);
		assert_int_equal(ask(f, ARM_PUT, path, body), 201);
	}
	for (size_t i = 0; i < COUNT(table); i++) {
		const char *q = table[i].query, *next;
		size_t n = 0, pages = 0;

		do {
			if (query(f, table[i].path, q) != 200)
				fail_msg("row %zu: %s", i, text(f, "error.message"));
			n += n_values(f);
			pages++;
			next = text(f, "nextLink");
			q = *next ? arena_strdup(&f->arena, strchr(next, '?') + 1) : NULL;
			assert_true(!*next || !strncmp(next, "https://h/", 10));
		} while (q && pages < 10);
		if (n != table[i].n || pages != table[i].pages)
			fail_msg("row %zu: %zu in %zu pages", i, n, pages);
	}
	assert_int_equal(store_scanned_rows(f->s), 0);
}

static void
wrong_questions_are_refused(void **state)
{
	static const struct {
		const char *path, *query, *target;
	} table[] = {
		{ G "/providers/Example.Things/boxes", V "&$top=0", "$top" },
		{ G "/providers/Example.Things/boxes", V "&$top=-1", "$top" },
		{ G "/providers/Example.Things/boxes", V "&$top=1e3", "$top" },
		{ G "/providers/Example.Things/boxes", V "&$top=99999999999", "$top" },
		{ G "/providers/Example.Things/boxes", V "&$skiptoken=x", "$skipToken" },
		{ S "/resources", V "&$filter=name", "$filter" },
		{ S "/resources", V "&$filter=etag%20eq%20'x'", "$filter" },
		{ S "/resourceGroups", V "&$filter=tagName%20eq", "$filter" },
		{ S "/resourceGroups", V "&$skiptoken=abc", "$skipToken" },
	};
	struct fixture *f = *state;

	group(f);
	for (size_t i = 0; i < COUNT(table); i++) {
		if (query(f, table[i].path, table[i].query) != 400)
			fail_msg("row %zu: %d", i, f->resp.status);
		assert_string_equal(text(f, "error.target"), table[i].target);
	}
	assert_int_equal(query(f, S "/resourceGroups/none/resources", V), 404);
}

static void
references_are_expanded_on_request(void **state)
{
	struct fixture *f = *state;

	group(f);
	assert_int_equal(ask(f, ARM_PUT, SHELF "s1", "{\"location\":\"x\"}"), 201);
	box(f, "b1", "{\"shelf\":{\"id\":\"" SHELF "s1\"}}");
	assert_int_equal(query(f, BOX "b1", V "&$expand=shelf"), 200);
	assert_string_equal(text(f, "properties.shelf.location"), "x");
	assert_string_equal(text(f, "properties.shelf.properties.provisioningState"), "Succeeded");
	assert_int_equal(query(f, BOX "b1", V "&$expand=nothing/of/that,,///"), 200);
	assert_string_equal(text(f, "properties.shelf.location"), "");
	assert_int_equal(query(f, S "/resources",
			       V "&$expand=createdTime,changedTime,provisioningState&$filter="
				 "name%20eq%20'b1'"),
			 200);
	assert_string_equal(arm_str(value(f, 0), "provisioningState", ""), "Succeeded");
	assert_string_not_equal(arm_str(value(f, 0), "createdTime", ""), "");
	assert_string_not_equal(arm_str(value(f, 0), "changedTime", ""), "");
}

/* --- preconditions ------------------------------------------------------------------------------------------- */

static void
etags_are_honoured_everywhere(void **state)
{
	static const struct {
		enum arm_method method;
		const char *path, *body, *match, *none;
		int status;
	} table[] = {
		/* @: the current tag */
		{ ARM_PUT, BOX "b1", "{\"location\":\"westeurope\"}", "W/\"x\"", NULL, 412 },
		{ ARM_PUT, BOX "b1", "{\"location\":\"westeurope\"}", "@", NULL, 200 },
		{ ARM_PUT, BOX "b1", "{\"location\":\"westeurope\"}", "\"a\", W/\"@\"", NULL, 200 },
		{ ARM_PUT, BOX "b1", "{\"location\":\"westeurope\"}", "*", NULL, 200 },
		{ ARM_PUT, BOX "b1", "{\"location\":\"westeurope\"}", NULL, "*", 412 },
		{ ARM_PUT, BOX "b1", "{\"location\":\"westeurope\"}", NULL, "W/\"@\"", 412 },
		{ ARM_PUT, BOX "b1", "{\"location\":\"westeurope\"}", NULL, "W/\"x\"", 200 },
		{ ARM_PUT, BOX "b2", "{\"location\":\"westeurope\"}", "*", NULL, 412 },
		{ ARM_PUT, BOX "b2", "{\"location\":\"westeurope\"}", NULL, "*", 201 },
		{ ARM_PUT, BOX "b1/lids/l1", "{\"properties\":{\"weight\":2}}", "W/\"x\"", NULL,
		  412 },
		{ ARM_PUT, BOX "b1/lids/l1", "{\"properties\":{\"weight\":2}}", NULL, "*", 412 },
		{ ARM_PUT, BOX "b1/lids/l2", "{\"properties\":{\"weight\":2}}", "*", NULL, 412 },
		{ ARM_PATCH, BOX "b1", "{\"tags\":{}}", "W/\"x\"", NULL, 412 },
		{ ARM_PATCH, BOX "b1", "{\"tags\":{}}", "W/\"@\"", NULL, 200 },
		{ ARM_DELETE, BOX "b1/lids/l1", NULL, "W/\"x\"", NULL, 412 },
		{ ARM_DELETE, BOX "b1", NULL, "@x", NULL, 412 },
		{ ARM_PUT, G, "{\"location\":\"westeurope\"}", NULL, "*", 412 },
		{ ARM_PUT, S "/resourceGroups/g2", "{\"location\":\"x\"}", "*", NULL, 412 },
		{ ARM_DELETE, BOX "b1", NULL, "W/\"@\"", NULL, 202 },
	};
	struct fixture *f = *state;

	group(f);
	box(f, "b1", LEN);
	for (size_t i = 0; i < COUNT(table); i++) {
		struct ask how = { .who = "w" };
		const char *etag, *given[2] = { table[i].match, table[i].none };

		assert_int_equal(ask(f, ARM_GET, BOX "b1", NULL), 200);
		etag = arena_strndup(&f->arena, text(f, "etag") + 3, 36);
		for (int k = 0; k < 2; k++) {
			const char *at = given[k] ? strchr(given[k], '@') : NULL;

			if (at)
				given[k] = arena_printf(&f->arena, "%.*s%s%s", (int)(at - given[k]),
							given[k], etag, at + 1);
		}
		how.if_match = given[0];
		how.if_none_match = given[1];
		if (ask_as(f, how, table[i].method, table[i].path, table[i].body) !=
		    table[i].status)
			fail_msg("row %zu: %d %s", i, f->resp.status, text(f, "error.message"));
		if (table[i].status == 412)
			assert_string_equal(code(f), "PreconditionFailed");
	}
}

/* --- groups ------------------------------------------------------------------------------------------------- */

static void
a_group_that_is_needed_elsewhere_stays(void **state)
{
	struct fixture *f = *state;

	group(f);
	assert_int_equal(ask(f, ARM_PUT, S "/resourceGroups/g2", "{\"location\":\"x\"}"), 201);
	assert_int_equal(ask(f, ARM_PUT, SHELF "s1", "{\"location\":\"x\"}"), 201);
	box(f, "b0", "{\"shelf\":{\"id\":\"" SHELF "s1\"}}");
	assert_int_equal(ask(f, ARM_PUT, S "/resourceGroups/g2/providers/Example.Things/boxes/far",
			     "{\"location\":\"x\",\"properties\":{\"shelf\":{\"id\":\"" SHELF
			     "s1\"}}}"),
			 201);
	assert_int_equal(ask(f, ARM_DELETE, G, NULL), 409);
	assert_string_equal(code(f), "ResourceGroupDeletionBlocked");
	assert_non_null(strstr(arm_str(detail(f, 0), "target", ""), "/boxes/far"));
	assert_null(detail(f, 1)); /* b0 goes with the group and is no blocker */
	assert_int_equal(ask(f, ARM_GET, BOX "b0", NULL), 200); /* nothing has gone */
	assert_int_equal(ask(f, ARM_DELETE, S "/resourceGroups/g2", NULL), 202);
	assert_int_equal(ask(f, ARM_DELETE, G, NULL), 202);
	assert_int_equal(ask(f, ARM_DELETE, G, NULL), 404);
}

static void
groups_are_checked(void **state)
{
	static const struct {
		enum arm_method method;
		const char *path, *body;
		int status;
		const char *code;
	} table[] = {
		{ ARM_PUT, S "/resourceGroups/a.", "{\"location\":\"x\"}", 400,
		  "InvalidResourceGroup" },
		{ ARM_PUT, S "/resourceGroups/a%20b", "{\"location\":\"x\"}", 400,
		  "InvalidResourceGroup" },
		{ ARM_PUT, S "/resourceGroups/a", "{}", 400, "LocationRequired" },
		{ ARM_PUT, S "/resourceGroups/a", "{\"location\":5}", 400, "InvalidRequestFormat" },
		{ ARM_PUT, S "/resourceGroups/a", "{\"location\":\"x\",\"managedBy\":1}", 400,
		  "InvalidRequestFormat" },
		{ ARM_PUT, S "/resourceGroups/a", "{\"location\":\"x\",\"tags\":5}", 400,
		  "InvalidTags" },
		{ ARM_PUT, S "/resourceGroups/a", NULL, 400, "InvalidRequestContent" },
		{ ARM_PATCH, S "/resourceGroups/a", "{\"tags\":{}}", 404, "ResourceGroupNotFound" },
		{ ARM_PUT, S "/resourceGroups/a(1)_-.z", "{\"location\":\"x\"}", 201, "" },
		{ ARM_PUT, S "/resourceGroups/A(1)_-.Z", "{\"location\":\"y\"}", 409,
		  "InvalidResourceGroupLocation" },
		{ ARM_PATCH, S "/resourceGroups/a(1)_-.z", "{\"tags\":{\"a\":\"b\"}}", 200, "" },
		{ ARM_HEAD, S "/resourceGroups/a(1)_-.z", NULL, 204, "" },
		{ ARM_HEAD, S "/resourceGroups/b", NULL, 404, "ResourceGroupNotFound" },
		{ ARM_POST, S "/resourceGroups/b", NULL, 405, "MethodNotAllowed" },
		{ ARM_POST, S "/resourceGroups/a(1)_-.z/moveResources",
		  "{\"resources\":[\"" BOX "b1\"],\"targetResourceGroup\":\"/x\"}", 409,
		  "ResourceMoveNotSupported" },
		{ ARM_GET, S "/resourceGroups/a(1)_-.z/moveResources", NULL, 405,
		  "MethodNotAllowed" },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < COUNT(table); i++) {
		if (ask(f, table[i].method, table[i].path, table[i].body) != table[i].status)
			fail_msg("row %zu: %d %s", i, f->resp.status, text(f, "error.message"));
		assert_string_equal(code(f), table[i].code);
	}
}

/* --- providers ---------------------------------------------------------------------------------------------- */

static void
providers_are_registered_and_not(void **state)
{
	struct fixture *f = *state;

	group(f);
	assert_int_equal(ask(f, ARM_GET, S "/providers", NULL), 200);
	assert_int_equal(n_values(f), 4);
	assert_int_equal(ask(f, ARM_GET, "/providers", NULL), 200);
	assert_int_equal(ask(f, ARM_GET, S "/providers/example.THINGS", NULL), 200);
	assert_string_equal(text(f, "registrationState"), "Registered");
	assert_string_equal(arm_str(json_array_get(arm_at(f->resp.body, "resourceTypes"), 1),
				    "resourceType", ""),
			    "boxes/lids");
	assert_int_equal(ask(f, ARM_GET, S "/providers/No.Such", NULL), 404);
	box(f, "b1", LEN);
	assert_int_equal(ask(f, ARM_POST, S "/providers/Example.Things/unregister", NULL), 409);
	assert_string_equal(arm_str(detail(f, 0), "target", ""), BOX "b1");
	assert_int_equal(ask(f, ARM_DELETE, BOX "b1", NULL), 202);
	assert_int_equal(ask(f, ARM_POST, S "/providers/Example.Things/unregister", NULL), 200);
	assert_string_equal(text(f, "registrationState"), "Unregistered");
	assert_int_equal(ask(f, ARM_PUT, BOX "b1", "{\"location\":\"westeurope\"}"), 409);
	assert_string_equal(code(f), "MissingSubscriptionRegistration");
	assert_int_equal(ask(f, ARM_POST, S "/providers/example.things/register", NULL), 200);
	box(f, "b1", LEN);
	assert_int_equal(ask_as(f, (struct ask){ .who = "r" }, ARM_POST,
				S "/providers/Example.Things/register", NULL),
			 403);
	assert_int_equal(ask(f, ARM_POST, S "/providers/No.Such/register", NULL), 404);
	assert_int_equal(ask(f, ARM_GET, S "/providers/Example.Things/register", NULL), 405);
}

/* --- operations and headers ------------------------------------------------------------------------------------- */

static const char *
path_of(struct fixture *f, const char *url)
{
	const char *p = url + strlen("https://h");

	return arena_strndup(&f->arena, p, strcspn(p, "?"));
}

static void
operations_have_results(void **state)
{
	struct fixture *f = *state;
	const char *poll, *id, *results, *foreign;

	group(f);
	box(f, "b1", LEN);
	poll = path_of(f, header(f, "Azure-AsyncOperation"));
	assert_true(number(header(f, "Retry-After")) >= 1);
	assert_string_equal(header(f, "Location"), ""); /* not on PUT */
	assert_int_equal(ask(f, ARM_GET, poll, NULL), 200);
	assert_string_equal(text(f, "status"), "Succeeded");
	id = strrchr(poll, '/') + 1;
	results = arena_printf(&f->arena,
			       S "/providers/Example.Things/locations/x/operationResults/%s", id);
	assert_int_equal(ask(f, ARM_GET, results, NULL), 200);
	assert_string_equal(text(f, "id"), BOX "b1");
	/* only at its own subscription's path, and for who may */
	foreign =
		arena_printf(&f->arena, "/providers/Example.Things/locations/x/operations/%s", id);
	assert_int_equal(ask(f, ARM_GET, foreign, NULL), 404);
	assert_int_equal(ask_as(f, (struct ask){ .who = "n" }, ARM_GET, poll, NULL), 404);
	assert_int_equal(ask_as(f, (struct ask){ .who = "r" }, ARM_GET, poll, NULL), 200);
	assert_int_equal(ask(f, ARM_PUT, poll, "{}"), 405);
	assert_int_equal(ask(f, ARM_GET,
			     S "/providers/Example.Things/locations/x/operations/00000000-0000-0000"
			       "-0000-000000000000",
			     NULL),
			 404);
	assert_int_equal(ask(f, ARM_DELETE, BOX "b1", NULL), 202);
	assert_int_equal(ask(f, ARM_GET, path_of(f, header(f, "Location")), NULL), 204);
	assert_int_equal(ask(f, ARM_DELETE, G, NULL), 202);
	assert_string_equal(header(f, "Azure-AsyncOperation"), "");
	assert_int_equal(ask(f, ARM_GET, path_of(f, header(f, "Location")), NULL), 204);
}

static void
every_answer_has_its_headers(void **state)
{
	static const char *const always[] = { "x-ms-request-id", "x-ms-correlation-request-id",
					      "x-ms-routing-request-id", "Cache-Control" };
	struct fixture *f = *state;

	group(f);
	for (int i = 0; i < 3; i++) {
		if (i == 0)
			assert_int_equal(ask(f, ARM_GET, G, NULL), 200);
		else if (i == 1)
			assert_int_equal(ask(f, ARM_GET, BOX "none", NULL), 404);
		else
			assert_int_equal(ask_as(f, (struct ask){ 0 }, ARM_GET, G, NULL), 401);
		for (size_t k = 0; k < COUNT(always); k++)
			if (!*header(f, always[k]))
				fail_msg("%d: no %s", i, always[k]);
	}
	assert_non_null(strstr(header(f, "WWW-Authenticate"), "authorization_uri=\"https://h/"));
	assert_int_equal(ask(f, ARM_GET, G, NULL), 200);
	assert_true(number(header(f, "x-ms-ratelimit-remaining-subscription-reads")) >= 1);
	assert_int_equal(ask(f, ARM_PATCH, G, "{\"tags\":{}}"), 200);
	assert_true(number(header(f, "x-ms-ratelimit-remaining-subscription-writes")) >= 1);
}

#define CASE(x) cmocka_unit_test_setup_teardown(x, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(locks_hold_what_is_under_them),
		CASE(locks_are_resources),
		CASE(tags_are_set_at_any_scope),
		CASE(tag_names_are_a_list_of_the_subscription),
		CASE(all_that_is_done_is_logged),
		CASE(odd_headers_do_not_blind_the_log),
		CASE(the_log_is_asked_as_azure_is),
		CASE(the_log_has_pages),
		CASE(lists_have_pages),
		CASE(wrong_questions_are_refused),
		CASE(references_are_expanded_on_request),
		CASE(etags_are_honoured_everywhere),
		CASE(a_group_that_is_needed_elsewhere_stays),
		CASE(groups_are_checked),
		CASE(providers_are_registered_and_not),
		CASE(operations_have_results),
		CASE(every_answer_has_its_headers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
