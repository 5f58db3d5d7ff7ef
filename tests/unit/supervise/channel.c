#include "../test.h"

#include "base/mem.h"
#include "supervise/channel.h"

#include <fcntl.h>
#include <sys/socket.h>

static char dir[] = "/tmp/wayleave-channel-XXXXXX";

static int
make_pair(int ret[2])
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ret);
}

static void
message_and_descriptors_arrive(void **state)
{
	int s[2], fds[CHANNEL_FDS_MAX], send[2] = { 0, 1 };
	char msg[8] = "hello", got[8];
	size_t n = 77;

	assert_int_equal(make_pair(s), 0);
	assert_int_equal(channel_recv(s[1], got, sizeof(got), fds, &n, 0), -EAGAIN);
	assert_int_equal(n, 0);
	assert_int_equal(channel_send(s[0], msg, sizeof(msg), send, 2, 0), 0);
	assert_int_equal(channel_recv(s[1], got, sizeof(got), fds, &n, 100), sizeof(msg));
	assert_string_equal(got, "hello");
	assert_int_equal(n, 2);
	close(fds[0]);
	close(fds[1]);
	close(s[0]);
	assert_int_equal(channel_recv(s[1], got, sizeof(got), fds, &n, 0), 0);
	close(s[1]);
}

/* The number of open descriptors: what is refused must not stay open. */
static int
count_open(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void
a_longer_message_is_refused_whole(void **state)
{
	int s[2], fds[CHANNEL_FDS_MAX], send[1] = { 0 }, before;
	char msg[64] = "x", got[8];
	size_t n = 0;

	assert_int_equal(make_pair(s), 0);
	before = count_open();
	assert_int_equal(channel_send(s[0], msg, sizeof(msg), send, 1, 0), 0);
	assert_int_equal(channel_recv(s[1], got, sizeof(got), fds, &n, 0), -EMSGSIZE);
	assert_int_equal(n, 0);
	assert_int_equal(count_open(), before);
	close(s[0]);
	close(s[1]);
}

static void
a_full_queue_does_not_block(void **state)
{
	int s[2], r = 0;
	char msg[1024] = { 0 };

	assert_int_equal(make_pair(s), 0);
	for (int i = 0; i < 10000 && r == 0; i++)
		r = channel_send(s[0], msg, sizeof(msg), NULL, 0, 0);
	assert_int_equal(r, -EAGAIN);
	assert_int_equal(channel_send(s[0], msg, sizeof(msg), NULL, 0, 20), -EAGAIN);
	close(s[0]);
	close(s[1]);
}

static void
listens_and_vouches(void **state)
{
	AUTO_FREE char *path = mem_printf("%s/sock", dir);
	struct ucred peer;
	struct err e = { 0 };
	int l, a, c;

	assert_int_equal(channel_connect(path, &e), -ENOENT);
	l = channel_listen(path, false, &e);
	assert_true(l >= 0);
	close(l); /* an abandoned socket file */
	assert_int_equal(channel_connect(path, &e), -ECONNREFUSED);
	l = channel_listen(path, false, &e);
	assert_true(l >= 0);
	assert_int_equal(channel_accept(l, NULL, 0, &peer, &e), -EAGAIN);
	c = channel_connect(path, &e);
	a = channel_accept(l, NULL, 0, &peer, &e);
	assert_true(a >= 0);
	assert_int_equal(peer.pid, getpid());
	close(a);
	close(c);
	close(l);
	unlink(path);
}

static int
setup(void **state)
{
	return mkdtemp(dir) ? 0 : -1;
}

static int
teardown(void **state)
{
	return rmdir(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(message_and_descriptors_arrive),
		cmocka_unit_test(a_longer_message_is_refused_whole),
		cmocka_unit_test(a_full_queue_does_not_block),
		cmocka_unit_test(listens_and_vouches),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
