"""Virtual time: what happens next, in one order, from one seed.

The whole state of the world is a tree of plain dataclasses that msgspec can write and read (no closures, no cycles,
references by id), so what is to come is data too: an event names its handler and carries its arguments.
"""

from __future__ import annotations

import hashlib
import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from providers.sandbox.world.epoch import Calendar

Argument = str | int | float | bool | None


@dataclass(slots=True, order=True)
class Event:
    """Something that will happen at ``at`` (virtual seconds since the world began); ``seq`` settles ties."""

    at: float
    seq: int
    kind: str = field(compare=False)
    args: tuple[Argument, ...] = field(compare=False, default=())


@dataclass(slots=True)
class Timeline:
    """The part of the kernel that is state: the time, what is to come, and how many ids were drawn."""

    seed: int = 0
    now: float = 0.0
    seq: int = 0
    drawn: int = 0
    events: list[Event] = field(default_factory=list)


Handler = Callable[..., None]


class Kernel:
    """Runs a timeline. Rules register handlers by name, schedule events, draw ids and chances."""

    def __init__(self, timeline: Timeline, calendar: Calendar = Calendar()) -> None:  # noqa: B008 - it is frozen
        self.timeline, self.calendar = timeline, calendar
        self._handlers: dict[str, Handler] = {}

    @property
    def now(self) -> float:
        """Virtual seconds since the world began."""
        return self.timeline.now

    def on(self, kind: str, handler: Handler) -> None:
        """Let ``handler`` run for events of this kind; a second handler for a kind is a mistake (ValueError)."""
        if kind in self._handlers:
            raise ValueError(f"two handlers for {kind}")
        self._handlers[kind] = handler

    def after(self, delay: float, kind: str, *args: Argument) -> None:
        """Schedule an event ``delay`` virtual seconds from now; events at one instant run in the order of this call."""
        line = self.timeline
        line.seq += 1
        heapq.heappush(line.events, Event(line.now + max(0.0, delay), line.seq, kind, args))

    def run_until(self, at: float) -> None:
        """Let everything happen that is due up to and including ``at``; time never runs backwards."""
        line = self.timeline
        while line.events and line.events[0].at <= at:
            event = heapq.heappop(line.events)
            line.now = max(line.now, event.at)
            self._handlers[event.kind](*event.args)
        line.now = max(line.now, float(at))

    def next_at(self) -> float | None:
        """When the next event is due; None when nothing is to come."""
        return self.timeline.events[0].at if self.timeline.events else None

    def chance(self) -> random.Random:
        """Give a generator for one draw: a function of the seed and of the draws before it, so it survives a save."""
        self.timeline.drawn += 1
        return random.Random(f"{self.timeline.seed}/{self.timeline.drawn}")  # noqa: S311 - a simulation, not a secret

    def new_id(self) -> str:
        """Draw an id in the form of a UUID."""
        self.timeline.drawn += 1
        h = hashlib.sha256(f"{self.timeline.seed}:{self.timeline.drawn}".encode()).hexdigest()
        return f"{h[:8]}-{h[8:12]}-4{h[13:16]}-a{h[17:20]}-{h[20:32]}"
