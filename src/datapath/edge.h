/* The packet tables of an edge, for edged. It owns the arrays it writes, in memory shared with the
 * programs; it makes no system call after open. One thread.
 *
 * Restart. Everything survives in the arrays. After datapath_edge_open() packets flow as before.
 * The daemon puts all it wants (each *_put finds an element by its owner id and re-uses it: nothing
 * changes for packets when nothing changed), then calls datapath_edge_sweep(), which removes what was
 * not put since open. A table stays as it was until its next commit, so stale routes forward until
 * best path is final.
 *
 * Freed elements are re-used after a grace period that datapath_edge_tick() drives; call it at the
 * time it returns (or every 50 ms).
 *
 * All functions returning int: 0 or a negative errno; -ENOSPC when a table is full. A refused put
 * changes nothing. */
#pragma once

#include "datapath/maps.h"

struct datapath_edge;
int datapath_edge_open(const struct datapath_fds *fds, struct datapath_edge **ret, struct err *e);
/* Takes m over. For tests. */
struct datapath_edge *datapath_edge_create(struct datapath_maps *m);
void datapath_edge_destroy(struct datapath_edge *d);
CLEANUP(datapath_edge)
struct datapath_maps *datapath_edge_maps(struct datapath_edge *d);
struct mono datapath_edge_tick(struct datapath_edge *d, struct mono now);
void datapath_edge_sweep(struct datapath_edge *d, struct mono now);

/* Fills ret[DATAPATH_USAGES]; returns how many. */
size_t datapath_edge_usage(const struct datapath_edge *d, struct datapath_usage *ret);

/* --- The underlay ------------------------------------------------------------------------------ */

struct datapath_node {
	uint16_t number;        /* 1..4095 */
	struct addr address[4]; /* own underlay addresses; [0] ends the tunnels; family 0: unused */
	uint16_t tcp_port[8];   /* TCP services besides BGP, as server or client; 0: unused */
	uint16_t mtu;           /* of the fabric, e.g. 1600 */
	struct mac vswitch;     /* hosts only */
};
int datapath_edge_node_set(struct datapath_edge *d, const struct datapath_node *n, struct err *e);

/* An L3 neighbour on a fabric port, which tunnels point to. */
int datapath_edge_gateway_put(struct datapath_edge *d, const struct addr *gateway, uint32_t port,
			      const struct mac *own, struct err *e);
/* One store, also under traffic. NULL: unresolved, packets are counted drops. -ENOENT. */
int datapath_edge_gateway_mac(struct datapath_edge *d, const struct addr *gateway,
			      const struct mac *mac);

/* A node we exchange packets with: hosts and the pair's other edge by GRE, and with all of them, and
 * with DP_ROLE_CONTROL nodes (controller, reflectors), control traffic. */
struct datapath_tunnel {
	uint16_t node;
	enum dp_role role;
	struct addr remote, gateway;
};
int datapath_edge_tunnel_put(struct datapath_edge *d, const struct datapath_tunnel *t,
			     struct err *e);
void datapath_edge_tunnel_remove(struct datapath_edge *d, uint16_t node, struct mono now);

/* --- VNets and their addresses ----------------------------------------------------------------- */

int datapath_edge_vnet_put(struct datapath_edge *d, struct fabric_number vnet,
			   struct fabric_key key, struct err *e);
/* Also its addresses. */
void datapath_edge_vnet_remove(struct datapath_edge *d, struct fabric_number vnet, struct mono now);
/* The address lives on that node. Moving it is one store. */
int datapath_edge_address_put(struct datapath_edge *d, struct fabric_number vnet,
			      const struct addr *a, uint16_t node, struct err *e);
void datapath_edge_address_remove(struct datapath_edge *d, struct fabric_number vnet,
				  const struct addr *a, struct mono now);

/* --- Circuits ---------------------------------------------------------------------------------- */

/* id: any non-zero 31-bit number, unique on this edge and the same after a restart (suggestion:
 * trunk << 12 | S-tag). Rates in bit/s per direction, 0: not policed. Changing a rate is one store
 * each; no packet is lost. */
int datapath_edge_circuit_put(struct datapath_edge *d, uint32_t id,
			      const uint64_t rate[DP_DIRECTIONS], struct err *e);
/* -EBUSY while a domain uses it. */
int datapath_edge_circuit_remove(struct datapath_edge *d, uint32_t id, struct mono now);

/* --- Domains ----------------------------------------------------------------------------------- */

struct datapath_domain {
	struct fabric_number number;
	struct fabric_key key;
	uint32_t circuit;        /* put before */
	uint32_t trunk;          /* port, 1.. */
	struct vlan s, c;        /* S 0: untagged port; C 0: one tag only */
	uint16_t tpid;           /* of the outer tag: 0x88a8 or 0x8100 */
	struct addr local, peer; /* IPv4 */
	uint8_t subnet_len;
	uint16_t mtu;   /* largest IP packet to the customer; 0: any */
	struct mac mac; /* of the inner end of the veth (peer0): what the CE talks to */
};
/* New or changed. -EEXIST when another domain has these tags. */
int datapath_edge_domain_put(struct datapath_edge *d, const struct datapath_domain *c,
			     struct err *e);
/* Packets stop at once; meters become retired (see below). */
void datapath_edge_domain_remove(struct datapath_edge *d, struct fabric_number number,
				 struct mono now);
/* The CE's MAC, from the namespace's neighbour table. NULL: unresolved. */
int datapath_edge_domain_neighbour(struct datapath_edge *d, struct fabric_number number,
				   const struct mac *mac);
/* The number of its customer link for bfdd; 0 when there is no such domain. Stable until removal. */
uint32_t datapath_edge_domain_link(struct datapath_edge *d, struct fabric_number number);
/* Drops charged to a domain. */
uint64_t datapath_edge_domain_drops(struct datapath_edge *d, struct fabric_number number,
				    enum dp_drop reason);

/* --- Routes ------------------------------------------------------------------------------------ */

enum datapath_via { DATAPATH_VIA_NONE, DATAPATH_VIA_CE, DATAPATH_VIA_PAIR };
struct datapath_route {
	struct prefix prefix; /* IPv4 */
	enum dp_kind kind;    /* CUSTOMER, VNET, LINK, REACH, BLACKHOLE, or NONE with lingers */
	/* CUSTOMER: best way and, when its link is down, the other one. VIA_CE is this edge's own
	 * link; VIA_PAIR the other edge, which gets the packet with the domain's local-only key. A
	 * repaired packet uses VIA_CE wherever it stands, or is dropped. */
	enum datapath_via via, backup;
	uint16_t pair; /* node of the other edge, where VIA_PAIR is used */
	/* REACH: the edges behind which another circuit has it, best first, and the keys of that
	 * circuit's domain there. node 0: none. */
	struct datapath_reach {
		uint16_t node;
		struct fabric_key key;
	} reach[2];
	struct fabric_number vnet; /* VNET */
	/* The customer withdrew this prefix a moment ago (3 s): no longer a route (kind is ignored, a
	 * covering one applies), but its sources are still accepted. */
	bool lingers;
};
/* Replaces the domain's whole table by these routes, in any order, without duplicates: new lines are
 * filled, one word is stored, the old lines are freed after grace. 10,000 routes take well under 5 ms.
 * 255.255.255.255 itself never has a route. -EAGAIN: room will be there after a few ticks. After a
 * change of the domain's key its table must be committed again. */
int datapath_edge_table_commit(struct datapath_edge *d, struct fabric_number number,
			       const struct datapath_route *r, size_t n, struct mono now,
			       struct err *e);
/* What the programs would do with this address now: the result's kind, and its value as (via, backup)
 * or vnet. For queries, doctor and tests. false: no route. */
bool datapath_edge_table_lookup(struct datapath_edge *d, struct fabric_number number,
				const struct addr *a, struct datapath_route *ret);

/* --- Meters ------------------------------------------------------------------------------------ */

/* Cumulative counts of one (circuit, domain, direction). A slot lives with its domain. After removal
 * it is retired and still listed, unchanging once its grace period is over (is_final); when the last
 * reading is journalled and acknowledged, datapath_edge_meter_release() frees it. (slot, incarnation)
 * never comes twice while the pins live. */
struct datapath_reading {
	uint32_t slot, incarnation;
	struct fabric_number domain;
	uint32_t circuit;
	int direction; /* DP_IN: customer to cloud, DP_OUT */
	bool is_retired, is_final;
	uint64_t bytes, packets; /* IP length */
};
/* uint32_t it = 0; while (datapath_edge_meter_next(d, &it, &r)) ... */
bool datapath_edge_meter_next(struct datapath_edge *d, uint32_t *it, struct datapath_reading *ret);
/* The two meters of a live domain. */
int datapath_edge_meter_read(struct datapath_edge *d, struct fabric_number domain, int direction,
			     struct datapath_reading *ret);
/* -EBUSY while it is not final. */
int datapath_edge_meter_release(struct datapath_edge *d, uint32_t slot);
