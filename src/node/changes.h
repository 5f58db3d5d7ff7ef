/* Makes what is applied follow what is wanted, object by object. Owns no loop and applies nothing
 * itself.
 *
 * A new object that breaks a rule or cannot be applied is left out. A changed one that cannot be
 * applied stays in `applied` as it was before: whatever of it is there is known by its key, is tried
 * again with the old one at hand, and is taken away when it is wanted no more. */
#pragma once

#include "fabric/node.h"

struct json_t;

struct changes {
	struct node_config *wanted, *applied;
	struct json_t *errors; /* { "kind key": { kind, key, rev, text } } of what is not as wanted */
	/* from NULL: new; to NULL: gone (cannot fail, also when it is not there). */
	int (*apply)(void *arg, const struct node_object *from, const struct node_object *to,
		     struct err *e);
	/* A new error, or another text. */
	void (*failed)(void *arg, const struct node_object *o, const char *text);
	void *arg;
};

void changes_init(struct changes *c);
void changes_fini(struct changes *c);
/* Takes wanted. */
void changes_want(struct changes *c, struct node_config *wanted);
/* One pass over the differences. True: all is as wanted. */
bool changes_apply(struct changes *c);
