"""Wants, room and offers in; placements, machines and what is missing out, with nothing lost and nothing overfull."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from reconciler.packing import distinct
from reconciler.packing.feasible import blocker
from reconciler.packing.pack import Packed, pack
from reconciler.packing.room import less, shortage
from reconciler.packing.serve import fill, serve
from reconciler.packing.solver import Budget, Packing, Problem, faults, solve
from reconciler.packing.survey import Survey, survey
from reconciler.packing.wants import Want, demand
from schemas.document import ClusterGroup
from schemas.world import Content, DeviceAsk, DeviceGroup, Job, Resources, Snapshot
from support.builders import (
    a_blocked,
    a_claim,
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

FULL = Budget()
ZONE = "${attr.platform.aws.placement.availability-zone}"


def ground(*jobs: Job, pools: list[dict[str, Any]] | None = None, **world: Any) -> tuple[Survey, tuple[Want, ...]]:
    snapshot = a_snapshot(jobs=jobs, evaluations=tuple(a_blocked(j) for j in jobs if j.queued), **world)
    return survey(snapshot, a_group(pools=pools if pools is not None else [a_pool()])), demand(snapshot).wants


def served(*jobs: Job, pools: list[dict[str, Any]] | None = None, **world: Any) -> Packed:
    return serve(*ground(*jobs, pools=pools, **world))


def placed(packed: Packed) -> dict[str, int]:
    """Copies placed, by room."""
    counted: Counter[str] = Counter()
    for placement in packed.placed:
        counted[placement.room.key] += placement.copies
    return dict(counted)


# --- dimensions and tokens -------------------------------------------------------------------------------------------


def test_a_node_takes_as_many_allocations_as_it_may() -> None:
    packed = served(a_job(queued=5), pools=[], nodes=(a_node(max_allocs=3),))

    assert placed(packed) == {"node-0001": 3}
    assert [m.copies for m in packed.missing] == [2]


def test_dynamic_ports_run_out() -> None:
    job = a_job(queued=5, groups=(a_task_group(dynamic_ports=4),))
    packed = served(job, pools=[], nodes=(a_node(dynamic_ports=(20000, 20009)),))

    assert placed(packed) == {"node-0001": 2}


def test_devices_run_out() -> None:
    gpus = (DeviceGroup(vendor="nvidia", type="gpu", name="T4", count=3),)
    node = a_node(devices=gpus)
    job = a_job(queued=5, groups=(a_task_group(devices=(DeviceAsk(name="nvidia/gpu"),)),))
    used = an_allocation(node, job_id="other", devices={"nvidia/gpu/T4": 1})

    assert placed(served(job, pools=[], nodes=(node,), allocations=(used,))) == {"node-0001": 2}


def test_reserved_cores_take_ids_and_mhz_on_nodes_of_any_clock() -> None:
    slow = a_node(1, total=Resources(cpu_mhz=4000, memory_mib=8000, disk_mib=9000, cores=4))
    fast = a_node(2, total=Resources(cpu_mhz=12000, memory_mib=8000, disk_mib=9000, cores=4))
    job = a_job(queued=9, groups=(a_task_group(ask=Resources(cores=2, memory_mib=1)),))

    assert sum(placed(served(job, pools=[], nodes=(fast,))).values()) == 2
    assert sum(placed(served(job, pools=[], nodes=(slow, fast))).values()) >= 2


def test_static_ports_that_are_taken_or_reserved_are_not_free() -> None:
    one, two, three = a_node(1), a_node(2, reserved_ports=frozenset({80})), a_node(3)
    job = a_job(queued=3, groups=(a_task_group(static_ports=frozenset({80})),))
    used = an_allocation(three, job_id="other", ports=frozenset({80}))

    assert placed(served(job, pools=[], nodes=(one, two, three), allocations=(used,))) == {"node-0001": 1}


@pytest.mark.parametrize(("scope", "free"), [("job", {"node-0003": 1}), ("group", {"node-0002": 1, "node-0003": 1})])
def test_distinct_hosts_counts_who_is_there_already(scope: str, free: dict[str, int]) -> None:
    rule = (a_constraint("", "distinct_hosts", "", scope),)
    one, two, three = a_node(1), a_node(2), a_node(3)
    job = a_job(queued=3, groups=(a_task_group("web", constraints=rule), a_task_group("db", constraints=rule)))
    there = (an_allocation(one), an_allocation(two, group="db"))

    assert placed(served(job, pools=[], nodes=(one, two, three), allocations=there)) == free


def test_distinct_hosts_that_says_no_is_off() -> None:
    rule = (a_constraint("", "distinct_hosts", "false"),)

    assert placed(served(a_job(queued=3, groups=(a_task_group(constraints=rule),)), pools=[], nodes=(a_node(),))) == {
        "node-0001": 3
    }


def test_a_property_that_is_each_nodes_own_limits_copies_a_node() -> None:
    rule = (a_constraint("${node.unique.id}", "distinct_property", "2"),)
    node = a_node()
    job = a_job(queued=5, groups=(a_task_group(constraints=rule),))

    assert placed(served(job, pools=[], nodes=(node, a_node(2)), allocations=(an_allocation(node),))) == {
        "node-0001": 1,
        "node-0002": 2,
    }


def test_a_property_counts_copies_that_run_and_not_those_that_are_to_stop() -> None:
    rule = (a_constraint("${meta.rack}", "distinct_property", "1"),)
    nodes = tuple(a_node(n, meta={"rack": f"r{n}"}) for n in (1, 2, 3))
    stopping = an_allocation(nodes[1], desired="stop")
    world: dict[str, Any] = {"nodes": nodes, "allocations": (an_allocation(nodes[0]), stopping)}
    packed = served(a_job(queued=3, groups=(a_task_group(constraints=rule),)), pools=[], **world)

    assert placed(packed) == {"node-0002": 1, "node-0003": 1}
    assert packed.missing[0].blocker is not None
    assert "r1, r2, r3 can take no more copies, 1 are left" in packed.missing[0].blocker.text


def test_a_property_of_the_job_is_shared_by_its_groups_and_one_of_a_group_is_not() -> None:
    nodes = tuple(a_node(n, meta={"rack": f"r{n}"}) for n in (1, 2))
    for scope, copies in (("job", 2), ("group", 4)):
        rule = (a_constraint("${meta.rack}", "distinct_property", "", scope),)
        groups = (a_task_group("a", constraints=rule), a_task_group("b", constraints=rule))
        job = replace(a_job(queued=2, groups=groups), queued={"a": 2, "b": 2})
        assert sum(placed(served(job, pools=[], nodes=nodes)).values()) == copies


def test_a_node_without_the_property_is_no_place_and_a_senseless_limit_allows_none() -> None:
    rule = (a_constraint("${meta.rack}", "distinct_property", ""),)
    odd = (a_constraint("${node.datacenter}", "distinct_property", "many"),)

    assert placed(served(a_job(queued=1, groups=(a_task_group(constraints=rule),)), pools=[], nodes=(a_node(),))) == {}
    assert placed(served(a_job(queued=1, groups=(a_task_group(constraints=odd),)), pools=[], nodes=(a_node(),))) == {}


def test_copies_on_their_way_count_towards_the_property() -> None:
    rule = (a_constraint(ZONE, "distinct_property", ""),)
    claims = tuple(
        replace(
            a_claim(n, contents=(Content(job="web", group="web", copies=1),)),
            overrides=(replace(a_claim().overrides[0], zone=f"us-east-1{z}"),),
        )
        for n, z in enumerate("abc", 1)
    )
    packed = served(a_job(queued=4, groups=(a_task_group(constraints=rule),)), claims=claims)

    assert (packed.machines, [m.copies for m in packed.missing]) == ((), [1])


# --- what was planned stays planned ----------------------------------------------------------------------------------


def test_a_machine_has_what_it_was_bought_for_first() -> None:
    small = a_job("small", queued=10, groups=(a_task_group("s", ask=Resources(cpu_mhz=500, memory_mib=1)),))
    big = a_job("big", queued=1, priority=1, groups=(a_task_group("b", ask=Resources(cpu_mhz=6500, memory_mib=1)),))
    claim = a_claim(1, contents=(Content(job="big", group="b", copies=1), Content(job="gone", group="g", copies=1)))
    packed = served(small, big, claims=(claim,))

    assert {(p.want.job.id, p.copies) for p in packed.placed} == {("big", 1), ("small", 1)}


def test_what_is_there_already_of_a_content_is_not_planned_again() -> None:
    node = a_node()
    claim = a_claim(1, contents=(Content(job="web", group="web", copies=2),))
    world: dict[str, Any] = {"nodes": (node,), "instances": (an_instance(),), "claims": (claim,)}
    packed = served(a_job(queued=1), pools=[], allocations=(an_allocation(node),), **world)

    assert [p.copies for p in packed.placed] == [1]


def test_a_content_that_no_longer_fits_is_left_to_the_packing() -> None:
    node = a_node()
    full = an_allocation(node, job_id="other", usage=Resources(cpu_mhz=5000))
    claim = a_claim(1, contents=(Content(job="web", group="web", copies=1),))
    packed = served(
        a_job(queued=1), pools=[], nodes=(node,), instances=(an_instance(),), claims=(claim,), allocations=(full,)
    )

    assert (packed.placed, [m.copies for m in packed.missing]) == ((), [1])


def test_filling_buys_nothing() -> None:
    survey_, wants = ground(a_job(queued=30), nodes=(a_node(),))
    packed = fill(survey_, wants)

    assert packed.machines == ()
    assert sum(p.copies for p in packed.placed) + sum(m.copies for m in packed.missing) == 30


# --- markets ---------------------------------------------------------------------------------------------------------


WHOLE = a_task_group(ask=Resources(cpu_mhz=6000, memory_mib=4000))


@pytest.mark.parametrize(
    ("capacity", "machines", "cost"),
    [
        ({"spotPercent": 0, "onDemandBase": 0}, 3, 3 * 0.096),
        ({"spotPercent": 100, "onDemandBase": 0}, 3, 3 * 0.0288),
        ({"spotPercent": 50, "onDemandBase": 0}, 4, 2 * 0.0288 + 2 * 0.096),
        ({"spotPercent": 80, "onDemandBase": 1}, 1, 0.096),
    ],
)
def test_where_all_machines_are_alike_the_bound_is_what_the_share_costs(
    capacity: dict[str, Any], machines: int, cost: float
) -> None:
    pool = a_pool(instances={"types": ["m6i.large"]}, capacity=capacity)
    packed = served(a_job(queued=machines, groups=(WHOLE,)), pools=[pool], spot_prices=SPOT)

    assert sum(m.count for m in packed.machines) == machines
    assert packed.bound == pytest.approx(cost, rel=1e-3)


def test_a_bound_in_mixed_markets_is_below_what_any_split_that_keeps_the_share_costs() -> None:
    pool = a_pool(instances={"types": ["m6i.large", "m6i.xlarge"]}, capacity={"spotPercent": 60, "onDemandBase": 1})
    packed = served(a_job(queued=9, groups=(WHOLE,)), pools=[pool], spot_prices=SPOT)
    least = min(
        large_od * 0.096 + x_od * 0.192 + large_spot * 0.0288 + x_spot * 0.0576
        for large_od in range(10)
        for x_od in range(6)
        for large_spot in range(10)
        for x_spot in range(6)
        if large_od + large_spot + 2 * (x_od + x_spot) >= 9
        if large_od + x_od >= 1 + -(-(large_od + x_od + large_spot + x_spot - 1) * 2 // 5)
    )

    assert packed.bound is not None
    assert 0.5 * least < packed.bound <= least + 1e-9


def test_solving_again_is_spared_where_the_market_is_one() -> None:
    asked: list[Problem] = []

    def counting(problem: Problem, *, budget: Budget = FULL) -> Packing:
        asked.append(problem)
        return solve(problem, budget=budget)

    survey_, wants = ground(a_job(queued=3))
    pack(survey_.snapshot, wants, (), [survey_.shelves["general"]], solve=counting)
    assert len(asked) == 1


# --- properties ------------------------------------------------------------------------------------------------------

some_worlds = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@some_worlds
@given(worlds(), documents())
def test_every_copy_is_placed_bought_for_or_missing(world: Snapshot, group: ClusterGroup) -> None:
    wants = demand(world).wants
    packed = serve(survey(world, group), wants)
    counted: Counter[str] = Counter()
    for placement in packed.placed:
        counted[placement.want.name] += placement.copies
    for machine in packed.machines:
        for want, copies in machine.load:
            counted[want.name] += copies * machine.count
    for lack in packed.missing:
        counted[lack.want.name] += lack.copies

    assert dict(counted) == {w.name: w.copies for w in wants}


@some_worlds
@given(worlds(), documents())
def test_no_room_is_overfull_and_no_rule_of_nomads_is_broken(world: Snapshot, group: ClusterGroup) -> None:
    packed = serve(survey(world, group), demand(world).wants)
    rooms = {p.room.key: p.room for p in packed.placed}
    loads = [(rooms[p.room.key].key, p.want, p.copies) for p in packed.placed]
    for number, machine in enumerate(packed.machines):
        for offer in machine.offers:
            key = f"{number} {offer.name} {offer.kind.name}"
            rooms[key] = offer.room
            loads += [(key, want, copies) for want, copies in machine.load]
    for key, want, copies in loads:
        assert blocker(want.job, want.group, rooms[key].candidate) is None
        for _ in range(copies):
            assert shortage(rooms[key], want.group) is None
            assert not distinct.taken(rooms[key], distinct.tokens(want))
            rooms[key] = less(rooms[key], want.job, want.group)


@some_worlds
@given(worlds(), documents())
def test_the_solver_is_asked_what_makes_sense_and_answers_without_fault(world: Snapshot, group: ClusterGroup) -> None:
    found: list[str] = []

    def checked(problem: Problem, *, budget: Budget = FULL) -> Packing:
        packing = solve(problem, budget=budget)
        found.extend(faults(problem, packing))
        return packing

    ground_ = survey(world, group)
    pack(world, demand(world).wants, ground_.rooms.rooms, list(ground_.shelves.values()), solve=checked)
    assert found == []
