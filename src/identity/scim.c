/* SCIM 2.0 (RFC 7643, 7644): a tenant's users and groups, kept by another directory, with a token of
 * that tenant. What is replicated is a principal like any other: it may hold roles, and one that is
 * deactivated may do nothing from the next request on.
 *
 * A user's attributes beyond the principal's own columns are kept as they came; passwords never.
 * A group's members are rows, not part of its document. */
#include "identity/rest.h"
#include "identity/scim_filter.h"

#include "base/mono.h"

#include <openssl/sha.h>
#include <strings.h>

enum { PAGE = 100, MAX_PAGE = 200, MAX_SCANNED = 20000, MAX_OPERATIONS = 500, MAX_BODY = 65536 };
/* of a multi-valued attribute: each that is added is compared with all */
enum { MAX_VALUES = 1000 };

#define URN "urn:ietf:params:scim:schemas:"
#define USER URN "core:2.0:User"
#define GROUP URN "core:2.0:Group"
#define ENTERPRISE "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
#define MESSAGE "urn:ietf:params:scim:api:messages:2.0:"

struct resource_type {
	const char *path, *kind, *schema;
};
static const struct resource_type types[] = {
	{ "Users", "User", USER },
	{ "Groups", "Group", GROUP },
};

/* What is kept of a user as it came. */
static const char *const kept[] = {
	"name",      "nickName",          "profileUrl", "title",
	"userType",  "preferredLanguage", "locale",     "timezone",
	"emails",    "phoneNumbers",      "ims",        "photos",
	"addresses", "entitlements",      "roles",      "x509Certificates",
	ENTERPRISE
};

/* error.code is the scimType. */
#define bad(c, type, target, ...) arm_refuse_at(&(c)->error, 400, type, target, __VA_ARGS__)

static int
missing(struct rest *c, const char *id)
{
	return arm_refuse(&c->error, 404, "", "Resource '%.200s' not found.", id);
}

static int
method_wrong(struct rest *c)
{
	return arm_refuse(&c->error, 405, "", "This cannot be done here.");
}

/* --- shown --------------------------------------------------------------------------------------------- */

static const char *
version(struct rest *c, const struct store_principal *p)
{
	return arena_printf(c->a, "W/\"%lld\"", (long long)p->rev);
}

static json_t *
meta(struct rest *c, const struct resource_type *t, const struct store_principal *p)
{
	char created[32], changed[32];

	return json_pack("{s:s, s:s, s:s, s:s, s:s}", "resourceType", t->kind, "created",
			 utc_format(p->created_us, created), "lastModified",
			 utc_format(p->changed_us, changed), "location",
			 arena_printf(c->a, "%s/%s/%s", c->base, t->path, p->oid), "version",
			 version(c, p));
}

static json_t *
member_json(struct rest *c, const char *oid)
{
	struct store_principal p;

	if (store_principal_get(c->tx, c->a, oid, &p, NULL) != 1)
		return NULL;
	return json_pack("{s:s, s:s, s:s, s:s}", "value", p.oid, "display", p.name, "type", p.kind,
			 "$ref",
			 arena_printf(c->a, "%s/%s/%s", c->base,
				      !strcmp(p.kind, "Group") ? "Groups" : "Users", p.oid));
}

static int
members_json(struct rest *c, const char *group, json_t **ret)
{
	const char **ids, *after = NULL;
	size_t n = 0;
	int r;

	*ret = json_array();
	do {
		r = store_member_list(c->tx, c->a, group, after, 1000, &ids, &n, NULL);
		for (size_t i = 0; i < n && r == 0; i++) {
			json_t *m = member_json(c, ids[i]);

			after = ids[i];
			if (m)
				json_array_append_new(*ret, m);
		}
	} while (r == 0 && n == 1000);
	return r;
}

/* The document: what filters and patches see, and what is answered. */
static int
document(struct rest *c, const struct resource_type *t, const struct store_principal *p,
	 bool with_members, json_t **ret)
{
	json_t *extra = *p->body ? json_loads(p->body, 0, NULL) : json_object(), *list;
	json_t *j = json_pack("{s:[s], s:s, s:s, s:o}", "schemas", t->schema, "id", p->oid,
			      "displayName", p->name, "meta", meta(c, t, p));
	int r = 0;

	if (*p->external_id)
		json_object_set_new(j, "externalId", json_string(p->external_id));
	if (t == &types[0]) {
		json_object_set_new(j, "userName", json_string(p->upn));
		json_object_set_new(j, "active", json_boolean(!p->is_disabled));
		for (size_t i = 0; i < COUNT(kept); i++)
			if (json_object_get(extra, kept[i]))
				json_object_set(j, kept[i], json_object_get(extra, kept[i]));
		if (json_object_get(j, ENTERPRISE))
			json_array_append_new(json_object_get(j, "schemas"),
					      json_string(ENTERPRISE));
	} else if (with_members) {
		r = members_json(c, p->oid, &list);
		json_object_set_new(j, "members", list);
	}
	json_decref(extra);
	*ret = j;
	return r;
}

static int
groups_add(struct rest *c, const struct store_principal *p, json_t *j)
{
	const char **ids;
	json_t *out = json_array();
	size_t n = 0;
	int r = store_group_of(c->tx, c->a, p->oid, false, &ids, &n, NULL);

	for (size_t i = 0; i < n && r == 0; i++) {
		json_t *m = member_json(c, ids[i]);

		if (m)
			json_array_append_new(out, m);
	}
	json_object_set_new(j, "groups", out);
	return r;
}

static bool
is_listed(const char *list, const char *name)
{
	size_t n = strlen(name);

	for (const char *p = list; *p; p += strspn(p, ", ")) {
		size_t k = strcspn(p, ",. "), all = strcspn(p, ", ");

		if (k == n && !strncasecmp(p, name, n))
			return true;
		p += all;
	}
	return false;
}

/* attributes, excludedAttributes: of the top level. */
static void
select_attributes(struct rest *c, json_t *j)
{
	const char *query = c->rq->query ? c->rq->query : "";
	const char *only = arm_query(c->a, query, "attributes");
	const char *without = arm_query(c->a, query, "excludedAttributes");
	const char *key;
	json_t *value;
	void *next;

	json_object_foreach_safe(j, next, key, value) {
		if (!strcmp(key, "id") || !strcmp(key, "schemas"))
			continue;
		if ((only && *only && !is_listed(only, key)) ||
		    (without && is_listed(without, key)))
			json_object_del(j, key);
	}
}

static int
answer(struct rest *c, const struct resource_type *t, const struct store_principal *p, int status)
{
	int r = document(c, t, p, true, &c->result);

	if (r == 0 && t == &types[0])
		r = groups_add(c, p, c->result);
	if (r < 0)
		return r;
	select_attributes(c, c->result);
	c->status = status;
	c->etag = version(c, p);
	c->location = arena_printf(c->a, "%s/%s/%s", c->base, t->path, p->oid);
	return 0;
}

/* --- from a document ---------------------------------------------------------------------------------------- */

static const char *
text_of(const json_t *doc, const char *name, const char *def)
{
	const json_t *v = scim_member(doc, name, NULL);

	return json_is_string(v) ? json_string_value(v) : def;
}

/* Azure's provisioning sends "True" for a boolean. */
static int
active_read(struct rest *c, const json_t *doc, bool *ret_is_disabled)
{
	const json_t *v = scim_member(doc, "active", NULL);
	const char *text = json_string_value(v);

	if (!v || json_is_null(v))
		*ret_is_disabled = false;
	else if (json_is_boolean(v))
		*ret_is_disabled = !json_is_true(v);
	else if (text && (!strcasecmp(text, "true") || !strcasecmp(text, "false")))
		*ret_is_disabled = !strcasecmp(text, "false");
	else
		return bad(c, "invalidValue", "active", "'%s' must be true or false.", "active");
	return 0;
}

static const char *
primary_mail(const json_t *doc)
{
	const json_t *all = scim_member(doc, "emails", NULL), *first = NULL;
	json_t *one;
	size_t i;

	json_array_foreach((json_t *)all, i, one)
		if (!first || json_is_true(scim_member(one, "primary", NULL)))
			first = one;
	return text_of(first, "value", NULL);
}

static int
extra_read(struct rest *c, const json_t *doc, struct store_principal *p)
{
	json_t *extra = json_object();
	const char *mail = primary_mail(doc);
	char *text;

	for (size_t i = 0; i < COUNT(kept); i++) {
		json_t *v = scim_member(doc, kept[i], NULL);

		if (v && !json_is_null(v) && !(json_is_array(v) && !json_array_size(v)))
			json_object_set(extra, kept[i], v);
	}
	if (mail)
		json_object_set_new(extra, "mail", json_string(mail));
	text = json_dumps(extra, JSON_COMPACT);
	p->body = arena_strdup(c->a, text);
	free(text);
	json_decref(extra);
	if (strlen(p->body) > MAX_BODY)
		return arm_refuse(&c->error, 413, "tooMany",
				  "A user's attributes must be less than %d bytes.", MAX_BODY);
	return 0;
}

static const char *
name_of(struct rest *c, const json_t *doc)
{
	const json_t *name = scim_member(doc, "name", NULL);
	const char *shown = text_of(doc, "displayName", ""),
		   *given = text_of(name, "givenName", "");
	const char *family = text_of(name, "familyName", "");

	if (*shown)
		return shown;
	shown = text_of(name, "formatted", "");
	if (*shown)
		return shown;
	return *given && *family   ? arena_printf(c->a, "%s %s", given, family)
	       : *given || *family ? arena_printf(c->a, "%s%s", given, family)
				   : text_of(doc, "userName", "");
}

/* A whole document into a principal. */
static int
principal_read(struct rest *c, const struct resource_type *t, const json_t *doc,
	       struct store_principal *p)
{
	const char *user = text_of(doc, "userName", "");
	int r = 0;

	p->name = arena_strdup(c->a,
			       t == &types[0] ? name_of(c, doc) : text_of(doc, "displayName", ""));
	p->external_id = arena_strdup(c->a, text_of(doc, "externalId", ""));
	p->changed_us = utc_now_us();
	if (t == &types[0] && !directory_name_is_valid(user))
		return bad(c, "invalidValue", "userName", "'%s' must be 1 to 256 characters.",
			   "userName");
	if (!directory_name_is_valid(p->name))
		return bad(c, "invalidValue", "displayName", "'%s' must be 1 to 256 characters.",
			   "displayName");
	if (strlen(p->external_id) > 256)
		return bad(c, "invalidValue", "externalId", "'%s' must be at most 256 characters.",
			   "externalId");
	if (t == &types[0]) {
		p->upn = arena_strdup(c->a, user);
		r = active_read(c, doc, &p->is_disabled);
		if (r == 0)
			r = extra_read(c, doc, p);
	}
	return r;
}

static int
save(struct rest *c, struct store_principal *p, bool is_new)
{
	int r = is_new ? directory_principal_new(c->tx, c->a, p, NULL)
		       : store_principal_put(c->tx, p, NULL);

	if (r == -EEXIST)
		return arm_refuse(&c->error, 409, "uniqueness",
				  "Another user of the tenant has the userName '%s'.", p->upn);
	p->rev += !is_new;
	return r;
}

/* A group's name is how it is found: unique, too. */
static int
group_name_check(struct rest *c, const struct store_principal *p)
{
	struct store_principal *all;
	size_t n = 0;
	int r = store_principal_by_name(c->tx, c->a, c->tenant, "Group", p->name, 2, &all, &n,
					NULL);

	for (size_t i = 0; i < n && r == 0; i++)
		if (!p->oid || strcmp(all[i].oid, p->oid) != 0)
			return arm_refuse(&c->error, 409, "uniqueness",
					  "Another group of the tenant has the displayName '%s'.",
					  p->name);
	return r;
}

/* --- members -------------------------------------------------------------------------------------------------- */

static int
members_clear(struct rest *c, const char *group)
{
	const char **ids;
	size_t n = 0;
	int r;

	do {
		r = store_member_list(c->tx, c->a, group, NULL, 1000, &ids, &n, NULL);
		for (size_t i = 0; i < n && r == 0; i++)
			r = store_member_drop(c->tx, group, ids[i], NULL);
	} while (r == 0 && n);
	return r;
}

static int
member_set(struct rest *c, const char *group, const json_t *one, bool adds)
{
	const char *id = json_is_object(one) ? text_of(one, "value", "") : json_string_value(one);
	struct store_principal m;
	int r;

	if (!adds)
		return store_member_drop(c->tx, group, arm_id_fold(c->a, id ? id : "") + 1, NULL);
	r = directory_principal(c->tx, c->a, c->tenant, NULL, id ? id : "", &m, NULL);
	if (r < 0)
		return r;
	if (r == 0 || !strcmp(m.oid, group))
		return bad(c, "invalidValue", "members",
			   "There is no user or other group '%.100s' in the tenant.", id ? id : "");
	return store_member_add(c->tx, group, m.oid, NULL);
}

static int
members_change(struct rest *c, const char *group, const json_t *list, bool adds)
{
	json_t *one;
	size_t i;
	int r = 0;

	if (!json_is_array(list))
		return list && !json_is_null(list) ? member_set(c, group, list, adds) : 0;
	json_array_foreach((json_t *)list, i, one)
		if (r == 0)
			r = member_set(c, group, one, adds);
	return r;
}

static int
members_drop_matching(struct rest *c, const char *group, const struct scim_filter *f)
{
	json_t *all, *one;
	size_t i;
	int r = members_json(c, group, &all);

	json_array_foreach(all, i, one)
		if (r == 0 && scim_filter_matches(f, one))
			r = member_set(c, group, one, false);
	json_decref(all);
	return r;
}

/* --- patch ------------------------------------------------------------------------------------------------------ */

enum patch { PATCH_ADD, PATCH_REPLACE, PATCH_REMOVE };

static bool
is_read_only(const char *attr)
{
	return !strcasecmp(attr, "id") || !strcasecmp(attr, "meta") ||
	       !strcasecmp(attr, "groups") || !strcasecmp(attr, "schemas");
}

static void
list_add_one(json_t *list, const json_t *value)
{
	json_t *one;
	size_t i;

	json_array_foreach(list, i, one)
		if (json_equal(one, value))
			return;
	json_array_append(list, (json_t *)value);
}

static void
list_add(json_t *list, const json_t *value)
{
	json_t *one;
	size_t i;

	if (!json_is_array(value))
		list_add_one(list, value);
	json_array_foreach((json_t *)value, i, one)
		list_add_one(list, one);
}

static int
too_many(struct rest *c, const char *name)
{
	return bad(c, "invalidValue", name, "'%s' has more than %d values.", name, MAX_VALUES);
}

/* One attribute of an object. */
static int
set_one(struct rest *c, json_t *object, const char *name, enum patch op, const json_t *value)
{
	const char *key = name;
	json_t *have = scim_member(object, name, &key);

	if (op != PATCH_REMOVE &&
	    (json_array_size(value) > MAX_VALUES || json_array_size(have) > MAX_VALUES))
		return too_many(c, key);
	if (op == PATCH_ADD && json_is_array(have)) {
		list_add(have, value);
		return json_array_size(have) > MAX_VALUES ? too_many(c, key) : 0;
	}
	if (op == PATCH_REMOVE)
		json_object_del(object, key);
	else if (json_is_object(have) && json_is_object(value))
		json_object_update(have, (json_t *)value);
	else
		json_object_set(object, key, (json_t *)value);
	return 0;
}

/* attr[filter] and attr[filter].sub: of those values that match. */
static int
set_matching(struct rest *c, json_t *doc, const struct scim_path *at, enum patch op,
	     const json_t *value)
{
	json_t *list = scim_member(doc, at->attr, NULL);
	size_t n_matches = 0;
	int r = 0;

	for (size_t i = json_array_size(list); i-- > 0 && r == 0;) {
		json_t *one = json_array_get(list, i);

		if (!scim_filter_matches(at->filter, one))
			continue;
		n_matches++;
		if (at->sub && json_is_object(one))
			r = set_one(c, one, at->sub, op, value);
		else if (op == PATCH_REMOVE)
			json_array_remove(list, i);
		else if (json_is_object(value) && json_is_object(one))
			json_object_update(one, (json_t *)value);
	}
	if (n_matches || op == PATCH_REMOVE)
		return r;
	/* What provisioning clients expect: emails[type eq "work"].value makes one if there is none. */
	if (at->sub && scim_filter_equals(at->filter, "type")) {
		if (!json_is_array(list)) {
			list = json_array();
			json_object_set_new(doc, at->attr, list);
		}
		json_array_append_new(list, json_pack("{s:s, s:O}", "type",
						      scim_filter_equals(at->filter, "type"),
						      at->sub, value));
		return 0;
	}
	return bad(c, "noTarget", at->attr, "No value of '%s' matches.", at->attr);
}

static int
apply(struct rest *c, const struct resource_type *t, json_t *doc, const char *group,
      const struct scim_path *at, enum patch op, const json_t *value)
{
	json_t *object = doc;

	if (is_read_only(at->attr))
		return bad(c, "mutability", at->attr, "'%s' cannot be changed.", at->attr);
	if (t == &types[1] && !strcasecmp(at->attr, "members")) {
		if (op == PATCH_REMOVE && at->filter)
			return members_drop_matching(c, group, at->filter);
		if (at->filter || at->sub)
			return bad(c, "invalidPath", "members", "'%s' takes whole members.",
				   "members");
		if (op == PATCH_REPLACE || (op == PATCH_REMOVE && !value)) {
			int r = members_clear(c, group);

			return r < 0 || op == PATCH_REMOVE ? r
							   : members_change(c, group, value, true);
		}
		return members_change(c, group, value, op == PATCH_ADD);
	}
	if (op != PATCH_REMOVE && !value)
		return bad(c, "invalidValue", "value", "'%s' is missing.", "value");
	if (at->filter)
		return set_matching(c, doc, at, op, value);
	if (at->sub) {
		object = scim_member(doc, at->attr, NULL);
		if (!json_is_object(object)) {
			if (op == PATCH_REMOVE)
				return 0;
			object = json_object();
			json_object_set_new(doc, at->attr, object);
		}
	}
	return set_one(c, object, at->sub ? at->sub : at->attr, op, value);
}

static int
operation(struct rest *c, const struct resource_type *t, json_t *doc, const char *group,
	  const json_t *in)
{
	const char *word = text_of(in, "op", ""), *path = text_of(in, "path", NULL), *key;
	json_t *value = scim_member(in, "value", NULL), *one;
	struct scim_path at;
	struct err e;
	enum patch op;
	int r = 0;

	if (!strcasecmp(word, "add"))
		op = PATCH_ADD;
	else if (!strcasecmp(word, "replace"))
		op = PATCH_REPLACE;
	else if (!strcasecmp(word, "remove"))
		op = PATCH_REMOVE;
	else
		return bad(c, "invalidSyntax", "op", "'%.50s' is none of add, replace, remove.",
			   word);
	if (path) {
		if (scim_path_parse(c->a, path, &at, &e) < 0)
			return bad(c, "invalidPath", "path", "The path is not valid: %s.", e.text);
		return apply(c, t, doc, group, &at, op, value);
	}
	if (op == PATCH_REMOVE)
		return bad(c, "noTarget", "path", "'%s' needs a path.", "remove");
	if (!json_is_object(value))
		return bad(c, "invalidValue", "value",
			   "Without a path, '%s' must be an object of attributes.", "value");
	json_object_foreach(value, key, one) {
		if (is_read_only(key)) /* a whole resource may be sent back */
			continue;
		if (r == 0 && scim_path_parse(c->a, key, &at, &e) < 0)
			r = bad(c, "invalidPath", "value", "The path is not valid: %s.", e.text);
		if (r == 0)
			r = apply(c, t, doc, group, &at, op, one);
	}
	return r;
}

static int
patch(struct rest *c, const struct resource_type *t, struct store_principal *p)
{
	const json_t *all = scim_member(c->body, "Operations", NULL);
	json_t *doc, *one;
	size_t i;
	int r;

	if (!json_is_array(all) || !json_array_size(all) || json_array_size(all) > MAX_OPERATIONS)
		return bad(c, "invalidSyntax", "Operations",
			   "'%s' must be a list of 1 to 500 operations.", "Operations");
	r = document(c, t, p, false, &doc);
	json_array_foreach((json_t *)all, i, one)
		if (r == 0)
			r = operation(c, t, doc, p->oid, one);
	if (r == 0)
		r = principal_read(c, t, doc, p);
	json_decref(doc);
	if (r == 0 && t == &types[1])
		r = group_name_check(c, p);
	if (r == 0)
		r = save(c, p, false);
	return r < 0 ? r : answer(c, t, p, 200);
}

/* --- lists ------------------------------------------------------------------------------------------------------- */

struct listing {
	struct rest *c;
	const struct resource_type *t;
	const struct scim_filter *filter;
	int64_t start, count, total;
	json_t *out;
	bool with_members;
};

static int
listing_add(struct listing *l, const struct store_principal *p)
{
	json_t *j;
	int r = document(l->c, l->t, p, l->with_members, &j);

	if (r == 0 && (!l->filter || scim_filter_matches(l->filter, j))) {
		l->total++;
		if (l->total >= l->start && (int64_t)json_array_size(l->out) < l->count) {
			select_attributes(l->c, j);
			json_array_append(l->out, j);
		}
	}
	json_decref(j);
	return r;
}

/* By an index when the filter says what an indexed attribute must equal. *ret_is_done: it did. */
static int
listing_indexed(struct listing *l, bool *ret_is_done)
{
	struct rest *c = l->c;
	const char *id = scim_filter_equals(l->filter, "id");
	const char *user = l->t == &types[0] ? scim_filter_equals(l->filter, "userName") : NULL;
	const char *external = scim_filter_equals(l->filter, "externalId");
	const char *name = scim_filter_equals(l->filter, "displayName");
	struct store_principal *all = NEW(c->a, struct store_principal);
	size_t n = 0;
	int r = 0;

	*ret_is_done = id || user || external || name;
	if (id) {
		r = directory_principal(c->tx, c->a, c->tenant, l->t->kind, id, all, NULL);
		n = r == 1;
	} else if (user) {
		r = store_principal_by_upn(c->tx, c->a, c->tenant, user, all, NULL);
		n = r == 1;
	} else if (external) {
		r = store_principal_by_external(c->tx, c->a, c->tenant, l->t->kind, external, 1000,
						&all, &n, NULL);
	} else if (name) {
		r = store_principal_by_name(c->tx, c->a, c->tenant, l->t->kind, name, 1000, &all,
					    &n, NULL);
	}
	for (size_t i = 0; i < n && r >= 0; i++)
		r = listing_add(l, &all[i]);
	return MIN(r, 0);
}

static int
listing_scan(struct listing *l)
{
	struct rest *c = l->c;
	struct store_principal *all;
	const char *after = NULL;
	size_t n = 0, seen = 0;
	int r;

	do {
		r = store_principal_page(c->tx, c->a, c->tenant, l->t->kind, after, 0, 500, &all,
					 &n, NULL);
		for (size_t i = 0; i < n && r == 0; i++) {
			after = all[i].oid;
			r = listing_add(l, &all[i]);
		}
		seen += n;
		if (r == 0 && seen > MAX_SCANNED)
			return bad(c, "tooMany", "filter",
				   "Too many resources to look through: filter by %s.",
				   "userName, externalId, displayName or id");
	} while (r == 0 && n == 500);
	return r;
}

static int
listing_plain(struct listing *l)
{
	struct store_principal *all;
	int64_t total = 0;
	size_t n = 0;
	int r = store_principal_count(l->c->tx, l->c->tenant, l->t->kind, &total, NULL);

	if (r == 0 && l->count)
		r = store_principal_page(l->c->tx, l->c->a, l->c->tenant, l->t->kind, NULL,
					 (size_t)(l->start - 1), (size_t)l->count, &all, &n, NULL);
	l->start = 1;
	for (size_t i = 0; i < n && r == 0; i++)
		r = listing_add(l, &all[i]);
	l->total = total;
	return r;
}

static int
list(struct rest *c, const struct resource_type *t)
{
	const char *query = c->rq->query ? c->rq->query : "";
	const char *text = arm_query(c->a, query, "filter");
	const char *without = arm_query(c->a, query, "excludedAttributes");
	struct listing l = { .c = c, .t = t };
	int64_t start;
	bool is_done = false;
	struct err e;
	int r = rest_number(c, "startIndex", 1, 1000000000, &l.start);

	if (r == 0)
		r = rest_number(c, "count", PAGE, MAX_PAGE, &l.count);
	if (r < 0)
		return r;
	start = l.start = l.start ? l.start : 1;
	if (text && scim_filter_parse(c->a, text, &l.filter, &e) < 0)
		return bad(c, "invalidFilter", "filter", "The filter is not valid: %s.", e.text);
	l.with_members = !without || !is_listed(without, "members");
	l.out = json_array();
	if (!l.filter)
		r = listing_plain(&l);
	else
		r = listing_indexed(&l, &is_done);
	if (r == 0 && l.filter && !is_done)
		r = listing_scan(&l);
	if (r < 0) {
		json_decref(l.out);
		return r;
	}
	c->result = json_pack("{s:[s], s:I, s:I, s:I, s:o}", "schemas", MESSAGE "ListResponse",
			      "totalResults", (json_int_t)l.total, "startIndex", (json_int_t)start,
			      "itemsPerPage", (json_int_t)json_array_size(l.out), "Resources",
			      l.out);
	return 0;
}

/* --- one ------------------------------------------------------------------------------------------------------- */

static int
create(struct rest *c, const struct resource_type *t)
{
	struct store_principal p = { .tenant = c->tenant, .kind = t->kind };
	int r = principal_read(c, t, c->body, &p);

	if (r == 0 && t == &types[1])
		r = group_name_check(c, &p);
	if (r == 0)
		r = save(c, &p, true);
	if (r == 0 && t == &types[1])
		r = members_change(c, p.oid, scim_member(c->body, "members", NULL), true);
	if (r < 0)
		return r;
	p.body = p.body ? p.body : "";
	return answer(c, t, &p, 201);
}

static int
replace(struct rest *c, const struct resource_type *t, struct store_principal *p)
{
	const char *id = text_of(c->body, "id", p->oid);
	int r;

	if (strcasecmp(id, p->oid) != 0)
		return bad(c, "mutability", "id", "'%s' cannot be changed.", "id");
	r = principal_read(c, t, c->body, p);
	if (r == 0 && t == &types[1])
		r = group_name_check(c, p);
	if (r == 0)
		r = save(c, p, false);
	if (r == 0 && t == &types[1])
		r = members_clear(c, p->oid);
	if (r == 0 && t == &types[1])
		r = members_change(c, p->oid, scim_member(c->body, "members", NULL), true);
	return r < 0 ? r : answer(c, t, p, 200);
}

static int
resource(struct rest *c, const struct resource_type *t)
{
	const char *match = c->rq->if_match, *none = c->rq->if_none_match;
	struct store_principal p;
	int r = directory_principal(c->tx, c->a, c->tenant, t->kind, c->seg[1], &p, NULL);

	if (r <= 0)
		return r < 0 ? r : missing(c, c->seg[1]);
	if (match && strcmp(match, "*") != 0 && strcmp(match, version(c, &p)) != 0)
		return arm_refuse(&c->error, 412, "",
				  "The resource has changed: its version is %s.", version(c, &p));
	if (c->is_get) {
		r = answer(c, t, &p, 200);
		if (r == 0 && none && !strcmp(none, version(c, &p))) {
			json_decref(c->result);
			c->result = NULL;
			c->status = 304;
		}
		return r;
	}
	if (rest_is(c, "DELETE")) {
		c->status = 204;
		return store_principal_delete(c->tx, p.oid, NULL);
	}
	if (!c->body)
		return bad(c, "invalidSyntax", "body", "The %s is missing.", "body");
	if (rest_is(c, "PUT"))
		return replace(c, t, &p);
	return rest_is(c, "PATCH") ? patch(c, t, &p) : method_wrong(c);
}

/* --- what the service can -------------------------------------------------------------------------------------- */

static json_t *
listed(json_t *value)
{
	return json_pack("{s:[s], s:I, s:i, s:I, s:o}", "schemas", MESSAGE "ListResponse",
			 "totalResults", (json_int_t)json_array_size(value), "startIndex", 1,
			 "itemsPerPage", (json_int_t)json_array_size(value), "Resources", value);
}

static json_t *
config_json(struct rest *c)
{
	return json_pack(
		"{s:[s], s:s, s:{s:b}, s:{s:b, s:i, s:i}, s:{s:b, s:i}, s:{s:b}, s:{s:b}, s:{s:b},"
		" s:[{s:s, s:s, s:s, s:b}], s:{s:s, s:s}}",
		"schemas", URN "core:2.0:ServiceProviderConfig", "documentationUri",
		"https://datatracker.ietf.org/doc/html/rfc7644", "patch", "supported", 1, "bulk",
		"supported", 0, "maxOperations", 0, "maxPayloadSize", 0, "filter", "supported", 1,
		"maxResults", MAX_PAGE, "changePassword", "supported", 0, "sort", "supported", 0,
		"etag", "supported", 1, "authenticationSchemes", "type", "oauthbearertoken", "name",
		"OAuth Bearer Token", "description", "The tenant's SCIM token.", "primary", 1,
		"meta", "resourceType", "ServiceProviderConfig", "location",
		arena_printf(c->a, "%s/ServiceProviderConfig", c->base));
}

static json_t *
type_json(struct rest *c, const struct resource_type *t)
{
	json_t *j = json_pack("{s:[s], s:s, s:s, s:s, s:s, s:{s:s, s:s}}", "schemas",
			      URN "core:2.0:ResourceType", "id", t->kind, "name", t->kind,
			      "endpoint", arena_printf(c->a, "/%s", t->path), "schema", t->schema,
			      "meta", "resourceType", "ResourceType", "location",
			      arena_printf(c->a, "%s/ResourceTypes/%s", c->base, t->kind));

	if (t == &types[0])
		json_object_set_new(j, "schemaExtensions",
				    json_pack("[{s:s, s:b}]", "schema", ENTERPRISE, "required", 0));
	return j;
}

struct attribute {
	const char *name, *type, *subs; /* subs: names of strings */
	bool is_multi, is_required, is_read_only, is_unique;
};
static const struct attribute user_attributes[] = {
	{ .name = "userName", .type = "string", .is_required = true, .is_unique = true },
	{ .name = "name",
	  .type = "complex",
	  "formatted familyName givenName middleName honorificPrefix "
	  "honorificSuffix" },
	{ .name = "displayName", .type = "string" },
	{ .name = "nickName", .type = "string" },
	{ .name = "profileUrl", .type = "reference" },
	{ .name = "title", .type = "string" },
	{ .name = "userType", .type = "string" },
	{ .name = "preferredLanguage", .type = "string" },
	{ .name = "locale", .type = "string" },
	{ .name = "timezone", .type = "string" },
	{ .name = "active", .type = "boolean" },
	{ .name = "emails", .type = "complex", .subs = "value display type", .is_multi = true },
	{ .name = "phoneNumbers",
	  .type = "complex",
	  .subs = "value display type",
	  .is_multi = true },
	{ .name = "ims", .type = "complex", .subs = "value display type", .is_multi = true },
	{ .name = "photos", .type = "complex", .subs = "value display type", .is_multi = true },
	{ .name = "addresses",
	  .type = "complex",
	  .subs = "formatted streetAddress locality region postalCode country type",
	  .is_multi = true },
	{ .name = "entitlements",
	  .type = "complex",
	  .subs = "value display type",
	  .is_multi = true },
	{ .name = "roles", .type = "complex", .subs = "value display type", .is_multi = true },
	{ .name = "groups",
	  .type = "complex",
	  .subs = "value $ref display type",
	  .is_multi = true,
	  .is_read_only = true },
	{ .name = NULL },
};
static const struct attribute group_attributes[] = {
	{ .name = "displayName", .type = "string", .is_required = true, .is_unique = true },
	{ .name = "members",
	  .type = "complex",
	  .subs = "value $ref display type",
	  .is_multi = true },
	{ .name = NULL },
};
static const struct attribute enterprise_attributes[] = {
	{ .name = "employeeNumber", .type = "string" },
	{ .name = "costCenter", .type = "string" },
	{ .name = "organization", .type = "string" },
	{ .name = "division", .type = "string" },
	{ .name = "department", .type = "string" },
	{ .name = "manager", .type = "complex", .subs = "value $ref displayName" },
	{ .name = NULL },
};

static json_t *
attribute_json(const char *name, const struct attribute *t)
{
	return json_pack("{s:s, s:s, s:b, s:b, s:b, s:s, s:s, s:s}", "name", name, "type", t->type,
			 "multiValued", t->is_multi, "required", t->is_required, "caseExact", 0,
			 "mutability", t->is_read_only ? "readOnly" : "readWrite", "returned",
			 "default", "uniqueness", t->is_unique ? "server" : "none");
}

static json_t *
schema_json(struct rest *c, const char *id, const char *name, const struct attribute *all)
{
	static const struct attribute text = { .type = "string" };
	json_t *list = json_array();

	for (; all->name; all++) {
		json_t *j = attribute_json(all->name, all), *subs = json_array();

		for (const char *p = all->subs; p && *p; p += strspn(p, " ")) {
			size_t n = strcspn(p, " ");

			json_array_append_new(subs,
					      attribute_json(arena_strndup(c->a, p, n), &text));
			p += n;
		}
		if (all->subs)
			json_object_set(j, "subAttributes", subs);
		json_decref(subs);
		json_array_append_new(list, j);
	}
	return json_pack("{s:[s], s:s, s:s, s:s, s:o, s:{s:s, s:s}}", "schemas",
			 URN "core:2.0:Schema", "id", id, "name", name, "description", name,
			 "attributes", list, "meta", "resourceType", "Schema", "location",
			 arena_printf(c->a, "%s/Schemas/%s", c->base, id));
}

/* The list, or the one whose id is the second segment. */
static int
described(struct rest *c, json_t *all)
{
	json_t *each;
	size_t i;

	if (c->n_seg == 1) {
		c->result = listed(all);
		return 0;
	}
	json_array_foreach(all, i, each)
		if (!strcasecmp(text_of(each, "id", ""), c->seg[1]))
			c->result = json_incref(each);
	json_decref(all);
	return c->result ? 0 : missing(c, c->seg[1]);
}

static int
discovery(struct rest *c, const char *what)
{
	if (!c->is_get)
		return method_wrong(c);
	if (!strcasecmp(what, "ServiceProviderConfig") && c->n_seg == 1) {
		c->result = config_json(c);
		return 0;
	}
	if (!strcasecmp(what, "ResourceTypes"))
		return described(c, json_pack("[o, o]", type_json(c, &types[0]),
					      type_json(c, &types[1])));
	if (!strcasecmp(what, "Schemas"))
		return described(c, json_pack("[o, o, o]",
					      schema_json(c, USER, "User", user_attributes),
					      schema_json(c, GROUP, "Group", group_attributes),
					      schema_json(c, ENTERPRISE, "EnterpriseUser",
							  enterprise_attributes)));
	return missing(c, what);
}

/* --- the way of a request ----------------------------------------------------------------------------------------- */

static const char *
digest(struct arena *a, const char *token)
{
	uint8_t d[SHA256_DIGEST_LENGTH];
	char *out = arena_alloc(a, sizeof(d) * 2 + 1);

	SHA256((const uint8_t *)token, strlen(token), d);
	for (size_t i = 0; i < sizeof(d); i++)
		snprintf(out + i * 2, 3, "%02x", d[i]);
	return out;
}

int
identity_scim_token(struct store_tx *tx, struct arena *a, const char *tenant, const char **ret,
		    struct err *e)
{
	struct store_tenant t;
	char secret[44];
	int r = store_tenant_get(tx, a, tenant, &t, e);

	if (r <= 0)
		return r < 0 ? r : err_set(e, -ENOENT, "no tenant %s", tenant);
	secret_make(secret);
	*ret = arena_printf(a, "scim_%s", secret);
	t.scim_hash = digest(a, *ret);
	return store_tenant_put(tx, &t, e);
}

/* The tenant whose token this is. */
static int
token_check(struct store_tx *tx, void *arg, struct err *e)
{
	struct rest *c = arg;
	const char *auth = c->rq->authorization;
	struct store_tenant t;
	int r = 0;

	if (auth && !strncasecmp(auth, "Bearer ", 7) && strlen(auth) < 256)
		r = store_tenant_by_scim(tx, c->a, digest(c->a, auth + 7 + strspn(auth + 7, " ")),
					 &t, e);
	if (r < 0)
		return r;
	if (r == 0 || t.is_disabled)
		return arm_refuse(&c->error, 401, "", "The bearer is no tenant's SCIM token.");
	c->tenant = t.id;
	return 0;
}

static int
run(struct rest *c)
{
	const char *what = c->n_seg ? c->seg[0] : "";
	int r = token_check(c->tx, c, NULL);

	if (r < 0)
		return r;
	for (size_t i = 0; i < COUNT(types); i++) {
		if (strcasecmp(types[i].path, what) != 0 || c->n_seg > 2)
			continue;
		if (c->n_seg == 2)
			return resource(c, &types[i]);
		if (c->is_get)
			return list(c, &types[i]);
		if (!rest_is(c, "POST"))
			return method_wrong(c);
		if (!c->body)
			return bad(c, "invalidSyntax", "body", "The %s is missing.", "body");
		return create(c, &types[i]);
	}
	if (!strcasecmp(what, "Bulk") || !strcasecmp(what, "Me"))
		return arm_refuse(&c->error, 501, "", "'%s' is not supported.", what);
	return discovery(c, what);
}

static json_t *
error_json(const struct rest *c)
{
	static const char *const words[] = { "invalidFilter", "tooMany",       "uniqueness",
					     "mutability",    "invalidSyntax", "invalidPath",
					     "noTarget",      "invalidValue" };
	json_t *j = json_pack("{s:[s], s:o, s:s}", "schemas", MESSAGE "Error", "status",
			      json_sprintf("%d", c->error.status), "detail", c->error.message);
	const char *code = c->error.code;

	for (size_t i = 0; i < COUNT(words); i++)
		if (!strcmp(words[i], code))
			json_object_set_new(j, "scimType", json_string(code));
	/* What the body's own parser says. */
	if (c->error.status == 400 && !json_object_get(j, "scimType"))
		json_object_set_new(j, "scimType", json_string("invalidSyntax"));
	return j;
}

void
scim_handle(struct identity *id, const struct identity_request *rq, struct identity_reply *ret)
{
	struct rest c = { .id = id, .rq = rq, .a = rq->arena };
	int r;

	c.error = (struct arm_error){ .arena = c.a };
	c.base = arena_printf(c.a, "%s/scim/v2", id->base_url);
	/* Before anything is parsed, and before a writing transaction is asked for. */
	r = store_read(id->store, token_check, &c, NULL);
	if (r < 0 && c.error.status)
		c.status = c.error.status;
	else
		r = rest_run(&c, "/scim/v2/", run);
	rest_reply(&c, "application/scim+json", r < 0 ? error_json(&c) : c.result, ret);
}

/* --- a tenant's own token ------------------------------------------------------------------------------------------- */

static int
token_handle(void *ctx, struct arm_extension_call *x)
{
	const char *tenant = x->s->caller->tenant, *token;
	const char *scope = directory_scope(x->s->arena, tenant);
	struct store_tenant t;
	int r;

	if (*x->scope_shown || x->n_seg != 1 || strcasecmp(x->seg[0], "scimToken") != 0)
		return arm_refuse(x->s->error, 404, "InvalidResourceType",
				  "The resource type '%s' could not be found in the namespace "
				  "'Wayleave.Directory'.",
				  x->n_seg ? x->seg[0] : "");
	if (x->method != ARM_POST && x->method != ARM_DELETE)
		return arm_refuse(x->s->error, 405, "MethodNotAllowed",
				  "POST makes a token, DELETE takes it away.");
	if (!arm_may(x->s, "Wayleave.Directory/scimToken/action", scope))
		return arm_deny(x->s, "Wayleave.Directory/scimToken/action", scope);
	if (x->method == ARM_POST) {
		r = identity_scim_token(x->s->tx, x->s->arena, tenant, &token, NULL);
		if (r == 0)
			x->result = json_pack("{s:s, s:s}", "tenantId", tenant, "token", token);
		return r;
	}
	r = store_tenant_get(x->s->tx, x->s->arena, tenant, &t, NULL);
	t.scim_hash = "";
	x->status = 204;
	return r <= 0 ? r : store_tenant_put(x->s->tx, &t, NULL);
}

struct arm_extension
identity_directory_extension(struct identity *id)
{
	return (struct arm_extension){ "Wayleave.Directory", "2026-01-01", id, token_handle };
}
