"""Why a server stays or goes, and how it is by each witness: sentences for ``status`` and ``explain``. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.reconcilers.servers.health import Quorum, ServerHealth, assess
from reconciler.reconcilers.servers.steps import Case, due, must_go, without
from schemas.document import ClusterGroup
from schemas.faults import Source
from schemas.names import formed_marker
from schemas.servers import StepKind
from schemas.world import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerTold:
    """One server, for a person."""

    name: str
    verdict: str  # healthy | joining | unhealthy | unknown
    outlook: str  # "it stays", or why and when it goes
    facts: tuple[str, ...]


def tell_server(snapshot: Snapshot, group: ClusterGroup, instance_id: str) -> ServerTold | None:
    """Tell of the server on this machine; None where the quorum is not formed, or its leader did not answer."""
    servers = group.spec.servers
    if servers is None or formed_marker(group.metadata.name) not in snapshot.templates:
        return None
    quorum = assess(snapshot)
    server = quorum.of(instance_id)
    if server is None or (quorum.unknown and quorum.frozen is None):
        return None
    case = Case(snapshot=snapshot, group=group, servers=servers, quorum=quorum)
    return ServerTold(
        name=instance_id,
        verdict=str(server.verdict),
        outlook=_outlook(case, server),
        facts=tuple(_facts(quorum, server)),
    )


def _outlook(case: Case, server: ServerHealth) -> str:
    step, failing = case.snapshot.record.step, case.snapshot.record.failing
    if case.quorum.frozen is not None:
        return f"it is left alone, all server steps are frozen: {case.quorum.frozen.told}"
    if Source.EC2 in case.snapshot.unanswered:
        return "it stays; EC2 does not answer"
    if step is not None and step.instance_id == server.name:
        doing = "it joins" if step.kind is StepKind.ADD else "it goes"
        return f"{doing}: {step.reason}"
    when = due(case, server)
    if when is not None and (server.name in failing or server.peer is None):
        return f"it is replaced at {when:%H:%M:%S} unless it comes back: {server.reason}"
    if (why := must_go(case, server)) is not None:
        last = ", the last of all as it leads" if case.quorum.leads(server) else ""
        return f"it goes once its replacement votes{last}: {why}"
    return "it stays"


def _facts(quorum: Quorum, server: ServerHealth) -> tuple[str, ...]:
    role = "leads" if quorum.leads(server) else "votes" if server.voter else "does not vote"
    own = {None: "was not asked", True: "answers", False: "does not answer"}[server.reachable]
    after = without(quorum, server)
    left = "a quorum is left" if after.tolerance_after >= 0 else "the quorum is lost"
    return (
        f"it is {server.verdict}{f': {server.reason}' if server.why else ''}",
        f"it {role}; its agent {own}; gossip says {server.gossip or 'nothing'}",
        f"{quorum.figures}; if it vanished now, {after.healthy_after} of {after.voters_after} would be healthy: {left}",
    )
