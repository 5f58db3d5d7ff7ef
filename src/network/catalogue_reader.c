/* The walker (catalogue_reader.h). */
#include "network/catalogue_reader.h"

#include <ctype.h>
#include <libfyaml.h>
#include <limits.h>

struct reader {
	struct arena *arena;
	const char *file;
	struct err *e;
};

static int
node_line(struct fy_node *n, int parent)
{
	struct fy_token *t = NULL;

	if (!n)
		return parent;
	if (fy_node_is_scalar(n)) {
		t = fy_node_get_scalar_token(n);
	} else if (fy_node_is_mapping(n)) {
		void *it = NULL;
		struct fy_node_pair *p = fy_node_mapping_iterate(n, &it);

		return p ? node_line(fy_node_pair_key(p), parent) : parent;
	} else {
		void *it = NULL;
		struct fy_node *first = fy_node_sequence_iterate(n, &it);

		return first ? node_line(first, parent) : parent;
	}
	const struct fy_mark *m = t ? fy_token_start_mark(t) : NULL;

	return m ? m->line + 1 : parent;
}

static int
read_text(struct reader *r, struct fy_node *n, const char *key, int line, const char **ret)
{
	size_t len = 0;
	const char *s = n && fy_node_is_scalar(n) ? fy_node_get_scalar(n, &len) : NULL;

	line = node_line(n, line);
	if (!s || !len || len > READER_MAX_NAME || fy_node_is_alias(n) || memchr(s, 0, len))
		return err_set(r->e, -EINVAL, "%s:%d: %s: wants a text of 1 to %d characters",
			       r->file, line, key, READER_MAX_NAME);
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)s[i] < 0x20)
			return err_set(r->e, -EINVAL, "%s:%d: %s: control character in a name",
				       r->file, line, key);
	*ret = arena_strndup(r->arena, s, len);
	return 0;
}

static int
read_number(struct reader *r, struct fy_node *n, const struct reader_field *f, int line,
	    uint32_t *ret)
{
	size_t len = 0;
	const char *s = n && fy_node_is_scalar(n) ? fy_node_get_scalar(n, &len) : NULL;
	uint32_t max = f->max ? f->max : UINT32_MAX;
	uint64_t v = 0;
	bool bad = !s || !len || len > 10 || fy_node_is_alias(n);

	for (size_t i = 0; !bad && i < len; i++) {
		bad = !isdigit((unsigned char)s[i]);
		v = v * 10 + (uint64_t)(s[i] - '0');
	}
	if (bad || v > max)
		return err_set(r->e, -EINVAL, "%s:%d: %s: wants a whole number from 0 to %u",
			       r->file, node_line(n, line), f->key, max);
	*ret = (uint32_t)v;
	return 0;
}

/* Digits, and up to four more behind a dot. */
static int
read_amount(struct reader *r, struct fy_node *n, const struct reader_field *f, int line,
	    int64_t *ret)
{
	size_t len = 0, i = 0;
	const char *s = n && fy_node_is_scalar(n) ? fy_node_get_scalar(n, &len) : NULL;
	bool bad = !s || !len || len > 14 || fy_node_is_alias(n) || !isdigit((unsigned char)s[0]);
	int64_t v = 0;
	int decimals = 0;

	for (; !bad && i < len && s[i] != '.'; i++) {
		bad = !isdigit((unsigned char)s[i]) || i == 9;
		v = v * 10 + (s[i] - '0');
	}
	bad = bad || i + 1 == len; /* a dot wants more */
	for (i++; !bad && i < len; i++, decimals++) {
		bad = !isdigit((unsigned char)s[i]) || decimals == 4;
		v = v * 10 + (s[i] - '0');
	}
	if (bad)
		return err_set(r->e, -EINVAL,
			       "%s:%d: %s: wants an amount like 55 or 0.025, at most 4 decimals",
			       r->file, node_line(n, line), f->key);
	for (; decimals < 4; decimals++)
		v *= 10;
	*ret = v;
	return 0;
}

/* The number of elements of a sequence, checked. */
static int
list_open(struct reader *r, struct fy_node *n, const char *key, int line, size_t *ret)
{
	if (!n || !fy_node_is_sequence(n))
		return err_set(r->e, -EINVAL, "%s:%d: %s: wants a list", r->file,
			       node_line(n, line), key);
	int count = fy_node_sequence_item_count(n);

	if (count < 0 || count > READER_MAX_ITEMS)
		return err_set(r->e, -EINVAL, "%s:%d: %s: more than %d entries", r->file, line, key,
			       READER_MAX_ITEMS);
	*ret = (size_t)count;
	return 0;
}

static int read_mapping(struct reader *r, struct fy_node *n, const struct reader_schema *s,
			int line, void *out);

static int
read_list(struct reader *r, struct fy_node *n, const struct reader_field *f, int line, char *out)
{
	size_t more;
	int ret = list_open(r, n, f->key, line, &more);
	char **array = (char **)(void *)(out + f->at);
	size_t *have = (size_t *)(void *)(out + f->at_n);

	if (ret < 0)
		return ret;
	/* The same list may come in several files: append. */
	char *grown = arena_alloc(r->arena, (*have + more + 1) * f->of->size);

	if (*have)
		memcpy(grown, *array, *have * f->of->size);
	*array = grown;
	void *it = NULL;
	struct fy_node *item;

	while ((item = fy_node_sequence_iterate(n, &it))) {
		ret = read_mapping(r, item, f->of, line, *array + *have * f->of->size);
		if (ret < 0)
			return ret;
		++*have;
	}
	return 0;
}

static int
read_names(struct reader *r, struct fy_node *n, const struct reader_field *f, int line,
	   struct reader_names *out)
{
	size_t count;
	int ret = list_open(r, n, f->key, line, &count);

	if (ret < 0)
		return ret;
	out->v = NEW_ARRAY(r->arena, struct reader_name, count + 1);
	out->n = 0;
	void *it = NULL;
	struct fy_node *item;

	while ((item = fy_node_sequence_iterate(n, &it))) {
		struct reader_name *ref = &out->v[out->n++];

		ref->line = node_line(item, line);
		ret = read_text(r, item, f->key, line, &ref->text);
		if (ret < 0)
			return ret;
	}
	return 0;
}

static int
read_numbers(struct reader *r, struct fy_node *n, const struct reader_field *f, int line,
	     struct reader_numbers *out)
{
	size_t count;
	int ret = list_open(r, n, f->key, line, &count);

	if (ret < 0)
		return ret;
	out->v = NEW_ARRAY(r->arena, uint32_t, count + 1);
	out->n = 0;
	void *it = NULL;
	struct fy_node *item;

	while ((item = fy_node_sequence_iterate(n, &it))) {
		uint32_t *v = &out->v[out->n];

		ret = read_number(r, item, f, line, v);
		if (ret < 0)
			return ret;
		if (!*v || (out->n && v[-1] >= *v))
			return err_set(r->e, -EINVAL, "%s:%d: %s: wants ascending numbers above 0",
				       r->file, node_line(item, line), f->key);
		out->n++;
	}
	return 0;
}

static int
read_field(struct reader *r, struct fy_node *n, const struct reader_field *f, int line, char *out)
{
	void *at = out + f->at;

	switch (f->kind) {
	case READER_TEXT:
		return read_text(r, n, f->key, line, at);
	case READER_NUMBER:
		return read_number(r, n, f, line, at);
	case READER_AMOUNT:
		return read_amount(r, n, f, line, at);
	case READER_NAMES:
		return read_names(r, n, f, line, at);
	case READER_NUMBERS:
		return read_numbers(r, n, f, line, at);
	case READER_LIST:
		return read_list(r, n, f, line, out);
	}
	return -EINVAL;
}

static const struct reader_field *
field_find(const struct reader_schema *s, const char *key, size_t len)
{
	for (size_t i = 0; i < s->n_fields; i++)
		if (strlen(s->fields[i].key) == len && !memcmp(s->fields[i].key, key, len))
			return &s->fields[i];
	return NULL;
}

static int
read_mapping(struct reader *r, struct fy_node *n, const struct reader_schema *s, int line,
	     void *out)
{
	uint64_t seen = 0;
	void *it = NULL;
	struct fy_node_pair *pair;

	line = node_line(n, line);
	if (s->at_line != SIZE_MAX)
		*(int *)(void *)((char *)out + s->at_line) = line;
	if (s->at_file != SIZE_MAX)
		*(const char **)(void *)((char *)out + s->at_file) = r->file;
	if (s->has_short_form && n && fy_node_is_scalar(n))
		return read_field(r, n, &s->fields[0], line, out);
	if (!n || !fy_node_is_mapping(n))
		return err_set(r->e, -EINVAL, "%s:%d: wants %s as a mapping", r->file, line,
			       s->what);
	while ((pair = fy_node_mapping_iterate(n, &it))) {
		struct fy_node *k = fy_node_pair_key(pair);
		size_t len = 0;
		const char *key = k && fy_node_is_scalar(k) ? fy_node_get_scalar(k, &len) : NULL;
		int at = node_line(k, line);
		const struct reader_field *f = key ? field_find(s, key, len) : NULL;

		if (!f)
			return err_set(r->e, -EINVAL, "%s:%d: %s has no key '%.*s'", r->file, at,
				       s->what, key ? (int)MIN(len, (size_t)40) : 1,
				       key ? key : "?");
		if (seen & 1ull << (f - s->fields))
			return err_set(r->e, -EINVAL, "%s:%d: '%s' stands twice", r->file, at,
				       f->key);
		seen |= 1ull << (f - s->fields);
		int ret = read_field(r, fy_node_pair_value(pair), f, at, out);

		if (ret < 0)
			return ret;
	}
	for (size_t i = 0; i < s->n_fields; i++)
		if (s->fields[i].is_required && !(seen & 1ull << i))
			return err_set(r->e, -EINVAL, "%s:%d: %s lacks '%s'", r->file, line,
				       s->what, s->fields[i].key);
	return 0;
}

static void
diag_destroy(struct fy_diag **d)
{
	if (*d)
		fy_diag_destroy(*d);
}

static void
document_destroy(struct fy_document **d)
{
	fy_document_destroy(*d);
}

/* The library never comes back from some "%" directives, which a catalogue has no use for. */
static int
check_directives(const char *file, const char *text, size_t n, struct err *e)
{
	int line = 1;

	for (size_t i = 0; i < n; i++) {
		bool is_first = !i || text[i - 1] == '\n' || text[i - 1] == '\r' ||
				(unsigned char)text[i - 1] >=
					0x80; /* a mark, or a foreign line end */

		if (text[i] == '%' && is_first)
			return err_set(e, -EINVAL, "%s:%d: YAML directives are not used here", file,
				       line);
		line += text[i] == '\n';
	}
	return 0;
}

int
reader_read(struct arena *a, const char *file, const char *text, size_t n,
	    const struct reader_schema *s, void *out, struct err *e)
{
	int ret = check_directives(file, text, n, e);

	if (ret < 0)
		return ret;
	struct fy_diag_cfg dcfg;

	fy_diag_cfg_default(&dcfg);
	dcfg.fp = NULL;
	__attribute__((cleanup(diag_destroy))) struct fy_diag *diag = fy_diag_create(&dcfg);
	struct fy_parse_cfg cfg = { .flags = FYPCF_QUIET | FYPCF_COLLECT_DIAG, .diag = diag };

	if (!diag)
		return err_set(e, -ENOMEM, "%s: no memory", file);
	fy_diag_set_collect_errors(diag, true);
	__attribute__((cleanup(document_destroy))) struct fy_document *doc =
		fy_document_build_from_string(&cfg, text, n);

	if (!doc) {
		void *it = NULL;
		struct fy_diag_error *de = fy_diag_errors_iterate(diag, &it);

		return err_set(e, -EINVAL, "%s:%d: not YAML: %s", file, de ? de->line : 1,
			       de && de->msg ? de->msg : "cannot be read");
	}
	struct reader r = { a, file, e };

	return read_mapping(&r, fy_document_root(doc), s, 1, out);
}
