"""Scenario tests in TAP: cases in order, each a function of one world. A failed case prints its
evidence; later cases of the same world still run unless it says they cannot."""

import os
import sys
import traceback

sys.dont_write_bytecode = True
TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
sys.path.insert(0, os.path.join(TOP, "lab"))

SKIPPED = 77


def need_root():
    """Labs build networks. Not as root: skipped, and the reason said."""
    if os.geteuid() != 0:
        print("1..0 # SKIP needs root: sudo make check")
        sys.exit(SKIPPED)


class Fatal(Exception):
    """The world is broken: the remaining cases cannot run."""


def run(cases, world):
    """Runs (name, function) pairs on world; returns the exit status."""
    print(f"1..{len(cases)}", flush=True)
    n_failed, broken = 0, None
    for n, (name, case) in enumerate(cases, 1):
        problem = broken
        if not broken:
            try:
                case(world)
            except KeyboardInterrupt:
                raise
            except Exception as e:  # any failure is the case's result
                problem = f"{e}\n{traceback.format_exc(limit=-3)}"
                if isinstance(e, Fatal):
                    broken = f"not run: {e}"
        n_failed += problem is not None
        print(f"{'not ok' if problem else 'ok'} {n} - {name}", flush=True)
        for line in (problem or "").splitlines():
            print(f"# {line}", flush=True)
    return 1 if n_failed else 0


def expect(is_good, text):
    if not is_good:
        raise AssertionError(text)
