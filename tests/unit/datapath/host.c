/* The tables of a host's vSwitch as its daemon uses them. */
#include "../test.h"

#include "datapath/host.h"
#include "plan.h"

#include <sys/wait.h>

static struct mono now = { 1000000 };
static const struct fabric_number vnet = { 500 };

static struct datapath_host *
host_make(struct datapath_maps *m)
{
	struct datapath_host *d = datapath_host_create(m);
	struct datapath_node n = { .number = 11, .address = { ip4(10, 255, 0, 11) }, .mtu = 1600 };
	struct mac own = { { 2, 0, 0, 0, 0, 11 } };
	struct addr gateway = ip4(10, 254, 11, 1);

	PLAN_OK(datapath_host_node_set(d, &n, &plan_err));
	PLAN_OK(datapath_host_gateway_put(d, &gateway, DP_PORT_FABRIC, &own, &plan_err));
	for (uint16_t i = 1; i <= 2; i++) {
		struct datapath_tunnel t = { i, DP_ROLE_EDGE, ip4(10, 255, 0, i), gateway };

		PLAN_OK(datapath_host_tunnel_put(d, &t, &plan_err));
	}
	PLAN_OK(datapath_host_vnet_put(d, vnet, plan_key(500, 1), &plan_err));
	return d;
}

static struct datapath_nic
nic_plan(uint32_t id, unsigned last)
{
	return (struct datapath_nic){ .id = id,
				      .vnet = vnet,
				      .mac = { { 2, 0, 0, 0, 3, (uint8_t)id } },
				      .subnet = net4(10, 1, 0, 0, 24),
				      .address = { ip4(10, 1, 0, last), ip4(10, 1, 0, last + 1) },
				      .n_addresses = 2,
				      .mtu = 1500 };
}

static void
test_nics(void **state)
{
	struct dp_sizes sizes = plan_sizes();
	AUTO(datapath_host) d = host_make(datapath_maps_memory(&sizes));
	struct datapath_nic a = nic_plan(1, 4), b = nic_plan(2, 5);
	struct addr mine = ip4(10, 1, 0, 4);
	uint32_t slot_a, slot_b;
	struct err e;

	PLAN_OK(datapath_host_nic_put(d, &a, &slot_a, &plan_err));
	assert_int_equal(datapath_host_nic_put(d, &b, &slot_b, &e), -EEXIST);
	b = nic_plan(2, 6);
	PLAN_OK(datapath_host_nic_put(d, &b, &slot_b, &plan_err));
	assert_int_not_equal(slot_a, slot_b);
	/* BGP's echo of our own address does not move it away. */
	assert_int_equal(datapath_host_address_put(d, vnet, &mine, 2, &e), -EEXIST);
	datapath_host_address_remove(d, vnet, &mine, now);
	b.address[0] = mine;
	assert_int_equal(datapath_host_nic_put(d, &b, &slot_b, &e), -EEXIST);
	assert_int_equal(datapath_host_vnet_remove(d, vnet, now), -EBUSY);
	/* An address given up is free for a NIC elsewhere. */
	a.n_addresses = 0;
	PLAN_OK(datapath_host_nic_put(d, &a, &slot_a, &plan_err));
	PLAN_OK(datapath_host_address_put(d, vnet, &mine, 2, &plan_err));
	datapath_host_nic_remove(d, 1, now);
	datapath_host_nic_remove(d, 2, now);
	assert_int_equal(datapath_host_vnet_remove(d, vnet, now), 0);
}

static void
test_routes_share_groups(void **state)
{
	struct dp_sizes sizes = plan_sizes();
	AUTO(datapath_host) d = host_make(datapath_maps_memory(&sizes));
	struct datapath_host_route r[40] = {
		{ .prefix = net4(10, 1, 0, 0, 16), .kind = DP_KIND_VNET, .vnet = vnet }
	};
	struct datapath_usage u[DATAPATH_USAGES];
	struct datapath_host_route got;
	struct addr a = ip4(192, 168, 7, 9), last = ip4(9, 9, 9, 9);
	struct err e;
	size_t n_usages;

	for (unsigned i = 1; i < COUNT(r); i++)
		r[i] = (struct datapath_host_route){
			.prefix = net4(192, 168, i, 0, 24),
			.kind = DP_KIND_GROUP,
			.path = { { 1, plan_key(100, 1) }, { 2, plan_key(100, 1) } },
			.n_paths = i % 2 ? 2 : 1,
		};
	PLAN_OK(datapath_host_table_commit(d, vnet, r, COUNT(r), now, &plan_err));
	assert_true(datapath_host_table_lookup(d, vnet, &a, &got));
	assert_int_equal(got.n_paths, 2);
	assert_int_equal(got.path[1].node, 2);
	assert_int_equal(got.path[1].key.v, plan_key(100, 1).v);
	assert_false(datapath_host_table_lookup(d, vnet, &last, &got));
	n_usages = datapath_host_usage(d, u);
	for (size_t i = 0; i < n_usages; i++)
		if (!strcmp(u[i].what, "groups"))
			assert_int_equal(u[i].used, 2);
	r[1].n_paths = 0;
	assert_int_equal(datapath_host_table_commit(d, vnet, r, COUNT(r), now, &e), -EINVAL);
	r[1].n_paths = 1;
	r[1].kind = DP_KIND_CUSTOMER;
	assert_int_equal(datapath_host_table_commit(d, vnet, r, COUNT(r), now, &e), -EINVAL);
}

/* A successor keeps what it is told again, under the same slots, and sweeps the rest. */
static void
test_restart(void **state)
{
	struct dp_sizes sizes = plan_sizes();
	struct datapath_maps *m = datapath_maps_memory(&sizes);
	struct datapath_nic a = nic_plan(1, 4), b = nic_plan(2, 6);
	struct addr gone = ip4(10, 1, 0, 6), kept = ip4(10, 1, 0, 4), remote = ip4(10, 1, 0, 99);
	struct datapath_usage u[DATAPATH_USAGES];
	struct datapath_host *d;
	uint32_t slot, again;
	struct err e;
	pid_t pid = fork();

	if (!pid) {
		d = host_make(m);
		PLAN_OK(datapath_host_nic_put(d, &b, &slot, &plan_err));
		PLAN_OK(datapath_host_nic_put(d, &a, &slot, &plan_err));
		PLAN_OK(datapath_host_address_put(d, vnet, &remote, 2, &plan_err));
		PLAN_OK(datapath_host_vnet_put(d, (struct fabric_number){ 501 }, plan_key(501, 1),
					       &plan_err));
		_exit((int)slot);
	}
	assert_int_equal(waitpid(pid, (int *)&slot, 0), pid);
	slot = slot >> 8 & 0xff;
	d = host_make(m);
	PLAN_OK(datapath_host_nic_put(d, &a, &again, &plan_err));
	assert_int_equal(again, slot);
	datapath_host_sweep(d, now);
	assert_int_equal(datapath_host_address_put(d, vnet, &kept, 2, &e), -EEXIST);
	PLAN_OK(datapath_host_address_put(d, vnet, &gone, 2, &plan_err));
	for (size_t i = 0, n = datapath_host_usage(d, u); i < n; i++)
		if (!strcmp(u[i].what, "VNets"))
			assert_int_equal(u[i].used, 1);
	datapath_host_destroy(d);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nics),
		cmocka_unit_test(test_routes_share_groups),
		cmocka_unit_test(test_restart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
