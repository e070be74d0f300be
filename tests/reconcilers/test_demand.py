"""Queued work gets the cheapest machines that it fits on; everything else is held, with its blocker named."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from reconciler.reconcilers.demand import plan_demand
from schemas.faults import Source
from schemas.plan import CreateTemplate, Launch, Plan, Reason
from schemas.world import (
    DeviceAsk,
    Failure,
    Job,
    Market,
    Resources,
    VolumeAsk,
)
from support.applied import launched, settled
from support.builders import (
    NOON,
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
from support.demand import WHOLE, a_general, bought, held, launches, waiting

# --- what is bought --------------------------------------------------------------------------------------------------


def test_queued_work_buys_the_cheapest_machine_that_holds_it() -> None:
    plan = plan_demand(waiting(a_job(queued=3)), a_general())

    assert bought(plan) == {"m6i.large": 1}
    (launch,) = launches(plan)
    assert (launch.claim, launch.pool, launch.market) == ("general-1", "general", Market.ON_DEMAND)
    assert [(c.job, c.group, c.copies) for c in launch.contents] == [("web", "web", 3)]
    assert launch.cause is Reason.DEMAND
    assert launch.reason == "for 3 web.web"


def test_the_template_is_made_before_the_first_launch_and_not_again() -> None:
    group = a_general()
    plan = plan_demand(waiting(a_job(queued=3)), group)

    assert [type(a) for a in plan.actions] == [CreateTemplate, Launch]
    template = plan.actions[0]
    assert isinstance(template, CreateTemplate)
    assert launches(plan)[0].template == template.template.name
    there = waiting(a_job(queued=3), templates=a_snapshot().templates | {template.template.name})
    assert [type(a) for a in plan_demand(there, group).actions] == [Launch]


def test_claims_go_on_from_the_highest_ordinal_ever_used() -> None:
    plan = plan_demand(waiting(a_job(queued=3), ordinals={"general": 41}), a_general())

    assert [a.claim for a in launches(plan)] == ["general-42"]


def test_machines_of_the_same_content_are_one_launch_in_each_zone_and_evenly_many() -> None:
    there = (an_instance(1, zone="us-east-1a"), an_instance(2, zone="us-east-1a"))
    world = waiting(a_job(queued=7, groups=(WHOLE,)), instances=there)
    plan = plan_demand(world, a_general(instances={"types": ["m6i.large"]}))

    assert [({o.zone for o in a.overrides}, a.count) for a in launches(plan)] == [
        ({"us-east-1a"}, 1),
        ({"us-east-1b"}, 3),
        ({"us-east-1c"}, 3),
    ]


def test_where_one_zone_is_cheapest_the_launch_is_left_together() -> None:
    prices = {("m6i.large", f"us-east-1{z}"): price for z, price in (("a", 0.031), ("b", 0.03), ("c", 0.04))}
    group = a_general(instances={"types": ["m6i.large"]}, capacity={"spotPercent": 100, "onDemandBase": 0})
    plan = plan_demand(waiting(a_job(queued=7, groups=(WHOLE,)), spot_prices=prices), group)

    assert [([o.zone[-1] for o in a.overrides], a.count) for a in launches(plan)] == [(["b", "a"], 7)]


def test_machines_on_their_way_fill_the_zone_where_they_are_likeliest_to_be() -> None:
    plan = plan_demand(waiting(a_job(queued=20, groups=(WHOLE,)), claims=(a_claim(),)), a_general())

    zones: Counter[str] = Counter({"us-east-1a": 1})
    for launch in launches(plan):
        zones[launch.overrides[0].zone] += launch.count
    assert max(zones.values()) - min(zones.values()) <= 1


def test_overrides_are_all_zones_of_what_holds_the_content_at_most_15_percent_dearer() -> None:
    pool = a_pool(instances={"types": ["m6i.large", "m6a.large", "m5.large", "r6i.large"]})
    plan = plan_demand(waiting(a_job(queued=3)), a_group(pools=[pool]))

    prices = {o.instance_type: o.price for o in launches(plan)[0].overrides}
    assert set(prices) == {"m6a.large", "m6i.large", "m5.large"}  # r6i.large costs 0.126
    assert max(prices.values()) <= 1.15 * min(prices.values())
    assert [o.price for o in launches(plan)[0].overrides] == sorted(o.price for o in launches(plan)[0].overrides)
    assert {o.subnet_id for o in launches(plan)[0].overrides} == {"subnet-a1", "subnet-b1", "subnet-c1"}


def test_an_override_that_is_cheap_but_too_small_is_none() -> None:
    big = a_task_group(ask=Resources(cpu_mhz=500, memory_mib=14000))
    pool = a_pool(instances={"types": ["c6i.xlarge", "m6i.large", "m6i.xlarge"]})
    plan = plan_demand(waiting(a_job(queued=1, groups=(big,))), a_group(pools=[pool]))

    assert {o.instance_type for o in launches(plan)[0].overrides} == {"m6i.xlarge"}


def test_equal_prices_go_to_the_emptiest_zone_first() -> None:
    there = (an_instance(1, zone="us-east-1a"), an_instance(2, zone="us-east-1b"), an_instance(3, zone="us-east-1b"))
    plan = plan_demand(waiting(a_job(queued=3), instances=there), a_general())

    assert [o.zone for o in launches(plan)[0].overrides] == ["us-east-1c", "us-east-1a", "us-east-1b"]


def test_one_launch_is_of_one_architecture() -> None:
    pool = a_pool(instances={"types": ["m6i.large", "m6g.large"], "require": {"arch": ["x86_64", "arm64"]}})
    plan = plan_demand(waiting(a_job(queued=3)), a_group(pools=[pool]))

    assert {o.instance_type for o in launches(plan)[0].overrides} == {"m6g.large"}
    assert "-arm64-" in launches(plan)[0].template


def test_static_ports_take_one_machine_a_copy() -> None:
    port = a_task_group(static_ports=frozenset({8080}))
    plan = plan_demand(waiting(a_job(queued=3, groups=(port,))), a_general())

    assert sum(a.count for a in launches(plan)) == 3


def test_groups_that_share_a_static_port_never_share_a_machine() -> None:
    one = a_job("one", queued=1, groups=(a_task_group("one", static_ports=frozenset({80, 443})),))
    two = a_job("two", queued=1, groups=(a_task_group("two", static_ports=frozenset({443})),))
    plan = plan_demand(waiting(one, two), a_general())

    assert all(len(a.contents) == 1 for a in launches(plan))
    assert sum(a.count for a in launches(plan)) == 2


@pytest.mark.parametrize(("scope", "machines"), [("job", 4), ("group", 2)])
def test_distinct_hosts_counts_the_job_or_the_group(scope: str, machines: int) -> None:
    once = (a_constraint("", "distinct_hosts", "true", scope),)
    groups = (a_task_group("a", constraints=once), a_task_group("b", constraints=once))
    plan = plan_demand(waiting(replace(a_job(queued=2, groups=groups), queued={"a": 2, "b": 2})), a_general())

    assert sum(a.count for a in launches(plan)) == machines


def test_distinct_property_over_zones_buys_in_each_zone() -> None:
    zone = a_constraint("${attr.platform.aws.placement.availability-zone}", "distinct_property", "")
    plan = plan_demand(waiting(a_job(queued=3, groups=(a_task_group(constraints=(zone,)),))), a_general())

    zones = [{o.zone for o in a.overrides} for a in launches(plan) for _ in range(a.count)]
    assert sorted(zones, key=sorted) == [{"us-east-1a"}, {"us-east-1b"}, {"us-east-1c"}]


def test_distinct_property_holds_what_its_values_cannot_take() -> None:
    zone = a_constraint("${attr.platform.aws.placement.availability-zone}", "distinct_property", "")
    plan = plan_demand(waiting(a_job(queued=4, groups=(a_task_group(constraints=(zone,)),))), a_general())

    assert sum(a.count for a in launches(plan)) == 3
    assert held(plan).reason is Reason.UNSATISFIABLE
    assert "1 of web.web" in held(plan).message
    assert "distinct_property" in held(plan).message


def test_reserved_cores_take_whole_cores_and_their_mhz() -> None:
    cores = a_task_group(ask=Resources(cores=3, memory_mib=100))
    plan = plan_demand(waiting(a_job(queued=1, groups=(cores,))), a_general())

    assert bought(plan) == {"m6i.xlarge": 1}  # m6i.large has 2


def test_devices_are_found_on_the_types_that_have_them() -> None:
    gpu = a_task_group(devices=(DeviceAsk(name="nvidia/gpu", count=1),))
    pool = a_pool(instances={"types": ["m6i.large", "g4dn.xlarge"]})
    plan = plan_demand(waiting(a_job(queued=2, groups=(gpu,))), a_group(pools=[pool]))

    assert bought(plan) == {"g4dn.xlarge": 2}


def test_system_jobs_are_charged_to_every_new_machine() -> None:
    system = a_job("logs", type="system", groups=(a_task_group("logs", ask=Resources(cpu_mhz=100, memory_mib=1000)),))
    tight = a_task_group(ask=Resources(cpu_mhz=100, memory_mib=7000))
    without = plan_demand(waiting(a_job(queued=1, groups=(tight,))), a_general())
    with_it = plan_demand(waiting(a_job(queued=1, groups=(tight,)), system), a_general())

    assert bought(without) == {"m6i.large": 1}
    assert bought(with_it) == {"m6i.xlarge": 1}


def test_what_the_agent_reserves_is_no_room() -> None:
    tight = a_task_group(ask=Resources(cpu_mhz=100, memory_mib=7000))
    machine = {"agentConfig": {"client": {"reserved": {"memory": 1000}}}}
    plan = plan_demand(waiting(a_job(queued=1, groups=(tight,))), a_general(machine=machine))

    assert bought(plan) == {"m6i.xlarge": 1}


def test_memory_measured_on_a_node_of_the_type_corrects_the_catalogue() -> None:
    tight = a_task_group(ask=Resources(cpu_mhz=100, memory_mib=7200))
    node = a_node(total=Resources(cpu_mhz=7000, memory_mib=7100, disk_mib=20000, cores=2))
    full = an_allocation(node, job_id="other", usage=Resources(memory_mib=7100))
    world = waiting(a_job(queued=1, groups=(tight,)), instances=(an_instance(),), nodes=(node,), allocations=(full,))

    assert bought(plan_demand(world, a_general())) == {"m6i.xlarge": 1}


# --- pools and markets -----------------------------------------------------------------------------------------------


def test_the_pool_of_higher_priority_serves_before_the_cheaper_one() -> None:
    first = a_pool(name="first", priority=200, instances={"types": ["m6i.xlarge"]})
    plan = plan_demand(waiting(a_job(queued=1)), a_group(pools=[a_pool(), first]))

    assert [a.pool for a in launches(plan)] == ["first"]


def test_pools_of_equal_priority_serve_by_price() -> None:
    dear = a_pool(name="dear", instances={"types": ["m6i.xlarge"]})
    plan = plan_demand(waiting(a_job(queued=1)), a_group(pools=[dear, a_pool(name="zz")]))

    assert [a.pool for a in launches(plan)] == ["zz"]


def test_a_pool_at_its_maximum_leaves_the_work_to_one_with_room() -> None:
    full = a_pool(name="full", priority=200, size={"min": 0, "max": 0})
    plan = plan_demand(waiting(a_job(queued=1)), a_group(pools=[full, a_pool()]))

    assert [a.pool for a in launches(plan)] == ["general"]


def test_what_passes_one_pools_maximum_goes_to_the_next() -> None:
    large = {"types": ["m6i.large"]}
    first = a_pool(name="first", priority=200, size={"min": 0, "max": 2}, instances=large)
    plan = plan_demand(waiting(a_job(queued=5, groups=(WHOLE,))), a_group(pools=[first, a_pool(instances=large)]))

    assert {p: sum(a.count for a in launches(plan) if a.pool == p) for p in ("first", "general")} == {
        "first": 2,
        "general": 3,
    }


def test_beyond_all_maxima_the_plan_still_says_what_it_would_buy() -> None:
    plan = plan_demand(waiting(a_job(queued=1)), a_general(size={"min": 0, "max": 0}))

    assert sum(a.count for a in launches(plan)) == 1  # the arbiter cuts it, and says which cap it was


def test_a_pinned_pool_stays_as_it_is() -> None:
    plan = plan_demand(waiting(a_job(queued=1)), a_general(size={"min": 0, "max": 5, "desired": 2}))

    assert launches(plan) == []
    assert held(plan).reason is Reason.AT_MAXIMUM
    assert "pinned to 2 machines by size.desired" in held(plan).message


# --- what is not bought ----------------------------------------------------------------------------------------------


def test_room_on_ready_nodes_is_used_before_anything_is_bought() -> None:
    plan = plan_demand(waiting(a_job(queued=3), nodes=(a_node(),)), a_general())

    assert plan.actions == ()
    assert held(plan).reason is Reason.ON_ITS_WAY
    assert held(plan).passing
    assert held(plan).message == "3 of web.web fit on nodes that are ready: Nomad will place them"


def test_nodes_that_are_nobodys_take_work_too() -> None:
    foreign = a_node(7, name="their-node", attributes={}, meta={})

    assert plan_demand(waiting(a_job(queued=3), nodes=(foreign,)), a_general()).actions == ()


@pytest.mark.parametrize("state", [{"eligible": False}, {"draining": True}, {"status": "down"}])
def test_nodes_that_take_no_work_are_no_room(state: dict[str, Any]) -> None:
    plan = plan_demand(waiting(a_job(queued=3), nodes=(replace(a_node(), **state),)), a_general())

    assert sum(a.count for a in launches(plan)) == 1


def test_a_node_whose_machine_ec2_ended_is_no_room_though_nomad_calls_it_ready() -> None:
    world = waiting(a_job(queued=3), nodes=(a_node(),), instances=(an_instance(state="shutting-down"),))

    assert sum(a.count for a in launches(plan_demand(world, a_general()))) == 1


def test_work_that_a_claim_on_its_way_can_take_buys_nothing() -> None:
    plan = plan_demand(waiting(a_job(queued=3), claims=(a_claim(),)), a_general())

    assert plan.actions == ()
    assert held(plan).passing
    assert held(plan).message == "3 of web.web will fit on machines on their way: general-1 (on its way)"


def test_a_hundred_ticks_of_a_slow_boot_launch_nothing_more() -> None:
    group, world = a_general(registration={"timeout": "1h"}), waiting(a_job(queued=40))
    first = plan_demand(world, group)
    world = launched(first, world)

    assert launches(first)
    for _ in range(100):
        world = replace(world, observed_at=world.observed_at + timedelta(seconds=10))
        assert plan_demand(world, group).actions == ()


def test_a_claim_that_became_a_node_is_not_counted_twice() -> None:
    node, instance = a_node(), an_instance()
    full = an_allocation(node, job_id="other", usage=Resources(cpu_mhz=5000, memory_mib=100))
    claim = a_claim(answered=True, instance_ids=(instance.id,))
    world = waiting(a_job(queued=1), nodes=(node,), instances=(instance,), claims=(claim,), allocations=(full,))

    assert sum(a.count for a in launches(plan_demand(world, a_general()))) == 1


def test_a_claim_that_should_have_registered_long_ago_is_no_room() -> None:
    claim = a_claim(asked_at=NOON - timedelta(minutes=11))

    assert sum(a.count for a in launches(plan_demand(waiting(a_job(queued=3), claims=(claim,)), a_general()))) == 1


def test_three_machines_that_never_registered_stop_the_pool() -> None:
    claims = tuple(a_claim(n, asked_at=NOON - timedelta(minutes=11)) for n in (1, 2, 3))
    plan = plan_demand(waiting(a_job(queued=3), claims=claims), a_general())

    assert plan.actions == ()
    assert held(plan).reason is Reason.BOOT_FAILING
    assert "general-1, general-2, general-3" in held(plan).message


@pytest.mark.parametrize(
    ("evaluation", "reason"),
    [
        ({"created_at": NOON - timedelta(seconds=2)}, Reason.NOT_YET_DECIDED),
        ({"status": "pending"}, Reason.NOT_YET_DECIDED),
    ],
)
def test_what_nomad_has_not_decided_yet_waits(evaluation: dict[str, Any], reason: Reason) -> None:
    job = a_job(queued=3)
    world = a_snapshot(jobs=(job,), evaluations=(a_blocked(job, **evaluation),))
    plan = plan_demand(world, a_general())

    assert plan.actions == ()
    assert (held(plan).reason, held(plan).passing) == (reason, True)


@pytest.mark.parametrize(
    "job",
    [
        a_job(queued=3, stopped=True),
        a_job(queued=3, parent=True),
        a_job(queued=3, type="system"),
        a_job(queued=3, type="sysbatch"),
        a_job(queued=0),
    ],
)
def test_what_wants_nothing_gets_nothing(job: Job) -> None:
    plan = plan_demand(a_snapshot(jobs=(job,), evaluations=(a_blocked(job),)), a_general())

    assert plan == Plan()


def test_queued_work_without_a_blocked_evaluation_is_no_want() -> None:
    assert plan_demand(a_snapshot(jobs=(a_job(queued=3),)), a_general()) == Plan()


def test_an_evaluation_for_one_node_is_no_want() -> None:
    job = a_job(queued=3)
    world = a_snapshot(jobs=(job,), evaluations=(a_blocked(job, node_id="node-1"),))

    assert plan_demand(world, a_general()) == Plan()


def test_a_reschedule_that_waits_for_its_time_is_not_pending() -> None:
    job = a_job(queued=3)
    later = a_blocked(job, id="later", status="pending", wait_until=NOON + timedelta(minutes=1))
    world = a_snapshot(jobs=(job,), evaluations=(a_blocked(job), later))

    assert sum(a.count for a in launches(plan_demand(world, a_general()))) == 1


def test_a_paused_broker_is_no_lack_of_room() -> None:
    plan = plan_demand(waiting(a_job(queued=3), broker_paused=True), a_general())

    assert plan.actions == ()
    assert held(plan, "demand").reason is Reason.BROKER_PAUSED
    assert plan_demand(a_snapshot(broker_paused=True), a_general()) == Plan()


def beyond_help(evaluation: dict[str, Any], **group: Any) -> str:
    """The hold of a job that no machine helps."""
    job = a_job(queued=2, groups=(a_task_group(**group),))
    world = a_snapshot(jobs=(job,), evaluations=(a_blocked(job, **evaluation),))
    plan = plan_demand(world, a_general())
    assert plan.actions == ()
    assert held(plan).reason is Reason.UNSATISFIABLE
    assert not held(plan).passing
    return held(plan).message


def test_quota_volumes_and_unique_attributes_are_named_and_buy_nothing() -> None:
    assert "quota dev is exhausted" in beyond_help({"quota_limit": "dev"})
    assert "quota is exhausted (memory)" in beyond_help({"failures": {"web": Failure(quota=("memory",))}})
    assert "csi-volume:default:data does not exist" in beyond_help({"missing": ("csi-volume:default:data",)})
    claimed = "CSI volume data has exhausted its available writer claims"
    csi = {"volumes": (VolumeAsk(kind="csi", source="data"),)}
    assert claimed in beyond_help({"failures": {"web": Failure(constraints={claimed: 3})}}, **csi)
    unique = (a_constraint("${attr.unique.hostname}", "=", "box-7"),)
    assert "${attr.unique.hostname} = box-7 names one node" in beyond_help({}, constraints=unique)
    assert "volume state is sticky" in beyond_help({}, volumes=(VolumeAsk(kind="host", source="state", sticky=True),))


@pytest.mark.parametrize(
    ("group", "job", "blocker"),
    [
        ({"ask": Resources(cpu_mhz=99_000)}, {}, "cpu: needs 99,000 MHz, 14,000 free on an empty m6i.xlarge"),
        ({"ask": Resources(memory_mib=99_000)}, {}, "memory: needs 99,000 MiB, 15,155 free on an empty m6i.xlarge"),
        ({"ask": Resources(disk_mib=99_000)}, {}, "disk: needs 99,000 MiB, 20,480 free"),
        ({"ask": Resources(cores=9)}, {}, "cores: needs 9, 4 free on an empty m6i.xlarge"),
        ({"devices": (DeviceAsk(name="gpu"),)}, {}, "devices: asks for 1 gpu, has none"),
        ({"drivers": frozenset({"qemu"})}, {}, "driver qemu is missing"),
        ({"network_mode": "bridge"}, {}, "network mode bridge is missing"),
        ({"host_networks": frozenset({"lan"})}, {}, "host network lan is missing"),
        ({"volumes": (VolumeAsk(kind="host", source="data"),)}, {}, "host volume data is missing"),
        ({}, {"node_pool": "gpu"}, "it is for node pool gpu, not default"),
        ({}, {"datacenters": ("eu-*",)}, "it is for datacenter eu-*, not dc1"),
        (
            {"constraints": (a_constraint("${meta.rack}", "=", "r9"),)},
            {},
            "constraint ${meta.rack} = r9: ${meta.rack} is not set",
        ),
        (
            {"constraints": (a_constraint("${attr.os.name}", "=", "debian"),)},
            {},
            "${attr.os.name} is not known before such a machine was seen",
        ),
        ({"static_ports": frozenset({14000})}, {}, "port 14000 is taken"),
        ({"dynamic_ports": 99_999}, {}, "dynamic ports: needs 99999, 12001 free"),
    ],
)
def test_what_no_pool_can_serve_is_held_with_its_blocker(
    group: dict[str, Any], job: dict[str, Any], blocker: str
) -> None:
    work = a_job(queued=2, groups=(a_task_group(**group),), **job)
    plan = plan_demand(waiting(work), a_general(drivers=["docker"]))

    assert plan.actions == ()
    assert held(plan).reason is Reason.UNSATISFIABLE
    assert held(plan).message.startswith("2 of web.web cannot be placed: pool general: ")
    assert blocker in held(plan).message


def test_of_several_pools_the_nearest_one_is_told() -> None:
    pools = [a_pool(), a_pool(name="other", nodePool="other")]
    work = a_job(queued=1, node_pool="other", groups=(a_task_group(ask=Resources(cpu_mhz=99_000)),))
    plan = plan_demand(waiting(work), a_group(pools=pools))

    assert "pool other: cpu: needs 99,000 MHz" in held(plan).message
    assert "(the nearest of 2 pools)" in held(plan).message


def test_a_group_without_pools_says_so() -> None:
    assert "no pool is in the document" in held(plan_demand(waiting(a_job(queued=1)), a_group())).message


def test_a_want_that_room_should_serve_for_half_an_hour_is_given_up() -> None:
    job = a_job(queued=1)
    old = a_blocked(job, created_at=NOON - timedelta(minutes=31))
    plan = plan_demand(a_snapshot(jobs=(job,), evaluations=(old,), nodes=(a_node(),)), a_general())

    assert (held(plan).reason, held(plan).passing) == (Reason.GIVEN_UP, False)
    assert "wait for 31 min: prediction missed" in held(plan).message


# --- when nothing may be bought --------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", [Source.NOMAD, Source.EC2, Source.STORE])
def test_an_unanswered_source_is_not_an_empty_world(source: Source) -> None:
    plan = plan_demand(waiting(a_job(queued=3), unanswered={source: "connection refused"}), a_general())

    assert plan.actions == ()
    assert held(plan, "pools").reason is Reason.SOURCE_UNANSWERED
    assert f"{source}: connection refused" in held(plan, "pools").message


def test_silent_prices_do_not_stop_growth() -> None:
    world = waiting(a_job(queued=3), unanswered={Source.PRICES: "timeout"})
    plan = plan_demand(world, a_general(capacity={"spotPercent": 100, "onDemandBase": 0}))

    assert [(a.market, a.overrides[0].price) for a in launches(plan)] == [(Market.SPOT, 0.096)]


def test_pools_wait_for_the_servers() -> None:
    world = replace(waiting(a_job(queued=3)), templates=frozenset())

    assert held(plan_demand(world, a_general()), "pools").reason is Reason.SERVERS_FORMING


# --- order -----------------------------------------------------------------------------------------------------------


def test_launches_come_in_order_of_priority_then_age() -> None:
    low = a_job("low", queued=1, priority=10, groups=(WHOLE,))
    high = a_job("high", queued=1, priority=90, groups=(WHOLE,))
    old = a_job("old", queued=1, priority=50, groups=(WHOLE,))
    new = a_job("new", queued=1, priority=50, groups=(WHOLE,))
    jobs = (low, new, high, old)
    waits = {"old": timedelta(hours=1)}
    evaluations = tuple(a_blocked(j, created_at=NOON - waits.get(j.id, timedelta(minutes=1))) for j in jobs)
    plan = plan_demand(a_snapshot(jobs=jobs, evaluations=evaluations), a_general(instances={"types": ["m6i.large"]}))

    assert [a.contents[0].job for a in launches(plan)] == ["high", "old", "new", "low"]


def test_after_the_plan_nothing_is_left_to_do() -> None:
    group = a_general()
    world = waiting(a_job(queued=30), a_job("db", queued=2, groups=(WHOLE,)))
    after = settled(plan_demand(world, group), world, group)

    assert plan_demand(after, group) == Plan()
