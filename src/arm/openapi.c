/* The OpenAPI 3.0 document of this API, made from the type tables: paths, verbs, schemas with their
 * enumerations, ranges and flags, errors, and Azure's extension for long-running operations. Made once
 * an engine. */
#include "arm/internal.h"

#include <ctype.h>

#define SUB_PATH "/subscriptions/{subscriptionId}"
#define GROUP_PATH SUB_PATH "/resourceGroups/{resourceGroupName}"
#define REF(where, name) json_pack("{s:s}", "$ref", "#/components/" where "/" name)

struct doc {
	struct arena *a;
	json_t *paths, *schemas;
};

/* --- schemas ---------------------------------------------------------------------------------------- */

static json_t *
ref_to(struct doc *d, const char *schema)
{
	return json_pack("{s:s}", "$ref", arena_printf(d->a, "#/components/schemas/%s", schema));
}

static json_t *
list_of(struct doc *d, const char *schema)
{
	return json_pack("{s:s, s:{s:{s:s, s:o}, s:{s:s}}, s:[s]}", "type", "object", "properties",
			 "value", "type", "array", "items", ref_to(d, schema), "nextLink", "type",
			 "string", "required", "value");
}

static json_t *props_schema(struct doc *d, const struct arm_prop *props, const char *prefix);

static void
set_int(json_t *j, const char *key, int64_t v)
{
	json_object_set_new(j, key, json_integer(v));
}

static json_t *
words_json(const char *const *words)
{
	json_t *list = json_array();

	for (; *words; words++)
		json_array_append_new(list, json_string(*words));
	return list;
}

static json_t *
string_schema(const struct arm_prop *p)
{
	json_t *j = json_pack("{s:s}", "type", "string");

	if (p->words) {
		json_object_set_new(j, "enum", words_json(p->words));
	} else if (p->min || p->max) {
		set_int(j, "minLength", p->flags & ARM_SECRET ? 0 : p->min);
		set_int(j, "maxLength", p->max);
	}
	return j;
}

static json_t *
number_schema(const struct arm_prop *p)
{
	json_t *j = p->kind == ARM_INT
			    ? json_pack("{s:s, s:s}", "type", "integer", "format", "int64")
			    : json_pack("{s:s, s:s}", "type", "number", "format", "double");

	if (p->min || p->max) {
		set_int(j, "minimum", p->min);
		set_int(j, "maximum", p->max);
	}
	return j;
}

/* prefix: the schema's name of the type the property is of. */
static json_t *
value_schema(struct doc *d, const struct arm_prop *p, enum arm_kind kind, const char *prefix)
{
	struct arm_prop item = *p;
	json_t *j;

	switch (kind) {
	case ARM_STRING:
		return string_schema(p);
	case ARM_INT:
	case ARM_NUMBER:
		return number_schema(p);
	case ARM_BOOL:
		return json_pack("{s:s}", "type", "boolean");
	case ARM_OBJECT:
		return props_schema(d, p->props, prefix);
	case ARM_LIST:
		item.min = item.max = 0; /* of the list, not of its items */
		item.kind = p->item;
		j = json_pack("{s:s, s:o}", "type", "array", "items",
			      value_schema(d, &item, p->item, prefix));
		if (p->min || p->max) {
			set_int(j, "minItems", p->min);
			set_int(j, "maxItems", p->max);
		}
		return j;
	case ARM_MAP:
		return json_pack("{s:s, s:{s:s}}", "type", "object", "additionalProperties", "type",
				 "string");
	case ARM_REF:
		j = json_pack("{s:[o]}", "allOf", REF("schemas", "Reference"));
		if (p->ref_type)
			json_object_set_new(j, "x-wayleave-type", json_string(p->ref_type));
		if (p->join)
			json_object_set_new(j, "x-wayleave-action", json_string(p->join));
		return j;
	case ARM_CHILDREN:
		return json_pack("{s:s, s:o}", "type", "array", "items",
				 ref_to(d, arena_printf(d->a, "%s.%s", prefix, p->child->name)));
	case ARM_ANY:
		break;
	}
	return json_object();
}

static json_t *
prop_schema(struct doc *d, const struct arm_prop *p, const char *prefix)
{
	json_t *j = value_schema(d, p, p->kind, prefix);

	if (p->def)
		json_object_set_new(j, "default", json_loads(p->def, JSON_DECODE_ANY, NULL));
	if (p->flags & ARM_READ_ONLY)
		json_object_set_new(j, "readOnly", json_true());
	else if (p->flags & ARM_SECRET && !(p->flags & ARM_SHOWN_TO_WRITERS))
		json_object_set_new(j, "writeOnly", json_true());
	if (p->flags & ARM_SECRET)
		json_object_set_new(j, "x-ms-secret", json_true());
	if (p->flags & ARM_FIXED)
		json_object_set_new(j, "x-ms-mutability", json_pack("[s,s]", "create", "read"));
	return j;
}

static json_t *
props_schema(struct doc *d, const struct arm_prop *props, const char *prefix)
{
	json_t *all = json_object(), *required = json_array();

	for (const struct arm_prop *p = props; p && p->name; p++) {
		json_object_set_new(all, p->name, prop_schema(d, p, prefix));
		if (p->flags & ARM_REQUIRED && !p->def)
			json_array_append_new(required, json_string(p->name));
	}
	json_t *j = json_pack("{s:s, s:o}", "type", "object", "properties", all);

	if (json_array_size(required))
		json_object_set(j, "required", required);
	json_decref(required);
	return j;
}

static json_t *
read_only_string(void)
{
	return json_pack("{s:s, s:b}", "type", "string", "readOnly", true);
}

static void
own_props(struct doc *d, const struct arm_type *t, const char *name, json_t *props)
{
	json_t *all = json_object_get(props, "properties");

	json_object_set_new(all, "provisioningState",
			    json_pack("{s:s, s:[s,s,s,s], s:b}", "type", "string", "enum",
				      "Succeeded", "Updating", "Deleting", "Failed", "readOnly",
				      true));
	/* Children that only their own URLs write are shown inline all the same. */
	for (const struct arm_type *const *c = t->children; c && *c; c++)
		if (!json_object_get(all, type_collection(*c)))
			json_object_set_new(
				all, type_collection(*c),
				json_pack("{s:s, s:o, s:b}", "type", "array", "items",
					  ref_to(d, arena_printf(d->a, "%s.%s", name, (*c)->name)),
					  "readOnly", true));
}

static void
type_schema(struct doc *d, const struct arm_type *t, const char *name, bool is_child)
{
	static const char *const own[] = { "id", "name", "type", "etag" };
	json_t *j = props_schema(d, t->top, name), *all = json_object_get(j, "properties");
	json_t *props = props_schema(d, t->props, name);

	for (size_t i = 0; i < COUNT(own); i++)
		json_object_set_new(all, own[i], read_only_string());
	if (is_child) { /* inline in its parent it is known by its name */
		json_object_set_new(all, "name", json_pack("{s:s}", "type", "string"));
		if (t->names)
			json_object_set_new(json_object_get(all, "name"), "enum",
					    words_json(t->names));
	}
	if (t->flags & ARM_TRACKED) {
		json_object_set_new(all, "location",
				    json_pack("{s:s, s:[s,s]}", "type", "string", "x-ms-mutability",
					      "create", "read"));
		json_object_set_new(all, "tags", REF("schemas", "Tags"));
		if (!json_object_get(j, "required"))
			json_object_set_new(j, "required", json_array());
		json_array_append_new(json_object_get(j, "required"), json_string("location"));
	}
	own_props(d, t, name, props);
	json_object_set_new(all, "properties", props);
	json_object_set_new(d->schemas, name, j);
	json_object_set_new(d->schemas, arena_printf(d->a, "%s.List", name), list_of(d, name));
}

/* --- operations ------------------------------------------------------------------------------------------ */

static json_t *
answer(const char *text, json_t *schema)
{
	json_t *j = json_pack("{s:s}", "description", text);

	if (schema)
		json_object_set_new(j, "content",
				    json_pack("{s:{s:o}}", "application/json", "schema", schema));
	return j;
}

static json_t *
lro_headers(bool with_location)
{
	json_t *h = json_pack("{s:o, s:o}", "Azure-AsyncOperation",
			      REF("headers", "Azure-AsyncOperation"), "Retry-After",
			      REF("headers", "Retry-After"));

	if (with_location)
		json_object_set_new(h, "Location", REF("headers", "Location"));
	return h;
}

/* An operation with its name, and the answer every one may give. */
static json_t *
operation(const char *id, const char *tag, const char *summary)
{
	json_t *j = json_pack("{s:s, s:[s], s:s, s:[o], s:{}}", "operationId", id, "tags", tag,
			      "summary", summary, "parameters", REF("parameters", "apiVersion"),
			      "responses");

	json_object_set_new(json_object_get(j, "responses"), "default", REF("responses", "Error"));
	return j;
}

static json_t *
responds(json_t *op, const char *status, json_t *response)
{
	json_object_set_new(json_object_get(op, "responses"), status, response);
	return op;
}

static json_t *
takes(json_t *op, json_t *schema, bool required)
{
	json_object_set_new(op, "requestBody",
			    json_pack("{s:b, s:{s:{s:o}}}", "required", required, "content",
				      "application/json", "schema", schema));
	return op;
}

static json_t *
with_param(json_t *op, const char *name)
{
	json_array_append_new(json_object_get(op, "parameters"),
			      json_pack("{s:o}", "$ref",
					json_sprintf("#/components/parameters/%s", name)));
	return op;
}

static json_t *
is_lro(json_t *op, const char *final_state)
{
	json_object_set_new(op, "x-ms-long-running-operation", json_true());
	json_object_set_new(op, "x-ms-long-running-operation-options",
			    json_pack("{s:s}", "final-state-via", final_state));
	return op;
}

static json_t *
path_param(const char *name, json_t *schema)
{
	return json_pack("{s:s, s:s, s:b, s:o}", "name", name, "in", "path", "required", true,
			 "schema", schema);
}

static json_t *
name_schema(const struct arm_type *t)
{
	json_t *j = json_pack("{s:s}", "type", "string");

	if (t->names) {
		json_object_set_new(j, "enum", words_json(t->names));
	} else {
		set_int(j, "minLength", 1);
		set_int(j, "maxLength", t->name_max ? t->name_max : 80);
		json_object_set_new(j, "pattern",
				    json_string("^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9_])?$"));
	}
	return j;
}

/* The path's item, with the parameters its braces name; made when absent. names: schemas of those that
 * are of a type. */
static json_t *
item(struct doc *d, const char *path, json_t *names)
{
	json_t *j = json_object_get(d->paths, path), *params;

	if (j)
		return j;
	params = json_array();
	for (const char *p = strchr(path, '{'); p; p = strchr(p + 1, '{')) {
		const char *name = arena_strndup(d->a, p + 1, strcspn(p + 1, "}"));
		json_t *schema = json_object_get(names, name);

		if (!strcmp(name, "subscriptionId") || !strcmp(name, "resourceGroupName"))
			json_array_append_new(
				params,
				json_pack("{s:o}", "$ref",
					  json_sprintf("#/components/parameters/%s", name)));
		else
			json_array_append_new(
				params,
				path_param(name, schema ? json_incref(schema)
							: json_pack("{s:s}", "type", "string")));
	}
	j = json_object();
	if (json_array_size(params))
		json_object_set(j, "parameters", params);
	json_decref(params);
	json_object_set_new(d->paths, path, j);
	return j;
}

/* --- a type's paths ------------------------------------------------------------------------------------------ */

struct place {
	const struct arm_type *top, *type;
	const char *schema; /* also the tag and the operations' prefix */
	const char *collection, *path;
	json_t *names;
};

static json_t *
verb(struct doc *d, const struct place *at, const char *what, const char *summary)
{
	return operation(arena_printf(d->a, "%s_%s", at->schema, what), at->top->ns,
			 arena_printf(d->a, "%s %s", summary, at->type->name));
}

static void
add_list(struct doc *d, const struct place *at, const char *path, const char *what)
{
	json_t *op = verb(d, at, what, "Lists");

	with_param(with_param(op, "top"), "skipToken");
	responds(op, "200",
		 answer("A page.", ref_to(d, arena_printf(d->a, "%s.List", at->schema))));
	json_object_set_new(op, "x-ms-pageable", json_pack("{s:s}", "nextLinkName", "nextLink"));
	json_object_set_new(item(d, path, at->names), "get", op);
}

static void
add_put(struct doc *d, const struct place *at, json_t *to)
{
	json_t *op = verb(d, at, "CreateOrUpdate", "Creates or replaces");
	json_t *ok = answer("It was there.", ref_to(d, at->schema));
	json_t *made = answer("It is new.", ref_to(d, at->schema));

	with_param(with_param(with_param(op, "ifMatch"), "ifNoneMatch"), "dryRun");
	takes(op, ref_to(d, at->schema), true);
	json_object_set_new(ok, "headers", lro_headers(false));
	json_object_set_new(made, "headers", lro_headers(false));
	responds(op, "200", ok);
	if (at->type->flags & (ARM_NO_CREATE | ARM_PUT_IS_200))
		json_decref(made);
	else
		responds(op, "201", made);
	json_object_set_new(to, "put", is_lro(op, "azure-async-operation"));
}

static void
add_delete(struct doc *d, const struct place *at, json_t *to)
{
	json_t *op = verb(d, at, "Delete", "Deletes");
	json_t *accepted = answer("It goes.", NULL);

	with_param(with_param(op, "ifMatch"), "dryRun");
	json_object_set_new(accepted, "headers", lro_headers(true));
	responds(op, "202", accepted);
	responds(op, "204", answer("It is not there.", NULL));
	json_object_set_new(to, "delete", is_lro(op, "location"));
}

static void
add_patch(struct doc *d, const struct place *at, json_t *to)
{
	json_t *op = verb(d, at, "UpdateTags", "Replaces the tags of");

	with_param(op, "ifMatch");
	takes(op, REF("schemas", "TagsObject"), true);
	responds(op, "200", answer("As it is now.", ref_to(d, at->schema)));
	json_object_set_new(to, "patch", op);
}

static void
add_verbs(struct doc *d, const struct place *at)
{
	json_t *to = item(d, at->path, at->names), *get = verb(d, at, "Get", "Shows");
	json_t *head = verb(d, at, "CheckExistence", "Tells whether there is, of");

	with_param(get, "expand");
	json_object_set_new(to, "get", responds(get, "200", answer("It.", ref_to(d, at->schema))));
	json_object_set_new(to, "head", responds(head, "204", answer("There is.", NULL)));
	if (!(at->type->flags & ARM_NO_PUT))
		add_put(d, at, to);
	if (at->type->flags & ARM_TRACKED && at->type == at->top)
		add_patch(d, at, to);
	if (!(at->type->flags & ARM_NO_DELETE))
		add_delete(d, at, to);
}

static const char *
method_name(enum arm_method m)
{
	static const char *const names[] = { "get", "put", "patch", "delete", "post", "head" };

	return names[m];
}

/* "sharedkey/reset" -> "sharedkey_reset": part of an operation's name. */
static const char *
as_word(struct doc *d, const char *name)
{
	char *w = arena_strdup(d->a, name);

	for (char *p = w; *p; p++)
		if (!isalnum((unsigned char)*p))
			*p = '_';
	return w;
}

static void
add_action(struct doc *d, const struct place *at, const struct arm_action *act)
{
	const char *path = arena_printf(d->a, "%s/%s%s", at->path, act->name,
					act->has_arg ? "/{argument}" : "");
	json_t *op = operation(arena_printf(d->a, "%s_%s_%s", at->schema, as_word(d, act->name),
					    method_name(act->method)),
			       at->top->ns,
			       arena_printf(d->a, "%s of %s", act->name, at->type->name));
	json_t *accepted;

	responds(op, "200", answer("The result.", json_pack("{s:s}", "type", "object")));
	if (act->method != ARM_GET) {
		takes(op, json_pack("{s:s}", "type", "object"), false);
		accepted = answer("The result follows at Location.", NULL);
		json_object_set_new(accepted, "headers", lro_headers(true));
		is_lro(responds(op, "202", accepted), "location");
	}
	json_object_set_new(item(d, path, at->names), method_name(act->method), op);
}

/* collection: the path that the type's name ends. */
static void
type_add(struct doc *d, const struct arm_type *top, const struct arm_type *t, const char *base,
	 const char *schema, json_t *names)
{
	const char *param = arena_printf(d->a, "%sName", t->name);
	struct place at = { top, t, schema, base, NULL, names };

	at.path = arena_printf(d->a, "%s/{%s}", base, param);
	json_object_set_new(names, param, name_schema(t));
	type_schema(d, t, schema, t != top);
	add_list(d, &at, base, "List");
	if (t == top && !(t->flags & ARM_TENANT_LEVEL))
		add_list(d, &at, arena_printf(d->a, SUB_PATH "/providers/%s/%s", t->ns, t->name),
			 "ListAll");
	add_verbs(d, &at);
	for (const struct arm_action *act = t->actions; act && act->name; act++)
		add_action(d, &at, act);
	for (const struct arm_type *const *c = t->children; c && *c; c++)
		type_add(d, top, *c, arena_printf(d->a, "%s/%s", at.path, (*c)->name),
			 arena_printf(d->a, "%s.%s", schema, (*c)->name), names);
}

/* "locations/?/usages" */
static void
read_add(struct doc *d, const struct arm_provider *p, const struct arm_action *read)
{
	const char *path = arena_printf(d->a, SUB_PATH "/providers/%s", p->ns);
	unsigned n = 0;
	json_t *op;

	for (const char *w = read->name; *w;) {
		size_t len = strcspn(w, "/");

		path = *w == '?' ? arena_printf(d->a, "%s/{p%u}", path, ++n)
				 : arena_printf(d->a, "%s/%.*s", path, (int)len, w);
		w += len + (w[len] == '/');
	}
	op = operation(arena_printf(d->a, "%s_%s_%s", p->ns, as_word(d, read->name),
				    method_name(read->method)),
		       p->ns, read->name);
	responds(op, "200", answer("What was asked for.", json_pack("{s:s}", "type", "object")));
	if (read->method != ARM_GET)
		takes(op, json_pack("{s:s}", "type", "object"), false);
	json_object_set_new(item(d, path, NULL), method_name(read->method), op);
}

static void
provider_add(struct doc *d, const struct arm_provider *p)
{
	for (const struct arm_type *const *t = p->types; t && *t; t++) {
		const char *home = (*t)->flags & ARM_TENANT_LEVEL ? "" : GROUP_PATH;
		json_t *names = json_object();

		type_add(d, *t, *t,
			 arena_printf(d->a, "%s/providers/%s/%s", home, p->ns, (*t)->name),
			 arena_printf(d->a, "%s.%s", p->ns, (*t)->name), names);
		json_decref(names);
	}
	for (const struct arm_action *r = p->reads; r && r->name; r++)
		read_add(d, p, r);
}

/* --- the platform's own ---------------------------------------------------------------------------------------- */

static const struct own {
	const char *path, *verbs; /* g, h, u (PUT), a (PATCH), d, o (POST) */
	const char *id, *summary;
	const char *in, *out; /* schemas, or NULL */
} own[] = {
	{ "/tenants", "g", "Tenants_List", "Lists the caller's tenants", NULL, "Any.List" },
	{ "/subscriptions", "g", "Subscriptions_List", "Lists the subscriptions one sees", NULL,
	  "Any.List" },
	{ SUB_PATH, "g", "Subscriptions_Get", "Shows a subscription", NULL, "Any" },
	{ SUB_PATH "/locations", "g", "Subscriptions_ListLocations", "Lists locations", NULL,
	  "Any.List" },
	{ SUB_PATH "/providers", "g", "Providers_List", "Lists resource providers", NULL,
	  "Any.List" },
	{ SUB_PATH "/providers/{namespace}", "g", "Providers_Get", "Shows a provider", NULL,
	  "Any" },
	{ SUB_PATH "/providers/{namespace}/register", "o", "Providers_Register",
	  "Registers for a provider", NULL, "Any" },
	{ SUB_PATH "/providers/{namespace}/unregister", "o", "Providers_Unregister",
	  "Is registered no more", NULL, "Any" },
	{ SUB_PATH "/resources", "g", "Resources_List", "Lists resources of any type", NULL,
	  "Any.List" },
	{ GROUP_PATH "/resources", "g", "Resources_ListByResourceGroup",
	  "Lists a group's resources", NULL, "Any.List" },
	{ SUB_PATH "/resourceGroups", "g", "ResourceGroups_List", "Lists resource groups", NULL,
	  "ResourceGroup.List" },
	{ GROUP_PATH, "ghuad", "ResourceGroups", "A resource group", "ResourceGroup",
	  "ResourceGroup" },
	{ SUB_PATH "/tagNames", "g", "Tags_List", "Lists tag names", NULL, "Any.List" },
	{ SUB_PATH "/tagNames/{tagName}", "ud", "TagNames", "A tag name", NULL, "Any" },
	{ SUB_PATH "/tagNames/{tagName}/tagValues/{tagValue}", "ud", "TagValues",
	  "A value of a tag name", NULL, "Any" },
	{ "/{scope}/providers/Microsoft.Resources/tags/default", "guad", "TagsAtScope",
	  "The tags of anything", "TagsAtScope", "TagsAtScope" },
	{ "/{scope}/providers/Microsoft.Authorization/locks", "g", "Locks_List",
	  "Lists locks at a scope and under it", NULL, "Microsoft.Authorization.locks.List" },
	{ "/{scope}/providers/Microsoft.Authorization/locks/{lockName}", "gud", "Locks", "A lock",
	  "Microsoft.Authorization.locks", "Microsoft.Authorization.locks" },
	{ SUB_PATH "/providers/Microsoft.Insights/eventtypes/management/values", "g",
	  "ActivityLogs_List", "The activity log", NULL, "Any.List" },
	{ "/{scope}/providers/Microsoft.Authorization/roleDefinitions", "g", "RoleDefinitions_List",
	  "Lists roles", NULL, "Any.List" },
	{ "/{scope}/providers/Microsoft.Authorization/roleDefinitions/{roleDefinitionId}", "gud",
	  "RoleDefinitions", "A role", "Any", "Any" },
	{ "/{scope}/providers/Microsoft.Authorization/roleAssignments", "g", "RoleAssignments_List",
	  "Lists who has which role", NULL, "Any.List" },
	{ "/{scope}/providers/Microsoft.Authorization/roleAssignments/{roleAssignmentName}", "gud",
	  "RoleAssignments", "A role given to a principal", "Any", "Any" },
	{ GROUP_PATH "/providers/Microsoft.Resources/deployments", "g", "Deployments_List",
	  "Lists deployments", NULL, "Any.List" },
	{ GROUP_PATH "/providers/Microsoft.Resources/deployments/{deploymentName}", "ghud",
	  "Deployments", "A deployment of a template", "Any", "Any" },
	{ GROUP_PATH "/providers/Microsoft.Resources/deployments/{deploymentName}/validate", "o",
	  "Deployments_Validate", "Would it be accepted?", NULL, "Any" },
	{ GROUP_PATH "/providers/Microsoft.Resources/deployments/{deploymentName}/whatIf", "o",
	  "Deployments_WhatIf", "What would it change?", NULL, "Any" },
	{ SUB_PATH "/providers/{namespace}/locations/{location}/operations/{operationId}", "g",
	  "Operations_Get", "How an operation stands", NULL, "OperationStatus" },
	{ SUB_PATH "/providers/{namespace}/locations/{location}/operationResults/{operationId}",
	  "g", "Operations_Result", "What an operation has brought", NULL, "Any" },
};

static void
own_add(struct doc *d, const struct own *o)
{
	static const struct {
		char letter;
		const char *method, *suffix, *status;
	} verbs[] = {
		{ 'g', "get", "Get", "200" },       { 'h', "head", "CheckExistence", "204" },
		{ 'u', "put", "Put", "200" },       { 'a', "patch", "Patch", "200" },
		{ 'd', "delete", "Delete", "200" }, { 'o', "post", "Post", "200" },
	};
	json_t *to = item(d, o->path, NULL);

	for (size_t i = 0; i < COUNT(verbs); i++) {
		char l = verbs[i].letter;
		bool has_body = l != 'h' && l != 'd' && o->out;
		json_t *op;

		if (!strchr(o->verbs, l))
			continue;
		op = operation(strlen(o->verbs) > 1
				       ? arena_printf(d->a, "%s_%s", o->id, verbs[i].suffix)
				       : o->id,
			       "Microsoft.Resources", o->summary);
		if ((l == 'u' || l == 'a') && o->in)
			takes(op, ref_to(d, o->in), true);
		responds(op, verbs[i].status, answer("Done.", has_body ? ref_to(d, o->out) : NULL));
		if (l == 'u')
			responds(op, "201",
				 answer("It is new.", o->out ? ref_to(d, o->out) : NULL));
		if (l == 'd') {
			responds(op, "202", answer("It goes.", NULL));
			responds(op, "204", answer("It is not there.", NULL));
		}
		if (strstr(o->path, "{scope}"))
			json_object_set_new(op, "x-ms-skip-url-encoding", json_true());
		json_object_set_new(to, verbs[i].method, op);
	}
}

/* --- the document ------------------------------------------------------------------------------------------------ */

/* Written with ' for ". */
/* clang-format off */
static const char components[] =
	"{'securitySchemes':{'bearer':{'type':'http','scheme':'bearer','bearerFormat':'JWT'}},"
	"'parameters':{"
	"'apiVersion':{'name':'api-version','in':'query','required':true,'schema':{'type':'string',"
	"'pattern':'^[0-9]{4}-[0-9]{2}-[0-9]{2}(-preview)?$'},'example':'2024-05-01','description':"
	"'A date, not before the floor of the namespace and not in the future; all get one model.'},"
	"'subscriptionId':{'name':'subscriptionId','in':'path','required':true,"
	"'schema':{'type':'string','format':'uuid'}},"
	"'resourceGroupName':{'name':'resourceGroupName','in':'path','required':true,"
	"'schema':{'type':'string','minLength':1,'maxLength':90}},"
	"'top':{'name':'$top','in':'query','schema':{'type':'integer','minimum':1},"
	"'description':'How many a page.'},"
	"'skipToken':{'name':'$skipToken','in':'query','schema':{'type':'string'},"
	"'description':'From a nextLink.'},"
	"'expand':{'name':'$expand','in':'query','schema':{'type':'string'},"
	"'description':'Paths of references to be replaced by what they name.'},"
	"'ifMatch':{'name':'If-Match','in':'header','schema':{'type':'string'}},"
	"'ifNoneMatch':{'name':'If-None-Match','in':'header','schema':{'type':'string'}},"
	"'dryRun':{'name':'dryRun','in':'query','schema':{'type':'boolean'},"
	"'description':'true: nothing is changed; the answer says what would be.'}},"
	"'headers':{"
	"'Azure-AsyncOperation':{'schema':{'type':'string','format':'uri'},"
	"'description':'Where it is read how the operation stands.'},"
	"'Location':{'schema':{'type':'string','format':'uri'},"
	"'description':'Where the result of the operation is read.'},"
	"'Retry-After':{'schema':{'type':'integer','minimum':1},'description':'Seconds.'}},"
	"'responses':{'Error':{'description':"
	"'Refused: why, about which field, and what stands in the way.',"
	"'headers':{'Retry-After':{'$ref':'#/components/headers/Retry-After'}},"
	"'content':{'application/json':{'schema':{'$ref':'#/components/schemas/Error'}}}}},"
	"'schemas':{"
	"'Any':{'type':'object','additionalProperties':true},"
	"'Reference':{'type':'object','properties':{'id':{'type':'string'}}},"
	"'Tags':{'type':'object','additionalProperties':{'type':'string','maxLength':256},"
	"'maxProperties':50},"
	"'TagsObject':{'type':'object','properties':{'tags':{'$ref':'#/components/schemas/Tags'}},"
	"'required':['tags']},"
	"'TagsAtScope':{'type':'object','properties':{'operation':{'type':'string',"
	"'enum':['Merge','Replace','Delete'],'writeOnly':true},'properties':{'type':'object',"
	"'properties':{'tags':{'$ref':'#/components/schemas/Tags'}}}}},"
	"'ResourceGroup':{'type':'object','properties':{'id':{'type':'string','readOnly':true},"
	"'name':{'type':'string','readOnly':true},'type':{'type':'string','readOnly':true},"
	"'location':{'type':'string'},'managedBy':{'type':'string'},"
	"'tags':{'$ref':'#/components/schemas/Tags'},'properties':{'type':'object','properties':{"
	"'provisioningState':{'type':'string','readOnly':true}}}}},"
	"'OperationStatus':{'type':'object','properties':{'status':{'type':'string',"
	"'enum':['InProgress','Succeeded','Failed','Canceled']},'properties':{'type':'object'},"
	"'error':{'$ref':'#/components/schemas/ErrorDetail'}},'required':['status']},"
	"'Error':{'type':'object','properties':{'error':{'$ref':'#/components/schemas/ErrorDetail'}},"
	"'required':['error']},"
	"'ErrorDetail':{'type':'object','properties':{'code':{'type':'string'},"
	"'message':{'type':'string'},'target':{'type':'string',"
	"'description':'The field, or the id of what stands in the way.'},"
	"'details':{'type':'array','items':{'$ref':'#/components/schemas/ErrorDetail'}},"
	"'additionalInfo':{'type':'array','items':{'$ref':'#/components/schemas/ErrorInfo'}}},"
	"'required':['code','message']},"
	"'ErrorInfo':{'type':'object','properties':{'type':{'type':'string','enum':['Call']},"
	"'info':{'$ref':'#/components/schemas/Call'}},'required':['type','info']},"
	"'Call':{'type':'object','description':'The request that removes what stands in the way.',"
	"'properties':{'method':{'type':'string'},'url':{'type':'string'},'body':{'type':'object'}},"
	"'required':['method','url']}}}";
/* clang-format on */

static json_t *
document(struct arm_engine *en)
{
	AUTO_ARENA a = { 0 };
	char *text = arena_strdup(&a, components);
	json_t *parts;
	struct doc d;

	for (char *p = text; *p; p++)
		if (*p == '\'')
			*p = '"';
	parts = json_loads(text, 0, NULL);
	assert(parts);
	d = (struct doc){ &a, json_object(), json_object_get(parts, "schemas") };
	type_schema(&d, &arm_lock_type, "Microsoft.Authorization.locks", false);
	json_object_set_new(d.schemas, "Any.List", list_of(&d, "Any"));
	json_object_set_new(d.schemas, "ResourceGroup.List", list_of(&d, "ResourceGroup"));
	for (size_t i = 0; i < COUNT(own); i++)
		own_add(&d, &own[i]);
	for (const struct arm_provider *const *p = en->cfg.providers; p && *p; p++)
		provider_add(&d, *p);
	return json_pack(
		"{s:s, s:{s:s, s:s, s:s}, s:[{s:s}], s:[{s:[]}], s:o, s:o}", "openapi", "3.0.3",
		"info", "title", "Wayleave", "version", "1.0", "description",
		"Azure Resource Manager's API, as Wayleave serves it. Paths compare without "
		"case. Every answer carries x-ms-request-id.",
		"servers", "url", en->base_url, "security", "bearer", "paths", d.paths,
		"components", parts);
}

const char *
arm_openapi(struct arm_engine *en, size_t *ret_len)
{
	pthread_mutex_lock(&en->lock);
	if (!en->openapi) {
		json_t *j = document(en);

		en->openapi = json_dumps(j, JSON_COMPACT);
		json_decref(j);
	}
	pthread_mutex_unlock(&en->lock);
	*ret_len = strlen(en->openapi);
	return en->openapi;
}
