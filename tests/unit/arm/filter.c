/* $filter: what is read, what is refused, what matches. */
#include "../test.h"

#include "arm/filter.h"

static const char *const fields[] = { "name", "location", "tagName", "tagValue", NULL };

struct thing {
	const char *name, *location;
};

static bool
test(void *arg, const struct filter *f)
{
	const struct thing *t = arg;

	return filter_compare(f, strcmp(f->field, "name") ? t->location : t->name);
}

/* verdicts: one letter for each of things: y, n; NULL: refused, with this in its text. */
static const struct {
	const char *text, *verdicts, *refusal;
} table[] = {
	{ "", "yyy", NULL },
	{ "  ", "yyy", NULL },
	{ "name eq 'one'", "ynn", NULL },
	{ "NAME EQ 'ONE'", "ynn", NULL },
	{ "name ne 'one'", "nyy", NULL },
	{ "name eq 'one' or name eq 'two'", "yyn", NULL },
	{ "name eq 'one' or name eq 'two' and location eq 'b'", "yyn", NULL },
	{ "(name eq 'one' or name eq 'two') and location eq 'b'", "nyn", NULL },
	{ "not (location eq 'b')", "yny", NULL },
	{ "location ne 'b'", "yny", NULL }, /* absent is not 'b' */
	{ "location eq 'it''s'", "nnn", NULL },
	{ "substringof('e', name)", "yny", NULL },
	{ "startswith(name,'t')", "nyy", NULL },
	{ "contains(name, 'wo')", "nyn", NULL },
	{ "name ge 'p'", "nyy", NULL },
	{ "name lt p", "ynn", NULL },
	{ "name", NULL, "eq, ne" },
	{ "name eq", NULL, "literal" },
	{ "name eq 'one", NULL, "closing quote" },
	{ "name eq 'one' and", NULL, "cannot be asked for" },
	{ "name eq 'one' name eq 'two'", NULL, "'and', 'or' or the end" },
	{ "(name eq 'one'", NULL, ")" },
	{ "colour eq 'red'", NULL, "name, location, tagName, tagValue" },
	{ "eq eq eq", NULL, "cannot be asked for" },
	{ "substringof(name, 'x')", NULL, "cannot be asked for" },
	{ "((((((((((((((((((name eq 'a'))))))))))))))))))", NULL, "less nesting" },
	{ "not not not not not not not not not not not not not not not not not name eq 'a'", NULL,
	  "less nesting" },
};

static void
a_filter_is_read_and_matched(void **state)
{
	struct thing things[] = { { "one", "a" }, { "two", "b" }, { "three", NULL } };

	for (size_t i = 0; i < COUNT(table); i++) {
		AUTO_ARENA a = { 0 };
		struct arm_error e = { .arena = &a };
		struct filter *f;
		int r = filter_parse(&a, table[i].text, fields, &f, &e);

		if (!table[i].verdicts) {
			if (r != -EBADE || e.status != 400 || !strstr(e.message, table[i].refusal))
				fail_msg("%s: %d %s", table[i].text, r, e.message ? e.message : "");
			continue;
		}
		if (r < 0)
			fail_msg("%s: %s", table[i].text, e.message);
		for (size_t k = 0; k < COUNT(things); k++)
			if (filter_matches(f, test, &things[k]) != (table[i].verdicts[k] == 'y'))
				fail_msg("%s: wrong for %s", table[i].text, things[k].name);
	}
}

static void
what_must_hold_is_found(void **state)
{
	AUTO_ARENA a = { 0 };
	struct arm_error e = { .arena = &a };
	struct filter *f;

	assert_int_equal(filter_parse(&a, "location eq 'b' and (name eq 'x' and tagName eq 't')",
				      fields, &f, &e),
			 0);
	assert_string_equal(filter_must(f, "name", FILTER_EQ)->value, "x");
	assert_null(filter_must(f, "name", FILTER_GE));
	assert_int_equal(filter_parse(&a, "location eq 'b' or name eq 'x'", fields, &f, &e), 0);
	assert_null(filter_must(f, "name", FILTER_EQ));
	assert_int_equal(filter_parse(&a, "not (name eq 'x')", fields, &f, &e), 0);
	assert_null(filter_must(f, "name", FILTER_EQ));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_filter_is_read_and_matched),
		cmocka_unit_test(what_must_hold_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
