"""The content of one machine that is worth most: a knapsack in several dimensions, by branch and bound.

Values of one copy are floats that hold whole pico-dollars, so that their sums are exact; bounds are computed with
rounding, and widened by ``SLACK`` before anybody relies on them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from reconciler.packing.solver.search import SLACK, Descent, Proof, Ranked, gains, greedy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reconciler.packing.solver.model import Entry, Pattern

_BEST, _SMALL = 40, 8  # items that a search for a good content looks at, of hundreds: the best at least, and small ones
_TIMES = 2.0  # of the best so many that all their copies would fill the machine so often

Lot: TypeAlias = "tuple[float, int, Entry]"
"""An item on offer to one machine: value of one copy, copies at most, and the item as the machine sees it."""


@dataclass(frozen=True, slots=True)
class Fill:
    """The best content found, its value, a value that no content exceeds, and the work that it took."""

    value: float
    ceiling: float
    pattern: Pattern
    steps: int


def lots(entries: Sequence[Entry], values: Sequence[float], left: Sequence[int]) -> list[Lot]:
    """List what is worth putting on a machine.

    Args:
        entries: what fits there at all.
        values: of one copy of each item.
        left: copies of each item that are still to place.

    """
    found = []
    for entry in entries:
        value = values[entry.item]
        if value > 0.0:
            most = left[entry.item]
            if most > 0:
                found.append((value, min(most, entry.fit), entry))
    return found


def fill(
    room: tuple[int, ...],
    offered: Sequence[Lot],
    prices: Sequence[float],
    *,
    others: Sequence[Sequence[float]] = (),
    beat: float = 0.0,
    nodes: int = 400,
    proof: int = 0,
    tolerance: float = 1e-5,
) -> Fill:
    """Find the content worth most, with a ceiling on every content.

    Args:
        room: of the machine.
        offered: what may be put there.
        prices: of the dimensions, which decide the order of the search and how sharp its bounds are.
        others: more prices, of machines of other proportions: they bound what a lopsided rest of room can hold.
        beat: contents worth no more than this are of no interest; the ceiling may then be as high as it.
        nodes: branchings; when they run out, what was not searched counts with its bound.
        proof: branchings to spend on a lower ceiling, when those did not settle it.
        tolerance: relative; better contents by less are not searched for.

    """
    if not offered:
        return Fill(0.0, 0.0, (), 0)
    ranked = sorted(
        (_rank(value, most, entry, prices) for value, most, entry in offered), key=lambda t: (-t.rate, -t.total, t.item)
    )
    worth = sum(p * r for p, r in zip(prices, room, strict=True))
    root = (worth + gains(ranked, prices)[0]) * SLACK
    likely = ranked if proof else _likely(ranked, worth)
    value, chosen = greedy(room, likely)
    goal = max(value, beat) * (1.0 + tolerance)
    if root <= goal or not nodes:
        return Fill(value, root, tuple(sorted(chosen)), len(likely))
    found = Descent(room, likely, prices, others).run(value, chosen, goal, nodes)
    top = root if len(likely) < len(ranked) else min(root, found.ceiling)
    steps = len(likely) * (2 + len(others)) + found.nodes
    for order in (ranked, sorted(ranked, key=lambda t: (-t.weight, t.item))):
        goal = max(goal, found.value * (1.0 + tolerance))
        if top <= goal or not proof:
            break
        found = Proof(room, order, [tuple(prices), *others]).run(found.value, found.chosen, goal, proof // 2)
        top = min(top, found.ceiling)
        steps += len(order) * (2 + len(others)) + 12 * found.nodes
    return Fill(found.value, max(top, found.value), tuple(sorted(found.chosen)), steps)


def _likely(ranked: list[Ranked], worth: float) -> list[Ranked]:
    """Pick the items that a good content is made of: those of the best rates, and small ones for the gaps."""
    covered = 0.0
    for n, t in enumerate(ranked):
        if n >= _BEST and covered > _TIMES * worth:
            small = sorted(ranked[n:], key=lambda t: (t.weight, t.item))[:_SMALL]
            return ranked[:n] + sorted(small, key=lambda t: (-t.rate, -t.total, t.item))
        covered += t.most * t.weight
    return ranked


def _rank(value: float, most: int, entry: Entry, prices: Sequence[float]) -> Ranked:
    weight = 0.0
    for p, s in zip(prices, entry.size, strict=True):
        weight += p * s
    rate = value / weight if weight > 0.0 else 1e300
    return Ranked(rate, value * most, entry.item, value, most, entry.size, weight, entry.tokens)
