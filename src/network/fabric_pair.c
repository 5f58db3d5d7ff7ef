/* Wayleave.Fabric/edgePairs: the two edge routers of a peering location. The first edge carries
 * the primary paths, the second the secondary. */
#include "network/node.h"

static const struct arm_prop edge_props[] = {
	{ .name = "name", .kind = ARM_STRING, .flags = ARM_REQUIRED },
	{ .name = "underlayAddress", .kind = ARM_STRING, .flags = ARM_REQUIRED },
	{ .name = "number", .kind = ARM_INT, .flags = ARM_KEEP, .min = 1, .max = 4095 },
	{ .name = "fabricDev", .kind = ARM_STRING, .min = 1, .max = 15, .def = "\"fabric0\"" },
	{ 0 },
};

static const struct arm_prop pair_props[] = {
	{ .name = "peeringLocation", .kind = ARM_STRING, .flags = ARM_REQUIRED | ARM_FIXED },
	{ .name = "edges",
	  .kind = ARM_LIST,
	  .flags = ARM_REQUIRED,
	  .min = 2,
	  .max = 2,
	  .item = ARM_OBJECT,
	  .props = edge_props },
	{ .name = "location",
	  .kind = ARM_REF,
	  .flags = ARM_READ_ONLY,
	  .ref_type = "Wayleave.Fabric/locations" },
	{ .name = "fabricSecret", .kind = ARM_STRING, .flags = ARM_READ_ONLY | ARM_SECRET },
	{ 0 },
};

static json_t *
edge_at(const struct arm_resource *pair, unsigned i)
{
	return json_array_get(collection_of(pair->body, "edges"), i);
}

const char *
pair_edge(const struct arm_resource *pair, unsigned i)
{
	return arm_str(edge_at(pair, i), "name", NULL);
}

void
pair_nodes(const struct arm_resource *pair, struct fabric_node ret[2])
{
	for (unsigned i = 0; i < 2; i++) {
		const json_t *e = edge_at(pair, i);

		ret[i] = (struct fabric_node){
			.name = arm_str(e, "name", ""),
			.underlay = arm_str(e, "underlayAddress", ""),
			.dev = arm_str(e, "fabricDev", "fabric0"),
			.role = "edge",
			.number = (uint32_t)arm_int(e, "number", 0),
			.secret = arm_str(pair->body, "properties.fabricSecret", ""),
		};
	}
}

/* How many Global Reach connections there are to each other pair: their edges exchange packets. */
#define JOINED "joined"

static void
joined_add(struct arm_plan *p, const char *pair, const char *other, int delta)
{
	struct arm_resource *r = arm_edit_quietly(p, pair);
	json_t *joined = r ? json_object_get(r->hidden, JOINED) : NULL;

	if (!r)
		return;
	if (!joined) {
		joined = json_object();
		json_object_set_new(r->hidden, JOINED, joined);
	}
	int64_t n = json_integer_value(json_object_get(joined, other)) + delta;

	if (n > 0)
		json_object_set_new(joined, other, json_integer(n));
	else
		json_object_del(joined, other);
	arm_recompile(p, pair);
}

void
pairs_join(struct arm_plan *p, const struct arm_resource *a, const struct arm_resource *b,
	   int delta)
{
	struct circuit_place at[2];

	if (!circuit_place(p->s, a, &at[0]) || !circuit_place(p->s, b, &at[1]) ||
	    text_equal(at[0].pair->fold, at[1].pair->fold))
		return;
	for (unsigned i = 0; i < 2; i++)
		joined_add(p, at[i].pair->id, at[!i].pair->id, delta);
}

static void
recompile_host(void *arg, const struct arm_resource *host)
{
	arm_recompile(arg, host->id);
}

static int
pair_create(struct arm_plan *p)
{
	const char *at = arm_str(p->want->body, "properties.peeringLocation", "");
	const char *location = claim_holder(p->s, CLAIM_LOCATION, at);
	struct fabric_node n[2];

	if (!location)
		return arm_refuse_at(p->s->error, 400, "InvalidPeeringLocation",
				     "properties.peeringLocation",
				     "Peering location '%s' is not open: PUT a "
				     "Wayleave.Fabric/locations for it first.",
				     at);
	arm_set(p->want->body, "properties.location", json_reference(location));
	pair_nodes(p->want, n);
	for (unsigned i = 0; i < 2; i++) {
		int r = node_register(p, &n[i]);

		if (r < 0)
			return r;
		json_object_set_new(edge_at(p->want, i), "number", json_integer(n[i].number));
	}
	return 0;
}

static int
pair_check_fixed(struct arm_plan *p)
{
	for (unsigned i = 0; i < 2; i++) {
		const json_t *a = edge_at(p->have, i), *b = edge_at(p->want, i);

		if (!text_equal(arm_str(a, "name", NULL), arm_str(b, "name", NULL)) ||
		    !text_equal(arm_str(a, "underlayAddress", NULL),
				arm_str(b, "underlayAddress", NULL)) ||
		    arm_int(a, "number", 0) != arm_int(b, "number", 0))
			return arm_refuse_at(p->s->error, 400, "PropertyChangeNotAllowed",
					     "properties.edges",
					     "Name, underlay address and number of an edge cannot "
					     "change.");
	}
	return 0;
}

static int
pair_plan(struct arm_plan *p)
{
	int r = operator_check(p);

	if (r < 0)
		return r;
	switch (p->verb) {
	case ARM_VERB_CREATE:
		node_secret_ensure(p);
		r = pair_create(p);
		break;
	case ARM_VERB_UPDATE:
		r = pair_check_fixed(p);
		break;
	case ARM_VERB_DELETE:
		for (unsigned i = 0; r == 0 && i < 2; i++)
			r = node_revoke(p, pair_edge(p->have, i));
		break;
	default:
		return 0;
	}
	if (r < 0)
		return r;
	each_resource(p->s, &fabric_host_type, recompile_host, p);
	return 0;
}

static int
pair_compile(struct arm_snapshot *s, const struct arm_resource *r)
{
	struct fabric_node n[2], far[2];
	const char *other;
	json_t *count;

	pair_nodes(r, n);
	for (unsigned i = 0; i < 2; i++) {
		node_emit_self(s, &n[i]);
		node_emit_peer(s, &n[i], &n[!i], true);
	}
	json_object_foreach(json_object_get(r->hidden, JOINED), other, count) {
		const struct arm_resource *pair = arm_get(s, other);

		if (!pair)
			continue;
		pair_nodes(pair, far);
		for (unsigned i = 0; i < 4; i++)
			node_emit_peer(s, &n[i / 2], &far[i % 2], false);
	}
	return 0;
}

const struct arm_type fabric_pair_type = {
	.ns = "Wayleave.Fabric",
	.name = "edgePairs",
	.flags = ARM_TRACKED,
	.props = pair_props,
	.in_use_code = "EdgePairInUse",
	.in_use_status = 409,
	.plan = pair_plan,
	.compile = pair_compile,
};
