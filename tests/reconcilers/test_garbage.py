"""Machines that nothing explains: which are ended, when, and which never."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from providers.sandbox.world.ec2.launch import MachineOrder, run_instance
from reconciler.errors import GuardError
from reconciler.guards import guard_garbage
from reconciler.journal import Ledger
from reconciler.reconcilers.garbage import plan_garbage
from schemas.document import ClusterGroup
from schemas.faults import Source
from schemas.plan import EndMachine, Plan, Reason
from schemas.world import TAG_CLAIM, TAG_CLUSTER, TAG_POOL, TAG_ROLE, TAG_STORE, Claim, Instance, Market, Node, Snapshot
from support.builders import NOON, a_group, a_node, a_pool, a_snapshot, an_instance
from support.stage import Stage, a_job_of, a_scenario

STORE = "store-1"
OLD = NOON - timedelta(minutes=16)  # registration.timeout is ten minutes, and five more


def a_machine(number: int = 1, **given: Any) -> Instance:
    tags = {**an_instance(number).tags, TAG_STORE: STORE, **given.pop("tags", {})}
    return replace(an_instance(number, launched_at=OLD, **given), tags={k: v for k, v in tags.items() if v is not None})


def a_look(*instances: Instance, nodes: tuple[Node, ...] = (), claims: tuple[Claim, ...] = (), **more: Any) -> Snapshot:
    there = {"store_id": STORE, "instances": instances, "nodes": nodes, "claims": claims, **more}
    return replace(a_snapshot(), **there)


def the_group() -> ClusterGroup:
    return a_group(pools=[a_pool()])


def ended(plan: Plan) -> list[str]:
    assert all(isinstance(a, EndMachine) for a in plan.actions)
    return [a.instance_id for a in plan.actions if isinstance(a, EndMachine)]


def a_claim(name: str) -> Claim:
    return Claim(name=name, pool="general", count=1, market=Market.SPOT, overrides=(), asked_at=OLD, answered=True)


def a_node_on(instance: Instance, **given: Any) -> Node:
    return replace(a_node(), name=instance.id, attributes={"unique.platform.aws.instance-id": instance.id}, **given)


def test_a_machine_without_claim_and_node_is_ended_when_it_had_its_time() -> None:
    plan = plan_garbage(a_look(a_machine()), the_group())

    assert ended(plan) == ["i-0001"]
    assert "no node in Nomad, and the journal never gave out claim general-1" in plan.actions[0].reason


def test_one_is_ended_a_pass_and_the_others_are_named() -> None:
    plan = plan_garbage(a_look(a_machine(1), a_machine(2), a_machine(3)), the_group())

    assert ended(plan) == ["i-0001"]
    assert [(h.subject, h.reason) for h in plan.holds] == [
        ("node/i-0002", Reason.GARBAGE),
        ("node/i-0003", Reason.GARBAGE),
    ]


@pytest.mark.parametrize("status", ["initializing", "ready", "down", "disconnected"])
def test_a_machine_that_has_a_node_is_never_garbage(status: str) -> None:
    machine = a_machine()

    assert plan_garbage(a_look(machine, nodes=(a_node_on(machine, status=status),)), the_group()) == Plan()


def test_a_machine_whose_claim_the_journal_knows_is_explained() -> None:
    assert plan_garbage(a_look(a_machine(), claims=(a_claim("general-1"),)), the_group()) == Plan()


def test_that_nomad_shows_no_node_ends_no_machine_whose_claim_the_journal_gave_out() -> None:
    """An empty list may be a lie: the machine is named, and goes on."""
    machines = [a_machine(n) for n in (1, 2, 3)]
    plan = plan_garbage(a_look(*machines, ordinals={"general": 3}), the_group())

    assert plan.actions == ()
    assert [h.subject for h in plan.holds] == [f"node/{m.id}" for m in machines]
    with pytest.raises(GuardError, match="gave out"):
        guard_garbage(END, machines, [], replace(LEDGER, ordinals={"general": 3}))


@pytest.mark.parametrize("claim", ["", "general", "general-x", "other-1", "general-7"])
def test_a_claim_that_the_journal_cannot_have_given_out_explains_nothing(claim: str) -> None:
    plan = plan_garbage(a_look(a_machine(tags={TAG_CLAIM: claim}), ordinals={"general": 6}), the_group())

    assert ended(plan) == ["i-0001"]


def test_a_young_one_is_named_with_the_time_that_it_has_left() -> None:
    young = replace(a_machine(), launched_at=NOON - timedelta(minutes=4, seconds=30))
    plan = plan_garbage(a_look(young), the_group())

    assert plan.actions == ()
    assert "it is ended in 11 minutes" in plan.holds[0].message


@pytest.mark.parametrize(("store", "says"), [("store-2", "belongs to store store-2"), (None, "names no store")])
def test_a_machine_of_another_store_is_left_alone_and_said(store: str | None, says: str) -> None:
    plan = plan_garbage(a_look(a_machine(tags={TAG_STORE: store})), the_group())

    assert plan.actions == ()
    assert says in plan.holds[0].message


@pytest.mark.parametrize(
    "machine",
    [
        a_machine(tags={TAG_ROLE: "server"}),
        a_machine(tags={TAG_ROLE: None}),
        a_machine(state="shutting-down"),
        a_machine(state="terminated"),
    ],
    ids=["server", "no role", "ending", "ended"],
)
def test_servers_strangers_and_what_ends_already_are_not_touched(machine: Instance) -> None:
    assert plan_garbage(a_look(machine), the_group()) == Plan()


def test_a_stopped_client_goes_at_once_also_with_a_node() -> None:
    machine = replace(a_machine(state="stopped"), launched_at=NOON)

    assert ended(plan_garbage(a_look(machine, nodes=(a_node_on(machine),)), the_group())) == ["i-0001"]


@pytest.mark.parametrize("source", Source)
def test_while_anybody_is_silent_nothing_is_garbage(source: Source) -> None:
    assert plan_garbage(a_look(a_machine(), unanswered={source: "silent"}), the_group()) == Plan()
    assert plan_garbage(a_look(a_machine(), store_id=None), the_group()) == Plan()


END = EndMachine(instance_id="i-0001", reason="")
LEDGER = Ledger(store_id=STORE)


@pytest.mark.parametrize(
    ("machine", "nodes", "ledger", "why"),
    [
        (a_machine(), (a_node_on(a_machine()),), LEDGER, "has a node"),
        (a_machine(), (), replace(LEDGER, claims=(a_claim("general-1"),)), "knows its claim"),
        (a_machine(tags={TAG_STORE: "store-2"}), (), LEDGER, "not of this store"),
        (a_machine(tags={TAG_ROLE: "server"}), (), LEDGER, "no client"),
        (a_machine(), (), None, "journal"),
    ],
)
def test_the_last_look_refuses_what_is_explained_by_then(
    machine: Instance, nodes: tuple[Node, ...], ledger: Ledger | None, why: str
) -> None:
    with pytest.raises(GuardError, match=why):
        guard_garbage(END, [machine], nodes, ledger)


def test_the_last_look_lets_go_what_ends_already() -> None:
    assert guard_garbage(END, [a_machine()], [], LEDGER)
    assert not guard_garbage(END, [a_machine(state="shutting-down")], [], LEDGER)
    assert not guard_garbage(END, [], [], LEDGER)


def test_a_machine_that_nobody_asked_for_is_gone_within_minutes_and_those_at_work_stay() -> None:
    """The whole program: one of ours that was launched beside it."""
    stage = Stage.set(a_scenario(a_job_of("web", count=4, cpu=2000)))
    group = a_group(pools=[a_pool()])
    assert stage.play(group, seconds=600)
    world = stage.world
    (first, *_) = [i for i in stage.live() if i.tags[TAG_ROLE] == "client"]
    order = MachineOrder(
        image="ami-0123",
        instance_type="m6i.large",
        subnet="subnet-a1",
        tags={
            TAG_CLUSTER: group.metadata.name,
            TAG_ROLE: "client",
            TAG_POOL: "general",
            TAG_CLAIM: "general-99",
            TAG_STORE: first.tags[TAG_STORE],
        },
    )
    stray = run_instance(world.cloud, order, token="stray").id
    at_work = {i.id for i in stage.live()} - {stray}

    stage.play(group, seconds=14 * 60, stop_when_converged=False)
    assert stray in {i.id for i in stage.live()}
    stage.play(group, seconds=5 * 60, stop_when_converged=False)

    assert {i.id for i in stage.live()} == at_work
    assert [o.action.key for t in stage.ticks for o in t.outcomes if isinstance(o.action, EndMachine)] == [
        f"end/{stray}"
    ]
