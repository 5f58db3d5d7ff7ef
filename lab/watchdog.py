"""Ends what a lab started once the lab itself is gone, however it went (kill -9 included).

Reads lines from the lab: "+ PID STARTTIME SIGNAL" and "- PID". At the end of input every process
still listed and still the same (by start time) gets its signal, then KILL; then the lab's
directory, the only argument, is removed.
"""

import os
import shutil
import signal
import sys
import time


def is_same(pid, start):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
            fields = f.read().rpartition(")")[2].split()
    except OSError:
        return False
    return fields[19] == start and fields[0] != "Z"


def send(pid, sig):
    try:
        os.kill(pid, sig)
    except ProcessLookupError:
        pass


def main():
    for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(sig, signal.SIG_IGN)
    known = {}
    for line in sys.stdin:
        words = line.split()
        if words[0] == "+":
            known[int(words[1])] = (words[2], int(words[3]))
        else:
            known.pop(int(words[1]), None)
    for pid, (start, sig) in reversed(known.items()):
        if is_same(pid, start):
            send(pid, sig)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and any(is_same(p, s) for p, (s, _) in known.items()):
        time.sleep(0.05)
    for pid, (start, _) in known.items():
        if is_same(pid, start):
            send(pid, signal.SIGKILL)
    if sys.argv[1]:
        shutil.rmtree(sys.argv[1], ignore_errors=True)


main()
