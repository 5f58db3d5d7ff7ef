#include "node/underlay.h"

#include "base/log.h"
#include "base/mem.h"

#include <linux/rtnetlink.h>
#include <sys/socket.h>

struct route_request {
	struct nlmsghdr h;
	struct rtmsg r;
	struct rtattr dst;
	uint8_t addr[4];
};

/* Reads RTA_GATEWAY and RTA_OIF of one RTM_NEWROUTE. */
static int
read_route(const struct nlmsghdr *h, size_t n, struct addr *gateway, uint32_t *ifindex)
{
	const struct rtmsg *r = NLMSG_DATA(h);
	const struct rtattr *a = RTM_RTA(r);
	int left;

	if (n < sizeof(*h) || h->nlmsg_len > n || h->nlmsg_type != RTM_NEWROUTE)
		return -ENETUNREACH;
	left = (int)RTM_PAYLOAD(h);
	for (; RTA_OK(a, left); a = RTA_NEXT(a, left)) {
		if (a->rta_type == RTA_GATEWAY && RTA_PAYLOAD(a) == 4) {
			*gateway = (struct addr){ .family = NET_V4 };
			memcpy(gateway->b, RTA_DATA(a), 4);
		} else if (a->rta_type == RTA_OIF && RTA_PAYLOAD(a) == 4) {
			memcpy(ifindex, RTA_DATA(a), 4);
		}
	}
	return 0;
}

int
underlay_route(const struct addr *to, struct addr *ret_gateway, uint32_t *ret_ifindex,
	       struct err *e)
{
	AUTO_CLOSE fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	struct route_request q = {
		.h = { .nlmsg_len = sizeof(q),
		       .nlmsg_type = RTM_GETROUTE,
		       .nlmsg_flags = NLM_F_REQUEST },
		.r = { .rtm_family = AF_INET, .rtm_dst_len = 32 },
		.dst = { .rta_len = RTA_LENGTH(4), .rta_type = RTA_DST },
	};
	union {
		struct nlmsghdr h;
		uint8_t b[4096];
	} in;
	char text[ADDR_TEXT];
	ssize_t n;

	if (fd < 0)
		return err_errno(e, "netlink");
	memcpy(q.addr, to->b, 4);
	if (send(fd, &q, sizeof(q), 0) < 0 || (n = recv(fd, &in, sizeof(in), 0)) < 0)
		return err_errno(e, "route to %s", addr_format(to, text));
	*ret_gateway = *to;
	if (read_route(&in.h, (size_t)n, ret_gateway, ret_ifindex) < 0)
		return err_set(e, -ENETUNREACH, "no route to %s", addr_format(to, text));
	return 0;
}

void
underlay_probe(const struct addr *a)
{
	AUTO_CLOSE fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_storage to;
	socklen_t len = addr_to_sockaddr(a, 9, &to);

	if (fd >= 0 && sendto(fd, "", 1, MSG_DONTWAIT, (struct sockaddr *)&to, len) < 0)
		log_debug("probe errno=%d", errno);
}

struct neighbours {
	uv_poll_t poll;
	int fd;
	neighbours_fn *fn;
	void *arg;
};

static int
on_neighbour(const struct netlink_neigh *n, void *arg)
{
	struct neighbours *w = arg;

	w->fn(w->arg, n);
	return 0;
}

static void
on_readable(uv_poll_t *p, int status, int events)
{
	struct neighbours *w = CONTAINER_OF(p, struct neighbours, poll);
	struct err e = { 0 };
	int r = netlink_neigh_watch_read(w->fd, on_neighbour, w, &e);

	if (r == -ENOBUFS)
		r = netlink_neigh_watch_start(w->fd, &e);
	if (r < 0 && r != -EAGAIN)
		log_warn("neighbour watch error=\"%s\"", e.text);
}

struct neighbours *
neighbours_create(uv_loop_t *loop, int fd, neighbours_fn *fn, void *arg, struct err *e)
{
	struct neighbours *w;

	if (fd < 0)
		fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	if (fd < 0) {
		err_errno(e, "netlink");
		return NULL;
	}
	w = mem_alloc(sizeof(*w));
	*w = (struct neighbours){ .fd = fd, .fn = fn, .arg = arg };
	if (netlink_neigh_watch_start(fd, e) < 0 || uv_poll_init(loop, &w->poll, fd) < 0) {
		close(fd);
		free(w);
		return NULL;
	}
	uv_poll_start(&w->poll, UV_READABLE, on_readable);
	return w;
}

static void
on_closed(uv_handle_t *h)
{
	free(CONTAINER_OF((uv_poll_t *)h, struct neighbours, poll));
}

void
neighbours_destroy(struct neighbours *w)
{
	if (!w)
		return;
	uv_poll_stop(&w->poll);
	close(w->fd);
	uv_close((uv_handle_t *)&w->poll, on_closed);
}
