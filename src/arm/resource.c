/* GET, PUT, PATCH, DELETE and LIST of what the tables describe. */
#include "arm/internal.h"

static const struct arm_type *
last_type(const struct target *t)
{
	return t->chain[t->depth - 1];
}

static const char *
action(struct ctx *c, const char *verb)
{
	return arena_printf(c->a, "%s/%s", c->target->action_prefix, verb);
}

static int
not_found(struct ctx *c)
{
	const struct target *t = c->target;

	if (t->depth == 1)
		return arm_refuse(
			&c->error, 404, "ResourceNotFound",
			"The Resource '%s/%s/%s' under resource group '%s' was not found.",
			t->chain[0]->ns, t->chain[0]->name, t->names[0], t->rg ? t->rg : "<null>");
	return arm_refuse(&c->error, 404, "NotFound", "Resource %s not found.", t->id);
}

static int
group_check(struct ctx *c, struct arm_snapshot *s)
{
	const struct target *t = c->target;
	const struct arm_resource *g;

	if (!t->rg)
		return 0;
	g = arm_get(s, arena_printf(c->a, "/subscriptions/%s/resourceGroups/%s", t->sub, t->rg));
	if (!g)
		return arm_refuse(&c->error, 404, "ResourceGroupNotFound",
				  "Resource group '%s' could not be found.", t->rg);
	if (g->is_deleting && c->req->method == ARM_PUT)
		return arm_refuse(&c->error, 409, "ResourceGroupBeingDeleted",
				  "The resource group '%s' is being deleted.", t->rg);
	return 0;
}

/* --- reading ------------------------------------------------------------------------------------ */

static int
get_run(struct ctx *c, struct arm_snapshot *s)
{
	const struct target *t = c->target;
	const struct arm_resource *r;
	int bad = authorise(c, s->tx, t->sub, action(c, "read"), t->fold);

	if (bad < 0)
		return bad;
	r = arm_get(s, t->top_id);
	if (!r) { /* what is there has its group, too */
		bad = group_check(c, s);
		return bad < 0 ? bad : not_found(c);
	}
	if (!arm_get_element(s, t->id, NULL))
		return not_found(c);
	c->resp.body = expand(c, s, view_element(s, r, t->fold));
	if (!c->resp.body)
		return not_found(c);
	c->resp.status = c->req->method == ARM_HEAD ? 204 : 200;
	resp_header(c, "ETag", arena_printf(c->a, "W/\"%s\"", r->etag));
	return 0;
}

static int
list_children(struct ctx *c, struct arm_snapshot *s, const struct page *page)
{
	struct target *t = c->target;
	const struct arm_resource *r = arm_get(s, t->top_id);
	json_t *parent = r ? view_element(s, r, t->fold) : NULL;

	if (!parent)
		return arm_refuse(&c->error, 404, "ParentResourceNotFound",
				  "The parent resource '%s' was not found.", t->id);
	page_array(c, page,
		   json_object_get(json_object_get(parent, "properties"),
				   type_collection(last_type(t))));
	json_decref(parent);
	return 0;
}

struct listing {
	struct ctx *c;
	const char *read; /* action */
	bool sees_all;
	size_t n_shown;
};

static json_t *
list_show(void *arg, struct arm_snapshot *s, const struct store_resource *row)
{
	struct listing *l = arg;
	const struct arm_resource *r = entry_now(entry_from_row(s, row));

	if (!r || !(l->sees_all || may(l->c, s->tx, l->read, row->fold)))
		return NULL;
	l->n_shown++;
	return expand(l->c, s, view_resource(s, r));
}

static int
list_run(struct ctx *c, struct arm_snapshot *s)
{
	const struct target *t = c->target;
	const struct arm_type *type = last_type(t);
	struct listing l = { .c = c, .read = action(c, "read") };
	struct store_filter f = { 0 };
	struct page page;
	int r = authorise(c, s->tx, t->sub, t->depth > 1 ? l.read : NULL, t->fold);

	if (r == 0)
		r = group_check(c, s);
	if (r == 0)
		r = page_read(c, &page);
	if (r < 0 || t->depth > 1)
		return r < 0 ? r : list_children(c, s, &page);
	l.sees_all = may(c, s->tx, l.read, t->fold);
	f.sub = t->sub ? fold(c->a, t->sub) : "";
	f.rg = t->rg ? fold(c->a, t->rg) : NULL;
	f.type = fold(c->a, arena_printf(c->a, "%s/%s", type->ns, type->name));
	r = page_rows(c, s, &page, f, list_show, &l);
	if (r == 0 && !l.sees_all && !l.n_shown && t->rg)
		r = deny(c, l.read, t->fold);
	return r;
}

/* --- checks before a write ------------------------------------------------------------------------ */

/* "*", or a list of tags as RFC 9110 13.1.1 has it; the weak mark and the quotes may be missing. */
static bool
etag_is_in(const char *list, const char *etag)
{
	size_t n = strlen(etag);

	if (!strcmp(list, "*"))
		return true;
	while (*list) {
		size_t len = strcspn(list, ",");
		const char *p = list + strspn(list, " \t");

		p += 2 * (!strncmp(p, "W/", 2));
		p += *p == '"';
		if (!strncmp(p, etag, n) && !(p[n] && strcspn(p + n, "\", \t")))
			return true;
		list += len + (list[len] == ',');
	}
	return false;
}

int
check_if_match(struct ctx *c, const struct arm_resource *r)
{
	const char *want = c->req->if_match, *none = c->req->if_none_match;
	char *tag = r ? arena_printf(c->a, "W/\"%s\"", r->etag) : NULL;

	if (none && r && etag_is_in(none, r->etag))
		return arm_refuse(&c->error, 412, "PreconditionFailed",
				  "The resource exists with this etag, and If-None-Match: %.200s "
				  "was sent.",
				  none);
	if (!want || !*want || (r && etag_is_in(want, r->etag)))
		return 0;
	arm_error_add(&c->error, "PreconditionFailedEtagMismatch", NULL,
		      "Etag provided in if-match header %s does not match etag %s of the resource.",
		      want, r ? tag : "(none: it does not exist)");
	return arm_refuse(
		&c->error, 412, "PreconditionFailed",
		"Precondition failed: the resource was changed by someone else, or does not "
		"exist.");
}

int
location_check(struct ctx *c, struct arm_snapshot *s, const char *location, const char *code)
{
	json_t *all = c->en->cfg.locations ? c->en->cfg.locations(s, s->ctx) : NULL, *one;
	AUTO_BUF names = { 0 };
	bool hit = !all;
	size_t i;

	json_array_foreach(all, i, one) {
		const char *name = arm_str(one, "name", "");

		hit |= same(name, location);
		buf_printf(&names, "%s%s", i ? ", " : "", name);
	}
	json_decref(all);
	if (hit)
		return 0;
	return arm_refuse_at(&c->error, 400, code, "location",
			     "The provided location '%s' is not available. The available locations "
			     "are: %s.",
			     location, buf_str(&names));
}

static int
tracked_merge(struct ctx *c, struct arm_snapshot *s, struct merge *m, const struct arm_type *type,
	      const struct arm_resource *now, json_t *out)
{
	const json_t *loc = json_object_get(c->body, "location");
	const char *old = now ? arm_str(now->body, "location", "") : NULL;
	char *location;

	if (loc && !json_is_string(loc) && !json_is_null(loc))
		return arm_refuse_at(&c->error, 400, "InvalidRequestFormat", "location",
				     "location: must be a string.");
	if (!json_is_string(loc) || !*json_string_value(loc)) {
		if (!now)
			return arm_refuse_at(
				&c->error, 400, "LocationRequired", "location",
				"The location property is required for this definition.");
		json_object_set_new(out, "location", json_string(old));
	} else {
		location = location_fold(c->a, json_string_value(loc));
		if (now && strcmp(location, old) && *old)
			return arm_refuse_at(
				&c->error, 409, "InvalidResourceLocation", "location",
				"The resource '%s' already exists in location '%s'; it "
				"cannot be created in location '%s'.",
				now->name, old, location);
		if (!now && !(type->flags & ARM_LOCATION_FREE) &&
		    location_check(c, s, location, "LocationNotAvailableForResourceType") < 0)
			return -EBADE;
		json_object_set_new(out, "location", json_string(location));
	}
	json_object_set_new(out, "tags", tags_merge(m, json_object_get(c->body, "tags")));
	return 0;
}

/* --- children ------------------------------------------------------------------------------------------ */

/* The element that holds the target's last collection, inside an aggregate's body. */
static json_t *
parent_element(const struct target *t, json_t *body, size_t depth)
{
	for (size_t i = 1; body && i + 1 < depth; i++)
		body = arm_child(body, type_collection(t->chain[i]), t->names[i]);
	return body;
}

static void
child_set(json_t *parent, const char *collection, const char *name, json_t *child)
{
	json_t *props = json_object_get(parent, "properties"), *list, *one;
	size_t i;

	if (!props) {
		props = json_object();
		json_object_set_new(parent, "properties", props);
	}
	list = json_object_get(props, collection);
	if (!list) {
		list = json_array();
		json_object_set_new(props, collection, list);
	}
	json_array_foreach(list, i, one) {
		if (!same(arm_str(one, "name", ""), name))
			continue;
		if (child)
			json_array_set_new(list, i, child);
		else
			json_array_remove(list, i);
		return;
	}
	if (child)
		json_array_append_new(list, child);
}

static int
blocked(struct arm_plan *p, const struct arm_type *t, const char *name)
{
	unsigned n = p->s->overlay->n_blockers;

	if (!n)
		return 0;
	return arm_refuse(p->s->error, t->in_use_status ? t->in_use_status : 409,
			  t->in_use_code ? t->in_use_code : "Conflict",
			  "'%s' cannot be deleted: %u other resource%s need%s it. See details.",
			  name, n, n == 1 ? "" : "s", n == 1 ? "s" : "");
}

/* Calls the checks of every child that differs, and looks who uses those that go. */
static int
children_check(struct arm_plan *p, const struct arm_type *t, json_t *have, json_t *want,
	       const char *id)
{
	struct arena *a = p->s->arena;
	json_t *one;
	size_t i;
	int r = 0;

	for (const struct arm_type *const *c = t->children; c && *c && r == 0; c++) {
		const char *coll = type_collection(*c);

		json_array_foreach(json_object_get(json_object_get(want, "properties"), coll), i,
				   one) {
			const char *name = arm_str(one, "name", "");
			json_t *old = arm_child(have, coll, name);
			const char *at = arena_printf(a, "%s/%s/%s", id, (*c)->name, name);

			if (old && json_equal(old, one))
				continue;
			if (r == 0 && (*c)->check)
				r = (*c)->check(p, at, old, one);
			if (r == 0)
				r = children_check(p, *c, old, one, at);
		}
		json_array_foreach(json_object_get(json_object_get(have, "properties"), coll), i,
				   one) {
			const char *name = arm_str(one, "name", "");
			const char *at = arena_printf(a, "%s/%s/%s", id, (*c)->name, name);

			if (r < 0 || arm_child(want, coll, name))
				continue;
			r = entry_check_in_use(p, arm_id_fold(a, at), p->s->overlay->plan_fold);
			if (r == 0)
				r = blocked(p, *c, name);
			if (r == 0 && (*c)->check)
				r = (*c)->check(p, at, one, NULL);
			if (r == 0)
				r = blocked(p, *c, name);
		}
	}
	return r;
}

/* --- references ------------------------------------------------------------------------------------------ */

struct ref_check {
	struct ctx *c;
	struct arm_snapshot *s;
	json_t *old; /* {"from kind to": true} */
	int result;
};

static const char *
ref_key(struct arena *a, const char *from, const char *kind, const char *to)
{
	return arena_printf(a, "%s\n%s\n%s", from, kind, to);
}

static void
ref_note(void *arg, const struct arm_prop *p, const char *from, const char *kind, const char *to)
{
	struct ref_check *k = arg;

	json_object_set_new(k->old, ref_key(k->c->a, from, kind, to), json_true());
}

static bool
ref_is_old(const struct ref_check *k, const char *from, const char *kind, const char *to)
{
	return json_object_get(k->old, ref_key(k->c->a, from, kind, to)) != NULL;
}

static void
join_check(void *arg, const struct arm_prop *p, const char *from, const char *kind, const char *to)
{
	struct ref_check *k = arg;

	if (k->result == 0 && !ref_is_old(k, from, kind, to) && p->join &&
	    !may(k->c, k->s->tx, p->join, to))
		k->result = arm_refuse_at(
			&k->c->error, 403, "LinkedAuthorizationFailed", kind,
			"The client '%s' with object id '%s' has permission to perform "
			"the action on scope '%s'; however, it does not have "
			"permission to perform action '%s' on the linked scope '%s', "
			"or the linked scope is invalid.",
			k->c->caller.app_id, k->c->caller.oid, from, p->join, to);
}

static void
ref_check(void *arg, const struct arm_prop *p, const char *from, const char *kind, const char *to)
{
	struct ref_check *k = arg;
	const struct arm_resource *r;

	if (k->result < 0 || p->flags & ARM_LOOSE || ref_is_old(k, from, kind, to))
		return;
	if (!arm_get_element(k->s, to, &r) || (r && r->is_deleting))
		k->result =
			arm_refuse_at(&k->c->error, 400, "InvalidResourceReference", kind,
				      "Resource %s referenced by resource %s was not found. Please "
				      "make sure that the referenced resource exists.",
				      to, from);
}

/* Whether the caller may refer to them is asked before the plan looks at them and speaks of them;
 * whether they are there, after it. */
static int
refs_check(struct ctx *c, struct arm_snapshot *s, const struct arm_plan *p, ref_fn *check)
{
	struct ref_check k = { .c = c, .s = s, .old = json_object() };

	if (p->have)
		refs_walk(c->a, p->type, p->have->body, p->want->fold, ref_note, &k);
	refs_walk(c->a, p->type, p->want->body, p->want->fold, check, &k);
	json_decref(k.old);
	return k.result;
}

/* --- writing ------------------------------------------------------------------------------------------------ */

int
type_plan(struct arm_plan *p)
{
	int r = p->type->plan ? p->type->plan(p) : 0;

	const char *id = p->child_id ? p->child_id : p->have ? p->have->id : p->want->id;

	return r < 0 ? r
		     : blocked(p, p->child ? p->child : p->type,
			       arm_id_segment(p->s->arena, id, 0));
}

static int
commit(struct ctx *c, struct arm_snapshot *s, const char *what, bool with_location,
       const char *verb)
{
	const struct target *t = c->target;
	const struct arm_resource *r = entry_now(entry_get(s, t->top_fold));
	const struct entry *en = entry_get(s, t->top_fold);
	const char *location = arm_str(r ? r->body : en->have.body, "location", "global");
	struct outcome out;
	json_t *note = event_note(c, s->tx, t->sub, t->rg, t->fold, action(c, verb));
	int bad = overlay_commit(s, t->sub ? fold(c->a, t->sub) : "", t->top_fold, what, note, &out,
				 &c->err);

	json_decref(note);
	if (bad == 0)
		bad = event_add(c, s->tx, t->sub, t->rg, t->fold, action(c, verb),
				out.is_settled ? "Succeeded" : "Accepted");
	if (bad == 0)
		operation_headers(c, t->chain[0]->ns, location, out.operation, with_location);
	return bad;
}

static json_t *
put_merge(struct ctx *c, struct arm_snapshot *s, const struct arm_resource *now, json_t *have)
{
	const struct target *t = c->target;
	const struct arm_type *type = last_type(t);
	struct merge m = { c->a, &c->error, 0 };
	json_t *merged = merge_element(&m, type, c->body, have, ""), *own = NULL;
	const char *name = t->names[t->depth - 1];

	if (t->depth == 1 && type->flags & ARM_TRACKED &&
	    tracked_merge(c, s, &m, type, now, merged) < 0)
		m.n_wrong = 0; /* the refusal stands */
	else if (merge_result(&m) == 0)
		own = json_deep_copy(merged);
	json_decref(merged);
	if (own && t->depth > 1) {
		for (const char *const *w = type->names; w && *w; w++)
			if (same(*w, name))
				name = *w;
		json_object_set_new(own, "name",
				    json_string(have ? arm_str(have, "name", name) : name));
	}
	return own;
}

static int
put_target_check(struct ctx *c, const struct arm_resource *now, const json_t *have)
{
	const struct target *t = c->target;
	const struct arm_type *type = last_type(t);

	if (type->flags & ARM_NO_PUT)
		return arm_refuse(&c->error, 405, "MethodNotAllowed", "PUT is not offered on %s.",
				  c->target->action_prefix);
	for (size_t i = 0; i < t->depth; i++)
		if (!name_is_valid(t->chain[i], t->names[i]))
			return arm_refuse(&c->error, 400, "InvalidResourceName",
					  "Resource name '%s' is invalid for %s.", t->names[i],
					  t->chain[i]->name);
	if (now && now->is_deleting)
		return arm_refuse(&c->error, 409, "AnotherOperationInProgress",
				  "'%s' is being deleted.", now->name);
	if (t->depth > 1 && !now)
		return arm_refuse(&c->error, 404, "ParentResourceNotFound",
				  "Can not perform requested operation on nested resource. Parent "
				  "resource '%s' not found.",
				  t->names[0]);
	if (!have && type->flags & ARM_NO_CREATE)
		return not_found(c);
	if (!c->body)
		return arm_refuse(&c->error, 400, "InvalidRequestContent",
				  "PUT needs a JSON body.");
	return 0;
}

static int
put_run(struct ctx *c, struct arm_snapshot *s)
{
	const struct target *t = c->target;
	const struct arm_type *top = t->chain[0], *type = last_type(t);
	struct entry *en = entry_get(s, t->top_fold);
	const struct arm_resource *now = entry_now(en);
	json_t *have, *parent, *own;
	struct arm_plan p = { .s = s, .type = top };
	int r = authorise(c, s->tx, t->sub, action(c, "write"), t->fold);

	if (r == 0)
		r = registration_check(c, s);
	if (r == 0)
		r = group_check(c, s);
	if (r < 0)
		return r;
	have = now ? arm_get_element(s, t->id, NULL) : NULL;
	r = put_target_check(c, now, have);
	if (r == 0)
		r = check_if_match(c, have ? now : NULL);
	if (r < 0)
		return r;
	parent = now && t->depth > 1 ? parent_element(t, now->body, t->depth) : NULL;
	if (t->depth > 1 && !parent)
		return arm_refuse(&c->error, 404, "ParentResourceNotFound",
				  "The parent of '%s' was not found.", t->id);
	own = put_merge(c, s, now, have);
	if (!own)
		return -EBADE;
	p.verb = now ? ARM_VERB_UPDATE : ARM_VERB_CREATE;
	if (now)
		entry_edit(s, en, true);
	else
		entry_create(s, top, t->top_id);
	if (t->depth > 1) {
		child_set(parent_element(t, en->want.body, t->depth), type_collection(type),
			  t->names[t->depth - 1], own);
		p.child = type;
		p.child_id = t->id;
	} else {
		json_decref(en->want.body);
		en->want.body = own;
	}
	p.have = now ? &en->have : NULL;
	p.want = &en->want;
	p.location = arm_str(en->want.body, "location", "");
	s->overlay->plan_fold = en->fold;
	r = refs_check(c, s, &p, join_check);
	if (r == 0)
		r = children_check(&p, top, p.have ? p.have->body : NULL, p.want->body, p.want->id);
	if (r == 0)
		r = type_plan(&p);
	if (r == 0)
		r = refs_check(c, s, &p, ref_check);
	if (r == 0)
		r = commit(c, s, "put", false, "write");
	if (r < 0)
		return r;
	c->resp.status = have || type->flags & ARM_PUT_IS_200 ? 200 : 201;
	c->resp.body = view_element(s, &en->want, t->fold);
	resp_header(c, "ETag", arena_printf(c->a, "W/\"%s\"", en->want.etag));
	return 0;
}

static int
patch_run(struct ctx *c, struct arm_snapshot *s)
{
	const struct target *t = c->target;
	struct entry *en = entry_get(s, t->top_fold);
	struct merge m = { c->a, &c->error, 0 };
	json_t *tags;
	int r = authorise(c, s->tx, t->sub, action(c, "write"), t->fold);

	if (r == 0)
		r = registration_check(c, s);
	if (r == 0)
		r = group_check(c, s);
	if (r < 0)
		return r;
	if (t->depth > 1 || !(t->chain[0]->flags & ARM_TRACKED))
		return arm_refuse(&c->error, 405, "MethodNotAllowed", "PATCH is not offered on %s.",
				  c->target->action_prefix);
	if (!entry_now(en))
		return not_found(c);
	r = check_if_match(c, &en->have);
	if (r < 0)
		return r;
	if (!c->body || !json_object_get(c->body, "tags"))
		return arm_refuse_at(&c->error, 400, "InvalidRequestContent", "tags",
				     "PATCH changes tags only: the body must be {\"tags\":{...}}.");
	tags = tags_merge(&m, json_object_get(c->body, "tags"));
	r = merge_result(&m);
	if (r == 0) {
		entry_edit(s, en, true);
		json_object_set(en->want.body, "tags", tags);
		r = commit(c, s, "put", false, "write");
	}
	json_decref(tags);
	if (r < 0)
		return r;
	if (!(t->chain[0]->flags & ARM_PATCH_IS_LRO))
		c->resp.n_headers = 0; /* synchronous */
	c->resp.status = 200;
	c->resp.body = view_resource(s, &en->want);
	resp_header(c, "ETag", arena_printf(c->a, "W/\"%s\"", en->want.etag));
	return 0;
}

/* Removes one aggregate in the overlay: blockers, plan. */
int
resource_delete(struct ctx *c, struct arm_snapshot *s, struct entry *en)
{
	struct arm_plan p = {
		.s = s,
		.type = en->type,
		.verb = ARM_VERB_DELETE,
		.have = &en->have,
		.location = arm_str(en->have.body, "location", ""),
	};

	s->overlay->plan_fold = en->fold;
	s->overlay->n_blockers = 0;
	entry_check_in_use(&p, en->fold, en->fold);
	return type_plan(&p);
}

static int
delete_child(struct ctx *c, struct arm_snapshot *s, struct entry *en)
{
	const struct target *t = c->target;
	struct arm_plan p = {
		.s = s,
		.type = t->chain[0],
		.verb = ARM_VERB_UPDATE,
		.child = last_type(t),
		.child_id = t->id,
	};
	int r;

	entry_edit(s, en, true);
	child_set(parent_element(t, en->want.body, t->depth), type_collection(p.child),
		  t->names[t->depth - 1], NULL);
	p.have = &en->have;
	p.want = &en->want;
	p.location = arm_str(en->want.body, "location", "");
	s->overlay->plan_fold = en->fold;
	r = children_check(&p, p.type, p.have->body, p.want->body, p.want->id);
	return r < 0 ? r : type_plan(&p);
}

static int
delete_run(struct ctx *c, struct arm_snapshot *s)
{
	const struct target *t = c->target;
	struct entry *en = entry_get(s, t->top_fold);
	int r = authorise(c, s->tx, t->sub, action(c, "delete"), t->fold);

	if (r == 0)
		r = group_check(c, s);
	if (r < 0)
		return r;
	if (last_type(t)->flags & ARM_NO_DELETE)
		return arm_refuse(&c->error, 405, "MethodNotAllowed",
				  "DELETE is not offered on %s.", t->action_prefix);
	if (!entry_now(en) || !arm_get_element(s, t->id, NULL)) {
		c->resp.status = 204;
		return 0;
	}
	r = check_if_match(c, &en->have);
	if (r < 0)
		return r;
	c->resp.status = 202;
	if (en->have.is_deleting) /* asked again: the first goes on */
		return 0;
	if (t->depth > 1) {
		r = delete_child(c, s, en);
	} else {
		r = resource_delete(c, s, en);
		if (r == 0)
			entry_remove(en);
	}
	return r < 0 ? r : commit(c, s, "delete", true, "delete");
}

int
handle_resource(struct ctx *c)
{
	enum arm_method m = c->req->method;

	if (c->target->is_collection)
		return m == ARM_GET ? reading(c, list_run)
				    : arm_refuse(&c->error, 405, "MethodNotAllowed",
						 "Only GET is offered on a collection.");
	switch (m) {
	case ARM_GET:
	case ARM_HEAD:
		return reading(c, get_run);
	case ARM_PUT:
		return writing(c, put_run);
	case ARM_PATCH:
		return writing(c, patch_run);
	case ARM_DELETE:
		return writing(c, delete_run);
	case ARM_POST:
		break;
	}
	return arm_refuse(&c->error, 405, "MethodNotAllowed", "POST is not offered on a resource.");
}
