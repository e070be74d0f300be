"""A plan within milliseconds: existing room first, then again and again the machine worth most for its price.

What a copy is worth is found anew for what is left, so that no kind of work is left over that fills machines badly.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from reconciler.packing.solver.fluid import Fluid
    from reconciler.packing.solver.plan import Machines
    from reconciler.packing.solver.pricing import Pricer

_NODES = 200
_TOLERANCE = 1e-4


@dataclass(frozen=True, slots=True)
class Taste:
    """How a greedy plan is made; different tastes give different plans.

    Args:
        big: how much more large copies count than their worth: 0.05 is 5 % for the largest.
        values: worth of a copy of each item, instead of that of a fluid.

    """

    big: float = 0.05
    values: tuple[float, ...] | None = None


class Buyer:
    """Buys machines for what is left; knows the catalogue, keeps no plan."""

    def __init__(self, pricer: Pricer, fluid: Fluid) -> None:
        self._pricer, self._fluid = pricer, fluid

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
        while any(rest):
            usable = [k for k, n in enumerate(free) if n is None or n > 0]
            values = self._values(rest, lambda k: free[k] is None or free[k] != 0, taste)
            quote = self._pricer.quote(values, rest, among=usable, want=1, nodes=_NODES, tolerance=_TOLERANCE)
            if not quote.offers:
                break
            offer = quote.offers[0]
            limit = free[offer.kind]
            count = min(rest[i] // n for i, n in offer.pattern)
            if limit is not None:
                count = min(count, limit)
                free[offer.kind] = limit - count
            for i, n in offer.pattern:
                rest[i] -= n * count
            machines[offer.kind, offer.pattern] += count
        return machines, rest

    def _values(self, rest: Sequence[int], usable: Callable[[int], bool], taste: Taste) -> list[float]:
        values = self._fluid.values(rest, usable) if taste.values is None else list(taste.values)
        largest = max((v for v, n in zip(values, rest, strict=True) if n), default=0.0) or 1.0
        # what is worth nothing must still be placed: a grain of value puts it where there is room
        return [
            max(1.0, float(int(v * (1.0 + taste.big * v / largest)))) if n else 0.0
            for v, n in zip(values, rest, strict=True)
        ]
