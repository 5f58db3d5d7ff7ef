/* The packet tables of a host's vSwitch, for hostd. As datapath/edge.h, whose first comment holds
 * here too: put everything after open, then sweep; tick drives re-use. */
#pragma once

#include "datapath/edge.h"

struct datapath_host;
int datapath_host_open(const struct datapath_fds *fds, struct datapath_host **ret, struct err *e);
struct datapath_host *datapath_host_create(struct datapath_maps *m); /* takes m over; tests */
void datapath_host_destroy(struct datapath_host *d);
CLEANUP(datapath_host)
struct datapath_maps *datapath_host_maps(struct datapath_host *d);
struct mono datapath_host_tick(struct datapath_host *d, struct mono now);
void datapath_host_sweep(struct datapath_host *d, struct mono now);

size_t datapath_host_usage(const struct datapath_host *d, struct datapath_usage *ret);

int datapath_host_node_set(struct datapath_host *d, const struct datapath_node *n, struct err *e);
int datapath_host_gateway_put(struct datapath_host *d, const struct addr *gateway, uint32_t port,
			      const struct mac *own, struct err *e);
int datapath_host_gateway_mac(struct datapath_host *d, const struct addr *gateway,
			      const struct mac *mac);
/* Edges have DP_ROLE_EDGE here, other hosts DP_ROLE_HOST. */
int datapath_host_tunnel_put(struct datapath_host *d, const struct datapath_tunnel *t,
			     struct err *e);
void datapath_host_tunnel_remove(struct datapath_host *d, uint16_t node, struct mono now);

int datapath_host_vnet_put(struct datapath_host *d, struct fabric_number vnet,
			   struct fabric_key key, struct err *e);
/* Also its remote addresses and its table. Its NICs must be gone: -EBUSY. */
int datapath_host_vnet_remove(struct datapath_host *d, struct fabric_number vnet, struct mono now);
/* An address of the VNet on another host. -EEXIST while a local NIC has it. */
int datapath_host_address_put(struct datapath_host *d, struct fabric_number vnet,
			      const struct addr *a, uint16_t node, struct err *e);
/* Of another host; a local NIC's stays. */
void datapath_host_address_remove(struct datapath_host *d, struct fabric_number vnet,
				  const struct addr *a, struct mono now);

#define DATAPATH_NIC_ADDRESSES 16
struct datapath_nic {
	uint32_t id; /* non-zero, unique on this host, the same after a restart */
	struct fabric_number vnet;
	struct mac mac;
	struct prefix subnet; /* ARP is answered for all of it but the NIC's own addresses */
	struct addr address[DATAPATH_NIC_ADDRESSES];
	unsigned n_addresses;
	uint16_t mtu;
};
/* New or changed. Writes the slot, which is the port that the keeper attaches the device to; stable
 * until removal. The vSwitch MAC towards the NIC is the node's (datapath_node.vswitch). */
int datapath_host_nic_put(struct datapath_host *d, const struct datapath_nic *n, uint32_t *ret_slot,
			  struct err *e);
void datapath_host_nic_remove(struct datapath_host *d, uint32_t id, struct mono now);
/* Cumulative counts of a NIC: DP_IN from it, DP_OUT to it. -ENOENT. */
int datapath_host_nic_read(struct datapath_host *d, uint32_t id, int direction, uint64_t *ret_bytes,
			   uint64_t *ret_packets);

/* A VNet's table. A NIC-to-NIC packet needs the VNet's own address spaces in it (kind VNET). */
struct datapath_path {
	uint16_t node;         /* the edge */
	struct fabric_key key; /* the domain's key there */
};
struct datapath_host_route {
	struct prefix prefix;
	enum dp_kind kind;                           /* VNET, GROUP, BLACKHOLE */
	struct fabric_number vnet;                   /* VNET */
	struct datapath_path path[DP_GROUP_MEMBERS]; /* GROUP: equal cost; those whose node's link
						      * is up share the flows */
	unsigned n_paths;
};
int datapath_host_table_commit(struct datapath_host *d, struct fabric_number vnet,
			       const struct datapath_host_route *r, size_t n, struct mono now,
			       struct err *e);
bool datapath_host_table_lookup(struct datapath_host *d, struct fabric_number vnet,
				const struct addr *a, struct datapath_host_route *ret);
