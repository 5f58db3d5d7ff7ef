// The published JavaScript SDKs (@azure/identity, arm-network, arm-resources, arm-authorization) drive a
// controller, and what they return is checked by value. Started by tests/e2e/sdk, which sets the
// environment; PACKAGES is the directory that has node_modules. Prints TAP.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { deepEqual, equal, ok, rejects } from "node:assert/strict";

const env = process.env;
const require = createRequire(env.PACKAGES + "/");
const { ClientCertificateCredential, ClientSecretCredential } = require("@azure/identity");
const { NetworkManagementClient } = require("@azure/arm-network");
const { ResourceManagementClient } = require("@azure/arm-resources");
const { AuthorizationManagementClient } = require("@azure/arm-authorization");

const arm = env.ARM_ENDPOINT;
const group = "sdk";
const location = "westeurope";
const fast = { updateIntervalInMs: 100 };
const scope = `/subscriptions/${env.SUBSCRIPTION}/resourceGroups/${group}`;
const network = `${scope}/providers/Microsoft.Network`;
const peering = "AzurePrivatePeering";
const place = { endpoint: arm, credentialScopes: [arm + "/.default"] };

function secret(prefix) {
  return new ClientSecretCredential("adfs", env[prefix + "CLIENT_ID"], env[prefix + "CLIENT_SECRET"], {
    authorityHost: arm + "/adfs",
    disableInstanceDiscovery: true,
  });
}

function byTenant(prefix) {
  return new ClientSecretCredential(
    env.TENANT,
    env[prefix + "CLIENT_ID"],
    env[prefix + "CLIENT_SECRET"],
    { authorityHost: arm, disableInstanceDiscovery: true },
  );
}

const net = new NetworkManagementClient(secret(""), env.SUBSCRIPTION, place);
const provider = new NetworkManagementClient(
  byTenant("PROVIDER_"),
  env.PROVIDER_SUBSCRIPTION,
  place,
);
const reader = new NetworkManagementClient(secret("READER_"), env.SUBSCRIPTION, place);
const resources = new ResourceManagementClient(byTenant(""), env.SUBSCRIPTION, place);
const roles = new AuthorizationManagementClient(secret(""), env.SUBSCRIPTION, place);

async function all(pages) {
  const list = [];
  for await (const one of pages) list.push(one);
  return list;
}

let circuit;
const cross = () => [`CrossConnection-Amsterdam`, circuit.serviceKey];

const steps = {
  "both forms of authority give tokens, a wrong secret none": async () => {
    for (const credential of [secret(""), byTenant("")]) {
      const token = await credential.getToken(arm + "/.default");
      ok(token.token.length > 100 && token.expiresOnTimestamp > Date.now());
    }
    const wrong = new ClientSecretCredential("adfs", env.CLIENT_ID, "no", {
      authorityHost: arm + "/adfs",
      disableInstanceDiscovery: true,
    });
    await rejects(wrong.getToken(arm + "/.default"), /AADSTS7000215/);
  },

  "a certificate gives tokens": async () => {
    const credential = new ClientCertificateCredential(
      env.TENANT,
      env.READER_CLIENT_ID,
      { certificate: readFileSync(env.CERTIFICATE, "ascii") },
      { authorityHost: arm, disableInstanceDiscovery: true },
    );
    const client = new NetworkManagementClient(credential, env.SUBSCRIPTION, place);
    deepEqual(await all(client.expressRouteCircuits.listAll()), []);
  },

  "resource groups: create, get, exists, update, list": async () => {
    const made = await resources.resourceGroups.createOrUpdate(group, { location, tags: { a: "b" } });
    equal(made.id, scope);
    equal((await resources.resourceGroups.get(group)).tags.a, "b");
    equal((await resources.resourceGroups.checkExistence(group)).body, true);
    equal((await resources.resourceGroups.checkExistence("nowhere")).body, false);
    deepEqual((await all(resources.resourceGroups.list())).map((g) => g.name), [group]);
    const known = await resources.providers.get("Microsoft.Network");
    equal(known.registrationState, "Registered");
    ok(known.resourceTypes.some((t) => t.resourceType === "expressRouteCircuits"));
  },

  "circuits: providers, create, get, list, tags": async () => {
    const offers = await all(net.expressRouteServiceProviders.list());
    deepEqual(offers.map((o) => [o.name, o.peeringLocations]), [["Equinix", ["Amsterdam"]]]);
    circuit = await net.expressRouteCircuits.beginCreateOrUpdateAndWait(
      group,
      "er",
      {
        location,
        sku: { name: "Standard_MeteredData", tier: "Standard", family: "MeteredData" },
        serviceProviderProperties: {
          serviceProviderName: "Equinix",
          peeringLocation: "Amsterdam",
          bandwidthInMbps: 200,
        },
      },
      fast,
    );
    equal(circuit.provisioningState, "Succeeded");
    equal(circuit.serviceProviderProvisioningState, "NotProvisioned");
    const got = await net.expressRouteCircuits.get(group, "er");
    equal(got.serviceKey, circuit.serviceKey);
    for (const pages of [net.expressRouteCircuits.list(group), net.expressRouteCircuits.listAll()])
      deepEqual((await all(pages)).map((c) => c.id), [circuit.id]);
    const tagged = await net.expressRouteCircuits.updateTags(group, "er", { tags: { x: "y" } });
    deepEqual(tagged.tags, { x: "y" });
  },

  "an old etag is refused": async () => {
    const options = { requestOptions: { customHeaders: { "If-Match": circuit.etag } }, ...fast };
    await rejects(
      net.expressRouteCircuits.beginCreateOrUpdateAndWait(group, "er", { ...circuit }, options),
      { statusCode: 412, code: "PreconditionFailed" },
    );
  },

  "peerings of both families, an authorization": async () => {
    const made = await net.expressRouteCircuitPeerings.beginCreateOrUpdateAndWait(
      group,
      "er",
      peering,
      {
        peeringType: peering,
        peerASN: 4200000001,
        vlanId: 100,
        primaryPeerAddressPrefix: "192.168.1.0/30",
        secondaryPeerAddressPrefix: "192.168.1.4/30",
        sharedKey: "A1b2C3",
        ipv6PeeringConfig: {
          primaryPeerAddressPrefix: "fd00::/126",
          secondaryPeerAddressPrefix: "fd00::4/126",
        },
      },
      fast,
    );
    equal(made.azureASN, 12076);
    equal(made.peerASN, 4200000001);
    equal(made.ipv6PeeringConfig.primaryPeerAddressPrefix, "fd00::/126");
    equal(made.sharedKey, undefined);
    deepEqual(
      (await all(net.expressRouteCircuitPeerings.list(group, "er"))).map((p) => p.name),
      [peering],
    );
    const key = await net.expressRouteCircuitAuthorizations.beginCreateOrUpdateAndWait(
      group,
      "er",
      "guest",
      {},
      fast,
    );
    equal(key.authorizationUseStatus, "Available");
    equal(key.authorizationKey.length, 36);
    await net.expressRouteCircuitAuthorizations.beginDeleteAndWait(group, "er", "guest", fast);
    deepEqual(await all(net.expressRouteCircuitAuthorizations.list(group, "er")), []);
  },

  "the provider's side: list, get, provision": async () => {
    const found = await all(provider.expressRouteCrossConnections.list());
    deepEqual(found.map((c) => c.name), [circuit.serviceKey]);
    const one = await provider.expressRouteCrossConnections.get(...cross());
    equal(one.bandwidthInMbps, 200);
    equal(one.peerings[0].vlanId, 100);
    const done = await provider.expressRouteCrossConnections.beginCreateOrUpdateAndWait(
      ...cross(),
      { ...one, serviceProviderProvisioningState: "Provisioned", serviceProviderNotes: "order 7" },
      fast,
    );
    equal(done.serviceProviderProvisioningState, "Provisioned");
    const seen = await net.expressRouteCircuits.get(group, "er");
    equal(seen.serviceProviderProvisioningState, "Provisioned");
    equal(seen.serviceProviderNotes, "order 7");
    equal(seen.stag, one.sTag);
    deepEqual(await all(net.expressRouteCrossConnections.list()), []);
  },

  "route filters and service communities": async () => {
    const services = await all(net.bgpServiceCommunities.list());
    const exchange = services.flatMap((s) => s.bgpCommunities).find((c) => c.communityValue === "12076:5010");
    equal(exchange.communityName, "Exchange");
    await net.routeFilters.beginCreateOrUpdateAndWait(group, "rf", { location }, fast);
    const rule = await net.routeFilterRules.beginCreateOrUpdateAndWait(
      group,
      "rf",
      "r",
      { access: "Allow", routeFilterRuleType: "Community", communities: ["12076:5010"] },
      fast,
    );
    deepEqual(rule.communities, ["12076:5010"]);
    equal((await net.routeFilters.get(group, "rf")).rules.length, 1);
    await net.routeFilters.beginDeleteAndWait(group, "rf", fast);
  },

  "networks: vnet, subnet, address, security group, route table, interface": async () => {
    const sg = await net.networkSecurityGroups.beginCreateOrUpdateAndWait(
      group,
      "sg",
      {
        location,
        securityRules: [
          {
            name: "ssh",
            priority: 100,
            direction: "Inbound",
            access: "Allow",
            protocol: "Tcp",
            sourceAddressPrefix: "*",
            sourcePortRange: "*",
            destinationAddressPrefix: "*",
            destinationPortRange: "22",
          },
        ],
      },
      fast,
    );
    equal(sg.securityRules[0].destinationPortRange, "22");
    equal(sg.defaultSecurityRules.length, 6);
    const table = await net.routeTables.beginCreateOrUpdateAndWait(
      group,
      "rt",
      {
        location,
        routes: [
          {
            name: "r",
            addressPrefix: "10.9.0.0/16",
            nextHopType: "VirtualAppliance",
            nextHopIpAddress: "10.1.0.9",
          },
        ],
      },
      fast,
    );
    const vnet = await net.virtualNetworks.beginCreateOrUpdateAndWait(
      group,
      "v",
      {
        location,
        addressSpace: { addressPrefixes: ["10.1.0.0/16"] },
        subnets: [
          {
            name: "default",
            addressPrefix: "10.1.0.0/24",
            networkSecurityGroup: { id: sg.id },
            routeTable: { id: table.id },
          },
        ],
      },
      fast,
    );
    equal(vnet.subnets[0].networkSecurityGroup.id, sg.id);
    const subnet = await net.subnets.beginCreateOrUpdateAndWait(
      group,
      "v",
      "GatewaySubnet",
      { addressPrefix: "10.1.255.0/27" },
      fast,
    );
    equal(subnet.addressPrefix, "10.1.255.0/27");
    const address = await net.publicIPAddresses.beginCreateOrUpdateAndWait(
      group,
      "ip",
      { location, sku: { name: "Standard" }, publicIPAllocationMethod: "Static" },
      fast,
    );
    ok(/^198\.18\.[0-3]\.\d+$/.test(address.ipAddress), address.ipAddress);
    const nic = await net.networkInterfaces.beginCreateOrUpdateAndWait(
      group,
      "nic",
      {
        location,
        ipConfigurations: [{ name: "ipconfig1", subnet: { id: vnet.subnets[0].id } }],
      },
      fast,
    );
    equal(nic.ipConfigurations[0].privateIPAddress, "10.1.0.4");
  },

  "what holds for an interface: effective routes and security groups": async () => {
    const routes = await net.networkInterfaces.beginGetEffectiveRouteTableAndWait(group, "nic", fast);
    const user = routes.value.find((r) => r.source === "User");
    deepEqual(
      [user.addressPrefix, user.nextHopType, user.nextHopIpAddress],
      [["10.9.0.0/16"], "VirtualAppliance", ["10.1.0.9"]],
    );
    ok(routes.value.some((r) => r.source === "Default" && r.addressPrefix[0] === "10.1.0.0/16"));
    const groups = await net.networkInterfaces.beginListEffectiveNetworkSecurityGroupsAndWait(
      group,
      "nic",
      fast,
    );
    equal(groups.value.length, 1);
    ok(groups.value[0].effectiveSecurityRules.some((r) => r.name.endsWith("ssh") && r.priority === 100));
  },

  "a gateway, a connection to the circuit": async () => {
    const gateway = await net.virtualNetworkGateways.beginCreateOrUpdateAndWait(
      group,
      "gw",
      {
        location,
        gatewayType: "ExpressRoute",
        sku: { name: "Standard", tier: "Standard" },
        ipConfigurations: [
          {
            name: "a",
            subnet: { id: `${network}/virtualNetworks/v/subnets/GatewaySubnet` },
            publicIPAddress: { id: `${network}/publicIPAddresses/ip` },
          },
        ],
      },
      fast,
    );
    equal(gateway.bgpSettings.asn, 65515);
    const made = await net.virtualNetworkGatewayConnections.beginCreateOrUpdateAndWait(
      group,
      "con",
      {
        location,
        connectionType: "ExpressRoute",
        virtualNetworkGateway1: { id: gateway.id },
        peer: { id: circuit.id },
        routingWeight: 7,
      },
      fast,
    );
    equal(made.provisioningState, "Succeeded");
    equal(made.routingWeight, 7);
    const listed = await all(net.virtualNetworkGateways.listConnections(group, "gw"));
    deepEqual(listed.map((c) => c.name), ["con"]);
  },

  "roles: definitions, an assignment that counts at once, own roles": async () => {
    const found = await all(
      roles.roleDefinitions.list(scope, { filter: "roleName eq 'Network Contributor'" }),
    );
    deepEqual(found.map((d) => d.roleName), ["Network Contributor"]);
    const bandwidth = reader.expressRouteCircuits.updateTags(group, "er", { tags: { by: "reader" } });
    await rejects(bandwidth, { statusCode: 403, code: "AuthorizationFailed" });
    const name = "11111111-2222-4333-8444-555555555555";
    const made = await roles.roleAssignments.create(scope, name, {
      roleDefinitionId: found[0].id,
      principalId: env.READER_OBJECT_ID,
      principalType: "ServicePrincipal",
    });
    equal(made.scope, scope);
    await reader.expressRouteCircuits.updateTags(group, "er", { tags: { by: "reader" } });
    const listed = await all(roles.roleAssignments.listForScope(scope, { filter: "atScope()" }));
    ok(listed.some((a) => a.id === made.id));
    await roles.roleAssignments.delete(scope, name);
    await rejects(reader.expressRouteCircuits.updateTags(group, "er", { tags: {} }), {
      statusCode: 403,
    });
  },

  "resources of the group are listed whatever their type": async () => {
    const found = await all(resources.resources.listByResourceGroup(group));
    deepEqual(found.map((r) => r.name).sort(), ["con", "er", "gw", "ip", "nic", "rt", "sg", "v"]);
    const one = await resources.resources.getById(circuit.id, "2024-05-01");
    equal(one.properties.serviceKey, circuit.serviceKey);
  },

  "a refused deletion names what blocks": async () => {
    await rejects(net.expressRouteCircuits.beginDeleteAndWait(group, "er", fast), (e) => {
      equal(e.statusCode, 409);
      equal(e.code, "CircuitInUse");
      const said = JSON.stringify(e.details);
      return said.includes("/connections/con") && said.includes("Provisioned");
    });
  },

  "everything is given back": async () => {
    await net.virtualNetworkGatewayConnections.beginDeleteAndWait(group, "con", fast);
    await net.virtualNetworkGateways.beginDeleteAndWait(group, "gw", fast);
    await net.expressRouteCircuitPeerings.beginDeleteAndWait(group, "er", peering, fast);
    const one = await provider.expressRouteCrossConnections.get(...cross());
    await provider.expressRouteCrossConnections.beginCreateOrUpdateAndWait(
      ...cross(),
      { ...one, serviceProviderProvisioningState: "NotProvisioned" },
      fast,
    );
    await net.expressRouteCircuits.beginDeleteAndWait(group, "er", fast);
    await net.expressRouteCircuits.beginDeleteAndWait(group, "er", fast); // gone is gone
    await resources.resourceGroups.beginDeleteAndWait(group, fast);
    deepEqual(await all(resources.resourceGroups.list()), []);
  },
};

console.log(`1..${Object.keys(steps).length}`);
let n = 0;
for (const [what, step] of Object.entries(steps)) {
  n++;
  try {
    await step();
    console.log(`ok ${n} - ${what}`);
  } catch (e) {
    console.log(`not ok ${n} - ${what}`);
    const details = e.details ? "\n" + JSON.stringify(e.details) : "";
    console.log("# " + String(e.stack + details).replaceAll("\n", "\n# "));
    process.exit(1);
  }
}
