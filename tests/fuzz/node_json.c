/* A node object from the controller: whatever parses must print and parse again as the same. */
#include "fabric/node.h"

#include <jansson.h>

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct node_object *a, *b;
	struct err e;
	json_t *v;

	if (node_object_parse((const char *)data, size, &a, &e) < 0)
		return 0;
	v = node_object_encode(a);
	if (node_object_from_json(v, &b, &e) < 0 || !node_object_equal(a, b))
		abort();
	json_decref(v);
	node_object_destroy(a);
	node_object_destroy(b);
	return 0;
}
