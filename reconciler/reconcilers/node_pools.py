"""Keeps the Nomad node pools of our pools in existence: no job can be registered for one that is missing."""

from __future__ import annotations

from reconciler.reconcilers.growth import not_yet
from schemas.document import ClusterGroup
from schemas.plan import CreateNodePool, Plan
from schemas.world import Snapshot

BUILT_IN = frozenset({"default", "all"})


def plan_node_pools(snapshot: Snapshot, group: ClusterGroup) -> Plan:
    """Create the node pools that are missing; none is ever deleted."""
    if (held := not_yet(snapshot, group)) is not None:
        return held
    users: dict[str, list[str]] = {}
    for pool in group.spec.pools:
        users.setdefault(pool.node_pool, []).append(pool.name)
    missing = sorted(users.keys() - snapshot.node_pools - BUILT_IN)
    return Plan(
        actions=tuple(
            CreateNodePool(name=name, reason=f"pool {', '.join(users[name])} is in node pool {name}, which is missing")
            for name in missing
        )
    )
