/* Connections are counted by the client's network. */
#include "../test.h"

#include "http/clients.h"

#include <arpa/inet.h>

static struct addr
network(const char *text)
{
	struct sockaddr_in6 six = { .sin6_family = AF_INET6 };
	struct sockaddr_in four = { .sin_family = AF_INET };

	if (inet_pton(AF_INET6, text, &six.sin6_addr) == 1)
		return clients_network((const struct sockaddr *)&six);
	assert_int_equal(inet_pton(AF_INET, text, &four.sin_addr), 1);
	return clients_network((const struct sockaddr *)&four);
}

static bool
have_room(const struct clients *c, const char *text)
{
	const struct addr a = network(text);

	return clients_have_room(c, &a);
}

static void
count(struct clients *c, const char *text, int more)
{
	const struct addr a = network(text);

	clients_count(c, &a, more);
}

static void
an_ipv6_customer_is_one(void **state)
{
	struct clients c = { .max = 2 };

	count(&c, "2001:db8:1:2::1", 1);
	assert_true(have_room(&c, "2001:db8:1:2::2"));
	count(&c, "2001:db8:1:2:ffff::2", 1);
	assert_false(have_room(&c, "2001:db8:1:2::3"));
	assert_true(have_room(&c, "2001:db8:1:3::1"));
	count(&c, "2001:db8:1:2::1", -1);
	assert_true(have_room(&c, "2001:db8:1:2::3"));
	clients_fini(&c);
}

static void
an_ipv4_address_is_one_by_either_socket(void **state)
{
	struct clients c = { .max = 2 };

	count(&c, "192.0.2.1", 1);
	count(&c, "::ffff:192.0.2.1", 1);
	assert_false(have_room(&c, "192.0.2.1"));
	assert_false(have_room(&c, "::ffff:192.0.2.1"));
	assert_true(have_room(&c, "::ffff:192.0.2.2"));
	count(&c, "192.0.2.1", -1);
	count(&c, "192.0.2.1", -1);
	assert_true(have_room(&c, "192.0.2.1"));
	clients_fini(&c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_ipv6_customer_is_one),
		cmocka_unit_test(an_ipv4_address_is_one_by_either_socket),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
