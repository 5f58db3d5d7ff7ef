/* Runs a program again and again on the same packet: before each run the packet is made anew, since
 * the programs change it. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "datapath.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct bench_packet);
} packet SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} under_test SEC(".maps");

static __always_inline int
restore(struct xdp_md *ctx)
{
	__u32 zero = 0;
	struct bench_packet *p = bpf_map_lookup_elem(&packet, &zero);
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	long surplus = end - data;

	if (!p)
		return -1;
	/* Or clang subtracts the pointers as 32-bit words, which the verifier forbids. */
	asm volatile("" : "+r"(surplus));
	surplus -= p->len;
	if (surplus && bpf_xdp_adjust_head(ctx, (int)surplus))
		return -1;
	data = (void *)(long)ctx->data;
	if (data + sizeof(p->head) > (void *)(long)ctx->data_end)
		return -1;
	__builtin_memcpy(data, p->head, sizeof(p->head));
	if (p->vary_at && p->vary_at <= sizeof(p->head) - 4) {
		__u32 route = p->next++ % BENCH_ROUTES;
		__u8 *at = data + (p->vary_at & 127);

		/* The second and third byte of the address: one of the routes. */
		if ((void *)(at + 4) <= (void *)(long)ctx->data_end) {
			at[1] = (__u8)(route >> 8);
			at[2] = (__u8)route;
		}
	}
	return 0;
}

SEC("xdp")
int
bench_restore(struct xdp_md *ctx)
{
	return restore(ctx) ? XDP_ABORTED : XDP_PASS;
}

/* The least that a packet that goes on can cost. */
SEC("xdp")
int
bench_redirect(struct xdp_md *ctx)
{
	return restore(ctx) ? XDP_ABORTED : (int)bpf_redirect(ctx->ingress_ifindex, 0);
}

SEC("xdp")
int
bench_program(struct xdp_md *ctx)
{
	if (!restore(ctx))
		bpf_tail_call(ctx, &under_test, 0);
	return XDP_ABORTED;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
