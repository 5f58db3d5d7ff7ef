/* YAML config text to JSON values, by libfyaml's document tree. No aliases, so a document is never
 * larger than its text. */
#include "fabric/node.h"

#include <ctype.h>
#include <jansson.h>
#include <libfyaml.h>

enum { YAML_BYTES = 16 << 20, YAML_DEPTH = 32 };

static json_t *convert(struct fy_node *n, unsigned depth, struct err *e);

/* Whole text is a decimal integer that fits. */
static bool
is_integer(const char *s, size_t n, json_int_t *ret)
{
	char text[24], *end;

	if (n == 0 || n > 20 || (!isdigit((unsigned char)s[0]) && (s[0] != '-' || n < 2)))
		return false;
	memcpy(text, s, n);
	text[n] = '\0';
	errno = 0;
	*ret = strtoll(text, &end, 10);
	return !*end && end != text && !errno;
}

static bool
is_word(const char *s, size_t n, const char *word)
{
	return n == strlen(word) && !memcmp(s, word, n);
}

static json_t *
convert_scalar(struct fy_node *node, struct err *e)
{
	size_t n = 0;
	const char *s = fy_node_get_scalar(node, &n);
	bool is_plain = fy_node_get_style(node) == FYNS_PLAIN;
	json_int_t number;
	json_t *v;

	if (!s)
		s = "";
	if (is_plain && (n == 0 || is_word(s, n, "null") || is_word(s, n, "~")))
		return json_null();
	if (is_plain && (is_word(s, n, "true") || is_word(s, n, "false")))
		return json_boolean(s[0] == 't');
	if (is_plain && is_integer(s, n, &number))
		return json_integer(number);
	v = json_stringn(s, n);
	if (!v)
		err_set(e, -EBADMSG, "text is not UTF-8");
	return v;
}

static json_t *
convert_sequence(struct fy_node *node, unsigned depth, struct err *e)
{
	json_t *list = json_array();
	struct fy_node *x;
	void *it = NULL;

	while ((x = fy_node_sequence_iterate(node, &it)) != NULL) {
		json_t *v = convert(x, depth, e);

		if (!v) {
			json_decref(list);
			return NULL;
		}
		json_array_append_new(list, v);
	}
	return list;
}

static json_t *
convert_mapping(struct fy_node *node, unsigned depth, struct err *e)
{
	json_t *map = json_object();
	struct fy_node_pair *pair;
	void *it = NULL;

	while ((pair = fy_node_mapping_iterate(node, &it)) != NULL) {
		struct fy_node *key = fy_node_pair_key(pair);
		size_t n = 0;
		const char *s = key ? fy_node_get_scalar(key, &n) : NULL;
		char name[128];
		json_t *v;

		if (!s || n >= sizeof(name) || memchr(s, 0, n)) {
			err_set(e, -EBADMSG, "a key must be text of at most %zu characters",
				sizeof(name) - 1);
			goto fail;
		}
		memcpy(name, s, n);
		name[n] = '\0';
		v = convert(fy_node_pair_value(pair), depth, e);
		if (!v) {
			err_wrap(e, e ? e->code : -EBADMSG, "%s", name);
			goto fail;
		}
		if (json_object_get(map, name)) {
			json_decref(v);
			err_set(e, -EBADMSG, "key \"%s\" is there twice", name);
			goto fail;
		}
		if (json_object_set_new(map, name, v) < 0) {
			err_set(e, -EBADMSG, "a key is not UTF-8");
			goto fail;
		}
	}
	return map;
fail:
	json_decref(map);
	return NULL;
}

static json_t *
convert(struct fy_node *node, unsigned depth, struct err *e)
{
	if (!node)
		return json_null();
	if (depth == 0) {
		err_set(e, -EBADMSG, "nested deeper than %d", YAML_DEPTH);
		return NULL;
	}
	if (fy_node_is_alias(node)) {
		err_set(e, -EBADMSG, "aliases are not allowed");
		return NULL;
	}
	if (fy_node_get_tag(node, &(size_t){ 0 })) {
		err_set(e, -EBADMSG, "tags are not allowed");
		return NULL;
	}
	switch (fy_node_get_type(node)) {
	case FYNT_SCALAR:
		return convert_scalar(node, e);
	case FYNT_SEQUENCE:
		return convert_sequence(node, depth - 1, e);
	default:
		return convert_mapping(node, depth - 1, e);
	}
}

/* Where and why the text is not YAML. */
static void
explain(struct fy_diag *diag, struct err *e)
{
	struct fy_diag_error *de;
	void *it = NULL;

	de = fy_diag_errors_iterate(diag, &it);
	if (de)
		err_set(e, -EBADMSG, "line %d, column %d: %s", de->line + 1, de->column + 1,
			de->msg);
	else
		err_set(e, -EBADMSG, "not a YAML document");
}

/* libfyaml 0.7.12 never ends on some broken directives ("%n" and a stray byte); no config needs one. */
static bool
has_directive(const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (text[i] == '%' && (i == 0 || text[i - 1] == '\n' || text[i - 1] == '\r'))
			return true;
	return false;
}

struct json_t *
node_yaml_load(const char *text, size_t n, struct err *e)
{
	struct fy_diag_cfg dcfg;
	struct fy_parse_cfg cfg = { .flags = FYPCF_QUIET | FYPCF_COLLECT_DIAG |
					     FYPCF_DEFAULT_VERSION_1_2 | FYPCF_JSON_NONE };
	struct fy_document *doc;
	json_t *v = NULL;

	if (n > YAML_BYTES) {
		err_set(e, -EMSGSIZE, "more than %d bytes", YAML_BYTES);
		return NULL;
	}
	if (has_directive(text, n)) {
		err_set(e, -EBADMSG, "directives (lines that begin with '%%') are not allowed");
		return NULL;
	}
	fy_diag_cfg_default(&dcfg);
	dcfg.fp = NULL;
	dcfg.output_fn = NULL;
	cfg.diag = fy_diag_create(&dcfg);
	if (!cfg.diag) {
		err_set(e, -ENOMEM, "no diagnostics");
		return NULL;
	}
	fy_diag_set_collect_errors(cfg.diag, true);
	doc = n ? fy_document_build_from_string(&cfg, text, n) : NULL;
	if (!doc)
		explain(cfg.diag, e);
	else
		v = convert(fy_document_root(doc), YAML_DEPTH, e);
	fy_document_destroy(doc);
	fy_diag_destroy(cfg.diag);
	return v;
}
