/* See directory.h. Users, groups and applications by Graph; roles by Microsoft.Authorization; partners
 * and customers by Wayleave.Partner. */
#include "cli/directory.h"

#include "base/mem.h"
#include "cli/rest.h"

#include <curl/curl.h>
#include <jansson.h>
#include <strings.h>
#include <sys/random.h>

#define GRAPH_API "2026-01-01" /* Graph has none, and looks at none */
#define ROLE_API "2022-04-01"
#define PARTNER_API "2026-01-01"

static const struct noun {
	const char *name, *path, *api;
	bool is_graph;
	const char *headings[5], *fields[5];
} nouns[] = {
	{ "user",
	  "/v1.0/users",
	  GRAPH_API,
	  true,
	  { "USER", "NAME", "ENABLED", "ID" },
	  { "userPrincipalName", "displayName", "accountEnabled", "id" } },
	{ "group", "/v1.0/groups", GRAPH_API, true, { "GROUP", "ID" }, { "displayName", "id" } },
	{ "app",
	  "/v1.0/servicePrincipals",
	  GRAPH_API,
	  true,
	  { "APP", "CLIENT ID", "ENABLED", "ID" },
	  { "displayName", "appId", "accountEnabled", "id" } },
	{ "role",
	  "/providers/Microsoft.Authorization/roleDefinitions",
	  ROLE_API,
	  false,
	  { "ROLE", "KIND", "WHAT", "ID" },
	  { "properties.roleName", "properties.type", "properties.description", "name" } },
	{ "partner",
	  "/providers/Wayleave.Partner/partners",
	  PARTNER_API,
	  false,
	  { "PARTNER", "TENANT", "SUBSCRIPTION", "DOMAIN" },
	  { "name", "properties.tenantId", "properties.subscriptionId", "properties.domain" } },
	{ "customer",
	  "/providers/Wayleave.Partner/customers",
	  PARTNER_API,
	  false,
	  { "CUSTOMER", "TENANT", "SUBSCRIPTION", "DOMAIN" },
	  { "name", "properties.tenantId", "properties.subscriptions.subscriptionId",
	    "properties.domain" } },
};

static const struct noun *
noun_of(const struct cli *c)
{
	size_t n = strcspn(c->command->name, " ");

	for (size_t i = 0; i < COUNT(nouns); i++)
		if (strlen(nouns[i].name) == n && !strncmp(nouns[i].name, c->command->name, n))
			return &nouns[i];
	return NULL;
}

static int
open_as(struct cli *c, struct rest **ret)
{
	return rest_open(c, c->as ? c->as : "operator", ret);
}

/* By dotted path; of a list the first. */
static const char *
text_at(const json_t *j, const char *path)
{
	while (j && *path) {
		char key[64];
		size_t n = strcspn(path, ".");

		snprintf(key, sizeof(key), "%.*s", (int)n, path);
		if (json_is_array(j))
			j = json_array_get(j, 0);
		j = json_object_get(j, key);
		path += n + (path[n] == '.');
	}
	return json_is_true(j) ? "yes" : json_is_false(j) ? "no" : json_string_value(j);
}

static char *
escaped(const char *text)
{
	char *e = curl_easy_escape(NULL, text, 0), *ret = mem_strdup(e ? e : "");

	curl_free(e);
	return ret;
}

static int
print_rows(struct cli *c, const struct noun *noun, const json_t *rows)
{
	const char *headings[6] = { NULL }, *cell[5];
	AUTO_BUF out = { 0 };
	json_t *one;
	size_t i;

	if (c->is_json) {
		cli_print_json(rows);
		return CLI_OK;
	}
	for (i = 0; i < COUNT(noun->headings); i++)
		headings[i] = noun->headings[i];
	AUTO(table) t = table_create(headings);

	json_array_foreach((json_t *)rows, i, one) {
		for (size_t k = 0; k < COUNT(cell); k++)
			cell[k] = noun->fields[k] ? text_at(one, noun->fields[k]) : NULL;
		table_add(t, cell[0], cell[1], cell[2], cell[3]);
	}
	table_print(t, &out);
	fwrite(out.p, 1, out.n, stdout);
	return CLI_OK;
}

/* One row as a list of one. */
static int
print_one(struct cli *c, const struct noun *noun, json_t *one)
{
	json_t *rows;

	if (c->is_json) {
		cli_print_json(one);
		return CLI_OK;
	}
	rows = json_pack("[O]", one);
	print_rows(c, noun, rows);
	json_decref(rows);
	return CLI_OK;
}

int
directory_list(struct cli *c)
{
	const struct noun *noun = noun_of(c);
	AUTO(rest) r = NULL;
	json_t *rows = NULL;
	int code = open_as(c, &r);

	if (code == CLI_OK)
		code = rest_list(r, noun->path, noun->api, &rows);
	if (code == CLI_OK)
		code = print_rows(c, noun, rows);
	json_decref(rows);
	return code;
}

/* --- by name ------------------------------------------------------------------------------------- */

/* The path of one: Graph's are found by what people call them. */
static int
find(struct rest *r, const struct noun *noun, const char *name, char **ret_path)
{
	AUTO_FREE char *quoted = NULL;
	AUTO_FREE char *filter = NULL;
	AUTO_FREE char *path = NULL;
	json_t *rows = NULL;
	int code;

	if (!noun->is_graph || strchr(name, '@')) {
		quoted = escaped(name);
		*ret_path = mem_printf("%s/%s", noun->path, quoted);
		return CLI_OK;
	}
	filter = mem_printf("%s eq '%s'",
			    strlen(name) == 36 && name[8] == '-' ? "id" : "displayName", name);
	quoted = escaped(filter);
	path = mem_printf("%s?$filter=%s", noun->path, quoted);
	code = rest_list(r, path, noun->api, &rows);
	if (code == CLI_OK && json_array_size(rows) != 1)
		code = cli_fail(CLI_NOT_FOUND,
				json_array_size(rows) ? "more than one %s is called %s: give its id"
						      : "no %s is called %s",
				noun->name, name);
	if (code == CLI_OK)
		*ret_path = mem_printf("%s/%s", noun->path, text_at(json_array_get(rows, 0), "id"));
	json_decref(rows);
	return code;
}

/* Of any kind, for roles and groups: "ann@x", a name, or an id. */
static int
find_principal(struct rest *r, const char *name, char **ret_oid)
{
	for (size_t i = 0; i < COUNT(nouns) && nouns[i].is_graph; i++) {
		AUTO_FREE char *quoted = NULL;
		AUTO_FREE char *filter = NULL;
		AUTO_FREE char *path = NULL;
		json_t *rows = NULL;
		int code;

		if (strchr(name, '@') && i)
			break;
		filter = mem_printf("%s eq '%s'",
				    strchr(name, '@')                      ? "userPrincipalName"
				    : strlen(name) == 36 && name[8] == '-' ? "id"
									   : "displayName",
				    name);
		quoted = escaped(filter);
		path = mem_printf("%s?$filter=%s", nouns[i].path, quoted);
		code = rest_list(r, path, GRAPH_API, &rows);
		if (code == CLI_OK && json_array_size(rows) == 1)
			*ret_oid = mem_strdup(text_at(json_array_get(rows, 0), "id"));
		json_decref(rows);
		if (code != CLI_OK || *ret_oid)
			return code;
	}
	return cli_fail(CLI_NOT_FOUND,
			"no one user, group or application is called %s in the tenant", name);
}

/* One request to what the first argument names. */
static int
with_one(struct cli *c, const char *method, const char *tail, const json_t *body, json_t **ret)
{
	const struct noun *noun = noun_of(c);
	AUTO(rest) r = NULL;
	AUTO_FREE char *path = NULL;
	AUTO_FREE char *full = NULL;
	int code = open_as(c, &r);

	if (code == CLI_OK)
		code = find(r, noun, c->args[0], &path);
	if (code != CLI_OK)
		return code;
	full = mem_printf("%s%s", path, tail);
	return rest_do(r, method, full, noun->api, body, ret);
}

int
directory_show(struct cli *c)
{
	json_t *one = NULL;
	int code = with_one(c, "GET", "", NULL, &one);

	if (code == CLI_OK)
		code = print_one(c, noun_of(c), one);
	json_decref(one);
	return code;
}

int
directory_delete(struct cli *c)
{
	return with_one(c, "DELETE", "", NULL, NULL);
}

int
directory_enable(struct cli *c)
{
	json_t *body = json_pack("{s:b}", "accountEnabled",
				 strcmp(strchr(c->command->name, ' ') + 1, "enable") == 0);
	int code = with_one(c, "PATCH", "", body, NULL);

	json_decref(body);
	return code;
}

int
directory_create(struct cli *c)
{
	const struct noun *noun = noun_of(c);
	const char *name = c->args[0];
	AUTO(rest) r = NULL;
	AUTO_FREE char *path = NULL;
	json_t *body, *one = NULL;
	int code = open_as(c, &r);

	if (code != CLI_OK)
		return code;
	if (noun->is_graph) {
		path = mem_strdup(noun->path);
		body = strcmp(noun->name, "user") != 0
			       ? json_pack("{s:s}", "displayName", name)
			       : json_pack("{s:s, s:s, s:b}", "userPrincipalName", name,
					   "displayName",
					   cli_value(c, "name") ? cli_value(c, "name") : name,
					   "accountEnabled", 1);
	} else {
		AUTO_FREE char *quoted = escaped(name);

		path = mem_printf("%s/%s", noun->path, quoted);
		body = json_pack("{s:{s:s, s:s}}", "properties", "displayName",
				 cli_value(c, "name") ? cli_value(c, "name") : name, "domain",
				 cli_value(c, "domain") ? cli_value(c, "domain") : "");
	}
	code = rest_do(r, noun->is_graph ? "POST" : "PUT", path, noun->api, body, &one);
	if (code == CLI_OK)
		code = print_one(c, noun, one);
	json_decref(body);
	json_decref(one);
	return code;
}

int
directory_admin(struct cli *c)
{
	json_t *one = NULL, *body = json_pack("{s:s}", "displayName", "administrator");
	int code = with_one(c, "POST", "/createAdministrator", body, &one);

	if (code == CLI_OK && c->is_json)
		cli_print_json(one);
	else if (code == CLI_OK)
		printf("tenant %s\nclient %s\nsecret %s\nThe secret is shown this once.\n",
		       text_at(one, "tenantId"), text_at(one, "appId"), text_at(one, "secret"));
	json_decref(body);
	json_decref(one);
	return code;
}

/* --- groups -------------------------------------------------------------------------------------- */

int
directory_member(struct cli *c)
{
	bool adds = !strcmp(strchr(c->command->name, ' ') + 1, "add");
	AUTO(rest) r = NULL;
	AUTO_FREE char *group = NULL;
	AUTO_FREE char *member = NULL;
	AUTO_FREE char *path = NULL;
	AUTO_FREE char *ref = NULL;
	json_t *body = NULL;
	int code = open_as(c, &r);

	if (code == CLI_OK)
		code = find(r, noun_of(c), c->args[0], &group);
	if (code == CLI_OK)
		code = find_principal(r, c->args[1], &member);
	if (code != CLI_OK)
		return code;
	ref = mem_printf("/v1.0/directoryObjects/%s", member);
	path = adds ? mem_printf("%s/members/$ref", group)
		    : mem_printf("%s/members/%s/$ref", group, member);
	if (adds)
		body = json_pack("{s:s}", "@odata.id", ref);
	code = rest_do(r, adds ? "POST" : "DELETE", path, GRAPH_API, body, NULL);
	json_decref(body);
	return code;
}

/* --- roles --------------------------------------------------------------------------------------- */

static char *
scope_of(const struct cli *c, const struct rest *r)
{
	const char *given = cli_value(c, "scope");
	const char *sub = c->subscription ? c->subscription : rest_env(r, "SUBSCRIPTION");

	if (given)
		return mem_strdup(strcmp(given, "/") != 0 ? given : "");
	return mem_printf("/subscriptions/%s", sub ? sub : "");
}

static int
role_find(struct rest *r, const char *scope, const char *name, char **ret_id)
{
	AUTO_FREE char *filter = mem_printf("roleName eq '%s'", name);
	AUTO_FREE char *quoted = escaped(filter);
	AUTO_FREE char *path = mem_printf(
		"%s/providers/Microsoft.Authorization/roleDefinitions?$filter=%s", scope, quoted);
	json_t *rows = NULL;
	int code = rest_list(r, path, ROLE_API, &rows);

	if (code == CLI_OK && !json_array_size(rows))
		code = cli_fail(CLI_NOT_FOUND,
				"no role is called %s; `wayleave role list` has them", name);
	if (code == CLI_OK)
		*ret_id = mem_strdup(text_at(json_array_get(rows, 0), "id"));
	json_decref(rows);
	return code;
}

static int
guid(char out[37])
{
	uint8_t b[16];

	if (getrandom(b, sizeof(b), 0) != sizeof(b))
		return cli_fail(CLI_FAILED, "no randomness");
	b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
	b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
	snprintf(out, 37, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
		 b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12],
		 b[13], b[14], b[15]);
	return CLI_OK;
}

static const struct noun assignments = {
	.headings = { "ROLE", "WHO", "KIND", "ID" },
	.fields = { "role", "who", "properties.principalType", "id" },
};

int
directory_assign(struct cli *c)
{
	AUTO(rest) r = NULL;
	AUTO_FREE char *scope = NULL;
	AUTO_FREE char *role = NULL;
	AUTO_FREE char *who = NULL;
	AUTO_FREE char *path = NULL;
	json_t *body;
	char name[37];
	int code = open_as(c, &r);

	if (code != CLI_OK)
		return code;
	scope = scope_of(c, r);
	code = role_find(r, scope, c->args[0], &role);
	if (code == CLI_OK)
		code = find_principal(r, c->args[1], &who);
	if (code == CLI_OK)
		code = guid(name);
	if (code != CLI_OK)
		return code;
	path = mem_printf("%s/providers/Microsoft.Authorization/roleAssignments/%s", scope, name);
	body = json_pack("{s:{s:s, s:s}}", "properties", "roleDefinitionId", role, "principalId",
			 who);
	code = rest_do(r, "PUT", path, ROLE_API, body, NULL);
	if (code == CLI_OK && !c->is_json)
		printf("%s is %s over %s\n", c->args[1], c->args[0], *scope ? scope : "/");
	json_decref(body);
	return code;
}

/* Adds the names of role and principal to a row; ids stay where there is none. */
static void
names_add(struct rest *r, const json_t *roles, json_t *one)
{
	const char *role = text_at(one, "properties.roleDefinitionId");
	const char *who = text_at(one, "properties.principalId");
	AUTO_FREE char *path = mem_printf("/v1.0/directoryObjects/%s", who ? who : "");
	struct rest_answer a = { 0 };
	json_t *each;
	size_t i;

	json_array_foreach((json_t *)roles, i, each)
		if (role && !strcasecmp(strrchr(role, '/') + 1, text_at(each, "name")))
			json_object_set_new(one, "role",
					    json_string(text_at(each, "properties.roleName")));
	if (rest_call(r, "GET", path, GRAPH_API, NULL, &a) == CLI_OK && a.status == 200)
		who = text_at(a.body, "userPrincipalName") ? text_at(a.body, "userPrincipalName")
							   : text_at(a.body, "displayName");
	json_object_set_new(one, "who", json_string(who ? who : ""));
	rest_answer_fini(&a);
}

int
directory_assigned(struct cli *c)
{
	AUTO(rest) r = NULL;
	AUTO_FREE char *scope = NULL;
	AUTO_FREE char *path = NULL;
	AUTO_FREE char *roles_path = NULL;
	json_t *rows = NULL, *roles = NULL, *one;
	size_t i;
	int code = open_as(c, &r);

	if (code != CLI_OK)
		return code;
	scope = scope_of(c, r);
	path = mem_printf("%s/providers/Microsoft.Authorization/roleAssignments?$filter=atScope()",
			  scope);
	roles_path = mem_printf("%s/providers/Microsoft.Authorization/roleDefinitions", scope);
	code = rest_list(r, path, ROLE_API, &rows);
	if (code == CLI_OK)
		code = rest_list(r, roles_path, ROLE_API, &roles);
	json_array_foreach(rows, i, one)
		if (code == CLI_OK)
			names_add(r, roles, one);
	if (code == CLI_OK)
		code = print_rows(c, &assignments, rows);
	json_decref(rows);
	json_decref(roles);
	return code;
}

int
directory_revoke(struct cli *c)
{
	AUTO(rest) r = NULL;
	int code = open_as(c, &r);

	if (code == CLI_OK && *c->args[0] != '/')
		return cli_fail(
			CLI_USAGE,
			"%s is not the id of an assignment; `wayleave role assigned` has them",
			c->args[0]);
	return code == CLI_OK ? rest_do(r, "DELETE", c->args[0], ROLE_API, NULL, NULL) : code;
}
