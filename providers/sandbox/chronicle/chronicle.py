"""All that is written down of a simulated world, and when something in it has changed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from providers.sandbox.chronicle.hours import Hours
from providers.sandbox.chronicle.machines import Machines
from providers.sandbox.chronicle.moves import Moves
from providers.sandbox.chronicle.waiting import Waiting

if TYPE_CHECKING:
    from providers.sandbox.world.nomad.allocation import Allocation
    from providers.sandbox.world.world import World


@dataclass(slots=True)
class Chronicle:
    """Watches one group in a world: to be asked to look whenever something happened."""

    world: World
    group: str
    hours: Hours = field(default_factory=Hours)
    machines: Machines = field(init=False)
    waiting: Waiting = field(init=False)
    moves: Moves = field(init=False)
    _seen: int = 0  # create index of the newest allocation known

    def __post_init__(self) -> None:
        self.machines = Machines(world=self.world, group=self.group)
        self.waiting = Waiting(world=self.world)
        self.moves = Moves(world=self.world)

    def look(self) -> None:
        """Take the world in as it is now."""
        fresh = self._fresh()
        self.moves.look(fresh)
        queued = self.waiting.look(fresh)
        gauges = self.machines.look()
        gauges["queued"] = queued
        self.hours.note(self.world.now, gauges)

    def _fresh(self) -> list[Allocation]:
        """List the allocations made since the last look, oldest first: they are kept in that order."""
        allocs, found = self.world.nomad.state.allocs, []
        for alloc in reversed(allocs.values()):
            if alloc.create_index <= self._seen:
                break
            found.append(alloc)
        found.reverse()
        self._seen = max([self._seen, *(a.create_index for a in found)])
        return found
