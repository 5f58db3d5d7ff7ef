/* Everything that comes without a token: method and path, query or form, cookie, one a line. Whatever
 * it is, it is answered, nobody gets a token or a code, and nobody is sent to a place that is not ours. */
#include "scratch.h"

#include "identity/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct identity *
open_identity(void)
{
	struct arena a = { 0 };
	struct identity_bootstrap first;
	struct store_config sc = { 0 };
	struct identity *id;
	struct store *s;

	scratch_make();
	sc.path = arena_printf(&a, "%s/s.db", scratch_path);
	sc.master_key = arena_printf(&a, "%s/key", scratch_path);
	if (store_open(&sc, &s, NULL) < 0 || identity_bootstrap(s, &a, &first, NULL) < 0 ||
	    identity_open(s, "https://localhost:8443", &id, NULL) < 0)
		abort();
	arena_reset(&a);
	return id;
}

static char *
line(char **at)
{
	char *p = *at, *end = p ? strchr(p, '\n') : NULL;

	if (end)
		*end++ = '\0';
	*at = end;
	return p;
}

/* Only loopback addresses are registered here, and only errors go there. */
static void
check_location(const char *to)
{
	static const char *const good[] = { "https://localhost:8443/", "http://localhost",
					    "http://127.0.0.1", "http://[::1]" };

	for (size_t i = 0; i < COUNT(good); i++)
		if (!strncmp(to, good[i], strlen(good[i])))
			return;
	abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct identity *id;
	static int64_t now_us = 30000000;
	AUTO_ARENA a = { 0 };
	char *at = arena_strndup(&a, (const char *)data, size), *path = line(&at),
	     *params = line(&at);
	bool is_post = *path == 'P';
	struct identity_request rq = { .arena = &a,
				       .method = is_post ? "POST" : "GET",
				       .path = *path ? path + 1 : "",
				       .cookie = line(&at),
				       .authorization = line(&at),
				       .remote = "192.0.2.1" };
	struct identity_reply reply;

	if (!id)
		id = open_identity();
	now_us += 60000000; /* a minute between two: no limit is met */
	rq.now_us = now_us;
	rq.query = is_post || !params ? "" : params;
	rq.body = is_post ? params : NULL;
	identity_handle(id, &rq, &reply);
	if (reply.status < 200 || reply.status > 599 || (reply.type && !reply.text))
		abort();
	for (size_t i = 0; i < reply.n_headers; i++) {
		if (strpbrk(reply.headers[i].value, "\r\n"))
			abort();
		if (!strcmp(reply.headers[i].name, "Location"))
			check_location(reply.headers[i].value);
	}
	if (reply.text && strstr(reply.text, "\"access_token\""))
		abort();
	return 0;
}
