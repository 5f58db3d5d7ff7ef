/* A static config file: YAML, then the objects in it and the rules between them. */
#include "fabric/node.h"

#include <jansson.h>

static void
on_bad(void *arg, const struct node_object *o, const struct err *e)
{
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err e = { 0 };
	json_t *doc = node_yaml_load((const char *)data, size, &e);
	struct node_config *c;

	if (doc && node_config_from_json(doc, &c, &e) == 0) {
		node_config_check(c, on_bad, NULL);
		node_config_destroy(c);
	}
	json_decref(doc);
	return 0;
}
