"""Keeps each pool at its minimum, or at exactly the number that the document pins (semantics §5)."""

from __future__ import annotations

from reconciler.packing.census import clients_by_pool
from reconciler.packing.pack import Machine
from reconciler.packing.survey import survey
from reconciler.reconcilers.growth import Buyer, not_yet
from schemas.document import ClusterGroup, Pool
from schemas.plan import Hold, Plan, Reason
from schemas.world import Snapshot


def plan_size(snapshot: Snapshot, group: ClusterGroup) -> Plan:
    """Launch what pools lack of ``size.min`` or ``size.desired``, machines on their way counted."""
    if (held := not_yet(snapshot, group)) is not None:
        return held
    have = clients_by_pool(snapshot)
    lacking = [(pool, *_target(pool)) for pool in group.spec.pools if have.get(pool.name, 0) < _target(pool)[1]]
    if not lacking:
        return Plan()
    ground = survey(snapshot, group)
    machines: list[Machine] = []
    why: dict[str, str] = {}
    holds: list[Hold] = []
    for pool, key, target in lacking:
        offers = ground.shelves[pool.name].offers
        there = have.get(pool.name, 0)
        short = f"{there} of size.{key} {target} machines are there"
        if ground.rooms.failing(pool.name):
            claims = ", ".join(ground.rooms.overdue[pool.name])
            message = f"{short}; its machines do not register (claims {claims}), so it stopped growing"
            holds.append(Hold(subject=f"pool/{pool.name}", reason=Reason.BOOT_FAILING, message=message))
        elif not offers:
            message = f"{short}; nothing that it allows can be bought now"
            holds.append(Hold(subject=f"pool/{pool.name}", reason=Reason.NO_OFFERING, message=message))
        else:
            machines.append(Machine(pool=pool.name, count=target - there, load=(), offers=offers))
            why[pool.name] = short
    bought = Buyer(survey=ground, cause=Reason.MINIMUM).buy(machines, why)
    return Plan(actions=bought.actions, holds=(*holds, *bought.holds))


def _target(pool: Pool) -> tuple[str, int]:
    """Give the key of the document that says how many machines there are to be, and its number."""
    size = pool.size
    return ("min", size.min) if size.desired is None else ("desired", size.desired)
