/* The directory: tenants, who is in them (users, groups, service principals: struct store_principal
 * in store.h), what they prove themselves with, who is in which group, roles of a tenant's own, and
 * the tree of management groups.
 *
 * Every write here, of a principal, of an assignment and of a subscription bumps
 * store_directory_rev(), so that what was compiled from them can be kept until it changes.
 *
 * GUIDs are in lower case. Getters return 1 for found, 0 for absent, like those of store.h.
 */
#pragma once

#include "store/store.h"

struct store_tenant {
	const char *id; /* GUID */
	const char *name;
	const char *domain;  /* lower case, unique: what follows the @ of its users; "" for none */
	const char *partner; /* tenant of the partner that manages it; "" for none */
	const char *scim_hash; /* hex SHA-256 of its SCIM token; "" for none */
	bool is_partner;       /* may have customers */
	bool is_disabled;      /* nobody of it may do anything */
	int64_t created_us;
};
int store_tenant_put(struct store_tx *tx, const struct store_tenant *t, struct err *e);
int store_tenant_get(struct store_tx *tx, struct arena *a, const char *id, struct store_tenant *ret,
		     struct err *e);
int store_tenant_by_domain(struct store_tx *tx, struct arena *a, const char *domain,
			   struct store_tenant *ret, struct err *e);
int store_tenant_by_scim(struct store_tx *tx, struct arena *a, const char *scim_hash,
			 struct store_tenant *ret, struct err *e);

/* Counts every change that can alter who may do what. */
int store_directory_rev(struct store_tx *tx, int64_t *ret, struct err *e);
/* Is this a writing transaction? What it sees may never have been. */
bool store_is_writing(struct store_tx *tx);

/* --- principals beyond store.h ------------------------------------------------------------------ */

/* upn: unique within a tenant, in any case. external_id is unique only by convention. */
int store_principal_by_upn(struct store_tx *tx, struct arena *a, const char *tenant,
			   const char *upn, struct store_principal *ret, struct err *e);
int store_principal_by_external(struct store_tx *tx, struct arena *a, const char *tenant,
				const char *kind, const char *external_id, size_t limit,
				struct store_principal **ret, size_t *n, struct err *e);
/* Those of one kind whose name begins so (case does not matter), by name. */
int store_principal_by_prefix(struct store_tx *tx, struct arena *a, const char *tenant,
			      const char *kind, const char *prefix, size_t limit,
			      struct store_principal **ret, size_t *n, struct err *e);
/* Those of one kind and exactly this name (case does not matter), by object id. */
int store_principal_by_name(struct store_tx *tx, struct arena *a, const char *tenant,
			    const char *kind, const char *name, size_t limit,
			    struct store_principal **ret, size_t *n, struct err *e);
/* Of one kind, by object id, after one; skip: passes over so many (along an index), for protocols
 * whose pages are numbers. */
int store_principal_page(struct store_tx *tx, struct arena *a, const char *tenant, const char *kind,
			 const char *after, size_t skip, size_t limit, struct store_principal **ret,
			 size_t *n, struct err *e);
int store_principal_count(struct store_tx *tx, const char *tenant, const char *kind, int64_t *ret,
			  struct err *e);
/* With its credentials, memberships (both ways) and role assignments. */
int store_principal_delete(struct store_tx *tx, const char *oid, struct err *e);

/* --- groups ------------------------------------------------------------------------------------- */

int store_member_add(struct store_tx *tx, const char *group, const char *member, struct err *e);
int store_member_drop(struct store_tx *tx, const char *group, const char *member, struct err *e);
/* Object ids, in order, after one. */
int store_member_list(struct store_tx *tx, struct arena *a, const char *group, const char *after,
		      size_t limit, const char ***ret, size_t *n, struct err *e);
/* The groups a principal is in: directly, or also through groups in groups. At most 1000. */
int store_group_of(struct store_tx *tx, struct arena *a, const char *member, bool nested,
		   const char ***ret, size_t *n, struct err *e);

/* --- what a principal proves itself with ---------------------------------------------------------- */

enum store_credential_kind {
	STORE_CREDENTIAL_SECRET,
	STORE_CREDENTIAL_CERTIFICATE,
	STORE_CREDENTIAL_FEDERATED,
};

struct store_credential {
	const char *oid; /* whose */
	const char *id;  /* GUID, "keyId" */
	enum store_credential_kind kind;
	const char *name; /* as the owner calls it; "" for none */
	/* SECRET: hex SHA-256 of salt and secret (secret_hash() in identity), its first characters */
	const char *hash, *salt, *hint;
	/* CERTIFICATE: hex digests of the DER form, lower case, and the certificate itself */
	const char *sha1, *sha256, *pem;
	/* FEDERATED: a token of this issuer, for this subject and audience */
	const char *issuer, *subject, *audience;
	int64_t start_us, end_us; /* 0: no bound */
};
int store_credential_put(struct store_tx *tx, const struct store_credential *c, struct err *e);
int store_credential_delete(struct store_tx *tx, const char *oid, const char *id, struct err *e);
/* All of a principal and kind, expired ones too. */
int store_credential_of(struct store_tx *tx, struct arena *a, const char *oid,
			enum store_credential_kind kind, struct store_credential **ret, size_t *n,
			struct err *e);

/* --- roles of a tenant's own ------------------------------------------------------------------------ */

struct store_role {
	const char *id; /* GUID */
	const char *tenant;
	const char *name; /* unique in its tenant, case does not matter */
	const char *body; /* JSON of properties */
};
/* -EEXIST: the name is taken. */
int store_role_put(struct store_tx *tx, const struct store_role *r, struct err *e);
int store_role_get(struct store_tx *tx, struct arena *a, const char *id, struct store_role *ret,
		   struct err *e);
int store_role_delete(struct store_tx *tx, const char *id, struct err *e);
/* Of a tenant, by id. */
int store_role_list(struct store_tx *tx, struct arena *a, const char *tenant, const char *after,
		    size_t limit, struct store_role **ret, size_t *n, struct err *e);
int store_role_count(struct store_tx *tx, const char *tenant, int64_t *ret, struct err *e);
/* 1: somebody has it. */
int store_role_is_assigned(struct store_tx *tx, const char *id, struct err *e);

/* --- management groups ---------------------------------------------------------------------------- */

/* Names are unique over all tenants, since scopes name no tenant. A tenant's root group has its id
 * as name and no parent. */
struct store_mgroup {
	const char *name; /* lower case: the key */
	const char *id;   /* the name as created */
	const char *tenant;
	const char *shown;
	const char *parent; /* lower case; "" for the root */
	int64_t changed_us;
};
int store_mgroup_put(struct store_tx *tx, const struct store_mgroup *g, struct err *e);
int store_mgroup_get(struct store_tx *tx, struct arena *a, const char *name,
		     struct store_mgroup *ret, struct err *e);
int store_mgroup_delete(struct store_tx *tx, const char *name, struct err *e);
int store_mgroup_list(struct store_tx *tx, struct arena *a, const char *tenant, const char *after,
		      size_t limit, struct store_mgroup **ret, size_t *n, struct err *e);
int store_mgroup_children(struct store_tx *tx, struct arena *a, const char *name, size_t limit,
			  struct store_mgroup **ret, size_t *n, struct err *e);
/* The subscriptions right below a group; those never placed are below their tenant's root. */
int store_mgroup_subscriptions(struct store_tx *tx, struct arena *a, const char *name, size_t limit,
			       struct store_subscription **ret, size_t *n, struct err *e);
/* Moves a subscription below a group. */
int store_subscription_place(struct store_tx *tx, const char *sub, const char *group,
			     struct err *e);
/* The names from a subscription's group (or from a group itself) up to the root, nearest first. */
int store_mgroup_chain(struct store_tx *tx, struct arena *a, const char *sub, const char *group,
		       const char ***ret, size_t *n, struct err *e);

/* --- subscription aliases and customers: small named records of a tenant ------------------------------ */

struct store_record {
	const char *space; /* "alias", "partner", "customer TENANT" */
	const char *name;  /* lower case */
	const char *id;    /* the name as created */
	const char *body;  /* JSON */
	const char *etag;
};
int store_record_put(struct store_tx *tx, const struct store_record *r, struct err *e);
int store_record_get(struct store_tx *tx, struct arena *a, const char *space, const char *name,
		     struct store_record *ret, struct err *e);
int store_record_delete(struct store_tx *tx, const char *space, const char *name, struct err *e);
int store_record_list(struct store_tx *tx, struct arena *a, const char *space, const char *after,
		      size_t limit, struct store_record **ret, size_t *n, struct err *e);
