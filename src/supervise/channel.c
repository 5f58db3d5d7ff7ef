#include "supervise/channel.h"

#include "supervise/fd.h"

#include <poll.h>
#include <sys/stat.h>
#include <sys/un.h>

static int
address(const char *path, struct sockaddr_un *ret, struct err *e)
{
	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(ret->sun_path))
		return err_set(e, -ENAMETOOLONG, "%s: too long for a socket", path);
	memcpy(ret->sun_path, path, strlen(path));
	return 0;
}

static int
make(struct err *e)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	return fd >= 0 ? fd : err_errno(e, "unix socket");
}

int
channel_listen(const char *path, bool is_shared, struct err *e)
{
	AUTO_CLOSE fd = make(e);
	struct sockaddr_un sa;
	int r = address(path, &sa, e);

	if (fd < 0 || r < 0)
		return fd < 0 ? fd : r;
	unlink(path);
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		return err_errno(e, "bind %s", path);
	if (chmod(path, is_shared ? 0660 : 0600) < 0)
		return err_errno(e, "mode of %s", path);
	if (listen(fd, 64) < 0)
		return err_errno(e, "listen at %s", path);
	return TAKE_FD(fd);
}

int
channel_connect(const char *path, struct err *e)
{
	AUTO_CLOSE fd = make(e);
	struct sockaddr_un sa;
	int r = address(path, &sa, e);

	if (fd < 0 || r < 0)
		return fd < 0 ? fd : r;
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		return err_errno(e, "connect to %s", path);
	return TAKE_FD(fd);
}

static bool
is_welcome(uid_t uid, const uid_t *others, size_t n)
{
	bool is_one = uid == 0 || uid == geteuid();

	for (size_t i = 0; i < n; i++)
		is_one |= others[i] != (uid_t)-1 && uid == others[i];
	return is_one;
}

int
channel_accept(int listener, const uid_t *others, size_t n_others, struct ucred *ret_peer,
	       struct err *e)
{
	for (;;) {
		socklen_t len = sizeof(*ret_peer);
		int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0)
			return errno == EAGAIN ? -EAGAIN : err_errno(e, "accept");
		if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, ret_peer, &len) == 0 &&
		    is_welcome(ret_peer->uid, others, n_others))
			return fd;
		close(fd);
	}
}

static bool
is_ready(int fd, short events, int wait_ms)
{
	struct pollfd p = { .fd = fd, .events = events };

	return poll(&p, 1, wait_ms) > 0;
}

/* Room for the descriptors of one message, aligned as CMSG_* want it. */
union control {
	struct cmsghdr align;
	char b[CMSG_SPACE(sizeof(int) * CHANNEL_FDS_MAX)];
};

int
channel_send(int fd, const void *msg, size_t n, const int *fds, size_t n_fds, int wait_ms)
{
	union control control = { 0 };
	struct iovec iov = { .iov_base = (void *)msg, .iov_len = n };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	bool has_waited = false;

	assert(n_fds <= CHANNEL_FDS_MAX);
	if (n_fds) {
		struct cmsghdr *c;

		mh.msg_control = control.b;
		mh.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
		c = CMSG_FIRSTHDR(&mh);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * n_fds);
	}
	for (;;) {
		if (sendmsg(fd, &mh, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
			return 0;
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN || has_waited || wait_ms <= 0)
			return -errno;
		has_waited = true;
		is_ready(fd, POLLOUT, wait_ms);
	}
}

/* Takes what came along, also when there is more than the caller has room for. */
static void
take_fds(struct msghdr *mh, int *fds, size_t *n_fds)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(mh); c; c = CMSG_NXTHDR(mh, c)) {
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (*n_fds < CHANNEL_FDS_MAX)
				fds[(*n_fds)++] = fd;
			else
				close(fd);
		}
	}
}

ssize_t
channel_recv(int fd, void *msg, size_t cap, int *fds, size_t *n_fds, int wait_ms)
{
	union control control = { 0 };
	struct iovec iov = { .iov_base = msg, .iov_len = cap };
	struct msghdr mh = { .msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.b,
			     .msg_controllen = sizeof(control.b) };
	ssize_t n;

	*n_fds = 0;
	if (wait_ms > 0 && !is_ready(fd, POLLIN, wait_ms))
		return -EAGAIN;
	do {
		n = recvmsg(fd, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	take_fds(&mh, fds, n_fds);
	if (mh.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
		while (*n_fds)
			close(fds[--*n_fds]);
		return -EMSGSIZE;
	}
	return n;
}
