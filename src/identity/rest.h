/* What Graph and SCIM have in common: a request split into segments, answered inside a transaction
 * with JSON. Shared by the files of this folder only. */
#pragma once

#include "identity/directory.h"
#include "identity/role.h"

enum { REST_MAX_SEGMENTS = 8 };

struct rest {
	struct identity *id;
	const struct identity_request *rq;
	struct arena *a;
	const char *seg[REST_MAX_SEGMENTS]; /* after the prefix, decoded */
	size_t n_seg;
	json_t *body;     /* an object; NULL: none was sent */
	bool is_get;      /* GET or HEAD: a reading transaction */
	const char *base; /* "https://host/v1.0" */
	/* in the transaction */
	struct store_tx *tx;
	const char *tenant;
	struct arm_caller caller;
	struct arm_error error;
	/* out */
	int status; /* 0: 200 */
	json_t *result;
	const char *etag, *location;
};

/* Splits, parses the body, runs fn in a transaction. fn refuses through error. Whatever r, c has an
 * answer afterwards: status and result, or error. */
int rest_run(struct rest *c, const char *prefix, int (*fn)(struct rest *c));
void rest_reply(struct rest *c, const char *type, json_t *body, struct identity_reply *ret);
bool rest_is(const struct rest *c, const char *method);
/* A number in a query, within bounds; def if absent. Refuses with 400. */
int rest_number(struct rest *c, const char *name, int64_t def, int64_t max, int64_t *ret);

void graph_handle(struct identity *id, const struct identity_request *rq,
		  struct identity_reply *ret);
void scim_handle(struct identity *id, const struct identity_request *rq,
		 struct identity_reply *ret);
