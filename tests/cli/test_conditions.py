"""Conditions say whether a group is as it should be, and why not, in words and numbers (semantics §14)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from reconciler.arbiter import arbitrate
from reconciler.reconcilers import plan_all
from reconciler.status import Condition, GroupStatus, status_of
from schemas.document import ClusterGroup
from schemas.faults import Source
from schemas.plan import Hold, Plan, Reason
from schemas.world import TAG_STORE, Market, Resources, Snapshot
from support.builders import (
    NOON,
    a_blocked,
    a_claim,
    a_constraint,
    a_group,
    a_job,
    a_node,
    a_pool,
    a_task_group,
    an_allocation,
    an_instance,
)
from support.quorums import a_quorum

SERVERS = a_quorum().instances
HEADROOM = {"units": 3, "cpuMHz": 1000, "memoryMiB": 512}


def a_snapshot(**given: Any) -> Snapshot:
    """A quiet world with a quorum that is well by all witnesses."""
    return replace(a_quorum(), **given)


def status(group: ClusterGroup, snapshot: Snapshot, plan: Plan | None = None, **given: Any) -> GroupStatus:
    decided = arbitrate(snapshot, group, plan_all(snapshot, group)) if plan is None else plan
    return status_of(group, snapshot, decided, converged=not decided.actions, **given)


def condition(found: GroupStatus, kind: str) -> Condition:
    return next(c for c in found.conditions if c.type == kind)


def test_a_quiet_group_is_as_specified_in_every_condition() -> None:
    node = a_node(1)
    snapshot = a_snapshot(
        instances=(*SERVERS, an_instance(1)), nodes=(node,), allocations=(an_allocation(node),), jobs=(a_job(),)
    )
    found = status(a_group(pools=[a_pool(headroom=HEADROOM)]), snapshot)

    assert all(c.well for c in found.conditions), [c for c in found.conditions if not c.well]
    assert {c.reason for c in found.conditions} == {Reason.AS_SPECIFIED}
    assert condition(found, "Ready").message == "3 of 3 servers run, 1 of 1 node is ready"
    assert "quorum is 2, 1 may fail" in condition(found, "QuorumSafe").message
    assert condition(found, "HeadroomSatisfied").message == (
        "3 of 3 units of 1,000 MHz + 512 MiB are free in pool general"
    )


def test_nomad_that_is_not_there_yet_is_not_a_silent_source() -> None:
    snapshot = a_snapshot(
        instances=(), servers=(), templates=frozenset(), unanswered={Source.NOMAD: "no server of ours is running yet"}
    )
    found = status(a_group(pools=[a_pool()]), snapshot)

    assert condition(found, "SourceUnanswered").well
    assert condition(found, "QuorumSafe").reason is Reason.SERVERS_FORMING
    assert (condition(found, "DemandSatisfied").status, condition(found, "Ready").status) == ("Unknown", "False")


@pytest.mark.parametrize("source", list(Source))
def test_a_source_that_did_not_answer_is_named_with_what_was_heard(source: Source) -> None:
    snapshot = a_snapshot(instances=SERVERS, unanswered={source: "connection refused"})
    found = status(a_group(pools=[a_pool(headroom=HEADROOM)]), snapshot)

    silent = condition(found, "SourceUnanswered")
    assert (silent.status, silent.reason) == ("True", Reason.SOURCE_UNANSWERED)
    assert "connection refused" in silent.message
    assert condition(found, "Ready").status == "False"


def test_unknown_is_not_healthy() -> None:
    no_ec2 = status(a_group(), a_snapshot(unanswered={Source.EC2: "timeout"}))
    no_nomad = status(a_group(), a_snapshot(instances=SERVERS, unanswered={Source.NOMAD: "timeout"}))

    for found in (no_ec2, no_nomad):
        assert condition(found, "QuorumSafe").status == "Unknown"
        assert not condition(found, "QuorumSafe").well


@pytest.mark.parametrize(("running", "says"), [(2, "0 more may fail"), (1, "1 of 3 servers run, quorum is 2")])
def test_missing_servers_are_counted_against_the_quorum(running: int, says: str) -> None:
    quorum = condition(status(a_group(), a_snapshot(instances=SERVERS[:running])), "QuorumSafe")

    assert (quorum.status, quorum.reason) == ("False", Reason.MISSING)
    assert quorum.message.endswith(says)


def test_servers_that_the_document_leaves_alone_need_nobody() -> None:
    group = a_group(pools=[a_pool(join=["10.0.0.1:4647"])])
    group = group.model_copy(update={"spec": group.spec.model_copy(update={"servers": None})})
    quorum = condition(status(group, a_snapshot()), "QuorumSafe")

    assert (quorum.status, quorum.reason, quorum.well) == ("Unknown", Reason.NOT_MANAGED, True)


def test_what_waits_is_counted_and_the_reason_follows_what_is_done_about_it() -> None:
    job = a_job("web", queued=4)
    waiting = a_snapshot(instances=SERVERS, jobs=(job,), evaluations=(a_blocked(job),))
    coming = replace(waiting, claims=(a_claim(1, count=1),), instances=(*SERVERS,))

    bought = condition(status(a_group(pools=[a_pool()]), waiting), "DemandSatisfied")
    on_its_way = condition(status(a_group(pools=[a_pool()]), coming), "DemandSatisfied")

    assert (bought.status, bought.reason, bought.message) == ("False", Reason.DEMAND, "4 copies wait for room: 4 web")
    assert on_its_way.reason is Reason.ON_ITS_WAY


def test_work_that_nobody_can_serve_is_named_and_does_not_keep_the_group_from_being_ready() -> None:
    lost = a_task_group(constraints=(a_constraint("${attr.kernel.name}", "=", "windows"),))
    job = a_job("lost", queued=1, groups=(lost,))
    found = status(a_group(pools=[a_pool()]), a_snapshot(instances=SERVERS, jobs=(job,), evaluations=(a_blocked(job),)))

    helpless = condition(found, "Unsatisfiable")
    assert (helpless.status, helpless.reason, helpless.well) == ("True", Reason.UNSATISFIABLE, False)
    assert "job/lost" in helpless.message
    assert "${attr.kernel.name} = windows" in helpless.message
    assert condition(found, "DemandSatisfied").reason is Reason.UNSATISFIABLE
    assert condition(found, "Ready").well
    assert condition(found, "Ready").message.endswith("1 hold stays until something changes")


@pytest.mark.parametrize("type_", ["system", "sysbatch"])
def test_system_jobs_are_no_demand(type_: str) -> None:
    job = a_job("logs", queued=2, type=type_)

    assert condition(status(a_group(), a_snapshot(instances=SERVERS, jobs=(job,))), "DemandSatisfied").well


def test_two_halves_of_a_unit_on_two_nodes_are_no_headroom() -> None:
    nodes = tuple(a_node(n, total=Resources(cpu_mhz=900, memory_mib=8000, disk_mib=20000)) for n in (1, 2))
    snapshot = a_snapshot(instances=(*SERVERS, an_instance(1), an_instance(2)), nodes=nodes)
    short = condition(status(a_group(pools=[a_pool(headroom={**HEADROOM, "units": 1})]), snapshot), "HeadroomSatisfied")

    assert (short.status, short.reason) == ("False", Reason.HEADROOM)
    assert short.message == "0 of 1 units of 1,000 MHz + 512 MiB are free in pool general"


def test_headroom_on_machines_that_boot_is_not_there_yet() -> None:
    snapshot = a_snapshot(instances=(*SERVERS, an_instance(1, type="m6i.xlarge")))
    short = condition(status(a_group(pools=[a_pool(headroom=HEADROOM)]), snapshot), "HeadroomSatisfied")

    assert (short.status, short.reason) == ("False", Reason.ON_ITS_WAY)


def test_more_on_demand_machines_than_asked_for_are_a_fallback() -> None:
    pool = a_pool(capacity={"spotPercent": 100, "onDemandBase": 1})
    machines = [an_instance(n, market=Market.ON_DEMAND) for n in (1, 2)]
    one = status(a_group(pools=[pool]), a_snapshot(instances=(*SERVERS, machines[0])))
    two = status(a_group(pools=[pool]), a_snapshot(instances=(*SERVERS, *machines)))

    assert condition(one, "FallbackActive").well
    assert condition(two, "FallbackActive").reason is Reason.NO_OFFERING
    assert "2 on-demand machines where 1 of 2 would do" in condition(two, "FallbackActive").message


def test_a_cap_that_holds_something_back_is_named() -> None:
    job = a_job("web", queued=40)
    snapshot = a_snapshot(instances=(*SERVERS, an_instance(1)), jobs=(job,), evaluations=(a_blocked(job),))
    capped = condition(status(a_group(pools=[a_pool(size={"min": 0, "max": 1})]), snapshot), "AtMaximum")

    assert (capped.status, capped.reason) == ("True", Reason.AT_MAXIMUM)
    assert "size.max 1" in capped.message


def test_machines_of_another_store_stop_everything() -> None:
    foreign = replace(SERVERS[0], tags={**SERVERS[0].tags, TAG_STORE: "another"})
    found = status(a_group(), a_snapshot(instances=(foreign, *SERVERS[1:])))

    assert condition(found, "WrongCluster").status == "True"
    assert condition(found, "Ready").reason is Reason.WRONG_CLUSTER


def test_a_small_pool_is_not_ready() -> None:
    held = Plan(
        holds=(Hold(subject="pool/general", reason=Reason.BOOT_FAILING, message="its machines do not register"),)
    )
    found = status(a_group(pools=[a_pool(size={"min": 2, "max": 5})]), a_snapshot(instances=SERVERS), held)

    assert condition(found, "Ready").message == "0 of 2 nodes of pool general are ready"


@pytest.mark.parametrize(("mode", "reason"), [("observe", Reason.OBSERVING), ("paused", Reason.PAUSED)])
def test_a_group_that_is_not_enforced_is_neither_ready_nor_converged(mode: str, reason: Reason) -> None:
    found = status(a_group(mode=mode), a_snapshot(instances=SERVERS))

    assert condition(found, "Ready").reason is reason
    assert found.converged is False


def test_warnings_of_the_document_are_counted() -> None:
    found = status(a_group(), a_snapshot(instances=SERVERS), warnings=("prod.yaml:3:1: unwise",))

    assert condition(found, "DocumentInvalid").message == "the document is valid, with 1 warning"
    assert found.warnings == ("prod.yaml:3:1: unwise",)


# --- rows ------------------------------------------------------------------------------------------------------------


def test_a_machine_has_a_row_from_the_moment_it_is_asked_for() -> None:
    asked = a_claim(2, count=2, contents=())
    boots = an_instance(1, launched_at=NOON - timedelta(seconds=20))
    node = a_node(3)
    found = status(
        a_group(pools=[a_pool()]),
        a_snapshot(instances=(*SERVERS, boots, an_instance(3)), nodes=(node,), claims=(asked,)),
    )

    assert [(n.name, n.state) for n in found.nodes] == [
        ("i-0003", "ready"),
        ("i-0001", "booting"),
        ("general-2#0", "asked"),
        ("general-2#1", "asked"),
    ]
    (pool,) = found.pools
    assert (pool.machines, pool.ready, pool.coming) == (4, 1, 3)
    assert found.cost.hourly == pytest.approx(3 * 0.0208 + 4 * 0.096)


def test_a_row_says_what_a_node_holds_with_overhead_apart() -> None:
    node = a_node(1)
    work = [an_allocation(node, n) for n in (1, 2)]
    agent = an_allocation(node, 9, job_id="logs", group="agent", job_type="system", usage=Resources(cpu_mhz=500))
    ended = an_allocation(node, 3, client="complete")
    found = status(
        a_group(pools=[a_pool()]),
        a_snapshot(instances=(*SERVERS, an_instance(1)), nodes=(node,), allocations=(agent, *work, ended)),
    )

    (row,) = found.nodes
    assert [(w.job, w.group, w.copies, w.system) for w in row.work] == [
        ("web", "web", 2, False),
        ("logs", "agent", 1, True),
    ]
    assert (row.cpu_percent, row.memory_percent) == (30.0, 6.4)


def test_whether_a_machine_exists_is_the_word_of_ec2() -> None:
    node = a_node(1)
    found = status(
        a_group(pools=[a_pool()]),
        a_snapshot(instances=(*SERVERS, an_instance(1, state="shutting-down")), nodes=(node,)),
    )

    assert [n.state for n in found.nodes] == ["shutting-down"]
    assert found.pools[0].machines == 0


def test_nodes_that_are_nobodys_are_shown_without_pool_or_price() -> None:
    stray = a_node(7, name="laptop", attributes={}, meta={})
    found = status(a_group(pools=[a_pool()]), a_snapshot(instances=SERVERS, nodes=(stray,)))

    assert [(n.name, n.pool, n.price) for n in found.nodes] == [("laptop", "", 0.0)]


def test_dead_nodes_without_a_machine_are_history() -> None:
    found = status(a_group(), a_snapshot(instances=SERVERS, nodes=(a_node(1, status="down"),)))

    assert found.nodes == ()
