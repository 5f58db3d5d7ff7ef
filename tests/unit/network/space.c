/* Address plans by their borders. */
#include "../test.h"

#include "network/space.h"

static void
prefixes_by_their_borders(void **state)
{
	static const struct {
		const char *text;
		bool is_space, is_subnet;
	} of[] = {
		{ "10.0.0.0/8", true, true },
		{ "10.0.0.0/29", true, true },
		{ "10.0.0.0/30", false, false },
		{ "128.0.0.0/2", false, false },
		{ "64.0.0.0/2", false, false },
		{ "10.0.0.1/24", false, false },
		{ "0.0.0.0/8", false, false },
		{ "127.0.0.0/24", false, false },
		{ "169.254.0.0/24", false, false },
		{ "224.0.0.0/8", false, false },
		{ "168.63.129.0/24", false, false },
		{ "168.63.130.0/24", true, true },
		{ "fd00::/48", true, false },
		{ "fd00::/64", true, true },
		{ "fd00::/65", false, false },
		{ "2001:db8::/32", true, false },
		{ "fe80::/64", false, false },
		{ "ff00::/16", false, false },
		{ "fc00::/7", true, false },
		{ "::/64", false, false },
		{ "x", false, false },
		{ "10.0.0.0", false, false },
		{ "", false, false },
	};

	for (size_t i = 0; i < COUNT(of); i++) {
		struct prefix p;
		struct err e;

		if ((space_prefix(of[i].text, &p, &e) == 0) != of[i].is_space ||
		    (space_subnet_prefix(of[i].text, &p, &e) == 0) != of[i].is_subnet)
			fail_msg("%s", of[i].text);
	}
}

static void
five_addresses_are_reserved(void **state)
{
	static const struct {
		const char *subnet, *address;
		enum space_verdict want;
	} of[] = {
		{ "10.1.0.0/24", "10.1.0.0", SPACE_RESERVED },
		{ "10.1.0.0/24", "10.1.0.254", SPACE_FINE },
		{ "10.1.0.0/24", "10.1.0.255", SPACE_RESERVED },
		{ "10.0.0.0/29", "10.0.0.3", SPACE_RESERVED },
		{ "10.0.0.0/29", "10.0.0.4", SPACE_FINE },
		{ "10.0.0.0/29", "10.0.0.6", SPACE_FINE },
		{ "10.0.0.0/29", "10.0.0.7", SPACE_RESERVED },
		{ "10.0.0.0/29", "10.0.0.8", SPACE_OUTSIDE },
		{ "10.0.0.0/29", "fd00::4", SPACE_OUTSIDE },
		{ "fd00::/64", "fd00::3", SPACE_RESERVED },
		{ "fd00::/64", "fd00::4", SPACE_FINE },
		{ "fd00::/64", "fd00::ffff:ffff:ffff:fffe", SPACE_FINE },
		{ "fd00::/64", "fd00::ffff:ffff:ffff:ffff", SPACE_RESERVED },
		{ "fd00::/64", "fd00:0:0:1::4", SPACE_OUTSIDE },
	};

	for (size_t i = 0; i < COUNT(of); i++) {
		struct prefix p;
		struct addr a;
		struct err e;

		assert_int_equal(space_subnet_prefix(of[i].subnet, &p, &e), 0);
		assert_int_equal(addr_parse(of[i].address, &a, &e), 0);
		if (space_verdict(&p, &a) != of[i].want)
			fail_msg("%s in %s", of[i].address, of[i].subnet);
	}
}

static void
numbers_and_addresses_are_one(void **state)
{
	static const char *const of[][2] = { { "10.0.0.0/24", "10.0.0.17" },
					     { "fd00:1:2:3::/64", "fd00:1:2:3::17" },
					     { "fd00:1:2:3::/64", "fd00:1:2:3:8000::1" } };

	for (size_t i = 0; i < COUNT(of); i++) {
		struct prefix p;
		struct addr a, b;
		struct err e;

		assert_int_equal(prefix_parse(of[i][0], &p, &e), 0);
		assert_int_equal(addr_parse(of[i][1], &a, &e), 0);
		b = space_address(&p, space_number(&a));
		assert_true(addr_equal(&a, &b));
	}
	struct prefix tiny = { addr_v4(0x0a000000), 29 };

	assert_int_equal(space_size(&tiny), 3);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(prefixes_by_their_borders),
		cmocka_unit_test(five_addresses_are_reserved),
		cmocka_unit_test(numbers_and_addresses_are_one),
	};

	return cmocka_run_group_tests_name("space", tests, NULL, NULL);
}
