"""What was bought for and not placed is not bought for again and again; what nodes really have corrects the model."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from reconciler.packing.predictions import GIVEN_UP, judged, questions
from reconciler.reconcilers.demand import plan_demand
from schemas.document import ClusterGroup
from schemas.nomad_plan import JobPlan
from schemas.plan import Hold, Launch, Plan, Reason
from schemas.predictions import Predictions
from schemas.world import Claim, Content, Failure, Job, Resources, Snapshot
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

MINUTE = timedelta(minutes=1)
RACK = a_constraint("${attr.rack}", "=", "r1")
RACKED = a_job(queued=1, groups=(a_task_group(constraints=(RACK,)),))


def racks() -> ClusterGroup:
    """A pool whose document says that its machines stand in a rack; the nodes will not say so."""
    return a_group(pools=[a_pool(attributes={"rack": "r1"})])


def bought(copies: int = 1, **given: Any) -> Claim:
    """A claim that was answered with machine 1, for copies of ``web``."""
    contents = (Content(job="web", group="web", copies=copies),)
    return a_claim(answered=True, instance_ids=("i-0001",), contents=contents, **given)


def joined(job: Job, *, ago: float = 40, **given: Any) -> Snapshot:
    """Machine 1 was bought for a job, is a node since so many seconds, and the job still waits."""
    node = a_node(registered_at=given.pop("at", NOON) - timedelta(seconds=ago), **given.pop("node", {}))
    some: dict[str, Any] = {"claims": (bought(),), "evaluations": (a_blocked(job),) if job.queued else ()}
    return a_snapshot(instances=(an_instance(),), nodes=(node,), jobs=(job,), **{**some, **given})


def later(snapshot: Snapshot, known: Predictions, at: datetime, **given: Any) -> Snapshot:
    """The same world at another time, with what is known by then."""
    return replace(snapshot, observed_at=at, predictions=known, **given)


def launches(plan: Plan) -> int:
    return sum(a.count for a in plan.actions if isinstance(a, Launch))


def held(plan: Plan, reason: Reason) -> Hold:
    (found,) = [h for h in plan.holds if h.reason is reason]
    return found


# --- promises --------------------------------------------------------------------------------------------------------


def test_what_nomad_placed_as_planned_is_kept_and_counted_once_its_claim_is_over() -> None:
    job = a_job(groups=(a_task_group(count=1),))
    placed = {"allocations": (an_allocation(a_node()),)}

    assert judged(joined(job, ago=40, **placed), racks()).kept == 1
    assert judged(joined(job, ago=20, **placed), racks()).kept == 0  # not yet: Nomad may still be at it


def test_a_promise_that_the_node_does_not_keep_is_a_miss_and_buys_nothing_for_a_while() -> None:
    world = joined(RACKED)
    known = judged(world, racks())

    assert (known.kept, known.missed) == (0, 1)
    (miss,) = known.misses
    assert "${attr.rack} = r1" in miss.why
    now = later(world, known, NOON, claims=())
    plan = plan_demand(now, racks())
    assert launches(plan) == 0
    assert "until 12:05:00" in held(plan, Reason.GIVEN_UP).message
    assert launches(plan_demand(later(now, known, NOON + 5 * MINUTE), racks())) == 1


def test_the_pause_grows_with_each_miss_and_after_half_an_hour_it_is_given_up() -> None:
    known, at, pauses = Predictions(), NOON, []
    for _ in range(3):
        known = judged(joined(RACKED, at=at, predictions=known, observed_at=at), racks())
        until = known.misses[0].until
        pauses.append(until and until - at)
        at += 10 * MINUTE

    assert pauses == [5 * MINUTE, 10 * MINUTE, None]
    plan = plan_demand(later(joined(RACKED), known, at + 100 * MINUTE, claims=()), racks())
    assert launches(plan) == 0
    assert "given up until the job or the document changes" in held(plan, Reason.GIVEN_UP).message


def test_time_alone_gives_up_what_machines_were_ready_for_half_an_hour_ago() -> None:
    world = joined(RACKED)
    known = judged(world, racks())
    known = judged(later(world, known, NOON + GIVEN_UP, claims=()), racks())

    assert known.misses[0].until is None


def test_another_registration_of_the_job_and_another_document_are_another_chance() -> None:
    world = joined(RACKED)
    known = judged(world, racks())
    again = replace(RACKED, submitted_at=NOON)

    assert judged(later(world, known, NOON, claims=(), jobs=(again,)), racks()).misses == ()
    assert judged(later(world, known, NOON, claims=()), a_group(pools=[a_pool()])).misses == ()
    assert judged(later(world, known, NOON, claims=()), racks()).misses != ()


def test_what_waits_no_more_is_forgotten() -> None:
    world = joined(RACKED)
    known = judged(world, racks())

    assert judged(later(world, known, NOON, claims=(), jobs=(replace(RACKED, queued={}),)), racks()).misses == ()


def test_a_node_smaller_than_the_catalogue_is_learnt_from_and_the_next_one_is_bought_at_once() -> None:
    job = a_job(queued=1, groups=(a_task_group(ask=Resources(cpu_mhz=500, memory_mib=7400)),))
    small = {"total": Resources(cpu_mhz=5800, memory_mib=7000, disk_mib=20000, cores=2)}
    world = joined(job, node=small)
    known = judged(world, a_group(pools=[a_pool()]))

    assert known.missed == 1
    assert "memory: needs 7,400 MiB, 7,000 free" in known.misses[0].why
    plan = plan_demand(later(world, known, NOON, claims=(), nodes=(), instances=()), a_group(pools=[a_pool()]))
    (launch,) = [a for a in plan.actions if isinstance(a, Launch)]
    assert {o.instance_type for o in launch.overrides} == {"m6i.xlarge"}  # remembered, though the node is gone


def test_room_that_other_work_took_is_no_miss() -> None:
    others = tuple(an_allocation(a_node(), n, job_id="other", usage=Resources(cpu_mhz=2400)) for n in (1, 2))

    assert judged(joined(a_job(queued=1), allocations=others), racks()).missed == 0


def test_headroom_is_no_promise_to_anybody() -> None:
    claim = replace(bought(), contents=(Content(job="headroom", group="1,000 MHz", copies=3),))

    assert judged(joined(a_job(), claims=(claim,)), racks()) == replace(
        Predictions(), measured=judged(joined(a_job()), racks()).measured
    )


# --- Nomad's own word ------------------------------------------------------------------------------------------------

WORDS = Failure(nodes_evaluated=1, nodes_exhausted=1, dimensions={"devices: no devices match request": 1})
NO = JobPlan(namespace="default", job_id="web", failed={"web": 1}, failures={"web": WORDS})
YES = JobPlan(namespace="default", job_id="web", placed={"web": 1})


def fits_by_our_count(**given: Any) -> Snapshot:
    """A job waits for two minutes though a node that is ready has room for it."""
    job = a_job(queued=1)
    blocked = a_blocked(job, created_at=NOON - 2 * MINUTE)
    return joined(job, ago=3600, **{"claims": (), "evaluations": (blocked,), **given})


def test_nomad_is_asked_about_what_fits_by_our_count_and_waits_all_the_same() -> None:
    young = a_blocked(a_job(queued=1), created_at=NOON - timedelta(seconds=30))

    assert questions(fits_by_our_count(), racks()) == (("default", "web"),)
    assert questions(fits_by_our_count(evaluations=(young,)), racks()) == ()


def test_no_more_than_two_jobs_are_asked_about_at_once_and_none_again_soon() -> None:
    jobs = tuple(a_job(f"web-{n}", queued=1) for n in range(5))
    blocked = tuple(a_blocked(j, created_at=NOON - 2 * MINUTE) for j in jobs)
    world = joined(jobs[0], ago=3600, claims=(), evaluations=blocked)
    world = replace(world, jobs=jobs)
    first = questions(world, racks())
    answers = [JobPlan(namespace=ns, job_id=job, placed={"web": 1}) for ns, job in first]
    known = judged(world, racks(), answers)

    assert len(first) == 2
    assert not set(questions(later(world, known, NOON + MINUTE), racks())) & set(first)
    assert set(questions(later(world, known, NOON + 60 * MINUTE), racks()))


def test_agreement_and_disagreement_are_counted() -> None:
    world = fits_by_our_count()

    assert (judged(world, racks(), [YES]).agreed, judged(world, racks(), [YES]).disagreed) == (1, 0)
    assert (judged(world, racks(), [NO]).agreed, judged(world, racks(), [NO]).disagreed) == (0, 1)
    assert judged(world, racks(), [NO]).disputes[0].said == (
        "1 of 1 nodes are exhausted in: devices: no devices match request",
    )


def test_where_nomad_says_no_to_every_ready_node_a_new_one_is_tried() -> None:
    world = fits_by_our_count()
    known = judged(world, racks(), [NO])

    assert launches(plan_demand(world, racks())) == 0
    assert launches(plan_demand(later(world, known, NOON), racks())) == 1
    forgotten = judged(later(world, known, NOON, jobs=(a_job(queued=1, submitted_at=NOON),)), racks())
    assert forgotten.disputes == ()


def test_a_machine_bought_against_our_own_count_is_not_bought_twice_while_it_is_new() -> None:
    world = fits_by_our_count()
    known = judged(world, racks(), [NO])
    fresh = a_node(2, registered_at=NOON - timedelta(seconds=10))
    claim = replace(bought(), name="general-2", instance_ids=("i-0002",))
    world = later(world, known, NOON, claims=(claim,))
    world = replace(world, nodes=(*world.nodes, fresh), instances=(*world.instances, an_instance(2)))

    assert launches(plan_demand(world, racks())) == 0


# --- what is not queued ----------------------------------------------------------------------------------------------


def test_a_service_of_which_nomad_wants_no_more_though_copies_are_missing_is_said() -> None:
    job = a_job(groups=(a_task_group(count=4),), submitted_at=NOON - 20 * MINUTE)
    world = joined(job, claims=(), allocations=(an_allocation(a_node()),))
    hold = held(plan_demand(world, racks()), Reason.STALLED)

    assert (hold.subject, hold.passing) == ("job/web", False)
    assert "3 of 4 web.web neither run nor wait" in hold.message
    assert "nomad job eval web" in hold.message


def test_a_young_service_and_one_that_is_looked_at_are_not_called_stalled() -> None:
    young = a_job(groups=(a_task_group(count=4),), submitted_at=NOON - 5 * MINUTE)
    delayed = a_job(groups=(a_task_group(count=4),), submitted_at=NOON - 20 * MINUTE)
    waits = a_blocked(delayed, status="pending", wait_until=NOON + MINUTE)

    assert plan_demand(joined(young, claims=()), racks()).holds == ()
    assert plan_demand(joined(delayed, claims=(), evaluations=(waits,)), racks()).holds == ()
