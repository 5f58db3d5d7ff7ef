/* Who is who, and who may do what: principals with client secrets, OAuth2 tokens signed by a key
 * that outlives restarts, role assignments over built-in roles, and what OpenID clients discover.
 * Fills in arm's interfaces (struct arm_auth, struct arm_extension for Microsoft.Authorization).
 *
 * Threads: any.
 */
#pragma once

#include "arm/engine.h"
#include "store/store.h"

struct identity;

/* base_url: the API's own, "https://localhost:8443": issuer, audience and authority at once. */
int identity_open(struct store *s, const char *base_url, struct identity **ret, struct err *e);
void identity_destroy(struct identity *id);
CLEANUP(identity)

struct arm_auth identity_auth(struct identity *id);
struct arm_extension identity_extension(struct identity *id);

/* Answers of the endpoints that need no token: an HTTP status and a JSON body (new reference). */
struct identity_answer {
	int status;
	json_t *body;
};

/* POST to oauth2/token: form is application/x-www-form-urlencoded, basic the Authorization header
 * or NULL, tenant from the path or NULL. */
struct identity_answer identity_token(struct identity *id, const char *form, const char *basic,
				      const char *tenant);
/* The document below /adfs (tenant NULL), /adfs/TENANT/adfs, or /TENANT/v2.0 (is_adfs false). */
struct identity_answer identity_openid(struct identity *id, const char *tenant, bool is_adfs);
struct identity_answer identity_jwks(struct identity *id);
/* api_version: of /metadata/endpoints. */
struct identity_answer identity_metadata(struct identity *id, const char *api_version);

#define ROLE_OWNER "8e3af657-a8ff-443c-a75c-2fe8c4bcb635"
#define ROLE_CONTRIBUTOR "b24988ac-6180-42a0-ab88-20f7382dd24c"
#define ROLE_READER "acdd72a7-3385-48ef-bd42-f606fba81ae7"
#define ROLE_NETWORK_CONTRIBUTOR "4d97b98b-1d4f-4787-a291-c67834d212e7"
#define ROLE_ACCESS_ADMINISTRATOR "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9"

/* Does a pattern such as "Microsoft.Network" + "/" + "*" cover an action? Case does not matter. */
bool identity_pattern_matches(const char *pattern, const char *action);

/* --- the first principals --------------------------------------------------------------------------- */

/* Texts live in the arena given. A secret is only known when it has just been made: keep it. */
struct identity_first {
	const char *name; /* "customer", "provider", "operator", "reader", "nobody",
				  "customer2" */
	const char *client_id;
	const char *secret; /* NULL when the principal was there before */
	const char *oid;
};
#define IDENTITY_FIRST 6
struct identity_bootstrap {
	const char *tenant;
	const char *subscription; /* the customer's */
	const char *provider_subscription;
	const char *operator_subscription;  /* where the fabric's own resources live */
	const char *customer2_subscription; /* a second customer's, for the lab */
	struct identity_first first[IDENTITY_FIRST];
};
/* Makes tenant, subscriptions, principals and their roles if they are not there. Idempotent. */
int identity_bootstrap(struct store *s, struct arena *a, struct identity_bootstrap *ret,
		       struct err *e);
