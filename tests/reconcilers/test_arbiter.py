"""Caps hold at every instant, and what they cut is said."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.arbiter import arbitrate
from reconciler.packing.census import clients_by_pool, hourly_cost
from reconciler.reconcilers.servers import plan_servers
from schemas.plan import EndMachine, Launch, Plan, Reason
from schemas.servers import FrozenSince
from schemas.world import Instance, Market, Override, Snapshot
from support.builders import NOON, a_claim, a_group, a_pool, a_server, a_snapshot, an_instance
from support.quorums import a_quorum, address, with_record, with_view

POOLS = [a_pool(name="general", size={"min": 0, "max": 8}), a_pool(name="batch", size={"min": 0, "max": 5})]


def a_launch(number: int = 100, *, count: int = 1, pool: str = "general", price: float = 0.1) -> Launch:
    return Launch(
        claim=f"{pool}-{number}",
        pool=pool,
        market=Market.ON_DEMAND,
        count=count,
        overrides=(Override(instance_type="m6i.large", subnet_id="subnet-a1", zone="us-east-1a", price=price),),
        template="t",
        contents=(),
        cause=Reason.DEMAND,
        reason="work waits",
    )


def counts(plan: Plan) -> list[int]:
    return [a.count for a in plan.actions if isinstance(a, Launch)]


def test_a_launch_within_all_caps_passes_unchanged() -> None:
    plan = Plan(actions=(a_launch(count=3),))

    assert arbitrate(a_snapshot(), a_group(pools=POOLS), plan) == plan


def test_a_pool_at_its_maximum_grows_no_more_and_says_so() -> None:
    eight = tuple(an_instance(n) for n in range(1, 9))
    plan = arbitrate(a_snapshot(instances=eight), a_group(pools=POOLS), Plan(actions=(a_launch(),)))

    assert plan.actions == ()
    assert plan.holds[0].reason is Reason.AT_MAXIMUM
    assert "size.max 8 leaves 0 of 1" in plan.holds[0].message


def test_what_is_left_of_a_cap_is_used() -> None:
    six = tuple(an_instance(n) for n in range(1, 7))
    plan = arbitrate(a_snapshot(instances=six), a_group(pools=POOLS), Plan(actions=(a_launch(count=5),)))

    assert counts(plan) == [2]
    assert "size.max 8 leaves 2 of 5" in plan.holds[0].message


def test_the_node_limit_counts_all_pools_and_no_servers() -> None:
    there = (*(a_server(n) for n in range(3)), an_instance(1))
    group = a_group(pools=POOLS, limits={"maxNodes": 4})
    plan = arbitrate(
        a_snapshot(instances=there), group, Plan(actions=(a_launch(count=2), a_launch(pool="batch", count=2)))
    )

    assert counts(plan) == [2, 1]
    assert plan.holds[0].reason is Reason.NODE_LIMIT


def test_a_launch_whose_outcome_is_unknown_counts_as_launched() -> None:
    claim = a_claim(7, count=7)
    plan = arbitrate(a_snapshot(claims=(claim,)), a_group(pools=POOLS), Plan(actions=(a_launch(count=3),)))

    assert counts(plan) == [1]


def test_machines_that_describe_does_not_show_yet_count_too() -> None:
    claim = a_claim(7, count=7, answered=True, instance_ids=tuple(f"i-{n:04}" for n in range(1, 8)))
    shown = tuple(an_instance(n) for n in range(1, 4))
    plan = arbitrate(
        a_snapshot(claims=(claim,), instances=shown), a_group(pools=POOLS), Plan(actions=(a_launch(count=3),))
    )

    assert counts(plan) == [1]


def test_the_cost_cap_counts_the_dearest_that_a_launch_may_become() -> None:
    cheap, dear = (
        Override(instance_type=t, subnet_id="subnet-a1", zone="us-east-1a", price=p)
        for t, p in (("a", 0.1), ("b", 0.4))
    )
    launch = replace(a_launch(count=4), overrides=(cheap, dear))
    plan = arbitrate(a_snapshot(), a_group(pools=POOLS, limits={"maxHourlyCost": 1.0}), Plan(actions=(launch,)))

    assert counts(plan) == [2]
    assert plan.holds[0].reason is Reason.COST_LIMIT


def test_servers_are_held_by_the_cost_cap_too() -> None:
    group = a_group(limits={"maxHourlyCost": 0.05})
    plan = arbitrate(a_snapshot(formed=False), group, plan_servers(a_snapshot(formed=False), group))

    assert len(plan.actions) == 2, "t3.small costs 0.0208 USD an hour: two fit under 0.05"
    assert any(h.reason is Reason.COST_LIMIT for h in plan.holds)


def test_the_launch_rate_is_a_pause_and_not_an_end() -> None:
    group = a_group(pools=POOLS, limits={"maxLaunchesPerMinute": 5})
    plan = arbitrate(a_snapshot(launched_last_minute=4), group, Plan(actions=(a_launch(count=3),)))

    assert counts(plan) == [1]
    assert plan.holds[0].reason is Reason.LAUNCH_RATE
    assert plan.holds[0].passing


def test_machines_of_another_store_stop_every_effect() -> None:
    theirs = an_instance(1, tags={**an_instance().tags, "nomad-reconciler:store": "store-7"})
    plan = arbitrate(a_snapshot(instances=(theirs,)), a_group(pools=POOLS), Plan(actions=(a_launch(),)))

    assert plan.actions == ()
    assert [h.reason for h in plan.holds] == [Reason.WRONG_CLUSTER]


def test_an_empty_store_beside_machines_of_a_store_is_the_wrong_one() -> None:
    """A wiped or restored store knows no claims: to act on it would launch the fleet a second time."""
    ours = an_instance(1, tags={**an_instance().tags, "nomad-reconciler:store": "store-1"})
    plan = arbitrate(a_snapshot(instances=(ours,), store_id=None), a_group(pools=POOLS), Plan(actions=(a_launch(),)))

    assert [h.reason for h in plan.holds] == [Reason.WRONG_CLUSTER]


def test_a_journal_that_cannot_be_read_stops_every_effect_forming_included() -> None:
    """It is there, so a cluster was: what it would have said is not to be guessed."""
    snapshot = a_snapshot(formed=False, journal_broken="the journal cannot be read")
    plan = arbitrate(snapshot, a_group(), plan_servers(snapshot, a_group()))

    assert plan.actions == ()
    assert plan.holds[-1].reason is Reason.FROZEN


launches = st.lists(
    st.tuples(st.sampled_from(["general", "batch"]), st.integers(1, 12), st.floats(0.01, 3.0)), min_size=1, max_size=6
)


def applied(snapshot: Snapshot, plan: Plan) -> Snapshot:
    claims = tuple(a.claimed(NOON) for a in plan.actions if isinstance(a, Launch))
    return replace(snapshot, claims=(*snapshot.claims, *claims))


@given(launches, st.integers(0, 8), st.integers(0, 10), st.floats(0.1, 9), st.integers(1, 9))
def test_no_cap_is_ever_passed_whatever_is_planned(
    planned: list[tuple[str, int, float]], running: int, nodes_max: int, dollars: float, rate: int
) -> None:
    limits: dict[str, Any] = {"maxNodes": nodes_max, "maxHourlyCost": dollars, "maxLaunchesPerMinute": rate}
    group = a_group(pools=POOLS, limits=limits)
    there: tuple[Instance, ...] = tuple(an_instance(n) for n in range(1, running + 1))
    snapshot = a_snapshot(instances=there)
    plan = Plan(
        actions=tuple(a_launch(100 + n, count=c, pool=p, price=price) for n, (p, c, price) in enumerate(planned))
    )

    cut = arbitrate(snapshot, group, plan)
    after = applied(snapshot, cut)
    live = clients_by_pool(after)
    assert all(live[p.name] <= max(p.size.max, clients_by_pool(snapshot)[p.name]) for p in group.spec.pools)
    assert sum(live.values()) <= max(nodes_max, running)
    assert hourly_cost(after) <= max(dollars, hourly_cost(snapshot)) + 1e-6
    assert sum(counts(cut)) <= rate
    assert (counts(cut) == counts(plan)) == (not cut.holds), "what is cut is said, and nothing else is"


END = EndMachine(instance_id="i-0001", reason="nobody explains it")


@pytest.mark.parametrize("when", ["now", "a look ago"])
def test_while_servers_are_frozen_no_client_is_removed_and_growth_goes_on(when: str) -> None:
    was = FrozenSince(runbook="two-leaders", message="2 leaders were named", since=NOON)
    torn = with_view(a_quorum(), 1, leader=f"{address(1)}:4647")
    snapshot = torn if when == "now" else with_record(a_quorum(), frozen=was)
    plan = arbitrate(snapshot, a_group(pools=POOLS), Plan(actions=(END, a_launch())))

    assert plan.actions == (a_launch(),)
    (hold,) = plan.holds
    assert (hold.subject, hold.reason) == ("node/i-0001", Reason.FROZEN)
    assert "2 leaders" in hold.message
    assert hold.message.endswith("held: nobody explains it")


def test_while_servers_are_well_a_removal_passes() -> None:
    assert arbitrate(a_quorum(), a_group(pools=POOLS), Plan(actions=(END,))).actions == (END,)


def test_servers_that_are_not_formed_yet_or_not_ours_freeze_nothing() -> None:
    forming, pools = a_snapshot(formed=False), a_group(pools=POOLS)
    foreign = pools.model_copy(update={"spec": pools.spec.model_copy(update={"servers": None})})

    assert arbitrate(forming, pools, Plan(actions=(END,))).actions == (END,)
    assert arbitrate(a_snapshot(), foreign, Plan(actions=(END,))).actions == (END,)
