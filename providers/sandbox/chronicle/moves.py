"""Which allocations had to move, and why."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from providers.sandbox.world.nomad.allocation import LOST

if TYPE_CHECKING:
    from collections.abc import Iterable

    from providers.sandbox.world.nomad.allocation import Allocation
    from providers.sandbox.world.world import World

DRAINED, LOST_NODE, PREEMPTED, FAILED = "drained", "lost with its node", "preempted", "failed by itself"


@dataclass(slots=True, kw_only=True)
class Moves:
    """Counts replacements by what became of the allocation that they replace, services and batch work apart."""

    world: World
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)  # (why, job type)

    def look(self, fresh: Iterable[Allocation]) -> None:
        """Take in new allocations."""
        for alloc in fresh:
            before = self.world.nomad.state.allocs.get(alloc.previous) if alloc.previous else None
            if before is not None and (why := _why(before)):
                self.counts[why, alloc.job_type] += 1


def _why(before: Allocation) -> str:
    if before.wants_migration:
        return DRAINED
    if before.client == LOST:
        return LOST_NODE
    if before.preempted_by:
        return PREEMPTED
    return FAILED if before.client == "failed" else ""
