/* The table of commands. */
#include "cli/account.h"
#include "cli/az.h"
#include "cli/catalogue.h"
#include "cli/circuit.h"
#include "cli/directory.h"
#include "cli/events.h"
#include "cli/lab.h"
#include "cli/local.h"
#include "cli/network.h"
#include "cli/resource.h"
#include "cli/signin.h"
#include "cli/status.h"
#include "cli/up.h"

// clang-format off
static const struct cli_option circuit_options[] = {
	{ "bandwidth", "MBPS", "as offered: `wayleave offer list`", false },
	{ "provider", "NAME", "service provider", false },
	{ "peering-location", "NAME", "where the provider meets the edges", false },
	{ "tier", "TIER", "Local, Standard or Premium (default Standard)", false },
	{ "family", "FAMILY", "MeteredData or UnlimitedData (default MeteredData)", false },
	{ "port", "NAME", "without a provider: on this port pair, name or full id", false },
	{ "gbps", "N", "its bandwidth there: 1, 2, 5, 10, 40 or 100", false },
	{ "authorization-key", "KEY", "for a port pair of another subscription; -: a line of stdin", false },
	{ "location", "REGION", "default: $LOCATION of the environment", false },
	{ NULL, NULL, NULL, false },
};
static const struct cli_option peering_options[] = {
	{ "primary", "PREFIX", "the /30 of the link to edge A; you take its first address", false },
	{ "secondary", "PREFIX", "the /30 of the link to edge B", false },
	{ "vlan", "ID", "the C-tag, 1 to 4094, the same on both links", false },
	{ "asn", "NUMBER", "your AS number", false },
	{ "key", "KEY", "MD5 key of the BGP sessions, up to 25 letters and digits; -: a line of stdin", false },
	{ "key-file", "FILE", "the same from a file's first line, out of sight of others", false },
	{ "state", "STATE", "Enabled or Disabled", false },
	{ "primary6", "PREFIX", "IPv6: the /126 of the link to edge A", false },
	{ "secondary6", "PREFIX", "IPv6: the /126 of the link to edge B", false },
	{ "advertise", "PREFIX,...", "MicrosoftPeering: what you will announce", false },
	{ "route-filter", "NAME", "MicrosoftPeering: what you want to hear", false },
	{ "location", "REGION", "not used", false },
	{ NULL, NULL, NULL, false },
};
static const struct cli_option reach_options[] = {
	{ "peer", "CIRCUIT", "the other circuit, at another peering location; name or full id", true },
	{ "prefix", "PREFIX", "a /29 that neither side uses", true },
	{ "authorization-key", "KEY", "for a circuit of another subscription; -: a line of stdin", false },
	{ "location", "REGION", "not used", false },
	{ NULL, NULL, NULL, false },
};
static const struct cli_option name_options[] = {
	{ "location", "REGION", "not used", false },
	{ NULL, NULL, NULL, false },
};
static const struct cli_option port_options[] = {
	{ "peering-location", "NAME", "a place with direct ports", false },
	{ "gbps", "N", "of each link: 10 or 100", false },
	{ "encapsulation", "TAGS", "QinQ or Dot1Q (default QinQ)", false },
	{ "link1", "STATE", "Enabled or Disabled: the link to edge A", false },
	{ "link2", "STATE", "the link to edge B", false },
	{ "location", "REGION", "default: $LOCATION of the environment", false },
	{ NULL, NULL, NULL, false },
};
static const struct cli_option filter_options[] = {
	{ "communities", "ASN:VALUE,...", "the services wanted", false },
	{ "location", "REGION", "default: $LOCATION of the environment", false },
	{ NULL, NULL, NULL, false },
};
static const struct cli_option vnet_options[] = {
	{ "prefix", "PREFIX", "address space", false },
	{ "subnet", "NAME=PREFIX,...", "GatewaySubnet is where a gateway goes", false },
	{ "location", "REGION", "default: $LOCATION of the environment", false },
	{ NULL, NULL, NULL, false },
};
static const struct cli_option nic_options[] = {
	{ "vnet", "NAME", "its virtual network", true },
	{ "subnet", "NAME", "default: default", false },
	{ "address", "ADDRESS", "default: the next free one", false },
	{ "nsg", "NAME", "its network security group", false },
	{ "public-ip", "NAME", "its public address", false },
	{ "location", "REGION", "default: $LOCATION of the environment", false },
	{ NULL, NULL, NULL, false },
};
static const struct cli_option vnet_peering_options[] = {
	{ "remote", "VNET", "the other virtual network, name or full id", true },
	{ "lend-gateway", NULL, "it may use our gateway", false },
	{ "use-gateway", NULL, "we use its gateway", false },
	{ NULL, NULL, NULL, false },
};
static const struct cli_option rule_options[] = {
	{ "priority", "N", "100 to 4096, each once a direction; the lowest that matches decides", false },
	{ "direction", "DIRECTION", "Inbound (default) or Outbound", false },
	{ "access", "ACCESS", "Allow (default) or Deny", false },
	{ "protocol", "PROTOCOL", "Tcp, Udp, Icmp, Esp, Ah or * (default)", false },
	{ "from", "PREFIX", "a prefix, an address, a service tag or * (default)", false },
	{ "from-port", "PORTS", "80, 1-1023 or * (default)", false },
	{ "to", "PREFIX", "as --from", false },
	{ "port", "PORTS", "the destination's, as --from-port", false },
	{ NULL, NULL, NULL, false },
};
static const struct cli_option route_options[] = {
	{ "prefix", "PREFIX", "where to, or a service tag", false },
	{ "hop", "TYPE", "VirtualAppliance, VirtualNetworkGateway, VnetLocal, Internet or None", false },
	{ "address", "ADDRESS", "the appliance's", false },
	{ NULL, NULL, NULL, false },
};
static const struct cli_option public_ip_options[] = {
	{ "sku", "SKU", "Standard (default) or Basic", false },
	{ "version", "VERSION", "IPv4 (default) or IPv6", false },
	{ "dns", "LABEL", "a name in the region", false },
	{ "location", "REGION", "default: $LOCATION of the environment", false },
	{ NULL, NULL, NULL, false },
};
static const struct cli_option place_options[] = {
	{ "location", "REGION", "default: $LOCATION of the environment", false },
	{ NULL, NULL, NULL, false },
};
static const struct cli_option peer_options[] = {
	{ "peer", "ADDRESS", "one of `gateway peers`", true },
	{ NULL, NULL, NULL, false },
};
static const struct cli_option gateway_options[] = {
	{ "vnet", "NAME", "it needs a subnet called GatewaySubnet", true },
	{ "sku", "SKU", "Standard, HighPerformance, UltraPerformance, ErGw1AZ, ...", false },
	{ "location", "REGION", "default: $LOCATION of the environment", false },
	{ NULL, NULL, NULL, false },
};
static const struct cli_option connection_options[] = {
	{ "gateway", "NAME", "the VNet's gateway", true },
	{ "circuit", "NAME", "name or full id", true },
	{ "weight", "N", "routing weight, 0 to 32000", false },
	{ "authorization-key", "KEY", "for a circuit of another subscription; -: a line of stdin", false },
	{ "location", "REGION", "default: $LOCATION of the environment", false },
	{ NULL, NULL, NULL, false },
};
static const struct cli_option provider_options[] = {
	{ "service-provider", "NAME", "as in the catalogue", true },
	{ "provider-subscription", "ID", "where its cross connections appear", true },
	{ "location", "REGION", "default: $LOCATION of the environment", false },
	{ NULL, NULL, NULL, false },
};
static const struct cli_option cross_options[] = {
	{ "state", "STATE", "NotProvisioned, Provisioning, Provisioned or Deprovisioning", false },
	{ "notes", "TEXT", "the customer sees them", false },
	{ NULL, NULL, NULL, false },
};
static const struct cli_option path_options[] = {
	{ "path", "primary|secondary", "which link (default: both)", false },
	{ "peering", "NAME", "default: AzurePrivatePeering", false },
	{ NULL, NULL, NULL, false },
};
static const struct cli_option host_options[] = {
	{ "host", "NAME", "default: host-1", false },
	{ NULL, NULL, NULL, false },
};
static const struct cli_option rotate_options[] = {
	{ "now", NULL, "the next key signs at once, and no token given so far counts any more", false },
	{ NULL, NULL, NULL, false },
};
static const struct cli_option up_options[] = {
	{ "static", "DIR", "no controller: DIR/edge-a.yaml, edge-b.yaml and host-1.yaml say all", false },
	{ NULL, NULL, NULL, false },
};

static const struct cli_option user_options[] = {
	{ "name", "NAME", "as people read it", false },
	{ NULL, NULL, NULL, false },
};
static const struct cli_option tenant_options[] = {
	{ "name", "NAME", "as people read it", false },
	{ "domain", "DOMAIN", "what follows the @ of its users", false },
	{ NULL, NULL, NULL, false },
};
static const struct cli_option scope_options[] = {
	{ "scope", "ID", "a group, a resource, a management group or / (default: the subscription)", false },
	{ NULL, NULL, NULL, false },
};

#define CHILD(noun, parent, what, options)                                                           \
	{ noun " create", parent " NAME", "make " what, resource_create, options, NULL },            \
	{ noun " update", parent " NAME", "change what is given, keep the rest", resource_update, options, NULL }, \
	{ noun " list", parent, "all of them", resource_list, NULL, NULL },                          \
	{ noun " show", parent " NAME", "one of them", resource_show, NULL, NULL },                  \
	{ noun " delete", parent " NAME", "remove it", resource_delete, NULL, NULL }
#define NOUN(noun, arg, what, options)                                                              \
	{ noun " create", arg, "make " what, resource_create, options, NULL },                      \
	{ noun " update", arg, "change what is given, keep the rest", resource_update, options, NULL }, \
	{ noun " list", NULL, "all of the subscription's", resource_list, NULL, NULL },             \
	{ noun " show", arg, "one of them", resource_show, NULL, NULL },                            \
	{ noun " delete", arg, "remove it", resource_delete, NULL, NULL }

const struct cli_command cli_commands[] = {
	{ "up", NULL, "run everything on this machine until Ctrl-C", up_run, up_options, NULL },
	{ "down", NULL, "end what `wayleave up` runs", up_down, NULL, NULL },
	{ "status", NULL, "one screen: circuits, links, sessions, rates", status_run, NULL, NULL },
	{ "routes", "[NODE]", "the tables of edges and hosts on this machine", status_routes, NULL, NULL },
	{ "events", "[CIRCUIT]", "what happens to the subscription or a circuit, as it happens", events_watch, NULL, NULL },
	{ "env", NULL, "variables for az, SDKs and scripts, for a shell to source", account_env, NULL, NULL },
	{ "token", NULL, "a bearer token (--as chooses whose)", account_token, NULL, NULL },
	{ "trust", NULL, "how programs come to trust this Wayleave's CA", account_trust, NULL, NULL },
	{ "user list", NULL, "the tenant's users (operator)", directory_list, NULL, NULL },
	{ "user show", "USER", "one of them", directory_show, NULL, NULL },
	{ "user create", "NAME@DOMAIN", "a new user; `wayleave user invite` lets him in", directory_create, user_options, NULL },
	{ "user disable", "USER", "may do nothing from now on", directory_enable, NULL, NULL },
	{ "user enable", "USER", "may again", directory_enable, NULL, NULL },
	{ "user delete", "USER", "with all roles and memberships", directory_delete, NULL, NULL },
	{ "user invite", "NAME", "a link that signs this user in, once (operator)", signin_invite, NULL, NULL },
	{ "user revoke", "NAME", "end this user's sessions, sign-ins and links (operator)", signin_revoke, NULL, NULL },
	{ "group list", NULL, "the tenant's groups (operator)", directory_list, NULL, NULL },
	{ "group create", "NAME", "a new group", directory_create, NULL, NULL },
	{ "group add", "GROUP WHO", "make a user, group or application a member", directory_member, NULL, NULL },
	{ "group remove", "GROUP WHO", "no member any more", directory_member, NULL, NULL },
	{ "group delete", "GROUP", "with all roles it gave", directory_delete, NULL, NULL },
	{ "app list", NULL, "the tenant's applications (operator)", directory_list, NULL, NULL },
	{ "role list", NULL, "which roles there are", directory_list, NULL, NULL },
	{ "role assigned", NULL, "who has which role there", directory_assigned, scope_options, NULL },
	{ "role assign", "ROLE WHO", "give a role to a user, group or application", directory_assign, scope_options, NULL },
	{ "role revoke", "ASSIGNMENT", "take it away again", directory_revoke, NULL, NULL },
	{ "partner list", NULL, "resellers (operator)", directory_list, NULL, NULL },
	{ "partner create", "NAME", "a reseller's tenant (operator)", directory_create, tenant_options, NULL },
	{ "partner admin", "NAME", "a new agent of it, with a secret (operator)", directory_admin, NULL, NULL },
	{ "partner delete", "NAME", "close it, once it has no customers", directory_delete, NULL, NULL },
	{ "customer list", NULL, "a reseller's customers (--as its agent)", directory_list, NULL, NULL },
	{ "customer show", "NAME", "one of them", directory_show, NULL, NULL },
	{ "customer create", "NAME", "a tenant and a subscription for it", directory_create, tenant_options, NULL },
	{ "customer admin", "NAME", "its first administrator, with a secret", directory_admin, NULL, NULL },
	{ "customer delete", "NAME", "part: it keeps all that is its own", directory_delete, NULL, NULL },
	{ "signing-key list", NULL, "the keys that tokens are signed with (operator)", signin_keys, NULL, NULL },
	{ "signing-key rotate", NULL, "another key in ten minutes (operator)", signin_rotate, rotate_options, NULL },
	{ "az", "ARGUMENT...", "Azure's own command line, logged in here as --as says (default: customer)", az_run, NULL, NULL },
	NOUN("circuit", "NAME", "a circuit", circuit_options),
	{ "circuit arp", "NAME", "who answers on the links", circuit_rows, path_options, &circuit_arp },
	{ "circuit routes", "NAME", "the peering's table on the edges", circuit_rows, path_options, &circuit_routes },
	{ "circuit summary", "NAME", "the peering's sessions", circuit_rows, path_options, &circuit_summary },
	{ "circuit stats", "NAME", "bytes in and out, by link", circuit_stats, NULL, NULL },
	{ "peering create", "CIRCUIT [PEERING]", "add a peering (default: AzurePrivatePeering)", resource_create, peering_options, NULL },
	{ "peering update", "CIRCUIT [PEERING]", "change what is given, keep the rest", resource_update, peering_options, NULL },
	{ "peering list", "CIRCUIT", "a circuit's peerings", resource_list, NULL, NULL },
	{ "peering show", "CIRCUIT [PEERING]", "one of them", resource_show, NULL, NULL },
	{ "peering delete", "CIRCUIT [PEERING]", "remove it", resource_delete, NULL, NULL },
	{ "authorization create", "CIRCUIT NAME", "a key, good for one connection of another subscription", resource_create, name_options, NULL },
	{ "authorization list", "CIRCUIT", "a circuit's authorizations and who used them", resource_list, NULL, NULL },
	{ "authorization show", "CIRCUIT NAME", "one of them", resource_show, NULL, NULL },
	{ "authorization delete", "CIRCUIT NAME", "revoke it: the connection made with it goes", resource_delete, NULL, NULL },
	{ "reach create", "CIRCUIT NAME", "join a circuit with another (Global Reach)", resource_create, reach_options, NULL },
	{ "reach list", "CIRCUIT", "the circuits it is joined with", resource_list, NULL, NULL },
	{ "reach show", "CIRCUIT NAME", "one of them", resource_show, NULL, NULL },
	{ "reach delete", "CIRCUIT NAME", "part them", resource_delete, NULL, NULL },
	NOUN("port", "NAME", "a port pair of your own on the edges", port_options),
	NOUN("route-filter", "NAME", "which services a Microsoft peering announces", filter_options),
	NOUN("vnet", "NAME", "a virtual network", vnet_options),
	NOUN("nic", "NAME", "a network interface for a virtual machine", nic_options),
	{ "nic routes", "NAME", "where its packets go: the system's, yours and what was learned", network_rows, NULL, &nic_routes },
	{ "nic rules", "NAME", "the security rules that hold for it, in order", network_rows, NULL, &nic_rules },
	CHILD("vnet-peering", "VNET", "one side of a peering of virtual networks", vnet_peering_options),
	NOUN("nsg", "NAME", "a network security group", place_options),
	CHILD("nsg-rule", "NSG", "a rule of it", rule_options),
	NOUN("route-table", "NAME", "a route table", place_options),
	CHILD("route", "TABLE", "a route of it", route_options),
	NOUN("public-ip", "NAME", "a public address of the region", public_ip_options),
	NOUN("gateway", "NAME", "the gateway that attaches a VNet to circuits", gateway_options),
	{ "gateway peers", "NAME", "the edges it speaks BGP with", network_rows, NULL, &gateway_peers },
	{ "gateway learned", "NAME", "what it has learned from them", network_rows, NULL, &gateway_learned },
	{ "gateway advertised", "NAME", "what one of them announces for it", network_rows, peer_options, &gateway_advertised },
	NOUN("connection", "NAME", "the tie between a gateway and a circuit", connection_options),
	{ "offer list", NULL, "which providers offer circuits where, and how fast", resource_list, NULL, NULL },
	{ "catalogue show", "[FILE]", "the version that counts, or one of its files (operator)", catalogue_show, NULL, NULL },
	{ "catalogue diff", "[DIR]", "what applying the files of DIR would change", catalogue_diff_command, NULL, NULL },
	{ "catalogue apply", "[DIR]", "make them the version that counts", catalogue_apply, NULL, NULL },
	NOUN("provider", "NAME", "a service provider's account (operator)", provider_options),
	{ "cross-connection list", NULL, "circuits ordered with this provider (provider)", resource_list, NULL, NULL },
	{ "cross-connection show", "SERVICE-KEY", "one of them", resource_show, NULL, NULL },
	{ "cross-connection update", "SERVICE-KEY", "say how far provisioning is", resource_update, cross_options, NULL },
	{ "host attach", "NIC DEV", "bind a NIC to a host's interface (operator)", resource_host_attach, host_options, NULL },
	{ "host detach", "NIC", "let it go again", resource_host_attach, host_options, NULL },
	{ "query", "NODE QUERY [OBJECT]", "ask a node of this machine, as JSON", local_query_command, NULL, NULL },
	{ "lab up", NULL, "a customer with two FRR routers beside the running Wayleave", lab_run, NULL, NULL },
	{ "lab down", NULL, "end it", lab_run, NULL, NULL },
	{ "lab shell", "[NAMESPACE] [COMMAND...]", "a shell inside one of its namespaces", lab_run, NULL, NULL },
	{ "demo", NULL, "the whole story, step by step, in a lab of its own", lab_demo, NULL, NULL },
	{ NULL, NULL, NULL, NULL, NULL, NULL },
};
// clang-format on
