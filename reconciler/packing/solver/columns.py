"""Column generation: values of copies that make the relaxed plan cheapest, and the bound that follows from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from reconciler.packing.solver.search import SLACK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reconciler.packing.solver.master import Master, Relaxed
    from reconciler.packing.solver.model import Kind
    from reconciler.packing.solver.pricing import Offer, Pricer

_SMOOTHING = 0.5  # how far values stay at the best known: fewer rounds than following the master's every jump


def farley(values: Sequence[float], demand: Sequence[int], ceiling: float) -> float:
    """Bound the cost of covering the demand, in pico-dollars: its worth, once no machine is worth more than it costs.

    Args:
        values: of one copy of each item.
        demand: copies of each item.
        ceiling: a rate (value for price) that no machine's content exceeds at these values.

    """
    worth = sum(v * n for v, n in zip(values, demand, strict=True))
    return worth / max(ceiling, 1e-300) / SLACK


@dataclass(slots=True)
class Generation:
    """What column generation knows of one demand."""

    bound: float = 0.0  # pico-dollars
    best: list[float] | None = None  # values that gave the bound
    relaxed: Relaxed | None = None
    rounds: int = 0


def generate(
    master: Master,
    pricer: Pricer,
    kinds: Sequence[Kind],
    demand: Sequence[int],
    *,
    start: list[float] | None,
    rounds: int,
    nodes: int,
    enough: float,
    want: int = 8,
) -> Generation:
    """Add columns until bound and relaxed cost meet within ``enough``, or the rounds are spent."""
    state = Generation(best=start)
    weight = _SMOOTHING if start else 0.0
    while state.rounds < rounds:
        state.relaxed = master.solve()
        if state.bound >= state.relaxed.cost * (1.0 - enough):
            break
        state.rounds += 1
        values = state.relaxed.values
        if weight and state.best:
            values = [float(int(weight * b + (1.0 - weight) * v)) for b, v in zip(state.best, values, strict=True)]
        quote = pricer.quote(values, demand, enough=0.0, want=want, nodes=nodes)
        bound = farley(values, demand, quote.ceiling)
        if bound > state.bound or state.best is None:
            state.bound, state.best = bound, values
        fresh = [master.add(o.kind, o.pattern) for o in quote.offers if _pays(o, kinds, state.relaxed)]
        if not any(fresh):
            if not weight:
                break
            weight = 0.0
        else:
            weight = _SMOOTHING
    return state


def _pays(offer: Offer, kinds: Sequence[Kind], relaxed: Relaxed) -> bool:
    worth = sum(relaxed.values[i] * n for i, n in offer.pattern)
    return worth > kinds[offer.kind].price + relaxed.rents.get(offer.kind, 0.0)
