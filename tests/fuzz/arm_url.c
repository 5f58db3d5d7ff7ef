/* Any bytes as a path and a query (split at the first '?'). */
#include "arm/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_ARENA a = { 0 };
	char *raw = arena_strndup(&a, (const char *)data, size), *query = strchr(raw, '?');
	struct arm_error e = { .arena = &a };
	const char *value;
	struct path p;

	if (query)
		*query++ = '\0';
	if (path_parse(&a, raw, &p, &e) == 0)
		for (size_t i = 0; i < p.n; i++) {
			assert(*p.seg[i] && !strchr(p.seg[i], '/'));
			assert(is_utf8(p.seg[i], strlen(p.seg[i])));
		}
	else
		assert(e.status >= 400);
	value = query_param(&a, query, "$skiptoken");
	if (value)
		token_decode(&a, value);
	query_param(&a, query, "api-version");
	value = arm_id_fold(&a, raw);
	assert(*value == '/' && !strstr(value, "//"));
	assert(!strcmp(value, arm_id_fold(&a, value)));
	for (unsigned i = 0; i < 6; i++)
		arm_id_segment(&a, raw, i);
	aggregate_fold(&a, value);
	return 0;
}
