"""What the program itself did in a simulated run: looks, actions and results, holds and how long they stood."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

from reconciler.loop import Tick
from schemas.plan import Hold, Reason


@dataclass(slots=True, kw_only=True)
class Standing:
    """One hold while it stands."""

    since: datetime
    seen: datetime
    hold: Hold


@dataclass(slots=True, kw_only=True)
class Held:
    """All holds of one reason."""

    seconds: float = 0.0  # the sum over its subjects
    longest: float = 0.0
    times: int = 0
    subjects: set[str] = field(default_factory=set)
    example: str = ""  # of the one that stood longest


@dataclass(slots=True, kw_only=True)
class Diary:
    """Ticks, summed up as they come."""

    looks: int = 0
    results: Counter[tuple[str, str]] = field(default_factory=Counter)  # (action, result)
    refusals: Counter[tuple[str, str]] = field(default_factory=Counter)  # (EC2's code, market)
    held: dict[Reason, Held] = field(default_factory=dict)
    last_words: dict[str, str] = field(default_factory=dict)  # subject → the message of its newest hold
    newest: tuple[Hold, ...] = ()  # of the last look
    _standing: dict[tuple[str, Reason], Standing] = field(default_factory=dict)

    def add(self, tick: Tick) -> None:
        """Take in one look."""
        self.looks += 1
        now = tick.snapshot.observed_at
        for outcome in tick.outcomes:
            self.results[type(outcome.action).__name__, outcome.result.value] += 1
            for error in outcome.errors:
                self.refusals[error.code, error.market.value] += 1
        self.newest = tick.plan.holds
        there = {(hold.subject, hold.reason): hold for hold in tick.plan.holds}
        for key in [key for key in self._standing if key not in there]:
            self._end(key, now)
        for key, hold in there.items():
            standing = self._standing.setdefault(key, Standing(since=now, seen=now, hold=hold))
            standing.hold, standing.seen = hold, now
            self.last_words[hold.subject] = hold.message

    def why(self, job: str, group: str) -> str:
        """Say why a job waits: the newest hold about it, else what stands in the way of machines meant for it."""
        of_pools = (hold.message for hold in self.newest if f" {job}.{group}" in hold.message)
        return self.last_words.get(f"job/{job}") or next(of_pools, "")

    def close(self, now: datetime) -> None:
        """End what stands still."""
        for key in list(self._standing):
            self._end(key, now)

    def _end(self, key: tuple[str, Reason], now: datetime) -> None:
        standing = self._standing.pop(key)
        seconds = max(0.0, (now - standing.since).total_seconds())
        held = self.held.setdefault(standing.hold.reason, Held())
        held.seconds += seconds
        held.times += 1
        held.subjects.add(standing.hold.subject)
        if seconds >= held.longest:
            held.longest, held.example = seconds, f"{standing.hold.subject}: {standing.hold.message}"
