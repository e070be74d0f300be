"""A plan inside the solver: which machines with which content, how often; trimmed, shrunk and compared."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reconciler.packing.solver.model import Item, Kind, Pattern

Machines: TypeAlias = "Counter[tuple[int, Pattern]]"
"""How many machines of a kind with a content."""


def cost(machines: Machines, kinds: Sequence[Kind]) -> int:
    """Add up the prices, in pico-dollars."""
    return sum(kinds[k].price * n for (k, _), n in machines.items())


def held(machines: Machines, items: int) -> list[int]:
    """Count the copies of each item that the machines hold."""
    total = [0] * items
    for (_, pattern), n in machines.items():
        for i, copies in pattern:
            total[i] += copies * n
    return total


def left_of(limits: Sequence[int | None], machines: Machines) -> list[int | None]:
    """Count how many of each kind may be had besides these machines."""
    used = Counter[int]()
    for (k, _), n in machines.items():
        used[k] += n
    return [None if n is None else n - used[k] for k, n in enumerate(limits)]


def trimmed(machines: Machines, demand: Sequence[int]) -> Machines:
    """Take out copies beyond the demand, from the cheapest machines first in the given order of kinds."""
    surplus = [h - d for h, d in zip(held(machines, len(demand)), demand, strict=True)]
    result: Machines = Counter()
    for (k, pattern), n in sorted(machines.items()):
        left = n
        while left:
            # so many machines lose the same copies: as many as the surplus of each item allows for
            cut = [(i, min(c, surplus[i])) for i, c in pattern if surplus[i] > 0]
            same = min([left, *(surplus[i] // c for i, c in cut)])
            rest = dict(pattern)
            for i, c in cut:
                rest[i] -= c
                surplus[i] -= c * same
            result[k, tuple((i, c) for i, c in rest.items() if c)] += same
            left -= same
    return Counter({key: n for key, n in result.items() if key[1]})


class Shrinker:
    """Moves contents to the cheapest machines that hold them."""

    def __init__(self, items: Sequence[Item], kinds: Sequence[Kind]) -> None:
        self._items, self._kinds = items, kinds
        self._fits = [{e.item: e.fit for e in kind.entries} for kind in kinds]
        self._cheapest: dict[Pattern, list[int]] = {}

    def shrunk(self, machines: Machines, limits: Sequence[int | None]) -> Machines:
        """Give the same contents on machines that cost no more; kinds are by price."""
        result: Machines = Counter()
        free = left_of(limits, machines)
        for (k, pattern), n in sorted(machines.items(), reverse=True):
            left = n
            for smaller in self._smaller(pattern):
                if smaller >= k or not left:
                    break
                limit = free[smaller]
                moved = left if limit is None else min(left, limit)
                if moved > 0:
                    result[smaller, pattern] += moved
                    for kind, change in ((smaller, -moved), (k, moved)):
                        stock = free[kind]
                        free[kind] = None if stock is None else stock + change
                    left -= moved
            if left:
                result[k, pattern] += left
        return result

    def _smaller(self, pattern: Pattern) -> list[int]:
        """List the kinds that hold a content, cheapest first, up to the first that never runs out."""
        if pattern not in self._cheapest:
            need = [sum(c) for c in zip(*([s * n for s in self._items[i].size] for i, n in pattern), strict=True)]
            found = self._cheapest[pattern] = []
            for k, kind in enumerate(self._kinds):
                fits = self._fits[k]
                if all(r >= n for r, n in zip(kind.room, need, strict=True)) and all(
                    fits.get(i, 0) >= n for i, n in pattern
                ):
                    found.append(k)
                    if kind.limit is None:
                        break
        return self._cheapest[pattern]
