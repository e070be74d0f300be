"""What AWS will do to a machine on a date: announced days or hours before, then done (source: aws.md §4.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from providers.sandbox.world.ec2.lifecycle import stop_for_maintenance
from providers.sandbox.world.ec2.messages import announce_scheduled
from providers.sandbox.world.ec2.state import RUNNING

if TYPE_CHECKING:
    from providers.sandbox.world.ec2.context import Cloud

RETIREMENT, REBOOT = "instance-retirement", "system-reboot"
_ABOUT = {
    RETIREMENT: "The instance is running on degraded hardware",
    REBOOT: "The host of the instance is to be restarted",
}


def register(cloud: Cloud) -> None:
    """Let dates come."""
    cloud.kernel.on("ec2.scheduled", lambda instance_id, code: _due(cloud, instance_id, code))


def schedule(cloud: Cloud, instance_id: str, code: str, *, after: float) -> None:
    """Announce that a machine will be stopped (``RETIREMENT``) or restarted (``REBOOT``) so many seconds from now."""
    instance, due = cloud.state.instances[instance_id], cloud.kernel.now + after
    instance.scheduled.append(
        {
            "InstanceEventId": f"instance-event-{cloud.kernel.new_id().replace('-', '')[:17]}",
            "Code": code,
            "Description": _ABOUT[code],
            "NotBefore": cloud.kernel.calendar.to_datetime(due).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
    )
    announce_scheduled(cloud, instance, code, due, _ABOUT[code])
    cloud.kernel.after(after, "ec2.scheduled", instance_id, code)


def _due(cloud: Cloud, instance_id: str, code: str) -> None:
    instance = cloud.state.instances.get(instance_id)
    if instance is None or instance.state != RUNNING:
        return
    for event in instance.scheduled:
        if event["Code"] == code and not event["Description"].startswith("[Completed]"):
            event["Description"] = f"[Completed] {event['Description']}"
    if code == RETIREMENT:
        stop_for_maintenance(cloud, instance_id)
    else:
        cloud.machines.rebooted(instance_id)
