/* Wayleave.Fabric/locations: a peering location of the catalogue is open for edge pairs; and
 * Wayleave.Fabric/providers: a service provider of the catalogue does business here, in a
 * subscription of its own, where its cross connections appear. */
#include "network/types.h"

/* ---- locations ---- */

static const struct arm_prop location_props[] = {
	{ .name = "peeringLocation", .kind = ARM_STRING, .flags = ARM_REQUIRED | ARM_FIXED },
	{ 0 },
};

static int
location_plan(struct arm_plan *p)
{
	if (operator_check(p) < 0)
		return -EBADE;
	if (p->verb != ARM_VERB_CREATE)
		return 0;
	const char *name = arm_str(p->want->body, "properties.peeringLocation", "");

	if (!catalogue_location(network_catalogue(p->s), name))
		return arm_refuse_at(p->s->error, 400, "InvalidPeeringLocation",
				     "properties.peeringLocation",
				     "The catalogue has no peering location named '%s'.", name);
	if (arm_claim(p, NULL, CLAIM_LOCATION, name, NULL) < 0)
		return arm_refuse(p->s->error, 409, "Conflict",
				  "Peering location '%s' is already open as %s.", name,
				  claim_holder(p->s, CLAIM_LOCATION, name));
	return 0;
}

const struct arm_type fabric_location_type = {
	.ns = "Wayleave.Fabric",
	.name = "locations",
	.flags = ARM_TRACKED,
	.props = location_props,
	.in_use_code = "LocationInUse",
	.in_use_status = 409,
	.plan = location_plan,
};

/* ---- providers ---- */

static const struct arm_prop provider_props[] = {
	{ .name = "serviceProviderName", .kind = ARM_STRING, .flags = ARM_REQUIRED | ARM_FIXED },
	{ .name = "subscriptionId",
	  .kind = ARM_STRING,
	  .flags = ARM_REQUIRED | ARM_FIXED | ARM_UNIQUE_FOLD },
	{ 0 },
};

static int
provider_plan(struct arm_plan *p)
{
	if (operator_check(p) < 0)
		return -EBADE;
	if (p->verb != ARM_VERB_CREATE)
		return 0;
	const char *name = arm_str(p->want->body, "properties.serviceProviderName", "");

	if (!catalogue_provider(network_catalogue(p->s), name))
		return arm_refuse_at(p->s->error, 400, "InvalidServiceProvider",
				     "properties.serviceProviderName",
				     "The catalogue has no service provider named '%s'.", name);
	if (arm_claim(p, NULL, CLAIM_PROVIDER, name, NULL) < 0)
		return arm_refuse(p->s->error, 409, "Conflict",
				  "Service provider '%s' is already registered as %s.", name,
				  claim_holder(p->s, CLAIM_PROVIDER, name));
	return 0;
}

const struct arm_type fabric_provider_type = {
	.ns = "Wayleave.Fabric",
	.name = "providers",
	.flags = ARM_TRACKED,
	.props = provider_props,
	.in_use_code = "ProviderInUse",
	.in_use_status = 409,
	.plan = provider_plan,
};

const char *
provider_subscription(struct arm_snapshot *s, const char *provider)
{
	const char *owner = arm_claim_owner(s, CLAIM_PROVIDER, provider);
	const struct arm_resource *r = owner ? arm_get(s, owner) : NULL;

	return r ? arm_str(r->body, "properties.subscriptionId", NULL) : NULL;
}
