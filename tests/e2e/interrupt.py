#!/usr/bin/env python3
"""Ctrl-C in the middle of the demo leaves nothing: no process, namespace, mount or directory."""

import os
import signal
import sys

sys.dont_write_bytecode = True
TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tests", "scenario"))

import tap

tap.need_root()

from leftovers import Footprint, descendants, mounts
from netns import Box, wait_for

WHEN = {"while the cloud comes up": "wayleave up", "while packets flow": "3 of 3 answers"}


def words(pid):
    with open(f"/proc/{pid}/cmdline", "rb") as f:
        return f.read().decode(errors="replace").split("\0")[:-1]


def interrupts(box, sign):
    before = mounts()
    demo = box.start([sys.executable, os.path.join(TOP, "lab", "demo")], name=f"demo-{len(sign)}")
    wait_for(f'the demo says "{sign}"', lambda: sign in demo.output() or not demo.is_running(), 180,
             evidence=demo.output)
    tap.expect(demo.is_running(), demo.tail())
    directory = [words(p)[-1] for p in descendants(demo.pid) if any("watchdog.py" in w for w in words(p))][0]
    footprint = Footprint(demo.pid, directory, before, {box.watchdog.pid})
    tap.expect(os.path.isdir(directory), directory)
    os.killpg(demo.pid, signal.SIGINT)  # a terminal's Ctrl-C goes to the foreground's whole group
    status = demo.wait(60)
    tap.expect(status == 130, f"exit {status}\n{demo.tail()}")
    left = footprint.left() + ([directory] if os.path.exists(directory) else [])
    tap.expect(not left, "\n".join(left))


def main():
    with Box() as box:
        return tap.run([(f"Ctrl-C {name}", lambda b, s=sign: interrupts(b, s)) for name, sign in WHEN.items()], box)


sys.exit(main())
