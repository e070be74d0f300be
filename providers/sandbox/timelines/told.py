"""Chance as it fell when the recording was made: lots are what the recording shows, if they could have been drawn.

What no row tells (which of two things at one instant came first) is tried both ways: ``hidden`` answers those
questions in the order in which they are asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from providers.sandbox.timelines.recording import Recording, Row

if TYPE_CHECKING:
    from collections.abc import Callable

    from providers.sandbox.world.kernel import Kernel

_HEARD = 0.3  # seconds until news that is told now is seen by all
_LOOK = 1.8  # autopilot looks every two seconds: what it sees was so for as long, at most


@dataclass(slots=True)
class Told:
    """Lots of one replay. ``starts`` is the moment of the world at which the recording begins."""

    recording: Recording
    kernel: Kernel
    starts: float
    hidden: int = 0
    asked: list[str] = field(default_factory=list)

    @property
    def now(self) -> float:
        """Seconds of the recording."""
        return self.kernel.now - self.starts

    def seconds(self, what: str, who: str, low: float, high: float) -> float:
        """Give what the recording shows, within the bounds; the middle when it shows nothing."""
        match what:
            case "failed" | "failed-alone":
                seen = self._first("members@", lambda r: _of(r.what, who) in {"failed", "left"}, less=_HEARD)
                seen = high if seen is None else seen  # it came back before that
            case "figures":
                seen = self._first("autopilot", lambda r: f"{who}.global@{who} healthy" in r.what, less=_LOOK)
            case "push-pull":
                seen = self._first("members@", self._let_in, less=_HEARD)
            case "bootstrap":
                seen = low if self._next_leader() == who else high
            case "process-ends":
                seen = self._first(f"process of {who}", lambda _: True)
            case "election":
                seen = self._first("raft@", lambda r: " leader" in r.what)
            case _:
                seen = None
        return (low + high) / 2 if seen is None else min(high, max(low, seen))

    def choose(self, what: str, who: str, options: Sequence[str]) -> str:
        """Give who was elected; for the rest one of the hidden answers."""
        if what == "elected":
            return self._elected(options)
        if self.now < 0:
            return options[0]
        if what == "first-figures":
            row = next((r for r in self.recording.of("autopilot") if r.at > self.now - _HEARD), None)
            late = row is not None and row.at < self.now + 2.0 + _HEARD and f"{who}.global@{who} UNHEALTHY" in row.what
            return options[-1] if late else options[0]
        self.asked.append(f"{what} {who}")
        return options[self.hidden >> (len(self.asked) - 1) & 1]

    def _elected(self, options: Sequence[str]) -> str:
        by_label = {self._label(address): address for address in options}
        return by_label.get(self._next_leader(set(by_label)), options[0])

    def _next_leader(self, among: set[str] | None = None) -> str:
        for row in self.recording.rows:
            if row.at >= self.now and row.who.startswith("raft@"):
                leaders = [p.partition("#")[0] for p in row.what.split("; ") if p.endswith(" leader")]
                if leaders and (among is None or leaders[0] in among):
                    return leaders[0]
        return ""

    def _label(self, address: str) -> str:
        return f"s{address.rpartition('.')[2]}"

    def _let_in(self, row: Row) -> bool:
        others = (m.partition(" ")[0] for m in row.what.split("; "))
        strange = {o for o in others if o.partition(".")[0] != o.partition("@")[2]}
        return any(o.partition("@")[2] != row.who.partition("@")[2] for o in strange)

    def _first(self, who: str, wanted: Callable[[Row], bool], *, less: float = 0.0) -> float | None:
        rows = (r for r in self.recording.rows if r.at > self.now and r.who.startswith(who))
        return next((r.at - self.now - less for r in rows if wanted(r)), None)


def _of(members: str, name: str) -> str:
    """Give the status of one member."""
    found = (m for m in members.split("; ") if m.startswith(f"{name}."))
    return next((m.partition(" ")[2] for m in found), "")
