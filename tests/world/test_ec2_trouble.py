"""What an account does to its users: dates, outages, bursts, limits, and what the dead leave behind."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise

import pytest

from providers.events.messages import parse
from providers.sandbox.world.ec2.describe import Checks, checks_of, describe_by_id, describe_instances, describe_status
from providers.sandbox.world.ec2.errors import Ec2Error
from providers.sandbox.world.ec2.fleet import FleetOrder, create_fleet
from providers.sandbox.world.ec2.interruption import expect_reclaims
from providers.sandbox.world.ec2.lifecycle import crash, terminate
from providers.sandbox.world.ec2.messages import receive
from providers.sandbox.world.ec2.prices import price_history, spot_price
from providers.sandbox.world.ec2.scheduled import REBOOT, RETIREMENT, schedule
from providers.sandbox.world.ec2.state import Instance, Outage, PriceMove, Quota, Reclaim, Subnet
from providers.sandbox.world.ec2.throttle import spend
from providers.sandbox.world.epoch import EPOCH
from schemas.events import Event, Kind
from schemas.faults import UnansweredError
from support.bare_world import (
    SUBNETS,
    BareWorld,
    an_order,
    client_config,
    cloud_config,
    launch,
    launch_server,
)
from support.whole_world import Doors, a_client_template, a_world, through_doors

TAGS = {f"tag-{n}": "x" for n in range(8)}


def running(world: BareWorld, token: str = "t", **changes: object) -> Instance:  # noqa: S107 - a client token
    made = launch(world, token, **changes)
    world.wait(20)
    assert made.state == "running"
    return made


def code_of(error: pytest.ExceptionInfo[Ec2Error]) -> str:
    return error.value.code


# --- the dead --------------------------------------------------------------


def test_a_terminated_machine_loses_its_address_then_its_tags_one_by_one_then_itself() -> None:
    world = BareWorld(lag=0)
    made = running(world, tags=dict(TAGS))
    terminate(world.cloud, [made.id])
    world.wait(60)
    begun, seen = world.kernel.now, [(bool(made.private_ip), len(made.tags))]
    while made.id in world.state.ec2.instances:
        world.wait(10)
        seen.append((bool(made.private_ip), len(made.tags)))
        assert world.kernel.now - begun < 3700

    assert seen[0] == (True, 8)
    assert {tags for _, tags in seen} == set(range(9))
    assert all(before[1] >= after[1] for before, after in pairwise(seen))
    assert (True, 0) not in seen


def test_which_tag_goes_first_is_chance() -> None:
    first = set()
    for seed in range(6):
        world = BareWorld(seed, lag=0)
        made = running(world, tags=dict(TAGS))
        terminate(world.cloud, [made.id])
        world.wait_until(lambda made=made: len(made.tags) < 8, at_most=1200)  # type: ignore[misc]
        first |= TAGS.keys() - made.tags.keys()

    assert len(first) > 1


def test_a_terminated_machine_takes_quota_for_two_more_minutes() -> None:
    world = BareWorld(lag=0)
    world.state.ec2.quotas = [Quota(market="on-demand", family="standard", vcpus_max=2)]
    made = running(world)
    terminate(world.cloud, [made.id])
    world.wait_until(lambda: made.state == "terminated")
    with pytest.raises(Ec2Error) as error:
        launch(world, "again")
    assert code_of(error) == "VcpuLimitExceeded"
    world.wait(121)

    assert launch(world, "later").state == "pending"


# --- dates -----------------------------------------------------------------


def test_a_retirement_is_announced_and_the_machine_is_stopped_on_its_date() -> None:
    world = BareWorld(lag=0)
    made = running(world)
    schedule(world.cloud, made.id, RETIREMENT, after=3600.0)
    told = [e for m in receive(world.cloud) if isinstance(e := parse(json.dumps(m.body)), Event)]
    world.wait(3500)
    before = made.state
    world.wait(200)

    assert [(e.kind, e.instance_ids, e.due) for e in told if e.kind is Kind.SCHEDULED] == [
        (Kind.SCHEDULED, (made.id,), EPOCH + timedelta(seconds=3620))
    ]
    assert made.scheduled[0]["Code"] == "instance-retirement"
    assert (before, made.state, made.state_reason) == ("running", "stopped", "Server.ScheduledStop")
    assert made.private_ip in world.state.ec2.subnets["subnet-a1"].taken  # stopped machines keep it


def test_a_reboot_restarts_what_runs_with_its_data() -> None:
    world = BareWorld(lag=0)
    server = launch_server(world, expect=1)
    client = launch(world, "c", user_data=cloud_config(client_config()))
    world.wait(120)
    agent = world.state.servers.agents[server.private_ip]
    for machine in (server, client):
        schedule(world.cloud, machine.id, REBOOT, after=60.0)
    world.wait(62)
    during = (world.servers.up(server.private_ip), client.id in world.clients.up)
    world.wait(60)

    assert during == (None, False)
    assert world.servers.up(server.private_ip) is agent
    assert world.clients.restarted == [client.id]
    assert (server.state, server.scheduled[0]["Description"][:11]) == ("running", "[Completed]")


# --- status checks ---------------------------------------------------------


@pytest.mark.parametrize(("host", "system"), [(False, "ok"), (True, "impaired")])
def test_a_broken_host_fails_the_system_check_too(*, host: bool, system: str) -> None:
    world = BareWorld(lag=0)
    made = running(world)
    world.wait(200)
    assert checks_of(world.cloud, made) == Checks(instance="ok", system="ok")
    crash(world.cloud, made.id, host=host)
    broken = world.kernel.now
    world.wait(121)
    told = checks_of(world.cloud, made)

    assert (told.instance, told.system) == ("impaired", system)
    assert 60 <= (told.impaired_at or 0) - broken <= 120


def test_only_running_machines_have_checks() -> None:
    world = BareWorld(lag=0)
    made, ended = running(world, "a"), running(world, "b")
    launch(world, "pending")
    terminate(world.cloud, [ended.id])

    assert describe_status(world.cloud) == [made]
    assert describe_status(world.cloud, [made.id, ended.id]) == [made]


# --- outages and bursts ----------------------------------------------------


def test_a_zone_that_is_out_gives_no_machine_and_the_others_do() -> None:
    world = BareWorld(lag=0)
    world.state.ec2.outages = [Outage(zone="us-east-1a", since=0.0, until=100.0)]
    with pytest.raises(Ec2Error) as error:
        launch(world, "a")
    other = launch(world, "b", subnet="subnet-b1")
    world.wait(101)

    assert (code_of(error), error.value.status) == ("InsufficientInstanceCapacity", 500)
    assert other.zone == "us-east-1b"
    assert launch(world, "a").zone == "us-east-1a"


def test_while_a_zone_is_silent_lists_fail_as_a_whole_and_ids_of_other_zones_are_told() -> None:
    world = BareWorld(lag=0)
    here, there = launch(world, "a"), launch(world, "b", subnet="subnet-b1")
    world.state.ec2.outages = [Outage(zone="us-east-1a", since=0.0, until=100.0, silent=True)]
    world.wait(20)

    questions: tuple[Callable[[], object], ...] = (
        lambda: describe_instances(world.cloud, tags={}),
        lambda: describe_by_id(world.cloud, [there.id, here.id]),
    )
    for question in questions:
        with pytest.raises(Ec2Error) as error:
            question()
        assert (code_of(error), error.value.status) == ("InternalError", 500)
    assert describe_by_id(world.cloud, [there.id]) == [there]


def test_at_the_door_a_silent_zone_is_no_answer_and_never_an_empty_list() -> None:
    async def work(doors: Doors) -> None:
        doors.world.cloud.state.outages = [Outage(zone="us-east-1c", since=0.0, until=100.0, silent=True)]
        with pytest.raises(UnansweredError):
            await doors.ec2.instances("demo")

    through_doors(a_world(), work)


def test_a_reclaim_takes_a_share_of_a_pool_and_leaves_it_empty_for_a_while() -> None:
    world = BareWorld(lag=0)
    world.state.ec2.reclaims = [Reclaim(at=600.0, zones="us-east-1a", share=0.5, lack=900.0, advice=120.0)]
    expect_reclaims(world.cloud)
    machines = [launch(world, f"t{n}", market="spot", subnet=f"subnet-{z}1") for n in range(12) for z in "ab"]
    world.wait(481)
    advised = [m for m in machines if m.rebalance_at is not None]
    with pytest.raises(Ec2Error) as error:
        launch(world, "more", market="spot")
    world.wait(300)
    gone = [m for m in machines if m.state != "running"]
    world.wait(900)

    assert advised == gone
    assert {m.zone for m in gone} == {"us-east-1a"}
    assert 1 < len(gone) < 12
    assert code_of(error) == "InsufficientInstanceCapacity"
    assert launch(world, "after", market="spot").state == "pending"


# --- what is refused -------------------------------------------------------


def test_without_the_role_for_spot_no_pool_gives_a_spot_machine() -> None:
    world = BareWorld()
    world.state.ec2.spot_role = False
    order = FleetOrder(machine=an_order(market="spot"), pools=tuple(("m6i.large", s) for s in SUBNETS), count=2)
    fleet = create_fleet(world.cloud, order, token="t")

    assert fleet.pools == []
    assert {e.code for e in fleet.errors} == {"AuthFailure.ServiceLinkedRoleCreationNotPermitted"}
    assert launch(world, "od").market == "on-demand"


def test_a_fleet_that_names_two_subnets_of_one_zone_is_refused() -> None:
    world = BareWorld()
    world.state.ec2.subnets["subnet-a2"] = Subnet(id="subnet-a2", zone="us-east-1a", prefix="10.9")
    pools = (("m6i.large", "subnet-a1"), ("c6i.large", "subnet-a2"))
    with pytest.raises(Ec2Error, match="subnet-a1 and subnet-a2"):
        create_fleet(world.cloud, FleetOrder(machine=an_order(), pools=pools, count=1), token="t")

    assert world.state.ec2.instances == {}


@pytest.mark.parametrize(
    ("tags", "code"),
    [
        ({f"t{n}": "" for n in range(51)}, "TagLimitExceeded"),
        ({"aws:mine": "x"}, "InvalidParameterValue"),
        ({"k" * 129: "x"}, "InvalidParameterValue"),
        ({"k": "v" * 257}, "InvalidParameterValue"),
    ],
)
def test_tags_that_ec2_would_refuse_are_refused(tags: dict[str, str], code: str) -> None:
    with pytest.raises(Ec2Error) as error:
        launch(BareWorld(), "t", tags=tags)

    assert code_of(error) == code


def test_a_bucket_of_requests_runs_dry_and_fills_again() -> None:
    world = BareWorld()
    for _ in range(5):
        spend(world.cloud, "RunInstances")
    with pytest.raises(Ec2Error) as error:
        spend(world.cloud, "RunInstances")
    world.wait(1)
    for _ in range(2):
        spend(world.cloud, "RunInstances")

    assert (code_of(error), error.value.status) == ("RequestLimitExceeded", 503)
    with pytest.raises(Ec2Error):
        spend(world.cloud, "RunInstances")


def test_at_the_door_too_many_requests_are_no_answer() -> None:
    async def work(doors: Doors) -> None:
        await doors.ec2.create_template("demo", a_client_template())
        for _ in range(100):
            await doors.ec2.template("general-1234")
        with pytest.raises(UnansweredError, match="Request limit exceeded"):
            await doors.ec2.template("general-1234")
        await doors.clock.sleep(1)
        assert await doors.ec2.template("general-1234")

    through_doors(a_world(), work)


# --- prices ----------------------------------------------------------------


def test_prices_are_told_as_changes_and_now_is_one_row_a_pool() -> None:
    world = BareWorld(seed=3)
    world.wait(10 * 3600)
    now = world.kernel.now
    types, zones = ("m6i.large", "c6i.large"), SUBNETS.values()
    current = price_history(world.cloud, types, zones, since=now, until=now)
    day = price_history(world.cloud, types, zones, since=now - 86_400, until=now)

    assert len(current) == 6
    assert all(c.price == spot_price(world.cloud, c.instance_type, c.zone) and c.at <= now for c in current)
    assert [c.at for c in day] == sorted((c.at for c in day), reverse=True)
    for kind in types:
        for zone in zones:
            pool = [c for c in day if (c.instance_type, c.zone) == (kind, zone)]
            assert all(newer.price != older.price for newer, older in pairwise(pool))
            assert pool[0] == next(c for c in current if (c.instance_type, c.zone) == (kind, zone))
            assert pool[-1].at <= now - 86_400 < pool[-2].at
            for change in pool:
                assert spot_price(world.cloud, kind, zone, change.at + 1) == change.price


def test_a_scripted_move_is_a_change_at_its_moment() -> None:
    world = BareWorld()
    world.state.ec2.price_moves = [PriceMove(share=0.9, since=5000.0, until=6000.0)]
    world.wait(10_000)
    found = price_history(world.cloud, ["m6i.large"], ["us-east-1a"], since=4990.0, until=7000.0)

    assert {5000.0, 6000.0} <= {c.at for c in found}


def test_a_type_without_a_spot_market_has_no_row_and_ninety_days_are_kept() -> None:
    world = BareWorld()
    world.state.ec2.not_offered = ["m6i.large/us-east-1a"]
    found = price_history(world.cloud, ["m6i.large"], ["us-east-1a", "us-east-1b"], since=-1e9, until=0.0)

    assert {c.zone for c in found} == {"us-east-1b"}
    assert min(c.at for c in found) >= -91 * 86_400
