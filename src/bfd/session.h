/* One RFC 5880 session, asynchronous mode, no echo, no authentication. It owns no socket and reads
 * no clock: packets and time go in; packets, deadlines and changes come out.
 *
 *             Up/Init heard                Up/Init heard
 *    ┌──────┐ ─────────────▶ (via Init) ▶ ┌────┐
 *    │ Down │ Down heard: ▶ Init          │ Up │ ─▶ Down: detection time, Down or AdminDown heard
 *    └──────┘ ◀────────────────────────── └────┘
 *
 * After every input, tick or reconfiguration the caller drains bfd_session_take() and re-arms its
 * timer with what bfd_session_deadline() says. */
#pragma once

#include "base/mono.h"
#include "bfd/packet.h"

struct bfd_config {
	uint32_t local_discr; /* not 0, unique on the system */
	uint32_t min_tx_us;   /* Desired Min TX once Up; before that at least 1 s (6.8.3) */
	uint32_t min_rx_us;
	uint8_t detect_mult; /* 1..255 */
	bool is_admin_down;
	uint32_t seed; /* of the jitter */
};

/* What a session is at this moment, for events and for people. */
struct bfd_status {
	enum bfd_state state, remote_state;
	uint8_t diag, remote_diag;
	bool is_remote_control_independent; /* the C bit last heard */
	uint32_t local_discr, remote_discr;
	uint32_t tx_us;     /* in force for sending, before jitter */
	uint32_t detect_us; /* in force for detection */
	uint64_t n_rx, n_tx, n_discarded;
	uint32_t n_up, n_down; /* transitions into and out of Up */
	struct mono changed;   /* last change of state */
};

/* The whole of a session as bytes that outlive the process; opaque but for its size. A copy made
 * between two calls is always consistent. */
enum { BFD_SAVED_SIZE = 192 };
struct bfd_saved {
	uint64_t w[BFD_SAVED_SIZE / 8];
};

struct bfd_session;
struct bfd_session *bfd_session_create(const struct bfd_config *cfg, struct mono now);
/* From a predecessor's bytes: same discriminators, same state, a full detection time granted from
 * now, a packet due at once. NULL when the bytes make no sense. */
struct bfd_session *bfd_session_restore(const struct bfd_saved *saved, struct mono now);
void bfd_session_save(const struct bfd_session *s, struct bfd_saved *ret);
void bfd_session_destroy(struct bfd_session *s); /* NULL is fine */
CLEANUP(bfd_session)

/* New timers or admin state; a live session changes them by a Poll sequence (6.8.3), discriminator
 * and seed stay. */
void bfd_session_configure(struct bfd_session *s, const struct bfd_config *cfg, struct mono now);
/* A packet that was demultiplexed to this session. -EBADMSG and *e when it was discarded. */
int bfd_session_input(struct bfd_session *s, const struct bfd_packet *p, struct mono now,
		      struct err *e);
/* Sends and detects what is due; returns when to call again. */
struct mono bfd_session_tick(struct bfd_session *s, struct mono now);
struct mono bfd_session_deadline(const struct bfd_session *s);
/* The next packet to send, false when there is none. */
bool bfd_session_take(struct bfd_session *s, uint8_t out[BFD_PACKET_SIZE]);
/* True once after state, remote state or diagnostics changed. */
bool bfd_session_changed(struct bfd_session *s);
struct bfd_status bfd_session_status(const struct bfd_session *s);
