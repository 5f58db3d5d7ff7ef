/* A request and its answer without HTTP's own words: what the binding fills in and sends. */
#pragma once

#include "arm/plan.h"

struct arm_stream;
struct arm_request {
	struct arena *arena; /* lives until the answer is sent */
	enum arm_method method;
	const char *path;  /* as received, still percent-encoded, without the query */
	const char *query; /* as received, without '?'; "" if none */
	const void *body;
	size_t body_len;
	/* Headers; NULL: absent. */
	const char *authorization, *if_match, *if_none_match;
	const char *client_request_id, *correlation_id;
	const char *remote; /* address for the activity log */
	/* Who asks, when that is known already (a deployment's requests): authorization is not looked
	 * at, what he may do is. Never set for a request from outside. */
	const struct arm_caller *as;
	/* Everything happens inside this transaction and is its owner's to keep or to roll back:
	 * nothing is committed, no node is told (what-if). NULL: a transaction of its own. */
	struct store_tx *within;
	/* A write is authorised, planned, validated, compiled and then rolled back; the answer says
	 * what would change (dry_run.c). ?dryRun=true does the same and asks live nodes, too, so its
	 * answer may come later; with this field the answer comes at once. */
	bool is_dry_run;
	struct arm_stream *stream; /* stream.h; NULL: a request for one is refused */
};

struct arm_header {
	const char *name, *value;
};

#define ARM_MAX_HEADERS 20
struct arm_response {
	int status;
	json_t *body; /* NULL: none. Owned: arm_response_fini() */
	struct arm_header headers[ARM_MAX_HEADERS];
	size_t n_headers;
};

/* A JSON object from outside: at most 4 MiB, 32 levels, strict UTF-8, no name twice. A new reference;
 * NULL: refused. */
json_t *arm_body_parse(struct arena *a, const void *p, size_t n, struct arm_error *e);

void arm_response_fini(struct arm_response *r);
