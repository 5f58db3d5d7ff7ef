/* The controller as the daemon sees it: polls become configs (kept in the disk cache), queries are
 * answered, state is reported, readings are handed in. Runs on the daemon's loop over agent.h. */
#pragma once

#include "node/options.h"

#include <uv.h>

struct json_t;

struct remote_ops {
	void (*config)(void *arg, struct node_config *wanted); /* takes it */
	struct node_config *(*wanted)(void *arg);              /* a copy of the present one */
	struct json_t *(*report)(void *arg);                   /* { errors, state } */
	int (*query)(void *arg, const char *query, const char *object, unsigned limit,
		     struct json_t **ret, struct err *e);
	struct json_t *(*readings)(void *arg); /* entries, or NULL */
	void (*acknowledged)(void *arg, uint64_t sequence);
};

struct remote;
int remote_create(uv_loop_t *loop, const struct node_options *o, const char *program,
		  const char *boot, const struct remote_ops *ops, void *arg, struct remote **ret,
		  struct err *e);
/* The last config from the cache, NULL without a usable one. */
struct node_config *remote_cached(struct remote *r);
void remote_start(struct remote *r);
void remote_destroy(struct remote *r); /* NULL is fine */
/* Appends an error for each object of the controller that could not be read. */
void remote_refused(const struct remote *r, struct json_t *errors);
/* Report soon. */
void remote_changed(struct remote *r);
