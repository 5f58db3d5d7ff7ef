/* See catalogue.h. The files are checked here first, so that a slip is told without a controller; what
 * counts is the controller's own check. */
#include "cli/catalogue.h"

#include "base/mem.h"
#include "cli/rest.h"
#include "network/catalogue.h"

#include <jansson.h>
#include <limits.h>

#define CATALOGUE_API "2026-01-01"
#define CATALOGUE_PATH "/providers/Wayleave.Fabric/catalogues/default"

int
catalogue_find(char *out, size_t size, struct err *e)
{
	static const char *const below[] = { "../catalogue", "../../../catalogue",
					     "../share/wayleave/catalogue" };
	const char *given = getenv("WAYLEAVE_CATALOGUE");
	char self[PATH_MAX + 16];

	if (given) {
		snprintf(out, size, "%s", given);
		return 0;
	}
	for (size_t i = 0; i < COUNT(below); i++) {
		char program[PATH_MAX];

		/* Beside bin/, in a build directory's src/main/, or installed. */
		cli_program(below[i], program, sizeof(program));
		snprintf(self, sizeof(self), "%s/regions.yaml", program);
		if (access(self, R_OK) == 0) {
			snprintf(out, size, "%s", program);
			return 0;
		}
	}
	return err_set(
		e, -ENOENT,
		"no catalogue (regions, providers) beside the program; set WAYLEAVE_CATALOGUE");
}

/* {"properties":{"files":[..]}} of a directory; NULL and *e. */
static json_t *
body_read(const char *dir, struct err *e)
{
	struct catalogue_text texts[CATALOGUE_N_FILES];
	AUTO(catalogue) checked = NULL;
	AUTO_ARENA a = { 0 };
	json_t *files;

	if (catalogue_read_files(&a, dir, texts, e) < 0 ||
	    catalogue_parse(texts, COUNT(texts), &checked, e) < 0)
		return NULL;
	files = json_array();
	for (size_t i = 0; i < COUNT(texts); i++)
		json_array_append_new(files, json_pack("{s:s, s:s%}", "name", texts[i].file, "text",
						       texts[i].text, texts[i].n));
	return json_pack("{s:{s:o}}", "properties", "files", files);
}

/* The body of the command's directory, and what it would change. */
static int
compare(struct cli *c, struct rest **ret_rest, json_t **ret_body, json_t **ret_diff)
{
	char dir[PATH_MAX];
	struct err e = { 0 };
	int code;

	if (c->n_args)
		snprintf(dir, sizeof(dir), "%s", c->args[0]);
	else if (catalogue_find(dir, sizeof(dir), &e) < 0)
		return cli_fail(CLI_FAILED, "%s", e.text);
	*ret_body = body_read(dir, &e);
	if (!*ret_body)
		return cli_fail(CLI_FAILED, "%s", e.text);
	code = rest_open(c, c->as ? c->as : "operator", ret_rest);
	return code != CLI_OK ? code
			      : rest_do(*ret_rest, "POST", CATALOGUE_PATH "/diff", CATALOGUE_API,
					*ret_body, ret_diff);
}

static const char *
text_of(const json_t *j, const char *key)
{
	return json_string_value(json_object_get(j, key));
}

static void
print_changes(const json_t *diff)
{
	static const char *const headings[] = { "CHANGE", "WHAT", "FROM", "TO", NULL };
	AUTO(table) t = table_create(headings);
	struct buf out = { 0 };
	const json_t *row;
	size_t i;

	json_array_foreach(json_object_get(diff, "changes"), i, row)
		table_add(t, text_of(row, "change"), text_of(row, "what"), text_of(row, "from"),
			  text_of(row, "to"));
	if (table_rows(t)) {
		table_print(t, &out);
		fwrite(out.p, 1, out.n, stdout);
	}
	buf_fini(&out);
}

static int
diff_print(struct cli *c, const json_t *diff)
{
	const json_t *row;
	size_t i;

	if (c->is_json) {
		cli_print_json(diff);
		return CLI_OK;
	}
	print_changes(diff);
	if (!json_array_size(json_object_get(diff, "changes")))
		printf("no difference\n");
	json_array_foreach(json_object_get(diff, "inUse"), i, row)
		printf("in use: %s %s\n", text_of(row, "id"), text_of(row, "text"));
	return CLI_OK;
}

int
catalogue_diff_command(struct cli *c)
{
	AUTO(rest) r = NULL;
	json_t *body = NULL, *diff = NULL;
	int code = compare(c, &r, &body, &diff);

	if (code == CLI_OK)
		code = diff_print(c, diff);
	json_decref(body);
	json_decref(diff);
	return code;
}

int
catalogue_apply(struct cli *c)
{
	AUTO(rest) r = NULL;
	json_t *body = NULL, *diff = NULL, *made = NULL;
	int code = compare(c, &r, &body, &diff);

	if (code == CLI_OK && !c->is_json)
		print_changes(diff);
	if (code == CLI_OK)
		code = rest_do(r, "PUT", CATALOGUE_PATH, CATALOGUE_API, body, &made);
	if (code == CLI_OK && c->is_json)
		cli_print_json(made);
	else if (code == CLI_OK)
		printf("catalogue version %" JSON_INTEGER_FORMAT " counts\n",
		       json_integer_value(
			       json_object_get(json_object_get(made, "properties"), "version")));
	json_decref(body);
	json_decref(diff);
	json_decref(made);
	return code;
}

static int
file_print(const json_t *files, const char *name)
{
	const json_t *file;
	size_t i;

	json_array_foreach(files, i, file)
		if (!strcmp(text_of(file, "name"), name)) {
			fputs(text_of(file, "text"), stdout);
			return CLI_OK;
		}
	return cli_fail(CLI_NOT_FOUND, "the catalogue has no file %s", name);
}

static void
summary_print(const json_t *p)
{
	const json_t *file;
	size_t i;

	printf("version  %" JSON_INTEGER_FORMAT "\n"
	       "applied  %s by %s\n"
	       "digest   %s\n"
	       "files   ",
	       json_integer_value(json_object_get(p, "version")), text_of(p, "appliedAt"),
	       text_of(p, "appliedBy"), text_of(p, "digest"));
	json_array_foreach(json_object_get(p, "files"), i, file)
		printf(" %s", text_of(file, "name"));
	printf("\n");
}

int
catalogue_show(struct cli *c)
{
	AUTO(rest) r = NULL;
	json_t *got = NULL;
	const json_t *p;
	int code = rest_open(c, c->as ? c->as : "operator", &r);

	if (code == CLI_OK)
		code = rest_do(r, "GET", CATALOGUE_PATH, CATALOGUE_API, NULL, &got);
	if (code != CLI_OK)
		return code;
	p = json_object_get(got, "properties");
	if (c->n_args)
		code = file_print(json_object_get(p, "files"), c->args[0]);
	else if (c->is_json)
		cli_print_json(got);
	else
		summary_print(p);
	json_decref(got);
	return code;
}
