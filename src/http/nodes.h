/* The nodes' own accounts: enrolment tokens and certificates. As ARM paths (Wayleave.Nodes, for
 * operators) and for the agents' listener.
 *
 *   GET  /providers/Wayleave.Nodes/nodes                        name, role, seen, applied, report
 *   POST /providers/Wayleave.Nodes/nodes/NAME/enrolmentToken    {"token": "..."} single use, one hour
 */
#pragma once

#include "arm/engine.h"
#include "http/pki.h"

struct nodes {
	struct store *store;
	const struct pki *pki;
};

struct arm_extension nodes_extension(struct nodes *n);
/* {"node","token","csr"} -> {"certificate","ca"}; -EPERM when the token is not good. The same csr
 * may come again within the token's hour, until the certificate is first used. */
int nodes_enrol(struct nodes *n, const json_t *body, json_t **ret, struct err *e);
/* A new certificate for a node that has one; that one stays good until the new one is first used. */
int nodes_renew(struct nodes *n, const char *node, const json_t *body, json_t **ret, struct err *e);
/* Makes a token outside the API (wayleave-controld --enrolment-token). out lives in the arena. */
int nodes_token(struct nodes *n, struct arena *a, const char *node, const char **ret,
		struct err *e);
/* Name of the node with this certificate (SHA-256, hex). 1, 0, negative. */
int nodes_find(struct nodes *n, struct arena *a, const char *cert, const char **ret, struct err *e);
