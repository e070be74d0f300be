"""What a plan shows of the machines that it would buy, and how its price stands beside the bound."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.reconcilers import plan_all
from reconciler.status.machines import bound_of, machine_rows
from schemas.document import ClusterGroup
from schemas.plan import Launch, Plan, Reason
from schemas.world import Job, Resources, Snapshot
from support.builders import a_blocked, a_group, a_job, a_pool, a_snapshot, a_task_group

HEADROOM = {"units": 2, "cpuMHz": 1000, "memoryMiB": 512}


def waiting(job: Job) -> Snapshot:
    return a_snapshot(jobs=(job,), evaluations=(a_blocked(job),))


def one_pool(**pool: object) -> ClusterGroup:
    return a_group(pools=[a_pool(instances={"types": ["m6i.large"]}, **pool)])


def launches(plan: Plan) -> list[Launch]:
    return [a for a in plan.actions if isinstance(a, Launch)]


def test_each_machine_tells_what_it_holds_and_how_full_that_makes_it() -> None:
    world, group = waiting(a_job(queued=3)), one_pool()
    (row,) = machine_rows(world, group, plan_all(world, group))
    free = world.catalogue["m6i.large"].cpu_mhz

    assert (row.instance_type, row.count, row.price, row.price_most) == ("m6i.large", 1, 0.096, 0.096)
    assert row.zones == ("us-east-1a", "us-east-1b", "us-east-1c")
    assert [(c.job, c.copies) for c in row.work] == [("web", 3)]
    assert row.cpu_percent == pytest.approx(100 * 3 * 500 / free)


def test_headroom_fills_a_machine_as_work_does() -> None:
    world, group = a_snapshot(), one_pool(headroom=HEADROOM)
    (row,) = machine_rows(world, group, plan_all(world, group))

    assert [(c.job, c.copies) for c in row.work] == [("headroom", 2)]
    assert row.cpu_percent is not None
    assert row.cpu_percent > 25


def test_work_and_the_headroom_beside_it_are_one_launch_where_one_machine_holds_both() -> None:
    world, group = waiting(a_job(queued=3)), one_pool(headroom=HEADROOM)
    (launch,) = launches(plan_all(world, group))

    assert (launch.count, launch.cause) == (1, Reason.DEMAND)
    assert {c.job for c in launch.contents} == {"web", "headroom"}


def test_a_plan_stands_beside_its_bound_with_the_gap_between_them() -> None:
    whole = a_task_group(ask=Resources(cpu_mhz=5000, memory_mib=4000))
    world = waiting(a_job(queued=4, groups=(whole,)))
    found = bound_of(plan_all(world, one_pool()))

    assert found is not None
    assert found.cost == pytest.approx(4 * 0.096)
    assert 0.0 <= found.gap < 0.01


def test_a_plan_that_a_cap_cut_is_not_compared() -> None:
    whole = a_task_group(ask=Resources(cpu_mhz=5000, memory_mib=4000))
    plan = plan_all(waiting(a_job(queued=4, groups=(whole,))), one_pool())
    cut = replace(plan, actions=tuple(replace(a, count=1) if isinstance(a, Launch) else a for a in plan.actions))

    assert len(launches(plan)) < 4
    assert bound_of(cut) is None
