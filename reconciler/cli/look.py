"""One look at every group, for the commands that only read: the plan of each, nothing done, nothing kept."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.cli.gather import Document, documents_of
from reconciler.cli.options import Given
from reconciler.cli.world import open_world
from reconciler.loop import GroupLoop, Outside, Run, Tick, exit_code
from reconciler.status import GroupStatus, status_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What one look at a group gave."""

    document: Document
    tick: Tick

    @property
    def status(self) -> GroupStatus:
        """The group's status."""
        tick = self.tick
        return status_of(
            tick.group, tick.snapshot, tick.plan, converged=tick.converged, warnings=self.document.warnings
        )


def look(given: Given) -> list[Seen]:
    """Look at every group that is asked for, by name; the world stays as it is."""
    documents = documents_of(given)
    world = open_world(given, keep=False)

    async def every(outside: Outside) -> list[Tick]:
        return [await GroupLoop(d.group, outside(d.group)).plan() for d in documents]

    ticks = world.run(every)
    seen = [Seen(document=d, tick=t) for d, t in zip(documents, ticks, strict=True)]
    return sorted(seen, key=lambda s: s.document.group.metadata.name)


def reach(seen: list[Seen]) -> int:
    """Give 69 when nothing can be said to be done because a source is silent or everything is frozen, else 0."""
    return exit_code([Run(last=s.tick, done=len(s.tick.plan.actions)) for s in seen])
