"""What a message in the interruption queue says: pure. Five kinds are known; anything else is named and dropped.

Source of the shapes: facts aws §4.2. Instance ids are read from ``detail``: the ARN of a spot notice has the zone in
the place of the region and no account.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from itertools import takewhile
from typing import Any, Final

import msgspec

from schemas.events import Event, Kind

Ours = Callable[[str], bool | None]
"""Whether an instance is one of ours; None: nobody can tell yet."""

LATE: Final = timedelta(minutes=5)
"""A warning older than this warns of what has happened."""
REMEMBERED: Final = timedelta(hours=1)
"""So long an event that comes again is known by its id."""


class Drop(StrEnum):
    """Why a message is of no use; a label of the metric that counts it."""

    MALFORMED = "malformed"
    UNKNOWN = "unknown"  # well-formed, and of no kind that is known here
    DUPLICATE = "duplicate"
    LATE = "late"
    FOREIGN = "foreign"  # about machines of nobody we know
    UNDECIDED = "undecided"  # about a machine that may be that of a group which has not looked yet: it comes again


class MalformedError(Exception):
    """No message of EventBridge; the text says what is wrong with it."""


_KINDS: Final = {
    ("aws.ec2", "EC2 Spot Instance Interruption Warning"): Kind.NOTICE,
    ("aws.ec2", "EC2 Capacity Reservation Instance Interruption Warning"): Kind.RESERVATION,
    ("aws.ec2", "EC2 Instance Rebalance Recommendation"): Kind.REBALANCE,
    ("aws.ec2", "EC2 Instance State-change Notification"): Kind.STATE,
    ("aws.health", "AWS Health Event"): Kind.SCHEDULED,
}


def parse(body: str) -> Event | None:
    """Read a message; None when it is of no kind that is known here. Raises MalformedError."""
    try:
        message = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedError(f"no JSON: {error}") from error
    if not isinstance(message, dict):
        raise MalformedError("no JSON object")
    kind = _KINDS.get((_text(message, "source"), _text(message, "detail-type")))
    if kind is None:
        return None
    detail = message.get("detail")
    if not isinstance(detail, dict):
        raise MalformedError("no detail")
    event_id, at = _text(message, "id"), _time(_text(message, "time"))
    if not event_id:
        raise MalformedError("an empty id")
    if kind is Kind.SCHEDULED:
        return _scheduled(event_id, at, detail)
    instance = _instance_id(detail.get("instance-id"))
    state = _text(detail, "state") if kind is Kind.STATE else ""
    return Event(id=event_id, kind=kind, at=at, instance_ids=(instance,), state=state)


def _scheduled(event_id: str, at: datetime, detail: Mapping[str, Any]) -> Event | None:
    """Read a Health event: those about EC2 that have a date, each with any number of machines."""
    if detail.get("service") != "EC2" or detail.get("eventTypeCategory") != "scheduledChange":
        return None
    entities = detail.get("affectedEntities")
    if not isinstance(entities, list) or not all(isinstance(e, dict) for e in entities):
        raise MalformedError("no affectedEntities")
    instances = tuple(_instance_id(e.get("entityValue")) for e in entities)
    if not instances:
        raise MalformedError("no affected entity")
    start = detail.get("startTime")
    due = _rfc1123(start) if isinstance(start, str) else None
    return Event(id=event_id, kind=Kind.SCHEDULED, at=at, instance_ids=instances, due=due)


def _text(message: Mapping[str, Any], key: str) -> str:
    value = message.get(key)
    if not isinstance(value, str):
        raise MalformedError(f"no {key}")
    return value


def _instance_id(value: object) -> str:
    if not isinstance(value, str) or not value.startswith("i-"):
        raise MalformedError("no instance id")
    return value


def _time(value: str) -> datetime:
    try:
        at = datetime.fromisoformat(value)
    except ValueError as error:
        raise MalformedError(f"time {value[:40]!r} is no time") from error
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _rfc1123(value: str) -> datetime:
    try:
        at = parsedate_to_datetime(value)
    except ValueError as error:
        raise MalformedError(f"startTime {value[:40]!r} is no time") from error
    return at if at.tzinfo else at.replace(tzinfo=UTC)


class Sieve:
    """Keeps what is worth a look: known, new, in time, and about a machine of ours."""

    def __init__(self) -> None:
        self._seen: dict[str, datetime] = {}

    def sift(self, bodies: Iterable[str], now: datetime, ours: Ours) -> list[Event | Drop]:
        """Judge each message in turn; ``ours`` asks every group for an instance id.

        An event that was only sifted is not remembered: it comes again until ``keep`` says that it was dealt with.
        """
        for event_id in [e for e, _ in takewhile(lambda kept: now - kept[1] >= REMEMBERED, self._seen.items())]:
            del self._seen[event_id]  # they stand in the order in which they were kept
        found: list[Event | Drop] = []
        ids: set[str] = set()
        for body in bodies:
            judged = self._judge(body, now, ours)
            if isinstance(judged, Event) and judged.id in ids:
                judged = Drop.DUPLICATE
            elif isinstance(judged, Event):
                ids.add(judged.id)
            found.append(judged)
        return found

    def keep(self, event: Event, now: datetime) -> None:
        """Remember an event: what it asks for is written down, and its repetition is a duplicate."""
        self._seen.pop(event.id, None)
        self._seen[event.id] = now

    def _judge(self, body: str, now: datetime, ours: Ours) -> Event | Drop:
        try:
            event = parse(body)
        except MalformedError:
            return Drop.MALFORMED
        if event is None:
            return Drop.UNKNOWN
        if event.id in self._seen:
            return Drop.DUPLICATE
        if event.kind is not Kind.SCHEDULED and now - event.at > LATE:
            return Drop.LATE
        whose = {instance: ours(instance) for instance in event.instance_ids}
        if None in whose.values():
            return Drop.UNDECIDED
        mine = tuple(instance for instance, our in whose.items() if our)
        return replace(event, instance_ids=mine) if mine else Drop.FOREIGN
