/* Nodes of the fabric: names, numbers, secrets, and the objects every node gets about itself and
 * its peers. Each edge peers with the other of its pair and with all hosts, each host with all
 * edges. */
#include "network/node.h"

#include "store/store.h"

#include <openssl/sha.h>

int
operator_check(struct arm_plan *p)
{
	const char *action = arena_printf(p->s->arena, "%s/%s/%s", p->type->ns, p->type->name,
					  p->verb == ARM_VERB_DELETE ? "delete" : "write");

	if (p->verb == ARM_VERB_SETTLE || arm_may(p->s, action, "/"))
		return 0;
	return arm_refuse(
		p->s->error, 403, "AuthorizationFailed",
		"The fabric is the operator's: this needs the action '%s' over scope '/'.", action);
}

static int
claim_or_refuse(struct arm_plan *p, const char *space, const char *value, const char *what)
{
	if (arm_claim(p, NULL, space, value, NULL) < 0)
		return arm_refuse(p->s->error, 409, "Conflict", "The %s '%s' is taken by %s.", what,
				  value, claim_holder(p->s, space, value));
	return 0;
}

static int
node_row_put(struct arm_plan *p, const char *name, const char *role, bool is_revoked)
{
	struct store_node row = { 0 };
	struct err e;
	int r = store_node_get(p->s->tx, p->s->arena, name, &row, &e);

	if (r == 0 && is_revoked)
		return 0;
	if (r == 0)
		row = (struct store_node){
			.name = name, .cert = "", .token_hash = "", .report = "{}"
		};
	row.role = role;
	row.revoked = is_revoked;
	if (is_revoked)
		row.cert = row.token_hash = "";
	r = r < 0 ? r : store_node_put(p->s->tx, &row, &e);
	return r < 0 ? arm_refuse(p->s->error, 500, "InternalServerError", "node %s: %s", name,
				  e.text)
		     : 0;
}

static bool
node_name_is_good(const char *name)
{
	size_t n = strlen(name);

	if (!n || n > 63)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789-", name[i]))
			return false;
	return name[0] != '-';
}

int
node_register(struct arm_plan *p, struct fabric_node *n)
{
	struct addr a;
	struct err e;
	uint64_t number = n->number;
	int r;

	if (!node_name_is_good(n->name))
		return arm_refuse(p->s->error, 400, "InvalidResourceName",
				  "'%s' is not a node's name: 1 to 63 of a-z, 0-9 and -.", n->name);
	if (addr_parse(n->underlay, &a, &e) < 0 || a.family != NET_V4)
		return arm_refuse_at(p->s->error, 400, "InvalidParameter",
				     "properties.underlayAddress", "'%s' is not an IPv4 address.",
				     n->underlay);
	r = claim_or_refuse(p, CLAIM_NODE_NAME, n->name, "node name");
	if (r == 0)
		r = claim_or_refuse(p, CLAIM_UNDERLAY, n->underlay, "underlay address");
	if (r < 0)
		return r;
	if (number) {
		r = claim_or_refuse(p, CLAIM_NODE_NUMBER,
				    arena_printf(p->s->arena, "%u", n->number), "node number");
	} else if (arm_claim_number(p, NULL, CLAIM_NODE_NUMBER, 1, 4095, &number) < 0) {
		r = arm_refuse(p->s->error, 409, "Conflict", "All 4095 node numbers are taken.");
	}
	n->number = (uint32_t)number;
	return r < 0 ? r : node_row_put(p, n->name, n->role, false);
}

int
node_revoke(struct arm_plan *p, const char *name)
{
	return node_row_put(p, name, "edge", true);
}

void
node_secret_ensure(struct arm_plan *p)
{
	if (*arm_str(p->want->body, "properties.fabricSecret", ""))
		return;
	const char *a = arm_new_guid(p), *b = arm_new_guid(p);

	arm_set(p->want->body, "properties.fabricSecret", json_textf("%s%s", a, b));
}

const char *
node_session_key(struct arena *a, const struct fabric_node *x, const struct fabric_node *y)
{
	uint8_t digest[SHA256_DIGEST_LENGTH];
	char *hex = arena_alloc(a, 41);

	if (strcmp(x->name, y->name) > 0) {
		const struct fabric_node *swap = x;

		x = y;
		y = swap;
	}
	const char *text = arena_printf(a, "fabric session|%s|%s|%s|%s", x->name, x->secret,
					y->name, y->secret);

	SHA256((const uint8_t *)text, strlen(text), digest);
	for (size_t i = 0; i < 20; i++)
		snprintf(hex + 2 * i, 3, "%02x", digest[i]);
	return hex;
}

void
node_emit_self(struct arm_snapshot *s, const struct fabric_node *n)
{
	const struct catalogue_limits *l = catalogue_limits(network_catalogue(s));

	arm_emit(s, n->name, "node", n->name,
		 json_pack("{s:s, s:i, s:s, s:i, s:i, s:s}", "role", n->role, "number",
			   (int)n->number, "underlay", n->underlay, "fabricAs", (int)l->cloud_asn,
			   "customerAs", (int)l->cloud_asn, "fabricDev", n->dev));
}

void
node_emit_peer(struct arm_snapshot *s, const struct fabric_node *at, const struct fabric_node *peer,
	       bool is_pair)
{
	json_t *body = json_pack("{s:s, s:i, s:s, s:s}", "role", peer->role, "number",
				 (int)peer->number, "underlay", peer->underlay, "md5",
				 node_session_key(s->arena, at, peer));

	if (is_pair)
		json_object_set_new(body, "pair", json_true());
	arm_emit(s, at->name, "fabricPeer", peer->name, body);
}

void
each_resource(struct arm_snapshot *s, const struct arm_type *t,
	      void (*each)(void *arg, const struct arm_resource *r), void *arg)
{
	enum { PAGE = 500 };
	const char *after = NULL;
	size_t n;

	do {
		const struct arm_resource **v;
		const char *last = after;

		n = arm_list(s, t, NULL, after, PAGE, &v);
		for (size_t i = 0; i < n; i++) {
			if (!last || strcmp(v[i]->fold, last) > 0)
				last = v[i]->fold;
			if (!v[i]->is_deleting)
				each(arg, v[i]);
		}
		after = last;
	} while (n >= PAGE);
}
