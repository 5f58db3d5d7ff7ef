#!/usr/bin/env python3
"""First contact, as a newcomer has it: `wayleave up`, with root and without; the README's walk by
hand, line by line as it stands there; what other programs need; ports, neighbours, kill -9."""

import os
import re
import shlex
import shutil
import signal
import socket
import ssl
import sys
import tempfile
import urllib.request

sys.dont_write_bytecode = True
TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tests", "scenario"))

import tap

tap.need_root()

from cloud import program
from leftovers import Footprint, mounts
from netns import Box, wait_for

NOBODY = 65534
PRINCIPALS = ("customer", "provider", "operator", "reader", "nobody")
NAMES = ("ARM_ENDPOINT", "AD_ENDPOINT", "CA_FILE", "TENANT", "SUBSCRIPTION", "CLIENT_ID", "CLIENT_SECRET",
         "LOCATION", "ER_PROVIDER", "ER_PEERING_LOCATION", "PROVIDER_SUBSCRIPTION",
         *(f"{p}_{n}" for p in ("PROVIDER", "OPERATOR", "READER", "NOBODY") for n in ("CLIENT_ID", "CLIENT_SECRET")))


class User:
    """Somebody with a shell, `wayleave` in the PATH, and directories of their own."""

    def __init__(self, box):
        self.box, self.up, self.port = box, None, None
        self.mounts = mounts()
        os.mkdir(os.path.join(box.dir, "bin"))
        os.symlink(program("wayleave"), os.path.join(box.dir, "bin", "wayleave"))
        self.env = dict(os.environ, WAYLEAVE_HOME=os.path.join(box.dir, "home"),
                        WAYLEAVE_RUN=os.path.join(box.dir, "run"),
                        PATH=os.path.join(box.dir, "bin") + ":" + os.environ["PATH"])
        for name in ("WAYLEAVE_INSTANCE", "WAYLEAVE_GROUP", "WAYLEAVE_OUTPUT"):
            self.env.pop(name, None)

    def shell(self, line, status=0):
        """What a line typed at the prompt says."""
        got, text = self.box.run(["bash", "-c", f"cd {shlex.quote(self.box.dir)}; {line}"], check=False,
                                 env=self.env, seconds=150)
        tap.expect(got == status, f"$ {line}\n{text}exit {got}, wanted {status}")
        return text

    def start(self, *words, name="up", env=None, says=" is up."):
        """A program that stays, once it has said so."""
        process = self.box.start([program("wayleave"), *words], name=f"{name}-{os.urandom(3).hex()}",
                                 deathsig=signal.SIGTERM, env=env or self.env)

        def is_up():
            if not process.is_running():
                raise tap.Fatal(f"wayleave {' '.join(words)} ended:\n{process.output()}")
            return says in process.output()

        wait_for(f"wayleave {' '.join(words)} is up", is_up, 90, evidence=process.output)
        return process


def port_of(process):
    return int(re.search(r"https://localhost:(\d+)", process.output())[1])


def without_root(user):
    """Control plane only, and it says so. The programs are copied to where anybody may run them."""
    with tempfile.TemporaryDirectory() as where:
        os.chmod(where, 0o755)
        for name in ("wayleave", "wayleave-controld"):
            shutil.copy(program(name), where)
        shutil.copytree(os.path.join(TOP, "catalogue"), os.path.join(where, "catalogue"))
        for name in ("home", "run"):
            os.mkdir(os.path.join(where, name), 0o700)
            os.chown(os.path.join(where, name), NOBODY, NOBODY)
        env = dict(user.env, WAYLEAVE_HOME=f"{where}/home", WAYLEAVE_RUN=f"{where}/run", HOME=where,
                   WAYLEAVE_CATALOGUE=f"{where}/catalogue")
        as_nobody = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups",
                     "--inh-caps=-all", "--bounding-set=-all", f"{where}/wayleave"]
        up = user.box.start([*as_nobody, "up"], name="up-nobody", deathsig=signal.SIGTERM, env=env)
        wait_for("it is up", lambda: " is up." in up.output() and "down" in up.output(), 60, evidence=up.output)
        tap.expect("runs not  edges, host and switch: they need root" in up.output(), up.output())
        text = user.box.run([*as_nobody, "circuit", "create", "first", "--bandwidth", "200"], env=env)
        tap.expect("NotProvisioned" in text, text)
        tap.expect("first" in user.box.run([*as_nobody, "status"], env=env), "status shows it")
        user.box.run([*as_nobody, "down"], env=env)
        tap.expect(up.wait(20) == 0, up.output())


def starts(user):
    """Somebody has 8443; the next free port is taken."""
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind(("127.0.0.1", 8443))
            taken.listen()
        except OSError:
            pass  # somebody else has it: as good
        user.up = user.start("up")
    user.port = port_of(user.up)
    text = user.up.output()
    tap.expect(user.port > 8443, text)
    tap.expect("runs      the controller" in text and "runs      edges edge-a and edge-b" in text, text)


def lab_up(user):
    user.lab = user.start("lab", "up", name="lab", says="ends it.")
    tap.expect("10.10.1.4" in user.lab.output(), user.lab.output())


def walk(user):
    """The README's commands after `lab up`, as they stand there; a comment "refused" is a promise."""
    with open(os.path.join(TOP, "README.md"), encoding="utf-8") as f:
        section = f.read().split("## A first walk by hand")[1].split("\n## ")[0]
    blocks = re.findall(r"```sh\n(.*?)```", section, re.S)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()
             if line.strip() and not line.startswith("sudo ")]
    tap.expect(len(lines) >= 15, f"only {len(lines)} commands found")
    said = {}
    for line in lines:
        if "SERVICE-KEY" in line:
            key = re.search(r"SERVICE KEY\s+(\S+)", user.shell("wayleave circuit show mine"))[1]
            line = line.replace("SERVICE-KEY", key)
        command, _, comment = line.partition("#")
        said[" ".join(command.split())] = user.shell(command, status=1 if "refused" in comment else 0)
    for command, wanted in (("wayleave status", "contoso/AzurePrivatePeering"), ("wayleave status", "Established"),
                            ("wayleave lab shell pc ping -c 3 10.10.1.4", " 0% packet loss"),
                            ("wayleave routes edge-a", "192.168.10.0/24"),
                            ("wayleave circuit show contoso -g contoso", "Provisioned"),
                            ("wayleave circuit arp contoso -g contoso", "On-Prem"),
                            ("wayleave circuit stats contoso -g contoso", "secondary")):
        tap.expect(wanted in said.get(command, ""), f"$ {command}\n{said.get(command, 'not in the README')}")


def other_programs(user):
    """`env`, `token`, `trust`: what az, SDKs and scripts start from."""
    text = user.shell('eval "$(wayleave env)" && env')
    env = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    tap.expect(all(env.get(n) for n in NAMES), f"not exported: {[n for n in NAMES if not env.get(n)]}")
    path = os.path.join(user.env["WAYLEAVE_HOME"], "main", "env")
    tap.expect(os.stat(path).st_mode & 0o777 == 0o600, f"{path}: {os.stat(path).st_mode:o}")
    tokens = {user.shell(f"wayleave token --as {p}").strip() for p in PRINCIPALS}
    tap.expect(len(tokens) == 5 and all(t.count(".") == 2 for t in tokens), "five tokens, of five principals")
    tap.expect(user.shell("wayleave token").count(".") == 2, "a token of the customer's by default")
    bundle = re.search(r"REQUESTS_CA_BUNDLE=(\S+)", user.shell("wayleave trust"))[1]
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}),
        urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=bundle)))
    url = f"{env['ARM_ENDPOINT']}/metadata/endpoints?api-version=2020-06-01"
    tap.expect(opener.open(url, timeout=10).status == 200, url)


def secrets_stay_off_command_lines(user):
    """A key from stdin and from a file; nonsense is refused before anything is sent."""
    path = os.path.join(user.box.dir, "peering.key")
    with open(path, "w", encoding="ascii") as f:
        f.write("fromAFile\n")
    user.shell(f"wayleave peering update mine --key-file {shlex.quote(path)}")
    user.shell("echo fromStdin | wayleave peering update mine --key -")
    user.shell("wayleave peering update mine --key - </dev/null", status=2)
    user.shell(f"wayleave peering update mine --key x --key-file {shlex.quote(path)}", status=2)
    user.shell("wayleave peering update mine --key-file no-such-file", status=1)


def hostd_dies(user):
    """kill -9 of hostd while pings flow: none is lost."""
    run = os.path.realpath(os.path.join(user.env["WAYLEAVE_RUN"], "main", "host-1"))
    wanted = os.path.realpath(program("wayleave-hostd"))

    def pid():
        for p in filter(str.isdigit, os.listdir("/proc")):
            try:
                if os.readlink(f"/proc/{p}/exe") == wanted and os.path.realpath(f"/proc/{p}/cwd") == run:
                    return int(p)
            except OSError:
                continue
        return 0

    old = pid()
    pings = user.box.start([program("wayleave"), "lab", "shell", "pc", "ping", "-n", "-q", "-i", "0.01", "-c",
                            "600", "10.10.1.4"], name="pings", env=user.env)
    wait_for("pings flow", pings.is_running, 5)
    os.kill(old, signal.SIGKILL)
    wait_for("a new hostd answers", lambda: pid() not in (0, old) and user.box.run(
        [program("wayleave"), "query", "host-1", "status"], check=False, env=user.env)[0] == 0, 20)
    pings.wait(60)
    tap.expect("600 packets transmitted, 600 received" in pings.output(), pings.output())


def beside_each_other(user):
    second = user.start("up", "--instance", "second")
    tap.expect(port_of(second) != user.port, second.output())
    tap.expect("Established" in user.shell("wayleave status --instance second"), "the second's fabric")
    text = user.shell("wayleave circuit list --instance second 2>&1")
    tap.expect("contoso" not in text, text)
    user.shell("wayleave lab shell pc ping -c 3 10.10.1.4")
    text = user.shell("wayleave up 2>&1", status=1)
    tap.expect("runs already" in text, text)
    user.shell("wayleave down --instance second")
    tap.expect(second.wait(30) == 0, second.output())
    user.shell("wayleave lab shell pc ping -c 3 10.10.1.4")


def lab_down(user):
    user.shell("wayleave lab down")
    tap.expect(user.lab.wait(60) == 0, user.lab.output())
    text = user.shell("wayleave circuit list")
    tap.expect("contoso" not in text and "mine" in text, text)


def killed(user):
    """kill -9 of `up`: the next start sweeps what is left and comes to the same port."""
    footprint = Footprint(user.up.pid, os.path.join(user.env["WAYLEAVE_RUN"], "main"), user.mounts,
                          {user.box.watchdog.pid})
    os.kill(user.up.pid, signal.SIGKILL)
    user.up.stop()
    user.up = user.start("up")
    tap.expect(port_of(user.up) == user.port, f"port {user.port} before, {port_of(user.up)} now")
    stale = [line for line in footprint.left() if not line.startswith("process")]
    pids = [p for p, start in footprint.pids.items() if p != os.getpid() and is_same(p, start)]
    tap.expect(not stale and not pids, f"left of the killed one: {stale} {pids}")
    tap.expect("mine" in user.shell("wayleave status"), "what was ordered is there")
    wait_for("the fabric is back", lambda: user.shell("wayleave status").count("Established") >= 6, 20)


def is_same(pid, start):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
            fields = f.read().rpartition(")")[2].split()
    except OSError:
        return False
    return fields[19] == start and fields[0] != "Z"


def down(user):
    footprint = Footprint(user.up.pid, user.env["WAYLEAVE_RUN"], user.mounts, {user.box.watchdog.pid})
    user.shell("wayleave down")
    tap.expect(user.up.wait(30) == 0, user.up.output())
    left = footprint.left()
    tap.expect(not left, "\n".join(left))
    tap.expect("does not run" in user.shell("wayleave down 2>&1", status=3), "down twice")


def main():
    with Box() as box:
        return tap.run([("up without root: control plane only", without_root),
                        ("up as root, 8443 being taken", starts),
                        ("lab up", lab_up),
                        ("the README's walk by hand", walk),
                        ("env, token, trust", other_programs),
                        ("secrets from stdin and files", secrets_stay_off_command_lines),
                        ("kill -9 of hostd under pings", hostd_dies),
                        ("a second instance beside it", beside_each_other),
                        ("lab down", lab_down),
                        ("kill -9 of up, and the next start", killed),
                        ("down leaves nothing", down)], User(box))


sys.exit(main())
