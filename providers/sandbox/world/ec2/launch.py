"""One machine from one pool: what RunInstances does, and each step of a fleet (source: aws.md §1, §1.2).

RunInstances tokens are zonal, as with EC2 when a subnet is named: the same token in another zone is another machine.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import msgspec

from providers.sandbox.world.ec2.capacity import refuse_if_short, subnet_of
from providers.sandbox.world.ec2.errors import Ec2Error
from providers.sandbox.world.ec2.interruption import expose_to_chance
from providers.sandbox.world.ec2.state import TERMINATED, Binding, Instance, Mishap, Subnet

if TYPE_CHECKING:
    from providers.sandbox.world.ec2.context import Cloud

_USER_DATA_MAX = 16_384  # bytes, decoded
_TAGS_MAX, _KEY_MAX, _VALUE_MAX = 50, 128, 256
_PENDING_SECONDS = (5.0, 15.0)
_ROLE_TAG = "nomad-reconciler:role"


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineOrder:
    """Everything that decides what one machine will be."""

    image: str
    instance_type: str
    subnet: str
    market: str = "on-demand"
    user_data: str = ""
    security_groups: tuple[str, ...] = ()
    instance_profile: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    shutdown_behavior: str = "stop"
    tags_in_metadata: bool = False
    protected: bool = False
    template: str = ""


def digest_of(request: object) -> str:
    """Name a request by its content, to tell whether a token is used again for the same."""
    return hashlib.sha256(msgspec.json.encode(request, order="sorted")).hexdigest()


def run_instance(cloud: Cloud, order: MachineOrder, *, token: str) -> Instance:
    """Launch one machine, or give the one that this token already launched.

    Raises:
        Ec2Error: with EC2's code; IdempotentParameterMismatch also when the token's first use launched nothing.

    """
    zone = check_order(cloud, order).zone
    key, digest = f"run/{zone}/{token}", digest_of(order)
    binding = cloud.state.bindings.setdefault(key, Binding(digest=digest)) if token else Binding(digest=digest)
    if binding.digest != digest:
        raise Ec2Error(
            "IdempotentParameterMismatch",
            f"Arguments on this idempotent request are inconsistent with arguments used in previous request(s) "
            f"with client token {token}.",
        )
    if binding.instances:
        return _replayed(cloud, binding, token)
    refuse_if_short(cloud, order.market, order.instance_type, cloud.state.subnets[order.subnet])
    made = make_instance(cloud, order, token=token)
    binding.instances.append(made.id)
    return made


def _replayed(cloud: Cloud, binding: Binding, token: str) -> Instance:
    found = cloud.state.instances.get(binding.instances[0])
    if found is None or found.state == TERMINATED:
        raise Ec2Error(
            "IdempotentInstanceTerminated",
            f"The client token {token} was used for the instance {binding.instances[0]}, which is terminated.",
        )
    return found


def check_order(cloud: Cloud, order: MachineOrder) -> Subnet:
    """Refuse what EC2 would find wrong with an order before it looks for a machine."""
    subnet = subnet_of(cloud, order.subnet)
    kind = cloud.type_of(order.instance_type)
    if (image := cloud.state.images.get(order.image)) is None:
        raise Ec2Error("InvalidAMIID.NotFound", f"The image id '[{order.image}]' does not exist")
    if image.arch != kind.arch:
        raise Ec2Error(
            "InvalidParameterValue",
            f"The architecture '{kind.arch}' of the specified instance type does not match the architecture "
            f"'{image.arch}' of the specified AMI.",
        )
    for group in order.security_groups:
        if group not in cloud.state.security_groups:
            raise Ec2Error("InvalidGroup.NotFound", f"The security group '{group}' does not exist")
    if len(order.user_data.encode()) > _USER_DATA_MAX:
        raise Ec2Error("InvalidUserData.Malformed", "User data is limited to 16384 bytes")
    _check_tags(order.tags)
    if order.tags_in_metadata and (bad := [key for key in order.tags if "/" in key or " " in key]):
        raise Ec2Error("InvalidParameterValue", f"'{bad[0]}' is not a valid tag key with instance tags in metadata")
    if not cloud.is_offered(kind.name, subnet.zone) or (order.market == "spot" and not kind.spot_supported):
        raise Ec2Error(
            "Unsupported",
            f"Your requested instance type ({kind.name}) is not supported in your requested Availability Zone "
            f"({subnet.zone}).",
        )
    return subnet


def _check_tags(tags: dict[str, str]) -> None:
    if len(tags) > _TAGS_MAX:
        raise Ec2Error(
            "TagLimitExceeded", f"You have reached the maximum number of tags on this resource ({len(tags)})"
        )
    for key, value in tags.items():
        if key.startswith("aws:"):
            raise Ec2Error(
                "InvalidParameterValue", f"Tag keys starting with 'aws:' are reserved for internal use: {key}"
            )
        if not key or len(key) > _KEY_MAX or len(value) > _VALUE_MAX:
            raise Ec2Error("InvalidParameterValue", f"Tag key or value is too long: {key[:40]}")


def make_instance(cloud: Cloud, order: MachineOrder, *, token: str = "", fleet: str = "") -> Instance:
    """Bring a machine into being: pending now, visible and running later."""
    subnet, kernel = cloud.state.subnets[order.subnet], cloud.kernel
    chance, lag = kernel.chance(), cloud.state.describe_lag_max
    visible_at = kernel.now + chance.uniform(0, lag)
    content = hashlib.sha256(order.user_data.encode()).hexdigest()[:16]
    cloud.state.user_data[content] = order.user_data
    made = Instance(
        id=f"i-{kernel.new_id().replace('-', '')[:17]}",
        type=order.instance_type,
        subnet=subnet.id,
        zone=subnet.zone,
        image=order.image,
        market=order.market,
        private_ip="",
        launched_at=kernel.now,
        visible_at=visible_at,
        tags_visible_at=max(visible_at, kernel.now + chance.uniform(0, lag)),
        client_token=token,
        tags=dict(order.tags),
        template=order.template,
        security_groups=list(order.security_groups),
        instance_profile=order.instance_profile,
        user_data=content,
        fleet=fleet,
        protected=order.protected,
        shutdown_behavior=order.shutdown_behavior,
        tags_in_metadata=order.tags_in_metadata,
    )
    made.private_ip = _take_address(subnet, made.id)
    if (mishap := _next_mishap(cloud, made)) is not None:
        made.mishap, made.mishap_figure, made.state_message = mishap.kind, mishap.figure, ""
        made.state_reason = mishap.code if mishap.kind == "fails-pending" else ""
    cloud.state.instances[made.id] = made
    kernel.after(chance.uniform(*_PENDING_SECONDS), "ec2.started", made.id)
    expose_to_chance(cloud, made)
    return made


def _take_address(subnet: Subnet, instance_id: str) -> str:
    for step in range(subnet.size):
        number = (subnet.cursor + step) % subnet.size
        address = f"{subnet.prefix}.{number // 250}.{number % 250 + 4}"
        if address not in subnet.taken:
            subnet.cursor = (number + 1) % subnet.size
            subnet.taken[address] = instance_id
            return address
    raise Ec2Error("InsufficientFreeAddressesInSubnet", f"No free address in subnet '{subnet.id}'")


def _next_mishap(cloud: Cloud, made: Instance) -> Mishap | None:
    for mishap in cloud.state.mishaps:
        place = fnmatchcase(made.type, mishap.types) and fnmatchcase(made.zone, mishap.zones)
        if mishap.times > 0 and place and fnmatchcase(made.tags.get(_ROLE_TAG, ""), mishap.role):
            mishap.times -= 1
            return mishap
    return None
