/* $filter: a recursive descent over one line. */
#include "arm/filter.h"

#include <ctype.h>
#include <strings.h>

enum { MAX_TEXT = 4096, MAX_NESTING = 16 };

struct reader {
	struct arena *a;
	const char *at;
	const char *const *fields;
	struct arm_error *e;
	unsigned depth;
};

static struct filter *read_or(struct reader *r);

static struct filter *
wrong(struct reader *r, const char *what)
{
	if (!r->e->status)
		arm_refuse_at(r->e, 400, "InvalidFilterInQueryString", "$filter",
			      "$filter: %s is expected at '%.60s'.", what, r->at);
	return NULL;
}

static void
blanks(struct reader *r)
{
	r->at += strspn(r->at, " \t");
}

/* A word and that it ends there. */
static bool
word(struct reader *r, const char *w)
{
	size_t n = strlen(w);

	blanks(r);
	if (strncasecmp(r->at, w, n) != 0 || isalnum((unsigned char)r->at[n]))
		return false;
	r->at += n;
	return true;
}

static bool
sign(struct reader *r, char c)
{
	blanks(r);
	if (*r->at != c)
		return false;
	r->at++;
	return true;
}

static const char *
read_field(struct reader *r)
{
	size_t n;

	blanks(r);
	n = strspn(r->at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ/");
	for (const char *const *f = r->fields; *f; f++)
		if (n == strlen(*f) && !strncasecmp(*f, r->at, n)) {
			r->at += n;
			return *f;
		}
	if (!r->e->status) {
		const char *all = "";

		for (const char *const *f = r->fields; *f; f++)
			all = arena_printf(r->a, "%s%s%s", all, *all ? ", " : "", *f);
		arm_refuse_at(r->e, 400, "InvalidFilterInQueryString", "$filter",
			      "$filter: '%.*s' cannot be asked for; only %s.", (int)MIN(n, 40u),
			      r->at, all);
	}
	return NULL;
}

static const char *
read_literal(struct reader *r)
{
	size_t n = 0;
	char *out;

	blanks(r);
	if (*r->at != '\'') {
		n = strcspn(r->at, " ,)('");
		if (!n)
			return (const char *)wrong(r, "a literal");
		r->at += n;
		return arena_strndup(r->a, r->at - n, n);
	}
	out = arena_alloc(r->a, strlen(r->at) + 1);
	for (r->at++;; r->at++) {
		if (!*r->at)
			return (const char *)wrong(r, "a closing quote");
		if (*r->at == '\'' && *++r->at != '\'')
			return out;
		out[n++] = *r->at;
	}
}

static struct filter *
node(struct reader *r, enum filter_op op, struct filter *left, struct filter *right)
{
	struct filter *f = NEW(r->a, struct filter);

	*f = (struct filter){ .op = op, .left = left, .right = right };
	return f;
}

static struct filter *
leaf(struct reader *r, enum filter_op op, const char *field, const char *value)
{
	struct filter *f = NEW(r->a, struct filter);

	*f = (struct filter){ .op = op, .field = field, .value = value };
	return field && value ? f : NULL;
}

/* substringof('x', field), startswith(field, 'x'), contains(field, 'x'): the name is read. */
static struct filter *
read_function(struct reader *r, enum filter_op op, bool literal_first)
{
	const char *field = NULL, *value = NULL;

	if (!sign(r, '('))
		return wrong(r, "(");
	if (literal_first)
		value = read_literal(r);
	else
		field = read_field(r);
	if (!value && !field)
		return NULL;
	if (!sign(r, ','))
		return wrong(r, ",");
	if (literal_first)
		field = read_field(r);
	else
		value = read_literal(r);
	if (!field || !value)
		return NULL;
	return sign(r, ')') ? leaf(r, op, field, value) : wrong(r, ")");
}

static struct filter *
read_comparison(struct reader *r)
{
	static const struct {
		const char *word;
		enum filter_op op;
	} ops[] = {
		{ "eq", FILTER_EQ }, { "ne", FILTER_NE }, { "ge", FILTER_GE },
		{ "gt", FILTER_GT }, { "le", FILTER_LE }, { "lt", FILTER_LT },
	};
	const char *field = read_field(r);

	if (!field)
		return NULL;
	for (size_t i = 0; i < COUNT(ops); i++)
		if (word(r, ops[i].word))
			return leaf(r, ops[i].op, field, read_literal(r));
	return wrong(r, "eq, ne, ge, gt, le or lt");
}

static struct filter *
read_term(struct reader *r)
{
	struct filter *f = NULL;

	if (++r->depth > MAX_NESTING)
		return wrong(r, "less nesting");
	if (sign(r, '(')) {
		f = read_or(r);
		if (f && !sign(r, ')'))
			f = wrong(r, ")");
	} else if (word(r, "not")) {
		f = read_term(r);
		f = f ? node(r, FILTER_NOT, f, NULL) : NULL;
	} else if (word(r, "substringof")) {
		f = read_function(r, FILTER_HAS, true);
	} else if (word(r, "contains")) {
		f = read_function(r, FILTER_HAS, false);
	} else if (word(r, "startswith")) {
		f = read_function(r, FILTER_STARTS, false);
	} else {
		f = read_comparison(r);
	}
	r->depth--;
	return f;
}

static struct filter *
read_and(struct reader *r)
{
	struct filter *f = read_term(r), *more;

	while (f && word(r, "and")) {
		more = read_term(r);
		f = more ? node(r, FILTER_AND, f, more) : NULL;
	}
	return f;
}

static struct filter *
read_or(struct reader *r)
{
	struct filter *f = read_and(r), *more;

	while (f && word(r, "or")) {
		more = read_and(r);
		f = more ? node(r, FILTER_OR, f, more) : NULL;
	}
	return f;
}

int
filter_parse(struct arena *a, const char *text, const char *const *fields, struct filter **ret,
	     struct arm_error *e)
{
	struct reader r = { .a = a, .at = text, .fields = fields, .e = e };
	struct filter *f;

	*ret = NULL;
	if (!text || !text[strspn(text, " \t")])
		return 0;
	if (strlen(text) > MAX_TEXT)
		return arm_refuse_at(e, 400, "InvalidFilterInQueryString", "$filter",
				     "$filter: is longer than %d bytes.", MAX_TEXT);
	f = read_or(&r);
	blanks(&r);
	if (f && *r.at)
		f = wrong(&r, "'and', 'or' or the end");
	if (!f)
		return -EBADE;
	*ret = f;
	return 0;
}

bool
filter_matches(const struct filter *f, filter_test_fn *test, void *arg)
{
	if (!f)
		return true;
	switch (f->op) {
	case FILTER_AND:
		return filter_matches(f->left, test, arg) && filter_matches(f->right, test, arg);
	case FILTER_OR:
		return filter_matches(f->left, test, arg) || filter_matches(f->right, test, arg);
	case FILTER_NOT:
		return !filter_matches(f->left, test, arg);
	default:
		return test(arg, f);
	}
}

const struct filter *
filter_must(const struct filter *f, const char *field, enum filter_op op)
{
	const struct filter *hit;

	if (!f)
		return NULL;
	if (f->op == FILTER_AND) {
		hit = filter_must(f->left, field, op);
		return hit ? hit : filter_must(f->right, field, op);
	}
	return f->op == op && f->field && !strcmp(f->field, field) ? f : NULL;
}

bool
filter_compare(const struct filter *leaf, const char *actual)
{
	int order;

	if (leaf->op == FILTER_HAS)
		return actual && strcasestr(actual, leaf->value);
	if (leaf->op == FILTER_STARTS)
		return actual && !strncasecmp(actual, leaf->value, strlen(leaf->value));
	if (!actual)
		return leaf->op == FILTER_NE;
	order = strcasecmp(actual, leaf->value);
	switch (leaf->op) {
	case FILTER_EQ:
		return order == 0;
	case FILTER_NE:
		return order != 0;
	case FILTER_GE:
		return order >= 0;
	case FILTER_GT:
		return order > 0;
	case FILTER_LE:
		return order <= 0;
	default:
		return order < 0;
	}
}
