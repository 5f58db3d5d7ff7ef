#include "http/fetch.h"

#include "base/buf.h"

#include <curl/curl.h>
#include <pthread.h>

enum { CONNECT_SECONDS = 4, SECONDS = 8 };

struct answer {
	struct buf body;
	size_t max;
	bool is_too_long;
};

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void
start(void)
{
	curl_global_init(CURL_GLOBAL_DEFAULT);
}

static size_t
on_body(char *p, size_t size, size_t n, void *arg)
{
	struct answer *a = arg;

	a->is_too_long = a->body.n + size * n > a->max;
	if (a->is_too_long)
		return 0;
	buf_put(&a->body, p, size * n);
	return size * n;
}

static void
set(CURL *h, const struct identity_fetch_call *call, struct answer *a, char *why)
{
	curl_easy_setopt(h, CURLOPT_URL, call->url);
	curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "https");
	curl_easy_setopt(h, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_SECONDS);
	curl_easy_setopt(h, CURLOPT_TIMEOUT, (long)SECONDS);
	curl_easy_setopt(h, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(h, CURLOPT_WRITEDATA, a);
	curl_easy_setopt(h, CURLOPT_ERRORBUFFER, why);
	if (call->ca_pem) {
		struct curl_blob blob = { (void *)(uintptr_t)call->ca_pem, strlen(call->ca_pem),
					  CURL_BLOB_NOCOPY };

		curl_easy_setopt(h, CURLOPT_CAINFO_BLOB, &blob);
		curl_easy_setopt(h, CURLOPT_CAPATH, NULL);
	}
	if (call->form)
		curl_easy_setopt(h, CURLOPT_POSTFIELDS, call->form);
	if (call->bearer) {
		curl_easy_setopt(h, CURLOPT_HTTPAUTH, (long)CURLAUTH_BEARER);
		curl_easy_setopt(h, CURLOPT_XOAUTH2_BEARER, call->bearer);
	}
	if (call->user) {
		curl_easy_setopt(h, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
		curl_easy_setopt(h, CURLOPT_USERPWD, call->user);
	}
}

/* Its text may come from outside and goes into a log line. */
static void
tidy(char *text)
{
	for (; *text; text++)
		if (*text < ' ' || *text == '"' || *text == 0x7f)
			*text = ' ';
}

static int
get(void *ctx, struct arena *a, const struct identity_fetch_call *call, const char **ret,
    struct err *e)
{
	struct answer answer = { .max = call->max };
	char why[CURL_ERROR_SIZE] = "";
	CURLcode code = CURLE_FAILED_INIT;
	long status = 0;
	CURL *h;
	int r = 0;

	pthread_once(&once, start);
	h = curl_easy_init();
	if (h) {
		set(h, call, &answer, why);
		code = curl_easy_perform(h);
		curl_easy_getinfo(h, CURLINFO_RESPONSE_CODE, &status);
	}
	tidy(why);
	if (answer.is_too_long)
		r = err_set(e, -EMSGSIZE, "%.150s: the answer is longer than %zu bytes", call->url,
			    call->max);
	else if (code != CURLE_OK)
		r = err_set(e, -EAGAIN, "%.150s: %.150s", call->url,
			    *why ? why : curl_easy_strerror(code));
	else if (status != 200)
		r = err_set(e, -EBADMSG, "%.150s: HTTP %ld", call->url, status);
	else
		*ret = arena_strndup(a, answer.body.n ? buf_str(&answer.body) : "", answer.body.n);
	curl_easy_cleanup(h);
	buf_fini(&answer.body);
	return r;
}

struct identity_fetch
http_fetch(void)
{
	return (struct identity_fetch){ .get = get };
}
