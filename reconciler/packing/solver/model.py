"""The problem brought to its smallest form: equal shapes merged, equal machines merged, dominated ones left out."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from math import gcd
from typing import TypeAlias

from reconciler.packing.solver.problem import PICO, Bin, Problem, Reason, Shape, check

Pattern: TypeAlias = tuple[tuple[int, int], ...]
"""What one machine holds: (item, copies), ascending by item, copies above 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """Shapes that no machine can tell apart, as one."""

    size: tuple[int, ...]
    count: int
    most: int | None  # copies on one machine
    tokens: int  # bit set
    shapes: tuple[int, ...]  # indices of the problem's shapes, which share the count


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An item as one kind of machine sees it."""

    item: int
    size: tuple[int, ...]
    fit: int  # copies that an empty machine holds at most, 1 or more
    tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """Machines that nothing but their name tells apart: offerings, or existing machines at price 0."""

    price: int  # pico-dollars an hour
    room: tuple[int, ...]
    entries: tuple[Entry, ...]
    allowed: int  # items that may go there, whether or not they fit, as bits
    limit: int | None
    members: tuple[int, ...]  # indices of the problem's offerings, or of its bins


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """The reduced problem. Dimensions in which nothing can ever be short are left out."""

    items: tuple[Item, ...]
    kinds: tuple[Kind, ...]  # that can be bought, by price
    bins: tuple[Kind, ...]  # that exist, in the order of the problem's
    demand: tuple[int, ...]  # copies of each item, without those that fit on nothing
    refused: tuple[tuple[int, Reason], ...]  # shapes that fit on nothing at all, in no number


@dataclass(frozen=True, slots=True, kw_only=True)
class _Make:
    """A kind before it is known what fits on it."""

    price: int
    room: tuple[int, ...]
    allowed: int  # items, as bits
    limit: int | None
    members: tuple[int, ...]


def build(problem: Problem) -> Model:
    """Reduce a problem; raises ``ProblemError`` when it contradicts itself."""
    check(problem)
    names = sorted({t for s in problem.shapes for t in s.tokens} | {t for b in problem.bins for t in b.tokens})
    bits = {name: 1 << n for n, name in enumerate(names)}
    dimensions = _scarce(problem)
    items = _items(problem, bits, dimensions)
    firsts = tuple(problem.shapes[item.shapes[0]] for item in items)
    makes = _undominated(_makes(problem, firsts, dimensions), sum(i.count for i in items))
    kinds = tuple(k for make in makes if (k := _kind(make, items, firsts)).entries)
    bins = _bins(problem, items, bits, dimensions)
    placeable = {e.item for k in (*kinds, *bins) for e in k.entries}
    return Model(
        items=items,
        kinds=kinds,
        bins=bins,
        demand=tuple(item.count if i in placeable else 0 for i, item in enumerate(items)),
        refused=tuple(
            (s, refusal(problem, problem.shapes[s]))
            for i, item in enumerate(items)
            if i not in placeable
            for s in item.shapes
        ),
    )


def fits(size: tuple[int, ...], room: tuple[int, ...]) -> int | None:
    """Count the copies that a room holds; None when they take nothing, so that it holds any number."""
    return min((r // s for s, r in zip(size, room, strict=True) if s), default=None)


def _scarce(problem: Problem) -> tuple[int, ...]:
    """Find the dimensions that can be short somewhere: some machine has less than everything together takes.

    Where none can, all of them count.
    """
    rooms = [o.room for o in problem.offerings] + [b.room for b in problem.bins]
    if not rooms or not problem.shapes:
        return ()
    wanted = [sum(s.size[d] * s.count for s in problem.shapes) for d in range(len(rooms[0]))]
    short = tuple(d for d, total in enumerate(wanted) if total > min(room[d] for room in rooms))
    return short or tuple(range(len(wanted)))  # all of them, or nothing would be worth anything


def _items(problem: Problem, bits: dict[str, int], dimensions: tuple[int, ...]) -> tuple[Item, ...]:
    """Merge shapes that are equal in all that matters; sort them, so that their order in the problem does not."""
    merged: dict[object, list[int]] = defaultdict(list)
    single = {index for b in problem.bins for index, _ in b.most}  # limits are each shape's own: never merged
    single |= {index for index, s in enumerate(problem.shapes) if s.most is not None or s.tokens}
    if any(o.available is not None for o in problem.offerings):
        single |= set(range(len(problem.shapes)))  # if not all can be had, one goes before the other
    guests = [b.shapes for b in problem.bins if b.shapes is not None]
    for index, shape in enumerate(problem.shapes):
        if shape.count:
            bins = tuple(index in allowed for allowed in guests)
            merged[shape.size, shape.offerings, bins, index if index in single else -1].append(index)
    groups = [[problem.shapes[i] for i in group] for group in merged.values()]
    keys = [(g[0].size, sum(s.count for s in g), g[0].most or 0, sorted(g[0].tokens), g[0].name) for g in groups]
    return tuple(
        Item(
            size=tuple(problem.shapes[group[0]].size[d] for d in dimensions),
            count=sum(problem.shapes[i].count for i in group),
            most=problem.shapes[group[0]].most,
            tokens=sum(bits[t] for t in problem.shapes[group[0]].tokens),
            shapes=tuple(group),
        )
        for _, group in sorted(zip(keys, merged.values(), strict=True))
    )


def refusal(problem: Problem, shape: Shape) -> Reason:
    """Say why a shape can be bought no machine for."""
    allowed = [o for k, o in enumerate(problem.offerings) if shape.offerings is None or k in shape.offerings]
    if not allowed:
        return Reason.NOT_ALLOWED
    return Reason.LIMITS if any(fits(shape.size, o.room) != 0 for o in allowed) else Reason.TOO_BIG


def _makes(problem: Problem, firsts: tuple[Shape, ...], dimensions: tuple[int, ...]) -> list[_Make]:
    """Merge offerings of the same price and usable room on which the same items may go."""
    grains = _grains(firsts, dimensions)
    merged: dict[tuple[int, tuple[int, ...], int], list[int]] = defaultdict(list)
    permits: dict[frozenset[int] | None, int] = defaultdict(int)
    for i, shape in enumerate(firsts):
        permits[shape.offerings] |= 1 << i
    for index, offering in enumerate(problem.offerings):
        if offering.available != 0:
            allowed = sum(mask for permit, mask in permits.items() if permit is None or index in permit)
            room = tuple(offering.room[d] // g * g for d, g in zip(dimensions, grains, strict=True))
            merged[round(offering.price * PICO), room, allowed].append(index)
    makes = []
    for (price, room, allowed), members in merged.items():
        limits = [problem.offerings[k].available for k in members]
        limit = None if None in limits else sum(n for n in limits if n is not None)
        makes.append(_Make(price=price, room=room, allowed=allowed, limit=limit, members=tuple(members)))
    return makes


def _grains(firsts: tuple[Shape, ...], dimensions: tuple[int, ...]) -> tuple[int, ...]:
    """Find what all sizes in a dimension are multiples of: room beyond a multiple of it is never used."""
    return tuple(gcd(*(s.size[d] for s in firsts)) or 1 for d in dimensions)


def _undominated(makes: list[_Make], copies: int) -> list[_Make]:
    """Leave out what another does as well for no more money, provided that the other never runs out."""
    kept: list[_Make] = []
    endless: list[_Make] = []
    for make in sorted(makes, key=lambda k: (k.price, tuple(-r for r in k.room), k.allowed, k.members)):
        if any(
            not make.allowed & ~other.allowed and all(a >= b for a, b in zip(other.room, make.room, strict=True))
            for other in endless
        ):
            continue
        kept.append(make)
        if make.limit is None or make.limit >= copies:
            endless.append(make)
    return kept


def _entry(index: int, item: Item, most: tuple[int | None, ...], room: tuple[int, ...]) -> Entry | None:
    bounds = (item.count, fits(item.size, room), 1 if item.tokens else None, *most)
    fit = min(b for b in bounds if b is not None)
    return Entry(item=index, size=item.size, fit=fit, tokens=item.tokens) if fit > 0 else None


def _kind(make: _Make, items: tuple[Item, ...], firsts: tuple[Shape, ...]) -> Kind:
    entries = (_entry(i, item, (firsts[i].most,), make.room) for i, item in enumerate(items) if make.allowed >> i & 1)
    return Kind(
        price=make.price,
        room=make.room,
        entries=tuple(e for e in entries if e is not None),
        allowed=make.allowed,
        limit=make.limit,
        members=make.members,
    )


def _bins(
    problem: Problem, items: tuple[Item, ...], bits: dict[str, int], dimensions: tuple[int, ...]
) -> tuple[Kind, ...]:
    """Merge existing machines with the same free room on which the same items may go."""
    merged: dict[tuple[tuple[int, ...], tuple[Entry, ...]], list[int]] = defaultdict(list)
    for index, place in enumerate(problem.bins):
        room = tuple(place.room[d] for d in dimensions)
        entries = _bin_entries(problem, place, items, sum(bits[t] for t in place.tokens), room)
        if entries:
            merged[room, entries].append(index)
    return tuple(
        Kind(price=0, room=room, entries=entries, allowed=0, limit=len(members), members=tuple(members))
        for (room, entries), members in merged.items()
    )


def _bin_entries(
    problem: Problem, place: Bin, items: tuple[Item, ...], taken: int, room: tuple[int, ...]
) -> tuple[Entry, ...]:
    most = dict(place.most)
    entries = []
    for i, item in enumerate(items):
        first = item.shapes[0]
        if item.tokens & taken or (place.shapes is not None and first not in place.shapes):
            continue
        entry = _entry(i, item, (problem.shapes[first].most, most.get(first)), room)
        if entry is not None:
            entries.append(entry)
    return tuple(entries)
