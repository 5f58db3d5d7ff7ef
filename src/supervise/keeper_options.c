#include "supervise/keeper_options.h"

#include "base/mem.h"
#include "supervise/netlink.h"
#include "supervise/privilege.h"
#include "supervise/request.h"
#include "supervise/sockets.h"

#include <getopt.h>
#include <net/if.h>
#include <sys/statfs.h>

enum { BPFFS_MAGIC = 0xcafe4a11, FILES_ENOUGH = 4096, FILES_PER_DOMAIN = 5 };

/* --check */

static void
say(const char *state, const char *what, const char *detail)
{
	printf("%-5s %s%s%s\n", state, what, *detail ? ": " : "", detail);
}

static bool
check_ports(const struct keeper_options *o)
{
	bool is_good = true;

	for (size_t i = 0; i < o->n_ports; i++) {
		bool is_there = if_nametoindex(o->ports[i].ifname) != 0;

		say(is_there ? "ok" : "FAIL", "port", o->ports[i].ifname);
		is_good &= is_there;
	}
	return is_good;
}

static bool
check_bpffs(const struct keeper_options *o)
{
	struct statfs fs;
	bool is_good = statfs("/sys/fs/bpf", &fs) == 0 && (uint32_t)fs.f_type == BPFFS_MAGIC;

	say(is_good ? "ok" : "FAIL", "bpf file system at /sys/fs/bpf", o->pins);
	return is_good;
}

static bool
check_namespaces(void)
{
	struct err e = { 0 };
	int fd = -1;
	bool is_good = netns_create(&fd, &e) == 0;

	say(is_good ? "ok" : "FAIL", "network namespaces", e.text);
	if (is_good)
		close(fd);
	return is_good;
}

static bool
check_md5(void)
{
	static const struct keeper_key key = { 1, "x" };
	struct addr any = addr_v4(0x7f000001);
	struct err e = { 0 };
	AUTO_CLOSE fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool is_good = sockets_key(fd, &any, &key, &e) == 0;

	say(is_good ? "ok" : "FAIL", "TCP-MD5", e.text);
	return is_good;
}

int
keeper_options_check(const struct keeper_options *o)
{
	unsigned files = privilege_raise_files(KEEPER_FILES);
	char text[64];
	bool is_good;

	snprintf(text, sizeof(text), "%u, enough for about %u domains", files,
		 files / FILES_PER_DOMAIN);
	say(files >= FILES_ENOUGH ? "ok" : "warn", "open files", text);
	is_good = check_bpffs(o);
	is_good &= check_namespaces();
	is_good &= check_md5();
	is_good &= check_ports(o);
	return is_good ? 0 : 1;
}

/* Options */

static const char usage[] =
	"usage: wayleave-keeper --run DIR --node NAME [options]\n"
	"  --run DIR        runtime directory of the node; the socket is DIR/keeper.sock\n"
	"  --node NAME      name of the node; seeds the MAC addresses of its domains\n"
	"  --role edge|host default edge\n"
	"  --pins DIR       where maps and links are pinned (default: /sys/fs/bpf/wayleave/ and\n"
	"                   the last two components of the runtime directory)\n"
	"  --port DEV:ROLE  a port that children may ask for: trunk or fabric; repeatable\n"
	"  --nic PATTERN    interfaces that may become NICs' ports (default *)\n"
	"  --daemon USER    only this user is believed to be edged or hostd\n"
	"  --bfdd USER      only this user is believed to be bfdd; both: a name, UID or UID:GID\n"
	"                   (default: the keeper's own user). DIR must let them in\n"
	"  --check          say whether this machine can do it, and end\n"
	"SIGHUP: exec the program anew in place; nothing is interrupted.\n";

static int
parse_port(struct keeper_options *o, const char *arg, struct err *e)
{
	const char *colon = strchr(arg, ':');
	struct keeper_port *p = &o->ports[o->n_ports];
	size_t n = colon ? (size_t)(colon - arg) : 0;

	if (o->n_ports == KEEPER_PORTS)
		return err_set(e, -EINVAL, "more than %d ports", KEEPER_PORTS);
	if (n == 0 || n >= sizeof(p->ifname))
		return err_set(e, -EINVAL, "port %s: not DEV:ROLE", arg);
	memcpy(p->ifname, arg, n);
	p->role = !strcmp(colon, ":trunk")    ? KEEPER_PORT_TRUNK
		  : !strcmp(colon, ":fabric") ? KEEPER_PORT_FABRIC
					      : 0;
	if (!p->role)
		return err_set(e, -EINVAL, "port %s: ROLE is trunk or fabric", arg);
	o->n_ports++;
	return request_check_ifname(p->ifname, e);
}

static int
parse_user(const char *arg, uid_t *ret, struct err *e)
{
	struct privilege_user u;
	int r = privilege_user_parse(arg, &u, e);

	if (r == 0)
		*ret = u.uid;
	return r;
}

/* The last two components: <instance>/<node>. */
static char *
default_pins(const char *run)
{
	AUTO_FREE char *path = mem_strdup(run);
	char *node, *instance;

	while (*path && path[strlen(path) - 1] == '/')
		path[strlen(path) - 1] = '\0';
	node = strrchr(path, '/');
	if (!node)
		return mem_printf("/sys/fs/bpf/wayleave/%s", path);
	*node++ = '\0';
	instance = strrchr(path, '/');
	return mem_printf("/sys/fs/bpf/wayleave/%s/%s", instance ? instance + 1 : path, node);
}

int
keeper_options_parse(int argc, char **argv, struct keeper_options *o, struct err *e)
{
	static const struct option longs[] = {
		{ "run", 1, NULL, 'r' },   { "node", 1, NULL, 'n' },   { "role", 1, NULL, 'R' },
		{ "pins", 1, NULL, 'P' },  { "port", 1, NULL, 'p' },   { "nic", 1, NULL, 'N' },
		{ "check", 0, NULL, 'c' }, { "daemon", 1, NULL, 'd' }, { "bfdd", 1, NULL, 'b' },
		{ NULL, 0, NULL, 0 },
	};
	int c, r = 0;

	*o = (struct keeper_options){ .nic_pattern = "*",
				      .role = DATAPATH_EDGE,
				      .daemon_uid = (uid_t)-1,
				      .bfdd_uid = (uid_t)-1 };
	while (r == 0 && (c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c == 'r')
			o->run = optarg;
		else if (c == 'n')
			o->node = optarg;
		else if (c == 'P')
			o->pins = mem_strdup(optarg);
		else if (c == 'N')
			o->nic_pattern = optarg;
		else if (c == 'c')
			o->is_check = true;
		else if (c == 'd')
			r = parse_user(optarg, &o->daemon_uid, e);
		else if (c == 'b')
			r = parse_user(optarg, &o->bfdd_uid, e);
		else if (c == 'p')
			r = parse_port(o, optarg, e);
		else if (c == 'R' && (!strcmp(optarg, "edge") || !strcmp(optarg, "host")))
			o->role = *optarg == 'e' ? DATAPATH_EDGE : DATAPATH_HOST;
		else
			r = err_set(e, -EINVAL, "%s", usage);
	}
	if (r == 0 && (!o->run || !o->node || optind != argc))
		r = err_set(e, -EINVAL, "%s", usage);
	if (r == 0 && !o->pins)
		o->pins = default_pins(o->run);
	return r;
}

void
keeper_options_fini(struct keeper_options *o)
{
	free(o->pins);
	o->pins = NULL;
}

const struct keeper_port *
keeper_options_port(const struct keeper_options *o, const char *ifname)
{
	for (size_t i = 0; i < o->n_ports; i++)
		if (!strcmp(o->ports[i].ifname, ifname))
			return &o->ports[i];
	return NULL;
}
