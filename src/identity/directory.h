/* What Graph, SCIM, the partner's API and the first start have in common: making and changing
 * tenants, users, groups and service principals by the rules of a directory.
 *
 * Who may: the actions Wayleave.Directory/{users,groups,servicePrincipals}/{write,delete} over the
 * tenant's root management group (directory_scope()); reading one's own tenant's is everybody's.
 */
#pragma once

#include "arm/engine.h"
#include "store/directory.h"

enum { DIRECTORY_MAX_NAME = 256, DIRECTORY_MAX_MEMBERS = 1000 };

/* "/providers/microsoft.management/managementgroups/TENANT" */
const char *directory_scope(struct arena *a, const char *tenant);

/* A new one, with its root management group. */
int directory_tenant_put(struct store_tx *tx, struct arena *a, const struct store_tenant *t,
			 struct err *e);
/* A new subscription in a tenant's root group, or below another group. *ret_id: its GUID. */
int directory_subscription_new(struct store_tx *tx, struct arena *a, const char *tenant,
			       const char *name, const char *group, const char **ret_id,
			       struct err *e);
/* Gives a role (a GUID) at a scope; the same again changes nothing. type: principalType. *ret_id
 * may be NULL. */
int directory_assign(struct store_tx *tx, struct arena *a, const char *scope, const char *role,
		     const char *oid, const char *type, const char *by, const char **ret_id,
		     struct err *e);
/* A new principal: oid, and client_id if NULL, are made. -EEXIST: the upn is taken. */
int directory_principal_new(struct store_tx *tx, struct arena *a, struct store_principal *p,
			    struct err *e);
/* A principal of this tenant and kind (NULL: any) by object id. 1: found. */
int directory_principal(struct store_tx *tx, struct arena *a, const char *tenant, const char *kind,
			const char *oid, struct store_principal *ret, struct err *e);
/* A name people read: 1..256 characters of UTF-8 without control characters. */
bool directory_name_is_valid(const char *name);
/* "ann@contoso.example". */
bool directory_upn_is_valid(const char *upn);
/* A service principal with a fresh secret: what a new administrator starts with. */
int directory_admin_new(struct store_tx *tx, struct arena *a, const char *tenant, const char *name,
			struct store_principal *ret, const char **ret_secret, struct err *e);
