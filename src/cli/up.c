/* `wayleave up`: the whole on one box, each part its own processes in its own namespace.
 *
 *        controller (fabric)           10.255.0.250
 *              │
 *      ┌───────┴──── fabric: the underlay's router ────┐
 *      │ fabric0           │ fabric0           fabric0 │
 *   edge-a 10.255.0.1   edge-b 10.255.0.2    host-1 10.255.0.11
 *      │ trunk0            │ trunk0                    └─ NICs: `wayleave host attach`
 *      └──── exchange: the provider's switch ── customers' access ports
 *
 * Without root only the controller runs. One thread; children die with it. What is ordered lives
 * under $WAYLEAVE_HOME and is there again at the next start; namespaces, pins and sockets are not. */
#include "cli/up.h"
#include "base/mem.h"
#include "cli/fabric.h"
#include "cli/users.h"
#include "supervise/process.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum {
	UNDERLAY_MTU = 1600,
	AGENTS_PORT = 8444,
	READY_MS = 20000,
	STOP_MS = 5000,
	DOWN_MS = 60000,
};

const struct up_node up_nodes[] = {
	{ "edge-a", 1, true, "trunk-a" },
	{ "edge-b", 2, true, "trunk-b" },
	{ "host-1", 11, false, NULL },
	{ NULL, 0, false, NULL },
};

struct up {
	struct cli *cli;
	struct supervisor *s;
	const char *static_dir; /* node configs of the caller's; no controller */
	char home[PATH_MAX];
	struct users users;
	bool has_network;
	const char *why_not; /* no network */
	char url[128];
	int agents_fd; /* the listener in the fabric namespace, -1 */
};

/* ---- places on disk ---- */

static int
make_dir(const char *path, mode_t mode, struct err *e)
{
	char part[PATH_MAX];

	for (size_t i = 1; path[i - 1]; i++) {
		if (path[i] && path[i] != '/')
			continue;
		snprintf(part, sizeof(part), "%.*s", (int)i, path);
		if (mkdir(part, path[i] ? 0755 : mode) < 0 && errno != EEXIST)
			return err_errno(e, "%s", part);
	}
	return 0;
}

/* ---- the network ---- */

static struct addr
underlay(unsigned number)
{
	return addr_v4(0x0aff0000u + number); /* 10.255.0.N */
}

/* The wire between node N and the router: 10.254.N.0/30, the router .1, the node .2. */
static struct addr
wire_addr(unsigned number, unsigned end)
{
	return addr_v4(0x0afe0000u + (number << 8) + end);
}

static int
sysctls(int ns, const char *const *pairs, struct err *e)
{
	int r = 0;

	for (; r == 0 && *pairs; pairs += 2)
		r = netns_sysctl(ns, pairs[0], pairs[1], e);
	return r;
}

static int
make_namespace(struct up *u, const char *name, bool is_router, struct err *e)
{
	static const char *const quiet[] = { "net/ipv6/conf/all/disable_ipv6",
					     "1",
					     "net/ipv6/conf/default/disable_ipv6",
					     "1",
					     "net/ipv4/conf/all/rp_filter",
					     "0",
					     "net/ipv4/conf/default/rp_filter",
					     "0",
					     NULL };
	static const char *const router[] = { "net/ipv4/ip_forward", "1", NULL };
	int fd, r = supervisor_namespace(u->s, name, &fd, e);

	if (r == 0)
		r = sysctls(fd, quiet, e);
	if (r == 0 && is_router)
		r = sysctls(fd, router, e);
	return r < 0 ? err_wrap(e, r, "namespace %s", name) : 0;
}

/* fabric0, the underlay address, the way to everybody else; at the router the way back. */
static int
connect_node(struct up *u, const struct up_node *n, struct err *e)
{
	char port[16];
	struct supervisor_wire w = {
		.a = { n->name, "fabric0", wire_addr(n->number, 2), 30 },
		.b = { "fabric", port, wire_addr(n->number, 1), 30 },
		.mtu = UNDERLAY_MTU,
	};
	struct addr self = underlay(n->number), none = addr_v4(0), gateway = w.b.addr,
		    back = w.a.addr;
	struct prefix all = prefix_make(&none, 0), own = prefix_make(&self, 32);
	struct netlink *nl, *router;
	int r;

	snprintf(port, sizeof(port), "%s", n->name);
	if ((r = make_namespace(u, n->name, false, e)) < 0 ||
	    (r = supervisor_wire(u->s, &w, e)) < 0)
		return r;
	nl = supervisor_netlink(u->s, n->name, e);
	router = supervisor_netlink(u->s, "fabric", e);
	if (!nl || !router)
		return e->code;
	if ((r = netlink_addr_add(nl, "lo", &self, 32, e)) < 0 ||
	    (r = netlink_route_set(nl, &all, &gateway, "fabric0", &self, e)) < 0)
		return r;
	return netlink_route_set(router, &own, &back, port, NULL, e);
}

static int
connect_trunk(struct up *u, const struct up_node *n, struct err *e)
{
	struct supervisor_wire w = {
		.a = { .ns = n->name, .ifname = "trunk0" },
		.b = { .ns = "exchange", .ifname = n->trunk },
		.mtu = 1500 + 8, /* both tags */
	};

	return supervisor_wire(u->s, &w, e);
}

/* The agents' listener: made inside the fabric, handed to the controller, which lives outside. */
static int
listen_for_agents(struct up *u, struct err *e)
{
	int ns = supervisor_namespace_fd(u->s, "fabric"), back, on = 1, r = 0;
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = htons(AGENTS_PORT),
				 .sin_addr.s_addr = inet_addr(UP_CONTROLLER_UNDERLAY) };

	if ((r = netns_enter(ns, &back, e)) < 0)
		return r;
	u->agents_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	netns_leave(back);
	if (u->agents_fd < 0)
		return err_errno(e, "socket");
	setsockopt(u->agents_fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(u->agents_fd, (struct sockaddr *)&a, sizeof(a)) < 0 ||
	    listen(u->agents_fd, 1024) < 0)
		return err_errno(e, "listen for agents");
	return 0;
}

static int
build_network(struct up *u, struct err *e)
{
	struct addr controller;
	struct netlink *nl;
	int r;

	if ((r = make_namespace(u, "fabric", true, e)) < 0 ||
	    (r = make_namespace(u, "exchange", false, e)) < 0 ||
	    (r = addr_parse(UP_CONTROLLER_UNDERLAY, &controller, e)) < 0)
		return r;
	if (!(nl = supervisor_netlink(u->s, "fabric", e)))
		return e->code;
	if ((r = netlink_addr_add(nl, "lo", &controller, 32, e)) < 0)
		return r;
	for (const struct up_node *n = up_nodes; n->name; n++)
		if ((r = connect_node(u, n, e)) < 0 ||
		    (n->is_edge && (r = connect_trunk(u, n, e)) < 0))
			return err_wrap(e, r, "%s", n->name);
	return listen_for_agents(u, e);
}

/* ---- processes ---- */

static int
start(struct up *u, const char *name, const char *ns, const char *const *argv, const char *dir,
      bool has_readiness, struct err *e)
{
	char program[PATH_MAX], log[PATH_MAX + 80];
	const char *full[24] = { cli_program(argv[0], program, sizeof(program)) };
	struct process_spec spec = { .name = name,
				     .argv = full,
				     .ns = ns,
				     .log = log,
				     .dir = dir,
				     .restart = PROCESS_RESTART,
				     .has_readiness = has_readiness,
				     .stop_ms = STOP_MS };

	for (size_t i = 1; argv[i - 1] && i < COUNT(full); i++)
		full[i] = argv[i];
	snprintf(log, sizeof(log), "%s/log/%s.log", u->home, name);
	if (!strcmp(name, "controller") && u->agents_fd >= 0) {
		spec.fds = &u->agents_fd;
		spec.n_fds = 1;
	}
	if (access(full[0], X_OK) < 0)
		return err_errno(e, "%s", full[0]);

	int r = supervisor_start(u->s, &spec, e);

	if (r == 0 && has_readiness)
		r = supervisor_wait_ready(u->s, name, READY_MS, e);
	return r < 0 ? err_wrap(e, r, "%s did not start; its log: %s", name, log) : 0;
}

static int
start_controller(struct up *u, struct err *e)
{
	char config[PATH_MAX + 32], state[PATH_MAX + 32];
	const char *argv[] = { "wayleave-controld", "--config", config, NULL };
	uid_t uid = users_uid(&u->users, USERS_CONTROLLER, 0);
	int r;

	snprintf(config, sizeof(config), "%s/controller.yaml", u->home);
	snprintf(state, sizeof(state), "%s/controller", u->home);
	/* It becomes the owner of its state directory. */
	if ((r = make_dir(state, 0700, e)) < 0 ||
	    (r = users_give(&u->users, state, uid, (gid_t)uid, e)) < 0 ||
	    (r = fabric_controller_config(config, state, e)) < 0 ||
	    (r = start(u, "controller", NULL, argv, NULL, true, e)) < 0)
		return r;
	return fabric_publish_env(&u->users, u->home, e);
}

/* The three of a node: the keeper stays root, the others are told whom to become. */
static int
start_programs(struct up *u, const struct up_node *n, const char *run, const char *config,
	       struct err *e)
{
	unsigned at = (unsigned)(n - up_nodes);
	char daemon_user[USERS_TEXT], bfdd_user[USERS_TEXT], name[64];
	const char *is_daemon = users_text(&u->users, USERS_DAEMON, at, daemon_user);
	const char *is_bfdd = users_text(&u->users, USERS_BFDD, at, bfdd_user);
	const char *keeper[] = { "wayleave-keeper",
				 "--run",
				 run,
				 "--role",
				 n->is_edge ? "edge" : "host",
				 "--node",
				 n->name,
				 "--daemon",
				 is_daemon,
				 "--bfdd",
				 is_bfdd,
				 "--port",
				 "fabric0:fabric",
				 n->is_edge ? "--port" : "--nic",
				 n->is_edge ? "trunk0:trunk" : "*",
				 NULL };
	const char *bfdd[] = { "wayleave-bfdd", "--run",    run,       "--user",
			       is_bfdd,         "--client", is_daemon, NULL };
	const char *daemon[] = { n->is_edge ? "wayleave-edged" : "wayleave-hostd",
				 "--config",
				 config,
				 "--user",
				 is_daemon,
				 NULL };
	const char *const *all[] = { keeper, bfdd, daemon };
	int r = 0;

	for (size_t i = 0; i < COUNT(all) && r == 0; i++) {
		snprintf(name, sizeof(name), "%s-%s", n->name, all[i][0] + strlen("wayleave-"));
		r = start(u, name, n->name, all[i], run, true, e);
	}
	return r;
}

static int
start_node(struct up *u, const struct up_node *n, const char *token, struct err *e)
{
	unsigned at = (unsigned)(n - up_nodes);
	gid_t gid = users_gid(&u->users, at);
	uid_t uid = users_uid(&u->users, USERS_DAEMON, at);
	char state[PATH_MAX + 64], config[PATH_MAX + 80];
	AUTO_FREE char *run = mem_printf("%s/%s", supervisor_dir(u->s), n->name);
	const struct fabric_node node = { n, run, state, token, gid };
	int r;

	snprintf(state, sizeof(state), "%s/%s", u->home, n->name);
	if ((r = make_dir(state, 0700, e)) < 0 ||
	    (r = users_give(&u->users, state, uid, gid, e)) < 0 ||
	    (r = supervisor_node_dir(u->s, n->name, e)) < 0 ||
	    (r = users_share(&u->users, run, gid, e)) < 0)
		return r;
	if (u->static_dir)
		snprintf(config, sizeof(config), "%s/%s.yaml", u->static_dir, n->name);
	else if ((r = fabric_write_config(u->cli, &node, config, sizeof(config), e)) < 0)
		return r;
	return start_programs(u, n, run, config, e);
}

static int
start_switch(struct up *u, struct err *e)
{
	char socket_path[PATH_MAX];
	const char *argv[] = { "wayleave-labswitch",
			       "run",
			       "--socket",
			       socket_path,
			       "--trunk",
			       "trunk-a",
			       "--trunk",
			       "trunk-b",
			       NULL };

	snprintf(socket_path, sizeof(socket_path), "%s/exchange.sock", supervisor_dir(u->s));
	return start(u, "exchange", "exchange", argv, NULL, true, e);
}

static int
start_nodes(struct up *u, struct err *e)
{
	int r = start_switch(u, e);

	for (const struct up_node *n = up_nodes; r == 0 && n->name; n++) {
		char token[FABRIC_TOKEN_MAX] = "";

		if (!u->static_dir &&
		    fabric_token(u->cli, u->home, n, token, sizeof(token)) != CLI_OK)
			return err_set(e, -EIO, "the controller gave no enrolment token for %s",
				       n->name);
		r = start_node(u, n, token, e);
		mem_wipe(token, sizeof(token));
	}
	return r;
}

/* ---- what people read ---- */

static void
say(const struct up *u)
{
	const char *name = u->cli->instance;
	bool is_main = !strcmp(name, "main");
	const char *flag = is_main ? "" : mem_printf(" --instance %s", name);

	printf("Wayleave \"%s\" is up.\n", name);
	if (!u->static_dir)
		printf("  runs      the controller: %s (the API of az, SDKs and this program)\n",
		       u->url);
	if (u->has_network)
		printf("  runs      edges edge-a and edge-b, host host-1, the provider's switch; each in a namespace\n"
		       "            of its own below %s/ns\n",
		       supervisor_dir(u->s));
	else
		printf("  runs not  edges, host and switch: %s. Orders are taken; no packet flows.\n",
		       u->why_not);
	if (u->static_dir)
		printf("  runs not  the controller: the nodes' configs come from %s\n",
		       u->static_dir);
	printf("  state     %s (logs in log/)\n", u->home);
	if (!u->static_dir)
		printf("Use it, in another terminal:\n"
		       "  wayleave%s circuit create first --bandwidth 200      order a circuit\n"
		       "  wayleave%s status                                    see it on one screen\n"
		       "  eval \"$(wayleave%s env)\"                             for az and SDKs; `wayleave%s trust` for the CA\n",
		       flag, flag, flag, flag);
	printf("Ctrl-C or `wayleave%s down` ends it; what was ordered stays.\n", flag);
	fflush(stdout);
	if (!is_main)
		free((char *)flag);
}

static void
on_exit_news(const char *name, pid_t pid, int status, bool will_restart, void *arg)
{
	(void)arg;
	if (will_restart)
		fprintf(stderr, "wayleave: %s ended (status %d) and runs again as %d\n", name,
			status, (int)pid);
	else
		fprintf(stderr, "wayleave: %s ended for good (status %d)\n", name, status);
}

static void
write_pid(const struct up *u)
{
	char path[PATH_MAX];
	FILE *f;

	snprintf(path, sizeof(path), "%s/up.pid", supervisor_dir(u->s));
	if ((f = fopen(path, "we"))) {
		fprintf(f, "%d\n", (int)getpid());
		fclose(f);
	}
}

static int
bring_up(struct up *u, struct err *e)
{
	int r;

	if (u->has_network && (r = build_network(u, e)) < 0)
		return r;
	if (!u->static_dir) {
		if ((r = start_controller(u, e)) < 0)
			return r;
		if (fabric_register(u->cli, u->url, sizeof(u->url)) != CLI_OK)
			return err_set(
				e, -EIO,
				"the controller did not take the location, the edges and the host");
	}
	return u->has_network ? start_nodes(u, e) : 0;
}

static bool
may_build_networks(const char **ret_why)
{
	if (geteuid() != 0) {
		*ret_why = "they need root (namespaces, packet programs); sudo wayleave up";
		return false;
	}
	return true;
}

int
up_run(struct cli *c)
{
	struct up u = { .cli = c, .agents_fd = -1, .static_dir = cli_value(c, "static") };
	struct err e = { 0 };
	struct supervisor_config cfg = { .instance = c->instance,
					 .run_root = cli_run_root(),
					 .has_signals = true };
	char log[PATH_MAX + 8];
	int r;

	snprintf(u.home, sizeof(u.home), "%s", cli_home(c));
	u.has_network = may_build_networks(&u.why_not);
	if (u.static_dir && !u.has_network)
		return cli_fail(
			CLI_FAILED,
			"--static needs root: without a controller there is nothing else to run");
	cfg.has_mounts = u.has_network;
	snprintf(log, sizeof(log), "%s/log", u.home);
	umask(022);
	if (users_init(&u.users, c->instance, &e) < 0 || cli_run_check(true, &e) < 0 ||
	    make_dir(u.home, 0755, &e) < 0 || make_dir(log, 0755, &e) < 0 ||
	    make_dir(cfg.run_root, 0755, &e) < 0 || users_reach(&u.users, u.home, &e) < 0 ||
	    users_reach(&u.users, cfg.run_root, &e) < 0)
		return cli_fail(CLI_FAILED, "%s", e.text);
	r = supervisor_create(&cfg, &u.s, &e);
	if (r == -EBUSY)
		return cli_fail(
			CLI_FAILED,
			"\"%s\" runs already; `wayleave down` ends it, --instance NAME starts another beside it",
			c->instance);
	if (r < 0)
		return cli_fail(CLI_FAILED, "%s", e.text);
	supervisor_on_exit(u.s, on_exit_news, NULL);
	write_pid(&u);
	r = bring_up(&u, &e);
	if (r == 0) {
		say(&u);
		while (supervisor_step(u.s, -1) == SUPERVISOR_GOES_ON)
			;
		printf("Wayleave \"%s\" stops.\n", c->instance);
		fflush(stdout);
	}
	supervisor_destroy(u.s);
	if (u.agents_fd >= 0)
		close(u.agents_fd);
	return r < 0 ? cli_fail(CLI_FAILED, "%s", e.text) : CLI_OK;
}

/* The process that has the instance; 0 when nobody has. A number alone may be another's by now: it
 * counts only while the instance's lock is held, whose owner removed older numbers first. */
static int
find_owner(const struct cli *c, pid_t *ret_pid, struct err *e)
{
	char path[PATH_MAX + 80];
	AUTO_CLOSE lock = -1;
	FILE *f;
	int pid = 0;

	*ret_pid = 0;
	snprintf(path, sizeof(path), "%s/lock", cli_run_dir(c));
	lock = open(path, O_RDONLY | O_CLOEXEC);
	if (lock < 0)
		return errno == ENOENT ? 0 : err_errno(e, "%s", path);
	if (flock(lock, LOCK_SH | LOCK_NB) == 0)
		return 0;
	snprintf(path, sizeof(path), "%s/up.pid", cli_run_dir(c));
	if (!(f = fopen(path, "re")))
		return 0;
	if (fscanf(f, "%9d", &pid) != 1)
		pid = 0;
	fclose(f);
	*ret_pid = pid;
	return 0;
}

/* By descriptor: between the look and the signal the number cannot become another's. */
static int
open_owner(const struct cli *c, struct err *e)
{
	pid_t pid, again;
	int fd, r = cli_run_check(false, e);

	if (r == -ENOENT)
		return err_set(e, -ESRCH, "nobody");
	if (r < 0 || (r = find_owner(c, &pid, e)) < 0)
		return r;
	fd = pid > 1 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
	if (fd < 0)
		return err_set(e, -ESRCH, "nobody");
	if (find_owner(c, &again, e) < 0 || again != pid) {
		close(fd);
		return err_set(e, -ESRCH, "nobody");
	}
	return fd;
}

int
up_down(struct cli *c)
{
	struct err e = { 0 };
	AUTO_CLOSE owner = open_owner(c, &e);
	struct pollfd end = { .fd = owner, .events = POLLIN };
	int r = owner < 0 ? e.code : 0;

	if (r == 0 && syscall(SYS_pidfd_send_signal, owner, SIGTERM, NULL, 0) < 0)
		r = -errno;
	if (r == -EPERM || r == -EACCES)
		return cli_fail(CLI_FAILED, "\"%s\" is another user's; use sudo%s%s", c->instance,
				*e.text ? ": " : "", e.text);
	if (r == -ESRCH)
		return cli_fail(CLI_NOT_FOUND, "\"%s\" does not run", c->instance);
	if (r < 0)
		return cli_fail(CLI_FAILED, "%s", e.text);
	if (poll(&end, 1, DOWN_MS) != 1)
		return cli_fail(CLI_FAILED, "\"%s\" does not end", c->instance);
	printf("\"%s\" is down\n", c->instance);
	return CLI_OK;
}
