/* A BGP speaker: the pure engine. Bytes and time go in; bytes, events and the next deadline come
 * out. It owns no socket, reads no clock, logs nothing, and runs on one thread.
 *
 *   speaker    one per daemon: identity, attribute pool, VPNv4 routes, timers
 *   table      one per routing domain or VNet: routes by prefix, RD, export and import RTs
 *   peer       a configured session. A *customer* peer speaks IPv4 unicast into one table; a
 *              *fabric* peer speaks VPNv4
 *   conn       one TCP transport of a peer. Up to two exist while RFC 4271 6.8 sorts out which of a
 *              dialled and an accepted one stays
 *
 * The owner's loop:
 *   on readable      bgp_conn_input(conn, bytes, n <= 64 kB, now)
 *   hook output      (conn has something to send) bgp_conn_output(), write, bgp_conn_sent()
 *   hook dial        open a socket; then bgp_conn_connected() or bgp_conn_closed()
 *   on accept        bgp_peer_accept(); NULL means close it
 *   hook close       write the last bytes once, close the socket
 *   after any of these and on the timer: deadline = bgp_speaker_tick(s, now). Best paths, hooks
 *   about routes and UPDATEs are worked off there in bounded batches; a returned deadline <= now
 *   means there is more: poll the sockets, come back.
 *
 * Hooks run inside engine calls. In a hook the owner may read (query.h, attr.h) and must not call
 * anything that takes a non-const speaker, table, peer or conn.
 *
 * RFCs: 4271, 4360, 4364, 4456, 4486, 4724, 4760, 5492, 6286, 6608, 6793, 2918, 7606, 7607, 8538,
 * 9003, 9012, 9072, 9384, 9687. */
#pragma once

#include "base/mono.h"
#include "bgp/attr.h"
#include "bgp/reason.h"
#include "net/addr.h"
#include "net/ids.h"

struct bgp_speaker;
struct bgp_table;
struct bgp_peer;
struct bgp_conn;

/* A row of the family table in message.c. */
enum bgp_family { BGP_IPV4, BGP_VPNV4, BGP_N_FAMILIES };

/* RFC 4271 8.2.2, in order of progress. */
/* clang-format off */
#define BGP_STATES(X) \
	X(IDLE, "Idle") \
	X(CONNECT, "Connect") \
	X(ACTIVE, "Active") \
	X(OPENSENT, "OpenSent") \
	X(OPENCONFIRM, "OpenConfirm") \
	X(ESTABLISHED, "Established")
/* clang-format on */
enum bgp_state {
#define BGP_STATE_ENUM(name, text) BGP_##name,
	BGP_STATES(BGP_STATE_ENUM)
#undef BGP_STATE_ENUM
		BGP_N_STATES
};
const char *bgp_state_text(enum bgp_state s);

enum {
	BGP_PATHS_MAX = 16, /* candidates a hook shows of one prefix */
	BGP_RTS_MAX = 256,  /* import targets of one table */
	BGP_EXPORTS_MAX = 8 /* export targets of one table */
};

/* One candidate for a prefix, as hooks and queries show it. */
struct bgp_path {
	const struct bgp_peer *peer; /* from whom; NULL: originated here */
	const struct bgp_attr *attr;
	struct addr next_hop;   /* customer: the CE; imported: the node's underlay address */
	struct fabric_key key;  /* imported: key for the tunnel to next_hop, else 0 */
	struct rd rd;           /* imported: from which RD, else 0 */
	bool is_external;       /* from a customer of this table */
	bool is_imported;       /* through VPNv4 */
	bool is_stale;          /* its peer is restarting (RFC 4724) */
	bool is_multipath;      /* shares the load with the best one */
	enum bgp_reason reason; /* only in received routes: why it is not used */
};

struct bgp_hooks {
	void *ctx;
	/* Open a transport to the peer's remote address, from its local one. Return false if that
	 * failed at once (treated as bgp_conn_closed()). */
	bool (*dial)(void *ctx, struct bgp_conn *c);
	/* The engine is done with c: try once to write last[0..n), close the socket, forget c.
	 * Not called for a conn that the owner itself reported by bgp_conn_closed(). */
	void (*close)(void *ctx, struct bgp_conn *c, const uint8_t *last, size_t n);
	/* c has bytes to send where it had none. */
	void (*output)(void *ctx, struct bgp_conn *c);
	/* The peer's state (the better of its transports) changed; why is text for people. */
	void (*peer_changed)(void *ctx, struct bgp_peer *p, enum bgp_state from, enum bgp_state to,
			     const char *why);
	/* The candidates of a prefix changed: best first, n = 0 when it is gone. Multipath members
	 * come right behind the best; what follows can serve as a backup. */
	void (*route_changed)(void *ctx, struct bgp_table *t, const struct prefix *prefix,
			      const struct bgp_path *paths, size_t n);
	/* The table's routes are complete for the first time (at once, unless the speaker was created
	 * as restarting): everything route_changed has not named is no more. */
	void (*table_ready)(void *ctx, struct bgp_table *t);
	/* The peer crossed 80 or 90 percent of its limit upwards. */
	void (*prefix_warning)(void *ctx, struct bgp_peer *p, unsigned percent, uint32_t n,
			       uint32_t limit);
	/* May this VPNv4 route of this fabric peer be used? NULL accepts all. Asked once a route;
	 * again after bgp_peer_recheck(). rts are the route targets only. */
	bool (*accept_vpn)(void *ctx, struct bgp_peer *p, struct rd rd, const struct prefix *prefix,
			   const struct ext_community *rts, size_t n_rts);
};

struct bgp_speaker_config {
	struct asn as;           /* default local AS of peers; the fabric's AS */
	uint32_t router_id;      /* host order, not 0 */
	uint32_t cluster_id;     /* 0: the router id */
	struct addr fabric_addr; /* next hop of what we export to the fabric */
	/* RFC 4724: we restarted and kept forwarding. Sets the R bit; tables hold back best paths,
	 * exports and End-of-RIB until their peers' End-of-RIB or 60 s (deferral_ms, 0: default).
	 * Create the tables and start the peers that were there before the first tick. */
	bool is_restarting;
	uint32_t deferral_ms;
	uint64_t seed; /* of jitter and hashes: random bytes; equal seeds give equal runs */
	struct bgp_hooks hooks; /* any may be NULL */
};

struct bgp_speaker *bgp_speaker_create(const struct bgp_speaker_config *cfg, struct mono now);
/* Sends nothing and calls no hook: peers see their transport close when the owner closes it, which
 * is what a planned restart wants (RFC 8538). Destroys tables, peers and conns. */
void bgp_speaker_destroy(struct bgp_speaker *s);
/* Timers and a bounded batch of pending work. Returns when to call again at the latest. */
struct mono bgp_speaker_tick(struct bgp_speaker *s, struct mono now) NODISCARD;
CLEANUP(bgp_speaker)

/* ---- tables ---- */

struct bgp_import {
	struct ext_community rt;
	bool to_customers; /* announce what it brings to this table's customers (Global Reach) */
};

struct bgp_table_config {
	const char *name; /* copied */
	void *owner;
	struct rd rd;          /* 0: nothing is exported */
	struct fabric_key key; /* which the receivers of our routes put on packets for this table */
	uint32_t local_pref;   /* on export; 0: 100 */
	uint8_t multipath;     /* 1..4; 0: 1 */
	bool multipath_mixed;  /* customer and imported paths may share the load */
	struct ext_community exports[BGP_EXPORTS_MAX];
	uint8_t n_exports;
};

struct bgp_table *bgp_table_create(struct bgp_speaker *s, const struct bgp_table_config *cfg);
/* Its peers must be gone. Withdraws what was exported; no route hooks are called. */
void bgp_table_destroy(struct bgp_table *t);
void *bgp_table_owner(const struct bgp_table *t);
const char *bgp_table_name(const struct bgp_table *t);
/* Replaces the import set; routes come and go from the VPNv4 routes at hand. */
void bgp_table_set_imports(struct bgp_table *t, const struct bgp_import *imports, size_t n);
/* Changes what exports carry (RTs, key, local-pref, multipath); announces again what needs it. rd, name
 * and owner stay. */
void bgp_table_set_exports(struct bgp_table *t, const struct bgp_table_config *cfg);

enum bgp_scope {
	BGP_TO_FABRIC = 1,    /* exported as VPNv4 and a local route of the table (a NIC's /32) */
	BGP_TO_CUSTOMERS = 2, /* announced to the table's customers (a VNet's address space) */
};
/* Adds, or replaces the scope of, a route originated here. */
void bgp_table_originate(struct bgp_table *t, const struct prefix *p, unsigned scopes);
void bgp_table_withdraw(struct bgp_table *t, const struct prefix *p);

/* ---- peers ---- */

struct bgp_peer_config {
	const char *name; /* copied */
	void *owner;
	struct bgp_table *table; /* customer: its table; NULL: a fabric peer (VPNv4) */
	struct addr local, remote;
	struct asn local_as; /* 0: the speaker's */
	struct asn remote_as;
	bool is_passive;     /* never dial */
	bool is_client;      /* fabric: a route reflector client (RFC 4456) */
	bool no_graceful;    /* do not announce graceful restart */
	struct prefix link;  /* customer: the link subnet; len 0 with family 0: not checked */
	uint16_t hold_s;     /* proposed; 0: 180 */
	uint16_t min_hold_s; /* smaller ones of the peer are refused; 0: 3. Hold 0 is refused */
	uint16_t restart_s;  /* graceful restart time we announce; 0: 120 */
	uint16_t stale_s;    /* longest time stale routes wait for End-of-RIB; 0: 360 */
	uint32_t connect_retry_ms; /* 0: 5000, with 25 % jitter */
	uint32_t idle_hold_ms;     /* first wait after an error, doubling; 0: 1000 */
	uint32_t idle_hold_max_ms; /* 0: 60000 */
	uint32_t max_prefixes;     /* 0: no limit */
	uint16_t max_path;         /* longest AS_PATH in AS numbers; 0: 64 */
};

/* The peer starts stopped. Fails (NULL, -EINVAL) on a config that cannot be. */
struct bgp_peer *bgp_peer_create(struct bgp_speaker *s, const struct bgp_peer_config *cfg,
				 struct err *e);
/* Cease/Peer De-configured (RFC 4486); its routes go. */
void bgp_peer_destroy(struct bgp_peer *p, struct mono now);
void bgp_peer_start(struct bgp_peer *p, struct mono now);
/* Cease/Administrative Shutdown with a reason of at most 255 bytes UTF-8 (RFC 9003; NULL: none).
 * Its routes go at once; the peer stays stopped. */
void bgp_peer_stop(struct bgp_peer *p, const char *text, struct mono now);
/* Cease/Administrative Reset, then it starts again. Routes go (a hard reset, RFC 8538). */
void bgp_peer_reset(struct bgp_peer *p, const char *text, struct mono now);
/* BFD says the path is dead: the session ends (RFC 9384) and all its routes, stale ones too, go at
 * once. In whether a peer in its own restart is spared, the owner decides by not calling. */
void bgp_peer_bfd_down(struct bgp_peer *p, struct mono now);
/* Asks the peer to send all again (RFC 2918); false if it cannot. */
bool bgp_peer_refresh(struct bgp_peer *p);
/* Asks accept_vpn again for every route of this fabric peer. */
void bgp_peer_recheck(struct bgp_peer *p);
/* 0: none. Exceeded already: takes the session down. */
void bgp_peer_set_limit(struct bgp_peer *p, uint32_t max_prefixes, struct mono now);
void *bgp_peer_owner(const struct bgp_peer *p);
const char *bgp_peer_name(const struct bgp_peer *p);
/* Config as effective: defaults filled in. */
const struct bgp_peer_config *bgp_peer_config(const struct bgp_peer *p);

/* ---- transports ---- */

/* An accepted transport from the peer's address. NULL: not wanted now, close it. */
struct bgp_conn *bgp_peer_accept(struct bgp_peer *p, struct mono now);
/* A dialled transport is up. */
void bgp_conn_connected(struct bgp_conn *c, struct mono now);
/* It ended or never came up; why is for people ("connection refused"). c is gone after this. */
void bgp_conn_closed(struct bgp_conn *c, const char *why, struct mono now);
/* Bytes from the peer. False: c was closed meanwhile (hook close was called) and is gone. */
bool bgp_conn_input(struct bgp_conn *c, const void *p, size_t n, struct mono now);
/* What to send; valid until the next call with this speaker. */
const uint8_t *bgp_conn_output(struct bgp_conn *c, size_t *ret_n);
void bgp_conn_sent(struct bgp_conn *c, size_t n, struct mono now);
struct bgp_peer *bgp_conn_peer(const struct bgp_conn *c);
void *bgp_conn_owner(const struct bgp_conn *c);
void bgp_conn_set_owner(struct bgp_conn *c, void *owner);
