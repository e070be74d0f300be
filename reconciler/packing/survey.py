"""One look at a group's ground: what is for sale for each pool, what room is there, who may grow and how far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from reconciler.packing.census import clients_by_pool
from reconciler.packing.offers import Shelf, shelf
from reconciler.packing.promise import Promises
from reconciler.packing.rooms import Rooms, rooms
from schemas.document import ClusterGroup, Pool
from schemas.world import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """Everything that demand, headroom and their explanations start from; made once for a plan."""

    snapshot: Snapshot
    group: ClusterGroup
    promises: Mapping[str, Promises]
    shelves: Mapping[str, Shelf]
    rooms: Rooms
    machines: Mapping[str, int]  # live and launching, by pool

    @property
    def pools(self) -> tuple[Pool, ...]:
        """All pools, in the order in which they are asked: higher priority first, then by name."""
        return tuple(sorted(self.group.spec.pools, key=lambda p: (-p.priority, p.name)))

    def grows(self, pool: Pool) -> bool:
        """Tell whether demand and headroom may add machines to a pool: not when it is pinned, or its machines fail."""
        return pool.size.desired is None and not self.rooms.failing(pool.name)

    def left(self, pool: Pool) -> int:
        """How many more machines the pool's and the group's maximum allow."""
        ours = pool.size.max - self.machines.get(pool.name, 0)
        return max(0, min(ours, self.group.spec.limits.max_nodes - sum(self.machines.values())))


def survey(snapshot: Snapshot, group: ClusterGroup) -> Survey:
    """Look around."""
    promises = {p.name: Promises(snapshot=snapshot, group=group, pool=p) for p in group.spec.pools}
    return Survey(
        snapshot=snapshot,
        group=group,
        promises=promises,
        shelves={name: shelf(promised) for name, promised in promises.items()},
        rooms=rooms(snapshot, promises),
        machines=clients_by_pool(snapshot),
    )
