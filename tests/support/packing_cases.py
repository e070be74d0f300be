"""Small packing problems for properties, their best answer by trying everything, and the reference figures."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

from hypothesis import strategies as st

from providers.prices.shipped import load_catalogue
from reconciler.packing import workloads
from reconciler.packing.solver import Bin, Offering, Problem, Shape

WORKLOADS = Path(__file__).parent.parent / "packing" / "workloads"
Counts = tuple[int, ...]


@st.composite
def small_problems(draw: st.DrawFn, *, limited: bool = False, bins_max: int = 2) -> Problem:
    """Up to 3 shapes of up to 3 copies, 3 offerings and 2 existing machines, in 1 to 3 dimensions."""
    dimensions = draw(st.integers(1, 3))
    offerings = tuple(
        Offering(
            name=f"o{n}",
            price=draw(st.sampled_from([0.5, 1.0, 1.7, 2.0, 3.1, 4.0])),
            room=tuple(draw(st.integers(2, 12)) for _ in range(dimensions)),
            available=draw(st.sampled_from([None, None, 0, 1, 2])) if limited else None,
        )
        for n in range(draw(st.integers(1, 3)))
    )
    everywhere = st.one_of(st.none(), st.frozensets(st.integers(0, len(offerings) - 1)))
    shapes = tuple(
        Shape(
            name=f"s{n}",
            size=tuple(draw(st.integers(0, 7)) for _ in range(dimensions)),
            count=draw(st.integers(0, 3)),
            offerings=draw(everywhere),
            most=draw(st.sampled_from([None, None, 1, 2])),
            tokens=draw(st.sampled_from([frozenset(), frozenset(), frozenset({"a"}), frozenset({"a", "b"})])),
        )
        for n in range(draw(st.integers(1, 3)))
    )
    guests = st.one_of(st.none(), st.frozensets(st.integers(0, len(shapes) - 1)))
    bins = tuple(
        Bin(
            name=f"b{n}",
            room=tuple(draw(st.integers(0, 8)) for _ in range(dimensions)),
            shapes=draw(guests),
            most=draw(st.sampled_from([(), ((0, 0),), ((0, 1),)])),
            tokens=draw(st.sampled_from([frozenset(), frozenset({"a"})])),
        )
        for n in range(draw(st.integers(0, bins_max)))
    )
    return Problem(shapes=shapes, offerings=offerings, bins=bins)


def cheapest(problem: Problem, counts: Counts) -> float | None:
    """Find the least cost of placing so many copies of each shape, by trying everything; None if that cannot be."""
    places = len(problem.bins) + len(problem.offerings)

    @cache
    def least(place: int, left: Counts, used: int) -> float | None:
        if not any(left):
            return 0.0
        if place == places:
            return None
        found = [] if (skip := least(place + 1, left, 0)) is None else [skip]
        offering = None if place < len(problem.bins) else problem.offerings[place - len(problem.bins)]
        available = 1 if offering is None else offering.available
        if available is None or used < available:
            price = 0.0 if offering is None else offering.price
            for content in _contents(problem, place, left):
                rest = tuple(a - b for a, b in zip(left, content, strict=True))
                if (more := least(place, rest, used + 1)) is not None:
                    found.append(price + more)
        return min(found, default=None)

    return least(0, counts, 0)


def _contents(problem: Problem, place: int, left: Counts) -> Iterator[Counts]:
    """Give every content but the empty one that a machine can hold."""
    bins = len(problem.bins)
    room = problem.bins[place].room if place < bins else problem.offerings[place - bins].room
    limits = []
    for index, shape in enumerate(problem.shapes):
        allowed = shape.offerings is None or place - bins in shape.offerings
        limit = min(left[index], shape.most or left[index], 1 if shape.tokens else left[index])
        if place < bins:
            host = problem.bins[place]
            allowed = (host.shapes is None or index in host.shapes) and not host.tokens & shape.tokens
            limit = min(limit, dict(host.most).get(index, limit))
        limits.append(limit if allowed else 0)

    def grow(index: int, rest: tuple[int, ...], tokens: frozenset[str], so_far: Counts) -> Iterator[Counts]:
        if index == len(limits):
            if any(so_far):
                yield so_far
            return
        shape = problem.shapes[index]
        for copies in range(limits[index] + 1):
            after = tuple(r - copies * s for r, s in zip(rest, shape.size, strict=True))
            if min(after, default=0) < 0 or (copies and tokens & shape.tokens):
                break
            yield from grow(index + 1, after, tokens | (shape.tokens if copies else frozenset()), (*so_far, copies))

    yield from grow(0, room, frozenset(), ())


def workload_problem(name: str, units: int, vcpu_max: int | None) -> Problem:
    """Read one of the reference workloads, on the shipped catalogue."""
    workload = workloads.read((WORKLOADS / f"{name}.json").read_bytes())
    types = workloads.catalogue_for(workload, load_catalogue().values(), vcpu_max=vcpu_max)
    return workloads.problem_of(workload, units, types)


def reference() -> dict[tuple[str, int, int | None], tuple[float, float, float]]:
    """Read the table of reference costs: bound, best known, Karpenter's rule, each for all types and up to 32 vCPU."""
    found: dict[tuple[str, int, int | None], tuple[float, float, float]] = {}
    for row in (WORKLOADS / "README.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        if len(cells) == 8 and cells[1].replace(",", "").isdecimal():
            figures = [float(cell.split()[0]) for cell in cells[2:]]
            units = int(cells[1].replace(",", ""))
            found[cells[0], units, None] = (figures[0], figures[1], figures[2])
            found[cells[0], units, 32] = (figures[3], figures[4], figures[5])
    return found
