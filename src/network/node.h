/* Inside src/network: what edge pairs and hosts have in common as nodes of the fabric. */
#pragma once

#include "network/types.h"

/* One node while it is being planned or compiled. */
struct fabric_node {
	const char *name, *underlay, *dev, *role; /* role: "edge" or "host" */
	uint32_t number;
	const char *secret; /* of its aggregate */
};

/* Claims name, underlay address and number (0: any) for a new node and makes it known to the
 * agents' side. Fills in number. */
int node_register(struct arm_plan *p, struct fabric_node *n);
/* No agent of this name is let in any more. */
int node_revoke(struct arm_plan *p, const char *name);
/* A random secret for an aggregate's nodes, if it has none yet. */
void node_secret_ensure(struct arm_plan *p);
/* The MD5 key of the session between two nodes: made from both secrets, the same from either side. */
const char *node_session_key(struct arena *a, const struct fabric_node *x,
			     const struct fabric_node *y);
void node_emit_self(struct arm_snapshot *s, const struct fabric_node *n);
/* Tells node `at` about `peer`. */
void node_emit_peer(struct arm_snapshot *s, const struct fabric_node *at,
		    const struct fabric_node *peer, bool is_pair);
/* The two edges of a pair; the host. */
void pair_nodes(const struct arm_resource *pair, struct fabric_node ret[2]);
struct fabric_node host_node(const struct arm_resource *host);
/* Calls each(arg, r) for every resource of a type in the cloud. */
void each_resource(struct arm_snapshot *s, const struct arm_type *t,
		   void (*each)(void *arg, const struct arm_resource *r), void *arg);
