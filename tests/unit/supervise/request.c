#include "../test.h"

#include "supervise/request.h"

static struct keeper_domain
good(void)
{
	return (struct keeper_domain){ .number = 5,
				       .local = addr_v4(0xac100002),
				       .peer = addr_v4(0xac100001),
				       .plen = 30,
				       .mtu = 1500 };
}

static void
a_good_domain_passes(void **state)
{
	struct keeper_domain d = good();

	assert_int_equal(request_check_domain(&d, NULL), 0);
	d.mtu = 0;
	d.flags = KEEPER_DOMAIN_BFD | KEEPER_DOMAIN_GTSM;
	d.key.len = KEEPER_KEY_MAX;
	assert_int_equal(request_check_domain(&d, NULL), 0);
}

#define REFUSED(change) \
	do { \
		struct keeper_domain d = good(); \
		struct err e = { 0 }; \
		change; \
		assert_int_equal(request_check_domain(&d, &e), -EINVAL); \
		assert_true(e.text[0]); \
	} while (0)

static void
everything_else_is_refused(void **state)
{
	REFUSED(d.number = 0);
	REFUSED(d.number = 1u << 20);
	REFUSED(d.flags = 4);
	REFUSED(d.plen = 23);
	REFUSED(d.plen = 32);
	REFUSED(d.plen = 255);
	REFUSED(d.peer = addr_v4(0xac100005)); /* another subnet */
	REFUSED(d.peer = d.local);
	REFUSED(d.local = addr_v4(0x7f000001));
	REFUSED(d.local = addr_v4(0xe0000001));
	REFUSED(d.local = addr_v4(0));
	REFUSED(d.local.family = NET_V6);
	REFUSED(d.local.family = 9);
	REFUSED(d.local.b[7] = 1); /* bytes where none belong */
	REFUSED(d.mtu = 100);
	REFUSED(d.mtu = 9000); /* the packet path has no fragments */
	REFUSED(d.mac.b[0] = 1);
	REFUSED(d.key.len = KEEPER_KEY_MAX + 1);
}

static void
interface_names(void **state)
{
	static const char *const bad[] = { "", ".", "..", ".x", "a/b", "a b", "a\n", "a:1", "a%d" };
	char full[KEEPER_IFNAME];

	for (size_t i = 0; i < COUNT(bad); i++) {
		char name[KEEPER_IFNAME] = { 0 };

		memcpy(name, bad[i], strlen(bad[i]));
		assert_int_equal(request_check_ifname(name, NULL), -EINVAL);
	}
	memset(full, 'a', sizeof(full)); /* no end */
	assert_int_equal(request_check_ifname(full, NULL), -EINVAL);
	full[15] = '\0';
	assert_int_equal(request_check_ifname(full, NULL), 0);
}

static void
dial_requests(void **state)
{
	struct keeper_dial d = { .domain = 0,
				 .local = addr_v4(0x0aff0001),
				 .peer = addr_v4(0x0aff0002) };

	assert_int_equal(request_check_dial(&d, NULL), 0);
	d.domain = 1u << 20;
	assert_int_equal(request_check_dial(&d, NULL), -EINVAL);
	d.domain = 1;
	d.key.len = 200;
	assert_int_equal(request_check_dial(&d, NULL), -EINVAL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_good_domain_passes),
		cmocka_unit_test(everything_else_is_refused),
		cmocka_unit_test(interface_names),
		cmocka_unit_test(dial_requests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
