"""The interface of packing: wants, room that is there, and offers in; machines to buy with their contents out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from reconciler.packing import distinct
from reconciler.packing.candidate import Candidate
from reconciler.packing.distinct import Part, Spread
from reconciler.packing.feasible import Blocker, blocker, targets
from reconciler.packing.solver import solve as cheapest
from reconciler.packing.offers import Offer, Shelf
from reconciler.packing.room import Room, less, shortage
from reconciler.packing.solver.problem import Bin, Offering, Packing, Problem, Shape
from reconciler.packing.wants import Want
from schemas.world import DeviceGroup, Market, Snapshot

UNLIMITED = 1_000_000  # allocations on a node without a limit, and the like
Load = tuple[tuple[Want, int], ...]  # copies of each want on one machine, in order of service


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
    bound: float | None = None  # USD an hour


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Nomad's filters with a memory: machines that look alike to these wants are judged once."""

    wants: tuple[Want, ...]
    _asked: tuple[str, ...] = ()
    _drivers: tuple[str, ...] = ()
    _known: dict[tuple[object, object], Blocker | None] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of(cls, wants: Iterable[Want]) -> Filters:
        """Prepare the filters for these wants."""
        some = tuple(wants)
        asked = targets(w.group for w in some)
        drivers = sorted({d for w in some for d in w.group.drivers})
        return cls(wants=some, _asked=asked, _drivers=tuple(drivers))

    def looks(self, candidate: Candidate) -> object:
        """Give everything about a candidate that these wants look at."""
        return (
            candidate.datacenter,
            candidate.node_pool,
            candidate.exists,
            candidate.complete,
            tuple(candidate.resolve(t) for t in self._asked),
            tuple(self._driver(candidate, d) for d in self._drivers),
            tuple(_device(d) for d in candidate.devices),
            tuple(sorted(candidate.host_volumes.items())),
            candidate.network_modes,
            candidate.host_networks,
        )

    def blocker(self, want: Want, candidate: Candidate, looks: object) -> Blocker | None:
        """Say what filters a candidate for a want; ``looks`` is what ``looks()`` gave for it."""
        key = (_requirements(want), looks)
        if key not in self._known:
            self._known[key] = blocker(want.job, want.group, candidate)
        return self._known[key]

    def _driver(self, candidate: Candidate, driver: str) -> object:
        said = candidate.resolve(f"${{attr.driver.{driver}}}")
        return (candidate.drivers.get(driver), said, candidate.assumes_drivers)


def pack(
    snapshot: Snapshot,
    wants: Sequence[Want],
    rooms: Sequence[Room],
    shelves: Sequence[Shelf],
    *,
    also: Sequence[tuple[Want, Candidate, int]] = (),
    solve: Callable[[Problem], Packing] = cheapest,
) -> Packed:
    """Place wants on room that is there, and buy the cheapest machines for the rest.

    Args:
        snapshot: for what distinct properties are used by already.
        wants: in order of service.
        rooms: free room, ready first; what it was bought for goes there first.
        shelves: the pools that may be bought from, all alike in priority.
        also: copies that were given a place before, and where: distinct properties count them.
        solve: answers the generic problem.

    """
    placed, rooms, wants = _as_planned(wants, rooms)
    filters = Filters.of(wants)
    looks = [filters.looks(r.candidate) for r in rooms]
    offers = [(o, filters.looks(o.room.candidate)) for s in shelves for o in s.offers]
    parts: list[Part] = []
    missing: list[Missing] = []
    spread = Spread(snapshot=snapshot, also=(*also, *((p.want, p.room.candidate, p.copies) for p in placed)))
    for want in wants:
        passing = [r.candidate for r, look in zip(rooms, looks, strict=True) if _passes(filters, want, r, look)]
        passing += [o.room.candidate for o, look in offers if _passes(filters, want, o.room, look)]
        dealt, why = spread.parts(want, passing)
        parts += dealt
        if (rest := want.copies - sum(p.copies for p in dealt)) > 0:
            missing.append(Missing(want=want, copies=rest, blocker=why))
    if not parts:
        return Packed(placed=tuple(placed), missing=tuple(missing), rooms=tuple(rooms))
    model = _Model(filters=filters, parts=parts, rooms=list(rooms), looks=looks, offers=offers, shelves=shelves)
    packing = solve(model.problem())
    return model.read(packing, placed, missing)


def allowed(filters: Filters, want: Want, room: Room) -> bool:
    """Tell whether filters and room let at least one copy of a want in."""
    return _passes(filters, want, room, filters.looks(room.candidate)) and shortage(room, want.group) is None


def _as_planned(wants: Sequence[Want], rooms: Sequence[Room]) -> tuple[list[Placement], list[Room], list[Want]]:
    """Let machines have what they were bought for first: packed anew, the same work might seem to need one more."""
    left = {(w.job.name, w.group.name): w.copies for w in wants}
    by_name = {(w.job.name, w.group.name): w for w in wants}
    placed: list[Placement] = []
    after: list[Room] = []
    filters = Filters.of(wants)
    for room in rooms:
        now = room
        for content in room.contents:
            want = by_name.get((content.job, content.group))
            if want is None:
                continue
            there = room.tenants.get((want.job.namespace, want.job.id, want.group.name), 0)
            due = min(left[content.job, content.group], content.copies - there)
            copies = 0
            while copies < due and allowed(filters, want, now) and not distinct.taken(now, distinct.tokens(want)):
                now = less(now, want.job, want.group)
                copies += 1
            if copies:
                placed.append(Placement(want=want, copies=copies, room=room))
                left[content.job, content.group] -= copies
        after.append(now)
    rest = [_with_copies(w, n) for w in wants if (n := left[w.job.name, w.group.name])]
    return placed, after, rest


@dataclass(slots=True, kw_only=True)
class _Model:
    """One problem and the way back from its answer."""

    filters: Filters
    parts: Sequence[Part]
    rooms: list[Room]
    looks: Sequence[object]
    offers: Sequence[tuple[Offer, object]]
    shelves: Sequence[Shelf]
    kinds: list[tuple[Offer, ...]] = field(default_factory=list)  # offers alike, cheapest first
    dimensions: list[str] = field(default_factory=list)

    def problem(self) -> Problem:
        """Write the wants, offers and rooms as vectors."""
        self.dimensions = _dimensions(self.parts)
        allowed_on = self._sort_into_kinds()
        clocks = [self._clock(i, allowed_on[i]) for i in range(len(self.parts))]
        asked = frozenset().union(*(distinct.tokens(p.want) for p in self.parts))
        shapes = tuple(
            Shape(
                name=part.want.name,
                size=self._size(part.want, clocks[i]),
                count=part.copies,
                offerings=frozenset(k for k in allowed_on[i] if self.kinds[k][0].room.clock_mhz <= clocks[i]),
                most=distinct.copies_most(part.want),
                tokens=distinct.tokens(part.want),
            )
            for i, part in enumerate(self.parts)
        )
        return Problem(
            shapes=shapes,
            offerings=tuple(
                Offering(name=kind[0].room.key, price=self._price(kind), room=self._vector(kind[0].room))
                for kind in self.kinds
            ),
            bins=tuple(self._bin(room, look, clocks, asked) for room, look in zip(self.rooms, self.looks, strict=True)),
        )

    def read(self, packing: Packing, placed: list[Placement], missing: list[Missing]) -> Packed:
        """Turn the answer back into machines and placements."""
        rooms = list(self.rooms)
        for filling in packing.fillings:
            for index, copies in filling.copies:
                want = self.parts[index].want
                placed.append(Placement(want=want, copies=copies, room=self.rooms[filling.bin]))
                rooms[filling.bin] = less(rooms[filling.bin], want.job, want.group, copies)
        machines = []
        for purchase in packing.purchases:
            load = tuple(sorted(((self.parts[i].want, n) for i, n in purchase.copies), key=lambda item: item[0].order))
            pins = tuple(pin for i, _ in purchase.copies for pin in self.parts[i].pins)
            pool = self.kinds[purchase.offering][0].pool
            offers = self._holding(pool, load, pins) or self.kinds[purchase.offering]
            machines.append(Machine(pool=pool, count=purchase.count, load=load, offers=offers))
        missing += [Missing(want=self.parts[lack.shape].want, copies=lack.count) for lack in packing.unplaced]
        return Packed(
            machines=tuple(sorted(machines, key=lambda m: (m.load[0][0].order, m.pool, m.offers[0].price))),
            placed=tuple(placed),
            missing=tuple(missing),
            rooms=tuple(rooms),
            bound=packing.bound,
        )

    def _holding(self, pool: str, load: Load, pins: distinct.Pins) -> tuple[Offer, ...]:
        return tuple(
            offer
            for offer, look in self.offers
            if offer.pool == pool
            and distinct.pinned(offer.room.candidate, pins)
            and all(_passes(self.filters, want, offer.room, look) for want, _ in load)
            and _holds(offer.room, load)
        )

    def _sort_into_kinds(self) -> list[frozenset[int]]:
        """Put offers together that no part can tell apart; gives the kinds on which each part may go."""
        groups: dict[object, list[Offer]] = {}
        masks: dict[object, tuple[bool, ...]] = {}
        for offer, look in self.offers:
            mask = tuple(self._goes(part, offer.room, look) for part in self.parts)
            if not any(mask):
                continue
            key = (offer.pool, offer.kind.name, mask, self._vector(offer.room), offer.room.ports)
            groups.setdefault(key, []).append(offer)
            masks[key] = mask
        self.kinds = [tuple(sorted(offers, key=lambda o: (o.price, o.zone))) for offers in groups.values()]
        return [frozenset(k for k, key in enumerate(groups) if masks[key][i]) for i in range(len(self.parts))]

    def _goes(self, part: Part, room: Room, look: object) -> bool:
        return (
            _passes(self.filters, part.want, room, look)
            and distinct.pinned(room.candidate, part.pins)
            and shortage(room, part.want.group) is None
        )

    def _clock(self, index: int, kinds: Iterable[int]) -> int:
        """MHz that a reserved core of this part takes: the most on any machine it may go to, so that it is enough."""
        want = self.parts[index].want
        if not want.group.ask.cores:
            return UNLIMITED
        cheapest = min(kinds, key=lambda k: (self._price(self.kinds[k]), self.kinds[k][0].kind.name), default=None)
        clocks = [
            r.clock_mhz
            for r, look in zip(self.rooms, self.looks, strict=True)
            if self._goes(self.parts[index], r, look)
        ]
        return max([*clocks, self.kinds[cheapest][0].room.clock_mhz if cheapest is not None else 0])

    def _price(self, kind: Sequence[Offer]) -> float:
        """What a machine of a kind costs in the mix of markets that its pool buys: USD an hour."""
        shelf = next(s for s in self.shelves if s.pool.name == kind[0].pool)
        cheapest = {market: min((o.price for o in kind if o.market is market), default=None) for market in Market}
        spot, on_demand = cheapest[Market.SPOT], cheapest[Market.ON_DEMAND]
        if spot is None or on_demand is None:
            return min(o.price for o in kind)
        share = shelf.pool.capacity.spot_percent / 100
        return share * spot + (1 - share) * on_demand

    def _bin(self, room: Room, look: object, clocks: Sequence[int], asked: frozenset[str]) -> Bin:
        may = frozenset(
            i for i, part in enumerate(self.parts) if self._goes(part, room, look) and room.clock_mhz <= clocks[i]
        )
        most = []
        for i in sorted(may):
            limit = distinct.copies_most(self.parts[i].want)
            if limit is not None:
                most.append((i, max(0, limit - distinct.copies_there(self.parts[i].want, room))))
        return Bin(
            name=room.key, room=self._vector(room), shapes=may, most=tuple(most), tokens=distinct.taken(room, asked)
        )

    def _size(self, want: Want, clock: int) -> tuple[int, ...]:
        ask = want.group.ask
        devices: dict[str, int] = {}
        for wanted in want.group.devices:
            kind = wanted.name.split("/")[min(1, wanted.name.count("/"))]
            devices[kind] = devices.get(kind, 0) + wanted.count
        values: Mapping[str, int] = {
            "cpu": ask.cpu_mhz + (ask.cores * clock if ask.cores else 0),
            "memory": ask.memory_mib,
            "disk": ask.disk_mib,
            "cores": ask.cores,
            "ports": want.group.dynamic_ports,
            "allocations": 0 if want.pool else 1,
            **{f"device {kind}": count for kind, count in devices.items()},
        }
        return tuple(values.get(d, 0) for d in self.dimensions)

    def _vector(self, room: Room) -> tuple[int, ...]:
        values: Mapping[str, int] = {
            "cpu": room.free.cpu_mhz,
            "memory": room.free.memory_mib,
            "disk": room.free.disk_mib,
            "cores": room.free.cores,
            "ports": room.dynamic_ports,
            "allocations": UNLIMITED if room.allocations is None else room.allocations,
            **{f"device {kind}": count for kind, count in room.devices.items()},
        }
        return tuple(values.get(d, 0) for d in self.dimensions)


def _dimensions(parts: Sequence[Part]) -> list[str]:
    """Name the dimensions that these wants use at all."""
    found = {"cpu", "memory", "disk", "allocations"}
    for part in parts:
        group = part.want.group
        found |= {"cores"} if group.ask.cores else set()
        found |= {"ports"} if group.dynamic_ports else set()
        found |= {f"device {d.name.split('/')[min(1, d.name.count('/'))]}" for d in group.devices}
    return sorted(found)


def _passes(filters: Filters, want: Want, room: Room, look: object) -> bool:
    if want.pool:
        return room.pool == want.pool
    return filters.blocker(want, room.candidate, look) is None


def _holds(room: Room, load: Load) -> bool:
    """Tell whether an empty machine holds a load as a whole."""
    for want, copies in load:
        if shortage(room, want.group) is not None or distinct.taken(room, distinct.tokens(want)):
            return False
        if copies > 1:
            room = less(room, want.job, want.group, copies - 1)
            if shortage(room, want.group) is not None:
                return False
        room = less(room, want.job, want.group)
    return True


def _with_copies(want: Want, copies: int) -> Want:
    return Want(job=want.job, group=want.group, copies=copies, since=want.since, pool=want.pool)


def _requirements(want: Want) -> object:
    group = want.group
    return (
        want.job.node_pool,
        want.job.datacenters,
        group.constraints,
        group.drivers,
        group.devices,
        group.network_mode,
        group.host_networks,
        group.volumes,
    )


def _device(group: DeviceGroup) -> object:
    return (group.vendor, group.type, group.name, group.count, tuple(sorted(group.attributes.items())))
