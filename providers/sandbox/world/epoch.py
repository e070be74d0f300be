"""When the simulated world began: virtual seconds to calendar time and back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

EPOCH = datetime(2026, 1, 5, 8, 0, 0, tzinfo=UTC)  # a Monday morning


@dataclass(frozen=True, slots=True)
class Calendar:
    """How those outside read the world's clock: when its second 0 was, and how many of its seconds one of theirs has.

    It is no part of the world: served at a pace of 10, all of it seems to happen ten times as fast.
    """

    epoch: datetime = EPOCH  # with time zone, whole seconds
    pace: float = 1.0

    def to_datetime(self, seconds: float) -> datetime:
        """Calendar time of a moment of the world, in UTC, to the microsecond."""
        return self.epoch + timedelta(seconds=seconds / self.pace)

    def to_seconds(self, moment: datetime) -> float:
        """Virtual seconds at a calendar time (with time zone)."""
        return (moment - self.epoch).total_seconds() * self.pace

    def lasting(self, seconds: float) -> float:
        """Virtual seconds of a time that somebody outside counts: he renews a lock by his own clock."""
        return seconds * self.pace


def to_datetime(seconds: float) -> datetime:
    """Calendar time of a moment of a world with the usual calendar."""
    return Calendar().to_datetime(seconds)
