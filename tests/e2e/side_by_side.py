#!/usr/bin/env python3
"""Two whole demos at once: each verifies all of its steps, and both leave nothing."""

import os
import re
import sys

sys.dont_write_bytecode = True
TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tests", "scenario"))

import tap

tap.need_root()

from leftovers import Footprint, descendants, mounts
from netns import Box, wait_for


def directory_of(demo):
    """The lab's own directory, from the command line of its watchdog."""
    for pid in descendants(demo.pid):
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            words = f.read().decode(errors="replace").split("\0")[:-1]
        if any("watchdog.py" in w for w in words):
            return words[-1]
    return None


def both_are_verified(box):
    before = mounts()
    demos = [box.start([sys.executable, os.path.join(TOP, "lab", "demo")], name=f"demo-{n}") for n in (1, 2)]
    footprints = []
    for demo in demos:
        wait_for("packets crossing", lambda d=demo: "3 of 3 answers" in d.output() or not d.is_running(), 300,
                 evidence=demo.output)
        tap.expect(demo.is_running(), demo.tail())
        footprints.append(Footprint(demo.pid, directory_of(demo), before, {box.watchdog.pid, *(d.pid for d in demos)}))
    for demo in demos:
        status = demo.wait(400)
        tap.expect(status == 0, f"exit {status}\n{demo.tail()}")
        tap.expect(re.search(r"Every step verified: \d\d+ checks", demo.output()), demo.tail())
    for footprint in footprints:
        tap.expect(not os.path.exists(footprint.directory), footprint.directory)
        left = footprint.left()
        tap.expect(not left, "\n".join(left))


def main():
    with Box() as box:
        return tap.run([("two whole demos side by side are verified and leave nothing", both_are_verified)], box)


sys.exit(main())
