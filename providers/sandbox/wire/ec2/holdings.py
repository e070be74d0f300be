"""Elastic IPs, attributes and tags of instances, and what operators do to them by hand, by EC2's operations."""

from __future__ import annotations

import base64
from functools import partial

from providers.sandbox.wire.ec2.listing import Asked, Values, matches
from providers.sandbox.world.ec2.addresses import associate, elastic_ip, released
from providers.sandbox.world.ec2.context import Cloud
from providers.sandbox.world.ec2.errors import Ec2Error
from providers.sandbox.world.ec2.lifecycle import protect
from providers.sandbox.world.ec2.state import RUNNING, ElasticIp


def modify_attribute(cloud: Cloud, asked: Asked) -> Values:
    """Change what of an instance can be changed here: its termination protection."""
    if (protection := asked.get("DisableApiTermination")) is None:
        raise Ec2Error("InvalidParameterValue", "the simulated account changes disableApiTermination alone")
    protect(cloud, asked["InstanceId"], on=protection["Value"])
    return {}


def describe_attribute(cloud: Cloud, asked: Asked) -> Values:
    """Tell one attribute of an instance."""
    instance, name = cloud.instance(asked["InstanceId"]), asked["Attribute"]
    match name:
        case "disableApiTermination":
            told: Values = {"DisableApiTermination": {"Value": instance.protected}}
        case "userData":
            text = cloud.state.user_data.get(instance.user_data, "").encode()
            told = {"UserData": {"Value": base64.b64encode(text).decode()} if text else {}}
        case "instanceInitiatedShutdownBehavior":
            told = {"InstanceInitiatedShutdownBehavior": {"Value": instance.shutdown_behavior}}
        case _:
            raise Ec2Error("InvalidParameterValue", f"the simulated account does not tell the attribute {name}")
    return {"InstanceId": instance.id, **told}


def describe_addresses(cloud: Cloud, asked: Asked) -> Values:
    """List Elastic IPs."""
    ids = asked.get("AllocationIds")
    found = [elastic_ip(cloud, i) for i in ids] if ids else list(cloud.state.elastic_ips.values())
    wanted = [a for a in found if matches(asked, {}, partial(_of_address, a))]
    return {"Addresses": [_address(a) for a in wanted]}


def _of_address(address: ElasticIp, name: str) -> str:
    match name:
        case "allocation-id":
            return address.allocation
        case "association-id":
            return address.association
        case "instance-id":
            return address.instance
        case "public-ip":
            return address.public_ip
        case _:
            raise Ec2Error("InvalidParameterValue", f"The filter '{name}' is invalid")


def _address(address: ElasticIp) -> Values:
    return {
        "AllocationId": address.allocation,
        "PublicIp": address.public_ip,
        "Domain": "vpc",
        "InstanceId": address.instance or None,
        "AssociationId": address.association or None,
    }


def associate_address(cloud: Cloud, asked: Asked) -> Values:
    """Give an Elastic IP to an instance."""
    reassociate = asked.get("AllowReassociation", False)
    return {
        "AssociationId": associate(
            cloud, asked["AllocationId"], asked["InstanceId"], reassociate=reassociate
        ).association
    }


def disassociate_address(cloud: Cloud, asked: Asked) -> Values:
    """Take an Elastic IP from whoever has it."""
    found = next((a for a in cloud.state.elastic_ips.values() if a.association == asked["AssociationId"]), None)
    if found is None:
        raise Ec2Error("InvalidAssociationID.NotFound", f"The association ID '{asked['AssociationId']}' does not exist")
    released(cloud, found.instance)
    return {"Return": True}


# --- what operators do by hand


def create_tags(cloud: Cloud, asked: Asked) -> Values:
    """Tag instances and launch templates; the other things that one can tag are not simulated."""
    for resource in asked["Resources"]:
        _tags_of(cloud, resource).update({tag["Key"]: tag.get("Value", "") for tag in asked["Tags"]})
    return {}


def delete_tags(cloud: Cloud, asked: Asked) -> Values:
    """Take tags away: all of a resource, or those that are named, with a value only where it is theirs."""
    for resource in asked["Resources"]:
        tags = _tags_of(cloud, resource)
        for tag in asked.get("Tags") or [{"Key": key} for key in tags]:
            if tags.get(tag["Key"]) == tag.get("Value", tags.get(tag["Key"])):
                tags.pop(tag["Key"], None)
    return {}


def _tags_of(cloud: Cloud, resource: str) -> dict[str, str]:
    if resource.startswith("i-"):
        return cloud.instance(resource).tags
    found = next((t for t in cloud.state.templates.values() if t.id == resource), None)
    if found is None:
        raise Ec2Error("InvalidID", f"The ID '{resource}' is not valid")
    return found.tags


def console_output(cloud: Cloud, asked: Asked) -> Values:
    """Give what a machine said while it booted."""
    instance = cloud.instance(asked["InstanceId"])
    text = "".join(f"{line}\n" for line in instance.console).encode()
    at = cloud.kernel.calendar.to_datetime(cloud.kernel.now)
    return {"InstanceId": instance.id, "Output": base64.b64encode(text).decode(), "Timestamp": at}


def reboot(cloud: Cloud, asked: Asked) -> Values:
    """Restart machines: their disks stay."""
    for instance_id in asked["InstanceIds"]:
        if cloud.instance(instance_id).state == RUNNING:
            cloud.machines.rebooted(instance_id)
    return {}
