/* The maps of the packet programs; shared.h says who writes which. Sizes are set by the loader
 * (datapath/load.c), which also fills the constants below before the programs are verified. */
#pragma once

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>

#include "datapath/shared.h"

const volatile struct dp_constants constants = { 1, 1, 1, 1 };

// clang-format off
#define DEFINE_ARRAY(map, T)                       \
	struct {                                   \
		__uint(type, BPF_MAP_TYPE_ARRAY);  \
		__uint(map_flags, BPF_F_MMAPABLE); \
		__uint(max_entries, 1);            \
		__uint(key_size, sizeof(__u32));   \
		__uint(value_size, sizeof(T));     \
	} map SEC(".maps");                        \
	static __always_inline T *                 \
	map##_at(__u32 i)                          \
	{                                          \
		return bpf_map_lookup_elem(&map, &i); \
	}
// clang-format on

DEFINE_ARRAY(sizes, struct dp_sizes)
DEFINE_ARRAY(node, struct dp_node)
DEFINE_ARRAY(ifs, __u64)
DEFINE_ARRAY(tags, struct dp_tag_row)
DEFINE_ARRAY(domains, struct dp_domain)
DEFINE_ARRAY(numbers, __u64)
DEFINE_ARRAY(exact, struct dp_exact_bucket)
DEFINE_ARRAY(tunnels, struct dp_tunnel)
DEFINE_ARRAY(adjs, struct dp_adj)
DEFINE_ARRAY(vroots, __u64)
DEFINE_ARRAY(lines, union dp_line)
DEFINE_ARRAY(nhs, struct dp_nh)
DEFINE_ARRAY(groups, struct dp_group)
DEFINE_ARRAY(nics, struct dp_nic)
DEFINE_ARRAY(policers, struct dp_policer)
DEFINE_ARRAY(control, struct dp_policer)
DEFINE_ARRAY(meter_slots, struct dp_meter_slot)
DEFINE_ARRAY(meters, struct dp_meter)
DEFINE_ARRAY(link_up, __u64)
DEFINE_ARRAY(counters, struct dp_counters)
DEFINE_ARRAY(domain_drops, struct dp_domain_drops)
DEFINE_ARRAY(unknown, struct dp_unknown)
DEFINE_ARRAY(epoch, struct dp_epoch)

/* Port -> device: the fabric, the trunks, the NICs. */
struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} tx SEC(".maps");

/* Domain number -> the outer end of its veth. Only control packets go there, so a hash will do. */
struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP_HASH);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} tx_domain SEC(".maps");
