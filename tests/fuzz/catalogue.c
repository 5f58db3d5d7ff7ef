/* The catalogue's YAML reader: no input crashes it, and what it accepts can be read whole. A form feed
 * begins the next file. */
#include "network/catalogue.h"

enum { MAX_TEXTS = 8 };

static void
read_all(const struct catalogue *c)
{
	char name[CATALOGUE_PRICE_NAME];
	const char *word;
	int64_t amount;
	uint32_t value;

	assert(catalogue_limits(c));
	for (size_t i = 0; catalogue_limit_at(c, i, &word, &value); i++)
		assert(*word);
	for (size_t i = 0; catalogue_price_at(c, i, name, &amount); i++)
		assert(*name && amount >= 0);
	for (size_t i = 0; i < catalogue_n_regions(c); i++) {
		const struct catalogue_region *r = catalogue_region_at(c, i);

		assert(r->geo->cloud && catalogue_region(c, r->name) == r);
	}
	for (size_t i = 0; i < catalogue_n_providers(c); i++) {
		const struct catalogue_provider *p = catalogue_provider_at(c, i);

		assert(p->models && p->n_mbps);
		for (size_t j = 0; j < p->n_offers; j++)
			assert(catalogue_offer(p, p->offers[j].location->name) == &p->offers[j]);
	}
	for (size_t i = 0; i < catalogue_n_communities(c); i++) {
		const struct catalogue_community *k = catalogue_community_at(c, i);

		assert(catalogue_community(c, k->cloud, k->value) == k);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct catalogue_text texts[MAX_TEXTS] = { { "fuzz", (const char *)p, n } };
	size_t n_texts = 1;
	AUTO(catalogue) c = NULL;
	struct err e;

	for (size_t i = 0; i < n && n_texts < MAX_TEXTS; i++)
		if (p[i] == '\f') {
			struct catalogue_text *last = &texts[n_texts - 1];

			texts[n_texts++] = (struct catalogue_text){ "more", (const char *)p + i + 1,
								    n - i - 1 };
			last->n = (size_t)((const char *)p + i - last->text);
		}
	if (catalogue_parse(texts, n_texts, &c, &e) == 0)
		read_all(c);
	return 0;
}
