"""Room that is there already: filled before anything is bought, with what would be dearest to buy."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from reconciler.packing.solver.knapsack import lots
from reconciler.packing.solver.search import Ranked, greedy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reconciler.packing.solver.model import Kind, Model, Pattern
    from reconciler.packing.solver.plan import Machines

_ONLY_HERE = 1e4  # how much dearer what cannot be bought for counts, by its share of the room that is there


def fill_existing(model: Model, values: Sequence[float], demand: Sequence[int]) -> tuple[Machines, list[int]]:
    """Fill existing machines, in the order of the problem.

    Args:
        model: the problem.
        values: what a copy of each item would cost to buy room for; 0 where nothing that can be bought takes it.
        demand: copies of each item.

    Returns:
        the machines with their contents (kinds counted on from those that can be bought), and what is left.

    """
    left = list(demand)
    worth = _worth(model, values)
    machines: Machines = Counter()
    for n, place in enumerate(model.bins):
        free = place.limit or 0
        while free and any(left):
            pattern = _content(place, worth, left)
            if not pattern:
                break
            count = min([free, *(left[i] // c for i, c in pattern)])
            for i, c in pattern:
                left[i] -= c * count
            machines[len(model.kinds) + n, pattern] += count
            free -= count
    return machines, left


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


def _content(place: Kind, worth: Sequence[float], left: Sequence[int]) -> Pattern:
    """Fill one machine by worth for its scarcest dimension."""
    offered = lots(place.entries, worth, left)
    ranked = []
    for value, most, entry in offered:
        weight = max((s / r for s, r in zip(entry.size, place.room, strict=True) if s), default=0.0)
        rate = value / weight if weight > 0.0 else 1e300
        ranked.append(Ranked(rate, value * most, entry.item, value, most, entry.size, weight, entry.tokens))
    ranked.sort(key=lambda t: (-t.rate, -t.value, t.item))
    return tuple(sorted(greedy(place.room, ranked)[1]))
