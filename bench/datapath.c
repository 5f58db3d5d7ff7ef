/* What a packet costs in the edge's programs, with 10,000 routes in the domain: BPF_PROG_TEST_RUN, one
 * core, nothing sent. A packet is made anew before each run (datapath.bpf.c); what that costs is
 * measured by itself and taken off. For comparison, the least that an XDP program can do with a packet
 * that goes on: bpf_redirect() and no more. All in turns, medians. */
#include "datapath.h"

#include "../tests/datapath/rig.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <net/if.h>

enum { ROUNDS = 9, REPEAT = 300000, S = 10, C = 20, PAYLOAD = 128 - 28 };

#define EDGE ip4(10, 255, 0, 1)
#define HOST ip4(10, 255, 0, 11)
#define NIC ip4(10, 1, 0, 4)
#define CUSTOMER ip4(20, 0, 0, 7) /* second and third byte: the route */

static const struct mac edge_mac = { { 2, 0, 0, 0, 1, 100 } }, ce_mac = { { 2, 0, 0, 0, 2, 100 } };
static const struct mac own_mac = { { 2, 0, 0, 0, 0, 1 } }, router_mac = { { 2, 0, 0, 0, 0, 9 } };
static const struct fabric_number domain = { 100 }, vnet = { 500 };

struct harness {
	struct rig rig;
	struct datapath_edge *d;
	struct bpf_object *object;
	int packet, under_test;
};

struct row {
	const char *what, *harness, *program;
	bool by_trunk, varies;
	uint32_t ns[ROUNDS];
	double median;
};

static void
must(bool is, const char *what)
{
	if (is)
		return;
	fprintf(stderr, "bench: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* --- The edge ---------------------------------------------------------------------------------- */

static void
routes_commit(struct datapath_edge *d)
{
	static struct datapath_route r[BENCH_ROUTES + 1];

	for (unsigned i = 0; i < BENCH_ROUTES; i++)
		r[i] = (struct datapath_route){ .prefix = net4(20, i >> 8, i & 255, 0, 24),
						.kind = DP_KIND_CUSTOMER,
						.via = DATAPATH_VIA_CE,
						.backup = DATAPATH_VIA_PAIR,
						.pair = 2 };
	r[BENCH_ROUTES] = (struct datapath_route){ .prefix = net4(10, 1, 0, 0, 16),
						   .kind = DP_KIND_VNET,
						   .vnet = vnet };
	PLAN_OK(datapath_edge_table_commit(d, domain, r, COUNT(r), (struct mono){ 1000000 },
					   &plan_err));
}

static void
edge_make(struct harness *h)
{
	struct datapath_domain x = plan_domain(100, S, C, 1);
	const uint64_t rate[] = { 100000000000, 100000000000 }; /* policed, and never full */
	struct addr nic = NIC;
	struct datapath_fds fds;

	rig_open(&h->rig, DATAPATH_EDGE, NULL);
	PLAN_OK(datapath_load_attach(h->rig.load, if_nametoindex("trunk"), DP_IF_TRUNK, 1,
				     &plan_err));
	PLAN_OK(datapath_load_fds(h->rig.load, DATAPATH_FOR_DAEMON, &fds, &plan_err));
	PLAN_OK(datapath_edge_open(&fds, &h->d, &plan_err));
	datapath_fds_close(&fds);
	plan_underlay(h->d);
	PLAN_OK(datapath_edge_circuit_put(h->d, x.circuit, rate, &plan_err));
	PLAN_OK(datapath_edge_domain_put(h->d, &x, &plan_err));
	PLAN_OK(datapath_edge_domain_neighbour(h->d, domain, &ce_mac));
	PLAN_OK(datapath_edge_vnet_put(h->d, vnet, plan_key(500, 3), &plan_err));
	PLAN_OK(datapath_edge_address_put(h->d, vnet, &nic, 11, &plan_err));
	routes_commit(h->d);
	for (uint32_t node = 2; node < 50; node++)
		PLAN_OK(datapath_link_set(h->rig.bfd, node, true));
	PLAN_OK(datapath_link_set(h->rig.bfd, datapath_edge_domain_link(h->d, domain), true));
}

/* --- Packets ----------------------------------------------------------------------------------- */

static struct packet
from_customer(void)
{
	struct packet p = { 0 };

	put_eth(&p, &edge_mac, &ce_mac, 0x88a8);
	put_tag(&p, S, 0x8100);
	put_tag(&p, C, 0x0800);
	put_ip(&p, CUSTOMER, NIC, 17, 64, 0, 8 + PAYLOAD);
	put_ports(&p, 1000, 2000);
	put_zeros(&p, PAYLOAD);
	return p;
}

static struct packet
from_host(void)
{
	struct packet p = { 0 };

	put_eth(&p, &own_mac, &router_mac, 0x0800);
	put_ip(&p, HOST, EDGE, 47, 60, 0, 8 + 28 + PAYLOAD);
	put_gre(&p, 0x2000, 0x0800, plan_key(100, 1).v);
	put_ip(&p, NIC, CUSTOMER, 17, 64, 0, 8 + PAYLOAD);
	put_ports(&p, 1000, 2000);
	put_zeros(&p, PAYLOAD);
	return p;
}

/* --- Runs -------------------------------------------------------------------------------------- */

static void
harness_load(struct harness *h, const char *path)
{
	h->object = bpf_object__open_file(path, NULL);
	must(h->object && bpf_object__load(h->object) == 0, path);
	h->packet = bpf_object__find_map_fd_by_name(h->object, "packet");
	h->under_test = bpf_object__find_map_fd_by_name(h->object, "under_test");
}

static uint32_t
run(struct harness *h, const struct row *row)
{
	struct packet p = row->by_trunk ? from_customer() : from_host(), out;
	struct bench_packet b = { .len = p.n };
	struct bpf_program *program = bpf_object__find_program_by_name(h->object, row->harness);
	LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = p.b, .data_size_in = p.n, .data_out = out.b,
		    .data_size_out = sizeof(out.b), .repeat = REPEAT);
	uint32_t zero = 0;
	int fd;

	/* The customer's address: source behind the tags, destination behind GRE. */
	if (row->varies)
		b.vary_at = row->by_trunk ? 22 + 12 : 42 + 16;
	memcpy(b.head, p.b, sizeof(b.head));
	must(bpf_map_update_elem(h->packet, &zero, &b, 0) == 0, "packet");
	rig_enter_by(&h->rig, row->by_trunk ? DP_IF_TRUNK : DP_IF_FABRIC, row->by_trunk);
	if (row->program) {
		fd = datapath_load_program(h->rig.load, row->program);
		must(bpf_map_update_elem(h->under_test, &zero, &fd, 0) == 0, row->program);
	}
	must(bpf_prog_test_run_opts(bpf_program__fd(program), &o) == 0, row->harness);
	must(o.retval == (strcmp(row->harness, "bench_restore") ? XDP_REDIRECT : XDP_PASS),
	     "a packet did not go through");
	return o.duration;
}

static int
by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* Each run that goes through is metered, once. */
static uint64_t
metered(const struct harness *h)
{
	struct datapath_reading in, out;

	PLAN_OK(datapath_edge_meter_read(h->d, domain, DP_IN, &in));
	PLAN_OK(datapath_edge_meter_read(h->d, domain, DP_OUT, &out));
	return in.packets + out.packets;
}

static void
print(const struct row *rows, size_t n)
{
	printf("%-48s %8s %7s %10s\n", "one core, 128-byte packets, 10,000 routes", "ns/run",
	       "ratio", "ns/packet");
	for (size_t i = 0; i < n; i++)
		printf("%-48s %8.0f %7.2f %10.0f\n", rows[i].what, rows[i].median,
		       rows[i].median / rows[1].median, rows[i].median - rows[0].median);
	printf("\nMedians of %d rounds of %d runs. ratio: to the bare redirect. ns/packet: without "
	       "making the\npacket anew.\n",
	       ROUNDS, REPEAT);
}

int
main(int argc, char **argv)
{
	static struct row rows[] = {
		{ "making the packet anew", "bench_restore", NULL, true, false, { 0 }, 0 },
		{ "bare redirect", "bench_redirect", NULL, true, false, { 0 }, 0 },
		{ "edge_trunk: customer to host",
		  "bench_program",
		  "edge_trunk",
		  true,
		  false,
		  { 0 },
		  0 },
		{ "edge_trunk, source walks over the routes",
		  "bench_program",
		  "edge_trunk",
		  true,
		  true,
		  { 0 },
		  0 },
		{ "edge_fabric: host to customer",
		  "bench_program",
		  "edge_fabric",
		  false,
		  false,
		  { 0 },
		  0 },
		{ "edge_fabric, destination walks over the routes",
		  "bench_program",
		  "edge_fabric",
		  false,
		  true,
		  { 0 },
		  0 },
	};
	const size_t middle = ROUNDS / 2;
	struct harness h = { 0 };
	uint64_t want = 0;

	if (argc != 2) {
		fprintf(stderr, "usage: %s datapath.bpf.o\n", argv[0]);
		return 2;
	}
	edge_make(&h);
	harness_load(&h, argv[1]);
	for (unsigned round = 0; round < ROUNDS; round++)
		for (size_t i = 0; i < COUNT(rows); i++)
			rows[i].ns[round] = run(&h, &rows[i]);
	for (size_t i = 0; i < COUNT(rows); i++)
		want += rows[i].program ? ROUNDS * REPEAT : 0;
	must(metered(&h) == want, "some runs did not go through");
	for (size_t i = 0; i < COUNT(rows); i++) {
		qsort(rows[i].ns, ROUNDS, sizeof(rows[i].ns[0]), by_value);
		rows[i].median = (double)rows[i].ns[middle];
	}
	print(rows, COUNT(rows));
	bpf_object__close(h.object);
	datapath_edge_destroy(h.d);
	rig_close(&h.rig);
	return 0;
}
