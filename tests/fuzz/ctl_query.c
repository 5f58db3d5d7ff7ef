/* What a client writes into ctl.sock, in two pieces; every complete line is answered with one line of
 * JSON, and a client that ends is let go. */
#include "scratch.h"

#include "base/err.h"
#include "node/ctl.h"

#include <jansson.h>
#include <sys/socket.h>
#include <sys/un.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LIMIT = 32 << 10 }; /* what a socket takes without a reader */

static uv_loop_t loop;
static struct ctl *ctl;
static char *path;

static int
answer(void *arg, const char *query, const char *object, unsigned limit, struct json_t **ret,
       struct err *e)
{
	if (*query == 'x')
		return err_set(e, -ENOENT, "no %s", query);
	*ret = json_pack("[s, s, i]", query, object, (int)limit);
	return 0;
}

static void
start(void)
{
	struct err e;

	scratch_make();
	path = mem_printf("%s/ctl.sock", scratch_path);
	if (uv_loop_init(&loop) < 0 || ctl_open(&loop, path, answer, NULL, &ctl, &e) < 0)
		abort();
}

static int
dial(void)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		abort();
	return fd;
}

static void
turn(void)
{
	for (int i = 0; i < 4; i++)
		uv_run(&loop, UV_RUN_NOWAIT);
}

static void
put(int fd, const uint8_t *p, size_t n)
{
	if (n && send(fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno != EPIPE)
		abort();
	turn();
}

static size_t
count_lines(const char *p, size_t n)
{
	size_t lines = 0;

	for (size_t i = 0; i < n; i++)
		lines += p[i] == '\n';
	return lines;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char in[4 << 20];
	size_t want, got = 0;
	ssize_t n;
	int fd;

	if (size > LIMIT)
		return 0;
	if (!path)
		start();
	want = count_lines((const char *)data, size);
	fd = dial();
	put(fd, data, size / 2);
	put(fd, data + size / 2, size - size / 2);
	for (int idle = 0; idle < 3; turn(), idle++)
		while (got < sizeof(in) &&
		       (n = recv(fd, in + got, sizeof(in) - got, MSG_DONTWAIT)) > 0) {
			got += (size_t)n;
			idle = 0;
			turn();
		}
	if (got < sizeof(in) && count_lines(in, got) != want)
		abort();
	close(fd);
	turn();
	return 0;
}
