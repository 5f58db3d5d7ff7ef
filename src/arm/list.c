/* Lists by key: $top, $skipToken, nextLink; the generic list of resources with its $filter.
 *
 * A page reads at most MAX_READ rows; where a filter or the caller's rights leave few of them, a short
 * page with a nextLink is the answer. */
#include "arm/filter.h"
#include "arm/internal.h"

#include <strings.h>

enum { MAX_TOP = 1000, MAX_READ = 5000 };

int
page_read(struct ctx *c, struct page *ret)
{
	const char *top = query_param(c->a, c->req->query, "$top");
	const char *token = query_param(c->a, c->req->query, "$skiptoken");
	int n = PAGE, used = 0;

	*ret = (struct page){ .size = PAGE };
	if (top && (sscanf(top, "%9d%n", &n, &used) != 1 || top[used] || n < 1))
		return arm_refuse_at(&c->error, 400, "InvalidParameter", "$top",
				     "$top: '%.40s' must be a whole number from 1 on.", top);
	ret->size = (size_t)MIN(n, MAX_TOP);
	ret->after = token ? token_decode(c->a, token) : NULL;
	if (token && !ret->after)
		return arm_refuse_at(&c->error, 400, "InvalidSkipToken", "$skipToken",
				     "The $skipToken is not one of ours.");
	return 0;
}

char *
next_link(struct ctx *c, const char *after)
{
	AUTO_BUF q = { 0 };
	const char *p = c->req->query;

	while (p && *p) { /* the query as it was, without the old token */
		size_t n = strcspn(p, "&");
		size_t k = strcspn(p, "=&");
		char *key = percent_decode(c->a, p, k, true);

		if (n && key && !same(key, "$skiptoken"))
			buf_printf(&q, "%.*s&", (int)n, p);
		p += n + (p[n] == '&');
	}
	return arena_printf(c->a, "%s%s?%s%%24skipToken=%s", c->en->base_url, c->req->path,
			    q.n ? buf_str(&q) : "", token_encode(c->a, after));
}

void
page_answer(struct ctx *c, json_t *value, const char *after)
{
	c->resp.status = 200;
	c->resp.body = json_pack("{s:o}", "value", value);
	if (after)
		json_object_set_new(c->resp.body, "nextLink", json_string(next_link(c, after)));
}

int
page_rows(struct ctx *c, struct arm_snapshot *s, const struct page *p, struct store_filter f,
	  page_fn *show, void *arg)
{
	const size_t batch = MIN(p->size + 1, MAX_TOP);
	json_t *value = json_array();
	const char *last = NULL;
	size_t n = batch, n_read = 0;
	bool has_more = false;
	int r = 0;

	f.after = p->after;
	f.limit = batch;
	while (r == 0 && n == batch && !has_more) {
		struct store_resource *rows;

		r = store_resource_list(s->tx, c->a, &f, &rows, &n, &c->err);
		for (size_t i = 0; i < n && r >= 0; i++) {
			json_t *one = n_read++ < MAX_READ ? show(arg, s, &rows[i]) : NULL;

			has_more = n_read > MAX_READ || (one && json_array_size(value) == p->size);
			if (has_more) {
				json_decref(one);
				break;
			}
			if (one)
				json_array_append_new(value, one);
			last = f.after = rows[i].fold;
		}
	}
	page_answer(c, value, has_more ? last : NULL);
	return MIN(r, 0);
}

/* Children lie inside their parent: the token is the name of the last one. */
void
page_array(struct ctx *c, const struct page *p, const json_t *list)
{
	json_t *value = json_array(), *one;
	const char *after = NULL;
	bool skips = p->after != NULL;
	size_t i;

	json_array_foreach((json_t *)list, i, one) {
		const char *name = arm_str(one, "name", "");

		if (json_array_size(value) == p->size) {
			after = arm_str(json_array_get(value, p->size - 1), "name", "");
			break;
		}
		if (!skips)
			json_array_append(value, one);
		else if (same(name, p->after))
			skips = false;
	}
	page_answer(c, value, after);
}

/* --- tags in filters -------------------------------------------------------------------------------- */

/* tagName eq 'a' and tagValue eq 'b': the value is that of the tag named beside it. */
bool
tag_matches(const struct filter *all, const struct filter *leaf, const json_t *tags)
{
	const struct filter *name = filter_must(all, "tagName", FILTER_EQ);
	const char *key;
	json_t *v;

	json_object_foreach((json_t *)tags, key, v) {
		if (!strcmp(leaf->field, "tagName")
			    ? filter_compare(leaf, key)
			    : (!name || same(name->value, key)) &&
				      filter_compare(leaf, json_string_value(v)))
			return true;
	}
	return false;
}

/* --- SUB/resources, RG/resources ------------------------------------------------------------------------ */

static const char *const fields[] = {
	"resourceType", "resourceGroup", "name", "tagName", "tagValue", "location", NULL,
};

struct wish {
	struct ctx *c;
	struct filter *filter;
	const char *expand;
	const struct arm_resource *r; /* the one looked at */
};

static bool
wish_test(void *arg, const struct filter *f)
{
	struct wish *w = arg;
	const struct arm_resource *r = w->r;

	if (!strcmp(f->field, "resourceType"))
		return filter_compare(f,
				      arena_printf(w->c->a, "%s/%s", r->type->ns, r->type->name));
	if (!strcmp(f->field, "resourceGroup"))
		return filter_compare(f, r->rg);
	if (!strcmp(f->field, "name"))
		return filter_compare(f, r->name);
	if (!strcmp(f->field, "location"))
		return filter_compare(f, arm_str(r->body, "location", NULL));
	return tag_matches(w->filter, f, json_object_get(r->body, "tags"));
}

static json_t *
generic_json(struct wish *w, struct arm_snapshot *s, const struct store_resource *row)
{
	static const char *const keys[] = { "id", "name", "type", "location", "tags", "sku" };
	json_t *full = view_resource(s, w->r), *out = json_object();
	const char *expand = w->expand;
	char when[32];

	for (size_t i = 0; i < COUNT(keys); i++)
		if (json_object_get(full, keys[i]))
			json_object_set(out, keys[i], json_object_get(full, keys[i]));
	if (expand && strcasestr(expand, "createdTime"))
		json_object_set_new(out, "createdTime",
				    json_string(utc_format(row->created_us, when)));
	if (expand && strcasestr(expand, "changedTime"))
		json_object_set_new(out, "changedTime",
				    json_string(utc_format(row->changed_us, when)));
	if (expand && strcasestr(expand, "provisioningState"))
		json_object_set(out, "provisioningState",
				arm_at(full, "properties.provisioningState"));
	json_decref(full);
	return out;
}

static json_t *
wish_show(void *arg, struct arm_snapshot *s, const struct store_resource *row)
{
	struct wish *w = arg;

	w->r = entry_now(entry_from_row(s, row));
	if (!w->r || w->r->type == &arm_group_type || !filter_matches(w->filter, wish_test, w) ||
	    !may(w->c, s->tx, arena_printf(w->c->a, "%s/%s/read", w->r->type->ns, w->r->type->name),
		 row->fold))
		return NULL;
	return generic_json(w, s, row);
}

int
resources_run(struct ctx *c, struct arm_snapshot *s)
{
	const struct path *p = &c->path;
	struct wish w = { .c = c, .expand = query_param(c->a, c->req->query, "$expand") };
	struct store_filter f = { .sub = fold(c->a, p->seg[1]) };
	const struct filter *type, *rg;
	struct page page;
	int r = authorise(c, s->tx, p->seg[1], NULL, "/");

	if (r == 0 && p->n == 5 &&
	    !arm_get(s, arena_printf(c->a, "/subscriptions/%s/resourceGroups/%s", p->seg[1],
				     p->seg[3])))
		r = arm_refuse(&c->error, 404, "ResourceGroupNotFound",
			       "Resource group '%s' could not be found.", p->seg[3]);
	if (r == 0)
		r = filter_parse(c->a, query_param(c->a, c->req->query, "$filter"), fields,
				 &w.filter, &c->error);
	if (r == 0)
		r = page_read(c, &page);
	if (r != 0)
		return r;
	type = filter_must(w.filter, "resourceType", FILTER_EQ);
	rg = filter_must(w.filter, "resourceGroup", FILTER_EQ);
	f.type = type ? fold(c->a, type->value) : NULL;
	f.rg = p->n == 5 ? fold(c->a, p->seg[3]) : rg ? fold(c->a, rg->value) : NULL;
	return page_rows(c, s, &page, f, wish_show, &w);
}
