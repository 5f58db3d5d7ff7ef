#include "rig.h"

#include <strings.h>

/* "w": may everything; "g": everything in the group g1; "r": may read; "h": all but boxes; "n": sees nothing; "f": of another tenant, may everything through
 * the group "agents". */
static int
authenticate(void *ctx, struct arena *a, const char *authorization, int64_t now_us,
	     struct arm_caller *ret, struct arm_error *e)
{
	if (!authorization)
		return arm_refuse(e, 401, "AuthenticationFailed", "No token.");
	*ret = (struct arm_caller){ authorization, authorization,
				    strcmp(authorization, "f") ? "t" : "t2", authorization };
	return 0;
}

static bool
may(void *ctx, struct store_tx *tx, struct arena *a, const struct arm_caller *c, const char *action,
    const char *scope)
{
	size_t n = strlen(action);

	if (!strcmp(c->oid, "w") || !strcmp(c->oid, "f"))
		return true;
	if (!strcmp(c->oid, "g"))
		return !strncmp(scope, arm_id_fold(a, G), strlen(G));
	if (!strcmp(c->oid, "j")) /* all but joining shelves */
		return !strstr(action, "join");
	if (!strcmp(c->oid, "h") && !strncasecmp(action, "Example.Things/boxes/", 21))
		return false;
	return (!strcmp(c->oid, "r") || !strcmp(c->oid, "h")) && n > 5 &&
	       !strcmp(action + n - 5, "/read");
}

static bool
sees(void *ctx, struct store_tx *tx, struct arena *a, const struct arm_caller *c, const char *sub)
{
	return strcmp(c->oid, "n") != 0;
}

static const char *
through(void *ctx, struct store_tx *tx, struct arena *a, const struct arm_caller *c,
	const char *sub)
{
	return strcmp(c->oid, "f") ? NULL : "agents";
}

static void
node_changed(void *ctx, const char *node)
{
	struct fixture *f = ctx;

	snprintf(f->woken, sizeof(f->woken), "%s", node);
}

static int
seed(struct store_tx *tx, void *arg, struct err *e)
{
	const struct store_subscription sub = { SUB, "t", "S", "Enabled" };
	const struct store_node node = { .name = "node-1", .role = "edge" };
	int r = store_subscription_put(tx, &sub, e);

	return r < 0 ? r : store_node_put(tx, &node, e);
}

void
start(struct fixture *f)
{
	static const struct arm_provider *const providers[] = { &example_provider, NULL };
	const struct store_config sc = { .path = f->db, .master_key = f->key };
	const struct arm_config cfg = {
		.auth = { NULL, authenticate, may, sees, .through = through },
		.base_url = "https://h",
		.providers = providers,
		.converge_ms = f->converge_ms ? f->converge_ms : 60000,
		.live_ms = f->live_ms,
		.node_changed = node_changed,
		.node_changed_ctx = f,
	};
	struct arm_config own = cfg;

	assert_int_equal(store_open(&sc, &f->s, NULL), 0);
	own.store = f->s;
	assert_int_equal(arm_engine_create(&own, &f->en, NULL), 0);
}

void
stop(struct fixture *f)
{
	arm_engine_destroy(TAKE(f->en));
	store_destroy(TAKE(f->s));
}

int
setup(void **state)
{
	struct fixture *f = mem_alloc(sizeof(*f));

	snprintf(f->dir, sizeof(f->dir), "/tmp/unit-arm-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->db, sizeof(f->db), "%s/s.db", f->dir);
	snprintf(f->key, sizeof(f->key), "%s/key", f->dir);
	start(f);
	assert_int_equal(store_write(f->s, seed, NULL, NULL), 0);
	*state = f;
	return 0;
}

int
teardown(void **state)
{
	static const char *const tails[] = { "s.db",       "s.db-wal",       "s.db-shm",
					     "s.db.usage", "s.db.usage-wal", "s.db.usage-shm",
					     "key" };
	struct fixture *f = *state;

	arm_response_fini(&f->resp);
	stop(f);
	arena_reset(&f->arena);
	for (size_t i = 0; i < COUNT(tails); i++) {
		AUTO_FREE char *path = mem_printf("%s/%s", f->dir, tails[i]);

		unlink(path);
	}
	rmdir(f->dir);
	free(f);
	return 0;
}

void
done(void *arg, struct arm_response *resp)
{
	struct fixture *f = arg;

	f->resp = *resp;
	f->is_done = true;
}

int
ask_as(struct fixture *f, struct ask how, enum arm_method m, const char *path, const char *body)
{
	struct arm_request *req = NEW(&f->arena, struct arm_request);

	*req = (struct arm_request){
		.arena = &f->arena,
		.method = m,
		.path = arena_strdup(&f->arena, path),
		.query = how.query ? how.query : "api-version=2020-01-01",
		.body = body,
		.body_len = body ? strlen(body) : 0,
		.authorization = how.who,
		.if_match = how.if_match,
		.if_none_match = how.if_none_match,
		.client_request_id = how.client_request_id,
	};

	arm_response_fini(&f->resp);
	f->resp = (struct arm_response){ 0 };
	f->is_done = false;
	arm_handle(f->en, req, done, f);
	return f->resp.status;
}

int
ask(struct fixture *f, enum arm_method m, const char *path, const char *body)
{
	return ask_as(f, (struct ask){ .who = "w" }, m, path, body);
}

const char *
code(struct fixture *f)
{
	return arm_str(f->resp.body, "error.code", "");
}

const char *
text(struct fixture *f, const char *path)
{
	return arm_str(f->resp.body, path, "");
}

const char *
header(struct fixture *f, const char *name)
{
	for (size_t i = 0; i < f->resp.n_headers; i++)
		if (!strcmp(f->resp.headers[i].name, name))
			return f->resp.headers[i].value;
	return "";
}

void
group(struct fixture *f)
{
	assert_int_equal(ask(f, ARM_PUT, G, "{\"location\":\"West Europe\"}"), 201);
	assert_string_equal(text(f, "location"), "westeurope");
}

void
box(struct fixture *f, const char *name, const char *props)
{
	char path[256], body[512];

	snprintf(path, sizeof(path), BOX "%s", name);
	snprintf(body, sizeof(body), "{\"location\":\"westeurope\",\"properties\":%s}", props);
	if (ask(f, ARM_PUT, path, body) != 201)
		fail_msg("%d %s", f->resp.status, text(f, "error.message"));
}
