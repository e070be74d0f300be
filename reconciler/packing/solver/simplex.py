"""Two small linear programmes in plain Python: prices of resources, and the relaxed content of one machine.

Both have few rows or columns (the dimensions of a machine), so a condensed tableau is faster than any solver's door.
Their answers are only *proposals* of prices: whoever uses them computes what follows from the prices anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_TINY = 1e-9
_TURNS = 500  # pivots; beyond it the prices at hand are used: they are valid, if not the best


def resource_prices(
    demand: Sequence[int], rooms: Sequence[tuple[int, ...]], prices: Sequence[int]
) -> tuple[float, ...]:
    """Price each dimension so that the demand is worth most while no machine is worth more than it costs.

    Args:
        demand: total amount wanted in each dimension.
        rooms: of each kind of machine.
        prices: of each kind of machine, above 0.

    """
    n = len(demand)
    scale = [float(max((room[d] for room in rooms), default=0)) or 1.0 for d in range(n)]
    table = [[room[d] / scale[d] for d in range(n)] + [float(p)] for room, p in zip(rooms, prices, strict=True)]
    gains = [-float(q) / scale[d] for d, q in enumerate(demand)]
    total = sum(-g for g in gains) or 1.0
    row = [g / total for g in gains] + [0.0]
    basis = [n + i for i in range(len(table))]
    free = list(range(n))
    for _ in range(_TURNS):
        column = min(range(n), key=row.__getitem__, default=None)
        if column is None or row[column] >= -_TINY:
            break
        leaving = _tightest(table, basis, column, n)
        if leaving is None:
            break
        row = _pivot(table, row, leaving, column)
        basis[leaving], free[column] = free[column], basis[leaving]
    found = [0.0] * n
    for i, variable in enumerate(basis):
        if variable < n:
            found[variable] = max(0.0, table[i][n]) / scale[variable]
    return tuple(found)


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
