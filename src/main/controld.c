/* wayleave-controld: the controller. API, tokens, store, agents' listener.
 *
 *   wayleave-controld --config FILE            serve
 *   wayleave-controld --config FILE --check    is the configuration valid? (0 or 1)
 *   wayleave-controld --config FILE --bootstrap [--print-env]
 *       make what the first start makes (CA, master key, tenant, subscriptions, principals, port) and
 *       end; the values are in STATE/env (0600), --print-env prints them too. Serving does the same
 *       first, so this is only needed to know them before.
 *   wayleave-controld --config FILE --enrolment-token NODE
 *       print a token for a node (single use, one hour). Also while the controller runs.
 *
 * Configuration (YAML; every key is optional but state):
 *
 *   state: /var/lib/wayleave/main/controller   directory for store, keys, certificates
 *   listen: [127.0.0.1, "::1"]                 addresses of the API
 *   port: 8443                                 0 or absent: 8443 or the next free one, then kept for
 *                                              ever in STATE/port
 *   name: localhost                            the name in URLs: https://NAME:PORT
 *   names: [api.example.net]                   further names and addresses in the certificate
 *   agents: ["10.255.0.250:8444"]              agents' listeners; beside those handed over by
 *                                              LISTEN_FDS
 *   catalogue: /usr/share/wayleave/catalogue   regions, locations, providers, offers, prices: for the
 *                                              first start and SIGHUP; in between the stored one counts
 *   workers: 8                                 threads that handle requests
 *   connections: 12000                         of each listener
 *   connections-per-address: 256               of the API's listeners
 *   streams-per-principal: 100                 event streams that one caller may have open
 *   converge: 30                               seconds an operation waits for live nodes
 *   user: wayleave                             become this user, a name, UID or UID:GID (only when
 *                                              started as root; default: the owner of the state
 *                                              directory)
 *   log: info                                  error, warn, info, debug
 *   signin:                                    people sign in through this OpenID Connect issuer; without
 *                                              it by links alone (`wayleave user invite`)
 *     issuer: https://login.example.net        as its discovery document says
 *     client_id: wayleave                      ours there, with https://NAME:PORT/signin/callback
 *     client_secret_file: /etc/wayleave/oidc   its first line
 *     claim: email                             what is a user's name here; sub: the user's external id
 *     email_vouched: true                      it verifies every email, and says no email_verified;
 *                                              default: false
 *     tenant: contoso.example                  whose they are when no tenant has the name's domain
 *     name: Contoso                            for the button; default: the issuer's host
 *     ca: /etc/wayleave/login-ca.pem           default: the system's CAs
 *   federation:                                whose tokens federated credentials may name
 *     issuers: [https://ci.example.net]        default: nobody's; any: see docs/security.md
 *     ca: /etc/wayleave/ci-ca.pem              default: the system's CAs
 *
 * LISTEN_FDS (systemd's protocol): descriptors 3... are agents' listeners. NOTIFY_SOCKET: READY=1 when
 * serving. SIGTERM, SIGINT: stop. SIGHUP: read the catalogue (it becomes the next version) and the
 * servers' certificate again; what is wrong is logged and the ones before stay. The certificate is also
 * looked at daily and renewed in time. Exit: 0 fine, 1 failed, 2 usage. */
#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "http/fetch.h"
#include "http/server.h"
#include "net/addr.h"
#include "network/network.h"
#include "partner/partner.h"
#include "supervise/privilege.h"

#include <fcntl.h>
#include <getopt.h>
#include <libfyaml.h>
#include <limits.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <uv.h>

enum {
	MAX_LIST = 8,
	FIRST_PORT = 8443,
	TICK_MS = 200,
	MINUTE_MS = 60000,
	DAY_MS = 86400000,
	MAX_CONFIG = 1 << 20
};

struct config {
	struct arena arena;
	const char *state, *name, *catalogue, *user;
	const char *listen[MAX_LIST + 1], *names[MAX_LIST + 1], *agents[MAX_LIST + 1];
	long port, workers, converge, connections, per_address, streams;
	enum log_level log;
	struct identity_trust trust;
	const char *federated[MAX_LIST + 1];
};

struct controld {
	struct config cfg;
	int port;
	char *base_url;
	int api_fds[MAX_LIST + 1], agent_fds[2 * MAX_LIST + 1];
	size_t n_agent_fds;
	struct store *store;
	struct identity *identity;
	struct network *network;
	struct err catalogue_error; /* why the files were no use at start */
	struct pki *pki;
	struct nodes nodes;
	struct arm_extension extensions[12]; /* ended by an empty one */
	struct arm_engine *engine;
	struct http_server *server;
	uv_loop_t loop;
	uv_timer_t timer, minute, day;
	uv_signal_t term, intr, hup;
};

/* --- configuration -------------------------------------------------------------------------------- */

static int
list_read(struct config *c, struct fy_node *n, const char *key, const char **out, struct err *e)
{
	void *it = NULL;
	size_t i = 0;

	memset(out, 0, (MAX_LIST + 1) * sizeof(*out));
	if (!fy_node_is_sequence(n))
		return err_set(e, -EINVAL, "%s: must be a list", key);
	for (struct fy_node *v; (v = fy_node_sequence_iterate(n, &it));) {
		const char *text = fy_node_get_scalar0(v);

		if (!text || i == MAX_LIST)
			return err_set(e, -EINVAL, "%s: must be a list of at most %d texts", key,
				       MAX_LIST);
		out[i++] = arena_strdup(&c->arena, text);
	}
	return 0;
}

static int
number_read(const char *key, const char *text, long lo, long hi, long *ret, struct err *e)
{
	char *end;
	long v;

	errno = 0;
	v = strtol(text, &end, 10);
	if (errno || *end || end == text || v < lo || v > hi)
		return err_set(e, -EINVAL, "%s: '%s' must be a number from %ld to %ld", key, text,
			       lo, hi);
	*ret = v;
	return 0;
}

static int
level_read(const char *text, enum log_level *ret, struct err *e)
{
	static const char *const words[] = { "error", "warn", "info", "debug" };

	for (size_t i = 0; i < COUNT(words); i++)
		if (!strcmp(words[i], text)) {
			*ret = (enum log_level)i;
			return 0;
		}
	return err_set(e, -EINVAL, "log: '%s' must be error, warn, info or debug", text);
}

/* A small file of the operator's, as text. */
static int
file_read(struct config *c, const char *key, const char *path, const char **ret, struct err *e)
{
	char *text = arena_alloc(&c->arena, MAX_CONFIG + 1);
	FILE *f = fopen(path, "re");
	size_t n;

	if (!f)
		return err_errno(e, "%s: open %s", key, path);
	n = fread(text, 1, MAX_CONFIG, f);
	fclose(f);
	text[n] = '\0';
	*ret = text;
	return n ? 0 : err_set(e, -EINVAL, "%s: %s is empty", key, path);
}

static int
signin_read(struct config *c, const char *key, struct fy_node *v, struct err *e)
{
	struct identity_trust *t = &c->trust;
	const char *text = fy_node_get_scalar0(v);
	const struct {
		const char *key, **into;
	} texts[] = { { "issuer", &t->issuer },
		      { "client_id", &t->client_id },
		      { "claim", &t->claim },
		      { "tenant", &t->tenant },
		      { "name", &t->name } };
	int r;

	if (!text)
		return err_set(e, -EINVAL, "signin.%s: must be a text", key);
	for (size_t i = 0; i < COUNT(texts); i++)
		if (!strcmp(texts[i].key, key)) {
			*texts[i].into = arena_strdup(&c->arena, text);
			return 0;
		}
	if (!strcmp(key, "email_vouched")) {
		t->vouches = !strcmp(text, "true");
		return t->vouches || !strcmp(text, "false")
			       ? 0
			       : err_set(e, -EINVAL, "signin.%s: '%s' must be true or false", key,
					 text);
	}
	if (!strcmp(key, "ca"))
		return file_read(c, "signin.ca", text, &t->ca_pem, e);
	if (strcmp(key, "client_secret_file") != 0)
		return err_set(e, -EINVAL, "signin.%s: is not a key of this configuration", key);
	r = file_read(c, "signin.client_secret_file", text, &t->client_secret, e);
	if (r == 0)
		t->client_secret = arena_strndup(&c->arena, t->client_secret,
						 strcspn(t->client_secret, "\r\n"));
	return r;
}

static int
federation_read(struct config *c, const char *key, struct fy_node *v, struct err *e)
{
	const char *text = fy_node_get_scalar0(v);
	int r;

	if (!strcmp(key, "issuers") && text && !strcmp(text, "any")) {
		c->trust.federates_any = true;
		return 0;
	}
	if (!strcmp(key, "issuers")) {
		r = list_read(c, v, "federation.issuers", c->federated, e);
		c->trust.federated = c->federated;
		return r;
	}
	if (strcmp(key, "ca") != 0)
		return err_set(e, -EINVAL, "federation.%s: is not a key of this configuration",
			       key);
	if (!text)
		return err_set(e, -EINVAL, "federation.ca: must be a text");
	return file_read(c, "federation.ca", text, &c->trust.federated_ca_pem, e);
}

static int
mapping_read(struct config *c, const char *key, struct fy_node *n,
	     int (*each)(struct config *c, const char *key, struct fy_node *v, struct err *e),
	     struct err *e)
{
	void *it = NULL;
	int r = 0;

	if (!fy_node_is_mapping(n))
		return err_set(e, -EINVAL, "%s: must be a mapping", key);
	for (struct fy_node_pair *p; r == 0 && (p = fy_node_mapping_iterate(n, &it));) {
		const char *name = fy_node_get_scalar0(fy_node_pair_key(p));

		r = name ? each(c, name, fy_node_pair_value(p), e)
			 : err_set(e, -EINVAL, "%s: a key is not a text", key);
	}
	return r;
}

static int
trust_check(const struct identity_trust *t, struct err *e)
{
	if (!t->issuer)
		return t->client_id ? err_set(e, -EINVAL, "signin.issuer: is missing") : 0;
	if (strncmp(t->issuer, "https://", 8) != 0)
		return err_set(e, -EINVAL, "signin.issuer: '%s' must begin with https://",
			       t->issuer);
	return t->client_id ? 0 : err_set(e, -EINVAL, "signin.client_id: is missing");
}

static int
key_read(struct config *c, const char *key, struct fy_node *v, struct err *e)
{
	const char *text = fy_node_get_scalar0(v);
	const struct {
		const char *key, **into;
	} texts[] = { { "state", &c->state },
		      { "name", &c->name },
		      { "catalogue", &c->catalogue },
		      { "user", &c->user } };

	if (!strcmp(key, "listen"))
		return list_read(c, v, key, c->listen, e);
	if (!strcmp(key, "names"))
		return list_read(c, v, key, c->names, e);
	if (!strcmp(key, "agents"))
		return list_read(c, v, key, c->agents, e);
	if (!strcmp(key, "signin"))
		return mapping_read(c, key, v, signin_read, e);
	if (!strcmp(key, "federation"))
		return mapping_read(c, key, v, federation_read, e);
	if (!text)
		return err_set(e, -EINVAL, "%s: must be a text", key);
	for (size_t i = 0; i < COUNT(texts); i++)
		if (!strcmp(texts[i].key, key)) {
			*texts[i].into = arena_strdup(&c->arena, text);
			return 0;
		}
	if (!strcmp(key, "port"))
		return number_read(key, text, 0, 65535, &c->port, e);
	if (!strcmp(key, "workers"))
		return number_read(key, text, 1, 64, &c->workers, e);
	if (!strcmp(key, "connections"))
		return number_read(key, text, 1, 1000000, &c->connections, e);
	if (!strcmp(key, "connections-per-address"))
		return number_read(key, text, 1, 1000000, &c->per_address, e);
	if (!strcmp(key, "streams-per-principal"))
		return number_read(key, text, 1, 1000000, &c->streams, e);
	if (!strcmp(key, "converge"))
		return number_read(key, text, 1, 600, &c->converge, e);
	if (!strcmp(key, "log"))
		return level_read(text, &c->log, e);
	return err_set(e, -EINVAL, "%s: is not a key of this configuration", key);
}

/* The YAML library hangs on a lone directive line; we need none. */
static int
text_check(const char *text, struct err *e)
{
	for (const char *p = text; *p; p++)
		if (*p == '%' && (p == text || p[-1] == '\n'))
			return err_set(e, -EINVAL, "a line begins with '%%'");
	return 0;
}

static int
config_parse(struct config *c, const char *text, struct err *e)
{
	const struct fy_parse_cfg quiet = { .flags = FYPCF_QUIET };
	struct fy_document *doc;
	struct fy_node *root;
	void *it = NULL;
	int r = text_check(text, e);

	if (r < 0)
		return r;
	doc = fy_document_build_from_string(&quiet, text, FY_NT);
	root = doc ? fy_document_root(doc) : NULL;
	if (!root || !fy_node_is_mapping(root))
		r = err_set(e, -EINVAL, "not a YAML mapping");
	for (struct fy_node_pair *p; r == 0 && (p = fy_node_mapping_iterate(root, &it));) {
		const char *key = fy_node_get_scalar0(fy_node_pair_key(p));

		r = key ? key_read(c, key, fy_node_pair_value(p), e)
			: err_set(e, -EINVAL, "a key is not a text");
	}
	fy_document_destroy(doc);
	if (r == 0 && !c->state)
		r = err_set(e, -EINVAL, "state: is missing");
	return r < 0 ? r : trust_check(&c->trust, e);
}

static int
config_read(struct config *c, const char *path, struct err *e)
{
	AUTO_FREE char *text = mem_alloc(MAX_CONFIG + 1);
	FILE *f = fopen(path, "re");
	size_t n;
	int r;

	if (!f)
		return err_errno(e, "open %s", path);
	n = fread(text, 1, MAX_CONFIG, f);
	fclose(f);
	text[n] = '\0';
	c->listen[0] = "127.0.0.1";
	c->listen[1] = "::1";
	c->name = "localhost";
	c->catalogue = "/usr/share/wayleave/catalogue";
	c->converge = 30;
	c->workers = 8;
	c->log = LOG_INFO;
	r = config_parse(c, text, e);
	return r < 0 ? err_wrap(e, r, "%s", path) : 0;
}

/* --- state and privileges ------------------------------------------------------------------------------ */

static char *
state_path(const struct controld *c, const char *name)
{
	return mem_printf("%s/%s", c->cfg.state, name);
}

static int
state_make(struct controld *c, struct err *e)
{
	assert(c->cfg.state); /* config_parse() has seen to it */
	if (mkdir(c->cfg.state, 0700) < 0 && errno != EEXIST)
		return err_errno(e, "make %s", c->cfg.state);
	return 0;
}

/* As root: become the configured user, or the owner of the state directory. For everybody: no
 * capability, no new privileges, few system calls; before a byte is read from outside. */
static int
privileges_drop(struct controld *c, struct err *e)
{
	struct stat st;
	struct privilege_user u;
	char owner[64];
	int r;

	if (stat(c->cfg.state, &st) < 0)
		return err_errno(e, "stat %s", c->cfg.state);
	if (geteuid() == 0 && c->cfg.user) {
		r = privilege_user_parse(c->cfg.user, &u, e);
		if (r < 0)
			return err_wrap(e, -EINVAL, "user");
		if (chown(c->cfg.state, u.uid, u.gid) < 0)
			return err_errno(e, "chown %s", c->cfg.state);
		st.st_uid = u.uid;
		st.st_gid = u.gid;
	}
	snprintf(owner, sizeof(owner), "%u:%u", (unsigned)st.st_uid, (unsigned)st.st_gid);
	r = geteuid() == 0 && st.st_uid ? privilege_become(owner, e) : 0;
	return r < 0 ? r : privilege_drop(PRIVILEGE_DAEMON, e);
}

/* --- listening ------------------------------------------------------------------------------------------- */

static int
listen_on(const char *address, int port, bool is_optional, int *ret, struct err *e)
{
	struct addr a;
	struct sockaddr_storage ss;
	socklen_t len;
	int one = 1, fd, r = addr_parse(address, &a, e);

	if (r < 0)
		return r;
	len = addr_to_sockaddr(&a, (uint16_t)port, &ss);
	fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_errno(e, "socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (ss.ss_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&ss, len) < 0 || listen(fd, 1024) < 0) {
		r = err_errno(e, "listen on %s port %d", address, port);
		close(fd);
		/* A machine without IPv6 still has an API. */
		if (is_optional && (r == -EADDRNOTAVAIL || r == -EAFNOSUPPORT)) {
			*ret = -1;
			return 0;
		}
		return r;
	}
	*ret = fd;
	return 0;
}

static void
api_close(struct controld *c)
{
	for (int *fd = c->api_fds; *fd >= 0; fd++)
		close(*fd);
	c->api_fds[0] = -1;
}

static int
api_listen(struct controld *c, int port, struct err *e)
{
	size_t n = 0;
	int r = 0;

	for (size_t i = 0; c->cfg.listen[i] && r == 0; i++) {
		int fd = -1;

		r = listen_on(c->cfg.listen[i], port, i > 0, &fd, e);
		if (r == 0 && fd >= 0)
			c->api_fds[n++] = fd;
		c->api_fds[n] = -1;
	}
	if (r < 0)
		api_close(c);
	return r;
}

static long
port_kept(const struct controld *c)
{
	AUTO_FREE char *path = state_path(c, "port");
	char text[32] = "";
	FILE *f = fopen(path, "re");

	if (!f)
		return 0;
	if (!fgets(text, sizeof(text), f))
		text[0] = '\0';
	fclose(f);
	return strtol(text, NULL, 10);
}

static int
port_keep(const struct controld *c, int port, struct err *e)
{
	AUTO_FREE char *path = state_path(c, "port");
	FILE *f = fopen(path, "we");

	if (!f || fprintf(f, "%d\n", port) < 0 || fclose(f) != 0)
		return err_errno(e, "write %s", path);
	return 0;
}

/* URLs are in tokens, in clients' configurations and in people's heads: a port once taken stays. */
static int
port_take(struct controld *c, struct err *e)
{
	long port = c->cfg.port ? c->cfg.port : port_kept(c);
	int r = -EADDRINUSE;

	if (port) {
		c->port = (int)port;
		r = api_listen(c, c->port, e);
		if (r == -EADDRINUSE)
			return err_wrap(
				e, r,
				"port %ld belongs to this controller but is in use by another "
				"program; stop that one",
				port);
		return r;
	}
	for (c->port = FIRST_PORT; r == -EADDRINUSE && c->port < FIRST_PORT + 200; c->port++)
		r = api_listen(c, c->port, e);
	c->port--;
	return r < 0 ? r : port_keep(c, c->port, e);
}

static int
agents_listen(struct controld *c, struct err *e)
{
	const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
	long n = fds && (!pid || strtol(pid, NULL, 10) == getpid()) ? strtol(fds, NULL, 10) : 0;
	int r = 0;

	for (long i = 0; i < n && i < MAX_LIST; i++)
		c->agent_fds[c->n_agent_fds++] = (int)(3 + i);
	unsetenv("LISTEN_FDS");
	for (size_t i = 0; c->cfg.agents[i] && r == 0; i++) {
		const char *text = c->cfg.agents[i], *colon = strrchr(text, ':');
		AUTO_FREE char *host = NULL;
		long port = 0;

		if (!colon)
			return err_set(e, -EINVAL, "agents: '%s' must be ADDRESS:PORT", text);
		host = mem_strdup(text);
		host[colon - text] = '\0';
		r = number_read("agents", colon + 1, 1, 65535, &port, e);
		if (r == 0)
			r = listen_on(host[0] == '[' ? strtok_r(host + 1, "]", &(char *){ NULL })
						     : host,
				      (int)port, false, &c->agent_fds[c->n_agent_fds++], e);
	}
	c->agent_fds[c->n_agent_fds] = -1;
	return r;
}

/* --- bootstrap ---------------------------------------------------------------------------------------------- */

struct values {
	json_t *old; /* lines of the env file of an earlier start, by name */
	struct buf out;
};

static void
value_put(struct values *v, const char *prefix, const char *name, const char *value)
{
	buf_printf(&v->out, "%s%s='%s'\n", prefix, name, value);
}

static json_t *
env_read(const char *path)
{
	json_t *all = json_object();
	char line[1024];
	FILE *f = fopen(path, "re");

	while (f && fgets(line, sizeof(line), f)) {
		char *eq = strchr(line, '='), *end;

		if (!eq || eq[1] != '\'')
			continue;
		*eq = '\0';
		end = strchr(eq + 2, '\'');
		if (end)
			*end = '\0';
		json_object_set_new(all, line, json_string(eq + 2));
	}
	if (f)
		fclose(f);
	return all;
}

static json_t *
location_first(struct arm_snapshot *s, void *ctx)
{
	json_t *all = network_locations(s, ctx);
	json_t *name = json_incref(json_object_get(json_array_get(all, 0), "name"));

	json_decref(all);
	return name;
}

static int
location_look(struct arm_snapshot *s, void *arg)
{
	json_t **ret = arg;

	*ret = location_first(s, s->ctx);
	return 0;
}

static void
env_compose(struct controld *c, struct values *v, const struct identity_bootstrap *b)
{
	static const char *const prefix[] = { "",        "PROVIDER_", "OPERATOR_",
					      "READER_", "NOBODY_",   "CUSTOMER2_" };
	const char *subs[] = {
		b->subscription, b->provider_subscription, b->operator_subscription,
		b->subscription, b->subscription,          b->customer2_subscription
	};
	AUTO_FREE char *adfs = mem_printf("%s/adfs", c->base_url);
	char name[64];
	json_t *location = NULL;

	arm_look(c->engine, location_look, &location, NULL);
	value_put(v, "", "ARM_ENDPOINT", c->base_url);
	value_put(v, "", "AD_ENDPOINT", adfs);
	value_put(v, "", "CA_FILE", pki_ca_file(c->pki));
	value_put(v, "", "TENANT", b->tenant);
	for (size_t i = 0; i < IDENTITY_FIRST; i++) {
		snprintf(name, sizeof(name), "%sCLIENT_SECRET", prefix[i]);
		value_put(v, prefix[i], "SUBSCRIPTION", subs[i]);
		value_put(v, prefix[i], "CLIENT_ID", b->first[i].client_id);
		value_put(v, prefix[i], "CLIENT_SECRET",
			  b->first[i].secret ? b->first[i].secret : arm_str(v->old, name, ""));
		value_put(v, prefix[i], "OBJECT_ID", b->first[i].oid);
	}
	value_put(v, "", "LOCATION", location ? json_string_value(location) : "");
	json_decref(location);
}

/* STATE/env: what `wayleave env` shows. Secrets are only in this file; the store has hashes. */
static int
env_write(struct controld *c, const struct identity_bootstrap *b, bool prints, struct err *e)
{
	AUTO_FREE char *path = state_path(c, "env"), *aside = state_path(c, "env.new");
	struct values v = { .old = env_read(path) };
	AUTO_CLOSE fd = -1;
	int r = 0;

	env_compose(c, &v, b);
	unlink(aside);
	fd = open(aside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, v.out.p, v.out.n) != (ssize_t)v.out.n || fsync(fd) < 0 ||
	    rename(aside, path) < 0)
		r = err_errno(e, "write %s", path);
	if (r == 0 && prints)
		fwrite(v.out.p, 1, v.out.n, stdout);
	mem_wipe(v.out.p, v.out.n);
	buf_fini(&v.out);
	json_decref(v.old);
	return r;
}

/* --- life ------------------------------------------------------------------------------------------------------- */

static void
node_changed(void *ctx, const char *node)
{
	struct controld *c = ctx;

	if (c->server)
		http_server_wake(c->server, node);
}

static int
store_start(struct controld *c, struct err *e)
{
	AUTO_FREE char *db = state_path(c, "wayleave.db"), *key = state_path(c, "master.key");
	const struct store_config cfg = { .path = db, .master_key = key };

	return store_open(&cfg, &c->store, e);
}

/* The files are for the first start; afterwards the store's catalogue counts, and files that are wrong
 * or gone stop nothing. */
static int
catalogue_read(struct controld *c, struct err *e)
{
	if (network_open(c->cfg.catalogue, &c->network, &c->catalogue_error) == 0)
		return 0;
	return network_open(NULL, &c->network, e);
}

static int
catalogue_start(struct controld *c, struct err *e)
{
	int r = network_start(c->network, c->engine, e);

	if (r == -ENOENT && *c->catalogue_error.text)
		return err_set(e, r, "%s", c->catalogue_error.text);
	if (r == 0 && *c->catalogue_error.text)
		log_warn("the stored catalogue counts; its files are no use error=\"%s\"",
			 c->catalogue_error.text);
	return r;
}

static int
engine_start(struct controld *c, struct err *e)
{
	struct arm_config cfg = {
		.store = c->store,
		.auth = identity_auth(c->identity),
		.base_url = c->base_url,
		.providers = network_providers,
		.locations = network_locations,
		.ctx = c->network,
		.extensions = c->extensions,
		.converge_ms = (int)c->cfg.converge * 1000,
		.node_changed = node_changed,
		.node_changed_ctx = c,
	};

	c->nodes = (struct nodes){ c->store, c->pki };
	c->extensions[0] = identity_extension(c->identity);
	c->extensions[1] = nodes_extension(&c->nodes);
	c->extensions[2] = identity_accounts(c->identity);
	c->extensions[3] = identity_management(c->identity);
	c->extensions[4] = identity_subscriptions(c->identity);
	c->extensions[5] = identity_directory_extension(c->identity);
	c->extensions[6] = partner_extension(c->identity);
	return arm_engine_create(&cfg, &c->engine, e);
}

/* What the servers' certificate must carry: the API's name, further names, and the addresses where
 * agents find us. */
static void
names_collect(struct controld *c, const char *out[3 * MAX_LIST + 2])
{
	size_t n = 0;

	out[n++] = c->cfg.name;
	for (size_t i = 0; c->cfg.names[i]; i++)
		out[n++] = c->cfg.names[i];
	for (size_t i = 0; i < c->n_agent_fds; i++) {
		struct sockaddr_storage ss;
		socklen_t len = sizeof(ss);
		char text[ADDR_TEXT];
		struct addr a;
		uint16_t port;

		if (getsockname(c->agent_fds[i], (struct sockaddr *)&ss, &len) < 0)
			continue;
		a = addr_from_sockaddr((struct sockaddr *)&ss, &port);
		if (a.family)
			out[n++] = arena_strdup(&c->cfg.arena, addr_format(&a, text));
	}
	out[n] = NULL;
}

/* All but the listeners of agents and the server itself. */
static int
parts_start(struct controld *c, bool prints, struct err *e)
{
	AUTO_FREE char *pki_dir = state_path(c, "pki");
	struct identity_bootstrap first;
	AUTO_ARENA a = { 0 };
	const char *names[3 * MAX_LIST + 2];
	int r;

	names_collect(c, names);
	c->base_url = mem_printf("https://%s:%d", c->cfg.name, c->port);
	r = pki_open(pki_dir, names, &c->pki, e);
	if (r == 0)
		r = store_start(c, e);
	if (r == 0)
		r = identity_open(c->store, c->base_url, &c->identity, e);
	if (r == 0) {
		const struct identity_fetch fetch = http_fetch();

		identity_set_trust(c->identity, &fetch, &c->cfg.trust);
	}
	if (r == 0)
		r = engine_start(c, e);
	if (r == 0)
		r = catalogue_start(c, e);
	if (r == 0)
		r = identity_bootstrap(c->store, &a, &first, e);
	return r < 0 ? r : env_write(c, &first, prints, e);
}

static void
notify_ready(void)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	AUTO_CLOSE fd = -1;
	socklen_t len;

	if (!path || strlen(path) >= sizeof(un.sun_path))
		return;
	memcpy(un.sun_path, path, strlen(path));
	len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
	if (*path == '@')
		un.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || sendto(fd, "READY=1", 7, MSG_NOSIGNAL, (struct sockaddr *)&un, len) < 0)
		log_warn("readiness could not be told error=\"%s\"", strerror(errno));
}

static void
on_tick(uv_timer_t *t)
{
	struct controld *c = t->data;

	http_server_tick(c->server);
}

static void
on_signal(uv_signal_t *sig, int number)
{
	struct controld *c = sig->data;

	log_info("stopping signal=%d", number);
	uv_stop(&c->loop);
}

/* The certificate as its files have it, renewed when its time comes. */
static void
certificate_look(struct controld *c)
{
	struct err e = { 0 };
	bool is_new = false;
	int r = pki_refresh(c->pki, &is_new, &e);

	if (r == 0 && is_new)
		r = http_server_reload(c->server, &e);
	if (r < 0)
		log_error("the certificate stays as it is error=\"%s\"", e.text);
	else if (is_new)
		log_info("new connections get another certificate");
}

static void
identity_look(struct controld *c)
{
	struct err e = { 0 };

	if (identity_tick(c->identity, utc_now_us(), &e) < 0)
		log_error("signing keys stay as they are error=\"%s\"", e.text);
}

static void
on_minute(uv_timer_t *t)
{
	identity_look(t->data);
}

static void
on_day(uv_timer_t *t)
{
	certificate_look(t->data);
}

static void
on_hangup(uv_signal_t *sig, int number)
{
	struct controld *c = sig->data;
	struct err e = { 0 };

	bool is_new = false;

	certificate_look(c);
	if (network_reload(c->engine, c->cfg.catalogue, &is_new, &e) < 0)
		log_error("the catalogue stays as it is error=\"%s\"", e.text);
	else
		log_info("catalogue %s path=%s", is_new ? "applied" : "unchanged",
			 c->cfg.catalogue);
}

static void
loop_run(struct controld *c)
{
	uv_loop_init(&c->loop);
	uv_timer_init(&c->loop, &c->timer);
	uv_timer_init(&c->loop, &c->minute);
	uv_timer_init(&c->loop, &c->day);
	uv_signal_init(&c->loop, &c->hup);
	uv_signal_init(&c->loop, &c->term);
	uv_signal_init(&c->loop, &c->intr);
	c->timer.data = c->minute.data = c->day.data = c->term.data = c->intr.data = c->hup.data =
		c;
	uv_timer_start(&c->timer, on_tick, TICK_MS, TICK_MS);
	uv_timer_start(&c->minute, on_minute, MINUTE_MS, MINUTE_MS);
	uv_timer_start(&c->day, on_day, DAY_MS, DAY_MS);
	uv_signal_start(&c->hup, on_hangup, SIGHUP);
	uv_signal_start(&c->term, on_signal, SIGTERM);
	uv_signal_start(&c->intr, on_signal, SIGINT);
	notify_ready();
	log_info("serving url=%s agents=%zu", c->base_url, c->n_agent_fds);
	uv_run(&c->loop, UV_RUN_DEFAULT);
	uv_close((uv_handle_t *)&c->timer, NULL);
	uv_close((uv_handle_t *)&c->minute, NULL);
	uv_close((uv_handle_t *)&c->day, NULL);
	uv_close((uv_handle_t *)&c->hup, NULL);
	uv_close((uv_handle_t *)&c->term, NULL);
	uv_close((uv_handle_t *)&c->intr, NULL);
	uv_run(&c->loop, UV_RUN_DEFAULT);
	uv_loop_close(&c->loop);
}

static int
serve(struct controld *c, struct err *e)
{
	const struct http_config cfg = {
		.engine = c->engine,
		.identity = c->identity,
		.store = c->store,
		.nodes = &c->nodes,
		.pki = c->pki,
		.api_fds = c->api_fds,
		.agent_fds = c->agent_fds,
		.n_workers = (unsigned)c->cfg.workers,
		.max_connections = (unsigned)c->cfg.connections,
		.max_per_address = (unsigned)c->cfg.per_address,
		.max_streams = (unsigned)c->cfg.streams,
	};
	int r = http_server_start(&cfg, &c->server, e);

	if (r == 0)
		loop_run(c);
	http_server_stop(TAKE(c->server));
	c->api_fds[0] = -1;
	return r;
}

static void
controld_fini(struct controld *c)
{
	api_close(c);
	arm_engine_destroy(c->engine);
	identity_destroy(c->identity);
	network_destroy(c->network);
	store_destroy(c->store);
	pki_destroy(c->pki);
	free(c->base_url);
	arena_reset(&c->cfg.arena);
}

/* A connection is a descriptor, and agents hold theirs. */
static void
descriptors_raise(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) == 0 && l.rlim_cur < l.rlim_max) {
		l.rlim_cur = l.rlim_max;
		setrlimit(RLIMIT_NOFILE, &l);
	}
}

/* --- main ----------------------------------------------------------------------------------------------------------- */

struct options {
	const char *config, *token_node;
	bool checks, bootstraps, prints;
};

static int
token_print(struct controld *c, const char *node, struct err *e)
{
	AUTO_ARENA a = { 0 };
	AUTO_FREE char *pki_dir = state_path(c, "pki");
	const char *token;
	int r = pki_open(pki_dir, NULL, &c->pki, e);

	if (r == 0)
		r = store_start(c, e);
	c->nodes = (struct nodes){ c->store, c->pki };
	if (r == 0)
		r = nodes_token(&c->nodes, &a, node, &token, e);
	if (r == 0)
		printf("%s\n", token);
	return r;
}

static int
run(struct controld *c, const struct options *o, struct err *e)
{
	struct network *n = NULL;
	int r = config_read(&c->cfg, o->config, e);

	log_init("controld", c->cfg.log);
	if (r == 0 && o->checks) {
		r = network_open(c->cfg.catalogue, &n, e);
		network_destroy(n);
		return r;
	}
	if (r == 0)
		r = state_make(c, e);
	if (r == 0 && o->token_node) {
		r = privileges_drop(c, e);
		return r < 0 ? r : token_print(c, o->token_node, e);
	}
	if (r == 0 && !o->bootstraps)
		r = agents_listen(c, e);
	if (r == 0) /* the operator's file, wherever he keeps it */
		r = catalogue_read(c, e);
	if (r == 0)
		r = privileges_drop(c, e);
	if (o->bootstraps) /* also beside a running controller */
		c->port = (int)(c->cfg.port ? c->cfg.port : port_kept(c));
	if (r == 0 && (!o->bootstraps || !c->port))
		r = port_take(c, e);
	if (r == 0)
		r = parts_start(c, o->prints, e);
	return r < 0 || o->bootstraps ? r : serve(c, e);
}

static int
usage(void)
{
	fprintf(stderr,
		"usage: wayleave-controld --config FILE [--check | --bootstrap [--print-env] |\n"
		"                         --enrolment-token NODE]\n");
	return 2;
}

int
main(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "check", no_argument, NULL, 'k' },
		{ "bootstrap", no_argument, NULL, 'b' },
		{ "print-env", no_argument, NULL, 'p' },
		{ "enrolment-token", required_argument, NULL, 't' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	struct controld c = { .api_fds = { -1 }, .agent_fds = { -1 } };
	struct options o = { 0 };
	struct err e = { 0 };
	int opt, r;

	while ((opt = getopt_long(argc, argv, "c:h", longs, NULL)) >= 0) {
		if (opt == 'c')
			o.config = optarg;
		else if (opt == 't')
			o.token_node = optarg;
		else if (opt == 'k')
			o.checks = true;
		else if (opt == 'b')
			o.bootstraps = true;
		else if (opt == 'p')
			o.prints = true;
		else
			return usage();
	}
	if (!o.config || optind != argc)
		return usage();
	signal(SIGPIPE, SIG_IGN);
	descriptors_raise();
	umask(077);
	r = run(&c, &o, &e);
	if (r < 0)
		log_error("%s", e.text);
	controld_fini(&c);
	return r < 0 ? 1 : 0;
}
