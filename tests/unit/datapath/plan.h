/* A small edge for tests: what it is told, in versions. */
#pragma once

#include "base/mem.h"
#include "datapath/edge.h"

static inline struct dp_sizes
plan_sizes(void)
{
	return (struct dp_sizes){
		.n_cpu = 2,
		.n_trunks = 2,
		.n_domains = 16,
		.n_buckets = 64,
		.n_tunnels = 64,
		.n_adjs = 4,
		.n_tables = 16,
		.n_lines = 400,
		.n_nhs = 64,
		.n_policers = 32,
		.n_meters = 64,
		.n_links = 4096 + 16,
		.n_numbers = 1024,
		.n_unknown = 8,
		.n_groups = 32,
		.n_nics = 16,
	};
}

static inline struct addr
ip4(unsigned a, unsigned b, unsigned c, unsigned d)
{
	return addr_v4(a << 24 | b << 16 | c << 8 | d);
}

static inline struct prefix
net4(unsigned a, unsigned b, unsigned c, unsigned d, unsigned len)
{
	struct addr x = ip4(a, b, c, d);

	return prefix_make(&x, len);
}

static inline struct fabric_key
plan_key(uint32_t number, uint32_t generation)
{
	return fabric_key_make((struct fabric_number){ number }, generation);
}

static struct err plan_err;
#define PLAN_OK(call) \
	do { \
		int r_ = (call); \
		if (r_ < 0) { \
			fprintf(stderr, "%s: %d %s\n", #call, r_, plan_err.text); \
			abort(); \
		} \
	} while (0)

static inline void
plan_underlay(struct datapath_edge *d)
{
	struct datapath_node n = {
		.number = 1, .address = { ip4(10, 255, 0, 1) }, .tcp_port = { 8444 }, .mtu = 1600
	};
	struct mac own = { { 2, 0, 0, 0, 0, 1 } }, router = { { 2, 0, 0, 0, 0, 9 } };
	struct addr gateway = ip4(10, 254, 1, 1);
	const struct datapath_tunnel tunnels[] = {
		{ 2, DP_ROLE_PAIR, ip4(10, 255, 0, 2), gateway },
		{ 11, DP_ROLE_HOST, ip4(10, 255, 0, 11), gateway },
		{ 12, DP_ROLE_HOST, ip4(10, 255, 0, 12), gateway },
		{ 50, DP_ROLE_CONTROL, ip4(10, 255, 0, 250), gateway },
	};

	PLAN_OK(datapath_edge_node_set(d, &n, &plan_err));
	PLAN_OK(datapath_edge_gateway_put(d, &gateway, DP_PORT_FABRIC, &own, &plan_err));
	PLAN_OK(datapath_edge_gateway_mac(d, &gateway, &router));
	for (size_t i = 0; i < COUNT(tunnels); i++)
		PLAN_OK(datapath_edge_tunnel_put(d, &tunnels[i], &plan_err));
}

static inline struct datapath_domain
plan_domain(uint32_t number, uint16_t s, uint16_t c, uint32_t generation)
{
	return (struct datapath_domain){
		.number = { number },
		.key = plan_key(number, generation),
		.circuit = 1u << 12 | s,
		.trunk = 1,
		.s = { s },
		.c = { c },
		.tpid = 0x88a8,
		.local = ip4(172, 16, 0, 2),
		.peer = ip4(172, 16, 0, 1),
		.subnet_len = 30,
		.mtu = 1500,
		.mac = { { 2, 0, 0, 0, 1, (uint8_t)number } },
	};
}
