#!/usr/bin/env python3
"""Global Reach with packets: two circuits at two places, each on an edge of its own, no pair between
them. The sites reach each other through both edges; neither reaches the other's VMs; parted, nothing
passes any more."""

import json
import os
import signal
import sys

import tap

tap.need_root()

import world as lab_world
from customer import Plan
from netns import Box, wait_for
from static import Order, write
from world import World

EDGES = ("edge-a", "edge-b")
HERE = Plan()
THERE = Plan(asn=65020, primary="172.17.0.0/30", secondary="172.17.0.4/30", lan="192.168.20.0/24",
             vnet="10.20.0.0/16", subnet="10.20.1.0/24")
ORDERS = (Order(1, HERE), Order(2, THERE))


def is_of(order, o):
    """Is this object one of the circuit's?"""
    return o["key"].startswith((order.circuit, f"vnet-{order.vnet}", f"nic-{order.vnet}"))


def far_apart(cloud):
    """The static lab's files, but the first circuit is on edge A alone and the second on edge B, which
    are no pair."""
    where = write(cloud, ORDERS)
    for n, node in enumerate(EDGES):
        path = os.path.join(where, f"{node}.yaml")
        with open(path, encoding="ascii") as f:
            config = json.load(f)
        config["objects"] = [o for o in config["objects"] if not is_of(ORDERS[1 - n], o)]
        for o in config["objects"]:
            if o["kind"] == "fabricPeer":
                o["body"]["pair"] = False
            if o["kind"] == "domain":
                o["body"]["reach"] = [ORDERS[1 - n].domain]
        with open(path, "w", encoding="ascii") as f:
            json.dump(config, f)
    return where


class ReachWorld(World):
    def start(self):
        self.cloud = lab_world.Cloud(self.box, far_apart, self.instance)


class Lab:
    def __init__(self, box):
        self.world = ReachWorld(box, is_static=True)
        self.tenants = []

    def evidence(self):
        return "".join(t.evidence(i) for i, t in enumerate(self.tenants))


def starts(lab):
    lab.world.start()


def establishes(lab):
    for n, plan in enumerate((HERE, THERE)):
        lab_world.Plan = lambda plan=plan: plan
        t = lab.world.tenant(n + 1, ("here", "there")[n])
        lab.tenants.append(t)
        t.plug()
        t.site.start_routers()
    for n, t in enumerate(lab.tenants):
        wait_for(f"{t.name}'s session is Established", lambda n=n, t=t: t.site.is_established(n), 40,
                 evidence=lambda n=n, t=t: t.evidence(n))
        t.wait_reachable(40)


def reaches(lab):
    here, there = lab.tenants
    for a, b in ((here, there), (there, here)):
        wait_for(f"{a.plan.pc} reaches {b.plan.pc}",
                 lambda a=a, b=b: a.ping(a.site.pc, b.plan.pc, 1)[0] == 1, 40, evidence=lab.evidence)
        received, text = a.ping(a.site.pc, b.plan.pc, 5)
        tap.expect(received == 5, text)


def is_told(lab):
    """Each customer hears the other's LAN, with the cloud's AS first; each edge knows it from afar."""
    for n, t in enumerate(lab.tenants):
        other = lab.tenants[1 - n]
        told = lab.world.cloud.query(EDGES[n], "advertised", t.domain_key)["value"]
        tap.expect(str(other.plan.lan) in [r["network"] for r in told], told)


def is_not_transitive(lab):
    """A VNet of one circuit and the site behind the other stay apart."""
    here, there = lab.tenants
    received, text = here.ping(here.vms[0].ns, there.plan.pc, 2)
    tap.expect(received == 0, text)
    received, text = there.ping(there.site.pc, here.plan.vm(0), 2)
    tap.expect(received == 0, text)
    received, text = here.ping(here.vms[0].ns, here.plan.pc, 3)
    tap.expect(received == 3, text)


def parts(lab):
    """One side forgets the other: what it still sends is not accepted, and nothing comes back."""
    path = os.path.join(lab.world.box.dir, "static", "edge-a.yaml")
    with open(path, encoding="ascii") as f:
        config = json.load(f)
    for o in config["objects"]:
        if o["kind"] == "domain":
            o["rev"] = 2
            o["body"]["reach"] = []
    with open(path, "w", encoding="ascii") as f:
        json.dump(config, f)
    os.kill(lab.world.cloud.pid_of("edge-a", "edged"), signal.SIGHUP)
    here, there = lab.tenants
    wait_for("the sites are apart", lambda: here.ping(here.site.pc, there.plan.pc, 1)[0] == 0, 20)
    received, text = there.ping(there.site.pc, here.plan.pc, 3)
    tap.expect(received == 0, text)
    here.wait_reachable()


def stops(lab):
    lab.world.cloud.stop()
    for node in ("edge-a-edged", "edge-b-edged", "host-1-hostd"):
        text = lab.world.cloud.log(node)
        tap.expect("Sanitizer" not in text and "runtime error" not in text, text[-3000:])


def main():
    with Box() as box:
        return tap.run([("two edges that are no pair, and a host, start", starts),
                        ("each circuit has its session and its VMs", establishes),
                        ("the sites reach each other", reaches),
                        ("the customers hear of each other's LAN", is_told),
                        ("it is not transitive", is_not_transitive),
                        ("parted, nothing passes", parts),
                        ("everything stops", stops)], Lab(box))


sys.exit(main())
