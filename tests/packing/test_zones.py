"""Replicas that are to be spread over zones get machines there, unless a zone is much dearer or room is there."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from reconciler.packing.zones import ZONE
from reconciler.reconcilers.demand import plan_demand
from schemas.plan import Launch, Plan
from schemas.world import Job, Resources, Snapshot, SpreadWish
from support.builders import (
    a_blocked,
    a_group,
    a_job,
    a_node,
    a_pool,
    a_snapshot,
    a_task_group,
    an_allocation,
    an_instance,
)
from support.stage import Stage, a_job_of, a_scenario

TYPES = {"instances": {"types": ["m6i.large"]}}
LARGE = Resources(cpu_mhz=6000, memory_mib=4000)  # one a machine
SMALL = Resources(cpu_mhz=500, memory_mib=256)


def spread(queued: int, *targets: tuple[str, int], ask: Resources = LARGE) -> Job:
    wish = SpreadWish(attribute=ZONE, targets=targets)
    return a_job(queued=queued, groups=(a_task_group(ask=ask, spreads=(wish,), count=queued),))


def waiting(*jobs: Job, **given: Any) -> Snapshot:
    return a_snapshot(jobs=jobs, evaluations=tuple(a_blocked(j) for j in jobs), **given)


def copies(plan: Plan) -> dict[str, int]:
    """Count the copies by the zones that their machines may come up in."""
    found: Counter[str] = Counter()
    for launch in plan.actions:
        if isinstance(launch, Launch):
            zones = {o.zone[-1] for o in launch.overrides}
            found["|".join(sorted(zones))] += launch.count * sum(c.copies for c in launch.contents)
    return dict(found)


def spot(**prices: float) -> dict[tuple[str, str], float]:
    return {("m6i.large", f"us-east-1{zone}"): price for zone, price in prices.items()}


SPOT = {**TYPES, "capacity": {"spotPercent": 100, "onDemandBase": 0}}


def test_copies_of_a_spread_job_are_bought_for_in_every_zone() -> None:
    assert copies(plan_demand(waiting(spread(6)), a_group(pools=[a_pool(**TYPES)]))) == {"a": 2, "b": 2, "c": 2}


def test_small_copies_that_would_fit_on_one_machine_are_spread_all_the_same() -> None:
    plan = plan_demand(waiting(spread(3, ask=SMALL)), a_group(pools=[a_pool(**TYPES)]))

    assert copies(plan) == {"a": 1, "b": 1, "c": 1}


@pytest.mark.parametrize(
    ("prices", "found"),
    [
        ({"a": 0.03, "b": 0.036, "c": 0.04}, {"a": 2, "b": 2, "c": 2}),
        ({"a": 0.03, "b": 0.036, "c": 0.09}, {"a": 3, "b": 3}),
        ({"a": 0.03}, {"a": 6}),
    ],
)
def test_a_zone_that_is_much_dearer_is_left_out(prices: dict[str, float], found: dict[str, int]) -> None:
    capacity = {"spotPercent": 100, "onDemandBase": 0, "fallbackToOnDemand": False}
    group = a_group(pools=[a_pool(**{**TYPES, "capacity": capacity})])

    assert copies(plan_demand(waiting(spread(6), spot_prices=spot(**prices)), group)) == found


def test_copies_that_run_already_count() -> None:
    zone = "platform.aws.placement.availability-zone"
    node = a_node(
        attributes={**a_node().attributes, zone: "us-east-1a"}, total=Resources(cpu_mhz=6400, memory_mib=7000)
    )
    there = tuple(an_allocation(node, n, usage=Resources(cpu_mhz=3200)) for n in (1, 2))
    world = waiting(spread(4), instances=(an_instance(),), nodes=(node,), allocations=there)

    assert copies(plan_demand(world, a_group(pools=[a_pool(**TYPES)]))) == {"b": 2, "c": 2}


def test_targets_say_how_much_goes_where() -> None:
    job = spread(10, ("us-east-1a", 60), ("us-east-1b", 40))

    assert copies(plan_demand(waiting(job), a_group(pools=[a_pool(**TYPES)]))) == {"a": 6, "b": 4}


def test_room_that_is_there_is_used_in_whichever_zone_it_is() -> None:
    zone = "platform.aws.placement.availability-zone"
    node = a_node(attributes={**a_node().attributes, zone: "us-east-1a"})
    world = waiting(spread(3, ask=SMALL), instances=(an_instance(),), nodes=(node,))

    assert copies(plan_demand(world, a_group(pools=[a_pool(**TYPES)]))) == {}


def test_in_the_sandbox_replicas_and_nodes_end_up_over_all_zones() -> None:
    """Spot is cheapest in one zone, and still: Nomad has a place for two of six copies in each."""
    job = a_job_of("web", count=6, cpu=5000, memory=3000)
    job["Spreads"] = [{"Attribute": ZONE, "Weight": 100}]
    stage = Stage.set(a_scenario(job))
    assert stage.play(a_group(pools=[a_pool(**SPOT)]), seconds=900)

    last = stage.ticks[-1].snapshot
    zone_of = {n.id: n.attributes["platform.aws.placement.availability-zone"] for n in last.nodes}
    assert Counter(zone_of[a.node_id] for a in last.allocations) == {f"us-east-1{z}": 2 for z in "abc"}
