/* The host's vSwitch: between the NICs of VNets and the fabric. Stateful rules (network security
 * groups) stand where the comments say, on both sides of a NIC. */
#include "common.bpf.h"

/* A packet for a local NIC: as Ethernet from the vSwitch, with n_in bytes before the IP packet. */
static __always_inline int
nic_deliver(const struct frame *f, __u32 slot, __u32 vnet, int n_in)
{
	struct dp_node *self = node_at(0);
	struct dp_nic *nic = nics_at(slot);
	struct ethhdr *eth;

	if (!self || !nic || nic->vnet != vnet)
		return drop(f, DP_DROP_NO_NIC);
	if (nic->mtu && f->len > nic->mtu)
		return drop(f, DP_DROP_TOO_BIG);
	/* stage: security rules towards the NIC */
	meter(f, nic->meter[DP_OUT]);
	if (n_in != sizeof(*eth) && bpf_xdp_adjust_head(f->ctx, n_in - (int)sizeof(*eth)))
		return drop(f, DP_DROP_ADJUST);
	eth = (void *)(long)f->ctx->data;
	if ((void *)(eth + 1) > (void *)(long)f->ctx->data_end)
		return drop(f, DP_DROP_ADJUST);
	mac_write(eth->h_dest, nic->mac);
	mac_write(eth->h_source, self->vswitch_mac);
	eth->h_proto = ETH_P_IP_BE;
	return port_send(f, slot);
}

/* --- From the fabric --------------------------------------------------------------------------- */

static __always_inline int
vnet_by_key(const struct frame *f, const struct outer *o, __u32 *ret)
{
	__u64 *w = numbers_at(o->key >> 12);
	__u64 number = w ? READ(*w) : 0;

	if (DP_NUMBER_KIND(number) != DP_NUMBER_VNET)
		return drop(f, DP_DROP_KEY_UNKNOWN);
	if (o->key & DP_KEY_LOCAL_ONLY)
		return drop(f, DP_DROP_KEY_ROLE);
	if (o->key != DP_NUMBER_KEY(number))
		return drop(f, DP_DROP_KEY_STALE);
	*ret = o->key >> 12;
	return CONTINUE;
}

static __always_inline int
fabric_run(struct frame *f)
{
	struct outer o = {};
	__u32 vnet = 0;
	__u64 home;
	int v;

	v = fabric_parse(f, &o);
	if (v != CONTINUE)
		return v;
	v = vnet_by_key(f, &o, &vnet);
	if (v != CONTINUE)
		return v;
	/* Another host speaks only for its own NICs; an edge has checked the customer's source. */
	if (o.role == DP_ROLE_HOST) {
		home = exact_find(vnet, f->src);
		if (!home || home & DP_EXACT_LOCAL || DP_EXACT_NODE(home) != o.from)
			return drop(f, DP_DROP_SRC_FABRIC);
	}
	home = exact_find(vnet, f->dst);
	if (!(home & DP_EXACT_LOCAL))
		return drop(f, DP_DROP_NO_NIC);
	return nic_deliver(f, DP_EXACT_NIC(home), vnet, sizeof(struct encap));
}

/* --- From a NIC -------------------------------------------------------------------------------- */

/* Every address of the subnet has the vSwitch's MAC, except the NIC's own. */
static __always_inline int
nic_arp(const struct frame *f, const struct dp_nic *nic, __u32 slot)
{
	struct dp_node *self = node_at(0);
	struct arp *a = (void *)(f->eth + 1);
	__be32 spa, tpa;
	__u8 sha[6];

	if ((void *)(a + 1) > f->end)
		return drop(f, DP_DROP_MALFORMED);
	__builtin_memcpy(&spa, a->spa, 4);
	__builtin_memcpy(&tpa, a->tpa, 4);
	if (!self || a->op != bpf_htons(1) || (tpa & nic->mask_be) != nic->subnet_be ||
	    exact_find(nic->vnet, bpf_ntohl(tpa)) == (DP_EXACT_LOCAL | slot))
		return drop(f, DP_DROP_ARP_FOREIGN);
	__builtin_memcpy(sha, a->sha, 6);
	a->op = bpf_htons(2);
	mac_write(a->sha, self->vswitch_mac);
	__builtin_memcpy(a->spa, &tpa, 4);
	__builtin_memcpy(a->tha, sha, 6);
	__builtin_memcpy(a->tpa, &spa, 4);
	__builtin_memcpy(f->eth->h_dest, sha, 6);
	mac_write(f->eth->h_source, self->vswitch_mac);
	count(f, DP_EVENT_ARP_ANSWERED);
	/* Not XDP_TX: a veth flushes that only towards a peer with a program of its own. */
	return (int)bpf_redirect(f->ctx->ingress_ifindex, 0);
}

/* By addresses, protocol and, in unfragmented TCP and UDP, ports. */
static __always_inline __u32
flow_hash(const struct frame *f)
{
	struct iphdr *ip = f->l3;
	void *l4 = (void *)ip + ip->ihl * 4;
	__u64 h = (__u64)f->src << 32 | f->dst;
	__u64 ports = ip->protocol;

	if ((ip->protocol == IPPROTO_TCP || ip->protocol == IPPROTO_UDP) &&
	    !(ip->frag_off & IP_FRAGMENT_BE) && l4 + 4 <= f->end)
		ports |= (__u64) * (__be32 *)l4 << 8;
	h = (h ^ (h >> 29)) * 0xbf58476d1ce4e5b9ull;
	h = (h ^ ports * 0x9e3779b97f4a7c15ull) * 0x94d049bb133111ebull;
	return (__u32)(h >> 32);
}

/* The flow's member; if its edge is down, one of the others, chosen by the same hash, so that the
 * flows of the living members stay where they are. */
static __always_inline int
group_choose(const struct frame *f, const struct dp_group *g, struct dp_member *ret)
{
	__u32 h = flow_hash(f), n = 0, want, up = 0;

#pragma unroll
	for (__u32 i = 0; i < DP_GROUP_MEMBERS; i++)
		if (i < g->n && link_is_up(g->member[i].link)) {
			up |= 1u << i;
			n++;
		}
	if (!n)
		return drop(f, DP_DROP_LINK_DOWN);
	want = (__u32)((__u64)h * g->n >> 32) & (DP_GROUP_MEMBERS - 1);
	if (!(up >> want & 1)) {
		__u32 skip = (__u32)((__u64)(h * 0x9e3779b9u) * n >> 32);

#pragma unroll
		for (__u32 i = 0; i < DP_GROUP_MEMBERS; i++)
			if (up >> i & 1) {
				if (!skip)
					want = i;
				skip--;
			}
	}
	*ret = g->member[want & (DP_GROUP_MEMBERS - 1)];
	return CONTINUE;
}

static __always_inline int
nic_to_vnet(const struct frame *f, const struct dp_nic *nic, __u32 vnet)
{
	__u64 *number = numbers_at(vnet);
	__u64 home = exact_find(vnet, f->dst);
	struct way w = {};
	int v;

	if (!home || !number || DP_NUMBER_KIND(*number) != DP_NUMBER_VNET)
		return drop(f, DP_DROP_NO_NIC);
	if (home & DP_EXACT_LOCAL) {
		meter(f, nic->meter[DP_IN]);
		return nic_deliver(f, DP_EXACT_NIC(home), vnet, sizeof(struct ethhdr));
	}
	v = way_load(f, &w, DP_EXACT_NODE(home), DP_NUMBER_KEY(*number));
	if (v != CONTINUE)
		return v;
	meter(f, nic->meter[DP_IN]);
	return encap_send(f, &w);
}

static __always_inline int
nic_to_group(const struct frame *f, const struct dp_nic *nic, __u32 index)
{
	struct dp_group *g = groups_at(index);
	struct dp_member m = {};
	struct way w = {};
	int v;

	if (!g || g->owner != nic->vnet)
		return drop(f, DP_DROP_STALE_ELEMENT);
	v = group_choose(f, g, &m);
	if (v != CONTINUE)
		return v;
	v = way_load(f, &w, m.node, m.key);
	if (v != CONTINUE)
		return v;
	meter(f, nic->meter[DP_IN]);
	return encap_send(f, &w);
}

/* The vSwitch is no hop: it does not touch the TTL. The edge is one. */
static __always_inline int
nic_run(struct frame *f)
{
	__u64 port = if_find(f->ctx->ingress_ifindex);
	__u32 slot = DP_IF_VALUE(port), r;
	struct dp_node *self = node_at(0);
	struct dp_nic *nic;
	int v;

	if (DP_IF_KIND(port) != DP_IF_NIC)
		return drop(f, DP_DROP_NO_PORT);
	nic = nics_at(slot);
	if (!self || !nic || !nic->vnet)
		return drop(f, DP_DROP_NO_PORT);
	if ((void *)(f->eth + 1) > f->end)
		return drop(f, DP_DROP_MALFORMED);
	if (f->eth->h_proto == ETH_P_ARP_BE)
		return nic_arp(f, nic, slot);
	if (f->eth->h_proto != ETH_P_IP_BE)
		return drop(f, f->eth->h_proto == ETH_P_IPV6_BE ? DP_DROP_IPV6 : DP_DROP_NOT_IP);
	if (!mac_equal(f->eth->h_dest, self->vswitch_mac))
		return drop(f, f->eth->h_dest[0] & 1 ? DP_DROP_MULTICAST : DP_DROP_NOT_OUR_MAC);
	f->l3 = f->eth + 1;
	v = ipv4_parse(f);
	if (v != CONTINUE)
		return v;
	if (ipv4_is_multicast(f->dst))
		return drop(f, DP_DROP_MULTICAST);
	if (exact_find(nic->vnet, f->src) != (DP_EXACT_LOCAL | slot))
		return drop(f, DP_DROP_SRC_NIC);
	if (!((struct iphdr *)f->l3)->ttl)
		return drop(f, DP_DROP_TTL);
	/* stage: security rules from the NIC */
	r = lpm_find(nic->table, nic->vnet, f->dst);
	switch (DP_RESULT_KIND(r)) {
	case DP_KIND_VNET:
		return nic_to_vnet(f, nic, DP_RESULT_VALUE(r));
	case DP_KIND_GROUP:
		return nic_to_group(f, nic, DP_RESULT_VALUE(r));
	case DP_KIND_BLACKHOLE:
		return drop(f, DP_DROP_BLACKHOLE);
	default:
		return drop(f, DP_DROP_NO_ROUTE);
	}
}

PROGRAM(host_fabric, fabric_run)
PROGRAM(host_nic, nic_run)

char LICENSE[] SEC("license") = "Dual BSD/GPL";
