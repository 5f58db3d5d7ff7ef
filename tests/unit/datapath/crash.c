/* An edge's writer is killed at its n-th write, for every n, while it carries out one configuration
 * and then another. A successor that is told the second one must end with exactly what a fresh start
 * makes of it: same forwarding, nothing leaked. With an argument, only every so many writes. */
#include "../test.h"

#include "datapath/write.h"
#include "plan.h"

#include <sys/wait.h>

static struct mono now = { 1000000 };

static void
ticks(struct datapath_edge *d)
{
	for (int i = 0; i < 4; i++) {
		now = mono_add_ms(now, 25);
		datapath_edge_tick(d, now);
	}
}

/* Routes that need several lines, both kinds of next hop, and change with the version. */
static void
commit(struct datapath_edge *d, uint32_t number, uint32_t version)
{
	struct datapath_route r[60] = {
		{ .prefix = net4(172, 16, 0, 0, 30), .kind = DP_KIND_LINK },
		{ .prefix = net4(10, 1, 0, 0, 16), .kind = DP_KIND_VNET, .vnet = { 500 } },
		{ .prefix = net4(10, 9, 0, 0, 16), .lingers = true },
	};
	size_t n = 3;

	for (; n < 20 + 20 * version; n++)
		r[n] = (struct datapath_route){
			.prefix = net4(192, 168, (unsigned)n, 0, 24),
			.kind = DP_KIND_CUSTOMER,
			.via = n % 3 ? DATAPATH_VIA_CE : DATAPATH_VIA_PAIR,
			.backup = n % 3 == version % 3 ? DATAPATH_VIA_NONE
				  : n % 3              ? DATAPATH_VIA_PAIR
						       : DATAPATH_VIA_CE,
			.pair = 2,
		};
	PLAN_OK(datapath_edge_table_commit(d, (struct fabric_number){ number }, r, n, now,
					   &plan_err));
}

static void
put(struct datapath_edge *d, uint32_t number, uint16_t s, uint16_t c, uint32_t generation,
    uint32_t version)
{
	struct datapath_domain x = plan_domain(number, s, c, generation);
	const struct mac ce = { { 2, 0, 0, 0, 2, (uint8_t)number } };
	const uint64_t rate[] = { 100000000ull * version, 50000000ull * version };

	PLAN_OK(datapath_edge_circuit_put(d, x.circuit, rate, &plan_err));
	PLAN_OK(datapath_edge_domain_put(d, &x, &plan_err));
	PLAN_OK(datapath_edge_domain_neighbour(d, x.number, &ce));
	commit(d, number, version);
}

static void
addresses(struct datapath_edge *d, uint32_t first, uint32_t n, uint16_t node)
{
	for (uint32_t i = first; i < first + n; i++) {
		struct addr a = ip4(10, 1, 0, i);

		PLAN_OK(datapath_edge_address_put(d, (struct fabric_number){ 500 }, &a, node,
						  &plan_err));
	}
}

static void
version_1(struct datapath_edge *d)
{
	plan_underlay(d);
	PLAN_OK(datapath_edge_vnet_put(d, (struct fabric_number){ 500 }, plan_key(500, 1),
				       &plan_err));
	PLAN_OK(datapath_edge_vnet_put(d, (struct fabric_number){ 501 }, plan_key(501, 1),
				       &plan_err));
	addresses(d, 1, 150, 11);
	put(d, 100, 10, 20, 1, 1);
	put(d, 101, 10, 21, 1, 1);
	put(d, 102, 11, 20, 1, 1);
	datapath_edge_sweep(d, now);
	ticks(d);
}

/* Domain 101 gone with its address space, 102 of a new generation and with other tags, 103 with the
 * tags that 101 had; NICs moved. */
static void
version_2(struct datapath_edge *d, bool is_live)
{
	if (is_live)
		datapath_edge_domain_remove(d, (struct fabric_number){ 101 }, now);
	plan_underlay(d);
	PLAN_OK(datapath_edge_vnet_put(d, (struct fabric_number){ 500 }, plan_key(500, 1),
				       &plan_err));
	if (is_live)
		datapath_edge_vnet_remove(d, (struct fabric_number){ 501 }, now);
	addresses(d, 100, 120, 12);
	if (is_live)
		for (uint32_t i = 1; i < 100; i++) {
			struct addr a = ip4(10, 1, 0, i);

			datapath_edge_address_remove(d, (struct fabric_number){ 500 }, &a, now);
		}
	put(d, 100, 10, 20, 1, 2);
	put(d, 102, 12, 30, 2, 2);
	put(d, 103, 10, 21, 1, 2);
	if (is_live)
		datapath_edge_circuit_remove(d, 1u << 12 | 11, now);
	else
		datapath_edge_sweep(d, now);
	ticks(d);
}

static void
meters_acknowledge(struct datapath_edge *d)
{
	struct datapath_reading r;
	uint32_t it = 0;

	while (datapath_edge_meter_next(d, &it, &r))
		if (r.is_retired)
			assert_int_equal(datapath_edge_meter_release(d, r.slot), 0);
}

/* What packets see of a domain, without the indices that may differ. */
static void
same_domain(struct datapath_edge *a, struct datapath_edge *b, uint64_t wa, uint64_t wb)
{
	const struct dp_domain *da = datapath_maps_array(datapath_edge_maps(a), DP_MAP_DOMAINS);
	const struct dp_domain *db = datapath_maps_array(datapath_edge_maps(b), DP_MAP_DOMAINS);
	const struct dp_policer *pa = datapath_maps_array(datapath_edge_maps(a), DP_MAP_POLICERS);
	const struct dp_policer *pb = datapath_maps_array(datapath_edge_maps(b), DP_MAP_POLICERS);
	struct dp_domain x = da[DP_TAG_SLOT(wa)], y = db[DP_TAG_SLOT(wb)];

	for (int i = 0; i < DP_DIRECTIONS; i++) {
		assert_true(x.policer[i] && y.policer[i] && x.meter[i] && y.meter[i]);
		assert_int_equal(pa[x.policer[i]].cost, pb[y.policer[i]].cost);
		assert_int_equal(pa[x.policer[i]].owner, pb[y.policer[i]].owner);
		x.policer[i] = y.policer[i] = x.meter[i] = y.meter[i] = 0;
	}
	x.link -= DP_TAG_SLOT(wa);
	y.link -= DP_TAG_SLOT(wb);
	assert_memory_equal(&x, &y, sizeof(x));
	for (unsigned c = 0; c < 64; c++) {
		struct datapath_route ra, rb;
		struct addr at = ip4(192, 168, c, 5), nic = ip4(10, 1, 0, c * 4);

		datapath_edge_table_lookup(a, (struct fabric_number){ x.number }, &at, &ra);
		datapath_edge_table_lookup(b, (struct fabric_number){ x.number }, &at, &rb);
		assert_memory_equal(&ra, &rb, sizeof(ra));
		datapath_edge_table_lookup(a, (struct fabric_number){ x.number }, &nic, &ra);
		datapath_edge_table_lookup(b, (struct fabric_number){ x.number }, &nic, &rb);
		assert_memory_equal(&ra, &rb, sizeof(ra));
	}
}

static void
same(struct datapath_edge *a, struct datapath_edge *b)
{
	struct datapath_maps *ma = datapath_edge_maps(a), *mb = datapath_edge_maps(b);
	const struct dp_tag_row *ta = datapath_maps_array(ma, DP_MAP_TAGS);
	const struct dp_tag_row *tb = datapath_maps_array(mb, DP_MAP_TAGS);
	struct datapath_usage ua[DATAPATH_USAGES], ub[DATAPATH_USAGES];
	size_t n = datapath_edge_usage(a, ua);

	for (size_t i = 0; i < 2 * 4096; i++) {
		uint64_t wa, wb;
		int more = 0;

		for (int k = 0; k < 4; k++) { /* the order inside a row means nothing */
			wa = ta[i].word[k];
			if (!wa)
				continue;
			wb = 0;
			for (int j = 0; j < 4; j++)
				if (DP_TAG_INNER(tb[i].word[j]) == DP_TAG_INNER(wa))
					wb = tb[i].word[j];
			assert_true(wb);
			same_domain(a, b, wa, wb);
		}
		for (int k = 0; k < 4; k++)
			more += !!tb[i].word[k] - !!ta[i].word[k];
		assert_int_equal(more, 0);
	}
	assert_int_equal(datapath_edge_usage(b, ub), n);
	for (size_t i = 0; i < n; i++)
		if (ua[i].used != ub[i].used)
			fail_msg("%s: %u used, fresh start %u", ua[i].what, ua[i].used, ub[i].used);
	assert_memory_equal(datapath_maps_array(ma, DP_MAP_TUNNELS),
			    datapath_maps_array(mb, DP_MAP_TUNNELS), 64 * sizeof(struct dp_tunnel));
	for (uint32_t i = 0; i < 1024; i++) {
		uint64_t na = ((uint64_t *)datapath_maps_array(ma, DP_MAP_NUMBERS))[i];
		uint64_t nb = ((uint64_t *)datapath_maps_array(mb, DP_MAP_NUMBERS))[i];

		assert_int_equal(DP_NUMBER_KEY(na), DP_NUMBER_KEY(nb));
		assert_int_equal(DP_NUMBER_KIND(na), DP_NUMBER_KIND(nb));
	}
}

static long writes_left, stride = 1;

static void
die(void)
{
	if (!writes_left--)
		_exit(42);
}

/* true: it died. */
static bool
run_and_die(struct datapath_maps *m, long at)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (!pid) {
		struct datapath_edge *d = datapath_edge_create(m);

		writes_left = at;
		datapath_on_write = die;
		version_1(d);
		version_2(d, true);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_true(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 42);
	return WEXITSTATUS(status) == 42;
}

static void
test_every_write(void **state)
{
	struct dp_sizes sizes = plan_sizes();
	AUTO(datapath_edge) fresh = datapath_edge_create(datapath_maps_memory(&sizes));
	long at = 0;
	bool died = true;

	version_2(fresh, false);
	for (; died; at += stride) {
		struct datapath_maps *m = datapath_maps_memory(&sizes);
		AUTO(datapath_edge) d = NULL;

		died = run_and_die(m, at);
		d = datapath_edge_create(m);
		version_2(d, false);
		meters_acknowledge(d);
		same(d, fresh);
	}
	print_message("died at up to %ld writes\n", at - stride);
	assert_true(at > 500);
}

/* Telling a successor the same thing writes nothing at all, so packets notice nothing. */
static void
test_same_again_writes_nothing(void **state)
{
	struct dp_sizes sizes = plan_sizes();
	struct datapath_maps *m = datapath_maps_memory(&sizes);
	struct datapath_edge *d;
	pid_t pid = fork();
	int status;

	if (!pid) {
		d = datapath_edge_create(m);
		plan_underlay(d);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	d = datapath_edge_create(m);
	writes_left = 0;
	datapath_on_write = die;
	plan_underlay(d);
	datapath_on_write = NULL;
	datapath_edge_destroy(d);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_write),
		cmocka_unit_test(test_same_again_writes_nothing),
	};

	if (argc > 1)
		stride = strtol(argv[1], NULL, 10);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
