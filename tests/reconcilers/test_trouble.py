"""What EC2 has against machines is said, each with its date or its beginning."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from reconciler.reconcilers.trouble import plan_trouble
from schemas.plan import Plan
from schemas.trouble import ScheduledEvent, Trouble
from support.builders import NOON, a_group, a_pool, a_snapshot


def told(trouble: Trouble) -> list[tuple[str, str, str]]:
    plan = plan_trouble(replace(a_snapshot(), trouble=trouble), a_group(pools=[a_pool()]))
    assert plan.actions == ()
    return [(h.subject, h.reason, h.message) for h in plan.holds]


def an_event(code: str) -> ScheduledEvent:
    due = NOON + timedelta(days=2)
    return ScheduledEvent(instance_id="i-2", id="e", code=code, due=due, description="degraded hardware")


def test_a_machine_that_is_taken_back_one_that_has_a_date_and_one_that_fails_are_named() -> None:
    trouble = Trouble(
        reclaimed={"i-1": "instance-terminated-no-capacity"},
        events=(an_event("instance-retirement"),),
        impaired={"i-3": NOON, "i-4": None},
    )

    assert told(trouble) == [
        (
            "node/i-1",
            "Reclaimed",
            "EC2 takes i-1 back (instance-terminated-no-capacity): it ends two minutes after its notice",
        ),
        (
            "node/i-2",
            "Maintenance",
            "AWS will stop i-2 on 2026-01-07 12:00 UTC (instance-retirement): degraded hardware",
        ),
        ("node/i-3", "Impaired", "i-3 fails EC2's status checks since 2026-01-05 12:00 UTC"),
        ("node/i-4", "Impaired", "i-4 fails EC2's status checks"),
    ]


def test_a_restart_is_not_called_an_end() -> None:
    ((_, _, message),) = told(Trouble(events=(an_event("system-reboot"),)))

    assert message.startswith("AWS will restart or work on i-2")


def test_silence_is_no_trouble() -> None:
    snapshot = replace(a_snapshot(), trouble=Trouble(fault="UnauthorizedOperation"))

    assert plan_trouble(snapshot, a_group(pools=[a_pool()])) == Plan()
