#!/usr/bin/env python3
"""Dry runs, metrics and sessions on event streams, from what edges tell: the controller as a program,
and two edges played by this script.

  tests/e2e/foresight.py CONTROLD CATALOGUE

Prints TAP."""
import http.client
import json
import os
import shutil
import sys
import tempfile
import threading
import time
import urllib.parse

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from az_rig import Controller, Fabric, Node, NETWORK_VERSION  # noqa: E402

HOME = tempfile.mkdtemp(prefix="wayleave-foresight-")
C = Controller(os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2]), HOME)
GROUP = f"/subscriptions/{C.env['SUBSCRIPTION']}/resourceGroups/g"
CIRCUIT = f"{GROUP}/providers/Microsoft.Network/expressRouteCircuits/er"
PEERING = f"{CIRCUIT}/peerings/AzurePrivatePeering"
WANT = {
    "peeringType": "AzurePrivatePeering",
    "peerASN": 65010,
    "vlanId": 100,
    "primaryPeerAddressPrefix": "192.168.16.0/30",
    "secondaryPeerAddressPrefix": "192.168.16.4/30",
}


def same(got, want):
    assert got == want, f"got {got!r}, wanted {want!r}"


def eventually(what, seconds=60):
    until = time.monotonic() + seconds
    while True:
        got = what()
        if got:
            return got
        assert time.monotonic() < until, f"{what.__name__} did not come true"
        time.sleep(0.3)


def call(prefix, method, path, body=None, query=f"api-version={NETWORK_VERSION}"):
    link = http.client.HTTPSConnection("localhost", urllib.parse.urlparse(C.env["ARM_ENDPOINT"]).port, context=C.tls, timeout=60)
    headers = {"Authorization": "Bearer " + C.token(prefix), "Content-Type": "application/json"}
    link.request(method, f"{path}?{query}", None if body is None else json.dumps(body), headers)
    r = link.getresponse()
    text = r.read()
    link.close()
    return r.status, json.loads(text) if text else None


def dry(method, path, body=None, prefix=""):
    status, report = call(prefix, method, path, body, f"api-version={NETWORK_VERSION}&dryRun=true")
    same(status, 200)
    assert report["dryRun"] is True
    return report


def order():
    Fabric(C)
    C.put("", GROUP, {"location": "westeurope"}, "2021-04-01")
    body = {
        "location": "westeurope",
        "sku": {"name": "Standard_MeteredData", "tier": "Standard", "family": "MeteredData"},
        "properties": {
            "serviceProviderProperties": {"serviceProviderName": "Equinix", "peeringLocation": "Amsterdam", "bandwidthInMbps": 50}
        },
    }
    report = dry("PUT", CIRCUIT, body)
    same(call("", "GET", CIRCUIT)[0], 404)
    same(report["monthlyCost"]["before"], 0)
    assert report["monthlyCost"]["after"] > 0 and report["monthlyCost"]["currency"]
    body["properties"]["colour"] = "red"
    same(dry("PUT", CIRCUIT, body)["unknownFields"], ["properties.colour"])
    C.key = C.put("", CIRCUIT, body)["properties"]["serviceKey"]
    # more bandwidth costs more; the edges hear of it, no session ends
    body["properties"]["serviceProviderProperties"]["bandwidthInMbps"] = 100
    report = dry("PUT", CIRCUIT, body)
    assert report["monthlyCost"]["difference"] > 0
    same(report["sessions"], [])
    same({n["node"] for n in report["nodes"]}, {"edge-a", "edge-b"})


def provider_and_peering():
    crosses = f"/subscriptions/{C.env['PROVIDER_SUBSCRIPTION']}/providers/Microsoft.Network/expressRouteCrossConnections"
    C.cross = call("PROVIDER_", "GET", crosses)[1]["value"][0]
    C.put("", PEERING, {"properties": WANT})
    C.put("PROVIDER_", C.cross["id"], {"location": C.cross["location"], "properties": {"serviceProviderProvisioningState": "Provisioned"}})


class Edge(Node):
    """Its sessions are established; it counts what passes when told to."""

    def __init__(self, name, routes):
        self.session, self.sequence = "Established", 0
        super().__init__(C, HOME, name, {"received": [{"network": r, "nextHop": "192.168.16.1", "path": "65010"} for r in routes]})

    def run(self):
        cursor = ""
        while not self.ends:
            try:
                got = self.ask("GET", f"poll?wait=1&cursor={cursor}")
                for q in got["queries"]:
                    self.ask("POST", "answer", {"id": q["id"], "status": "ok", "result": {"value": self.answers.get(q["kind"], [])}})
                cursor = got["cursor"]
                key = f"{C.key}/AzurePrivatePeering"
                row = {"session": self.session, "linkUp": self.session == "Established", "reason": ""}
                self.ask("POST", "report", {"applied": cursor, "errors": [], "state": {"domains": {key: row}}})
            except (OSError, http.client.HTTPException):
                time.sleep(0.2)

    def meter(self, total):
        """All that has passed so far, in and out."""
        self.sequence += 1
        one = {"circuit": C.key, "domain": f"{C.key}/AzurePrivatePeering", "number": 1, "epoch": 1}
        readings = [
            dict(one, slot=1, bytesIn=total, packetsIn=1, bytesOut=0, packetsOut=0),
            dict(one, slot=2, bytesIn=0, packetsIn=0, bytesOut=2 * total, packetsOut=1),
        ]
        entry = {"boot": "0123456789abcdef", "sequence": self.sequence, "time": int(time.time() * 1e6), "readings": readings}
        return self.ask("POST", "readings", {"entries": [entry]})


EDGES = []


def sessions_and_prefixes_are_foretold():
    EDGES.append(Edge("edge-a", ["10.50.0.0/16"]))
    EDGES.append(Edge("edge-b", ["10.50.0.0/16"]))

    def are_up():
        report = dry("PUT", PEERING, {"properties": dict(WANT, peerASN=65011)})
        return [s.get("state") for s in report["sessions"]] == ["Established"] * 2 and report

    report = eventually(are_up)
    same([(s["node"], s["effect"], s["neighbor"]) for s in report["sessions"]],
         [("edge-a", "Resets", "192.168.16.1"), ("edge-b", "Resets", "192.168.16.5")])
    assert all(s["ageSeconds"] < 60 and s["peering"] == PEERING for s in report["sessions"])
    same([(p["prefix"], p["change"], p["direction"], sorted(p["nodes"])) for p in report["prefixes"]],
         [("10.50.0.0/16", "Interrupted", "FromCustomer", ["edge-a", "edge-b"])])
    same([v["answered"] for v in report["views"]], [True, True])
    same(call("", "GET", PEERING)[1]["properties"]["peerASN"], 65010)
    # only the second link's subnet: only the second edge's session
    report = dry("PUT", PEERING, {"properties": dict(WANT, secondaryPeerAddressPrefix="192.168.16.8/30")})
    same([s["node"] for s in report["sessions"]], ["edge-b"])
    # gone: unreachable
    report = dry("DELETE", PEERING)
    same({s["effect"] for s in report["sessions"]}, {"Ends"})
    same([(p["prefix"], p["change"]) for p in report["prefixes"]], [("10.50.0.0/16", "Unreachable")])
    # the provider sees what its own step does, and not the customer's objects
    report = dry("PUT", C.cross["id"], {"location": C.cross["location"], "properties": {"serviceProviderProvisioningState": "NotProvisioned"}}, "PROVIDER_")
    same((report["sessions"], report["prefixes"], report["views"], report["hiddenSessions"]), ([], [], [], 2))
    assert all(n["hiddenObjects"] and not n["objects"] for n in report["nodes"])
    same(call("", "GET", CIRCUIT)[1]["properties"]["serviceProviderProvisioningState"], "Provisioned")


def a_linked_network_is_foretold():
    base = f"{GROUP}/providers/Microsoft.Network"
    where = {"location": "westeurope"}
    C.put("", f"{base}/virtualNetworks/v", dict(where, properties={
        "addressSpace": {"addressPrefixes": ["10.1.0.0/16"]},
        "subnets": [{"name": "GatewaySubnet", "properties": {"addressPrefix": "10.1.255.0/27"}}]}))
    C.put("", f"{base}/publicIPAddresses/ip", dict(where, sku={"name": "Standard"}, properties={"publicIPAllocationMethod": "Static"}))
    gateway = f"{base}/virtualNetworkGateways/gw"
    C.put("", gateway, dict(where, properties={
        "gatewayType": "ExpressRoute", "sku": {"name": "Standard", "tier": "Standard"},
        "ipConfigurations": [{"name": "default", "properties": {
            "subnet": {"id": f"{base}/virtualNetworks/v/subnets/GatewaySubnet"}, "publicIPAddress": {"id": f"{base}/publicIPAddresses/ip"}}}]}))
    link = dict(where, properties={"connectionType": "ExpressRoute", "virtualNetworkGateway1": {"id": gateway}, "peer": {"id": CIRCUIT}})
    report = dry("PUT", f"{base}/connections/link", link)
    same(report["sessions"], [])
    got = {(p["prefix"], p["change"], p["direction"]) for p in report["prefixes"]}
    same(got, {("10.1.0.0/16", "Reachable", "ToCustomer"), ("10.50.0.0/16", "Reachable", "FromCustomer")})
    C.put("", f"{base}/connections/link", link)
    got = {(p["prefix"], p["change"]) for p in dry("DELETE", f"{base}/connections/link")["prefixes"]}
    same(got, {("10.1.0.0/16", "Unreachable"), ("10.50.0.0/16", "Unreachable")})


def metrics_come_from_the_edges():
    insights = f"{CIRCUIT}/providers/Microsoft.Insights"
    version = "api-version=2018-01-01"
    status, got = call("", "GET", f"{insights}/metricDefinitions", None, version)
    same(status, 200)
    same({d["name"]["value"] for d in got["value"]}, {"BitsInPerSecond", "BitsOutPerSecond", "ArpAvailability", "BgpAvailability"})
    same([a["timeGrain"] for a in got["value"][0]["metricAvailabilities"]], ["PT1M", "PT5M", "PT1H"])
    EDGES[0].meter(1000)  # from here on
    EDGES[0].meter(1000 + 750000)
    EDGES[0].sequence -= 1
    EDGES[0].meter(1000 + 750000)  # handed in again: counts once

    def total(name, more="", interval="PT1H", field="average"):
        status, got = call("", "GET", f"{insights}/metrics", None,
                           f"{version}&metricnames={name}&interval={interval}&aggregation=Average,Minimum,Maximum{more}")
        same(status, 200)
        return {
            tuple(m["value"] for m in s["metadatavalues"]): [p[field] for p in s["data"] if field in p]
            for s in got["value"][0]["timeseries"]
        }

    same(round(sum(total("BitsInPerSecond")[()]) * 3600), 6000000)
    same(round(sum(total("BitsOutPerSecond", interval="PT5M")[()]) * 300), 12000000)
    same(round(sum(total("BitsInPerSecond", interval="PT1M")[()]) * 60), 6000000)
    split = total("BitsInPerSecond", "&%24filter=" + urllib.parse.quote("DeviceRole eq '*'"))
    same(list(split), [("Primary",)])
    split = total("BgpAvailability", "&%24filter=" + urllib.parse.quote("PeeringType eq 'Private' and Peer eq '*'"))
    same(set(split), {("Private", "Primary"), ("Private", "Secondary")})
    same({v for s in split.values() for v in s}, {100.0})
    for query, want in (
        ("metricnames=Nonsense", "Nonsense"),
        ("interval=PT2M", "PT1M, PT5M or PT1H"),
        ("timespan=yesterday", "timespan"),
        ("timespan=2026-01-01T00:00:00Z/2026-02-01T00:00:00Z", "points"),
        ("aggregation=Median", "aggregation"),
        ("%24filter=" + urllib.parse.quote("Colour eq 'red'"), "Colour"),
        ("%24filter=%27", "$filter"),
    ):
        status, got = call("", "GET", f"{insights}/metrics", None, f"{version}&{query}")
        same(status, 400)
        assert got["code"] == "BadRequest" and want in got["message"], got
    same(call("NOBODY_", "GET", f"{insights}/metrics", None, version)[0], 404)
    same(call("READER_", "GET", f"{insights}/metrics", None, version)[0], 200)


def streams_tell_of_sessions():
    heard, ready = [], threading.Event()

    def listen():
        link = http.client.HTTPSConnection("localhost", urllib.parse.urlparse(C.env["ARM_ENDPOINT"]).port, context=C.tls, timeout=90)
        link.request("GET", f"{CIRCUIT}/providers/Wayleave.Events/stream", None, {"Authorization": "Bearer " + C.token("")})
        r = link.getresponse()
        event = None
        while len([e for e in heard if e[0] == "session"]) < 2:
            line = r.readline().decode().rstrip("\n")
            if line.startswith("event: "):
                event = line[7:]
            elif line.startswith("data: "):
                heard.append((event, json.loads(line[6:])))
                ready.set()
        link.close()

    t = threading.Thread(target=listen, daemon=True)
    t.start()
    assert ready.wait(60)
    same(heard[0][1]["resources"][0]["properties"]["serviceProviderProvisioningState"], "Provisioned")
    EDGES[1].session = "Idle"
    eventually(lambda: any(e == "session" and not d["isUp"] and d["node"] == "edge-b" for e, d in heard))
    EDGES[1].session = "Established"
    t.join(60)
    same([d["isUp"] for e, d in heard if e == "session"], [False, True])
    same({d["id"] for e, d in heard if e == "session"}, {PEERING})


CASES = [
    order,
    provider_and_peering,
    sessions_and_prefixes_are_foretold,
    a_linked_network_is_foretold,
    metrics_come_from_the_edges,
    streams_tell_of_sessions,
]
print(f"1..{len(CASES)}")
try:
    for i, case in enumerate(CASES, 1):
        case()
        print(f"ok {i} - {case.__name__}", flush=True)
except BaseException:
    print(C.tail(), file=sys.stderr)
    raise
finally:
    for edge in EDGES:
        edge.ends = True
    C.stop()
    shutil.rmtree(HOME, ignore_errors=True)
