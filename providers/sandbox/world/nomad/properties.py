"""How often the values of a node attribute are used by a job's allocations (``scheduler/feasible/propertyset.go``)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from providers.sandbox.world.nomad.constraints import resolve

if TYPE_CHECKING:
    from providers.sandbox.world.nomad.allocation import Allocation
    from providers.sandbox.world.nomad.context import Context
    from providers.sandbox.world.nomad.jobspec import JobSpec
    from providers.sandbox.world.nomad.node import Node


class PropertySet:
    """Uses of one attribute's values, by the job or one of its groups; for ``distinct_property`` and spreads."""

    def __init__(
        self, ctx: Context, job: JobSpec, attribute: str, group: str, *, allowed: int = 0, targets: Iterable[str] = ()
    ) -> None:
        self._ctx = ctx
        self.attribute = attribute
        self._group = group
        self.allowed = allowed
        self._targets = frozenset(targets)
        allocs = ctx.store.job_allocs(f"{job.namespace}/{job.id}", create_index=job.create_index)
        self._existing = self._count(self._relevant(allocs, live=True))

    def _relevant(self, allocs: Iterable[Allocation], *, live: bool) -> list[Allocation]:
        return [a for a in allocs if not (live and a.terminal) and self._group in ("", a.group)]

    def _count(self, allocs: Iterable[Allocation]) -> dict[str, int]:
        counts: dict[str, int] = {}
        nodes = self._ctx.store.state.nodes
        for alloc in allocs:
            node = nodes.get(alloc.node_id)
            if node is None or not self.attribute:
                continue
            value, found = resolve(self.attribute, node)
            if found:
                value = self._target(value)
                counts[value] = counts.get(value, 0) + 1
        return counts

    def _target(self, value: str) -> str:
        """Values that no target names count together."""
        return value if not self._targets or value in self._targets else "*"

    def uses(self) -> dict[str, int]:
        """Count by value as the plan would leave it."""
        plan = self._ctx.plan
        cleared = self._count(self._relevant((a for s in plan.stops.values() for a in s.values()), live=False))
        proposed = self._count(self._relevant((a for p in plan.places.values() for a in p.values()), live=True))
        for value in proposed:  # what is placed again where something stops clears nothing
            if cleared.get(value, 0) > 1:
                cleared[value] -= 1
        total = dict(self._existing)
        for value, count in proposed.items():
            total[value] = total.get(value, 0) + count
        for value, count in cleared.items():
            if value in total:
                total[value] = max(0, total[value] - count)
        return total

    def value_of(self, node: Node) -> str | None:
        """Give the node's value (folded to ``*`` where no target names it); None without the attribute."""
        if not self.attribute:
            return None
        value, found = resolve(self.attribute, node)
        return self._target(value) if found else None

    def refusal(self, node: Node) -> str:
        """Say why ``distinct_property`` refuses a node; empty when it does not."""
        value = self.value_of(node)
        if value is None:
            return f'missing property "{self.attribute}"'
        used = self.uses().get(value, 0)
        if used < self.allowed:
            return ""
        return f"distinct_property: {self.attribute}={value} used by {used} allocs"
