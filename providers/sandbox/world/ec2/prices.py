"""What a machine costs: the on-demand table, and spot prices that move by seed and never pass on-demand.

A spot price is a function of (seed, type, zone, time), so it needs no memory: it changes every hour or so, at a
moment of its own for each pool, around a level of its own, with slow waves (source: aws.md §4.1).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from providers.sandbox.world.ec2.context import Cloud

_STEP = 3600.0  # seconds between two changes of one pool's price
_KEPT = 90 * 86_400.0
_JUST_AFTER = 1e-3  # seconds: the price at a change is the new one, whatever rounding makes of the moment
_LOWEST, _HIGHEST = 0.18, 0.92  # shares of on-demand that a pool reaches by itself


def noise(*parts: object) -> float:
    """Give a number in [0, 1) that depends on the parts alone."""
    digest = hashlib.sha256("/".join(str(part) for part in parts).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def on_demand_price(cloud: Cloud, instance_type: str) -> float | None:
    """USD per hour, or None for a type the table does not have."""
    found = cloud.catalogue.get(instance_type)
    return found.on_demand_usd_per_hour if found and found.on_demand_usd_per_hour > 0 else None


def spot_price(cloud: Cloud, instance_type: str, zone: str, at: float | None = None) -> float | None:
    """USD per hour now (or ``at`` a moment), at most the on-demand price; None where the type has no spot market."""
    found = cloud.catalogue.get(instance_type)
    if (
        found is None
        or not found.spot_supported
        or found.on_demand_usd_per_hour <= 0
        or not cloud.is_offered(instance_type, zone)
    ):
        return None
    moment = cloud.kernel.now if at is None else at
    share = _scripted_share(cloud, instance_type, zone, moment)
    if share is None:
        share = _wandering_share(cloud.kernel.timeline.seed, instance_type, zone, moment)
    return round(found.on_demand_usd_per_hour * min(1.0, share), 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceChange:
    """From ``at`` on a pool costs ``price`` USD per hour."""

    instance_type: str
    zone: str
    price: float
    at: float


def price_history(
    cloud: Cloud, types: Iterable[str], zones: Iterable[str], *, since: float, until: float
) -> list[PriceChange]:
    """Give the changes of spot prices, newest first: for each pool those after ``since`` and the one in force then.

    Changes, not samples: with ``since`` now there is one row a pool; a pool without a market has none. 90 days are
    kept (source: aws.md §4.1).
    """
    now, found = cloud.kernel.now, list[PriceChange]()
    since, until = max(since, now - _KEPT), min(until, now)
    for instance_type in types:
        for zone in zones:
            found += _changes(cloud, instance_type, zone, since, until)
    return sorted(found, key=lambda c: (-c.at, c.instance_type, c.zone))


def _changes(cloud: Cloud, instance_type: str, zone: str, since: float, until: float) -> list[PriceChange]:
    phase = noise(cloud.kernel.timeline.seed, "phase", instance_type, zone)
    first = math.floor(since / _STEP + phase)
    moments = [(step - phase) * _STEP for step in range(first, math.floor(until / _STEP + phase) + 1)]
    for move in cloud.state.price_moves:
        moments += [at for at in (move.since, move.until) if at is not None and moments[0] < at <= until]
    found: list[PriceChange] = []
    for at in sorted(moments):
        price = spot_price(cloud, instance_type, zone, at + _JUST_AFTER)
        if price is not None and (not found or found[-1].price != price):
            found.append(PriceChange(instance_type=instance_type, zone=zone, price=price, at=at))
    before = [c for c in found if c.at <= since]
    return [*before[-1:], *(c for c in found if c.at > since)]


def spot_depth(cloud: Cloud, instance_type: str, zone: str) -> int:
    """How much spare capacity a pool has, 1 (shallow) to 10 (deep), as EC2 alone knows it."""
    hours = int(cloud.kernel.now // 21600)
    return 1 + int(10 * noise(cloud.kernel.timeline.seed, "depth", instance_type, zone, hours))


def _scripted_share(cloud: Cloud, instance_type: str, zone: str, now: float) -> float | None:
    share = None
    for move in cloud.state.price_moves:
        timely = move.since <= now and (move.until is None or now < move.until)
        if timely and fnmatchcase(instance_type, move.types) and fnmatchcase(zone, move.zones):
            share = move.share
    return share


def _wandering_share(seed: int, instance_type: str, zone: str, now: float) -> float:
    level = 0.28 + 0.22 * noise(seed, "level", instance_type, zone)
    phase = noise(seed, "phase", instance_type, zone)
    step = math.floor(now / _STEP + phase)  # each pool changes at its own minute of the hour
    wave = 0.08 * math.sin(2 * math.pi * (step / 31 + phase)) + 0.04 * math.sin(2 * math.pi * (step / 7.3 + 3 * phase))
    jitter = 0.03 * (noise(seed, "jitter", instance_type, zone, step) - 0.5)
    return min(_HIGHEST, max(_LOWEST, level + wave + jitter))
