"""Traffic with numbers: paced UDP with each loss accounted for, TCP by iperf3, routes over time."""

import json
import re
import signal
import time

from cloud import program
from netns import LabError, wait_for


# Senders and receivers go first: a busy machine must not look like a lossy network.
FIRST = -15


class Flow:
    """Paced UDP from one namespace to another. Addresses are "ADDR:PORT"."""

    def __init__(self, name, source, source_at, target, target_at, mbps, size=1400, seconds=600):
        self.name, self.mbps, self.size = name, mbps, size
        self.receiver = target.start([program("wayleave-pace"), "receive", "--at", target_at],
                                     name=f"{name}-receive-{time.monotonic_ns()}", nice=FIRST)
        # The receiver says nothing before its end; its socket shows.
        port = target_at.rpartition(":")[2]
        wait_for(f"{name}: a receiver on {target_at}",
                 lambda: f":{port} " in target.run(["ss", "-lun"]),
                 evidence=self.receiver.output)
        self.sender = source.start(
            [program("wayleave-pace"), "send", "--to", target_at, "--from", source_at, "--rate",
             str(int(mbps * 1e6)), "--size", str(size), "--seconds", str(seconds)],
            name=f"{name}-send-{time.monotonic_ns()}", nice=FIRST)

    def stop(self, seconds=None):
        """Waits for the sender's end (or ends it), lets the last packets arrive, and returns a
        Result."""
        if seconds is None:
            self.sender.stop(signal.SIGTERM)
        else:
            self.sender.wait(seconds)
        sent = json.loads(self.sender.output() or "{}")
        time.sleep(0.3)  # the time a packet may be under way, not a condition that shows itself
        self.receiver.stop(signal.SIGTERM)
        text = self.receiver.output()
        try:
            streams = json.loads(text)["streams"]
        except ValueError:
            raise LabError(f"{self.name}: the receiver said: {text[:300]}") from None
        return Result(self, sent, streams)


class Result:
    """What became of a Flow."""

    def __init__(self, flow, sent, streams):
        self.name, self.size, self.sent = flow.name, flow.size, sent["sent"]
        self.refused, self.begin_us, self.seconds = sent["refused"], sent["beginUs"], sent["seconds"]
        self.offered = sent["bitsPerSecond"]
        mine = [s for s in streams if s["stream"] == sent["stream"]]
        self.strangers = [s for s in streams if s["stream"] != sent["stream"]]
        self.stream = mine[0] if mine else {"received": 0, "highest": 0, "lost": [], "bytes": 0,
                                            "duplicates": 0, "bytesPer100ms": []}
        self.received = self.stream["received"]

    @property
    def lost(self):
        return self.sent - self.received

    @property
    def packets_per_second(self):
        return self.sent / self.seconds

    def rate(self, skip=0.5):
        """Bits a second of what arrived: the mean of the middle half of all 100 ms slots, by sending
        time. The first half second (the policer's burst) is left out; a sender that the machine
        held up for a while only touches the outer quarters."""
        slots = sorted(self.stream["bytesPer100ms"][int(skip * 10):-1])
        middle = slots[len(slots) // 4:len(slots) - len(slots) // 4]
        return sum(middle) * 8 * 10 / len(middle) if middle else 0.0

    def gap(self):
        """The widest loss as (begin, end) in monotonic seconds; None without one."""
        ranges = self.stream["lost"]
        if not ranges:
            return None
        widest = max(ranges, key=lambda r: r["count"])
        return widest["beginUs"] / 1e6, widest["endUs"] / 1e6


def iperf(server, client, address, seconds=3, port=5201, paced_mbps=0):
    """(Mbit/s received, retransmits) of one TCP stream from client to server. paced_mbps: the sender
    shapes to that rate, as a router with a shaper would."""
    daemon = server.start(["iperf3", "-s", "-1", "-B", address, "-p", str(port)],
                          name=f"iperf3-{server.name}-{time.monotonic_ns()}")
    wait_for("iperf3 listens", lambda: f":{port} " in server.run(["ss", "-ltn"]),
             evidence=daemon.output)
    argv = ["iperf3", "-c", address, "-p", str(port), "-t", str(seconds), "-J",
            "--connect-timeout", "5000"]
    if paced_mbps:
        argv += ["--fq-rate", f"{paced_mbps}M"]
    status, text = client.run(argv, check=False, seconds=seconds + 30)
    daemon.stop()
    report = json.loads(text) if text.startswith("{") else {}
    if status != 0 or "end" not in report or "sum_received" not in report["end"]:
        raise LabError(f"iperf3: {report.get('error', text[:300])}")
    end = report["end"]
    return end["sum_received"]["bits_per_second"] / 1e6, end["sum_sent"].get("retransmits", 0)


class RouteWatch:
    """Every change of one prefix in a namespace's kernel table, with its time."""

    def __init__(self, ns, prefix):
        self.prefix = prefix
        self.process = ns.start(["ip", "-ts", "monitor", "route"],
                                name=f"routes-{ns.name}-{time.monotonic_ns()}")
        self.offset = time.time() - time.monotonic()

    def stop(self):
        """[(monotonic seconds, text), ...]"""
        self.process.stop()
        changes, when = [], None
        for line in self.process.output().splitlines():
            stamp = re.match(r"\[(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.(\d+)\]\s*(.*)", line)
            if stamp:
                wall = time.mktime(time.strptime(stamp[1], "%Y-%m-%dT%H:%M:%S"))
                when, line = wall + float(f"0.{stamp[2]}") - self.offset, stamp[3]
            if self.prefix in line and when is not None:
                changes.append((when, line.strip()))
        return changes


def port_over(ns, source, target, wanted, first=20000):
    """A UDP source port for which ns's own multipath route takes the next hop `wanted`."""
    for port in range(first, first + 200):
        text = ns.run(["ip", "route", "get", target, "from", source, "ipproto", "udp",
                       "sport", str(port), "dport", "9000"])
        if f"via {wanted} " in text:
            return port
    raise LabError(f"{ns.name}: no source port of 200 takes {wanted}")


def port_arriving_at(sender, source, receivers, dev, target, wanted, first=30000):
    """A UDP source port whose packets from `sender` arrive at receivers[wanted]'s dev: the flow
    hash of somebody else's table, found by trying."""
    seen = []
    for port in range(first, first + 64):
        before = [r.counters(dev)[1] for r in receivers]
        sender.run([program("wayleave-pace"), "send", "--to", f"{target}:9001", "--from",
                    f"{source}:{port}", "--rate", "4000000", "--size", "100", "--seconds", "0.02"])
        time.sleep(0.02)
        gained = [r.counters(dev)[1] - b for r, b in zip(receivers, before)]
        seen.append((port, gained))
        if gained[wanted] >= 50 and gained[wanted] > 4 * max(g for i, g in enumerate(gained) if i != wanted):
            return port
    raise LabError(f"no source port of {len(seen)} from {source} arrives over link {'AB'[wanted]}: {seen[:6]}")
