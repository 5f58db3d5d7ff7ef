#include "node/daemon.h"

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/mono.h"
#include "node/cache.h"
#include "node/changes.h"
#include "node/ctl.h"
#include "node/remote.h"
#include "supervise/notify.h"
#include "supervise/privilege.h"

#include <fcntl.h>
#include <getopt.h>
#include <jansson.h>
#include <signal.h>
#include <sys/random.h>
#include <sys/stat.h>

enum { RETRY_MS = 2000 };

struct daemon {
	const struct daemon_ops *ops;
	void *self;
	uv_loop_t loop;
	uv_signal_t signals[3];
	uv_timer_t retry;
	struct node_options *options;
	struct keeper *keeper;
	struct ctl *ctl;
	struct remote *remote;
	struct changes changes;
	char boot[17];
	bool is_restarting, is_applied;
};

uv_loop_t *
daemon_loop(struct daemon *d)
{
	return &d->loop;
}

struct keeper *
daemon_keeper(struct daemon *d)
{
	return d->keeper;
}

const struct node_options *
daemon_options(const struct daemon *d)
{
	return d->options;
}

const struct node_config *
daemon_config(const struct daemon *d)
{
	return d->changes.applied;
}

const char *
daemon_boot(const struct daemon *d)
{
	return d->boot;
}

bool
daemon_is_restarting(const struct daemon *d)
{
	return d->is_restarting;
}

bool
daemon_is_settled(const struct daemon *d)
{
	return json_object_size(d->changes.errors) == 0;
}

bool
daemon_has_controller(const struct daemon *d)
{
	return d->remote != NULL;
}

void
daemon_changed(struct daemon *d)
{
	if (d->remote)
		remote_changed(d->remote);
}

/* ---- Config ---- */

static void
on_failed(void *arg, const struct node_object *o, const char *text)
{
	log_warn("config object not applied kind=%s key=%s error=\"%s\"", node_kind_name(o->kind),
		 o->key, text);
}

static int
on_apply(void *arg, const struct node_object *from, const struct node_object *to, struct err *e)
{
	struct daemon *d = arg;

	if (to && to->kind == NODE_SELF && to->self.role != d->ops->role)
		return err_set(e, -EINVAL, "role: this program is not for it");
	return d->ops->apply(d->self, from, to, e);
}

static void
on_retry(uv_timer_t *t)
{
	struct daemon *d = t->data;

	if (!changes_apply(&d->changes))
		uv_timer_start(&d->retry, on_retry, RETRY_MS, 0);
	d->ops->applied(d->self, !d->is_applied);
	d->is_applied = true;
	daemon_changed(d);
}

static void
take_config(struct daemon *d, struct node_config *wanted)
{
	changes_want(&d->changes, wanted);
	on_retry(&d->retry);
}

/* ---- The controller's side, through remote.h ---- */

static void
on_remote_config(void *arg, struct node_config *wanted)
{
	take_config(arg, wanted);
}

static struct node_config *
on_remote_wanted(void *arg)
{
	struct daemon *d = arg;

	return node_config_copy(d->changes.wanted);
}

static json_t *
list_errors(struct daemon *d)
{
	json_t *errors = json_array();

	for (void *it = json_object_iter(d->changes.errors); it;
	     it = json_object_iter_next(d->changes.errors, it))
		json_array_append(errors, json_object_iter_value(it));
	if (d->remote)
		remote_refused(d->remote, errors);
	return errors;
}

static json_t *
on_remote_report(void *arg)
{
	struct daemon *d = arg;

	return json_pack("{soso}", "errors", list_errors(d), "state", d->ops->state(d->self));
}

static int
on_query(void *arg, const char *query, const char *object, unsigned limit, json_t **ret,
	 struct err *e)
{
	struct daemon *d = arg;

	if (!strcmp(query, "config_errors")) {
		*ret = list_errors(d);
		return 0;
	}
	return d->ops->query(d->self, query, object, limit, ret, e);
}

static json_t *
on_remote_readings(void *arg)
{
	struct daemon *d = arg;

	return d->ops->readings ? d->ops->readings(d->self) : NULL;
}

static void
on_remote_acknowledged(void *arg, uint64_t sequence)
{
	struct daemon *d = arg;

	if (d->ops->acknowledged)
		d->ops->acknowledged(d->self, sequence);
}

static const struct remote_ops remote_ops = {
	.config = on_remote_config,
	.wanted = on_remote_wanted,
	.report = on_remote_report,
	.query = on_query,
	.readings = on_remote_readings,
	.acknowledged = on_remote_acknowledged,
};

/* ---- Start and end ---- */

/* RUN/boot names the life of the packet tables: it goes with the machine's /run. */
static int
find_boot(struct daemon *d, struct err *e)
{
	char path[512];
	uint8_t r[8];
	AUTO_CLOSE fd = -1;

	snprintf(path, sizeof(path), "%s/%s.boot", d->options->run_dir, d->ops->program);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_errno(e, "%s", path);
	if (read(fd, d->boot, 16) == 16) {
		d->is_restarting = true;
		return 0;
	}
	if (getrandom(r, sizeof(r), 0) != sizeof(r))
		return err_errno(e, "random");
	for (unsigned i = 0; i < 8; i++)
		snprintf(d->boot + 2 * i, 3, "%02x", r[i]);
	if (pwrite(fd, d->boot, 16, 0) != 16)
		return err_errno(e, "%s", path);
	return 0;
}

static void
reload(struct daemon *d)
{
	struct node_options *o;
	struct err e = { 0 };

	if (node_options_load(d->options->path, &o, &e) < 0) {
		log_error("reload refused error=\"%s\"", e.text);
		return;
	}
	if (!o->objects != !d->options->objects)
		log_error(
			"reload refused error=\"a controller comes or goes only with a restart\"");
	else if (o->objects)
		take_config(d, TAKE(o->objects));
	node_options_destroy(o);
}

static void
on_signal(uv_signal_t *s, int signo)
{
	struct daemon *d = s->data;

	if (signo == SIGHUP) {
		reload(d);
		return;
	}
	log_info("stopping signal=%d", signo);
	uv_stop(&d->loop);
}

static int
start(struct daemon *d, struct err *e)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP };
	char path[512];
	int r;

	for (unsigned i = 0; i < COUNT(signals); i++) {
		uv_signal_init(&d->loop, &d->signals[i]);
		d->signals[i].data = d;
		uv_signal_start(&d->signals[i], on_signal, signals[i]);
	}
	uv_timer_init(&d->loop, &d->retry);
	d->retry.data = d;
	if ((r = privilege_become(d->options->user, e)) < 0 ||
	    (r = cache_make_dirs(d->options->state_dir, e)) < 0 || (r = find_boot(d, e)) < 0)
		return r;
	d->keeper = keeper_create(d->options->run_dir, d->ops->keeper_role);
	if ((r = d->ops->open(d, &d->self, e)) < 0)
		return r;
	snprintf(path, sizeof(path), "%s/ctl.sock", d->options->run_dir);
	if ((r = ctl_open(&d->loop, path, on_query, d, &d->ctl, e)) < 0)
		return r;
	if (d->options->sandbox && (r = privilege_drop(PRIVILEGE_DAEMON, e)) < 0)
		return err_wrap(e, r, "privileges");
	if (d->options->controller_url) {
		r = remote_create(&d->loop, d->options, d->ops->program, d->boot, &remote_ops, d,
				  &d->remote, e);
		if (r < 0)
			return r;
	}
	return 0;
}

static void
run(struct daemon *d)
{
	struct node_config *first = NULL;

	if (d->options->objects)
		first = node_config_copy(d->options->objects);
	else
		first = remote_cached(d->remote);
	/* without a first config we wait for the controller's, and sweep nothing before */
	if (first)
		take_config(d, first);
	if (d->remote)
		remote_start(d->remote);
	log_info("ready node=%s objects=%zu restarting=%d", d->options->node,
		 node_config_count(d->changes.applied, NODE_DOMAIN) +
			 node_config_count(d->changes.applied, NODE_VNET) +
			 node_config_count(d->changes.applied, NODE_NIC),
		 d->is_restarting);
	notify("READY=1");
	uv_run(&d->loop, UV_RUN_DEFAULT);
	notify("STOPPING=1");
}

static void
stop(struct daemon *d)
{
	remote_destroy(d->remote);
	ctl_close(d->ctl);
	if (d->self)
		d->ops->close(d->self);
	uv_close((uv_handle_t *)&d->retry, NULL);
	for (unsigned i = 0; i < COUNT(d->signals); i++)
		uv_close((uv_handle_t *)&d->signals[i], NULL);
	uv_run(&d->loop, UV_RUN_DEFAULT);
	uv_loop_close(&d->loop);
	keeper_destroy(d->keeper);
	changes_fini(&d->changes);
}

static int
usage(const char *program, FILE *to)
{
	fprintf(to,
		"usage: %s --config FILE [--check]\n"
		"  --config FILE   YAML options and, without a controller, the node's objects\n"
		"  --user USER     become this user: a name, UID or UID:GID; instead of FILE's user\n"
		"  --check         read and verify FILE, say what is wrong, start nothing\n"
		"  --version, --help\n",
		program);
	return to == stdout ? 0 : 2;
}

static int
run_daemon(struct node_options *options, const struct daemon_ops *ops)
{
	struct daemon d = { .ops = ops, .options = options };
	struct err e = { 0 };
	int r;

	log_init(ops->program, options->log);
	signal(SIGPIPE, SIG_IGN);
	uv_loop_init(&d.loop);
	d.changes = (struct changes){ .apply = on_apply, .failed = on_failed, .arg = &d };
	changes_init(&d.changes);
	r = start(&d, &e);
	if (r < 0)
		log_error("cannot start error=\"%s\"", e.text);
	else
		run(&d);
	stop(&d);
	return r < 0 ? 1 : 0;
}

int
daemon_main(int argc, char **argv, const struct daemon_ops *ops)
{
	static const struct option longopts[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "user", required_argument, NULL, 'u' },
		{ "check", no_argument, NULL, 'n' },
		{ "version", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	AUTO(node_options) options = NULL;
	const char *path = NULL, *user = NULL;
	struct err e = { 0 };
	bool is_check = false;
	int c;

	while ((c = getopt_long(argc, argv, "c:", longopts, NULL)) != -1) {
		if (c == 'c')
			path = optarg;
		else if (c == 'u')
			user = optarg;
		else if (c == 'n')
			is_check = true;
		else if (c == 'v')
			return printf("%s %s\n", ops->program, WAYLEAVE_VERSION) < 0;
		else
			return usage(ops->program, c == 'h' ? stdout : stderr);
	}
	if (!path || optind < argc)
		return usage(ops->program, stderr);
	if (node_options_load(path, &options, &e) < 0) {
		fprintf(stderr, "%s: %s\n", ops->program, e.text);
		return 1;
	}
	if (is_check) {
		printf("%s: good\n", path);
		return 0;
	}
	if (user)
		options->user = user;
	return run_daemon(options, ops);
}
