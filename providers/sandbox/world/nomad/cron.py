"""When a cron expression is due next, UTC (source: Nomad's periodic block; longer forms as asked of 2.0.5).

Five fields are minute, hour, day of month, month, day of week; a sixth behind them is the year, a seventh before them
the second. ``L`` is the last day of the month, ``mon#2`` the second Monday, ``5L`` the last Friday.
"""

from __future__ import annotations

import calendar
import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass

_NAMED = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_SECOND, _MINUTE, _HOUR, _DAY, _MONTH, _YEAR = (0, 59), (0, 59), (0, 23), (1, 31), (1, 12), (1970, 2099)
_WEEKDAY = (0, 7)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_NUMBERS = {**{name: i + 1 for i, name in enumerate(_MONTHS)}, **{name: i for i, name in enumerate(_WEEKDAYS)}}
_ANY = ("*", "?")
_YEARS = 8  # to look ahead: a 29 February is never further away

Matches = Callable[[dt.date], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cron:
    seconds: list[int]
    minutes: list[int]
    hours: list[int]
    months: set[int]
    years: set[int]
    day: Matches


def next_launch(expression: str, after_unix: float) -> float | None:
    """Give the next time after ``after_unix`` (seconds since 1970); None when it never comes or is no cron."""
    try:
        cron = _parse(expression)
    except ValueError:
        return None
    begin = dt.datetime.fromtimestamp(int(after_unix), dt.UTC) + dt.timedelta(seconds=1)
    day = begin.date()
    if day.year < min(cron.years, default=0):
        day = dt.date(min(cron.years), 1, 1)
    for _ in range(_YEARS * 366):
        if day.year in cron.years and day.month in cron.months and cron.day(day):
            earliest = begin.timetz() if day == begin.date() else dt.time(tzinfo=dt.UTC)
            if (moment := _on_the_day(cron, day, earliest)) is not None:
                return moment.timestamp()
        day += dt.timedelta(days=1)
    return None


def _on_the_day(cron: _Cron, day: dt.date, earliest: dt.time) -> dt.datetime | None:
    for hour in (h for h in cron.hours if h >= earliest.hour):
        for minute in (m for m in cron.minutes if (hour, m) >= (earliest.hour, earliest.minute)):
            for second in cron.seconds:
                moment = dt.time(hour, minute, second, tzinfo=dt.UTC)
                if moment >= earliest:
                    return dt.datetime.combine(day, moment)
    return None


def valid(expression: str) -> bool:
    """Whether it is one."""
    try:
        _parse(expression)
    except ValueError:
        return False
    return True


def _parse(expression: str) -> _Cron:
    fields = _NAMED.get(expression.strip(), expression).split()
    match len(fields):
        case 5:
            fields = ["0", *fields, "*"]
        case 6:
            fields = ["0", *fields]
        case 7:
            pass
        case _:
            raise ValueError(f"neither five, six nor seven fields: {expression!r}")
    second, minute, hour, day, month, weekday, year = fields
    return _Cron(
        seconds=sorted(_field(second, _SECOND)),
        minutes=sorted(_field(minute, _MINUTE)),
        hours=sorted(_field(hour, _HOUR)),
        months=_field(month, _MONTH),
        years=_field(year, _YEAR),
        day=_days(day, weekday),
    )


def _days(day: str, weekday: str) -> Matches:
    """Match days: by both fields where one says any, by either where both say something."""
    in_month, in_week = _in_month(day), _in_week(weekday)
    if day in _ANY or weekday in _ANY:
        return lambda date: in_month(date) and in_week(date)
    return lambda date: in_month(date) or in_week(date)


def _in_month(text: str) -> Matches:
    parts = text.split(",")
    days = _field(",".join(p for p in parts if p.upper() != "L") or "31-31", _DAY)
    last = any(part.upper() == "L" for part in parts)
    plain = days if not last or len(parts) > 1 else set[int]()
    return lambda date: date.day in plain or (last and date.day == _length(date))


def _in_week(text: str) -> Matches:
    """Match weekdays, the k-th or the last one of a month."""
    plain, kth, last = list[str](), set[tuple[int, int]](), set[int]()
    for part in text.split(","):
        name, hash_, number = part.partition("#")
        if hash_:
            kth.add((_one(name) % 7, _within(number, 1, 5)))
        elif part[-1:] in "lL" and part[:-1]:
            last.add(_one(part[:-1]) % 7)
        else:
            plain.append(part)
    days = {day % 7 for day in _field(",".join(plain), _WEEKDAY)} if plain else set[int]()

    def matches(date: dt.date) -> bool:
        day = date.isoweekday() % 7
        return day in days or (day, (date.day + 6) // 7) in kth or (day in last and date.day + 7 > _length(date))

    return matches


def _length(date: dt.date) -> int:
    return calendar.monthrange(date.year, date.month)[1]


def _field(text: str, bounds: tuple[int, int]) -> set[int]:
    values: set[int] = set()
    for part in text.split(","):
        span, slash, step = part.partition("/")
        if span in _ANY:
            first, last = bounds
        else:
            start, dash, end = span.partition("-")
            first = _number(start)
            last = _number(end) if dash else (bounds[1] if slash else first)
        if not bounds[0] <= first <= last <= bounds[1]:
            raise ValueError(f"out of range: {part!r}")
        values.update(range(first, last + 1, _within(step, 1, bounds[1]) if slash else 1))
    return values


def _one(text: str) -> int:
    return _within(str(_number(text)), *_WEEKDAY)


def _within(text: str, low: int, high: int) -> int:
    if not text.isdigit() or not low <= int(text) <= high:
        raise ValueError(f"out of range: {text!r}")
    return int(text)


def _number(text: str) -> int:
    return int(text) if text.isdigit() else _NUMBERS.get(text.lower(), -1)
