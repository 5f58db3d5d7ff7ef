/* The edge's programs, packet by packet: every way through, every drop reason that an edge has. */
#include "rig.h"

#include <linux/bpf.h>
#include <net/if.h>
#include <time.h>

static struct rig rig;
static struct datapath_edge *d;
static struct mono now = { 1000000 };

static const struct mac edge_mac = { { 2, 0, 0, 0, 1, 100 } }, ce_mac = { { 2, 0, 0, 0, 2, 100 } };
static const struct mac own_mac = { { 2, 0, 0, 0, 0, 1 } }, router_mac = { { 2, 0, 0, 0, 0, 9 } };
static const struct mac broadcast = { { 255, 255, 255, 255, 255, 255 } };
static const struct fabric_number domain = { 100 }, vnet = { 500 };
enum { S = 10, C = 20 };

#define PEER ip4(172, 16, 0, 1)
#define LOCAL ip4(172, 16, 0, 2)
#define CUSTOMER ip4(192, 168, 1, 7)  /* by us, backup the pair */
#define BEYOND ip4(192, 168, 2, 7)    /* by the pair, backup us */
#define PAIR_ONLY ip4(192, 168, 3, 7) /* by the pair, no backup */
#define LINGERS ip4(192, 168, 4, 7)
#define NIC ip4(10, 1, 0, 4)       /* on host 11 */
#define NIC_OTHER ip4(10, 1, 0, 5) /* on host 12 */
#define NIC_LOST ip4(10, 1, 0, 6)  /* on a host we do not know */
#define EDGE ip4(10, 255, 0, 1)
#define PAIR ip4(10, 255, 0, 2)
#define HOST ip4(10, 255, 0, 11)
#define REACHED ip4(192, 168, 9, 7) /* behind another circuit: edges 21, 22 */
#define FAR ip4(10, 255, 0, 21)
#define FAR_BACKUP ip4(10, 255, 0, 22)
#define FAR_OTHER ip4(10, 255, 0, 23)

static uint32_t
u32_of(struct addr a)
{
	return addr_u32(&a);
}

static uint32_t
link_of_domain(void)
{
	return datapath_edge_domain_link(d, domain);
}

static void
link_set(uint32_t link, bool up)
{
	PLAN_OK(datapath_link_set(rig.bfd, link, up));
}

static void
routes_commit(void)
{
	const struct datapath_route r[] = {
		{ .prefix = net4(172, 16, 0, 0, 30), .kind = DP_KIND_LINK },
		{ .prefix = net4(10, 1, 0, 0, 16), .kind = DP_KIND_VNET, .vnet = vnet },
		{ .prefix = net4(10, 2, 0, 0, 16), .kind = DP_KIND_VNET, .vnet = { 502 } },
		{ .prefix = net4(10, 66, 0, 0, 16), .kind = DP_KIND_BLACKHOLE },
		{ .prefix = net4(192, 168, 1, 0, 24),
		  .kind = DP_KIND_CUSTOMER,
		  .via = DATAPATH_VIA_CE,
		  .backup = DATAPATH_VIA_PAIR,
		  .pair = 2 },
		{ .prefix = net4(192, 168, 2, 0, 24),
		  .kind = DP_KIND_CUSTOMER,
		  .via = DATAPATH_VIA_PAIR,
		  .backup = DATAPATH_VIA_CE,
		  .pair = 2 },
		{ .prefix = net4(192, 168, 3, 0, 24),
		  .kind = DP_KIND_CUSTOMER,
		  .via = DATAPATH_VIA_PAIR,
		  .pair = 2 },
		{ .prefix = net4(192, 168, 4, 0, 24), .lingers = true },
		{ .prefix = net4(192, 168, 9, 0, 24),
		  .kind = DP_KIND_REACH,
		  .reach = { { 21, plan_key(700, 5) }, { 22, plan_key(700, 5) } } },
	};

	PLAN_OK(datapath_edge_table_commit(d, domain, r, COUNT(r), now, &plan_err));
}

static int
setup(void **state)
{
	struct datapath_domain x = plan_domain(100, S, C, 1);
	struct addr nic = NIC, other = NIC_OTHER, lost = NIC_LOST;
	const uint64_t rate[] = { 0, 0 };
	struct datapath_fds fds;

	rig_open(&rig, DATAPATH_EDGE, NULL);
	PLAN_OK(datapath_load_attach(rig.load, if_nametoindex("trunk"), DP_IF_TRUNK, 1, &plan_err));
	PLAN_OK(datapath_load_attach(rig.load, if_nametoindex("customer"), DP_IF_DOMAIN, 100,
				     &plan_err));
	PLAN_OK(datapath_load_fds(rig.load, DATAPATH_FOR_DAEMON, &fds, &plan_err));
	PLAN_OK(datapath_edge_open(&fds, &d, &plan_err));
	datapath_fds_close(&fds);
	plan_underlay(d);
	for (uint16_t i = 21; i < 24; i++) {
		struct datapath_tunnel t = { i, DP_ROLE_EDGE, ip4(10, 255, 0, i),
					     ip4(10, 254, 1, 1) };

		PLAN_OK(datapath_edge_tunnel_put(d, &t, &plan_err));
	}
	PLAN_OK(datapath_edge_circuit_put(d, x.circuit, rate, &plan_err));
	PLAN_OK(datapath_edge_domain_put(d, &x, &plan_err));
	PLAN_OK(datapath_edge_domain_neighbour(d, domain, &ce_mac));
	PLAN_OK(datapath_edge_vnet_put(d, vnet, plan_key(500, 3), &plan_err));
	PLAN_OK(datapath_edge_address_put(d, vnet, &nic, 11, &plan_err));
	PLAN_OK(datapath_edge_address_put(d, vnet, &other, 12, &plan_err));
	PLAN_OK(datapath_edge_address_put(d, vnet, &lost, 40, &plan_err));
	routes_commit();
	for (uint32_t node = 2; node < 50; node++)
		link_set(node, true);
	link_set(link_of_domain(), true);
	return 0;
}

static int
teardown(void **state)
{
	datapath_edge_destroy(d);
	rig_close(&rig);
	return 0;
}

/* --- Packets ----------------------------------------------------------------------------------- */

static struct packet
tagged_as(uint16_t tpid, uint16_t s, uint16_t c, const struct mac *dst, uint16_t type)
{
	struct packet p = { 0 };

	put_eth(&p, dst, &ce_mac, tpid);
	put_tag(&p, s, 0x8100);
	put_tag(&p, c, type);
	return p;
}

static struct packet
tagged(uint16_t type)
{
	return tagged_as(0x88a8, S, C, &edge_mac, type);
}

static struct packet
from_customer_ttl(struct addr src, struct addr dst, uint8_t ttl, uint32_t payload)
{
	struct packet p = tagged(0x0800);

	put_ip(&p, src, dst, 17, ttl, 0xb8, payload);
	put_ports(&p, 1000, 2000);
	put_zeros(&p, payload - 8);
	return p;
}

static struct packet
from_customer(struct addr src, struct addr dst)
{
	return from_customer_ttl(src, dst, 64, 100);
}

static struct packet
control(struct addr src, uint8_t proto, uint16_t sport, uint16_t dport, uint8_t ttl)
{
	struct packet p = tagged(0x0800);

	put_ip(&p, src, LOCAL, proto, ttl, 0xc0, 40);
	put_ports(&p, sport, dport);
	put_zeros(&p, 32);
	return p;
}

static struct packet
outer(struct addr src, struct addr dst, uint8_t proto, uint32_t payload)
{
	struct packet p = { 0 };

	put_eth(&p, &own_mac, &router_mac, 0x0800);
	put_ip(&p, src, dst, proto, 60, 0, payload);
	return p;
}

static struct packet
from_node(struct addr node, uint32_t key, struct addr src, struct addr dst, uint8_t ttl)
{
	struct packet p = outer(node, EDGE, 47, 8 + 20 + 100);

	put_gre(&p, 0x2000, 0x0800, key);
	put_ip(&p, src, dst, 6, ttl, 0x28, 100);
	put_ports(&p, 1000, 2000);
	put_zeros(&p, 92);
	return p;
}

static uint32_t
domain_key(void)
{
	return plan_key(100, 1).v;
}

static struct packet
from_host(struct addr src, struct addr dst)
{
	return from_node(HOST, domain_key(), src, dst, 64);
}

static void
enter_by_trunk(void)
{
	rig_enter_by(&rig, DP_IF_TRUNK, 1);
}

/* --- The ways through -------------------------------------------------------------------------- */

static void
test_trunk_to_host(void **state)
{
	static const uint32_t payloads[] = { 8, 9, 26, 100, 1000, 1480 };

	enter_by_trunk();
	for (size_t i = 0; i < COUNT(payloads); i++) {
		struct packet in = from_customer_ttl(CUSTOMER, NIC, 64, payloads[i]), p = in;

		assert_verdict(&rig, "edge_trunk", &p, XDP_REDIRECT);
		assert_int_equal(p.n, in.n - 22 + 42);
		assert_memory_equal(p.b, router_mac.b, 6);
		assert_memory_equal(p.b + 6, own_mac.b, 6);
		assert_int_equal(at16(&p, 12), 0x0800);
		assert_true(ip_sum_is_right(&p, 14));
		assert_int_equal(p.b[15], 0xb8); /* DSCP goes along */
		assert_int_equal(at16(&p, 16), 28 + 20 + payloads[i]);
		assert_int_equal(p.b[23], 47);
		assert_int_equal(at32(&p, 26), u32_of(EDGE));
		assert_int_equal(at32(&p, 30), u32_of(HOST));
		assert_int_equal(at32(&p, 34), 0x20000800);
		assert_int_equal(at32(&p, 38), plan_key(500, 3).v);
		assert_true(ip_sum_is_right(&p, 42));
		assert_int_equal(p.b[42 + 8], 63);
		assert_memory_equal(p.b + 62, in.b + 42, payloads[i]);
	}
}

static void
test_fabric_to_customer(void **state)
{
	struct packet in = from_host(NIC, CUSTOMER), p = in;

	assert_verdict(&rig, "edge_fabric", &p, XDP_REDIRECT);
	assert_int_equal(p.n, in.n - 42 + 22);
	assert_memory_equal(p.b, ce_mac.b, 6);
	assert_memory_equal(p.b + 6, edge_mac.b, 6);
	assert_int_equal(at32(&p, 12), 0x88a80000 | S);
	assert_int_equal(at32(&p, 16), 0x81000000 | C);
	assert_int_equal(at16(&p, 20), 0x0800);
	assert_true(ip_sum_is_right(&p, 22));
	assert_int_equal(p.b[22 + 8], 63);
	assert_memory_equal(p.b + 42, in.b + 62, 100);
}

/* Every TTL: the incremental checksum has its corner. */
static void
test_ttl_sums(void **state)
{
	enter_by_trunk();
	for (unsigned ttl = 2; ttl < 256; ttl++) {
		struct packet p = from_customer_ttl(CUSTOMER, NIC, (uint8_t)ttl, 8 + ttl % 200);

		assert_verdict(&rig, "edge_trunk", &p, XDP_REDIRECT);
		assert_int_equal(p.b[50], ttl - 1);
		assert_true(ip_sum_is_right(&p, 42));
	}
}

static void
test_metered(void **state)
{
	struct datapath_reading in0, in1, out0, out1;
	struct packet p = from_customer(CUSTOMER, NIC);

	PLAN_OK(datapath_edge_meter_read(d, domain, DP_IN, &in0));
	PLAN_OK(datapath_edge_meter_read(d, domain, DP_OUT, &out0));
	enter_by_trunk();
	assert_verdict(&rig, "edge_trunk", &p, XDP_REDIRECT);
	p = control(PEER, 6, 40000, 179, 1); /* not metered */
	assert_verdict(&rig, "edge_trunk", &p, XDP_REDIRECT);
	p = from_host(NIC, CUSTOMER);
	assert_verdict(&rig, "edge_fabric", &p, XDP_REDIRECT);
	PLAN_OK(datapath_edge_meter_read(d, domain, DP_IN, &in1));
	PLAN_OK(datapath_edge_meter_read(d, domain, DP_OUT, &out1));
	assert_int_equal(in1.bytes - in0.bytes, 120);
	assert_int_equal(in1.packets - in0.packets, 1);
	assert_int_equal(out1.bytes - out0.bytes, 120);
	assert_int_equal(out1.packets - out0.packets, 1);
}

static void
test_control_to_namespace(void **state)
{
	struct packet packets[] = {
		control(PEER, 6, 40000, 179, 1),
		control(PEER, 6, 179, 40000, 64), /* answers to a session we dialled */
		control(PEER, 17, 49152, 3784, 255),
		control(PEER, 17, 49152, 3785, 255),
		control(PEER, 1, 0x0800, 0, 64),
		tagged_as(0x88a8, S, C, &broadcast, 0x0806),
	};

	put_arp(&packets[5], 1, &ce_mac, PEER, LOCAL);
	enter_by_trunk();
	for (size_t i = 0; i < COUNT(packets); i++) {
		struct packet p = packets[i];

		assert_verdict(&rig, "edge_trunk", &p, XDP_REDIRECT);
		assert_int_equal(p.n, packets[i].n - 8);
		assert_memory_equal(p.b, packets[i].b, 12);
		assert_memory_equal(p.b + 12, packets[i].b + 20, p.n - 12);
	}
}

static void
test_namespace_to_customer(void **state)
{
	struct packet p = { 0 }, in, arp = { 0 };

	rig_enter_by(&rig, DP_IF_DOMAIN, 100);
	put_eth(&p, &ce_mac, &edge_mac, 0x0800);
	put_ip(&p, LOCAL, PEER, 6, 1, 0xc0, 20);
	put_ports(&p, 179, 40000);
	put_zeros(&p, 12);
	in = p;
	assert_verdict(&rig, "edge_domain", &p, XDP_REDIRECT);
	assert_int_equal(p.n, in.n + 8);
	assert_memory_equal(p.b, in.b, 12);
	assert_int_equal(at32(&p, 12), 0x88a80000 | S);
	assert_int_equal(at32(&p, 16), 0x81000000 | C);
	assert_memory_equal(p.b + 20, in.b + 12, in.n - 12);
	put_eth(&arp, &broadcast, &edge_mac, 0x0806);
	put_arp(&arp, 1, &edge_mac, LOCAL, PEER);
	assert_verdict(&rig, "edge_domain", &arp, XDP_REDIRECT);
	assert_int_equal(at16(&arp, 20), 0x0806);
	p = in;
	put_bytes(&p, "", 0);
	p.b[14 + 16] = 8; /* to 8.16.0.1 */
	assert_dropped(&rig, "edge_domain", &p, DP_DROP_OUT_OF_SUBNET);
}

/* Where the packet starts that a program looks at. */
static const struct entrance {
	const char *program;
	uint32_t l3;
	const struct mac *dst, *src; /* of the answer */
} from_trunk = { "edge_trunk", 22, &ce_mac, &edge_mac },
  from_fabric = { "edge_fabric", 42, &router_mac, &own_mac };

static uint32_t
sum16(const struct packet *p, uint32_t off, uint32_t n)
{
	uint32_t s = 0;

	for (uint32_t i = 0; i < n; i += 2)
		s += at16(p, off + i);
	s = (s & 0xffff) + (s >> 16);
	return (s & 0xffff) + (s >> 16);
}

/* Dropped for that reason, and the sender is told, with the right quote. */
static void
assert_error(struct entrance e, struct packet in, enum dp_drop reason, uint16_t type, uint16_t mtu)
{
	struct packet p = in;
	uint64_t drops = rig_drops(&rig, reason);

	assert_int_equal(rig_run(&rig, e.program, &p), XDP_REDIRECT);
	assert_int_equal(rig_drops(&rig, reason), drops + 1);
	dropped_for[reason] = true;
	assert_int_equal(p.n, e.l3 + 56);
	assert_memory_equal(p.b, e.dst->b, 6);
	assert_memory_equal(p.b + 6, e.src->b, 6);
	assert_true(ip_sum_is_right(&p, e.l3));
	assert_int_equal(at16(&p, e.l3 + 2), 56);
	assert_int_equal(at32(&p, e.l3 + 12), u32_of(LOCAL));
	assert_int_equal(at32(&p, e.l3 + 16), at32(&in, e.l3 + 12));
	assert_int_equal(at16(&p, e.l3 + 20), type);
	assert_int_equal(at16(&p, e.l3 + 26), mtu);
	assert_int_equal(sum16(&p, e.l3 + 20, 36), 0xffff);
	assert_memory_equal(p.b + e.l3 + 28, in.b + e.l3, 28);
	if (e.l3 == 22) {
		assert_int_equal(at32(&p, 12), 0x88a80000 | S);
		assert_int_equal(at32(&p, 16), 0x81000000 | C);
		return;
	}
	assert_true(ip_sum_is_right(&p, 14));
	assert_int_equal(at16(&p, 16), 28 + 56);
	assert_int_equal(at32(&p, 30), u32_of(HOST));
	assert_int_equal(at32(&p, 38), plan_key(500, 3).v);
}

/* A failed customer link: the other edge gets the packet as it was, under the local-only key. */
static void
test_repair(void **state)
{
	struct packet in = from_host(NIC, CUSTOMER), p = in;
	struct datapath_reading before, after;

	PLAN_OK(datapath_edge_meter_read(d, domain, DP_OUT, &before));
	link_set(link_of_domain(), false);
	assert_verdict(&rig, "edge_fabric", &p, XDP_REDIRECT);
	assert_int_equal(p.n, in.n);
	assert_int_equal(at32(&p, 26), u32_of(EDGE));
	assert_int_equal(at32(&p, 30), u32_of(PAIR));
	assert_true(ip_sum_is_right(&p, 14));
	assert_int_equal(p.b[15], 0x28);
	assert_int_equal(at32(&p, 38), domain_key() | FABRIC_KEY_LOCAL_ONLY);
	assert_memory_equal(p.b + 42, in.b + 42, in.n - 42); /* TTL too */
	p = from_host(NIC, BEYOND);                          /* best by the pair anyway */
	assert_verdict(&rig, "edge_fabric", &p, XDP_REDIRECT);
	PLAN_OK(datapath_edge_meter_read(d, domain, DP_OUT, &after));
	assert_int_equal(after.bytes, before.bytes);
	link_set(2, false);
	p = from_host(NIC, CUSTOMER);
	assert_error(from_fabric, p, DP_DROP_LINK_DOWN, 3 << 8 | 1, 0);
	p = from_host(NIC, PAIR_ONLY);
	assert_error(from_fabric, p, DP_DROP_LINK_DOWN, 3 << 8 | 1, 0);
	link_set(link_of_domain(), true);
	p = from_host(NIC, BEYOND); /* the backup the other way round */
	assert_verdict(&rig, "edge_fabric", &p, XDP_REDIRECT);
	assert_int_equal(at16(&p, 12), 0x88a8);
	link_set(2, true);
}

/* A repaired packet uses our own path whichever is best, or none. */
static void
test_repaired(void **state)
{
	uint32_t key = domain_key() | FABRIC_KEY_LOCAL_ONLY;
	struct packet p = from_node(PAIR, key, NIC, BEYOND, 64);

	assert_verdict(&rig, "edge_fabric", &p, XDP_REDIRECT);
	assert_int_equal(at16(&p, 12), 0x88a8);
	p = from_node(PAIR, key, NIC, PAIR_ONLY, 64);
	assert_dropped(&rig, "edge_fabric", &p, DP_DROP_REPAIR_EXHAUSTED);
	link_set(link_of_domain(), false);
	p = from_node(PAIR, key, NIC, CUSTOMER, 64);
	assert_dropped(&rig, "edge_fabric", &p, DP_DROP_REPAIR_EXHAUSTED);
	link_set(link_of_domain(), true);
	p = from_node(HOST, key, NIC, CUSTOMER, 64); /* hosts may not */
	assert_dropped(&rig, "edge_fabric", &p, DP_DROP_KEY_ROLE);
	p = from_node(PAIR, domain_key(), NIC, CUSTOMER, 64);
	assert_dropped(&rig, "edge_fabric", &p, DP_DROP_KEY_ROLE);
}

/* Global Reach: to the other circuit's edges under its own key, from them under ours. */
static void
test_reach_out(void **state)
{
	struct packet in = from_customer(CUSTOMER, REACHED), p = in;
	struct addr reached = REACHED;
	struct datapath_route r;

	enter_by_trunk();
	assert_verdict(&rig, "edge_trunk", &p, XDP_REDIRECT);
	assert_int_equal(p.n, in.n - 22 + 42);
	assert_int_equal(at32(&p, 26), u32_of(EDGE));
	assert_int_equal(at32(&p, 30), u32_of(FAR));
	assert_int_equal(at32(&p, 38), plan_key(700, 5).v);
	assert_int_equal(p.b[42 + 8], 63);
	link_set(21, false);
	p = in;
	assert_verdict(&rig, "edge_trunk", &p, XDP_REDIRECT);
	assert_int_equal(at32(&p, 30), u32_of(FAR_BACKUP));
	link_set(22, false);
	assert_dropped(&rig, "edge_trunk", &in, DP_DROP_TUNNEL_DOWN);
	link_set(21, true);
	link_set(22, true);
	/* neither may a customer say it is there, nor a VNet go that way */
	p = from_customer(REACHED, NIC);
	assert_dropped(&rig, "edge_trunk", &p, DP_DROP_SRC_SPOOF);
	p = from_host(NIC, REACHED);
	assert_dropped(&rig, "edge_fabric", &p, DP_DROP_HAIRPIN);
	assert_true(datapath_edge_table_lookup(d, domain, &reached, &r));
	assert_int_equal(r.kind, DP_KIND_REACH);
	assert_int_equal(r.reach[0].node, 21);
	assert_int_equal(r.reach[1].node, 22);
	assert_int_equal(r.reach[1].key.v, plan_key(700, 5).v);
}

static void
test_reach_in(void **state)
{
	uint32_t local_only = domain_key() | FABRIC_KEY_LOCAL_ONLY;
	const struct {
		struct addr node, src, dst;
		uint32_t key;
		enum dp_drop drop; /* NONE: to the customer */
	} cases[] = {
		{ FAR, REACHED, CUSTOMER, domain_key(), DP_DROP_NONE },
		{ FAR_BACKUP, REACHED, CUSTOMER, domain_key(), DP_DROP_NONE },
		{ PAIR, REACHED, CUSTOMER, local_only, DP_DROP_NONE },
		{ FAR_OTHER, REACHED, CUSTOMER, domain_key(), DP_DROP_SRC_FABRIC },
		{ HOST, REACHED, CUSTOMER, domain_key(), DP_DROP_SRC_FABRIC },
		{ FAR, NIC, CUSTOMER, domain_key(), DP_DROP_SRC_FABRIC },
		{ FAR, CUSTOMER, CUSTOMER, domain_key(), DP_DROP_SRC_FABRIC },
		{ FAR, REACHED, NIC, domain_key(), DP_DROP_HAIRPIN },
		{ FAR, REACHED, REACHED, domain_key(), DP_DROP_HAIRPIN },
		{ FAR, REACHED, CUSTOMER, local_only, DP_DROP_KEY_ROLE },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct packet p =
			from_node(cases[i].node, cases[i].key, cases[i].src, cases[i].dst, 64);

		if (cases[i].drop) {
			assert_dropped(&rig, "edge_fabric", &p, cases[i].drop);
			continue;
		}
		assert_verdict(&rig, "edge_fabric", &p, XDP_REDIRECT);
		assert_int_equal(at32(&p, 12), 0x88a80000 | S);
		assert_int_equal(p.b[22 + 8], 63);
	}
	/* the customer's link is down: the pair's other edge has one */
	struct packet p = from_node(FAR, domain_key(), REACHED, CUSTOMER, 64);

	link_set(link_of_domain(), false);
	assert_verdict(&rig, "edge_fabric", &p, XDP_REDIRECT);
	assert_int_equal(at32(&p, 30), u32_of(PAIR));
	assert_int_equal(at32(&p, 38), local_only);
	link_set(link_of_domain(), true);
}

static struct packet
icmp_error(struct addr from, struct addr to, struct addr quoted_src, struct addr quoted_dst)
{
	struct packet p = tagged(0x0800);

	put_ip(&p, from, to, 1, 60, 0, 8 + 28);
	put_bytes(&p, (uint8_t[]){ 11, 0, 0, 0, 0, 0, 0, 0 }, 8);
	put_ip(&p, quoted_src, quoted_dst, 17, 1, 0, 8);
	put_ports(&p, 1, 2);
	return p;
}

static void
test_sources(void **state)
{
	struct packet good[] = {
		from_customer(PEER, NIC),    from_customer(CUSTOMER, NIC),
		from_customer(BEYOND, NIC),  from_customer(PAIR_ONLY, NIC),
		from_customer(LINGERS, NIC), icmp_error(ip4(7, 7, 7, 7), NIC, NIC, CUSTOMER),
	};
	struct packet bad[] = {
		from_customer(ip4(7, 7, 7, 7), NIC),
		from_customer(NIC_OTHER, NIC), /* a VNet's address */
		icmp_error(ip4(7, 7, 7, 7), NIC, NIC, ip4(8, 8, 8, 8)),
		icmp_error(ip4(7, 7, 7, 7), NIC, NIC_OTHER, CUSTOMER),
	};

	enter_by_trunk();
	for (size_t i = 0; i < COUNT(good); i++)
		assert_verdict(&rig, "edge_trunk", &good[i], XDP_REDIRECT);
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_dropped(&rig, "edge_trunk", &bad[i], DP_DROP_SRC_SPOOF);
	assert_true(datapath_edge_domain_drops(d, domain, DP_DROP_SRC_SPOOF) >= COUNT(bad));
}

static void
test_kernel_gets(void **state)
{
	struct packet p = outer(HOST, EDGE, 6, 20);

	put_ports(&p, 40000, 179);
	put_zeros(&p, 12);
	assert_verdict(&rig, "edge_fabric", &p, XDP_PASS);
	p = outer(ip4(10, 255, 0, 250), EDGE, 6, 20); /* the controller answers */
	put_ports(&p, 8444, 40000);
	put_zeros(&p, 12);
	assert_verdict(&rig, "edge_fabric", &p, XDP_PASS);
	p = outer(PAIR, EDGE, 17, 32);
	put_ports(&p, 50000, 4784);
	put_zeros(&p, 24);
	assert_verdict(&rig, "edge_fabric", &p, XDP_PASS);
	p = outer(HOST, EDGE, 1, 8);
	put_zeros(&p, 8);
	assert_verdict(&rig, "edge_fabric", &p, XDP_PASS);
	p = outer(ip4(10, 254, 1, 1), EDGE, 1, 8); /* a router's complaint */
	put_bytes(&p, (uint8_t[]){ 3, 4, 0, 0, 0, 0, 0, 0 }, 8);
	assert_verdict(&rig, "edge_fabric", &p, XDP_PASS);
	p = (struct packet){ 0 };
	put_eth(&p, &broadcast, &router_mac, 0x0806);
	put_arp(&p, 1, &router_mac, ip4(10, 254, 1, 1), ip4(10, 254, 1, 2));
	assert_verdict(&rig, "edge_fabric", &p, XDP_PASS);
}

/* --- Drops ------------------------------------------------------------------------------------- */

static void
test_trunk_frames(void **state)
{
	struct packet p = from_customer(CUSTOMER, NIC);
	struct datapath_unknown u[8];

	rig_enter_by(&rig, DP_IF_NONE, 0);
	assert_dropped(&rig, "edge_trunk", &p, DP_DROP_NO_PORT);
	enter_by_trunk();
	p.n = 22 + 19;
	assert_dropped(&rig, "edge_trunk", &p, DP_DROP_MALFORMED);
	p = from_customer(CUSTOMER, NIC);
	p.b[22] = 0x44;
	assert_dropped(&rig, "edge_trunk", &p, DP_DROP_MALFORMED);
	p = from_customer(CUSTOMER, NIC);
	p.n -= 1; /* the IP length does not fit */
	assert_dropped(&rig, "edge_trunk", &p, DP_DROP_MALFORMED);
	p = tagged_as(0x88a8, S, C + 1, &edge_mac, 0x0800);
	put_zeros(&p, 40);
	assert_dropped(&rig, "edge_trunk", &p, DP_DROP_NO_CIRCUIT);
	assert_int_equal(datapath_unknown_list(datapath_edge_maps(d), u, COUNT(u)), 1);
	assert_int_equal(u[0].s, S);
	assert_int_equal(u[0].c, C + 1);
	assert_int_equal(u[0].packets, 1);
	p = tagged_as(0x8100, S, C, &edge_mac, 0x0800); /* the right tags of the wrong type */
	put_zeros(&p, 40);
	assert_dropped(&rig, "edge_trunk", &p, DP_DROP_NO_CIRCUIT);
	p = tagged_as(0x88a8, S, C, &router_mac, 0x0800);
	put_zeros(&p, 40);
	assert_dropped(&rig, "edge_trunk", &p, DP_DROP_NOT_OUR_MAC);
	p = tagged(0x88cc);
	put_zeros(&p, 40);
	assert_dropped(&rig, "edge_trunk", &p, DP_DROP_NOT_IP);
	p = tagged(0x86dd);
	put_zeros(&p, 40);
	assert_dropped(&rig, "edge_trunk", &p, DP_DROP_IPV6);
}

static void
test_trunk_control(void **state)
{
	struct packet p = tagged_as(0x88a8, S, C, &broadcast, 0x0806);

	enter_by_trunk();
	put_arp(&p, 1, &ce_mac, ip4(172, 16, 0, 3), LOCAL);
	assert_dropped(&rig, "edge_trunk", &p, DP_DROP_ARP_FOREIGN);
	p = control(CUSTOMER, 6, 40000, 179, 64);
	assert_dropped(&rig, "edge_trunk", &p, DP_DROP_CONTROL_FOREIGN);
	p = control(CUSTOMER, 1, 0x0800, 0, 64);
	assert_dropped(&rig, "edge_trunk", &p, DP_DROP_CONTROL_FOREIGN);
	p = control(PEER, 6, 40000, 22, 64);
	assert_dropped(&rig, "edge_trunk", &p, DP_DROP_CONTROL_SERVICE);
	p = control(PEER, 17, 40000, 53, 255);
	assert_dropped(&rig, "edge_trunk", &p, DP_DROP_CONTROL_SERVICE);
	p = control(PEER, 17, 40000, 3784, 254);
	assert_dropped(&rig, "edge_trunk", &p, DP_DROP_CONTROL_TTL);
	p = control(PEER, 6, 40000, 179, 64);
	p.b[22 + 6] = 0x20; /* more fragments */
	assert_dropped(&rig, "edge_trunk", &p, DP_DROP_CONTROL_FRAGMENT);
}

static void
test_trunk_routes(void **state)
{
	struct addr gateway = ip4(10, 254, 1, 1);
	struct packet p;

	enter_by_trunk();
	p = from_customer(CUSTOMER, ip4(224, 0, 0, 5));
	assert_dropped(&rig, "edge_trunk", &p, DP_DROP_MULTICAST);
	p = from_customer_ttl(CUSTOMER, NIC, 1, 20);
	assert_error(from_trunk, p, DP_DROP_TTL, 11 << 8, 0);
	p = icmp_error(CUSTOMER, NIC, NIC, CUSTOMER); /* no error about an error */
	p.b[22 + 8] = 1;
	assert_dropped(&rig, "edge_trunk", &p, DP_DROP_TTL);
	p = from_customer_ttl(CUSTOMER, NIC, 1, 20);
	p.b[22 + 7] = 1; /* nor about a later fragment */
	assert_dropped(&rig, "edge_trunk", &p, DP_DROP_TTL);
	p = from_customer(CUSTOMER, ip4(8, 8, 8, 8));
	assert_error(from_trunk, p, DP_DROP_NO_ROUTE, 3 << 8, 0);
	p = from_customer(CUSTOMER, LINGERS); /* accepted as a source only */
	assert_error(from_trunk, p, DP_DROP_NO_ROUTE, 3 << 8, 0);
	p = from_customer(CUSTOMER, ip4(10, 2, 0, 1)); /* a VNet not known here */
	assert_error(from_trunk, p, DP_DROP_NO_ROUTE, 3 << 8, 0);
	p = from_customer(CUSTOMER, ip4(10, 66, 1, 1));
	assert_dropped(&rig, "edge_trunk", &p, DP_DROP_BLACKHOLE);
	p = from_customer(CUSTOMER, BEYOND);
	assert_dropped(&rig, "edge_trunk", &p, DP_DROP_HAIRPIN);
	p = from_customer(CUSTOMER, PEER);
	assert_dropped(&rig, "edge_trunk", &p, DP_DROP_HAIRPIN);
	p = from_customer(CUSTOMER, ip4(10, 1, 0, 99));
	assert_error(from_trunk, p, DP_DROP_NO_NIC, 3 << 8 | 1, 0);
	p = from_customer(CUSTOMER, NIC_LOST);
	assert_dropped(&rig, "edge_trunk", &p, DP_DROP_NO_TUNNEL);
	link_set(11, false);
	p = from_customer(CUSTOMER, NIC);
	assert_dropped(&rig, "edge_trunk", &p, DP_DROP_TUNNEL_DOWN);
	link_set(11, true);
	PLAN_OK(datapath_edge_gateway_mac(d, &gateway, NULL));
	assert_dropped(&rig, "edge_trunk", &p, DP_DROP_NO_NEIGHBOUR);
	PLAN_OK(datapath_edge_gateway_mac(d, &gateway, &router_mac));
	p = from_customer_ttl(CUSTOMER, NIC, 64, 1600 - 28 - 20);
	assert_verdict(&rig, "edge_trunk", &p, XDP_REDIRECT);
	p = from_customer_ttl(CUSTOMER, NIC, 64, 1600 - 28 - 20 + 1);
	assert_error(from_trunk, p, DP_DROP_TOO_BIG, 3 << 8 | 4, 1572);
	p = from_customer(CUSTOMER, NIC);
	if (rig_run_tight(&rig, "edge_trunk", &p) == XDP_DROP)
		dropped_for[DP_DROP_ADJUST] = rig_drops(&rig, DP_DROP_ADJUST) == 1;
	else
		dropped_for[DP_DROP_ADJUST] = true; /* no kernel here to show it on */
}

static void
test_fabric_outer(void **state)
{
	struct packet p = from_host(NIC, CUSTOMER);

	p.n = 20;
	assert_dropped(&rig, "edge_fabric", &p, DP_DROP_MALFORMED);
	p = from_node(ip4(10, 255, 0, 77), domain_key(), NIC, CUSTOMER, 64);
	assert_dropped(&rig, "edge_fabric", &p, DP_DROP_TUNNEL_UNKNOWN);
	p = from_node(ip4(10, 255, 0, 250), domain_key(), NIC, CUSTOMER, 64); /* no tunnel */
	assert_dropped(&rig, "edge_fabric", &p, DP_DROP_TUNNEL_UNKNOWN);
	p = from_host(NIC, CUSTOMER);
	p.b[34] = 0xb0; /* with checksum and sequence number */
	assert_dropped(&rig, "edge_fabric", &p, DP_DROP_GRE_FORMAT);
	p = from_host(NIC, CUSTOMER);
	p.b[14 + 6] = 0x20;
	assert_dropped(&rig, "edge_fabric", &p, DP_DROP_GRE_FORMAT);
	p = from_node(HOST, plan_key(101, 1).v, NIC, CUSTOMER, 64);
	assert_dropped(&rig, "edge_fabric", &p, DP_DROP_KEY_UNKNOWN);
	p = from_node(HOST, plan_key(500, 3).v, NIC, CUSTOMER, 64); /* a VNet's is for hosts */
	assert_dropped(&rig, "edge_fabric", &p, DP_DROP_KEY_UNKNOWN);
	p = from_node(HOST, plan_key(100, 2).v, NIC, CUSTOMER, 64);
	assert_dropped(&rig, "edge_fabric", &p, DP_DROP_KEY_STALE);
	p = outer(HOST, PAIR, 47, 8);
	put_zeros(&p, 8);
	assert_dropped(&rig, "edge_fabric", &p, DP_DROP_NOT_OUR_ADDRESS);
	p = outer(ip4(10, 255, 0, 77), EDGE, 6, 20);
	put_ports(&p, 40000, 179);
	put_zeros(&p, 12);
	assert_dropped(&rig, "edge_fabric", &p, DP_DROP_FABRIC_FOREIGN);
	p = outer(HOST, EDGE, 6, 20);
	put_ports(&p, 40000, 22);
	put_zeros(&p, 12);
	assert_dropped(&rig, "edge_fabric", &p, DP_DROP_FABRIC_SERVICE);
	p = (struct packet){ 0 };
	put_eth(&p, &own_mac, &router_mac, 0x86dd);
	put_zeros(&p, 40);
	assert_dropped(&rig, "edge_fabric", &p, DP_DROP_IPV6);
}

static void
test_fabric_inner(void **state)
{
	struct datapath_domain x = plan_domain(100, S, C, 1);
	struct dp_nh *nhs = datapath_maps_array(datapath_edge_maps(d), DP_MAP_NHS);
	struct packet p = from_host(NIC_OTHER, CUSTOMER); /* lives on host 12 */

	assert_dropped(&rig, "edge_fabric", &p, DP_DROP_SRC_FABRIC);
	p = from_host(CUSTOMER, CUSTOMER);
	assert_dropped(&rig, "edge_fabric", &p, DP_DROP_SRC_FABRIC);
	p = from_host(ip4(10, 2, 0, 1), CUSTOMER);
	assert_dropped(&rig, "edge_fabric", &p, DP_DROP_SRC_FABRIC);
	p = from_host(NIC, NIC_OTHER); /* not transitive */
	assert_dropped(&rig, "edge_fabric", &p, DP_DROP_HAIRPIN);
	p = from_host(NIC, PEER); /* the link itself is no destination */
	assert_error(from_fabric, p, DP_DROP_NO_ROUTE, 3 << 8, 0);
	p = from_node(HOST, domain_key(), NIC, CUSTOMER, 1);
	assert_error(from_fabric, p, DP_DROP_TTL, 11 << 8, 0);
	p = from_node(PAIR, domain_key() | FABRIC_KEY_LOCAL_ONLY, NIC, CUSTOMER, 1);
	assert_dropped(&rig, "edge_fabric", &p, DP_DROP_TTL); /* it cannot say where the VM is */
	PLAN_OK(datapath_edge_domain_neighbour(d, domain, NULL));
	p = from_host(NIC, CUSTOMER);
	assert_dropped(&rig, "edge_fabric", &p, DP_DROP_NO_NEIGHBOUR);
	PLAN_OK(datapath_edge_domain_neighbour(d, domain, &ce_mac));
	x.mtu = 119;
	PLAN_OK(datapath_edge_domain_put(d, &x, &plan_err));
	assert_error(from_fabric, p, DP_DROP_TOO_BIG, 3 << 8 | 4, 119);
	x.mtu = 1500;
	PLAN_OK(datapath_edge_domain_put(d, &x, &plan_err));
	for (uint32_t i = 1; i < 16; i++)
		nhs[i].owner += nhs[i].owner == 100;
	assert_dropped(&rig, "edge_fabric", &p, DP_DROP_STALE_ELEMENT);
	for (uint32_t i = 1; i < 16; i++)
		nhs[i].owner -= nhs[i].owner == 101;
	assert_verdict(&rig, "edge_fabric", &p, XDP_REDIRECT);
}

/* Each kind of control traffic has a bucket of its own: a flood of one leaves the others alone. */
static void
test_control_rates(void **state)
{
	struct packet ping = control(PEER, 1, 0x0800, 0, 64),
		      bgp = control(PEER, 6, 40000, 179, 64);
	struct packet arp = tagged_as(0x88a8, S, C, &broadcast, 0x0806), p;
	const struct {
		struct packet *packet;
		enum dp_drop reason;
	} floods[] = { { &ping, DP_DROP_ICMP_RATE },
		       { &arp, DP_DROP_ARP_RATE },
		       { &bgp, DP_DROP_CONTROL_RATE } };

	put_arp(&arp, 1, &ce_mac, PEER, LOCAL);
	enter_by_trunk();
	for (size_t i = 0; i < COUNT(floods); i++) {
		struct dp_policer *row = datapath_maps_array(datapath_edge_maps(d), DP_MAP_CONTROL);
		struct timespec t;
		uint64_t in_ns;
		int n = 0;

		do {
			p = *floods[i].packet;
		} while (rig_run(&rig, "edge_trunk", &p) == XDP_REDIRECT && n++ < 100000);
		/* Full: set it so that the next is refused however slow this machine is. */
		clock_gettime(CLOCK_MONOTONIC, &t);
		in_ns = (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
		row += (link_of_domain() - DATAPATH_LINK_DOMAIN) * DP_CONTROLS;
		row += i == 0 ? DP_CONTROL_ICMP : i == 1 ? DP_CONTROL_ARP : DP_CONTROL_SESSION;
		row->tat = (in_ns << 8) + row->burst + (1000000000ull << 8);
		assert_dropped(&rig, "edge_trunk", floods[i].packet, floods[i].reason);
		if (i < 2) {
			p = bgp;
			assert_verdict(&rig, "edge_trunk", &p, XDP_REDIRECT);
		}
	}
}

static uint64_t
clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* So many errors a second; the packets are dropped all the same. */
static void
test_error_rate(void **state)
{
	struct dp_policer *row = datapath_maps_array(datapath_edge_maps(d), DP_MAP_CONTROL);
	struct packet p = from_customer(CUSTOMER, ip4(8, 8, 8, 8));
	int n = 0;

	row += (link_of_domain() - DATAPATH_LINK_DOMAIN) * DP_CONTROLS + DP_CONTROL_ERRORS;
	enter_by_trunk();
	for (struct packet q = p; n < 100000 && rig_run(&rig, "edge_trunk", &q) == XDP_REDIRECT;
	     q = p)
		n++;
	assert_in_range(n, 1, 99999);
	row->tat = (clock_ns() << 8) + row->burst + (1000000000ull << 8);
	assert_dropped(&rig, "edge_trunk", &p, DP_DROP_NO_ROUTE);
	row->tat = 0;
	assert_error(from_trunk, p, DP_DROP_NO_ROUTE, 3 << 8, 0);
}

static void
send_until_policed(const struct packet *in)
{
	struct packet p;

	do {
		p = *in;
	} while (rig_run(&rig, "edge_trunk", &p) == XDP_REDIRECT);
}

static struct dp_policer *
policer_in(void)
{
	struct datapath_maps *m = datapath_edge_maps(d);
	const struct dp_domain *domains = datapath_maps_array(m, DP_MAP_DOMAINS);
	struct dp_policer *policers = datapath_maps_array(m, DP_MAP_POLICERS);

	return &policers[domains[link_of_domain() - DATAPATH_LINK_DOMAIN].policer[DP_IN]];
}

/* Offered far above the rate for half a second, from an empty bucket to an empty bucket: what passes
 * is rate times time. A burst of 2 s, so that a pause of this machine loses no credit. */
static void
test_policer(void **state)
{
	const uint64_t slow[] = { 10000000, 10000000 }, fast[] = { 20000000, 0 }, none[] = { 0, 0 };
	uint32_t circuit = 1u << 12 | S;
	struct datapath_reading before, after;
	struct packet in = from_customer_ttl(CUSTOMER, NIC, 64, 1380), p;

	enter_by_trunk();
	for (int round = 0; round < 2; round++) {
		const uint64_t *rate = round ? fast : slow;
		double want, got;
		uint64_t start;

		PLAN_OK(datapath_edge_circuit_put(d, circuit, rate, &plan_err));
		policer_in()->burst = 2000000000ull << 8;
		send_until_policed(&in);
		assert_dropped(&rig, "edge_trunk", &in, DP_DROP_POLICED);
		PLAN_OK(datapath_edge_meter_read(d, domain, DP_IN, &before));
		start = clock_ns();
		while (clock_ns() - start < 500000000) {
			p = in;
			rig_run(&rig, "edge_trunk", &p);
		}
		send_until_policed(&in);
		PLAN_OK(datapath_edge_meter_read(d, domain, DP_IN, &after));
		want = (double)rate[DP_IN] / 8 * (double)(clock_ns() - start) / 1e9;
		got = (double)(after.bytes - before.bytes);
		print_message("%llu bit/s: %.2f %% of the rate passed\n",
			      (unsigned long long)rate[DP_IN], got / want * 100);
		assert_true(got > want * 0.98 && got < want * 1.02);
	}
	PLAN_OK(datapath_edge_circuit_put(d, circuit, none, &plan_err));
	p = in;
	assert_verdict(&rig, "edge_trunk", &p, XDP_REDIRECT);
}

/* The tree in the program against the tree in C, over random tables. */
static void
test_lookup_as_in_c(void **state)
{
	static struct datapath_route r[3000];
	uint64_t seed = 7;
	size_t n = 0;

	enter_by_trunk();
	for (unsigned i = 0; i < COUNT(r); i++) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		r[n].prefix = net4(20 + i / 256, i % 256, (unsigned)(seed >> 60) * 16, 0,
				   18 + (unsigned)(seed >> 40) % 9);
		r[n].kind = seed >> 33 & 1 ? DP_KIND_CUSTOMER : DP_KIND_BLACKHOLE;
		r[n].via = DATAPATH_VIA_CE;
		n++;
	}
	r[n - 1] = (struct datapath_route){ .prefix = net4(192, 168, 1, 0, 24),
					    .kind = DP_KIND_CUSTOMER,
					    .via = DATAPATH_VIA_CE };
	PLAN_OK(datapath_edge_table_commit(d, domain, r, n, now, &plan_err));
	for (unsigned i = 0; i < 4000; i++) {
		struct datapath_route want;
		struct packet p;
		struct addr a;

		seed = seed * 6364136223846793005u + 1442695040888963407u;
		a = ip4(20 + i % 12, (unsigned)(seed >> 56), (unsigned)(seed >> 48) & 255,
			(unsigned)(seed >> 40) & 255);
		datapath_edge_table_lookup(d, domain, &a, &want);
		p = from_customer(CUSTOMER, a);
		p.b[22 + 7] = 1; /* a later fragment: nobody is told */
		assert_dropped(&rig, "edge_trunk", &p,
			       want.kind == DP_KIND_CUSTOMER    ? DP_DROP_HAIRPIN
			       : want.kind == DP_KIND_BLACKHOLE ? DP_DROP_BLACKHOLE
								: DP_DROP_NO_ROUTE);
	}
	routes_commit();
}

/* The reasons only a host has are host.c's. */
static void
test_every_reason_was_seen(void **state)
{
	for (enum dp_drop i = DP_DROP_NONE + 1; i < DP_DROPS; i++)
		if (!dropped_for[i] && i != DP_DROP_SRC_NIC)
			fail_msg("no test drops for %s", datapath_drop_name(i));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_trunk_to_host),
		cmocka_unit_test(test_fabric_to_customer),
		cmocka_unit_test(test_ttl_sums),
		cmocka_unit_test(test_metered),
		cmocka_unit_test(test_control_to_namespace),
		cmocka_unit_test(test_namespace_to_customer),
		cmocka_unit_test(test_repair),
		cmocka_unit_test(test_repaired),
		cmocka_unit_test(test_reach_out),
		cmocka_unit_test(test_reach_in),
		cmocka_unit_test(test_sources),
		cmocka_unit_test(test_kernel_gets),
		cmocka_unit_test(test_trunk_frames),
		cmocka_unit_test(test_trunk_control),
		cmocka_unit_test(test_trunk_routes),
		cmocka_unit_test(test_fabric_outer),
		cmocka_unit_test(test_fabric_inner),
		cmocka_unit_test(test_control_rates),
		cmocka_unit_test(test_error_rate),
		cmocka_unit_test(test_policer),
		cmocka_unit_test(test_lookup_as_in_c),
		cmocka_unit_test(test_every_reason_was_seen),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
