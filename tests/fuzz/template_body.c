/* Any bytes as the body of a deployment: what the lenient reader takes is JSON that the strict one
 * takes, too. */
#include "arm/template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_ARENA a = { 0 };
	struct arm_error e = { .arena = &a };
	json_t *j = template_read(&a, data, size, &e), *again;
	char *text;

	if (!j) {
		assert(e.status == 400 || e.status == 413);
		assert(e.message);
		return 0;
	}
	assert(!e.status);
	text = json_dumps(j, JSON_COMPACT);
	assert(text);
	again = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	assert(again);
	free(text);
	json_decref(again);
	json_decref(j);
	return 0;
}
