/* The config file of wayleave-edged and wayleave-hostd (YAML; docs/edged.md has every option).
 * Strict: unknown options are errors. */
#pragma once

#include "base/log.h"
#include "fabric/node.h"

struct node_options {
	const char *path;      /* the file */
	const char *instance;  /* "default" */
	const char *node;      /* required: this node's name */
	const char *run_dir;   /* /run/wayleave/<instance>/<node> */
	const char *state_dir; /* /var/lib/wayleave/<instance>/<node> */
	const char *user;      /* become it first; NULL: stay who we are (without capabilities) */
	enum log_level log;
	bool sandbox; /* drop capabilities, seccomp; default true */

	/* controller; url NULL: none, the objects of the file hold */
	const char *controller_url, *controller_ca, *certificate, *key, *token;

	struct node_config *objects; /* of the file; NULL with a controller */
	struct arena arena;
};

int node_options_load(const char *path, struct node_options **ret, struct err *e);
/* From text, for tests and fuzzing; path only names it in errors. */
int node_options_parse(const char *path, const char *text, size_t n, struct node_options **ret,
		       struct err *e);
void node_options_destroy(struct node_options *o);
CLEANUP(node_options)
