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
macs_are_local_and_distinct(void **state)
{
	char t[MAC_TEXT];
	struct mac m = nic_mac(0x010203);

	assert_string_equal(mac_format(&m, t), "02:57:4c:01:02:03");
}

static void
an_ipv6_link_is_a_126(void **state)
{
	struct link_addresses l;
	struct err e;
	char t[ADDR_TEXT];

	assert_int_equal(rule_link_prefix6("2001:db8::4/126", &l, &e), 0);
	assert_string_equal(addr_format(&l.customer, t), "2001:db8::5");
	assert_string_equal(addr_format(&l.edge, t), "2001:db8::6");
	static const char *const bad[] = { "2001:db8::/125", "2001:db8::1/126",
					   "fe80::/126",     "ff02::/126",
					   "::/126",         "::ffff:10.0.0.0/126",
					   "10.0.0.0/30",    "" };

	for (size_t i = 0; i < COUNT(bad); i++)
		assert_int_equal(rule_link_prefix6(bad[i], &l, &e), -EINVAL);
}

static void
what_is_announced_is_public(void **state)
{
	/* clang-format off */
	static const struct { const char *text; int r; } cases[] = {
		{ "198.51.100.0/24", 0 },     { "2001:db8::/32", 0 },    { "8.8.8.8/32", 0 },
		{ "10.0.0.0/8", -EINVAL },    { "9.0.0.0/7", -EINVAL },  { "172.31.255.0/24", -EINVAL },
		{ "172.32.0.0/16", 0 },       { "192.168.1.0/24", -EINVAL }, { "100.64.0.0/10", -EINVAL },
		{ "100.128.0.0/16", 0 },      { "fd00::/64", -EINVAL },  { "0.0.0.0/0", -EINVAL },
		{ "::/0", -EINVAL },          { "224.0.0.0/4", -EINVAL }, { "198.51.100.1/24", -EINVAL },
		{ "text", -EINVAL },          { "", -EINVAL },
	};
	/* clang-format on */
	struct prefix p;
	struct err e;

	for (size_t i = 0; i < COUNT(cases); i++)
		assert_int_equal(rule_advertised_prefix(cases[i].text, &p, &e), cases[i].r);
}

static void
global_reach_takes_a_29_or_a_125(void **state)
{
	/* clang-format off */
	static const struct { const char *text; uint8_t family; int r; } cases[] = {
		{ "10.0.0.0/29", NET_V4, 0 },       { "10.0.0.0/30", NET_V4, -EINVAL },
		{ "10.0.0.4/29", NET_V4, -EINVAL }, { "127.0.0.0/29", NET_V4, -EINVAL },
		{ "fd00::/125", NET_V6, 0 },        { "fd00::/126", NET_V6, -EINVAL },
		{ "10.0.0.0/29", NET_V6, -EINVAL }, { "fd00::/125", NET_V4, -EINVAL },
	};
	/* clang-format on */
	struct prefix p;
	struct err e;

	for (size_t i = 0; i < COUNT(cases); i++)
		assert_int_equal(rule_reach_prefix(cases[i].text, cases[i].family, &p, &e),
				 cases[i].r);
}

static void
communities_are_the_clouds(void **state)
{
	static const char *const bad[] = { "",
					   "12076",
					   "12076:",
					   "12076:0",
					   ":5010",
					   "65000:1",
					   "12076:65536",
					   "12076:-1",
					   "12076:5010x",
					   " 12076:1",
					   "12076: 1",
					   "99999999999999999999:1" };
	const struct catalogue_limits *l = catalogue_limits(cat);
	uint32_t v;
	struct err e;

	assert_int_equal(rule_community(l, "12076:5010", &v, &e), 0);
	assert_int_equal(v, 5010);
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_int_equal(rule_community(l, bad[i], &v, &e), -EINVAL);
	assert_int_equal(rule_registry("arin", &e), 0);
	assert_int_equal(rule_registry("", &e), -EINVAL);
	assert_int_equal(rule_registry("IANA", &e), -EINVAL);
}

static void
global_reach_follows_the_tiers(void **state)
{
	const struct catalogue_location *a = catalogue_location(cat, "A");
	const struct catalogue_location *b = catalogue_location(cat, "B");
	struct catalogue_geo far = { .name = "Far", .cloud = a->geo->cloud };
	struct catalogue_cloud other = { .name = "Other" };
	struct catalogue_geo national = { .name = "National", .cloud = &other };
	struct catalogue_location c = { .name = "C", .geo = &far },
				  d = { .name = "D", .geo = &national };
	/* clang-format off */
	const struct { enum sku_tier ta; const struct catalogue_location *to; enum sku_tier tb; int r; } cases[] = {
		{ TIER_STANDARD, b, TIER_STANDARD, 0 },       { TIER_PREMIUM, b, TIER_STANDARD, 0 },
		{ TIER_STANDARD, a, TIER_STANDARD, -EINVAL }, { TIER_PREMIUM, a, TIER_PREMIUM, -EINVAL },
		{ TIER_LOCAL, b, TIER_STANDARD, -EINVAL },    { TIER_STANDARD, b, TIER_LOCAL, -EINVAL },
		{ TIER_STANDARD, &c, TIER_PREMIUM, -EINVAL }, { TIER_PREMIUM, &c, TIER_STANDARD, -EINVAL },
		{ TIER_PREMIUM, &c, TIER_PREMIUM, 0 },        { TIER_PREMIUM, &d, TIER_PREMIUM, -EINVAL },
	};
	/* clang-format on */
	struct catalogue_region abroad = { .name = "x", .display = "X", .geo = &national };
	struct err e;

	for (size_t i = 0; i < COUNT(cases); i++)
		assert_int_equal(rule_global_reach(cases[i].ta, a, cases[i].tb, cases[i].to, &e),
				 cases[i].r);
	/* nor does any tier reach a region of another cloud */
	for (int t = TIER_LOCAL; t < TIER_NONE; t++)
		assert_int_equal(rule_reach((enum sku_tier)t, a, &abroad, &e), -EINVAL);
}

static void
direct_circuits_are_cut_to_size(void **state)
{
	static const struct catalogue_direct_circuit sizes[] = { { 10, 1000 },
								 { 10, 2000 },
								 { 100, 40000 } };
	const struct catalogue_limits l = { .direct_circuits = sizes,
					    .n_direct_circuits = COUNT(sizes) };
	struct err e;

	assert_int_equal(rule_direct_bandwidth(&l, 10, 2000, &e), 0);
	assert_int_equal(rule_direct_bandwidth(&l, 100, 40000, &e), 0);
	assert_int_equal(rule_direct_bandwidth(&l, 100, 2000, &e), -EINVAL);
	assert_int_equal(rule_direct_bandwidth(&l, 10, 0, &e), -EINVAL);
	assert_int_equal(rule_direct_bandwidth(&l, 40, 1000, &e), -EINVAL);
}

static void
each_provider_state_allows_its_acts(void **state)
{
	/* NotProvisioned, Provisioning, Provisioned, Deprovisioning */
	static const char *const allowed[CIRCUIT_ACTS] = {
		[CIRCUIT_PEER] = "yyyn",   [CIRCUIT_PEER_PROVIDER] = "yyyn",
		[CIRCUIT_LINK] = "nnyn",   [CIRCUIT_AUTHORIZE] = "yyyn",
		[CIRCUIT_CHANGE] = "ynyn", [CIRCUIT_DELETE] = "ynnn",
	};
	enum provider_state needs;
	struct err e;

	for (int act = 0; act < CIRCUIT_ACTS; act++)
		for (int s = 0; s < PROVIDER_STATES; s++) {
			int r = rule_circuit_act((enum circuit_act)act, (enum provider_state)s,
						 &needs, &e);

			assert_int_equal(r, allowed[act][s] == 'y' ? 0 : -EINVAL);
			/* what is asked for first would do, and can be had */
			if (r < 0) {
				assert_int_equal(allowed[act][needs], 'y');
				assert_int_equal(
					rule_provider_state((enum provider_state)s, needs, &e), 0);
			}
		}
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
		cmocka_unit_test(macs_are_local_and_distinct),
		cmocka_unit_test(an_ipv6_link_is_a_126),
		cmocka_unit_test(what_is_announced_is_public),
		cmocka_unit_test(global_reach_takes_a_29_or_a_125),
		cmocka_unit_test(communities_are_the_clouds),
		cmocka_unit_test(global_reach_follows_the_tiers),
		cmocka_unit_test(direct_circuits_are_cut_to_size),
		cmocka_unit_test(each_provider_state_allows_its_acts),
	};

	return cmocka_run_group_tests(tests, open_catalogue, close_catalogue);
}
