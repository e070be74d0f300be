"""The content of one machine, against a dynamic programme that knows the best."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.packing.solver.knapsack import Lot, fill
from reconciler.packing.solver.model import Entry
from reconciler.packing.solver.simplex import content_prices

Case = tuple[tuple[int, int], list[Lot]]


@st.composite
def machines(draw: st.DrawFn) -> Case:
    """A machine in two dimensions and up to 9 items of nearly the same worth for their size: the hard kind."""
    room = (draw(st.integers(20, 70)), draw(st.integers(20, 70)))
    lots: list[Lot] = []
    for item in range(draw(st.integers(1, 9))):
        size = (draw(st.integers(0, 14)), draw(st.integers(0, 14)))
        most = min([draw(st.integers(1, 12)), *(r // s for r, s in zip(room, size, strict=True) if s)])
        if most:
            value = float(max(1, 100 * sum(size) + draw(st.integers(-60, 60))))
            lots.append((value, most, Entry(item=item, size=size, fit=most, tokens=0)))
    return room, lots


def best_value(room: tuple[int, int], lots: list[Lot]) -> float:
    wide, high = room
    best = [[0.0] * (high + 1) for _ in range(wide + 1)]
    for value, most, entry in lots:
        part = 1
        left = most
        while left:
            copies = min(part, left)
            left -= copies
            part *= 2
            across, up = entry.size[0] * copies, entry.size[1] * copies
            for i in range(wide, across - 1, -1):
                for j in range(high, up - 1, -1):
                    best[i][j] = max(best[i][j], best[i - across][j - up] + value * copies)
    return best[wide][high]


def prices_of(case: Case) -> tuple[float, ...]:
    room, lots = case
    if not lots:
        return (0.0, 0.0)
    return content_prices(room, [e.size for _, _, e in lots], [v for v, _, _ in lots], [m for _, m, _ in lots])


def worth(lots: list[Lot], pattern: tuple[tuple[int, int], ...]) -> float:
    values = {entry.item: value for value, _, entry in lots}
    return sum(values[item] * copies for item, copies in pattern)


@given(
    machines(),
    st.sampled_from([(0, 0), (5, 0), (60, 0), (5, 20), (20, 300)]),
    st.sampled_from([0.0, 0.99, 1.0, 1.01]),
    st.lists(st.tuples(st.integers(0, 300), st.integers(0, 300)), max_size=3),
)
@settings(max_examples=150)
def test_no_content_is_worth_more_than_the_ceiling_however_little_was_searched(
    case: Case, work: tuple[int, int], beat: float, others: list[tuple[int, int]]
) -> None:
    """The value found is at most the best, the ceiling at least, with any budget, any goal, any further prices."""
    room, lots = case
    best = best_value(room, lots)
    found = fill(room, lots, prices_of(case), others=others, beat=beat * best, nodes=work[0], proof=work[1])

    assert found.value <= best + 1e-6
    assert found.ceiling >= best - 1e-6
    assert worth(lots, found.pattern) == found.value


@given(machines(), st.sampled_from([(100_000, 0), (1, 200_000)]))
@settings(max_examples=80)
def test_with_enough_work_the_best_content_is_found_and_proven(case: Case, work: tuple[int, int]) -> None:
    """Either search ends at the best value, and says that there is no better."""
    room, lots = case
    best = best_value(room, lots)
    found = fill(room, lots, prices_of(case), nodes=work[0], proof=work[1], tolerance=1e-7)

    assert abs(found.value - best) <= 1e-6 * max(1.0, best)
    assert found.ceiling <= best * (1 + 1e-6) + 1e-6
