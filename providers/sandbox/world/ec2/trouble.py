"""What the account has against running machines, as EC2 lists it: checks, dates, spot requests (aws.md §3.3, §4.2)."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from providers.sandbox.world.ec2.describe import describe_status
from providers.sandbox.world.ec2.state import PENDING, RUNNING, SPOT, Instance, Json

if TYPE_CHECKING:
    from providers.sandbox.world.ec2.context import Cloud

_OVER = ("[Completed]", "[Canceled]")
FULFILLED, TAKEN, TAKEN_LATER = "fulfilled", "instance-terminated-no-capacity", "instance-terminated-by-user"


def request_status(instance: Instance) -> str:
    """Give the status of a spot machine's request: that EC2 takes it shows at once, two minutes before its end."""
    if instance.interruption_at is not None or instance.state_reason == "Server.SpotInstanceTermination":
        return TAKEN
    return FULFILLED if instance.state in {PENDING, RUNNING} else TAKEN_LATER


def spot_machines(cloud: Cloud) -> list[Instance]:
    """List the machines behind spot requests, as far as they are seen."""
    now = cloud.kernel.now
    return [i for i in cloud.state.instances.values() if i.market == SPOT and i.visible_at <= now]


def events_ahead(instance: Instance) -> list[Json]:
    """List what is still to come for a machine."""
    return [event for event in instance.scheduled if not event["Description"].startswith(_OVER)]


def running(cloud: Cloud) -> list[Instance]:
    """List the running machines that have a status, as DescribeInstanceStatus does."""
    return [i for i in describe_status(cloud) if i.running_at is not None]


def due(event: Json) -> datetime:
    """Read when an event happens."""
    return datetime.fromisoformat(event["NotBefore"])
