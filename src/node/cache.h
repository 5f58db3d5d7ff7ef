/* The last config on disk, so that a node runs while the controller is away: STATE/config.json,
 * mode 0600 (it holds MD5 keys), replaced whole and synced. */
#pragma once

#include "fabric/node.h"

/* mkdir -p with mode 0700 for what it makes. */
int cache_make_dirs(const char *path, struct err *e);
/* Writes a whole file: temporary, fsync, rename, fsync of the directory. */
int cache_write(const char *dir, const char *name, const void *p, size_t n, struct err *e);
int cache_save(const char *dir, const struct node_config *c, const char *cursor, struct err *e);
/* -ENOENT when there is none. cursor: malloc'ed. */
int cache_load(const char *dir, struct node_config **ret, char **ret_cursor, struct err *e);
