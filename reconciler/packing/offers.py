"""What can be bought for a pool: type, zone and market, with a price that is believed, less what EC2 refuses now."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from reconciler.packing.census import unseen
from reconciler.packing.promise import Promises
from reconciler.packing.refusals import quota_class
from reconciler.packing.room import Room
from schemas.catalogue import InstanceType
from schemas.document import Pool, effective_machine
from schemas.faults import Refusal, Source
from schemas.world import Market, Role, Snapshot

DEARER_MOST = 1.15  # times the cheapest that holds a content: further, EC2's freedom to choose would break the plan
COUNTED_MOST = 1000
BELIEVED = 10.0  # times the shipped table's price: above it, a price is a mistake


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A machine that can be bought: its price in USD an hour, and the room it will have."""

    pool: str
    kind: InstanceType
    zone: str
    subnets: tuple[str, ...]
    market: Market
    price: float
    room: Room

    @property
    def name(self) -> str:
        """How a person names it."""
        return f"{self.kind.name} in {self.zone} ({self.market})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """All that is for sale for a pool now, and what is out."""

    pool: Pool
    offers: tuple[Offer, ...]
    have: Mapping[Market, int] = field(default_factory=dict)  # live and launching machines
    refused: int = 0  # offerings that EC2 refuses for now

    def on_demand_due(self, machines: int) -> int:
        """How many of so many new machines must be on-demand for the pool's share."""
        total = sum(self.have.values()) + machines
        return min(machines, max(0, on_demand_wanted(self.pool, total) - self.have.get(Market.ON_DEMAND, 0)))

    def spot_share(self, machines: int) -> float:
        """Which part of so many new machines will be spot, 0 to 1; of none: as the document says."""
        if not machines:
            return self.pool.capacity.spot_percent / 100
        return 1 - self.on_demand_due(machines) / machines

    def on_demand_least(self, machines: int) -> float:
        """Give the least part, 0 to 1, of new machines that must be on-demand, whichever number is bought."""
        counted = min(machines, COUNTED_MOST)
        least = min((self.on_demand_due(n) / n for n in range(1, counted + 1)), default=1.0)
        if counted < machines:  # but for rounding, it goes one way from here: an end is the least
            least = min(least, *((self.on_demand_due(n) - 1) / n for n in (counted, machines)))
        return max(0.0, least)


def shelf(promises: Promises) -> Shelf:
    """List a pool's offers, cheapest first; a market that the pool's capacity rules out is not among them."""
    snapshot, pool = promises.snapshot, promises.pool
    images = effective_machine(promises.group, pool).images
    zones: dict[str, list[str]] = {}
    for subnet in promises.group.spec.aws.subnets:
        if snapshot.supply.full(subnet.id):
            continue
        zones.setdefault(subnet.zone, []).append(subnet.id)
    out = _refused(snapshot)
    on_sale: list[tuple[Market, str, InstanceType, float]] = []
    refused: Counter[Market] = Counter()
    for kind in pool.instances.allowed(snapshot.catalogue):
        if kind.arch not in images:
            continue
        for zone in zones:
            if not snapshot.supply.sells(kind.name, zone):
                continue
            for market, price in _prices(snapshot, kind, zone).items():
                if (kind.name, zone, market) in out or (quota_class(kind.name), "", market) in out:
                    refused[market] += 1
                else:
                    on_sale.append((market, zone, kind, price))
    wanted = _markets(pool)
    offers = [
        Offer(
            pool=pool.name,
            kind=kind,
            zone=zone,
            subnets=tuple(zones[zone]),
            market=market,
            price=price,
            room=promises.room(kind, zone, market),
        )
        for market, zone, kind, price in on_sale
        if market in wanted
    ]
    return Shelf(
        pool=pool,
        offers=tuple(sorted(offers, key=lambda o: (o.price, o.kind.name, o.zone, o.market))),
        have=bought(snapshot, pool.name),
        refused=sum(count for market, count in refused.items() if market in wanted),
    )


def on_demand_wanted(pool: Pool, machines: int) -> int:
    """How many of so many machines are to be on-demand (semantics §3)."""
    base = min(machines, pool.capacity.on_demand_base)
    share = 100 - pool.capacity.spot_percent
    return base - (-(machines - base) * share // 100)  # rounded up


def bought(snapshot: Snapshot, pool: str) -> Counter[Market]:
    """Count live and launching machines of a pool by market."""
    counted: Counter[Market] = Counter()
    for instance in snapshot.instances:
        if instance.live and instance.role == Role.CLIENT and instance.pool == pool:
            counted[instance.market] += 1
    for claim in snapshot.claims:
        if claim.pool == pool:
            counted[claim.market] += unseen(snapshot, claim)
    return counted


def _markets(pool: Pool) -> frozenset[Market]:
    """Which markets a pool may buy in; on-demand also to fall back on."""
    capacity = pool.capacity
    spot = capacity.spot_percent > 0
    on_demand = capacity.spot_percent < 100 or capacity.on_demand_base > 0 or capacity.fallback_to_on_demand
    return frozenset(m for m, wanted in ((Market.SPOT, spot), (Market.ON_DEMAND, on_demand)) if wanted)


def _prices(snapshot: Snapshot, kind: InstanceType, zone: str) -> dict[Market, float]:
    """Give the price in each market that has this type; a price that cannot be is replaced by the shipped table's."""
    shipped = kind.on_demand_usd_per_hour
    on_demand = _believed(snapshot.on_demand_prices.get(kind.name, shipped), shipped)
    prices = {Market.ON_DEMAND: on_demand} if on_demand > 0 else {}
    if not kind.spot_supported:
        return prices
    silent = Source.PRICES in snapshot.unanswered
    said = snapshot.spot_prices.get((kind.name, zone), shipped if silent else None)
    if said is not None and 0 < (spot := _believed(said, shipped)) <= on_demand:
        prices[Market.SPOT] = spot
    return prices


def _believed(price: float, shipped: float) -> float:
    """NaN, zero, negative and absurd prices are not believed."""
    if math.isfinite(price) and price > 0 and (shipped <= 0 or price <= BELIEVED * shipped):
        return price
    return shipped


def _refused(snapshot: Snapshot) -> frozenset[tuple[str, str, Market]]:
    """Offerings that are out; a quota takes its whole class out, written with an empty zone."""
    out: set[tuple[str, str, Market]] = set()
    for refused in snapshot.refused:
        if refused.until > snapshot.observed_at:
            out.add((refused.instance_type, refused.zone, refused.market))
            if refused.why == Refusal.QUOTA:
                out.add((quota_class(refused.instance_type), "", refused.market))
    return frozenset(out)
