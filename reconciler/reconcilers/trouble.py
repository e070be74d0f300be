"""Says what EC2 has against machines of ours that run; what is done about it is the business of their health."""

from __future__ import annotations

from collections.abc import Iterator

from schemas.document import ClusterGroup
from schemas.plan import Hold, Plan, Reason
from schemas.world import Snapshot


def plan_trouble(snapshot: Snapshot, _: ClusterGroup) -> Plan:
    """Name machines that EC2 takes back, that AWS will stop or restart, and whose checks fail."""
    return Plan(holds=tuple(_holds(snapshot)))


def _holds(snapshot: Snapshot) -> Iterator[Hold]:
    trouble = snapshot.trouble
    for instance, status in sorted(trouble.reclaimed.items()):
        message = f"EC2 takes {instance} back ({status}): it ends two minutes after its notice"
        yield _hold(instance, Reason.RECLAIMED, message)
    for event in trouble.events:
        does = "stop" if event.ends_machine else "restart or work on"
        when = f"{event.due:%Y-%m-%d %H:%M} UTC"
        message = (
            f"AWS will {does} {event.instance_id} on {when} ({event.code}): {event.description or 'no reason given'}"
        )
        yield _hold(event.instance_id, Reason.MAINTENANCE, message)
    for instance, since in sorted(trouble.impaired.items()):
        how_long = f" since {since:%Y-%m-%d %H:%M} UTC" if since else ""
        yield _hold(instance, Reason.IMPAIRED, f"{instance} fails EC2's status checks{how_long}")


def _hold(instance: str, reason: Reason, message: str) -> Hold:
    return Hold(subject=f"node/{instance}", reason=reason, message=message)
