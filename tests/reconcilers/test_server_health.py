"""Whether a server is well takes more than one witness, and what nobody could be asked about is not well."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from reconciler.reconcilers.servers.health import Verdict, assess
from schemas.servers import Autopilot, Member
from schemas.world import RaftPeer, Snapshot
from support.quorums import (
    a_peer,
    a_quorum,
    address,
    dead,
    server_id,
    with_autopilot,
    with_gossip,
    with_look,
    with_machine,
    with_record,
    with_view,
    without_peer,
)

Spoil = Callable[[Snapshot], Snapshot]


def test_servers_whom_all_witnesses_call_well_are_healthy() -> None:
    quorum = assess(a_quorum(), twice=True)

    assert [s.verdict for s in quorum.servers] == [Verdict.HEALTHY] * 3
    assert (quorum.healthy, quorum.required, quorum.tolerance) == (3, 2, 1)
    assert quorum.frozen is None


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda s: with_autopilot(s, 2, healthy=False), "autopilot calls it unhealthy"),
        (lambda s: with_gossip(s, 2, "failed"), "gossip says failed"),
        (lambda s: with_gossip(s, 2, "leaving"), "gossip says leaving"),
        (lambda s: with_view(s, 2, reachable=False), "its agent does not answer at 10.1.0.2"),
        (lambda s: with_view(s, 2, leader=""), "its agent knows no leader"),
        (lambda s: with_view(s, 2, ready=False), "its agent does not answer for the leader"),
        (lambda s: with_autopilot(s, 2, last_contact="29.1ms"), "LastContact stands at 29.1ms between two looks"),
        (lambda s: with_machine(s, 2, state="stopped"), "EC2 says stopped"),
        (lambda s: with_look(s, impaired=frozenset({server_id(2)})), "EC2's status checks fail"),
        (lambda s: without_peer(s, 2), "raft does not have it"),
    ],
)
def test_one_witness_against_a_server_is_enough(spoil: Spoil, why: str) -> None:
    server = assess(spoil(a_quorum())).of(server_id(2))

    assert server is not None
    assert server.verdict is Verdict.UNHEALTHY
    assert why in server.reason


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda s: with_look(s, autopilot=None), "autopilot did not answer"),
        (
            lambda s: with_look(s, autopilot=Autopilot(healthy=False, failure_tolerance=0)),
            "autopilot does not list it",
        ),
        (lambda s: with_gossip(s, 2, "failed", by=lambda place: place == 0), "gossip disagrees about it"),
        (lambda s: replace(s, servers=s.servers[:2]), "its own agent was not asked"),
    ],
)
def test_what_nobody_can_tell_is_unknown_and_not_healthy(spoil: Spoil, why: str) -> None:
    server = assess(spoil(a_quorum())).of(server_id(2))

    assert server is not None
    assert server.verdict is Verdict.UNKNOWN
    assert why in server.reason
    assert not server.standing


def test_who_was_looked_at_only_once_is_not_known_to_move() -> None:
    once = with_look(a_quorum(), earlier=None)

    assert assess(once).healthy == 3, "a plan may be made from one look"
    assert assess(once, twice=True).healthy == 1, "a step needs two, which only the leader does without"


def test_a_voter_that_autopilot_calls_healthy_for_ever_is_failed_when_it_stands_still_and_is_silent() -> None:
    """Frozen processes leave no trace in autopilot's health."""
    frozen = with_autopilot(with_view(a_quorum(), 2, reachable=False), 2, last_contact="29.1ms")
    server = assess(frozen).of(server_id(2))

    assert server is not None
    assert server.failed


def test_a_server_that_only_we_cannot_reach_has_not_failed() -> None:
    server = assess(with_view(a_quorum(), 2, reachable=False)).of(server_id(2))

    assert server is not None
    assert not server.failed


def nobody_reachable(snapshot: Snapshot) -> Snapshot:
    for slot in range(3):
        gossip = snapshot.servers[0].gossip
        snapshot = with_look(
            with_view(snapshot, slot, reachable=False, leader=None, peers=None, members=None, gossip=None),
            gossip=gossip or snapshot.look.gossip,
        )
    return snapshot


def test_where_no_agent_can_be_asked_nobody_is_healthy_and_the_others_word_counts_in_an_emergency() -> None:
    quorum = assess(nobody_reachable(a_quorum()))

    assert (quorum.healthy, quorum.standing) == (0, 3)


def test_where_no_agent_can_be_asked_a_server_has_failed_only_by_autopilot_gossip_and_ec2_together() -> None:
    told = nobody_reachable(dead(a_quorum(), 2))
    without_ec2 = assess(told).of(server_id(2))
    with_ec2 = assess(with_look(told, impaired=frozenset({server_id(2)}))).of(server_id(2))

    assert without_ec2 is not None
    assert not without_ec2.failed
    assert with_ec2 is not None
    assert with_ec2.failed


# --- freezing ---------------------------------------------------------------------------------------------------------


def stranger() -> RaftPeer:
    return RaftPeer(id="raft-x", name="legacy-1.global", address="10.9.9.9:4647", leader=False, voter=True)


@pytest.mark.parametrize(
    ("spoil", "runbook", "says"),
    [
        (lambda s: with_view(s, 2, leader=f"{address(2)}:4647"), "two-leaders", "2 leaders are named"),
        (
            lambda s: with_view(s, 2, leader=f"{address(2)}:4647", peers=(a_peer(7),)),
            "two-clusters",
            "disjoint raft configurations",
        ),
        (
            lambda s: with_look(s, raft=(*(s.look.raft or ()), stranger())),
            "unknown-server",
            "legacy-1.global at 10.9.9.9:4647",
        ),
        (lambda s: with_view(s, 2, peers=s.servers[2].peers[:2]), "two-leaders", "holds 2 raft peers, the leader 3"),
    ],
)
def test_what_must_not_be_touched_freezes_with_its_runbook(spoil: Spoil, runbook: str, says: str) -> None:
    frozen = assess(spoil(a_quorum())).frozen

    assert frozen is not None
    assert frozen.runbook == runbook
    assert says in frozen.message


def without_leader(snapshot: Snapshot, *silent: int) -> Snapshot:
    lost = with_look(snapshot, autopilot=None, earlier=None, raft=None, fault="No cluster leader")
    for slot in range(3):
        lost = with_view(lost, slot, leader="", ready=False, reachable=slot not in silent)
    return lost


def test_a_lost_quorum_freezes_with_its_numbers() -> None:
    frozen = assess(without_leader(a_quorum(), 1, 2)).frozen

    assert frozen is not None
    assert frozen.runbook == "quorum-lost"
    assert frozen.message == ("quorum is lost: 1 of 3 voters' agents answer, 10.1.0.1, 10.1.0.2 do not, and 2 must")


def test_an_election_is_not_called_a_lost_quorum() -> None:
    frozen = assess(without_leader(a_quorum(), 2)).frozen

    assert frozen is not None
    assert "may be electing one" in frozen.message
    assert frozen.passing


def test_a_dead_peer_whose_machine_ec2_has_forgotten_is_still_one_of_ours() -> None:
    gone = with_machine(dead(a_quorum(), 2), 2, state=None)

    assert assess(gone).frozen is None
    assert assess(with_record(gone, known={})).frozen is not None, "unless nobody remembers it"


def test_who_knows_only_itself_cannot_make_the_last_voter_unknown() -> None:
    """A lone voter and a joiner that has not met it: each is its own witness."""
    alone = (Member(name="i-server-1-0.global", address=address(1), status="alive"),)
    snapshot = without_peer(with_view(a_quorum(2), 1, leader="", members=(address(1),), gossip=alone), 1)
    quorum = assess(snapshot, twice=True)

    assert (quorum.healthy, len(quorum.voters)) == (1, 1)


def test_a_server_that_names_another_leader_than_raft_does_freezes_all_and_is_not_healthy() -> None:
    quorum = assess(with_view(a_quorum(), 1, leader=f"{address(1)}:4647"), twice=True)

    assert quorum.frozen is not None
    assert quorum.healthy < 3


def test_while_autopilot_is_silent_nobody_has_failed() -> None:
    """A dead one is unhealthy by the others' word; that it is over needs the leader's too."""
    quorum = assess(with_look(dead(a_quorum(), 2), autopilot=None, earlier=None))

    assert [s.failed for s in quorum.servers] == [False, False, False]
    assert not quorum.servers[2].healthy


def test_a_peer_without_a_machine_is_said_to_have_none() -> None:
    (gone,) = [s for s in assess(with_machine(a_quorum(), 2, state=None)).servers if s.instance is None]

    assert gone.failed
    assert "no machine is under it" in gone.reason


def test_where_nobody_tells_of_gossip_nobody_is_known_to_be_well() -> None:
    mute = a_quorum()
    mute = replace(mute, servers=tuple(replace(v, gossip=None) for v in mute.servers))

    assert {s.verdict for s in assess(mute).servers} == {Verdict.UNKNOWN}
