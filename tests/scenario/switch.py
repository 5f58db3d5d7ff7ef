#!/usr/bin/env python3
"""The provider's switch by itself: two of them back to back on one trunk. What goes in untagged at
one end comes out untagged at the other, and only there; cuts are silent; counters and captures tell
the truth."""

import json
import os
import sys
import time

import tap

tap.need_root()

from cloud import program
from customer import ping
from measure import Flow, iperf
from netns import Box, LabError, veth, wait_for


class End:
    """One switch with two access lines of two customers, who use the same addresses."""

    def __init__(self, box, name):
        self.box, self.ns = box, box.namespace(name)
        self.socket = os.path.join(box.dir, f"{name}.sock")
        self.people = [box.namespace(f"{name}-red"), box.namespace(f"{name}-blue")]

    def start(self):
        self.process = self.ns.start([program("wayleave-labswitch"), "run", "--socket", self.socket,
                                      "--trunk", "trunk"], name=f"{self.ns.name}-switch")
        wait_for("the switch listens", lambda: os.path.exists(self.socket), 10,
                 evidence=self.process.output)

    def ctl(self, *words):
        return self.box.run([program("wayleave-labswitch"), "ctl", self.socket, *map(str, words)])

    def stats(self):
        return json.loads(self.ctl("stats"))


class World:
    def __init__(self, box):
        self.box, self.ends = box, [End(box, "west"), End(box, "east")]


def carries(world):
    west, east = world.ends
    west.ns.ip(f"link add trunk mtu 1508 type veth peer name trunk mtu 1508 netns {east.ns.path}",
               "link set trunk up")
    east.ns.ip("link set trunk up")
    for n, end in enumerate(world.ends):
        end.start()
        for i, colour in enumerate(("red", "blue")):
            veth(end.people[i], "eth0", end.ns, colour)
            end.people[i].ip(f"address add 10.0.0.{n + 1}/24 dev eth0")
            end.ctl("add", colour, "trunk", 100 + i, 7, "--link", "192.0.2.0/30")
    for person in west.people:
        received, text = ping(person, "10.0.0.2")
        tap.expect(received == 3, text)


def keeps_apart(world):
    west, east = world.ends
    red, blue = west.people
    seen = east.people[1].counters("eth0")[1]
    before = blue.counters("eth0")[1]
    ping(red, "10.0.0.2", 5)
    tap.expect(east.people[1].counters("eth0")[1] == seen, "red's frames reached blue")
    tap.expect(blue.counters("eth0")[1] == before, "red's frames reached blue's other end")


def carries_tcp_and_paced_udp(world):
    west, east = world.ends
    rate, _ = iperf(east.people[0], west.people[0], "10.0.0.2", 1)
    tap.expect(rate > 50, f"TCP: {rate} Mbit/s")
    before = west.stats()["red"]["toTrunk"]
    flow = Flow("udp", west.people[0], "10.0.0.1:7000", east.people[0], "10.0.0.2:7000", 50, 1400, 1)
    result = flow.stop(20)
    tap.expect(result.lost == 0, f"{result.lost} lost of {result.sent}")
    after = west.stats()["red"]["toTrunk"]
    tap.expect(after["ipBytes"] - before["ipBytes"] == result.sent * 1400, "bytes counted")


def captures(world):
    west, _ = world.ends
    west.people[1].start(["ping", "-n", "-i", "0.1", "-c", "30", "10.0.0.2"], name="blue-ping")
    lines = west.ctl("capture", "trunk", 4).splitlines()
    tap.expect(len(lines) == 4 and all("outer=88a8 S=101 inner=8100 C=7" in x for x in lines), str(lines))


def cuts_silently(world):
    west, _ = world.ends
    west.ctl("drop", "red")
    received, _ = ping(west.people[0], "10.0.0.2", 2)
    tap.expect(received == 0, "cut")
    tap.expect("state UP" in west.people[0].run(["ip", "link", "show", "eth0"]), "the interface stays up")
    received, text = ping(west.people[1], "10.0.0.2", 2)
    tap.expect(received == 2, f"the other line: {text}")
    west.ctl("restore", "red")
    received, text = ping(west.people[0], "10.0.0.2", 2)
    tap.expect(received == 2, text)


def refuses(world):
    west, _ = world.ends
    for words in (("add", "red", "trunk", 5, 5), ("add", "new", "trunk", 101, 7), ("add", "new", "trunk", 4095, 1),
                  ("add", "nothing", "trunk", 5, 5), ("drop", "nothing"), ("del", ""), ("dance",)):
        try:
            west.ctl(*words)
        except LabError as e:
            tap.expect("error: " in str(e), str(e))
        else:
            raise AssertionError(f"accepted: {words}")


def main():
    with Box() as box:
        return tap.run([("carries both customers' packets", carries),
                        ("keeps lines apart", keeps_apart),
                        ("TCP; every paced datagram, and its bytes", carries_tcp_and_paced_udp),
                        ("captures frames with both tags", captures),
                        ("cuts one line silently", cuts_silently),
                        ("refuses what makes no sense", refuses)], World(box))


sys.exit(main())
