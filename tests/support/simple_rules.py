"""Rules by which people choose machines today, on a packing problem without existing machines: what they would cost.

Each is given its best case: prices are known, nothing is refused, and copies are put first-fit-decreasing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from reconciler.packing.solver import Problem, Shape

Vector = tuple[int, ...]


def one_more_of_the_same(problem: Problem) -> float:
    """Add machines of one type until all fits: the type that would be cheapest were work a fluid.

    Shapes that need another architecture than the rest are a group of their own, with a type of its own.
    """
    total = 0.0
    for shapes in _needs(problem):
        wanted = [sum(s.size[d] * s.count for s in shapes) for d in range(len(shapes[0].size))]

        def fluid(k: int, shapes: Sequence[Shape] = shapes, wanted: Sequence[int] = wanted) -> float:
            offering = problem.offerings[k]
            return offering.price * max(w / r for w, r in zip(wanted, offering.room, strict=True))

        fitting = [k for k in range(len(problem.offerings)) if all(_fits(problem, s, k) for s in shapes)]
        total += _first_fit(problem, shapes, partial(_always, min(fitting, key=fluid)))
    return total


def cheapest_for_each_job(problem: Problem) -> float:
    """Give each kind of work machines of its own, of the type that is cheapest among those on which one copy fits."""
    return sum(
        _first_fit(problem, [s], lambda shape: _cheapest(problem, shape, lambda k: problem.offerings[k].price))
        for s in problem.shapes
        if s.count
    )


def cheapest_per_vcpu(problem: Problem) -> float:
    """Put the largest first into whatever is open, and open the type that is cheapest for its MHz."""
    return _first_fit(
        problem,
        [s for s in problem.shapes if s.count],
        lambda shape: _cheapest(problem, shape, lambda k: problem.offerings[k].price / problem.offerings[k].room[0]),
    )


RULES: dict[str, Callable[[Problem], float]] = {
    "same_type": one_more_of_the_same,
    "per_job": cheapest_for_each_job,
    "per_vcpu": cheapest_per_vcpu,
}


def _always(kind: int, _: Shape) -> int:
    return kind


def _needs(problem: Problem) -> list[list[Shape]]:
    """Group shapes by where they may go; those that may go anywhere join the first group."""
    groups: dict[frozenset[int] | None, list[Shape]] = {}
    for shape in problem.shapes:
        if shape.count:
            groups.setdefault(shape.offerings, []).append(shape)
    anywhere = groups.pop(None, [])
    found = list(groups.values()) or [[]]
    found[0] += anywhere
    return found


def _fits(problem: Problem, shape: Shape, k: int) -> bool:
    allowed = shape.offerings is None or k in shape.offerings
    return allowed and all(s <= r for s, r in zip(shape.size, problem.offerings[k].room, strict=True))


def _cheapest(problem: Problem, shape: Shape, price: Callable[[int], float]) -> int:
    return min((k for k in range(len(problem.offerings)) if _fits(problem, shape, k)), key=lambda k: (price(k), k))


class _Open:
    """Machines alike in type and content."""

    __slots__ = ("count", "kind", "left", "once")

    def __init__(self, kind: int, left: Vector, once: frozenset[int], count: int) -> None:
        self.kind, self.left, self.once, self.count = kind, left, once, count


def _first_fit(problem: Problem, shapes: Sequence[Shape], opens: Callable[[Shape], int]) -> float:
    """Place shapes by falling size, each copy on the first open machine that takes it; returns USD an hour."""
    most = [max(o.room[d] for o in problem.offerings) for d in range(len(problem.offerings[0].room))]
    order = sorted(shapes, key=lambda s: (-max(v / m for v, m in zip(s.size, most, strict=True)), s.name))
    machines: list[_Open] = []
    for number, shape in enumerate(order):
        left = shape.count
        after: list[_Open] = []
        for machine in machines:
            fit = _copies(problem, shape, number, machine) if left else 0
            full = min(machine.count, left // fit) if fit else 0
            parts = [(full, fit)] + ([(1, left - full * fit)] if full < machine.count and fit and left % fit else [])
            for count, copies in parts:
                if count and copies:
                    taken = tuple(r - copies * s for r, s in zip(machine.left, shape.size, strict=True))
                    after.append(_Open(machine.kind, taken, machine.once | {number}, count))
                    left -= count * copies
                    machine.count -= count
            if machine.count:
                after.append(machine)
        machines = after
        while left:
            kind = opens(shape)
            fresh = _Open(kind, problem.offerings[kind].room, frozenset(), 1)
            fit = min(left, _copies(problem, shape, number, fresh))
            taken = tuple(r - fit * s for r, s in zip(fresh.left, shape.size, strict=True))
            machines.append(_Open(kind, taken, frozenset({number}), left // fit))
            left -= fit * (left // fit)
    return sum(problem.offerings[m.kind].price * m.count for m in machines)


def _copies(problem: Problem, shape: Shape, number: int, machine: _Open) -> int:
    if (shape.offerings is not None and machine.kind not in shape.offerings) or number in machine.once:
        return 0
    fit = min((r // s for r, s in zip(machine.left, shape.size, strict=True) if s), default=shape.count)
    return min(fit, shape.most or fit)
