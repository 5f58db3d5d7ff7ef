#!/usr/bin/env python3
"""Ctrl-C while `make demo` installs: the machine's service policy is as it was, nothing still runs, and
the next run finishes what was begun. On a copy of this system that is thrown away (an overlay in mount
and process namespaces of its own), from which the packages of the demo's traffic were taken out.

    install.py SOURCE-ROOT
"""

import os
import signal
import subprocess
import sys
import time

sys.dont_write_bytecode = True
TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tests", "scenario"))

import tap

tap.need_root()

POLICY = "/usr/sbin/policy-rc.d"
STATE = "/var/lib/misc/wayleave-deps"
OURS = "#!/bin/sh\n# the administrator's own\nexit 104\n"
GONE = ["tcpdump", "iperf3", "jq"]


def sh(command):
    subprocess.run(["sh", "-ec", command], check=True, stdin=subprocess.DEVNULL)


class Copy:
    """This system, to be written to without a trace."""

    def __init__(self):
        # On tmpfs, and in this mount namespace only: it is gone with its last process.
        sh("mount -t tmpfs tmpfs /mnt && mkdir /mnt/upper /mnt/work /mnt/root && "
           "mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work /mnt/root && "
           "cd /mnt/root && mount -t proc proc proc && mount --rbind /dev dev && mount -t tmpfs tmpfs run && "
           "mkdir -p run/lock && mount -t tmpfs tmpfs tmp")
        # The tree may lie on another file system than the root.
        sh(f"mkdir -p /mnt/root{TOP} && mount --bind {TOP} /mnt/root{TOP}")

    def start(self, *command):
        return subprocess.Popen(["chroot", "/mnt/root", *command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True, start_new_session=True)

    def run(self, *command, limit=300):
        process = self.start(*command)
        output, _ = process.communicate(timeout=limit)
        return process.returncode, output

    def read(self, path):
        try:
            with open("/mnt/root" + path, encoding="utf-8") as f:
                return f.read()
        except FileNotFoundError:
            return None

    def installed(self):
        _, output = self.run("dpkg-query", "-W", "-f", "${db:Status-Status} ${Package}\n", *GONE)
        return {line.split()[1] for line in output.splitlines() if line.startswith("installed ")}


def others():
    """Processes of this namespace beside this one, with what they run."""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8") as f:
                is_dead = f.read().rpartition(")")[2].split()[0] in "ZX"
            with open(f"/proc/{pid}/cmdline", encoding="utf-8") as f:
                words = f.read().replace("\0", " ")
        except OSError:
            continue
        if not is_dead and int(pid) not in (1, os.getpid()):
            found[int(pid)] = words
    return found


def wait_for(what, is_true, seconds):
    end = time.monotonic() + seconds
    while not is_true():
        tap.expect(time.monotonic() < end, f"waited {seconds} s for {what}")
        time.sleep(0.02)


def interrupted(copy):
    with open("/mnt/root" + POLICY, "w", encoding="utf-8") as f:
        f.write(OURS)
    os.chmod("/mnt/root" + POLICY, 0o755)
    status, output = copy.run("apt-get", "remove", "-y", "-q", *GONE)
    tap.expect(status == 0 and not copy.installed(), output)

    demo = copy.start("make", "-C", TOP, "demo")
    wait_for("the installation", lambda: "wayleave" in (copy.read(POLICY) or ""), 120)
    os.killpg(demo.pid, signal.SIGINT)  # a terminal's Ctrl-C goes to the foreground's whole group
    output, _ = demo.communicate(timeout=60)
    tap.expect(demo.returncode != 0, output)
    tap.expect("packages to install" in output and "MB to download" in output, f"nothing announced:\n{output}")
    tap.expect(copy.read(POLICY) == OURS, f"the policy is\n{copy.read(POLICY)}\n{output}")
    tap.expect(copy.read(STATE) is None, "a note of unfinished work is left")
    wait_for("the end of what it started", lambda: not others(), 20)


def finished(copy):
    status, output = copy.run(os.path.join(TOP, "tools", "deps"), "build", "lab", limit=600)
    tap.expect(status == 0 and copy.installed() == set(GONE), output)
    tap.expect(copy.read(POLICY) == OURS, "the policy is not as it was")
    status, output = copy.run("dpkg", "--audit")
    tap.expect(status == 0 and not output, f"dpkg --audit: {output}")


def main():
    if os.getpid() != 1 and "--inside" not in sys.argv:
        os.execvp("unshare", ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child",
                              "--mount-proc", sys.executable, os.path.realpath(__file__), "--inside"])
    return tap.run([("Ctrl-C during the installation restores what it touched", interrupted),
                    ("the next run finishes it", finished)], Copy())


sys.exit(main())
