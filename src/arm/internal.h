/* Shared by the files of this folder only. */
#pragma once

#include "arm/engine.h"
#include "base/buf.h"
#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"

#include <pthread.h>

enum {
	MAX_SEGMENTS = 48,
	MAX_BODY = 4 << 20,
	MAX_DEPTH = 32,
	PAGE = 200,
	RETRY_AFTER = 1,
	MAX_BLOCKERS = 50,
};

#define GROUP_TYPE_FOLD "microsoft.resources/resourcegroups"
extern const struct arm_type arm_group_type;
extern const struct arm_provider arm_resources_provider;

/* One registered top-level type. */
struct type_entry {
	const struct arm_type *type;
	const struct arm_provider *provider;
	char *fold; /* "ns/type" */
	bool has_secrets;
};

struct bucket {
	uint64_t key;
	double left;
	int64_t at_us;
};

struct arm_engine {
	struct arm_config cfg;
	struct type_entry *types;
	size_t n_types;
	struct map by_fold; /* "ns/type" -> struct type_entry * */

	pthread_mutex_t lock; /* of what is below */
	struct list calls;    /* struct pending */
	struct bucket buckets[4096];
	char *openapi; /* made once */
	struct mono next_prune;
	char *base_url;
	struct metrics *metrics;

	bool is_deploying; /* a tick goes on with deployments; the next is one thread's at a time */
	char *deploy_after; /* the last one gone on with, when there was no time for all */
};

static inline struct arm_error
error_fresh(const struct arm_engine *en, struct arena *a)
{
	return (struct arm_error){
		.arena = a,
		.base_url = en->base_url,
		.providers = en->cfg.providers,
	};
}

/* --- path.c ---------------------------------------------------------------------------------- */

struct path {
	const char *seg[MAX_SEGMENTS];
	size_t n;
};
/* Splits, drops empty segments, then decodes each. */
int path_parse(struct arena *a, const char *raw, struct path *ret, struct arm_error *e);
/* Decodes %XX (and + when asked); NULL: malformed or not UTF-8. */
char *percent_decode(struct arena *a, const char *s, size_t n, bool plus_is_blank);
/* The named parameter's decoded value (names compare without case), or NULL. */
const char *query_param(struct arena *a, const char *query, const char *name);
char *fold(struct arena *a, const char *s);
char *location_fold(struct arena *a, const char *s);
bool same(const char *a, const char *b); /* without case */
char *token_encode(struct arena *a, const char *fold);
const char *token_decode(struct arena *a, const char *token);
bool is_utf8(const char *s, size_t n);
bool name_is_valid(const struct arm_type *t, const char *name);

/* --- merge.c --------------------------------------------------------------------------------- */

struct merge {
	struct arena *arena;
	struct arm_error *error;
	unsigned n_wrong;
};
/* want for an element (aggregate or child) from a body and what is there (NULL: created). A new
 * reference; NULL when refused. */
json_t *merge_element(struct merge *m, const struct arm_type *t, const json_t *in,
		      const json_t *have, const char *path);
/* Turns what merge has collected into one refusal. */
int merge_result(struct merge *m);
bool type_has_secrets(const struct arm_type *t);
/* Moves the secrets of an element into a parallel object (a new reference), or back. */
json_t *secrets_split(const struct arm_type *t, json_t *element);
void secrets_join(const struct arm_type *t, json_t *element, const json_t *secrets);
/* Calls fn for every reference in an element. */
typedef void ref_fn(void *arg, const struct arm_prop *p, const char *element_fold, const char *kind,
		    const char *to);
void refs_walk(struct arena *a, const struct arm_type *t, const json_t *element,
	       const char *element_fold, ref_fn *fn, void *arg);
const char *type_collection(const struct arm_type *t);
const struct arm_prop *prop_find(const struct arm_prop *props, const char *name);

/* --- overlay.c ------------------------------------------------------------------------------- */

struct object_out {
	const char *node, *kind, *key, *owner;
	json_t *body;
};

struct entry {
	const struct arm_type *type;
	const char *fold;
	bool exists; /* in the store */
	struct store_resource row;
	struct arm_resource have, want;
	bool is_edited, is_loud, is_created, is_removed, is_recompiled, is_done;
	struct entry *next;
};

struct added_ref {
	struct store_ref ref;
	struct added_ref *next;
};

struct object_change {
	struct arm_object_change c;
	struct object_change *next;
};

struct arm_overlay {
	struct map entries; /* fold -> struct entry * */
	struct entry *first, **last;
	json_t *keep; /* array that owns odd JSON */
	struct object_out *out;
	size_t n_out, cap_out;
	const char *emit_owner;
	struct added_ref *added;
	unsigned n_blockers;
	bool is_write;
	bool is_dry; /* node objects that change are noted: */
	struct object_change *changes, **last_change;
	const char *plan_fold; /* owner of claims by default */
	const char *location;
};

void snapshot_init(struct arm_snapshot *s, struct arm_overlay *o, struct arm_engine *en,
		   struct store_tx *tx, struct arena *a, const struct arm_caller *c,
		   struct arm_error *e, int64_t now_us);
void overlay_fini(struct arm_overlay *o);
#define AUTO_OVERLAY __attribute__((cleanup(overlay_fini))) struct arm_overlay
struct entry *entry_get(struct arm_snapshot *s, const char *fold);
/* From a row already read (lists). */
struct entry *entry_from_row(struct arm_snapshot *s, const struct store_resource *row);
const struct arm_resource *entry_now(const struct entry *en);
struct entry *entry_create(struct arm_snapshot *s, const struct arm_type *t, const char *id);
void entry_edit(struct arm_snapshot *s, struct entry *en, bool loud);
void entry_remove(struct entry *en);
int entry_check_in_use(struct arm_plan *p, const char *id_fold, const char *owner_fold);
char *aggregate_fold(struct arena *a, const char *fold);
const struct type_entry *type_of_fold(struct arm_engine *en, const char *type_fold);
char *guid_new(struct arena *a);

/* --- commit.c -------------------------------------------------------------------------------- */

struct outcome {
	const char *operation; /* id, or NULL when nothing was written */
	bool is_settled;
};
/* Writes everything the overlay has: objects, rows, references, operation. */
int overlay_commit(struct arm_snapshot *s, const char *sub, const char *target_fold,
		   const char *what, const json_t *detail, struct outcome *ret, struct err *e);
int operations_settle(struct arm_engine *en);
int operations_prune(struct arm_engine *en);
bool node_is_live(const struct arm_engine *en, const struct store_node *n, int64_t now_us);

/* --- view.c ---------------------------------------------------------------------------------- */

/* The aggregate as shown; a new reference. */
json_t *view_resource(struct arm_snapshot *s, const struct arm_resource *r);
/* A child's part of it; a new reference or NULL. path: after the aggregate, as in the URL. */
json_t *view_element(struct arm_snapshot *s, const struct arm_resource *r, const char *fold);
const char *type_full_name(struct arena *a, const struct arm_type *const *chain, size_t n);

/* --- request handling -------------------------------------------------------------------------- */

/* What one request works with. */
/* The action asked for, for the activity log. */
struct act {
	const char *sub;    /* as sent, or NULL */
	const char *action; /* "Microsoft.Network/expressRouteCircuits/write"; NULL: none yet */
	const char *scope;  /* fold */
};

struct ctx {
	struct arm_engine *en;
	const struct arm_request *req;
	struct arena *a;
	struct arm_error error;
	struct arm_caller caller;
	struct arm_response resp;
	struct path path;
	const char *api_version;
	int64_t now_us;
	json_t *body; /* parsed; NULL if none */
	struct target *target;
	bool *is_pending; /* on arm_handle()'s stack: the answer comes later, by another thread */
	const char *request_id, *correlation_id;
	struct scope *scope; /* scope.c */
	struct act act;
	bool is_logged;               /* an event was added */
	bool is_flat;                 /* errors without their envelope */
	const char *remaining_header; /* throttle.c; NULL: not counted */
	long remaining;
	struct err err;
	struct arm_snapshot *s; /* inside a transaction */
	bool is_dry_run;        /* writes are rolled back and answered with what they would do */
	bool asks_nodes;        /* a dry run's answer waits for them */
	const void *extra;      /* a handler's own, carried through its transaction */
	const char **notify;    /* nodes to tell after the commit */
	size_t n_notify;
	struct arm_call *call; /* an action's, in its transaction */
	arm_done_fn *done;
	void *done_arg;
};

struct target {
	const struct arm_provider *provider;
	const char *sub, *rg; /* as sent, or NULL */
	const struct arm_type *chain[8];
	const char *names[8];
	size_t depth;       /* types */
	bool is_collection; /* the last type has no name */
	const struct arm_action *action;
	const char *arg;
	const char *args[4];
	size_t n_args;
	const char *id, *fold; /* of the element, or of the parent + type for a collection */
	const char *top_id, *top_fold;
	const char *action_prefix; /* "Microsoft.Network/expressRouteCircuits/peerings" */
};

void resp_header(struct ctx *c, const char *name, const char *value);
bool may(struct ctx *c, struct store_tx *tx, const char *action, const char *scope);
/* 403 in ARM's words. */
int deny(struct ctx *c, const char *action, const char *scope);
/* Subscription visible (404), action allowed (403), scope not locked against it (409). */
int authorise(struct ctx *c, struct store_tx *tx, const char *sub, const char *action,
	      const char *scope);
/* As authorise() without the last. */
int authorise_unlocked(struct ctx *c, struct store_tx *tx, const char *sub, const char *action,
		       const char *scope);
/* api-version: there, a date, not before the floor. */
int version_check(struct ctx *c, const char *floor);
int reading(struct ctx *c, int (*fn)(struct ctx *c, struct arm_snapshot *s));
int writing(struct ctx *c, int (*fn)(struct ctx *c, struct arm_snapshot *s));
/* What both run: fn on a fresh snapshot; then, if given, dry_run, after which all is rolled back. */
struct transaction {
	struct ctx *c;
	int (*fn)(struct ctx *c, struct arm_snapshot *s);
	int (*dry_run)(struct ctx *c, struct arm_snapshot *s);
	bool is_write;
};
int transaction_run(struct store_tx *tx, void *arg, struct err *e);
char *url(struct ctx *c, const char *fmt, ...) PRINTF(2, 3);
int check_if_match(struct ctx *c, const struct arm_resource *r);

int handle_extension(struct ctx *c, const struct arm_extension *x, size_t n_scope);
void respond_error(struct ctx *c);
void request_finish(struct ctx *c, int r);
int location_check(struct ctx *c, struct arm_snapshot *s, const char *location, const char *code);
json_t *tags_merge(struct merge *m, const json_t *in);
int type_plan(struct arm_plan *p);
int resource_delete(struct ctx *c, struct arm_snapshot *s, struct entry *en);
int handle_resource(struct ctx *c);                    /* resource.c: c->target is set */
int handle_action(struct ctx *c);                      /* action.c */
int handle_platform(struct ctx *c, bool *ret_is_mine); /* platform.c */
int handle_operation(struct ctx *c, const char *sub, const char *id, bool results);
void operation_headers(struct ctx *c, const char *ns, const char *location, const char *op,
		       bool with_location);

/* --- metrics.c ------------------------------------------------------------------------------- */

struct metrics *metrics_create(void);
void metrics_destroy(struct metrics *m);
/* Lets the providers take samples of what a node has told. */
void metrics_feed(struct arm_engine *en, const char *node, const json_t *state,
		  const json_t *entries);
void metrics_flush(struct arm_engine *en, bool all);
/* Forgets targets and counters that nothing was heard of for an hour. */
void metrics_drop_idle(struct metrics *m, int64_t now_us);
struct metrics_held {
	size_t targets, counters, lines; /* lines: that wait for the store */
};
struct metrics_held metrics_held(struct metrics *m);
int metrics_prune(struct store_tx *tx, int64_t now_us, struct err *e);
int handle_metrics(struct ctx *c);

/* --- stream.c -------------------------------------------------------------------------------- */

int handle_stream(struct ctx *c, bool *ret_is_mine);
/* Tells streams: state is a provisioningState, or "Deleted". */
int stream_resource(struct arm_snapshot *s, const struct arm_resource *r, const char *state);
int stream_operation(struct arm_snapshot *s, const struct store_operation *op);
/* "EPOCH.REV" of this epoch: the revision; else -1. */
int64_t arm_cursor_rev(const struct arm_engine *en, const char *cursor);

/* --- dry_run.c ------------------------------------------------------------------------------- */

/* Reads ?dryRun into the context. */
int dry_run_parse(struct ctx *c);
/* As writing(), rolled back: the answer is what it would have changed. */
int dry_run_writing(struct ctx *c, int (*fn)(struct ctx *c, struct arm_snapshot *s));
/* Notes that a node's object would change; before, after: new references, taken. */
void dry_run_object(struct arm_snapshot *s, const struct store_object *o, json_t *before,
		    json_t *after);
extern const struct arm_action dry_run_action;

/* --- scope.c: {scope}/providers/NS/WORD/... of the engine itself ------------------------------- */

struct scope {
	const char *shown; /* as sent, "" for none */
	const char *fold;  /* "/" for none */
	const char *sub, *rg;
	bool is_subscription, is_group, is_resource;
	const char *const *seg; /* after WORD */
	size_t n_seg;
};
struct scoped {
	const char *ns, *word, *floor;
	int (*handle)(struct ctx *c); /* c->scope is set */
	bool is_flat;                 /* errors as Microsoft.Insights has them */
};
int handle_scoped(struct ctx *c, bool *ret_is_mine);
/* 404 when the group or resource is absent. */
int scope_check(struct ctx *c, struct arm_snapshot *s);
int handle_locks(struct ctx *c);
int handle_tags(struct ctx *c);
int handle_activity(struct ctx *c);
int handle_tag_names(struct ctx *c);

/* $expand: references replaced by what they name. body: taken and returned; NULL is fine. */
json_t *expand(struct ctx *c, struct arm_snapshot *s, json_t *body); /* expand.c */

/* One request less for the caller; 429 when none is left. */
int throttle(struct ctx *c); /* throttle.c */

/* --- list.c ---------------------------------------------------------------------------------- */

struct filter;
struct page {
	size_t size;
	const char *after; /* of the last one seen, or NULL */
};
/* $top and $skipToken. */
int page_read(struct ctx *c, struct page *ret);
char *next_link(struct ctx *c, const char *after);
/* {"value": .., "nextLink": ..}; value: taken. after NULL: the last page. */
void page_answer(struct ctx *c, json_t *value, const char *after);
/* One row's element, a new reference; NULL: not shown. */
typedef json_t *page_fn(void *arg, struct arm_snapshot *s, const struct store_resource *row);
int page_rows(struct ctx *c, struct arm_snapshot *s, const struct page *p, struct store_filter f,
	      page_fn *show, void *arg);
/* A page of elements with names. */
void page_array(struct ctx *c, const struct page *p, const json_t *list);
/* tagName and tagValue in a filter. */
bool tag_matches(const struct filter *all, const struct filter *leaf, const json_t *tags);
int resources_run(struct ctx *c, struct arm_snapshot *s);

/* --- group.c, provider.c, operation.c ---------------------------------------------------------- */

int groups_run(struct ctx *c, struct arm_snapshot *s);
int handle_group(struct ctx *c);
int group_delete(struct ctx *c, struct arm_snapshot *s);
int handle_move(struct ctx *c);
int providers_run(struct ctx *c, struct arm_snapshot *s);
int handle_registration(struct ctx *c);
/* 409 when the target's subscription is not registered for its namespace. */
int registration_check(struct ctx *c, struct arm_snapshot *s);
int handle_group_operation(struct ctx *c);

/* --- lock.c ---------------------------------------------------------------------------------- */

extern const struct arm_type arm_lock_type;
/* DELETE: of the scope itself, so a lock under it holds it, too; DELETE_INSIDE: of something at it that
 * is no resource. */
enum lock_verb { LOCK_WRITE, LOCK_DELETE, LOCK_DELETE_INSIDE };
/* 409 ScopeLocked, naming the locks. scope: fold. */
int lock_check(struct ctx *c, struct store_tx *tx, const char *scope, enum lock_verb verb);

/* --- activity.c ------------------------------------------------------------------------------ */

/* One event of this request. status: "Succeeded", "Accepted". */
/* Whose the subscription is, when not of the caller's tenant: {"tenantId","principalId"}, a new
 * reference; else NULL. */
json_t *event_on_behalf(struct ctx *c, struct store_tx *tx, const char *sub);
int event_add(struct ctx *c, struct store_tx *tx, const char *sub, const char *rg,
	      const char *target, const char *action, const char *status);
/* What an operation's detail keeps so that event_settled() can add the second event; a new
 * reference: {"event":{..}}. */
json_t *event_note(struct ctx *c, struct store_tx *tx, const char *sub, const char *rg,
		   const char *target, const char *action);
int event_settled(struct store_tx *tx, const json_t *detail, int64_t now_us, const char *status,
		  struct err *e);
/* After a request: the event of a refusal, or of an action without a transaction. */
void event_after(struct ctx *c, int r);

/* --- agent.c ----------------------------------------------------------------------------------- */
struct arm_ask;
void calls_expire(struct arm_engine *en);
void calls_drop(struct arm_engine *en);
json_t *queries_take(struct arm_engine *en, const char *node);
/* Too many questions of this caller wait: refuses. */
int waiting_check(struct ctx *c);
void asks_release(struct arm_ask *asks);
int pending_start(struct ctx *c, struct arm_call *call, const char *operation);
struct arm_ask {
	const char *id, *node, *kind, *tag;
	json_t *object, *result;
	const char *status;
	size_t limit;
	struct mono sent;
	bool is_sent, is_over;
	struct arm_ask *next;
};
