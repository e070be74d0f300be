"""What a machine costs: the on-demand table, and spot prices that move by seed and never pass on-demand.

A spot price is a function of (seed, type, zone, time), so it needs no memory: it changes every hour or so, at a
moment of its own for each pool, around a level of its own, with slow waves (source: aws.md §4.1).
"""

from __future__ import annotations

import hashlib
import math
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from providers.sandbox.world.ec2.context import Cloud

_STEP = 3600.0  # seconds between two changes of one pool's price
_LOWEST, _HIGHEST = 0.18, 0.92  # shares of on-demand that a pool reaches by itself


def noise(*parts: object) -> float:
    """Give a number in [0, 1) that depends on the parts alone."""
    digest = hashlib.sha256("/".join(str(part) for part in parts).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def on_demand_price(cloud: Cloud, instance_type: str) -> float | None:
    """USD per hour, or None for a type the table does not have."""
    found = cloud.catalogue.get(instance_type)
    return found.on_demand_usd_per_hour if found and found.on_demand_usd_per_hour > 0 else None


def spot_price(cloud: Cloud, instance_type: str, zone: str) -> float | None:
    """USD per hour now, at most the on-demand price; None where the type has no spot market."""
    found = cloud.catalogue.get(instance_type)
    if (
        found is None
        or not found.spot_supported
        or found.on_demand_usd_per_hour <= 0
        or not cloud.is_offered(instance_type, zone)
    ):
        return None
    share = _scripted_share(cloud, instance_type, zone)
    if share is None:
        share = _wandering_share(cloud.kernel.timeline.seed, instance_type, zone, cloud.kernel.now)
    return round(found.on_demand_usd_per_hour * min(1.0, share), 4)


def spot_depth(cloud: Cloud, instance_type: str, zone: str) -> int:
    """How much spare capacity a pool has, 1 (shallow) to 10 (deep), as EC2 alone knows it."""
    hours = int(cloud.kernel.now // 21600)
    return 1 + int(10 * noise(cloud.kernel.timeline.seed, "depth", instance_type, zone, hours))


def _scripted_share(cloud: Cloud, instance_type: str, zone: str) -> float | None:
    now, share = cloud.kernel.now, None
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
