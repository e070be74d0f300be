"""Each pool has its minimum, or just the number that is pinned; machines on their way count."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from reconciler.reconcilers.size import plan_size
from schemas.document import ClusterGroup
from schemas.faults import Source
from schemas.plan import Launch, Plan, Reason
from schemas.world import Market
from support.applied import launched, settled
from support.builders import NOON, a_claim, a_group, a_pool, a_snapshot, an_instance


def a_sized(**size: Any) -> ClusterGroup:
    return a_group(pools=[a_pool(size=size)])


def launches(plan: Plan) -> list[Launch]:
    return [a for a in plan.actions if isinstance(a, Launch)]


def test_an_empty_pool_gets_its_minimum_of_the_cheapest_type() -> None:
    plan = launches(plan_size(a_snapshot(), a_sized(min=3, max=9)))

    assert sum(a.count for a in plan) == 3
    assert {(a.cause, a.contents) for a in plan} == {(Reason.MINIMUM, ())}
    assert {a.overrides[0].instance_type for a in plan} == {"m6i.large"}
    assert {a.overrides[0].zone for a in plan} == {"us-east-1a", "us-east-1b", "us-east-1c"}
    assert {a.reason for a in plan} == {"0 of size.min 3 machines are there"}


def test_live_machines_and_machines_on_their_way_count() -> None:
    two = (an_instance(1), an_instance(2, state="pending"))
    world = a_snapshot(instances=(*two, an_instance(3, state="terminated")), claims=(a_claim(7, count=2),))

    assert [a.count for a in launches(plan_size(world, a_sized(min=5, max=9)))] == [1]
    assert plan_size(world, a_sized(min=4, max=9)) == Plan()


def test_a_stopped_machine_counts_as_live() -> None:
    world = a_snapshot(instances=(an_instance(state="stopped"),))

    assert plan_size(world, a_sized(min=1, max=9)) == Plan()


def test_desired_pins_the_number_above_the_minimum() -> None:
    world = a_snapshot(instances=(an_instance(),))

    assert sum(a.count for a in launches(plan_size(world, a_sized(min=1, max=9, desired=4)))) == 3
    assert launches(plan_size(world, a_sized(min=1, max=9, desired=4)))[0].reason == (
        "1 of size.desired 4 machines are there"
    )


def test_more_machines_than_wanted_are_left_alone() -> None:
    world = a_snapshot(instances=tuple(an_instance(n) for n in range(1, 6)))

    assert plan_size(world, a_sized(min=1, max=9, desired=2)) == Plan()


def test_the_minimum_is_shared_between_markets() -> None:
    pool = a_pool(size={"min": 4, "max": 9}, capacity={"spotPercent": 50, "onDemandBase": 0})
    spot = {("m6i.large", f"us-east-1{z}"): 0.03 for z in "abc"}
    plan = plan_size(a_snapshot(spot_prices=spot), a_group(pools=[pool]))

    assert {m: sum(a.count for a in launches(plan) if a.market is m) for m in Market} == {
        Market.ON_DEMAND: 2,
        Market.SPOT: 2,
    }


def test_nothing_for_sale_is_said() -> None:
    plan = plan_size(a_snapshot(catalogue=type(a_snapshot().catalogue)(())), a_sized(min=1, max=9))

    assert plan.actions == ()
    assert [(h.subject, h.reason) for h in plan.holds] == [("pool/general", Reason.NO_OFFERING)]


def test_machines_that_never_register_are_not_bought_for_ever() -> None:
    claims = tuple(a_claim(n, asked_at=NOON - timedelta(minutes=11)) for n in (1, 2, 3))
    plan = plan_size(a_snapshot(claims=claims), a_sized(min=5, max=9))

    assert plan.actions == ()
    assert [h.reason for h in plan.holds] == [Reason.BOOT_FAILING]


@pytest.mark.parametrize("source", [Source.NOMAD, Source.EC2, Source.STORE])
def test_silence_is_no_reason_to_buy(source: Source) -> None:
    assert plan_size(a_snapshot(unanswered={source: "timeout"}), a_sized(min=1, max=9)).actions == ()


def test_a_minimum_on_its_way_or_there_is_not_bought_again() -> None:
    group = a_sized(min=3, max=9)
    plan = plan_size(a_snapshot(), group)

    assert plan_size(launched(plan, a_snapshot()), group) == Plan()
    assert plan_size(settled(plan, a_snapshot(), group), group) == Plan()
