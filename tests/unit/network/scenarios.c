/* Golden scenarios of the network's types on the real engine and store: requests in, answers and
 * node objects out, compared with FILE.ok (GOLDEN=accept writes it).
 *
 * A scenario is lines:
 *   # text                    copied to the output
 *   as NAME                   who asks: customer, other, provider, operator
 *   PUT|GET|PATCH|POST|DELETE PATH[?QUERY] [JSON]     api-version is added
 *   ~PUT PATH [JSON] ...      the same, but only the status of a success is copied to the output
 *   let NAME = DOTTED.PATH    from the last answer's body; "header:NAME" from its headers
 *   partner NAME              his tenant is a partner's, and everybody's tenant his own
 *   settle                    every node reports what it has, operations end
 *   nodes                     all node objects, checked with the nodes' own parser
 *   changes                   node objects written since the last nodes or changes
 *   ~changes                  nothing printed: the next changes begin here
 *   answer NODE JSON          answers the node's oldest question
 * ${NAME} is replaced; $C, $O, $P, $F are the subscriptions of customer, other, provider, operator.
 * A JSON body may go on over lines that begin with a blank.
 *
 * Random GUIDs and keys become words in order of appearance. After every line the stored node
 * objects must equal a full recompilation. */
#include "../test.h"

#include "arm/engine.h"
#include "base/buf.h"
#include "base/map.h"
#include "fabric/node.h"
#include "network/network.h"
#include "store/directory.h"

#include <ctype.h>
#include <dirent.h>
#include <sys/stat.h>

static const char *catalogue_dir, *scenario_file;

static const struct {
	const char *name, *sub;
} callers[] = {
	{ "customer", "10000000-0000-0000-0000-000000000001" },
	{ "other", "10000000-0000-0000-0000-000000000002" },
	{ "provider", "10000000-0000-0000-0000-000000000003" },
	{ "operator", "10000000-0000-0000-0000-000000000004" },
};

struct run {
	struct arena arena;
	struct store *store;
	struct network *network;
	struct arm_engine *engine;
	char dir[64];
	const char *as;
	struct map lets;  /* name -> value */
	struct map words; /* random text -> word */
	unsigned n_words;
	json_t *body, *headers; /* of the last answer */
	int status;
	json_t *seen; /* "node kind key" -> rev */
	struct buf out;
};

/* ---- who is who ---- */

static int
authenticate(void *ctx, struct arena *a, const char *authorization, int64_t now_us,
	     struct arm_caller *ret, struct arm_error *e)
{
	*ret = (struct arm_caller){ authorization, authorization, "tenant", authorization };
	return 0;
}

static bool
may(void *ctx, struct store_tx *tx, struct arena *a, const struct arm_caller *c, const char *action,
    const char *scope)
{
	if (!strcmp(c->oid, "operator") || !strcmp(c->oid, "system"))
		return true;
	for (size_t i = 0; i < COUNT(callers); i++)
		if (!strcmp(callers[i].name, c->oid))
			return strstr(scope, callers[i].sub) != NULL;
	return false;
}

static bool
sees(void *ctx, struct store_tx *tx, struct arena *a, const struct arm_caller *c, const char *sub)
{
	return may(ctx, tx, a, c, "", sub);
}

/* ---- the world ---- */

static int
put_subscriptions(struct store_tx *tx, void *arg, struct err *e)
{
	for (size_t i = 0; i < COUNT(callers); i++) {
		struct store_subscription s = { callers[i].sub, "tenant", callers[i].name,
						"Enabled" };
		int r = store_subscription_put(tx, &s, e);

		if (r < 0)
			return r;
	}
	return 0;
}

static void
run_open(struct run *t)
{
	struct err e = { 0 };

	snprintf(t->dir, sizeof(t->dir), "/tmp/network-scenario-XXXXXX");
	assert_non_null(mkdtemp(t->dir));
	struct store_config cfg = {
		.path = arena_printf(&t->arena, "%s/store.db", t->dir),
		.master_key = arena_printf(&t->arena, "%s/master", t->dir),
		.n_readers = 1,
	};

	if (store_open(&cfg, &t->store, &e) < 0 ||
	    network_open(catalogue_dir, &t->network, &e) < 0 ||
	    store_write(t->store, put_subscriptions, NULL, &e) < 0)
		fail_msg("%s", e.text);
	struct arm_config ac = {
		.store = t->store,
		.auth = { NULL, authenticate, may, sees },
		.base_url = "https://localhost:8443",
		.providers = network_providers,
		.locations = network_locations,
		.ctx = t->network,
	};

	if (arm_engine_create(&ac, &t->engine, &e) < 0)
		fail_msg("%s", e.text);
	t->as = "operator";
	t->seen = json_object();
}

static void
run_close(struct run *t)
{
	arm_engine_destroy(t->engine);
	network_destroy(t->network);
	store_destroy(t->store);
	json_decref(t->body);
	json_decref(t->headers);
	json_decref(t->seen);
	map_fini(&t->lets);
	map_fini(&t->words);
	buf_fini(&t->out);
	DIR *d = opendir(t->dir);
	struct dirent *f;

	while (d && (f = readdir(d)))
		if (f->d_name[0] != '.')
			unlink(arena_printf(&t->arena, "%s/%s", t->dir, f->d_name));
	if (d)
		closedir(d);
	rmdir(t->dir);
	arena_reset(&t->arena);
}

/* ---- text ---- */

static const char *
let_value(struct run *t, const char *name, size_t n)
{
	static const struct {
		const char *name;
		size_t caller;
	} subs[] = { { "C", 0 }, { "O", 1 }, { "P", 2 }, { "F", 3 } };

	for (size_t i = 0; i < COUNT(subs); i++)
		if (n == 1 && *name == *subs[i].name)
			return callers[subs[i].caller].sub;
	const char *v = map_get(&t->lets, name, n);

	if (!v)
		fail_msg("no such name: %.*s", (int)n, name);
	return v;
}

static const char *
expand(struct run *t, const char *s)
{
	AUTO_BUF b = { 0 };

	for (; *s; s++) {
		if (s[0] == '$' && s[1] == '{') {
			size_t n = strcspn(s + 2, "}");

			buf_printf(&b, "%s", let_value(t, s + 2, n));
			s += n + 2;
		} else if (s[0] == '$' && isupper((unsigned char)s[1])) {
			buf_printf(&b, "%s", let_value(t, ++s, 1));
		} else {
			buf_u8(&b, (uint8_t)*s);
		}
	}
	return arena_strdup(&t->arena, buf_str(&b));
}

static size_t
guid_length(const char *s)
{
	static const int part[] = { 8, 4, 4, 4, 12 };
	const char *c = s;

	for (int i = 0; i < 5; i++) {
		for (int j = 0; j < part[i]; j++, c++)
			if (!isxdigit((unsigned char)*c))
				return 0;
		if (i < 4 && *c++ != '-')
			return 0;
	}
	return isxdigit((unsigned char)*c) ? 0 : (size_t)(c - s);
}

static size_t
key_length(const char *s)
{
	size_t n = strspn(s, "0123456789abcdef");

	return n == 40 ? n : 0;
}

/* Random words become numbered ones. */
static void
print_normal(struct run *t, const char *s)
{
	const char *start = s;

	while (*s) {
		bool is_begin = s == start || !isalnum((unsigned char)s[-1]);
		size_t n = is_begin ? guid_length(s) : 0, k = n || !is_begin ? 0 : key_length(s);

		if ((!n && !k) || (n && !strncmp(s, "10000000-", 9))) {
			buf_u8(&t->out, (uint8_t)*s++);
			continue;
		}
		const char *word = map_get(&t->words, s, n + k);

		if (!word) {
			word = arena_printf(&t->arena, "%s%u", n ? "guid-" : "key-", ++t->n_words);
			map_put(&t->words, s, n + k, (void *)(uintptr_t)word);
		}
		buf_printf(&t->out, "%s", word);
		s += n + k;
	}
}

static void
drop_noise(json_t *j)
{
	json_t *v;
	const char *key;
	size_t i;

	if (json_is_object(j)) {
		json_object_del(j, "etag");
		json_object_del(j, "allocationDate"); /* today */
		json_object_del(j, "lastSeen");
		json_object_del(j, "asOf");
		json_object_del(j, "ageSeconds");
		json_object_foreach(j, key, v)
			drop_noise(v);
	}
	json_array_foreach(j, i, v)
		drop_noise(v);
}

static void
print_json(struct run *t, const json_t *j)
{
	json_t *copy = json_deep_copy(j);

	drop_noise(copy);
	char *text = json_dumps(copy, JSON_INDENT(1) | JSON_SORT_KEYS | JSON_ENCODE_ANY);

	print_normal(t, text);
	buf_u8(&t->out, '\n');
	free(text);
	json_decref(copy);
}

/* ---- requests ---- */

static void
answered(void *arg, struct arm_response *resp)
{
	struct run *t = arg;

	json_decref(t->body);
	json_decref(t->headers);
	t->status = resp->status;
	t->body = json_incref(resp->body);
	t->headers = json_object();
	for (size_t i = 0; i < resp->n_headers; i++)
		json_object_set_new(t->headers, resp->headers[i].name,
				    json_string(resp->headers[i].value));
	arm_response_fini(resp);
}

static enum arm_method
method_of(const char *s)
{
	static const struct {
		const char *name;
		enum arm_method m;
	} methods[] = { { "GET", ARM_GET },   { "PUT", ARM_PUT },       { "PATCH", ARM_PATCH },
			{ "POST", ARM_POST }, { "DELETE", ARM_DELETE }, { "HEAD", ARM_HEAD } };

	for (size_t i = 0; i < COUNT(methods); i++)
		if (!strcmp(methods[i].name, s))
			return methods[i].m;
	fail_msg("no such command: %s", s);
	return ARM_GET;
}

static void
do_request(struct run *t, const char *method, const char *path, const char *body)
{
	struct arm_request *req = NEW(&t->arena, struct arm_request); /* may wait */

	*req = (struct arm_request){
		.arena = &t->arena,
		.method = method_of(method),
		.path = arena_strndup(&t->arena, path, strcspn(path, "?")),
		.query = arena_printf(&t->arena, "api-version=2026-01-01%s%s",
				      strchr(path, '?') ? "&" : "",
				      strchr(path, '?') ? strchr(path, '?') + 1 : ""),
		.body = body,
		.body_len = strlen(body),
		.authorization = t->as,
		.remote = "test",
	};

	t->status = 0;
	arm_handle(t->engine, req, answered, t);
}

static void
print_answer(struct run *t, bool is_quiet)
{
	buf_printf(&t->out, "-> %d\n", t->status);
	if (t->body && (!is_quiet || t->status >= 300))
		print_json(t, t->body);
}

/* ---- nodes ---- */

static int
collect_nodes(struct store_tx *tx, void *arg, struct err *e)
{
	struct run *t = arg;
	struct store_node *v;
	size_t n;
	int r = store_node_list(tx, &t->arena, NULL, 100, &v, &n, e);

	if (r < 0)
		return r;
	json_t *names = json_array();

	for (size_t i = 0; i < n; i++)
		if (!v[i].revoked)
			json_array_append_new(names, json_string(v[i].name));
	json_object_set_new(t->seen, " nodes", names);
	return 0;
}

static json_t *
nodes(struct run *t)
{
	struct err e;

	if (store_read(t->store, collect_nodes, t, &e) < 0)
		fail_msg("%s", e.text);
	return json_object_get(t->seen, " nodes");
}

static json_t *
poll(struct run *t, const char *node)
{
	json_t *ret = NULL;
	bool is_news;
	struct err e = { 0 };

	if (arm_agent_poll(t->engine, node, "", &ret, &is_news, &e) < 0)
		fail_msg("poll %s: %s", node, e.text);
	return ret;
}

static void
settle(struct run *t)
{
	json_t *node;
	size_t i;

	json_array_foreach(nodes(t), i, node) {
		json_t *p = poll(t, json_string_value(node));
		json_t *report = json_pack("{s:O, s:[], s:{}}", "applied",
					   json_object_get(p, "cursor"), "errors", "state");
		struct err e;

		if (arm_agent_report(t->engine, json_string_value(node), report, &e) < 0)
			fail_msg("report: %s", e.text);
		json_decref(report);
		json_decref(p);
	}
	arm_tick(t->engine);
}

/* Keys may be random; what they stand for is not. */
static const char *
object_name(const json_t *o)
{
	return arm_str(o, "body.resourceId", arm_str(o, "key", ""));
}

static int
by_kind_and_name(const void *a, const void *b)
{
	const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
	int r = strcmp(arm_str(x, "kind", ""), arm_str(y, "kind", ""));

	return r ? r : strcmp(object_name(x), object_name(y));
}

static void
check_object(const char *node, const json_t *o)
{
	AUTO(node_object) parsed = NULL;
	struct err e;

	if (node_object_from_json(o, &parsed, &e) < 0) {
		char *text = json_dumps(o, 0);

		fail_msg("%s would refuse %s: %s", node, text, e.text);
	}
}

static void
config_is_bad(void *arg, const struct node_object *o, const struct err *e)
{
	fail_msg("%s: %s %s: %s", (const char *)arg, node_kind_name(o->kind), o->key, e->text);
}

/* The whole of a node's objects passes the node's own rules. */
static void
check_config(const char *node, json_t *objects)
{
	AUTO(node_config) c = NULL;
	json_t *doc = json_pack("{s:O}", "objects", objects);
	struct err e;

	if (node_config_from_json(doc, &c, &e) < 0)
		fail_msg("%s: %s", node, e.text);
	node_config_check(c, config_is_bad, (void *)(uintptr_t)node);
	json_decref(doc);
}

static void
print_node(struct run *t, const char *node, bool only_changes)
{
	json_t *p = poll(t, node), *o, *gone_key;
	json_t *objects = json_object_get(p, "objects");
	size_t n = json_array_size(objects), i;
	json_t **v = NEW_ARRAY(&t->arena, json_t *, n + 1);
	json_t *now = json_object();
	const char *name;

	json_array_foreach(objects, i, o) {
		check_object(node, o);
		v[i] = o;
	}
	check_config(node, objects);
	qsort((void *)v, n, sizeof(json_t *), by_kind_and_name);
	for (i = 0; i < n; i++) {
		const char *key = arena_printf(&t->arena, "%s %s", arm_str(v[i], "kind", ""),
					       arm_str(v[i], "key", ""));
		json_t *before = json_object_get(json_object_get(t->seen, node), key);

		json_object_set(now, key, json_object_get(v[i], "rev"));
		if (only_changes && before && json_equal(before, json_object_get(v[i], "rev")))
			continue;
		buf_printf(&t->out, "[%s] ", node);
		print_normal(t, key);
		buf_u8(&t->out, '\n');
		print_json(t, json_object_get(v[i], "body"));
	}
	json_object_foreach(json_object_get(t->seen, node), name, gone_key)
		if (!json_object_get(now, name)) {
			buf_printf(&t->out, "[%s] gone: ", node);
			print_normal(t, name);
			buf_u8(&t->out, '\n');
		}
	json_object_set_new(t->seen, node, now);
	json_decref(p);
}

static void
print_nodes(struct run *t, bool only_changes)
{
	json_t *node;
	size_t i;

	json_array_foreach(nodes(t), i, node)
		print_node(t, json_string_value(node), only_changes);
}

/* The oldest question of a node that has not been answered; several may come with one poll. A new
 * reference. */
static json_t *
question(struct run *t, const char *node)
{
	const char *key = arena_printf(&t->arena, " asked %s", node);
	json_t *p = poll(t, node), *waiting = json_object_get(t->seen, key), *q;

	if (!waiting) {
		waiting = json_array();
		json_object_set_new(t->seen, key, waiting);
	}
	json_array_extend(waiting, json_object_get(p, "queries"));
	json_decref(p);
	q = json_incref(json_array_get(waiting, 0));
	json_array_remove(waiting, 0);
	if (!q)
		fail_msg("no question for %s", node);
	return q;
}

static void
do_answer(struct run *t, const char *node, const char *json)
{
	json_t *q = question(t, node);
	struct err e;

	buf_printf(&t->out, "asked: ");
	json_t *shown = json_pack("{s:O, s:O}", "kind", json_object_get(q, "kind"), "object",
				  json_object_get(q, "object"));

	print_json(t, shown);
	json_t *a = json_loads(json, 0, NULL);

	assert_non_null(a);
	json_object_set(a, "id", json_object_get(q, "id"));
	if (arm_agent_answer(t->engine, node, a, &e) < 0)
		fail_msg("answer: %s", e.text);
	arm_tick(t->engine);
	json_decref(a);
	json_decref(shown);
	json_decref(q);
}

/* ---- lines ---- */

static void
do_let(struct run *t, const char *rest)
{
	char name[32];
	int n = 0;

	if (sscanf(rest, "%31s = %n", name, &n) != 1 || !n)
		fail_msg("let NAME = PATH: %s", rest);
	const char *path = rest + n, *v;

	if (!strncmp(path, "header:", 7))
		v = json_string_value(json_object_get(t->headers, path + 7));
	else
		v = arm_str(t->body, path, NULL);
	if (!v)
		fail_msg("nothing at %s", path);
	assert(v);
	/* A URL of ours becomes its path. */
	if (!strncmp(v, "https://localhost:8443", 22))
		v = arena_strndup(&t->arena, v + 22, strcspn(v + 22, "?"));
	map_put_str(&t->lets, name, arena_strdup(&t->arena, v));
}

/* For whoever looks into a failure. */
static int
rewind_run(struct store_tx *tx, void *arg, struct err *e)
{
	uint64_t first;

	return store_claim_number(tx, arg, 1, 1, &first, e);
}

static int
partner_run(struct store_tx *tx, void *arg, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < COUNT(callers) && r >= 0; i++) {
		struct store_subscription s = { callers[i].sub, callers[i].name, callers[i].name,
						"Enabled" };
		struct store_tenant t = { .id = callers[i].name,
					  .name = callers[i].name,
					  .domain = callers[i].name,
					  .partner = "",
					  .is_partner = !strcmp(callers[i].name, arg) };

		r = store_tenant_put(tx, &t, e);
		if (r >= 0)
			r = store_subscription_put(tx, &s, e);
	}
	return r;
}

static void
do_partner(struct run *t, char *name)
{
	struct err e = { 0 };

	if (store_write(t->store, partner_run, name, &e) < 0)
		fail_msg("partner %s: %s", name, e.text);
}

/* Numbers of a space are given from the first one again, as after a whole round. */
static void
do_rewind(struct run *t, char *space)
{
	struct err e = { 0 };

	if (store_write(t->store, rewind_run, space, &e) < 0)
		fail_msg("rewind %s: %s", space, e.text);
}

static void
dump(struct run *t)
{
	const char *path = getenv("GOLDEN_OUT");
	FILE *f = path ? fopen(path, "we") : NULL;

	if (!f)
		return;
	fwrite(t->out.p, 1, t->out.n, f);
	fclose(f);
}

static void
check_recompiled(struct run *t, const char *line)
{
	size_t n = 0;
	struct err e;

	if (arm_recompile_all(t->engine, true, &n, &e) < 0)
		fail_msg("recompile: %s", e.text);
	if (n)
		fail_msg("after '%s': %zu stored objects differ from a full recompilation", line,
			 n);
}

static void
do_line(struct run *t, const char *raw)
{
	const char *line = expand(t, raw);
	char word[16] = "";
	int n = 0;

	if (*line == '#' || !*line) {
		buf_printf(&t->out, "%s\n", line);
		return;
	}
	buf_printf(&t->out, "> ");
	print_normal(t, line);
	buf_u8(&t->out, '\n');
	sscanf(line, "%15s %n", word, &n);
	const char *rest = line + n;
	size_t first = strcspn(rest, " ");
	const char *arg = arena_strndup(&t->arena, rest, first);

	if (!strcmp(word, "as")) {
		t->as = arg;
	} else if (!strcmp(word, "let")) {
		do_let(t, rest);
	} else if (!strcmp(word, "settle")) {
		settle(t);
	} else if (!strcmp(word, "rewind")) {
		do_rewind(t, arena_strdup(&t->arena, arg));
	} else if (!strcmp(word, "partner")) {
		do_partner(t, arena_strdup(&t->arena, arg));
	} else if (!strcmp(word, "~changes")) {
		size_t before = t->out.n;

		print_nodes(t, true);
		t->out.n = before;
	} else if (!strcmp(word, "nodes") || !strcmp(word, "changes")) {
		print_nodes(t, !strcmp(word, "changes"));
	} else if (!strcmp(word, "answer")) {
		bool was_waiting = !t->status;

		do_answer(t, arg, rest + first);
		if (t->status && was_waiting)
			print_answer(t, false);
	} else {
		bool is_quiet = *word == '~';

		do_request(t, word + is_quiet, arg, rest[first] ? rest + first + 1 : "");
		if (t->status) /* else: waits for answers */
			print_answer(t, is_quiet);
	}
	dump(t);
	check_recompiled(t, raw);
}

static char *
read_whole(struct run *t, const char *path)
{
	FILE *f = fopen(path, "re");
	AUTO_BUF b = { 0 };
	char part[4096];
	size_t n;

	if (!f)
		return NULL;
	while ((n = fread(part, 1, sizeof(part), f)) > 0)
		buf_put(&b, part, n);
	fclose(f);
	return arena_strdup(&t->arena, buf_str(&b));
}

static void
do_file(struct run *t)
{
	char *text = read_whole(t, arena_printf(&t->arena, "%s.in", scenario_file));

	if (!text)
		fail_msg("cannot read %s.in", scenario_file);
	assert(text);
	while (*text) {
		AUTO_BUF line = { 0 };

		do {
			size_t n = strcspn(text, "\n");

			buf_put(&line, text, n);
			text += n + (text[n] == '\n');
		} while (*text == ' ' || *text == '\t');
		do_line(t, buf_str(&line));
	}
}

static struct run world;

/* Also after a failure. */
static int
clean_up(void **state)
{
	run_close(&world);
	return 0;
}

static void
the_output_is_as_accepted(void **state)
{
	struct run *t = &world;
	const char *accept = getenv("GOLDEN");

	run_open(t);
	do_file(t);
	const char *path = arena_printf(&t->arena, "%s.ok", scenario_file);

	if (accept && !strcmp(accept, "accept")) {
		FILE *f = fopen(path, "we");

		assert_non_null(f);
		fwrite(t->out.p, 1, t->out.n, f);
		fclose(f);
	}
	const char *want = read_whole(t, path), *got = buf_str(&t->out);

	if (!want || strcmp(want, got) != 0) {
		size_t at = 0, line = 1;

		while (want && want[at] && want[at] == got[at])
			line += want[at++] == '\n';
		while (at && got[at - 1] != '\n')
			at--;

		fail_msg("%s:%zu differs: got '%.*s'", path, line, (int)strcspn(got + at, "\n"),
			 got + at);
	}
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test_teardown(the_output_is_as_accepted,
								      clean_up) };

	if (argc != 3)
		return 2;
	catalogue_dir = argv[1];
	scenario_file = argv[2]; /* without .in */
	return cmocka_run_group_tests_name(scenario_file, tests, NULL, NULL);
}
