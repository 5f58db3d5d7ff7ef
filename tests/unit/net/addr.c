/* net: addresses and prefixes parse, print, order and contain. */
#include "../test.h"

#include "net/addr.h"
#include "net/ids.h"

static struct prefix
pfx(const char *s)
{
	struct prefix p;

	assert_int_equal(prefix_parse(s, &p, NULL), 0);
	return p;
}

static void
prefixes_round_trip(void **state)
{
	static const char *const good[] = { "0.0.0.0/0",     "10.0.0.0/8", "10.1.2.3/32",
					    "2001:db8::/32", "::/0",       "fd00::1/128" };
	static const char *const bad[] = { "10.0.0.1/8",  "10.0.0.0/33", "10.0.0.0",
					   "10.0.0/8",    "x/8",         "10.0.0.0/",
					   "10.0.0.0/8x", "10.0.0.0/-1", "::1/64",
					   "10.0.0.0/ 8" };
	char out[PREFIX_TEXT];
	struct prefix p;

	for (size_t i = 0; i < COUNT(good); i++) {
		p = pfx(good[i]);
		assert_string_equal(prefix_format(&p, out), good[i]);
	}
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_int_equal(prefix_parse(bad[i], &p, NULL), -EINVAL);
}

static void
prefixes_contain(void **state)
{
	struct prefix a = pfx("10.0.0.0/9"), b = pfx("10.64.0.0/10"), c = pfx("10.128.0.0/9");
	struct prefix d = pfx("0.0.0.0/0"), e = pfx("::/0");
	struct addr n = prefix_nth(&b, 257);
	char out[ADDR_TEXT];

	assert_true(prefix_covers(&a, &b));
	assert_false(prefix_covers(&b, &a));
	assert_true(prefix_overlaps(&b, &a));
	assert_false(prefix_overlaps(&a, &c));
	assert_true(prefix_covers(&d, &c));
	assert_false(prefix_covers(&e, &c));
	assert_string_equal(addr_format(&n, out), "10.64.1.1");
	assert_true(prefix_compare(&a, &b) < 0);
}

static void
keys_and_targets(void **state)
{
	struct fabric_key k = fabric_key_make((struct fabric_number){ 0xabcde }, 5);
	struct ext_community rt;
	char out[EXT_COMMUNITY_TEXT], rd[RD_TEXT];

	assert_int_equal(k.v, 0xabcde005);
	assert_int_equal(fabric_key_number(fabric_key_local_only(k)).v, 0xabcde);
	assert_int_equal(fabric_key_local_only(k).v, 0xabcde805);
	assert_int_equal(rt_parse("rt:12076:703710", &rt, NULL), 0);
	assert_true(rt.v == rt_make(12076, (struct fabric_number){ 703710 }).v);
	assert_true(ext_community_is_rt(rt));
	assert_string_equal(ext_community_format(rt, out), "rt:12076:703710");
	assert_string_equal(rd_format(rd_make(12076, 1, (struct fabric_number){ 2 }), rd),
			    "12076:1048578");
	assert_int_equal(rt_parse("70000:1", &rt, NULL), -EINVAL);
}

static void
macs(void **state)
{
	struct mac m;
	char out[MAC_TEXT];

	assert_int_equal(mac_parse("02:00:5e:10:00:ff", &m, NULL), 0);
	assert_string_equal(mac_format(&m, out), "02:00:5e:10:00:ff");
	assert_int_equal(mac_parse("02:00:5e:10:00:f", &m, NULL), -EINVAL);
	assert_int_equal(mac_parse("02:00:5e:10:00:fg", &m, NULL), -EINVAL);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(prefixes_round_trip),
		cmocka_unit_test(prefixes_contain),
		cmocka_unit_test(keys_and_targets),
		cmocka_unit_test(macs),
	};

	return cmocka_run_group_tests_name("net", tests, NULL, NULL);
}
