"""An offering that EC2 refused is out for a while, and no longer than the rules say."""

from __future__ import annotations

from datetime import timedelta

import pytest

from reconciler.packing.refusals import quota_class, refusals
from schemas.faults import Refusal
from schemas.plan import Launch, Reason
from schemas.world import FleetError, Market, Override, Refused
from support.builders import NOON

TYPES = ("m6i.large", "c6i.large", "g5.xlarge")
LAUNCH = Launch(
    claim="general-1",
    pool="general",
    market=Market.SPOT,
    count=1,
    overrides=tuple(
        Override(instance_type=t, subnet_id=f"subnet-{z}", zone=z, price=0.1) for t in TYPES for z in ("a", "b")
    ),
    template="t",
    contents=(),
    cause=Reason.DEMAND,
    reason="",
)


def no(why: Refusal, instance_type: str = "m6i.large", zone: str = "a") -> FleetError:
    return FleetError(instance_type=instance_type, zone=zone, market=Market.SPOT, code="", message="", why=why)


def out(marks: tuple[Refused, ...]) -> set[tuple[str, str]]:
    return {(m.instance_type, m.zone) for m in marks}


def test_a_refusal_for_capacity_is_of_that_type_in_that_zone_alone() -> None:
    assert out(refusals((), LAUNCH, [no(Refusal.CAPACITY)], NOON)) == {("m6i.large", "a")}


def test_an_offering_that_the_fleet_never_tried_is_not_marked() -> None:
    assert refusals((), LAUNCH, [no(Refusal.UNTRIED)], NOON) == ()


def test_a_quota_is_of_a_class_of_types_in_every_zone() -> None:
    marks = refusals((), LAUNCH, [no(Refusal.QUOTA)], NOON)

    assert out(marks) == {(t, z) for t in ("m6i.large", "c6i.large") for z in ("a", "b")}, "g5 has a quota of its own"


def test_the_pause_doubles_with_each_no_in_a_row_up_to_half_an_hour() -> None:
    marks: tuple[Refused, ...] = ()
    at, pauses = NOON, []
    for _ in range(40):
        marks = refusals(marks, LAUNCH, [no(Refusal.CAPACITY)], at)
        pauses.append((marks[0].until - at) / timedelta(minutes=1))
        at = marks[0].until

    assert pauses[:5] == [3, 6, 12, 24, 30]
    assert max(pauses) == 30


def test_a_no_long_after_the_last_one_is_a_first_one_again() -> None:
    (before,) = refusals((), LAUNCH, [no(Refusal.CAPACITY)], NOON)
    later = before.until + timedelta(minutes=31)
    (mark,) = refusals((before,), LAUNCH, [no(Refusal.CAPACITY)], later)

    assert mark.until - later == timedelta(minutes=3)


def test_a_mark_outlives_an_answer_that_does_not_speak_of_it() -> None:
    (before,) = refusals((), LAUNCH, [no(Refusal.CAPACITY)], NOON)

    assert refusals((before,), LAUNCH, [], NOON + timedelta(minutes=1)) == (before,)


@pytest.mark.parametrize(
    ("instance_type", "name"),
    [("m6i.large", "standard"), ("t3.small", "standard"), ("g4dn.xlarge", "g-vt"), ("vt1.3xlarge", "g-vt"),
     ("p4d.24xlarge", "p"), ("inf2.xlarge", "inf"), ("i4i.large", "standard"), ("x2idn.16xlarge", "x")],
)  # fmt: skip
def test_types_share_the_quota_of_their_class(instance_type: str, name: str) -> None:
    assert quota_class(instance_type) == name
