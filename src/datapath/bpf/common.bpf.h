/* What edges and hosts share: counting, the lookups, policing, metering, the underlay.
 *
 * A stage is an __always_inline function that returns a verdict or CONTINUE. Stages up to the
 * decision only read; then come police and meter, one locked operation per packet; then the packet
 * is rewritten. Pointers into the packet die at bpf_xdp_adjust_head(); what is needed afterwards is
 * read before or lives in maps. */
#pragma once

#include "maps.bpf.h"

#include <linux/in.h>

#define CONTINUE (-1)

#define ETH_P_VLAN_BE bpf_htons(0x8100)
#define ETH_P_SVLAN_BE bpf_htons(0x88a8)
#define ETH_P_IP_BE bpf_htons(0x0800)
#define ETH_P_ARP_BE bpf_htons(0x0806)
#define ETH_P_IPV6_BE bpf_htons(0x86dd)
#define IP_FRAGMENT_BE bpf_htons(0x3fff) /* more fragments, or an offset */
#define IP_OFFSET_BE bpf_htons(0x1fff)
#define GRE_KEY_ONLY_BE bpf_htons(0x2000) /* RFC 2890: key present, version 0 */

enum { PORT_BGP = 179, PORT_BFD = 3784, PORT_BFD_ECHO = 3785, PORT_BFD_MULTIHOP = 4784 };

/* linux/icmp.h needs the C library's headers. */
struct icmp {
	__u8 type, code;
	__be16 check;
	__be16 unused, mtu;
};
enum { ICMP_UNREACHABLE = 3, ICMP_EXCEEDED = 11, ICMP_PARAMETER = 12 };

struct vlan_tag {
	__be16 tci, type;
};

struct arp {
	__be16 htype, ptype;
	__u8 hlen, plen;
	__be16 op;
	__u8 sha[6];
	__u8 spa[4];
	__u8 tha[6];
	__u8 tpa[4];
} __attribute__((packed));

struct gre {
	__be16 flags, type;
	__be32 key;
};

/* Ethernet, outer IPv4, GRE with key. */
struct encap {
	struct ethhdr eth;
	struct iphdr ip;
	struct gre gre;
} __attribute__((packed));
_Static_assert(sizeof(struct encap) == sizeof(struct ethhdr) + DP_ENCAP, "encap");

/* A packet on its way through the stages. */
struct frame {
	struct xdp_md *ctx;
	void *data, *end;
	struct ethhdr *eth;
	void *l3; /* the packet we forward: the inner one in a tunnel */
	__u32 cpu;
	__u32 slot;     /* domain slot, for counting drops; 0 none */
	__u32 src, dst; /* of l3, CPU order */
	__u32 len;      /* IP length of l3 */
	__u32 n_tags;
	__u16 type; /* of l3, network order */
	__u8 tos;
};

#define READ(x) (*(const volatile __typeof__(x) *)&(x))

static __always_inline int
drop(const struct frame *f, __u32 reason)
{
	struct dp_counters *c = counters_at(f->cpu);

	if (c && reason < DP_DROPS_MAX)
		c->drop[reason]++;
	if (f->slot) {
		struct dp_domain_drops *d = domain_drops_at(f->slot);

		if (d && reason < DP_DROPS_MAX)
			__sync_fetch_and_add(&d->drop[reason], 1);
	}
	return XDP_DROP;
}

static __always_inline void
count(const struct frame *f, __u32 event)
{
	struct dp_counters *c = counters_at(f->cpu);

	if (c && event < DP_EVENTS_MAX)
		c->event[event]++;
}

/* Around every run: freed elements are re-used only when every CPU was seen outside, or elsewhere. */
static __always_inline void
epoch_step(__u32 cpu)
{
	struct dp_epoch *e = epoch_at(cpu);

	if (e)
		*(volatile __u64 *)&e->count = e->count + 1;
}

static __always_inline __u64
if_find(__u32 ifindex)
{
#pragma unroll
	for (__u32 i = 0; i < DP_IF_PROBES; i++) {
		__u64 *w = ifs_at((ifindex + i) & (constants.n_ifs - 1));
		__u64 v = w ? READ(*w) : 0;

		if (DP_IF_INDEX(v) == ifindex)
			return v;
	}
	return 0;
}

static __always_inline __u64
exact_in(__u32 bucket, __u64 key)
{
	struct dp_exact_bucket *b = exact_at(bucket);

	if (!b)
		return 0;
#pragma unroll
	for (int i = 0; i < 4; i++)
		if (READ(b->slot[i].key) == key) {
			__u64 v = READ(b->slot[i].value);

			return READ(b->slot[i].key) == key ? v : 0;
		}
	return 0;
}

/* 0: no such key. */
static __always_inline __u64
exact_find(__u32 space, __u32 addr)
{
	__u64 key = DP_EXACT_KEY(space, addr), v;
	__u32 a = dp_exact_hash(key, constants.n_buckets, 0);

	v = exact_in(a, key);
	if (!v)
		v = exact_in(dp_exact_hash(key, constants.n_buckets, 1), key);
	return v ? v : exact_in(a, key); /* just moved there? */
}

/* How many of the keys are <= addr, without branches. */
#define RANK(n, keys, addr) \
	({ \
		__u64 above_ = (__u64)(addr) + 1; \
		__u32 rank_ = 0; \
		_Pragma("unroll") for (int i_ = 0; i_ < (n); i_++) \
			rank_ += (__u32)(((__u64)(keys)[i_] - above_) >> 63); \
		rank_; \
	})

/* Longest-prefix match in a table of `owner`: a result word, 0 for none. */
static __always_inline __u32
lpm_find(__u32 table, __u32 owner, __u32 addr)
{
	__u64 *root = vroots_at(table);
	__u32 at = root ? (__u32)READ(*root) : 0;
	union dp_line *l, *r;
	__u32 base, child;

	if (!at || addr == 0xffffffff)
		return 0;
	r = lines_at(at);
	if (!r || r->root.owner != owner)
		return 0;
	base = at + 1;
	child = RANK(DP_ROOT_KEYS, r->root.key, addr);
#pragma unroll
	for (__u32 level = 0; level < DP_MAX_DEPTH; level++) {
		if (level >= r->root.depth)
			break;
		l = lines_at(base + child);
		if (!l)
			return 0;
		child = child * DP_INNER_KEYS + RANK(DP_INNER_KEYS, l->inner.key, addr) - 1;
		base = r->root.base[level];
	}
	l = lines_at(base + child);
	if (!l)
		return 0;
	return l->leaf
		.result[(RANK(DP_LEAF_RANGES, l->leaf.start, addr) - 1) & (DP_LEAF_RANGES - 1)];
}

static __always_inline _Bool
link_is_up(__u32 link)
{
	__u64 *up = link_up_at(link);

	return up && READ(*up);
}

/* GCRA in 2^-8 ns. Races admit at most a packet per CPU early and lose no debt, since every admitted
 * byte is added. */
static __always_inline _Bool
police(struct dp_policer *p, __u32 len)
{
	__u64 cost = READ(p->cost) * len + READ(p->cost_packet);
	__u64 now, tat;
	__s64 debt;

	if (!cost)
		return 1;
	now = bpf_ktime_get_ns() << 8;
	tat = READ(p->tat);
	debt = (__s64)(tat - now);
	if (debt < 0) {
		if (__sync_val_compare_and_swap(&p->tat, tat, now + cost) == tat)
			return 1;
	} else if ((__u64)debt > READ(p->burst)) {
		return 0;
	}
	__sync_fetch_and_add(&p->tat, cost);
	return 1;
}

static __always_inline void
meter(const struct frame *f, __u32 slot)
{
	struct dp_meter *m;

	if (!slot)
		return;
	m = meters_at(f->cpu * constants.n_meters + slot);
	if (m) {
		m->bytes += f->len;
		m->packets++;
	}
}

static __always_inline __u64
mac_read(const __u8 *b)
{
	return (__u64)b[0] | (__u64)b[1] << 8 | (__u64)b[2] << 16 | (__u64)b[3] << 24 |
	       (__u64)b[4] << 32 | (__u64)b[5] << 40;
}
static __always_inline void
mac_write(__u8 *b, __u64 mac)
{
#pragma unroll
	for (int i = 0; i < 6; i++)
		b[i] = (__u8)(mac >> (8 * i));
}
static __always_inline _Bool
mac_equal(const __u8 *b, __u64 mac)
{
	return mac_read(b) == (mac & 0xffffffffffffull);
}

/* Takes f->l3 as an IPv4 packet of at most `room` bytes, checks it and fills f. */
static __always_inline int
ipv4_parse(struct frame *f)
{
	struct iphdr *ip = f->l3;

	if ((void *)(ip + 1) > f->end)
		return drop(f, DP_DROP_MALFORMED);
	f->len = bpf_ntohs(ip->tot_len);
	if (ip->version != 4 || ip->ihl < 5 || f->len < ip->ihl * 4u ||
	    f->len > (__u32)(f->end - f->l3))
		return drop(f, DP_DROP_MALFORMED);
	f->src = bpf_ntohl(ip->saddr);
	f->dst = bpf_ntohl(ip->daddr);
	f->tos = ip->tos;
	return CONTINUE;
}

static __always_inline _Bool
ipv4_is_multicast(__u32 addr)
{
	return addr >= 0xe0000000;
}

static __always_inline void
ttl_decrement(struct iphdr *ip)
{
	__u32 check = ip->check;

	check += bpf_htons(0x0100);
	ip->check = (__u16)(check + (check >= 0xffff));
	ip->ttl--;
}

/* The way to a node: everything an encapsulation needs, loaded before the packet is charged. */
struct way {
	struct dp_tunnel *tunnel;
	struct dp_adj *adj;
	__u64 dst_mac;
	__u32 key;
};

static __always_inline int
way_load(const struct frame *f, struct way *w, __u32 to, __u32 key)
{
	w->key = key;
	w->tunnel = tunnels_at(to);
	if (!w->tunnel || w->tunnel->role == DP_ROLE_NONE)
		return drop(f, DP_DROP_NO_TUNNEL);
	if (!link_is_up(w->tunnel->link))
		return drop(f, DP_DROP_TUNNEL_DOWN);
	w->adj = adjs_at(w->tunnel->adj);
	if (!w->adj)
		return drop(f, DP_DROP_NO_TUNNEL);
	w->dst_mac = READ(w->adj->dst_mac);
	if (!w->dst_mac)
		return drop(f, DP_DROP_NO_NEIGHBOUR);
	return CONTINUE;
}

/* The largest packet that goes into a tunnel. */
static __always_inline __u32
tunnel_mtu(void)
{
	struct dp_node *self = node_at(0);

	return self && self->mtu > DP_ENCAP ? self->mtu - DP_ENCAP : 0;
}

/* Sends out of a port; the redirect helper itself says when the port has no device. */
static __always_inline int
port_send(const struct frame *f, __u32 port)
{
	int r = (int)bpf_redirect_map(&tx, port, 0);

	return r == XDP_REDIRECT ? r : drop(f, DP_DROP_NO_PORT);
}

/* Writes the outer headers at the front of the frame. */
static __always_inline int
encap_write(const struct frame *f, const struct way *w)
{
	struct encap *h = (void *)(long)f->ctx->data;
	__u32 sum = w->tunnel->sum;
	__u16 len = bpf_htons((__u16)(f->len + DP_ENCAP));

	if ((void *)(h + 1) > (void *)(long)f->ctx->data_end)
		return drop(f, DP_DROP_ADJUST);
	mac_write(h->eth.h_dest, w->dst_mac);
	mac_write(h->eth.h_source, w->adj->src_mac);
	h->eth.h_proto = ETH_P_IP_BE;
	sum += len;
	sum += bpf_htons(f->tos);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	h->ip = (struct iphdr){
		.version = 4,
		.ihl = 5,
		.tos = f->tos,
		.tot_len = len,
		.frag_off = bpf_htons(0x4000),
		.ttl = 64,
		.protocol = IPPROTO_GRE,
		.check = (__u16)~sum,
		.saddr = w->tunnel->local_be,
		.daddr = w->tunnel->remote_be,
	};
	h->gre = (struct gre){ GRE_KEY_ONLY_BE, ETH_P_IP_BE, bpf_htonl(w->key) };
	return port_send(f, w->adj->port);
}

/* From Ethernet with f->n_tags tags to Ethernet, IP, GRE. */
static __always_inline int
encap_send(const struct frame *f, const struct way *w)
{
	if (f->len > tunnel_mtu())
		return drop(f, DP_DROP_TOO_BIG);
	if (bpf_xdp_adjust_head(f->ctx, (int)(4 * f->n_tags) - DP_ENCAP))
		return drop(f, DP_DROP_ADJUST);
	return encap_write(f, w);
}

/* --- The fabric port's outer packet ------------------------------------------------------------ */

struct outer {
	__u32 from; /* node number of the sender; 0 unknown */
	__u32 role;
	__u32 key;
};

static __always_inline _Bool
is_own_address(const struct dp_node *n, __be32 addr)
{
	_Bool own = 0;

#pragma unroll
	for (int i = 0; i < 4; i++)
		own |= addr == n->address_be[i];
	return own && addr;
}

static __always_inline _Bool
is_fabric_service(const struct dp_node *n, __be16 sport, __be16 dport)
{
	_Bool is = sport == bpf_htons(PORT_BGP) || dport == bpf_htons(PORT_BGP);

#pragma unroll
	for (int i = 0; i < 8; i++)
		is |= n->tcp_port[i] &&
		      (dport == bpf_htons(n->tcp_port[i]) || sport == bpf_htons(n->tcp_port[i]));
	return is;
}

static __always_inline int
fabric_pass(const struct frame *f, __u32 class, __u32 reason)
{
	struct dp_policer *p = control_at(class); /* row of slot 0 */

	if (!p || !police(p, 1))
		return drop(f, reason);
	count(f, DP_EVENT_FABRIC_PASS);
	return XDP_PASS;
}

/* What the node's own kernel may see: BGP, BFD, the agents' TLS and ICMP of known nodes, and ICMP
 * errors of the routers between. */
static __always_inline int
fabric_control(const struct frame *f, const struct dp_node *n, const struct outer *o)
{
	struct iphdr *ip = f->l3;
	void *l4 = (void *)ip + ip->ihl * 4;

	if (ip->frag_off & IP_FRAGMENT_BE)
		return drop(f, DP_DROP_CONTROL_FRAGMENT);
	if (l4 + 8 > f->end)
		return drop(f, DP_DROP_MALFORMED);
	if (ip->protocol == IPPROTO_ICMP) {
		__u8 type = ((struct icmp *)l4)->type;

		if (!o->from && type != ICMP_UNREACHABLE && type != ICMP_EXCEEDED)
			return drop(f, DP_DROP_FABRIC_FOREIGN);
		return fabric_pass(f, DP_CONTROL_ICMP, DP_DROP_ICMP_RATE);
	}
	if (!o->from)
		return drop(f, DP_DROP_FABRIC_FOREIGN);
	if (ip->protocol == IPPROTO_TCP) {
		if (is_fabric_service(n, *(__be16 *)l4, *(__be16 *)(l4 + 2)))
			return fabric_pass(f, DP_CONTROL_SESSION, DP_DROP_CONTROL_RATE);
	} else if (ip->protocol == IPPROTO_UDP) {
		__be16 port = *(__be16 *)(l4 + 2);

		if (port == bpf_htons(PORT_BFD) || port == bpf_htons(PORT_BFD_MULTIHOP) ||
		    port == bpf_htons(PORT_BFD_ECHO))
			return fabric_pass(f, DP_CONTROL_SESSION, DP_DROP_CONTROL_RATE);
	}
	return drop(f, DP_DROP_FABRIC_SERVICE);
}

/* Takes the outer packet apart. CONTINUE: GRE from the known node o->from with o->key, and f
 * describes the inner packet. */
static __always_inline int
fabric_parse(struct frame *f, struct outer *o)
{
	struct dp_node *n = node_at(0);
	struct dp_tunnel *t;
	struct encap *h;
	struct iphdr *ip;
	int v;

	if ((void *)(f->eth + 1) > f->end)
		return drop(f, DP_DROP_MALFORMED);
	if (!n)
		return drop(f, DP_DROP_NO_PORT);
	if (f->eth->h_proto == ETH_P_ARP_BE)
		return fabric_pass(f, DP_CONTROL_ARP, DP_DROP_ARP_RATE);
	if (f->eth->h_proto != ETH_P_IP_BE)
		return drop(f, f->eth->h_proto == ETH_P_IPV6_BE ? DP_DROP_IPV6 : DP_DROP_NOT_IP);
	f->l3 = f->eth + 1;
	v = ipv4_parse(f);
	if (v != CONTINUE)
		return v;
	ip = f->l3;
	if (!is_own_address(n, ip->daddr))
		return drop(f, DP_DROP_NOT_OUR_ADDRESS);
	o->from = DP_EXACT_NODE(exact_find(DP_SPACE_NODES, f->src));
	t = tunnels_at(o->from);
	o->role = o->from && t ? t->role : DP_ROLE_NONE;
	if (ip->protocol != IPPROTO_GRE)
		return fabric_control(f, n, o);
	if (o->role == DP_ROLE_NONE || o->role == DP_ROLE_CONTROL)
		return drop(f, DP_DROP_TUNNEL_UNKNOWN);
	h = f->data;
	if ((void *)(h + 1) > f->end || ip->ihl != 5 || ip->frag_off & IP_FRAGMENT_BE ||
	    h->gre.flags != GRE_KEY_ONLY_BE || h->gre.type != ETH_P_IP_BE)
		return drop(f, DP_DROP_GRE_FORMAT);
	o->key = bpf_ntohl(h->gre.key);
	f->l3 = h + 1;
	return ipv4_parse(f);
}

static __always_inline struct frame
frame_begin(struct xdp_md *ctx)
{
	return (struct frame){
		.ctx = ctx,
		.data = (void *)(long)ctx->data,
		.end = (void *)(long)ctx->data_end,
		.eth = (void *)(long)ctx->data,
		.cpu = bpf_get_smp_processor_id(),
	};
}

/* Every program is a run between two steps of the CPU's epoch. */
#define PROGRAM(name, run) \
	SEC("xdp") \
	int name(struct xdp_md *ctx) \
	{ \
		struct frame f = frame_begin(ctx); \
		int v; \
\
		epoch_step(f.cpu); \
		v = run(&f); \
		epoch_step(f.cpu); \
		return v; \
	}
