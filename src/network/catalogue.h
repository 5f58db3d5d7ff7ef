/* The catalogue: what the cloud could sell, as data an operator edits. Regions and their
 * geopolitical regions, peering locations, service providers with the bandwidths they offer, and
 * the figures (limits) that the rules use, so that no such figure is a constant in code.
 *
 * What is really on sale is less: a (provider, location) pair counts only with a trunk on a
 * registered edge pair (service_provider.c).
 *
 * A catalogue is read whole, from several YAML texts, and checked whole; it never changes
 * afterwards and may be read from any thread. Lists keep the order of the files. Names of
 * locations and providers are matched exactly, names of regions without case and blanks. */
#pragma once

#include "base/arena.h"
#include "base/err.h"

struct catalogue_geo {
	const char *name;
	int zone; /* billing zone, 0 = none */
};

struct catalogue_region {
	const char *name;    /* "westeurope" */
	const char *display; /* "West Europe" */
	const struct catalogue_geo *geo;
	uint32_t community; /* suffix below 50000, 0 = none */
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

struct catalogue_provider {
	const char *name;
	int layer; /* 2 or 3: who may run the peering */
	const uint32_t *mbps;
	size_t n_mbps;
	const struct catalogue_offer *offers;
	size_t n_offers;
};

struct catalogue_asn_range {
	uint32_t first, last;
};

struct catalogue_links {
	uint32_t mbps, links; /* circuits of at most mbps */
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
	uint32_t routes_microsoft;
	uint32_t local_min_mbps; /* smallest circuit of the Local tier */
	uint32_t max_routing_weight;
	uint32_t address_spaces_per_vnet; /* at the time it is connected */
	uint32_t authorizations_per_circuit;
	const struct catalogue_asn_range *reserved_asns;
	size_t n_reserved_asns;
	uint32_t cloud_asn, gateway_asn;
};

struct catalogue;

/* Reads regions.yaml, locations.yaml, providers.yaml and limits.yaml of a directory. Errors name
 * file and line: "providers.yaml:12: provider Equinix: no location named Amsterdm". */
int catalogue_open(const char *dir, struct catalogue **ret, struct err *e);
/* The same from texts in memory; file is what errors say. */
struct catalogue_text {
	const char *file;
	const char *text;
	size_t n;
};
int catalogue_parse(const struct catalogue_text *texts, size_t n, struct catalogue **ret,
		    struct err *e);
void catalogue_destroy(struct catalogue *c);
CLEANUP(catalogue)

const struct catalogue_limits *catalogue_limits(const struct catalogue *c);
size_t catalogue_n_regions(const struct catalogue *c);
const struct catalogue_region *catalogue_region_at(const struct catalogue *c, size_t i);
size_t catalogue_n_locations(const struct catalogue *c);
const struct catalogue_location *catalogue_location_at(const struct catalogue *c, size_t i);
size_t catalogue_n_providers(const struct catalogue *c);
const struct catalogue_provider *catalogue_provider_at(const struct catalogue *c, size_t i);

/* NULL when absent. "West Europe", "westeurope" and "WestEurope" are one region. */
const struct catalogue_region *catalogue_region(const struct catalogue *c, const char *name);
const struct catalogue_location *catalogue_location(const struct catalogue *c, const char *name);
const struct catalogue_provider *catalogue_provider(const struct catalogue *c, const char *name);
const struct catalogue_offer *catalogue_offer(const struct catalogue_provider *p,
					      const char *location);
/* A bandwidth as Azure writes it: "50Mbps", "1Gbps", into out. */
const char *catalogue_bandwidth_name(uint32_t mbps, char out[16]);
