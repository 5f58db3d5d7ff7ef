/* Wayleave.Fabric/ports: one port on each edge of a pair. With serviceProviderName it is that
 * provider's trunk: circuits are placed on a port pair that has bandwidth left; S-tags are unique
 * within it. How much is used stands in the port's own state. Without, it is for sale as a whole, as a
 * direct port pair (direct_port.c): claimed by one customer at a time. */
#include "network/node.h"

static const struct arm_prop port_props[] = {
	{ .name = "edgePair",
	  .kind = ARM_REF,
	  .flags = ARM_REQUIRED | ARM_FIXED,
	  .ref_type = "Wayleave.Fabric/edgePairs" },
	{ .name = "serviceProviderName", .kind = ARM_STRING, .flags = ARM_FIXED },
	{ .name = "primaryInterface",
	  .kind = ARM_STRING,
	  .flags = ARM_REQUIRED | ARM_FIXED,
	  .min = 1,
	  .max = 15 },
	{ .name = "secondaryInterface",
	  .kind = ARM_STRING,
	  .flags = ARM_REQUIRED | ARM_FIXED,
	  .min = 1,
	  .max = 15 },
	{ .name = "bandwidthInMbps",
	  .kind = ARM_INT,
	  .flags = ARM_REQUIRED,
	  .min = 1,
	  .max = 1600000 },
	{ .name = "overprovisionFactor", .kind = ARM_INT, .min = 1, .max = 100, .def = "2" },
	{ .name = "serviceProvider",
	  .kind = ARM_REF,
	  .flags = ARM_READ_ONLY,
	  .ref_type = "Wayleave.Fabric/providers" },
	{ .name = "directLocation",
	  .kind = ARM_REF,
	  .flags = ARM_READ_ONLY,
	  .ref_type = "Wayleave.Fabric/locations" },
	/* Where the cross connect ends: for the letter of authorization. */
	{ .name = "primaryPatchPanelId", .kind = ARM_STRING, .flags = ARM_KEEP, .max = 80 },
	{ .name = "secondaryPatchPanelId", .kind = ARM_STRING, .flags = ARM_KEEP, .max = 80 },
	{ .name = "primaryRackId", .kind = ARM_STRING, .flags = ARM_KEEP, .max = 80 },
	{ .name = "secondaryRackId", .kind = ARM_STRING, .flags = ARM_KEEP, .max = 80 },
	{ .name = "connectorType",
	  .kind = ARM_STRING,
	  .flags = ARM_KEEP,
	  .words = (const char *const[]){ "LC", "SC", NULL } },
	{ .name = "primaryAzurePort", .kind = ARM_STRING, .flags = ARM_READ_ONLY },
	{ .name = "secondaryAzurePort", .kind = ARM_STRING, .flags = ARM_READ_ONLY },
	{ .name = "peeringLocation", .kind = ARM_STRING, .flags = ARM_READ_ONLY },
	{ .name = "usedBandwidthInMbps", .kind = ARM_INT, .flags = ARM_READ_ONLY },
	{ .name = "remainingBandwidthInMbps", .kind = ARM_INT, .flags = ARM_READ_ONLY },
	{ 0 },
};

const struct arm_resource *
port_pair(struct arm_snapshot *s, const struct arm_resource *port)
{
	const char *id = arm_ref(port->body, "properties.edgePair");

	return id ? arm_get(s, id) : NULL;
}

uint32_t
port_used_mbps(const struct arm_resource *port)
{
	return (uint32_t)arm_int(port->hidden, "usedMbps", 0);
}

uint32_t
port_capacity_mbps(const struct arm_resource *port)
{
	return (uint32_t)(arm_int(port->body, "properties.bandwidthInMbps", 0) *
			  arm_int(port->body, "properties.overprovisionFactor", 1));
}

/* The provider's registration is what all its trunks refer to: found from there. */
#define REF_TRUNK "properties.serviceProvider"

size_t
provider_ports(struct arm_snapshot *s, const char *provider, const char *location,
	       const struct arm_resource ***ret)
{
	const char *owner = arm_claim_owner(s, CLAIM_PROVIDER, provider);
	struct arm_referrer *refs;
	size_t n = owner ? arm_referrers(s, owner, false, REF_TRUNK, &refs) : 0, n_ports = 0;

	*ret = NEW_ARRAY(s->arena, const struct arm_resource *, n + 1);
	for (size_t i = 0; i < n; i++) {
		const struct arm_resource *port = arm_get(s, refs[i].owner);
		const struct arm_resource *pair = port ? port_pair(s, port) : NULL;

		if (pair && !port->is_deleting && !pair->is_deleting &&
		    !strcmp(arm_str(pair->body, "properties.peeringLocation", ""), location))
			(*ret)[n_ports++] = port;
	}
	return n_ports;
}

#define REF_DIRECT_LOCATION "properties.directLocation"

size_t
direct_fabric_ports(struct arm_snapshot *s, const char *location, const struct arm_resource ***ret)
{
	const char *owner = arm_claim_owner(s, CLAIM_LOCATION, location);
	struct arm_referrer *refs;
	size_t n = owner ? arm_referrers(s, owner, false, REF_DIRECT_LOCATION, &refs) : 0,
	       n_ports = 0;

	*ret = NEW_ARRAY(s->arena, const struct arm_resource *, n + 1);
	for (size_t i = 0; i < n; i++) {
		const struct arm_resource *port = arm_get(s, refs[i].owner);

		if (port && !port->is_deleting)
			(*ret)[n_ports++] = port;
	}
	return n_ports;
}

static const char *const interface_of[] = { "properties.primaryInterface",
					    "properties.secondaryInterface" };

static int
port_for_provider(struct arm_plan *p, const char *name, const char *location)
{
	const struct catalogue_provider *cp = catalogue_provider(network_catalogue(p->s), name);
	struct arm_error *e = p->s->error;

	if (!cp || !arm_claim_owner(p->s, CLAIM_PROVIDER, name))
		return arm_refuse_at(e, 400, "InvalidServiceProvider",
				     "properties.serviceProviderName",
				     "Service provider '%s' is not registered: PUT a "
				     "Wayleave.Fabric/providers for it first.",
				     name);
	if (!catalogue_offer(cp, location))
		return arm_refuse_at(e, 400, "InvalidPeeringLocation", "properties.edgePair",
				     "The catalogue does not have %s at %s.", name, location);
	arm_set(p->want->body, REF_TRUNK, json_reference(claim_holder(p->s, CLAIM_PROVIDER, name)));
	return 0;
}

static int
port_for_direct(struct arm_plan *p, const char *location)
{
	const struct catalogue_location *l = catalogue_location(network_catalogue(p->s), location);
	const char *registered = claim_holder(p->s, CLAIM_LOCATION, location);
	int64_t mbps = arm_int(p->want->body, "properties.bandwidthInMbps", 0);

	for (size_t i = 0; l && registered && i < l->n_direct_gbps; i++)
		if (mbps == (int64_t)l->direct_gbps[i] * 1000) {
			arm_set(p->want->body, REF_DIRECT_LOCATION, json_reference(registered));
			return 0;
		}
	return arm_refuse_at(p->s->error, 400, "InvalidBandwidth", "properties.bandwidthInMbps",
			     "The catalogue has no direct port pairs of %lld Mbps at %s. (With "
			     "serviceProviderName the port is a provider's trunk.)",
			     (long long)mbps, location);
}

/* Its number on both edges, stable over its life: the packet path keys circuits by it. */
static uint32_t
port_index(const struct arm_resource *port)
{
	return (uint32_t)arm_int(port->hidden, "index", 1);
}

static int
port_index_take(struct arm_plan *p, const struct arm_resource *pair)
{
	enum { PORTS_MAX = 15 }; /* fabric/node.h */
	const char *space = arena_printf(p->s->arena, "port-index:%s", pair->fold);
	struct arm_referrer *refs;
	size_t n = arm_referrers(p->s, pair->fold, false, "properties.edgePair", &refs), i;
	uint64_t index;

	do {
		if (arm_claim_number(p, NULL, space, 1, PORTS_MAX, &index) < 0)
			return arm_refuse_at(p->s->error, 409, "Conflict", "properties.edgePair",
					     "The edges of %s have %d ports already.", pair->name,
					     PORTS_MAX);
		/* a port from before they were claimed has the first */
		for (i = 0; i < n; i++) {
			const struct arm_resource *other = arm_get(p->s, refs[i].owner);

			if (other && !text_equal(other->fold, p->want->fold) &&
			    port_index(other) == index)
				break;
		}
	} while (i < n);
	json_object_set_new(p->want->hidden, "index", json_integer((json_int_t)index));
	return 0;
}

static int
port_create(struct arm_plan *p)
{
	struct arm_error *e = p->s->error;
	json_t *body = p->want->body;
	const char *provider = arm_str(body, "properties.serviceProviderName", NULL);
	const struct arm_resource *pair = port_pair(p->s, p->want);

	if (!pair)
		return arm_refuse_at(e, 400, "InvalidResourceReference", "properties.edgePair",
				     "There is no such edge pair.");
	const char *location = arm_str(pair->body, "properties.peeringLocation", "");
	int r = provider ? port_for_provider(p, provider, location) : port_for_direct(p, location);

	if (r == 0)
		r = port_index_take(p, pair);
	if (r < 0)
		return r;
	if (arm_claim(p, NULL, CLAIM_PORT_NAME, p->want->name, NULL) < 0)
		return arm_refuse(e, 409, "Conflict", "There is a port named '%s' already.",
				  p->want->name);
	for (unsigned i = 0; i < 2; i++) {
		const char *dev = arm_str(body, interface_of[i], "");
		const char *device = arena_printf(p->s->arena, "%s/%s", pair_edge(pair, i), dev);

		if (arm_claim(p, NULL, CLAIM_PORT_DEVICE, device, NULL) < 0)
			return arm_refuse(e, 409, "Conflict", "%s is another port's already.",
					  device);
		arm_set(body, i ? "properties.secondaryAzurePort" : "properties.primaryAzurePort",
			json_textf("%s-%s", pair_edge(pair, i), dev));
	}
	return 0;
}

static int
port_plan(struct arm_plan *p)
{
	if (operator_check(p) < 0)
		return -EBADE;
	if (p->verb == ARM_VERB_CREATE) {
		int r = port_create(p);

		if (r < 0)
			return r;
	}
	const char *customer = p->have ? claim_holder(p->s, CLAIM_DIRECT, p->have->fold) : NULL;

	if (customer && p->want &&
	    arm_int(p->have->body, "properties.bandwidthInMbps", 0) !=
		    arm_int(p->want->body, "properties.bandwidthInMbps", 0))
		return arm_refuse_at(p->s->error, 409, "PortInUse", "properties.bandwidthInMbps",
				     "The port pair is let as a whole, as %s.", customer);
	if (p->want && port_capacity_mbps(p->want) < port_used_mbps(p->want))
		return arm_refuse_at(p->s->error, 409, "PortInUse", "properties.bandwidthInMbps",
				     "Circuits use %u Mbps of this port pair.",
				     port_used_mbps(p->want));
	return 0;
}

static int
port_view(struct arm_snapshot *s, const struct arm_resource *r, json_t *out)
{
	const struct arm_resource *pair = port_pair(s, r);
	uint32_t used = port_used_mbps(r);

	if (pair)
		arm_set(out, "properties.peeringLocation",
			json_string(arm_str(pair->body, "properties.peeringLocation", "")));
	arm_set(out, "properties.usedBandwidthInMbps", json_integer(used));
	arm_set(out, "properties.remainingBandwidthInMbps",
		json_integer((json_int_t)port_capacity_mbps(r) - used));
	return 0;
}

static int
port_compile(struct arm_snapshot *s, const struct arm_resource *r)
{
	const struct arm_resource *pair = port_pair(s, r);

	for (unsigned i = 0; pair && i < 2; i++) {
		json_t *body = json_pack("{s:s, s:s}", "dev", arm_str(r->body, interface_of[i], ""),
					 "encapsulation", "qinq");

		if (port_index(r) != 1) /* what a node takes when nothing is said */
			json_object_set_new(body, "index", json_integer(port_index(r)));
		arm_emit(s, pair_edge(pair, i), "port", r->name, body);
	}
	return 0;
}

const struct arm_type fabric_port_type = {
	.ns = "Wayleave.Fabric",
	.name = "ports",
	.flags = ARM_TRACKED,
	.props = port_props,
	.in_use_code = "PortInUse",
	.in_use_status = 409,
	.plan = port_plan,
	.compile = port_compile,
	.view = port_view,
};
