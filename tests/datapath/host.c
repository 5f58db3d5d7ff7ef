/* The host's programs, packet by packet. */
#include "rig.h"

#include <linux/bpf.h>
#include <net/if.h>

static struct rig rig;
static struct datapath_host *d;
static struct mono now = { 1000000 };

static const struct mac vswitch = { { 2, 0, 0, 0, 9, 9 } }, own_mac = { { 2, 0, 0, 0, 0, 11 } };
static const struct mac router_mac = { { 2, 0, 0, 0, 0, 9 } };
static const struct mac nic_mac[] = { { { 2, 0, 0, 0, 3, 1 } }, { { 2, 0, 0, 0, 3, 2 } } };
static const struct mac broadcast = { { 255, 255, 255, 255, 255, 255 } };
static const struct fabric_number vnet = { 500 }, other_vnet = { 501 };
static uint32_t slot[3];

#define SELF ip4(10, 255, 0, 11)
#define EDGE_A ip4(10, 255, 0, 1)
#define EDGE_B ip4(10, 255, 0, 2)
#define HOST_2 ip4(10, 255, 0, 12)
#define NIC_1 ip4(10, 1, 0, 4)
#define NIC_2 ip4(10, 1, 0, 6)
#define REMOTE ip4(10, 1, 0, 99) /* on host 12 */
#define CUSTOMER ip4(192, 168, 1, 7)

static uint32_t
u32_of(struct addr a)
{
	return addr_u32(&a);
}

static void
links_set(bool a, bool b)
{
	PLAN_OK(datapath_link_set(rig.bfd, 1, a));
	PLAN_OK(datapath_link_set(rig.bfd, 2, b));
}

static void
nic_add(unsigned i, uint32_t id, struct fabric_number v, struct addr a)
{
	struct datapath_nic n = { .id = id,
				  .vnet = v,
				  .mac = nic_mac[i % 2],
				  .subnet = net4(10, 1, 0, 0, 24),
				  .address = { a },
				  .n_addresses = 1,
				  .mtu = 1500 };

	PLAN_OK(datapath_host_nic_put(d, &n, &slot[i], &plan_err));
}

static void
tables_fill(void)
{
	const struct datapath_host_route r[] = {
		{ .prefix = net4(10, 1, 0, 0, 16), .kind = DP_KIND_VNET, .vnet = vnet },
		{ .prefix = net4(10, 66, 0, 0, 16), .kind = DP_KIND_BLACKHOLE },
		{ .prefix = net4(192, 168, 0, 0, 16),
		  .kind = DP_KIND_GROUP,
		  .path = { { 1, plan_key(100, 1) }, { 2, plan_key(100, 7) } },
		  .n_paths = 2 },
	};

	PLAN_OK(datapath_host_table_commit(d, vnet, r, COUNT(r), now, &plan_err));
}

static int
setup(void **state)
{
	struct datapath_node n = {
		.number = 11, .address = { SELF }, .mtu = 1600, .vswitch = vswitch
	};
	struct addr gateway = ip4(10, 254, 11, 1), remote = REMOTE;
	const struct datapath_tunnel tunnels[] = {
		{ 1, DP_ROLE_EDGE, EDGE_A, gateway },
		{ 2, DP_ROLE_EDGE, EDGE_B, gateway },
		{ 12, DP_ROLE_HOST, HOST_2, gateway },
	};
	struct datapath_fds fds;

	rig_open(&rig, DATAPATH_HOST, NULL);
	PLAN_OK(datapath_load_fds(rig.load, DATAPATH_FOR_DAEMON, &fds, &plan_err));
	PLAN_OK(datapath_host_open(&fds, &d, &plan_err));
	datapath_fds_close(&fds);
	PLAN_OK(datapath_host_node_set(d, &n, &plan_err));
	PLAN_OK(datapath_host_gateway_put(d, &gateway, DP_PORT_FABRIC, &own_mac, &plan_err));
	PLAN_OK(datapath_host_gateway_mac(d, &gateway, &router_mac));
	for (size_t i = 0; i < COUNT(tunnels); i++)
		PLAN_OK(datapath_host_tunnel_put(d, &tunnels[i], &plan_err));
	PLAN_OK(datapath_host_vnet_put(d, vnet, plan_key(500, 3), &plan_err));
	PLAN_OK(datapath_host_vnet_put(d, other_vnet, plan_key(501, 1), &plan_err));
	PLAN_OK(datapath_host_address_put(d, vnet, &remote, 12, &plan_err));
	nic_add(0, 71, vnet, NIC_1);
	nic_add(1, 72, vnet, NIC_2);
	nic_add(2, 73, other_vnet, NIC_1); /* the same address elsewhere */
	PLAN_OK(datapath_load_attach(rig.load, if_nametoindex("trunk"), DP_IF_NIC, slot[0],
				     &plan_err));
	PLAN_OK(datapath_load_attach(rig.load, if_nametoindex("customer"), DP_IF_NIC, slot[1],
				     &plan_err));
	tables_fill();
	links_set(true, true);
	PLAN_OK(datapath_link_set(rig.bfd, 12, true));
	return 0;
}

static int
teardown(void **state)
{
	datapath_host_destroy(d);
	rig_close(&rig);
	return 0;
}

static struct packet
from_nic(struct addr src, struct addr dst, uint16_t sport)
{
	struct packet p = { 0 };

	put_eth(&p, &vswitch, &nic_mac[0], 0x0800);
	put_ip(&p, src, dst, 17, 64, 0x20, 108);
	put_ports(&p, sport, 2000);
	put_zeros(&p, 100);
	return p;
}

static struct packet
from_node(struct addr node, uint32_t key, struct addr src, struct addr dst)
{
	struct packet p = { 0 };

	put_eth(&p, &own_mac, &router_mac, 0x0800);
	put_ip(&p, node, SELF, 47, 60, 0, 8 + 20 + 108);
	put_gre(&p, 0x2000, 0x0800, key);
	put_ip(&p, src, dst, 17, 9, 0, 108);
	put_ports(&p, 1000, 2000);
	put_zeros(&p, 100);
	return p;
}

static void
enter_by_nic(void)
{
	rig_enter_by(&rig, DP_IF_NIC, slot[0]);
}

static void
test_nic_to_nic(void **state)
{
	struct packet in = from_nic(NIC_1, NIC_2, 1), p = in;

	enter_by_nic();
	assert_verdict(&rig, "host_nic", &p, XDP_REDIRECT);
	assert_int_equal(p.n, in.n);
	assert_memory_equal(p.b, nic_mac[1].b, 6);
	assert_memory_equal(p.b + 6, vswitch.b, 6);
	assert_memory_equal(p.b + 14, in.b + 14, in.n - 14);
	in = p = from_nic(NIC_1, REMOTE, 1);
	assert_verdict(&rig, "host_nic", &p, XDP_REDIRECT);
	assert_int_equal(p.n, in.n + 28);
	assert_int_equal(at32(&p, 26), u32_of(SELF));
	assert_int_equal(at32(&p, 30), u32_of(HOST_2));
	assert_int_equal(at32(&p, 38), plan_key(500, 3).v);
	assert_true(ip_sum_is_right(&p, 14));
	assert_memory_equal(p.b + 42, in.b + 14, in.n - 14);
}

static void
test_fabric_to_nic(void **state)
{
	struct packet in = from_node(EDGE_A, plan_key(500, 3).v, CUSTOMER, NIC_1), p = in;
	uint64_t bytes, packets;

	assert_verdict(&rig, "host_fabric", &p, XDP_REDIRECT);
	assert_int_equal(p.n, in.n - 28);
	assert_memory_equal(p.b, nic_mac[0].b, 6);
	assert_memory_equal(p.b + 6, vswitch.b, 6);
	assert_int_equal(at16(&p, 12), 0x0800);
	assert_memory_equal(p.b + 14, in.b + 42, in.n - 42);
	p = from_node(HOST_2, plan_key(500, 3).v, REMOTE, NIC_1);
	assert_verdict(&rig, "host_fabric", &p, XDP_REDIRECT);
	PLAN_OK(datapath_host_nic_read(d, 71, DP_OUT, &bytes, &packets));
	assert_int_equal(packets, 2);
	assert_int_equal(bytes, 2 * 128);
}

static void
test_fabric_drops(void **state)
{
	struct packet p = from_node(EDGE_A, plan_key(500, 3).v, CUSTOMER, ip4(10, 1, 0, 77));

	assert_dropped(&rig, "host_fabric", &p, DP_DROP_NO_NIC);
	p = from_node(EDGE_A, plan_key(500, 3).v, CUSTOMER, REMOTE); /* not ours to pass on */
	assert_dropped(&rig, "host_fabric", &p, DP_DROP_NO_NIC);
	p = from_node(EDGE_A, plan_key(501, 1).v, CUSTOMER, NIC_2); /* only in the other VNet */
	assert_dropped(&rig, "host_fabric", &p, DP_DROP_NO_NIC);
	p = from_node(EDGE_A, plan_key(500, 4).v, CUSTOMER, NIC_1);
	assert_dropped(&rig, "host_fabric", &p, DP_DROP_KEY_STALE);
	p = from_node(EDGE_A, plan_key(500, 3).v | FABRIC_KEY_LOCAL_ONLY, CUSTOMER, NIC_1);
	assert_dropped(&rig, "host_fabric", &p, DP_DROP_KEY_ROLE);
	p = from_node(EDGE_A, plan_key(600, 1).v, CUSTOMER, NIC_1);
	assert_dropped(&rig, "host_fabric", &p, DP_DROP_KEY_UNKNOWN);
	p = from_node(HOST_2, plan_key(500, 3).v, NIC_2, NIC_1); /* our own NIC's address */
	assert_dropped(&rig, "host_fabric", &p, DP_DROP_SRC_FABRIC);
	p = from_node(HOST_2, plan_key(500, 3).v, CUSTOMER, NIC_1);
	assert_dropped(&rig, "host_fabric", &p, DP_DROP_SRC_FABRIC);
	p = from_node(ip4(10, 255, 0, 99), plan_key(500, 3).v, CUSTOMER, NIC_1);
	assert_dropped(&rig, "host_fabric", &p, DP_DROP_TUNNEL_UNKNOWN);
	/* The NIC of slot 2 has no device. */
	p = from_node(EDGE_A, plan_key(501, 1).v, CUSTOMER, NIC_1);
	assert_dropped(&rig, "host_fabric", &p, DP_DROP_NO_PORT);
}

static void
test_nic_drops(void **state)
{
	struct packet p = from_nic(NIC_2, REMOTE, 1);

	enter_by_nic();
	assert_dropped(&rig, "host_nic", &p, DP_DROP_SRC_NIC);
	p = from_nic(CUSTOMER, REMOTE, 1);
	assert_dropped(&rig, "host_nic", &p, DP_DROP_SRC_NIC);
	p = from_nic(NIC_1, ip4(8, 8, 8, 8), 1);
	assert_dropped(&rig, "host_nic", &p, DP_DROP_NO_ROUTE);
	p = from_nic(NIC_1, ip4(10, 66, 0, 1), 1);
	assert_dropped(&rig, "host_nic", &p, DP_DROP_BLACKHOLE);
	p = from_nic(NIC_1, ip4(10, 1, 0, 55), 1);
	assert_dropped(&rig, "host_nic", &p, DP_DROP_NO_NIC);
	p = from_nic(NIC_1, ip4(239, 1, 1, 1), 1);
	assert_dropped(&rig, "host_nic", &p, DP_DROP_MULTICAST);
	p = from_nic(NIC_1, NIC_2, 1);
	memcpy(p.b, broadcast.b, 6);
	assert_dropped(&rig, "host_nic", &p, DP_DROP_MULTICAST);
	memcpy(p.b, own_mac.b, 6);
	assert_dropped(&rig, "host_nic", &p, DP_DROP_NOT_OUR_MAC);
	p = from_nic(NIC_1, NIC_2, 1);
	p.b[13] = 0xcc;
	assert_dropped(&rig, "host_nic", &p, DP_DROP_NOT_IP);
	p.b[12] = 0x86;
	p.b[13] = 0xdd;
	assert_dropped(&rig, "host_nic", &p, DP_DROP_IPV6);
	p = from_nic(NIC_1, NIC_2, 1);
	p.b[14 + 8] = 0;
	assert_dropped(&rig, "host_nic", &p, DP_DROP_TTL);
	rig_enter_by(&rig, DP_IF_NIC, 9);
	assert_dropped(&rig, "host_nic", &p, DP_DROP_NO_PORT);
}

/* One MAC for the whole subnet, but not for the NIC's own addresses (or its duplicate check fails). */
static void
test_arp(void **state)
{
	struct packet p = { 0 }, q;

	enter_by_nic();
	put_eth(&p, &broadcast, &nic_mac[0], 0x0806);
	put_arp(&p, 1, &nic_mac[0], NIC_1, ip4(10, 1, 0, 1));
	q = p;
	assert_verdict(&rig, "host_nic", &q, XDP_REDIRECT);
	assert_memory_equal(q.b, nic_mac[0].b, 6);
	assert_memory_equal(q.b + 6, vswitch.b, 6);
	assert_int_equal(at16(&q, 20), 2);
	assert_memory_equal(q.b + 22, vswitch.b, 6);
	assert_int_equal(at32(&q, 28), u32_of(ip4(10, 1, 0, 1)));
	assert_memory_equal(q.b + 32, nic_mac[0].b, 6);
	assert_int_equal(at32(&q, 38), u32_of(NIC_1));
	p.b[41] = 4; /* its own address */
	assert_dropped(&rig, "host_nic", &p, DP_DROP_ARP_FOREIGN);
	p.b[40] = 1; /* another subnet */
	assert_dropped(&rig, "host_nic", &p, DP_DROP_ARP_FOREIGN);
}

/* Flows over both edges, each flow always over the same; over one when the other is down. */
static void
test_equal_cost(void **state)
{
	uint32_t edge_of[400], n_a = 0;

	enter_by_nic();
	for (uint16_t i = 0; i < 400; i++) {
		struct packet p = from_nic(NIC_1, CUSTOMER, 1000 + i);

		assert_verdict(&rig, "host_nic", &p, XDP_REDIRECT);
		edge_of[i] = at32(&p, 30);
		assert_int_equal(at32(&p, 38), edge_of[i] == u32_of(EDGE_A) ? plan_key(100, 1).v
									    : plan_key(100, 7).v);
		n_a += edge_of[i] == u32_of(EDGE_A);
	}
	print_message("%u of 400 flows by edge A\n", n_a);
	assert_true(n_a > 150 && n_a < 250);
	links_set(false, true);
	for (uint16_t i = 0; i < 400; i++) {
		struct packet p = from_nic(NIC_1, CUSTOMER, 1000 + i);

		assert_verdict(&rig, "host_nic", &p, XDP_REDIRECT);
		assert_int_equal(at32(&p, 30), u32_of(EDGE_B));
	}
	links_set(true, true);
	for (uint16_t i = 0; i < 400; i++) {
		struct packet p = from_nic(NIC_1, CUSTOMER, 1000 + i);

		assert_verdict(&rig, "host_nic", &p, XDP_REDIRECT);
		assert_int_equal(at32(&p, 30), edge_of[i]);
	}
	links_set(false, false);
	{
		struct packet p = from_nic(NIC_1, CUSTOMER, 1000);

		assert_dropped(&rig, "host_nic", &p, DP_DROP_LINK_DOWN);
	}
	links_set(true, true);
}

static void
test_stale_group(void **state)
{
	struct dp_group *g = datapath_maps_array(datapath_host_maps(d), DP_MAP_GROUPS);
	struct packet p = from_nic(NIC_1, CUSTOMER, 1000);

	enter_by_nic();
	for (int i = 1; i < 8; i++)
		g[i].owner += g[i].owner == 500;
	assert_dropped(&rig, "host_nic", &p, DP_DROP_STALE_ELEMENT);
	for (int i = 1; i < 8; i++)
		g[i].owner -= g[i].owner == 501;
	assert_verdict(&rig, "host_nic", &p, XDP_REDIRECT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nic_to_nic),   cmocka_unit_test(test_fabric_to_nic),
		cmocka_unit_test(test_fabric_drops), cmocka_unit_test(test_nic_drops),
		cmocka_unit_test(test_arp),          cmocka_unit_test(test_equal_cost),
		cmocka_unit_test(test_stale_group),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
