/* The maps as a daemon sees them: mmapped from descriptors that the keeper handed over, without any
 * capability and without a bpf() call. Also the parts edges and hosts have in common: counters,
 * names, liveness of links. */
#pragma once

#include "base/err.h"
#include "base/mono.h"
#include "datapath/shared.h"
#include "net/addr.h"
#include "net/ids.h"

/* Descriptors by enum dp_map; -1 where there is none. A set from the keeper is in this order. */
struct datapath_fds {
	int fd[DP_MAP_COUNT];
};

void datapath_fds_close(struct datapath_fds *f);

/* Pure metadata, for whoever passes descriptors: the map's name; "?" when out of range. */
const char *datapath_map_name(enum dp_map m);
/* DP_MAP_COUNT when unknown. */
enum dp_map datapath_map_by_name(const char *name);

struct datapath_maps;
/* Maps every descriptor that is there, `sizes` for reading only. The descriptors may be closed
 * afterwards. -EPROTO when the layout is not this program's. */
int datapath_maps_open(const struct datapath_fds *fds, struct datapath_maps **ret, struct err *e);
/* The same arrays in memory that children share: tests and rehearsals. */
struct datapath_maps *datapath_maps_memory(const struct dp_sizes *sizes);
void datapath_maps_destroy(struct datapath_maps *m);
CLEANUP(datapath_maps)
const struct dp_sizes *datapath_maps_sizes(const struct datapath_maps *m);
/* The array behind a map, NULL when it is not mapped. */
void *datapath_maps_array(const struct datapath_maps *m, enum dp_map map);
/* Mapped bytes: element size of an array and number of elements, for a set of sizes. */
size_t datapath_map_element(enum dp_map map);
size_t datapath_map_entries(enum dp_map map, const struct dp_sizes *sizes);

/* Counters, summed over the CPUs. */
uint64_t datapath_drops(const struct datapath_maps *m, enum dp_drop reason);
uint64_t datapath_events(const struct datapath_maps *m, enum dp_event event);
const char *datapath_drop_name(enum dp_drop reason); /* "SRC_SPOOF" */
const char *datapath_drop_text(enum dp_drop reason); /* for people */
const char *datapath_event_name(enum dp_event event);
const char *datapath_event_text(enum dp_event event);

/* link_up, for bfdd, which alone may write it: open a datapath_maps with only the descriptors of
 * SIZES and LINK_UP. Link 0 is "no link" and always up. */
int datapath_link_set(struct datapath_maps *m, uint32_t link, bool is_up);
bool datapath_link_is_up(const struct datapath_maps *m, uint32_t link);
/* Numbering, the same everywhere: a tunnel's link is its node number (1..4095); the customer link of
 * an edge's domain is DATAPATH_LINK_DOMAIN + its slot (datapath_edge_domain_link()). */
#define DATAPATH_LINK_DOMAIN 4096

/* How full the tables are: for metrics, doctor and tests. */
struct datapath_usage {
	const char *what; /* "lines" */
	uint32_t used, total;
};
#define DATAPATH_USAGES 8

/* Frames with VLAN tags nobody configured. Returns how many were copied. */
struct datapath_unknown {
	uint32_t trunk;
	uint16_t s, c;
	uint64_t packets;
	struct mono first, last;
};
size_t datapath_unknown_list(const struct datapath_maps *m, struct datapath_unknown *ret,
			     size_t cap);
