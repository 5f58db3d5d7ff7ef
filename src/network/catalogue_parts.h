/* Inside the catalogue: what stands in the files, names not yet resolved, and the price book. */
#pragma once

#include "network/catalogue.h"
#include "network/catalogue_reader.h"

struct raw_offer {
	int line;
	const char *name;
	struct reader_numbers mbps;
};

struct raw_range {
	int line;
	uint32_t first, last;
};

struct raw_links {
	int line;
	uint32_t mbps, links;
};

/* A cloud, geopolitical region, region, location, bandwidth class, provider or community. */
struct raw_item {
	int line;
	const char *file;
	const char *name, *display, *geo, *cloud, *facility, *group;
	uint32_t zone, community, layer;
	struct reader_names local, models, classes, prefixes;
	struct reader_numbers direct, mbps;
	struct raw_offer *offers;
	size_t n_offers;
};

struct raw_items {
	struct raw_item *v;
	size_t n;
};

struct raw_limits {
	int line;
	const char *file;
	struct catalogue_limits v;
	struct raw_range *reserved;
	size_t n_reserved;
	struct raw_links *premium;
	size_t n_premium;
	struct raw_links *direct; /* mbps: of the circuit, links: the port's Gbps */
	size_t n_direct;
};

/* A row of the price book; which words are used depends on its list. */
struct raw_price {
	int line;
	const char *tier, *family, *sku;
	uint32_t mbps, gbps, zone;
	int64_t amount, data;
};

struct raw_prices_list {
	struct raw_price *v;
	size_t n;
};

enum price_list {
	PRICE_CIRCUITS,
	PRICE_EGRESS,
	PRICE_GATEWAYS,
	PRICE_PORTS,
	PRICE_GLOBAL_REACH,
	PRICE_ADDRESSES,
	PRICE_LISTS
};

struct raw_prices {
	int line;
	const char *file;
	const char *currency;
	uint32_t month_hours;
	struct raw_prices_list lists[PRICE_LISTS];
};

/* The top of a file: any of the sections. All files are read into one. */
struct raw_top {
	struct raw_items clouds, geos, regions, locations, classes, providers;
	struct raw_items communities, regional;
	struct raw_limits *limits;
	size_t n_limits;
	struct raw_prices *prices;
	size_t n_prices;
};

extern const struct reader_schema catalogue_prices_schema;

struct catalogue {
	struct arena arena;
	struct raw_top raw;
	struct catalogue_cloud *clouds;
	size_t n_clouds;
	struct catalogue_geo *geos;
	size_t n_geos;
	struct catalogue_region *regions;
	size_t n_regions;
	struct catalogue_location *locations;
	size_t n_locations;
	struct catalogue_provider *providers;
	size_t n_providers;
	struct catalogue_community *communities;
	size_t n_communities;
	struct catalogue_limits limits;
	const struct raw_prices *prices; /* NULL: no price book */
};

/* Checks the price book; c->prices is set. */
int catalogue_prices_resolve(struct catalogue *c, struct err *e);
