"""Whether EC2 has a machine to give: offerings, spare capacity, vCPU quotas, free addresses (source: aws.md §6)."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from providers.sandbox.world.ec2.errors import Ec2Error
from providers.sandbox.world.ec2.quotas import quota_class
from providers.sandbox.world.ec2.state import LIVE, SHUTTING_DOWN, SPOT, Instance, Subnet

if TYPE_CHECKING:
    from providers.sandbox.world.ec2.context import Cloud

_STILL_COUNTED = 120.0  # seconds for which a terminated machine still takes quota


def subnet_of(cloud: Cloud, subnet_id: str) -> Subnet:
    """Look a subnet up; InvalidSubnetID.NotFound when the account has none of that id."""
    if (found := cloud.state.subnets.get(subnet_id)) is None:
        raise Ec2Error("InvalidSubnetID.NotFound", f"The subnet ID '{subnet_id}' does not exist")
    return found


def refuse_if_short(cloud: Cloud, market: str, instance_type: str, subnet: Subnet) -> None:
    """Raise the error with which EC2 would refuse one more machine of this pool now, in EC2's order of checks."""
    if market == SPOT and not cloud.state.spot_role:
        raise Ec2Error(
            "AuthFailure.ServiceLinkedRoleCreationNotPermitted",
            "The provided credentials do not have permission to create the service-linked role for EC2 Spot Instances.",
            status=403,
        )
    if len(subnet.taken) >= subnet.size:
        raise Ec2Error(
            "InsufficientFreeAddressesInSubnet",
            f"There are not enough free addresses in subnet '{subnet.id}' to satisfy the requested number of "
            "instances.",
        )
    _refuse_over_quota(cloud, market, instance_type)
    limit = 0 if out(cloud, subnet.zone) else live_max(cloud, market, instance_type, subnet.zone)
    if limit is not None and _live_in_pool(cloud, market, instance_type, subnet.zone) >= limit:
        raise Ec2Error(
            "InsufficientInstanceCapacity",
            f"We currently do not have sufficient {instance_type} capacity in the Availability Zone you requested "
            f"({subnet.zone}).",
            status=500,
        )


def live_max(cloud: Cloud, market: str, instance_type: str, zone: str) -> int | None:
    """How many machines a pool can hold now; None when nothing limits it."""
    now, limit = cloud.kernel.now, None
    for rule in cloud.state.capacity:
        timely = rule.since <= now and (rule.until is None or now < rule.until)
        pool = fnmatchcase(market, rule.market) and fnmatchcase(instance_type, rule.types)
        if timely and pool and fnmatchcase(zone, rule.zones):
            limit = rule.live_max
    return limit


def out(cloud: Cloud, zone: str, *, silent: bool = False) -> bool:
    """Tell whether a zone has an outage now; ``silent``: one in which its machines cannot be listed either."""
    now = cloud.kernel.now
    return any(o.zone == zone and o.since <= now < o.until and (o.silent or not silent) for o in cloud.state.outages)


def _live_in_pool(cloud: Cloud, market: str, instance_type: str, zone: str) -> int:
    return sum(
        i.state in LIVE and i.market == market and i.type == instance_type and i.zone == zone
        for i in cloud.state.instances.values()
    )


def _refuse_over_quota(cloud: Cloud, market: str, instance_type: str) -> None:
    family = quota_class(instance_type)
    for quota in cloud.state.quotas:
        if quota.market != market or quota.family != family:
            continue
        used = sum(
            cloud.catalogue[i.type].vcpu
            for i in cloud.state.instances.values()
            if i.market == market and quota_class(i.type) == family and _counts(cloud, i)
        )
        wanted = cloud.type_of(instance_type).vcpu
        if used + wanted <= quota.vcpus_max:
            continue
        if market == SPOT:
            raise Ec2Error("MaxSpotInstanceCountExceeded", "Max spot instance count exceeded")
        raise Ec2Error(
            "VcpuLimitExceeded",
            f"You have requested more vCPU capacity than your current vCPU limit of {quota.vcpus_max} allows for the "
            "instance bucket that the specified instance type belongs to.",
        )


def _counts(cloud: Cloud, instance: Instance) -> bool:
    """Tell whether a machine counts against a quota: also some minutes after its end."""
    if instance.ended_at is not None:
        return cloud.kernel.now - instance.ended_at < _STILL_COUNTED
    return instance.state in LIVE or instance.state == SHUTTING_DOWN
