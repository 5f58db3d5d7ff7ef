/* The rules, each by its borders. */
#include "../test.h"

#include "network/rules.h"

static struct catalogue *cat;

static int
open_catalogue(void **state)
{
	static const char text[] =
		"geopoliticalRegions: [{name: Europe}, {name: America}]\n"
		"regions:\n"
		"  - {name: west, displayName: West, geopoliticalRegion: Europe}\n"
		"  - {name: north, displayName: North, geopoliticalRegion: Europe}\n"
		"  - {name: east, displayName: East, geopoliticalRegion: America}\n"
		"peeringLocations:\n"
		"  - {name: A, facility: f, geopoliticalRegion: Europe, zone: 1, localRegions: [west]}\n"
		"  - {name: B, facility: f, geopoliticalRegion: Europe, zone: 1}\n"
		"providers:\n"
		"  - {name: P, layer: 2, models: [exchange], bandwidthsInMbps: [50, 200, 1000],\n"
		"     locations: [{name: A}]}\n"
		"limits:\n"
		"  - {circuitsPerSubscription: 50, circuitsPerRegion: 10, linksStandard: 10,\n"
		"     linksSameLocation: 4, routesStandard: 4000, routesPremium: 10000,\n"
		"     routesMicrosoft: 200, localMinimumMbps: 1000, maxRoutingWeight: 32000,\n"
		"     addressSpacesPerVnet: 200, authorizationsPerCircuit: 10, cloudAsn: 12076,\n"
		"     subnetsPerVnet: 3000, peeringsPerVnet: 500, rulesPerNsg: 1000,\n"
		"     routesPerTable: 400, privateCommunityBase: 50000, routesIpv6: 100,\n"
		"     directOversubscription: 2, directCircuits: [],\n"
		"     gatewayAsn: 65515,\n"
		"     linksPremium: [{upToMbps: 50, links: 20}, {upToMbps: 500, links: 40}],\n"
		"     reservedAsns: [{first: 12076, last: 12076}, {first: 65515, last: 65520}]}\n";
	struct catalogue_text t = { "t.yaml", text, sizeof(text) - 1 };
	struct err e = { 0 };

	if (catalogue_parse(&t, 1, &cat, &e) < 0)
		fail_msg("%s", e.text);
	return 0;
}

static int
close_catalogue(void **state)
{
	catalogue_destroy(cat);
	return 0;
}

static void
a_link_gives_the_customer_the_first_address(void **state)
{
	struct link_addresses l;
	struct err e;
	char t[ADDR_TEXT];

	assert_int_equal(rule_link_prefix("192.168.100.128/30", &l, &e), 0);
	assert_string_equal(addr_format(&l.customer, t), "192.168.100.129");
	assert_string_equal(addr_format(&l.edge, t), "192.168.100.130");
	static const char *const bad[] = { "192.168.100.128/29", "192.168.100.129/30",
					   "192.168.100.128",    "",
					   "fd00::/126",         "224.0.0.0/30",
					   "127.0.0.4/30",       "0.0.0.0/30" };

	for (size_t i = 0; i < COUNT(bad); i++)
		assert_int_equal(rule_link_prefix(bad[i], &l, &e), -EINVAL);
}

static void
a_29_splits_in_two(void **state)
{
	struct prefix p[2];
	struct err e;
	char t[PREFIX_TEXT];

	assert_int_equal(rule_split_29("192.168.100.128/29", p, &e), 0);
	assert_string_equal(prefix_format(&p[0], t), "192.168.100.128/30");
	assert_string_equal(prefix_format(&p[1], t), "192.168.100.132/30");
	assert_int_equal(rule_split_29("192.168.100.128/30", p, &e), -EINVAL);
	assert_int_equal(rule_split_29("192.168.100.132/29", p, &e), -EINVAL);
}

static void
reserved_as_numbers_are_refused(void **state)
{
	const struct catalogue_limits *l = catalogue_limits(cat);
	struct err e;

	assert_int_equal(rule_peer_asn(l, 65001, &e), 0);
	assert_int_equal(rule_peer_asn(l, 4294967294, &e), 0);
	assert_int_equal(rule_peer_asn(l, 65514, &e), 0);
	assert_int_equal(rule_peer_asn(l, 65521, &e), 0);
	static const int64_t bad[] = { 0, -1, 12076, 65515, 65520, 4294967296 };

	for (size_t i = 0; i < COUNT(bad); i++)
		assert_int_equal(rule_peer_asn(l, bad[i], &e), -EINVAL);
}

static void
a_shared_key_has_25_letters_and_digits(void **state)
{
	struct err e;

	assert_int_equal(rule_shared_key("", &e), 0);
	assert_int_equal(rule_shared_key("A1B2C3D4E5F6G7H8I9J0K1L2M", &e), 0);
	assert_int_equal(rule_shared_key("A1B2C3D4E5F6G7H8I9J0K1L2M3", &e), -EINVAL);
	assert_int_equal(rule_shared_key("with blank", &e), -EINVAL);
	assert_int_equal(rule_shared_key("sch\xc3\xb6n", &e), -EINVAL);
}

static void
skus_change_only_as_sold(void **state)
{
	/* clang-format off */
	static const struct { const char *ft, *ff, *tt, *tf; int r; } cases[] = {
		{ "Standard", "MeteredData", "Premium", "MeteredData", 0 },
		{ "Premium", "MeteredData", "Standard", "MeteredData", 0 },
		{ "Standard", "MeteredData", "standard", "unlimiteddata", 0 },
		{ "Standard", "UnlimitedData", "Standard", "MeteredData", -EINVAL },
		{ "Standard", "UnlimitedData", "Local", "UnlimitedData", -EINVAL },
		{ "Local", "UnlimitedData", "Standard", "UnlimitedData", 0 },
		{ "Local", "UnlimitedData", "Local", "UnlimitedData", 0 },
		{ "Standard", "MeteredData", "Golden", "MeteredData", -EINVAL },
	};
	/* clang-format on */
	struct err e;

	for (size_t i = 0; i < COUNT(cases); i++)
		assert_int_equal(rule_sku_change(sku_parse(cases[i].ft, cases[i].ff),
						 sku_parse(cases[i].tt, cases[i].tf), &e),
				 cases[i].r);
}

static void
local_has_conditions(void **state)
{
	const struct catalogue_limits *l = catalogue_limits(cat);
	const struct catalogue_location *a = catalogue_location(cat, "A");
	const struct catalogue_location *b = catalogue_location(cat, "B");
	struct sku local = { TIER_LOCAL, FAMILY_UNLIMITED };
	struct err e;

	assert_int_equal(rule_sku_new(l, a, local, 1000, &e), 0);
	assert_int_equal(rule_sku_new(l, a, local, 500, &e), -EINVAL);
	assert_int_equal(rule_sku_new(l, b, local, 1000, &e), -EINVAL);
	local.family = FAMILY_METERED;
	assert_int_equal(rule_sku_new(l, a, local, 1000, &e), -EINVAL);
}

static void
bandwidth_is_offered_and_grows(void **state)
{
	const struct catalogue_provider *p = catalogue_provider(cat, "P");
	const struct catalogue_offer *o = catalogue_offer(p, "A");
	struct err e;

	assert_int_equal(rule_bandwidth_new(p, o, 200, &e), 0);
	assert_int_equal(rule_bandwidth_new(p, o, 201, &e), -EINVAL);
	assert_string_equal(e.text,
			    "P does not offer 201 Mbps at A; it offers 50Mbps, 200Mbps, 1Gbps");
	assert_int_equal(rule_bandwidth_change(200, 1000, &e), 0);
	assert_int_equal(rule_bandwidth_change(200, 200, &e), 0);
	assert_int_equal(rule_bandwidth_change(200, 50, &e), -EINVAL);
}

static void
links_and_reach_follow_the_tier(void **state)
{
	const struct catalogue_limits *l = catalogue_limits(cat);
	const struct catalogue_location *a = catalogue_location(cat, "A");
	struct err e;

	assert_int_equal(rule_max_links(l, TIER_STANDARD, 10000), 10);
	assert_int_equal(rule_max_links(l, TIER_PREMIUM, 50), 20);
	assert_int_equal(rule_max_links(l, TIER_PREMIUM, 51), 40);
	assert_int_equal(rule_max_links(l, TIER_PREMIUM, 99999), 40);
	assert_int_equal(rule_max_routes(l, TIER_STANDARD), 4000);
	assert_int_equal(rule_max_routes(l, TIER_PREMIUM), 10000);
	/* clang-format off */
	static const struct { const char *region; enum sku_tier t; int r; } cases[] = {
		{ "west", TIER_LOCAL, 0 },     { "north", TIER_LOCAL, -EINVAL },
		{ "north", TIER_STANDARD, 0 }, { "east", TIER_STANDARD, -EINVAL },
		{ "east", TIER_PREMIUM, 0 },
	};
	/* clang-format on */

	for (size_t i = 0; i < COUNT(cases); i++)
		assert_int_equal(rule_reach(cases[i].t, a, catalogue_region(cat, cases[i].region),
					    &e),
				 cases[i].r);
}

static void
provider_states_follow_the_table(void **state)
{
	static const char *const legal[] = { "0>0", "0>1", "0>2", "1>0", "1>1", "1>2",
					     "2>0", "2>2", "2>3", "3>0", "3>2", "3>3" };
	struct err e;

	for (int from = 0; from < PROVIDER_STATES; from++)
		for (int to = 0; to < PROVIDER_STATES; to++) {
			bool want = false;

			for (size_t i = 0; i < COUNT(legal); i++)
				want |= legal[i][0] - '0' == from && legal[i][2] - '0' == to;
			assert_int_equal(rule_provider_state((enum provider_state)from,
							     (enum provider_state)to, &e),
					 want ? 0 : -EINVAL);
		}
	assert_int_equal(provider_state_parse("provisioned"), PROVIDER_PROVISIONED);
	assert_int_equal(provider_state_parse("Lost"), PROVIDER_STATES);
	assert_int_equal(provider_state_parse(NULL), PROVIDER_STATES);
}

static void
subnets_keep_five_addresses(void **state)
{
	struct prefix p;
	struct addr a;
	struct err e;

	assert_int_equal(rule_vnet_prefix("10.1.0.0/24", &p, &e), 0);
	struct host_range r = subnet_host_range(&p);

	assert_int_equal(r.first, 0x0a010004);
	assert_int_equal(r.last, 0x0a0100fe);
	/* clang-format off */
	static const struct { const char *a; enum address_verdict v; } cases[] = {
		{ "10.1.0.3", ADDRESS_RESERVED }, { "10.1.0.4", ADDRESS_FINE },
		{ "10.1.0.254", ADDRESS_FINE },   { "10.1.0.255", ADDRESS_RESERVED },
		{ "10.1.1.0", ADDRESS_OUTSIDE },  { "10.1.0.0", ADDRESS_RESERVED },
	};
	/* clang-format on */

	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_int_equal(addr_parse(cases[i].a, &a, &e), 0);
		assert_int_equal(subnet_address_verdict(&p, &a), cases[i].v);
	}
	assert_int_equal(rule_vnet_prefix("10.1.0.0/29", &p, &e), 0);
	r = subnet_host_range(&p);
	assert_int_equal(r.last - r.first + 1, 3);
	assert_int_equal(rule_vnet_prefix("10.1.0.0/30", &p, &e), -EINVAL);
	assert_int_equal(rule_vnet_prefix("10.1.0.1/24", &p, &e), -EINVAL);
	assert_int_equal(rule_vnet_prefix("0.0.0.0/0", &p, &e), -EINVAL);
}

static void
macs_are_local_and_distinct(void **state)
{
	char t[MAC_TEXT];
	struct mac m = nic_mac(0x010203);

	assert_string_equal(mac_format(&m, t), "02:57:4c:01:02:03");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_link_gives_the_customer_the_first_address),
		cmocka_unit_test(a_29_splits_in_two),
		cmocka_unit_test(reserved_as_numbers_are_refused),
		cmocka_unit_test(a_shared_key_has_25_letters_and_digits),
		cmocka_unit_test(skus_change_only_as_sold),
		cmocka_unit_test(local_has_conditions),
		cmocka_unit_test(bandwidth_is_offered_and_grows),
		cmocka_unit_test(links_and_reach_follow_the_tier),
		cmocka_unit_test(provider_states_follow_the_table),
		cmocka_unit_test(subnets_keep_five_addresses),
		cmocka_unit_test(macs_are_local_and_distinct),
	};

	return cmocka_run_group_tests(tests, open_catalogue, close_catalogue);
}
