/* Giving up what a process does not need: user, capabilities (libcap-ng), system calls
 * (libseccomp). Called once, after the program has opened what it needs and before it reads a byte
 * from outside. */
#pragma once

#include "base/err.h"

enum privilege_profile {
	/* Sockets, files, timers, threads, mmap, bpf() on map descriptors; no exec, no namespaces, no
	 * mounts, no ptrace, no new privileges. For edged, hostd. */
	PRIVILEGE_DAEMON,
	/* What bfdd needs: no open, no socket beyond its own start. */
	PRIVILEGE_BFDD,
	/* Keeps SYS_ADMIN, NET_ADMIN, BPF, PERFMON, NET_BIND_SERVICE and the calls to use them; exec
	 * only of itself. */
	PRIVILEGE_KEEPER,
};

/* user: NULL keeps the uid (and gives up every capability all the same). Also sets no_new_privs
 * and makes the process undumpable. Keeps files of the run directory reachable: a process that
 * stays uid 0 without CAP_DAC_OVERRIDE opens what root owns. */
int privilege_drop(enum privilege_profile profile, const char *user, struct err *e);
/* Raises RLIMIT_NOFILE as far as allowed, at most want; returns what is now in force. */
unsigned privilege_raise_files(unsigned want);
