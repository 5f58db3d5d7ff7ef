/* Scopes: ids in lower case, "/" for all there is. A management group's scope names no path above
 * what it holds, so what is above a subscription is asked of the store. */
#include "identity/role.h"

#include <ctype.h>
#include <strings.h>

bool
scope_covers(const char *scope, const char *target)
{
	size_t n = strlen(scope);

	if (!strcmp(scope, "/"))
		return true;
	return !strncmp(scope, target, n) && (!target[n] || target[n] == '/');
}

const char *
scope_subscription(struct arena *a, const char *scope)
{
	static const char prefix[] = "/subscriptions/";

	if (strncmp(scope, prefix, sizeof(prefix) - 1) != 0)
		return NULL;
	scope += sizeof(prefix) - 1;
	return arena_strndup(a, scope, strcspn(scope, "/"));
}

static const char *
scope_mgroup(struct arena *a, const char *scope)
{
	size_t n = strlen(MGROUP_PREFIX);

	if (strncmp(scope, MGROUP_PREFIX, n) != 0)
		return NULL;
	return arena_strndup(a, scope + n, strcspn(scope + n, "/"));
}

const char *
scope_tenant(struct store_tx *tx, struct arena *a, const char *scope)
{
	const char *sub = scope_subscription(a, scope), *group = scope_mgroup(a, scope);
	struct store_subscription s;
	struct store_mgroup g;

	if (sub)
		return store_subscription_get(tx, a, sub, &s, NULL) == 1 ? s.tenant : NULL;
	if (group)
		return store_mgroup_get(tx, a, group, &g, NULL) == 1 ? g.tenant : NULL;
	return NULL;
}

int
scope_above(struct store_tx *tx, struct arena *a, const char *scope, const char ***ret, size_t *n,
	    struct err *e)
{
	const char *sub = scope_subscription(a, scope), *group = scope_mgroup(a, scope);
	const char *at = scope, **names = NULL;
	size_t k = 0, segments = 2;
	int r = 0;

	for (const char *p = scope; *p; p++)
		segments += *p == '/';
	if (sub || group)
		r = store_mgroup_chain(tx, a, sub, group, &names, &k, e);
	*ret = NEW_ARRAY(a, const char *, segments + k);
	*n = 0;
	/* A group or a resource: up to its subscription. */
	for (const char *slash; r == 0 && (slash = strrchr(at, '/')) && slash != at;) {
		at = arena_strndup(a, at, (size_t)(slash - at));
		if (scope_subscription(a, at))
			(*ret)[(*n)++] = at;
	}
	for (size_t i = 0; i < k; i++) {
		if (group && !i && !strcmp(names[0], group))
			continue;
		(*ret)[(*n)++] = arena_printf(a, MGROUP_PREFIX "%s", names[i]);
	}
	if (strcmp(scope, "/") != 0)
		(*ret)[(*n)++] = "/";
	return r;
}

int
scope_exists(struct arm_snapshot *s, const char *scope, const char *shown)
{
	const char *group = scope_mgroup(s->arena, scope),
		   *sub = scope_subscription(s->arena, scope);
	struct store_mgroup g;

	if (!strcmp(scope, "/"))
		return 0;
	if (group) {
		if (!strchr(scope + strlen(MGROUP_PREFIX), '/') &&
		    store_mgroup_get(s->tx, s->arena, group, &g, NULL) == 1)
			return 0;
		return arm_refuse(s->error, 404, "NotFound",
				  "The management group '%s' could not be found.", group);
	}
	if (!sub)
		return arm_refuse(s->error, 400, "InvalidScope",
				  "The scope '%s' is not a subscription, a resource group, a "
				  "resource or a management group.",
				  shown);
	if (!scope_tenant(s->tx, s->arena, scope))
		return arm_refuse(s->error, 404, "SubscriptionNotFound",
				  "The subscription '%s' could not be found.", sub);
	if (!strchr(scope + strlen("/subscriptions/"), '/') || arm_get_element(s, scope, NULL))
		return 0;
	return arm_refuse(s->error, 404, "ResourceNotFound",
			  "The scope '%s' does not exist: a role can be assigned only where there "
			  "is something.",
			  shown);
}

bool
is_guid(const char *s)
{
	for (size_t i = 0; i < 36; i++)
		if (i == 8 || i == 13 || i == 18 || i == 23 ? s[i] != '-'
							    : !isxdigit((unsigned char)s[i]))
			return false;
	return !s[36];
}

const char *
last_segment(const char *id)
{
	const char *slash = strrchr(id, '/');

	return slash ? slash + 1 : id;
}

/* --- $filter -------------------------------------------------------------------------------------- */

struct words {
	const char *p;
	struct arena *a;
};

static void
blanks(struct words *w)
{
	w->p += strspn(w->p, " ");
}

static const char *
word(struct words *w)
{
	size_t n;

	blanks(w);
	for (n = 0; isalpha((unsigned char)w->p[n]); n++)
		;
	w->p += n;
	return arena_strndup(w->a, w->p - n, n);
}

static bool
sign(struct words *w, char c)
{
	blanks(w);
	if (*w->p != c)
		return false;
	w->p++;
	return true;
}

/* 'text', a quote doubled inside; NULL: there is none. */
static const char *
quoted(struct words *w)
{
	char *out = arena_alloc(w->a, strlen(w->p) + 1);
	size_t n = 0;

	if (!sign(w, '\''))
		return NULL;
	for (; *w->p; w->p++) {
		if (*w->p == '\'' && w->p[1] != '\'') {
			w->p++;
			return out;
		}
		w->p += *w->p == '\'';
		out[n++] = *w->p;
	}
	return NULL;
}

static bool
term(struct words *w, struct list_filter *f)
{
	const char *name = word(w), *value = NULL;

	if (sign(w, '(')) {
		value = quoted(w);
		if (!sign(w, ')'))
			return false;
		if (!strcasecmp(name, "atScope"))
			f->at_scope = true;
		else if (!strcasecmp(name, "atScopeAndBelow"))
			f->at_scope_and_below = true;
		else if (!strcasecmp(name, "assignedTo") && value)
			f->assigned_to = value;
		else
			return false;
		return !value || f->assigned_to == value;
	}
	if (strcasecmp(word(w), "eq") != 0 || !(value = quoted(w)))
		return false;
	if (!strcasecmp(name, "principalId"))
		f->principal = value;
	else if (!strcasecmp(name, "roleName"))
		f->role_name = value;
	else if (!strcasecmp(name, "type"))
		f->role_type = value;
	else
		return false;
	return true;
}

int
list_filter_parse(struct arm_extension_call *x, struct list_filter *ret)
{
	const char *text = arm_query(x->s->arena, x->query, "$filter");
	struct words w = { text, x->s->arena };

	*ret = (struct list_filter){ 0 };
	if (!text || !*text)
		return 0;
	for (;;) {
		if (!term(&w, ret))
			break;
		blanks(&w);
		if (!*w.p)
			return 0;
		if (strcasecmp(word(&w), "and") != 0)
			break;
	}
	return arm_refuse_at(x->s->error, 400, "BadRequestFormat", "$filter",
			     "The filter '%.200s' is not supported. Known are atScope(), "
			     "atScopeAndBelow(), assignedTo('ID'), principalId eq 'ID', "
			     "roleName eq 'NAME' and type eq 'TYPE', joined by 'and'.",
			     text);
}
