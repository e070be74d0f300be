"""From fractions of machines to whole ones: what the relaxed plan has whole is kept, the rest is planned again."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reconciler.packing.solver.columns import generate
from reconciler.packing.solver.greedy import Taste
from reconciler.packing.solver.plan import left_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from reconciler.packing.solver.bound import Bounder
    from reconciler.packing.solver.greedy import Buyer
    from reconciler.packing.solver.improve import Improver
    from reconciler.packing.solver.master import Master, Relaxed
    from reconciler.packing.solver.model import Kind
    from reconciler.packing.solver.plan import Machines

_WHOLE = 1e-6  # a fraction this close to a whole number is one
_LITTLE = 0.3  # share of the copies
_ROUNDS = 3  # of column generation for what is left, after each step


@dataclass(frozen=True, slots=True, kw_only=True)
class Diver:
    """What a dive needs to know; see ``dive``."""

    master: Master
    bounder: Bounder
    buyer: Buyer
    improver: Improver
    kinds: Sequence[Kind]
    limits: Sequence[int | None]
    demand: Sequence[int]

    def dive(self, relaxed: Relaxed, ended: Callable[[], bool]) -> None:
        """Offer plans made of the relaxed one: at each depth some of it is fixed, and the rest bought greedily."""
        rest = list(self.demand)
        fixed: Machines = Counter()
        tastes = [Taste()]  # one look at once; several when little is left, and buying is cheap
        while any(rest):
            before = sum(fixed.values())
            _fix(self.master, relaxed, fixed, rest, self.kinds)
            free = left_of(self.limits, fixed)
            stuck = not any(rest) or sum(fixed.values()) == before or ended()
            if sum(rest) <= _LITTLE * sum(self.demand):
                tastes = [Taste(share=1.05), Taste(), self.improver.taste()]
            for taste in tastes or ([Taste()] if stuck else []):
                machines, missing = self.buyer.buy(rest, free, taste)
                if not any(missing):
                    self.improver.offer(fixed + machines)
            if stuck:
                break
            tastes = []
            self._ask(rest, free)
            relaxed = generate(
                self.master,
                self.bounder,
                self.kinds,
                rest,
                left=rest,
                covered=None,
                start=relaxed.values,
                rounds=_ROUNDS,
                enough=1e-3,
                width=0.1,
            )
        self._ask(self.demand, self.limits)

    def _ask(self, demand: Sequence[int], limits: Sequence[int | None]) -> None:
        self.master.demand(demand, {k: n for k, n in enumerate(limits) if n is not None})


def _fix(master: Master, relaxed: Relaxed, fixed: Machines, rest: list[int], kinds: Sequence[Kind]) -> None:
    """Fix whole machines of the relaxed plan; if it has none, the one that comes closest.

    They may hold more copies than are wanted, as in the relaxed plan: the surplus is taken out in the end.
    """
    order = sorted((j for j, a in enumerate(relaxed.amounts) if a > _WHOLE), key=lambda j: (-relaxed.amounts[j], j))
    took = False
    for j in order:
        kind, pattern = master.columns[j]
        n = min(int(relaxed.amounts[j] + _WHOLE), max(-(-rest[i] // c) for i, c in pattern))
        if n > 0:
            _take(fixed, rest, kind, pattern, n)
            took = True
    if took:
        return
    best: tuple[float, int, tuple[tuple[int, int], ...]] | None = None
    for j in order:
        kind, pattern = master.columns[j]
        held = tuple((i, min(c, rest[i])) for i, c in pattern if rest[i])
        rate = sum(relaxed.values[i] * c for i, c in held) / kinds[kind].price + 0.3 * relaxed.amounts[j]
        if held and (best is None or rate > best[0]):
            best = rate, kind, held
    if best is not None:
        _take(fixed, rest, best[1], best[2], 1)


def _take(fixed: Machines, rest: list[int], kind: int, pattern: tuple[tuple[int, int], ...], count: int) -> None:
    fixed[kind, pattern] += count
    for i, c in pattern:
        rest[i] = max(0, rest[i] - c * count)
