/* Words to calls, and tables. */
#include "../test.h"

#include "cli/cli.h"
#include "cli/up.h"
#include "cli/users.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

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

static char place[] = "/tmp/wayleave-cli-XXXXXX";

static const char *
in_place(const char *name)
{
	static char path[4][PATH_MAX];
	static unsigned at;
	char *p = path[at++ % 4];

	snprintf(p, PATH_MAX, "%s/%s", place, name);
	return p;
}

static void
write_file(const char *name, mode_t mode, const char *text)
{
	int fd = open(in_place(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	fchmod(fd, mode);
	close(fd);
}

/* What somebody else has made in /tmp is not taken over. */
static void
test_a_run_directory_must_be_ones_own(void **state)
{
	struct err e = { 0 };

	assert_int_equal(cli_dir_is_private(in_place("absent"), &e), -ENOENT);
	mkdir(in_place("own"), 0700);
	assert_int_equal(cli_dir_is_private(in_place("own"), &e), 0);
	chmod(in_place("own"), 0755);
	assert_int_equal(cli_dir_is_private(in_place("own"), &e), -EPERM);
	assert_non_null(strstr(e.text, "mode 0755"));
	chmod(in_place("own"), 0700);
	assert_int_equal(symlink(in_place("own"), in_place("link")), 0);
	assert_int_equal(cli_dir_is_private(in_place("link"), &e), -EPERM);
	write_file("file", 0700, "");
	assert_int_equal(cli_dir_is_private(in_place("file"), &e), -EPERM);
	/* a root without capabilities has nobody else's directory at hand */
	if (geteuid() != 0)
		assert_int_equal(cli_dir_is_private("/root", &e), -EPERM);
	else if (chown(in_place("own"), 60707, 60707) == 0)
		assert_int_equal(cli_dir_is_private(in_place("own"), &e), -EPERM);
	unlink(in_place("link"));
	unlink(in_place("file"));
	rmdir(in_place("own"));
}

/* Who did `sudo wayleave up` asks without sudo. */
static void
test_clients_find_the_systems_instance(void **state)
{
	struct cli c = { .instance = "two" };

	unsetenv("WAYLEAVE_HOME");
	setenv("XDG_STATE_HOME", in_place("mine"), 1);
	setenv("WAYLEAVE_SYSTEM_HOME", place, 1);
	mkdir(in_place("two"), 0755);
	assert_string_equal(cli_client_home(&c), cli_home(&c)); /* nobody started anything */
	write_file("two/env", 0600, "A='1'\n");
	assert_string_equal(cli_client_home(&c), in_place("two"));
	setenv("WAYLEAVE_HOME", "/somewhere", 1);
	assert_string_equal(cli_client_home(&c), "/somewhere/two");
	unsetenv("WAYLEAVE_HOME");
	unsetenv("WAYLEAVE_SYSTEM_HOME");
	unsetenv("XDG_STATE_HOME");
	unlink(in_place("two/env"));
	rmdir(in_place("two"));
}

/* The number of a killed `up` may be another program's by now. */
static void
test_down_signals_only_the_owner(void **state)
{
	struct cli c = { .instance = "two" };
	char text[16];
	pid_t other = fork();
	int lock, status = 0;

	if (other == 0) {
		pause();
		_exit(0);
	}
	setenv("WAYLEAVE_RUN", place, 1);
	mkdir(in_place("two"), 0755);
	snprintf(text, sizeof(text), "%d\n", (int)other);
	write_file("two/up.pid", 0644, text);
	assert_int_equal(up_down(&c), CLI_NOT_FOUND); /* no lock at all */
	write_file("two/lock", 0600, "");
	assert_int_equal(up_down(&c), CLI_NOT_FOUND); /* nobody holds it */
	assert_int_equal(waitpid(other, &status, WNOHANG), 0);
	lock = open(in_place("two/lock"), O_RDWR | O_CLOEXEC);
	assert_int_equal(flock(lock, LOCK_EX | LOCK_NB), 0);
	assert_int_equal(up_down(&c), CLI_OK);
	assert_int_equal(waitpid(other, &status, 0), other);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
	close(lock);
	unlink(in_place("two/lock"));
	unlink(in_place("two/up.pid"));
	rmdir(in_place("two"));
}

/* No two processes of an instance share a number, and none is root's. */
static void
test_every_process_is_a_user_of_its_own(void **state)
{
	struct users u = { true, 60720 };
	char text[USERS_TEXT];
	uid_t seen_uids[USERS_MAX];
	unsigned n = 0;

	seen_uids[n++] = users_uid(&u, USERS_CONTROLLER, 0);
	for (unsigned i = 0; up_nodes[i].name; i++) {
		seen_uids[n++] = users_uid(&u, USERS_DAEMON, i);
		seen_uids[n++] = users_uid(&u, USERS_BFDD, i);
	}
	for (unsigned i = 0; i < n; i++) {
		assert_in_range(seen_uids[i], u.base, u.base + USERS_MAX - 1);
		for (unsigned j = 0; j < i; j++)
			assert_int_not_equal(seen_uids[i], seen_uids[j]);
	}
	assert_string_equal(users_text(&u, USERS_BFDD, 1, text), "60724:60723");
	u.is_root = false;
	assert_int_equal(users_uid(&u, USERS_BFDD, 1), geteuid());
}

static void
test_users_must_reach_their_state(void **state)
{
	struct users u = { true, 60720 };
	struct err e = { 0 };

	mkdir(in_place("closed"), 0700);
	mkdir(in_place("closed/home"), 0755);
	chmod(place, 0755);
	assert_int_equal(users_reach(&u, in_place("closed/home"), &e), -EACCES);
	assert_non_null(strstr(e.text, "closed"));
	chmod(in_place("closed"), 0711);
	assert_int_equal(users_reach(&u, in_place("closed/home"), &e), 0);
	rmdir(in_place("closed/home"));
	rmdir(in_place("closed"));
}

static int
setup(void **state)
{
	return mkdtemp(place) ? 0 : -1;
}

static int
teardown(void **state)
{
	return rmdir(place);
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
		cmocka_unit_test(test_a_run_directory_must_be_ones_own),
		cmocka_unit_test(test_clients_find_the_systems_instance),
		cmocka_unit_test(test_down_signals_only_the_owner),
		cmocka_unit_test(test_every_process_is_a_user_of_its_own),
		cmocka_unit_test(test_users_must_reach_their_state),
		cmocka_unit_test(test_real_commands_have_help),
	};

	unsetenv("WAYLEAVE_INSTANCE");
	unsetenv("WAYLEAVE_GROUP");
	unsetenv("WAYLEAVE_OUTPUT");
	return cmocka_run_group_tests(tests, setup, teardown);
}
