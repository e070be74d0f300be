"""The way through: reduce, fill what exists, buy greedily, prove a bound, improve while it may pay, name it all."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from reconciler.packing.solver.bound import Bounder
from reconciler.packing.solver.columns import generate
from reconciler.packing.solver.existing import fill_existing
from reconciler.packing.solver.finish import finish
from reconciler.packing.solver.fluid import Fluid
from reconciler.packing.solver.greedy import Buyer, Taste
from reconciler.packing.solver.improve import Improver
from reconciler.packing.solver.master import Master, Relaxed, highs
from reconciler.packing.solver.model import Model, build
from reconciler.packing.solver.pricing import Meter, Pricer
from reconciler.packing.solver.problem import Budget, Packing, Problem
from reconciler.packing.solver.rounding import Diver

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from reconciler.packing.solver.plan import Machines

_FIRST = Taste(share=1.05)
_SECOND = Taste(share=1.2)
_ROUNDS = 30  # of column generation at most
_RELAX, _DIVE = 0.6, 0.8  # shares of the budget at which the relaxation, and plans made of it, must have ended
_PATIENCE = 60  # attempts in a row without success, after which polishing ends
_PROOF = 1_600  # branchings for each knapsack of a proof


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
        self._loose = Fluid(model.items, model.kinds, self._meter, loose=True)  # values that prove more, and buy worse
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
            plain = Fluid(
                model.items, model.kinds, self._meter, loose=True, grades=1
            )  # large machines look better to it
            if plain.unlike(self._fluid):
                other, lacking = Buyer(model.kinds, self._pricer, plain).buy(rest, self._limits, _FIRST)
                if not any(lacking):
                    improver.offer(other)
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
        budget = self._budget
        self._bounder.quote(self._loose.values(rest), covered, covered)
        if budget.steps and not self._done(improver, budget.enough, budget.steps):
            improver.again(_SECOND)
        master = None
        for steps, good, rounds in ((budget.steps, budget.enough, _ROUNDS), (budget.most, budget.good, 10 * _ROUNDS)):
            loose = bool(self._model.bins) and steps > budget.steps  # what is there for nothing blurs the bound
            if not budget.steps or loose or self._done(improver, good, steps):
                continue
            if master is None and (engine := highs()) is not None:
                master = Master(engine, self._model.kinds, rest)
                for kind, pattern in improver.machines:
                    master.add(kind, pattern)
            if master is not None:
                relaxed = self._relax(
                    master, rest, covered, rounds, ended=partial(self._done, improver, good, _RELAX * steps)
                )
                diver = Diver(
                    master=master,
                    bounder=self._bounder,
                    buyer=self._buyer,
                    improver=improver,
                    kinds=self._model.kinds,
                    limits=self._limits,
                    demand=rest,
                )
                diver.dive(relaxed, partial(self._done, improver, good, _DIVE * steps))
            patience = min(_PATIENCE if good == budget.enough else 4 * _PATIENCE, 20 + 3 * sum(rest))
            self._polish(improver, patience, partial(self._done, improver, good, steps))
        return master is not None

    def _done(self, improver: Improver, good: float, steps: float) -> bool:
        """Whether the plan is as good as asked for, or so much work was done."""
        return improver.cost <= self._bounder.best * (1.0 + good) or self._meter.steps >= steps

    def _relax(
        self, master: Master, rest: list[int], covered: list[int], rounds: int, *, ended: Callable[[], bool]
    ) -> Relaxed:
        """Solve the relaxed problem, for a better bound and for plans made of its fractions."""
        return generate(
            master,
            self._bounder,
            self._model.kinds,
            rest,
            left=covered,
            covered=covered,
            start=self._bounder.values,
            rounds=rounds,
            enough=self._budget.enough,
            proof=_PROOF,
            ended=ended,
        )

    def _polish(self, improver: Improver, patience: int, done: Callable[[], bool]) -> None:
        """Buy parts of the plan anew, until that has not helped for a while."""
        failures = 0
        while failures < patience and not done():
            failures = 0 if improver.some(self._bounder.values) else failures + 1
