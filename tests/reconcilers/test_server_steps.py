"""One server step at a time: the dead first, one more before one less, the leader last."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from reconciler.reconcilers.servers import plan_servers, tell_server
from reconciler.reconcilers.servers.record import remembered
from schemas.faults import Source
from schemas.plan import AddServer, IntroduceServers, Plan, Reason, RemovePeer, TerminateServer, TransferLeadership
from schemas.servers import FrozenSince, Member, ServersRecord, ServerStep, StepKind
from schemas.world import Market, Refused, Snapshot
from support.builders import NOON, a_group
from support.quorums import (
    PROD,
    a_machine,
    a_quorum,
    address,
    dead,
    failing_since,
    server_id,
    with_autopilot,
    with_gossip,
    with_look,
    with_machine,
    with_record,
    with_tags,
    with_view,
    without_peer,
)

FIVE = a_group(servers={"count": 5})
NEWER = a_group(nomad={"version": "2.0.6"})
MARK = {"nomad-reconciler:remove": "true"}


def plan(snapshot: Snapshot, group: object = PROD) -> Plan:
    return plan_servers(snapshot, group)  # type: ignore[arg-type]


def only(found: Plan) -> object:
    assert len(found.actions) == 1, found
    return found.actions[0]


def reasons(found: Plan) -> set[Reason]:
    return {h.reason for h in found.holds}


def test_three_servers_that_are_well_need_nothing() -> None:
    assert plan(a_quorum()) == Plan()


# --- the dead ---------------------------------------------------------------------------------------------------------


def test_a_failed_server_has_its_time_to_come_back() -> None:
    found = plan(failing_since(dead(a_quorum(), 2), 2, minutes=4.9))

    assert found.actions == ()
    assert reasons(found) == {Reason.SERVER_FAILING}
    assert "until 12:00:06" in found.holds[0].message
    assert "2 of 3 voters are healthy, quorum is 2" in found.holds[0].message


def test_then_its_machine_is_ended_though_it_still_is_a_peer() -> None:
    action = only(plan(failing_since(dead(a_quorum(), 2), 2, minutes=5)))

    assert isinstance(action, TerminateServer)
    assert (action.instance_id, action.peer_id, action.voluntary) == (server_id(2), "raft-2", False)
    assert action.change.told == "voters 3 to 3, healthy 2 to 2, tolerance 0 to 0"


def test_a_failed_server_that_leads_hands_over_before_its_machine_is_ended() -> None:
    ill = with_autopilot(a_quorum(leader=2), 2, healthy=False)
    action = only(plan(failing_since(ill, 2, minutes=5)))

    assert isinstance(action, TransferLeadership)
    assert (action.instance_id, action.cause) == (server_id(2), Reason.SERVER_FAILED)


def test_patience_is_what_the_document_says() -> None:
    patient = a_group(servers={"replaceAfter": "20m"})

    assert plan(failing_since(dead(a_quorum(), 2), 2, minutes=19), patient).actions == ()
    assert plan(failing_since(dead(a_quorum(), 2), 2, minutes=20), patient).actions


def stale(minutes: float) -> Snapshot:
    return failing_since(with_machine(dead(a_quorum(), 2), 2, state="terminated"), 2, minutes)


def test_a_dead_peer_without_a_machine_is_first_left_to_autopilot_then_removed_by_its_id() -> None:
    assert reasons(plan(stale(0.9))) == {Reason.STALE_PEER}
    action = only(plan(stale(1.1)))

    assert isinstance(action, RemovePeer)
    assert action.peer_id == "raft-2"


def test_a_peer_that_gossip_still_calls_alive_is_not_removed() -> None:
    """It would be added again."""
    found = plan(with_gossip(stale(5), 2, "alive"))

    assert found.actions == ()
    assert reasons(found) == {Reason.STALE_PEER}


def test_a_dead_peer_goes_before_its_replacement_comes() -> None:
    """A dead voter only raises the quorum: 2 of 4 would be none."""
    assert isinstance(only(plan(stale(2))), RemovePeer)
    action = only(plan(without_peer(stale(2), 2)))
    assert isinstance(action, AddServer)
    assert action.cause is Reason.MISSING
    assert action.change.told == "voters 2 to 3, healthy 2 to 2, tolerance 0 to 0"


def test_the_replacement_comes_to_the_empty_zone_under_a_claim_that_was_never_used() -> None:
    left = with_record(without_peer(stale(2), 2), lives=6)
    action = only(plan(left))

    assert isinstance(action, AddServer)
    assert (action.claim, action.zone) == ("server-2-7", "us-east-1c")


def test_where_ec2_refuses_a_zone_the_next_one_is_taken() -> None:
    out = tuple(
        Refused(instance_type=t, zone="us-east-1c", market=Market.ON_DEMAND, why="capacity", until=NOON + timedelta(1))
        for t in ("t3.small", "t3a.small")
    )
    action = only(plan(replace(without_peer(stale(2), 2), refused=out)))

    assert isinstance(action, AddServer)
    assert action.zone == "us-east-1a"


def test_a_machine_that_never_joined_has_its_registration_timeout() -> None:
    lonely = without_peer(with_gossip(with_view(a_quorum(), 2, reachable=False), 2, ""), 2)
    young = with_machine(lonely, 2, launched_at=NOON - timedelta(minutes=9))
    action = only(plan(with_machine(lonely, 2, launched_at=NOON - timedelta(minutes=10))))

    assert plan(young).actions == ()
    assert isinstance(action, TerminateServer)
    assert action.cause is Reason.NEVER_JOINED
    assert action.reason.startswith("registrationTimeout is over")


def test_a_failure_begins_when_it_is_seen_and_ends_only_when_the_server_is_well() -> None:
    first = remembered(dead(a_quorum(), 2), PROD)
    assert first.failing == {server_id(2): NOON}

    later = replace(dead(a_quorum(), 2), observed_at=NOON + timedelta(minutes=1), record=first)
    unsure = with_gossip(with_autopilot(later, 2, healthy=True), 2, "failed", by=lambda place: place == 0)
    assert remembered(later, PROD).failing == {server_id(2): NOON}
    assert remembered(unsure, PROD).failing == {server_id(2): NOON}
    assert remembered(a_quorum(record=first), PROD).failing == {}


# --- one more before one less -----------------------------------------------------------------------------------------


def test_an_outdated_server_is_replaced_by_adding_first() -> None:
    action = only(plan(a_quorum(), NEWER))

    assert isinstance(action, AddServer)
    assert action.cause is Reason.OUTDATED
    assert action.change.told == "voters 3 to 4, healthy 3 to 3, tolerance 1 to 0"
    assert action.template.tags["nomad-reconciler:revision"] not in {
        i.tags["nomad-reconciler:revision"] for i in a_quorum().instances
    }


def surplus(group: object = NEWER, leader: int = 0) -> Snapshot:
    """Three old ones and a new one in the first's zone."""
    snapshot = a_quorum(4, leader=leader)
    new = a_machine(3, group)  # type: ignore[arg-type]
    return replace(snapshot, instances=(*snapshot.instances[:3], new))


def test_then_an_old_one_goes_a_follower_before_the_leader() -> None:
    action = only(plan(surplus(), NEWER))

    assert isinstance(action, TerminateServer)
    assert action.instance_id in {server_id(1), server_id(2)}
    assert action.voluntary


def test_of_a_surplus_the_one_that_is_ill_goes_first() -> None:
    action = only(plan(with_autopilot(a_quorum(4), 1, healthy=False)))

    assert isinstance(action, TerminateServer)
    assert action.instance_id == server_id(1)


def test_of_two_followers_the_one_in_the_fullest_zone_goes() -> None:
    action = only(plan(surplus(leader=1), NEWER))

    assert isinstance(action, TerminateServer)
    assert action.instance_id == server_id(0), "the new one is in its zone"


def test_the_leader_hands_over_before_it_goes() -> None:
    last = surplus()
    new = {2: a_machine(2, NEWER), 1: a_machine(1, NEWER)}
    last = replace(last, instances=(last.instances[0], new[1], new[2], last.instances[3]))
    action = only(plan(last, NEWER))

    assert isinstance(action, TransferLeadership)
    assert action.instance_id == server_id(0)
    assert action.to_id in {"raft-1", "raft-2", "raft-3"}


def test_who_is_marked_by_an_operator_is_replaced() -> None:
    action = only(plan(with_tags(a_quorum(), 1, MARK)))
    assert isinstance(action, AddServer)
    assert action.cause is Reason.MARKED
    gone = only(plan(with_tags(a_quorum(4), 1, MARK)))
    assert isinstance(gone, TerminateServer)
    assert gone.instance_id == server_id(1)


def test_a_leader_that_is_marked_goes_after_the_outdated() -> None:
    gone = only(plan(with_tags(surplus(), 0, MARK), NEWER))

    assert isinstance(gone, TerminateServer)
    assert gone.instance_id != server_id(0)


def test_three_become_five_one_at_a_time() -> None:
    action = only(plan(a_quorum(), FIVE))
    assert isinstance(action, AddServer)
    assert action.reason == "3 of 5 servers are there"
    assert plan(a_quorum(4, joiners=(3,)), FIVE).actions == ()
    assert reasons(plan(a_quorum(4, joiners=(3,)), FIVE)) == {Reason.SERVER_JOINING}


def test_five_become_three_one_at_a_time_and_the_leader_stays() -> None:
    for leader in range(5):
        action = only(plan(a_quorum(5, leader=leader, group=FIVE)))
        assert isinstance(action, TerminateServer)
        assert action.instance_id != server_id(leader)
        assert action.change.told == "voters 5 to 5, healthy 5 to 4, tolerance 2 to 1"


def test_a_document_changed_back_in_the_middle_takes_back_what_came() -> None:
    action = only(plan(surplus(), PROD))

    assert isinstance(action, TerminateServer)
    assert action.instance_id == server_id(3), "the newcomer is the outdated one now"


SPOILT: list[Callable[[Snapshot], Snapshot]] = [
    lambda s: with_view(s, 1, ready=False),
    lambda s: with_gossip(s, 1, "leaving"),
    lambda s: with_autopilot(s, 1, healthy=False),
    lambda s: with_look(s, autopilot=None),
    lambda s: with_view(s, 1, reachable=False),
]


@pytest.mark.parametrize("spoil", SPOILT)
@pytest.mark.parametrize("group", [PROD, NEWER])
def test_a_voluntary_step_waits_until_all_are_well(spoil: Callable[[Snapshot], Snapshot], group: object) -> None:
    """One of four is marked and three are wanted, or three are outdated: both wait, and say for whom."""
    snapshot = spoil(with_tags(a_quorum(4), 3, MARK) if group is PROD else a_quorum())
    found = plan(snapshot, group)

    assert found.actions == ()
    assert Reason.QUORUM_AT_RISK in reasons(found)
    assert all(h.passing for h in found.holds)


def test_a_rollout_of_five_waits_for_the_one_that_is_ill_though_a_sixth_could_be_borne() -> None:
    newer = a_group(servers={"count": 5}, nomad={"version": "2.0.6"})
    found = plan(with_view(a_quorum(5), 1, ready=False), newer)

    assert found.actions == ()
    assert Reason.QUORUM_AT_RISK in reasons(found)
    assert (
        "wait for i-server-1-0, which is unhealthy: its agent does not answer for the leader" in found.holds[0].message
    )


def test_after_three_that_never_joined_the_rollout_halts_and_the_old_servers_stay() -> None:
    wanted = only(plan(a_quorum(), NEWER))
    assert isinstance(wanted, AddServer)
    revision = wanted.template.tags["nomad-reconciler:revision"]
    tried = with_record(a_quorum(), barren=3, barren_revision=revision, barren_at=NOON)

    assert reasons(plan(tried, NEWER)) == {Reason.ROLLOUT_HALTED}
    assert plan(tried, NEWER).actions == ()
    assert plan(with_record(tried, barren_revision="v1-other"), NEWER).actions, "another document is another try"


def crowded(snapshot: Snapshot) -> Snapshot:
    """Let the server of zone c stand in zone a, as after an outage of c."""
    return with_machine(snapshot, 2, zone="us-east-1a", subnet_id="subnet-a1")


def test_servers_that_crowd_a_zone_are_spread_again_once_all_is_quiet() -> None:
    action = only(plan(crowded(a_quorum())))

    assert isinstance(action, AddServer)
    assert (action.cause, action.zone) == (Reason.SPREAD, "us-east-1c")
    assert action.reason == "zone us-east-1a has 2 servers, us-east-1c has 0"


def test_a_new_server_is_left_in_peace_before_zones_are_evened_out() -> None:
    fresh = with_machine(crowded(a_quorum()), 1, launched_at=NOON - timedelta(minutes=4))
    (hold,) = plan(fresh).holds

    assert (hold.reason, hold.passing) == (Reason.SPREAD, True)
    assert "evened out in 6 min" in hold.message


def test_zones_are_not_evened_out_while_somebody_is_ill_or_ec2_has_nothing_there() -> None:
    ill = plan(with_view(crowded(a_quorum()), 1, ready=False))
    refused = tuple(
        Refused(
            instance_type=t,
            zone="us-east-1c",
            market=Market.ON_DEMAND,
            until=NOON + timedelta(minutes=3),
            why="capacity",
        )
        for t in ("t3.small", "t3a.small")
    )
    sold_out = plan(replace(crowded(a_quorum()), refused=refused))

    assert (ill.actions, sold_out.actions) == ((), ())
    assert [(h.reason, h.passing) for h in sold_out.holds] == [(Reason.NO_OFFERING, False)]


def test_after_the_spread_one_of_the_fullest_zone_goes() -> None:
    action = only(plan(with_machine(a_quorum(4), 3, zone="us-east-1a")))

    assert isinstance(action, TerminateServer)
    assert action.instance_id == server_id(3)


@pytest.mark.parametrize("spoil", [lambda s: s, lambda s: without_peer(with_machine(s, 2, state="terminated"), 2)])
def test_an_older_version_never_joins_a_newer_one(spoil: Callable[[Snapshot], Snapshot]) -> None:
    """Neither as an upgrade backwards nor as the replacement of a dead one: Nomad knows no way back."""
    older = a_group(nomad={"version": "2.0.4"})
    found = plan(with_gossip(spoil(a_quorum()), 0, "alive", build="2.0.10"), older)

    assert found.actions == ()
    (hold,) = [h for h in found.holds if h.reason is Reason.DOWNGRADE]
    assert "servers run Nomad 2.0.10, nomad.version is 2.0.4" in hold.message
    assert not hold.passing


# --- a step that was begun --------------------------------------------------------------------------------------------

GOING = ServerStep(
    kind=StepKind.REMOVE,
    reason="surplus",
    begun_at=NOON - timedelta(seconds=20),
    voluntary=True,
    instance_id=server_id(3),
    address=address(3),
    peer_id="raft-3",
    sure=True,
)
COMING = ServerStep(
    kind=StepKind.ADD,
    reason="missing",
    begun_at=NOON - timedelta(minutes=2),
    voluntary=True,
    claim="server-3-0",
    template="t",
    instance_id=server_id(3),
    sure=True,
)


def test_a_step_that_was_begun_is_gone_on_with_whatever_the_document_says_now() -> None:
    """We died between writing it down and doing it: the machine is told to end again."""
    action = only(plan(with_record(a_quorum(4), step=GOING), NEWER))

    assert isinstance(action, TerminateServer)
    assert action.instance_id == server_id(3)


def test_a_peer_that_outlives_its_machine_is_removed_by_its_id() -> None:
    leaving = with_record(with_machine(dead(a_quorum(4), 3), 3, state="shutting-down"), step=GOING)
    gone = with_record(with_machine(dead(a_quorum(4), 3), 3, state="terminated"), step=GOING)
    action = only(plan(gone))

    assert plan(leaving).actions == ()
    assert reasons(plan(leaving)) == {Reason.SERVER_LEAVING}
    assert isinstance(action, RemovePeer)
    assert action.peer_id == "raft-3"


def test_a_step_ends_when_its_machine_is_gone_and_two_voters_have_forgotten_the_peer() -> None:
    done = with_record(without_peer(with_machine(a_quorum(4), 3, state="terminated"), 3), step=GOING)
    only_one_saw = with_view(done, 1, peers=a_quorum(4).servers[1].peers)
    only_one_saw = with_view(only_one_saw, 2, reachable=False)

    assert remembered(done, PROD).step is None
    assert remembered(only_one_saw, PROD).step == GOING


def test_nothing_else_begins_while_a_server_joins() -> None:
    young = with_machine(a_quorum(4, joiners=(3,)), 3, launched_at=NOON - timedelta(minutes=2))
    found = plan(with_record(young, step=COMING), NEWER)

    assert found.actions == ()
    assert reasons(found) == {Reason.SERVER_JOINING}


def test_a_newcomer_that_joined_only_itself_is_introduced_to_the_voters() -> None:
    """Who comes up while nobody else answers has joined, as Nomad sees it, and never tries again."""
    alone = (Member(name="i-server-3-0.global", address=address(3), status="alive"),)
    snapshot = without_peer(with_view(a_quorum(4), 3, leader="", members=(address(3),), gossip=alone), 3)
    snapshot = with_machine(snapshot, 3, launched_at=NOON)
    action = only(plan(with_record(snapshot, step=COMING)))

    assert isinstance(action, IntroduceServers)
    assert (action.asked, action.addresses) == (address(3), tuple(address(s) for s in range(3)))


def test_a_newcomer_counts_when_it_has_voted_long_enough_for_clients_to_hear_of_it() -> None:
    first = remembered(with_record(a_quorum(4), step=COMING), PROD)
    assert first.step is not None
    assert first.step.voted_at == NOON

    early = replace(a_quorum(4), observed_at=NOON + timedelta(seconds=39), record=first)
    late = replace(early, observed_at=NOON + timedelta(seconds=40))
    assert remembered(early, PROD).step is not None
    assert remembered(late, PROD).step is None


def test_a_newcomer_that_votes_and_hangs_does_not_count_and_is_given_up() -> None:
    old = replace(COMING, begun_at=NOON - timedelta(minutes=11))
    hung = with_view(a_quorum(4), 3, reachable=False)
    hung = with_machine(with_record(hung, step=old), 3, launched_at=NOON - timedelta(minutes=11))
    assert remembered(hung, PROD).step == old
    action = only(plan(hung))

    assert isinstance(action, TerminateServer)
    assert (action.cause, action.voluntary) == (Reason.NEVER_JOINED, False)


# --- freezing ---------------------------------------------------------------------------------------------------------


def test_a_frozen_quorum_does_nothing_and_names_the_runbook() -> None:
    torn = with_view(failing_since(dead(a_quorum(), 2), 2, minutes=60), 1, leader=f"{address(1)}:4647")
    found = plan(torn)

    assert found.actions == ()
    assert reasons(found) == {Reason.FROZEN}
    assert "docs/runbooks/two-leaders.md" in found.holds[0].message


def test_while_nobody_answers_a_freeze_does_not_call_all_clear() -> None:
    """Everybody fell silent after the quorum was lost: what was seen last, and where to read on, is still told."""
    was = FrozenSince(runbook="quorum-lost", message="quorum is lost: 1 of 3", since=NOON)
    silent = with_look(a_quorum(servers=()), autopilot=None, raft=None, fault="nobody answers")
    (hold,) = plan(with_record(silent, frozen=was)).holds

    assert hold.message == (
        "frozen since 12:00:00: quorum is lost: 1 of 3; nobody can tell now: nobody answers; see"
        " docs/runbooks/quorum-lost.md"
    )


def test_a_freeze_ends_after_two_clean_looks() -> None:
    was = FrozenSince(runbook="two-leaders", message="2 leaders were named", since=NOON)
    once = remembered(a_quorum(record=ServersRecord(frozen=was)), PROD)
    assert once.frozen is not None
    assert plan(a_quorum(record=once), NEWER).actions == ()
    twice = remembered(a_quorum(record=once), PROD)
    assert twice.frozen is None
    assert plan(a_quorum(record=twice), NEWER).actions


@pytest.mark.parametrize("silent", [Source.STORE, Source.EC2])
def test_nothing_is_done_while_store_or_ec2_is_silent(silent: Source) -> None:
    found = plan(replace(stale(60), unanswered={silent: "timed out"}))

    assert found.actions == ()
    assert reasons(found) == {Reason.SOURCE_UNANSWERED}


# --- what is told of a server -----------------------------------------------------------------------------------------


def outlook(snapshot: Snapshot, slot: int, group: object = PROD) -> str:
    told = tell_server(snapshot, group, server_id(slot))  # type: ignore[arg-type]
    assert told is not None
    return told.outlook


def test_of_each_server_it_is_told_why_it_stays_or_goes() -> None:
    assert outlook(a_quorum(), 1) == "it stays"
    assert outlook(a_quorum(), 1, NEWER).startswith("it goes once its replacement votes: revision v1-")
    assert "the last of all as it leads" in outlook(a_quorum(), 0, NEWER)
    assert outlook(failing_since(dead(a_quorum(), 2), 2, 1), 2).startswith("it is replaced at 12:04:00 unless it comes")
    assert outlook(with_record(a_quorum(4), step=GOING), 3) == "it goes: surplus"
    torn = with_view(a_quorum(), 1, leader=f"{address(1)}:4647")
    assert "two-leaders.md" in outlook(torn, 2)


def test_what_would_happen_without_a_server_is_told_in_numbers() -> None:
    told = tell_server(dead(a_quorum(), 2), PROD, server_id(1))
    assert told is not None
    assert (
        "2 of 3 voters are healthy, quorum is 2; if it vanished now, 1 of 3 would be healthy: the quorum is lost"
        in (told.facts[-1])
    )


# --- what is said meanwhile -------------------------------------------------------------------------------------------


def held(snapshot: Snapshot) -> str:
    """The one sentence for which nothing is done."""
    found = plan(snapshot)
    assert found.actions == ()
    (hold,) = found.holds
    assert hold.passing
    return hold.message


def test_while_the_leader_is_silent_nothing_is_planned() -> None:
    silent = with_look(failing_since(dead(a_quorum(), 2), 2, minutes=60), autopilot=None, raft=None, fault="no route")

    assert held(silent) == "the servers' leader did not answer: no route"


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda s: with_machine(s, 3, state="shutting-down"), "EC2 says shutting-down, raft still has it"),
        (
            lambda s: without_peer(with_machine(s, 3, state="shutting-down"), 3),
            "EC2 says shutting-down, raft has forgotten it",
        ),
        (lambda s: without_peer(with_machine(s, 3, state=None), 3), "its machine is gone, raft has forgotten it"),
    ],
)
def test_of_one_that_leaves_it_is_told_how_far_it_is(spoil: Callable[[Snapshot], Snapshot], says: str) -> None:
    assert says in held(with_record(spoil(a_quorum(4)), step=GOING))


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda s: with_machine(s, 3, state="terminated"), "its machine is gone, and raft still has it"),
        (
            lambda s: replace(
                with_view(with_machine(s, 3, state="shutting-down"), 3, reachable=False),
                observed_at=NOON + timedelta(seconds=15),
            ),
            "it ends, and its agent is silent, and raft still has it",
        ),
    ],
)
def test_a_peer_that_outlives_its_agent_is_removed_and_it_is_told_why(
    spoil: Callable[[Snapshot], Snapshot], why: str
) -> None:
    action = only(plan(with_record(spoil(a_quorum(4)), step=GOING)))

    assert isinstance(action, RemovePeer)
    assert action.reason == f"surplus; {why}"


@pytest.mark.parametrize(
    ("snapshot", "says"),
    [
        (a_quorum(), "server-3-0 was asked for, and EC2 does not show it yet"),
        (without_peer(with_machine(a_quorum(4), 3, launched_at=NOON), 3), "boots; 3 of 3"),
        (with_machine(a_quorum(4, joiners=(3,)), 3, launched_at=NOON), "is no voter yet; 3 of 3"),
        (with_machine(a_quorum(4), 3, launched_at=NOON), "votes since 20 s; 4 of 4"),
    ],
)
def test_of_one_that_joins_it_is_told_how_far_it_is(snapshot: Snapshot, says: str) -> None:
    voted = NOON - timedelta(seconds=20) if "votes" in says else None

    assert says in held(with_record(snapshot, step=replace(COMING, voted_at=voted)))


# --- what is remembered while little is seen --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "blind",
    [
        lambda s: with_look(s, autopilot=None, raft=None, fault="no route"),
        lambda s: with_view(s, 1, leader=f"{address(1)}:4647"),
    ],
)
def test_while_nobody_or_two_lead_what_is_remembered_stays(blind: Callable[[Snapshot], Snapshot]) -> None:
    """Neither a failure begins or ends, nor a step, on the word of who cannot know."""
    before = with_record(failing_since(a_quorum(4), 2, minutes=3), step=replace(GOING, begun_at=NOON))
    left = remembered(blind(without_peer(with_machine(before, 3, state="terminated"), 3)), PROD)

    assert left.failing == before.record.failing
    assert left.step == before.record.step


def test_a_freeze_is_remembered_from_its_first_look_and_told_as_it_is_now() -> None:
    torn = with_view(a_quorum(), 1, leader=f"{address(1)}:4647")
    first = remembered(torn, PROD).frozen
    assert first is not None
    assert (first.since, first.runbook) == (NOON, "two-leaders")

    later = remembered(replace(with_record(torn, frozen=first), observed_at=NOON + timedelta(minutes=2)), PROD).frozen
    assert later is not None
    assert later.since == NOON


def test_a_step_that_had_no_lasting_effect_is_over_after_a_minute_and_not_before() -> None:
    handed = replace(GOING, sure=False, begun_at=NOON - timedelta(seconds=59))
    assert remembered(with_record(a_quorum(4), step=handed), PROD).step == handed
    over = replace(handed, begun_at=NOON - timedelta(seconds=61))
    assert remembered(with_record(a_quorum(4), step=over), PROD).step is None


def test_a_machine_that_was_told_to_end_and_lives_is_told_again_by_choice_alone_for_a_minute() -> None:
    asked = replace(GOING, begun_at=NOON - timedelta(seconds=61))
    assert remembered(with_record(a_quorum(4), step=asked), PROD).step is None
    forced = replace(asked, voluntary=False)
    assert remembered(with_record(a_quorum(4), step=forced), PROD).step == forced


@pytest.mark.parametrize(("peer", "kind"), [(True, StepKind.REMOVE), (False, None)])
def test_a_newcomer_whose_machine_ended_leaves_a_peer_to_be_removed_or_nothing(peer: bool, kind: object) -> None:
    ended = with_machine(a_quorum(4, joiners=(3,)), 3, state="terminated")
    record = remembered(with_record(ended if peer else without_peer(ended, 3), step=COMING), PROD)

    assert (record.step.kind if record.step else None) == kind
    assert record.barren == 1


def test_a_newcomer_that_ec2_does_not_show_is_waited_for_as_long_as_for_any() -> None:
    unseen = without_peer(with_machine(a_quorum(4), 3, state=None), 3)
    young = replace(COMING, begun_at=NOON - timedelta(minutes=9))
    assert remembered(with_record(unseen, step=young), PROD).step == young
    assert (
        remembered(with_record(unseen, step=replace(young, begun_at=NOON - timedelta(minutes=11))), PROD).step is None
    )


def test_a_missing_server_is_tried_again_half_an_hour_after_three_that_never_joined() -> None:
    """The quorum lacks one: it is never given up, only tried less often."""
    short = without_peer(with_machine(a_quorum(), 2, state="terminated"), 2)
    revision = a_machine(0).tags["nomad-reconciler:revision"]
    barren = with_record(short, barren=3, barren_revision=revision, barren_at=NOON - timedelta(minutes=29))
    found = plan(barren)
    assert found.actions == ()
    assert [(h.reason, "the next is tried at 12:01" in h.message) for h in found.holds] == [(Reason.BOOT_FAILING, True)]

    again = with_record(short, barren=3, barren_revision=revision, barren_at=NOON - timedelta(minutes=30))
    assert isinstance(only(plan(again)), AddServer)
    assert isinstance(only(plan(with_record(barren, barren=2))), AddServer)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"type": "m6i.large"}, "type m6i.large is not among t3.small, t3a.small"),
        ({"subnet_id": "subnet-z9"}, "subnet subnet-z9 is not in the document"),
    ],
)
def test_a_server_of_another_type_or_subnet_than_the_document_names_is_replaced(
    given: dict[str, object], why: str
) -> None:
    action = only(plan(with_machine(a_quorum(), 1, **given)))

    assert isinstance(action, AddServer)
    assert why in action.reason


def test_a_missing_server_is_not_added_where_its_vote_could_end_the_quorum() -> None:
    two_left = with_view(without_peer(with_machine(a_quorum(), 2, state="terminated"), 2), 1, ready=False)
    found = plan(two_left)

    assert found.actions == ()
    assert "one more voter that hangs would end the quorum: 1 of 2 voters are healthy" in found.holds[0].message
