"""What is for sale: types, zones and markets with prices that are believed, less what EC2 refuses."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

import pytest

from reconciler.packing.offers import Shelf, shelf
from reconciler.packing.promise import Promises
from schemas.faults import Source
from schemas.world import Market, Refused, Snapshot
from support.builders import NOON, a_catalogue, a_claim, a_group, a_pool, a_snapshot, an_instance

SPOT = {("m6i.large", "us-east-1a"): 0.03}
BOTH = {"spotPercent": 50, "onDemandBase": 0}


def a_shelf(snapshot: Snapshot | None = None, **pool: Any) -> Shelf:
    group = a_group(pools=[a_pool(**{"instances": {"types": ["m6i.large"]}, **pool})])
    return shelf(Promises(snapshot=snapshot or a_snapshot(), group=group, pool=group.spec.pools[0]))


def prices(some: Shelf, market: Market) -> dict[str, float]:
    return {o.zone[-1]: o.price for o in some.offers if o.market is market}


def test_each_allowed_type_is_for_sale_in_each_zone_cheapest_first() -> None:
    some = a_shelf(instances={"types": ["m6i.*"], "require": {"vcpu": {"max": 4}}})

    assert [(o.kind.name, o.zone[-1]) for o in some.offers] == [
        (name, zone) for name in ("m6i.large", "m6i.xlarge") for zone in "abc"
    ]


def test_an_architecture_without_an_image_is_not_for_sale() -> None:
    instances = {"types": ["m6g.large", "m6i.large"], "require": {"arch": ["arm64", "x86_64"]}}
    group = a_group(pools=[a_pool(instances=instances)], machine={"images": {"x86_64": "ami-1"}})
    some = shelf(Promises(snapshot=a_snapshot(), group=group, pool=group.spec.pools[0]))

    assert {o.kind.name for o in some.offers} == {"m6i.large"}


def test_two_subnets_of_a_zone_are_one_offer() -> None:
    group = a_group(pools=[a_pool(instances={"types": ["m6i.large"]})])
    aws = group.spec.aws.model_copy(update={"subnets": (*group.spec.aws.subnets, group.spec.aws.subnets[0])})
    group = group.model_copy(update={"spec": group.spec.model_copy(update={"aws": aws})})
    some = shelf(Promises(snapshot=a_snapshot(), group=group, pool=group.spec.pools[0]))

    assert [len(o.subnets) for o in some.offers] == [2, 1, 1]


def test_spot_is_for_sale_only_where_it_has_a_price() -> None:
    some = a_shelf(a_snapshot(spot_prices=SPOT), capacity=BOTH)

    assert prices(some, Market.SPOT) == {"a": 0.03}
    assert prices(some, Market.ON_DEMAND) == {"a": 0.096, "b": 0.096, "c": 0.096}


@pytest.mark.parametrize("price", [0.0, -1.0, math.nan, math.inf, 0.97])
def test_a_price_that_cannot_be_is_replaced_by_the_shipped_one(price: float) -> None:
    world = a_snapshot(spot_prices={("m6i.large", "us-east-1a"): price}, on_demand_prices={"m6i.large": price})
    some = a_shelf(world, capacity=BOTH)

    assert prices(some, Market.SPOT) == {"a": 0.096}
    assert prices(some, Market.ON_DEMAND) == {"a": 0.096, "b": 0.096, "c": 0.096}


def test_a_spot_price_above_on_demand_is_left_out() -> None:
    assert (
        prices(a_shelf(a_snapshot(spot_prices={("m6i.large", "us-east-1a"): 0.0961}), capacity=BOTH), Market.SPOT) == {}
    )


def test_a_type_that_has_no_spot_market_is_sold_on_demand() -> None:
    name = next(t.name for t in a_catalogue().values() if not t.spot_supported)
    arch = a_catalogue()[name].arch
    world = a_snapshot(spot_prices={(name, "us-east-1a"): 0.01})
    require = {"arch": [arch], "exclude": ["none.*"], "burstable": None}
    some = a_shelf(world, capacity=BOTH, instances={"types": [name], "require": require})

    assert {o.market for o in some.offers} == {Market.ON_DEMAND}


def test_when_no_prices_are_heard_spot_counts_as_dear_as_on_demand() -> None:
    some = a_shelf(a_snapshot(unanswered={Source.PRICES: "timeout"}), capacity=BOTH)

    assert prices(some, Market.SPOT) == {"a": 0.096, "b": 0.096, "c": 0.096}


@pytest.mark.parametrize(
    ("capacity", "markets"),
    [
        ({"spotPercent": 0, "onDemandBase": 0}, {Market.ON_DEMAND}),
        ({"spotPercent": 100, "onDemandBase": 0, "fallbackToOnDemand": False}, {Market.SPOT}),
        ({"spotPercent": 100, "onDemandBase": 1, "fallbackToOnDemand": False}, set(Market)),
        ({"spotPercent": 100, "onDemandBase": 0}, set(Market)),
    ],
)
def test_a_market_that_the_capacity_rules_out_is_not_for_sale(capacity: dict[str, Any], markets: set[Market]) -> None:
    assert {o.market for o in a_shelf(a_snapshot(spot_prices=SPOT), capacity=capacity).offers} == markets


def refused(why: str, name: str = "m6i.large", market: Market = Market.ON_DEMAND) -> Refused:
    until = NOON + timedelta(minutes=3)
    return Refused(instance_type=name, zone="us-east-1a", market=market, why=why, until=until)


def test_a_refused_offering_is_out_in_its_zone_and_market_alone() -> None:
    some = a_shelf(a_snapshot(refused=(refused("capacity"),), spot_prices=SPOT), capacity=BOTH)

    assert set(prices(some, Market.ON_DEMAND)) == {"b", "c"}
    assert set(prices(some, Market.SPOT)) == {"a"}
    assert some.refused == 1


def test_a_refused_quota_takes_its_whole_class_out_of_the_market() -> None:
    some = a_shelf(
        a_snapshot(refused=(refused("quota", "c6i.large"),)), instances={"types": ["m6i.large", "g4dn.xlarge"]}
    )

    assert {o.kind.name for o in some.offers} == {"g4dn.xlarge"}


def test_the_share_of_new_machines_counts_what_is_there_and_on_its_way() -> None:
    there = (an_instance(1), an_instance(2, market=Market.SPOT), an_instance(3, tags={}))
    world = a_snapshot(instances=there, claims=(a_claim(9, count=2), a_claim(10, pool="other")))
    some = a_shelf(world, capacity=BOTH)

    assert some.have == {Market.ON_DEMAND: 3, Market.SPOT: 1}
    assert [some.on_demand_due(n) for n in (1, 2, 3, 4)] == [0, 0, 1, 1]
    assert some.spot_share(4) == 0.75
    assert some.spot_share(0) == 0.5


@pytest.mark.parametrize(("machines", "least"), [(1, 1.0), (2, 1.0), (5, 0.4), (20_000, 0.2)])
def test_the_least_part_on_demand_is_true_for_every_number_of_machines(machines: int, least: float) -> None:
    some = a_shelf(capacity={"spotPercent": 80, "onDemandBase": 1})

    found = some.on_demand_least(machines)
    assert found == pytest.approx(least, abs=1e-3)
    assert all(some.on_demand_due(n) >= found * n - 1e-9 for n in range(1, machines, 7))
