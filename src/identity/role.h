/* Roles: what actions they allow. Built-in ones are a table, a tenant's own come from the store.
 * Shared by the files of this folder only. */
#pragma once

#include "identity/internal.h"

/* NULL-terminated lists of patterns: '*' stands for any run of characters. */
struct role_rules {
	const char *const *actions, *const *not_actions;
};

struct role {
	const char *id, *name, *description;
	const char *tenant;             /* whose own it is; NULL: built in */
	const struct role_rules *rules; /* ended by actions NULL; they add up */
	const char *const *scopes;      /* where it may be assigned, folded */
	const json_t *body;             /* of an own one: its properties */
};

/* 1: found; built-in ones need no store. What is returned lives in the arena (or for ever). */
int role_get(struct store_tx *tx, struct arena *a, const char *id, struct role *ret, struct err *e);
bool role_allows(const struct role_rules *rules, const char *action);
/* The next built-in one; NULL: the end. at starts at 0. */
const struct role *role_builtin(size_t *at);

/* The Microsoft.Authorization paths below roleDefinitions. */
int role_handle(struct arm_extension_call *x);

/* --- scopes ------------------------------------------------------------------------------------- */

#define MGROUP_PREFIX "/providers/microsoft.management/managementgroups/"

/* Is target (folded) this scope (folded) or below it by its path alone? */
bool scope_covers(const char *scope, const char *target);
/* The subscription in a folded scope, or NULL. */
const char *scope_subscription(struct arena *a, const char *scope);
/* Of the subscription or management group in a folded scope; NULL: neither, or unknown. */
const char *scope_tenant(struct store_tx *tx, struct arena *a, const char *scope);
/* Every scope above this one, nearest first, management groups and "/" included. */
int scope_above(struct store_tx *tx, struct arena *a, const char *scope, const char ***ret,
		size_t *n, struct err *e);
/* 0: there is such a subscription, group, resource or management group. Refuses. */
int scope_exists(struct arm_snapshot *s, const char *scope, const char *shown);

/* --- small things ------------------------------------------------------------------------------- */

bool is_guid(const char *s);
/* What follows the last '/'. */
const char *last_segment(const char *id);
/* A $filter of this folder's lists: words joined by "and", each NAME() or NAME('value') or NAME eq
 * 'value'. Case does not matter in names. */
struct list_filter {
	const char *principal, *assigned_to, *role_name, *role_type; /* NULL: not asked */
	bool at_scope, at_scope_and_below;
};
int list_filter_parse(struct arm_extension_call *x, struct list_filter *ret);
