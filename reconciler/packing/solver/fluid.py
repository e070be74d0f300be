"""Values of copies as if work were a fluid: each dimension of a machine has one price for all machines alike."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from reconciler.packing.solver.simplex import resource_prices

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from reconciler.packing.solver.model import Item, Kind


class Fluid:
    """Prices demand by what its amounts would cost in fractions of machines.

    Kinds on which the same items may go share their prices of dimensions; an item that may go on several such groups
    is worth what it costs where it is cheapest. So no machine's content is ever worth more than the machine.
    """

    def __init__(self, items: Sequence[Item], kinds: Sequence[Kind]) -> None:
        self._items, self._kinds = items, kinds
        groups: dict[int, list[int]] = defaultdict(list)
        for k, kind in enumerate(kinds):
            groups[kind.allowed].append(k)
        self._groups = [(sorted({e.item for k in own for e in kinds[k].entries}), own) for own in groups.values()]

    def values(self, left: Sequence[int], usable: Callable[[int], bool] = lambda _: True) -> list[float]:
        """Value a copy of each item in whole pico-dollars, 0 where no usable kind takes it.

        Args:
            left: copies of each item to place.
            usable: whether a kind can still be had.

        """
        values = [float("inf")] * len(self._items)
        for members, own in self._groups:
            kinds = [self._kinds[k] for k in own if usable(k)]
            if not kinds:
                continue
            wanted = [i for i in members if left[i]]
            demand = [sum(self._items[i].size[d] * left[i] for i in wanted) for d in range(len(kinds[0].room))]
            prices = resource_prices(demand, [k.room for k in kinds], [k.price for k in kinds])
            for i in members:
                worth = sum(p * s for p, s in zip(prices, self._items[i].size, strict=True))
                values[i] = min(values[i], worth)
        return [float(int(v)) if v < float("inf") else 0.0 for v in values]
