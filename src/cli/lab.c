/* See lab.h. */
#include "cli/lab.h"
#include "base/mem.h"

#include <errno.h>
#include <limits.h>

static int
find(const char *name, char *out, size_t size)
{
	static const char *const below[] = { "../lab", "../../../lab", "../share/wayleave/lab" };

	for (size_t i = 0; i < COUNT(below); i++) {
		char dir[PATH_MAX / 2];

		snprintf(out, size, "%s/%s", cli_program(below[i], dir, sizeof(dir)), name);
		if (access(out, X_OK) == 0)
			return CLI_OK;
	}
	return cli_fail(CLI_FAILED, "the lab's programs are not installed beside this one");
}

/* Where cli_program() looks; a caller who says it himself knows better. */
static void
tell_where_programs_are(void)
{
	char self[PATH_MAX];
	AUTO_FREE char *path = NULL;

	cli_program(".", self, sizeof(self));
	path = mem_printf("%s:%s/../../lab:%s/../../lab/switch", self, self, self);
	setenv("WAYLEAVE_PROGRAMS", path, 0);
}

static int
hand_over(struct cli *c, const char *script, const char *verb)
{
	char path[PATH_MAX];
	const char *argv[CLI_ARGS_MAX + 6];
	unsigned n = 0;
	int code = find(script, path, sizeof(path));

	if (code != CLI_OK)
		return code;
	argv[n++] = path;
	if (verb) {
		argv[n++] = "--instance";
		argv[n++] = c->instance;
		argv[n++] = verb;
	}
	for (unsigned i = 0; i < c->n_args; i++)
		argv[n++] = c->args[i];
	argv[n] = NULL;
	tell_where_programs_are();
	fflush(stdout);
	execv(path, (char *const *)argv);
	return cli_fail(CLI_FAILED, "%s: %s", path, strerror(errno));
}

int
lab_run(struct cli *c)
{
	return hand_over(c, "lab", strchr(c->command->name, ' ') + 1);
}

int
lab_demo(struct cli *c)
{
	return hand_over(c, "demo", NULL);
}
