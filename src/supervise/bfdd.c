/* The client side of bfdd's contract. */
#include "supervise/bfdd.h"

#include "base/mem.h"
#include "supervise/channel.h"

enum { SEND_MS = 1000 };

struct bfdd {
	int fd;
};

int
bfdd_connect(const char *run_dir, struct bfdd **ret, struct err *e)
{
	AUTO_FREE char *path = mem_printf("%s/%s", run_dir, BFDD_SOCKET);
	int fd = channel_connect(path, e);

	if (fd < 0)
		return fd;
	*ret = mem_alloc(sizeof(**ret));
	(*ret)->fd = fd;
	return 0;
}

void
bfdd_destroy(struct bfdd *b)
{
	if (!b)
		return;
	close(b->fd);
	free(b);
}

int
bfdd_fd(const struct bfdd *b)
{
	return b->fd;
}

int
bfdd_next(struct bfdd *b, struct bfdd_event *ret, struct err *e)
{
	int fds[CHANNEL_FDS_MAX];
	struct bfdd_msg m;
	size_t n_fds = 0;
	ssize_t n = channel_recv(b->fd, &m, sizeof(m), fds, &n_fds, 0);

	for (size_t i = 0; i < n_fds; i++)
		close(fds[i]);
	if (n == -EAGAIN)
		return 0;
	if (n != sizeof(m) || m.version != BFDD_VERSION || m.type != BFDD_EVENT)
		return err_set(e, -ENOTCONN, "bfdd has gone");
	*ret = m.event;
	return 1;
}

static int
say(struct bfdd *b, struct bfdd_msg *m, struct err *e)
{
	int r;

	m->version = BFDD_VERSION;
	r = channel_send(b->fd, m, sizeof(*m), NULL, 0, SEND_MS);
	return r < 0 ? err_set(e, -ENOTCONN, "bfdd: %s", strerror(-r)) : 0;
}

int
bfdd_begin(struct bfdd *b, struct err *e)
{
	return say(b, &(struct bfdd_msg){ .type = BFDD_BEGIN }, e);
}

int
bfdd_end(struct bfdd *b, struct err *e)
{
	return say(b, &(struct bfdd_msg){ .type = BFDD_END }, e);
}

int
bfdd_session_set(struct bfdd *b, const struct bfdd_session *s, struct err *e)
{
	return say(b, &(struct bfdd_msg){ .type = BFDD_SESSION, .session = *s }, e);
}

int
bfdd_session_remove(struct bfdd *b, uint32_t link, struct err *e)
{
	return say(b, &(struct bfdd_msg){ .type = BFDD_SESSION_REMOVE, .link = { .link = link } },
		   e);
}

int
bfdd_link_set(struct bfdd *b, uint32_t link, bool is_up, struct err *e)
{
	return say(b,
		   &(struct bfdd_msg){ .type = BFDD_LINK,
				       .link = { .link = link, .is_up = is_up } },
		   e);
}

int
bfdd_query(struct bfdd *b, uint32_t link, struct err *e)
{
	return say(b, &(struct bfdd_msg){ .type = BFDD_QUERY, .link = { .link = link } }, e);
}
