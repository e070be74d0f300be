"""Which offerings are out after EC2 said no, and for how long (semantics §3)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from schemas.faults import Refusal
from schemas.plan import Launch
from schemas.world import FleetError, Refused

FORGOTTEN = timedelta(minutes=30)
DOUBLINGS = 8
PAUSES = {  # how long an offering is out the first time, and at the most: it doubles with each no in a row
    str(Refusal.CAPACITY): (timedelta(minutes=3), timedelta(minutes=30)),
    str(Refusal.QUOTA): (timedelta(minutes=30), timedelta(minutes=30)),
    str(Refusal.IMPOSSIBLE): (timedelta(hours=6), timedelta(hours=6)),
}


def refusals(
    known: Iterable[Refused], launch: Launch, errors: Sequence[FleetError], at: datetime
) -> tuple[Refused, ...]:
    """Give all marks after a fleet's answer: an offering that was never tried gets none, a quota marks its class.

    A mark that ended half an hour ago is forgotten: the next no is a first one again.
    """
    marks = {(r.instance_type, r.zone, r.market): r for r in known if r.until > at - FORGOTTEN}
    for error in errors:
        if error.why not in PAUSES:
            continue
        hit = [(error.instance_type, error.zone)]
        if error.why == Refusal.QUOTA:
            of_class = quota_class(error.instance_type)
            hit = [(o.instance_type, o.zone) for o in launch.overrides if quota_class(o.instance_type) == of_class]
        for instance_type, zone in hit:
            last = marks.get((instance_type, zone, error.market))
            times = last.times + 1 if last and last.why == error.why else 1
            first, most = PAUSES[error.why]
            marks[instance_type, zone, error.market] = Refused(
                instance_type=instance_type,
                zone=zone,
                market=error.market,
                why=error.why,
                until=at + min(most, first * 2 ** min(times - 1, DOUBLINGS)),
                times=times,
            )
    return tuple(marks.values())


def quota_class(instance_type: str) -> str:
    """Name the vCPU quota that a type counts against: EC2's families share a few of them."""
    family = instance_type.partition(".")[0]
    for prefixes, name in (
        (("inf",), "inf"),
        (("trn",), "trn"),
        (("dl",), "dl"),
        (("hpc",), "hpc"),
        (("vt", "g"), "g-vt"),
        (("p",), "p"),
        (("x",), "x"),
        (("u-", "u7"), "high-memory"),
        (("f",), "f"),
    ):
        if family.startswith(prefixes):
            return name
    return "standard"
