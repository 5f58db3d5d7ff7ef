/* Making, pinning and attaching. See load.h. The only file that speaks bpf(). */
#include "datapath/load.h"

#include "base/mem.h"
#include "edge_object.h"
#include "host_object.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/if_link.h>
#include <stdarg.h>
#include <sys/stat.h>

enum {
	LOG_BYTES = (1 << 24) - 1, /* the most that every kernel takes */
	VERDICT_LINES = 3,
};

struct datapath_load {
	char dir[PATH_MAX / 2]; /* with the layout */
	struct dp_sizes sizes;
	struct bpf_object *object;
	int map[DP_MAP_COUNT]; /* owned by object */
};

static const char *const program_names[2][DP_IF_NIC + 1] = {
	[DATAPATH_EDGE] = { [DP_IF_TRUNK] = "edge_trunk",
			    [DP_IF_FABRIC] = "edge_fabric",
			    [DP_IF_DOMAIN] = "edge_domain" },
	[DATAPATH_HOST] = { [DP_IF_FABRIC] = "host_fabric", [DP_IF_NIC] = "host_nic" },
};

static uint32_t
power_of_two(uint32_t at_least)
{
	uint32_t n = 1;

	while (n < at_least)
		n <<= 1;
	return n;
}

struct dp_sizes
datapath_sizes_default(enum datapath_role role)
{
	struct dp_sizes s = {
		.layout = DP_LAYOUT,
		.role = role,
		.n_buckets = 16384,
		.n_tunnels = 4096,
		.n_adjs = 64,
		.n_lines = 65536,
		.n_numbers = DP_NUMBERS,
		.n_unknown = 256,
	};

	if (role == DATAPATH_EDGE) {
		s.n_trunks = 16;
		s.n_domains = s.n_tables = 4096;
		s.n_nhs = 16384;
		s.n_policers = 8192;
		s.n_meters = 16384;
	} else {
		s.n_nics = 1024;
		s.n_tables = 1024;
		s.n_groups = 8192;
		s.n_meters = 4096;
	}
	s.n_links = DATAPATH_LINK_DOMAIN + s.n_domains;
	s.n_ifs = power_of_two(2 * (s.n_domains + s.n_trunks + s.n_nics));
	return s;
}

/* Quiet: what went wrong travels up in struct err, by errno. */
static int PRINTF(2, 0) log_nothing(enum libbpf_print_level level, const char *fmt, va_list args)
{
	if (level == LIBBPF_WARN && getenv("WAYLEAVE_BPF_LOG"))
		return vfprintf(stderr, fmt, args);
	return 0;
}

static int
directory_make(const char *dir, struct err *e)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s", dir) >= (int)sizeof(path))
		return err_set(e, -ENAMETOOLONG, "%s", dir);
	for (char *p = path + 1;; p++) {
		char c = *p;

		if (c != '/' && c)
			continue;
		*p = 0;
		if (mkdir(path, 0700) < 0 && errno != EEXIST)
			return err_errno(e, "mkdir %s", path);
		*p = c;
		if (!c)
			return 0;
	}
}

static const char *PRINTF(3, 4)
	path_in(const struct datapath_load *l, char out[PATH_MAX], const char *fmt, ...)
{
	va_list args;
	int n = snprintf(out, PATH_MAX, "%s/", l->dir);

	va_start(args, fmt);
	vsnprintf(out + n, (size_t)(PATH_MAX - n), fmt, args);
	va_end(args);
	return out;
}

/* Sizes of maps that exist win over what was asked for. */
static int
sizes_choose(struct datapath_load *l, enum datapath_role role, const struct dp_sizes *wanted,
	     struct err *e)
{
	char path[PATH_MAX];
	uint32_t zero = 0;
	AUTO_CLOSE fd = bpf_obj_get(path_in(l, path, "map_sizes"));
	int n_cpu = libbpf_num_possible_cpus();

	if (n_cpu < 0)
		return err_set(e, n_cpu, "number of CPUs");
	if (fd < 0 && errno != ENOENT)
		return err_errno(e, "open %s", path);
	if (fd >= 0) {
		if (bpf_map_lookup_elem(fd, &zero, &l->sizes) < 0)
			return err_errno(e, "read %s", path);
		if (l->sizes.layout != DP_LAYOUT || l->sizes.role != (uint32_t)role ||
		    l->sizes.n_cpu != (uint32_t)n_cpu)
			return err_set(e, -EPROTO, "%s: maps of another role, layout or machine",
				       path);
		return 0;
	}
	l->sizes = wanted ? *wanted : datapath_sizes_default(role);
	l->sizes.layout = DP_LAYOUT;
	l->sizes.role = role;
	l->sizes.n_cpu = (uint32_t)n_cpu;
	l->sizes.n_ifs = power_of_two(MAX(l->sizes.n_ifs, (uint32_t)DP_IF_PROBES));
	return 0;
}

static int
map_prepare(struct datapath_load *l, enum dp_map m, struct err *e)
{
	const char *name = datapath_map_name(m);
	struct bpf_map *map = bpf_object__find_map_by_name(l->object, name);
	char path[PATH_MAX];
	int fd, r;

	if (!map)
		return err_set(e, -ENOENT, "map %s missing in the program", name);
	bpf_map__set_max_entries(map, (uint32_t)datapath_map_entries(m, &l->sizes));
	fd = bpf_obj_get(path_in(l, path, "map_%s", name));
	if (fd < 0)
		return errno == ENOENT ? 0 : err_errno(e, "open %s", path);
	r = bpf_map__reuse_fd(map, fd);
	close(fd);
	return r < 0 ? err_set(e, r, "re-use of %s: %s", path, strerror(-r)) : 0;
}

/* Pins what is new; `sizes` first, so that a predecessor's half-made set is completed alike. */
static int
map_finish(struct datapath_load *l, enum dp_map m, struct err *e)
{
	const char *name = datapath_map_name(m);
	struct bpf_map *map = bpf_object__find_map_by_name(l->object, name);
	char path[PATH_MAX];
	uint32_t zero = 0;
	uint64_t one = 1;

	l->map[m] = bpf_map__fd(map);
	if (access(path_in(l, path, "map_%s", name), F_OK) == 0)
		return 0;
	if (m == DP_MAP_SIZES && bpf_map_update_elem(l->map[m], &zero, &l->sizes, 0) < 0)
		return err_errno(e, "write sizes");
	if (m == DP_MAP_LINK_UP && bpf_map_update_elem(l->map[m], &zero, &one, 0) < 0)
		return err_errno(e, "write link_up");
	if (bpf_obj_pin(l->map[m], path) < 0)
		return err_errno(e, "pin %s", path);
	return 0;
}

static int
constants_set(struct datapath_load *l, struct err *e)
{
	const struct dp_constants c = {
		.n_meters = (uint32_t)datapath_map_entries(DP_MAP_METER_SLOTS, &l->sizes),
		.n_buckets = (uint32_t)datapath_map_entries(DP_MAP_EXACT, &l->sizes),
		.n_ifs = l->sizes.n_ifs,
		.n_unknown = (uint32_t)datapath_map_entries(DP_MAP_UNKNOWN, &l->sizes),
	};
	struct bpf_map *map;

	bpf_object__for_each_map(map, l->object)
	{
		int r;

		if (!strstr(bpf_map__name(map), ".rodata"))
			continue;
		r = bpf_map__set_initial_value(map, &c, sizeof(c)); /* refuses another size */
		return r < 0 ? err_set(e, r, "constants of the packet programs") : 0;
	}
	return err_set(e, -EPROTO, "packet program without constants");
}

/* The end of a verifier's log in one line: what it stopped at and why. */
static void
verdict_of(const char *log, char *ret, size_t size)
{
	const char *end = log + strlen(log), *from;
	const char *sums = strstr(log, "\nprocessed "); /* its statistics come last */
	size_t n;

	if (sums)
		end = sums;
	while (end > log && end[-1] == '\n')
		end--;
	from = end;
	for (int lines = 0; from > log && (size_t)(end - from) < size - 1; from--)
		if (from[-1] == '\n' && ++lines == VERDICT_LINES)
			break;
	n = (size_t)(end - from);
	memcpy(ret, from, n);
	ret[n] = '\0';
	for (char *p = ret; (p = strchr(p, '\n'));)
		*p = ';';
}

/* A program that is refused leaves the verifier's words in its own part of the log, whose pages
 * are not touched until then. */
static int
programs_load(struct datapath_load *l, struct err *e)
{
	AUTO_FREE char *log = NULL;
	struct bpf_program *p;
	char verdict[384];
	size_t n = 0, size;
	int r;

	bpf_object__for_each_program(p, l->object) n++;
	log = mem_alloc(n * LOG_BYTES);
	bpf_object__for_each_program(p, l->object)
		bpf_program__set_log_buf(p, log + --n * LOG_BYTES, LOG_BYTES);
	r = bpf_object__load(l->object);
	if (r >= 0)
		return 0;
	bpf_object__for_each_program(p, l->object)
	{
		const char *words = bpf_program__log_buf(p, &size);

		if (!*words)
			continue;
		verdict_of(words, verdict, sizeof(verdict));
		return err_set(e, r, "load the packet program %s: %s: %s", bpf_program__name(p),
			       strerror(-r), verdict);
	}
	return err_set(e, r, "load the packet programs: %s", strerror(-r));
}

int
datapath_load_open(const char *dir, enum datapath_role role, const struct dp_sizes *sizes,
		   struct datapath_load **ret, struct err *e)
{
	AUTO(datapath_load) l = mem_alloc(sizeof(*l));
	int r;

	libbpf_set_print(log_nothing);
	if (snprintf(l->dir, sizeof(l->dir), "%s/v%u", dir, (unsigned)DP_LAYOUT) >=
	    (int)sizeof(l->dir))
		return err_set(e, -ENAMETOOLONG, "%s", dir);
	r = directory_make(l->dir, e);
	if (r < 0)
		return r;
	r = sizes_choose(l, role, sizes, e);
	if (r < 0)
		return r;
	l->object = role == DATAPATH_EDGE
			    ? bpf_object__open_mem(edge_object, sizeof(edge_object), NULL)
			    : bpf_object__open_mem(host_object, sizeof(host_object), NULL);
	if (!l->object)
		return err_errno(e, "open the packet programs");
	r = constants_set(l, e);
	for (enum dp_map m = 0; r >= 0 && m < DP_MAP_COUNT; m++)
		r = map_prepare(l, m, e);
	if (r < 0)
		return r;
	r = programs_load(l, e);
	for (enum dp_map m = 0; r >= 0 && m < DP_MAP_COUNT; m++)
		r = map_finish(l, m, e);
	if (r < 0)
		return r;
	*ret = TAKE(l);
	return 0;
}

void
datapath_load_destroy(struct datapath_load *l)
{
	if (!l)
		return;
	bpf_object__close(l->object);
	free(l);
}

int
datapath_load_program(const struct datapath_load *l, const char *name)
{
	struct bpf_program *p = bpf_object__find_program_by_name(l->object, name);

	return p ? bpf_program__fd(p) : -ENOENT;
}

/* --- What is plugged where --------------------------------------------------------------------- */

static uint64_t
if_word(const struct datapath_load *l, uint32_t at)
{
	uint64_t w = 0;

	at &= l->sizes.n_ifs - 1;
	return bpf_map_lookup_elem(l->map[DP_MAP_IFS], &at, &w) < 0 ? 0 : w;
}

static int
if_put(struct datapath_load *l, unsigned ifindex, uint64_t word, struct err *e)
{
	uint32_t at = UINT32_MAX;

	for (uint32_t i = 0; i < DP_IF_PROBES; i++) {
		uint64_t w = if_word(l, ifindex + i);

		if (DP_IF_INDEX(w) == ifindex) {
			at = ifindex + i;
			break;
		}
		if (!w && at == UINT32_MAX)
			at = ifindex + i;
	}
	if (at == UINT32_MAX)
		return err_set(e, -ENOSPC, "table of interfaces is full");
	at &= l->sizes.n_ifs - 1;
	if (bpf_map_update_elem(l->map[DP_MAP_IFS], &at, &word, 0) < 0)
		return err_errno(e, "table of interfaces");
	return 0;
}

static uint64_t
if_take(struct datapath_load *l, unsigned ifindex)
{
	for (uint32_t i = 0; i < DP_IF_PROBES; i++) {
		uint64_t w = if_word(l, ifindex + i), none = 0;
		uint32_t at = (ifindex + i) & (l->sizes.n_ifs - 1);

		if (DP_IF_INDEX(w) != ifindex)
			continue;
		bpf_map_update_elem(l->map[DP_MAP_IFS], &at, &none, 0);
		return w;
	}
	return 0;
}

static int
tx_of(const struct datapath_load *l, enum dp_if_kind kind)
{
	return l->map[kind == DP_IF_DOMAIN ? DP_MAP_TX_DOMAIN : DP_MAP_TX];
}

/* A live attachment of this interface gets the new program; false if there is none. */
static bool
link_renew(const char *path, unsigned ifindex, int program)
{
	struct bpf_link_info info = { 0 };
	uint32_t n = sizeof(info);
	AUTO_CLOSE fd = bpf_obj_get(path);

	if (fd < 0)
		return false;
	if (bpf_obj_get_info_by_fd(fd, &info, &n) == 0 && info.xdp.ifindex == ifindex &&
	    bpf_link_update(fd, program, NULL) == 0)
		return true;
	unlink(path); /* its device is gone */
	return false;
}

int
datapath_load_attach(struct datapath_load *l, unsigned ifindex, enum dp_if_kind kind,
		     uint32_t value, struct err *e)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = XDP_FLAGS_DRV_MODE);
	const char *name = kind <= DP_IF_NIC ? program_names[l->sizes.role][kind] : NULL;
	int program = name ? datapath_load_program(l, name) : -ENOENT;
	char path[PATH_MAX];
	AUTO_CLOSE fd = -1;
	int r;

	if (program < 0)
		return err_set(e, -EINVAL, "no program for interfaces of kind %d", kind);
	if (kind == DP_IF_FABRIC)
		value = DP_PORT_FABRIC;
	if (bpf_map_update_elem(tx_of(l, kind), &value, &ifindex, 0) < 0)
		return err_errno(e, "interface %u as port %u", ifindex, value);
	r = if_put(l, ifindex, DP_IF_WORD(ifindex, kind, value), e);
	if (r < 0)
		return r;
	if (link_renew(path_in(l, path, "link_%u", ifindex), ifindex, program))
		return 0;
	fd = bpf_link_create(program, (int)ifindex, BPF_XDP, &opts);
	if (fd < 0)
		return err_errno(e, "attach %s to interface %u", name, ifindex);
	if (bpf_obj_pin(fd, path) < 0)
		return err_errno(e, "pin %s", path);
	return 0;
}

int
datapath_load_detach(struct datapath_load *l, unsigned ifindex, struct err *e)
{
	uint64_t w = if_take(l, ifindex);
	uint32_t value = DP_IF_VALUE(w), now = 0;
	char path[PATH_MAX];
	int tx = tx_of(l, DP_IF_KIND(w));
	AUTO_CLOSE fd = bpf_obj_get(path_in(l, path, "link_%u", ifindex));

	/* The port may be another device's by now. */
	if (w && bpf_map_lookup_elem(tx, &value, &now) == 0 && now == ifindex)
		bpf_map_delete_elem(tx, &value);
	/* Dropping the last reference detaches too, but some time later. */
	if (fd >= 0)
		bpf_link_detach(fd);
	if (unlink(path) < 0 && errno != ENOENT)
		return err_errno(e, "unlink %s", path);
	return 0;
}

void
datapath_load_sweep(struct datapath_load *l,
		    bool (*keep)(void *ctx, unsigned ifindex, enum dp_if_kind, uint32_t value),
		    void *ctx)
{
	DIR *d;

	for (uint32_t i = 0; i < l->sizes.n_ifs; i++) {
		uint64_t w = if_word(l, i);

		if (w && !keep(ctx, DP_IF_INDEX(w), DP_IF_KIND(w), DP_IF_VALUE(w)))
			datapath_load_detach(l, DP_IF_INDEX(w), NULL);
	}
	d = opendir(l->dir);
	for (struct dirent *f; d && (f = readdir(d));) {
		unsigned ifindex;
		bool known = false;

		if (sscanf(f->d_name, "link_%u", &ifindex) != 1)
			continue;
		for (uint32_t i = 0; i < DP_IF_PROBES; i++)
			known |= DP_IF_INDEX(if_word(l, ifindex + i)) == ifindex;
		if (!known)
			datapath_load_detach(l, ifindex, NULL);
	}
	if (d)
		closedir(d);
}

/* --- Handing over ------------------------------------------------------------------------------ */

static bool
is_for(enum datapath_audience who, enum dp_map m)
{
	if (who == DATAPATH_FOR_BFD)
		return m == DP_MAP_SIZES || m == DP_MAP_LINK_UP;
	return m != DP_MAP_IFS && m != DP_MAP_LINK_UP && m != DP_MAP_TX && m != DP_MAP_TX_DOMAIN;
}

int
datapath_load_fds(struct datapath_load *l, enum datapath_audience who, struct datapath_fds *ret,
		  struct err *e)
{
	struct datapath_fds out;
	char path[PATH_MAX];

	for (enum dp_map m = 0; m < DP_MAP_COUNT; m++)
		out.fd[m] = -1;
	for (enum dp_map m = 0; m < DP_MAP_COUNT; m++) {
		if (!is_for(who, m))
			continue;
		out.fd[m] = bpf_obj_get(path_in(l, path, "map_%s", datapath_map_name(m)));
		if (out.fd[m] < 0) {
			int r = err_errno(e, "open %s", path);

			datapath_fds_close(&out);
			return r;
		}
	}
	*ret = out;
	return 0;
}

static int
directory_empty(const char *dir, struct err *e)
{
	DIR *d = opendir(dir);
	int r = 0;

	if (!d)
		return errno == ENOENT ? 0 : err_errno(e, "open %s", dir);
	for (struct dirent *f; r >= 0 && (f = readdir(d));) {
		char path[PATH_MAX];
		struct stat st;

		if (!strcmp(f->d_name, ".") || !strcmp(f->d_name, ".."))
			continue;
		if (snprintf(path, sizeof(path), "%s/%s", dir, f->d_name) >= (int)sizeof(path) ||
		    lstat(path, &st) < 0)
			continue;
		if (S_ISDIR(st.st_mode)) {
			r = directory_empty(path, e);
		} else if (strncmp(f->d_name, "map_", 4) && strncmp(f->d_name, "link_", 5)) {
			r = err_set(e, -EEXIST, "%s is not ours", path);
		} else if (unlink(path) < 0) {
			r = err_errno(e, "unlink %s", path);
		}
	}
	closedir(d);
	if (r >= 0 && rmdir(dir) < 0 && errno != ENOENT)
		r = err_errno(e, "rmdir %s", dir);
	return r;
}

int
datapath_load_unpin(const char *dir, struct err *e)
{
	return directory_empty(dir, e);
}
