"""Elastic IPs: each with one instance or none, and free again when its instance is gone (source: aws.md §7)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from providers.sandbox.world.ec2.errors import Ec2Error
from providers.sandbox.world.ec2.state import PENDING, RUNNING, STOPPED, ElasticIp

if TYPE_CHECKING:
    from providers.sandbox.world.ec2.context import Cloud


def associate(cloud: Cloud, allocation: str, instance_id: str, *, reassociate: bool) -> ElasticIp:
    """Give an address to an instance, in the place of one that it has; to whom it has already changes nothing.

    Raises Ec2Error: Resource.AlreadyAssociated without ``reassociate``, IncorrectInstanceState for one that boots.
    """
    address, instance = elastic_ip(cloud, allocation), cloud.instance(instance_id)
    if address.instance == instance_id:
        return address
    if instance.state not in {RUNNING, STOPPED}:
        still = "pending " if instance.state == PENDING else ""
        raise Ec2Error(
            "IncorrectInstanceState", f"The {still}instance '{instance_id}' is not in a valid state for this operation."
        )
    if address.instance and not reassociate:
        raise Ec2Error(
            "Resource.AlreadyAssociated", f"resource {allocation} is already associated with {address.association}"
        )
    released(cloud, instance_id)
    address.instance, address.association = instance_id, f"eipassoc-{cloud.kernel.new_id().replace('-', '')[:17]}"
    return address


def elastic_ip(cloud: Cloud, allocation: str) -> ElasticIp:
    """Look an address up; InvalidAllocationID.NotFound when the account has none of that id."""
    if (found := cloud.state.elastic_ips.get(allocation)) is None:
        raise Ec2Error("InvalidAllocationID.NotFound", f"The allocation ID '{allocation}' does not exist")
    return found


def released(cloud: Cloud, instance_id: str) -> None:
    """Free whatever address an instance has."""
    for address in cloud.state.elastic_ips.values():
        if address.instance == instance_id:
            address.instance = address.association = ""
