/* wayleave-labswitch: the switch of an exchange provider, for labs. Customers' access ports on one
 * side, trunks to the edges on the other; it pushes and pops the tags of each circuit's links, counts
 * per link, and cuts a link without a sign on any interface.
 *
 *   wayleave-labswitch run --socket SOCK --trunk DEV...
 *   wayleave-labswitch ctl SOCK add DEV TRUNK STAG CTAG [--link SUBNET]
 *   wayleave-labswitch ctl SOCK del|drop|restore DEV
 *   wayleave-labswitch ctl SOCK stats
 *   wayleave-labswitch ctl SOCK capture TRUNK COUNT
 *
 * The daemon works in the network namespace it was started in. Its programs are attached by
 * descriptors it alone holds, so they go with it, however it ends. One thread, one poll loop; a
 * client sends one line and reads the answer to its end: "ok" or "error: ..." first. */
#include "base/base.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/mono.h"
#include "net/addr.h"
#include "shared.h"
#include "switch_object.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>

#define CAPTURE_MS 10000

struct port {
	char name[IF_NAMESIZE]; /* "" free */
	struct switch_port p;
	int link; /* the attachment */
};

struct capture {
	int fd; /* the client; -1 none */
	unsigned left;
	struct mono deadline;
};

struct labswitch {
	struct bpf_object *object;
	struct ring_buffer *ring;
	struct port port[SWITCH_PORTS];
	struct capture capture;
	int listener, signals, program;
	int ifs, ports, tags, counts, tx, capture_map;
};

static void
say(int fd, const char *text, size_t n)
{
	while (n) {
		ssize_t k = send(fd, text, n, MSG_NOSIGNAL);

		if (k <= 0)
			return;
		text += k;
		n -= (size_t)k;
	}
}

/* --- Ports ------------------------------------------------------------------------------------- */

static uint32_t
port_find(const struct labswitch *w, const char *name)
{
	for (uint32_t i = 1; *name && i < SWITCH_PORTS; i++)
		if (!strcmp(w->port[i].name, name))
			return i;
	return 0;
}

static uint32_t
port_find_free(const struct labswitch *w)
{
	for (uint32_t i = 1; i < SWITCH_PORTS; i++)
		if (!w->port[i].name[0])
			return i;
	return 0;
}

static void
port_clear(struct labswitch *w, uint32_t i)
{
	struct port *p = &w->port[i];
	struct switch_tags key = { p->p.trunk, p->p.s, p->p.c };
	static const struct switch_port none;

	if (p->p.trunk)
		bpf_map_delete_elem(w->tags, &key);
	if (p->link >= 0)
		close(p->link);
	bpf_map_delete_elem(w->ifs, &p->p.ifindex);
	bpf_map_delete_elem(w->tx, &i);
	bpf_map_update_elem(w->ports, &i, &none, 0);
	*p = (struct port){ .link = -1 };
}

static int
port_program(struct labswitch *w, uint32_t i, struct err *e)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = XDP_FLAGS_DRV_MODE);
	struct port *p = &w->port[i];
	struct switch_tags key = { p->p.trunk, p->p.s, p->p.c };

	if (bpf_map_update_elem(w->ports, &i, &p->p, 0) < 0 ||
	    bpf_map_update_elem(w->ifs, &p->p.ifindex, &i, 0) < 0 ||
	    bpf_map_update_elem(w->tx, &i, &p->p.ifindex, 0) < 0 ||
	    (p->p.trunk && bpf_map_update_elem(w->tags, &key, &i, BPF_NOEXIST) < 0))
		return err_errno(e, "port %s", p->name);
	p->link = bpf_link_create(w->program, (int)p->p.ifindex, BPF_XDP, &opts);
	return p->link < 0 ? err_errno(e, "attach to %s", p->name) : 0;
}

static void
counts_clear(struct labswitch *w, uint32_t i)
{
	int n_cpu = libbpf_num_possible_cpus();
	AUTO_FREE struct switch_counts *zero = calloc((size_t)n_cpu, sizeof(*zero));

	if (zero)
		bpf_map_update_elem(w->counts, &i, zero, 0);
}

static int
port_add(struct labswitch *w, const char *name, const struct switch_port *p, struct err *e)
{
	uint32_t i = port_find(w, name);
	int r;

	if (i && w->port[i].p.ifindex == if_nametoindex(name))
		return err_set(e, -EEXIST, "%s is a port already", name);
	if (i)
		port_clear(w, i); /* that device is gone; this one only has its name */
	i = port_find_free(w);
	if (!i)
		return err_set(e, -ENOSPC, "more than %d ports", SWITCH_PORTS - 1);
	w->port[i] = (struct port){ .p = *p, .link = -1 };
	snprintf(w->port[i].name, sizeof(w->port[i].name), "%s", name);
	w->port[i].p.ifindex = if_nametoindex(name);
	if (!w->port[i].p.ifindex) {
		w->port[i].name[0] = 0;
		return err_errno(e, "interface %s", name);
	}
	for (uint32_t k = 1; k < SWITCH_PORTS; k++)
		if (k != i && w->port[k].name[0] && w->port[k].p.trunk &&
		    p->trunk == w->port[k].p.trunk && p->s == w->port[k].p.s &&
		    p->c == w->port[k].p.c) {
			w->port[i].name[0] = 0;
			return err_set(e, -EEXIST, "tags %u.%u lead to %s", p->s, p->c,
				       w->port[k].name);
		}
	counts_clear(w, i);
	r = port_program(w, i, e);
	if (r < 0)
		port_clear(w, i);
	return r;
}

/* --- Commands ---------------------------------------------------------------------------------- */

struct words {
	char *v[10];
	int n;
};

static struct words
words_split(char *line)
{
	struct words w = { .n = 0 };
	char *save, *at = strtok_r(line, " \t\r\n", &save);

	for (; at && w.n < (int)COUNT(w.v); at = strtok_r(NULL, " \t\r\n", &save))
		w.v[w.n++] = at;
	return w;
}

static int
number_parse(const char *text, long min, long max, uint16_t *ret, struct err *e)
{
	char *end;
	long v = strtol(text, &end, 10);

	if (*end || v < min || v > max)
		return err_set(e, -EINVAL, "%s is not a number between %ld and %ld", text, min,
			       max);
	*ret = (uint16_t)v;
	return 0;
}

/* The edge's own address: the second usable one of the link subnet. */
static int
link_parse(const char *text, uint32_t *ret_be, struct err *e)
{
	struct prefix subnet;
	struct addr edge;
	int r = prefix_parse(text, &subnet, e);

	if (r < 0)
		return r;
	if (subnet.addr.family != NET_V4 || subnet.len > 30)
		return err_set(e, -EINVAL, "%s is not an IPv4 link subnet", text);
	edge = prefix_nth(&subnet, 2);
	memcpy(ret_be, edge.b, 4);
	return 0;
}

static int
do_add(struct labswitch *w, const struct words *a, struct buf *out, struct err *e)
{
	struct switch_port p = { 0 };
	int r;

	if (a->n != 5 && !(a->n == 7 && !strcmp(a->v[5], "--link")))
		return err_set(e, -EINVAL, "add DEV TRUNK STAG CTAG [--link SUBNET]");
	p.trunk = port_find(w, a->v[2]);
	if (!p.trunk || w->port[p.trunk].p.trunk)
		return err_set(e, -ENOENT, "no trunk %s", a->v[2]);
	r = number_parse(a->v[3], 1, 4094, &p.s, e);
	if (r >= 0)
		r = number_parse(a->v[4], 1, 4094, &p.c, e);
	if (r >= 0 && a->n == 7)
		r = link_parse(a->v[6], &p.edge_be, e);
	return r < 0 ? r : port_add(w, a->v[1], &p, e);
}

static int
access_find(const struct labswitch *w, const struct words *a, uint32_t *ret, struct err *e)
{
	if (a->n != 2)
		return err_set(e, -EINVAL, "%s DEV", a->v[0]);
	*ret = port_find(w, a->v[1]);
	if (!*ret || !w->port[*ret].p.trunk)
		return err_set(e, -ENOENT, "no access port %s", a->v[1]);
	return 0;
}

static int
do_del(struct labswitch *w, const struct words *a, struct buf *out, struct err *e)
{
	uint32_t i;
	int r = access_find(w, a, &i, e);

	if (r >= 0)
		port_clear(w, i);
	return r;
}

static int
cut_set(struct labswitch *w, const struct words *a, bool is_cut, struct err *e)
{
	uint32_t i;
	int r = access_find(w, a, &i, e);

	if (r < 0)
		return r;
	w->port[i].p.is_cut = is_cut;
	if (bpf_map_update_elem(w->ports, &i, &w->port[i].p, 0) < 0)
		return err_errno(e, "port %s", a->v[1]);
	return 0;
}

static int
do_drop(struct labswitch *w, const struct words *a, struct buf *out, struct err *e)
{
	return cut_set(w, a, true, e);
}

static int
do_restore(struct labswitch *w, const struct words *a, struct buf *out, struct err *e)
{
	return cut_set(w, a, false, e);
}

static int
counts_sum(const struct labswitch *w, uint32_t slot, struct switch_counts *ret, struct err *e)
{
	int n_cpu = libbpf_num_possible_cpus();
	AUTO_FREE struct switch_counts *per_cpu = calloc((size_t)n_cpu, sizeof(*per_cpu));

	*ret = (struct switch_counts){ 0 };
	if (!per_cpu || bpf_map_lookup_elem(w->counts, &slot, per_cpu) < 0)
		return err_errno(e, "counters of %s", w->port[slot].name);
	for (int cpu = 0; cpu < n_cpu; cpu++)
		for (int d = 0; d < SWITCH_DIRECTIONS; d++)
			for (int k = 0; k < SWITCH_CLASSES; k++) {
				ret->n[d][k].packets += per_cpu[cpu].n[d][k].packets;
				ret->n[d][k].bytes += per_cpu[cpu].n[d][k].bytes;
				ret->n[d][k].ip_bytes += per_cpu[cpu].n[d][k].ip_bytes;
			}
	return 0;
}

static void
counts_print(struct buf *out, const struct switch_counts *c, int class)
{
	static const char *const names[] = { "toTrunk", "fromTrunk" };

	for (int d = 0; d < SWITCH_DIRECTIONS; d++) {
		const struct switch_count *n = &c->n[d][class];

		buf_printf(out, "%s\"%s\":{\"packets\":%llu,\"bytes\":%llu,\"ipBytes\":%llu}",
			   d ? "," : "", names[d], (unsigned long long)n->packets,
			   (unsigned long long)n->bytes, (unsigned long long)n->ip_bytes);
	}
}

/* Data at the top of each port; what BGP, BFD, ARP and pings of the edge take stands apart. */
static int
do_stats(struct labswitch *w, const struct words *a, struct buf *out, struct err *e)
{
	const char *comma = "";

	buf_printf(out, "{");
	for (uint32_t i = 1; i < SWITCH_PORTS; i++) {
		const struct port *p = &w->port[i];
		struct switch_counts c;
		int r;

		if (!p->name[0] || !p->p.trunk)
			continue;
		r = counts_sum(w, i, &c, e);
		if (r < 0)
			return r;
		buf_printf(out, "%s\"%s\":{\"trunk\":\"%s\",\"stag\":%u,\"ctag\":%u,\"cut\":%s,",
			   comma, p->name, w->port[p->p.trunk].name, p->p.s, p->p.c,
			   p->p.is_cut ? "true" : "false");
		counts_print(out, &c, SWITCH_DATA);
		buf_printf(out, ",\"control\":{");
		counts_print(out, &c, SWITCH_CONTROL);
		buf_printf(out, "}}");
		comma = ",";
	}
	buf_printf(out, "}\n");
	return 0;
}

/* --- Capture ----------------------------------------------------------------------------------- */

static void
capture_set(struct labswitch *w, uint32_t trunk)
{
	uint32_t zero = 0;

	bpf_map_update_elem(w->capture_map, &zero, &trunk, 0);
}

static void
capture_end(struct labswitch *w)
{
	capture_set(w, 0);
	if (w->capture.fd >= 0)
		close(w->capture.fd);
	w->capture.fd = -1;
}

static void
frame_print(struct buf *out, const struct switch_frame *f)
{
	static const struct {
		uint8_t number;
		const char *name;
	} protocols[] = { { 1, "ICMP" }, { 6, "TCP" }, { 17, "UDP" } };
	const uint8_t *b = f->bytes, *ip = b + 22;
	uint16_t type = (uint16_t)(b[20] << 8 | b[21]);
	char src[INET_ADDRSTRLEN], dst[INET_ADDRSTRLEN];

	buf_printf(out, "%s ", f->direction == SWITCH_TO_TRUNK ? "out" : "in");
	if (b[12] != 0x88 || b[13] != 0xa8 || b[16] != 0x81 || b[17] != 0x00) {
		buf_printf(out, "type=%02x%02x len %u\n", b[12], b[13], f->length);
		return;
	}
	buf_printf(out, "outer=88a8 S=%u inner=8100 C=%u eth=%04x", (b[14] << 8 | b[15]) & 0xfff,
		   (b[18] << 8 | b[19]) & 0xfff, type);
	if (type == 0x0800) {
		buf_printf(out, " IP %s > %s", inet_ntop(AF_INET, ip + 12, src, sizeof(src)),
			   inet_ntop(AF_INET, ip + 16, dst, sizeof(dst)));
		for (size_t i = 0; i < COUNT(protocols); i++)
			if (protocols[i].number == ip[9])
				buf_printf(out, " %s", protocols[i].name);
		if (ip[9] != 1 && ip[9] != 6 && ip[9] != 17)
			buf_printf(out, " proto %u", ip[9]);
	} else if (type == 0x0806) {
		buf_printf(out, " ARP");
	}
	buf_printf(out, " len %u\n", f->length);
}

static int
capture_input(void *ctx, void *data, size_t n)
{
	struct labswitch *w = ctx;
	AUTO_BUF line = { 0 };

	if (w->capture.fd < 0 || n < sizeof(struct switch_frame))
		return 0;
	frame_print(&line, data);
	say(w->capture.fd, (const char *)line.p, line.n);
	if (!--w->capture.left)
		capture_end(w);
	return 0;
}

/* Answers as frames come, until COUNT of them or 10 s. The client stays ours. */
static int
do_capture(struct labswitch *w, const struct words *a, int fd, struct err *e)
{
	uint32_t trunk = a->n == 3 ? port_find(w, a->v[1]) : 0;
	uint16_t n;
	int r;

	if (!trunk || w->port[trunk].p.trunk)
		return err_set(e, -EINVAL, "capture TRUNK COUNT");
	r = number_parse(a->v[2], 1, 10000, &n, e);
	if (r < 0)
		return r;
	if (w->capture.fd >= 0)
		return err_set(e, -EBUSY, "a capture is running");
	while (ring_buffer__consume(w->ring) > 0)
		;
	w->capture = (struct capture){ fd, n, mono_add_ms(mono_now(), CAPTURE_MS) };
	say(fd, "ok\n", 3);
	capture_set(w, trunk);
	return 0;
}

static void
client_serve(struct labswitch *w, int fd)
{
	static const struct {
		const char *name;
		int (*run)(struct labswitch *w, const struct words *a, struct buf *out,
			   struct err *e);
	} commands[] = { { "add", do_add },
			 { "del", do_del },
			 { "drop", do_drop },
			 { "restore", do_restore },
			 { "stats", do_stats } };
	char line[512];
	ssize_t n = recv(fd, line, sizeof(line) - 1, 0);
	struct err e = { 0 };
	AUTO_BUF out = { 0 };
	struct words a;
	int r = -ENOSYS;

	line[n > 0 ? n : 0] = 0;
	a = words_split(line);
	if (a.n && !strcmp(a.v[0], "capture")) {
		r = do_capture(w, &a, fd, &e);
		if (r >= 0)
			return;
	}
	buf_printf(&out, "ok\n");
	for (size_t i = 0; a.n && i < COUNT(commands); i++)
		if (!strcmp(a.v[0], commands[i].name))
			r = commands[i].run(w, &a, &out, &e);
	if (r == -ENOSYS)
		err_set(&e, r, "commands: add, del, drop, restore, stats, capture");
	if (r < 0) {
		buf_reset(&out);
		buf_printf(&out, "error: %s\n", e.text);
	}
	say(fd, (const char *)out.p, out.n);
	close(fd);
}

/* --- The daemon -------------------------------------------------------------------------------- */

static int PRINTF(2, 0) log_nothing(enum libbpf_print_level level, const char *fmt, va_list args)
{
	return 0;
}

static int
socket_listen(const char *path, struct err *e)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return err_errno(e, "socket");
	if (snprintf(a.sun_path, sizeof(a.sun_path), "%s", path) >= (int)sizeof(a.sun_path)) {
		close(fd);
		return err_set(e, -ENAMETOOLONG, "%s", path);
	}
	unlink(path);
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 16) < 0) {
		int r = err_errno(e, "listen on %s", path);

		close(fd);
		return r;
	}
	return fd;
}

static int
map_fd(const struct labswitch *w, const char *name)
{
	return bpf_object__find_map_fd_by_name(w->object, name);
}

static int
switch_start(struct labswitch *w, const char *socket_path, char **trunks, int n_trunks,
	     struct err *e)
{
	sigset_t stop;
	int r;

	for (int i = 0; i < SWITCH_PORTS; i++)
		w->port[i].link = -1;
	w->capture.fd = -1;
	libbpf_set_print(log_nothing);
	w->object = bpf_object__open_mem(switch_object, sizeof(switch_object), NULL);
	if (!w->object || bpf_object__load(w->object) < 0)
		return err_errno(e, "load the program");
	w->program = bpf_program__fd(bpf_object__find_program_by_name(w->object, "labswitch"));
	w->ifs = map_fd(w, "ifs");
	w->ports = map_fd(w, "ports");
	w->tags = map_fd(w, "tags");
	w->counts = map_fd(w, "counts");
	w->tx = map_fd(w, "tx");
	w->capture_map = map_fd(w, "capture");
	w->ring = ring_buffer__new(map_fd(w, "frames"), capture_input, w, NULL);
	if (!w->ring)
		return err_errno(e, "ring buffer");
	for (int i = 0; i < n_trunks; i++) {
		r = port_add(w, trunks[i], &(struct switch_port){ 0 }, e);
		if (r < 0)
			return r;
	}
	sigemptyset(&stop);
	sigaddset(&stop, SIGTERM);
	sigaddset(&stop, SIGINT);
	sigprocmask(SIG_BLOCK, &stop, NULL);
	w->signals = signalfd(-1, &stop, SFD_CLOEXEC);
	w->listener = socket_listen(socket_path, e);
	return w->signals < 0 ? err_errno(e, "signalfd") : MIN(w->listener, 0);
}

/* As systemd's sd_notify(READY=1). */
static void
notify_ready(void)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	size_t n = path ? strlen(path) : 0;
	AUTO_CLOSE fd = -1;

	if (!n || n >= sizeof(a.sun_path))
		return;
	memcpy(a.sun_path, path, n);
	if (a.sun_path[0] == '@')
		a.sun_path[0] = 0;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd >= 0)
		sendto(fd, "READY=1", 7, MSG_NOSIGNAL, (struct sockaddr *)&a,
		       (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n));
}

static void
switch_loop(struct labswitch *w)
{
	struct pollfd p[] = {
		{ .fd = w->signals, .events = POLLIN },
		{ .fd = w->listener, .events = POLLIN },
		{ .fd = ring_buffer__epoll_fd(w->ring), .events = POLLIN },
	};

	for (;;) {
		if (poll(p, COUNT(p), w->capture.fd >= 0 ? 200 : -1) < 0 && errno != EINTR)
			return;
		if (p[0].revents)
			return;
		if (p[2].revents)
			ring_buffer__consume(w->ring);
		if (w->capture.fd >= 0 && mono_is_due(w->capture.deadline, mono_now()))
			capture_end(w);
		if (p[1].revents) {
			struct timeval patience = { .tv_sec = 1 };
			int fd = accept4(w->listener, NULL, NULL, SOCK_CLOEXEC);

			if (fd < 0)
				continue;
			setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
			setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
			client_serve(w, fd);
		}
	}
}

static int
usage(void)
{
	fputs("usage: wayleave-labswitch run --socket SOCK --trunk DEV...\n"
	      "       wayleave-labswitch ctl SOCK add DEV TRUNK STAG CTAG [--link SUBNET]\n"
	      "       wayleave-labswitch ctl SOCK del|drop|restore DEV\n"
	      "       wayleave-labswitch ctl SOCK stats\n"
	      "       wayleave-labswitch ctl SOCK capture TRUNK COUNT\n",
	      stderr);
	return 2;
}

static int
main_run(int argc, char **argv)
{
	static struct labswitch w;
	const char *path = NULL;
	char *trunks[16];
	int n_trunks = 0;
	struct err e = { 0 };

	for (int i = 2; i < argc; i += 2) {
		if (i + 1 < argc && !strcmp(argv[i], "--socket"))
			path = argv[i + 1];
		else if (i + 1 < argc && !strcmp(argv[i], "--trunk") &&
			 n_trunks < (int)COUNT(trunks))
			trunks[n_trunks++] = argv[i + 1];
		else
			return usage();
	}
	if (!path || !n_trunks)
		return usage();
	if (switch_start(&w, path, trunks, n_trunks, &e) < 0) {
		fprintf(stderr, "wayleave-labswitch: %s\n", e.text);
		return 1;
	}
	notify_ready();
	switch_loop(&w);
	capture_end(&w);
	for (uint32_t i = 1; i < SWITCH_PORTS; i++)
		if (w.port[i].name[0])
			port_clear(&w, i);
	ring_buffer__free(w.ring);
	bpf_object__close(w.object);
	unlink(path);
	return 0;
}

static int
main_ctl(int argc, char **argv)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	AUTO_CLOSE fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	AUTO_BUF line = { 0 }, answer = { 0 };
	char chunk[4096];
	ssize_t n;

	if (argc < 4 || strlen(argv[2]) >= sizeof(a.sun_path))
		return usage();
	memcpy(a.sun_path, argv[2], strlen(argv[2]));
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
		fprintf(stderr, "wayleave-labswitch: no switch at %s: %m\n", argv[2]);
		return 1;
	}
	for (int i = 3; i < argc; i++)
		buf_printf(&line, "%s%s", argv[i], i + 1 < argc ? " " : "\n");
	say(fd, (const char *)line.p, line.n);
	while ((n = recv(fd, chunk, sizeof(chunk), 0)) > 0)
		buf_put(&answer, chunk, (size_t)n);
	if (answer.n < 3 || memcmp(answer.p, "ok\n", 3)) {
		fprintf(stderr, "wayleave-labswitch: %s",
			answer.n ? buf_str(&answer) : "no answer\n");
		return 1;
	}
	fwrite(answer.p + 3, 1, answer.n - 3, stdout);
	return 0;
}

int
main(int argc, char **argv)
{
	if (argc >= 2 && !strcmp(argv[1], "run"))
		return main_run(argc, argv);
	if (argc >= 2 && !strcmp(argv[1], "ctl"))
		return main_ctl(argc, argv);
	return usage();
}
