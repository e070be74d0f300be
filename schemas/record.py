"""One small durable record of the store, as it passes between the journal and whoever keeps it, and a lock on one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

TTL: Final = 15.0
DELAY: Final = 15.0
EXPIRY: Final = 2 * TTL + DELAY
"""Seconds: how long a holder trusts its lock, and how long a dead one keeps others waiting (facts nomad §1.9)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Text items, and the index that the next writer must name (compare-and-set)."""

    items: Mapping[str, str]
    index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A lock that we took and last kept at ``sent``, in seconds of the loop's clock, which never jumps.

    The store's clock is not ours: it frees a lock later than the holder stops. What lies between is for calls that are
    still under way.
    """

    path: str
    id: str
    sent: float

    @property
    def until(self) -> float:
        """From here on nothing new is begun on it."""
        return self.sent + TTL

    @property
    def free_at(self) -> float:
        """Before this moment nobody else can have it."""
        return self.sent + EXPIRY
