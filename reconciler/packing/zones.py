"""Soft spreads over zones: what must be bought for such work is bought in the zones where it is wanted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from reconciler.packing.candidate import of_node
from reconciler.packing.distinct import Part
from reconciler.packing.filters import Filters, Looks
from reconciler.packing.offers import Offer
from reconciler.packing.room import shortage
from reconciler.packing.wants import Want
from schemas.world import Snapshot, SpreadWish

ZONE: Final = "${attr.platform.aws.placement.availability-zone}"
DEARER_MOST: Final = 1.5  # times the cheapest zone: a wish is no reason to pay any price
"""A spread is soft, and so is what is paid for it (ADR 0015)."""


def wish(want: Want) -> SpreadWish | None:
    """Give the wish to be spread over zones, the group's own before the job's."""
    return next((s for s in reversed(want.group.spreads) if s.attribute == ZONE), None)


def there(snapshot: Snapshot, want: Want) -> Counter[str]:
    """Count the copies of a group that run by zone."""
    nodes = {n.id: n for n in snapshot.nodes}
    found: Counter[str] = Counter()
    for allocation in snapshot.allocations:
        mine = (allocation.namespace, allocation.job_id, allocation.group)
        node = nodes.get(allocation.node_id)
        if mine == (want.job.namespace, want.job.id, want.group.name) and node is not None and allocation.takes_room:
            found[of_node(node).resolve(ZONE) or ""] += 1
    return found


def over_zones(
    part: Part, asked: SpreadWish, counted: Mapping[str, int], filters: Filters, offers: Sequence[tuple[Offer, Looks]]
) -> list[Part]:
    """Divide a part by zone, in proportion to what is wanted of all copies; those that are there count.

    Where only one zone can serve it for a reasonable price, it stays whole.
    """
    least: dict[str, float] = {}
    for offer, look in offers:
        zone = offer.zone
        if offer.price < least.get(zone, float("inf")) and filters.passes(part.want, offer.room, look):
            pinned = all(offer.room.candidate.resolve(target) == value for target, value in part.pins)
            if pinned and shortage(offer.room, part.want.group) is None:
                least[zone] = offer.price
    limit = DEARER_MOST * min(least.values(), default=0.0)
    zones = sorted((z for z, price in least.items() if price <= limit), key=lambda z: (least[z], z))
    if len(zones) < 2:
        return [part]
    used, copies = Counter(counted), Counter[str]()
    shares = _shares(asked, zones)
    for _ in range(part.copies):
        zone = min(zones, key=lambda z: ((used[z] + 1) / shares[z], zones.index(z)))
        used[zone] += 1
        copies[zone] += 1
    return [replace(part, copies=copies[z], pins=(*part.pins, (ZONE, z))) for z in zones if copies[z]]


def _shares(asked: SpreadWish, zones: Sequence[str]) -> dict[str, float]:
    """Give each zone its part; what targets leave of 100 % is shared by the zones that they do not name."""
    named = dict(asked.targets)
    others = [z for z in zones if z not in named]
    rest = max(0.0, 100.0 - sum(named.values()))
    each = rest / len(others) if others else 0.0
    tiny = 1e-6  # a zone that is to have nothing is the last choice, not none
    return {z: max(tiny, float(named[z]) if z in named else each) if named else 1.0 for z in zones}
