"""Small linear programmes: any with few variables on NumPy's arrays, the relaxed content of one machine on lists.

With few rows or columns a condensed tableau is faster than any solver's door.
The answers are only *proposals* of prices: whoever uses them computes what follows from the prices anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

_TINY = 1e-9
_SPREAD = 1e-13
_TURNS = 500  # pivots; beyond it the prices at hand are used: they are valid, if not the best


def maximum(
    gains: Sequence[float], rows: NDArray[np.float64], bounds: Sequence[float]
) -> tuple[list[float], dict[int, float], int]:
    """Maximise ``gains @ x`` over ``rows @ x <= bounds`` and ``x >= 0``.

    Only single operations on whole arrays are used, whose results are the same on every machine: no sums of many.

    Args:
        gains: of each variable.
        rows: coefficients of each constraint, one a row; no variable without a positive one.
        bounds: of each constraint, 0 or more.

    Returns:
        the value of each variable, the duals of the constraints that have one above 0, and how many pivots it took.

    """
    import numpy as np  # noqa: PLC0415 - paid for only by those who pack

    n, count = len(gains), len(bounds)
    gain = np.array(gains, dtype=np.float64)
    scale = np.abs(rows).max(axis=0, initial=0.0)
    scale[scale == 0.0] = 1.0
    largest = max(bounds, default=0.0) or 1.0
    total = float(np.cumsum(np.abs(gain) / scale)[-1]) or 1.0 if n else 1.0
    table = np.zeros((count + 1, n + 1))  # the objective is the last row
    table[:count, :n] = rows / scale
    # bounds are spread by next to nothing, so that no two are met at once and the simplex does not turn in circles
    table[:count, n] = np.array(bounds) / largest + _SPREAD * np.arange(1, count + 1)
    table[count, :n] = -gain / scale / total
    basis, free = np.arange(n, n + count), np.arange(n)
    turns = 0
    while n and turns < _TURNS:
        column = int(table[count, :n].argmin())
        if table[count, column] >= -_TINY:
            break
        leaving = _tightest(table, basis, column)
        if leaving is None:
            break
        turns += 1
        _exchange(table, leaving, column)
        basis[leaving], free[column] = free[column], basis[leaving]
    found = [0.0] * n
    for i in np.flatnonzero(basis < n):
        found[basis[i]] = max(0.0, float(table[i, n])) * largest / float(scale[basis[i]])
    duals = {int(v) - n: float(table[count, c]) * total for c, v in enumerate(free) if v >= n}
    return found, {row: dual for row, dual in duals.items() if dual > _TINY * total}, turns


def _tightest(table: NDArray[np.float64], basis: NDArray[np.int64], column: int) -> int | None:
    """Find the row that bounds a column first; of equals the variable that comes first."""
    import numpy as np  # noqa: PLC0415 - see above

    slopes = table[:-1, column]
    rising = np.flatnonzero(slopes > _TINY)
    if not len(rising):
        return None
    steps = table[rising, -1] / slopes[rising]
    first = rising[steps == steps.min()]
    return int(first[basis[first].argmin()])


def _exchange(table: NDArray[np.float64], leaving: int, column: int) -> None:
    """Exchange a basic variable for a free one in a condensed tableau, in place."""
    import numpy as np  # noqa: PLC0415 - see above

    inverse = 1.0 / table[leaving, column]
    new = table[leaving] * inverse
    new[column] = inverse
    factors = table[:, column].copy()
    factors[leaving] = 0.0
    table[:, column] = 0.0
    touched = np.flatnonzero(factors)
    table[touched] -= factors[touched, None] * new
    table[leaving] = new


def _pivot(table: list[list[float]], row: list[float], leaving: int, column: int) -> list[float]:
    """Exchange a basic variable for a free one in a condensed tableau; returns the new objective row."""
    inverse = 1.0 / table[leaving][column]
    new = [v * inverse for v in table[leaving]]
    new[column] = inverse
    table[leaving] = new
    for i, line in enumerate(table):
        factor = line[column]
        if i != leaving and factor:
            line = [a - factor * b for a, b in zip(line, new, strict=True)]  # noqa: PLW2901
            line[column] = -factor * inverse
            table[i] = line
    factor = row[column]
    row = [a - factor * b for a, b in zip(row, new, strict=True)]
    row[column] = -factor * inverse
    return row


def content_prices(
    room: Sequence[int], sizes: Sequence[tuple[int, ...]], values: Sequence[float], most: Sequence[int]
) -> tuple[float, ...]:
    """Price one machine's dimensions by the fractional content that is worth most (the duals of that programme).

    Args:
        room: of the machine, in each dimension.
        sizes: of each item.
        values: of one copy of each item, above 0.
        most: copies of each item at most.

    """
    n, d = len(sizes), len(room)
    table = [[float(s[r]) for s in sizes] + [float(room[r])] for r in range(d)]
    row = [-v for v in values] + [0.0]
    reach = [float(m) for m in most]  # upper bounds of the free variables
    reach_of_basic = [float("inf")] * d
    free = list(range(n))
    basis = [n + r for r in range(d)]
    tolerance = _TINY * max(values)
    for _ in range(_TURNS + 4 * n):
        least = min(row[:n])
        if least >= -tolerance:
            break
        column = row.index(least)
        step, leaving, at_top = reach[column], -1, False
        for i in range(d):
            slope, level = table[i][column], table[i][n]
            if slope > _TINY:
                if level < step * slope:
                    step, leaving, at_top = level / slope, i, False
            elif slope < -_TINY and reach_of_basic[i] - level < -step * slope:
                step, leaving, at_top = (level - reach_of_basic[i]) / slope, i, True
        if leaving < 0:  # it goes to its own upper bound: count it from there
            for line in table:
                line[n] -= line[column] * reach[column]
                line[column] = -line[column]
            row[n] -= row[column] * reach[column]
            row[column] = -row[column]
            continue
        if at_top:
            line = table[leaving]
            level = line[n]
            table[leaving] = [-v for v in line]
            table[leaving][n] = reach_of_basic[leaving] - level
        row = _pivot(table, row, leaving, column)
        reach[column], reach_of_basic[leaving] = reach_of_basic[leaving], reach[column]
        basis[leaving], free[column] = free[column], basis[leaving]
    found = [0.0] * d
    for column, variable in enumerate(free):
        if variable >= n:
            found[variable - n] = max(0.0, row[column])
    return tuple(found)
