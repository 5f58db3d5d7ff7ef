/* SCIM's filters and attribute paths (RFC 7644 3.4.2.2, 3.5.2): parsed into an arena, evaluated on
 * the JSON of a resource. Attribute names compare without case; a multi-valued attribute matches when
 * one of its values does.
 *
 * Bounded: 4096 characters, 16 levels.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"

#include <jansson.h>

struct scim_filter;

struct scim_path {
	const char *attr, *sub;           /* "name", "familyName" or NULL */
	const struct scim_filter *filter; /* of attr[filter].sub, or NULL */
};

int scim_filter_parse(struct arena *a, const char *text, const struct scim_filter **ret,
		      struct err *e);
int scim_path_parse(struct arena *a, const char *text, struct scim_path *ret, struct err *e);
bool scim_filter_matches(const struct scim_filter *f, const json_t *resource);
/* The text that this attribute must equal for the filter to match (so an index may be used), or
 * NULL. */
const char *scim_filter_equals(const struct scim_filter *f, const char *attr);
/* The value of a name, compared without case; *ret_name: as it is spelled there (may be NULL). */
json_t *scim_member(const json_t *object, const char *name, const char **ret_name);
