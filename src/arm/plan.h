/* What a type's hooks work with: a snapshot to read, a plan to change.
 *
 * A plan is pure: it reads through the snapshot, writes only through the functions here, takes time
 * and randomness from the plan, and so can run again. Several aggregates may be written in one
 * plan; all is committed in one transaction or nothing. A plan refuses before it changes.
 *
 * Ids may be given in any case and with // inside; they are folded. JSON returned as const must
 * not be changed; JSON got by arm_edit() may be.
 */
#pragma once

#include "arm/error.h"
#include "base/err.h"

struct arm_type;
struct arm_engine;
struct store_tx;

enum arm_method { ARM_GET, ARM_PUT, ARM_PATCH, ARM_DELETE, ARM_POST, ARM_HEAD };

/* Who asks. Filled in by the authenticator. */
struct arm_caller {
	const char *oid;    /* object id; "system" for the engine itself */
	const char *app_id; /* client id */
	const char *tenant;
	const char *name;
};

/* --- reading --------------------------------------------------------------------------------- */

struct arm_snapshot {
	struct arm_engine *engine;
	struct store_tx *tx;
	struct arena *arena; /* lives as long as the request */
	const struct arm_caller *caller;
	struct arm_error *error; /* for arm_refuse(s->error, ...) */
	int64_t now_us;
	struct arm_overlay *overlay; /* the engine's: what this transaction has read and changed */
	void *ctx;                   /* arm_config.ctx: the provider's own (its catalogue) */
	const void *memo;  /* the provider's: what it has found once for this transaction; NULL */
	const char *query; /* as sent, "" for none: arm_query() (engine.h) */
};

struct arm_resource {
	const struct arm_type *type;
	const char *id;              /* as created */
	const char *fold;            /* lower case */
	const char *sub, *rg, *name; /* as created; "" for none */
	const char *tenant;
	const char *etag;
	int64_t rev;
	bool is_updating, is_deleting;
	/* {"location","tags","sku",..,"properties":{..}} with secrets in place and children inline as
	 * {"name","properties"}. No id, etag, type, provisioningState: the engine adds them. */
	json_t *body;
	/* The type's own state, never shown: {"number":17}. An object. */
	json_t *hidden;
};

/* NULL: absent. Sees what this plan has changed. id may be a child's: its aggregate is returned. */
const struct arm_resource *arm_get(struct arm_snapshot *s, const char *id);
/* The child element (or, for an aggregate's id, its body); NULL: absent. ret_r may be NULL. */
json_t *arm_get_element(struct arm_snapshot *s, const char *id, const struct arm_resource **ret_r);
/* All of a type, by sub ("" or NULL: everywhere) and after a fold; at most limit (<= 1000). Sees
 * what this plan has changed. Returns their number; stored ones only in order of fold. */
size_t arm_list(struct arm_snapshot *s, const struct arm_type *t, const char *sub,
		const char *after, size_t limit, const struct arm_resource ***ret);

struct arm_referrer {
	const char *owner; /* fold of the aggregate */
	const char *from;  /* fold of the element that holds the reference */
	const char *to;    /* fold */
	const char *kind;  /* property: "properties.virtualNetworkGateway1",
			      "properties.ipConfigurations.properties.subnet"; in a child:
			      "properties.<collection>.properties.x" */
};
/* Who refers to this id (below: or to anything under it). kind NULL: any. Every ARM_REF property is
 * recorded by the engine; aggregates being deleted do not count. */
size_t arm_referrers(struct arm_snapshot *s, const char *to, bool below, const char *kind,
		     struct arm_referrer **ret);
/* Fold of who holds it, or NULL. */
const char *arm_claim_owner(struct arm_snapshot *s, const char *space, const char *value);
/* May the caller do this action on this scope (an id or "/")? */
bool arm_may(struct arm_snapshot *s, const char *action, const char *scope);
/* Refuses with 403 AuthorizationFailed in ARM's words. */
int arm_deny(struct arm_snapshot *s, const char *action, const char *scope);

/* Has this node been heard of lately? */
bool arm_node_is_live(struct arm_snapshot *s, const char *node);

/* --- changing --------------------------------------------------------------------------------- */

enum arm_verb { ARM_VERB_CREATE, ARM_VERB_UPDATE, ARM_VERB_TAGS, ARM_VERB_DELETE, ARM_VERB_SETTLE };

struct arm_plan {
	struct arm_snapshot *s;
	enum arm_verb verb;              /* what happens to the *aggregate* */
	const struct arm_type *type;     /* of the aggregate */
	const struct arm_resource *have; /* before; NULL when created */
	struct arm_resource *want; /* after, merged and valid by the tables; edit want->body and
					     want->hidden freely; NULL when the aggregate is deleted */
	/* What the request addressed, if a child: its type, full id, and have/want elements. */
	const struct arm_type *child;
	const char *child_id;
	const char *location; /* of the aggregate, folded */
};

/* Another aggregate to change in this transaction; NULL: absent. The same pointer every time. Its
 * etag is renewed. */
struct arm_resource *arm_edit(struct arm_plan *p, const char *id);
/* As arm_edit() but the etag and rev stay: bookkeeping in hidden. */
struct arm_resource *arm_edit_quietly(struct arm_plan *p, const char *id);
/* A new one (body and hidden are empty objects). The id must not exist; its subscription must, its
 * resource group is made when absent (with the location given). */
struct arm_resource *arm_create(struct arm_plan *p, const struct arm_type *t, const char *id,
				const char *location);
/* Deletes another aggregate with this plan (settles with the same operation). */
int arm_remove(struct arm_plan *p, const char *id);

/* Claims belong to the aggregate named by owner (its id; NULL: the plan's own) and go with its row,
 * once live nodes have confirmed. arm_claim() returns -EEXIST when another has it (the caller
 * refuses in his own words; ret_owner may be NULL). */
int arm_claim(struct arm_plan *p, const char *owner, const char *space, const char *value,
	      const char **ret_owner);
int arm_unclaim(struct arm_plan *p, const char *space, const char *value);
/* Finds a free number in lo..hi, claims it. -ENOSPC when none is left. */
int arm_claim_number(struct arm_plan *p, const char *owner, const char *space, uint64_t lo,
		     uint64_t hi, uint64_t *ret);
/* Compile this aggregate too: something it reads has changed. Absent ids are fine. */
void arm_recompile(struct arm_plan *p, const char *id);
/* A random GUID, lower case. */
const char *arm_new_guid(struct arm_plan *p);
/* A further reference beside the ARM_REF properties; from NULL: the plan's aggregate. */
void arm_add_ref(struct arm_plan *p, const char *from, const char *to, const char *kind);
/* One thing that must go first, by DELETE of id. The plan goes on and collects; the engine then
 * answers with type.in_use_status/in_use_code and the whole list, each with its call. */
void arm_block(struct arm_plan *p, const char *id, const char *fmt, ...) PRINTF(3, 4);
/* Has something blocked already? Then return before changing anything: a deletion that is refused may be
 * tried again in the same transaction, after others (a whole group's). */
bool arm_is_blocked(const struct arm_plan *p);
/* As arm_block(), removed by another request: arm_error_block() says what path and body are. */
void arm_block_call(struct arm_plan *p, const char *id, const char *method, const char *path,
		    const char *body, const char *fmt, ...) PRINTF(6, 7);

/* In compile(): one object for one node. body: a new reference, taken. Objects that an aggregate no
 * longer emits become tombstones; unchanged ones keep their revision. */
void arm_emit(struct arm_snapshot *s, const char *node, const char *kind, const char *key,
	      json_t *body);

/* Tells the event streams of target's aggregate and of its subscription. body: a new reference,
 * taken; no secrets. In a writing transaction. */
int arm_tell(struct arm_snapshot *s, const char *target, const char *kind, json_t *body);

/* --- calls: actions and reads ----------------------------------------------------------------- */

struct arm_answer {
	const char *node;
	const char *tag;    /* as given to arm_call_ask() */
	bool is_in;         /* false: the node did not answer in time, or is not connected */
	const char *status; /* "ok" or an error word of the node */
	json_t *result;     /* borrowed */
};

struct arm_call {
	struct arm_snapshot *s;
	const struct arm_resource *r; /* the aggregate; NULL for a provider's reads */
	json_t *element;              /* the addressed element's JSON (child or body); borrowed */
	const char *id;               /* of the element */
	const char *sub;              /* as in the URL */
	const char *arg;              /* last segment if has_arg, else NULL */
	const char *const *args;      /* segments matched by '?' in a provider's read */
	size_t n_args;
	const json_t *body;               /* of the POST; NULL if empty */
	const char *query;                /* as sent: arm_call_query() */
	json_t *result;                   /* out */
	int deadline_ms;                  /* for answers; default 10000, GET 3000 */
	const struct arm_answer *answers; /* in `answered` */
	size_t n_answers;
	struct arm_ask *asks; /* the engine's */
};
/* Value of a query parameter, decoded, or NULL. */
const char *arm_call_query(const struct arm_call *c, const char *name);
/* Puts a question to a node (fabric/agent.h: kinds arp, routes, routes_summary, stats,
 * effective_routes). object: a JSON string or object naming what is asked about; a new reference,
 * taken. tag comes back with the answer. */
void arm_call_ask(struct arm_call *c, const char *node, const char *kind, json_t *object,
		  size_t limit, const char *tag);

/* --- helpers on bodies -------------------------------------------------------------------------- */

/* By dotted path: "properties.serviceProviderProperties.bandwidthInMbps". NULL, def: absent or of
 * another type. */
json_t *arm_at(const json_t *j, const char *path);
const char *arm_str(const json_t *j, const char *path, const char *def);
int64_t arm_int(const json_t *j, const char *path, int64_t def);
bool arm_bool(const json_t *j, const char *path, bool def);
/* Sets (making objects on the way); takes the reference. NULL or json_null() removes. */
void arm_set(json_t *j, const char *path, json_t *value);
/* "properties.subnet.id" and the like: the id in a reference, or NULL. */
const char *arm_ref(const json_t *j, const char *path);
/* The child of this name (without case) in properties.<collection> of a body; NULL: absent. */
json_t *arm_child(const json_t *body, const char *collection, const char *name);

/* --- ids ------------------------------------------------------------------------------------------ */

/* Lower case, single slashes, no trailing slash. */
char *arm_id_fold(struct arena *a, const char *id);
bool arm_id_equal(const char *a, const char *b);
/* The n-th last segment, 0: the name. "" if there are not so many. */
const char *arm_id_segment(struct arena *a, const char *id, unsigned n_from_end);
/* "/subscriptions/S/resourceGroups/G/providers/NS/type/name". */
char *arm_id_make(struct arena *a, const char *sub, const char *rg, const struct arm_type *t,
		  const char *name);
