/* Giving up what a process does not need: user, capabilities (libcap-ng), system calls
 * (libseccomp). Called once, after the program has opened what it needs and before it reads a byte
 * from outside. */
#pragma once

#include "base/err.h"

#include <sys/types.h>

enum privilege_profile {
	/* Sockets, files, timers, threads, mmap; no exec, no namespaces, no mounts, no bpf(), no ptrace,
	 * no signals to others, no new privileges. For edged, hostd, controld. */
	PRIVILEGE_DAEMON,
	/* What bfdd needs: no open, no socket beyond its own start. */
	PRIVILEGE_BFDD,
	/* Keeps SYS_ADMIN, NET_ADMIN, BPF, PERFMON, NET_BIND_SERVICE and the calls to use them; exec
	 * only of itself. */
	PRIVILEGE_KEEPER,
};

struct privilege_user {
	uid_t uid;
	gid_t gid;
};
/* "UID" (group of the same number), "UID:GID" or the name of a user of the system. Numbers need no
 * entry in any list of users. */
int privilege_user_parse(const char *text, struct privilege_user *ret, struct err *e);
/* Becomes that user for good: no other groups, no capability, none to be had again. NULL: stays who
 * it is. First of all, so that every file and connection is already the user's. */
int privilege_become(const char *user, struct err *e);
/* Gives up every capability the profile does not need, sets no_new_privs and the filter, and makes
 * the process undumpable. */
int privilege_drop(enum privilege_profile profile, struct err *e);
/* Raises RLIMIT_NOFILE as far as allowed, at most want; returns what is now in force. */
unsigned privilege_raise_files(unsigned want);
