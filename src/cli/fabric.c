/* See fabric.h. All calls are ordinary PUTs, the same an operator would make; they are said again at
 * every start and change nothing when nothing changed. */
#include "cli/fabric.h"
#include "base/mem.h"
#include "cli/account.h"
#include "cli/catalogue.h"
#include "cli/rest.h"

#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <sys/stat.h>

#define FABRIC_API "2026-01-01"
#define GROUP_API "2021-04-01"
#define FABRIC_GROUP "fabric"
#define PAIR_NAME "pair-1"
/* Of the catalogue: who meets our edges in the lab, and where. */
#define PROVIDER "Equinix"
#define PEERING_LOCATION "Amsterdam"

int
fabric_controller_config(const char *path, const char *state, struct err *e)
{
	char catalogue[PATH_MAX];
	FILE *f;
	int r = catalogue_find(catalogue, sizeof(catalogue), e);

	if (r < 0)
		return r;
	if (!(f = fopen(path, "we")))
		return err_errno(e, "%s", path);
	fprintf(f,
		"# Written by `wayleave up` at each start.\n"
		"state: \"%s\"\ncatalogue: \"%s\"\n"
		"names: [\"%s\"]\n",
		state, catalogue, UP_CONTROLLER_UNDERLAY);
	return fclose(f) ? err_errno(e, "%s", path) : 0;
}

/* ---- the environment file ---- */

static void
give_to_caller(int fd)
{
	const char *uid = getenv("SUDO_UID"), *gid = getenv("SUDO_GID");

	if (geteuid() == 0 && uid && gid &&
	    fchown(fd, (uid_t)strtoul(uid, NULL, 10), (gid_t)strtoul(gid, NULL, 10)) < 0)
		perror("wayleave: the environment file stays root's");
}

static FILE *
create(const char *path, mode_t mode)
{
	int fd;

	unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	if (fd >= 0)
		fchmod(fd, mode);
	return fd < 0 ? NULL : fdopen(fd, "w");
}

static int
copy_ca(FILE *in, const char *to, struct err *e)
{
	FILE *out = create(to, 0644);
	int c;

	if (!out)
		return err_errno(e, "%s", to);
	while ((c = fgetc(in)) != EOF)
		fputc(c, out);
	return fclose(out) ? err_errno(e, "%s", to) : 0;
}

/* A file of the controller's. */
static FILE *
open_its(const struct users *u, const char *path, struct err *e)
{
	uid_t uid = users_uid(u, USERS_CONTROLLER, 0);
	FILE *f = users_open(u, uid, uid, path);

	if (!f)
		err_errno(e, "%s", path);
	return f;
}

static int
publish_ca(const struct users *u, const char *home, const char *ca, struct err *e)
{
	AUTO_FREE char *from = mem_printf("%s/controller/pki/ca.crt", home);
	AUTO_FREE char *bundle = mem_printf("%s/bundle.pem", home);
	FILE *in = open_its(u, from, e);
	bool has_system;
	int r;

	if (!in)
		return e->code;
	r = copy_ca(in, ca, e);
	fclose(in);
	return r < 0 ? r : account_bundle(ca, bundle, &has_system, e);
}

int
fabric_publish_env(const struct users *u, const char *home, struct err *e)
{
	AUTO_FREE char *from = mem_printf("%s/controller/env", home);
	AUTO_FREE char *to = mem_printf("%s/env", home);
	AUTO_FREE char *ca = mem_printf("%s/ca.pem", home);
	FILE *in, *out;
	char *line = NULL;
	size_t cap = 0;
	int r = publish_ca(u, home, ca, e);

	if (r < 0)
		return r;
	if (!(in = open_its(u, from, e)))
		return e->code;
	if (!(out = create(to, 0600))) {
		fclose(in);
		return err_errno(e, "%s", to);
	}
	while (getline(&line, &cap, in) > 0) {
		const char *key = !strncmp(line, "export ", 7) ? line + 7 : line;

		if (strncmp(key, "CA_FILE=", 8) != 0)
			fputs(line, out);
	}
	free(line);
	fclose(in);
	fprintf(out, "CA_FILE='%s'\nER_PROVIDER='%s'\nER_PEERING_LOCATION='%s'\n", ca, PROVIDER,
		PEERING_LOCATION);
	give_to_caller(fileno(out));
	return fclose(out) ? err_errno(e, "%s", to) : 0;
}

/* ---- registration ---- */

static int
put(struct rest *r, const char *type, const char *name, json_t *properties)
{
	AUTO_FREE char *path = mem_printf("/subscriptions/%s/resourceGroups/" FABRIC_GROUP
					  "/providers/Wayleave.Fabric/%s/%s",
					  rest_env(r, "SUBSCRIPTION"), type, name);
	json_t *body = json_pack("{s:s, s:o}", "location", rest_env(r, "LOCATION"), "properties",
				 properties);
	int code = rest_do(r, "PUT", path, FABRIC_API, body, NULL);

	json_decref(body);
	return code;
}

static json_t *
underlay_of(const struct up_node *n)
{
	return json_sprintf("10.255.0.%u", n->number);
}

static int
put_pair(struct rest *r, const char *where)
{
	json_t *edges = json_array();

	for (const struct up_node *n = up_nodes; n->name; n++)
		if (n->is_edge)
			json_array_append_new(edges, json_pack("{s:s, s:o}", "name", n->name,
							       "underlayAddress", underlay_of(n)));
	return put(r, "edgePairs", PAIR_NAME,
		   json_pack("{s:s, s:o}", "peeringLocation", where, "edges", edges));
}

static int
put_ports(struct rest *r, const char *provider)
{
	json_t *pair = json_sprintf("/subscriptions/%s/resourceGroups/" FABRIC_GROUP
				    "/providers/Wayleave.Fabric/edgePairs/" PAIR_NAME,
				    rest_env(r, "SUBSCRIPTION"));

	return put(r, "ports", "exchange-1",
		   json_pack("{s:{s:o}, s:s, s:s, s:s, s:i, s:i}", "edgePair", "id", pair,
			     "serviceProviderName", provider, "primaryInterface", "trunk0",
			     "secondaryInterface", "trunk0", "bandwidthInMbps", 10000,
			     "overprovisionFactor", 2));
}

int
fabric_register(struct cli *c, char *url, size_t size)
{
	AUTO(rest) r = NULL;
	AUTO(rest) provider = NULL;
	AUTO_FREE char *group = NULL;
	const char *where, *who;
	json_t *body;
	int code = rest_open(c, "operator", &r);

	if (code != CLI_OK || (code = rest_open(c, "provider", &provider)) != CLI_OK)
		return code;
	snprintf(url, size, "%s", rest_env(r, "ARM_ENDPOINT") ? rest_env(r, "ARM_ENDPOINT") : "?");
	where = rest_env(r, "ER_PEERING_LOCATION");
	who = rest_env(r, "ER_PROVIDER");
	group = mem_printf("/subscriptions/%s/resourceGroups/" FABRIC_GROUP,
			   rest_env(r, "SUBSCRIPTION"));
	body = json_pack("{s:s}", "location", rest_env(r, "LOCATION"));
	code = rest_do(r, "PUT", group, GROUP_API, body, NULL);
	json_decref(body);
	if (code == CLI_OK)
		code = put(r, "locations", "location-1",
			   json_pack("{s:s}", "peeringLocation", where));
	if (code == CLI_OK)
		code = put_pair(r, where);
	if (code == CLI_OK)
		code = put(r, "providers", "provider-1",
			   json_pack("{s:s, s:s}", "serviceProviderName", who, "subscriptionId",
				     rest_env(provider, "SUBSCRIPTION")));
	if (code == CLI_OK)
		code = put_ports(r, who);
	for (const struct up_node *n = up_nodes; code == CLI_OK && n->name; n++)
		if (!n->is_edge)
			code = put(r, "hosts", n->name,
				   json_pack("{s:o}", "underlayAddress", underlay_of(n)));
	return code;
}

int
fabric_token(struct cli *c, const char *home, const struct up_node *n, char *out, size_t size)
{
	AUTO_FREE char *certificate = mem_printf("%s/%s/agent.crt", home, n->name);
	AUTO_FREE char *path = NULL;
	AUTO(rest) r = NULL;
	json_t *body, *answer = NULL;
	int code;

	*out = 0;
	if (access(certificate, R_OK) == 0)
		return CLI_OK;
	if ((code = rest_open(c, "operator", &r)) != CLI_OK)
		return code;
	path = mem_printf("/providers/Wayleave.Nodes/nodes/%s/enrolmentToken", n->name);
	body = json_object();
	code = rest_do(r, "POST", path, FABRIC_API, body, &answer);
	if (code == CLI_OK) {
		const char *token = json_string_value(json_object_get(answer, "token"));

		snprintf(out, size, "%s", token ? token : "");
		if (!*out)
			code = cli_fail(CLI_FAILED, "%s: the answer holds no token", n->name);
	}
	json_decref(body);
	json_decref(answer);
	return code;
}

int
fabric_write_config(struct cli *c, const struct fabric_node *n, char *out, size_t size,
		    struct err *e)
{
	FILE *f;

	snprintf(out, size, "%s/%s.yaml", cli_home(c), n->node->name);
	if (!(f = create(out, 0640)))
		return err_errno(e, "%s", out);
	if (geteuid() == 0 && fchown(fileno(f), 0, n->gid) < 0) {
		fclose(f);
		return err_errno(e, "%s", out);
	}
	fprintf(f,
		"# Written by `wayleave up` at each start.\n"
		"instance: %s\nnode: %s\nrunDir: \"%s\"\nstateDir: \"%s\"\n"
		"controller:\n  url: https://" UP_CONTROLLER_UNDERLAY
		":8444\n  ca: \"%s/ca.pem\"\n",
		c->instance, n->node->name, n->run, n->state, cli_home(c));
	if (*n->token)
		fprintf(f, "  token: \"%s\"\n", n->token);
	return fclose(f) ? err_errno(e, "%s", out) : 0;
}
