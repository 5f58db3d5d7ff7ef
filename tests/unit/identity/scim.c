/* SCIM's filters and paths: what they mean (RFC 7644 3.4.2.2, 3.5.2), and what is refused where. */
#include "../test.h"

#include "base/arena.h"
#include "identity/scim_filter.h"

static const char resource[] =
	"{\"id\":\"Ab\",\"userName\":\"Ann@Contoso.example\",\"externalId\":\"E1\",\"active\":true,"
	"\"title\":\"\",\"age\":41,\"name\":{\"givenName\":\"Ann\",\"familyName\":\"Archer\"},"
	"\"emails\":[{\"type\":\"work\",\"value\":\"a@w\",\"primary\":true},"
	"{\"type\":\"home\",\"value\":\"a@h\"}],\"tags\":[\"x\",\"y\"],"
	"\"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User\":{\"department\":\"Ops\"},"
	"\"meta\":{\"lastModified\":\"2026-01-02T00:00:00Z\"},\"nothing\":null}";

static const struct {
	const char *filter;
	bool matches;
} meanings[] = {
	{ "userName eq \"ann@contoso.EXAMPLE\"", true },
	{ "USERNAME EQ \"ann@contoso.example\"", true },
	{ "id eq \"ab\"", false }, /* exact in case */
	{ "id eq \"Ab\"", true },
	{ "externalId sw \"e\"", false },
	{ "userName ne \"x\"", true },
	{ "userName ne \"ann@contoso.example\"", false },
	{ "userName co \"CONTOSO\"", true },
	{ "userName sw \"ann\"", true },
	{ "userName ew \".example\"", true },
	{ "userName ew \"longer than what is there, by far\"", false },
	{ "active eq true", true },
	{ "active eq false", false },
	{ "active ne false", true },
	{ "age gt 40", true },
	{ "age le 40.5", false },
	{ "age eq 41", true },
	{ "age eq \"41\"", false },
	{ "meta.lastModified ge \"2026-01-01\"", true },
	{ "meta.lastModified lt \"2026-01-01\"", false },
	{ "title pr", false }, /* empty is not present */
	{ "nothing pr", false },
	{ "name pr", true },
	{ "name.givenName pr", true },
	{ "name.middleName pr", false },
	{ "nothing eq null", true },
	{ "absent eq null", true },
	{ "absent ne \"x\"", true },
	{ "emails pr", true },
	{ "emails eq \"a@h\"", true },
	{ "emails.type eq \"home\"", true },
	{ "tags eq \"y\"", true },
	{ "emails[type eq \"work\"]", true },
	{ "emails[type eq \"work\" and value eq \"a@w\"]", true },
	{ "emails[type eq \"work\" and value eq \"a@h\"]", false }, /* not across values */
	{ "emails.type eq \"work\" and emails.value eq \"a@h\"", true },
	{ "emails[not (type eq \"work\")]", true },
	{ "name[givenName eq \"ann\"]", true },
	{ "not (active eq true)", false },
	{ "active eq false and age gt 1 or id eq \"Ab\"", true }, /* and binds closer */
	{ "active eq false and (age gt 1 or id eq \"Ab\")", false },
	{ "urn:ietf:params:scim:schemas:core:2.0:User:name.givenName eq \"ann\"", true },
	{ "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department eq \"ops\"",
	  true },
	{ "userName eq \"\\u0061nn@contoso.example\"", true },
};

static const struct {
	const char *filter, *why;
} wrongs[] = {
	{ "", "name" },
	{ "userName", "operator" },
	{ "userName eq", "value" },
	{ "userName eq ann", "value" },
	{ "userName eq 'ann'", "value" },
	{ "userName is \"a\"", "operator" },
	{ "userName eq \"a", "value" },
	{ "userName eq \"a\" and", "name" },
	{ "userName eq \"a\" userName eq \"b\"", "'and'" },
	{ "(userName pr", "')'" },
	{ "userName pr)", "'and'" },
	{ "emails[type eq \"work\"", "']'" },
	{ "emails[]", "name" },
	{ "active gt true", "text" },
	{ "a.b.c eq 1", "sub-attribute" },
	{ "1 eq 1", "name" },
	{ "a eq {}", "value" },
	{ "not (a pr", "')'" },
	{ "((((((((((((((((((a pr))))))))))))))))))", "nesting" },
};

static const struct {
	const char *text, *attr, *sub;
	bool has_filter;
} paths[] = {
	{ "active", "active", NULL, false },
	{ "name.familyName", "name", "familyName", false },
	{ "members[value eq \"1\"]", "members", NULL, true },
	{ "emails[type eq \"work\"].value", "emails", "value", true },
	{ "urn:ietf:params:scim:schemas:core:2.0:User:title", "title", NULL, false },
	{ "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager",
	  "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User", "manager", false },
	{ "emails[", NULL, NULL, false },
	{ "emails[type eq \"a\"].b.c", NULL, NULL, false },
	{ "emails]", NULL, NULL, false },
	{ "a b", NULL, NULL, false },
	{ "", NULL, NULL, false },
};

static void
filters_mean_what_the_standard_says(void **state)
{
	json_t *j = json_loads(resource, 0, NULL);
	const struct scim_filter *f;
	AUTO_ARENA a = { 0 };
	struct err e;

	for (size_t i = 0; i < COUNT(meanings); i++) {
		if (scim_filter_parse(&a, meanings[i].filter, &f, &e) < 0)
			fail_msg("%s: %s", meanings[i].filter, e.text);
		if (scim_filter_matches(f, j) != meanings[i].matches)
			fail_msg("%s: should%s match", meanings[i].filter,
				 meanings[i].matches ? "" : " not");
	}
	json_decref(j);
}

static void
a_wrong_filter_is_refused_with_the_reason(void **state)
{
	const struct scim_filter *f;
	AUTO_ARENA a = { 0 };

	for (size_t i = 0; i < COUNT(wrongs); i++) {
		struct err e = { 0 };

		if (scim_filter_parse(&a, wrongs[i].filter, &f, &e) == 0)
			fail_msg("%s: was taken", wrongs[i].filter);
		if (!strstr(e.text, wrongs[i].why))
			fail_msg("%s: %s", wrongs[i].filter, e.text);
	}
}

static void
paths_name_an_attribute(void **state)
{
	AUTO_ARENA a = { 0 };

	for (size_t i = 0; i < COUNT(paths); i++) {
		struct scim_path p;
		struct err e = { 0 };
		int r = scim_path_parse(&a, paths[i].text, &p, &e);

		if ((r == 0) != (paths[i].attr != NULL))
			fail_msg("%s: %d %s", paths[i].text, r, e.text);
		if (r < 0)
			continue;
		assert_string_equal(p.attr, paths[i].attr);
		assert_string_equal(p.sub ? p.sub : "", paths[i].sub ? paths[i].sub : "");
		assert_int_equal(p.filter != NULL, paths[i].has_filter);
	}
}

static void
an_index_is_used_only_for_what_must_hold(void **state)
{
	static const struct {
		const char *filter, *user;
	} rows[] = {
		{ "userName eq \"a\"", "a" },
		{ "active eq true and userName eq \"a\"", "a" },
		{ "userName eq \"a\" or active eq true", NULL },
		{ "not (userName eq \"a\")", NULL },
		{ "userName co \"a\"", NULL },
		{ "userName eq true", NULL },
		{ "emails[userName eq \"a\"]", NULL },
	};
	const struct scim_filter *f;
	AUTO_ARENA a = { 0 };

	for (size_t i = 0; i < COUNT(rows); i++) {
		const char *got;

		assert_int_equal(scim_filter_parse(&a, rows[i].filter, &f, NULL), 0);
		got = scim_filter_equals(f, "userName");
		assert_string_equal(got ? got : "none", rows[i].user ? rows[i].user : "none");
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(filters_mean_what_the_standard_says),
		cmocka_unit_test(a_wrong_filter_is_refused_with_the_reason),
		cmocka_unit_test(paths_name_an_attribute),
		cmocka_unit_test(an_index_is_used_only_for_what_must_hold),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
