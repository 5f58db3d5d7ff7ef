/* What the API answers when it cannot do as asked: status, ARM code, text for people, target
 * (the field), details. The only place that knows the error body's form is error.c. */
#pragma once

#include "base/arena.h"

#include <jansson.h>

struct arm_provider;

struct arm_error {
	struct arena *arena; /* set by the owner; texts live there */
	int status;          /* HTTP status, 0: no error */
	const char *code;
	const char *message;
	const char *target; /* or NULL */
	int retry_after;    /* seconds, or 0 */
	/* Set by the owner: calls are shown with absolute URLs (NULL: paths), and with a version that
	 * their provider serves. */
	const char *base_url;
	const struct arm_provider *const *providers;
	struct arm_error_detail {
		const char *code, *message, *target;
		const char *method, *path, *body; /* the call that removes it; method NULL: none */
		struct arm_error_detail *next;
	} * details;
};

/* Sets the error and returns -EBADE, so that "return arm_refuse(e, 409, ...)" reads as one step.
 * A second call replaces the first (details stay). */
int arm_refuse(struct arm_error *e, int status, const char *code, const char *fmt, ...)
	PRINTF(4, 5);
/* As arm_refuse() with the field it is about: "properties.vlanId". */
int arm_refuse_at(struct arm_error *e, int status, const char *code, const char *target,
		  const char *fmt, ...) PRINTF(5, 6);
/* Seen by compilers and analysers too: a caller's failure path is then known to fail. */
#define arm_refuse(...) \
	({ \
		const int refused_ UNUSED = -EBADE; \
		(arm_refuse)(__VA_ARGS__); \
		refused_; \
	})
#define arm_refuse_at(...) \
	({ \
		const int refused_ UNUSED = -EBADE; \
		(arm_refuse_at)(__VA_ARGS__); \
		refused_; \
	})
/* Adds a detail (one blocker, one wrong field). */
void arm_error_add(struct arm_error *e, const char *code, const char *target, const char *fmt, ...)
	PRINTF(4, 5);
/* A detail about what stands in the way, and the request that removes it:
 *
 *   arm_error_block(e, "InUse", connection_id, "DELETE", connection_id, NULL, "Connection ...");
 *   arm_error_block(e, "InUse", xc_id, "PUT", xc_id,
 *                   "{\"properties\":{\"serviceProviderProvisioningState\":\"NotProvisioned\"}}", "...");
 *   return arm_refuse(e, 409, "CircuitInUse", "...");
 *
 * path: an id, with what follows it; the api-version is added. body: JSON text to send, or NULL: none.
 * Shown as the detail's additionalInfo: [{"type":"Call","info":{"method","url","body"}}]. In a plan
 * that collects blockers use arm_block() or arm_block_call(), which end here. */
void arm_error_block(struct arm_error *e, const char *code, const char *target, const char *method,
		     const char *path, const char *body, const char *fmt, ...) PRINTF(7, 8);
/* {"error":{...}}; a new reference. */
json_t *arm_error_body(const struct arm_error *e);
