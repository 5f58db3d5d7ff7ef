/* What a node posts to the controller: first byte the path, the rest the body. The node is known and
 * its certificate good; its words are still anything. */
#include "scratch.h"

#include "arm/engine.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int
seed(struct store_tx *tx, void *arg, struct err *e)
{
	const struct store_node node = { .name = "node-1", .role = "edge" };

	return store_node_put(tx, &node, e);
}

static struct arm_engine *
open_engine(void)
{
	static const struct arm_provider *const none[] = { NULL };
	struct arena a = { 0 };
	struct store_config sc = { 0 };
	struct arm_config cfg = { .base_url = "https://h", .providers = none };
	struct arm_engine *en;

	scratch_make();
	sc.path = arena_printf(&a, "%s/s.db", scratch_path);
	sc.master_key = arena_printf(&a, "%s/key", scratch_path);
	if (store_open(&sc, &cfg.store, NULL) < 0 || store_write(cfg.store, seed, NULL, NULL) < 0 ||
	    arm_engine_create(&cfg, &en, NULL) < 0)
		abort();
	arena_reset(&a);
	return en;
}

static void
poll(struct arm_engine *en, const char *cursor)
{
	json_t *out = NULL;
	bool is_news;
	struct err e;

	if (arm_agent_poll(en, "node-1", cursor, &out, &is_news, &e) < 0 ||
	    !json_is_string(json_object_get(out, "cursor")))
		abort();
	json_decref(out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct arm_engine *en;
	json_t *body, *out = NULL;
	struct err e;

	if (size < 1)
		return 0;
	if (!en)
		en = open_engine();
	if (data[0] % 4 == 3) {
		AUTO_ARENA a = { 0 };

		poll(en, arena_strndup(&a, (const char *)data + 1, size - 1));
		return 0;
	}
	body = json_loadb((const char *)data + 1, size - 1, JSON_REJECT_DUPLICATES, NULL);
	if (!body)
		return 0;
	if (data[0] % 4 == 0)
		arm_agent_report(en, "node-1", body, &e);
	else if (data[0] % 4 == 1)
		arm_agent_answer(en, "node-1", body, &e);
	else if (arm_agent_readings(en, "node-1", body, &out, &e) == 0)
		json_decref(out);
	json_decref(body);
	poll(en, "");
	return 0;
}
