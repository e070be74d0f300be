"""Forming the first quorum: once, and never twice."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from reconciler.reconcilers.servers import plan_servers, quorum_missing
from schemas.faults import Source
from schemas.names import form_template
from schemas.plan import ForgetMember, FormServer, GiveUpForming, IntroduceServers, MarkFormed, Plan, Reason
from schemas.servers import Member, ServersRecord
from schemas.world import RaftPeer, ServersLook, ServerView
from support.builders import GROUP, NOON, a_group, a_server, a_snapshot, a_view

GHOSTS = ((0, 0, "alive"), (1, 0, "failed"), (2, 0, "failed"), (2, 1, "alive"))
THREE = ("10.1.0.0", "10.1.0.1", "10.1.0.2")


def formed_by(*slots: tuple[int, int, int]) -> frozenset[str]:
    return frozenset(form_template(GROUP, *slot) for slot in slots)


def test_an_empty_account_gets_one_machine_for_each_slot_in_zones_of_their_own() -> None:
    plan = plan_servers(a_snapshot(formed=False), a_group())

    assert [(a.slot, a.life, a.attempt, a.requests[0].zone) for a in plan.actions if isinstance(a, FormServer)] == [
        (0, 0, 0, "us-east-1a"),
        (1, 0, 0, "us-east-1b"),
        (2, 0, 0, "us-east-1c"),
    ]


def test_a_slot_tries_every_type_in_its_own_zone_before_it_goes_elsewhere() -> None:
    group = a_group(servers={"instanceTypes": ["t3.small", "t3a.small"]})
    action = plan_servers(a_snapshot(formed=False), group).actions[1]

    assert isinstance(action, FormServer)
    assert [f"{r.zone[-1]} {r.instance_type}" for r in action.requests] == [
        "b t3.small",
        "b t3a.small",
        "c t3.small",
        "c t3a.small",
        "a t3.small",
        "a t3a.small",
    ]


def test_a_type_of_another_architecture_is_not_launched_from_the_first_ones_image() -> None:
    group = a_group(servers={"instanceTypes": ["t4g.small", "t3.small"]})
    action = plan_servers(a_snapshot(formed=False), group).actions[0]

    assert isinstance(action, FormServer)
    assert {r.instance_type for r in action.requests} == {"t4g.small"}
    assert action.template.image_id == "ami-0456"


def test_an_attempt_without_a_machine_is_asked_again_as_it_was_written() -> None:
    """A crash after the template, a lost reply and a lagging describe look alike: the same token settles all three."""
    snapshot = a_snapshot(formed=False, templates=formed_by((1, 0, 0), (1, 0, 1)), instances=(a_server(0), a_server(2)))
    plan = plan_servers(snapshot, a_group())

    assert [(a.slot, a.life, a.attempt) for a in plan.actions if isinstance(a, FormServer)] == [(1, 0, 1)]


def test_a_machine_that_is_gone_makes_way_for_the_slots_next_life() -> None:
    gone = a_server(1, state="terminated")
    templates = formed_by((0, 0, 0), (1, 0, 3), (2, 0, 0))
    plan = plan_servers(
        a_snapshot(formed=False, templates=templates, instances=(a_server(0), gone, a_server(2))), a_group()
    )

    assert [(a.slot, a.life, a.attempt) for a in plan.actions if isinstance(a, FormServer)] == [(1, 1, 0)]


def test_nothing_is_ever_formed_where_the_marker_is() -> None:
    """Even with every server gone: their disks may come back, and a second cluster would be a second truth."""
    plan = plan_servers(a_snapshot(formed=True, instances=()), a_group())

    assert plan.actions == ()
    assert plan.holds[0].reason is Reason.FROZEN
    assert "docs/runbooks/quorum-lost.md" in plan.holds[0].message


def test_nothing_is_formed_beside_machines_that_belong_to_a_store() -> None:
    old = a_server(0, id="i-old", tags={"nomad-reconciler:store": "store-7", "nomad-reconciler:role": "client"})
    plan = plan_servers(a_snapshot(formed=False, instances=(old,)), a_group())

    assert plan.actions == ()
    assert plan.holds[0].reason is Reason.FROZEN
    assert "i-old" in plan.holds[0].message


def test_nothing_is_formed_beside_a_raft_peer_that_is_no_slot_of_ours() -> None:
    view = a_view(THREE[0], [*THREE, "10.9.9.9"])
    servers = tuple(a_server(s) for s in range(3))
    plan = plan_servers(a_snapshot(formed=False, instances=servers, servers=(view,)), a_group())

    assert plan.actions == ()
    assert plan.holds[0].reason is Reason.FROZEN
    assert "10.9.9.9" in plan.holds[0].message


def test_a_raft_peer_whose_machine_ec2_shows_gone_is_still_a_slot_of_ours() -> None:
    """A terminated machine loses its address; the agent's name is the instance's id."""
    gone = a_server(2, state="terminated", private_ip="")
    peers = tuple(
        RaftPeer(id=a, name=f"i-server-{n}-0.global", address=f"{a}:4647", leader=n == 0, voter=True)
        for n, a in enumerate(THREE)
    )
    view = a_view(THREE[0], THREE, peers=peers)
    snapshot = a_snapshot(formed=False, instances=(a_server(0), a_server(1), gone), servers=(view,))
    plan = plan_servers(snapshot, a_group())

    assert [(a.slot, a.life) for a in plan.actions if isinstance(a, FormServer)] == [(2, 1)]


def test_a_silent_ec2_is_no_empty_account() -> None:
    plan = plan_servers(a_snapshot(formed=False, unanswered={Source.EC2: "timed out"}), a_group())

    assert plan.actions == ()
    assert plan.holds[0].reason is Reason.SOURCE_UNANSWERED


def test_the_marker_comes_when_all_agents_name_one_leader_and_raft_holds_exactly_them() -> None:
    templates = formed_by((0, 0, 0), (1, 0, 0), (2, 0, 0))
    views = tuple(a_view(a, THREE) for a in THREE)
    servers = tuple(a_server(s) for s in range(3))
    plan = plan_servers(a_snapshot(formed=False, templates=templates, instances=servers, servers=views), a_group())

    (action,) = plan.actions
    assert isinstance(action, MarkFormed)
    assert set(action.attempts) == templates


@pytest.mark.parametrize(
    ("views", "why"),
    [
        ([a_view(a, THREE) for a in THREE[:2]], "2 of 3 agents answer"),
        ([*(a_view(a, THREE) for a in THREE[:2]), a_view(THREE[2], (), leader="")], "no leader is known"),
        ([*(a_view(a, THREE) for a in THREE[:2]), a_view(THREE[2], (THREE[2],))], "different leaders"),
        ([*(a_view(a, THREE) for a in THREE[:2]), a_view(THREE[2], THREE[:2])], "not all of 3"),
        ([*(a_view(a, THREE) for a in THREE[:2]), a_view(THREE[2], THREE, reachable=False)], "silent"),
    ],
)
def test_without_agreement_of_all_there_is_no_quorum(views: list[object], why: str) -> None:
    missing = quorum_missing(set(THREE), views)  # type: ignore[arg-type]

    assert missing is not None
    assert why in missing


def test_a_peer_that_does_not_vote_yet_is_not_counted() -> None:
    joining = tuple(
        RaftPeer(id=a, name=a, address=f"{a}:4647", leader=a == THREE[0], voter=a != THREE[2]) for a in THREE
    )
    missing = quorum_missing(set(THREE), [a_view(a, THREE, peers=joining) for a in THREE])

    assert missing is not None
    assert "not all of 3" in missing


def test_servers_that_found_only_themselves_are_introduced_to_each_other() -> None:
    alone = tuple(a_view(a, (), leader="", members=(a,)) for a in THREE)
    servers = tuple(a_server(s) for s in range(3))
    templates = formed_by((0, 0, 0), (1, 0, 0), (2, 0, 0))
    plan = plan_servers(a_snapshot(formed=False, templates=templates, instances=servers, servers=alone), a_group())

    told = {a.asked: set(a.addresses) for a in plan.actions if isinstance(a, IntroduceServers)}
    assert told == {a: set(THREE) - {a} for a in THREE}


def test_a_forming_server_whose_agent_is_silent_for_longer_than_its_timeout_is_given_up() -> None:
    servers = (a_server(0), a_server(1), a_server(2, launched_at=NOON - timedelta(minutes=11)))
    views = tuple(a_view(a, THREE[:2]) for a in THREE[:2])
    templates = formed_by((0, 0, 0), (1, 0, 0), (2, 0, 0))
    fresh = tuple(replace(s, launched_at=NOON - timedelta(minutes=9)) for s in servers[:2])
    snapshot = a_snapshot(formed=False, templates=templates, instances=(*fresh, servers[2]), servers=views)
    (action,) = plan_servers(snapshot, a_group()).actions

    assert isinstance(action, GiveUpForming)
    assert action.instance_id == "i-server-2-0"
    assert "11 min" in action.reason


def overdue(*views: ServerView, impaired: frozenset[str] = frozenset()) -> Plan:
    """Three forming servers, all launched long ago, as these views show them."""
    servers = tuple(a_server(slot, launched_at=NOON - timedelta(minutes=11)) for slot in range(3))
    templates = formed_by((0, 0, 0), (1, 0, 0), (2, 0, 0))
    silent = tuple(a_view(a, (), reachable=False) for a in THREE if a not in {v.address for v in views})
    snapshot = a_snapshot(formed=False, templates=templates, instances=servers, servers=(*views, *silent))
    return plan_servers(replace(snapshot, look=ServersLook(impaired=impaired)), a_group())


def test_where_no_agent_answers_it_may_be_us_and_nobody_is_given_up() -> None:
    plan = overdue()

    assert plan.actions == ()
    held = [h for h in plan.holds if h.reason is Reason.QUORUM_AT_RISK]
    assert len(held) == 3
    assert "it may be us who cannot reach them" in held[0].message


def test_a_silent_machine_that_ec2_calls_impaired_is_given_up() -> None:
    (action,) = overdue(impaired=frozenset({"i-server-1-0"})).actions

    assert isinstance(action, GiveUpForming)
    assert action.instance_id == "i-server-1-0"


def test_a_silent_voter_that_the_quorum_needs_is_not_given_up() -> None:
    """One of three answers: the other two may well be its quorum, which we alone do not reach."""
    plan = overdue(a_view(THREE[0], THREE))

    assert plan.actions == ()
    assert any("counts 3 voters, and only 1 of them answer without it" in h.message for h in plan.holds)


def test_a_forming_server_that_finds_no_other_is_given_up_where_the_others_found_each_other() -> None:
    together = [a_view(a, (), leader="", members=THREE[:2]) for a in THREE[:2]]
    (action,) = [
        a
        for a in overdue(*together, a_view(THREE[2], (), leader="", members=THREE[2:])).actions
        if isinstance(a, GiveUpForming)
    ]

    assert action.instance_id == "i-server-2-0"
    assert "its agent finds no other server" in action.reason


def test_where_nobody_finds_anybody_the_network_is_to_blame_and_nobody_is_given_up() -> None:
    plan = overdue(*(a_view(a, (), leader="", members=(a,)) for a in THREE))

    assert not [a for a in plan.actions if isinstance(a, GiveUpForming)]


def test_a_member_whose_machine_is_gone_is_forgotten_or_those_that_are_there_never_form() -> None:
    listed = tuple(Member(name=f"i-server-{s}-{life}.global", address="", status=told) for s, life, told in GHOSTS)
    views = tuple(a_view(a, (), leader="", gossip=listed) for a in THREE)
    servers = (a_server(0), a_server(1), a_server(2, life=1))
    record = ServersRecord(known={"i-server-2-0": "10.1.0.2"})
    templates = formed_by((0, 0, 0), (1, 0, 0), (2, 1, 0))
    snapshot = a_snapshot(formed=False, templates=templates, instances=servers, servers=views, record=record)

    told = [a.name for a in plan_servers(snapshot, a_group()).actions if isinstance(a, ForgetMember)]
    assert told == ["i-server-2-0.global"]


def test_a_group_without_servers_leaves_servers_alone() -> None:
    group = a_group()
    clients_only = group.model_copy(update={"spec": group.spec.model_copy(update={"servers": None})})

    assert plan_servers(a_snapshot(formed=False), clients_only).actions == ()
