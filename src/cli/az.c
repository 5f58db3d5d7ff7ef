/* See az.h. az keeps what it knows (clouds, logins, tokens) in a directory of its own, so that the
 * user's az is left alone: one directory a controller and principal, below the user's state. The first
 * call registers this Wayleave as az's cloud and logs in; a stamp says for whom that was, and another
 * controller, principal or secret makes it be done again.
 *
 * Debian 12's az does not fit Debian 12's azure-mgmt-network: clients/az/sitecustomize.py bridges that, and
 * does nothing elsewhere (docs/azure-clients.md). */
#include "cli/az.h"

#include "base/mem.h"
#include "cli/rest.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <openssl/evp.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

extern char **environ;

#define CLOUD "wayleave"

struct az {
	const char *endpoint, *ad, *ca, *tenant, *subscription, *id, *secret;
	char dir[PATH_MAX - 64];
};

/* ---- places ---- */

static int
make_dirs(char *path)
{
	for (char *p = path + 1; *p; p++)
		if (*p == '/') {
			*p = '\0';
			if (mkdir(path, 0700) < 0 && errno != EEXIST)
				return -errno;
			*p = '/';
		}
	return mkdir(path, 0700) < 0 && errno != EEXIST ? -errno : 0;
}

static int
find_dir(struct az *z, const struct cli *c, const char *principal)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	struct err e = { 0 };
	int n, r;

	if (state && *state == '/')
		n = snprintf(z->dir, sizeof(z->dir), "%s/wayleave/az/%s/%s", state, c->instance,
			     principal);
	else if (home && *home == '/')
		n = snprintf(z->dir, sizeof(z->dir), "%s/.local/state/wayleave/az/%s/%s", home,
			     c->instance, principal);
	else
		return cli_fail(CLI_FAILED, "az needs a place to remember its login; set HOME");
	if (n >= (int)sizeof(z->dir))
		return cli_fail(CLI_FAILED, "%s: the path is too long", z->dir);
	r = make_dirs(z->dir);
	if (r < 0)
		return cli_fail(CLI_FAILED, "%s: %s", z->dir, strerror(-r));
	return cli_dir_is_private(z->dir, &e) < 0 ? cli_fail(CLI_FAILED, "%s", e.text) : CLI_OK;
}

static void
put_file(const struct az *z, const char *name, const char *text)
{
	AUTO_FREE char *path = mem_printf("%s/%s", z->dir, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		cli_fail(CLI_FAILED, "%s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
}

static void
drop_file(const struct az *z, const char *name)
{
	AUTO_FREE char *path = mem_printf("%s/%s", z->dir, name);

	unlink(path);
}

/* ---- whose login it is ---- */

/* Names everything that a login depends on, the secret by a digest. */
static void
stamp_of(const struct az *z, char out[80])
{
	AUTO_FREE char *text = mem_printf("%s\n%s\n%s\n%s\n%s\n%s\n%s", z->endpoint, z->ad, z->ca,
					  z->tenant, z->subscription, z->id, z->secret);
	unsigned char raw[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	EVP_Digest(text, strlen(text), raw, &len, EVP_sha256(), NULL);
	mem_wipe(text, strlen(text));
	for (unsigned i = 0; i < len && 2 * i + 2 < 80; i++)
		snprintf(out + 2 * i, 3, "%02x", raw[i]);
}

static bool
is_logged_in(const struct az *z, const char *stamp)
{
	AUTO_FREE char *path = mem_printf("%s/wayleave-stamp", z->dir);
	char have[80] = "";
	FILE *f = fopen(path, "re");
	bool same = f && fgets(have, sizeof(have), f) && !strcmp(have, stamp);

	if (f)
		fclose(f);
	return same;
}

/* ---- running az ---- */

static void
set_environment(const struct az *z)
{
	static const struct {
		const char *name, *value;
	} fixed[] = {
		{ "AZURE_CORE_COLLECT_TELEMETRY", "false" },
		{ "AZURE_CORE_ERROR_RECOMMENDATION", "off" },
		{ "AZURE_CORE_SURVEY_MESSAGE", "false" },
		{ "AZURE_CORE_INSTANCE_DISCOVERY", "false" },
		{ "AZURE_EXTENSION_USE_DYNAMIC_INSTALL", "no" },
		{ "PYTHONDONTWRITEBYTECODE", "1" },
	};
	static const char *const below[] = { "../clients/az", "../../../clients/az",
					     "../share/wayleave/clients/az" };
	const char *python = getenv("PYTHONPATH");

	for (size_t i = 0; i < COUNT(fixed); i++)
		setenv(fixed[i].name, fixed[i].value, 1);
	setenv("AZURE_CONFIG_DIR", z->dir, 1);
	setenv("REQUESTS_CA_BUNDLE", z->ca, 1);
	for (size_t i = 0; i < COUNT(below); i++) {
		char at[PATH_MAX];
		AUTO_FREE char *file =
			mem_printf("%s/sitecustomize.py", cli_program(below[i], at, sizeof(at)));
		AUTO_FREE char *path = mem_printf("%s%s%s", at, python && *python ? ":" : "",
						  python ? python : "");

		if (access(file, R_OK) == 0) {
			setenv("PYTHONPATH", path, 1);
			return;
		}
	}
}

/* az asks the Internet for newer versions of itself when this file is missing. */
static void
silence_version_check(const struct az *z)
{
	time_t now = time(NULL);
	char when[64];
	struct tm tm;

	localtime_r(&now, &tm);
	strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S.000000", &tm);
	AUTO_FREE char *text =
		mem_printf("{\"versions\":{\"azure-cli\":{\"local\":\"2.45.0\"},\"core\":"
			   "{\"local\":\"2.45.0\"},\"telemetry\":{\"local\":\"1.0.8\"}},"
			   "\"update_time\":\"%s\"}",
			   when);

	put_file(z, "versionCheck.json", text);
}

/* Runs az without a word; on failure what it said follows. */
static int
az_quietly(const struct az *z, const char *const *argv, bool may_fail)
{
	AUTO_FREE char *log = mem_printf("%s/setup.log", z->dir);
	posix_spawn_file_actions_t fa;
	int status = 0, r;
	pid_t pid;

	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_addopen(&fa, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&fa, STDOUT_FILENO, log, O_WRONLY | O_CREAT | O_TRUNC,
					 0600);
	posix_spawn_file_actions_adddup2(&fa, STDOUT_FILENO, STDERR_FILENO);
	r = posix_spawnp(&pid, "az", &fa, NULL, (char *const *)argv, environ);
	posix_spawn_file_actions_destroy(&fa);
	if (r == ENOENT)
		return cli_fail(CLI_FAILED, "there is no az; on Debian: apt-get install azure-cli");
	if (r)
		return cli_fail(CLI_FAILED, "az: %s", strerror(r));
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (status && !may_fail)
		return cli_fail(CLI_FAILED, "az %s %s failed; what it said is in %s", argv[1],
				argv[2], log);
	return CLI_OK;
}

static int
cloud_register(const struct az *z)
{
	AUTO_FREE char *at = mem_printf("@%s/cloud.json", z->dir);
	json_t *j = json_pack("{s:{s:s, s:s, s:s, s:s, s:s}}", "endpoints", "resourceManager",
			      z->endpoint, "activeDirectory", z->ad, "activeDirectoryResourceId",
			      z->endpoint, "activeDirectoryGraphResourceId", z->endpoint,
			      "microsoftGraphResourceId", z->endpoint);
	char *text = json_dumps(j, JSON_COMPACT);
	const char *const make[] = { "az",  "cloud",          "register", "-n",
				     CLOUD, "--cloud-config", at,         NULL };
	const char *const change[] = { "az",  "cloud",          "update", "-n",
				       CLOUD, "--cloud-config", at,       NULL };
	const char *const show[] = { "az", "cloud", "show", "-n", CLOUD, NULL };
	const char *const set[] = { "az", "cloud", "set", "-n", CLOUD, NULL };
	AUTO_FREE char *clouds = mem_printf("%s/clouds.config", z->dir);
	bool is_known = access(clouds, F_OK) == 0 && az_quietly(z, show, false) == CLI_OK;
	int code;

	json_decref(j);
	put_file(z, "cloud.json", text);
	free(text);
	code = az_quietly(z, is_known ? change : make, false);
	return code != CLI_OK ? code : az_quietly(z, set, false);
}

/* The secret goes through a file: a command line is everybody's to read. */
static int
login(const struct az *z)
{
	AUTO_FREE char *at = mem_printf("@%s/secret", z->dir);
	const char *const in[] = {
		"az",       "login",   "--service-principal",      "-u", z->id, "-p", at,
		"--tenant", z->tenant, "--allow-no-subscriptions", NULL
	};
	const char *const account[] = { "az", "account", "set", "-s", z->subscription, NULL };
	int code;

	put_file(z, "secret", z->secret);
	code = az_quietly(z, in, false);
	drop_file(z, "secret");
	return code != CLI_OK ? code : az_quietly(z, account, true);
}

static int
prepare(const struct az *z)
{
	char stamp[80] = "";
	int code;

	stamp_of(z, stamp);
	silence_version_check(z);
	if (is_logged_in(z, stamp))
		return CLI_OK;
	fprintf(stderr, "wayleave: telling az about this Wayleave, once\n");
	drop_file(z, "msal_http_cache.bin"); /* another controller's answers */
	drop_file(z, "msal_token_cache.json");
	code = cloud_register(z);
	if (code == CLI_OK)
		code = login(z);
	if (code == CLI_OK)
		put_file(z, "wayleave-stamp", stamp);
	return code;
}

int
az_run(struct cli *c)
{
	const char *principal = c->as ? c->as : "customer";
	const char *argv[CLI_ARGS_MAX + 2] = { "az" };
	AUTO(rest) r = NULL;
	struct az z = { 0 };
	int code = rest_open(c, principal, &r);

	if (code != CLI_OK)
		return code;
	z.endpoint = rest_env(r, "ARM_ENDPOINT");
	z.ad = rest_env(r, "AD_ENDPOINT");
	z.ca = rest_env(r, "CA_FILE");
	z.tenant = rest_env(r, "TENANT");
	z.subscription = c->subscription ? c->subscription : rest_env(r, "SUBSCRIPTION");
	z.id = rest_env(r, "CLIENT_ID");
	z.secret = rest_env(r, "CLIENT_SECRET");
	if (!z.endpoint || !z.ad || !z.ca || !z.tenant || !z.subscription || !z.id || !z.secret)
		return cli_fail(CLI_FAILED,
				"the environment file lacks something `wayleave az` needs");
	code = find_dir(&z, c, principal);
	if (code != CLI_OK)
		return code;
	set_environment(&z);
	code = prepare(&z);
	if (code != CLI_OK)
		return code;
	memcpy(argv + 1, c->args, c->n_args * sizeof(*argv));
	fflush(stdout);
	execvp("az", (char *const *)argv);
	return cli_fail(CLI_FAILED, "az: %s", strerror(errno));
}
