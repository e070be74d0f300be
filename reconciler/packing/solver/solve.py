"""The way through: reduce, fill what exists, buy greedily, prove a bound, improve while it may pay, name it all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.packing.solver.bound import Bounder
from reconciler.packing.solver.columns import generate
from reconciler.packing.solver.existing import fill_existing
from reconciler.packing.solver.finish import finish
from reconciler.packing.solver.fluid import Fluid
from reconciler.packing.solver.greedy import Buyer, Taste
from reconciler.packing.solver.improve import Improver
from reconciler.packing.solver.master import Master, highs
from reconciler.packing.solver.model import Model, build
from reconciler.packing.solver.pricing import Meter, Pricer
from reconciler.packing.solver.problem import Budget, Packing, Problem
from reconciler.packing.solver.rounding import Diver

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from reconciler.packing.solver.plan import Machines

_FIRST = Taste(share=1.05)
_SECOND = Taste(share=1.2)
_ROUNDS = 30  # of column generation at most
_PATIENCE = 60  # attempts in a row without success, after which polishing ends
_PROOF = 500  # branchings for each knapsack of a proof


def solve(problem: Problem, *, budget: Budget = Budget()) -> Packing:  # noqa: B008 - a frozen value
    """Find the cheapest machines for a problem, and a bound on the cost of any others.

    Raises ``ProblemError`` when the problem contradicts itself. The same problem and budget give the same answer
    always and everywhere: work is counted, not timed. There is always a valid plan; when not everything can be had,
    shapes that come first in the problem go first.
    """
    return _Solver(build(problem), budget).run(problem)


class _Solver:
    """One problem on its way through."""

    def __init__(self, model: Model, budget: Budget) -> None:
        self._model, self._budget = model, budget
        self._meter = Meter()
        self._limits = [k.limit for k in model.kinds]
        self._fluid = Fluid(model.items, model.kinds, self._meter)
        self._pricer = Pricer(model.kinds, len(model.items), self._meter)
        self._buyer = Buyer(model.kinds, self._pricer, self._fluid)
        self._rooms = Pricer(model.bins, len(model.items), self._meter)
        self._bounder = Bounder(model.kinds, self._pricer, model.bins, self._rooms)

    def run(self, problem: Problem) -> Packing:
        """Solve it."""
        model = self._model
        filled, machines, missing = self._first(model.demand)
        if self._limited(missing):
            filled, machines, missing = self._scarce()
        covered = [d - m for d, m in zip(model.demand, missing, strict=True)]
        optimised = False
        if machines:
            rest = self._bought(machines)
            improver = Improver(model.items, model.kinds, self._buyer, rest, self._limits)
            improver.offer(machines)
            optimised = self._improve(improver, rest, covered)
            machines = improver.machines
        return finish(
            problem,
            model,
            machines + filled,
            missing,
            bound=self._bounder.best,
            rounds=self._meter.rounds,
            optimised=optimised,
        )

    def _bought(self, machines: Machines) -> list[int]:
        """Count what new machines hold."""
        total = [0] * len(self._model.items)
        for (_, pattern), n in machines.items():
            for i, c in pattern:
                total[i] += c * n
        return total

    def _first(self, demand: Sequence[int]) -> tuple[Machines, Machines, list[int]]:
        """Make the first plan: what existing machines take on, what is bought, and what is missing."""
        filled, left = fill_existing(self._model, self._rooms, self._fluid.values(demand), demand)
        machines, missing = self._buyer.buy(left, self._limits, _FIRST)
        return filled, machines, missing

    def _limited(self, missing: Sequence[int]) -> bool:
        """Whether something is missing that could be bought, were there more of it."""
        return any(missing[e.item] for kind in self._model.kinds for e in kind.entries)

    def _scarce(self) -> tuple[Machines, Machines, list[int]]:
        """Not everything can be had: give copies their places in the order of the problem, as far as they go.

        As many of the copies in that order as can be placed are; then those after the shape that was cut short, and so
        on while the budget lasts.
        """
        demand = self._model.demand
        order = sorted(range(len(demand)), key=lambda i: self._model.items[i].shapes[0])
        had = [0] * len(demand)
        best = self._first(had)
        start = 0
        while start < len(order) and self._meter.steps < self._budget.steps:
            low, high = 0, sum(demand[i] for i in order[start:]) + 1
            while high - low > 1:
                middle = (low + high) // 2
                plan = self._first(self._with(had, order[start:], middle))
                if any(plan[2]):
                    high = middle
                else:
                    low, best = middle, plan
            had = self._with(had, order[start:], low)
            start = next((n + 1 for n in range(start, len(order)) if had[order[n]] < demand[order[n]]), len(order))
        filled, machines, _ = best
        return filled, machines, [d - h for d, h in zip(demand, had, strict=True)]

    def _with(self, had: Sequence[int], order: Sequence[int], copies: int) -> list[int]:
        """Add so many copies, in that order."""
        found = list(had)
        for i in order:
            found[i] = min(self._model.demand[i], copies)
            copies -= found[i]
        return found

    def _improve(self, improver: Improver, rest: list[int], covered: list[int]) -> bool:
        """Spend the budget where it may still pay; says whether HiGHS took part."""
        values = self._fluid.values(rest)
        self._bounder.quote(values, covered, covered)
        if self._done(improver, 1.0):
            return False
        improver.offer(self._buyer.buy(rest, self._limits, _SECOND)[0])
        if self._done(improver, 0.5) or (engine := highs()) is None:
            self._polish(improver)
            return False
        self._relax(engine, improver, rest, covered, values)
        self._polish(improver)
        return True

    def _done(self, improver: Improver, share: float) -> bool:
        """Whether the plan is as good as asked for, or that share of the budget is spent."""
        budget = self._budget
        return improver.cost <= self._bounder.best * (1.0 + budget.enough) or self._meter.steps >= budget.steps * share

    def _relax(self, engine: Any, improver: Improver, rest: list[int], covered: list[int], values: list[float]) -> None:
        """Solve the relaxed problem for a better bound, and make plans of its fractions."""
        model = self._model
        master = Master(engine, model.kinds, rest)
        for kind, pattern in improver.machines:
            master.add(kind, pattern)
        relaxed = generate(
            master,
            self._bounder,
            model.kinds,
            rest,
            left=covered,
            covered=covered,
            start=values,
            rounds=_ROUNDS,
            enough=self._budget.enough,
            proof=_PROOF,
            ended=lambda: self._done(improver, 0.6),
        )
        Diver(
            master=master,
            bounder=self._bounder,
            buyer=self._buyer,
            improver=improver,
            kinds=model.kinds,
            limits=self._limits,
            demand=rest,
        ).dive(relaxed, lambda: self._done(improver, 0.8))

    def _polish(self, improver: Improver) -> None:
        """Buy parts of the plan anew until the budget is spent."""
        failures = 0
        while failures < _PATIENCE and not self._done(improver, 1.0):
            failures = 0 if improver.some(self._bounder.values) else failures + 1
