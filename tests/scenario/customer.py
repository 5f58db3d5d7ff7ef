#!/usr/bin/env python3
"""The customer's side of a lab by itself: FRR and BIRD in namespaces speak BGP with MD5 and BFD, the
LAN converges from one router to the other, and nothing is left when the lab is killed."""

import os
import signal
import subprocess
import sys
import time

import tap

tap.need_root()

from customer import Customer, Plan, bird_config, ping
from netns import Box, wait_for
from routers import Bird, Frr


class World:
    """One FRR customer whose edges are two BIRDs."""

    def __init__(self, box):
        self.box, self.plan = box, Plan()
        self.customer = Customer(box, "c", self.plan, Frr)
        self.edges = [box.namespace("edge-a"), box.namespace("edge-b")]
        self.daemons = []

    def edge_config(self, i):
        plan = self.plan
        return f"""\
log stderr all;
router id 10.255.0.{i + 1};
protocol device {{ }}
protocol kernel {{ ipv4 {{ export where source = RTS_BGP; }}; }}
protocol static {{ ipv4; route {plan.vnet} blackhole; }}
protocol bfd {{ interface "*" {{ min rx interval 300 ms; min tx interval 300 ms; multiplier 3; }}; }}
protocol bgp edge {{
    local {plan.edge(i)} as {plan.edge_asn};
    neighbor {plan.ce(i)} as {plan.asn};
    password "{plan.key}";
    connect delay time 1; connect retry time 1; error wait time 1, 2;
    bfd on;
    ipv4 {{ import all; export where source = RTS_STATIC; }};
}}
"""


def establishes(world):
    for i, edge in enumerate(world.edges):
        world.customer.plug(i, edge, "x0")
        edge.ip(f"address add {world.plan.edge(i)}/30 dev x0")
        world.daemons.append(Bird(edge, world.edge_config(i)))
    world.customer.start_routers()
    for i in (0, 1):
        wait_for(f"session {i}", lambda i=i: world.customer.is_established(i), 20)
        wait_for("the LAN is announced", lambda i=i: str(world.plan.lan) in world.daemons[i].routes(), 5)


def has_bfd(world):
    for i, router in enumerate(world.customer.routers):
        edge = world.plan.edge(i)
        wait_for(f"BFD {i}", lambda r=router, e=edge: (r.bfd(e) or {}).get("status") == "up", 10)
        tap.expect(router.bfd(edge)["interval"] == 300, "300 ms")


def shares_by_ibgp(world):
    for i, router in enumerate(world.customer.routers):
        wait_for(f"both paths on ce{i + 1}",
                 lambda r=router: len(r.routes().get(world.plan.vnet, [])) == 2, 10)


def moves_over_the_lan(world):
    """The cut is silent: interfaces stay up, frames are gone."""
    plan, edge = world.plan, world.edges[0]
    edge.ip("link set x0 arp off")
    edge.run(["nft", "add table netdev cut; add chain netdev cut in { type filter hook ingress "
              "device x0 priority 0; policy drop; }"])
    begin = time.monotonic()
    ce1 = world.customer.ce[0]
    wait_for("ce1 sends to ce2", lambda: f"via {plan.lan_ce(1)}" in ce1.run(
        ["ip", "route", "get", plan.vm(0)]), 10)
    tap.expect(time.monotonic() - begin < 3, "BFD noticed, not the hold timer")
    received, text = ping(world.customer.pc, plan.edge(1), 2)
    tap.expect(received == 2, text)


def is_running(pid):
    """A zombie has ended; whoever adopted it may take its time."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
            return f.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def leaves_nothing(_world):
    """A lab killed with -9: its watchdog ends what it started, daemons that changed user too."""
    script = (f"import sys; sys.path.insert(0, {os.path.join(tap.TOP, 'lab')!r})\n"
              "from netns import Box; from routers import Frr; import signal\n"
              "box = Box(); frr = Frr(box.namespace('x'), '')\n"
              "print(box.dir, *[d.pid for d in frr.daemons.values()], flush=True)\n"
              "signal.pause()\n")
    with subprocess.Popen([sys.executable, "-B", "-c", script], stdout=subprocess.PIPE, text=True) as lab:
        where, *pids = lab.stdout.readline().split()
        tap.expect(len(pids) == 4, "four daemons run")
        os.kill(lab.pid, signal.SIGKILL)
        lab.wait()
    wait_for("its directory is gone", lambda: not os.path.exists(where), 20)
    tap.expect(not [p for p in pids if is_running(p)], "a daemon is left")


def bird_as_customer(world):
    """The same customer with BIRD instead."""
    for i in (0, 1):
        world.customer.stop_router(i)
    world.edges[0].run(["nft", "delete table netdev cut"])
    world.edges[0].ip("link set x0 arp on")
    for i in (0, 1):
        world.customer.routers[i] = Bird(world.customer.ce[i], bird_config(world.plan, i))
        wait_for(f"BIRD's session {i}", lambda i=i: world.customer.routers[i].is_established("edge"), 30)


def main():
    with Box() as box:
        return tap.run([("FRR establishes with MD5 over both links", establishes),
                        ("BFD at 300 ms x 3", has_bfd),
                        ("the routers share paths by iBGP", shares_by_ibgp),
                        ("a silent cut moves traffic over the LAN", moves_over_the_lan),
                        ("BIRD takes FRR's place", bird_as_customer),
                        ("kill -9 of a lab leaves nothing", leaves_nothing)], World(box))


sys.exit(main())
