/* Wayleave.Fabric/hosts: a machine that carries workloads, and its attachments: which NIC is bound
 * to which device there. An attachment is what places a NIC; a NIC without one is nowhere. */
#include "network/node.h"

/* ---- attachments ---- */

static const struct arm_prop attachment_props[] = {
	{ .name = "networkInterface",
	  .kind = ARM_REF,
	  .flags = ARM_REQUIRED | ARM_FIXED,
	  .ref_type = "Microsoft.Network/networkInterfaces" },
	{ .name = "device", .kind = ARM_STRING, .flags = ARM_REQUIRED, .min = 1, .max = 15 },
	{ 0 },
};

static bool
device_name_is_good(const char *d)
{
	for (const char *c = d; *c; c++)
		if ((unsigned char)*c <= ' ' || *c == '/' || *c == ':' || (unsigned char)*c > 126)
			return false;
	return strcmp(d, ".") != 0 && strcmp(d, "..") != 0;
}

/* The claim is the host's, taken and dropped with the attachment. */
static int
attachment_check(struct arm_plan *p, const char *id, json_t *have, json_t *want)
{
	struct arm_error *e = p->s->error;
	json_t *now = want ? want : have;
	const char *nic = arm_ref(now, "properties.networkInterface");

	if (operator_check(p) < 0)
		return -EBADE;
	const char *owner = NULL;

	const struct arm_resource *n = nic ? arm_get(p->s, nic) : NULL;

	if (!n)
		return want ? arm_refuse_at(e, 400, "InvalidResourceReference",
					    "properties.networkInterface",
					    "There is no network interface %s.", nic ? nic : "")
			    : 0;
	arm_recompile(p, n->id);

	/* Its VNet goes to the host. */
	const char *subnet = arm_ref(json_array_get(collection_of(n->body, "ipConfigurations"), 0),
				     "properties.subnet");
	const struct arm_resource *vnet = subnet ? arm_get(p->s, subnet) : NULL;

	if (vnet)
		arm_recompile(p, vnet->id);
	nic = arm_id_fold(p->s->arena, nic);
	if (!want)
		return arm_unclaim(p, CLAIM_ATTACHMENT, nic);
	if (!device_name_is_good(arm_str(want, "properties.device", "")))
		return arm_refuse_at(e, 400, "InvalidParameter", "properties.device",
				     "'%s' is not a device's name.",
				     arm_str(want, "properties.device", ""));
	if (!have)
		owner = claim_holder(p->s, CLAIM_ATTACHMENT, nic);
	if (owner || arm_claim(p, NULL, CLAIM_ATTACHMENT, nic, NULL) < 0)
		return arm_refuse(e, 409, "NicAttachedElsewhere",
				  "%s is attached to %s. DELETE that attachment first.", n->id,
				  claim_holder(p->s, CLAIM_ATTACHMENT, nic));
	return 0;
}

static const struct arm_type attachment_type = {
	.ns = "Wayleave.Fabric",
	.name = "attachments",
	.props = attachment_props,
	.check = attachment_check,
};

const struct arm_resource *
nic_host(struct arm_snapshot *s, const char *nic, json_t **ret_at)
{
	const char *owner = arm_claim_owner(s, CLAIM_ATTACHMENT, arm_id_fold(s->arena, nic));
	const struct arm_resource *host = owner ? arm_get(s, owner) : NULL;
	size_t i;
	json_t *at;

	if (!host || host->is_deleting)
		return NULL;
	json_array_foreach(collection_of(host->body, "attachments"), i, at) {
		const char *id = arm_ref(at, "properties.networkInterface");

		if (id && arm_id_equal(id, nic)) {
			*ret_at = at;
			return host;
		}
	}
	return NULL;
}

/* ---- hosts ---- */

static const struct arm_prop host_props[] = {
	{ .name = "underlayAddress", .kind = ARM_STRING, .flags = ARM_REQUIRED | ARM_FIXED },
	{ .name = "number", .kind = ARM_INT, .flags = ARM_KEEP | ARM_FIXED, .min = 1, .max = 4095 },
	{ .name = "fabricDev", .kind = ARM_STRING, .min = 1, .max = 15, .def = "\"fabric0\"" },
	{ .name = "fabricSecret", .kind = ARM_STRING, .flags = ARM_READ_ONLY | ARM_SECRET },
	{ .name = "attachments",
	  .kind = ARM_CHILDREN,
	  .flags = ARM_KEEP,
	  .child = &attachment_type },
	{ 0 },
};

struct fabric_node
host_node(const struct arm_resource *host)
{
	return (struct fabric_node){
		.name = host->name,
		.underlay = arm_str(host->body, "properties.underlayAddress", ""),
		.dev = arm_str(host->body, "properties.fabricDev", "fabric0"),
		.role = "host",
		.number = (uint32_t)arm_int(host->body, "properties.number", 0),
		.secret = arm_str(host->body, "properties.fabricSecret", ""),
	};
}

static int
host_plan(struct arm_plan *p)
{
	if (operator_check(p) < 0)
		return -EBADE;
	if (p->verb == ARM_VERB_DELETE) {
		size_t i;
		json_t *at;

		json_array_foreach(collection_of(p->have->body, "attachments"), i, at)
			arm_block(p,
				  arena_printf(p->s->arena, "%s/attachments/%s", p->have->id,
					       arm_str(at, "name", "")),
				  "%s is attached.", arm_ref(at, "properties.networkInterface"));
		return node_revoke(p, p->have->name);
	}
	if (p->verb != ARM_VERB_CREATE)
		return 0;
	node_secret_ensure(p);
	struct fabric_node n = host_node(p->want);
	int r = node_register(p, &n);

	if (r == 0)
		arm_set(p->want->body, "properties.number", json_integer(n.number));
	return r;
}

struct emit_pair {
	struct arm_snapshot *s;
	const struct fabric_node *host;
};

/* Both directions of each session of this host. */
static void
emit_pair_sessions(void *arg, const struct arm_resource *pair)
{
	const struct emit_pair *ep = arg;
	struct fabric_node edge[2];

	pair_nodes(pair, edge);
	for (unsigned i = 0; i < 2; i++) {
		node_emit_peer(ep->s, ep->host, &edge[i], false);
		node_emit_peer(ep->s, &edge[i], ep->host, false);
	}
}

static int
host_compile(struct arm_snapshot *s, const struct arm_resource *r)
{
	struct fabric_node n = host_node(r);
	struct emit_pair ep = { s, &n };

	node_emit_self(s, &n);
	each_resource(s, &fabric_pair_type, emit_pair_sessions, &ep);
	return 0;
}

static const struct arm_type *const host_children[] = { &attachment_type, NULL };

const struct arm_type fabric_host_type = {
	.ns = "Wayleave.Fabric",
	.name = "hosts",
	.flags = ARM_TRACKED,
	.name_max = 63,
	.props = host_props,
	.children = host_children,
	.in_use_code = "HostInUse",
	.in_use_status = 409,
	.plan = host_plan,
	.compile = host_compile,
};
