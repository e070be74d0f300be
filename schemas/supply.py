"""What EC2 sells in a region, at which on-demand prices, and where there is room, as far as it was told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from schemas.catalogue import InstanceType


@dataclass(frozen=True, slots=True, kw_only=True)
class Supply:
    """The answers to four slow questions, each with its age.

    What was not told restricts nothing: the shipped table stands in for it, and EC2's own refusals say the rest.
    """

    types: tuple[InstanceType, ...] = ()  # those that the shipped table does not know
    offered: Mapping[str, frozenset[str]] = field(default_factory=dict)  # zone → names of types; not there: not known
    offered_at: datetime | None = None
    on_demand: Mapping[str, float] = field(default_factory=dict)  # USD an hour by type, from the Price List
    on_demand_at: datetime | None = None  # None: the shipped table is all there is
    spot_at: datetime | None = None
    free_addresses: Mapping[str, int] = field(default_factory=dict)  # by subnet
    subnets_at: datetime | None = None  # None: nobody told
    silent: Mapping[str, str] = field(default_factory=dict)  # what was not told anew → what was heard instead

    def sells(self, instance_type: str, zone: str) -> bool:
        """Tell whether a zone has a type; yes when nobody knows."""
        known = self.offered.get(zone)
        return known is None or instance_type in known

    def full(self, subnet_id: str) -> bool:
        """Tell whether a subnet is known to have no free address, or not to exist."""
        return self.subnets_at is not None and self.free_addresses.get(subnet_id, 0) <= 0
