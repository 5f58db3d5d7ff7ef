/* What `wayleave up` tells its own controller about its own box, as the operator: the location, the
 * provider, the pair and its ports, the host; and what each node needs to enrol. */
#pragma once

#include "cli/up.h"
#include "cli/users.h"

enum { FABRIC_TOKEN_MAX = 2048 };

int fabric_controller_config(const char *path, const char *state, struct err *e);
/* HOME/env: what the controller wrote, with the provider and location of this box; 0600, the sudo
 * caller's. HOME/ca.pem and HOME/bundle.pem, where everybody may read them: the CA, alone and with the
 * system's. */
int fabric_publish_env(const struct users *u, const char *home, struct err *e);
/* Returns an enum cli_exit; says why on stderr. url: of the API. */
int fabric_register(struct cli *c, char *url, size_t size);
/* "" when the node has a certificate already. */
int fabric_token(struct cli *c, const char *home, const struct up_node *n, char *out, size_t size);
/* The node's config file, HOME/<node>.yaml, for gid to read; its path in out. */
struct fabric_node {
	const struct up_node *node;
	const char *run, *state, *token;
	gid_t gid;
};
int fabric_write_config(struct cli *c, const struct fabric_node *n, char *out, size_t size,
			struct err *e);
