/* The token endpoint before anybody is known: first line the Authorization header, the rest the form.
 * Nothing but right credentials may get a token, and those are 256 random bits. */
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

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct identity *id;
	static int64_t now_us = 30000000; /* a minute between two: no limit is met */
	AUTO_ARENA a = { 0 };
	char *basic = arena_strndup(&a, (const char *)data, size), *form = strchr(basic, '\n');
	struct identity_request rq = { .arena = &a,
				       .method = "POST",
				       .path = "/adfs/oauth2/token",
				       .query = "",
				       .remote = "192.0.2.1",
				       .now_us = ++now_us * 60000000 };
	struct identity_reply reply;

	if (!id)
		id = open_identity();
	if (form)
		*form++ = '\0';
	rq.body = form ? form : "";
	rq.authorization = *basic ? basic : NULL;
	identity_handle(id, &rq, &reply);
	if (reply.status < 400 || reply.text[0] != '{')
		abort();
	return 0;
}
