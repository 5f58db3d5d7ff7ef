/* Resource groups: /subscriptions/S/resourceGroups/G, and their deletion with all that is inside. */
#include "arm/filter.h"
#include "arm/internal.h"

const struct arm_type arm_group_type = {
	.ns = "Microsoft.Resources",
	.name = "resourceGroups",
	.flags = ARM_TRACKED,
	.name_max = 90,
};

#define GROUP_READ "Microsoft.Resources/subscriptions/resourceGroups/read"
#define GROUP_WRITE "Microsoft.Resources/subscriptions/resourceGroups/write"
#define GROUP_DELETE "Microsoft.Resources/subscriptions/resourceGroups/delete"

static const char *
group_id(struct ctx *c)
{
	return arena_printf(c->a, "/subscriptions/%s/resourceGroups/%s", c->path.seg[1],
			    c->path.seg[3]);
}

static json_t *
group_json(struct arm_snapshot *s, const struct arm_resource *r)
{
	json_t *j = view_resource(s, r);

	json_object_set_new(j, "type", json_string("Microsoft.Resources/resourceGroups"));
	if (!json_object_get(j, "tags"))
		json_object_set_new(j, "tags", json_object());
	return j;
}

static int
group_missing(struct ctx *c)
{
	return arm_refuse(&c->error, 404, "ResourceGroupNotFound",
			  "Resource group '%s' could not be found.", c->path.seg[3]);
}

/* --- reading ------------------------------------------------------------------------------------------ */

static int
get_run(struct ctx *c, struct arm_snapshot *s)
{
	const struct arm_resource *r;
	int bad = authorise(c, s->tx, c->path.seg[1], GROUP_READ, group_id(c));

	if (bad < 0)
		return bad;
	r = arm_get(s, group_id(c));
	if (!r)
		return group_missing(c);
	c->resp.status = c->req->method == ARM_HEAD ? 204 : 200;
	if (c->req->method != ARM_HEAD)
		c->resp.body = group_json(s, r);
	return 0;
}

static const char *const fields[] = { "tagName", "tagValue", "name", "location", NULL };

struct groups {
	struct ctx *c;
	struct filter *filter;
	const struct arm_resource *r;
	bool sees_all;
};

static bool
groups_test(void *arg, const struct filter *f)
{
	struct groups *g = arg;

	if (!strcmp(f->field, "name"))
		return filter_compare(f, g->r->name);
	if (!strcmp(f->field, "location"))
		return filter_compare(f, arm_str(g->r->body, "location", NULL));
	return tag_matches(g->filter, f, json_object_get(g->r->body, "tags"));
}

static json_t *
groups_show(void *arg, struct arm_snapshot *s, const struct store_resource *row)
{
	struct groups *g = arg;

	g->r = entry_now(entry_from_row(s, row));
	if (!g->r || !filter_matches(g->filter, groups_test, g) ||
	    !(g->sees_all || may(g->c, s->tx, GROUP_READ, row->fold)))
		return NULL;
	return group_json(s, g->r);
}

int
groups_run(struct ctx *c, struct arm_snapshot *s)
{
	const char *sub = c->path.seg[1], *scope = arena_printf(c->a, "/subscriptions/%s", sub);
	const struct store_filter f = { .sub = fold(c->a, sub), .type = GROUP_TYPE_FOLD };
	struct groups g = { .c = c };
	struct page page;
	int r = authorise(c, s->tx, sub, NULL, scope);

	if (r == 0)
		r = filter_parse(c->a, query_param(c->a, c->req->query, "$filter"), fields,
				 &g.filter, &c->error);
	if (r == 0)
		r = page_read(c, &page);
	if (r < 0)
		return r;
	g.sees_all = may(c, s->tx, GROUP_READ, scope);
	return page_rows(c, s, &page, f, groups_show, &g);
}

/* --- writing ------------------------------------------------------------------------------------------- */

static bool
name_is_good(const char *name)
{
	size_t n = strlen(name);

	if (!n || n > 90 || name[n - 1] == '.')
		return false;
	for (size_t i = 0; i < n; i++) {
		unsigned char ch = (unsigned char)name[i];

		if (ch < 0x80 && !(ch >= '0' && ch <= '9') && !(ch >= 'a' && ch <= 'z') &&
		    !(ch >= 'A' && ch <= 'Z') && !strchr("()._-", ch))
			return false;
	}
	return true;
}

static int
request_check(struct ctx *c, const struct arm_resource *now)
{
	const json_t *loc = json_object_get(c->body, "location");
	const json_t *by = json_object_get(c->body, "managedBy");

	if (!name_is_good(c->path.seg[3]))
		return arm_refuse(
			&c->error, 400, "InvalidResourceGroup",
			"The resource group name '%s' is invalid: 1 to 90 letters, digits, "
			"'.', '_', '-', '(' or ')', not ending in a dot.",
			c->path.seg[3]);
	if (!c->body)
		return arm_refuse(&c->error, 400, "InvalidRequestContent", "The body is missing.");
	if (loc && !json_is_string(loc) && !json_is_null(loc))
		return arm_refuse_at(&c->error, 400, "InvalidRequestFormat", "location",
				     "location: must be a string.");
	if (by && !json_is_null(by) && (!json_is_string(by) || json_string_length(by) > 2048))
		return arm_refuse_at(&c->error, 400, "InvalidRequestFormat", "managedBy",
				     "managedBy: must be the id of a resource.");
	if (!now && !json_string_length(loc))
		return arm_refuse_at(&c->error, 400, "LocationRequired", "location",
				     "The location property is required for this definition.");
	if (now && now->is_deleting)
		return arm_refuse(&c->error, 409, "ResourceGroupBeingDeleted",
				  "The resource group '%s' is being deleted.", now->name);
	return 0;
}

static int
location_settle(struct ctx *c, struct arm_snapshot *s, const struct arm_resource *now,
		const char **ret)
{
	const char *sent = arm_str(c->body, "location", ""), *old;

	if (!*sent) { /* request_check(): only a new one must say */
		*ret = now ? arm_str(now->body, "location", "") : "";
		return 0;
	}
	*ret = location_fold(c->a, sent);
	if (!now)
		return location_check(c, s, *ret, "LocationNotAvailableForResourceGroup");
	old = arm_str(now->body, "location", *ret);
	if (strcmp(old, *ret) != 0)
		return arm_refuse_at(
			&c->error, 409, "InvalidResourceGroupLocation", "location",
			"Invalid resource group location '%s'. The Resource group already "
			"exists in location '%s'.",
			*ret, old);
	return 0;
}

static void
body_set(struct ctx *c, json_t *body, const char *location, const json_t *tags)
{
	const json_t *by = json_object_get(c->body, "managedBy");

	json_object_set_new(body, "location", json_string(location));
	json_object_set_new(body, "properties", json_object());
	if (json_object_get(c->body, "tags") || c->req->method == ARM_PUT)
		json_object_set(body, "tags", (json_t *)tags);
	if (json_is_string(by))
		json_object_set(body, "managedBy", (json_t *)by);
}

static int
write_run(struct ctx *c, struct arm_snapshot *s)
{
	const char *id = group_id(c), *sub = fold(c->a, c->path.seg[1]), *location = "";
	struct entry *en = entry_get(s, arm_id_fold(c->a, id));
	const struct arm_resource *now = entry_now(en);
	struct merge m = { c->a, &c->error, 0 };
	struct outcome out;
	json_t *tags;
	int r = authorise(c, s->tx, c->path.seg[1], GROUP_WRITE, id);

	if (r == 0 && !now && c->req->method == ARM_PATCH)
		r = group_missing(c);
	if (r == 0)
		r = request_check(c, now);
	if (r == 0)
		r = check_if_match(c, now);
	if (r == 0)
		r = location_settle(c, s, now, &location);
	if (r < 0)
		return r;
	tags = tags_merge(&m, json_object_get(c->body, "tags"));
	r = merge_result(&m);
	if (r == 0) {
		if (now)
			entry_edit(s, en, true);
		else
			entry_create(s, &arm_group_type, id);
		body_set(c, en->want.body, location, tags);
		c->resp.status = now ? 200 : 201;
		r = overlay_commit(s, sub, en->fold, "put", NULL, &out, &c->err);
	}
	json_decref(tags);
	if (r == 0)
		r = event_add(c, s->tx, c->path.seg[1], c->path.seg[3], en->fold, GROUP_WRITE,
			      "Succeeded");
	if (r == 0)
		c->resp.body = group_json(s, &en->want);
	return r;
}

/* --- deletion ------------------------------------------------------------------------------------------- */

struct members {
	struct entry **list;
	size_t n, cap;
};

static int
members_read(struct ctx *c, struct arm_snapshot *s, struct members *m)
{
	struct store_filter f = {
		.sub = fold(c->a, c->path.seg[1]),
		.rg = fold(c->a, c->path.seg[3]),
		.limit = 1000,
	};
	size_t n = f.limit;
	int r = 0;

	while (n == f.limit && r == 0) {
		struct store_resource *rows;

		r = store_resource_list(s->tx, c->a, &f, &rows, &n, &c->err);
		for (size_t i = 0; i < n && r == 0; i++) {
			struct entry *en = entry_from_row(s, &rows[i]);

			f.after = rows[i].fold;
			if (!en->type || en->have.is_deleting)
				continue;
			if (m->n == m->cap) {
				m->cap = m->cap ? m->cap * 2 : 64;
				m->list = mem_realloc(m->list, m->cap * sizeof(*m->list));
			}
			m->list[m->n++] = en;
		}
	}
	return r;
}

/* One go at each that is left. */
static int
members_round(struct ctx *c, struct arm_snapshot *s, const struct members *m, size_t *ret_went)
{
	*ret_went = 0;
	for (size_t i = 0; i < m->n; i++) {
		struct entry *en = m->list[i];

		if (en->is_removed || en->type->flags & ARM_NO_DELETE) /* goes with another */
			continue;
		int r = resource_delete(c, s, en);

		if (r < 0 && r != -EBADE)
			return r;
		if (r < 0)
			continue;
		entry_remove(en);
		++*ret_went;
	}
	return 0;
}

/* Deletes all that is inside, in an order found by trying: what nothing needs any more goes. When no
 * more goes, what holds the rest is what stands in the way of the last round. */
static int
members_delete(struct ctx *c, struct arm_snapshot *s, const struct members *m)
{
	size_t left = 0, went;
	int r;

	do {
		c->error = error_fresh(c->en, c->a);
		r = members_round(c, s, m, &went);
	} while (r == 0 && went);
	if (r < 0)
		return r;
	for (size_t i = 0; i < m->n; i++)
		left += !m->list[i]->is_removed;
	if (!left)
		return 0;
	return arm_refuse(&c->error, 409, "ResourceGroupDeletionBlocked",
			  "Deletion of resource group '%s' failed as %zu resource%s in it could "
			  "not be deleted. %s",
			  c->path.seg[3], left, left == 1 ? "" : "s",
			  c->error.message ? c->error.message : "");
}

static int
delete_commit(struct ctx *c, struct arm_snapshot *s, struct entry *en)
{
	json_t *note = event_note(c, s->tx, c->path.seg[1], c->path.seg[3], en->fold, GROUP_DELETE);
	struct outcome out;
	int r;

	entry_remove(en);
	r = overlay_commit(s, fold(c->a, c->path.seg[1]), en->fold, "group", note, &out, &c->err);
	json_decref(note);
	if (r == 0)
		r = event_add(c, s->tx, c->path.seg[1], c->path.seg[3], en->fold, GROUP_DELETE,
			      out.is_settled ? "Succeeded" : "Accepted");
	resp_header(c, "Location",
		    url(c, "/subscriptions/%s/operationresults/%s?api-version=%s", c->path.seg[1],
			out.operation, c->api_version));
	resp_header(c, "Retry-After", arena_printf(c->a, "%d", RETRY_AFTER));
	return r;
}

int
group_delete(struct ctx *c, struct arm_snapshot *s)
{
	const char *id = group_id(c);
	struct entry *en = entry_get(s, arm_id_fold(c->a, id));
	struct members m = { 0 };
	int r = authorise(c, s->tx, c->path.seg[1], GROUP_DELETE, id);

	if (r < 0)
		return r;
	if (!entry_now(en))
		return group_missing(c);
	r = check_if_match(c, &en->have);
	if (r < 0)
		return r;
	c->resp.status = 202;
	if (!en->have.is_deleting) {
		r = members_read(c, s, &m);
		if (r == 0)
			r = members_delete(c, s, &m);
		free(m.list);
	}
	if (r == 0) /* its history goes with it */
		r = store_deployment_drop_group(s->tx, fold(c->a, c->path.seg[1]),
						fold(c->a, c->path.seg[3]), &c->err);
	return r < 0 ? r : delete_commit(c, s, en);
}

int
handle_group(struct ctx *c)
{
	switch (c->req->method) {
	case ARM_GET:
	case ARM_HEAD:
		return reading(c, get_run);
	case ARM_PUT:
	case ARM_PATCH:
		return writing(c, write_run);
	case ARM_DELETE:
		return writing(c, group_delete);
	case ARM_POST:
		break;
	}
	return arm_refuse(&c->error, 405, "MethodNotAllowed", "POST is not offered here.");
}

/* --- moving ---------------------------------------------------------------------------------------------- */

static int
move_run(struct ctx *c, struct arm_snapshot *s)
{
	static const char action[] =
		"Microsoft.Resources/subscriptions/resourceGroups/moveResources/action";
	json_t *one;
	size_t i;
	int r = authorise(c, s->tx, c->path.seg[1], action, group_id(c));

	if (r < 0)
		return r;
	if (!arm_get(s, group_id(c)))
		return group_missing(c);
	json_array_foreach(json_object_get(c->body, "resources"), i, one)
		if (json_is_string(one) && i < MAX_BLOCKERS)
			arm_error_add(&c->error, "ResourceMoveNotSupported", json_string_value(one),
				      "'%.200s' cannot be moved: its id is part of what nodes and "
				      "the other party hold. Create it in the other group and "
				      "delete this one.",
				      json_string_value(one));
	return arm_refuse(&c->error, 409, "ResourceMoveNotSupported",
			  "Resources cannot be moved to another group or subscription.");
}

int
handle_move(struct ctx *c)
{
	if (c->req->method != ARM_POST)
		return arm_refuse(&c->error, 405, "MethodNotAllowed", "Only POST is offered here.");
	return reading(c, move_run);
}
