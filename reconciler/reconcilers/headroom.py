"""Keeps whole units of spare room in each pool, counted per node: two halves on two nodes are none (semantics §4)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from reconciler.packing.pack import Missing, Packed, pack
from reconciler.packing.serve import fill
from reconciler.packing.spare import units, unsettled
from reconciler.packing.survey import Survey, survey
from reconciler.packing.wants import demand
from reconciler.packing.why import NO_PLACE, pool_blocker, reason_of
from reconciler.reconcilers.growth import Buyer, not_yet
from schemas.document import ClusterGroup, Pool
from schemas.plan import Hold, Plan, Reason
from schemas.world import Snapshot


def plan_headroom(snapshot: Snapshot, group: ClusterGroup) -> Plan:
    """Launch the machines that bring each pool's spare units back to what the document asks."""
    if (held := not_yet(snapshot, group)) is not None:
        return held
    pools = [p for p in group.spec.pools if any(u.units for u in p.headroom)]
    if not pools:
        return Plan()
    waiting = demand(snapshot)
    if waiting.settling:
        message = "work is still coming in: the machines that it gets may leave the room that is missing"
        return Plan.held("headroom", Reason.NOT_YET_DECIDED, message, passing=True)
    ground = survey(snapshot, group)
    left = fill(ground, waiting.wants)  # what waits will take room first
    plan = Plan()
    for pool in sorted(pools, key=lambda p: p.name):
        plan += _of_pool(ground, left, pool)
    return plan


def _of_pool(ground: Survey, left: Packed, pool: Pool) -> Plan:
    rooms, missing = left.rooms, list[Missing]()
    for want in units(pool, ground.snapshot):  # one after the other: large units get their room first
        spare = pack(ground.snapshot, (want,), rooms, ())
        rooms = spare.rooms
        missing += spare.missing
    if not missing:
        return Plan()
    if claims := unsettled(ground.snapshot, pool.name):
        message = (
            f"{sum(m.copies for m in missing)} headroom units may be missing once work is placed on machines that join"
            f" (claims {', '.join(claims)}): it is counted then"
        )
        return Plan.held(f"pool/{pool.name}", Reason.ON_ITS_WAY, message, passing=True)
    if not ground.grows(pool):
        return Plan(holds=tuple(_unmet(ground, pool, missing)))
    wanted = [replace(m.want, copies=m.copies) for m in missing]
    packed = pack(ground.snapshot, wanted, (), [ground.shelves[pool.name]])
    short = ", ".join(f"{m.copies} of {m.want.group.count} units of {m.want.group.name}" for m in missing)
    plan = Buyer(survey=ground, cause=Reason.HEADROOM).buy(
        packed.machines, {pool.name: f"headroom is short of {short}"}
    )
    return Plan(actions=plan.actions, holds=(*_unmet(ground, pool, packed.missing), *plan.holds), bound=packed.bound)


def _unmet(ground: Survey, pool: Pool, missing: Sequence[Missing]) -> Iterator[Hold]:
    for lack in missing:
        why = pool_blocker(ground, pool, lack.want) or NO_PLACE
        message = f"{lack.copies} headroom units of {lack.want.group.name} are missing: {why.text}"
        yield Hold(subject=f"pool/{pool.name}", reason=reason_of(why), message=message)
