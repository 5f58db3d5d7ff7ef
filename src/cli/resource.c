/* The nouns: circuit, peering, authorization, reach, port, route-filter, vnet, nic, gateway,
 * connection, nsg, route-table, public-ip, provider, cross-connection. Each is a row: where it lives, what its table shows, how a body is made from options. The verbs are common. */
#include "cli/resource.h"
#include "base/mem.h"
#include "cli/rest.h"

#include <errno.h>
#include <jansson.h>

#define NETWORK_API "2023-09-01"
#define FABRIC_API "2026-01-01"
#define GROUP_API "2021-04-01"
enum { COLUMNS_MAX = 9, SECRET_MAX = 1024 };

struct column {
	const char *heading, *path; /* "properties.peerings.0.name" */
};

struct noun {
	const char *name;  /* "circuit" */
	const char *type;  /* "Microsoft.Network/expressRouteCircuits" */
	const char *child; /* "peerings": NAME is then the parent and a second word the child */
	const char *child_default; /* its name when not given */
	const char *api_version;
	const char *principal; /* default */
	const char *list_path; /* below the subscription instead of the group */
	struct column columns[COLUMNS_MAX + 1];
	/* Fills body from options; have is the resource as it is, NULL when new. */
	int (*build)(struct cli *c, struct rest *r, json_t *body);
};

/* ---- JSON by path ---- */

static const json_t *
at_path(const json_t *v, const char *path)
{
	char part[64];

	while (v && *path) {
		size_t n = strcspn(path, ".");

		snprintf(part, sizeof(part), "%.*s", (int)n, path);
		v = json_is_array(v) ? json_array_get(v, strtoul(part, NULL, 10))
				     : json_object_get(v, part);
		path += n + (path[n] == '.');
	}
	return v;
}

/* A leaf as text; ids shortened to their last name; lists joined. */
static void
put_leaf(struct buf *out, const json_t *v)
{
	size_t i;
	json_t *item;

	if (json_is_string(v)) {
		const char *s = json_string_value(v), *slash = strrchr(s, '/');
		bool is_id = !strncmp(s, "/subscriptions/", 15);

		buf_printf(out, "%s", is_id && slash ? slash + 1 : s);
	} else if (json_is_integer(v)) {
		buf_printf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
	} else if (json_is_boolean(v)) {
		buf_printf(out, "%s", json_is_true(v) ? "yes" : "no");
	} else if (json_is_array(v)) {
		json_array_foreach(v, i, item) {
			buf_printf(out, "%s", i ? " " : "");
			put_leaf(out, !json_is_object(item) ? item
				      : json_object_get(item, "name")
					      ? json_object_get(item, "name")
					      : json_object_get(item, "offerName"));
		}
	}
}

char *
resource_leaf(const json_t *v, const char *path)
{
	AUTO_BUF b = { 0 };

	put_leaf(&b, at_path(v, path));
	return mem_strdup(buf_str(&b));
}

/* Sets properties.a.b, making objects on the way. value is taken. */
static void
set_path(json_t *body, const char *path, json_t *value)
{
	char part[64];

	for (;;) {
		size_t n = strcspn(path, ".");
		json_t *next;

		snprintf(part, sizeof(part), "%.*s", (int)n, path);
		if (!path[n]) {
			json_object_set_new(body, part, value);
			return;
		}
		next = json_object_get(body, part);
		if (!json_is_object(next)) {
			next = json_object();
			json_object_set_new(body, part, next);
		}
		body = next;
		path += n + 1;
	}
}

/* ---- options to fields ---- */

enum field_kind { F_TEXT, F_NUMBER, F_REF, F_SECRET, F_LIST };
struct field {
	const char *option, *path;
	enum field_kind kind;
	const char *type; /* F_REF: of the resource that a bare name means, in the same group */
};

static char *
group_path(const struct cli *c, const struct rest *r)
{
	const char *sub = c->subscription ? c->subscription : rest_env(r, "SUBSCRIPTION");

	return mem_printf("/subscriptions/%s/resourceGroups/%s", sub ? sub : "", c->group);
}

char *
resource_id(const struct cli *c, const struct rest *r, const char *type, const char *name)
{
	AUTO_FREE char *group = group_path(c, r);

	if (*name == '/')
		return mem_strdup(name);
	return mem_printf("%s/providers/%s/%s", group, type, name);
}

static int
put_number(json_t *body, const struct field *f, const char *text)
{
	char *end;
	long long v = strtoll(text, &end, 10);

	if (end == text || *end)
		return cli_fail(CLI_USAGE, "--%s wants a number, not \"%s\"", f->option, text);
	set_path(body, f->path, json_integer(v));
	return CLI_OK;
}

/* The first line of a file ("-": stdin), without its end: command lines are everybody's to read. */
static int
put_secret_of(json_t *body, const struct field *f, const char *file)
{
	FILE *in = !strcmp(file, "-") ? stdin : fopen(file, "re");
	char line[SECRET_MAX + 2], *got;
	size_t n;

	if (!in)
		return cli_fail(CLI_FAILED, "%s: %s", file, strerror(errno));
	got = fgets(line, sizeof(line), in);
	if (in != stdin)
		fclose(in);
	if (!got)
		return cli_fail(CLI_USAGE, "--%s: %s is empty", f->option,
				in == stdin ? "standard input" : file);
	n = strcspn(line, "\r\n");
	if (n > SECRET_MAX)
		return cli_fail(CLI_USAGE, "--%s: more than %d letters", f->option, SECRET_MAX);
	line[n] = 0;
	set_path(body, f->path, json_string(line));
	mem_wipe(line, sizeof(line));
	return CLI_OK;
}

/* "A,B" */
static json_t *
list_of(const char *text)
{
	json_t *list = json_array();

	while (*text) {
		size_t n = strcspn(text, ",");

		json_array_append_new(list, json_stringn(text, n));
		text += n + (text[n] == ',');
	}
	return list;
}

static int
put_fields(struct cli *c, struct rest *r, json_t *body, const struct field *f)
{
	for (; f->option; f++) {
		const char *v = cli_value(c, f->option);
		int code;

		if (!v)
			continue;
		if (f->kind == F_NUMBER && (code = put_number(body, f, v)) != CLI_OK)
			return code;
		if (f->kind == F_SECRET && !strcmp(v, "-")) {
			if ((code = put_secret_of(body, f, v)) != CLI_OK)
				return code;
		} else if (f->kind == F_TEXT || f->kind == F_SECRET) {
			set_path(body, f->path, json_string(v));
		}
		if (f->kind == F_LIST)
			set_path(body, f->path, list_of(v));
		if (f->kind == F_REF) {
			AUTO_FREE char *id = resource_id(c, r, f->type, v);

			set_path(body, f->path, json_pack("{s:s}", "id", id));
		}
	}
	return CLI_OK;
}

static void
put_default(json_t *body, const char *path, json_t *value)
{
	if (at_path(body, path))
		json_decref(value);
	else
		set_path(body, path, value);
}

static int
build_circuit(struct cli *c, struct rest *r, json_t *body)
{
	static const struct field fields[] = {
		{ "provider", "properties.serviceProviderProperties.serviceProviderName", F_TEXT,
		  NULL },
		{ "peering-location", "properties.serviceProviderProperties.peeringLocation",
		  F_TEXT, NULL },
		{ "bandwidth", "properties.serviceProviderProperties.bandwidthInMbps", F_NUMBER,
		  NULL },
		{ NULL, NULL, F_TEXT, NULL },
	};
	/* of one's own port pair */
	static const struct field direct[] = {
		{ "port", "properties.expressRoutePort", F_REF,
		  "Microsoft.Network/expressRoutePorts" },
		{ "gbps", "properties.bandwidthInGbps", F_NUMBER, NULL },
		{ "authorization-key", "properties.authorizationKey", F_SECRET, NULL },
		{ NULL, NULL, F_TEXT, NULL },
	};
	const char *tier = cli_value(c, "tier"), *family = cli_value(c, "family");
	const char *provider = rest_env(r, "ER_PROVIDER"),
		   *where = rest_env(r, "ER_PEERING_LOCATION");
	int code = put_fields(c, r, body, fields);

	if (code == CLI_OK)
		code = put_fields(c, r, body, direct);
	if (tier)
		set_path(body, "sku.tier", json_string(tier));
	if (family)
		set_path(body, "sku.family", json_string(family));
	put_default(body, "sku.tier", json_string("Standard"));
	put_default(body, "sku.family", json_string("MeteredData"));
	set_path(body, "sku.name",
		 json_sprintf("%s_%s", json_string_value(at_path(body, "sku.tier")),
			      json_string_value(at_path(body, "sku.family"))));
	if (at_path(body, direct[0].path))
		return code;
	put_default(body, fields[0].path, json_string(provider ? provider : ""));
	put_default(body, fields[1].path, json_string(where ? where : ""));
	if (code == CLI_OK && !at_path(body, fields[2].path))
		code = cli_fail(CLI_USAGE,
				"circuit create wants --bandwidth MBPS, or --port NAME and "
				"--gbps N");
	return code;
}

static int
build_peering(struct cli *c, struct rest *r, json_t *body)
{
	static const struct field fields[] = {
		{ "primary", "properties.primaryPeerAddressPrefix", F_TEXT, NULL },
		{ "secondary", "properties.secondaryPeerAddressPrefix", F_TEXT, NULL },
		{ "vlan", "properties.vlanId", F_NUMBER, NULL },
		{ "asn", "properties.peerASN", F_NUMBER, NULL },
		{ "key", "properties.sharedKey", F_SECRET, NULL },
		{ "state", "properties.state", F_TEXT, NULL },
		{ "primary6", "properties.ipv6PeeringConfig.primaryPeerAddressPrefix", F_TEXT,
		  NULL },
		{ "secondary6", "properties.ipv6PeeringConfig.secondaryPeerAddressPrefix", F_TEXT,
		  NULL },
		{ "advertise", "properties.microsoftPeeringConfig.advertisedPublicPrefixes", F_LIST,
		  NULL },
		{ "route-filter", "properties.routeFilter", F_REF,
		  "Microsoft.Network/routeFilters" },
		{ NULL, NULL, F_TEXT, NULL },
	};

	static const struct field file = { "key-file", "properties.sharedKey", F_SECRET, NULL };
	const char *key_file = cli_value(c, file.option);
	int code;

	if (key_file && cli_has(c, "key"))
		return cli_fail(CLI_USAGE, "--key or --key-file, not both");
	set_path(body, "properties.peeringType",
		 json_string(c->n_args > 1 ? c->args[1] : "AzurePrivatePeering"));
	code = put_fields(c, r, body, fields);
	return code == CLI_OK && key_file ? put_secret_of(body, &file, key_file) : code;
}

static int
build_nothing(struct cli *c, struct rest *r, json_t *body)
{
	(void)c;
	(void)r;
	(void)body;
	return CLI_OK;
}

static int
build_reach(struct cli *c, struct rest *r, json_t *body)
{
	static const struct field fields[] = {
		{ "prefix", "properties.addressPrefix", F_TEXT, NULL },
		{ "authorization-key", "properties.authorizationKey", F_SECRET, NULL },
		{ NULL, NULL, F_TEXT, NULL },
	};
	AUTO_FREE char *peer =
		resource_id(c, r, "Microsoft.Network/expressRouteCircuits", cli_value(c, "peer"));

	set_path(body, "properties.peerExpressRouteCircuitPeering.id",
		 json_sprintf("%s/peerings/AzurePrivatePeering", peer));
	return put_fields(c, r, body, fields);
}

/* Both links are sent with what they are to be; the others' values stay. */
static int
build_port(struct cli *c, struct rest *r, json_t *body)
{
	static const struct field fields[] = {
		{ "peering-location", "properties.peeringLocation", F_TEXT, NULL },
		{ "gbps", "properties.bandwidthInGbps", F_NUMBER, NULL },
		{ "encapsulation", "properties.encapsulation", F_TEXT, NULL },
		{ NULL, NULL, F_TEXT, NULL },
	};
	static const char *const links[] = { "link1", "link2" };
	json_t *list = json_array();

	for (size_t i = 0; i < COUNT(links); i++)
		if (cli_value(c, links[i]))
			json_array_append_new(list, json_pack("{s:s, s:{s:s}}", "name", links[i],
							      "properties", "adminState",
							      cli_value(c, links[i])));
	set_path(body, "properties.links", list);
	put_default(body, "properties.encapsulation", json_string("QinQ"));
	return put_fields(c, r, body, fields);
}

static int
build_route_filter(struct cli *c, struct rest *r, json_t *body)
{
	const char *communities = cli_value(c, "communities");

	(void)r;
	if (communities)
		set_path(body, "properties.rules",
			 json_pack("[{s:s, s:{s:s, s:s, s:o}}]", "name", "rule", "properties",
				   "access", "Allow", "routeFilterRuleType", "Community",
				   "communities", list_of(communities)));
	return CLI_OK;
}

/* "NAME=PREFIX[,NAME=PREFIX]" */
static int
put_subnets(json_t *body, const char *text)
{
	json_t *list = json_array();

	set_path(body, "properties.subnets", list);
	while (*text) {
		size_t n = strcspn(text, ","), eq = strcspn(text, "=");

		if (eq >= n)
			return cli_fail(CLI_USAGE,
					"--subnet wants NAME=PREFIX[,NAME=PREFIX], not \"%s\"",
					text);
		json_array_append_new(list,
				      json_pack("{s:s%, s:{s:s%}}", "name", text, eq, "properties",
						"addressPrefix", text + eq + 1, n - eq - 1));
		text += n + (text[n] == ',');
	}
	return CLI_OK;
}

static int
build_vnet(struct cli *c, struct rest *r, json_t *body)
{
	const char *prefix = cli_value(c, "prefix"), *subnet = cli_value(c, "subnet");

	(void)r;
	if (prefix)
		set_path(body, "properties.addressSpace.addressPrefixes", json_pack("[s]", prefix));
	return subnet ? put_subnets(body, subnet) : CLI_OK;
}

static int
build_vnet_peering(struct cli *c, struct rest *r, json_t *body)
{
	static const struct field fields[] = {
		{ "remote", "properties.remoteVirtualNetwork", F_REF,
		  "Microsoft.Network/virtualNetworks" },
		{ NULL, NULL, F_TEXT, NULL },
	};

	set_path(body, "properties.allowGatewayTransit", json_boolean(cli_has(c, "lend-gateway")));
	set_path(body, "properties.useRemoteGateways", json_boolean(cli_has(c, "use-gateway")));
	return put_fields(c, r, body, fields);
}

static int
build_rule(struct cli *c, struct rest *r, json_t *body)
{
	static const struct field fields[] = {
		{ "priority", "properties.priority", F_NUMBER, NULL },
		{ "direction", "properties.direction", F_TEXT, NULL },
		{ "access", "properties.access", F_TEXT, NULL },
		{ "protocol", "properties.protocol", F_TEXT, NULL },
		{ "from", "properties.sourceAddressPrefix", F_TEXT, NULL },
		{ "from-port", "properties.sourcePortRange", F_TEXT, NULL },
		{ "to", "properties.destinationAddressPrefix", F_TEXT, NULL },
		{ "port", "properties.destinationPortRange", F_TEXT, NULL },
		{ NULL, NULL, F_TEXT, NULL },
	};
	int code = put_fields(c, r, body, fields);

	put_default(body, "properties.direction", json_string("Inbound"));
	put_default(body, "properties.access", json_string("Allow"));
	for (size_t i = 3; i < 8; i++) /* any protocol, address and port */
		put_default(body, fields[i].path, json_string("*"));
	return code;
}

static int
build_route(struct cli *c, struct rest *r, json_t *body)
{
	static const struct field fields[] = {
		{ "prefix", "properties.addressPrefix", F_TEXT, NULL },
		{ "hop", "properties.nextHopType", F_TEXT, NULL },
		{ "address", "properties.nextHopIpAddress", F_TEXT, NULL },
		{ NULL, NULL, F_TEXT, NULL },
	};

	return put_fields(c, r, body, fields);
}

static int
build_public_ip(struct cli *c, struct rest *r, json_t *body)
{
	static const struct field fields[] = {
		{ "sku", "sku.name", F_TEXT, NULL },
		{ "version", "properties.publicIPAddressVersion", F_TEXT, NULL },
		{ "dns", "properties.dnsSettings.domainNameLabel", F_TEXT, NULL },
		{ NULL, NULL, F_TEXT, NULL },
	};
	int code = put_fields(c, r, body, fields);

	put_default(body, "sku.name", json_string("Standard"));
	put_default(body, "properties.publicIPAllocationMethod", json_string("Static"));
	return code;
}

static int
build_nic(struct cli *c, struct rest *r, json_t *body)
{
	static const struct field fields[] = {
		{ "nsg", "properties.networkSecurityGroup", F_REF,
		  "Microsoft.Network/networkSecurityGroups" },
		{ NULL, NULL, F_TEXT, NULL },
	};
	const char *vnet = cli_value(c, "vnet"), *subnet = cli_value(c, "subnet"),
		   *address = cli_value(c, "address");
	AUTO_FREE char *id =
		resource_id(c, r, "Microsoft.Network/virtualNetworks", vnet ? vnet : "");
	json_t *config = json_pack("{s:s, s:{s:s, s:s, s:{s:o}}}", "name", "ipconfig1",
				   "properties", "privateIPAllocationMethod",
				   address ? "Static" : "Dynamic", "privateIPAddressVersion",
				   "IPv4", "subnet", "id",
				   json_sprintf("%s/subnets/%s", id, subnet ? subnet : "default"));

	if (address)
		set_path(config, "properties.privateIPAddress", json_string(address));
	if (cli_value(c, "public-ip")) {
		AUTO_FREE char *ip = resource_id(c, r, "Microsoft.Network/publicIPAddresses",
						 cli_value(c, "public-ip"));

		set_path(config, "properties.publicIPAddress.id", json_string(ip));
	}
	set_path(body, "properties.ipConfigurations", json_pack("[o]", config));
	return put_fields(c, r, body, fields);
}

static int
build_gateway(struct cli *c, struct rest *r, json_t *body)
{
	const char *sku = cli_value(c, "sku") ? cli_value(c, "sku") : "Standard";
	AUTO_FREE char *id =
		resource_id(c, r, "Microsoft.Network/virtualNetworks", cli_value(c, "vnet"));
	json_t *config = json_pack("{s:s, s:{s:s, s:{s:o}}}", "name", "default", "properties",
				   "privateIPAllocationMethod", "Dynamic", "subnet", "id",
				   json_sprintf("%s/subnets/GatewaySubnet", id));

	set_path(body, "properties.gatewayType", json_string("ExpressRoute"));
	set_path(body, "properties.sku", json_pack("{s:s, s:s}", "name", sku, "tier", sku));
	set_path(body, "properties.ipConfigurations", json_pack("[o]", config));
	return CLI_OK;
}

static int
build_connection(struct cli *c, struct rest *r, json_t *body)
{
	static const struct field fields[] = {
		{ "gateway", "properties.virtualNetworkGateway1", F_REF,
		  "Microsoft.Network/virtualNetworkGateways" },
		{ "circuit", "properties.peer", F_REF, "Microsoft.Network/expressRouteCircuits" },
		{ "weight", "properties.routingWeight", F_NUMBER, NULL },
		{ "authorization-key", "properties.authorizationKey", F_SECRET, NULL },
		{ NULL, NULL, F_TEXT, NULL },
	};

	set_path(body, "properties.connectionType", json_string("ExpressRoute"));
	return put_fields(c, r, body, fields);
}

static int
build_provider(struct cli *c, struct rest *r, json_t *body)
{
	static const struct field fields[] = {
		{ "service-provider", "properties.serviceProviderName", F_TEXT, NULL },
		{ "provider-subscription", "properties.subscriptionId", F_TEXT, NULL },
		{ NULL, NULL, F_TEXT, NULL },
	};

	return put_fields(c, r, body, fields);
}

static int
build_cross_connection(struct cli *c, struct rest *r, json_t *body)
{
	static const struct field fields[] = {
		{ "state", "properties.serviceProviderProvisioningState", F_TEXT, NULL },
		{ "notes", "properties.serviceProviderNotes", F_TEXT, NULL },
		{ NULL, NULL, F_TEXT, NULL },
	};

	return put_fields(c, r, body, fields);
}

// clang-format off
static const struct noun nouns[] = {
	{ "circuit", "Microsoft.Network/expressRouteCircuits", NULL, NULL, NETWORK_API, "customer", NULL,
	  { { "NAME", "name" }, { "PROVIDER", "properties.serviceProviderProperties.serviceProviderName" },
	    { "LOCATION", "properties.serviceProviderProperties.peeringLocation" },
	    { "MBPS", "properties.serviceProviderProperties.bandwidthInMbps" }, { "SKU", "sku.name" },
	    { "CIRCUIT", "properties.circuitProvisioningState" },
	    { "PROVIDER STATE", "properties.serviceProviderProvisioningState" },
	    { "SERVICE KEY", "properties.serviceKey" } }, build_circuit },
	{ "peering", "Microsoft.Network/expressRouteCircuits", "peerings", "AzurePrivatePeering", NETWORK_API, "customer", NULL,
	  { { "NAME", "name" }, { "STATE", "properties.state" }, { "VLAN", "properties.vlanId" },
	    { "ASN", "properties.peerASN" }, { "PRIMARY", "properties.primaryPeerAddressPrefix" },
	    { "SECONDARY", "properties.secondaryPeerAddressPrefix" }, { "PORT A", "properties.primaryAzurePort" },
	    { "PORT B", "properties.secondaryAzurePort" }, { "BY", "properties.lastModifiedBy" } }, build_peering },
	{ "authorization", "Microsoft.Network/expressRouteCircuits", "authorizations", NULL, NETWORK_API, "customer", NULL,
	  { { "NAME", "name" }, { "KEY", "properties.authorizationKey" }, { "USE", "properties.authorizationUseStatus" },
	    { "BY", "properties.connectionResourceUri" } }, build_nothing },
	{ "reach", "Microsoft.Network/expressRouteCircuits", "peerings/AzurePrivatePeering/connections", NULL, NETWORK_API,
	  "customer", NULL,
	  { { "NAME", "name" }, { "PREFIX", "properties.addressPrefix" }, { "STATUS", "properties.circuitConnectionStatus" },
	    { "STATE", "properties.provisioningState" } }, build_reach },
	{ "port", "Microsoft.Network/expressRoutePorts", NULL, NULL, NETWORK_API, "customer", NULL,
	  { { "NAME", "name" }, { "LOCATION", "properties.peeringLocation" }, { "GBPS", "properties.bandwidthInGbps" },
	    { "TAGS", "properties.encapsulation" }, { "LINK 1", "properties.links.0.properties.adminState" },
	    { "LINK 2", "properties.links.1.properties.adminState" },
	    { "ROUTER 1", "properties.links.0.properties.routerName" },
	    { "ROUTER 2", "properties.links.1.properties.routerName" } }, build_port },
	{ "route-filter", "Microsoft.Network/routeFilters", NULL, NULL, NETWORK_API, "customer", NULL,
	  { { "NAME", "name" }, { "COMMUNITIES", "properties.rules.0.properties.communities" },
	    { "STATE", "properties.provisioningState" } }, build_route_filter },
	{ "vnet", "Microsoft.Network/virtualNetworks", NULL, NULL, NETWORK_API, "customer", NULL,
	  { { "NAME", "name" }, { "LOCATION", "location" }, { "ADDRESS SPACE", "properties.addressSpace.addressPrefixes" },
	    { "SUBNETS", "properties.subnets" }, { "STATE", "properties.provisioningState" } }, build_vnet },
	{ "vnet-peering", "Microsoft.Network/virtualNetworks", "virtualNetworkPeerings", NULL, NETWORK_API, "customer", NULL,
	  { { "NAME", "name" }, { "REMOTE", "properties.remoteVirtualNetwork.id" }, { "STATE", "properties.peeringState" },
	    { "SYNC", "properties.peeringSyncLevel" }, { "LENDS GATEWAY", "properties.allowGatewayTransit" },
	    { "USES GATEWAY", "properties.useRemoteGateways" } }, build_vnet_peering },
	{ "nsg", "Microsoft.Network/networkSecurityGroups", NULL, NULL, NETWORK_API, "customer", NULL,
	  { { "NAME", "name" }, { "RULES", "properties.securityRules" }, { "SUBNETS", "properties.subnets.0.id" },
	    { "NICS", "properties.networkInterfaces.0.id" } }, build_nothing },
	{ "nsg-rule", "Microsoft.Network/networkSecurityGroups", "securityRules", NULL, NETWORK_API, "customer", NULL,
	  { { "NAME", "name" }, { "PRIORITY", "properties.priority" }, { "DIRECTION", "properties.direction" },
	    { "ACCESS", "properties.access" }, { "PROTOCOL", "properties.protocol" },
	    { "FROM", "properties.sourceAddressPrefix" }, { "TO", "properties.destinationAddressPrefix" },
	    { "PORT", "properties.destinationPortRange" } }, build_rule },
	{ "route-table", "Microsoft.Network/routeTables", NULL, NULL, NETWORK_API, "customer", NULL,
	  { { "NAME", "name" }, { "ROUTES", "properties.routes" }, { "SUBNETS", "properties.subnets.0.id" } }, build_nothing },
	{ "route", "Microsoft.Network/routeTables", "routes", NULL, NETWORK_API, "customer", NULL,
	  { { "NAME", "name" }, { "PREFIX", "properties.addressPrefix" }, { "NEXT HOP", "properties.nextHopType" },
	    { "ADDRESS", "properties.nextHopIpAddress" } }, build_route },
	{ "public-ip", "Microsoft.Network/publicIPAddresses", NULL, NULL, NETWORK_API, "customer", NULL,
	  { { "NAME", "name" }, { "ADDRESS", "properties.ipAddress" }, { "SKU", "sku.name" },
	    { "METHOD", "properties.publicIPAllocationMethod" }, { "USED BY", "properties.ipConfiguration.id" },
	    { "DNS", "properties.dnsSettings.fqdn" } }, build_public_ip },
	{ "nic", "Microsoft.Network/networkInterfaces", NULL, NULL, NETWORK_API, "customer", NULL,
	  { { "NAME", "name" }, { "ADDRESS", "properties.ipConfigurations.0.properties.privateIPAddress" },
	    { "SUBNET", "properties.ipConfigurations.0.properties.subnet.id" }, { "MAC", "properties.macAddress" },
	    { "STATE", "properties.provisioningState" } }, build_nic },
	{ "gateway", "Microsoft.Network/virtualNetworkGateways", NULL, NULL, NETWORK_API, "customer", NULL,
	  { { "NAME", "name" }, { "TYPE", "properties.gatewayType" }, { "SKU", "properties.sku.name" },
	    { "STATE", "properties.provisioningState" } }, build_gateway },
	{ "connection", "Microsoft.Network/connections", NULL, NULL, NETWORK_API, "customer", NULL,
	  { { "NAME", "name" }, { "GATEWAY", "properties.virtualNetworkGateway1.id" }, { "CIRCUIT", "properties.peer.id" },
	    { "WEIGHT", "properties.routingWeight" }, { "STATUS", "properties.connectionStatus" },
	    { "STATE", "properties.provisioningState" } }, build_connection },
	{ "provider", "Wayleave.Fabric/providers", NULL, NULL, FABRIC_API, "operator", NULL,
	  { { "NAME", "name" }, { "SERVICE PROVIDER", "properties.serviceProviderName" },
	    { "SUBSCRIPTION", "properties.subscriptionId" } }, build_provider },
	{ "offer", NULL, NULL, NULL, NETWORK_API, "customer", "/providers/Microsoft.Network/expressRouteServiceProviders",
	  { { "PROVIDER", "name" }, { "PEERING LOCATIONS", "properties.peeringLocations" },
	    { "BANDWIDTHS", "properties.bandwidthsOffered" } }, NULL },
	{ "cross-connection", "Microsoft.Network/expressRouteCrossConnections", NULL, NULL, NETWORK_API, "provider",
	  "/providers/Microsoft.Network/expressRouteCrossConnections",
	  { { "NAME", "name" }, { "LOCATION", "properties.peeringLocation" }, { "MBPS", "properties.bandwidthInMbps" },
	    { "S-TAG", "properties.sTag" }, { "PORT A", "properties.primaryAzurePort" },
	    { "PORT B", "properties.secondaryAzurePort" }, { "STATE", "properties.serviceProviderProvisioningState" } },
	  build_cross_connection },
};
// clang-format on

static const struct noun *
noun_of(const struct cli *c)
{
	size_t n = strcspn(c->command->name, " ");

	for (size_t i = 0; i < COUNT(nouns); i++)
		if (strlen(nouns[i].name) == n && !memcmp(nouns[i].name, c->command->name, n))
			return &nouns[i];
	return NULL;
}

/* ---- printing ---- */

static void
print_rows(const struct noun *noun, const json_t *list)
{
	const char *headings[COLUMNS_MAX + 1] = { 0 };
	AUTO_BUF out = { 0 };
	size_t i;
	json_t *item;

	for (unsigned k = 0; noun->columns[k].heading; k++)
		headings[k] = noun->columns[k].heading;

	AUTO(table) t = table_create(headings);

	json_array_foreach(list, i, item) {
		char *cell[COLUMNS_MAX] = { 0 };

		for (unsigned k = 0; noun->columns[k].heading; k++)
			cell[k] = resource_leaf(item, noun->columns[k].path);
		table_add(t, cell[0], cell[1], cell[2], cell[3], cell[4], cell[5], cell[6], cell[7],
			  cell[8]);
		for (unsigned k = 0; k < COLUMNS_MAX; k++)
			free(cell[k]);
	}
	if (!table_rows(t)) {
		fprintf(stderr, "no %ss\n", noun->name);
		return;
	}
	table_print(t, &out);
	fputs(buf_str(&out), stdout);
}

static void
print_one(const struct cli *c, const struct noun *noun, const json_t *body)
{
	if (c->is_json) {
		cli_print_json(body);
		return;
	}
	for (unsigned k = 0; noun->columns[k].heading; k++) {
		AUTO_FREE char *text = resource_leaf(body, noun->columns[k].path);

		printf("%-15s %s\n", noun->columns[k].heading, *text ? text : "-");
	}
}

/* ---- verbs ---- */

static int
open_for(struct cli *c, const struct noun *noun, struct rest **ret)
{
	return rest_open(c, c->as ? c->as : noun->principal, ret);
}

/* A cross connection is found by its service key in whatever group it lies. */
static int
find_by_name(struct cli *c, struct rest *r, const struct noun *noun, char **ret)
{
	const char *sub = c->subscription ? c->subscription : rest_env(r, "SUBSCRIPTION");
	AUTO_FREE char *path = mem_printf("/subscriptions/%s%s", sub, noun->list_path);
	json_t *all, *item;
	size_t i;
	int code = rest_list(r, path, noun->api_version, &all);

	if (code != CLI_OK)
		return code;
	*ret = NULL;
	json_array_foreach(all, i, item) {
		const char *name = json_string_value(json_object_get(item, "name"));

		if (name && !strcasecmp(name, c->args[0]))
			*ret = mem_strdup(json_string_value(json_object_get(item, "id")));
	}
	json_decref(all);
	return *ret ? CLI_OK
		    : cli_fail(CLI_NOT_FOUND, "no %s called %s; `wayleave %s list` shows them",
			       noun->name, c->args[0], noun->name);
}

static int
path_of(struct cli *c, struct rest *r, const struct noun *noun, char **ret)
{
	const char *child = c->n_args > 1 ? c->args[1] : noun->child_default;

	if (noun->list_path && *c->args[0] != '/')
		return find_by_name(c, r, noun, ret);
	*ret = resource_id(c, r, noun->type, c->args[0]);
	if (noun->child) {
		AUTO_FREE char *parent = *ret;

		*ret = mem_printf("%s/%s/%s", parent, noun->child, child);
	}
	return CLI_OK;
}

/* The group appears with its first resource. */
static int
ensure_group(struct cli *c, struct rest *r, const char *location)
{
	AUTO_FREE char *path = group_path(c, r);
	struct rest_answer a;
	json_t *body;
	int code = rest_call(r, "GET", path, GROUP_API, NULL, &a);
	bool is_missing = a.status == 404;

	rest_answer_fini(&a);
	if (code != CLI_OK || !is_missing)
		return code;
	body = json_pack("{s:s}", "location", location);
	code = rest_do(r, "PUT", path, GROUP_API, body, NULL);
	json_decref(body);
	return code;
}

/* create: a new resource, or everything of an old one said again; update: GET, change, PUT. */
static int
put_resource(struct cli *c, bool is_update)
{
	const struct noun *noun = noun_of(c);
	AUTO(rest) r = NULL;
	AUTO_FREE char *path = NULL;
	struct rest_answer a = { 0 };
	const char *location;
	json_t *body = NULL;
	int code = open_for(c, noun, &r);

	if (code != CLI_OK || (code = path_of(c, r, noun, &path)) != CLI_OK)
		return code;
	location = !is_update && !noun->child && cli_value(c, "location") ? cli_value(c, "location")
									  : rest_env(r, "LOCATION");
	if (is_update) {
		code = rest_do(r, "GET", path, noun->api_version, NULL, &body);
		if (code != CLI_OK)
			return code;
	} else {
		if (!noun->child && (code = ensure_group(c, r, location ? location : "")) != CLI_OK)
			return code;
		body = json_object();
		if (!noun->child)
			json_object_set_new(body, "location",
					    json_string(location ? location : ""));
	}
	code = noun->build(c, r, body);
	if (code == CLI_OK) {
		json_t *done = NULL;

		code = rest_do(r, "PUT", path, noun->api_version, body, &done);
		if (code == CLI_OK)
			print_one(c, noun, done);
		json_decref(done);
	}
	json_decref(body);
	rest_answer_fini(&a);
	return code;
}

int
resource_create(struct cli *c)
{
	return put_resource(c, false);
}

int
resource_update(struct cli *c)
{
	return put_resource(c, true);
}

int
resource_show(struct cli *c)
{
	const struct noun *noun = noun_of(c);
	AUTO(rest) r = NULL;
	AUTO_FREE char *path = NULL;
	json_t *body = NULL;
	int code = open_for(c, noun, &r);

	if (code != CLI_OK || (code = path_of(c, r, noun, &path)) != CLI_OK)
		return code;
	code = rest_do(r, "GET", path, noun->api_version, NULL, &body);
	if (code == CLI_OK)
		print_one(c, noun, body);
	json_decref(body);
	return code;
}

int
resource_delete(struct cli *c)
{
	const struct noun *noun = noun_of(c);
	AUTO(rest) r = NULL;
	AUTO_FREE char *path = NULL;
	int code = open_for(c, noun, &r);

	if (code != CLI_OK || (code = path_of(c, r, noun, &path)) != CLI_OK)
		return code;
	code = rest_do(r, "DELETE", path, noun->api_version, NULL, NULL);
	if (code == CLI_OK && !c->is_json)
		printf("%s %s deleted\n", noun->name, c->args[0]);
	return code;
}

int
resource_list(struct cli *c)
{
	const struct noun *noun = noun_of(c);
	AUTO(rest) r = NULL;
	AUTO_FREE char *path = NULL;
	json_t *all = NULL;
	int code = open_for(c, noun, &r);

	if (code != CLI_OK)
		return code;
	if (noun->child) {
		AUTO_FREE char *parent = resource_id(c, r, noun->type, c->args[0]);

		path = mem_printf("%s/%s", parent, noun->child);
	} else {
		const char *sub = c->subscription ? c->subscription : rest_env(r, "SUBSCRIPTION");

		path = mem_printf("/subscriptions/%s%s%s", sub ? sub : "",
				  noun->list_path ? noun->list_path : "/providers/",
				  noun->list_path ? "" : noun->type);
	}
	code = rest_list(r, path, noun->api_version, &all);
	if (code == CLI_OK && c->is_json)
		cli_print_json(all);
	else if (code == CLI_OK)
		print_rows(noun, all);
	json_decref(all);
	return code;
}

/* An attachment is a child of the host: its name is the NIC's, with its group, which is unique. The
 * operator makes it; --as says whose NIC it is. */
int
resource_host_attach(struct cli *c)
{
	const char *verb = strchr(c->command->name, ' ') + 1;
	const char *host = cli_value(c, "host") ? cli_value(c, "host") : "host-1";
	bool is_attach = !strcmp(verb, "attach");
	AUTO(rest) customer = NULL;
	AUTO(rest) r = NULL;
	AUTO_FREE char *nic = NULL;
	AUTO_FREE char *path = NULL;
	json_t *body;
	int code = rest_open(c, c->as ? c->as : "customer", &customer);

	if (code != CLI_OK || (code = rest_open(c, "operator", &r)) != CLI_OK)
		return code;
	nic = resource_id(c, customer, "Microsoft.Network/networkInterfaces", c->args[0]);
	path = mem_printf(
		"/subscriptions/%s/resourceGroups/fabric/providers/Wayleave.Fabric/hosts/%s/attachments/%s-%s",
		rest_env(r, "SUBSCRIPTION"), host, c->group, strrchr(nic, '/') + 1);
	body = is_attach ? json_pack("{s:{s:{s:s}, s:s}}", "properties", "networkInterface", "id",
				     nic, "device", c->args[1])
			 : NULL;
	code = rest_do(r, is_attach ? "PUT" : "DELETE", path, FABRIC_API, body, NULL);
	json_decref(body);
	if (code == CLI_OK && !c->is_json)
		printf("%s %sed%s%s on %s\n", c->args[0], verb, is_attach ? " to " : "",
		       is_attach ? c->args[1] : "", host);
	return code;
}
