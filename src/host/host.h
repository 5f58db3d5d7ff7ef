/* One host's vSwitch: NICs on local devices, per-VNet tables, routes from the edges. One thread.
 *
 *   host.c    open, close, dispatch of changed objects, timers
 *   table.c   VNets: BGP tables, packet tables, where other hosts' NICs are
 *   nic.c     NICs: devices, slots, announced addresses
 *   query.c   questions */
#pragma once

#include "base/list.h"
#include "base/map.h"
#include "datapath/host.h"
#include "node/fabric.h"

struct vnet {
	struct host *host;
	const struct node_object *object;
	const struct node_vnet *cfg;
	struct bgp_table *bgp;
	struct list dirty; /* in host->dirty */
	unsigned n_nics;
};

struct nic {
	struct host *host;
	const struct node_object *object;
	const struct node_nic *cfg;
	uint32_t id, slot; /* id 0: not in the packet tables */
	uint32_t ifindex;  /* 0: not attached */
};

struct host {
	struct daemon *daemon;
	struct datapath_host *dp;
	struct fabric *fabric;
	struct map vnets; /* number → vnet */
	struct map nics;  /* key → nic */
	struct list dirty;
	uv_timer_t tick, batch, devices, first;
	unsigned n_timers; /* not closed yet */
	int64_t sweep_us;
	bool is_swept;
};

/* table.c */
int vnet_apply(struct host *h, const struct node_object *from, const struct node_object *to,
	       struct err *e);
struct vnet *vnet_by_number(const struct host *h, struct fabric_number n);
void vnet_route_changed(struct vnet *v, const struct prefix *p, const struct bgp_path *paths,
			size_t n);
void vnet_dirty(struct vnet *v);
void vnet_commit(struct vnet *v);
void vnet_free_all(struct host *h);

/* nic.c */
int nic_apply(struct host *h, const struct node_object *from, const struct node_object *to,
	      struct err *e);
/* Devices come and go: attaches again what has come back. */
void nic_look(struct host *h);
void nic_free_all(struct host *h);

/* query.c */
int host_query(void *self, const char *query, const char *object, unsigned limit,
	       struct json_t **ret, struct err *e);
struct json_t *host_state(void *self);

extern const struct daemon_ops host_ops;
