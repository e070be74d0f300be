"""Last refusals, on a fresh look: the plan is old by the time that it is carried out.

A guard that cannot see refuses: what a port raises inside one goes up, and the effect does not happen.
"""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.errors import GuardError
from reconciler.packing.census import clients_by_pool
from reconciler.reconcilers.servers import quorum_missing
from schemas.document import ClusterGroup
from schemas.names import formed_marker
from schemas.plan import FormServer, Launch, MarkFormed
from schemas.world import TAG_STORE, Instance, ServerView, Snapshot


def guard_launch(action: Launch, fresh: Snapshot, group: ClusterGroup) -> None:
    """Refuse a launch whose claim was used, or that would pass the pool's or the group's number of machines."""
    ordinal = int(action.claim.rpartition("-")[2])
    if ordinal <= fresh.ordinals.get(action.pool, 0):
        raise GuardError(key=action.key, why=f"claim {action.claim} was used before; the next plan takes a new one")
    live = clients_by_pool(fresh)
    size = next((pool.size.max for pool in group.spec.pools if pool.name == action.pool), 0)
    if (there := live.get(action.pool, 0)) + action.count > size:
        raise GuardError(key=action.key, why=f"{there} + {action.count} machines pass size.max {size} of {action.pool}")
    everywhere, limit = sum(live.values()), group.spec.limits.max_nodes
    if everywhere + action.count > limit:
        raise GuardError(key=action.key, why=f"{everywhere} + {action.count} machines pass limits.maxNodes {limit}")


def guard_forming(action: FormServer, templates: frozenset[str], instances: Sequence[Instance]) -> None:
    """Refuse to form servers where a quorum was formed before, or where machines of ours belong to a store."""
    if (marker := formed_marker(action.group)) in templates:
        raise GuardError(key=action.key, why=f"{marker} is there: this quorum was formed, and never is again")
    if stored := next((i.id for i in instances if TAG_STORE in i.tags), None):
        raise GuardError(key=action.key, why=f"{stored} carries {TAG_STORE}: a quorum with a store was here before")


def guard_marker(action: MarkFormed, servers: Sequence[Instance], views: Sequence[ServerView]) -> None:
    """Refuse the marker unless, asked again, all slots' agents agree on one leader and on exactly themselves."""
    if len(servers) != action.count:
        raise GuardError(key=action.key, why=f"{len(servers)} servers are shown, not {action.count}")
    if (why := quorum_missing({i.private_ip for i in servers}, views)) is not None:
        raise GuardError(key=action.key, why=why)
