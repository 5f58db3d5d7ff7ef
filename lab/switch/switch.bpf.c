/* An exchange provider's switch: untagged access ports on one side, trunks with 0x88a8 S and 0x8100 C
 * tags on the other. It does not look at MAC addresses: each (trunk, S, C) is a wire to one port. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>

#include "shared.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, SWITCH_PORTS);
	__uint(key_size, sizeof(__u32));   /* ifindex */
	__uint(value_size, sizeof(__u32)); /* slot */
} ifs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SWITCH_PORTS);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct switch_port));
} ports SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, SWITCH_PORTS);
	__uint(key_size, sizeof(struct switch_tags));
	__uint(value_size, sizeof(__u32)); /* slot */
} tags SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SWITCH_PORTS);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct switch_counts));
} counts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, SWITCH_PORTS);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} tx SEC(".maps");

/* The trunk being captured; 0: none. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} capture SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 * 1024);
} frames SEC(".maps");

struct tag {
	__be16 tci, type;
};

static __always_inline void
capture_frame(struct xdp_md *ctx, __u32 trunk, __u32 direction)
{
	__u32 zero = 0, *wanted = bpf_map_lookup_elem(&capture, &zero);
	struct switch_frame *f;
	__u64 n = bpf_xdp_get_buff_len(ctx);

	if (!wanted || *wanted != trunk)
		return;
	f = bpf_ringbuf_reserve(&frames, sizeof(*f), 0);
	if (!f)
		return;
	f->trunk = trunk;
	f->direction = direction;
	f->length = (__u32)n;
	__builtin_memset(f->bytes, 0, sizeof(f->bytes));
	if (n > sizeof(f->bytes))
		n = sizeof(f->bytes);
	if (n >= 1 && n <= sizeof(f->bytes))
		bpf_xdp_load_bytes(ctx, 0, f->bytes, (__u32)n);
	bpf_ringbuf_submit(f, 0);
}

/* l3: what follows the tags; n_tags bytes of them are not counted. */
static __always_inline void
count(const struct switch_port *p, __u32 slot, __u32 direction, __be16 type, void *l3, void *end,
      __u32 length)
{
	struct switch_counts *c = bpf_map_lookup_elem(&counts, &slot);
	struct iphdr *ip = l3;
	struct switch_count *n;
	__u32 class = SWITCH_CONTROL, ip_bytes = 0;

	if (!c)
		return;
	if (type == bpf_htons(ETH_P_IP) && (void *)(ip + 1) <= end) {
		ip_bytes = bpf_ntohs(ip->tot_len);
		if (ip->saddr != p->edge_be && ip->daddr != p->edge_be)
			class = SWITCH_DATA;
	}
	n = &c->n[direction & 1][class & 1];
	n->packets++;
	n->bytes += length;
	n->ip_bytes += ip_bytes;
}

static __always_inline int
access_run(struct xdp_md *ctx, struct switch_port *p, __u32 slot)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data, copy;
	struct tag *t;

	if ((void *)(eth + 1) > end || p->is_cut)
		return XDP_DROP;
	count(p, slot, SWITCH_TO_TRUNK, eth->h_proto, eth + 1, end, (__u32)(end - data));
	copy = *eth;
	if (bpf_xdp_adjust_head(ctx, -(int)(2 * sizeof(*t))))
		return XDP_DROP;
	eth = (void *)(long)ctx->data;
	t = (void *)(eth + 1);
	if ((void *)(t + 2) > (void *)(long)ctx->data_end)
		return XDP_DROP;
	t[0] = (struct tag){ bpf_htons(p->s), bpf_htons(ETH_P_8021Q) };
	t[1] = (struct tag){ bpf_htons(p->c), copy.h_proto };
	copy.h_proto = bpf_htons(ETH_P_8021AD);
	*eth = copy;
	capture_frame(ctx, p->trunk, SWITCH_TO_TRUNK);
	return (int)bpf_redirect_map(&tx, p->trunk, XDP_DROP);
}

static __always_inline int
trunk_run(struct xdp_md *ctx, __u32 trunk)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data, copy;
	struct tag *t = (void *)(eth + 1);
	struct switch_tags key = { .trunk = trunk };
	struct switch_port *p;
	__u32 *slot, to;

	capture_frame(ctx, trunk, SWITCH_FROM_TRUNK);
	if ((void *)(t + 2) > end || eth->h_proto != bpf_htons(ETH_P_8021AD) ||
	    t[0].type != bpf_htons(ETH_P_8021Q))
		return XDP_DROP;
	key.s = bpf_ntohs(t[0].tci) & 0xfff;
	key.c = bpf_ntohs(t[1].tci) & 0xfff;
	slot = bpf_map_lookup_elem(&tags, &key);
	if (!slot)
		return XDP_DROP;
	to = *slot;
	p = bpf_map_lookup_elem(&ports, &to);
	if (!p || p->is_cut)
		return XDP_DROP;
	count(p, to, SWITCH_FROM_TRUNK, t[1].type, t + 2, end,
	      (__u32)(end - data) - 2 * sizeof(*t));
	copy = *eth;
	copy.h_proto = t[1].type;
	if (bpf_xdp_adjust_head(ctx, (int)(2 * sizeof(*t))))
		return XDP_DROP;
	eth = (void *)(long)ctx->data;
	if ((void *)(eth + 1) > (void *)(long)ctx->data_end)
		return XDP_DROP;
	*eth = copy;
	return (int)bpf_redirect_map(&tx, to, XDP_DROP);
}

SEC("xdp")
int
labswitch(struct xdp_md *ctx)
{
	__u32 ifindex = ctx->ingress_ifindex;
	__u32 *slot = bpf_map_lookup_elem(&ifs, &ifindex), at;
	struct switch_port *p;

	if (!slot)
		return XDP_DROP;
	at = *slot;
	p = bpf_map_lookup_elem(&ports, &at);
	if (!p)
		return XDP_DROP;
	return p->trunk ? access_run(ctx, p, at) : trunk_run(ctx, at);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
