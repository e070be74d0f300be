"""The reconcilers, each a pure (snapshot, group) → plan, and the one list of them, in the order they are asked."""

from __future__ import annotations

from collections.abc import Callable

from reconciler.reconcilers.demand import plan_demand
from reconciler.reconcilers.garbage import plan_garbage
from reconciler.reconcilers.growth import after
from reconciler.reconcilers.headroom import plan_headroom
from reconciler.reconcilers.node_pools import plan_node_pools
from reconciler.reconcilers.servers import plan_servers
from reconciler.reconcilers.size import plan_size
from reconciler.reconcilers.subnets import plan_subnets
from reconciler.reconcilers.templates import plan_templates
from reconciler.reconcilers.trouble import plan_trouble
from schemas.document import ClusterGroup
from schemas.plan import Hold, Plan
from schemas.world import Snapshot

Reconcile = Callable[[Snapshot, ClusterGroup], Plan]

RECONCILERS: tuple[tuple[str, Reconcile], ...] = (
    ("servers", plan_servers),
    ("node-pools", plan_node_pools),
    ("subnets", plan_subnets),
    ("demand", plan_demand),
    ("headroom", plan_headroom),
    ("size", plan_size),
    ("trouble", plan_trouble),
    ("garbage", plan_garbage),
    ("templates", plan_templates),
)


def plan_all(snapshot: Snapshot, group: ClusterGroup) -> Plan:
    """Ask every reconciler in turn, each seeing the earlier ones' launches as already on their way."""
    whole = Plan()
    for _, reconcile in RECONCILERS:
        plan = reconcile(snapshot, group)
        whole += plan
        snapshot = after(snapshot, plan)
    seen: dict[Hold, None] = dict.fromkeys(whole.holds)  # several may be held by one thing: it is said once
    return Plan(actions=whole.actions, holds=tuple(seen), bound=whole.bound)
