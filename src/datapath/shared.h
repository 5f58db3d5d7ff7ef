/* What the packet programs and user space agree on: every map's element, every drop's name, every
 * hash. Compiled by clang for BPF and by the C compiler for the daemons, so it includes nothing but
 * fixed-width integers. Sizes are asserted: a changed layout needs a new DP_LAYOUT, which is part of
 * the pin path, so that old and new maps never meet.
 *
 * Who writes what. All arrays are mmapable, so that the daemons need no bpf() call and no
 * capability; only the two devmaps and `ifs` are the keeper's.
 *   link_up      bfdd alone
 *   ifs, tx, tx_domain, sizes   keeper alone
 *   meters, counters, domain_drops, unknown, epoch, policers' tat, control's tat   the programs
 *   everything else   edged or hostd
 *
 * Crash consistency. An element is filled first and becomes visible by one aligned 64-bit store: a
 * tag, a number, an exact key, a vroot. It carries its owner's id, so a restarted daemon finds what
 * is reachable from the roots and sweeps the rest. Freed elements are re-used only after every CPU
 * has left the program run it may have been in (epoch).
 *
 * Byte order: fields called *_be are in network order, as in the packet; all others are the CPU's. */
#pragma once

#ifdef __bpf__
#include <linux/types.h>
typedef __u8 dp_u8;
typedef __u16 dp_u16;
typedef __u32 dp_u32;
typedef __u64 dp_u64;
#else
#include <stdint.h>
typedef uint8_t dp_u8;
typedef uint16_t dp_u16;
typedef uint32_t dp_u32;
typedef uint64_t dp_u64;
#endif

#define DP_LAYOUT 1 /* part of the pin path */

/* One list, many uses: the programs count by the enum, people read the text. A new reason goes to
 * the end of its list; the numbers are in pinned counters. */
// clang-format off
#define DROP_REASONS(X) \
	X(NONE,             "not dropped") \
	X(MALFORMED,        "headers do not fit the frame") \
	X(NO_PORT,          "port not configured") \
	X(NO_CIRCUIT,       "no circuit for this port and VLAN pair") \
	X(NOT_OUR_MAC,      "frame not addressed to us") \
	X(NOT_IP,           "neither ARP nor IP") \
	X(ARP_FOREIGN,      "ARP not from the configured peer for our address") \
	X(CONTROL_FOREIGN,  "for the edge itself, not from the configured peer") \
	X(CONTROL_SERVICE,  "for the edge itself, no such service") \
	X(CONTROL_FRAGMENT, "for the edge itself, fragmented") \
	X(CONTROL_TTL,      "BFD that was forwarded by someone (TTL is not 255)") \
	X(CONTROL_RATE,     "control packets above their rate") \
	X(ARP_RATE,         "ARP above its rate") \
	X(ICMP_RATE,        "ICMP to the edge above its rate") \
	X(MULTICAST,        "multicast or broadcast destination") \
	X(SRC_SPOOF,        "source prefix not accepted on this peering") \
	X(TTL,              "time to live exceeded") \
	X(NO_ROUTE,         "no route to the destination") \
	X(BLACKHOLE,        "route says drop") \
	X(HAIRPIN,          "would leave where it came from") \
	X(NO_NIC,           "no network interface has this address") \
	X(NO_TUNNEL,        "node unknown") \
	X(TUNNEL_DOWN,      "node unreachable") \
	X(NO_NEIGHBOUR,     "neighbour's MAC address unknown") \
	X(TOO_BIG,          "packet exceeds the MTU") \
	X(POLICED,          "above the circuit's bandwidth") \
	X(TUNNEL_UNKNOWN,   "GRE from an unknown node") \
	X(GRE_FORMAT,       "GRE of a form we do not speak") \
	X(KEY_UNKNOWN,      "no table for this GRE key") \
	X(KEY_STALE,        "GRE key of a former generation") \
	X(KEY_ROLE,         "this node may not use this GRE key") \
	X(SRC_FABRIC,       "inner source does not live on the sending node") \
	X(LINK_DOWN,        "customer link down and no other path") \
	X(REPAIR_EXHAUSTED, "repaired packet, and no path here either") \
	X(STALE_ELEMENT,    "next hop belongs to another domain") \
	X(FABRIC_FOREIGN,   "fabric packet from an unknown node") \
	X(FABRIC_SERVICE,   "fabric packet for no service of ours") \
	X(NOT_OUR_ADDRESS,  "fabric packet not addressed to this node") \
	X(OUT_OF_SUBNET,    "from a namespace to outside its link subnet") \
	X(SRC_NIC,          "source is not an address of this network interface") \
	X(IPV6,             "IPv6 not configured here") \
	X(ADJUST,           "no room for headers")

/* Things worth counting that are not drops. */
#define DP_EVENTS(X) \
	X(PUNT_BGP,  "BGP packets handed to a namespace") \
	X(PUNT_BFD,  "BFD packets handed to a namespace") \
	X(PUNT_ARP,  "ARP packets handed to a namespace") \
	X(PUNT_ICMP, "ICMP packets handed to a namespace") \
	X(CONTROL_OUT, "packets out of the namespaces") \
	X(REPAIRED,  "packets sent to the other edge because the customer link is down") \
	X(FABRIC_PASS, "fabric packets passed to the kernel") \
	X(ARP_ANSWERED, "ARP requests answered by the vSwitch") \
	X(ICMP_SENT, "ICMP errors sent")

/* Maps, in the order in which descriptors are handed over. The last two cannot be mmapped. */
#define DP_MAPS(X) \
	X(SIZES,        "sizes") \
	X(NODE,         "node") \
	X(IFS,          "ifs") \
	X(TAGS,         "tags") \
	X(DOMAINS,      "domains") \
	X(NUMBERS,      "numbers") \
	X(EXACT,        "exact") \
	X(TUNNELS,      "tunnels") \
	X(ADJS,         "adjs") \
	X(VROOTS,       "vroots") \
	X(LINES,        "lines") \
	X(NHS,          "nhs") \
	X(GROUPS,       "groups") \
	X(NICS,         "nics") \
	X(POLICERS,     "policers") \
	X(CONTROL,      "control") \
	X(METER_SLOTS,  "meter_slots") \
	X(METERS,       "meters") \
	X(LINK_UP,      "link_up") \
	X(COUNTERS,     "counters") \
	X(DOMAIN_DROPS, "domain_drops") \
	X(UNKNOWN,      "unknown") \
	X(EPOCH,        "epoch") \
	X(TX,           "tx") \
	X(TX_DOMAIN,    "tx_domain")
// clang-format on

enum dp_drop {
#define X(name, text) DP_DROP_##name,
	DROP_REASONS(X)
#undef X
		DP_DROPS
};
enum dp_event {
#define X(name, text) DP_EVENT_##name,
	DP_EVENTS(X)
#undef X
		DP_EVENT_COUNT
};
enum dp_map {
#define X(name, text) DP_MAP_##name,
	DP_MAPS(X)
#undef X
		DP_MAP_COUNT
};
#define DP_DROPS_MAX 64 /* room in the pinned counters */
#define DP_EVENTS_MAX 64
_Static_assert(DP_DROPS <= DP_DROPS_MAX, "drop reasons");
_Static_assert(DP_EVENT_COUNT <= DP_EVENTS_MAX, "events");

/* Directions, as the customer's bill names them. */
enum { DP_IN, DP_OUT, DP_DIRECTIONS }; /* in: customer to cloud */

/* What was chosen when the maps were made. Element counts; ncpu lines in the per-CPU arrays. */
struct dp_sizes {
	dp_u32 layout, role;
	dp_u32 n_cpu, n_trunks, n_domains, n_buckets; /* buckets of `exact` */
	dp_u32 n_tunnels, n_adjs, n_tables, n_lines;
	dp_u32 n_nhs, n_groups, n_nics, n_policers;
	dp_u32 n_meters, n_links, n_ifs, n_unknown;
	dp_u32 n_numbers, pad[13];
};
_Static_assert(sizeof(struct dp_sizes) == 128, "dp_sizes");

/* This node on the underlay. One element. */
struct dp_node {
	dp_u32 address_be[4]; /* own underlay addresses; GRE ends at [0] */
	dp_u16 tcp_port[8]; /* further TCP services, as server or client (agents' TLS); 0 unused */
	dp_u16 mtu;         /* largest IP packet on the fabric */
	dp_u16 number;      /* node number */
	dp_u32 flags;
	dp_u64 vswitch_mac; /* hosts: the one MAC of the vSwitch */
	dp_u32 pad[16];
};
_Static_assert(sizeof(struct dp_node) == 112, "dp_node");

/* Interface index -> what is plugged there. Open addressing, DP_IF_PROBES slots from the hash.
 * One word: index << 32 | kind << 28 | value. */
enum dp_if_kind { DP_IF_NONE, DP_IF_TRUNK, DP_IF_FABRIC, DP_IF_DOMAIN, DP_IF_NIC };
#define DP_IF_PROBES 8
#define DP_IF_WORD(ifindex, kind, value) \
	((dp_u64)(ifindex) << 32 | (dp_u64)(kind) << 28 | ((value)&0x0fffffffu))
#define DP_IF_INDEX(w) ((dp_u32)((w) >> 32))
#define DP_IF_KIND(w) ((dp_u32)(w) >> 28)
#define DP_IF_VALUE(w) ((dp_u32)(w)&0x0fffffffu)
/* value: TRUNK its port (1..), DOMAIN the domain's fabric number, NIC its slot. */

/* Ports (index into `tx`): 0 the fabric, from 1 the edge's trunks or the host's NIC slots. */
#define DP_PORT_FABRIC 0

/* (trunk, outer tag) -> up to four (inner tag, domain slot). Row trunk * 4096 + outer VID; VID 0 is
 * an untagged port's frame. A word: slot << 32 | 0x8000 | inner VID; inner 0 is a frame with one tag
 * only; word 0 is empty. */
struct dp_tag_row {
	dp_u64 word[4];
};
#define DP_TAG_WORD(slot, c) ((dp_u64)(slot) << 32 | 0x8000u | (c))
#define DP_TAG_INNER(w) ((dp_u32)(w)&0xffffu) /* with the valid bit */
#define DP_TAG_SLOT(w) ((dp_u32)((w) >> 32))

/* A MAC in one word, so that a change is one store: bytes 0..5 as on the wire, then DP_MAC_VALID. */
#define DP_MAC_VALID (1ull << 48)

/* A routing domain on an edge: its customer attachment. Slot 0 is never used. The slot is also the
 * domain's table (vroots) and its rows in `control` and `domain_drops`. */
struct dp_domain {
	dp_u32 number, key; /* 20-bit fabric number, full GRE key; number 0: free */
	dp_u32 link;        /* of the customer session */
	dp_u32 circuit;     /* owner id of the policers */
	dp_u32 local_be, peer_be, subnet_be, mask_be;
	dp_u64 mac, peer_mac; /* peer_mac 0: unresolved */
	dp_u32 trunk;         /* port */
	dp_u16 tpid_be;       /* of the outer tag */
	dp_u16 n_tags;        /* 0, 1, 2 */
	dp_u16 s, c;
	dp_u16 mtu; /* largest IP packet towards the customer; 0: any */
	dp_u16 flags;
	dp_u32 policer[DP_DIRECTIONS]; /* 0: not policed */
	dp_u32 meter[DP_DIRECTIONS];   /* 0: not metered */
	dp_u32 pad[12];                /* IPv6 */
};
_Static_assert(sizeof(struct dp_domain) == 128, "dp_domain");

/* Fabric number -> local meaning, indexed by number, compared by full key. */
enum dp_number_kind { DP_NUMBER_NONE, DP_NUMBER_DOMAIN, DP_NUMBER_VNET };
#define DP_NUMBER_WORD(key, kind, index) \
	((dp_u64)(kind) << 60 | (dp_u64)((index)&0x0fffffffu) << 32 | (dp_u32)(key))
#define DP_NUMBER_KEY(w) ((dp_u32)(w))
#define DP_NUMBER_KIND(w) ((dp_u32)((w) >> 60))
#define DP_NUMBER_INDEX(w) ((dp_u32)((w) >> 32) & 0x0fffffffu)
#define DP_KEY_LOCAL_ONLY (1u << 11)
#define DP_NUMBERS (1u << 20)

/* Exact match: (space, IPv4 address) -> value. Space is a VNet's fabric number, or 0 for nodes by
 * underlay address. Cuckoo: a key lives in one of its two buckets of four (one cache line each). A
 * reader looks at A, B and, having missed, at A again, since an element may just have been moved;
 * having read a value it compares the key again. A writer empties the key (0), fills the value, then
 * the key: so a slot may be re-used at once. */
struct dp_exact_slot {
	dp_u64 key, value;
};
struct dp_exact_bucket {
	struct dp_exact_slot slot[4];
};
_Static_assert(sizeof(struct dp_exact_bucket) == 64, "dp_exact_bucket");
#define DP_EXACT_KEY(space, addr) ((dp_u64)(space) << 32 | (dp_u32)(addr)) /* addr in CPU order */
#define DP_SPACE_NODES 0
/* Value: on edges and for remote NICs the node; for a local NIC its slot. */
#define DP_EXACT_LOCAL (1ull << 32)
#define DP_EXACT_NODE(v) ((dp_u32)(v)&0xffffu)
#define DP_EXACT_NIC(v) ((dp_u32)(v))

static inline dp_u32
dp_exact_hash(dp_u64 key, dp_u32 n_buckets, dp_u32 which)
{
	dp_u64 h = key * (which ? 0x9e3779b97f4a7c15ull : 0xc2b2ae3d27d4eb4full);

	h ^= h >> 32;
	h *= 0xd6e8feb86659fd93ull;
	h ^= h >> 32;
	return (dp_u32)(((h & 0xffffffffull) * n_buckets) >> 32);
}

/* A node we have a tunnel to, or only control traffic with. Index: node number. */
enum dp_role { DP_ROLE_NONE, DP_ROLE_HOST, DP_ROLE_EDGE, DP_ROLE_PAIR, DP_ROLE_CONTROL };
struct dp_tunnel {
	dp_u32 remote_be, local_be;
	dp_u32 link; /* link_up[link]; by convention the node number */
	dp_u32 adj;
	dp_u8 role; /* enum dp_role; NONE: free. PAIR: the other edge of our pair */
	dp_u8 pad[3];
	dp_u32 sum; /* of the outer header without length and DSCP, ready to add to */
	dp_u32 pad2[2];
};
_Static_assert(sizeof(struct dp_tunnel) == 32, "dp_tunnel");

/* A neighbour on the underlay. A change of its MAC is one store. */
struct dp_adj {
	dp_u64 dst_mac, src_mac; /* dst_mac 0: unresolved */
	dp_u32 port;
	dp_u32 owner_be; /* the gateway's address */
	dp_u32 pad[2];
};
_Static_assert(sizeof(struct dp_adj) == 32, "dp_adj");

/* Longest-prefix match: a static B-tree over disjoint ranges, in 64-byte lines, one block of
 * consecutive lines per table: root, `depth` inner levels, leaves. vroots[table] is the block's first
 * line; storing it is the commit. A lookup of 255.255.255.255 is refused (padding keys). */
#define DP_ROOT_KEYS 10 /* 11 children: key[i] is the first address of child i + 1 */
#define DP_INNER_KEYS 16
#define DP_LEAF_RANGES 8
#define DP_MAX_DEPTH 3
struct dp_root {
	dp_u32 key[DP_ROOT_KEYS];
	dp_u32 owner;              /* fabric number of the table's owner */
	dp_u32 n_lines;            /* of the block, this line included */
	dp_u32 depth;              /* inner levels between this line and the leaves, 0..3 */
	dp_u32 base[DP_MAX_DEPTH]; /* first line of level 1, 2, 3; level 0 follows the root */
};
struct dp_inner {
	dp_u32 key[DP_INNER_KEYS]; /* first address of each child */
};
struct dp_leaf {
	dp_u32 start[DP_LEAF_RANGES];
	dp_u32 result[DP_LEAF_RANGES];
};
union dp_line {
	struct dp_root root;
	struct dp_inner inner;
	struct dp_leaf leaf;
};
_Static_assert(sizeof(union dp_line) == 64, "dp_line");

/* Result: source bit | kind | value. The source bit says that packets *from* here are accepted on the
 * domain's trunk: customer-side prefixes of either edge, and those withdrawn less than 3 s ago. */
enum dp_kind {
	DP_KIND_NONE,
	DP_KIND_CUSTOMER,  /* value: next hop */
	DP_KIND_VNET,      /* value: the VNet's number; exact match decides */
	DP_KIND_LINK,      /* inside the link subnet */
	DP_KIND_GROUP,     /* hosts: ECMP group */
	DP_KIND_BLACKHOLE, /* drop */
	DP_KIND_REACH,     /* behind another circuit (Global Reach); value: next hop, a tunnel */
};
#define DP_RESULT_SOURCE (1u << 31)
#define DP_RESULT(kind, value) ((dp_u32)(kind) << 28 | ((value)&0x0fffffffu))
#define DP_RESULT_KIND(r) ((r) >> 28 & 7u)
#define DP_RESULT_VALUE(r) ((r)&0x0fffffffu)

/* A way out of an edge's domain. Index 0 is never used. */
enum dp_nh_kind { DP_NH_FREE, DP_NH_CE, DP_NH_TUNNEL };
struct dp_nh {
	dp_u32 owner;  /* domain number; compared on use */
	dp_u32 kind;   /* CE: the domain's own customer link */
	dp_u32 link;   /* usable while link_up[link] */
	dp_u32 backup; /* next hop taken when it is not; 0 none */
	dp_u32 node;   /* TUNNEL */
	dp_u32 key;    /* TUNNEL: of our domain with the local-only bit; REACH: of the other's */
	dp_u32 pad[2];
};
_Static_assert(sizeof(struct dp_nh) == 32, "dp_nh");

/* Hosts: edges over which a prefix is reached, equal cost. */
#define DP_GROUP_MEMBERS 8
struct dp_member {
	dp_u32 node, key, link;
};
struct dp_group {
	dp_u32 owner; /* VNet number; 0: free */
	dp_u32 n;
	struct dp_member member[DP_GROUP_MEMBERS];
	dp_u32 pad[6];
};
_Static_assert(sizeof(struct dp_group) == 128, "dp_group");

/* Hosts: a NIC. Slot = port. Its addresses are in `exact`. */
struct dp_nic {
	dp_u32 vnet, table; /* VNet number (0: free), index into vroots */
	dp_u64 mac;
	dp_u32 subnet_be, mask_be;   /* ARP is answered inside */
	dp_u32 meter[DP_DIRECTIONS]; /* IN: from the NIC; OUT: to it */
	dp_u32 mtu;
	dp_u32 owner; /* hash or number the daemon knows it by */
	dp_u32 pad[6];
};
_Static_assert(sizeof(struct dp_nic) == 64, "dp_nic");

/* GCRA: theoretical arrival time in 2^-8 ns. A new rate is one store of `cost`. */
struct dp_policer {
	dp_u64 tat;         /* programs write */
	dp_u64 cost;        /* per byte, 2^-8 ns; 0 and cost_packet 0: everything passes */
	dp_u64 cost_packet; /* per packet, 2^-8 ns */
	dp_u64 burst;       /* 2^-8 ns */
	dp_u64 owner;       /* circuit << 1 | direction, or 0: free */
	dp_u64 pad[3];
};
_Static_assert(sizeof(struct dp_policer) == 64, "dp_policer");

/* Rows of `control`: four policers per domain slot; slot 0 is the fabric port's. */
enum { DP_CONTROL_SESSION, DP_CONTROL_ARP, DP_CONTROL_ICMP, DP_CONTROL_ERRORS, DP_CONTROLS };

/* Who a meter belongs to. The counts are in meters[cpu * n_meters + slot]. */
enum dp_meter_state { DP_METER_FREE, DP_METER_LIVE, DP_METER_RETIRED };
struct dp_meter_slot {
	dp_u32 owner;       /* domain number (edge) or NIC owner (host) */
	dp_u16 direction;   /* DP_IN, DP_OUT */
	dp_u16 state;       /* enum dp_meter_state */
	dp_u32 circuit;     /* edges */
	dp_u32 incarnation; /* counts re-uses of the slot: (slot, incarnation) is never used twice */
};
_Static_assert(sizeof(struct dp_meter_slot) == 16, "dp_meter_slot");
struct dp_meter {
	dp_u64 bytes, packets; /* IP length */
};
_Static_assert(sizeof(struct dp_meter) == 16, "dp_meter");

/* One per CPU. */
struct dp_counters {
	dp_u64 drop[DP_DROPS_MAX];
	dp_u64 event[DP_EVENTS_MAX];
};
/* One per domain slot, shared by the CPUs: drops are not the fast path. */
struct dp_domain_drops {
	dp_u64 drop[DP_DROPS_MAX];
};

/* Tags nobody ordered, direct-mapped; an entry is taken over when its holder was quiet for 10 s. */
struct dp_unknown {
	dp_u32 port;
	dp_u16 s, c;
	dp_u64 packets;
	dp_u64 first_ns, last_ns; /* CLOCK_MONOTONIC */
};
_Static_assert(sizeof(struct dp_unknown) == 32, "dp_unknown");

/* One per CPU, one line each: odd while a program runs there. */
struct dp_epoch {
	dp_u64 count;
	dp_u64 pad[7];
};
_Static_assert(sizeof(struct dp_epoch) == 64, "dp_epoch");

/* Constants of a load, in .rodata. */
struct dp_constants {
	dp_u32 n_meters, n_buckets;
	dp_u32 n_ifs; /* a power of two */
	dp_u32 n_unknown;
};

#define DP_ENCAP 28 /* outer IPv4 + GRE with key */
