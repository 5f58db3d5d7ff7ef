/* The keeper's side: a successor finds maps and attachments, replaces programs in place, sweeps what
 * is no longer there, and leaves nothing when it is told to. */
#include "rig.h"

#include <bpf/libbpf.h>
#include <linux/capability.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static struct rig rig;

static uint32_t
attached(const char *dev)
{
	uint32_t id = 0;

	assert_int_equal(bpf_xdp_query_id((int)if_nametoindex(dev), XDP_FLAGS_DRV_MODE, &id), 0);
	return id;
}

static bool
keep_fabric(void *ctx, unsigned ifindex, enum dp_if_kind kind, uint32_t value)
{
	return kind == DP_IF_FABRIC;
}

static void
test_successor(void **state)
{
	char dir[128];
	struct dp_sizes other = datapath_sizes_default(DATAPATH_EDGE);
	struct datapath_load *next, *none;
	struct datapath_maps *m;
	struct datapath_fds fds;
	struct err e = { 0 };
	uint32_t before;

	rig_open(&rig, DATAPATH_EDGE, NULL);
	snprintf(dir, sizeof(dir), "%s/wayleave/test/node", rig.dir);
	PLAN_OK(datapath_load_attach(rig.load, if_nametoindex("trunk"), DP_IF_TRUNK, 1, &plan_err));
	PLAN_OK(datapath_link_set(rig.bfd, 7, true));
	before = attached("trunk");
	assert_true(before != 0);
	other.n_domains = 99; /* the maps that are there win */
	PLAN_OK(datapath_load_open(dir, DATAPATH_EDGE, &other, &next, &plan_err));
	assert_int_equal(attached("trunk"), before);
	PLAN_OK(datapath_load_attach(next, if_nametoindex("trunk"), DP_IF_TRUNK, 1, &plan_err));
	assert_int_not_equal(attached("trunk"), before);
	PLAN_OK(datapath_load_fds(next, DATAPATH_FOR_BFD, &fds, &plan_err));
	assert_int_equal(fds.fd[DP_MAP_LINES], -1);
	PLAN_OK(datapath_maps_open(&fds, &m, &plan_err));
	datapath_fds_close(&fds);
	assert_int_equal(datapath_maps_sizes(m)->n_domains, 4096);
	assert_true(datapath_link_is_up(m, 7));
	assert_true(datapath_link_is_up(m, 0));
	assert_false(datapath_link_is_up(m, 8));
	assert_int_equal(datapath_link_set(m, 0, false), -EINVAL);
	datapath_maps_destroy(m);
	/* Another role does not fit these maps; a kind of port the role does not have is refused. */
	assert_int_equal(datapath_load_open(dir, DATAPATH_HOST, NULL, &none, &e), -EPROTO);
	assert_int_equal(datapath_load_attach(rig.load, 1, DP_IF_NIC, 1, &e), -EINVAL);
	datapath_load_sweep(rig.load, keep_fabric, NULL);
	assert_int_equal(attached("trunk"), 0);
	assert_true(attached("fabric") != 0);
	/* A device that vanished, and a new one under its name. */
	assert_int_equal(
		system("ip link del customer; ip link add customer type veth peer name cp"), 0);
	PLAN_OK(datapath_load_attach(rig.load, if_nametoindex("customer"), DP_IF_DOMAIN, 5,
				     &plan_err));
	PLAN_OK(datapath_load_detach(rig.load, if_nametoindex("customer"), &plan_err));
	assert_int_equal(attached("customer"), 0);
	datapath_load_destroy(next);
	rig_close(&rig);
}

/* Without CAP_PERFMON (or CAP_SYS_ADMIN) the verifier takes no arithmetic on map values. */
static void
test_refusal_has_the_verifiers_words(void **state)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct caps[_LINUX_CAPABILITY_U32S_3];
	int status;
	pid_t child;

	rig_open(&rig, DATAPATH_EDGE, NULL);
	child = fork();
	assert_true(child >= 0);
	if (!child) {
		struct datapath_load *none;
		struct err e = { 0 };
		char dir[128];
		bool is_told;

		syscall(SYS_capget, &head, caps);
		caps[CAP_TO_INDEX(CAP_SYS_ADMIN)].effective &= ~CAP_TO_MASK(CAP_SYS_ADMIN);
		caps[CAP_TO_INDEX(CAP_PERFMON)].effective &= ~CAP_TO_MASK(CAP_PERFMON);
		syscall(SYS_capset, &head, caps);
		snprintf(dir, sizeof(dir), "%s/wayleave/test/refused", rig.dir);
		is_told = datapath_load_open(dir, DATAPATH_EDGE, NULL, &none, &e) == -EACCES &&
			  strstr(e.text, "packet program edge_") && strstr(e.text, "prohibited") &&
			  !strchr(e.text, '\n');
		if (!is_told)
			fprintf(stderr, "%s\n", e.text);
		_exit(is_told ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	rig_close(&rig);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_successor),
		cmocka_unit_test(test_refusal_has_the_verifiers_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
