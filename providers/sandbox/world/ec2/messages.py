"""The interruption queue: EventBridge events as SQS delivers them, at least once, in no order (aws.md §4.2, §4.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from providers.sandbox.world.ec2.state import Instance, Json, Message

if TYPE_CHECKING:
    from providers.sandbox.world.ec2.context import Cloud

_ACCOUNT = "123456789012"
_RETENTION = 300.0


def announce_state(cloud: Cloud, instance: Instance) -> None:
    """Tell that a machine changed its state."""
    arn = f"arn:aws:ec2:{cloud.state.region}:{_ACCOUNT}:instance/{instance.id}"
    _send(cloud, "EC2 Instance State-change Notification", arn, {"instance-id": instance.id, "state": instance.state})


def announce_rebalance(cloud: Cloud, instance: Instance) -> None:
    """Tell that a machine is at elevated risk."""
    _send(cloud, "EC2 Instance Rebalance Recommendation", _spot_arn(instance), {"instance-id": instance.id})


def announce_interruption(cloud: Cloud, instance: Instance) -> None:
    """Tell that a machine will be taken in two minutes."""
    detail = {"instance-id": instance.id, "instance-action": "terminate"}
    _send(cloud, "EC2 Spot Instance Interruption Warning", _spot_arn(instance), detail)


def announce_scheduled(cloud: Cloud, instance: Instance, code: str, due: float, about: str) -> None:
    """Tell what AWS will do to a machine on a date; Health's times are of another kind."""
    kind = f"AWS_EC2_{code.replace('-', '_').upper()}_SCHEDULED"
    rfc1123 = cloud.kernel.calendar.to_datetime(due).strftime("%a, %d %b %Y %H:%M:%S GMT")
    detail: Json = {
        "eventArn": f"arn:aws:health:{cloud.state.region}::event/EC2/{kind}/{instance.id}",
        "service": "EC2",
        "eventTypeCode": kind,
        "eventTypeCategory": "scheduledChange",
        "startTime": rfc1123,
        "endTime": rfc1123,
        "eventDescription": [{"language": "en_US", "latestDescription": about}],
        "affectedEntities": [{"entityValue": instance.id, "tags": {}}],
    }
    _send(cloud, "AWS Health Event", instance.id, detail, source="aws.health")


def receive(cloud: Cloud, *, count_max: int = 10, hidden_seconds: float = 20.0) -> list[Message]:
    """Take up to ``count_max`` messages; each comes again after ``hidden_seconds`` unless it is deleted."""
    now = cloud.kernel.now
    found = [m for m in cloud.state.messages if m.visible_at <= now and m.sent_at > now - _RETENTION]
    if cloud.state.queue.disorder:
        cloud.kernel.chance().shuffle(found)
    found = found[:count_max]
    for message in found:
        message.visible_at, message.receives = now + hidden_seconds, message.receives + 1
    return found


def delete(cloud: Cloud, message_id: str) -> None:
    """Take a message out of the queue; one that is gone is deleted."""
    cloud.state.messages = [m for m in cloud.state.messages if m.id != message_id]


def _spot_arn(instance: Instance) -> str:
    # EC2 writes the zone in the region's place, and no account
    return f"arn:aws:ec2:{instance.zone}:instance/{instance.id}"


def _send(cloud: Cloud, kind: str, arn: str, detail: Json, *, source: str = "aws.ec2") -> None:
    """Put an event into the queue, by its rules: some twice under one event id, some late."""
    now, rules = cloud.kernel.now, cloud.state.queue
    cloud.state.messages = [m for m in cloud.state.messages if m.sent_at > now - _RETENTION]
    event_id = cloud.kernel.new_id()
    body: Json = {
        "version": "0",
        "id": event_id,
        "detail-type": kind,
        "source": source,
        "account": _ACCOUNT,
        "time": cloud.kernel.calendar.to_datetime(now).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": cloud.state.region,
        "resources": [arn],
        "detail": detail,
    }
    twice = rules.duplicates > 0 and cloud.kernel.chance().random() < rules.duplicates
    for _ in range(1 + twice):
        late = cloud.kernel.chance().uniform(0, rules.delay_max) if rules.delay_max > 0 else 0.0
        message_id = cloud.kernel.new_id() if twice else event_id
        cloud.state.messages.append(Message(id=message_id, sent_at=now, body=body, visible_at=now + late))
