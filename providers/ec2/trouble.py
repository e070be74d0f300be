"""What EC2 says against running machines: three lists of statuses, and the spot requests that it has closed.

Only what is wrong is asked for, and ours picked: naming machines would make one that is gone spoil the answer, and
filters are ANDed, so that each thing that can be wrong is a question of its own (source: facts aws §3.3, §4.2).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from providers.aws.clients import Clients
from providers.ec2.answers import part
from schemas.trouble import ScheduledEvent, Trouble

Row = Mapping[str, Any]

_PAGE: Final = 1000
_CHECKS: Final = ("instance-status.status", "system-status.status")
_CODES: Final = ("instance-reboot", "system-reboot", "system-maintenance", "instance-retirement", "instance-stop")
_TAKEN: Final = (
    "marked-for-termination",
    "marked-for-stop",
    "instance-terminated-by-price",
    "instance-terminated-no-capacity",
    "instance-terminated-capacity-oversubscribed",
    "instance-terminated-launch-group-constraint",
)
"""A spot request has one of these from the notice on, while its machine still runs its two minutes."""


def ask_impaired(clients: Clients) -> list[Row]:
    """List the statuses of machines of which a check fails (blocks)."""
    return [row for check in _CHECKS for row in _statuses(clients, check, ("impaired",))]


def ask_trouble(clients: Clients, now: Callable[[], datetime], *, spot: bool) -> Trouble:
    """Read everything that EC2 has against running machines of the account (blocks). Raises botocore's errors."""
    impaired = ask_impaired(clients)
    events = _statuses(clients, "event.code", _CODES)
    closed = _closed(clients) if spot else []
    return trouble_from(impaired, events, closed, now())


def _closed(clients: Clients) -> list[Row]:
    """List the spot requests whose machines EC2 takes back or took."""
    requests = clients.ec2().get_paginator("describe_spot_instance_requests")
    asked: list[Any] = [{"Name": "status-code", "Values": list(_TAKEN)}]
    pages = requests.paginate(Filters=asked, PaginationConfig={"PageSize": _PAGE})
    return [row for page in pages for row in part(page, "SpotInstanceRequests")]


def _statuses(clients: Clients, name: str, values: Iterable[str]) -> list[Row]:
    asked: list[Any] = [{"Name": name, "Values": list(values)}]
    pages = (
        clients.ec2()
        .get_paginator("describe_instance_status")
        .paginate(Filters=asked, PaginationConfig={"PageSize": _PAGE})
    )
    return [row for page in pages for row in part(page, "InstanceStatuses")]


def trouble_from(impaired: Iterable[Row], events: Iterable[Row], closed: Iterable[Row], at: datetime) -> Trouble:
    """Put the four answers together; an event that is over says so in its description alone."""
    ahead = {
        (row["InstanceId"], event.get("InstanceEventId", event["Code"])): ScheduledEvent(
            instance_id=row["InstanceId"],
            id=event.get("InstanceEventId", ""),
            code=event["Code"],
            due=event["NotBefore"],
            description=event.get("Description", ""),
        )
        for row in events
        for event in row.get("Events", ())
        if "NotBefore" in event and not event.get("Description", "").startswith(("[Completed]", "[Canceled]"))
    }
    found: dict[str, datetime | None] = {}
    for row in impaired:
        since = [at for at in (found.get(row["InstanceId"]), _since(row)) if at is not None]
        found[row["InstanceId"]] = min(since, default=None)
    return Trouble(
        impaired=found,
        events=tuple(sorted(ahead.values(), key=lambda event: (event.due, event.instance_id))),
        reclaimed={row["InstanceId"]: row["Status"]["Code"] for row in closed if row.get("InstanceId")},
        at=at,
    )


def _since(row: Row) -> datetime | None:
    """Tell since when a check fails: the earliest of both."""
    details = (d for check in ("InstanceStatus", "SystemStatus") for d in row.get(check, {}).get("Details", ()))
    return min((d["ImpairedSince"] for d in details if "ImpairedSince" in d), default=None)
