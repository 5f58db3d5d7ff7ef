/* One edge router: node objects in, packet tables, sessions and queries out. The glue between the
 * BGP engine, the packet path, bfdd, the keeper and the agent. One thread, libuv.
 *
 *   edge.c     open, close, dispatch of changed objects, timers
 *   domain.c   circuits and domains: attachment, session, BFD, neighbour
 *   fib.c      a domain's packet table from its BGP table
 *   vnet.c     VNets, NICs, what hosts may announce, what customers are told
 *   meter.c    readings into the usage journal, by the rules of ledger.c
 *   query.c    the query socket's and the controller's questions */
#pragma once

#include "base/list.h"
#include "base/map.h"
#include "fabric/journal.h"
#include "node/fabric.h"
#include "node/underlay.h"

struct edge;

/* What a bgp_table's owner points to. */
enum table_kind { TABLE_DOMAIN, TABLE_VNET };
struct table {
	enum table_kind kind;
	struct edge *edge;
	struct bgp_table *bgp;
	struct list dirty; /* in edge->dirty */
};

struct circuit {
	const struct node_object *object;
	uint32_t id; /* trunk << 12 | S-tag: the same after a restart */
	uint8_t trunk;
};

struct domain {
	struct table table; /* bgp NULL: not up */
	const struct node_object *object;
	const struct node_domain *cfg;
	struct keeper_domain_info info;
	struct session *session;
	struct neighbours *neighbours;
	uint32_t link, circuit_id;
	struct bfd_watch watch;
	struct mac peer_mac;
	int64_t peer_mac_us;      /* mono time it was last heard to be reachable; 0: never */
	struct map lingers;       /* withdrawn prefix → struct withdrawn */
	struct prefix *announced; /* originated to the CE */
	unsigned n_announced;
	bool has_keeper, has_dp;
	bool is_owed; /* its circuit is there, but it could not be brought up */
};

struct vnet {
	struct table table;
	const struct node_object *object;
	const struct node_vnet *cfg;
	bool is_live; /* some NIC of it is behind a live tunnel */
};

struct edge {
	struct daemon *daemon;
	struct datapath_edge *dp;
	struct fabric *fabric;
	struct map ports;                        /* key → object */
	struct map circuits;                     /* key → circuit */
	struct map domains;                      /* key → domain */
	struct map domain_numbers, domain_links; /* number, link → domain */
	struct map vnets;                        /* number → vnet */
	struct map placed;                       /* struct placement → nic object */
	struct list dirty;
	uv_timer_t tick, batch, second, first;
	unsigned n_users;   /* timers not closed yet, an entry being journalled */
	int64_t sweep_us;   /* mono: sweep then at the latest */
	struct mono linger; /* when a withdrawn source's time is up */
	bool vnets_dirty, is_swept, owes_domains;
	struct journal *journal;
	struct ledger *ledger; /* what of the meters is in it */
	bool is_journalling, is_closed;
	int64_t hour;
	uint64_t acknowledged;
};

/* Who may announce an address. */
struct placement {
	uint32_t vnet;
	struct addr addr;
};

/* edge.c */
void edge_dirty(struct table *t);
void edge_batch_soon(struct edge *x, unsigned ms);
void edge_let_go(struct edge *x);

/* domain.c */
int circuit_apply(struct edge *x, const struct node_object *from, const struct node_object *to,
		  struct err *e);
int domain_apply(struct edge *x, const struct node_object *from, const struct node_object *to,
		 struct err *e);
int port_apply(struct edge *x, const struct node_object *from, const struct node_object *to,
	       struct err *e);
struct domain *domain_by_number(const struct edge *x, struct fabric_number n);
void domain_link_event(struct edge *x, const struct bfdd_event *ev);
void domain_peer_changed(struct edge *x, struct bgp_peer *p, enum bgp_state from, enum bgp_state to,
			 const char *why);
bool domain_has_vnet(const struct domain *d, struct fabric_number vnet);
/* Is it joined with that domain (Global Reach)? */
bool domain_reaches(const struct domain *d, struct fabric_number other);
void domain_free_all(struct edge *x);
/* Brings up what could not be when its circuit came. */
void domain_retry_owed(struct edge *x);

/* fib.c */
void fib_note_withdrawn(struct domain *d, const struct prefix *p);
void fib_commit(struct domain *d);
/* edge->linger has come: the domains with sources past their time are dirty. */
void fib_end_lingering(struct edge *x);
/* Tells the CE the address spaces of live VNets. */
void fib_announce(struct domain *d);

/* vnet.c */
int vnet_apply(struct edge *x, const struct node_object *from, const struct node_object *to,
	       struct err *e);
int nic_apply(struct edge *x, const struct node_object *from, const struct node_object *to,
	      struct err *e);
struct vnet *vnet_by_number(const struct edge *x, struct fabric_number n);
void vnet_route_changed(struct vnet *v, const struct prefix *p, const struct bgp_path *paths,
			size_t n);
/* Re-judges which VNets are alive; marks the domains that must announce or withdraw. */
void vnet_judge(struct edge *x);
bool vnet_accept(struct edge *x, struct bgp_peer *p, const struct prefix *prefix,
		 const struct ext_community *rts, size_t n_rts);
void vnet_free_all(struct edge *x);

/* meter.c */
int meter_open(struct edge *x, struct err *e);
void meter_close(struct edge *x);
void meter_name(struct edge *x, const struct domain *d); /* remembers whose meters they are */
void meter_second(struct edge *x, enum journal_cause cause);
struct json_t *meter_readings(void *self);
void meter_acknowledged(void *self, uint64_t sequence);

/* query.c */
int edge_query(void *self, const char *query, const char *object, unsigned limit,
	       struct json_t **ret, struct err *e);
struct json_t *edge_state(void *self);

extern const struct daemon_ops edge_ops;
