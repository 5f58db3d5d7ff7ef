"""A running `wayleave up` of the lab's own: its namespaces, its command line, its switch.

Everything (state, sockets, keys) is below the lab's directory, under an instance name of its own,
so that it runs beside any other and leaves nothing.
"""

import contextlib
import fcntl
import json
import os
import re
import signal
import sqlite3

from netns import LabError, wait_for

NODES = {1: "edge-a", 2: "edge-b", 11: "host-1"}  # by the last byte of the underlay address
HERE = os.path.dirname(os.path.abspath(__file__))


def program(name):
    """A built program: in a directory of $WAYLEAVE_PROGRAMS, else in bin/ beside lab/."""
    where = os.environ.get("WAYLEAVE_PROGRAMS") or os.path.join(HERE, "..", "bin")
    for directory in where.split(":"):
        path = os.path.realpath(os.path.join(directory, name))
        if os.access(path, os.X_OK):
            return path
    raise LabError(f"no program {name} in {where}; `make build` makes it")


class Cloud:
    """`static`: a function that gets this object before the start and returns the directory of
    node configs; then there is no controller. `instance`: the machine's own Wayleave of that name
    instead of one in the lab's directory; one that runs already is used and left running."""

    def __init__(self, box, static=None, instance=None):
        self.box = box
        self.env = dict(os.environ)
        if instance:
            self.instance = instance
            self.home = self.env.get("WAYLEAVE_HOME", "/var/lib/wayleave")
            self.run_root = self.env.get("WAYLEAVE_RUN", "/run/wayleave")
        else:
            self.instance = f"lab-{os.getpid()}"
            self.home = os.path.join(box.dir, "home")
            self.run_root = os.path.join(box.dir, "run")
        self.env.update(WAYLEAVE_HOME=self.home, WAYLEAVE_RUN=self.run_root,
                        WAYLEAVE_INSTANCE=self.instance)
        self.process = None
        if not (instance and self._runs_already()):
            argv = [program("wayleave"), "up", *(["--static", static(self)] if static else [])]
            self.process = box.start(argv, name="wayleave-up", deathsig=signal.SIGTERM,
                                     env=self.env)
            self._wait_up()
        self.namespaces = {
            name: box.namespace(name, os.path.join(self.run_dir, "ns", name))
            for name in ("fabric", "exchange", "edge-a", "edge-b", "host-1")}
        self.switch = Switch(self)

    def _runs_already(self):
        """Its lock is held: a number in a file may be another process's by now."""
        try:
            with open(os.path.join(self.run_dir, "lock"), "rb") as f:
                fcntl.flock(f, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            pass
        return False

    @property
    def run_dir(self):
        return os.path.join(self.run_root, self.instance)

    def node_run(self, node):
        return os.path.join(self.run_dir, node)

    def state(self, node):
        return os.path.join(self.home, self.instance, node)

    def _wait_up(self):
        def is_up():
            if not self.process.is_running():
                raise SystemExit(f"`wayleave up` ended:\n{self.process.output()}{self.logs()}")
            return " is up." in self.process.output()

        wait_for("`wayleave up` is up", is_up, 60,
                 evidence=lambda: self.process.output() + self.logs())

    def logs(self, lines=8):
        """The last lines of each part's log: evidence."""
        where = os.path.join(self.home, self.instance, "log")
        out = []
        for name in sorted(os.listdir(where)) if os.path.isdir(where) else []:
            with open(os.path.join(where, name), encoding="utf-8", errors="replace") as f:
                out += [f"--- {name}"] + [x.rstrip() for x in f.readlines()[-lines:]]
        return "\n".join(out)

    def log(self, name):
        path = os.path.join(self.home, self.instance, "log", f"{name}.log")
        with open(path, encoding="utf-8", errors="replace") as f:
            return f.read()

    # -- the command line --

    def cli(self, *words, check=True, seconds=150):
        """Runs `wayleave WORDS`; output, or (status, output and errors) without check."""
        return self.box.run([program("wayleave"), *words], check=check, env=self.env,
                            seconds=seconds)

    def ask(self, *words):
        """The JSON of `wayleave WORDS -o json`."""
        text = self.cli(*words, "-o", "json")
        try:
            return json.loads(text)
        except ValueError:
            raise LabError(f"wayleave {' '.join(words)}: not JSON: {text[:400]}") from None

    def query(self, node, query, target=""):
        return self.ask("query", node, query, *([target] if target else []))

    # -- what is kept on disk --

    def node_objects(self, node, kind):
        """{key: body}: what the controller last told a node, from the node's own copy."""
        with open(os.path.join(self.state(node), "config.json"), encoding="utf-8") as f:
            return {o["key"]: o["body"] for o in json.load(f)["objects"] if o["kind"] == kind}

    def store(self):
        """All that orders leave in the controller's store: resources (their groups excepted),
        references, claims, secrets, the nodes' objects."""
        path = os.path.join(self.state("controller"), "wayleave.db")
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as db:
            return {(name, *row) for name, rows in (
                ("resource", "SELECT id FROM resource WHERE type <> 'microsoft.resources/resourcegroups'"),
                ("reference", "SELECT from_fold, to_fold FROM ref"),
                ("claim", "SELECT space, value, owner FROM claim"),
                ("secret", "SELECT owner, name FROM secret"),
                ("object", "SELECT node, kind, key FROM node_object WHERE sealed IS NOT NULL"))
                for row in db.execute(rows)}

    # -- processes of a node --

    def pid_of(self, node, daemon):
        """The process whose command line names that program and that node's run directory."""
        wanted = os.path.realpath(program(f"wayleave-{daemon}"))
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                exe = os.readlink(f"/proc/{pid}/exe")
                cwd = os.readlink(f"/proc/{pid}/cwd")
            except OSError:
                continue
            if exe == wanted and os.path.realpath(cwd) == os.path.realpath(self.node_run(node)):
                return int(pid)
        raise LabError(f"{daemon} of {node} does not run")

    def stop(self):
        if not self.process:
            return
        status = self.process.stop(seconds=60)
        if status != 0:
            raise LabError(f"`wayleave up` ended with {status}\n{self.process.tail()}")


class Switch:
    """The exchange provider's switch, by its control socket."""

    def __init__(self, cloud):
        self.cloud = cloud
        self.socket = os.path.join(cloud.run_dir, "exchange.sock")

    def _ctl(self, *words):
        return self.cloud.box.run([program("wayleave-labswitch"), "ctl", self.socket,
                                   *map(str, words)])

    def add(self, dev, trunk, s_tag, c_tag, link):
        self._ctl("add", dev, trunk, s_tag, c_tag, "--link", link)

    def remove(self, dev):
        self._ctl("del", dev)

    def drop(self, dev):
        self._ctl("drop", dev)

    def restore(self, dev):
        self._ctl("restore", dev)

    def stats(self):
        return json.loads(self._ctl("stats"))

    def capture(self, trunk, count):
        return self._ctl("capture", trunk, count).splitlines()


class Capture:
    """tcpdump for a while; `lines` after stop()."""

    def __init__(self, ns, dev, expression, count=20):
        self.process = ns.start(["tcpdump", "-nn", "-l", "-v", "-c", str(count), "-i", dev, expression],
                                name=f"tcpdump-{ns.name}-{dev}-{id(self)}")
        wait_for("tcpdump listens", lambda: "listening on" in self.process.output(),
                 evidence=self.process.output)

    def stop(self):
        self.process.stop(signal.SIGINT)
        return self.process.output()


def gre_keys_by_way(text):
    """{(from node, to node): {key: packets}} of a tcpdump -v text."""
    ways = {}
    for source, target, key in re.findall(
            r"10\.255\.0\.(\d+) > 10\.255\.0\.(\d+): GREv0, Flags \[key present\], key=(0x[0-9a-f]+)", text):
        found = ways.setdefault((NODES[int(source)], NODES[int(target)]), {})
        found[int(key, 16)] = found.get(int(key, 16), 0) + 1
    return ways
