"""All reconcilers together: one plan, each seeing what the earlier ones ask for; fixed points and caps."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.arbiter import arbitrate
from reconciler.packing.census import clients_by_pool, hourly_cost
from reconciler.packing.spare import units
from reconciler.packing.survey import survey
from reconciler.reconcilers import RECONCILERS, plan_all
from reconciler.reconcilers.demand import plan_demand
from schemas.document import ClusterGroup
from schemas.plan import Launch, Plan, Reason
from schemas.world import Resources, Snapshot
from support.applied import launched, settled
from support.builders import (
    a_blocked,
    a_constraint,
    a_group,
    a_job,
    a_node,
    a_pool,
    a_snapshot,
    a_task_group,
    an_allocation,
    an_instance,
)
from support.worlds import SPOT, documents, worlds

GOLDEN = Path(__file__).parent.parent / "golden" / "plans"
some_worlds = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def launches(plan: Plan) -> list[Launch]:
    return [a for a in plan.actions if isinstance(a, Launch)]


def growth(snapshot: Snapshot, group: ClusterGroup) -> Plan:
    """What the pools' reconcilers plan; servers are not part of these worlds."""
    plan = plan_all(snapshot, group)
    return Plan(actions=plan.actions, holds=tuple(h for h in plan.holds if h.subject != "servers"), bound=plan.bound)


def test_the_list_names_the_reconcilers_in_the_order_in_which_they_are_asked() -> None:
    assert [name for name, _ in RECONCILERS] == [
        "servers",
        "node-pools",
        "subnets",
        "demand",
        "headroom",
        "size",
        "trouble",
        "garbage",
        "templates",
    ]


def test_headroom_does_not_buy_what_the_machines_of_demand_leave_free() -> None:
    job = a_job(queued=1, groups=(a_task_group(ask=Resources(cpu_mhz=1000, memory_mib=512)),))
    world = a_snapshot(jobs=(job,), evaluations=(a_blocked(job),))
    group = a_group(pools=[a_pool(headroom={"units": 4, "cpuMHz": 1000, "memoryMiB": 512})])

    assert [(a.cause, a.count) for a in launches(growth(world, group))] == [(Reason.DEMAND, 1)]


def test_the_minimum_counts_what_demand_and_headroom_buy() -> None:
    job = a_job(queued=1)
    world = a_snapshot(jobs=(job,), evaluations=(a_blocked(job),))
    group = a_group(pools=[a_pool(size={"min": 3, "max": 9}, headroom={"units": 12, "cpuMHz": 1000})])

    plan = growth(world, group)
    assert sum(a.count for a in launches(plan)) == 3
    assert [a.claim for a in launches(plan)] == [f"general-{n}" for n in range(1, len(launches(plan)) + 1)]


def test_one_thing_that_holds_everything_is_said_once() -> None:
    holds = growth(a_snapshot(formed=False), a_group(pools=[a_pool()])).holds

    assert [h.reason for h in holds] == [Reason.SERVERS_FORMING]


def test_a_plan_in_a_quiet_world_is_empty() -> None:
    world = a_snapshot(nodes=(a_node(),), instances=(an_instance(),))

    assert growth(world, a_group(pools=[a_pool(size={"min": 1, "max": 3})])) == Plan()


@some_worlds
@given(worlds(), documents())
def test_launching_the_plan_leaves_nothing_more_to_launch(world: Snapshot, group: ClusterGroup) -> None:
    """Machines that are on their way count, whoever of the reconcilers asked for them."""
    plan = growth(world, group)

    assert growth(launched(plan, world), group).actions == ()


@some_worlds
@given(worlds(), documents(), st.integers(0, 5))
def test_planning_again_after_the_plan_came_true_changes_nothing(
    world: Snapshot, group: ClusterGroup, pick: int
) -> None:
    """It converges in one step, whichever of the overrides EC2 took."""
    world = replace(world, claims=())
    plan = growth(world, group)
    after = settled(plan, world, group, pick=pick)

    again = growth(after, group)
    assert again.actions == (), again


@some_worlds
@given(worlds(), documents())
def test_caps_are_never_passed(world: Snapshot, group: ClusterGroup) -> None:
    after = launched(arbitrate(world, group, plan_all(world, group)), world)
    before = clients_by_pool(world)

    for pool in group.spec.pools:
        assert clients_by_pool(after).get(pool.name, 0) <= max(before.get(pool.name, 0), pool.size.max)
    limits = group.spec.limits
    assert sum(clients_by_pool(after).values()) <= max(sum(before.values()), limits.max_nodes)
    assert hourly_cost(after) <= max(hourly_cost(world), limits.max_hourly_cost) + 1e-6


@some_worlds
@given(worlds(), documents(), st.randoms(use_true_random=False))
def test_the_same_world_in_another_order_gives_the_same_bytes(
    world: Snapshot, group: ClusterGroup, chance: random.Random
) -> None:
    def shuffled(some: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(chance.sample(some, len(some)))

    other = replace(
        world,
        jobs=shuffled(world.jobs),
        nodes=shuffled(world.nodes),
        instances=shuffled(world.instances),
        allocations=shuffled(world.allocations),
        evaluations=shuffled(world.evaluations),
        claims=shuffled(world.claims),
    )
    assert growth(other, group) == growth(world, group)
    assert growth(other, group).digest == growth(world, group).digest


@some_worlds
@given(worlds(), documents())
def test_every_machine_holds_what_it_is_bought_for_whichever_override_ec2_takes(
    world: Snapshot, group: ClusterGroup
) -> None:
    ground = survey(world, group)
    asks = {(j.name, g.name): g.ask for j in world.jobs for g in j.groups}
    asks |= {(u.job.name, u.group.name): u.group.ask for p in group.spec.pools for u in units(p, world)}
    for launch in launches(plan_demand(world, group)):
        promises = ground.promises[launch.pool]
        for override in launch.overrides:
            room = promises.room(world.catalogue[override.instance_type], override.zone, launch.market)
            asked = [asks[c.job, c.group] for c in launch.contents for _ in range(c.copies)]
            total = sum(asked, start=Resources())
            assert total.cpu_mhz + total.cores * room.clock_mhz <= room.free.cpu_mhz
            assert total.memory_mib <= room.free.memory_mib
            assert total.disk_mib <= room.free.disk_mib
            assert override.price <= 1.15 * launch.overrides[0].price


@some_worlds
@given(worlds(), documents())
def test_every_waiting_copy_is_bought_for_on_its_way_or_held(world: Snapshot, group: ClusterGroup) -> None:
    plan = plan_demand(world, group)
    said = {h.subject for h in plan.holds} | {f"job/{c.job}" for a in launches(plan) for c in a.contents}

    for job in world.jobs:
        if job.type in {"service", "batch"} and any(job.queued.values()):
            assert f"job/{job.name}" in said


# --- golden plans ----------------------------------------------------------------------------------------------------


def written(plan: Plan) -> str:
    """A plan as a person reads it."""
    lines = []
    for action in plan.actions:
        if isinstance(action, Launch):
            first = action.overrides[0]
            content = ", ".join(f"{c.copies} {c.job}.{c.group}" for c in action.contents) or "nothing yet"
            others = [f"{o.instance_type} {o.zone} {o.price:.4f}" for o in action.overrides[1:]]
            lines += [
                (
                    f"launch {action.claim}: {action.count} x {first.instance_type} {action.market} in {first.zone}"
                    f" at {first.price:.4f}"
                ),
                f"  holds {content}",
                *([f"  or {', '.join(others)}"] if others else []),
                f"  because {action.cause}: {action.reason}",
            ]
        else:
            lines.append(f"{type(action).__name__} {action.subject}: {action.reason}")
    lines += [f"hold {h.subject} {h.reason}{' (passing)' if h.passing else ''}: {h.message}" for h in plan.holds]
    return "\n".join(lines) + "\n"


def a_mixed_world() -> Snapshot:
    """Services, batch, a port, a zone rule, system jobs, and things that nothing can satisfy."""
    zone = a_constraint("${attr.platform.aws.placement.availability-zone}", "distinct_property", "")
    arm = a_constraint("${attr.cpu.arch}", "=", "arm64")
    jobs = (
        a_job("api", queued=12, priority=70, groups=(a_task_group("api", ask=Resources(cpu_mhz=800, memory_mib=900)),)),
        a_job(
            "etl", queued=6, type="batch", groups=(a_task_group("etl", ask=Resources(cpu_mhz=2500, memory_mib=6000)),)
        ),
        a_job("edge", queued=2, groups=(a_task_group("edge", static_ports=frozenset({443})),)),
        a_job("raft", queued=3, groups=(a_task_group("raft", constraints=(zone,)),)),
        a_job("arm", queued=1, groups=(a_task_group("arm", constraints=(arm,)),)),
        a_job("huge", queued=1, groups=(a_task_group("huge", ask=Resources(memory_mib=900_000)),)),
        a_job("logs", type="system", groups=(a_task_group("logs", ask=Resources(cpu_mhz=100, memory_mib=128)),)),
    )
    node = a_node()
    return a_snapshot(
        jobs=jobs,
        evaluations=tuple(a_blocked(j) for j in jobs if j.queued),
        nodes=(node,),
        instances=(an_instance(),),
        allocations=(an_allocation(node, job_id="old", usage=Resources(cpu_mhz=3000, memory_mib=4000)),),
        spot_prices=SPOT,
        ordinals={"general": 1},
    )


@pytest.mark.parametrize(
    ("name", "pools"),
    [
        ("on-demand", [a_pool(size={"min": 1, "max": 50})]),
        (
            "mixed-markets",
            [
                a_pool(
                    instances={
                        "types": ["m6i.large", "m6i.xlarge", "c6i.xlarge", "m6g.large"],
                        "require": {"arch": ["x86_64", "arm64"]},
                    },
                    capacity={"spotPercent": 80, "onDemandBase": 1},
                    headroom={"units": 10, "cpuMHz": 1000, "memoryMiB": 512},
                ),
                a_pool(name="spare", size={"min": 1, "max": 3}),
            ],
        ),
    ],
)
def test_the_plan_for_a_mixed_world(
    golden: Callable[[Path, str], None], name: str, pools: list[dict[str, object]]
) -> None:
    golden(GOLDEN / f"{name}.txt", written(growth(a_mixed_world(), a_group(pools=pools))))
