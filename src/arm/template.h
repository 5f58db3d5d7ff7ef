/* Template deployments (Microsoft.Resources/deployments), in four layers, a file each and no layer
 * knowing the one after:
 *
 *   template_read.c        bytes -> JSON, leniently: the only place where that is so
 *   template_expr.c,       "[concat('a', parameters('b'))]" -> a value
 *   template_functions.c
 *   template_plan.c        a template and its parameters -> steps: resources in their order
 *   template_world.c       requests as the caller, and what functions ask about
 *   template_deploy.c      steps -> requests, one after another, over restarts
 *   template_api.c         the paths below .../deployments
 *   template_whatif.c      the same steps in a transaction that is rolled back
 *   template_export.c      resources -> a template
 *
 * Everything a template makes is limited: nesting, steps of evaluation, bytes of output, resources.
 * A refusal says where ("resources[2].properties.name"), which expression and which function.
 */
#pragma once

#include "arm/internal.h"

enum {
	TEMPLATE_MAX_DEPTH = 64,     /* of JSON, and of values within values */
	TEMPLATE_MAX_NODES = 200000, /* values in a body */
	TEMPLATE_MAX_NESTING = 128,  /* of expressions in expressions, through variables, too */
	TEMPLATE_MAX_EXPRESSION = 24576,
	TEMPLATE_MAX_STEPS = 2000000,  /* values and calls looked at, a budget */
	TEMPLATE_MAX_BYTES = 32 << 20, /* made by all functions together */
	TEMPLATE_MAX_TEXT = 1 << 20,   /* one text made by a function */
	TEMPLATE_MAX_RESOURCES = 800,  /* copies counted */
	TEMPLATE_MAX_PARAMETERS = 256,
	TEMPLATE_MAX_ARGS = 256,
	TEMPLATE_MAX_MADE =
		128, /* levels of arrays and objects that functions put into each other */
};

/* JSON as people and tools write it: comments, commas before a closing bracket, unquoted names (az
 * pastes a template after `template:`), single quotes, line breaks in texts, a byte order mark. Not
 * lenient: UTF-8, a name twice, numbers, limits. An object; NULL: refused with line and column. */
json_t *template_read(struct arena *a, const void *p, size_t n, struct arm_error *e);

/* --- values ------------------------------------------------------------------------------------- */

/* What functions ask of the world around the template. */
struct template_world {
	void *ctx;
	const char *sub, *rg;     /* of the deployment; rg NULL: at a subscription */
	const json_t *deployment; /* deployment(), borrowed */
	/* subscription() and resourceGroup(): a new reference, NULL: refused. */
	json_t *(*subscription)(void *ctx, struct arm_error *e);
	json_t *(*group)(void *ctx, struct arm_error *e);
	/* A resource as GET shows it: a new reference; NULL: refused. */
	json_t *(*resource)(void *ctx, const char *id, struct arm_error *e);
};

/* The way to the value at hand, for errors; on the C stack. */
struct template_place {
	const char *key; /* NULL: index */
	size_t index;
	const struct template_place *up;
};

struct template_copy {
	const char *name;
	int64_t index;
	const struct template_copy *up;
};

/* What evaluation has cost; TEMPLATE_MAX_STEPS and _BYTES are its limits. */
struct template_budget {
	uint64_t steps;
	size_t bytes;
};

/* One template being evaluated. Values it makes live until template_fini(); those returned are
 * borrowed. */
struct template
{
	struct arena *arena;
	struct arm_error *error;
	const json_t *doc;
	struct template_world world;
	json_t *parameters;  /* name -> value, resolved */
	const json_t *given; /* what they are resolved from: {"p":{"value":..}} */
	/* Only looking ahead: what reference() would give is `unknown`, and what is made from it. */
	bool is_planning;
	/* A nested deployment's, evaluated by the one around it: what is nested in it is that, too. */
	bool is_filled;
	json_t *unknown;
	/* Looking ahead: told of every reference(). */
	void (*referenced)(void *arg, const char *name_or_id);
	void *referenced_arg;
	/* The id of a resource of this template by its name; NULL: none. */
	const char *(*id_of)(void *arg, const char *name);
	void *id_of_arg;

	/* template_expr.c's own */
	json_t *keep, *variables;
	struct map levels; /* address of what was made -> its depth */
	bool has_unknown;
	const struct template_place *place;
	const struct template_copy *copies;
	const char *root; /* what place begins with: "parameters.x" */
	const char *expression, *function;
	unsigned depth, nesting;
	struct template_budget own, *budget; /* budget: own, or one that several share */
};

void template_init(struct template *t, struct arena *a, struct arm_error *e, const json_t *doc,
		   const struct template_world *w); /* t stays where it is */
void template_fini(struct template *t);
#define AUTO_TEMPLATE __attribute__((cleanup(template_fini))) struct template
/* Evaluates every expression in a value. root: what it is, for errors. Borrowed; NULL: refused. */
json_t *template_value(struct template *t, const json_t *in, const char *root);
/* As template_value() of a text that must be known now. */
const char *template_text(struct template *t, const json_t *in, const char *root);
/* Is it unknown, or does it hold something that is? */
bool template_is_unknown(struct template *t, const json_t *v);
/* Refuses: 400 InvalidTemplate, with place, expression and function before the text. */
int template_fail(struct template *t, const char *fmt, ...) PRINTF(2, 3);
/* Makes t the owner of j, and j countable: its bytes. NULL when a limit is passed. */
json_t *template_own(struct template *t, json_t *j, size_t bytes);
/* An array or object has its members now: how deep is it? NULL when a limit is passed. */
json_t *template_filled(struct template *t, json_t *j);
/* Counts a walk over values. False: too many. */
bool template_charge(struct template *t, size_t n);
/* Counts what is copied or read, by its length. */
bool template_charge_bytes(struct template *t, size_t n);
/* The value of a variable, evaluated once. */
json_t *template_variable(struct template *t, const char *name);
/* The value of a parameter (template_plan.c). */
json_t *template_parameter(struct template *t, const char *name);
/* A member by name without case. */
json_t *template_member(const json_t *object, const char *name);

/* --- functions (template_functions.c) ------------------------------------------------------------- */

struct template_function {
	const char *name;
	unsigned min, max;  /* arguments */
	bool takes_unknown; /* is called even when an argument is unknown */
	json_t *(*call)(struct template *t, json_t *const *arg, size_t n); /* NULL: refused */
};
const struct template_function *template_function_find(const char *name, size_t len);
const char *template_kind(const json_t *v); /* "a string" */
bool template_is_true(const json_t *v);     /* conditions */

/* --- plans (template_plan.c) ------------------------------------------------------------------------ */

struct template_step {
	const json_t *def; /* the resource as written */
	const char *id, *fold;
	const char *type, *name; /* full ones: "A/b/c", "x/y" */
	const char *long_name;   /* "A/b/c/x/y" */
	const char *version;
	const char *place; /* "resources[2]" */
	const struct template_copy *copies;
	const char *loop; /* name of its copy loop, or NULL */
	size_t *after;    /* indices of steps that come before this one */
	size_t n_after;
	bool is_deployment;
};

struct template_plan {
	struct template_step *steps;
	size_t n;
	const char **off; /* folds of resources whose condition is false */
	size_t n_off;
};

/* Resolves t->parameters from what was given ({"p":{"value":..}}; NULL: nothing). */
int template_parameters(struct template *t, const json_t *given);
/* {"p":{"type":"String","value":..}}: as shown, without secrets; a new reference. */
json_t *template_parameters_shown(const struct template *t);
/* Is a parameter or an output of a secure type? */
bool template_is_secure(const json_t *def);
/* Every resource in the template, checked as far as can be without running it. ret must outlive t:
 * reference() finds resources by name in it. */
int template_plan_make(struct template *t, struct template_plan *ret);
/* The path of a request for an id: its segments percent-encoded. */
char *template_path(struct arena *a, const char *id);
/* The body of the request that makes it; borrowed. With is_planning it may hold unknown. */
json_t *template_step_body(struct template *t, const struct template_step *s);
/* Evaluates the outputs: {"o":{"type","value"}}; a new reference; NULL: refused. */
json_t *template_outputs(struct template *t);

/* --- the world, as the caller sees it (template_world.c) ---------------------------------------------- */

struct template_caller {
	struct arm_engine *en;
	const struct arm_caller *caller;
	struct store_tx *within; /* NULL: each request its own transaction */
	const char *correlation;
	const char *sub, *rg;
	json_t *sub_json, *group_json; /* asked for once */
};
void template_caller_fini(struct template_caller *w);

struct template_answer {
	int status;
	json_t *body;       /* owned */
	char operation[40]; /* that goes on, or "" */
};
/* A request through the front door. body NULL: none. */
void template_request(struct template_caller *w, enum arm_method m, const char *id,
		      const char *version, const json_t *body, struct template_answer *ret);
void template_answer_fini(struct template_answer *a);
#define AUTO_ANSWER __attribute__((cleanup(template_answer_fini))) struct template_answer
/* The answer's error as a refusal. */
int template_answer_refuse(const struct template_answer *a, struct arm_error *e);
struct template_world template_world_of(struct template_caller *w, const json_t *deployment);

/* --- deployments ---------------------------------------------------------------------------------------- */

#define DEPLOYMENT_TYPE "Microsoft.Resources/deployments"
#define DEPLOYMENT_VERSION "2021-04-01" /* of requests that nobody gave a version */

/* A row's body:
 *   {"state":"Accepted|Running|Succeeded|Failed|Canceled", "op", "correlation", "mode", "location",
 *    "tags", "hash", "ended", "more", "swept", "error":{..},
 *    "onBehalfOf":{..},   for its last event
 *    "steps":[{"id","type","name","verb":"Create|Delete","state":"Waiting|Running|Succeeded|Failed",
 *              "op", "code", "at", "ended", "tries", "due", "error"}]}
 * Beside it, sealed: "request" {"template","parameters","caller"} as it came, with
 * "isFilled" of a nested one when the values of the one around it are in its template; and "shown"
 * {"parameters","providers","dependencies","outputs"}. */
struct deployment_order { /* what a request asks for, checked */
	const char *id, *fold, *sub, *rg, *name;
	bool is_complete;
	bool ids_only; /* what-if: no payloads */
	const char *location;
	const json_t *tags, *template, *parameters;
	json_t *owned; /* a template that came as a text */
};
int deployment_order_read(struct ctx *c, struct deployment_order *ret);

/* Does the path belong to deployments? Then its body is read leniently. */
bool deployments_path(const struct path *p);
int handle_deployments(struct ctx *c, bool *ret_is_mine);
/* Goes on with those that are active, for a short while. */
void deployments_tick(struct arm_engine *en);
/* It is over: its parameters and its caller are not needed any more; nor is a template that the one
 * around it has filled with its own parameters, secure ones among them. */
int deployment_forget(struct store_tx *tx, struct arena *a, const char *fold, struct err *e);
/* A new reference. */
json_t *deployment_json(struct store_tx *tx, struct arena *a, const struct store_deployment *row);
/* deployment(), for expressions; a new reference. */
json_t *deployment_function(struct arena *a, const struct deployment_order *o);
/* {"parameters","providers","dependencies"}; a new reference. */
json_t *deployment_shown(const struct template *t, const struct template_plan *plan);
json_t *deployment_steps(const struct template_plan *plan);
char *deployment_hash(struct arena *a, const json_t *template);
/* Everything a deployment would do, done in a transaction that is rolled back. changes: NULL, or the
 * array to fill (validate: none). */
int template_what_if(struct ctx *c, const struct deployment_order *o, json_t *changes);
/* {"template":{..}} of a group's resources; wanted: ids, NULL: all. */
int template_export(struct ctx *c, struct arm_snapshot *s, const json_t *wanted,
		    const char *options);
