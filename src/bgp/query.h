/* Reading a speaker: peers, tables, received and advertised routes. All cursors are plain values;
 * a walk may be spread over loop turns: a cursor stays safe while the speaker changes (it may then
 * miss or repeat a route that moved), as long as its table or peer lives. Order is unspecified. */
#pragma once

#include "bgp/speaker.h"

struct bgp_peer_info {
	enum bgp_state state;
	bool is_stopped;
	bool is_restarting;           /* gone; its routes are kept as stale */
	int64_t since_us;             /* mono time of the last change into or out of Established */
	uint32_t router_id;           /* the peer's, host order; 0 unknown */
	uint16_t hold_s, keepalive_s; /* negotiated; 0 unless at least OpenConfirm */
	bool as4, refresh, graceful, notification_bit; /* negotiated */
	bool eor_received, eor_sent;
	uint32_t n_prefixes; /* received, rejected ones included */
	uint32_t n_rejected;
	uint32_t limit;
	uint64_t n_in, n_out; /* messages */
	uint64_t n_updates_in, n_updates_out;
	uint64_t n_established;           /* times */
	uint64_t n_withdrawn_as_error;    /* UPDATEs treated as withdraw (RFC 7606) */
	uint64_t n_attrs_discarded;       /* attributes discarded (RFC 7606) */
	uint64_t rejected[BGP_N_REASONS]; /* routes refused since start, by reason */
	uint8_t last_code, last_subcode;  /* last NOTIFICATION; 0 none */
	bool last_was_sent;               /* by us */
	const char *last_error;           /* in words; "" if none. Lives with the peer */
};
void bgp_peer_info(const struct bgp_peer *p, struct bgp_peer_info *ret);

struct bgp_peer *bgp_peer_first(const struct bgp_speaker *s);
struct bgp_peer *bgp_peer_after(const struct bgp_peer *p);
struct bgp_table *bgp_table_first(const struct bgp_speaker *s);
struct bgp_table *bgp_table_after(const struct bgp_table *t);

struct bgp_walk {
	uint32_t rib, net, path; /* start zeroed */
};

/* Usable routes of a table, prefix by prefix, paths best first (at most BGP_PATHS_MAX). */
bool bgp_table_next(const struct bgp_table *t, struct bgp_walk *w, struct prefix *ret_prefix,
		    struct bgp_path paths[BGP_PATHS_MAX], size_t *ret_n);
/* One prefix; 0 if it is not there. */
size_t bgp_table_get(const struct bgp_table *t, const struct prefix *p,
		     struct bgp_path paths[BGP_PATHS_MAX]);
size_t bgp_table_count(const struct bgp_table *t); /* prefixes with a usable path */
bool bgp_table_is_ready(const struct bgp_table *t);

/* What the peer sent and still holds up, rejected routes with their reason. rd is 0 for customers. */
bool bgp_received_next(const struct bgp_peer *p, struct bgp_walk *w, struct rd *ret_rd,
		       struct prefix *ret_prefix, struct bgp_path *ret_path);
/* What the peer is told, as of now: path is the source; ret_path->next_hop is as announced. */
bool bgp_advertised_next(const struct bgp_peer *p, struct bgp_walk *w, struct rd *ret_rd,
			 struct prefix *ret_prefix, struct bgp_path *ret_path);

struct bgp_stats {
	size_t n_peers, n_tables, n_established;
	size_t n_attrs;
	size_t n_vpn_routes; /* prefixes in the VPNv4 routes */
	size_t n_log;        /* changes not yet sent to every fabric peer */
	size_t bytes;        /* of routes and their indexes, without attributes */
};
void bgp_speaker_stats(const struct bgp_speaker *s, struct bgp_stats *ret);
