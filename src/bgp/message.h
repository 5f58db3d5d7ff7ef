/* The BGP codec: bytes to values and back. Pure functions; nothing is allocated; values borrow the
 * message. What a message means for a session is the peer's business.
 *
 * Errors come in three kinds. A fault of framing, OPEN or the structure of UPDATE is a struct
 * bgp_fault: the NOTIFICATION to send. A fault in attributes is answered as RFC 7606 says:
 * treat-as-withdraw or attribute discard. */
#pragma once

#include "base/buf.h"
#include "base/cursor.h"
#include "bgp/attr.h"
#include "bgp/speaker.h"

enum { BGP_HEADER = 19, BGP_MESSAGE_MAX = 4096, BGP_DATA_MAX = 256 };
enum bgp_type {
	BGP_TYPE_OPEN = 1,
	BGP_TYPE_UPDATE,
	BGP_TYPE_NOTIFICATION,
	BGP_TYPE_KEEPALIVE,
	BGP_TYPE_REFRESH, /* RFC 2918 */
};

/* NOTIFICATION codes (RFC 4271 4.5, 6608, 4486, 8538, 9384). */
enum {
	BGP_ERR_HEADER = 1,
	BGP_ERR_OPEN = 2,
	BGP_ERR_UPDATE = 3,
	BGP_ERR_HOLD = 4,
	BGP_ERR_FSM = 5,
	BGP_ERR_CEASE = 6,
	BGP_ERR_REFRESH = 7,   /* RFC 7313 */
	BGP_ERR_SEND_HOLD = 8, /* RFC 9687 */
};
enum {
	BGP_CEASE_MAX_PREFIX = 1,
	BGP_CEASE_SHUTDOWN = 2,
	BGP_CEASE_DECONFIGURED = 3,
	BGP_CEASE_RESET = 4,
	BGP_CEASE_REJECTED = 5,
	BGP_CEASE_CONFIG = 6,
	BGP_CEASE_COLLISION = 7,
	BGP_CEASE_RESOURCES = 8,
	BGP_CEASE_HARD_RESET = 9,
	BGP_CEASE_BFD_DOWN = 10,
};

struct bgp_fault {
	uint8_t code, subcode; /* code 0: none */
	uint16_t n;
	uint8_t data[BGP_DATA_MAX];
};
/* Sets *f and returns -EBADMSG. */
int bgp_fault_set(struct bgp_fault *f, uint8_t code, uint8_t subcode, const void *data, size_t n);
/* "UPDATE message error: malformed attribute list" and, for a shutdown, the peer's words. */
const char *bgp_fault_text(const struct bgp_fault *f, char *out, size_t size);

struct bgp_family_info {
	uint16_t afi;
	uint8_t safi;
	const char *name;
};
extern const struct bgp_family_info bgp_families[BGP_N_FAMILIES];
/* BGP_N_FAMILIES if we do not speak it. */
enum bgp_family bgp_family_find(uint16_t afi, uint8_t safi);

/* The header at p (19 bytes at hand): length of the whole message and its type, or a fault. */
int bgp_header_parse(const uint8_t *p, size_t *ret_len, enum bgp_type *ret_type,
		     struct bgp_fault *f);

struct bgp_open {
	uint8_t version;
	struct asn as; /* the 4-byte one if announced */
	uint16_t as2;  /* as in the fixed field */
	uint16_t hold;
	uint32_t id;
	bool as4, refresh;
	bool has_mp;      /* any multiprotocol capability; without one IPv4 unicast is meant */
	uint8_t families; /* bit 1 << family, also set for IPv4 when !has_mp */
	bool graceful, restarted, notification_bit; /* RFC 4724, 8538 */
	uint16_t restart_s;
	uint8_t gr_families, gr_forwarding; /* bits */
};
/* Body without header. Checks what every session would refuse (version, lengths, id 0, AS 0, hold 1
 * and 2); the peer checks its own expectations. */
int bgp_open_parse(struct cursor c, struct bgp_open *ret, struct bgp_fault *f);
void bgp_open_build(struct buf *b, const struct bgp_open *o);
void bgp_keepalive_build(struct buf *b);
void bgp_notification_build(struct buf *b, const struct bgp_fault *f);
int bgp_notification_parse(struct cursor c, struct bgp_fault *ret);
/* Wraps f as Cease/Hard Reset (RFC 8538 3.1). */
void bgp_fault_harden(struct bgp_fault *f);
void bgp_refresh_build(struct buf *b, enum bgp_family family);

/* One route of a withdrawn or announced list. */
struct bgp_nlri {
	struct rd rd;  /* VPN families */
	uint32_t addr; /* host order */
	uint8_t len;
};
/* Next of a list; at the end c->bad tells whether it was clean. */
bool bgp_nlri_next(enum bgp_family family, struct cursor *c, struct bgp_nlri *ret);
void bgp_nlri_put(struct buf *b, enum bgp_family family, const struct bgp_nlri *n,
		  bool is_withdraw);

enum bgp_verdict {
	BGP_USE,      /* announce what it announces */
	BGP_WITHDRAW, /* RFC 7606: every route it announces is to be withdrawn */
};
struct bgp_update {
	struct cursor withdrawn, announced; /* IPv4 unicast, in the classic fields */
	bool has_reach, has_unreach;        /* MP attributes in a family we speak */
	enum bgp_family reach_family, unreach_family;
	struct cursor reach, unreach; /* their NLRI */
	struct addr reach_next_hop;
	bool is_eor; /* of eor_family */
	enum bgp_family eor_family;
	struct bgp_draft attr; /* next_hop is the classic NEXT_HOP */
	enum bgp_verdict verdict;
	const char *why;  /* first reason of a withdraw or discard; NULL */
	uint8_t why_type; /* attribute it was about */
	uint32_t n_discarded;
	/* backing store for what is rewritten: 4-byte paths, attributes passed on */
	uint8_t path[5 * BGP_MESSAGE_MAX];
	uint8_t other[BGP_MESSAGE_MAX];
};
struct bgp_update_options {
	bool as4, is_external;
	uint8_t families; /* negotiated; others are ignored */
};
/* Body without header. All lists are checked to their end. -EBADMSG: session reset with *f. */
int bgp_update_parse(struct cursor c, const struct bgp_update_options *o, struct bgp_update *ret,
		     struct bgp_fault *f);

/* Writes attributes (without MP_REACH/UNREACH) in ascending order of type. classic_next_hop writes
 * NEXT_HOP. as4 false: AS_TRANS and AS4_PATH (RFC 6793). */
void bgp_attr_put(struct buf *b, const struct bgp_draft *d, bool as4, bool classic_next_hop);
/* GRE with key as a whole attribute 23 (RFC 9012). */
void bgp_tunnel_put(struct buf *b, struct fabric_key key);
