"""When a cron expression is due next; five fields, UTC (source: Nomad's periodic block)."""

from __future__ import annotations

import datetime as dt

_NAMED = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_BOUNDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_NUMBERS = {
    **{name: i + 1 for i, name in enumerate(_NAMES)},
    **{name: i for i, name in enumerate(("sun", "mon", "tue", "wed", "thu", "fri", "sat"))},
}
_YEARS = 4


def next_launch(expression: str, after_unix: float) -> float | None:
    """Give the next time after ``after_unix`` (seconds since 1970); None when it never comes or is no cron."""
    try:
        minutes, hours, days, months, weekdays = _parse(expression)
    except ValueError:
        return None
    fields = _NAMED.get(expression.strip(), expression).split()
    either = fields[2] != "*" and fields[4] != "*"
    day = dt.datetime.fromtimestamp(int(after_unix), dt.UTC)
    moment = day.replace(second=0) + dt.timedelta(minutes=1)
    for _ in range(_YEARS * 366):
        in_month, in_week = moment.day in days, (moment.isoweekday() % 7) in weekdays
        if moment.month in months and (in_month or in_week if either else in_month and in_week):
            for hour in sorted(h for h in hours if h >= moment.hour):
                low = moment.minute if hour == moment.hour else 0
                minute = min((m for m in minutes if m >= low), default=None)
                if minute is not None:
                    return moment.replace(hour=hour, minute=minute).timestamp()
        moment = moment.replace(hour=0, minute=0) + dt.timedelta(days=1)
    return None


def valid(expression: str) -> bool:
    """Whether it is one (longer ones, with seconds or years, are taken on trust)."""
    fields = _NAMED.get(expression.strip(), expression).split()
    if len(fields) in (len(_BOUNDS) + 1, len(_BOUNDS) + 2):
        return True
    try:
        _parse(expression)
    except ValueError:
        return False
    return True


def _parse(expression: str) -> list[set[int]]:
    fields = _NAMED.get(expression.strip(), expression).split()
    if len(fields) != len(_BOUNDS):
        raise ValueError(f"not five fields: {expression!r}")
    sets = [_field(text, low, high) for text, (low, high) in zip(fields, _BOUNDS, strict=True)]
    if 7 in sets[4]:
        sets[4].add(0)
    return sets


def _field(text: str, low: int, high: int) -> set[int]:
    values: set[int] = set()
    for part in text.split(","):
        span, _, step = part.partition("/")
        if span in ("*", "?"):
            first, last = low, high
        else:
            start, dash, end = span.partition("-")
            first = _number(start)
            last = _number(end) if dash else (high if step else first)
        if not low <= first <= last <= high:
            raise ValueError(f"out of range: {part!r}")
        values.update(range(first, last + 1, int(step or 1)))
    return values


def _number(text: str) -> int:
    return int(text) if text.isdigit() else _NUMBERS.get(text.lower(), -1)
