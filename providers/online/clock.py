"""How far our clock and that of somebody who answered are apart."""

from __future__ import annotations

from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

from schemas.checks import Check, ok, problem

MOST: Final = timedelta(seconds=30)
"""AWS refuses requests that are 15 minutes off; certificates and cron windows suffer long before."""


def clock(at: str, date: str, now: datetime) -> Check | None:
    """Compare the ``Date`` of an answer, to the second, with our time; None when it has none."""
    try:
        theirs = parsedate_to_datetime(date)
    except ValueError:
        return None
    apart = now - theirs
    seconds = abs(apart.total_seconds())
    if abs(apart) <= MOST:
        return ok(at, "clock", f"{seconds:.0f} s apart")
    ahead = "ahead of" if apart > timedelta() else "behind"
    found = f"this machine's clock is {seconds:.0f} s {ahead} theirs"
    return problem(at, "clock", found, "set it by NTP (chrony, systemd-timesyncd)")
