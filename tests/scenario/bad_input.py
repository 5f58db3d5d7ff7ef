#!/usr/bin/env python3
"""What a customer gets wrong, with FRR and BIRD: each is refused or taken down clearly, nothing
crashes, and the neighbour's circuit does not notice: a paced flow of the second customer runs all
the while and loses nothing."""

import ipaddress
import json
import re
import ssl
import sys
import urllib.error
import urllib.request

import tap

tap.need_root()

from cloud import program
from customer import bird_config
from measure import Flow
from netns import Box, LabError, wait_for
from routers import Bird, Frr
from speaker import AGGREGATOR, Speaker, attribute
from world import EDGES, World


class Case:
    """Customer one errs; customer two is watched."""

    def __init__(self, box):
        self.box, self.world = box, World(box)

    def session(self, i=0):
        return self.world.cloud.query(EDGES[i], "status")["domains"].get(self.erring.domain_key, {})

    def is_up(self, i=0):
        return self.session(i).get("session") == "Established"

    def is_settled(self):
        """BFD too: a session whose BFD never came up falls by its hold timer only (RFC 5882)."""
        return self.is_up() and self.session().get("bfd") == "Up"

    def router(self, i=0, **kw):
        """Starts router i again, with something wrong."""
        self.erring.site.stop_router(i)
        self.erring.site.start_router(i, **kw)

    def since(self, i=0):
        """When the session came up: it is told in microseconds, worked out anew for each answer."""
        return round(self.session(i)["since"] / 1e5)

    def stays_down(self, what, seconds=6):
        """Seconds of trying, and no session: the one thing that only time can show."""
        try:
            wait_for(what, self.is_up, seconds, every=0.5)
        except LabError:
            return
        raise AssertionError(f"a session came up: {what}")

    def mend(self):
        self.router()
        wait_for("the session is back", self.is_settled, 40, evidence=lambda: self.erring.evidence(0))


def begins(case):
    try:
        case.world.start()
        case.erring = case.world.ready_tenant(1, "contoso", Frr)
        case.watched = case.world.ready_tenant(2, "fabrikam", Bird)
    except LabError as e:
        raise tap.Fatal(str(e)) from None
    plan, site = case.watched.plan, case.watched.site
    case.pids = {node: case.world.cloud.pid_of(node, "edged") for node in EDGES}
    case.flows = [
        Flow("watch-in", site.pc, f"{plan.pc}:7300", case.watched.vms[0].ns, f"{plan.vm(0)}:7300", 1, 200),
        Flow("watch-out", case.watched.vms[0].ns, f"{plan.vm(0)}:7301", site.pc, f"{plan.pc}:7301", 1, 200)]


def wrong_md5(case):
    case.router(key="anotherKey")
    case.stays_down("a session with another MD5 key")
    case.mend()


def no_md5(case):
    case.router(key="")
    case.stays_down("a session without MD5")
    case.mend()


def wrong_asn(case):
    case.router(asn=65099)
    case.stays_down("a session from another AS")
    text = case.erring.site.routers[0].vtysh("show bgp neighbors " + case.erring.plan.edge(0))
    tap.expect("Bad Peer AS" in text or "OPEN Message Error" in text, "FRR was told why: " + text[-900:])
    case.mend()


def swapped_addresses(case):
    """The customer takes the edge's address of the /30."""
    plan, ns = case.erring.plan, case.erring.site.ce[0]
    case.erring.site.stop_router(0)
    ns.ip(f"address del {plan.ce(0)}/30 dev wan0", f"address add {plan.edge(0)}/30 dev wan0")
    swapped = Bird(ns, bird_config(plan, 0).replace(f"local {plan.ce(0)} as", f"local {plan.edge(0)} as", 1)
                   .replace(f"neighbor {plan.edge(0)} as", f"neighbor {plan.ce(0)} as", 1))
    wait_for("the old session is down", lambda: not case.is_up(), 30)
    case.stays_down("a session with swapped addresses")
    swapped.stop()
    ns.ip(f"address del {plan.edge(0)}/30 dev wan0", f"address add {plan.ce(0)}/30 dev wan0")
    case.erring.site.start_router(0)
    wait_for("the session is back", case.is_settled, 40, evidence=lambda: case.erring.evidence(0))


def wrong_vlan(case):
    """The technician maps the line to a C-tag nobody has, and to one of nobody's circuit."""
    switch, erring = case.world.cloud.switch, case.erring
    for s_tag, c_tag in ((erring.s_tag, 999), (999, erring.plan.vlan)):
        switch.remove(erring.ports[0])
        switch.add(erring.ports[0], "trunk-a", s_tag, c_tag, erring.plan.links[0])
        wait_for("the session falls", lambda: not case.is_up(), 30)
        case.stays_down("a session over foreign tags", 3)
    switch.remove(erring.ports[0])
    switch.add(erring.ports[0], "trunk-a", erring.s_tag, erring.plan.vlan, erring.plan.links[0])
    wait_for("the session is back", case.is_settled, 40, evidence=lambda: erring.evidence(0))


def vlan_clash(case):
    """A second line with the tags of the first: the provider's switch refuses it."""
    case.world.cloud.namespaces["exchange"].ip("link add clash type veth peer name clash1")
    try:
        case.world.cloud.switch.add("clash", "trunk-a", case.erring.s_tag, case.erring.plan.vlan,
                                    case.erring.plan.links[0])
    except LabError as e:
        tap.expect("error: " in str(e), str(e))
    else:
        raise AssertionError("two lines share their tags")


def vlan_clash_at_the_api(case):
    """A second peering of the circuit with the first one's VLAN, as a program would ask for it."""
    env = dict(re.findall(r"^export (\w+)='(.*)'$", case.world.cloud.cli("env"), re.M))
    circuit = case.world.cloud.ask("circuit", "show", "contoso", "-g", "contoso")["id"]
    body = {"properties": {
        "peeringType": "MicrosoftPeering", "peerASN": case.erring.plan.asn, "vlanId": case.erring.plan.vlan,
        "primaryPeerAddressPrefix": "203.0.113.0/30", "secondaryPeerAddressPrefix": "203.0.113.4/30",
        "microsoftPeeringConfig": {"advertisedPublicPrefixes": ["203.0.113.64/26"]}}}
    ask = urllib.request.Request(
        f"{env['ARM_ENDPOINT']}{circuit}/peerings/MicrosoftPeering?api-version=2023-09-01", method="PUT",
        data=json.dumps(body).encode(), headers={
            "Authorization": "Bearer " + case.world.cloud.cli("token").strip(),
            "Content-Type": "application/json"})
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}),
        urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=env["CA_FILE"])))
    try:
        answer = opener.open(ask, timeout=30)
    except urllib.error.HTTPError as e:
        error = json.load(e)["error"]
        tap.expect(e.code == 400 and error["code"] == "VlanIdInUse" and "vlanId" in json.dumps(error),
                   f"{e.code} {error}")
        tap.expect(f"VLAN {case.erring.plan.vlan}" in error["message"], error)
    else:
        raise AssertionError(f"accepted: {answer.status}")
    names = [p["name"] for p in case.world.cloud.ask("peering", "list", "contoso", "-g", "contoso")]
    tap.expect(names == ["AzurePrivatePeering"], names)


def malformed_bgp(case):
    """RFC 7606: what is wrong in one route costs that route, what is wrong in an attribute that
    nothing depends on costs the attribute, and only what cannot be read costs the session."""
    case.erring.site.stop_router(0)
    wait_for("FRR's session is down", lambda: not case.is_up() and case.session().get("bfd") != "Up", 40)
    speaker = wait_for("a connection", lambda: Speaker(case.erring.site.ce[0], case.erring.plan), 20)[0]
    try:
        says_wrong_things(case, speaker)
    finally:
        speaker.close()
        case.erring.site.start_router(0)
    wait_for("the session is back", case.is_settled, 60, evidence=lambda: case.erring.evidence(0))


def says_wrong_things(case, speaker):
    plan = case.erring.plan
    wait_for("the speaker's session is Established", case.is_up, 20, evidence=lambda: speaker.received)
    since, other = case.since(0), case.since(1)

    def own_routes():
        rows = case.world.cloud.query(EDGES[0], "routes", case.erring.domain_key)["value"]
        return {r["network"] for r in rows if r["nextHop"] == plan.ce(0)}

    def expect_routes(what, *prefixes):
        wait_for(what, lambda: own_routes() == set(prefixes), 10, evidence=own_routes)
        tap.expect(case.is_up() and abs(case.since() - since) <= 1,
                   f"{what}: the session was reset: {case.session()} {speaker.received}")

    one, two, three = "10.99.1.0/24", "10.99.2.0/24", "10.99.3.0/24"
    speaker.announce(one, two)
    expect_routes("both routes are there", one, two)
    speaker.announce(one, origin=b"\x09")
    expect_routes("an ORIGIN of 9 withdraws that route (7.1)", two)
    speaker.announce(one)
    expect_routes("the route is back", one, two)
    speaker.announce(one, origin=b"\0\0")
    expect_routes("an ORIGIN of 2 bytes withdraws it too", two)
    speaker.announce(three, more=attribute(AGGREGATOR, b"\0\1\2", 0xc0))
    expect_routes("an AGGREGATOR of 3 bytes is discarded, the route kept (7.7)", two, three)
    speaker.announce(raw_nlri=b"\x21\x0a\x63\x04\x00\x00")
    code = speaker.notification()
    tap.expect(code == (3, 10), f"a prefix of 33 bits: NOTIFICATION {code}, wanted 3/10 (5.3)")
    wait_for("that session falls", lambda: not case.is_up(), 5)
    tap.expect(abs(case.since(1) - other) <= 1, "the session over link B was reset")


def bad_orders(case):
    for words, status in ((("circuit", "create", "x", "--bandwidth", "201"), 1),
                          (("circuit", "create", "x", "--bandwidth", "many"), 2),
                          (("circuit", "create", "x"), 2),
                          (("circuit", "show", "nothing"), 3),
                          (("circuit", "create", "x", "--bandwidth", "200", "--provider", "Nobody"), 1),
                          (("peering", "update", "contoso", "--asn", "12076"), 1),
                          (("peering", "update", "contoso", "--vlan", "5000"), 1),
                          (("peering", "update", "contoso", "--primary", "172.16.0.1/30"), 1),
                          (("circuit", "delete", "contoso", "--as", "reader"), 1),
                          (("circuit", "list", "--as", "nobody"), 3)):
        got, text = case.world.cloud.cli(*words, "-g", "contoso", check=False)
        tap.expect(got == status, f"wayleave {' '.join(words)}: {got}, wanted {status}: {text}")
        tap.expect(got != 0 and len(text) > 20, f"wayleave {' '.join(words)}: says nothing: {text}")


def too_many_prefixes(case):
    """4,001 and more: that session goes down and says so; below the limit it comes back by itself."""
    plan, ns = case.erring.plan, case.erring.site.ce[0]
    case.erring.site.stop_router(0)
    many = [str(n) for n in ipaddress.ip_network("10.64.0.0/12").subnets(new_prefix=24)]
    many += [str(n) for n in ipaddress.ip_network("10.80.0.0/12").subnets(new_prefix=28)][:200]
    bird = Bird(ns, bird_config(plan, 0, extra_routes=many))
    wait_for("the limit is named", lambda: not case.is_up() and "refix" in case.session().get("reason", ""), 40,
             evidence=lambda: case.erring.evidence(0))
    bird.configure(bird_config(plan, 0, extra_routes=many[:1000]))
    wait_for("the session is back below the limit", case.is_up, 90, evidence=lambda: case.erring.evidence(0))
    bird.stop()
    case.erring.site.start_router(0)
    wait_for("the session is back", case.is_settled, 60, evidence=lambda: case.erring.evidence(0))


def neighbour_noticed_nothing(case):
    for flow in case.flows:
        result = flow.stop()
        tap.expect(result.sent > 3000, f"{result.name}: only {result.sent} sent")
        tap.expect(result.lost == 0, f"{result.name}: {result.lost} of {result.sent} lost: {result.stream['lost'][:5]}")
    for node, pid in case.pids.items():
        tap.expect(case.world.cloud.pid_of(node, "edged") == pid, f"{node}'s edged was restarted")
    case.world.cloud.stop()


def main():
    program("wayleave")
    with Box() as box:
        return tap.run([("two customers, one watched", begins),
                        ("wrong MD5 key", wrong_md5), ("no MD5 key", no_md5), ("wrong AS number", wrong_asn),
                        ("swapped addresses", swapped_addresses), ("wrong tags", wrong_vlan),
                        ("VLAN clash", vlan_clash),
                        ("VLAN clash at the API", vlan_clash_at_the_api), ("malformed BGP", malformed_bgp),
                        ("orders that make no sense", bad_orders),
                        ("too many prefixes", too_many_prefixes),
                        ("the neighbour noticed nothing", neighbour_noticed_nothing)], Case(box))


sys.exit(main())
