/* What edged and hostd say to bfdd, as fixed structs over RUN/bfdd.sock, and what comes back.
 *
 * A link (u32, the number in the packet maps) is a customer's session link or a tunnel to a node.
 * bfdd alone writes link_up[link], from two sources:
 *   - its BFD session on that link: Up sets it; leaving Up clears it, except when the peer said
 *     AdminDown (RFC 5882 3.2: that is no failure of the path);
 *   - LINK messages: the client's word that BGP is Established (1) or has closed for good (0).
 *     Ignored while the link's BFD session is Up; otherwise the last news wins.
 * So the client sends LINK for every peering, with BFD or without, and not while it keeps stale
 * routes during a graceful restart.
 *
 * Sessions outlive the client. After a (re)start it calls bfdd_begin(), adds everything it wants
 * (adding what exists is a modification and answers with its state), then bfdd_end(): what was not
 * named is removed, and its links are cleared.
 *
 * Sockets are not in here: bfdd holds those that the keeper made for the domain. A session may be
 * added before them; it starts when they arrive.
 *
 * Calls queue and do not wait; when bfdd is away they fail with -ENOTCONN, and the client comes
 * back with bfdd_connect() and a new begin/end. */
#pragma once

#include "bfd/packet.h"
#include "net/addr.h"

#define BFDD_SOCKET "bfdd.sock"

enum { BFDD_VERSION = 1 };

enum bfdd_type {
	BFDD_BEGIN = 1,
	BFDD_END,
	BFDD_SESSION,        /* add or modify */
	BFDD_SESSION_REMOVE, /* AdminDown is said to the peer; clears link_up */
	BFDD_LINK,
	BFDD_QUERY, /* → one EVENT with the session as it is */
	BFDD_EVENT, /* bfdd → client */
	BFDD_TYPES
};

#define BFDD_MULTIHOP 1u   /* RFC 5883, port 4784, domain 0: between underlay addresses */
#define BFDD_ADMIN_DOWN 2u /* hold the session down and tell the peer so */
struct bfdd_session {
	uint32_t link;
	uint32_t domain; /* 0: the machine's namespace */
	struct addr local, peer;
	uint8_t detect_mult; /* 0: 3 */
	uint8_t min_ttl;     /* multihop: least TTL accepted; 0: 250 */
	uint32_t flags;
	uint32_t min_tx_us, min_rx_us; /* 0: 300,000 */
};

#define BFDD_IS_UP 1u              /* link_up[link] as it now stands */
#define BFDD_HAS_SESSION 2u        /* the rest describes a session */
#define BFDD_REMOTE_INDEPENDENT 4u /* the peer's C bit: its BFD survives its control plane */
struct bfdd_event {
	uint32_t link;
	uint32_t flags;
	uint8_t state, remote_state; /* enum bfd_state */
	uint8_t diag, remote_diag;
	uint32_t local_discr, remote_discr;
	uint32_t tx_us, detect_us;
	uint32_t n_up, n_down;
	uint64_t n_rx, n_tx, n_discarded;
	int64_t changed_us; /* struct mono of the last change */
};

struct bfdd_msg {
	uint16_t version;
	uint16_t type; /* enum bfdd_type */
	uint32_t spare;
	union {
		struct bfdd_session session;
		struct {
			uint32_t link;
			uint32_t is_up;
		} link;
		struct bfdd_event event;
	};
};

struct bfdd;
/* -ENOENT or -ECONNREFUSED while bfdd is away. */
int bfdd_connect(const char *run_dir, struct bfdd **ret, struct err *e);
void bfdd_destroy(struct bfdd *b);
CLEANUP(bfdd)
/* For poll(): readable when events wait or bfdd has gone. */
int bfdd_fd(const struct bfdd *b);
/* 1 and *ret; 0 when none waits; -ENOTCONN when bfdd has gone. */
int bfdd_next(struct bfdd *b, struct bfdd_event *ret, struct err *e);

int bfdd_begin(struct bfdd *b, struct err *e);
int bfdd_end(struct bfdd *b, struct err *e);
int bfdd_session_set(struct bfdd *b, const struct bfdd_session *s, struct err *e);
int bfdd_session_remove(struct bfdd *b, uint32_t link, struct err *e);
int bfdd_link_set(struct bfdd *b, uint32_t link, bool is_up, struct err *e);
int bfdd_query(struct bfdd *b, uint32_t link, struct err *e);
