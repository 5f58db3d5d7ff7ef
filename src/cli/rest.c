/* See rest.h. The protocol's rules are those every ARM client follows: Azure-AsyncOperation before
 * Location, Retry-After honoured, a PUT ends with a GET of the resource. */
#include "cli/rest.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/mono.h"

#include <ctype.h>
#include <curl/curl.h>
#include <jansson.h>
#include <limits.h>
#include <strings.h>
#include <time.h>

enum { WAIT_SECONDS = 120, BODY_MAX = 64 << 20 };

struct rest {
	const struct cli *cli;
	char prefix[64]; /* "", "PROVIDER_" */
	struct map env;
	CURL *curl;
	char *token;
	struct buf in;
	struct rest_answer *answer; /* of the call under way, for headers */
};

/* ---- the environment ---- */

/* "KEY='value'" or "export KEY=value"; quotes of the shell's single kind. */
static void
take_line(struct map *env, char *line)
{
	char *equals, *value;
	size_t n;

	line += strspn(line, " \t");
	if (!strncmp(line, "export ", 7))
		line += 7;
	equals = strchr(line, '=');
	if (*line == '#' || !equals)
		return;
	*equals = 0;
	value = equals + 1;
	n = strcspn(value, "\r\n");
	value[n] = 0;
	if (n >= 2 && (*value == '\'' || *value == '"') && value[n - 1] == *value) {
		value[n - 1] = 0;
		value++;
	}
	free(map_put_str(env, line, mem_strdup(value)));
}

static bool
read_env_file(struct map *env, const char *path, int *ret_errno)
{
	FILE *f = fopen(path, "re");
	char *line = NULL;
	size_t cap = 0;

	*ret_errno = errno;
	if (!f)
		return false;
	while (getline(&line, &cap, f) > 0)
		take_line(env, line);
	free(line);
	fclose(f);
	return true;
}

const char *
rest_env(const struct rest *r, const char *name)
{
	char full[128];
	const char *v;

	snprintf(full, sizeof(full), "%s%s", r->prefix, name);
	v = map_get_str(&r->env, full);
	if (!v)
		v = map_get_str(&r->env, name);
	if (!v && !r->env.n) {
		v = getenv(full);
		v = v ? v : getenv(name);
	}
	return v;
}

static bool
set_prefix(struct rest *r, const char *principal)
{
	static const struct {
		const char *name, *prefix;
	} known[] = {
		{ "customer", "" },      { "provider", "PROVIDER_" }, { "operator", "OPERATOR_" },
		{ "reader", "READER_" }, { "nobody", "NOBODY_" },     { "customer2", "CUSTOMER2_" },
	};

	for (size_t i = 0; i < COUNT(known); i++)
		if (!strcmp(principal, known[i].name)) {
			snprintf(r->prefix, sizeof(r->prefix), "%s", known[i].prefix);
			return true;
		}
	return false;
}

/* Anybody else whose NAME_CLIENT_ID and NAME_CLIENT_SECRET are in the environment file or, for who
 * was made later, in the environment. */
static bool
set_own_prefix(struct rest *r, const char *principal)
{
	static const char *const names[] = { "CLIENT_ID", "CLIENT_SECRET", "SUBSCRIPTION",
					     "TENANT" };
	size_t n = strlen(principal);
	char full[128];

	if (!n || n + 2 > sizeof(r->prefix))
		return false;
	for (size_t i = 0; i < n; i++)
		r->prefix[i] = (char)(isalnum((unsigned char)principal[i])
					      ? toupper((unsigned char)principal[i])
					      : '_');
	r->prefix[n] = '_';
	r->prefix[n + 1] = '\0';
	for (size_t i = 0; i < COUNT(names); i++) {
		const char *v;

		snprintf(full, sizeof(full), "%s%s", r->prefix, names[i]);
		v = getenv(full);
		if (v && !map_get_str(&r->env, full))
			map_put_str(&r->env, full, mem_strdup(v));
		if (i == 0 && !map_get_str(&r->env, full))
			return false;
	}
	if (!map_get_str(&r->env, full)) /* not that of the first ones: whose the client id is */
		map_put_str(&r->env, full, mem_strdup("common"));
	return true;
}

static int
find_env(struct rest *r)
{
	char path[PATH_MAX];
	int why;

	snprintf(path, sizeof(path), "%s/env", cli_client_home(r->cli));
	if (read_env_file(&r->env, path, &why))
		return CLI_OK;
	if (why == EACCES)
		return cli_fail(CLI_FAILED,
				"%s is not yours to read; use sudo, or the account that started it",
				path);
	if (getenv("ARM_ENDPOINT"))
		return CLI_OK;
	return cli_fail(
		CLI_FAILED,
		"no Wayleave called \"%s\" here (%s is not there); start it with `wayleave up`, or "
		"source what `wayleave env` printed where it runs",
		r->cli->instance, path);
}

int
rest_open(const struct cli *c, const char *principal, struct rest **ret)
{
	AUTO(rest) r = mem_alloc(sizeof(*r));
	int code;

	r->cli = c;
	if ((code = find_env(r)) != CLI_OK)
		return code;
	if (!set_prefix(r, principal) && !set_own_prefix(r, principal))
		return cli_fail(
			CLI_USAGE,
			"no such principal: %s; there are customer, customer2, provider, operator, reader, nobody, "
			"and whose NAME_CLIENT_ID and NAME_CLIENT_SECRET the environment has",
			principal);
	curl_global_init(CURL_GLOBAL_DEFAULT);
	r->curl = curl_easy_init();
	if (!r->curl)
		return cli_fail(CLI_FAILED, "curl cannot start");
	*ret = TAKE(r);
	return CLI_OK;
}

void
rest_destroy(struct rest *r)
{
	struct map_iter it = { 0 };

	if (!r)
		return;
	while (map_next(&r->env, &it)) {
		mem_wipe(it.value, strlen(it.value));
		free(it.value);
	}
	map_fini(&r->env);
	if (r->token)
		mem_wipe(r->token, strlen(r->token));
	free(r->token);
	buf_fini(&r->in);
	if (r->curl)
		curl_easy_cleanup(r->curl);
	free(r);
}

void
rest_answer_fini(struct rest_answer *a)
{
	json_decref(a->body);
	*a = (struct rest_answer){ 0 };
}

/* ---- one request ---- */

static size_t
on_body(char *p, size_t size, size_t n, void *arg)
{
	struct rest *r = arg;

	if (r->in.n + size * n > BODY_MAX)
		return 0;
	buf_put(&r->in, p, size * n);
	return size * n;
}

static size_t
on_header(char *p, size_t size, size_t n, void *arg)
{
	struct rest_answer *a = ((struct rest *)arg)->answer;
	static const char async[] = "azure-asyncoperation:", location[] = "location:",
			  retry[] = "retry-after:";
	size_t len = size * n;
	bool is_async = len > sizeof(async) && !strncasecmp(p, async, sizeof(async) - 1);
	bool is_location = len > sizeof(location) &&
			   !strncasecmp(p, location, sizeof(location) - 1);

	if (is_async || (is_location && (!*a->operation || a->is_location))) {
		size_t at = is_async ? sizeof(async) - 1 : sizeof(location) - 1;

		while (at < len && p[at] == ' ')
			at++;
		while (len > at && (p[len - 1] == '\r' || p[len - 1] == '\n'))
			len--;
		snprintf(a->operation, sizeof(a->operation), "%.*s", (int)(len - at), p + at);
		a->is_location = is_location;
	} else if (len > sizeof(retry) && !strncasecmp(p, retry, sizeof(retry) - 1)) {
		a->retry_after = (int)strtol(p + sizeof(retry) - 1, NULL, 10);
	}
	return size * n;
}

static int
perform(struct rest *r, const char *url, const char *method, const char *body,
	struct curl_slist *headers, struct rest_answer *ret)
{
	const char *ca = rest_env(r, "CA_FILE");
	CURLcode code;

	*ret = (struct rest_answer){ 0 };
	r->answer = ret;
	buf_reset(&r->in);
	curl_easy_reset(r->curl);
	curl_easy_setopt(r->curl, CURLOPT_URL, url);
	curl_easy_setopt(r->curl, CURLOPT_CUSTOMREQUEST, method);
	curl_easy_setopt(r->curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(r->curl, CURLOPT_CONNECTTIMEOUT, 10L);
	curl_easy_setopt(r->curl, CURLOPT_TIMEOUT, 90L);
	curl_easy_setopt(r->curl, CURLOPT_PROXY, "");
	if (ca)
		curl_easy_setopt(r->curl, CURLOPT_CAINFO, ca);
	if (body || !strcmp(method, "POST") || !strcmp(method, "PUT")) {
		curl_easy_setopt(r->curl, CURLOPT_POSTFIELDS, body ? body : "");
		curl_easy_setopt(r->curl, CURLOPT_CUSTOMREQUEST, method);
	}
	curl_easy_setopt(r->curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(r->curl, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(r->curl, CURLOPT_WRITEDATA, r);
	curl_easy_setopt(r->curl, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(r->curl, CURLOPT_HEADERDATA, r);
	code = curl_easy_perform(r->curl);
	if (code != CURLE_OK)
		return cli_fail(CLI_FAILED, "%s: %s; is it running? `wayleave up` starts it", url,
				curl_easy_strerror(code));
	curl_easy_getinfo(r->curl, CURLINFO_RESPONSE_CODE, &ret->status);
	if (r->in.n)
		ret->body = json_loadb((const char *)r->in.p, r->in.n, JSON_DECODE_ANY, NULL);
	return CLI_OK;
}

static const char *
text_of(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

const char *
rest_token(struct rest *r)
{
	static const char *const needed[] = { "ARM_ENDPOINT", "TENANT", "CLIENT_ID",
					      "CLIENT_SECRET" };
	struct rest_answer a = { 0 };
	AUTO_FREE char *url = NULL;
	AUTO_FREE char *form = NULL;
	char *secret;

	if (r->token)
		return r->token;
	for (size_t i = 0; i < COUNT(needed); i++)
		if (!rest_env(r, needed[i]))
			return cli_fail(CLI_FAILED, "no %s%s in the environment file", r->prefix,
					needed[i]),
			       NULL;
	url = mem_printf("%s/%s/oauth2/v2.0/token", rest_env(r, "ARM_ENDPOINT"),
			 rest_env(r, "TENANT"));
	secret = curl_easy_escape(r->curl, rest_env(r, "CLIENT_SECRET"), 0);
	form = mem_printf(
		"grant_type=client_credentials&client_id=%s&client_secret=%s&scope=%s/.default",
		rest_env(r, "CLIENT_ID"), secret, rest_env(r, "ARM_ENDPOINT"));
	curl_free(secret);
	if (perform(r, url, "POST", form, NULL, &a) != CLI_OK)
		return NULL;
	mem_wipe(form, strlen(form));
	if (a.status == 200 && *text_of(a.body, "access_token"))
		r->token = mem_strdup(text_of(a.body, "access_token"));
	else
		cli_fail(CLI_FAILED, "no token (HTTP %ld): %s", a.status,
			 text_of(a.body, "error_description"));
	rest_answer_fini(&a);
	return r->token;
}

static int
call_url(struct rest *r, const char *method, const char *url, const json_t *body,
	 struct rest_answer *ret)
{
	const char *token = rest_token(r);
	struct curl_slist *headers = NULL;
	AUTO_FREE char *bearer = NULL;
	AUTO_FREE char *text = NULL;
	int code;

	*ret = (struct rest_answer){ 0 };
	if (!token)
		return CLI_FAILED;
	bearer = mem_printf("Authorization: Bearer %s", token);
	headers = curl_slist_append(headers, bearer);
	headers = curl_slist_append(headers, "Content-Type: application/json");
	headers = curl_slist_append(headers, "Expect:");
	if (body)
		text = json_dumps(body, JSON_COMPACT);
	code = perform(r, url, method, text, headers, ret);
	curl_slist_free_all(headers);
	snprintf(ret->code, sizeof(ret->code), "%s",
		 text_of(json_object_get(ret->body, "error"), "code"));
	return code;
}

int
rest_call(struct rest *r, const char *method, const char *path, const char *api_version,
	  const json_t *body, struct rest_answer *ret)
{
	AUTO_FREE char *url = mem_printf("%s%s%capi-version=%s", rest_env(r, "ARM_ENDPOINT"), path,
					 strchr(path, '?') ? '&' : '?', api_version);

	return call_url(r, method, url, body, ret);
}

/* ---- answers for people ---- */

static int
refuse(const struct rest *r, const struct json_t *error, long status, const char *what)
{
	size_t i;
	json_t *detail;
	enum cli_exit code = status == 404 ? CLI_NOT_FOUND : CLI_FAILED;

	cli_fail(code, "%s: %s%s%s", what,
		 *text_of(error, "code") ? text_of(error, "code") : "refused",
		 *text_of(error, "message") ? ": " : "", text_of(error, "message"));
	json_array_foreach(json_object_get(error, "details"), i, detail)
		fprintf(stderr, "  - %s: %s\n", text_of(detail, "code"),
			text_of(detail, "message"));
	if (status == 403)
		fprintf(stderr, "  (asked as %s; --as chooses another principal)\n",
			*r->prefix ? r->prefix : "customer");
	else if (!*text_of(error, "code"))
		fprintf(stderr, "  (HTTP %ld)\n", status);
	return (int)code;
}

static void
pause_ms(int ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000L };

	nanosleep(&t, NULL);
}

static void
show_progress(const char *what, unsigned n)
{
	static const char wheel[] = "|/-\\";

	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r%s %c ", what, wheel[n % 4]);
}

static void
end_progress(void)
{
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r\033[K");
}

/* Polls until the operation ends. *ret_body: what the last answer carried. */
static int
follow(struct rest *r, const char *what, struct rest_answer *first, json_t **ret_body)
{
	struct mono end = mono_add_ms(mono_now(), WAIT_SECONDS * 1000);
	bool is_location = first->is_location;
	char url[sizeof(first->operation)];
	int code = CLI_OK;

	memcpy(url, first->operation, sizeof(url));
	*ret_body = NULL;
	for (unsigned n = 0; code == CLI_OK; n++) {
		struct rest_answer a;
		const char *status;

		show_progress(what, n);
		/* The first looks come early: most operations are quick here. */
		pause_ms(n < 10 ? 50 : MAX(first->retry_after, 1) * 250);
		code = call_url(r, "GET", url, NULL, &a);
		status = text_of(a.body, "status");
		if (code != CLI_OK) {
			/* said already */
		} else if (a.status >= 400) {
			end_progress();
			code = refuse(r, json_object_get(a.body, "error"), a.status, what);
		} else if (is_location ? a.status != 202 : !strcasecmp(status, "Succeeded")) {
			*ret_body = json_incref(a.body);
			rest_answer_fini(&a);
			break;
		} else if (!strcasecmp(status, "Failed") || !strcasecmp(status, "Canceled")) {
			end_progress();
			code = refuse(r, json_object_get(a.body, "error"), 500, what);
		} else if (mono_is_due(end, mono_now())) {
			end_progress();
			code = cli_fail(CLI_FAILED,
					"%s: still under way after %d s; it goes on: %s", what,
					WAIT_SECONDS, url);
		}
		rest_answer_fini(&a);
	}
	end_progress();
	return code;
}

int
rest_do(struct rest *r, const char *method, const char *path, const char *api_version,
	const json_t *body, json_t **ret_body)
{
	struct rest_answer a;
	json_t *last = NULL;
	const char *slash = strrchr(path, '/'), *what = slash ? slash + 1 : path;
	int code = rest_call(r, method, path, api_version, body, &a);

	if (code == CLI_OK && a.status >= 400)
		code = refuse(r, json_object_get(a.body, "error"), a.status, what);
	if (code == CLI_OK && *a.operation && !r->cli->no_wait && strcmp(method, "GET") != 0) {
		code = follow(r, what, &a, &last);
		if (code == CLI_OK && !strcmp(method, "PUT")) {
			json_decref(last);
			last = NULL;
			rest_answer_fini(&a);
			code = rest_call(r, "GET", path, api_version, NULL, &a);
		}
	}
	if (code == CLI_OK && ret_body)
		*ret_body = last ? json_incref(last) : json_incref(a.body);
	json_decref(last);
	rest_answer_fini(&a);
	return code;
}

int
rest_list(struct rest *r, const char *path, const char *api_version, json_t **ret)
{
	AUTO_FREE char *next = NULL;
	json_t *all = json_array();

	for (;;) {
		struct rest_answer a;
		int code = next ? call_url(r, "GET", next, NULL, &a)
				: rest_call(r, "GET", path, api_version, NULL, &a);

		if (code == CLI_OK && a.status >= 400)
			code = refuse(r, json_object_get(a.body, "error"), a.status, "list");
		if (code == CLI_OK)
			json_array_extend(all, json_object_get(a.body, "value"));
		free(next);
		next = NULL;
		if (code == CLI_OK && *text_of(a.body, "nextLink"))
			next = mem_strdup(text_of(a.body, "nextLink"));
		rest_answer_fini(&a);
		if (code != CLI_OK) {
			json_decref(all);
			return code;
		}
		if (!next)
			break;
	}
	*ret = all;
	return CLI_OK;
}

/* ---- streams ---- */

struct stream {
	struct rest *r;
	bool (*text)(void *arg, const char *p, size_t n);
	void *arg;
};

static size_t
on_stream(char *p, size_t size, size_t n, void *arg)
{
	struct stream *s = arg;
	long status = 0;

	curl_easy_getinfo(s->r->curl, CURLINFO_RESPONSE_CODE, &status);
	if (status != 200)
		return on_body(p, size, n, s->r);
	return s->text(s->arg, p, size * n) ? size * n : 0;
}

int
rest_stream(struct rest *r, const char *path, const char *last_id,
	    bool (*text)(void *arg, const char *p, size_t n), void *arg)
{
	struct stream s = { r, text, arg };
	const char *token = rest_token(r), *ca = rest_env(r, "CA_FILE");
	AUTO_FREE char *bearer = NULL, *last = NULL, *url = NULL;
	struct curl_slist *headers = NULL;
	long status = 0;
	CURLcode code;

	if (!token)
		return CLI_FAILED;
	bearer = mem_printf("Authorization: Bearer %s", token);
	last = mem_printf("Last-Event-ID: %s", last_id);
	url = mem_printf("%s%s", rest_env(r, "ARM_ENDPOINT"), path);
	headers = curl_slist_append(headers, bearer);
	if (*last_id)
		headers = curl_slist_append(headers, last);
	buf_reset(&r->in);
	curl_easy_reset(r->curl);
	curl_easy_setopt(r->curl, CURLOPT_URL, url);
	curl_easy_setopt(r->curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(r->curl, CURLOPT_CONNECTTIMEOUT, 10L);
	/* Heartbeats come every 20 s. */
	curl_easy_setopt(r->curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(r->curl, CURLOPT_LOW_SPEED_TIME, 90L);
	curl_easy_setopt(r->curl, CURLOPT_PROXY, "");
	if (ca)
		curl_easy_setopt(r->curl, CURLOPT_CAINFO, ca);
	curl_easy_setopt(r->curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(r->curl, CURLOPT_WRITEFUNCTION, on_stream);
	curl_easy_setopt(r->curl, CURLOPT_WRITEDATA, &s);
	code = curl_easy_perform(r->curl);
	curl_slist_free_all(headers);
	curl_easy_getinfo(r->curl, CURLINFO_RESPONSE_CODE, &status);
	if (status == 200)
		return CLI_OK; /* cut off or ended: from there on again */
	if (code != CURLE_OK)
		return cli_fail(CLI_FAILED, "%s: %s; is it running? `wayleave up` starts it", url,
				curl_easy_strerror(code));
	return cli_fail(CLI_FAILED, "%ld %s", status, r->in.n ? buf_str(&r->in) : "");
}
