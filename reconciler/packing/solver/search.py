"""Two searches for the content of one machine that is worth most: one finds good ones soon, one proves the best."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from reconciler.packing.solver.simplex import content_prices

if TYPE_CHECKING:
    from collections.abc import Sequence

SLACK = 1.0 + 1e-9  # more than the rounding errors of any bound computed here
_PRICES_MAX = 16  # price vectors that a proof asks for each bound

Chosen: TypeAlias = list[tuple[int, int]]
"""Item and copies, copies above 0."""


class Ranked(NamedTuple):
    """An item on offer to one machine."""

    rate: float  # value for each unit of weight
    total: float  # value of all copies
    item: int
    value: float  # of one copy
    most: int  # copies
    size: tuple[int, ...]
    weight: float  # of one copy: its size at the prices of the search
    tokens: int


class Found(NamedTuple):
    """The outcome of a search: the best content known, and a value that no content exceeds."""

    value: float
    chosen: Chosen
    ceiling: float
    nodes: int = 0  # branchings that it took


def greedy(room: tuple[int, ...], ranked: Sequence[Ranked]) -> tuple[float, Chosen]:
    """Take as many copies as fit, in the given order."""
    total, chosen, used = 0.0, [], 0
    for _, _, item, value, most, size, _, tokens in ranked:
        if tokens & used:
            continue
        copies = most
        for r, s in zip(room, size, strict=True):
            if s * copies > r:
                copies = r // s
        if copies:
            room = tuple([r - copies * s for r, s in zip(room, size, strict=True)])
            total += copies * value
            used |= tokens
            chosen.append((item, copies))
    return total, chosen


def gains(ranked: Sequence[Ranked], prices: Sequence[float]) -> list[float]:
    """For each position: what all items from there on are worth beyond what they take at these prices."""
    total, found = 0.0, [0.0]
    for _, _, _, value, most, size, _, _ in reversed(ranked):
        gain = value
        for p, s in zip(prices, size, strict=True):
            gain -= p * s
        if gain > 0.0:
            total += most * gain
        found.append(total)
    found.reverse()
    return found


class Descent:
    """Branch and bound in falling order of rate, most copies first: its first leaves are good contents."""

    def __init__(
        self,
        room: tuple[int, ...],
        ranked: Sequence[Ranked],
        prices: Sequence[float],
        others: Sequence[Sequence[float]],
    ) -> None:
        self._room, self._ranked = room, ranked
        self._worth = sum(p * r for p, r in zip(prices, room, strict=True))
        self._rates = [t.rate for t in ranked] + [0.0]
        self._weights, self._values = [0.0], [0.0]  # of all copies of the items before
        for t in ranked:
            self._weights.append(self._weights[-1] + t.most * t.weight)
            self._values.append(self._values[-1] + t.total)
        self._others = [(y, gains(ranked, y)) for y in others]

    def _bound(self, first: int, worth: float) -> float:
        """Bound the value of the items from ``first`` on in room of that worth: greedy by rate, the last one cut."""
        weights = self._weights
        reach = weights[first] + worth
        cut = bisect_right(weights, reach) - 1
        if cut >= len(self._ranked):
            return (self._values[-1] - self._values[first]) * SLACK
        return (self._values[cut] - self._values[first] + (reach - weights[cut]) * self._rates[cut]) * SLACK

    def _lopsided(self, first: int, left: tuple[int, ...]) -> float:
        """Bound the value of the items from ``first`` on by the prices of other machines."""
        best = 1e300
        for prices, extra in self._others:
            limit = extra[first]
            for p, r in zip(prices, left, strict=True):
                limit += p * r
            best = min(best, limit)
        return best * SLACK

    def run(self, best: float, chosen: Chosen, goal: float, nodes: int) -> Found:  # noqa: PLR0915 - a loop in one piece
        """Search for contents worth more than ``goal``, of which ``chosen`` is the best known so far."""
        ranked, others, end = self._ranked, self._others, len(self._ranked)
        root = self._bound(0, self._worth)
        unsearched, start = 0.0, nodes
        if root <= goal:
            return Found(best, chosen, root)
        # a frame: position, copies, and what there is with them: room, value, worth of the room; tokens without them
        stack: list[tuple[int, int, tuple[int, ...], float, float, int]] = []
        position, left, value, worth, used = 0, self._room, 0.0, self._worth, 0
        while True:
            while position < end:  # down, to a leaf or a bound
                _, _, _, each, copies, size, weight, tokens = ranked[position]
                if not tokens & used:
                    for r, s in zip(left, size, strict=True):
                        if s * copies > r:
                            copies = r // s
                    if copies:
                        bound = value + self._bound(position, worth)
                        if bound <= goal:
                            break
                        if nodes <= 0:
                            unsearched = max(unsearched, bound)
                            break
                        nodes -= 1
                        left = tuple([r - copies * s for r, s in zip(left, size, strict=True)])
                        value += copies * each
                        worth -= copies * weight
                        stack.append((position, copies, left, value, worth, used))
                        used |= tokens
                position += 1
            if value > best:
                best = value
                chosen = [(ranked[f[0]].item, f[1]) for f in stack if f[1]]
                goal = max(goal, best)
            while stack:  # back, to the last decision that may still be better with one copy less
                position, copies, left, value, worth, used = stack.pop()
                _, _, _, each, _, size, weight, tokens = ranked[position]
                copies -= 1
                value -= each
                worth += weight
                bound = value + self._bound(position + 1, worth)
                if bound <= goal:
                    continue  # rates fall along the list, so still fewer copies bound no better
                left = tuple([r + s for r, s in zip(left, size, strict=True)])
                if others:
                    bound = min(bound, value + self._lopsided(position + 1, left))
                if bound <= goal:
                    if copies:  # these bounds need not fall with the copies
                        stack.append((position, copies, left, value, worth, used))
                    continue
                if nodes <= 0:
                    unsearched = max(unsearched, bound)
                    continue
                nodes -= 1
                if copies:
                    stack.append((position, copies, left, value, worth, used))
                    used |= tokens
                position += 1
                break
            else:
                return Found(best, chosen, min(root, max(goal, unsearched)), start - nodes)


class Proof:
    """Branch and bound in any order, with bounds as sharp as can be: dear for each branch, but there are few.

    A bound is what the room left is worth at some prices, and what later items are worth beyond it: valid at any
    prices, sharp at those that the rest itself would give. So where the known prices do not cut a branch off, those of
    its rest are computed and kept, for the branches that look like it.
    """

    def __init__(self, room: tuple[int, ...], ranked: Sequence[Ranked], prices: Sequence[Sequence[float]]) -> None:
        self._room, self._ranked = room, ranked
        self._prices = [(y, gains(ranked, y)) for y in prices]

    def _bound(self, position: int, left: tuple[int, ...]) -> float:
        best = 1e300
        for prices, extra in self._prices:
            total = extra[position]
            for p, r in zip(prices, left, strict=True):
                total += p * r
            best = min(best, total)
        return best * SLACK

    def _sharpen(self, position: int, left: tuple[int, ...]) -> float:
        """Find the prices of the rest itself, keep them, and return the bound that they give."""
        rest = self._ranked[position:]
        most = [min([t.most, *(r // s for r, s in zip(left, t.size, strict=True) if s)]) for t in rest]
        prices = content_prices(left, [t.size for t in rest], [t.value for t in rest], most)
        extra = gains(self._ranked, prices)
        self._prices.append((prices, extra))
        return (extra[position] + sum(p * r for p, r in zip(prices, left, strict=True))) * SLACK

    def _next(self, position: int, left: tuple[int, ...], used: int) -> tuple[int, int]:
        """Find the next item of which a copy fits, and how many do; the end of the list if there is none."""
        for at in range(position, len(self._ranked)):
            _, _, _, _, copies, size, _, tokens = self._ranked[at]
            if tokens & used:
                continue
            for r, s in zip(left, size, strict=True):
                if s * copies > r:
                    copies = r // s
            if copies:
                return at, copies
        return len(self._ranked), 0

    def run(self, best: float, chosen: Chosen, goal: float, nodes: int) -> Found:
        """Search for contents worth more than ``goal``, of which ``chosen`` is the best known so far."""
        end = len(self._ranked)
        root = self._bound(0, self._room)
        unsearched, start = 0.0, nodes
        # a frame: position, copies to try next, and without the item: room, value, tokens
        stack: list[tuple[int, int, tuple[int, ...], float, int]] = []
        picked: Chosen = []
        seen: dict[tuple[int, tuple[int, ...], int], float] = {}
        position, left, value, used = 0, self._room, 0.0, 0
        while True:
            position, copies = self._next(position, left, used)
            if value <= seen.get((position, left, used), -1.0):
                pass  # been here with as much
            elif position == end:
                if value > best:
                    best, chosen = value, [(i, n) for i, n in picked if n]
                    goal = max(goal, best)
            else:
                seen[position, left, used] = value
                bound = value + self._bound(position, left)
                if bound > goal and nodes > 0 and len(self._prices) < _PRICES_MAX:
                    bound = min(bound, value + self._sharpen(position, left))
                if bound > goal:
                    if nodes > 0:
                        stack.append((position, copies, left, value, used))
                    else:
                        unsearched = max(unsearched, bound)
                    nodes -= 1
            step = self._branch(stack, picked, goal)
            if step is None:
                return Found(best, chosen, min(root, max(goal, unsearched)), start - nodes)
            position, left, value, used = step

    def _branch(
        self, stack: list[tuple[int, int, tuple[int, ...], float, int]], picked: Chosen, goal: float
    ) -> tuple[int, tuple[int, ...], float, int] | None:
        """Take the next number of copies of the deepest item for which one may reach the goal."""
        while stack:
            position, copies, left, value, used = stack.pop()
            del picked[len(stack) :]
            _, _, item, each, _, size, _, tokens = self._ranked[position]
            before = 0.0
            while copies >= 0:
                rest = tuple([r - copies * s for r, s in zip(left, size, strict=True)])
                bound = value + copies * each + self._bound(position + 1, rest)
                if bound > goal:
                    stack.append((position, copies - 1, left, value, used))
                    picked.append((item, copies))
                    return position + 1, rest, value + copies * each, used | tokens if copies else used
                if bound < before:
                    break  # bounds are concave in the copies: once they fall, they fall on
                before = bound
                copies -= 1
        return None
