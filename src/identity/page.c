/* What the browser shows: one column, no scripts, nothing from elsewhere. */
#include "identity/oauth.h"

#include <ctype.h>
#include <openssl/evp.h>
#include <openssl/sha.h>

static const char style[] =
	"body{font:16px/1.5 system-ui,sans-serif;color:#1b1b1b;background:#f3f4f6;margin:0}"
	"main{max-width:26em;margin:12vh auto;background:#fff;padding:1.6em 2em;border-radius:6px;"
	"box-shadow:0 1px 4px #0003}"
	"h1{font-size:1.3em;margin:0 0 .6em}"
	"small{color:#666;display:block;margin-bottom:1.2em}"
	"label{display:block;margin:1em 0}"
	"input{font:inherit;padding:.4em;width:100%;box-sizing:border-box;border:1px solid #888;"
	"border-radius:4px;letter-spacing:.1em}"
	"button,.button{font:inherit;padding:.45em 1.2em;border:0;border-radius:4px;background:#0b5cad;"
	"color:#fff;cursor:pointer;text-decoration:none;display:inline-block}"
	"button.other{background:#ddd;color:#1b1b1b}"
	".bad{color:#a4262c}"
	"@media(prefers-color-scheme:dark){body{background:#1b1b1b;color:#eee}main{background:#2b2b2b}"
	"small{color:#aaa}.bad{color:#f1707b}a:not(.button){color:#6cb8f6}}";

const char *
html(struct arena *a, const char *text)
{
	AUTO_BUF b = { 0 };

	for (; text && *text; text++)
		switch (*text) {
		case '&':
			buf_printf(&b, "&amp;");
			break;
		case '<':
			buf_printf(&b, "&lt;");
			break;
		case '>':
			buf_printf(&b, "&gt;");
			break;
		case '"':
			buf_printf(&b, "&quot;");
			break;
		case '\'':
			buf_printf(&b, "&#39;");
			break;
		default:
			buf_put(&b, text, 1);
		}
	return arena_strdup(a, b.n ? buf_str(&b) : "");
}

const char *
url_encode(struct arena *a, const char *text)
{
	AUTO_BUF b = { 0 };

	for (; *text; text++)
		if (isalnum((unsigned char)*text) || strchr("-._~", *text))
			buf_put(&b, text, 1);
		else
			buf_printf(&b, "%%%02X", (unsigned char)*text);
	return arena_strdup(a, b.n ? buf_str(&b) : "");
}

const char *
url_origin(struct arena *a, const char *url)
{
	const char *host = strstr(url, "://");

	return arena_strndup(a, url, host ? (size_t)(host + 3 - url) + strcspn(host + 3, "/?") : 0);
}

/* The one style is allowed by its digest, so that nothing that slipped in counts. */
static const char *
policy(struct arena *a, const char *origin)
{
	uint8_t d[SHA256_DIGEST_LENGTH], text[64];

	SHA256((const uint8_t *)style, strlen(style), d);
	EVP_EncodeBlock(text, d, sizeof(d));
	return arena_printf(a,
			    "default-src 'none'; style-src 'sha256-%s'; form-action 'self'%s%s; "
			    "frame-ancestors 'none'; base-uri 'none'",
			    (const char *)text, origin ? " " : "", origin ? origin : "");
}

void
page(struct call *c, int status, const char *title, const char *body, const char *origin)
{
	c->out->status = status;
	c->out->type = "text/html; charset=utf-8";
	c->out->text = arena_printf(
		c->a,
		"<!doctype html><html lang=en><head><meta charset=utf-8>"
		"<meta name=viewport content=\"width=device-width\"><title>%s</title>"
		"<style>%s</style></head><body><main><h1>%s</h1><small>Wayleave, %s</small>%s</main>"
		"</body></html>\n",
		html(c->a, title), style, html(c->a, title), html(c->a, c->id->base_url), body);
	call_header(c, "Content-Security-Policy", policy(c->a, origin));
	call_header(c, "X-Frame-Options", "DENY");
	call_header(c, "Referrer-Policy", "same-origin");
}

void
page_error(struct call *c, int status, const char *text)
{
	page(c, status, "That did not work",
	     arena_printf(c->a, "<p class=bad>%s</p>", html(c->a, text)), NULL);
}

const char *
page_hidden(struct arena *a, const char *name, const char *value)
{
	return value ? arena_printf(a, "<input type=hidden name=\"%s\" value=\"%s\">", name,
				    html(a, value))
		     : "";
}

const char *
page_form(struct call *c, const struct session *s, const char *action)
{
	return arena_printf(c->a, "<form method=post action=\"%s\">%s", html(c->a, action),
			    page_hidden(c->a, "form", session_csrf(c, s)));
}

void
page_redirect(struct call *c, const char *url)
{
	c->out->status = 303;
	c->out->type = NULL;
	call_header(c, "Location", url);
}
