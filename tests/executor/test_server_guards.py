"""Every guard of a server step is needed: with it the step is refused, without it that step would pass.

Each case spoils a world in which the step is right by one thing. Taking the one check out of the list must let the step
pass: so no check is there in vain, and removing any of them fails here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from reconciler.errors import GuardError, QuorumAtRiskError
from reconciler.guards import (
    ADD_CHECKS,
    REMOVE_PEER_CHECKS,
    TERMINATE_CHECKS,
    TRANSFER_CHECKS,
    Check,
    ServerCase,
    all_clear,
    bears_a_joiner,
    checks_of,
    claim_unused,
    guard_server_step,
    heir_is_well,
    leader_answered,
    no_other_step,
    nobody_joins,
    not_the_leader,
    one_more_at_most,
    others_well,
    quorum_stays,
    really_dead,
    same_server,
    still_failed,
)
from reconciler.machine import named_server_template, server_template
from reconciler.reconcilers.servers.health import assess
from schemas.plan import (
    AddServer,
    QuorumChange,
    Reason,
    RemovePeer,
    ServerAction,
    TerminateServer,
    TransferLeadership,
)
from schemas.servers import ServerStep, StepKind
from schemas.world import Snapshot
from support.builders import NOON
from support.quorums import (
    PROD,
    a_machine,
    a_quorum,
    address,
    dead,
    server_id,
    with_autopilot,
    with_look,
    with_machine,
    with_record,
    with_view,
    without_peer,
)

COUNT = 5  # servers that the document wants
CHANGE = QuorumChange(voters=3, healthy=3, voters_after=4, healthy_after=3)
ADD = AddServer(
    claim="server-3-4",
    template=named_server_template(PROD, server_template(PROD, "x86_64"), "t3.small", "subnet-a1"),
    zone="us-east-1a",
    cause=Reason.OUTDATED,
    change=CHANGE,
    reason="",
    price=0.02,
)
REPLACE = replace(ADD, cause=Reason.MISSING)
END = TerminateServer(
    instance_id=server_id(3),
    address=address(3),
    peer_id="raft-3",
    voluntary=True,
    cause=Reason.OUTDATED,
    change=CHANGE,
    reason="",
)
END_DEAD = replace(
    END, instance_id=server_id(2), address=address(2), peer_id="raft-2", voluntary=False, cause=Reason.SERVER_FAILED
)
FORGET = RemovePeer(
    peer_id="raft-2",
    name=f"{server_id(2)}.global",
    address=f"{address(2)}:4647",
    instance_id=server_id(2),
    change=CHANGE,
    reason="",
)
HAND_OVER = TransferLeadership(
    instance_id=server_id(0), to_id="raft-1", to_name=server_id(1), cause=Reason.OUTDATED, reason=""
)
OPEN = ServerStep(
    kind=StepKind.REMOVE, reason="begun elsewhere", begun_at=NOON, voluntary=True, instance_id="i-other", sure=True
)
LISTS = {"add": ADD_CHECKS, "terminate": TERMINATE_CHECKS, "remove": REMOVE_PEER_CHECKS, "transfer": TRANSFER_CHECKS}


def gone(snapshot: Snapshot, slot: int = 2) -> Snapshot:
    return with_machine(dead(snapshot, slot), slot, state="terminated")


RIGHT: dict[str, tuple[ServerAction, Snapshot]] = {
    "add": (ADD, a_quorum(5)),
    "replace": (REPLACE, without_peer(with_machine(a_quorum(), 2, state="terminated"), 2)),
    "terminate": (END, a_quorum(4)),
    "terminate the dead": (END_DEAD, dead(a_quorum(), 2)),
    "remove": (FORGET, gone(a_quorum())),
    "transfer": (HAND_OVER, a_quorum(4)),
}


@pytest.mark.parametrize("which", RIGHT)
def test_a_right_step_passes(which: str) -> None:
    action, fresh = RIGHT[which]
    guard_server_step(action, fresh, COUNT)


def reborn(snapshot: Snapshot) -> Snapshot:
    """Let the fourth server's agent be another one than the plan saw: its raft id is new."""
    look, told = snapshot.look, snapshot.look.autopilot
    assert look.raft is not None
    assert told is not None
    renamed = tuple(replace(p, id="raft-new") if p.id == "raft-3" else p for p in look.raft)
    servers = tuple(replace(s, id="raft-new") if s.id == "raft-3" else s for s in told.servers)
    views = tuple(replace(v, peers=renamed) for v in snapshot.servers)
    return replace(with_look(snapshot, raft=renamed, autopilot=replace(told, servers=servers)), servers=views)


CASES: list[tuple[Check, str, Callable[[Snapshot], Snapshot]]] = [
    (no_other_step, "add", lambda s: with_record(s, step=OPEN)),
    (no_other_step, "terminate", lambda s: with_record(s, step=OPEN)),
    (no_other_step, "remove", lambda s: with_record(s, step=OPEN)),
    (no_other_step, "transfer", lambda s: with_record(s, step=OPEN)),
    (claim_unused, "add", lambda s: with_record(s, lives=4)),
    (
        one_more_at_most,
        "add",
        lambda s: a_quorum(6),
    ),
    (nobody_joins, "replace", lambda s: a_quorum(3, joiners=(2,))),
    (bears_a_joiner, "replace", lambda s: gone(a_quorum())),
    (others_well, "add", lambda s: with_view(s, 1, ready=False)),
    (others_well, "terminate", lambda s: with_view(a_quorum(5), 1, ready=False)),
    (others_well, "transfer", lambda s: with_view(s, 2, ready=False)),
    (same_server, "terminate", reborn),
    (same_server, "remove", lambda s: without_peer(s, 2)),
    (not_the_leader, "terminate", lambda s: a_quorum(4, leader=3)),
    (still_failed, "terminate the dead", lambda s: a_quorum(4)),
    (quorum_stays, "terminate the dead", lambda s: with_view(s, 1, ready=False)),
    (quorum_stays, "remove", lambda s: dead(s, 1)),
    (really_dead, "remove", lambda s: with_machine(s, 2, state="running")),
    (really_dead, "remove", lambda s: with_view(s, 2, reachable=True, leader=f"{address(0)}:4647", ready=True)),
    (heir_is_well, "transfer", lambda s: a_quorum(4, leader=2)),
]


def verdicts(action: ServerAction, fresh: Snapshot, checks: tuple[Check, ...]) -> None:
    case = ServerCase(action=action, fresh=fresh, quorum=assess(fresh, twice=True), count=COUNT)
    for check in checks:
        check(case)


@pytest.mark.parametrize(("check", "which", "spoil"), CASES)
def test_without_this_check_the_step_would_be_taken(
    check: Check, which: str, spoil: Callable[[Snapshot], Snapshot]
) -> None:
    action, fresh = RIGHT[which]
    spoilt = spoil(fresh)
    with pytest.raises(GuardError):
        guard_server_step(action, spoilt, COUNT)

    verdicts(action, spoilt, tuple(c for c in checks_of(action) if c is not check))


@pytest.mark.parametrize("which", RIGHT)
def test_nothing_is_done_while_the_quorum_is_frozen_or_the_leader_silent(which: str) -> None:
    action, fresh = RIGHT[which]
    torn = with_view(fresh, 1, leader=f"{address(1)}:4647")
    silent = with_look(fresh, autopilot=None, raft=None, fault="No cluster leader")
    with pytest.raises(GuardError, match=r"2 leaders are named.*two-leaders\.md"):
        guard_server_step(action, torn, COUNT)
    with pytest.raises(GuardError, match="the leader did not answer"):
        guard_server_step(action, silent, COUNT)
    for check, spoilt in ((all_clear, torn), (leader_answered, silent)):
        assert check in checks_of(action)
        with pytest.raises(GuardError):
            verdicts(action, spoilt, (check,))


def test_every_check_of_every_step_has_its_case() -> None:
    covered = {(check, checks_of(RIGHT[which][0])) for check, which, _ in CASES}
    everywhere = {all_clear, leader_answered}  # told above, for every step
    missing = [
        f"{name}: {check.__name__}"
        for name, checks in LISTS.items()
        for check in checks
        if check not in everywhere and (check, checks) not in covered
    ]
    # a dead peer that leads has no machine, and a leader is no dead peer: raft's word against all others'
    assert missing == ["remove: not_the_leader"]


def test_a_dead_peer_that_raft_calls_leader_is_not_removed() -> None:
    with pytest.raises(GuardError, match="leads"):
        guard_server_step(FORGET, gone(a_quorum(leader=2)), COUNT)


def test_the_refusal_names_the_numbers_and_the_way_out() -> None:
    with pytest.raises(QuorumAtRiskError, match=r"2 of 4 voters would be healthy, quorum is 3\. Wait until") as refused:
        guard_server_step(replace(END, voluntary=False), with_autopilot(dead(a_quorum(4), 2), 3, healthy=False), COUNT)
    assert (refused.value.healthy, refused.value.voters) == (2, 4)


def test_one_look_is_not_enough_for_a_step() -> None:
    with pytest.raises(GuardError, match="1 of 4 voters would be healthy"):
        guard_server_step(END, with_look(a_quorum(4), earlier=None), COUNT)


def test_the_step_that_is_open_may_go_on() -> None:
    mine = replace(OPEN, instance_id=server_id(3))
    guard_server_step(END, with_record(a_quorum(4), step=mine), COUNT)


def test_a_claim_that_a_machine_carries_is_used() -> None:
    ghost = replace(a_machine(8), state="terminated", tags={"nomad-reconciler:claim": ADD.claim})
    fresh = replace(a_quorum(), instances=(*a_quorum().instances, ghost))
    with pytest.raises(GuardError, match="server-3-4 was used before"):
        guard_server_step(ADD, fresh, COUNT)


END_LAST = replace(END, instance_id=server_id(1), address=address(1), peer_id="raft-1")


def test_a_lone_server_is_replaced_only_where_its_loss_is_accepted() -> None:
    guard_server_step(END_LAST, a_quorum(2), 1, risk_accepted=True)
    with pytest.raises(QuorumAtRiskError, match="1 of 2 voters"):
        guard_server_step(END_LAST, a_quorum(2), 1)


@pytest.mark.parametrize(
    ("action", "fresh", "count"),
    [
        (END_LAST, a_quorum(2), 3),
        (replace(END_LAST, voluntary=False, cause=Reason.NEVER_JOINED), with_view(a_quorum(2), 1, ready=False), 1),
        (END_LAST, with_view(a_quorum(2), 1, reachable=False), 1),
        (replace(END_LAST, voluntary=False), with_view(a_quorum(2), 0, ready=False), 1),
    ],
)
def test_an_accepted_risk_is_no_licence(action: ServerAction, fresh: Snapshot, count: int) -> None:
    """It covers a healthy server that leaves in good order beside another healthy one, where one is wanted."""
    with pytest.raises(GuardError):
        guard_server_step(action, fresh, count, risk_accepted=True)


def test_one_that_never_voted_may_be_ended_whatever_the_voters_are() -> None:
    never = replace(END, voluntary=False, cause=Reason.NEVER_JOINED, peer_id="")
    guard_server_step(never, without_peer(with_view(dead(a_quorum(4), 1), 3, ready=False), 3), COUNT)


@pytest.mark.parametrize(("which", "spoil"), [("terminate", {"state": None}), ("terminate", {"tags": {}})])
def test_a_machine_that_ec2_does_not_show_as_a_server_of_ours_is_not_ended(
    which: str, spoil: dict[str, object]
) -> None:
    action, fresh = RIGHT[which]
    case = ServerCase(
        action=action, fresh=with_machine(fresh, 3, **spoil), quorum=assess(fresh, twice=True), count=COUNT
    )
    with pytest.raises(GuardError, match="EC2 shows no server i-server-3-0"):
        same_server(case)


@pytest.mark.parametrize(
    "fresh",
    [
        with_view(a_quorum(4), 1, ready=False),
        with_autopilot(a_quorum(4), 1, healthy=False),
        without_peer(a_quorum(4), 1),
        a_quorum(4, joiners=(1,)),
    ],
)
def test_leadership_is_never_handed_to_one_that_is_not_a_healthy_voter(fresh: Snapshot) -> None:
    case = ServerCase(action=HAND_OVER, fresh=fresh, quorum=assess(fresh, twice=True), count=COUNT)
    with pytest.raises(GuardError, match="i-server-1-0 is no healthy voter"):
        heir_is_well(case)
