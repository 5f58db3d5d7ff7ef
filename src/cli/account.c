/* `wayleave env`, `token`, `trust`: how other programs become clients. */
#include "cli/account.h"
#include "base/mem.h"
#include "cli/rest.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

/* Debian, Fedora, Alpine, openSUSE. */
static const char *const system_bundles[] = { "/etc/ssl/certs/ca-certificates.crt",
					      "/etc/pki/tls/certs/ca-bundle.crt",
					      "/etc/ssl/cert.pem", "/etc/ssl/ca-bundle.pem", NULL };

static int
copy_into(FILE *out, const char *path)
{
	FILE *f = fopen(path, "re");
	char block[16384];
	size_t n;
	int r = 0;

	if (!f)
		return -errno;
	while ((n = fread(block, 1, sizeof(block), f)) > 0)
		if (fwrite(block, 1, n, out) != n)
			r = -EIO;
	fclose(f);
	return r;
}

/* As a shell takes it: exported, so that what it starts sees it too. */
static int
print_exports(const char *path)
{
	FILE *f = fopen(path, "re");
	char *line = NULL;
	size_t cap = 0;

	if (!f)
		return -errno;
	while (getline(&line, &cap, f) > 0)
		printf("%s%s", strchr(line, '=') && strncmp(line, "export ", 7) ? "export " : "",
		       line);
	if (line)
		mem_wipe(line, cap);
	free(line);
	fclose(f);
	return 0;
}

int
account_env(struct cli *c)
{
	char path[PATH_MAX];
	int r;

	snprintf(path, sizeof(path), "%s/env", cli_client_home(c));
	r = print_exports(path);
	if (r == -ENOENT)
		return cli_fail(
			CLI_NOT_FOUND,
			"no Wayleave called \"%s\" was ever started here (%s); `wayleave up` makes it",
			c->instance, path);
	if (r == -EACCES)
		return cli_fail(CLI_FAILED,
				"%s is not yours to read; use sudo, or the account that started it",
				path);
	return r < 0 ? cli_fail(CLI_FAILED, "%s: %s", path, strerror(-r)) : CLI_OK;
}

int
account_token(struct cli *c)
{
	AUTO(rest) r = NULL;
	const char *token;
	int code = rest_open(c, c->as ? c->as : "customer", &r);

	if (code != CLI_OK)
		return code;
	if (!(token = rest_token(r)))
		return CLI_FAILED;
	printf("%s\n", token);
	return CLI_OK;
}

int
account_bundle(const char *ca, const char *bundle, bool *ret_has_system, struct err *e)
{
	AUTO_FREE char *aside = mem_printf("%s.new", bundle);
	const char *const *system = system_bundles;
	FILE *out;
	int r;

	while (*system && access(*system, R_OK) != 0)
		system++;
	*ret_has_system = *system != NULL;
	unlink(aside);
	out = fopen(aside, "wxe");
	if (!out)
		return err_errno(e, "%s", bundle);
	r = *system ? copy_into(out, *system) : 0;
	if (r == 0)
		r = copy_into(out, ca);
	if (fclose(out) || r < 0 || chmod(aside, 0644) < 0 || rename(aside, bundle) < 0)
		return err_set(e, r < 0 ? r : -EIO, "%s could not be written", bundle);
	return 0;
}

int
account_trust(struct cli *c)
{
	AUTO(rest) r = NULL;
	char bundle[PATH_MAX];
	const char *ca;
	struct err e = { 0 };
	bool has_system = true;
	int code = rest_open(c, "customer", &r);

	if (code != CLI_OK)
		return code;
	if (!(ca = rest_env(r, "CA_FILE")))
		return cli_fail(CLI_FAILED, "no CA_FILE in the environment file");
	snprintf(bundle, sizeof(bundle), "%s/bundle.pem", cli_client_home(c));
	/* Where only root writes, the one that `wayleave up` wrote has to do. */
	if (account_bundle(ca, bundle, &has_system, &e) < 0 && access(bundle, R_OK) < 0)
		return cli_fail(CLI_FAILED, "%s", e.text);
	printf("The CA of this Wayleave: %s\n"
	       "One program: most take a bundle, here written as the system's CAs%s and ours:\n"
	       "  export REQUESTS_CA_BUNDLE=%s      # az, Python\n"
	       "  export NODE_EXTRA_CA_CERTS=%s     # Node.js\n"
	       "  export CURL_CA_BUNDLE=%s          # curl\n"
	       "  export SSL_CERT_FILE=%s           # OpenSSL, Go: Terraform\n"
	       "The whole machine (Debian):\n"
	       "  sudo cp %s /usr/local/share/ca-certificates/wayleave-%s.crt && sudo update-ca-certificates\n",
	       ca, has_system ? "" : " (none found)", bundle, ca, bundle, bundle, ca, c->instance);
	return CLI_OK;
}
