"""What a run did, kept while it goes on: the last tick of a quiet run tells nothing of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from reconciler.loop import Tick
from reconciler.status import Bound, Done, bound_of, done_of
from schemas.plan import Launch, Outcome
from schemas.world import Instance


@dataclass(slots=True, kw_only=True)
class History:
    """One group's ticks, summed up."""

    began: datetime
    ended: datetime
    ticks: int = 0
    outcomes: list[Outcome] = field(default_factory=list)
    bounds: list[Bound] = field(default_factory=list)  # of the plans that bought, each for itself
    _seen: dict[str, Instance] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """How long it took, from the first tick to the last, in the group's own time."""
        return (self.ended - self.began).total_seconds()

    @property
    def done(self) -> tuple[Done, ...]:
        """What was tried and what came of it, in order."""
        return tuple(done_of(outcome, self._seen) for outcome in self.outcomes)

    def add(self, tick: Tick) -> None:
        """Keep what a tick did."""
        self.ended = tick.snapshot.observed_at
        self.ticks += 1
        self.outcomes += tick.outcomes
        self._seen.update(tick.snapshot.instance_by_id)
        bought = any(isinstance(o.action, Launch) for o in tick.outcomes)
        if bought and (bound := bound_of(tick.plan)) is not None:
            self.bounds.append(bound)


class Histories:
    """The histories of all groups of a run."""

    def __init__(self) -> None:
        self._by_name: dict[str, History] = {}

    @property
    def by_name(self) -> Mapping[str, History]:
        """Each group's history."""
        return self._by_name

    def add(self, tick: Tick) -> None:
        """Keep what a tick did."""
        name, now = tick.group.metadata.name, tick.snapshot.observed_at
        self._by_name.setdefault(name, History(began=now, ended=now)).add(tick)
