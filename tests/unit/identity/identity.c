/* Tokens and roles. */
#include "../test.h"

#include "base/mem.h"
#include "base/mono.h"
#include "identity/identity.h"

#define URL "https://localhost:8443"

struct fixture {
	char dir[64], db[96], key[96];
	struct store *s;
	struct identity *id;
	struct arena arena;
	struct identity_bootstrap first;
};

static void
start(struct fixture *f)
{
	const struct store_config sc = { .path = f->db, .master_key = f->key };

	assert_int_equal(store_open(&sc, &f->s, NULL), 0);
	assert_int_equal(identity_open(f->s, URL, &f->id, NULL), 0);
}

static void
stop(struct fixture *f)
{
	identity_destroy(TAKE(f->id));
	store_destroy(TAKE(f->s));
}

static int
setup(void **state)
{
	struct fixture *f = mem_alloc(sizeof(*f));

	snprintf(f->dir, sizeof(f->dir), "/tmp/unit-identity-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->db, sizeof(f->db), "%s/s.db", f->dir);
	snprintf(f->key, sizeof(f->key), "%s/key", f->dir);
	start(f);
	assert_int_equal(identity_bootstrap(f->s, &f->arena, &f->first, NULL), 0);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	static const char *const tails[] = { "s.db",       "s.db-wal",       "s.db-shm",
					     "s.db.usage", "s.db.usage-wal", "s.db.usage-shm",
					     "key" };
	struct fixture *f = *state;

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

static int
login(struct fixture *f, const char *id, const char *secret, const char *scope, const char **ret)
{
	const char *form = arena_printf(
		&f->arena, "grant_type=client_credentials&client_id=%s&client_secret=%s&scope=%s",
		id, secret, scope);
	const struct identity_request rq = { .arena = &f->arena,
					     .method = "POST",
					     .path = "/adfs/oauth2/token",
					     .query = "",
					     .body = form,
					     .remote = "192.0.2.1",
					     .now_us = utc_now_us() };
	struct identity_reply reply;
	json_t *body;

	identity_handle(f->id, &rq, &reply);
	body = json_loads(reply.text, 0, NULL);
	if (ret)
		*ret = arena_printf(&f->arena, "Bearer %s", arm_str(body, "access_token", ""));
	json_decref(body);
	return reply.status;
}

static int
authenticate(struct fixture *f, const char *header, int64_t later_s, const char **ret_oid)
{
	struct arm_auth auth = identity_auth(f->id);
	struct arm_error e = { .arena = &f->arena };
	struct arm_caller c;
	int r = auth.authenticate(auth.ctx, &f->arena, header, utc_now_us() + later_s * 1000000, &c,
				  &e);

	if (r == 0)
		*ret_oid = c.oid;
	else
		*ret_oid = e.code;
	return r == 0 ? 200 : e.status;
}

static void
patterns_match_like_azure(void **state)
{
	assert_true(identity_pattern_matches("*", "a/b/read"));
	assert_true(identity_pattern_matches("*/read", "Microsoft.Network/x/READ"));
	assert_false(identity_pattern_matches("*/read", "Microsoft.Network/x/write"));
	assert_true(identity_pattern_matches("microsoft.network/*", "Microsoft.Network/a/b/write"));
	assert_true(identity_pattern_matches("A/*/b/*", "a/x/y/b/z"));
	assert_false(identity_pattern_matches("A/*/b", "a/x/bc"));
	assert_true(identity_pattern_matches("a", "A"));
	assert_false(identity_pattern_matches("a", "ab"));
}

static void
a_token_survives_a_restart(void **state)
{
	struct fixture *f = *state;
	const struct identity_first *c = &f->first.first[0];
	const char *token, *oid;

	assert_int_equal(login(f, c->client_id, c->secret, URL "/.default", &token), 200);
	stop(f);
	start(f);
	assert_int_equal(authenticate(f, token, 0, &oid), 200);
	assert_string_equal(oid, c->oid);
	assert_int_equal(authenticate(f, token, 3601, &oid), 401);
	assert_string_equal(oid, "ExpiredAuthenticationToken");
}

static void
wrong_credentials_are_401(void **state)
{
	struct fixture *f = *state;
	const struct identity_first *c = &f->first.first[0];

	assert_int_equal(login(f, c->client_id, "wrong", URL "/.default", NULL), 401);
	assert_int_equal(login(f, "nobody", c->secret, URL "/.default", NULL), 401);
	assert_int_equal(login(f, c->client_id, c->secret, "https://elsewhere/.default", NULL),
			 400);
	assert_int_equal(login(f, c->client_id, c->secret, URL "//.default", NULL), 200);
}

static void
forged_tokens_are_refused(void **state)
{
	/* alg none, and HS256 */
	static const char *const heads[] = { "eyJhbGciOiJub25lIn0", "eyJhbGciOiJIUzI1NiJ9" };
	struct fixture *f = *state;
	const struct identity_first *c = &f->first.first[0];
	const char *token, *oid, *payload;
	char *bent;

	assert_int_equal(login(f, c->client_id, c->secret, URL "/.default", &token), 200);
	payload = strchr(token, '.');
	for (size_t i = 0; i < COUNT(heads); i++) {
		assert_int_equal(
			authenticate(f, arena_printf(&f->arena, "Bearer %s%s", heads[i], payload),
				     0, &oid),
			401);
		assert_int_equal(authenticate(f,
					      arena_printf(&f->arena, "Bearer %s%.*s.", heads[i],
							   (int)strcspn(payload + 1, ".") + 1,
							   payload),
					      0, &oid),
				 401);
	}
	bent = arena_strdup(&f->arena, token);
	bent[payload - token + 20] ^= 1;
	assert_int_equal(authenticate(f, bent, 0, &oid), 401);
	assert_int_equal(authenticate(f, NULL, 0, &oid), 401);
	assert_int_equal(authenticate(f, "Bearer ", 0, &oid), 401);
	assert_int_equal(authenticate(f, "Basic abc", 0, &oid), 401);
}

struct may {
	struct fixture *f;
	size_t who;
	const char *action, *scope;
};

static int
may_run(struct store_tx *tx, void *arg, struct err *e)
{
	struct may *m = arg;
	struct arm_auth auth = identity_auth(m->f->id);
	struct arm_caller c = { .oid = m->f->first.first[m->who].oid };

	if (!m->action)
		return auth.sees(auth.ctx, tx, &m->f->arena, &c, m->scope);
	return auth.may(auth.ctx, tx, &m->f->arena, &c, m->action, m->scope);
}

static int
may(struct fixture *f, size_t who, const char *action, const char *scope)
{
	struct may m = { f, who, action, scope };

	return store_read(f->s, may_run, &m, NULL);
}

static void
the_first_principals_have_their_roles(void **state)
{
	enum { CUSTOMER, PROVIDER, OPERATOR, READER, NOBODY, CUSTOMER2 };
	struct fixture *f = *state;
	const char *sub = f->first.subscription;
	const char *mine = arena_printf(&f->arena, "/subscriptions/%s/resourcegroups/g", sub);
	const char *longer = arena_printf(&f->arena, "/subscriptions/%s0", sub);

	assert_true(may(f, CUSTOMER, "Microsoft.Network/x/write", mine));
	assert_false(may(f, CUSTOMER, "Microsoft.Network/x/write", longer));
	assert_false(may(f, CUSTOMER, "Microsoft.Network/x/read", "/"));
	assert_false(may(f, PROVIDER, "Microsoft.Network/x/read", mine));
	assert_false(may(f, CUSTOMER2, "Microsoft.Network/x/read", mine));
	assert_true(may(f, OPERATOR, "Wayleave.Nodes/nodes/enrolmentToken/action", "/"));
	assert_true(may(f, OPERATOR, "a/b/delete", mine));
	assert_true(may(f, READER, "Microsoft.Network/x/read", mine));
	assert_false(may(f, READER, "Microsoft.Network/x/write", mine));
	assert_false(may(f, NOBODY, "Microsoft.Network/x/read", mine));
	assert_true(may(f, CUSTOMER, NULL, sub));
	assert_true(may(f, READER, NULL, sub));
	assert_false(may(f, PROVIDER, NULL, sub));
	assert_false(may(f, NOBODY, NULL, sub));
}

static void
bootstrap_again_changes_nothing(void **state)
{
	struct fixture *f = *state;
	struct identity_bootstrap again;

	assert_int_equal(identity_bootstrap(f->s, &f->arena, &again, NULL), 0);
	assert_string_equal(again.tenant, f->first.tenant);
	for (size_t i = 0; i < IDENTITY_FIRST; i++) {
		assert_string_equal(again.first[i].client_id, f->first.first[i].client_id);
		assert_string_equal(again.first[i].oid, f->first.first[i].oid);
		assert_null(again.first[i].secret);
	}
}

int
main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(patterns_match_like_azure),
		CASE(a_token_survives_a_restart),
		CASE(wrong_credentials_are_401),
		CASE(forged_tokens_are_refused),
		CASE(the_first_principals_have_their_roles),
		CASE(bootstrap_again_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
