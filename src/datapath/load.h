/* Making and attaching the packet path, for the keeper: the only user of bpf() and of its
 * capabilities (CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON). Everything is pinned under one directory, so
 * programs, maps and counters outlive every process:
 *   DIR/v<DP_LAYOUT>/map_<name>      maps
 *   DIR/v<DP_LAYOUT>/link_<ifindex>  attachments
 * DIR must be on a bpffs; it and its parents inside the bpffs are made. */
#pragma once

#include "datapath/maps.h"

enum datapath_role { DATAPATH_EDGE, DATAPATH_HOST };

/* Defaults that suit a lab; n_cpu and layout are filled in by the loader. */
struct dp_sizes datapath_sizes_default(enum datapath_role role);

struct datapath_load;
/* Opens the maps pinned in dir, or makes them with these sizes (NULL: defaults; existing maps keep
 * theirs), and loads this program's own copy of the packet programs on them. Nothing is attached
 * yet, and attached programs of a predecessor run on. link_up is all down except link 0, in new
 * maps. */
int datapath_load_open(const char *dir, enum datapath_role role, const struct dp_sizes *sizes,
		       struct datapath_load **ret, struct err *e);
/* Closes descriptors; what is pinned stays. */
void datapath_load_destroy(struct datapath_load *l);
CLEANUP(datapath_load)

/* Attaches in the calling thread's network namespace; an attachment of a predecessor gets the new
 * program by bpf_link_update, without a gap. Native mode only. What the device needs besides is the
 * caller's (spec: `gro on tx off` on kernel end points behind it). Repeating is fine.
 *   TRUNK   value: the port, 1..15
 *   FABRIC  value: 0
 *   DOMAIN  value: the domain's fabric number; the outer end of its veth
 *   NIC     value: the NIC's slot
 * The device also becomes the target of redirects to that port (domain). */
int datapath_load_attach(struct datapath_load *l, unsigned ifindex, enum dp_if_kind kind,
			 uint32_t value, struct err *e);
/* Before or after the device is gone. */
int datapath_load_detach(struct datapath_load *l, unsigned ifindex, struct err *e);
/* Detaches whatever is pinned for an interface that keep() does not want: leftovers of devices that
 * vanished while no keeper ran. */
void datapath_load_sweep(struct datapath_load *l,
			 bool (*keep)(void *ctx, unsigned ifindex, enum dp_if_kind, uint32_t value),
			 void *ctx);

/* A set of descriptors to hand to a child; the caller closes them (datapath_fds_close()).
 *   DATAPATH_FOR_DAEMON  edged, hostd: all but ifs, the devmaps and link_up
 *   DATAPATH_FOR_BFD     bfdd: sizes and link_up
 * A read-only descriptor of a map cannot be mmapped, so who must not write a map does not get it. */
enum datapath_audience { DATAPATH_FOR_DAEMON, DATAPATH_FOR_BFD };
int datapath_load_fds(struct datapath_load *l, enum datapath_audience who, struct datapath_fds *ret,
		      struct err *e);

/* The descriptor of a loaded program by its name in the object, for BPF_PROG_TEST_RUN; the loader
 * keeps it. -ENOENT. */
int datapath_load_program(const struct datapath_load *l, const char *name);

/* Removes every pin under dir (all layouts) and the directory: attachments and maps vanish once no
 * process holds them. */
int datapath_load_unpin(const char *dir, struct err *e);
