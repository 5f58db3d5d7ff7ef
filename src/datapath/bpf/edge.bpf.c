/* The edge's packet path: trunk, fabric, and the namespaces' control packets. ARCHITECTURE.md tells
 * a packet's way; shared.h the tables. */
#include "common.bpf.h"

/* --- Between trunk and domain ------------------------------------------------------------------ */

/* Ethernet, none to two tags. CONTINUE: *ret is the domain, f->l3 what follows the tags. */
static __always_inline int
trunk_parse(struct frame *f, struct dp_domain **ret)
{
	__u64 port = if_find(f->ctx->ingress_ifindex);
	struct dp_tag_row *row;
	struct dp_domain *d;
	__u32 s = 0, c = 0;
	void *at = f->eth + 1;

	if (DP_IF_KIND(port) != DP_IF_TRUNK)
		return drop(f, DP_DROP_NO_PORT);
	if (at > f->end)
		return drop(f, DP_DROP_MALFORMED);
	f->type = f->eth->h_proto;
	if (f->type == ETH_P_SVLAN_BE || f->type == ETH_P_VLAN_BE) {
		struct vlan_tag *t = at;

		if ((void *)(t + 1) > f->end)
			return drop(f, DP_DROP_MALFORMED);
		s = bpf_ntohs(t->tci) & 0xfff;
		f->type = t->type;
		f->n_tags = 1;
		at = t + 1;
		if (f->type == ETH_P_VLAN_BE) {
			t = at;
			if ((void *)(t + 1) > f->end)
				return drop(f, DP_DROP_MALFORMED);
			c = bpf_ntohs(t->tci) & 0xfff;
			f->type = t->type;
			f->n_tags = 2;
			at = t + 1;
		}
	}
	f->l3 = at;
	row = tags_at(DP_IF_VALUE(port) * 4096 + s);
	if (row) {
#pragma unroll
		for (int i = 0; i < 4; i++) {
			__u64 w = READ(row->word[i]);

			if (DP_TAG_INNER(w) == (0x8000u | c))
				f->slot = DP_TAG_SLOT(w);
		}
	}
	if (!f->slot) {
		__u32 i = (DP_IF_VALUE(port) * 31 + s * 7 + c) % constants.n_unknown;
		struct dp_unknown *u = unknown_at(i);
		__u64 now = bpf_ktime_get_coarse_ns();

		if (u) {
			if (!u->packets || now - u->last_ns > 10000000000ull) {
				u->port = DP_IF_VALUE(port);
				u->s = (__u16)s;
				u->c = (__u16)c;
				u->packets = 0;
				u->first_ns = now;
			}
			if (u->port == DP_IF_VALUE(port) && u->s == s && u->c == c) {
				u->packets++;
				u->last_ns = now;
			}
		}
		return drop(f, DP_DROP_NO_CIRCUIT);
	}
	d = domains_at(f->slot);
	/* A frame with as many tags as the circuit has, of the right kind. */
	if (!d || d->n_tags != f->n_tags || (f->n_tags && f->eth->h_proto != d->tpid_be))
		return drop(f, DP_DROP_NO_CIRCUIT);
	*ret = d;
	return CONTINUE;
}

/* Without its tags into the domain's namespace. */
static __always_inline int
punt(const struct frame *f, const struct dp_domain *d, __u32 class, __u32 rate_reason, __u32 event)
{
	struct dp_policer *p = control_at(f->slot * DP_CONTROLS + class);
	struct ethhdr eth = *f->eth;
	void *data;

	if (!p || !police(p, 1))
		return drop(f, rate_reason);
	if (f->n_tags && bpf_xdp_adjust_head(f->ctx, (int)(4 * f->n_tags)))
		return drop(f, DP_DROP_ADJUST);
	data = (void *)(long)f->ctx->data;
	if (data + sizeof(eth) > (void *)(long)f->ctx->data_end)
		return drop(f, DP_DROP_ADJUST);
	eth.h_proto = f->type;
	__builtin_memcpy(data, &eth, sizeof(eth));
	count(f, event);
	if (bpf_redirect_map(&tx_domain, d->number, 0) != XDP_REDIRECT)
		return drop(f, DP_DROP_NO_PORT);
	return XDP_REDIRECT;
}

/* ARP only between the two configured addresses. */
static __always_inline int
trunk_arp(const struct frame *f, const struct dp_domain *d)
{
	struct arp *a = f->l3;
	__be32 spa, tpa;

	if ((void *)(a + 1) > f->end)
		return drop(f, DP_DROP_MALFORMED);
	__builtin_memcpy(&spa, a->spa, 4);
	__builtin_memcpy(&tpa, a->tpa, 4);
	if (spa != d->peer_be || tpa != d->local_be)
		return drop(f, DP_DROP_ARP_FOREIGN);
	return punt(f, d, DP_CONTROL_ARP, DP_DROP_ARP_RATE, DP_EVENT_PUNT_ARP);
}

/* To the edge itself: BGP and BFD from the configured peer, ICMP from the link subnet. */
static __always_inline int
trunk_control(const struct frame *f, const struct dp_domain *d)
{
	struct iphdr *ip = f->l3;
	void *l4 = (void *)ip + ip->ihl * 4;

	if (ip->frag_off & IP_FRAGMENT_BE)
		return drop(f, DP_DROP_CONTROL_FRAGMENT);
	if (l4 + 8 > f->end)
		return drop(f, DP_DROP_MALFORMED);
	if (ip->protocol == IPPROTO_ICMP) {
		if ((ip->saddr & d->mask_be) != d->subnet_be)
			return drop(f, DP_DROP_CONTROL_FOREIGN);
		return punt(f, d, DP_CONTROL_ICMP, DP_DROP_ICMP_RATE, DP_EVENT_PUNT_ICMP);
	}
	if (ip->saddr != d->peer_be)
		return drop(f, DP_DROP_CONTROL_FOREIGN);
	if (ip->protocol == IPPROTO_TCP) {
		__be16 sport = *(__be16 *)l4, dport = *(__be16 *)(l4 + 2);

		if (sport == bpf_htons(PORT_BGP) || dport == bpf_htons(PORT_BGP))
			return punt(f, d, DP_CONTROL_SESSION, DP_DROP_CONTROL_RATE,
				    DP_EVENT_PUNT_BGP);
	} else if (ip->protocol == IPPROTO_UDP) {
		__be16 port = *(__be16 *)(l4 + 2);

		if (port == bpf_htons(PORT_BFD) || port == bpf_htons(PORT_BFD_ECHO)) {
			if (ip->ttl != 255) /* RFC 5881 5 */
				return drop(f, DP_DROP_CONTROL_TTL);
			return punt(f, d, DP_CONTROL_SESSION, DP_DROP_CONTROL_RATE,
				    DP_EVENT_PUNT_BFD);
		}
	}
	return drop(f, DP_DROP_CONTROL_SERVICE);
}

static __always_inline _Bool
is_customer_side(const struct dp_domain *d, __u32 slot, __u32 addr)
{
	return !!(lpm_find(slot, d->number, addr) & DP_RESULT_SOURCE);
}

/* An ICMP error from a router whose own address is announced nowhere passes if the packet it quotes
 * does: one that we sent to a customer-side destination, from where the error now goes. */
static __always_inline _Bool
is_error_about_ours(const struct frame *f, const struct dp_domain *d)
{
	struct iphdr *ip = f->l3;
	struct icmp *icmp = (void *)ip + ip->ihl * 4;
	struct iphdr *quote = (void *)(icmp + 1);

	if (ip->protocol != IPPROTO_ICMP || ip->frag_off & IP_OFFSET_BE ||
	    (void *)(quote + 1) > f->end)
		return 0;
	if (icmp->type != ICMP_UNREACHABLE && icmp->type != ICMP_EXCEEDED &&
	    icmp->type != ICMP_PARAMETER)
		return 0;
	return quote->saddr == ip->daddr && is_customer_side(d, f->slot, bpf_ntohl(quote->daddr));
}

static __always_inline int
source_check(const struct frame *f, const struct dp_domain *d)
{
	if (is_customer_side(d, f->slot, f->src) || is_error_about_ours(f, d))
		return CONTINUE;
	return drop(f, DP_DROP_SRC_SPOOF);
}

/* --- ICMP errors (RFC 792, 1812 4.3) ----------------------------------------------------------- */

/* What is quoted: the header and 8 bytes. */
struct icmp_error {
	struct iphdr ip;
	struct icmp icmp;
	__u8 quote[28];
} __attribute__((packed));

static __always_inline __u16
sum_fold(__s64 sum)
{
	__u64 s = (__u32)sum;

	s = (s & 0xffff) + (s >> 16);
	s = (s & 0xffff) + (s >> 16);
	return (__u16)~s;
}

/* What the sender of a dropped packet is told; type 0: nothing. */
struct answer {
	__u8 type, code;
	__u16 mtu;
};
enum { UNREACHABLE_NET = 0, UNREACHABLE_HOST = 1, UNREACHABLE_MTU = 4 };

/* Drops, with an answer to be sent. */
static __always_inline int
refuse(const struct frame *f, struct answer *a, __u32 reason, __u8 type, __u8 code, __u16 mtu)
{
	*a = (struct answer){ type, code, mtu };
	return drop(f, reason);
}

/* Never about errors, fragments or what is too short to quote; at the domain's rate. */
static __always_inline _Bool
is_answerable(const struct frame *f)
{
	struct iphdr *ip = f->l3;
	struct icmp *icmp = (void *)(ip + 1);
	struct dp_policer *p;

	if (ip->ihl != 5 || f->len < sizeof(struct icmp_error) - 28 ||
	    (void *)(icmp + 1) > f->end || ip->frag_off & IP_OFFSET_BE ||
	    (ip->protocol == IPPROTO_ICMP && icmp->type != 8))
		return 0;
	p = control_at(f->slot * DP_CONTROLS + DP_CONTROL_ERRORS);
	return p && police(p, 1);
}

/* Makes the packet that starts `at` bytes into the frame an error about itself, from the domain's own
 * address to its sender; the bytes before it are the caller's to write again. */
static __always_inline int
error_build(struct frame *f, const struct dp_domain *d, int at, const struct answer *a)
{
	__be32 to = ((struct iphdr *)f->l3)->saddr;
	__s64 surplus = f->end - f->data;
	struct icmp_error *e;

	/* Or clang subtracts the pointers as 32-bit words, which the verifier forbids. */
	asm volatile("" : "+r"(surplus));
	surplus -= at + (int)sizeof(e->quote);
	if (surplus < 0 || bpf_xdp_adjust_tail(f->ctx, (int)-surplus) ||
	    bpf_xdp_adjust_head(f->ctx, -(int)(sizeof(e->ip) + sizeof(e->icmp))))
		return XDP_DROP;
	e = (void *)(long)f->ctx->data + at;
	if ((void *)(e + 1) > (void *)(long)f->ctx->data_end)
		return XDP_DROP;
	e->ip = (struct iphdr){
		.version = 4,
		.ihl = 5,
		.tos = 0xc0,
		.tot_len = bpf_htons(sizeof(*e)),
		.ttl = 64,
		.protocol = IPPROTO_ICMP,
		.saddr = d->local_be,
		.daddr = to,
	};
	e->ip.check = sum_fold(bpf_csum_diff(0, 0, (void *)&e->ip, sizeof(e->ip), 0));
	e->icmp = (struct icmp){ .type = a->type, .code = a->code, .mtu = bpf_htons(a->mtu) };
	e->icmp.check = sum_fold(
		bpf_csum_diff(0, 0, (void *)&e->icmp, sizeof(e->icmp) + sizeof(e->quote), 0));
	f->len = sizeof(*e);
	f->tos = 0xc0;
	count(f, DP_EVENT_ICMP_SENT);
	return CONTINUE;
}

/* Behind another circuit: one of the edges that has it, the first one whose tunnel is up. */
static __always_inline int
reach_load(const struct frame *f, const struct dp_domain *d, __u32 first, struct way *w)
{
	struct dp_nh *nh = nhs_at(first);

	if (nh && nh->owner == d->number && nh->backup && !link_is_up(nh->link)) {
		struct dp_nh *backup = nhs_at(nh->backup);

		if (backup)
			nh = backup;
	}
	if (!nh || nh->owner != d->number || nh->kind != DP_NH_TUNNEL)
		return drop(f, DP_DROP_STALE_ELEMENT);
	return way_load(f, w, nh->node, nh->key);
}

/* A customer's destination: the node where it lives. */
static __always_inline int
trunk_lookup(const struct frame *f, const struct dp_domain *d, struct way *w, struct answer *a)
{
	__u32 r = lpm_find(f->slot, d->number, f->dst);
	__u64 home, *number;

	switch (DP_RESULT_KIND(r)) {
	case DP_KIND_VNET:
		break;
	case DP_KIND_REACH:
		return reach_load(f, d, DP_RESULT_VALUE(r), w);
	case DP_KIND_CUSTOMER:
	case DP_KIND_LINK:
		return drop(f, DP_DROP_HAIRPIN);
	case DP_KIND_BLACKHOLE:
		return drop(f, DP_DROP_BLACKHOLE);
	default:
		return refuse(f, a, DP_DROP_NO_ROUTE, ICMP_UNREACHABLE, UNREACHABLE_NET, 0);
	}
	number = numbers_at(DP_RESULT_VALUE(r));
	if (!number || DP_NUMBER_KIND(*number) != DP_NUMBER_VNET)
		return refuse(f, a, DP_DROP_NO_ROUTE, ICMP_UNREACHABLE, UNREACHABLE_NET, 0);
	home = exact_find(DP_RESULT_VALUE(r), f->dst);
	if (!home)
		return refuse(f, a, DP_DROP_NO_NIC, ICMP_UNREACHABLE, UNREACHABLE_HOST, 0);
	return way_load(f, w, DP_EXACT_NODE(home), DP_NUMBER_KEY(*number));
}

/* Where the packet goes, if it may: with its time to live, and in one piece. */
static __always_inline int
trunk_route(const struct frame *f, const struct dp_domain *d, struct way *w, struct answer *a)
{
	const struct iphdr *ip = f->l3;
	int v;

	if (ip->ttl <= 1)
		return refuse(f, a, DP_DROP_TTL, ICMP_EXCEEDED, 0, 0);
	v = trunk_lookup(f, d, w, a);
	if (v != CONTINUE)
		return v;
	if (f->len > tunnel_mtu())
		return refuse(f, a, DP_DROP_TOO_BIG, ICMP_UNREACHABLE, UNREACHABLE_MTU,
			      tunnel_mtu());
	return CONTINUE;
}

/* Last before the packet leaves for good: what the contract is about. */
static __always_inline int
charge(const struct frame *f, const struct dp_domain *d, int direction)
{
	__u32 slot = d->policer[direction];
	struct dp_policer *p = slot ? policers_at(slot) : 0;

	if (p && !police(p, f->len))
		return drop(f, DP_DROP_POLICED);
	meter(f, d->meter[direction]);
	return CONTINUE;
}

static __always_inline int headers_write(const struct frame *f, const struct dp_domain *d,
					 __u64 dst, __u64 src, __be16 type);

/* Tells a customer that its packet was dropped. */
static __always_inline int
trunk_error(struct frame *f, const struct dp_domain *d, const struct answer *a)
{
	__u64 sender = mac_read(f->eth->h_source);
	int at = (int)sizeof(struct ethhdr) + 4 * (int)f->n_tags;

	if (!is_answerable(f) || error_build(f, d, at, a) != CONTINUE)
		return XDP_DROP;
	return headers_write(f, d, sender, d->mac, ETH_P_IP_BE);
}

static __always_inline int
trunk_run(struct frame *f)
{
	struct dp_domain *d = 0;
	struct answer a = {};
	struct way w = {};
	struct iphdr *ip;
	int v;

	v = trunk_parse(f, &d);
	if (v != CONTINUE)
		return v;
	if (!d)
		return XDP_DROP; /* cannot be: for the verifier */
	if (f->type == ETH_P_ARP_BE)
		return trunk_arp(f, d);
	if (f->type != ETH_P_IP_BE)
		return drop(f, f->type == ETH_P_IPV6_BE ? DP_DROP_IPV6 : DP_DROP_NOT_IP);
	if (!mac_equal(f->eth->h_dest, d->mac))
		return drop(f, DP_DROP_NOT_OUR_MAC);
	v = ipv4_parse(f);
	if (v != CONTINUE)
		return v;
	ip = f->l3;
	if (ip->daddr == d->local_be)
		return trunk_control(f, d);
	if (ipv4_is_multicast(f->dst))
		return drop(f, DP_DROP_MULTICAST);
	v = source_check(f, d);
	if (v != CONTINUE)
		return v;
	v = trunk_route(f, d, &w, &a);
	if (v != CONTINUE)
		return a.type ? trunk_error(f, d, &a) : v;
	v = charge(f, d, DP_IN);
	if (v != CONTINUE)
		return v;
	ttl_decrement(ip);
	return encap_send(f, &w);
}

/* --- From the fabric to a customer ------------------------------------------------------------- */

/* The table this node keeps for the key, and whether the sender may use it. */
static __always_inline int
domain_by_key(struct frame *f, const struct outer *o, struct dp_domain **ret)
{
	__u64 *w = numbers_at(o->key >> 12);
	__u64 number = w ? READ(*w) : 0;

	if (DP_NUMBER_KIND(number) != DP_NUMBER_DOMAIN)
		return drop(f, DP_DROP_KEY_UNKNOWN);
	if ((o->key & ~DP_KEY_LOCAL_ONLY) != DP_NUMBER_KEY(number))
		return drop(f, DP_DROP_KEY_STALE);
	/* Hosts, and edges elsewhere for Global Reach, use the plain key, the pair's other edge the
	 * local-only one. */
	if (o->key & DP_KEY_LOCAL_ONLY ? o->role != DP_ROLE_PAIR
				       : o->role != DP_ROLE_HOST && o->role != DP_ROLE_EDGE)
		return drop(f, DP_DROP_KEY_ROLE);
	f->slot = DP_NUMBER_INDEX(number);
	*ret = domains_at(f->slot);
	return *ret ? CONTINUE : drop(f, DP_DROP_KEY_UNKNOWN);
}

/* Is the other circuit's source behind the edge that sent the packet? A repaired one: the pair's other
 * edge has checked. */
static __always_inline int
reach_source_check(const struct frame *f, const struct dp_domain *d, const struct outer *o,
		   __u32 first)
{
	struct dp_nh *nh = nhs_at(first), *backup;

	if (o->role == DP_ROLE_PAIR)
		return CONTINUE;
	if (!nh || nh->owner != d->number || o->role != DP_ROLE_EDGE)
		return drop(f, DP_DROP_SRC_FABRIC);
	if (nh->node == o->from)
		return CONTINUE;
	backup = nh->backup ? nhs_at(nh->backup) : 0;
	if (backup && backup->node == o->from)
		return CONTINUE;
	return drop(f, DP_DROP_SRC_FABRIC);
}

/* The inner source is an address of a VNet that this domain imports, and lives on the node that sent
 * the packet (a repaired one: on some node; the other edge has checked). */
static __always_inline int
fabric_source_check(const struct frame *f, const struct dp_domain *d, const struct outer *o)
{
	__u32 r = lpm_find(f->slot, d->number, f->src);
	__u64 home;

	if (DP_RESULT_KIND(r) == DP_KIND_REACH)
		return reach_source_check(f, d, o, DP_RESULT_VALUE(r));
	if (DP_RESULT_KIND(r) != DP_KIND_VNET || o->role == DP_ROLE_EDGE)
		return drop(f, DP_DROP_SRC_FABRIC);
	home = exact_find(DP_RESULT_VALUE(r), f->src);
	if (!home || (o->role == DP_ROLE_HOST && DP_EXACT_NODE(home) != o->from))
		return drop(f, DP_DROP_SRC_FABRIC);
	return CONTINUE;
}

static __always_inline _Bool
is_usable(const struct dp_nh *nh, _Bool is_repaired)
{
	return !(is_repaired && nh->kind != DP_NH_CE) && link_is_up(nh->link);
}

/* The next hop to use: the first that is up; for a repaired packet, the first of our own. */
static __always_inline int
choose(const struct frame *f, const struct dp_domain *d, _Bool is_repaired, __u32 first,
       struct dp_nh **ret, struct answer *a)
{
	struct dp_nh *nh = nhs_at(first);

	if (nh && nh->owner == d->number && !is_usable(nh, is_repaired) && nh->backup) {
		struct dp_nh *backup = nhs_at(nh->backup);

		if (backup)
			nh = backup;
	}
	if (!nh || nh->owner != d->number)
		return drop(f, DP_DROP_STALE_ELEMENT);
	if (!is_usable(nh, is_repaired))
		return refuse(f, a, is_repaired ? DP_DROP_REPAIR_EXHAUSTED : DP_DROP_LINK_DOWN,
			      ICMP_UNREACHABLE, UNREACHABLE_HOST, 0);
	*ret = nh;
	return CONTINUE;
}

static __always_inline int
fabric_lookup(const struct frame *f, const struct dp_domain *d, _Bool is_repaired,
	      struct dp_nh **ret, struct answer *a)
{
	__u32 r = lpm_find(f->slot, d->number, f->dst);

	switch (DP_RESULT_KIND(r)) {
	case DP_KIND_CUSTOMER:
		return choose(f, d, is_repaired, DP_RESULT_VALUE(r), ret, a);
	case DP_KIND_VNET: /* not transitive */
	case DP_KIND_REACH:
		return drop(f, DP_DROP_HAIRPIN);
	case DP_KIND_BLACKHOLE:
		return drop(f, DP_DROP_BLACKHOLE);
	default:
		return refuse(f, a, DP_DROP_NO_ROUTE, ICMP_UNREACHABLE, UNREACHABLE_NET, 0);
	}
}

/* Ethernet and the domain's tags at the front of the frame, and out of the trunk. */
static __always_inline int
headers_write(const struct frame *f, const struct dp_domain *d, __u64 dst, __u64 src, __be16 type)
{
	struct ethhdr *eth = (void *)(long)f->ctx->data;
	struct vlan_tag *t = (void *)(eth + 1);

	/* Two tags' room is there in every case: an IP header follows. */
	if ((void *)(t + 2) > (void *)(long)f->ctx->data_end)
		return drop(f, DP_DROP_ADJUST);
	mac_write(eth->h_dest, dst);
	mac_write(eth->h_source, src);
	eth->h_proto = d->n_tags ? d->tpid_be : type;
	if (d->n_tags) {
		t[0] = (struct vlan_tag){ bpf_htons(d->s), d->n_tags == 2 ? ETH_P_VLAN_BE : type };
		if (d->n_tags == 2)
			t[1] = (struct vlan_tag){ bpf_htons(d->c), type };
	}
	return port_send(f, d->trunk);
}

/* The same in place of n_in bytes of other headers. */
static __always_inline int
tags_push(const struct frame *f, const struct dp_domain *d, int n_in, __u64 dst, __u64 src,
	  __be16 type)
{
	int n_out = (int)sizeof(struct ethhdr) + 4 * d->n_tags;

	if (bpf_xdp_adjust_head(f->ctx, n_in - n_out))
		return drop(f, DP_DROP_ADJUST);
	return headers_write(f, d, dst, src, type);
}

/* Tells a VM, which lives on the node that sent its packet, that it was dropped. */
static __always_inline int
fabric_error(struct frame *f, const struct dp_domain *d, const struct outer *o,
	     const struct answer *a)
{
	__u32 vnet = DP_RESULT_VALUE(lpm_find(f->slot, d->number, f->src));
	__u64 *number = numbers_at(vnet);
	struct way w = {};

	if (o->role != DP_ROLE_HOST || !number || DP_NUMBER_KIND(*number) != DP_NUMBER_VNET ||
	    !is_answerable(f))
		return XDP_DROP;
	if (way_load(f, &w, o->from, DP_NUMBER_KEY(*number)) != CONTINUE ||
	    error_build(f, d, sizeof(struct encap), a) != CONTINUE)
		return XDP_DROP;
	return encap_write(f, &w);
}

/* May it leave towards the customer? */
static __always_inline int
customer_check(const struct frame *f, const struct dp_domain *d, struct answer *a)
{
	const struct iphdr *ip = f->l3;

	if (ip->ttl <= 1)
		return refuse(f, a, DP_DROP_TTL, ICMP_EXCEEDED, 0, 0);
	if (!READ(d->peer_mac))
		return drop(f, DP_DROP_NO_NEIGHBOUR);
	if (d->mtu && f->len > d->mtu)
		return refuse(f, a, DP_DROP_TOO_BIG, ICMP_UNREACHABLE, UNREACHABLE_MTU, d->mtu);
	return CONTINUE;
}

static __always_inline int
customer_send(struct frame *f, const struct dp_domain *d)
{
	__u64 mac = READ(d->peer_mac);
	int v = charge(f, d, DP_OUT);

	if (v != CONTINUE)
		return v;
	ttl_decrement(f->l3);
	return tags_push(f, d, sizeof(struct encap), mac, d->mac, ETH_P_IP_BE);
}

/* To the other edge, under the local-only key: neither policed nor metered here, and no hop. */
static __always_inline int
repair_send(const struct frame *f, const struct dp_nh *nh)
{
	struct way w = {};
	int v = way_load(f, &w, nh->node, nh->key);

	if (v != CONTINUE)
		return v;
	count(f, DP_EVENT_REPAIRED);
	return encap_write(f, &w);
}

static __always_inline int
fabric_run(struct frame *f)
{
	struct outer o = {};
	struct dp_domain *d = 0;
	struct dp_nh *nh = 0;
	struct answer a = {};
	int v;

	v = fabric_parse(f, &o);
	if (v != CONTINUE)
		return v;
	v = domain_by_key(f, &o, &d);
	if (v != CONTINUE)
		return v;
	if (!d)
		return XDP_DROP;
	v = fabric_source_check(f, d, &o);
	if (v != CONTINUE)
		return v;
	v = fabric_lookup(f, d, o.role == DP_ROLE_PAIR, &nh, &a);
	if (v == CONTINUE && nh && nh->kind == DP_NH_CE)
		v = customer_check(f, d, &a);
	if (v != CONTINUE)
		return a.type ? fabric_error(f, d, &o, &a) : v;
	if (!nh)
		return XDP_DROP;
	return nh->kind == DP_NH_CE ? customer_send(f, d) : repair_send(f, nh);
}

/* --- From a domain's namespace to its customer ------------------------------------------------- */

static __always_inline int
domain_run(struct frame *f)
{
	__u64 port = if_find(f->ctx->ingress_ifindex);
	struct dp_domain *d;
	__u64 *number;
	__be32 dst;
	int v;

	if (DP_IF_KIND(port) != DP_IF_DOMAIN)
		return drop(f, DP_DROP_NO_PORT);
	number = numbers_at(DP_IF_VALUE(port));
	if (!number || DP_NUMBER_KIND(*number) != DP_NUMBER_DOMAIN)
		return drop(f, DP_DROP_NO_PORT);
	f->slot = DP_NUMBER_INDEX(*number);
	d = domains_at(f->slot);
	if (!d)
		return drop(f, DP_DROP_NO_PORT);
	if ((void *)(f->eth + 1) > f->end)
		return drop(f, DP_DROP_MALFORMED);
	f->l3 = f->eth + 1;
	f->type = f->eth->h_proto;
	if (f->type == ETH_P_ARP_BE) {
		struct arp *a = f->l3;

		if ((void *)(a + 1) > f->end)
			return drop(f, DP_DROP_MALFORMED);
		__builtin_memcpy(&dst, a->tpa, 4);
	} else if (f->type == ETH_P_IP_BE) {
		v = ipv4_parse(f);
		if (v != CONTINUE)
			return v;
		dst = ((struct iphdr *)f->l3)->daddr;
	} else {
		return drop(f, f->type == ETH_P_IPV6_BE ? DP_DROP_IPV6 : DP_DROP_NOT_IP);
	}
	if ((dst & d->mask_be) != d->subnet_be)
		return drop(f, DP_DROP_OUT_OF_SUBNET);
	count(f, DP_EVENT_CONTROL_OUT);
	return tags_push(f, d, sizeof(struct ethhdr), mac_read(f->eth->h_dest),
			 mac_read(f->eth->h_source), f->type);
}

PROGRAM(edge_trunk, trunk_run)
PROGRAM(edge_fabric, fabric_run)
PROGRAM(edge_domain, domain_run)

char LICENSE[] SEC("license") = "Dual BSD/GPL";
