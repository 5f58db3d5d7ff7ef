/* What follows any scope and belongs to the engine itself: {scope}/providers/NS/WORD/...
 *
 * One row each. A scope is "" (the tenant), a subscription, a resource group, a resource or a child. */
#include "arm/internal.h"

static const struct scoped table[] = {
	{ "Microsoft.Authorization", "locks", "2015-01-01", handle_locks, false },
	{ "Microsoft.Resources", "tags", "2019-10-01", handle_tags, false },
	{ "Microsoft.Insights", "eventtypes", "2014-04-01", handle_activity, true },
	{ "Microsoft.Insights", "eventcategories", "2014-04-01", handle_activity, true },
	{ "Microsoft.Insights", "metrics", "2014-04-01", handle_metrics, true },
	{ "Microsoft.Insights", "metricDefinitions", "2014-04-01", handle_metrics, true },
	{ "Microsoft.Insights", "metricNamespaces", "2014-04-01", handle_metrics, true },
};

static const struct scoped *
find(const char *ns, const char *word)
{
	for (size_t i = 0; i < COUNT(table); i++)
		if (same(table[i].ns, ns) && same(table[i].word, word))
			return &table[i];
	return NULL;
}

static void
scope_fill(struct ctx *c, struct scope *s, size_t n)
{
	const struct path *p = &c->path;

	s->shown = "";
	for (size_t i = 0; i < n; i++)
		s->shown = arena_printf(c->a, "%s/%s", s->shown, p->seg[i]);
	s->fold = *s->shown ? arm_id_fold(c->a, s->shown) : "/";
	s->sub = n >= 2 && same(p->seg[0], "subscriptions") ? p->seg[1] : NULL;
	s->rg = n >= 4 && s->sub && same(p->seg[2], "resourcegroups") ? p->seg[3] : NULL;
	s->is_subscription = s->sub && n == 2;
	s->is_group = s->rg && n == 4;
	s->is_resource = n > 4 && (s->rg || same(p->seg[0], "providers"));
	s->seg = p->seg + n + 3;
	s->n_seg = p->n - n - 3;
}

int
handle_scoped(struct ctx *c, bool *ret_is_mine)
{
	const struct path *p = &c->path;
	const struct scoped *row;
	int r;

	*ret_is_mine = false;
	for (size_t i = p->n; i-- > 0;) {
		if (!same(p->seg[i], "providers") || i + 2 >= p->n)
			continue;
		row = find(p->seg[i + 1], p->seg[i + 2]);
		if (!row)
			return 0;
		*ret_is_mine = true;
		c->is_flat = row->is_flat;
		c->scope = NEW(c->a, struct scope);
		scope_fill(c, c->scope, i);
		r = version_check(c, row->floor);
		return r < 0 ? r : row->handle(c);
	}
	return 0;
}

/* Does what the scope names exist (and may the caller know)? Groups and resources; a subscription is
 * authorise()'s business. */
int
scope_check(struct ctx *c, struct arm_snapshot *s)
{
	const struct scope *at = c->scope;

	if (at->is_group && !arm_get(s, at->shown))
		return arm_refuse(&c->error, 404, "ResourceGroupNotFound",
				  "Resource group '%s' could not be found.", at->rg);
	if (at->is_resource && !arm_get_element(s, at->shown, NULL))
		return arm_refuse(&c->error, 404, "ResourceNotFound",
				  "The Resource '%s' was not found.", at->shown);
	return 0;
}
