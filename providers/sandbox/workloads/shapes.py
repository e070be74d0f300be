"""How work changes over time: daily waves, arrivals. Pure functions of the calendar and a seed.

Offsets are virtual seconds from the beginning, which is at ``EPOCH`` (a Monday morning, UTC).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import datetime, timedelta

from providers.sandbox.world.ec2.prices import noise
from providers.sandbox.world.epoch import EPOCH, Calendar, to_datetime
from schemas.workload import Arrivals, Daily

_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_HOURS = 24


def wave(daily: Daily, *, begin: float, end: float, key: str) -> Iterator[tuple[float, int]]:
    """Give the moments at which a daily wave changes its count, and the counts; the first at ``begin``.

    ``key`` names whose wave it is, and under which seed, for the noise.
    """
    last, at, step = None, begin, daily.every.total_seconds()
    while at < end:
        count = _height(daily, to_datetime(at), noise(key, round(at)))
        if count != last:
            yield at, count
        last, at = count, at + step


def _height(daily: Daily, moment: datetime, draw: float) -> int:
    hour, minute = map(int, daily.peak.split(":"))
    away = (moment.hour + moment.minute / 60) - (hour + minute / 60)
    share = 0.5 + 0.5 * math.cos(2 * math.pi * away / _HOURS)
    if moment.weekday() >= _WEEKDAYS.index("sat"):
        share *= daily.weekend / 100
    count = daily.low + (daily.high - daily.low) * share
    return max(0, round(count * (1 + (2 * draw - 1) * daily.noise / 100)))


def arrivals(shape: Arrivals, *, begin: float, end: float, key: str) -> Iterator[float]:
    """Give the moment of every job that arrives, in order."""
    for time in _times(shape, begin, end):
        spread = shape.spread.total_seconds() if shape.spread is not None else 0.0
        found = sorted(time + spread * noise(key, round(time), number) for number in range(shape.jobs))
        yield from (round(at, 1) for at in found if at < end)


def _times(shape: Arrivals, begin: float, end: float) -> Iterator[float]:
    if shape.every is not None:
        step = shape.every.total_seconds()
        candidates: Iterator[float] = iter(begin + n * step for n in range(math.ceil((end - begin) / step)))
    else:
        candidates = _daily(shape, begin, end)
    yield from (at for at in candidates if not shape.weekdays or _weekday(at) in shape.weekdays)


def _daily(shape: Arrivals, begin: float, end: float) -> Iterator[float]:
    day = datetime(EPOCH.year, EPOCH.month, EPOCH.day, tzinfo=EPOCH.tzinfo)
    while Calendar().to_seconds(day) < end:
        for text in sorted(shape.at):
            hour, minute = map(int, text.split(":"))
            at = Calendar().to_seconds(day + timedelta(hours=hour, minutes=minute))
            if begin <= at < end:
                yield at
        day += timedelta(days=1)


def _weekday(at: float) -> str:
    return _WEEKDAYS[to_datetime(at).weekday()]
