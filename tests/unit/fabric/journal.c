#include "../test.h"

#include "base/mem.h"
#include "fabric/journal.h"

#include <dirent.h>
#include <jansson.h>
#include <sys/stat.h>

static const char zeros[65] = "0000000000000000000000000000000000000000000000000000000000000000";
static const char boot[] = "0123456789abcdef";

struct place {
	char dir[64];
};

static int
make_place(void **state)
{
	struct place *p = mem_alloc(sizeof(*p));

	snprintf(p->dir, sizeof(p->dir), "/tmp/journal-XXXXXX");
	*state = p;
	return mkdtemp(p->dir) ? 0 : -1;
}

static int
remove_place(void **state)
{
	struct place *p = *state;
	DIR *d = opendir(p->dir);
	struct dirent *ent;

	while (d && (ent = readdir(d)) != NULL)
		unlinkat(dirfd(d), ent->d_name, 0);
	if (d)
		closedir(d);
	rmdir(p->dir);
	free(p);
	return 0;
}

static struct journal *
open_journal(const struct place *p)
{
	struct journal *j;
	struct err e = { 0 };

	if (journal_open(p->dir, boot, &j, &e) < 0)
		fail_msg("%s", e.text);
	return j;
}

static void
append(struct journal *j, uint64_t bytes)
{
	struct journal_reading r = { "c", "d", 17, 2, 1, bytes, bytes / 100, 0, 0 };
	struct err e = { 0 };

	if (journal_append(j, JOURNAL_SECOND, 1000000, &r, 1, &e) < 0)
		fail_msg("%s", e.text);
}

static void
test_chain_over_restarts(void **state)
{
	struct journal *j = open_journal(*state);
	char previous[65], key[65];
	struct err e = { 0 };
	json_t *list;

	append(j, 100);
	append(j, 200);
	snprintf(key, sizeof(key), "%s", journal_public_key(j));
	journal_close(j);
	j = open_journal(*state);
	assert_int_equal(journal_sequence(j), 2);
	assert_string_equal(key, journal_public_key(j));
	append(j, 300);
	list = journal_pending(j, 10);
	assert_int_equal(json_array_size(list), 3);
	memcpy(previous, zeros, sizeof(previous));
	for (size_t i = 0; i < 3; i++)
		if (journal_verify(json_array_get(list, i), previous, key, &e) < 0)
			fail_msg("entry %zu: %s", i, e.text);
	json_decref(list);
	journal_close(j);
}

static void
test_tampering_is_seen(void **state)
{
	struct journal *j = open_journal(*state);
	char previous[65];
	struct err e = { 0 };
	json_t *list, *entry;

	append(j, 100);
	append(j, 200);
	list = journal_pending(j, 10);
	entry = json_array_get(list, 0);
	json_object_set_new(json_array_get(json_object_get(entry, "readings"), 0), "bytesIn",
			    json_integer(1));
	memcpy(previous, zeros, sizeof(previous));
	assert_true(journal_verify(entry, previous, NULL, &e) < 0);
	/* left out: the next one does not follow */
	assert_true(journal_verify(json_array_get(list, 1), previous, NULL, &e) < 0);
	json_decref(list);
	journal_close(j);
}

static void
test_torn_line_is_cut(void **state)
{
	struct place *p = *state;
	struct journal *j = open_journal(p);
	char path[160];
	FILE *f;

	append(j, 100);
	journal_close(j);
	snprintf(path, sizeof(path), "%s/%020d.jsonl", p->dir, 1);
	f = fopen(path, "a");
	assert_non_null(f);
	fputs("{\"boot\":\"0123", f);
	fclose(f);
	j = open_journal(p);
	assert_int_equal(journal_sequence(j), 1);
	append(j, 200);
	journal_close(j);
	j = open_journal(p);
	assert_int_equal(journal_sequence(j), 2);
	journal_close(j);
}

static void
test_acknowledged_is_not_pending(void **state)
{
	struct journal *j = open_journal(*state);
	struct err e = { 0 };
	json_t *list;

	for (int i = 0; i < 5; i++)
		append(j, 100);
	assert_int_equal(journal_acknowledge(j, 3, &e), 0);
	list = journal_pending(j, 1);
	assert_int_equal(json_array_size(list), 1);
	assert_int_equal(json_integer_value(json_object_get(json_array_get(list, 0), "sequence")),
			 4);
	json_decref(list);
	assert_int_equal(journal_acknowledge(j, 5, &e), 0);
	list = journal_pending(j, 10);
	assert_int_equal(json_array_size(list), 0);
	json_decref(list);
	assert_true(journal_acknowledge(j, 6, &e) < 0);
	journal_close(j);
	j = open_journal(*state);
	append(j, 600);
	list = journal_pending(j, 10);
	assert_int_equal(json_array_size(list), 1);
	json_decref(list);
	journal_close(j);
}

static void
test_key_is_private(void **state)
{
	struct place *p = *state;
	struct journal *j = open_journal(p);
	char path[160];
	struct stat st;

	journal_close(j);
	snprintf(path, sizeof(path), "%s/meter.key", p->dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, make_place, remove_place)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_chain_over_restarts), CASE(test_tampering_is_seen),
		CASE(test_torn_line_is_cut),    CASE(test_acknowledged_is_not_pending),
		CASE(test_key_is_private),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
