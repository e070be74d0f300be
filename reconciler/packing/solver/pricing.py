"""Which machine is worth most for its price, when each copy has a value: the whole catalogue, asked at once."""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING

from reconciler.packing.solver.knapsack import Fill, Lot, fill, lots
from reconciler.packing.solver.search import SLACK
from reconciler.packing.solver.simplex import content_prices

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from reconciler.packing.solver.model import Kind, Pattern

_PRICES_KEPT = 6


@dataclass(slots=True)
class Meter:
    """Counts the work done, so that a budget can end it without a clock."""

    rounds: int = 0  # pricings of the catalogue
    steps: int = 0  # looks at an item or so: some microseconds each


@dataclass(frozen=True, slots=True)
class Offer:
    """A machine with the best content found for it."""

    rate: float  # value of the content for each unit of (reduced) price
    kind: int
    pattern: Pattern


@dataclass(frozen=True, slots=True)
class Quote:
    """What one pricing found: good machines, best first, and a rate that no machine's content exceeds."""

    offers: tuple[Offer, ...]
    ceiling: float


class Pricer:
    """Prices contents against a fixed list of kinds; remembers prices of dimensions from one call to the next."""

    def __init__(self, kinds: Sequence[Kind], items: int, meter: Meter) -> None:
        self._kinds, self._meter = kinds, meter
        self._fits: list[list[int]] = []
        self._sizes: list[tuple[int, ...]] = [()] * items
        for kind in kinds:
            fit = [0] * items
            for entry in kind.entries:
                fit[entry.item] = entry.fit
                self._sizes[entry.item] = entry.size
            self._fits.append(fit)
        self._known: list[tuple[float, ...]] = []

    def quote(
        self,
        values: Sequence[float],
        left: Sequence[int],
        *,
        among: Iterable[int] | None = None,
        prices: Sequence[float] | None = None,
        enough: float = 0.0,
        want: int = 8,
        most: int = 1_000,
        nodes: int = 400,
        proof: int = 0,
        tolerance: float = 1e-5,
    ) -> Quote:
        """Price all kinds.

        Args:
            values: of one copy of each item, in whole pico-dollars.
            left: copies of each item that may be used.
            among: kinds to price; None is all.
            prices: of each kind, above 0; None is what it costs.
            enough: rates up to this are of no interest; the ceiling is not sharpened below it.
            want: kinds to search at least, while they are of interest.
            most: kinds to search at most.
            nodes: branchings for each knapsack.
            proof: branchings for each knapsack to lower its ceiling.
            tolerance: relative, of a knapsack.

        """
        self._meter.rounds += 1
        kinds = self._kinds
        cost = prices if prices is not None else [float(k.price) for k in kinds]
        chosen = range(len(kinds)) if among is None else among
        known = [self._worth(y, values, left) for y in self._known]
        self._meter.steps += len(kinds) + len(values) * len(known)
        own: dict[int, tuple[float, ...]] = {}
        waiting = [self._turn(self._ceiling(k, left, known) / cost[k], k, len(known)) for k in chosen]
        heapify(waiting)
        best = top = enough
        offers: list[Offer] = []
        while waiting:
            _, _, k, seen, rate = heappop(waiting)
            if (rate <= best * (1.0 + tolerance) and (len(offers) >= want or rate <= enough)) or len(offers) >= most:
                top = max(top, rate)
                break
            if k not in own and seen < len(known):  # sharper prices were found since
                rate = min(rate, self._ceiling(k, left, known[seen:]) / cost[k])
                heappush(waiting, self._turn(rate, k, len(known)))
                continue
            kind = kinds[k]
            offered = lots(kind.entries, values, left)
            if not offered:
                continue
            if k not in own:
                own[k] = self._own(kind, offered)
                known.append(self._worth(own[k], values, left))
                self._remember(own[k])
                rate = min(rate, self._ceiling(k, left, known[-1:]) / cost[k])
                heappush(waiting, self._turn(rate, k, len(known)))
                continue
            found = fill(
                kind.room,
                offered,
                own[k],
                others=[y for y, _ in known[-_PRICES_KEPT:] if y != own[k]],
                beat=best * cost[k],
                nodes=nodes,
                proof=proof,
                tolerance=tolerance,
            )
            self._meter.steps += found.steps
            top = max(top, min(found.ceiling / cost[k], rate))
            best = max(best, found.value / cost[k])
            if found.pattern:
                offers.append(Offer(found.value / cost[k], k, found.pattern))
        offers.sort(key=lambda o: (-o.rate, -kinds[o.kind].price, o.kind))
        return Quote(tuple(offers), top * SLACK)

    def _turn(self, rate: float, k: int, seen: int) -> tuple[float, int, int, int, float]:
        """Queue a kind: highest rate first; of about the same rate, the dearest, which is the easiest to fill."""
        turn = round(rate, 6) or rate  # what is worth next to nothing still comes before what is worth nothing
        return -turn, -self._kinds[k].price, k, seen, rate

    def ceilings(
        self, chosen: Iterable[int], values: Sequence[float], left: Sequence[int], teacher: Pricer | None = None
    ) -> list[float]:
        """Bound what each of these kinds can hold, in pico-dollars.

        ``teacher`` lends the prices of dimensions that it knows; without one, each kind's own are computed.
        """
        known = [self._worth(y, values, left) for y in teacher._known] if teacher else []  # noqa: SLF001
        found = []
        for k in chosen:
            offered = lots(self._kinds[k].entries, values, left)
            own = known if known or not offered else [self._worth(self._own(self._kinds[k], offered), values, left)]
            found.append(self._ceiling(k, left, own) if offered else 0.0)
        return found

    def single(self, k: int, values: Sequence[float], left: Sequence[int], *, nodes: int = 400) -> Fill:
        """Fill one kind as well as can be."""
        offered = lots(self._kinds[k].entries, values, left)
        if not offered:
            return Fill(0.0, 0.0, (), 0)
        found = fill(self._kinds[k].room, offered, self._own(self._kinds[k], offered), nodes=nodes)
        self._meter.steps += found.steps
        return found

    def _own(self, kind: Kind, offered: Sequence[Lot]) -> tuple[float, ...]:
        self._meter.steps += 4 * len(offered)
        return content_prices(
            kind.room, [e.size for _, _, e in offered], [v for v, _, _ in offered], [m for _, m, _ in offered]
        )

    def _remember(self, prices: tuple[float, ...]) -> None:
        if prices not in self._known:
            self._known.insert(0, prices)
            del self._known[_PRICES_KEPT:]

    def _worth(
        self, prices: tuple[float, ...], values: Sequence[float], left: Sequence[int]
    ) -> tuple[tuple[float, ...], list[tuple[int, float]]]:
        """At these prices of the dimensions: which items are worth more than what they take, and by how much."""
        gains = []
        for i, (value, size) in enumerate(zip(values, self._sizes, strict=True)):
            if value > 0.0 and left[i] > 0:
                gain = value
                for p, s in zip(prices, size, strict=False):
                    gain -= p * s
                if gain > 0.0:
                    gains.append((i, gain))
        return prices, gains

    def _ceiling(
        self, k: int, left: Sequence[int], known: Sequence[tuple[tuple[float, ...], list[tuple[int, float]]]]
    ) -> float:
        """Bound the value of any content of a kind, by the sharpest of the known prices."""
        room, fit = self._kinds[k].room, self._fits[k]
        best = float("inf")
        for prices, gains in known:
            total = 0.0
            for p, r in zip(prices, room, strict=True):
                total += p * r
            for i, gain in gains:
                if total >= best:
                    break
                total += gain * (min(left[i], fit[i]))
            best = min(best, total)
        return best * SLACK
