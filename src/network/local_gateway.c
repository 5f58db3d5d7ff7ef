/* Microsoft.Network/localNetworkGateways: what a customer's VPN device is, as data. */
#include "network/space.h"
#include "network/types.h"

static int
address_check(const char *text, struct err *e)
{
	struct addr a;

	return !*text || addr_parse(text, &a, e) == 0
		       ? 0
		       : err_set(e, -EINVAL, "must be an IP address");
}

static int
prefix_check(const char *text, struct err *e)
{
	struct prefix p;
	struct err why;

	return prefix_parse(text, &p, &why) == 0 ? 0 : err_set(e, -EINVAL, "must be a prefix");
}

static int
local_gateway_plan(struct arm_plan *p)
{
	if (p->verb != ARM_VERB_CREATE && p->verb != ARM_VERB_UPDATE)
		return 0;
	const json_t *body = p->want->body;
	bool has_address = *arm_str(body, "properties.gatewayIpAddress", "");
	bool has_fqdn = *arm_str(body, "properties.fqdn", "");

	if (has_address == has_fqdn)
		return arm_refuse_at(p->s->error, 400, "InvalidParameter",
				     "properties.gatewayIpAddress",
				     "A local network gateway has either a gatewayIpAddress or an "
				     "fqdn.");
	guid_ensure(p);
	return 0;
}

/* clang-format off */
static const struct arm_prop local_gateway_props[] = {
	{ .name = "localNetworkAddressSpace", .kind = ARM_OBJECT,
	  .props = (const struct arm_prop[]){
		{ .name = "addressPrefixes", .kind = ARM_LIST, .item = ARM_STRING, .check = prefix_check,
		  .max = 1000, .def = "[]" },
		{ 0 } } },
	{ .name = "gatewayIpAddress", .kind = ARM_STRING, .check = address_check },
	{ .name = "fqdn", .kind = ARM_STRING, .max = 255 },
	{ .name = "bgpSettings", .kind = ARM_OBJECT,
	  .props = (const struct arm_prop[]){
		{ .name = "asn", .kind = ARM_INT, .min = 1, .max = UINT32_MAX },
		{ .name = "bgpPeeringAddress", .kind = ARM_STRING, .check = address_check },
		{ .name = "peerWeight", .kind = ARM_INT, .max = 100 },
		{ .name = "bgpPeeringAddresses", .kind = ARM_LIST, .item = ARM_ANY, .max = 8 },
		{ 0 } } },
	{ .name = "resourceGuid", .kind = ARM_STRING, .flags = ARM_READ_ONLY },
	{ 0 },
};
/* clang-format on */

const struct arm_type local_gateway_type = {
	.ns = "Microsoft.Network",
	.name = "localNetworkGateways",
	.flags = ARM_TRACKED,
	.props = local_gateway_props,
	.in_use_code = "LocalNetworkGatewayCannotBeDeleted",
	.in_use_status = 400,
	.plan = local_gateway_plan,
};
