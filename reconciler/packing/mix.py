"""What a machine costs before it is known in which market it is bought, and a bound true for any choice.

A pool buys a share of its machines on-demand (semantics §3), which is a rule about their number. Plans are made with
the price of the mix. The bound is made with Lagrange's prices: of n machines at least ``part * n`` are on-demand, each
machine pays ``part * paid`` towards that rule and an on-demand one gets ``paid`` back, so that no plan which keeps the
rule is cheaper than the bound with these prices.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median_low
from typing import Protocol

from reconciler.packing.offers import Shelf
from reconciler.packing.solver import Budget, Packing, Problem
from reconciler.packing.vectors import Kind, Vectors
from schemas.world import Market

CLOSE = 0.05  # shares of spot nearer than this order prices alike

ROUGH = Budget(steps=0)  # milliseconds: enough for a number of machines, and more work hardly lifts a bound
TICK = Budget(steps=60_000, most=300_000, good=0.02)  # within 1.02 on every reference workload (./task bench-packing)


class Solve(Protocol):
    """Answers the generic problem within a budget of work."""

    def __call__(self, problem: Problem, *, budget: Budget = ...) -> Packing:
        """Find machines and a bound."""
        ...


def cheapest_mix(vectors: Vectors, shelves: Sequence[Shelf], solve: Solve) -> tuple[Packing, float]:
    """Solve with the mix of markets that the number of machines asks for: that of a rough plan is near enough, mostly.

    Gives the packing, and a bound in USD an hour on any machines for these wants that keep to each pool's share.
    """
    shares = {shelf.pool.name: shelf.spot_share(vectors.guess(shelf.pool.name)) for shelf in shelves}
    if any(_price(kind, Market.SPOT) is not None and _price(kind, Market.ON_DEMAND) for kind in vectors.kinds):
        prices = [_mixed(kind, shares) for kind in vectors.kinds]
        shares = _shares(vectors, shelves, solve(vectors.problem(prices), budget=ROUGH))
    prices = [_mixed(kind, shares) for kind in vectors.kinds]
    packing = solve(vectors.problem(prices), budget=TICK)
    better = _shares(vectors, shelves, packing)
    if any(abs(better[pool] - share) >= CLOSE for pool, share in shares.items()):
        prices = [_mixed(kind, better) for kind in vectors.kinds]
        packing = solve(vectors.problem(prices), budget=TICK)
    least = {shelf.pool.name: _least(vectors, shelf) for shelf in shelves}
    worth = {pool: _worth(vectors, packing, pool, part) for pool, part in least.items()}
    true = [_lagrange(kind, least[kind[0].pool], worth[kind[0].pool]) for kind in vectors.kinds]
    return packing, packing.bound if true == prices else solve(vectors.problem(true), budget=ROUGH).bound


def _shares(vectors: Vectors, shelves: Sequence[Shelf], packing: Packing) -> dict[str, float]:
    """Give the part of each pool's new machines that will be spot."""
    counts = dict.fromkeys((shelf.pool.name for shelf in shelves), 0)
    for purchase in packing.purchases:
        counts[vectors.kinds[purchase.offering][0].pool] += purchase.count
    return {shelf.pool.name: shelf.spot_share(counts[shelf.pool.name]) for shelf in shelves}


def _least(vectors: Vectors, shelf: Shelf) -> float:
    """Which part must be on-demand, at most one machine a copy being bought; 0 where a kind cannot be had so."""
    kinds = [kind for kind in vectors.kinds if kind[0].pool == shelf.pool.name]
    if any(_price(kind, Market.ON_DEMAND) is None for kind in kinds):
        return 0.0
    return shelf.on_demand_least(vectors.copies_for(shelf.pool.name))


def _worth(vectors: Vectors, packing: Packing, pool: str, part: float) -> float:
    """Price the rule at what on-demand typically costs more for the kinds bought; no kind may come for free."""
    if part in {0.0, 1.0}:
        return 0.0
    mine = [kind for kind in vectors.kinds if kind[0].pool == pool]
    free = min((_price(kind, Market.ON_DEMAND) or 0.0 for kind in mine), default=0.0) / (1 - part)
    premiums = []
    for purchase in packing.purchases:
        kind = vectors.kinds[purchase.offering]
        spot, on_demand = _price(kind, Market.SPOT), _price(kind, Market.ON_DEMAND)
        if kind[0].pool == pool and spot is not None and on_demand is not None:
            premiums += [on_demand - spot] * purchase.count
    return min(median_low(premiums), 0.9 * free) if premiums else 0.0


def _lagrange(kind: Kind, part: float, paid: float) -> float:
    spot, on_demand = _price(kind, Market.SPOT), _price(kind, Market.ON_DEMAND)
    if on_demand is None or (part == 1.0):
        return kind[0].price if on_demand is None else on_demand
    dear = on_demand - paid * (1 - part)
    return dear if spot is None else min(spot + paid * part, dear)


def _mixed(kind: Kind, spot_share: Mapping[str, float]) -> float:
    """Price a kind in its pool's mix of markets, or in its only market."""
    spot, on_demand = _price(kind, Market.SPOT), _price(kind, Market.ON_DEMAND)
    if spot is None or on_demand is None:
        return kind[0].price
    share = spot_share[kind[0].pool]
    return share * spot + (1 - share) * on_demand


def _price(kind: Kind, market: Market) -> float | None:
    return min((o.price for o in kind if o.market is market), default=None)
