/* A host's keeper: interfaces become NICs' ports, with what the packet path needs of them. */
#include "../test.h"

#include "base/mono.h"
#include "datapath/host.h"
#include "supervise/keeper.h"
#include "supervise/process.h"

#include <signal.h>
#include <sys/stat.h>

enum { PATIENCE_MS = 10000, SLOT = 3 };

static const char *keeper_program, *bfdd_program;
static char root[] = "/tmp/wayleave-nic-XXXXXX";
static struct supervisor *s;
static struct keeper *k;
static char run[128];

#define OK(call) \
	do { \
		struct err e = { 0 }; \
		if ((call) < 0) \
			fail_msg("%s: %s", #call, e.text); \
	} while (0)

static struct keeper_nic
nic(const char *ifname)
{
	struct keeper_nic n = { .number = SLOT };

	snprintf(n.ifname, sizeof(n.ifname), "%s", ifname);
	return n;
}

static void
an_interface_becomes_a_port(void **state)
{
	struct keeper_nic n = nic("v0");
	struct netlink_offload o = { -1, -1, -1 };
	struct keeper_port_info info = { 0 };
	struct netlink_link l;
	struct datapath_fds maps;
	AUTO(datapath_host) host = NULL;

	OK(keeper_maps(k, &maps, &e));
	OK(datapath_host_open(&maps, &host, &e));
	datapath_fds_close(&maps);
	OK(keeper_nic_attach(k, &n, &info, &e));
	OK(netlink_link_get(supervisor_netlink(s, "host", NULL), "v0", &l, &e));
	assert_int_equal(info.ifindex, l.index);
	assert_true(l.is_up);
	OK(netlink_offload_get(supervisor_namespace_fd(s, "host"), "v0", &o, &e));
	assert_true(o.gro == 1 && o.tx == 0);
	OK(keeper_nic_attach(k, &n, &info, &e)); /* again */
	OK(keeper_nic_detach(k, &n, &e));
	OK(keeper_nic_detach(k, &n, &e));
}

static void
a_successor_knows_the_port(void **state)
{
	struct keeper_nic n = nic("v0");
	struct keeper_port_info info;
	pid_t pid = supervisor_pid(s, "keeper");

	OK(keeper_nic_attach(k, &n, &info, &e));
	kill(pid, SIGKILL);
	while (supervisor_pid(s, "keeper") == pid || !supervisor_pid(s, "keeper"))
		supervisor_step(s, 100);
	OK(supervisor_wait_ready(s, "keeper", PATIENCE_MS, &e));
	OK(keeper_nic_attach(k, &n, &info, &e));
	/* The device may go first. */
	OK(netlink_link_delete(supervisor_netlink(s, "vm", NULL), "eth0", &e));
	OK(keeper_nic_detach(k, &n, &e));
}

static void
not_every_interface(void **state)
{
	static const char *const bad[] = { "lo", "fabric0", "x1" }; /* x1: not of the pattern */
	struct keeper_port_info info;
	struct err e = { 0 };

	for (size_t i = 0; i < COUNT(bad); i++) {
		struct keeper_nic n = nic(bad[i]);

		assert_int_equal(keeper_nic_attach(k, &n, &info, &e), -EPERM);
	}
	struct keeper_nic gone = nic("v9");
	assert_int_equal(keeper_nic_attach(k, &gone, &info, &e), -ENODEV);
}

static int
setup(void **state)
{
	struct supervisor_config cfg = { .instance = "nic", .run_root = root, .has_mounts = true };
	struct supervisor_wire wire = { .a = { .ns = "host", .ifname = "v0" },
					.b = { .ns = "vm", .ifname = "eth0" } };
	const char *keeper[] = { keeper_program,   "--run",  run,    "--node",
				 "host",           "--role", "host", "--port",
				 "fabric0:fabric", "--nic",  "v*",   NULL };
	const char *bfdd[] = { bfdd_program, "--run", run, NULL };
	struct process_spec pk = {
		.name = "keeper", .argv = keeper, .ns = "host", .has_readiness = true
	};
	struct process_spec pb = {
		.name = "bfdd", .argv = bfdd, .ns = "host", .has_readiness = true
	};

	if (!mkdtemp(root) || chmod(root, 0755) < 0)
		return -1;
	OK(supervisor_create(&cfg, &s, &e));
	snprintf(run, sizeof(run), "%s/host", supervisor_dir(s));
	OK(supervisor_node_dir(s, "host", &e));
	OK(supervisor_namespace(s, "host", NULL, &e));
	OK(supervisor_namespace(s, "vm", NULL, &e));
	OK(supervisor_wire(s, &wire, &e));
	OK(supervisor_start(s, &pk, &e));
	OK(supervisor_start(s, &pb, &e));
	OK(supervisor_wait_ready(s, "keeper", PATIENCE_MS, &e));
	k = keeper_create(run, KEEPER_ROLE_HOSTD);
	return 0;
}

static int
teardown(void **state)
{
	keeper_destroy(k);
	supervisor_destroy(s);
	rmdir(root);
	return 0;
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_interface_becomes_a_port),
		cmocka_unit_test(a_successor_knows_the_port),
		cmocka_unit_test(not_every_interface),
	};
	int fd = -1;

	if (netns_create(&fd, NULL) < 0) {
		puts("needs the privilege to make network namespaces");
		return 77;
	}
	close(fd);
	assert_int_equal(argc, 3);
	keeper_program = argv[1];
	bfdd_program = argv[2];
	return cmocka_run_group_tests(tests, setup, teardown);
}
