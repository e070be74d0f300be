"""A plan inside the solver: which machines with which content, how often; trimmed, shrunk and compared."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reconciler.packing.solver.model import Kind, Pattern

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


def shrunk(machines: Machines, kinds: Sequence[Kind], limits: Sequence[int | None]) -> Machines:
    """Move each content to the cheapest kind that holds it. ``kinds`` are by price; bins stay what they are."""
    result: Machines = Counter()
    used = Counter(dict.fromkeys(range(len(kinds)), 0))
    for (k, _), n in machines.items():
        used[k] += n
    for (k, pattern), n in sorted(machines.items(), reverse=True):
        left = n
        for smaller in range(k) if kinds[k].price else ():
            if not left:
                break
            limit = limits[smaller]
            room = left if limit is None else min(left, limit - used[smaller])
            if kinds[smaller].price and room > 0 and holds(kinds[smaller], pattern):
                result[smaller, pattern] += room
                used[smaller] += room
                used[k] -= room
                left -= room
        if left:
            result[k, pattern] += left
    return result


def holds(kind: Kind, pattern: Pattern) -> bool:
    """Whether a machine of that kind can hold that content; tokens do not clash in a content that was held once."""
    fit = {e.item: e for e in kind.entries}
    left = list(kind.room)
    for i, copies in pattern:
        entry = fit.get(i)
        if entry is None or copies > entry.fit:
            return False
        for d, s in enumerate(entry.size):
            left[d] -= copies * s
    return min(left, default=0) >= 0
