"""Warnings about machines, as EC2 gives them: they hurry the next look, and decide nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Kind(StrEnum):
    """What EC2 warns of."""

    NOTICE = "notice"  # the machine goes in two minutes
    RESERVATION = "reservation"  # the same, of a capacity reservation
    REBALANCE = "rebalance"  # its market is at risk
    STATE = "state"  # it is in another state now
    SCHEDULED = "scheduled"  # AWS will retire or restart it on a date


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A warning about machines, as EC2 gave it at ``at``."""

    id: str  # the same for the same event, however often it comes
    kind: Kind
    at: datetime
    instance_ids: tuple[str, ...]
    state: str = ""  # of STATE: the new one
    due: datetime | None = None  # of SCHEDULED: when it happens
