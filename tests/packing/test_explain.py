"""Why a job waits, who could serve it, what is on its way, what it would cost."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from reconciler.packing.explain import GroupExplained, explain_job
from reconciler.packing.feasible import Kind
from reconciler.packing.survey import survey
from reconciler.packing.wants import Want
from reconciler.packing.why import best_blocker, pool_blocker, reason_of
from schemas.plan import Reason
from schemas.world import Failure, Job, Market, Refused, Resources
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
)

POOLS = [a_pool(), a_pool(name="gpu", nodePool="gpu", instances={"types": ["g4dn.xlarge"]})]


def explained(job: Job, pools: list[dict[str, Any]] | None = None, **world: Any) -> GroupExplained:
    given = {"evaluations": (a_blocked(job),), **world}
    (one,) = explain_job(a_snapshot(jobs=(job,), **given), a_group(pools=POOLS if pools is None else pools), job)
    return one


def test_each_pool_answers_with_its_offer_or_with_the_exact_blocker() -> None:
    one = explained(a_job(queued=3))

    assert (one.group, one.queued, one.waits) == ("web", 3, True)
    assert [(p.pool, p.serves, p.text) for p in one.pools] == [
        ("general", True, "m6i.large in us-east-1a (on-demand) at 0.0960 USD an hour"),
        ("gpu", False, "it is for node pool default, not gpu"),
    ]
    assert one.price == pytest.approx(0.096)


def test_nomads_own_words_are_told_with_their_time() -> None:
    job = a_job(queued=1)
    failure = Failure(nodes_evaluated=5, constraints={"${meta.rack} = r9": 3}, dimensions={"memory": 2})
    evaluation = a_blocked(job, failures={"web": failure, "other": Failure()})
    other = a_blocked(a_job("else"), failures={"web": Failure(nodes_evaluated=9)})
    one = explained(job, evaluations=(evaluation, other))

    assert one.why == (
        "at 11:59:00 3 of 5 nodes were filtered by: ${meta.rack} = r9",
        "at 11:59:00 2 of 5 nodes were exhausted in: memory",
    )


def test_no_node_at_all_is_told_as_such() -> None:
    job = a_job(queued=1, node_pool="gpu")

    assert explained(job, evaluations=(a_blocked(job, failures={"web": Failure()}),)).why == (
        "at 11:59:00 Nomad found no node at all in its datacenters and node pool gpu",
    )


def test_room_that_is_there_or_coming_is_told_and_costs_nothing() -> None:
    ready = explained(a_job(queued=2), nodes=(a_node(),))
    coming = explained(a_job(queued=2), claims=(a_claim(),))

    assert (ready.coming, ready.price) == (("2 on i-0001 (ready)",), None)
    assert (coming.coming, coming.price) == (("2 on general-1 (on its way)",), None)


def test_what_nomad_has_not_decided_is_told() -> None:
    job = a_job(queued=1)
    one = explained(job, evaluations=(a_blocked(job, status="pending"),))

    assert "an evaluation is pending" in one.why[0]
    assert explained(job, broker_paused=True).why[0].startswith("the evaluation broker is paused")


def test_a_job_that_runs_waits_for_nothing_and_is_still_told_who_could_serve_it() -> None:
    one = explained(a_job(), evaluations=())

    assert (one.waits, one.price, one.why) == (False, None, ())
    assert one.pools[0].serves


def test_a_full_pool_that_could_serve_says_that_it_is_full() -> None:
    one = explained(a_job(queued=1), [a_pool(size={"min": 0, "max": 0})])

    assert one.pools[0].serves
    assert one.pools[0].text.endswith("the pool is at its maximum of 0 machines")


def test_what_nothing_serves_has_no_price() -> None:
    one = explained(a_job(queued=1, groups=(a_task_group(ask=Resources(memory_mib=999_999)),)))

    assert one.price is None
    assert "memory: needs 999,999 MiB, 15,155 free on an empty m6i.xlarge, the best of its 2 types" in one.pools[0].text


# --- blockers --------------------------------------------------------------------------------------------------------


def a_want(**given: Any) -> Want:
    pool = given.pop("pool", "")
    job = a_job(**given)
    return Want(job=job, group=job.groups[0], copies=1, since=NOON, pool=pool)


@pytest.mark.parametrize(
    ("pool", "world", "kind", "reason"),
    [
        ({"size": {"min": 0, "max": 5, "desired": 1}}, {}, Kind.PINNED, Reason.AT_MAXIMUM),
        ({"instances": {"types": ["no-such.*"]}}, {}, Kind.NO_OFFERING, Reason.NO_OFFERING),
        (
            {},
            {"claims": tuple(a_claim(n, asked_at=NOON - timedelta(hours=1)) for n in (1, 2, 3))},
            Kind.BOOT_FAILING,
            Reason.BOOT_FAILING,
        ),
        ({"nodePool": "other"}, {}, Kind.NODE_POOL, Reason.UNSATISFIABLE),
    ],
)
def test_a_pools_blocker_has_its_kind_and_is_held_under_its_reason(
    pool: dict[str, Any], world: dict[str, Any], kind: Kind, reason: Reason
) -> None:
    ground = survey(a_snapshot(**world), a_group(pools=[a_pool(**pool)]))
    why = pool_blocker(ground, ground.pools[0], a_want())

    assert why is not None
    assert (why.kind, reason_of(why)) == (kind, reason)


def test_of_a_types_constraints_the_nearest_to_passing_is_told() -> None:
    asks = (a_constraint("${attr.cpu.arch}", "=", "arm64"),)
    pools = [a_pool(instances={"types": ["m6g.large", "m6i.large"], "require": {"arch": ["x86_64", "arm64"]}})]
    ground = survey(a_snapshot(), a_group(pools=pools))
    big = a_want(groups=(a_task_group(constraints=asks, ask=Resources(memory_mib=99_999)),))
    why = pool_blocker(ground, ground.pools[0], big)

    assert why is not None
    assert why.text == "memory: needs 99,999 MiB, 7,577 free on an empty m6g.large, its only type"


def test_headroom_is_its_own_pools_business() -> None:
    ground = survey(a_snapshot(), a_group(pools=POOLS))
    gpu = next(p for p in ground.pools if p.name == "gpu")
    why = pool_blocker(ground, gpu, a_want(pool="general"))

    assert why is not None
    assert why.text == "it is the headroom of pool general"


def test_when_nothing_blocks_and_yet_nothing_was_bought_it_says_so() -> None:
    ground = survey(a_snapshot(), a_group(pools=[a_pool()]))

    assert best_blocker(ground, a_want())[1].kind is Kind.FULL


def test_the_first_of_the_refused_offerings_to_come_back_is_named() -> None:
    refused = tuple(
        Refused(
            instance_type=t,
            zone=f"us-east-1{z}",
            market=Market.ON_DEMAND,
            why="capacity",
            until=NOON + timedelta(minutes=minutes),
        )
        for t in ("m6i.large", "m6i.xlarge")
        for z, minutes in (("a", 6), ("b", 3), ("c", 12))
    )
    ground = survey(a_snapshot(refused=refused), a_group(pools=[a_pool()]))

    assert best_blocker(ground, a_want())[1].text == (
        "EC2 refuses all 6 offerings for now, the first is tried again at 12:03:00"
    )
