/* The arrays and what edges and hosts read from them alike. See maps.h. */
#include "datapath/maps.h"

#include "base/mem.h"
#include "datapath/write.h"

#include <sys/mman.h>

struct datapath_maps {
	struct dp_sizes sizes;
	void *array[DP_MAP_COUNT];
	size_t length[DP_MAP_COUNT];
};

void (*datapath_on_write)(void);

void
datapath_fds_close(struct datapath_fds *f)
{
	for (enum dp_map m = 0; m < DP_MAP_COUNT; m++) {
		if (f->fd[m] >= 0)
			close(f->fd[m]);
		f->fd[m] = -1;
	}
}

static const char *const map_names[] = {
#define X(name, text) text,
	DP_MAPS(X)
#undef X
};

static const char *const drop_names[] = {
#define X(name, text) #name,
	DROP_REASONS(X)
#undef X
};
static const char *const drop_texts[] = {
#define X(name, text) text,
	DROP_REASONS(X)
#undef X
};
static const char *const event_names[] = {
#define X(name, text) #name,
	DP_EVENTS(X)
#undef X
};
static const char *const event_texts[] = {
#define X(name, text) text,
	DP_EVENTS(X)
#undef X
};

const char *
datapath_map_name(enum dp_map m)
{
	return m < DP_MAP_COUNT ? map_names[m] : "?";
}

enum dp_map
datapath_map_by_name(const char *name)
{
	enum dp_map m;

	for (m = 0; m < DP_MAP_COUNT; m++)
		if (!strcmp(map_names[m], name))
			break;
	return m;
}

const char *
datapath_drop_name(enum dp_drop reason)
{
	return reason < DP_DROPS ? drop_names[reason] : "?";
}

const char *
datapath_drop_text(enum dp_drop reason)
{
	return reason < DP_DROPS ? drop_texts[reason] : "?";
}

const char *
datapath_event_name(enum dp_event event)
{
	return event < DP_EVENT_COUNT ? event_names[event] : "?";
}

const char *
datapath_event_text(enum dp_event event)
{
	return event < DP_EVENT_COUNT ? event_texts[event] : "?";
}

size_t
datapath_map_element(enum dp_map map)
{
	static const size_t element[DP_MAP_COUNT] = {
		[DP_MAP_SIZES] = sizeof(struct dp_sizes),
		[DP_MAP_NODE] = sizeof(struct dp_node),
		[DP_MAP_IFS] = sizeof(uint64_t),
		[DP_MAP_TAGS] = sizeof(struct dp_tag_row),
		[DP_MAP_DOMAINS] = sizeof(struct dp_domain),
		[DP_MAP_NUMBERS] = sizeof(uint64_t),
		[DP_MAP_EXACT] = sizeof(struct dp_exact_bucket),
		[DP_MAP_TUNNELS] = sizeof(struct dp_tunnel),
		[DP_MAP_ADJS] = sizeof(struct dp_adj),
		[DP_MAP_VROOTS] = sizeof(uint64_t),
		[DP_MAP_LINES] = sizeof(union dp_line),
		[DP_MAP_NHS] = sizeof(struct dp_nh),
		[DP_MAP_GROUPS] = sizeof(struct dp_group),
		[DP_MAP_NICS] = sizeof(struct dp_nic),
		[DP_MAP_POLICERS] = sizeof(struct dp_policer),
		[DP_MAP_CONTROL] = sizeof(struct dp_policer),
		[DP_MAP_METER_SLOTS] = sizeof(struct dp_meter_slot),
		[DP_MAP_METERS] = sizeof(struct dp_meter),
		[DP_MAP_LINK_UP] = sizeof(uint64_t),
		[DP_MAP_COUNTERS] = sizeof(struct dp_counters),
		[DP_MAP_DOMAIN_DROPS] = sizeof(struct dp_domain_drops),
		[DP_MAP_UNKNOWN] = sizeof(struct dp_unknown),
		[DP_MAP_EPOCH] = sizeof(struct dp_epoch),
		[DP_MAP_TX] = sizeof(uint32_t),
		[DP_MAP_TX_DOMAIN] = sizeof(uint32_t),
	};

	return map < DP_MAP_COUNT ? element[map] : 0;
}

size_t
datapath_map_entries(enum dp_map map, const struct dp_sizes *s)
{
	size_t n = 1;

	switch (map) {
	case DP_MAP_IFS:
		n = s->n_ifs;
		break;
	case DP_MAP_TAGS:
		n = (size_t)s->n_trunks * 4096;
		break;
	case DP_MAP_DOMAINS:
	case DP_MAP_DOMAIN_DROPS:
	case DP_MAP_TX_DOMAIN:
		n = s->n_domains;
		break;
	case DP_MAP_NUMBERS:
		n = s->n_numbers;
		break;
	case DP_MAP_EXACT:
		n = s->n_buckets;
		break;
	case DP_MAP_TUNNELS:
		n = s->n_tunnels;
		break;
	case DP_MAP_ADJS:
		n = s->n_adjs;
		break;
	case DP_MAP_VROOTS:
		n = s->n_tables;
		break;
	case DP_MAP_LINES:
		n = s->n_lines;
		break;
	case DP_MAP_NHS:
		n = s->n_nhs;
		break;
	case DP_MAP_GROUPS:
		n = s->n_groups;
		break;
	case DP_MAP_NICS:
		n = s->n_nics;
		break;
	case DP_MAP_POLICERS:
		n = s->n_policers;
		break;
	case DP_MAP_CONTROL: /* slot 0 is the fabric's, on hosts too */
		n = (size_t)MAX(s->n_domains, 1u) * DP_CONTROLS;
		break;
	case DP_MAP_METER_SLOTS:
		n = s->n_meters;
		break;
	case DP_MAP_METERS:
		n = (size_t)s->n_meters * s->n_cpu;
		break;
	case DP_MAP_LINK_UP:
		n = s->n_links;
		break;
	case DP_MAP_COUNTERS:
	case DP_MAP_EPOCH:
		n = s->n_cpu;
		break;
	case DP_MAP_UNKNOWN:
		n = s->n_unknown;
		break;
	case DP_MAP_TX:
		n = MAX(s->n_trunks, s->n_nics);
		break;
	case DP_MAP_SIZES:
	case DP_MAP_NODE:
	case DP_MAP_COUNT:
		break;
	}
	return n ? n : 1;
}

static size_t
page_round(size_t n)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return (n + page - 1) / page * page;
}

static int
array_map(struct datapath_maps *m, enum dp_map map, int fd, struct err *e)
{
	int prot = map == DP_MAP_SIZES ? PROT_READ : PROT_READ | PROT_WRITE;
	void *p;

	m->length[map] =
		page_round(datapath_map_element(map) * datapath_map_entries(map, &m->sizes));
	p = mmap(NULL, m->length[map], prot, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return err_errno(e, "mmap of map %s", map_names[map]);
	m->array[map] = p;
	return 0;
}

int
datapath_maps_open(const struct datapath_fds *fds, struct datapath_maps **ret, struct err *e)
{
	AUTO(datapath_maps) m = mem_alloc(sizeof(*m));
	int r;

	if (fds->fd[DP_MAP_SIZES] < 0)
		return err_set(e, -EINVAL, "no descriptor of map sizes");
	r = array_map(m, DP_MAP_SIZES, fds->fd[DP_MAP_SIZES], e);
	if (r < 0)
		return r;
	m->sizes = *(const struct dp_sizes *)m->array[DP_MAP_SIZES];
	if (m->sizes.layout != DP_LAYOUT)
		return err_set(e, -EPROTO, "packet maps have layout %u, this program speaks %u",
			       m->sizes.layout, (unsigned)DP_LAYOUT);
	for (enum dp_map i = 0; i < DP_MAP_TX; i++) {
		if (i == DP_MAP_SIZES || fds->fd[i] < 0)
			continue;
		r = array_map(m, i, fds->fd[i], e);
		if (r < 0)
			return r;
	}
	*ret = TAKE(m);
	return 0;
}

struct datapath_maps *
datapath_maps_memory(const struct dp_sizes *sizes)
{
	struct datapath_maps *m = mem_alloc(sizeof(*m));

	m->sizes = *sizes;
	m->sizes.layout = DP_LAYOUT;
	if (!m->sizes.n_cpu)
		m->sizes.n_cpu = 1;
	for (enum dp_map i = 0; i < DP_MAP_TX; i++) {
		m->length[i] =
			page_round(datapath_map_element(i) * datapath_map_entries(i, &m->sizes));
		m->array[i] = mmap(NULL, m->length[i], PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		if (m->array[i] == MAP_FAILED)
			abort();
	}
	*(struct dp_sizes *)m->array[DP_MAP_SIZES] = m->sizes;
	((uint64_t *)m->array[DP_MAP_LINK_UP])[0] = 1;
	return m;
}

void
datapath_maps_destroy(struct datapath_maps *m)
{
	if (!m)
		return;
	for (enum dp_map i = 0; i < DP_MAP_COUNT; i++)
		if (m->array[i])
			munmap(m->array[i], m->length[i]);
	free(m);
}

const struct dp_sizes *
datapath_maps_sizes(const struct datapath_maps *m)
{
	return &m->sizes;
}

void *
datapath_maps_array(const struct datapath_maps *m, enum dp_map map)
{
	return map < DP_MAP_COUNT ? m->array[map] : NULL;
}

uint64_t
datapath_drops(const struct datapath_maps *m, enum dp_drop reason)
{
	const struct dp_counters *c = m->array[DP_MAP_COUNTERS];
	uint64_t n = 0;

	for (uint32_t i = 0; c && reason < DP_DROPS && i < m->sizes.n_cpu; i++)
		n += __atomic_load_n(&c[i].drop[reason], __ATOMIC_RELAXED);
	return n;
}

uint64_t
datapath_events(const struct datapath_maps *m, enum dp_event event)
{
	const struct dp_counters *c = m->array[DP_MAP_COUNTERS];
	uint64_t n = 0;

	for (uint32_t i = 0; c && event < DP_EVENT_COUNT && i < m->sizes.n_cpu; i++)
		n += __atomic_load_n(&c[i].event[event], __ATOMIC_RELAXED);
	return n;
}

int
datapath_link_set(struct datapath_maps *m, uint32_t link, bool is_up)
{
	uint64_t *up = m->array[DP_MAP_LINK_UP];

	if (!up || !link || link >= m->sizes.n_links)
		return -EINVAL;
	__atomic_store_n(&up[link], is_up, __ATOMIC_RELEASE);
	return 0;
}

bool
datapath_link_is_up(const struct datapath_maps *m, uint32_t link)
{
	const uint64_t *up = m->array[DP_MAP_LINK_UP];

	return up && link < m->sizes.n_links && __atomic_load_n(&up[link], __ATOMIC_ACQUIRE);
}

size_t
datapath_unknown_list(const struct datapath_maps *m, struct datapath_unknown *ret, size_t cap)
{
	const struct dp_unknown *u = m->array[DP_MAP_UNKNOWN];
	size_t n = 0;

	for (uint32_t i = 0; u && i < m->sizes.n_unknown && n < cap; i++) {
		if (!u[i].packets)
			continue;
		ret[n++] = (struct datapath_unknown){
			.trunk = u[i].port,
			.s = u[i].s,
			.c = u[i].c,
			.packets = u[i].packets,
			.first = { (int64_t)(u[i].first_ns / 1000) },
			.last = { (int64_t)(u[i].last_ns / 1000) },
		};
	}
	return n;
}
