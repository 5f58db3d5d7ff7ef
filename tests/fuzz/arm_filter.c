/* Any bytes as a $filter: refused, or a tree that can be matched. */
#include "arm/filter.h"

static const char *const fields[] = { "name", "eventTimestamp", "tags/x", NULL };

static bool
test(void *arg, const struct filter *f)
{
	unsigned *n = arg;

	assert(f->field && f->value);
	++*n;
	return filter_compare(f, "actual") || filter_compare(f, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_ARENA a = { 0 };
	struct arm_error e = { .arena = &a };
	struct filter *f;
	unsigned n = 0;

	if (filter_parse(&a, arena_strndup(&a, (const char *)data, size), fields, &f, &e) < 0) {
		assert(e.status == 400 && e.message && e.target);
		return 0;
	}
	filter_matches(f, test, &n);
	filter_must(f, "name", FILTER_EQ);
	return 0;
}
