"""What a queue of messages is to whoever empties it; SQS and the sandbox's queue are such."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

AT_ONCE: Final = 10
HIDDEN: Final = 20
"""Seconds for which a message is nobody else's: long enough to write an intent down, not to drain a node."""
LONG_POLL: Final = 20
"""Seconds that a queue may hold a question back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A message, and the handle by which this receipt of it is deleted."""

    body: str
    handle: str


class Box(Protocol):
    """A queue that delivers at least once, in no order."""

    async def receive(self, *, wait: int = LONG_POLL) -> tuple[Received, ...]:
        """Take at most ``AT_ONCE`` messages, waiting so many seconds for one. Raises UnansweredError."""

    async def delete(self, messages: Sequence[Received]) -> None:
        """Delete messages; one that is gone is deleted. Raises UnansweredError when some were not deleted."""
