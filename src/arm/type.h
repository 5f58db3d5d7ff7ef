/* Resource types as tables. The engine reads them and does the rest: names, validation, merging of
 * PUT bodies, children, secrets, references, ETags, operations, lists. A provider's code holds
 * tables, a plan, a compile and a view per aggregate, and nothing about HTTP, store or JSON forms.
 *
 * An *aggregate* is a top-level resource with its children inside; one row, one etag.
 *
 * Order of a write (all inside one store transaction, which may be run again):
 *   authorise -> validate body by tables -> want = merge(have, body) -> child checks
 *   -> type.plan(p) -> references checked (exist, join allowed), written
 *   -> every aggregate written by the plan is compiled -> node objects diffed and written
 *   -> operation, event -> commit -> answer -> nodes report -> settled.
 */
#pragma once

#include "arm/metrics.h"
#include "arm/plan.h"

enum arm_kind {
	ARM_STRING,
	ARM_INT,
	ARM_NUMBER,
	ARM_BOOL,
	ARM_OBJECT, /* .props */
	ARM_LIST,   /* .item (and .props for a list of objects); objects with "name" are matched by
			 name so that read-only and kept values survive a PUT */
	ARM_MAP,    /* string -> string */
	ARM_REF,    /* {"id": "..."}; other content is ignored. .ref_type, .join */
	ARM_CHILDREN, /* inline children: .child is their type */
	ARM_ANY,      /* taken as it is */
};

enum arm_flag {
	ARM_REQUIRED = 1,  /* must be present (after merging) */
	ARM_READ_ONLY = 2, /* ignored in a body; plan (stored) or view (computed) sets it */
	ARM_FIXED = 4,     /* cannot change once set: 400 PropertyChangeNotAllowed */
	ARM_KEEP = 8,      /* absent keeps what is there; null clears. Children: adds and changes,
			       never removes (without it: exactly what is sent, unless the whole
			       array is absent) */
	ARM_SECRET = 16,   /* stored sealed, never shown; absent keeps, "" clears. plan and compile
			       see it in place like any string */
	ARM_SHOWN_TO_WRITERS =
		32,            /* with ARM_SECRET: shown to callers who may write this element */
	ARM_LOOSE = 64,        /* ARM_REF: need not exist, does not block its target's deletion */
	ARM_UNIQUE_FOLD = 128, /* string compared and stored in lower case */
};

struct arm_prop {
	const char *name; /* NULL ends a table */
	enum arm_kind kind;
	unsigned flags;
	int64_t min, max;         /* INT, NUMBER: value; STRING: length; LIST, CHILDREN: items.
				       Both 0: the engine's own caps (strings 4096, lists 4096) */
	const char *const *words; /* STRING: allowed, NULL-terminated; compared without case,
				       stored as spelled here */
	const char *def;          /* JSON text used when absent and nothing is kept */
	const struct arm_prop *props;
	enum arm_kind item;
	const struct arm_type *child;
	const char *ref_type; /* ARM_REF: "Microsoft.Network/virtualNetworks/subnets" or NULL */
	const char *join;     /* action on the target: "Microsoft.Network/virtualNetworks/
				       subnets/join/action"; NULL: none asked */
	/* STRING (also items of a LIST of strings): a further rule. e: "must be ..." */
	int (*check)(const char *text, struct err *e);
};

enum arm_type_flag {
	ARM_TRACKED = 1,        /* has location and tags; location required */
	ARM_TENANT_LEVEL = 2,   /* /providers/NS/type/name, no subscription */
	ARM_NO_CREATE = 4,      /* PUT changes, never creates: 404; appears by another's plan */
	ARM_NO_DELETE = 8,      /* 405 */
	ARM_NO_PUT = 16,        /* 405 */
	ARM_PUT_IS_200 = 32,    /* even when it creates */
	ARM_LOCATION_FREE = 64, /* the location is not checked against the offered ones */
	ARM_PATCH_IS_LRO = 128, /* clients poll a PATCH as they do a PUT */
};

struct arm_action {
	/* What follows the resource: "stats", "sharedkey/reset"; NULL ends a table. One name may
	 * stand several times, with different methods. */
	const char *name;
	enum arm_method method; /* ARM_GET, ARM_POST, ARM_PUT */
	bool has_arg;           /* one more segment follows: /arpTables/primary */
	const char *action;     /* RBAC; NULL: {type}/{name}/action, for GET {type}/{name}/read */
	/* Either sets c->result (a new reference) and is done: 200. Or asks nodes by arm_call_ask(),
	 * then `answered` is called once with the answers: a POST becomes an operation (202), a GET
	 * waits for them, c->deadline_ms at most. */
	int (*run)(struct arm_call *c);
	int (*answered)(struct arm_call *c);
	/* Instead of run: changes the aggregate, in a writing transaction, by a plan of its own (verb
	 * UPDATE; the type's plan is not asked). c->result set: 200 with it, else 202. */
	int (*write)(struct arm_plan *p, struct arm_call *c);
};

struct arm_type {
	const char *ns;   /* "Microsoft.Network" */
	const char *name; /* "expressRouteCircuits"; child: "peerings" */
	unsigned flags;
	unsigned name_max;          /* 0: 80 */
	const char *const *names;   /* the only names allowed (compared without case), or NULL */
	const struct arm_prop *top; /* beside properties: sku, zones; location, tags are built in */
	const struct arm_prop *props;           /* properties */
	const struct arm_type *const *children; /* NULL-terminated; may have children themselves */
	const char *collection; /* child: the array in the parent's properties; NULL: name */
	const struct arm_action *actions;
	/* Answer when another aggregate refers to what is to be deleted: NULL: 409 "Conflict". */
	const char *in_use_code;
	int in_use_status;

	/* Child: one child is created (have NULL), changed, or removed (want NULL). May edit want:
	 * {"name", "properties", ...}. id is its full id. Runs before the aggregate's plan. */
	int (*check)(struct arm_plan *p, const char *id, json_t *have, json_t *want);
	/* Aggregate: is this change allowed now, and what else follows? See plan.h. May be NULL. */
	int (*plan)(struct arm_plan *p);
	/* Aggregate -> node objects, by arm_emit(). Pure in the aggregate and what it reads by
	 * arm_get(): runs for every aggregate written or named by arm_recompile(). May be NULL. */
	int (*compile)(struct arm_snapshot *s, const struct arm_resource *r);
	/* Fills in what is computed on reading (reverse references, the other party's fields). out
	 * is the whole body as it will be shown; secrets are already out. May be NULL. */
	int (*view)(struct arm_snapshot *s, const struct arm_resource *r, json_t *out);
	/* Dotted paths into the body as it is shown, which an event stream tells with every change;
	 * NULL-terminated, or NULL. No secrets. */
	const char *const *watched;
	const struct arm_metric *metrics; /* metrics.h; name NULL ends it; NULL: none */
	/* The last affected live node has reported (want NULL: and the row goes now). May write like
	 * a plan, but nothing is compiled. have NULL: created without waiting. May be NULL. */
	int (*settled)(struct arm_plan *p);
};

/* --- dry runs (dry_run.c) ---- */

/* before NULL: it would be created; after NULL: it would go. */
struct arm_resource_change {
	const struct arm_resource *before, *after;
};
struct arm_object_change {
	const char *node, *kind, *key;
	const char *owner; /* fold of the aggregate that it is compiled from */
	const json_t *before, *after;
	bool is_hidden; /* the caller may not read the owner: to be counted, not shown */
};
/* What a write would do, while it is not yet rolled back. */
struct arm_foresight {
	struct arm_snapshot *s; /* sees the changes; for arm_may() */
	const struct arm_resource_change *resources;
	size_t n_resources;
	const struct arm_object_change *objects;
	size_t n_objects;
	json_t *report;        /* what will be answered: add to it */
	struct arm_call *call; /* for arm_call_ask(); NULL: nodes are not asked */
};

/* A resource provider namespace. */
struct arm_provider {
	const char *ns;
	const char *floor;                   /* oldest api-version served, "2015-01-01" */
	const struct arm_type *const *types; /* NULL-terminated, top-level ones */
	/* Under SUB/providers/NS/: reads that are not resources. One pattern each:
	 * "expressRouteServiceProviders", "locations/?/usages" ('?' matches one; c->args holds it). */
	const struct arm_action *reads;
	/* A node has reported another "state" (fabric/agent.h) than before: arm_tell() who should
	 * know. before, after: may be NULL. Runs in a writing transaction. May be NULL. */
	int (*reported)(struct arm_snapshot *s, const char *node, const json_t *before,
			const json_t *after);
	/* A node has reported its state, or handed in journal entries (fabric/journal.h; the other is
	 * NULL): arm_metric_add(). Reads only. May be NULL. */
	void (*sample)(struct arm_snapshot *s, const char *node, const json_t *state,
		       const json_t *entries);
	/* Words in node objects whose values are secret; NULL-terminated, or NULL. */
	const char *const *object_secrets;
	/* Adds to a dry run's report what the provider knows of the consequences. May be NULL. */
	void (*foresee)(struct arm_foresight *f);
	/* The nodes that foresee() has asked have answered, or have not: the report goes out. */
	void (*foreseen)(struct arena *a, json_t *report, const struct arm_answer *answers,
			 size_t n);
};

/* The offered locations: [{"name","displayName","regionalDisplayName","metadata":{..}}]; a new
 * reference. Given to the engine by whoever knows them. */
typedef json_t *arm_locations_fn(struct arm_snapshot *s, void *ctx);
