#!/usr/bin/env python3
"""Two edges and a host from static config files, no controller: real routers, packets both ways,
isolation, repair, restart."""

import sys

import tap

tap.need_root()

from netns import Box
from world import World


class Lab:
    def __init__(self, box):
        self.world = World(box, is_static=True)
        self.one = self.two = None

    @property
    def cloud(self):
        return self.world.cloud


def starts(lab):
    lab.world.start()


def establishes(lab):
    lab.one = lab.world.tenant(1, "one")
    lab.one.plug()
    lab.one.site.start_routers()
    lab.one.wait_established()


def reaches(lab):
    lab.one.wait_reachable()


def main():
    with Box() as box:
        return tap.run([("keeper, bfdd, edged, hostd start", starts),
                        ("both sessions are Established, with MD5", establishes),
                        ("the LAN reaches a VM", reaches)], Lab(box))


sys.exit(main())
