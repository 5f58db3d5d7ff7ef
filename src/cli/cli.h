/* The command line: words to calls. A command is a row of a table (name, what it does, what it
 * takes, the function); options are parsed from the table, and --help is printed from it.
 *
 * Tables are for people, `-o json` is for programs; errors go to stderr and say what to do. */
#pragma once

#include "base/buf.h"
#include "base/err.h"

struct json_t;

/* Exit statuses; the same for every command. */
enum cli_exit { CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 2, CLI_NOT_FOUND = 3 };

struct cli_option {
	const char *name;  /* "bandwidth": --bandwidth VALUE or --bandwidth=VALUE */
	const char *value; /* what VALUE is, for --help; NULL: a flag */
	const char *help;
	bool is_required;
};

struct cli;
struct cli_command {
	const char *name;    /* "circuit create"; one or two words */
	const char *args;    /* positional: "NAME" or "NIC DEV"; NULL: none. [X] is optional */
	const char *summary; /* one line */
	int (*run)(struct cli *c);
	const struct cli_option *options; /* ends with a NULL name; NULL: none */
	const void *data;                 /* for run */
};

enum { CLI_ARGS_MAX = 256, CLI_OPTIONS_MAX = 32 };

/* One invocation. */
struct cli {
	const struct cli_command *command;
	const char *args[CLI_ARGS_MAX];
	unsigned n_args;
	const char *values[CLI_OPTIONS_MAX]; /* by the command's options; flags: "" */
	/* Options every command takes. */
	const char *instance;
	const char *as; /* principal, NULL: the command's own choice */
	const char *subscription, *group;
	bool is_json, no_wait;
};

/* NULL when not given. name must be one of the command's. */
const char *cli_value(const struct cli *c, const char *name);
bool cli_has(const struct cli *c, const char *name);

/* Runs argv against the table (ends with a NULL name); prints help where asked. */
int cli_main(const struct cli_command *commands, int argc, char **argv);
extern const struct cli_command cli_commands[];

/* "wayleave: TEXT" on stderr; returns code. */
int cli_fail(enum cli_exit code, const char *fmt, ...) PRINTF(2, 3);

/* ---- places ---- */

/* $WAYLEAVE_HOME/<instance>, or its default; valid until the next call. */
const char *cli_home(const struct cli *c);
/* The same for who only asks: without one of his own, the system's when root's `wayleave up` gave its
 * env file to him. */
const char *cli_client_home(const struct cli *c);
/* The directory of runtime files, /run/wayleave/<instance> (without root below XDG_RUNTIME_DIR). */
const char *cli_run_dir(const struct cli *c);
const char *cli_run_root(void);
/* A place in /tmp, where anybody may have been first, must be a directory of ours alone; made when
 * makes_it. Call before trusting what is there. */
int cli_run_check(bool makes_it, struct err *e);
/* The rule itself: a directory, no link, ours, mode 0700. */
int cli_dir_is_private(const char *path, struct err *e);
/* A program of ours, beside this one. */
const char *cli_program(const char *name, char *out, size_t size);

/* ---- tables ---- */

/* Columns grow to their content; the last one is not padded. Borrowed headings, copied cells. */
struct table;
struct table *table_create(const char *const *headings); /* NULL-terminated */
void table_destroy(struct table *t);
CLEANUP(table)
void table_add(struct table *t, ...); /* as many const char * as there are headings; NULL is "-" */
void table_print(const struct table *t, struct buf *out);
unsigned table_rows(const struct table *t);

/* Prints JSON with two blanks' indent and a newline. */
void cli_print_json(const struct json_t *v);
