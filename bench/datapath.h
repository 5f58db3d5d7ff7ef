/* Shared by datapath.c and datapath.bpf.c. */
#pragma once

#include <linux/types.h>

enum { BENCH_ROUTES = 10000, BENCH_HEAD = 104 };

struct bench_packet {
	__u32 len;
	__u32 vary_at; /* an IPv4 address in head that walks over the routes; 0: stays */
	__u32 next;
	__u8 head[BENCH_HEAD]; /* the packet's first bytes */
};
