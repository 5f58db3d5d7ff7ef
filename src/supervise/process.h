/* The supervisor of `wayleave up`: named network namespaces, veths between them, and child
 * processes that live and die with it. One thread; the thread that creates it must live as long as
 * it does (children die with their parent *thread*, PR_SET_PDEATHSIG).
 *
 *   supervisor_create     claims RUN_ROOT/<instance> (a live owner: -EBUSY), sweeps what a killed
 *                         predecessor left: processes still running, files, pins
 *   supervisor_namespace  RUN_ROOT/<instance>/ns/<name> → /proc/PID/fd/N: `nsenter --net=` works
 *   supervisor_start      a child in one of them; restarted when it dies
 *   supervisor_step       the loop: children, timers, SIGINT/SIGTERM; or embed supervisor_fd()
 *   supervisor_destroy    stops in reverse order of start, waits, kills what will not go, removes all
 *
 * With has_mounts the process has a private mount namespace with a bpffs of its own at /sys/fs/bpf,
 * so that no pin can outlive it. */
#pragma once

#include "supervise/netlink.h"

struct supervisor_config {
	const char *instance; /* [a-z0-9-]{1,24} */
	const char *run_root; /* NULL: /run/wayleave */
	bool has_mounts;      /* needs privilege */
	bool has_signals;     /* take SIGINT, SIGTERM, SIGHUP by signalfd */
};

struct supervisor;
int supervisor_create(const struct supervisor_config *cfg, struct supervisor **ret, struct err *e);
void supervisor_destroy(struct supervisor *s);
CLEANUP(supervisor)

/* RUN_ROOT/<instance>, and RUN_ROOT/<instance>/<node> made on demand. */
const char *supervisor_dir(const struct supervisor *s);
int supervisor_node_dir(struct supervisor *s, const char *node, struct err *e);

/* A new namespace with lo up; its descriptor stays the supervisor's. */
int supervisor_namespace(struct supervisor *s, const char *name, int *ret_fd, struct err *e);
/* -1 when there is none of that name. */
int supervisor_namespace_fd(const struct supervisor *s, const char *name);
/* Closes it; the kernel removes it when its last process has gone. */
void supervisor_namespace_drop(struct supervisor *s, const char *name);
/* A netlink socket inside, the supervisor's, made on first use. */
struct netlink *supervisor_netlink(struct supervisor *s, const char *name, struct err *e);

/* A veth between two namespaces, both ends up, offloads set to `gro on tx off` (what endpoints
 * behind XDP need) unless keep_offload. Addresses optional (family 0). */
struct supervisor_wire_end {
	const char *ns, *ifname;
	struct addr addr;
	uint8_t plen;
};
struct supervisor_wire {
	struct supervisor_wire_end a, b;
	uint32_t mtu;
	bool keep_offload;
};
int supervisor_wire(struct supervisor *s, const struct supervisor_wire *w, struct err *e);

enum process_restart { PROCESS_RESTART, PROCESS_ONCE };
struct process_spec {
	const char *name;             /* unique; names the log file */
	const char *const *argv;      /* NULL-terminated; argv[0] is the path */
	const char *const *env;       /* NULL: the supervisor's */
	const char *ns;               /* NULL: the supervisor's own namespace */
	const char *log;              /* file for stdout and stderr, appended; NULL: inherited */
	const char *dir;              /* working directory; NULL: unchanged */
	enum process_restart restart; /* at once the first time, then after 0.1 s … 5 s */
	const int *fds;               /* passed as 3, 4, … with LISTEN_FDS, LISTEN_PID */
	size_t n_fds;
	bool has_readiness; /* it sends READY=1 to NOTIFY_SOCKET */
	int stop_ms;        /* between SIGTERM and SIGKILL; 0: 3000 */
};
int supervisor_start(struct supervisor *s, const struct process_spec *spec, struct err *e);
/* SIGTERM, wait, SIGKILL after stop_ms; forgotten afterwards. -ENOENT when unknown. */
int supervisor_stop(struct supervisor *s, const char *name, struct err *e);
/* 0 when it is not running. */
pid_t supervisor_pid(const struct supervisor *s, const char *name);
/* Steps until the process said READY=1 (without has_readiness: is running), or it ended for good, or
 * the time is over: -ETIMEDOUT. */
int supervisor_wait_ready(struct supervisor *s, const char *name, int timeout_ms, struct err *e);
/* Runs one command in a namespace to its end and returns its exit status, 128 + signal, or a negative
 * errno; other children are tended meanwhile. output NULL: inherited. */
struct buf;
int supervisor_run(struct supervisor *s, const struct process_spec *spec, struct buf *output,
		   int timeout_ms, struct err *e);

enum supervisor_end { SUPERVISOR_GOES_ON, SUPERVISOR_STOP_ASKED };
/* Waits at most timeout_ms (-1: until something happens) and deals with it. */
enum supervisor_end supervisor_step(struct supervisor *s, int timeout_ms);
int supervisor_fd(const struct supervisor *s);

/* Called (from step) when a child started again or ended for good. */
typedef void supervisor_news_fn(const char *name, pid_t pid, int status, bool will_restart,
				void *arg);
void supervisor_on_exit(struct supervisor *s, supervisor_news_fn *fn, void *arg);
