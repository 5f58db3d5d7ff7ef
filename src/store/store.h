/* The resource store: one interface, two back ends (SQLite now, PostgreSQL beside it).
 *
 * Everything is read and written inside a transaction given to a function. A write function runs
 * alone (SQLite: one writer thread, BEGIN IMMEDIATE, several functions a commit, each in its own
 * savepoint; PostgreSQL: SERIALIZABLE with bounded retry), so it may run again and must not have
 * effects outside the transaction and its own argument. store_write() returns 0 only when the
 * change is on disk. No application locks.
 *
 * Keys named *_fold* are ids in lower case (arm_id_fold()). Texts returned live in the arena given.
 * Functions return 0 or a negative errno; getters return 1 for found, 0 for absent.
 *
 * Threads: any thread may call store_read() and store_write().
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"

struct store;
struct store_tx;

struct store_config {
	const char *path;       /* SQLite file; created when absent */
	const char *master_key; /* file of 32 random bytes, created 0600 when absent */
	unsigned n_readers;     /* reading connections; 0: 4 */
};

int store_open(const struct store_config *cfg, struct store **ret, struct err *e);
void store_destroy(struct store *s);
CLEANUP(store)

typedef int store_fn(struct store_tx *tx, void *arg, struct err *e);
/* fn's negative return rolls its changes back and is returned. -EAGAIN: the store is busy or gone,
 * try later (503). */
int store_write(struct store *s, store_fn *fn, void *arg, struct err *e);
int store_read(struct store *s, store_fn *fn, void *arg, struct err *e);
/* Is the store answering? For /readyz. */
int store_ping(struct store *s, struct err *e);
/* A random word chosen when the store was made (and again after a restore): the EPOCH of cursors.
 * Stable while open. */
const char *store_epoch(const struct store *s);
/* Rows stepped over without an index since the start: stays 0 on request paths. */
uint64_t store_scanned_rows(struct store *s);

/* --- resources: one row per top-level resource, its children inside body --------------------- */

/* GONE: deleted for its owner, kept with its claims until the last live node has let go of it. */
enum store_state { STORE_SUCCEEDED, STORE_UPDATING, STORE_DELETING, STORE_FAILED, STORE_GONE };

struct store_resource {
	const char *fold; /* id in lower case: the key */
	const char *id;   /* as created */
	const char *sub;  /* lower case; "" for tenant-level */
	const char *rg;   /* lower case; "" for none */
	const char *type; /* "microsoft.network/expressroutecircuits" */
	const char *tenant;
	const char *etag;   /* GUID, without W/"" */
	const char *body;   /* JSON, no secrets */
	const char *hidden; /* JSON, the type's own state */
	int64_t rev;        /* counts writes of intent */
	enum store_state state;
	int64_t created_us, changed_us;
};

int store_resource_get(struct store_tx *tx, struct arena *a, const char *fold,
		       struct store_resource *ret, struct err *e);
int store_resource_put(struct store_tx *tx, const struct store_resource *r, struct err *e);
int store_resource_delete(struct store_tx *tx, const char *fold, struct err *e);

/* NULL: any. At least one of sub and type must be set. Order: by fold. */
struct store_filter {
	const char *sub, *rg, *type;
	const char *after; /* fold of the last one seen, or NULL */
	size_t limit;      /* required, <= 1000 */
};
int store_resource_list(struct store_tx *tx, struct arena *a, const struct store_filter *f,
			struct store_resource **ret, size_t *n, struct err *e);

/* --- references: who points at whom ------------------------------------------------------------ */

struct store_ref {
	const char *owner; /* fold of the aggregate that holds it */
	const char *from;  /* fold of the very element: owner or a child of it */
	const char *to;    /* fold of what is referred to */
	const char *kind;  /* path of the property, "properties.subnet" */
};
/* Replaces all references held by owner. */
int store_ref_set(struct store_tx *tx, const char *owner, const struct store_ref *refs, size_t n,
		  struct err *e);
/* References to this id, and, with below, to anything under it. kind NULL: any. At most limit. */
int store_ref_to(struct store_tx *tx, struct arena *a, const char *to, bool below, const char *kind,
		 size_t limit, struct store_ref **ret, size_t *n, struct err *e);
int store_ref_from(struct store_tx *tx, struct arena *a, const char *owner, struct store_ref **ret,
		   size_t *n, struct err *e);

/* --- claims: what only one may have ----------------------------------------------------------- */

struct store_claim {
	const char *space, *value, *owner; /* owner: fold of an aggregate */
};
/* -EEXIST when another owner has it; 0 also when this owner has it already. */
int store_claim_take(struct store_tx *tx, const char *space, const char *value, const char *owner,
		     struct err *e);
int store_claim_drop(struct store_tx *tx, const char *space, const char *value, struct err *e);
int store_claim_drop_all(struct store_tx *tx, const char *owner, struct err *e);
int store_claim_get(struct store_tx *tx, struct arena *a, const char *space, const char *value,
		    const char **ret_owner, struct err *e);
int store_claim_list(struct store_tx *tx, struct arena *a, const char *owner,
		     struct store_claim **ret, size_t *n, struct err *e);
/* A number in lo..hi that is not claimed in the space: the one after the last given out, going
 * round, so a freed number rests as long as possible. Remembers it as given out; does not claim.
 * Claimed as decimal text without leading zeros. -ENOSPC. */
int store_claim_number(struct store_tx *tx, const char *space, uint64_t lo, uint64_t hi,
		       uint64_t *ret, struct err *e);

/* --- secrets: AES-256-GCM under the master key ------------------------------------------------ */

int store_secret_put(struct store_tx *tx, const char *owner, const char *name, const void *p,
		     size_t n, struct err *e);
/* ret is NUL-terminated beyond n. */
int store_secret_get(struct store_tx *tx, struct arena *a, const char *owner, const char *name,
		     const void **ret, size_t *n, struct err *e);
int store_secret_drop(struct store_tx *tx, const char *owner, const char *name, struct err *e);

/* --- small facts about the whole: bootstrap values, ports, versions of the catalogue ----------- */

int store_fact_get(struct store_tx *tx, struct arena *a, const char *name, const char **ret,
		   struct err *e);
int store_fact_put(struct store_tx *tx, const char *name, const char *value, struct err *e);

/* --- operations and events ------------------------------------------------------------------- */

/* LINGERING: nobody waits for it; it lets GONE rows go when the nodes have. */
enum store_op_status { STORE_OP_RUNNING, STORE_OP_SUCCEEDED, STORE_OP_FAILED, STORE_OP_LINGERING };

struct store_operation {
	const char *id;     /* GUID */
	const char *sub;    /* fold */
	const char *target; /* fold of the aggregate */
	const char *what;   /* "put", "delete", "group", "action" */
	const char *caller; /* object id */
	const char *detail; /* JSON for the engine: waits, names, api-version */
	const char *result; /* JSON: result or error body; NULL while running */
	enum store_op_status status;
	int64_t rev; /* of the target that it brought */
	int64_t created_us, deadline_us, finished_us;
};
int store_operation_put(struct store_tx *tx, const struct store_operation *op, struct err *e);
int store_operation_get(struct store_tx *tx, struct arena *a, const char *id,
			struct store_operation *ret, struct err *e);
/* Oldest first. */
int store_operation_list(struct store_tx *tx, struct arena *a, enum store_op_status status,
			 size_t limit, struct store_operation **ret, size_t *n, struct err *e);
/* Drops operations finished before, events older. */
int store_prune(struct store_tx *tx, int64_t operations_before_us, int64_t events_before_us,
		struct err *e);

struct store_event {
	int64_t seq; /* set by the store */
	int64_t at_us;
	const char *sub, *rg, *target; /* fold */
	const char *operation;         /* "Microsoft.Network/expressRouteCircuits/write" */
	const char *status;            /* "Succeeded", "Failed", "Accepted" */
	const char *caller;
	const char *detail;      /* JSON: request ids, code, message; no secrets */
	const char *correlation; /* or NULL */
};
int store_event_add(struct store_tx *tx, const struct store_event *ev, struct err *e);
/* Newest first. sub required ("": of no subscription); of rg, target and correlation at most one is
 * set; before_seq 0: from the newest. */
struct store_event_filter {
	const char *sub, *rg, *target, *correlation;
	int64_t before_seq;
	size_t limit;
};
int store_event_list(struct store_tx *tx, struct arena *a, const struct store_event_filter *f,
		     struct store_event **ret, size_t *n, struct err *e);
/* A seq such that what comes after it is younger than that; 0: nothing is older. Events lie in order
 * of time but for requests that overlap: ask with a minute to spare. */
int store_event_before(struct store_tx *tx, int64_t at_us, int64_t *ret_seq, struct err *e);

/* --- management locks ------------------------------------------------------------------------- */

struct store_lock {
	const char *scope; /* fold of what it holds */
	const char *fold;  /* name in lower case; with scope the key */
	const char *name, *level, *id;
	const char *body; /* JSON: the other properties */
	int64_t created_us;
};
int store_lock_put(struct store_tx *tx, const struct store_lock *l, struct err *e);
int store_lock_get(struct store_tx *tx, struct arena *a, const char *scope, const char *fold,
		   struct store_lock *ret, struct err *e);
int store_lock_delete(struct store_tx *tx, const char *scope, const char *fold, struct err *e);
/* All at the scope and under it. */
int store_lock_drop(struct store_tx *tx, const char *scope, struct err *e);
/* At the scope and, with below, under it. */
int store_lock_at(struct store_tx *tx, struct arena *a, const char *scope, bool below, size_t limit,
		  struct store_lock **ret, size_t *n, struct err *e);

/* --- deployments of templates --------------------------------------------------------------------- */

/* What may hold secrets (template, parameters, outputs) lies beside the row, sealed, as secrets of
 * the same owner. */
struct store_deployment {
	const char *fold; /* id in lower case: the key */
	const char *id;   /* as sent */
	const char *sub;  /* lower case */
	const char *rg;   /* lower case; "" at a subscription */
	const char *body; /* JSON: what is shown, and how far it is */
	bool is_active;   /* goes on after a restart */
	int64_t created_us, changed_us;
};
int store_deployment_put(struct store_tx *tx, const struct store_deployment *d, struct err *e);
int store_deployment_get(struct store_tx *tx, struct arena *a, const char *fold,
			 struct store_deployment *ret, struct err *e);
/* With its secrets. */
int store_deployment_delete(struct store_tx *tx, const char *fold, struct err *e);
/* Of one scope, by fold; after: the last one seen, or NULL. */
int store_deployment_list(struct store_tx *tx, struct arena *a, const char *sub, const char *rg,
			  const char *after, size_t limit, struct store_deployment **ret, size_t *n,
			  struct err *e);
/* Folds of those that are active. */
int store_deployment_active(struct store_tx *tx, struct arena *a, const char *after, size_t limit,
			    const char ***ret, size_t *n, struct err *e);
/* How many of a subscription are active; counted up to most. */
int store_deployment_count_active(struct store_tx *tx, const char *sub, size_t most, size_t *ret,
				  struct err *e);
/* Lets the oldest finished ones of a scope go, so that at most keep are left. */
int store_deployment_trim(struct store_tx *tx, const char *sub, const char *rg, size_t keep,
			  struct err *e);
/* A group goes, and its history with it. */
int store_deployment_drop_group(struct store_tx *tx, const char *sub, const char *rg,
				struct err *e);

/* --- event streams: what has happened, for whoever listens (sqlite_stream.c) -------------------- */

struct store_stream_event {
	int64_t seq; /* set by the store, in the order of commits */
	int64_t at_us;
	const char *sub;    /* fold; "" for none */
	const char *target; /* fold of the aggregate */
	const char *kind;   /* "resource", "operation", "session" */
	const char *body;   /* JSON, no secrets */
};
int store_stream_add(struct store_tx *tx, const struct store_stream_event *ev, struct err *e);
/* After a seq, oldest first; of a target, of a subscription, or (both NULL) of all. */
int store_stream_since(struct store_tx *tx, struct arena *a, const char *sub, const char *target,
		       int64_t after, size_t limit, struct store_stream_event **ret, size_t *n,
		       struct err *e);
/* Nothing after *ret_floor is missing; *ret_last is the last seq given out, 0 for none. */
int store_stream_range(struct store_tx *tx, int64_t *ret_floor, int64_t *ret_last, struct err *e);
/* Drops older events, some thousands at a time. */
int store_stream_prune(struct store_tx *tx, int64_t before_us, struct err *e);

/* --- metrics: lines of text in spans of time (sqlite_metric.c) ----------------------------------- */

/* A span of a grain (seconds) holds GRAIN_SLOTS slots; its number is time / (grain * GRAIN_SLOTS). */
enum { STORE_METRIC_SLOTS = 60 };
/* Appends a line, "SLOT JSON"; the same slot may come again. */
int store_metric_append(struct store_tx *tx, const char *target, int64_t grain, int64_t span,
			const char *line, struct err *e);
/* The lines of one span; 1 or 0. */
int store_metric_get(struct store_tx *tx, struct arena *a, const char *target, int64_t grain,
		     int64_t span, const char **ret, struct err *e);
/* Drops spans of a grain before this one, some thousands at a time. */
int store_metric_prune(struct store_tx *tx, int64_t grain, int64_t before, struct err *e);

/* --- nodes and their objects -------------------------------------------------------------------- */

struct store_node {
	const char *name;
	const char *role; /* "edge" or "host" */
	const char *cert; /* SHA-256 of the current certificate, hex; "" before enrolment */
	/* The one before: still good until the current one is first used. "" for none. */
	const char *cert_before;
	const char *token_hash; /* of the unused enrolment token, hex; "" for none */
	const char *token_csr;  /* SHA-256 of the request it was used for, "" for none yet */
	int64_t token_until_us;
	int64_t applied;    /* revision last reported, of the current epoch */
	int64_t seen_us;    /* last poll or report */
	const char *report; /* JSON of the last report, "{}" */
	bool revoked;
};
int store_node_put(struct store_tx *tx, const struct store_node *n, struct err *e);
int store_node_get(struct store_tx *tx, struct arena *a, const char *name, struct store_node *ret,
		   struct err *e);
/* Only whether it is let in and when it was seen last: a report may be large. 1: there is one. */
int store_node_seen(struct store_tx *tx, const char *name, int64_t *ret_seen_us, bool *ret_revoked,
		    struct err *e);
/* By its current certificate, or the one before. */
int store_node_by_cert(struct store_tx *tx, struct arena *a, const char *cert,
		       struct store_node *ret, struct err *e);
int store_node_list(struct store_tx *tx, struct arena *a, const char *after, size_t limit,
		    struct store_node **ret, size_t *n, struct err *e);

struct store_object {
	const char *node, *kind, *key;
	const char *owner; /* fold of the aggregate it was compiled from */
	const char *body;  /* JSON, stored sealed since it may hold MD5 keys; NULL: a tombstone */
	int64_t rev;       /* of the node's counter */
};
/* Writes with the node's next revision. Unchanged bodies keep theirs; *ret_rev is then 0. */
int store_object_put(struct store_tx *tx, const struct store_object *o, int64_t *ret_rev,
		     struct err *e);
/* The live objects compiled from one aggregate. */
int store_object_of(struct store_tx *tx, struct arena *a, const char *owner,
		    struct store_object **ret, size_t *n, struct err *e);
/* What changed on a node after a revision, in order of revision, tombstones included. */
int store_object_since(struct store_tx *tx, struct arena *a, const char *node, int64_t rev,
		       size_t limit, struct store_object **ret, size_t *n, struct err *e);
/* The live objects of a node by (kind, key); after_* NULL: from the start. */
int store_object_snapshot(struct store_tx *tx, struct arena *a, const char *node,
			  const char *after_kind, const char *after_key, size_t limit,
			  struct store_object **ret, size_t *n, struct err *e);
int store_object_get(struct store_tx *tx, struct arena *a, const char *node, const char *kind,
		     const char *key, struct store_object *ret, struct err *e);
/* The node's counter, and the oldest revision from which a delta is complete. */
int store_node_rev(struct store_tx *tx, const char *node, int64_t *ret_rev, int64_t *ret_floor,
		   struct err *e);

/* --- identity ---------------------------------------------------------------------------------- */

struct store_principal {
	const char *oid;       /* object id, GUID, lower case */
	const char *client_id; /* GUID, lower case; of users and groups: the object id */
	const char *tenant;    /* GUID, lower case */
	const char *kind;      /* "ServicePrincipal", "User", "Group" */
	const char *name;
	const char *upn;         /* user's sign-in name, unique in the tenant in any case; or "" */
	const char *external_id; /* as another directory calls it; or "" */
	const char *body;        /* JSON: further attributes; "" for none */
	bool is_disabled;
	int64_t rev; /* counts writes; set by the store */
	int64_t created_us, changed_us;
};
/* Keeps created_us of one that is there. -EEXIST: the upn is taken. */
int store_principal_put(struct store_tx *tx, const struct store_principal *p, struct err *e);
int store_principal_get(struct store_tx *tx, struct arena *a, const char *oid,
			struct store_principal *ret, struct err *e);
int store_principal_by_client(struct store_tx *tx, struct arena *a, const char *client_id,
			      struct store_principal *ret, struct err *e);
int store_principal_list(struct store_tx *tx, struct arena *a, const char *after, size_t limit,
			 struct store_principal **ret, size_t *n, struct err *e);

struct store_assignment {
	const char *fold; /* id in lower case */
	const char *id;
	const char *scope;     /* fold; "/" for all */
	const char *role;      /* GUID of the definition */
	const char *principal; /* object id */
	const char *body;      /* JSON of properties */
};
int store_assignment_put(struct store_tx *tx, const struct store_assignment *s, struct err *e);
int store_assignment_get(struct store_tx *tx, struct arena *a, const char *fold,
			 struct store_assignment *ret, struct err *e);
int store_assignment_delete(struct store_tx *tx, const char *fold, struct err *e);
int store_assignment_of(struct store_tx *tx, struct arena *a, const char *principal,
			struct store_assignment **ret, size_t *n, struct err *e);
/* At this scope and, with below, under it. */
int store_assignment_at(struct store_tx *tx, struct arena *a, const char *scope, bool below,
			size_t limit, struct store_assignment **ret, size_t *n, struct err *e);

struct store_subscription {
	const char *id; /* GUID, lower case */
	const char *tenant;
	const char *name;
	const char *state; /* "Enabled" */
};
int store_subscription_put(struct store_tx *tx, const struct store_subscription *s, struct err *e);
int store_subscription_get(struct store_tx *tx, struct arena *a, const char *id,
			   struct store_subscription *ret, struct err *e);
int store_subscription_list(struct store_tx *tx, struct arena *a, const char *tenant,
			    const char *after, size_t limit, struct store_subscription **ret,
			    size_t *n, struct err *e);

/* --- usage ------------------------------------------------------------------------------------- */

struct store_reading {
	const char *node;
	const char *boot;
	uint64_t seq;
	int64_t at_us;
	const char *body; /* JSON as signed by the edge */
};
/* Each (node, boot, seq) counts once; a second one is ignored. *ret_is_new tells. */
int store_reading_add(struct store_tx *tx, const struct store_reading *r, bool *ret_is_new,
		      struct err *e);
/* The highest seq held of a node's boot without a gap below it; 0 for none. */
int store_reading_upto(struct store_tx *tx, const char *node, const char *boot, uint64_t *ret,
		       struct err *e);
/* Newest reading of a node. */
int store_reading_last(struct store_tx *tx, struct arena *a, const char *node,
		       struct store_reading *ret, struct err *e);
