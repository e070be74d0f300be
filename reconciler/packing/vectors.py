"""Wants, rooms and offers as the vectors of the generic solver, and which offers hold a content that it chose."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from operator import le

from reconciler.packing import devices, distinct
from reconciler.packing.distinct import Part
from reconciler.packing.filters import Filters, Looks
from reconciler.packing.offers import DEARER_MOST, Offer
from reconciler.packing.room import Room, shortage
from reconciler.packing.solver import Bin, Offering, Problem, Shape
from reconciler.packing.wants import Want
from schemas.world import Market

UNLIMITED = 1_000_000  # allocations on a node without a limit, and the like
Kind = tuple[Offer, ...]  # offers of one type that no want at hand can tell apart, cheapest first


@dataclass(slots=True, kw_only=True)
class Vectors:
    """One problem and what its numbers mean: shapes are ``parts``, offerings ``kinds``, bins ``bins``."""

    filters: Filters
    parts: Sequence[Part]
    rooms: Sequence[tuple[Room, Looks]]
    offers: Sequence[tuple[Offer, Looks]]
    kinds: list[Kind] = field(init=False, default_factory=list)
    bins: list[int] = field(init=False, default_factory=list)  # indices of the rooms that take anything at all
    _least: list[tuple[int, ...]] = field(init=False, default_factory=list)  # by part: its size but for cores' MHz
    _tokens: list[frozenset[str]] = field(init=False, default_factory=list)  # by part
    _takes: list[frozenset[int]] = field(init=False, default_factory=list)  # by bin: parts
    _allowed: list[frozenset[int]] = field(init=False, default_factory=list)  # by part: kinds
    _rooms: list[tuple[int, ...]] = field(init=False, default_factory=list)  # by kind: its vector
    _dimensions: tuple[str, ...] = field(init=False, default=())
    _asked_ports: frozenset[int] = field(init=False, default=frozenset())
    _judged: dict[tuple[Looks, str, frozenset[int], bool], tuple[int, ...]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._dimensions = _dimensions(self.parts)
        self._least = [self._size(part.want, 0) for part in self.parts]
        self._tokens = [distinct.tokens(part.want) for part in self.parts]
        self._asked_ports = frozenset[int]().union(*(part.want.group.static_ports for part in self.parts))
        self._sort_into_kinds()
        for number, (room, look) in enumerate(self.rooms):
            vector = self._vector(room)
            takes = frozenset(index for index in self._may(room, look) if self._fits(index, vector))
            if takes:
                self.bins.append(number)
                self._takes.append(takes)

    def problem(self, prices: Sequence[float]) -> Problem:
        """Write the problem, with a price for each kind in USD an hour."""
        clocks = [self._clock(i, prices) for i in range(len(self.parts))]
        asked = frozenset[str]().union(*self._tokens)
        return Problem(
            shapes=tuple(
                Shape(
                    name=part.want.name,
                    size=self._size(part.want, clocks[i]),
                    count=part.copies,
                    offerings=frozenset(k for k in self._allowed[i] if self.kinds[k][0].room.clock_mhz <= clocks[i]),
                    most=distinct.copies_most(part.want),
                    tokens=self._tokens[i],
                )
                for i, part in enumerate(self.parts)
            ),
            offerings=tuple(
                Offering(name=kind[0].room.key, price=prices[k], room=self._rooms[k])
                for k, kind in enumerate(self.kinds)
            ),
            bins=tuple(
                self._bin(self.rooms[number][0], takes, clocks, asked)
                for number, takes in zip(self.bins, self._takes, strict=True)
            ),
        )

    def copies_for(self, pool: str) -> int:
        """Count the copies that may go to machines of a pool: no more machines than that are ever bought for them."""
        mine = {k for k, offers in enumerate(self.kinds) if offers[0].pool == pool}
        return sum(part.copies for part, kinds in zip(self.parts, self._allowed, strict=True) if kinds & mine)

    def guess(self, pool: str) -> int:
        """Guess how many machines of a pool it takes: as many as hold all in sum, of the kind cheapest for that."""
        total = [
            sum(size[d] * part.copies for size, part in zip(self._least, self.parts, strict=True))
            for d in range(len(self._dimensions))
        ]
        guesses = [
            (offers[0].price * count, count)
            for offers, room in zip(self.kinds, self._rooms, strict=True)
            if offers[0].pool == pool
            for count in [max((-(-needs // has) for needs, has in zip(total, room, strict=True) if has), default=0)]
        ]
        return min(guesses, default=(0.0, 0))[1]

    def holding(self, kind: int, copies: Sequence[tuple[int, int]]) -> tuple[Offer, ...]:
        """List the offers of a kind's pool that hold a whole content, pairs of part and copies; cheapest first.

        In each market, those that are much dearer than the cheapest are left out.
        """
        pool = self.kinds[kind][0].pool
        cores = sum(self.parts[i].want.group.ask.cores * n for i, n in copies)
        sizes = [(self._size(self.parts[i].want, 0), n) for i, n in copies]
        total = [sum(size[d] * n for size, n in sizes) for d in range(len(self._dimensions))]
        cpu = self._dimensions.index("cpu")
        found: list[Offer] = []
        for number in frozenset.intersection(*(self._allowed[i] for i, _ in copies)):
            offers, has = self.kinds[number], self._rooms[number]
            mhz = total[cpu] + cores * offers[0].room.clock_mhz
            if offers[0].pool == pool and mhz <= has[cpu] and all(map(le, total, has)):
                found += offers
        least = {m: min((o.price for o in found if o.market is m), default=0.0) for m in Market}
        near = [o for o in found if o.price <= DEARER_MOST * least[o.market]]
        return tuple(sorted(near, key=lambda o: (o.price, o.kind.name, o.zone, o.market)))

    def _sort_into_kinds(self) -> None:
        """Put offers together that no part can tell apart, and find the kinds on which each part may go."""
        alike: dict[tuple[Looks, str, str, tuple[int, ...], frozenset[int]], list[Offer]] = {}
        for offer, look in self.offers:
            key = (look, offer.pool, offer.kind.name, self._vector(offer.room), offer.room.ports)
            alike.setdefault(key, []).append(offer)
        groups: dict[tuple[object, ...], list[Offer]] = {}
        goes: list[frozenset[int]] = []
        for (look, pool, name, vector, ports), offers in alike.items():
            may = frozenset(self._may(offers[0].room, look))
            if any(self._fits(index, vector) for index in may):
                same = (pool, name, vector, ports, may)
                if same not in groups:
                    groups[same] = []
                    goes.append(may)
                groups[same] += offers
        self.kinds = [tuple(sorted(offers, key=lambda o: (o.price, o.zone, o.market))) for offers in groups.values()]
        self._rooms = [self._vector(kind[0].room) for kind in self.kinds]
        self._allowed = [frozenset(k for k, going in enumerate(goes) if i in going) for i in range(len(self.parts))]

    def _may(self, room: Room, look: Looks) -> Iterator[int]:
        """List the parts that may go to a room, whether or not they fit.

        Fit is the solver's: kinds on which the same may go share their prices, and there are few such groups. Only of
        cores does it not know enough, as they take MHz by the room's clock.
        """
        ports = room.ports & self._asked_ports
        key = (look, room.pool, ports, room.ready)
        if key not in self._judged:
            self._judged[key] = tuple(
                index
                for index, part in enumerate(self.parts)
                if self.filters.passes(part.want, room, look)
                and not part.want.group.static_ports & ports
                and not (part.want.elsewhere and room.ready)
                and distinct.pinned(room.candidate, part.pins)
            )
        for index in self._judged[key]:
            group = self.parts[index].want.group
            if not group.ask.cores or shortage(room, group) is None:
                yield index

    def _fits(self, index: int, vector: tuple[int, ...]) -> bool:
        """Whether one copy of a part finds all it takes."""
        return all(map(le, self._least[index], vector))

    def _clock(self, index: int, prices: Sequence[float]) -> int:
        """MHz that a reserved core takes: the most on room that is there and on the cheapest kind, to be enough.

        Faster kinds are then left out for this part: their cores would take more.
        """
        if not self.parts[index].want.group.ask.cores:
            return UNLIMITED
        cheapest = min(self._allowed[index], key=lambda k: (prices[k], self.kinds[k][0].room.key), default=None)
        bins = zip(self.bins, self._takes, strict=True)
        there = [self.rooms[number][0].clock_mhz for number, takes in bins if index in takes]
        return max([*there, 0 if cheapest is None else self.kinds[cheapest][0].room.clock_mhz])

    def _bin(self, room: Room, takes: frozenset[int], clocks: Sequence[int], asked: frozenset[str]) -> Bin:
        may = frozenset(i for i in takes if room.clock_mhz <= clocks[i])
        limits = [(i, distinct.copies_most(self.parts[i].want)) for i in sorted(may)]
        return Bin(
            name=room.key,
            room=self._vector(room),
            shapes=may,
            most=tuple(
                (i, max(0, limit - distinct.copies_there(self.parts[i].want, room)))
                for i, limit in limits
                if limit is not None
            ),
            tokens=distinct.taken(room, asked),
        )

    def _size(self, want: Want, clock: int) -> tuple[int, ...]:
        """Write what one copy takes, where a reserved core takes ``clock`` MHz."""
        ask = want.group.ask
        values = {
            "cpu": ask.cpu_mhz + (ask.cores * clock if ask.cores else 0),
            "memory": ask.memory_mib,
            "disk": ask.disk_mib,
            "cores": ask.cores,
            "ports": want.group.dynamic_ports,
            "allocations": 0 if want.pool else 1,  # headroom is no allocation
        }
        for wanted in want.group.devices:
            dimension = _device(wanted.name)
            values[dimension] = values.get(dimension, 0) + wanted.count
        return tuple(values.get(d, 0) for d in self._dimensions)

    def _vector(self, room: Room) -> tuple[int, ...]:
        values = {
            "cpu": room.free.cpu_mhz,
            "memory": room.free.memory_mib,
            "disk": room.free.disk_mib,
            "cores": room.free.cores,
            "ports": room.dynamic_ports,
            "allocations": UNLIMITED if room.allocations is None else room.allocations,
            **{_device(kind): count for kind, count in room.devices.items()},
        }
        return tuple(values.get(d, 0) for d in self._dimensions)


def _dimensions(parts: Sequence[Part]) -> tuple[str, ...]:
    """Name the dimensions that these wants use at all."""
    found = {"cpu", "memory", "disk", "allocations"}
    for part in parts:
        group = part.want.group
        found |= {"cores"} if group.ask.cores else set()
        found |= {"ports"} if group.dynamic_ports else set()
        found |= {_device(d.name) for d in group.devices}
    return tuple(sorted(found))


def _device(name: str) -> str:
    return f"device {devices.type_of(name)}"
