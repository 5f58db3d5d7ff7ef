#!/usr/bin/env python3
"""Templates by the unmodified Azure CLI: what-if, create, show, export, list, operations, delete, at a
group and at a subscription, and the ExpressRoute connection that az makes by a template.

  tests/e2e/deploy.py CONTROLD CATALOGUE
"""
import json
import os
import signal
import subprocess
import sys
import time
import urllib.parse

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from az_rig import Az, Fabric, Failed, same, tell  # noqa: E402

GROUP = "web"

# As people write them: comments, a text over two lines.
TEMPLATE = """{
  // a network with subnets, and an address beside it
  "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
  "contentVersion": "1.0.0.0",
  "parameters": {
    "prefix": { "type": "string", "defaultValue": "10.1" },
    "subnets": { "type": "int", "minValue": 1, "maxValue": 9, "defaultValue": 2 },
    "secret": { "type": "secureString", "defaultValue": "" }
  },
  "variables": {
    "name": "[toLower(concat('V-', resourceGroup().name))]",
    "note": "two
lines"
  },
  "resources": [
    {
      "type": "Microsoft.Network/virtualNetworks",
      "apiVersion": "2022-01-01",
      "name": "[variables('name')]",
      "location": "[resourceGroup().location]",
      "tags": { "note": "[variables('note')]" },
      "properties": {
        "addressSpace": { "addressPrefixes": ["[concat(parameters('prefix'), '.0.0/16')]"] },
        "dhcpOptions": null,
        "copy": [ /* a subnet each */ {
          "name": "subnets",
          "count": "[parameters('subnets')]",
          "input": {
            "name": "[format('s{0}', copyIndex('subnets'))]",
            "properties": {
              "addressPrefix": "[format('{0}.{1}.0/24', parameters('prefix'), copyIndex('subnets'))]"
            }
          }
        } ]
      },
      "dependsOn": [ "[resourceId('Microsoft.Network/publicIPAddresses', 'addr')]" ]
    },
    {
      "type": "Microsoft.Network/publicIPAddresses",
      "apiVersion": "2022-01-01",
      "name": "addr",
      "location": "[resourceGroup().location]",
      "properties": {}
    }
  ],
  "outputs": {
    "space": { "type": "array", "value": "[reference(variables('name')).addressSpace.addressPrefixes]" },
    "secret": { "type": "secureString", "value": "[parameters('secret')]" }
  }
}
"""

SUBSCRIPTION = {
    "$schema": "https://schema.management.azure.com/schemas/2018-05-01/subscriptionDeploymentTemplate.json#",
    "contentVersion": "1.0.0.0",
    "resources": [
        {
            "type": "Microsoft.Resources/resourceGroups",
            "apiVersion": "2021-04-01",
            "name": "inner",
            "location": "[deployment().location]",
        },
        {
            "type": "Microsoft.Resources/deployments",
            "apiVersion": "2021-04-01",
            "name": "nested",
            "resourceGroup": "inner",
            "dependsOn": ["[subscriptionResourceId('Microsoft.Resources/resourceGroups', 'inner')]"],
            "properties": {
                "mode": "Incremental",
                "expressionEvaluationOptions": {"scope": "inner"},
                "template": {
                    "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
                    "contentVersion": "1.0.0.0",
                    "resources": [
                        {
                            "type": "Microsoft.Network/publicIPAddresses",
                            "apiVersion": "2022-01-01",
                            "name": "addr",
                            "location": "[resourceGroup().location]",
                        }
                    ],
                },
            },
        },
    ],
}


class Story:
    def __init__(self, c, home):
        self.c = c
        self.home = home
        Fabric(c)
        self.az = Az(c, home)
        self.template = self.file("web.json", TEMPLATE)
        self.exported = None

    def file(self, name, text):
        path = os.path.join(self.home, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return path

    def deploy(self, verb, *args):
        return self.az.run("deployment", "group", verb, "-g", GROUP, *args)

    def restart(self):
        self.c.process.send_signal(signal.SIGKILL)
        self.c.process.wait()
        config = os.path.join(self.home, "controld.yaml")
        self.c.process = subprocess.Popen([sys.argv[1], "--config", config], stderr=self.c.log)
        self.c.wait(urllib.parse.urlparse(self.c.env["ARM_ENDPOINT"]).port)

    def what_if(self):
        """what-if names what would be made, and makes nothing"""
        self.az.run("group", "create", "-n", GROUP, "-l", "westeurope")
        said = self.deploy("what-if", "-f", self.template, "--no-pretty-print")
        kinds = {c["resourceId"].rpartition("/")[2]: c["changeType"] for c in said["changes"]}
        same("changes", kinds, {"addr": "Create", "v-web": "Create"})
        same("nothing", self.az.run("network", "vnet", "list", "-g", GROUP), [])
        pretty = self.az.raw("deployment", "group", "what-if", "-g", GROUP, "-f", self.template)
        same("exit", pretty.returncode, 0)
        for word in ("Resource changes: 2 to create.", "+ Microsoft.Network/virtualNetworks/v-web"):
            if word not in pretty.stdout:
                raise Failed(f"az said: {pretty.stdout}")

    def create(self):
        """create makes it, with its parameters; what is secret is not shown"""
        made = self.deploy(
            *("create", "-n", "d1", "-f", self.template),
            *("-p", "subnets=3", "secret=do-not-tell"),
        )["properties"]
        same("state", made["provisioningState"], "Succeeded")
        same("mode", made["mode"], "Incremental")
        same("output", made["outputs"]["space"], {"type": "Array", "value": ["10.1.0.0/16"]})
        same("secret", made["outputs"]["secret"], {"type": "SecureString"})
        same("given", made["parameters"]["subnets"], {"type": "Int", "value": 3})
        same("hidden", made["parameters"]["secret"], {"type": "SecureString"})
        same("resources", len(made["outputResources"]), 2)
        vnet = self.az.run("network", "vnet", "show", "-g", GROUP, "-n", "v-web")
        same("subnets", [s["name"] for s in vnet["subnets"]], ["s0", "s1", "s2"])
        same("tag", vnet["tags"], {"note": "two\nlines"})

    def show(self):
        """show, list, operations, export tell about it"""
        same("show", self.deploy("show", "-n", "d1")["properties"]["provisioningState"], "Succeeded")
        same("list", [d["name"] for d in self.deploy("list")], ["d1"])
        ops = self.az.run("deployment", "operation", "group", "list", "-g", GROUP, "-n", "d1")
        same("operations", {o["properties"]["provisioningState"] for o in ops}, {"Succeeded"})
        same("targets", len(ops), 2)
        same("export", len(self.deploy("export", "-n", "d1")["resources"]), 2)

    def change(self):
        """what-if of a change shows the property; a wrong one is refused before anything is done"""
        said = self.deploy("what-if", "-f", self.template, "--no-pretty-print", "-p", "subnets=2")
        kinds = {c["resourceId"].rpartition("/")[2]: c for c in said["changes"]}
        same("address", kinds["addr"]["changeType"], "NoChange")
        same("network", kinds["v-web"]["changeType"], "Modify")
        if "properties.subnets" not in [d["path"] for d in kinds["v-web"]["delta"]]:
            raise Failed(f"delta: {kinds['v-web']['delta']}")
        said = self.az.refused(
            *("deployment", "group", "create", "-g", GROUP, "-n", "d2", "-f", self.template),
            *("-p", "prefix=300.1"),
        )
        for word in ("InvalidTemplateDeployment", "v-web"):
            if word not in said:
                raise Failed(f"az said: {said}")
        said = self.az.refused("deployment", "group", "validate", "-g", GROUP, "-f", self.template, "-p", "subnets=10")
        if "maxValue of 9" not in said:
            raise Failed(f"az said: {said}")
        same("list", [d["name"] for d in self.deploy("list")], ["d1"])

    def export(self):
        """a group is exported, and made again from that"""
        exported = self.az.run("group", "export", "-n", GROUP, "--include-parameter-default-value")
        same("resources", len(exported["resources"]), 2)
        path = self.file("again.json", json.dumps(exported))
        self.az.run("network", "vnet", "delete", "-g", GROUP, "-n", "v-web")
        made = self.deploy("create", "-n", "again", "-f", path)["properties"]
        same("state", made["provisioningState"], "Succeeded")
        vnet = self.az.run("network", "vnet", "show", "-g", GROUP, "-n", "v-web")
        same("subnets", [s["addressPrefix"] for s in vnet["subnets"]], [f"10.1.{i}.0/24" for i in range(3)])

    def complete(self):
        """complete mode deletes what the template does not name"""
        path = self.file("rt.json", json.dumps({
            "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
            "contentVersion": "1.0.0.0",
            "resources": [{
                "type": "Microsoft.Network/publicIPAddresses", "apiVersion": "2022-01-01", "name": "addr",
                "location": "westeurope",
            }],
        }))
        said = self.deploy("what-if", "-f", path, "--mode", "Complete", "--no-pretty-print")
        kinds = {c["resourceId"].rpartition("/")[2]: c["changeType"] for c in said["changes"]}
        same("changes", kinds, {"addr": "NoChange", "v-web": "Delete"})
        made = self.deploy("create", "-n", "only", "-f", path, "--mode", "Complete")["properties"]
        same("state", made["provisioningState"], "Succeeded")
        same("left", self.az.run("network", "vnet", "list", "-g", GROUP), [])

    def subscription(self):
        """a deployment at the subscription makes a group and what is in it"""
        path = self.file("sub.json", json.dumps(SUBSCRIPTION))
        where = ("-l", "westeurope", "-f", path)
        said = self.az.run("deployment", "sub", "what-if", *where, "--no-pretty-print")
        same("what-if", sorted(c["changeType"] for c in said["changes"]), ["Create", "Create"])
        made = self.az.run("deployment", "sub", "create", "-n", "s1", *where)
        same("state", made["properties"]["provisioningState"], "Succeeded")
        same("inside", self.az.run("network", "public-ip", "list", "-g", "inner")[0]["name"], "addr")
        same("list", [d["name"] for d in self.az.run("deployment", "sub", "list")], ["s1"])
        self.az.run("deployment", "sub", "delete", "-n", "s1")
        same("gone", self.az.run("deployment", "sub", "list"), [])

    def kill(self):
        """a controller that is killed in the middle goes on"""
        network = {
            "type": "Microsoft.Network/virtualNetworks", "apiVersion": "2022-01-01",
            "name": "[format('many-{0}', copyIndex())]", "location": "westeurope",
            "properties": {"addressSpace": {"addressPrefixes": ["10.0.0.0/16"]}},
            "copy": {"name": "l", "count": 120, "mode": "serial"},
        }
        group = f"/subscriptions/{self.c.env['SUBSCRIPTION']}/resourceGroups/{GROUP}"
        path = group + "/providers/Microsoft.Resources/deployments/long"
        body = {"properties": {"mode": "Incremental", "template": {"resources": [network]}}}
        self.c.put("", path, body, "2021-04-01")
        until = time.monotonic() + 60
        while True:
            status, d = self.c.call("", "GET", group + "/deployments/long/operations", None, "2021-04-01")
            same("status", status, 200)
            if d["value"]:
                break
            if time.monotonic() > until:
                raise Failed("it does not begin")
            time.sleep(0.02)
        self.restart()
        while True:
            state = self.c.call("", "GET", path, None, "2021-04-01")[1]["properties"]["provisioningState"]
            if state not in ("Accepted", "Running"):
                break
            if time.monotonic() > until + 60:
                raise Failed("it does not end")
            time.sleep(0.1)
        same("state", state, "Succeeded")
        same("all", len(self.az.run("network", "vnet", "list", "-g", GROUP)), 120)

    def connection(self):
        """vpn-connection create: the ExpressRoute connection, which az makes by a template"""
        self.az.run("network", "vnet", "create", "-g", GROUP, "-n", "v", "--address-prefixes", "10.9.0.0/16",
                    "--subnet-name", "GatewaySubnet", "--subnet-prefixes", "10.9.0.0/27")
        self.az.run("network", "public-ip", "create", "-g", GROUP, "-n", "ip")
        self.az.run("network", "vnet-gateway", "create", "-g", GROUP, "-n", "gw", "--vnet", "v",
                    "--gateway-type", "ExpressRoute", "--sku", "Standard", "--public-ip-addresses", "ip")
        circuit = self.az.run("network", "express-route", "create", "-g", GROUP, "-n", "er", "--bandwidth", "200",
                              "--provider", "Equinix", "--peering-location", "Amsterdam")
        sub = self.c.env["PROVIDER_SUBSCRIPTION"]
        self.c.put("PROVIDER_", f"/subscriptions/{sub}/resourceGroups/CrossConnection-Amsterdam/providers/"
                   f"Microsoft.Network/expressRouteCrossConnections/{circuit['serviceKey']}",
                   {"location": "westeurope", "properties": {"serviceProviderProvisioningState": "Provisioned"}})
        self.az.run("network", "express-route", "peering", "create", "-g", GROUP, "--circuit-name", "er",
                    "--peering-type", "AzurePrivatePeering", "--peer-asn", "65001", "--vlan-id", "100",
                    "--primary-peer-subnet", "192.168.1.0/30", "--secondary-peer-subnet", "192.168.1.4/30")
        made = self.az.run("network", "vpn-connection", "create", "-g", GROUP, "-n", "con", "--vnet-gateway1", "gw",
                           "--express-route-circuit2", "er")
        same("type", made["resource"]["connectionType"], "ExpressRoute")
        same("state", made["resource"]["provisioningState"], "Succeeded")
        shown = self.az.run("network", "vpn-connection", "show", "-g", GROUP, "-n", "con")
        same("name", shown["name"], "con")
        same("weight", shown["routingWeight"], 10)

    def delete(self):
        """delete takes the record, not what it made"""
        self.deploy("delete", "-n", "only")
        if "only" in [d["name"] for d in self.deploy("list")]:
            raise Failed("it is still there")
        same("kept", self.az.run("network", "public-ip", "show", "-g", GROUP, "-n", "addr")["name"], "addr")


if __name__ == "__main__":
    sys.exit(tell(__doc__, Story))
