"""The score of spread blocks (source: ``scheduler/feasible/spread.go``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from providers.sandbox.world.nomad.constraints import resolve
from providers.sandbox.world.nomad.properties import PropertySet

if TYPE_CHECKING:
    from providers.sandbox.world.nomad.context import Context
    from providers.sandbox.world.nomad.jobspec import GroupSpec, JobSpec
    from providers.sandbox.world.nomad.node import Node

_IMPLICIT = "*"


class Spreads:
    """The spreads of one job with what is used so far; kept over the copies of one evaluation."""

    def __init__(self, ctx: Context, job: JobSpec) -> None:
        self._ctx = ctx
        self._job = job
        self._sets: dict[str, list[PropertySet]] = {}
        self._wanted: dict[str, dict[str, tuple[int, dict[str, float]]]] = {}
        self._weights = 0
        self._lowest = -1.0

    def set_group(self, group: GroupSpec) -> bool:
        """Begin with a group; whether it has spreads."""
        if group.name not in self._sets:
            both = self._job.spreads + group.spreads
            self._sets[group.name] = [
                PropertySet(self._ctx, self._job, s.attribute, group.name, targets=[v for v, _ in s.targets])
                for s in both
            ]
            wanted: dict[str, tuple[int, dict[str, float]]] = {}
            for s in group.spreads + self._job.spreads:
                counts = {value: percent / 100 * group.count for value, percent in s.targets}
                total = sum(counts.values())
                if 0 < total < group.count:
                    counts[_IMPLICIT] = group.count - total
                wanted[s.attribute] = (s.weight, counts)
                self._weights += s.weight
            self._wanted[group.name] = wanted
        return bool(self._sets[group.name])

    def score(self, node: Node, group: GroupSpec) -> float:
        """Sum over the spreads; 0 is not counted."""
        total = 0.0
        for properties in self._sets[group.name]:
            value = properties.value_of(node)
            if value is None:
                total -= 1.0
                continue
            weight, counts = self._wanted[group.name][properties.attribute]
            if not counts:
                total += self._even(properties, node)
                continue
            wanted = counts.get(value, counts.get(_IMPLICIT))
            if wanted is None:
                total -= 1.0
            elif wanted == 0:
                total += self._lowest
            else:
                used = properties.uses().get(value, 0) + 1
                boost = (wanted - used) / wanted * (weight / self._weights)
                total += boost
                self._lowest = min(self._lowest, boost)
        return total

    @staticmethod
    def _even(properties: PropertySet, node: Node) -> float:
        """Without targets all values shall be used alike."""
        uses = properties.uses()
        if not uses:
            return 0.0
        value, found = resolve(properties.attribute, node)
        if not found:
            return -1.0
        current = uses.get(value, 0)
        # Nomad takes a zero for "not yet set" while it looks for the least and the most
        least = most = 0
        for count in uses.values():
            if least == 0 or count < least:
                least = count
            most = max(most, count)
        if current != least:
            return -1.0 if least == 0 else (least - current) / least
        if least == most:
            return -1.0
        if least == 0:
            return 1.0
        return (most - least) / least
