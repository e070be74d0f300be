"""In which market queued work is bought, and what stands in while one of them is out."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from reconciler.reconcilers.demand import plan_demand
from schemas.plan import Reason
from schemas.world import (
    Market,
    Refused,
)
from support.builders import (
    NOON,
    a_constraint,
    a_job,
    a_task_group,
    an_instance,
)
from support.demand import WHOLE, a_general, held, launches, markets, waiting

SPOT = {(t, f"us-east-1{z}"): 0.03 for t in ("m6i.large", "m6i.xlarge") for z in "abc"}


@pytest.mark.parametrize(
    ("base", "percent", "on_demand"), [(1, 80, 3), (0, 100, 0), (2, 50, 6), (10, 80, 10), (0, 0, 10), (0, 75, 3)]
)
def test_markets_are_shared_as_the_capacity_says(base: int, percent: int, on_demand: int) -> None:
    group = a_general(instances={"types": ["m6i.large"]}, capacity={"spotPercent": percent, "onDemandBase": base})
    plan = plan_demand(waiting(a_job(queued=10, groups=(WHOLE,)), spot_prices=SPOT), group)

    counted = {m: sum(a.count for a in launches(plan) if a.market is m) for m in Market}
    assert counted == {Market.ON_DEMAND: on_demand, Market.SPOT: 10 - on_demand}


def test_machines_that_are_there_count_towards_the_share() -> None:
    group = a_general(instances={"types": ["m6i.large"]}, capacity={"spotPercent": 50, "onDemandBase": 0})
    five = tuple(an_instance(n) for n in range(1, 6))
    plan = plan_demand(waiting(a_job(queued=5, groups=(WHOLE,)), spot_prices=SPOT, instances=five), group)

    assert markets(plan) == {Market.SPOT: 5}


def test_a_job_that_names_its_market_gets_it() -> None:
    lives = a_constraint("${attr.platform.aws.instance-life-cycle}", "=", "on-demand")
    group = a_general(capacity={"spotPercent": 100, "onDemandBase": 0})
    plan = plan_demand(waiting(a_job(queued=1, groups=(a_task_group(constraints=(lives,)),)), spot_prices=SPOT), group)

    assert [a.market for a in launches(plan)] == [Market.ON_DEMAND]


def refusing(*markets: Market) -> tuple[Refused, ...]:
    return tuple(
        Refused(instance_type=t, zone=z, market=m, why="capacity", until=NOON + timedelta(minutes=3))
        for t, z in SPOT
        for m in markets
    )


@pytest.mark.parametrize(("fallback", "market"), [(True, [Market.ON_DEMAND]), (False, [])])
def test_on_demand_stands_in_while_all_spot_is_out(fallback: bool, market: list[Market]) -> None:
    capacity = {"spotPercent": 100, "onDemandBase": 0, "fallbackToOnDemand": fallback}
    world = waiting(a_job(queued=1), spot_prices=SPOT, refused=refusing(Market.SPOT))
    plan = plan_demand(world, a_general(capacity=capacity))

    assert [a.market for a in launches(plan)] == market
    if not fallback:
        assert {h.reason for h in plan.holds} == {Reason.NO_OFFERING}


@pytest.mark.parametrize(("fallback", "bought_now", "holds"), [(True, 10, 0), (False, 5, 1)])
def test_without_fallback_the_spot_share_waits_for_spot(fallback: bool, bought_now: int, holds: int) -> None:
    capacity = {"spotPercent": 50, "onDemandBase": 0, "fallbackToOnDemand": fallback}
    world = waiting(a_job(queued=10, groups=(WHOLE,)), spot_prices=SPOT, refused=refusing(Market.SPOT))
    plan = plan_demand(world, a_general(instances={"types": ["m6i.large"]}, capacity=capacity))

    assert markets(plan) == {Market.ON_DEMAND: bought_now}
    assert [(h.subject, h.reason) for h in plan.holds] == [("pool/general", Reason.NO_OFFERING)] * holds
    assert all("5 spot machines not bought, 3 spot offerings are refused" in h.message for h in plan.holds)


def test_while_on_demand_is_out_its_share_is_bought_as_spot() -> None:
    capacity = {"spotPercent": 50, "onDemandBase": 0}
    world = waiting(a_job(queued=10, groups=(WHOLE,)), spot_prices=SPOT, refused=refusing(Market.ON_DEMAND))
    plan = plan_demand(world, a_general(instances={"types": ["m6i.large"]}, capacity=capacity))

    assert markets(plan) == {Market.SPOT: 10}


def test_when_everything_is_refused_it_says_until_when() -> None:
    world = waiting(a_job(queued=1), refused=refusing(Market.ON_DEMAND))
    plan = plan_demand(world, a_general())

    assert launches(plan) == []
    assert held(plan).reason is Reason.NO_OFFERING
    assert "EC2 refuses all 6 offerings" in held(plan).message
    assert "12:03:00" in held(plan).message


def test_an_offering_that_is_out_is_passed_over_until_its_time() -> None:
    out = Refused(instance_type="m6i.large", zone="us-east-1a", market=Market.ON_DEMAND, why="capacity", until=NOON)
    now_open = plan_demand(waiting(a_job(queued=3), refused=(out,)), a_general())
    still_out = plan_demand(
        waiting(a_job(queued=3), refused=(replace(out, until=NOON + timedelta(seconds=1)),)), a_general()
    )

    assert {o.zone for o in launches(now_open)[0].overrides} == {"us-east-1a", "us-east-1b", "us-east-1c"}
    assert {o.zone for o in launches(still_out)[0].overrides} == {"us-east-1b", "us-east-1c"}
