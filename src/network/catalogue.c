/* Reads and checks the catalogue (catalogue.h). One table per YAML mapping says which keys it has,
 * of which kind and where they go; a walker fills them in and names file and line of what it does
 * not know. Names are resolved to pointers in a second pass, when everything has been read, so the
 * order of files and of entries does not matter. */
#include "network/catalogue.h"

#include "base/mem.h"

#include <ctype.h>
#include <libfyaml.h>
#include <limits.h>

/* Caps: an operator's file, but still a file. */
enum { MAX_ITEMS = 4096, MAX_NAME = 128 };

struct name_ref {
	const char *name;
	int line;
};

struct names {
	struct name_ref *v;
	size_t n;
};

struct numbers {
	uint32_t *v;
	size_t n;
};

/* An item as it stands in a file, names not yet resolved. */
struct raw_offer {
	int line;
	const char *name;
	struct numbers mbps;
};

struct raw_range {
	int line;
	uint32_t first, last;
};

struct raw_links {
	int line;
	uint32_t mbps, links;
};

struct raw_item { /* geopolitical region, region, location or provider */
	int line;
	const char *file;
	const char *name, *display, *geo, *facility;
	uint32_t zone, community, layer;
	struct names local;
	struct numbers direct, mbps;
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
};

struct catalogue {
	struct arena arena;
	struct raw_items raw_geos, raw_regions, raw_locations, raw_providers;
	struct raw_limits raw_limits;
	struct catalogue_geo *geos;
	size_t n_geos;
	struct catalogue_region *regions;
	size_t n_regions;
	struct catalogue_location *locations;
	size_t n_locations;
	struct catalogue_provider *providers;
	size_t n_providers;
	struct catalogue_limits limits;
};

/* ---- the walker ---- */

enum kind { K_TEXT, K_NUMBER, K_NAMES, K_NUMBERS, K_LIST };

struct reader {
	struct catalogue *c;
	const char *file;
	struct err *e;
};

struct field {
	const char *key;
	enum kind kind;
	bool required;
	size_t at;   /* offset in the struct; for lists of the array pointer */
	size_t at_n; /* K_LIST: offset of the count */
	const struct schema *of;
	uint32_t max; /* K_NUMBER, K_NUMBERS: largest value; 0 = any */
};

struct schema {
	const char *what; /* for people: "a provider" */
	size_t size;
	size_t at_line;
	const struct field *fields;
	size_t n_fields;
};

static int
node_line(struct fy_node *n, int parent)
{
	struct fy_token *t = NULL;

	if (!n)
		return parent;
	if (fy_node_is_scalar(n)) {
		t = fy_node_get_scalar_token(n);
	} else if (fy_node_is_mapping(n)) {
		void *it = NULL;
		struct fy_node_pair *p = fy_node_mapping_iterate(n, &it);

		return p ? node_line(fy_node_pair_key(p), parent) : parent;
	} else {
		void *it = NULL;
		struct fy_node *first = fy_node_sequence_iterate(n, &it);

		return first ? node_line(first, parent) : parent;
	}
	const struct fy_mark *m = t ? fy_token_start_mark(t) : NULL;

	return m ? m->line + 1 : parent;
}

static int
read_text(struct reader *r, struct fy_node *n, const char *key, int line, const char **ret)
{
	size_t len = 0;
	const char *s = n && fy_node_is_scalar(n) ? fy_node_get_scalar(n, &len) : NULL;

	line = node_line(n, line);
	if (!s || !len || len > MAX_NAME || fy_node_is_alias(n) || memchr(s, 0, len))
		return err_set(r->e, -EINVAL, "%s:%d: %s: wants a text of 1 to %d characters",
			       r->file, line, key, MAX_NAME);
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)s[i] < 0x20)
			return err_set(r->e, -EINVAL, "%s:%d: %s: control character in a name",
				       r->file, line, key);
	*ret = arena_strndup(&r->c->arena, s, len);
	return 0;
}

static int
read_number(struct reader *r, struct fy_node *n, const struct field *f, int line, uint32_t *ret)
{
	size_t len = 0;
	const char *s = n && fy_node_is_scalar(n) ? fy_node_get_scalar(n, &len) : NULL;
	uint32_t max = f->max ? f->max : UINT32_MAX;
	uint64_t v = 0;
	bool bad = !s || !len || len > 10 || fy_node_is_alias(n);

	for (size_t i = 0; !bad && i < len; i++) {
		bad = !isdigit((unsigned char)s[i]);
		v = v * 10 + (uint64_t)(s[i] - '0');
	}
	if (bad || v > max)
		return err_set(r->e, -EINVAL, "%s:%d: %s: wants a whole number from 0 to %u",
			       r->file, node_line(n, line), f->key, max);
	*ret = (uint32_t)v;
	return 0;
}

/* The number of elements of a sequence, checked. */
static int
list_open(struct reader *r, struct fy_node *n, const char *key, int line, size_t *ret)
{
	if (!n || !fy_node_is_sequence(n))
		return err_set(r->e, -EINVAL, "%s:%d: %s: wants a list", r->file,
			       node_line(n, line), key);
	int count = fy_node_sequence_item_count(n);

	if (count < 0 || count > MAX_ITEMS)
		return err_set(r->e, -EINVAL, "%s:%d: %s: more than %d entries", r->file, line, key,
			       MAX_ITEMS);
	*ret = (size_t)count;
	return 0;
}

static int read_mapping(struct reader *r, struct fy_node *n, const struct schema *s, int line,
			void *out);

static int
read_list(struct reader *r, struct fy_node *n, const struct field *f, int line, char *out)
{
	size_t more;
	int ret = list_open(r, n, f->key, line, &more);
	char **array = (char **)(void *)(out + f->at);
	size_t *have = (size_t *)(void *)(out + f->at_n);

	if (ret < 0)
		return ret;
	/* The same list may come in several files: append. */
	char *grown = arena_alloc(&r->c->arena, (*have + more + 1) * f->of->size);

	if (*have)
		memcpy(grown, *array, *have * f->of->size);
	*array = grown;
	void *it = NULL;
	struct fy_node *item;

	while ((item = fy_node_sequence_iterate(n, &it))) {
		ret = read_mapping(r, item, f->of, line, *array + *have * f->of->size);
		if (ret < 0)
			return ret;
		++*have;
	}
	return 0;
}

static int
read_names(struct reader *r, struct fy_node *n, const struct field *f, int line, struct names *out)
{
	size_t count;
	int ret = list_open(r, n, f->key, line, &count);

	if (ret < 0)
		return ret;
	out->v = NEW_ARRAY(&r->c->arena, struct name_ref, count + 1);
	out->n = 0;
	void *it = NULL;
	struct fy_node *item;

	while ((item = fy_node_sequence_iterate(n, &it))) {
		struct name_ref *ref = &out->v[out->n++];

		ref->line = node_line(item, line);
		ret = read_text(r, item, f->key, line, &ref->name);
		if (ret < 0)
			return ret;
	}
	return 0;
}

static int
read_numbers(struct reader *r, struct fy_node *n, const struct field *f, int line,
	     struct numbers *out)
{
	size_t count;
	int ret = list_open(r, n, f->key, line, &count);

	if (ret < 0)
		return ret;
	out->v = NEW_ARRAY(&r->c->arena, uint32_t, count + 1);
	out->n = 0;
	void *it = NULL;
	struct fy_node *item;

	while ((item = fy_node_sequence_iterate(n, &it))) {
		uint32_t *v = &out->v[out->n];

		ret = read_number(r, item, f, line, v);
		if (ret < 0)
			return ret;
		if (!*v || (out->n && v[-1] >= *v))
			return err_set(r->e, -EINVAL, "%s:%d: %s: wants ascending numbers above 0",
				       r->file, node_line(item, line), f->key);
		out->n++;
	}
	return 0;
}

static int
read_field(struct reader *r, struct fy_node *n, const struct field *f, int line, char *out)
{
	void *at = out + f->at;

	switch (f->kind) {
	case K_TEXT:
		return read_text(r, n, f->key, line, at);
	case K_NUMBER:
		return read_number(r, n, f, line, at);
	case K_NAMES:
		return read_names(r, n, f, line, at);
	case K_NUMBERS:
		return read_numbers(r, n, f, line, at);
	case K_LIST:
		return read_list(r, n, f, line, out);
	}
	return -EINVAL;
}

static const struct field *
field_find(const struct schema *s, const char *key, size_t len)
{
	for (size_t i = 0; i < s->n_fields; i++)
		if (strlen(s->fields[i].key) == len && !memcmp(s->fields[i].key, key, len))
			return &s->fields[i];
	return NULL;
}

static int
read_mapping(struct reader *r, struct fy_node *n, const struct schema *s, int line, void *out)
{
	uint64_t seen = 0;
	void *it = NULL;
	struct fy_node_pair *pair;

	line = node_line(n, line);
	if (!n || !fy_node_is_mapping(n))
		return err_set(r->e, -EINVAL, "%s:%d: wants %s as a mapping", r->file, line,
			       s->what);
	if (s->at_line != SIZE_MAX)
		*(int *)(void *)((char *)out + s->at_line) = line;
	while ((pair = fy_node_mapping_iterate(n, &it))) {
		struct fy_node *k = fy_node_pair_key(pair);
		size_t len = 0;
		const char *key = k && fy_node_is_scalar(k) ? fy_node_get_scalar(k, &len) : NULL;
		int at = node_line(k, line);
		const struct field *f = key ? field_find(s, key, len) : NULL;

		if (!f)
			return err_set(r->e, -EINVAL, "%s:%d: %s has no key '%.*s'", r->file, at,
				       s->what, key ? (int)MIN(len, (size_t)40) : 1,
				       key ? key : "?");
		if (seen & 1ull << (f - s->fields))
			return err_set(r->e, -EINVAL, "%s:%d: '%s' stands twice", r->file, at,
				       f->key);
		seen |= 1ull << (f - s->fields);
		int ret = read_field(r, fy_node_pair_value(pair), f, at, out);

		if (ret < 0)
			return ret;
	}
	for (size_t i = 0; i < s->n_fields; i++)
		if (s->fields[i].required && !(seen & 1ull << i))
			return err_set(r->e, -EINVAL, "%s:%d: %s lacks '%s'", r->file, line,
				       s->what, s->fields[i].key);
	return 0;
}

/* ---- the tables ---- */

#define SCHEMA(name, what, T, line, ...) \
	static const struct field name##_fields[] = { __VA_ARGS__ }; \
	static const struct schema name##_schema = { what, sizeof(T), line, name##_fields, \
						     COUNT(name##_fields) }
#define ITEM(m) offsetof(struct raw_item, m)
#define LIMIT(key, m, max_) \
	{ \
		key, K_NUMBER, true, offsetof(struct raw_limits, v.m), 0, NULL, max_ \
	}

/* clang-format off */
SCHEMA(geo, "a geopolitical region", struct raw_item, ITEM(line),
	{ .key = "name", .kind = K_TEXT, .required = true, .at = ITEM(name) },
	{ .key = "zone", .kind = K_NUMBER, .at = ITEM(zone), .max = 9 },
);
SCHEMA(region, "a region", struct raw_item, ITEM(line),
	{ .key = "name", .kind = K_TEXT, .required = true, .at = ITEM(name) },
	{ .key = "displayName", .kind = K_TEXT, .required = true, .at = ITEM(display) },
	{ .key = "geopoliticalRegion", .kind = K_TEXT, .required = true, .at = ITEM(geo) },
	{ .key = "communitySuffix", .kind = K_NUMBER, .at = ITEM(community), .max = 999 },
);
SCHEMA(location, "a peering location", struct raw_item, ITEM(line),
	{ .key = "name", .kind = K_TEXT, .required = true, .at = ITEM(name) },
	{ .key = "facility", .kind = K_TEXT, .required = true, .at = ITEM(facility) },
	{ .key = "geopoliticalRegion", .kind = K_TEXT, .required = true, .at = ITEM(geo) },
	{ .key = "zone", .kind = K_NUMBER, .required = true, .at = ITEM(zone), .max = 9 },
	{ .key = "localRegions", .kind = K_NAMES, .at = ITEM(local) },
	{ .key = "directPortsInGbps", .kind = K_NUMBERS, .at = ITEM(direct), .max = 1600 },
);
SCHEMA(offer, "a provider's location", struct raw_offer, offsetof(struct raw_offer, line),
	{ .key = "name", .kind = K_TEXT, .required = true, .at = offsetof(struct raw_offer, name) },
	{ .key = "bandwidthsInMbps", .kind = K_NUMBERS, .at = offsetof(struct raw_offer, mbps),
	  .max = 1600000 },
);
SCHEMA(provider, "a provider", struct raw_item, ITEM(line),
	{ .key = "name", .kind = K_TEXT, .required = true, .at = ITEM(name) },
	{ .key = "layer", .kind = K_NUMBER, .required = true, .at = ITEM(layer), .max = 3 },
	{ .key = "bandwidthsInMbps", .kind = K_NUMBERS, .required = true, .at = ITEM(mbps),
	  .max = 1600000 },
	{ .key = "locations", .kind = K_LIST, .required = true, .at = ITEM(offers),
	  .at_n = ITEM(n_offers), .of = &offer_schema },
);
SCHEMA(range, "a range of AS numbers", struct raw_range, offsetof(struct raw_range, line),
	{ .key = "first", .kind = K_NUMBER, .required = true, .at = offsetof(struct raw_range, first) },
	{ .key = "last", .kind = K_NUMBER, .required = true, .at = offsetof(struct raw_range, last) },
);
SCHEMA(links, "a row of linksPremium", struct raw_links, offsetof(struct raw_links, line),
	{ .key = "upToMbps", .kind = K_NUMBER, .required = true, .at = offsetof(struct raw_links, mbps) },
	{ .key = "links", .kind = K_NUMBER, .required = true, .at = offsetof(struct raw_links, links) },
);
SCHEMA(limits, "limits", struct raw_limits, offsetof(struct raw_limits, line),
	LIMIT("circuitsPerSubscription", circuits_per_subscription, 1000000),
	LIMIT("circuitsPerRegion", circuits_per_region, 1000000),
	LIMIT("linksStandard", links_standard, 10000),
	LIMIT("linksSameLocation", links_same_location, 10000),
	LIMIT("routesStandard", routes_standard, 1000000),
	LIMIT("routesPremium", routes_premium, 1000000),
	LIMIT("routesMicrosoft", routes_microsoft, 1000000),
	LIMIT("localMinimumMbps", local_min_mbps, 1600000),
	LIMIT("maxRoutingWeight", max_routing_weight, 1000000),
	LIMIT("addressSpacesPerVnet", address_spaces_per_vnet, 10000),
	LIMIT("authorizationsPerCircuit", authorizations_per_circuit, 10000),
	LIMIT("cloudAsn", cloud_asn, 65535), /* fabric route targets carry two bytes */
	LIMIT("gatewayAsn", gateway_asn, 0),
	{ .key = "linksPremium", .kind = K_LIST, .required = true,
	  .at = offsetof(struct raw_limits, premium), .at_n = offsetof(struct raw_limits, n_premium),
	  .of = &links_schema },
	{ .key = "reservedAsns", .kind = K_LIST, .required = true,
	  .at = offsetof(struct raw_limits, reserved), .at_n = offsetof(struct raw_limits, n_reserved),
	  .of = &range_schema },
);
/* clang-format on */

/* The top of a file: any of the sections. */
struct raw_top {
	struct raw_items geos, regions, locations, providers;
	struct raw_limits *limits;
	size_t n_limits;
};

#define TOP(m) offsetof(struct raw_top, m)
/* clang-format off */
SCHEMA(top, "a catalogue file", struct raw_top, SIZE_MAX,
	{ .key = "geopoliticalRegions", .kind = K_LIST, .at = TOP(geos.v), .at_n = TOP(geos.n),
	  .of = &geo_schema },
	{ .key = "regions", .kind = K_LIST, .at = TOP(regions.v), .at_n = TOP(regions.n),
	  .of = &region_schema },
	{ .key = "peeringLocations", .kind = K_LIST, .at = TOP(locations.v), .at_n = TOP(locations.n),
	  .of = &location_schema },
	{ .key = "providers", .kind = K_LIST, .at = TOP(providers.v), .at_n = TOP(providers.n),
	  .of = &provider_schema },
	{ .key = "limits", .kind = K_LIST, .at = TOP(limits), .at_n = TOP(n_limits),
	  .of = &limits_schema },
);
/* clang-format on */

static void
items_append(struct catalogue *c, struct raw_items *to, const struct raw_items *from,
	     const char *file)
{
	struct raw_item *v = NEW_ARRAY(&c->arena, struct raw_item, to->n + from->n + 1);

	if (to->n)
		memcpy(v, to->v, to->n * sizeof(*v));
	for (size_t i = 0; i < from->n; i++) {
		v[to->n + i] = from->v[i];
		v[to->n + i].file = file;
	}
	to->v = v;
	to->n += from->n;
}

static int
top_keep(struct reader *r, const struct raw_top *top)
{
	struct catalogue *c = r->c;

	items_append(c, &c->raw_geos, &top->geos, r->file);
	items_append(c, &c->raw_regions, &top->regions, r->file);
	items_append(c, &c->raw_locations, &top->locations, r->file);
	items_append(c, &c->raw_providers, &top->providers, r->file);
	for (size_t i = 0; i < top->n_limits; i++) {
		if (c->raw_limits.file)
			return err_set(r->e, -EINVAL, "%s:%d: limits stand twice, first in %s:%d",
				       r->file, top->limits[i].line, c->raw_limits.file,
				       c->raw_limits.line);
		c->raw_limits = top->limits[i];
		c->raw_limits.file = r->file;
	}
	return 0;
}

static void
diag_destroy(struct fy_diag **d)
{
	if (*d)
		fy_diag_destroy(*d);
}

static void
document_destroy(struct fy_document **d)
{
	fy_document_destroy(*d);
}

/* The library never comes back from some "%" directives, which a catalogue has no use for. */
static int
check_directives(const struct catalogue_text *t, struct err *e)
{
	int line = 1;

	for (size_t i = 0; i < t->n; i++) {
		bool is_first = !i || t->text[i - 1] == '\n' || t->text[i - 1] == '\r' ||
				(unsigned char)t->text[i - 1] >=
					0x80; /* a mark, or a foreign line end */

		if (t->text[i] == '%' && is_first)
			return err_set(e, -EINVAL, "%s:%d: YAML directives are not used here",
				       t->file, line);
		line += t->text[i] == '\n';
	}
	return 0;
}

static int
read_file(struct catalogue *c, const struct catalogue_text *t, struct err *e)
{
	int ret = check_directives(t, e);

	if (ret < 0)
		return ret;
	struct fy_diag_cfg dcfg;

	fy_diag_cfg_default(&dcfg);
	dcfg.fp = NULL;
	__attribute__((cleanup(diag_destroy))) struct fy_diag *diag = fy_diag_create(&dcfg);
	struct fy_parse_cfg cfg = { .flags = FYPCF_QUIET | FYPCF_COLLECT_DIAG, .diag = diag };

	if (!diag)
		return err_set(e, -ENOMEM, "%s: no memory", t->file);
	fy_diag_set_collect_errors(diag, true);
	__attribute__((cleanup(document_destroy))) struct fy_document *doc =
		fy_document_build_from_string(&cfg, t->text, t->n);

	if (!doc) {
		void *it = NULL;
		struct fy_diag_error *de = fy_diag_errors_iterate(diag, &it);

		return err_set(e, -EINVAL, "%s:%d: not YAML: %s", t->file, de ? de->line : 1,
			       de && de->msg ? de->msg : "cannot be read");
	}
	struct reader r = { c, arena_strdup(&c->arena, t->file), e };
	struct raw_top top = { 0 };

	ret = read_mapping(&r, fy_document_root(doc), &top_schema, 1, &top);
	return ret < 0 ? ret : top_keep(&r, &top);
}

/* ---- resolving names ---- */

static const struct raw_item *
item_twin(const struct raw_items *l, size_t i)
{
	for (size_t j = 0; j < i; j++)
		if (!strcasecmp(l->v[i].name, l->v[j].name))
			return &l->v[j];
	return NULL;
}

static int
check_twins(const struct raw_items *l, const char *what, struct err *e)
{
	for (size_t i = 0; i < l->n; i++) {
		const struct raw_item *first = item_twin(l, i);

		if (first)
			return err_set(e, -EINVAL, "%s:%d: %s %s stands twice, first in %s:%d",
				       l->v[i].file, l->v[i].line, what, l->v[i].name, first->file,
				       first->line);
	}
	return 0;
}

static const struct catalogue_geo *
geo_find(const struct catalogue *c, const char *name)
{
	for (size_t i = 0; i < c->n_geos; i++)
		if (!strcmp(c->geos[i].name, name))
			return &c->geos[i];
	return NULL;
}

static int
resolve_geo(const struct catalogue *c, const struct raw_item *r, const struct catalogue_geo **ret,
	    struct err *e)
{
	*ret = geo_find(c, r->geo);
	if (!*ret)
		return err_set(e, -EINVAL, "%s:%d: %s: no geopolitical region named %s", r->file,
			       r->line, r->name, r->geo);
	return 0;
}

static bool
region_name_is_good(const char *s)
{
	for (; *s; s++)
		if (!islower((unsigned char)*s) && !isdigit((unsigned char)*s))
			return false;
	return true;
}

static int
resolve_regions(struct catalogue *c, struct err *e)
{
	const struct raw_items *l = &c->raw_regions;

	c->regions = NEW_ARRAY(&c->arena, struct catalogue_region, l->n + 1);
	for (size_t i = 0; i < l->n; i++) {
		const struct raw_item *r = &l->v[i];
		struct catalogue_region *g = &c->regions[c->n_regions++];

		*g = (struct catalogue_region){ r->name, r->display, NULL, r->community };
		if (!region_name_is_good(r->name))
			return err_set(e, -EINVAL,
				       "%s:%d: region %s: a name has lower-case letters and digits",
				       r->file, r->line, r->name);
		int ret = resolve_geo(c, r, &g->geo, e);

		if (ret < 0)
			return ret;
	}
	return 0;
}

static int
resolve_locals(struct catalogue *c, const struct raw_item *r, struct catalogue_location *g,
	       struct err *e)
{
	g->local = NEW_ARRAY(&c->arena, const struct catalogue_region *, r->local.n + 1);
	for (size_t j = 0; j < r->local.n; j++) {
		g->local[j] = catalogue_region(c, r->local.v[j].name);
		if (!g->local[j])
			return err_set(e, -EINVAL, "%s:%d: location %s: no region named %s",
				       r->file, r->local.v[j].line, r->name, r->local.v[j].name);
	}
	g->n_local = r->local.n;
	return 0;
}

static int
resolve_locations(struct catalogue *c, struct err *e)
{
	const struct raw_items *l = &c->raw_locations;

	c->locations = NEW_ARRAY(&c->arena, struct catalogue_location, l->n + 1);
	for (size_t i = 0; i < l->n; i++) {
		const struct raw_item *r = &l->v[i];
		struct catalogue_location *g = &c->locations[c->n_locations++];

		*g = (struct catalogue_location){ .name = r->name,
						  .facility = r->facility,
						  .zone = (int)r->zone,
						  .direct_gbps = r->direct.v,
						  .n_direct_gbps = r->direct.n };
		int ret = resolve_geo(c, r, &g->geo, e);

		if (ret == 0)
			ret = resolve_locals(c, r, g, e);
		if (ret < 0)
			return ret;
	}
	return 0;
}

static bool
numbers_have(const uint32_t *v, size_t n, uint32_t x)
{
	for (size_t i = 0; i < n; i++)
		if (v[i] == x)
			return true;
	return false;
}

static int
resolve_offer(struct catalogue *c, const struct raw_item *r, const struct raw_offer *o,
	      struct catalogue_offer *ret, struct err *e)
{
	ret->location = catalogue_location(c, o->name);
	if (!ret->location)
		return err_set(e, -EINVAL, "%s:%d: provider %s: no location named %s", r->file,
			       o->line, r->name, o->name);
	ret->mbps = o->mbps.n ? o->mbps.v : r->mbps.v;
	ret->n_mbps = o->mbps.n ? o->mbps.n : r->mbps.n;
	for (size_t i = 0; i < ret->n_mbps; i++)
		if (!numbers_have(r->mbps.v, r->mbps.n, ret->mbps[i]))
			return err_set(e, -EINVAL,
				       "%s:%d: provider %s at %s: %u Mbps is not among its own "
				       "bandwidths",
				       r->file, o->line, r->name, o->name, ret->mbps[i]);
	return 0;
}

static int
resolve_provider(struct catalogue *c, const struct raw_item *r, struct catalogue_provider *p,
		 struct err *e)
{
	struct catalogue_offer *offers =
		NEW_ARRAY(&c->arena, struct catalogue_offer, r->n_offers + 1);

	*p = (struct catalogue_provider){ r->name, (int)r->layer, r->mbps.v, r->mbps.n, offers, 0 };
	if (r->layer != 2 && r->layer != 3)
		return err_set(e, -EINVAL, "%s:%d: provider %s: layer is 2 or 3", r->file, r->line,
			       r->name);
	if (!r->mbps.n)
		return err_set(e, -EINVAL, "%s:%d: provider %s offers no bandwidth", r->file,
			       r->line, r->name);
	for (size_t j = 0; j < r->n_offers; j++) {
		if (catalogue_offer(p, r->offers[j].name))
			return err_set(e, -EINVAL, "%s:%d: provider %s: location %s stands twice",
				       r->file, r->offers[j].line, r->name, r->offers[j].name);
		int ret = resolve_offer(c, r, &r->offers[j], &offers[j], e);

		if (ret < 0)
			return ret;
		p->n_offers++;
	}
	return 0;
}

static int
resolve_providers(struct catalogue *c, struct err *e)
{
	const struct raw_items *l = &c->raw_providers;

	c->providers = NEW_ARRAY(&c->arena, struct catalogue_provider, l->n + 1);
	for (size_t i = 0; i < l->n; i++) {
		int ret = resolve_provider(c, &l->v[i], &c->providers[c->n_providers++], e);

		if (ret < 0)
			return ret;
	}
	return 0;
}

static int
resolve_limits(struct catalogue *c, struct err *e)
{
	const struct raw_limits *r = &c->raw_limits;
	struct catalogue_asn_range *asns =
		NEW_ARRAY(&c->arena, struct catalogue_asn_range, r->n_reserved + 1);
	struct catalogue_links *links =
		NEW_ARRAY(&c->arena, struct catalogue_links, r->n_premium + 1);

	if (!r->file)
		return err_set(e, -EINVAL, "no limits in any of the files");
	c->limits = r->v;
	for (size_t i = 0; i < r->n_reserved; i++) {
		asns[i] = (struct catalogue_asn_range){ r->reserved[i].first, r->reserved[i].last };
		if (asns[i].first > asns[i].last)
			return err_set(e, -EINVAL, "%s:%d: reservedAsns: first is above last",
				       r->file, r->reserved[i].line);
	}
	for (size_t i = 0; i < r->n_premium; i++) {
		links[i] = (struct catalogue_links){ r->premium[i].mbps, r->premium[i].links };
		if (i && links[i - 1].mbps >= links[i].mbps)
			return err_set(e, -EINVAL, "%s:%d: linksPremium: wants ascending upToMbps",
				       r->file, r->premium[i].line);
	}
	c->limits.reserved_asns = asns;
	c->limits.n_reserved_asns = r->n_reserved;
	c->limits.links_premium = links;
	c->limits.n_links_premium = r->n_premium;
	return 0;
}

static int
resolve(struct catalogue *c, struct err *e)
{
	int ret = check_twins(&c->raw_geos, "geopolitical region", e);

	if (ret == 0)
		ret = check_twins(&c->raw_regions, "region", e);
	if (ret == 0)
		ret = check_twins(&c->raw_locations, "location", e);
	if (ret == 0)
		ret = check_twins(&c->raw_providers, "provider", e);
	if (ret < 0)
		return ret;
	c->geos = NEW_ARRAY(&c->arena, struct catalogue_geo, c->raw_geos.n + 1);
	for (size_t i = 0; i < c->raw_geos.n; i++)
		c->geos[c->n_geos++] =
			(struct catalogue_geo){ c->raw_geos.v[i].name, (int)c->raw_geos.v[i].zone };
	ret = resolve_regions(c, e);
	if (ret == 0)
		ret = resolve_locations(c, e);
	if (ret == 0)
		ret = resolve_providers(c, e);
	if (ret == 0)
		ret = resolve_limits(c, e);
	return ret;
}

/* ---- the public face ---- */

int
catalogue_parse(const struct catalogue_text *texts, size_t n, struct catalogue **ret, struct err *e)
{
	AUTO(catalogue) c = mem_alloc(sizeof(*c));

	for (size_t i = 0; i < n; i++) {
		int r = read_file(c, &texts[i], e);

		if (r < 0)
			return r;
	}
	int r = resolve(c, e);

	if (r < 0)
		return r;
	*ret = TAKE(c);
	return 0;
}

static int
slurp(struct arena *a, const char *path, const char **text, size_t *n, struct err *e)
{
	enum { CAP = 4 << 20 };
	FILE *f = fopen(path, "re");

	if (!f)
		return err_errno(e, "open %s", path);
	char *p = arena_alloc(a, CAP + 1);

	*n = fread(p, 1, CAP + 1, f);
	int bad = ferror(f);

	fclose(f);
	if (bad)
		return err_set(e, -EIO, "read %s", path);
	if (*n > CAP)
		return err_set(e, -EFBIG, "%s: larger than 4 MiB", path);
	*text = p;
	return 0;
}

int
catalogue_open(const char *dir, struct catalogue **ret, struct err *e)
{
	static const char *const files[] = { "regions.yaml", "locations.yaml", "providers.yaml",
					     "limits.yaml" };
	struct catalogue_text texts[COUNT(files)];
	AUTO_ARENA a = { 0 };

	for (size_t i = 0; i < COUNT(files); i++) {
		texts[i].file = files[i];
		int r = slurp(&a, arena_printf(&a, "%s/%s", dir, files[i]), &texts[i].text,
			      &texts[i].n, e);

		if (r < 0)
			return r;
	}
	int r = catalogue_parse(texts, COUNT(texts), ret, e);

	return r < 0 ? err_wrap(e, r, "catalogue %s", dir) : 0;
}

void
catalogue_destroy(struct catalogue *c)
{
	if (!c)
		return;
	arena_reset(&c->arena);
	free(c);
}

const struct catalogue_limits *
catalogue_limits(const struct catalogue *c)
{
	return &c->limits;
}

size_t
catalogue_n_regions(const struct catalogue *c)
{
	return c->n_regions;
}

const struct catalogue_region *
catalogue_region_at(const struct catalogue *c, size_t i)
{
	return &c->regions[i];
}

size_t
catalogue_n_locations(const struct catalogue *c)
{
	return c->n_locations;
}

const struct catalogue_location *
catalogue_location_at(const struct catalogue *c, size_t i)
{
	return &c->locations[i];
}

size_t
catalogue_n_providers(const struct catalogue *c)
{
	return c->n_providers;
}

const struct catalogue_provider *
catalogue_provider_at(const struct catalogue *c, size_t i)
{
	return &c->providers[i];
}

/* Compares without case and blanks. */
static bool
region_name_equal(const char *a, const char *b)
{
	for (;; a++, b++) {
		while (*a == ' ')
			a++;
		while (*b == ' ')
			b++;
		if (tolower((unsigned char)*a) != tolower((unsigned char)*b))
			return false;
		if (!*a)
			return true;
	}
}

const struct catalogue_region *
catalogue_region(const struct catalogue *c, const char *name)
{
	for (size_t i = 0; i < c->n_regions; i++)
		if (region_name_equal(c->regions[i].name, name))
			return &c->regions[i];
	return NULL;
}

const struct catalogue_location *
catalogue_location(const struct catalogue *c, const char *name)
{
	for (size_t i = 0; i < c->n_locations; i++)
		if (!strcmp(c->locations[i].name, name))
			return &c->locations[i];
	return NULL;
}

const struct catalogue_provider *
catalogue_provider(const struct catalogue *c, const char *name)
{
	for (size_t i = 0; i < c->n_providers; i++)
		if (!strcmp(c->providers[i].name, name))
			return &c->providers[i];
	return NULL;
}

const struct catalogue_offer *
catalogue_offer(const struct catalogue_provider *p, const char *location)
{
	for (size_t i = 0; i < p->n_offers; i++)
		if (!strcmp(p->offers[i].location->name, location))
			return &p->offers[i];
	return NULL;
}

const char *
catalogue_bandwidth_name(uint32_t mbps, char out[16])
{
	if (mbps % 1000)
		snprintf(out, 16, "%uMbps", mbps);
	else
		snprintf(out, 16, "%uGbps", mbps / 1000);
	return out;
}
