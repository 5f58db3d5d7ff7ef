/* Questions to a node of this machine over its ctl.sock. */
#pragma once

#include "cli/cli.h"

/* The result of one query (a new reference), or NULL and *e: -ENOENT when the node does not run. */
struct json_t *local_query(const struct cli *c, const char *node, const char *query,
			   const char *object, struct err *e);

int local_query_command(struct cli *c); /* wayleave query NODE QUERY [OBJECT] */
