/* Words to a struct cli: finds the command, parses its options from its table, prints help. */
#include "cli/cli.h"

#include <stdarg.h>

static const struct cli_option global_options[] = {
	{ "output", "table|json", "how to print; also -o", false },
	{ "instance", "NAME",
	  "which Wayleave on this machine (default: main, or $WAYLEAVE_INSTANCE)", false },
	{ "as", "PRINCIPAL", "customer, customer2, provider, operator, reader or nobody", false },
	{ "subscription", "ID", "default: the principal's own", false },
	{ "group", "NAME", "resource group; also -g (default: $WAYLEAVE_GROUP, else \"main\")",
	  false },
	{ "no-wait", NULL, "do not wait for the operation's end", false },
	{ "help", NULL, "this page; also -h", false },
	{ NULL, NULL, NULL, false },
};
enum { G_OUTPUT, G_INSTANCE, G_AS, G_SUBSCRIPTION, G_GROUP, G_NO_WAIT, G_HELP, G_COUNT };

int
cli_fail(enum cli_exit code, const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	fprintf(stderr, "wayleave: ");
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\n");
	return (int)code;
}

static int
option_index(const struct cli_option *options, const char *name, size_t n)
{
	for (int i = 0; options && options[i].name; i++)
		if (strlen(options[i].name) == n && !memcmp(options[i].name, name, n))
			return i;
	return -1;
}

const char *
cli_value(const struct cli *c, const char *name)
{
	int i = option_index(c->command->options, name, strlen(name));

	assert(i >= 0);
	return c->values[i];
}

bool
cli_has(const struct cli *c, const char *name)
{
	return cli_value(c, name) != NULL;
}

/* ---- help ---- */

static void
print_options(const struct cli_option *options)
{
	for (; options && options->name; options++) {
		char left[64];

		snprintf(left, sizeof(left), "--%s%s%s", options->name, options->value ? " " : "",
			 options->value ? options->value : "");
		printf("  %-28s %s%s\n", left, options->help,
		       options->is_required ? " (required)" : "");
	}
}

static int
help_command(const struct cli_command *cmd)
{
	printf("wayleave %s%s%s [options]\n\n  %s\n", cmd->name, cmd->args ? " " : "",
	       cmd->args ? cmd->args : "", cmd->summary);
	if (cmd->options) {
		printf("\noptions:\n");
		print_options(cmd->options);
	}
	printf("\neverywhere:\n");
	print_options(global_options);
	return CLI_OK;
}

/* All commands, or those of one noun. */
static int
help_all(const struct cli_command *commands, const char *noun)
{
	size_t n = noun ? strlen(noun) : 0;

	printf("wayleave: private circuits between your network and your cloud\n\nusage: wayleave COMMAND "
	       "[options]\n\n");
	for (; commands->name; commands++) {
		char left[64];

		if (noun && (strncmp(commands->name, noun, n) != 0 || commands->name[n] != ' '))
			continue;
		snprintf(left, sizeof(left), "%s%s%s", commands->name, commands->args ? " " : "",
			 commands->args ? commands->args : "");
		printf("  %-36s %s\n", left, commands->summary);
	}
	printf("\nwayleave COMMAND --help says more. Everywhere:\n");
	print_options(global_options);
	return CLI_OK;
}

/* ---- parsing ---- */

/* The command named by the first one or two words; *ret_words says how many. A noun alone gives
 * NULL with *ret_is_noun. */
static const struct cli_command *
find_command(const struct cli_command *commands, int argc, char **argv, int *ret_words,
	     bool *ret_is_noun)
{
	*ret_is_noun = false;
	for (; commands->name; commands++) {
		const char *blank = strchr(commands->name, ' ');
		size_t n = blank ? (size_t)(blank - commands->name) : strlen(commands->name);

		if (strlen(argv[1]) != n || memcmp(commands->name, argv[1], n) != 0)
			continue;
		if (!blank) {
			*ret_words = 1;
			return commands;
		}
		*ret_is_noun = true;
		if (argc > 2 && !strcmp(blank + 1, argv[2])) {
			*ret_words = 2;
			return commands;
		}
	}
	return NULL;
}

/* "[COMMAND...]": what follows the first word is not ours to understand. */
static bool
is_open_ended(const char *args)
{
	return args && strstr(args, "...");
}

static void
count_args(const char *args, unsigned *ret_least, unsigned *ret_most)
{
	*ret_least = *ret_most = 0;
	for (const char *p = args; p && *p;) {
		size_t n = strcspn(p, " ");

		*ret_least += *p != '[';
		*ret_most = is_open_ended(args) ? CLI_ARGS_MAX : *ret_most + 1;
		p += n;
		p += strspn(p, " ");
	}
}

/* One word that begins with '-'. *i moves over its value. */
static int
parse_option(struct cli *c, const char **globals, int argc, char **argv, int *i)
{
	static const struct {
		const char *is;
		int means;
	} letters[] = { { "-o", G_OUTPUT }, { "-g", G_GROUP }, { "-h", G_HELP } };
	const char *word = argv[*i], *equals = strchr(word, '=');
	size_t n = equals ? (size_t)(equals - word) : strlen(word);
	const struct cli_option *option = NULL;
	const char **slot = NULL;
	int k;

	for (size_t l = 0; l < COUNT(letters); l++)
		if (!strcmp(word, letters[l].is)) {
			option = &global_options[letters[l].means];
			slot = &globals[letters[l].means];
		}
	if (!option && n > 2 && !memcmp(word, "--", 2)) {
		if ((k = option_index(c->command->options, word + 2, n - 2)) >= 0) {
			option = &c->command->options[k];
			slot = &c->values[k];
		} else if ((k = option_index(global_options, word + 2, n - 2)) >= 0) {
			option = &global_options[k];
			slot = &globals[k];
		}
	}
	if (!option)
		return cli_fail(CLI_USAGE, "%s: no such option: %.*s; see wayleave %s --help",
				c->command->name, (int)n, word, c->command->name);
	if (!option->value) {
		*slot = "";
		return equals ? cli_fail(CLI_USAGE, "--%s takes no value", option->name) : CLI_OK;
	}
	if (equals)
		*slot = equals + 1;
	else if (*i + 1 < argc)
		*slot = argv[++*i];
	else
		return cli_fail(CLI_USAGE, "--%s wants %s", option->name, option->value);
	return CLI_OK;
}

static int
check_complete(const struct cli *c)
{
	const struct cli_command *cmd = c->command;
	unsigned least, most;

	count_args(cmd->args, &least, &most);
	if (c->n_args < least || c->n_args > most)
		return cli_fail(CLI_USAGE, "usage: wayleave %s%s%s [options]; see --help",
				cmd->name, cmd->args ? " " : "", cmd->args ? cmd->args : "");
	for (unsigned i = 0; cmd->options && cmd->options[i].name; i++)
		if (cmd->options[i].is_required && !c->values[i])
			return cli_fail(CLI_USAGE, "wayleave %s wants --%s %s (%s)", cmd->name,
					cmd->options[i].name, cmd->options[i].value,
					cmd->options[i].help);
	return CLI_OK;
}

static const char *
or_env(const char *given, const char *variable, const char *otherwise)
{
	const char *v = given ? given : getenv(variable);

	return v && *v ? v : otherwise;
}

static bool
is_instance(const char *s)
{
	size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-");

	return n >= 1 && n <= 24 && !s[n];
}

static int
take_globals(struct cli *c, const char **globals)
{
	const char *output = or_env(globals[G_OUTPUT], "WAYLEAVE_OUTPUT", "table");

	c->is_json = !strcmp(output, "json");
	if (!c->is_json && strcmp(output, "table") != 0)
		return cli_fail(CLI_USAGE, "--output is table or json, not %s", output);
	c->instance = or_env(globals[G_INSTANCE], "WAYLEAVE_INSTANCE", "main");
	if (!is_instance(c->instance))
		return cli_fail(CLI_USAGE, "--instance: 1 to 24 of a-z, 0-9 and -, not \"%s\"",
				c->instance);
	c->as = globals[G_AS];
	c->subscription = globals[G_SUBSCRIPTION];
	c->group = or_env(globals[G_GROUP], "WAYLEAVE_GROUP", "main");
	c->no_wait = globals[G_NO_WAIT] != NULL;
	return CLI_OK;
}

int
cli_main(const struct cli_command *commands, int argc, char **argv)
{
	const char *globals[G_COUNT] = { 0 };
	struct cli c = { 0 };
	bool is_noun, is_literal = false;
	int words, r;

	if (argc < 2 || !strcmp(argv[1], "help") || !strcmp(argv[1], "--help") ||
	    !strcmp(argv[1], "-h"))
		return help_all(commands, argc > 2 ? argv[2] : NULL), argc < 2 ? CLI_USAGE : CLI_OK;
	c.command = find_command(commands, argc, argv, &words, &is_noun);
	if (!c.command && is_noun) {
		bool is_asked = argc > 2 && (!strcmp(argv[2], "--help") || !strcmp(argv[2], "-h"));

		help_all(commands, argv[1]);
		return is_asked ? CLI_OK : CLI_USAGE;
	}
	if (!c.command)
		return cli_fail(CLI_USAGE, "no such command: %s; wayleave --help lists them",
				argv[1]);
	for (int i = 1 + words; i < argc; i++) {
		if (!is_literal && !strcmp(argv[i], "--")) {
			is_literal = true;
		} else if (!is_literal && argv[i][0] == '-' && argv[i][1]) {
			if ((r = parse_option(&c, globals, argc, argv, &i)) != CLI_OK)
				return r;
		} else if (c.n_args == CLI_ARGS_MAX) {
			return cli_fail(CLI_USAGE, "too many words");
		} else {
			c.args[c.n_args++] = argv[i];
			is_literal = is_open_ended(c.command->args);
		}
	}
	if (globals[G_HELP])
		return help_command(c.command);
	if ((r = take_globals(&c, globals)) != CLI_OK || (r = check_complete(&c)) != CLI_OK)
		return r;
	return c.command->run(&c);
}
