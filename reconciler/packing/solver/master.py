"""The master programme over known columns, relaxed or whole, solved by HiGHS.

HiGHS (with NumPy behind it) is imported when the first programme is built and not before: whoever never packs
never pays for it, and without it the greedy plan and its bound still stand.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reconciler.packing.solver.problem import PICO

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reconciler.packing.solver.model import Kind, Pattern

_MILLI = PICO / 1_000  # the programmes count in thousandths of a dollar, near one another in size


@dataclass(frozen=True, slots=True)
class Relaxed:
    """The relaxed programme's answer over the columns that it knew."""

    cost: float  # pico-dollars
    values: list[float]  # dual of each item, whole pico-dollars, 0 or more
    rents: dict[int, float]  # dual of each limited kind that is used up, pico-dollars above 0
    amounts: list[float]  # of each column
    short: list[float]  # of each item: what no column covers
    over: list[float]  # of each item: what columns hold beyond the demand
    stray: float  # worth of the demand that no column covers, and of what they hold beyond it, pico-dollars


def highs(**options: float | str | bool) -> Any | None:
    """Start a HiGHS that says nothing and gives the same answer each time; None if it is not installed."""
    try:
        import highspy  # noqa: PLC0415 - paid for only by those who pack
    except ImportError:
        return None
    engine: Any = highspy.Highs()  # type: ignore[no-untyped-call]
    for name, value in {"output_flag": False, "threads": 1, "random_seed": 0, "parallel": "off", **options}.items():
        engine.setOptionValue(name, value)
    return engine


class Master:
    """Columns (a kind with a content) whose fractions cover the demand at least cost.

    Duals of few columns are wild. So each item may also be bought one by one a little above the value it is thought to
    have, and sold a little below: that keeps the duals in a box around those values, until columns do without.
    """

    def __init__(self, engine: Any, kinds: Sequence[Kind], demand: Sequence[int]) -> None:
        self._engine, self._kinds, self._items = engine, kinds, len(demand)
        self.columns: list[tuple[int, Pattern]] = []
        self._known: set[tuple[int, Pattern]] = set()
        self._center = [0.0] * len(demand)
        self._infinity = engine.getInfinity()
        for count in demand:
            engine.addRow(float(count), self._infinity, 0, [], [])
        self._limits = {
            k: len(demand) + n for n, k in enumerate(k for k, kind in enumerate(kinds) if kind.limit is not None)
        }
        for k in self._limits:
            engine.addRow(-self._infinity, float(kinds[k].limit or 0), 0, [], [])
        for i in range(len(demand)):
            engine.addCol(0.0, 0.0, self._infinity, 1, [i], [1.0])
            engine.addCol(0.0, 0.0, self._infinity, 1, [i], [-1.0])

    def anchor(self, values: Sequence[float], width: Sequence[float]) -> None:
        """Keep the dual of each item within a share of its value, up and down."""
        for i, (value, share) in enumerate(zip(values, width, strict=True)):
            self._engine.changeColCost(2 * i, value * (1.0 + share) / _MILLI)
            self._engine.changeColCost(2 * i + 1, -value * max(0.0, 1.0 - share) / _MILLI)
        self._center = list(values)

    def demand(self, demand: Sequence[int], limits: dict[int, int]) -> None:
        """Ask for other counts, under other limits, with the same columns."""
        for i, count in enumerate(demand):
            self._engine.changeRowBounds(i, float(count), self._infinity)
        for k, n in limits.items():
            self._engine.changeRowBounds(self._limits[k], -self._infinity, float(n))

    def add(self, kind: int, pattern: Pattern) -> bool:
        """Add a column; False if it is known."""
        key = (kind, pattern)
        if not pattern or key in self._known:
            return False
        self._known.add(key)
        self.columns.append(key)
        rows, counts = [i for i, _ in pattern], [float(n) for _, n in pattern]
        if kind in self._limits:
            rows.append(self._limits[kind])
            counts.append(1.0)
        self._engine.addCol(self._kinds[kind].price / _MILLI, 0.0, self._infinity, len(rows), rows, counts)
        return True

    def solve(self) -> Relaxed:
        """Solve the relaxation."""
        self._engine.run()
        solution = self._engine.getSolution()
        duals, amounts = solution.row_dual, solution.col_value
        single = amounts[: 2 * self._items]
        return Relaxed(
            cost=self._engine.getInfo().objective_function_value * _MILLI,
            values=[float(int(max(0.0, v) * _MILLI)) for v in duals[: self._items]],
            rents={k: -duals[row] * _MILLI for k, row in self._limits.items() if duals[row] < 0.0},
            amounts=list(amounts[2 * self._items :]),
            short=list(single[::2]),
            over=list(single[1::2]),
            stray=sum(v * (a + b) for v, a, b in zip(self._center, single[::2], single[1::2], strict=True)),
        )
