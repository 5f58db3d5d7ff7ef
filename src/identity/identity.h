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
/* Microsoft.Authorization, Microsoft.Management, Microsoft.Subscription */
struct arm_extension identity_extension(struct identity *id);
struct arm_extension identity_management(struct identity *id);
struct arm_extension identity_subscriptions(struct identity *id);

/* --- tokens: discovery, OAuth2, OpenID, and the pages where people sign in -------------------------- */

/* One request to a path of these, as it came: the path not decoded. NULL: absent. */
struct identity_request {
	struct arena *arena; /* the answer lives there too */
	const char *method, *path, *query;
	const char *body; /* a form */
	const char *authorization, *cookie, *origin;
	const char *if_match, *if_none_match; /* the directory's paths read these */
	const char *remote;                   /* address */
	int64_t now_us;
};
#define IDENTITY_MAX_HEADERS 12
struct identity_reply {
	int status;
	const char *type; /* Content-Type; NULL: no body */
	const char *text;
	struct arm_header headers[IDENTITY_MAX_HEADERS];
	size_t n_headers;
	const char *event; /* for the log: "sign-in refused client=..."; NULL: nothing to say */
};
/* Whether identity_handle() answers it. Cheap; may be asked before a body is read, which is never
 * longer than a form and may come from anybody. */
bool identity_is_path(const char *path);
/* May wait for the store and for other issuers. */
void identity_handle(struct identity *id, const struct identity_request *rq,
		     struct identity_reply *ret);
/* Is the Authorization header a token of ours that is in time? Without the store: its principal may be
 * disabled meanwhile, so it only says whose bytes are read. */
bool identity_is_bearer(struct identity *id, const char *authorization, int64_t now_us);
/* Keys are published, used and dropped when their time comes; what is over goes. Every minute or so;
 * writes only when there is something to write. */
int identity_tick(struct identity *id, int64_t now_us, struct err *e);

/* How other issuers are asked: HTTPS alone, no redirects, certificates checked, at most max bytes. */
struct identity_fetch_call {
	const char *url;
	const char *form;   /* POST; NULL: GET */
	const char *user;   /* "id:secret" for Basic; NULL: none */
	const char *bearer; /* NULL: none */
	const char *ca_pem; /* certificates; NULL: the system's */
	size_t max;
};
struct identity_fetch {
	void *ctx;
	/* 0, and a text in the arena, only for an answer of 200. */
	int (*get)(void *ctx, struct arena *a, const struct identity_fetch_call *call,
		   const char **ret, struct err *e);
};
/* The issuer that people sign in through, and those whose workloads may. Texts are borrowed. */
struct identity_trust {
	const char *issuer; /* NULL: people sign in by links alone */
	const char *name;   /* on the button; NULL: the issuer's host */
	const char *client_id, *client_secret;
	const char *claim;  /* the one that is a user's name here; NULL: "email" */
	const char *tenant; /* whose user it is, when no tenant has the name's domain; NULL: none */
	bool vouches;       /* for every email it names, also without email_verified */
	const char *ca_pem;
	const char *const *federated; /* issuers that credentials may name, NULL-ended; NULL: none */
	bool federates_any;
	const char *federated_ca_pem;
};
/* Before the first request. */
void identity_set_trust(struct identity *id, const struct identity_fetch *fetch,
			const struct identity_trust *trust);
/* "Wayleave.Identity": signing keys, invitations, redirect URIs of applications. */
struct arm_extension identity_accounts(struct identity *id);

/* --- the directory: Graph below /v1.0/, SCIM 2.0 below /scim/v2/ ------------------------------------- */

/* Whether identity_directory() answers it. What it needs is a bearer: of ours, or a tenant's SCIM
 * token; bodies are JSON. */
bool identity_is_directory_path(const char *path);
/* A new SCIM token for a tenant, instead of the one there was; known only now. */
int identity_scim_token(struct store_tx *tx, struct arena *a, const char *tenant, const char **ret,
			struct err *e);
/* "Wayleave.Directory": scimToken, of the caller's own tenant. */
struct arm_extension identity_directory_extension(struct identity *id);
void identity_directory(struct identity *id, const struct identity_request *rq,
			struct identity_reply *ret);

#define ROLE_OWNER "8e3af657-a8ff-443c-a75c-2fe8c4bcb635"
#define ROLE_CONTRIBUTOR "b24988ac-6180-42a0-ab88-20f7382dd24c"
#define ROLE_READER "acdd72a7-3385-48ef-bd42-f606fba81ae7"
#define ROLE_NETWORK_CONTRIBUTOR "4d97b98b-1d4f-4787-a291-c67834d212e7"
#define ROLE_PROVIDER "5d4a6e0c-1c1e-4d1b-9a51-7d0f9f0a7c11" /* ours */
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
