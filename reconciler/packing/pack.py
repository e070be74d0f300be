"""The interface of packing: wants, room that is there, and offers in; machines to buy with their contents out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from reconciler.packing import distinct, zones
from reconciler.packing.candidate import Candidate
from reconciler.packing.distinct import Part, Spread
from reconciler.packing.feasible import Blocker
from reconciler.packing.filters import Filters, Looks
from reconciler.packing.mix import Solve, cheapest_mix
from reconciler.packing.offers import Offer, Shelf
from reconciler.packing.room import Room, less, shortage
from reconciler.packing.solver import Packing, Purchase
from reconciler.packing.solver import solve as cheapest
from reconciler.packing.vectors import Vectors
from reconciler.packing.wants import Want
from schemas.world import Snapshot

Load = tuple[tuple[Want, int], ...]  # copies of each want on one machine, in order of service
Given = Sequence[tuple[Want, Candidate, int]]  # copies that have a place though they are not there yet


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """New machines alike: where they are bought, how many, what each is to hold, and the offers that can be it."""

    pool: str
    count: int
    load: Load
    offers: tuple[Offer, ...]  # each holds the load; cheapest first


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Copies that room which is there, or on its way, can take."""

    want: Want
    copies: int
    room: Room


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """Copies that nothing takes; ``blocker`` when it is known already, else their pools tell."""

    want: Want
    copies: int
    blocker: Blocker | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """What came out: every copy is in ``placed``, on a machine, or missing."""

    machines: tuple[Machine, ...] = ()
    placed: tuple[Placement, ...] = ()
    missing: tuple[Missing, ...] = ()
    rooms: tuple[Room, ...] = ()  # what is left of the room that was there
    bound: float | None = None  # USD an hour: no set of machines for what was bought for is cheaper


def pack(
    snapshot: Snapshot,
    wants: Sequence[Want],
    rooms: Sequence[Room],
    shelves: Sequence[Shelf],
    *,
    given: Given = (),
    solve: Solve = cheapest,
) -> Packed:
    """Place wants on room that is there, and buy the cheapest machines for the rest.

    Args:
        snapshot: for what distinct properties are used by already.
        wants: in order of service.
        rooms: free room, ready first; what it was bought for goes there first.
        shelves: the pools that may be bought from, all alike in priority.
        given: copies that were given a place before, and where: distinct properties count them.
        solve: answers the generic problem.
    """
    if rooms and shelves and any(zones.wish(want) for want in wants):
        return _fill_then_buy(snapshot, wants, rooms, shelves, given=given, solve=solve)
    placed, rooms, wants = _as_planned(wants, rooms)
    filters = Filters.of(wants, (zones.ZONE,) if any(map(zones.wish, wants)) else ())
    there = [(room, filters.looks(room.candidate)) for room in rooms]
    for_sale = [(offer, filters.looks(offer.room.candidate)) for shelf in shelves for offer in shelf.offers]
    spread = Spread(snapshot=snapshot, given=(*given, *((p.want, p.room.candidate, p.copies) for p in placed)))
    parts: list[Part] = []
    missing: list[Missing] = []
    for want in wants:
        dealt, why = spread.parts(want, _passing(filters, want, there, for_sale))
        if (asked := zones.wish(want)) is not None and for_sale:
            counted = zones.there(snapshot, want) + _given_by_zone(want, given)
            parts += [p for part in dealt for p in zones.over_zones(part, asked, counted, filters, for_sale)]
        else:
            parts += dealt
        if (rest := want.copies - sum(p.copies for p in dealt)) > 0:
            missing.append(Missing(want=want, copies=rest, blocker=why))
    if not parts:
        return Packed(placed=tuple(placed), missing=tuple(missing), rooms=tuple(rooms))
    vectors = Vectors(filters=filters, parts=parts, rooms=there, offers=for_sale)
    packing, bound = cheapest_mix(vectors, shelves, solve)
    return _read(vectors, packing, bound, before=Packed(placed=tuple(placed), missing=tuple(missing)))


def _fill_then_buy(
    snapshot: Snapshot,
    wants: Sequence[Want],
    rooms: Sequence[Room],
    shelves: Sequence[Shelf],
    *,
    given: Given,
    solve: Solve,
) -> Packed:
    """Place on room that is there first, in whichever zone: only what is bought can be bought where it is wanted."""
    filled = pack(snapshot, wants, rooms, (), given=given, solve=solve)
    left: dict[tuple[str, str, str], Want] = {}
    for lack in filled.missing:
        key = (lack.want.job.name, lack.want.group.name, lack.want.pool)
        left[key] = replace(lack.want, copies=lack.copies + (left[key].copies if key in left else 0))
    rest = list(left.values())
    if not rest:
        return filled
    found = (*given, *((p.want, p.room.candidate, p.copies) for p in filled.placed))
    bought = pack(snapshot, rest, (), shelves, given=found, solve=solve)
    return replace(bought, placed=(*filled.placed, *bought.placed), rooms=filled.rooms)


def _given_by_zone(want: Want, given: Given) -> Counter[str]:
    """Count copies of a want's group that were given a place by zone."""
    mine = (want.job.namespace, want.job.id, want.group.name)
    found: Counter[str] = Counter()
    for other, candidate, copies in given:
        if (other.job.namespace, other.job.id, other.group.name) == mine:
            found[candidate.resolve(zones.ZONE) or ""] += copies
    return found


def _read(vectors: Vectors, packing: Packing, bound: float, *, before: Packed) -> Packed:
    """Turn the solver's answer back into placements and machines."""
    rooms = [room for room, _ in vectors.rooms]
    placed = list(before.placed)
    for filling in packing.fillings:
        number = vectors.bins[filling.bin]
        for index, copies in filling.copies:
            want = vectors.parts[index].want
            placed.append(Placement(want=want, copies=copies, room=vectors.rooms[number][0]))
            rooms[number] = less(rooms[number], want.job, want.group, copies)
    machines = [_machine(vectors, purchase) for purchase in packing.purchases]
    missing = [Missing(want=vectors.parts[lack.shape].want, copies=lack.count) for lack in packing.unplaced]
    return Packed(
        machines=tuple(sorted(machines, key=_turn)),
        placed=tuple(placed),
        missing=(*before.missing, *missing),
        rooms=tuple(rooms),
        bound=bound,
    )


def _machine(vectors: Vectors, purchase: Purchase) -> Machine:
    load = [(vectors.parts[index].want, copies) for index, copies in purchase.copies]
    return Machine(
        pool=vectors.kinds[purchase.offering][0].pool,
        count=purchase.count,
        load=tuple(sorted(load, key=lambda item: item[0].order)),
        offers=vectors.holding(purchase.offering, purchase.copies),
    )


def _turn(machine: Machine) -> tuple[Any, ...]:
    """Whose work is served first is bought for first."""
    return (machine.load[0][0].order, machine.pool, machine.offers[0].price, [copies for _, copies in machine.load])


def _passing(
    filters: Filters, want: Want, rooms: Sequence[tuple[Room, Looks]], offers: Sequence[tuple[Offer, Looks]]
) -> Callable[[], list[Candidate]]:
    """Give what passes a want's filters, room that is there first, to whoever asks."""

    def passing() -> list[Candidate]:
        found = [room.candidate for room, look in rooms if filters.passes(want, room, look)]
        return found + [o.room.candidate for o, look in offers if filters.passes(want, o.room, look)]

    return passing


def _as_planned(wants: Sequence[Want], rooms: Sequence[Room]) -> tuple[list[Placement], list[Room], list[Want]]:
    """Let machines have what they were bought for first: packed anew, the same work might seem to need one more.

    On a node that is there, as long as its claim is, also what it turns out not to take by its attributes: the verdict
    comes when the claim is over, and to buy before that would be to buy the same twice.
    """
    left = {(w.job.name, w.group.name): w.copies for w in wants}
    by_name = {(w.job.name, w.group.name): w for w in wants}
    filters = Filters.of(wants)
    placed: list[Placement] = []
    after: list[Room] = []
    for room in rooms:
        now = room
        for content in room.contents:
            want = by_name.get((content.job, content.group))
            if want is None:
                continue
            there = room.tenants.get((want.job.namespace, want.job.id, want.group.name), 0)
            due = min(left[content.job, content.group], content.copies - there)
            copies = 0
            while copies < due and _takes(filters, want, now):
                now = less(now, want.job, want.group)
                copies += 1
            if room.candidate.exists and not filters.passes(want, room, filters.looks(room.candidate)):
                copies = max(0, due)
            if copies:
                placed.append(Placement(want=want, copies=copies, room=room))
                left[content.job, content.group] -= copies
        after.append(now)
    return placed, after, [replace(w, copies=n) for w in wants if (n := left[w.job.name, w.group.name])]


def _takes(filters: Filters, want: Want, room: Room) -> bool:
    return (
        filters.passes(want, room, filters.looks(room.candidate))
        and shortage(room, want.group) is None
        and not distinct.taken(room, distinct.tokens(want))
    )
