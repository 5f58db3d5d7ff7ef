/* Namespaces, links, addresses, routes, neighbours, offloads, MD5 and a whole domain: with the
 * kernel, in namespaces that only this process sees. */
#include "../test.h"

#include "base/mem.h"
#include "supervise/domain.h"
#include "supervise/netlink.h"
#include "supervise/sockets.h"

#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>

static struct netlink *
in(int ns)
{
	struct netlink *nl = NULL;
	struct err e = { 0 };

	if (netlink_open(ns, &nl, &e) < 0)
		fail_msg("%s", e.text);
	return nl;
}

static int
new_ns(void)
{
	int fd = -1;

	assert_int_equal(netns_create(&fd, NULL), 0);
	return fd;
}

static int
count(const struct netlink_link *l, void *arg)
{
	(*(int *)arg)++;
	return 0;
}

static void
veth_between_namespaces(void **state)
{
	int a = new_ns(), b = new_ns(), n = 0;
	AUTO(netlink) na = in(a);
	AUTO(netlink) nb = in(b);
	struct netlink_veth v = { .name = "x0",
				  .peer_name = "x1",
				  .peer_ns = b,
				  .mtu = 1600,
				  .peer_mac = { { 2, 0, 0, 0, 0, 9 } } };
	struct addr one = addr_v4(0x0a000001), two = addr_v4(0x0a000002), far = addr_v4(0xc0a80000);
	struct prefix to = prefix_make(&far, 24);
	struct netlink_offload o = { .gro = 1, .tx = 0, .txvlan = 0 };
	struct netlink_link l;
	struct err e = { 0 };

	assert_int_equal(netlink_link_get(na, "x0", &l, &e), -ENODEV);
	assert_int_equal(netlink_veth_create(na, &v, &e), 0);
	assert_int_equal(netlink_veth_create(na, &v, &e), -EEXIST);
	assert_int_equal(netlink_link_get(nb, "x1", &l, &e), 0);
	assert_int_equal(l.mtu, 1600);
	assert_int_equal(l.mac.b[5], 9);
	assert_int_equal(netlink_addr_add(na, "x0", &one, 30, &e), 0);
	assert_int_equal(netlink_addr_add(na, "x0", &one, 30, &e), 0);
	assert_int_equal(netlink_addr_add(nb, "x1", &two, 30, &e), 0);
	assert_int_equal(netlink_link_up(na, "x0", true, &e), 0);
	assert_int_equal(netlink_link_up(nb, "x1", true, &e), 0);
	assert_int_equal(netlink_route_set(na, &to, &two, NULL, NULL, &e), 0);
	assert_int_equal(netlink_route_set(na, &to, &two, "x0", &one, &e), 0);
	assert_int_equal(netlink_route_remove(na, &to, &e), 0);
	assert_int_equal(netlink_route_remove(na, &to, &e), 0);
	assert_int_equal(netlink_offload_set(a, "x0", o, &e), 0);
	o = (struct netlink_offload){ -1, -1, -1 };
	assert_int_equal(netlink_offload_get(a, "x0", &o, &e), 0);
	assert_true(o.gro == 1 && o.tx == 0 && o.txvlan == 0);
	assert_int_equal(netlink_link_each(na, count, &n, &e), 0);
	assert_true(n >= 2);
	assert_int_equal(netlink_bridge_create(nb, "br", &e), 0);
	assert_int_equal(netlink_link_master(nb, "x1", "br", &e), 0);
	assert_int_equal(netlink_link_master(nb, "x1", NULL, &e), 0);
	assert_int_equal(netlink_addr_remove(na, "x0", &one, 30, &e), 0);
	assert_int_equal(netlink_addr_remove(na, "x0", &one, 30, &e), 0);
	assert_int_equal(netlink_link_delete(na, "x0", &e), 0);
	assert_int_equal(netlink_link_get(nb, "x1", &l, &e), -ENODEV);
	close(a);
	close(b);
}

static void
the_thread_comes_back(void **state)
{
	int fd = new_ns(), back = -1;

	assert_int_equal(netns_enter(fd, &back, NULL), 0);
	assert_int_equal(if_nametoindex("lo"), 1);
	netns_leave(back);
	assert_int_equal(netns_enter(0, &back, NULL) < 0, 1); /* not a namespace */
	close(fd);
}

struct seen {
	struct addr addr;
	bool is_gone;
	int n;
};

static int
see(const struct netlink_neigh *n, void *arg)
{
	struct seen *s = arg;

	s->addr = n->addr;
	s->is_gone = n->is_gone;
	s->n++;
	return 0;
}

static struct keeper_domain
domain(uint32_t number, const char *key)
{
	struct keeper_domain d = { .number = number,
				   .flags = KEEPER_DOMAIN_BFD,
				   .local = addr_v4(0xac100002),
				   .peer = addr_v4(0xac100001),
				   .plen = 30 };

	d.key.len = (uint8_t)strlen(key);
	memcpy(d.key.b, key, d.key.len);
	return d;
}

static void
a_domain_is_whole(void **state)
{
	int machine_ns = new_ns(), nl_fd, back = -1;
	AUTO(netlink) machine = in(machine_ns);
	struct keeper_domain want = domain(7, "secret");
	struct domain d, again;
	struct mac m = { { 2, 1, 1, 1, 1, 1 } };
	struct netlink_link l;
	struct seen s = { 0 };
	struct err e = { 0 };

	assert_int_equal(netns_enter(machine_ns, &back, &e), 0);
	if (domain_create(machine, "edge-a", &want, &d, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(netlink_link_get(machine, "d7", &l, &e), 0);
	assert_int_equal(l.index, d.info.outer_ifindex);
	for (int i = 0; i < KEEPER_FDS; i++)
		assert_true(d.fd[i] >= 0);

	/* The neighbour watch of its namespace. */
	nl_fd = netns_socket(d.fd[KEEPER_FD_NETNS], AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK, 0, &e);
	assert_int_equal(netlink_neigh_watch_start(nl_fd, &e), 0);
	{
		AUTO(netlink) inside = in(d.fd[KEEPER_FD_NETNS]);
		struct pollfd p = { .fd = nl_fd, .events = POLLIN };

		assert_int_equal(netlink_neigh_set(inside, "peer0", &want.peer, &m, &e), 0);
		for (int i = 0; i < 100 && !s.n; i++) {
			poll(&p, 1, 100);
			assert_int_equal(netlink_neigh_watch_read(nl_fd, see, &s, &e), 0);
		}
		assert_true(addr_equal(&s.addr, &want.peer));
	}
	close(nl_fd);

	/* A predecessor's device is replaced; MAC addresses are the same again. */
	assert_int_equal(domain_create(machine, "edge-a", &want, &again, &e), 0);
	assert_memory_equal(&again.info.inner_mac, &d.info.inner_mac, sizeof(struct mac));
	domain_close(&d);
	domain_delete(machine, &again);
	assert_int_equal(netlink_link_get(machine, "d7", &l, &e), -ENODEV);
	netns_leave(back);
	close(machine_ns);
}

/* A client with the key gets in, one without or with another does not. */
static bool
can_connect(int ns, const struct addr *from, const struct addr *to, const char *key)
{
	struct keeper_dial d = { .local = *from, .peer = *to };
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(to, SOCKETS_BGP_PORT, &sa);
	struct pollfd p = { .events = POLLOUT };
	int code = 0;
	socklen_t n = sizeof(code);

	d.key.len = (uint8_t)strlen(key);
	memcpy(d.key.b, key, d.key.len);
	p.fd = sockets_dial(ns, &d, NULL);
	assert_true(p.fd >= 0);
	(void)!connect(p.fd, (struct sockaddr *)&sa, len);
	if (poll(&p, 1, 300) != 1 || getsockopt(p.fd, SOL_SOCKET, SO_ERROR, &code, &n) < 0)
		code = ETIMEDOUT;
	close(p.fd);
	return code == 0;
}

/* A packet sent too early is dropped: the kernel may take a second to start a new veth's queue. */
static bool
can_connect_soon(int ns, const struct addr *from, const struct addr *to, const char *key)
{
	for (int i = 0; i < 30; i++)
		if (can_connect(ns, from, to, key))
			return true;
	return false;
}

static void
md5_keys_are_live(void **state)
{
	int a = new_ns(), b = new_ns(), l;
	AUTO(netlink) na = in(a);
	AUTO(netlink) nb = in(b);
	struct netlink_veth v = { .name = "x0", .peer_name = "x1", .peer_ns = b };
	struct addr one = addr_v4(0x0a000001), two = addr_v4(0x0a000002);
	struct keeper_key key = { 3, "one" }, other = { 3, "two" }, none = { 0, "" };
	struct err e = { 0 };

	assert_int_equal(netlink_veth_create(na, &v, &e), 0);
	assert_int_equal(netlink_addr_add(na, "x0", &one, 30, &e), 0);
	assert_int_equal(netlink_addr_add(nb, "x1", &two, 30, &e), 0);
	assert_int_equal(netlink_link_up(na, "x0", true, &e), 0);
	assert_int_equal(netlink_link_up(nb, "x1", true, &e), 0);
	l = sockets_listen(a, &one, 0, &e);
	assert_true(l >= 0);
	assert_int_equal(sockets_key(l, &two, &key, &e), 0);
	assert_true(can_connect_soon(b, &two, &one, "one"));
	assert_false(can_connect(b, &two, &one, "two"));
	assert_false(can_connect(b, &two, &one, ""));
	assert_int_equal(sockets_key(l, &two, &other, &e), 0);
	assert_true(can_connect_soon(b, &two, &one, "two"));
	assert_false(can_connect(b, &two, &one, "one"));
	assert_int_equal(sockets_key(l, &two, &none, &e), 0);
	assert_int_equal(sockets_key(l, &two, &none, &e), 0);
	assert_true(can_connect_soon(b, &two, &one, ""));
	close(l);
	close(a);
	close(b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_thread_comes_back),
		cmocka_unit_test(veth_between_namespaces),
		cmocka_unit_test(a_domain_is_whole),
		cmocka_unit_test(md5_keys_are_live),
	};
	int fd = -1;

	if (netns_create(&fd, NULL) < 0) {
		puts("needs the privilege to make network namespaces");
		return 77;
	}
	close(fd);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
