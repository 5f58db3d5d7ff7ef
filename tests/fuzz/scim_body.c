/* A SCIM request of who holds the token: first line the method and the path, the rest the body. Any
 * answer will do but a failure of ours, and what is answered is JSON. */
#include "scratch.h"

#include "base/mono.h"
#include "identity/directory.h"
#include "identity/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TENANT "10000000-0000-0000-0000-000000000001"
#define USER "20000000-0000-0000-0000-000000000001"
#define GROUP "20000000-0000-0000-0000-000000000002"

static struct identity *id;
static struct store *store;
static const char *token;

static int
seed(struct store_tx *tx, void *arg, struct err *e)
{
	static const struct store_tenant t = { .id = TENANT, .name = "t" };
	static const struct store_principal people[] = {
		{ USER, USER, TENANT, "User", "Ann", "ann@b", "E", "", .created_us = 1 },
		{ GROUP, GROUP, TENANT, "Group", "All", "", "", "", .created_us = 1 },
	};
	struct arena *a = arg;
	int r = directory_tenant_put(tx, a, &t, e);

	for (size_t i = 0; i < COUNT(people) && r == 0; i++)
		r = store_principal_put(tx, &people[i], e);
	if (r == 0)
		r = store_member_add(tx, GROUP, USER, e);
	return r < 0 ? r : identity_scim_token(tx, a, TENANT, &token, e);
}

static void
open_identity(void)
{
	static struct arena a;
	struct store_config sc = { 0 };

	scratch_make();
	sc.path = arena_printf(&a, "%s/s.db", scratch_path);
	sc.master_key = arena_printf(&a, "%s/key", scratch_path);
	if (store_open(&sc, &store, NULL) < 0 || identity_open(store, "https://h", &id, NULL) < 0 ||
	    store_write(store, seed, &a, NULL) < 0)
		abort();
	token = arena_printf(&a, "Bearer %s", token);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_ARENA a = { 0 };
	char *text = arena_strndup(&a, (const char *)data, size), *body = strchr(text, '\n'), *path;
	struct identity_request rq = { .arena = &a, .method = text, .now_us = utc_now_us() };
	struct identity_reply reply;
	char *query;

	if (!id)
		open_identity();
	if (body)
		*body++ = '\0';
	path = strchr(text, ' ');
	if (!path)
		return 0;
	*path++ = '\0';
	rq.path = arena_printf(&a, "/scim/v2/%s", path);
	query = strchr(rq.path, '?');
	if (query)
		*query++ = '\0';
	rq.query = query ? query : "";
	rq.body = body;
	rq.authorization = token;
	identity_directory(id, &rq, &reply);
	if (reply.status < 200 || reply.status > 501 || reply.status == 500)
		abort();
	if (reply.text) {
		json_t *j = json_loads(reply.text, 0, NULL);

		if (!json_is_object(j))
			abort();
		json_decref(j);
	}
	return 0;
}
