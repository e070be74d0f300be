"""When the simulated world began: virtual seconds to calendar time and back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

EPOCH = datetime(2026, 1, 5, 8, 0, 0, tzinfo=UTC)  # a Monday morning


def to_datetime(seconds: float) -> datetime:
    """Calendar time of a moment of the world, in UTC, to the microsecond."""
    return EPOCH + timedelta(seconds=seconds)


def to_seconds(moment: datetime) -> float:
    """Virtual seconds at a calendar time (with time zone)."""
    return (moment - EPOCH).total_seconds()
