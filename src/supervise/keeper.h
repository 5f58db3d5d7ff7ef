/* The keeper's contract: what its children may ask for, as fixed structs over RUN/keeper.sock
 * (SOCK_SEQPACKET, peer credentials checked), and the client calls that edged, hostd and bfdd use.
 *
 * The keeper has the privileges, so it understands nothing: no BGP, no YAML, no JSON. It makes
 * namespaces, veths, sockets, links and maps, keeps them, and hands descriptors out. Every object
 * is also held by bfdd (custody), so that any one process may be killed and get its own back:
 *
 *   edged killed    asks again: DOMAIN_ADD and the like are idempotent and return what is held
 *   bfdd killed     its successor gets every object from the keeper
 *   keeper killed   its successor gets every object from bfdd; maps and links come from the pins
 *
 * It never holds connected sockets: a peer must see its session close when edged dies.
 *
 * All calls block for a reply (usually well under a millisecond, 5 s at most). When the keeper is
 * away they try to reach it for 2 s, then fail with -ENOTCONN; the next call tries again.
 * Keys are wiped from the message on both sides after use. */
#pragma once

#include "datapath/maps.h"
#include "net/addr.h"

#define KEEPER_SOCKET "keeper.sock"

enum {
	KEEPER_VERSION = 1,
	KEEPER_KEY_MAX = 80, /* TCP_MD5SIG_MAXKEYLEN */
	KEEPER_IFNAME = 16,
	KEEPER_DOMAINS_PER_REPLY = 64,
};

enum keeper_type {
	KEEPER_HELLO = 1,  /* role; first on every connection */
	KEEPER_MAPS,       /* → descriptors of the packet maps, as datapath_load_fds() */
	KEEPER_PORT,       /* attach the packet program of a port; → ifindex, mac */
	KEEPER_DOMAIN_ADD, /* → info + netns, listener, netlink sockets */
	KEEPER_DOMAIN_KEY, /* new MD5 key on the live listener */
	KEEPER_DOMAIN_REMOVE,
	KEEPER_DOMAIN_LIST,   /* after number → next numbers, ascending */
	KEEPER_DIAL,          /* → a bound, unconnected TCP socket */
	KEEPER_FABRIC_LISTEN, /* → TCP listener on an underlay address; BFD sockets go to bfdd */
	KEEPER_FABRIC_PEER,   /* MD5 key (empty: none) for one peer of that listener */
	KEEPER_NIC_ATTACH,    /* host: a local interface becomes a NIC's port; → ifindex, mac */
	KEEPER_NIC_DETACH,
	KEEPER_CUSTODY,      /* keeper ⇄ bfdd: one object and its descriptors, or the end mark */
	KEEPER_CUSTODY_DROP, /* keeper → bfdd: this object is no more */
	KEEPER_TYPES
};

enum keeper_role { KEEPER_ROLE_EDGED = 1, KEEPER_ROLE_HOSTD, KEEPER_ROLE_BFDD };
enum keeper_port_role { KEEPER_PORT_TRUNK = 1, KEEPER_PORT_FABRIC };

struct keeper_key {
	uint8_t len; /* 0: no MD5 */
	uint8_t b[KEEPER_KEY_MAX];
};

/* One domain on this edge. Addresses are the link subnet's; IPv4. */
#define KEEPER_DOMAIN_BFD 1u  /* make BFD sockets for it (they go to bfdd) */
#define KEEPER_DOMAIN_GTSM 2u /* RFC 5082: TTL 255 sent and required on BGP */
struct keeper_domain {
	uint32_t number; /* the domain's fabric number */
	uint32_t flags;
	struct addr local, peer;
	uint8_t plen;
	uint8_t spare;
	uint16_t mtu;   /* 0: 1500 */
	struct mac mac; /* of the inner end, all zero: 02:…, derived from node and number */
	uint8_t spare2[2];
	struct keeper_key key; /* of the peer's BGP session */
};

/* What came of it. The kernel names the inner end "peer0", the outer "d<number>". */
struct keeper_domain_info {
	uint32_t number;
	uint32_t flags;
	struct addr local, peer;
	uint8_t plen;
	uint8_t is_new; /* 0: it was there before (a restart) */
	uint16_t mtu;
	uint32_t inner_ifindex; /* inside the namespace */
	uint32_t outer_ifindex; /* in the machine's; attached as DP_IF_DOMAIN with the number */
	struct mac inner_mac, outer_mac;
};

struct keeper_port {
	char ifname[KEEPER_IFNAME];
	uint32_t role;  /* enum keeper_port_role */
	uint32_t index; /* port number in the edge's maps (trunks) */
};

struct keeper_port_info {
	uint32_t ifindex;
	uint32_t mtu;
	struct mac mac;
	uint8_t spare[2];
};

struct keeper_nic {
	char ifname[KEEPER_IFNAME];
	uint32_t number; /* the NIC's slot in the host's maps */
	uint32_t spare;
};

/* A socket to dial from. domain 0: from the machine's namespace (fabric peers). */
struct keeper_dial {
	uint32_t domain;
	uint8_t ttl;     /* 0: 255, which suits every peer */
	uint8_t min_ttl; /* RFC 5082; 0: not checked */
	uint8_t spare[2];
	struct addr local, peer;
	struct keeper_key key;
};

struct keeper_fabric_listen {
	struct addr local;
	uint8_t min_ttl;
	uint8_t spare[2];
};

struct keeper_fabric_peer {
	struct addr local, peer;
	struct keeper_key key;
};

/* One object in custody, with its descriptors in this order: netns, TCP listener, BFD receive, BFD
 * send; absent ones are skipped and marked in `has`.
 *
 * bfdd, once connected: HELLO, then one CUSTODY for each object it holds, then END. The keeper
 * answers with MAPS, DROPs what it no longer has (a keeper that has just started takes all of it
 * over instead), then CUSTODY for each object that bfdd lacks, then END. Later changes follow as
 * they happen. An object that was made anew has another generation. */
enum keeper_custody_kind {
	KEEPER_CUSTODY_END,
	KEEPER_CUSTODY_DOMAIN, /* number = domain */
	KEEPER_CUSTODY_FABRIC, /* number = 0, info.local = underlay address */
};
enum { KEEPER_FD_NETNS, KEEPER_FD_LISTENER, KEEPER_FD_BFD_RX, KEEPER_FD_BFD_TX, KEEPER_FDS };
struct keeper_custody {
	uint32_t kind;
	uint32_t has; /* bit per KEEPER_FD_* */
	struct keeper_domain_info info;
	uint32_t generation; /* of a re-created object with the same number */
};

struct keeper_msg {
	uint16_t version;
	uint16_t type; /* enum keeper_type */
	int32_t code;  /* replies: 0 or negative errno */
	union {
		uint32_t role;
		uint32_t maps; /* reply: bit per enum dp_map that came along, in that order */
		struct keeper_port port;
		struct keeper_port_info port_info;
		struct keeper_domain domain;
		struct keeper_domain_info domain_info;
		uint32_t number;
		struct {
			uint32_t n;
			uint32_t number[KEEPER_DOMAINS_PER_REPLY];
		} list;
		struct keeper_dial dial;
		struct keeper_fabric_listen fabric;
		struct keeper_fabric_peer fabric_peer;
		struct keeper_nic nic;
		struct keeper_custody custody;
		char text[256]; /* replies with code < 0: why, for the log */
	};
};

/* The client. Not for several threads. */
struct keeper;
struct keeper *keeper_create(const char *run_dir, enum keeper_role role);
void keeper_destroy(struct keeper *k);
CLEANUP(keeper)

/* Descriptors are the caller's and close-on-exec. The set is what the role may have: the daemons
 * link_up for reading only. Close with datapath_fds_close(). */
int keeper_maps(struct keeper *k, struct datapath_fds *ret, struct err *e);
/* Loads on first use, attaches (or replaces, without a gap, the predecessor's program) and enters
 * the port in the devmap. Only ports that the keeper's own options name are allowed. */
int keeper_port_attach(struct keeper *k, const struct keeper_port *p, struct keeper_port_info *ret,
		       struct err *e);

struct keeper_domain_fds {
	int listener; /* non-blocking, listening on local:179 */
	int netlink;  /* NETLINK_ROUTE inside the domain's namespace: read its neighbours */
};
/* Idempotent; the key is set also when the domain was there. With other addresses, MTU or flags than
 * before: -EEXIST, remove it first. */
int keeper_domain_add(struct keeper *k, const struct keeper_domain *d,
		      struct keeper_domain_info *ret, struct keeper_domain_fds *ret_fds,
		      struct err *e);
int keeper_domain_key(struct keeper *k, uint32_t number, const struct keeper_key *key,
		      struct err *e);
/* 0 also when there is none. */
int keeper_domain_remove(struct keeper *k, uint32_t number, struct err *e);
/* Numbers greater than after, ascending, at most cap; *ret_n 0 at the end. */
int keeper_domain_list(struct keeper *k, uint32_t after, uint32_t *ret, size_t cap, size_t *ret_n,
		       struct err *e);
int keeper_dial(struct keeper *k, const struct keeper_dial *d, int *ret_fd, struct err *e);
int keeper_fabric_listen(struct keeper *k, const struct keeper_fabric_listen *f, int *ret_fd,
			 struct err *e);
int keeper_fabric_peer(struct keeper *k, const struct keeper_fabric_peer *p, struct err *e);
int keeper_nic_attach(struct keeper *k, const struct keeper_nic *n, struct keeper_port_info *ret,
		      struct err *e);
int keeper_nic_detach(struct keeper *k, const struct keeper_nic *n, struct err *e);
