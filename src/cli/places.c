/* Where things are: state, runtime files, our other programs. */
#include "cli/cli.h"

#include <jansson.h>
#include <errno.h>
#include <limits.h>
#include <sys/stat.h>

#define SYSTEM_HOME "/var/lib/wayleave"

static const char *
or_empty(const char *variable)
{
	const char *v = getenv(variable);

	return v ? v : "";
}

const char *
cli_home(const struct cli *c)
{
	static char path[PATH_MAX];
	const char *home = or_empty("WAYLEAVE_HOME"), *xdg = or_empty("XDG_STATE_HOME");

	if (*home)
		snprintf(path, sizeof(path), "%s/%s", home, c->instance);
	else if (geteuid() == 0)
		snprintf(path, sizeof(path), SYSTEM_HOME "/%s", c->instance);
	else if (*xdg)
		snprintf(path, sizeof(path), "%s/wayleave/%s", xdg, c->instance);
	else
		snprintf(path, sizeof(path), "%s/.local/state/wayleave/%s", or_empty("HOME"),
			 c->instance);
	return path;
}

const char *
cli_client_home(const struct cli *c)
{
	static char path[PATH_MAX];
	char env[PATH_MAX + 8];

	snprintf(env, sizeof(env), "%s/env", cli_home(c));
	if (*or_empty("WAYLEAVE_HOME") || access(env, F_OK) == 0)
		return cli_home(c);
	snprintf(path, sizeof(path), "%s/%s",
		 *or_empty("WAYLEAVE_SYSTEM_HOME") ? or_empty("WAYLEAVE_SYSTEM_HOME") : SYSTEM_HOME,
		 c->instance);
	snprintf(env, sizeof(env), "%s/env", path);
	return access(env, R_OK) == 0 ? path : cli_home(c);
}

static bool
is_in_tmp(void)
{
	return geteuid() != 0 && !*or_empty("WAYLEAVE_RUN") && !*or_empty("XDG_RUNTIME_DIR");
}

const char *
cli_run_root(void)
{
	static char path[PATH_MAX];
	const char *given = or_empty("WAYLEAVE_RUN"), *xdg = or_empty("XDG_RUNTIME_DIR");

	if (*given)
		snprintf(path, sizeof(path), "%s", given);
	else if (geteuid() == 0)
		snprintf(path, sizeof(path), "/run/wayleave");
	else if (*xdg)
		snprintf(path, sizeof(path), "%s/wayleave", xdg);
	else
		snprintf(path, sizeof(path), "/tmp/wayleave-%u", (unsigned)geteuid());
	return path;
}

int
cli_dir_is_private(const char *path, struct err *e)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return err_errno(e, "%s", path);
	if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 07777) != 0700)
		return err_set(
			e, -EPERM,
			"%s is not a directory of yours alone (owner %u, mode %04o%s): remove it, or "
			"set XDG_RUNTIME_DIR or WAYLEAVE_RUN to a place of yours",
			path, (unsigned)st.st_uid, (unsigned)st.st_mode & 07777u,
			S_ISLNK(st.st_mode)   ? ", a link"
			: S_ISDIR(st.st_mode) ? ""
					      : ", no directory");
	return 0;
}

int
cli_run_check(bool makes_it, struct err *e)
{
	if (!is_in_tmp())
		return 0;
	if (makes_it && mkdir(cli_run_root(), 0700) < 0 && errno != EEXIST)
		return err_errno(e, "%s", cli_run_root());
	return cli_dir_is_private(cli_run_root(), e);
}

const char *
cli_run_dir(const struct cli *c)
{
	static char path[PATH_MAX + 64];

	snprintf(path, sizeof(path), "%s/%s", cli_run_root(), c->instance);
	return path;
}

/* Installed and in bin/ all programs are in one directory; in a build directory the lab's are in
 * theirs. */
const char *
cli_program(const char *name, char *out, size_t size)
{
	static const char *const where[] = { "", "../../lab/", "../../lab/switch/" };
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	self[n > 0 ? n : 0] = 0;
	slash = strrchr(self, '/');
	if (slash)
		slash[1] = 0;
	for (size_t i = 0; i < COUNT(where); i++) {
		snprintf(out, size, "%s%s%s", self, where[i], name);
		if (access(out, X_OK) == 0)
			return out;
	}
	snprintf(out, size, "%s%s", self, name);
	return out;
}

void
cli_print_json(const struct json_t *v)
{
	json_dumpf(v, stdout, JSON_INDENT(2) | JSON_ENCODE_ANY);
	fputc('\n', stdout);
}
