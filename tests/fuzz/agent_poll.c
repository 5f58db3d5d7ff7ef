/* A poll's answer, any JSON as the controller's word, merged into an empty config and again into what
 * came of that: the result must encode and parse again, for it is the cache on disk. */
#include "node/poll.h"

#include "base/err.h"

#include <jansson.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must_come_back(const struct node_config *c)
{
	struct node_config *again;
	json_t *doc = node_config_encode(c);
	struct err e;

	if (!doc || node_config_from_json(doc, &again, &e) < 0)
		abort();
	json_decref(doc);
	node_config_destroy(again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	json_t *body = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, NULL);
	const json_t *objects = json_object_get(body, "objects");
	json_t *refused = json_object();
	struct node_config *none = node_config_create(), *once, *twice;

	once = poll_merge(none, objects, json_is_true(json_object_get(body, "snapshot")), refused);
	must_come_back(once);
	twice = poll_merge(once, objects, false, refused);
	must_come_back(twice);
	node_config_destroy(none);
	node_config_destroy(once);
	node_config_destroy(twice);
	json_decref(refused);
	json_decref(body);
	return 0;
}
