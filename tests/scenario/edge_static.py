#!/usr/bin/env python3
"""Two edges and a host from static config files, no controller: real routers with MD5, packets both
ways, two customers with the same addresses, a silent cut with repair, kill -9 of an edge, a changed
bandwidth."""

import json
import os
import signal
import sys

import tap

tap.need_root()

from measure import Flow
from netns import Box, wait_for
from world import World

RATE = 500  # packets a second of a stream
DETECTION = 0.9  # BFD, 3 x 300 ms
GRACE = 0.5
SIZE = 200


class Stream:
    """Numbered packets in one direction for a while: how many were lost, and when?"""

    def __init__(self, name, source, source_at, target, target_at, port, seconds):
        self.flow = Flow(name, source, f"{source_at}:{port}", target, f"{target_at}:{port}",
                         RATE * SIZE * 8 / 1e6, SIZE, seconds)
        self.seconds = seconds

    def result(self):
        return self.flow.stop(self.seconds + 20)


def expect_none_lost(streams):
    for r in [s.result() for s in streams]:
        tap.expect(r.sent > RATE, f"{r.name}: only {r.sent} sent")
        tap.expect(r.lost == 0, f"{r.name}: {r.lost} of {r.sent} lost: {r.stream['lost'][:5]}")


class Lab:
    def __init__(self, box):
        self.world = World(box, is_static=True)
        self.one = self.two = None

    @property
    def cloud(self):
        return self.world.cloud

    def session(self, edge, tenant):
        rows = self.cloud.query(edge, "sessions")["value"]
        return next(r for r in rows if r["name"] == tenant.domain_key)

    def both_ways(self, seconds):
        pc, (vm0, vm1) = self.one.site.pc, [v.ns for v in self.one.vms[:2]]
        at, at0, at1 = self.one.plan.pc, self.one.plan.vm(0), self.one.plan.vm(1)
        return [Stream("in", pc, at, vm0, at0, 7100, seconds),
                Stream("out-1", vm0, at0, pc, at, 7101, seconds),
                Stream("out-2", vm1, at1, pc, at, 7102, seconds)]


def starts(lab):
    lab.world.start()


def tenant(lab, n, name):
    t = lab.world.tenant(n, name)
    t.plug()
    t.site.start_routers()
    t.wait_established()
    return t


def establishes(lab):
    lab.one = tenant(lab, 1, "one")


def reaches(lab):
    lab.one.wait_reachable()
    for vm in lab.one.vms:
        received, text = vm.ping(lab.one.plan.pc)
        tap.expect(received == 3, text)


def answers_queries(lab):
    key, plan = lab.one.domain_key, lab.one.plan
    for i, edge in enumerate(("edge-a", "edge-b")):
        arp = lab.cloud.query(edge, "arp", key)["value"]
        tap.expect({r["interface"] for r in arp} == {"Microsoft", "On-Prem"}, arp)
        routes = lab.cloud.query(edge, "routes", key)["value"]
        tap.expect([r for r in routes if r["network"] == str(plan.lan) and r["nextHop"] == plan.ce(i)
                    and r["path"] == str(plan.asn)], routes)
        told = lab.cloud.query(edge, "advertised", key)["value"]
        tap.expect([r["network"] for r in told] == [plan.vnet], told)
        summary = lab.cloud.query(edge, "routes_summary", key)["value"][0]
        tap.expect(summary["neighbor"] == plan.ce(i) and summary["statePfxRcd"] == "1", summary)


def is_isolated(lab):
    """The same addresses everywhere; neither sees the other's VMs or meters."""
    lab.two = tenant(lab, 2, "two")
    lab.two.wait_reachable()

    def packets(n):
        rows = [r for e in ("edge-a", "edge-b") for r in lab.cloud.query(e, "meters", f"circuit-{n}")["value"]]
        return sum(r["packetsIn"] for r in rows), sum(r["packetsOut"] for r in rows)

    before = packets(2)
    tap.expect(lab.one.ping(lab.one.site.pc, lab.one.plan.vm(0), 5)[0] == 5, "one still works")
    tap.expect(packets(2) == before, "the other circuit counted them")
    lab.one.vms[0].ns.ip("link set eth0 down")
    tap.expect(lab.one.ping(lab.one.site.pc, lab.one.plan.vm(0), 2)[0] == 0, "somebody else answers")
    lab.one.vms[0].ns.ip("link set eth0 up",
                         f"route replace default via {lab.one.plan.subnet[1]}")
    lab.one.wait_reachable()


def counts_exactly(lab):
    """Our meters and the provider's switch count the same bytes. (Since a moment at which all was
    well: what the edge drops, it does not meter.)"""
    def counts():
        stats = lab.cloud.switch.stats()
        ours, theirs = [], []
        for i, edge in enumerate(("edge-a", "edge-b")):
            row = lab.cloud.query(edge, "meters", lab.one.domain_key)["value"][0]
            port = stats[lab.one.ports[i]]
            ours += [row["bytesIn"], row["bytesOut"]]
            theirs += [port["toTrunk"]["ipBytes"], port["fromTrunk"]["ipBytes"]]
        return ours, theirs

    def moved():
        after = counts()
        return [[y - x for x, y in zip(a, b)] for a, b in zip(before, after)]

    before = counts()
    for size in (0, 100, 1400):
        lab.one.site.pc.run(["ping", "-n", "-q", "-c", "20", "-i", "0.01", "-s", str(size),
                             lab.one.plan.vm(0)])
    ours, theirs = wait_for("the counts moved", lambda: moved() if sum(moved()[0]) else None, 3)[0]
    tap.expect(ours == theirs and sum(ours) == 2 * 20 * (3 * 28 + 1500), (ours, theirs))


def survives_kill(lab):
    """kill -9 of edge A's edged under traffic both ways: nothing lost, BFD has not moved."""
    router, edge = lab.one.site.routers[0], lab.one.plan.edge(0)
    downs = router.bfd(edge)["down"]
    streams = lab.both_ways(8)
    old = lab.cloud.pid_of("edge-a", "edged")
    wait_for("traffic flows", lambda: lab.cloud.query("edge-a", "meters", lab.one.domain_key), 3)
    os.kill(old, signal.SIGKILL)

    def is_back():
        return lab.cloud.pid_of("edge-a", "edged") != old and \
            lab.session("edge-a", lab.one)["state"] == "Established" and \
            lab.one.site.is_established(0)

    wait_for("edged is back and the session Established", is_back, 20,
             evidence=lambda: lab.one.evidence(0))
    expect_none_lost(streams)
    tap.expect(router.bfd(edge)["down"] == downs, "BFD went down")
    row = lab.session("edge-a", lab.one)
    tap.expect(row["gracefulRestart"], row)


def repairs(lab):
    """Link A is cut silently, interfaces stay up."""
    streams = lab.both_ways(6)
    wait_for("traffic flows", lambda: lab.cloud.query("edge-a", "meters", lab.one.domain_key), 3)
    lab.cloud.switch.drop(lab.one.ports[0])
    lost = [s.result().lost for s in streams]
    print(f"# lost {lost} of {6 * RATE} at {RATE} a second", flush=True)
    # forwards and back again each cost up to a detection
    tap.expect(max(lost) <= (DETECTION + GRACE) * RATE, f"lost {lost}")
    lab.cloud.switch.restore(lab.one.ports[0])
    lab.one.wait_established()
    lab.one.wait_reachable()


def change(lab, node, daemon, kind, key, **body):
    """One object of a node's file, and the daemon reads it again."""
    path = os.path.join(lab.world.box.dir, "static", f"{node}.yaml")
    with open(path, encoding="ascii") as f:
        config = json.load(f)
    for o in config["objects"]:
        if o["kind"] == kind and o["key"] == key:
            o["rev"] = 2
            o["body"].update(body)
    with open(path, "w", encoding="ascii") as f:
        json.dump(config, f)
    os.kill(lab.cloud.pid_of(node, daemon), signal.SIGHUP)


def causes(lab, node):
    """Of the entries in a node's usage journal."""
    where = os.path.join(lab.cloud.state(node), "journal")
    out = []
    for name in sorted(n for n in os.listdir(where) if n.endswith(".jsonl")):
        with open(os.path.join(where, name), encoding="utf-8") as f:
            out += [json.loads(x)["cause"] for x in f if x.endswith("\n")]
    return out


def changes_bandwidth(lab):
    """One changed object: no session reset, nothing lost, the usage before it on record."""
    streams = lab.both_ways(3)
    before = [lab.session(e, lab.one)["established"] for e in ("edge-a", "edge-b")]
    for node in ("edge-a", "edge-b"):
        change(lab, node, "edged", "circuit", lab.one.order.circuit, bandwidthMbps=500)
    expect_none_lost(streams)
    tap.expect([lab.session(e, lab.one)["established"] for e in ("edge-a", "edge-b")] == before,
               "a session was reset")
    # one of the two carries the pings at least
    tap.expect("change" in causes(lab, "edge-a") + causes(lab, "edge-b"), "no cut at the change")


def keeps_a_nic(lab):
    """What packets do not depend on changes: the device stays attached, nothing is lost."""
    streams = lab.both_ways(3)
    before = lab.cloud.log("host-1-hostd").count("detached")
    for i in range(2):
        change(lab, "host-1", "hostd", "nic", f"nic-{lab.one.order.vnet}-{i}", resourceId=f"/nic/{i}")
    expect_none_lost(streams)
    tap.expect(lab.cloud.log("host-1-hostd").count("detached") == before, "a device was detached")
    tap.expect(not lab.cloud.query("host-1", "config_errors")["value"], "refused")


def stops(lab):
    lab.cloud.stop()
    for node in ("edge-a-edged", "edge-b-edged", "host-1-hostd"):
        text = lab.cloud.log(node)
        tap.expect("Sanitizer" not in text and "runtime error" not in text, text[-3000:])


def main():
    with Box() as box:
        return tap.run([("keeper, bfdd, edged, hostd start", starts),
                        ("both sessions are Established, with MD5", establishes),
                        ("the LAN reaches the VMs, and they it", reaches),
                        ("queries show ARP, routes, what is announced", answers_queries),
                        ("a second customer with the same addresses is apart", is_isolated),
                        ("meters equal the switch's count to the byte", counts_exactly),
                        ("kill -9 of edged loses no packet", survives_kill),
                        ("a silent cut is repaired", repairs),
                        ("bandwidth changes without a reset", changes_bandwidth),
                        ("a NIC's new name detaches nothing", keeps_a_nic),
                        ("everything stops", stops)], Lab(box))


sys.exit(main())
