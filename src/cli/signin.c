/* See signin.h. What administrators do about sign-in that Azure has no call for: Wayleave.Identity. */
#include "cli/signin.h"

#include "base/mem.h"
#include "cli/rest.h"

#include <curl/curl.h>
#include <jansson.h>

#define API "2026-01-01"
#define PATH "/providers/Wayleave.Identity"

static const char *
text_of(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

static int
open_as(struct cli *c, struct rest **ret)
{
	return rest_open(c, c->as ? c->as : "operator", ret);
}

/* POST users/NAME/what */
static int
user_do(struct cli *c, const char *what, json_t **ret)
{
	AUTO(rest) r = NULL;
	AUTO_FREE char *path = NULL;
	int code = open_as(c, &r);
	char *name;

	if (code != CLI_OK)
		return code;
	name = curl_easy_escape(NULL, c->args[0], 0);
	path = mem_printf(PATH "/users/%s/%s", name ? name : "", what);
	curl_free(name);
	return rest_do(r, "POST", path, API, NULL, ret);
}

int
signin_invite(struct cli *c)
{
	json_t *j = NULL;
	int code = user_do(c, "invite", &j);

	if (code == CLI_OK && c->is_json)
		cli_print_json(j);
	else if (code == CLI_OK)
		printf("%s\nsigns %s in, once, until %s.\n", text_of(j, "link"),
		       text_of(j, "userPrincipalName"), text_of(j, "expiresOn"));
	json_decref(j);
	return code;
}

int
signin_revoke(struct cli *c)
{
	return user_do(c, "revoke", NULL);
}

int
signin_keys(struct cli *c)
{
	static const char *const headings[] = { "KEY", "STATE", "SIGNS FROM", "VALID UNTIL", NULL };
	AUTO(rest) r = NULL;
	AUTO(table) t = table_create(headings);
	AUTO_BUF out = { 0 };
	json_t *j = NULL, *one;
	size_t i;
	int code = open_as(c, &r);

	if (code == CLI_OK)
		code = rest_do(r, "GET", PATH "/signingKeys", API, NULL, &j);
	json_array_foreach(json_object_get(j, "value"), i, one)
		table_add(t, text_of(one, "keyId"), text_of(one, "state"),
			  text_of(one, "signsFrom"),
			  json_string_value(json_object_get(one, "validUntil")));
	table_print(t, &out);
	if (code == CLI_OK && c->is_json)
		cli_print_json(json_object_get(j, "value"));
	else if (code == CLI_OK)
		fwrite(out.p, 1, out.n, stdout);
	json_decref(j);
	return code;
}

int
signin_rotate(struct cli *c)
{
	AUTO(rest) r = NULL;
	json_t *body = json_pack("{s:b}", "atOnce", cli_has(c, "now"));
	int code = open_as(c, &r);

	if (code == CLI_OK)
		code = rest_do(r, "POST", PATH "/signingKeys/rotate", API, body, NULL);
	json_decref(body);
	return code;
}
