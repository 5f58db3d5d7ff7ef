/* The supervisor. Everything it waits for is in one epoll: pidfds of the children, the readiness
 * socket, a timerfd for restarts, a signalfd. It never reaps what it did not start.
 *
 * RUN_ROOT/<instance>/ holds
 *   lock      flock()ed for life: who has it owns the instance
 *   children  "PID START NAME" of all that was started, for the sweep after a kill -9
 *   ns/NAME   symlinks to the namespaces' descriptors
 *   notify    where children say READY=1 */
#include "supervise/process.h"

#include "base/buf.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/mono.h"
#include "supervise/fd.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>

extern char **environ;

enum {
	INSTANCE_MAX = 24,
	FDS_MAX = 16,
	STOP_MS = 3000,
	KILL_MS = 5000,
	PAUSE_FIRST_MS = 100,
	PAUSE_MAX_MS = 5000,
	SETTLED_MS = 2000, /* who lived so long is restarted at once */
};

struct space {
	struct list node;
	char *name;
	int fd;
	struct netlink *nl;
};

struct process {
	struct list node;
	char *name, *ns, *log, *dir;
	char **argv, **env;
	int fds[FDS_MAX];
	size_t n_fds;
	enum process_restart restart;
	bool has_readiness, is_ready, is_stopping;
	int stop_ms;
	int output; /* stdout and stderr of supervisor_run(); -1 */

	pid_t pid; /* 0: not running */
	int pidfd, status;
	struct mono started, restart_at; /* MONO_NEVER: no restart pending */
	int pause_ms;
};

struct supervisor {
	struct supervisor_config cfg;
	char *instance, *root, *dir, *notify_path;
	int lock, epoll, signals, timer, notify;
	struct list spaces, processes; /* in order of creation */
	bool is_stop_asked;
	supervisor_news_fn *news;
	void *news_arg;
};

/* Directories */

static int
make_dirs(const char *path, struct err *e)
{
	AUTO_FREE char *p = mem_strdup(path);

	for (char *slash = strchr(p + 1, '/');; slash = strchr(slash + 1, '/')) {
		if (slash)
			*slash = '\0';
		if (mkdir(p, 0755) < 0 && errno != EEXIST)
			return err_errno(e, "%s", p);
		if (!slash)
			return 0;
		*slash = '/';
	}
}

static int
remove_entry(const char *path, const struct stat *st, int type, struct FTW *at)
{
	return at->level == 0 ? 0 : (remove(path), 0);
}

/* All below; symlinks are not followed. */
static void
empty_dir(const char *path)
{
	nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

/* Leftovers of a predecessor */

/* Field 22 of /proc/PID/stat; 0 when there is no such process. */
static unsigned long long
start_time(pid_t pid)
{
	AUTO_FREE char *path = mem_printf("/proc/%d/stat", (int)pid);
	char text[1024], *p;
	unsigned long long v = 0;
	FILE *f = fopen(path, "re");
	size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;

	if (f)
		fclose(f);
	text[n] = '\0';
	p = strrchr(text, ')'); /* the name may hold anything */
	for (int field = 2; p && field < 22; field++)
		p = strchr(p + 1, ' ');
	if (p)
		v = strtoull(p, NULL, 10);
	return v;
}

static void
sweep_children(const char *path)
{
	FILE *f = fopen(path, "re");
	unsigned long long start;
	char name[64];
	int pid;

	if (!f)
		return;
	while (fscanf(f, "%d %llu %63s\n", &pid, &start, name) == 3)
		if (pid > 1 && start_time(pid) == start && kill(pid, SIGKILL) == 0)
			log_info("killed a predecessor's child name=%s pid=%d", name, pid);
	fclose(f);
}

static void
sweep(struct supervisor *s)
{
	AUTO_FREE char *children = mem_printf("%s/children", s->dir);
	AUTO_FREE char *pins = mem_printf("/sys/fs/bpf/wayleave/%s", s->instance);
	DIR *d = opendir(s->dir);
	struct dirent *de;

	sweep_children(children);
	while (d && (de = readdir(d))) {
		AUTO_FREE char *path = mem_printf("%s/%s", s->dir, de->d_name);

		if (de->d_name[0] == '.' || !strcmp(de->d_name, "lock"))
			continue;
		if (unlink(path) < 0) {
			empty_dir(path);
			rmdir(path);
		}
	}
	if (d)
		closedir(d);
	if (access(pins, F_OK) == 0) {
		empty_dir(pins);
		rmdir(pins);
	}
}

static int
claim(struct supervisor *s, struct err *e)
{
	AUTO_FREE char *path = mem_printf("%s/lock", s->dir);
	struct stat st;

	do { /* an owner that has just ended removes the file: then it is the next one's turn */
		if (s->lock >= 0)
			close(s->lock);
		s->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		if (s->lock < 0)
			return err_errno(e, "%s", path);
		if (flock(s->lock, LOCK_EX | LOCK_NB) < 0)
			return errno == EWOULDBLOCK
				       ? err_set(e, -EBUSY, "instance %s is running already",
						 s->instance)
				       : err_errno(e, "%s", path);
	} while (fstat(s->lock, &st) == 0 && st.st_nlink == 0);
	return 0;
}

/* Create, destroy */

static int
own_mounts(struct err *e)
{
	if (unshare(CLONE_NEWNS) < 0)
		return err_errno(e, "own mount namespace");
	if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return err_errno(e, "private mounts");
	if (mount("bpf", "/sys/fs/bpf", "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700") < 0)
		return err_errno(e, "bpf file system");
	return 0;
}

static int
watch(struct supervisor *s, int fd, void *what, struct err *e)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = what };

	return epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &ev) < 0 ? err_errno(e, "epoll") : 0;
}

static int
open_notify(struct supervisor *s, struct err *e)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int on = 1;

	s->notify_path = mem_printf("%s/notify", s->dir);
	if (strlen(s->notify_path) >= sizeof(sa.sun_path))
		return err_set(e, -ENAMETOOLONG, "%s", s->notify_path);
	memcpy(sa.sun_path, s->notify_path, strlen(s->notify_path));
	s->notify = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->notify < 0 || setsockopt(s->notify, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0 ||
	    bind(s->notify, (struct sockaddr *)&sa, sizeof(sa)) < 0 ||
	    chmod(s->notify_path, 0666) < 0)
		return err_errno(e, "%s", s->notify_path);
	return 0;
}

static int
open_signals(struct supervisor *s, struct err *e)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	s->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return s->signals < 0 ? err_errno(e, "signalfd") : watch(s, s->signals, &s->signals, e);
}

static int
open_loop(struct supervisor *s, struct err *e)
{
	int r;

	s->epoll = epoll_create1(EPOLL_CLOEXEC);
	s->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (s->epoll < 0 || s->timer < 0)
		return err_errno(e, "epoll, timerfd");
	r = open_notify(s, e);
	if (r == 0)
		r = watch(s, s->notify, &s->notify, e);
	if (r == 0)
		r = watch(s, s->timer, &s->timer, e);
	return r < 0 || !s->cfg.has_signals ? r : open_signals(s, e);
}

static int
check_instance(const char *name, struct err *e)
{
	size_t n = strlen(name);

	if (n == 0 || n > INSTANCE_MAX || name[0] == '-')
		return err_set(e, -EINVAL, "instance \"%s\": 1 to %d of a-z, 0-9, -", name,
			       INSTANCE_MAX);
	for (size_t i = 0; i < n; i++)
		if (!islower((unsigned char)name[i]) && !isdigit((unsigned char)name[i]) &&
		    name[i] != '-')
			return err_set(e, -EINVAL, "instance \"%s\": only a-z, 0-9, -", name);
	return 0;
}

int
supervisor_create(const struct supervisor_config *cfg, struct supervisor **ret, struct err *e)
{
	AUTO(supervisor) s = mem_alloc(sizeof(*s));
	AUTO_FREE char *ns_dir = NULL;
	int r;

	s->cfg = *cfg;
	s->lock = s->epoll = s->signals = s->timer = s->notify = -1;
	list_init(&s->spaces);
	list_init(&s->processes);
	r = check_instance(cfg->instance, e);
	if (r < 0)
		return r;
	s->instance = mem_strdup(cfg->instance);
	s->root = mem_strdup(cfg->run_root ? cfg->run_root : "/run/wayleave");
	s->dir = mem_printf("%s/%s", s->root, s->instance);
	ns_dir = mem_printf("%s/ns", s->dir);
	r = make_dirs(s->dir, e);
	if (r == 0)
		r = claim(s, e);
	if (r == 0) {
		sweep(s);
		r = make_dirs(ns_dir, e);
	}
	if (r == 0 && cfg->has_mounts)
		r = own_mounts(e);
	if (r == 0)
		r = open_loop(s, e);
	if (r < 0)
		return r;
	*ret = TAKE(s);
	return 0;
}

const char *
supervisor_dir(const struct supervisor *s)
{
	return s->dir;
}

int
supervisor_node_dir(struct supervisor *s, const char *node, struct err *e)
{
	AUTO_FREE char *path = mem_printf("%s/%s", s->dir, node);

	return make_dirs(path, e);
}

void
supervisor_on_exit(struct supervisor *s, supervisor_news_fn *fn, void *arg)
{
	s->news = fn;
	s->news_arg = arg;
}

int
supervisor_fd(const struct supervisor *s)
{
	return s->epoll;
}

/* Namespaces */

static struct space *
find_space(const struct supervisor *s, const char *name)
{
	LIST_FOR(it, &s->spaces)
	{
		struct space *sp = LIST_ENTRY(it, struct space, node);

		if (!strcmp(sp->name, name))
			return sp;
	}
	return NULL;
}

static void
drop_space(struct supervisor *s, struct space *sp)
{
	AUTO_FREE char *link = mem_printf("%s/ns/%s", s->dir, sp->name);

	unlink(link);
	list_remove(&sp->node);
	netlink_destroy(sp->nl);
	close(sp->fd);
	free(sp->name);
	free(sp);
}

int
supervisor_namespace(struct supervisor *s, const char *name, int *ret_fd, struct err *e)
{
	AUTO_FREE char *link = mem_printf("%s/ns/%s", s->dir, name);
	AUTO_FREE char *target = NULL;
	struct space *sp;
	struct netlink *nl;
	int fd, r;

	if (find_space(s, name) || strchr(name, '/'))
		return err_set(e, -EEXIST, "namespace %s", name);
	r = netns_create(&fd, e);
	if (r < 0)
		return r;
	sp = mem_alloc(sizeof(*sp));
	sp->name = mem_strdup(name);
	sp->fd = fd;
	list_append(&s->spaces, &sp->node);
	target = mem_printf("/proc/%d/fd/%d", (int)getpid(), fd);
	unlink(link);
	if (symlink(target, link) < 0)
		r = err_errno(e, "%s", link);
	nl = r == 0 ? supervisor_netlink(s, name, e) : NULL;
	if (nl)
		r = netlink_link_up(nl, "lo", true, e);
	else if (r == 0)
		r = -EIO;
	if (r < 0) {
		drop_space(s, sp);
		return r;
	}
	if (ret_fd)
		*ret_fd = fd;
	return 0;
}

int
supervisor_namespace_fd(const struct supervisor *s, const char *name)
{
	const struct space *sp = find_space(s, name);

	return sp ? sp->fd : -1;
}

void
supervisor_namespace_drop(struct supervisor *s, const char *name)
{
	struct space *sp = find_space(s, name);

	if (sp)
		drop_space(s, sp);
}

struct netlink *
supervisor_netlink(struct supervisor *s, const char *name, struct err *e)
{
	struct space *sp = find_space(s, name);

	if (!sp) {
		err_set(e, -ENOENT, "no namespace %s", name);
		return NULL;
	}
	if (!sp->nl && netlink_open(sp->fd, &sp->nl, e) < 0)
		return NULL;
	return sp->nl;
}

static int
finish_end(struct supervisor *s, const struct supervisor_wire_end *w, struct err *e)
{
	struct netlink *nl = supervisor_netlink(s, w->ns, e);
	int r = !nl ? -ENOENT : 0;

	if (r == 0 && w->addr.family)
		r = netlink_addr_add(nl, w->ifname, &w->addr, w->plen, e);
	return r < 0 ? r : netlink_link_up(nl, w->ifname, true, e);
}

/* Before either end is up: when an end comes up the kernel decides by the other's GRO whether packets
 * may be redirected to it, and does not look again. */
static int
set_offloads(struct supervisor *s, const struct supervisor_wire *w, struct err *e)
{
	static const struct netlink_offload endpoint = { .gro = 1, .tx = 0, .txvlan = 0 };
	int r = netlink_offload_set(supervisor_namespace_fd(s, w->a.ns), w->a.ifname, endpoint, e);

	return r < 0 ? r
		     : netlink_offload_set(supervisor_namespace_fd(s, w->b.ns), w->b.ifname,
					   endpoint, e);
}

int
supervisor_wire(struct supervisor *s, const struct supervisor_wire *w, struct err *e)
{
	struct netlink *nl = supervisor_netlink(s, w->a.ns, e);
	struct netlink_veth v = { .name = w->a.ifname,
				  .peer_name = w->b.ifname,
				  .peer_ns = supervisor_namespace_fd(s, w->b.ns),
				  .mtu = w->mtu };
	int r;

	if (!nl)
		return -ENOENT;
	if (v.peer_ns < 0)
		return err_set(e, -ENOENT, "no namespace %s", w->b.ns);
	r = netlink_veth_create(nl, &v, e);
	if (r == 0 && !w->keep_offload)
		r = set_offloads(s, w, e);
	if (r == 0)
		r = finish_end(s, &w->a, e);
	if (r == 0)
		r = finish_end(s, &w->b, e);
	return r < 0 ? err_wrap(e, r, "wire %s/%s - %s/%s", w->a.ns, w->a.ifname, w->b.ns,
				w->b.ifname)
		     : 0;
}

/* Processes: starting */

static struct process *
find_process(const struct supervisor *s, const char *name)
{
	LIST_FOR(it, &s->processes)
	{
		struct process *p = LIST_ENTRY(it, struct process, node);

		if (!strcmp(p->name, name))
			return p;
	}
	return NULL;
}

static char **
copy_strings(const char *const *v)
{
	size_t n = 0;
	char **out;

	while (v[n])
		n++;
	out = mem_array(n + 1, sizeof(*out));
	for (size_t i = 0; i < n; i++)
		out[i] = mem_strdup(v[i]);
	return out;
}

static void
free_strings(char **v)
{
	for (size_t i = 0; v && v[i]; i++)
		free(v[i]);
	free(v);
}

static void
free_process(struct process *p)
{
	list_remove(&p->node);
	for (size_t i = 0; i < p->n_fds; i++)
		close(p->fds[i]);
	if (p->pidfd >= 0)
		close(p->pidfd);
	if (p->output >= 0)
		close(p->output);
	free_strings(p->argv);
	free_strings(p->env);
	free(p->name);
	free(p->ns);
	free(p->log);
	free(p->dir);
	free(p);
}

static void
arm(struct supervisor *s)
{
	struct mono at = MONO_NEVER;
	struct itimerspec its = { 0 };

	LIST_FOR(it, &s->processes)
	at = mono_min(at, LIST_ENTRY(it, struct process, node)->restart_at);
	if (at.us != MONO_NEVER.us) {
		its.it_value.tv_sec = at.us / 1000000;
		its.it_value.tv_nsec = at.us % 1000000 * 1000 + 1;
	}
	timerfd_settime(s->timer, TFD_TIMER_ABSTIME, &its, NULL);
}

/* Below: in the child, between fork and exec. A failure ends in one line and exit status 127. */
__attribute__((noreturn)) static void
give_up(const struct process *p, const char *what)
{
	fprintf(stderr, "%s: %s: %s\n", p->name, what, strerror(errno));
	_exit(127);
}

static void
child_output(const struct process *p)
{
	int null = open("/dev/null", O_RDWR);
	int out = p->output;

	if (null < 0 || dup2(null, 0) < 0)
		give_up(p, "/dev/null");
	if (out < 0 && p->log)
		out = open(p->log, O_WRONLY | O_CREAT | O_APPEND, 0644);
	if (out < 0 && p->log)
		give_up(p, p->log);
	if (out >= 0 && (dup2(out, 1) < 0 || dup2(out, 2) < 0))
		give_up(p, "output");
}

/* To 3, 4, …; first out of the way of each other. */
static void
child_fds(const struct process *p)
{
	int high[FDS_MAX], top = 3 + FDS_MAX;

	for (size_t i = 0; i < p->n_fds; i++) {
		high[i] = fcntl(p->fds[i], F_DUPFD, top);
		if (high[i] < 0)
			give_up(p, "descriptors");
	}
	for (size_t i = 0; i < p->n_fds; i++)
		if (dup2(high[i], 3 + (int)i) < 0)
			give_up(p, "descriptors");
	syscall(SYS_close_range, 3 + (unsigned)p->n_fds, ~0u, 0);
}

static void
child_environment(const struct supervisor *s, const struct process *p)
{
	char text[16];

	if (p->env)
		environ = p->env;
	unsetenv("NOTIFY_SOCKET");
	if (p->has_readiness)
		setenv("NOTIFY_SOCKET", s->notify_path, 1);
	if (p->n_fds == 0)
		return;
	snprintf(text, sizeof(text), "%d", (int)getpid());
	setenv("LISTEN_PID", text, 1);
	snprintf(text, sizeof(text), "%zu", p->n_fds);
	setenv("LISTEN_FDS", text, 1);
}

__attribute__((noreturn)) static void
child(const struct supervisor *s, const struct process *p, int ns_fd, pid_t parent)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	child_output(p);
	setsid(); /* Ctrl-C is for the supervisor */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
		_exit(127);
	if (ns_fd >= 0 && setns(ns_fd, CLONE_NEWNET) < 0)
		give_up(p, "network namespace");
	if (p->dir && chdir(p->dir) < 0)
		give_up(p, p->dir);
	child_environment(s, p);
	child_fds(p);
	execvp(p->argv[0], p->argv);
	give_up(p, p->argv[0]);
}

static void
note_child(const struct supervisor *s, const struct process *p)
{
	AUTO_FREE char *path = mem_printf("%s/children", s->dir);
	FILE *f = fopen(path, "ae");

	if (!f)
		return;
	fprintf(f, "%d %llu %s\n", (int)p->pid, start_time(p->pid), p->name);
	fclose(f);
}

static int
launch(struct supervisor *s, struct process *p, struct err *e)
{
	int ns_fd = p->ns ? supervisor_namespace_fd(s, p->ns) : -1;
	pid_t parent = getpid(), pid;

	if (p->ns && ns_fd < 0)
		return err_set(e, -ENOENT, "%s: no namespace %s", p->name, p->ns);
	fflush(NULL);
	pid = fork();
	if (pid < 0)
		return err_errno(e, "fork for %s", p->name);
	if (pid == 0)
		child(s, p, ns_fd, parent);
	p->pid = pid;
	p->is_ready = !p->has_readiness;
	p->started = mono_now();
	p->restart_at = MONO_NEVER;
	p->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	note_child(s, p);
	if (p->pidfd < 0)
		return err_errno(e, "pidfd of %s", p->name);
	fcntl(p->pidfd, F_SETFD, FD_CLOEXEC);
	return watch(s, p->pidfd, p, e);
}

static struct process *
new_process(struct supervisor *s, const struct process_spec *spec)
{
	struct process *p = mem_alloc(sizeof(*p));

	p->name = mem_strdup(spec->name);
	p->ns = spec->ns ? mem_strdup(spec->ns) : NULL;
	p->log = spec->log ? mem_strdup(spec->log) : NULL;
	p->dir = spec->dir ? mem_strdup(spec->dir) : NULL;
	p->argv = copy_strings(spec->argv);
	p->env = spec->env ? copy_strings(spec->env) : NULL;
	p->restart = spec->restart;
	p->has_readiness = spec->has_readiness;
	p->stop_ms = spec->stop_ms ? spec->stop_ms : STOP_MS;
	p->pidfd = p->output = -1;
	p->restart_at = MONO_NEVER;
	for (size_t i = 0; i < spec->n_fds && i < FDS_MAX; i++)
		p->fds[p->n_fds++] = fcntl(spec->fds[i], F_DUPFD_CLOEXEC, 3);
	list_append(&s->processes, &p->node);
	return p;
}

int
supervisor_start(struct supervisor *s, const struct process_spec *spec, struct err *e)
{
	struct process *p;
	int r;

	if (find_process(s, spec->name))
		return err_set(e, -EEXIST, "process %s", spec->name);
	if (spec->n_fds > FDS_MAX)
		return err_set(e, -EINVAL, "%s: too many descriptors", spec->name);
	p = new_process(s, spec);
	r = launch(s, p, e);
	if (r < 0 && p->pid == 0)
		free_process(p);
	return r;
}

/* Processes: ending */

/* After its end was seen. */
static void
reap(struct supervisor *s, struct process *p)
{
	pid_t pid = p->pid;

	if (waitpid(pid, &p->status, WNOHANG) != pid)
		return;
	close(p->pidfd); /* leaves the epoll */
	p->pidfd = -1;
	p->pid = 0;
	p->is_ready = false;
	if (p->restart == PROCESS_RESTART && !p->is_stopping) {
		struct mono now = mono_now();

		if (now.us - p->started.us >= SETTLED_MS * 1000LL)
			p->pause_ms = 0;
		p->restart_at = mono_add_ms(now, p->pause_ms);
		p->pause_ms = MIN(MAX(p->pause_ms * 2, PAUSE_FIRST_MS), PAUSE_MAX_MS);
	}
	if (s->news && !p->is_stopping)
		s->news(p->name, pid, p->status, p->restart_at.us != MONO_NEVER.us, s->news_arg);
}

static void
restart_due(struct supervisor *s)
{
	LIST_FOR(it, &s->processes)
	{
		struct process *p = LIST_ENTRY(it, struct process, node);
		struct err e = { 0 };

		if (!mono_is_due(p->restart_at, mono_now()))
			continue;
		if (launch(s, p, &e) == 0)
			continue;
		log_error("restart name=%s error=\"%s\"", p->name, e.text);
		if (!p->pid)
			p->restart_at = mono_add_ms(mono_now(), PAUSE_MAX_MS);
	}
}

static bool
is_ended_within(const struct process *p, int ms)
{
	struct pollfd f = { .fd = p->pidfd, .events = POLLIN };
	struct mono end = mono_add_ms(mono_now(), ms);
	int left = ms;

	while (poll(&f, 1, MAX(left, 0)) < 0 && errno == EINTR)
		left = (int)((end.us - mono_now().us) / 1000);
	return f.revents != 0;
}

static void
stop(struct supervisor *s, struct process *p)
{
	p->is_stopping = true;
	if (p->pid && p->pidfd >= 0) {
		kill(p->pid, SIGTERM);
		if (!is_ended_within(p, p->stop_ms)) {
			log_warn("does not stop, killed name=%s", p->name);
			kill(p->pid, SIGKILL);
			is_ended_within(p, KILL_MS);
		}
		reap(s, p);
	}
	free_process(p);
}

int
supervisor_stop(struct supervisor *s, const char *name, struct err *e)
{
	struct process *p = find_process(s, name);

	if (!p)
		return err_set(e, -ENOENT, "no process %s", name);
	stop(s, p);
	return 0;
}

pid_t
supervisor_pid(const struct supervisor *s, const char *name)
{
	const struct process *p = find_process(s, name);

	return p ? p->pid : 0;
}

void
supervisor_destroy(struct supervisor *s)
{
	if (!s)
		return;
	while (!list_is_empty(&s->processes))
		stop(s, LIST_ENTRY(s->processes.prev, struct process, node));
	while (!list_is_empty(&s->spaces))
		drop_space(s, LIST_ENTRY(s->spaces.prev, struct space, node));
	for (int *fd = (int[]){ s->epoll, s->signals, s->timer, s->notify, -2 }; *fd != -2; fd++)
		if (*fd >= 0)
			close(*fd);
	if (s->notify >= 0) { /* the instance was ours */
		sweep(s);
		empty_dir(s->dir);
		rmdir(s->dir);
		rmdir(s->root); /* when it was the last */
	}
	if (s->lock >= 0)
		close(s->lock);
	free(s->notify_path);
	free(s->instance);
	free(s->root);
	free(s->dir);
	free(s);
}

/* The loop */

static void
read_notify(struct supervisor *s)
{
	for (;;) {
		union {
			struct cmsghdr align;
			char b[CMSG_SPACE(sizeof(struct ucred))];
		} control;
		char text[512];
		struct iovec iov = { .iov_base = text, .iov_len = sizeof(text) - 1 };
		struct msghdr mh = { .msg_iov = &iov,
				     .msg_iovlen = 1,
				     .msg_control = &control,
				     .msg_controllen = sizeof(control) };
		ssize_t n = recvmsg(s->notify, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
		struct cmsghdr *c = n < 0 ? NULL : CMSG_FIRSTHDR(&mh);
		struct ucred who = { 0 };

		if (n < 0)
			return;
		text[n] = '\0';
		if (c && c->cmsg_type == SCM_CREDENTIALS)
			memcpy(&who, CMSG_DATA(c), sizeof(who));
		LIST_FOR(it, &s->processes)
		{
			struct process *p = LIST_ENTRY(it, struct process, node);

			if (p->pid && p->pid == who.pid && strstr(text, "READY=1"))
				p->is_ready = true;
		}
	}
}

static void
read_signal(struct supervisor *s)
{
	struct signalfd_siginfo si;

	while (read(s->signals, &si, sizeof(si)) == sizeof(si))
		s->is_stop_asked = true;
}

enum supervisor_end
supervisor_step(struct supervisor *s, int timeout_ms)
{
	struct epoll_event ev;
	uint64_t ticks;
	/* One at a time: news of one child may make the owner stop another. */
	void *what = epoll_wait(s->epoll, &ev, 1, timeout_ms) == 1 ? ev.data.ptr : NULL;

	if (what == &s->signals)
		read_signal(s);
	else if (what == &s->notify)
		read_notify(s);
	else if (what == &s->timer)
		(void)!read(s->timer, &ticks, sizeof(ticks));
	else if (what)
		reap(s, what);
	restart_due(s);
	arm(s);
	return s->is_stop_asked ? SUPERVISOR_STOP_ASKED : SUPERVISOR_GOES_ON;
}

int
supervisor_wait_ready(struct supervisor *s, const char *name, int timeout_ms, struct err *e)
{
	struct mono end = mono_add_ms(mono_now(), timeout_ms);

	for (;;) {
		const struct process *p = find_process(s, name);
		int64_t left = (end.us - mono_now().us) / 1000;

		if (!p)
			return err_set(e, -ENOENT, "no process %s", name);
		if (p->pid && p->is_ready)
			return 0;
		if (!p->pid && p->restart == PROCESS_ONCE)
			return err_set(e, -ECHILD, "%s ended with status %d", name, p->status);
		if (s->is_stop_asked)
			return err_set(e, -EINTR, "asked to stop");
		if (left <= 0)
			return err_set(e, -ETIMEDOUT, "%s is not ready after %d ms", name,
				       timeout_ms);
		supervisor_step(s, (int)left);
	}
}

/* Running to the end */

static bool
drain(int fd, struct buf *output)
{
	char chunk[4096];
	ssize_t n;

	while ((n = read(fd, chunk, sizeof(chunk))) > 0)
		buf_put(output, chunk, (size_t)n);
	return n < 0 && errno == EAGAIN;
}

static int
exit_code(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* Tends everything until p has ended or the time is over. */
static int
run_loop(struct supervisor *s, const struct process *p, int in, struct buf *output, int timeout_ms,
	 struct err *e)
{
	struct mono end = mono_add_ms(mono_now(), timeout_ms);
	bool is_open = in >= 0;

	while (p->pid) {
		struct pollfd f[2] = { { .fd = s->epoll, .events = POLLIN },
				       { .fd = is_open ? in : -1, .events = POLLIN } };
		int64_t left = (end.us - mono_now().us) / 1000;

		if (left <= 0)
			return err_set(e, -ETIMEDOUT, "%s takes more than %d ms", p->name,
				       timeout_ms);
		poll(f, 2, (int)left);
		if (is_open && f[1].revents)
			is_open = drain(in, output);
		if (supervisor_step(s, 0) == SUPERVISOR_STOP_ASKED)
			return err_set(e, -EINTR, "asked to stop");
	}
	if (is_open)
		drain(in, output);
	return exit_code(p->status);
}

int
supervisor_run(struct supervisor *s, const struct process_spec *spec, struct buf *output,
	       int timeout_ms, struct err *e)
{
	AUTO_CLOSE in = -1;
	struct process *p;
	int pipes[2], r;

	if (find_process(s, spec->name))
		return err_set(e, -EEXIST, "process %s", spec->name);
	if (output && pipe2(pipes, O_CLOEXEC) < 0)
		return err_errno(e, "pipe");
	p = new_process(s, spec);
	p->restart = PROCESS_ONCE;
	if (output) {
		in = pipes[0];
		p->output = pipes[1];
		fcntl(in, F_SETFL, O_NONBLOCK);
	}
	r = launch(s, p, e);
	if (p->output >= 0)
		close(p->output);
	p->output = -1;
	if (r == 0)
		r = run_loop(s, p, in, output, timeout_ms, e);
	stop(s, p);
	return r;
}
