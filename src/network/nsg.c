/* Microsoft.Network/networkSecurityGroups, their rules and the six that every group has. Part of the
 * effective view (effective.h), not yet of the packet path. */
#include "network/vnet.h"

#include <ctype.h>

#define NSG_SUBNETS "properties.subnets.properties.networkSecurityGroup"
#define NSG_NICS "properties.networkSecurityGroup"

/* ---- values of rules ---- */

/* The tags that rules and routes may name; those with a region may have one after a dot. */
static const struct {
	const char *name;
	bool is_regional;
} tags[] = {
	{ "VirtualNetwork", false },
	{ "AzureLoadBalancer", false },
	{ "Internet", false },
	{ "AzureCloud", true },
	{ "GatewayManager", false },
	{ "Storage", true },
	{ "Sql", true },
	{ "AzureActiveDirectory", false },
	{ "AzureMonitor", false },
	{ "AzureKeyVault", true },
	{ "AzureTrafficManager", false },
	{ "AppService", true },
	{ "AzureContainerRegistry", true },
	{ "AzureCosmosDB", true },
	{ "EventHub", true },
	{ "ServiceBus", true },
	{ "AzureBackup", false },
	{ "AzureSiteRecovery", false },
	{ "AzureResourceManager", false },
	{ "ApiManagement", true },
	{ "BatchNodeManagement", true },
	{ "AzurePortal", false },
	{ "LogicApps", false },
	{ "AzureFrontDoor.Frontend", false },
};

bool
service_tag_is_known(const char *text)
{
	for (size_t i = 0; i < sizeof(tags) / sizeof(*tags); i++) {
		size_t n = strlen(tags[i].name);

		if (strncasecmp(text, tags[i].name, n) != 0)
			continue;
		if (!text[n])
			return true;
		if (!tags[i].is_regional || text[n] != '.' || !text[n + 1])
			continue;
		const char *region = text + n + 1;

		if (strspn(region, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				   "0123456789") == strlen(region))
			return true;
	}
	return false;
}

/* "*", "80", "1-65535". */
static bool
port_range_is_good(const char *s)
{
	char *end;

	if (!strcmp(s, "*"))
		return true;
	if (!isdigit((unsigned char)*s))
		return false;
	unsigned long lo = strtoul(s, &end, 10), hi = lo;

	if (*end == '-') {
		s = end + 1;
		if (!isdigit((unsigned char)*s))
			return false;
		hi = strtoul(s, &end, 10);
	}
	return !*end && lo <= hi && hi <= 65535;
}

/* "*", a tag, an address or a prefix. */
static bool
address_is_good(const char *s)
{
	struct prefix p;
	struct addr a;
	struct err e;

	return !strcmp(s, "*") || service_tag_is_known(s) || addr_parse(s, &a, &e) == 0 ||
	       prefix_parse(s, &p, &e) == 0;
}

struct side {
	const char *one, *many, *groups; /* NULL: no groups for ports */
	const char *code;
	bool (*is_good)(const char *s);
};

static const struct side sides[] = {
	{ "sourcePortRange", "sourcePortRanges", NULL, "SecurityRuleInvalidPortRange",
	  port_range_is_good },
	{ "destinationPortRange", "destinationPortRanges", NULL, "SecurityRuleInvalidPortRange",
	  port_range_is_good },
	{ "sourceAddressPrefix", "sourceAddressPrefixes", "sourceApplicationSecurityGroups",
	  "SecurityRuleInvalidAddressPrefix", address_is_good },
	{ "destinationAddressPrefix", "destinationAddressPrefixes",
	  "destinationApplicationSecurityGroups", "SecurityRuleInvalidAddressPrefix",
	  address_is_good },
};

/* Exactly one form, with values that mean something. */
static int
side_check(struct arm_plan *p, const struct side *side, const json_t *rule)
{
	const json_t *props = json_object_get(rule, "properties");
	const char *one = arm_str(props, side->one, "");
	json_t *many = json_object_get(props, side->many), *v;
	size_t n_groups = side->groups ? json_array_size(json_object_get(props, side->groups)) : 0;
	unsigned n_forms = (*one != 0) + (json_array_size(many) > 0) + (n_groups > 0);
	const char *name = arm_str(rule, "name", "");
	const char *target = arena_printf(p->s->arena, "properties.%s", side->one);
	unsigned n_tags = 0;
	size_t i;

	if (!n_forms)
		return arm_refuse_at(p->s->error, 400, "SecurityRuleParameterNotSpecified", target,
				     "Security rule '%s' must specify either %s or %s.", name,
				     side->one, side->many);
	if (n_forms > 1)
		return arm_refuse_at(p->s->error, 400, "SecurityRuleParameterConflict", target,
				     "Security rule '%s' must specify only one of %s and %s.", name,
				     side->one, side->many);
	if (*one && !side->is_good(one))
		return arm_refuse_at(p->s->error, 400, side->code, target,
				     "Security rule '%s' has an invalid value for %s: '%s'.", name,
				     side->one, one);
	json_array_foreach(many, i, v) {
		const char *text = json_string_value(v);

		if (!side->is_good(text))
			return arm_refuse_at(p->s->error, 400, side->code, target,
					     "Security rule '%s' has an invalid value in %s: '%s'.",
					     name, side->many, text);
		n_tags += service_tag_is_known(text);
	}
	if (n_tags > 1)
		return arm_refuse_at(p->s->error, 400, side->code, target,
				     "Security rule '%s' has more than one service tag in %s.",
				     name, side->many);
	return 0;
}

static int
rule_check(struct arm_plan *p, const char *id, json_t *have, json_t *want)
{
	int r = 0;

	for (size_t i = 0; want && r == 0 && i < sizeof(sides) / sizeof(*sides); i++)
		r = side_check(p, &sides[i], want);
	return r;
}

/* ---- the group ---- */

static int
priorities_check(struct arm_plan *p)
{
	const json_t *rules = collection_of(p->want->body, "securityRules");
	json_t *one;
	size_t i;

	json_array_foreach(rules, i, one)
		for (size_t j = 0; j < i; j++) {
			const json_t *other = json_array_get(rules, j);

			if (arm_int(one, "properties.priority", 0) ==
				    arm_int(other, "properties.priority", 0) &&
			    text_equal(arm_str(one, "properties.direction", NULL),
				       arm_str(other, "properties.direction", NULL)))
				return arm_refuse(
					p->s->error, 400, "SecurityRuleConflict",
					"Security rule %s conflicts with %s. Rules cannot have the "
					"same Priority and Direction.",
					arm_str(one, "name", ""), arm_str(other, "name", ""));
		}
	return 0;
}

static json_t *
default_rule(const char *name, const char *text, const char *from, const char *to,
	     const char *access, int priority, const char *direction)
{
	return json_pack("{s:s, s:{s:s, s:s, s:s, s:s, s:s, s:s, s:[], s:[], s:[], s:[], s:[], "
			 "s:[], s:s, s:i, s:s}}",
			 "name", name, "properties", "description", text, "protocol", "*",
			 "sourcePortRange", "*", "destinationPortRange", "*", "sourceAddressPrefix",
			 from, "destinationAddressPrefix", to, "sourceAddressPrefixes",
			 "destinationAddressPrefixes", "sourcePortRanges", "destinationPortRanges",
			 "sourceApplicationSecurityGroups", "destinationApplicationSecurityGroups",
			 "access", access, "priority", priority, "direction", direction);
}

static json_t *
default_rules(void)
{
	static const struct {
		const char *name, *text, *from, *to, *access;
		int priority;
		const char *direction;
	} rows[] = {
		{ "AllowVnetInBound", "Allow inbound traffic from all VMs in VNET",
		  "VirtualNetwork", "VirtualNetwork", "Allow", 65000, "Inbound" },
		{ "AllowAzureLoadBalancerInBound", "Allow inbound traffic from azure load balancer",
		  "AzureLoadBalancer", "*", "Allow", 65001, "Inbound" },
		{ "DenyAllInBound", "Deny all inbound traffic", "*", "*", "Deny", 65500,
		  "Inbound" },
		{ "AllowVnetOutBound", "Allow outbound traffic from all VMs to all VMs in VNET",
		  "VirtualNetwork", "VirtualNetwork", "Allow", 65000, "Outbound" },
		{ "AllowInternetOutBound", "Allow outbound traffic from all VMs to Internet", "*",
		  "Internet", "Allow", 65001, "Outbound" },
		{ "DenyAllOutBound", "Deny all outbound traffic", "*", "*", "Deny", 65500,
		  "Outbound" },
	};
	json_t *list = json_array();

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		json_array_append_new(list, default_rule(rows[i].name, rows[i].text, rows[i].from,
							 rows[i].to, rows[i].access,
							 rows[i].priority, rows[i].direction));
	return list;
}

static int
count_check(struct arm_plan *p)
{
	uint32_t max = catalogue_limits(network_catalogue(p->s))->rules_per_nsg;

	if (json_array_size(collection_of(p->want->body, "securityRules")) <= max)
		return 0;
	return arm_refuse(p->s->error, 400, "SecurityRuleCountLimitReached",
			  "A network security group has at most %u rules.", max);
}

static int
nsg_plan(struct arm_plan *p)
{
	if (p->verb != ARM_VERB_CREATE && p->verb != ARM_VERB_UPDATE)
		return 0;
	guid_ensure(p);
	arm_set(p->want->body, "properties.defaultSecurityRules", default_rules());
	return count_check(p) < 0 ? -EBADE : priorities_check(p);
}

static int
nsg_view(struct arm_snapshot *s, const struct arm_resource *r, json_t *out)
{
	reverse_show(s, r->fold, NSG_SUBNETS, out, "properties.subnets");
	reverse_show(s, r->fold, NSG_NICS, out, "properties.networkInterfaces");
	return 0;
}

/* clang-format off */
/* Absent values of a side are shown empty: az's tables want all of them. */
static const struct arm_prop rule_props[] = {
	{ .name = "description", .kind = ARM_STRING, .max = 140 },
	{ .name = "protocol", .kind = ARM_STRING, .flags = ARM_REQUIRED,
	  .words = (const char *const[]){ "Tcp", "Udp", "Icmp", "Esp", "*", "Ah", NULL } },
	{ .name = "sourcePortRange", .kind = ARM_STRING, .def = "\"\"" },
	{ .name = "destinationPortRange", .kind = ARM_STRING, .def = "\"\"" },
	{ .name = "sourcePortRanges", .kind = ARM_LIST, .item = ARM_STRING, .max = 4000, .def = "[]" },
	{ .name = "destinationPortRanges", .kind = ARM_LIST, .item = ARM_STRING, .max = 4000, .def = "[]" },
	{ .name = "sourceAddressPrefix", .kind = ARM_STRING, .def = "\"\"" },
	{ .name = "destinationAddressPrefix", .kind = ARM_STRING, .def = "\"\"" },
	{ .name = "sourceAddressPrefixes", .kind = ARM_LIST, .item = ARM_STRING, .max = 4000, .def = "[]" },
	{ .name = "destinationAddressPrefixes", .kind = ARM_LIST, .item = ARM_STRING, .max = 4000, .def = "[]" },
	{ .name = "sourceApplicationSecurityGroups", .kind = ARM_LIST, .item = ARM_REF, .max = 100, .def = "[]",
	  .ref_type = "Microsoft.Network/applicationSecurityGroups" },
	{ .name = "destinationApplicationSecurityGroups", .kind = ARM_LIST, .item = ARM_REF, .max = 100, .def = "[]",
	  .ref_type = "Microsoft.Network/applicationSecurityGroups" },
	{ .name = "access", .kind = ARM_STRING, .flags = ARM_REQUIRED,
	  .words = (const char *const[]){ "Allow", "Deny", NULL } },
	{ .name = "priority", .kind = ARM_INT, .flags = ARM_REQUIRED, .min = 100, .max = 4096 },
	{ .name = "direction", .kind = ARM_STRING, .flags = ARM_REQUIRED,
	  .words = (const char *const[]){ "Inbound", "Outbound", NULL } },
	{ 0 },
};

static const struct arm_type rule_type = {
	.ns = "Microsoft.Network",
	.name = "securityRules",
	.props = rule_props,
	.check = rule_check,
};

static const struct arm_type default_rule_type = {
	.ns = "Microsoft.Network",
	.name = "defaultSecurityRules",
	.flags = ARM_NO_PUT | ARM_NO_DELETE,
	.props = rule_props,
};

static const struct arm_prop nsg_props[] = {
	{ .name = "flushConnection", .kind = ARM_BOOL },
	{ .name = "securityRules", .kind = ARM_CHILDREN, .child = &rule_type, .def = "[]" },
	{ .name = "defaultSecurityRules", .kind = ARM_CHILDREN, .flags = ARM_READ_ONLY, .child = &default_rule_type },
	{ .name = "networkInterfaces", .kind = ARM_ANY, .flags = ARM_READ_ONLY },
	{ .name = "subnets", .kind = ARM_ANY, .flags = ARM_READ_ONLY },
	{ .name = "flowLogs", .kind = ARM_ANY, .flags = ARM_READ_ONLY },
	{ .name = "resourceGuid", .kind = ARM_STRING, .flags = ARM_READ_ONLY },
	{ 0 },
};
/* clang-format on */

static const struct arm_type *const nsg_children[] = { &rule_type, &default_rule_type, NULL };

const struct arm_type nsg_type = {
	.ns = "Microsoft.Network",
	.name = "networkSecurityGroups",
	.flags = ARM_TRACKED,
	.props = nsg_props,
	.children = nsg_children,
	.in_use_code = "InUseNetworkSecurityGroupCannotBeDeleted",
	.in_use_status = 400,
	.plan = nsg_plan,
	.view = nsg_view,
};
