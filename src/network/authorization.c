/* Authorizations: how the owner of a circuit, or of a direct port pair, lets another subscription use
 * it. The key is a GUID shown only to who may write authorizations; it is good for one use and stays
 * used when what used it is gone. What used it stands in the owner's hidden state:
 * {"redeemed":{"<authorization>":"<id of the user>"}}. */
#include "network/types.h"

static json_t *
authorization_by_key(const struct arm_resource *owner, const char *key)
{
	json_t *a;
	size_t i;

	json_array_foreach(collection_of(owner->body, "authorizations"), i, a)
		if (*key && text_equal(arm_str(a, "properties.authorizationKey", NULL), key))
			return a;
	return NULL;
}

static const char *
redeemed_by(const struct arm_resource *owner, const char *name)
{
	return json_string_value(json_object_get(json_object_get(owner->hidden, "redeemed"), name));
}

static int
key_refuse(struct arm_plan *p, const char *owner)
{
	return arm_refuse_at(p->s->error, 400, "AuthorizationKeyNotFound",
			     "properties.authorizationKey",
			     "%s has no authorization with this key.", owner);
}

int
authorization_redeem(struct arm_plan *p, const struct arm_resource *owner, const char *key,
		     const char *user)
{
	const json_t *a = authorization_by_key(owner, key);
	const char *name = arm_str(a, "name", "");

	if (!a)
		return key_refuse(p, owner->id);
	if (redeemed_by(owner, name))
		return arm_refuse_at(p->s->error, 400, "AuthorizationKeyInUse",
				     "properties.authorizationKey",
				     "Authorization '%s' of %s has been used, and each is good for "
				     "one use; ask its owner for a new one.",
				     name, owner->id);
	struct arm_resource *o = arm_edit(p, owner->id);
	json_t *redeemed = json_object_get(o->hidden, "redeemed");

	if (!redeemed) {
		redeemed = json_object();
		json_object_set_new(o->hidden, "redeemed", redeemed);
	}
	json_object_set_new(redeemed, name, json_string(user));
	return 0;
}

const char *
authorization_of_user(struct arm_snapshot *s, const struct arm_resource *owner, const char *user)
{
	const char *name;
	json_t *by;

	json_object_foreach(json_object_get(owner->hidden, "redeemed"), name, by)
		if (arm_id_equal(json_string_value(by), user))
			return arena_printf(s->arena, "%s/authorizations/%s", owner->id, name);
	return NULL;
}

/* Of the plan's subscription, and may its caller join what stands there, or would? */
static bool
is_his_to_join(struct arm_plan *p, const char *circuit)
{
	const char *fold = arm_id_fold(p->s->arena, circuit);
	const char *within = arm_id_fold(
		p->s->arena, arena_printf(p->s->arena, "/subscriptions/%s/", p->want->sub));

	return !strncmp(fold, within, strlen(within)) &&
	       arm_may(p->s, "Microsoft.Network/expressRouteCircuits/join/action", fold);
}

int
circuit_join(struct arm_plan *p, const struct arm_resource *circuit, const char *id,
	     const char *key, const char *user)
{
	bool is_his = is_his_to_join(p, id);

	if (is_his && (!circuit || !*key))
		return 0;
	/* Below, one that is not there answers as one whose key this is not, and as he spelt it. */
	if (*key && (!circuit || !authorization_by_key(circuit, key)))
		return key_refuse(p, id);
	if (*key)
		return authorization_redeem(p, circuit, key, user);
	return arm_refuse_at(p->s->error, 403, "LinkedAuthorizationFailed",
			     "properties.authorizationKey",
			     "Circuit %s is in another subscription or not yours to join: an "
			     "authorizationKey of its owner is needed.",
			     id);
}

/* A new one gets its key; a second PUT keeps it. */
static int
authorization_make(struct arm_plan *p, uint32_t max, json_t *have, json_t *want)
{
	if (have)
		return 0;
	if (json_array_size(collection_of(p->want->body, "authorizations")) > max)
		return arm_refuse_at(p->s->error, 400, "AuthorizationLimitReached", "name",
				     "'%s' has at most %u authorizations.", p->want->name, max);
	arm_set(want, "properties.authorizationKey", json_string(arm_new_guid(p)));
	return 0;
}

void
authorizations_view(const struct arm_resource *r, json_t *out, const char *user_field)
{
	json_t *a;
	size_t i;

	json_array_foreach(collection_of(out, "authorizations"), i, a) {
		const char *by = redeemed_by(r, arm_str(a, "name", ""));

		arm_set(a, "properties.authorizationUseStatus",
			json_string(by ? "InUse" : "Available"));
		if (by)
			json_object_set_new(json_object_get(a, "properties"), user_field,
					    json_string(by));
	}
}

/* ---- of circuits ---- */

static int
connection_drop(struct arm_plan *p, const struct arm_resource *connection)
{
	const char *gw = arm_ref(connection->body, REF_GATEWAY);
	const struct arm_resource *g = gw ? arm_get(p->s, gw) : NULL;
	const struct arm_resource *vnet = g ? gateway_vnet(p->s, g) : NULL;

	link_recompile(p, NULL, vnet ? vnet->id : NULL);
	return arm_remove(p, connection->id);
}

/* Revoking takes away what redeemed it: a connection, or a Global Reach connection. */
static int
authorization_revoke(struct arm_plan *p, const json_t *have)
{
	const char *name = arm_str(have, "name", "");
	const char *user = redeemed_by(p->want, name);
	const struct arm_resource *r = user ? arm_get(p->s, user) : NULL;
	int bad = 0;

	if (r && !r->is_deleting && r->type == &connection_type)
		bad = connection_drop(p, r);
	else if (r && !r->is_deleting && r->type == &circuit_type)
		bad = global_reach_drop(p, user);
	json_object_del(json_object_get(p->want->hidden, "redeemed"), name);
	return bad;
}

static int
authorization_check(struct arm_plan *p, const char *id, json_t *have, json_t *want)
{
	const struct catalogue_limits *l = catalogue_limits(network_catalogue(p->s));

	if (!want)
		return p->want ? authorization_revoke(p, have) : 0;
	if (!have && circuit_state_check(p, p->want, CIRCUIT_AUTHORIZE) < 0)
		return -EBADE;
	return authorization_make(p, l->authorizations_per_circuit, have, want);
}

static const struct arm_prop authorization_props[] = {
	{ .name = "authorizationKey",
	  .kind = ARM_STRING,
	  .flags = ARM_READ_ONLY | ARM_SECRET | ARM_SHOWN_TO_WRITERS },
	{ .name = "authorizationUseStatus", .kind = ARM_STRING, .flags = ARM_READ_ONLY },
	{ .name = "connectionResourceUri", .kind = ARM_STRING, .flags = ARM_READ_ONLY },
	{ 0 },
};

const struct arm_type authorization_type = {
	.ns = "Microsoft.Network",
	.name = "authorizations",
	.props = authorization_props,
	.check = authorization_check,
};

/* ---- of direct port pairs ---- */

/* A circuit made with it is the customer's own, with what hangs on it: it goes first. */
static int
port_authorization_check(struct arm_plan *p, const char *id, json_t *have, json_t *want)
{
	const struct catalogue_limits *l = catalogue_limits(network_catalogue(p->s));

	if (want)
		return authorization_make(p, l->authorizations_per_circuit, have, want);
	if (!p->want)
		return 0;
	const char *name = arm_str(have, "name", "");
	const char *user = redeemed_by(p->want, name);
	const struct arm_resource *circuit = user ? arm_get(p->s, user) : NULL;

	if (circuit && !circuit->is_deleting)
		arm_block(p, circuit->id, "Circuit '%s' was made with this authorization.",
			  circuit->name);
	else
		json_object_del(json_object_get(p->want->hidden, "redeemed"), name);
	return 0;
}

static const struct arm_prop port_authorization_props[] = {
	{ .name = "authorizationKey",
	  .kind = ARM_STRING,
	  .flags = ARM_READ_ONLY | ARM_SECRET | ARM_SHOWN_TO_WRITERS },
	{ .name = "authorizationUseStatus", .kind = ARM_STRING, .flags = ARM_READ_ONLY },
	{ .name = "circuitResourceUri", .kind = ARM_STRING, .flags = ARM_READ_ONLY },
	{ 0 },
};

const struct arm_type port_authorization_type = {
	.ns = "Microsoft.Network",
	.name = "authorizations",
	.props = port_authorization_props,
	.in_use_code = "AuthorizationInUse",
	.in_use_status = 409,
	.check = port_authorization_check,
};
