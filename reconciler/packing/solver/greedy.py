"""A plan within milliseconds: existing room first, then again and again the machine worth most for its price.

What a copy is worth is found anew for what is left, so that no kind of work is left over that fills machines badly.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reconciler.packing.solver.fluid import Flow, Fluid
    from reconciler.packing.solver.model import Kind, Pattern
    from reconciler.packing.solver.plan import Machines
    from reconciler.packing.solver.pricing import Pricer

_NODES = 60
_FILLS = 3
_MANY = 1 << 60
_WORD = (1 << 64) - 1
_TOLERANCE = 1e-3
_IN_PROPORTION = 0.005  # by how much a machine of the fluid plan may be filled worse than another


@dataclass(frozen=True, slots=True)
class Taste:
    """How a greedy plan is made; different tastes give different plans.

    Args:
        big: how much more large copies count than they are worth: 0.05 is 5 % for the largest.
        share: of its fair part of each item, how much one machine may take at most: little keeps the rest mixed.
        items: by how much copies of items count more than they are worth, at random, up to this share.
        kinds: by how much kinds cost more than they do, at random, up to this share.
        seed: of what is random.

    """

    big: float = 0.05
    share: float = 1.2
    items: float = 0.0
    kinds: float = 0.0
    seed: int = 0


class Dice:
    """A stream of numbers that look random and are the same everywhere (SplitMix64)."""

    def __init__(self, seed: int) -> None:
        self._state = seed & _WORD

    def roll(self) -> float:
        """Give the next number, from 0 up to, not including, 1."""
        self._state = (self._state + 0x9E3779B97F4A7C15) & _WORD
        z = self._state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _WORD
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _WORD
        return ((z ^ (z >> 31)) >> 11) / (1 << 53)


class _Choice(NamedTuple):
    """A machine to buy: how much it is worth for its price, its content, and how many at most."""

    rate: float
    kind: int
    pattern: Pattern
    most: int


_NOTHING = _Choice(-1.0, 0, (), 0)


class Buyer:
    """Buys machines for what is left; knows the catalogue, keeps no plan."""

    def __init__(self, kinds: Sequence[Kind], pricer: Pricer, fluid: Fluid) -> None:
        self._kinds, self._pricer, self._fluid = kinds, pricer, fluid

    def buy(self, left: Sequence[int], limits: Sequence[int | None], taste: Taste) -> tuple[Machines, list[int]]:
        """Buy machines until nothing is left, or nothing more may be had.

        Args:
            left: copies of each item to place.
            limits: how many of each kind may still be had; None is any number.
            taste: see ``Taste``.

        Returns:
            the machines, and the copies of each item that found no place.

        """
        rest, free = list(left), list(limits)
        machines: Machines = Counter()
        dice = Dice(taste.seed)
        moods = [1.0 + taste.items * dice.roll() for _ in rest]
        prices = [k.price * (1.0 + taste.kinds * dice.roll()) for k in self._kinds]
        while any(rest):
            flow = self._fluid.flow(rest, lambda k: free[k] is None or free[k] != 0)
            values = self._values(flow.values, rest, moods, taste.big)
            left = self._fair(flow, rest, taste.share)
            choice = max(
                self._best(flow, left, values, prices, [k for k, n in enumerate(free) if n is None or n > 0]),
                self._proportional(flow, left, values),
                key=lambda c: c.rate,
            )
            if not choice.pattern:
                break
            kind, limit = choice.kind, free[choice.kind]
            count = min(choice.most, *(rest[i] // n for i, n in choice.pattern))
            if limit is not None:
                count = min(count, limit)
                free[kind] = limit - count
            for i, n in choice.pattern:
                rest[i] -= n * count
            machines[kind, choice.pattern] += count
        return machines, rest

    def _fair(self, flow: Flow, rest: Sequence[int], share: float) -> Sequence[int]:
        """Say how many copies of each item one machine may take: about its part of them, lest the rest be lopsided."""
        if not flow.machines:
            return rest
        total = sum(v * n for v, n in zip(flow.values, rest, strict=True))
        part = share * max(self._kinds[k].price for k, _ in flow.machines) / total
        return [math.ceil(n * part) for n in rest] if part < 1.0 else rest

    def _best(
        self, flow: Flow, left: Sequence[int], values: Sequence[float], prices: Sequence[float], usable: list[int]
    ) -> _Choice:
        """Choose the machine worth most for its price."""
        quote = self._pricer.quote(
            values, left, among=usable, prices=prices, want=1, most=_FILLS, nodes=_NODES, tolerance=_TOLERANCE
        )
        best = _NOTHING
        for offer in quote.offers:
            rate = sum(flow.values[i] * n for i, n in offer.pattern) / prices[offer.kind]
            if rate > best.rate:
                best = _Choice(rate, offer.kind, offer.pattern, _MANY)
        return best

    def _proportional(self, flow: Flow, left: Sequence[int], values: Sequence[float]) -> _Choice:
        """Choose a machine of the fluid plan, if it can be filled.

        It keeps the rest in proportion: after it, that costs what it was worth before. Any other machine must be
        better filled by ``_IN_PROPORTION`` to be worth its price.
        """
        best = _NOTHING
        for kind, amount in flow.machines:
            pattern = self._pricer.single(kind, values, left, nodes=_NODES).pattern
            rate = sum(flow.values[i] * n for i, n in pattern) / self._kinds[kind].price + _IN_PROPORTION
            if pattern and rate > best.rate:
                best = _Choice(rate, kind, pattern, amount)
        return best

    def _values(self, worth: Sequence[float], rest: Sequence[int], moods: Sequence[float], big: float) -> list[float]:
        """Favour large copies a little, and give what is worth nothing a grain: it must be placed all the same."""
        largest = max((v for v, n in zip(worth, rest, strict=True) if n), default=0.0) or 1.0
        return [
            max(1.0, float(int(v * (1.0 + big * v / largest) * mood))) if n else 0.0
            for v, n, mood in zip(worth, rest, moods, strict=True)
        ]
