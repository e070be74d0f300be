"""An answer that changes slowly: asked for now and then, and kept through failures for a while."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from schemas.faults import UnansweredError

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Aged(Generic[T]):
    """A value, and when it was true."""

    value: T
    at: datetime


class Kept(Generic[T]):
    """Keeps the last answer to one question."""

    def __init__(self, now: Callable[[], datetime], *, asked_every: timedelta, kept_for: timedelta) -> None:
        self._now, self._every, self._kept_for = now, asked_every, kept_for
        self.last: Aged[T] | None = None
        self._tried_at: datetime | None = None

    async def get(self, ask: Callable[[], Awaitable[T]]) -> Aged[T]:
        """Give the last answer, asking anew when it is due; after a failure, one that is not too old, until next due.

        Raises UnansweredError when there is none that can still be used.
        """
        now = self._now()
        due = self._tried_at is None or now - self._tried_at >= self._every
        if self.last is not None and not due:
            return self.last
        try:
            self.last = Aged(value=await ask(), at=now)
        except UnansweredError:
            if self.last is None or now - self.last.at > self._kept_for:
                raise
        self._tried_at = now
        return self.last
