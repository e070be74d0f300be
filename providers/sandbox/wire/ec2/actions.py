"""EC2's operations on the simulated account: parameters in, answers out, both named as in botocore's model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from providers.sandbox.doors.ec2 import order_from
from providers.sandbox.wire.ec2.holdings import (
    associate_address,
    console_output,
    create_tags,
    delete_tags,
    describe_addresses,
    describe_attribute,
    disassociate_address,
    modify_attribute,
    reboot,
)
from providers.sandbox.wire.ec2.listing import Asked, Values, matches, page, tags_in
from providers.sandbox.wire.ec2.region import (
    describe_images,
    describe_offerings,
    describe_regions,
    describe_security_groups,
    describe_spot_prices,
    describe_subnets,
    describe_types,
    describe_zones,
)
from providers.sandbox.wire.ec2.statuses import describe_requests, describe_status
from providers.sandbox.world.ec2.context import Cloud
from providers.sandbox.world.ec2.describe import describe_by_id, describe_instances
from providers.sandbox.world.ec2.errors import Ec2Error
from providers.sandbox.world.ec2.fleet import FleetOrder, create_fleet
from providers.sandbox.world.ec2.launch import run_instance
from providers.sandbox.world.ec2.lifecycle import terminate
from providers.sandbox.world.ec2.state import (
    ON_DEMAND,
    PENDING,
    RUNNING,
    SPOT,
    FleetError,
    FleetPool,
    Instance,
)
from providers.sandbox.world.ec2.templates import create_template, delete_template, describe_templates, template_of

_CODES: Final = {"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80}


def _describe_instances(cloud: Cloud, asked: Asked) -> Values:
    ids = asked.get("InstanceIds")
    found = describe_by_id(cloud, ids) if ids else describe_instances(cloud, tags={})
    wanted = [i for i in found if matches(asked, i.tags, partial(_of_instance, i))]
    shown, more = page(wanted, asked)
    return {"Reservations": [{"Instances": [_instance(cloud, i)]} for i in shown], **more}


def _of_instance(instance: Instance, name: str) -> str:
    match name:
        case "instance-state-name":
            return instance.state
        case "instance-id":
            return instance.id
        case "client-token":
            return instance.client_token
        case _:
            raise Ec2Error("InvalidParameterValue", f"The filter '{name}' is invalid")


def _instance(cloud: Cloud, instance: Instance) -> Values:
    shown: Values = {
        "InstanceId": instance.id,
        "ImageId": instance.image,
        "InstanceType": instance.type,
        "State": {"Code": _CODES[instance.state], "Name": instance.state},
        "LaunchTime": cloud.kernel.calendar.to_datetime(instance.launched_at),
        "Placement": {"AvailabilityZone": instance.zone},
        "SubnetId": instance.subnet,
        "PrivateIpAddress": instance.private_ip,
        "ClientToken": instance.client_token,
        "Tags": tags_in(instance.tags),
        "InstanceLifecycle": SPOT if instance.market == SPOT else None,
    }
    if instance.state not in {PENDING, RUNNING}:
        shown["StateReason"] = {"Code": instance.state_reason, "Message": instance.state_message}
    return shown


def _run_instances(cloud: Cloud, asked: Asked) -> Values:
    order = order_from(dict(asked), {}, market=ON_DEMAND, template="")
    return {"Instances": [_instance(cloud, run_instance(cloud, order, token=asked.get("ClientToken", "")))]}


def _terminate(cloud: Cloud, asked: Asked) -> Values:
    ended = terminate(cloud, asked["InstanceIds"])
    return {
        "TerminatingInstances": [
            {"InstanceId": i.id, "CurrentState": {"Code": _CODES[i.state], "Name": i.state}} for i in ended
        ]
    }


def _create_fleet(cloud: Cloud, asked: Asked) -> Values:
    if asked.get("Type") != "instant":
        raise Ec2Error("InvalidParameterValue", "the simulated account makes instant fleets alone")
    (config,) = asked["LaunchTemplateConfigs"]
    name = config["LaunchTemplateSpecification"]["LaunchTemplateName"]
    target = asked["TargetCapacitySpecification"]
    tags = {t["Key"]: t["Value"] for s in asked.get("TagSpecifications", ()) for t in s["Tags"]
            if s["ResourceType"] == "instance"}  # fmt: skip
    machine = order_from(
        template_of(cloud, name).content, tags, market=target["DefaultTargetCapacityType"], template=name
    )
    pools = tuple((o["InstanceType"], o["SubnetId"]) for o in config.get("Overrides", ()))
    order = FleetOrder(machine=machine, pools=pools, count=target["TotalTargetCapacity"])
    fleet = create_fleet(cloud, order, token=asked.get("ClientToken", ""))
    return {
        "FleetId": fleet.id,
        "Instances": [
            {**_place(pool), "InstanceIds": pool.instances, "InstanceType": pool.type} for pool in fleet.pools
        ],
        "Errors": [{**_place(e), "ErrorCode": e.code, "ErrorMessage": e.message} for e in fleet.errors],
    }


def _place(of: FleetPool | FleetError) -> Values:
    overrides = {"InstanceType": of.type, "SubnetId": of.subnet, "AvailabilityZone": of.zone}
    return {"LaunchTemplateAndOverrides": {"Overrides": overrides}, "Lifecycle": of.market}


def _create_template(cloud: Cloud, asked: Asked) -> Values:
    tags = {t["Key"]: t["Value"] for s in asked.get("TagSpecifications", ()) for t in s["Tags"]}
    made = create_template(cloud, asked["LaunchTemplateName"], dict(asked["LaunchTemplateData"]), tags)
    return {"LaunchTemplate": {"LaunchTemplateId": made.id, "LaunchTemplateName": made.name, "Tags": tags_in(tags)}}


def _describe_templates(cloud: Cloud, asked: Asked) -> Values:
    wanted = [t for t in describe_templates(cloud) if matches(asked, t.tags, lambda _: "")]
    shown, more = page(wanted, asked)
    listed = [{"LaunchTemplateId": t.id, "LaunchTemplateName": t.name, "Tags": tags_in(t.tags)} for t in shown]
    return {"LaunchTemplates": listed, **more}


def _describe_versions(cloud: Cloud, asked: Asked) -> Values:
    found = template_of(cloud, asked["LaunchTemplateName"])
    version = {"LaunchTemplateName": found.name, "VersionNumber": 1, "LaunchTemplateData": found.content}
    return {"LaunchTemplateVersions": [version]}


def _delete_template(cloud: Cloud, asked: Asked) -> Values:
    delete_template(cloud, asked["LaunchTemplateName"])
    return {"LaunchTemplate": {"LaunchTemplateName": asked["LaunchTemplateName"]}}


ACTIONS: Final[Mapping[str, Callable[[Cloud, Asked], Values]]] = {
    "AssociateAddress": associate_address,
    "CreateFleet": _create_fleet,
    "CreateLaunchTemplate": _create_template,
    "CreateTags": create_tags,
    "DeleteLaunchTemplate": _delete_template,
    "DeleteTags": delete_tags,
    "DescribeAddresses": describe_addresses,
    "DescribeAvailabilityZones": describe_zones,
    "DescribeImages": describe_images,
    "DescribeInstanceAttribute": describe_attribute,
    "DescribeInstanceStatus": describe_status,
    "DescribeInstanceTypeOfferings": describe_offerings,
    "DescribeInstanceTypes": describe_types,
    "DescribeInstances": _describe_instances,
    "DescribeLaunchTemplateVersions": _describe_versions,
    "DescribeLaunchTemplates": _describe_templates,
    "DescribeRegions": describe_regions,
    "DescribeSecurityGroups": describe_security_groups,
    "DescribeSpotInstanceRequests": describe_requests,
    "DescribeSpotPriceHistory": describe_spot_prices,
    "DescribeSubnets": describe_subnets,
    "DisassociateAddress": disassociate_address,
    "GetConsoleOutput": console_output,
    "ModifyInstanceAttribute": modify_attribute,
    "RebootInstances": reboot,
    "RunInstances": _run_instances,
    "TerminateInstances": _terminate,
}
