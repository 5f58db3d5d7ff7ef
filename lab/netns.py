"""Network namespaces held by descriptor, processes inside them, and one sweep on every way out.

Nothing here mounts anything or touches the namespace it was started in. A namespace lives as long
as this process's descriptor or a process inside it. Every process started here is known to a
watchdog (watchdog.py), which ends it when this process is gone, however it went.
"""

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

_libc = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET = 0x40000000
_PR_SET_PDEATHSIG = 1
HERE = os.path.dirname(os.path.abspath(__file__))


class LabError(Exception):
    """Something in the lab did not happen; the text says what, and what was seen."""


def _call(name, *args):
    if getattr(_libc, name)(*args) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")


def _in_thread(body):
    """Runs body() in a thread of its own, so that its namespace changes stay there."""
    result = []

    def run():
        try:
            result.append((True, body()))
        except BaseException as problem:  # carried over to the caller
            result.append((False, problem))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    is_good, value = result[0]
    if not is_good:
        raise value
    return value


class Namespace:
    """One network namespace: made new, or opened from a path such as /run/wayleave/I/ns/edge-a."""

    def __init__(self, box, name, path=None):
        self.box, self.name = box, name
        if path:
            self.fd = os.open(path, os.O_RDONLY)
            return

        def make():
            _call("unshare", _CLONE_NEWNET)
            return os.open("/proc/thread-self/ns/net", os.O_RDONLY)

        self.fd = _in_thread(make)
        self.ip("link set lo up")
        # Neighbour discovery would add frames to what tests count.
        self.sysctl({"ipv6/conf/all/disable_ipv6": 1, "ipv6/conf/default/disable_ipv6": 1})

    @property
    def path(self):
        return f"/proc/{os.getpid()}/fd/{self.fd}"

    def close(self):
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def inside(self, body):
        """Runs body() in this namespace, in a thread of its own."""

        def run():
            _call("setns", self.fd, _CLONE_NEWNET)
            return body()

        return _in_thread(run)

    def sysctl(self, values):
        def write():
            for key, value in values.items():
                with open(f"/proc/sys/net/{key}", "w", encoding="ascii") as f:
                    f.write(str(value))

        self.inside(write)

    def ip(self, *lines):
        """Each line is one `ip` command without the word ip."""
        self.box.run(["ip", "-force", "-batch", "-"], ns=self, stdin="\n".join(lines) + "\n")

    def run(self, argv, **kw):
        return self.box.run(argv, ns=self, **kw)

    def start(self, argv, **kw):
        return self.box.start(argv, ns=self, **kw)

    def counters(self, dev):
        """(received bytes, received packets, sent bytes, sent packets) of one device."""

        def read():
            with open("/proc/thread-self/net/dev", encoding="ascii") as f:
                for line in f:
                    name, _, rest = line.partition(":")
                    if name.strip() == dev:
                        n = [int(x) for x in rest.split()]
                        return n[0], n[1], n[8], n[9]
            raise LabError(f"{self.name}: no device {dev}")

        return self.inside(read)


def veth(a, a_dev, b, b_dev, mtu=1500):
    """A cable between two namespaces; both ends up, checksums complete, NAPI on: what a kernel end
    point behind XDP needs (a redirect into a veth without NAPI, and a partial checksum, are both
    silent losses)."""
    a.ip(f"link add {a_dev} mtu {mtu} type veth peer name {b_dev} mtu {mtu} netns {b.path}")
    for ns, dev in ((a, a_dev), (b, b_dev)):
        ns.run(["ethtool", "-K", dev, "tx", "off", "gro", "on"])
        ns.ip(f"link set {dev} up")


class Process:
    """A running program: its output is in a file, its end is our business."""

    def __init__(self, box, name, popen, log):
        self.box, self.name, self.popen, self.log = box, name, popen, log

    @property
    def pid(self):
        return self.popen.pid

    def is_running(self):
        return self.popen.poll() is None

    def output(self):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return f.read()

    def wait(self, seconds):
        """The exit status; LabError when it does not end in time."""
        try:
            status = self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            raise LabError(f"{self.name}: still running after {seconds} s\n{self.tail()}") from None
        self.box.forget(self)
        return status

    def tail(self, lines=20):
        return "\n".join(self.output().splitlines()[-lines:])

    def stop(self, sig=signal.SIGTERM, seconds=10):
        if self.is_running():
            self.popen.send_signal(sig)
            try:
                self.popen.wait(seconds)
            except subprocess.TimeoutExpired:
                self.popen.kill()
                self.popen.wait()
        self.box.forget(self)
        return self.popen.returncode


def start_time(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
        return f.read().rpartition(")")[2].split()[19]


def is_ended(pid):
    """Not gone yet, but only its parent has still to look."""
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
        return f.read().rpartition(")")[2].split()[0] in "ZX"


class Box:
    """All that one lab started: processes, namespaces and a directory. Use it as a context."""

    def __init__(self, keep=False):
        self.dir = tempfile.mkdtemp(prefix="wayleave-lab-", dir="/run" if os.geteuid() == 0 else None)
        os.chmod(self.dir, 0o755)
        self.keep = keep
        self.processes, self.namespaces = [], []
        self.watchdog = subprocess.Popen(
            [sys.executable, os.path.join(HERE, "watchdog.py"), "" if keep else self.dir],
            stdin=subprocess.PIPE, start_new_session=True, text=True)

    def __enter__(self):
        # A terminal's Ctrl-C is an exception already; TERM and HUP become the same.
        for sig in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(sig, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
        return self

    def __exit__(self, *_):
        self.close()

    def namespace(self, name, path=None):
        ns = Namespace(self, name, path)
        self.namespaces.append(ns)
        return ns

    def _tell(self, line):
        if self.watchdog.poll() is None:
            self.watchdog.stdin.write(line + "\n")
            self.watchdog.stdin.flush()

    def _child_setup(self, ns, deathsig, nice=0):
        fd = ns.fd if ns else -1

        def setup():
            if nice:
                os.nice(nice)
            if fd >= 0:
                _call("setns", fd, _CLONE_NEWNET)
            _call("prctl", _PR_SET_PDEATHSIG, deathsig, 0, 0, 0)

        return setup

    def run(self, argv, ns=None, stdin="", check=True, seconds=60, env=None):
        """Runs to its end and returns standard output; with check, failure is a LabError that
        shows what it said. Without, returns (status, output with errors)."""
        done = subprocess.run(
            argv, input=stdin, text=True, stdout=subprocess.PIPE, timeout=seconds, env=env,
            stderr=subprocess.PIPE if check else subprocess.STDOUT, errors="replace",
            preexec_fn=self._child_setup(ns, signal.SIGKILL), check=False)
        if not check:
            return done.returncode, done.stdout
        if done.returncode != 0:
            where = f" (in {ns.name})" if ns else ""
            raise LabError(f"{' '.join(argv)}{where}: exit {done.returncode}\n"
                           f"{done.stdout}{done.stderr}".rstrip())
        return done.stdout

    def start(self, argv, ns=None, name=None, deathsig=signal.SIGKILL, env=None, nice=0):
        """Starts a program that goes on; stdout and stderr go to a file in the lab's directory."""
        name = name or f"{ns.name if ns else 'lab'}-{os.path.basename(argv[0])}"
        log = os.path.join(self.dir, f"{name}.log")
        with open(log, "ab") as out:
            popen = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, env=env,
                start_new_session=True, preexec_fn=self._child_setup(ns, deathsig, nice))
        process = Process(self, name, popen, log)
        self.processes.append(process)
        self._tell(f"+ {popen.pid} {start_time(popen.pid)} {int(deathsig)}")
        return process

    def forget(self, process):
        if process in self.processes:
            self.processes.remove(process)
            self._tell(f"- {process.pid}")

    def close(self):
        """Ends everything, last started first. Safe to call twice and in any state."""
        old = [signal.signal(s, signal.SIG_IGN) for s in (signal.SIGINT, signal.SIGTERM)]
        try:
            for process in list(reversed(self.processes)):
                process.stop(seconds=20)
            for ns in self.namespaces:
                ns.close()
            self.namespaces.clear()
            if not self.keep:
                shutil.rmtree(self.dir, ignore_errors=True)
            if self.watchdog.poll() is None:
                self.watchdog.stdin.close()
                self.watchdog.wait()
        finally:
            for s, handler in zip((signal.SIGINT, signal.SIGTERM), old):
                signal.signal(s, handler)


def wait_for(what, condition, seconds=15, every=0.05, evidence=None):
    """Waits until condition() is true and returns its value and the seconds it took. A LabError
    names what did not happen, with evidence() or the last exception."""
    begin = time.monotonic()
    problem = None
    while True:
        try:
            value = condition()
            problem = None
        except LabError as e:
            value, problem = None, e
        took = time.monotonic() - begin
        if value:
            return value, took
        if took > seconds:
            seen = evidence() if evidence else problem
            raise LabError(f"not within {seconds} s: {what}" + (f"\n{seen}" if seen else ""))
        time.sleep(every)
