/* What is left after privilege_drop(): each profile in a child of its own. */
#include "../test.h"

#include "supervise/netlink.h"
#include "supervise/privilege.h"

#include <cap-ng.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#ifdef __SANITIZE_ADDRESS__
enum { HAS_FILTER = 0 }; /* see privilege.c */
#else
enum { HAS_FILTER = 1 };
#endif

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

static void
holds(enum privilege_profile profile)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0)
		_exit(look(profile));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
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
	};
	int fd = -1;

	if (netns_create(&fd, NULL) < 0) {
		puts("needs privileges to give up");
		return 77;
	}
	close(fd);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
