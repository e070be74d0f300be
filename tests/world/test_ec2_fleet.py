"""CreateFleet instant: which pool it takes, what it answers when it cannot, and its token."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.sandbox.world.ec2.errors import Ec2Error
from providers.sandbox.world.ec2.fleet import FleetOrder, create_fleet
from providers.sandbox.world.ec2.prices import on_demand_price, spot_depth, spot_price
from providers.sandbox.world.ec2.state import CapacityLimit, Fleet, PriceMove, Quota
from support.bare_world import SUBNETS, BareWorld, an_order

TYPES = ("m6i.large", "c6i.large", "r6i.large")
POOLS = tuple((kind, subnet) for kind in TYPES for subnet in SUBNETS)


def a_fleet(world: BareWorld, count: int = 3, market: str = "on-demand", pools: object = POOLS, **more: str) -> Fleet:
    order = FleetOrder(machine=an_order(market=market), pools=pools, count=count)  # type: ignore[arg-type]
    return create_fleet(world.cloud, order, token=more.get("token", "t"))


def launched(fleet: Fleet) -> int:
    return sum(len(pool.instances) for pool in fleet.pools)


def test_on_demand_takes_the_cheapest_type() -> None:
    fleet = a_fleet(BareWorld())

    assert [(p.type, len(p.instances)) for p in fleet.pools] == [("c6i.large", 3)]
    assert fleet.errors == []


def test_spot_takes_the_cheapest_of_the_deep_pools() -> None:
    world = BareWorld(seed=5)
    fleet = a_fleet(world, market="spot")
    taken = fleet.pools[0]
    deep = [p for p in POOLS if spot_depth(world.cloud, p[0], SUBNETS[p[1]]) >= 4]
    prices = {p: spot_price(world.cloud, p[0], SUBNETS[p[1]]) or 9.9 for p in deep}

    assert prices[taken.type, taken.subnet] == min(prices.values())


def test_an_answer_holds_instances_and_errors_together() -> None:
    world = BareWorld()
    world.state.ec2.capacity = [CapacityLimit(live_max=1, types="c6i.large")]
    fleet = a_fleet(world, count=5)

    assert launched(fleet) == 3
    assert [(e.type, e.code) for e in fleet.errors][:3] == [("c6i.large", "InsufficientInstanceCapacity")] * 3
    assert {e.code for e in fleet.errors[3:]} == {"UnfulfillableCapacity"}  # never tried
    assert len(fleet.errors) == len(POOLS)


def test_a_pool_that_was_refused_is_named_although_another_gave_everything() -> None:
    world = BareWorld()
    world.state.ec2.capacity = [CapacityLimit(live_max=0, types="c6i.large", zones="us-east-1a")]
    fleet = a_fleet(world, count=2)

    assert launched(fleet) == 2
    assert [(e.type, e.zone, e.code) for e in fleet.errors] == [
        ("c6i.large", "us-east-1a", "InsufficientInstanceCapacity")
    ]


def test_a_type_that_is_not_offered_in_a_zone_is_a_mistake_of_that_pool_only() -> None:
    world = BareWorld()
    world.state.ec2.not_offered = ["c6i.large/us-east-1a"]
    fleet = a_fleet(world, count=1)

    assert launched(fleet) == 1
    assert [(e.zone, e.code) for e in fleet.errors] == [("us-east-1a", "InvalidFleetConfiguration")]


def test_a_quota_lets_a_fleet_give_a_part() -> None:
    world = BareWorld()
    world.state.ec2.quotas = [Quota(market="spot", family="standard", vcpus_max=4)]
    fleet = a_fleet(world, count=3, market="spot")

    assert launched(fleet) == 2
    assert "MaxSpotInstanceCountExceeded" in {e.code for e in fleet.errors}


def test_a_replay_gives_the_same_answer_and_launches_nothing() -> None:
    world = BareWorld()
    first = a_fleet(world)
    world.wait(600)
    world.state.ec2.capacity = [CapacityLimit(live_max=0)]

    assert a_fleet(world) == first
    assert len(world.state.ec2.instances) == 3


def test_a_token_with_another_count_is_a_mismatch_also_when_it_gave_nothing() -> None:
    world = BareWorld()
    world.state.ec2.capacity = [CapacityLimit(live_max=0)]
    assert launched(a_fleet(world)) == 0

    with pytest.raises(Ec2Error) as error:
        a_fleet(world, count=2)

    assert error.value.code == "IdempotentParameterMismatch"


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), at=st.floats(0, 10_000_000), kind=st.sampled_from(TYPES))
def test_a_spot_price_never_passes_on_demand(seed: int, at: float, kind: str) -> None:
    world = BareWorld(seed)
    world.state.ec2.price_moves = [PriceMove(share=1.7, zones="us-east-1b")]
    world.state.timeline.now = at
    dear = on_demand_price(world.cloud, kind) or 0.0

    assert all(0 < (spot_price(world.cloud, kind, zone) or 0.0) <= dear for zone in SUBNETS.values())
    assert spot_price(world.cloud, kind, "us-east-1b") == round(dear, 4)


def test_spot_prices_move_over_a_day_and_are_steady_within_minutes() -> None:
    world = BareWorld(seed=2)
    seen = []
    for _ in range(24 * 12):
        seen.append(spot_price(world.cloud, "m6i.large", "us-east-1a"))
        world.wait(300)
    changes = sum(a != b for a, b in pairwise(seen))

    assert 3 <= changes <= 24


def test_a_type_without_a_spot_market_has_no_spot_price() -> None:
    assert spot_price(BareWorld().cloud, "t2.nano.imaginary", "us-east-1a") is None
