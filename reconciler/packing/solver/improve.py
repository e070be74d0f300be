"""Making a valid plan cheaper: some of its machines are bought anew, with other tastes, as long as that pays."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from reconciler.packing.solver.greedy import Buyer, Dice, Taste
from reconciler.packing.solver.plan import Shrinker, cost, held, left_of, trimmed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reconciler.packing.solver.model import Item, Kind
    from reconciler.packing.solver.plan import Machines

_TASTES = (  # what to vary, and how much
    (0.05, 1.2, 0.05, 0.02),
    (0.1, 1.5, 0.5, 0.2),
    (0.0, 1.05, 0.2, 0.1),
    (0.2, 2.0, 0.2, 0.02),
)
_TOGETHER = 6  # machines bought anew at once, at most


class Improver:
    """Holds the best plan so far."""

    def __init__(
        self,
        items: Sequence[Item],
        kinds: Sequence[Kind],
        buyer: Buyer,
        demand: Sequence[int],
        limits: Sequence[int | None],
    ) -> None:
        self._kinds, self._buyer, self._demand, self._limits = kinds, buyer, list(demand), list(limits)
        self._shrinker = Shrinker(items, kinds)
        self._dice = Dice(1)
        self._turn = 0
        self.machines: Machines = Counter()
        self.cost = -1  # pico-dollars; below 0 while there is no plan

    def offer(self, machines: Machines) -> bool:
        """Take a plan that holds the whole demand, if it is cheaper than the best."""
        plan = self._shrinker.shrunk(trimmed(machines, self._demand), self._limits)
        price = cost(plan, self._kinds)
        if 0 <= self.cost <= price:
            return False
        self.machines, self.cost = plan, price
        return True

    def taste(self) -> Taste:
        """Give the next taste to try."""
        self._turn += 1
        big, share, items, kinds = _TASTES[self._turn % len(_TASTES)]
        return Taste(big=big, share=share, items=items, kinds=kinds, seed=self._turn)

    def again(self, taste: Taste) -> bool:
        """Buy everything anew."""
        machines, missing = self._buyer.buy(self._demand, self._limits, taste)
        return not any(missing) and self.offer(machines)

    def some(self, values: Sequence[float]) -> bool:
        """Buy some machines anew: rather those that cost much more than what they hold is worth."""
        chosen = self._chosen(values)
        rest = self.machines - chosen
        demand = held(chosen, len(self._demand))
        limits = left_of(self._limits, rest)
        machines, missing = self._buyer.buy(demand, limits, self.taste())
        if any(missing):
            return False
        plan = self._shrinker.shrunk(trimmed(machines, demand), limits)
        saved = cost(chosen, self._kinds) - cost(plan, self._kinds)
        if saved <= 0:
            return False
        self.machines, self.cost = rest + plan, self.cost - saved
        return True

    def _chosen(self, values: Sequence[float]) -> Machines:
        slack = [
            (max(0.0, self._kinds[k].price - sum(values[i] * c for i, c in pattern)), (k, pattern))
            for k, pattern in sorted(self.machines)
        ]
        total = sum(s for s, _ in slack)
        chosen: Machines = Counter()
        for _ in range(2 + int(self._dice.roll() * (_TOGETHER - 1))):
            at = self._dice.roll() * total
            uniform = self._dice.roll() < 0.3 or total <= 0.0
            pick = slack[int(self._dice.roll() * len(slack))][1]
            for s, key in slack if not uniform else ():
                at -= s
                if at <= 0.0:
                    pick = key
                    break
            if chosen[pick] < self.machines[pick]:
                chosen[pick] += 1
        return +chosen
