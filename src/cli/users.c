/* See users.h. One thread: the file system's user changes for an open() and back. */
#include "cli/users.h"

#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <unistd.h>

/* 60706 to 61183 are nobody's: above what Debian's policy gives to packages in use, below systemd's
 * dynamic users. They exist in a container with 65,536 users too. */
enum { FIRST = 60720, BLOCKS = 28, LOWEST = 1000 };

static uint32_t
name_hash(const char *s)
{
	uint32_t h = 2166136261u; /* FNV-1a */

	for (; *s; s++)
		h = (h ^ (uint8_t)*s) * 16777619u;
	return h;
}

static int
read_base(const char *text, uid_t *ret, struct err *e)
{
	char *end;
	unsigned long v = strtoul(text, &end, 10);

	if (*end || end == text || v < LOWEST || v > INT_MAX - USERS_MAX)
		return err_set(e, -EINVAL, "WAYLEAVE_UID_BASE=%s: a number from %d on", text,
			       LOWEST);
	*ret = (uid_t)v;
	return 0;
}

int
users_init(struct users *u, const char *instance, struct err *e)
{
	const char *given = getenv("WAYLEAVE_UID_BASE");
	int r;

	*u = (struct users){ .is_root = geteuid() == 0 };
	if (!u->is_root)
		return 0;
	u->base = FIRST + name_hash(instance) % BLOCKS * USERS_MAX;
	if (given && (r = read_base(given, &u->base, e)) < 0)
		return r;
	for (uid_t uid = u->base; uid < u->base + USERS_MAX; uid++) {
		const struct passwd *pw = getpwuid(uid);

		if (pw)
			return err_set(
				e, -EINVAL,
				"user %u would be a process of ours but is %s; set WAYLEAVE_UID_BASE to "
				"the first of %d free numbers",
				(unsigned)uid, pw->pw_name, USERS_MAX);
	}
	return 0;
}

uid_t
users_uid(const struct users *u, enum users_role role, unsigned node)
{
	if (!u->is_root)
		return geteuid();
	return role == USERS_CONTROLLER ? u->base : u->base + 2 * node + (uid_t)role;
}

gid_t
users_gid(const struct users *u, unsigned node)
{
	return u->is_root ? users_uid(u, USERS_DAEMON, node) : getegid();
}

const char *
users_text(const struct users *u, enum users_role role, unsigned node, char out[USERS_TEXT])
{
	uid_t uid = users_uid(u, role, node);

	snprintf(out, USERS_TEXT, "%u:%u", (unsigned)uid,
		 (unsigned)(role == USERS_CONTROLLER ? uid : users_gid(u, node)));
	return out;
}

static struct {
	uid_t uid;
	gid_t gid;
} owner; /* nftw() takes no argument of the caller's */

static int
give_entry(const char *path, const struct stat *st, int type, struct FTW *at)
{
	return lchown(path, owner.uid, owner.gid);
}

int
users_give(const struct users *u, const char *dir, uid_t uid, gid_t gid, struct err *e)
{
	struct stat st;

	if (!u->is_root)
		return 0;
	if (lstat(dir, &st) < 0)
		return err_errno(e, "%s", dir);
	if (st.st_uid == uid && st.st_gid == gid)
		return 0; /* what is below was made by it */
	owner.uid = uid;
	owner.gid = gid;
	if (nftw(dir, give_entry, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) != 0)
		return err_errno(e, "%s cannot become user %u's", dir, (unsigned)uid);
	return 0;
}

int
users_share(const struct users *u, const char *dir, gid_t gid, struct err *e)
{
	if (!u->is_root)
		return 0;
	if (chown(dir, 0, gid) < 0 || chmod(dir, S_ISGID | S_ISVTX | 0770) < 0)
		return err_errno(e, "%s cannot be group %u's", dir, (unsigned)gid);
	return 0;
}

int
users_reach(const struct users *u, const char *path, struct err *e)
{
	char part[PATH_MAX];
	struct stat st;

	for (size_t i = 1; u->is_root && path[i - 1]; i++) {
		if (path[i] && path[i] != '/')
			continue;
		snprintf(part, sizeof(part), "%.*s", (int)i, path);
		if (stat(part, &st) < 0)
			return err_errno(e, "%s", part);
		if (!(st.st_mode & S_IXOTH))
			return err_set(
				e, -EACCES,
				"the processes run as users of their own, who cannot pass %s to %s; "
				"chmod o+x it, or choose another place (WAYLEAVE_HOME, WAYLEAVE_RUN)",
				part, path);
	}
	return 0;
}

FILE *
users_open(const struct users *u, uid_t uid, gid_t gid, const char *path)
{
	FILE *f;
	int why;

	if (!u->is_root)
		return fopen(path, "re");
	setfsgid(gid);
	setfsuid(uid);
	f = fopen(path, "re");
	why = errno;
	setfsuid(0);
	setfsgid(0);
	errno = why;
	return f;
}
