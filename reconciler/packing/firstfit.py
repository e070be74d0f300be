"""A first plan without any search: big shapes first, into what is there, then onto the cheapest machine per copy."""

from __future__ import annotations

from dataclasses import dataclass, field

from reconciler.packing.solver.problem import (
    Filling,
    Offering,
    Packing,
    Problem,
    Purchase,
    Reason,
    Shape,
    Unplaced,
)


@dataclass(slots=True)
class _Open:
    """So many machines alike, and what each can still take."""

    left: list[int]
    tokens: set[str]
    offering: int = -1
    bin: int = -1
    count: int = 1
    copies: dict[int, int] = field(default_factory=dict)
    most: dict[int, int] = field(default_factory=dict)
    shapes: frozenset[int] | None = None

    def split(self, count: int) -> _Open:
        """Take so many of these machines apart from the rest."""
        self.count -= count
        return _Open(
            left=list(self.left),
            tokens=set(self.tokens),
            offering=self.offering,
            count=count,
            copies=dict(self.copies),
        )

    def room_for(self, index: int, shape: Shape) -> int:
        """How many copies of a shape each of these machines can take."""
        if (self.shapes is not None and index not in self.shapes) or shape.tokens & self.tokens:
            return 0
        if self.offering >= 0 and shape.offerings is not None and self.offering not in shape.offerings:
            return 0
        most = self.most.get(index, shape.count if shape.most is None else shape.most)
        most = min(most - self.copies.get(index, 0), 1 if shape.tokens else most)
        return max(0, min([most, *(has // needs for has, needs in zip(self.left, shape.size, strict=True) if needs)]))

    def put(self, index: int, shape: Shape, copies: int) -> None:
        """Let each of these machines take copies of a shape."""
        self.copies[index] = self.copies.get(index, 0) + copies
        self.left = [has - copies * needs for has, needs in zip(self.left, shape.size, strict=True)]
        self.tokens |= shape.tokens


def first_fit(problem: Problem) -> Packing:
    """Give a valid plan; its bound is 0, which is true and says nothing."""
    machines = [
        _Open(left=list(b.room), tokens=set(b.tokens), bin=k, most=dict(b.most), shapes=b.shapes)
        for k, b in enumerate(problem.bins)
    ]
    unplaced: list[Unplaced] = []
    had = [0] * len(problem.offerings)
    biggest = [max((o.room[d] for o in problem.offerings), default=1) or 1 for d in range(_dimensions(problem))]
    order = sorted(
        range(len(problem.shapes)),
        key=lambda i: (-max((s / b for s, b in zip(problem.shapes[i].size, biggest, strict=True)), default=0), i),
    )
    for index in order:
        shape = problem.shapes[index]
        left = _fill(machines, index, shape)
        left, reason = _buy(problem, machines, had, index, left)
        if left:
            unplaced.append(Unplaced(shape=index, count=left, reason=reason))
    return _packing(problem, machines, unplaced)


def _dimensions(problem: Problem) -> int:
    return len(problem.shapes[0].size) if problem.shapes else 0


def _fill(machines: list[_Open], index: int, shape: Shape) -> int:
    """Use what is open; gives the copies that are left."""
    left = shape.count
    for machine in list(machines):
        each = machine.room_for(index, shape)
        if not each or not left:
            continue
        whole = min(machine.count, left // each)
        for count, copies in ((whole, each), (1, left - whole * each if whole < machine.count else 0)):
            if not count or not copies:
                continue
            part = machine
            if count < machine.count:
                part = machine.split(count)
                machines.append(part)
            part.put(index, shape, copies)
            left -= count * copies
    return left


def _buy(problem: Problem, machines: list[_Open], had: list[int], index: int, left: int) -> tuple[int, Reason]:
    shape = problem.shapes[index]
    reason = Reason.NOT_ALLOWED
    while left:
        best: tuple[float, float, str, int, int] | None = None
        for k, offering in enumerate(problem.offerings):
            if shape.offerings is not None and k not in shape.offerings:
                continue
            reason = Reason.TOO_BIG if reason is Reason.NOT_ALLOWED else reason
            each = _empty(offering, k).room_for(index, shape)
            if not each:
                continue
            if offering.available is not None and had[k] >= offering.available:
                reason = Reason.LIMITS
                continue
            useful = min(each, left)
            found = (offering.price / useful, offering.price, offering.name, k, useful)
            best = found if best is None else min(best, found)
        if best is None:
            return left, reason
        *_, k, useful = best
        available = problem.offerings[k].available
        count = min(left // useful, left if available is None else available - had[k])
        machine = _empty(problem.offerings[k], k)
        machine.count = count
        machine.put(index, shape, useful)
        machines.append(machine)
        had[k] += count
        left -= count * useful
    return 0, reason


def _empty(offering: Offering, k: int) -> _Open:
    return _Open(left=list(offering.room), tokens=set(), offering=k)


def _packing(problem: Problem, machines: list[_Open], unplaced: list[Unplaced]) -> Packing:
    bought = [m for m in machines if m.offering >= 0 and m.copies]
    return Packing(
        purchases=tuple(
            Purchase(offering=m.offering, count=m.count, copies=tuple(sorted(m.copies.items()))) for m in bought
        ),
        fillings=tuple(
            Filling(bin=m.bin, copies=tuple(sorted(m.copies.items()))) for m in machines if m.bin >= 0 and m.copies
        ),
        unplaced=tuple(unplaced),
        cost=sum(m.count * problem.offerings[m.offering].price for m in bought),
        bound=0.0,
    )
