/* The frame of wayleave-edged and wayleave-hostd: command line, options, loop, signals, query
 * socket, config (static file, disk cache or controller) applied as differences, reports.
 *
 * An object that breaks a rule, or that cannot be applied now, is left out (a changed one may stay as
 * it was), reported and tried again every two seconds; everything else goes on. */
#pragma once

#include "node/options.h"
#include "supervise/keeper.h"

#include <uv.h>

struct json_t;

struct daemon;
struct daemon_ops {
	const char *program; /* "wayleave-edged" */
	enum keeper_role keeper_role;
	enum node_role role; /* the node object must have it */
	/* Opens what needs the keeper. *ret_self goes to the other calls. */
	int (*open)(struct daemon *d, void **ret_self, struct err *e);
	void (*close)(void *self);
	/* from NULL: new; to NULL: gone (cannot fail). On failure of a new object nothing of it
	 * remains; of a changed one either nothing, or all of it as it was or as it shall be. It is
	 * tried again with the same `from`, so what is there is found by its key. */
	int (*apply)(void *self, const struct node_object *from, const struct node_object *to,
		     struct err *e);
	/* A batch of changes is done; is_first: the whole first config. */
	void (*applied)(void *self, bool is_first);
	/* A query from the socket or the controller; see agent.h and docs. */
	int (*query)(void *self, const char *query, const char *object, unsigned limit,
		     struct json_t **ret, struct err *e);
	/* The "state" of a report. */
	struct json_t *(*state)(void *self);
	/* Readings for the controller; NULL when there are none, or no such thing. */
	struct json_t *(*readings)(void *self);
	void (*acknowledged)(void *self, uint64_t sequence);
};

int daemon_main(int argc, char **argv, const struct daemon_ops *ops);

uv_loop_t *daemon_loop(struct daemon *d);
struct keeper *daemon_keeper(struct daemon *d);
const struct node_options *daemon_options(const struct daemon *d);
/* What is applied now. */
const struct node_config *daemon_config(const struct daemon *d);
/* 16 hex digits: since when this machine's packet tables live. */
const char *daemon_boot(const struct daemon *d);
/* A predecessor's packet tables are forwarding (RFC 4724: we are the restarting speaker). */
bool daemon_is_restarting(const struct daemon *d);
/* Nothing waits to be tried again. */
bool daemon_is_settled(const struct daemon *d);
bool daemon_has_controller(const struct daemon *d);
/* Something in state() changed: report soon. */
void daemon_changed(struct daemon *d);
