/* The client side of the keeper's contract. */
#include "supervise/keeper.h"

#include "base/mem.h"
#include "base/mono.h"
#include "supervise/channel.h"

#include <time.h>

enum { RECONNECT_MS = 2000, RETRY_MS = 20, REPLY_MS = 5000 };

struct keeper {
	char *path;
	enum keeper_role role;
	int fd;
};

struct keeper *
keeper_create(const char *run_dir, enum keeper_role role)
{
	struct keeper *k = mem_alloc(sizeof(*k));

	k->path = mem_printf("%s/%s", run_dir, KEEPER_SOCKET);
	k->role = role;
	k->fd = -1;
	return k;
}

static void
hang_up(struct keeper *k)
{
	if (k->fd >= 0)
		close(k->fd);
	k->fd = -1;
}

void
keeper_destroy(struct keeper *k)
{
	if (!k)
		return;
	hang_up(k);
	free(k->path);
	free(k);
}

static void
close_all(int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		close(fds[i]);
}

/* One question, one answer. *m becomes the answer. Any failure here is one of the connection. */
static int
exchange(struct keeper *k, struct keeper_msg *m, int *fds, size_t *n_fds)
{
	uint16_t type = m->type;
	ssize_t n;
	int r = channel_send(k->fd, m, sizeof(*m), NULL, 0, REPLY_MS);

	*n_fds = 0;
	if (r < 0)
		return r;
	n = channel_recv(k->fd, m, sizeof(*m), fds, n_fds, REPLY_MS);
	if (n == sizeof(*m) && m->version == KEEPER_VERSION && m->type == type)
		return 0;
	close_all(fds, *n_fds);
	*n_fds = 0;
	if (n == -EAGAIN)
		return -ETIMEDOUT;
	return n <= 0 ? (n < 0 ? (int)n : -ECONNRESET) : -EPROTO;
}

static int
connect_once(struct keeper *k, struct err *e)
{
	struct keeper_msg hello = { .version = KEEPER_VERSION,
				    .type = KEEPER_HELLO,
				    .role = k->role };
	int fds[CHANNEL_FDS_MAX];
	size_t n_fds;
	int r = channel_connect(k->path, e);

	if (r < 0)
		return r;
	k->fd = r;
	r = exchange(k, &hello, fds, &n_fds);
	close_all(fds, n_fds);
	if (r == 0 && hello.code < 0)
		r = hello.code;
	if (r < 0)
		hang_up(k);
	return r < 0 ? err_set(e, r, "keeper: %s", strerror(-r)) : 0;
}

static int
connect_within(struct keeper *k, struct err *e)
{
	struct mono end = mono_add_ms(mono_now(), RECONNECT_MS);
	int r = connect_once(k, e);

	while (r < 0 && !mono_is_due(end, mono_now())) {
		struct timespec pause = { .tv_nsec = RETRY_MS * 1000000L };

		nanosleep(&pause, NULL);
		r = connect_once(k, e);
	}
	return r < 0 ? err_wrap(e, -ENOTCONN, "no keeper at %s", k->path) : 0;
}

/* All requests are idempotent: when the keeper dies in the middle, its successor is asked again. */
static int
call(struct keeper *k, struct keeper_msg *m, int *fds, size_t *n_fds, struct err *e)
{
	struct keeper_msg ask;
	int r = 0;

	m->version = KEEPER_VERSION;
	for (int i = 0; i < 3; i++) {
		ask = *m;
		r = k->fd < 0 ? connect_within(k, e) : 0;
		if (r < 0)
			break;
		r = exchange(k, &ask, fds, n_fds);
		if (r == 0)
			break;
		hang_up(k);
		r = err_set(e, -ENOTCONN, "keeper: %s", strerror(-r));
	}
	*m = ask;
	mem_wipe(&ask, sizeof(ask));
	if (r < 0 || m->code >= 0)
		return r;
	m->text[sizeof(m->text) - 1] = '\0';
	close_all(fds, *n_fds);
	return err_set(e, m->code, "%s", m->text);
}

/* A call whose answer carries exactly `want` descriptors. */
static int
call_for(struct keeper *k, struct keeper_msg *m, int *fds, size_t want, struct err *e)
{
	size_t n_fds = 0;
	int r = call(k, m, fds, &n_fds, e);

	if (r < 0)
		return r;
	if (n_fds == want)
		return 0;
	close_all(fds, n_fds);
	return err_set(e, -EPROTO, "keeper: %zu descriptors where %zu belong", n_fds, want);
}

int
keeper_maps(struct keeper *k, struct datapath_fds *ret, struct err *e)
{
	struct keeper_msg m = { .type = KEEPER_MAPS };
	int fds[CHANNEL_FDS_MAX];
	size_t n_fds = 0, at = 0;
	int r = call(k, &m, fds, &n_fds, e);

	if (r < 0)
		return r;
	if ((size_t)__builtin_popcount(m.maps) != n_fds) {
		close_all(fds, n_fds);
		return err_set(e, -EPROTO, "keeper: wrong number of maps");
	}
	for (int i = 0; i < DP_MAP_COUNT; i++)
		ret->fd[i] = m.maps & 1u << i ? fds[at++] : -1;
	return 0;
}

int
keeper_port_attach(struct keeper *k, const struct keeper_port *p, struct keeper_port_info *ret,
		   struct err *e)
{
	struct keeper_msg m = { .type = KEEPER_PORT, .port = *p };
	int fds[CHANNEL_FDS_MAX];
	int r = call_for(k, &m, fds, 0, e);

	if (r == 0)
		*ret = m.port_info;
	return r;
}

int
keeper_domain_add(struct keeper *k, const struct keeper_domain *d, struct keeper_domain_info *ret,
		  struct keeper_domain_fds *ret_fds, struct err *e)
{
	struct keeper_msg m = { .type = KEEPER_DOMAIN_ADD, .domain = *d };
	int fds[CHANNEL_FDS_MAX];
	int r = call_for(k, &m, fds, 2, e);

	if (r == 0) {
		*ret = m.domain_info;
		*ret_fds = (struct keeper_domain_fds){ .listener = fds[0], .netlink = fds[1] };
	}
	mem_wipe(&m, sizeof(m));
	return r;
}

int
keeper_domain_key(struct keeper *k, uint32_t number, const struct keeper_key *key, struct err *e)
{
	struct keeper_msg m = { .type = KEEPER_DOMAIN_KEY,
				.domain = { .number = number, .key = *key } };
	int fds[CHANNEL_FDS_MAX];
	int r = call_for(k, &m, fds, 0, e);

	mem_wipe(&m, sizeof(m));
	return r;
}

int
keeper_domain_remove(struct keeper *k, uint32_t number, struct err *e)
{
	struct keeper_msg m = { .type = KEEPER_DOMAIN_REMOVE, .number = number };
	int fds[CHANNEL_FDS_MAX];

	return call_for(k, &m, fds, 0, e);
}

int
keeper_domain_list(struct keeper *k, uint32_t after, uint32_t *ret, size_t cap, size_t *ret_n,
		   struct err *e)
{
	struct keeper_msg m = { .type = KEEPER_DOMAIN_LIST, .number = after };
	int fds[CHANNEL_FDS_MAX];
	int r = call_for(k, &m, fds, 0, e);

	if (r < 0)
		return r;
	*ret_n = MIN(MIN((size_t)m.list.n, (size_t)KEEPER_DOMAINS_PER_REPLY), cap);
	memcpy(ret, m.list.number, *ret_n * sizeof(*ret));
	return 0;
}

/* Calls that answer with one socket. */
static int
call_for_socket(struct keeper *k, struct keeper_msg *m, int *ret_fd, struct err *e)
{
	int fds[CHANNEL_FDS_MAX];
	int r = call_for(k, m, fds, 1, e);

	if (r == 0)
		*ret_fd = fds[0];
	mem_wipe(m, sizeof(*m));
	return r;
}

int
keeper_dial(struct keeper *k, const struct keeper_dial *d, int *ret_fd, struct err *e)
{
	struct keeper_msg m = { .type = KEEPER_DIAL, .dial = *d };

	return call_for_socket(k, &m, ret_fd, e);
}

int
keeper_fabric_listen(struct keeper *k, const struct keeper_fabric_listen *f, int *ret_fd,
		     struct err *e)
{
	struct keeper_msg m = { .type = KEEPER_FABRIC_LISTEN, .fabric = *f };

	return call_for_socket(k, &m, ret_fd, e);
}

int
keeper_fabric_peer(struct keeper *k, const struct keeper_fabric_peer *p, struct err *e)
{
	struct keeper_msg m = { .type = KEEPER_FABRIC_PEER, .fabric_peer = *p };
	int fds[CHANNEL_FDS_MAX];
	int r = call_for(k, &m, fds, 0, e);

	mem_wipe(&m, sizeof(m));
	return r;
}

int
keeper_nic_attach(struct keeper *k, const struct keeper_nic *n, struct keeper_port_info *ret,
		  struct err *e)
{
	struct keeper_msg m = { .type = KEEPER_NIC_ATTACH, .nic = *n };
	int fds[CHANNEL_FDS_MAX];
	int r = call_for(k, &m, fds, 0, e);

	if (r == 0)
		*ret = m.port_info;
	return r;
}

int
keeper_nic_detach(struct keeper *k, const struct keeper_nic *n, struct err *e)
{
	struct keeper_msg m = { .type = KEEPER_NIC_DETACH, .nic = *n };
	int fds[CHANNEL_FDS_MAX];

	return call_for(k, &m, fds, 0, e);
}
