/* A node's keeper and bfdd, alive, against FRR's bfdd and BIRD as the customer; this test is edged.
 *
 *   namespace node: keeper, bfdd, trunk0 (XDP) ── eth0, namespace ce: FRR or BIRD, 172.16.0.1
 *                   └ d7 ── peer0 172.16.0.2 in the domain's own namespace
 *
 * Every process may be killed; the peer must not notice. */
#include "../test.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/mono.h"
#include "datapath/edge.h"
#include "supervise/bfdd.h"
#include "supervise/channel.h"
#include "supervise/keeper.h"
#include "supervise/process.h"

#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { DOMAIN = 7, CIRCUIT = 1, PATIENCE_MS = 15000, DETECT_MS = 900, BFDD_UID = 60717 };
#define BFDD_USER "60717"

static const char *keeper_program, *bfdd_program;
static char root[] = "/tmp/wayleave-liveness-XXXXXX";

static struct {
	struct supervisor *s;
	struct keeper *keeper;
	struct bfdd *bfdd;
	struct datapath_edge *edge;
	struct keeper_domain_info info;
	struct keeper_domain_fds fds;
	struct bfdd_event last; /* of the link */
	uint32_t link, n_events;
	char *run, *frr;
} t;

/* Waiting: the supervisor restarts who was killed, events are read, time is never slept away. */

static void
tend(int ms)
{
	struct err e = { 0 };
	struct bfdd_event ev;
	int r = 0;

	supervisor_step(t.s, ms);
	while (t.bfdd && (r = bfdd_next(t.bfdd, &ev, &e)) == 1)
		if (ev.link == t.link) {
			t.last = ev;
			t.n_events++;
		}
	if (r < 0) {
		bfdd_destroy(t.bfdd);
		t.bfdd = NULL;
	}
}

/* What the packet path dropped: the usual reason why something does not come. */
static void
explain(void)
{
	struct datapath_maps *m = datapath_edge_maps(t.edge);

	for (int i = 0; i < DP_DROPS; i++)
		if (datapath_drops(m, (enum dp_drop)i))
			print_message("dropped %lu: %s\n",
				      (unsigned long)datapath_drops(m, (enum dp_drop)i),
				      datapath_drop_text((enum dp_drop)i));
	for (int i = 0; i < DP_EVENT_COUNT; i++)
		if (datapath_events(m, (enum dp_event)i))
			print_message("counted %lu: %s\n",
				      (unsigned long)datapath_events(m, (enum dp_event)i),
				      datapath_event_text((enum dp_event)i));
}

#define WAIT_FOR(condition) \
	do { \
		struct mono end_ = mono_add_ms(mono_now(), PATIENCE_MS); \
		while (!(condition)) { \
			if (mono_is_due(end_, mono_now())) { \
				explain(); \
				fail_msg("not within %d ms: %s", PATIENCE_MS, #condition); \
			} \
			tend(5); \
		} \
	} while (0)

static void
pass_ms(int ms)
{
	struct mono end = mono_add_ms(mono_now(), ms);

	while (!mono_is_due(end, mono_now()))
		tend(5);
}

#define OK(call) \
	do { \
		struct err e = { 0 }; \
		if ((call) < 0) \
			fail_msg("%s: %s", #call, e.text); \
	} while (0)

/* Runs a command in a namespace; its output is valid until the next call. */
static const char *
output_of(const char *ns, const char *const *argv)
{
	static struct buf out;
	struct process_spec p = { .name = "command", .argv = argv, .ns = ns };

	buf_reset(&out);
	OK(supervisor_run(t.s, &p, &out, PATIENCE_MS, &e));
	return buf_str(&out);
}

static const char *
vtysh(const char *command)
{
	return output_of("ce", (const char *[]){ "vtysh", "--vty_socket", t.frr, "--config_dir",
						 t.frr, "-c", command, NULL });
}

/* "key":N in JSON; -1 */
static long
number_in(const char *json, const char *key)
{
	AUTO_FREE char *quoted = mem_printf("\"%s\":", key);
	const char *p = strstr(json, quoted);

	return p ? strtol(p + strlen(quoted), NULL, 10) : -1;
}

static bool
frr_is(const char *state)
{
	AUTO_FREE char *want = mem_printf("\"status\":\"%s\"", state);

	return strstr(vtysh("show bfd peer 172.16.0.2 local-address 172.16.0.1 interface eth0 json"),
		      want) != NULL;
}

static long
frr_downs(void)
{
	return number_in(
		vtysh("show bfd peer 172.16.0.2 local-address 172.16.0.1 interface eth0 counters json"),
		"session-down");
}

/* The node */

static void
start_daemon(const char *name, const char *const *argv)
{
	struct process_spec p = { .name = name, .argv = argv, .ns = "node", .has_readiness = true };

	OK(supervisor_start(t.s, &p, &e));
	OK(supervisor_wait_ready(t.s, name, PATIENCE_MS, &e));
}

static void
start_node(void)
{
	start_daemon("keeper",
		     (const char *[]){ keeper_program, "--run", t.run, "--node", "node", "--port",
				       "trunk0:trunk", "--port", "fabric0:fabric", "--daemon", "0",
				       "--bfdd", BFDD_USER, NULL });
	start_daemon("bfdd", (const char *[]){ bfdd_program, "--run", t.run, "--user", BFDD_USER,
					       "--client", "0", NULL });
}

static struct keeper_domain
wanted(void)
{
	return (struct keeper_domain){ .number = DOMAIN,
				       .flags = KEEPER_DOMAIN_BFD,
				       .local = addr_v4(0xac100002),
				       .peer = addr_v4(0xac100001),
				       .plen = 30,
				       .key = { 6, "secret" } };
}

static void
fill_packet_tables(void)
{
	static const uint64_t rate[DP_DIRECTIONS] = { 0 };
	struct datapath_node n = { .number = 1, .address = { addr_v4(0x0aff0001) }, .mtu = 1600 };
	struct fabric_number number = { DOMAIN };
	struct datapath_domain d = { .number = number,
				     .key = fabric_key_make(number, 0),
				     .circuit = CIRCUIT,
				     .trunk = 1,
				     .tpid = 0x8100,
				     .local = addr_v4(0xac100002),
				     .peer = addr_v4(0xac100001),
				     .subnet_len = 30,
				     .mac = t.info.inner_mac };

	OK(datapath_edge_node_set(t.edge, &n, &e));
	OK(datapath_edge_circuit_put(t.edge, CIRCUIT, rate, &e));
	OK(datapath_edge_domain_put(t.edge, &d, &e));
	t.link = datapath_edge_domain_link(t.edge, number);
	assert_int_not_equal(t.link, 0);
}

static void
be_edged(void)
{
	struct keeper_port port = { .ifname = "trunk0", .role = KEEPER_PORT_TRUNK, .index = 1 };
	struct keeper_port_info info;
	struct keeper_domain d = wanted();
	struct datapath_fds maps;

	t.keeper = keeper_create(t.run, KEEPER_ROLE_EDGED);
	OK(keeper_maps(t.keeper, &maps, &e));
	OK(datapath_edge_open(&maps, &t.edge, &e));
	datapath_fds_close(&maps);
	OK(keeper_port_attach(t.keeper, &port, &info, &e));
	OK(keeper_domain_add(t.keeper, &d, &t.info, &t.fds, &e));
	assert_int_equal(t.info.is_new, 1);
	fill_packet_tables();
}

static void
connect_bfdd(void)
{
	struct bfdd_session s = { .link = t.link,
				  .domain = DOMAIN,
				  .local = addr_v4(0xac100002),
				  .peer = addr_v4(0xac100001) };

	WAIT_FOR(t.bfdd || bfdd_connect(t.run, &t.bfdd, NULL) == 0);
	OK(bfdd_begin(t.bfdd, &e));
	OK(bfdd_session_set(t.bfdd, &s, &e));
	OK(bfdd_end(t.bfdd, &e));
}

static bool
ask_again(void)
{
	uint32_t before = t.n_events;

	OK(bfdd_query(t.bfdd, t.link, &e));
	WAIT_FOR(t.n_events != before);
	return true;
}

static bool
is_up(void)
{
	return t.last.state == BFD_UP && t.last.flags & BFDD_IS_UP;
}

/* The customer */

static void
write_file(const char *path, const char *text, const struct passwd *owner)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	if (owner)
		assert_int_equal(chown(path, owner->pw_uid, owner->pw_gid), 0);
}

static void
start_frr_daemon(const char *name, const char *config)
{
	const struct passwd *frr = getpwnam("frr");
	AUTO_FREE char *program = mem_printf("/usr/lib/frr/%s", name);
	AUTO_FREE char *conf = mem_printf("%s/%s.conf", t.frr, name);
	AUTO_FREE char *pid = mem_printf("%s/%s.pid", t.frr, name);
	AUTO_FREE char *zserv = mem_printf("%s/zserv.sock", t.frr);
	AUTO_FREE char *ctl = mem_printf("%s/bfdctl.sock", t.frr);
	AUTO_FREE char *vty = mem_printf("%s/%s.vty", t.frr, name);
	const char *argv[] = { program, "-f", conf,  "-i",
			       pid,     "-z", zserv, "--vty_socket",
			       t.frr,   "-P", "0",   !strcmp(name, "bfdd") ? "--bfdctl" : NULL,
			       ctl,     NULL };
	AUTO_FREE char *own_name = mem_printf("frr-%s", name);
	struct process_spec p = { .name = own_name, .argv = argv, .ns = "ce", .log = "/dev/null" };

	write_file(conf, config, frr);
	OK(supervisor_start(t.s, &p, &e));
	WAIT_FOR(access(vty, F_OK) == 0);
}

static const char frr_config[] = "bfd\n"
				 " peer 10.255.0.1 multihop local-address 10.9.0.2\n"
				 "  no shutdown\n"
				 " exit\n"
				 " peer 172.16.0.2 local-address 172.16.0.1 interface eth0\n"
				 "  detect-multiplier 3\n"
				 "  receive-interval 300\n"
				 "  transmit-interval 300\n"
				 "  no shutdown\n";

static void
start_frr(void)
{
	const struct passwd *frr = getpwnam("frr");

	t.frr = mem_printf("%s/frr", supervisor_dir(t.s));
	assert_int_equal(mkdir(t.frr, 0755), 0);
	assert_int_equal(chown(t.frr, frr->pw_uid, frr->pw_gid), 0);
	start_frr_daemon("zebra", "");
	start_frr_daemon("bfdd", frr_config);
}

/* The tests, in this order: each begins with the session as the last one left it, Up. */

static void
comes_up_with_frr(void **state)
{
	start_frr();
	connect_bfdd();
	WAIT_FOR(is_up());
	WAIT_FOR(frr_is("up"));
	WAIT_FOR(ask_again() && t.last.tx_us == 300000 && t.last.detect_us == 900000);
	assert_true(
		strstr(vtysh("show bfd peer 172.16.0.2 local-address 172.16.0.1 interface eth0 json"),
		       "\"remote-detect-multiplier\":3") != NULL);
}

/* kill -9 and back, a few times: same discriminator, and FRR has not counted a down. */
static void
survives(const char *victim, int times)
{
	uint32_t discr = t.last.local_discr, ups = t.last.n_up;
	long downs = frr_downs();

	for (int i = 0; i < times; i++) {
		pid_t pid = supervisor_pid(t.s, victim);

		assert_true(pid > 0);
		kill(pid, SIGKILL);
		WAIT_FOR(supervisor_pid(t.s, victim) != pid && supervisor_pid(t.s, victim) != 0);
		pass_ms(2500);
		assert_true(frr_is("up"));
	}
	connect_bfdd();
	t.n_events = 0;
	WAIT_FOR(t.n_events > 0);
	assert_true(is_up());
	assert_int_equal(t.last.local_discr, discr);
	assert_int_equal(t.last.n_up, ups);
	assert_int_equal(frr_downs(), downs);
}

static void
frr_does_not_notice_the_death_of_bfdd(void **state)
{
	survives("bfdd", 3);
}

static bool
ce_can_connect(void)
{
	const struct addr local = addr_v4(0xac100001);
	struct sockaddr_storage sa;
	struct addr to = addr_v4(0xac100002);
	socklen_t len = addr_to_sockaddr(&to, 179, &sa);
	struct pollfd p = { .events = POLLOUT };
	socklen_t n = sizeof(int);
	int code = ETIMEDOUT;

	p.fd = netns_socket(supervisor_namespace_fd(t.s, "ce"), AF_INET,
			    SOCK_STREAM | SOCK_NONBLOCK, 0, NULL);
	OK(netlink_addr_add(supervisor_netlink(t.s, "ce", NULL), "eth0", &local, 30, &e));
	(void)!connect(p.fd, (struct sockaddr *)&sa, len);
	if (poll(&p, 1, 1000) == 1)
		getsockopt(p.fd, SOL_SOCKET, SO_ERROR, &code, &n);
	close(p.fd);
	return code == 0;
}

static void
the_keeper_gets_everything_back(void **state)
{
	static const struct keeper_key none = { 0, "" };
	struct keeper_domain d = wanted();
	struct keeper_domain_info again;
	uint32_t list[4];
	size_t n = 0;

	survives("keeper", 2);
	close(t.fds.listener);
	close(t.fds.netlink);
	OK(keeper_domain_add(t.keeper, &d, &again, &t.fds, &e));
	assert_int_equal(again.is_new, 0);
	assert_int_equal(again.outer_ifindex, t.info.outer_ifindex);
	OK(keeper_domain_list(t.keeper, 0, list, 4, &n, &e));
	assert_int_equal(n, 1);
	assert_int_equal(list[0], DOMAIN);
	assert_false(ce_can_connect()); /* it has no key */
	OK(keeper_domain_key(t.keeper, DOMAIN, &none, &e));
	assert_true(ce_can_connect()); /* the listener is the one the kernel knows */
	OK(keeper_domain_key(t.keeper, DOMAIN, &d.key, &e));
}

/* SIGHUP: a new program in the same process. */
static void
the_keeper_execs_in_place(void **state)
{
	pid_t pid = supervisor_pid(t.s, "keeper");
	struct keeper_domain d = wanted();
	struct keeper_domain_info again;
	long downs = frr_downs();

	kill(pid, SIGHUP);
	pass_ms(1500);
	close(t.fds.listener);
	close(t.fds.netlink);
	OK(keeper_domain_add(t.keeper, &d, &again, &t.fds, &e));
	assert_int_equal(again.is_new, 0);
	assert_int_equal(supervisor_pid(t.s, "keeper"), pid);
	assert_int_equal(frr_downs(), downs);
}

/* RFC 5883, between underlay addresses, on the node's own sockets: for tunnels. */
static void
multihop_on_the_underlay(void **state)
{
	struct keeper_fabric_listen l = { .local = addr_v4(0x0aff0001), .min_ttl = 250 };
	struct bfdd_session s = {
		.link = 2, .local = l.local, .peer = addr_v4(0x0a090002), .flags = BFDD_MULTIHOP
	};
	struct keeper_fabric_peer peer = { .local = l.local, .peer = s.peer, .key = { 3, "key" } };
	uint32_t link = t.link;
	int fd = -1, again = -1;

	OK(keeper_fabric_listen(t.keeper, &l, &fd, &e));
	OK(keeper_fabric_peer(t.keeper, &peer, &e));
	OK(bfdd_session_set(t.bfdd, &s, &e));
	t.link = 2;
	WAIT_FOR(is_up());
	close(fd);
	kill(supervisor_pid(t.s, "keeper"), SIGKILL);
	pass_ms(100);
	OK(keeper_fabric_listen(t.keeper, &l, &again, &e)); /* answered once it has all back */
	kill(supervisor_pid(t.s, "bfdd"), SIGKILL);
	pass_ms(500);
	OK(keeper_fabric_peer(t.keeper, &peer, &e));
	close(again);
	WAIT_FOR(t.bfdd || bfdd_connect(t.run, &t.bfdd, NULL) == 0);
	assert_true(ask_again() && is_up());
	assert_int_equal(t.last.n_up, 1);
	OK(bfdd_session_remove(t.bfdd, 2, &e));
	WAIT_FOR(!(t.last.flags & BFDD_HAS_SESSION));
	t.link = link;
	connect_bfdd();
	WAIT_FOR(ask_again() && is_up());
}

static void
neighbours_are_seen_without_privilege(void **state)
{
	struct pollfd p = { .fd = t.fds.netlink, .events = POLLIN };

	OK(netlink_neigh_watch_start(t.fds.netlink, &e));
	assert_int_equal(poll(&p, 1, 1000), 1);
}

/* Both directions silent, interfaces up: the packet path is told to know no such domain. */
static void
a_silent_cut_is_detected_in_time(void **state)
{
	struct mono cut;
	int64_t took_ms;
	uint64_t was_down = t.last.n_down;

	OK(netlink_link_up(supervisor_netlink(t.s, "ce", NULL), "eth0", false, &e));
	cut = mono_now();
	WAIT_FOR(t.last.n_down > was_down);
	took_ms = (t.last.changed_us - cut.us) / 1000;
	print_message("detected after %d ms\n", (int)took_ms);
	assert_in_range(took_ms, DETECT_MS - 305, DETECT_MS + 100);
	assert_int_equal(t.last.diag, BFD_DIAG_DETECT);
	assert_false(t.last.flags & BFDD_IS_UP);
	OK(netlink_link_up(supervisor_netlink(t.s, "ce", NULL), "eth0", true, &e));
	WAIT_FOR(is_up());
	WAIT_FOR(frr_is("up"));
}

/* bfdd without edged: nobody is connected, and link_up follows all the same. */
static void
detects_while_edged_is_dead(void **state)
{
	bfdd_destroy(t.bfdd);
	t.bfdd = NULL;
	OK(netlink_link_up(supervisor_netlink(t.s, "ce", NULL), "eth0", false, &e));
	pass_ms(DETECT_MS + 300);
	t.last = (struct bfdd_event){ 0 };
	WAIT_FOR(t.bfdd || bfdd_connect(t.run, &t.bfdd, NULL) == 0);
	OK(bfdd_query(t.bfdd, t.link, &e));
	WAIT_FOR(t.last.n_down > 0);
	assert_false(t.last.flags & BFDD_IS_UP);
	OK(netlink_link_up(supervisor_netlink(t.s, "ce", NULL), "eth0", true, &e));
	WAIT_FOR(is_up());
	connect_bfdd();
}

static void
admin_down_reaches_frr(void **state)
{
	struct bfdd_session s = { .link = t.link,
				  .domain = DOMAIN,
				  .local = addr_v4(0xac100002),
				  .peer = addr_v4(0xac100001),
				  .flags = BFDD_ADMIN_DOWN };

	OK(bfdd_session_set(t.bfdd, &s, &e));
	WAIT_FOR(frr_is("down"));
	assert_true(
		strstr(vtysh("show bfd peer 172.16.0.2 local-address 172.16.0.1 interface eth0 json"),
		       "neighbor") != NULL);
	connect_bfdd();
	WAIT_FOR(is_up());
	WAIT_FOR(frr_is("up"));
}

/* RFC 5882: the peer's AdminDown is no failure of the path; the client's word holds. */
static void
the_peers_admin_down_is_no_failure(void **state)
{
	OK(bfdd_link_set(t.bfdd, t.link, true, &e)); /* BGP is Established */
	output_of("ce", (const char *[]){ "vtysh", "--vty_socket", t.frr, "--config_dir", t.frr,
					  "-c", "configure terminal", "-c", "bfd", "-c",
					  "peer 172.16.0.2 local-address 172.16.0.1 interface eth0",
					  "-c", "shutdown", NULL });
	WAIT_FOR(t.last.state == BFD_DOWN && t.last.remote_state == BFD_ADMIN_DOWN);
	assert_true(t.last.flags & BFDD_IS_UP);
	OK(bfdd_link_set(t.bfdd, t.link, false, &e)); /* now BGP has closed */
	WAIT_FOR(!(t.last.flags & BFDD_IS_UP));
	output_of("ce", (const char *[]){ "vtysh", "--vty_socket", t.frr, "--config_dir", t.frr,
					  "-c", "configure terminal", "-c", "bfd", "-c",
					  "peer 172.16.0.2 local-address 172.16.0.1 interface eth0",
					  "-c", "no shutdown", NULL });
	WAIT_FOR(is_up());
}

static void
bird_does_not_notice_either(void **state)
{
	AUTO_FREE char *conf = mem_printf("%s/bird.conf", supervisor_dir(t.s));
	AUTO_FREE char *ctl = mem_printf("%s/bird.ctl", supervisor_dir(t.s));
	const char *argv[] = { "bird", "-f", "-c", conf, "-s", ctl, NULL };
	const char *show[] = { "birdc", "-s", ctl, "show", "bfd", "sessions", NULL };
	struct process_spec p = { .name = "bird", .argv = argv, .ns = "ce", .log = "/dev/null" };
	AUTO_FREE char *since = NULL;
	const char *line;

	OK(supervisor_stop(t.s, "frr-bfdd", &e));
	OK(supervisor_stop(t.s, "frr-zebra", &e));
	WAIT_FOR(t.last.state != BFD_UP);
	write_file(conf,
		   "router id 172.16.0.1;\nprotocol device {}\nprotocol bfd {\n"
		   " interface \"eth0\" { interval 300 ms; multiplier 3; };\n"
		   " neighbor 172.16.0.2 dev \"eth0\" local 172.16.0.1;\n}\n",
		   NULL);
	OK(supervisor_start(t.s, &p, &e));
	WAIT_FOR(is_up());
	WAIT_FOR(strstr(output_of("ce", show), " Up ") != NULL);
	line = strstr(output_of("ce", show), " Up ");
	since = mem_strdup(line); /* holds the time of the last change */
	since[20] = '\0';
	for (int i = 0; i < 3; i++) {
		kill(supervisor_pid(t.s, "bfdd"), SIGKILL);
		pass_ms(2000);
	}
	connect_bfdd();
	line = strstr(output_of("ce", show), " Up ");
	assert_non_null(line);
	assert_memory_equal(line, since, 20);
}

static void
a_removed_domain_is_gone(void **state)
{
	struct netlink *nl = supervisor_netlink(t.s, "node", NULL);
	struct netlink_link l;

	OK(bfdd_session_remove(t.bfdd, t.link, &e));
	WAIT_FOR(!(t.last.flags & BFDD_HAS_SESSION));
	assert_false(t.last.flags & BFDD_IS_UP);
	OK(keeper_domain_remove(t.keeper, DOMAIN, &e));
	OK(keeper_domain_remove(t.keeper, DOMAIN, &e));
	assert_int_equal(netlink_link_get(nl, "d7", &l, NULL), -ENODEV);
}

/* What the keeper must not do for a child. */
static void
the_keeper_refuses(void **state)
{
	struct keeper_port port = { .ifname = "lo", .role = KEEPER_PORT_TRUNK, .index = 2 };
	struct keeper_nic nic = { .ifname = "trunk0" };
	struct keeper_port_info info;
	struct keeper_domain d = wanted();
	struct keeper_domain_info dinfo;
	struct keeper_domain_fds fds;
	struct err e = { 0 };

	assert_int_equal(keeper_port_attach(t.keeper, &port, &info, &e), -EPERM);
	memcpy(port.ifname, "trunk0", 7);
	port.index = 99;
	assert_int_equal(keeper_port_attach(t.keeper, &port, &info, &e), -EINVAL);
	d.plen = 8;
	assert_int_equal(keeper_domain_add(t.keeper, &d, &dinfo, &fds, &e), -EINVAL);
	/* An edge has no NICs: the connection ends, the next request makes a new one. */
	assert_int_equal(keeper_nic_attach(t.keeper, &nic, &info, &e), -ENOTCONN);
	d = wanted();
	assert_int_equal(keeper_domain_add(t.keeper, &d, &dinfo, &fds, &e), 0);
	close(fds.listener);
	close(fds.netlink);
	assert_int_equal(keeper_domain_remove(t.keeper, DOMAIN, &e), 0);
}

/* Says HELLO as somebody: is the connection ended at once? One that is ended with the HELLO still unread
 * reports a reset. */
static bool
is_turned_away(uid_t uid, enum keeper_role role)
{
	AUTO_FREE char *path = mem_printf("%s/%s", t.run, KEEPER_SOCKET);
	pid_t pid = fork();
	int status = -1;

	if (pid == 0) {
		struct keeper_msg m = { .version = KEEPER_VERSION,
					.type = KEEPER_HELLO,
					.role = role };
		int fds[CHANNEL_FDS_MAX], fd;
		size_t n_fds;
		ssize_t n;

		if (setresgid(BFDD_UID, BFDD_UID, BFDD_UID) < 0 || setresuid(uid, uid, uid) < 0 ||
		    (fd = channel_connect(path, NULL)) < 0)
			_exit(2);
		n = channel_send(fd, &m, sizeof(m), NULL, 0, 0);
		if (n >= 0)
			n = channel_recv(fd, &m, sizeof(m), fds, &n_fds, 10000);
		_exit(n == -EAGAIN ? 2 : n <= 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) < 2);
	return WEXITSTATUS(status) == 1;
}

/* An edged in wrong hands does not get bfdd's custody by saying that it is bfdd, nor the other way
 * round; a third user of the group is nobody. */
static void
a_role_is_its_users_alone(void **state)
{
	assert_true(is_turned_away(0, KEEPER_ROLE_BFDD));
	assert_true(is_turned_away(BFDD_UID, KEEPER_ROLE_EDGED));
	assert_true(is_turned_away(BFDD_UID + 1, KEEPER_ROLE_EDGED));
	assert_true(is_turned_away(BFDD_UID + 1, KEEPER_ROLE_BFDD));
	assert_false(is_turned_away(0, KEEPER_ROLE_EDGED));
}

static int
setup(void **state)
{
	struct supervisor_config cfg = { .instance = "liveness",
					 .run_root = root,
					 .has_mounts = true };
	struct supervisor_wire trunk = {
		.a = { .ns = "node", .ifname = "trunk0" },
		.b = { .ns = "ce", .ifname = "eth0", .addr = addr_v4(0xac100001), .plen = 30 }
	};
	struct supervisor_wire fabric = {
		.a = { .ns = "node", .ifname = "fabric0", .addr = addr_v4(0x0a090001), .plen = 30 },
		.b = { .ns = "ce", .ifname = "fabric1", .addr = addr_v4(0x0a090002), .plen = 30 },
		.mtu = 1600
	};
	struct addr underlay = addr_v4(0x0aff0001), via = addr_v4(0x0a090001);
	struct prefix to_underlay = prefix_make(&underlay, 32);

	if (!mkdtemp(root) || chmod(root, 0755) < 0)
		return -1;
	OK(supervisor_create(&cfg, &t.s, &e));
	t.run = mem_printf("%s/node", supervisor_dir(t.s));
	OK(supervisor_node_dir(t.s, "node", &e));
	if (chown(t.run, 0, BFDD_UID) < 0 || chmod(t.run, 03770) < 0)
		return -1;
	OK(supervisor_namespace(t.s, "node", NULL, &e));
	OK(supervisor_namespace(t.s, "ce", NULL, &e));
	OK(supervisor_wire(t.s, &trunk, &e));
	OK(supervisor_wire(t.s, &fabric, &e));
	OK(netlink_addr_add(supervisor_netlink(t.s, "node", NULL), "lo", &underlay, 32, &e));
	OK(netlink_route_set(supervisor_netlink(t.s, "ce", NULL), &to_underlay, &via, NULL, NULL,
			     &e));
	start_node();
	be_edged();
	return 0;
}

static int
teardown(void **state)
{
	bfdd_destroy(t.bfdd);
	datapath_edge_destroy(t.edge);
	keeper_destroy(t.keeper);
	supervisor_destroy(t.s);
	free(t.run);
	free(t.frr);
	rmdir(root);
	return 0;
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comes_up_with_frr),
		cmocka_unit_test(the_keeper_gets_everything_back),
		cmocka_unit_test(frr_does_not_notice_the_death_of_bfdd),
		cmocka_unit_test(the_keeper_execs_in_place),
		cmocka_unit_test(multihop_on_the_underlay),
		cmocka_unit_test(neighbours_are_seen_without_privilege),
		cmocka_unit_test(a_silent_cut_is_detected_in_time),
		cmocka_unit_test(detects_while_edged_is_dead),
		cmocka_unit_test(admin_down_reaches_frr),
		cmocka_unit_test(the_peers_admin_down_is_no_failure),
		cmocka_unit_test(bird_does_not_notice_either),
		cmocka_unit_test(a_removed_domain_is_gone),
		cmocka_unit_test(the_keeper_refuses),
		cmocka_unit_test(a_role_is_its_users_alone),
	};
	int fd = -1;

	if (netns_create(&fd, NULL) < 0) {
		puts("needs the privilege to make network namespaces");
		return 77;
	}
	close(fd);
	assert_int_equal(argc, 3);
	keeper_program = argv[1];
	bfdd_program = argv[2];
	return cmocka_run_group_tests(tests, setup, teardown);
}
