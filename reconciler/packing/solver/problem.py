"""The packing problem and its answer, as values: what must be placed, what may be bought, and what came out."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum

PICO = 10**12  # prices are counted in whole pico-dollars inside, so that sums are exact
PRICE_MIN = 1e-6
PRICE_MAX = 4_000.0  # USD an hour; values of one machine's content stay exact in a float below 2**53 pico-dollars


class ProblemError(ValueError):
    """A problem that contradicts itself; the message names the entry and the number that is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Identical copies of one kind of allocation, however many: one item with a count, never expanded.

    Args:
        name: what messages call it; need not be unique.
        size: what one copy takes, one non-negative whole number for each dimension of the problem.
        count: copies to place, 0 or more.
        offerings: indices into ``Problem.offerings`` on which it may go; None is all of them.
        most: copies that one machine may hold at most, at least 1; None is no such limit.
        tokens: exclusive things of which a machine has one each (a static port, a host-unique job): no two
            copies with a common token share a machine, so a shape with tokens goes at most once on a machine.

    """

    name: str
    size: tuple[int, ...]
    count: int
    offerings: frozenset[int] | None = None
    most: int | None = None
    tokens: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Offering:
    """A kind of machine that can be bought.

    Args:
        name: type, zone and market as the caller writes them; decides ties, so it should be unique.
        price: USD an hour, above 0, up to ``PRICE_MAX``.
        room: what an empty machine can give, in the dimensions of ``Shape.size``.
        available: how many may be had at most; None is any number.
        group: whose machines are kept evenly many when price leaves the choice, such as the zone.

    """

    name: str
    price: float
    room: tuple[int, ...]
    available: int | None = None
    group: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """A machine that exists or is on its way, with the room it has left; filled first and free of charge.

    Args:
        name: what messages call it.
        room: free room, in the dimensions of ``Shape.size``.
        shapes: indices of the shapes that may go there; None is all of them.
        most: for a shape's index, how many more copies it may take, where that is less than ``Shape.most``.
        tokens: exclusive things that are already taken there.

    """

    name: str
    room: tuple[int, ...]
    shapes: frozenset[int] | None = None
    most: tuple[tuple[int, int], ...] = ()
    tokens: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Shapes to place, offerings to buy from, and room that is there already."""

    shapes: tuple[Shape, ...]
    offerings: tuple[Offering, ...]
    bins: tuple[Bin, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """How much work a solution may cost; counted, never timed, so that the same input gives the same bytes.

    Args:
        steps: looks at an item or so, each some microseconds; the first plan is made at any price. 0 is that alone.
        enough: relative gap at which improving stops.
        most: steps to go on to while the gap is above ``good``; not beside existing machines, where the bound is loose.
        good: relative gap that is worth no more than ``steps``.

    """

    steps: int = 250_000
    enough: float = 1e-4
    most: int = 1_000_000
    good: float = 0.015


class Reason(StrEnum):
    """Why copies found no place."""

    NOT_ALLOWED = "allowed on no offering"
    TOO_BIG = "larger than every offering it is allowed on"
    LIMITS = "no more machines may be had"


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchase:
    """So many new machines of one offering, all with the same content."""

    offering: int
    count: int
    copies: tuple[tuple[int, int], ...]  # of each machine: (shape index, copies), ascending


@dataclass(frozen=True, slots=True, kw_only=True)
class Filling:
    """What an existing machine takes on."""

    bin: int
    copies: tuple[tuple[int, int], ...]  # (shape index, copies), ascending


@dataclass(frozen=True, slots=True, kw_only=True)
class Unplaced:
    """Copies of a shape that the plan has no place for, and why."""

    shape: int
    count: int
    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Packing:
    """A valid plan and what is known about how good it is.

    Args:
        purchases: new machines, by offering name, then content.
        fillings: what existing machines take on, by index.
        unplaced: what has no place, by shape index.
        cost: USD an hour for all purchases.
        bound: USD an hour below which nobody can place the same copies; never above ``cost``.
        rounds: work that was spent, in the unit of ``Budget.rounds``.
        optimised: False when HiGHS could not be imported, so that only the greedy plan was made.

    """

    purchases: tuple[Purchase, ...]
    fillings: tuple[Filling, ...] = ()
    unplaced: tuple[Unplaced, ...] = ()
    cost: float
    bound: float
    rounds: int = 0
    optimised: bool = field(default=True, compare=False)

    @property
    def machines(self) -> int:
        """How many new machines it buys."""
        return sum(p.count for p in self.purchases)

    @property
    def gap(self) -> float:
        """How far the cost is above the bound at most, as a fraction of the bound; infinite over a bound of 0."""
        if self.cost <= self.bound:
            return 0.0
        return self.cost / self.bound - 1.0 if self.bound > 0 else math.inf


def check(problem: Problem) -> int:
    """Return the number of dimensions, or raise ``ProblemError`` for the first thing that makes no sense."""
    vectors = [
        *((f"shape {s.name}", s.size) for s in problem.shapes),
        *((f"offering {o.name}", o.room) for o in problem.offerings),
        *((f"bin {b.name}", b.room) for b in problem.bins),
    ]
    dimensions = len(vectors[0][1]) if vectors else 0
    for what, vector in vectors:
        if len(vector) != dimensions:
            raise ProblemError(f"{what} has {len(vector)} dimensions, {vectors[0][0]} has {dimensions}; give all alike")
        if any(v < 0 for v in vector):
            raise ProblemError(f"{what} has a negative amount in {vector}; amounts are 0 or more")
    for shape in problem.shapes:
        if shape.count < 0:
            raise ProblemError(f"shape {shape.name} has count {shape.count}; a count is 0 or more")
        if shape.most is not None and shape.most < 1:
            raise ProblemError(f"shape {shape.name} allows {shape.most} copies a machine; allow 1 or more, or None")
        if shape.offerings and not all(0 <= k < len(problem.offerings) for k in shape.offerings):
            raise ProblemError(f"shape {shape.name} names an offering outside 0..{len(problem.offerings) - 1}")
    for offering in problem.offerings:
        if not PRICE_MIN <= offering.price <= PRICE_MAX:  # NaN is not
            raise ProblemError(
                f"offering {offering.name} costs {offering.price} USD/h; give {PRICE_MIN} to {PRICE_MAX}"
            )
        if offering.available is not None and offering.available < 0:
            raise ProblemError(f"offering {offering.name} has {offering.available} available; give 0 or more, or None")
    return dimensions
