"""How a machine lives and ends: pending, running, shutting-down, terminated, forgotten (source: aws.md §3.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from providers.sandbox.world.ec2.addresses import released
from providers.sandbox.world.ec2.errors import Ec2Error
from providers.sandbox.world.ec2.messages import announce_state
from providers.sandbox.world.ec2.state import (
    LIVE,
    PENDING,
    RUNNING,
    SHUTTING_DOWN,
    SPOT,
    STOPPED,
    STOPPING,
    TERMINATED,
    Instance,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from providers.sandbox.world.ec2.context import Cloud

_SHUTDOWN_SECONDS = (15.0, 45.0)
_CHECKED = (60.0, 120.0)  # until the status checks fail of a machine that hangs
_ADDRESS_KEPT = 300.0  # a terminated machine loses its address,
_TAGS_KEPT, _TAG_GOES = 900.0, (20.0, 180.0)  # then its tags, one after the other,
_SHOWN = 3600.0  # and is shown for about an hour


def register(cloud: Cloud) -> None:
    """Let the machines of this account live."""
    cloud.kernel.on("ec2.started", lambda instance_id: _started(cloud, instance_id))
    cloud.kernel.on("ec2.ended", lambda instance_id: _ended(cloud, instance_id))
    cloud.kernel.on("ec2.unaddressed", lambda instance_id: _unaddressed(cloud, instance_id))
    cloud.kernel.on("ec2.untagged", lambda instance_id: _untagged(cloud, instance_id))
    cloud.kernel.on("ec2.impaired", lambda instance_id, host: _impaired(cloud, instance_id, host=host))
    cloud.kernel.on("ec2.forgotten", lambda instance_id: _forgotten(cloud, instance_id))


def terminate(cloud: Cloud, instance_ids: Sequence[str]) -> list[Instance]:
    """End machines; ending one that ends already changes nothing.

    One id that is not (yet) known spoils the whole call; one protected machine spoils all of its zone, after the
    machines of other zones were ended (OperationNotPermitted).
    """
    asked = [cloud.instance(instance_id) for instance_id in instance_ids]
    spoiled = {i.zone: i.id for i in asked if i.protected and i.state in LIVE}
    for instance in asked:
        if instance.zone not in spoiled:
            shut_down(
                cloud, instance, "Client.UserInitiatedShutdown", "Client.UserInitiatedShutdown: User initiated shutdown"
            )
    if spoiled:
        raise Ec2Error(
            "OperationNotPermitted",
            f"The instance '{next(iter(spoiled.values()))}' may not be terminated. Modify its 'disableApiTermination' "
            "instance attribute and try again.",
        )
    return asked


def protect(cloud: Cloud, instance_id: str, *, on: bool) -> None:
    """Set or lift termination protection; of spot machines it cannot be set (UnsupportedOperation)."""
    instance = cloud.instance(instance_id)
    if instance.state in {SHUTTING_DOWN, TERMINATED}:
        raise Ec2Error("IncorrectInstanceState", f"The instance '{instance_id}' is not in a valid state: it ends.")
    if on and instance.market == SPOT:
        raise Ec2Error("UnsupportedOperation", "Termination protection is not supported for Spot Instances.")
    instance.protected = on


def shut_down(cloud: Cloud, instance: Instance, reason: str, message: str) -> None:
    """Ask the system to shut down; the machine is gone some tens of seconds later."""
    if instance.state not in LIVE:
        return
    was_running = instance.state in {RUNNING, STOPPING}
    instance.state, instance.state_reason, instance.state_message = SHUTTING_DOWN, reason, message
    announce_state(cloud, instance)
    if was_running:
        cloud.machines.shutting_down(instance.id)
    delay = cloud.kernel.chance().uniform(*_SHUTDOWN_SECONDS) if was_running else 1.0
    cloud.kernel.after(delay, "ec2.ended", instance.id)


def system_shut_down(cloud: Cloud, instance_id: str) -> None:
    """Let the system on the machine shut itself down: terminate or stop, by InstanceInitiatedShutdownBehavior."""
    instance = cloud.state.instances[instance_id]
    if instance.shutdown_behavior == "terminate":
        shut_down(
            cloud,
            instance,
            "Client.InstanceInitiatedShutdown",
            "Client.InstanceInitiatedShutdown: Instance initiated shutdown",
        )
        return
    if instance.state == RUNNING:
        _stop(cloud, instance, "Client.InstanceInitiatedShutdown")


def stop_for_maintenance(cloud: Cloud, instance_id: str) -> None:
    """Let AWS stop a machine on the date of its retirement (``Server.ScheduledStop``)."""
    instance = cloud.state.instances[instance_id]
    if instance.state == RUNNING:
        _stop(cloud, instance, "Server.ScheduledStop")


def crash(cloud: Cloud, instance_id: str, *, host: bool = False) -> None:
    """Let the machine hang: nothing runs on it, EC2 still calls it running; a minute or two later its check fails.

    With ``host`` what it stands on is broken, and the system check fails too.
    """
    cloud.machines.powered_off(instance_id)
    hang(cloud, cloud.state.instances[instance_id], host=host)


def hang(cloud: Cloud, instance: Instance, *, host: bool = False) -> None:
    """Let the status checks find, a minute or two later, that a machine does nothing."""
    instance.hung = True
    cloud.kernel.after(cloud.kernel.chance().uniform(*_CHECKED), "ec2.impaired", instance.id, host)


def _stop(cloud: Cloud, instance: Instance, reason: str) -> None:
    instance.state, instance.state_reason = STOPPING, reason
    announce_state(cloud, instance)
    cloud.machines.shutting_down(instance.id)
    cloud.kernel.after(cloud.kernel.chance().uniform(*_SHUTDOWN_SECONDS), "ec2.ended", instance.id)


def _impaired(cloud: Cloud, instance_id: str, *, host: bool) -> None:
    instance = cloud.state.instances.get(instance_id)
    if instance is not None and instance.hung and instance.state == RUNNING:
        instance.impaired, instance.impaired_at = True, cloud.kernel.now
        instance.host_impaired = host


def _started(cloud: Cloud, instance_id: str) -> None:
    instance = cloud.state.instances[instance_id]
    if instance.state != PENDING:
        return
    if instance.mishap == "fails-pending":
        instance.state_message = f"{instance.state_reason}: launch failed"
        _end(cloud, instance)
        return
    instance.state, instance.running_at = RUNNING, cloud.kernel.now
    announce_state(cloud, instance)
    cloud.machines.powered_on(instance_id)


def _ended(cloud: Cloud, instance_id: str) -> None:
    instance = cloud.state.instances[instance_id]
    if instance.state == STOPPING:
        instance.state = STOPPED
        cloud.machines.powered_off(instance_id)
        announce_state(cloud, instance)
    elif instance.state == SHUTTING_DOWN:
        cloud.machines.powered_off(instance_id)
        _end(cloud, instance)


def _end(cloud: Cloud, instance: Instance) -> None:
    instance.state, instance.ended_at = TERMINATED, cloud.kernel.now
    cloud.state.subnets[instance.subnet].taken.pop(instance.private_ip, None)
    released(cloud, instance.id)
    announce_state(cloud, instance)
    cloud.kernel.after(_ADDRESS_KEPT, "ec2.unaddressed", instance.id)
    cloud.kernel.after(_TAGS_KEPT, "ec2.untagged", instance.id)
    cloud.kernel.after(_SHOWN, "ec2.forgotten", instance.id)


def _unaddressed(cloud: Cloud, instance_id: str) -> None:
    cloud.state.instances[instance_id].private_ip = ""


def _untagged(cloud: Cloud, instance_id: str) -> None:
    """Let one tag go, whichever, and the next one later."""
    instance = cloud.state.instances.get(instance_id)
    if instance is not None and instance.tags:
        del instance.tags[cloud.kernel.chance().choice(sorted(instance.tags))]
        cloud.kernel.after(cloud.kernel.chance().uniform(*_TAG_GOES), "ec2.untagged", instance_id)


def _forgotten(cloud: Cloud, instance_id: str) -> None:
    gone = cloud.state.instances.pop(instance_id)
    if all(i.user_data != gone.user_data for i in cloud.state.instances.values()):
        cloud.state.user_data.pop(gone.user_data, None)
