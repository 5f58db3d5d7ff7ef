#!/usr/bin/env python3
"""A reseller and its customers, with packets: a whole cloud, FRR routers at the sites.

Connect-through: fabrikam, a partner, orders and runs one circuit per customer, from its own data centre;
contoso's subscription is linked to it by an authorization, on behalf of contoso. Connect-to: adatum has
a circuit of its own, and links it to the subscription that fabrikam made and runs for it. Both use the
same addresses; neither can be reached by the other, and no circuit ever serves two customers."""

import http.client
import json
import os
import ssl
import sys
import urllib.parse
import uuid

sys.dont_write_bytecode = True
TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tests", "scenario"))

import tap

tap.need_root()

from netns import Box, wait_for
from world import World

NETWORK, GROUP, FABRIC, PARTNER = "2023-09-01", "2021-04-01", "2026-01-01", "2026-01-01"
ASSIGNMENTS = "providers/Microsoft.Authorization/roleAssignments"


class Api:
    def __init__(self, cloud):
        where = os.path.join(cloud.home, cloud.instance, "env")
        with open(where, encoding="utf-8") as f:
            self.env = {k.removeprefix("export "): v.strip("'\"") for k, _, v in
                        (line.strip().partition("=") for line in f)}
        url = urllib.parse.urlparse(self.env["ARM_ENDPOINT"])
        self.host, self.port = url.hostname, url.port
        self.tls = ssl.create_default_context(cafile=self.env["CA_FILE"])

    def call(self, token, method, path, version=None, body=None):
        """(status, JSON, headers)"""
        c = http.client.HTTPSConnection(self.host, self.port, context=self.tls, timeout=60)
        if version:
            path += ("&" if "?" in path else "?") + f"api-version={version}"
        headers = {"Authorization": f"Bearer {token}"} if token else {
            "Content-Type": "application/x-www-form-urlencoded"}
        c.request(method, path, json.dumps(body) if isinstance(body, dict) else body, headers)
        r = c.getresponse()
        data = r.read()
        c.close()
        return r.status, json.loads(data) if data else None, r.headers

    def refused(self, code, *call):
        status, body, _ = self.call(*call)
        tap.expect(status >= 400 and body["error"]["code"] == code, (call[1:3], status, body))

    def do(self, *call):
        """Follows the operation to its end."""
        status, body, headers = self.call(*call)
        tap.expect(status < 300, (call[1:3], status, body))
        operation = headers.get("Azure-AsyncOperation") or (status == 202 and headers.get("Location"))
        if operation:
            path = operation.split(f":{self.port}", 1)[1]
            wait_for(f"{call[1]} {call[2]}", lambda: self.call(call[0], "GET", path)[1].get("status", "Succeeded")
                     not in ("InProgress", "Running", "Accepted"), 60)
            result = self.call(call[0], "GET", path)[1]
            tap.expect(result.get("status", "Succeeded") == "Succeeded", result)
        return body

    def login(self, client, secret):
        form = urllib.parse.urlencode({"grant_type": "client_credentials", "client_id": client,
                                       "client_secret": secret, "scope": self.env["ARM_ENDPOINT"] + "/.default"})
        status, body, _ = self.call(None, "POST", "/adfs/oauth2/token", None, form)
        tap.expect(status == 200, body)
        return body["access_token"]


class Case:
    def __init__(self, box):
        self.world = World(box)


def cloud_and_reseller(case):
    case.world.start()
    api = case.api = Api(case.world.cloud)
    case.operator = api.login(api.env["OPERATOR_CLIENT_ID"], api.env["OPERATOR_CLIENT_SECRET"])
    case.provider = api.login(api.env["PROVIDER_CLIENT_ID"], api.env["PROVIDER_CLIENT_SECRET"])
    made = api.do(case.operator, "PUT", "/providers/Wayleave.Partner/partners/fabrikam", PARTNER,
                  {"properties": {"displayName": "Fabrikam", "domain": "fabrikam.example"}})["properties"]
    case.partner, case.partner_sub = made, f"/subscriptions/{made['subscriptionId']}"
    agent = api.do(case.operator, "POST", "/providers/Wayleave.Partner/partners/fabrikam/createAdministrator",
                   PARTNER, {"displayName": "agent"})
    case.agent, case.agent_oid = api.login(agent["appId"], agent["secret"]), agent["objectId"]
    case.customers = {}
    for name in ("contoso", "adatum"):
        path = f"/providers/Wayleave.Partner/customers/{name}"
        made = api.do(case.agent, "PUT", path, PARTNER, {"properties": {"displayName": name}})["properties"]
        root = api.do(case.agent, "POST", f"{path}/createAdministrator", PARTNER, {"displayName": "root"})
        case.customers[name] = {"tenant": made["tenantId"], "root": api.login(root["appId"], root["secret"]),
                                "managed": f"/subscriptions/{made['subscriptions'][0]['subscriptionId']}"}


# -- orders --

def group(case, token, sub, name):
    case.api.do(token, "PUT", f"{sub}/resourceGroups/{name}", GROUP, {"location": case.api.env["LOCATION"]})
    return f"{sub}/resourceGroups/{name}"


def order_circuit(case, token, sub, name, site):
    """A circuit in that subscription, provisioned by the provider, with private peering to the site."""
    api, plan = case.api, site.plan
    offers = [o for o in api.do(token, "GET", f"{sub}/providers/Microsoft.Network/expressRouteServiceProviders",
                                NETWORK)["value"]]
    offer = offers[0]
    circuit = f"{group(case, token, sub, 'wan')}/providers/Microsoft.Network/expressRouteCircuits/{name}"
    body = api.do(token, "PUT", circuit, NETWORK, {
        "location": api.env["LOCATION"], "sku": {"name": "Standard_MeteredData", "tier": "Standard", "family": "MeteredData"},
        "properties": {"serviceProviderProperties": {
            "serviceProviderName": offer["name"], "peeringLocation": offer["properties"]["peeringLocations"][0],
            "bandwidthInMbps": offer["properties"]["bandwidthsOffered"][0]["valueInMbps"]}}})
    site.service_key = body["properties"]["serviceKey"]
    all_crosses = api.do(case.provider, "GET", f"/subscriptions/{api.env['PROVIDER_SUBSCRIPTION']}/providers/"
                         "Microsoft.Network/expressRouteCrossConnections", NETWORK)["value"]
    cross = [x for x in all_crosses if x["name"] == site.service_key][0]
    api.do(case.provider, "PUT", cross["id"], NETWORK,
           {"location": cross["location"], "properties": {"serviceProviderProvisioningState": "Provisioned"}})
    site.s_tag = api.do(case.provider, "GET", cross["id"], NETWORK)["properties"]["sTag"]
    api.do(token, "PUT", f"{circuit}/peerings/AzurePrivatePeering", NETWORK, {"properties": {
        "peeringType": "AzurePrivatePeering", "peerASN": plan.asn, "vlanId": plan.vlan, "sharedKey": plan.key,
        "primaryPeerAddressPrefix": str(plan.links[0]), "secondaryPeerAddressPrefix": str(plan.links[1])}})
    return circuit


def order_network(case, token, sub, site):
    """A VNet with two NICs and a gateway; the gateway's id."""
    api, plan = case.api, site.plan
    base = f"{group(case, token, sub, 'net')}/providers/Microsoft.Network"
    location = {"location": api.env["LOCATION"]}
    api.do(token, "PUT", f"{base}/virtualNetworks/vnet", NETWORK, dict(location, properties={
        "addressSpace": {"addressPrefixes": [plan.vnet]}, "subnets": [
            {"name": "default", "properties": {"addressPrefix": str(plan.subnet)}},
            {"name": "GatewaySubnet", "properties": {"addressPrefix": plan.vnet.replace(".0.0/16", ".255.0/27")}}]}))
    for i, vm in enumerate(site.vms):
        nic = f"{base}/networkInterfaces/nic{i + 1}"
        made = api.do(token, "PUT", nic, NETWORK, dict(location, properties={"ipConfigurations": [
            {"name": "ipconfig1", "properties": {"subnet": {"id": f"{base}/virtualNetworks/vnet/subnets/default"},
                                                 "privateIPAllocationMethod": "Static", "privateIPAddress": plan.vm(i)}}]}))
        vm.wear(made["properties"]["macAddress"])
        api.do(case.operator, "PUT", f"/subscriptions/{api.env['OPERATOR_SUBSCRIPTION']}/resourceGroups/fabric/providers/"
               f"Wayleave.Fabric/hosts/host-1/attachments/{site.name}-nic{i + 1}", FABRIC,
               {"properties": {"networkInterface": {"id": nic}, "device": vm.dev}})
    gateway = f"{base}/virtualNetworkGateways/gateway"
    api.do(token, "PUT", gateway, NETWORK, dict(location, properties={
        "gatewayType": "ExpressRoute", "sku": {"name": "Standard", "tier": "Standard"}, "ipConfigurations": [
            {"name": "default", "properties": {"privateIPAllocationMethod": "Dynamic", "subnet": {
                "id": f"{base}/virtualNetworks/vnet/subnets/GatewaySubnet"}}}]}))
    return gateway


def authorize(case, token, circuit, name):
    return case.api.do(token, "PUT", f"{circuit}/authorizations/{name}", NETWORK, {"properties": {}})["properties"]["authorizationKey"]


def link(case, gateway, circuit, key, name="link"):
    """What a PUT of the connection needs."""
    return (f"{gateway.split('/virtualNetworkGateways/')[0]}/connections/{name}", NETWORK,
            {"location": case.api.env["LOCATION"], "properties": {
                "connectionType": "ExpressRoute", "virtualNetworkGateway1": {"id": gateway},
                "peer": {"id": circuit}, **({"authorizationKey": key} if key else {})}})


def packets_flow(site):
    site.plug()
    site.site.start_routers()
    site.wait_established(60)
    site.wait_reachable(60)


# -- the two models --

def connect_through(case):
    api, contoso = case.api, case.customers["contoso"]
    site = case.through = case.world.tenant(1, "contoso")
    case.circuit = order_circuit(case, case.agent, case.partner_sub, "contoso", site)
    api.refused("SubscriptionNotFound", contoso["root"], "GET", case.circuit, NETWORK)
    gateway = order_network(case, case.agent, contoso["managed"], site)
    api.refused("LinkedAuthorizationFailed", case.agent, "PUT", *link(case, gateway, case.circuit, None))
    api.do(case.agent, "PUT", *link(case, gateway, case.circuit, authorize(case, case.agent, case.circuit, "contoso")))
    packets_flow(site)


def connect_to(case):
    api, adatum = case.api, case.customers["adatum"]
    site = case.to = case.world.tenant(2, "adatum")
    own = api.do(adatum["root"], "PUT", "/providers/Microsoft.Subscription/aliases/own", "2021-10-01",
                 {"properties": {"displayName": "adatum's own", "workload": "Production"}})["properties"]["subscriptionId"]
    circuit = order_circuit(case, adatum["root"], f"/subscriptions/{own}", "adatum", site)
    api.refused("SubscriptionNotFound", case.agent, "GET", circuit, NETWORK)  # not the partner's to see
    case.to_gateway = order_network(case, case.agent, adatum["managed"], site)
    key = authorize(case, adatum["root"], circuit, "fabrikam")
    api.do(case.agent, "PUT", *link(case, case.to_gateway, circuit, key))
    packets_flow(site)


def never_two_customers(case):
    key = authorize(case, case.agent, case.circuit, "adatum")
    case.api.refused("CircuitServesAnotherCustomer", case.agent, "PUT", *link(case, case.to_gateway, case.circuit, key, "second"))
    for site in (case.through, case.to):  # same addresses, each its own VMs
        tap.expect(site.ping(site.site.pc, site.plan.vm(0), 3)[0] == 3, f"{site.name} lost packets")
    case.to.vms[0].ns.ip("link set eth0 down")
    tap.expect(case.to.ping(case.to.site.pc, case.to.plan.vm(0), 2)[0] == 0, "adatum reaches contoso's VM")
    tap.expect(case.through.ping(case.through.site.pc, case.through.plan.vm(0), 3)[0] == 3, "contoso lost its VM")


def both_are_named(case):
    contoso = case.customers["contoso"]
    log = case.api.do(contoso["root"], "GET", f"{contoso['managed']}/providers/Microsoft.Insights/eventtypes/management/values"
                      "?$filter=eventTimestamp%20ge%20'2020-01-01T00:00:00Z'", "2015-04-01")["value"]
    acts = [json.dumps(e) for e in log if e["operationName"]["value"].lower() == "microsoft.network/connections/write"]
    tap.expect(acts, "the link is in the log")
    for act in acts:
        for who in (case.agent_oid, case.partner["tenantId"], case.partner["adminAgentsGroupId"], contoso["tenant"]):
            tap.expect(who in act, (who, act))


def revoked_at_once(case):
    api, contoso = case.api, case.customers["contoso"]
    held = [a for a in api.do(contoso["root"], "GET", f"{contoso['managed']}/{ASSIGNMENTS}?$filter=atScope()", "2022-04-01")["value"]
            if a["properties"]["principalId"] == case.partner["adminAgentsGroupId"]]
    tap.expect([a["properties"]["principalType"] for a in held] == ["ForeignGroup"], held)
    vnet = f"{contoso['managed']}/resourceGroups/net/providers/Microsoft.Network/virtualNetworks/vnet"
    api.do(case.agent, "GET", vnet, NETWORK)
    api.do(contoso["root"], "DELETE", held[0]["id"], "2022-04-01")
    api.refused("SubscriptionNotFound", case.agent, "GET", vnet, NETWORK)
    api.refused("SubscriptionNotFound", case.agent, "PUT", f"{contoso['managed']}/{ASSIGNMENTS}/{uuid.uuid4()}", "2022-04-01",
                {"properties": {"roleDefinitionId": "8e3af657-a8ff-443c-a75c-2fe8c4bcb635", "principalId": case.agent_oid}})
    api.do(contoso["root"], "GET", vnet, NETWORK)
    tap.expect(case.through.ping(case.through.site.pc, case.through.plan.vm(0), 3)[0] == 3, "the link lost packets")


def main():
    with Box() as box:
        case = Case(box)
        status = tap.run([("a cloud, a reseller and two customers", cloud_and_reseller),
                          ("connect-through: the partner's circuit, linked by authorization", connect_through),
                          ("connect-to: the customer's circuit into the managed subscription", connect_to),
                          ("never two customers on a circuit", never_two_customers),
                          ("what the agent did names both", both_are_named),
                          ("revoked at once; packets flow on", revoked_at_once)], case)
        if case.world.cloud:
            case.world.cloud.stop()
        return status


sys.exit(main())
