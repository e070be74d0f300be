"""A clock that tests hold in their hand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta


class _Over(Exception):  # noqa: N818 - the play is over, nothing went wrong
    pass


class StoppedClock:
    """Time passes only by sleeping; after ``ends_after`` sleeps it leaves ``ending()``."""

    def __init__(self, at: datetime, *, ends_after: int) -> None:
        self._now, self._left = at, ends_after
        self.slept: list[float] = []

    def now(self) -> datetime:
        """Give the time."""
        return self._now

    async def sleep(self, seconds: float) -> None:
        """Let the time pass at once."""
        self.slept.append(seconds)
        self._now += timedelta(seconds=seconds)
        self._left -= 1
        if not self._left:
            raise _Over

    @contextmanager
    def ending(self) -> Iterator[None]:
        """Leave here when the last sleep is over."""
        with suppress(_Over):
            yield
