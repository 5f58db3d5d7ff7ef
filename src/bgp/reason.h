/* Why a route that a peer sent is not used, as a number for counters and a text for people. A
 * rejected route stays in the peer's received routes with its reason (so that "why" has an answer,
 * and so that it counts towards the limit) and is never a candidate for anything. */
#pragma once

#include "base/base.h"

/* clang-format off */
#define BGP_REASONS(X) \
	X(NONE,            "accepted") \
	X(OWN_AS,          "our own AS number is in the AS_PATH") \
	X(FIRST_AS,        "the AS_PATH does not begin with the peer's AS number") \
	X(RESERVED_AS,     "the AS_PATH holds a reserved AS number") \
	X(PATH_TOO_LONG,   "the AS_PATH is longer than the limit") \
	X(NEXT_HOP,        "the next hop is not the peer's address") \
	X(MARTIAN,         "the prefix is never routed: 0/8, 127/8, multicast, class E or broadcast") \
	X(LINK_SUBNET,     "the prefix lies in the peering's own link subnet") \
	X(OWN_ORIGINATOR,  "we are the originator of this reflected route") \
	X(OWN_CLUSTER,     "our cluster is in the CLUSTER_LIST") \
	X(NOT_PLACED,      "the last configuration does not place this route at this node") \
	X(NO_TUNNEL,       "no usable tunnel: no GRE encapsulation with a key")
/* clang-format on */

enum bgp_reason {
#define BGP_REASON_ENUM(name, text) BGP_REASON_##name,
	BGP_REASONS(BGP_REASON_ENUM)
#undef BGP_REASON_ENUM
		BGP_N_REASONS
};

const char *bgp_reason_text(enum bgp_reason r);
/* "OWN_AS", for counters' names. */
const char *bgp_reason_name(enum bgp_reason r);
