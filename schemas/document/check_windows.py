"""Contradictions in the windows of a document: cron fields, beginnings and ends."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from schemas.document.partial import UnreadError, read_items
from schemas.document.problem import Finding, Path

if TYPE_CHECKING:
    from schemas.catalogue import Catalogue
    from schemas.document.group import ClusterGroup, Window

_CRON: Final = (
    ("minute", 0, 59, ""),
    ("hour", 0, 23, ""),
    ("day of month", 1, 31, ""),
    ("month", 1, 12, "jan feb mar apr may jun jul aug sep oct nov dec"),
    ("day of week", 0, 7, "sun mon tue wed thu fri sat"),
)


def check_windows(group: ClusterGroup, _: Catalogue) -> Iterator[Finding]:
    """Check each window by itself."""
    for i, window in read_items(group.spec.disruption.windows):
        with contextlib.suppress(UnreadError):
            yield from _window(window, ("spec", "disruption", "windows", i))


def _window(window: Window, at: Path) -> Iterator[Finding]:
    recurring = bool(window.cron or window.duration)
    once = bool(window.from_ or window.until)
    if recurring and once:
        yield Finding(at=at, message="both recurring and once", hint="write cron and duration, or from and until")
    elif recurring and not (window.cron and window.duration):
        lacking = "duration" if window.cron else "cron"
        yield Finding(at=at, message=f"recurs, but has no {lacking}", hint=f"add {lacking}:")
    elif not recurring and not (window.from_ and window.until):
        lacking = "from and until, or cron and duration" if not once else "until" if window.from_ else "from"
        yield Finding(at=at, message="never begins or never ends", hint=f"add {lacking}")
    elif window.from_ is not None and window.until is not None and window.until <= window.from_:
        what = f"is {window.until}, not after from, which is {window.from_}"
        yield Finding(at=(*at, "until"), message=what, hint="swap them")
    if not window.allow and not window.deny:
        yield Finding(at=at, message="allows and denies nothing", hint="add allow: [drift], or deny: [all]")
    if window.cron:
        for (name, low, high, words), text in zip(_CRON, window.cron.split(" "), strict=True):
            if not all(_cron_part(part, low, high, words.split()) for part in text.lower().split(",")):
                what = f'"{text}" is no {name}, {low} to {high}'
                yield Finding(at=(*at, "cron"), message=what, hint='such as "*", "5", "1-5", "*/2", "1,3"')


def _cron_part(part: str, low: int, high: int, words: list[str]) -> bool:
    match = re.fullmatch(r"(\*|([0-9]{1,2}|[a-z]{3})(-([0-9]{1,2}|[a-z]{3}))?)(/([1-9][0-9]?))?", part)
    if match is None:
        return False
    ends = [
        words.index(end) + low if end in words else int(end) if end.isdigit() else -1
        for end in match.group(2, 4)
        if end
    ]
    return all(low <= end <= high for end in ends) and ends == sorted(ends)
