/* base: errors, cursor, buffer, arena, map. The map is held against a slow model. */
#include "../test.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/cursor.h"
#include "base/err.h"
#include "base/map.h"
#include "base/mem.h"

static void
errors_wrap_outwards(void **state)
{
	struct err e = { 0 };

	assert_int_equal(err_set(&e, -ENOSPC, "disk full"), -ENOSPC);
	err_wrap(&e, e.code, "migrate");
	assert_int_equal(err_wrap(&e, e.code, "open %s", "x.db"), -ENOSPC);
	assert_string_equal(e.text, "open x.db: migrate: disk full");
	assert_int_equal(err_set(NULL, -EINVAL, "nobody reads"), -EINVAL);
}

static void
cursor_error_sticks(void **state)
{
	static const uint8_t b[] = { 1, 0, 2, 3, 9 };
	struct cursor c = cur_make(b, sizeof(b)), sub;

	assert_int_equal(cur_u8(&c), 1);
	assert_int_equal(cur_be16(&c), 2);
	sub = cur_sub(&c, 1);
	assert_int_equal(cur_be16(&sub), 0);
	assert_true(sub.bad);
	assert_false(c.bad);
	assert_int_equal(cur_u8(&c), 9);
	assert_int_equal(cur_be32(&c), 0);
	assert_true(c.bad);
	assert_int_equal(cur_left(&c), 0);
}

static void
buffer_grows_and_drops(void **state)
{
	AUTO_BUF b = { 0 };

	for (unsigned i = 0; i < 1000; i++)
		buf_be32(&b, i);
	assert_int_equal(b.n, 4000);
	buf_drop(&b, 3996);
	assert_memory_equal(b.p, "\x00\x00\x03\xe7", 4);
	buf_reset(&b);
	buf_printf(&b, "%d-%s", 7, "x");
	assert_string_equal(buf_str(&b), "7-x");
}

static void
arena_keeps_alignment_and_zeroes(void **state)
{
	AUTO_ARENA a = { 0 };

	for (size_t n = 1; n < 40000; n += 997) {
		uint8_t *p = arena_alloc(&a, n);

		assert_int_equal((uintptr_t)p % 16, 0);
		for (size_t i = 0; i < n; i++)
			assert_int_equal(p[i], 0);
		memset(p, 0xff, n);
	}
	assert_string_equal(arena_printf(&a, "%s/%d", "a", 4), "a/4");
}

static void
map_agrees_with_an_array(void **state)
{
	enum { KEYS = 512 };
	uintptr_t model[KEYS] = { 0 };
	struct map m = { 0 };
	unsigned seed = 42;
	size_t n = 0;

	for (unsigned step = 0; step < 50000; step++) {
		uint32_t k = (uint32_t)rand_r(&seed) % KEYS;
		uintptr_t v = (uintptr_t)step + 1;

		if (rand_r(&seed) % 3) {
			assert_ptr_equal(map_put(&m, &k, sizeof(k), (void *)v), (void *)model[k]);
			model[k] = v;
		} else {
			assert_ptr_equal(map_remove(&m, &k, sizeof(k)), (void *)model[k]);
			model[k] = 0;
		}
	}
	for (uint32_t k = 0; k < KEYS; k++) {
		assert_ptr_equal(map_get(&m, &k, sizeof(k)), (void *)model[k]);
		n += model[k] != 0;
	}
	assert_int_equal(m.n, n);
	for (struct map_iter it = { 0 }; map_next(&m, &it); n--)
		assert_ptr_equal(it.value, (void *)model[*(const uint32_t *)it.key]);
	assert_int_equal(n, 0);
	map_fini(&m);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(errors_wrap_outwards),
		cmocka_unit_test(cursor_error_sticks),
		cmocka_unit_test(buffer_grows_and_drops),
		cmocka_unit_test(arena_keeps_alignment_and_zeroes),
		cmocka_unit_test(map_agrees_with_an_array),
	};

	return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
