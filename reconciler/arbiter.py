"""Many plans become one: hard caps, freezes, order. What is cut off is a hold that says which cap."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from reconciler.packing.census import clients_by_pool, hourly_cost
from reconciler.reconcilers.servers import assess
from schemas.document import ClusterGroup
from schemas.names import formed_marker
from schemas.plan import Action, AddServer, FormServer, Hold, Launch, Plan, Reason, RemovalAction
from schemas.world import TAG_STORE, Snapshot

CENT = 1e-9  # prices are sums of floats: a cap is passed only by more than rounding


def arbitrate(snapshot: Snapshot, group: ClusterGroup, plan: Plan) -> Plan:
    """Cut the plan down to what caps and freezes allow, in its own order."""
    if frozen := freeze(snapshot):
        return Plan(holds=(*plan.holds, frozen))
    room = _Room.of(snapshot, group)
    actions: list[Action] = []
    holds: list[Hold] = []
    why = servers_frozen(snapshot, group) if any(isinstance(a, RemovalAction) for a in plan.actions) else None
    for action in plan.actions:
        if why is not None and isinstance(action, RemovalAction):
            holds.append(Hold(subject=action.subject, reason=Reason.FROZEN, message=f"{why}; held: {action.reason}"))
            continue
        kept, held = room.admit(action)
        actions += kept
        holds += held
    return replace(plan, actions=tuple(actions), holds=(*plan.holds, *holds))


def servers_frozen(snapshot: Snapshot, group: ClusterGroup) -> str | None:
    """Say why no client is removed, though growth goes on: servers are frozen, or were a look ago (semantics §10)."""
    if group.spec.servers is None or formed_marker(group.metadata.name) not in snapshot.templates:
        return None
    if (frozen := assess(snapshot).frozen) is not None:
        return f"servers are frozen, and so are all removals: {frozen.told}"
    if (was := snapshot.record.frozen) is not None:
        return f"servers were frozen a look ago, and so are all removals: {was.message}"
    return None


def freeze(snapshot: Snapshot) -> Hold | None:
    """Hold everything when we cannot know what is ours: a journal that cannot be read, or another store's machines."""
    if snapshot.journal_broken is not None:
        return Hold(subject="group", reason=Reason.FROZEN, message=snapshot.journal_broken)
    return wrong_cluster(snapshot)


def wrong_cluster(snapshot: Snapshot) -> Hold | None:
    """Hold everything when our machines belong to another store than the one we read (semantics §8)."""
    tagged = sorted({i.tags[TAG_STORE] for i in snapshot.instances if TAG_STORE in i.tags})
    if not tagged or snapshot.store_id in tagged:
        return None
    ours = f"this store is {snapshot.store_id}" if snapshot.store_id else "this store is empty"
    return Hold(
        subject="group",
        reason=Reason.WRONG_CLUSTER,
        message=f"machines of this group belong to store {', '.join(tagged)}, {ours}: nothing is done until"
        " `reconcile adopt` says that they are ours",
    )


@dataclass(slots=True)
class _Room:
    """What the caps leave, used up action by action."""

    group: ClusterGroup
    pools: Counter[str] = field(default_factory=Counter)
    nodes: int = 0
    dollars: float = 0.0
    rate: int = 0

    @classmethod
    def of(cls, snapshot: Snapshot, group: ClusterGroup) -> _Room:
        limits, live = group.spec.limits, clients_by_pool(snapshot)
        return cls(
            group=group,
            pools=Counter({pool.name: pool.size.max - live.get(pool.name, 0) for pool in group.spec.pools}),
            nodes=limits.max_nodes - sum(live.values()),
            dollars=limits.max_hourly_cost - hourly_cost(snapshot),
            rate=limits.max_launches_per_minute - snapshot.launched_last_minute,
        )

    def admit(self, action: Action) -> tuple[list[Action], list[Hold]]:
        """Give what is left of an action and why the rest is held; what is let through uses up room."""
        if isinstance(action, FormServer | AddServer):
            return self._server(action)
        if not isinstance(action, Launch):
            return [action], []
        each = action.price / action.count
        count = min([action.count, *(cap for cap, _, _ in self._caps(action.pool, each))])
        holds = list(self._cut(action, max(0, count), each))
        if count <= 0:
            return [], holds
        self.pools[action.pool] -= count
        self.nodes -= count
        self.rate -= count
        self.dollars -= count * each
        return [replace(action, count=count)], holds

    def _server(self, action: FormServer | AddServer) -> tuple[list[Action], list[Hold]]:
        limit = self.group.spec.limits.max_hourly_cost
        if action.price > self.dollars + CENT:
            left = max(0.0, self.dollars)
            message = f"limits.maxHourlyCost {limit:g} leaves {left:.4f} USD an hour, it costs {action.price:.4f}"
            return [], [Hold(subject=action.subject, reason=Reason.COST_LIMIT, message=message)]
        self.dollars -= action.price
        return [action], []

    def _caps(self, pool: str, each: float) -> Iterator[tuple[int, Reason, str]]:
        """Each cap: how many more it allows, and its name with its figure."""
        limits = self.group.spec.limits
        size = next(p.size.max for p in self.group.spec.pools if p.name == pool)
        affordable = int((self.dollars + CENT) / each) if each > 0 else self.nodes
        yield self.pools[pool], Reason.AT_MAXIMUM, f"size.max {size}"
        yield self.nodes, Reason.NODE_LIMIT, f"limits.maxNodes {limits.max_nodes}"
        yield affordable, Reason.COST_LIMIT, f"limits.maxHourlyCost {limits.max_hourly_cost:g}"
        yield self.rate, Reason.LAUNCH_RATE, f"limits.maxLaunchesPerMinute {limits.max_launches_per_minute}"

    def _cut(self, action: Launch, count: int, each: float) -> Iterator[Hold]:
        """One hold for the tightest cap that cut the launch."""
        if count == action.count:
            return
        cap, reason, name = min(self._caps(action.pool, each), key=lambda c: c[0])
        yield Hold(
            subject=action.subject,
            reason=reason,
            message=f"{name} leaves {max(0, cap)} of {action.count} machines for: {action.reason}",
            passing=reason is Reason.LAUNCH_RATE,
        )
