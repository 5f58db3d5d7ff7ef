/* Between the switch's XDP program and its daemon. */
#pragma once

#include <linux/types.h>

#define SWITCH_PORTS 256 /* slots; 0 is none */
#define SWITCH_CAPTURE_BYTES 64

enum { SWITCH_TO_TRUNK, SWITCH_FROM_TRUNK, SWITCH_DIRECTIONS };
/* Control: what is not IP, and IP to or from the edge's own address. */
enum { SWITCH_DATA, SWITCH_CONTROL, SWITCH_CLASSES };

/* An access port and the tags it stands for on a trunk, or a trunk (trunk 0). */
struct switch_port {
	__u32 ifindex;
	__u32 trunk; /* slot */
	__u32 edge_be;
	__u16 s, c;
	__u32 is_cut; /* drops both directions, silently */
	__u32 pad;
};
struct switch_tags {
	__u32 trunk;
	__u16 s, c;
};
struct switch_count {
	__u64 packets, bytes, ip_bytes; /* bytes without tags */
};
struct switch_counts {
	struct switch_count n[SWITCH_DIRECTIONS][SWITCH_CLASSES];
};
struct switch_frame {
	__u32 trunk;
	__u32 direction;
	__u32 length;
	__u8 bytes[SWITCH_CAPTURE_BYTES];
};
