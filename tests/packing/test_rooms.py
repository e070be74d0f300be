"""Room that is there and room on its way: nothing counted twice, nothing counted that is going."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from reconciler.packing.promise import Promises
from reconciler.packing.room import Room, less, room_of, shortage
from reconciler.packing.rooms import Rooms, rooms
from schemas.world import Content, DeviceAsk, DeviceGroup, Market, Override, Resources, Snapshot
from support.builders import (
    NOON,
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


def found(snapshot: Snapshot, **pool: Any) -> Rooms:
    group = a_group(pools=[a_pool(**pool)])
    return rooms(snapshot, {p.name: Promises(snapshot=snapshot, group=group, pool=p) for p in group.spec.pools})


def test_a_node_has_what_reservations_and_live_work_leave() -> None:
    node = a_node(
        total=Resources(cpu_mhz=5000, memory_mib=8000, disk_mib=9000, cores=4),
        reserved=Resources(cpu_mhz=100, memory_mib=200, disk_mib=300, cores=1),
        reserved_ports=frozenset({22, 20001}),
        dynamic_ports=(20000, 20009),
        max_allocs=5,
        devices=(DeviceGroup(vendor="nvidia", type="gpu", name="T4", count=4),),
    )
    live = an_allocation(
        node,
        1,
        usage=Resources(cpu_mhz=900, memory_mib=800, disk_mib=700, cores=1),
        ports=frozenset({80, 20002}),
        devices={"nvidia/gpu/T4": 3},
    )
    stopping = an_allocation(node, 2, desired="stop", usage=Resources(memory_mib=1000))
    ended = an_allocation(node, 3, client="complete", usage=Resources(memory_mib=6000))
    room = room_of(node, [live, stopping, ended])

    assert room.free == Resources(cpu_mhz=4000, memory_mib=6000, disk_mib=8000, cores=2)
    assert room.ports == {22, 80, 20001, 20002}
    assert (room.dynamic_ports, room.allocations, room.devices) == (8, 3, {"gpu": 1})
    assert room.tenants == {("default", "web", "web"): 2}


def test_an_overfull_node_has_no_room_rather_than_less() -> None:
    node = a_node()

    assert room_of(node, [an_allocation(node, usage=Resources(cpu_mhz=9999))]).free.cpu_mhz == 0


def test_several_kinds_of_a_device_count_as_the_largest() -> None:
    kinds = tuple(DeviceGroup(vendor="v", type="gpu", name=n, count=c) for n, c in (("a", 1), ("b", 3), ("c", 2)))

    assert room_of(a_node(devices=kinds), []).devices == {"gpu": 3}


def a_room(**given: Any) -> Room:
    return room_of(a_node(**given), [])


@pytest.mark.parametrize(
    ("group", "text"),
    [
        ({"ask": Resources(cpu_mhz=5001)}, "cpu: needs 5,001 MHz, 5,000 free"),
        ({"ask": Resources(cores=2, cpu_mhz=1)}, "cpu: needs 5,001 MHz, 5,000 free"),
        ({"ask": Resources(cores=3)}, "cores: needs 3, 2 free"),
        ({"ask": Resources(memory_mib=8001)}, "memory: needs 8,001 MiB, 8,000 free"),
        ({"ask": Resources(disk_mib=20001)}, "disk: needs 20,001 MiB, 20,000 free"),
        ({"static_ports": frozenset({22})}, "port 22 is taken"),
        ({"dynamic_ports": 12002}, "dynamic ports: needs 12002, 12001 free"),
        ({"devices": (DeviceAsk(name="nvidia/gpu", count=2),)}, "devices: needs 2 nvidia/gpu, 1 free"),
        ({}, None),
    ],
)
def test_what_is_short_is_said_with_its_figures(group: dict[str, Any], text: str | None) -> None:
    gpu = (DeviceGroup(vendor="nvidia", type="gpu", name="T4", count=1),)

    assert shortage(a_room(reserved_ports=frozenset({22}), devices=gpu), a_task_group(**group)) == text


def test_copies_taken_out_of_a_room_are_gone_in_every_dimension() -> None:
    gpu = (DeviceGroup(vendor="nvidia", type="gpu", name="T4", count=4),)
    group = a_task_group(
        ask=Resources(cpu_mhz=100, memory_mib=200, disk_mib=300, cores=1),
        static_ports=frozenset({80}),
        dynamic_ports=2,
        devices=(DeviceAsk(name="gpu"),),
    )
    left = less(a_room(max_allocs=3, devices=gpu), a_job(), group, 2)

    assert left.free == Resources(cpu_mhz=5000 - 2 * 2600, memory_mib=7600, disk_mib=19400, cores=0) + Resources(
        cpu_mhz=200
    )
    assert left.ports == {80}
    assert (left.dynamic_ports, left.allocations, left.devices) == (11997, 1, {"gpu": 2})
    assert left.tenants == {("default", "web", "web"): 2}
    assert (
        shortage(less(a_room(max_allocs=1), a_job(), group), a_task_group()) == "no more allocations are allowed on it"
    )


# --- which machines count --------------------------------------------------------------------------------------------


def test_ready_nodes_come_first_and_a_booting_node_counts_as_on_its_way() -> None:
    world = a_snapshot(nodes=(a_node(1, status="initializing"), a_node(2)))

    assert [(r.key, r.ready) for r in found(world).rooms] == [("node-0002", True), ("node-0001", False)]


@pytest.mark.parametrize("state", ["shutting-down", "terminated", "stopping", "stopped"])
def test_whether_a_machine_exists_is_ec2s_word(state: str) -> None:
    assert found(a_snapshot(nodes=(a_node(),), instances=(an_instance(state=state),))).rooms == ()


def test_room_is_kept_for_system_jobs_that_have_not_reached_a_new_node() -> None:
    logs = a_job("logs", type="system", groups=(a_task_group("l", ask=Resources(cpu_mhz=1000, memory_mib=1)),))
    other = a_job("x", type="system", node_pool="other", groups=(a_task_group("l", ask=Resources(cpu_mhz=77)),))
    stopped = a_job("y", type="system", stopped=True)
    jobs = (logs, other, stopped, a_job())
    new, old = a_node(registered_at=NOON - timedelta(seconds=29)), a_node(registered_at=NOON - timedelta(seconds=30))
    there = an_allocation(new, job_id="logs", group="l", job_type="system", usage=Resources(cpu_mhz=1000))

    assert found(a_snapshot(nodes=(new,), jobs=jobs)).rooms[0].free.cpu_mhz == 4000
    assert found(a_snapshot(nodes=(old,), jobs=jobs)).rooms[0].free.cpu_mhz == 5000
    assert found(a_snapshot(nodes=(new,), jobs=jobs, allocations=(there,))).rooms[0].free.cpu_mhz == 4000


def test_a_claim_counts_once_for_each_machine_that_has_no_node_yet() -> None:
    claim = a_claim(1, count=3)
    seen = (an_instance(1), an_instance(2, tags=an_instance(1).tags, state="pending"))
    assert [r.key for r in found(a_snapshot(claims=(claim,))).rooms] == ["general-1#0", "general-1#1", "general-1#2"]
    assert len(found(a_snapshot(claims=(claim,), instances=seen)).rooms) == 3
    world = a_snapshot(claims=(claim,), instances=seen, nodes=(a_node(1),))
    assert [r.key for r in found(world).rooms] == ["node-0001", "general-1#0", "general-1#1"]


def test_machines_of_an_answered_claim_that_ended_are_no_room() -> None:
    claim = a_claim(1, count=2, answered=True, instance_ids=("i-0001", "i-0002"))
    world = a_snapshot(claims=(claim,), instances=(an_instance(1, state="terminated"),))

    assert [r.key for r in found(world).rooms] == ["general-1#0"]


def test_what_a_machine_may_become_is_the_least_of_all_of_it() -> None:
    overrides = tuple(
        Override(instance_type=t, subnet_id="s", zone=z, price=0.1)
        for t, z in (("m6i.large", "us-east-1a"), ("c6i.xlarge", "us-east-1b"), ("no-such.type", "us-east-1a"))
    )
    (room,) = found(a_snapshot(claims=(a_claim(overrides=overrides),))).rooms

    assert room.free == Resources(cpu_mhz=7000, memory_mib=7577, disk_mib=20480, cores=2)
    assert room.candidate.resolve("${attr.cpu.arch}") == "amd64"
    assert room.candidate.resolve("${attr.platform.aws.placement.availability-zone}") is None
    assert room.candidate.resolve("${attr.platform.aws.instance-type}") is None


def test_a_machine_of_which_nothing_is_known_is_on_its_way_and_no_room() -> None:
    nothing = (Override(instance_type="no-such.type", subnet_id="s", zone="us-east-1a", price=0.1),)
    (room,) = found(a_snapshot(claims=(a_claim(overrides=nothing),))).rooms

    assert room.free == Resources()


def test_what_a_machine_was_bought_for_goes_with_it_until_its_claim_is_forgotten() -> None:
    claim = a_claim(1, contents=(Content(job="web", group="web", copies=2),))
    coming = found(a_snapshot(claims=(claim,))).rooms[0]
    there = found(a_snapshot(claims=(claim,), nodes=(a_node(),), instances=(an_instance(),))).rooms[0]

    assert coming.contents == there.contents == claim.contents


def test_claims_of_pools_that_are_gone_are_nobodys() -> None:
    assert found(a_snapshot(claims=(a_claim(pool="gone", market=Market.SPOT),))).rooms == ()


def test_overdue_claims_are_no_room_and_three_of_them_are_a_failing_pool() -> None:
    late = [a_claim(n, asked_at=NOON - timedelta(minutes=11)) for n in (1, 2, 3)]
    two, three = found(a_snapshot(claims=tuple(late[:2]))), found(a_snapshot(claims=tuple(late)))

    assert two.rooms == three.rooms == ()
    assert (two.failing("general"), three.failing("general"), three.failing("other")) == (False, True, False)
    assert three.overdue == {"general": ("general-1", "general-2", "general-3")}


def test_a_late_claim_whose_machines_are_nodes_is_not_overdue() -> None:
    late = a_claim(1, asked_at=NOON - timedelta(minutes=11))
    world = a_snapshot(claims=(late,), instances=(an_instance(),), nodes=(a_node(),))

    assert found(world).overdue == {}
