/* The catalogue's price book: rows, found by what they are for. */
#include "network/catalogue_parts.h"

#include <inttypes.h>

#define ROW(m) offsetof(struct raw_price, m)
#define ROWS(name, what, ...) \
	static const struct reader_field name##_fields[] = { __VA_ARGS__ }; \
	static const struct reader_schema name##_schema = { \
		what,          sizeof(struct raw_price), ROW(line), SIZE_MAX, false, \
		name##_fields, COUNT(name##_fields) \
	}
#define NEEDED(key_, kind_, at_) .key = key_, .kind = READER_##kind_, .is_required = true, .at = at_

/* clang-format off */
ROWS(circuit, "the price of a circuit",
	{ NEEDED("tier", TEXT, ROW(tier)) },
	{ NEEDED("family", TEXT, ROW(family)) },
	{ NEEDED("mbps", NUMBER, ROW(mbps)) },
	{ NEEDED("zone", NUMBER, ROW(zone)), .max = 9 },
	{ NEEDED("perMonth", AMOUNT, ROW(amount)) },
);
ROWS(egress, "the price of egress",
	{ NEEDED("zone", NUMBER, ROW(zone)), .max = 9 },
	{ NEEDED("perGB", AMOUNT, ROW(amount)) },
);
ROWS(gateway, "the price of a gateway",
	{ NEEDED("sku", TEXT, ROW(sku)) },
	{ NEEDED("perHour", AMOUNT, ROW(amount)) },
);
ROWS(port, "the price of a port pair",
	{ NEEDED("gbps", NUMBER, ROW(gbps)) },
	{ NEEDED("family", TEXT, ROW(family)) },
	{ NEEDED("perMonth", AMOUNT, ROW(amount)) },
);
ROWS(reach, "the price of Global Reach",
	{ NEEDED("zone", NUMBER, ROW(zone)), .max = 9 },
	{ NEEDED("perMonth", AMOUNT, ROW(amount)) },
	{ NEEDED("perGB", AMOUNT, ROW(data)) },
);
ROWS(address, "the price of a public address",
	{ NEEDED("sku", TEXT, ROW(sku)) },
	{ NEEDED("perHour", AMOUNT, ROW(amount)) },
);

#define BOOK(m) offsetof(struct raw_prices, m)
#define LIST(key_, list, schema) \
	{ .key = key_, .kind = READER_LIST, .at = BOOK(lists[list].v), \
	  .at_n = BOOK(lists[list].n), .of = schema }
static const struct reader_field prices_fields[] = {
	{ NEEDED("currency", TEXT, BOOK(currency)) },
	{ NEEDED("hoursOfAMonth", NUMBER, BOOK(month_hours)), .max = 744 },
	LIST("circuits", PRICE_CIRCUITS, &circuit_schema),
	LIST("egress", PRICE_EGRESS, &egress_schema),
	LIST("gateways", PRICE_GATEWAYS, &gateway_schema),
	LIST("ports", PRICE_PORTS, &port_schema),
	LIST("globalReach", PRICE_GLOBAL_REACH, &reach_schema),
	LIST("publicAddresses", PRICE_ADDRESSES, &address_schema),
};
/* clang-format on */

const struct reader_schema catalogue_prices_schema = {
	.what = "prices",
	.size = sizeof(struct raw_prices),
	.at_line = BOOK(line),
	.at_file = BOOK(file),
	.fields = prices_fields,
	.n_fields = COUNT(prices_fields),
};

static bool
word_equal(const char *a, const char *b)
{
	return !a || !b ? a == b : !strcasecmp(a, b);
}

/* The row for exactly this; NULL: none. */
static const struct raw_price *
price_find(const struct raw_prices *p, enum price_list list, const struct raw_price *key)
{
	const struct raw_prices_list *l = p ? &p->lists[list] : NULL;

	for (size_t i = 0; l && i < l->n; i++) {
		const struct raw_price *r = &l->v[i];

		if (r->zone == key->zone && r->mbps == key->mbps && r->gbps == key->gbps &&
		    word_equal(r->tier, key->tier) && word_equal(r->family, key->family) &&
		    word_equal(r->sku, key->sku))
			return r;
	}
	return NULL;
}

int
catalogue_prices_resolve(struct catalogue *c, struct err *e)
{
	const struct raw_prices *p = c->raw.prices;

	if (c->raw.n_prices > 1)
		return err_set(e, -EINVAL, "%s:%d: prices stand twice, first in %s:%d", p[1].file,
			       p[1].line, p[0].file, p[0].line);
	if (!c->raw.n_prices)
		return 0;
	if (!p->month_hours)
		return err_set(e, -EINVAL, "%s:%d: hoursOfAMonth: wants a number above 0", p->file,
			       p->line);
	for (int list = 0; list < PRICE_LISTS; list++)
		for (size_t i = 0; i < p->lists[list].n; i++) {
			const struct raw_price *r = &p->lists[list].v[i];
			const struct raw_price *first = price_find(p, (enum price_list)list, r);

			if (first != r)
				return err_set(e, -EINVAL,
					       "%s:%d: this price stands twice, first in line %d",
					       p->file, r->line, first->line);
		}
	c->prices = p;
	return 0;
}

const char *
catalogue_currency(const struct catalogue *c)
{
	return c->prices ? c->prices->currency : "";
}

uint32_t
catalogue_month_hours(const struct catalogue *c)
{
	return c->prices ? c->prices->month_hours : 0;
}

/* A price of a zone; else the one for all zones, which is zone 0. */
static int64_t
amount_in_zone(const struct catalogue *c, enum price_list list, struct raw_price key)
{
	const struct raw_price *r = price_find(c->prices, list, &key);

	key.zone = 0;
	if (!r)
		r = price_find(c->prices, list, &key);
	return r ? r->amount : -1;
}

int64_t
catalogue_price_circuit(const struct catalogue *c, const char *tier, const char *family,
			uint32_t mbps, int zone)
{
	const struct raw_price key = {
		.tier = tier, .family = family, .mbps = mbps, .zone = (uint32_t)zone
	};

	return amount_in_zone(c, PRICE_CIRCUITS, key);
}

int64_t
catalogue_price_egress(const struct catalogue *c, int zone)
{
	return amount_in_zone(c, PRICE_EGRESS, (struct raw_price){ .zone = (uint32_t)zone });
}

int64_t
catalogue_price_gateway(const struct catalogue *c, const char *sku)
{
	return amount_in_zone(c, PRICE_GATEWAYS, (struct raw_price){ .sku = sku });
}

int64_t
catalogue_price_port(const struct catalogue *c, uint32_t gbps, const char *family)
{
	return amount_in_zone(c, PRICE_PORTS, (struct raw_price){ .gbps = gbps, .family = family });
}

int64_t
catalogue_price_global_reach(const struct catalogue *c, int zone)
{
	return amount_in_zone(c, PRICE_GLOBAL_REACH, (struct raw_price){ .zone = (uint32_t)zone });
}

int64_t
catalogue_price_global_reach_data(const struct catalogue *c, int zone)
{
	struct raw_price key = { .zone = (uint32_t)zone };
	const struct raw_price *r = price_find(c->prices, PRICE_GLOBAL_REACH, &key);

	key.zone = 0;
	if (!r)
		r = price_find(c->prices, PRICE_GLOBAL_REACH, &key);
	return r ? r->data : -1;
}

int64_t
catalogue_price_public_ip(const struct catalogue *c, const char *sku)
{
	return amount_in_zone(c, PRICE_ADDRESSES, (struct raw_price){ .sku = sku });
}

/* "circuit Standard MeteredData 50 Mbps zone 1" */
static void
row_name(enum price_list list, const struct raw_price *r, char *out, size_t size)
{
	static const char *const what[] = { "circuit", "egress",       "gateway",
					    "port",    "Global Reach", "public address" };
	const char *words[] = { what[list], r->tier, r->family, r->sku };
	size_t n = 0;

	for (size_t i = 0; i < COUNT(words); i++)
		if (words[i])
			n += (size_t)snprintf(out + n, size - n, "%s%s", i ? " " : "", words[i]);
	if (r->mbps)
		n += (size_t)snprintf(out + n, size - n, " %u Mbps", r->mbps);
	if (r->gbps)
		n += (size_t)snprintf(out + n, size - n, " %u Gbps", r->gbps);
	if (r->zone)
		snprintf(out + n, size - n, " zone %u", r->zone);
}

bool
catalogue_price_at(const struct catalogue *c, size_t i, char name[CATALOGUE_PRICE_NAME],
		   int64_t *ret)
{
	for (int list = 0; c->prices && list < PRICE_LISTS; list++) {
		const struct raw_prices_list *l = &c->prices->lists[list];

		if (i < l->n) {
			row_name((enum price_list)list, &l->v[i], name, CATALOGUE_PRICE_NAME);
			*ret = l->v[i].amount;
			return true;
		}
		i -= l->n;
	}
	return false;
}
