/* A client of the resource API: one principal, bearer token, JSON, asynchronous operations
 * followed to their end. Synchronous; one invocation of the CLI is one of these. */
#pragma once

#include "cli/cli.h"

struct rest;
/* principal: "customer", ... Reads HOME/<instance>/env, or, where there is none, the
 * environment (what `wayleave env` printed elsewhere), and asks for a token at the first call.
 * Returns an enum cli_exit and says why on stderr. */
int rest_open(const struct cli *c, const char *principal, struct rest **ret);
void rest_destroy(struct rest *r);
CLEANUP(rest)

/* A variable of the environment file without the principal's prefix: "SUBSCRIPTION", "LOCATION".
 * Variables that exist once for all are found too. NULL when there is none. */
const char *rest_env(const struct rest *r, const char *name);
const char *rest_token(struct rest *r); /* NULL: said why on stderr */

struct rest_answer {
	long status;         /* HTTP */
	struct json_t *body; /* NULL when there was none */
	char code[64];       /* of an error */
	char operation[512]; /* Azure-AsyncOperation or Location */
	bool is_location;    /* operation came from Location */
	int retry_after;
};
void rest_answer_fini(struct rest_answer *a);

/* One request. path begins with '/', without api-version. body is borrowed, may be NULL.
 * CLI_OK when an HTTP answer came, whatever its status. */
int rest_call(struct rest *r, const char *method, const char *path, const char *api_version,
	      const struct json_t *body, struct rest_answer *ret);
/* As rest_call(), then waits for the operation unless --no-wait (progress on a terminal), and
 * turns errors into messages and exit statuses. *ret_body (may be NULL) is the final body: the
 * resource for PUT, the result for POST. */
int rest_do(struct rest *r, const char *method, const char *path, const char *api_version,
	    const struct json_t *body, struct json_t **ret_body);
/* Reads an event stream (docs/events.md) until it ends; text gets it as it comes and returns false to
 * end it. last_id: of the last event had before, or "". CLI_OK: it ended and may be had again. */
int rest_stream(struct rest *r, const char *path, const char *last_id,
		bool (*text)(void *arg, const char *p, size_t n), void *arg);
/* All pages of a list as one array. */
int rest_list(struct rest *r, const char *path, const char *api_version, struct json_t **ret);
