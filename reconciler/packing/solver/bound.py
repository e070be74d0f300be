"""What no plan can undercut, and the pricing that proves it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.packing.solver.pricing import Quote
from reconciler.packing.solver.search import SLACK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reconciler.packing.solver.master import Relaxed
    from reconciler.packing.solver.model import Kind
    from reconciler.packing.solver.pricing import Pricer


_RATE_MIN = 1e-6  # values are scaled up no further than this allows: less is always true


class Bounder:
    """Prices the catalogue at given values of copies, and says what follows for the cost of any plan (Farley's bound).

    Were every machine worth no more than it costs, then demand could cost no less than it is worth. So values are
    scaled down until that is so; of machines of which only so many may be had, the few that are worth more are allowed
    for instead, and so is the room that is there for nothing.
    """

    def __init__(self, kinds: Sequence[Kind], pricer: Pricer, bins: Sequence[Kind], rooms: Pricer) -> None:
        self._kinds, self._pricer, self._bins, self._rooms = kinds, pricer, bins, rooms
        self._endless = [k for k, kind in enumerate(kinds) if kind.limit is None]
        self._limited = [k for k, kind in enumerate(kinds) if kind.limit is not None]
        self.best = 0.0  # pico-dollars
        self.values: list[float] = []  # that gave the best bound

    def quote(
        self,
        values: Sequence[float],
        left: Sequence[int],
        covered: Sequence[int] | None,
        relaxed: Relaxed | None = None,
        *,
        want: int = 8,
        nodes: int = 100,
        proof: int = 0,
        tolerance: float = 2e-5,
    ) -> Quote:
        """Price everything; raises ``best`` when the values prove more than was known.

        Args:
            values: of one copy of each item, in whole pico-dollars.
            left: copies of each item that a machine may use.
            covered: copies of each item that the plan in question places, existing machines included; None leaves the
                bound alone, as it must be when ``left`` is less than that.
            relaxed: for the rents of limited kinds; None is no rents.
            want: see ``Pricer.quote``.
            nodes: see ``Pricer.quote``.
            proof: see ``Pricer.quote``.
            tolerance: see ``Pricer.quote``.

        """
        floor = 1.0 if proof else 0.0
        quote = self._pricer.quote(
            values,
            left,
            among=self._endless,
            enough=floor,
            want=0 if proof else want,
            nodes=nodes,
            proof=proof,
            tolerance=tolerance,
        )
        offers = quote.offers
        if self._limited:
            rents = relaxed.rents if relaxed else {}
            prices = [k.price + rents.get(n, 0.0) for n, k in enumerate(self._kinds)]
            more = self._pricer.quote(
                values,
                left,
                among=self._limited,
                prices=prices,
                enough=floor,
                want=want,
                nodes=nodes,
                tolerance=tolerance,
            )
            offers = (*offers, *more.offers)
        if covered is not None:
            bound = self._bound(values, covered, quote.ceiling)
            if bound > self.best or not self.values:
                self.best, self.values = max(bound, 0.0), list(values)
        return Quote(offers, quote.ceiling)

    def _bound(self, values: Sequence[float], covered: Sequence[int], ceiling: float) -> float:
        scale = 1.0 / max(ceiling, _RATE_MIN) if self._endless and ceiling > 0.0 else 1.0
        total = sum(v * n for v, n in zip(values, covered, strict=True)) * scale
        tops = self._pricer.ceilings(self._limited, values, covered)
        for k, top in zip(self._limited, tops, strict=True):
            total -= (self._kinds[k].limit or 0) * max(0.0, top * scale * SLACK - self._kinds[k].price)
        if self._bins:
            tops = self._rooms.ceilings(range(len(self._bins)), values, covered, self._pricer)
            total -= sum((b.limit or 0) * t for b, t in zip(self._bins, tops, strict=True)) * scale * SLACK
        return total / SLACK
