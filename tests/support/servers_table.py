"""The table of server cases: every fault and every pair of them in every state, one line each, and a sum at the end.

``python -m support.servers_table [--seed N] [--singles] [STATE...]``. Each case is a child of a process that has
brought the world into its state. Ends 1 when a case is amiss.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from collections.abc import Callable

from support.server_faults import FAULTS, pairs
from support.servers_play import STATES, Case, Play, State, reach, strike, told


def main() -> int:
    """Play the table."""
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("states", nargs="*", metavar="STATE")
    ask.add_argument("--seed", type=int, default=1)
    ask.add_argument("--singles", action="store_true", help="no pairs")
    given = ask.parse_args()
    ends: Counter[str] = Counter()
    for name in given.states or STATES:
        play = reach(STATES[name], seed=given.seed)
        cases: list[tuple[str, ...]] = [(fault,) for fault in FAULTS]
        for faults in cases if given.singles else cases + list(pairs()):
            line = _apart(_line(play, name, STATES[name], faults))
            print(line, flush=True)  # noqa: T201 - the table
            ends[
                "amiss" if "| AMISS" in line else "lost by the faults alone" if "| lost" in line else "whole again"
            ] += 1
    print(f"{ends.total()} cases: " + ", ".join(f"{count} {end}" for end, count in sorted(ends.items())))  # noqa: T201
    return 1 if ends["amiss"] else 0


def _line(play: Play, name: str, state: State, faults: tuple[str, ...]) -> Callable[[], str]:
    wanted = state.wanted.spec.servers.count if state.wanted.spec.servers else 0

    def line() -> str:
        case: Case = strike(play, state, *(FAULTS[fault] for fault in faults))
        return told(name, faults, case, wanted)

    def guarded() -> str:
        try:
            return line()
        except Exception as mistake:  # noqa: BLE001 - a line of the table, too
            return f"{name:20} | {' + '.join(faults):64} | AMISS {type(mistake).__name__}: {mistake}"

    return guarded


def _apart(work: Callable[[], str]) -> str:
    """Do work in a child process, so that this one's world stays as it is."""
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        with os.fdopen(writing, "w") as out:
            out.write(work())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        line = answer.read()
    os.waitpid(child, 0)
    return line or "AMISS the child died"


if __name__ == "__main__":
    sys.exit(main())
