#!/usr/bin/env python3
"""Who the processes of `wayleave up` are: all but the keepers unprivileged users of their own, again
after kill -9; the one who called sudo needs no sudo to use it."""

import os
import shutil
import signal
import sys

import tap

tap.need_root()

from cloud import Cloud, program
from netns import Box, wait_for

CALLER = 65534  # did `sudo wayleave up`
KEEPER_CAPS = 1 << 12 | 1 << 21 | 1 << 38 | 1 << 39 | 1 << 10


class World:
    def __init__(self, box):
        self.box, self.cloud = box, None


def starts(world):
    os.environ.update(SUDO_UID=str(CALLER), SUDO_GID=str(CALLER))
    try:
        world.cloud = Cloud(world.box)
    finally:
        del os.environ["SUDO_UID"], os.environ["SUDO_GID"]


def children(world):
    """{name: pid} of the processes that run."""
    with open(os.path.join(world.cloud.run_dir, "children"), encoding="ascii") as f:
        last = {name: int(pid) for pid, _, name in map(str.split, f)}
    return {name: pid for name, pid in last.items() if os.path.exists(f"/proc/{pid}/exe")}


def status(pid):
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as f:
        return {k: v.split() for k, v in (line.split(":", 1) for line in f)}


def daemons(world):
    return {n: p for n, p in children(world).items() if n != "exchange" and not n.endswith("-keeper")}


def check(name, pid):
    of = status(pid)
    tap.expect("0" not in of["Uid"] + of["Gid"] and not of.get("Groups"), (name, of["Uid"], of["Gid"]))
    for field in ("CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb"):
        tap.expect(int(of[field][0], 16) == 0, (name, field, of[field]))
    tap.expect(of["NoNewPrivs"] == ["1"], (name, of["NoNewPrivs"]))
    with open(f"/proc/{pid}/maps", encoding="ascii", errors="replace") as f:
        is_sanitized = "libasan" in f.read()
    # a sanitizer's own calls are no part of the filter: such builds have none
    tap.expect(of["Seccomp"] == ["0" if is_sanitized else "2"], (name, of["Seccomp"]))
    return of["Uid"][0]


def are_users(world):
    found = daemons(world)
    tap.expect(len(found) == 7, found)  # the controller; bfdd and edged or hostd of three nodes
    uids = [check(name, pid) for name, pid in found.items()]
    tap.expect(len(set(uids)) == len(uids), f"shared: {uids}")


def keepers_keep_little(world):
    for name, pid in children(world).items():
        if name.endswith("-keeper"):
            caps = int(status(pid)["CapEff"][0], 16)
            tap.expect(caps & ~KEEPER_CAPS == 0, (name, hex(caps)))


def comes_back(world):
    """Each process of a node and the controller, one after the other; then everything as before."""
    for name in ("edge-a-edged", "edge-a-bfdd", "edge-a-keeper", "host-1-hostd", "controller"):
        old = children(world)[name]
        os.kill(old, signal.SIGKILL)
        wait_for(f"{name} runs again", lambda: children(world).get(name, old) != old, 10)

    def is_well():
        code, text = world.cloud.cli("status", check=False)
        rows = [x.split() for x in text.splitlines() if x.startswith(("edge-", "host-"))]
        return code == 0 and len(rows) == 6 and all("Established" in r and "Up" in r for r in rows)

    wait_for("all fabric sessions are back", is_well, 20, evidence=world.cloud.logs)
    are_users(world)


def caller_needs_no_sudo(world):
    """Everything a client asks, as the sudo caller, who has nothing of his own."""
    where = os.path.join(world.box.dir, "client")
    os.mkdir(where, 0o755)
    shutil.copy(program("wayleave"), where)
    env = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "WAYLEAVE_SYSTEM_HOME": world.cloud.home,
           "WAYLEAVE_INSTANCE": world.cloud.instance}

    def ask(*words, uid=CALLER, code=0):
        got, text = world.box.run(["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups",
                                   os.path.join(where, "wayleave"), *words], check=False, env=env)
        tap.expect(got == code, (words, got, text))
        return text

    tap.expect("CLIENT_SECRET=" in ask("env"), "env")
    tap.expect(ask("token").count(".") == 2, "token")
    bundle = os.path.join(world.cloud.home, world.cloud.instance, "bundle.pem")
    tap.expect(bundle in ask("trust"), "trust")
    with open(bundle, encoding="ascii", errors="replace") as f, \
            open(os.path.join(os.path.dirname(bundle), "ca.pem"), encoding="ascii") as ca:
        tap.expect(f.read().endswith(ca.read()), "the bundle ends with our CA")
    tap.expect("No circuits" in ask("status"), "status")
    ask("env", uid=CALLER - 1, code=3)  # somebody else's business


def stops(world):
    world.cloud.stop()


def main():
    with Box() as box:
        return tap.run([("the whole starts", starts),
                        ("edges, host, bfdd and controller are users without privileges", are_users),
                        ("a keeper keeps what it needs", keepers_keep_little),
                        ("killed one by one, they come back as before", comes_back),
                        ("who called sudo needs no sudo", caller_needs_no_sudo),
                        ("everything stops", stops)], World(box))


sys.exit(main())
