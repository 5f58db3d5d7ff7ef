/* JSON with what people put into template files; see template.h for what is allowed. Recursive
 * descent over the bytes, limited in depth and in values; says where it stopped and why. */
#include "arm/template.h"

struct reader {
	const char *start, *p, *end;
	struct arm_error *error;
	unsigned depth, nodes;
};

static json_t *value_read(struct reader *r);

__attribute__((format(printf, 2, 3))) static json_t *
bad(struct reader *r, const char *fmt, ...)
{
	unsigned line = 1, column = 1;
	char why[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	for (const char *p = r->start; p < r->p && p < r->end; p++) {
		column = *p == '\n' ? 1 : column + 1;
		line += *p == '\n';
	}
	if (!r->error->status) /* the first is the cause */
		arm_refuse(r->error, 400, "InvalidRequestContent",
			   "The request content was invalid and could not be deserialized: %s "
			   "(line %u, column %u).",
			   why, line, column);
	return NULL;
}

/* --- between values ---------------------------------------------------------------------------- */

static bool
starts(const struct reader *r, const char *word)
{
	size_t n = strlen(word);

	return (size_t)(r->end - r->p) >= n && !memcmp(r->p, word, n);
}

/* A comment is there: skips it. */
static bool
comment_skip(struct reader *r)
{
	const char *from = r->p;

	if (r->p[1] == '/') {
		while (r->p < r->end && *r->p != '\n')
			r->p++;
		return true;
	}
	for (r->p += 2; r->p < r->end && !starts(r, "*/"); r->p++)
		;
	if (r->p >= r->end) {
		r->p = from;
		bad(r, "a comment does not end");
		return false;
	}
	r->p += 2;
	return true;
}

/* Blanks, byte order marks, comments. False: refused. */
static bool
blank_skip(struct reader *r)
{
	for (;;) {
		if (r->p < r->end && strchr(" \t\r\n", *r->p) && *r->p)
			r->p++;
		else if (starts(r, "\xef\xbb\xbf"))
			r->p += 3;
		else if (starts(r, "//") || starts(r, "/*")) {
			if (!comment_skip(r))
				return false;
		} else
			return true;
	}
}

static bool
at(const struct reader *r, char c)
{
	return r->p < r->end && *r->p == c;
}

/* --- texts and names ---------------------------------------------------------------------------- */

static bool
hex4(struct reader *r, unsigned *ret)
{
	*ret = 0;
	if (r->end - r->p < 4)
		return false;
	for (unsigned i = 0; i < 4; i++, r->p++) {
		char c = *r->p;
		int v = c >= '0' && c <= '9'   ? c - '0'
			: c >= 'a' && c <= 'f' ? c - 'a' + 10
			: c >= 'A' && c <= 'F' ? c - 'A' + 10
					       : -1;

		if (v < 0)
			return false;
		*ret = *ret * 16 + (unsigned)v;
	}
	return true;
}

static void
utf8_put(struct buf *b, unsigned c)
{
	if (c < 0x80) {
		buf_u8(b, (uint8_t)c);
	} else if (c < 0x800) {
		buf_u8(b, (uint8_t)(0xc0 | c >> 6));
		buf_u8(b, (uint8_t)(0x80 | (c & 0x3f)));
	} else if (c < 0x10000) {
		buf_u8(b, (uint8_t)(0xe0 | c >> 12));
		buf_u8(b, (uint8_t)(0x80 | (c >> 6 & 0x3f)));
		buf_u8(b, (uint8_t)(0x80 | (c & 0x3f)));
	} else {
		buf_u8(b, (uint8_t)(0xf0 | c >> 18));
		buf_u8(b, (uint8_t)(0x80 | (c >> 12 & 0x3f)));
		buf_u8(b, (uint8_t)(0x80 | (c >> 6 & 0x3f)));
		buf_u8(b, (uint8_t)(0x80 | (c & 0x3f)));
	}
}

/* After \u. */
static bool
unicode_read(struct reader *r, struct buf *b)
{
	unsigned c, low;

	if (!hex4(r, &c))
		return false;
	if (c >= 0xd800 && c < 0xdc00) {
		if (!starts(r, "\\u"))
			return false;
		r->p += 2;
		if (!hex4(r, &low) || low < 0xdc00 || low > 0xdfff)
			return false;
		c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
	} else if (c >= 0xdc00 && c <= 0xdfff) {
		return false;
	}
	if (!c)
		return false;
	utf8_put(b, c);
	return true;
}

static bool
escape_read(struct reader *r, struct buf *b)
{
	static const char from[] = "\"'\\/bfnrt", to[] = "\"'\\/\b\f\n\r\t";
	const char *hit;

	r->p++;
	if (r->p >= r->end)
		return false;
	if (*r->p == 'u') {
		r->p++;
		return unicode_read(r, b);
	}
	hit = *r->p ? strchr(from, *r->p) : NULL;
	if (!hit)
		return false;
	buf_u8(b, (uint8_t)to[hit - from]);
	r->p++;
	return true;
}

/* A quoted text into b. False: refused. */
static bool
text_read(struct reader *r, struct buf *b)
{
	const char *from = r->p;
	char quote = *r->p++;

	while (r->p < r->end && *r->p != quote) {
		unsigned char c = (unsigned char)*r->p;

		if (c == '\\') {
			if (!escape_read(r, b)) {
				bad(r, "an escape in a text is not one of JSON's");
				return false;
			}
		} else if ((c < 0x20 && !strchr("\t\r\n", c)) || !c || c == 0x7f) {
			bad(r, "a text holds the control character 0x%02x", c);
			return false;
		} else {
			buf_u8(b, c);
			r->p++;
		}
	}
	if (r->p >= r->end) {
		r->p = from;
		bad(r, "a text does not end");
		return false;
	}
	r->p++;
	return true;
}

static bool
name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '$';
}

/* A member's name, quoted or not. */
static bool
name_read(struct reader *r, struct buf *b)
{
	if (at(r, '"') || at(r, '\''))
		return text_read(r, b);
	while (r->p < r->end && name_char(*r->p))
		buf_u8(b, (uint8_t)*r->p++);
	if (!b->n)
		bad(r, "a property name is missing");
	return b->n > 0;
}

/* --- values --------------------------------------------------------------------------------------- */

static json_t *
word_read(struct reader *r)
{
	static const struct {
		const char *word;
		json_t *(*make)(void);
	} words[] = { { "true", json_true }, { "false", json_false }, { "null", json_null } };

	for (size_t i = 0; i < COUNT(words); i++) {
		size_t n = strlen(words[i].word);

		if (!starts(r, words[i].word) ||
		    (r->end - r->p > (ptrdiff_t)n && name_char(r->p[n])))
			continue;
		r->p += n;
		return words[i].make();
	}
	return bad(r, r->p >= r->end ? "it ends in the middle" : "a value is missing");
}

/* -?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?, as the strict parser has it. */
static json_t *
number_read(struct reader *r)
{
	const char *from = r->p;
	json_error_t why;
	json_t *j;

	while (r->p < r->end && *r->p && strchr("+-.0123456789eE", *r->p))
		r->p++;
	j = json_loadb(from, (size_t)(r->p - from), JSON_DECODE_ANY, &why);
	if (j)
		return j;
	r->p = from;
	return bad(r, "a number is malformed or too large");
}

static json_t *
list_read(struct reader *r)
{
	json_t *list = json_array(), *one;

	r->p++;
	for (;;) {
		if (!blank_skip(r))
			break;
		if (at(r, ']')) {
			r->p++;
			return list;
		}
		one = value_read(r);
		if (!one || !blank_skip(r)) {
			json_decref(one);
			break;
		}
		json_array_append_new(list, one);
		if (at(r, ',')) {
			r->p++;
		} else if (!at(r, ']')) {
			bad(r, "',' or ']' is missing in an array");
			break;
		}
	}
	json_decref(list);
	return NULL;
}

/* name: value. False: refused. */
static bool
member_read(struct reader *r, json_t *into)
{
	const char *from = r->p;
	AUTO_BUF name = { 0 };
	json_t *one;

	if (!name_read(r, &name) || !blank_skip(r))
		return false;
	if (!is_utf8((const char *)name.p, name.n)) {
		bad(r, "a property name is not UTF-8");
		return false;
	}
	if (json_object_get(into, buf_str(&name))) {
		r->p = from;
		bad(r, "the property '%.60s' is there twice", buf_str(&name));
		return false;
	}
	if (!at(r, ':')) {
		bad(r, "':' is missing after the property name '%.60s'", buf_str(&name));
		return false;
	}
	r->p++;
	one = blank_skip(r) ? value_read(r) : NULL;
	if (!one)
		return false;
	json_object_set_new(into, buf_str(&name), one);
	return true;
}

static json_t *
object_read(struct reader *r)
{
	json_t *object = json_object();

	r->p++;
	for (;;) {
		if (!blank_skip(r))
			break;
		if (at(r, '}')) {
			r->p++;
			return object;
		}
		if (!member_read(r, object) || !blank_skip(r))
			break;
		if (at(r, ',')) {
			r->p++;
		} else if (!at(r, '}')) {
			bad(r, "',' or '}' is missing in an object");
			break;
		}
	}
	json_decref(object);
	return NULL;
}

static json_t *
nested_read(struct reader *r)
{
	json_t *j = NULL;

	if (++r->depth > TEMPLATE_MAX_DEPTH)
		bad(r, "it is nested deeper than %d levels", TEMPLATE_MAX_DEPTH);
	else
		j = *r->p == '{' ? object_read(r) : list_read(r);
	r->depth--;
	return j;
}

static json_t *
string_read(struct reader *r)
{
	AUTO_BUF b = { 0 };
	json_t *j;

	if (!text_read(r, &b))
		return NULL;
	j = json_stringn((const char *)(b.p ? b.p : (const uint8_t *)""), b.n);
	return j ? j : bad(r, "a text is not UTF-8");
}

static json_t *
value_read(struct reader *r)
{
	if (++r->nodes > TEMPLATE_MAX_NODES)
		return bad(r, "it holds more than %d values", TEMPLATE_MAX_NODES);
	if (at(r, '{') || at(r, '['))
		return nested_read(r);
	if (at(r, '"') || at(r, '\''))
		return string_read(r);
	if (r->p < r->end && *r->p && strchr("-0123456789", *r->p))
		return number_read(r);
	return word_read(r);
}

json_t *
template_read(struct arena *a, const void *p, size_t n, struct arm_error *e)
{
	struct reader r = { .start = p, .p = p, .end = (const char *)p + n, .error = e };
	json_t *j;

	if (n > MAX_BODY) {
		arm_refuse(e, 413, "RequestEntityTooLarge", "The body is larger than %d bytes.",
			   MAX_BODY);
		return NULL;
	}
	if (!blank_skip(&r))
		return NULL;
	if (!at(&r, '{'))
		return bad(&r, "it must be a JSON object");
	j = value_read(&r);
	if (j && blank_skip(&r) && r.p == r.end)
		return j;
	json_decref(j);
	return bad(&r, "something follows after its end");
}
