/* Who may do what where: a table written by hand from the documented roles, not from the code. Each row
 * is a principal, an action, a scope, and whether he may. */
#include "../test.h"

#include "base/mem.h"
#include "identity/directory.h"
#include "identity/identity.h"

#define TENANT "10000000-0000-0000-0000-000000000001"
#define OTHER_TENANT "10000000-0000-0000-0000-000000000002"
#define PARTNER_TENANT "10000000-0000-0000-0000-000000000003"
#define CLOSED_TENANT "10000000-0000-0000-0000-000000000004"
#define S "20000000-0000-0000-0000-000000000001"
#define S2 "20000000-0000-0000-0000-000000000002"
#define SX "20000000-0000-0000-0000-000000000003"
#define CUSTOM "30000000-0000-0000-0000-000000000001"
#define CUSTOM2 "30000000-0000-0000-0000-000000000002"
#define CUSTOM3 "30000000-0000-0000-0000-000000000003"

/* Scopes, folded as the engine gives them. */
#define ALL "/"
#define MG "/providers/microsoft.management/managementgroups/"
#define TROOT MG TENANT
#define CORP MG "corp"
#define EU MG "corp-eu"
#define LABS MG "labs"
#define SUB "/subscriptions/" S   /* below corp-eu */
#define SUB2 "/subscriptions/" S2 /* below labs */
#define SUBX "/subscriptions/" SX /* another tenant's */
#define RG SUB "/resourcegroups/net"
#define RGB SUB "/resourcegroups/net2" /* its name begins like the other's */
#define NETP RG "/providers/microsoft.network/"
#define CKT NETP "expressroutecircuits/c"
#define CKT2 NETP "expressroutecircuits/c2"
#define PEER CKT "/peerings/azureprivatepeering"
#define AUTHZ CKT "/authorizations/a"
#define VNET NETP "virtualnetworks/v"
#define SNET VNET "/subnets/s"
#define XC NETP "expressroutecrossconnections/x"

/* Actions. */
#define N "Microsoft.Network/"
#define A "Microsoft.Authorization/"
#define CKT_R N "expressRouteCircuits/read"
#define CKT_W N "expressRouteCircuits/write"
#define CKT_D N "expressRouteCircuits/delete"
#define CKT_J N "expressRouteCircuits/join/action"
#define PEER_R N "expressRouteCircuits/peerings/read"
#define PEER_W N "expressRouteCircuits/peerings/write"
#define AUTHZ_R N "expressRouteCircuits/authorizations/read"
#define AUTHZ_W N "expressRouteCircuits/authorizations/write"
#define ARP N "expressRouteCircuits/peerings/arpTables/action"
#define STATS N "expressRouteCircuits/peerings/stats/read"
#define VNET_R N "virtualNetworks/read"
#define VNET_W N "virtualNetworks/write"
#define VNET_D N "virtualNetworks/delete"
#define SNET_J N "virtualNetworks/subnets/join/action"
#define XC_R N "expressRouteCrossConnections/read"
#define XC_W N "expressRouteCrossConnections/write"
#define XC_PW N "expressRouteCrossConnections/peerings/write"
#define XC_D N "expressRouteCrossConnections/delete"
#define RG_R "Microsoft.Resources/subscriptions/resourceGroups/read"
#define RG_W "Microsoft.Resources/subscriptions/resourceGroups/write"
#define RG_D "Microsoft.Resources/subscriptions/resourceGroups/delete"
#define DEP_W "Microsoft.Resources/deployments/write"
#define DEP_V "Microsoft.Resources/deployments/validate/action"
#define RA_R A "roleAssignments/read"
#define RA_W A "roleAssignments/write"
#define RA_D A "roleAssignments/delete"
#define RD_W A "roleDefinitions/write"
#define LOCK_W A "locks/write"
#define LOCK_D A "locks/delete"
#define LOCK_R A "locks/read"
#define LOG "Microsoft.Insights/eventtypes/values/read"
#define METRIC "Microsoft.Insights/metrics/read"
#define MG_R "Microsoft.Management/managementGroups/read"
#define MG_W "Microsoft.Management/managementGroups/write"
#define USER_W "Wayleave.Directory/users/write"
#define PROG_W "Wayleave.Directory/servicePrincipals/write"
#define SCIM "Wayleave.Directory/scimToken/action"
#define CUST_W "Wayleave.Partner/customers/write"
#define CUST_R "Wayleave.Partner/customers/read"
#define NODE_R "Wayleave.Nodes/nodes/read"
#define FAB_W "Wayleave.Fabric/locations/write"

static const struct grant {
	const char *who, *role, *scope;
} grants[] = {
	{ "owner", ROLE_OWNER, SUB },
	{ "contributor", ROLE_CONTRIBUTOR, SUB },
	{ "reader", ROLE_READER, SUB },
	{ "network", ROLE_NETWORK_CONTRIBUTOR, SUB },
	{ "access", ROLE_ACCESS_ADMINISTRATOR, SUB },
	{ "provider", ROLE_PROVIDER, SUB },
	{ "owner of group", ROLE_OWNER, RG },
	{ "reader of group", ROLE_READER, RG },
	{ "network of circuit", ROLE_NETWORK_CONTRIBUTOR, CKT },
	{ "reader of peering", ROLE_READER, PEER },
	{ "owner of corp", ROLE_OWNER, CORP },
	{ "reader of eu", ROLE_READER, EU },
	{ "contributor of tenant", ROLE_CONTRIBUTOR, TROOT },
	{ "owner of tenant", ROLE_OWNER, TROOT },
	{ "owner of all", ROLE_OWNER, ALL },
	{ "two roles", ROLE_READER, SUB },
	{ "two roles", ROLE_NETWORK_CONTRIBUTOR, RG },
	{ "readers", ROLE_READER, SUB },
	{ "custom", CUSTOM, SUB },
	{ "two permissions", CUSTOM2, SUB },
	{ "joiner", CUSTOM3, SUB },
	{ "disabled", ROLE_OWNER, SUB },
	{ "closed", ROLE_OWNER, SUB },
	{ "agents", ROLE_OWNER, SUB },
	{ "stranger", ROLE_OWNER, SUBX },
};

static const struct row {
	const char *who, *action, *scope;
	bool may;
} rows[] = {
	/* clang-format off */
	/* Owner: everything at the scope and below, nothing beside or above. */
	{ "owner", CKT_R, SUB, true }, { "owner", CKT_W, RG, true }, { "owner", CKT_D, CKT, true },
	{ "owner", CKT_J, CKT, true }, { "owner", PEER_W, PEER, true }, { "owner", AUTHZ_R, AUTHZ, true },
	{ "owner", RA_W, SUB, true }, { "owner", RA_D, CKT, true }, { "owner", RD_W, SUB, true },
	{ "owner", LOCK_W, RG, true }, { "owner", LOCK_D, RG, true }, { "owner", RG_D, RG, true },
	{ "owner", DEP_W, RG, true }, { "owner", LOG, SUB, true }, { "owner", XC_D, XC, true },
	{ "owner", CKT_R, SUB2, false }, { "owner", RA_W, SUB2, false }, { "owner", CKT_R, SUBX, false },
	{ "owner", RA_W, ALL, false }, { "owner", NODE_R, ALL, false }, { "owner", FAB_W, ALL, false },
	{ "owner", MG_R, EU, false }, { "owner", MG_W, CORP, false }, { "owner", RA_W, TROOT, false },
	{ "owner", USER_W, TROOT, false }, { "owner", CUST_W, TROOT, false },
	/* Contributor: everything but who may what. */
	{ "contributor", CKT_R, SUB, true }, { "contributor", CKT_W, CKT, true }, { "contributor", CKT_D, CKT, true },
	{ "contributor", CKT_J, CKT, true }, { "contributor", AUTHZ_W, AUTHZ, true }, { "contributor", PEER_W, PEER, true },
	{ "contributor", VNET_D, VNET, true }, { "contributor", RG_D, RG, true }, { "contributor", DEP_V, RG, true },
	{ "contributor", RA_R, SUB, true }, { "contributor", LOCK_R, SUB, true }, { "contributor", ARP, PEER, true },
	{ "contributor", RA_W, SUB, false }, { "contributor", RA_W, CKT, false }, { "contributor", RA_D, SUB, false },
	{ "contributor", RD_W, SUB, false }, { "contributor", LOCK_W, RG, false }, { "contributor", LOCK_D, RG, false },
	{ "contributor", A "elevateAccess/Action", SUB, false }, { "contributor", A "policyAssignments/Write", SUB, false },
	{ "contributor", CKT_W, SUB2, false }, { "contributor", CKT_R, ALL, false },
	{ "contributor of tenant", CKT_W, CKT, true }, { "contributor of tenant", CKT_W, SUB2, true },
	{ "contributor of tenant", MG_W, CORP, true }, { "contributor of tenant", RA_W, SUB, false },
	{ "contributor of tenant", USER_W, TROOT, false }, { "contributor of tenant", PROG_W, TROOT, false },
	{ "contributor of tenant", SCIM, TROOT, false }, { "contributor of tenant", CUST_W, TROOT, false },
	{ "contributor of tenant", CUST_R, TROOT, true }, { "contributor of tenant", CKT_R, SUBX, false },
	{ "contributor of tenant", NODE_R, ALL, false },
	/* Reader: sees, does nothing. */
	{ "reader", CKT_R, SUB, true }, { "reader", PEER_R, PEER, true }, { "reader", STATS, PEER, true },
	{ "reader", VNET_R, VNET, true }, { "reader", RG_R, RG, true }, { "reader", RA_R, CKT, true },
	{ "reader", LOG, SUB, true }, { "reader", METRIC, CKT, true }, { "reader", XC_R, XC, true },
	{ "reader", LOCK_R, SUB, true }, { "reader", AUTHZ_R, AUTHZ, true },
	{ "reader", CKT_W, CKT, false }, { "reader", CKT_D, CKT, false }, { "reader", CKT_J, CKT, false },
	{ "reader", ARP, PEER, false }, { "reader", AUTHZ_W, AUTHZ, false }, { "reader", RG_W, RG, false },
	{ "reader", RA_W, SUB, false }, { "reader", SNET_J, SNET, false }, { "reader", DEP_W, RG, false },
	{ "reader", DEP_V, RG, false }, { "reader", LOCK_W, SUB, false }, { "reader", CKT_R, SUB2, false },
	/* Network Contributor: all of networks, reads access, deploys. */
	{ "network", CKT_R, SUB, true }, { "network", CKT_W, CKT, true }, { "network", CKT_D, CKT, true },
	{ "network", CKT_J, CKT, true }, { "network", SNET_J, SNET, true }, { "network", PEER_W, PEER, true },
	{ "network", AUTHZ_W, AUTHZ, true }, { "network", ARP, PEER, true }, { "network", XC_W, XC, true },
	{ "network", VNET_D, VNET, true }, { "network", DEP_W, RG, true }, { "network", DEP_V, RG, true },
	{ "network", RA_R, SUB, true }, { "network", RG_R, RG, true }, { "network", LOCK_R, RG, true },
	{ "network", "Microsoft.Insights/alertRules/write", RG, true }, { "network", "Microsoft.Support/tickets/write", SUB, true },
	{ "network", RG_W, RG, false }, { "network", RG_D, RG, false }, { "network", RA_W, SUB, false },
	{ "network", LOCK_W, RG, false }, { "network", LOG, SUB, false }, { "network", METRIC, CKT, false },
	{ "network", "Microsoft.Compute/virtualMachines/write", RG, false },
	{ "network", "Microsoft.NetworkFunction/x/write", RG, false }, { "network", CKT_R, SUB2, false },
	{ "network", RD_W, SUB, false },
	/* User Access Administrator: sees all, decides who may what, touches nothing. */
	{ "access", RA_W, SUB, true }, { "access", RA_D, CKT, true }, { "access", RD_W, SUB, true },
	{ "access", LOCK_W, RG, true }, { "access", CKT_R, CKT, true }, { "access", RG_R, RG, true },
	{ "access", LOG, SUB, true },
	{ "access", CKT_W, CKT, false }, { "access", CKT_D, CKT, false }, { "access", RG_W, RG, false },
	{ "access", CKT_J, CKT, false }, { "access", ARP, PEER, false }, { "access", RA_W, SUB2, false },
	{ "access", RA_W, EU, false }, { "access", RA_W, ALL, false }, { "access", USER_W, TROOT, false },
	/* A connectivity provider: its cross connections and no more. */
	{ "provider", XC_R, XC, true }, { "provider", XC_R, SUB, true }, { "provider", XC_W, XC, true },
	{ "provider", XC_PW, XC, true }, { "provider", N "expressRouteCrossConnections/peerings/arpTables/action", XC, true },
	{ "provider", N "expressRouteServiceProviders/read", SUB, true }, { "provider", RG_R, RG, true },
	{ "provider", METRIC, XC, true },
	{ "provider", XC_D, XC, false }, { "provider", CKT_R, SUB, false }, { "provider", CKT_R, CKT, false },
	{ "provider", PEER_R, PEER, false }, { "provider", AUTHZ_R, AUTHZ, false }, { "provider", CKT_W, CKT, false },
	{ "provider", VNET_R, VNET, false }, { "provider", RG_W, RG, false }, { "provider", RA_R, SUB, false },
	{ "provider", RA_W, SUB, false }, { "provider", XC_R, SUB2, false }, { "provider", XC_W, SUBX, false },
	{ "provider", DEP_W, RG, false },
	/* At a group: not its neighbour whose name begins alike, not the subscription. */
	{ "owner of group", CKT_W, CKT, true }, { "owner of group", RA_W, RG, true }, { "owner of group", RG_D, RG, true },
	{ "owner of group", RG_R, SUB, false }, { "owner of group", RG_W, RGB, false }, { "owner of group", CKT_R, RGB, false },
	{ "owner of group", RA_W, SUB, false }, { "owner of group", DEP_W, RG, true },
	{ "reader of group", CKT_R, CKT, true }, { "reader of group", CKT_R, RGB, false }, { "reader of group", CKT_W, CKT, false },
	{ "reader of group", RG_R, RG, true }, { "reader of group", RG_R, SUB, false },
	/* At a resource: it and its children; not its sibling whose name begins alike. */
	{ "network of circuit", CKT_R, CKT, true }, { "network of circuit", CKT_W, CKT, true },
	{ "network of circuit", PEER_W, PEER, true }, { "network of circuit", AUTHZ_W, AUTHZ, true },
	{ "network of circuit", CKT_J, CKT, true }, { "network of circuit", CKT_R, CKT2, false },
	{ "network of circuit", CKT_W, CKT2, false }, { "network of circuit", CKT_R, RG, false },
	{ "network of circuit", VNET_R, VNET, false }, { "network of circuit", RA_W, CKT, false },
	/* At a child. */
	{ "reader of peering", PEER_R, PEER, true }, { "reader of peering", STATS, PEER, true },
	{ "reader of peering", CKT_R, CKT, false }, { "reader of peering", AUTHZ_R, AUTHZ, false },
	{ "reader of peering", PEER_W, PEER, false },
	/* At a management group: its subtree, and nothing beside or above it. */
	{ "owner of corp", CKT_W, CKT, true }, { "owner of corp", RA_W, SUB, true }, { "owner of corp", MG_W, CORP, true },
	{ "owner of corp", MG_W, EU, true }, { "owner of corp", RG_D, RG, true }, { "owner of corp", CKT_R, SUB2, false },
	{ "owner of corp", MG_R, LABS, false }, { "owner of corp", MG_R, TROOT, false }, { "owner of corp", RA_W, TROOT, false },
	{ "owner of corp", USER_W, TROOT, false }, { "owner of corp", CKT_R, SUBX, false }, { "owner of corp", RA_W, ALL, false },
	{ "reader of eu", CKT_R, CKT, true }, { "reader of eu", RG_R, SUB, true }, { "reader of eu", MG_R, EU, true },
	{ "reader of eu", MG_R, CORP, false }, { "reader of eu", CKT_R, SUB2, false }, { "reader of eu", CKT_W, CKT, false },
	{ "owner of tenant", CKT_W, CKT, true }, { "owner of tenant", CKT_D, SUB2, true }, { "owner of tenant", RA_W, TROOT, true },
	{ "owner of tenant", USER_W, TROOT, true }, { "owner of tenant", SCIM, TROOT, true }, { "owner of tenant", CUST_W, TROOT, true },
	{ "owner of tenant", MG_W, LABS, true }, { "owner of tenant", CKT_R, SUBX, false },
	{ "owner of tenant", MG_R, MG OTHER_TENANT, false }, { "owner of tenant", RA_W, ALL, false },
	{ "owner of tenant", NODE_R, ALL, false },
	/* Over all: the cloud's operator. */
	{ "owner of all", CKT_W, CKT, true }, { "owner of all", CKT_R, SUBX, true }, { "owner of all", RA_W, ALL, true },
	{ "owner of all", NODE_R, ALL, true }, { "owner of all", FAB_W, ALL, true }, { "owner of all", USER_W, TROOT, true },
	{ "owner of all", MG_W, MG OTHER_TENANT, true },
	/* Roles add up. */
	{ "two roles", CKT_R, RGB, true }, { "two roles", CKT_W, CKT, true }, { "two roles", CKT_W, RGB, false },
	{ "two roles", LOG, SUB, true }, { "two roles", RG_W, RG, false }, { "two roles", RA_W, RG, false },
	/* Through a group, and a group in a group. */
	{ "member", CKT_R, CKT, true }, { "member", CKT_W, CKT, false }, { "member", CKT_R, SUB2, false },
	{ "member of member", CKT_R, CKT, true }, { "member of member", RA_W, SUB, false },
	{ "former member", CKT_R, CKT, false }, { "former member", RG_R, SUB, false },
	/* Roles of the tenant's own: notActions subtract within one permission, permissions add up. */
	{ "custom", CKT_R, CKT, true }, { "custom", CKT_W, CKT, true }, { "custom", PEER_W, PEER, true },
	{ "custom", VNET_R, VNET, true }, { "custom", CKT_D, CKT, false }, { "custom", AUTHZ_R, AUTHZ, false },
	{ "custom", AUTHZ_W, AUTHZ, false }, { "custom", VNET_W, VNET, false }, { "custom", RG_R, RG, false },
	{ "custom", CKT_W, SUB2, false },
	{ "two permissions", CKT_W, CKT, true }, { "two permissions", CKT_D, CKT, false },
	{ "two permissions", VNET_D, VNET, true }, { "two permissions", VNET_W, VNET, true },
	{ "two permissions", RG_R, RG, false },
	{ "joiner", CKT_J, CKT, true }, { "joiner", SNET_J, SNET, true }, { "joiner", CKT_R, CKT, false },
	{ "joiner", CKT_W, CKT, false }, { "joiner", N "joinables/read", RG, false },
	/* Case says nothing. */
	{ "reader", "MICROSOFT.NETWORK/EXPRESSROUTECIRCUITS/READ", CKT, true },
	{ "contributor", "microsoft.authorization/roleassignments/WRITE", SUB, false },
	/* Who is disabled, of a closed tenant, unknown, or has nothing, may nothing. */
	{ "disabled", CKT_R, CKT, false }, { "disabled", RA_W, SUB, false },
	{ "closed", CKT_R, CKT, false }, { "closed", RG_R, SUB, false },
	{ "nobody", CKT_R, CKT, false }, { "nobody", RG_R, SUB, false }, { "nobody", CKT_R, ALL, false },
	{ "nobody", RA_R, SUB, false }, { "nobody", USER_W, TROOT, false },
	{ "unknown", CKT_R, CKT, false }, { "unknown", RG_R, SUB, false },
	/* A partner's agent, through the partner's group; and a stranger of a third tenant. */
	{ "agent", CKT_W, CKT, true }, { "agent", RA_W, SUB, true }, { "agent", RG_D, RG, true },
	{ "agent", CKT_R, SUB2, false }, { "agent", MG_R, EU, false }, { "agent", USER_W, TROOT, false },
	{ "agent", RA_W, TROOT, false }, { "agent", CKT_R, SUBX, false },
	{ "stranger", CKT_W, SUBX, true }, { "stranger", CKT_R, SUB, false }, { "stranger", CKT_R, CKT, false },
	{ "stranger", CKT_R, ALL, false },
	/* clang-format on */
};

/* --- the world ------------------------------------------------------------------------------------ */

struct fixture {
	char dir[64];
	struct store *s;
	struct identity *id;
	struct arena arena;
};

/* A principal's object id: its place in the list. */
static const char *const people[] = {
	"owner",
	"contributor",
	"reader",
	"network",
	"access",
	"provider",
	"owner of group",
	"reader of group",
	"network of circuit",
	"reader of peering",
	"owner of corp",
	"reader of eu",
	"contributor of tenant",
	"owner of tenant",
	"owner of all",
	"two roles",
	"readers",
	"custom",
	"two permissions",
	"joiner",
	"disabled",
	"closed",
	"agents",
	"stranger",
	"member",
	"inner",
	"member of member",
	"former member",
	"nobody",
	"agent",
};

static const char *
oid(struct arena *a, const char *who)
{
	size_t i = 0;

	while (i < COUNT(people) && strcmp(people[i], who) != 0)
		i++;
	return arena_printf(a, "40000000-0000-0000-0000-%012zu", i);
}

static const char *
tenant(const char *who)
{
	return !strcmp(who, "closed")                            ? CLOSED_TENANT
	       : !strcmp(who, "stranger")                        ? OTHER_TENANT
	       : !strcmp(who, "agents") || !strcmp(who, "agent") ? PARTNER_TENANT
								 : TENANT;
}

static void
put_tenants(struct store_tx *tx, struct arena *a)
{
	static const char *const ids[] = { TENANT, OTHER_TENANT, PARTNER_TENANT, CLOSED_TENANT };
	static const struct store_mgroup groups[] = {
		{ "corp", "Corp", TENANT, "Corp", TENANT, 0 },
		{ "corp-eu", "Corp-EU", TENANT, "EU", "corp", 0 },
		{ "labs", "Labs", TENANT, "Labs", TENANT, 0 },
	};
	static const struct store_subscription subs[] = {
		{ S, TENANT, "s", "Enabled" },
		{ S2, TENANT, "s2", "Enabled" },
		{ SX, OTHER_TENANT, "sx", "Enabled" },
	};

	for (size_t i = 0; i < COUNT(ids); i++) {
		struct store_tenant t = { .id = ids[i],
					  .name = "t",
					  .is_disabled = !strcmp(ids[i], CLOSED_TENANT) };

		assert_int_equal(directory_tenant_put(tx, a, &t, NULL), 0);
	}
	for (size_t i = 0; i < COUNT(groups); i++)
		assert_int_equal(store_mgroup_put(tx, &groups[i], NULL), 0);
	for (size_t i = 0; i < COUNT(subs); i++)
		assert_int_equal(store_subscription_put(tx, &subs[i], NULL), 0);
	assert_int_equal(store_subscription_place(tx, S, "corp-eu", NULL), 0);
	assert_int_equal(store_subscription_place(tx, S2, "labs", NULL), 0);
}

static void
put_roles(struct store_tx *tx)
{
	static const struct store_role own[] = {
		{ CUSTOM, TENANT, "custom",
		  "{\"permissions\":[{\"actions\":[\"Microsoft.Network/*/read\","
		  "\"Microsoft.Network/expressRouteCircuits/*\"],\"notActions\":[\"*/delete\","
		  "\"Microsoft.Network/expressRouteCircuits/authorizations/*\"]}],"
		  "\"assignableScopes\":[\"" SUB "\"]}" },
		{ CUSTOM2, TENANT, "two",
		  "{\"permissions\":[{\"actions\":[\"Microsoft.Network/*\"],\"notActions\":"
		  "[\"*/delete\"]},{\"actions\":[\"Microsoft.Network/virtualNetworks/delete\"],"
		  "\"notActions\":[]}],\"assignableScopes\":[\"" SUB "\"]}" },
		{ CUSTOM3, TENANT, "joiner",
		  "{\"permissions\":[{\"actions\":[\"*/join/action\"],\"notActions\":[]}],"
		  "\"assignableScopes\":[\"" SUB "\"]}" },
	};

	for (size_t i = 0; i < COUNT(own); i++)
		assert_int_equal(store_role_put(tx, &own[i], NULL), 0);
}

static int
put_world(struct store_tx *tx, void *arg, struct err *e)
{
	struct arena *a = arg;

	put_tenants(tx, a);
	put_roles(tx);
	for (size_t i = 0; i < COUNT(people); i++) {
		struct store_principal p = { .oid = oid(a, people[i]),
					     .client_id = oid(a, people[i]),
					     .tenant = tenant(people[i]),
					     .kind = "ServicePrincipal",
					     .name = people[i],
					     .is_disabled = !strcmp(people[i], "disabled") };

		assert_int_equal(store_principal_put(tx, &p, e), 0);
	}
	for (size_t i = 0; i < COUNT(grants); i++)
		assert_int_equal(directory_assign(tx, a, grants[i].scope, grants[i].role,
						  oid(a, grants[i].who), "ServicePrincipal", "test",
						  NULL, e),
				 0);
	assert_int_equal(store_member_add(tx, oid(a, "readers"), oid(a, "member"), e), 0);
	assert_int_equal(store_member_add(tx, oid(a, "readers"), oid(a, "inner"), e), 0);
	assert_int_equal(store_member_add(tx, oid(a, "inner"), oid(a, "member of member"), e), 0);
	assert_int_equal(store_member_add(tx, oid(a, "inner"), oid(a, "readers"), e),
			 0); /* a ring */
	assert_int_equal(store_member_add(tx, oid(a, "readers"), oid(a, "former member"), e), 0);
	assert_int_equal(store_member_drop(tx, oid(a, "readers"), oid(a, "former member"), e), 0);
	assert_int_equal(store_member_add(tx, oid(a, "agents"), oid(a, "agent"), e), 0);
	return 0;
}

static int
setup(void **state)
{
	struct fixture *f = mem_alloc(sizeof(*f));
	struct store_config sc = { .n_readers = 1 };

	snprintf(f->dir, sizeof(f->dir), "/tmp/unit-roles-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	sc.path = arena_printf(&f->arena, "%s/s.db", f->dir);
	sc.master_key = arena_printf(&f->arena, "%s/key", f->dir);
	assert_int_equal(store_open(&sc, &f->s, NULL), 0);
	assert_int_equal(identity_open(f->s, "https://h", &f->id, NULL), 0);
	assert_int_equal(store_write(f->s, put_world, &f->arena, NULL), 0);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	static const char *const tails[] = { "s.db",       "s.db-wal",       "s.db-shm",
					     "s.db.usage", "s.db.usage-wal", "s.db.usage-shm",
					     "key" };
	struct fixture *f = *state;

	identity_destroy(f->id);
	store_destroy(f->s);
	for (size_t i = 0; i < COUNT(tails); i++)
		unlink(arena_printf(&f->arena, "%s/%s", f->dir, tails[i]));
	rmdir(f->dir);
	arena_reset(&f->arena);
	free(f);
	return 0;
}

struct asking {
	struct fixture *f;
	unsigned n_wrong;
	/* one question */
	const char *who, *action, *scope;
	bool may;
};

static bool
ask(struct asking *q, struct store_tx *tx)
{
	struct arm_auth auth = identity_auth(q->f->id);
	struct arm_caller c = { .oid = oid(&q->f->arena, q->who), .tenant = tenant(q->who) };

	return auth.may(auth.ctx, tx, &q->f->arena, &c, q->action, q->scope);
}

static int
ask_all(struct store_tx *tx, void *arg, struct err *e)
{
	struct asking *q = arg;

	for (size_t i = 0; i < COUNT(rows); i++) {
		q->who = rows[i].who;
		q->action = rows[i].action;
		q->scope = rows[i].scope;
		if (ask(q, tx) == rows[i].may)
			continue;
		print_error("row %zu: %s %s at %s: expected %s\n", i, rows[i].who, rows[i].action,
			    rows[i].scope, rows[i].may ? "yes" : "no");
		q->n_wrong++;
	}
	return 0;
}

static int
ask_one(struct store_tx *tx, void *arg, struct err *e)
{
	struct asking *q = arg;

	q->may = ask(q, tx);
	return 0;
}

static bool
may(struct fixture *f, const char *who, const char *action, const char *scope)
{
	struct asking q = { .f = f, .who = who, .action = action, .scope = scope };

	assert_int_equal(store_read(f->s, ask_one, &q, NULL), 0);
	return q.may;
}

static void
the_table_holds(void **state)
{
	struct asking q = { .f = *state };

	assert_true(COUNT(rows) >= 200);
	assert_int_equal(store_write(q.f->s, ask_all, &q, NULL), 0); /* nothing kept */
	assert_int_equal(store_read(q.f->s, ask_all, &q, NULL), 0);  /* compiled */
	assert_int_equal(store_read(q.f->s, ask_all, &q, NULL), 0);  /* from what was kept */
	assert_int_equal(q.n_wrong, 0);
	assert_int_equal(store_scanned_rows(q.f->s), 0);
}

static int
touch_nobody(struct store_tx *tx, void *arg, struct err *e)
{
	struct fixture *f = arg;
	struct store_principal p;

	assert_int_equal(store_principal_get(tx, &f->arena, oid(&f->arena, "nobody"), &p, e), 1);
	return store_principal_put(tx, &p, e);
}

static int
disable_reader(struct store_tx *tx, void *arg, struct err *e)
{
	struct fixture *f = arg;
	struct store_principal p;

	assert_int_equal(store_principal_get(tx, &f->arena, oid(&f->arena, "reader"), &p, e), 1);
	p.is_disabled = !p.is_disabled;
	return store_principal_put(tx, &p, e);
}

/* As a plan that is refused, or a dry run: seen by itself, never by others. */
static int
disable_and_ask(struct store_tx *tx, void *arg, struct err *e)
{
	struct asking *q = arg;

	assert_int_equal(disable_reader(tx, q->f, e), 0);
	q->who = "reader";
	q->action = CKT_R;
	q->scope = CKT;
	assert_false(ask(q, tx));
	return err_set(e, -ECANCELED, "no");
}

static void
changes_act_at_once(void **state)
{
	struct fixture *f = *state;
	struct asking q = { .f = f };
	struct err e;

	assert_true(may(f, "reader", CKT_R, CKT));
	assert_int_equal(store_write(f->s, disable_and_ask, &q, &e), -ECANCELED);
	assert_true(may(f, "reader", CKT_R, CKT));
	/* The revision that never was now is another's. */
	assert_int_equal(store_write(f->s, disable_and_ask, &q, &e), -ECANCELED);
	assert_int_equal(store_write(f->s, touch_nobody, f, NULL), 0);
	assert_true(may(f, "reader", CKT_R, CKT));
	assert_int_equal(store_write(f->s, disable_reader, f, NULL), 0);
	assert_false(may(f, "reader", CKT_R, CKT));
	assert_int_equal(store_write(f->s, disable_reader, f, NULL), 0);
	assert_true(may(f, "reader", CKT_R, CKT));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_table_holds, setup, teardown),
		cmocka_unit_test_setup_teardown(changes_act_at_once, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
