"""Beside their number: snapshots on time and before upgrades, one Elastic IP a server, the first ACL token."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from reconciler.reconcilers.servers import plan_servers
from schemas.document import ClusterGroup
from schemas.plan import AddServer, BootstrapAcl, GiveAddress, IntroduceServers, MarkFormed, Plan, Reason, SaveSnapshot
from schemas.servers import SavedSnapshot, ServerStep, StepKind
from schemas.world import Address, Snapshot
from support.builders import NOON, a_group, a_server, a_snapshot, a_view
from support.quorums import a_quorum, address, dead, server_id, with_look, with_machine, with_record, with_view

EVERY_SIX_HOURS = {"every": "6h", "keep": 4, "to": "/var/backups"}
SAVING = a_group(servers={"snapshots": EVERY_SIX_HOURS})
NEWER = a_group(servers={"snapshots": EVERY_SIX_HOURS}, nomad={"version": "2.0.6"})
IPS = ("eipalloc-0", "eipalloc-1", "eipalloc-2")
ADDRESSED = a_group(servers={"elasticIps": list(IPS)})


def saved(hours: float) -> SavedSnapshot:
    return SavedSnapshot(name="prod.snap", at=NOON - timedelta(hours=hours), sha256="", size=1)


def plan(snapshot: Snapshot, group: ClusterGroup) -> Plan:
    return plan_servers(snapshot, group)


# --- snapshots --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("hours", "due"), [(None, True), (6.0, True), (5.9, False)])
def test_a_snapshot_is_saved_when_the_last_one_is_as_old_as_the_schedule_says(hours: float | None, due: bool) -> None:
    record = {"saved": saved(hours)} if hours is not None else {}
    found = plan(with_record(a_quorum(group=SAVING), **record), SAVING)

    assert [(a.to, a.keep) for a in found.actions if isinstance(a, SaveSnapshot)] == [("/var/backups", 4)] * due


def test_without_a_schedule_nothing_is_saved() -> None:
    assert plan(a_quorum(), a_group()).actions == ()


def test_before_servers_are_replaced_a_snapshot_of_the_last_hour_is_there() -> None:
    old = with_record(a_quorum(group=SAVING), saved=saved(1.1))
    (action,) = plan(old, NEWER).actions
    assert isinstance(action, SaveSnapshot)
    assert action.cause is Reason.OUTDATED

    (action,) = plan(with_record(old, saved=saved(0.9)), NEWER).actions
    assert isinstance(action, AddServer)


def test_a_dead_server_is_replaced_without_a_snapshot() -> None:
    """Saving needs a leader that has the time; the quorum comes first."""
    gone = with_machine(dead(a_quorum(group=SAVING), 2), 2, state=None)
    look = gone.look
    assert look.raft is not None
    forgotten = with_look(gone, raft=tuple(p for p in look.raft if p.id != "raft-2"))
    views = tuple(replace(v, peers=tuple(p for p in v.peers or () if p.id != "raft-2")) for v in forgotten.servers)
    found = plan(replace(with_record(forgotten, saved=saved(5)), servers=views), NEWER)

    assert [type(a) for a in found.actions] == [AddServer]


def test_what_could_not_be_saved_is_tried_again_after_five_minutes_and_an_upgrade_waits() -> None:
    failed = with_record(a_quorum(group=SAVING), saved=saved(5), save_failed_at=NOON - timedelta(minutes=4))
    found = plan(failed, NEWER)
    assert found.actions == ()
    assert [(h.reason, h.passing) for h in found.holds] == [(Reason.SNAPSHOT_FAILED, False)]
    assert "could not be saved to /var/backups, tried again at 12:01:00" in found.holds[0].message

    later = replace(failed, observed_at=NOON + timedelta(minutes=1))
    assert [type(a) for a in plan(later, NEWER).actions] == [SaveSnapshot]


# --- addresses --------------------------------------------------------------------------------------------------------


def addressed(*holders: str) -> Snapshot:
    """Give three servers, and the region's addresses with those who have them."""
    ips = tuple(
        Address(allocation_id=name, public_ip=f"192.0.2.{n}", instance_id=holder)
        for n, (name, holder) in enumerate(zip(IPS, holders, strict=True))
    )
    return replace(a_quorum(group=ADDRESSED), elastic_ips=ips)


def given_to(found: Plan) -> list[tuple[str, str]]:
    return [(a.instance_id, a.allocation_id) for a in found.actions if isinstance(a, GiveAddress)]


def test_each_server_gets_the_address_of_its_slot() -> None:
    assert given_to(plan(addressed("", "", ""), ADDRESSED)) == [(server_id(n), IPS[n]) for n in range(3)]


def test_who_has_an_address_keeps_it_and_the_rest_take_what_is_free() -> None:
    assert given_to(plan(addressed(server_id(2), "", ""), ADDRESSED)) == [
        (server_id(0), IPS[1]),
        (server_id(1), IPS[2]),
    ]
    assert plan(addressed(server_id(2), server_id(0), server_id(1)), ADDRESSED) == Plan()


def test_a_machine_that_boots_gets_no_address() -> None:
    booting = with_machine(addressed(server_id(0), server_id(1), ""), 2, state="pending")
    assert given_to(plan(booting, ADDRESSED)) == []


def test_an_address_that_somebody_else_has_is_not_taken_away() -> None:
    found = plan(addressed(server_id(0), server_id(1), "i-somebody"), ADDRESSED)

    assert given_to(found) == []
    assert [(h.subject, h.reason) for h in found.holds] == [("address/eipalloc-2", Reason.ADDRESS_TAKEN)]
    assert "192.0.2.2 belongs to i-somebody" in found.holds[0].message


def test_addresses_that_nobody_could_list_are_left_alone() -> None:
    assert plan(replace(addressed("", "", ""), elastic_ips=None), ADDRESSED) == Plan()


# --- the first token --------------------------------------------------------------------------------------------------

SECURE = a_group(nomad={"acl": True, "bootstrapToken": "env:TOKEN"})
AT = ("10.1.0.0", "10.1.0.1", "10.1.0.2")
ONE, TWO = f"{AT[0]}:4647", f"{AT[1]}:4647"


def forming(*leaders: str, peers: bool = False) -> Snapshot:
    """Three servers whose agents name these leaders; with ACLs and without a token nobody shows its raft peers."""
    views = tuple(
        replace(a_view(a, AT), leader=leader, peers=a_view(a, AT).peers if peers else None)
        for a, leader in zip(AT, leaders, strict=True)
    )
    return a_snapshot(
        formed=False,
        instances=tuple(a_server(n) for n in range(3)),
        servers=views,
        templates=frozenset(f"nomad-reconciler-prod-form-{n}-0-0" for n in range(3)),
    )


def test_servers_that_name_one_leader_get_the_first_token_and_then_the_marker() -> None:
    (action,) = [a for a in plan(forming(ONE, ONE, ONE), SECURE).actions if isinstance(a, BootstrapAcl)]
    assert action.leader == ONE
    assert [type(a) for a in plan(forming(ONE, ONE, ONE, peers=True), SECURE).actions] == [
        BootstrapAcl,
        MarkFormed,
    ]


@pytest.mark.parametrize("leaders", [("", "", ""), (ONE, ONE, ""), (ONE, TWO, "")])
def test_nobody_gets_a_token_before_all_name_one_leader(leaders: tuple[str, str, str]) -> None:
    assert not [a for a in plan(forming(*leaders), SECURE).actions if isinstance(a, BootstrapAcl)]


def test_without_acls_there_is_no_token() -> None:
    assert not [a for a in plan(forming(ONE, ONE, ONE), a_group()).actions if isinstance(a, BootstrapAcl)]


def test_servers_that_show_nobody_are_introduced_while_acls_hide_whom_they_know() -> None:
    """Who found only itself knows no leader, without a leader there is no token, and without a token nobody tells."""
    silent = forming("", "", "")
    hidden = replace(silent, servers=tuple(replace(v, members=None, gossip=None) for v in silent.servers))

    assert [a.asked for a in plan(hidden, SECURE).actions if isinstance(a, IntroduceServers)] == list(AT)
    assert not [a for a in plan(hidden, a_group()).actions if isinstance(a, IntroduceServers)]


def test_nothing_is_kept_up_while_servers_are_frozen_or_their_leader_is_silent() -> None:
    free = addressed("", "", "")
    torn = with_view(free, 1, leader=f"{address(1)}:4647")
    silent = with_look(free, autopilot=None, raft=None, fault="no route")

    assert (plan(torn, ADDRESSED).actions, plan(silent, ADDRESSED).actions) == ((), ())


def test_a_surge_server_takes_what_is_free_and_one_that_leaves_takes_nothing() -> None:
    four = replace(a_quorum(4, group=ADDRESSED), elastic_ips=addressed(server_id(0), server_id(1), "").elastic_ips)
    leaving = ServerStep(
        kind=StepKind.REMOVE, reason="", begun_at=NOON, voluntary=True, instance_id=server_id(2), sure=True
    )

    assert given_to(plan(with_record(four, step=leaving), ADDRESSED)) == [(server_id(3), IPS[2])]
