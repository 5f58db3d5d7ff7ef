/* Network namespaces held by descriptor. setns() is per thread: the calling thread goes in and
 * comes back; if it cannot come back it must not live on in the wrong place. */
#include "supervise/netlink.h"

#include "base/mem.h"

#include <fcntl.h>
#include <sched.h>

static int
open_own(void)
{
	return open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
}

int
netns_open_self(int *ret_fd, struct err *e)
{
	int fd = open_own();

	if (fd < 0)
		return err_errno(e, "own network namespace");
	*ret_fd = fd;
	return 0;
}

int
netns_create(int *ret_fd, struct err *e)
{
	int back = open_own();
	int fd;

	if (back < 0)
		return err_errno(e, "own network namespace");
	if (unshare(CLONE_NEWNET) < 0) {
		int r = err_errno(e, "new network namespace");

		close(back);
		return r;
	}
	fd = open_own();
	netns_leave(back);
	if (fd < 0)
		return err_errno(e, "new network namespace");
	*ret_fd = fd;
	return 0;
}

int
netns_enter(int ns_fd, int *ret_back, struct err *e)
{
	int back = -1;

	if (ns_fd == NETLINK_HERE) {
		*ret_back = -1;
		return 0;
	}
	back = open_own();
	if (back < 0)
		return err_errno(e, "own network namespace");
	if (setns(ns_fd, CLONE_NEWNET) < 0) {
		int r = err_errno(e, "enter network namespace");

		close(back);
		return r;
	}
	*ret_back = back;
	return 0;
}

void
netns_leave(int back)
{
	if (back < 0)
		return;
	if (setns(back, CLONE_NEWNET) < 0) {
		perror("return to the own network namespace");
		abort();
	}
	close(back);
}

int
netns_socket(int ns_fd, int family, int type, int protocol, struct err *e)
{
	int back = -1, fd = -1, r = netns_enter(ns_fd, &back, e);

	if (r < 0)
		return r;
	fd = socket(family, type | SOCK_CLOEXEC, protocol);
	r = fd < 0 ? err_errno(e, "socket") : fd;
	netns_leave(back);
	return r;
}

int
netns_sysctl(int ns_fd, const char *path, const char *value, struct err *e)
{
	AUTO_FREE char *file = mem_printf("/proc/sys/%s", path);
	int back = -1, fd = -1, r = netns_enter(ns_fd, &back, e);

	if (r < 0)
		return r;
	fd = open(file, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		r = err_errno(e, "%s = %s", path, value);
	if (fd >= 0)
		close(fd);
	netns_leave(back);
	return r < 0 ? r : 0;
}
