/* The tables of an edge as its daemon uses them. */
#include "../test.h"

#include "plan.h"

static struct mono now = { 1000000 };

static struct datapath_edge *
edge_make(void)
{
	struct dp_sizes sizes = plan_sizes();
	struct datapath_edge *d = datapath_edge_create(datapath_maps_memory(&sizes));
	const uint64_t rate[] = { 200000000, 200000000 };

	plan_underlay(d);
	PLAN_OK(datapath_edge_circuit_put(d, 1u << 12 | 10, rate, &plan_err));
	return d;
}

static void
ticks(struct datapath_edge *d)
{
	for (int i = 0; i < 4; i++) {
		now = mono_add_ms(now, 25);
		datapath_edge_tick(d, now);
	}
}

static void
test_domain_refusals(void **state)
{
	AUTO(datapath_edge) d = edge_make();
	struct datapath_domain good = plan_domain(100, 10, 20, 1), x;
	struct err e;

#define REFUSED(code, change) \
	do { \
		x = good; \
		change; \
		assert_int_equal(datapath_edge_domain_put(d, &x, &e), code); \
		assert_true(e.text[0]); \
	} while (0)
	REFUSED(-EINVAL, x.number.v = 0);
	REFUSED(-EINVAL, x.key = plan_key(101, 1));
	REFUSED(-EINVAL, x.key = fabric_key_local_only(x.key));
	REFUSED(-EINVAL, x.trunk = 0);
	REFUSED(-EINVAL, x.trunk = 3);
	REFUSED(-EINVAL, x.s.v = 4095);
	REFUSED(-EINVAL, x.s.v = 0);
	REFUSED(-EINVAL, x.tpid = 0x9100);
	REFUSED(-EINVAL, x.peer = ip4(172, 16, 0, 5));
	REFUSED(-EINVAL, x.subnet_len = 32);
	REFUSED(-ENOENT, x.circuit = 99);
	PLAN_OK(datapath_edge_domain_put(d, &good, &plan_err));
	REFUSED(-EEXIST, x.number.v = 101; x.key = plan_key(101, 1));
	for (uint16_t c = 21; c < 24; c++) {
		x = plan_domain(80u + c, 10, c, 1);
		PLAN_OK(datapath_edge_domain_put(d, &x, &plan_err));
	}
	REFUSED(-ENOSPC, x = plan_domain(110, 10, 24, 1));
	assert_int_equal(datapath_edge_circuit_remove(d, 1u << 12 | 10, now), -EBUSY);
	assert_int_equal(datapath_edge_vnet_put(d, good.number, good.key, &e), -EEXIST);
#undef REFUSED
}

/* Slots, links and tags come back only after grace, and a new domain never sees an old count. */
static void
test_domain_life(void **state)
{
	AUTO(datapath_edge) d = edge_make();
	struct datapath_domain a = plan_domain(100, 10, 20, 1), b = plan_domain(101, 10, 20, 1);
	struct datapath_maps *m = datapath_edge_maps(d);
	struct dp_meter *counts = datapath_maps_array(m, DP_MAP_METERS);
	struct dp_domain_drops *drops = datapath_maps_array(m, DP_MAP_DOMAIN_DROPS);
	struct datapath_reading r, r2;
	uint32_t link, it = 0;

	PLAN_OK(datapath_edge_domain_put(d, &a, &plan_err));
	link = datapath_edge_domain_link(d, a.number);
	assert_true(link > DATAPATH_LINK_DOMAIN);
	PLAN_OK(datapath_edge_meter_read(d, a.number, DP_IN, &r));
	counts[r.slot] = (struct dp_meter){ 1000, 2 }; /* CPU 0 */
	counts[64 + r.slot] = (struct dp_meter){ 500, 1 };
	drops[link - DATAPATH_LINK_DOMAIN].drop[DP_DROP_SRC_SPOOF] = 5;
	assert_int_equal(datapath_edge_domain_drops(d, a.number, DP_DROP_SRC_SPOOF), 5);
	datapath_edge_domain_remove(d, a.number, now);
	assert_int_equal(datapath_edge_domain_link(d, a.number), 0);
	PLAN_OK(datapath_edge_domain_put(d, &b, &plan_err));
	assert_int_not_equal(datapath_edge_domain_link(d, b.number), link);
	PLAN_OK(datapath_edge_meter_read(d, b.number, DP_IN, &r2));
	assert_int_not_equal(r2.slot, r.slot);
	assert_int_equal(r2.bytes, 0);
	assert_int_equal(datapath_edge_meter_release(d, r.slot), -EBUSY);
	ticks(d);
	while (datapath_edge_meter_next(d, &it, &r2))
		if (r2.slot == r.slot)
			break;
	assert_true(r2.is_retired && r2.is_final);
	assert_int_equal(r2.bytes, 1500);
	assert_int_equal(r2.packets, 3);
	assert_int_equal(r2.domain.v, 100);
	assert_int_equal(r2.circuit, 1u << 12 | 10);
	assert_int_equal(datapath_edge_meter_release(d, r.slot), 0);
	assert_int_equal(datapath_edge_meter_release(d, r.slot), -EINVAL);
	datapath_edge_domain_remove(d, b.number, now);
	ticks(d);
	/* Both slots and the meter again, counted from zero, under a new incarnation. */
	for (int i = 0; i < 14; i++) {
		datapath_edge_domain_remove(d, a.number, now);
		ticks(d);
		PLAN_OK(datapath_edge_domain_put(d, &a, &plan_err));
		assert_int_equal(datapath_edge_domain_drops(d, a.number, DP_DROP_SRC_SPOOF), 0);
		PLAN_OK(datapath_edge_meter_read(d, a.number, DP_IN, &r2));
		assert_int_equal(r2.bytes, 0);
		if (r2.slot == r.slot)
			assert_true(r2.incarnation > r.incarnation);
	}
}

static void
test_routes(void **state)
{
	AUTO(datapath_edge) d = edge_make();
	struct datapath_domain a = plan_domain(100, 10, 20, 1);
	const struct datapath_route routes[] = {
		{ .prefix = net4(0, 0, 0, 0, 0), .kind = DP_KIND_CUSTOMER, .via = DATAPATH_VIA_CE },
		{ .prefix = net4(10, 1, 0, 0, 16), .kind = DP_KIND_VNET, .vnet = { 500 } },
		{ .prefix = net4(10, 1, 2, 0, 24), .lingers = true },
		{ .prefix = net4(10, 3, 0, 0, 16),
		  .kind = DP_KIND_CUSTOMER,
		  .via = DATAPATH_VIA_PAIR,
		  .backup = DATAPATH_VIA_CE,
		  .pair = 2 },
	};
	struct addr pair = ip4(10, 3, 1, 1), lingers = ip4(10, 1, 2, 9),
		    last = ip4(255, 255, 255, 255);
	struct datapath_route bad, r;
	struct err e;

	PLAN_OK(datapath_edge_domain_put(d, &a, &plan_err));
	PLAN_OK(datapath_edge_table_commit(d, a.number, routes, COUNT(routes), now, &plan_err));
	assert_true(datapath_edge_table_lookup(d, a.number, &pair, &r));
	assert_int_equal(r.via, DATAPATH_VIA_PAIR);
	assert_int_equal(r.backup, DATAPATH_VIA_CE);
	assert_int_equal(r.pair, 2);
	assert_true(datapath_edge_table_lookup(d, a.number, &lingers, &r));
	assert_int_equal(r.kind, DP_KIND_VNET);
	assert_int_equal(r.vnet.v, 500);
	assert_true(r.lingers);
	assert_false(datapath_edge_table_lookup(d, a.number, &last, &r));
	/* A refused commit leaves the old table. */
	bad = (struct datapath_route){ .prefix = net4(10, 0, 0, 0, 8), .kind = DP_KIND_CUSTOMER };
	assert_int_equal(datapath_edge_table_commit(d, a.number, &bad, 1, now, &e), -EINVAL);
	bad.kind = DP_KIND_GROUP;
	assert_int_equal(datapath_edge_table_commit(d, a.number, &bad, 1, now, &e), -EINVAL);
	assert_true(datapath_edge_table_lookup(d, a.number, &pair, &r));
	assert_int_equal(datapath_edge_table_commit(d, (struct fabric_number){ 7 }, routes, 1, now,
						    &e),
			 -ENOENT);
}

/* Many commits in a row use up the lines until grace gives them back. */
static void
test_commits_in_a_burst(void **state)
{
	AUTO(datapath_edge) d = edge_make();
	struct datapath_domain a = plan_domain(100, 10, 20, 1);
	struct datapath_route r[200];
	struct datapath_usage before[DATAPATH_USAGES], after[DATAPATH_USAGES];
	struct err e;
	int x = 0, n = 0;

	PLAN_OK(datapath_edge_domain_put(d, &a, &plan_err));
	for (unsigned i = 0; i < COUNT(r); i++)
		r[i] = (struct datapath_route){ .prefix = net4(10, i, 0, 0, 24),
						.kind = DP_KIND_CUSTOMER,
						.via = DATAPATH_VIA_CE };
	PLAN_OK(datapath_edge_table_commit(d, a.number, r, COUNT(r), now, &plan_err));
	datapath_edge_usage(d, before);
	while (x >= 0 && n++ < 100)
		x = datapath_edge_table_commit(d, a.number, r, COUNT(r), now, &e);
	assert_int_equal(x, -EAGAIN);
	ticks(d);
	PLAN_OK(datapath_edge_table_commit(d, a.number, r, COUNT(r), now, &plan_err));
	ticks(d);
	datapath_edge_usage(d, after);
	assert_int_equal(before[0].used, after[0].used);
}

static void
test_rates(void **state)
{
	AUTO(datapath_edge) d = edge_make();
	const uint64_t rate[] = { 200000000, 0 }, silly[] = { 5, 5 };
	struct dp_policer *p = datapath_maps_array(datapath_edge_maps(d), DP_MAP_POLICERS);
	struct dp_policer *in = NULL, *out = NULL;
	struct err e;

	PLAN_OK(datapath_edge_circuit_put(d, 77, rate, &plan_err));
	for (int i = 1; i < 32; i++) {
		in = p[i].owner == 77 << 1 ? &p[i] : in;
		out = p[i].owner == (77 << 1 | 1) ? &p[i] : out;
	}
	assert_true(in && out);
	assert_int_equal(in->cost, 10240); /* 40 ns a byte */
	assert_int_equal(in->burst, 20000000ull << 8);
	assert_int_equal(out->cost, 0);
	in->tat = 12345; /* the fill level outlives a change of the rate */
	PLAN_OK(datapath_edge_circuit_put(d, 77, (const uint64_t[]){ 500000000, 100000 },
					  &plan_err));
	assert_int_equal(in->cost, 4096);
	assert_int_equal(in->tat, 12345);
	assert_int_equal(out->burst, 3200 * out->cost);
	assert_int_equal(datapath_edge_circuit_put(d, 77, silly, &e), -EINVAL);
	assert_int_equal(datapath_edge_circuit_put(d, 0, rate, &e), -EINVAL);
	assert_int_equal(datapath_edge_circuit_remove(d, 77, now), 0);
	ticks(d);
	assert_int_equal(in->owner, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_domain_refusals), cmocka_unit_test(test_domain_life),
		cmocka_unit_test(test_routes),          cmocka_unit_test(test_commits_in_a_burst),
		cmocka_unit_test(test_rates),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
