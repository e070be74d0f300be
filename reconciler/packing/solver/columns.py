"""Column generation: contents of machines are added to the relaxed plan until none would make it cheaper."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from reconciler.packing.solver.bound import Bounder
    from reconciler.packing.solver.master import Master, Relaxed
    from reconciler.packing.solver.model import Kind
    from reconciler.packing.solver.pricing import Offer

_PAYS = 1.0 + 1e-7  # a column must be worth more than it costs by more than rounding
_WIDER = 2.0
_PROOF_MIN = 100  # branchings of a first attempt
_PROVE = 0.002  # relative gap from which a proof is worth its work


def generate(
    master: Master,
    bounder: Bounder,
    kinds: Sequence[Kind],
    demand: Sequence[int],
    *,
    left: Sequence[int],
    covered: Sequence[int] | None,
    start: Sequence[float],
    rounds: int,
    enough: float,
    width: float = 0.05,
    proof: int = 0,
    ended: Callable[[], bool] = lambda: False,
) -> Relaxed:
    """Add columns until none pays, bound and relaxed cost meet, or the rounds are spent.

    Args:
        master: the programme, asking for ``demand``.
        bounder: prices, and remembers the best bound.
        kinds: of machines.
        demand: copies of each item that new machines must hold.
        left: copies of each item that one machine may use at most.
        covered: what the bound speaks of, existing machines included; None is no bound, as ``left`` is not all.
        start: values of copies around which to search first.
        rounds: pricings at most.
        enough: relative gap at which to stop.
        width: how far around, as a share.
        proof: branchings for each knapsack to prove that no column pays, when none is found, or to find one after all;
            0 is no proof.
        ended: whether the budget is spent.

    """
    widths = [width] * len(demand)
    master.anchor(start, widths)
    proving = 0
    while True:
        relaxed = master.solve()
        closed = relaxed.stray <= enough * relaxed.cost
        if rounds <= 0 or ended() or (closed and covered is not None and bounder.best >= relaxed.cost * (1.0 - enough)):
            return relaxed
        rounds -= 1
        quote = bounder.quote(relaxed.values, left, covered, relaxed, proof=proving)
        fresh = [master.add(o.kind, o.pattern) for o in quote.offers if _pays(o, kinds, relaxed)]
        if any(fresh):
            continue
        if not closed:
            widths = [w * _WIDER for w in widths]
            master.anchor(relaxed.values if covered is None else bounder.values, widths)
        elif proving >= proof or bounder.best >= relaxed.cost * (1.0 - _PROVE):
            return relaxed
        else:
            proving = min(proof, max(_PROOF_MIN, proving * 4))


def _pays(offer: Offer, kinds: Sequence[Kind], relaxed: Relaxed) -> bool:
    worth = sum(relaxed.values[i] * n for i, n in offer.pattern)
    return worth > (kinds[offer.kind].price + relaxed.rents.get(offer.kind, 0.0)) * _PAYS
