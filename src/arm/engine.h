/* The engine: one per controller. Given a store, an authoriser and providers' tables, it answers
 * requests. It owns no socket, no thread and no clock of its own; http calls it from its workers.
 *
 * arm_handle() may finish at once or later (a GET waiting for nodes' answers): it calls done exactly
 * once, from the calling thread or from a later arm_tick() or arm_agent_answer().
 *
 * Threads: all functions may be called from any thread.
 */
#pragma once

#include "arm/request.h"
#include "arm/type.h"
#include "base/mono.h"
#include "store/store.h"

/* Who is who, and who may do what: identity fills this in. */
struct arm_auth {
	void *ctx;
	/* Reads the Authorization header. Refuses (401 and WWW-Authenticate is the engine's). */
	int (*authenticate)(void *ctx, struct arena *a, const char *authorization, int64_t now_us,
			    struct arm_caller *ret, struct arm_error *e);
	/* scope: folded id, or "/". */
	bool (*may)(void *ctx, struct store_tx *tx, struct arena *a, const struct arm_caller *c,
		    const char *action, const char *scope);
	/* Has the caller any role at, above or below this subscription? */
	bool (*sees)(void *ctx, struct store_tx *tx, struct arena *a, const struct arm_caller *c,
		     const char *sub);
	/* Through which principal (himself, or a group) the caller sees it: when he is of another
	 * tenant, on whose mandate he acts there. NULL: he does not. */
	const char *(*through)(void *ctx, struct store_tx *tx, struct arena *a,
			       const struct arm_caller *c, const char *sub);
	/* The subscriptions he sees, of any tenant, by id, after one; at most limit. */
	int (*subscriptions)(void *ctx, struct store_tx *tx, struct arena *a,
			     const struct arm_caller *c, const char *after, size_t limit,
			     struct store_subscription **ret, size_t *n, struct err *e);
};

/* A namespace that follows any scope: {scope}/providers/NS/... (roles, locks, tags). */
struct arm_extension_call {
	struct arm_snapshot *s;
	enum arm_method method;
	const char *scope;       /* folded; "/" for none */
	const char *scope_shown; /* as sent, "" for none */
	const char *sub;         /* as sent, or NULL */
	const char *const *seg;  /* after the namespace */
	size_t n_seg;
	const char *query;
	const json_t *body; /* NULL: none */
	int status;         /* out; 0: 200 */
	json_t *result;     /* out, a new reference */
	/* out: further subscriptions in whose activity logs a write is told, since it is about them;
	 * ended by NULL, NULL for none */
	const char *const *about;
};
struct arm_extension {
	const char *ns, *floor;
	void *ctx;
	/* PUT, PATCH, DELETE, POST run in a writing transaction. Checks arm_may() itself; refuses
	 * through x->s->error. */
	int (*handle)(void *ctx, struct arm_extension_call *x);
};
/* Value of a parameter in a query string, decoded, or NULL. */
const char *arm_query(struct arena *a, const char *query, const char *name);

struct arm_config {
	struct store *store;
	const struct arm_extension *extensions; /* ended by ns NULL; NULL: none */
	struct arm_auth auth;
	const char *base_url; /* "https://localhost:8443": absolute URLs are made from it */
	const struct arm_provider *const *providers; /* NULL-terminated */
	arm_locations_fn *locations;
	void *ctx;       /* arm_snapshot.ctx */
	int converge_ms; /* how long an operation waits for live nodes; 0: 30000 */
	unsigned reads_per_hour,
		writes_per_hour; /* of one principal; 0: 36,000,000 and 3,600,000 */
	int live_ms;             /* a node is live if seen this recently; 0: 30000 */
	/* Called after a commit that changed this node's objects, and when a query is put to it. */
	void (*node_changed)(void *ctx, const char *node);
	void *node_changed_ctx;
};

struct arm_engine;
int arm_engine_create(const struct arm_config *cfg, struct arm_engine **ret, struct err *e);
void arm_engine_destroy(struct arm_engine *e);
CLEANUP(arm_engine)

/* The OpenAPI 3.0 document of all that is offered, as JSON; made at the first call, the engine's. */
const char *arm_openapi(struct arm_engine *en, size_t *ret_len);

typedef void arm_done_fn(void *arg, struct arm_response *resp);
/* resp is the engine's until done, then the callee's (arm_response_fini()). */
void arm_handle(struct arm_engine *en, const struct arm_request *req, arm_done_fn *done, void *arg);
/* Settles operations, expires waiting questions, prunes. Call every 200 ms or so. */
void arm_tick(struct arm_engine *en);

/* Runs a plan of the controller's own (no caller, no authorisation), for bootstrap and for news from
 * nodes: fn gets a plan without aggregate (have, want NULL) and changes what it likes. */
int arm_run(struct arm_engine *en, int (*fn)(struct arm_plan *p, void *arg), void *arg,
	    struct err *e);
/* As arm_run() for reading only. */
int arm_look(struct arm_engine *en, int (*fn)(struct arm_snapshot *s, void *arg), void *arg,
	     struct err *e);
/* Compiles every aggregate anew. dry: changes nothing. ret_n: nodes with objects that differed. */
int arm_recompile_all(struct arm_engine *en, bool dry, size_t *ret_n, struct err *e);

/* --- the agents' side (DESIGN: controller and agents) ------------------------------------------- */

/* What a node gets for its cursor ("EPOCH.REV" or ""): {"cursor","snapshot","objects","queries"}.
 * *ret_is_news: false when nothing has changed and no question waits (then the request may be
 * parked until node_changed). */
int arm_agent_poll(struct arm_engine *en, const char *node, const char *cursor, json_t **ret,
		   bool *ret_is_news, struct err *e);
/* {"applied":"EPOCH.REV","errors":[..],"state":{..}} */
int arm_agent_report(struct arm_engine *en, const char *node, const json_t *report, struct err *e);
/* {"id","status","text","result"} */
int arm_agent_answer(struct arm_engine *en, const char *node, const json_t *answer, struct err *e);
/* {"entries":[{"boot","sequence",...}]} -> {"acknowledged":{"boot","sequence"}}: the last entry
 * of the batch, stored for good. A repeated entry counts once. */
int arm_agent_readings(struct arm_engine *en, const char *node, const json_t *readings,
		       json_t **ret, struct err *e);
