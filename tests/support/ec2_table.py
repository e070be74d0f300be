"""Every call to AWS of a launch from nothing, each wrong in every way, one at a time; and how many calls there are.

``python -m support.ec2_table`` prints a line for each operation and fault with how many cases were well, and each case
that was not; ``--calls`` prints the figures: calls for launches of several sizes, and at rest.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from functools import cache

from support.ec2_faults import Fault, Play, Strike, play

COPIES = 40
ONE_EACH = 8000  # MHz of which an m6i.xlarge holds one copy
AT_REST = 600.0


@cache
def undisturbed() -> Play:
    return play(copies=COPIES)


def cases() -> Iterator[Strike]:
    """Each call of a run in which nothing goes wrong, with each fault."""
    for operation, count in sorted(Counter(undisturbed().calls).items()):
        for nth in range(count):
            for fault in Fault:
                yield Strike(operation, nth, fault)


def wrong(after: Play) -> list[str]:
    """What is wrong with a run: more machines than asked, dearer or cheaper ones than without the fault, or no end."""
    asked = {claim: count for _, claim, count in after.fleets}
    found = [
        f"{launched} machines for claim {claim}, which asked for {asked.get(claim, 0)}"
        for claim, launched in after.launched.items()
        if launched > asked.get(claim, 0)
    ]
    if after.price != undisturbed().price:  # two small ones may stand for a large one when a launch is planned again
        found.append(f"{after.price} USD an hour, {undisturbed().price} without the fault")
    if not after.converged:
        found.append("not converged")
    return found


def calls(machines: int) -> dict[str, object]:
    """Figures of one launch of so many machines, and of the rest after it."""
    run = play(copies=machines, cpu=ONE_EACH, most=max(50, machines), at_rest=AT_REST)
    if not run.converged or run.alive != machines:
        raise RuntimeError(f"{run.alive} of {machines} machines; converged: {run.converged}")
    until, rest = Counter(run.calls[: run.rest]), Counter(run.calls[run.rest :])
    return {
        "machines": machines,
        "seconds": round(run.seconds, 1),
        "calls": sum(until.values()),
        "writes": {
            name: until[name] for name in ("CreateLaunchTemplate", "CreateFleet", "RunInstances") if until[name]
        },
        "by_name": dict(sorted(until.items())),
        "at_rest": {"seconds": AT_REST, "calls": sum(rest.values()), "by_name": dict(sorted(rest.items()))},
    }


def main() -> int:
    """Print the table, or the figures; 1 when a case is wrong."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--calls", action="store_true")
    options.add_argument("operation", nargs="*", help="only these operations")
    given = options.parse_args()
    os.environ |= {"AWS_ACCESS_KEY_ID": "t", "AWS_SECRET_ACCESS_KEY": "t", "AWS_EC2_METADATA_DISABLED": "true"}
    if given.calls:
        for machines in (1, 50, 500):
            print(json.dumps(calls(machines)), flush=True)  # noqa: T201 - what it is for
        return 0
    well: Counter[tuple[str, str]] = Counter()
    tried: Counter[tuple[str, str]] = Counter()
    bad, begun = 0, time.monotonic()
    for strike in cases():
        if given.operation and strike.operation not in given.operation:
            continue
        of = (strike.operation, str(strike.what))
        tried[of] += 1
        if found := wrong(play(strike, copies=COPIES)):
            bad += 1
            print(f"WRONG {strike.operation} #{strike.nth}, {strike.what}: {'; '.join(found)}", flush=True)  # noqa: T201
        else:
            well[of] += 1
    for operation, fault in tried:
        print(f"{operation:32} {fault:32} {well[operation, fault]} of {tried[operation, fault]}")  # noqa: T201
    print(f"{sum(well.values())} of {sum(tried.values())} cases well in {time.monotonic() - begun:.0f} s")  # noqa: T201
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
