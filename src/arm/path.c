/* URL paths and queries: split before they are decoded, each segment checked after. */
#include "arm/internal.h"

#include <ctype.h>
#include <strings.h>

bool
same(const char *a, const char *b)
{
	return !strcasecmp(a, b);
}

char *
fold(struct arena *a, const char *s)
{
	char *out = arena_strdup(a, s);

	for (char *p = out; *p; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p + 32);
	return out;
}

char *
location_fold(struct arena *a, const char *s)
{
	char *out = fold(a, s), *w = out;

	for (const char *p = out; *p; p++)
		if (*p != ' ')
			*w++ = *p;
	*w = '\0';
	return out;
}

/* RFC 3629: no overlong forms, no surrogates, nothing above 10FFFF. */
bool
is_utf8(const char *s, size_t n)
{
	const uint8_t *p = (const uint8_t *)s, *end = p + n;

	while (p < end) {
		unsigned len = *p < 0x80   ? 1
			       : *p < 0xc2 ? 0
			       : *p < 0xe0 ? 2
			       : *p < 0xf0 ? 3
			       : *p < 0xf5 ? 4
					   : 0;

		if (!len || (size_t)(end - p) < len)
			return false;
		for (unsigned i = 1; i < len; i++)
			if ((p[i] & 0xc0) != 0x80)
				return false;
		if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
		    (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
			return false;
		p += len;
	}
	return true;
}

static int
hex(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

char *
percent_decode(struct arena *a, const char *s, size_t n, bool plus_is_blank)
{
	char *out = arena_alloc(a, n + 1);
	size_t w = 0;

	for (size_t i = 0; i < n; i++) {
		int c = (unsigned char)s[i];

		if (c == '%') {
			if (i + 2 >= n || hex(s[i + 1]) < 0 || hex(s[i + 2]) < 0)
				return NULL;
			c = hex(s[i + 1]) * 16 + hex(s[i + 2]);
			i += 2;
		} else if (c == '+' && plus_is_blank) {
			c = ' ';
		}
		if (c < 0x20 || c == 0x7f)
			return NULL;
		out[w++] = (char)c;
	}
	out[w] = '\0';
	return is_utf8(out, w) ? out : NULL;
}

int
path_parse(struct arena *a, const char *raw, struct path *ret, struct arm_error *e)
{
	*ret = (struct path){ 0 };
	if (strlen(raw) > 4096)
		return arm_refuse(e, 414, "UriTooLong", "The path is longer than 4096 bytes.");
	while (*raw) {
		size_t n = strcspn(raw, "/");
		char *seg;

		if (!n) {
			raw++;
			continue;
		}
		seg = percent_decode(a, raw, n, false);
		if (!seg || strchr(seg, '/') || strchr(seg, '\\'))
			return arm_refuse(e, 400, "InvalidRequestUri",
					  "A path segment is not valid: it has a broken percent "
					  "code, a control character, a slash or is not UTF-8.");
		if (strlen(seg) > 512 || ret->n == MAX_SEGMENTS)
			return arm_refuse(e, 400, "InvalidRequestUri",
					  "The path has more than %d segments or one is longer "
					  "than 512 bytes.",
					  MAX_SEGMENTS);
		ret->seg[ret->n++] = seg;
		raw += n;
	}
	return 0;
}

const char *
query_param(struct arena *a, const char *query, const char *name)
{
	while (query && *query) {
		size_t n = strcspn(query, "&"), k = strcspn(query, "=&");
		char *key = percent_decode(a, query, k, true);

		if (key && same(key, name))
			return k < n ? percent_decode(a, query + k + 1, n - k - 1, true) : "";
		query += n + (query[n] == '&');
	}
	return NULL;
}

/* Paging tokens: the last id seen, in hex. Opaque to clients, checked by the key order alone. */
char *
token_encode(struct arena *a, const char *s)
{
	size_t n = strlen(s);
	char *out = arena_alloc(a, n * 2 + 1);

	for (size_t i = 0; i < n; i++)
		snprintf(out + i * 2, 3, "%02x", (unsigned char)s[i]);
	return out;
}

const char *
token_decode(struct arena *a, const char *token)
{
	size_t n = strlen(token);
	char *out = arena_alloc(a, n / 2 + 1);

	if (n % 2 || n > 8192)
		return NULL;
	for (size_t i = 0; i < n; i += 2) {
		if (hex(token[i]) < 0 || hex(token[i + 1]) < 0)
			return NULL;
		out[i / 2] = (char)(hex(token[i]) * 16 + hex(token[i + 1]));
	}
	return is_utf8(out, n / 2) ? out : NULL;
}

/* Names: start alphanumeric, end alphanumeric or _, inside also . _ - */
bool
name_is_valid(const struct arm_type *t, const char *name)
{
	size_t n = strlen(name), max = t->name_max ? t->name_max : 80;

	if (t->names) {
		for (const char *const *w = t->names; *w; w++)
			if (same(*w, name))
				return true;
		return false;
	}
	if (!n || n > max || !isalnum((unsigned char)name[0]) ||
	    !(isalnum((unsigned char)name[n - 1]) || name[n - 1] == '_'))
		return false;
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)name[i]) && !strchr("._-", name[i]))
			return false;
	return true;
}
