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
    """Columns (a kind with a content) whose fractions cover the demand at least cost."""

    def __init__(self, engine: Any, kinds: Sequence[Kind], demand: Sequence[int]) -> None:
        self._engine, self._kinds = engine, kinds
        self.columns: list[tuple[int, Pattern]] = []
        self._known: set[tuple[int, Pattern]] = set()
        self._infinity = engine.getInfinity()
        for count in demand:
            engine.addRow(float(count), self._infinity, 0, [], [])
        self._limits = {k: len(demand) + n for n, k in enumerate(k for k, kind in enumerate(kinds) if kind.limit)}
        for k in self._limits:
            engine.addRow(-self._infinity, float(kinds[k].limit or 0), 0, [], [])

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
        """Solve the relaxation; columns must be able to cover the demand."""
        self._engine.run()
        solution = self._engine.getSolution()
        duals = solution.row_dual
        n = len(duals) - len(self._limits)
        return Relaxed(
            cost=self._engine.getInfo().objective_function_value * _MILLI,
            values=[float(int(max(0.0, v) * _MILLI)) for v in duals[:n]],
            rents={k: -duals[row] * _MILLI for k, row in self._limits.items() if duals[row] < 0.0},
            amounts=list(solution.col_value),
        )
