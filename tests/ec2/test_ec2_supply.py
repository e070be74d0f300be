"""What a region sells and what goes wrong with its machines, by the port and by the wire; how seldom EC2 is asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar

import pytest
from botocore.exceptions import EndpointConnectionError

from providers.ec2.provider import AwsEc2
from providers.ec2.supply import types_from
from providers.prices.shipped import load_catalogue
from providers.sandbox.wire.ec2.app import Ec2Wire
from providers.sandbox.world.ec2 import lifecycle, scheduled
from providers.sandbox.world.ec2.interruption import interrupt
from providers.sandbox.world.world import World
from schemas.supply import Supply
from schemas.trouble import Trouble
from support.aws_wire import says_no
from support.builders import NOON
from support.ec2_doors import Inside, shared_clients, through
from support.whole_world import SUBNETS, a_client_template, a_request, a_world

T = TypeVar("T")
ZONES = ("us-east-1a", "us-east-1b", "us-east-1c")


@pytest.fixture(params=["port", "wire"])
def door(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def look(at: Inside, *, without: frozenset[str] = frozenset()) -> Awaitable[Supply]:
    known = load_catalogue().keys() - without
    return at.ec2.supply(zones=ZONES, subnets=[*SUBNETS, "subnet-gone"], known=known)


def test_a_type_is_sold_where_the_zone_has_it(door: str) -> None:
    world = a_world()
    world.state.ec2.not_offered = ["m7i.*/us-east-1b"]

    supply = through(door, world, look)

    assert supply.sells("m7i.large", "us-east-1a")
    assert not supply.sells("m7i.large", "us-east-1b")
    assert supply.sells("m7i.large", "us-east-1z"), "of a zone that nobody told of nothing is known"
    assert supply.silent == {}


def test_free_addresses_are_counted_and_a_subnet_that_is_not_there_has_none(door: str) -> None:
    world = a_world()
    world.state.ec2.subnets["subnet-b1"].size = 2

    async def work(at: Inside) -> Supply:
        await at.ec2.create_template("demo", a_client_template())
        await at.ec2.create_fleet(a_request(2))
        return await look(at)

    supply = through(door, world, work)

    assert supply.free_addresses == {"subnet-a1": 4091, "subnet-b1": 0, "subnet-c1": 4091}
    assert [s for s in (*SUBNETS, "subnet-gone") if supply.full(s)] == ["subnet-b1", "subnet-gone"]


def test_a_type_that_the_shipped_table_lacks_is_described_by_ec2(door: str) -> None:
    new = frozenset({"m6i.large", "g5.xlarge", "inf1.xlarge", "c6gd.metal", "t3.micro"})

    async def work(at: Inside) -> Supply:
        return await look(at, without=new)

    supply = through(door, a_world(), work)
    known = load_catalogue()

    assert {t.name: replace(t, on_demand_usd_per_hour=0) for t in supply.types} == {
        name: replace(known[name], on_demand_usd_per_hour=0) for name in new
    }
    assert all(supply.on_demand[name] == known[name].on_demand_usd_per_hour for name in new)


@pytest.mark.parametrize("lacking", ["ProcessorInfo", "VCpuInfo", "MemoryInfo"])
def test_a_type_of_which_ec2_says_too_little_is_not_for_sale(lacking: str) -> None:
    whole: dict[str, Any] = {
        "InstanceType": "x9.large",
        "ProcessorInfo": {"SupportedArchitectures": ["i386", "x86_64"], "SustainedClockSpeedInGhz": 3.5},
        "VCpuInfo": {"DefaultVCpus": 2},
        "MemoryInfo": {"SizeInMiB": 8192},
    }
    (described,) = types_from([whole])
    assert (described.arch, described.cpu_mhz, described.cores) == ("x86_64", 7000, 1)
    assert types_from([{k: v for k, v in whole.items() if k != lacking}]) == ()


def troubled(world: World) -> Callable[[Inside], Awaitable[tuple[Trouble, Trouble, list[str]]]]:
    """Four machines: one hangs, one is to be retired, one is taken back, one is well."""

    async def work(at: Inside) -> tuple[Trouble, Trouble, list[str]]:
        await at.ec2.create_template("demo", a_client_template())
        ids = [i.id for i in (await at.ec2.create_fleet(a_request(4))).instances]
        await at.clock.sleep(300)
        before = await at.ec2.trouble(ids, spot=True)
        lifecycle.crash(world.cloud, ids[0])
        scheduled.schedule(world.cloud, ids[1], scheduled.RETIREMENT, after=86_400)
        scheduled.schedule(world.cloud, ids[1], scheduled.REBOOT, after=5)
        await at.clock.sleep(150)
        interrupt(world.cloud, ids[2])
        await at.clock.sleep(5)
        assert world.state.ec2.instances[ids[2]].state == "running", "it still has its two minutes"
        return before, await at.ec2.trouble(ids, spot=True), ids

    return work


def test_failed_checks_dates_and_closed_spot_requests_are_told_of_the_machines_asked_about(door: str) -> None:
    world = a_world()
    before, told, (hung, old, lost, _) = through(door, world, troubled(world))

    assert (dict(before.impaired), before.events, dict(before.reclaimed)) == ({}, (), {})
    assert told.impaired.keys() == {hung}
    assert told.impaired[hung] is not None
    assert [(e.instance_id, e.code, e.ends_machine) for e in told.events] == [(old, "instance-retirement", True)], (
        "the reboot is over"
    )
    assert dict(told.reclaimed) == {lost: "instance-terminated-no-capacity"}
    assert told.only([lost]).impaired == {}


def test_without_spot_machines_spot_requests_are_not_asked_for() -> None:
    """A document without spot is given no right to ask."""
    world = a_world()

    async def work(at: Inside) -> set[str]:
        account = Ec2Wire(world, at.clock)
        account.attach(shared_clients())
        await AwsEc2(shared_clients(), at.clock.now, inline=True).trouble(["i-1"], spot=False)
        return set(account.calls)

    assert through("port", world, work) == {"DescribeInstanceStatus"}


def test_both_doors_tell_the_same_trouble() -> None:
    told = []
    for name in ("port", "wire"):
        world = a_world()
        told.append(through(name, world, troubled(world))[1])
    port, wire = (
        replace(t, impaired={i: at and at.replace(microsecond=0) for i, at in t.impaired.items()}) for t in told
    )

    assert replace(port, at=None) == replace(wire, at=None)


def test_what_changes_slowly_is_asked_for_seldom() -> None:
    """A day at rest, a look every ten seconds: calls of EC2 by name."""
    world = a_world()

    async def work(at: Inside) -> Counter[str]:
        account = Ec2Wire(world, at.clock)
        account.attach(shared_clients())
        ec2 = AwsEc2(shared_clients(), at.clock.now, inline=True)
        for _ in range(360):
            await ec2.supply(zones=ZONES, subnets=SUBNETS, known=load_catalogue().keys())
            await ec2.trouble(["i-1"], spot=True)
            await at.clock.sleep(10)
        return Counter(account.calls)

    assert through("port", world, work) == {
        "DescribeInstanceTypeOfferings": 5,  # 4,062 pairs of type and zone, once
        "DescribeSubnets": 60,  # once a minute
        "DescribeInstanceStatus": 180,  # three questions a minute
        "DescribeSpotInstanceRequests": 60,
    }


@pytest.mark.parametrize("silent", ["DescribeInstanceTypeOfferings", "DescribeSubnets", "pricing"])
def test_who_is_silent_is_named_restricts_nothing_and_is_not_asked_at_every_look(silent: str) -> None:
    world, asked = a_world(), []

    async def work(at: Inside) -> list[Supply]:
        account = Ec2Wire(world, at.clock)
        account.attach(shared_clients())
        answer = account.answer

        def sometimes(body: bytes) -> tuple[int, bytes]:
            if f"Action={silent}".encode() in body:
                asked.append(at.clock.now())
                return 403, says_no("UnauthorizedOperation").body.encode()
            return answer(body)

        account.answer = sometimes  # type: ignore[method-assign]
        if silent == "pricing":
            shared_clients().pricing().meta.events.register("before-send.pricing", cut, unique_id="cut")
        try:
            ec2 = AwsEc2(shared_clients(), at.clock.now, inline=True)
            looks = []
            for _ in range(12):
                looks.append(await ec2.supply(zones=ZONES, subnets=SUBNETS, known=load_catalogue().keys()))
                await at.clock.sleep(10)
            return looks
        finally:
            shared_clients().pricing().meta.events.unregister("before-send.pricing", unique_id="cut")

    def cut(**_: object) -> None:
        asked.append(NOON)
        raise EndpointConnectionError(endpoint_url="https://api.pricing")

    looks = through("port", world, work)

    assert all(len(supply.silent) == 1 for supply in looks)
    assert looks[-1].sells("m6i.large", "us-east-1a")
    assert not looks[-1].full("subnet-a1")
    assert len(asked) <= 3, "botocore's three tries at the most"


def test_a_launch_that_met_a_full_subnet_makes_the_next_look_a_fresh_one() -> None:
    world = a_world()
    world.state.ec2.subnets["subnet-b1"].size = 1

    async def work(at: Inside) -> list[int]:
        await at.ec2.create_template("demo", a_client_template())
        before = await look(at)
        await at.ec2.create_fleet(a_request(2))
        return [before.free_addresses["subnet-b1"], (await look(at)).free_addresses["subnet-b1"]]

    assert through("wire", world, work) == [1, 0]


def test_prices_are_as_old_as_their_last_reading() -> None:
    async def work(at: Inside) -> list[timedelta]:
        ages = []
        for hours in (0, 5, 8):
            await at.clock.sleep(hours * 3600)
            await at.ec2.spot_prices(["m6i.large"], ZONES)
            supply = await look(at)
            assert supply.on_demand_at is not None
            assert supply.spot_at is not None
            ages += [at.clock.now() - supply.on_demand_at, at.clock.now() - supply.spot_at]
        return ages

    hours = [age / timedelta(hours=1) for age in through("wire", a_world(), work)]
    assert hours == [0, 0, 5, 0, 0, 0]
