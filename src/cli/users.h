/* Who the processes of `wayleave up` are when root starts it: each a number of its own, which needs
 * no entry in any list of users. Sixteen in a row belong to one instance; which sixteen follows from
 * its name, so that they are the same at every start, and can be said: WAYLEAVE_UID_BASE. */
#pragma once

#include "base/err.h"

#include <stdio.h>
#include <sys/types.h>

enum users_role { USERS_CONTROLLER, USERS_DAEMON, USERS_BFDD };
enum { USERS_MAX = 16, USERS_TEXT = 32 };

struct users {
	bool is_root; /* else everybody is who we are */
	uid_t base;
};

/* -EINVAL when the numbers cannot be used, or belong to users of this system. */
int users_init(struct users *u, const char *instance, struct err *e);
/* node counts from 0; the controller's is ignored. */
uid_t users_uid(const struct users *u, enum users_role role, unsigned node);
/* All processes of a node are in one group: its daemon's number. */
gid_t users_gid(const struct users *u, unsigned node);
/* "UID:GID", as the programs take it. */
const char *users_text(const struct users *u, enum users_role role, unsigned node,
		       char out[USERS_TEXT]);

/* The directory and, when it was another's before, all below it become uid's. */
int users_give(const struct users *u, const char *dir, uid_t uid, gid_t gid, struct err *e);
/* A directory where the group's members make files and nobody touches another's. */
int users_share(const struct users *u, const char *dir, gid_t gid, struct err *e);
/* May they all pass through to path? */
int users_reach(const struct users *u, const char *path, struct err *e);
/* Opens for reading what uid may read: a link somewhere else gets nowhere that uid would not. */
FILE *users_open(const struct users *u, uid_t uid, gid_t gid, const char *path);
