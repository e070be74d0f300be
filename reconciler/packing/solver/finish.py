"""From kinds and items back to offerings, existing machines and shapes: the plan as the caller reads it."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from reconciler.packing.solver.model import refusal
from reconciler.packing.solver.problem import PICO, Filling, Packing, Purchase, Reason, Unplaced

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from reconciler.packing.solver.model import Model, Pattern
    from reconciler.packing.solver.plan import Machines
    from reconciler.packing.solver.problem import Problem

_NOTHING = 1_000.0  # pico-dollars; rounding stays far below
_Content = tuple[tuple[int, int], ...]


def finish(
    problem: Problem,
    model: Model,
    machines: Machines,
    missing: Sequence[int],
    *,
    bound: float,
    rounds: int,
    optimised: bool,
) -> Packing:
    """Name everything. ``machines`` count kinds first, then bins; ``bound`` is in pico-dollars."""
    shares = _Shares(problem, model)
    purchases: Counter[tuple[int, _Content]] = Counter()
    fillings: list[Filling] = []
    places = _Places(problem, model)
    for (k, pattern), n in sorted(machines.items()):
        for content, same in shares.contents(pattern, n):
            if k < len(model.kinds):
                for offering, count in places.spread(k, same):
                    purchases[offering, content] += count
            else:
                bins = [places.bin(k - len(model.kinds)) for _ in range(same)]
                fillings += [Filling(bin=b, copies=content) for b in bins]
    bought = sorted(purchases.items(), key=lambda p: (problem.offerings[p[0][0]].name, p[0]))
    total = sum(round(problem.offerings[o].price * PICO) * n for (o, _), n in bought) / PICO
    return Packing(
        purchases=tuple(Purchase(offering=o, count=n, copies=content) for (o, content), n in bought),
        fillings=tuple(sorted(fillings, key=lambda f: f.bin)),
        unplaced=_unplaced(model, missing, problem),
        cost=total,
        bound=min(total, _whole(bound, [k.price for k in model.kinds]) / PICO),
        rounds=rounds,
        optimised=optimised,
    )


def _whole(bound: float, prices: Sequence[int]) -> int:
    """Raise a bound to what whole machines can cost: at least one of them, and a sum of their prices."""
    if bound < _NOTHING:
        return 0
    step = math.gcd(*prices)
    return max(-(-int(bound) // step) * step, min(prices))


class _Shares:
    """Gives the copies of an item to its shapes, in their order."""

    def __init__(self, problem: Problem, model: Model) -> None:
        self._queues = [[[s, problem.shapes[s].count] for s in item.shapes] for item in model.items]

    def contents(self, pattern: Pattern, machines: int) -> Iterator[tuple[_Content, int]]:
        """Turn a content of items into contents of shapes, each with the number of machines that have it."""
        while machines:
            same = machines
            takes: list[tuple[int, int, int]] = []  # item, place in its queue, copies on each machine
            for item, copies in pattern:
                need = copies
                for place, (_, left) in enumerate(self._queues[item]):
                    take = min(need, left)
                    if take:
                        takes.append((item, place, take))
                        same = min(same, left // take)
                        need -= take
                    if not need:
                        break
            content: dict[int, int] = defaultdict(int)
            for item, place, take in takes:
                self._queues[item][place][1] -= take * same
                content[self._queues[item][place][0]] += take
            yield tuple(sorted(content.items())), same
            machines -= same


class _Places:
    """Chooses among offerings that differ in nothing but name and group: groups evenly, then by name."""

    def __init__(self, problem: Problem, model: Model) -> None:
        self._problem, self._model = problem, model
        self._left = [o.available for o in problem.offerings]
        self._groups: Counter[str] = Counter()
        self._bins = [iter(b.members) for b in model.bins]

    def bin(self, k: int) -> int:
        """Take the next of these existing machines."""
        return next(self._bins[k])

    def spread(self, k: int, machines: int) -> Iterator[tuple[int, int]]:
        """Choose an offering for each machine."""
        offerings = self._problem.offerings
        chosen: Counter[int] = Counter()
        for _ in range(machines):
            best = min(
                (m for m in self._model.kinds[k].members if self._left[m] != 0),
                key=lambda m: (self._groups[offerings[m].group], offerings[m].name, m),
            )
            chosen[best] += 1
            self._groups[offerings[best].group] += 1
            left = self._left[best]
            self._left[best] = None if left is None else left - 1
        yield from sorted(chosen.items())


def _unplaced(model: Model, missing: Sequence[int], problem: Problem) -> tuple[Unplaced, ...]:
    """Name the shapes that go without: of an item's shapes the later ones."""
    found = [Unplaced(shape=s, count=problem.shapes[s].count, reason=reason) for s, reason in model.refused]
    buyable = {e.item for kind in model.kinds for e in kind.entries}
    for i, (item, count) in enumerate(zip(model.items, missing, strict=True)):
        left = count
        for s in reversed(item.shapes):
            if left:
                lost = min(left, problem.shapes[s].count)
                reason = Reason.LIMITS if i in buyable else refusal(problem, problem.shapes[s])
                found.append(Unplaced(shape=s, count=lost, reason=reason))
                left -= lost
    return tuple(sorted(found, key=lambda u: u.shape))
