/* A node on the fabric, the part that edges and hosts share: its own address and port, the gateway
 * of the underlay, and per other node a tunnel, a VPNv4 session and a BFD session. Also the BGP
 * speaker and the link table, which the owner uses for its own peers too. */
#pragma once

#include "datapath/edge.h"
#include "node/daemon.h"
#include "node/links.h"
#include "node/sessions.h"

/* The packet tables, edge's or host's. */
struct fabric_tables {
	void *dp;
	int (*node_set)(void *dp, const struct datapath_node *n, struct err *e);
	int (*gateway_put)(void *dp, const struct addr *gateway, uint32_t port,
			   const struct mac *own, struct err *e);
	int (*gateway_mac)(void *dp, const struct addr *gateway, const struct mac *mac);
	int (*tunnel_put)(void *dp, const struct datapath_tunnel *t, struct err *e);
	void (*tunnel_remove)(void *dp, uint16_t node, struct mono now);
};

struct fabric_config {
	struct daemon *daemon;
	struct fabric_tables tables;
	struct bgp_hooks hooks; /* the owner's; for a fabric peer (one without a table) peer_changed
				 * must call fabric_peer_changed() */
	/* bfdd's news about a link that is no tunnel. */
	void (*link_event)(void *ctx, const struct bfdd_event *ev);
	/* A tunnel's link went up or down. */
	void (*tunnel_changed)(void *ctx, uint16_t node, bool is_up);
};

/* BGP above BFD, for fabric and customer sessions alike: see bgp_bfd_event(). */
struct bfd_watch {
	uint8_t state; /* last BFD state seen */
};

struct fabric_peer {
	const struct node_object *object; /* its config; name = object->key */
	const struct node_fabric_peer *cfg;
	struct fabric *fabric;
	struct session *session;
	struct addr gateway;
	struct bfd_watch watch;
	bool is_up; /* its link, as bfdd says */
};

struct fabric;
struct fabric *fabric_create(const struct fabric_config *cfg);
void fabric_destroy(struct fabric *f);
/* Both as daemon_ops.apply, for "node" and "fabricPeer" objects. */
int fabric_apply_self(struct fabric *f, const struct node_object *from,
		      const struct node_object *to, struct err *e);
int fabric_apply_peer(struct fabric *f, const struct node_object *from,
		      const struct node_object *to, struct err *e);

void fabric_peer_changed(struct fabric *f, struct bgp_peer *p, enum bgp_state from,
			 enum bgp_state to, const char *why);

/* NULL before the node object was applied. */
const struct node_self *fabric_self(const struct fabric *f);
struct sessions *fabric_sessions(struct fabric *f);
struct links *fabric_links(struct fabric *f);

struct fabric_peer *fabric_peer_by_number(const struct fabric *f, uint16_t number);
struct fabric_peer *fabric_peer_by_name(const struct fabric *f, const char *name);
struct fabric_peer *fabric_peer_by_address(const struct fabric *f, const struct addr *underlay);
struct fabric_peer *fabric_pair(const struct fabric *f); /* NULL: none */
/* By name order not promised; at starts at zero. */
struct fabric_peer *fabric_peer_next(const struct fabric *f, size_t *at);

/* What BFD's news mean to a session (RFC 5882): leaving Up takes it down and drops its routes, stale
 * ones too, unless the peer said AdminDown, or is itself restarting and its BFD shares its fate. */
void bgp_bfd_event(struct bgp_peer *p, struct bfd_watch *w, const struct bfdd_event *ev);
/* BGP's word about a link: up when Established; down when gone without stale routes kept. */
void bgp_link_word(struct links *l, uint32_t link, const struct bgp_peer *p, enum bgp_state to);

/* {"session","since","bfd","prefixes","reason"} of a peer for reports and queries; new reference. */
struct json_t *bgp_peer_row(const struct bgp_peer *p, const struct bfdd_event *bfd);
/* bfdd's text of a state. */
const char *bfd_text(const struct bfdd_event *ev);
