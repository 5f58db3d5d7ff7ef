/* Wayleave.Fabric/catalogues/default: the catalogue that counts, as the files an operator edits. A PUT
 * is a new version, checked whole; what it removes while it is in use refuses it, naming the users.
 * POST .../diff says what a PUT would change. Above subscriptions, since it is the whole cloud's. */
#include "network/catalogue_version.h"
#include "network/network.h"
#include "network/node.h"
#include "network/types.h"
#include "store/store.h"

#include <time.h>

static const struct arm_prop file_props[] = {
	{ .name = "name", .kind = ARM_STRING, .flags = ARM_REQUIRED, .min = 1, .max = 64 },
	{ .name = "text",
	  .kind = ARM_STRING,
	  .flags = ARM_REQUIRED,
	  .min = 1,
	  .max = CATALOGUE_MAX_TEXT },
	{ 0 },
};

static const struct arm_prop catalogue_props[] = {
	{ .name = "files",
	  .kind = ARM_LIST,
	  .item = ARM_OBJECT,
	  .props = file_props,
	  .flags = ARM_REQUIRED,
	  .min = 1,
	  .max = 2 * CATALOGUE_N_FILES },
	{ .name = "version", .kind = ARM_INT, .flags = ARM_READ_ONLY },
	{ .name = "digest", .kind = ARM_STRING, .flags = ARM_READ_ONLY },
	{ .name = "appliedAt", .kind = ARM_STRING, .flags = ARM_READ_ONLY },
	{ .name = "appliedBy", .kind = ARM_STRING, .flags = ARM_READ_ONLY },
	{ 0 },
};

int
fabric_catalogue_stamp(struct arm_plan *p, struct arm_resource *r, const char *digest,
		       int64_t version)
{
	const struct arm_caller *by = p->s->caller;
	time_t now = (time_t)(p->s->now_us / 1000000);
	char text[32];
	struct tm tm;

	gmtime_r(&now, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	arm_set(r->body, "properties.version", json_integer(version));
	arm_set(r->body, "properties.digest", json_string(digest));
	arm_set(r->body, "properties.appliedAt", json_string(text));
	arm_set(r->body, "properties.appliedBy",
		json_string(by && by->name ? by->name : "controller"));
	p->s->memo = NULL; /* what is compiled from here on is compiled by this one */
	return store_fact_put(p->s->tx, CATALOGUE_FACT, digest, NULL);
}

static void
recompile(void *arg, const struct arm_resource *r)
{
	arm_recompile(arg, r->id);
}

/* Figures are in the nodes' objects; prices are in none. */
static void
recompile_all(struct arm_plan *p, const struct catalogue *from, const struct catalogue *to)
{
	json_t *changes = catalogue_diff(from, to);
	bool matters = false;
	const json_t *c;
	size_t i;

	json_array_foreach(changes, i, c)
		matters |= strncmp(arm_str(c, "what", ""), "price ", 6) != 0;
	json_decref(changes);
	for (i = 0; matters && network_providers[i]; i++)
		for (size_t j = 0; network_providers[i]->types[j]; j++)
			if (network_providers[i]->types[j]->compile)
				each_resource(p->s, network_providers[i]->types[j], recompile, p);
}

/* ---- by the API ---- */

enum { MAX_SHOWN = 100 };

struct blockers {
	struct arm_error *error;
	unsigned n;
};

static void
block(void *arg, const struct arm_resource *r, const char *text)
{
	struct blockers *b = arg;

	if (b->n++ < MAX_SHOWN)
		arm_error_block(b->error, "InUse", r->id, "DELETE", r->id, NULL,
				"%s %s, which the new catalogue does not have.", r->id, text);
}

static int
catalogue_plan(struct arm_plan *p)
{
	const struct catalogue *have = network_catalogue(p->s);
	int64_t version = p->have ? arm_int(p->have->body, "properties.version", 0) : 0;
	struct blockers b = { p->s->error, 0 };
	char digest[CATALOGUE_DIGEST];
	AUTO(catalogue) want = NULL;
	struct err e = { 0 };

	if (operator_check(p) < 0)
		return -EBADE;
	if (p->verb == ARM_VERB_SETTLE || !p->want)
		return 0;
	if (catalogue_from_files(arm_at(p->want->body, "properties.files"), &want, digest, &e) < 0)
		return arm_refuse_at(p->s->error, 400, "InvalidCatalogue", "properties.files", "%s",
				     e.text);
	if (have)
		catalogue_users(p->s, have, want, block, &b);
	if (b.n)
		return arm_refuse(
			p->s->error, 409, "CatalogueInUse",
			"The new catalogue lacks what is in use (%u resources). See details.", b.n);
	if (p->have && !strcmp(arm_str(p->have->body, "properties.digest", ""), digest))
		return 0;
	if (have)
		recompile_all(p, have, want);
	return fabric_catalogue_stamp(p, p->want, digest, version + 1);
}

static void
list_user(void *arg, const struct arm_resource *r, const char *text)
{
	json_array_append_new(arg, json_pack("{s:s, s:s}", "id", r->id, "text", text));
}

static int
diff_run(struct arm_call *c)
{
	const json_t *files = arm_at(c->body, "properties.files");
	char digest[CATALOGUE_DIGEST];
	AUTO(catalogue) want = NULL;
	struct err e = { 0 };
	json_t *users;

	if (catalogue_from_files(files, &want, digest, &e) < 0)
		return arm_refuse_at(c->s->error, 400, "InvalidCatalogue", "properties.files", "%s",
				     e.text);
	users = json_array();
	catalogue_users(c->s, network_catalogue(c->s), want, list_user, users);
	c->result = json_pack("{s:o, s:o}", "changes",
			      catalogue_diff(network_catalogue(c->s), want), "inUse", users);
	return 0;
}

static const struct arm_action catalogue_actions[] = {
	{ .name = "diff", .method = ARM_POST, .run = diff_run },
	{ 0 },
};

static const char *const catalogue_names[] = { "default", NULL };

const struct arm_type fabric_catalogue_type = {
	.ns = "Wayleave.Fabric",
	.name = "catalogues",
	.flags = ARM_TENANT_LEVEL | ARM_NO_DELETE,
	.names = catalogue_names,
	.props = catalogue_props,
	.actions = catalogue_actions,
	.plan = catalogue_plan,
};

/* ---- by the controller itself ---- */

struct refusal {
	struct arena *arena;
	const char *text;
	unsigned n;
};

static void
refuse_user(void *arg, const struct arm_resource *r, const char *text)
{
	struct refusal *f = arg;

	if (f->n++ < 3)
		f->text = arena_printf(f->arena, "%s%s%s %s", f->text, *f->text ? "; " : "", r->id,
				       text);
}

int
fabric_catalogue_apply(struct arm_plan *p, const json_t *files, bool *ret_is_new, struct err *e)
{
	struct arm_resource *r = arm_edit_quietly(p, CATALOGUE_ID);
	const struct catalogue *have = network_catalogue(p->s);
	struct refusal f = { p->s->arena, "", 0 };
	char digest[CATALOGUE_DIGEST];
	AUTO(catalogue) want = NULL;
	int ret = catalogue_from_files(files, &want, digest, e);

	*ret_is_new = false;
	if (ret < 0)
		return ret;
	if (!r)
		return err_set(e, -ENOENT, "the store has no catalogue");
	if (!strcmp(arm_str(r->body, "properties.digest", ""), digest))
		return 0;
	catalogue_users(p->s, have, want, refuse_user, &f);
	if (f.n)
		return err_set(e, -EBUSY, "%u resources use what it removes: %s%s", f.n, f.text,
			       f.n > 3 ? "; ..." : "");
	r = arm_edit(p, CATALOGUE_ID);
	arm_set(r->body, "properties.files", json_deep_copy(files));
	recompile_all(p, have, want);
	*ret_is_new = true;
	return fabric_catalogue_stamp(p, r, digest, arm_int(r->body, "properties.version", 0) + 1);
}
