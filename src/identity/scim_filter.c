/* The parser descends by precedence: or, and, not/group/comparison. */
#include "identity/scim_filter.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

enum { MAX_TEXT = 4096, MAX_DEPTH = 16, MAX_ATTR = 128 };

enum op {
	OP_AND,
	OP_OR,
	OP_NOT,
	OP_PRESENT,
	OP_EQ,
	OP_NE,
	OP_CO,
	OP_SW,
	OP_EW,
	OP_GT,
	OP_GE,
	OP_LT,
	OP_LE,
	OP_VALUES
};

struct scim_filter {
	enum op op;
	const struct scim_filter *left, *right; /* AND, OR; NOT, VALUES: left */
	const char *attr, *sub;
	enum { IS_TEXT, IS_NUMBER, IS_TRUE, IS_FALSE, IS_NULL } kind; /* of the literal */
	const char *text;
	double number;
};

struct parser {
	struct arena *a;
	const char *start, *p;
	unsigned depth;
	struct err *e;
};

static int
wrong(struct parser *p, const char *what)
{
	return err_set(p->e, -EBADMSG, "%s expected at character %zu", what,
		       (size_t)(p->p - p->start) + 1);
}

static void
blanks(struct parser *p)
{
	p->p += strspn(p->p, " ");
}

static bool
word(struct parser *p, const char *w)
{
	size_t n = strlen(w);

	blanks(p);
	if (strncasecmp(p->p, w, n) != 0 || isalnum((unsigned char)p->p[n]))
		return false;
	p->p += n;
	return true;
}

static bool
sign(struct parser *p, char c)
{
	blanks(p);
	if (*p->p != c)
		return false;
	p->p++;
	return true;
}

/* [URN:]name[.sub]: the schema's URN says nothing that the name does not. */
static int
attribute(struct parser *p, const char **attr, const char **sub)
{
	const char *name, *dot;
	size_t n;

	blanks(p);
	if (!strncasecmp(p->p, "urn:", 4)) {
		size_t all = strspn(p->p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
					  "0123456789:.-_");
		const char *colon = memrchr(p->p, ':', all);

		/* of an extension as a whole, or of one of its attributes */
		if (!strncasecmp(p->p, "urn:ietf:params:scim:schemas:extension:", 39)) {
			const char *end = strcasestr(p->p, ":User");

			if (!end || end >= p->p + all)
				return wrong(p, "a known schema");
			*attr = arena_strndup(p->a, p->p, (size_t)(end - p->p) + 5);
			*sub = colon > end ? arena_strndup(p->a, colon + 1,
							   all - (size_t)(colon + 1 - p->p))
					   : NULL;
			p->p += all;
			return 0;
		}
		p->p = colon + 1;
	}
	if (!isalpha((unsigned char)*p->p) && *p->p != '$')
		return wrong(p, "an attribute's name");
	n = strspn(p->p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-$.");
	if (n > MAX_ATTR)
		return wrong(p, "a shorter name");
	name = arena_strndup(p->a, p->p, n);
	dot = strchr(name, '.');
	if (dot && (!dot[1] || strchr(dot + 1, '.')))
		return wrong(p, "one sub-attribute");
	*attr = dot ? arena_strndup(p->a, name, (size_t)(dot - name)) : name;
	*sub = dot ? dot + 1 : NULL;
	p->p += n;
	return 0;
}

/* A JSON literal. */
static int
literal(struct parser *p, struct scim_filter *f)
{
	json_t *j;
	size_t n = 0;

	blanks(p);
	if (*p->p == '"') {
		for (n = 1; p->p[n] && p->p[n] != '"'; n++)
			if (p->p[n] == '\\' && p->p[n + 1])
				n++;
		n += p->p[n] == '"';
	} else {
		n = strcspn(p->p, " )]");
	}
	j = json_loadb(p->p, n, JSON_DECODE_ANY, NULL);
	f->kind = json_is_string(j)   ? IS_TEXT
		  : json_is_number(j) ? IS_NUMBER
		  : json_is_true(j)   ? IS_TRUE
		  : json_is_false(j)  ? IS_FALSE
				      : IS_NULL;
	f->text = json_is_string(j) ? arena_strdup(p->a, json_string_value(j)) : "";
	f->number = json_is_number(j) ? json_number_value(j) : 0;
	if (!j || json_is_object(j) || json_is_array(j)) {
		json_decref(j);
		return wrong(p, "a value (text in double quotes, a number, true, false or null)");
	}
	json_decref(j);
	p->p += n;
	return 0;
}

static int or_term(struct parser *p, const struct scim_filter **ret);

static int
group(struct parser *p, char close, const struct scim_filter **ret)
{
	int r;

	if (p->depth++ >= MAX_DEPTH)
		return wrong(p, "less nesting");
	r = or_term(p, ret);
	p->depth--;
	if (r == 0 && !sign(p, close))
		r = wrong(p, close == ')' ? "')'" : "']'");
	return r;
}

static int
comparison(struct parser *p, struct scim_filter *f)
{
	static const struct {
		const char *word;
		enum op op;
	} ops[] = { { "eq", OP_EQ }, { "ne", OP_NE }, { "co", OP_CO },
		    { "sw", OP_SW }, { "ew", OP_EW }, { "gt", OP_GT },
		    { "ge", OP_GE }, { "lt", OP_LT }, { "le", OP_LE } };
	int r = attribute(p, &f->attr, &f->sub);

	if (r < 0)
		return r;
	if (*p->p == '[' && !f->sub) {
		f->op = OP_VALUES;
		p->p++;
		return group(p, ']', &f->left);
	}
	if (word(p, "pr")) {
		f->op = OP_PRESENT;
		return 0;
	}
	for (size_t i = 0; i < COUNT(ops); i++)
		if (word(p, ops[i].word)) {
			f->op = ops[i].op;
			r = literal(p, f);
			if (r == 0 && f->kind != IS_TEXT && f->op != OP_EQ && f->op != OP_NE &&
			    !(f->kind == IS_NUMBER && f->op >= OP_GT))
				r = wrong(p, "a text for this operator");
			return r;
		}
	return wrong(p, "an operator (eq ne co sw ew gt ge lt le pr)");
}

static int
not_term(struct parser *p, const struct scim_filter **ret)
{
	struct scim_filter *f = NEW(p->a, struct scim_filter);
	const char *at;

	*ret = f;
	blanks(p);
	at = p->p;
	if (word(p, "not")) {
		if (sign(p, '(')) {
			f->op = OP_NOT;
			return group(p, ')', &f->left);
		}
		p->p = at; /* an attribute of that name */
	}
	if (sign(p, '('))
		return group(p, ')', ret);
	return comparison(p, f);
}

static int
chain(struct parser *p, enum op op, const char *w,
      int (*next)(struct parser *p, const struct scim_filter **ret), const struct scim_filter **ret)
{
	int r = next(p, ret);

	while (r == 0 && word(p, w)) {
		struct scim_filter *f = NEW(p->a, struct scim_filter);

		f->op = op;
		f->left = *ret;
		r = next(p, &f->right);
		*ret = f;
	}
	return r;
}

static int
and_term(struct parser *p, const struct scim_filter **ret)
{
	return chain(p, OP_AND, "and", not_term, ret);
}

static int
or_term(struct parser *p, const struct scim_filter **ret)
{
	return chain(p, OP_OR, "or", and_term, ret);
}

int
scim_filter_parse(struct arena *a, const char *text, const struct scim_filter **ret, struct err *e)
{
	struct parser p = { .a = a, .start = text, .p = text, .e = e };
	int r;

	if (strlen(text) > MAX_TEXT)
		return err_set(e, -EBADMSG, "longer than %d characters", MAX_TEXT);
	r = or_term(&p, ret);
	blanks(&p);
	return r == 0 && *p.p ? wrong(&p, "'and', 'or' or the end") : r;
}

int
scim_path_parse(struct arena *a, const char *text, struct scim_path *ret, struct err *e)
{
	struct parser p = { .a = a, .start = text, .p = text, .e = e };
	int r;

	*ret = (struct scim_path){ 0 };
	if (strlen(text) > MAX_TEXT)
		return err_set(e, -EBADMSG, "longer than %d characters", MAX_TEXT);
	r = attribute(&p, &ret->attr, &ret->sub);
	if (r == 0 && !ret->sub && *p.p == '[') {
		p.p++;
		r = group(&p, ']', &ret->filter);
		if (r == 0 && *p.p == '.') {
			const char *none;

			p.p++;
			r = attribute(&p, &ret->sub, &none);
			if (r == 0 && none)
				r = wrong(&p, "one sub-attribute");
		}
	}
	return r == 0 && *p.p ? wrong(&p, "the end") : r;
}

/* --- evaluation -------------------------------------------------------------------------------------- */

json_t *
scim_member(const json_t *object, const char *name, const char **ret_name)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)object, key, value)
		if (!strcasecmp(key, name)) {
			if (ret_name)
				*ret_name = key;
			return value;
		}
	return NULL;
}

/* RFC 7643: what is exact in case. */
static bool
is_exact(const char *attr)
{
	return !strcasecmp(attr, "id") || !strcasecmp(attr, "externalId") ||
	       !strcasecmp(attr, "meta");
}

static bool
text_holds(const struct scim_filter *f, const char *have)
{
	size_t n = strlen(f->text), k = strlen(have);
	int (*cmp)(const char *, const char *) = is_exact(f->attr) ? strcmp : strcasecmp;

	switch (f->op) {
	case OP_EQ:
		return !cmp(have, f->text);
	case OP_CO:
		return is_exact(f->attr) ? strstr(have, f->text) != NULL
					 : strcasestr(have, f->text) != NULL;
	case OP_SW:
		return k >= n && (is_exact(f->attr) ? !strncmp(have, f->text, n)
						    : !strncasecmp(have, f->text, n));
	case OP_EW:
		return k >= n && !cmp(have + k - n, f->text);
	case OP_GT:
		return cmp(have, f->text) > 0;
	case OP_GE:
		return cmp(have, f->text) >= 0;
	case OP_LT:
		return cmp(have, f->text) < 0;
	case OP_LE:
		return cmp(have, f->text) <= 0;
	default:
		return false;
	}
}

static bool
number_holds(const struct scim_filter *f, double have)
{
	return f->op == OP_EQ   ? have == f->number
	       : f->op == OP_GT ? have > f->number
	       : f->op == OP_GE ? have >= f->number
	       : f->op == OP_LT ? have < f->number
	       : f->op == OP_LE ? have <= f->number
				: false;
}

static bool
value_holds(const struct scim_filter *f, const json_t *v)
{
	if (json_is_object(v))
		v = scim_member(v, "value", NULL);
	if (f->op == OP_PRESENT)
		return v && !json_is_null(v) && !(json_is_string(v) && !json_string_length(v));
	switch (f->kind) {
	case IS_TEXT:
		return json_is_string(v) && text_holds(f, json_string_value(v));
	case IS_NUMBER:
		return json_is_number(v) && number_holds(f, json_number_value(v));
	case IS_TRUE:
		return f->op == OP_EQ && json_is_true(v);
	case IS_FALSE:
		return f->op == OP_EQ && json_is_false(v);
	case IS_NULL:
		return f->op == OP_EQ && (!v || json_is_null(v));
	}
	return false;
}

static bool
holds(const struct scim_filter *f, const json_t *resource)
{
	const json_t *v = scim_member(resource, f->attr, NULL);
	json_t *one;
	size_t i;

	if (json_is_array(v)) {
		json_array_foreach((json_t *)v, i, one)
			if (value_holds(f, f->sub ? scim_member(one, f->sub, NULL) : one))
				return true;
		return false;
	}
	if (f->sub)
		v = scim_member(v, f->sub, NULL);
	else if (f->op == OP_PRESENT && json_is_object(v))
		return json_object_size(v) > 0;
	return value_holds(f, v);
}

static bool
values_hold(const struct scim_filter *f, const json_t *resource)
{
	const json_t *v = scim_member(resource, f->attr, NULL);
	json_t *one;
	size_t i;

	if (!json_is_array(v))
		return json_is_object(v) && scim_filter_matches(f->left, v);
	json_array_foreach((json_t *)v, i, one)
		if (scim_filter_matches(f->left, one))
			return true;
	return false;
}

bool
scim_filter_matches(const struct scim_filter *f, const json_t *resource)
{
	struct scim_filter eq;

	switch (f->op) {
	case OP_AND:
		return scim_filter_matches(f->left, resource) &&
		       scim_filter_matches(f->right, resource);
	case OP_OR:
		return scim_filter_matches(f->left, resource) ||
		       scim_filter_matches(f->right, resource);
	case OP_NOT:
		return !scim_filter_matches(f->left, resource);
	case OP_VALUES:
		return values_hold(f, resource);
	case OP_NE:
		eq = *f;
		eq.op = OP_EQ;
		return !holds(&eq, resource);
	default:
		return holds(f, resource);
	}
}

const char *
scim_filter_equals(const struct scim_filter *f, const char *attr)
{
	const char *text;

	if (f->op == OP_AND) {
		text = scim_filter_equals(f->left, attr);
		return text ? text : scim_filter_equals(f->right, attr);
	}
	return f->op == OP_EQ && f->kind == IS_TEXT && !f->sub && !strcasecmp(f->attr, attr)
		       ? f->text
		       : NULL;
}
