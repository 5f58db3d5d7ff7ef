/* What is left after privilege_drop(): each profile in a child of its own. */
#include "../test.h"

#include "supervise/netlink.h"
#include "supervise/privilege.h"

#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/bpf.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#ifdef __SANITIZE_ADDRESS__
enum { HAS_FILTER = 0 }; /* see privilege.c */
#else
enum { HAS_FILTER = 1 };
#endif

static void *
idle(void *arg)
{
	return arg;
}

/* 0, or the number of the claim that does not hold. */
static int
look(enum privilege_profile profile)
{
	bool is_keeper = profile == PRIVILEGE_KEEPER;
	int fd = -1;

	if (privilege_drop(profile, NULL) < 0)
		return 1;
	if ((capng_get_caps_process(), capng_have_capability(CAPNG_EFFECTIVE, CAP_NET_ADMIN)) !=
	    is_keeper)
		return 2;
	if (capng_have_capability(CAPNG_PERMITTED, CAP_DAC_OVERRIDE))
		return 3;
	if ((netns_create(&fd, NULL) == 0) != is_keeper)
		return 4;
	if (socket(AF_INET, SOCK_DGRAM, 0) < 0)
		return 5;
	if (HAS_FILTER && (open("/dev/null", O_RDONLY) >= 0) != (profile != PRIVILEGE_BFDD))
		return 6;
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0)
		return 7;
	if (!is_keeper && execl("/bin/true", "true", NULL) == 0)
		return 8;
	return 0;
}

/* What even a process with root's uid must not do any more. 0, or the number of the claim. */
static int
look_at_filter(enum privilege_profile profile)
{
	bool is_keeper = profile == PRIVILEGE_KEEPER;
	char attr[64] = { 0 };
	pid_t parent = getppid();
	pthread_t thread;

	if (privilege_drop(profile, NULL) < 0)
		return 1;
	if (kill(parent, 0) == 0 || errno != EPERM)
		return 2;
	if (kill(getpid(), 0) < 0)
		return 3;
	if (syscall(SYS_io_uring_setup, 8, NULL) >= 0 || errno != EPERM)
		return 4;
	/* Lookup in no map: refused by the filter, else by the kernel for another reason. */
	if (syscall(SYS_bpf, BPF_MAP_LOOKUP_ELEM, attr, sizeof(attr)) == 0 ||
	    (errno == EPERM) == is_keeper)
		return 5;
	if (link("/proc/self/exe", "/tmp/wayleave-no-link") == 0 || errno != EPERM)
		return 6;
	if (truncate("/tmp/wayleave-no-file", 0) == 0 || errno != EPERM)
		return 7;
	if (!is_keeper && (chmod("/tmp/wayleave-no-file", 0600) == 0 || errno != EPERM))
		return 8;
	if (syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, 0) >= 0 || errno != EPERM)
		return 9;
	if (profile != PRIVILEGE_BFDD &&
	    (pthread_create(&thread, NULL, idle, NULL) != 0 || pthread_join(thread, NULL) != 0))
		return 10;
	return 0;
}

/* Another user for good, before and after the drop. */
static int
look_at_user(enum privilege_profile profile)
{
	int signo = 0;

	prctl(PR_SET_PDEATHSIG, SIGUSR1, 0, 0, 0);
	if (privilege_become("60707:60708", NULL) < 0)
		return 1;
	if (getuid() != 60707 || geteuid() != 60707 || getegid() != 60708 || getgroups(0, NULL))
		return 2;
	if (setuid(0) == 0 || seteuid(0) == 0 || setgid(0) == 0)
		return 3;
	if (capng_get_caps_process() < 0 || capng_have_capabilities(CAPNG_SELECT_CAPS) ||
	    prctl(PR_CAPBSET_READ, CAP_SYS_ADMIN, 0, 0, 0) != 0)
		return 4;
	if (open("/etc/passwd", O_WRONLY) >= 0 ||
	    open("/proc/sys/kernel/core_pattern", O_WRONLY) >= 0)
		return 5;
	if (prctl(PR_GET_PDEATHSIG, &signo, 0, 0, 0) < 0 || signo != SIGUSR1)
		return 6;
	if (privilege_become("60707:60708", NULL) < 0 || privilege_become("60709", NULL) == 0)
		return 7;
	return privilege_drop(profile, NULL) < 0 ? 8 : 0;
}

static void
claims(int (*all)(enum privilege_profile), enum privilege_profile profile)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0)
		_exit(all(profile));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WIFEXITED(status) ? WEXITSTATUS(status) : -1, 0);
}

static void
holds(enum privilege_profile profile)
{
	claims(look, profile);
	if (HAS_FILTER)
		claims(look_at_filter, profile);
}

static void
becomes_another_user_for_good(void **state)
{
	claims(look_at_user, PRIVILEGE_DAEMON);
	claims(look_at_user, PRIVILEGE_BFDD);
}

static void
users_are_names_or_numbers(void **state)
{
	struct privilege_user u;

	assert_int_equal(privilege_user_parse("60707", &u, NULL), 0);
	assert_int_equal(u.uid, 60707);
	assert_int_equal(u.gid, 60707);
	assert_int_equal(privilege_user_parse("1:2", &u, NULL), 0);
	assert_int_equal(u.uid, 1);
	assert_int_equal(u.gid, 2);
	assert_int_equal(privilege_user_parse("root", &u, NULL), 0);
	assert_int_equal(u.uid, 0);
	assert_int_equal(privilege_user_parse("no-such-user", &u, NULL), -ENOENT);
	assert_int_equal(privilege_user_parse("1:", &u, NULL), -EINVAL);
	assert_int_equal(privilege_user_parse("1x", &u, NULL), -EINVAL);
	assert_int_equal(privilege_user_parse("4294967295", &u, NULL), -EINVAL);
}

static void
daemon_has_none(void **state)
{
	holds(PRIVILEGE_DAEMON);
}

static void
bfdd_opens_nothing(void **state)
{
	holds(PRIVILEGE_BFDD);
}

static void
keeper_keeps_what_it_needs(void **state)
{
	holds(PRIVILEGE_KEEPER);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(daemon_has_none),
		cmocka_unit_test(bfdd_opens_nothing),
		cmocka_unit_test(keeper_keeps_what_it_needs),
		cmocka_unit_test(becomes_another_user_for_good),
		cmocka_unit_test(users_are_names_or_numbers),
	};
	int fd = -1;

	if (netns_create(&fd, NULL) < 0) {
		puts("needs privileges to give up");
		return 77;
	}
	close(fd);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
