"""The machines that a plan would buy: type, zone, market, price, what each is to hold, and how full that makes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from reconciler.packing.promise import Promises
from reconciler.packing.room import Room
from reconciler.packing.spare import units
from schemas.document import ClusterGroup
from schemas.plan import Launch, Plan, Reason
from schemas.world import Content, Market, Resources, Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineRow:
    """New machines alike, as the cheapest offering that they may become."""

    claim: str
    pool: str
    count: int
    instance_type: str
    zones: tuple[str, ...]  # in which EC2 may launch them
    market: Market
    price: float  # USD an hour of one
    price_most: float  # of the dearest offering that EC2 may take instead
    cpu_percent: float | None  # of what work can have there; None: no type of which we know the size
    memory_percent: float | None
    work: tuple[Content, ...]  # what each is to hold


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """What a plan buys for demand and headroom, beside what nobody can undercut."""

    cost: float  # USD an hour, each machine as its cheapest offering
    bound: float  # USD an hour: no set of machines for the same is cheaper

    @property
    def gap(self) -> float:
        """How far the cost can be above the best at most, as a fraction."""
        return max(0.0, self.cost / self.bound - 1.0)


def bound_of(plan: Plan) -> Bound | None:
    """Compare a plan with its bound; None where nothing is bought that it speaks of, or a cap cut the plan."""
    for_work = [a for a in plan.actions if isinstance(a, Launch) and a.cause in {Reason.DEMAND, Reason.HEADROOM}]
    cost = sum(a.count * min(o.price for o in a.overrides) for a in for_work)
    if not plan.bound or cost < plan.bound * (1 - 1e-9):
        return None
    return Bound(cost=cost, bound=plan.bound)


def machine_rows(snapshot: Snapshot, group: ClusterGroup, plan: Plan) -> tuple[MachineRow, ...]:
    """Tell of every launch of a plan, in its order."""
    pools = {p.name: Promises(snapshot=snapshot, group=group, pool=p) for p in group.spec.pools}
    asks = {(j.name, g.name): g.ask for j in snapshot.jobs for g in j.groups}
    asks |= {(u.job.name, u.group.name): u.group.ask for p in group.spec.pools for u in units(p, snapshot)}
    launches = [a for a in plan.actions if isinstance(a, Launch)]
    return tuple(_row(snapshot, launch, pools.get(launch.pool), asks) for launch in launches)


def _row(
    snapshot: Snapshot, launch: Launch, promises: Promises | None, asks: Mapping[tuple[str, str], Resources]
) -> MachineRow:
    first = min(launch.overrides, key=lambda o: o.price)
    kind = snapshot.catalogue.get(first.instance_type)
    room = promises.room(kind, first.zone, launch.market) if promises is not None and kind is not None else None
    cpu, memory = _use(room, launch, asks) if room is not None else (None, None)
    return MachineRow(
        claim=launch.claim,
        pool=launch.pool,
        count=launch.count,
        instance_type=first.instance_type,
        zones=tuple(sorted({o.zone for o in launch.overrides})),
        market=launch.market,
        price=first.price,
        price_most=max(o.price for o in launch.overrides),
        cpu_percent=cpu,
        memory_percent=memory,
        work=launch.contents,
    )


def _use(room: Room, launch: Launch, asks: Mapping[tuple[str, str], Resources]) -> tuple[float | None, float | None]:
    cpu = memory = 0
    for content in launch.contents:
        ask = asks.get((content.job, content.group), Resources())
        cpu += content.copies * (ask.cpu_mhz + ask.cores * room.clock_mhz)
        memory += content.copies * ask.memory_mib
    free = room.free
    return (
        100 * cpu / free.cpu_mhz if free.cpu_mhz else None,
        100 * memory / free.memory_mib if free.memory_mib else None,
    )
