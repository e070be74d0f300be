"""Figures that change at moments, as hourly averages and peaks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

HOUR = 3600.0


@dataclass(slots=True)
class Hours:
    """Gauges over virtual hours; between two notes a gauge stays as it was."""

    now: float = 0.0
    current: dict[str, float] = field(default_factory=dict)
    sums: dict[str, dict[int, float]] = field(default_factory=dict)  # gauge → hour → value times seconds
    peaks: dict[str, dict[int, float]] = field(default_factory=dict)

    def note(self, now: float, gauges: Mapping[str, float]) -> None:
        """Take in what all gauges show from ``now`` on; one that is not named shows 0."""
        self.until(now)
        self.current = dict(gauges)
        for name, value in gauges.items():
            self._peak(name, int(now // HOUR), value)

    def until(self, now: float) -> None:
        """Let time pass with the gauges as they are."""
        while self.now < now:
            hour = int(self.now // HOUR)
            end = min(now, (hour + 1) * HOUR)
            for name, value in self.current.items():
                if value:
                    of = self.sums.setdefault(name, {})
                    of[hour] = of.get(hour, 0.0) + value * (end - self.now)
                    self._peak(name, hour, value)
            self.now = end

    def _peak(self, name: str, hour: int, value: float) -> None:
        of = self.peaks.setdefault(name, {})
        of[hour] = max(of.get(hour, 0.0), value)

    def total(self, name: str) -> float:
        """Sum a gauge up over all time, in its unit times hours."""
        return sum(self.sums.get(name, {}).values()) / HOUR

    def averages(self, name: str) -> list[float]:
        """Give the average of each hour; the last may be a part of one."""
        of = self.sums.get(name, {})
        return [of.get(hour, 0.0) / self._length(hour) for hour in self._hours()]

    def highest(self, name: str) -> list[float]:
        """Give the peak of each hour."""
        of = self.peaks.get(name, {})
        return [of.get(hour, 0.0) for hour in self._hours()]

    def _hours(self) -> range:
        return range(int(-(-self.now // HOUR)))

    def _length(self, hour: int) -> float:
        return min(HOUR, self.now - hour * HOUR)
