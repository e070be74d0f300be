"""One small durable record of the store, as it passes between the journal and whoever keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Text items, and the index that the next writer must name (compare-and-set)."""

    items: Mapping[str, str]
    index: int
