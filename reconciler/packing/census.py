"""How many machines there are and what they cost, counting launches whose outcome is unknown as launched."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from schemas.world import Claim, Instance, Market, Role, Snapshot

JUST_REGISTERED: Final = timedelta(seconds=30)  # so long Nomad may take to give a new node what waits for it


def unseen(snapshot: Snapshot, claim: Claim) -> int:
    """How many machines of a claim EC2 does not show (yet): asked for, not answered, or lagging behind the answer."""
    if claim.instance_ids:
        return sum(1 for id_ in claim.instance_ids if id_ not in snapshot.instance_by_id)
    shown = sum(1 for instance in snapshot.instances if instance.claim == claim.name)
    return max(0, claim.count - shown)


def registered(snapshot: Snapshot, claim: Claim) -> bool:
    """Tell whether the wait for a claim's machines is over: each is a node, or EC2 shows it gone."""
    return claim.answered and all(ended(snapshot, i) for i in claim.instance_ids)


def settled(snapshot: Snapshot, claim: Claim) -> bool:
    """Tell whether Nomad had the time to place on a claim's machines what they were bought for."""
    nodes = [node for i in claim.instance_ids if (node := snapshot.node_by_instance.get(i)) is not None]
    times = [node.registered_at for node in nodes if node.registered_at is not None]
    return registered(snapshot, claim) and all(snapshot.observed_at - at >= JUST_REGISTERED for at in times)


def ended(snapshot: Snapshot, instance_id: str) -> bool:
    """Tell whether a machine's wait is over: its node registered, or EC2 shows it gone."""
    instance = snapshot.instance_by_id.get(instance_id)
    if instance is not None and not instance.live:
        return True
    node = snapshot.node_by_instance.get(instance_id)
    return node is not None and node.status != "initializing"


def clients_by_pool(snapshot: Snapshot) -> Mapping[str, int]:
    """Live machines of each pool, on their way or not: what size and ``maxNodes`` count."""
    counted: Counter[str] = Counter()
    for instance in snapshot.instances:
        if instance.live and instance.role == Role.CLIENT:
            counted[instance.pool] += 1
    for claim in snapshot.claims:
        counted[claim.pool] += unseen(snapshot, claim)
    return counted


def hourly_cost(snapshot: Snapshot) -> float:
    """USD an hour of all live machines, servers too; a machine not seen yet counts as the dearest it may become."""
    seen = sum(price_of(snapshot, instance) for instance in snapshot.instances if instance.live)
    coming = sum(unseen(snapshot, c) * max((o.price for o in c.overrides), default=0.0) for c in snapshot.claims)
    return seen + coming


def price_of(snapshot: Snapshot, instance: Instance) -> float:
    """USD an hour of one machine at today's price; a spot machine without a spot price counts as on-demand."""
    on_demand = on_demand_price(snapshot, instance.type)
    if instance.market is Market.ON_DEMAND:
        return on_demand
    return snapshot.spot_prices.get((instance.type, instance.zone), on_demand)


def on_demand_price(snapshot: Snapshot, instance_type: str) -> float:
    """USD an hour on demand; 0 for a type of which nothing is known."""
    if (price := snapshot.on_demand_prices.get(instance_type)) is not None:
        return price
    known = snapshot.catalogue.get(instance_type)
    return known.on_demand_usd_per_hour if known else 0.0
