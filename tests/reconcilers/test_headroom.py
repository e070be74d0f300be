"""Whole units of spare room, counted per node: below what the document asks, the pool grows (semantics §4)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from reconciler.reconcilers.headroom import plan_headroom
from schemas.document import ClusterGroup
from schemas.faults import Source
from schemas.plan import Launch, Plan, Reason
from schemas.world import Market, Override, Refused, Resources, Snapshot
from support.applied import launched, settled
from support.builders import (
    NOON,
    a_blocked,
    a_claim,
    a_group,
    a_job,
    a_node,
    a_pool,
    a_snapshot,
    a_task_group,
    an_allocation,
    an_instance,
)

UNIT = {"cpuMHz": 1000, "memoryMiB": 512}
TEN = {"units": 10, **UNIT}


def a_headroom(headroom: Any, **pool: Any) -> ClusterGroup:
    return a_group(pools=[a_pool(headroom=headroom, **pool)])


def with_free(*frees: Resources, **given: Any) -> Snapshot:
    """A world of nodes with just so much room left."""
    nodes = tuple(a_node(n, total=free) for n, free in enumerate(frees, 1))
    return a_snapshot(nodes=nodes, instances=tuple(an_instance(n) for n in range(1, len(frees) + 1)), **given)


def mhz(units: float, memory: int = 100_000) -> Resources:
    """Room for so many units by CPU."""
    return Resources(cpu_mhz=int(units * 1000), memory_mib=memory, disk_mib=20000, cores=2)


def machines(plan: Plan) -> int:
    return sum(a.count for a in plan.actions if isinstance(a, Launch))


def test_two_three_and_five_units_are_ten() -> None:
    assert plan_headroom(with_free(mhz(2), mhz(3), mhz(5)), a_headroom(TEN)) == Plan()


def test_two_three_and_four_units_grow_by_one_machine() -> None:
    plan = plan_headroom(with_free(mhz(2), mhz(3), mhz(4)), a_headroom(TEN))

    assert machines(plan) == 1
    (launch,) = (a for a in plan.actions if isinstance(a, Launch))
    assert launch.cause is Reason.HEADROOM
    assert launch.reason == "headroom is short of 1 of 10 units of 1,000 MHz + 512 MiB"
    assert [(c.job, c.copies) for c in launch.contents] == [("headroom", 1)]


def test_two_halves_on_two_nodes_are_no_unit() -> None:
    one = {"units": 1, **UNIT}

    assert machines(plan_headroom(with_free(mhz(0.5), mhz(0.5)), a_headroom(one))) == 1
    assert machines(plan_headroom(with_free(mhz(1)), a_headroom(one))) == 0


def test_the_scarcer_dimension_counts() -> None:
    three = {"units": 3, **UNIT}

    assert machines(plan_headroom(with_free(mhz(9, memory=1535)), a_headroom(three))) == 1
    assert machines(plan_headroom(with_free(mhz(9, memory=1536)), a_headroom(three))) == 0


def test_a_dimension_that_is_not_given_does_not_count() -> None:
    assert plan_headroom(with_free(mhz(3, memory=0)), a_headroom({"units": 3, "cpuMHz": 1000})) == Plan()
    memory = with_free(Resources(memory_mib=1536))
    assert plan_headroom(memory, a_headroom({"units": 3, "memoryMiB": 512})) == Plan()


def test_live_allocations_and_what_is_reserved_are_not_free() -> None:
    node = a_node(total=mhz(4), reserved=Resources(cpu_mhz=1000))
    world = a_snapshot(nodes=(node,), instances=(an_instance(),))
    used = replace(world, allocations=(an_allocation(node, usage=Resources(cpu_mhz=1)),))
    ended = replace(world, allocations=(an_allocation(node, usage=Resources(cpu_mhz=1), client="complete"),))
    three = a_headroom({"units": 3, **UNIT})

    assert machines(plan_headroom(world, three)) == 0
    assert machines(plan_headroom(used, three)) == 1
    assert machines(plan_headroom(ended, three)) == 0


@pytest.mark.parametrize("given", [{"eligible": False}, {"draining": True}, {"status": "down"}])
def test_a_node_that_takes_no_work_has_no_headroom(given: dict[str, Any]) -> None:
    node = a_node(total=mhz(10), **given)
    world = a_snapshot(nodes=(node,), instances=(an_instance(),))

    assert machines(plan_headroom(world, a_headroom({"units": 1, **UNIT}))) == 1


def test_nodes_of_another_pool_and_of_nobody_do_not_count() -> None:
    foreign = a_node(9, name="their-node", attributes={}, meta={}, total=mhz(50))
    world = a_snapshot(nodes=(foreign,))

    assert machines(plan_headroom(world, a_headroom({"units": 1, **UNIT}))) == 1


def test_a_node_whose_instance_ec2_does_not_show_yet_counts_by_its_claim() -> None:
    world = a_snapshot(nodes=(a_node(total=mhz(3)),))

    assert plan_headroom(world, a_headroom({"units": 3, **UNIT})) == Plan()


def test_machines_on_their_way_count() -> None:
    one = {"units": 5, **UNIT}

    assert machines(plan_headroom(a_snapshot(), a_headroom(one))) == 1
    assert plan_headroom(a_snapshot(claims=(a_claim(),)), a_headroom(one)) == Plan()


def test_what_a_claim_may_become_counts_as_the_smallest_of_it() -> None:
    overrides = tuple(
        Override(instance_type=t, subnet_id="subnet-a1", zone="us-east-1a", price=0.1)
        for t in ("m6i.large", "m6i.xlarge")
    )
    claim = a_claim(overrides=overrides)

    assert plan_headroom(a_snapshot(claims=(claim,)), a_headroom({"units": 7, **UNIT})) == Plan()
    assert machines(plan_headroom(a_snapshot(claims=(claim,)), a_headroom({"units": 8, **UNIT}))) == 1


def test_once_ec2_said_which_machine_it_is_that_ones_room_counts() -> None:
    overrides = tuple(
        Override(instance_type=t, subnet_id="subnet-a1", zone="us-east-1a", price=0.1)
        for t in ("m6i.large", "m6i.xlarge")
    )
    claim = a_claim(overrides=overrides, answered=True, instance_ids=("i-0001",))
    world = a_snapshot(claims=(claim,), instances=(an_instance(1, type="m6i.xlarge", state="pending"),))

    assert plan_headroom(world, a_headroom({"units": 14, **UNIT})) == Plan()


def test_queued_work_takes_its_room_before_headroom_is_counted() -> None:
    job = a_job(queued=4, groups=(a_task_group(ask=Resources(cpu_mhz=1000, memory_mib=100)),))
    world = with_free(mhz(5), jobs=(job,), evaluations=(a_blocked(job),))

    assert plan_headroom(with_free(mhz(5)), a_headroom({"units": 2, **UNIT})) == Plan()
    assert machines(plan_headroom(world, a_headroom({"units": 2, **UNIT}))) == 1


def test_several_unit_shapes_share_the_room_and_none_of_it_is_counted_twice() -> None:
    big, small = {"units": 2, "cpuMHz": 2000, "memoryMiB": 2048}, {"units": 2, **UNIT}

    assert plan_headroom(with_free(mhz(6)), a_headroom([small, big])) == Plan()
    short = plan_headroom(with_free(mhz(5)), a_headroom([small, big]))
    assert machines(short) == 1
    assert [a.reason for a in short.actions if isinstance(a, Launch)] == [
        "headroom is short of 1 of 2 units of 1,000 MHz + 512 MiB"
    ]


def test_large_units_get_their_room_first() -> None:
    big, small = {"units": 1, "cpuMHz": 4000, "memoryMiB": 4096}, {"units": 4, **UNIT}
    plan = plan_headroom(with_free(mhz(4)), a_headroom([small, big]))

    assert [a.reason for a in plan.actions if isinstance(a, Launch)] == [
        "headroom is short of 4 of 4 units of 1,000 MHz + 512 MiB"
    ]


def test_each_pool_has_headroom_of_its_own() -> None:
    pools = [a_pool(headroom={"units": 1, **UNIT}), a_pool(name="batch", headroom={"units": 1, **UNIT})]
    plan = plan_headroom(with_free(mhz(10)), a_group(pools=pools))

    assert [a.pool for a in plan.actions if isinstance(a, Launch)] == ["batch"]


def test_no_units_no_machines() -> None:
    assert plan_headroom(a_snapshot(), a_headroom({"units": 0, **UNIT})) == Plan()
    assert plan_headroom(a_snapshot(), a_headroom([])) == Plan()


def test_a_pinned_pool_gets_no_headroom_and_says_so() -> None:
    plan = plan_headroom(a_snapshot(), a_headroom(TEN, size={"min": 0, "max": 9, "desired": 1}))

    assert plan.actions == ()
    assert [(h.subject, h.reason) for h in plan.holds] == [("pool/general", Reason.AT_MAXIMUM)]
    assert "10 headroom units of 1,000 MHz + 512 MiB are missing" in plan.holds[0].message


def test_headroom_that_nothing_for_sale_can_hold_is_said() -> None:
    out = tuple(
        Refused(
            instance_type=t,
            zone=f"us-east-1{z}",
            market=Market.ON_DEMAND,
            why="capacity",
            until=NOON + timedelta(minutes=3),
        )
        for t in ("m6i.large", "m6i.xlarge")
        for z in "abc"
    )
    refused = plan_headroom(a_snapshot(refused=out), a_headroom({"units": 1, **UNIT}))
    too_big = plan_headroom(a_snapshot(), a_headroom({"units": 1, "cpuMHz": 99_000}))

    assert [h.reason for h in refused.holds] == [Reason.NO_OFFERING]
    assert [h.reason for h in too_big.holds] == [Reason.UNSATISFIABLE]
    assert refused.actions == too_big.actions == ()


def test_an_unanswered_source_is_not_an_empty_cluster() -> None:
    plan = plan_headroom(a_snapshot(unanswered={Source.NOMAD: "timeout"}), a_headroom(TEN))

    assert plan == Plan.held(
        "pools", Reason.SOURCE_UNANSWERED, "no answer from nomad: timeout: nothing is bought", passing=True
    )


def test_a_slow_boot_launches_nothing_more_and_its_end_leaves_nothing_to_do() -> None:
    group = a_headroom(TEN, registration={"timeout": "1h"})
    plan = plan_headroom(a_snapshot(), group)
    world = launched(plan, a_snapshot())
    assert machines(plan) > 0
    for _ in range(100):
        world = replace(world, observed_at=world.observed_at + timedelta(seconds=10))
        assert plan_headroom(world, group).actions == ()
    assert plan_headroom(settled(plan, a_snapshot(), group), group) == Plan()
