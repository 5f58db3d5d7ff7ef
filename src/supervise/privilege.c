#include "supervise/privilege.h"

#include <cap-ng.h>
#include <ctype.h>
#include <grp.h>
#include <pwd.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>

/* System calls by what they are for. Everything else answers EPERM: a library that tries something
 * optional goes on, an intruder gets nowhere. */
static const int calls_base[] = {
	SCMP_SYS(read),
	SCMP_SYS(write),
	SCMP_SYS(readv),
	SCMP_SYS(writev),
	SCMP_SYS(pread64),
	SCMP_SYS(pwrite64),
	SCMP_SYS(close),
	SCMP_SYS(fstat),
	SCMP_SYS(newfstatat),
	SCMP_SYS(lseek),
	SCMP_SYS(fcntl),
	SCMP_SYS(dup),
	SCMP_SYS(dup2),
	SCMP_SYS(dup3),
	SCMP_SYS(mmap),
	SCMP_SYS(munmap),
	SCMP_SYS(mremap),
	SCMP_SYS(mprotect),
	SCMP_SYS(madvise),
	SCMP_SYS(brk),
	SCMP_SYS(futex),
	SCMP_SYS(rseq),
	SCMP_SYS(set_robust_list),
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(epoll_create1),
	SCMP_SYS(epoll_ctl),
	SCMP_SYS(epoll_wait),
	SCMP_SYS(epoll_pwait),
	SCMP_SYS(epoll_pwait2),
	SCMP_SYS(select),
	SCMP_SYS(pselect6),
	SCMP_SYS(timerfd_create),
	SCMP_SYS(timerfd_settime),
	SCMP_SYS(eventfd2),
	SCMP_SYS(signalfd4),
	SCMP_SYS(clock_gettime),
	SCMP_SYS(clock_getres),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(nanosleep),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(time),
	SCMP_SYS(getrandom),
	SCMP_SYS(getpid),
	SCMP_SYS(getppid),
	SCMP_SYS(gettid),
	SCMP_SYS(getuid),
	SCMP_SYS(geteuid),
	SCMP_SYS(getgid),
	SCMP_SYS(getegid),
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(rt_sigtimedwait),
	SCMP_SYS(sigaltstack),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
	SCMP_SYS(sched_yield),
	SCMP_SYS(sched_getaffinity),
	SCMP_SYS(uname),
	SCMP_SYS(sysinfo),
	SCMP_SYS(getrusage),
	SCMP_SYS(prlimit64),
	SCMP_SYS(sendmsg),
	SCMP_SYS(recvmsg),
	SCMP_SYS(sendto),
	SCMP_SYS(recvfrom),
	SCMP_SYS(sendmmsg),
	SCMP_SYS(recvmmsg),
	SCMP_SYS(socket),
	SCMP_SYS(connect),
	SCMP_SYS(accept4),
	SCMP_SYS(getsockopt),
	SCMP_SYS(setsockopt),
	SCMP_SYS(getsockname),
	SCMP_SYS(getpeername),
	SCMP_SYS(shutdown),
	SCMP_SYS(membarrier),
	SCMP_SYS(getcpu),
};
static const int calls_daemon[] = {
	SCMP_SYS(open),
	SCMP_SYS(openat),
	SCMP_SYS(openat2),
	SCMP_SYS(access),
	SCMP_SYS(faccessat),
	SCMP_SYS(faccessat2),
	SCMP_SYS(stat),
	SCMP_SYS(lstat),
	SCMP_SYS(statx),
	SCMP_SYS(fstatfs),
	SCMP_SYS(statfs),
	SCMP_SYS(readlink),
	SCMP_SYS(readlinkat),
	SCMP_SYS(getcwd),
	SCMP_SYS(chdir),
	SCMP_SYS(mkdir),
	SCMP_SYS(mkdirat),
	SCMP_SYS(rename),
	SCMP_SYS(renameat),
	SCMP_SYS(renameat2),
	SCMP_SYS(unlink),
	SCMP_SYS(unlinkat),
	SCMP_SYS(rmdir),
	SCMP_SYS(getdents64),
	SCMP_SYS(fsync),
	SCMP_SYS(fdatasync),
	SCMP_SYS(ftruncate),
	SCMP_SYS(fallocate),
	SCMP_SYS(flock),
	SCMP_SYS(fchmod),
	SCMP_SYS(umask),
	SCMP_SYS(ioctl),
	SCMP_SYS(pipe),
	SCMP_SYS(pipe2),
	SCMP_SYS(socketpair),
	SCMP_SYS(bind),
	SCMP_SYS(listen),
	SCMP_SYS(accept),
	SCMP_SYS(sched_setaffinity),
	SCMP_SYS(sched_getparam),
	SCMP_SYS(sched_getscheduler),
	SCMP_SYS(sched_setscheduler),
	SCMP_SYS(setpriority),
	SCMP_SYS(getpriority),
	SCMP_SYS(prctl),
	SCMP_SYS(set_tid_address),
	SCMP_SYS(msync),
	SCMP_SYS(mlock),
	SCMP_SYS(munlock),
	SCMP_SYS(getpgrp),
	SCMP_SYS(getgroups),
	SCMP_SYS(getresuid),
	SCMP_SYS(getresgid),
	SCMP_SYS(capget),
	SCMP_SYS(preadv),
	SCMP_SYS(pwritev),
	SCMP_SYS(preadv2),
	SCMP_SYS(pwritev2),
	SCMP_SYS(timerfd_gettime),
	SCMP_SYS(sched_setparam),
	SCMP_SYS(pause),
	SCMP_SYS(rt_sigsuspend),
};
/* On top of calls_daemon. */
static const int calls_keeper[] = {
	SCMP_SYS(unshare),         SCMP_SYS(setns),      SCMP_SYS(execve),
	SCMP_SYS(perf_event_open), SCMP_SYS(arch_prctl), SCMP_SYS(capset),
	SCMP_SYS(seccomp),         SCMP_SYS(chmod),      SCMP_SYS(bpf),
};
/* Namespaces that clone() would make along with a thread or a child. */
enum {
	CLONE_SPACES = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWIPC |
		       CLONE_NEWUTS | CLONE_NEWCGROUP,
};
/* Sanitizers make calls of their own (leak check: ptrace, clone): no filter in such a build. */
#ifdef __SANITIZE_ADDRESS__
enum { IS_SANITIZED = 1 };
#else
enum { IS_SANITIZED = 0 };
#endif

static int
allow(scmp_filter_ctx ctx, const int *calls, size_t n)
{
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++) {
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, calls[i], 0);
		if (r == -EDOM) /* not on this architecture */
			r = 0;
	}
	return r;
}

/* Signals only to itself. */
static int
allow_own_signals(scmp_filter_ctx ctx)
{
	struct scmp_arg_cmp self = SCMP_A0_64(SCMP_CMP_EQ, (scmp_datum_t)getpid(), 0);
	int r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(kill), 1, self);

	return r < 0 ? r : seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, self);
}

/* Threads, but no namespaces. clone3() hides its flags from a filter: "not there" makes libraries
 * fall back to clone(). */
static int
allow_threads(scmp_filter_ctx ctx)
{
	struct scmp_arg_cmp plain = SCMP_A0_64(SCMP_CMP_MASKED_EQ, CLONE_SPACES, 0);
	int r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1, plain);

	return r < 0 ? r : seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
}

static int
filter(enum privilege_profile profile, struct err *e)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int r = ctx ? allow(ctx, calls_base, COUNT(calls_base)) : -ENOMEM;

	if (r == 0)
		r = allow_own_signals(ctx);
	if (r == 0 && profile != PRIVILEGE_BFDD)
		r = allow_threads(ctx);

	if (r == 0 && profile != PRIVILEGE_BFDD)
		r = allow(ctx, calls_daemon, COUNT(calls_daemon));
	if (r == 0 && profile == PRIVILEGE_KEEPER)
		r = allow(ctx, calls_keeper, COUNT(calls_keeper));
	if (r == 0)
		r = seccomp_load(ctx);
	seccomp_release(ctx);
	return r < 0 ? err_set(e, r, "system call filter: %s", strerror(-r)) : 0;
}

/* With the keeper's, when it is not root, kept over the exec of its own upgrade. */
static int
limit_capabilities(enum privilege_profile profile, struct err *e)
{
	static const unsigned kept[] = { CAP_SYS_ADMIN, CAP_NET_ADMIN, CAP_BPF, CAP_PERFMON,
					 CAP_NET_BIND_SERVICE };
	bool has_bounding = capng_get_caps_process() == 0 &&
			    capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP);

	capng_clear(CAPNG_SELECT_ALL);
	for (size_t i = 0; i < COUNT(kept) && profile == PRIVILEGE_KEEPER; i++)
		capng_update(CAPNG_ADD,
			     CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_INHERITABLE |
				     CAPNG_BOUNDING_SET | CAPNG_AMBIENT,
			     kept[i]);
	if (capng_apply(has_bounding ? CAPNG_SELECT_ALL : CAPNG_SELECT_CAPS) < 0)
		return err_set(e, -EPERM, "capabilities cannot be given up");
	return 0;
}

/* "UID", "UID:GID" or a name. */
int
privilege_user_parse(const char *text, struct privilege_user *ret, struct err *e)
{
	const struct passwd *pw;
	unsigned long uid, gid;
	char *end;

	if (!isdigit((unsigned char)*text)) {
		pw = getpwnam(text);
		if (!pw)
			return err_set(e, -ENOENT, "no user %s", text);
		*ret = (struct privilege_user){ pw->pw_uid, pw->pw_gid };
		return 0;
	}
	uid = gid = strtoul(text, &end, 10);
	if (*end == ':' && isdigit((unsigned char)end[1]))
		gid = strtoul(end + 1, &end, 10);
	if (*end || uid >= UINT32_MAX || gid >= UINT32_MAX)
		return err_set(e, -EINVAL, "user %s: a name, UID or UID:GID", text);
	*ret = (struct privilege_user){ (uid_t)uid, (gid_t)gid };
	return 0;
}

/* A change of user makes the kernel forget that we are to die with our parent. */
static int
keep_parent_tie(int signo, pid_t parent, struct err *e)
{
	if (signo == 0)
		return 0;
	if (prctl(PR_SET_PDEATHSIG, signo, 0, 0, 0) < 0)
		return err_errno(e, "tie to the parent");
	if (getppid() != parent) /* it went in between */
		raise(signo);
	return 0;
}

int
privilege_become(const char *user, struct err *e)
{
	struct privilege_user u;
	pid_t parent = getppid();
	int signo = 0, r = user ? privilege_user_parse(user, &u, e) : 0;

	if (r < 0 || !user || (u.uid == geteuid() && u.gid == getegid()))
		return r;
	prctl(PR_GET_PDEATHSIG, &signo, 0, 0, 0);
	for (unsigned long c = 0; prctl(PR_CAPBSET_READ, c, 0, 0, 0) >= 0; c++)
		(void)prctl(PR_CAPBSET_DROP, c, 0, 0,
			    0); /* not ours to drop: then not ours to use */
	if (setgroups(0, NULL) < 0 || setresgid(u.gid, u.gid, u.gid) < 0 ||
	    setresuid(u.uid, u.uid, u.uid) < 0)
		return err_errno(e, "cannot become user %s", user);
	if (u.uid && setuid(0) == 0)
		return err_set(e, -EPERM, "user %s could become root again", user);
	return keep_parent_tie(signo, parent, e);
}

int
privilege_drop(enum privilege_profile profile, struct err *e)
{
	int r = limit_capabilities(profile, e);

	if (r < 0)
		return r;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_errno(e, "no new privileges");
	if (!IS_SANITIZED && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return err_errno(e, "undumpable");
	return IS_SANITIZED ? 0 : filter(profile, e);
}

unsigned
privilege_raise_files(unsigned want)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) < 0)
		return 0;
	if (l.rlim_max < want) { /* raising the hard limit is for the privileged */
		struct rlimit more = { want, want };

		if (setrlimit(RLIMIT_NOFILE, &more) == 0)
			return want;
	}
	l.rlim_cur = MIN(l.rlim_max, (rlim_t)want);
	setrlimit(RLIMIT_NOFILE, &l);
	return (unsigned)l.rlim_cur;
}
