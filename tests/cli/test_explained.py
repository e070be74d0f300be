"""Explanations: why a job waits, why a node or a server stays or goes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from reconciler.status.explain import NodeExplained, explain_jobs, explain_nodes, explain_servers
from schemas.plan import Hold, Plan, Reason
from schemas.world import Snapshot
from support.builders import (
    NOON,
    a_blocked,
    a_claim,
    a_group,
    a_job,
    a_node,
    a_pool,
    a_server,
    a_snapshot,
    a_view,
    an_allocation,
    an_instance,
)

GROUP = a_group(pools=[a_pool()])
SERVERS = tuple(a_server(slot, zone=f"us-east-1{zone}") for slot, zone in enumerate("abc"))


def node(snapshot: Snapshot, name: str) -> NodeExplained:
    (found,) = explain_nodes(snapshot, GROUP, Plan(), name)
    return found


@pytest.mark.parametrize("name", ["web", "team/web"])
def test_a_job_is_found_by_its_id_with_or_without_its_namespace(name: str) -> None:
    snapshot = a_snapshot(jobs=(a_job("web", namespace="team"), a_job("other")))

    assert [e.name for e in explain_jobs(snapshot, GROUP, Plan(), name)] == ["team/web"]


def test_jobs_of_one_id_in_two_namespaces_are_both_explained() -> None:
    snapshot = a_snapshot(jobs=(a_job("web"), a_job("web", namespace="team")))

    assert [e.name for e in explain_jobs(snapshot, GROUP, Plan(), "web")] == ["web", "team/web"]


def test_a_job_that_waits_says_what_it_needs_and_who_could_serve_it() -> None:
    job = a_job("web", queued=3)
    hold = Hold(subject="job/web", reason=Reason.AT_MAXIMUM, message="size.max 0 leaves 0")
    snapshot = a_snapshot(jobs=(job,), evaluations=(a_blocked(job),))

    (found,) = explain_jobs(snapshot, GROUP, Plan(holds=(hold,)), "web")
    (group,) = found.groups

    assert found.verdict == "3 copies wait for room, 0 have it; machines can be had for them"
    assert (group.waiting, group.placed, group.price) == (3, 0, 0.096)
    assert [(p.pool, p.serves) for p in group.pools] == [("general", True)]
    assert found.holds == (hold,)


def test_a_job_that_runs_says_where() -> None:
    here = a_node(1)
    snapshot = a_snapshot(
        instances=(an_instance(1),), nodes=(here,), jobs=(a_job("web"),), allocations=(an_allocation(here),)
    )

    (found,) = explain_jobs(snapshot, GROUP, Plan(), "web")

    assert found.verdict == "nothing of it waits, 1 copy has room"
    assert found.groups[0].nodes == ("1 on i-0001",)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"stopped": True}, "stopped"),
        ({"parent": True}, "its children want room"),
        ({"type": "system"}, "no machine is bought for it"),
    ],
)
def test_jobs_that_want_no_machine_say_why(given: dict[str, Any], says: str) -> None:
    (found,) = explain_jobs(a_snapshot(jobs=(a_job("web", **given),)), GROUP, Plan(), "web")

    assert says in found.verdict


@pytest.mark.parametrize("name", ["i-0001", "node-0001", "node"])
def test_a_node_is_found_by_its_instance_its_id_or_the_beginning_of_it(name: str) -> None:
    snapshot = a_snapshot(instances=(an_instance(1),), nodes=(a_node(1),))

    assert node(snapshot, name).name == "i-0001"


def test_three_letters_are_too_few_to_name_a_node() -> None:
    snapshot = a_snapshot(instances=(an_instance(1),), nodes=(a_node(1),))

    assert list(explain_nodes(snapshot, GROUP, Plan(), "nod")) == []


@pytest.mark.parametrize(
    ("given", "verdict"),
    [
        ({}, "it stays: giving idle nodes back is not implemented yet"),
        ({"eligible": False}, "an operator made it ineligible: it is left alone"),
        ({"draining": True}, "an operator drains it: it is left alone"),
        ({"draining": True, "drain_meta": {"by": "nomad-reconciler"}}, "it goes: it is drained"),
        ({"status": "down"}, "it is down: replacing lost nodes is not implemented yet"),
    ],
)
def test_a_node_says_whether_it_stays(given: dict[str, Any], verdict: str) -> None:
    assert node(a_snapshot(instances=(an_instance(1),), nodes=(a_node(1, **given),)), "i-0001").verdict == verdict


def test_a_node_of_nobody_or_of_a_pool_that_is_gone_is_left_alone() -> None:
    stray = a_snapshot(nodes=(a_node(7, name="laptop", attributes={}, meta={}),))
    gone = a_snapshot(instances=(an_instance(1, tags={**an_instance(1).tags, "nomad-reconciler:pool": "old"}),))

    assert "never touched" in node(stray, "laptop").verdict
    assert "its pool old is not in the document any more" in node(gone, "i-0001").verdict


@pytest.mark.parametrize(
    ("age", "says"),
    [(40, "it boots for 40s now, and may take the"), (900, "it should have registered: it boots for 15m")],
)
def test_a_machine_that_boots_is_given_its_time(age: int, says: str) -> None:
    snapshot = a_snapshot(instances=(an_instance(1, launched_at=NOON - timedelta(seconds=age)),))

    assert says in node(snapshot, "i-0001").verdict


def test_a_claim_is_explained_before_ec2_shows_a_machine() -> None:
    found = node(a_snapshot(claims=(a_claim(4),)), "general-4")

    assert (found.name, found.verdict) == ("general-4#0", "it was asked for, and EC2 does not show it yet")


def test_a_node_says_how_full_it_is_by_the_measure_of_scale_down() -> None:
    here = a_node(1)
    snapshot = a_snapshot(instances=(an_instance(1),), nodes=(here,), allocations=(an_allocation(here),))
    facts = node(snapshot, "i-0001").facts

    assert "free are 4,500 of 5,000 MHz, 7,744 of 8,000 MiB memory, 19,700 of 20,000 MiB disk" in facts
    assert any(f.startswith("idle by scaleDown's measure: work takes 10% CPU and 3% memory") for f in facts)
    assert "one of 1 machines of pool general, whose size is 0 to 50" in facts


@pytest.mark.parametrize(("running", "says"), [(3, "keep the quorum of 2"), (2, "lose the quorum of 2")])
def test_a_server_says_what_its_loss_would_mean(running: int, says: str) -> None:
    (found,) = explain_servers(a_snapshot(instances=SERVERS[:running]), GROUP, Plan(), "i-server-0-0")

    assert found.verdict.startswith("it stays")
    assert found.facts[-1] == f"{running} of 3 run; without it the others would {says}"


@pytest.mark.parametrize("name", ["10.1.0.1", "server-1-0", "i-server-1-0"])
def test_a_server_tells_what_its_agent_says(name: str) -> None:
    voters = [s.private_ip for s in SERVERS]
    snapshot = a_snapshot(formed=False, instances=SERVERS, servers=tuple(a_view(v, voters) for v in voters))

    (found,) = explain_servers(snapshot, GROUP, Plan(), name)

    assert "its agent names 10.1.0.0:4647 as leader, counts 3 raft peers" in found.facts
