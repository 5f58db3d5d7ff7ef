/* The catalogue's YAML reader: no input crashes it. */
#include "network/catalogue.h"

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct catalogue_text t = { "fuzz", (const char *)p, n };
	AUTO(catalogue) c = NULL;
	struct err e;

	if (catalogue_parse(&t, 1, &c, &e) == 0)
		assert(catalogue_limits(c));
	return 0;
}
