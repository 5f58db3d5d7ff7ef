/* The lenient reader, every function of expressions, plans: values, refusals, limits. */
#include "../test.h"

#include "arm/template.h"
#include "base/mem.h"

struct bench {
	struct arena arena;
	struct arm_error error;
	json_t *doc, *function;
	struct template t;
	struct template_plan plan;
};

static json_t *
group(void *ctx, struct arm_error *e)
{
	return json_pack("{s:s, s:s, s:s}", "id", "/subscriptions/S/resourceGroups/G", "name", "G",
			 "location", "westeurope");
}

static json_t *
subscription(void *ctx, struct arm_error *e)
{
	return json_pack("{s:s, s:s}", "subscriptionId", "S", "tenantId", "T");
}

static json_t *
resource(void *ctx, const char *id, struct arm_error *e)
{
	if (strstr(id, "absent")) {
		arm_refuse(e, 404, "ResourceNotFound", "There is no %s.", id);
		return NULL;
	}
	return json_pack("{s:s, s:s, s:{s:s, s:[i,i]}}", "id", id, "location", "westeurope",
			 "properties", "ip", "10.0.0.1", "list", 1, 2);
}

static void
bench_init(struct bench *b, const char *template)
{
	struct template_world w = {
		.sub = "S",
		.rg = "G",
		.group = group,
		.subscription = subscription,
		.resource = resource,
	};

	*b = (struct bench){ 0 };
	b->error.arena = &b->arena;
	b->doc = template_read(&b->arena, template, strlen(template), &b->error);
	if (!b->doc)
		fail_msg("%s", b->error.message);
	b->function = json_pack("{s:s}", "name", "D");
	w.deployment = b->function;
	template_init(&b->t, &b->arena, &b->error, b->doc, &w);
}

static void
bench_fini(struct bench *b)
{
	template_fini(&b->t);
	json_decref(b->doc);
	json_decref(b->function);
	arena_reset(&b->arena);
}

/* --- the reader ---------------------------------------------------------------------------------- */

static void
the_reader_takes_what_az_sends(void **state)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{ "{}", "{}" },
		{ "{\"properties\": {\"mode\": \"Incremental\", template:{\r\n  \"a\": 1}}}",
		  "{\"properties\":{\"mode\":\"Incremental\",\"template\":{\"a\":1}}}" },
		{ "\xef\xbb\xbf{\"a\":\xef\xbb\xbf[1,2,],}", "{\"a\":[1,2]}" },
		{ "{ // one\n\"a\": /* two */ true, /* three **/ }", "{\"a\":true}" },
		{ "{'a': 'it\\'s', $b_1: null}", "{\"a\":\"it's\",\"$b_1\":null}" },
		{ "{\"a\":\"two\nlines\"}", "{\"a\":\"two\\nlines\"}" },
		{ "{\"a\":\"http://x /* no */ // comment\"}",
		  "{\"a\":\"http://x /* no */ // comment\"}" },
		{ "{\"a\":\"\\u00e9\\ud83d\\ude00\\n\\/\"}",
		  "{\"a\":\"\xc3\xa9\xf0\x9f\x98\x80\\n/\"}" },
		{ "{\"a\":[-1,0,2.5,1e3]}", "{\"a\":[-1,0,2.5,1000.0]}" },
		{ "{\"a\":{}} // the end", "{\"a\":{}}" },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		AUTO_ARENA a = { 0 };
		struct arm_error e = { .arena = &a };
		json_t *j = template_read(&a, rows[i].in, strlen(rows[i].in), &e);
		AUTO_FREE char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;

		if (!text || strcmp(text, rows[i].out) != 0)
			fail_msg("%s: %s", rows[i].in, text ? text : e.message);
		json_decref(j);
	}
}

static void
the_reader_refuses_the_rest(void **state)
{
	static const struct {
		const char *in, *why;
	} rows[] = {
		{ "", "must be a JSON object (line 1, column 1)" },
		{ "[]", "must be a JSON object" },
		{ "{\"a\":1} x", "something follows after its end (line 1, column 9)" },
		{ "{\n \"a\":1,\n \"a\":2}", "the property 'a' is there twice (line 3, column 2)" },
		{ "{\"a\" 1}", "':' is missing after the property name 'a'" },
		{ "{\"a\":1 \"b\":2}", "',' or '}' is missing in an object" },
		{ "{\"a\":[1 2]}", "',' or ']' is missing in an array" },
		{ "{\"a\":[1,,2]}", "a value is missing" },
		{ "{,}", "a property name is missing" },
		{ "{\"a\":", "it ends in the middle" },
		{ "{\"a\":\"x", "a text does not end (line 1, column 6)" },
		{ "{\"a\":/* x", "a comment does not end (line 1, column 6)" },
		{ "{\"a\":01}", "a number is malformed or too large" },
		{ "{\"a\":99999999999999999999}", "a number is malformed or too large" },
		{ "{\"a\":nullx}", "a value is missing" },
		{ "{\"a\":NaN}", "a value is missing" },
		{ "{\"a\":\"\\x\"}", "an escape in a text is not one of JSON's" },
		{ "{\"a\":\"\\u0000\"}", "an escape in a text is not one of JSON's" },
		{ "{\"a\":\"\\ud800x\"}", "an escape in a text is not one of JSON's" },
		{ "{\"a\":\"\xff\"}", "a text is not UTF-8" },
		{ "{\"\xff\":1}", "a property name is not UTF-8" },
		{ "{\"a\":\"\x01\"}", "a text holds the control character 0x01" },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		AUTO_ARENA a = { 0 };
		struct arm_error e = { .arena = &a };
		json_t *j = template_read(&a, rows[i].in, strlen(rows[i].in), &e);

		assert_null(j);
		assert_int_equal(e.status, 400);
		if (!strstr(e.message, rows[i].why))
			fail_msg("%s: %s", rows[i].in, e.message);
	}
}

static void
the_reader_has_limits(void **state)
{
	AUTO_ARENA a = { 0 };
	struct arm_error e = { .arena = &a };
	char *big = mem_alloc((size_t)MAX_BODY + 2);
	size_t n = 0;

	n += (size_t)snprintf(big, 8, "{\"a\":");
	for (unsigned i = 0; i < TEMPLATE_MAX_DEPTH; i++)
		big[n++] = '[';
	assert_null(template_read(&a, big, n, &e));
	assert_non_null(strstr(e.message, "nested deeper than 64 levels"));
	n = 6;
	big[5] = '[';
	while (n < 2 * TEMPLATE_MAX_NODES + 10) {
		big[n++] = '1';
		big[n++] = ',';
	}
	e.status = 0;
	assert_null(template_read(&a, big, n, &e));
	assert_non_null(strstr(e.message, "more than 200000 values"));
	e.status = 0;
	assert_null(template_read(&a, big, (size_t)MAX_BODY + 1, &e));
	assert_int_equal(e.status, 413);
	free(big);
}

/* --- functions -------------------------------------------------------------------------------------- */

#define WORLD \
	"{\"parameters\":{\"p\":{\"type\":\"string\",\"defaultValue\":\"pv\"}," \
	"\"o\":{\"type\":\"object\",\"defaultValue\":{\"k\":[{\"n\":7}],\"z\":null}}}," \
	"\"variables\":{\"v\":\"[concat(parameters('p'),'!')]\",\"w\":[1,2,3]," \
	"\"self\":\"[variables('self')]\",\"copy\":[{\"name\":\"c\",\"count\":3,\"input\":\"[copyIndex('c',1)]\"}]}," \
	"\"resources\":[{\"type\":\"A/b\",\"apiVersion\":\"2020-01-01\",\"name\":\"x\"}]}"

static const struct row {
	const char *in, *out; /* JSON, or a part of the refusal */
} values[] = {
	/* what is an expression */
	{ "plain", "\"plain\"" },
	{ "[[not one]", "\"[not one]\"" },
	{ "[half", "\"[half\"" },
	{ "['it''s']", "\"it's\"" },
	{ "[ 'x' ]", "\"x\"" },
	{ "[-5]", "-5" },
	/* selecting */
	{ "[parameters('o').k[0].n]", "7" },
	{ "[parameters('o')['k'][sub(1,1)].N]", "7" },
	{ "[variables('w')[1]]", "2" },
	/* functions of the template */
	{ "[parameters('P')]", "\"pv\"" },
	{ "[variables('V')]", "\"pv!\"" },
	{ "[variables('c')]", "[1,2,3]" },
	{ "[deployment().name]", "\"D\"" },
	{ "[resourceGroup().location]", "\"westeurope\"" },
	{ "[subscription().tenantId]", "\"T\"" },
	{ "[reference('x').ip]", "\"10.0.0.1\"" },
	{ "[reference('/subscriptions/S/y','2020-01-01').list[1]]", "2" },
	{ "[reference('x','2020-01-01','Full').location]", "\"westeurope\"" },
	{ "[resourceId('N/t','a')]", "\"/subscriptions/S/resourceGroups/G/providers/N/t/a\"" },
	{ "[resourceId('N/t/u','a','b')]",
	  "\"/subscriptions/S/resourceGroups/G/providers/N/t/a/u/b\"" },
	{ "[resourceId('H','N/t','a')]", "\"/subscriptions/S/resourceGroups/H/providers/N/t/a\"" },
	{ "[resourceId('Q','H','N/t','a')]",
	  "\"/subscriptions/Q/resourceGroups/H/providers/N/t/a\"" },
	{ "[subscriptionResourceId('N/t','a')]", "\"/subscriptions/S/providers/N/t/a\"" },
	{ "[subscriptionResourceId('Q','N/t','a')]", "\"/subscriptions/Q/providers/N/t/a\"" },
	{ "[subscriptionResourceId('Microsoft.Resources/resourceGroups','g')]",
	  "\"/subscriptions/S/resourceGroups/g\"" },
	{ "[providers('N','t').apiVersions[0]]", "\"2024-05-01\"" },
	/* texts */
	{ "[concat('a',1,true(),'')]", "\"a1True\"" },
	{ "[concat(createArray(1),createArray('x','y'))]", "[1,\"x\",\"y\"]" },
	{ "[format('{0}-{1}-{0}','a',2)]", "\"a-2-a\"" },
	{ "[format('{{{0:D3}}}',7)]", "\"{007}\"" },
	{ "[toLower('AbC')]", "\"abc\"" },
	{ "[toUpper('abC')]", "\"ABC\"" },
	{ "[string(createObject('a',1))]", "\"{\\\"a\\\":1}\"" },
	{ "[string(12)]", "\"12\"" },
	{ "[uniqueString('test')]", "\"rbgf3xv4ufgzg\"" }, /* as Azure has it */
	{ "[uniqueString('hello','world')]", "\"a7wkljktk6wne\"" },
	{ "[uniqueString('/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/my-rg')]",
	  "\"bmg7c6xu4tw46\"" },
	{ "[length(guid('a','b'))]", "36" },
	/* arrays and objects */
	{ "[length('h\xc3\xa9')]", "2" },
	{ "[length(variables('w'))]", "3" },
	{ "[length(parameters('o'))]", "2" },
	{ "[empty('')]", "true" },
	{ "[empty(variables('w'))]", "false" },
	{ "[empty(createArray())]", "true" },
	{ "[contains(variables('w'),2)]", "true" },
	{ "[contains('abc','d')]", "false" },
	{ "[contains(parameters('o'),'K')]", "true" },
	{ "[createArray(1,'a')]", "[1,\"a\"]" },
	{ "[createObject('a',1,'b',createArray())]", "{\"a\":1,\"b\":[]}" },
	{ "[union(createArray(1,2),createArray(2,3))]", "[1,2,3]" },
	{ "[union(createObject('a',createObject('x',1)),createObject('a',createObject('y',2)))]",
	  "{\"a\":{\"x\":1,\"y\":2}}" },
	{ "[json('{\"a\":[1,null]}')]", "{\"a\":[1,null]}" },
	{ "[json('null')]", "null" },
	/* logic and numbers */
	{ "[if(true(),'a','b')]", "\"a\"" },
	{ "[if(false(),reference('absent'),'b')]", "\"b\"" }, /* not asked for */
	{ "[if(equals(1,1),if(false(),1,2),3)]", "2" },
	{ "[equals('a','A')]", "false" },
	{ "[equals(createArray(1),createArray(1))]", "true" },
	{ "[not(false())]", "true" },
	{ "[and(true(),false())]", "false" },
	{ "[or(false(),true(),false())]", "true" },
	{ "[add(2,3)]", "5" },
	{ "[sub(2,3)]", "-1" },
	{ "[mul(2,3)]", "6" },
	{ "[int('42')]", "42" },
	{ "[null()]", "null" },
};

static const struct row refusals[] = {
	{ "[nothing('a')]", "the function 'nothing' is not known" },
	{ "[if(true(),1,nothing())]",
	  "the function 'nothing' is not known" }, /* also if left out */
	{ "[concat('a']", "',' or ')' is missing at character 11" },
	{ "[concat('a'))]", "something follows the expression at character 12" },
	{ "[concat('a]", "a text does not end" },
	{ "[]", "it ends in the middle" },
	{ "[?]", "there is no expression" },
	{ "[12x]", "a number is malformed" },
	{ "[99999999999999999999]", "a number is malformed or too large" },
	{ "[concat]", "'(' is missing" },
	{ "[concat()]", "concat: takes at least 1 argument, not 0" },
	{ "[equals(1)]", "equals: takes 2 arguments, not 1" },
	{ "[copyIndex('a',1,2)]", "copyIndex: takes 0 to 2 arguments, not 3" },
	{ "[toLower(1)]", "toLower: argument 1 must be a string, not an int" },
	{ "[concat('a',createArray())]", "concat: argument 2 must be a string, number or bool" },
	{ "[concat(createArray(),'a')]",
	  "concat: argument 2 must be an array as the first one is" },
	{ "[format('{1}','a')]", "format: '{1}' has no argument" },
	{ "[format('{x}','a')]", "format: after '{' there must be the number" },
	{ "[format('{0:X}',1)]", "format: the only format is {N:Dwidth}" },
	{ "[format('a}')]", "format: a '}' without '{'" },
	{ "[parameters('q')]", "parameters: the template parameter 'q' is not found" },
	{ "[variables('q')]", "variables: the variable 'q' is not found" },
	{ "[variables('self')]", "the variable 'self' refers to itself" },
	{ "[copyIndex()]", "copyIndex: there is no copy loop here" },
	{ "[copyIndex('l')]", "copyIndex: there is no copy loop 'l' here" },
	{ "[parameters('o').q]", "the property 'q' does not exist" },
	{ "[variables('w')[3]]", "the index 3 is outside of an array of 3" },
	{ "[variables('w').a]", "a string cannot be selected from an array" },
	{ "[reference('nobody')]",
	  "reference: the resource 'nobody' is not defined in the template" },
	{ "[reference('x','v','half')]", "reference: argument 3 can be 'Full' only" },
	{ "[reference('/absent')]", "There is no /absent." },
	{ "[resourceId('t','a')]", "resourceId: there must be a resource type" },
	{ "[resourceId('N/t','a','b')]", "resourceId: the type 'N/t' needs 1 name, not 2" },
	{ "[subscriptionResourceId('N/t/u','a')]", "needs 2 names, not 1" },
	{ "[length(1)]", "length: argument 1 must be a string, an array or an object, not an int" },
	{ "[union(createArray(),createObject())]", "union: argument 2 must be an array" },
	{ "[union(1,2)]", "union: argument 1 must be an object or array" },
	{ "[createObject('a')]", "createObject: takes names and values in pairs" },
	{ "[json('{')]", "json: argument 1 is not JSON" },
	{ "[json('1,\"w\":2')]", "json: argument 1 is not JSON" },
	{ "[if('yes',1,2)]", "if: argument 1 must be a bool, not a string" },
	{ "[not(1)]", "not: argument 1 must be a bool" },
	{ "[and(true(),1)]", "and: argument 2 must be a bool" },
	{ "[add('1',2)]", "add: argument 1 must be an int, not a string" },
	{ "[mul(4611686018427387904,2)]", "mul: the result does not fit into 64 bits" },
	{ "[int('x')]", "int: argument 1 is not the text of a number" },
	{ "[uniqueString(1)]", "uniqueString: argument 1 must be a string" },
	{ "[contains(1,'a')]", "contains: argument 1 must be" },
};

static void
functions_give_values(void **state)
{
	for (size_t i = 0; i < COUNT(values); i++) {
		struct bench b;
		json_t *in = json_string(values[i].in), *out;
		AUTO_FREE char *text = NULL;

		bench_init(&b, WORLD);
		assert_int_equal(template_parameters(&b.t, NULL), 0);
		assert_int_equal(template_plan_make(&b.t, &b.plan), 0);
		out = template_value(&b.t, in, "here");
		text = out ? json_dumps(out, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
		if (!text || strcmp(text, values[i].out) != 0)
			fail_msg("%s: %s", values[i].in, text ? text : b.error.message);
		json_decref(in);
		bench_fini(&b);
	}
}

static void
functions_refuse(void **state)
{
	for (size_t i = 0; i < COUNT(refusals); i++) {
		struct bench b;
		json_t *in = json_pack("{s:[s]}", "list", refusals[i].in);

		bench_init(&b, WORLD);
		assert_int_equal(template_parameters(&b.t, NULL), 0);
		assert_int_equal(template_plan_make(&b.t, &b.plan), 0);
		if (template_value(&b.t, in, "here"))
			fail_msg("%s was evaluated", refusals[i].in);
		if (!strstr(b.error.message, refusals[i].out))
			fail_msg("%s: %s", refusals[i].in, b.error.message);
		if (b.error.status == 400) { /* where, and what */
			AUTO_FREE char *quoted = mem_printf("'%s'", refusals[i].in);

			assert_string_equal(b.error.code, "InvalidTemplate");
			if (!strstr(b.error.message, "self"))
				assert_non_null(strstr(b.error.message, quoted));
			if (!strstr(b.error.message, "self"))
				assert_string_equal(b.error.target, "here.list[0]");
		}
		json_decref(in);
		bench_fini(&b);
	}
}

static void
evaluation_has_limits(void **state)
{
	AUTO_BUF deep = { 0 };
	struct bench b;
	json_t *in;

	for (unsigned i = 0; i < 140; i++)
		buf_printf(&deep, "%sconcat(", i ? "" : "[");
	buf_printf(&deep, "'a'");
	for (unsigned i = 0; i < 140; i++)
		buf_printf(&deep, ")%s", i == 139 ? "]" : "");
	bench_init(&b, WORLD);
	in = json_string(buf_str(&deep));
	assert_null(template_value(&b.t, in, "here"));
	assert_non_null(strstr(b.error.message, "nested too deeply"));
	json_decref(in);
	bench_fini(&b);

	/* Ten bytes doubled 20 times are more than a text may have. */
	AUTO_BUF doc = { 0 };

	buf_printf(&doc, "{\"resources\":[],\"variables\":{\"v0\":\"0123456789\"");
	for (unsigned i = 1; i < 20; i++)
		buf_printf(&doc, ",\"v%u\":\"[concat(variables('v%u'),variables('v%u'))]\"", i,
			   i - 1, i - 1);
	buf_printf(&doc, "}}");
	bench_init(&b, buf_str(&doc));
	in = json_string("[variables('v19')]");
	assert_null(template_value(&b.t, in, "here"));
	assert_non_null(strstr(b.error.message, "concat: its result is larger than"));
	json_decref(in);
	bench_fini(&b);

	/* 800 * 800 * 800 copies are too many steps, or too much output; not a long wait. */
	bench_init(&b, "{\"resources\":[]}");
	in = json_loads("{\"copy\":[{\"name\":\"a\",\"count\":800,\"input\":{\"copy\":[{\"name\":"
			"\"b\",\"count\":800,\"input\":{\"copy\":[{\"name\":\"c\",\"count\":800,"
			"\"input\":\"[copyIndex('a')]\"}]}}]}}]}",
			0, NULL);
	assert_null(template_value(&b.t, in, "here"));
	assert_true(strstr(b.error.message, "more than") || strstr(b.error.message, "larger than"));
	json_decref(in);
	bench_fini(&b);
}

/* One that is long is charged for each time that it is read, though it says little. */
static void
expressions_are_charged_by_their_length(void **state)
{
	AUTO_FREE char *in_text = mem_printf("{\"copy\":[{\"name\":\"a\",\"count\":60,\"input\":"
					     "{\"copy\":[{\"name\":\"b\",\"count\":60,\"input\":"
					     "\"[%20000s1%4000s]\"}]}}]}",
					     "", "");
	struct bench b;
	json_t *in = json_loads(in_text, 0, NULL);

	assert_non_null(in);
	bench_init(&b, "{\"resources\":[]}");
	assert_null(template_value(&b.t, in, "here"));
	assert_non_null(strstr(b.error.message, "values of the template are larger than"));
	json_decref(in);
	bench_fini(&b);

	/* what follows its end is still found */
	bench_init(&b, "{\"resources\":[]}");
	in = json_string("[concat('a')]]");
	assert_null(template_value(&b.t, in, "here"));
	assert_non_null(
		strstr(b.error.message, "something follows the expression at character 12"));
	json_decref(in);
	bench_fini(&b);
}

static void
values_cannot_grow_without_end(void **state)
{
	AUTO_BUF doc = { 0 };
	struct bench b;
	json_t *in = json_string("[length(variables('v131'))]");

	/* each is known by then, so no expression is nested deeply */
	buf_printf(&doc, "{resources:[],variables:{v0:[]");
	for (unsigned i = 1; i < 200; i++)
		buf_printf(&doc, ",v%u:\"[createArray(variables('v%u'))]\"", i, i - 1);
	buf_printf(&doc, "}}");
	bench_init(&b, buf_str(&doc));
	for (unsigned i = 0; i < 200; i += 10) {
		json_t *v = json_string(arena_printf(&b.arena, "[variables('v%u')]", i));

		b.error.status = 0;
		template_value(&b.t, v, "here");
		json_decref(v);
	}
	assert_null(template_value(&b.t, in, "here"));
	assert_non_null(strstr(b.error.message, "nested deeper than 128 levels"));
	json_decref(in);
	bench_fini(&b);

	/* 800 comparisons of 10,000 elements */
	AUTO_BUF list = { 0 };

	for (unsigned i = 0; i < 10000; i++)
		buf_printf(&list, "%s0", i ? "," : "");
	AUTO_FREE char *big = mem_printf("{resources:[],variables:{a:[%s],b:[%s],copy:[{name:'c',"
					 "count:800,input:\"[equals(variables('a'),variables('b'))]"
					 "\"}]}}",
					 buf_str(&list), buf_str(&list));

	bench_init(&b, big);
	in = json_string("[variables('c')]");
	assert_null(template_value(&b.t, in, "here"));
	assert_non_null(strstr(b.error.message, "takes more than 2000000 steps"));
	json_decref(in);
	bench_fini(&b);
}

static void
arrays_are_copied_by_loops(void **state)
{
	struct bench b;
	AUTO_FREE char *text = NULL;
	json_t *in = json_loads(
		       "{\"copy\":[{\"name\":\"a\",\"count\":2,\"input\":{\"n\":"
		       "\"[format('n{0}',copyIndex('a'))]\"}}],\"[concat('k','1')]\":true}",
		       0, NULL),
	       *out;

	bench_init(&b, WORLD);
	out = template_value(&b.t, in, "here");
	assert_non_null(out);
	text = json_dumps(out, JSON_COMPACT);
	assert_string_equal(text, "{\"a\":[{\"n\":\"n0\"},{\"n\":\"n1\"}],\"k1\":true}");
	json_decref(in);
	bench_fini(&b);
}

/* --- parameters ---------------------------------------------------------------------------------------- */

#define PARAMETERS \
	"{\"resources\":[],\"parameters\":{" \
	"\"s\":{\"type\":\"string\",\"minLength\":2,\"maxLength\":4,\"defaultValue\":\"[concat('a',parameters('t'))]\"}," \
	"\"t\":{\"type\":\"String\",\"allowedValues\":[\"x\",\"y\"],\"defaultValue\":\"x\"}," \
	"\"i\":{\"type\":\"int\",\"minValue\":1,\"maxValue\":9,\"defaultValue\":5}," \
	"\"k\":{\"type\":\"securestring\",\"defaultValue\":\"top secret\"}," \
	"\"b\":{\"type\":\"bool\",\"defaultValue\":true}," \
	"\"l\":{\"type\":\"array\",\"defaultValue\":[],\"maxLength\":1}," \
	"\"e\":{\"type\":\"secureObject\",\"defaultValue\":{\"a\":1}}}}"

static void
parameters_are_checked(void **state)
{
	static const struct row rows[] = {
		{ "{\"s\":{\"value\":\"abc\"}}", NULL },
		{ "{\"S\":{\"value\":\"[concat('a')]\"}}", "a length above its maxLength of 4" },
		{ "{\"s\":{\"value\":\"[a]\"}}", NULL }, /* taken as it is */
		{ "{\"s\":{\"value\":\"a\"}}", "a length below its minLength of 2" },
		{ "{\"t\":{\"value\":\"z\"}}", "must be one of [\"x\",\"y\"]" },
		{ "{\"i\":{\"value\":10}}", "a value above its maxValue of 9" },
		{ "{\"i\":{\"value\":0}}", "a value below its minValue of 1" },
		{ "{\"i\":{\"value\":\"5\"}}", "must be of type int, not a string" },
		{ "{\"b\":{\"value\":1}}", "must be of type bool, not an int" },
		{ "{\"l\":{\"value\":[1,2]}}", "a length above its maxLength of 1" },
		{ "{\"e\":{\"value\":[]}}", "must be of type secureobject, not an array" },
		{ "{\"n\":{\"value\":1}}",
		  "'n' was supplied, but the template does not define it" },
		{ "{\"i\":5}", "must be given as {\"value\": ...}" },
		{ "{\"k\":{\"reference\":{}}}", "refers to a key vault" },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct bench b;
		json_t *given = json_loads(rows[i].in, 0, NULL);

		bench_init(&b, PARAMETERS);
		assert_non_null(given);
		if (template_parameters(&b.t, given) == 0) {
			if (rows[i].out)
				fail_msg("%s was taken", rows[i].in);
		} else if (!rows[i].out || !strstr(b.error.message, rows[i].out)) {
			fail_msg("%s: %s", rows[i].in, b.error.message);
		}
		json_decref(given);
		bench_fini(&b);
	}
}

static void
secrets_are_not_shown(void **state)
{
	struct bench b;
	json_t *shown;
	AUTO_FREE char *text = NULL;

	bench_init(&b, PARAMETERS);
	assert_int_equal(template_parameters(&b.t, NULL), 0);
	shown = template_parameters_shown(&b.t);
	text = json_dumps(shown, JSON_COMPACT);
	assert_string_equal(text, "{\"s\":{\"type\":\"String\",\"value\":\"ax\"},"
				  "\"t\":{\"type\":\"String\",\"value\":\"x\"},"
				  "\"i\":{\"type\":\"Int\",\"value\":5},"
				  "\"k\":{\"type\":\"SecureString\"},"
				  "\"b\":{\"type\":\"Bool\",\"value\":true},"
				  "\"l\":{\"type\":\"Array\",\"value\":[]},"
				  "\"e\":{\"type\":\"SecureObject\"}}");
	json_decref(shown);
	bench_fini(&b);
}

/* --- plans ------------------------------------------------------------------------------------------------ */

#define R(type, name, more) "{type:'" type "',apiVersion:'2020-01-01',name:\"" name "\"" more "}"

/* "name<after,after name<..." in the order written. */
static const char *
plan_text(struct bench *b)
{
	AUTO_BUF out = { 0 };

	for (size_t i = 0; i < b->plan.n; i++) {
		const struct template_step *s = &b->plan.steps[i];

		buf_printf(&out, "%s%s", i ? " " : "", s->name);
		for (size_t k = 0; k < s->n_after; k++)
			buf_printf(&out, "%c%s", k ? ',' : '<', b->plan.steps[s->after[k]].name);
	}
	return arena_strdup(&b->arena, buf_str(&out));
}

static void
plans_have_an_order(void **state)
{
	static const struct row rows[] = {
		{ R("A/b", "x", "") "," R("A/b", "y", ",dependsOn:['x']"), "x y<x" },
		{ R("A/b", "x", "") "," R("A/b", "y", ",dependsOn:[\"[resourceId('A/b','x')]\"]"),
		  "x y<x" },
		{ R("A/b", "x", "") "," R("A/b", "y", ",dependsOn:['A/b/x']"), "x y<x" },
		{ R("A/b", "y", ",properties:{a:\"[reference('x').ip]\"}") "," R("A/b", "x", ""),
		  "y<x x" },
		{ R("A/b", "y", ",properties:{a:\"[reference(resourceId('A/b','x')).ip]\"}") "," R(
			  "A/b", "x", ""),
		  "y<x x" },
		{ R("A/b", "x", ",resources:[" R("c", "k", "") "]"), "x x/k<x" },
		{ R("A/b/c", "x/k", "") "," R("A/b", "x", ""), "x/k<x x" },
		{ R("A/b", "[format('x{0}',copyIndex())]",
		    ",copy:{name:'l',count:2}") "," R("A/b", "y", ",dependsOn:['l']"),
		  "x0 x1 y<x0,x1" },
		{ R("A/b", "[concat('x',copyIndex())]",
		    ",copy:{name:'l',count:4,mode:'serial',batchSize:2}"),
		  "x0 x1 x2<x0,x1 x3<x0,x1" },
		{ R("A/b", "x", ",condition:false") "," R("A/b", "y", ",dependsOn:['x']"), "y" },
		{ R("A/b", "x", ",condition:\"[equals(1,2)]\",resources:[" R("c", "k", "") "]"),
		  "" },
		{ R("A/b", "x", ",copy:{name:'l',count:0}"), "" },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct bench b;
		AUTO_FREE char *doc = mem_printf("{resources:[%s]}", rows[i].in);

		bench_init(&b, doc);
		if (template_plan_make(&b.t, &b.plan) < 0)
			fail_msg("%s: %s", rows[i].in, b.error.message);
		assert_string_equal(plan_text(&b), rows[i].out);
		bench_fini(&b);
	}
}

static void
plans_that_cannot_be(void **state)
{
	static const struct row rows[] = {
		{ "{}", "resources: is missing" },
		{ "{resources:{x:{}}}", "symbolic names (languageVersion 2.0) are not supported" },
		{ "{resources:[],functions:[{}]}", "functions: functions of a template's own" },
		{ "{resources:[7]}", "resources[0]: must be an object" },
		{ "{resources:[{}]}", "resources[0].type: must be a string, not absent" },
		{ "{resources:[{type:'A/b',name:'x'}]}", "resources[0].apiVersion: is missing" },
		{ "{resources:[" R("A/b/c", "x", "") "]}", "the same number of segments" },
		{ "{resources:[" R("A/b", "x?y", "") "]}", "the type or the name is not valid" },
		{ "{resources:[" R("A/b", "x", "") "," R("a/B", "X", "") "]}", "is defined twice" },
		{ "{resources:[" R("A/b", "x", ",dependsOn:['z']") "]}",
		  "the resource 'z' is not defined in the template" },
		{ "{resources:[" R("A/b", "x", ",dependsOn:['y']") "," R("A/b", "y",
									 ",dependsOn:['x']") "]}",
		  "circular dependency" },
		{ "{resources:[" R("A/b", "x", ",properties:{a:\"[reference('q').b]\"}") "]}",
		  "the resource 'q' is not defined in the template" },
		{ "{resources:[" R("A/b", "x", ",copy:{name:'l',count:801}") "]}",
		  "must be a number from 0 to 800" },
		{ "{resources:[" R("A/b", "x", ",condition:\"[reference('/y').b]\"") "]}",
		  "resources[0].condition: must be a bool that is known" },
		{ "{resources:[" R("A/b", "[reference('/y').b]", "") "]}",
		  "resources[0].name: it must be known before the deployment begins" },
		{ "{resources:[" R("A/b", "x", ",properties:{a:{b:['[nothing()]']}}") "]}",
		  "'resources[0].properties.a.b[0]': the function 'nothing' is not known" },
		{ "{resources:[],outputs:{o:{value:1}}}", "outputs.o.type: must be" },
		{ "{resources:[],outputs:{o:{type:'int',value:'x'}}}",
		  "outputs.o: must be of type int, not a string" },
		{ "{resources:[],outputs:{o:{type:'int'}}}", "outputs.o: value is missing" },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct bench b;

		bench_init(&b, rows[i].in);
		if (template_plan_make(&b.t, &b.plan) == 0)
			fail_msg("%s was planned", rows[i].in);
		assert_int_equal(b.error.status, 400);
		if (!strstr(b.error.message, rows[i].out))
			fail_msg("%s: %s", rows[i].in, b.error.message);
		bench_fini(&b);
	}
}

static void
bodies_are_what_is_sent(void **state)
{
	static const char doc[] =
		"{variables:{v:\"[reference('/r').ip]\"},resources:[{type:'A/b',apiVersion:'2020-01-01',"
		"name:'x',location:'[resourceGroup().location]',tags:{a:'b'},comments:'no',dependsOn:[],"
		"properties:{gone:null,deep:{gone:null,a:[{n:null,m:1}]},ip:\"[variables('v')]\"}}],"
		"outputs:{o:{type:'object',value:\"[reference('x')]\"},k:{type:'securestring',value:'s'},"
		"off:{type:'int',condition:false,value:1},c:{type:'array',copy:{count:2,input:'[copyIndex()]'}}}}";
	struct bench b;
	json_t *body, *outputs;
	AUTO_FREE char *text = NULL;
	AUTO_FREE char *out = NULL;

	bench_init(&b, doc);
	assert_int_equal(template_plan_make(&b.t, &b.plan), 0);
	body = template_step_body(&b.t, &b.plan.steps[0]);
	assert_non_null(body);
	text = json_dumps(body, JSON_COMPACT);
	assert_string_equal(text,
			    "{\"location\":\"westeurope\",\"tags\":{\"a\":\"b\"},"
			    "\"properties\":{\"deep\":{\"a\":[{\"m\":1}]},\"ip\":\"10.0.0.1\"}}");
	outputs = template_outputs(&b.t);
	assert_non_null(outputs);
	out = json_dumps(outputs, JSON_COMPACT);
	assert_string_equal(
		out,
		"{\"o\":{\"type\":\"Object\",\"value\":{\"ip\":\"10.0.0.1\",\"list\":[1,2]}},"
		"\"k\":{\"type\":\"SecureString\"},\"c\":{\"type\":\"Array\",\"value\":[0,1]}}");
	json_decref(outputs);
	bench_fini(&b);
}

static void
nested_templates_have_scopes(void **state)
{
#define NESTED(scope) \
	"{parameters:{p:{type:'string',defaultValue:'outer'}},resources:[{type:'Microsoft.Resources/deployments'," \
	"apiVersion:'2021-04-01',name:'n',resourceGroup:'H',properties:{mode:'Incremental'," scope \
	"template:{parameters:{p:{type:'string',defaultValue:'inner'}},resources:[{type:'A/b'," \
	"apiVersion:'2020-01-01',name:\"[parameters('p')]\",properties:{t:'[[lit]'}}]}}}]}"
	static const struct row rows[] = {
		{ NESTED(""), "outer" },
		{ NESTED("expressionEvaluationOptions:{scope:'inner'},"), "[parameters('p')]" },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct bench b;
		json_t *body, *one;

		bench_init(&b, rows[i].in);
		assert_int_equal(template_parameters(&b.t, NULL), 0);
		if (template_plan_make(&b.t, &b.plan) < 0)
			fail_msg("%s", b.error.message);
		assert_string_equal(b.plan.steps[0].id,
				    "/subscriptions/S/resourceGroups/H/providers/"
				    "Microsoft.Resources/deployments/n");
		body = template_step_body(&b.t, &b.plan.steps[0]);
		one = json_array_get(arm_at(body, "properties.template.resources"), 0);
		assert_string_equal(arm_str(one, "name", ""), rows[i].out);
		/* still a literal when it is evaluated there */
		assert_string_equal(arm_str(one, "properties.t", ""), "[[lit]");
		bench_fini(&b);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_reader_takes_what_az_sends),
		cmocka_unit_test(the_reader_refuses_the_rest),
		cmocka_unit_test(the_reader_has_limits),
		cmocka_unit_test(functions_give_values),
		cmocka_unit_test(functions_refuse),
		cmocka_unit_test(evaluation_has_limits),
		cmocka_unit_test(expressions_are_charged_by_their_length),
		cmocka_unit_test(values_cannot_grow_without_end),
		cmocka_unit_test(arrays_are_copied_by_loops),
		cmocka_unit_test(parameters_are_checked),
		cmocka_unit_test(secrets_are_not_shown),
		cmocka_unit_test(plans_have_an_order),
		cmocka_unit_test(plans_that_cannot_be),
		cmocka_unit_test(bodies_are_what_is_sent),
		cmocka_unit_test(nested_templates_have_scopes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
