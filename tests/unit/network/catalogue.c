/* The catalogue: the one we ship is sound; faults are found and named with file and line. */
#include "../test.h"

#include "network/catalogue.h"

static const char *shipped_dir;

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
}

static void
bandwidths_have_names(void **state)
{
	char t[16];

	assert_string_equal(catalogue_bandwidth_name(50, t), "50Mbps");
	assert_string_equal(catalogue_bandwidth_name(1000, t), "1Gbps");
	assert_string_equal(catalogue_bandwidth_name(2500, t), "2500Mbps");
}

static const char good_limits[] =
	"limits:\n"
	"  - {circuitsPerSubscription: 50, circuitsPerRegion: 10, linksStandard: 10,\n"
	"     linksSameLocation: 4, routesStandard: 4000, routesPremium: 10000,\n"
	"     routesMicrosoft: 200, localMinimumMbps: 1000, maxRoutingWeight: 32000,\n"
	"     addressSpacesPerVnet: 200, authorizationsPerCircuit: 10, cloudAsn: 12076,\n"
	"     gatewayAsn: 65515, linksPremium: [], reservedAsns: []}\n";

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
		{ "providers:\n- name: P\n  layer: 4\n  bandwidthsInMbps: [50]\n  locations: []\n",
		  "t.yaml:3: layer: wants a whole number from 0 to 3" },
		{ "providers:\n- name: P\n  layer: 2\n  bandwidthsInMbps: [50]\n  locations:\n  - name: X\n",
		  "t.yaml:6: provider P: no location named X" },
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
	static const char one[] = "providers:\n- name: P\n  layer: 2\n  bandwidthsInMbps: [50]\n"
				  "  locations: [{name: X}]\n";
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
		cmocka_unit_test(bandwidths_have_names),
		cmocka_unit_test(faults_are_named_with_file_and_line),
		cmocka_unit_test(sections_may_come_in_any_order_and_file),
	};

	shipped_dir = argc > 1 ? argv[1] : "catalogue";
	return cmocka_run_group_tests(tests, NULL, NULL);
}
