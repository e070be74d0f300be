"""The way through: reduce, fill what exists, buy greedily, generate columns for the bound, improve, name it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.packing.solver.columns import farley
from reconciler.packing.solver.existing import fill_existing
from reconciler.packing.solver.finish import finish
from reconciler.packing.solver.fluid import Fluid
from reconciler.packing.solver.greedy import Buyer, Taste
from reconciler.packing.solver.model import build
from reconciler.packing.solver.plan import shrunk, trimmed
from reconciler.packing.solver.pricing import Pricer
from reconciler.packing.solver.problem import Budget, Packing, Problem

if TYPE_CHECKING:
    pass


def solve(problem: Problem, *, budget: Budget = Budget()) -> Packing:  # noqa: B008 - a frozen value
    """Find the cheapest machines for a problem, and a bound on the cost of any others.

    Raises ``ProblemError`` when the problem contradicts itself. Same problem and budget, same answer, on any machine.
    """
    model = build(problem)
    fluid = Fluid(model.items, model.kinds)
    pricer = Pricer(model.kinds, len(model.items))
    values = fluid.values(model.demand)
    filled, left = fill_existing(model, values)
    limits = [k.limit for k in model.kinds]
    machines, missing = Buyer(pricer, fluid).buy(left, limits, Taste())
    machines = shrunk(trimmed(machines, [a - b for a, b in zip(left, missing, strict=True)]), model.kinds, limits)
    quote = pricer.quote(values, model.demand)
    bound = farley(values, [a - b for a, b in zip(left, missing, strict=True)], quote.ceiling)
    return finish(problem, model, machines + filled, missing, bound, pricer.calls, optimised=False)
