"""The demo's chapters. Each tells what it does, does it, and checks what came of it; a check that is
false ends the story with the evidence."""

import datetime
import os
import re
import signal
import time

import orders
from cloud import Capture, gre_keys_by_way
from customer import ping
from leftovers import Footprint
from measure import Flow, RouteWatch, iperf, port_arriving_at, port_over
from netns import LabError, wait_for
from routers import Bird
from world import EDGES, TRUNKS

LINK = ("A", "B")


def run(story, tenant, words, quiet=False):
    """A command, shown with what it printed."""
    if not quiet:
        story.sent("wayleave " + " ".join(tenant.words(*words)))
    text = tenant.cli(*words)
    if not quiet and text.strip():
        story.seen(text)
    return text


# -- 1 --

def bring_up(story, world):
    story.step("1. One command brings up a cloud")
    story.sent("wayleave up" + (" --static DIR" if world.is_static else ""))
    world.start()
    story.seen(world.cloud.process.output())
    if not world.is_static:
        world.empty_store = world.cloud.store()
    contoso = world.tenant(1, "contoso")
    story.say("A customer, contoso: two FRR routers (ce1, ce2), a LAN 192.168.10.0/24 with one host "
              "behind them, and two virtual machines on host-1, each a network namespace.")
    names = sorted(world.cloud.namespaces)
    story.check(len(set(world.cloud.namespaces[n].fd for n in names)) == 5,
                f"namespaces of their own: {', '.join(names)}")
    for node in (*EDGES, "host-1"):
        world.cloud.query(node, "status")
    story.check(True, "edge-a, edge-b and host-1 answer")
    return contoso


# -- 2, 3 --

def order_circuit(story, tenant):
    story.step("2. A circuit is ordered, and the provider provisions it")
    run(story, tenant, ("offer", "list"))
    run(story, tenant, orders.circuit_words(tenant))
    body = orders.read_circuit(tenant)
    properties = body["properties"]
    story.check(properties["circuitProvisioningState"] == "Enabled"
                and properties["serviceProviderProvisioningState"] == "NotProvisioned",
                f"the circuit is Enabled and waits for its provider; service key {tenant.service_key}")
    story.say("The service key is all the provider needs. Its own account finds the circuit as a "
              "cross connection, with the S-tag and the port pair to use.")
    run(story, tenant, ("cross-connection", "list"))
    for state in ("Provisioning", "Provisioned"):
        run(story, tenant, ("cross-connection", "update", tenant.service_key, "--state", state),
            quiet=state == "Provisioning")
        seen = orders.read_circuit(tenant)["properties"]["serviceProviderProvisioningState"]
        story.check(seen == state, f"the customer sees {seen}")
    cross = orders.read_cross_connection(tenant)["properties"]
    story.check(tenant.s_tag > 0 and cross["primaryAzurePort"] != cross["secondaryAzurePort"],
                f"S-tag {tenant.s_tag} on {cross['primaryAzurePort']} and {cross['secondaryAzurePort']}")


def build_network(story, tenant):
    story.step("3. Private peering, a virtual network, and the tie between them")
    run(story, tenant, orders.peering_words(tenant))
    for words in orders.network_words(tenant):
        run(story, tenant, words)
    for words in orders.attach_words(tenant):
        run(story, tenant, words)
    status = tenant.ask("connection", "show", "connection")["properties"]
    story.check(status["provisioningState"] == "Succeeded", "the VNet is connected to the circuit")


# -- 4 --

def establish(story, tenant):
    story.step("4. Two real routers speak BGP with MD5 to our two edges")
    story.say("The provider's technician maps two access lines to the circuit; the routers start.")
    begin = time.monotonic()
    tenant.plug()
    tenant.site.start_routers()
    tenant.wait_established()
    story.check(True, f"both sessions Established {time.monotonic() - begin:.1f} s after the routers' start")
    tenant.wait_reachable()
    for i, router in enumerate(tenant.site.routers):
        bfd, _ = wait_for(f"BFD over link {LINK[i]} is up",
                          lambda r=router, i=i: (r.bfd(tenant.plan.edge(i)) or {}).get("status") == "up"
                          and r.bfd(tenant.plan.edge(i)), 10, evidence=lambda i=i: tenant.evidence(i))
        story.check(bfd["interval"] == 300 and bfd["multiplier"] == 3,
                    f"BFD over link {LINK[i]}: up, {bfd['interval']} ms x {bfd['multiplier']}")
    ce1 = tenant.site.routers[0]
    story.sent("vtysh -c 'show bgp ipv4 unicast'     (on ce1)")
    story.seen(ce1.vtysh("show bgp ipv4 unicast"))
    for i, router in enumerate(tenant.site.routers):
        paths = router.routes().get(tenant.plan.vnet, [])
        story.check(any(p.get("pathFrom") == "external" and p.get("path") == "12076" for p in paths),
                    f"ce{i + 1} learned {tenant.plan.vnet} from its edge with the path 12076", str(paths))
    story.sent("wayleave routes")
    story.seen(tenant.world.cloud.cli("routes"))
    if not tenant.world.is_static:
        story.sent("wayleave status")
        story.seen(tenant.cli("status"))
    lan = str(tenant.plan.lan)
    for node in EDGES:
        rows = tenant.world.cloud.query(node, "routes", tenant.domain_key)["value"]
        story.check(any(r["network"] == lan for r in rows), f"{node} learned {lan}", str(rows))
    for i, node in enumerate(EDGES):
        rows = tenant.world.cloud.query(node, "arp", tenant.domain_key)["value"]
        story.table(["LINK", "INTERFACE", "ADDRESS", "MAC"],
                    [(LINK[i], r["interface"], r["ipAddress"], r["macAddress"]) for r in rows])
        addresses = {r["ipAddress"] for r in rows}
        story.check({tenant.plan.ce(i), tenant.plan.edge(i)} <= addresses,
                    f"both ends of link {LINK[i]} are in {node}'s ARP table", str(rows))


# -- 5 --

def traffic(story, tenant):
    story.step("5. Packets: reachable, tagged, keyed, policed, counted")
    reach(story, tenant)
    captures(story, tenant)
    counters(story, tenant)
    policer(story, tenant)


def reach(story, tenant):
    plan = tenant.plan
    for ns, target, words in ((tenant.site.pc, plan.vm(0), "LAN host to VM 1"),
                              (tenant.site.pc, plan.vm(1), "LAN host to VM 2"),
                              (tenant.vms[0].ns, plan.pc, "VM 1 to LAN host")):
        received, text = ping(ns, target, 3)
        story.sent(f"ping {target}")
        story.seen(text.strip().split("\n")[-1])
        story.check(received == 3, f"{words}: 3 of 3 answers", text)


def captures(story, tenant):
    """The fabric's router sees GRE; the provider's switch sees the tags."""
    cloud, plan = tenant.world.cloud, tenant.plan
    taps = {node: Capture(cloud.namespaces["fabric"], node, "ip proto 47", 400)
            for node in ("edge-a", "edge-b", "host-1")}
    ping(tenant.site.pc, plan.vm(0), 10, 0.05)
    ping(tenant.vms[0].ns, plan.pc, 10, 0.05)
    keys = {node: gre_keys_by_way(tap.stop()) for node, tap in taps.items()}
    domain, vnet = tenant.numbers()
    # On a host's port is all that goes to it and comes from it, on an edge's its own part of that.
    story.sent("tcpdump -i host-1 ip proto 47     (in the fabric; the same on edge-a and edge-b)")
    story.table(["PORT", "FROM", "TO", "GRE KEY", "NUMBER", "PACKETS"],
                [(port, *way, f"0x{k:08x}", k >> 12, n) for port, ways in keys.items()
                 for way, k, n in sorted((w, k, n) for w, ks in ways.items() for k, n in ks.items())])
    ways = {}
    for by_way in keys.values():
        for (source, target), found in by_way.items():
            ways.setdefault((source == "host-1", target == "host-1"), set()).update(k >> 12 for k in found)
    story.check(ways.get((False, True)) == {vnet}, f"towards the host: the VNet's key, number {vnet}, "
                "and no other", str(keys))
    story.check(ways.get((True, False)) == {domain}, f"towards the edges: the domain's key, number {domain}, "
                "and no other", str(keys))
    story.check(set(ways) == {(False, True), (True, False)}, "and nothing between the edges", str(keys))
    ping_during = tenant.site.pc.start(["ping", "-n", "-i", "0.02", "-c", "200", plan.vm(0)],
                                       name=f"ping-{time.monotonic_ns()}")
    frames = []
    for trunk in TRUNKS:
        try:
            frames = cloud.switch.capture(trunk, 6)
        except LabError:
            frames = []
        if any("ICMP" in f for f in frames):
            break
    ping_during.stop()
    story.sent(f"wayleave-labswitch ctl ... capture {trunk} 6")
    story.seen("\n".join(frames))
    wanted = f"S={tenant.s_tag} inner=8100 C={plan.vlan} "
    story.check(frames and all(wanted in f for f in frames),
                f"every frame on the trunk carries S-tag {tenant.s_tag} and C-tag {plan.vlan}", "\n".join(frames))


def edge_bytes(tenant, node):
    for row in tenant.world.cloud.query(node, "stats")["value"]:
        if row["domain"] == tenant.domain_key:
            return row["bytesIn"], row["bytesOut"]
    raise LabError(f"{node}: no counters of {tenant.domain_key}")


def switch_bytes(tenant, i):
    data = tenant.world.cloud.switch.stats()[tenant.ports[i]]
    return data["toTrunk"]["ipBytes"], data["fromTrunk"]["ipBytes"]


def counters(story, tenant):
    """Below the policer's rate nothing is lost, so both must have counted the same bytes."""
    plan = tenant.plan
    before = [(edge_bytes(tenant, EDGES[i]), switch_bytes(tenant, i)) for i in (0, 1)]
    flows = [Flow(f"count-{n}", source, f"{a}:{port}", target, f"{b}:{port}", 20, seconds=2)
             for n, (source, a, target, b, port) in enumerate(
                 [(tenant.site.ce[i], plan.lan_ce(i), tenant.vms[i].ns, plan.vm(i), 7000 + i)
                  for i in (0, 1)] +
                 [(tenant.vms[i].ns, plan.vm(i), tenant.site.pc, plan.pc, 7010 + i) for i in (0, 1)])]
    lost = sum(f.stop(20).lost for f in flows)
    story.check(lost == 0, "four paced flows of 20 Mbit/s, both ways: no packet lost", str(lost))
    rows = []

    def equal():
        rows.clear()
        for i in (0, 1):
            edge, switch = edge_bytes(tenant, EDGES[i]), switch_bytes(tenant, i)
            gained = [[now - then for now, then in zip(a, b)]
                      for a, b in ((edge, before[i][0]), (switch, before[i][1]))]
            for way, e, s in zip(("in", "out"), *gained):
                rows.append((LINK[i], way, e, s))
        return all(e == s and e > 0 for _, _, e, s in rows)

    try:
        wait_for("the counters agree", equal, 5)
    except LabError:
        pass
    story.table(["LINK", "DIRECTION", "CIRCUIT'S METER", "PROVIDER'S SWITCH"], rows)
    story.check(all(e == s and e > 0 for _, _, e, s in rows), "equal to the byte", str(rows))


def policer(story, tenant, mbps=200):
    plan = tenant.plan
    story.say(f"The policer: {mbps} Mbit/s a link and direction. Paced UDP at 1.5 times the rate, "
              "IP packets of 1400 bytes, 4 seconds.")
    rows = []
    for i in (0, 1):
        vm, ce = tenant.vms[i].ns, tenant.site.ce
        back = port_arriving_at(vm, plan.vm(i), ce, "wan0", plan.pc, i)
        for way, args in (("in", (ce[i], f"{plan.lan_ce(i)}:8000", vm, f"{plan.vm(i)}:8000")),
                          ("out", (vm, f"{plan.vm(i)}:{back}", tenant.site.pc, f"{plan.pc}:9001"))):
            for attempt in range(3):  # a busy machine may offer hardly more than the rate: that shows nothing
                result = Flow(f"policer-{LINK[i]}-{way}-{attempt}", *args, mbps * 1.5, seconds=4).stop(30)
                if result.offered / 1e6 > mbps * 1.25:
                    break
            off = (result.rate() / 1e6 / mbps - 1) * 100
            rows.append((LINK[i], way, f"{result.offered / 1e6:.1f}", f"{result.rate() / 1e6:.2f}",
                         f"{off:+.2f} %"))
    story.table(["LINK", "DIRECTION", "OFFERED Mbit/s", "PASSED Mbit/s", "OFF BY"], rows)
    story.check(all(abs(float(r[4].split()[0])) <= 2 for r in rows), "within 2 % on each", str(rows))
    tcp(story, tenant, mbps)


def tcp(story, tenant, mbps):
    """TCP meets a policer, which drops and does not queue: shaped just below it, it fills the rate;
    left alone it swings."""
    rows, vm, pc = [], (tenant.vms[0].ns, tenant.plan.vm(0)), (tenant.site.pc, tenant.plan.pc)
    for paced in (int(mbps * 0.95), 0):
        for words, server, client in (("LAN to VM", vm, pc), ("VM to LAN", pc, vm)):
            rate, retransmits = iperf(server[0], client[0], server[1], 3, paced_mbps=paced)
            rows.append((f"shaped to {paced}" if paced else "as it comes", words, f"{rate:.0f}", retransmits))
    story.sent(f"iperf3 -c ADDRESS [--fq-rate {int(mbps * 0.95)}M]")
    story.table(["TCP SENDER", "DIRECTION", "Mbit/s", "RETRANSMITS"], rows)
    rates = [float(r[2]) for r in rows]
    story.check(all(0 < r <= mbps * 1.02 for r in rates) and min(rates[:2]) > mbps * 0.75,
                "one TCP stream each way; shaped to the circuit it uses it", str(rows))


# -- 6 --

def second_customer(story, world):
    story.step("6. A second customer with the same addresses everywhere")
    first = world.tenants[0]
    if world.is_static:
        story.say("fabrikam has the same LAN, VNet, VLAN, link addresses and AS number; its routers are "
                  "BIRD, its S-tag is another.")
    else:
        story.say("fabrikam orders the same LAN, VNet, VLAN, link addresses and AS number; its routers "
                  "are BIRD.")
    second = world.ready_tenant(2, "fabrikam", Bird)
    plan = second.plan
    story.check(True, f"{second.plan.pc} reaches {plan.vm(0)} there too (S-tag {second.s_tag}, "
                      f"the first has {first.s_tag})")
    flows = [Flow(f"same-{t.name}-{way}", *args, 10, seconds=2)
             for t in (first, second)
             for way, args in (("in", (t.site.pc, f"{plan.pc}:7100", t.vms[0].ns, f"{plan.vm(0)}:7100")),
                               ("out", (t.vms[0].ns, f"{plan.vm(0)}:7101", t.site.pc, f"{plan.pc}:7101")))]
    results = [f.stop(20) for f in flows]
    for result in results:
        story.check(result.lost == 0 and not result.strangers,
                    f"{result.name}: {result.received} of {result.sent} packets, none of the other's",
                    str(result.strangers))
    is_apart(story, first, second)
    return second


def is_apart(story, first, second):
    """fabrikam's VM 2 is switched off; its address goes on living at contoso's."""
    address, off = second.plan.vm(1), second.vms[1].ns
    off.ip("link set eth0 down")
    machines = [(t, vm) for t in (first, second) for vm in t.vms]

    def counters():
        return [vm.ns.counters("eth0") for _, vm in machines]

    seen = settled(counters)
    received, text = ping(second.site.pc, address, 3)
    story.check(received == 0, f"fabrikam's VM 2 is switched off: {address} answers fabrikam's PC no more", text)
    after = settled(counters)
    strayed = [f"{t.name}'s {vm.address}: {[b - a for a, b in zip(*pair)]} (bytes, packets in; out)"
               for (t, vm), *pair in zip(machines, seen, after)]
    story.check(seen == after, "not one packet strayed to or from contoso's VM of that address, or any other",
                "\n".join(strayed))
    received, text = ping(first.site.pc, address, 3)
    story.check(received == 3, "it answers contoso's own PC: 3 of 3", text)
    off.ip("link set eth0 up", f"route replace default via {second.plan.subnet[1]}")


def settled(read, seconds=0.5):
    """What read() gives once it has given the same for a while: nothing is under way any more."""
    since, value = time.monotonic(), read()

    def is_settled():
        nonlocal since, value
        now = read()
        if now != value:
            since, value = time.monotonic(), now
        return time.monotonic() - since >= seconds

    wait_for("the counters rest", is_settled, 15)
    return value


# -- 7 --

def edge_bfd(tenant, i):
    domains = tenant.world.cloud.query(EDGES[i], "status")["domains"]
    return domains[tenant.domain_key]


def failure(story, tenant):
    story.step("7. Link A is cut, and an edge's daemon is killed")
    cut_link(story, tenant)
    kill_edged(story, tenant)


def bfd_down_at(tenant, i):
    """When an edge's bfdd last saw its customer's session fall, in monotonic seconds."""
    falls = re.findall(rf"(\d{{4}}-\S+)Z info bfdd session link=\d+ peer={re.escape(tenant.plan.ce(i))} "
                       r"state=Down", tenant.world.cloud.log(f"{EDGES[i]}-bfdd"))
    if not falls:
        raise LabError(f"{EDGES[i]}'s bfdd says nothing of a fall of {tenant.plan.ce(i)}")
    when = datetime.datetime.fromisoformat(falls[-1] + "+00:00").timestamp()
    return when - time.time() + time.monotonic()


def cut_link(story, tenant):
    plan, switch = tenant.plan, tenant.world.cloud.switch
    mbps, size = 2.0, 250  # 1000 packets a second each way
    back = port_arriving_at(tenant.vms[0].ns, plan.vm(0), tenant.site.ce, "wan0", plan.pc, 0)
    there = port_over(tenant.site.pc, plan.pc, plan.vm(0), plan.lan_ce(0))
    flows = {
        "LAN to VM": Flow("cut-in", tenant.site.pc, f"{plan.pc}:{there}", tenant.vms[0].ns,
                          f"{plan.vm(0)}:9000", mbps, size),
        "VM to LAN": Flow("cut-out", tenant.vms[0].ns, f"{plan.vm(0)}:{back}", tenant.site.pc,
                          f"{plan.pc}:9001", mbps, size),
    }
    watch = RouteWatch(tenant.site.ce[0], plan.vnet)
    time.sleep(1)  # steady traffic before the cut
    story.say("1000 packets a second each way, both flows over link A. The provider's switch now drops "
              "both directions of link A without a word; every interface stays up.")
    story.sent(f"wayleave-labswitch ctl ... drop {tenant.ports[0]}")
    cut = time.monotonic()
    switch.drop(tenant.ports[0])
    wait_for("edge-a sees link A down", lambda: edge_bfd(tenant, 0)["bfd"] != "Up", 5, every=0.01)
    wait_for("edge-a's session falls", lambda: edge_bfd(tenant, 0)["session"] != "Established", 10)
    time.sleep(2)  # steady traffic over B
    switch.restore(tenant.ports[0])
    _, restored = wait_for("link A is back", lambda: tenant.site.is_established(0)
                           and edge_bfd(tenant, 0)["session"] == "Established", 60,
                           evidence=lambda: tenant.evidence(0))
    time.sleep(2)  # and over A again
    results = {way: flow.stop() for way, flow in flows.items()}
    moves = [when - cut for when, text in watch.stop() if plan.lan_ce(1) in text and when > cut]
    detection = 0.9
    rows = []
    for way, result in results.items():
        gap = result.gap() or (cut, cut)
        rows.append((way, result.sent, result.lost, f"{(gap[1] - gap[0]) * 1000:.0f} ms",
                     f"{(detection + 0.5) * result.packets_per_second:.0f}"))
    story.table(["FLOW", "SENT", "LOST", "GAP", "ALLOWED"], rows)
    gap_out = results["VM to LAN"].gap() or (cut, cut)
    gap_in = results["LAN to VM"].gap() or (cut, cut)
    detected = bfd_down_at(tenant, 0) - cut
    story.table(["PART", "MS AFTER THE CUT"], [
        ("BFD detection here (3 x 300 ms)", f"{detected * 1000:.0f}"),
        ("our repair over edge-b done", f"{(gap_out[1] - cut) * 1000:.0f}"),
        ("ce1's route moved to ce2", f"{moves[0] * 1000:.0f}" if moves else "-"),
        ("the customer's own convergence done", f"{(gap_in[1] - cut) * 1000:.0f}")])
    for way, sent, lost, _, allowed in rows:
        story.check(lost <= int(allowed), f"{way}: {lost} lost of {sent}, allowed {allowed}")
    story.check(True, f"link A restored; its session was back after {restored:.1f} s")


def kill_edged(story, tenant):
    plan, cloud = tenant.plan, tenant.world.cloud
    router = tenant.site.routers[0]
    down = router.bfd(plan.edge(0))["down"]
    back = port_arriving_at(tenant.vms[0].ns, plan.vm(0), tenant.site.ce, "wan0", plan.pc, 0)
    there = port_over(tenant.site.pc, plan.pc, plan.vm(0), plan.lan_ce(0))
    flows = [Flow("kill-in", tenant.site.pc, f"{plan.pc}:{there}", tenant.vms[0].ns,
                  f"{plan.vm(0)}:9000", 2.0, 250),
             Flow("kill-out", tenant.vms[0].ns, f"{plan.vm(0)}:{back}", tenant.site.pc,
                  f"{plan.pc}:9001", 2.0, 250)]
    watch = RouteWatch(tenant.site.ce[0], plan.vnet)
    counts = router.session(plan.edge(0)).get("connectionsEstablished", 0)
    time.sleep(1)  # steady traffic before the kill
    pid = cloud.pid_of("edge-a", "edged")
    story.sent(f"kill -9 {pid}     (edge-a's wayleave-edged)")
    os.kill(pid, signal.SIGKILL)
    _, took = wait_for("the session is back", lambda: router.session(plan.edge(0)).get(
        "connectionsEstablished", 0) > counts and router.is_established(plan.edge(0)), 60, every=0.1,
        evidence=lambda: tenant.evidence(0))
    wait_for("a new edged answers", lambda: cloud.query("edge-a", "status"), 20)
    time.sleep(2)  # until End-of-RIB and the sweep
    results = [f.stop() for f in flows]
    moves = [text for _, text in watch.stop() if "via" in text or "Deleted" in text]
    bfd = router.bfd(plan.edge(0))
    story.check(all(r.lost == 0 for r in results),
                f"no packet lost: {' and '.join(f'{r.received} of {r.sent}' for r in results)}",
                "\n".join(f"{r.name}: {r.stream['lost'][:10]}" for r in results) + tenant.evidence(0))
    story.check(bfd["status"] == "up" and bfd["down"] == down,
                f"FRR's BFD never went down (session-down counter {down} before and after)", str(bfd))
    story.check(not moves, "ce1's route to the VNet was not touched: graceful restart", "\n".join(moves))
    story.check(True, f"the BGP session came back after {took:.1f} s, with pid {cloud.pid_of('edge-a', 'edged')}")


# -- 8 --

def bandwidth(story, tenant):
    story.step("8. Bandwidth is raised under traffic")
    plan = tenant.plan
    counts = [r.session(plan.edge(i)).get("connectionsEstablished") for i, r in enumerate(tenant.site.routers)]
    flows = [Flow("raise-in", tenant.site.pc, f"{plan.pc}:7200", tenant.vms[0].ns, f"{plan.vm(0)}:7200", 20),
             Flow("raise-out", tenant.vms[0].ns, f"{plan.vm(0)}:7201", tenant.site.pc, f"{plan.pc}:7201", 20)]
    time.sleep(1)  # steady traffic before the change
    run(story, tenant, ("circuit", "update", tenant.name, "--bandwidth", "500"))
    time.sleep(1)  # and after it
    results = [f.stop() for f in flows]
    story.check(all(r.lost == 0 for r in results),
                f"no packet lost: {' and '.join(f'{r.received} of {r.sent}' for r in results)}",
                "\n".join(str(r.stream["lost"][:5]) for r in results))
    again = [r.session(plan.edge(i)).get("connectionsEstablished") for i, r in enumerate(tenant.site.routers)]
    story.check(counts == again, "no session was reset")
    result = Flow("raised", tenant.site.ce[0], f"{plan.lan_ce(0)}:8100", tenant.vms[0].ns,
                  f"{plan.vm(0)}:8100", 300, seconds=2).stop(30)
    story.check(result.rate() > 0.97 * result.offered,
                f"300 Mbit/s now pass: {result.rate() / 1e6:.1f} Mbit/s arrive")
    status, text = tenant.cli("circuit", "update", tenant.name, "--bandwidth", "100", check=False)
    story.sent(f"wayleave circuit update {tenant.name} --bandwidth 100 -g {tenant.name}")
    story.seen(text)
    story.check(status == 1 and "bandwidth" in text.lower(), "a decrease is refused, with the reason", text)


# -- 9 --

def delete_all(story, world):
    story.step("9. Everything is deleted; a wrong order is refused")
    first = world.tenants[0]
    for words in (("vnet", "delete", "vnet"), ("circuit", "delete", first.name)):
        status, text = first.cli(*words, check=False)
        story.sent("wayleave " + " ".join(first.words(*words)))
        story.seen(text)
        story.check(status == 1, "refused, naming what blocks", text)
    for tenant in world.tenants:
        story.say(f"{tenant.name}, in the right order:")
        for words in orders.delete_words(tenant):
            run(story, tenant, words, quiet=tenant is not first)
    for noun in ("circuit", "vnet", "nic", "gateway", "connection"):
        left = [x for tenant in world.tenants for x in tenant.ask(noun, "list")]
        story.check(left == [], f"no {noun} left", str(left))
    left = first.ask("cross-connection", "list")
    story.check(left == [], "no cross connection left", str(left))
    for node, kinds in (*((edge, ("domains", "vnets")) for edge in EDGES), ("host-1", ("nics",))):
        def is_empty(node=node, kinds=kinds):
            state = world.cloud.query(node, "status")
            return not any(state[kind] for kind in kinds)

        wait_for(f"{node} has none of its {' and '.join(kinds)} left", is_empty, 15)
    wait_for("host-1 has no VNet left", lambda: not world.cloud.node_objects("host-1", "vnet"), 15)
    story.check(True, "no domain and no VNet left on the edges, no VNet and no NIC on the host")

    def left_in_store():
        return sorted(world.cloud.store() - world.empty_store)

    try:
        wait_for("the store is empty again", lambda: not left_in_store(), 15)
    except LabError:
        pass
    left = left_in_store()
    story.check(not left, "the controller's store holds what it held at the start: no resource but the "
                "groups, no claim on a number or tag, no secret, no node's object",
                "\n".join(map(str, left)))


def end(story, world):
    """Ends the cloud, the customers and their routers, and looks for leftovers."""
    footprint = Footprint(os.getpid(), world.box.dir, world.mounts_before, {world.box.watchdog.pid})
    count = len(footprint.pids) - 2  # the story and its watchdog
    world.cloud.stop()
    world.box.close()
    left = footprint.left()
    story.check(not left, f"`wayleave down`: of {count} processes, {len(footprint.namespaces)} network "
                          "namespaces and all mounts, nothing is left", "\n".join(left))
