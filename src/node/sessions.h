/* The BGP speaker on real sockets and the daemon's loop: accepts from the keeper's listeners, dials
 * on the keeper's sockets, moves bytes, keeps the engine's timer. One thread.
 *
 * The owner's route hooks are called from inside the engine; its other calls must be followed by
 * sessions_kick() so that the engine works them off. */
#pragma once

#include "bgp/query.h"
#include "bgp/speaker.h"
#include "supervise/keeper.h"

#include <uv.h>

struct sessions;
struct session;

/* Takes over cfg->hooks.dial, close and output; ctx and the other hooks stay the caller's. */
struct sessions *sessions_create(uv_loop_t *loop, struct keeper *keeper,
				 const struct bgp_speaker_config *cfg);
/* Closes all transports without a NOTIFICATION (RFC 8538). The loop must turn once more. */
void sessions_destroy(struct sessions *s);
struct bgp_speaker *sessions_speaker(struct sessions *s);
/* Something was changed in the engine: work it off soon. */
void sessions_kick(struct sessions *s);

/* The fabric's listener (taken); fabric sessions accept from it. */
int sessions_fabric_listener(struct sessions *s, int fd, struct err *e);

struct session_config {
	struct bgp_peer_config bgp; /* owner: the caller's, see session_owner() */
	uint32_t domain;            /* 0: a fabric peer */
	const char *md5;            /* "" = none; copied */
	uint8_t min_ttl; /* of the peer's packets on dialled connections (RFC 5082); 0: any */
	int listener;    /* customers: their own, taken; -1: none */
};
/* Creates and starts the peer. */
int session_create(struct sessions *s, const struct session_config *cfg, struct session **ret,
		   struct err *e);
void session_destroy(struct session *s); /* NULL is fine */
struct bgp_peer *session_peer(struct session *s);
void *session_owner(const struct bgp_peer *p);
/* For transports dialled from now on; the listener's key is the keeper's. */
void session_set_md5(struct session *s, const char *md5);
/* Ends its transports as if the network had; routes stay by graceful restart where the peer can. */
void session_reconnect(struct session *s, const char *why);
/* "" -> no key. */
void session_key(const char *md5, struct keeper_key *ret);
