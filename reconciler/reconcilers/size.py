"""Keeps each pool at its minimum, or at exactly the number that the document pins (semantics §5)."""

from __future__ import annotations

from reconciler.packing.pack import Machine
from reconciler.packing.survey import survey
from reconciler.reconcilers.growth import Buyer, not_yet
from schemas.document import ClusterGroup
from schemas.plan import Hold, Plan, Reason
from schemas.world import Snapshot


def plan_size(snapshot: Snapshot, group: ClusterGroup) -> Plan:
    """Launch what pools lack of ``size.min`` or ``size.desired``, machines on their way counted."""
    if (held := not_yet(snapshot, group)) is not None:
        return held
    ground = survey(snapshot, group)
    machines: list[Machine] = []
    why: dict[str, str] = {}
    holds: list[Hold] = []
    for pool in ground.pools:
        key, target = ("min", pool.size.min) if pool.size.desired is None else ("desired", pool.size.desired)
        have = ground.machines.get(pool.name, 0)
        if have >= target:
            continue
        offers = ground.shelves[pool.name].offers
        short = f"{have} of size.{key} {target} machines are there"
        if ground.rooms.failing(pool.name):
            claims = ", ".join(ground.rooms.overdue[pool.name])
            message = f"{short}; its machines do not register (claims {claims}), so it stopped growing"
            holds.append(Hold(subject=f"pool/{pool.name}", reason=Reason.BOOT_FAILING, message=message))
        elif not offers:
            message = f"{short}; nothing that it allows can be bought now"
            holds.append(Hold(subject=f"pool/{pool.name}", reason=Reason.NO_OFFERING, message=message))
        else:
            machines.append(Machine(pool=pool.name, count=target - have, load=(), offers=offers))
            why[pool.name] = short
    bought = Buyer(survey=ground, cause=Reason.MINIMUM).buy(machines, why)
    return Plan(actions=bought.actions, holds=(*holds, *bought.holds))
