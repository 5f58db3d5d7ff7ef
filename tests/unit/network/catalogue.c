/* The catalogue: the one we ship is sound; faults are found and named with file and line. */
#include "../test.h"

#include "network/catalogue.h"

static const char *shipped_dir;

#define LIMITS \
	"limits:\n" \
	"  - {circuitsPerSubscription: 50, circuitsPerRegion: 10, linksStandard: 10,\n" \
	"     linksSameLocation: 4, routesStandard: 4000, routesPremium: 10000,\n" \
	"     routesMicrosoft: 200, localMinimumMbps: 1000, maxRoutingWeight: 32000,\n" \
	"     addressSpacesPerVnet: 200, authorizationsPerCircuit: 10, cloudAsn: 12076,\n" \
	"     subnetsPerVnet: 3000, peeringsPerVnet: 500, rulesPerNsg: 1000,\n" \
	"     routesPerTable: 400, privateCommunityBase: 50000, routesIpv6: 100,\n" \
	"     directOversubscription: 2, directCircuits: [],\n" \
	"     gatewayAsn: 65515, linksPremium: [], reservedAsns: []}\n"
static const char good_limits[] = LIMITS;

#define REGIONS(first, second) \
	"geopoliticalRegions: [{name: E}]\nregions:\n" \
	"- {name: a, displayName: A, geopoliticalRegion: E, publicPrefixes: [" first "]}\n" \
	"- {name: b, displayName: B, geopoliticalRegion: E, publicPrefixes: [" second "]}\n"
#define PROVIDER \
	"providers:\n- name: P\n  layer: 2\n  models: [exchange]\n  bandwidthsInMbps: [50]\n  locations:\n"

static void
the_shipped_catalogue_is_sound(void **state)
{
	AUTO(catalogue) c = NULL;
	struct err e = { 0 };

	if (catalogue_open(shipped_dir, &c, &e) < 0)
		fail_msg("%s", e.text);
	assert_true(catalogue_n_regions(c) >= 2);
	assert_true(catalogue_n_locations(c) >= 3);
	size_t direct = 0;

	for (size_t i = 0; i < catalogue_n_locations(c); i++)
		direct += catalogue_location_at(c, i)->n_direct_gbps > 0;
	assert_true(direct >= 1);
	for (size_t i = 0; i < catalogue_n_providers(c); i++)
		assert_true(catalogue_provider_at(c, i)->n_mbps >= 2);

	const struct catalogue_region *r = catalogue_region(c, "West Europe");

	assert_non_null(r);
	assert_string_equal(r->name, "westeurope");
	assert_ptr_equal(r, catalogue_region(c, "WestEurope"));
	assert_null(catalogue_region(c, "west"));
	assert_ptr_equal(catalogue_location(c, "Amsterdam")->geo, r->geo);
	assert_null(catalogue_location(c, "amsterdam"));

	const struct catalogue_provider *p = catalogue_provider(c, "Megaport");

	assert_int_equal(catalogue_offer(p, "Amsterdam")->n_mbps, p->n_mbps);
	assert_int_equal(catalogue_offer(p, "New York")->n_mbps, 5);
	assert_null(catalogue_offer(p, "Atlantis"));
	assert_int_equal(catalogue_limits(c)->cloud_asn, 12076);
	assert_int_equal(p->models, CATALOGUE_EXCHANGE);
}

/* What the published lists say, by sample. */
static void
the_shipped_geography_is_the_published_one(void **state)
{
	AUTO(catalogue) c = NULL;
	struct err e = { 0 };
	const struct catalogue_location *l;

	if (catalogue_open(shipped_dir, &c, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(catalogue_n_regions(c), 67);
	assert_int_equal(catalogue_n_locations(c), 120);
	assert_string_equal(catalogue_region_at(c, 0)->name, "westeurope");

	l = catalogue_location(c, "Washington DC");
	assert_int_equal(l->n_local, 2);
	assert_string_equal(l->local[1]->name, "eastus2");
	assert_string_equal(l->facility, "Equinix DC2, DC6");
	assert_int_equal(catalogue_location(c, "Queretaro")->zone, 4);
	assert_int_equal(catalogue_location(c, "New York")->n_local, 0);
	assert_int_equal(catalogue_location(c, "Busan")->n_direct_gbps, 0);
	assert_int_equal(catalogue_location(c, "Amsterdam2")->direct_gbps[1], 100);

	l = catalogue_location(c, "US Gov Washington DC");
	assert_string_equal(l->geo->cloud->name, "USGovernment");
	assert_string_equal(catalogue_region(c, "China East 2")->geo->cloud->name, "China");
	assert_string_equal(catalogue_region(c, "westeurope")->geo->cloud->name, "Public");
	assert_non_null(catalogue_offer(catalogue_provider(c, "China Telecom"), "Beijing"));
	assert_non_null(catalogue_offer(catalogue_provider(c, "China Telecom"), "Hong Kong"));
}

/* The classes of 2015: NSP 10, 50, 100, 500 M, 1 G; EXP 200, 500 M, 1, 10 G; a provider may offer
 * those and today's. */
static void
classes_add_up(void **state)
{
	AUTO(catalogue) c = NULL;
	struct err e = { 0 };
	const struct catalogue_provider *p;

	if (catalogue_open(shipped_dir, &c, &e) < 0)
		fail_msg("%s", e.text);
	p = catalogue_provider(c, "BT");
	assert_int_equal(p->layer, 3);
	assert_int_equal(p->models, CATALOGUE_POINT_TO_POINT | CATALOGUE_ANY_TO_ANY);
	assert_int_equal(p->n_mbps, 9);
	assert_int_equal(p->mbps[0], 10);
	assert_int_equal(p->mbps[8], 10000);
	assert_int_equal(catalogue_provider(c, "Equinix")->n_mbps, 8);
	assert_int_equal(catalogue_provider(c, "Intelsat")->n_mbps, 5);
}

static void
communities_are_found(void **state)
{
	AUTO(catalogue) c = NULL;
	struct err e = { 0 };
	const struct catalogue_region *west, *virginia;
	const struct catalogue_community *k;

	if (catalogue_open(shipped_dir, &c, &e) < 0)
		fail_msg("%s", e.text);
	west = catalogue_region(c, "westeurope");
	virginia = catalogue_region(c, "usgovvirginia");
	assert_int_equal(catalogue_private_community(c, west), 50002);
	assert_int_equal(catalogue_private_community(c, catalogue_region(c, "westus3")), 0);

	k = catalogue_community(c, west->geo->cloud, 51002);
	assert_string_equal(k->name, "Azure West Europe");
	assert_string_equal(k->region, "West Europe");
	assert_int_equal(k->n_prefixes, 2);
	assert_true(prefix_equal(&k->prefixes[0], &west->public_prefixes[0]));
	k = catalogue_community(c, west->geo->cloud, 5010);
	assert_string_equal(k->name, "Exchange");
	assert_string_equal(k->region, "Global");
	assert_null(catalogue_community(c, west->geo->cloud, 51105));
	assert_string_equal(catalogue_community(c, virginia->geo->cloud, 51105)->region,
			    "US Gov Virginia");
	assert_string_equal(catalogue_community(c, virginia->geo->cloud, 5110)->name, "Exchange");
	assert_null(catalogue_community(c, virginia->geo->cloud, 5010));
	assert_string_equal(catalogue_community_at(c, catalogue_n_communities(c) - 1)->service,
			    "Backup");
}

static void
prices_are_found(void **state)
{
	AUTO(catalogue) c = NULL;
	AUTO(catalogue) none = NULL;
	struct err e = { 0 };
	char name[CATALOGUE_PRICE_NAME];
	int64_t amount;

	if (catalogue_open(shipped_dir, &c, &e) < 0)
		fail_msg("%s", e.text);
	assert_string_equal(catalogue_currency(c), "USD");
	assert_int_equal(catalogue_month_hours(c), 730);
	assert_int_equal(catalogue_price_circuit(c, "Standard", "MeteredData", 200, 1), 1450000);
	assert_int_equal(catalogue_price_circuit(c, "standard", "metereddata", 200, 4), 1450000);
	assert_int_equal(catalogue_price_circuit(c, "Premium", "UnlimitedData", 50, 1), 3750000);
	assert_int_equal(catalogue_price_circuit(c, "Local", "MeteredData", 1000, 1), -1);
	assert_int_equal(catalogue_price_egress(c, 1), 250);
	assert_int_equal(catalogue_price_egress(c, 0), -1);
	assert_int_equal(catalogue_price_gateway(c, "ErGw1AZ"), 3610);
	assert_int_equal(catalogue_price_port(c, 100, "MeteredData"), 513000000);
	assert_int_equal(catalogue_price_global_reach(c, 4), 750000);
	assert_int_equal(catalogue_price_global_reach_data(c, 3), 1400);
	assert_int_equal(catalogue_price_public_ip(c, "Standard"), 50);
	assert_true(catalogue_price_at(c, 1, name, &amount));
	assert_string_equal(name, "circuit Standard MeteredData 50 Mbps");
	assert_int_equal(amount, 550000);
	assert_false(catalogue_price_at(c, 10000, name, &amount));

	struct catalogue_text t = { "t", good_limits, strlen(good_limits) };

	if (catalogue_parse(&t, 1, &none, &e) < 0)
		fail_msg("%s", e.text);
	assert_string_equal(catalogue_currency(none), "");
	assert_int_equal(catalogue_price_egress(none, 1), -1);
	assert_false(catalogue_price_at(none, 0, name, &amount));
}

static void
bandwidths_have_names(void **state)
{
	char t[16];

	assert_string_equal(catalogue_bandwidth_name(50, t), "50Mbps");
	assert_string_equal(catalogue_bandwidth_name(1000, t), "1Gbps");
	assert_string_equal(catalogue_bandwidth_name(2500, t), "2500Mbps");
}

static void
faults_are_named_with_file_and_line(void **state)
{
	/* clang-format off */
	static const struct { const char *text, *error; } cases[] = {
		{ "regions: 5", "t.yaml:1: regions: wants a list" },
		{ "regons: []", "t.yaml:1: a catalogue file has no key 'regons'" },
		{ "regions:\n  - name: a\n    displayName: A\n", "t.yaml:2: a region lacks 'geopoliticalRegion'" },
		{ "geopoliticalRegions:\n  - {name: E}\n  - {name: E}\n",
		  "t.yaml:3: geopolitical region E stands twice, first in t.yaml:2" },
		{ "geopoliticalRegions: [{name: E}]\nregions:\n  - {name: West, displayName: W, geopoliticalRegion: E}\n",
		  "t.yaml:3: region West: a name has lower-case letters and digits" },
		{ "geopoliticalRegions: [{name: E}]\nregions:\n  - {name: w, displayName: W, geopoliticalRegion: F}\n",
		  "t.yaml:3: w: no geopolitical region named F" },
		{ "providers:\n- name: P\n  layer: 2\n  bandwidthsInMbps: [100, 50]\n  locations: []\n",
		  "t.yaml:4: bandwidthsInMbps: wants ascending numbers above 0" },
		{ PROVIDER "  - X\n", "t.yaml:7: provider P: no location named X" },
		{ "providers:\n- {name: P, layer: 2, models: [mail], bandwidthsInMbps: [5], locations: []}\n",
		  "t.yaml:2: provider P: a model is exchange, pointToPoint or anyToAny, not 'mail'" },
		{ "providers:\n- {name: P, layer: 2, models: [], bandwidthsInMbps: [5], locations: []}\n",
		  "t.yaml:2: provider P has no model" },
		{ "providers:\n- {name: P, layer: 2, models: [exchange],\n   classes: [K], locations: []}\n",
		  "t.yaml:3: provider P: no class named K" },
		{ "providers:\n- {name: P, layer: 2, models: [exchange], locations: []}\n",
		  "t.yaml:2: provider P offers no bandwidth" },
		{ "clouds: [{name: A}, {name: A}]", "t.yaml:1: cloud A stands twice, first in t.yaml:1" },
		{ "clouds: [{name: A}]\ngeopoliticalRegions: [{name: E, cloud: B}]", "t.yaml:2: E: no cloud named B" },
		{ "clouds: [{name: A}, {name: B}]\n"
		  "geopoliticalRegions: [{name: E, cloud: A}, {name: F, cloud: B}]\n"
		  "regions: [{name: w, displayName: W, geopoliticalRegion: F}]\n"
		  "peeringLocations:\n- {name: L, facility: f, geopoliticalRegion: E, zone: 1,\n   localRegions: [w]}\n",
		  "t.yaml:6: location L: region w is in another cloud" },
		{ REGIONS("10.0.0.0/24", "10.0.0.128/25"),
		  "t.yaml:4: region b: 10.0.0.128/25 overlaps 10.0.0.0/24 of region a" },
		{ REGIONS("10.0.0.0/24", "10.0.1.1/24"), "t.yaml:4: b: " },
		{ "communities:\n- {service: S, group: G, value: 1}\n- {service: T, group: G, value: 1}\n",
		  "t.yaml:3: T: community 1 of Public stands twice" },
		{ "prices:\n- {currency: E, hoursOfAMonth: 0}\n" LIMITS, "t.yaml:2: hoursOfAMonth: wants a number above 0" },
		{ "prices: [{currency: E, hoursOfAMonth: 1}, {currency: E, hoursOfAMonth: 1}]\n" LIMITS,
		  "t.yaml:1: prices stand twice, first in t.yaml:1" },
		{ "prices:\n- currency: E\n  egress:\n  - {zone: 1, perGB: 0.00001}",
		  "t.yaml:4: perGB: wants an amount like 55 or 0.025, at most 4 decimals" },
		{ "prices:\n- currency: E\n  egress:\n  - {zone: 1, perGB: -1}", "t.yaml:4: perGB: wants" },
		{ "prices:\n- currency: E\n  egress:\n  - {zone: 1, perGB: 1.}", "t.yaml:4: perGB: wants" },
		{ "prices:\n- currency: E\n  hoursOfAMonth: 1\n  egress:\n  - {zone: 1, perGB: 1}\n  - {zone: 1, perGB: 2}\n" LIMITS,
		  "t.yaml:6: this price stands twice, first in line 5" },
		{ "providers:\n- name: P\n  layer: 4\n  bandwidthsInMbps: [50]\n  locations: []\n",
		  "t.yaml:3: layer: wants a whole number from 0 to 3" },
		{ "providers:\n- name: P\n  layer: 2\n  models: [exchange]\n  bandwidthsInMbps: [50]\n  locations:\n  - name: X\n",
		  "t.yaml:7: provider P: no location named X" },
		{ "providers:\n- name: P\n  name: Q\n", "t.yaml:3: not YAML: duplicate key" },
		{ "providers: [", "t.yaml:" },
		{ "a: *b", "t.yaml:1: a catalogue file has no key 'a'" },
		{ "", "t.yaml:1: " },
		{ "[]", "t.yaml:1: wants a catalogue file as a mapping" },
		{ "limits: []\n%YAML 9", "t.yaml:2: YAML directives are not used here" },
		{ "limits: []", "no limits in any of the files" },
	};
	/* clang-format on */

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct catalogue_text t = { "t.yaml", cases[i].text, strlen(cases[i].text) };
		AUTO(catalogue) c = NULL;
		struct err e = { 0 };

		assert_true(catalogue_parse(&t, 1, &c, &e) < 0);
		if (strncmp(e.text, cases[i].error, strlen(cases[i].error)) != 0)
			fail_msg("case %zu: got '%s', wanted '%s'", i, e.text, cases[i].error);
	}
}

static void
sections_may_come_in_any_order_and_file(void **state)
{
	static const char one[] = "providers:\n- name: P\n  layer: 2\n  models: [exchange]\n"
				  "  bandwidthsInMbps: [50]\n  locations: [{name: X}]\n";
	static const char two[] =
		"geopoliticalRegions: [{name: E}]\n"
		"peeringLocations: [{name: X, facility: f, geopoliticalRegion: E, zone: 1}]\n";
	struct catalogue_text t[] = { { "1", one, sizeof(one) - 1 },
				      { "2", good_limits, sizeof(good_limits) - 1 },
				      { "3", two, sizeof(two) - 1 } };
	AUTO(catalogue) c = NULL;
	struct err e = { 0 };

	if (catalogue_parse(t, COUNT(t), &c, &e) < 0)
		fail_msg("%s", e.text);
	assert_ptr_equal(catalogue_offer(catalogue_provider(c, "P"), "X")->location,
			 catalogue_location(c, "X"));
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_shipped_catalogue_is_sound),
		cmocka_unit_test(the_shipped_geography_is_the_published_one),
		cmocka_unit_test(classes_add_up),
		cmocka_unit_test(communities_are_found),
		cmocka_unit_test(prices_are_found),
		cmocka_unit_test(bandwidths_have_names),
		cmocka_unit_test(faults_are_named_with_file_and_line),
		cmocka_unit_test(sections_may_come_in_any_order_and_file),
	};

	shipped_dir = argc > 1 ? argv[1] : "catalogue";
	return cmocka_run_group_tests(tests, NULL, NULL);
}
