/* The letter of authorization: a PDF whose parts are where it says. */
#include "../test.h"

#include "network/loa.h"

static const struct loa sample = {
	.customer = "M\xc3\xbcller (Gro\xc3\x9fhandel) \\ S\xc3\xb6hne \xe2\x82\xac",
	.date = "2026-11-23",
	.port = "p",
	.guid = "00000000-0000-0000-0000-000000000001",
	.location = "Amsterdam",
	.facility = "Equinix AM5",
	.gbps = 10,
	.links = { { "edge-a", "eth1", "PP:1", "A01", "LC" }, { "edge-b", "eth1", "", "", "LC" } },
};

static void
every_object_is_where_the_table_says(void **state)
{
	AUTO_BUF b = { 0 };
	unsigned n_objects = 0;

	loa_write(&sample, &b);
	const char *s = buf_str(&b), *trailer = strstr(s, "startxref\n");

	assert_memory_equal(s, "%PDF-1.4\n", 9);
	assert_non_null(trailer);
	assert_string_equal(s + b.n - 6, "%%EOF\n");
	const char *xref = s + strtoul(trailer + 10, NULL, 10);

	assert_memory_equal(xref, "xref\n0 7\n", 9);
	for (const char *row = xref + 9 + 20; row[17] == 'n'; row += 20) {
		char want[16];

		snprintf(want, sizeof(want), "%u 0 obj\n", ++n_objects);
		assert_memory_equal(s + strtoul(row, NULL, 10), want, strlen(want));
	}
	assert_int_equal(n_objects, 6);
	/* the stream's length is what stands between its words */
	const char *length = strstr(s, "/Length "), *begin = strstr(length, "stream\n") + 7;

	assert_int_equal(strtoul(length + 8, NULL, 10), strstr(begin, "endstream") - begin);
}

static void
texts_are_escaped(void **state)
{
	AUTO_BUF b = { 0 };

	loa_write(&sample, &b);
	const char *s = buf_str(&b);

	assert_non_null(strstr(s, "(M\\374ller \\(Gro\\337handel\\) \\\\ S\\366hne ?) Tj"));
	assert_non_null(strstr(s, "(PP:1) Tj"));
	assert_non_null(strstr(s, "(to be named by the operator) Tj"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_object_is_where_the_table_says),
		cmocka_unit_test(texts_are_escaped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
