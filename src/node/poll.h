/* A poll answer's objects and the config they make. An object that cannot be read leaves what was
 * there under its name as it was, in a snapshot too, and is reported until it can be read. */
#pragma once

#include "fabric/node.h"

struct json_t;

/* The next config (the caller's) from the present one. refused: { "kind key": { kind, key, rev,
 * text } }, updated. */
struct node_config *poll_merge(const struct node_config *now, const struct json_t *objects,
			       bool is_snapshot, struct json_t *refused);
/* One element of a report's errors. */
struct json_t *poll_error(const char *kind, const char *key, int64_t rev, const char *text);
