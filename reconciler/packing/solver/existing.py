"""Room that is there already: filled before anything is bought, with what would be dearest to buy."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reconciler.packing.solver.model import Model
    from reconciler.packing.solver.plan import Machines
    from reconciler.packing.solver.pricing import Pricer

_NODES = 30  # branchings for each machine
_ONLY_HERE = 1e4  # how much dearer what cannot be bought for counts, by its share of the room that is there


def fill_existing(
    model: Model, rooms: Pricer, values: Sequence[float], demand: Sequence[int]
) -> tuple[Machines, list[int]]:
    """Fill existing machines, the smallest room first: what fits there should not be where something large could go.

    Args:
        model: the problem.
        rooms: a pricer of the model's bins.
        values: what a copy of each item would cost to buy room for; 0 where nothing that can be bought takes it.
        demand: copies of each item.

    Returns:
        the machines with their contents (kinds counted on from those that can be bought), and what is left.

    """
    left = list(demand)
    worth = _worth(model, values)
    machines: Machines = Counter()
    for n in _smallest_first(model):
        free = model.bins[n].limit or 0
        while free and any(left):
            pattern = rooms.single(n, worth, left, nodes=_NODES).pattern
            if not pattern:
                break
            count = min([free, *(left[i] // c for i, c in pattern)])
            for i, c in pattern:
                left[i] -= c * count
            machines[len(model.kinds) + n, pattern] += count
            free -= count
    return machines, left


def _smallest_first(model: Model) -> list[int]:
    """Order rooms by the dimension of which they have least, beside the largest that is there."""
    if not model.bins:
        return []
    largest = [max(b.room[d] for b in model.bins) or 1 for d in range(len(model.bins[0].room))]
    shares = [min((r / m for r, m in zip(b.room, largest, strict=True)), default=0.0) for b in model.bins]
    return sorted(range(len(model.bins)), key=lambda n: (shares[n], n))


def _worth(model: Model, values: Sequence[float]) -> list[float]:
    """Let what has no other place go first."""
    if not model.bins:
        return list(values)
    total = [max(1, sum(b.room[d] * (b.limit or 0) for b in model.bins)) for d in range(len(model.bins[0].room))]
    top = max(values, default=0.0) or 1.0
    return [
        v if v > 0.0 else _ONLY_HERE * top * sum(s / t for s, t in zip(item.size, total, strict=True)) + 1.0
        for v, item in zip(values, model.items, strict=True)
    ]
