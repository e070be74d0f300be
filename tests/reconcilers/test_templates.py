"""Which launch templates go, and which stay whatever happens."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from reconciler.errors import GuardError
from reconciler.guards import guard_unused
from reconciler.journal import Intent, Ledger
from reconciler.machine import named_server_template, pool_template, server_template
from reconciler.reconcilers.templates import AT_ONCE, plan_templates
from schemas.document import ClusterGroup
from schemas.faults import Source
from schemas.names import form_template, formed_marker
from schemas.plan import DeleteTemplate, Launch, Reason
from schemas.servers import ServersRecord, ServerStep, StepKind
from schemas.world import TAG_POOL, TAG_REVISION, TAG_ROLE, Claim, Instance, Market, Snapshot
from support.builders import NOON, a_group, a_pool, a_snapshot, an_instance

MARKER = formed_marker("prod")
ATTEMPT = form_template("prod", 0, 0, 0)
OLD = "nomad-reconciler-prod-general-x86-64-0123456789ab"
OLD_SERVER = "nomad-reconciler-prod-servers-0123456789ab"
FOREIGN = ("my-own-template", "nomad-reconciler-prod-general", "nomad-reconciler-prod-notes-2026")


def the_group(**pool: object) -> ClusterGroup:
    return a_group(pools=[a_pool(**pool)])


def today(group: ClusterGroup, snapshot: Snapshot) -> set[str]:
    """The names of all that the document may launch from."""
    (pool,), servers = group.spec.pools, server_template(group, "x86_64")
    assert group.spec.servers is not None
    allowed = pool.instances.allowed(snapshot.catalogue)
    arches = sorted({t.arch for t in allowed} & set(group.spec.machine.images))
    return {pool_template(group, pool, arch, allowed).name for arch in arches} | {
        named_server_template(group, servers, kind, subnet.id).name
        for kind in group.spec.servers.instance_types
        for subnet in group.spec.aws.subnets
    }


def a_look(*names: str, instances: tuple[Instance, ...] = (), **more: Any) -> Snapshot:
    return replace(a_snapshot(), templates=frozenset({MARKER, *names}), instances=instances, **more)


def a_machine(revision: str, *, role: str = "client", state: str = "running", pool: str = "general") -> Instance:
    tags = {TAG_ROLE: role, TAG_REVISION: revision, **({TAG_POOL: pool} if role == "client" else {})}
    return replace(an_instance(), state=state, tags=tags)


def gone(snapshot: Snapshot, group: ClusterGroup | None = None) -> set[str]:
    actions = plan_templates(snapshot, group or the_group()).actions
    assert all(isinstance(a, DeleteTemplate) for a in actions)
    return {a.name for a in actions if isinstance(a, DeleteTemplate)}


def test_templates_of_earlier_contents_go_and_those_of_today_s_document_stay() -> None:
    group = the_group()
    names = today(group, a_look())
    assert names

    assert gone(a_look(OLD, OLD_SERVER, *names)) == {OLD, OLD_SERVER}
    assert gone(a_look(*names)) == set()


def test_the_marker_the_attempts_and_what_is_not_named_as_ours_always_stay() -> None:
    assert gone(a_look(ATTEMPT, *FOREIGN)) == set()


@pytest.mark.parametrize(
    ("machine", "stays"),
    [
        (a_machine("v1-older"), {OLD}),
        (a_machine("v1-older", state="terminated"), set()),
        (a_machine("v1-older", pool="other"), set()),
        (a_machine("v1-older", role="server"), {OLD_SERVER}),
    ],
)
def test_a_template_stays_as_long_as_a_live_machine_of_an_earlier_revision_may_be_of_it(
    machine: Instance, stays: set[str]
) -> None:
    assert {OLD, OLD_SERVER} - gone(a_look(OLD, OLD_SERVER, instances=(machine,))) == stays


def test_of_a_pool_that_left_the_document_templates_go_with_its_last_machine() -> None:
    left = "nomad-reconciler-prod-batch-jobs-arm64-0123456789ab"
    machine = a_machine("v1-older", pool="batch-jobs")

    assert gone(a_look(left, instances=(machine,))) == set()
    assert gone(a_look(left)) == {left}


def a_claim(*, answered: bool) -> Claim:
    return Claim(
        name="general-1",
        pool="general",
        count=1,
        market=Market.SPOT,
        overrides=(),
        asked_at=NOON,
        answered=answered,
    )


@pytest.mark.parametrize(
    "doubt",
    [
        {"unanswered": {Source.EC2: "silent"}},
        {"unanswered": {Source.STORE: "silent"}},
        {"claims": (a_claim(answered=False),)},
        {"claims": (a_claim(answered=True),)},
        {
            "record": ServersRecord(
                step=ServerStep(kind=StepKind.ADD, reason="", begun_at=NOON, voluntary=True, template=OLD)
            )
        },
    ],
    ids=["ec2", "store", "open", "coming", "step"],
)
def test_in_any_doubt_all_stay(doubt: dict[str, Any]) -> None:
    assert gone(a_look(OLD, **doubt)) == set()


def test_a_few_go_at_a_time_and_in_the_end_all_have_gone() -> None:
    names = {f"nomad-reconciler-prod-general-x86-64-{n:012x}" for n in range(10)}
    ticks = 0
    while deleted := gone(a_look(*names)):
        assert len(deleted) <= AT_ONCE
        names -= deleted
        ticks += 1
    assert (names, ticks) == (set(), 4)


def test_a_template_that_an_open_launch_was_asked_with_is_refused_last() -> None:
    launch = Launch(
        claim="general-1",
        pool="general",
        market=Market.SPOT,
        count=1,
        overrides=(),
        template=OLD,
        contents=(),
        cause=Reason.DEMAND,
        reason="",
    )
    ledger = Ledger(store_id="s", intents=(Intent(action=launch, begun_at=NOON - timedelta(hours=1)),))
    with pytest.raises(GuardError, match="not answered yet"):
        guard_unused(DeleteTemplate(name=OLD, reason=""), ledger)
    with pytest.raises(GuardError, match="journal"):
        guard_unused(DeleteTemplate(name=OLD, reason=""), None)
    guard_unused(DeleteTemplate(name=OLD_SERVER, reason=""), ledger)
