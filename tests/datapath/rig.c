/* See rig.h. */
#include "rig.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <net/if.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

bool dropped_for[DP_DROPS];
static struct datapath_maps *maps;
static int ifs_fd = -1;

static void
must(bool is, const char *what)
{
	if (is)
		return;
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(1);
}

static void
run(const char *command)
{
	if (system(command) != 0) {
		fprintf(stderr, "failed: %s\n", command);
		exit(1);
	}
}

static void
skip_all(const char *why)
{
	fprintf(stderr, "skipped: %s: %s\n", why, strerror(errno));
	exit(77);
}

void
rig_open(struct rig *r, enum datapath_role role, const struct dp_sizes *sizes)
{
	static const char *const devices[] = { "fabric", "trunk", "customer" };
	struct datapath_fds fds;
	char path[128], mnt[] = "/tmp/datapath-test-XXXXXX";
	struct err e = { 0 };

	if (geteuid() || unshare(CLONE_NEWNET | CLONE_NEWNS) < 0)
		skip_all("namespaces");
	must(mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0, "private mounts");
	must(mkdtemp(mnt) != NULL, "mkdtemp");
	if (mount("bpf", mnt, "bpf", 0, NULL) < 0)
		skip_all("bpffs");
	*r = (struct rig){ 0 };
	snprintf(r->dir, sizeof(r->dir), "%s", mnt);
	/* The kernel's own IPv6 greetings would count as drops now and then. */
	run("echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6");
	run("ip link set lo up");
	for (size_t i = 0; i < COUNT(devices); i++) {
		char command[256];

		snprintf(command, sizeof(command),
			 "ip link add %s type veth peer name %s-peer && ip link set %s up && "
			 "ip link set %s-peer up",
			 devices[i], devices[i], devices[i], devices[i]);
		run(command);
	}
	snprintf(path, sizeof(path), "%s/wayleave/test/node", r->dir);
	if (datapath_load_open(path, role, sizes, &r->load, &e) < 0) {
		fprintf(stderr, "%s\n", e.text);
		exit(1);
	}
	PLAN_OK(datapath_load_fds(r->load, DATAPATH_FOR_BFD, &fds, &plan_err));
	PLAN_OK(datapath_maps_open(&fds, &r->bfd, &plan_err));
	datapath_fds_close(&fds);
	PLAN_OK(datapath_load_fds(r->load, DATAPATH_FOR_DAEMON, &fds, &plan_err));
	PLAN_OK(datapath_maps_open(&fds, &maps, &plan_err));
	datapath_fds_close(&fds);
	snprintf(path, sizeof(path), "%s/wayleave/test/node/v%d/map_ifs", r->dir, DP_LAYOUT);
	ifs_fd = bpf_obj_get(path);
	must(ifs_fd >= 0, path);
	PLAN_OK(datapath_load_attach(r->load, if_nametoindex("fabric"), DP_IF_FABRIC, 0,
				     &plan_err));
}

void
rig_close(struct rig *r)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/wayleave/test/node", r->dir);
	datapath_maps_destroy(r->bfd);
	datapath_maps_destroy(maps);
	close(ifs_fd);
	datapath_load_destroy(r->load);
	PLAN_OK(datapath_load_unpin(path, &plan_err));
	umount(r->dir);
	rmdir(r->dir);
}

void
rig_enter_by(struct rig *r, enum dp_if_kind kind, uint32_t value)
{
	uint32_t lo = if_nametoindex("lo");
	uint64_t word = kind == DP_IF_NONE ? 0 : DP_IF_WORD(lo, kind, value);

	must(bpf_map_update_elem(ifs_fd, &lo, &word, 0) == 0, "ifs");
}

/* --- Packets ----------------------------------------------------------------------------------- */

void
put_bytes(struct packet *p, const void *b, uint32_t n)
{
	assert_true(p->n + n <= sizeof(p->b));
	memcpy(p->b + p->n, b, n);
	p->n += n;
}

static void
put16(struct packet *p, uint16_t v)
{
	v = htons(v);
	put_bytes(p, &v, 2);
}

void
put_zeros(struct packet *p, uint32_t n)
{
	assert_true(p->n + n <= sizeof(p->b));
	memset(p->b + p->n, 0, n);
	p->n += n;
}

void
put_eth(struct packet *p, const struct mac *dst, const struct mac *src, uint16_t type)
{
	put_bytes(p, dst->b, 6);
	put_bytes(p, src->b, 6);
	put16(p, type);
}

void
put_tag(struct packet *p, uint16_t vid, uint16_t type)
{
	put16(p, vid | 0x6000); /* with a priority */
	put16(p, type);
}

static uint32_t
sum_of(const uint8_t *b)
{
	uint32_t s = 0;

	for (int i = 0; i < 20; i += 2)
		s += (uint32_t)(b[i] << 8 | b[i + 1]);
	s = (s & 0xffff) + (s >> 16);
	return (s & 0xffff) + (s >> 16);
}

bool
ip_sum_is_right(const struct packet *p, uint32_t off)
{
	return sum_of(p->b + off) == 0xffff;
}

uint32_t
put_ip(struct packet *p, struct addr src, struct addr dst, uint8_t proto, uint8_t ttl, uint8_t tos,
       uint32_t payload)
{
	uint8_t h[20] = {
		0x45, tos,  (uint8_t)((payload + 20) >> 8), (uint8_t)(payload + 20), 0, 0, 0, 0,
		ttl,  proto
	};
	uint32_t at = p->n, sum;

	memcpy(h + 12, src.b, 4);
	memcpy(h + 16, dst.b, 4);
	sum = ~sum_of(h);
	h[10] = (uint8_t)(sum >> 8);
	h[11] = (uint8_t)sum;
	put_bytes(p, h, sizeof(h));
	return at;
}

void
put_ports(struct packet *p, uint16_t src, uint16_t dst)
{
	put16(p, src);
	put16(p, dst);
	put_zeros(p, 4);
}

void
put_gre(struct packet *p, uint16_t flags, uint16_t type, uint32_t key)
{
	put16(p, flags);
	put16(p, type);
	put16(p, (uint16_t)(key >> 16));
	put16(p, (uint16_t)key);
}

void
put_arp(struct packet *p, uint16_t op, const struct mac *sha, struct addr spa, struct addr tpa)
{
	put16(p, 1);
	put16(p, 0x0800);
	put_bytes(p, (uint8_t[]){ 6, 4 }, 2);
	put16(p, op);
	put_bytes(p, sha->b, 6);
	put_bytes(p, spa.b, 4);
	put_zeros(p, 6);
	put_bytes(p, tpa.b, 4);
}

uint16_t
at16(const struct packet *p, uint32_t off)
{
	return (uint16_t)(p->b[off] << 8 | p->b[off + 1]);
}

uint32_t
at32(const struct packet *p, uint32_t off)
{
	return (uint32_t)at16(p, off) << 16 | at16(p, off + 2);
}

/* --- Runs -------------------------------------------------------------------------------------- */

int
rig_run(struct rig *r, const char *program, struct packet *p)
{
	struct packet out = { 0 };
	LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = p->b, .data_size_in = p->n, .data_out = out.b,
		    .data_size_out = sizeof(out.b), .repeat = 1);

	must(bpf_prog_test_run_opts(datapath_load_program(r->load, program), &o) == 0, program);
	out.n = o.data_size_out;
	*p = out;
	return (int)o.retval;
}

int
rig_run_tight(struct rig *r, const char *program, struct packet *p)
{
	enum { META = 252 };
	uint8_t in[META + sizeof(p->b)] = { 0 };
	struct xdp_md ctx = { .data = META, .data_end = META + p->n };
	LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = in, .data_size_in = META + p->n,
		    .ctx_in = &ctx, .ctx_size_in = sizeof(ctx), .repeat = 1);

	memcpy(in + META, p->b, p->n);
	if (bpf_prog_test_run_opts(datapath_load_program(r->load, program), &o) < 0)
		return -1;
	return (int)o.retval;
}

uint64_t
rig_drops(struct rig *r, enum dp_drop reason)
{
	return datapath_drops(maps, reason);
}

void
assert_dropped(struct rig *r, const char *program, const struct packet *p, enum dp_drop reason)
{
	uint64_t before[DP_DROPS];
	struct packet copy = *p;
	int verdict;

	for (enum dp_drop i = 0; i < DP_DROPS; i++)
		before[i] = rig_drops(r, i);
	verdict = rig_run(r, program, &copy);
	for (enum dp_drop i = 0; i < DP_DROPS; i++)
		if (rig_drops(r, i) - before[i] != (i == reason))
			fail_msg("%s: wanted drop %s, verdict %d, %s counts %+lld", program,
				 datapath_drop_name(reason), verdict, datapath_drop_name(i),
				 (long long)(rig_drops(r, i) - before[i]));
	assert_int_equal(verdict, XDP_DROP);
	dropped_for[reason] = true;
}

void
assert_verdict(struct rig *r, const char *program, struct packet *p, int verdict)
{
	uint64_t before[DP_DROPS];
	int got;

	for (enum dp_drop i = 0; i < DP_DROPS; i++)
		before[i] = rig_drops(r, i);
	got = rig_run(r, program, p);
	for (enum dp_drop i = 0; i < DP_DROPS; i++)
		if (rig_drops(r, i) != before[i])
			fail_msg("%s: dropped as %s", program, datapath_drop_name(i));
	assert_int_equal(got, verdict);
}
