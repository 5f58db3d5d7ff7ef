/* Packets in, verdict and packets out: the loaded programs run by BPF_PROG_TEST_RUN over maps that
 * the tables' own code fills. Everything lives in a network and mount namespace of this process. */
#pragma once

#include "../unit/test.h"

#include "../unit/datapath/plan.h"
#include "datapath/host.h"
#include "datapath/load.h"

struct rig {
	struct datapath_load *load;
	struct datapath_maps *bfd; /* link_up */
	char dir[64];
};

/* Exits 77 without the privilege. Makes veths fabric, trunk and customer, and attaches to them. */
void rig_open(struct rig *r, enum datapath_role role, const struct dp_sizes *sizes);
void rig_close(struct rig *r);
/* Test runs come in by the loopback; this says what that is. */
void rig_enter_by(struct rig *r, enum dp_if_kind kind, uint32_t value);

struct packet {
	uint8_t b[2048];
	uint32_t n;
};
/* Each appends at the end. */
void put_bytes(struct packet *p, const void *b, uint32_t n);
void put_eth(struct packet *p, const struct mac *dst, const struct mac *src, uint16_t type);
/* type: what follows; the tag's own type is the type before it. */
void put_tag(struct packet *p, uint16_t vid, uint16_t type);
/* An IPv4 header for `payload` more bytes, checksum right. Returns its offset. */
uint32_t put_ip(struct packet *p, struct addr src, struct addr dst, uint8_t proto, uint8_t ttl,
		uint8_t tos, uint32_t payload);
void put_ports(struct packet *p, uint16_t src, uint16_t dst); /* 8 bytes */
void put_gre(struct packet *p, uint16_t flags, uint16_t type, uint32_t key);
void put_zeros(struct packet *p, uint32_t n);
void put_arp(struct packet *p, uint16_t op, const struct mac *sha, struct addr spa,
	     struct addr tpa);
uint16_t at16(const struct packet *p, uint32_t off);
uint32_t at32(const struct packet *p, uint32_t off);
bool ip_sum_is_right(const struct packet *p, uint32_t off);

/* XDP verdict; *p becomes the packet that comes out. */
int rig_run(struct rig *r, const char *program, struct packet *p);
/* The same with so little headroom that nothing can be pushed. -1: this kernel cannot. */
int rig_run_tight(struct rig *r, const char *program, struct packet *p);
uint64_t rig_drops(struct rig *r, enum dp_drop reason);

extern bool dropped_for[DP_DROPS]; /* what assert_dropped() has seen */
/* Dropped, counted once, by this reason and no other. */
void assert_dropped(struct rig *r, const char *program, const struct packet *p,
		    enum dp_drop reason);
void assert_verdict(struct rig *r, const char *program, struct packet *p, int verdict);
