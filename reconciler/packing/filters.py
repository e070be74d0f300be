"""Nomad's filters with a memory: machines that look alike to the wants at hand are judged once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from reconciler.packing.candidate import Candidate
from reconciler.packing.feasible import Blocker, blocker, targets
from reconciler.packing.room import Room
from reconciler.packing.wants import Want
from schemas.world import DeviceGroup

Looks = object  # all of a candidate that some wants look at; equal looks, equal judgement


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Judges rooms for the wants that it was made for."""

    asked: tuple[str, ...] = ()
    drivers: tuple[str, ...] = ()
    _known: dict[tuple[object, Looks], Blocker | None] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of(cls, wants: Iterable[Want], also: Iterable[str] = ()) -> Filters:
        """Prepare the filters for these wants; ``also`` are targets by which rooms must be told apart."""
        groups = [w.group for w in wants]
        asked = tuple(dict.fromkeys((*targets(groups), *also)))
        return cls(asked=asked, drivers=tuple(sorted({d for g in groups for d in g.drivers})))

    def looks(self, candidate: Candidate) -> Looks:
        """Give everything about a candidate that these wants look at."""
        return (
            candidate.datacenter,
            candidate.node_pool,
            candidate.exists,
            candidate.complete,
            tuple(candidate.resolve(t) for t in self.asked),
            tuple(self._driver(candidate, d) for d in self.drivers),
            tuple(_device(d) for d in candidate.devices),
            tuple(sorted(candidate.host_volumes.items())),
            candidate.network_modes,
            candidate.host_networks,
        )

    def passes(self, want: Want, room: Room, looks: Looks) -> bool:
        """Tell whether nothing but room decides; headroom goes anywhere in its own pool."""
        if want.pool:
            return room.pool == want.pool
        key = (_requirements(want), looks)
        if key not in self._known:
            self._known[key] = blocker(want.job, want.group, room.candidate)
        return self._known[key] is None

    @staticmethod
    def _driver(candidate: Candidate, driver: str) -> object:
        said = candidate.resolve(f"${{attr.driver.{driver}}}")
        return (candidate.drivers.get(driver), said, candidate.assumes_drivers)


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
