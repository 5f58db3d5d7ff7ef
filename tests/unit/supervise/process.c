/* The supervisor without privilege: no namespaces, no mounts, a run directory under /tmp. */
#include "../test.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/mono.h"
#include "supervise/process.h"

#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

static char root[] = "/tmp/wayleave-process-XXXXXX";

static struct supervisor *
create(const char *instance)
{
	struct supervisor_config cfg = { .instance = instance, .run_root = root };
	struct supervisor *s = NULL;
	struct err e = { 0 };

	if (supervisor_create(&cfg, &s, &e) < 0)
		fail_msg("%s", e.text);
	return s;
}

static const char *const sleeper[] = { "sleep", "1000", NULL };

static bool
is_alive(pid_t pid)
{
	return kill(pid, 0) == 0;
}

static void
an_instance_has_one_owner(void **state)
{
	struct supervisor_config cfg = { .instance = "one", .run_root = root };
	AUTO(supervisor) a = create("one");
	struct supervisor *b = NULL;

	assert_non_null(a);
	assert_int_equal(supervisor_create(&cfg, &b, NULL), -EBUSY);
	cfg.instance = "two";
	assert_int_equal(supervisor_create(&cfg, &b, NULL), 0);
	supervisor_destroy(b);
	cfg.instance = "../x";
	assert_int_equal(supervisor_create(&cfg, &b, NULL), -EINVAL);
}

static void
nothing_is_left(void **state)
{
	struct supervisor *s = create("gone");
	struct process_spec p = { .name = "p", .argv = sleeper };
	AUTO_FREE char *dir = mem_strdup(supervisor_dir(s));
	struct stat st;
	pid_t pid;

	assert_int_equal(supervisor_node_dir(s, "edge", NULL), 0);
	assert_int_equal(supervisor_start(s, &p, NULL), 0);
	pid = supervisor_pid(s, "p");
	assert_true(is_alive(pid));
	supervisor_destroy(s);
	assert_false(is_alive(pid));
	assert_int_equal(stat(dir, &st), -1);
}

static void
the_killed_come_back(void **state)
{
	AUTO(supervisor) s = create("again");
	struct process_spec p = { .name = "p", .argv = sleeper };
	pid_t first, second;

	assert_int_equal(supervisor_start(s, &p, NULL), 0);
	first = supervisor_pid(s, "p");
	kill(first, SIGKILL);
	while (supervisor_pid(s, "p") == first)
		supervisor_step(s, 1000);
	assert_int_equal(supervisor_wait_ready(s, "p", 2000, NULL), 0);
	second = supervisor_pid(s, "p");
	assert_int_not_equal(second, first);
	kill(second, SIGKILL); /* the second time there is a pause */
	while (supervisor_pid(s, "p") == second)
		supervisor_step(s, 1000);
	assert_int_equal(supervisor_pid(s, "p"), 0);
	assert_int_equal(supervisor_wait_ready(s, "p", 2000, NULL), 0);
	assert_int_equal(supervisor_stop(s, "p", NULL), 0);
	assert_int_equal(supervisor_stop(s, "p", NULL), -ENOENT);
}

static void
readiness_is_told(void **state)
{
	static const char *const argv[] = {
		"python3",
		"-c",
		"import os, socket, time\n"
		"s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
		"time.sleep(0.1)\n"
		"s.sendto(b'STATUS=x\\nREADY=1', os.environ['NOTIFY_SOCKET'])\n"
		"time.sleep(1000)\n",
		NULL,
	};
	AUTO(supervisor) s = create("ready");
	struct process_spec never = { .name = "never", .argv = sleeper, .has_readiness = true };
	struct process_spec p = { .name = "p", .argv = argv, .has_readiness = true };

	assert_int_equal(supervisor_start(s, &never, NULL), 0);
	assert_int_equal(supervisor_start(s, &p, NULL), 0);
	assert_int_equal(supervisor_wait_ready(s, "p", 10000, NULL), 0);
	assert_int_equal(supervisor_wait_ready(s, "never", 20, NULL), -ETIMEDOUT);
}

static void
a_command_runs_to_its_end(void **state)
{
	static const char *const argv[] = { "sh", "-c", "echo out; echo err >&2; exit 3", NULL };
	static const char *const missing[] = { "/no/such/program", NULL };
	static const char *const suicide[] = { "sh", "-c", "kill -9 $$", NULL };
	AUTO(supervisor) s = create("run");
	struct process_spec p = { .name = "p", .argv = argv };
	AUTO_BUF out = { 0 };

	assert_int_equal(supervisor_run(s, &p, &out, 5000, NULL), 3);
	assert_string_equal(buf_str(&out), "out\nerr\n");
	p.argv = missing;
	assert_int_equal(supervisor_run(s, &p, &out, 5000, NULL), 127);
	p.argv = suicide;
	assert_int_equal(supervisor_run(s, &p, &out, 5000, NULL), 137);
	p.argv = sleeper;
	assert_int_equal(supervisor_run(s, &p, &out, 50, NULL), -ETIMEDOUT);
}

static void
descriptors_are_passed_on(void **state)
{
	static const char *const argv[] = {
		"sh",
		"-c",
		"test $LISTEN_PID = $$ && cat <&3 <&4 && echo $LISTEN_FDS && ls /proc/self/fd",
		NULL,
	};
	AUTO(supervisor) s = create("fds");
	AUTO_BUF out = { 0 };
	int a[2], b[2];
	struct process_spec p = { .name = "p", .argv = argv };

	assert_int_equal(pipe(a) + pipe(b), 0);
	assert_int_equal(write(a[1], "A", 1) + write(b[1], "B\n", 2), 3);
	close(a[1]);
	close(b[1]);
	p.fds = (int[]){ a[0], b[0] };
	p.n_fds = 2;
	assert_int_equal(supervisor_run(s, &p, &out, 5000, NULL), 0);
	assert_string_equal(buf_str(&out), "B\n2\n0\n1\n2\n3\n4\n5\n"); /* 5: ls itself */
	close(a[0]);
	close(b[0]);
}

static void
the_stubborn_are_killed(void **state)
{
	static const char *const argv[] = { "sh", "-c",
					    "trap '' TERM; echo x; while :; do sleep 1; done",
					    NULL };
	AUTO(supervisor) s = create("stubborn");
	struct process_spec p = { .name = "p", .argv = argv, .stop_ms = 100, .log = "/dev/null" };
	pid_t pid;

	assert_int_equal(supervisor_start(s, &p, NULL), 0);
	pid = supervisor_pid(s, "p");
	assert_int_equal(supervisor_run(s,
					&(struct process_spec){
						.name = "pause",
						.argv = (const char *[]){ "sleep", "0.2", NULL } },
					NULL, 5000, NULL),
			 0);
	supervisor_stop(s, "p", NULL);
	assert_false(is_alive(pid));
}

/* kill -9 of the supervisor takes its children along, and the next one sweeps the rest. */
static void
a_killed_supervisor_leaves_no_children(void **state)
{
	int p[2];
	pid_t child = 0, pid;

	assert_int_equal(pipe(p), 0);
	pid = fork();
	if (pid == 0) {
		struct supervisor *s = create("killed");
		struct process_spec spec = { .name = "p", .argv = sleeper };

		supervisor_start(s, &spec, NULL);
		child = supervisor_pid(s, "p");
		(void)!write(p[1], &child, sizeof(child));
		pause();
	}
	assert_int_equal(read(p[0], &child, sizeof(child)), sizeof(child));
	assert_true(is_alive(child));
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	supervisor_destroy(create("killed"));
	for (int i = 0; i < 200 && is_alive(child); i++)
		usleep(10000);
	assert_false(is_alive(child) && kill(child, 0) == 0);
	close(p[0]);
	close(p[1]);
}

static int
setup(void **state)
{
	return mkdtemp(root) ? 0 : -1;
}

static int
teardown(void **state)
{
	rmdir(root); /* gone already with the last instance */
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_instance_has_one_owner),
		cmocka_unit_test(nothing_is_left),
		cmocka_unit_test(the_killed_come_back),
		cmocka_unit_test(readiness_is_told),
		cmocka_unit_test(a_command_runs_to_its_end),
		cmocka_unit_test(descriptors_are_passed_on),
		cmocka_unit_test(the_stubborn_are_killed),
		cmocka_unit_test(a_killed_supervisor_leaves_no_children),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
