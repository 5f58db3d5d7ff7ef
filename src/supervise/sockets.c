#include "supervise/sockets.h"

#include "base/mem.h"
#include "supervise/fd.h"
#include "supervise/netlink.h"

#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <sys/random.h>

enum { BACKLOG = 16, TTL_MAX = 255, EPHEMERAL = 49152, TRIES = 64 };

static int
set(int fd, int level, int option, int value, const char *what, struct err *e)
{
	if (setsockopt(fd, level, option, &value, sizeof(value)) < 0)
		return err_errno(e, "%s", what);
	return 0;
}

/* Both families: what every socket of ours has. */
static int
set_common(int fd, const struct addr *local, struct err *e)
{
	bool is_v4 = local->family == NET_V4;
	int r = set(fd, is_v4 ? IPPROTO_IP : IPPROTO_IPV6, is_v4 ? IP_TOS : IPV6_TCLASS,
		    IPTOS_CLASS_CS6, "DSCP", e);

	return r < 0 ? r
		     : set(fd, is_v4 ? IPPROTO_IP : IPPROTO_IPV6,
			   is_v4 ? IP_TTL : IPV6_UNICAST_HOPS, TTL_MAX, "TTL", e);
}

static int
set_min_ttl(int fd, const struct addr *local, uint8_t min_ttl, struct err *e)
{
	bool is_v4 = local->family == NET_V4;

	return min_ttl ? set(fd, is_v4 ? IPPROTO_IP : IPPROTO_IPV6,
			     is_v4 ? IP_MINTTL : IPV6_MINHOPCOUNT, min_ttl, "least TTL", e)
		       : 0;
}

static int
bind_to(int fd, const struct addr *local, uint16_t port, struct err *e)
{
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(local, port, &sa);
	char text[ADDR_TEXT];

	if (bind(fd, (struct sockaddr *)&sa, len) < 0)
		return err_errno(e, "bind %s port %u", addr_format(local, text), port);
	return 0;
}

static int
make(int ns_fd, const struct addr *local, int type, struct err *e)
{
	AUTO_CLOSE fd = netns_socket(ns_fd, local->family == NET_V4 ? AF_INET : AF_INET6,
				     type | SOCK_NONBLOCK, 0, e);
	int r = fd < 0 ? fd : set_common(fd, local, e);

	return r < 0 ? r : TAKE_FD(fd);
}

int
sockets_listen(int ns_fd, const struct addr *local, uint8_t min_ttl, struct err *e)
{
	AUTO_CLOSE fd = make(ns_fd, local, SOCK_STREAM, e);
	int r = fd < 0 ? fd : set(fd, SOL_SOCKET, SO_REUSEADDR, 1, "reuse address", e);

	if (r == 0)
		r = set_min_ttl(fd, local, min_ttl, e);
	if (r == 0)
		r = bind_to(fd, local, SOCKETS_BGP_PORT, e);
	if (r == 0 && listen(fd, BACKLOG) < 0)
		r = err_errno(e, "listen");
	return r < 0 ? r : TAKE_FD(fd);
}

int
sockets_dial(int ns_fd, const struct keeper_dial *d, struct err *e)
{
	AUTO_CLOSE fd = make(ns_fd, &d->local, SOCK_STREAM, e);
	int r = fd < 0 ? fd : set_min_ttl(fd, &d->local, d->min_ttl, e);

	if (r == 0 && d->ttl)
		r = d->local.family == NET_V4
			    ? set(fd, IPPROTO_IP, IP_TTL, d->ttl, "TTL", e)
			    : set(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, d->ttl, "TTL", e);
	if (r == 0)
		r = bind_to(fd, &d->local, 0, e);
	if (r == 0 && d->key.len)
		r = sockets_key(fd, &d->peer, &d->key, e);
	return r < 0 ? r : TAKE_FD(fd);
}

int
sockets_bfd_rx(int ns_fd, const struct addr *local, bool is_multihop, struct err *e)
{
	bool is_v4 = local->family == NET_V4;
	int level = is_v4 ? IPPROTO_IP : IPPROTO_IPV6;
	AUTO_CLOSE fd = make(ns_fd, local, SOCK_DGRAM, e);
	int r = fd < 0 ? fd
		       : set(fd, level, is_v4 ? IP_RECVTTL : IPV6_RECVHOPLIMIT, 1, "TTL of packets",
			     e);

	if (r == 0)
		r = bind_to(fd, local, is_multihop ? SOCKETS_BFD_MULTIHOP_PORT : SOCKETS_BFD_PORT,
			    e);
	return r < 0 ? r : TAKE_FD(fd);
}

/* RFC 5881 4: one source port per session, from the dynamic range. */
int
sockets_bfd_tx(int ns_fd, const struct addr *local, struct err *e)
{
	AUTO_CLOSE fd = make(ns_fd, local, SOCK_DGRAM, e);
	int r = fd < 0 ? fd : -EADDRINUSE;

	for (int i = 0; i < TRIES && r == -EADDRINUSE; i++) {
		uint16_t random = 0;

		if (getrandom(&random, sizeof(random), 0) < 0)
			return err_errno(e, "random port");
		r = bind_to(fd, local, (uint16_t)(EPHEMERAL + random % (65536 - EPHEMERAL)), e);
	}
	return r < 0 ? r : TAKE_FD(fd);
}

int
sockets_key(int fd, const struct addr *peer, const struct keeper_key *key, struct err *e)
{
	struct tcp_md5sig md5 = { .tcpm_keylen = key->len };
	char text[ADDR_TEXT];
	int r = 0;

	if (key->len > KEEPER_KEY_MAX)
		return err_set(e, -EINVAL, "MD5 key of %u bytes", key->len);
	addr_to_sockaddr(peer, 0, (struct sockaddr_storage *)&md5.tcpm_addr);
	memcpy(md5.tcpm_key, key->b, key->len);
	if (setsockopt(fd, IPPROTO_TCP, TCP_MD5SIG, &md5, sizeof(md5)) < 0 &&
	    !(errno == ENOENT && key->len == 0))
		r = err_errno(e, "MD5 key for %s", addr_format(peer, text));
	mem_wipe(&md5, sizeof(md5));
	return r;
}
