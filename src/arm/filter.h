/* $filter: OData's comparisons as Azure's clients send them.
 *
 *   expr = term {("and"|"or") term}     and binds closer than or
 *   term = "(" expr ")" | "not" term | field op literal
 *        | substringof(literal, field) | startswith(field, literal) | contains(field, literal)
 *   op   = eq | ne | ge | gt | le | lt
 *   literal = 'text, with '' for a quote' or a word: 2026-01-01T00:00:00Z, 5, true
 *
 * Words compare without case. The texts live in the arena given; nesting and length are capped. */
#pragma once

#include "arm/error.h"

enum filter_op {
	FILTER_AND,
	FILTER_OR,
	FILTER_NOT,
	FILTER_EQ,
	FILTER_NE,
	FILTER_GE,
	FILTER_GT,
	FILTER_LE,
	FILTER_LT,
	FILTER_HAS,    /* substringof, contains */
	FILTER_STARTS, /* startswith */
};

struct filter {
	enum filter_op op;
	const char *field, *value;   /* of a comparison; field as spelled in the list */
	struct filter *left, *right; /* of and, or; not has left only */
};

/* fields: what may be asked for, NULL-terminated. Empty or NULL text: *ret is NULL, which matches
 * everything. Refuses with 400 InvalidFilterInQueryString. */
int filter_parse(struct arena *a, const char *text, const char *const *fields, struct filter **ret,
		 struct arm_error *e);

/* Is one comparison true? */
typedef bool filter_test_fn(void *arg, const struct filter *leaf);
bool filter_matches(const struct filter *f, filter_test_fn *test, void *arg);
/* The comparison of that field and op which must be true for anything to match (so that an index can
 * be used), or NULL. */
const struct filter *filter_must(const struct filter *f, const char *field, enum filter_op op);
/* A comparison of texts, without case; actual NULL is absent. */
bool filter_compare(const struct filter *leaf, const char *actual);
