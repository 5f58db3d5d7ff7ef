/* What the switch's packet programs and its control program share. */
#pragma once

#include <linux/types.h>

enum {
	SWITCH_PORTS = 256,    /* access lines */
	SWITCH_SNAP = 64,      /* bytes of a captured frame */
	SWITCH_RING = 1 << 18, /* bytes of the capture's ring */
};

/* An access line's place; written by the control program, read by the packets. */
struct switch_port {
	__u32 access, trunk; /* ifindex */
	__u16 s_tag, c_tag;
	__u32 slot;      /* of its counters */
	__u32 is_cut;    /* drop both directions, silently */
	__u32 net, mask; /* the link subnet, CPU order: traffic inside it is control */
};
_Static_assert(sizeof(struct switch_port) == 28, "switch_port");

struct switch_tag {
	__u32 trunk;
	__u16 s_tag, c_tag;
};
_Static_assert(sizeof(struct switch_tag) == 8, "switch_tag");

/* Per slot and direction: 0 towards the trunk, 1 from it. */
struct switch_counter {
	__u64 packets, ip_bytes;              /* data: IP with neither end in the link subnet */
	__u64 control_packets, control_bytes; /* the rest: ARP, BGP, BFD */
	__u64 dropped;                        /* while cut */
};

/* A captured frame as it is on the trunk. */
struct switch_frame {
	__u32 trunk;
	__u16 is_in; /* from the customer */
	__u16 len;
	__u8 bytes[SWITCH_SNAP];
};
