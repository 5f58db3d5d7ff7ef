#include "../test.h"

#include "base/mem.h"
#include "node/changes.h"

#include <jansson.h>

/* Ports in a place where each call may fail; live: what runs under each key. */
struct place {
	struct changes changes;
	bool fails;
	bool had_old; /* in the last call */
	unsigned n_calls, n_said;
	const struct node_object *live;
};

static int
on_apply(void *arg, const struct node_object *from, const struct node_object *to, struct err *e)
{
	struct place *p = arg;

	p->n_calls++;
	p->had_old = from != NULL;
	if (to && p->fails)
		return err_set(e, -EIO, "the keeper is away");
	p->live = to;
	return 0;
}

static void
on_failed(void *arg, const struct node_object *o, const char *text)
{
	((struct place *)arg)->n_said++;
}

static int
make_place(void **state)
{
	struct place *p = mem_alloc(sizeof(*p));

	p->changes = (struct changes){ .apply = on_apply, .failed = on_failed, .arg = p };
	changes_init(&p->changes);
	*state = p;
	return 0;
}

static int
free_place(void **state)
{
	struct place *p = *state;

	changes_fini(&p->changes);
	free(p);
	return 0;
}

/* dev NULL: no port is wanted. */
static void
want(struct place *p, int rev, const char *dev)
{
	struct node_config *c = node_config_create();
	struct node_object *o;
	char text[200];
	int n;

	if (dev) {
		n = snprintf(
			text, sizeof(text),
			"{\"kind\":\"port\",\"key\":\"a\",\"rev\":%d,\"body\":{\"dev\":\"%s\"}}",
			rev, dev);
		assert_int_equal(node_object_parse(text, (size_t)n, &o, NULL), 0);
		node_config_put(c, o);
	}
	changes_want(&p->changes, c);
}

static void
test_failed_change_is_tried_with_the_old(void **state)
{
	struct place *p = *state;

	want(p, 1, "trunk0");
	assert_true(changes_apply(&p->changes));
	assert_false(p->had_old);
	want(p, 2, "trunk1");
	p->fails = true;
	assert_false(changes_apply(&p->changes));
	assert_string_equal(p->live->port.dev, "trunk0");
	assert_int_equal(json_object_size(p->changes.errors), 1);
	/* again, and said once */
	p->had_old = false;
	assert_false(changes_apply(&p->changes));
	assert_true(p->had_old);
	assert_int_equal(p->n_calls, 3);
	assert_int_equal(p->n_said, 1);
	p->fails = false;
	p->had_old = false;
	assert_true(changes_apply(&p->changes));
	assert_true(p->had_old);
	assert_string_equal(p->live->port.dev, "trunk1");
	assert_int_equal(json_object_size(p->changes.errors), 0);
	assert_true(changes_apply(&p->changes));
	assert_int_equal(p->n_calls, 4);
}

static void
test_failed_change_can_be_deleted(void **state)
{
	struct place *p = *state;

	want(p, 1, "trunk0");
	assert_true(changes_apply(&p->changes));
	want(p, 2, "trunk1");
	p->fails = true;
	assert_false(changes_apply(&p->changes));
	want(p, 3, NULL);
	assert_true(changes_apply(&p->changes));
	assert_null(p->live);
}

static void
test_failed_addition_is_new_again(void **state)
{
	struct place *p = *state;

	want(p, 1, "trunk0");
	p->fails = true;
	assert_false(changes_apply(&p->changes));
	assert_null(node_config_get(p->changes.applied, NODE_PORT, "a"));
	p->fails = false;
	assert_true(changes_apply(&p->changes));
	assert_false(p->had_old);
	assert_non_null(p->live);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, make_place, free_place)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_failed_change_is_tried_with_the_old),
		CASE(test_failed_change_can_be_deleted),
		CASE(test_failed_addition_is_new_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
