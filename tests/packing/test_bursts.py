"""What is submitted together is bought together."""

from __future__ import annotations

from datetime import timedelta

from reconciler.packing.wants import demand
from reconciler.reconcilers.headroom import plan_headroom
from schemas.plan import Reason
from schemas.world import Evaluation, Job, Snapshot
from support.builders import NOON, a_blocked, a_group, a_job, a_pool, a_snapshot


def blocked_for(**ages: float) -> Snapshot:
    """Jobs by name, each with a blocked evaluation of so many seconds."""
    jobs: list[Job] = [a_job(name, queued=1) for name in ages]
    evaluations: list[Evaluation] = [a_blocked(job, created_at=NOON - timedelta(seconds=ages[job.id])) for job in jobs]
    return a_snapshot(jobs=tuple(jobs), evaluations=tuple(evaluations))


def due(snapshot: Snapshot) -> set[str]:
    return {want.job.id for want in demand(snapshot).wants}


def test_when_nothing_more_comes_for_three_seconds_all_is_bought_at_once() -> None:
    assert due(blocked_for(a=5, b=4, c=3)) == {"a", "b", "c"}


def test_while_jobs_still_come_in_the_burst_waits_and_says_so() -> None:
    snapshot = blocked_for(a=6, b=4, c=1)

    assert due(snapshot) == set()
    assert any(
        h.subject == "demand" and h.reason is Reason.NOT_YET_DECIDED and h.passing for h in demand(snapshot).holds
    )


def test_no_burst_waits_longer_than_ten_seconds() -> None:
    assert due(blocked_for(a=11, b=8, c=6, d=4, e=1)) == {"a", "b", "c", "d"}


def test_what_waited_before_the_burst_does_not_wait_for_it() -> None:
    assert due(blocked_for(old=60, a=5, b=1)) == {"old"}


def test_what_nobody_can_serve_does_not_break_up_later_bursts() -> None:
    """It waits for days; measured from it, every new job would be bought alone."""
    snapshot = blocked_for(cray=86_400, a=6, b=4, c=1)

    assert due(snapshot) == {"cray"}


def test_headroom_waits_for_the_burst_as_its_machines_may_leave_the_room() -> None:
    group = a_group(pools=[a_pool(headroom={"units": 2, "cpuMHz": 1000, "memoryMiB": 512})])

    assert plan_headroom(blocked_for(a=6, b=1), group).actions == ()
    assert plan_headroom(blocked_for(a=6, b=4), group).actions != ()
    assert plan_headroom(blocked_for(old=86_400, a=6, b=1), group).actions == ()
    assert plan_headroom(blocked_for(a=1), group).actions == ()
