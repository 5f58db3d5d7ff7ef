/* What edges and hosts keep alike: node, gateways, tunnels, VNet numbers and addresses, tables of
 * lines, meters, grace. edge.c and host.c put their own things beside it. Internal. */
#pragma once

#include "datapath/blocks.h"
#include "datapath/edge.h"
#include "datapath/exact.h"
#include "datapath/grace.h"
#include "datapath/meter.h"
#include "datapath/stree.h"

/* Free indices of an array whose element 0 is never used. */
struct pool {
	uint32_t *free;
	uint32_t n;
};
void pool_init(struct pool *p, uint32_t n_elements, bool (*is_used)(void *ctx, uint32_t i),
	       void *ctx);
void pool_fini(struct pool *p);
uint32_t pool_take(struct pool *p); /* 0: none */
void pool_give(struct pool *p, uint32_t i);

struct tables {
	struct datapath_maps *maps; /* owned */
	const struct dp_sizes *sizes;
	struct dp_node *node;
	uint64_t *numbers, *vroots;
	struct dp_tunnel *tunnels;
	struct dp_adj *adjs;
	union dp_line *lines;
	uint32_t n_lines, n_tables;
	struct grace grace;
	struct blocks blocks;
	struct exact exact;
	struct meters meters;
	/* Put since open. */
	uint8_t *tunnel_kept, *adj_kept;
	uint8_t *vnet_kept; /* by number */
};

/* Maps every array an edge or host needs, and waits until whatever a predecessor freed is out of use. */
int tables_maps_open(const struct datapath_fds *fds, struct datapath_maps **ret, struct err *e);
/* The rates of one row of `control`, times a factor; the fabric port's row. */
void tables_control_set(struct dp_policer *rows, uint32_t factor);
void tables_fabric_control(struct tables *t);
/* Takes maps over. */
void tables_init(struct tables *t, struct datapath_maps *maps);
/* owner_of(table) tells which number a table belongs to now: claims the lines of every table whose
 * root names it, and drops the others. */
void tables_claim(struct tables *t, uint32_t (*owner_of)(void *ctx, uint32_t table), void *ctx);
void tables_fini(struct tables *t);
/* Lines, addresses, meters: three rows. */
size_t tables_usage(const struct tables *t, struct datapath_usage *ret);
/* Underlay and VNets not put since open go. */
void tables_sweep(struct tables *t);

int tables_node_set(struct tables *t, const struct datapath_node *n, struct err *e);
int tables_gateway_put(struct tables *t, const struct addr *gateway, uint32_t port,
		       const struct mac *own, struct err *e);
int tables_gateway_mac(struct tables *t, const struct addr *gateway, const struct mac *mac);
int tables_tunnel_put(struct tables *t, const struct datapath_tunnel *c, struct err *e);
void tables_tunnel_remove(struct tables *t, uint16_t node);
int tables_vnet_put(struct tables *t, struct fabric_number vnet, struct fabric_key key,
		    uint32_t index, struct err *e);
void tables_vnet_remove(struct tables *t, struct fabric_number vnet);
int tables_address_put(struct tables *t, struct fabric_number vnet, const struct addr *a,
		       uint64_t value, struct err *e);
bool tables_number_is(const struct tables *t, uint32_t number, enum dp_number_kind kind);
/* Index in the number's word; 0 when it is not of that kind. */
uint32_t tables_number_index(const struct tables *t, uint32_t number, enum dp_number_kind kind);

/* -EAGAIN: no room until freed lines have had their grace. */
int tables_commit(struct tables *t, uint32_t table, uint32_t owner, struct stree_prefix *p,
		  size_t n, struct mono now, struct err *e);
void tables_drop(struct tables *t, uint32_t table, struct mono now);
uint32_t tables_find(const struct tables *t, uint32_t table, uint32_t owner, uint32_t addr);
