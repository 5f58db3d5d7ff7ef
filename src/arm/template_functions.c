/* The functions of expressions, one table. Names compare without case, as Azure's do. A function is
 * given known values only, unless its row says otherwise, and gives a value that the template owns. */
#include "arm/template.h"

#include <ctype.h>
#include <openssl/evp.h>
#include <strings.h>

const char *
template_kind(const json_t *v)
{
	static const char *const kinds[] = {
		[JSON_OBJECT] = "an object", [JSON_ARRAY] = "an array", [JSON_STRING] = "a string",
		[JSON_INTEGER] = "an int",   [JSON_REAL] = "a number",  [JSON_TRUE] = "a bool",
		[JSON_FALSE] = "a bool",     [JSON_NULL] = "null",
	};

	return v ? kinds[json_typeof(v)] : "absent";
}

bool
template_is_true(const json_t *v)
{
	return json_is_true(v) || (json_is_string(v) && same(json_string_value(v), "true")) ||
	       (json_is_integer(v) && json_integer_value(v) != 0);
}

static json_t *
wrong(struct template *t, size_t i, const char *want, const json_t *v)
{
	template_fail(t, "argument %zu must be %s, not %s", i + 1, want, template_kind(v));
	return NULL;
}

static const char *
string_arg(struct template *t, json_t *const *arg, size_t i)
{
	if (!json_is_string(arg[i]))
		wrong(t, i, "a string", arg[i]);
	return json_string_value(arg[i]);
}

static bool
int_arg(struct template *t, json_t *const *arg, size_t i, json_int_t *ret)
{
	*ret = json_integer_value(arg[i]);
	return json_is_integer(arg[i]) || wrong(t, i, "an int", arg[i]);
}

static bool
bool_arg(struct template *t, json_t *const *arg, size_t i, bool *ret)
{
	*ret = json_is_true(arg[i]);
	return json_is_boolean(arg[i]) || wrong(t, i, "a bool", arg[i]);
}

static json_t *
text_made(struct template *t, struct buf *b)
{
	return template_own(t, json_stringn(b->n ? (const char *)b->p : "", b->n), b->n);
}

static json_t *
bool_made(bool v)
{
	return v ? json_true() : json_false();
}

/* How many values there are in it. */
static size_t
weight(const json_t *v, size_t cap)
{
	const char *key;
	size_t n = 1, i;
	json_t *one;

	json_array_foreach(v, i, one) {
		if (n > cap)
			return n;
		n += weight(one, cap - n);
	}
	json_object_foreach((json_t *)v, key, one) {
		if (n > cap)
			return n;
		n += weight(one, cap - n);
	}
	return n;
}

/* As Azure prints it; false: not a text or number. */
static bool
plain_print(struct buf *b, const json_t *v)
{
	if (json_is_string(v))
		buf_put(b, json_string_value(v), json_string_length(v));
	else if (json_is_integer(v))
		buf_printf(b, "%lld", (long long)json_integer_value(v));
	else if (json_is_real(v))
		buf_printf(b, "%.15g", json_real_value(v));
	else if (json_is_boolean(v))
		buf_printf(b, "%s", json_is_true(v) ? "True" : "False");
	else
		return false;
	return true;
}

/* --- the template's own ---------------------------------------------------------------------------- */

static json_t *
fn_parameters(struct template *t, json_t *const *arg, size_t n)
{
	const char *name = string_arg(t, arg, 0);

	return name ? template_parameter(t, name) : NULL;
}

static json_t *
fn_variables(struct template *t, json_t *const *arg, size_t n)
{
	const char *name = string_arg(t, arg, 0);

	return name ? template_variable(t, name) : NULL;
}

static json_t *
fn_copy_index(struct template *t, json_t *const *arg, size_t n)
{
	const struct template_copy *loop = t->copies;
	json_int_t offset = 0;

	if (n && json_is_string(arg[0])) {
		while (loop && !same(loop->name, json_string_value(arg[0])))
			loop = loop->up;
		if (n > 1 && !int_arg(t, arg, 1, &offset))
			return NULL;
	} else if (n > 1) {
		return wrong(t, 0, "the name of a copy loop", arg[0]);
	} else if (n && !int_arg(t, arg, 0, &offset)) {
		return NULL;
	}
	if (!loop) {
		template_fail(t,
			      n && json_is_string(arg[0]) ? "there is no copy loop '%.60s' here"
							  : "there is no copy loop here",
			      n && json_is_string(arg[0]) ? json_string_value(arg[0]) : "");
		return NULL;
	}
	if (offset < -1000000 || offset > 1000000) {
		template_fail(t, "the offset must be from -1000000 to 1000000");
		return NULL;
	}
	return template_own(t, json_integer(loop->index + offset), 8);
}

static json_t *
fn_deployment(struct template *t, json_t *const *arg, size_t n)
{
	return (json_t *)t->world.deployment;
}

static json_t *
fn_subscription(struct template *t, json_t *const *arg, size_t n)
{
	json_t *j = t->world.subscription(t->world.ctx, t->error);

	return j ? template_own(t, j, 256) : NULL;
}

static json_t *
fn_resource_group(struct template *t, json_t *const *arg, size_t n)
{
	json_t *j;

	if (!t->world.rg) {
		template_fail(t, "a deployment at a subscription has no resource group");
		return NULL;
	}
	j = t->world.group(t->world.ctx, t->error);
	return j ? template_own(t, j, 1024) : NULL;
}

/* --- ids --------------------------------------------------------------------------------------------- */

/* Where the type is among the arguments: the first with a slash. */
static bool
type_arg(struct template *t, json_t *const *arg, size_t n, size_t most, size_t *ret)
{
	for (size_t i = 0; i < n; i++) {
		const char *s = string_arg(t, arg, i);

		if (!s)
			return false;
		if (strchr(s, '/') && i <= most) {
			*ret = i;
			return true;
		}
	}
	template_fail(t,
		      "there must be a resource type ('Namespace/type') among the first %zu "
		      "arguments",
		      most + 1);
	return false;
}

/* "/providers/NS/a/x/b/y" */
static bool
id_print(struct template *t, struct buf *b, json_t *const *arg, size_t at, size_t n)
{
	const char *type = json_string_value(arg[at]), *rest = strchr(type, '/') + 1;
	size_t n_types = 1, n_names = n - at - 1;

	for (const char *p = rest; *p; p++)
		n_types += *p == '/';
	if (n_names != n_types) {
		template_fail(t, "the type '%.120s' needs %zu name%s, not %zu", type, n_types,
			      n_types == 1 ? "" : "s", n_names);
		return false;
	}
	buf_printf(b, "/providers/%.*s", (int)(rest - type - 1), type);
	for (size_t i = 0; i < n_types; i++) {
		const char *name = string_arg(t, arg, at + 1 + i);
		size_t k = strcspn(rest, "/");

		if (!name)
			return false;
		buf_printf(b, "/%.*s/%s", (int)k, rest, name);
		rest += k + (rest[k] == '/');
	}
	return true;
}

static json_t *
fn_resource_id(struct template *t, json_t *const *arg, size_t n)
{
	const char *sub = t->world.sub, *rg = t->world.rg;
	AUTO_BUF b = { 0 };
	size_t at;

	if (!type_arg(t, arg, n, 2, &at))
		return NULL;
	if (at == 2)
		sub = json_string_value(arg[0]);
	if (at > 0)
		rg = json_string_value(arg[at - 1]);
	if (same(json_string_value(arg[at]), "Microsoft.Resources/resourceGroups") && n == at + 2) {
		buf_printf(&b, "/subscriptions/%s/resourceGroups/%s", sub,
			   json_string_value(arg[at + 1]) ? json_string_value(arg[at + 1]) : "");
		return text_made(t, &b);
	}
	buf_printf(&b, "/subscriptions/%s", sub);
	if (rg)
		buf_printf(&b, "/resourceGroups/%s", rg);
	return id_print(t, &b, arg, at, n) ? text_made(t, &b) : NULL;
}

static json_t *
fn_subscription_resource_id(struct template *t, json_t *const *arg, size_t n)
{
	AUTO_BUF b = { 0 };
	size_t at;

	if (!type_arg(t, arg, n, 1, &at))
		return NULL;
	buf_printf(&b, "/subscriptions/%s", at ? json_string_value(arg[0]) : t->world.sub);
	if (same(json_string_value(arg[at]), "Microsoft.Resources/resourceGroups") && n == at + 2) {
		buf_printf(&b, "/resourceGroups/%s",
			   json_string_value(arg[at + 1]) ? json_string_value(arg[at + 1]) : "");
		return text_made(t, &b);
	}
	return id_print(t, &b, arg, at, n) ? text_made(t, &b) : NULL;
}

/* reference(name or id [, version [, 'Full']]): its properties, or all of it. */
static json_t *
fn_reference(struct template *t, json_t *const *arg, size_t n)
{
	const char *what = string_arg(t, arg, 0), *id = what;
	bool full = n > 2;
	json_t *j, *part;

	if (!what || (n > 1 && !string_arg(t, arg, 1)) || (full && !string_arg(t, arg, 2)))
		return NULL;
	if (full && !same(json_string_value(arg[2]), "Full")) {
		template_fail(t, "argument 3 can be 'Full' only");
		return NULL;
	}
	if (t->is_planning) {
		if (t->referenced)
			t->referenced(t->referenced_arg, what);
		t->has_unknown = true;
		return t->unknown;
	}
	if (*what != '/')
		id = t->id_of ? t->id_of(t->id_of_arg, what) : NULL;
	if (!id) {
		template_fail(t, "the resource '%.120s' is not defined in the template", what);
		return NULL;
	}
	j = t->world.resource(t->world.ctx, id, t->error);
	if (!j)
		return NULL;
	part = full ? j : json_object_get(j, "properties");
	part = part ? json_incref(part) : json_object();
	json_decref(j);
	return template_own(t, part, 4096);
}

/* providers('NS', 'type'): what az's own templates ask it for is apiVersions[0]. */
static json_t *
fn_providers(struct template *t, json_t *const *arg, size_t n)
{
	if (!string_arg(t, arg, 0) || (n > 1 && !string_arg(t, arg, 1)))
		return NULL;
	if (n == 1)
		return template_own(
			t, json_pack("{s:O, s:[]}", "namespace", arg[0], "resourceTypes"), 64);
	return template_own(t,
			    json_pack("{s:O, s:[], s:[s]}", "resourceType", arg[1], "locations",
				      "apiVersions", "2024-05-01"),
			    64);
}

/* --- texts --------------------------------------------------------------------------------------------- */

static json_t *
concat_arrays(struct template *t, json_t *const *arg, size_t n)
{
	json_t *out = template_own(t, json_array(), 0);

	for (size_t i = 0; i < n && out; i++) {
		if (!json_is_array(arg[i]))
			return wrong(t, i, "an array as the first one is", arg[i]);
		out = template_own(t, json_incref(out), 16 * json_array_size(arg[i]));
		if (out)
			json_array_extend(out, arg[i]);
	}
	return out ? template_filled(t, out) : NULL;
}

static json_t *
fn_concat(struct template *t, json_t *const *arg, size_t n)
{
	AUTO_BUF b = { 0 };

	if (json_is_array(arg[0]))
		return concat_arrays(t, arg, n);
	for (size_t i = 0; i < n; i++) {
		if (!plain_print(&b, arg[i]))
			return wrong(t, i, "a string, number or bool", arg[i]);
		if (b.n > TEMPLATE_MAX_TEXT)
			break; /* text_made() refuses it */
	}
	return text_made(t, &b);
}

/* After '{': index[:Dwidth] and '}'. Returns what follows, or NULL. */
static const char *
format_item(struct template *t, const char *p, struct buf *b, json_t *const *arg, size_t n)
{
	unsigned long i;
	char *end;
	int width = 0;

	if (!isdigit((unsigned char)*p)) {
		template_fail(t, "after '{' there must be the number of an argument");
		return NULL;
	}
	i = strtoul(p, &end, 10);
	if (i + 1 >= n) {
		template_fail(t, "'{%lu}' has no argument", i);
		return NULL;
	}
	if (*end == ':') {
		unsigned long w = toupper((unsigned char)end[1]) == 'D' ? strtoul(end + 2, &end, 10)
									: 100;

		if (w > 99 || !json_is_integer(arg[i + 1])) {
			template_fail(t, "the only format is {N:Dwidth}, of an int");
			return NULL;
		}
		width = (int)w;
	}
	if (*end != '}') {
		template_fail(t, "'}' is missing");
		return NULL;
	}
	if (width) {
		buf_printf(b, "%0*lld", width, (long long)json_integer_value(arg[i + 1]));
	} else if (!plain_print(b, arg[i + 1])) {
		wrong(t, i + 1, "a string, number or bool", arg[i + 1]);
		return NULL;
	}
	return end + 1;
}

static json_t *
fn_format(struct template *t, json_t *const *arg, size_t n)
{
	const char *p = string_arg(t, arg, 0);
	AUTO_BUF b = { 0 };

	while (p && *p && b.n <= TEMPLATE_MAX_TEXT) {
		if ((*p == '{' || *p == '}') && p[1] == *p) {
			buf_u8(&b, (uint8_t)*p);
			p += 2;
		} else if (*p == '{') {
			p = format_item(t, p + 1, &b, arg, n);
		} else if (*p == '}') {
			template_fail(t, "a '}' without '{' is written '}}'");
			return NULL;
		} else {
			buf_u8(&b, (uint8_t)*p++);
		}
	}
	return p ? text_made(t, &b) : NULL;
}

static json_t *
case_made(struct template *t, json_t *const *arg, int (*to)(int c))
{
	const char *s = string_arg(t, arg, 0);
	AUTO_BUF b = { 0 };

	for (; s && *s; s++)
		buf_u8(&b, (uint8_t)((unsigned char)*s < 0x80 ? to((unsigned char)*s) : *s));
	return s ? text_made(t, &b) : NULL;
}

static json_t *
fn_to_lower(struct template *t, json_t *const *arg, size_t n)
{
	return case_made(t, arg, tolower);
}

static json_t *
fn_to_upper(struct template *t, json_t *const *arg, size_t n)
{
	return case_made(t, arg, toupper);
}

static json_t *
fn_string(struct template *t, json_t *const *arg, size_t n)
{
	AUTO_FREE char *text = NULL;
	AUTO_BUF b = { 0 };

	if (plain_print(&b, arg[0]))
		return text_made(t, &b);
	if (!template_charge(t, weight(arg[0], TEMPLATE_MAX_STEPS)))
		return NULL;
	text = json_dumps(arg[0], JSON_COMPACT | JSON_ENCODE_ANY);
	return template_own(t, json_string(text ? text : ""), text ? strlen(text) : 0);
}

static bool
joined_print(struct template *t, struct buf *b, json_t *const *arg, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const char *s = string_arg(t, arg, i);

		if (!s)
			return false;
		buf_printf(b, "%s%s", i ? "-" : "", s);
	}
	return true;
}

static uint32_t
rotate(uint32_t v, unsigned by)
{
	return v << by | v >> (32 - by);
}

/* Up to four bytes, the first the lowest. */
static uint32_t
low_first(const uint8_t *p, size_t n)
{
	uint32_t v = 0;

	for (size_t i = 0; i < n && i < 4; i++)
		v |= (uint32_t)p[i] << 8 * i;
	return v;
}

static uint32_t
avalanche(uint32_t h)
{
	h = (h ^ h >> 16) * 0x85ebca6b;
	h = (h ^ h >> 13) * 0xc2b2ae35;
	return h ^ h >> 16;
}

/* Azure's: MurmurHash3's rounds over two 32-bit halves. Names made from it must be the same there
 * and here. */
static uint64_t
unique_hash(const uint8_t *p, size_t n)
{
	const uint32_t c1 = 0x239b961b, c2 = 0xab0e9789;
	uint32_t h1 = 0, h2 = 0;
	size_t left = n;

	for (; left >= 8; left -= 8, p += 8) {
		h1 ^= rotate(low_first(p, 4) * c1, 15) * c2;
		h1 = (rotate(h1, 19) + h2) * 5 + 0x561ccd1b;
		h2 ^= rotate(low_first(p + 4, 4) * c2, 17) * c1;
		h2 = (rotate(h2, 13) + h1) * 5 + 0x0bcaa747;
	}
	if (left)
		h1 ^= rotate(low_first(p, left) * c1, 15) * c2;
	if (left > 4)
		h2 ^= rotate(low_first(p + 4, left - 4) * c2, 17) * c1;
	h2 ^= (uint32_t)n;
	h1 = (h1 ^ (uint32_t)n) + h2;
	h2 += h1;
	h1 = avalanche(h1);
	h2 = avalanche(h2);
	h1 += h2;
	h2 += h1;
	return (uint64_t)h2 << 32 | h1;
}

static json_t *
fn_unique_string(struct template *t, json_t *const *arg, size_t n)
{
	static const char digits[] = "abcdefghijklmnopqrstuvwxyz234567";
	AUTO_BUF b = { 0 };
	char out[14] = "";
	uint64_t h;

	if (!joined_print(t, &b, arg, n))
		return NULL;
	h = unique_hash(b.p, b.n);
	for (unsigned i = 0; i < 13; i++, h <<= 5)
		out[i] = digits[h >> 59];
	return template_own(t, json_string(out), 13);
}

/* RFC 4122 4.3, version 5, in Azure's own name space. */
static json_t *
fn_guid(struct template *t, json_t *const *arg, size_t n)
{
	static const uint8_t space[16] = { 0x11, 0xfb, 0x06, 0xfb, 0x71, 0x2d, 0x4d, 0xdd,
					   0x98, 0xc7, 0xe7, 0x1b, 0xbd, 0x58, 0x88, 0x30 };
	uint8_t d[EVP_MAX_MD_SIZE];
	AUTO_BUF b = { 0 };
	char out[40];

	buf_put(&b, space, sizeof(space));
	if (!joined_print(t, &b, arg, n))
		return NULL;
	if (EVP_Digest(b.p, b.n, d, NULL, EVP_sha1(), NULL) != 1)
		abort();
	d[6] = (uint8_t)((d[6] & 0x0f) | 0x50);
	d[8] = (uint8_t)((d[8] & 0x3f) | 0x80);
	snprintf(out, sizeof(out),
		 "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", d[0], d[1],
		 d[2], d[3], d[4], d[5], d[6], d[7], d[8], d[9], d[10], d[11], d[12], d[13], d[14],
		 d[15]);
	return template_own(t, json_string(out), 36);
}

/* --- arrays and objects -------------------------------------------------------------------------------------- */

static json_t *
fn_length(struct template *t, json_t *const *arg, size_t n)
{
	size_t len = 0;

	if (json_is_string(arg[0])) {
		for (const char *s = json_string_value(arg[0]); *s; s++)
			len += (*s & 0xc0) != 0x80; /* characters, not bytes */
	} else if (json_is_array(arg[0])) {
		len = json_array_size(arg[0]);
	} else if (json_is_object(arg[0])) {
		len = json_object_size(arg[0]);
	} else {
		return wrong(t, 0, "a string, an array or an object", arg[0]);
	}
	return template_own(t, json_integer((json_int_t)len), 8);
}

static json_t *
fn_empty(struct template *t, json_t *const *arg, size_t n)
{
	if (json_is_string(arg[0]))
		return bool_made(!json_string_length(arg[0]));
	if (json_is_array(arg[0]) || json_is_object(arg[0]))
		return bool_made(!json_array_size(arg[0]) && !json_object_size(arg[0]));
	return json_is_null(arg[0]) ? json_true()
				    : wrong(t, 0, "a string, an array or an object", arg[0]);
}

/* Comparing walks over both; false: too many steps. */
static bool
compare(struct template *t, const json_t *a, const json_t *b, bool *ret)
{
	*ret = json_typeof(a) == json_typeof(b);
	if (*ret && (json_is_array(a) || json_is_object(a)) &&
	    !template_charge(t, weight(a, TEMPLATE_MAX_STEPS)))
		return false;
	*ret = *ret && json_equal(a, b);
	return true;
}

static bool
array_look(struct template *t, const json_t *list, const json_t *v, bool *ret)
{
	json_t *one;
	size_t i;

	*ret = false;
	json_array_foreach(list, i, one) {
		if (!template_charge(t, 1) || !compare(t, one, v, ret))
			return false;
		if (*ret)
			return true;
	}
	return true;
}

static json_t *
fn_contains(struct template *t, json_t *const *arg, size_t n)
{
	const char *s;
	bool has;

	if (json_is_array(arg[0]))
		return array_look(t, arg[0], arg[1], &has) ? bool_made(has) : NULL;
	s = string_arg(t, arg, 1);
	if (!s)
		return NULL;
	if (json_is_object(arg[0]))
		return template_charge(t, json_object_size(arg[0]))
			       ? bool_made(template_member(arg[0], s) != NULL)
			       : NULL;
	if (json_is_string(arg[0]))
		return bool_made(strstr(json_string_value(arg[0]), s) != NULL);
	return wrong(t, 0, "a string, an array or an object", arg[0]);
}

static json_t *
fn_create_array(struct template *t, json_t *const *arg, size_t n)
{
	json_t *out = template_own(t, json_array(), 16 * n);

	for (size_t i = 0; i < n && out; i++)
		json_array_append(out, arg[i]);
	return out ? template_filled(t, out) : NULL;
}

static json_t *
fn_create_object(struct template *t, json_t *const *arg, size_t n)
{
	json_t *out = template_own(t, json_object(), 32 * n);

	if (n % 2) {
		template_fail(t, "takes names and values in pairs");
		return NULL;
	}
	for (size_t i = 0; i < n && out; i += 2) {
		const char *key = string_arg(t, arg, i);

		if (!key || json_object_set(out, key, arg[i + 1]) < 0)
			return NULL;
	}
	return out ? template_filled(t, out) : NULL;
}

/* b's members over a's, objects into each other; owned. */
static json_t *
merged(struct template *t, const json_t *a, const json_t *b)
{
	json_t *out = template_own(t, json_copy((json_t *)a), 32 * json_object_size(a)), *v, *was;
	const char *key;

	json_object_foreach((json_t *)b, key, v) {
		was = out ? json_object_get(out, key) : NULL;
		if (json_is_object(was) && json_is_object(v))
			v = merged(t, was, v);
		if (!out || !v || json_object_set(out, key, v) < 0)
			return NULL;
	}
	return out ? template_filled(t, out) : NULL;
}

static json_t *
union_of_arrays(struct template *t, json_t *const *arg, size_t n)
{
	json_t *out = template_own(t, json_array(), 16 * json_array_size(arg[0])), *one;
	size_t k;
	bool has;

	for (size_t i = 0; i < n && out; i++) {
		if (!json_is_array(arg[i]))
			return wrong(t, i, "an array as the first one is", arg[i]);
		json_array_foreach(arg[i], k, one) {
			if (!array_look(t, out, one, &has))
				return NULL;
			if (!has)
				json_array_append(out, one);
		}
	}
	return out ? template_filled(t, out) : NULL;
}

static json_t *
fn_union(struct template *t, json_t *const *arg, size_t n)
{
	json_t *out = arg[0];

	if (json_is_array(arg[0]))
		return union_of_arrays(t, arg, n);
	for (size_t i = 0; i < n && out; i++) {
		if (!json_is_object(arg[i]))
			return wrong(t, i,
				     i ? "an object as the first one is" : "an object or array",
				     arg[i]);
		out = i ? merged(t, out, arg[i]) : out;
	}
	return out;
}

static json_t *
fn_json(struct template *t, json_t *const *arg, size_t n)
{
	const char *s = string_arg(t, arg, 0);
	struct arm_error e = { .arena = t->arena };
	json_t *j;

	if (!s)
		return NULL;
	j = template_read(t->arena, arena_printf(t->arena, "{\"v\":%s\n}", s), strlen(s) + 7, &e);
	if (!j || json_object_size(j) != 1) {
		json_decref(j);
		template_fail(t, "argument 1 is not JSON");
		return NULL;
	}
	return template_own(t, j, strlen(s)) ? json_object_get(j, "v") : NULL;
}

/* --- logic and numbers ----------------------------------------------------------------------------------------- */

static json_t *
fn_if(struct template *t, json_t *const *arg, size_t n)
{
	bool yes;

	if (arg[0] == t->unknown)
		return t->unknown;
	return bool_arg(t, arg, 0, &yes) ? arg[yes ? 1 : 2] : NULL;
}

static json_t *
fn_equals(struct template *t, json_t *const *arg, size_t n)
{
	bool is;

	return compare(t, arg[0], arg[1], &is) ? bool_made(is) : NULL;
}

static json_t *
fn_not(struct template *t, json_t *const *arg, size_t n)
{
	bool v;

	return bool_arg(t, arg, 0, &v) ? bool_made(!v) : NULL;
}

static json_t *
all_or_any(struct template *t, json_t *const *arg, size_t n, bool all)
{
	bool v, out = all;

	for (size_t i = 0; i < n; i++) {
		if (!bool_arg(t, arg, i, &v))
			return NULL;
		out = all ? out && v : out || v;
	}
	return bool_made(out);
}

static json_t *
fn_and(struct template *t, json_t *const *arg, size_t n)
{
	return all_or_any(t, arg, n, true);
}

static json_t *
fn_or(struct template *t, json_t *const *arg, size_t n)
{
	return all_or_any(t, arg, n, false);
}

static json_t *
fn_int(struct template *t, json_t *const *arg, size_t n)
{
	const char *s = json_string_value(arg[0]);
	long long v;
	char *end;

	if (json_is_integer(arg[0]))
		return arg[0];
	if (!s)
		return wrong(t, 0, "a string or an int", arg[0]);
	errno = 0;
	v = strtoll(s, &end, 10);
	if (errno || end == s || *end) {
		template_fail(t, "argument 1 is not the text of a number");
		return NULL;
	}
	return template_own(t, json_integer(v), 8);
}

static json_t *
sum(struct template *t, json_t *const *arg, char op)
{
	json_int_t a, b, out = 0;
	bool over;

	if (!int_arg(t, arg, 0, &a) || !int_arg(t, arg, 1, &b))
		return NULL;
	over = op == '+'   ? __builtin_add_overflow(a, b, &out)
	       : op == '-' ? __builtin_sub_overflow(a, b, &out)
			   : __builtin_mul_overflow(a, b, &out);
	if (over) {
		template_fail(t, "the result does not fit into 64 bits");
		return NULL;
	}
	return template_own(t, json_integer(out), 8);
}

static json_t *
fn_add(struct template *t, json_t *const *arg, size_t n)
{
	return sum(t, arg, '+');
}

static json_t *
fn_sub(struct template *t, json_t *const *arg, size_t n)
{
	return sum(t, arg, '-');
}

static json_t *
fn_mul(struct template *t, json_t *const *arg, size_t n)
{
	return sum(t, arg, '*');
}

static json_t *
fn_true(struct template *t, json_t *const *arg, size_t n)
{
	return json_true();
}

static json_t *
fn_false(struct template *t, json_t *const *arg, size_t n)
{
	return json_false();
}

static json_t *
fn_null(struct template *t, json_t *const *arg, size_t n)
{
	return json_null();
}

/* clang-format off */
static const struct template_function functions[] = {
	/* name                    min max                unknown call */
	{ "add",                    2, 2,                 false, fn_add },
	{ "and",                    2, TEMPLATE_MAX_ARGS, false, fn_and },
	{ "concat",                 1, TEMPLATE_MAX_ARGS, false, fn_concat },
	{ "contains",               2, 2,                 false, fn_contains },
	{ "copyIndex",              0, 2,                 false, fn_copy_index },
	{ "createArray",            0, TEMPLATE_MAX_ARGS, true,  fn_create_array },
	{ "createObject",           0, TEMPLATE_MAX_ARGS, true,  fn_create_object },
	{ "deployment",             0, 0,                 false, fn_deployment },
	{ "empty",                  1, 1,                 false, fn_empty },
	{ "equals",                 2, 2,                 false, fn_equals },
	{ "false",                  0, 0,                 false, fn_false },
	{ "format",                 1, TEMPLATE_MAX_ARGS, false, fn_format },
	{ "guid",                   1, TEMPLATE_MAX_ARGS, false, fn_guid },
	{ "if",                     3, 3,                 true,  fn_if },
	{ "int",                    1, 1,                 false, fn_int },
	{ "json",                   1, 1,                 false, fn_json },
	{ "length",                 1, 1,                 false, fn_length },
	{ "mul",                    2, 2,                 false, fn_mul },
	{ "not",                    1, 1,                 false, fn_not },
	{ "null",                   0, 0,                 false, fn_null },
	{ "or",                     2, TEMPLATE_MAX_ARGS, false, fn_or },
	{ "parameters",             1, 1,                 false, fn_parameters },
	{ "providers",              1, 2,                 false, fn_providers },
	{ "reference",              1, 3,                 false, fn_reference },
	{ "resourceGroup",          0, 0,                 false, fn_resource_group },
	{ "resourceId",             2, TEMPLATE_MAX_ARGS, false, fn_resource_id },
	{ "string",                 1, 1,                 false, fn_string },
	{ "sub",                    2, 2,                 false, fn_sub },
	{ "subscription",           0, 0,                 false, fn_subscription },
	{ "subscriptionResourceId", 2, TEMPLATE_MAX_ARGS, false, fn_subscription_resource_id },
	{ "toLower",                1, 1,                 false, fn_to_lower },
	{ "toUpper",                1, 1,                 false, fn_to_upper },
	{ "true",                   0, 0,                 false, fn_true },
	{ "union",                  2, TEMPLATE_MAX_ARGS, false, fn_union },
	{ "uniqueString",           1, TEMPLATE_MAX_ARGS, false, fn_unique_string },
	{ "variables",              1, 1,                 false, fn_variables },
};
/* clang-format on */

const struct template_function *
template_function_find(const char *name, size_t len)
{
	for (size_t i = 0; i < COUNT(functions); i++)
		if (strlen(functions[i].name) == len && !strncasecmp(functions[i].name, name, len))
			return &functions[i];
	return NULL;
}
