/* The catalogue: what the cloud could sell, as data an operator edits. Regions and their
 * geopolitical regions, peering locations, service providers with the bandwidths they offer, and
 * the figures (limits) that the rules use, so that no such figure is a constant in code.
 *
 * What is really on sale is less: a (provider, location) pair counts only with a trunk on a
 * registered edge pair (service_provider.c).
 *
 * It may describe several clouds (the public one, national ones): geopolitical regions belong to
 * one, and nothing reaches from one cloud into another.
 *
 * A catalogue is read whole, from several YAML texts, and checked whole; it never changes
 * afterwards and may be read from any thread. Lists keep the order of the files. Names of
 * locations and providers are matched exactly, names of regions without case and blanks. */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "net/addr.h"

struct catalogue_cloud {
	const char *name; /* "Public", "USGovernment"; nothing reaches from one into another */
};

struct catalogue_geo {
	const char *name;
	int zone; /* billing zone, 0 = none */
	const struct catalogue_cloud *cloud;
};

struct catalogue_region {
	const char *name;    /* "westeurope" */
	const char *display; /* "West Europe" */
	const struct catalogue_geo *geo;
	uint32_t community; /* suffix below 50000, 0 = none */
	/* Where public addresses come from, IPv4 and IPv6; no two regions' overlap. */
	const struct prefix *public_prefixes;
	size_t n_public_prefixes;
};

struct catalogue_location {
	const char *name;
	const char *facility;
	const struct catalogue_geo *geo;
	int zone;
	const struct catalogue_region **local; /* regions of the Local SKU; none: not sold here */
	size_t n_local;
	const uint32_t *direct_gbps; /* port sizes of direct ports; none: no direct here */
	size_t n_direct_gbps;
};

struct catalogue_offer {
	const struct catalogue_location *location;
	const uint32_t *mbps; /* ascending */
	size_t n_mbps;
};

/* How customers meet a provider: bits. */
enum catalogue_model {
	CATALOGUE_EXCHANGE = 1,       /* co-located at a cloud exchange */
	CATALOGUE_POINT_TO_POINT = 2, /* Ethernet between two places */
	CATALOGUE_ANY_TO_ANY = 4,     /* the cloud as one more site of an IP VPN */
};

struct catalogue_provider {
	const char *name;
	int layer;       /* 2 or 3: who may run the peering */
	unsigned models; /* enum catalogue_model, at least one */
	const uint32_t *mbps;
	size_t n_mbps;
	const struct catalogue_offer *offers;
	size_t n_offers;
};

/* A BGP community of the Microsoft peering: CLOUD_ASN:value. */
struct catalogue_community {
	const char *service; /* "Exchange", "Storage", "Azure" */
	const char *name;    /* "Exchange", "Storage West Europe" */
	const char *group;   /* "O365", "Azure" */
	const char *region;  /* where it is served: display name, or "Global" */
	uint32_t value;      /* 5010, 51002 */
	const struct catalogue_cloud *cloud;
	const struct prefix *prefixes; /* what carries it; may be none */
	size_t n_prefixes;
};

struct catalogue_asn_range {
	uint32_t first, last;
};

struct catalogue_links {
	uint32_t mbps, links; /* circuits of at most mbps */
};

/* A size of circuit that is cut from a direct port pair. */
struct catalogue_direct_circuit {
	uint32_t port_gbps, mbps;
};

struct catalogue_limits {
	uint32_t circuits_per_subscription;
	uint32_t circuits_per_region;
	uint32_t links_standard;
	const struct catalogue_links *links_premium; /* ascending */
	size_t n_links_premium;
	uint32_t links_same_location; /* circuits of one location to one VNet */
	uint32_t routes_standard,
		routes_premium; /* IPv4 prefixes of the customer, private peering */
	uint32_t routes_ipv6;   /* IPv6 prefixes of the customer, private peering */
	uint32_t routes_microsoft;
	uint32_t local_min_mbps; /* smallest circuit of the Local tier */
	uint32_t max_routing_weight;
	uint32_t address_spaces_per_vnet; /* at the time it is connected */
	uint32_t subnets_per_vnet, vnet_peerings_per_vnet;
	uint32_t rules_per_nsg, routes_per_table;
	uint32_t authorizations_per_circuit;
	uint32_t direct_oversubscription; /* circuits of a direct port pair add up to so many times it */
	const struct catalogue_direct_circuit *direct_circuits; /* in the order of the file */
	size_t n_direct_circuits;
	const struct catalogue_asn_range *reserved_asns;
	size_t n_reserved_asns;
	uint32_t private_community_base; /* plus a region's suffix: what its VNets carry */
	uint32_t cloud_asn, gateway_asn;
};

struct catalogue;

/* Reads the catalogue's files (catalogue_files) of a directory. Errors name
 * file and line: "providers.yaml:12: provider Equinix: no location named Amsterdm". */
enum { CATALOGUE_N_FILES = 6, CATALOGUE_MAX_TEXT = 1 << 20 };
extern const char *const catalogue_files[]; /* NULL-terminated; all of them must be there */
int catalogue_open(const char *dir, struct catalogue **ret, struct err *e);
/* The same from texts in memory; file is what errors say. */
struct catalogue_text {
	const char *file;
	const char *text;
	size_t n;
};
int catalogue_parse(const struct catalogue_text *texts, size_t n, struct catalogue **ret,
		    struct err *e);
/* The texts of a directory, unchecked, into the arena. */
int catalogue_read_files(struct arena *a, const char *dir,
			 struct catalogue_text ret[CATALOGUE_N_FILES], struct err *e);
void catalogue_destroy(struct catalogue *c);
CLEANUP(catalogue)

const struct catalogue_limits *catalogue_limits(const struct catalogue *c);
/* The i-th figure as it is called in the files; false: there are no more. */
bool catalogue_limit_at(const struct catalogue *c, size_t i, const char **ret_name, uint32_t *ret);
size_t catalogue_n_regions(const struct catalogue *c);
const struct catalogue_region *catalogue_region_at(const struct catalogue *c, size_t i);
size_t catalogue_n_locations(const struct catalogue *c);
const struct catalogue_location *catalogue_location_at(const struct catalogue *c, size_t i);
size_t catalogue_n_providers(const struct catalogue *c);
const struct catalogue_provider *catalogue_provider_at(const struct catalogue *c, size_t i);

/* Communities in the order of the files: services first, then each regional service with the
 * regions that have a communitySuffix. */
size_t catalogue_n_communities(const struct catalogue *c);
const struct catalogue_community *catalogue_community_at(const struct catalogue *c, size_t i);
/* By value in a cloud; NULL: no such. */
const struct catalogue_community *
catalogue_community(const struct catalogue *c, const struct catalogue_cloud *cloud, uint32_t value);
/* What a region's VNets carry on private peerings: 50000 + suffix with the default catalogue; 0:
 * none. */
uint32_t catalogue_private_community(const struct catalogue *c, const struct catalogue_region *r);

/* NULL when absent. "West Europe", "westeurope" and "WestEurope" are one region. */
const struct catalogue_region *catalogue_region(const struct catalogue *c, const char *name);
const struct catalogue_location *catalogue_location(const struct catalogue *c, const char *name);
const struct catalogue_provider *catalogue_provider(const struct catalogue *c, const char *name);
const struct catalogue_offer *catalogue_offer(const struct catalogue_provider *p,
					      const char *location);
/* A bandwidth as Azure writes it: "50Mbps", "1Gbps", into out. */
const char *catalogue_bandwidth_name(uint32_t mbps, char out[16]);

/* ---- the price book: amounts in ten-thousandths of the currency's unit; -1: it has no price ---- */

enum { CATALOGUE_PRICE_SCALE = 10000, CATALOGUE_PRICE_NAME = 512 };

const char *catalogue_currency(const struct catalogue *c); /* "USD"; "" without a price book */
/* A circuit's month. tier "Standard", family "MeteredData"; zone of its peering location. */
int64_t catalogue_price_circuit(const struct catalogue *c, const char *tier, const char *family,
				uint32_t mbps, int zone);
/* A gigabyte from the cloud to the customer, of a metered circuit. */
int64_t catalogue_price_egress(const struct catalogue *c, int zone);
/* An hour of a virtual network gateway. */
int64_t catalogue_price_gateway(const struct catalogue *c, const char *sku);
/* A month of a direct port pair. */
int64_t catalogue_price_port(const struct catalogue *c, uint32_t gbps, const char *family);
/* Global Reach: a month of one circuit, and a gigabyte at the sending circuit. */
int64_t catalogue_price_global_reach(const struct catalogue *c, int zone);
int64_t catalogue_price_global_reach_data(const struct catalogue *c, int zone);
/* An hour of a public address. */
int64_t catalogue_price_public_ip(const struct catalogue *c, const char *sku);
/* The i-th row, as people read it; false: there are no more. */
bool catalogue_price_at(const struct catalogue *c, size_t i, char name[CATALOGUE_PRICE_NAME],
			int64_t *ret);
/* Hours of a month where an hourly price is shown by the month. */
uint32_t catalogue_month_hours(const struct catalogue *c);
