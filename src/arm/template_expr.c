/* Expressions: a text that begins with '[' and ends with ']' ("[[" stands for a literal '['). One
 * pass reads and evaluates; what a condition leaves out is read only (is_skipping), so that a
 * mistake in it is still found and what it asks for is not.
 *
 *   expression = text | integer | call { '.' name | '[' expression ']' }
 *   call       = name '(' [ expression { ',' expression } ] ')'
 *   text       = "'" { any | "''" } "'"
 */
#include "arm/template.h"

#include <ctype.h>
#include <strings.h>

struct parser {
	struct template *t;
	const char *start, *p, *end; /* at end stands the last ']' */
	bool is_skipping;
};

static json_t *expression_read(struct parser *x);

/* --- a template's life ---------------------------------------------------------------------------- */

void
template_init(struct template *t, struct arena *a, struct arm_error *e, const json_t *doc,
	      const struct template_world *w)
{
	*t = (struct template){
		.arena = a,
		.error = e,
		.doc = doc,
		.world = *w,
		.parameters = json_object(),
		.keep = json_array(),
		.variables = json_object(),
		.unknown = json_string("(known after deployment)"),
		.budget = &t->own,
	};
}

void
template_fini(struct template *t)
{
	json_decref(t->parameters);
	json_decref(t->keep);
	json_decref(t->variables);
	json_decref(t->unknown);
	map_fini(&t->levels);
}

json_t *
template_member(const json_t *object, const char *name)
{
	json_t *hit = json_object_get(object, name), *v;
	const char *key;

	if (hit)
		return hit;
	json_object_foreach((json_t *)object, key, v) {
		if (same(key, name))
			return v;
	}
	return NULL;
}

static void
place_print(struct buf *b, const struct template_place *p)
{
	if (!p)
		return;
	place_print(b, p->up);
	if (p->key)
		buf_printf(b, "%s%.60s", b->n ? "." : "", p->key);
	else
		buf_printf(b, "[%zu]", p->index);
}

int
template_fail(struct template *t, const char *fmt, ...)
{
	AUTO_BUF where = { 0 };
	char why[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	if (t->root)
		buf_printf(&where, "%s", t->root);
	place_print(&where, t->place);
	if (!t->expression)
		return arm_refuse_at(t->error, 400, "InvalidTemplate",
				     where.n ? buf_str(&where) : NULL, "%s%s%s", buf_str(&where),
				     where.n ? ": " : "", why);
	return arm_refuse_at(t->error, 400, "InvalidTemplate", where.n ? buf_str(&where) : NULL,
			     "Unable to process the template language expression '%.160s' at "
			     "'%s': %s%s%s",
			     t->expression, buf_str(&where), t->function ? t->function : "",
			     t->function ? ": " : "", why);
}

json_t *
template_own(struct template *t, json_t *j, size_t bytes)
{
	if (!j) {
		template_fail(t, "a text is not UTF-8");
		return NULL;
	}
	json_array_append_new(t->keep, j);
	if (bytes <= TEMPLATE_MAX_TEXT)
		return template_charge_bytes(t, bytes + 32) ? j : NULL;
	template_fail(t, "its result is larger than %d bytes", TEMPLATE_MAX_TEXT);
	return NULL;
}

bool
template_charge_bytes(struct template *t, size_t n)
{
	t->budget->bytes += n;
	if (t->budget->bytes <= TEMPLATE_MAX_BYTES)
		return true;
	template_fail(t, "the values of the template are larger than %d bytes together",
		      TEMPLATE_MAX_BYTES);
	return false;
}

bool
template_charge(struct template *t, size_t n)
{
	t->budget->steps += n;
	if (t->budget->steps <= TEMPLATE_MAX_STEPS)
		return true;
	template_fail(t, "the template takes more than %d steps to evaluate", TEMPLATE_MAX_STEPS);
	return false;
}

static bool
step_count(struct template *t)
{
	return template_charge(t, 1);
}

static size_t
level_of(const struct template *t, const json_t *j)
{
	return (size_t)(uintptr_t)map_get(&t->levels, &j, sizeof(j));
}

/* Values are shared, so a few functions can make something very deep; and whoever walks over it does
 * that on the stack. */
json_t *
template_filled(struct template *t, json_t *j)
{
	size_t level = 0, i;
	const char *key;
	json_t *v;

	json_array_foreach(j, i, v)
		level = MAX(level, level_of(t, v));
	json_object_foreach(j, key, v)
		level = MAX(level, level_of(t, v));
	if (++level > TEMPLATE_MAX_MADE) {
		template_fail(t, "its values are nested deeper than %d levels", TEMPLATE_MAX_MADE);
		return NULL;
	}
	map_put(&t->levels, &j, sizeof(j), (void *)(uintptr_t)level);
	return template_charge(t, json_array_size(j) + json_object_size(j)) ? j : NULL;
}

static bool
holds_unknown(struct template *t, const json_t *v, unsigned depth)
{
	const char *key;
	json_t *one;
	size_t i;

	if (v == t->unknown)
		return true;
	t->budget->steps++;
	if (depth > 2 * TEMPLATE_MAX_MADE || t->budget->steps > TEMPLATE_MAX_STEPS)
		return false;
	json_array_foreach(v, i, one) {
		if (holds_unknown(t, one, depth + 1))
			return true;
	}
	json_object_foreach((json_t *)v, key, one) {
		if (holds_unknown(t, one, depth + 1))
			return true;
	}
	return false;
}

bool
template_is_unknown(struct template *t, const json_t *v)
{
	return t->has_unknown && holds_unknown(t, v, 0);
}

/* --- reading and evaluating --------------------------------------------------------------------------- */

static json_t *
syntax(struct parser *x, const char *what)
{
	x->t->function = NULL;
	template_fail(x->t, "%s at character %td", what, x->p - x->start + 1);
	return NULL;
}

static char
peek(const struct parser *x)
{
	return x->p < x->end ? *x->p : '\0';
}

static bool
is_name(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

static void
blank(struct parser *x)
{
	while (isspace((unsigned char)peek(x)))
		x->p++;
}

static bool
accept(struct parser *x, char c)
{
	blank(x);
	if (peek(x) != c)
		return false;
	x->p++;
	return true;
}

static json_t *
literal_read(struct parser *x)
{
	AUTO_BUF b = { 0 };

	for (x->p++; peek(x); x->p++) {
		if (*x->p != '\'') {
			buf_u8(&b, (uint8_t)*x->p);
			continue;
		}
		if (x->p[1] != '\'') {
			x->p++;
			return template_own(x->t, json_string(buf_str(&b)), b.n);
		}
		x->p++;
		buf_u8(&b, '\'');
	}
	return syntax(x, "a text does not end");
}

static json_t *
integer_read(struct parser *x)
{
	char *end;
	long long v;

	errno = 0;
	v = strtoll(x->p, &end, 10);
	if (errno || end == x->p || is_name(*end))
		return syntax(x, "a number is malformed or too large");
	x->p = end;
	return template_own(x->t, json_integer(v), 8);
}

/* if() evaluates only what it gives; everything else all its arguments. */
static bool
is_left_out(const struct template_function *f, struct template *t, json_t *const *arg, size_t i)
{
	if (strcmp(f->name, "if") != 0 || !i || i > 2 || t->unknown == arg[0] ||
	    !json_is_boolean(arg[0]))
		return false;
	return json_is_true(arg[0]) == (i == 2);
}

static bool
args_read(struct parser *x, const struct template_function *f, json_t **arg, size_t *n)
{
	bool was = x->is_skipping;

	*n = 0;
	if (accept(x, ')'))
		return true;
	for (;;) {
		if (*n == TEMPLATE_MAX_ARGS) {
			syntax(x, "there are too many arguments");
			return false;
		}
		x->is_skipping = was || is_left_out(f, x->t, arg, *n);
		arg[*n] = expression_read(x);
		x->is_skipping = was;
		if (!arg[(*n)++])
			return false;
		if (accept(x, ')'))
			return true;
		if (!accept(x, ',')) {
			syntax(x, "',' or ')' is missing");
			return false;
		}
	}
}

static json_t *
call(struct parser *x, const struct template_function *f, json_t *const *arg, size_t n)
{
	struct template *t = x->t;
	const char *outer = t->function;
	json_t *v;

	t->function = f->name;
	if (n < f->min || n > f->max) {
		if (f->max >= TEMPLATE_MAX_ARGS)
			template_fail(t, "takes at least %u argument%s, not %zu", f->min,
				      f->min == 1 ? "" : "s", n);
		else if (f->min == f->max)
			template_fail(t, "takes %u argument%s, not %zu", f->min,
				      f->min == 1 ? "" : "s", n);
		else
			template_fail(t, "takes %u to %u arguments, not %zu", f->min, f->max, n);
		return NULL;
	}
	if (x->is_skipping) {
		t->function = outer;
		return t->unknown;
	}
	for (size_t i = 0; i < n && !f->takes_unknown; i++)
		if (template_is_unknown(t, arg[i])) {
			t->function = outer;
			return t->unknown;
		}
	v = f->call(t, arg, n);
	if (v) /* else it is named in the refusal of those around it, too */
		t->function = outer;
	return v;
}

static json_t *
call_read(struct parser *x)
{
	const char *name = x->p;
	const struct template_function *f;
	json_t **arg, *v = NULL;
	size_t len, n;

	while (is_name(peek(x)))
		x->p++;
	len = (size_t)(x->p - name);
	f = template_function_find(name, len);
	if (!f) {
		x->t->function = NULL;
		template_fail(x->t, "the function '%.*s' is not known", (int)MIN(len, 60), name);
		return NULL;
	}
	if (!accept(x, '('))
		return syntax(x, "'(' is missing");
	arg = mem_array(TEMPLATE_MAX_ARGS, sizeof(*arg));
	if (args_read(x, f, arg, &n))
		v = call(x, f, arg, n);
	free(arg);
	return v;
}

/* v.name or v[index], one step. */
static json_t *
select_from(struct parser *x, json_t *v, const json_t *key)
{
	struct template *t = x->t;
	json_t *hit;

	if (x->is_skipping || v == t->unknown || key == t->unknown)
		return t->unknown;
	t->function = NULL;
	if (json_is_object(v) && json_is_string(key)) {
		hit = json_object_get(v, json_string_value(key));
		if (!hit && template_charge(t, json_object_size(v)))
			hit = template_member(v, json_string_value(key));
		if (!hit && !t->error->status)
			template_fail(t, "the property '%.60s' does not exist",
				      json_string_value(key));
		return hit;
	}
	if (json_is_array(v) && json_is_integer(key)) {
		json_int_t i = json_integer_value(key);

		hit = i < 0 ? NULL : json_array_get(v, (size_t)i);
		if (!hit)
			template_fail(t, "the index %lld is outside of an array of %zu",
				      (long long)i, json_array_size(v));
		return hit;
	}
	template_fail(t, "%s cannot be selected from %s", template_kind(key), template_kind(v));
	return NULL;
}

static json_t *
selected_read(struct parser *x, json_t *v)
{
	while (v) {
		json_t *key;

		if (!step_count(x->t))
			return NULL;
		if (accept(x, '.')) {
			const char *from = x->p;

			while (is_name(peek(x)) || peek(x) == '$')
				x->p++;
			if (x->p == from)
				return syntax(x, "a name is missing after '.'");
			key = template_own(x->t, json_stringn(from, (size_t)(x->p - from)),
					   (size_t)(x->p - from));
		} else if (accept(x, '[')) {
			key = expression_read(x);
			if (key && !accept(x, ']'))
				return syntax(x, "']' is missing");
		} else {
			break;
		}
		v = key ? select_from(x, v, key) : NULL;
	}
	return v;
}

static json_t *
expression_read(struct parser *x)
{
	struct template *t = x->t;
	json_t *v = NULL;

	if (!step_count(t))
		return NULL;
	if (t->nesting == TEMPLATE_MAX_NESTING)
		return syntax(x, "it is nested too deeply");
	t->nesting++;
	blank(x);
	if (peek(x) == '\'')
		v = literal_read(x);
	else if (peek(x) == '-' || isdigit((unsigned char)peek(x)))
		v = integer_read(x);
	else if (isalpha((unsigned char)peek(x)))
		v = selected_read(x, call_read(x));
	else
		v = syntax(x, peek(x) ? "there is no expression" : "it ends in the middle");
	t->nesting--;
	return v;
}

/* text: "[...]". It is read where it stands, each time that its value is asked for: that is charged by
 * its length. */
static json_t *
expression_value(struct template *t, const char *text)
{
	const char *outer = t->expression, *outer_function = t->function;
	size_t n = strlen(text);
	struct parser x = { .t = t, .start = text + 1, .p = text + 1, .end = text + n - 1 };
	json_t *v;

	t->expression = text;
	t->function = NULL;
	if (n > TEMPLATE_MAX_EXPRESSION)
		return syntax(&x, "it is too long");
	if (!template_charge(t, 1 + n / 64) || !template_charge_bytes(t, n))
		return NULL;
	v = expression_read(&x);
	if (v) {
		blank(&x);
		if (peek(&x))
			v = syntax(&x, "something follows the expression");
	}
	if (v) {
		t->expression = outer;
		t->function = outer_function;
	}
	return v;
}

/* --- values ------------------------------------------------------------------------------------------------ */

static json_t *value_of(struct template *t, const json_t *in);

static json_t *
text_of(struct template *t, const json_t *in)
{
	const char *s = json_string_value(in);
	size_t n = json_string_length(in);

	if (n < 2 || s[0] != '[' || s[n - 1] != ']')
		return (json_t *)in;
	if (s[1] == '[')
		return template_own(t, json_string(s + 1), n);
	return expression_value(t, s);
}

static json_t *
list_of(struct template *t, const json_t *in)
{
	json_t *out = template_own(t, json_array(), 16 * json_array_size(in)), *one;
	size_t i;

	json_array_foreach(in, i, one) {
		const struct template_place here = { NULL, i, t->place };

		t->place = &here;
		one = out ? value_of(t, one) : NULL;
		if (one)
			t->place = here.up;
		if (!one || json_array_append(out, one) < 0)
			return NULL;
	}
	return out ? template_filled(t, out) : NULL;
}

static int64_t
copy_count(struct template *t, const json_t *copy)
{
	json_t *n = json_object_get(copy, "count");

	n = n ? value_of(t, n) : NULL;
	if (!n && t->error->status)
		return -1;
	if (!json_is_integer(n) || json_integer_value(n) < 0 ||
	    json_integer_value(n) > TEMPLATE_MAX_RESOURCES) {
		template_fail(t, "copy: count must be a number from 0 to %d",
			      TEMPLATE_MAX_RESOURCES);
		return -1;
	}
	return json_integer_value(n);
}

/* "copy": [{"name","count","input"}] beside other properties makes arrays of those names. */
static bool
copies_of(struct template *t, const json_t *copy, json_t *out)
{
	json_t *one;
	size_t i;

	json_array_foreach(copy, i, one) {
		const char *name = json_string_value(json_object_get(one, "name"));
		const json_t *input = json_object_get(one, "input");
		int64_t n = name && input ? copy_count(t, one) : -1;
		json_t *list;

		if (!name || !input)
			template_fail(t, "copy: name, count and input are needed");
		if (n < 0)
			return false;
		list = template_own(t, json_array(), 16 * (size_t)n);
		for (int64_t k = 0; list && k < n; k++) {
			const struct template_copy loop = { name, k, t->copies };
			json_t *v;

			t->copies = &loop;
			v = value_of(t, input);
			t->copies = loop.up;
			if (!v || json_array_append(list, v) < 0)
				return false;
		}
		if (!list || !template_filled(t, list) || json_object_set(out, name, list) < 0)
			return false;
	}
	return true;
}

static bool
is_copy(const char *key, const json_t *v)
{
	return same(key, "copy") && json_is_array(v) &&
	       json_object_get(json_array_get(v, 0), "input");
}

static bool
member_of(struct template *t, const char *key, const json_t *v, json_t *out)
{
	const char *name = key;
	json_t *made;

	if (is_copy(key, v))
		return copies_of(t, v, out);
	if (key[0] == '[' && key[1] != '[' && key[strlen(key) - 1] == ']') {
		made = expression_value(t, key);
		if (made && !json_is_string(made))
			template_fail(t, "a property's name must be a string, not %s",
				      template_kind(made));
		name = json_string_value(made);
		if (!name)
			return false;
	}
	made = value_of(t, v);
	return made && json_object_set(out, name, made) == 0;
}

static json_t *
object_of(struct template *t, const json_t *in)
{
	json_t *out = template_own(t, json_object(), 32 * json_object_size(in)), *one;
	const char *key;

	json_object_foreach((json_t *)in, key, one) {
		const struct template_place here = { key, 0, t->place };
		bool ok;

		t->place = &here;
		ok = out && member_of(t, key, one, out);
		if (!ok)
			return NULL; /* place stays for nobody: the refusal is written */
		t->place = here.up;
	}
	return out ? template_filled(t, out) : NULL;
}

static json_t *
value_of(struct template *t, const json_t *in)
{
	const struct template_place *place = t->place;
	json_t *v = NULL;

	if (!step_count(t))
		return NULL;
	if (t->depth == TEMPLATE_MAX_DEPTH) {
		template_fail(t, "its values are nested deeper than %d levels", TEMPLATE_MAX_DEPTH);
		return NULL;
	}
	t->depth++;
	switch (json_typeof(in)) {
	case JSON_STRING:
		v = text_of(t, in);
		break;
	case JSON_ARRAY:
		v = list_of(t, in);
		break;
	case JSON_OBJECT:
		v = object_of(t, in);
		break;
	default:
		v = (json_t *)in;
	}
	t->depth--;
	t->place = place; /* those of the frames below are gone */
	return v;
}

/* A value begins anew: its own place, no expression around it. */
json_t *
template_value(struct template *t, const json_t *in, const char *root)
{
	const struct template_place *place = t->place;
	const char *old = t->root, *expression = t->expression, *function = t->function;
	json_t *v;

	t->place = NULL;
	t->root = root;
	t->expression = t->function = NULL;
	v = value_of(t, in);
	t->place = place;
	t->root = old;
	t->expression = expression;
	t->function = function;
	return v;
}

const char *
template_text(struct template *t, const json_t *in, const char *root)
{
	json_t *v = in ? template_value(t, in, root) : NULL;
	const char *old = t->root;

	if (v && json_is_string(v) && v != t->unknown)
		return json_string_value(v);
	t->root = root;
	if (v == t->unknown)
		template_fail(t, "it must be known before the deployment begins; reference() "
				 "cannot be used here");
	else if (v || !in)
		template_fail(t, "must be a string, not %s", v ? template_kind(v) : "absent");
	t->root = old;
	return NULL;
}

/* --- variables -------------------------------------------------------------------------------- */

/* One of "variables": {"copy": [{"name": ..}]}. */
static const json_t *
copied_variable(const json_t *vars, const char *name)
{
	json_t *one;
	size_t i;

	json_array_foreach(template_member(vars, "copy"), i, one) {
		const char *has = json_string_value(json_object_get(one, "name"));

		if (has && same(has, name))
			return one;
	}
	return NULL;
}

static json_t *
variable_make(struct template *t, const char *name)
{
	const json_t *vars = json_object_get(t->doc, "variables"), *def, *loop;
	const struct template_copy *copies = t->copies;
	const char *root = arena_printf(t->arena, "variables.%s", name);
	json_t *v;

	def = template_member(vars, name);
	loop = copied_variable(vars, name);
	if (!def && !loop) {
		template_fail(t, "the variable '%.60s' is not found", name);
		return NULL;
	}
	t->copies = NULL;
	if (loop) {
		json_t *wrapped = template_own(t, json_pack("{s:[O]}", "copy", loop), 64);

		v = wrapped ? template_value(t, wrapped, root) : NULL;
		v = v ? json_object_get(v, json_string_value(json_object_get(loop, "name"))) : NULL;
	} else {
		v = template_value(t, def, root);
	}
	t->copies = copies;
	return v;
}

json_t *
template_variable(struct template *t, const char *name)
{
	char *key;
	json_t *v;

	if (!template_charge_bytes(t, strlen(name)))
		return NULL;
	key = fold(t->arena, name);
	v = json_object_get(t->variables, key);
	if (v == t->keep) { /* being made: see below */
		template_fail(t, "the variable '%.60s' refers to itself", name);
		return NULL;
	}
	if (v)
		return v;
	json_object_set(t->variables, key, t->keep);
	v = variable_make(t, name);
	if (v)
		json_object_set(t->variables, key, v);
	else
		json_object_del(t->variables, key);
	return v;
}
