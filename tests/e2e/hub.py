#!/usr/bin/env python3
"""A hub lends its gateway to a spoke, with packets: a whole cloud, two FRR routers at the site. The circuit
is linked to the hub alone; one machine is in the hub, the other in the spoke. What the gateway and the
interfaces answer is compared with what the routers see and what packets do."""

import ipaddress
import os
import sys

sys.dont_write_bytecode = True
TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tests", "scenario"))

import tap

tap.need_root()

import orders
from customer import Vm, ping
from netns import Box, wait_for
from world import World

SPOKE, SPOKE_VM = "10.20.0.0/16", "10.20.1.4"


class Case:
    def __init__(self, box):
        self.world = World(box)


def a_hub_is_linked(case):
    """As every customer's network, but that the second machine is in a VNet of its own."""
    case.world.start()
    case.tenant = t = case.world.tenant(1, "contoso")
    t.vms[1] = Vm(case.world.box, "contoso-spoke", case.world.cloud.namespaces["host-1"], "spoke0", SPOKE_VM,
                  ipaddress.ip_network("10.20.1.0/24"))
    t.cli(*orders.circuit_words(t))
    orders.read_circuit(t)
    t.cli("cross-connection", "update", t.service_key, "--state", "Provisioned")
    orders.read_cross_connection(t)
    t.cli(*orders.peering_words(t))
    hub = t.plan.vnet.replace(".0.0/16", ".255.0/27")
    t.cli("vnet", "create", "hub", "--prefix", t.plan.vnet, "--subnet",
          f"default={t.plan.subnet},GatewaySubnet={hub}")
    t.cli("vnet", "create", "spoke", "--prefix", SPOKE, "--subnet", "default=10.20.1.0/24")
    t.cli("nic", "create", "nic1", "--vnet", "hub", "--address", t.plan.vm(0))
    t.cli("nic", "create", "nic2", "--vnet", "spoke", "--address", SPOKE_VM)
    t.cli("gateway", "create", "gateway", "--vnet", "hub")
    t.cli("connection", "create", "connection", "--gateway", "gateway", "--circuit", t.name)
    for words in orders.attach_words(t):
        t.cli(*words)
    t.plug()
    t.site.start_routers()
    t.wait_established()
    t.wait_reachable()
    tap.expect(t.ask("connection", "show", "connection")["properties"]["connectionStatus"] == "Connected",
               "the connection does not say so")


def hears(case, prefix):
    return all(prefix in r.routes() for r in case.tenant.site.routers)


def the_spoke_is_out_of_reach(case):
    tap.expect(not hears(case, SPOKE), "the customer hears of a VNet that no circuit reaches")
    tap.expect(ping(case.tenant.site.pc, SPOKE_VM, 2)[0] == 0, "and reaches it")


def lent_a_gateway_it_is_reached(case):
    t = case.tenant
    t.cli("vnet-peering", "create", "hub", "to-spoke", "--remote", "spoke", "--lend-gateway")
    t.cli("vnet-peering", "create", "spoke", "to-hub", "--remote", "hub", "--use-gateway")
    wait_for("both routers learn the spoke", lambda: hears(case, SPOKE), 30,
             evidence=lambda: t.evidence(0))
    wait_for("the LAN reaches the spoke's machine", lambda: ping(t.site.pc, SPOKE_VM, 1)[0] == 1, 30,
             evidence=lambda: t.evidence(0))
    tap.expect(ping(t.vms[1].ns, t.plan.pc, 2)[0] == 2, "the machine does not reach the LAN")
    tap.expect(ping(t.site.pc, t.plan.vm(0), 2)[0] == 2, "the hub is not reached any more")


def answers_are_what_happens(case):
    t, lan = case.tenant, str(case.tenant.plan.lan)
    peers = t.ask("gateway", "peers", "gateway")["value"]
    tap.expect([(p["neighbor"], p["state"]) for p in peers] == [(t.plan.edge(i), "Connected") for i in (0, 1)], peers)
    learned = t.ask("gateway", "learned", "gateway")["value"]
    tap.expect({(r["sourcePeer"], r["asPath"]) for r in learned if r["network"] == lan}
               == {(t.plan.edge(i), f"12076-{t.plan.asn}") for i in (0, 1)}, learned)
    for i in (0, 1):
        told = t.ask("gateway", "advertised", "gateway", "--peer", t.plan.edge(i))["value"]
        tap.expect({r["network"] for r in told} == {t.plan.vnet, SPOKE}, told)
    for nic, own in (("nic1", t.plan.vnet), ("nic2", SPOKE)):
        routes = {r["addressPrefix"][0]: r for r in t.ask("nic", "routes", nic)["value"]}
        tap.expect(routes[lan]["source"] == "VirtualNetworkGateway" and routes[lan]["state"] == "Active", routes)
        tap.expect(routes[own]["nextHopType"] == "VnetLocal", routes)


def taken_back_it_is_out_of_reach(case):
    t = case.tenant
    t.cli("vnet-peering", "delete", "hub", "to-spoke")
    wait_for("both routers forget the spoke", lambda: not any(SPOKE in r.routes() for r in t.site.routers), 30,
             evidence=lambda: t.evidence(0))
    wait_for("the spoke's machine is out of reach", lambda: ping(t.site.pc, SPOKE_VM, 1)[0] == 0, 15)
    tap.expect(ping(t.site.pc, t.plan.vm(0), 2)[0] == 2, "the hub is not reached any more")
    tap.expect(t.ask("vnet-peering", "show", "spoke", "to-hub")["properties"]["peeringState"] == "Disconnected",
               "the spoke's side does not say so")


def main():
    with Box() as box:
        case = Case(box)
        status = tap.run([("a hub is linked, with packets", a_hub_is_linked),
                          ("a VNet beside it is out of reach", the_spoke_is_out_of_reach),
                          ("lent the hub's gateway it is reached", lent_a_gateway_it_is_reached),
                          ("gateway and NICs answer what happens", answers_are_what_happens),
                          ("taken back it is out of reach", taken_back_it_is_out_of_reach)], case)
        if case.world.cloud:
            case.world.cloud.stop()
        return status


sys.exit(main())
