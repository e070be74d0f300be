"""Turns machines that a packing wants into launches: markets, overrides, claims, templates. Shared by all that grow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from reconciler.machine import pool_template
from reconciler.packing.census import unseen
from reconciler.packing.offers import DEARER_MOST, Offer
from reconciler.packing.pack import Load, Machine
from reconciler.packing.survey import Survey
from reconciler.packing.wants import Want
from schemas.document import ClusterGroup, Pool
from schemas.faults import Source
from schemas.names import formed_marker
from schemas.plan import Action, CreateTemplate, Hold, Launch, Plan, Reason
from schemas.world import Content, Market, Override, Snapshot

OVERRIDES_MOST = 50
NAMED_MOST = 4  # pieces of work that a reason names


def not_yet(snapshot: Snapshot, group: ClusterGroup) -> Plan | None:
    """Say why no pool may grow now; None when it may."""
    if group.spec.servers is not None and Source.EC2 not in snapshot.unanswered:
        name = formed_marker(group.metadata.name)
        if name not in snapshot.templates:
            message = "pools wait until the servers have formed their quorum"
            return Plan.held("pools", Reason.SERVERS_FORMING, message, passing=True)
    silent = [s for s in (Source.EC2, Source.NOMAD, Source.STORE) if s in snapshot.unanswered]
    if silent:
        heard = "; ".join(f"{s}: {snapshot.unanswered[s]}" for s in silent)
        return Plan.held("pools", Reason.SOURCE_UNANSWERED, f"no answer from {heard}: nothing is bought", passing=True)
    return None


def after(snapshot: Snapshot, plan: Plan) -> Snapshot:
    """Give the snapshot as if a plan's launches were on their way already."""
    launches = [a for a in plan.actions if isinstance(a, Launch)]
    ordinals = dict(snapshot.ordinals)
    for launch in launches:
        ordinals[launch.pool] = max(ordinals.get(launch.pool, 0), int(launch.claim.rpartition("-")[2]))
    made = {a.template.name for a in plan.actions if isinstance(a, CreateTemplate)}
    return replace(
        snapshot,
        claims=(*snapshot.claims, *(launch.claimed(snapshot.observed_at) for launch in launches)),
        ordinals=ordinals,
        templates=snapshot.templates | made,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lot:
    """Machines alike in one market, before they have a claim."""

    machine: Machine
    market: Market
    count: int
    offers: tuple[Offer, ...]


@dataclass(slots=True, kw_only=True)
class Buyer:
    """Gives claims to machines, pool by pool, in the order in which they are asked for."""

    survey: Survey
    cause: Reason
    ordinals: dict[str, int] = field(default_factory=dict)
    templates: set[str] = field(default_factory=set)
    filled: Counter[str] = field(default_factory=Counter)  # zone → machines of the pool at hand

    def buy(self, machines: Sequence[Machine], why: Mapping[str, str] | None = None) -> Plan:
        """Plan the launches of machines; ``why`` is the reason to give, by pool, where their load is none."""
        self.templates = set(self.survey.snapshot.templates)
        actions: list[Action] = []
        holds: list[Hold] = []
        for pool in self.survey.pools:
            mine = _merged(m for m in machines if m.pool == pool.name)
            lots, short = _markets(self.survey, pool, mine)
            holds += short
            self.filled = _by_zone(self.survey.snapshot, pool.name)
            for lot in lots:
                for count, overrides in self._zones(lot):
                    actions += self._launch(pool, lot, count, overrides, (why or {}).get(pool.name, ""))
        return Plan(actions=tuple(actions), holds=tuple(holds))

    def _zones(self, lot: _Lot) -> Iterator[tuple[int, tuple[Override, ...]]]:
        """Divide machines evenly over the zones where the price leaves the choice; a single one may go to any."""
        cheapest = lot.offers[0]
        near = [o for o in lot.offers if o.kind.arch == cheapest.kind.arch and o.price <= DEARER_MOST * cheapest.price]
        zones = sorted({o.zone for o in near if o.price == cheapest.price})
        if lot.count == 1 or len(zones) == 1:
            overrides = _overrides(near, self.filled)
            self.filled[overrides[0].zone] += lot.count
            yield lot.count, overrides
            return
        counts: Counter[str] = Counter()
        for _ in range(lot.count):
            zone = min(zones, key=lambda z: (self.filled[z], z))
            self.filled[zone] += 1
            counts[zone] += 1
        for zone, count in sorted(counts.items()):
            yield count, _overrides([o for o in near if o.zone == zone], self.filled)

    def _launch(self, pool: Pool, lot: _Lot, count: int, overrides: tuple[Override, ...], why: str) -> Iterator[Action]:
        snapshot, group = self.survey.snapshot, self.survey.group
        arch = lot.offers[0].kind.arch
        template = pool_template(group, pool, arch, pool.instances.allowed(snapshot.catalogue))
        if template.name not in self.templates:
            self.templates.add(template.name)
            yield CreateTemplate(template=template, pool=pool.name, reason=f"machines of {pool.name} need it")
        self.ordinals[pool.name] = self.ordinals.get(pool.name, snapshot.ordinals.get(pool.name, 0)) + 1
        claim = f"{pool.name}-{self.ordinals[pool.name]}"
        yield Launch(
            claim=claim,
            pool=pool.name,
            market=lot.market,
            count=count,
            overrides=overrides,
            template=template.name,
            contents=_contents(lot.machine.load),
            cause=Reason.HEADROOM if _spare_alone(lot.machine.load) else self.cause,
            reason=why or _reason(lot.machine.load),
        )


def _merged(machines: Iterable[Machine]) -> list[Machine]:
    """Machines of one load that the same offers hold are one launch, whatever the packing bought them as."""
    found: dict[tuple[tuple[Content, ...], tuple[str, ...]], Machine] = {}
    for machine in machines:
        key = (_contents(machine.load), tuple(o.name for o in machine.offers))
        before = found.get(key)
        found[key] = machine if before is None else replace(before, count=before.count + machine.count)
    return list(found.values())


def _markets(survey: Survey, pool: Pool, machines: Sequence[Machine]) -> tuple[list[_Lot], list[Hold]]:
    """Divide machines between spot and on-demand as the pool's capacity asks."""
    due = survey.shelves[pool.name].on_demand_due(sum(m.count for m in machines))
    on_demand: dict[int, int] = {}
    holds: list[Hold] = []
    for index in sorted(range(len(machines)), key=lambda i: (_premium(machines[i]), i)):
        machine = machines[index]
        spot = _of(machine, Market.SPOT)
        if not _of(machine, Market.ON_DEMAND):
            continue
        count = min(machine.count, due)
        if not spot and pool.capacity.fallback_to_on_demand:
            count = machine.count
        on_demand[index] = count
        due -= min(due, count)
        if not spot and count < machine.count:
            holds.append(_no_spot(survey, pool, machine, machine.count - count))
    lots = []
    for index, machine in enumerate(machines):
        count = on_demand.get(index, 0)
        for market, some in ((Market.ON_DEMAND, count), (Market.SPOT, machine.count - count)):
            offers = _of(machine, market)
            if some and offers:
                lots.append(_Lot(machine=machine, market=market, count=some, offers=offers))
    return lots, holds


def _of(machine: Machine, market: Market) -> tuple[Offer, ...]:
    return tuple(o for o in machine.offers if o.market is market)


def _premium(machine: Machine) -> tuple[bool, float]:
    """What on-demand costs more than spot; machines that cannot be had on spot come first."""
    spot, on_demand = _of(machine, Market.SPOT), _of(machine, Market.ON_DEMAND)
    if not spot or not on_demand:
        return (bool(spot), 0.0)
    return (True, on_demand[0].price - spot[0].price)


def _no_spot(survey: Survey, pool: Pool, machine: Machine, count: int) -> Hold:
    refused = survey.shelves[pool.name].refused
    why = f"{refused} spot offerings are refused by EC2 for now" if refused else "no spot offering holds it"
    return Hold(
        subject=f"pool/{pool.name}",
        reason=Reason.NO_OFFERING,
        message=f"{count} spot machines not bought, {why}, and fallbackToOnDemand is off; {_reason(machine.load)}",
    )


def _by_zone(snapshot: Snapshot, pool: str) -> Counter[str]:
    """Count a pool's machines by zone; one that nobody has seen yet is where it is likeliest to be."""
    filled = Counter(i.zone for i in snapshot.instances if i.live and i.pool == pool)
    for claim in snapshot.claims:
        if claim.pool == pool and claim.overrides:
            filled[claim.overrides[0].zone] += unseen(snapshot, claim)
    return filled


def _overrides(offers: Sequence[Offer], filled: Mapping[str, int]) -> tuple[Override, ...]:
    """Order offers by price; equals go to the emptiest zone first, each zone's best before any zone's second best."""
    rank: dict[tuple[float, str], int] = {}
    keyed = []
    for offer in sorted(offers, key=lambda o: (o.price, o.kind.name, o.zone)):
        place = rank.get((offer.price, offer.zone), 0)
        rank[offer.price, offer.zone] = place + 1
        keyed.append(((offer.price, place, filled.get(offer.zone, 0), offer.zone, offer.kind.name), offer))
    ordered = [offer for _, offer in sorted(keyed, key=lambda item: item[0])]
    return tuple(
        Override(instance_type=o.kind.name, subnet_id=subnet, zone=o.zone, price=o.price)
        for o in ordered
        for subnet in o.subnets
    )[:OVERRIDES_MOST]


def _contents(load: Load) -> tuple[Content, ...]:
    return tuple(Content(job=want.job.name, group=want.group.name, copies=copies) for want, copies in load)


def _reason(load: Load) -> str:
    """Name the work that each machine is for."""
    named = [_named(want, copies) for want, copies in load[:NAMED_MOST]]
    more = sum(copies for _, copies in load[NAMED_MOST:])
    return f"for {', '.join(named)}{f' and {more} more' if more else ''}"


def _spare_alone(load: Load) -> bool:
    return bool(load) and all(want.pool for want, _ in load)


def _named(want: Want, copies: int) -> str:
    return f"{copies} headroom unit{'s' * (copies != 1)} of {want.group.name}" if want.pool else f"{copies} {want.name}"
