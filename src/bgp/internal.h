/* What the files of this folder share. One speaker, one thread; nothing here is seen outside.
 *
 *   table's rib   (addr, len) -> paths of the table's customers, originated ones, imported ones
 *   RD's rib      the same shape for the VPNv4 routes of one route distinguisher
 *   out rib       of a table: what its customers are told; small, for customers never see routes of
 *                 customers of the same table
 *
 * A change of a rib's prefix is appended to a log (of the speaker for VPNv4, of the table for its
 * customers). A peer's export is a cursor into the log and, at first, a walk over the ribs; there
 * is no copy per peer of what it was told. A prefix without paths stays as a tombstone until the
 * log entry that withdraws it has been passed by every cursor. */
#pragma once

#include "base/buf.h"
#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "bgp/message.h"
#include "bgp/query.h"
#include "bgp/speaker.h"

enum {
	MAX_PEERS = UINT16_MAX,
	OUT_HIGH = 65536,      /* no more is encoded while this much waits to be sent */
	TICK_NETS = 4096,      /* best paths a tick */
	TICK_EXPORTS = 64,     /* peers a tick */
	EXPORT_BATCH = 1024,   /* changes encoded together, packed by attributes */
	CONNS = 3,             /* dialled, accepted, and the one they may replace */
	SEND_HOLD_MS = 480000, /* RFC 9687 */
	LOG_MAX = 1 << 22,     /* changes kept for a reader that lags; then it loses its session */
};

/* 16 bytes: there are tens of millions. */
struct path {
	uint32_t attr;  /* index, one reference */
	uint32_t next;  /* 0: last */
	uint32_t src;   /* imported: index of the RD's rib; else 0 */
	uint16_t peer;  /* index; 0: originated here */
	uint8_t epoch;  /* of the peer when it sent this; another than its present one: stale */
	uint8_t reason; /* enum bgp_reason */
};
_Static_assert(sizeof(struct path) == 16, "a path is 16 bytes");

enum net_flags {
	NET_USED = 1,
	NET_DIRTY = 2,     /* in its table's queue */
	NET_DIRTY_OWN = 4, /* a path that is exported changed */
	NET_LOGGED = 8,    /* the log entry at .log is still to be passed by someone */
	NET_CLIENT = 16,   /* RD's rib: a reflector client's path was best once */
	NET_SOURCES = 32,  /* RD's rib: more than one peer's path was best */
};
struct net {
	uint32_t addr;
	uint32_t path; /* 0: none; of a free net: the next free one */
	uint32_t log;  /* sequence number of its latest entry */
	uint16_t src;  /* RD's rib: whose path was best first */
	uint8_t len, flags;
};
_Static_assert(sizeof(struct net) == 16, "a prefix is 16 bytes");

enum rib_kind { RIB_TABLE, RIB_OUT, RIB_VPN };
struct rib {
	struct bgp_speaker *s;
	uint32_t index; /* in s->ribs */
	enum rib_kind kind;
	struct rd rd;
	struct bgp_table
		*table;     /* RIB_VPN: NULL; also of a table that is gone but not yet withdrawn */
	struct net *nets;   /* [0] unused */
	struct path *paths; /* [0] unused */
	uint32_t n_nets, cap_nets, free_net, used_nets;
	uint32_t n_paths, cap_paths, free_path;
	uint32_t *hash; /* net indices, open addressing */
	uint32_t n_hash;
	uint64_t peer_mask; /* bit index % 64 of every peer that ever had a path here */
	bool is_empty_queued;
	struct ext_community *rts; /* RIB_VPN: targets it is listed under */
	uint32_t n_rts;
};

struct log_entry {
	uint32_t rib, net;
};
struct log {
	struct log_entry *e; /* ring, entry of seq at seq & (cap - 1) */
	uint32_t cap, begin, end;
	uint32_t n_readers; /* peers in Established that read it */
	struct list *peers; /* they are among these */
	bool has_woken;     /* its readers are in the work list since the last tick */
};

/* Who imports a route target, and which RDs carry it. */
struct target {
	struct ext_community rt;
	struct {
		struct bgp_table *table;
		bool to_customers;
	} * tables;
	uint32_t n_tables;
	uint32_t *ribs;
	uint32_t n_ribs;
};

struct bgp_table {
	struct bgp_speaker *s;
	struct list node;
	struct list dirty_node;   /* in s->dirty_tables */
	struct list unready_node; /* in s->unready */
	char *name;
	struct bgp_table_config cfg;
	struct bgp_import *imports;
	size_t n_imports;
	struct rib *rib, *out;
	struct log out_log;
	struct list peers; /* customers */
	uint32_t *dirty;
	uint32_t n_dirty, cap_dirty, at_dirty;
	size_t n_usable; /* prefixes with a path the owner was told of */
	bool is_ready;
};

struct bgp_conn {
	struct bgp_peer *peer; /* NULL: the slot is free */
	void *owner;
	enum bgp_state state;
	bool is_dialled;
	bool as4;
	uint8_t families;
	uint16_t hold_s, keepalive_s;
	struct mono hold, keepalive, send_hold;
	struct bgp_open open;
	struct buf out;
	size_t out_at;
	uint8_t *part; /* of a message cut in two; allocated while there is one */
	size_t n_part;
};

struct exporter {
	struct log *log; /* NULL: not Established */
	uint32_t at;
	bool is_walking, owes_eor;
	uint32_t walk_rib, walk_net;
};

struct bgp_peer {
	struct bgp_speaker *s;
	struct list node, group_node; /* group: of its table's customers, or of fabric peers */
	struct list work_node;        /* in s->work: something to export */
	uint16_t index;
	char *name;
	struct bgp_peer_config cfg;
	bool is_external, is_started;
	enum bgp_state state;
	enum bgp_family family;
	struct bgp_conn conns[CONNS];
	struct bgp_conn *main; /* Established */
	struct exporter ex;

	/* deadlines; MONO_NEVER when off */
	struct mono retry, idle_until, restart_until, stale_until;
	struct mono due;  /* heap key: not later than any of them */
	uint32_t heap_at; /* 1-based; 0: not in it */
	unsigned n_failures;
	struct mono since;

	/* received routes */
	uint8_t epoch;
	bool has_stale;
	bool eor_received, counts_for_deferral;
	uint32_t n_prefixes, n_rejected, warned;
	uint32_t router_id;
	bool was_graceful, was_notification_bit;
	uint16_t peer_restart_s;

	uint64_t n_in, n_out, n_updates_in, n_updates_out, n_established;
	uint64_t n_withdrawn_as_error, n_attrs_discarded;
	uint64_t rejected[BGP_N_REASONS];
	uint8_t last_code, last_subcode;
	bool last_was_sent, eor_sent;
	char last_error[320];
};

struct bgp_speaker {
	struct bgp_speaker_config cfg;
	struct bgp_attrs *attrs;
	struct bgp_attr *local_attr; /* of originated routes */
	struct list tables, peers, fabric;
	struct bgp_peer **peer_at; /* by index; [0] unused */
	uint32_t n_peer_at;
	struct rib **ribs; /* by index; [0] unused, NULL: free */
	uint32_t n_ribs, cap_ribs;
	uint32_t *free_ribs; /* indices to use again */
	uint32_t n_free_ribs, cap_free_ribs;
	struct map rds;     /* rd -> rib */
	struct map targets; /* rt -> target */
	struct log vpn_log;
	unsigned n_clients; /* fabric peers that are reflector clients */
	struct list dirty_tables, unready, work;
	bool may_be_ready; /* something happened that a table may have waited for */
	uint32_t *empty_ribs;
	uint32_t n_empty_ribs, cap_empty_ribs;
	struct bgp_peer **heap; /* [0] unused */
	uint32_t n_heap, cap_heap;
	struct mono defer_until; /* MONO_NEVER: not deferring */
	struct mono now;         /* of the call at hand */
	uint64_t random, hash_seed;
	struct bgp_update update; /* of the message at hand */
	struct buf scratch;
};

/* rib.c: prefixes and paths. A net index stays valid until the net is freed; pointers into
 * rib->nets and rib->paths only until something is added. */
struct rib *rib_create(struct bgp_speaker *s, enum rib_kind kind, struct bgp_table *t,
		       struct rd rd);
void rib_destroy(struct rib *r);
/* Destroys a rib that is left over, now or when its last withdrawal has been sent. */
void rib_retire(struct rib *r);
struct log *rib_log(const struct rib *r);                           /* NULL: nobody is told */
uint32_t rib_find(const struct rib *r, uint32_t addr, uint8_t len); /* 0: none */
uint32_t rib_net(struct rib *r, uint32_t addr, uint8_t len);        /* found or added */
/* The path of (peer, src) in the net, 0 if none. */
uint32_t rib_path(const struct rib *r, uint32_t net, uint16_t peer, uint32_t src);
/* Adds, takes a reference of attr. */
uint32_t rib_path_add(struct rib *r, uint32_t net, uint16_t peer, uint32_t src,
		      struct bgp_attr *attr);
void rib_path_remove(struct rib *r, uint32_t net, uint32_t path);
/* Frees the net if nothing needs it any more. */
void rib_net_release(struct rib *r, uint32_t net);
size_t rib_bytes(const struct rib *r);
void index_push(uint32_t **list, uint32_t *n, uint32_t *cap, uint32_t index);

void log_fini(struct log *l);
/* Tells the log's readers that the net changed. */
void log_append(struct bgp_speaker *s, struct log *l, struct rib *r, uint32_t net);
/* Drops entries before seq. */
void log_trim(struct bgp_speaker *s, struct log *l, uint32_t seq);
/* Removes entries that a later one replaced; cursors move along. */
void log_compact(struct bgp_speaker *s, struct log *l);

/* decide.c: which path is best. */
struct ranked {
	uint32_t path; /* index in the rib */
	bool is_multipath;
};
enum rank_scope { RANK_ALL, RANK_OWN /* customers' and originated */ };
size_t rank_paths(const struct rib *r, uint32_t net, enum rank_scope scope,
		  struct ranked out[BGP_PATHS_MAX]);
uint32_t rank_best(const struct rib *r, uint32_t net, enum rank_scope scope); /* path or 0 */
void path_show(const struct rib *r, uint32_t path, struct bgp_path *ret);

/* table.c */
void table_touch(struct bgp_table *t, struct rib *r, uint32_t net, bool is_own);
/* Works off at most budget prefixes; returns what is left of it. */
unsigned table_work(struct bgp_table *t, unsigned budget);
void table_set_ready(struct bgp_table *t);

/* vpn.c: VPNv4 routes and who imports them */
struct vpn_before {
	struct bgp_attr *attr; /* of the best path, with a reference; NULL: none */
	uint16_t peer;
};
struct rib *vpn_rib(struct bgp_speaker *s, struct rd rd, bool create);
void vpn_before(struct rib *r, uint32_t net, struct vpn_before *ret);
/* After a change of a VPNv4 prefix: imports, log. Consumes *before. */
void vpn_after(struct rib *r, uint32_t net, struct vpn_before *before);
void vpn_unlist(struct rib *r);

/* receive.c: UPDATEs into ribs. */
/* False: the limit is exceeded; the session is to go. */
bool receive_update(struct bgp_peer *p, const struct bgp_update *u);
/* Removes the peer's routes: all, or the stale ones. */
void receive_purge(struct bgp_peer *p, bool only_stale);
bool path_is_stale(const struct bgp_speaker *s, const struct path *p);

/* export.c */
void export_start(struct bgp_peer *p);
void export_stop(struct bgp_peer *p);
void export_again(struct bgp_peer *p); /* a ROUTE-REFRESH */
/* Encodes until the buffer is full or all is said. */
void export_work(struct bgp_peer *p);
bool export_has_work(const struct bgp_peer *p);
/* The path of a net that p is told, 0 if none. */
uint32_t export_pick(const struct bgp_peer *p, const struct rib *r, uint32_t net);
void export_wake(struct log *l);
void peer_wake(struct bgp_peer *p);

/* session.c: what happens to a transport */
enum bgp_event {
	EV_TCP_UP,
	EV_TCP_DOWN,
	EV_OPEN,
	EV_KEEPALIVE,
	EV_UPDATE,
	EV_REFRESH,
	EV_NOTIFICATION,
	EV_HOLD_EXPIRED,
	EV_FAULT, /* we send a NOTIFICATION: a malformed message, a lost collision, an order */
	EV_CLOSE, /* we close without a word */
	N_EVENTS
};

/* What an event brings along. */
struct happening {
	struct bgp_fault fault; /* NOTIFICATION, FAULT */
	const char *why;
	bool is_final;  /* routes are not kept as stale whatever was negotiated */
	bool is_benign; /* no back-off */
	enum bgp_family family;
};

void conn_step(struct bgp_conn *c, enum bgp_event ev, struct happening *h);
struct bgp_conn *conn_take(struct bgp_peer *p, bool is_dialled); /* NULL: all in use */
void conn_free(struct bgp_conn *c);
/* A transport in that state, other than not_this. */
struct bgp_conn *conn_in(struct bgp_peer *p, enum bgp_state state, const struct bgp_conn *not_this);
void conn_send(struct bgp_conn *c, const void *p, size_t n);
void conn_keepalive(struct bgp_conn *c);
/* The speaker's scratch, empty, and what was built in it, sent. */
struct buf *conn_scratch(struct bgp_conn *c);
void conn_send_built(struct bgp_conn *c, struct buf *b);
/* Whole messages at the front of p; returns how many bytes they took, or -1: c is gone. */
ssize_t conn_receive(struct bgp_conn *c, const uint8_t *p, size_t n);
/* The state people see, and the hook when it moves. */
void peer_show_state(struct bgp_peer *p, const char *why);
struct mono peer_after_ms(const struct bgp_peer *p, int64_t ms);

/* peer.c */
/* Ends the session: it costs more than it may. */
void peer_drop(struct bgp_peer *p, const char *why);
void peer_timers(struct bgp_peer *p, struct mono now);
struct mono peer_due(const struct bgp_peer *p);
bool peer_is_done(const struct bgp_peer *p);

/* speaker.c */
void speaker_schedule(struct bgp_peer *p);
uint32_t speaker_random(struct bgp_speaker *s, uint32_t below);
void peer_free(struct bgp_peer *p);
