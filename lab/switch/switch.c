/* wayleave-labswitch: an exchange provider's switch for labs.
 *
 *   wayleave-labswitch run --socket SOCK --trunk DEV [--trunk DEV]...
 *   wayleave-labswitch ctl SOCK add DEV TRUNK STAG CTAG [--link PREFIX]
 *   wayleave-labswitch ctl SOCK del DEV | drop DEV | restore DEV
 *   wayleave-labswitch ctl SOCK stats                 JSON
 *   wayleave-labswitch ctl SOCK capture TRUNK COUNT   one line a frame, as it is on the trunk
 *
 * `run` stays in the foreground and owns programs, maps and attachments; nothing is pinned. The
 * control socket takes one line (a command) per connection and answers with text; an error begins
 * with "error: ". One thread; capture holds it for 5 s at most. Devices may appear later than the
 * program: `add` looks them up. drop cuts a line in both directions while its interfaces stay up. */
#include "switch.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/mono.h"
#include "net/addr.h"
#include "supervise/notify.h"
#include "switch_object.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>

enum { WORDS_MAX = 10, LINE_MAX_BYTES = 512, TRUNKS_MAX = 8, CAPTURE_MS = 5000, CLIENT_S = 5 };

struct line {
	char dev[IF_NAMESIZE], trunk[IF_NAMESIZE];
	struct switch_port port;
	struct bpf_link *link;
};

static struct lab_switch {
	struct bpf_object *object;
	struct bpf_program *access, *trunk;
	int by_access, by_tag, tx, counters, captured;
	struct ring_buffer *ring;
	struct line lines[SWITCH_PORTS]; /* by slot; free: dev[0] == 0 */
	struct bpf_link *trunks[TRUNKS_MAX];
	struct buf *capture_out;
	long n_wanted;
} sw;

static int
quiet(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	return level == LIBBPF_WARN ? vfprintf(stderr, fmt, ap) : 0;
}

/* ---- packet programs ---- */

static int
on_frame(void *arg, void *data, size_t n)
{
	const struct switch_frame *f = data;
	char trunk[IF_NAMESIZE] = "?", src[ADDR_TEXT], dst[ADDR_TEXT];
	const uint8_t *b = f->bytes, *ip = b + 22;
	uint16_t type = (uint16_t)(b[20] << 8 | b[21]);

	(void)arg;
	if (n < sizeof(*f) || sw.n_wanted <= 0 || !sw.capture_out)
		return 0;
	sw.n_wanted--;
	if_indextoname(f->trunk, trunk);
	buf_printf(sw.capture_out, "%s %s outer=%02x%02x S=%u inner=%02x%02x C=%u type=%04x len=%u",
		   trunk, f->is_in ? "to-edge" : "from-edge", b[12], b[13],
		   (b[14] << 8 | b[15]) & 0xfff, b[16], b[17], (b[18] << 8 | b[19]) & 0xfff, type,
		   f->len);
	if (type == 0x0800) {
		struct addr s = { NET_V4, { ip[12], ip[13], ip[14], ip[15] } };
		struct addr d = { NET_V4, { ip[16], ip[17], ip[18], ip[19] } };
		const char *what = ip[9] == 1    ? "ICMP"
				   : ip[9] == 6  ? "TCP"
				   : ip[9] == 17 ? "UDP"
						 : "IP";

		buf_printf(sw.capture_out, " %s %s > %s", what, addr_format(&s, src),
			   addr_format(&d, dst));
	}
	buf_printf(sw.capture_out, "\n");
	return 0;
}

static int
load(struct err *e)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = "labswitch");

	libbpf_set_print(quiet);
	sw.object = bpf_object__open_mem(switch_object, sizeof(switch_object), &opts);
	if (!sw.object)
		return err_errno(e, "open the packet programs");
	if (bpf_object__load(sw.object))
		return err_errno(e, "load the packet programs");
	sw.access = bpf_object__find_program_by_name(sw.object, "access_port");
	sw.trunk = bpf_object__find_program_by_name(sw.object, "trunk_port");
	sw.by_access = bpf_object__find_map_fd_by_name(sw.object, "by_access");
	sw.by_tag = bpf_object__find_map_fd_by_name(sw.object, "by_tag");
	sw.tx = bpf_object__find_map_fd_by_name(sw.object, "tx");
	sw.counters = bpf_object__find_map_fd_by_name(sw.object, "counters");
	sw.captured = bpf_object__find_map_fd_by_name(sw.object, "captured");
	sw.ring = ring_buffer__new(bpf_object__find_map_fd_by_name(sw.object, "frames"), on_frame,
				   NULL, NULL);
	return sw.access && sw.trunk && sw.ring
		       ? 0
		       : err_set(e, -ENOENT, "the packet programs are incomplete");
}

static int
attach(struct bpf_program *program, const char *dev, uint32_t *ret_ifindex, struct bpf_link **ret,
       struct err *e)
{
	uint32_t ifindex = if_nametoindex(dev);

	if (!ifindex)
		return err_set(e, -ENODEV, "no device %s here", dev);
	*ret = bpf_program__attach_xdp(program, (int)ifindex);
	if (!*ret)
		return err_errno(e, "attach to %s", dev);
	*ret_ifindex = ifindex;
	if (bpf_map_update_elem(sw.tx, &ifindex, &ifindex, BPF_ANY) < 0)
		return err_errno(e, "enter %s", dev);
	return 0;
}

/* ---- access lines ---- */

static struct line *
find_line(const char *dev)
{
	for (unsigned i = 0; i < SWITCH_PORTS; i++)
		if (!strcmp(sw.lines[i].dev, dev))
			return &sw.lines[i];
	return NULL;
}

static int
publish(struct line *l, struct err *e)
{
	struct switch_tag tag = { l->port.trunk, l->port.s_tag, l->port.c_tag };

	if (bpf_map_update_elem(sw.by_access, &l->port.access, &l->port, BPF_ANY) < 0 ||
	    bpf_map_update_elem(sw.by_tag, &tag, &l->port, BPF_ANY) < 0)
		return err_errno(e, "enter %s", l->dev);
	return 0;
}

static void
remove_line(struct line *l)
{
	struct switch_tag tag = { l->port.trunk, l->port.s_tag, l->port.c_tag };

	bpf_map_delete_elem(sw.by_tag, &tag);
	bpf_map_delete_elem(sw.by_access, &l->port.access);
	bpf_map_delete_elem(sw.tx, &l->port.access);
	bpf_link__destroy(l->link);
	memset(l, 0, sizeof(*l));
}

static void
reset_counters(uint32_t slot)
{
	int n_cpu = libbpf_num_possible_cpus();
	AUTO_FREE struct switch_counter *zero = mem_array((size_t)n_cpu, sizeof(*zero));

	for (uint32_t key = slot * 2; key < slot * 2 + 2; key++)
		bpf_map_update_elem(sw.counters, &key, zero, BPF_ANY);
}

static int
parse_tag(const char *text, uint16_t *ret, struct err *e)
{
	char *end;
	unsigned long v = strtoul(text, &end, 10);

	if (end == text || *end || v < 1 || v > 4094)
		return err_set(e, -EINVAL, "a tag is 1..4094, not %s", text);
	*ret = (uint16_t)v;
	return 0;
}

/* add DEV TRUNK STAG CTAG [--link PREFIX] */
static int
do_add(char **w, unsigned n, struct buf *out, struct err *e)
{
	struct line *l;
	struct switch_port p = { 0 };
	struct switch_tag tag;
	struct switch_port other;
	int r;

	(void)out;
	if ((n != 5 && n != 7) || (n == 7 && strcmp(w[5], "--link") != 0))
		return err_set(e, -EINVAL, "add DEV TRUNK STAG CTAG [--link PREFIX]");
	if (find_line(w[1]))
		return err_set(e, -EEXIST, "%s is in use; del it first", w[1]);
	if (!(l = find_line("")))
		return err_set(e, -ENOSPC, "no more than %d lines", SWITCH_PORTS);
	p.slot = (uint32_t)(l - sw.lines);
	p.net = 1; /* no address is in it */
	if ((r = parse_tag(w[3], &p.s_tag, e)) < 0 || (r = parse_tag(w[4], &p.c_tag, e)) < 0)
		return r;
	if (n == 7) {
		struct prefix link;

		if ((r = prefix_parse(w[6], &link, e)) < 0)
			return r;
		p.mask = link.len ? ~0u << (32 - link.len) : 0;
		p.net = addr_u32(&link.addr);
	}
	if (!(p.trunk = if_nametoindex(w[2])))
		return err_set(e, -ENODEV, "no trunk %s here", w[2]);
	tag = (struct switch_tag){ p.trunk, p.s_tag, p.c_tag };
	if (bpf_map_lookup_elem(sw.by_tag, &tag, &other) == 0)
		return err_set(e, -EEXIST, "S=%u C=%u is %s's on %s", p.s_tag, p.c_tag,
			       sw.lines[other.slot].dev, w[2]);
	r = attach(sw.access, w[1], &p.access, &l->link, e);
	l->port = p;
	snprintf(l->dev, sizeof(l->dev), "%s", w[1]);
	snprintf(l->trunk, sizeof(l->trunk), "%s", w[2]);
	reset_counters(p.slot);
	if (r < 0 || (r = publish(l, e)) < 0)
		remove_line(l);
	return r;
}

static int
do_line(char **w, unsigned n, struct buf *out, struct err *e)
{
	struct line *l = n == 2 ? find_line(w[1]) : NULL;

	(void)out;
	if (n != 2)
		return err_set(e, -EINVAL, "%s DEV", w[0]);
	if (!l || !*w[1])
		return err_set(e, -ENOENT, "no line %s", w[1]);
	if (!strcmp(w[0], "del")) {
		remove_line(l);
		return 0;
	}
	l->port.is_cut = !strcmp(w[0], "drop");
	return publish(l, e);
}

/* ---- answers ---- */

static struct switch_counter
sum(uint32_t key)
{
	int n_cpu = libbpf_num_possible_cpus();
	AUTO_FREE struct switch_counter *all = mem_array((size_t)n_cpu, sizeof(*all));
	struct switch_counter c = { 0 };

	if (bpf_map_lookup_elem(sw.counters, &key, all) < 0)
		return c;
	for (int i = 0; i < n_cpu; i++) {
		c.packets += all[i].packets;
		c.ip_bytes += all[i].ip_bytes;
		c.control_packets += all[i].control_packets;
		c.control_bytes += all[i].control_bytes;
		c.dropped += all[i].dropped;
	}
	return c;
}

static int
do_stats(char **w, unsigned n, struct buf *out, struct err *e)
{
	static const char *const ways[] = { "toTrunk", "fromTrunk" };
	const char *comma = "";

	(void)w, (void)n, (void)e;
	buf_printf(out, "{");
	for (unsigned i = 0; i < SWITCH_PORTS; i++) {
		const struct line *l = &sw.lines[i];

		if (!l->dev[0])
			continue;
		buf_printf(
			out,
			"%s\"%s\": {\"trunk\": \"%s\", \"sTag\": %u, \"cTag\": %u, \"isCut\": %s",
			comma, l->dev, l->trunk, l->port.s_tag, l->port.c_tag,
			l->port.is_cut ? "true" : "false");
		for (unsigned way = 0; way < 2; way++) {
			struct switch_counter c = sum(i * 2 + way);

			buf_printf(
				out,
				", \"%s\": {\"packets\": %llu, \"ipBytes\": %llu, \"controlPackets\": %llu, "
				"\"controlBytes\": %llu, \"dropped\": %llu}",
				ways[way], (unsigned long long)c.packets,
				(unsigned long long)c.ip_bytes,
				(unsigned long long)c.control_packets,
				(unsigned long long)c.control_bytes, (unsigned long long)c.dropped);
		}
		buf_printf(out, "}");
		comma = ", ";
	}
	buf_printf(out, "}\n");
	return 0;
}

static int
do_capture(char **w, unsigned n, struct buf *out, struct err *e)
{
	uint32_t zero = 0, off = 0, trunk = n == 3 ? if_nametoindex(w[1]) : 0;
	struct mono end = mono_add_ms(mono_now(), CAPTURE_MS);

	if (n != 3)
		return err_set(e, -EINVAL, "capture TRUNK COUNT");
	if (!trunk)
		return err_set(e, -ENODEV, "no trunk %s here", w[1]);
	sw.n_wanted = strtol(w[2], NULL, 10);
	sw.capture_out = out;
	bpf_map_update_elem(sw.captured, &zero, &trunk, BPF_ANY);
	while (sw.n_wanted > 0 && !mono_is_due(end, mono_now()))
		ring_buffer__poll(sw.ring, 100);
	bpf_map_update_elem(sw.captured, &zero, &off, BPF_ANY);
	ring_buffer__consume(sw.ring);
	sw.capture_out = NULL;
	return 0;
}

static const struct {
	const char *name;
	int (*run)(char **w, unsigned n, struct buf *out, struct err *e);
} commands[] = {
	{ "add", do_add },      { "del", do_line },    { "drop", do_line },
	{ "restore", do_line }, { "stats", do_stats }, { "capture", do_capture },
};

static void
answer(int client)
{
	char line[LINE_MAX_BYTES], *words[WORDS_MAX], *save = NULL;
	struct timeval limit = { CLIENT_S, 0 };
	AUTO_BUF out = { 0 };
	struct err e = { 0 };
	unsigned n = 0;
	ssize_t got;
	int r = err_set(&e, -EINVAL, "no such command");

	setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	got = recv(client, line, sizeof(line) - 1, 0);
	if (got <= 0)
		return;
	line[got] = 0;
	for (char *w = strtok_r(line, " \n", &save); w && n < WORDS_MAX;
	     w = strtok_r(NULL, " \n", &save))
		words[n++] = w;
	for (size_t i = 0; n && i < COUNT(commands); i++)
		if (!strcmp(commands[i].name, words[0]))
			r = commands[i].run(words, n, &out, &e);
	if (r < 0) {
		buf_reset(&out);
		buf_printf(&out, "error: %s\n", e.text);
	}
	for (size_t at = 0; at < out.n;) {
		ssize_t sent = send(client, out.p + at, out.n - at, MSG_NOSIGNAL);

		if (sent <= 0)
			break;
		at += (size_t)sent;
	}
}

/* ---- the program ---- */

static int
socket_at(const char *path, bool is_server, struct err *e)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int r = fd;

	if (strlen(path) >= sizeof(a.sun_path))
		r = err_set(e, -ENAMETOOLONG, "%s", path);
	memcpy(a.sun_path, path, MIN(strlen(path), sizeof(a.sun_path) - 1));
	if (r >= 0 && is_server) {
		unlink(path);
		if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 16) < 0)
			r = err_errno(e, "%s", path);
	} else if (r >= 0 && connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
		r = err_errno(e, "%s", path);
	}
	if (r < 0 && fd >= 0)
		close(fd);
	return r < 0 ? r : fd;
}

static int
serve(int listener)
{
	sigset_t ends;

	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	sigprocmask(SIG_BLOCK, &ends, NULL);

	AUTO_CLOSE signals = signalfd(-1, &ends, SFD_CLOEXEC);

	notify("READY=1");
	for (;;) {
		struct pollfd p[2] = { { listener, POLLIN, 0 }, { signals, POLLIN, 0 } };

		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return 1;
		if (p[1].revents)
			return 0;
		if (p[0].revents) {
			AUTO_CLOSE client = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

			if (client >= 0)
				answer(client);
		}
	}
}

static int
fail(const struct err *e)
{
	fprintf(stderr, "wayleave-labswitch: %s\n", e->text);
	return 1;
}

static int
usage(void)
{
	fprintf(stderr,
		"usage: wayleave-labswitch run --socket SOCK --trunk DEV [--trunk DEV]...\n"
		"       wayleave-labswitch ctl SOCK add DEV TRUNK STAG CTAG [--link PREFIX]\n"
		"       wayleave-labswitch ctl SOCK del|drop|restore DEV\n"
		"       wayleave-labswitch ctl SOCK stats | capture TRUNK COUNT\n");
	return 2;
}

static int
run(int argc, char **argv)
{
	const char *path = NULL;
	struct err e = { 0 };
	unsigned n_trunks = 0;
	uint32_t ifindex;
	int listener, status;

	for (int i = 2; i + 1 < argc; i += 2)
		if (!strcmp(argv[i], "--socket"))
			path = argv[i + 1];
	if (!path || argc % 2)
		return usage();
	if (load(&e) < 0)
		return fail(&e);
	for (int i = 2; i + 1 < argc; i += 2)
		if (!strcmp(argv[i], "--trunk") && n_trunks < TRUNKS_MAX &&
		    attach(sw.trunk, argv[i + 1], &ifindex, &sw.trunks[n_trunks++], &e) < 0)
			return fail(&e);
	if ((listener = socket_at(path, true, &e)) < 0)
		return fail(&e);
	status = serve(listener);
	unlink(path);
	return status;
}

static int
ctl(int argc, char **argv)
{
	AUTO_BUF line = { 0 };
	struct err e = { 0 };
	char block[65536];
	bool is_error = false, is_first = true;
	ssize_t n;

	if (argc < 4)
		return usage();
	for (int i = 3; i < argc; i++)
		buf_printf(&line, "%s%s", i > 3 ? " " : "", argv[i]);
	buf_printf(&line, "\n");

	AUTO_CLOSE fd = socket_at(argv[2], false, &e);

	if (fd < 0)
		return fail(&e);
	if (send(fd, line.p, line.n, MSG_NOSIGNAL) < 0)
		return 1;
	while ((n = recv(fd, block, sizeof(block), 0)) > 0) {
		if (is_first)
			is_error = n > 7 && !memcmp(block, "error: ", 7);
		is_first = false;
		fwrite(block, 1, (size_t)n, is_error ? stderr : stdout);
	}
	return is_error;
}

int
main(int argc, char **argv)
{
	if (argc >= 2 && !strcmp(argv[1], "run"))
		return run(argc, argv);
	if (argc >= 2 && !strcmp(argv[1], "ctl"))
		return ctl(argc, argv);
	return usage();
}
