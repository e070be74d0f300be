"""Keeps the quorum: formed once, healthy by many witnesses, changed one server at a time (semantics §10)."""

from __future__ import annotations

from reconciler.reconcilers.servers.formation import alone, not_to_be_given_up, plan_forming, quorum_missing
from reconciler.reconcilers.servers.health import Quorum, ServerHealth, Verdict, assess
from reconciler.reconcilers.servers.record import remembered
from reconciler.reconcilers.servers.steps import plan_steps
from reconciler.reconcilers.servers.told import ServerTold, tell_server
from reconciler.reconcilers.servers.upkeep import plan_acl, upkeep
from schemas.document import ClusterGroup
from schemas.faults import Source
from schemas.names import formed_marker
from schemas.plan import Plan, Reason
from schemas.world import Snapshot

__all__ = [
    "Quorum",
    "ServerHealth",
    "ServerTold",
    "Verdict",
    "alone",
    "assess",
    "not_to_be_given_up",
    "plan_servers",
    "quorum_missing",
    "remembered",
    "tell_server",
]


def plan_servers(snapshot: Snapshot, group: ClusterGroup) -> Plan:
    """Form the first quorum; once it is marked as formed, keep it: one server step at a time."""
    servers = group.spec.servers
    if servers is None:
        return Plan()
    if (silent := snapshot.unanswered.get(Source.EC2)) is not None:
        return Plan.held("servers", Reason.SOURCE_UNANSWERED, f"EC2 did not answer: {silent}", passing=True)
    if formed_marker(group.metadata.name) in snapshot.templates:
        return plan_steps(snapshot, group, servers) + upkeep(snapshot, servers, assess(snapshot))
    return plan_acl(group, snapshot.servers) + plan_forming(snapshot, group, servers)
