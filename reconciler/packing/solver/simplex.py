"""Small linear programmes in plain Python: any with few variables, and the relaxed content of one machine.

With few rows or columns (the dimensions of a machine) a condensed tableau is faster than any solver's door.
The answers are only *proposals* of prices: whoever uses them computes what follows from the prices anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_TINY = 1e-9
_SPREAD = 1e-13
_TURNS = 500  # pivots; beyond it the prices at hand are used: they are valid, if not the best


def maximum(
    gains: Sequence[float], rows: Sequence[Sequence[float]], bounds: Sequence[float]
) -> tuple[list[float], dict[int, float], int]:
    """Maximise ``gains @ x`` over ``rows @ x <= bounds`` and ``x >= 0``.

    Args:
        gains: of each variable.
        rows: coefficients of each constraint; no variable without a positive one.
        bounds: of each constraint, 0 or more.

    Returns:
        the value of each variable, the duals of the constraints that have one above 0, and how many pivots it took.

    """
    n = len(gains)
    scale = [max((abs(r[c]) for r in rows), default=0.0) or 1.0 for c in range(n)]
    largest = max(bounds, default=0.0) or 1.0
    table = [
        # bounds are spread by next to nothing, so that no two are met at once and the simplex does not turn in circles
        [*(v / s for v, s in zip(row, scale, strict=True)), bound / largest + _SPREAD * (i + 1)]
        for i, (row, bound) in enumerate(zip(rows, bounds, strict=True))
    ]
    total = sum(abs(g) / s for g, s in zip(gains, scale, strict=True)) or 1.0
    row = [-g / s / total for g, s in zip(gains, scale, strict=True)] + [0.0]
    basis = [n + i for i in range(len(table))]
    free = list(range(n))
    turns = 0
    while turns < _TURNS:
        column = min(range(n), key=row.__getitem__, default=None)
        if column is None or row[column] >= -_TINY:
            break
        leaving = _tightest(table, basis, column, n)
        if leaving is None:
            break
        turns += 1
        row = _pivot(table, row, leaving, column)
        basis[leaving], free[column] = free[column], basis[leaving]
    found = [0.0] * n
    for i, variable in enumerate(basis):
        if variable < n:
            found[variable] = max(0.0, table[i][n]) * largest / scale[variable]
    return found, {v - n: row[c] * total for c, v in enumerate(free) if v >= n and row[c] > _TINY}, turns


def _tightest(table: list[list[float]], basis: list[int], column: int, last: int) -> int | None:
    best, leaving = 0.0, None
    for i, line in enumerate(table):
        if line[column] > _TINY:
            step = line[last] / line[column]
            if leaving is None or step < best or (step == best and basis[i] < basis[leaving]):
                best, leaving = step, i
    return leaving


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
