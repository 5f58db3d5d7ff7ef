"""Node configs for a lab without a controller: what the controller would have compiled.

Two customers with the same addresses everywhere: only circuit, S-tag and the fabric numbers differ.
"""

import json
import os

NODES = {"edge-a": ("edge", 1), "edge-b": ("edge", 2), "host-1": ("host", 11)}
AS = 12076


class Order:
    """One customer's circuit as the fabric sees it."""

    def __init__(self, n, plan, mbps=200):
        self.plan, self.mbps = plan, mbps
        self.circuit = f"circuit-{n}"
        self.domain_key = f"{self.circuit}/AzurePrivatePeering"
        self.s_tag = 100 + n
        self.domain, self.vnet = 1000 + n, 2000 + n
        self.devices = [f"vm{n}-1", f"vm{n}-2"]

    def mac(self, i):
        return f"02:00:0a:{self.vnet & 0xff:02x}:00:{4 + i:02x}"

    def key(self, number):
        return number << 12


def _underlay(number):
    return f"10.255.0.{number}"


def _objects(node, orders):
    role, number = NODES[node]
    yield "node", node, {"role": role, "number": number, "underlay": _underlay(number)}
    for other, (other_role, other_number) in NODES.items():
        if other == node or (role == "host" and other_role == "host"):
            continue
        yield "fabricPeer", other, {
            "role": other_role, "number": other_number, "underlay": _underlay(other_number),
            "md5": "fabricSecret", "pair": role == other_role == "edge"}
    if role == "edge":
        yield "port", "exchange-1", {"dev": "trunk0"}
    for order in orders:
        if role == "edge":
            yield from _edge_objects(number - 1, order)
        yield "vnet", f"vnet-{order.vnet}", {
            "number": order.vnet, "addressPrefixes": [order.plan.vnet],
            "subnets": [{"name": "default", "prefix": str(order.plan.subnet)}],
            **({"connections": [{"domain": order.domain}]} if role == "host" else {})}
        for i, device in enumerate(order.devices):
            yield "nic", f"nic-{order.vnet}-{i}", {
                "vnet": order.vnet, "addresses": [order.plan.vm(i)], "node": "host-1",
                "mac": order.mac(i),
                **({"device": device} if role == "host" else {})}


def _edge_objects(i, order):
    plan = order.plan
    yield "circuit", order.circuit, {"port": "exchange-1", "sTag": order.s_tag,
                                     "bandwidthMbps": order.mbps}
    yield "domain", order.domain_key, {
        "number": order.domain, "circuit": order.circuit, "peeringType": "private",
        "cTag": plan.vlan, "localAddress": f"{plan.edge(i)}/30", "peerAddress": plan.ce(i),
        "peerAs": plan.asn, "md5": plan.key, "vnets": [order.vnet]}


def write(cloud, orders):
    """Writes DIR/<node>.yaml (JSON is YAML) and returns DIR."""
    where = os.path.join(cloud.box.dir, "static")
    os.makedirs(where, exist_ok=True)
    for node in NODES:
        config = {
            "instance": cloud.instance, "node": node, "runDir": cloud.node_run(node),
            "stateDir": cloud.state(node), **({"sandbox": False} if os.environ.get("LAB_DEBUG") else {}),
            "objects": [{"kind": kind, "key": key, "rev": 1, "body": body}
                        for kind, key, body in _objects(node, orders)]}
        with open(os.path.join(where, f"{node}.yaml"), "w", encoding="ascii") as f:
            json.dump(config, f, indent=1)
    return where
