/* An exchange provider's switch as packet programs: an untagged access line becomes (S-tag, C-tag)
 * on a trunk, and back. It learns nothing and never floods: one line, one place.
 *
 *   access line ──▶ access() push two tags ──▶ trunk
 *   access line ◀── trunk() pop two tags   ◀── trunk
 *
 * Tags are always inline: a kernel bridge would keep the outer one in the packet's metadata, where
 * the next program cannot see it. */
#include "switch.h"

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define P_VLAN bpf_htons(0x8100)
#define P_SVLAN bpf_htons(0x88a8)
#define P_IP bpf_htons(0x0800)

/* Control writes, packets read. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, SWITCH_PORTS);
	__type(key, __u32);
	__type(value, struct switch_port);
} by_access SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, SWITCH_PORTS);
	__type(key, struct switch_tag);
	__type(value, struct switch_port);
} by_tag SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP_HASH);
	__uint(max_entries, SWITCH_PORTS * 2);
	__type(key, __u32);
	__type(value, __u32);
} tx SEC(".maps");

/* Packets write, control reads and sums. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SWITCH_PORTS * 2);
	__type(key, __u32);
	__type(value, struct switch_counter);
} counters SEC(".maps");

/* The trunk that is being captured, 0: none. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} captured SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, SWITCH_RING);
} frames SEC(".maps");

struct tag {
	__be16 tci, type;
};

/* Ethernet and both tags, as on the trunk. */
struct tagged {
	__u8 dst[6], src[6];
	__be16 outer;    /* 0x88a8 or 0x8100 */
	struct tag s, c; /* s.type is 0x8100, c.type what follows */
};
_Static_assert(sizeof(struct tagged) == sizeof(struct ethhdr) + 2 * sizeof(struct tag), "tagged");

static __always_inline void
count(const struct switch_port *p, __u32 way, void *l3, void *end, __u16 type)
{
	__u32 key = p->slot * 2 + way;
	struct switch_counter *c = bpf_map_lookup_elem(&counters, &key);
	struct iphdr *ip = l3;

	if (!c)
		return;
	if (p->is_cut) {
		c->dropped++;
		return;
	}
	if (type == P_IP && (void *)(ip + 1) <= end) {
		__u32 src = bpf_ntohl(ip->saddr), dst = bpf_ntohl(ip->daddr);

		if ((src & p->mask) != p->net && (dst & p->mask) != p->net) {
			c->packets++;
			c->ip_bytes += bpf_ntohs(ip->tot_len);
			return;
		}
	}
	c->control_packets++;
	c->control_bytes += (__u64)(end - l3);
}

static __always_inline void
capture(struct xdp_md *ctx, __u32 trunk, __u16 is_in)
{
	__u32 zero = 0, *wanted = bpf_map_lookup_elem(&captured, &zero);
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct switch_frame *f;

	if (!wanted || *wanted != trunk || data + SWITCH_SNAP > end)
		return;
	f = bpf_ringbuf_reserve(&frames, sizeof(*f), 0);
	if (!f)
		return;
	f->trunk = trunk;
	f->is_in = is_in;
	f->len = (__u16)(end - data);
	__builtin_memcpy(f->bytes, data, SWITCH_SNAP);
	bpf_ringbuf_submit(f, 0);
}

SEC("xdp")
int
access_port(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u32 ifindex = ctx->ingress_ifindex;
	struct switch_port *p = bpf_map_lookup_elem(&by_access, &ifindex);
	struct ethhdr *eth = data, old;
	struct tagged *out;

	if (!p || (void *)(eth + 1) > end)
		return XDP_DROP;
	count(p, 0, eth + 1, end, eth->h_proto);
	if (p->is_cut)
		return XDP_DROP;
	__builtin_memcpy(&old, eth, sizeof(old));
	if (bpf_xdp_adjust_head(ctx, -(int)(2 * sizeof(struct tag))))
		return XDP_DROP;
	data = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	out = data;
	if ((void *)(out + 1) > end)
		return XDP_DROP;
	__builtin_memcpy(out->dst, old.h_dest, 6);
	__builtin_memcpy(out->src, old.h_source, 6);
	out->outer = P_SVLAN;
	out->s = (struct tag){ bpf_htons(p->s_tag), P_VLAN };
	out->c = (struct tag){ bpf_htons(p->c_tag), old.h_proto };
	capture(ctx, p->trunk, 1);
	return bpf_redirect_map(&tx, p->trunk, XDP_DROP);
}

SEC("xdp")
int
trunk_port(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct tagged *in = data, old;
	struct switch_tag tag = { .trunk = ctx->ingress_ifindex };
	struct switch_port *p;
	struct ethhdr *eth;

	if ((void *)(in + 1) > end || (in->outer != P_SVLAN && in->outer != P_VLAN) ||
	    in->s.type != P_VLAN)
		return XDP_DROP;
	tag.s_tag = bpf_ntohs(in->s.tci) & 0xfff;
	tag.c_tag = bpf_ntohs(in->c.tci) & 0xfff;
	p = bpf_map_lookup_elem(&by_tag, &tag);
	if (!p)
		return XDP_DROP;
	count(p, 1, in + 1, end, in->c.type);
	if (p->is_cut)
		return XDP_DROP;
	capture(ctx, p->trunk, 0);
	__builtin_memcpy(&old, in, sizeof(old));
	if (bpf_xdp_adjust_head(ctx, (int)(2 * sizeof(struct tag))))
		return XDP_DROP;
	data = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	eth = data;
	if ((void *)(eth + 1) > end)
		return XDP_DROP;
	__builtin_memcpy(eth->h_dest, old.dst, 6);
	__builtin_memcpy(eth->h_source, old.src, 6);
	eth->h_proto = old.c.type;
	return bpf_redirect_map(&tx, p->access, XDP_DROP);
}

char _license[] SEC("license") = "GPL";
