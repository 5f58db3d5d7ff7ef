/* Words to calls, and tables. */
#include "../test.h"

#include "cli/cli.h"

#include <stdlib.h>

static struct cli seen;
static unsigned n_runs;

static int
remember(struct cli *c)
{
	seen = *c;
	n_runs++;
	return CLI_OK;
}

static const struct cli_option options[] = {
	{ "size", "N", "how large", true },
	{ "quick", NULL, "a flag", false },
	{ NULL, NULL, NULL, false },
};
static const struct cli_command commands[] = {
	{ "thing make", "NAME [OTHER]", "makes a thing", remember, options, NULL },
	{ "thing list", NULL, "lists them", remember, NULL, NULL },
	{ "run", "WORD [MORE...]", "runs", remember, NULL, NULL },
	{ NULL, NULL, NULL, NULL, NULL, NULL },
};

static int
call(const char *a, const char *b, const char *c, const char *d, const char *e, const char *f)
{
	const char *all[] = { "wayleave", a, b, c, d, e, f };
	char *argv[8] = { 0 };
	int argc = 0;

	while (argc < 7 && all[argc]) {
		argv[argc] = (char *)all[argc];
		argc++;
	}
	n_runs = 0;
	return cli_main(commands, argc, argv);
}

static void
test_finds_commands_of_one_and_two_words(void **state)
{
	assert_int_equal(call("thing", "list", NULL, NULL, NULL, NULL), CLI_OK);
	assert_string_equal(seen.command->name, "thing list");
	assert_int_equal(call("run", "x", "y", "z", NULL, NULL), CLI_OK);
	assert_int_equal(seen.n_args, 3);
	assert_int_equal(call("nothing", NULL, NULL, NULL, NULL, NULL), CLI_USAGE);
	assert_int_equal(call("thing", "burn", NULL, NULL, NULL, NULL), CLI_USAGE);
	assert_int_equal(n_runs, 0);
}

static void
test_options_take_values_either_way(void **state)
{
	assert_int_equal(call("thing", "make", "--size", "3", "a", "--quick"), CLI_OK);
	assert_string_equal(cli_value(&seen, "size"), "3");
	assert_true(cli_has(&seen, "quick"));
	assert_string_equal(seen.args[0], "a");
	assert_int_equal(call("thing", "make", "--size=4", "a", NULL, NULL), CLI_OK);
	assert_string_equal(cli_value(&seen, "size"), "4");
	assert_false(cli_has(&seen, "quick"));
	assert_int_equal(call("run", "--", "--size", NULL, NULL, NULL), CLI_OK);
	assert_string_equal(seen.args[0], "--size");
}

static void
test_refuses_what_makes_no_sense(void **state)
{
	assert_int_equal(call("thing", "make", "a", NULL, NULL, NULL), CLI_USAGE); /* --size */
	assert_int_equal(call("thing", "make", "--size=1", NULL, NULL, NULL), CLI_USAGE); /* NAME */
	assert_int_equal(call("thing", "make", "a", "--size", NULL, NULL),
			 CLI_USAGE); /* its value */
	assert_int_equal(call("thing", "make", "a", "--size=1", "--quick=no", NULL), CLI_USAGE);
	assert_int_equal(call("thing", "make", "a", "b", "c", "--size=1"), CLI_USAGE);
	assert_int_equal(call("thing", "list", "--colour", NULL, NULL, NULL), CLI_USAGE);
	assert_int_equal(call("thing", "list", "-o", "xml", NULL, NULL), CLI_USAGE);
	assert_int_equal(call("thing", "list", "--instance", "../up", NULL, NULL), CLI_USAGE);
	assert_int_equal(n_runs, 0);
}

static void
test_options_for_all(void **state)
{
	assert_int_equal(call("thing", "list", "-o", "json", "--as=reader", NULL), CLI_OK);
	assert_true(seen.is_json);
	assert_string_equal(seen.as, "reader");
	assert_int_equal(call("thing", "list", "-g", "lab", "--no-wait", NULL), CLI_OK);
	assert_string_equal(seen.group, "lab");
	assert_true(seen.no_wait);
	assert_string_equal(seen.instance, "main");
}

static void
test_table_is_as_wide_as_its_cells(void **state)
{
	static const char *const headings[] = { "NAME", "MBPS", "STATE", NULL };
	AUTO(table) t = table_create(headings);
	AUTO_BUF out = { 0 };

	table_add(t, "a", "200", "Enabled");
	table_add(t, "zürich", NULL, "");
	table_print(t, &out);
	assert_string_equal(buf_str(&out), "NAME    MBPS  STATE\n"
					   "a       200   Enabled\n"
					   "zürich  -     -\n");
	assert_int_equal(table_rows(t), 2);
}

static void
test_places(void **state)
{
	struct cli c = { .instance = "two" };

	setenv("WAYLEAVE_HOME", "/somewhere", 1);
	setenv("WAYLEAVE_RUN", "/elsewhere", 1);
	assert_string_equal(cli_home(&c), "/somewhere/two");
	assert_string_equal(cli_run_dir(&c), "/elsewhere/two");
}

/* Every row of the real table can be looked up by its own name and has a page of help. */
static void
test_real_commands_have_help(void **state)
{
	for (const struct cli_command *cmd = cli_commands; cmd->name; cmd++) {
		char name[64], *second;
		char *argv[5] = { (char *)"wayleave", name };
		int n = 2;

		snprintf(name, sizeof(name), "%s", cmd->name);
		second = strchr(name, ' ');
		if (second) {
			*second = 0;
			argv[n++] = second + 1;
		}
		argv[n++] = (char *)"--help";
		assert_int_equal(cli_main(cli_commands, n, argv), CLI_OK);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_finds_commands_of_one_and_two_words),
		cmocka_unit_test(test_options_take_values_either_way),
		cmocka_unit_test(test_refuses_what_makes_no_sense),
		cmocka_unit_test(test_options_for_all),
		cmocka_unit_test(test_table_is_as_wide_as_its_cells),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_real_commands_have_help),
	};

	unsetenv("WAYLEAVE_INSTANCE");
	unsetenv("WAYLEAVE_GROUP");
	unsetenv("WAYLEAVE_OUTPUT");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
