"""Values of copies as if work were a fluid: each dimension of a machine has one price for all machines alike."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reconciler.packing.solver.simplex import maximum

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from reconciler.packing.solver.model import Item, Kind
    from reconciler.packing.solver.pricing import Meter

    _Groups = list[tuple[list[int], list[int]]]  # items and kinds of each
    _Amounts = list[tuple[list[int], int, float]]  # kinds of the group, kind, how many of it


_SHARED_MAX = 60  # items with a choice of groups, up to which all groups are priced together
_SLOTS_MAX = 24
GRADES = 4  # classes of kinds by how much of the work fits there
_ALIKE = 0.002  # relative difference in room between sizes of a family


@dataclass(frozen=True, slots=True)
class Flow:
    """The fluid plan: what a copy of each item is worth, and whole machines that it needs with their numbers."""

    values: list[float]
    machines: list[tuple[int, int]]


class Fluid:
    """Prices demand by what its amounts would cost in fractions of machines.

    Kinds on which the same items may go share their prices of dimensions; an item that may go on several such groups
    is worth what it costs where it is cheapest. So no machine's content is ever worth more than the machine.
    """

    def __init__(
        self, items: Sequence[Item], kinds: Sequence[Kind], meter: Meter, *, loose: bool = False, grades: int = GRADES
    ) -> None:
        import numpy as np  # noqa: PLC0415 - paid for only by those who pack

        self._items, self._kinds, self._meter = items, kinds, meter
        self._groups = _homes(_classes(items, kinds, grades), kinds, loose=loose)
        slots = _slots(items)
        self._sizes = [(*item.size, *(int(i in members) for members, _ in slots)) for i, item in enumerate(items)]
        rooms = [(*kind.room, *(_places(kind, members, room) for members, room in slots)) for kind in kinds]
        width = len(self._sizes[0]) if items else 0
        self._rooms = np.array(rooms, dtype=np.float64).reshape(len(kinds), width)

    def unlike(self, other: Fluid) -> bool:
        """Tell whether another fluid has other classes, and so values items differently."""
        return self._groups != other._groups

    def values(self, left: Sequence[int], usable: Callable[[int], bool] = lambda _: True) -> list[float]:
        """Value a copy of each item in whole pico-dollars; see ``flow``."""
        return self.flow(left, usable).values

    def flow(self, left: Sequence[int], usable: Callable[[int], bool] = lambda _: True) -> Flow:
        """Solve the fluid problem.

        Args:
            left: copies of each item to place.
            usable: whether a kind can still be had.

        """
        groups = [(members, [k for k in own if usable(k)]) for members, own in self._groups]
        groups = [(members, own) for members, own in groups if own and any(left[i] for i in members)]
        homes: dict[int, list[int]] = defaultdict(list)  # of each item that is left: the groups that take it
        for g, (members, _) in enumerate(groups):
            for i in members:
                if left[i]:
                    homes[i].append(g)
        if not groups:
            return Flow([0.0] * len(self._items), [])
        shared = [i for i, gs in homes.items() if len(gs) > 1]
        if len(shared) > _SHARED_MAX:
            prices, amounts = self._apart(groups, left)
        else:
            prices, amounts = self._together(groups, left, homes, shared)
        values = [0.0] * len(self._items)
        for i, gs in homes.items():
            values[i] = float(int(min(_worth(prices[g], self._sizes[i]) for g in gs)))
        size = len(self._kinds[0].room)
        scarce = {k for (_, own), vector in zip(groups, prices, strict=True) if any(vector[size:]) for k in own}
        machines = [m for own, k, amount in amounts for m in self._largest(k, amount, [k] if k in scarce else own)]
        return Flow(values, machines)

    def _demand(self, items: Iterable[int], left: Sequence[int]) -> list[int]:
        return [sum(c) for c in zip(*([s * left[i] for s in self._sizes[i]] for i in items), strict=True)]

    def _apart(self, groups: _Groups, left: Sequence[int]) -> tuple[list[list[float]], _Amounts]:
        """Price each group as if all that it takes came to it."""
        prices: list[list[float]] = []
        amounts: _Amounts = []
        for members, own in groups:
            demand = self._demand((i for i in members if left[i]), left)
            found, machines, turns = maximum(demand, self._rooms[own], [float(self._kinds[k].price) for k in own])
            prices.append(found)
            self._meter.steps += _steps(len(own), len(demand), turns)
            amounts += [(own, own[n], amount) for n, amount in sorted(machines.items())]
        return prices, amounts

    def _together(
        self, groups: _Groups, left: Sequence[int], homes: dict[int, list[int]], shared: list[int]
    ) -> tuple[list[list[float]], _Amounts]:
        """Price all groups in one programme: a shared item has its own value, nowhere above what it takes."""
        import numpy as np  # noqa: PLC0415 - see above

        size = self._rooms.shape[1]
        width = size * len(groups)
        gains = [0.0] * width + [float(left[i]) for i in shared]
        origin = [k for _, own in groups for k in own]
        place = {i: width + n for n, i in enumerate(shared)}
        links = [(g, i) for i in shared for g in homes[i]]
        rows = np.zeros((len(origin) + len(links), len(gains)))
        above = 0
        for g, (members, own) in enumerate(groups):
            alone = [i for i in members if left[i] and len(homes[i]) == 1]
            if alone:
                gains[g * size : (g + 1) * size] = [float(v) for v in self._demand(alone, left)]
            rows[above : above + len(own), g * size : (g + 1) * size] = self._rooms[own]
            above += len(own)
        for row, (g, i) in enumerate(links, above):
            rows[row, g * size : (g + 1) * size] = [-float(s) for s in self._sizes[i]]
            rows[row, place[i]] = 1.0
        bounds = [float(self._kinds[k].price) for k in origin] + [0.0] * len(links)
        found, duals, turns = maximum(gains, rows, bounds)
        self._meter.steps += _steps(len(rows), len(gains), turns)
        prices = [found[g * size : (g + 1) * size] for g in range(len(groups))]
        home = {k: own for _, own in groups for k in own}
        return prices, [(home[origin[n]], origin[n], a) for n, a in sorted(duals.items()) if n < len(origin)]

    def _largest(self, base: int, amount: float, kinds: Sequence[int]) -> list[tuple[int, int]]:
        """Find the largest machine of the same proportions and unit price of which the amount is at least one.

        Where the number of machines counts and not their size, ``kinds`` is only the one that is meant.
        """
        first = self._kinds[base]
        best: list[tuple[int, int]] = []
        for k in kinds:
            kind = self._kinds[k]
            times = kind.price / first.price
            count = int(amount / times + 1e-9)
            if count and all(
                abs(r - times * f) <= _ALIKE * times * f for r, f in zip(kind.room, first.room, strict=True)
            ):
                best = [(k, count)]
        return best


def _classes(items: Sequence[Item], kinds: Sequence[Kind], grades: int) -> list[list[int]]:
    """Group kinds that share prices: the same items may go there, and about as much of them fits.

    A machine too small for most of the work would otherwise lower the worth of what it cannot hold.
    """
    top = [max(1, *column) for column in zip(*(item.size for item in items), strict=True)]
    weights = [max((s / t for s, t in zip(item.size, top, strict=True)), default=0.0) * item.count for item in items]
    grades = grades if len(items) <= _SHARED_MAX else 1
    groups: dict[tuple[int, int], list[int]] = defaultdict(list)
    for k, kind in enumerate(kinds):
        whole = sum(w for i, w in enumerate(weights) if kind.allowed >> i & 1)
        fits = sum(weights[e.item] for e in kind.entries)
        groups[kind.allowed, int(grades * fits / whole) if whole and grades > 1 else 0].append(k)
    return list(groups.values())


def _homes(classes: list[list[int]], kinds: Sequence[Kind], *, loose: bool) -> _Groups:
    """Name the items of each class: those that fit on all of its kinds; ``loose`` or homeless ones if on any."""
    fits = [{e.item for e in kind.entries} for kind in kinds]
    everywhere = [set[int]() if loose else set.intersection(*(fits[k] for k in own)) for own in classes]
    settled = set[int]().union(*everywhere)
    return [
        (sorted(sure | (set[int]().union(*(fits[k] for k in own)) - settled)), own)
        for sure, own in zip(everywhere, classes, strict=True)
    ]


def _steps(rows: int, columns: int, turns: int) -> int:
    """Write the work of a programme in the meter's unit."""
    return rows * (turns + 1) * (2 + columns) // 3000 + turns


def _slots(items: Sequence[Item]) -> list[tuple[set[int], int]]:
    """Find what a machine has few of, whatever its size: places for copies of which it may hold so many, and tokens.

    They are dimensions like any other here, so that a fluid knows that such copies need many machines, not large ones.
    Each is the items that take one of it, and how many a machine has. The most wanted ones do.
    """
    found = [({i}, item.most) for i, item in enumerate(items) if item.most is not None and not item.tokens]
    tokens = 0
    for item in items:
        tokens |= item.tokens
    bits = range(tokens.bit_length())
    found += [({i for i, item in enumerate(items) if item.tokens >> bit & 1}, 1) for bit in bits]
    found.sort(key=lambda slot: (-sum(items[i].count for i in slot[0]) / slot[1], sorted(slot[0])))
    return found[:_SLOTS_MAX]


def _places(kind: Kind, members: set[int], room: int) -> int:
    """Count a kind's places for these items; none where they do not even fit."""
    return min(room, sum(e.fit for e in kind.entries if e.item in members))


def _worth(prices: Sequence[float], size: Sequence[int]) -> float:
    return sum(p * s for p, s in zip(prices, size, strict=True))
