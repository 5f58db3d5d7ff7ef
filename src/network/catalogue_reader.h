/* Reads YAML mappings into structs by tables: one table per mapping says which keys it has, of which
 * kind and where they go; a walker fills them in and names file and line of what it does not know.
 * The catalogue's own (catalogue.c, catalogue_price.c). */
#pragma once

#include "base/arena.h"
#include "base/err.h"

/* Caps: an operator's file, but still a file. */
enum { READER_MAX_ITEMS = 4096, READER_MAX_NAME = 128 };

/* A text of a list, with its line. */
struct reader_name {
	const char *text;
	int line;
};

struct reader_names {
	struct reader_name *v;
	size_t n;
};

struct reader_numbers {
	uint32_t *v;
	size_t n;
};

enum reader_kind {
	READER_TEXT,    /* const char * */
	READER_NUMBER,  /* uint32_t */
	READER_AMOUNT,  /* int64_t: "0.025" in ten-thousandths, up to 100 million */
	READER_NAMES,   /* struct reader_names */
	READER_NUMBERS, /* struct reader_numbers; ascending, above 0 */
	READER_LIST,    /* of mappings: an array and its length; the same list in another file is
			   appended */
};

struct reader_field {
	const char *key;
	enum reader_kind kind;
	bool is_required;
	size_t at;   /* offset in the struct; for lists of the array pointer */
	size_t at_n; /* READER_LIST: offset of the count */
	const struct reader_schema *of;
	uint32_t max; /* READER_NUMBER, READER_NUMBERS: largest value; 0 = any */
};

struct reader_schema {
	const char *what; /* for people: "a provider" */
	size_t size;
	size_t at_line; /* of an int; SIZE_MAX: none */
	size_t at_file; /* of a const char *; SIZE_MAX: none */
	/* A plain text may stand for a mapping with only the first field. */
	bool has_short_form;
	const struct reader_field *fields;
	size_t n_fields; /* at most 64 */
};

/* Reads one document whose root is a mapping of this schema into out. file must live as long as
 * the arena. Errors are "FILE:LINE: ...". */
int reader_read(struct arena *a, const char *file, const char *text, size_t n,
		const struct reader_schema *s, void *out, struct err *e);
