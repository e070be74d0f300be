"""What is wrong with machines, by EC2's operations: status checks, dates, spot requests."""

from __future__ import annotations

from functools import partial

from providers.sandbox.wire.ec2.listing import Asked, Values, matches, page
from providers.sandbox.world.ec2.context import Cloud
from providers.sandbox.world.ec2.describe import checks_of
from providers.sandbox.world.ec2.errors import Ec2Error
from providers.sandbox.world.ec2.state import PENDING, RUNNING, Instance
from providers.sandbox.world.ec2.trouble import TAKEN, due, events_ahead, request_status, running, spot_machines


def describe_status(cloud: Cloud, asked: Asked) -> Values:
    """Show running machines with their checks and dates."""
    found = [i for i in running(cloud) if i.id in asked.get("InstanceIds", (i.id,))]
    wanted = [i for i in found if _wanted(cloud, asked, i)]
    shown, more = page(wanted, asked)
    return {"InstanceStatuses": [_status(cloud, i) for i in shown], **more}


def _wanted(cloud: Cloud, asked: Asked, instance: Instance) -> bool:
    """Apply filters; a machine matches on its events when any of them does."""
    codes = [event["Code"] for event in events_ahead(instance)]
    return any(matches(asked, {}, partial(_attribute, cloud, instance, code)) for code in codes or [""])


def _attribute(cloud: Cloud, instance: Instance, event: str, name: str) -> str:
    checks = checks_of(cloud, instance)
    match name:
        case "instance-status.status":
            return checks.instance
        case "system-status.status":
            return checks.system
        case "instance-state-name":
            return instance.state
        case "event.code":
            return event
        case _:
            raise Ec2Error("InvalidParameterValue", f"The filter '{name}' is invalid")


def _status(cloud: Cloud, instance: Instance) -> Values:
    checks = checks_of(cloud, instance)

    def told(status: str) -> Values:
        shown: Values = {"Status": status}
        if status == "impaired" and checks.impaired_at is not None:
            since = cloud.kernel.calendar.to_datetime(checks.impaired_at)
            shown["Details"] = [{"Name": "reachability", "Status": "failed", "ImpairedSince": since}]
        return shown

    return {
        "InstanceId": instance.id,
        "AvailabilityZone": instance.zone,
        "InstanceState": {"Code": 16, "Name": instance.state},
        "InstanceStatus": told(checks.instance),
        "SystemStatus": told(checks.system),
        "Events": [{**event, "NotBefore": due(event)} for event in instance.scheduled],
    }


def describe_requests(cloud: Cloud, asked: Asked) -> Values:
    """Show spot requests: one for each spot machine."""
    found = [(i, request_status(i)) for i in spot_machines(cloud)]
    wanted = [
        (i, status)
        for i, status in found
        if matches(asked, {}, {"status-code": status, "instance-id": i.id}.__getitem__)
    ]
    shown, more = page(wanted, asked)
    return {
        "SpotInstanceRequests": [
            {
                "SpotInstanceRequestId": f"sir-{i.id.removeprefix('i-')}",
                "InstanceId": i.id,
                "State": "closed" if status == TAKEN or i.state not in {PENDING, RUNNING} else "active",
                "Status": {"Code": status},
                "Type": "one-time",
            }
            for i, status in shown
        ],
        **more,
    }
