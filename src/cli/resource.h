/* The verbs on resources; the noun is the first word of the command's name. */
#pragma once

#include "cli/rest.h"

int resource_create(struct cli *c);
int resource_update(struct cli *c);
int resource_show(struct cli *c);
int resource_list(struct cli *c);
int resource_delete(struct cli *c);
int resource_host_attach(struct cli *c); /* also detach */

/* A leaf as the tables show it: "properties.sku.name"; ids by their last name, lists joined. The
 * caller frees it. */
char *resource_leaf(const struct json_t *v, const char *path);
/* The full id of a resource in the command's group; a name that begins with '/' is one already.
 * The caller frees it. */
char *resource_id(const struct cli *c, const struct rest *r, const char *type, const char *name);
