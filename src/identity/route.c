/* Paths of tokens and sign-in. Both families: /adfs/..., /adfs/TENANT/adfs/..., and /TENANT/...; of
 * the latter also /common and /organizations. Double slashes and case do not matter. */
#include "identity/oauth.h"

#include <ctype.h>

enum { MAX_PATH = 256 };

enum where { BELOW = 1, ALONE = 2 }; /* a base; at the root */

// clang-format off
static const struct {
	const char *path;
	enum endpoint what;
	unsigned where;
	bool is_v2;
} table[] = {
	{ ".well-known/openid-configuration",      AT_OPENID,     BELOW,         false },
	{ "v2.0/.well-known/openid-configuration", AT_OPENID,     BELOW,         true },
	{ "discovery/keys",                        AT_KEYS,       BELOW | ALONE, false },
	{ "discovery/v2.0/keys",                   AT_KEYS,       BELOW | ALONE, true },
	{ "discovery/instance",                    AT_INSTANCE,   BELOW | ALONE, false },
	{ "openid/userinfo",                       AT_USERINFO,   BELOW | ALONE, false },
	{ "oauth2/token",                          AT_TOKEN,      BELOW,         false },
	{ "oauth2/v2.0/token",                     AT_TOKEN,      BELOW,         true },
	{ "oauth2/devicecode",                     AT_DEVICECODE, BELOW,         false },
	{ "oauth2/v2.0/devicecode",                AT_DEVICECODE, BELOW,         true },
	{ "oauth2/authorize",                      AT_AUTHORIZE,  BELOW,         false },
	{ "oauth2/v2.0/authorize",                 AT_AUTHORIZE,  BELOW,         true },
	{ "oauth2/logout",                         AT_LOGOUT,     BELOW,         false },
	{ "oauth2/v2.0/logout",                    AT_LOGOUT,     BELOW,         true },
	{ "metadata/endpoints",                    AT_METADATA,   ALONE,         false },
	{ "device",                                AT_DEVICE,     ALONE,         false },
	{ "signin",                                AT_SIGNIN,     ALONE,         false },
	{ "signin/start",                          AT_START,      ALONE,         false },
	{ "signin/callback",                       AT_CALLBACK,   ALONE,         false },
	{ "invite",                                AT_INVITE,     ALONE,         false },
	{ "signout",                               AT_SIGNOUT,    ALONE,         false },
};
// clang-format on

/* Without double slashes and the one in front, in lower case; false: too long. */
static bool
tidy(const char *path, char out[MAX_PATH])
{
	size_t n = 0;

	for (; *path; path++) {
		if (*path == '/' && (!n || out[n - 1] == '/'))
			continue;
		if (n == MAX_PATH - 1)
			return false;
		out[n++] = (char)tolower((unsigned char)*path);
	}
	while (n && out[n - 1] == '/')
		n--;
	out[n] = '\0';
	return true;
}

static struct route
look_up(const char *tail, enum where where)
{
	for (size_t i = 0; i < COUNT(table); i++)
		if ((table[i].where & where) && !strcmp(table[i].path, tail))
			return (struct route){ .what = table[i].what,
					       .is_v2 = table[i].is_v2,
					       .base = "" };
	return (struct route){ .what = AT_NOTHING };
}

/* A GUID, a domain, or a word for any. */
static size_t
tenant_length(const char *s)
{
	static const char *const any[] = { "common", "organizations", "adfs" };
	size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789.-");

	if (!n || n > 253 || s[n] != '/')
		return 0;
	for (size_t i = 0; i < COUNT(any); i++)
		if (n == strlen(any[i]) && !strncmp(s, any[i], n))
			return n;
	return memchr(s, '.', n) || memchr(s, '-', n) ? n : 0;
}

static const char *
tenant_or_any(struct arena *a, const char *s, size_t n)
{
	const char *t = arena_strndup(a, s, n);

	return !strcmp(t, "common") || !strcmp(t, "organizations") || !strcmp(t, "adfs") ? NULL : t;
}

static struct route
below_adfs(struct arena *a, const char *rest)
{
	size_t n = tenant_length(rest);
	struct route r;

	if (n && !strncmp(rest + n, "/adfs/", 6)) {
		r = look_up(rest + n + 6, BELOW);
		r.tenant = tenant_or_any(a, rest, n);
		r.base = arena_printf(a, "/adfs/%.*s/adfs", (int)n, rest);
	} else {
		r = look_up(rest, BELOW);
		r.base = "/adfs";
	}
	r.is_adfs = true;
	return r;
}

struct route
route_parse(struct arena *a, const char *path)
{
	char text[MAX_PATH];
	struct route r;
	size_t n;

	if (!tidy(path, text))
		return (struct route){ .what = AT_NOTHING };
	r = look_up(text, ALONE);
	if (r.what != AT_NOTHING)
		return r;
	if (!strncmp(text, "adfs/", 5))
		return below_adfs(a, text + 5);
	n = tenant_length(text);
	if (!n)
		return r;
	r = look_up(text + n + 1, BELOW);
	r.tenant = tenant_or_any(a, text, n);
	r.base = arena_printf(a, "/%.*s", (int)n, text);
	return r;
}

bool
identity_is_path(const char *path)
{
	AUTO_ARENA a = { 0 };

	return route_parse(&a, path).what != AT_NOTHING;
}
