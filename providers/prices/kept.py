"""An answer that changes slowly: asked for now and then, and kept through failures for a while."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from schemas.faults import Source, UnansweredError

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Aged(Generic[T]):
    """A value, and when it was true."""

    value: T
    at: datetime


class Kept(Generic[T]):
    """Keeps the last answer to one question."""

    def __init__(
        self,
        now: Callable[[], datetime],
        *,
        asked_every: timedelta,
        kept_for: timedelta,
        retried_every: timedelta | None = None,
    ) -> None:
        """Keep answers for so long. ``retried_every``: after a failure; without, as often as after an answer.

        While nothing was ever heard, each call asks, unless ``retried_every`` says otherwise.
        """
        self._now, self._every, self._kept_for = now, asked_every, kept_for
        self._retried_every = retried_every
        self.last: Aged[T] | None = None
        self._tried_at: datetime | None = None
        self._fault: UnansweredError | None = None

    @property
    def failed(self) -> str:
        """What was heard at the last attempt, when that was no answer."""
        return self._fault.message if self._fault else ""

    async def get(self, ask: Callable[[], Awaitable[T]]) -> Aged[T]:
        """Give the last answer, asking anew when it is due; after a failure, one that is not too old, until next due.

        Raises UnansweredError when there is none that can still be used.
        """
        now = self._now()
        if self._due(now):
            self._tried_at = now
            try:
                self.last, self._fault = Aged(value=await ask(), at=now), None
            except UnansweredError as fault:
                self._fault = fault
        if self.last is not None and (self._fault is None or now - self.last.at <= self._kept_for):
            return self.last
        raise self._fault or UnansweredError(Source.EC2, "an answer", "it is still being asked for")

    def _due(self, now: datetime) -> bool:
        if self._tried_at is None:
            return True
        if self._fault is not None and self._retried_every is not None:
            return now - self._tried_at >= self._retried_every
        return self.last is None or now - self._tried_at >= self._every
